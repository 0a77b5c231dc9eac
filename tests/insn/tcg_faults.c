// SPDX-License-Identifier: MIT
// The suite of faults.c, executed by translated code: page faults injected into every access of every instruction.
#define TRANSLATED
#include "tests/insn/faults.c"
