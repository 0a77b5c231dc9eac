// SPDX-License-Identifier: MIT
// The programs of tcg_tb.c with the real compiler: counts, links and flags that edges do not keep.
#define REAL_COMPILER
#include "tests/insn/tcg_tb.c"
