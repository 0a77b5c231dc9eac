// SPDX-License-Identifier: MIT
// Lockstep (-accel check): whatever translated code is about to do, from the start of a block or from where C gives
// control back to it, the reference does first, instruction by instruction, on the same state; its stores are undone;
// then the translated code runs, and registers, flags, instruction count and memory must be what the reference had at
// the point where it left.
//
// The reference works with empty TLBs, so that every access passes cpu/access.c, whose hooks tell of each store before
// it happens. It stops before what translated code leaves to C anyway: instructions that are a CALL, devices, pages
// with code marks, faults. So nothing with an effect outside of memory happens twice. Blocks are neither linked nor
// entered through the jump cache: its entries lead back here.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/flags.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tb/tb.h"

enum { STORES = 256, STORE_MOST = 64, PAGES = 16, LAST = 32 };
typedef unsigned long long ull;

struct vectors {
    struct fpu fpu;
    u32 mxcsr;
    union vec vec[16];
};
struct store {
    u8 *host;
    u32 size;
    u8 before[STORE_MOST], after[STORE_MOST];
};
struct point { // between two instructions of the reference
    u64 gpr[R_COUNT];
    u32 flags, nstores, mode;
    u16 sel[S_GS + 1], attr[S_GS + 1];
    u8 cpl, set;
};
struct check {
    u8 cpu[offsetof(struct cpu, fpu)]; // the state's first part before the run
    struct vectors before;
    struct point at[TB_MAX + 1];
    struct vectors vectors[TB_MAX + 1];
    u32 n;     // instructions that the reference executed: at[0 … n] are valid
    bool wide; // vectors count
    struct store store[STORES];
    u32 nstores;
    struct {
        u8 *host, bytes[PAGE_SIZE]; // as before the run
    } page[PAGES];
    u32 npages;
    jmp_buf out;
    struct cpu_hooks hooks;
    const struct tb *t;
    unsigned first; // instruction of t that the run began with
    struct {
        u64 icount, rip, pa;
    } last[LAST];
    u32 nlast;
    u64 runs, insns;
    const char *why; // the reference stopped
    int exc;         // … for this fault, -1 none
    u64 cr2;
};

struct check *check_new(void) { return xalloc(sizeof(struct check)); }

// ---- the reference

static void stop_reference(struct cpu *c)
{
    c->exc = -1;
    longjmp(*c->fault, 1);
}

static void keep_page(struct cpu *c, struct check *k, u8 *host)
{
    host = (u8 *)((uintptr_t)host & ~(uintptr_t)(PAGE_SIZE - 1));
    for (u32 i = 0; i < k->npages; i++)
        if (k->page[i].host == host) return;
    if (k->npages == PAGES) stop_reference(c);
    k->page[k->npages].host = host;
    memcpy(k->page[k->npages++].bytes, host, PAGE_SIZE);
}

static void keep(struct cpu *c, struct check *k, u64 pa, u32 size)
{
    struct phys_page g = phys_page(c->bus, pa, true);
    if (!g.host || !g.direct || size > STORE_MOST || k->nstores == STORES) stop_reference(c);
    struct store *s = &k->store[k->nstores];
    s->host = g.host + (pa & 0xfff);
    s->size = size;
    keep_page(c, k, s->host);
    memcpy(s->before, s->host, size);
    k->nstores++;
}

static void on_access(struct cpu *c, const struct hook_access *a)
{
    struct check *k = c->hooks->owner;
    if (!a->write) return;
    u32 room = (u32)(PAGE_SIZE - (a->pa & 0xfff));
    keep(c, k, a->pa, a->size < room ? a->size : room);
    if (a->size > room) keep(c, k, a->pa2, a->size - room);
}

static void save_vectors(struct vectors *v, const struct cpu *c)
{
    v->fpu = c->fpu;
    v->mxcsr = c->mxcsr;
    memcpy(v->vec, c->vec, sizeof v->vec);
}

static void load_vectors(struct cpu *c, const struct vectors *v)
{
    c->fpu = v->fpu;
    c->mxcsr = v->mxcsr;
    memcpy(c->vec, v->vec, sizeof v->vec);
}

static void save_system(struct point *p, const struct cpu *c)
{
    p->mode = c->mode;
    p->cpl = c->cpl;
    p->set = (c->mode & MODE_TLB) >> MODE_TLB_SHIFT;
    for (unsigned s = 0; s <= S_GS; s++) p->sel[s] = c->seg[s].sel, p->attr[s] = c->seg[s].attr;
}

static void save_point(struct cpu *c, struct check *k)
{
    struct point *p = &k->at[k->n];
    save_system(p, c);
    for (u32 i = k->n ? p[-1].nstores : 0; i < k->nstores; i++)
        memcpy(k->store[i].after, k->store[i].host, k->store[i].size);
    memcpy(p->gpr, c->gpr, sizeof p->gpr);
    p->flags = (c->eflags & ~(u32)FL_ARITH) | (flags_arith(c) & FL_ARITH);
    p->nstores = k->nstores;
    if (k->wide) save_vectors(&k->vectors[k->n], c);
}

