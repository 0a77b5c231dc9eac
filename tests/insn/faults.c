// SPDX-License-Identifier: MIT
// Fault injection: every form with memory operands runs once with all pages there, which tells by the A and D bits what
// pages it reads and writes; then once for each of those pages absent, and for each written page read-only: the page
// fault must name that page and the kind of access, and leave registers, flags, x87, vectors, segments and memory as
// they were (SDM vol. 3 6.5: faults are restartable); with the page back the instruction must end as in the first run.
// Operands straddle page boundaries, so that both halves of an access take their turn. Any other exception must change
// nothing either. 64-bit code and 32-bit code, CPL 3 and 0. REP may have done some elements: it must go on from there.
//   faults [PATTERN]    rows whose name contains it; CASES=n cases an opcode and prefix (default 20), SEED=n, ALL=1
#include "tests/insn/machine.h"
#include "cpu/decode.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#ifdef TRANSLATED // tests/insn/tcg_faults.c
#include "tests/insn/translated.h"
#define CASES_DEFAULT 5
#else
#define CASES_DEFAULT 20
#endif

enum {
    PT = 0x103000,
    DATA = 0x200000, // linear and physical, in pages of 4 KB
    PAGES = 16,
    AT = 0x7000 // the instruction
};
static u64 seed = 88172645463325252ull;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}
static u32 below(u32 n) { return (u32)((rnd() >> 11) % n); }

static struct machine *m;
static struct cpu *snap; // the state before, whole
static u8 before[PAGES * 4096], after[PAGES * 4096];
struct state_of { // what a program can see
    u64 gpr[16], rip;
    u32 flags, mxcsr;
    struct fpu fpu;
    union vec vec[16];
    struct seg seg[S_COUNT];
    u64 cr0, cr3, cr4, efer;
};
static void see(struct cpu *c, struct state_of *s)
{
    memset(s, 0, sizeof *s);
    memcpy(s->gpr, c->gpr, sizeof s->gpr);
    s->rip = c->gpr[R_RIP];
    s->flags = flags_get(c) & ~(u32)FL_RF;
    s->mxcsr = c->mxcsr;
    s->fpu = c->fpu;
    for (unsigned k = 0; k < 16; k++) memcpy(s->vec[k].b, c->vec[k].b, 16);
    memcpy(s->seg, c->seg, sizeof s->seg);
    s->cr0 = c->cr0, s->cr3 = c->cr3, s->cr4 = c->cr4, s->efer = c->efer;
}
static const char *changed(const struct state_of *a, const struct state_of *b)
{
    if (memcmp(a->gpr, b->gpr, sizeof a->gpr)) return "registers";
    if (a->rip != b->rip) return "RIP";
    if (a->flags != b->flags) return "flags";
    if (a->mxcsr != b->mxcsr) return "MXCSR";
    if (memcmp(&a->fpu, &b->fpu, sizeof a->fpu)) return "x87";
    if (memcmp(a->vec, b->vec, sizeof a->vec)) return "vectors";
    for (unsigned s = 0; s < S_COUNT; s++)
        if (a->seg[s].sel != b->seg[s].sel || a->seg[s].base != b->seg[s].base || a->seg[s].limit != b->seg[s].limit)
            return "segments";
    return a->cr0 != b->cr0 || a->cr3 != b->cr3 || a->cr4 != b->cr4 || a->efer != b->efer ? "control registers" : NULL;
}

