// SPDX-License-Identifier: MIT
// IR to x86-64: one function a kind of operation; host_emit() walks the block. SDM vol. 2.
#include <cpuid.h>
#include "mem/base/err.h"
#include "tcg/host/x64/emit.h"

static bool is_high(unsigned operand) { return operand >= 16 && operand < 20; }
static bool is_guest(unsigned operand) { return operand < 20; }

// xchg al, ah and the like: brings the second byte where any encoding reaches it; flags stay.
static void swap_high(struct em *m, unsigned reg)
{
    put8(m, 0x86);
    put8(m, 0xc0 | reg << 3 | (reg + 4));
}

// reg = operand, zero-extended.
static void load(struct em *m, unsigned reg, unsigned operand, unsigned size)
{
    struct opnd o = o_of(m, operand);
    if (o.high) {
        swap_high(m, o.reg);
        put_load(m, 1, reg, o_reg(o.reg));
        swap_high(m, o.reg);
        return;
    }
    put_load(m, size, reg, o);
}

// operand = reg; what a 4-byte write clears it clears. reg is a scratch register whose upper half is clear for size 4.
void op_store(struct em *m, unsigned operand, unsigned reg, unsigned size)
{
    struct opnd o = o_of(m, operand);
    if (o.high) {
        swap_high(m, o.reg);
        put_rr(m, 0x88, 1, reg, o.reg);
        swap_high(m, o.reg);
        return;
    }
    if (o.kind == O_MEM && operand != IR_M && size == 4) size = 8;
    put_store(m, size, o, reg);
}

// ---- read, change, write back

struct rw {
    struct opnd o; // what to operate on
    u8 operand, size;
    bool in_tmp, swapped;
};

// keep: the value is wanted in a register afterwards, for the record.
static struct rw rw_begin(struct em *m, unsigned operand, unsigned size, unsigned tmp, bool keep)
{
    struct rw r = {.o = o_of(m, operand), .operand = (u8)operand, .size = (u8)size};
    if (r.o.high) {
        swap_high(m, r.o.reg);
        r.o.high = 0;
        r.swapped = true;
    } else if (r.o.kind == O_MEM && (keep || (operand != IR_M && size == 4))) {
        put_load(m, size, tmp, r.o);
        r.o = o_reg(tmp);
        r.in_tmp = true;
    }
    return r;
}

static void rw_end(struct em *m, const struct rw *r, bool write)
{
    if (r->in_tmp && write) op_store(m, r->operand, r->o.reg, r->size);
    if (r->swapped) swap_high(m, r->o.reg);
}

// The record's dst is the operand's new value: stays in the register, or goes to memory at once. After this the
// operand's number or CC_IN_MEMORY is fl.dst.
static unsigned rw_record(struct em *m, const struct rw *r, unsigned tmp)
{
    if (!fl_wanted(m)) return CC_IN_MEMORY;
    if (r->operand < 16) return r->operand;
    unsigned reg = r->o.reg;
    if (r->swapped || (r->o.kind == O_REG && r->size < 4 && !r->in_tmp)) {
        put_load(m, r->size, tmp, o_reg(reg));
        reg = tmp;
    }
    fl_store_dst(m, reg);
    return CC_IN_MEMORY;
}

static unsigned log2_of(unsigned size) { return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3; }

// ---- two-operand arithmetic

static unsigned alu_of(unsigned op)
{
    switch (op) {
    case IR_ADD: return ALU_ADD;
    case IR_OR: return ALU_OR;
    case IR_ADC: return ALU_ADC;
    case IR_SBB: return ALU_SBB;
    case IR_AND: return ALU_AND;
    case IR_SUB: return ALU_SUB;
    case IR_XOR: return ALU_XOR;
    default: return ALU_CMP;
    }
}

// test d, s; s may be an immediate.
static void put_test(struct em *m, unsigned size, struct opnd d, struct opnd s)
{
    if (s.kind == O_IMM) {
        put_rmi(m, 0, size == 1 ? 0xf6 : 0xf7, size, 0, &d, s.imm, size == 1 ? 1 : size == 2 ? 2 : 4);
        return;
    }
    if (s.kind == O_MEM) {
        struct opnd x = d;
        d = s, s = x;
    }
    put_rm(m, 0, size == 1 ? 0x84 : 0x85, size, s.reg, &d);
}

// ADC, SBB: which record it is depends on the carry that goes in. Host flags stay.
static void carry_record(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd t = o_reg(H_TMP);
    put_rm(m, 0, 0x0f90 | C_B, 1, 0, &t);
    put_load(m, 1, H_TMP, t);
    put_lea(m, 4, H_TMP, NO_REG, H_TMP, 2, (o->op == IR_ADC ? CC_ADD : CC_SUB) + (i32)log2_of(o->size));
    put_store(m, 4, O_CPU(cc_op), H_TMP);
    if (o->a == IR_IMM)
        put_imm(m, 8, H_TMP, (i64)((u64)o->imm & size_mask(o->size)));
    else
        load(m, H_TMP, o->a, o->size);
    fl_store_src(m, H_TMP);
}

