// SPDX-License-Identifier: MIT
// SSE2 to SSE4.2: integer arithmetic, logic, comparison, shifts, shuffles on XMM registers; the bitwise floating-point
// ones too, which look at no value. SDM vol. 2. The kernels are cpu/simd/lane.h.
#include "interp/simd.h"

#define X_SAME(NAME, k) X_VW(NAME##_VdqWdq, k_##k(a, b))
X_SAME(PUNPCKLBW, punpcklbw)
X_SAME(PUNPCKLWD, punpcklwd)
X_SAME(PUNPCKLDQ, punpckldq)
X_SAME(PACKSSWB, packsswb)
X_SAME(PCMPGTB, pcmpgtb)
X_SAME(PCMPGTW, pcmpgtw)
X_SAME(PCMPGTD, pcmpgtd)
X_SAME(PACKUSWB, packuswb)
X_SAME(PUNPCKHBW, punpckhbw)
X_SAME(PUNPCKHWD, punpckhwd)
X_SAME(PUNPCKHDQ, punpckhdq)
X_SAME(PACKSSDW, packssdw)
X_SAME(PUNPCKLQDQ, punpcklqdq)
X_SAME(PUNPCKHQDQ, punpckhqdq)
X_SAME(PCMPEQB, pcmpeqb)
X_SAME(PCMPEQW, pcmpeqw)
X_SAME(PCMPEQD, pcmpeqd)
X_SAME(PADDQ, paddq)
X_SAME(PMULLW, pmullw)
X_SAME(PSUBUSB, psubusb)
X_SAME(PSUBUSW, psubusw)
X_SAME(PMINUB, pminub)
X_SAME(PAND, and)
X_SAME(PADDUSB, paddusb)
X_SAME(PADDUSW, paddusw)
X_SAME(PMAXUB, pmaxub)
X_SAME(PANDN, andn)
X_SAME(PAVGB, pavgb)
X_SAME(PAVGW, pavgw)
X_SAME(PMULHUW, pmulhuw)
X_SAME(PMULHW, pmulhw)
X_SAME(PSUBSB, psubsb)
X_SAME(PSUBSW, psubsw)
X_SAME(PMINSW, pminsw)
X_SAME(POR, or)
X_SAME(PADDSB, paddsb)
X_SAME(PADDSW, paddsw)
X_SAME(PMAXSW, pmaxsw)
X_SAME(PXOR, xor)
X_SAME(PMULUDQ, pmuludq)
X_SAME(PMADDWD, pmaddwd)
X_SAME(PSADBW, psadbw)
X_SAME(PSUBB, psubb)
X_SAME(PSUBW, psubw)
X_SAME(PSUBD, psubd)
X_SAME(PSUBQ, psubq)
X_SAME(PADDB, paddb)
X_SAME(PADDW, paddw)
X_SAME(PADDD, paddd)
// SSSE3
X_SAME(PSHUFB, pshufb)
X_SAME(PHADDW, phaddw)
X_SAME(PHADDD, phaddd)
X_SAME(PHADDSW, phaddsw)
X_SAME(PMADDUBSW, pmaddubsw)
X_SAME(PHSUBW, phsubw)
X_SAME(PHSUBD, phsubd)
X_SAME(PHSUBSW, phsubsw)
X_SAME(PSIGNB, psignb)
X_SAME(PSIGNW, psignw)
X_SAME(PSIGND, psignd)
X_SAME(PMULHRSW, pmulhrsw)
X_VW(PABSB_VdqWdq, k_pabsb(b))
X_VW(PABSW_VdqWdq, k_pabsw(b))
X_VW(PABSD_VdqWdq, k_pabsd(b))
X_VW(PALIGNR_VdqWdqIb, k_palignr(a, b, imm))
// SSE4.1, SSE4.2
X_SAME(PMULDQ, pmuldq)
X_SAME(PCMPEQQ, pcmpeqq)
X_SAME(PACKUSDW, packusdw)
X_SAME(PMINSB, pminsb)
X_SAME(PMINSD, pminsd)
X_SAME(PMINUW, pminuw)
X_SAME(PMINUD, pminud)
X_SAME(PMAXSB, pmaxsb)
X_SAME(PMAXSD, pmaxsd)
X_SAME(PMAXUW, pmaxuw)
X_SAME(PMAXUD, pmaxud)
X_SAME(PMULLD, pmulld)
X_SAME(PCMPGTQ, pcmpgtq)
X_VW(PHMINPOSUW_VdqWdq, k_phminposuw(b))
X_VW(MPSADBW_VdqWdqIb, k_mpsadbw(a, b, imm))
X_VW(PBLENDVB_VdqWdqXMM0, k_pblendvb(a, b, xmm_get(c, 0)))
X_VW(BLENDVPS_VpsWpsXMM0, k_blendvps(a, b, xmm_get(c, 0)))
X_VW(BLENDVPD_VpdWpdXMM0, k_blendvpd(a, b, xmm_get(c, 0)))
X_VW(PBLENDW_VdqWdqIb, k_pblendw(a, b, imm))
X_VW(BLENDPS_VpsWpsIb, k_blendps(a, b, imm))
X_VW(BLENDPD_VpdWpdIb, k_blendpd(a, b, imm))

