// SPDX-License-Identifier: MIT
// Fuzz target: the translator against the interpreter on raw bytes of code, in every mode of the processor, with
// tables, faults, interrupts and self-modification as they come. Eight bytes choose mode, registers and interruptions,
// the rest is code. After the same number of instructions the whole state of the processor and of memory must be equal.
//   fuzz/engines FILE   one input, with what differs
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/fuzz/fuzz.h"
#ifdef CONFIG_TCG
#include "tcg/tcg.h"

// Guest memory. DATA to DATA + 3FFFh is plain, then a page each: read-only, absent, supervisor's; ALIAS shows CODE.
enum {
    RAM_SIZE = 0x40000,
    GDT = 0x1000,
    IDT = 0x2000,
    TSS = 0x3000,
    HANDLERS = 0x4000,
    TABLES = 0x6000, // PML4 or page directory, PDPT, directory, table
    STACK0 = 0xbff0,
    STACK3 = 0xeff0,
    CODE = 0x10000,
    DATA = 0x14000,
    ALIAS = 0x30000
};
enum mode { REAL, PROT32, USER32, PROT16, V86, LONG0, LONG3, COMPAT, MODES };
enum { K_CS = 0x08, K_DS = 0x10, U_CS = 0x1b, U_DS = 0x23, K_CS64 = 0x28, U_CS64 = 0x33, K_CS16 = 0x38, TR_SEL = 0x40 };
enum { IN_MODE, IN_AT, IN_COUNT, IN_SEED, IN_FLAGS, IN_SLICES, IN_CR, IN_EVENT, IN_CODE };

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\5\x60\x40\x0b\0\1\0\0\x0f\x31\x48\x89\x43\x40\x0f\x01\xf9\x66\x0f\x7f\x03\xff\x73\x21\x5a\x75\xee"),
    FUZZ_SEED("\5\x80\x40\1\0\0\0\0\x48\x01\xd8\x48\x11\x0b\x75\xf8\xff\xc1\xe2\xf6"),
    FUZZ_SEED("\6\xf0\x40\2\0\3\0\0\x0f\x28\x03\x0f\x58\xc1\x66\x0f\x6f\xd0\xf3\x0f\x11\x0b\xdd\x03\xde\xc1\xdd\x1b"),
    FUZZ_SEED("\0\xf8\x40\3\0\7\0\x20\x50\x1e\x8e\xd8\xcd\x21\xf3\xab\x1f\x58\xe8\0\0\xc3"),
    FUZZ_SEED("\1\x10\x40\4\0\1\0\x11\xc6\x05\0\0\1\0\x90\x0f\x20\xc0\x0f\x22\xd8\x9c\x9d\xfa\xfb\xeb\xee"),
    FUZZ_SEED("\2\x20\x40\5\0\0\0\0\x8b\x04\x24\xf7\xf1\x66\xf3\xa5\x0f\xa3\x03\x0f\xc1\x07\x60\x61\xc8\4\0\1\xc9"),
    FUZZ_SEED("\3\x30\x40\6\0\2\0\0\x66\x8b\x07\x8b\x1e\0\1\x40\x4b\x9a\0\1\x38\0\xcb\xd5\x0a\x37"),
    FUZZ_SEED("\4\x40\x40\7\0\0\0\0\xfa\x9c\x58\x9d\xcd\x80\xcf\x8e\xc0\x26\x89\x07\xac\xae"),
    FUZZ_SEED("\7\x50\x40\x08\0\5\0\0\x0f\xb0\x0b\x0f\xba\x23\7\xf0\x0f\xc7\x0b\x0f\x05\xea\0\0\1\0\x28\0"),
    FUZZ_SEED(
        "\x15\xf4\x40\x09\4\0\x80\0\xd9\xe8\xd9\xee\xdc\xf9\xdb\x3b\x66\x0f\x5e\xc8\x0f\x77\x0f\xae\x03\x0f\xae\x0b"),
    // a taken branch to the next instruction, cut to 16 bits
    FUZZ_SEED("\xba\xb2\xb2\xb2\xb2\xb2\xb2\x24\xf7\3\0\0\0\xd9\x1d\0\0\x72\xc9\0\x6d\2\x66\x73\0\x5e\xc8"),
    FUZZ_SEED("\x0d\xfc\x7f\x0a\0\0\0\x33\xe8\0\0\0\0\x58\xff\xe0\x0f\x0b\x0f\x30\x0f\x32\x0f\x01\xf8\x48\xcf")};

