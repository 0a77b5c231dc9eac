// SPDX-License-Identifier: MIT
// The end of a run of instructions: see insn_next() in interp.h. A file of its own, so that tests of single functions
// link without the engine.
#include "interp/interp.h"

void interp_stop(struct cpu *c, const struct insn *i) {}
