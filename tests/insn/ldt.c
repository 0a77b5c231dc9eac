// SPDX-License-Identifier: MIT
// 16-bit and 32-bit code in segments of its own, judged by the host's processor: Linux lets a process make LDT
// descriptors (modify_ldt), so code with D = 0, 16-bit addresses, stacks with B = 0, limits, expand-down, read-only,
// execute-only and absent segments, far transfers and the selector instructions can be had in user mode. Every opcode
// that compatibility mode knows runs natively and through the interpreter's step (fetch, limits and all) from the same
// registers, selectors and memory; registers, flags, selectors, memory, target, exception and error code must agree.
// Left out: POPF's and IRET's system flags, FS (the C library's), instructions whose result is the system's (SGDT, INT
// n, CPUID …). SDM vol. 1 3.3-3.6, vol. 3 chapters 3, 5, 6.
//   ldt [PATTERN]     rows whose name contains it; CASES=n cases an opcode (default 400), SEED=n, ALL=1
#include "tests/check.h"
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/bus.h"
#include "mem/phys.h"
#include "tests/insn/native.h"
#ifdef TRANSLATED // tests/insn/tcg_ldt.c
#include "tests/insn/translated.h"
#endif

#if defined(__x86_64__) && defined(__linux__)
#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    ARENA = 0x20000000,
    INSN_AT = 0x800, // offset in every code segment
    STUBS = 0x900,   // 16 bytes a code segment
    AREA = ARENA + 0x2000,
    TRAMPOLINE = ARENA + 0x3000,
    BELOW = ARENA + 0x4000, // up to DATA: where offsets reach that wrap, of an expand-down segment
    DATA = ARENA + 0x10000, // base of the data segments
    DATA_SIZE = 0x11000,
    SYS_GDT = ARENA + 0x38000, // the emulated CPU's only
    SYS_LDT = ARENA + 0x39000,
    SYS_TSS = ARENA + 0x3a000,
    RAM_SIZE = 0x40000,
    CODE_LIMIT = 0xfff
};
// LDT entries. Selector = 8 * n | 7.
enum {
    L_NULL,
    L_C16,
    L_C32,
    L_D16,
    L_DOWN16,
    L_DOWN32,
    L_RO,
    L_D32,
    L_XONLY,
    L_CONF,
    L_ABSENT,
    L_PAGES,
    L_TINY,
    L_COUNT
};
#define SEL(n) ((n) << 3 | 7)
enum { LEAVES = L_COUNT + 3, LEAVE_FALL = 0, LEAVE_FLAT32 = L_COUNT, LEAVE_64 = L_COUNT + 1 };
enum { FLAT32_AT = STUBS + 16 * L_COUNT, CODE64_AT = FLAT32_AT + 16 };
static u64 ldt[L_COUNT];

struct area { // what the trampolines reach RIP-relative
    u64 gpr[8], flags, host_rsp;
    u32 far_off;
    u16 far_sel, ss, ds, es, gs, pad;
    u32 where;
    u16 out_ss, out_ds, out_es, out_gs;
};
#define A ((struct area *)(uintptr_t)AREA)
struct outcome {
    u32 gpr[8], flags;
    u16 sel[6];
    int vector; // -1 none
    u32 err, where;
    u64 addr;
    u8 *mem;
};
static struct {
    sigjmp_buf jmp;
    volatile bool running;
    struct outcome *o;
} run;

static u64 seed = 88172645463325252ull;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}
static u32 below(u32 n) { return (u32)((rnd() >> 11) % n); }
static u32 value(void)
{
    static const u32 edge[] = {0,      1,      2,      7,       0x7f,       0x80,       0xff, 0x100,
                               0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, ~0u};
    return below(2) ? edge[below(ARRAY_LEN(edge))] + below(3) - 1 : (u32)rnd() >> below(32);
}

