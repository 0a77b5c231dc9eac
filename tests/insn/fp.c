// SPDX-License-Identifier: MIT
// x87, MMX and SSE rows on a whole processor, by the interpreter and by the translator: against vectors recorded from a
// real processor (an AMD EPYC; tests/insn/fp.vec) on any host, and against the host itself where it is x86-64 Linux.
//   fp [PATTERN]       judges both engines; CASES=n by the host, each form (default 200), SEED=n
//   fp record [FILE]   writes the vectors: cases whose outcome on the interpreter the host confirms
// A case is made again from its seed (row, form, attempt), so a digest of the outcome is enough. fp.vec: per row and
// form: name, NUL, form (1 byte: 1 = memory), count (2), then attempt (2), input (2), outcome (4): digests (CRC-32, the
// input's lower half), little-endian.
#include <math.h>
#include <zlib.h>
#include "cpu/fpu/x87.h"
#include "interp/interp.h"
#include "tests/insn/machine.h"
#include "tests/insn/native.h"
#include "tests/insn/simd_form.h"
#ifdef CONFIG_TCG
#include "tests/insn/translated.h"
#endif

enum { FX_FSW = 2, FX_TAGS = 4, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160, FX_USED = 416 };
enum { MEM_SIZE = 256, OPERAND = NATIVE_DATA + 64, DATA_PA = 0x210000, CODE_PA = 0x200800 };

struct outcome { // and input
    u8 fx[512] __attribute__((aligned(16)));
    u64 gpr[16];
    u32 flags;
    u8 mem[MEM_SIZE]; // at NATIVE_DATA
    enum native_fault fault;
};
struct fpcase {
    struct form f;
    struct outcome in;
    struct insn insn;
};

static const u8 file_of[OP_COUNT] = {
// 1: insn-x87.def, 2: insn-simd.def
#define INSN(name, ...) [OP_##name] = 1,
#include "cpu/insn-x87.def"
#undef INSN
#define INSN(name, ...) [OP_##name] = 2,
#include "cpu/insn-simd.def"
#undef INSN
};
static bool is_x87(const struct insn_row *row) { return file_of[row - insn_rows] == 1; }

// ---- cases
static struct f80 f80_value(void)
{
    static const struct f80 edge[] = {{0, 0},
                                      {0, 0x8000},
                                      {1, 0},
                                      {1ull << 63, 0},
                                      {1ull << 63, 0x3fff},
                                      {1ull << 63, 0xbfff},
                                      {1ull << 63, 0x7fff},
                                      {1ull << 63, 0xffff},
                                      {3ull << 62, 0xffff},
                                      {0xd000000000000001, 0x7fff},
                                      {0x9000000000000001, 0x7fff},
                                      {0x7000000000000001, 0x7fff},
                                      {0x7000000000000001, 0x4002},
                                      {~0ull, 0x7ffe},
                                      {3ull << 62, 0x3ffe},
                                      {0xc90fdaa22168c235, 0x4000}};
    // What rnd() says depends on the order, which C leaves open within an expression.
    struct f80 v;
    v.m = rnd() | 1ull << 63;
    v.se = (u16)(0x3ff0 + below(32));
    v.se |= (u16)(below(2) << 15);
    switch (below(8)) {
    case 0: return edge[below(ARRAY_LEN(edge))];
    case 1: v.se = (u16)rnd(); return v;
    case 2: v.m = rnd() << 54 | 1ull << 63; return v;
    case 3:
        v.m = rnd();
        v.m = v.m << below(64) | 1ull << 63;
        return v;
    default: return v;
    }
}

static bool x87_build(const struct insn_row *row, bool mem, struct form *f)
{
    unsigned op, more;
    char form[8] = "";
    memset(f, 0, sizeof *f);
    if (sscanf(row->opcode, "%x %7s", &op, form) != 2 || op < 0xd8 || op > 0xdf) return false;
    if (mem != !!strstr(row->opcode, "mem")) return false;
    if (mem && below(4) == 0) f->bytes[f->len++] = 0x66; // 14- and 94-byte images
    f->bytes[f->len++] = (u8)op;
    if (sscanf(form, "/%u", &more) == 1)
        f->bytes[f->len++] = (u8)(more << 3 | (mem ? 7 : 0xc0 | below(8)));
    else
        f->bytes[f->len++] = (u8)strtoul(form, NULL, 16);
    return true;
}