static void run_reference(struct cpu *c, struct check *k)
{
    struct insn slot[2] = {0};
    slot[1].exec = interp_stop;
    for (unsigned i = k->first; i < k->t->n; i++) {
        if (k->t->calls >> i & 1) {
            k->why = "the interpreter executes the instruction anyway";
            return;
        }
        u32 attn = c->attn;
        u64 next = c->gpr[R_RIP] + k->t->insn[i].len;
        slot[0] = k->t->insn[i];
        c->gpr[R_RIP] = next;
        c->cur = slot;
        slot[0].exec(c, slot);
        c->cur = NULL;
        if (slot[0].op == OP_STI) c->attn &= ~(u32)ATTN_SHADOW | attn; // translated code needs none: front/sys.c
        if (((c->attn ^ attn) & ~(u32)ATTN_EXIT) || c->rep_pending) {  // it did more than translated code can
            k->why = "something asks for attention";
            return;
        }
        k->n++;
        save_point(c, k);
        if (c->gpr[R_RIP] != next) break;
    }
    k->why = "the block ends";
}

void check_reference(struct cpu *c, struct check *k, const struct tb *t, unsigned first)
{
    u64 rip = c->code_base + (t->pa & 0xfff);
    for (unsigned i = 0; i < first; i++) rip += t->insn[i].len;
    c->gpr[R_RIP] = rip;
    k->t = t;
    k->first = first;
    k->n = k->nstores = k->npages = 0;
    k->wide = false;
    for (unsigned i = first; i < t->n; i++)
        if (insn_rows[t->insn[i].op].attr & (A_FPU | A_MMX | A_SSE)) k->wide = true;
    k->last[k->nlast % LAST].icount = c->icount;
    k->last[k->nlast % LAST].rip = rip;
    k->last[k->nlast++ % LAST].pa = t->pa;
    memcpy(k->cpu, c, sizeof k->cpu);
    if (k->wide) save_vectors(&k->before, c);
    save_point(c, k);
    k->hooks = (struct cpu_hooks){.owner = k, .watch_all = true, .data = on_access};
    c->hooks = &k->hooks;
    c->refuse = stop_reference;
    c->tlb = &c->tlbs[TLBSET_NONE];
    c->fault = &k->out;
    k->why = "an access to what is not plain memory, or a fault";
    if (!setjmp(k->out)) run_reference(c, k);
    k->exc = c->exc;
    k->cr2 = c->cr2;
    for (u32 i = k->nstores; i-- > 0;) memcpy(k->store[i].host, k->store[i].before, k->store[i].size);
    u32 leave = c->attn & ATTN_EXIT; // may come from a signal at any time
    memcpy(c, k->cpu, sizeof k->cpu);
    c->attn |= leave;
    if (k->wide) load_vectors(c, &k->before);
}

// ---- the report

static void put_code(const struct tcg *g, const struct tb *t, u64 rip, struct buf *out)
{
    tb_print_guest(g, t, rip, out);
    struct compile_env *e = xalloc(sizeof *e);
    struct tb_code code = {
        .rw = xalloc(TB_CODE_MAX), .size = TB_CODE_MAX, .rec = xalloc(TB_REC_MAX * sizeof(struct tb_rec))};
    code.rx = code.rw;
    e->c = g->cpu[0];
    e->key = t->key;
    e->opt = !g->cfg.no_opt;
    e->log = out;
    tb_compile(e, t, &code);
    free(code.rw);
    free(code.rec);
    free(e);
    tb_print_host(g, t, rip, out);
}

