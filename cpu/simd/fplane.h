// SPDX-License-Identifier: MIT
// SSE floating point on vectors: exceptions, MXCSR and the order of both. SDM vol. 1 11.5, appendix E; vol. 2. A packed
// instruction whose lanes raise an unmasked IE, DE or ZE reports only those flags (11.5.2); an unmasked exception
// raises #XM (or #UD with CR4.OSXMMEXCPT = 0) with MXCSR's flags set and no register written. Arithmetic of one lane is
// the soft float; the short cut here is the one of cpu/fpu/fast.h, with the tests on all lanes at once.
#pragma once
#include "cpu/fpu/fast.h"
#include "cpu/fpu/softfloat.h"
#include "cpu/simd/lane.h"

typedef float vf __attribute__((vector_size(16)));
typedef double vg __attribute__((vector_size(16)));
typedef u32 fn32(struct fenv_x *e, u32 a, u32 b);
typedef u64 fn64(struct fenv_x *e, u64 a, u64 b);

// All exceptions masked, nearest-even, PE already set: then plain operands with a result clear of the limits need no
// soft float. DAZ and FTZ play no part for these.
INLINE bool mx_fast(u32 mxcsr) { return FP_FAST_HOST && (mxcsr & 0x7fa0) == 0x1fa0; }

// Ends an instruction's (or a step's) computation with exceptions `flags`: sets MXCSR and raises what is unmasked.
void simd_fp_end(struct cpu *c, u32 flags);
INLINE struct fenv_x simd_fp_env(const struct cpu *c)
{
    struct fenv_x e = fx_from_mxcsr(c->mxcsr);
    e.flags = 0;
    return e;
}
// The exact way, lane by lane: *r = fn(a, b) on all lanes; raises.
void simd_fp_ps(struct cpu *c, fn32 *fn, vq *r, const vq *a, const vq *b);
void simd_fp_pd(struct cpu *c, fn64 *fn, vq *r, const vq *a, const vq *b);
u32 simd_fp_ss(struct cpu *c, fn32 *fn, u32 a, u32 b);
u64 simd_fp_sd(struct cpu *c, fn64 *fn, u64 a, u64 b);

// Lanes that are zero or normal; normal and above the smallest binade; zero (sign ignored). All ones where true.
INLINE vd f32x4_plain(vd v)
{
    vsd x = (vsd)(v >> 23 & 0xff);
    return (vd)((x > 0) & (x < 0xff)) | (vd)(v << 1 == 0);
}
INLINE vd f32x4_clear(vd v)
{
    vsd x = (vsd)(v >> 23 & 0xff);
    return (vd)((x > 1) & (x < 0xff));
}
INLINE vd f32x4_zero(vd v) { return (vd)(v << 1 == 0); }
INLINE bool vec_all(vd m) { return (((vq)m)[0] & ((vq)m)[1]) == ~(u64)0; }