static void x87_state(u8 *fx)
{
    static const u8 masks[] = {0x3f, 0x3f, 0x3f, 0x00, 0x3e, 0x3d, 0x27, 0x1f};
    u8 mask = below(4) ? masks[below(8)] : 0x3f;
    u16 fcw = 0x37f;
    if (mask != 0x3f || !below(2)) {
        fcw = (u16)(0x40 | mask | below(4) << 10);
        fcw |= (u16)((below(2) ? 3 : 2 * below(2)) << 8);
    }
    u16 fsw = (u16)(rnd() & mask); // nothing pending
    fsw |= (u16)((rnd() & 0x7f) << 8);
    st16(fx, fcw);
    st16(fx + FX_FSW, fsw);
    fx[FX_TAGS] = below(4) ? 0xff : (u8)rnd();
    if (below(2)) fx[FX_TAGS] &= (u8) ~(1u << ((fsw >> 11) + 7) % 8); // room for a push
    for (unsigned k = 0; k < 8; k++) {
        struct f80 v = f80_value();
        st64(fx + FX_ST + 16 * k, v.m);
        st64(fx + FX_ST + 16 * k + 8, v.se);
    }
}

static void x87_operand(u8 *p, unsigned op)
{
    struct f80 v = f80_value();
    if (op == 0xd8 || op == 0xd9) st32(p, float_value());
    if (op == 0xdc || op == 0xdd) st64(p, double_value());
    if (op == 0xdb && below(2)) st64(p, v.m), st16(p + 8, v.se);
    if (op == 0xdf && below(2))
        for (unsigned k = 0; k < 10; k++) {
            p[k] = (u8)(k == 9 ? below(2) << 7 : below(10) << 4);
            if (k < 9) p[k] |= (u8)below(10);
        }
}

static void seed_case(const char *row, bool mem, unsigned attempt)
{
    u64 h = 14695981039346656037ull; // FNV-1a
    for (const char *p = row; *p; p++) h = (h ^ (u8)*p) * 1099511628211ull;
    seed = (h ^ ((u64)attempt << 1 | mem)) * 0x9e3779b97f4a7c15ull | 1;
    for (int k = 0; k < 4; k++) rnd();
}

// What the manual leaves open.
static bool open_operand(const struct insn_row *row, const u8 *fx)
{
    struct fpn x = fpn_f80((struct f80){ld64(fx + FX_ST), ld16(fx + FX_ST + 8)});
    bool finite = x.cls == FP_NORM_;
    if (!strcmp(row->mnemonic, "f2xm1"))
        return x.cls == FP_INF_ || (finite && (x.exp > 0 || (x.exp == 0 && x.sig << 1)));
    if (!strcmp(row->mnemonic, "fyl2xp1")) return x.cls == FP_INF_ || (finite && x.exp >= -2);
    return false;
}

static bool make_case(struct cpu *c, unsigned op, bool mem, unsigned attempt, struct fpcase *k)
{
    const struct insn_row *row = &insn_rows[op];
    struct outcome *in = &k->in;
    seed_case(row->name, mem, attempt);
    if (!(is_x87(row) ? x87_build(row, mem, &k->f) : simd_build(row, mem, &k->f))) return false;
    if (decode(c->decoder, k->f.bytes, 15, MODE_64, &k->insn) != DECODE_OK || k->insn.op != op) return false;
    memset(in, 0, sizeof *in);
    u8 *fx = in->fx;
    if (is_x87(row)) {
        x87_state(fx);
    } else {
        st16(fx, 0x37f);
        st16(fx + FX_FSW, (u16)(below(8) << 11));
        fx[FX_TAGS] = (u8)rnd();
        for (unsigned n = 0; n < 8; n++) {
            fill16(fx + FX_ST + 16 * n);
            memset(fx + FX_ST + 16 * n + 10, 0, 6);
        }
    }
    for (unsigned n = 0; n < 16; n++) fill16(fx + FX_XMM + 16 * n);
    for (unsigned n = 0; n < MEM_SIZE; n += 16) fill16(in->mem + n);
    if (is_x87(row)) x87_operand(in->mem + 64, k->f.bytes[k->f.len - 2]);
    u32 mxcsr = 0x1fa0;
    if (below(3)) {
        mxcsr = 0x1f80 | below(4) << 13;
        mxcsr |= below(2) << 15;
        mxcsr |= below(2) << 6;
        mxcsr |= below(64);
    }
    if (below(4) == 0) mxcsr &= ~((u32)rnd() & 0x1f80);
    bool ldmxcsr = strstr(row->name, "LDMXCSR");
    if (ldmxcsr) {
        u32 v = (u32)rnd();
        st32(in->mem + 64, v & (below(4) ? 0xffff : 0x1ffff));
    }
    st32(fx + FX_MXCSR, mxcsr);
    st32(fx + FX_MXCSR + 4, 0xffff);
    for (unsigned n = 0; n < 16; n++) in->gpr[n] = integer();
    in->gpr[R_RDI] = OPERAND;
    if (below(16) == 0 && row->feat != FEAT_SHA && !ldmxcsr && !is_x87(row)) in->gpr[R_RDI] += 1 + below(15);
    in->gpr[R_RSP] = NATIVE_DATA + NATIVE_DATA_SIZE - 64;
    in->flags = FL_R1 | FL_IF | (u32)(rnd() & FL_ARITH);
    return !is_x87(row) || !open_operand(row, fx);
}

