// SPDX-License-Identifier: MIT
// x87, MMX and SSE of the guest on the host's own: guest register n is host register n, and the instruction is executed
// as it is, with its memory operand translated. What is loaded is in cpu.host_live; a block that uses such registers
// loads them at its entry unless they are, integer code leaves them alone, and the exit to C stores them (thunk.c), so
// a loop pays nothing. The mode key guarantees that no exception is unmasked.
// FIP, FCS and FOP are brought up to date at exits, FDP and FDS with each memory operand.
#include "tcg/host/x64/emit.h"

static unsigned kind_of(const struct ir_op *o) { return (u8)(o->imm >> 40); }

static bool host_has(unsigned level)
{
    switch (level) {
    case IR_H_SSE3: return __builtin_cpu_supports("sse3");
    case IR_H_SSSE3: return __builtin_cpu_supports("ssse3");
    case IR_H_SSE41: return __builtin_cpu_supports("sse4.1");
    case IR_H_SSE42: return __builtin_cpu_supports("sse4.2");
    case IR_H_AES: return __builtin_cpu_supports("aes");
    case IR_H_PCLMUL: return __builtin_cpu_supports("pclmul");
    case IR_H_SHA: { // CPUID.7.0:EBX.29
        u32 a = 7, b, c = 0, d;
        __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        return b >> 29 & 1;
    }
    default: return true;
    }
}

void vec_scan(struct em *m)
{
    const struct ir *b = &m->e->ir;
    for (u32 i = 0; i < b->n && b->vec; i++) {
        if (b->op[i].op != IR_VEC && b->op[i].op != IR_VECF) continue;
        m->live |= kind_of(&b->op[i]) & (IR_V_MMX | IR_V_X87) ? CPU_HOST_X87 : CPU_HOST_XMM;
    }
}

void vec_prologue(struct em *m)
{
    struct opnd live = O_CPU(host_live);
    if (m->live & CPU_HOST_X87) {
        struct tb_rec *r = rec_new(m, REC_X87);
        put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_X87, 1);
        m->stubs[m->nstub++] = (struct stub){.at = put_jcc(m, C_E), .rec = (u32)(r - m->out->rec)};
        r->resume = (u16)here(m);
    }
    if (m->live & CPU_HOST_XMM) {
        put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_XMM, 1);
        m->load_at = put_jcc(m, C_E);
        m->load_back = here(m);
    }
}

void vec_cold(struct em *m)
{
    if (!m->load_at) return;
    struct opnd load = O_CPU(host_load);
    patch_here(m, m->load_at);
    put_rm(m, 0, 0xff, 4, 2, &load);
    u32 at = put_jmp(m);
    st32(m->start + at, m->load_back - (at + 4));
}

void vec_pointers(struct em *m)
{
    if (!m->x87) return;
    const struct insn *i = &m->t->insn[m->x87 - 1];
    struct opnd fop = O_CPU(fpu.fop), cs = o_mem(H_CPU, (i32)(offsetof(struct cpu, seg) + S_CS * sizeof(struct seg) +
                                                              offsetof(struct seg, sel)) -
                                                            TCG_BIAS);
    put_load(m, 8, H_TMP, O_CPU(code_base));
    put_lea(m, m->code64 ? 8 : 4, H_TMP, H_TMP, NO_REG, 0, offset_of(m, m->x87 - 1u));
    put_store(m, 8, O_CPU(fpu.fip), H_TMP);
    put_rmi(m, 0, 0xc7, 2, 0, &fop, tcg_x87_opcode(i), 2);
    put_load(m, 2, H_TMP, cs);
    put_store(m, 2, O_CPU(fpu.fcs), H_TMP);
    m->x87 = 0;
}

// FDP and FDS of a memory operand, whose address is computed again.
static void data_pointers(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd sel = o_mem(
        H_CPU, (i32)(offsetof(struct cpu, seg) + o->seg * sizeof(struct seg) + offsetof(struct seg, sel)) - TCG_BIAS);
    unsigned at = emit_address(m, o, H_T0, H_TMP);
    put_store(m, 8, O_CPU(fpu.fdp), at);
    put_load(m, 2, H_TMP, sel);
    put_store(m, 2, O_CPU(fpu.fds), H_TMP);
}

