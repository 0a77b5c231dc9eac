// SPDX-License-Identifier: MIT
// The arithmetic flags from their record: SDM vol. 1 3.4.3.1. The inline part, for one flag or condition, is flags.h.
#include "cpu/flags.h"
#include "mem/base/bits.h"

// All six, as the record without overrides gives them; CF is the caller's.
static u32 flags_of_record(const struct cpu *c, u32 op, bool cf)
{
    if (op == CC_EFLAGS) return c->eflags & FL_ARITH;
    u64 d = c->cc_dst, s = c->cc_src, a; // a: the first operand
    unsigned msb = (8u << (op & 3)) - 1;
    u32 fl = cf ? FL_CF : 0;
    switch (op & ~3u) {
    case CC_ADD:
    case CC_ADC:
        a = d - s - ((op & ~3u) == CC_ADC);
        fl |= ((a ^ s ^ d) & FL_AF) | (((a ^ d) & (s ^ d)) >> msb << 11 & FL_OF);
        break;
    case CC_SUB:
    case CC_SBB:
        a = d + s + ((op & ~3u) == CC_SBB);
        fl |= ((a ^ s ^ d) & FL_AF) | (((a ^ s) & (a ^ d)) >> msb << 11 & FL_OF);
        break;
    case CC_INC: fl |= ((d & 15) == 0 ? FL_AF : 0) | (d == (u64)1 << msb ? FL_OF : 0); break;
    case CC_DEC: fl |= ((d & 15) == 15 ? FL_AF : 0) | (d == ((u64)1 << msb) - 1 ? FL_OF : 0); break;
    case CC_SHIFT: fl |= (s & 2 ? FL_OF : 0) | (s & 4 ? FL_AF : 0); break;
    case CC_SHX: fl |= FL_AF; break;
    default: break; // CC_LOGIC
    }
    if (d == 0) fl |= FL_ZF;
    if (d >> msb & 1) fl |= FL_SF;
    if (!__builtin_parity(d & 0xff)) fl |= FL_PF;
    return fl;
}

u32 flags_arith(const struct cpu *c)
{
    u32 over = c->cc_op & CC_OVER, op = c->cc_op & ~(u32)CC_OVER;
    u32 fl = flags_of_record(c, op, flags_cf(c));
    if (over & CC_OVER_OF) fl = (fl & ~(u32)FL_OF) | (c->cc_of ? FL_OF : 0);
    if ((over & CC_OVER_CF) && op == CC_EFLAGS) fl = (fl & ~(u32)FL_CF) | (c->cc_cf ? FL_CF : 0);
    return fl;
}

u32 flags_get(struct cpu *c)
{
    if (c->cc_op != CC_EFLAGS) flags_set_arith(c, flags_arith(c));
    return c->eflags;
}
bool flags_cond_slow(const struct cpu *c, unsigned cc)
{
    u32 fl = flags_arith(c);
    bool sf_of = !(fl & FL_SF) != !(fl & FL_OF), r;
    switch (cc >> 1) {
    case 0: r = fl & FL_OF; break;
    case 1: r = fl & FL_CF; break;
    case 2: r = fl & FL_ZF; break;
    case 3: r = fl & (FL_CF | FL_ZF); break;
    case 4: r = fl & FL_SF; break;
    case 5: r = fl & FL_PF; break;
    case 6: r = sf_of; break;
    default: r = sf_of || (fl & FL_ZF); break;
    }
    return r ^ (cc & 1);
}