// ---- the host
static void run_native(const struct fpcase *k, struct outcome *o)
{
    struct native_state s = {.flags = k->in.flags, .use_fx = true};
    *o = k->in;
    memcpy(s.gpr, k->in.gpr, sizeof s.gpr);
    memcpy(s.fx, k->in.fx, sizeof s.fx);
    memcpy((void *)(uintptr_t)NATIVE_DATA, k->in.mem, MEM_SIZE);
    o->fault = native_run(&s, k->f.bytes, k->f.len, false);
#ifdef __x86_64__
    u32 usual = 0x1f80;
    __asm__ volatile("fninit; ldmxcsr %0" ::"m"(usual));
    memcpy(o->fx, o->fault == NATIVE_OK ? s.fx : native_ctx.fx, sizeof s.fx);
#endif
    memcpy(o->gpr, s.gpr, sizeof s.gpr);
    o->flags = (u32)s.flags;
    memcpy(o->mem, (void *)(uintptr_t)NATIVE_DATA, MEM_SIZE);
}

// ---- ours
// 64-bit code in ring 0, the native arena's addresses mapped to RAM from 2 MB on.
static struct machine *whole_machine(const struct cpu_engine *engine)
{
    struct machine *m = machine_long_engine("max", engine);
    struct cpu *c = m->c;
    poke(m, PDIR + 8 * (NATIVE_BASE >> 21), 0x200087, 8);
    RUNS(c, sys_write_cr(c, 4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT));
    c->cr0 |= CR0_MP;
    return m;
}

static void run_ours(struct machine *m, const struct fpcase *k, struct outcome *o)
{
    struct cpu *c = m->c;
    jmp_buf jb;
    *o = k->in;
    memcpy(m->ram->host + CODE_PA, k->f.bytes, 15);
    memcpy(m->ram->host + DATA_PA, k->in.mem, MEM_SIZE);
    c->engine->invalidate(c, CODE_PA, 16);
    memcpy(c->gpr, k->in.gpr, sizeof k->in.gpr);
    c->gpr[R_RIP] = NATIVE_INSN;
    for (unsigned n = 0; n < 16; n++) memcpy(c->vec[n].b, k->in.fx + FX_XMM + 16 * n, 16);
    c->cc_op = CC_EFLAGS;
    c->eflags = k->in.flags;
    c->mxcsr = ld32(k->in.fx + FX_MXCSR);
    c->fpu.fsw = 0;
    x87_fx_load(c, k->in.fx, true);
    cpu_update_mode(c);
    c->exc = -1;
    c->attn = 0;
    c->icount = 0, c->icount_limit = 1;
    cpu_set_jump_context(c);
    c->fault = &jb;
    if (!setjmp(jb)) {
        while (!c->icount) { // what is made in two steps, or looks at attn first
            c->attn = 0;
            c->engine->run(c);
        }
    }
    c->fault = NULL;
    c->cur = NULL;
    static const u8 faults[20] = {
        [EXC_DE] = NATIVE_DE, [EXC_UD] = NATIVE_UD,  [EXC_GP] = NATIVE_GP, [EXC_SS] = NATIVE_GP,
        [EXC_PF] = NATIVE_PF, [EXC_MF] = NATIVE_FPE, [EXC_XM] = NATIVE_FPE};
    o->fault = c->exc < 0 ? NATIVE_OK : c->exc < 20 && faults[c->exc] ? (enum native_fault)faults[c->exc] : NATIVE_TRAP;
    memcpy(o->gpr, c->gpr, sizeof o->gpr);
    o->flags = flags_get(c);
    for (unsigned n = 0; n < 16; n++) memcpy(o->fx + FX_XMM + 16 * n, c->vec[n].b, 16);
    x87_fx_store(&c->fpu, o->fx, true);
    st32(o->fx + FX_MXCSR, c->mxcsr);
    memcpy(o->mem, m->ram->host + DATA_PA, MEM_SIZE);
}

