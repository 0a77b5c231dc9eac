// SPDX-License-Identifier: MIT
// The integer rows by vectors recorded from a real processor (an AMD EPYC; tests/insn/int.vec): interp_int's cases and
// its interpreter's side, without its native side, so on any host. `replay [PATTERN]`.
#define REPLAY
#include "tests/insn/interp_int.c"

int main(int argc, char **argv)
{
    const char *file = getenv("VECTORS");
    return replay(file ? file : "tests/insn/int.vec", argc > 1 ? argv[1] : NULL);
}
