// SPDX-License-Identifier: MIT
// Exceptions during the delivery of exceptions in long mode; all of it is in matrix.h.
#include "tests/insn/sys/matrix.h"