// ---- judgement
// Takes out what is not compared: FOP, FIP and FDP (AMD saves them only with an exception), also in memory images.
static void normalise(const struct fpcase *k, struct outcome *o)
{
    const u8 *b = k->f.bytes + k->f.len - 2;
    memset(o->fx + 6, 0, 18);
    memset(o->fx + 28, 0, 4);
    memset(o->fx + FX_USED, 0, 512 - FX_USED);
    for (unsigned n = 0; n < 8; n++) memset(o->fx + FX_ST + 16 * n + 10, 0, 6);
    if (k->insn.is_mem && (b[0] == 0xd9 || b[0] == 0xdd) && b[1] >> 3 == 6) { // FNSTENV, FNSAVE
        bool small = k->f.bytes[0] == 0x66;
        memset(o->mem + 64 + (small ? 6 : 12), 0, small ? 8 : 16);
    }
    o->flags &= FL_ARITH | FL_DF;
    if (o->fault != NATIVE_OK) o->flags = 0;
}

static u32 digest(const struct fpcase *k, const struct outcome *o)
{
    u8 b[8] = {(u8)o->fault};
    st32(b + 4, o->flags);
    u32 crc = (u32)crc32((u32)crc32(0, b, 8), o->fx, FX_USED);
    for (unsigned r = 0; r < 16; r++) {
        st64(b, o->gpr[r]);
        crc = (u32)crc32(crc, b, 8);
    }
    return (u32)crc32((u32)crc32(crc, o->mem, MEM_SIZE), k->f.bytes, k->f.len);
}

static bool is_trans(const u8 *b)
{
    return b[0] == 0xd9 && (b[1] == 0xf9 || b[1] == 0xfb || b[1] >= 0xfe || (b[1] >= 0xf0 && b[1] <= 0xf3));
}
static bool is_compare(const u8 *b)
{
    unsigned k = b[1] >> 3 & 7;
    if (b[0] == 0xd9) return b[1] == 0xe4;
    if (b[0] == 0xdb || b[0] == 0xdf) return b[1] >= 0xe8;
    return b[0] == 0xdd ? b[1] >= 0xe0 : k == 2 || k == 3 || (b[0] == 0xda && b[1] == 0xe9);
}

// Brings what may differ in ours (o) to the host's (w), within its bounds: see x87.c and simd.c.
static void tolerate(const struct fpcase *k, struct outcome *o, const struct outcome *w)
{
    const u8 *b = k->f.bytes + k->f.len - 2;
    u16 sw = 0xffff;
    if (is_x87(&insn_rows[k->insn.op])) {
        bool ie = ld16(w->fx + FX_FSW) & ~ld16(w->fx) & FX_IE;
        bool fcomi = !k->insn.is_mem && (b[0] == 0xdb || b[0] == 0xdf) && b[1] >= 0xe8;
        if (is_compare(b) && ie) sw &= (u16)~FSW_CC;
        if (fcomi) sw &= (u16)~FSW_C1;
        if (fcomi && ie) o->flags = w->flags;
        for (unsigned n = 0; n < 8 && is_trans(b); n++) {
            u8 *x = o->fx + FX_ST + 16 * n;
            const u8 *y = w->fx + FX_ST + 16 * n;
            i64 d = (i64)((ld64(x) << 1) - (ld64(y) << 1));
            int e = ld16(x + 8) - ld16(y + 8);
            sw &= (u16)~FSW_C1;
            if (e == 0 ? d <= 2 && d >= -2 : (e == 1 || e == -1) && d <= 4 && d >= -4) memcpy(x, y, 10);
        }
        u16 v = (u16)((ld16(o->fx + FX_FSW) & sw) | (ld16(w->fx + FX_FSW) & ~sw));
        st16(o->fx + FX_FSW, v);
    }
    for (unsigned n = 0; n < 4 && k->f.approx; n++) {
        unsigned off = (unsigned)(k->in.gpr[R_RDI] - NATIVE_DATA);
        const u8 *src = k->insn.is_mem ? k->in.mem + off : k->in.fx + FX_XMM + 16 * k->insn.rm;
        u8 *x = o->fx + FX_XMM + 16 * k->insn.reg + 4 * n;
        const u8 *y = w->fx + FX_XMM + 16 * k->insn.reg + 4 * n;
        float got, want, v;
        memcpy(&got, x, 4), memcpy(&want, y, 4), memcpy(&v, src + 4 * n, 4);
        double exact = strstr(insn_rows[k->insn.op].name, "SQRT") ? 1 / sqrt((double)v) : 1 / (double)v;
        bool tiny = fabs(exact) > 0x0.ffep-126 && fabs(exact) < 0x1.002p-126 && got == 0;
        if (tiny || fabs(got - exact) <= fabs(exact) * 1.5 * 0x1p-12) memcpy(x, y, 4);
    }
}

