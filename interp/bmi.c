// SPDX-License-Identifier: MIT
// BMI1 and BMI2: SDM vol. 2 ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, PDEP, PEXT, RORX, SARX, SHLX, SHRX (MULX: muldiv.c).
// VEX-coded, so #UD in real and virtual-8086 mode (decided when decoded). Undefined flags are AMD's (Zen): PF by the
// result, AF 0; BEXTR sets AF and clears SF.
#include "interp/ops.h"

#define BMI(name, fn)                                                                                                  \
    FN(fn##_4) { fn(c, i, ld_e(c, i, 4), 4); }                                                                         \
    FN(fn##_8) { fn(c, i, ld_e(c, i, 8), 8); }                                                                         \
    XPICK(name) { return i->osz == 8 ? fn##_8 : fn##_4; }
#define BMI_BODY(fn) INLINE void fn(struct cpu *c, const struct insn *i, u64 v, unsigned n)

// SF and ZF by the result, OF 0, CF as given.
INLINE void bmi_flags(struct cpu *c, u64 r, bool cf, unsigned n) { flags_record(c, CC_SHIFT, log2_size(n), r, cf); }
BMI_BODY(andn)
{
    u64 r = ~rd(c, i->vvvv, n) & v;
    wr(c, i->reg, r, n);
    bmi_flags(c, r, false, n);
}
BMI_BODY(blsr)
{
    u64 r = v & (v - 1);
    wr(c, i->vvvv, r, n);
    bmi_flags(c, r, v == 0, n);
}
BMI_BODY(blsmsk)
{
    u64 r = cut(v ^ (v - 1), n);
    wr(c, i->vvvv, r, n);
    bmi_flags(c, r, v == 0, n);
}
BMI_BODY(blsi)
{
    u64 r = v & -v;
    wr(c, i->vvvv, r, n);
    bmi_flags(c, r, v != 0, n);
}
BMI_BODY(bzhi)
{
    unsigned k = (u8)c->gpr[i->vvvv];
    bool all = k >= 8 * n;
    u64 r = all ? v : v & (((u64)1 << k) - 1);
    wr(c, i->reg, r, n);
    bmi_flags(c, r, all, n);
}
BMI_BODY(bextr)
{
    u64 ctl = c->gpr[i->vvvv];
    unsigned start = (u8)ctl, len = (u8)(ctl >> 8);
    u64 r = start < 8 * n ? v >> start : 0;
    if (len < 8 * n) r &= ((u64)1 << len) - 1;
    wr(c, i->reg, r, n);
    flags_set_arith(c, FL_AF | (r ? 0 : FL_ZF) | (__builtin_parity(r & 0xff) ? 0 : FL_PF));
}
BMI_BODY(pext)
{
    u64 src = rd(c, i->vvvv, n), r = 0;
    for (unsigned k = 0; v; k++, v &= v - 1)
        if (src & v & -v) r |= (u64)1 << k;
    wr(c, i->reg, r, n);
}
BMI_BODY(pdep)
{
    u64 src = rd(c, i->vvvv, n), r = 0;
    for (; v; src >>= 1, v &= v - 1)
        if (src & 1) r |= v & -v;
    wr(c, i->reg, r, n);
}
BMI_BODY(shlx) { wr(c, i->reg, v << (c->gpr[i->vvvv] & (8 * n - 1)), n); }
BMI_BODY(shrx) { wr(c, i->reg, v >> (c->gpr[i->vvvv] & (8 * n - 1)), n); }
BMI_BODY(sarx) { wr(c, i->reg, (u64)(sext(v, n) >> (c->gpr[i->vvvv] & (8 * n - 1))), n); }
BMI_BODY(rorx)
{
    unsigned w = 8 * n, k = i->imm & (w - 1);
    wr(c, i->reg, v >> k | v << ((w - k) & (w - 1)), n);
}
BMI(ANDN_GyByEy, andn)
BMI(BLSR_ByEy, blsr)
BMI(BLSMSK_ByEy, blsmsk)
BMI(BLSI_ByEy, blsi)
BMI(BZHI_GyEyBy, bzhi)
BMI(BEXTR_GyEyBy, bextr)
BMI(PEXT_GyByEy, pext)
BMI(PDEP_GyByEy, pdep)
BMI(SHLX_GyEyBy, shlx)
BMI(SHRX_GyEyBy, shrx)
BMI(SARX_GyEyBy, sarx)
BMI(RORX_GyEyIb, rorx)