struct side {
    struct bus bus;
    struct ram *ram;
    struct cpu *c;
    struct part *part;
    u64 randoms;
    int vector;
};
static struct side sides[5]; // the interpreter, then configurations of the translator
static struct cpu_model *model;

static void triple(void *o, unsigned cpu) { ((struct side *)o)->c->halt = CPU_SHUTDOWN; }
static u64 tsc(void *o, unsigned cpu) { return cpu_icount(((struct side *)o)->c) * 3; }
static u64 random_pin(void *o, unsigned cpu) { return ++((struct side *)o)->randoms * 0x9e3779b97f4a7c15ull; }
static int inta(void *o, unsigned cpu)
{
    struct side *s = o;
    cpu_set_intr(s->c, 0);
    return s->vector;
}

static void protect(void *o, u64 pa) { tlb_protect(((struct side *)o)->c, pa); }
static void code_written(void *o, u64 pa, u64 len)
{
    struct cpu *c = ((struct side *)o)->c;
    c->engine->invalidate(c, pa, len);
}

static struct side *side(unsigned k)
{
    static struct tcg_config config[5];
    static struct cpu_engine engine[5];
    struct side *s = &sides[k];
    struct err e = {0};
    if (s->c) return s;
    if (!model) model = cpuid_model_parse("max", &e);
    bus_init(&s->bus);
    s->bus.log.cats = 0;
    s->ram = ram_new(&s->bus, "ram", RAM_SIZE, &e);
    bus_map_ram(&s->bus, 0, RAM_SIZE, s->ram, 0, REGION_RW, 0, "ram");
    struct cpu_pins pins = {.owner = s, .triple_fault = triple, .tsc = tsc, .random = random_pin, .inta = inta};
    config[k] = tcg_default_config;
    config[k].size = TCG_SIZE_MIN;
    config[k].cold = k == 2 ? tcg_default_config.cold : 0;
    config[k].no_opt = k == 3;
    config[k].one_insn = k == 4;
    engine[k] = k ? tcg_engine : interp_engine;
    if (k) engine[k].config = &config[k];
    s->c = cpu_new(&s->bus, 0, model, &engine[k], &pins);
    s->bus.hooks.owner = s;
    s->bus.hooks.protect = protect, s->bus.hooks.code_written = code_written;
    s->c->tsc = (struct cpu_tsc){.scale = 3, .hz = NS_PER_SEC, .kind = CPU_TSC_ICOUNT}; // as tsc()
    s->part = parts_find(&s->bus.parts, "cpu0");
    return s;
}

static u64 descriptor(u32 base, u32 limit, u32 attr)
{
    return (u64)(limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xff) << 40 |
           (u64)(limit >> 16 & 15) << 48 | (u64)(attr >> 12 & 15) << 52 | (u64)(base >> 24) << 56;
}
static bool is_long(enum mode m) { return m >= LONG0; }
static bool paged(enum mode m, bool more) { return is_long(m) || ((m == USER32 || m == V86 || m == PROT32) && more); }

