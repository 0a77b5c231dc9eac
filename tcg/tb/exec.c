// SPDX-License-Identifier: MIT
// The translator as an engine: the dispatcher, which finds, builds, translates and enters blocks, and what is done at
// each kind of exit from translated code.
//
// While translated code runs, cpu.left is what remains of the slice with the running block already taken off; each exit
// brings icount up to date before any C that could look at it, so progress() is always 0. Instructions that C executes
// come from a two-element array, as interp.h asks: the second one stops.
#include <stdlib.h>
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "tcg/host/enter.h"
#include "tcg/tb/check.h"

const struct tcg_config tcg_default_config = {.size = TCG_SIZE_DEFAULT, .cold = TB_COLD_RUNS};

struct exec {
    struct tcg *k;
    u64 rip;             // of the instruction that executes in C
    struct insn slot[2]; // … and itself
    bool marked;         // the block found last begins where a debugger has a breakpoint
    bool refused;        // the block entered last did not run …
    bool late;           // … because the slice was nearly over
    u32 stack_gen;       // cpu.tlb_gen when what is on translated code's stack was good
    u32 gen;             // cpu.tlb_gen when jump cache entries of local pages were last good
    u32 nlocal;
    u16 local[TB_LOCAL]; // their slots
    // The jump that led to the dispatcher and may be linked to what is found there.
    struct tb_rec *link;
    const struct tb *link_from;
    u64 link_base;       // code_base there
    struct check *check; // NULL: no lockstep
};

static void *tcg_create(struct cpu *c)
{
    struct exec *e = xalloc(sizeof *e);
    e->k = tb_cache_get(c);
    e->slot[1].exec = interp_stop;
    code_stack(e->k, c);
    if (e->k->cfg.check) e->check = check_new(e->k);
    return e;
}

static void tcg_destroy(struct cpu *c)
{
    struct exec *e = c->engine_data;
    tb_cache_put(c);
    code_stack_free(c);
    free(e->check);
    free(e);
}

struct check *tcg_check(struct cpu *c)
{
    struct exec *e = c->engine_data;
    return e->check;
}

static u64 tcg_progress(struct cpu *c) { return 0; }

static u64 tcg_fault_rip(struct cpu *c)
{
    struct exec *e = c->engine_data;
    return e->rip;
}

static void tcg_flush(struct cpu *c)
{
    struct exec *e = c->engine_data;
    if (!e) return; // reset inside cpu_new()
    tb_forget(e->k);
    c->attn |= ATTN_CODE;
}

static void tcg_invalidate(struct cpu *c, u64 pa, u64 len)
{
    struct exec *e = c->engine_data;
    struct tcg *k = e->k;
    if (c != k->cpu[0]) return; // each CPU is told; the blocks are common
    struct cpu *who = k->cpu[c->bus->cur_cpu < k->users ? c->bus->cur_cpu : 0];
    if (unlikely(who->witness != NULL))
        check_code_store(who, pa, len);
    else
        tb_invalidate(k, pa, len, who->cur ? &k->st.by_cpu : &k->st.by_dma);
}

static bool asks(const struct cpu *c) { return unlikely(c->attn) && (c->attn & cpu_attn_mask(c)); }

// ---- single instructions by the interpreter's functions

// Executes e->slot[0], which stands at rip.
static void in_c(struct cpu *c, struct exec *e, u64 rip)
{
    e->rip = rip;
    c->gpr[R_RIP] = rip + e->slot[0].len;
    c->cur = e->slot;
    e->slot[0].exec(c, e->slot);
    c->cur = NULL;
    c->icount++;
    cpu_fcw_mode(c);
    if (unlikely(c->attn) && c->rep_pending) { // the string instruction stopped half-way
        c->rep_pending = false;
        c->icount--;
    }
}

static void alone(struct cpu *c, struct exec *e)
{
    u64 rip = c->gpr[R_RIP];
    e->k->st.alone++;
    interp_fetch(c, rip, &e->slot[0]);
    in_c(c, e, rip);
}

// Beside single-stepping this is what follows STI and MOV SS, so it is worth a block.
static void tcg_step(struct cpu *c)
{
    struct exec *e = c->engine_data;
    u64 rip = c->gpr[R_RIP];
    if (!c->hooks && !(c->eflags & FL_TF)) {
        u64 pa = tlb_fetch(c, tb_linear(c, rip), NULL);
        const struct tb *t = tb_find(e->k, pa, c->mode);
        if (!t) t = tb_build(c, e->k, rip, pa, 0);
        if (t && t->pa2 == ~(u64)0 && (cpu_code64(c) || rip + t->insn[0].len - 1 <= c->seg[S_CS].limit)) {
            e->slot[0] = t->insn[0];
            in_c(c, e, rip);
            return;
        }
    }
    alone(c, e);
}

