// SPDX-License-Identifier: MIT
// Inside the soft float: unrounded results, rounding and packing, common to all formats. Not for use outside cpu/fpu.
#pragma once
#include "cpu/fpu/softfloat.h"

// An exact or jammed result before rounding: sig * 2^(exp - 127), bit 127 set. A lost tail sets bit 0.
struct fpr {
    u128 sig; // NaN: significand (quiet) in the high half
    i32 exp;
    u8 cls;
    bool sign;
};

struct fp_format {
    u8 bits, prec; // width of the encoding, of the significand with its integer bit
    i32 emin, emax;
};
extern const struct fp_format fp_f32, fp_f64;

enum fp_op { FP_ADD, FP_SUB, FP_MUL, FP_DIV };

static inline bool fx_raise(struct fenv_x *e, u8 x)
{
    e->flags |= x;
    return (x & ~e->masks) != 0;
}
static inline bool fpn_is_nan(struct fpn x) { return x.cls >= FP_QNAN_ && x.cls <= FP_SNAN_; }
static inline unsigned clz128(u128 v)
{
    u64 h = (u64)(v >> 64);
    return h ? (unsigned)__builtin_clzll(h) : 64 + (unsigned)__builtin_clzll((u64)v);
}
static inline u128 shr_jam(u128 v, unsigned n)
{
    if (n == 0) return v;
    if (n > 127) return v != 0;
    return v >> n | ((v << (128 - n)) != 0);
}
static inline struct fpr fpr_special(u8 cls, bool sign) { return (struct fpr){.cls = cls, .sign = sign}; }
static inline struct fpr fpr_default_nan(void)
{
    return (struct fpr){.sig = (u128)0xC000000000000000ull << 64, .cls = FP_QNAN_, .sign = true};
}
static inline struct fpr fpr_exact(struct fpn x)
{
    return (struct fpr){.sig = (u128)x.sig << 64, .exp = x.exp, .cls = x.cls, .sign = x.sign};
}
static inline struct fpr fpr_norm(bool sign, i32 exp, u128 sig)
{
    unsigned n = clz128(sig);
    return (struct fpr){.sig = sig << n, .exp = exp - (i32)n, .cls = FP_NORM_, .sign = sign};
}

// True if an operand decides the result (unsupported encoding, NaN): IE raised as due, *r set. Unary: y a number.
bool fpn_nan_result(struct fenv_x *e, struct fpn x, struct fpn y, struct fpr *r);
// True if the operation ends here because of an unmasked DE.
bool fpn_denormal(struct fenv_x *e, struct fpn x, struct fpn y);
struct fpr fpr_invalid(struct fenv_x *e);
struct fpr fpn_arith(struct fenv_x *e, enum fp_op op, struct fpn x, struct fpn y);
struct fpr fpn_sqrt(struct fenv_x *e, struct fpn x);
enum fp_rel fpn_compare(struct fenv_x *e, struct fpn x, struct fpn y, bool quiet);
// Round to an integer; PE and C1 as due. The result is exact in 64 bits.
struct fpr fpn_round_int(struct fenv_x *e, struct fpn x, u8 rm);
// Signed integer of `bits`; invalid: 1 << (bits - 1).
i64 fpn_to_int(struct fenv_x *e, struct fpn x, unsigned bits, u8 rm);
struct f80 fpr_pack_f80(struct fenv_x *e, struct fpr r, u8 prec);
u64 fpr_pack(struct fenv_x *e, struct fpr r, const struct fp_format *f);