// a op b: packed and scalar. okz4, okz: where a zero result is exact.
#define FP_OP2(op, sym, okz4, okz)                                                                                     \
    INLINE bool f64_##op##_ok(u64 a, u64 b, u64 r) { return f64_plain(a) && f64_plain(b) && (f64_clear(r) || (okz)); } \
    INLINE vq simd_##op##ps(struct cpu *c, vq a_, vq b_)                                                               \
    {                                                                                                                  \
        vd a = (vd)a_, b = (vd)b_;                                                                                     \
        if (likely(mx_fast(c->mxcsr))) {                                                                               \
            vd r = (vd)((vf)a_ sym(vf) b_);                                                                            \
            if (likely(vec_all(f32x4_plain(a) & f32x4_plain(b) & (f32x4_clear(r) | okz4)))) return (vq)r;              \
        }                                                                                                              \
        vq r;                                                                                                          \
        simd_fp_ps(c, f32_##op, &r, &a_, &b_);                                                                         \
        return r;                                                                                                      \
    }                                                                                                                  \
    INLINE u64 simd_##op##sd(struct cpu *c, u64 a, u64 b)                                                              \
    {                                                                                                                  \
        if (likely(mx_fast(c->mxcsr))) {                                                                               \
            u64 r = f64_bits(f64_host(a) sym f64_host(b));                                                             \
            if (likely(f64_##op##_ok(a, b, r))) return r;                                                              \
        }                                                                                                              \
        return simd_fp_sd(c, f64_##op, a, b);                                                                          \
    }                                                                                                                  \
    INLINE u32 simd_##op##ss(struct cpu *c, u32 a, u32 b)                                                              \
    {                                                                                                                  \
        if (likely(mx_fast(c->mxcsr))) {                                                                               \
            u32 r = f32_bits(f32_host(a) sym f32_host(b));                                                             \
            if (likely(f32_plain(a) && f32_plain(b) && (f32_clear(r) || (okz)))) return r;                             \
        }                                                                                                              \
        return simd_fp_ss(c, f32_##op, a, b);                                                                          \
    }                                                                                                                  \
    INLINE vq simd_##op##pd(struct cpu *c, vq a, vq b)                                                                 \
    {                                                                                                                  \
        if (likely(mx_fast(c->mxcsr))) {                                                                               \
            vq r = (vq)((vg)a sym(vg) b);                                                                              \
            if (likely(f64_##op##_ok(a[0], b[0], r[0]) && f64_##op##_ok(a[1], b[1], r[1]))) return r;                  \
        }                                                                                                              \
        vq r;                                                                                                          \
        simd_fp_pd(c, f64_##op, &r, &a, &b);                                                                           \
        return r;                                                                                                      \
    }
#define FP_ZERO_IS_EXACT (!(r << 1)) // a sum is never rounded to zero
#define FP_ZERO_OPERAND  (!(a << 1) || !(b << 1))
FP_OP2(add, +, f32x4_zero(r), FP_ZERO_IS_EXACT)
FP_OP2(sub, -, f32x4_zero(r), FP_ZERO_IS_EXACT)
FP_OP2(mul, *, (f32x4_zero(a) | f32x4_zero(b)), FP_ZERO_OPERAND)
FP_OP2(div, /, (f32x4_zero(a) & ~f32x4_zero(b)), !(a << 1) && (b << 1))

// MINxx, MAXxx: the second operand unless the first is strictly less (greater).
#define FP_MINMAX(op, sym)                                                                                             \
    INLINE u32 simd_##op##ss(struct cpu *c, u32 a, u32 b)                                                              \
    {                                                                                                                  \
        if (likely(FP_FAST_HOST && f32_plain(a) && f32_plain(b))) return f32_host(a) sym f32_host(b) ? a : b;          \
        return simd_fp_ss(c, f32_##op, a, b);                                                                          \
    }                                                                                                                  \
    INLINE u64 simd_##op##sd(struct cpu *c, u64 a, u64 b)                                                              \
    {                                                                                                                  \
        if (likely(FP_FAST_HOST && f64_plain(a) && f64_plain(b))) return f64_host(a) sym f64_host(b) ? a : b;          \
        return simd_fp_sd(c, f64_##op, a, b);                                                                          \
    }                                                                                                                  \
    INLINE vq simd_##op##ps(struct cpu *c, vq a, vq b)                                                                 \
    {                                                                                                                  \
        if (likely(FP_FAST_HOST && vec_all(f32x4_plain((vd)a) & f32x4_plain((vd)b))))                                  \
            return vec_sel((vq)((vf)a sym(vf) b), a, b);                                                               \
        vq r;                                                                                                          \
        simd_fp_ps(c, f32_##op, &r, &a, &b);                                                                           \
        return r;                                                                                                      \
    }                                                                                                                  \
    INLINE vq simd_##op##pd(struct cpu *c, vq a, vq b)                                                                 \
    {                                                                                                                  \
        if (likely(FP_FAST_HOST && f64_plain(a[0]) && f64_plain(a[1]) && f64_plain(b[0]) && f64_plain(b[1])))          \
            return vec_sel((vq)((vg)a sym(vg) b), a, b);                                                               \
        vq r;                                                                                                          \
        simd_fp_pd(c, f64_##op, &r, &a, &b);                                                                           \
        return r;                                                                                                      \
    }
FP_MINMAX(min, <)
FP_MINMAX(max, >)

// COMISxx (quiet = false), UCOMISxx.
enum fp_rel simd_compare_ss_slow(struct cpu *c, u32 a, u32 b, bool quiet);
enum fp_rel simd_compare_sd_slow(struct cpu *c, u64 a, u64 b, bool quiet);
INLINE enum fp_rel simd_compare_ss(struct cpu *c, u32 a, u32 b, bool quiet)
{
    if (unlikely(!(FP_FAST_HOST && f32_plain(a) && f32_plain(b)))) return simd_compare_ss_slow(c, a, b, quiet);
    float x = f32_host(a), y = f32_host(b);
    return (enum fp_rel)((x > y) - (x < y));
}
INLINE enum fp_rel simd_compare_sd(struct cpu *c, u64 a, u64 b, bool quiet)
{
    if (unlikely(!(FP_FAST_HOST && f64_plain(a) && f64_plain(b)))) return simd_compare_sd_slow(c, a, b, quiet);
    double x = f64_host(a), y = f64_host(b);
    return (enum fp_rel)((x > y) - (x < y));
}

// SQRTxx: of the operand b.
u32 simd_sqrtss(struct cpu *c, u32 b);
u64 simd_sqrtsd(struct cpu *c, u64 b);
vq simd_sqrtps(struct cpu *c, vq b);
vq simd_sqrtpd(struct cpu *c, vq b);

// CMPxx: all ones where predicate `imm & 7` holds.
u32 simd_cmpss(struct cpu *c, u32 a, u32 b, u8 imm);
u64 simd_cmpsd(struct cpu *c, u64 a, u64 b, u8 imm);
vq simd_cmpps(struct cpu *c, vq a, vq b, u8 imm);
vq simd_cmppd(struct cpu *c, vq a, vq b, u8 imm);

// HADD, HSUB, ADDSUB, DPPS, DPPD.
vq simd_haddps(struct cpu *c, vq a, vq b);
vq simd_haddpd(struct cpu *c, vq a, vq b);
vq simd_hsubps(struct cpu *c, vq a, vq b);
vq simd_hsubpd(struct cpu *c, vq a, vq b);
vq simd_addsubps(struct cpu *c, vq a, vq b);
vq simd_addsubpd(struct cpu *c, vq a, vq b);
vq simd_dpps(struct cpu *c, vq a, vq b, u8 imm);
vq simd_dppd(struct cpu *c, vq a, vq b, u8 imm);

// ROUNDxx: imm bit 3 keeps PE, bit 2 takes MXCSR's rounding, else bits 1-0.
vq simd_roundps(struct cpu *c, vq b, u8 imm, unsigned lanes);
vq simd_roundpd(struct cpu *c, vq b, u8 imm, unsigned lanes);

// Approximations: 12 bits rounded to nearest, the relative error is at most 2^-13. No flags.
u32 simd_rcp(u32 b);
u32 simd_rsqrt(u32 b);

// Conversions; `lanes` low lanes of the source are converted, the rest of the result is zero. trunc: CVTT.
vq simd_ps_dq(struct cpu *c, vq b, unsigned lanes, bool trunc);
vq simd_pd_dq(struct cpu *c, vq b, bool trunc);
vq simd_dq_ps(struct cpu *c, vq b, unsigned lanes);
vq simd_dq_pd(vq b);
vq simd_ps_pd(struct cpu *c, vq b);
vq simd_pd_ps(struct cpu *c, vq b);
i64 simd_ss_si(struct cpu *c, u32 b, bool wide, bool trunc);
i64 simd_sd_si(struct cpu *c, u64 b, bool wide, bool trunc);
u32 simd_si_ss(struct cpu *c, i64 v);
u64 simd_si_sd(struct cpu *c, i64 v);
u64 simd_ss_sd(struct cpu *c, u32 b);
u32 simd_sd_ss(struct cpu *c, u64 b);
