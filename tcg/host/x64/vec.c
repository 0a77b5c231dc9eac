// SPDX-License-Identifier: MIT
// x87, MMX and SSE of the guest on the host's own.
#include "tcg/host/x64/emit.h"

void emit_vec(struct em *m)
{
    exit_insn(m, true);
    m->fl.known = false;
}
