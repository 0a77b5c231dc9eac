// SPDX-License-Identifier: MIT
// MMX and SSE against the host's processor: every row of insn-simd.def is encoded with random registers, in register
// and memory form, run natively and through decode() and the reference engine's function, and all state is compared.
// Operands are edge values of every lane type and random bits; MXCSR goes through rounding modes, DAZ, FTZ and unmasked
// exceptions (the host's SIGFPE is #XM, its SIGSEGV #GP). Then the checks that a user process cannot have: CR0, CR4,
// pending #MF.
#include "tests/check.h"
#if defined(__x86_64__) && defined(__linux__)
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "cpu/cpuid.h"
#include "cpu/fpu/x87.h"
#include "interp/interp.h"
#include "tests/insn/simd_form.h"
#ifdef TRANSLATED // tests/insn/tcg_simd.c
#include "cpu/mmu.h"
#include "tests/insn/translated.h"
#endif

static xpick *const picks[OP_COUNT] = {
#define INSN(name, ...) [OP_##name] = xp_##name,
#include "cpu/insn-simd.def"
#undef INSN
};

// What both sides start from and end with. The first 512 bytes are FXSAVE64's image.
struct machine {
    u8 fx[512] __attribute__((aligned(16)));
    u64 gpr[16];
    u64 flags;
};
static u8 *xmm_of(struct machine *m, unsigned n) { return m->fx + 160 + 16 * n; }
enum { FX_FSW = 2, FX_TAGS = 4, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160 };

// ---- the host
u8 *simd_test_code;
void simd_test_native(struct machine *m);
__asm__(".text\n"
        ".globl simd_test_native\n"
        "simd_test_native:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rdi\n"
        "fxrstor64 (%rdi)\n"
        "pushq 640(%rdi)\n popfq\n"
        "mov 512(%rdi),%rax\n mov 520(%rdi),%rcx\n mov 528(%rdi),%rdx\n mov 536(%rdi),%rbx\n"
        "mov 552(%rdi),%rbp\n mov 560(%rdi),%rsi\n"
        "mov 576(%rdi),%r8\n mov 584(%rdi),%r9\n mov 592(%rdi),%r10\n mov 600(%rdi),%r11\n"
        "mov 608(%rdi),%r12\n mov 616(%rdi),%r13\n mov 624(%rdi),%r14\n mov 632(%rdi),%r15\n"
        "mov 568(%rdi),%rdi\n"
        "call *simd_test_code(%rip)\n"
        "xchg %rdi,(%rsp)\n"
        "pushfq\n popq 640(%rdi)\n"
        "mov %rax,512(%rdi)\n mov %rcx,520(%rdi)\n mov %rdx,528(%rdi)\n mov %rbx,536(%rdi)\n"
        "mov %rbp,552(%rdi)\n mov %rsi,560(%rdi)\n"
        "mov %r8,576(%rdi)\n mov %r9,584(%rdi)\n mov %r10,592(%rdi)\n mov %r11,600(%rdi)\n"
        "mov %r12,608(%rdi)\n mov %r13,616(%rdi)\n mov %r14,624(%rdi)\n mov %r15,632(%rdi)\n"
        "fxsave64 (%rdi)\n"
        "popq 568(%rdi)\n"
        "fninit\n pushq $0x1f80\n ldmxcsr (%rsp)\n add $8,%rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");
_Static_assert(offsetof(struct machine, gpr) == 512 && offsetof(struct machine, flags) == 640, "the assembly knows");

static struct {
    int exc; // vector, -1 none
    u32 mxcsr;
    unsigned len;
} native;

static void on_signal(int sig, siginfo_t *si, void *uc_)
{
    ucontext_t *uc = uc_;
    if (uc->uc_mcontext.gregs[REG_RIP] != (greg_t)(uintptr_t)simd_test_code) { // not the instruction under test
        signal(sig, SIG_DFL);
        return;
    }
    native.exc = sig == SIGFPE ? EXC_XM : sig == SIGILL ? EXC_UD : EXC_GP;
    native.mxcsr = uc->uc_mcontext.fpregs->mxcsr;
    uc->uc_mcontext.fpregs->mxcsr |= 0x1f80;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(simd_test_code + native.len);
}

