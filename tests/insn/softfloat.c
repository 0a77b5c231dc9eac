// SPDX-License-Identifier: MIT
// The soft float against the host's own x87 and SSE (x86 hosts): results bit for bit, exception flags and C1 exact, in
// all rounding modes and precisions, masked and unmasked, over a cross product of edge values and random ones. FNSAVE
// reads the x87's answer without triggering a pending exception; SSE's unmasked answers are read in a SIGFPE handler.
// On every host: transcendentals against reference values (softfloat_ref.h).
#include "tests/check.h"
#include "cpu/fpu/softfloat.h"
#include "cpu/fpu/fast.h"
#include "cpu/fpu/fast80.h"
#include "tests/insn/softfloat_ref.h"

static u64 rng_state;
static u64 rnd(void) // xorshift64*, Vigna 2014
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 2685821657736338717ull;
}

static const u32 edge32[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000,
                             0x80800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x3F800000, 0xBF800000, 0x3F800001,
                             0x3F7FFFFF, 0x40000000, 0x40490FDB, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F000000, 0x7F800000,
                             0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FC00001, 0xFFE12345, 0x7F800001, 0xFF800001,
                             0x7FBFFFFF, 0x4B000001, 0x4F000000, 0xCF000000, 0x4EFFFFFF, 0x5F000000, 0xDF000000,
                             0x3F000000, 0x3FC00000, 0xBF000000, 0x1F800000, 0x20000000, 0x3EFFFFFF, 0x00400000,
                             0xC0200000, 0x3EAAAAAB, 0x4AFFFFFF, 0x0B800000};
static const u64 edge64[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000001, 0x000FFFFFFFFFFFFF,
    0x800FFFFFFFFFFFFF, 0x0010000000000000, 0x8010000000000000, 0x0010000000000001, 0x001FFFFFFFFFFFFF,
    0x0020000000000000, 0x3FF0000000000000, 0xBFF0000000000000, 0x3FF0000000000001, 0x3FEFFFFFFFFFFFFF,
    0x4000000000000000, 0x400921FB54442D18, 0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x7FE0000000000000,
    0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001,
    0xFFFC123456789ABC, 0x7FF0000000000001, 0xFFF0000000000001, 0x7FF7FFFFFFFFFFFF, 0x4330000000000001,
    0x41DFFFFFFFC00000, 0x41E0000000000000, 0xC1E0000000000000, 0xC1E0000000200000, 0x43E0000000000000,
    0xC3E0000000000000, 0x3FE0000000000000, 0x3FF8000000000000, 0xBFE0000000000000, 0x1FF0000000000000,
    0x2000000000000000, 0x3FDFFFFFFFFFFFFF, 0x0008000000000000, 0xC004000000000000, 0x47EFFFFFE0000000,
    0x47EFFFFFF0000000, 0x380FFFFFFFFFFFFF, 0x3810000000000000, 0x36A0000000000000, 0x3690000000000000,
    0x380FFFFFE0000000};

static const struct f80 edge80[] = {
    {0, 0},
    {0, 0x8000},
    {1, 0},
    {1, 0x8000},
    {0x7FFFFFFFFFFFFFFF, 0},
    {0x4000000000000000, 0x8000},
    {0x8000000000000000, 0}, // pseudo-denormal
    {0xFFFFFFFFFFFFFFFF, 0x8000},
    {0x8000000000000000, 1},
    {0xFFFFFFFFFFFFFFFF, 1},
    {0x8000000000000001, 0x8001},
    {0x8000000000000000, 0x0040},
    {0x8000000000000000, 0x7FFE},
    {0xFFFFFFFFFFFFFFFF, 0x7FFE},
    {0xFFFFFFFFFFFFFFFF, 0xFFFE},
    {0xFFFFFF0000000000, 0x7FFE},
    {0x8000000000000000, 0x7FFF},
    {0x8000000000000000, 0xFFFF},
    {0xC000000000000000, 0xFFFF},
    {0xC000000000000000, 0x7FFF},
    {0xE000000000000001, 0x7FFF},
    {0x8000000000000001, 0x7FFF}, // signalling
    {0xA000000000000000, 0xFFFF},
    {0xBFFFFFFFFFFFFFFF, 0x7FFF},
    {0, 0x7FFF}, // pseudo-infinity
    {0x4000000000000000, 0x7FFF},
    {0x7FFFFFFFFFFFFFFF, 0x3FFF}, // unnormal
    {0, 0x4000},
    {0x8000000000000000, 0x3FFF},
    {0x8000000000000000, 0xBFFF},
    {0x8000000000000001, 0x3FFF},
    {0xFFFFFFFFFFFFFFFF, 0x3FFE},
    {0x8000008000000000, 0x3FFF},
    {0x8000018000000000, 0xBFFF},
    {0x8000000000000400, 0x3FFF},
    {0x8000000000000C00, 0x3FFF},
    {0x8000000000000000, 0x4000},
    {0xC000000000000000, 0x3FFE},
    {0xA000000000000000, 0x4002},
    {0xC90FDAA22168C235, 0x3FFF},
    {0xC90FDAA22168C235, 0xC000},
    {0x8000000000000000, 0x403D},
    {0x8000000000000000, 0xC03E},
    {0xFFFFFFFFFFFFFFFF, 0x403E},
    {0xDE0B6B3A763FFFF8, 0x403A}, // 10^18 - 1/2
    {0x8000000000000000, 0x3FBF},
    {0xFFFFFFFFFFFFFFFF, 0x3F81},
    {0x8000000000000000, 0x3F6A},
    {0xFFFFFF8000000000, 0x3F80},
    {0x8000000000000000, 0x3C01},
    {0xFFFFFFFFFFFFFC00, 0x3C00},
    {0x8000000000000000, 0x3BCD},
    {0xFFFFFF8000000000, 0x407E},
    {0xFFFFFFFFFFFFFC00, 0x43FE},
    {0x8000000000000000, 0x5FFE},
};
enum { N80 = ARRAY_LEN(edge80) };

static struct f80 random80(void)
{
    struct f80 v = edge80[rnd() % N80];
    u64 r = rnd();
    switch (r & 7) {
    case 0: return v;
    case 1: v.m ^= 1ull << (r >> 8 & 63); return v;
    case 2: return (struct f80){rnd() | 1ull << 63, (u16)(r >> 16)};
    case 3: return (struct f80){rnd() << (r >> 8 & 63) | 1ull << 63, (u16)(0x3FC0 + (r >> 16 & 0x807F))};
    case 4: return (struct f80){rnd() >> (r >> 8 & 63), (u16)(r >> 16 & 0x8000)};
    default: return (struct f80){rnd() | 1ull << 63, (u16)(0x3FF0 + (r >> 16 & 0x801F))};
    }
}

