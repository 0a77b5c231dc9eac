// SPDX-License-Identifier: MIT
// BMI1, BMI2 and ADX instructions on the host's own: SDM vol. 2. A host that has them not leaves them to the
// interpreter.
#include <cpuid.h>
#include "tcg/host/x64/emit.h"

// VEX.LZ: pp 1 = 66, 2 = F3, 3 = F2; map 2 = 0F38, 3 = 0F3A.
static void put_vex(struct em *m, unsigned pp, unsigned map, unsigned size, u8 opc, unsigned reg, unsigned v,
                    const struct opnd *rm)
{
    unsigned x = rm->kind == O_MEM && rm->index != NO_REG ? rm->index >> 3 : 0;
    put8(m, 0xc4);
    put8(m, (reg >= 8 ? 0 : 0x80) | (x ? 0 : 0x40) | (rm->reg >= 8 ? 0 : 0x20) | map);
    put8(m, (size == 8 ? 0x80 : 0) | (~v & 15) << 3 | pp);
    u8 *at = m->p;
    put_rm(m, 0, opc, 4, reg & 7, rm); // for its ModRM: a REX prefix, if one was put, goes again
    if ((at[0] & 0xf0) == 0x40 && at[1] == opc) {
        memmove(at, at + 1, (size_t)(m->p - at - 1));
        m->p--;
    }
}

// SHLX SHRX SARX, RORX, MULX.
void emit_bmi2(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    if (!__builtin_cpu_supports("bmi2")) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a);
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (o->op == IR_RORX) {
        put_vex(m, 3, 3, size, 0xf0, reg, 0, &s);
        put8(m, (u8)o->imm);
    } else if (o->op == IR_MULX) {
        fl_spare(m, (unsigned)o->imm);
        int h = host_of((unsigned)o->imm);
        unsigned hi = h < 0 ? H_T0 : (unsigned)h;
        put_vex(m, 3, 2, size, 0xf6, hi, reg, &s);
        if (d < 0) op_store(m, o->dst, H_TMP, size);
        if (h < 0) op_store(m, (unsigned)o->imm, H_T0, size);
        return;
    } else {
        int c = host_of(o->base);
        unsigned count = c < 0 ? H_T0 : (unsigned)c;
        if (c < 0) put_load(m, 8, H_T0, o_of(m, o->base));
        put_vex(m, o->cc == IR_SHL ? 1 : o->cc == IR_SHR ? 3 : 2, 2, size, 0xf7, reg, count, &s);
    }
    if (d < 0) op_store(m, o->dst, H_TMP, size);
}

// BLSR BLSMSK BLSI, BZHI: OF is 0; PF by the result and AF 0 are CC_LOGIC's, whatever this host makes of them. BEXTR:
// AF is 1 and SF 0 (interp/bmi.c). PEXT, PDEP: no flags.
void emit_bmi(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned op = o->op, size = o->size;
    bool low = op == IR_BLSR || op == IR_BLSMSK || op == IR_BLSI, flags = op != IR_PEXT && op != IR_PDEP;
    if (!(low || op == IR_BEXTR ? __builtin_cpu_supports("bmi") : __builtin_cpu_supports("bmi2"))) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    bool want = flags && fl_wanted(m);
    struct opnd s = o_of(m, o->a);
    if (low && o->dst < 16) fl_spare(m, o->dst);
    int d = o->dst == IR_T0 ? H_T0 : host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (low)
        put_vex(m, 0, 2, size, 0xf3, op == IR_BLSR ? 1 : op == IR_BLSMSK ? 2 : 3, reg, &s);
    else if (op == IR_BZHI || op == IR_BEXTR)
        put_vex(m, 0, 2, size, op == IR_BZHI ? 0xf5 : 0xf7, reg, reg, &s);
    else
        put_vex(m, op == IR_PEXT ? 2 : 3, 2, size, 0xf5, reg, reg, &s);
    if (d < 0) op_store(m, o->dst, H_TMP, size);
    if (!flags) return;
    m->fl.known = false;
    if (want && op == IR_BEXTR) {
        put_rr(m, 0x85, size, reg, reg);
        put_rr(m, 0x8b, 8, H_TMP, H_RAX);
        put8(m, 0x9f);
        put_alu(m, ALU_AND, 4, o_reg(H_RAX), o_imm((FL_ZF | FL_PF) << 8));
        put_alu(m, ALU_OR, 4, o_reg(H_RAX), o_imm(FL_AF << 8));
        fl_store_dst(m, H_RAX);
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
        fl_record_kind(m, CC_AH);
    } else if (want) {
        struct opnd cf = O_CPU(cc_cf);
        put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
        fl_store_dst(m, reg);
        fl_set(m, (CC_LOGIC + (unsigned)__builtin_ctz(size)) | CC_OVER_CF, CC_IN_MEMORY, CC_IN_MEMORY, 0);
    }
}

// CPUID.7.0:EBX[19], likewise without a name.
static bool have_adx(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1 << 19);
}

static bool is_adx(const struct ir_op *o) { return o->op == IR_ADCX || o->op == IR_ADOX; }

// One of CF and OF is read and written, the other one and the rest stay: they are the record that the chain's first
// makes, CF and OF stand beside it. Where the next one follows at once it finds both in the host's EFLAGS and stores
// them anew.
void emit_adx(struct em *m)
{
    const struct ir_op *o = m->op;
    if (!have_adx()) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    if (fl_wanted(m) && !m->fl.known) {
        fl_need(m, FL_ARITH);
        put_rr(m, 0x8b, 8, H_TMP, H_RAX);
        put8(m, 0x9f); // lahf
        fl_store_dst(m, H_RAX);
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
        fl_set(m, CC_AH | CC_OVER, CC_IN_MEMORY, CC_IN_MEMORY, 0);
        m->remade = true;
    }
    fl_need(m, FL_CF | FL_OF);
    fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a);
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (d < 0) put_load(m, o->size, H_TMP, o_of(m, o->dst));
    put_rm(m, o->op == IR_ADCX ? 0x66 : 0xf3, 0x0f38f6, o->size, reg, &s);
    if (!is_adx(o + 1)) fl_over(m, CC_OVER);
    if (d < 0) op_store(m, o->dst, H_TMP, o->size);
}
