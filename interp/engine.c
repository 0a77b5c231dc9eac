// SPDX-License-Identifier: MIT
// The reference engine: fetch, decode (once), execute. A block is found through a jump cache by linear address; its
// instructions run on into each other (insn_next) until something asks for attention.
//
// RIP is not stored for every instruction: while the inner instructions of a block run, R_RIP holds the block's start
// (so their RIP-relative displacements are kept relative to it), and a fault adds up the lengths before it. Whatever
// reads or writes RIP (transfers, system and REP string instructions) is the last of its block and finds it as interp.h
// says; x87 instructions, which record it, carry their distance from it.
#include <stdlib.h>
#include <string.h>
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "interp/cache.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

#define JUMP_CACHE 4096
// Mode bits that blocks are keyed by: what picks among functions or decides #UD.
#define KEY_MODE (MODE_CODE | MODE_PE | MODE_VM)

struct jump {
    u64 at;      // CS base + RIP
    u64 context; // cpu.context: translations and mode, the right to execute included
    struct iblock *block;
};
struct engine {
    struct code_cache *code;
    const struct insn *first; // of the block that runs: cur - first instructions are done
    const struct insn *last;  // the one that runs with RIP behind it
    u64 rip;                  // of first
    struct insn alone[2];     // an instruction that is not cached (step, MMIO, faults in fetch), and a stop
    u64 decoded, lookups;
    struct jump jump[JUMP_CACHE];
};

static void *engine_create(struct cpu *c)
{
    struct engine *e = xalloc(sizeof *e);
    e->code = code_cache_get(c);
    return e;
}

static void engine_destroy(struct cpu *c)
{
    code_cache_put(c);
    free(c->engine_data);
}

static u64 engine_progress(struct cpu *c)
{
    struct engine *e = c->engine_data;
    if (!e || !c->cur) return 0;
    return c->cur - e->first - (c->cur == e->last && e->last != e->first); // a stop lies before the last one
}

// Address of the i-th instruction of the block that runs.
static u64 rip_of(const struct engine *e, const struct insn *i)
{
    u64 rip = e->rip;
    for (const struct insn *k = e->first; k < i; k++) rip += k->len;
    return rip;
}

static u64 engine_fault_rip(struct cpu *c)
{
    struct engine *e = c->engine_data;
    return rip_of(e, c->cur);
}

static void engine_flush(struct cpu *c)
{
    struct engine *e = c->engine_data;
    code_flush(e->code, c->bus);
    c->attn |= ATTN_CODE;
}

static void engine_invalidate(struct cpu *c, u64 pa, u64 len)
{
    struct engine *e = c->engine_data;
    code_invalidate(e->code, c->bus, pa, len);
    c->attn |= ATTN_CODE;
}

static u64 code_linear(const struct cpu *c, u64 rip) { return cpu_code64(c) ? rip : (u32)(c->seg[S_CS].base + rip); }

static void x_undefined(struct cpu *c, const struct insn *i) { cpu_raise(c, EXC_UD); }
// `xchg bx,bx` where a debugger asked for it; it changes nothing, in 64-bit code neither (66 87 DB keeps the rest).
static void x_magic(struct cpu *c, const struct insn *i) { cpu_hook(c, HOOK_MAGIC, 0, 0, 0); }
static bool is_magic(const struct insn *i)
{
    return i->op == OP_XCHG_EvGv && !i->is_mem && i->rm == R_RBX && i->reg == R_RBX && i->osz == 2;
}

static void x_too_long(struct cpu *c, const struct insn *i) { cpu_raise_err(c, EXC_GP, 0); }

// Reads n bytes of code at lin without regard to page borders; raises #PF. Slow: for what straddles pages or is not
// memory.
static void fetch_bytes(struct cpu *c, u64 lin, u8 *to, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        u64 at = cpu_code64(c) ? lin + k : (u32)(lin + k);
        to[k] = bus_load(c->bus, tlb_fetch(c, at, NULL), 1);
    }
}

// CS limit: bytes that may be fetched at rip, 0..15. 64-bit code: all of them.
static unsigned limit_room(const struct cpu *c, u64 rip)
{
    if (cpu_code64(c)) return 15;
    u64 limit = c->seg[S_CS].limit;
    return rip > limit ? 0 : min_u64(15, limit - rip + 1);
}

void interp_finish(struct cpu *c, struct insn *i, enum decode_status s)
{
    if (!i->len) i->len = 1;
    if (s == DECODE_OK && (insn_rows[i->op].attr & (A_VEX | A_NOREAL)) && !cpu_protected(c)) s = DECODE_UD;
    if (s == DECODE_OK) {
        i->exec = hook_wants(c, HOOK_MAGIC) && is_magic(i) ? x_magic : interp_pick(i);
        return;
    }
    i->op = OP_NONE;
    i->exec = s == DECODE_LONG ? x_too_long : x_undefined;
}