// A block that is not worth translating yet, or does not fit into the rest of the slice.
static void interpret(struct cpu *c, struct exec *e, const struct tb *t)
{
    u64 rip = c->gpr[R_RIP], started = c->icount;
    u32 epoch = e->k->epoch, n = t->n;
    for (u32 i = 0; i < n; i++) {
        e->slot[0] = t->insn[i];
        in_c(c, e, rip);
        rip += e->slot[0].len;
        if (c->gpr[R_RIP] != rip || asks(c) || e->k->epoch != epoch || t->dead || c->icount >= c->icount_limit) break;
        if (e->check && c->icount == e->check->at) break;
    }
    e->k->st.cold += c->icount - started;
}

// ---- finding and entering

// In kernel code with CR4.PGE the jump cache's context is that of global pages, which survives MOV CR3; entries of
// other pages are listed and dropped when any translation may have changed.
static void drop_local(struct cpu *c, struct exec *e)
{
    for (u32 i = 0; i < e->nlocal; i++) c->jump[e->local[i]].context = ~(u64)0;
    e->nlocal = 0;
    e->gen = c->tlb_gen;
}

static bool is_local(const struct cpu *c) { return c->jump_context >> 63 && !c->fetch_global; }

// Whether jumps may lead to the block without C's looking.
static bool may_be_reached(const struct cpu *c, const struct exec *e)
{
    return !e->marked && !c->trail->blocks_on && !log_on(&c->bus->log, LOG_EXEC);
}

// Of what the jump cache's slot for rip holds before it is filled.
static enum jump_miss miss_of(const struct cpu *c, const struct jump_entry *old, u64 rip)
{
    if (!old->code || !~old->context) return MISS_NEW;
    if (old->at != rip) return MISS_OTHER;
    return (u32)old->context != (u32)c->jump_context ? MISS_MODE : MISS_GENERATION;
}

static void fill_jump_cache(struct cpu *c, struct exec *e, const struct tb *t, u64 rip)
{
    u32 slot = jump_hash(rip);
    e->k->st.filled++;
    e->k->st.missed[miss_of(c, &c->jump[slot], rip)]++;
    if (is_local(c)) {
        e->k->st.local++;
        if (e->nlocal == TB_LOCAL) drop_local(c, e);
        e->local[e->nlocal++] = (u16)slot;
    }
    const u8 *code = e->k->rx + t->code;
    c->jump[slot] = (struct jump_entry){rip, c->jump_context, (u64)(uintptr_t)code, c->code_base};
}

// A link between pages is guarded: it holds for this generation of translations and this code_base. Where CS has a
// base, equal code_bases may belong to two pages, unless paging is off.
static void link_jump(struct cpu *c, struct exec *e, struct tb *to)
{
    struct tcg *k = e->k;
    struct tb_rec *r = e->link;
    const struct tb *from = e->link_from;
    bool near = !((from->pa ^ to->pa) & PAGE_MASK);
    if (from->dead || from->key != to->key) return;
    if (r->kind == REC_JUMP) {
        if (!near || (i32)(to->pa & 0xfff) != r->target) return;
        k->st.near++;
    } else {
        if (!near && (is_local(c) || (!(to->key & MODE_FLAT) && (c->cr0 & CR0_PG)))) return;
        k->st.far++;
    }
    bool counted = r->resume_flags & EDGE_COUNTED;
    struct host_link l = {.to = to->code + (!counted     ? 0
                                            : from == to ? to->inside
                                                         : to->counted),
                          .net = (i8)(to->n - (from->n - r->done)),
                          .bare = to->bare,
                          .gen = (u32)(c->jump_context >> 32),
                          .base = e->link_base};
    tb_link(k, r, to, &l);
}

