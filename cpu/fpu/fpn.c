// SPDX-License-Identifier: MIT
// The soft float's core: operands of all formats unpacked into one shape, exact arithmetic on 128 bits, one rounding.
// Order of exceptions: unsupported encoding, signalling NaN, quiet NaN (no exception, but it hides what follows),
// invalid or divide by zero, denormal operand, then overflow, underflow, inexact (SDM vol. 1 4.9.2). Tininess is judged
// after rounding (SDM vol. 1 4.9.1.5).
#include "cpu/fpu/fpn.h"

const struct fp_format fp_f32 = {32, 24, -126, 127};
const struct fp_format fp_f64 = {64, 53, -1022, 1023};
enum { F80_EMIN = -16382, F80_EMAX = 16383, F80_BIAS = 16383, F80_WRAP = 24576 };

struct fenv_x fx_from_mxcsr(u32 mxcsr)
{
    return (struct fenv_x){.rm = mxcsr >> 13 & 3,
                           .pc = 64,
                           .flags = mxcsr & FX_ALL,
                           .masks = mxcsr >> 7 & FX_ALL,
                           .daz = mxcsr >> 6 & 1,
                           .ftz = mxcsr >> 15 & 1,
                           .sse = true};
}

struct fpn fpn_f80(struct f80 v)
{
    unsigned e = v.se & 0x7FFF;
    struct fpn x = {.sig = v.m, .exp = (i32)e - F80_BIAS, .cls = FP_NORM_, .sign = v.se >> 15};
    if (e == 0x7FFF) {
        if (!(v.m >> 63))
            x.cls = FP_BAD_;
        else if (!(v.m << 1))
            x.cls = FP_INF_;
        else
            x.cls = v.m >> 62 & 1 ? FP_QNAN_ : FP_SNAN_;
    } else if (e == 0) {
        if (v.m == 0) {
            x.cls = FP_ZERO_;
        } else { // denormal, or pseudo-denormal (integer bit set): both count from the smallest exponent
            unsigned n = (unsigned)__builtin_clzll(v.m);
            x.den = true;
            x.sig = v.m << n;
            x.exp = F80_EMIN - (i32)n;
        }
    } else if (!(v.m >> 63)) {
        x.cls = FP_BAD_;
    }
    return x;
}

static struct fpn unpack(u64 v, const struct fp_format *f)
{
    unsigned fb = f->prec - 1u;
    u64 frac = v & ((1ull << fb) - 1);
    i32 e = (i32)(v >> fb & (2u * (unsigned)f->emax + 1));
    struct fpn x = {.exp = e - f->emax, .cls = FP_NORM_, .sign = v >> (f->bits - 1) & 1};
    x.sig = 1ull << 63 | frac << (63 - fb);
    if (e == 2 * f->emax + 1) {
        x.cls = !frac ? FP_INF_ : frac >> (fb - 1) & 1 ? FP_QNAN_ : FP_SNAN_;
    } else if (e == 0) {
        if (!frac) {
            x.cls = FP_ZERO_;
        } else {
            unsigned n = (unsigned)__builtin_clzll(frac << (63 - fb));
            x.den = true;
            x.sig = frac << (63 - fb) << n;
            x.exp = f->emin - (i32)n;
        }
    }
    return x;
}

struct fpn fpn_f32(u32 v) { return unpack(v, &fp_f32); }
struct fpn fpn_f64(u64 v) { return unpack(v, &fp_f64); }

struct fpn fpn_i64(i64 v)
{
    u64 u = v < 0 ? -(u64)v : (u64)v;
    if (!u) return (struct fpn){.cls = FP_ZERO_};
    unsigned n = (unsigned)__builtin_clzll(u);
    return (struct fpn){.sig = u << n, .exp = 63 - (i32)n, .cls = FP_NORM_, .sign = v < 0};
}

