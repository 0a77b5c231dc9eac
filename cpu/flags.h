// SPDX-License-Identifier: MIT
// The arithmetic flags: lazily recorded, computed here and nowhere else. SDM vol. 1 3.4.3.1, vol. 2 "Flags Affected".
// A record is (cc_op, cc_dst, cc_src), both operands zero-extended to 64 bits, so that ZF is always cc_dst == 0:
//   CC_ADD    dst = result, src = second operand (the first is dst - src)      CC_ADC  the same, carry-in was 1
//   CC_SUB    dst = result, src = second operand (the first is dst + src)      CC_SBB  the same, borrow-in was 1
//   CC_LOGIC  dst = result: CF, OF, AF are 0
//   CC_INC, CC_DEC  dst = result, src = CF before (0 or 1)
//   CC_SHIFT  dst = result, src = CF | OF << 1 | AF << 2: shifts and what else gives CF and OF in its own way
//   CC_EFLAGS the flags are in eflags itself: rotates, bit tests, whatever computes them at once
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
// Changes those in `mask`, keeps the other arithmetic flags.
INLINE void flags_change(struct cpu *c, u32 mask, u32 fl)
{
    u32 old = c->cc_op == CC_EFLAGS ? c->eflags : flags_arith(c);
    flags_set_arith(c, (old & ~mask) | (fl & mask));
}
INLINE void flags_record(struct cpu *c, unsigned op, unsigned log2size, u64 dst, u64 src)
{
    c->cc_op = op + log2size;
    c->cc_dst = dst;
    c->cc_src = src;
}
// 64 - width of the record: shifting operands left by it makes 64-bit comparisons of them exact.
INLINE unsigned flags_shift(u32 op) { return 64 - (8u << (op & 3)); }
// CF, without materialising the others.
INLINE bool flags_cf(const struct cpu *c)
{
    u32 op = c->cc_op;
    u64 d = c->cc_dst, s = c->cc_src;
    unsigned sh = flags_shift(op);
    switch (op >> 2) {
    case CC_EFLAGS >> 2: return c->eflags & FL_CF;
    case CC_ADD >> 2: return d < s;
    case CC_ADC >> 2: return d <= s;
    case CC_SUB >> 2: return (d + s) << sh < s << sh;
    case CC_SBB >> 2: return (d + s + 1) << sh <= s << sh;
    case CC_LOGIC >> 2: return false;
    default: return s & 1;
    }
}
// Condition of Jcc, SETcc, CMOVcc: the low four bits of the opcode.
bool flags_cond_slow(const struct cpu *c, unsigned cc);
// The same where cc is a constant: comparisons and tests are evaluated on the record itself.
INLINE bool flags_cond(const struct cpu *c, unsigned cc)
{
    u32 op = c->cc_op, kind = op & ~3u;
    u64 d = c->cc_dst, s = c->cc_src;
    unsigned sh = flags_shift(op);
    bool r;
    switch (cc >> 1) {
    case 1: r = flags_cf(c); break;
    case 2: r = op != CC_EFLAGS ? d == 0 : (c->eflags & FL_ZF) != 0; break;
    case 3:
        if (kind == CC_SUB)
            r = (d + s) << sh <= s << sh;
        else if (kind == CC_LOGIC)
            r = d == 0;
        else
            r = flags_cond_slow(c, 6);
        break;
    case 4: r = op != CC_EFLAGS ? (i64)(d << sh) < 0 : (c->eflags & FL_SF) != 0; break;
    case 5: r = op != CC_EFLAGS ? !__builtin_parity(d & 0xff) : (c->eflags & FL_PF) != 0; break;
    case 6:
        if (kind == CC_SUB)
            r = (i64)((d + s) << sh) < (i64)(s << sh);
        else if (kind == CC_LOGIC)
            r = (i64)(d << sh) < 0;
        else
            r = flags_cond_slow(c, 12);
        break;
    case 7:
        if (kind == CC_SUB)
            r = (i64)((d + s) << sh) <= (i64)(s << sh);
        else if (kind == CC_LOGIC)
            r = (i64)(d << sh) <= 0;
        else
            r = flags_cond_slow(c, 14);
        break;
    default: r = flags_cond_slow(c, 0); break;
    }
    return r ^ (cc & 1);
}
