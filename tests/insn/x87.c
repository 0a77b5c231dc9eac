// SPDX-License-Identifier: MIT
// Every x87 encoding through the decoder and the interpreter's functions, against the same bytes on the host's
// processor (x86-64 hosts): registers, tags, status, pointers, EFLAGS, memory, from random states. And what needs no
// host: #NM, #MF, FERR#, faults in the middle, real-mode images, FXSAVE and XSAVE. Memory is a buffer at guest address
// 10000h here: this file stands in for cpu/access.c and cpu_raise().
#include "tests/check.h"
#include "cpu/cpuid.h"
#include "cpu/fpu/x87.h"
#include "interp/interp.h"

// ---- the stand-ins

enum { MEM_AT = 0x10000, MEM_SIZE = 4096, CODE_AT = 0x400000 };
static u8 mem[MEM_SIZE] __attribute__((aligned(64)));
static int raised; // vector, -1 none
static u32 raised_err;
static u64 fault_at = ~0ull; // an access of this byte raises #PF
static u64 mem_base = MEM_AT;

void cpu_update_mode(struct cpu *c) {}
void cpu_raise(struct cpu *c, int vector)
{
    raised = vector;
    raised_err = 0;
    longjmp(*c->fault, 1);
}
void cpu_raise_err(struct cpu *c, int vector, u32 err)
{
    raised = vector;
    raised_err = err;
    longjmp(*c->fault, 1);
}
void mem_probe(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc)
{
    if (ea < mem_base || ea - mem_base > MEM_SIZE - n) cpu_raise_err(c, EXC_GP, 0);
    if (fault_at >= ea && fault_at < ea + n) cpu_raise_err(c, EXC_PF, (u32)acc << 1);
}
u64 mem_linear(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc) { return ea; }
void mem_read(struct cpu *c, unsigned seg, u64 ea, void *to, unsigned n, unsigned align)
{
    mem_probe(c, seg, ea, n, ACC_READ);
    memcpy(to, mem + (ea - mem_base), n);
}
void mem_write(struct cpu *c, unsigned seg, u64 ea, const void *from, unsigned n, unsigned align)
{
    mem_probe(c, seg, ea, n, ACC_WRITE);
    memcpy(mem + (ea - mem_base), from, n);
}
u64 access_load_slow(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    u8 b[8];
    mem_read(c, seg, ea, b, size, 0);
    return ld_size(b, size);
}
void access_store_slow(struct cpu *c, unsigned seg, u64 ea, u64 v, unsigned size)
{
    u8 b[8];
    st_size(b, v, size);
    mem_write(c, seg, ea, b, size, 0);
}

static xpick *const picks[OP_COUNT] = {
#define INSN(name, ...) [OP_##name] = xp_##name,
#include "cpu/insn-x87.def"
#undef INSN
};

static struct decoder *dec;
static int ferr_level;
static void on_ferr(void *owner, unsigned cpu, int level) { ferr_level = level; }

// 64-bit code, everything flat; RDI points at the buffer.
static struct cpu *new_cpu(void)
{
    struct cpu *c = aligned_alloc(64, (sizeof *c + 63) & ~(size_t)63);
    memset(c, 0, sizeof *c);
    for (unsigned s = 0; s < TLBSET_COUNT; s++) // no entry matches
        memset(&c->tlbs[s], 0xFF, sizeof c->tlbs[s]);
    c->tlb = &c->tlbs[TLBSET_NONE];
    c->mode = MODE_64 | MODE_PE | MODE_LMA | MODE_SS32 | MODE_FLAT;
    c->cr0 = CR0_PE | CR0_NE | CR0_MP;
    c->cr4 = CR4_OSFXSR | CR4_OSXSAVE;
    c->efer = EFER_LMA;
    c->xcr0 = 3;
    c->mxcsr = MXCSR_INIT;
    c->eflags = FL_R1;
    c->gpr[R_RDI] = mem_base;
    c->pins.ferr = on_ferr;
    x87_init(c);
    if (!dec) {
        u64 feat[8];
        memset(feat, 0xFF, sizeof feat);
        dec = decoder_new(feat);
    }
    return c;
}

// Functions run on into the next instruction: a stop follows.
static void run_one(struct cpu *c, const struct insn *i)
{
    struct insn v[2] = {*i, {.exec = interp_stop}};
    c->cur = v;
    picks[i->op](v)(c, v);
}

