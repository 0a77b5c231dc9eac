// SPDX-License-Identifier: MIT
// EFLAGS as a whole, and fields of struct cpu.
#include "tcg/host/x64/emit.h"

// T0 = EFLAGS. What the record has by rule (AF of logic and shifts) or overrides is put in behind LAHF.
void emit_getfl(struct em *m)
{
    struct flags_state s;
    struct opnd eflags = O_CPU(eflags), t = o_reg(H_TMP), a = o_reg(H_RAX);
    if (!fl_restore(m, &s)) return;
    unsigned kind = s.op & 0xfc;
    if (kind == CC_EFLAGS && !(s.op & CC_OVER)) {
        put_load(m, 4, H_T0, eflags);
        return;
    }
    put_rm(m, 0, 0x0f90 | C_O, 1, 0, &t);
    put_rr(m, 0x8b, 8, H_T0, H_RAX);
    static const u8 lahf[] = {0x9f, 0x0f, 0xb6, 0xc4}; // and movzx eax, ah
    for (unsigned k = 0; k < sizeof lahf; k++) put8(m, lahf[k]);
    u32 clear = 0, set = 0;
    if (kind == CC_LOGIC || kind == CC_AND) clear |= FL_AF;
    if (kind == CC_SHX) set |= FL_AF;
    if (s.op & CC_OVER_CF) clear |= FL_CF;
    if (clear) put_alu(m, ALU_AND, 4, a, o_imm(~(i64)clear));
    if (set) put_alu(m, ALU_OR, 4, a, o_imm(set));
    put_load(m, 1, H_TMP, s.op & CC_OVER_OF ? O_CPU(cc_of) : t);
    put_rmi(m, 0, 0xc1, 4, 4, &t, 11, 1);
    put_alu(m, ALU_OR, 4, a, t);
    if (s.op & CC_OVER_CF) {
        put_load(m, 1, H_TMP, O_CPU(cc_cf));
        put_alu(m, ALU_OR, 4, a, t);
    }
    put_load(m, 4, H_TMP, eflags);
    put_alu(m, ALU_AND, 4, t, o_imm(~(i64)FL_ARITH));
    put_alu(m, ALU_OR, 4, a, t);
    put_rr(m, 0x87, 8, H_RAX, H_T0);
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
