// SPDX-License-Identifier: MIT
// The x87's transcendental instructions: F2XM1 FYL2X FYL2XP1 FSIN FCOS FSINCOS FPTAN FPATAN. SDM vol. 1 8.3.8, 8.3.10
// and the result tables of vol. 2. Everything is computed with 128 bits of significand and rounded once by FCW.RC, so
// results are the correctly rounded ones but in about one case in 2^58; precision control does not apply. FSIN's family
// reduces its argument by the 66-bit pi of SDM vol. 1 8.3.8, exactly. Operands outside the documented ranges (|x| > 1
// for F2XM1, x <= -1 for FYL2XP1), for which the manual leaves the result undefined: F2XM1 returns its operand, FYL2XP1
// acts as FYL2X(x + 1).
#include "cpu/fpu/fpn.h"
#include "cpu/fpu/transcend_tab.h"

// sig * 2^(exp - 127), bit 127 set; zero: sig 0. Errors of the operations are below one unit in the last place.
struct wide {
    u128 sig;
    i32 exp;
    bool sign;
};

static struct wide wk(const struct wide_const *c)
{
    return (struct wide){.sig = (u128)c->hi << 64 | c->lo, .exp = c->exp};
}

static struct wide wide_of(struct fpn x)
{
    if (x.cls == FP_ZERO_) return (struct wide){0};
    return (struct wide){.sig = (u128)x.sig << 64, .exp = x.exp, .sign = x.sign};
}

static struct wide wide_int(int v)
{
    if (!v) return (struct wide){0};
    unsigned u = v < 0 ? -(unsigned)v : (unsigned)v;
    unsigned n = clz128(u);
    return (struct wide){.sig = (u128)u << n, .exp = 127 - (i32)n, .sign = v < 0};
}

static struct wide wneg(struct wide a)
{
    a.sign = !a.sign;
    return a;
}

static struct wide wmul(struct wide a, struct wide b)
{
    if (!a.sig || !b.sig) return (struct wide){0};
    u64 a1 = (u64)(a.sig >> 64), a0 = (u64)a.sig, b1 = (u64)(b.sig >> 64), b0 = (u64)b.sig;
    u128 lo = (u128)a0 * b0, m1 = (u128)a1 * b0, m2 = (u128)a0 * b1;
    u128 mid = (lo >> 64) + (u64)m1 + (u64)m2;
    u128 hi = (u128)a1 * b1 + (m1 >> 64) + (m2 >> 64) + (mid >> 64);
    struct wide r = {.sig = hi, .exp = a.exp + b.exp + 1, .sign = a.sign ^ b.sign};
    if (!(hi >> 127)) {
        r.sig = hi << 1 | (mid >> 63 & 1);
        r.exp--;
    }
    return r;
}

static struct wide wadd(struct wide a, struct wide b)
{
    if (!a.sig) return b;
    if (!b.sig) return a;
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        struct wide t = a;
        a = b;
        b = t;
    }
    u128 t = shr_jam(b.sig, (unsigned)(a.exp - b.exp));
    if (a.sign == b.sign) {
        u128 s = a.sig + t;
        if (s < t) {
            s = s >> 1 | (u128)1 << 127;
            a.exp++;
        }
        a.sig = s;
        return a;
    }
    a.sig -= t;
    if (!a.sig) return (struct wide){0};
    unsigned n = clz128(a.sig);
    a.sig <<= n;
    a.exp -= (i32)n;
    return a;
}

// Next 64 bits of the quotient rem / d, rem < d, d normalized; Knuth's algorithm D with digits of 64 bits.
static u64 div_digit(u128 *rem, u128 d)
{
    u64 d1 = (u64)(d >> 64), d0 = (u64)d, r1 = (u64)(*rem >> 64);
    u64 rest, q = r1 >= d1 ? ~0ull : fp_div128(*rem, d1, &rest);
    // rem * 2^64 - q * d as 192 bits: top:low; at most two corrections
    u128 p0 = (u128)q * d0, p1 = (u128)q * d1 + (u64)(p0 >> 64);
    u128 low = (*rem << 64) - ((p1 << 64) | (u64)p0);
    bool borrow = (*rem << 64) < ((p1 << 64) | (u64)p0);
    u64 top = r1 - (u64)(p1 >> 64) - borrow;
    while (top) {
        q--;
        low += d;
        top += low < d;
    }
    *rem = low;
    return q;
}