static u32 random32(void)
{
    u64 r = rnd();
    u32 v = edge32[r % ARRAY_LEN(edge32)];
    switch (r >> 32 & 3) {
    case 0: return v;
    case 1: return v ^ 1u << (r >> 40 & 31);
    case 2: return (u32)rnd();
    default: return (u32)(rnd() & 0x807FFFFF) | (u32)(120 + (r >> 40 & 15)) << 23;
    }
}
static u64 random64(void)
{
    u64 r = rnd();
    u64 v = edge64[r % ARRAY_LEN(edge64)];
    switch (r >> 32 & 3) {
    case 0: return v;
    case 1: return v ^ 1ull << (r >> 40 & 63);
    case 2: return rnd();
    default: return (rnd() & 0x800FFFFFFFFFFFFF) | (u64)(1015 + (r >> 40 & 15)) << 52;
    }
}

static int mismatches;
static bool same80(struct f80 a, struct f80 b) { return a.m == b.m && a.se == b.se; }

#if defined(__x86_64__) || defined(__i386__)
#include <signal.h>
#include <ucontext.h>

struct host87 {
    u16 sw;
    struct f80 st0, st1;
};
struct __attribute__((packed)) fsave_image {
    u32 cw, sw, tw, env[4];
    struct __attribute__((packed)) {
        u64 m;
        u16 se;
    } st[8];
};
struct t80 {
    _Alignas(16) u8 b[16];
};
static struct t80 to_t80(struct f80 v)
{
    struct t80 t;
    memcpy(t.b, &v.m, 8);
    memcpy(t.b + 8, &v.se, 2);
    return t;
}
static struct host87 from_image(const struct fsave_image *im)
{
    return (struct host87){(u16)im->sw, {im->st[0].m, im->st[0].se}, {im->st[1].m, im->st[1].se}};
}

// st0 = a, st1 = b, control word cw, run `op`, read everything.
#define HOST87(name, op)                                                                                               \
    static struct host87 name(u16 cw, struct f80 a, struct f80 b)                                                      \
    {                                                                                                                  \
        struct t80 ta = to_t80(a), tb = to_t80(b);                                                                     \
        struct fsave_image im;                                                                                         \
        __asm__ volatile("fninit\n\tfldt %2\n\tfldt %1\n\tfldcw %3\n\t" op "\n\tfnsave %0\n\tfninit"                   \
                         : "=m"(im)                                                                                    \
                         : "m"(ta), "m"(tb), "m"(cw)                                                                   \
                         : "memory");                                                                                  \
        return from_image(&im);                                                                                        \
    }
HOST87(host_add, "fadd %%st(1), %%st")
HOST87(host_sub, "fsub %%st(1), %%st")
HOST87(host_mul, "fmul %%st(1), %%st")
HOST87(host_div, "fdiv %%st(1), %%st")
HOST87(host_sqrt, "fsqrt")
HOST87(host_rndint, "frndint")
HOST87(host_scale, "fscale")
HOST87(host_prem, "fprem")
HOST87(host_prem1, "fprem1")
HOST87(host_com, "fcom %%st(1)")
HOST87(host_ucom, "fucom %%st(1)")
HOST87(host_xtract, "fxtract")
HOST87(host_xam, "fxam")
HOST87(host_f2xm1, "f2xm1")
HOST87(host_sin, "fsin")
HOST87(host_cos, "fcos")
HOST87(host_sincos, "fsincos")
HOST87(host_ptan, "fptan")
HOST87(host_yl2x, "fyl2x")
HOST87(host_yl2xp1, "fyl2xp1")
HOST87(host_patan, "fpatan")

// Loads and stores: `op` has memory operand %1.
#define HOST87_MEM(name, op, type)                                                                                     \
    static struct host87 name(u16 cw, struct f80 a, type *m)                                                           \
    {                                                                                                                  \
        struct t80 ta = to_t80(a);                                                                                     \
        struct fsave_image im;                                                                                         \
        __asm__ volatile("fninit\n\tfldt %2\n\tfldcw %3\n\t" op "\n\tfnsave %0\n\tfninit"                              \
                         : "=m"(im), "+m"(*m)                                                                          \
                         : "m"(ta), "m"(cw)                                                                            \
                         : "memory");                                                                                  \
        return from_image(&im);                                                                                        \
    }
HOST87_MEM(host_fst32, "fsts %1", u32)
HOST87_MEM(host_fst64, "fstl %1", u64)
HOST87_MEM(host_fist16, "fists %1", i16)
HOST87_MEM(host_fist32, "fistl %1", i32)
HOST87_MEM(host_fist64, "fistpll %1", i64)
HOST87_MEM(host_fbstp, "fbstp %1", struct t80)
HOST87_MEM(host_fld32, "flds %1", u32)
HOST87_MEM(host_fld64, "fldl %1", u64)
HOST87_MEM(host_fadd32, "fadds %1", u32)
HOST87_MEM(host_fmul64, "fmull %1", u64)
HOST87_MEM(host_fild64, "fildll %1", i64)
HOST87_MEM(host_fbld, "fbld %1", struct t80)

static bool report(const char *op, u16 cw, struct f80 a, struct f80 b, struct f80 got, u16 gsw, struct f80 want,
                   u16 wsw)
{
    if (mismatches++ < 10)
        printf("# %s cw=%03x a=%04x:%016" PRIx64 " b=%04x:%016" PRIx64 " got %04x:%016" PRIx64
               " sw %04x host %04x:%016" PRIx64 " sw %04x\n",
               op, cw, a.se, a.m, b.se, b.m, got.se, got.m, gsw, want.se, want.m, wsw);
    return false;
}

static u16 make_cw(u8 rm, u8 pcode, u8 masks) { return (u16)(rm << 10 | pcode << 8 | masks); }

// The status word's part that an operation decides: flags, C1 and, where `cc` says so, C0 C2 C3.
static u16 make_sw(const struct fenv_x *e, u16 cc) { return (u16)(e->flags | e->c1 << 9 | cc); }

typedef struct f80 bin80(struct fenv_x *, struct fpn, struct fpn);
typedef struct host87 hostfn(u16, struct f80, struct f80);