static void emit_alu(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size, lg = log2_of(size), op = o->op;
    bool carry = op == IR_ADC || op == IR_SBB, compare = op == IR_CMP || op == IR_TEST, want = fl_wanted(m);
    bool logic = op == IR_AND || op == IR_OR || op == IR_XOR;
    unsigned src = CC_IN_MEMORY, tmp = H_TMP;
    struct opnd s = o->a == IR_IMM ? o_imm(o->imm) : o_of(m, o->a);
    if (carry) fl_need(m, FL_CF);
    if (carry && want) carry_record(m);
    if (!compare && is_guest(o->dst)) fl_spare(m, o->dst);
    // The source: brought into R11 where no encoding allows it beside the destination, or the record needs its value.
    bool same = is_high(o->dst) && o->a < 4 && o->a == (o->dst & 3);
    bool dst_mem = o_of(m, o->dst).kind == O_MEM && !(want && (compare || o->dst == IR_M));
    bool keep_src = want && !logic && !carry && op != IR_TEST;
    if (o->a == IR_IMM) {
        src = CC_SRC_IMM;
    } else if (s.high || same || (s.kind == O_MEM && (keep_src || dst_mem || (want && op == IR_TEST)))) {
        load(m, H_TMP, o->a, size);
        s = o_reg(H_TMP);
        tmp = H_T0;
        if (keep_src || (want && op == IR_TEST)) fl_store_src(m, H_TMP);
    } else if (keep_src && o->a < 16 && (o->a != o->dst || compare)) {
        src = o->a;
    } else if (keep_src) { // add rax, rax; a temporary
        put_load(m, size, H_TMP, s);
        fl_store_src(m, H_TMP);
    } else if (want && op == IR_TEST) {
        src = o->a;
    }
    if (s.kind == O_MEM && o_of(m, o->dst).kind == O_MEM && s.reg == H_CPU) { // both in memory
        put_load(m, size, H_TMP, s);
        s = o_reg(H_TMP);
        tmp = H_T0;
    }
    if (compare) {
        struct rw r = rw_begin(m, o->dst, size, tmp, want && o->dst == IR_M);
        unsigned dst = want ? rw_record(m, &r, tmp) : CC_IN_MEMORY;
        if (op == IR_CMP)
            put_alu(m, ALU_CMP, size, r.o, s);
        else
            put_test(m, size, r.o, s);
        rw_end(m, &r, false);
        fl_set(m, (op == IR_CMP ? CC_CMP : CC_AND) + lg, dst, want ? src : CC_IN_MEMORY, o->imm);
        return;
    }
    struct rw r = rw_begin(m, o->dst, size, tmp, want && o->dst == IR_M);
    put_alu(m, alu_of(op), size, r.o, s);
    unsigned dst = rw_record(m, &r, H_TMP);
    rw_end(m, &r, true);
    if (carry) {
        if (want && dst != CC_IN_MEMORY) {
            load(m, H_TMP, dst, size);
            fl_store_dst(m, H_TMP);
        }
        m->fl.known = false;
        return;
    }
    unsigned cc = op == IR_ADD ? CC_ADD : op == IR_SUB ? CC_SUB : CC_LOGIC;
    fl_set(m, cc + lg, dst, want && !logic ? src : CC_IN_MEMORY, o->imm);
}

// ---- one operand

static void emit_incdec(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool want = fl_wanted(m);
    if (want && !(m->fl.known && (m->fl.op & CC_OVER_CF))) { // CF lives on beside the new record
        struct opnd cf = O_CPU(cc_cf);
        fl_need(m, FL_CF);
        put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
    }
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct rw r = rw_begin(m, o->dst, size, H_TMP, want && o->dst == IR_M);
    put_rm(m, 0, size == 1 ? 0xfe : 0xff, size, o->op == IR_INC ? 0 : 1, &r.o);
    unsigned dst = rw_record(m, &r, H_TMP);
    rw_end(m, &r, true);
    fl_set(m, (o->op == IR_INC ? CC_INC : CC_DEC) + log2_of(size) + CC_OVER_CF, dst, CC_IN_MEMORY, 0);
}

static void emit_neg(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool want = fl_wanted(m);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    if (want && o->op == IR_NEG) { // 0 - value: the record's second operand is the value
        load(m, H_TMP, o->dst, size);
        fl_store_src(m, H_TMP);
    }
    struct rw r = rw_begin(m, o->dst, size, H_TMP, want && o->op == IR_NEG && o->dst == IR_M);
    put_rm(m, 0, size == 1 ? 0xf6 : 0xf7, size, o->op == IR_NEG ? 3 : 2, &r.o);
    unsigned dst = o->op == IR_NEG ? rw_record(m, &r, H_TMP) : 0;
    rw_end(m, &r, true);
    if (o->op == IR_NEG) fl_set(m, CC_SUB + log2_of(size), dst, CC_IN_MEMORY, 0);
}

