// SPDX-License-Identifier: MIT
// Lockstep (-accel check), by windows of up to 16000 instructions. The reference goes first, block by block, and all
// that it did is taken back; then translated code covers the same instructions as it always does: linked, through the
// jump cache, with its own TLBs and exits to C. Where the reference stopped, registers, flags, system state and memory
// must be the same, and the same number of instructions must have been executed.
//
// A window ends where something has an effect that cannot be taken back, or that comes from outside: port and MMIO
// accesses, stores to code, control registers, the clock, HLT, a fault, an interrupt. Translated code leaves for C
// there, so states can be compared just before, and what follows happens once. The reference hears of its stores
// through cpu.witness, page by page (cpu/mmu.h: tlb_reference()), and A and D bits count as stores.
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/access.h"
#include "cpu/flags.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tb/check.h"

static struct check *new_check(void)
{
    struct check *k = aligned_alloc(64, align_up(sizeof *k, 64));
    if (!k) panic("no memory for lockstep");
    return memset(k, 0, sizeof *k);
}

struct check *check_new(struct tcg *g)
{
    struct check *k = new_check();
    k->g = g;
    k->at = ~(u64)0;
    k->window = CHECK_WINDOW_NEW;
    g->bus->keep_code = true;
    return k;
}

// ---- what the reference may execute

// Whether the reference must stop before the operation. All else lives in the processor's registers and in memory. What
// translated code does in place must not be here.
static bool outside(struct cpu *c, const struct insn *i)
{
    u32 attr = insn_rows[i->op].attr;
    if (attr & A_IO) return true;
    switch (i->op) {
    case OP_NONE:
    case OP_INT3:
    case OP_INTO:
    case OP_INT1:
    case OP_UD0_GvEv:
    case OP_UD1_GvEv:
    case OP_UD2:
    case OP_MONITOR: return true;
    case OP_POP_ES:
    case OP_POP_SS:
    case OP_POP_DS:
    case OP_POP_FS:
    case OP_POP_GS:
    case OP_MOV_SwEw:
    case OP_LES_GzMp:
    case OP_LDS_GzMp:
    case OP_LSS_GvMp:
    case OP_LFS_GvMp:
    case OP_LGS_GvMp:
    case OP_POPF:
    case OP_INT_Ib:
    case OP_IRET:
    case OP_CLI:
    case OP_STI:
    case OP_JMP_Ap:
    case OP_JMP_Mp:
    case OP_CALL_Mp:
    case OP_CLAC:
    case OP_STAC:
    case OP_SWAPGS:
    case OP_SYSCALL:
    case OP_SYSRET:
    case OP_SYSENTER:
    case OP_SYSEXIT:
    case OP_CPUID:
    case OP_WRFSBASE_Ry:
    case OP_WRGSBASE_Ry: return false;
    case OP_MOV_RdCd: return i->reg == 8;             // the local APIC's
    case OP_PAUSE: return tcg_check(c)->g->users > 1; // the others' turn
    default: return attr & A_SYS;
    }
}

// What may have changed something before it meets an obstacle: instructions that go in steps, and by a store that
// cannot fault any more, so that only lockstep could mind, all but the simplest.
static bool half_done(const struct insn *i, bool store)
{
    switch (i->op) {
    case OP_MOV_EbGb:
    case OP_MOV_EvGv:
    case OP_MOV_EbIb:
    case OP_MOV_EvIz: return false;
    default: return store || (insn_rows[i->op].attr & (A_SYS | A_END | A_STR));
    }
}

// ---- the reference

NORETURN static void stop_reference(struct cpu *c, struct check *k, enum check_end why)
{
    k->why = why;
    c->exc = -1;
    longjmp(k->out, 2);
}

// The library's, which is faster than what gcc puts here for a known length.
INLINE void copy(void *to, const void *from, size_t n) { memmove(to, from, n); }

static void keep_page(struct cpu *c, struct check *k, u64 pa, u8 *host)
{
    for (u32 i = k->npages; i-- > 0;)
        if (k->page[i].host == host) return;
    if (k->npages == CHECK_PAGES) stop_reference(c, k, END_FULL);
    struct check_page *p = &k->page[k->npages++];
    p->host = host;
    p->pa = pa & PAGE_MASK;
    copy(p->before, host, PAGE_SIZE);
}

