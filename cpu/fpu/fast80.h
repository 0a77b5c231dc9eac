// SPDX-License-Identifier: MIT
// Short cuts for 80-bit operations on normal numbers with the usual control word (nearest-even, 64 bits) and a normal
// result: integers only, so good on every host. Such an operation can raise nothing but PE. All else, and the judgement
// of these, is the soft float's.
#pragma once
#include "cpu/fpu/softfloat.h"

// Normal and not zero.
INLINE bool f80_normal(struct f80 v) { return (v.se & 0x7FFFu) - 1u < 0x7FFEu && v.m >> 63; }
INLINE bool f80_usual(const struct fenv_x *e) { return e->rm == FX_NEAREST && e->pc == 64; }

// hi:lo with bit 63 of hi set, biased exponent 1..7FFDh: nothing can overflow or be tiny.
INLINE struct f80 f80_round_usual(struct fenv_x *e, unsigned sign, unsigned exp, u64 hi, u64 lo)
{
    bool up = lo >> 63 && (lo << 1 || (hi & 1));
    e->flags |= lo ? FX_PE : 0;
    e->c1 = up;
    hi += up;
    if (unlikely(!hi)) {
        hi = 1ull << 63;
        exp++;
    }
    return (struct f80){hi, (u16)(sign | exp)};
}
INLINE bool f80_exp_usual(int exp) { return (unsigned)exp - 1u < 0x7FFDu; }

// ..._try: with the usual control word; false, and nothing said in *e, if the operands or the result are not ordinary.
INLINE bool f80_mul_try(struct fenv_x *e, struct f80 a, struct f80 b, struct f80 *r)
{
    if (unlikely(!f80_normal(a) || !f80_normal(b))) return false;
    int exp = (a.se & 0x7FFF) + (b.se & 0x7FFF) - 16383;
    u128 p = (u128)a.m * b.m;
    if (p >> 127)
        exp++;
    else
        p <<= 1;
    if (unlikely(!f80_exp_usual(exp))) return false;
    *r = f80_round_usual(e, (a.se ^ b.se) & 0x8000u, (unsigned)exp, (u64)(p >> 64), (u64)p);
    return true;
}
INLINE struct f80 f80_mul_fast(struct fenv_x *e, struct f80 a, struct f80 b)
{
    struct f80 r;
    if (likely(f80_usual(e) && f80_mul_try(e, a, b, &r))) return r;
    return f80_mul(e, fpn_f80(a), fpn_f80(b));
}

INLINE bool f80_div_try(struct fenv_x *e, struct f80 a, struct f80 b, struct f80 *v)
{
    if (unlikely(!f80_normal(a) || !f80_normal(b))) return false;
    bool ge = a.m >= b.m;
    int exp = (a.se & 0x7FFF) - (b.se & 0x7FFF) + 16383 - !ge;
    if (unlikely(!f80_exp_usual(exp))) return false;
    u128 n = (u128)a.m << (ge ? 63 : 64);
    u64 r, q = fp_div128(n, b.m, &r);
    // What is left against half the divisor tells all that rounding needs.
    u64 lo = !r ? 0 : r > b.m - r ? 3ull << 62 : r == b.m - r ? 1ull << 63 : 1;
    *v = f80_round_usual(e, (a.se ^ b.se) & 0x8000u, (unsigned)exp, q, lo);
    return true;
}
INLINE struct f80 f80_div_fast(struct fenv_x *e, struct f80 a, struct f80 b)
{
    struct f80 r;
    if (likely(f80_usual(e) && f80_div_try(e, a, b, &r))) return r;
    return f80_div(e, fpn_f80(a), fpn_f80(b));
}