// Shifts by a constant. OF beyond a count of 1 is what the reference computes, not what this host makes of it.
static void emit_shift(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size, ext = o->op == IR_SHL ? 4 : o->op == IR_SHR ? 5 : 7;
    bool want = fl_wanted(m);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct rw r = rw_begin(m, o->dst, size, H_TMP, want && o->dst == IR_M);
    if (o->imm == 1)
        put_rm(m, 0, size == 1 ? 0xd0 : 0xd1, size, ext, &r.o);
    else
        put_rmi(m, 0, size == 1 ? 0xc0 : 0xc1, size, ext, &r.o, o->imm, 1);
    if (want) {
        struct opnd cf = O_CPU(cc_cf), of = O_CPU(cc_of);
        put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
        if (o->op == IR_SHL || o->imm == 1)
            put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
        else
            put_rmi(m, 0, 0xc6, 1, 0, &of, 0, 1);
    }
    unsigned dst = rw_record(m, &r, H_TMP);
    rw_end(m, &r, true);
    fl_set(m, (CC_SHX + log2_of(size)) | CC_OVER, dst, CC_IN_MEMORY, 0);
}

static void emit_shift_double(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool want = fl_wanted(m);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    int a = host_of(o->a);
    struct rw r = rw_begin(m, o->dst, size, H_TMP, want && o->dst == IR_M);
    if (a < 0) {
        a = r.in_tmp ? H_T0 : H_TMP;
        put_load(m, size, (unsigned)a, o_of(m, o->a));
    }
    put_rmi(m, 0, o->op == IR_SHLD ? 0x0fa4 : 0x0fac, size, (unsigned)a, &r.o, o->imm, 1);
    if (want) {
        struct opnd cf = O_CPU(cc_cf), of = O_CPU(cc_of);
        put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
        put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
    }
    unsigned dst = rw_record(m, &r, H_TMP);
    rw_end(m, &r, true);
    fl_set(m, (CC_SHX + log2_of(size)) | CC_OVER, dst, CC_IN_MEMORY, 0);
}

// ---- records that say in memory what they are: where an operation may be the interpreter's, whose record differs
void fl_record_kind(struct em *m, unsigned op)
{
    struct opnd cc = O_CPU(cc_op);
    put_rmi(m, 0, 0xc7, 4, 0, &cc, op, 4);
    m->fl.known = false;
}
// The flags in the host's EFLAGS, but for OF, are the record; `over` beside them.
static void record_lahf(struct em *m, unsigned over)
{
    put_rr(m, 0x8b, 8, H_TMP, H_RAX);
    put8(m, 0x9f);
    fl_store_dst(m, H_RAX);
    put_rr(m, 0x8b, 8, H_RAX, H_TMP);
    fl_record_kind(m, CC_AH | over);
}
// CF and OF, as far as `mask` has them, survive the operation: to where overrides are kept.
static void keep_over(struct em *m, u16 mask)
{
    struct opnd cf = O_CPU(cc_cf), of = O_CPU(cc_of);
    if (m->fl.known) mask &= (u16) ~((m->fl.op & CC_OVER_CF ? FL_CF : 0) | (m->fl.op & CC_OVER_OF ? FL_OF : 0));
    if (!mask) return;
    fl_need(m, mask);
    if (mask & FL_CF) put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
    if (mask & FL_OF) put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
}

// Shifts by CL: a masked count of 0 leaves all flags, so the old record must be complete before.
static void emit_shift_cl(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size, op = o->op;
    unsigned ext = op == IR_SHLV ? 4 : op == IR_SHRV ? 5 : op == IR_SARV ? 7 : op == IR_ROLV ? 0 : 1;
    bool want = fl_wanted(m), two = op == IR_SHLDV || op == IR_SHRDV, rotate = op == IR_ROLV || op == IR_RORV;
    if (want) {
        fl_spill(m, &m->fl);
        m->fl.known = false;
    }
    struct rw r = rw_begin(m, o->dst, size, H_TMP, want && o->dst == IR_M);
    u32 opc = two ? op == IR_SHLDV ? 0x0fa5 : 0x0fad : 0xd3;
    if (two) {
        int a = host_of(o->a);
        ext = a < 0 ? r.in_tmp ? H_T0 : H_TMP : (unsigned)a;
        if (a < 0) put_load(m, size, ext, o_of(m, o->a));
    }
    if (!want) {
        put_rm(m, 0, opc, size, ext, &r.o);
        rw_end(m, &r, true);
        if (!rotate) fl_set(m, CC_LOGIC, CC_IN_MEMORY, CC_IN_MEMORY, 0);
        return;
    }
    struct opnd cl = o_reg(H_RCX), cf = O_CPU(cc_cf), of = O_CPU(cc_of), cc = O_CPU(cc_op);
    put_rmi(m, 0, 0xf6, 1, 0, &cl, size == 8 ? 63 : 31, 1);
    u32 zero = short_jcc(m, C_E);
    put_rm(m, 0, opc, size, ext, &r.o);
    put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
    put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
    if (rotate)
        put_rmi(m, 0, 0x81, 4, ALU_OR, &cc, CC_OVER, 4);
    else
        put_rmi(m, 0, 0xc7, 4, 0, &cc, (CC_SHX + log2_of(size)) | CC_OVER, 4);
    if (rotate) { // the rest of the record stays
    } else if (r.o.kind == O_REG) {
        fl_store_dst(m, r.o.reg); // sizes 4 and 8: zero-extended
    } else {
        put_load(m, size, H_T0, r.o);
        fl_store_dst(m, H_T0);
    }
    put8(m, 0xeb);
    put8(m, 0);
    u32 done = here(m);
    short_here(m, zero);
    if (size == 4 && r.o.kind == O_REG) put_rr(m, 0x89, 4, r.o.reg, r.o.reg);
    short_here(m, done);
    rw_end(m, &r, true);
}