// Runs one instruction at `at`; returns false if the bytes are none of the x87's rows. `raised` tells of faults.
static bool run_at(struct cpu *c, u64 at, const u8 *bytes, unsigned n)
{
    struct insn in;
    jmp_buf env;
    raised = -1;
    if (decode(dec, bytes, n, c->mode & MODE_CODE, &in) != DECODE_OK || !picks[in.op]) return false;
    check_row(insn_rows[in.op].name);
    c->gpr[R_RIP] = at + in.len;
    c->fault = &env;
    if (!setjmp(env)) run_one(c, &in);
    return true;
}
static bool run(struct cpu *c, const u8 *bytes, unsigned n) { return run_at(c, CODE_AT, bytes, n); }
#define RUN(c, ...) run(c, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static u64 rng_state = 0x123456789ABCDEF;
static u64 rnd(void) // xorshift64*, Vigna 2014
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 2685821657736338717ull;
}

#ifdef __x86_64__
#include <sys/mman.h>

static struct f80 random80(void)
{
    static const struct f80 edge[] = {
        {0, 0},
        {0, 0x8000},
        {1, 0},
        {0x8000000000000000, 0},
        {0x8000000000000000, 0x3FFF},
        {0x8000000000000000, 0xBFFF},
        {0x8000000000000000, 0x7FFF},
        {0x8000000000000000, 0xFFFF},
        {0xC000000000000000, 0xFFFF},
        {0xD000000000000001, 0x7FFF},
        {0x9000000000000001, 0x7FFF},
        {0x7000000000000001, 0x7FFF},
        {0x7000000000000001, 0x4002},
        {0xFFFFFFFFFFFFFFFF, 0x7FFE},
        {0xC000000000000000, 0x3FFE},
        {0xC90FDAA22168C235, 0x4000},
    };
    u64 r = rnd();
    struct f80 v = {rnd() | 1ull << 63, (u16)(0x3FF0 + (r >> 16 & 0x801F))};
    switch (r & 7) {
    case 0: return edge[r >> 8 & 15];
    case 1: v.se = (u16)(r >> 16); return v;
    case 2: v.m = (r >> 24) << 54 | 1ull << 63; return v;
    case 3: v.m = (rnd() << (r >> 32 & 63)) | 1ull << 63; return v;
    default: return v;
    }
}

static void random_operand(u8 *p, unsigned opcode)
{
    u64 r = rnd();
    for (unsigned n = 0; n < 128; n += 8) st64(p + n, rnd());
    struct f80 v = random80();
    struct fenv_x e = {.pc = 64, .masks = FX_ALL};
    switch (opcode) {
    case 0xD8:
    case 0xD9: st32(p, r & 3 ? f80_to_f32(&e, v) : r & 4 ? (u32)(r >> 32) & 0x807FFFFF : (u32)(r >> 32)); break;
    case 0xDC:
    case 0xDD: st64(p, r & 3 ? f80_to_f64(&e, v) : r & 4 ? rnd() & 0x800FFFFFFFFFFFFF : rnd()); break;
    case 0xDB:
        if (r & 1) {
            st64(p, v.m);
            st16(p + 8, v.se);
        }
        break;
    case 0xDF:
        if (r & 1) f80_to_bcd(&e, v, p);
        break;
    default: break;
    }
}

struct host_state {
    u8 image[112]; // FNSAVE, 32-bit protected mode format
    u64 eflags;
};

// Loads the image and EFLAGS, calls `code` with RDI = mem, stores both again.
static void host_run(struct host_state *s, void *code, void *m)
{
    u8 out[112];
    u64 fl = s->eflags, rax = 0;
    __asm__ volatile("subq $256, %%rsp\n\t"
                     "frstor (%[in])\n\t"
                     "pushq %[fl]\n\tpopfq\n\t"
                     "call *%[code]\n\t"
                     "pushfq\n\tpopq %[fl]\n\t"
                     "fnsave (%[out])\n\tfninit\n\t"
                     "addq $256, %%rsp"
                     : [fl] "+r"(fl), "+D"(m), "+a"(rax)
                     : [in] "r"(s->image), [out] "r"(out), [code] "r"(code)
                     : "memory", "cc");
    memcpy(s->image, out, 108);
    s->eflags = fl;
}

