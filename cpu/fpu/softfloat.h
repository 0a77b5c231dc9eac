// SPDX-License-Identifier: MIT
// IA-32 floating point in integers: the x87's 80-bit format and SSE's single and double, with every rounding mode,
// precision control, exception flag and masked or unmasked response. SDM vol. 1 chapters 4.8-4.9, 8 and 11.5; IEEE
// 754-2019. Pure: no globals, no host floating point; the same bits on every host. fast.h has the short cuts over the
// host's own unit. Left out: FMA and half precision (they come with AVX2 and F16C).
#pragma once
#include "mem/base/types.h"

// Exception flags, as in the x87 status word and MXCSR[5:0].
enum {
    FX_IE = 1,
    FX_DE = 2,
    FX_ZE = 4,
    FX_OE = 8,
    FX_UE = 16,
    FX_PE = 32,
    FX_ALL = 63,
    FX_PRE = FX_IE | FX_DE | FX_ZE
};
// Rounding control, as in FCW.RC and MXCSR.RC.
enum { FX_NEAREST, FX_DOWN, FX_UP, FX_TRUNC };

// What an operation reads and writes besides its operands. `flags` accumulates. An unmasked IE, DE or ZE means that the
// operation did not happen: the caller must drop the value returned (test with fx_pre_fault). An unmasked OE or UE on a
// 80-bit result delivers it with the exponent wrapped by 24576 (SDM 8.5.4, 8.5.5); on any other destination the value
// is to be dropped (fx_fault).
struct fenv_x {
    u8 rm;    // FX_NEAREST...
    u8 pc;    // bits of significand for 80-bit add, sub, mul, div, sqrt: 24, 53 or 64
    u8 flags; // FX_* raised so far
    u8 masks; // FX_* masked
    bool daz; // denormal operands are zeros (SSE only)
    bool ftz; // tiny results are zeros while UE is masked (SSE only)
    bool sse; // NaN rule of SSE (first operand) instead of the x87's (larger significand)
    bool c1;  // out: the last inexact result was rounded away from zero (x87 C1)
};

struct f80 {
    u64 m;  // significand with its explicit integer bit 63
    u16 se; // sign, 15 bits of exponent biased by 16383
};

// An unpacked operand of any format. x87 instructions take memory operands of other formats unpacked, so that a
// denormal or signalling NaN in memory is still seen as one.
enum fp_class { FP_ZERO_, FP_NORM_, FP_INF_, FP_QNAN_, FP_SNAN_, FP_BAD_ };
struct fpn {
    u64 sig; // value sig * 2^(exp - 63), bit 63 set; NaN: significand as in an 80-bit register
    i32 exp;
    u8 cls; // enum fp_class; FP_BAD_: unsupported encoding (pseudo-NaN, pseudo-infinity, unnormal)
    bool sign, den;
};

struct f80_pair {
    struct f80 a, b;
};

#define F80_DEFAULT_NAN ((struct f80){0xC000000000000000ull, 0xFFFF})
#define F80_ONE         ((struct f80){0x8000000000000000ull, 0x3FFF})

// Relation of two operands.
enum fp_rel { FP_LT = -1, FP_EQ = 0, FP_GT = 1, FP_UN = 2 };

static inline bool fx_pre_fault(const struct fenv_x *e) { return (e->flags & ~e->masks & FX_PRE) != 0; }
static inline bool fx_fault(const struct fenv_x *e) { return (e->flags & ~e->masks & FX_ALL) != 0; }
struct fenv_x fx_from_mxcsr(u32 mxcsr);          // with flags = MXCSR's
static inline struct fenv_x fx_from_fcw(u16 fcw) // with flags = 0
{
    // The reserved precision 01 behaves as 11 on the processors at hand; the manual leaves it open.
    unsigned pc = fcw >> 8 & 3;
    return (struct fenv_x){.rm = fcw >> 10 & 3, .pc = pc == 0 ? 24 : pc == 2 ? 53 : 64, .masks = fcw & FX_ALL};
}

// n / d and the remainder, for n < d * 2^64: one instruction where the host has it.
INLINE u64 fp_div128(u128 n, u64 d, u64 *rem)
{
#ifdef __x86_64__
    u64 q;
    __asm__("divq %4" : "=a"(q), "=d"(*rem) : "0"((u64)n), "1"((u64)(n >> 64)), "r"(d) : "cc");
    return q;
#else
    u64 q = (u64)(n / d);
    *rem = (u64)(n - (u128)q * d);
    return q;
#endif
}

struct fpn fpn_f80(struct f80 v);
struct fpn fpn_f32(u32 v);
struct fpn fpn_f64(u64 v);
struct fpn fpn_i64(i64 v);