// ---- the reference engine
static struct cpu *guest;
static struct decoder *decoder;
static u8 *page;
#ifdef TRANSLATED
enum { CODE = 0x10000 };
static struct ram *code;
#endif

static void guest_init(void)
{
    if (guest) return;
    u64 feat[8];
    memset(feat, 0xff, sizeof feat);
    decoder = decoder_new(feat);
    guest = aligned_alloc(64, (sizeof *guest + 63) & ~63ul);
    memset(guest, 0, sizeof *guest);
    page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    simd_test_code = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int s = 0; s < TLBSET_COUNT; s++)
        for (unsigned n = 0; n < TLB_SIZE; n++) guest->tlbs[s].rd[n].tag = guest->tlbs[s].wr[n].tag = tlb_none(n);
    guest->tlb = &guest->tlbs[TLBSET_USER];
    // The guest's linear addresses are the host's.
    *tlb_slot(guest->tlb->rd, (uintptr_t)page) = *tlb_slot(guest->tlb->wr, (uintptr_t)page) =
        (struct tlb_entry){(uintptr_t)page, 0};
    for (int s = 0; s < S_COUNT; s++)
        guest->seg[s] = (struct seg){.rend = ~0ull, .wend = ~0ull, .limit = ~0u, .usable = true};
    guest->seg[S_CS].attr = SEG_P | SEG_S | SEG_DPL | SEG_CODE | SEG_L; // what LDMXCSR finds when it derives the mode
    guest->cpl = 3;
    guest->mode = MODE_64 | MODE_PE | MODE_LMA | MODE_SS32 | MODE_FLAT | MODE_USER;
    guest->efer = EFER_LMA;
    guest->phys_mask = guest->a20_mask = ~0ull;
#ifdef TRANSLATED
    static struct bus bus;
    struct err e = {0};
    bus_init(&bus);
    code = ram_new(&bus, "code", 0x1000, &e);
    bus_map_ram(&bus, CODE, 0x1000, code, 0, REGION_RW, 0, "code");
    guest->bus = &bus;
    guest->decoder = decoder;
    guest->cpl = 3;
    guest->seg[S_CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_L;
    guest->exc = guest->exc_first = -1;
    tlb_create(guest);
    translated_open(guest, !getenv("NO_OPT"));
#endif
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
}

#ifdef TRANSLATED
static void run_one(struct cpu *c, const struct insn *i)
{
    c->cur = NULL;
    memcpy(code->host, simd_test_code, 16);
    c->engine->invalidate(c, CODE, 16);
    cpu_update_mode(c);
    *tlb_slot(c->tlb->rd, (uintptr_t)page) = *tlb_slot(c->tlb->wr, (uintptr_t)page) =
        (struct tlb_entry){(uintptr_t)page, 0};
    c->gpr[R_RIP] = CODE;
    c->attn = 0;
    translated_run(c, 1);
    CHECK_EQ(c->icount, 1);
}
#else
// Functions run on into the next instruction: a stop follows.
static void run_one(struct cpu *c, const struct insn *i)
{
    struct insn v[2] = {*i, {.exec = interp_stop}};
    c->cur = v;
    picks[i->op](v)(c, v);
}
#endif

static int guest_run(struct machine *m, const struct insn *i)
{
    struct cpu *c = guest;
    jmp_buf jb;
    c->cr0 = CR0_PE | CR0_NE | CR0_MP;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PAE;
    for (int n = 0; n < 16; n++) {
        c->gpr[n] = m->gpr[n];
        memcpy(c->vec[n].b, xmm_of(m, n), 16);
        memset(c->vec[n].b + 16, 0x5a, 48);
    }
    c->cc_op = CC_EFLAGS;
    c->eflags = (u32)m->flags;
    c->mxcsr = ld32(m->fx + FX_MXCSR);
    x87_fx_load(c, m->fx, true);
    c->exc = -1;
    c->cur = i;
    c->fault = &jb;
    if (!setjmp(jb)) run_one(c, i);
    c->cur = NULL;
    for (int n = 0; n < 16; n++) {
        m->gpr[n] = c->gpr[n];
        memcpy(xmm_of(m, n), c->vec[n].b, 16);
        for (int k = 16; k < 64; k++) CHECK_EQ(c->vec[n].b[k], 0x5a); // legacy SSE leaves the upper lanes alone
    }
    m->flags = flags_get(c);
    st32(m->fx + FX_MXCSR, c->mxcsr);
    x87_fx_store(&c->fpu, m->fx, true);
    return c->exc;
}