bool fpn_nan_result(struct fenv_x *e, struct fpn x, struct fpn y, struct fpr *r)
{
    if (likely(x.cls < FP_QNAN_ && y.cls < FP_QNAN_)) return false;
    if (x.cls == FP_BAD_ || y.cls == FP_BAD_) {
        *r = fpr_invalid(e);
        return true;
    }
    if (x.cls == FP_SNAN_ || y.cls == FP_SNAN_) fx_raise(e, FX_IE);
    struct fpn n = x;
    if (!fpn_is_nan(x)) {
        n = y;
    } else if (!e->sse && fpn_is_nan(y)) { // SDM vol. 1 table 4-7
        if (x.cls != y.cls)
            n = x.cls == FP_QNAN_ ? x : y;
        else if (x.sig != y.sig)
            n = x.sig > y.sig ? x : y;
        else
            n = x.sign ? y : x;
    }
    n.sig |= 1ull << 62;
    n.cls = FP_QNAN_;
    *r = fpr_exact(n);
    return true;
}

bool fpn_denormal(struct fenv_x *e, struct fpn x, struct fpn y)
{
    return unlikely(x.den || y.den) && fx_raise(e, FX_DE);
}

struct fpr fpr_invalid(struct fenv_x *e)
{
    fx_raise(e, FX_IE);
    return fpr_default_nan();
}

static struct fpr add(struct fenv_x *e, struct fpn x, struct fpn y)
{
    if (x.cls == FP_INF_ || y.cls == FP_INF_) {
        if (x.cls == y.cls && x.sign != y.sign) return fpr_invalid(e);
        if (fpn_denormal(e, x, y)) return fpr_default_nan();
        return fpr_special(FP_INF_, x.cls == FP_INF_ ? x.sign : y.sign);
    }
    if (fpn_denormal(e, x, y)) return fpr_default_nan();
    bool zsign = x.sign == y.sign ? x.sign : e->rm == FX_DOWN;
    if (y.cls == FP_ZERO_) return x.cls == FP_ZERO_ ? fpr_special(FP_ZERO_, zsign) : fpr_exact(x);
    if (x.cls == FP_ZERO_) return fpr_exact(y);
    if (x.exp < y.exp || (x.exp == y.exp && x.sig < y.sig)) {
        struct fpn t = x;
        x = y;
        y = t;
    }
    // 62 guard bits: one bit of normalization at most when anything was jammed away.
    u128 a = (u128)x.sig << 62, b = shr_jam((u128)y.sig << 62, (unsigned)(x.exp - y.exp));
    u128 s = x.sign == y.sign ? a + b : a - b;
    if (!s) return fpr_special(FP_ZERO_, e->rm == FX_DOWN);
    return fpr_norm(x.sign, x.exp + 2, s);
}

static struct fpr mul(struct fenv_x *e, struct fpn x, struct fpn y)
{
    bool sign = x.sign ^ y.sign;
    if (x.cls == FP_INF_ || y.cls == FP_INF_) {
        if (x.cls == FP_ZERO_ || y.cls == FP_ZERO_) return fpr_invalid(e);
        if (fpn_denormal(e, x, y)) return fpr_default_nan();
        return fpr_special(FP_INF_, sign);
    }
    if (fpn_denormal(e, x, y)) return fpr_default_nan();
    if (x.cls == FP_ZERO_ || y.cls == FP_ZERO_) return fpr_special(FP_ZERO_, sign);
    return fpr_norm(sign, x.exp + y.exp + 1, (u128)x.sig * y.sig);
}