// ---- the host's side
static void on_signal(int sig, siginfo_t *info, void *uc_)
{
    static const int order[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    greg_t *g = ((ucontext_t *)uc_)->uc_mcontext.gregs;
    if (!run.running) {
        signal(sig, SIG_DFL);
        return;
    }
    struct outcome *o = run.o;
    for (int i = 0; i < 8; i++) o->gpr[i] = (u32)g[order[i]];
    o->flags = (u32)g[REG_EFL];
    o->vector = (int)g[REG_TRAPNO];
    o->err = (u32)g[REG_ERR];
    o->addr = (u64)info->si_addr;
    o->where = ~0u;
    u16 s;
    __asm__ volatile("mov %%ds, %0" : "=r"(s));
    o->sel[S_DS] = s;
    __asm__ volatile("mov %%es, %0" : "=r"(s));
    o->sel[S_ES] = s;
    o->sel[S_SS] = (u16)((u64)g[REG_CSGSFS] >> 48);
    __asm__ volatile("mov %%gs, %0" : "=r"(s));
    o->sel[S_GS] = s;
    siglongjmp(run.jmp, 1);
}
static void emit_sreg(struct native_emit *e, unsigned op, unsigned sreg, const void *m)
{
    char b[2] = {(char)op, (char)(5 | sreg << 3)};
    native_rip(e, b, 2, m);
}
static void write_trampolines(void)
{
    struct native_emit e = {(u8 *)(uintptr_t)TRAMPOLINE}, *x = &e;
    native_bytes(x, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
    native_gpr(x, 0x89, R_RSP, &A->host_rsp);
    emit_sreg(x, 0x8e, S_DS, &A->ds);
    emit_sreg(x, 0x8e, S_ES, &A->es);
    emit_sreg(x, 0x8e, S_GS, &A->gs);
    native_rip(x, "\xff\x35", 2, &A->flags);
    native_bytes(x, "\x9d", 1);
    emit_sreg(x, 0x8e, S_SS, &A->ss);
    native_gpr(x, 0x8b, R_RSP, &A->gpr[R_RSP]);
    for (unsigned r = 0; r < 8; r++)
        if (r != R_RSP) native_gpr(x, 0x8b, r, &A->gpr[r]);
    native_rip(x, "\xff\x2d", 2, &A->far_off);
    u8 *leave = (u8 *)(uintptr_t)(TRAMPOLINE + 0x400);
    for (unsigned k = 0; k < LEAVES; k++) { // mov dword [where], k; jmp leave
        e.p = (u8 *)(uintptr_t)(TRAMPOLINE + 0x200 + 16 * k);
        native_bytes(x, "\xc7\x05", 2);
        i32 d = (i32)((u8 *)&A->where - (e.p + 8));
        memcpy(e.p, &d, 4);
        memcpy(e.p + 4, &k, 4);
        e.p += 8;
        native_bytes(x, "\xe9", 1);
        d = (i32)(leave - (e.p + 4));
        memcpy(e.p, &d, 4);
    }
    e.p = leave;
    for (unsigned r = 0; r < 8; r++) native_gpr(x, 0x89, r, &A->gpr[r]);
    emit_sreg(x, 0x8c, S_SS, &A->out_ss);
    emit_sreg(x, 0x8c, S_DS, &A->out_ds);
    emit_sreg(x, 0x8c, S_ES, &A->out_es);
    emit_sreg(x, 0x8c, S_GS, &A->out_gs);
    native_bytes(x, "\xb8\x2b\0\0\0\x8e\xd0", 7); // mov eax, 2bh; mov ss, eax
    native_gpr(x, 0x8b, R_RSP, &A->host_rsp);
    native_bytes(x, "\x9c", 1);
    native_rip(x, "\x8f\x05", 2, &A->flags);
    native_bytes(x, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12);
}
// The way out at p, for code of the given size: a far jump to the k-th leave.
static unsigned put_leave(u8 *p, bool d32, unsigned k)
{
    u32 to = TRAMPOLINE + 0x200 + 16 * k;
    unsigned n = 0;
    if (!d32) p[n++] = 0x66;
    p[n++] = 0xea;
    memcpy(p + n, &to, 4);
    p[n + 4] = 0x33, p[n + 5] = 0;
    return n + 6;
}
static const struct {
    u32 base, limit;
    u8 contents; // 0 data, 1 expand-down, 2 code, 3 conforming code
    bool ro, d32, pages, absent;
} segments[L_COUNT] = {
    [L_C16] = {ARENA, CODE_LIMIT, 2, 0, 0, 0, 0},
    [L_C32] = {ARENA, CODE_LIMIT, 2, 0, 1, 0, 0},
    [L_D16] = {DATA, 0x3fff, 0, 0, 0, 0, 0},
    [L_DOWN16] = {DATA, 0x0fff, 1, 0, 0, 0, 0}, // 1000-ffff
    [L_DOWN32] = {DATA, 0x0fff, 1, 0, 1, 0, 0}, // 1000-ffffffff
    [L_RO] = {DATA, 0xffff, 0, 1, 0, 0, 0},
    [L_D32] = {DATA, 0xffff, 0, 0, 1, 0, 0},
    [L_XONLY] = {ARENA, CODE_LIMIT, 2, 1, 0, 0, 0},
    [L_CONF] = {ARENA, CODE_LIMIT, 3, 0, 1, 0, 1}, // Linux grants conforming code only if absent
    [L_ABSENT] = {DATA, 0xffff, 0, 0, 0, 0, 1},
    [L_PAGES] = {DATA, 0xf, 0, 0, 1, 1, 0},
    [L_TINY] = {DATA, 0x100, 0, 0, 0, 0, 0},
};
static bool native_ready(void)
{
    void *p = mmap((void *)(uintptr_t)ARENA, DATA - ARENA + DATA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) return false;
    for (unsigned k = 1; k < L_COUNT; k++) {
        struct user_desc u = {.entry_number = k,
                              .base_addr = segments[k].base,
                              .limit = segments[k].limit,
                              .seg_32bit = segments[k].d32,
                              .contents = segments[k].contents,
                              .read_exec_only = segments[k].ro,
                              .limit_in_pages = segments[k].pages,
                              .seg_not_present = segments[k].absent};
        if (syscall(SYS_modify_ldt, 0x11, &u, sizeof u)) return false;
    }
    if (syscall(SYS_modify_ldt, 0, ldt, sizeof ldt) < (long)sizeof ldt) return false;
    write_trampolines();
    u8 *code = (u8 *)(uintptr_t)ARENA;
    for (unsigned k = 1; k < L_COUNT; k++) put_leave(code + STUBS + 16 * k, segments[k].d32, k);
    put_leave(code + FLAT32_AT, true, LEAVE_FLAT32);
    struct native_emit e = {code + CODE64_AT};
    native_bytes(&e, "\xe9", 1);
    i32 d = (i32)(TRAMPOLINE + 0x200 + 16 * LEAVE_64 - (ARENA + CODE64_AT + 5));
    memcpy(e.p, &d, 4);
    static u8 stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&ss, NULL);
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++) sigaction(sigs[i], &sa, NULL);
    return true;
}
static void run_native(struct outcome *o, u16 cs)
{
    memcpy((void *)(uintptr_t)DATA, o->mem, DATA_SIZE);
    for (int r = 0; r < 8; r++) A->gpr[r] = o->gpr[r];
    A->flags = (o->flags & (FL_ARITH | FL_DF)) | 0x202;
    A->far_off = INSN_AT, A->far_sel = cs;
    A->ss = o->sel[S_SS], A->ds = o->sel[S_DS], A->es = o->sel[S_ES], A->gs = o->sel[S_GS];
    run.o = o;
    if (!sigsetjmp(run.jmp, 1)) {
        run.running = true;
        ((void (*)(void))(uintptr_t)TRAMPOLINE)();
        run.running = false;
        for (int r = 0; r < 8; r++) o->gpr[r] = (u32)A->gpr[r];
        o->flags = (u32)A->flags;
        o->sel[S_SS] = A->out_ss, o->sel[S_DS] = A->out_ds, o->sel[S_ES] = A->out_es, o->sel[S_GS] = A->out_gs;
        o->vector = -1, o->err = 0, o->addr = 0, o->where = A->where;
    } else {
        run.running = false;
        __asm__ volatile("cld");
    }
    memcpy(o->mem, (void *)(uintptr_t)DATA, DATA_SIZE);
}