static void put_state(const char *who, const u64 *gpr, u32 flags, struct buf *out)
{
    static const char *const name[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"};
    buf_printf(out, "%s: RIP=%016llx EFLAGS=%08x", who, (ull)gpr[R_RIP], flags);
    for (unsigned i = 0; i < 16; i++) {
        char reg[4];
        snprintf(reg, sizeof reg, "R%u", i);
        buf_printf(out, "%s%s=%016llx", i % 4 ? " " : "\n  ", i < 8 ? name[i] : reg, (ull)gpr[i]);
    }
    buf_printf(out, "\n");
}

static void report(struct cpu *c, struct check *k, const struct tcg *g, const char *what, u64 done)
{
    struct buf out = {0};
    const struct point *p = &k->at[done < k->n ? done : k->n];
    u64 rip = c->code_base + (k->t->pa & 0xfff);
    buf_printf(&out,
               "-accel check: translated code and the reference differ: %s\nblock at RIP %llx, physical %llx, mode %x, "
               "from its instruction %u on, after %llu; instructions executed by CPU %u: %llu\n",
               what, (ull)rip, (ull)k->t->pa, k->t->key, k->first, (ull)done, c->index, (ull)c->icount);
    buf_printf(&out, "the reference executed %u and stopped because: %s", k->n, k->why);
    buf_printf(&out, k->exc >= 0 ? " (exception %d, CR2 %llx)\n" : "\n", k->exc, (ull)k->cr2);
    if (g->cfg.command) buf_printf(&out, "to see it again: %s\n", g->cfg.command);
    put_state("before    ", k->at[0].gpr, k->at[0].flags, &out);
    put_state("reference ", p->gpr, p->flags, &out);
    put_state("translated", c->gpr, (c->eflags & ~(u32)FL_ARITH) | (flags_arith(c) & FL_ARITH), &out);
    for (u32 i = 0; i < p->nstores; i++) {
        const struct store *s = &k->store[i];
        buf_printf(&out, "reference's store %u: host %p:", i, (void *)s->host);
        for (u32 b = 0; b < s->size; b++) buf_printf(&out, " %02x", s->after[b]);
        buf_printf(&out, ", there now:");
        for (u32 b = 0; b < s->size; b++) buf_printf(&out, " %02x", s->host[b]);
        buf_printf(&out, "\n");
    }
    put_code(g, k->t, rip, &out);
    buf_printf(&out, "last blocks, the newest last:\n");
    for (u32 i = k->nlast > LAST ? k->nlast - LAST : 0; i < k->nlast; i++)
        buf_printf(&out, "  icount %llu RIP %llx physical %llx\n", (ull)k->last[i % LAST].icount,
                   (ull)k->last[i % LAST].rip, (ull)k->last[i % LAST].pa);
    if (g->cfg.differ) {
        g->cfg.differ(buf_text(&out));
    } else {
        fputs(buf_text(&out), stderr);
        panic("-accel check: %s", what);
    }
    buf_free(&out);
}

// ---- the comparison

// What a page must hold after the reference's first n stores. NULL: it does; else the reason.
static const char *compare_memory(struct check *k, u32 n)
{
    static u8 *const nowhere = NULL;
    for (u32 p = 0; p < k->npages; p++) {
        u8 want[PAGE_SIZE], *host = k->page[p].host;
        memcpy(want, k->page[p].bytes, PAGE_SIZE);
        for (u32 i = 0; i < n; i++) {
            const struct store *s = &k->store[i];
            u64 off = (u64)(s->host - host);
            if (s->host != nowhere && s->host >= host && off < PAGE_SIZE) memcpy(want + off, s->after, s->size);
        }
        if (memcmp(want, host, PAGE_SIZE)) return "memory";
    }
    return NULL;
}

void check_compare(struct cpu *c, struct check *k, const struct tcg *g, u64 done, bool flags)
{
    const char *what = NULL;
    k->runs++;
    k->insns += done;
    if (done > k->n) {
        report(c, k, g, "the reference stopped earlier", done);
        return;
    }
    const struct point *p = &k->at[done];
    u32 fl = (c->eflags & ~(u32)FL_ARITH) | (flags_arith(c) & FL_ARITH);
    for (unsigned i = 0; i < 16; i++)
        if (c->gpr[i] != p->gpr[i]) what = "a register";
    if (c->gpr[R_RIP] != p->gpr[R_RIP]) what = "RIP";
    if ((fl ^ p->flags) & (flags ? ~0u : ~(u32)FL_ARITH)) what = what ? what : "flags";
    struct point now;
    save_system(&now, c);
    now.set = (u8)(c->tlb - c->tlbs);
    if (now.mode != p->mode || now.cpl != p->cpl || now.set != p->set || memcmp(now.sel, p->sel, sizeof now.sel) ||
        memcmp(now.attr, p->attr, sizeof now.attr))
        what = what ? what : "mode or a segment register";
    if (!what) what = compare_memory(k, p->nstores);
    if (!what && k->wide) {
        struct vectors now;
        memset(&now, 0, sizeof now);
        save_vectors(&now, c);
        if (memcmp(&now.fpu, &k->vectors[done].fpu, sizeof now.fpu)) what = "x87";
        if (now.mxcsr != k->vectors[done].mxcsr) what = "MXCSR";
        if (memcmp(now.vec, k->vectors[done].vec, sizeof now.vec)) what = "a vector register";
    }
    if (what) report(c, k, g, what, done);
}

// Of the block's end that went through the jump cache: only the reference knows where to.
u64 check_rip(const struct check *k) { return k->at[k->n].gpr[R_RIP]; }

void check_info(const struct check *k, struct buf *out)
{
    buf_printf(out, "checked            %llu runs of translated code, %llu instructions\n", (ull)k->runs,
               (ull)k->insns);
}
