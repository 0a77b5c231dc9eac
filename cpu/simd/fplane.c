// SPDX-License-Identifier: MIT
// SSE floating point on vectors, the part behind the short cuts: see fplane.h. SDM vol. 2 for each mnemonic; tables E-1
// to E-22 of vol. 1 for operands that are NaNs and for flags.
#include "cpu/simd/fplane.h"

NOINLINE void simd_fp_end(struct cpu *c, u32 flags)
{
    u32 open = flags & ~(c->mxcsr >> 7) & FX_ALL;
    if (open & FX_PRE) flags &= FX_PRE; // the operation did not get beyond its operands
    c->mxcsr |= flags;
    if (unlikely(open)) cpu_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
}

static void lanes_ps(struct fenv_x *e, fn32 *fn, vq *r, const vq *a, const vq *b, u32 which)
{
    vd x = (vd)*a, y = (vd)*b, z = {0};
    u8 all = 0;
    for (unsigned n = 0; n < 4; n++) {
        if (!(which >> n & 1)) continue;
        e->flags = 0;
        z[n] = fn(e, x[n], y[n]);
        all |= e->flags;
    }
    e->flags = all;
    *r = (vq)z;
}
NOINLINE void simd_fp_ps(struct cpu *c, fn32 *fn, vq *r, const vq *a, const vq *b)
{
    struct fenv_x e = simd_fp_env(c);
    lanes_ps(&e, fn, r, a, b, 15);
    simd_fp_end(c, e.flags);
}
static void lanes_pd(struct fenv_x *e, fn64 *fn, vq *r, const vq *a, const vq *b, u32 which)
{
    vq z = {0};
    u8 all = 0;
    for (unsigned n = 0; n < 2; n++) {
        if (!(which >> n & 1)) continue;
        e->flags = 0;
        z[n] = fn(e, (*a)[n], (*b)[n]);
        all |= e->flags;
    }
    e->flags = all;
    *r = z;
}
NOINLINE void simd_fp_pd(struct cpu *c, fn64 *fn, vq *r, const vq *a, const vq *b)
{
    struct fenv_x e = simd_fp_env(c);
    lanes_pd(&e, fn, r, a, b, 3);
    simd_fp_end(c, e.flags);
}
NOINLINE u32 simd_fp_ss(struct cpu *c, fn32 *fn, u32 a, u32 b)
{
    struct fenv_x e = simd_fp_env(c);
    u32 r = fn(&e, a, b);
    simd_fp_end(c, e.flags);
    return r;
}
NOINLINE u64 simd_fp_sd(struct cpu *c, fn64 *fn, u64 a, u64 b)
{
    struct fenv_x e = simd_fp_env(c);
    u64 r = fn(&e, a, b);
    simd_fp_end(c, e.flags);
    return r;
}

// ---- square roots
static u32 sqrt32(struct fenv_x *e, u32 a, u32 b) { return f32_sqrt(e, b); }
static u64 sqrt64(struct fenv_x *e, u64 a, u64 b) { return f64_sqrt(e, b); }
u32 simd_sqrtss(struct cpu *c, u32 b)
{
    if (likely(mx_fast(c->mxcsr) && f32_clear(b) && !(b >> 31))) return f32_bits(sqrtf(f32_host(b)));
    return simd_fp_ss(c, sqrt32, 0, b);
}
u64 simd_sqrtsd(struct cpu *c, u64 b)
{
    if (likely(mx_fast(c->mxcsr) && f64_clear(b) && !(b >> 63))) return f64_bits(sqrt(f64_host(b)));
    return simd_fp_sd(c, sqrt64, 0, b);
}
vq simd_sqrtps(struct cpu *c, vq b)
{
    if (likely(mx_fast(c->mxcsr) && vec_all(f32x4_clear((vd)b) & (vd)((vsd)b >= 0)))) {
        vf x = (vf)b;
        return (vq)(vf){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])};
    }
    vq r;
    simd_fp_ps(c, sqrt32, &r, &b, &b);
    return r;
}
vq simd_sqrtpd(struct cpu *c, vq b)
{
    if (likely(mx_fast(c->mxcsr) && f64_clear(b[0]) && f64_clear(b[1]) && !((b[0] | b[1]) >> 63))) {
        vg x = (vg)b;
        return (vq)(vg){sqrt(x[0]), sqrt(x[1])};
    }
    vq r;
    simd_fp_pd(c, sqrt64, &r, &b, &b);
    return r;
}

