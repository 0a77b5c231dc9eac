// SPDX-License-Identifier: MIT
// Emitters of near control transfers: SDM vol. 2 Jcc, JMP, CALL, RET, LOOP, JCXZ. Targets are offsets from code_base;
// what is cut from them, and whether they are inside the code segment or canonical, is found when they are reached.
// Indirect jumps ask the jump cache before they change anything. To the interpreter: far transfers, LOOPE and LOOPNE
// (what reads flags may leave, and must not when the counter has changed).
#include "tcg/front/front.h"

// False: the target cannot be said in 32 bits.
static bool target_of(const struct front *f, i64 *target)
{
    *target = (i64)f->off + (i64)f->i->imm;
    return *target == (i32)*target;
}
static unsigned next_size(const struct front *f) { return f->code64 ? 8 : 4; }
static void jump(struct front *f, unsigned size, i64 target) { add(f, IR_JMP, size, IR_NONE, IR_NONE)->imm = target; }
static void jump_next(struct front *f) { jump(f, next_size(f), f->off); }

bool front_jcc(struct front *f)
{
    i64 target;
    if (!target_of(f, &target)) return false;
    struct ir_op *o = add(f, IR_JCC, f->n, IR_NONE, IR_NONE);
    o->imm = target;
    o->cc = f->i->cc;
    return true;
}
bool front_jmp(struct front *f)
{
    i64 target;
    if (!target_of(f, &target)) return false;
    jump(f, f->n, target);
    return true;
}
// A register or memory operand that is a code address, to IR_T0.
static void target_to_t0(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    load_t0(f, f->n, a);
}
static void look_up(struct front *f) { add(f, IR_LOOKUP, f->n, IR_NONE, IR_T0); }
static void go(struct front *f) { add(f, IR_GO, 0, IR_NONE, IR_NONE); }
// The jump of a CALL, behind push_next().
static void call_by(struct front *f, enum ir_code op, unsigned size, i64 target)
{
    struct ir_op *o = add(f, op, size, IR_NONE, IR_T0);
    o->imm = target;
    o->disp = f->off;
}
static void push_next(struct front *f)
{
    add(f, IR_RIP, f->n, IR_T0, IR_NONE)->imm = f->off;
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    move_sp(f, -(i32)f->n);
}
bool front_jmp_e(struct front *f)
{
    target_to_t0(f);
    look_up(f);
    go(f);
    return true;
}
// What it has pushed when its target turns out to be outside the code segment cannot be taken back: where that may be,
// the interpreter's function looks first. (By the limit as the block is made; another segment of the same mode over the
// same code sees the word below its stack pointer change.)
bool front_call(struct front *f)
{
    i64 target;
    if (!target_of(f, &target)) return false;
    if (!f->code64 && f->c && f->c->seg[S_CS].limit < (f->n == 2 ? 0xffff : 0xffffffff)) return false;
    mem_push(f, f->n, 0);
    push_next(f);
    call_by(f, IR_CALLTO, f->n, target);
    return true;
}
bool front_call_e(struct front *f)
{
    target_to_t0(f);
    mem_push(f, f->n, IR_T0LIVE);
    look_up(f);
    push_next(f);
    call_by(f, IR_CALLGO, 0, 0);
    return true;
}
bool front_ret(struct front *f)
{
    mem_top(f, f->n);
    load_t0(f, f->n, IR_M);
    struct ir_op *o = add(f, IR_RET, f->n, IR_NONE, IR_T0);
    o->disp = f->n + (f->i->op == OP_RET_Iw ? (u16)f->i->imm : 0);
    o->asz = f->sw;
    return true;
}

// ---- loops: the counter is CX, ECX or RCX by address size
static void on_counter(struct front *f, bool not_zero, unsigned size, i64 target)
{
    struct ir_op *o = add(f, IR_JRCXZ, size, IR_NONE, IR_NONE);
    o->asz = f->i->asz;
    o->cc = not_zero;
    o->imm = target;
}
bool front_loop(struct front *f)
{
    i64 target;
    if (!target_of(f, &target)) return false;
    lea(f, f->i->asz, R_RCX, R_RCX, -1, f->i->asz);
    on_counter(f, true, f->n, target);
    jump_next(f);
    return true;
}
bool front_jcxz(struct front *f)
{
    i64 target;
    if (!target_of(f, &target)) return false;
    on_counter(f, false, f->n, target);
    jump_next(f);
    return true;
}

// Direct jumps find out that their target is outside the code segment when all else is done. What CALL and LOOP have
// changed is taken back here, before the interpreter's function raises #GP.
void front_take_back(struct cpu *c, const struct insn *i)
{
    u64 stack = (c->mode & MODE_CODE) == MODE_64 ? ~(u64)0 : c->mode & MODE_SS32 ? 0xffffffff : 0xffff, *r, m;
    i64 k = 1;
    switch (i->op) {
    case OP_CALL_Jz:
        r = &c->gpr[R_RSP];
        m = stack;
        k = i->osz;
        break;
    case OP_LOOP_Jb:
        r = &c->gpr[R_RCX];
        m = ~(u64)0 >> i->ea_shift;
        break;
    default: return;
    }
    *r = (*r & ~m) | ((*r + (u64)k) & m);
}
