// SPDX-License-Identifier: MIT
// The reference engine: fetch, decode (once), execute. Instructions run on into each other (insn_next) and blocks as
// well (block_end), until something asks for attention, an instruction's function returns or the next block is not at
// hand. Blocks find each other by what an earlier time left in their ends, or through a jump cache by linear address.
//
// RIP is not stored for every instruction: while the inner instructions of a block run, R_RIP holds the block's start
// (so their RIP-relative displacements are kept relative to it), and a fault adds up the lengths before it. Whatever
// reads or writes RIP (far transfers, system and REP string instructions) is the last of its block and finds it as
// interp.h says, thanks to a slot before it; near transfers and x87 instructions carry their distance from it.
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
    struct iblock *block; // that runs; its code lies at rip
    u64 rip;
    bool trail; // blocks are noted as they are entered: they end in x_end_trail
    struct code_cache *code;
    struct iblock *alone; // for an instruction that is not cached (step, MMIO, faults in fetch)
    u64 decoded, lookups;
    u64 flushes; // of the code cache, when jump[] was last emptied
    struct jump jump[JUMP_CACHE];
};

static void *engine_create(struct cpu *c)
{
    struct engine *e = xalloc(sizeof *e);
    e->code = code_cache_get(c);
    e->alone = xalloc(sizeof *e->alone + 2 * sizeof e->alone->insn[0]);
    return e;
}

static void engine_destroy(struct cpu *c)
{
    struct engine *e = c->engine_data;
    code_cache_put(c);
    free(e->alone);
    free(e);
}

static u64 engine_progress(struct cpu *c)
{
    struct engine *e = c->engine_data;
    if (!e || !c->cur) return 0;
    const struct iblock *t = e->block;
    u64 k = c->cur - t->insn;
    return k - (k >= t->last && t->last >= t->n); // a slot lies before the last one
}

// Address of an instruction of the block that runs.
static u64 rip_of(const struct engine *e, const struct insn *i)
{
    u64 rip = e->rip;
    for (const struct insn *k = e->block->insn; k < i; k++) rip += k->len;
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
bool interp_is_magic(const struct insn *i)
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
        i->exec = hook_wants(c, HOOK_MAGIC) && interp_is_magic(i) ? x_magic : interp_pick(i);
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
// A displacement that could overflow when it is made relative to the block's start: such an instruction stays last.
static bool rip_far(const struct insn *i) { return rip_relative(i) && i->disp > INT32_MAX - 1024; }

// The last instruction of a block: does it need RIP, and where does it carry its distance from it?
static bool needs_rip(const struct insn *i)
{
    switch (i->op) {
    case OP_JCC_Jb:
    case OP_JCC_Jz:
    case OP_JMP_Jb:
    case OP_JMP_Jz:
    case OP_CALL_Jz:
    case OP_RET:
    case OP_RET_Iw: return false;
    case OP_JMP_Ev:
    case OP_CALL_Ev: return rip_far(i);
    default: return true;
    }
}

// What comes next is told by RIP alone, in the same mode and through the same translations.
static bool may_link(const struct insn *i)
{
    return !ends_block(i) || i->op == OP_JCC_Jb || i->op == OP_JCC_Jz || i->op == OP_JMP_Jb || i->op == OP_JMP_Jz ||
           i->op == OP_CALL_Jz;
}

// All that run with RIP at the block's start.
static void rebase(struct iblock *t)
{
    unsigned at = 0;
    for (unsigned k = 0; k < t->n; k++) {
        struct insn *i = &t->insn[k];
        bool last = k + 1 == t->n;
        if (last && needs_rip(i)) break;
        if (insn_rows[i->op].attr & A_FPU) i->imm = at;
        at += i->len;
        if (rip_relative(i)) i->disp += at;
        if (last && i->op == OP_CALL_Ev)
            i->imm = at;
        else if (last && !i->is_mem)
            i->disp = at; // Jcc, JMP, CALL, which have no other use for it
    }
}

// Before a last instruction that needs RIP; its disp is the block's length.
static void x_complete_rip(struct cpu *c, const struct insn *i)
{
    c->gpr[R_RIP] += (u64)(i64)i->disp;
    c->cur = ++i;
    i->exec(c, i);
}

static xfn x_end, x_end_trail;

static void place_ends(struct iblock *t, bool trail)
{
    t->last = t->n - 1;
    if (needs_rip(&t->insn[t->last])) {
        struct insn *i = &t->insn[t->last++];
        t->insn[t->last] = *i;
        *i = (struct insn){.exec = x_complete_rip, .disp = t->bytes};
    }
    *block_end(t) = (struct iend){.exec = trail ? x_end_trail : x_end, .delta = {NO_LINK, NO_LINK}};
    t->links = t->pa2 == ~(u64)0 && may_link(&t->insn[t->last]);
    t->slots = t->last + 2;
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
        if (ends_block(i) || rip_far(i)) break;
    }
    if (!t->n) { // the first instruction straddles
        interp_fetch(c, rip, &t->insn[0]);
        if (t->insn[0].len <= page_room) return NULL;
        t->pa2 = tlb_fetch(c, lin + page_room, NULL);
        t->n = 1;
        at = t->insn[0].len;
        e->decoded++;
    }
    t->bytes = at;
    rebase(t);
    place_ends(t, e->trail);
    code_insert(e->code, c->bus, t);
    return t->mode == MODE_DEAD ? NULL : t;
}