// ---- comparison
static bool near_enough(u32 got, u32 want, u32 x, bool root)
{
    if (got == want) return true;
    float g, w, v;
    memcpy(&g, &got, 4), memcpy(&w, &want, 4), memcpy(&v, &x, 4);
    double exact = root ? 1 / sqrt((double)v) : 1 / (double)v;
    if (isnan(exact) || isinf(exact)) return false;
    // about 2^126 the manual lets a processor choose between the value and zero
    if (fabs(exact) > 0x0.ffep-126 && fabs(exact) < 0x1.002p-126 && !(got << 1)) return true;
    return fabs(g - exact) <= fabs(exact) * 1.5 * 0x1p-12;
}
static void dump16(const char *what, const u8 *p)
{
    printf("   %-8s", what);
    for (int n = 15; n >= 0; n--) printf("%02x%s", p[n], n % 4 ? "" : " ");
    printf("\n");
}

struct setup {
    struct machine start;
    u8 mem[64] __attribute__((aligned(16)));
};

static void random_setup(struct setup *s, const struct insn_row *row, bool unmasked)
{
    memset(s, 0, sizeof *s);
    u8 *fx = s->start.fx;
    st16(fx, 0x37f);
    st16(fx + FX_FSW, (u16)(below(8) << 11));
    fx[FX_TAGS] = (u8)rnd();
    for (int n = 0; n < 8; n++) {
        fill16(fx + FX_ST + 16 * n);
        memset(fx + FX_ST + 16 * n + 10, 0, 6);
    }
    for (int n = 0; n < 16; n++) fill16(fx + FX_XMM + 16 * n);
    for (int n = 0; n < 64; n += 16) fill16(s->mem + n);
    u32 mxcsr = 0x1fa0;
    if (below(3)) mxcsr = 0x1f80 | below(4) << 13 | below(2) << 15 | below(2) << 6 | below(64);
    if (unmasked) mxcsr &= ~((u32)rnd() & 0x1f80);
    if (strstr(row->name, "LDMXCSR")) st32(s->mem, below(4) ? (u32)rnd() & 0xffff : (u32)rnd() & 0x1ffff);
    st32(fx + FX_MXCSR, mxcsr);
    st32(fx + 28, 0xffff);
    for (int n = 0; n < 16; n++) s->start.gpr[n] = integer();
    s->start.gpr[R_RDI] = (uintptr_t)page + 64;
    s->start.gpr[R_RSP] = 0;
    s->start.flags = 0x202 | (rnd() & FL_ARITH);
}