static void machine_open(void)
{
#ifdef TRANSLATED
    translated_engine_set(!getenv("NO_OPT"));
    translated_config.size = 64 << 20;
    m = machine_protected_engine("max", &translated_engine);
#else
    m = machine_protected_engine("max", &interp_engine);
#endif
    struct cpu *c = m->c;
    for (unsigned k = 0; k < 8; k++) c->feat[k] = ~0ull;
    decoder_free((struct decoder *)c->decoder);
    c->decoder = decoder_new(c->feat);
    poke(m, PML4, PDPT | 7, 8);
    poke(m, PDPT, PDIR | 7, 8);
    poke(m, PDIR, 0x87, 8);
    poke(m, PDIR + 8, PT | 7, 8);
    for (unsigned k = 0; k < PAGES; k++) poke(m, PT + 8 * k, (DATA + 4096 * k) | 7, 8);
    set_desc(m, TR_SEL, descriptor(TSS, 0x67, 0x89));
    c->gpr[R_RCX] = 0xc0000080;
    c->gpr[R_RAX] = EFER_LME | EFER_SCE;
    c->gpr[R_RDX] = 0;
    TRY(c, sys_wrmsr(c));
    TRY(c, sys_write_cr(c, 4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE));
    TRY(c, sys_write_cr(c, 3, PML4));
    TRY(c, sys_write_cr(c, 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP));
    TRY(c, far_jmp(c, K_CS64, 0x7000, 4));
    TRY(c, seg_load_tr(c, TR_SEL));
    snap = aligned_alloc(64, (sizeof *snap + 63) & ~(size_t)63);
}
static void set_mode(bool code64, bool user)
{
    struct cpu *c = m->c;
    u16 cs = code64 ? (user ? U_CS64 : K_CS64) : user ? U_CS : K_CS, ds = user ? U_DS : K_DS;
    struct desc d;
    u64 v = peek(m, GDT + (cs & 0xfff8), 8);
    seg_decode(&d, (u32)v, v >> 32);
    c->cpl = user ? 3 : 0;
    seg_install(c, S_CS, cs, &d);
    v = peek(m, GDT + (ds & 0xfff8), 8);
    seg_decode(&d, (u32)v, v >> 32);
    for (unsigned s = S_ES; s <= S_GS; s++)
        if (s != S_CS) seg_install(c, s, ds, &d);
    cpu_update_mode(c);
}
static void page(unsigned k, unsigned flags)
{
    poke(m, PT + 8 * k, (DATA + 4096 * k) | flags, 8);
    tlb_flush(m->c, true);
}
static void all_present(void)
{
    for (unsigned k = 0; k < PAGES; k++) poke(m, PT + 8 * k, (DATA + 4096 * k) | 7, 8);
    tlb_flush(m->c, true);
}
// One instruction, to its end; the exception or -1.
static int step(void)
{
    struct cpu *c = m->c;
    jmp_buf jb;
    c->exc = c->exc_first = -1;
    c->fault = &jb;
    if (!setjmp(jb)) {
        unsigned turns = 0;
#ifdef TRANSLATED
        do {
            c->attn = 0;
            translated_run(c, 1);
        } while (!c->icount && turns++ < 64);
#else
        do {
            c->rep_pending = false;
            c->attn = 0;
            c->engine->step(c);
        } while (c->rep_pending && turns++ < 64);
#endif
    }
    c->fault = NULL;
    if (c->exc >= 0) c->gpr[R_RIP] = c->engine->fault_rip(c);
    c->cur = NULL;
    return c->exc;
}
static void restore(void)
{
    memcpy(m->c, snap, sizeof *snap);
    memcpy(m->ram->host + DATA, before, sizeof before);
}

