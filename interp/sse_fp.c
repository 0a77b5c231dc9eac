// SPDX-License-Identifier: MIT
// SSE to SSE4.1: floating-point arithmetic, comparison, rounding and conversion. SDM vol. 2; vol. 1 11.5 and appendix
// E. All arithmetic is cpu/simd/fplane.h, which raises #XM.
#include "cpu/simd/fplane.h"
#include "interp/simd.h"

// V = f(V, W) on the lowest lane; expr sees a and b.
#define X_SS(name, expr)                                                                                               \
    XRMF(name)                                                                                                         \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        X_VW_(u32, w32(c, i, mem), c->vec[i->reg].d[0], expr);                                                         \
    }                                                                                                                  \
    static void f_##name(struct cpu *c, const struct insn *i)                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        XF_HOST(name, rd, 4, 0);                                                                                       \
        X_VW_(u32, ld32(p), c->vec[i->reg].d[0], expr);                                                                \
    }
#define X_SD(name, expr)                                                                                               \
    XRMF(name)                                                                                                         \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        X_VW_(u64, w64(c, i, mem), c->vec[i->reg].q[0], expr);                                                         \
    }                                                                                                                  \
    static void f_##name(struct cpu *c, const struct insn *i)                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        XF_HOST(name, rd, 8, 0);                                                                                       \
        X_VW_(u64, ld64(p), c->vec[i->reg].q[0], expr);                                                                \
    }