static struct wide wdiv(struct wide a, struct wide b)
{
    if (!a.sig) return a;
    struct wide r = {.exp = a.exp - b.exp, .sign = a.sign ^ b.sign};
    bool ge = a.sig >= b.sig;
    u128 rem = ge ? a.sig - b.sig : a.sig; // the quotient's integer bit is `ge`
    u128 q = (u128)div_digit(&rem, b.sig) << 64;
    q |= div_digit(&rem, b.sig);
    r.sig = ge ? q >> 1 | (u128)1 << 127 | (q & 1) : q | (rem != 0);
    if (ge)
        r.sig |= rem != 0;
    else
        r.exp--;
    return r;
}

// c[first] + x * (c[first + step] + x * ...), to index `last`; alternating: x comes with its sign already.
static struct wide series(struct wide x, const struct wide_const *c, int first, int step, int last)
{
    struct wide r = wk(&c[last]);
    for (int i = last - step; i >= first; i -= step) r = wadd(wk(&c[i]), wmul(x, r));
    return r;
}

// A result that is irrational or, for a power of two, exact. Processors report PE (and with it UE) for exact ones too.
static struct f80 pack(struct fenv_x *e, struct wide a, bool exact)
{
    struct fpr r = {.sig = exact ? a.sig : a.sig | 1, .exp = a.exp, .cls = a.sig ? FP_NORM_ : FP_ZERO_, .sign = a.sign};
    struct f80 v = fpr_pack_f80(e, r, 64);
    if (exact && a.sig) fx_raise(e, !(v.se & 0x7FFF) ? FX_UE | FX_PE : FX_PE);
    return v;
}
static struct f80 pack_special(struct fenv_x *e, u8 cls, bool sign)
{
    return fpr_pack_f80(e, fpr_special(cls, sign), 64);
}
static struct f80 pack_invalid(struct fenv_x *e) { return fpr_pack_f80(e, fpr_invalid(e), 64); }

struct f80 f80_f2xm1(struct fenv_x *e, struct fpn a)
{
    struct fpr r;
    if (fpn_nan_result(e, a, (struct fpn){0}, &r)) return fpr_pack_f80(e, r, 64);
    if (fpn_denormal(e, a, a)) return F80_DEFAULT_NAN;
    if (a.cls == FP_INF_ && a.sign) return fpr_pack_f80(e, fpr_exact(fpn_i64(-1)), 64);
    if (a.cls != FP_NORM_ || a.exp > 0 || (a.exp == 0 && a.sig << 1)) return fpr_pack_f80(e, fpr_exact(a), 64);
    if (a.exp == 0) { // 2^1 - 1 = 1, 2^-1 - 1 = -1/2
        a.exp = a.sign ? -1 : 0;
        return pack(e, wide_of(a), true);
    }
    struct wide y = wmul(wide_of(a), wk(&wide_k[K_LN2]));
    return pack(e, wmul(y, series(y, wide_inv_fact, 1, 1, 32)), false);
}

// log2(x), x > 0; zero exactly for x = 1.
static struct wide wlog2(struct wide x)
{
    // x = 2^k * m, sqrt(1/2) <= m < sqrt(2), then log2 m = 2/ln2 * atanh((m - 1) / (m + 1))
    const u64 sqrt2 = 0xB504F333F9DE6484ull;
    int k = x.exp + ((u64)(x.sig >> 64) > sqrt2);
    struct wide one = wide_int(1);
    x.exp -= k;
    struct wide s = wdiv(wadd(x, wneg(one)), wadd(x, one));
    struct wide l = wmul(wmul(s, wk(&wide_k[K_2_LOG2E])), series(wmul(s, s), wide_inv_odd, 0, 1, 25));
    return wadd(wide_int(k), l);
}

static bool is_one(struct fpn x) { return x.cls == FP_NORM_ && x.exp == 0 && !(x.sig << 1) && !x.sign; }

