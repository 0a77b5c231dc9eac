// SPDX-License-Identifier: MIT
// The x87's arithmetic on 80-bit values. SDM vol. 1 8.3, vol. 2 the instructions F*. No stack, tags or status word
// here.
#include "cpu/fpu/fpn.h"

static struct f80 arith(struct fenv_x *e, enum fp_op op, struct fpn a, struct fpn b)
{
    return fpr_pack_f80(e, fpn_arith(e, op, a, b), e->pc);
}
struct f80 f80_add(struct fenv_x *e, struct fpn a, struct fpn b) { return arith(e, FP_ADD, a, b); }
struct f80 f80_sub(struct fenv_x *e, struct fpn a, struct fpn b) { return arith(e, FP_SUB, a, b); }
struct f80 f80_mul(struct fenv_x *e, struct fpn a, struct fpn b) { return arith(e, FP_MUL, a, b); }
struct f80 f80_div(struct fenv_x *e, struct fpn a, struct fpn b) { return arith(e, FP_DIV, a, b); }
struct f80 f80_sqrt(struct fenv_x *e, struct fpn a) { return fpr_pack_f80(e, fpn_sqrt(e, a), e->pc); }

// |a| >= |b| / 2 and the exponents less than 64 apart: quotient and remainder in one long division.
static struct fpr rem_final(struct fpn a, struct fpn b, bool nearest, u8 *q)
{
    i32 d = a.exp - b.exp;
    if (d < 0) { // |a| < |b|; d == -1 and nearest: |b| - |a| may be nearer
        if (!nearest || d < -1 || a.sig <= b.sig) return fpr_exact(a);
        *q = 1;
        return fpr_norm(!a.sign, a.exp + 1, (((u128)b.sig << 1) - a.sig) << 63);
    }
    u128 n = (u128)a.sig << d;
    u64 r, quot = fp_div128(n, b.sig, &r);
    bool sign = a.sign;
    if (nearest && (r > b.sig - r || (r == b.sig - r && (quot & 1)))) {
        r = b.sig - r;
        sign = !sign;
        quot++;
    }
    *q = quot & 7;
    return r ? fpr_norm(sign, b.exp, (u128)r << 64) : fpr_special(FP_ZERO_, a.sign);
}

struct f80 f80_rem(struct fenv_x *e, struct fpn a, struct fpn b, bool nearest, u8 *q)
{
    struct fpr r;
    *q = 0;
    if (fpn_nan_result(e, a, b, &r)) return fpr_pack_f80(e, r, 64);
    if (a.cls == FP_INF_ || b.cls == FP_ZERO_) return fpr_pack_f80(e, fpr_invalid(e), 64);
    if (fpn_denormal(e, a, b)) return F80_DEFAULT_NAN;
    if (a.cls == FP_ZERO_ || b.cls == FP_INF_) return fpr_pack_f80(e, fpr_exact(a), 64);
    i32 d = a.exp - b.exp;
    if (d < 64) return fpr_pack_f80(e, rem_final(a, b, nearest, q), 64);
    // Partial: the exponents come closer by 32..63, a multiple of 32 remaining.
    int n = (d & 31) | 32;
    u64 rest;
    fp_div128((u128)a.sig << n, b.sig, &rest);
    *q = 8;
    r = rest ? fpr_norm(a.sign, a.exp - n, (u128)rest << 64) : fpr_special(FP_ZERO_, a.sign);
    return fpr_pack_f80(e, r, 64);
}

struct f80 f80_rndint(struct fenv_x *e, struct fpn a)
{
    struct fpr r;
    if (fpn_nan_result(e, a, (struct fpn){0}, &r)) return fpr_pack_f80(e, r, 64);
    if (fpn_denormal(e, a, a)) return F80_DEFAULT_NAN;
    r = fpn_round_int(e, a, e->rm);
    bool c1 = e->c1;
    struct f80 v = fpr_pack_f80(e, r, 64);
    e->c1 = c1;
    return v;
}

struct f80 f80_scale(struct fenv_x *e, struct fpn a, struct fpn b)
{
    struct fpr r;
    if (fpn_nan_result(e, a, b, &r)) return fpr_pack_f80(e, r, 64);
    if (b.cls == FP_INF_ && a.cls == (b.sign ? FP_INF_ : FP_ZERO_)) return fpr_pack_f80(e, fpr_invalid(e), 64);
    if (fpn_denormal(e, a, b)) return F80_DEFAULT_NAN;
    r = fpr_exact(a);
    if (b.cls == FP_INF_) {
        r = fpr_special(b.sign ? FP_ZERO_ : FP_INF_, a.sign);
    } else if (a.cls == FP_NORM_ && b.cls == FP_NORM_ && b.exp >= 0) {
        i32 n = b.exp > 16 ? 1 << 17 : (i32)(b.sig >> (63 - b.exp));
        r.exp += b.sign ? -n : n;
    }
    return fpr_pack_f80(e, r, 64);
}

struct f80_pair f80_extract(struct fenv_x *e, struct fpn a)
{
    struct fpr r;
    struct f80_pair p;
    if (fpn_nan_result(e, a, (struct fpn){0}, &r)) {
        p.a = p.b = fpr_pack_f80(e, r, 64);
        return p;
    }
    if (a.cls == FP_NORM_) {
        if (fpn_denormal(e, a, a)) return (struct f80_pair){F80_DEFAULT_NAN, F80_DEFAULT_NAN};
        p.a = f80_from_i64(a.exp);
        a.exp = 0;
    } else {
        if (a.cls == FP_ZERO_) fx_raise(e, FX_ZE);
        p.a = fpr_pack_f80(e, fpr_special(FP_INF_, a.cls == FP_ZERO_), 64);
    }
    p.b = fpr_pack_f80(e, fpr_exact(a), 64);
    return p;
}

enum fp_rel f80_compare(struct fenv_x *e, struct fpn a, struct fpn b, bool quiet)
{
    e->c1 = false;
    return fpn_compare(e, a, b, quiet);
}

u8 f80_xam(struct f80 v)
{
    // C3 C2 C0: 000 unsupported, 001 NaN, 010 normal, 011 infinity, 100 zero, 110 denormal (SDM vol. 2, FXAM).
    static const u8 code[] = {
        [FP_ZERO_] = 8, [FP_NORM_] = 4, [FP_INF_] = 5, [FP_QNAN_] = 1, [FP_SNAN_] = 1, [FP_BAD_] = 0};
    struct fpn x = fpn_f80(v);
    return (u8)((x.den ? 12 : code[x.cls]) | (v.se >> 15) << 1);
}
