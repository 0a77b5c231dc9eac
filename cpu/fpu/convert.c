// SPDX-License-Identifier: MIT
// Conversions between the x87's 80-bit format and single, double, integers and packed decimal. SDM vol.
// 1 4.7, 4.9, 8.3.1; vol. 2 FLD FST FILD FIST FISTTP FBLD FBSTP.
#include <string.h>
#include "cpu/fpu/fpn.h"

static struct f80 load(struct fenv_x *e, struct fpn x)
{
    struct fpr r;
    if (fpn_nan_result(e, x, (struct fpn){0}, &r)) return fpr_pack_f80(e, r, 64);
    fpn_denormal(e, x, x); // even unmasked, the value is loaded
    return fpr_pack_f80(e, fpr_exact(x), 64);
}
struct f80 f80_from_f32(struct fenv_x *e, u32 v) { return load(e, fpn_f32(v)); }
struct f80 f80_from_f64(struct fenv_x *e, u64 v) { return load(e, fpn_f64(v)); }

struct f80 f80_from_i64(i64 v)
{
    u64 u = v < 0 ? -(u64)v : (u64)v;
    if (!u) return (struct f80){0, 0};
    unsigned n = (unsigned)__builtin_clzll(u);
    return (struct f80){u << n, (u16)((v < 0) << 15 | (16383 + 63 - n))};
}

struct f80 f80_from_bcd(const u8 v[10])
{
    // Digits above 9 are undefined; taken at their weight, as processors do.
    i64 n = 0;
    for (int i = 8; i >= 0; i--) n = n * 100 + (v[i] >> 4) * 10 + (v[i] & 15);
    struct f80 r = f80_from_i64(n);
    r.se |= (v[9] & 0x80) << 8;
    return r;
}

static u64 store(struct fenv_x *e, struct f80 v, const struct fp_format *f)
{
    struct fpn x = fpn_f80(v);
    struct fpr r;
    if (!fpn_nan_result(e, x, (struct fpn){0}, &r)) r = fpr_exact(x);
    return fpr_pack(e, r, f);
}
u32 f80_to_f32(struct fenv_x *e, struct f80 v) { return (u32)store(e, v, &fp_f32); }
u64 f80_to_f64(struct fenv_x *e, struct f80 v) { return store(e, v, &fp_f64); }

i64 f80_to_int(struct fenv_x *e, struct f80 v, unsigned bits, u8 rm) { return fpn_to_int(e, fpn_f80(v), bits, rm); }

void f80_to_bcd(struct fenv_x *e, struct f80 v, u8 out[10])
{
    struct fenv_x t = *e;
    struct fpn x = fpn_f80(v);
    t.flags = 0;
    i64 n = fpn_to_int(&t, x, 64, e->rm);
    u64 u = n < 0 ? -(u64)n : (u64)n;
    if ((t.flags & FX_IE) || u > 999999999999999999ull) {
        fx_raise(e, FX_IE);
        e->c1 = false;
        memset(out, 0, 7);
        out[7] = 0xC0;
        out[8] = out[9] = 0xFF;
        return;
    }
    e->flags |= t.flags;
    e->c1 = t.c1;
    for (int i = 0; i < 9; i++, u /= 100) out[i] = (u8)(u % 100 / 10 << 4 | u % 10);
    out[9] = (u8)(x.sign << 7);
}