static void check_bin(const char *name, bin80 *fn, hostfn *host, u16 cw, struct f80 a, struct f80 b)
{
    struct fenv_x e = fx_from_fcw(cw);
    struct f80 r = fn(&e, fpn_f80(a), fpn_f80(b));
    struct host87 h = host(cw, a, b);
    if (fx_pre_fault(&e)) {
        r = a;
        e.c1 = false;
    }
    u16 sw = make_sw(&e, 0);
    if (!same80(r, h.st0) || sw != (h.sw & 0x23F)) report(name, cw, a, b, r, sw, h.st0, h.sw & 0x23F);
}

static struct f80 un_sqrt(struct fenv_x *e, struct fpn a, struct fpn b) { return f80_sqrt(e, a); }
static struct f80 un_rndint(struct fenv_x *e, struct fpn a, struct fpn b) { return f80_rndint(e, a); }

static const u8 mask_sets[] = {0x3F, 0x00, 0x3E, 0x3D, 0x37, 0x2F, 0x1F, 0x25, 0x0F, 0x27};

static void sweep_bin(const char *name, bin80 *fn, hostfn *host)
{
    static const u8 pcs[] = {3, 2, 0};
    mismatches = 0;
    rng_state = 88172645463325252ull;
    for (unsigned i = 0; i < N80; i++) {
        for (unsigned j = 0; j < N80; j++) {
            for (unsigned k = 0; k < 12; k++) {
                check_bin(name, fn, host, make_cw(k & 3, pcs[k >> 2], 0x3F), edge80[i], edge80[j]);
                check_bin(name, fn, host, make_cw(k & 3, pcs[k >> 2], mask_sets[(i + j + k) % 10]), edge80[i],
                          edge80[j]);
            }
        }
    }
    for (int i = 0; i < 100000; i++) {
        struct f80 a = random80(), b = random80();
        u64 r = rnd();
        u8 masks = r >> 32 & 1 ? 0x3F : mask_sets[(r >> 33) % 10];
        check_bin(name, fn, host, make_cw(r & 3, pcs[(r >> 8) % 3], masks), a, b);
    }
    CHECK_EQ(mismatches, 0);
}
static void x87_add(void) { sweep_bin("fadd", f80_add, host_add); }
static void x87_sub(void) { sweep_bin("fsub", f80_sub, host_sub); }
static void x87_mul(void) { sweep_bin("fmul", f80_mul, host_mul); }
static void x87_div(void) { sweep_bin("fdiv", f80_div, host_div); }
static void x87_sqrt(void) { sweep_bin("fsqrt", un_sqrt, host_sqrt); }
static void x87_rndint(void) { sweep_bin("frndint", un_rndint, host_rndint); }
static void x87_scale(void) { sweep_bin("fscale", f80_scale, host_scale); }

static void check_rem(bool nearest, u16 cw, struct f80 a, struct f80 b)
{
    u8 q;
    struct fenv_x e = fx_from_fcw(cw);
    struct f80 r = f80_rem(&e, fpn_f80(a), fpn_f80(b), nearest, &q);
    struct host87 h = (nearest ? host_prem1 : host_prem)(cw, a, b);
    u16 cc = (u16)((q >> 2 & 1) << 8 | (q & 1) << 9 | (q >> 3) << 10 | (q >> 1 & 1) << 14), wsw = h.sw & 0x473F;
    if (fx_pre_fault(&e)) r = a;
    u16 sw = (u16)(e.flags | cc);
    if (!same80(r, h.st0) || sw != wsw) report(nearest ? "fprem1" : "fprem", cw, a, b, r, sw, h.st0, wsw);
}

static void x87_rem(void)
{
    mismatches = 0;
    rng_state = 362436069ull;
    for (unsigned i = 0; i < N80; i++)
        for (unsigned j = 0; j < N80; j++)
            for (unsigned k = 0; k < 10; k++) {
                check_rem(false, make_cw(k & 3, 3, mask_sets[k]), edge80[i], edge80[j]);
                check_rem(true, make_cw(k & 3, 3, mask_sets[k]), edge80[i], edge80[j]);
            }
    for (int i = 0; i < 100000; i++) check_rem(i & 1, make_cw(rnd() & 3, 3, 0x3F), random80(), random80());
    CHECK_EQ(mismatches, 0);
}

static void check_compare(u16 cw, struct f80 a, struct f80 b)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        struct fenv_x e = fx_from_fcw(cw);
        enum fp_rel r = f80_compare(&e, fpn_f80(a), fpn_f80(b), quiet);
        struct host87 h = (quiet ? host_ucom : host_com)(cw, a, b);
        u16 cc = r == FP_UN ? 0x4500 : r == FP_EQ ? 0x4000 : r == FP_LT ? 0x100 : 0, mask = 0x473F;
        if (fx_pre_fault(&e)) mask = 0x3F; // C3 C2 C0 are then not written by some processors
        u16 sw = make_sw(&e, cc) & mask;
        if (sw != (h.sw & mask)) report(quiet ? "fucom" : "fcom", cw, a, b, a, sw, h.st0, h.sw & mask);
    }
}

static void x87_compare(void)
{
    mismatches = 0;
    rng_state = 521288629ull;
    for (unsigned i = 0; i < N80; i++)
        for (unsigned j = 0; j < N80; j++)
            for (unsigned k = 0; k < 4; k++) check_compare(make_cw(0, 3, mask_sets[k]), edge80[i], edge80[j]);
    for (int i = 0; i < 50000; i++) check_compare(0x33F, random80(), random80());
    CHECK_EQ(mismatches, 0);
}

static void x87_extract_xam(void)
{
    mismatches = 0;
    rng_state = 5783321ull;
    for (unsigned i = 0; i < 20000; i++) {
        struct f80 a = i < N80 * 10 ? edge80[i / 10] : random80();
        u16 cw = make_cw(i & 3, 3, mask_sets[i % 10]);
        struct fenv_x e = fx_from_fcw(cw);
        struct f80_pair p = f80_extract(&e, fpn_f80(a));
        struct host87 h = host_xtract(cw, a, edge80[0]);
        if (fx_pre_fault(&e)) p.b = a, p.a = edge80[0];
        if (!same80(p.b, h.st0) || !same80(p.a, h.st1) || e.flags != (h.sw & 0x3F))
            report("fxtract", cw, a, p.a, p.b, e.flags, h.st0, h.sw);
        u8 x = f80_xam(a);
        h = host_xam(0x37F, a, a);
        u16 want = (x & 1) << 8 | (x & 2) << 8 | (x & 4) << 8 | (x & 8) << 11;
        if ((h.sw & 0x4700) != want) report("fxam", 0, a, a, a, want, a, h.sw);
    }
    CHECK_EQ(mismatches, 0);
}