// The block at RIP, NULL if its code cannot be kept or execution must stop here (ATTN_EXIT); sets code_base. May raise
// the fetch's fault.
static struct tb *find(struct cpu *c, struct exec *e)
{
    struct tcg *k = e->k;
    u64 rip = c->gpr[R_RIP], lin = tb_linear(c, rip), pa = tlb_fetch(c, lin, NULL);
    if (unlikely(e->gen != c->tlb_gen)) drop_local(c, e);
    k->st.lookups++;
    c->code_base = rip - (lin & 0xfff);
    u32 marks = cpu_break_key(c, lin, pa);
    e->marked = unlikely(marks) && hook_marked(c->hooks, lin, pa);
    if (unlikely(e->marked) && cpu_break(c, lin)) return NULL;
    struct tb *t = tb_find(k, pa, c->mode | marks);
    if (t && unlikely(t->pa2 != ~(u64)0)) {
        bool global = c->fetch_global;
        if (tlb_fetch(c, tb_linear(c, rip + (PAGE_SIZE - (pa & 0xfff))), NULL) != t->pa2) {
            tb_invalidate(k, pa, 1, &k->st.by_page); // the second page is another one now
            t = NULL;
        }
        c->fetch_global &= global;
    }
    if (t) return t;
    t = tb_build(c, k, rip, pa, marks);
    if (t && t->pa2 != ~(u64)0) c->fetch_global = false; // as long as nobody knows better
    return t;
}

// find() has looked at t's second page: the block's guard lets jumps in while that holds.
static void vouch(struct cpu *c, struct exec *e, const struct tb *t)
{
    struct tcg *k = e->k;
    host_patch_guard(k->rw, t->code + k->rec[t->rec].resume, (u32)(c->jump_context >> 32), c->code_base);
}

// Whether t has code now.
static bool warm(struct cpu *c, struct exec *e, struct tb *t)
{
    if (unlikely(t->pa2 != ~(u64)0) && is_local(c)) return false; // its guard would hold for too long
    if (likely(t->code)) return true;
    if (t->fails || t->runs++ < (u32)e->k->cfg.cold) return false;
    return tb_translate(c, e->k, t, c->gpr[R_RIP]);
}

// ---- exits

// A walk has found that the one access of the instruction at e->slot faults: nothing is executed.
static bool raise_known(struct cpu *c, struct exec *e, u64 rip)
{
    const struct insn *i = e->slot;
    if (likely(!c->fault_page) || e->check || !front_one_access(i)) return false;
    c->gpr[R_RIP] = rip + i->len;
    u64 lin = insn_ea(c, i) + c->seg[i->seg].base;
    c->gpr[R_RIP] = cpu_code64(c) ? rip : (u32)rip;
    return tlb_known_fault(c, cpu_code64(c) ? lin : (u32)lin);
}

// Executes instruction `r->insn` of t in C. True: translated code may go on behind it.
static bool exit_insn(struct cpu *c, struct exec *e, const struct tb *t, const struct tb_rec *r)
{
    u64 context = c->jump_context, base = c->code_base, rip = base + (u64)(i64)r->target;
    u32 epoch = e->k->epoch;
    struct tcg_stats *s = &e->k->st;
    bool wide = r->wide && c->beside_left >= 0; // else a store beside code leaves so that it is counted
    e->slot[0] = t->insn[r->insn];
    if (r->resume_flags & WHY_MEMORY)
        s->slow_memory++;
    else if (r->resume_flags & WHY_JUMP)
        s->slow_jump++;
    else
        s->fallback[e->slot[0].op]++;
    if (raise_known(c, e, rip)) return false;
    // What a walk has found (cpu.fault_page) is good until something is written.
    if (insn_rows[e->slot[0].op].attr & A_STR) c->fault_page = 0;
    in_c(c, e, rip);
    c->fault_page = 0;
    if (insn_rows[e->slot[0].op].attr & A_SYS) tcg_note_load(c, e->slot);
    if (unlikely(wide) && e->k->epoch == epoch && !t->dead) {
        struct tb *own = tb_at(e->k, r->tb);
        if (++own->wide == TB_WIDE) tb_narrow(e->k, own);
    }
    if (!r->resume || c->gpr[R_RIP] != rip + e->slot[0].len || asks(c)) return false;
    return c->jump_context == context && e->k->epoch == epoch && !t->dead;
}

static bool rip_canonical(u64 rip) { return (u64)((i64)(rip << 16) >> 16) == rip; }

// The exit leads to the next instruction: a jump not taken, or the block's end by length. Nothing raises here, whatever
// lies there: the next fetch does.
static bool goes_on(const struct tb_rec *r) { return !(r->resume_flags & EDGE_TAKEN); }