static void emit_rotate(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool carry = o->op == IR_RCL || o->op == IR_RCR;
    if (carry) fl_need(m, FL_CF);
    fl_over_begin(m, CC_OVER);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct rw r = rw_begin(m, o->dst, size, H_TMP, false);
    put_rmi(m, 0, size == 1 ? 0xc0 : 0xc1, size, (carry ? 2 : 0) + (o->op == IR_ROR || o->op == IR_RCR), &r.o, o->imm,
            1);
    fl_over(m, CC_OVER);
    rw_end(m, &r, true);
}

// ---- multiplication, division

static void emit_imul(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    fl_over_begin(m, CC_OVER);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    struct opnd s = o_of(m, o->a);
    if (o->op == IR_IMUL3) {
        bool b = o->imm == (i8)o->imm;
        put_rmi(m, 0, b ? 0x6b : 0x69, size, reg, &s, o->imm, b ? 1 : size == 2 ? 2 : 4);
    } else {
        if (d < 0) put_load(m, size, H_TMP, o_of(m, o->dst));
        put_rm(m, 0, 0x0faf, size, reg, &s);
    }
    fl_over(m, CC_OVER);
    if (d < 0) op_store(m, o->dst, H_TMP, size);
}

static void emit_mul(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd s = o_of(m, o->a);
    fl_over_begin(m, CC_OVER);
    fl_spare(m, R_RAX);
    fl_spare(m, R_RDX);
    if (s.high) {
        load(m, H_TMP, o->a, 1);
        s = o_reg(H_TMP);
    }
    put_rm(m, 0, o->size == 1 ? 0xf6 : 0xf7, o->size, o->op == IR_MUL ? 4 : 5, &s);
    fl_over(m, CC_OVER);
}

// What could raise #DE goes to the interpreter.
static void emit_div(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool want = fl_wanted(m);
    if (want) keep_over(m, FL_CF | FL_OF);
    struct opnd s = o_of(m, o->a);
    if (size == 1) { // no encoding has AH beside R8 … R15
        struct opnd t = o_reg(H_T0);
        load(m, H_TMP, o->a, 1);
        s = o_reg(H_TMP);
        put_rr(m, 0x8b, 4, H_T0, H_RAX);
        put_rmi(m, 0, 0xc1, 4, 5, &t, 8, 1);
        put_rm(m, 0, 0x3a, 1, H_T0, &s);
        exit_if(m, C_AE);
    } else if (o->op == IR_DIV) {
        put_rm(m, 0, 0x3b, size, H_RDX, &s); // high part below the divisor
        exit_if(m, C_AE);
    } else {
        put_rr(m, 0x8b, size, H_TMP, H_RAX);
        struct opnd t = o_reg(H_TMP);
        put_rmi(m, 0, 0xc1, size, 7, &t, size * 8 - 1, 1);
        put_rr(m, 0x3b, size, H_TMP, H_RDX); // a dividend that fits, and neither 0 nor -1 as divisor
        exit_if(m, C_NE);
        put_load(m, size, H_TMP, s);
        put_alu(m, ALU_ADD, size, o_reg(H_TMP), o_imm(1));
        put_alu(m, ALU_CMP, size, o_reg(H_TMP), o_imm(1));
        exit_if(m, C_BE);
    }
    put_rm(m, 0, size == 1 ? 0xf6 : 0xf7, size, o->op == IR_DIV ? 6 : 7, &s);
    m->fl.known = false;
    if (!want) return;
    struct opnd dst = O_CPU(cc_dst); // 1: neither ZF, SF nor PF; AF is CC_SHX's
    put_rmi(m, 0, 0xc7, 8, 0, &dst, 1, 4);
    fl_record_kind(m, CC_SHX | CC_OVER);
}

// ---- moves

