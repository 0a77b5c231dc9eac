// SPDX-License-Identifier: MIT
// EFLAGS as a whole, and fields of struct cpu.
#include "tcg/host/x64/emit.h"

// T0 = EFLAGS
void emit_getfl(struct em *m)
{
    struct opnd to = O_CPU(host_getfl);
    fl_to_memory(m);
    put_rm(m, 0, 0xff, 4, 2, &to);
}

// attn: IF may become set, TF and RF of the old flags show there too.
void emit_putfl(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd attn = O_CPU(attn), eflags = O_CPU(eflags), cc = O_CPU(cc_op), t = o_reg(H_TMP);
    u32 same = (FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_AC | FL_ID) & ~(u32)o->imm;
    put_alu(m, ALU_CMP, 4, attn, o_imm(0));
    exit_if(m, C_NE);
    put_load(m, 4, H_TMP, eflags);
    put_alu(m, ALU_XOR, 4, t, o_of(m, o->a));
    put_rmi(m, 0, 0xf7, 4, 0, &t, same, 4);
    exit_if(m, C_NE);
    put_alu(m, ALU_AND, 4, t, o_imm(o->imm));
    put_alu(m, ALU_XOR, 4, eflags, t);
    put_rmi(m, 0, 0xc7, 4, 0, &cc, CC_EFLAGS, 4);
    fl_set(m, CC_EFLAGS, CC_IN_MEMORY, CC_IN_MEMORY, 0);
    m->fl.op_stored = true;
}

void emit_cpu(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd at = o_mem(H_CPU, (i32)(u32)o->imm - TCG_BIAS), t0 = o_reg(H_T0);
    switch (o->op) {
    case IR_CHECK:
        put_alu(m, ALU_CMP, o->size, at, o_imm((i32)(o->imm >> 32)));
        exit_if(m, C_NE);
        break;
    case IR_OFF: { // one byte has the bits
        u32 bits = (u32)(o->imm >> 32), byte = (unsigned)__builtin_ctz(bits) / 8;
        at.disp += (i32)byte;
        put_rmi(m, 0, 0xf6, 1, 0, &at, bits >> 8 * byte, 1);
        exit_if(m, C_NE);
        break;
    }
    case IR_LDCPU: put_load(m, o->size, H_T0, at); break;
    case IR_STCPU: put_store(m, o->size, at, H_T0); break;
    case IR_STIMM:
        put_rmi(m, 0, o->size == 1 ? 0xc6 : 0xc7, o->size, 0, &at, o->imm >> 32, o->size < 4 ? o->size : 4);
        break;
    case IR_STADDR:
        put_lea(m, 8, H_T0, H_CPU, NO_REG, 0, (i32)(o->imm >> 32) - TCG_BIAS);
        put_store(m, 8, at, H_T0);
        break;
    case IR_BITS: {
        struct opnd a = o_of(m, o->a);
        put_rmi(m, 0, 0xf7, 4, 0, &a, o->imm, 4);
        exit_if(m, C_NE);
        break;
    }
    case IR_MASK: put_rmi(m, 0, 0x81, 4, ALU_AND, &t0, o->imm, 4); break;
    case IR_KEEP: put_rr(m, 0x8b, 8, H_PTR, H_T0); break;
    case IR_KEPT: put_rr(m, 0x8b, 8, H_T0, H_PTR); break;
    default: // SWCPU
        put_load(m, 8, H_TMP, at);
        put_store(m, 8, at, H_T0);
        put_rr(m, 0x8b, 8, H_T0, H_TMP);
        break;
    }
}