INLINE bool f80_addsub_try(struct fenv_x *e, struct f80 x, struct f80 y, bool sub, struct f80 *r)
{
    if (unlikely(!f80_normal(x) || !f80_normal(y))) return false;
    y.se ^= (u16)(sub << 15);
    int d = (x.se & 0x7FFF) - (y.se & 0x7FFF);
    if (d < 0 || (d == 0 && x.m < y.m)) {
        struct f80 t = x;
        x = y;
        y = t;
        d = -d;
    }
    u128 p = (u128)x.m << 62, q = (u128)y.m << 62; // 62 guard bits, as in fpn.c
    if (d > 126)
        q = 1;
    else if (d)
        q = q >> d | ((q & (((u128)1 << d) - 1)) != 0);
    u128 s = (x.se ^ y.se) & 0x8000 ? p - q : p + q;
    u64 hi = (u64)(s >> 64), lo = (u64)s;
    unsigned n = hi ? (unsigned)__builtin_clzll(hi) : 64;
    int exp = (x.se & 0x7FFF) + 2 - (int)n;
    if (unlikely(!hi || !f80_exp_usual(exp))) return false;
    s <<= n;
    hi = (u64)(s >> 64), lo = (u64)s;
    *r = f80_round_usual(e, x.se & 0x8000u, (unsigned)exp, hi, lo);
    return true;
}
INLINE struct f80 f80_addsub_fast(struct fenv_x *e, struct f80 a, struct f80 b, bool sub)
{
    struct f80 r;
    if (likely(f80_usual(e) && f80_addsub_try(e, a, b, sub, &r))) return r;
    return (sub ? f80_sub : f80_add)(e, fpn_f80(a), fpn_f80(b));
}
// By ModRM.reg of D8 and DC: 0 add, 1 multiply, 4 subtract, 5 reversed, 6 divide, 7 reversed.
INLINE bool f80_arith_try(unsigned kind, struct fenv_x *e, struct f80 a, struct f80 b, struct f80 *r)
{
    switch (kind) {
    case 0: return f80_addsub_try(e, a, b, false, r);
    case 1: return f80_mul_try(e, a, b, r);
    case 4: return f80_addsub_try(e, a, b, true, r);
    case 5: return f80_addsub_try(e, b, a, true, r);
    case 6: return f80_div_try(e, a, b, r);
    default: return f80_div_try(e, b, a, r);
    }
}
INLINE struct f80 f80_from_i64_fast(i64 v)
{
    u64 u = v < 0 ? -(u64)v : (u64)v;
    unsigned n = u ? (unsigned)__builtin_clzll(u) : 0;
    return u ? (struct f80){u << n, (u16)((v < 0) << 15 | (16383 + 63 - n))} : (struct f80){0, 0};
}

INLINE enum fp_rel f80_compare_fast(struct fenv_x *e, struct f80 a, struct f80 b, bool quiet)
{
    if (likely(f80_normal(a) && f80_normal(b))) {
        bool neg = a.se >> 15;
        e->c1 = false;
        if (neg != b.se >> 15) return neg ? FP_LT : FP_GT;
        if (a.se == b.se && a.m == b.m) return FP_EQ;
        return (a.se > b.se || (a.se == b.se && a.m > b.m)) != neg ? FP_GT : FP_LT;
    }
    return f80_compare(e, fpn_f80(a), fpn_f80(b), quiet);
}

// Exact: no flags whatever the control word says. False: zero, denormal, infinity, NaN.
INLINE bool f80_from_f64_exact(u64 v, struct f80 *r)
{
    unsigned x = v >> 52 & 0x7FF;
    *r = (struct f80){1ull << 63 | v << 11, (u16)((v >> 63) << 15 | (x + (16383 - 1023)))};
    return x - 1u < 0x7FEu;
}
INLINE bool f80_from_f32_exact(u32 v, struct f80 *r)
{
    unsigned x = v >> 23 & 0xFF;
    *r = (struct f80){1ull << 63 | (u64)v << 40, (u16)((v >> 31) << 15 | (x + (16383 - 127)))};
    return x - 1u < 0xFEu;
}

INLINE struct f80 f80_from_f64_fast(struct fenv_x *e, u64 v)
{
    struct f80 r;
    if (unlikely(!f80_from_f64_exact(v, &r))) return f80_from_f64(e, v);
    e->c1 = false;
    return r;
}
INLINE struct f80 f80_from_f32_fast(struct fenv_x *e, u32 v)
{
    struct f80 r;
    if (unlikely(!f80_from_f32_exact(v, &r))) return f80_from_f32(e, v);
    e->c1 = false;
    return r;
}

// To 53 or 24 bits; the exponent stays clear of both ends of the format.
INLINE u64 f80_to_f64_fast(struct fenv_x *e, struct f80 v)
{
    unsigned x = (v.se & 0x7FFFu) - (16383 - 1023);
    if (unlikely(e->rm != FX_NEAREST || x - 1u >= 0x7FDu || !(v.m >> 63))) return f80_to_f64(e, v);
    u64 tail = v.m & 0x7FF, r = v.m << 1 >> 12;
    bool up = tail > 0x400 || (tail == 0x400 && (r & 1));
    e->flags |= tail ? FX_PE : 0;
    e->c1 = up;
    return (u64)(v.se >> 15) << 63 | (((u64)x << 52 | r) + up);
}
INLINE u32 f80_to_f32_fast(struct fenv_x *e, struct f80 v)
{
    unsigned x = (v.se & 0x7FFFu) - (16383 - 127);
    if (unlikely(e->rm != FX_NEAREST || x - 1u >= 0xFDu || !(v.m >> 63))) return f80_to_f32(e, v);
    u64 tail = v.m & 0xFFFFFFFFFF, half = 1ull << 39;
    u32 r = (u32)(v.m << 1 >> 41);
    bool up = tail > half || (tail == half && (r & 1));
    e->flags |= tail ? FX_PE : 0;
    e->c1 = up;
    return (u32)(v.se >> 15) << 31 | ((x << 23 | r) + up);
}