void interp_fetch(struct cpu *c, u64 rip, struct insn *i)
{
    u8 bytes[15];
    unsigned room = limit_room(c, rip);
    u64 lin = code_linear(c, rip);
    enum decode_status s = DECODE_MORE;
    for (unsigned n = 0; s == DECODE_MORE;) {
        if (n >= room && n < 15) cpu_raise_err(c, EXC_GP, 0);
        fetch_bytes(c, lin + n, bytes + n, 1);
        s = decode(c->decoder, bytes, ++n, c->mode & MODE_CODE, i);
    }
    interp_finish(c, i, s);
}

static bool ends_block(const struct insn *i)
{
    u32 attr = insn_rows[i->op].attr;
    return i->op == OP_NONE || (attr & (A_END | A_SYS | A_IO)) || ((attr & A_STR) && (i->pfx & (PFX_REP | PFX_REPNE)));
}

static bool rip_relative(const struct insn *i) { return i->is_mem && i->base == R_RIP; }

// All but the last instruction see the block's start in RIP.
static void rebase(struct iblock *t)
{
    unsigned at = 0;
    for (unsigned k = 0; k + 1 < t->n; k++) {
        if (insn_rows[t->insn[k].op].attr & A_FPU) t->insn[k].imm = at;
        at += t->insn[k].len;
        if (rip_relative(&t->insn[k])) t->insn[k].disp += at;
    }
}

// A stop before the last instruction, which needs RIP, and one behind it.
static void place_stops(struct iblock *t)
{
    unsigned n = t->n;
    if (n > 1) {
        t->insn[n] = t->insn[n - 1];
        memset(&t->insn[n - 1], 0, sizeof t->insn[0]);
        t->insn[n - 1].exec = interp_stop;
        n++;
    }
    memset(&t->insn[n], 0, sizeof t->insn[0]);
    t->insn[n].exec = interp_stop;
    t->slots = n + 1;
}

// Decodes a block at rip; NULL if its bytes cannot be cached. Raises what the fetch of the first instruction raises.
static struct iblock *build(struct cpu *c, u64 rip, u64 pa, u32 mode)
{
    struct engine *e = c->engine_data;
    u64 lin = code_linear(c, rip);
    u8 *host;
    tlb_fetch(c, lin, &host);
    if (!host) return NULL;
    struct iblock *t = code_alloc(e->code, c->bus, BLOCK_MAX + 2);
    unsigned page_room = PAGE_SIZE - (pa & 0xfff), at = 0;
    t->pa = pa;
    t->mode = mode;
    while (t->n < BLOCK_MAX) {
        if (unlikely(mode & ~(u32)KEY_MODE) && t->n && hook_marked(c->hooks, lin + at, pa + at)) break;
        unsigned room = min_u64(page_room - at, limit_room(c, rip + at));
        struct insn *i = &t->insn[t->n];
        enum decode_status s = decode(c->decoder, host + at, room, c->mode & MODE_CODE, i);
        if (s == DECODE_MORE) break; // page border or limit: the next block's affair
        interp_finish(c, i, s);
        at += i->len;
        t->n++;
        e->decoded++;
        // A displacement that could overflow when it is made relative to the block's start: such an instruction stays
        // last.
        if (ends_block(i) || (rip_relative(i) && i->disp > INT32_MAX - 1024)) break;
    }
    rebase(t);
    if (!t->n) { // the first instruction straddles
        interp_fetch(c, rip, &t->insn[0]);
        if (t->insn[0].len <= page_room) return NULL;
        t->pa2 = tlb_fetch(c, lin + page_room, NULL);
        t->n = 1;
        at = t->insn[0].len;
        e->decoded++;
    }
    t->bytes = at;
    place_stops(t);
    code_insert(e->code, c->bus, t);
    return t->mode == MODE_DEAD ? NULL : t;
}

// cpu.context for a page that survives MOV CR3.
static inline u64 global_context(const struct cpu *c) { return (u64)c->tlb_gen_global << 32 | c->mode; }