// ---- comparison
// Predicates 0-3 EQ LT LE UNORD, 4-7 their negations; LT, LE, NLT, NLE signal quiet NaNs.
static bool holds(enum fp_rel r, u8 pred)
{
    bool t = (pred & 3) == 0 ? r == FP_EQ : (pred & 3) == 1 ? r == FP_LT : (pred & 3) == 2 ? r <= FP_EQ : r == FP_UN;
    return t != (pred >> 2 & 1);
}
static bool pred_quiet(u8 pred) { return (pred & 3) == 0 || (pred & 3) == 3; }

NOINLINE enum fp_rel simd_compare_ss_slow(struct cpu *c, u32 a, u32 b, bool quiet)
{
    struct fenv_x e = simd_fp_env(c);
    enum fp_rel r = f32_compare(&e, a, b, quiet);
    if (e.flags) simd_fp_end(c, e.flags);
    return r;
}
NOINLINE enum fp_rel simd_compare_sd_slow(struct cpu *c, u64 a, u64 b, bool quiet)
{
    struct fenv_x e = simd_fp_env(c);
    enum fp_rel r = f64_compare(&e, a, b, quiet);
    if (e.flags) simd_fp_end(c, e.flags);
    return r;
}
u32 simd_cmpss(struct cpu *c, u32 a, u32 b, u8 imm)
{
    return -(u32)holds(simd_compare_ss(c, a, b, pred_quiet(imm)), imm & 7);
}
u64 simd_cmpsd(struct cpu *c, u64 a, u64 b, u8 imm)
{
    return -(u64)holds(simd_compare_sd(c, a, b, pred_quiet(imm)), imm & 7);
}
// Plain numbers are ordered and raise nothing.
#define FP_CMP_PLAIN(V)                                                                                                \
    vq r = {0};                                                                                                        \
    if ((imm & 3) == 0) r = (vq)((V)a == (V)b);                                                                        \
    if ((imm & 3) == 1) r = (vq)((V)a < (V)b);                                                                         \
    if ((imm & 3) == 2) r = (vq)((V)a <= (V)b);                                                                        \
    return imm & 4 ? ~r : r
static NOINLINE vq cmpps_slow(struct cpu *c, vq a_, vq b_, u8 imm)
{
    struct fenv_x e = simd_fp_env(c);
    vd a = (vd)a_, b = (vd)b_, r;
    for (unsigned n = 0; n < 4; n++) r[n] = -(u32)holds(f32_compare(&e, a[n], b[n], pred_quiet(imm)), imm & 7);
    simd_fp_end(c, e.flags);
    return (vq)r;
}
static NOINLINE vq cmppd_slow(struct cpu *c, vq a, vq b, u8 imm)
{
    struct fenv_x e = simd_fp_env(c);
    vq r;
    for (unsigned n = 0; n < 2; n++) r[n] = -(u64)holds(f64_compare(&e, a[n], b[n], pred_quiet(imm)), imm & 7);
    simd_fp_end(c, e.flags);
    return r;
}
vq simd_cmpps(struct cpu *c, vq a, vq b, u8 imm)
{
    if (unlikely(!FP_FAST_HOST || !vec_all(f32x4_plain((vd)a) & f32x4_plain((vd)b)))) return cmpps_slow(c, a, b, imm);
    FP_CMP_PLAIN(vf);
}
vq simd_cmppd(struct cpu *c, vq a, vq b, u8 imm)
{
    bool plain = f64_plain(a[0]) && f64_plain(a[1]) && f64_plain(b[0]) && f64_plain(b[1]);
    if (unlikely(!FP_FAST_HOST || !plain)) return cmppd_slow(c, a, b, imm);
    FP_CMP_PLAIN(vg);
}

