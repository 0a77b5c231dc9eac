// SPDX-License-Identifier: MIT
// x87, MMX and SSE instructions to intermediate code. Nothing is known yet: the interpreter's functions execute them.
#include "tcg/tcg.h"

bool front_vec(struct compile_env *e, const struct tb *t, unsigned k, i32 off) { return false; }