static u8 *code_page(void)
{
    u8 *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void random_state(u8 *image)
{
    u64 r = rnd();
    static const u8 masks[8] = {0x3F, 0x3F, 0x3F, 0x00, 0x3E, 0x3D, 0x27, 0x1F};
    bool usual = !(r >> 52 & 3);
    u8 mask = usual ? FX_ALL : masks[r & 7];
    u16 fcw = usual ? FCW_INIT : (u16)(0x40 | mask | (r >> 8 & 3) << 10 | (r >> 10 & 1 ? 3 : 2 * (r >> 11 & 1)) << 8);
    u16 fsw = (u16)((r >> 16 & mask & FX_ALL) | (r >> 24 & 0x7F) << 8); // nothing pending
    struct fpu f = {.fcw = fcw, .fsw = fsw, .tags = r >> 40 & 3 ? 0xFF : (u8)(r >> 48)};
    if (r >> 42 & 1) f.tags &= (u8) ~(1u << ((x87_top(&f) + 7) & 7)); // room for a push
    for (unsigned n = 0; n < 8; n++) {
        struct f80 v = random80();
        f.m[n] = v.m;
        f.se[n] = v.se;
    }
    x87_env_store(&f, image, true, false);
    x87_regs_store(&f, image + 28);
}

static unsigned diffs;
static void show(const char *what, const u8 *bytes, unsigned n, const u8 *before, const u8 *got, const u8 *want,
                 u64 gfl, u64 wfl)
{
    if (diffs++ >= 12) return;
    printf("# %s:", what);
    for (unsigned k = 0; k < n; k++) printf(" %02x", bytes[k]);
    printf(" cw %04x sw %04x tw %04x fl %x / host sw %04x tw %04x fl %x / was cw %04x sw %04x tw %04x\n", ld16(got),
           ld16(got + 4), ld16(got + 8), (unsigned)gfl & 0x8D5, ld16(want + 4), ld16(want + 8), (unsigned)wfl & 0x8D5,
           ld16(before), ld16(before + 4), ld16(before + 8));
    for (unsigned r = 0; r < 8; r++)
        if (memcmp(got + 28 + 10 * r, want + 28 + 10 * r, 10) || r < 2)
            printf("#   st%u %04x:%016" PRIx64 " host %04x:%016" PRIx64 " was %04x:%016" PRIx64 "\n", r,
                   ld16(got + 36 + 10 * r), ld64(got + 28 + 10 * r), ld16(want + 36 + 10 * r), ld64(want + 28 + 10 * r),
                   ld16(before + 36 + 10 * r), ld64(before + 28 + 10 * r));
    for (unsigned k = 12; k < 28; k += 4)
        if (ld32(got + k) != ld32(want + k)) printf("#   env+%u %08x host %08x\n", k, ld32(got + k), ld32(want + k));
}

// Results that may differ in the last place, operands that the manual leaves open.
static bool is_trans(const u8 *b)
{
    return b[0] == 0xD9 && (b[1] == 0xF9 || b[1] == 0xFB || b[1] >= 0xFE || (b[1] >= 0xF0 && b[1] <= 0xF3));
}
static bool undefined_operand(const u8 *b, const u8 *image)
{
    struct fpn x = fpn_f80((struct f80){ld64(image + 28), ld16(image + 36)});
    if (b[0] != 0xD9) return false;
    if (b[1] == 0xF0) return x.cls == FP_INF_ || (x.cls == FP_NORM_ && (x.exp > 0 || (x.exp == 0 && x.sig << 1)));
    if (b[1] == 0xF9) return x.cls == FP_INF_ || (x.cls == FP_NORM_ && x.exp >= -2);
    return false;
}
static bool near_regs(const u8 *a, const u8 *b)
{
    for (unsigned r = 0; r < 8; r++, a += 10, b += 10) {
        i64 x = (i64)(ld64(a) << 1), y = (i64)(ld64(b) << 1), d = (i64)((u64)x - (u64)y); // wraps over a power of two
        int e = ld16(a + 8) - ld16(b + 8);
        if (!memcmp(a, b, 10)) continue;
        if (e == 0 ? d > 2 || d < -2 : (e != 1 && e != -1) || d > 4 || d < -4) return false;
    }
    return true;
}

static bool is_compare(const u8 *b)
{
    unsigned k = b[1] >> 3 & 7;
    if (b[0] == 0xD9) return b[1] == 0xE4;
    if (b[0] == 0xDB || b[0] == 0xDF) return b[1] >= 0xE8;
    return b[0] == 0xDD ? b[1] >= 0xE0 : k == 2 || k == 3 || (b[0] == 0xDA && b[1] == 0xE9);
}

static bool same_image(const u8 *bytes, const u8 *got, u8 *want)
{
    u16 sw = FSW_B | FSW_TOP | FSW_CC | FSW_C1 | 0xFF;
    if (is_compare(bytes) && ld16(want + 4) & ~ld16(want) & FX_IE) sw &= (u16)~FSW_CC;  // AMD sets them, Intel does not
    if ((bytes[0] == 0xDB || bytes[0] == 0xDF) && bytes[1] >= 0xE8) sw &= (u16)~FSW_C1; // SDM: 0; AMD: as it was
    if (is_trans(bytes)) {
        sw &= (u16)~FSW_C1;
        if (!near_regs(got + 28, want + 28)) return false;
    } else if (memcmp(got + 28, want + 28, 80)) {
        return false;
    }
    // AMD's processors lose the pointers in a task switch of the host.
    if (memcmp(got + 12, want + 12, 16) && ld32(want + 12) && ld16(want + 16)) return false;
    return ld16(got) == ld16(want) && !((ld16(got + 4) ^ ld16(want + 4)) & sw) && ld16(got + 8) == ld16(want + 8);
}

// FCOMI and its kin with an unmasked IE: as with the condition codes.
static bool same_flags(const u8 *b, u64 fl, const struct host_state *h)
{
    bool fcomi = (b[0] == 0xDB || b[0] == 0xDF) && b[1] >= 0xE8;
    return fl == (h->eflags & FL_ARITH) || (fcomi && ld16(h->image + 4) & ~ld16(h->image) & FX_IE);
}

// Every other case finds the operand in the first-level TLB, as most do in a machine.
static void serve_by_tlb(struct cpu *c, bool on)
{
    struct tlb_set *t = &c->tlbs[TLBSET_KERNEL];
    struct tlb_entry *e[2] = {tlb_slot(t->rd, mem_base), tlb_slot(t->wr, mem_base)};
    for (int w = 0; w < 2; w++) *e[w] = (struct tlb_entry){mem_base & PAGE_MASK, (u64)(uintptr_t)mem - mem_base};
    for (unsigned k = S_ES; k <= S_GS; k++) c->seg[k].rend = c->seg[k].wend = ~0ull;
    c->tlb = &c->tlbs[on ? TLBSET_KERNEL : TLBSET_NONE];
}

static void one_case(struct cpu *c, u8 *code, const u8 *bytes, unsigned n, unsigned opcode)
{
    static u8 before_mem[128], host_mem[128] __attribute__((aligned(64)));
    struct host_state h;
    u8 before[112], got[112];
    random_state(before);
    random_operand(before_mem, opcode);
    u32 fl = (u32)(rnd() & FL_ARITH);
    if (undefined_operand(bytes + n - 2, before)) return;
    memcpy(mem, before_mem, 128);
    memcpy(host_mem, before_mem, 128);
    memcpy(h.image, before, 108);
    h.eflags = fl | FL_R1 | FL_IF;
    mem_base = c->gpr[R_RDI] = (u64)(uintptr_t)host_mem;
    serve_by_tlb(c, rnd() & 1);
    x87_env_load(c, before, true, false);
    x87_regs_load(&c->fpu, before + 28);
    c->fpu.fip = c->fpu.fdp = c->fpu.fop = 0;
    flags_set_arith(c, fl);
    if (!run_at(c, (u64)(uintptr_t)code, bytes, n)) return;
    memcpy(code, bytes, n);
    code[n] = 0xC3;
    host_run(&h, code, host_mem);
    x87_env_store(&c->fpu, got, true, false);
    x87_regs_store(&c->fpu, got + 28);
    bool ok = raised < 0 && same_image(bytes + n - 2, got, h.image) && same_flags(bytes + n - 2, flags_arith(c), &h);
    // An environment image in memory holds pointers, which not all processors keep.
    bool env = n >= 2 &&
               ((bytes[n - 2] == 0xD9 && bytes[n - 1] >> 3 == 6) || (bytes[n - 2] == 0xDD && bytes[n - 1] >> 3 == 6));
    unsigned skip0 = bytes[0] == 0x66 ? 6 : 12, skip1 = bytes[0] == 0x66 ? 14 : 28;
    if (env) memset(mem + skip0, 0, skip1 - skip0), memset(host_mem + skip0, 0, skip1 - skip0);
    bool mem_ok = !memcmp(mem, host_mem, 128);
    if (!ok || !mem_ok) {
        show(raised >= 0 ? "raised"
             : ok        ? "memory"
                         : "state",
             bytes, n, before, got, h.image, flags_arith(c), h.eflags);
        if (!mem_ok && diffs < 12)
            for (unsigned k = 0; k < 128; k += 8)
                if (ld64(mem + k) != ld64(host_mem + k))
                    printf("#   mem+%u %016" PRIx64 " host %016" PRIx64 " was %016" PRIx64 "\n", k, ld64(mem + k),
                           ld64(host_mem + k), ld64(before_mem + k));
    }
}

// x87 rows' encodings with opcode op, register forms or memory forms.
static void sweep(unsigned op, bool memory, unsigned rounds)
{
    u8 *code = code_page();
    if (!code) SKIP("no executable memory");
    mem_base = MEM_AT;
    struct cpu *c = new_cpu();
    __asm__("movw %%cs, %0\n\tmovw %%ds, %1" : "=r"(c->seg[S_CS].sel), "=r"(c->seg[S_DS].sel));
    diffs = 0;
    for (unsigned k = 0; k < (memory ? 8 : 64); k++) {
        u8 bytes[3] = {0x66, (u8)op, (u8)(memory ? 7 | k << 3 : 0xC0 | k)};
        for (unsigned r = 0; r < rounds; r++) one_case(c, code, bytes + 1, 2, op);
        for (unsigned r = 0; r < rounds / 4; r++) one_case(c, code, bytes, 3, op);
    }
    munmap(code, 4096);
    mem_base = MEM_AT;
    free(c);
    CHECK_EQ(diffs, 0);
}
#define SWEEP(op)                                                                                                      \
    static void regs_##op(void) { sweep(0x##op, false, 300); }                                                         \
    static void mem_##op(void) { sweep(0x##op, true, 1500); }
SWEEP(D8)
SWEEP(D9)
SWEEP(DA)
SWEEP(DB)
SWEEP(DC)
SWEEP(DD)
SWEEP(DE)
SWEEP(DF)

// FXRSTOR of a random image, then FXSAVE: all but the pointers, which AMD keeps only with a pending exception.
static void fxsave_host(void)
{
    static u8 in[512] __attribute__((aligned(16))), out[512] __attribute__((aligned(16))),
        keep[512] __attribute__((aligned(16)));
    struct cpu *c = new_cpu();
    for (int k = 0; k < 500; k++) {
        for (unsigned n = 0; n < 512; n += 8) st64(in + n, rnd());
        st32(in + 24, (u32)rnd() & 0xFFFF);
        memset(out, 0xA5, 512);
        memcpy(mem, in, 512);
        __asm__ volatile("fxsave64 %2\n\tfxrstor64 %1\n\tfxsave64 %0\n\tfxrstor64 %2"
                         : "+m"(out), "+m"(in), "+m"(keep)::"memory");
        CHECK(RUN(c, 0x48, 0x0F, 0xAE, 0x0F) && raised < 0); // FXRSTOR64
        memset(mem, 0xA5, 512);
        CHECK(RUN(c, 0x48, 0x0F, 0xAE, 0x07) && raised < 0); // FXSAVE64
        CHECK_EQ(ld64(mem) & ~(0xFFFFull << 48), ld64(out) & ~(0xFFFFull << 48));
        CHECK_EQ(ld32(mem + 24), ld32(out + 24));
        for (unsigned n = 0; n < 8; n++) CHECK(!memcmp(mem + 32 + 16 * n, out + 32 + 16 * n, 10));
        CHECK(!memcmp(mem + 160, out + 160, 256));
        CHECK(!memcmp(mem + 464, out + 464, 48));
    }
    free(c);
}
#endif

// ---- what needs no host

static void fault_leaves_no_trace(void)
{
    struct cpu *c = new_cpu();
    for (unsigned op = 0xD8; op <= 0xDF; op++) {
        for (unsigned k = 0; k < 8; k++) {
            for (int t = 0; t < 2; t++) { // registers full, and empty
                u8 bytes[2] = {(u8)op, (u8)(7 | k << 3)};
                x87_init(c);
                if (t)
                    c->fpu.tags = 0xFF, memset(c->fpu.m, 0x81, sizeof c->fpu.m),
                    memset(c->fpu.se, 0x3F, sizeof c->fpu.se);
                c->gpr[R_RDI] = mem_base + 64;
                struct fpu before = c->fpu;
                u8 mem_before[256];
                memcpy(mem_before, mem, 256);
                fault_at = mem_base + 64 + 1;
                bool is = run(c, bytes, 2);
                fault_at = ~0ull;
                if (!is) continue;
                CHECK_EQ(raised, EXC_PF);
                CHECK(!memcmp(&before, &c->fpu, sizeof before));
                CHECK(!memcmp(mem_before, mem, 256));
            }
        }
    }
    free(c);
}

static void device_not_available(void)
{
    struct cpu *c = new_cpu();
    u64 base = c->cr0;
    for (unsigned n = 0; n < 8; n++) {
        bool em = n & 1, ts = n & 2, mp = n & 4;
        c->cr0 = (base & ~(u64)CR0_MP) | (em ? CR0_EM : 0) | (ts ? CR0_TS : 0) | (mp ? CR0_MP : 0);
        CHECK(RUN(c, 0xD9, 0xE8)); // FLD1
        CHECK_EQ(raised, em || ts ? EXC_NM : -1);
        CHECK(RUN(c, 0xDB, 0xE3)); // FNINIT
        CHECK_EQ(raised, em || ts ? EXC_NM : -1);
        CHECK(RUN(c, 0xDF, 0xE0)); // FNSTSW AX
        CHECK_EQ(raised, em || ts ? EXC_NM : -1);
        CHECK(RUN(c, 0x9B)); // FWAIT: SDM vol. 3 table 2-2
        CHECK_EQ(raised, ts && mp ? EXC_NM : -1);
        CHECK(RUN(c, 0x0F, 0xAE, 0x07)); // FXSAVE
        CHECK_EQ(raised, em || ts ? EXC_NM : -1);
    }
    free(c);
}

// 1 / 0 with ZE unmasked: nothing at once, #MF at the next waiting instruction only.
static void pending_error(void)
{
    struct cpu *c = new_cpu();
    for (int ne = 0; ne < 2; ne++) {
        c->cr0 = (c->cr0 & ~(u64)CR0_NE) | (ne ? CR0_NE : 0);
        ferr_level = 0;
        x87_init(c);
        c->fpu.fcw = 0x37B;
        RUN(c, 0xD9, 0xEE); // FLDZ
        RUN(c, 0xD9, 0xE8); // FLD1
        CHECK_EQ(ferr_level, 0);
        RUN(c, 0xD8, 0xF1); // FDIV ST0, ST1
        CHECK_EQ(raised, -1);
        CHECK_EQ(c->fpu.fsw & 0x80FF, 0x8084);
        CHECK_EQ(x87_get(&c->fpu, 0).se, 0x3FFF); // no result
        CHECK_EQ(ferr_level, !ne);
        c->gpr[R_RAX] = 0;
        RUN(c, 0xDF, 0xE0); // FNSTSW AX does not wait
        CHECK_EQ(raised, -1);
        CHECK_EQ(c->gpr[R_RAX] & 0xFF, 0x84);
        RUN(c, 0xD9, 0xC0); // FLD ST0 waits
        CHECK_EQ(raised, ne ? EXC_MF : -1);
        RUN(c, 0x9B);
        CHECK_EQ(raised, ne ? EXC_MF : -1);
        RUN(c, 0xDB, 0xE2); // FNCLEX
        CHECK_EQ(c->fpu.fsw & 0x80FF, 0);
        CHECK_EQ(ferr_level, 0);
        RUN(c, 0x9B);
        CHECK_EQ(raised, -1);
    }
    // Unmasking a flag that is set makes it pending; FNSTENV masks all.
    x87_init(c);
    c->cr0 |= CR0_NE;
    c->fpu.fsw |= FX_PE;
    st16(mem, 0x35F & ~0x20);
    c->gpr[R_RDI] = mem_base;
    RUN(c, 0xD9, 0x2F); // FLDCW
    CHECK_EQ(c->fpu.fsw, 0x80A0);
    RUN(c, 0xD9, 0xE8);
    CHECK_EQ(raised, EXC_MF);
    RUN(c, 0xD9, 0x37); // FNSTENV
    CHECK_EQ(raised, -1);
    CHECK_EQ(c->fpu.fcw & 0x3F, 0x3F);
    CHECK_EQ(c->fpu.fsw, 0x20);
    CHECK_EQ(ld16(mem + 4), 0x80A0);
    free(c);
}

// SDM vol. 1 figures 8-9 to 8-12.
static void environment_formats(void)
{
    struct cpu *c = new_cpu();
    struct fpu f = {.fcw = 0x27F,
                    .fsw = 0x3800,
                    .tags = 0x80,
                    .fop = 0x5AB,
                    .fcs = 0x1234,
                    .fds = 0x5678,
                    .fip = 0x9ABC,
                    .fdp = 0xDEF0};
    u8 b[28];
    f.m[7] = 1ull << 63, f.se[7] = 0x3FFF;
    CHECK_EQ(x87_env_store(&f, b, false, true), 14);
    CHECK_EQ(ld16(b + 4), 0x3FFF);
    CHECK_EQ(ld16(b + 6), 0xBDFC & 0xFFFF); // 12340h + 9ABCh = 1BDFCh
    CHECK_EQ(ld16(b + 8), 0x15AB);
    CHECK_EQ(ld16(b + 10), 0x4670 & 0xFFFF); // 56780h + DEF0h = 64670h
    CHECK_EQ(ld16(b + 12), 0x6000);
    CHECK_EQ(x87_env_store(&f, b, true, true), 28);
    CHECK_EQ(ld32(b + 12) & 0xFFFF, 0xBDFC);
    CHECK_EQ(ld32(b + 16), 0x000015AB);
    CHECK_EQ(ld32(b + 20) & 0xFFFF, 0x4670);
    CHECK_EQ(ld32(b + 24), 0x00006000);
    x87_env_load(c, b, true, true);
    CHECK_EQ(c->fpu.fip, 0x1BDFC);
    CHECK_EQ(c->fpu.fdp, 0x64670);
    CHECK_EQ(c->fpu.fop, 0x5AB);
    CHECK_EQ(c->fpu.tags, 0x80);
    CHECK_EQ(x87_env_store(&f, b, false, false), 14);
    CHECK_EQ(ld16(b + 6), 0x9ABC);
    CHECK_EQ(ld16(b + 8), 0x1234);
    CHECK_EQ(ld16(b + 10), 0xDEF0);
    CHECK_EQ(ld16(b + 12), 0x5678);
    CHECK_EQ(x87_env_store(&f, b, true, false), 28);
    CHECK_EQ(ld32(b + 16), 0x05AB1234);
    CHECK_EQ(ld32(b + 20), 0xDEF0);
    CHECK_EQ(ld16(b + 24), 0x5678);
    // Pointers of the last instruction, with prefix and memory operand.
    x87_init(c);
    c->gpr[R_RDI] = mem_base;
    c->seg[S_CS].sel = 0x33, c->seg[S_DS].sel = 0x2B;
    RUN(c, 0x66, 0xD9, 0x07);
    CHECK_EQ(c->fpu.fip, CODE_AT);
    CHECK_EQ(c->fpu.fdp, mem_base);
    CHECK_EQ(c->fpu.fop, 0x107);
    CHECK_EQ(c->fpu.fcs, 0x33);
    CHECK_EQ(c->fpu.fds, 0x2B);
    RUN(c, 0xDE, 0xC1);
    CHECK_EQ(c->fpu.fop, 0x6C1);
    free(c);
}

static void xsave_area(void)
{
    struct cpu *c = new_cpu();
    c->gpr[R_RDI] = mem_base;
    c->gpr[R_RAX] = 7, c->gpr[R_RDX] = 0;
    memset(mem, 0xEE, 1024);
    memset(mem + 512, 0, 64);
    RUN(c, 0x0F, 0xAE, 0x27); // XSAVE, everything initial
    CHECK_EQ(raised, -1);
    CHECK_EQ(ld64(mem + 512), 0);
    CHECK_EQ(ld16(mem), 0x37F);
    CHECK_EQ(ld32(mem + 24), 0x1F80);
    CHECK_EQ(ld64(mem + 160), 0);
    CHECK_EQ(mem[416], 0xEE);
    c->vec[9].q[1] = 0x1122334455667788;
    RUN(c, 0xD9, 0xEB); // FLDPI
    c->gpr[R_RAX] = 2;
    RUN(c, 0x0F, 0xAE, 0x27); // SSE only: the x87 bit keeps its old value
    CHECK_EQ(ld64(mem + 512), 2);
    CHECK_EQ(ld64(mem + 160 + 9 * 16 + 8), 0x1122334455667788);
    CHECK_EQ(ld16(mem + 2), 0);
    memset(mem, 0xEE, 512);
    memset(c->vec, 0, sizeof c->vec);
    c->gpr[R_RAX] = 3;
    RUN(c, 0x0F, 0xAE, 0x37); // XSAVEOPT leaves initial XMM out, MXCSR in
    CHECK_EQ(ld64(mem + 512), 1);
    CHECK_EQ(ld64(mem + 160), 0xEEEEEEEEEEEEEEEE);
    CHECK_EQ(ld32(mem + 24), 0x1F80);
    c->vec[3].q[0] = 5;
    x87_init(c);
    RUN(c, 0x0F, 0xAE, 0x2F); // XRSTOR
    CHECK_EQ(raised, -1);
    CHECK_EQ(c->vec[3].q[0], 0);
    CHECK_EQ(x87_get(&c->fpu, 0).m, 0xC90FDAA22168C235);
    CHECK_EQ(x87_empty(&c->fpu, 0), false);
    st64(mem + 512, 4); // not in XCR0
    RUN(c, 0x0F, 0xAE, 0x2F);
    CHECK_EQ(raised, EXC_GP);
    st64(mem + 512, 3);
    st64(mem + 520, 1ull << 63); // compacted
    RUN(c, 0x0F, 0xAE, 0x2F);
    CHECK_EQ(raised, EXC_GP);
    st64(mem + 520, 0);
    st32(mem + 24, 0x10000); // reserved bit of MXCSR
    RUN(c, 0x0F, 0xAE, 0x2F);
    CHECK_EQ(raised, EXC_GP);
    RUN(c, 0x0F, 0xAE, 0x0F); // FXRSTOR
    CHECK_EQ(raised, EXC_GP);
    c->gpr[R_RDI] += 16;
    RUN(c, 0x0F, 0xAE, 0x27); // 64-byte alignment
    CHECK_EQ(raised, EXC_GP);
    RUN(c, 0x0F, 0xAE, 0x07); // FXSAVE: 16 is enough
    CHECK_EQ(raised, -1);
    c->gpr[R_RDI] += 8;
    RUN(c, 0x0F, 0xAE, 0x07);
    CHECK_EQ(raised, EXC_GP);
    c->cr4 &= ~(u64)CR4_OSXSAVE;
    RUN(c, 0x0F, 0xAE, 0x27);
    CHECK_EQ(raised, EXC_UD);
    free(c);
}

static void fxsave_without_xmm(void)
{
    struct cpu *c = new_cpu();
    for (unsigned n = 0; n < 16; n++) c->vec[n].q[0] = n + 1;
    c->gpr[R_RDI] = mem_base;
    memset(mem, 0xEE, 512);
    c->efer |= EFER_FFXSR;
    RUN(c, 0x0F, 0xAE, 0x07);
    CHECK_EQ(mem[160], 0xEE);
    CHECK_EQ(ld32(mem + 24), 0x1F80);
    c->cpl = 3;
    RUN(c, 0x0F, 0xAE, 0x07);
    CHECK_EQ(ld64(mem + 160 + 240), 16);
    c->mode = (c->mode & ~(u32)MODE_CODE) | MODE_32; // eight registers
    memset(mem, 0xEE, 512);
    RUN(c, 0x0F, 0xAE, 0x07);
    CHECK_EQ(ld64(mem + 160 + 112), 8);
    CHECK_EQ(mem[160 + 128], 0xEE);
    c->cr4 &= ~(u64)CR4_OSFXSR;
    memset(mem, 0xEE, 512);
    RUN(c, 0x0F, 0xAE, 0x07);
    CHECK_EQ(mem[24], 0xEE);
    CHECK_EQ(mem[160], 0xEE);
    CHECK_EQ(ld16(mem), 0x37F);
    free(c);
}

static void mmx_state(void)
{
    struct cpu *c = new_cpu();
    RUN(c, 0xD9, 0xE8);
    x87_mmx_enter(c);
    x87_mmx_write(c, 3, 0x0123456789ABCDEF);
    CHECK_EQ(x87_top(&c->fpu), 0);
    CHECK_EQ(c->fpu.tags, 0xFF);
    CHECK_EQ(x87_get(&c->fpu, 3).m, 0x0123456789ABCDEF);
    CHECK_EQ(x87_get(&c->fpu, 3).se, 0xFFFF);
    x87_emms(c);
    CHECK_EQ(x87_full_tags(&c->fpu), 0xFFFF);
    free(c);
}

static const struct check_test tests[] = {
#ifdef __x86_64__
    TEST(regs_D8),
    TEST(mem_D8),
    TEST(regs_D9),
    TEST(mem_D9),
    TEST(regs_DA),
    TEST(mem_DA),
    TEST(regs_DB),
    TEST(mem_DB),
    TEST(regs_DC),
    TEST(mem_DC),
    TEST(regs_DD),
    TEST(mem_DD),
    TEST(regs_DE),
    TEST(mem_DE),
    TEST(regs_DF),
    TEST(mem_DF),
    TEST(fxsave_host),
#endif
    TEST(fault_leaves_no_trace),
    TEST(device_not_available),
    TEST(pending_error),
    TEST(environment_formats),
    TEST(xsave_area),
    TEST(fxsave_without_xmm),
    TEST(mmx_state),
};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