static void page_tables(u8 *r, enum mode m, bool pae)
{
    unsigned size = is_long(m) || pae ? 8 : 4, n = RAM_SIZE >> 12;
    bool user = m == USER32 || m == V86 || m == LONG3 || m == COMPAT;
    u64 up = user ? 7 : 3, low = size == 4 ? 0x1000 : 0x3000;
    st_size(r + TABLES, (TABLES + 0x1000) | (size == 8 && !is_long(m) ? 1 : up), size);
    if (size == 8) {
        st64(r + TABLES + 0x1000, (TABLES + 0x2000) | up); // PAE reads its four at TABLES
        if (!is_long(m)) st64(r + TABLES, (TABLES + 0x2000) | 1);
        st64(r + TABLES + 0x2000, (TABLES + 0x3000) | up);
    }
    for (unsigned k = 0; k < n; k++) {
        u64 at = (u64)k << 12, e = at | up;
        if (at >= ALIAS && at < ALIAS + 0x4000) e -= ALIAS - CODE;
        if (at < STACK0) e &= ~4ull; // what the processor reads by itself, and the handlers
        if (at == DATA + 0x4000) e &= ~2ull;
        if (at == DATA + 0x5000) e = 0;
        if (at == DATA + 0x6000) e &= ~4ull;
        if (at == DATA + 0x7000 && size == 8) e |= 1ull << 63;
        st_size(r + TABLES + low + k * size, e, size);
    }
}

static void tables(u8 *r, enum mode m, bool pae)
{
    static const u32 attr[] = {0, 0xc09b, 0xc093, 0xc0fb, 0xc0f3, 0xa09b, 0xa0fb, 0x009b};
    for (unsigned k = 0; k < ARRAY_LEN(attr); k++)
        if (attr[k]) st64(r + GDT + 8 * k, descriptor(0, attr[k] == 0x9b ? 0xffff : 0xfffff, attr[k]));
    st64(r + GDT + 0x38, descriptor(CODE, 0xffff, 0x009b));
    st64(r + GDT + TR_SEL, descriptor(TSS, 0x67 + 0x2000, 0x89));
    st64(r + GDT + 0x50, descriptor(DATA, 0x3fff, 0x0093));
    st64(r + GDT + 0x58, descriptor(DATA, 0xfff, 0x40f7));                            // expand-down, 32-bit
    st64(r + GDT + 0x60, (u64)(HANDLERS & 0xffff) | (u64)K_CS << 16 | 0xecull << 40); // call gate
    st64(r + GDT + 0x68, descriptor(TSS + 0x800, 0x67, 0x89));
    for (unsigned k = 0; k < 256; k++) {
        u8 *h = r + HANDLERS + 16 * k;
        bool back = k == 1 || k == 3 || k == 4 || k >= 32;
        memcpy(h, back ? "\x48\xcf\xf4\xeb\xfd" : "\xf4\xeb\xfd", back ? 5 : 3); // [REX.W] IRET, or HLT
        u64 gate = ((u64)(HANDLERS + 16 * k) & 0xffff) | (u64)(is_long(m) ? K_CS64 : K_CS) << 16 |
                   (k & 1 ? 0xefull : 0xeeull) << 40;
        if (is_long(m)) {
            st64(r + IDT + 16 * k, gate);
        } else if (m != REAL) {
            st64(r + IDT + 8 * k, gate);
        } else {
            st32(r + 4 * k, (HANDLERS / 16) << 16 | 16 * k);
            memcpy(h, back ? "\xcf\xf4\xeb\xfd" : "\xf4\xeb\xfd", back ? 4 : 3);
        }
    }
    st32(r + TSS + 4, STACK0);
    if (!is_long(m)) st16(r + TSS + 8, K_DS);
    st16(r + TSS + 0x66, 0x68);
    if (paged(m, true)) page_tables(r, m, pae);
}

static u64 state64;
static u64 rnd(void)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return state64 * 0x2545f4914f6cdd1dull >> 8;
}

// Loads what the far transfers of a guest would: no checks, the descriptors are right.
static void install(struct cpu *c, unsigned seg, u16 sel)
{
    const u8 *g = c->bus->parts.n ? ((struct side *)c->pins.owner)->ram->host + GDT + (sel & ~7u) : NULL;
    struct desc d;
    seg_decode(&d, ld32(g), ld32(g + 4));
    seg_install(c, seg, sel, &d);
}

