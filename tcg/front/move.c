// SPDX-License-Identifier: MIT
// Emitters of data movement: SDM vol. 2 MOV (general registers), MOVZX, MOVSX, LEA, XCHG, BSWAP, MOVBE, CBW, CWD,
// SETcc, CMOVcc, PUSH, POP, ENTER, LEAVE. To the interpreter: segment registers, PUSHA, POPA, ENTER with levels, XLAT.
#include "tcg/front/front.h"

// A byte that must be readable, and no more.
bool front_touch(struct front *f)
{
    mem(f, 1, IR_RD);
    add(f, IR_NOP, 0, IR_NONE, IR_NONE);
    return true;
}
bool front_nothing(struct front *f) { return true; }
bool front_mov_eg(struct front *f)
{
    unsigned d = operand_e(f, f->n, IR_WR);
    add(f, IR_MOV, f->n, d, f->i->reg);
    return true;
}
bool front_mov_ei(struct front *f)
{
    unsigned d = operand_e(f, f->n, IR_WR);
    add_imm(f, IR_MOV, f->n, d, imm_of(f->i->imm, f->n));
    return true;
}
// rAX and an address in the instruction, as wide as the address size.
static bool mem_offset(struct front *f, unsigned acc)
{
    const struct insn *i = f->i;
    if (i->asz == 8 && (i64)i->imm != (i32)i->imm) return false;
    struct ir_op *o = add(f, IR_MEM, f->n, IR_NONE, IR_NONE);
    o->disp = (i32)i->imm;
    o->asz = i->asz;
    o->seg = seg_of(f, i->seg);
    o->acc = acc;
    return true;
}
bool front_mov_ao(struct front *f)
{
    if (!mem_offset(f, IR_RD)) return false;
    add(f, IR_MOV, f->n, R_RAX, IR_M);
    return true;
}
bool front_mov_oa(struct front *f)
{
    if (!mem_offset(f, IR_WR)) return false;
    add(f, IR_MOV, f->n, IR_M, R_RAX);
    return true;
}
bool front_movnti(struct front *f)
{
    f->n = f->n == 8 ? 8 : 4;
    return front_mov_eg(f);
}
// n: the source's size. MOVSXD without REX.W and MOVZX of 16 bits to 16 are a MOV of the operand size.
bool front_widen(struct front *f)
{
    unsigned to = f->i->osz, from = f->n < to ? f->n : to, a = operand_e(f, from, IR_RD);
    if (from < to)
        add(f, f->ir, to, f->i->reg, a)->cc = from;
    else
        add(f, IR_MOV, to, f->i->reg, a);
    return true;
}
bool front_lea(struct front *f)
{
    set_address(f, add(f, IR_LEA, f->n, f->i->reg, IR_NONE));
    return true;
}
bool front_xchg(struct front *f)
{
    unsigned d = operand_e(f, f->n, IR_WR);
    add(f, IR_XCHG, f->n, d, f->i->reg);
    return true;
}
bool front_xchg_a(struct front *f)
{
    add(f, IR_XCHG, f->n, f->i->rm, R_RAX);
    return true;
}

// ---- byte order. A 16-bit BSWAP gives 0, as interp/ does.
bool front_bswap(struct front *f)
{
    if (f->n == 2)
        add_imm(f, IR_MOV, 2, f->i->rm, 0);
    else
        add(f, IR_BSWAP, f->n, f->i->rm, IR_NONE);
    return true;
}
bool front_movbe_load(struct front *f)
{
    if (f->n == 2) return false;
    mem(f, f->n, IR_RD);
    add(f, IR_MOV, f->n, f->i->reg, IR_M);
    add(f, IR_BSWAP, f->n, f->i->reg, IR_NONE);
    return true;
}
bool front_movbe_store(struct front *f)
{
    if (f->n == 2) return false;
    mem(f, f->n, IR_WR);
    add(f, IR_MOV, f->n, IR_T0, f->i->reg);
    add(f, IR_BSWAP, f->n, IR_T0, IR_NONE);
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    return true;
}
bool front_extend_a(struct front *f)
{
    add(f, f->ir, f->n, IR_NONE, IR_NONE);
    return true;
}

// ---- conditions
bool front_setcc(struct front *f)
{
    unsigned d = operand_e(f, 1, IR_WR);
    add(f, IR_SETCC, 1, d, IR_NONE)->cc = f->i->cc;
    return true;
}
bool front_cmov(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_CMOV, f->n, f->i->reg, a)->cc = f->i->cc;
    return true;
}

// ---- stack
bool front_push_e(struct front *f)
{
    unsigned v = f->i->rm; // PUSH rSP pushes its old value
    if (f->i->is_mem) {
        mem(f, f->n, IR_RD);
        load_t0(f, f->n, IR_M);
        v = IR_T0;
    }
    mem_push(f, f->n, v == IR_T0 ? IR_T0LIVE : 0);
    add(f, IR_MOV, f->n, IR_M, v);
    move_sp(f, -(i32)f->n);
    return true;
}
bool front_push_i(struct front *f)
{
    mem_push(f, f->n, 0);
    add_imm(f, IR_MOV, f->n, IR_M, imm_of(f->i->imm, f->n));
    move_sp(f, -(i32)f->n);
    return true;
}
// POP rSP: the value wins over the increment.
bool front_pop_r(struct front *f)
{
    bool sp = f->i->rm == R_RSP;
    mem_top(f, f->n);
    if (sp) move_sp(f, f->n);
    add(f, IR_MOV, f->n, f->i->rm, IR_M);
    if (!sp) move_sp(f, f->n);
    return true;
}
// An address based on rSP uses its value after the increment.
bool front_pop_e(struct front *f)
{
    const struct insn *i = f->i;
    if (!i->is_mem) return front_pop_r(f);
    bool sp = i->base == R_RSP;
    if (sp && (f->sw < i->asz || i->disp > INT32_MAX - 8)) return false;
    mem_top(f, f->n);
    load_t0(f, f->n, IR_M);
    mem(f, f->n, IR_WR | IR_T0LIVE);
    if (sp) f->b->op[f->b->n - 1].disp += f->n;
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    move_sp(f, f->n);
    return true;
}
// Level 0: the new top is probed for writing too.
bool front_enter(struct front *f)
{
    i32 alloc = (u16)f->i->imm, n = f->n;
    if ((f->i->imm >> 32 & 31) || f->sw == 2) return false;
    if (alloc) mem_stack(f, f->n, R_RSP, -n - alloc, IR_WR | IR_STACK);
    mem_push(f, f->n, 0);
    add(f, IR_MOV, f->n, IR_M, R_RBP);
    lea(f, f->n, R_RBP, R_RSP, -n, f->sw);
    move_sp(f, -n - alloc);
    return true;
}
bool front_leave(struct front *f)
{
    mem_stack(f, f->n, R_RBP, 0, IR_RD);
    lea(f, f->sw, R_RSP, R_RBP, f->n, f->sw);
    add(f, IR_MOV, f->n, R_RBP, IR_M);
    return true;
}
