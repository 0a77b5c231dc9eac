// SPDX-License-Identifier: MIT
// Guest instructions to intermediate code: picks the emitter of an instruction (emit.def; system instructions: sys.c,
// x87, MMX and SSE: vec.c). Whatever has none, and every form that its emitter refuses, becomes CALL, so that the
// translator is complete and each emitter is pure speed. LOCK is ignored: one thread executes all processors.
#include "tcg/front/front.h"

static const struct emitter {
    front_fn *fn;
    u8 ir, size;
} emitters[OP_COUNT] = {
#define EMIT(name, fn, ir, size) [OP_##name] = {front_##fn, IR_##ir, size},
#include "tcg/front/emit.def"
#undef EMIT
};
// Most operations of one instruction, and of what ends a block.
enum { OPS_MAX = 12, OPS_END = 40 /* SYSCALL */ };
_Static_assert(TB_MAX *OPS_MAX + OPS_END <= IR_MAX, "a block's operations fit");

bool front_one_access(const struct insn *i)
{
    front_fn *fn = emitters[i->op].fn;
    return i->is_mem && (fn == front_load_op || fn == front_mov_eg || fn == front_mov_ei || fn == front_alu_eg ||
                         fn == front_alu_ei || fn == front_alu_ge || fn == front_unary || fn == front_widen);
}

// RIP-relative displacements are made relative to code_base.
static bool in_reach(const struct insn *i, i32 off)
{
    i32 sum;
    return !i->is_mem || i->base != R_RIP || !__builtin_add_overflow(i->disp, off, &sum);
}

static void begin(struct front *f, struct compile_env *e)
{
    bool code64 = (e->key & MODE_CODE) == MODE_64;
    *f = (struct front){.b = &e->ir,
                        .c = e->c,
                        .sw = code64               ? 8
                              : e->key & MODE_SS32 ? 4
                                                   : 2,
                        .code64 = code64,
                        .flat = e->key & MODE_FLAT,
                        .key = e->key};
}

static bool emit(struct front *f, const struct insn *i, unsigned k, i32 off, bool last)
{
    const struct emitter *x = &emitters[i->op];
    if (!x->fn || !in_reach(i, off)) return false;
    f->i = i;
    f->k = (u8)k;
    f->ir = x->ir;
    f->n = x->size ? x->size : i->osz;
    f->last = last;
    f->off = off;
    return x->fn(f);
}

static void append(struct compile_env *e, struct front *f, const struct tb *t, unsigned k, i32 off)
{
    const struct insn *i = &t->insn[k];
    u32 n = e->ir.n;
    if (likely(emit(f, i, k, off, k + 1 == t->n))) return;
    u32 attr = insn_rows[i->op].attr;
    e->ir.n = n;
    if ((attr & (A_FPU | A_MMX | A_SSE)) && in_reach(i, off) && front_vec(e, t, k, off)) return;
    e->ir.n = n;
    ir_add(&e->ir, k, IR_CALL, 0, IR_NONE, IR_NONE);
    if (i->op == OP_NONE || ((attr & (A_END | A_SYS | A_IO)) && !front_goes_on(i)))
        ir_add(&e->ir, k, IR_LEAVE, 0, IR_NONE, IR_NONE);
}

void front_insn(struct compile_env *e, const struct tb *t, unsigned k, i32 off)
{
    struct front f;
    begin(&f, e);
    append(e, &f, t, k, off);
}

void tb_front(struct compile_env *e, const struct tb *t)
{
    struct ir *b = &e->ir;
    struct front f;
    i32 off = t->pa & 0xfff;
    begin(&f, e);
    b->n = 0;
    b->vec = false;
    for (unsigned k = 0; k < t->n; k++) {
        off += t->insn[k].len;
        append(e, &f, t, k, off);
        if (b->n && ir_facts[b->op[b->n - 1].op].props & IR_END) return;
    }
    unsigned size = (e->key & MODE_CODE) == MODE_64 ? 8 : 4; // the instruction pointer is not cut in 16-bit code
    ir_add(b, t->n - 1, IR_JMP, size, IR_NONE, IR_NONE)->imm = off;
}