#define STORE_CASE(T, nm, host, ours, maxflag)                                                                         \
    do {                                                                                                               \
        T m = (T)0x5A5A5A5A5A5A5A5Aull, keep = m;                                                                      \
        struct fenv_x e = fx_from_fcw(cw);                                                                             \
        T r = (T)(ours);                                                                                               \
        struct host87 h = host(cw, a, &m);                                                                             \
        if (e.flags & ~e.masks & maxflag) r = keep;                                                                    \
        if (fx_pre_fault(&e)) e.c1 = false;                                                                            \
        if (r != m || make_sw(&e, 0) != (h.sw & 0x23F))                                                                \
            report(nm, cw, a, a, (struct f80){(u64)r, 0}, make_sw(&e, 0), (struct f80){(u64)m, 0}, h.sw & 0x23F);      \
    } while (0)

static void check_stores(u16 cw, struct f80 a)
{
    STORE_CASE(u32, "fst m32", host_fst32, f80_to_f32(&e, a), (FX_PRE | FX_OE | FX_UE));
    STORE_CASE(u64, "fst m64", host_fst64, f80_to_f64(&e, a), (FX_PRE | FX_OE | FX_UE));
    STORE_CASE(i16, "fist m16", host_fist16, f80_to_int(&e, a, 16, e.rm), FX_PRE);
    STORE_CASE(i32, "fist m32", host_fist32, f80_to_int(&e, a, 32, e.rm), FX_PRE);
    STORE_CASE(i64, "fistp m64", host_fist64, f80_to_int(&e, a, 64, e.rm), FX_PRE);
    struct t80 m, r;
    memset(&m, 0x5A, sizeof m);
    r = m;
    struct fenv_x e = fx_from_fcw(cw);
    struct host87 h = host_fbstp(cw, a, &m);
    f80_to_bcd(&e, a, r.b);
    if (fx_pre_fault(&e)) memset(&r, 0x5A, sizeof r);
    if (memcmp(&r, &m, 10) || make_sw(&e, 0) != (h.sw & 0x23F)) {
        struct f80 g, w;
        memcpy(&g.m, r.b, 8), memcpy(&g.se, r.b + 8, 2), memcpy(&w.m, m.b, 8), memcpy(&w.se, m.b + 8, 2);
        report("fbstp", cw, a, a, g, make_sw(&e, 0), w, h.sw & 0x23F);
    }
}

static void x87_stores(void)
{
    mismatches = 0;
    rng_state = 77777ull;
    for (unsigned i = 0; i < N80; i++)
        for (unsigned k = 0; k < 40; k++) check_stores(make_cw(k & 3, 3, mask_sets[k >> 2]), edge80[i]);
    for (int i = 0; i < 30000; i++) check_stores(make_cw(rnd() & 3, 3, mask_sets[i & 1 ? 0 : rnd() % 10]), random80());
    for (int i = 0; i < 30000; i++) { // the ranges of the narrow formats
        u64 r = rnd();
        static const u16 mid[] = {0x3FFF, 0x3F81, 0x407E, 0x3C01, 0x43FE, 0x400D, 0x401D, 0x403D};
        struct f80 a = {(rnd() << (r >> 20 & 63)) | 1ull << 63, (u16)(mid[r & 7] - 30 + (r >> 8 & 63))};
        if (r >> 40 & 1) a.m |= ~0ull << (r >> 41 & 63);
        a.se |= (u16)(r >> 63 << 15);
        check_stores(make_cw(r >> 50 & 3, 3, mask_sets[i & 1 ? 0 : rnd() % 10]), a);
    }
    CHECK_EQ(mismatches, 0);
}

static void check_load(const char *name, u16 cw, struct f80 a, u64 m, struct f80 r, struct fenv_x *e, struct host87 h,
                       bool push)
{
    // A load that an unmasked exception stops does not push, so ST(0) is still `a`.
    if (push ? (e->flags & ~e->masks & FX_IE) : fx_pre_fault(e)) r = a, e->c1 = false;
    if (!same80(r, h.st0) || make_sw(e, 0) != (h.sw & 0x23F))
        report(name, cw, a, (struct f80){m, 0}, r, make_sw(e, 0), h.st0, h.sw & 0x23F);
}

static void x87_loads(void)
{
    mismatches = 0;
    rng_state = 991ull;
    for (int i = 0; i < 60000; i++) {
        u32 s = i < 4000 ? edge32[(unsigned)i / 4 % ARRAY_LEN(edge32)] : random32();
        u64 d = i < 4000 ? edge64[(unsigned)i / 4 % ARRAY_LEN(edge64)] : random64();
        u16 cw = make_cw(i & 3, 3, mask_sets[(i >> 2) % 10]);
        struct f80 a = random80();
        struct fenv_x e = fx_from_fcw(cw);
        struct f80 r = f80_from_f32(&e, s);
        check_load("fld m32", cw, a, s, r, &e, host_fld32(cw, a, &s), true);
        e = fx_from_fcw(cw);
        r = f80_from_f64(&e, d);
        check_load("fld m64", cw, a, d, r, &e, host_fld64(cw, a, &d), true);
        e = fx_from_fcw(cw);
        r = f80_add(&e, fpn_f80(a), fpn_f32(s));
        check_load("fadd m32", cw, a, s, r, &e, host_fadd32(cw, a, &s), false);
        e = fx_from_fcw(cw);
        r = f80_mul(&e, fpn_f80(a), fpn_f64(d));
        check_load("fmul m64", cw, a, d, r, &e, host_fmul64(cw, a, &d), false);
        i64 n = (i64)(rnd() >> (i & 63));
        if (i & 64) n = -n;
        e = fx_from_fcw(cw);
        check_load("fild m64", cw, a, (u64)n, f80_from_i64(n), &e, host_fild64(cw, a, &n), true);
        struct t80 bcd = {{0}};
        for (int k = 0; k < 9; k++) bcd.b[k] = (u8)(rnd() % 10 << 4 | rnd() % 10);
        bcd.b[9] = (u8)rnd();
        check_load("fbld", cw, a, 0, f80_from_bcd(bcd.b), &e, host_fbld(cw, a, &bcd), true);
    }
    CHECK_EQ(mismatches, 0);
}

