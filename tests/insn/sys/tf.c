// SPDX-License-Identifier: MIT
// The trap flag over every opcode, 32-bit code; all of it is in tf.h.
#include "tests/insn/sys/tf.h"