static void emit_mov(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct opnd d = o_of(m, o->dst);
    if (o->a == IR_IMM) {
        if (d.high || (d.kind == O_REG && size == 1)) {
            if (d.high) swap_high(m, d.reg);
            struct opnd r = o_reg(d.reg);
            put_rmi(m, 0, 0xc6, 1, 0, &r, o->imm, 1);
            if (d.high) swap_high(m, d.reg);
        } else if (d.kind == O_REG && size >= 4) {
            put_imm(m, size, d.reg, size == 4 ? (i64)(u32)o->imm : o->imm);
        } else if (size >= 4 && d.reg == H_CPU) { // a guest register in memory: all of it
            i64 v = size == 4 ? (i64)(u32)o->imm : o->imm;
            if (v == (i32)v) {
                put_rmi(m, 0, 0xc7, 8, 0, &d, v, 4);
            } else {
                put_imm(m, 8, H_TMP, v);
                put_store(m, 8, d, H_TMP);
            }
        } else {
            put_rmi(m, 0, size == 1 ? 0xc6 : 0xc7, size, 0, &d, o->imm, size == 1 ? 1 : size == 2 ? 2 : 4);
        }
        return;
    }
    struct opnd s = o_of(m, o->a);
    if (!d.high && !s.high) {
        if (d.kind == O_REG && s.kind == O_REG) {
            put_rm(m, 0, size == 1 ? 0x8a : 0x8b, size, d.reg, &s);
            return;
        }
        if (d.kind == O_REG) { // a part of a register stays
            put_rm(m, 0, size == 1 ? 0x8a : 0x8b, size, d.reg, &s);
            return;
        }
        if (s.kind == O_REG && !(d.reg == H_CPU && size == 4)) {
            put_store(m, size, d, s.reg);
            return;
        }
    }
    load(m, H_TMP, o->a, size);
    op_store(m, o->dst, H_TMP, size);
}

static void emit_extend(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned from = o->cc, size = o->size;
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a), d = o_of(m, o->dst);
    if (s.high) {
        load(m, H_TMP, o->a, 1);
        s = o_reg(H_TMP);
    }
    unsigned reg = d.kind == O_REG ? d.reg : H_TMP;
    if (from == 4) {
        put_rm(m, 0, o->op == IR_MOVSX ? 0x63 : 0x8b, o->op == IR_MOVSX ? size : 4, reg, &s);
    } else {
        u32 opc = (o->op == IR_MOVSX ? 0x0fbe : 0x0fb6) | (from == 2);
        if (from == 1 && s.kind == O_REG && s.reg >= 4 && s.reg < 8 && size != 8 && reg < 8) { // SPL … need a REX
            if (size == 2) put8(m, 0x66);
            put8(m, 0x40);
            put8(m, 0x0f);
            put8(m, (u8)opc);
            put8(m, 0xc0 | (reg & 7) << 3 | s.reg);
        } else {
            put_rm(m, 0, opc, size, reg, &s);
        }
    }
    if (d.kind != O_REG) op_store(m, o->dst, H_TMP, size);
}

static void emit_xchg(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    fl_spare(m, o->a);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    load(m, H_TMP, o->dst, size);
    load(m, H_T0, o->a, size);
    op_store(m, o->dst, H_T0, size);
    op_store(m, o->a, H_TMP, size);
}

static void emit_xadd(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    bool want = fl_wanted(m);
    fl_spare(m, o->a);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    load(m, H_TMP, o->dst, size);
    load(m, H_T0, o->a, size);
    if (want) fl_store_src(m, H_T0);
    put_alu(m, ALU_ADD, size, o_reg(H_T0), o_reg(H_TMP));
    if (want) fl_store_dst(m, H_T0);
    op_store(m, o->a, H_TMP, size);
    op_store(m, o->dst, H_T0, size);
    fl_set(m, CC_ADD + log2_of(size), CC_IN_MEMORY, CC_IN_MEMORY, 0);
}

static void emit_cmpxchg(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size;
    if (o->dst != IR_M) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    struct opnd d = o_of(m, IR_M), s = o_of(m, o->a);
    fl_spare(m, R_RAX);
    if (fl_wanted(m)) { // the record: what RAX was, and what the comparison leaves in it either way
        put_load(m, size, H_TMP, o_reg(H_RAX));
        fl_store_dst(m, H_TMP);
    }
    if (s.kind == O_MEM || s.high) {
        load(m, H_TMP, o->a, size);
        s = o_reg(H_TMP);
    }
    put_rm(m, 0, size == 1 ? 0x0fb0 : 0x0fb1, size, s.reg, &d);
    fl_set(m, CC_CMP + log2_of(size), CC_IN_MEMORY, fl_wanted(m) ? R_RAX : CC_IN_MEMORY, 0);
}

// CMPXCHG8B, CMPXCHG16B: of the flags ZF only.
static void emit_cmpxchg2(struct em *m)
{
    struct opnd d = o_of(m, IR_M);
    bool want = fl_wanted(m);
    if (want) fl_need(m, FL_ARITH);
    put_rm(m, 0, 0x0fc7, m->op->size, 1, &d);
    m->fl.known = false;
    if (!want) return;
    struct opnd of = O_CPU(cc_of);
    put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
    record_lahf(m, CC_OVER_OF);
}