// The block at lin; NULL if its code cannot be kept.
static NOINLINE struct iblock *lookup(struct cpu *c, u64 rip, struct jump *j)
{
    u64 lin = code_linear(c, rip);
    struct engine *e = c->engine_data;
    u32 mode = c->mode & KEY_MODE;
    e->lookups++;
    u64 pa = tlb_fetch(c, lin, NULL);
    bool global = c->fetch_global, marked = false;
    u32 key = cpu_break_key(c, lin, pa);
    if (unlikely(key)) {
        mode |= key;
        marked = hook_marked(c->hooks, lin, pa);
        if (marked && cpu_break(c, lin)) return NULL;
    }
    struct iblock *t = code_find(e->code, pa, mode);
    if (t && t->pa2 != ~(u64)0 && tlb_fetch(c, lin + (PAGE_SIZE - (pa & 0xfff)), NULL) != t->pa2) {
        code_invalidate(e->code, c->bus, pa, 1); // the second page is another one now
        t = NULL;
    }
    if (!t) t = build(c, rip, pa, mode);
    if (unlikely(!t)) return NULL;
    // A block whose instructions straddle pages is looked up each time, as is one that a debugger has marked.
    if (t->pa2 == ~(u64)0 && !marked)
        *j = (struct jump){c->seg[S_CS].base + rip, global ? global_context(c) : c->context, t};
    return t;
}

static void retire(struct cpu *c, u64 n)
{
    c->cur = NULL;
    c->icount += n;
    if (unlikely(c->attn) && c->rep_pending) { // the string instruction stopped half-way
        c->rep_pending = false;
        c->icount--;
    }
}

static void run_alone(struct cpu *c)
{
    struct engine *e = c->engine_data;
    u64 rip = c->gpr[R_RIP];
    interp_fetch(c, rip, e->alone);
    e->alone[1].exec = interp_stop;
    e->rip = rip;
    e->first = e->last = c->cur = e->alone;
    c->gpr[R_RIP] = rip + e->alone[0].len;
    e->alone[0].exec(c, e->alone);
    retire(c, 1);
}

static void engine_step(struct cpu *c) { run_alone(c); }

// `trail`: with the last branches recorded, for a debugger.
INLINE void run_blocks(struct cpu *c, bool trail)
{
    struct engine *e = c->engine_data;
    for (;;) {
        u32 mask = ~0u;
        if (unlikely(c->attn)) {
            mask = cpu_attn_mask(c);
            if (c->attn & mask) return;
        }
        u64 left = c->icount_limit - c->icount;
        if (unlikely((i64)left <= 0)) return;
        u64 rip = c->gpr[R_RIP], at = c->seg[S_CS].base + rip;
        struct jump *j = &e->jump[(at ^ at >> 12) & (JUMP_CACHE - 1)];
        struct iblock *t = j->block;
        if (unlikely(j->at != at || (j->context != c->context && j->context != global_context(c)) ||
                     t->mode == MODE_DEAD))
            t = lookup(c, rip, j);
        if (unlikely(!t || (!cpu_code64(c) && rip + t->bytes - 1 > c->seg[S_CS].limit))) {
            if (!t && (c->attn & ATTN_EXIT)) return; // a breakpoint
            run_alone(c);
            continue;
        }
        if (unlikely(t->n > left)) { // the end of the slice lies inside
            run_alone(c);
            continue;
        }
        const struct insn *i = t->insn, *stop = i + t->n - 1;
        e->first = i;
        e->rip = rip;
        e->last = t->n > 1 ? stop + 1 : i;
        while (i < stop) { // functions run on into each other; some return after one instruction
            c->cur = i;
            i->exec(c, i);
            i = c->cur;
            if (i == stop) break;
            i++;
            if (unlikely(c->attn & mask)) break;
        }
        if (unlikely(c->attn & mask)) { // attention in the middle
            c->gpr[R_RIP] = rip_of(e, i);
            retire(c, i - e->first);
            continue;
        }
        i = c->cur = e->last;
        c->gpr[R_RIP] = rip + t->bytes;
        if (trail) {
            u64 next = at + t->bytes, from = next - i->len;
            u32 mode = c->mode;
            i->exec(c, i);
            u64 to = c->seg[S_CS].base + c->gpr[R_RIP];
            if (to != next) cpu_branch(c, from, to, mode);
        } else {
            i->exec(c, i);
        }
        retire(c, t->n);
    }
}

static void engine_run(struct cpu *c)
{
    if (unlikely(c->trail->branches_on))
        run_blocks(c, true);
    else
        run_blocks(c, false);
}

static void engine_info(struct cpu *c, struct buf *out)
{
    struct engine *e = c->engine_data;
    typedef unsigned long long ull;
    buf_printf(out,
               "interpreter: %llu instructions decoded, %llu blocks made, %llu invalidated, %u KB in use, %llu "
               "flushes, %llu jump cache misses\n",
               (ull)e->decoded, (ull)e->code->blocks, (ull)e->code->killed, e->code->used >> 10, (ull)e->code->flushes,
               (ull)e->lookups);
}

const struct cpu_engine interp_engine = {.name = "interp",
                                         .create = engine_create,
                                         .destroy = engine_destroy,
                                         .run = engine_run,
                                         .step = engine_step,
                                         .fault_rip = engine_fault_rip,
                                         .progress = engine_progress,
                                         .flush = engine_flush,
                                         .invalidate = engine_invalidate,
                                         .info = engine_info};