// Transcendentals: special operands exactly, with their flags; ordinary ones within 1 ulp of the host, whose own result
// may be 1 ulp off as well.
static u64 max_ulp;
static u64 ulp_distance(struct f80 a, struct f80 b)
{
    if (same80(a, b)) return 0;
    if ((a.se ^ b.se) & 0x8000) return ~0ull;
    if (a.se == b.se) return a.m > b.m ? a.m - b.m : b.m - a.m;
    if (a.se + 1 == b.se && b.m == 1ull << 63) return -a.m;
    if (b.se + 1 == a.se && a.m == 1ull << 63) return -b.m;
    return ~0ull;
}

static void check_tr(const char *name, u16 cw, struct f80 a, struct f80 b, struct f80 r, struct f80 h,
                     const struct fenv_x *e, u16 hsw)
{
    u64 d = ulp_distance(r, h);
    bool special = (h.se & 0x7FFF) == 0x7FFF || !h.m || (r.se & 0x7FFF) == 0x7FFF;
    if (!special && d > max_ulp && d < 1000) max_ulp = d;
    if ((special ? d != 0 : d > 1) || (e->flags ^ hsw) & 0x3F) report(name, cw, a, b, r, e->flags, h, hsw & 0x63F);
}

static bool in_f2xm1(struct f80 a) { return fpn_f80(a).cls != FP_NORM_ || fpn_f80(a).exp < 0 || a.m << 1 == 0; }

static void check_trans(u16 cw, struct f80 a, struct f80 b)
{
    struct fenv_x e = fx_from_fcw(cw);
    bool partial;
    struct f80 r = f80_f2xm1(&e, fpn_f80(a));
    struct host87 h = host_f2xm1(cw, a, b);
    if (in_f2xm1(a) && (a.se & 0x7FFF) < 0x4000) check_tr("f2xm1", cw, a, b, fx_pre_fault(&e) ? a : r, h.st0, &e, h.sw);
    e = fx_from_fcw(cw);
    r = f80_sin(&e, fpn_f80(a), &partial);
    h = host_sin(cw, a, b);
    if (partial != (h.sw >> 10 & 1)) report("fsin C2", cw, a, b, r, e.flags, h.st0, h.sw);
    check_tr("fsin", cw, a, b, partial || fx_pre_fault(&e) ? a : r, h.st0, &e, h.sw);
    e = fx_from_fcw(cw);
    r = f80_cos(&e, fpn_f80(a), &partial);
    h = host_cos(cw, a, b);
    check_tr("fcos", cw, a, b, partial || fx_pre_fault(&e) ? a : r, h.st0, &e, h.sw);
    e = fx_from_fcw(cw);
    struct f80_pair p = f80_sincos(&e, fpn_f80(a), &partial);
    h = host_sincos(cw, a, b);
    if (!partial && !fx_pre_fault(&e)) {
        check_tr("fsincos s", cw, a, b, p.a, h.st1, &e, h.sw);
        check_tr("fsincos c", cw, a, b, p.b, h.st0, &e, h.sw);
    }
    e = fx_from_fcw(cw);
    r = f80_tan(&e, fpn_f80(a), &partial);
    h = host_ptan(cw, a, b);
    if (!partial && !fx_pre_fault(&e)) check_tr("fptan", cw, a, b, r, h.st1, &e, h.sw);
    e = fx_from_fcw(cw);
    r = f80_atan2(&e, fpn_f80(b), fpn_f80(a));
    h = host_patan(cw, a, b);
    if (!fx_pre_fault(&e)) check_tr("fpatan", cw, a, b, r, h.st0, &e, h.sw);
    e = fx_from_fcw(cw);
    r = f80_yl2x(&e, fpn_f80(a), fpn_f80(b));
    h = host_yl2x(cw, a, b);
    if (!fx_pre_fault(&e)) check_tr("fyl2x", cw, a, b, r, h.st0, &e, h.sw);
    struct fpn x = fpn_f80(a);
    if (x.cls != FP_INF_ && (x.cls != FP_NORM_ || x.exp < -2)) {
        e = fx_from_fcw(cw);
        r = f80_yl2xp1(&e, x, fpn_f80(b));
        h = host_yl2xp1(cw, a, b);
        if (!fx_pre_fault(&e)) check_tr("fyl2xp1", cw, a, b, r, h.st0, &e, h.sw);
    }
}

static void x87_transcendental(void)
{
    mismatches = 0;
    max_ulp = 0;
    rng_state = 13579ull;
    for (unsigned i = 0; i < N80; i++)
        for (unsigned j = 0; j < N80; j++) check_trans(0x33F, edge80[i], edge80[j]);
    for (int i = 0; i < 20000; i++) check_trans(0x33F, random80(), random80());
    printf("# largest distance from the host: %" PRIu64 " ulp\n", max_ulp);
    CHECK_EQ(mismatches, 0);
}

// SSE. The host's answer with exceptions unmasked: the handler notes MXCSR and masks them, and the instruction runs
// again.
static volatile u32 trapped_mxcsr;
static void on_fpe(int sig, siginfo_t *si, void *uc_)
{
    ucontext_t *uc = uc_;
    trapped_mxcsr = uc->uc_mcontext.fpregs->mxcsr | 0x80000000u;
    uc->uc_mcontext.fpregs->mxcsr = 0x1F80;
}

static u32 host_mxcsr;
#define HOST_SSE2(name, T, op)                                                                                         \
    static T name(u32 mxcsr, T a, T b)                                                                                 \
    {                                                                                                                  \
        u32 keep = 0x1F80, after;                                                                                      \
        T r = a;                                                                                                       \
        trapped_mxcsr = 0;                                                                                             \
        if (sizeof(T) == 4)                                                                                            \
            __asm__ volatile("movd %2, %%xmm0\n\tmovd %3, %%xmm1\n\tldmxcsr %4\n\t" op                                 \
                             "\n\tstmxcsr %1\n\tldmxcsr %5\n\tmovd %%xmm0, %0"                                         \
                             : "=r"(r), "=m"(after)                                                                    \
                             : "r"(a), "r"(b), "m"(mxcsr), "m"(keep)                                                   \
                             : "xmm0", "xmm1", "eax", "memory");                                                       \
        else                                                                                                           \
            __asm__ volatile("movsd %2, %%xmm0\n\tmovsd %3, %%xmm1\n\tldmxcsr %4\n\t" op                               \
                             "\n\tstmxcsr %1\n\tldmxcsr %5\n\tmovsd %%xmm0, %0"                                        \
                             : "=m"(r), "=m"(after)                                                                    \
                             : "m"(a), "m"(b), "m"(mxcsr), "m"(keep)                                                   \
                             : "xmm0", "xmm1", "eax", "memory");                                                       \
        host_mxcsr = trapped_mxcsr ? trapped_mxcsr : after;                                                            \
        return r;                                                                                                      \
    }