static struct fpr div(struct fenv_x *e, struct fpn x, struct fpn y)
{
    bool sign = x.sign ^ y.sign;
    if (x.cls == y.cls && x.cls != FP_NORM_) return fpr_invalid(e);
    if (y.cls == FP_ZERO_ && x.cls == FP_NORM_)
        return fx_raise(e, FX_ZE) ? fpr_default_nan() : fpr_special(FP_INF_, sign);
    if (fpn_denormal(e, x, y)) return fpr_default_nan();
    if (x.cls == FP_INF_ || y.cls == FP_ZERO_) return fpr_special(FP_INF_, sign);
    if (y.cls == FP_INF_ || x.cls == FP_ZERO_) return fpr_special(FP_ZERO_, sign);
    bool ge = x.sig >= y.sig;
    u128 n = (u128)x.sig << (ge ? 63 : 64);
    u64 r, r2, q = fp_div128(n, y.sig, &r);
    u64 q2 = fp_div128((u128)r << 64, y.sig, &r2);
    u128 sig = (u128)q << 64 | q2 | (r2 != 0);
    return (struct fpr){.sig = sig, .exp = x.exp - y.exp - !ge, .cls = FP_NORM_, .sign = sign};
}

struct fpr fpn_arith(struct fenv_x *e, enum fp_op op, struct fpn x, struct fpn y)
{
    struct fpr r;
    if (fpn_nan_result(e, x, y, &r)) return r;
    if (op == FP_SUB) y.sign ^= 1;
    return op == FP_MUL ? mul(e, x, y) : op == FP_DIV ? div(e, x, y) : add(e, x, y);
}

struct fpr fpn_sqrt(struct fenv_x *e, struct fpn x)
{
    struct fpr r;
    if (fpn_nan_result(e, x, (struct fpn){0}, &r)) return r;
    if (x.cls == FP_ZERO_) return fpr_exact(x);
    if (x.sign) return fpr_invalid(e);
    if (fpn_denormal(e, x, x)) return fpr_default_nan();
    if (x.cls == FP_INF_) return fpr_exact(x);
    // The root of a 127- or 128-bit integer has 64 bits; the remainder tells on which side of the half it lies.
    u128 n = (u128)x.sig << (x.exp & 1 ? 64 : 63), rem = 0;
    u64 root = 0;
    for (int i = 0; i < 64; i++) {
        rem = rem << 2 | (u64)(n >> 126);
        n <<= 2;
        u128 t = (u128)root << 2 | 1;
        root <<= 1;
        if (rem >= t) {
            rem -= t;
            root |= 1;
        }
    }
    u64 tail = !rem ? 0 : rem > root ? 3ull << 62 : 1ull << 62;
    return (struct fpr){.sig = (u128)root << 64 | tail, .exp = x.exp >> 1, .cls = FP_NORM_};
}

enum fp_rel fpn_compare(struct fenv_x *e, struct fpn x, struct fpn y, bool quiet)
{
    if (x.cls >= FP_QNAN_ || y.cls >= FP_QNAN_) {
        if (!quiet || x.cls >= FP_SNAN_ || y.cls >= FP_SNAN_) fx_raise(e, FX_IE);
        return FP_UN;
    }
    fpn_denormal(e, x, y);
    if (x.cls == FP_ZERO_ && y.cls == FP_ZERO_) return FP_EQ;
    if (x.cls == FP_ZERO_) return y.sign ? FP_GT : FP_LT;
    if (y.cls == FP_ZERO_ || x.sign != y.sign) return x.sign ? FP_LT : FP_GT;
    enum fp_rel more = x.sign ? FP_LT : FP_GT, less = x.sign ? FP_GT : FP_LT;
    if (x.cls == FP_INF_ || y.cls == FP_INF_) return x.cls == y.cls ? FP_EQ : x.cls == FP_INF_ ? more : less;
    if (x.exp != y.exp) return x.exp > y.exp ? more : less;
    return x.sig == y.sig ? FP_EQ : x.sig > y.sig ? more : less;
}

static bool round_up(u8 rm, bool sign, bool odd, int half, bool inexact)
{
    // half: the tail compared with one half, as strcmp would.
    switch (rm) {
    case FX_NEAREST: return half > 0 || (half == 0 && odd);
    case FX_DOWN: return sign && inexact;
    case FX_UP: return !sign && inexact;
    default: return false;
    }
}