// ---- cases
static u32 rows_run[OP_COUNT], rows_bad[OP_COUNT];
static char rows_why[OP_COUNT][300];
static u64 injected;
static void bad(const struct insn *i, const u8 *b, bool code64, bool user, const char *what, const char *why,
                unsigned pg)
{
    char hex[40], line[300];
    for (unsigned k = 0; k < i->len; k++) sprintf(hex + 2 * k, "%02x", b[k]);
    snprintf(line, sizeof line, "%s in %s-bit code at CPL %d, %s page %u: %s (exception %d, err %x, cr2 %" PRIx64 ")",
             hex, code64 ? "64" : "32", user ? 3 : 0, what, pg, why, m->c->exc, m->c->exc_err, m->c->cr2);
    if (!rows_bad[i->op]++) strcpy(rows_why[i->op], line);
    if (getenv("ALL")) printf("# %s %s\n", insn_rows[i->op].name, line);
}
static u64 edge(void) { return DATA + 4096ull * (1 + below(PAGES - 2)) - (below(3) ? below(20) : 16 * below(3)); }
static bool aim(const struct insn *i, bool code64)
{
    struct cpu *c = m->c;
    for (unsigned r = 0; r < 16; r++) c->gpr[r] = below(2) ? below(256) : code64 ? rnd() : (u32)rnd();
    c->gpr[R_RSP] = edge(), c->gpr[R_RSI] = edge(), c->gpr[R_RDI] = edge(), c->gpr[R_RBP] = edge();
    if (!strcmp(insn_rows[i->op].mnemonic, "xlat")) c->gpr[R_RBX] = edge() - (u8)c->gpr[R_RAX];
    if (insn_rows[i->op].attr & A_STR) c->gpr[R_RCX] = below(30);
    const char *mn = insn_rows[i->op].mnemonic;
    if (i->is_mem) {
        if (i->asz == 2 || i->base == R_ZERO || i->base == R_RIP || i->base == i->index) return false;
        if (mn[0] == 'b' && mn[1] == 't') {
            if (i->reg == i->base || i->reg == i->index) return false;
            c->gpr[i->reg & 15] = below(4096) - 2048ull;
        }
        if (i->index != R_ZERO) c->gpr[i->index] = below(64);
        u64 target = edge();
        if (below(2) || strstr(mn, "xsave") || strstr(mn, "xrstor")) target &= ~63ull;
        if (below(4) == 0) target -= 512;
        c->gpr[i->base] = target - (i->index != R_ZERO ? c->gpr[i->index] << i->scale : 0) - (u64)(i64)i->disp;
        if (i->asz == 4) c->gpr[i->base] = (u32)c->gpr[i->base];
        // XRSTOR, FXRSTOR want an image that is legal.
        if (strstr(mn, "rstor") && range_ok(target - DATA, 576, sizeof before)) {
            u8 *p = m->ram->host + target;
            memset(p, 0, 576);
            st32(p + 24, 0x1f80), st64(p + 512, 3);
            c->gpr[R_RAX] = 7;
        }
    }
    if (!code64)
        for (unsigned r = 0; r < 16; r++) c->gpr[r] = (u32)c->gpr[r];
    for (unsigned k = 0; k < 16; k++) c->vec[k].q[0] = rnd(), c->vec[k].q[1] = rnd();
    c->mxcsr = 0x1f80;
    for (unsigned k = 0; k < 8; k++) c->fpu.m[k] = rnd() | 1ull << 63, c->fpu.se[k] = 0x3fff + below(16);
    c->fpu.fcw = 0x37f, c->fpu.fsw = 0, c->fpu.tags = 0xff;
    c->eflags = FL_R1 | (below(2) && (insn_rows[i->op].attr & A_STR) ? FL_DF : 0) | ((u32)rnd() & FL_ARITH);
    c->cc_op = CC_EFLAGS;
    c->gpr[R_RIP] = AT;
    return true;
}
static bool one(const u8 *b, bool code64, bool user, const char *pattern)
{
    struct cpu *c = m->c;
    struct insn i;
    static struct state_of s0, s1, s2;
    if (decode(c->decoder, b, 15, code64 ? MODE_64 : MODE_32, &i) != DECODE_OK) return false;
    if (pattern && !strstr(insn_rows[i.op].name, pattern)) return false;
    // Not restartable by nature, or their result is not a function of the state.
    static const u16 never[] = {OP_RDTSC,  OP_RDTSCP,   OP_HLT,      OP_MWAIT,   OP_RDRAND_Rv, OP_RDSEED_Rv,
                                OP_WRMSR,  OP_MOV_CdRd, OP_MOV_DdRd, OP_RDPMC,   OP_LMSW_Ew,   OP_XSETBV,
                                OP_SYSRET, OP_SYSEXIT,  OP_SYSCALL,  OP_SYSENTER};
    for (unsigned k = 0; k < ARRAY_LEN(never); k++)
        if (i.op == never[k]) return false;
    set_mode(code64, user);
    memcpy(m->ram->host + AT, b, 16);
#ifdef TRANSLATED
    c->engine->invalidate(c, AT, 16);
#endif
    if (!aim(&i, code64)) return false;
    all_present();
    if (i.op == OP_ENTER_IwIb && (i.imm & 0xffff) > 0x800) return false;
    memcpy(snap, c, sizeof *snap);
    memcpy(before, m->ram->host + DATA, sizeof before);
    see(c, &s0);
    bool rep = (insn_rows[i.op].attr & A_STR) && (i.pfx & (PFX_REP | PFX_REPNE));
    int exc = step();
    see(c, &s1);
    memcpy(after, m->ram->host + DATA, sizeof after);
    u32 touched = 0, written = 0;
    for (unsigned k = 0; k < PAGES; k++) {
        u64 e = peek(m, PT + 8 * k, 8);
        if (e & 0x20) touched |= 1u << k;
        if (e & 0x40) written |= 1u << k;
    }
    bool trap = i.op == OP_INT3 || i.op == OP_INT1 || i.op == OP_INTO || i.op == OP_INT_Ib;
    if (exc >= 0) { // whatever it is, it must have changed nothing
        const char *why = changed(&s0, &s1);
        if (!rep && !trap && why) bad(&i, b, code64, user, "exception,", why, 0);
        if (!rep && memcmp(before, after, sizeof before)) bad(&i, b, code64, user, "exception,", "memory", 0);
        return false;
    }
    if (!touched) return false;
    rows_run[i.op]++;
    check_row(insn_rows[i.op].name);
    for (unsigned k = 0; k < PAGES; k++)
        for (unsigned kind = 0; kind < 2; kind++) { // 0: absent, 1: read-only
            if (!((kind ? written : touched) >> k & 1)) continue;
            restore();
            all_present();
            page(k, kind ? 5 : 6);
            injected++;
            const char *what = kind ? "read-only" : "absent", *why = NULL;
            if (step() != EXC_PF) {
                bad(&i, b, code64, user, what, "no page fault", k);
                continue;
            }
            u32 err = c->exc_err, want = (kind ? PF_P | PF_W : 0) | (user ? PF_U : 0);
            if ((err & ~(kind ? 0u : PF_W)) != want) why = "error code";
            if (c->cr2 >> 12 != (DATA >> 12) + k) why = "CR2";
            see(c, &s2);
            if (!why && !rep) why = changed(&s0, &s2);
            if (!why && !rep && memcmp(before, m->ram->host + DATA, sizeof before)) why = "memory";
            if (why) bad(&i, b, code64, user, what, why, k);
            page(k, 7);
            int again = step();
            see(c, &s2);
            s2.flags &= ~(u32)FL_RF;
            why = again >= 0 ? "does not complete afterwards" : changed(&s1, &s2);
            if (!why && memcmp(after, m->ram->host + DATA, sizeof after)) why = "memory afterwards";
            if (why) bad(&i, b, code64, user, what, why, k);
        }
    return true;
}