static void witness(struct cpu *c, u64 pa, int acc)
{
    struct check *k = tcg_check(c);
    k->store = acc == ACC_WRITE;
    struct phys_page g = phys_page(c->bus, pa, acc != ACC_READ);
    if (acc == ACC_READ) {
        if (!g.host || !g.direct) stop_reference(c, k, END_DEVICE);
        return;
    }
    if (!g.host || g.ram->rom) stop_reference(c, k, END_DEVICE);
    keep_page(c, k, pa, g.host);
    if (acc == WITNESS_WALK) k->walked = true;
}

void check_code_store(struct cpu *c, u64 pa, u64 len)
{
    struct check *k = tcg_check(c);
    if (tb_covers(k->g, pa, len)) stop_reference(c, k, END_CODE);
}

static void take(struct check_state *s, const struct cpu *c)
{
    copy(s->cpu, c, sizeof s->cpu);
    s->flags = (c->eflags & ~(u32)FL_ARITH) | (flags_arith(c) & FL_ARITH);
    copy(&s->fpu, &c->fpu, sizeof s->fpu);
    s->mxcsr = c->mxcsr;
    copy(s->vec, c->vec, sizeof s->vec);
}

static void give(struct cpu *c, const struct check_state *s)
{
    u32 leave = c->attn & ATTN_EXIT; // may come from a signal at any time
    copy(c, s->cpu, sizeof s->cpu);
    c->attn |= leave;
    copy(&c->fpu, &s->fpu, sizeof s->fpu);
    c->mxcsr = s->mxcsr;
    copy(c->vec, s->vec, sizeof s->vec);
}

static bool asks(const struct cpu *c) { return c->attn & cpu_attn_mask(c) & ~(u32)(ATTN_EXIT | ATTN_SHADOW); }

// After an instruction that left something in attn; false: the window ends.
static bool attend(struct cpu *c, struct check *k)
{
    if (c->rep_pending) return k->why = END_STEPS, k->half = true, false;
    c->attn &= ~(u32)ATTN_SHADOW; // with nothing pending it cannot be seen
    if (!asks(c)) return true;
    k->why = END_ATTENTION;
    k->n++;
    k->i++;
    return false;
}

// x87 errors may reach the FERR# pin, and what lies behind it.
static bool has_ferr(const struct cpu *c, const struct insn *i)
{
    return (insn_rows[i->op].attr & A_FPU) && !((c->cr0 & CR0_NE) && (c->mode & MODE_X87));
}

// Executes what begins at `from`, of a block that begins at `start`, until its end or until something asks for
// attention. Returns how many instructions.
static unsigned run_on(struct cpu *c, struct check *k, const struct insn *from, u64 start)
{
    c->gpr[R_RIP] = start;
    k->run = from;
    for (const struct insn *i = from;; i++) {
        c->cur = i;
        if (i->exec == interp_stop) break;
        i->exec(c, i); // may go on for many, or return after one
        i = c->cur;
        if (i->exec == interp_stop) break;
        if (!unlikely(c->attn)) continue;
        c->cur = i + 1;
        break;
    }
    k->run = NULL;
    return (unsigned)(c->cur - from);
}

// Executes t's instruction `i`, at rip.
static void run_one(struct cpu *c, const struct tb *t, unsigned i, u64 rip)
{
    struct insn slot[2] = {t->insn[i], {.exec = interp_stop}};
    c->gpr[R_RIP] = rip + t->insn[i].len;
    c->cur = slot;
    t->insn[i].exec(c, slot);
    if (unlikely(t->outside & CHECK_WIDE)) cpu_fcw_mode(c);
}

// Executes t from its instruction `i` on; false: the window ends, for k->why.
static bool run_block(struct cpu *c, struct check *k, const struct tb *t, unsigned i)
{
    const struct check_runs *r = t->check;
    u64 start = c->gpr[R_RIP] - r->of[i].at;
    unsigned most = (unsigned)min_u64(k->most - k->n, TB_MAX), first = i;
    bool whole = t->n - i <= most;
    while (i < t->n) {
        unsigned done = 1;
        bool jumps;
        k->i = i;
        if (unlikely(t->outside >> i & 1)) return k->why = END_OUTSIDE, false;
        if (unlikely(i - first == most)) return k->why = END_EXACT, false;
        if (likely(whole && r->of[i].pos != CHECK_ALONE)) {
            done = run_on(c, k, &r->insn[r->of[i].pos], start);
            jumps = r->of[i + done - 1].jumps;
        } else {
            if (unlikely(t->outside & CHECK_WIDE) && has_ferr(c, &t->insn[i])) return k->why = END_X87, false;
            jumps = true;
            run_one(c, t, i, start + r->of[i].at);
        }
        u64 next = start + r->of[i + done].at;
        if (!jumps) c->gpr[R_RIP] = next;
        k->n += done - 1;
        k->i = i + done - 1;
        if (unlikely(c->attn) && !attend(c, k)) return false;
        k->n++;
        i += done;
        if (c->gpr[R_RIP] != next) break;
    }
    k->i = 0;
    return true;
}

