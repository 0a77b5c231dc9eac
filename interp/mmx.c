// SPDX-License-Identifier: MIT
// MMX, and what SSE to SSSE3 added to the MMX registers. SDM vol. 2, vol. 3 chapter 12 (the x87 state under MMX). The
// kernels are those of XMM on a register whose upper half is zero; where lanes move, the operands are arranged so that
// the low half of the result is MMX's.
#include "interp/simd.h"

// mm = f(mm, mm/m64); expr sees a and b as u64.
#define X_PQ_(name, load, expr)                                                                                        \
    XRM(name)                                                                                                          \
    {                                                                                                                  \
        mmx_begin(c);                                                                                                  \
        u64 b = load, a = mm_get(c, i->reg);                                                                           \
        UNUSED u8 imm = (u8)i->imm;                                                                                    \
        (void)a;                                                                                                       \
        x87_mmx_enter(c);                                                                                              \
        x87_mmx_write(c, i->reg, expr);                                                                                \
    }
#define X_PQ(name, expr) X_PQ_(name, q64(c, i, mem), expr)
// Lanes stay in place.
#define X_LANES(NAME, k) X_PQ(NAME##_PqQq, k_##k(vec_q(a, 0), vec_q(b, 0))[0])
// Lanes of both operands in a row: f(a:b, anything) gives both halves.
#define X_PAIR(NAME, k) X_PQ(NAME##_PqQq, k_##k(vec_q(a, b), vec_q(0, 0))[0])

XRM(MOVQ_PqQq)
{
    mmx_begin(c);
    u64 v = q64(c, i, mem);
    x87_mmx_enter(c);
    x87_mmx_write(c, i->reg, v);
}
XRM(MOVQ_QqPq)
{
    mmx_begin(c);
    u64 v = mm_get(c, i->reg);
    if (mem) {
        mem_store(c, i->seg, insn_ea(c, i), v, 8);
        x87_mmx_enter(c);
    } else {
        x87_mmx_enter(c);
        x87_mmx_write(c, i->rm, v);
    }
}
XALIAS(MOVNTQ_MqPq, MOVQ_QqPq)
XRM(MOVD_PqEd)
{
    mmx_begin(c);
    u64 v = e32(c, i, mem);
    x87_mmx_enter(c);
    x87_mmx_write(c, i->reg, v);
}
XRM(MOVQ_PqEq)
{
    mmx_begin(c);
    u64 v = e64(c, i, mem);
    x87_mmx_enter(c);
    x87_mmx_write(c, i->reg, v);
}
XRM(MOVD_EdPq)
{
    mmx_begin(c);
    u32 v = (u32)mm_get(c, i->reg);
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 4);
    else
        c->gpr[i->rm] = v;
    x87_mmx_enter(c);
}
XRM(MOVQ_EqPq)
{
    mmx_begin(c);
    u64 v = mm_get(c, i->reg);
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 8);
    else
        c->gpr[i->rm] = v;
    x87_mmx_enter(c);
}
X(EMMS)
{
    mmx_begin(c);
    x87_mmx_enter(c); // TOP = 0: SDM vol. 3 table 12-1
    x87_emms(c);
}
X(MASKMOVQ_PqNq)
{
    mmx_begin(c);
    union vec v = {.q = {mm_get(c, i->reg)}};
    simd_maskmov(c, i, v.b, k_pmovmskb64(mm_get(c, i->rm)));
    x87_mmx_enter(c);
}
X(PMOVMSKB_GdNq)
{
    mmx_begin(c);
    x87_mmx_enter(c);
    c->gpr[i->reg] = k_pmovmskb64(mm_get(c, i->rm));
}
X_PQ(PSHUFW_PqQqIb, k_pshufw(b, imm))
XRM(PINSRW_PqEwIb)
{
    mmx_begin(c);
    u64 v = mem ? mem_load(c, i->seg, insn_ea(c, i), 2) : (u16)c->gpr[i->rm];
    unsigned s = (i->imm & 3) * 16;
    x87_mmx_enter(c);
    x87_mmx_write(c, i->reg, (mm_get(c, i->reg) & ~((u64)0xffff << s)) | v << s);
}
X(PEXTRW_GdNqIb)
{
    mmx_begin(c);
    x87_mmx_enter(c);
    c->gpr[i->reg] = (u16)(mm_get(c, i->rm) >> (i->imm & 3) * 16);
}

