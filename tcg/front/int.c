// SPDX-License-Identifier: MIT
// Emitters of integer arithmetic, shifts and bit instructions: SDM vol. 2. Meanings that the manual leaves open are
// those of interp/. To the interpreter: byte and 16-bit forms of shifts by CL, IDIV of bytes, rotates through CF by CL,
// 16-bit SHLD, decimal adjustment.
#include "tcg/front/front.h"

_Static_assert(IR_SHL + 1 == IR_SHR && IR_SHR + 1 == IR_SAR, "kinds of SHX");

static unsigned access_of(enum ir_code op) { return op == IR_CMP || op == IR_TEST ? IR_RD : IR_WR; }

// ---- two operands
bool front_alu_eg(struct front *f)
{
    unsigned d = operand_e(f, f->n, access_of(f->ir));
    add(f, f->ir, f->n, d, f->i->reg);
    return true;
}
bool front_alu_ei(struct front *f)
{
    unsigned d = operand_e(f, f->n, access_of(f->ir));
    add_imm(f, f->ir, f->n, d, imm_of(f->i->imm, f->n));
    return true;
}
bool front_alu_ai(struct front *f)
{
    add_imm(f, f->ir, f->n, R_RAX, imm_of(f->i->imm, f->n));
    return true;
}
// G = E, or G = G op E
bool front_load_op(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, f->ir, f->n, f->i->reg, a);
    return true;
}
bool front_alu_ge(struct front *f) { return front_load_op(f); }
bool front_unary(struct front *f)
{
    add(f, f->ir, f->n, operand_e(f, f->n, IR_WR), IR_NONE);
    return true;
}
bool front_alu_eg_wr(struct front *f)
{
    unsigned d = operand_e(f, f->n, IR_WR);
    add(f, f->ir, f->n, d, f->i->reg);
    return true;
}
bool front_cmpxchg2(struct front *f)
{
    bool sixteen = f->i->op == OP_CMPXCHG16B_Mdq;
    mem(f, sixteen ? 16 : 8, IR_WR | (sixteen ? IR_ALIGN : 0));
    add(f, IR_CMPXCHG2, sixteen ? 8 : 4, IR_NONE, IR_M);
    return true;
}

// ---- multiplication, division
bool front_mul_wide(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, f->ir, f->n, IR_NONE, a);
    return true;
}
bool front_adx(struct front *f) { return f->n >= 4 && front_load_op(f); }
bool front_imul3(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_IMUL3, f->n, f->i->reg, a)->imm = imm_of(f->i->imm, f->n);
    return true;
}
bool front_mulx(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_MULX, f->n, f->i->vvvv, a)->imm = f->i->reg;
    return true;
}

// ---- shifts. A masked count of 0 changes no flag, but a 32-bit register's upper half becomes 0.
static bool shift_by(struct front *f, unsigned count, unsigned a)
{
    count &= f->n == 8 ? 63 : 31;
    if (count >= 8u * f->n) return false;
    if (!count) {
        if (f->i->is_mem) return false;
        if (f->n == 4) add(f, IR_MOV, 4, f->i->rm, f->i->rm);
        return true;
    }
    add(f, f->ir, f->n, operand_e(f, f->n, IR_WR), a)->imm = count;
    return true;
}
bool front_shift_imm(struct front *f) { return shift_by(f, (u8)f->i->imm, IR_NONE); }
bool front_shift_one(struct front *f) { return shift_by(f, 1, IR_NONE); }
bool front_shift_cl(struct front *f) { return f->n >= 4 && front_unary(f); }
bool front_shift_double(struct front *f) { return f->n >= 4 && shift_by(f, (u8)f->i->imm, f->i->reg); }
bool front_shift_double_cl(struct front *f)
{
    if (f->n < 4) return false;
    unsigned d = operand_e(f, f->n, IR_WR);
    add(f, f->ir, f->n, d, f->i->reg);
    return true;
}
bool front_shx(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    struct ir_op *o = add(f, IR_SHX, f->n, f->i->reg, a);
    o->base = f->i->vvvv;
    o->cc = f->ir;
    return true;
}
bool front_rorx(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_RORX, f->n, f->i->reg, a)->imm = f->i->imm & (8 * f->n - 1);
    return true;
}

// ---- bits
// A register's offset reaches beyond an operand in memory.
bool front_bit_reg(struct front *f)
{
    unsigned d = f->i->rm;
    if (f->i->is_mem) {
        if (f->i->asz == 2) return false;
        set_address(f, add(f, IR_LEA, f->i->asz, IR_T0, IR_NONE));
        add(f, IR_BITS_AT, f->n, IR_T0, f->i->reg)->asz = f->i->asz;
        struct ir_op *o = add(f, IR_MEM, f->n, IR_NONE, IR_NONE);
        o->base = IR_T0;
        o->asz = f->i->asz;
        o->seg = seg_of(f, f->i->seg);
        o->acc = f->ir == IR_BT ? IR_RD : IR_WR;
        d = IR_M;
    }
    add(f, f->ir, f->n, d, f->i->reg);
    return true;
}
bool front_bit_imm(struct front *f)
{
    unsigned d = operand_e(f, f->n, f->ir == IR_BT ? IR_RD : IR_WR);
    add_imm(f, f->ir, f->n, d, f->i->imm & (8 * f->n - 1));
    return true;
}
// n: the source's size
bool front_crc32(struct front *f)
{
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_CRC32, 4, f->i->reg, a)->cc = f->n;
    return true;
}
// SF and ZF by the result, CF, OF (and AF, as AMD's processors leave it) 0: those of AND.
bool front_andn(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_MOV, f->n, IR_T0, f->i->vvvv);
    add(f, IR_NOT, f->n, IR_T0, IR_NONE);
    add(f, IR_AND, f->n, IR_T0, a);
    add(f, IR_MOV, f->n, f->i->reg, IR_T0);
    return true;
}

bool front_bls(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, f->ir, f->n, f->i->vvvv, a);
    return true;
}
// What register vvvv holds and what comes out pass through IR_T0.
bool front_bits_by(struct front *f)
{
    if (f->n < 4) return false;
    unsigned a = operand_e(f, f->n, IR_RD);
    add(f, IR_MOV, f->n, IR_T0, f->i->vvvv);
    add(f, f->ir, f->n, IR_T0, a);
    add(f, IR_MOV, f->n, f->i->reg, IR_T0);
    return true;
}

// ---- single flags
static void carry_from_t0(struct front *f) { add_imm(f, IR_BT, 4, IR_T0, 0); }
bool front_clc(struct front *f)
{
    add_imm(f, IR_MOV, 4, IR_T0, 0);
    carry_from_t0(f);
    return true;
}
bool front_stc(struct front *f)
{
    add_imm(f, IR_MOV, 4, IR_T0, 1);
    carry_from_t0(f);
    return true;
}
bool front_cmc(struct front *f)
{
    add(f, IR_SETCC, 1, IR_T0, IR_NONE)->cc = 3; // NC
    carry_from_t0(f);
    return true;
}
bool front_lahf(struct front *f)
{
    add(f, IR_GETFL, 4, IR_T0, IR_NONE);
    add(f, IR_MOV, 1, 16, IR_T0);
    return true;
}
bool front_sahf(struct front *f)
{
    add(f, IR_SAHF, 0, IR_NONE, IR_NONE);
    return true;
}
bool front_system_flag(struct front *f)
{
    add(f, f->ir, 4, IR_NONE, IR_NONE)->imm = FL_DF;
    return true;
}