// Integer part and fraction (in 2^-64, jammed) of |x| < 2^64.
static u64 split_int(struct fpn x, u64 *frac)
{
    *frac = x.exp >= 63 ? 0 : x.exp >= -1 ? x.sig << (x.exp + 1) : 1;
    return x.exp < 0 ? 0 : x.sig >> (63 - x.exp);
}

static u64 round_int(struct fenv_x *e, struct fpn x, u8 rm, bool *inexact)
{
    u64 f, i = split_int(x, &f);
    bool up = round_up(rm, x.sign, i & 1, f == 1ull << 63 ? 0 : f > 1ull << 63 ? 1 : -1, f != 0);
    *inexact = f != 0;
    e->c1 = up;
    return i + up;
}

struct fpr fpn_round_int(struct fenv_x *e, struct fpn x, u8 rm)
{
    bool inexact;
    e->c1 = false;
    if (x.cls != FP_NORM_ || x.exp >= 63) return fpr_exact(x);
    u64 i = round_int(e, x, rm, &inexact);
    if (inexact) fx_raise(e, FX_PE);
    return i ? fpr_norm(x.sign, 63, (u128)i << 64) : fpr_special(FP_ZERO_, x.sign);
}

i64 fpn_to_int(struct fenv_x *e, struct fpn x, unsigned bits, u8 rm)
{
    bool inexact;
    u64 top = 1ull << (bits - 1);
    e->c1 = false;
    if (x.cls == FP_ZERO_) return 0;
    if (x.cls == FP_NORM_ && x.exp < 64) {
        u64 i = round_int(e, x, rm, &inexact);
        if (i < top || (x.sign && i == top)) {
            if (inexact) fx_raise(e, FX_PE);
            return (i64)(x.sign ? -i : i);
        }
    }
    e->c1 = false;
    fx_raise(e, FX_IE);
    return (i64)(bits == 64 ? top : -top);
}

struct rounded {
    u128 sig;
    bool inexact, up, carry;
};

// Round to `prec` bits from the top of 128.
static struct rounded round_sig(u128 sig, unsigned prec, u8 rm, bool sign)
{
    u128 ulp = (u128)1 << (128 - prec), tail = sig & (ulp - 1), half = ulp >> 1;
    struct rounded r = {.sig = sig & ~(ulp - 1), .inexact = tail != 0};
    r.up = round_up(rm, sign, (sig & ulp) != 0, tail == half ? 0 : tail > half ? 1 : -1, r.inexact);
    if (r.up && !(r.sig += ulp)) {
        r.carry = true;
        r.sig = (u128)1 << 127;
    }
    return r;
}

static bool overflow_to_inf(u8 rm, bool sign) { return rm == FX_NEAREST || rm == (sign ? FX_DOWN : FX_UP); }

static struct f80 f80_make(bool sign, unsigned exp, u64 m) { return (struct f80){m, (u16)(sign << 15 | exp)}; }

static struct f80 f80_overflow(struct fenv_x *e, struct fpr r, struct rounded d, i32 exp, u8 prec)
{
    if (fx_raise(e, FX_OE)) {
        if (d.inexact) fx_raise(e, FX_PE);
        e->c1 = d.up;
        exp -= F80_WRAP;
        if (exp > F80_EMAX) { // FSCALE only: SDM vol. 1 8.5.4, "massive overflow"
            fx_raise(e, FX_PE);
            e->c1 = true;
            return f80_make(r.sign, 0x7FFF, 1ull << 63);
        }
        return f80_make(r.sign, (unsigned)(exp + F80_BIAS), (u64)(d.sig >> 64));
    }
    fx_raise(e, FX_PE);
    e->c1 = overflow_to_inf(e->rm, r.sign);
    if (e->c1) return f80_make(r.sign, 0x7FFF, 1ull << 63);
    return f80_make(r.sign, 0x7FFE, ~0ull << (64 - prec));
}

