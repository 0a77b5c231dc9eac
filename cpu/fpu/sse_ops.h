// SPDX-License-Identifier: MIT
// SSE's scalar arithmetic, a template: f32.c and f64.c define T (the bits' type), P (name prefix), FORMAT and include
// it. SDM vol. 1 11.5, appendix E; vol. 2 ADDSS...ROUNDSD. Conversions to integers raise no DE (table E-21).
#include "cpu/fpu/fpn.h"

#define CAT_(a, b) a##_##b
#define CAT(a, b)  CAT_(a, b)
#define FN(name)   CAT(P, name)

static struct fpn operand(const struct fenv_x *e, T v)
{
    struct fpn x = CAT(fpn, P)(v);
    if (unlikely(x.den) && e->daz) {
        x.den = false;
        x.cls = FP_ZERO_;
    }
    return x;
}

static T arith(struct fenv_x *e, enum fp_op op, T a, T b)
{
    return (T)fpr_pack(e, fpn_arith(e, op, operand(e, a), operand(e, b)), &FORMAT);
}
T FN(add)(struct fenv_x *e, T a, T b) { return arith(e, FP_ADD, a, b); }
T FN(sub)(struct fenv_x *e, T a, T b) { return arith(e, FP_SUB, a, b); }
T FN(mul)(struct fenv_x *e, T a, T b) { return arith(e, FP_MUL, a, b); }
T FN(div)(struct fenv_x *e, T a, T b) { return arith(e, FP_DIV, a, b); }
T FN(sqrt)(struct fenv_x *e, T a) { return (T)fpr_pack(e, fpn_sqrt(e, operand(e, a)), &FORMAT); }

// With DAZ a denormal operand is returned as the zero that it counts for.
static T flushed(struct fpn x, T v) { return x.cls == FP_ZERO_ ? v & (T)((T)1 << (sizeof(T) * 8 - 1)) : v; }

T FN(min)(struct fenv_x *e, T a, T b)
{
    struct fpn x = operand(e, a), y = operand(e, b);
    return fpn_compare(e, x, y, false) == FP_LT ? flushed(x, a) : flushed(y, b);
}

T FN(max)(struct fenv_x *e, T a, T b)
{
    struct fpn x = operand(e, a), y = operand(e, b);
    return fpn_compare(e, x, y, false) == FP_GT ? flushed(x, a) : flushed(y, b);
}

enum fp_rel FN(compare)(struct fenv_x *e, T a, T b, bool quiet)
{
    return fpn_compare(e, operand(e, a), operand(e, b), quiet);
}

T FN(rndint)(struct fenv_x *e, T a, u8 rm, bool no_pe)
{
    struct fpn x = operand(e, a);
    struct fpr r;
    if (!fpn_nan_result(e, x, (struct fpn){0}, &r)) {
        u8 had = e->flags;
        r = fpn_round_int(e, x, rm);
        if (no_pe) e->flags = had;
    }
    return (T)fpr_pack(e, r, &FORMAT);
}

i32 FN(to_i32)(struct fenv_x *e, T a, u8 rm) { return (i32)fpn_to_int(e, operand(e, a), 32, rm); }
i64 FN(to_i64)(struct fenv_x *e, T a, u8 rm) { return fpn_to_int(e, operand(e, a), 64, rm); }
T FN(from_i64)(struct fenv_x *e, i64 a) { return (T)fpr_pack(e, fpr_exact(fpn_i64(a)), &FORMAT); }

// The other format's value `x`, converted to this one.
static T UNUSED convert(struct fenv_x *e, struct fpn x)
{
    struct fpr r;
    if (x.den && e->daz) {
        x.den = false;
        x.cls = FP_ZERO_;
    }
    if (!fpn_nan_result(e, x, (struct fpn){0}, &r)) r = fpn_denormal(e, x, x) ? fpr_default_nan() : fpr_exact(x);
    return (T)fpr_pack(e, r, &FORMAT);
}