// ---- blocks as the reference executes them

static bool near_transfer(const struct insn *i)
{
    switch (i->op) {
    case OP_JCC_Jb:
    case OP_JCC_Jz:
    case OP_JMP_Jb:
    case OP_JMP_Jz:
    case OP_JMP_Ev:
    case OP_CALL_Jz:
    case OP_CALL_Ev:
    case OP_RET:
    case OP_RET_Iw: return true;
    default: return false;
    }
}

static bool changes_mode(const struct insn *i)
{
    return (insn_rows[i->op].attr & A_FPU) || i->op == OP_FXRSTOR_M || i->op == OP_XRSTOR_M;
}

// What reads RIP, or goes in steps, or must be looked at before or behind it.
static bool goes_alone(const struct insn *i)
{
    u32 attr = insn_rows[i->op].attr;
    if (i->op == OP_NONE || (attr & (A_SYS | A_IO)) || changes_mode(i)) return true;
    if ((attr & A_STR) && (i->pfx & (PFX_REP | PFX_REPNE))) return true;
    if (i->is_mem && i->base == R_RIP && i->disp > INT32_MAX - 1024) return true; // rebased it would overflow
    return (attr & A_END) && !near_transfer(i);
}

// The instruction as it must be while RIP stands at the block's start, and its own end lies `end` bytes behind that.
static void rebase(struct insn *i, unsigned end)
{
    if (i->is_mem && i->base == R_RIP) i->disp += (i32)end;
    if (i->op == OP_CALL_Ev)
        i->imm = end;
    else if (near_transfer(i) && !i->is_mem)
        i->disp = (i32)end;
}

void check_note(struct cpu *c, struct tb *t)
{
    struct check_runs *r = (struct check_runs *)(void *)&t->insn[t->n];
    static const struct insn stop = {.exec = interp_stop};
    bool open = false; // a run that needs its end
    r->insn = (struct insn *)(align_up((uintptr_t)&r->of[t->n + 1], sizeof(u64)));
    r->n = 0;
    r->of[0].at = 0;
    t->outside = 0;
    for (unsigned i = 0; i < t->n; i++) {
        const struct insn *from = &t->insn[i];
        bool out = outside(c, from), alone = out || goes_alone(from);
        r->of[i + 1].at = r->of[i].at + from->len;
        r->of[i].pos = alone ? CHECK_ALONE : (u8)r->n;
        r->of[i].jumps = alone || near_transfer(from);
        if (out) t->outside |= (u64)1 << i;
        if (changes_mode(from)) t->outside |= CHECK_WIDE;
        if (alone && open) r->insn[r->n++] = stop;
        open = !alone;
        if (alone) continue;
        r->insn[r->n] = *from;
        rebase(&r->insn[r->n++], r->of[i + 1].at);
        if (!near_transfer(from)) continue;
        r->insn[r->n++] = stop;
        open = false;
    }
    if (open) r->insn[r->n++] = stop;
    t->check = r;
}

// ---- finding blocks

static struct check_jump *jump_slot(struct check *k, u64 lin) { return &k->jump[(lin ^ lin >> 12) % CHECK_JUMPS]; }

static void know_epoch(struct check *k)
{
    if (k->epoch != k->g->epoch) memset(k->jump, 0, sizeof k->jump);
    k->epoch = k->g->epoch;
}