static void show(const struct fpcase *k, const struct outcome *o, const struct outcome *w)
{
    printf("# %s:", insn_rows[k->insn.op].name);
    for (unsigned n = 0; n < k->f.len; n++) printf(" %02x", k->f.bytes[n]);
    printf(
        "  fault %d, want %d; fcw %04x fsw %04x -> %04x, want %04x; mxcsr %04x -> %04x, want %04x; flags %x, want %x\n",
        (int)o->fault, (int)w->fault, ld16(k->in.fx), ld16(k->in.fx + 2), ld16(o->fx + 2), ld16(w->fx + 2),
        ld32(k->in.fx + FX_MXCSR), ld32(o->fx + FX_MXCSR), ld32(w->fx + FX_MXCSR), o->flags, w->flags);
    for (unsigned n = 0; n < FX_USED; n += 16)
        if (memcmp(o->fx + n, w->fx + n, 16))
            printf("#   image %u: %016" PRIx64 "%016" PRIx64 ", want %016" PRIx64 "%016" PRIx64 "\n", n,
                   ld64(o->fx + n + 8), ld64(o->fx + n), ld64(w->fx + n + 8), ld64(w->fx + n));
    for (unsigned n = 0; n < 16; n++)
        if (o->gpr[n] != w->gpr[n]) printf("#   r%u %" PRIx64 ", want %" PRIx64 "\n", n, o->gpr[n], w->gpr[n]);
    for (unsigned n = 0; n < MEM_SIZE; n++)
        if (o->mem[n] != w->mem[n]) {
            printf("#   memory %u: %02x, want %02x\n", n, o->mem[n], w->mem[n]);
            break;
        }
}

// Whether the host does what ours did; what it does not know (#UD) it cannot judge, unless `all`.
static bool confirmed(const struct fpcase *k, const struct outcome *ours, bool all, bool loud)
{
    struct outcome w, o = *ours;
    run_native(k, &w);
    if (w.fault == NATIVE_UD && !all) return true;
    normalise(k, &w);
    tolerate(k, &o, &w);
    if (digest(k, &o) == digest(k, &w)) return true;
    if (loud) show(k, &o, &w);
    return false;
}

static bool runnable(unsigned op) { return file_of[op] && !(insn_rows[op].attr & (A_CPL0 | A_VEX)); }

// ---- vectors
enum { RECORDED = 40, TRIES = 200 };
static int record(const char *file)
{
    if (!native_open()) return printf("skip fp: no native x86-64\n") < 0;
    struct machine *m = whole_machine(&interp_engine);
    FILE *f = fopen(file, "wb");
    unsigned total = 0, refused = 0;
    if (!f) return perror(file), 2;
    for (unsigned op = 1; op < OP_COUNT; op++)
        for (int mem = 0; mem < 2 && runnable(op); mem++) {
            u8 b[RECORDED * 8], head[3] = {(u8)mem};
            unsigned n = 0;
            for (unsigned t = 0; t < TRIES && n < RECORDED; t++) {
                struct fpcase k;
                struct outcome o;
                if (!make_case(m->c, op, mem, t, &k)) continue;
                run_ours(m, &k, &o);
                normalise(&k, &o);
                if (!confirmed(&k, &o, true, refused < 20)) {
                    refused++;
                    continue;
                }
                st16(b + 8 * n, (u16)t), st16(b + 8 * n + 2, (u16)digest(&k, &k.in)),
                    st32(b + 8 * n + 4, digest(&k, &o));
                n++;
            }
            if (!n) continue;
            st16(head + 1, (u16)n);
            fwrite(insn_rows[op].name, 1, strlen(insn_rows[op].name) + 1, f);
            fwrite(head, 1, 3, f);
            fwrite(b, 8, n, f);
            total += n;
        }
    printf("# %u cases, %u not confirmed\n", total, refused);
    return fclose(f) || refused ? 2 : 0;
}