#define SSE_OPS(OP) OP(add) OP(sub) OP(mul) OP(div) OP(min) OP(max)
#define HOST_OP(o)                                                                                                     \
    HOST_SSE2(host_##o##ss, u32, #o "ss %%xmm1, %%xmm0") HOST_SSE2(host_##o##sd, u64, #o "sd %%xmm1, %%xmm0")
SSE_OPS(HOST_OP)
HOST_SSE2(host_sqrtss, u32, "sqrtss %%xmm1, %%xmm0")
HOST_SSE2(host_sqrtsd, u64, "sqrtsd %%xmm1, %%xmm0")
HOST_SSE2(host_cmpltss, u32, "cmpltss %%xmm1, %%xmm0")
HOST_SSE2(host_cmplesd, u64, "cmplesd %%xmm1, %%xmm0")
HOST_SSE2(host_cmpeqss, u32, "cmpeqss %%xmm1, %%xmm0")
HOST_SSE2(host_cmpunordsd, u64, "cmpunordsd %%xmm1, %%xmm0")
HOST_SSE2(host_cvtss2sd, u64, "cvtss2sd %%xmm1, %%xmm0")
HOST_SSE2(host_cvtsd2ss, u64, "xorps %%xmm0, %%xmm0\n\tcvtsd2ss %%xmm1, %%xmm0")
HOST_SSE2(host_cvtps2dq, u64, "cvtps2dq %%xmm1, %%xmm0")
HOST_SSE2(host_cvttps2dq, u64, "cvttps2dq %%xmm1, %%xmm0")
HOST_SSE2(host_cvtpd2dq, u64, "cvtpd2dq %%xmm1, %%xmm0")
HOST_SSE2(host_cvttpd2dq, u64, "cvttpd2dq %%xmm1, %%xmm0")
HOST_SSE2(host_cvtdq2ps, u64, "cvtdq2ps %%xmm1, %%xmm0")
#ifdef __x86_64__
HOST_SSE2(host_cvtsd2si64, u64, "cvtsd2si %%xmm1, %%rax\n\tmovq %%rax, %%xmm0")
HOST_SSE2(host_cvttss2si64, u64, "cvttss2si %%xmm1, %%rax\n\tmovq %%rax, %%xmm0")
HOST_SSE2(host_cvtsi2ss64, u64, "movq %%xmm1, %%rax\n\txorps %%xmm0, %%xmm0\n\tcvtsi2ss %%rax, %%xmm0")
HOST_SSE2(host_cvtsi2sd64, u64, "movq %%xmm1, %%rax\n\txorps %%xmm0, %%xmm0\n\tcvtsi2sd %%rax, %%xmm0")
#endif

#define ROUND_OP(n)                                                                                                    \
    HOST_SSE2(host_roundss##n, u32, "roundss $" #n ", %%xmm1, %%xmm0")                                                 \
    HOST_SSE2(host_roundsd##n, u64, "roundsd $" #n ", %%xmm1, %%xmm0")
// clang-format off: these end without a semicolon
ROUND_OP(0)
ROUND_OP(1)
ROUND_OP(2)
ROUND_OP(3)
ROUND_OP(4)
ROUND_OP(8)
ROUND_OP(12)
// clang-format on

static void check_sse(const char *name, u32 mxcsr, u64 a, u64 b, u64 got, struct fenv_x *e, u64 want)
{
    bool trap = host_mxcsr >> 31, ours = (e->flags & ~e->masks) != 0;
    if (trap != ours || (!trap && got != want) || e->flags != (host_mxcsr & 0x3F)) {
        if (mismatches++ < 10)
            printf("# %s mxcsr=%04x a=%" PRIx64 " b=%" PRIx64 " got %" PRIx64 " %02x trap %d host %" PRIx64
                   " %02x trap %d\n",
                   name, mxcsr, a, b, got, e->flags, ours, want, host_mxcsr & 0x3F, trap);
    }
}

#define SSE_RUN(nm, ours, host, a, b)                                                                                  \
    do {                                                                                                               \
        struct fenv_x e = fx_from_mxcsr(mxcsr);                                                                        \
        u64 got_ = (ours), want_ = host;                                                                               \
        check_sse(nm, mxcsr, a, b, got_, &e, want_);                                                                   \
    } while (0)

static void sse_case(u32 mxcsr, u32 a, u32 b, u64 c, u64 d)
{
#define RUN_OP(o)                                                                                                      \
    SSE_RUN(#o "ss", f32_##o(&e, a, b), host_##o##ss(mxcsr, a, b), a, b);                                              \
    SSE_RUN(#o "sd", f64_##o(&e, c, d), host_##o##sd(mxcsr, c, d), c, d);
    SSE_OPS(RUN_OP)
    SSE_RUN("sqrtss", f32_sqrt(&e, b), host_sqrtss(mxcsr, a, b), a, b);
    SSE_RUN("sqrtsd", f64_sqrt(&e, d), host_sqrtsd(mxcsr, c, d), c, d);
    SSE_RUN("cmpltss", (f32_compare(&e, a, b, false) == FP_LT ? 0xFFFFFFFFu : 0), host_cmpltss(mxcsr, a, b), a, b);
    SSE_RUN("cmpeqss", (f32_compare(&e, a, b, true) == FP_EQ ? 0xFFFFFFFFu : 0), host_cmpeqss(mxcsr, a, b), a, b);
    SSE_RUN("cmplesd", (f64_compare(&e, c, d, false) <= FP_EQ ? ~0ull : 0), host_cmplesd(mxcsr, c, d), c, d);
    SSE_RUN("cmpunordsd", (f64_compare(&e, c, d, true) == FP_UN ? ~0ull : 0), host_cmpunordsd(mxcsr, c, d), c, d);
    SSE_RUN("cvtss2sd", f32_to_f64(&e, a), host_cvtss2sd(mxcsr, 0, a), a, 0);
    SSE_RUN("cvtsd2ss", f64_to_f32(&e, c), host_cvtsd2ss(mxcsr, 0, c), c, 0);
    u8 rm = mxcsr >> 13 & 3;
    SSE_RUN("cvtps2dq", (u32)f32_to_i32(&e, a, rm), (u32)host_cvtps2dq(mxcsr, 0, a), a, 0);
    SSE_RUN("cvttps2dq", (u32)f32_to_i32(&e, a, FX_TRUNC), (u32)host_cvttps2dq(mxcsr, 0, a), a, 0);
    SSE_RUN("cvtpd2dq", (u32)f64_to_i32(&e, c, rm), (u32)host_cvtpd2dq(mxcsr, 0, c), c, 0);
    SSE_RUN("cvttpd2dq", (u32)f64_to_i32(&e, c, FX_TRUNC), (u32)host_cvttpd2dq(mxcsr, 0, c), c, 0);
    SSE_RUN("cvtdq2ps", f32_from_i64(&e, (i32)a), (u32)host_cvtdq2ps(mxcsr, 0, a), a, 0);
#ifdef __x86_64__
    SSE_RUN("cvtsd2si", (u64)f64_to_i64(&e, c, rm), host_cvtsd2si64(mxcsr, 0, c), c, 0);
    SSE_RUN("cvttss2si", (u64)f32_to_i64(&e, a, FX_TRUNC), host_cvttss2si64(mxcsr, 0, a), a, 0);
    SSE_RUN("cvtsi2ss", f32_from_i64(&e, (i64)c), host_cvtsi2ss64(mxcsr, 0, c), c, 0);
    SSE_RUN("cvtsi2sd", f64_from_i64(&e, (i64)c), host_cvtsi2sd64(mxcsr, 0, c), c, 0);
#endif
}

static void round_case(u32 mxcsr, u32 a, u64 c)
{
    u8 rm = mxcsr >> 13 & 3;
#define RUN_ROUND(n)                                                                                                   \
    SSE_RUN("roundss " #n, f32_rndint(&e, a, n & 4 ? rm : n & 3, n & 8), host_roundss##n(mxcsr, 0, a), a, n);          \
    SSE_RUN("roundsd " #n, f64_rndint(&e, c, n & 4 ? rm : n & 3, n & 8), host_roundsd##n(mxcsr, 0, c), c, n);
    RUN_ROUND(0) RUN_ROUND(1) RUN_ROUND(2) RUN_ROUND(3) RUN_ROUND(4) RUN_ROUND(8) RUN_ROUND(12)
}

static void sse41_round(void)
{
    if (!__builtin_cpu_supports("sse4.1")) SKIP("the host has no SSE4.1");
    mismatches = 0;
    rng_state = 8642ull;
    for (int i = 0; i < 20000; i++) {
        u32 r = (u32)rnd();
        round_case(0x1F80 | (r & 3) << 13 | (r >> 2 & 1) << 6 | (r >> 3 & 1) << 15, random32(), random64());
    }
    CHECK_EQ(mismatches, 0);
}

static void sse_masked(void)
{
    mismatches = 0;
    rng_state = 24680ull;
    for (unsigned i = 0; i < ARRAY_LEN(edge64); i++)
        for (unsigned j = 0; j < ARRAY_LEN(edge64); j++)
            for (u32 k = 0; k < 16; k++) {
                u32 mxcsr = 0x1F80 | (k & 3) << 13 | (k >> 2 & 1) << 6 | (k >> 3) << 15;
                sse_case(mxcsr, edge32[i % ARRAY_LEN(edge32)], edge32[j % ARRAY_LEN(edge32)], edge64[i], edge64[j]);
            }
    for (int i = 0; i < 30000; i++) {
        u32 r = (u32)rnd();
        sse_case(0x1F80 | (r & 3) << 13 | (r >> 2 & 1) << 6 | (r >> 3 & 1) << 15, random32(), random32(), random64(),
                 random64());
    }
    CHECK_EQ(mismatches, 0);
}

static void sse_unmasked(void)
{
    struct sigaction sa = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGFPE, &sa, &old);
    mismatches = 0;
    rng_state = 97531ull;
    for (int i = 0; i < 6000; i++) {
        u32 r = (u32)rnd();
        u32 mxcsr = (u32)mask_sets[(r >> 8) % 10] << 7 | (r & 3) << 13 | (r >> 2 & 1) << 6 | (r >> 3 & 1) << 15;
        sse_case(mxcsr, random32(), random32(), random64(), random64());
    }
    sigaction(SIGFPE, &old, NULL);
    CHECK_EQ(mismatches, 0);
}
#endif

// Bits and flags of the short cuts must be the soft float's, for every MXCSR.
static void fast_paths(void)
{
    mismatches = 0;
    rng_state = 1234321ull;
    for (int i = 0; i < 300000; i++) {
        u32 m = (u32)rnd(), mxcsr = 0x1FA0 | ((i & 7) == 0 ? (m & 0x8040) | (m >> 16 & 3) << 13 : 0);
        if ((i & 31) == 8) mxcsr &= ~0x20u;
        if ((i & 31) == 16) mxcsr &= ~0x1000u;
        u32 a = random32(), b = random32();
        u64 c = random64(), d = random64();
        struct fenv_x e, f;
#define FAST_RUN(fast, soft, ...)                                                                                      \
    do {                                                                                                               \
        e = f = fx_from_mxcsr(mxcsr);                                                                                  \
        u64 r = (u64)fast, w = (u64)soft;                                                                              \
        if ((r != w && !(e.flags & ~e.masks)) || e.flags != f.flags) {                                                 \
            if (mismatches++ < 10)                                                                                     \
                printf("# " #fast " mxcsr=%x %x %x %" PRIx64 " %" PRIx64 ": %" PRIx64 " %x want %" PRIx64 " %x\n",     \
                       mxcsr, a, b, c, d, r, e.flags, w, f.flags);                                                     \
        }                                                                                                              \
    } while (0)
        FAST_RUN(f32_add_fast(&e, a, b), f32_add(&f, a, b));
        FAST_RUN(f32_sub_fast(&e, a, b), f32_sub(&f, a, b));
        FAST_RUN(f32_mul_fast(&e, a, b), f32_mul(&f, a, b));
        FAST_RUN(f32_div_fast(&e, a, b), f32_div(&f, a, b));
        FAST_RUN(f32_sqrt_fast(&e, a), f32_sqrt(&f, a));
        FAST_RUN(f64_add_fast(&e, c, d), f64_add(&f, c, d));
        FAST_RUN(f64_sub_fast(&e, c, d), f64_sub(&f, c, d));
        FAST_RUN(f64_mul_fast(&e, c, d), f64_mul(&f, c, d));
        FAST_RUN(f64_div_fast(&e, c, d), f64_div(&f, c, d));
        FAST_RUN(f64_sqrt_fast(&e, c), f64_sqrt(&f, c));
        FAST_RUN(f32_to_f64_fast(&e, a), f32_to_f64(&f, a));
        FAST_RUN(f64_to_f32_fast(&e, c), f64_to_f32(&f, c));
        FAST_RUN(f64_to_i32_trunc_fast(&e, c), f64_to_i32(&f, c, FX_TRUNC));
        FAST_RUN(f64_to_i64_trunc_fast(&e, c), f64_to_i64(&f, c, FX_TRUNC));
        FAST_RUN(f32_to_i32_trunc_fast(&e, a), f32_to_i32(&f, a, FX_TRUNC));
        FAST_RUN(f64_from_i32_fast((i32)a), f64_from_i64(&f, (i32)a));
        FAST_RUN(f32_compare_fast(&e, a, b, i & 1), f32_compare(&f, a, b, i & 1));
        FAST_RUN(f64_compare_fast(&e, c, d, i & 1), f64_compare(&f, c, d, i & 1));
    }
    CHECK_EQ(mismatches, 0);
}

#define FAST80_RUN(T, fast, soft, same)                                                                                \
    do {                                                                                                               \
        struct fenv_x e = fx_from_fcw(cw), f = e;                                                                      \
        T x = fast, y = soft;                                                                                          \
        if (!(same) || e.flags != f.flags || e.c1 != f.c1) {                                                           \
            if (mismatches++ < 10)                                                                                     \
                printf("# " #fast " cw=%03x %04x:%016" PRIx64 " %04x:%016" PRIx64 "\n", cw, a.se, a.m, b.se, b.m);     \
        }                                                                                                              \
    } while (0)
static void fast80_paths(void)
{
    mismatches = 0;
    rng_state = 55555ull;
    for (int i = 0; i < 200000; i++) {
        struct f80 a = random80(), b = random80();
        if (i & 1) b.se = (u16)((a.se & 0x7FFF) + (rnd() & 0x803F));
        u32 s = random32();
        u64 d = random64();
        u16 cw = i & 7 ? 0x37F : (u16)(0x340 | (rnd() & 0xD3F));
        FAST80_RUN(struct f80, f80_addsub_fast(&e, a, b, false), f80_add(&f, fpn_f80(a), fpn_f80(b)), same80(x, y));
        FAST80_RUN(struct f80, f80_addsub_fast(&e, a, b, true), f80_sub(&f, fpn_f80(a), fpn_f80(b)), same80(x, y));
        FAST80_RUN(struct f80, f80_mul_fast(&e, a, b), f80_mul(&f, fpn_f80(a), fpn_f80(b)), same80(x, y));
        FAST80_RUN(struct f80, f80_div_fast(&e, a, b), f80_div(&f, fpn_f80(a), fpn_f80(b)), same80(x, y));
        FAST80_RUN(int, f80_compare_fast(&e, a, b, i & 2), f80_compare(&f, fpn_f80(a), fpn_f80(b), i & 2), x == y);
        FAST80_RUN(struct f80, f80_from_f32_fast(&e, s), f80_from_f32(&f, s), same80(x, y));
        FAST80_RUN(struct f80, f80_from_f64_fast(&e, d), f80_from_f64(&f, d), same80(x, y));
        FAST80_RUN(u32, f80_to_f32_fast(&e, a), f80_to_f32(&f, a), x == y);
        FAST80_RUN(u64, f80_to_f64_fast(&e, a), f80_to_f64(&f, a), x == y);
        b = (struct f80){a.m | (rnd() & 1 ? 0x400 : 0x8000000000), (u16)(0x3FFF + (rnd() & 0x8001))};
        b.m &= rnd() & 1 ? ~0x3FFull : ~0x7FFFFFFFFFull;
        b.m |= 1ull << 63;
        FAST80_RUN(u32, f80_to_f32_fast(&e, b), f80_to_f32(&f, b), x == y);
        FAST80_RUN(u64, f80_to_f64_fast(&e, b), f80_to_f64(&f, b), x == y);
    }
    CHECK_EQ(mismatches, 0);
}

static void reference_values(void)
{
    mismatches = 0;
    for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
        struct fenv_x e = fx_from_fcw(0x37F);
        struct fpn x = fpn_f80(refs[i].x), y = fpn_f80(refs[i].y);
        bool partial = false;
        struct f80 r;
        switch (refs[i].fn) {
        case REF_F2XM1: r = f80_f2xm1(&e, x); break;
        case REF_SIN: r = f80_sin(&e, x, &partial); break;
        case REF_COS: r = f80_cos(&e, x, &partial); break;
        case REF_TAN: r = f80_tan(&e, x, &partial); break;
        case REF_YL2X: r = f80_yl2x(&e, x, y); break;
        case REF_YL2XP1: r = f80_yl2xp1(&e, x, y); break;
        default: r = f80_atan2(&e, y, x); break;
        }
        if (!same80(r, refs[i].want) || e.flags != FX_PE || partial) {
            if (mismatches++ < 10)
                printf("# ref %zu fn %d: %04x:%016" PRIx64 " want %04x:%016" PRIx64 "\n", i, refs[i].fn, r.se, r.m,
                       refs[i].want.se, refs[i].want.m);
        }
    }
    CHECK_EQ(mismatches, 0);
}

static const struct check_test tests[] = {
    TEST(fast_paths),
    TEST(fast80_paths),
    TEST(reference_values),
#if defined(__x86_64__) || defined(__i386__)
    TEST(x87_add),
    TEST(x87_sub),
    TEST(x87_mul),
    TEST(x87_div),
    TEST(x87_sqrt),
    TEST(x87_rndint),
    TEST(x87_scale),
    TEST(x87_rem),
    TEST(x87_compare),
    TEST(x87_extract_xam),
    TEST(x87_stores),
    TEST(x87_loads),
    TEST(x87_transcendental),
    TEST(sse_masked),
    TEST(sse41_round),
    TEST(sse_unmasked),
#endif
};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