// The block at RIP as the dispatcher would find it; NULL: there is none that may be executed.
static const struct tb *block_at(struct cpu *c, struct check *k)
{
    u64 rip = c->gpr[R_RIP], lin = tb_linear(c, rip);
    struct check_jump *j = jump_slot(k, lin);
    const struct tb *t = j->t;
    if (likely(j->lin == lin && j->context == c->context && t && !t->dead))
        return cpu_code64(c) || rip + t->bytes - 1 <= c->seg[S_CS].limit ? t : NULL;
    u64 pa = tlb_fetch(c, lin, NULL);
    u32 marks = k->hooks ? hook_key(k->hooks, lin, pa) : 0;
    if (unlikely(marks) && hook_marked(k->hooks, lin, pa)) return NULL;
    t = tb_find(k->g, pa, c->mode | marks);
    if (!t) {
        c->hooks = k->hooks; // where its breakpoints are
        t = tb_build(c, k->g, rip, pa, marks);
        c->hooks = NULL;
        know_epoch(k);
    }
    if (!t || (!cpu_code64(c) && rip + t->bytes - 1 > c->seg[S_CS].limit)) return NULL;
    if (t->pa2 != ~(u64)0) {
        if (tlb_fetch(c, tb_linear(c, rip + (PAGE_SIZE - (pa & 0xfff))), NULL) != t->pa2) return NULL;
    } else { // marks that a debugger sets later flush all
        *j = (struct check_jump){lin, c->context, t};
    }
    return t;
}

static void run_reference(struct cpu *c, struct check *k, const struct tb *t, unsigned first)
{
    for (;; first = 0, t = NULL) {
        k->i = first;
        k->t = t;
        if (unlikely(c->gpr[R_RIP] >> 32 && !cpu_code64(c))) c->gpr[R_RIP] = (u32)c->gpr[R_RIP]; // as the dispatcher
        k->rip = c->gpr[R_RIP];
        if (!t) k->t = t = block_at(c, k);
        k->why = t ? END_FULL : END_OUTSIDE;
        if (!t || k->n >= k->window) {
            k->t = NULL;
            return;
        }
        k->bound[k->nbounds++] = (struct check_bound){k->n, k->rip, t->pa, t->key};
        k->first = first;
        if (!run_block(c, k, t, first)) return;
    }
}

// Takes everything back.
static void undo(struct cpu *c, struct check *k)
{
    for (u32 i = 0; i < k->npages; i++) {
        copy(k->page[i].after, k->page[i].host, PAGE_SIZE);
        copy(k->page[i].host, k->page[i].before, PAGE_SIZE);
    }
    bool mapped = k->walked || CPU(&k->after)->cr3 != CPU(&k->before)->cr3;
    give(c, &k->before);
    // What the TLBs know now stands in paging entries that were taken back.
    if (mapped) tlb_flush(c, true);
}

// From here to `most` instructions at most. Sets k->n, k->why, before and after.
static void reference(struct cpu *c, struct check *k, const struct tb *t, unsigned first, u64 most)
{
    struct cpu_trail *trail = c->trail;
    jmp_buf *fault = c->fault;
    k->most = most;
    k->n = k->npages = k->nbounds = 0;
    k->walked = k->half = false;
    know_epoch(k);
    take(&k->before, c);
    k->hooks = c->hooks;
    c->hooks = NULL;
    c->trail = &k->trail;
    c->witness = witness;
    c->fault = &k->out;
    c->exc = -1;
    tlb_reference(c);
    int stopped = setjmp(k->out);
    if (!stopped) run_reference(c, k, t, first);
    if (stopped == 1) k->why = END_FAULT;
    if (stopped && k->run) {
        k->i += (unsigned)(c->cur - k->run);
        k->n += (u64)(c->cur - k->run);
    }
    k->run = NULL;
    // A store to code has been made when it is found out.
    // #XM, or #UD in its place, is raised behind MXCSR's flags.
    k->half |= stopped == 1 && (c->exc == EXC_XM || (c->exc == EXC_UD && !(c->cr4 & CR4_OSXMMEXCPT)));
    if (stopped && k->t) k->half |= k->why == END_CODE || half_done(&k->t->insn[k->i], stopped == 2 && k->store);
    bool leaves = k->why >= END_DEVICE && k->why <= END_ATTENTION; // translated code does, there
    k->rest = k->t && leaves ? k->t->n - k->i : 0;
    k->exc = stopped == 1 ? c->exc : -1;
    k->cr2 = c->cr2;
    if (stopped || k->why == END_OUTSIDE || k->why == END_EXACT || k->why == END_X87) {
        for (unsigned i = k->first; k->t && i < k->i; i++) k->rip += k->t->insn[i].len;
        c->gpr[R_RIP] = k->rip;
    }
    c->cr2 = CPU(&k->before)->cr2; // a fault has changed it, and that instruction is not the window's
    c->cur = NULL;
    c->exc = -1;
    c->witness = NULL;
    c->trail = trail;
    c->hooks = k->hooks;
    c->fault = fault;
    tlb_reference_writes(c);
    c->tlb = &c->tlbs[(c->mode & MODE_TLB) >> MODE_TLB_SHIFT];
    take(&k->after, c);
    undo(c, k);
}

