// SPDX-License-Identifier: MIT
// Short cuts over the host's floating point, for SSE arithmetic with the usual MXCSR: all exceptions masked,
// nearest-even, PE already set (it is sticky, and in practice set by the first inexact operation of a process). Then an
// operation on normal numbers or zeros with a normal result, clear of overflow and underflow, can raise nothing but PE,
// and IEEE 754 leaves one possible result. All else goes to the soft float, which also serves hosts whose arithmetic is
// not IEEE's (x87 double rounding, FLT_EVAL_METHOD != 0). e->sse is taken to be set. Needs the host in its default
// rounding mode.
#pragma once
#include <float.h>
#include <math.h>
#include <string.h>
#include "cpu/fpu/softfloat.h"

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0 && !defined(__FAST_MATH__)
#define FP_FAST_HOST 1
#else
#define FP_FAST_HOST 0
#endif

// True while operations may take the short cut; loop-invariant for a packed instruction.
INLINE bool fx_fast(const struct fenv_x *e)
{
    return FP_FAST_HOST && e->masks == FX_ALL && e->rm == FX_NEAREST && (e->flags & FX_PE);
}

// Operand: zero or normal. Result: normal and above the smallest normal binade, where tininess cannot have been.
#define FP_FAST_DEF(P, T, H, FRAC, EXPMASK)                                                                            \
    INLINE bool P##_plain(T v)                                                                                         \
    {                                                                                                                  \
        T x = v >> FRAC & EXPMASK;                                                                                     \
        return (x - 1 < EXPMASK - 1) | !(T)(v << 1);                                                                   \
    }                                                                                                                  \
    INLINE bool P##_clear(T v)                                                                                         \
    {                                                                                                                  \
        T x = v >> FRAC & EXPMASK;                                                                                     \
        return x - 2 < EXPMASK - 2;                                                                                    \
    }                                                                                                                  \
    INLINE H P##_host(T v)                                                                                             \
    {                                                                                                                  \
        H h;                                                                                                           \
        memcpy(&h, &v, sizeof h);                                                                                      \
        return h;                                                                                                      \
    }                                                                                                                  \
    INLINE T P##_bits(H h)                                                                                             \
    {                                                                                                                  \
        T v;                                                                                                           \
        memcpy(&v, &h, sizeof v);                                                                                      \
        return v;                                                                                                      \
    }                                                                                                                  \
    INLINE T P##_add_fast(struct fenv_x *e, T a, T b)                                                                  \
    {                                                                                                                  \
        T r = P##_bits(P##_host(a) + P##_host(b));                                                                     \
        if (likely(fx_fast(e) && P##_plain(a) && P##_plain(b) && (P##_clear(r) || !(T)(r << 1)))) return r;            \
        return P##_add(e, a, b);                                                                                       \
    }                                                                                                                  \
    INLINE T P##_sub_fast(struct fenv_x *e, T a, T b)                                                                  \
    {                                                                                                                  \
        T r = P##_bits(P##_host(a) - P##_host(b));                                                                     \
        if (likely(fx_fast(e) && P##_plain(a) && P##_plain(b) && (P##_clear(r) || !(T)(r << 1)))) return r;            \
        return P##_sub(e, a, b);                                                                                       \
    }                                                                                                                  \
    INLINE T P##_mul_fast(struct fenv_x *e, T a, T b)                                                                  \
    {                                                                                                                  \
        T r = P##_bits(P##_host(a) * P##_host(b));                                                                     \
        if (likely(fx_fast(e) && P##_plain(a) && P##_plain(b) && P##_clear(r))) return r;                              \
        return P##_mul(e, a, b);                                                                                       \
    }                                                                                                                  \
    INLINE T P##_div_fast(struct fenv_x *e, T a, T b)                                                                  \
    {                                                                                                                  \
        T r = P##_bits(P##_host(a) / P##_host(b));                                                                     \
        if (likely(fx_fast(e) && P##_plain(a) && P##_plain(b) && P##_clear(r))) return r;                              \
        return P##_div(e, a, b);                                                                                       \
    }
FP_FAST_DEF(f32, u32, float, 23, 0xFFu)
FP_FAST_DEF(f64, u64, double, 52, 0x7FFull)

INLINE u32 f32_sqrt_fast(struct fenv_x *e, u32 a)
{
    if (likely(fx_fast(e) && f32_clear(a) && !(a >> 31))) return f32_bits(sqrtf(f32_host(a)));
    return f32_sqrt(e, a);
}
INLINE u64 f64_sqrt_fast(struct fenv_x *e, u64 a)
{
    if (likely(fx_fast(e) && f64_clear(a) && !(a >> 63))) return f64_bits(sqrt(f64_host(a)));
    return f64_sqrt(e, a);
}
INLINE u64 f32_to_f64_fast(struct fenv_x *e, u32 a)
{
    if (likely(FP_FAST_HOST && f32_plain(a))) return f64_bits(f32_host(a)); // exact: no flags in any mode
    return f32_to_f64(e, a);
}
INLINE u32 f64_to_f32_fast(struct fenv_x *e, u64 a)
{
    u64 x = a >> 52 & 0x7FF; // well inside the range of single
    if (likely(fx_fast(e) && x > 1023 - 125 && x < 1023 + 127)) return f32_bits((float)f64_host(a));
    return f64_to_f32(e, a);
}
// Truncating conversions of values that fit, any rounding mode.
INLINE i32 f64_to_i32_trunc_fast(struct fenv_x *e, u64 a)
{
    if (likely(FP_FAST_HOST && (e->flags & FX_PE) && f64_plain(a) && (a >> 52 & 0x7FF) < 1023 + 31))
        return (i32)f64_host(a);
    return f64_to_i32(e, a, FX_TRUNC);
}
INLINE i64 f64_to_i64_trunc_fast(struct fenv_x *e, u64 a)
{
    if (likely(FP_FAST_HOST && (e->flags & FX_PE) && f64_plain(a) && (a >> 52 & 0x7FF) < 1023 + 63))
        return (i64)f64_host(a);
    return f64_to_i64(e, a, FX_TRUNC);
}
INLINE i32 f32_to_i32_trunc_fast(struct fenv_x *e, u32 a)
{
    if (likely(FP_FAST_HOST && (e->flags & FX_PE) && f32_plain(a) && (a >> 23 & 0xFF) < 127 + 31))
        return (i32)f32_host(a);
    return f32_to_i32(e, a, FX_TRUNC);
}
// Exact for every 32-bit integer.
INLINE u64 f64_from_i32_fast(i32 a) { return f64_bits((double)a); }
// Ordered comparison of plain numbers raises nothing.
INLINE enum fp_rel f64_compare_fast(struct fenv_x *e, u64 a, u64 b, bool quiet)
{
    if (likely(FP_FAST_HOST && f64_plain(a) && f64_plain(b))) {
        double x = f64_host(a), y = f64_host(b);
        return x < y ? FP_LT : x > y ? FP_GT : FP_EQ;
    }
    return f64_compare(e, a, b, quiet);
}
INLINE enum fp_rel f32_compare_fast(struct fenv_x *e, u32 a, u32 b, bool quiet)
{
    if (likely(FP_FAST_HOST && f32_plain(a) && f32_plain(b))) {
        float x = f32_host(a), y = f32_host(b);
        return x < y ? FP_LT : x > y ? FP_GT : FP_EQ;
    }
    return f32_compare(e, a, b, quiet);
}
