// SPDX-License-Identifier: MIT
// Which flags anybody may look at: one pass backwards over a block, for hosts that synthesize flags, and for people
// (x64, which has them for nothing, asks only whether it must have a record: host/x64/flags.c). Where translated code
// may leave for C (IR_EXIT, every end of the block) all flags must be had, since a fault, an interrupt or the debugger
// may show them. The exception that costs nothing in exactness is noted at jumps to the block's own start: `need` there
// is what the code at the start looks at, so that the emitter may carry the record past the jump in registers only.
#include "tcg/tcg.h"

static const u16 condition_reads[8] = {0x800, 0x001, 0x040, 0x041, 0x080, 0x004, 0x880, 0x8c0};

static bool is_variable_shift(unsigned op) { return op >= IR_SHLV && op <= IR_SHRDV; }
_Static_assert(IR_SHRDV - IR_SHLV == 6, "SHLV SHRV SARV ROLV RORV SHLDV SHRDV stand together");

static unsigned reads_of(const struct ir_op *o)
{
    switch (o->op) {
    case IR_JCC:
    case IR_SETCC:
    case IR_CMOV: return condition_reads[o->cc >> 1 & 7];
    case IR_SHLV: // a count of 0 lets the flags pass: no reading of its own
    case IR_SHRV:
    case IR_SARV:
    case IR_ROLV:
    case IR_RORV:
    case IR_SHLDV:
    case IR_SHRDV:
    case IR_JMP:
    case IR_CALLTO:
    case IR_JRCXZ: return 0;
    default: return ir_facts[o->op].props & IR_EXIT ? IR_FL_ALL : ir_facts[o->op].reads;
    }
}
// Flags whose values before the operation are gone behind it.
static unsigned kills_of(const struct ir_op *o)
{
    if (is_variable_shift(o->op)) return 0;
    if (o->op == IR_TZCNT || o->op == IR_LZCNT) return IR_FL_ALL & ~0x800;
    return ir_facts[o->op].writes;
}

// What the block's code looks at when it runs from its start.
static unsigned looked_at_from_start(const struct ir *b)
{
    unsigned looked = 0, open = IR_FL_ALL;
    for (u32 k = 0; k < b->n && open; k++) {
        const struct ir_op *o = &b->op[k];
        const struct ir_fact *f = &ir_facts[o->op];
        if ((f->props & (IR_EXIT | IR_END)) || o->op == IR_JCC || o->op == IR_JRCXZ) return looked | open;
        looked |= reads_of(o) & open;
        open &= ~kills_of(o);
    }
    return looked | open;
}

struct pass {
    struct ir *b;
    i64 start; // offset of the block's first byte
    bool opt;
    u16 from_start, live;
};

static u16 at_target(const struct pass *p, const struct ir_op *o)
{
    return p->opt && o->imm == p->start && o->size >= 4 ? p->from_start : IR_FL_ALL;
}

void opt_bare(struct compile_env *e) { e->bare = e->opt && !looked_at_from_start(&e->ir); }

void opt_flags(struct compile_env *e, const struct tb *t)
{
    struct pass p = {.b = &e->ir, .start = t->pa & 0xfff, .opt = e->opt, .live = IR_FL_ALL};
    p.from_start = p.opt ? looked_at_from_start(p.b) : IR_FL_ALL;
    opt_bare(e);
    for (u32 k = p.b->n; k-- > 0;) {
        struct ir_op *o = &p.b->op[k];
        const struct ir_fact *f = &ir_facts[o->op];
        if (!(f->props | f->writes | f->reads)) { // nothing to do with flags
            o->need = 0;
            o->live = p.opt ? p.live : IR_FL_ALL;
            continue;
        }
        bool jump = (f->props & IR_END) || o->op == IR_JCC || o->op == IR_JRCXZ;
        if (!p.opt) p.live = IR_FL_ALL;
        o->need = jump ? at_target(&p, o) : f->writes & p.live;
        // A jump may leave the block, where an interrupt may look.
        p.live = jump ? IR_FL_ALL : (p.live & ~kills_of(o)) | reads_of(o);
        o->live = p.opt ? p.live : IR_FL_ALL;
    }
}