static void emit_x87(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned opcode = (u8)(o->imm >> 16), modrm = o->dst, kind = kind_of(o);
    if (kind & IR_V_COND) {
        static const u16 reads[4] = {FL_CF, FL_ZF, FL_CF | FL_ZF, FL_PF};
        fl_need(m, reads[modrm >> 3 & 3]);
    }
    if (o->a == IR_M) {
        struct opnd mem = o_of(m, IR_M);
        if (opcode == 0xd9 && (modrm >> 3 & 7) == 5) { // FLDCW that unmasks something: by the interpreter
            struct opnd t = o_reg(H_TMP);
            put_load(m, 2, H_TMP, mem);
            put_rm(m, 0, 0xf7, 4, 2, &t);
            put_rmi(m, 0, 0xf6, 1, 0, &t, 0x3f, 1);
            exit_if(m, C_NE);
        }
        put_rm(m, 0, opcode, 4, modrm >> 3 & 7, &mem);
        if (!(kind & IR_V_CONTROL)) data_pointers(m);
    } else {
        if (opcode == 0xdf && modrm == 0xe0) fl_spare(m, R_RAX); // FNSTSW AX
        put8(m, (u8)opcode);
        put8(m, (u8)modrm);
    }
    if (!(kind & IR_V_CONTROL)) m->x87 = o->insn + 1;
}

// PCMPESTRM and their like: 0F3A 60 … 63. RCX is written (by two of them), RAX and RDX are read, XMM0 is the guest's.
bool vec_is_pcmpstr(const struct ir_op *o)
{
    return (u8)(o->imm >> 8) == 3 && ((u8)(o->imm >> 16) & 0xfc) == 0x60 && (kind_of(o) & IR_V_SSE);
}
bool vec_is_ldmxcsr(const struct ir_op *o)
{
    return (u8)(o->imm >> 8) == 1 && (u8)(o->imm >> 16) == 0xae && o->dst == 2 && (kind_of(o) & IR_V_SSE);
}

static void emit_sse(struct em *m)
{
    const struct ir_op *o = m->op;
    if (o->a == IR_NONE) { // EMMS
        put8(m, 0x0f);
        put8(m, (u8)(o->imm >> 16));
        return;
    }
    if (vec_is_ldmxcsr(o)) { // one that has reserved bits or unmasks something: by the interpreter
        struct opnd t = o_reg(H_TMP);
        put_load(m, 4, H_TMP, o_of(m, IR_M));
        put_alu(m, ALU_AND, 4, t, o_imm(~0xe07f));
        put_alu(m, ALU_CMP, 4, t, o_imm(0x1f80));
        exit_if(m, C_NE);
    }
    if (vec_is_pcmpstr(o)) fl_spare(m, R_RCX);
    unsigned kind = kind_of(o), map = (u8)(o->imm >> 8), opc = (u8)(o->imm >> 16), reg = o->dst, back = NO_REG;
    u32 opcode = opc | (map == 1 ? 0x0f00 : map == 2 ? 0x0f3800 : map == 3 ? 0x0f3a00 : 0);
    struct opnd rm = o->a == IR_M ? o_of(m, IR_M) : o_reg(o->a);
    if (kind & IR_V_REG_GPR) {
        fl_spare(m, o->dst);
        int h = host_of(o->dst);
        reg = h < 0 ? H_TMP : (unsigned)h;
        if (h < 0) back = o->dst;
    }
    if ((kind & IR_V_RM_GPR) && o->a != IR_M) {
        rm = o_guest(o->a);
        if (kind & IR_V_STORE) {
            fl_spare(m, o->a);
            if (rm.kind == O_MEM) {
                rm = o_reg(H_TMP);
                back = o->a;
            }
        }
    }
    put_rm(m, (u8)o->imm, opcode, o->size == 8 ? 8 : 4, reg, &rm);
    if (o->imm >> 32 & 1) put8(m, (u8)(o->imm >> 24));
    if (back != NO_REG) put_store(m, 8, o_guest(back), H_TMP);
}

void emit_vec(struct em *m)
{
    const struct ir_op *o = m->op;
    if (!host_has(o->cc)) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    if (kind_of(o) & IR_V_X87)
        emit_x87(m);
    else
        emit_sse(m);
    if (o->op != IR_VECF) return;
    bool over = vec_is_pcmpstr(o);
    if (fl_wanted(m) && over) {
        struct opnd of = O_CPU(cc_of);
        put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
    }
    if (fl_wanted(m)) { // elsewhere OF is 0: LAHF has all
        put_rr(m, 0x8b, 8, H_TMP, H_RAX);
        put8(m, 0x9f);
        put_store(m, 8, O_CPU(cc_dst), H_RAX);
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
    }
    fl_set(m, CC_AH | (over ? CC_OVER_OF : 0), CC_IN_MEMORY, CC_IN_MEMORY, 0);
}