static void emit_sahf(struct em *m)
{
    if (fl_wanted(m)) {
        keep_over(m, FL_OF);
        fl_store_dst(m, H_RAX);
        fl_record_kind(m, CC_AH | CC_OVER_OF);
    }
    m->fl.known = false;
    put8(m, 0x9e);
}

static void emit_bswap(struct em *m)
{
    const struct ir_op *o = m->op;
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct rw r = rw_begin(m, o->dst, o->size, H_TMP, true);
    unsigned rex = (o->size == 8 ? 8 : 0) | (r.o.reg >> 3);
    if (rex) put8(m, 0x40 | rex);
    put8(m, 0x0f);
    put8(m, 0xc8 | (r.o.reg & 7));
    rw_end(m, &r, true);
}

static void emit_convert(struct em *m) // CBW, CWD
{
    const struct ir_op *o = m->op;
    fl_spare(m, o->op == IR_CBW ? R_RAX : R_RDX);
    if (o->size == 2) put8(m, 0x66);
    if (o->size == 8) put8(m, 0x48);
    put8(m, o->op == IR_CBW ? 0x98 : 0x99);
}

// ---- bits

static void emit_bt(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned size = o->size, k = o->op - IR_BT;
    fl_over_begin(m, CC_OVER_CF);
    if (k && is_guest(o->dst)) fl_spare(m, o->dst);
    struct rw r = rw_begin(m, o->dst, size, H_TMP, o->a != IR_IMM);
    if (o->a == IR_IMM) {
        put_rmi(m, 0, 0x0fba, size, 4 + k, &r.o, o->imm, 1);
    } else {
        struct opnd s = o_of(m, o->a);
        unsigned t = r.in_tmp ? H_T0 : H_TMP;
        if (s.kind == O_MEM) {
            put_load(m, size, t, s);
            s = o_reg(t);
        }
        put_rm(m, 0, 0x0fa3 | k << 3, size, s.reg, &r.o);
    }
    fl_over(m, CC_OVER_CF);
    rw_end(m, &r, k != 0);
}

// CPUID.80000001h:ECX[5], which __builtin_cpu_supports() of clang 14 has no name for.
static bool have_lzcnt(void)
{
    unsigned a, b, c = 0, d;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1 << 5);
}

// T0 + the bit offset a, signed, in operands of `size`
static void emit_bits_at(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned lg = log2_of(o->size);
    struct opnd a = o_of(m, o->a), t = o_reg(H_TMP);
    if (o->size == 8)
        put_load(m, 8, H_TMP, a);
    else
        put_rm(m, 0, o->size == 4 ? 0x63 : 0x0fbf, 8, H_TMP, &a); // sign-extended
    put_rmi(m, 0, 0xc1, 8, 7, &t, lg + 3, 1);
    put_lea(m, o->asz, H_T0, H_T0, H_TMP, lg, 0);
}

// AMD's flags (interp/bits.c): BSF and BSR take PF from the result, which is 0 with ZF; TZCNT and LZCNT leave OF.
static void record_scan(struct em *m, unsigned reg)
{
    const struct ir_op *o = m->op;
    if (o->op == IR_BSF || o->op == IR_BSR) { // T0 is 0
        put_lea(m, 4, H_TMP, reg, NO_REG, 0, 0x100);
        put_rm(m, 0, 0x0f40 | C_E, 8, H_TMP, &(struct opnd){.kind = O_REG, .reg = H_T0, .index = NO_REG});
        fl_store_dst(m, H_TMP);
        fl_record_kind(m, CC_LOGIC + 1); // 16 bits: what BSF leaves above its result does not count
    } else if (o->op == IR_POPCNT) {
        record_lahf(m, 0);
    } else {
        put_rr(m, 0x8b, 8, H_TMP, H_RAX);
        put8(m, 0x9f);
        put_alu(m, ALU_AND, 4, o_reg(H_RAX), o_imm((FL_CF | FL_ZF) << 8));
        fl_store_dst(m, H_RAX);
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
        fl_record_kind(m, CC_AH | CC_OVER_OF);
    }
}

static void emit_scan(struct em *m)
{
    const struct ir_op *o = m->op;
    unsigned op = o->op, size = o->size;
    bool have = op == IR_POPCNT  ? __builtin_cpu_supports("popcnt")
                : op == IR_TZCNT ? __builtin_cpu_supports("bmi")
                : op == IR_LZCNT ? have_lzcnt()
                                 : true;
    if (!have) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    bool want = fl_wanted(m), old = op == IR_BSF || op == IR_BSR;
    if (want && (op == IR_TZCNT || op == IR_LZCNT)) keep_over(m, FL_OF);
    fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a);
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (d < 0) put_load(m, 8, H_TMP, o_of(m, o->dst));
    if (want && old) put_rr(m, 0x33, 4, H_T0, H_T0);
    put_rm(m, old ? 0 : 0xf3,
           op == IR_BSF || op == IR_TZCNT ? 0x0fbc
           : op == IR_POPCNT              ? 0x0fb8
                                          : 0x0fbd,
           size, reg, &s);
    if (d < 0) put_store(m, 8, o_of(m, o->dst), H_TMP);
    m->fl.known = false;
    if (want) record_scan(m, reg);
}