// ---- Logic and shuffles of SSE and SSE2
X_VW(ANDPS_VpsWps, k_and(a, b))
X_VW(ANDPD_VpdWpd, k_and(a, b))
X_VW(ANDNPS_VpsWps, k_andn(a, b))
X_VW(ANDNPD_VpdWpd, k_andn(a, b))
X_VW(ORPS_VpsWps, k_or(a, b))
X_VW(ORPD_VpdWpd, k_or(a, b))
X_VW(XORPS_VpsWps, k_xor(a, b))
X_VW(XORPD_VpdWpd, k_xor(a, b))
X_VW(UNPCKLPS_VpsWps, k_punpckldq(a, b))
X_VW(UNPCKHPS_VpsWps, k_punpckhdq(a, b))
X_VW(UNPCKLPD_VpdWpd, k_punpcklqdq(a, b))
X_VW(UNPCKHPD_VpdWpd, k_punpckhqdq(a, b))
X_VW(SHUFPS_VpsWpsIb, k_shufps(a, b, imm))
X_VW(SHUFPD_VpdWpdIb, k_shufpd(a, b, imm))
X_VW(PSHUFD_VdqWdqIb, k_pshufd(b, imm))
X_VW(PSHUFLW_VdqWdqIb, vec_q(k_pshufw(b[0], imm), b[1]))
X_VW(PSHUFHW_VdqWdqIb, vec_q(b[0], k_pshufw(b[1], imm)))

// ---- Shifts: the count is the low 64 bits of W, or an immediate
#define X_SHIFT(NAME, k)                                                                                               \
    X_VW(NAME##_VdqWdq, k_##k(a, b[0]))                                                                                \
    X_SHIFT_IB(NAME, k)
#define X_SHIFT_IB(NAME, k)                                                                                            \
    X(NAME##_UdqIb)                                                                                                    \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        xmm_set(c, i->rm, k_##k(xmm_get(c, i->rm), (u8)i->imm));                                                       \
    }
X_SHIFT(PSRLW, psrlw)
X_SHIFT(PSRLD, psrld)
X_SHIFT(PSRLQ, psrlq)
X_SHIFT(PSRAW, psraw)
X_SHIFT(PSRAD, psrad)
X_SHIFT(PSLLW, psllw)
X_SHIFT(PSLLD, pslld)
X_SHIFT(PSLLQ, psllq)
X_SHIFT_IB(PSLLDQ, pslldq)
X_SHIFT_IB(PSRLDQ, psrldq)

// ---- Widening; the memory operand has only the bytes that are used
#define X_WIDEN(name, k, bytes)                                                                                        \
    XRM(name)                                                                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        xmm_set(c, i->reg, k_##k(vec_q(mem ? mem_load(c, i->seg, insn_ea(c, i), bytes) : c->vec[i->rm].q[0], 0)));     \
    }
X_WIDEN(PMOVSXBW_VdqWq, pmovsxbw, 8)
X_WIDEN(PMOVSXBD_VdqWd, pmovsxbd, 4)
X_WIDEN(PMOVSXBQ_VdqWw, pmovsxbq, 2)
X_WIDEN(PMOVSXWD_VdqWq, pmovsxwd, 8)
X_WIDEN(PMOVSXWQ_VdqWd, pmovsxwq, 4)
X_WIDEN(PMOVSXDQ_VdqWq, pmovsxdq, 8)
X_WIDEN(PMOVZXBW_VdqWq, pmovzxbw, 8)
X_WIDEN(PMOVZXBD_VdqWd, pmovzxbd, 4)
X_WIDEN(PMOVZXBQ_VdqWw, pmovzxbq, 2)
X_WIDEN(PMOVZXWD_VdqWq, pmovzxwd, 8)
X_WIDEN(PMOVZXWQ_VdqWd, pmovzxwq, 4)
X_WIDEN(PMOVZXDQ_VdqWq, pmovzxdq, 8)

XRM(PTEST_VdqWdq)
{
    check_sse(c);
    vq b = w128(c, i, mem), a = xmm_get(c, i->reg);
    vq x = a & b, y = ~a & b;
    flags_set_arith(c, (x[0] | x[1] ? 0 : FL_ZF) | (y[0] | y[1] ? 0 : FL_CF));
}