static struct f80 f80_tiny(struct fenv_x *e, struct fpr r, struct rounded d, i32 exp, u8 prec)
{
    if (!(e->masks & FX_UE)) {
        fx_raise(e, d.inexact ? FX_UE | FX_PE : FX_UE);
        e->c1 = d.up;
        exp += F80_WRAP;
        if (exp < F80_EMIN) {
            fx_raise(e, FX_PE);
            return f80_make(r.sign, 0, 0);
        }
        return f80_make(r.sign, (unsigned)(exp + F80_BIAS), (u64)(d.sig >> 64));
    }
    d = round_sig(shr_jam(r.sig, (unsigned)(F80_EMIN - r.exp)), prec, e->rm, r.sign);
    if (d.inexact) fx_raise(e, FX_UE | FX_PE);
    e->c1 = d.up;
    return f80_make(r.sign, (unsigned)(d.sig >> 127), (u64)(d.sig >> 64));
}

struct f80 fpr_pack_f80(struct fenv_x *e, struct fpr r, u8 prec)
{
    e->c1 = false;
    switch (r.cls) {
    case FP_ZERO_: return f80_make(r.sign, 0, 0);
    case FP_INF_: return f80_make(r.sign, 0x7FFF, 1ull << 63);
    case FP_NORM_: break;
    default: return f80_make(r.sign, 0x7FFF, (u64)(r.sig >> 64));
    }
    struct rounded d = round_sig(r.sig, prec, e->rm, r.sign);
    i32 exp = r.exp + d.carry;
    if (unlikely(exp > F80_EMAX)) return f80_overflow(e, r, d, exp, prec);
    if (unlikely(exp < F80_EMIN)) return f80_tiny(e, r, d, exp, prec);
    if (d.inexact) fx_raise(e, FX_PE);
    e->c1 = d.up;
    return f80_make(r.sign, (unsigned)(exp + F80_BIAS), (u64)(d.sig >> 64));
}

u64 fpr_pack(struct fenv_x *e, struct fpr r, const struct fp_format *f)
{
    unsigned fb = f->prec - 1u;
    u64 sign = (u64)r.sign << (f->bits - 1), inf = (u64)(2 * f->emax + 1) << fb;
    e->c1 = false;
    switch (r.cls) {
    case FP_ZERO_: return sign;
    case FP_INF_: return sign | inf;
    case FP_NORM_: break;
    default: return sign | inf | (u64)(r.sig >> 64) << 1 >> (64 - fb);
    }
    struct rounded d = round_sig(r.sig, f->prec, e->rm, r.sign);
    i32 exp = r.exp + d.carry;
    if (exp > f->emax) {
        if (fx_raise(e, FX_OE)) { // the x87, which stores nothing then, reports no PE
            if (d.inexact && e->sse) fx_raise(e, FX_PE);
            return 0;
        }
        fx_raise(e, FX_PE);
        e->c1 = overflow_to_inf(e->rm, r.sign);
        return sign | (e->c1 ? inf : inf - 1);
    }
    if (exp < f->emin) {
        if (!(e->masks & FX_UE)) {
            fx_raise(e, d.inexact && e->sse ? FX_UE | FX_PE : FX_UE);
            return 0;
        }
        if (e->ftz) {
            fx_raise(e, FX_UE | FX_PE);
            return sign;
        }
        d = round_sig(shr_jam(r.sig, (unsigned)(f->emin - r.exp)), f->prec, e->rm, r.sign);
        if (d.inexact) fx_raise(e, FX_UE | FX_PE);
        e->c1 = d.up;
        return sign | (u64)(d.sig >> (128 - f->prec)); // the integer bit, if reached, counts as exponent 1
    }
    if (d.inexact) fx_raise(e, FX_PE);
    e->c1 = d.up;
    return sign | (((u64)(exp + f->emax) << fb) + ((u64)(d.sig << 1 >> (128 - fb))));
}
