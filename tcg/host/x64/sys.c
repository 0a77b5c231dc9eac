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

// RDX:RAX = TSC, by the routine below.
void emit_tsc(struct em *m)
{
    struct opnd to = O_CPU(host_tsc), d = o_reg(H_RDX);
    fl_spare(m, R_RAX);
    fl_spare(m, R_RDX);
    put_imm(m, 4, H_TMP, m->t->n - m->op->insn);
    put_rm(m, 0, 0xff, 4, 2, &to);
    exit_if(m, C_NE);
    put_rr(m, 0x8b, 4, H_RAX, H_T0);
    put_rr(m, 0x8b, 8, H_RDX, H_T0);
    put_rmi(m, 0, 0xc1, 8, 5, &d, 32, 1);
}

// cpu.host_tsc: R13 = TSC as cpu.tsc says, and ZF; or no ZF: C must be asked. R11 = instructions of the block that
// cpu.left has been counted down by and that have not retired. R11 and R13 are changed.
void put_tsc_thunk(struct em *m, const u8 *rx, struct host_entry *h)
{
    struct opnd kind = O_CPU(tsc.kind), a = o_reg(H_RAX), d = o_reg(H_RDX), t0 = o_reg(H_T0), scale = O_CPU(tsc.scale);
    struct opnd hz = O_CPU(tsc.hz);
    while (here(m) & 15) put8(m, 0xcc);
    h->tsc = rx + here(m);
    put8(m, 0x50); // push rax; push rdx
    put8(m, 0x52);
    put_rmi(m, 0, 0x83, 4, ALU_CMP, &kind, CPU_TSC_HOST, 1);
    u32 other = put_jcc(m, C_NE);
    put8(m, 0x0f);
    put8(m, 0x31);
    put_rmi(m, 0, 0xc1, 8, 4, &d, 32, 1);
    put_alu(m, ALU_OR, 8, a, d);
    put_alu(m, ALU_XOR, 4, d, d);
    put_alu(m, ALU_SUB, 8, a, O_CPU(tsc.from));
    put_rm(m, 0, 0x0f40 | C_B, 8, H_RAX, &d);
    put_imm(m, 4, H_T0, CPU_TSC_FAR);
    put_alu(m, ALU_CMP, 8, a, t0);
    put_rm(m, 0, 0x0f40 | C_A, 8, H_RAX, &t0);
    put_rm(m, 0, 0xf7, 8, 4, &scale);
    put_rmi(m, 0, 0x0fac, 8, H_RDX, &a, 32, 1); // shrd
    put_alu(m, ALU_ADD, 8, a, O_CPU(tsc.base));
    put_load(m, 8, H_T0, O_CPU(tsc.last));
    put_alu(m, ALU_ADD, 8, t0, O_CPU(tsc.step));
    put_alu(m, ALU_CMP, 8, a, t0);
    put_rm(m, 0, 0x0f40 | C_B, 8, H_RAX, &t0);
    put_store(m, 8, O_CPU(tsc.last), H_RAX);
    u32 have = here(m);
    put_alu(m, ALU_ADD, 8, a, O_CPU(tsc_offset));
    put_alu(m, ALU_ADD, 8, a, O_CPU(tsc_adjust));
    put_rr(m, 0x8b, 8, H_T0, H_RAX);
    put8(m, 0x5a);
    put8(m, 0x58);
    put_rr(m, 0x39, 4, H_RAX, H_RAX); // ZF
    put8(m, 0xc3);
    patch_here(m, other);
    put_rmi(m, 0, 0x83, 4, ALU_CMP, &kind, CPU_TSC_ICOUNT, 1);
    u32 ask = put_jcc(m, C_NE);
    put_load(m, 8, H_RAX, O_CPU(host_end));
    put_alu(m, ALU_SUB, 8, a, O_CPU(left));
    put_alu(m, ALU_SUB, 8, a, o_reg(H_TMP));
    put_rm(m, 0, 0x0faf, 8, H_RAX, &scale);
    put_alu(m, ALU_ADD, 8, a, O_CPU(tsc.base));
    put_rm(m, 0, 0xf7, 8, 4, &hz);
    put_imm(m, 4, H_T0, 1000000000);
    put_alu(m, ALU_CMP, 8, d, t0);
    u32 large = put_jcc(m, C_AE); // 580 years
    put_rm(m, 0, 0xf7, 8, 6, &t0);
    u32 on = put_jmp(m);
    st32(m->start + on, have - (on + 4));
    patch_here(m, ask);
    patch_here(m, large);
    put8(m, 0x5a);
    put8(m, 0x58);
    h->tsc_asks = rx + here(m);
    put_rr(m, 0x85, 8, H_CPU, H_CPU); // no ZF
    put8(m, 0xc3);
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