// ---- doppel's side
static struct {
    struct bus bus;
    struct ram *ram;
    struct cpu_model *model;
    struct cpu *c;
} m;
static void machine_open(void)
{
    struct err e = {0};
    struct cpu_pins pins = {0};
    bus_init(&m.bus);
    m.ram = ram_new(&m.bus, "test", RAM_SIZE, &e);
    bus_map_ram(&m.bus, ARENA, RAM_SIZE, m.ram, 0, REGION_RW, 0, "test");
    m.model = cpuid_model_parse("max", &e);
    m.c = cpu_new(&m.bus, 0, m.model, &interp_engine, &pins);
    struct cpu *c = m.c;
#ifdef TRANSLATED
    c->engine->destroy(c);
    translated_open(c, !getenv("NO_OPT"));
#endif
    memcpy(m.ram->host, (void *)(uintptr_t)ARENA, DATA - ARENA);
    u8 *gdt = m.ram->host + (SYS_GDT - ARENA);
    // Linux's GDT as far as user mode can tell (arch/x86: user code 32, data, code 64, CPU number; kernel's DPL 0).
    static const struct {
        u8 sel;
        u64 d;
    } g[] = {{0x08, 0x00cf9b000000ffff}, {0x10, 0x00af9b000000ffff}, {0x18, 0x00cf93000000ffff},
             {0x20, 0x00cffb000000ffff}, {0x28, 0x00cff3000000ffff}, {0x30, 0x00affb000000ffff},
             {0x40, 0x00008b0000000067}, {0x50, 0x0000820000000067}, {0x78, 0x0040f50000000000}};
    for (unsigned k = 0; k < ARRAY_LEN(g); k++) st64(gdt + g[k].sel, g[k].d);
    memcpy(m.ram->host + (SYS_LDT - ARENA), ldt, sizeof ldt);
    c->gdt_base = SYS_GDT, c->gdt_limit = 0x7f;
    c->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE;
    c->cr4 = CR4_OSFXSR;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE;
    c->cpl = 3;
    st16(m.ram->host + (SYS_TSS - ARENA) + 0x66, 0x1000); // no I/O map: every port is refused
    c->seg[S_LDTR] = (struct seg){.base = SYS_LDT, .limit = sizeof ldt - 1, .sel = 0x50, .attr = 0x82, .usable = true};
    c->seg[S_TR] = (struct seg){.base = SYS_TSS, .limit = 0x67, .sel = 0x40, .attr = 0x8b, .usable = true};
}
static void install(unsigned s, u16 sel)
{
    struct cpu *c = m.c;
    if (sel_null(sel)) {
        seg_install_null(c, s, sel);
        return;
    }
    const u8 *p = m.ram->host + ((sel & 4 ? SYS_LDT : SYS_GDT) - ARENA) + (sel & 0xfff8);
    struct desc d;
    seg_decode(&d, ld32(p), ld32(p + 4));
    seg_install(c, s, sel, &d);
}
// Where RIP stands after the case, in the terms of the leaves.
static u32 place(const struct cpu *c, u16 cs, u32 after)
{
    u16 sel = c->seg[S_CS].sel;
    u64 rip = c->gpr[R_RIP];
    if (sel == cs && rip == after) return LEAVE_FALL;
    for (unsigned k = 1; k < L_COUNT; k++)
        if (sel == SEL(k) && rip == STUBS + 16 * k) return k;
    if (sel == 0x23 && rip == ARENA + FLAT32_AT) return LEAVE_FLAT32;
    if (sel == 0x33 && rip == ARENA + CODE64_AT) return LEAVE_64;
    return 1000 + (u32)rip;
}
static void run_ours(struct outcome *o, u16 cs, u32 after)
{
    struct cpu *c = m.c;
    u8 *mem = m.ram->host + (DATA - ARENA);
    memcpy(mem, o->mem, DATA_SIZE);
    install(S_CS, cs);
    install(S_SS, o->sel[S_SS]), install(S_DS, o->sel[S_DS]), install(S_ES, o->sel[S_ES]), install(S_GS, o->sel[S_GS]);
    install(S_FS, 0);
    c->cpl = 3;
    cpu_update_mode(c);
    memset(c->gpr, 0, sizeof c->gpr);
    for (int r = 0; r < 8; r++) c->gpr[r] = o->gpr[r];
    c->gpr[R_RIP] = INSN_AT;
    c->eflags = (o->flags & (FL_ARITH | FL_DF)) | FL_IF | FL_R1;
    c->cc_op = CC_EFLAGS;
    c->exc = c->exc_first = -1;
    c->exc_err = 0;
    c->attn = 0;
    jmp_buf jb;
    c->fault = &jb;
    if (!setjmp(jb)) {
#ifdef TRANSLATED
        c->engine->invalidate(c, ARENA, RAM_SIZE);
        c->icount = 0, c->icount_limit = 1;
        cpu_set_jump_context(c);
        while (!c->icount) { // long REPs make room for events
            c->attn = 0;
            c->engine->run(c);
        }
#else
        do {
            c->rep_pending = false;
            c->engine->step(c);
        } while (c->rep_pending);
#endif
    }
    c->fault = NULL;
    for (int r = 0; r < 8; r++) o->gpr[r] = (u32)c->gpr[r];
    o->flags = flags_get(c);
    for (int s = 0; s < 6; s++) o->sel[s] = c->seg[s].sel;
    o->vector = c->exc;
    o->err = c->exc >= 0 && c->exc_has_err ? c->exc_err : 0;
    o->where = c->exc < 0 ? place(c, cs, after) : ~0u;
    o->addr = c->cr2;
    memcpy(o->mem, mem, DATA_SIZE);
    c->cur = NULL;
}

