// SPDX-License-Identifier: MIT
// Exceptions during the delivery of exceptions in protected mode; all of it is in matrix.h.
#include "tests/insn/sys/matrix.h"