static void segments(struct cpu *c, enum mode m)
{
    static const u16 cs[MODES] = {0, K_CS, U_CS, K_CS16, 0, K_CS64, U_CS64, U_CS};
    bool user = m == USER32 || m == LONG3 || m == COMPAT;
    if (m == REAL || m == V86) {
        c->cpl = m == V86 ? 3 : 0;
        for (unsigned s = S_ES; s <= S_GS; s++)
            seg_load_real(c, s,
                          s == S_CS   ? CODE >> 4
                          : s == S_SS ? STACK3 >> 12 << 8
                          : s == S_FS ? ALIAS >> 4
                                      : DATA >> 4);
        return;
    }
    c->cpl = user ? 3 : 0;
    install(c, S_CS, cs[m]);
    for (unsigned s = S_ES; s <= S_GS; s++)
        if (s != S_CS) install(c, s, m == PROT16 && s != S_SS ? 0x50 : user ? U_DS : K_DS);
}

static u64 a_value(enum mode m)
{
    static const u64 edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
    u64 pick = rnd(), base = m == REAL || m == V86 || m == PROT16 ? 0 : DATA;
    switch (pick % 8) {
    case 0: return edges[(pick >> 8) % ARRAY_LEN(edges)] * ((pick >> 16) % 4 ? 1 : ~(u64)0);
    case 1: return rnd() << 20 ^ rnd();
    case 2: return (pick >> 8) % 32;
    case 3: return base + 0x2ff0 + (pick >> 8) % 0x4000; // to the odd pages too
    case 4: return base ? CODE + 0xf00 + (pick >> 8) % 0x200 : (pick >> 8) % 0x10000;
    default: return base + (pick >> 8) % 0x3f00;
    }
}

static void registers(struct cpu *c, enum mode m, const u8 *in)
{
    for (unsigned k = 0; k < 16; k++) {
        u64 v = a_value(m);
        c->gpr[k] = m == LONG0 || m == LONG3 || k < 8 ? v : 0;
        if (m < LONG0 || m == COMPAT) c->gpr[k] = (u32)c->gpr[k];
    }
    c->gpr[R_RSP] = m == REAL || m == V86 ? 0xef0 : c->cpl ? STACK3 : STACK0;
    c->gpr[R_RIP] = (m == REAL || m == V86 || m == PROT16 ? 0 : CODE) + 0xf00u + in[IN_AT];
    c->eflags = FL_R1 | FL_IF | (u32)(rnd() & FL_ARITH);
    c->cc_op = 0;
    static const u32 bits[] = {FL_DF, FL_AC, FL_TF, FL_NT, 1 << 12, 3 << 12, FL_ID, FL_RF};
    for (unsigned k = 0; k < 8; k++)
        if (in[IN_FLAGS] >> k & 1) c->eflags |= bits[k];
    if (m == V86) c->eflags |= FL_VM;
    for (unsigned k = 0; k < 16; k++)
        for (unsigned j = 0; j < 4; j++) {
            double d = (double)(i64)(rnd() << 8) / (double)(1ull << rnd() % 60);
            float f = (float)d;
            if (j & 1 && rnd() % 2)
                memcpy(&c->vec[k].q[j / 2], &d, 8);
            else
                memcpy(&c->vec[k].d[j], &f, 4);
            if (rnd() % 16 == 0) c->vec[k].d[j] = (u32)(rnd() % 2 ? 0x7fc00000 : rnd());
        }
    c->fpu.fcw = 0x37f;
    c->fpu.tags = (u8)rnd();
    c->fpu.fsw = (u16)(rnd() % 8 << 11);
    for (unsigned k = 0; k < 8; k++) {
        c->fpu.m[k] = rnd() << 8 | 1ull << 63;
        c->fpu.se[k] = (u16)(0x3fc0 + rnd() % 0x80 + (rnd() % 2 << 15));
    }
    c->mxcsr = in[IN_CR] & 0x80 ? 0x1f80 & ~(1u << (7 + rnd() % 6)) : 0x1f80;
    if (in[IN_CR] & 0x80) c->fpu.fcw &= (u16) ~(1u << rnd() % 6);
    if (rnd() % 8 == 0) c->mxcsr |= 0x6000, c->fpu.fcw |= 0xc00;
    cpu_set_mxcsr(c, c->mxcsr);
}