// cpu.context for a page that survives MOV CR3.
static inline u64 global_context(const struct cpu *c) { return (u64)c->tlb_gen_global << 32 | c->mode; }

INLINE u64 at_of(const struct cpu *c, u64 rip) { return c->seg[S_CS].base + rip; }

// The block at lin; NULL if its code cannot be kept.
static NOINLINE struct iblock *lookup(struct cpu *c, u64 rip, struct jump *j)
{
    if (!cpu_code64(c) && rip >> 32) return NULL; // over the end of 4 GB: run_alone() knows
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
        if (marked) *j = (struct jump){.at = ~at_of(c, rip), .context = ~(u64)0}; // neither cached nor linked to
        if (marked && cpu_break(c, lin)) return NULL;
    }
    if (unlikely(e->flushes != e->code->flushes)) {
        memset(e->jump, 0, sizeof e->jump);
        e->flushes = e->code->flushes;
    }
    // After a task switch most entries only need a new context.
    struct iblock *t = j->block;
    if (!t || t->pa != pa || t->mode != mode) t = code_find(e->code, pa, mode);
    if (t && t->pa2 != ~(u64)0 && tlb_fetch(c, lin + (PAGE_SIZE - (pa & 0xfff)), NULL) != t->pa2) {
        code_invalidate(e->code, c->bus, pa, 1); // the second page is another one now
        t = NULL;
    }
    if (!t) t = build(c, rip, pa, mode);
    if (unlikely(!t)) return NULL;
    // A block whose instructions straddle pages is looked up each time, as is one that a debugger has marked.
    if (t->pa2 == ~(u64)0 && !marked) *j = (struct jump){at_of(c, rip), global ? global_context(c) : c->context, t};
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
    struct iblock *t = e->alone;
    u64 rip = c->gpr[R_RIP];
    if (!cpu_code64(c)) rip = (u32)rip; // code that ran over the end of 4 GB goes on at 0
    interp_fetch(c, rip, t->insn);
    t->insn[1].exec = interp_stop;
    t->n = 1;
    e->rip = rip;
    e->block = t;
    c->cur = t->insn;
    c->gpr[R_RIP] = rip + t->insn[0].len;
    t->insn[0].exec(c, t->insn);
    retire(c, 1);
}

static void engine_step(struct cpu *c) { run_alone(c); }

INLINE struct jump *jump_slot(struct engine *e, u64 at) { return &e->jump[(at ^ at >> 12) & (JUMP_CACHE - 1)]; }
INLINE bool jump_valid(const struct cpu *c, const struct jump *j, u64 at)
{
    return j->at == at && (j->context == c->context || j->context == global_context(c)) && j->block->mode != MODE_DEAD;
}
// False: its end lies outside the code segment.
INLINE bool inside_segment(const struct cpu *c, u64 rip, const struct iblock *t)
{
    return cpu_code64(c) || rip + t->bytes - 1 <= c->seg[S_CS].limit;
}

// Calls at a function's end are jumps in optimised code only; else each block returns to run_block().
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(DEBUG)
#define CHAIN_BLOCKS 1
#else
#define CHAIN_BLOCKS 0
#endif

// For the record of last branches.
INLINE void note_block(struct cpu *c, u64 rip, const struct iblock *t)
{
    trail_block(c->trail, c->seg[S_CS].base + rip, t->bytes, t->mode);
}