static void emit_crc32(struct em *m)
{
    const struct ir_op *o = m->op;
    if (!__builtin_cpu_supports("sse4.2")) {
        exit_insn(m, true);
        m->fl.known = false;
        return;
    }
    fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a);
    if (s.high) {
        load(m, H_T0, o->a, 1);
        s = o_reg(H_T0);
    }
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (d < 0) put_load(m, 4, H_TMP, o_of(m, o->dst));
    // With a byte source ModRM.reg is a 32-bit register: only the source's number decides on the REX prefix.
    if (o->cc == 1 && s.kind == O_REG && s.reg < 8) {
        put8(m, 0xf2);
        put8(m, 0x40 | (reg >> 1 & 4));
        put8(m, 0x0f);
        put8(m, 0x38);
        put8(m, 0xf0);
        put8(m, 0xc0 | (reg & 7) << 3 | s.reg);
    } else {
        put_rm(m, 0xf2, o->cc == 1 ? 0x0f38f0 : 0x0f38f1, o->cc == 1 ? 4 : o->cc, reg, &s);
    }
    if (d < 0) put_store(m, 8, o_of(m, o->dst), H_TMP);
}

// ---- conditions

static void emit_setcc(struct em *m)
{
    const struct ir_op *o = m->op;
    fl_need(m, cond_mask(o->cc));
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    struct opnd d = o_of(m, o->dst);
    if (d.high) swap_high(m, d.reg);
    put_rm(m, 0, 0x0f90 | o->cc, 1, 0, &d);
    if (d.high) swap_high(m, d.reg);
}

static void emit_cmov(struct em *m)
{
    const struct ir_op *o = m->op;
    fl_need(m, cond_mask(o->cc));
    fl_spare(m, o->dst);
    struct opnd s = o_of(m, o->a);
    int d = host_of(o->dst);
    unsigned reg = d < 0 ? H_TMP : (unsigned)d;
    if (d < 0) put_load(m, o->size, H_TMP, o_of(m, o->dst));
    put_rm(m, 0, 0x0f40 | o->cc, o->size, reg, &s);
    if (d < 0) op_store(m, o->dst, H_TMP, o->size);
}

static void emit_rip(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd d = o_of(m, o->dst);
    if (is_guest(o->dst)) fl_spare(m, o->dst);
    unsigned reg = d.kind == O_REG && o->size >= 4 ? d.reg : H_TMP;
    put_load(m, 8, reg, O_CPU(code_base));
    put_lea(m, o->size == 4 ? 4 : 8, reg, reg, NO_REG, 0, (i32)o->imm);
    if (d.kind == O_REG && o->size >= 4) return;
    if (o->size == 2) put_load(m, 2, H_TMP, o_reg(H_TMP));
    op_store(m, o->dst, H_TMP, o->dst == IR_T0 ? 4 : o->size);
}