static void replay(struct machine *m, const char *engine, const char *file, const char *pattern)
{
    static u8 b[4 << 20];
    FILE *f = fopen(file, "rb");
    size_t len = f ? fread(b, 1, sizeof b, f) : 0, at = 0;
    unsigned rows = 0, cases = 0, wrong = 0;
    if (f) fclose(f);
    while (at < len) {
        const char *name = (const char *)b + at;
        bool mem = b[at + strlen(name) + 1];
        const u8 *v = b + at + strlen(name) + 2;
        unsigned n = ld16(v), op = 1, bad = 0, stale = 0, first = 0;
        at = (size_t)(v - b) + 2 + 8 * n;
        v += 2;
        if (pattern && !strstr(name, pattern)) continue;
        while (op < OP_COUNT && strcmp(insn_rows[op].name, name)) op++;
        rows++;
        for (unsigned k = 0; k < n; k++, v += 8) {
            struct fpcase c;
            struct outcome o;
            if (op == OP_COUNT || !make_case(m->c, op, mem, ld16(v), &c) || (u16)digest(&c, &c.in) != ld16(v + 2)) {
                stale++;
                continue;
            }
            run_ours(m, &c, &o);
            normalise(&c, &o);
            cases++;
            if (digest(&c, &o) != ld32(v + 4) && !bad++) first = ld16(v);
        }
        if (bad)
            printf("not ok fp_%s_vectors_%s: %u of %u differ, the first is attempt %u\n", engine, name, bad, n, first);
        if (stale)
            printf("not ok fp_%s_vectors_%s: %u cases are made otherwise now (fp record)\n", engine, name, stale);
        wrong += bad || stale;
    }
    check_ctx.failed += wrong != 0;
    if (!cases && !pattern) printf("not ok fp_%s_vectors: no %s\n", engine, file), check_ctx.failed++;
    if (!wrong && cases) printf("ok fp_%s_vectors (%u rows and forms, %u cases)\n", engine, rows, cases);
}

// Fresh cases, judged by the host.
static void live(struct machine *m, const char *engine, unsigned cases, const char *pattern)
{
    unsigned total = 0, bad = 0, from = (unsigned)check_seed(1000);
    for (unsigned op = 1; op < OP_COUNT; op++) {
        if (!runnable(op) || (pattern && !strstr(insn_rows[op].name, pattern))) continue;
        for (unsigned t = 0; t < 2 * cases; t++) {
            struct fpcase k;
            struct outcome o;
            if (!make_case(m->c, op, t & 1, from + t, &k)) continue;
            check_row(insn_rows[op].name);
            run_ours(m, &k, &o);
            normalise(&k, &o);
            total++;
            if (!confirmed(&k, &o, false, bad < 10)) bad++;
        }
    }
    check_ctx.failed += bad != 0;
    printf(bad ? "not ok fp_%s_host: %u of %u cases differ\n" : "ok fp_%s_host (%.0u%u cases)\n", engine, bad, total);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !strcmp(argv[1], "record")) return record(argc > 2 ? argv[2] : "tests/insn/fp.vec");
    const char *file = getenv("VECTORS") ? getenv("VECTORS") : "tests/insn/fp.vec",
               *pattern = argc > 1 ? argv[1] : NULL;
    unsigned cases = check_cases(200);
    bool native = native_open();
    struct machine *m = whole_machine(&interp_engine);
    replay(m, "interp", file, pattern);
    if (native) live(m, "interp", cases, pattern);
    machine_free(m);
#ifdef CONFIG_TCG
    translated_engine_set(!getenv("NO_OPT"));
    m = whole_machine(&translated_engine);
    replay(m, "tcg", file, pattern);
    if (native) live(m, "tcg", cases, pattern);
    machine_free(m);
#endif
    return check_ctx.failed != 0;
}
