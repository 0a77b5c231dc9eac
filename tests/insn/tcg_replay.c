// SPDX-License-Identifier: MIT
// The suite of replay.c, executed by translated code: the integer rows by vectors recorded from a real processor.
#define REPLAY
#define TRANSLATED
#include "tests/insn/interp_int.c"

int main(int argc, char **argv)
{
    const char *file = getenv("VECTORS");
    return replay(file ? file : "tests/insn/int.vec", argc > 1 ? argv[1] : NULL);
}