static void set_up(struct side *s, const u8 *in, size_t len, const u8 *image)
{
    struct cpu *c = s->c;
    enum mode m = in[IN_MODE] % MODES;
    bool pae = in[IN_MODE] & 0x40, pg = paged(m, in[IN_MODE] & 0x80);
    c->engine->flush(c);
    memcpy(s->ram->host, image, RAM_SIZE);
    cpu_reset(c);
    c->halt = CPU_RUNNING;
    c->icount = 0, s->randoms = 0, c->attn = 0, c->exc = -1;
    c->gdt_base = GDT, c->gdt_limit = 0x7f;
    c->idt_base = m == REAL ? 0 : IDT, c->idt_limit = is_long(m) ? 0xfff : m == REAL ? 0x3ff : 0x7ff;
    u32 cr0 = CR0_ET | CR0_NE | CR0_MP | (m == REAL ? 0 : CR0_PE) | (pg ? CR0_PG : 0),
        cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr0 |= (in[IN_CR] & 1 ? CR0_TS : 0) | (in[IN_CR] & 2 ? CR0_EM : 0) | (in[IN_CR] & 4 ? CR0_AM : 0) |
           (in[IN_CR] & 8 ? CR0_WP : 0);
    cr4 |= (in[IN_CR] & 0x10 ? CR4_PGE : 0) | (in[IN_CR] & 0x20 ? CR4_VME | CR4_PVI : 0) |
           (in[IN_CR] & 0x40 ? CR4_SMAP | CR4_OSXSAVE | CR4_FSGSBASE : 0);
    if (is_long(m) || (pg && pae)) cr4 |= CR4_PAE;
    jmp_buf jb;
    c->fault = &jb;
    if (setjmp(jb)) abort(); // what is set up here is right
    if (is_long(m)) c->efer = EFER_LME | EFER_SCE | EFER_NXE;
    sys_write_cr(c, 4, cr4);
    sys_write_cr(c, 3, TABLES);
    sys_write_cr(c, 0, cr0);
    if (m != REAL) seg_load_tr(c, TR_SEL);
    if (m != REAL) st64(s->ram->host + GDT + TR_SEL, descriptor(TSS, 0x67 + 0x2000, 0x8b));
    c->lstar = c->cstar = HANDLERS + 0x800, c->star = (u64)(U_CS & ~3u) << 48 | (u64)K_CS64 << 32;
    c->sysenter_cs = K_CS, c->sysenter_eip = HANDLERS + 0x800, c->sysenter_esp = STACK0;
    state64 = (in[IN_SEED] + 1) * 0x9e3779b97f4a7c15ull;
    registers(c, m, in);
    segments(c, m);
    cpu_update_mode(c);
    c->fault = NULL;
}

static enum cpu_stop run(struct side *s, u64 upto, const u8 *in, bool slices)
{
    enum cpu_stop why = CPU_STOP_BUDGET;
    u64 cut = slices && in[IN_SLICES] ? in[IN_SLICES] : upto;
    for (unsigned turns = 0; s->c->icount < upto && turns < 20; turns += why == CPU_STOP_EXIT) { // long REPs give up
        why = cpu_run(s->c, min_u64(cut, upto - s->c->icount));
        if (why != CPU_STOP_BUDGET && why != CPU_STOP_EXIT) break;
    }
    return why;
}
// Half of the instructions, an event from outside, the rest.
static enum cpu_stop run_whole(struct side *s, const u8 *in, bool slices)
{
    u64 n = 2 * in[IN_COUNT] + 2;
    enum cpu_stop why = run(s, in[IN_EVENT] ? 1 + in[IN_EVENT] % n : n, in, slices);
    if (!in[IN_EVENT]) return why;
    s->vector = 0x20 + in[IN_EVENT] % 0x40;
    if (in[IN_EVENT] & 0x80)
        cpu_nmi(s->c);
    else
        cpu_set_intr(s->c, 1);
    return run(s, n, in, slices);
}