// ---- cases
static u32 rows_run[OP_COUNT], rows_faults[OP_COUNT], rows_bad[OP_COUNT];
static char rows_why[OP_COUNT][600];

// Rows that are the system's affair, or would leave the arena.
static bool excluded(const struct insn_row *row)
{
    static const char *const never[] = {
        "INT_Ib",   "INT3",        "INT1",       "SYSCALL",       "SYSENTER", "CPUID",    "RDTSC",
        "RDTSCP",   "RDPMC",       "RDRAND_Rv",  "RDSEED_Rv",     "RDPID_Ry", "SGDT_Ms",  "SIDT_Ms",
        "SLDT_Ev",  "STR_Ev",      "SMSW_Ev",    "XGETBV",        "MONITOR",  "MWAIT",    "POP_FS",
        "LFS_GvMp", "PUSH_FS",     "CLFLUSH_Mb", "CLFLUSHOPT_Mb", "CLWB_Mb",  "UD0_GvEv", "RDFSBASE_Ry",
        "SYSRET",   "MOVNTI_MyGy", "XSETBV",     "INVPCID_GyMdq"};
    if (row->attr & (A_FPU | A_MMX | A_SSE | A_O64)) return true;
    if (row - insn_rows > OP_RORX_GyEyIb) return true;
    for (unsigned k = 0; k < ARRAY_LEN(never); k++)
        if (!strcmp(row->name, never[k])) return true;
    return false;
}
static u16 any_selector(void)
{
    switch (below(8)) { // not 78h: Linux keeps the CPU's number in its limit
    case 0: return (u16)below(8);
    case 1: return (u16)rnd() | 0x80;
    case 2: return (u16)(below(15) << 3 | below(4));
    default: return (u16)(below(L_COUNT + 1) << 3 | 4 | (below(4) ? 3 : below(4)));
    }
}
static void far_target(u16 *sel, u32 *off, unsigned size)
{
    static const u8 code[] = {L_C16, L_C32, L_XONLY, L_CONF};
    unsigned k = code[below(4)];
    *sel = SEL(k), *off = STUBS + 16 * k;
    switch (below(4) + (size == 4 ? 0 : 2)) { // a 16-bit offset does not reach flat code
    case 0: *sel = 0x23, *off = ARENA + FLAT32_AT; break;
    case 1: *sel = 0x33, *off = ARENA + CODE64_AT; break;
    case 2:
        if (below(2)) break;
        *sel = any_selector();
        if ((*sel & 0xfff8) == 0x30 || (*sel & 0xfff8) == 0x20) *sel = 0; // flat code: must not run wild
        *off = 0x5000 + below(0x1000);
        break;
    case 3: *off = CODE_LIMIT + 1 + below(0x1000); break; // beyond the limit
    default: break;
    }
}
// Linear offset in DATA of a stack slot, or ~0 if it lies outside.
static u32 stack_at(const struct outcome *o, unsigned skip)
{
    unsigned n = o->sel[S_SS] >> 3;
    u32 sp = o->gpr[R_RSP] + skip;
    if (o->sel[S_SS] == 0x2b) return o->gpr[R_RSP] + skip - DATA;
    return segments[n].d32 ? sp : (u16)sp;
}
static void poke(struct outcome *o, u32 at, u32 v, unsigned size)
{
    if (range_ok(at, size, DATA_SIZE)) st_size(o->mem + at, v, size);
}
static u16 data_segment(bool stack)
{
    static const u8 any[] = {L_D16, L_D16, L_DOWN16, L_DOWN32, L_RO, L_D32, L_D32, L_PAGES, L_TINY, L_NULL};
    static const u8 writable[] = {L_D16, L_D16, L_DOWN16, L_D32, L_PAGES, L_TINY, L_DOWN32};
    unsigned k = stack ? writable[below(ARRAY_LEN(writable))] : any[below(ARRAY_LEN(any))];
    return k ? SEL(k) : 0;
}
static u32 near_edge(void)
{
    static const u32 edge[] = {0, 0x100, 0xfff, 0x1000, 0x3fff, 0x4000, 0xffff, 0x10000};
    return below(3) ? 0x1100 + below(0x2e00) : edge[below(ARRAY_LEN(edge))] + below(24) - 16;
}
// Registers, segments and memory for the instruction; false: try another.
static bool aim(struct insn *i, u8 *bytes, struct outcome *o, unsigned code_index)
{
    const struct insn_row *row = &insn_rows[i->op];
    const char *mn = row->mnemonic;
    for (int r = 0; r < 8; r++) o->gpr[r] = value();
    o->sel[S_SS] = data_segment(true);
    o->sel[S_DS] = data_segment(false), o->sel[S_ES] = data_segment(false), o->sel[S_GS] = data_segment(false);
    o->sel[S_FS] = 0;
    bool ss32 = segments[o->sel[S_SS] >> 3].d32;
    o->gpr[R_RSP] = near_edge();
    if (o->gpr[R_RSP] > 0x10080) o->gpr[R_RSP] &= 0x3fff;
    if (!ss32 && below(2)) o->gpr[R_RSP] |= (u32)rnd() << 16;
    bool frame = !strcmp(mn, "enter") || !strcmp(mn, "leave");
    if (frame) o->gpr[R_RBP] = near_edge() | (ss32 ? 0 : (u32)rnd() << 16);
    if (row->attr & A_STR) {
        o->gpr[R_RSI] = near_edge(), o->gpr[R_RDI] = near_edge();
        o->gpr[R_RCX] = below(4) ? below(40) : 0;
        if (i->asz == 2)
            for (int r = 0; r < 8; r++)
                if (r != R_RSP) o->gpr[r] |= (u32)rnd() << 16;
    }
    if (!strcmp(mn, "xlat")) o->gpr[R_RBX] = near_edge();
    if (!strcmp(mn, "div") || !strcmp(mn, "idiv")) o->gpr[R_RDX] = below(3) - 1;
    bool bt = mn[0] == 'b' && mn[1] == 't';
    if (i->seg == S_FS && i->is_mem) return false;
    if (i->is_mem && i->op != OP_LEA_GvM) {
        u32 target = near_edge(), mask = i->asz == 2 ? 0xffff : ~0u;
        if (bt) {
            if (i->base == i->reg || i->index == i->reg) return false;
            if (!strstr(row->operands, "Ib")) o->gpr[i->reg] = below(4096) - 2048;
        }
        if (i->index != R_ZERO && i->index != i->base)
            o->gpr[i->index] = below(64) | (i->asz == 2 ? (u32)rnd() << 16 : 0);
        if (i->base == R_ZERO && i->index == R_ZERO) return false;
        unsigned r = i->base != R_ZERO ? i->base : i->index;
        if (r == R_RSP || (r == i->index && i->scale)) return false;
        u32 rest = (u32)i->disp + (i->base != R_ZERO && i->index != R_ZERO ? o->gpr[i->index] << i->scale : 0);
        u32 high = i->asz == 2 && below(2) ? (u32)rnd() << 16 : 0;
        if (i->base == i->index) return false;
        o->gpr[r] = ((target - rest) & mask) | high;
    }
    // What lies at the top of the stack and at the operand.
    u16 sel;
    u32 off;
    unsigned sz = i->osz;
    far_target(&sel, &off, sz);
    if (i->op == OP_RETF || i->op == OP_RETF_Iw || i->op == OP_IRET) {
        poke(o, stack_at(o, 0), off, sz), poke(o, stack_at(o, sz), sel, sz);
        poke(o, stack_at(o, 2 * sz), (u32)rnd() & (FL_ARITH | FL_DF), sz);
    }
    u32 near = below(4) ? STUBS + 16 * code_index : CODE_LIMIT + 1 + below(0x2000);
    if (i->op == OP_RET || i->op == OP_RET_Iw) poke(o, stack_at(o, 0), near, sz);
    if (i->op == OP_POPF) poke(o, stack_at(o, 0), (u32)rnd() & (FL_ARITH | FL_DF), sz);
    if (!strncmp(mn, "pop", 3) && strstr(row->operands, "S") && below(4)) poke(o, stack_at(o, 0), any_selector(), 2);
    if (row->attr & A_F64) { // near branches: to the stub, or beyond the limit
        u32 d = near - (INSN_AT + i->len);
        if (strstr(row->operands, "Jb")) bytes[i->len - 1] = (u8)(STUBS + 16 * code_index - (INSN_AT + i->len));
        if (strstr(row->operands, "Jb") && (i64)(STUBS + 16 * code_index) - (INSN_AT + i->len) > 127) return false;
        if (strstr(row->operands, "Jz")) st_size(bytes + i->len - sz, d, sz);
        if (!strcmp(mn, "jcxz") || !strncmp(mn, "loop", 4)) o->gpr[R_RCX] = value();
        if (!i->is_mem && strstr(row->operands, "Ev")) {
            if (i->rm == R_RSP) return false;
            o->gpr[i->rm] = near | (sz == 2 ? (u32)rnd() << 16 : 0);
        }
    }
    if (strstr(row->operands, "Ob") || strstr(row->operands, "Ov"))
        st_size(bytes + i->len - i->asz, near_edge() + (i->asz == 2 ? 0u : below(2)), i->asz);
    if (i->op == OP_CALL_Mp && sel == 0x33) sel = 0x23, off = ARENA + FLAT32_AT;
    if (i->op == OP_CALL_Ap && sel == 0x33) sel = 0x23, off = ARENA + FLAT32_AT;
    if (strstr(row->operands, "Ap")) {
        st_size(bytes + i->len - 2 - sz, off, sz);
        st16(bytes + i->len - 2, sel);
    }
    if (i->is_mem) {
        u32 ea = (i->base != R_ZERO ? o->gpr[i->base] : 0) + (i->index != R_ZERO ? o->gpr[i->index] << i->scale : 0) +
                 (u32)i->disp;
        if (i->asz == 2) ea = (u16)ea;
        if (strstr(row->operands, "Mp")) {
            bool jump = i->op == OP_CALL_Mp || i->op == OP_JMP_Mp;
            poke(o, ea, jump ? off : value(), sz), poke(o, ea + sz, jump ? sel : any_selector(), 2);
        }
        if ((i->op == OP_CALL_Ev || i->op == OP_JMP_Ev)) poke(o, ea, near, sz);
        if (i->op == OP_MOV_SwEw || strstr(row->operands, "Ew")) {
            if (row->attr & A_NOREAL || i->op == OP_MOV_SwEw) poke(o, ea, any_selector(), 2);
        }
        if (i->op == OP_BOUND_GvMa && below(2)) poke(o, ea, 0, sz), poke(o, ea + sz, 0x7fff, sz);
        if ((i->op == OP_CALL_Ev || i->op == OP_JMP_Ev || strstr(row->operands, "Mp")) && ea > DATA_SIZE - 8)
            return false;
        // Code jumps by memory that the segment base moved elsewhere must not run wild.
        if ((i->op == OP_CALL_Ev || i->op == OP_JMP_Ev || strstr(row->operands, "Mp")) && (i->seg == S_CS))
            return false;
    } else if (i->op == OP_MOV_SwEw || (row->attr & A_NOREAL)) {
        if (i->rm != R_RSP) o->gpr[i->rm & 7] = any_selector() | (u32)rnd() << 16;
    }
    if (i->op == OP_MOV_SwEw && (i->reg == S_FS || i->reg == S_CS)) return i->reg == S_CS;
    return true;
}
static bool make(unsigned mode, unsigned map, unsigned op, u8 *b)
{
    unsigned n = 0;
    if (below(4) == 0) b[n++] = 0x66;
    if (below(3) == 0) b[n++] = 0x67;
    if (below(5) == 0) b[n++] = (u8[]){0x26, 0x2e, 0x36, 0x3e, 0x65}[below(5)];
    if (!map && ((op >= 0xa4 && op < 0xb0 && op != 0xa8 && op != 0xa9) || (op >= 0x6c && op < 0x70)) && below(2))
        b[n++] = below(2) ? 0xf3 : 0xf2;
    if (below(24) == 0) b[n++] = 0xf0;
    if (map) b[n++] = 0x0f;
    if (map == 2) b[n++] = 0x38;
    b[n++] = (u8)op;
    while (n < 16) b[n++] = below(2) ? (u8)rnd() : (u8)value();
    return true;
}
static void report(unsigned op, unsigned mode, const u8 *b, const struct insn *i, const struct outcome *in,
                   const struct outcome *want, const struct outcome *got, const char *why)
{
    if (rows_bad[op]++ && !getenv("ALL")) return;
    char hex[40], line[600];
    for (unsigned k = 0; k < i->len; k++) sprintf(hex + 2 * k, "%02x", b[k]);
    snprintf(
        line, sizeof line,
        "%s in %d-bit code: %s; eax %x ecx %x edx %x ebx %x esp %x ebp %x esi %x edi %x ss %x ds %x es %x gs %x fl %x; "
        "want exc %d err %x at %d, got exc %d err %x at %d",
        hex, 16 << mode, why, in->gpr[0], in->gpr[1], in->gpr[2], in->gpr[3], in->gpr[4], in->gpr[5], in->gpr[6],
        in->gpr[7], in->sel[S_SS], in->sel[S_DS], in->sel[S_ES], in->sel[S_GS], in->flags, want->vector, want->err,
        (int)want->where, got->vector, got->err, (int)got->where);
    if (rows_bad[op] == 1) strcpy(rows_why[op], line);
    if (getenv("ALL")) printf("# %s %s\n", insn_rows[op].name, line);
}
// Where this processor goes another way than the SDM, and doppel the SDM's.
static u8 pristine[DATA_SIZE], mem_in[DATA_SIZE], mem_want[DATA_SIZE], mem_got[DATA_SIZE];
static bool row_is(const struct insn *i, const char *name)
{
    return !strncmp(insn_rows[i->op].mnemonic, name, strlen(name));
}
static void tolerate(const struct insn *i, const struct outcome *in, struct outcome *want, struct outcome *got)
{
    const char *mn = insn_rows[i->op].mnemonic;
    // No IDT here: INTO's gate is missing.
    if (i->op == OP_INTO && got->vector == EXC_GP && got->err == EXC_OF * 8 + 2) got->vector = EXC_OF, got->err = 0;
    // ARPL wants a writable segment (SDM: #GP(0)); AMD's looks only when it writes.
    if (i->op == OP_ARPL_EwGw && got->vector == EXC_GP && want->vector < 0 && i->is_mem) {
        bool ro = i->seg == S_CS || in->sel[i->seg] == SEL(L_RO);
        if (ro) *got = *want, got->mem = mem_got, memcpy(mem_got, mem_want, DATA_SIZE);
    }
    if (want->vector < 0) return;
    // SDM: a target beyond the limit is #GP(0), then the stack is looked at; AMD pushes first.
    if (!strncmp(mn, "call", 4) && want->vector == EXC_SS && got->vector == EXC_GP)
        want->vector = EXC_GP, want->err = got->err;
    // AMD's far returns look at more of the stack (released bytes, five slots) before they look at the selector.
    bool ret = i->op == OP_RETF || i->op == OP_RETF_Iw || i->op == OP_IRET;
    if (ret && (want->vector == EXC_SS || want->vector == EXC_PF) && got->vector != want->vector) {
        *got = *want;
        got->mem = mem_got;
    }
    // Both operands fault: AMD takes ES:[DI] first.
    if (row_is(i, "cmps") && i->seg == S_SS && want->vector == EXC_GP && got->vector == EXC_SS) want->vector = EXC_SS;
    // SDM REP: a fault in the midst restores EFLAGS; AMD leaves the last comparison's.
    if ((row_is(i, "cmps") || row_is(i, "scas")) && (i->pfx & (PFX_REP | PFX_REPNE))) want->flags = in->flags;
    // Pushes before the fault stay in memory, pops in registers on AMD: here a fault finds all as it was.
    static const char *const several[] = {"pusha", "popa", "enter", "call"};
    for (unsigned k = 0; k < ARRAY_LEN(several); k++)
        if (!strncmp(mn, several[k], strlen(several[k]))) {
            memcpy(mem_want, mem_in, DATA_SIZE);
            memcpy((void *)(uintptr_t)BELOW, m.ram->host + (BELOW - ARENA), DATA - BELOW);
            memcpy(want->gpr, in->gpr, sizeof want->gpr);
        }
}
static bool amd;
static bool one(unsigned mode, unsigned map, unsigned opcode, const char *pattern)
{
    u8 b[16];
    struct insn i;
    static struct outcome in, want, got;
    if (!make(mode, map, opcode, b)) return false;
    if (decode(m.c->decoder, b, 15, mode, &i) != DECODE_OK) return false;
    const struct insn_row *row = &insn_rows[i.op];
    if (excluded(row) || (pattern && !strstr(row->name, pattern))) return false;
    memcpy(mem_in, pristine, DATA_SIZE);
    in.mem = mem_in;
    unsigned index = mode == MODE_32 ? L_C32 : below(4) ? L_C16 : L_XONLY;
    if (!aim(&i, b, &in, index)) return false;
    if (!amd && i.osz == 2 && (row->mnemonic[2] == 'l' || row->mnemonic[2] == 'r') && row->mnemonic[3] == 'd')
        return false;
    if (i.op == OP_PREFETCHW_M && !i.is_mem) return false; // #UD on AMD, NOP on Intel
    if (i.op == OP_ENTER_IwIb) b[i.len - 3] &= 0x3f, b[i.len - 2] = 0, b[i.len - 1] &= 0x1f;
    if (decode(m.c->decoder, b, 15, mode, &i) != DECODE_OK) return false; // aim() has set an immediate
    in.flags = (u32)rnd() & (FL_ARITH | ((row->attr & A_STR) && below(2) ? FL_DF : 0));
    u8 *native = (u8 *)(uintptr_t)(ARENA + INSN_AT);
    memset(native, 0xcc, 0x40);
    memcpy(native, b, i.len);
    put_leave(native + i.len, mode == MODE_32, LEAVE_FALL);
    memcpy(m.ram->host + INSN_AT, native, 0x40);
    want = got = in;
    want.mem = mem_want, got.mem = mem_got;
    memcpy(mem_want, mem_in, DATA_SIZE), memcpy(mem_got, mem_in, DATA_SIZE);
    run_native(&want, SEL(index));
    run_ours(&got, SEL(index), INSN_AT + i.len);
    rows_run[i.op]++;
    rows_faults[i.op] += want.vector >= 0;
    char why[200] = "";
    tolerate(&i, &in, &want, &got);
    if (want.vector != got.vector)
        snprintf(why, sizeof why, "exception");
    else if (want.vector >= 0 && want.vector != EXC_PF && want.err != got.err)
        snprintf(why, sizeof why, "error code");
    else if (want.where != got.where)
        snprintf(why, sizeof why, "target");
    for (int r = 0; r < 8 && !*why; r++)
        if (want.gpr[r] != got.gpr[r])
            snprintf(why, sizeof why, "register %d is %x, want %x", r, got.gpr[r], want.gpr[r]);
    u32 fl = (want.flags ^ got.flags) & (FL_ARITH | FL_DF);
    if (!*why && fl && (amd || !*row->undef)) snprintf(why, sizeof why, "flags are %x, want %x", got.flags, want.flags);
    static const u8 segs[] = {S_SS, S_DS, S_ES, S_GS};
    for (unsigned k = 0; k < 4 && !*why; k++)
        if (want.sel[segs[k]] != got.sel[segs[k]])
            snprintf(why, sizeof why, "segment %d is %x, want %x", segs[k], got.sel[segs[k]], want.sel[segs[k]]);
    if (!*why && memcmp(mem_want, mem_got, DATA_SIZE)) {
        unsigned k = 0;
        while (mem_want[k] == mem_got[k]) k++;
        snprintf(why, sizeof why, "memory +%x is %02x, want %02x", k, mem_got[k], mem_want[k]);
    }
    if (!*why && memcmp((void *)(uintptr_t)BELOW, m.ram->host + (BELOW - ARENA), DATA - BELOW))
        snprintf(why, sizeof why, "memory below the segments");
    if (*why) report(i.op, mode, b, &i, &in, &want, &got, why);
    return true;
}