int main(int argc, char **argv)
{
    static const u8 prefixes[][4] = {{0}, {1, 0x66}, {1, 0xf2}, {1, 0xf3}, {1, 0x48}, {2, 0x66, 0x48}};
    unsigned cases = check_cases(CASES_DEFAULT);
    seed = check_seed(seed);
    machine_open();
    for (unsigned k = 0; k < PAGES * 4096; k += 8) poke(m, DATA + k, rnd(), 8);
    for (unsigned map = 0; map < 4; map++)
        for (unsigned op = 0; op < 256; op++)
            for (unsigned p = 0; p < ARRAY_LEN(prefixes) + 1; p++)
                for (unsigned n = 0, tries = 0; n < cases && tries < cases * 5; tries++) {
                    bool code64 = p == 4 || p == 5 || below(3), user = below(4) != 0;
                    u8 b[32];
                    unsigned k = 0;
                    if (p < ARRAY_LEN(prefixes)) {
                        memcpy(b, prefixes[p] + 1, prefixes[p][0]);
                        k = prefixes[p][0];
                    } else if (map == 0 || (op & 0xf0) == 0xb0 || (op & 0xf0) == 0xc0) {
                        b[k++] = 0xf0;
                    }
                    if (map) b[k++] = 0x0f;
                    if (map > 1) b[k++] = map == 2 ? 0x38 : 0x3a;
                    b[k++] = (u8)op;
                    while (k < 16) b[k++] = (u8)rnd();
                    n += one(b, code64, user, argc > 1 ? argv[1] : NULL);
                }
    unsigned rows = 0, wrong = 0;
    u64 total = 0;
    for (unsigned op = 1; op < OP_COUNT; op++) {
        rows += rows_run[op] != 0, total += rows_run[op];
        if (rows_bad[op])
            wrong++, printf("not ok %s: %u of %u: %s\n", insn_rows[op].name, rows_bad[op], rows_run[op], rows_why[op]);
    }
    if (!wrong) printf("ok faults (%u rows)\n", rows);
    printf("# %u rows, %" PRIu64 " cases, %" PRIu64 " faults injected\n", rows, total, injected);
    return wrong ? 1 : 0;
}