static void differ(const u8 *in, size_t len, unsigned k, const char *what)
{
    static const char *const modes[] = {"real", "protected 32",  "user 32",       "protected 16",
                                        "V86",  "64-bit, CPL 0", "64-bit, CPL 3", "compatibility, CPL 3"};
    printf("# %s, translator %u, code:", modes[in[IN_MODE] % MODES], k);
    for (size_t j = IN_CODE; j < len; j++) printf(" %02x", in[j]);
    printf("\nnot ok fuzz_engines: %s\n", what);
    for (unsigned j = 0; j <= k; j += k) {
        struct buf text = {0};
        cpu_dump(sides[j].c, &text);
        printf("# %s, %" PRIu64 " instructions\n%s\n", j ? "translator" : "interpreter", sides[j].c->icount,
               buf_text(&text));
    }
    fflush(stdout);
    abort();
}

static void fuzz_one(const u8 *data, size_t len)
{
    static u8 image[RAM_SIZE];
    if (len <= IN_CODE) return;
    if (len > IN_CODE + 0x300) len = IN_CODE + 0x300;
    enum mode m = data[IN_MODE] % MODES;
    struct side *a = side(0), *b = side(1 + (data[IN_MODE] >> 3) % 4);
    memset(image, 0, sizeof image);
    tables(image, m, data[IN_MODE] & 0x40);
    state64 = data[IN_SEED] + 77;
    for (unsigned k = DATA; k < DATA + 0x8000; k += 8) st64(image + k, k % 64 ? rnd() << 8 : 0);
    memset(image + CODE, 0x90, 0x1400);
    memcpy(image + CODE + 0xf00 + data[IN_AT], data + IN_CODE, len - IN_CODE);
    memcpy(image + CODE + 0x1400, "\xf4\xeb\xfd", 3);
    struct buf saved = {0}, text = {0};
    set_up(a, data, len, image);
    set_up(b, data, len, image);
    enum cpu_stop want = run_whole(a, data, false), got = run_whole(b, data, true);
    struct state s = {.mode = STATE_SAVE, .out = &saved}, check = {.mode = STATE_CHECK, .out = &text};
    a->part->ops->state(&s, a->c);
    check.in = saved.data, check.len = saved.len;
    b->part->ops->state(&check, b->c);
    char why[200];
    if (check.diffs || !state_ok(&check)) differ(data, len, (unsigned)(b - sides), buf_text(&text));
    if (a->c->icount != b->c->icount || want != got) {
        snprintf(why, sizeof why, "%" PRIu64 " instructions, want %" PRIu64 "; stop %d, want %d", b->c->icount,
                 a->c->icount, (int)got, (int)want);
        differ(data, len, (unsigned)(b - sides), why);
    }
    if (memcmp(a->ram->host, b->ram->host, RAM_SIZE)) {
        unsigned k = 0;
        while (a->ram->host[k] == b->ram->host[k]) k++;
        snprintf(why, sizeof why, "memory %x %02x, want %02x", k, b->ram->host[k], a->ram->host[k]);
        differ(data, len, (unsigned)(b - sides), why);
    }
    buf_free(&saved);
    buf_free(&text);
}
#else
static const struct fuzz_seed seeds[] = {FUZZ_SEED("")};
static void fuzz_one(const u8 *data, size_t len) {}
#endif
FUZZ_MAIN(engines, seeds, 10000)