struct f80 f80_yl2x(struct fenv_x *e, struct fpn x, struct fpn y)
{
    struct fpr r;
    if (fpn_nan_result(e, x, y, &r)) return fpr_pack_f80(e, r, 64);
    if (x.cls == FP_ZERO_) {
        if (y.cls == FP_ZERO_) return pack_invalid(e);
        if (y.cls == FP_NORM_ && fx_raise(e, FX_ZE)) return F80_DEFAULT_NAN;
        return pack_special(e, FP_INF_, !y.sign);
    }
    if (x.sign) return pack_invalid(e);
    if (x.cls == FP_INF_ && y.cls == FP_ZERO_) return pack_invalid(e);
    if (is_one(x) && y.cls == FP_INF_) return pack_invalid(e);
    if (fpn_denormal(e, x, y)) return F80_DEFAULT_NAN;
    if (is_one(x)) return pack_special(e, FP_ZERO_, y.sign);
    bool less = x.cls == FP_NORM_ && x.exp < 0;
    if (x.cls == FP_INF_ || y.cls == FP_INF_) return pack_special(e, FP_INF_, y.sign ^ less);
    if (y.cls == FP_ZERO_) return pack_special(e, FP_ZERO_, y.sign ^ less);
    bool exact = !(x.sig << 1); // a power of two: the logarithm is an integer of 15 bits
    return pack(e, wmul(wide_of(y), wlog2(wide_of(x))), exact);
}

struct f80 f80_yl2xp1(struct fenv_x *e, struct fpn x, struct fpn y)
{
    struct fpr r;
    struct fpn zero = {0};
    if (fpn_nan_result(e, x, y, &r)) return fpr_pack_f80(e, r, 64);
    if (x.cls == FP_NORM_ && x.sign && x.exp >= 0 && !x.den) { // x <= -1
        zero.sign = x.exp > 0 || x.sig << 1;
        return zero.sign ? pack_invalid(e) : f80_yl2x(e, zero, y);
    }
    if (x.cls == FP_INF_) return x.sign ? pack_invalid(e) : f80_yl2x(e, x, y);
    if (x.cls == FP_ZERO_ && y.cls == FP_INF_) return pack_invalid(e);
    if (fpn_denormal(e, x, y)) return F80_DEFAULT_NAN;
    bool sign = x.sign ^ y.sign;
    if (y.cls == FP_INF_) return pack_special(e, FP_INF_, sign);
    if (x.cls == FP_ZERO_ || y.cls == FP_ZERO_) return pack_special(e, FP_ZERO_, sign);
    struct wide w = wide_of(x);
    if (x.exp >= -1) { // the manual promises nothing above 1 - sqrt(1/2)
        struct wide p = wadd(w, wide_int(1));
        return pack(e, wmul(wide_of(y), wlog2(p)), !(p.sig << 1));
    }
    struct wide s = wdiv(w, wadd(w, wide_int(2)));
    struct wide l = wmul(wmul(s, wk(&wide_k[K_2_LOG2E])), series(wmul(s, s), wide_inv_odd, 0, 1, 25));
    return pack(e, wmul(wide_of(y), l), false);
}

// atan(t), 0 < t <= 1
static struct wide watan(struct wide t)
{
    unsigned i = t.exp < -5 ? 0 : (unsigned)((t.sig >> (122 - t.exp)) + 1) >> 1;
    struct wide r = t;
    if (i) { // atan t = atan c + atan((t - c) / (1 + t c)), c = i/16, the last argument below 1/32
        struct wide c = wide_int((int)i);
        c.exp -= 4;
        r = wdiv(wadd(t, wneg(c)), wadd(wide_int(1), wmul(t, c)));
    }
    r = wmul(r, series(wneg(wmul(r, r)), wide_inv_odd, 0, 1, 13));
    return i ? wadd(wk(&wide_atan[i]), r) : r;
}

struct f80 f80_atan2(struct fenv_x *e, struct fpn y, struct fpn x)
{
    struct fpr r;
    if (fpn_nan_result(e, x, y, &r)) return fpr_pack_f80(e, r, 64);
    if (fpn_denormal(e, x, y)) return F80_DEFAULT_NAN;
    struct wide a;
    if (y.cls == FP_INF_) {
        a = wk(&wide_k[x.cls != FP_INF_ ? K_PI_2 : x.sign ? K_3PI_4 : K_PI_4]);
    } else if (x.cls == FP_INF_ || y.cls == FP_ZERO_) {
        if (!x.sign) return pack_special(e, FP_ZERO_, y.sign);
        a = wk(&wide_k[K_PI]);
    } else if (x.cls == FP_ZERO_) {
        a = wk(&wide_k[K_PI_2]);
    } else {
        struct wide wy = wide_of(y), wx = wide_of(x);
        wy.sign = wx.sign = false;
        bool steep = y.exp > x.exp || (y.exp == x.exp && y.sig > x.sig);
        a = watan(steep ? wdiv(wx, wy) : wdiv(wy, wx));
        if (steep)
            a = wadd(wk(&wide_k[K_PI_2]), x.sign ? a : wneg(a));
        else if (x.sign)
            a = wadd(wk(&wide_k[K_PI]), wneg(a));
    }
    a.sign = y.sign;
    return pack(e, a, false);
}