static void emit_op(struct em *m)
{
    const struct ir_op *o = m->op;
    switch (o->op) {
    case IR_NOP: break;
    case IR_CALL:
        exit_insn(m, true);
        m->fl.known = false;
        m->x87 = 0;
        break;
    case IR_MEM: emit_mem(m); break;
    case IR_LEA: emit_lea(m); break;
    case IR_RIP: emit_rip(m); break;
    case IR_MOV: emit_mov(m); break;
    case IR_MOVZX:
    case IR_MOVSX: emit_extend(m); break;
    case IR_ADD:
    case IR_OR:
    case IR_ADC:
    case IR_SBB:
    case IR_AND:
    case IR_SUB:
    case IR_XOR:
    case IR_CMP:
    case IR_TEST: emit_alu(m); break;
    case IR_INC:
    case IR_DEC: emit_incdec(m); break;
    case IR_NEG:
    case IR_NOT: emit_neg(m); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR: emit_shift(m); break;
    case IR_SHLV:
    case IR_SHRV:
    case IR_SARV:
    case IR_ROLV:
    case IR_RORV:
    case IR_SHLDV:
    case IR_SHRDV: emit_shift_cl(m); break;
    case IR_ROL:
    case IR_ROR:
    case IR_RCL:
    case IR_RCR: emit_rotate(m); break;
    case IR_SHLD:
    case IR_SHRD: emit_shift_double(m); break;
    case IR_SHX:
    case IR_RORX:
    case IR_MULX: emit_bmi2(m); break;
    case IR_BLSR:
    case IR_BLSMSK:
    case IR_BLSI:
    case IR_BZHI:
    case IR_BEXTR:
    case IR_PEXT:
    case IR_PDEP: emit_bmi(m); break;
    case IR_ADCX:
    case IR_ADOX: emit_adx(m); break;
    case IR_IMUL:
    case IR_IMUL3: emit_imul(m); break;
    case IR_MUL:
    case IR_IMUL1: emit_mul(m); break;
    case IR_DIV:
    case IR_IDIV: emit_div(m); break;
    case IR_XCHG: emit_xchg(m); break;
    case IR_XADD: emit_xadd(m); break;
    case IR_CMPXCHG: emit_cmpxchg(m); break;
    case IR_CMPXCHG2: emit_cmpxchg2(m); break;
    case IR_BSWAP: emit_bswap(m); break;
    case IR_CBW:
    case IR_CWD: emit_convert(m); break;
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC: emit_bt(m); break;
    case IR_BITS_AT: emit_bits_at(m); break;
    case IR_BSF:
    case IR_BSR:
    case IR_TZCNT:
    case IR_LZCNT:
    case IR_POPCNT: emit_scan(m); break;
    case IR_CRC32: emit_crc32(m); break;
    case IR_SETCC: emit_setcc(m); break;
    case IR_CMOV: emit_cmov(m); break;
    case IR_SETFL: put_alu(m, ALU_OR, 4, O_CPU(eflags), o_imm(o->imm)); break;
    case IR_CLRFL: put_alu(m, ALU_AND, 4, O_CPU(eflags), o_imm(~o->imm)); break;
    case IR_GETFL: emit_getfl(m); break;
    case IR_SEGLOAD: emit_segload(m); break;
    case IR_PUTFL: emit_putfl(m); break;
    case IR_TSC: emit_tsc(m); break;
    case IR_SAHF: emit_sahf(m); break;
    case IR_REPMOVS:
    case IR_REPSTOS: emit_rep(m); break;
    case IR_CHECK:
    case IR_OFF:
    case IR_LDCPU:
    case IR_STCPU:
    case IR_STIMM:
    case IR_STADDR:
    case IR_BITS:
    case IR_MASK:
    case IR_KEEP:
    case IR_KEPT:
    case IR_SWCPU: emit_cpu(m); break;
    case IR_VEC:
    case IR_VECF: emit_vec(m); break;
    case IR_LOOKUP: emit_lookup(m); break;
    case IR_GO: emit_go(m); break;
    case IR_CALLGO: emit_callgo(m); break;
    case IR_CALLTO: emit_callto(m); break;
    case IR_RET: emit_ret(m); break;
    case IR_IRET: emit_iret(m); break;
    case IR_INT: emit_int(m); break;
    case IR_JCC: emit_jcc(m); break;
    case IR_JRCXZ: emit_jrcxz(m); break;
    case IR_JMP: emit_jump(m); break;
    case IR_LEAVE: break; // the CALL before it does not come back
    default: panic("IR operation %u has no code", o->op);
    }
}

bool host_emit(struct compile_env *e, const struct tb *t, struct tb_code *out)
{
    struct em m;
    m.p = m.start = out->rw;
    m.end = out->rw + min_u64(out->size, TB_CODE_MAX) - 512;
    m.e = e, m.t = t, m.out = out;
    m.fl = (struct flags_state){.dst = CC_IN_MEMORY, .src = CC_IN_MEMORY};
    m.code64 = (e->key & MODE_CODE) == MODE_64;
    m.flat = e->key & MODE_FLAT;
    m.bmi2 = __builtin_cpu_supports("bmi2");
    m.nstub = 0;
    m.exits = (u32)(out->stubs - out->rx);
    m.m_disp = m.sp = 0;
    if (out->size < 2048) return false;
    out->nrec = 0;
    m.i = 0;
    m.op = &e->ir.op[0];
    m.live = m.x87 = 0;
    m.remade = false;
    m.load_at = m.ret_at = 0;
    find_offsets(&m);
    vec_scan(&m);
    fl_analyse(&m);
    groups_find(&m);
    emit_prologue(&m);
    m.first_rec = out->nrec;
    for (m.i = 0; m.i < e->ir.n; m.i++) {
        m.op = &e->ir.op[m.i];
        if (unlikely(m.p > m.end - 256 || out->nrec > TB_REC_MAX - 24 || m.nstub > TB_REC_MAX - 24)) return false;
        m.left_insn = false;
        sp_before(&m);
        if (out->map) out->map[m.i] = (u16)here(&m);
        emit_op(&m);
        if (m.left_insn)
            groups_close(&m);
        else if (m.grouped && m.group_of[m.i] == GROUP_FORGET)
            m.in_ptr = NO_GROUP;
        // Behind an instruction that C has executed they are loaded if anybody wants them.
        m.fl.host = m.left_insn ? FL_ARITH : fl_host_after(m.op, m.fl.host);
        if (m.i + 1 < e->ir.n && m.op[1].insn == m.op->insn) continue;
        if (out->nrec != m.first_rec) {
            if (m.open_until <= m.i) sp_settle(&m); // C may come back here
            insn_done(&m);
        }
        m.remade = false;
    }
    if (m.p + m.nstub * 12 > m.end) return false;
    if (out->map) out->map[e->ir.n] = (u16)here(&m);
    emit_cold(&m);
    out->live = m.live;
    out->len = here(&m);
    return out->len <= out->size;
}