// Target of a jump as the instruction would have it: cut to its operand size.
static u64 cut_target(const struct tb *t, const struct tb_rec *r, u64 rip)
{
    const struct insn *i = &t->insn[r->insn];
    return goes_on(r) ? rip : i->osz == 2 ? (u16)rip : i->osz == 4 ? (u32)rip : rip;
}

// A jump that raises: executed again by the interpreter's function.
static void refuse_jump(struct cpu *c, struct exec *e, const struct tb *t, const struct tb_rec *r)
{
    u64 rip = c->code_base + (t->pa & 0xfff);
    for (unsigned k = 0; k < r->insn; k++) rip += t->insn[k].len;
    e->slot[0] = t->insn[r->insn];
    c->icount--;
    front_take_back(c, e->slot);
    c->gpr[R_RIP] = rip;
    if (e->check && !check_look(c, e->check)) return;
    in_c(c, e, rip);
}

static void exit_jump(struct cpu *c, struct exec *e, const struct tb *t, struct tb_rec *r)
{
    u64 rip = c->code_base + (u64)(i64)r->target, to = rip;
    bool bad = !rip_canonical(rip);
    if (!cpu_code64(c)) {
        to = cut_target(t, r, rip);
        bad = to > c->seg[S_CS].limit;
    }
    if (unlikely(bad)) {
        if (!goes_on(r))
            refuse_jump(c, e, t, r);
        else
            c->gpr[R_RIP] = to;
        return;
    }
    c->gpr[R_RIP] = to;
    if (to != rip) return; // a link would not cut
    e->link = r;
    e->link_from = t;
    e->link_base = c->code_base;
}

// The record as the emitter knows it where translated code was left.
struct raw_flags {
    u32 op;
    u64 dst, src;
};

// Makes true what the emitter believes about the record at `resume`.
static u32 flags_to_resume(struct cpu *c, unsigned resume, const struct raw_flags *raw)
{
    u32 fl = ~0u;
    if (resume & (RESUME_HOST | RESUME_OVER | RESUME_AH)) fl = flags_arith(c);
    if (resume & RESUME_OVER) {
        c->cc_cf = fl & FL_CF ? 1 : 0;
        c->cc_of = fl & FL_OF ? 1 : 0;
    }
    if (resume & RESUME_AH) c->cc_dst = (u64)(fl & 0xff) << 8;
    if (resume & RESUME_RAW) {
        c->cc_op = raw->op;
        c->cc_dst = raw->dst;
        c->cc_src = raw->src;
    } else if ((resume & RESUME_CMP) && (c->cc_op & 0xfc) == CC_SUB) {
        c->cc_dst = tcg_cut(c->cc_dst + c->cc_src, c->cc_op);
        c->cc_op += CC_CMP - CC_SUB;
    } else if ((resume & RESUME_AND) && (c->cc_op & 0xfc) == CC_LOGIC) {
        c->cc_src = c->cc_dst;
        c->cc_op += CC_AND - CC_LOGIC;
    }
    return resume & RESUME_HOST ? fl : ~0u;
}

// Lockstep: translated code goes on behind an instruction that C has executed. True if that is inside a window.
static bool resume_check(struct cpu *c, struct exec *e, const struct tb *t, unsigned insn)
{
    if (check_is_open(e->check)) return check_look(c, e->check);
    return c->icount < c->icount_limit && check_open(c, e->check, t, insn);
}

// What translated code returns to by its stack is good for this generation of translations. In lockstep, which sets
// processors back to an earlier state, not even for that long.
static void keep_stack(struct cpu *c, struct exec *e)
{
    if (likely(e->stack_gen == c->tlb_gen && !e->check && !code_stack_low(c))) return;
    e->stack_gen = c->tlb_gen;
    c->host_sp = c->host_top;
}

static i64 turn(const struct cpu *c)
{
    i64 left = (i64)(c->icount_limit - c->icount);
    return left < STACK_CALLS ? left : STACK_CALLS;
}

