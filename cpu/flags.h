// SPDX-License-Identifier: MIT
// The arithmetic flags: lazily recorded, computed here and nowhere else. SDM vol. 1 3.4.3.1, vol. 2 "Flags Affected".
// A record is (cc_op, cc_dst, cc_src), both operands zero-extended to 64 bits:
//   CC_ADD  dst = result, src = second operand (the first is dst - src)    CC_ADC  the same, carry-in was 1
//   CC_SUB  dst = result, src = second operand (first: dst + src)          CC_SBB  the same, borrow-in was 1
//   CC_LOGIC dst = result                                                  CC_INC, CC_DEC dst = result, src = CF before
//   (0/1) CC_SHL  dst = result, src = CF after | OF after << 1: shifts; AF is 0 (undefined by the manual) CC_BITS src =
//   all arithmetic flags in EFLAGS positions: rotates, multiplies, whatever computes them at once
// Undefined flags follow what the record gives; both engines do the same.
#pragma once
#include "cpu/cpu.h"

enum cc_op {
    CC_EFLAGS = 0, // in cpu->eflags
    // each in four widths: CC_ADD + log2(bytes)
    CC_ADD = 4,
    CC_ADC = 8,
    CC_SUB = 12,
    CC_SBB = 16,
    CC_LOGIC = 20,
    CC_INC = 24,
    CC_DEC = 28,
    CC_SHIFT = 32,
    CC_COUNT = 36
};
// All six arithmetic flags in their EFLAGS positions.
u32 flags_arith(const struct cpu *c);
// Brings eflags up to date (cc_op becomes CC_EFLAGS) and returns it whole.
u32 flags_get(struct cpu *c);
// Sets the arithmetic flags only.
INLINE void flags_set_arith(struct cpu *c, u32 fl)
{
    c->cc_op = CC_EFLAGS;
    c->eflags = (c->eflags & ~FL_ARITH) | (fl & FL_ARITH);
}
INLINE void flags_record(struct cpu *c, unsigned op, unsigned log2size, u64 dst, u64 src)
{
    c->cc_op = op + log2size;
    c->cc_dst = dst;
    c->cc_src = src;
}
bool flags_cf(const struct cpu *c); // without materialising the others
// Condition of Jcc, SETcc, CMOVcc: the low four bits of the opcode.
bool flags_cond_slow(const struct cpu *c, unsigned cc);
