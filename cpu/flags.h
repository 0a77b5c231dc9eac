// SPDX-License-Identifier: MIT
// The arithmetic flags: lazily recorded, computed here and nowhere else. SDM vol. 1 3.4.3.1, vol. 2 "Flags Affected".
// A record is (cc_op, cc_dst, cc_src), both operands zero-extended to 64 bits, so that ZF is always cc_dst == 0:
//   CC_ADD    dst = result, src = second operand (the first is dst - src)      CC_ADC  the same, carry-in was 1
//   CC_SUB    dst = result, src = second operand (the first is dst + src)      CC_SBB  the same, borrow-in was 1
//   CC_LOGIC  dst = result: CF, OF, AF are 0
//   CC_INC, CC_DEC  dst = result, src = CF before (0 or 1)
//   CC_SHIFT  dst = result, src = CF | OF << 1 | AF << 2: shifts and what else gives CF and OF in its own way
//   CC_SHX    dst = result, AF = 1, CF and OF overridden: shifts in translated code
//   CC_EFLAGS the flags are in eflags itself: rotates, bit tests, whatever computes them at once
// CC_OVER_CF, CC_OVER_OF beside any of them: cpu.cc_cf, cc_of (0 or 1) hold this flag. Translated code records so what
// changes only these two (rotates, multiplications, bit tests).
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
    CC_SHX = 36,
    CC_COUNT = 40,
    CC_OVER_CF = 1 << 8,
    CC_OVER_OF = 1 << 9,
    CC_OVER = CC_OVER_CF | CC_OVER_OF
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
    if (unlikely(op & CC_OVER)) {
        if (op & CC_OVER_CF) return c->cc_cf;
        op &= ~(u32)CC_OVER;
    }
    if (op >= CC_LOGIC) return op >= CC_INC && (s & 1);
    if (op == CC_EFLAGS) return c->eflags & FL_CF;
    unsigned sh = flags_shift(op);
    if (op >= CC_SUB) return op < CC_SBB ? (d + s) << sh < s << sh : (d + s + 1) << sh <= s << sh;
    return op < CC_ADC ? d < s : d <= s;
}
// Condition of Jcc, SETcc, CMOVcc: the low four bits of the opcode.
bool flags_cond_slow(const struct cpu *c, unsigned cc);
// The same where cc is a constant: what compilers make (comparisons and tests of 4 and 8 bytes) is evaluated on the
// record without a call; the rest sets *slow and is left to flags_cond_slow().
INLINE bool flags_cond_fast(const struct cpu *c, unsigned cc, bool *slow)
{
    u32 op = c->cc_op;
    u64 d = c->cc_dst, s = c->cc_src, a = d + s; // a: the first operand of a comparison
    unsigned sh = flags_shift(op);
    bool sub4 = op == CC_SUB + 2, sub8 = op == CC_SUB + 3, sub = (op & ~3u) == CC_SUB, logic = (op & ~3u) == CC_LOGIC;
    bool r = false;
    switch (cc >> 1) {
    case 1: r = sub4 ? (u32)a < s : sub8 ? a < s : flags_cf(c); break;
    case 2: r = (op & ~(u32)CC_OVER) != CC_EFLAGS ? d == 0 : (c->eflags & FL_ZF) != 0; break;
    case 3:
        if (sub4)
            r = (u32)a <= s;
        else if (sub)
            r = a << sh <= s << sh;
        else if (logic)
            r = d == 0;
        else
            *slow = true;
        break;
    case 4: r = (op & ~(u32)CC_OVER) != CC_EFLAGS ? (i64)(d << sh) < 0 : (c->eflags & FL_SF) != 0; break;
    case 5: r = (op & ~(u32)CC_OVER) != CC_EFLAGS ? !__builtin_parity(d & 0xff) : (c->eflags & FL_PF) != 0; break;
    case 6:
        if (sub4)
            r = (i32)a < (i32)s;
        else if (sub)
            r = (i64)(a << sh) < (i64)(s << sh);
        else if (logic)
            r = (i64)(d << sh) < 0;
        else
            *slow = true;
        break;
    case 7:
        if (sub4)
            r = (i32)a <= (i32)s;
        else if (sub)
            r = (i64)(a << sh) <= (i64)(s << sh);
        else if (logic)
            r = (i64)(d << sh) <= 0;
        else
            *slow = true;
        break;
    default: *slow = true; break;
    }
    return r ^ (cc & 1);
}
INLINE bool flags_cond(const struct cpu *c, unsigned cc)
{
    bool slow = false, r = flags_cond_fast(c, cc, &slow);
    return unlikely(slow) ? flags_cond_slow(c, cc) : r;
}