#define X_FP4(NAME, op)                                                                                                \
    X_VW(NAME##PS_VpsWps, simd_##op##ps(c, a, b))                                                                      \
    X_VW(NAME##PD_VpdWpd, simd_##op##pd(c, a, b))                                                                      \
    X_SS(NAME##SS_VssWss, simd_##op##ss(c, a, b))                                                                      \
    X_SD(NAME##SD_VsdWsd, simd_##op##sd(c, a, b))
X_FP4(ADD, add)
X_FP4(SUB, sub)
X_FP4(MUL, mul)
X_FP4(DIV, div)
X_FP4(MIN, min)
X_FP4(MAX, max)
X_VW(SQRTPS_VpsWps, simd_sqrtps(c, b))
X_VW(SQRTPD_VpdWpd, simd_sqrtpd(c, b))
X_SS(SQRTSS_VssWss, simd_sqrtss(c, b))
X_SD(SQRTSD_VsdWsd, simd_sqrtsd(c, b))

static vq each_ps(vq b, u32 (*fn)(u32))
{
    vd x = (vd)b;
    return (vq)(vd){fn(x[0]), fn(x[1]), fn(x[2]), fn(x[3])};
}
X_VW(RCPPS_VpsWps, each_ps(b, simd_rcp))
X_VW(RSQRTPS_VpsWps, each_ps(b, simd_rsqrt))
X_SS(RCPSS_VssWss, simd_rcp(b))
X_SS(RSQRTSS_VssWss, simd_rsqrt(b))

X_VW(CMPPS_VpsWpsIb, simd_cmpps(c, a, b, imm))
X_VW(CMPPD_VpdWpdIb, simd_cmppd(c, a, b, imm))
X_SS(CMPSS_VssWssIb, simd_cmpss(c, a, b, imm))
X_SD(CMPSD_VsdWsdIb, simd_cmpsd(c, a, b, imm))

static void set_compare(struct cpu *c, enum fp_rel r)
{
    static const u32 fl[] = {[FP_LT + 1] = FL_CF, [FP_EQ + 1] = FL_ZF, [FP_GT + 1] = 0, FL_ZF | FL_PF | FL_CF};
    flags_set_arith(c, fl[r + 1]);
}
#define X_COMIS(NAME, quiet)                                                                                           \
    XRM(NAME##S_VssWss)                                                                                                \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        u32 b = w32(c, i, mem);                                                                                        \
        set_compare(c, simd_compare_ss(c, c->vec[i->reg].d[0], b, quiet));                                             \
    }                                                                                                                  \
    XRM(NAME##D_VsdWsd)                                                                                                \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        u64 b = w64(c, i, mem);                                                                                        \
        set_compare(c, simd_compare_sd(c, c->vec[i->reg].q[0], b, quiet));                                             \
    }
X_COMIS(COMIS, false)
X_COMIS(UCOMIS, true)

X_VW(HADDPS_VpsWps, simd_haddps(c, a, b))
X_VW(HADDPD_VpdWpd, simd_haddpd(c, a, b))
X_VW(HSUBPS_VpsWps, simd_hsubps(c, a, b))
X_VW(HSUBPD_VpdWpd, simd_hsubpd(c, a, b))
X_VW(ADDSUBPS_VpsWps, simd_addsubps(c, a, b))
X_VW(ADDSUBPD_VpdWpd, simd_addsubpd(c, a, b))
X_VW(DPPS_VpsWpsIb, simd_dpps(c, a, b, imm))
X_VW(DPPD_VpdWpdIb, simd_dppd(c, a, b, imm))
X_VW(ROUNDPS_VpsWpsIb, simd_roundps(c, b, imm, 4))
X_VW(ROUNDPD_VpdWpdIb, simd_roundpd(c, b, imm, 2))
X_SS(ROUNDSS_VssWssIb, (u32)simd_roundps(c, vec_q(b, 0), imm, 1)[0])
X_SD(ROUNDSD_VsdWsdIb, simd_roundpd(c, vec_q(b, 0), imm, 1)[0])

// ---- Conversions between vectors
X_VW(CVTPD2PS_VpsWpd, simd_pd_ps(c, b))
X_VW(CVTDQ2PS_VpsWdq, simd_dq_ps(c, b, 4))
X_VW(CVTPS2DQ_VdqWps, simd_ps_dq(c, b, 4, false))
X_VW(CVTTPS2DQ_VdqWps, simd_ps_dq(c, b, 4, true))
X_VW(CVTPD2DQ_VdqWpd, simd_pd_dq(c, b, false))
X_VW(CVTTPD2DQ_VdqWpd, simd_pd_dq(c, b, true))
XRM(CVTPS2PD_VpdWq)
{
    check_sse(c);
    xmm_set(c, i->reg, simd_ps_pd(c, vec_q(w64(c, i, mem), 0)));
}
XRM(CVTDQ2PD_VpdWq)
{
    check_sse(c);
    xmm_set(c, i->reg, simd_dq_pd(vec_q(w64(c, i, mem), 0)));
}
XRM(CVTSS2SD_VsdWss)
{
    check_sse(c);
    c->vec[i->reg].q[0] = simd_ss_sd(c, w32(c, i, mem));
}
XRM(CVTSD2SS_VssWsd)
{
    check_sse(c);
    c->vec[i->reg].d[0] = simd_sd_ss(c, w64(c, i, mem));
}

// ---- Conversions with general registers; REX.W makes them 64-bit
INLINE i64 ey(struct cpu *c, const struct insn *i, bool mem)
{
    return i->pfx & PFX_W ? (i64)e64(c, i, mem) : (i32)e32(c, i, mem);
}
XRM(CVTSI2SS_VssEy)
{
    check_sse(c);
    c->vec[i->reg].d[0] = simd_si_ss(c, ey(c, i, mem));
}
XRM(CVTSI2SD_VsdEy)
{
    check_sse(c);
    c->vec[i->reg].q[0] = simd_si_sd(c, ey(c, i, mem));
}
#define X_TO_GY(name, conv, w, trunc)                                                                                  \
    XRM(name)                                                                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        gy_set(c, i, (u64)conv(c, w(c, i, mem), i->pfx &PFX_W, trunc));                                                \
    }
X_TO_GY(CVTSS2SI_GyWss, simd_ss_si, w32, false)
X_TO_GY(CVTTSS2SI_GyWss, simd_ss_si, w32, true)
X_TO_GY(CVTSD2SI_GyWsd, simd_sd_si, w64, false)
X_TO_GY(CVTTSD2SI_GyWsd, simd_sd_si, w64, true)

// ---- Conversions with MMX registers. The transition comes before the arithmetic: #XM leaves the x87 unit in MMX state
// (AMD's Zen does it so; the SDM is silent).
// A memory source is no access to the MMX registers: no transition, no #MF (SDM vol. 2 CVTPI2PD; CVTPI2PS alike).
INLINE u64 qpi(struct cpu *c, const struct insn *i, bool mem)
{
    check_sse(c);
    if (!mem) mmx_begin(c);
    return q64(c, i, mem);
}
XRM(CVTPI2PS_VpsQpi)
{
    u64 v = qpi(c, i, mem);
    if (!mem) x87_mmx_enter(c);
    u64 r = simd_dq_ps(c, vec_q(v, 0), 2)[0];
    c->vec[i->reg].q[0] = r;
}
XRM(CVTPI2PD_VpdQpi)
{
    u64 v = qpi(c, i, mem);
    if (!mem) x87_mmx_enter(c);
    xmm_set(c, i->reg, simd_dq_pd(vec_q(v, 0)));
}
#define X_TO_PI(name, load, conv)                                                                                      \
    XRM(name)                                                                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        mmx_begin(c);                                                                                                  \
        vq b = load;                                                                                                   \
        x87_mmx_enter(c);                                                                                              \
        u64 r = conv[0];                                                                                               \
        x87_mmx_write(c, i->reg, r);                                                                                   \
    }
X_TO_PI(CVTPS2PI_PpiWq, vec_q(w64(c, i, mem), 0), simd_ps_dq(c, b, 2, false))
X_TO_PI(CVTTPS2PI_PpiWq, vec_q(w64(c, i, mem), 0), simd_ps_dq(c, b, 2, true))
X_TO_PI(CVTPD2PI_PpiWpd, w128(c, i, mem), simd_pd_dq(c, b, false))
X_TO_PI(CVTTPD2PI_PpiWpd, w128(c, i, mem), simd_pd_dq(c, b, true))