// One case; false if the two differ.
static bool one(const struct insn_row *row, const struct form *f, const struct setup *s, bool verbose)
{
    struct machine want = s->start, got = s->start;
    u8 want_mem[64], got_mem[64];
    struct insn i;
    enum decode_status st = decode(decoder, f->bytes, f->len, MODE_64, &i);
    check_row(row->name);
    if (st != DECODE_OK || i.len != f->len || strcmp(insn_rows[i.op].name, row->name)) {
        printf("# %s: decodes to %d %s\n", row->name, st, st == DECODE_OK ? insn_rows[i.op].name : "");
        return false;
    }
    memcpy(simd_test_code, f->bytes, f->len);
    simd_test_code[f->len] = 0xc3;
    native.exc = -1;
    native.len = f->len;
    memcpy(page + 64, s->mem, 64);
    simd_test_native(&want);
    if (native.exc >= 0) st32(want.fx + FX_MXCSR, native.mxcsr);
    memcpy(want_mem, page + 64, 64);
    memcpy(page + 64, s->mem, 64);
    int exc = guest_run(&got, &i);
    memcpy(got_mem, page + 64, 64);
    memset(want.fx + 6, 0, 18); // FOP, FIP, FDP: AMD saves them only with an exception
    memset(got.fx + 6, 0, 18);
    want.fx[28] = got.fx[28] = want.fx[29] = got.fx[29] = want.fx[30] = got.fx[30] = want.fx[31] = got.fx[31] = 0;
    unsigned off = (unsigned)s->start.gpr[R_RDI] & 15;
    if (f->approx) // the processors' tables differ: within the bound, then alike
        for (int n = 0; n < 4; n++) {
            u8 *g = xmm_of(&got, i.reg) + 4 * n, *w = xmm_of(&want, i.reg) + 4 * n;
            const u8 *x = i.is_mem ? s->mem + off + 4 * n : s->start.fx + FX_XMM + 16 * i.rm + 4 * n;
            if (near_enough(ld32(g), ld32(w), ld32(x), strstr(row->name, "SQRT"))) memcpy(g, w, 4);
        }
    bool same = exc == native.exc && !memcmp(want.fx, got.fx, 416) && !memcmp(want.gpr, got.gpr, sizeof got.gpr) &&
                want.flags == got.flags && !memcmp(want_mem, got_mem, 64);
    if (same || !verbose) return same;
    printf("# %s:", row->name);
    for (unsigned n = 0; n < f->len; n++) printf(" %02x", f->bytes[n]);
    printf("  mxcsr before %04x host %04x ours %04x  exc host %d ours %d flags host %x ours %x fsw %04x/%04x tags "
           "%02x/%02x\n",
           ld32(s->start.fx + FX_MXCSR), ld32(want.fx + FX_MXCSR), ld32(got.fx + FX_MXCSR), native.exc, exc,
           (u32)want.flags, (u32)got.flags, ld16(want.fx + FX_FSW), ld16(got.fx + FX_FSW), want.fx[4], got.fx[4]);
    for (int n = 0; n < 16; n++)
        if (want.gpr[n] != got.gpr[n])
            printf("   gpr %d before %" PRIx64 " host %" PRIx64 " ours %" PRIx64 "\n", n, s->start.gpr[n], want.gpr[n],
                   got.gpr[n]);
    dump16("reg", s->start.fx + (f->mmx ? FX_ST : FX_XMM) + 16 * i.reg);
    dump16("rm", i.is_mem ? s->mem : s->start.fx + (f->mmx ? FX_ST : FX_XMM) + 16 * i.rm);
    for (int n = FX_ST; n < 416; n += 16)
        if (memcmp(want.fx + n, got.fx + n, 16)) {
            printf("   %s %d\n", n < FX_XMM ? "ST" : "XMM", (n < FX_XMM ? n - FX_ST : n - FX_XMM) / 16);
            dump16("host", want.fx + n);
            dump16("ours", got.fx + n);
        }
    if (memcmp(want_mem, got_mem, 64)) {
        dump16("memory: host", want_mem);
        dump16("memory: ours", got_mem);
    }
    return false;
}

static bool row_is_fp(const struct insn_row *row)
{
    return (row->attr & A_SSE) &&
           (strstr(row->operands, "Vp") || strstr(row->operands, "Vs") || strstr(row->mnemonic, "cvt") ||
            strstr(row->operands, "Ws") || strstr(row->operands, "Wp"));
}

static void run_rows(unsigned feat, u32 attr)
{
    guest_init();
    unsigned each = check_cases(400), rows = 0, cases = 0, bad_rows = 0;
    for (int op = 1; op < OP_COUNT; op++) {
        const struct insn_row *row = &insn_rows[op];
        if (!picks[op] || row->feat != feat || !!(row->attr & A_MMX) != !!attr) continue;
        unsigned bad = 0;
        bool fp = row_is_fp(row);
        rows++;
        for (int mem = 0; mem < 2; mem++)
            for (unsigned n = 0; n < (fp ? 3 * each : each); n++) {
                struct form f;
                struct setup s;
                if (!simd_build(row, mem, &f)) break;
                random_setup(&s, row, fp && n % 3 == 2);
                // now and then misaligned (Zen lets SHA pass; LDMXCSR would see AMD's MXCSR.MM)
                if (mem && n % 32 == 31 && row->feat != FEAT_SHA && !strstr(row->name, "LDMXCSR"))
                    s.start.gpr[R_RDI] += 1 + below(15);
                cases++;
                if (!one(row, &f, &s, bad < 2)) bad++;
            }
        bad_rows += bad != 0;
        if (bad) printf("# %s: %u cases differ\n", row->name, bad);
    }
    printf("# %u rows, %u cases\n", rows, cases);
    CHECK(rows > 0);
    CHECK_EQ(bad_rows, 0);
}
#define NEEDS(have, what)                                                                                              \
    if (!(have)) SKIP("the host has no " what)
