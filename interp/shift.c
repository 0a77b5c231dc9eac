// SPDX-License-Identifier: MIT
// Shifts and rotates: SDM vol. 2 RCL/RCR/ROL/ROR, SAL/SAR/SHL/SHR, SHLD, SHRD. Counts are masked to 5 bits (6 with a
// 64-bit operand); a masked count of 0 changes no flag. OF beyond a count of 1 is undefined in the manual: here it is
// what the same formula gives, which is what processors do.
#include "interp/ops.h"

enum { AF_SET = 4 }; // in the record: AF after a shift is undefined, AMD's processors set it
enum shift { K_ROL, K_ROR, K_RCL, K_RCR, K_SHL, K_SHR, K_SAR };

// v shifted by the masked count k, flags set. k is not 0.
INLINE u64 shift(struct cpu *c, enum shift how, u64 v, unsigned k, unsigned n)
{
    const unsigned w = 8 * n;
    u64 r;
    bool cf, of;
    switch (how) {
    case K_SHL:
        r = cut(v << k, n);
        cf = k <= w && (v >> (w - k) & 1);
        flags_record(c, CC_SHIFT, log2_size(n), r, AF_SET | cf | (u64)(cf ^ msb(r, n)) << 1);
        return r;
    case K_SHR:
        r = v >> k;
        cf = v >> (k - 1) & 1;
        of = msb(r << 1 ^ r, n);
        flags_record(c, CC_SHIFT, log2_size(n), r, AF_SET | cf | (u64)of << 1);
        return r;
    case K_SAR:
        r = cut((u64)(sext(v, n) >> k), n);
        cf = sext(v, n) >> (k - 1) & 1;
        flags_record(c, CC_SHIFT, log2_size(n), r, AF_SET | cf);
        return r;
    case K_ROL:
        k &= w - 1;
        r = cut(v << k | v >> ((w - k) & (w - 1)), n);
        cf = r & 1;
        of = cf ^ msb(r, n);
        break;
    case K_ROR:
        k &= w - 1;
        r = cut(v >> k | v << ((w - k) & (w - 1)), n);
        cf = msb(r, n);
        of = msb(r << 1 ^ r, n);
        break;
    default: { // through CF: a rotate of w + 1 bits
        k %= w + 1;
        u128 x = (u128)flags_cf(c) << w | v;
        if (how == K_RCL)
            x = x << k | x >> (w + 1 - k);
        else
            x = x >> k | x << (w + 1 - k);
        r = cut((u64)x, n);
        cf = (u64)(x >> w) & 1;
        of = how == K_RCL ? cf ^ msb(r, n) : msb(r << 1 ^ r, n);
        break;
    }
    }
    flags_change(c, FL_CF | FL_OF, (cf ? FL_CF : 0) | (of ? FL_OF : 0));
    return r;
}
INLINE void shift_reg(struct cpu *c, const struct insn *i, enum shift how, unsigned k, unsigned n)
{
    u64 v = rd(c, i->rm, n);
    k &= n == 8 ? 63 : 31;
    wr(c, i->rm, k ? shift(c, how, v, k, n) : v, n);
}
INLINE void shift_mem(struct cpu *c, const struct insn *i, enum shift how, unsigned k, unsigned n)
{
    struct rmw p;
    u64 v = rmw_load(c, i->seg, insn_ea(c, i), n, &p);
    k &= n == 8 ? 63 : 31;
    if (k) v = shift(c, how, v, k, n);
    rmw_store(c, &p, v, n);
}
#define SHIFT_FORMS(k, n)                                                                                              \
    FN(k##_r1_##n) { shift_reg(c, i, K_##k, 1, n); }                                                                   \
    FN(k##_ri_##n) { shift_reg(c, i, K_##k, (u8)i->imm, n); }                                                          \
    FN(k##_rc_##n) { shift_reg(c, i, K_##k, (u8)c->gpr[R_RCX], n); }                                                   \
    FN(k##_m1_##n) { shift_mem(c, i, K_##k, 1, n); }                                                                   \
    FN(k##_mi_##n) { shift_mem(c, i, K_##k, (u8)i->imm, n); }                                                          \
    FN(k##_mc_##n) { shift_mem(c, i, K_##k, (u8)c->gpr[R_RCX], n); }
#define SHIFT(k)                                                                                                       \
    SHIFT_FORMS(k, 1)                                                                                                  \
    SIZES(SHIFT_FORMS, k)                                                                                              \
    XPICK(k##_EbIb) { return i->is_mem ? k##_mi_1 : k##_ri_1; }                                                        \
    XPICK(k##_EvIb) { return i->is_mem ? BYSIZE(k##_mi_) : BYSIZE(k##_ri_); }                                          \
    XPICK(k##_Eb1) { return i->is_mem ? k##_m1_1 : k##_r1_1; }                                                         \
    XPICK(k##_Ev1) { return i->is_mem ? BYSIZE(k##_m1_) : BYSIZE(k##_r1_); }                                           \
    XPICK(k##_EbCL) { return i->is_mem ? k##_mc_1 : k##_rc_1; }                                                        \
    XPICK(k##_EvCL) { return i->is_mem ? BYSIZE(k##_mc_) : BYSIZE(k##_rc_); }
SHIFT(ROL)
SHIFT(ROR)
SHIFT(RCL)
SHIFT(RCR)
SHIFT(SHL)
SHIFT(SHR)
SHIFT(SAR)
XALIAS(SHL_EbIb_6, SHL_EbIb)
XALIAS(SHL_EvIb_6, SHL_EvIb)
XALIAS(SHL_Eb1_6, SHL_Eb1)
XALIAS(SHL_Ev1_6, SHL_Ev1)
XALIAS(SHL_EbCL_6, SHL_EbCL)
XALIAS(SHL_EvCL_6, SHL_EvCL)

// ---- double shifts. A 16-bit operand with a count above 16 is undefined: the bits that follow are src again, CF and
// OF are 0 (AMD; Intel's processors let dst follow).
INLINE u64 shift_double(struct cpu *c, bool left, u64 v, u64 fill, unsigned k, unsigned n)
{
    const unsigned w = 8 * n;
    u64 r;
    bool cf, of;
    if (n == 2) {
        u64 x = left ? v << 32 | fill << 16 | fill : fill << 32 | fill << 16 | v; // 48 bits
        r = cut(left ? x >> (32 - k) : x >> k, 2);
        cf = k <= 16 && (left ? v >> (16 - k) & 1 : v >> (k - 1) & 1);
    } else if (left) {
        r = cut(v << k | fill >> (w - k), n);
        cf = v >> (w - k) & 1;
    } else {
        r = cut(v >> k | fill << (w - k), n);
        cf = v >> (k - 1) & 1;
    }
    of = left ? cf ^ msb(r, n) : msb(r << 1 ^ r, n);
    if (n == 2 && left && k >= 16) of = cf;
    flags_record(c, CC_SHIFT, log2_size(n), r, AF_SET | cf | (u64)of << 1);
    return r;
}
INLINE void shift_double_e(struct cpu *c, const struct insn *i, bool left, unsigned k, unsigned n)
{
    struct rmw p;
    u64 v = rmw_e_load(c, i, n, &p);
    k &= n == 8 ? 63 : 31;
    if (k) v = shift_double(c, left, v, rd(c, i->reg, n), k, n);
    rmw_e_store(c, i, &p, v, n);
}
enum { LEFT_SHLD = 1, LEFT_SHRD = 0 };
#define DOUBLE_FORMS(k, n)                                                                                             \
    FN(k##_i##n) { shift_double_e(c, i, LEFT_##k, (u8)i->imm, n); }                                                    \
    FN(k##_c##n) { shift_double_e(c, i, LEFT_##k, (u8)c->gpr[R_RCX], n); }
SIZES(DOUBLE_FORMS, SHLD)
SIZES(DOUBLE_FORMS, SHRD)
XPICK(SHLD_EvGvIb) { return BYSIZE(SHLD_i); }
XPICK(SHLD_EvGvCL) { return BYSIZE(SHLD_c); }
XPICK(SHRD_EvGvIb) { return BYSIZE(SHRD_i); }
XPICK(SHRD_EvGvCL) { return BYSIZE(SHRD_c); }