// ---- horizontal
vq simd_haddps(struct cpu *c, vq a, vq b)
{
    return simd_addps(c, (vq)V_EVEN_D((vd)a, (vd)b), (vq)V_ODD_D((vd)a, (vd)b));
}
vq simd_hsubps(struct cpu *c, vq a, vq b)
{
    return simd_subps(c, (vq)V_EVEN_D((vd)a, (vd)b), (vq)V_ODD_D((vd)a, (vd)b));
}
vq simd_haddpd(struct cpu *c, vq a, vq b) { return simd_addpd(c, k_punpcklqdq(a, b), k_punpckhqdq(a, b)); }
vq simd_hsubpd(struct cpu *c, vq a, vq b) { return simd_subpd(c, k_punpcklqdq(a, b), k_punpckhqdq(a, b)); }

vq simd_addsubps(struct cpu *c, vq a, vq b)
{
    if (likely(mx_fast(c->mxcsr) && vec_all(f32x4_plain((vd)a) & f32x4_plain((vd)b)))) {
        vd r = (vd)((vf)a + (vf)((vd)b ^ (vd){0x80000000, 0, 0x80000000, 0}));
        if (likely(vec_all(f32x4_clear(r) | f32x4_zero(r)))) return (vq)r;
    }
    struct fenv_x e = simd_fp_env(c);
    vq add, sub;
    lanes_ps(&e, f32_add, &add, &a, &b, 10);
    u8 flags = e.flags;
    lanes_ps(&e, f32_sub, &sub, &a, &b, 5);
    simd_fp_end(c, flags | e.flags);
    return add | sub; // the other lanes are zero
}
vq simd_addsubpd(struct cpu *c, vq a, vq b)
{
    if (likely(mx_fast(c->mxcsr))) {
        vq m = b ^ vec_q(1ull << 63, 0), r = (vq)((vg)a + (vg)m);
        if (likely(f64_add_ok(a[0], m[0], r[0]) && f64_add_ok(a[1], m[1], r[1]))) return r;
    }
    struct fenv_x e = simd_fp_env(c);
    vq add, sub;
    lanes_pd(&e, f64_add, &add, &a, &b, 2);
    u8 flags = e.flags;
    lanes_pd(&e, f64_sub, &sub, &a, &b, 1);
    simd_fp_end(c, flags | e.flags);
    return add | sub;
}

// The products (imm bits 7-4; +0 where clear), then sums of pairs, then their sum; each step rounds and may raise.
vq simd_dpps(struct cpu *c, vq a, vq b, u8 imm)
{
    const vq ones = vec_q(~0ull, ~0ull), zero = vec_q(0, 0);
    vq m = k_blendps(zero, ones, imm >> 4);
    vd p = (vd)simd_mulps(c, a & m, b & m);
    vq s = simd_addps(c, (vq)(vd){p[0], p[2]}, (vq)(vd){p[1], p[3]});
    u32 sum = simd_addss(c, (u32)s[0], (u32)(s[0] >> 32));
    return (vq)(vd){sum, sum, sum, sum} & k_blendps(zero, ones, imm & 15);
}
vq simd_dppd(struct cpu *c, vq a, vq b, u8 imm)
{
    vq m = k_blendpd(vec_q(0, 0), vec_q(~0ull, ~0ull), imm >> 4), p = simd_mulpd(c, a & m, b & m);
    u64 sum = simd_addsd(c, p[0], p[1]);
    return vec_q(imm & 1 ? sum : 0, imm & 2 ? sum : 0);
}