static void set_length(struct check *k)
{
    bool new = k->compiled != k->g->st.compiled;
    k->compiled = k->g->st.compiled;
    k->window = new ? CHECK_WINDOW_NEW : min_u64(2 * k->window, CHECK_WINDOW);
}

bool check_open(struct cpu *c, struct check *k, const struct tb *t, unsigned first)
{
    if (!k->hunting) set_length(k);
    u32 epoch = k->g->epoch;
    u64 most = k->most_next;
    k->most_next = 0;
    if (c->hooks && c->hooks->nwatch) return false; // an access that shall stop the machine would come twice
    if (!most) most = c->icount_limit - c->icount;
    reference(c, k, t, first, most);
    if (k->half && k->n && k->g->epoch == epoch) { // up to there
        enum check_end why = k->why;
        u32 rest = k->rest;
        k->st.again++;
        reference(c, k, t, first, k->n);
        k->why = why;
        k->rest = rest;
    }
    if (!k->n || k->half || k->g->epoch != epoch) return false;
    k->st.ends[k->why]++;
    k->st.windows++;
    k->st.insns += k->n;
    k->limit = c->icount_limit;
    k->at = c->icount + k->n;
    c->icount_limit = min_u64(k->limit, k->at + k->rest);
    return true;
}

// ---- the comparison

static bool same_segment(const struct seg *a, const struct seg *b)
{
    return a->sel == b->sel && a->attr == b->attr && a->base == b->base && a->limit == b->limit && a->rend == b->rend &&
           a->wend == b->wend && a->usable == b->usable;
}

// Paging entries: hardware is free in when it sets A, and in D as far as nothing is written.
static bool only_marks(const u8 *a, const u8 *b)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 4)
        if ((ld32(a + i) ^ ld32(b + i)) & ~0x60u) return false;
    return true;
}

#define FROM(first, last) offsetof(struct cpu, first), offsetof(struct cpu, last) - offsetof(struct cpu, first)
static bool same_bytes(const struct check_state *a, const struct check_state *b, size_t from, size_t n)
{
    return !memcmp(a->cpu + from, b->cpu + from, n);
}

static const char *compare_state(const struct check_state *a, const struct check_state *b)
{
    const struct cpu *x = CPU(a), *y = CPU(b);
    // Code that runs over the end of 4 GB may go on at 0 already.
    if (x->gpr[R_RIP] != y->gpr[R_RIP] && (cpu_code64(x) || (u32)x->gpr[R_RIP] != (u32)y->gpr[R_RIP])) return "RIP";
    if (!same_bytes(a, b, 0, 16 * sizeof x->gpr[0])) return "a register";
    if (a->flags != b->flags) return "flags";
    if (x->mode != y->mode || x->cpl != y->cpl) return "the processor's mode";
    for (unsigned s = 0; s < S_COUNT; s++)
        if (!same_segment(&x->seg[s], &y->seg[s])) return "a segment register";
    if (!same_bytes(a, b, FROM(gdt_base, cpl)) || x->nmi_blocked != y->nmi_blocked ||
        !same_bytes(a, b, FROM(a20_mask, rep_pending)))
        return "a system register";
    if (memcmp(&a->fpu, &b->fpu, sizeof a->fpu)) return "x87";
    if (a->mxcsr != b->mxcsr) return "MXCSR";
    return memcmp(a->vec, b->vec, sizeof a->vec) ? "a vector register" : NULL;
}

static const char *compare(struct cpu *c, struct check *k)
{
    if (k->faulted) return "translated code raised an exception";
    if (c->icount > k->at) return "the reference stopped earlier";
    if (c->icount < k->at) return "translated code found something that asks for attention";
    take(&k->now, c);
    const char *what = compare_state(&k->after, &k->now);
    for (u32 p = 0; p < k->npages && !what; p++) {
        const struct check_page *g = &k->page[p];
        if (memcmp(g->after, g->host, PAGE_SIZE) && !(k->walked && only_marks(g->after, g->host))) what = "memory";
    }
    return what;
}