// Runs translated code from the start of t until it leaves for the dispatcher.
static void enter(struct cpu *c, struct exec *e, const struct tb *t, const u8 *at)
{
    struct tcg *k = e->k;
    u32 flags = ~0u;
    i64 given = turn(c);
    c->left = given;
    c->host_end = c->icount + (u64)given;
    c->host_want = 0;
    for (;;) {
        k->st.enters++;
        keep_stack(c, e);
        struct tb_rec *r = &k->rec[host_enter(&k->host, c, at, flags)];
        u8 live = c->host_live;
        t = tb_at(k, r->tb);
        k->st.exits[r->kind]++;
        if (unlikely(k->count != NULL) && r->kind != REC_BUDGET) k->count[r - k->rec]++;
        c->host_live = 0;
        if (live & CPU_HOST_X87) tb_x87_from_host(c);
        if (r->x87) tb_x87_pointers(c, t, r->x87 - 1u);
        if (r->kind == REC_X87) {
            tb_x87_to_host(c);
            c->host_want = live | CPU_HOST_X87;
            flags = ~0u;
            at = k->rx + t->code + r->resume;
            continue;
        }
        if (c->left < 0 && (r->kind == REC_JUMP || r->kind == REC_FAR))
            c->left += host_link_net(k->rw, t->code, r); // an edge's
        tcg_flags_complete(c, r->cc_op, r->cc_dst, r->cc_src, r->imm);
        struct raw_flags raw = {c->cc_op, c->cc_dst, c->cc_src};
        tcg_flags_normal(c);
        if (r->kind == REC_BUDGET) {
            e->refused = true;
            e->late = c->left < 0 && !t->dead;
            c->icount += (u64)(given - c->left - (t->dead ? 0 : t->n));
            c->gpr[R_RIP] = c->code_base + (t->pa & 0xfff);
            k->st.dead += t->dead;
            return;
        }
        c->icount += (u64)(given - c->left - (t->n - r->done));
        if (r->kind == REC_LEAVE) return;
        if (r->kind != REC_INSN) {
            exit_jump(c, e, t, r);
            return;
        }
        if (unlikely(e->check != NULL)) {
            c->gpr[R_RIP] = c->code_base + (u64)(i64)r->target;
            if (!check_look(c, e->check)) {
                c->fault_page = 0;
                return;
            }
        }
        if (!exit_insn(c, e, t, r)) return;
        if (unlikely(e->check != NULL) && !resume_check(c, e, t, r->insn + 1u)) return;
        given = turn(c);
        c->left = given - (t->n - r->insn - 1);
        c->host_end = c->icount + (u64)given;
        if (unlikely(c->left < 0)) return;
        flags = flags_to_resume(c, r->resume_flags, &raw);
        c->host_want = live & t->live;
        if (c->host_want & CPU_HOST_X87) tb_x87_to_host(c);
        at = k->rx + t->code + r->resume;
    }
}

// What the jump cache knows needs no look: the code at RIP, NULL if it has none. After a block has refused to run (end
// of the slice, second page) the whole way is gone.
static const u8 *quick(struct cpu *c, struct exec *e)
{
    if (unlikely(e->gen != c->tlb_gen)) drop_local(c, e);
    const struct jump_entry *j = &c->jump[jump_hash(c->gpr[R_RIP])];
    bool whole = e->link || e->refused || !(c->mode & MODE_FLAT) || !may_be_reached(c, e);
    e->refused = false;
    if (whole || j->at != c->gpr[R_RIP] || j->context != c->jump_context) return NULL;
    c->code_base = j->base;
    return (const u8 *)(uintptr_t)j->code;
}

// An instruction by the interpreter's function; false: a breakpoint is there.
static bool one(struct cpu *c, struct exec *e)
{
    struct tb *t = find(c, e);
    if (!t && (c->attn & ATTN_EXIT)) return false;
    if (!t || t->pa2 != ~(u64)0 || (!cpu_code64(c) && c->gpr[R_RIP] + t->insn[0].len - 1 > c->seg[S_CS].limit)) {
        alone(c, e);
        return true;
    }
    e->slot[0] = t->insn[0];
    in_c(c, e, c->gpr[R_RIP]);
    return true;
}

// Lockstep: brings execution into a window. False: back to cpu_run().
static bool into_window(struct cpu *c, struct exec *e)
{
    u32 epoch = e->k->epoch;
    for (;;) {
        if (!check_look(c, e->check)) e->link = NULL;
        if (!check_is_open(e->check)) {
            if (asks(c) || c->icount >= c->icount_limit) return false;
            if (!check_open(c, e->check, NULL, 0)) {
                e->link = NULL;
                if (!one(c, e)) return false;
                continue;
            }
        }
        if (e->k->epoch != epoch) e->link = NULL;
        return true;
    }
}