// ---- rounding to integers
// True if rounding a plain number can change no flag: PE is suppressed, or already set and masked.
static bool round_silent(u32 mxcsr, u8 imm) { return FP_FAST_HOST && ((imm & 8) || (mxcsr & 0x1020) == 0x1020); }
static double host_round(double x, u8 rm)
{
    // The host rounds to nearest.
    return rm == FX_NEAREST ? nearbyint(x) : rm == FX_DOWN ? floor(x) : rm == FX_UP ? ceil(x) : trunc(x);
}
static NOINLINE vq roundps_slow(struct cpu *c, vq b_, u8 imm, u8 rm, unsigned lanes)
{
    struct fenv_x e = simd_fp_env(c);
    vd b = (vd)b_;
    u8 all = 0;
    for (unsigned n = 0; n < lanes; n++) {
        e.flags = 0;
        b[n] = f32_rndint(&e, b[n], rm, imm & 8);
        all |= e.flags;
    }
    simd_fp_end(c, all);
    return (vq)b;
}
vq simd_roundps(struct cpu *c, vq b_, u8 imm, unsigned lanes)
{
    vd b = (vd)b_;
    u8 rm = imm & 4 ? c->mxcsr >> 13 & 3 : imm & 3;
    bool fast = round_silent(c->mxcsr, imm);
    for (unsigned n = 0; n < lanes && fast; n++) {
        fast = f32_plain(b[n]);
        if (fast) b[n] = f32_bits((float)host_round(f32_host(b[n]), rm));
    }
    return likely(fast) ? (vq)b : roundps_slow(c, b_, imm, rm, lanes);
}
static NOINLINE vq roundpd_slow(struct cpu *c, vq b, u8 imm, u8 rm, unsigned lanes)
{
    struct fenv_x e = simd_fp_env(c);
    u8 all = 0;
    for (unsigned n = 0; n < lanes; n++) {
        e.flags = 0;
        b[n] = f64_rndint(&e, b[n], rm, imm & 8);
        all |= e.flags;
    }
    simd_fp_end(c, all);
    return b;
}
vq simd_roundpd(struct cpu *c, vq b, u8 imm, unsigned lanes)
{
    vq r = b;
    u8 rm = imm & 4 ? c->mxcsr >> 13 & 3 : imm & 3;
    bool fast = round_silent(c->mxcsr, imm);
    for (unsigned n = 0; n < lanes && fast; n++) {
        fast = f64_plain(b[n]);
        if (fast) r[n] = f64_bits(host_round(f64_host(b[n]), rm));
    }
    return likely(fast) ? r : roundpd_slow(c, b, imm, rm, lanes);
}

// ---- approximations
// sign, exponent (unbiased) and a 12-bit significand 1.xxx (value sig / 2^12, up to 2^13 after rounding).
static u32 approx_pack(u32 sign, i32 exp, u64 sig)
{
    if (sig == 1 << 13) {
        sig >>= 1;
        exp++;
    }
    if (exp > 127) return sign | 0x7f800000;
    if (exp < -126) return sign; // tiny results are zero
    return sign | (u32)(exp + 127) << 23 | (u32)(sig - (1 << 12)) << 11;
}
u32 simd_rcp(u32 b)
{
    u32 sign = b & 0x80000000, e = b >> 23 & 0xff;
    u64 m = (b & 0x7fffff) | 0x800000;
    if (e == 0xff) return b & 0x7fffff ? b | 0x400000 : sign;
    if (e == 0) return sign | 0x7f800000; // zeros, and denormals as zeros
    if (m == 0x800000) return approx_pack(sign, 127 - (i32)e, 1 << 12);
    // 1 / (m 2^-23) lies in (1/2, 1): twice that, in units of 2^-12
    return approx_pack(sign, 126 - (i32)e, ((1ull << 36) + m / 2) / m);
}
u32 simd_rsqrt(u32 b)
{
    u32 sign = b & 0x80000000, e = b >> 23 & 0xff;
    u64 m = (b & 0x7fffff) | 0x800000;
    if (e == 0xff && (b & 0x7fffff)) return b | 0x400000;
    if (e == 0) return sign | 0x7f800000;
    if (sign) return 0xffc00000;
    if (e == 0xff) return 0;
    // b = v 2^k, k even, v = m 2^-23 in [1, 4); 1/sqrt(v) in (1/2, 1]: the largest s (in 2^-14) with s^2 v <= 1
    i32 k = (i32)e - 127;
    if (k & 1) {
        m <<= 1;
        k--;
    }
    if (m == 0x800000) return approx_pack(0, -k / 2, 1 << 12);
    u64 s = (u64)sqrt((double)((1ull << 51) / m)); // a guess; the integers decide
    while (s * s * m > 1ull << 51) s--;
    while ((s + 1) * (s + 1) * m <= 1ull << 51) s++;
    return approx_pack(0, -k / 2 - 1, (s + 1) / 2);
}

