// SPDX-License-Identifier: MIT
// From a decoded instruction to its function: one row a name of insn.def, so that a missing function does not link.
#include "interp/interp.h"

static xpick *const picks[OP_COUNT] = {
#define INSN(name, ...) [OP_##name] = xp_##name,
#include "cpu/insn.def"
#undef INSN
};

xfn *interp_pick(const struct insn *i) { return picks[i->op](i); }