static void mmx(void) { run_rows(FEAT_MMX, A_MMX); }
static void mmx_of_sse(void) { run_rows(FEAT_SSE, A_MMX); }
static void mmx_of_sse2(void) { run_rows(FEAT_SSE2, A_MMX); }
static void mmx_of_ssse3(void)
{
    NEEDS(__builtin_cpu_supports("ssse3"), "SSSE3");
    run_rows(FEAT_SSSE3, A_MMX);
}
static void sse(void) { run_rows(FEAT_SSE, 0); }
static void sse2(void) { run_rows(FEAT_SSE2, 0); }
static void sse3(void)
{
    NEEDS(__builtin_cpu_supports("sse3"), "SSE3");
    run_rows(FEAT_SSE3, 0);
}
static void ssse3(void)
{
    NEEDS(__builtin_cpu_supports("ssse3"), "SSSE3");
    run_rows(FEAT_SSSE3, 0);
}
static void sse41(void)
{
    NEEDS(__builtin_cpu_supports("sse4.1"), "SSE4.1");
    run_rows(FEAT_SSE41, 0);
}
static void sse42(void)
{
    NEEDS(__builtin_cpu_supports("sse4.2"), "SSE4.2");
    run_rows(FEAT_SSE42, 0);
}
static void aes(void)
{
    NEEDS(__builtin_cpu_supports("aes"), "AES");
    run_rows(FEAT_AES, 0);
}
static void pclmul(void)
{
    NEEDS(__builtin_cpu_supports("pclmul"), "PCLMULQDQ");
    run_rows(FEAT_PCLMUL, 0);
}
static void sha(void)
{
    unsigned b = 0, a = 7, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    NEEDS(b >> 29 & 1, "SHA");
    run_rows(FEAT_SHA, 0);
}

// ---- what a user process cannot have

