// SPDX-License-Identifier: MIT
// Exceptions during the delivery of exceptions in long mode; all of it is in matrix.c.
#include "tests/insn/sys/matrix.c"