// ---- the hunt for the block that is to blame

// Memory and registers as at the window's beginning.
static void rewind_window(struct cpu *c, struct check *k, const struct check_state *start)
{
    for (u32 i = 0; i < k->npages; i++) memcpy(k->page[i].host, k->page[i].before, PAGE_SIZE);
    give(c, start);
    c->icount_limit = k->limit;
    tlb_flush(c, true);
}

// Runs both for `most` instructions. What differs is in k->what; the states in k->after and k->now.
static void again(struct cpu *c, struct check *k, const struct check_state *start, u64 most)
{
    jmp_buf out, *outer = c->fault;
    u32 attn = c->attn;
    rewind_window(c, k, start);
    k->most_next = most;
    k->what = NULL;
    k->hunting = true;
    c->fault = &out;
    c->attn &= ~(u32)ATTN_EXIT;
    if (!setjmp(out)) {
        c->engine->run(c);
    } else {
        k->what = "translated code raised an exception";
        c->cur = NULL;
    }
    k->hunting = k->faulted = false;
    k->at = ~(u64)0;
    c->fault = outer;
    c->attn = (c->attn & ~(u32)ATTN_EXIT) | (attn & ATTN_EXIT);
}

// Finds the first block after which the two differ: k->blame, with its end in k->n, the states in k->then, after and
// now. False: the window's second run shows no difference.
static bool hunt(struct cpu *c, struct check *k, const struct check *first)
{
    const struct check_bound *b = first->bound;
    u32 i = 1;
    for (; i < first->nbounds; i++) {
        if (b[i].n == b[i - 1].n) continue;
        again(c, k, &first->before, b[i].n);
        if (k->what) break;
    }
    if (i == first->nbounds) again(c, k, &first->before, 0);
    if (!k->what) return false;
    k->then = first->before;
    if (i > 1) {
        again(c, k, &first->before, b[i - 1].n);
        k->then = k->after;
        again(c, k, &first->before, i < first->nbounds ? b[i].n : 0);
    }
    k->blame = b[i - 1];
    return k->what != NULL;
}

static void report(struct cpu *c, struct check *k)
{
    struct check *first = new_check();
    take(&k->now, c);
    *first = *k;
    struct buf memory = {0};
    check_memory(k, &memory);
    bool found = hunt(c, k, first);
    if (found) {
        memory.len = 0;
        check_memory(k, &memory);
    }
    check_tell(c, k, first, found, buf_text(&memory));
    buf_free(&memory);
    // Who asked for the report goes on as the reference did.
    rewind_window(c, k, &first->before);
    for (u32 i = 0; i < first->npages; i++) memcpy(first->page[i].host, first->page[i].after, PAGE_SIZE);
    give(c, &first->after);
    c->icount += first->n;
    tlb_flush(c, true);
    k->what = NULL;
    free(first);
}

bool check_look(struct cpu *c, struct check *k)
{
    if (!check_is_open(k)) return true;
    if (c->icount < k->at && !k->faulted && !asks(c)) {
        c->attn &= ~(u32)ATTN_SHADOW; // as the reference did
        return true;
    }
    c->icount_limit = k->limit;
    k->what = compare(c, k);
    k->at = ~(u64)0;
    k->faulted = false;
    if (k->hunting) {
        take(&k->now, c);
        c->attn |= ATTN_EXIT;
        return false;
    }
    if (!k->what) return true;
    report(c, k);
    return false;
}

void check_info(const struct check *k, struct buf *out)
{
    static const char *const name[END_COUNT] = {
        "its length", "the slice's end", "devices",    "stores to code", "instructions with effects outside",
        "faults",     "attention",       "x87 errors", "steps"};
    const struct check_stats *s = &k->st;
    buf_printf(out, "checked            %llu windows, %llu instructions; ended by", (unsigned long long)s->windows,
               (unsigned long long)s->insns);
    for (unsigned i = 0; i < END_COUNT; i++)
        buf_printf(out, "%s %s %llu", i ? "," : "", name[i], (unsigned long long)s->ends[i]);
    buf_printf(out, "; %llu made again\n", (unsigned long long)s->again);
}
