// SPDX-License-Identifier: MIT
// The suite of interp_int.c, executed by translated code: every integer row against the host's own processor. NO_OPT=1:
// every flag of every operation recorded.
#define TRANSLATED
#include "tests/insn/interp_int.c"