// |x| = k * pi/2 + r, |r| <= pi/4, with pi = 0xC90FDAA22168C234C * 2^-66; returns k mod 4.
static unsigned reduce(struct fpn x, struct wide *r)
{
    const u128 quarter = (u128)0xC << 64 | 0x90FDAA22168C234Cull; // pi/4 in units of 2^-68
    x.sign = false;
    *r = wide_of(x);
    if (x.exp < -1) return 0;
    u128 m = 8 * quarter, v = (u128)x.sig % m;
    for (int n = x.exp + 5; n > 0; n -= 56) v = (v << (n > 56 ? 56 : n)) % m;
    unsigned k = (unsigned)((v + quarter) / (2 * quarter));
    u128 mid = (u128)k * 2 * quarter;
    bool neg = v < mid;
    struct fpr t = fpr_norm(neg, 59, neg ? mid - v : v - mid);
    *r = (struct wide){.sig = t.sig, .exp = t.exp, .sign = neg};
    return k & 3;
}

static struct wide wsin(struct wide r, struct wide r2) { return wmul(r, series(r2, wide_inv_fact, 1, 2, 33)); }
static struct wide wcos(struct wide r2) { return series(r2, wide_inv_fact, 0, 2, 34); }

// Sine and cosine of a finite nonzero x, |x| < 2^63; either may be NULL.
static void sin_cos(struct fpn x, struct wide *s, struct wide *c)
{
    struct wide r;
    unsigned k = reduce(x, &r);
    struct wide r2 = wneg(wmul(r, r));
    if (s) {
        *s = k & 1 ? wcos(r2) : wsin(r, r2);
        s->sign ^= (k >> 1) ^ x.sign;
    }
    if (c) {
        *c = k & 1 ? wsin(r, r2) : wcos(r2);
        c->sign ^= (k == 1 || k == 2);
    }
}

// True if the operand alone decides: *r is the result, unless *partial.
static bool trig_special(struct fenv_x *e, struct fpn a, bool *partial, struct f80 *r)
{
    struct fpr n;
    *partial = false;
    e->c1 = false;
    if (fpn_nan_result(e, a, (struct fpn){0}, &n)) {
        *r = fpr_pack_f80(e, n, 64);
        return true;
    }
    if (a.cls == FP_INF_) {
        *r = pack_invalid(e);
        return true;
    }
    *r = F80_DEFAULT_NAN;
    *partial = a.cls == FP_NORM_ && a.exp >= 63;
    return *partial || fpn_denormal(e, a, a);
}

struct f80_pair f80_sincos(struct fenv_x *e, struct fpn a, bool *partial)
{
    struct f80 r;
    struct wide s, c;
    if (trig_special(e, a, partial, &r)) return (struct f80_pair){r, r};
    if (a.cls == FP_ZERO_) return (struct f80_pair){pack_special(e, FP_ZERO_, a.sign), F80_ONE};
    sin_cos(a, &s, &c);
    r = pack(e, s, false);
    return (struct f80_pair){r, pack(e, c, false)};
}

struct f80 f80_sin(struct fenv_x *e, struct fpn a, bool *partial)
{
    struct f80 r;
    struct wide s;
    if (trig_special(e, a, partial, &r)) return r;
    if (a.cls == FP_ZERO_) return pack_special(e, FP_ZERO_, a.sign);
    sin_cos(a, &s, NULL);
    return pack(e, s, false);
}

struct f80 f80_cos(struct fenv_x *e, struct fpn a, bool *partial)
{
    struct f80 r;
    struct wide c;
    if (trig_special(e, a, partial, &r)) return r;
    if (a.cls == FP_ZERO_) return F80_ONE;
    sin_cos(a, NULL, &c);
    return pack(e, c, false);
}

struct f80 f80_tan(struct fenv_x *e, struct fpn a, bool *partial)
{
    struct f80 r;
    struct wide s, c;
    if (trig_special(e, a, partial, &r)) return r;
    if (a.cls == FP_ZERO_) return pack_special(e, FP_ZERO_, a.sign);
    sin_cos(a, &s, &c);
    return pack(e, wdiv(s, c), false);
}