// Runs bytes with CR0, CR4, FSW as given: the exception, or -1.
#ifndef TRANSLATED
static int run_with(const char *bytes, unsigned len, u64 cr0, u64 cr4, u16 fsw)
{
    struct insn i;
    jmp_buf jb;
    guest_init();
    CHECK_EQ(decode(decoder, (const u8 *)bytes, len, MODE_64, &i), DECODE_OK);
    struct cpu *c = guest;
    c->cr0 = CR0_PE | cr0;
    c->cr4 = cr4;
    c->mxcsr = 0x1f80;
    x87_reset(&c->fpu);
    c->fpu.fcw = 0x37f;
    c->fpu.fsw = fsw;
    c->gpr[R_RDI] = (uintptr_t)page;
    c->exc = -1;
    c->cur = &i;
    c->fault = &jb;
    if (!setjmp(jb)) run_one(c, &i);
    c->cur = NULL;
    return c->exc;
}
#define RUN(bytes, cr0, cr4, fsw) run_with(bytes, sizeof bytes - 1, cr0, cr4, fsw)
#define ADDPS_                    "\x0f\x58\xc1"
#define PADDB_                    "\x0f\xfc\xc1"
static void control_registers(void)
{
    // SDM vol. 3 tables 13-1 and 12-4
    CHECK_EQ(RUN(ADDPS_, CR0_NE, CR4_OSFXSR, 0), -1);
    CHECK_EQ(RUN(ADDPS_, CR0_NE, 0, 0), EXC_UD);
    CHECK_EQ(RUN(ADDPS_, CR0_NE | CR0_EM, CR4_OSFXSR, 0), EXC_UD);
    CHECK_EQ(RUN(ADDPS_, CR0_NE | CR0_TS, CR4_OSFXSR, 0), EXC_NM);
    CHECK_EQ(RUN(ADDPS_, CR0_NE | CR0_TS, 0, 0), EXC_UD);
    CHECK_EQ(RUN(PADDB_, CR0_NE, 0, 0), -1);
    CHECK_EQ(RUN(PADDB_, CR0_NE | CR0_EM | CR0_TS, 0, 0), EXC_UD);
    CHECK_EQ(RUN(PADDB_, CR0_NE | CR0_TS, 0, 0), EXC_NM);
}
static void pending_x87_error(void)
{
    u16 fsw = FSW_ES | 1 | 1 << 15;
    CHECK_EQ(RUN(PADDB_, CR0_NE, 0, fsw), EXC_MF);
    CHECK_EQ(RUN("\x0f\x77", CR0_NE, 0, fsw), EXC_MF);                  // emms
    CHECK_EQ(RUN("\xf2\x0f\xd6\xc1", CR0_NE, CR4_OSFXSR, fsw), EXC_MF); // movdq2q
    CHECK_EQ(RUN("\x0f\x2d\xc1", CR0_NE, CR4_OSFXSR, fsw), EXC_MF);     // cvtps2pi
    CHECK_EQ(RUN("\x66\x0f\x2a\xc1", CR0_NE, CR4_OSFXSR, fsw), EXC_MF); // cvtpi2pd xmm0, mm1
    CHECK_EQ(RUN("\x66\x0f\x2a\x07", CR0_NE, CR4_OSFXSR, fsw), -1);     // ... [rdi]: not an MMX register
    CHECK_EQ(RUN(ADDPS_, CR0_NE, CR4_OSFXSR, fsw), -1);
}
static void unmasked_without_osxmmexcpt(void)
{
    guest_init();
    for (int n = 0; n < 2; n++) memset(guest->vec[n].b, 0, 16);
    st32(page, 0x1f80 & ~0x80); // IE unmasked
    struct cpu *c = guest;
    static const u64 cr4[2] = {CR4_OSFXSR, CR4_OSFXSR | CR4_OSXMMEXCPT};
    for (int k = 0; k < 2; k++) {
        struct insn i;
        jmp_buf jb;
        CHECK_EQ(decode(decoder, (const u8 *)"\x0f\x5e\xc1", 3, MODE_64, &i), DECODE_OK); // 0/0
        c->cr0 = CR0_PE | CR0_NE;
        c->cr4 = cr4[k];
        c->mxcsr = 0x1f00;
        c->exc = -1;
        c->cur = &i;
        c->fault = &jb;
        if (!setjmp(jb)) run_one(c, &i);
        c->cur = NULL;
        CHECK_EQ(c->exc, k ? EXC_XM : EXC_UD);
        CHECK_EQ(c->mxcsr, 0x1f01);
        CHECK_EQ(c->vec[0].q[0], 0);
    }
}
static void mxcsr_reserved_bits(void)
{
    guest_init();
    st32(page, 0x10000 | 0x1f80);
    CHECK_EQ(RUN("\x0f\xae\x17", CR0_NE, CR4_OSFXSR, 0), EXC_GP);
    st32(page, 0xffc0);
    CHECK_EQ(RUN("\x0f\xae\x17", CR0_NE, CR4_OSFXSR, 0), -1);
    CHECK_EQ(guest->mxcsr, 0xffc0);
}
#endif

static const struct check_test tests[] = {
    TEST(mmx),
    TEST(mmx_of_sse),
    TEST(mmx_of_sse2),
    TEST(mmx_of_ssse3),
    TEST(sse),
    TEST(sse2),
    TEST(sse3),
    TEST(ssse3),
    TEST(sse41),
    TEST(sse42),
    TEST(aes),
    TEST(pclmul),
    TEST(sha),
#ifndef TRANSLATED // single instructions of their own
    TEST(control_registers),
    TEST(pending_x87_error),
    TEST(unmasked_without_osxmmexcpt),
    TEST(mxcsr_reserved_bits),
#endif
};
int main(int argc, char **argv)
{
    seed = check_seed(seed);
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
#else
static void native_comparison(void) { SKIP("the host is not x86-64 Linux"); }
static const struct check_test tests[] = {TEST(native_comparison)};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
#endif