X_LANES(PADDB, paddb)
X_LANES(PADDW, paddw)
X_LANES(PADDD, paddd)
X_LANES(PADDQ, paddq)
X_LANES(PSUBB, psubb)
X_LANES(PSUBW, psubw)
X_LANES(PSUBD, psubd)
X_LANES(PSUBQ, psubq)
X_LANES(PADDSB, paddsb)
X_LANES(PADDSW, paddsw)
X_LANES(PADDUSB, paddusb)
X_LANES(PADDUSW, paddusw)
X_LANES(PSUBSB, psubsb)
X_LANES(PSUBSW, psubsw)
X_LANES(PSUBUSB, psubusb)
X_LANES(PSUBUSW, psubusw)
X_LANES(PCMPEQB, pcmpeqb)
X_LANES(PCMPEQW, pcmpeqw)
X_LANES(PCMPEQD, pcmpeqd)
X_LANES(PCMPGTB, pcmpgtb)
X_LANES(PCMPGTW, pcmpgtw)
X_LANES(PCMPGTD, pcmpgtd)
X_LANES(PMULLW, pmullw)
X_LANES(PMULHW, pmulhw)
X_LANES(PMULHUW, pmulhuw)
X_LANES(PMULUDQ, pmuludq)
X_LANES(PMADDWD, pmaddwd)
X_LANES(PSADBW, psadbw)
X_LANES(PAVGB, pavgb)
X_LANES(PAVGW, pavgw)
X_LANES(PMINUB, pminub)
X_LANES(PMINSW, pminsw)
X_LANES(PMAXUB, pmaxub)
X_LANES(PMAXSW, pmaxsw)
X_PQ(PAND_PqQq, a &b)
X_PQ(PANDN_PqQq, ~a &b)
X_PQ(POR_PqQq, a | b)
X_PQ(PXOR_PqQq, a ^ b)
X_PAIR(PACKSSWB, packsswb)
X_PAIR(PACKUSWB, packuswb)
X_PAIR(PACKSSDW, packssdw)
// The low interleavings read 32 bits of memory, the high ones 64.
#define X_UNPACK(W, k)                                                                                                 \
    X_PQ_(PUNPCKL##W##_PqQd, mem ? (u64)mem_load(c, i->seg, insn_ea(c, i), 4) : mm_get(c, i->rm),                      \
          k_punpckl##k(vec_q(a, 0), vec_q(b, 0))[0])                                                                   \
    X_PQ(PUNPCKH##W##_PqQq, k_punpckl##k(vec_q(a, 0), vec_q(b, 0))[1])
X_UNPACK(BW, bw)
X_UNPACK(WD, wd)
X_UNPACK(DQ, dq)

#define X_SHIFT(NAME, k)                                                                                               \
    X_PQ(NAME##_PqQq, k_##k(vec_q(a, 0), b)[0])                                                                        \
    X(NAME##_NqIb)                                                                                                     \
    {                                                                                                                  \
        mmx_begin(c);                                                                                                  \
        x87_mmx_enter(c);                                                                                              \
        x87_mmx_write(c, i->rm, k_##k(vec_q(mm_get(c, i->rm), 0), (u8)i->imm)[0]);                                     \
    }
X_SHIFT(PSRLW, psrlw)
X_SHIFT(PSRLD, psrld)
X_SHIFT(PSRLQ, psrlq)
X_SHIFT(PSRAW, psraw)
X_SHIFT(PSRAD, psrad)
X_SHIFT(PSLLW, psllw)
X_SHIFT(PSLLD, pslld)
X_SHIFT(PSLLQ, psllq)

// SSSE3
X_PQ(PSHUFB_PqQq, k_pshufb(vec_q(a, 0), vec_q(b & 0x8787878787878787ull, 0))[0])
X_PAIR(PHADDW, phaddw)
X_PAIR(PHADDD, phaddd)
X_PAIR(PHADDSW, phaddsw)
X_PAIR(PHSUBW, phsubw)
X_PAIR(PHSUBD, phsubd)
X_PAIR(PHSUBSW, phsubsw)
X_LANES(PMADDUBSW, pmaddubsw)
X_LANES(PSIGNB, psignb)
X_LANES(PSIGNW, psignw)
X_LANES(PSIGND, psignd)
X_LANES(PMULHRSW, pmulhrsw)
X_PQ(PABSB_PqQq, k_pabsb(vec_q(b, 0))[0])
X_PQ(PABSW_PqQq, k_pabsw(vec_q(b, 0))[0])
X_PQ(PABSD_PqQq, k_pabsd(vec_q(b, 0))[0])
X_PQ(PALIGNR_PqQqIb, imm > 15 ? 0 : (u64)k_palignr(vec_q(0, 0), vec_q(b, a), imm)[0])