// 80-bit, x87 rules.
struct f80 f80_add(struct fenv_x *e, struct fpn a, struct fpn b);
struct f80 f80_sub(struct fenv_x *e, struct fpn a, struct fpn b);
struct f80 f80_mul(struct fenv_x *e, struct fpn a, struct fpn b);
struct f80 f80_div(struct fenv_x *e, struct fpn a, struct fpn b);
struct f80 f80_sqrt(struct fenv_x *e, struct fpn a);
// FPREM, FPREM1 (nearest). *q: bits 0-2 the quotient's low bits, bit 3 set if the reduction is partial (C2).
struct f80 f80_rem(struct fenv_x *e, struct fpn a, struct fpn b, bool nearest, u8 *q);
struct f80 f80_rndint(struct fenv_x *e, struct fpn a);
struct f80 f80_scale(struct fenv_x *e, struct fpn a, struct fpn b); // a * 2^trunc(b)
struct f80_pair f80_extract(struct fenv_x *e, struct fpn a);        // a: exponent, b: significand
// FCOM (quiet = false: every NaN is invalid) and FUCOM (quiet: signalling NaNs only).
enum fp_rel f80_compare(struct fenv_x *e, struct fpn a, struct fpn b, bool quiet);
u8 f80_xam(struct f80 v); // FXAM without the empty case: bit 0 C0, bit 1 C1 (sign), bit 2 C2, bit 3 C3

// 80-bit conversions with x87 exceptions. FLD m32/m64 raise DE and IE, FLD m80 nothing. Unlike
// elsewhere an unmasked DE still loads the value: only an unmasked IE stops the load.
struct f80 f80_from_f32(struct fenv_x *e, u32 v);
struct f80 f80_from_f64(struct fenv_x *e, u64 v);
struct f80 f80_from_i64(i64 v);
struct f80 f80_from_bcd(const u8 v[10]);
u32 f80_to_f32(struct fenv_x *e, struct f80 v);
u64 f80_to_f64(struct fenv_x *e, struct f80 v);
i64 f80_to_int(struct fenv_x *e, struct f80 v, unsigned bits, u8 rm); // 16, 32, 64; invalid: the integer indefinite
void f80_to_bcd(struct fenv_x *e, struct f80 v, u8 out[10]);

// Transcendentals: results within 1 ulp; arguments of the trigonometric ones are reduced by Intel's 66-bit pi.
struct f80 f80_f2xm1(struct fenv_x *e, struct fpn a);
struct f80 f80_yl2x(struct fenv_x *e, struct fpn x, struct fpn y);   // y * log2(x)
struct f80 f80_yl2xp1(struct fenv_x *e, struct fpn x, struct fpn y); // y * log2(x + 1)
struct f80 f80_atan2(struct fenv_x *e, struct fpn y, struct fpn x);  // FPATAN: angle of (x, y)
// *partial: the operand is out of range (C2), nothing is to be written.
struct f80 f80_sin(struct fenv_x *e, struct fpn a, bool *partial);
struct f80 f80_cos(struct fenv_x *e, struct fpn a, bool *partial);
struct f80 f80_tan(struct fenv_x *e, struct fpn a, bool *partial);
struct f80_pair f80_sincos(struct fenv_x *e, struct fpn a, bool *partial); // a: sine, b: cosine

// Single and double, SSE rules. min and max return the second operand for zeros and NaNs as MINSS does.
#define FP_SSE_DECL(T, P)                                                                                              \
    T P##_add(struct fenv_x *e, T a, T b);                                                                             \
    T P##_sub(struct fenv_x *e, T a, T b);                                                                             \
    T P##_mul(struct fenv_x *e, T a, T b);                                                                             \
    T P##_div(struct fenv_x *e, T a, T b);                                                                             \
    T P##_sqrt(struct fenv_x *e, T a);                                                                                 \
    T P##_min(struct fenv_x *e, T a, T b);                                                                             \
    T P##_max(struct fenv_x *e, T a, T b);                                                                             \
    enum fp_rel P##_compare(struct fenv_x *e, T a, T b, bool quiet);                                                   \
    T P##_rndint(struct fenv_x *e, T a, u8 rm, bool no_pe);                                                            \
    i32 P##_to_i32(struct fenv_x *e, T a, u8 rm);                                                                      \
    i64 P##_to_i64(struct fenv_x *e, T a, u8 rm);                                                                      \
    T P##_from_i64(struct fenv_x *e, i64 a);
FP_SSE_DECL(u32, f32)
FP_SSE_DECL(u64, f64)
u64 f32_to_f64(struct fenv_x *e, u32 a);
u32 f64_to_f32(struct fenv_x *e, u64 a);
