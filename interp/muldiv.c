// SPDX-License-Identifier: MIT
// Multiplication and division: SDM vol. 2 MUL, IMUL, DIV, IDIV, MULX. CF and OF say that the high half matters.
// Undefined flags are those of AMD's processors (Zen): a multiplication leaves SF, ZF, AF, PF, a division leaves CF and
// OF, sets AF and clears the others.
#include "interp/ops.h"

INLINE void mul_flags(struct cpu *c, bool high) { flags_change(c, FL_CF | FL_OF, high ? FL_CF | FL_OF : 0); }
// rDX:rAX (AX for bytes) gets the product.
INLINE void set_pair(struct cpu *c, u64 lo, u64 hi, unsigned n)
{
    if (n == 1) {
        reg_set16(c, R_RAX, (u16)(cut(lo, 1) | hi << 8));
    } else {
        wr(c, R_RAX, lo, n);
        wr(c, R_RDX, hi, n);
    }
}
INLINE void mul(struct cpu *c, const struct insn *i, unsigned n)
{
    u128 r = (u128)rd(c, R_RAX, n) * ld_e(c, i, n);
    u64 lo = cut((u64)r, n), hi = cut((u64)(r >> 8 * n), n);
    set_pair(c, lo, hi, n);
    mul_flags(c, hi != 0);
}
INLINE void imul(struct cpu *c, const struct insn *i, unsigned n)
{
    __int128 r = (__int128)sext(rd(c, R_RAX, n), n) * sext(ld_e(c, i, n), n);
    u64 lo = cut((u64)r, n), hi = cut((u64)(r >> 8 * n), n);
    set_pair(c, lo, hi, n);
    mul_flags(c, r != sext(lo, n));
}
INLINE void imul2(struct cpu *c, const struct insn *i, u64 a, u64 b, unsigned n)
{
    i64 r;
    u64 lo;
    bool over;
    if (n == 8) {
        over = __builtin_mul_overflow((i64)a, (i64)b, &r);
        lo = (u64)r;
    } else {
        r = sext(a, n) * sext(b, n);
        lo = cut((u64)r, n);
        over = r != sext(lo, n);
    }
    wr(c, i->reg, lo, n);
    mul_flags(c, over);
}
INLINE void div_flags(struct cpu *c) { flags_change(c, FL_SF | FL_ZF | FL_AF | FL_PF, FL_AF); }
INLINE void div(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 d = ld_e(c, i, n);
    if (unlikely(!d)) cpu_raise(c, EXC_DE);
    if (n == 8) {
        u64 hi = c->gpr[R_RDX], lo = c->gpr[R_RAX];
        if (unlikely(hi >= d)) cpu_raise(c, EXC_DE);
        if (!hi) {
            set_pair(c, lo / d, lo % d, 8);
        } else {
            u128 v = (u128)hi << 64 | lo;
            set_pair(c, (u64)(v / d), (u64)(v % d), 8);
        }
        div_flags(c);
        return;
    }
    u64 v = n == 1   ? (u16)c->gpr[R_RAX]
            : n == 2 ? (u16)c->gpr[R_RAX] | (u64)(u16)c->gpr[R_RDX] << 16
                     : (u32)c->gpr[R_RAX] | c->gpr[R_RDX] << 32;
    u64 q = v / d;
    if (unlikely(q != cut(q, n))) cpu_raise(c, EXC_DE);
    set_pair(c, q, v % d, n);
    div_flags(c);
}
INLINE void idiv(struct cpu *c, const struct insn *i, unsigned n)
{
    i64 d = sext(ld_e(c, i, n), n);
    if (unlikely(!d)) cpu_raise(c, EXC_DE);
    if (n == 8) {
        __int128 v = (__int128)((u128)c->gpr[R_RDX] << 64 | c->gpr[R_RAX]), q;
        // -2^127 / -1 does not fit the host's type either
        if (d == -1 && v == (__int128)((u128)1 << 127)) cpu_raise(c, EXC_DE);
        q = v / d;
        if (unlikely(q != (i64)q)) cpu_raise(c, EXC_DE);
        set_pair(c, (u64)q, (u64)(v % d), 8);
        div_flags(c);
        return;
    }
    i64 v = n == 1   ? (i16)c->gpr[R_RAX]
            : n == 2 ? (i32)((u16)c->gpr[R_RAX] | (u32)c->gpr[R_RDX] << 16)
                     : (i64)((u32)c->gpr[R_RAX] | c->gpr[R_RDX] << 32);
    if (n == 4 && d == -1 && v == INT64_MIN) cpu_raise(c, EXC_DE);
    i64 q = v / d;
    if (unlikely(q != sext((u64)q, n))) cpu_raise(c, EXC_DE);
    set_pair(c, cut((u64)q, n), cut((u64)(v % d), n), n);
    div_flags(c);
}
#define MULDIV_FORMS(k, n)                                                                                             \
    FN(mul_##n) { mul(c, i, n); }                                                                                      \
    FN(imul_##n) { imul(c, i, n); }                                                                                    \
    FN(div_##n) { div(c, i, n); }                                                                                      \
    FN(idiv_##n) { idiv(c, i, n); }
MULDIV_FORMS(x, 1)
SIZES(MULDIV_FORMS, x)
#define IMUL2_FORMS(k, n)                                                                                              \
    FN(imul_gr##n) { imul2(c, i, rd(c, i->reg, n), rd(c, i->rm, n), n); }                                              \
    FN(imul_gm##n) { imul2(c, i, rd(c, i->reg, n), ld_mem(c, i, n), n); }                                              \
    FN(imul_ri##n) { imul2(c, i, rd(c, i->rm, n), i->imm, n); }                                                        \
    FN(imul_mi##n) { imul2(c, i, ld_mem(c, i, n), i->imm, n); }
SIZES(IMUL2_FORMS, x)
XPICK(MUL_Eb) { return mul_1; }
XPICK(MUL_Ev) { return BYSIZE(mul_); }
XPICK(IMUL_Eb) { return imul_1; }
XPICK(IMUL_Ev) { return BYSIZE(imul_); }
XPICK(DIV_Eb) { return div_1; }
XPICK(DIV_Ev) { return BYSIZE(div_); }
XPICK(IDIV_Eb) { return idiv_1; }
XPICK(IDIV_Ev) { return BYSIZE(idiv_); }
XPICK(IMUL_GvEv) { return i->is_mem ? BYSIZE(imul_gm) : BYSIZE(imul_gr); }
XPICK(IMUL_GvEvIz) { return i->is_mem ? BYSIZE(imul_mi) : BYSIZE(imul_ri); }
XALIAS(IMUL_GvEvsIb, IMUL_GvEvIz)
X(MULX_GyByEy)
{
    if (i->osz == 8) {
        u128 r = (u128)c->gpr[R_RDX] * ld_e(c, i, 8);
        c->gpr[i->vvvv] = (u64)r;
        c->gpr[i->reg] = (u64)(r >> 64); // the same register twice: the high half stays
    } else {
        u64 r = (u64)(u32)c->gpr[R_RDX] * ld_e(c, i, 4);
        c->gpr[i->vvvv] = (u32)r;
        c->gpr[i->reg] = r >> 32;
    }
}