// ---- conversions
// To integers: true if a value |v| < 2^30 converts without the soft float: PE is set and masked already; host_int then
// rounds as the instruction does.
INLINE bool int_fast(u32 mxcsr, bool trunc)
{
    return FP_FAST_HOST && (trunc ? (mxcsr & 0x1020) == 0x1020 : mx_fast(mxcsr));
}
INLINE bool f32_is_small(u32 v) { return f32_plain(v) && (v >> 23 & 0xff) < 127 + 30; }
INLINE bool f64_is_small(u64 v) { return f64_plain(v) && (v >> 52 & 0x7ff) < 1023 + 30; }
INLINE i32 host_int(double x, bool trunc) { return (i32)(trunc ? x : (double)lrint(x)); }

static NOINLINE vq ps_dq_slow(struct cpu *c, vq b_, unsigned lanes, bool trunc)
{
    struct fenv_x e = simd_fp_env(c);
    vd b = (vd)b_, r = {0};
    for (unsigned n = 0; n < lanes; n++) r[n] = (u32)f32_to_i32(&e, b[n], trunc ? FX_TRUNC : e.rm);
    simd_fp_end(c, e.flags);
    return (vq)r;
}
vq simd_ps_dq(struct cpu *c, vq b_, unsigned lanes, bool trunc)
{
    vd b = (vd)b_, r = {0};
    bool small = int_fast(c->mxcsr, trunc);
    for (unsigned n = 0; n < lanes && small; n++) {
        small = f32_is_small(b[n]);
        if (small) r[n] = (u32)host_int(f32_host(b[n]), trunc);
    }
    return likely(small) ? (vq)r : ps_dq_slow(c, b_, lanes, trunc);
}
static NOINLINE vq pd_dq_slow(struct cpu *c, vq b, bool trunc)
{
    struct fenv_x e = simd_fp_env(c);
    vd r = {0};
    for (unsigned n = 0; n < 2; n++) r[n] = (u32)f64_to_i32(&e, b[n], trunc ? FX_TRUNC : e.rm);
    simd_fp_end(c, e.flags);
    return (vq)r;
}
vq simd_pd_dq(struct cpu *c, vq b, bool trunc)
{
    if (unlikely(!int_fast(c->mxcsr, trunc) || !f64_is_small(b[0]) || !f64_is_small(b[1])))
        return pd_dq_slow(c, b, trunc);
    return (vq)(vsd){host_int(f64_host(b[0]), trunc), host_int(f64_host(b[1]), trunc)};
}
static NOINLINE i64 ss_si_slow(struct cpu *c, u32 b, bool wide, u8 rm)
{
    struct fenv_x e = simd_fp_env(c);
    i64 r = wide ? f32_to_i64(&e, b, rm) : f32_to_i32(&e, b, rm);
    simd_fp_end(c, e.flags);
    return r;
}
static NOINLINE i64 sd_si_slow(struct cpu *c, u64 b, bool wide, u8 rm)
{
    struct fenv_x e = simd_fp_env(c);
    i64 r = wide ? f64_to_i64(&e, b, rm) : f64_to_i32(&e, b, rm);
    simd_fp_end(c, e.flags);
    return r;
}
i64 simd_ss_si(struct cpu *c, u32 b, bool wide, bool trunc)
{
    if (likely(int_fast(c->mxcsr, trunc) && f32_is_small(b))) return host_int(f32_host(b), trunc);
    return ss_si_slow(c, b, wide, trunc ? FX_TRUNC : c->mxcsr >> 13 & 3);
}
i64 simd_sd_si(struct cpu *c, u64 b, bool wide, bool trunc)
{
    if (likely(int_fast(c->mxcsr, trunc) && f64_is_small(b))) return host_int(f64_host(b), trunc);
    return sd_si_slow(c, b, wide, trunc ? FX_TRUNC : c->mxcsr >> 13 & 3);
}
u32 simd_si_ss(struct cpu *c, i64 v)
{
    if (mx_fast(c->mxcsr) || (FP_FAST_HOST && v >= -(1 << 24) && v <= 1 << 24)) return f32_bits((float)v);
    struct fenv_x e = simd_fp_env(c);
    u32 r = f32_from_i64(&e, v);
    simd_fp_end(c, e.flags);
    return r;
}
u64 simd_si_sd(struct cpu *c, i64 v)
{
    if (mx_fast(c->mxcsr) || (FP_FAST_HOST && v >= -(1ll << 53) && v <= 1ll << 53)) return f64_bits((double)v);
    struct fenv_x e = simd_fp_env(c);
    u64 r = f64_from_i64(&e, v);
    simd_fp_end(c, e.flags);
    return r;
}
vq simd_dq_ps(struct cpu *c, vq b_, unsigned lanes)
{
    vsd b = (vsd)b_;
    vd r = {0};
    if (likely(mx_fast(c->mxcsr))) { // can raise nothing but PE
        vq all = (vq) __builtin_convertvector(b, vf);
        return lanes == 4 ? all : vec_q(all[0], 0);
    }
    struct fenv_x e = simd_fp_env(c);
    for (unsigned n = 0; n < lanes; n++) r[n] = f32_from_i64(&e, b[n]);
    simd_fp_end(c, e.flags);
    return (vq)r;
}
vq simd_dq_pd(vq b)
{
    vsd v = (vsd)b;
    return vec_q(f64_from_i32_fast(v[0]), f64_from_i32_fast(v[1]));
}
u64 simd_ss_sd(struct cpu *c, u32 b)
{
    if (likely(FP_FAST_HOST && f32_plain(b))) return f64_bits(f32_host(b)); // exact
    struct fenv_x e = simd_fp_env(c);
    u64 r = f32_to_f64(&e, b);
    simd_fp_end(c, e.flags);
    return r;
}
vq simd_ps_pd(struct cpu *c, vq b)
{
    u32 lo = (u32)b[0], hi = (u32)(b[0] >> 32);
    if (likely(FP_FAST_HOST && f32_plain(lo) && f32_plain(hi)))
        return vec_q(f64_bits(f32_host(lo)), f64_bits(f32_host(hi)));
    struct fenv_x e = simd_fp_env(c);
    vq r = vec_q(f32_to_f64(&e, lo), f32_to_f64(&e, hi));
    simd_fp_end(c, e.flags);
    return r;
}
// Zero, or well inside the range of single.
INLINE bool f64_narrows(u64 v)
{
    u64 x = v >> 52 & 0x7ff;
    return (x > 1023 - 125 && x < 1023 + 127) || !(v << 1);
}
u32 simd_sd_ss(struct cpu *c, u64 b)
{
    if (likely(mx_fast(c->mxcsr) && f64_narrows(b))) return f32_bits((float)f64_host(b));
    struct fenv_x e = simd_fp_env(c);
    u32 r = f64_to_f32(&e, b);
    simd_fp_end(c, e.flags);
    return r;
}
vq simd_pd_ps(struct cpu *c, vq b)
{
    if (likely(mx_fast(c->mxcsr) && f64_narrows(b[0]) && f64_narrows(b[1])))
        return vec_q(f32_bits((float)f64_host(b[0])) | (u64)f32_bits((float)f64_host(b[1])) << 32, 0);
    struct fenv_x e = simd_fp_env(c);
    u32 lo = f64_to_f32(&e, b[0]);
    u8 flags = e.flags;
    e.flags = 0;
    u32 hi = f64_to_f32(&e, b[1]);
    simd_fp_end(c, flags | e.flags);
    return vec_q(lo | (u64)hi << 32, 0);
}