static void tcg_run(struct cpu *c)
{
    struct exec *e = c->engine_data;
    struct tcg *k = e->k;
    c->host_exit = (u64)(uintptr_t)k->host.exit;
    c->host_load = (u64)(uintptr_t)k->host.load;
    c->host_flags = (u64)(uintptr_t)k->host.flags;
    c->host_ret = (u64)(uintptr_t)k->host.ret;
    c->host_segload = (u64)(uintptr_t)k->host.segload;
    c->host_getfl = (u64)(uintptr_t)k->host.getfl;
    for (unsigned code64 = 0; code64 < 2; code64++) {
        c->host_iret[code64] = (u64)(uintptr_t)k->host.iret[code64];
        c->host_int[code64] = (u64)(uintptr_t)k->host.intr[code64];
    }
    c->host_tsc = (u64)(uintptr_t)(e->check ? k->host.tsc_asks : k->host.tsc); // windows end before it
    c->host_mxcsr = 0x1f80;
    e->link = NULL;
    e->refused &= !e->late;
    if (unlikely((c->bus->generation & 0x7fffffff) > 0x7ff00000)) tb_new_age(k);
    if (e->check) {
        c->slack_now = 0; // windows end exactly
        check_enter(e->check);
    }
    for (;;) {
        if (unlikely(c->gpr[R_RIP] >> 32 && !cpu_code64(c))) { // code that ran over the end of 4 GB goes on at 0
            c->gpr[R_RIP] = (u32)c->gpr[R_RIP];
            e->link = NULL;
        }
        if (unlikely(e->check != NULL)) {
            if (!into_window(c, e)) return;
        } else if (asks(c)) {
            return;
        }
        i64 left = (i64)(c->icount_limit - c->icount);
        if (unlikely(left <= c->slack_now)) return;
        u32 epoch = k->epoch;
        const u8 *known = quick(c, e);
        if (known) {
            enter(c, e, NULL, known);
            if (unlikely(c->exc >= 0)) return; // raise_known()
            continue;
        }
        if (unlikely(!code_side_room(k))) {
            k->st.full++;
            tb_forget(k);
            e->link = NULL;
        }
        struct tb *t = find(c, e);
        bool cut =
            t && c->trail->blocks_on && t->n > left; // noted instruction by instruction: it will not reach its end
        if (unlikely(!t || cut || (!cpu_code64(c) && c->gpr[R_RIP] + t->bytes - 1 > c->seg[S_CS].limit))) {
            if (!t && (c->attn & ATTN_EXIT)) return; // a breakpoint
            if (unlikely(c->trail->blocks_on)) trail_block(c->trail, c->seg[S_CS].base + c->gpr[R_RIP], 0, c->mode);
            alone(c, e);
            e->link = NULL;
            continue;
        }
        if (unlikely(c->trail->blocks_on)) trail_block(c->trail, c->seg[S_CS].base + c->gpr[R_RIP], t->bytes, c->mode);
        if (!warm(c, e, t) || unlikely(t->n > left)) {
            if (k->epoch == epoch) interpret(c, e, t); // else t is gone
            e->link = NULL;
            continue;
        }
        if (unlikely(k->epoch != epoch)) e->link = NULL;
        if (log_on(&c->bus->log, LOG_EXEC)) tb_log_entry(k, t, c);
        if (t->pa2 != ~(u64)0) vouch(c, e, t);
        if (may_be_reached(c, e)) {
            if (e->link) link_jump(c, e, t);
            if (t->key & MODE_FLAT) fill_jump_cache(c, e, t, c->gpr[R_RIP]); // else two CS bases might share an entry
        }
        e->link = NULL;
        enter(c, e, t, k->rx + t->code);
        if (unlikely(c->exc >= 0)) return;
    }
}

static void tcg_info(struct cpu *c, struct buf *out)
{
    struct exec *e = c->engine_data;
    tb_info(e->k, out);
    if (e->check) check_info(e->check, out);
}

static void tcg_show(struct cpu *c, u64 lin, struct buf *out)
{
    struct exec *e = c->engine_data;
    tb_show(c, e->k, lin, out);
}

static void tcg_count(struct cpu *c, bool on)
{
    struct exec *e = c->engine_data;
    code_count(e->k, on);
    tcg_flush(c);
}

const struct cpu_engine tcg_engine = {.name = "tcg",
                                      .create = tcg_create,
                                      .destroy = tcg_destroy,
                                      .run = tcg_run,
                                      .step = tcg_step,
                                      .fault_rip = tcg_fault_rip,
                                      .progress = tcg_progress,
                                      .flush = tcg_flush,
                                      .invalidate = tcg_invalidate,
                                      .info = tcg_info,
                                      .show = tcg_show,
                                      .count = tcg_count};
