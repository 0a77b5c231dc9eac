// SPDX-License-Identifier: MIT
// What the emitters of guest instructions share. An emitter appends the operations of one instruction and returns true,
// or returns false, whatever it has appended is dropped, and the interpreter's function executes the instruction.
// It appends every MEM (and what else may leave, IR_EXIT) before its first change of architectural state.
#pragma once
#include "tcg/tcg.h"

struct front {
    struct ir *b;
    const struct insn *i;
    const struct cpu *c; // as it is now: for guesses that the code checks
    u8 k;                // index of the instruction
    u8 ir;               // from the emitter's row: operation
    u8 n;                // … and operand size, 1 or that of the instruction
    u8 sw;               // stack width 2, 4, 8
    bool code64, flat;
    bool last; // instruction of the block
    u32 key;   // MODE_*
    i32 off;   // of the next instruction from code_base
};
typedef bool front_fn(struct front *f);
#define EMIT(name, fn, ...) front_fn front_##fn;
#include "tcg/front/emit.def"
#undef EMIT

INLINE struct ir_op *add(struct front *f, enum ir_code op, unsigned size, unsigned dst, unsigned a)
{
    return ir_add(f->b, f->k, op, size, dst, a);
}
INLINE void add_imm(struct front *f, enum ir_code op, unsigned size, unsigned dst, i64 imm)
{
    add(f, op, size, dst, IR_IMM)->imm = imm;
}
// Immediates are sign-extended from the operand size.
INLINE i64 imm_of(u64 v, unsigned n) { return n == 1 ? (i8)v : n == 2 ? (i16)v : n == 4 ? (i32)v : (i64)v; }
// A segment whose base and limit need no look.
INLINE unsigned seg_of(const struct front *f, unsigned seg)
{
    bool none = f->code64 ? seg <= S_DS : f->flat && seg <= S_DS && seg != S_CS; // CS is not writable
    return none ? IR_NONE : seg;
}
// The instruction's memory operand into `o`.
INLINE void set_address(const struct front *f, struct ir_op *o)
{
    const struct insn *i = f->i;
    o->base = i->base == R_ZERO ? IR_NONE : i->base;
    o->disp = i->disp;
    if (i->base == R_RIP) {
        o->base = IR_BASE;
        o->disp += f->off; // front_insn() has seen to it that this fits
    }
    if (i->index != R_ZERO) {
        o->index = i->index;
        o->scale = i->scale;
    }
    o->asz = i->asz;
}
INLINE void mem(struct front *f, unsigned size, unsigned acc)
{
    struct ir_op *o = add(f, IR_MEM, size, IR_NONE, IR_NONE);
    set_address(f, o);
    o->seg = seg_of(f, f->i->seg);
    o->acc = acc;
}
// Operand E: a register, or IR_M after the check of the access.
INLINE unsigned operand_e(struct front *f, unsigned size, unsigned acc)
{
    if (!f->i->is_mem) return f->i->rm;
    mem(f, size, acc);
    return IR_M;
}
// A value into IR_T0, whose bits above `size` become 0.
INLINE void load_t0(struct front *f, unsigned size, unsigned a)
{
    if (size >= 4)
        add(f, IR_MOV, size, IR_T0, a);
    else
        add(f, IR_MOVZX, 4, IR_T0, a)->cc = size;
}
// ---- stack
// Checks `size` bytes at SS:[register + disp].
INLINE void mem_stack(struct front *f, unsigned size, unsigned reg, i32 disp, unsigned acc)
{
    struct ir_op *o = add(f, IR_MEM, size, IR_NONE, IR_NONE);
    o->base = reg;
    o->disp = disp;
    o->asz = f->sw;
    o->seg = seg_of(f, S_SS);
    o->acc = acc;
}
INLINE void mem_push(struct front *f, unsigned size, unsigned acc)
{
    mem_stack(f, size, R_RSP, -(i32)size, acc | IR_WR | IR_STACK);
}
INLINE void mem_top(struct front *f, unsigned size) { mem_stack(f, size, R_RSP, 0, IR_RD | IR_STACK); }
// dst = reg + disp, as wide as `size`, computed in `asz` bytes; flags stay.
INLINE void lea(struct front *f, unsigned size, unsigned dst, unsigned reg, i32 disp, unsigned asz)
{
    struct ir_op *o = add(f, IR_LEA, size, dst, IR_NONE);
    o->base = reg;
    o->disp = disp;
    o->asz = asz;
}
INLINE void move_sp(struct front *f, i32 k) { lea(f, f->sw, R_RSP, R_RSP, k, f->sw); }