int main(int argc, char **argv)
{
    if (!native_ready()) {
        printf("skip ldt: no native x86-64, or no modify_ldt\n");
        return 0;
    }
    unsigned cases = check_cases(400);
    alarm(800 + cases); // a native case that does not come back
    amd = __builtin_cpu_is("amd");
    machine_open();
    seed = check_seed(seed);
    for (unsigned k = 0; k < DATA_SIZE; k++) pristine[k] = (u8)rnd();
    for (unsigned mode = MODE_16; mode <= MODE_32; mode++)
        for (unsigned map = 0; map < 3; map++)
            for (unsigned op = 0; op < 256; op++) {
                if (map == 2 && op < 0xf0) continue;
                bool group = !map && (op == 0x80 || op == 0x81 || op == 0x83 || (op | 1) == 0xc1 ||
                                      (op & 0xfc) == 0xd0 || (op | 1) == 0xf7 || op >= 0xfe || op == 0x8e);
                unsigned want = cases * (group ? 6 : 1);
                for (unsigned n = 0, tries = 0; n < want && tries < want * 6; tries++)
                    n += one(mode, map, op, argc > 1 ? argv[1] : NULL);
            }
    u64 total = 0, faults = 0;
    for (unsigned op = 1; op < OP_COUNT; op++) {
        if (!rows_run[op]) continue;
        total += rows_run[op], faults += rows_faults[op];
        if (rows_bad[op] && !amd) { // tolerate() knows AMD's ways only
            printf("skip %s: this vendor differs: %s\n", insn_rows[op].name, rows_why[op]);
            continue;
        }
        if (rows_bad[op])
            printf("not ok %s: %u of %u: %s\n", insn_rows[op].name, rows_bad[op], rows_run[op], rows_why[op]),
                check_ctx.failed++;
        else
            printf("ok %s (%u, %u faults)\n", insn_rows[op].name, rows_run[op], rows_faults[op]), check_ctx.passed++;
    }
    printf("# %d rows ok, %d not, %" PRIu64 " cases, %" PRIu64 " exceptions\n", check_ctx.passed, check_ctx.failed,
           total, faults);
    return check_ctx.failed ? 1 : 0;
}
#else
int main(void)
{
    printf("skip ldt: no native x86-64\n");
    return 0;
}
#endif
