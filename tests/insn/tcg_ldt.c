// SPDX-License-Identifier: MIT
// The suite of ldt.c, executed by translated code: 16-bit and 32-bit code in segments with bases and limits.
#define TRANSLATED
#include "tests/insn/ldt.c"