// The end of a block, reached by insn_next(): on to the next one if it is at hand and fits into the slice, else back
// with nothing done.
INLINE void end_block(struct cpu *c, const struct insn *i, bool trail)
{
    struct engine *e = c->engine_data;
    const struct iend *z = (const struct iend *)i;
    struct iblock *t;
    u64 rip = c->gpr[R_RIP], delta = rip - e->rip;
    if (!CHAIN_BLOCKS) return;
    if (likely(delta == (u64)(i64)z->delta[0])) {
        t = z->to[0];
        if (unlikely(t->mode == MODE_DEAD)) return;
    } else if (delta == (u64)(i64)z->delta[1]) {
        t = z->to[1];
        if (unlikely(t->mode == MODE_DEAD)) return;
    } else {
        u64 at = c->seg[S_CS].base + rip;
        struct jump *j = jump_slot(e, at);
        if (unlikely(!jump_valid(c, j, at))) return;
        t = j->block;
    }
    u64 icount = c->icount + e->block->n;
    if (unlikely((i64)(c->icount_limit - icount) < t->n || !inside_segment(c, rip, t))) return;
    if (trail) note_block(c, rip, t);
    c->icount = icount;
    e->block = t;
    e->rip = rip;
    c->cur = t->insn;
    t->insn[0].exec(c, t->insn);
}
static void x_end(struct cpu *c, const struct insn *i) { end_block(c, i, false); }
static void x_end_trail(struct cpu *c, const struct insn *i) { end_block(c, i, true); }

// Remembers t, found by its linear address, in the end of the block before it, which began at `rip`. Both lie in the
// same page and as far apart there as their linear addresses.
static void link_blocks(const struct engine *e, struct iblock *from, u64 rip, struct iblock *t)
{
    u64 delta = t->pa - from->pa;
    if (e->rip - rip != delta || (t->pa ^ from->pa) & PAGE_MASK || t->pa2 != ~(u64)0 || t->mode != from->mode) return;
    struct iend *z = block_end(from);
    int k = z->delta[0] != NO_LINK && z->delta[0] != (i32)delta;
    z->to[k] = t;
    z->delta[k] = (i32)delta;
}

static bool wants_attention(const struct cpu *c) { return unlikely(c->attn) && (c->attn & cpu_attn_mask(c)); }

// Runs the block at RIP and whatever blocks it runs on into. True: the last one was executed to its end.
static bool run_block(struct cpu *c, struct engine *e)
{
    const struct insn *i = e->block->insn;
    for (;;) {
        c->cur = i;
        i->exec(c, i); // may go on for many instructions and blocks, or return after one
        struct iblock *t = e->block;
        i = c->cur;
        if (i >= &t->insn[t->last]) {
            retire(c, t->n);
            return true;
        }
        i++;
        if (wants_attention(c)) {
            c->gpr[R_RIP] = rip_of(e, i);
            retire(c, i - t->insn);
            return false;
        }
    }
}

static void engine_run(struct cpu *c)
{
    struct engine *e = c->engine_data;
    struct iblock *from = NULL; // block whose end may learn the way to the next one
    u64 from_rip = 0, flushes = 0;
    e->trail = c->trail->blocks_on;
    for (;;) {
        if (wants_attention(c)) return;
        u64 left = c->icount_limit - c->icount;
        if (unlikely((i64)left <= 0)) return;
        u64 rip = c->gpr[R_RIP], at = c->seg[S_CS].base + rip;
        struct jump *j = jump_slot(e, at);
        struct iblock *t = j->block;
        if (unlikely(!t || !jump_valid(c, j, at))) t = lookup(c, rip, j);
        // No block there, or the end of the segment or of the slice lies inside of it.
        if (unlikely(!t || !inside_segment(c, rip, t) || t->n > left)) {
            if (!t && (c->attn & ATTN_EXIT)) return; // a breakpoint
            if (unlikely(e->trail)) trail_block(c->trail, at, 0, c->mode);
            run_alone(c);
            from = NULL;
            continue;
        }
        e->block = t;
        e->rip = rip;
        if (from && from->links && j->block == t && flushes == e->code->flushes) link_blocks(e, from, from_rip, t);
        if (unlikely(e->trail)) note_block(c, rip, t);
        from = run_block(c, e) ? e->block : NULL;
        from_rip = e->rip;
        flushes = e->code->flushes;
    }
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
