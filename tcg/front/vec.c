// SPDX-License-Identifier: MIT
// x87, MMX and SSE instructions to intermediate code: VEC carries the instruction's own encoding, which the row of
// insn.def spells out; only memory and general registers are translated. A host that is no x86, or lacks the feature,
// leaves them to the interpreter's functions, which judge the host's: what processors may do differently (reciprocal
// approximations, transcendental functions) is left out here, too, and what touches the environment as a whole.
#include "cpu/cpuid.h"
#include "tcg/front/front.h"

struct form {
    u8 prefix, map, opcode;
    u8 kind, size; // IR_V_*; of the memory operand
    bool imm, store, ok;
};

static unsigned hex(const char *s)
{
    unsigned v = 0;
    for (int k = 0; k < 2; k++) v = v << 4 | (unsigned)(s[k] >= 'A' ? s[k] - 'A' + 10 : s[k] - '0');
    return v;
}

static bool is_hex(const char *s)
{
    for (int k = 0; k < 2; k++)
        if (!((s[k] >= '0' && s[k] <= '9') || (s[k] >= 'A' && s[k] <= 'F'))) return false;
    return s[2] == ' ' || !s[2];
}

// "66 W1 0F 3A 16 /r"
static void read_opcode(struct form *f, const char *s)
{
    bool first = true;
    while (*s) {
        if (is_hex(s)) {
            unsigned v = hex(s);
            if (first && (v == 0x66 || v == 0xf2 || v == 0xf3))
                f->prefix = (u8)v;
            else if (f->map == 0 && v == 0x0f)
                f->map = 1;
            else if (f->map == 1 && !f->opcode && (v == 0x38 || v == 0x3a))
                f->map = v == 0x38 ? 2 : 3;
            else
                f->opcode = (u8)v;
        }
        first = false;
        while (*s && *s != ' ') s++;
        while (*s == ' ') s++;
    }
}

static unsigned operand_size(const char *s, bool w)
{
    if (s[0] == 'd' && s[1] == 'q') return 16;
    if (s[0] == 'p' || s[0] == 'x') return 16;
    if (s[0] == 's') return s[1] == 's' ? 4 : 8;
    switch (s[0]) {
    case 'q': return 8;
    case 'd': return 4;
    case 'w': return 2;
    case 'b': return 1;
    case 'y': return w ? 8 : 4;
    default: return 0;
    }
}

// "Vdq,Ew,Ib"
static void read_operands(struct form *f, const char *s, bool w)
{
    bool first = true;
    while (*s) {
        switch (*s) {
        case 'V': f->kind |= IR_V_SSE; break;
        case 'W':
        case 'U':
            f->kind |= IR_V_SSE;
            f->size = (u8)operand_size(s + 1, w);
            f->store |= first;
            break;
        case 'P': f->kind |= IR_V_MMX; break;
        case 'Q':
        case 'N':
            f->kind |= IR_V_MMX;
            f->size = (u8)operand_size(s + 1, w);
            f->store |= first;
            break;
        case 'G': f->kind |= IR_V_REG_GPR; break;
        case 'E':
            f->kind |= IR_V_RM_GPR;
            f->size = (u8)operand_size(s + 1, w);
            f->store |= first;
            break;
        case 'M':
            f->size = (u8)operand_size(s + 1, w);
            f->store |= first;
            break;
        case 'I': f->imm = true; break;
        case '<': break;
        default: f->ok = false; break;
        }
        first = false;
        while (*s && *s != ',') s++;
        if (*s) s++;
    }
}

static bool left_out(unsigned op)
{
    switch (op) {
    case OP_MASKMOVQ_PqNq: // implicit address
    case OP_MASKMOVDQU_VdqUdq:
    case OP_RCPPS_VpsWps: // approximations differ between vendors
    case OP_RCPSS_VssWss:
    case OP_RSQRTPS_VpsWps:
    case OP_RSQRTSS_VssWss: return true;
    default: return false;
    }
}

// What the host must have, IR_H_*.
static unsigned host_level(unsigned feat)
{
    switch (feat) {
    case FEAT_SSE3: return IR_H_SSE3;
    case FEAT_SSSE3: return IR_H_SSSE3;
    case FEAT_SSE41: return IR_H_SSE41;
    case FEAT_SSE42: return IR_H_SSE42;
    case FEAT_AES: return IR_H_AES;
    case FEAT_PCLMUL: return IR_H_PCLMUL;
    case FEAT_SHA: return IR_H_SHA;
    default: return IR_H_BASE;
    }
}

static struct ir_op *vec(struct front *f, const struct form *v, const struct insn_row *row, unsigned reg, unsigned rm,
                         unsigned w)
{
    bool flags = row->writes[0];
    f->b->vec = true;
    struct ir_op *o = add(f, flags ? IR_VECF : IR_VEC, w ? 8 : 4, reg, rm);
    o->cc = (u8)host_level(row->feat);
    o->imm = v->prefix | (i64)v->map << 8 | (i64)v->opcode << 16 | (i64)(f->i->imm & 0xff) << 24 |
             (i64)(v->imm ? 1 : 0) << 32 | (i64)v->kind << 40;
    return o;
}

// ---- x87

u16 tcg_x87_opcode(const struct insn *i) { return (u16)((hex(insn_rows[i->op].opcode) & 7) << 8 | i->modrm); }

static unsigned x87_size(unsigned op)
{
    const char *s = insn_rows[op].operands;
    return s[0] != 'M' ? 0 : s[1] == 'd' ? 4 : s[1] == 'q' ? 8 : s[1] == 'w' ? 2 : s[1] == 't' ? 10 : 0;
}

static bool x87_left_out(unsigned op)
{
    if (insn_rows[op].attr & A_NDF) return true; // transcendental functions
    switch (op) {
    case OP_FNINIT:
    case OP_FNENI:
    case OP_FNDISI:
    case OP_FNSETPM:
    case OP_FBLD_Mt:
    case OP_FBSTP_Mt: return true;
    default: return false;
    }
}

static bool x87_stores(unsigned op)
{
    const char *m = insn_rows[op].mnemonic;
    return (m[1] == 's' && m[2] == 't' && m[3] != 'e') || (m[1] == 'i' && m[2] == 's' && m[3] == 't') ||
           (m[1] == 'n' && m[2] == 's' && m[3] == 't');
}

// Does not move FIP, FDP and FOP.
static bool x87_control(unsigned op)
{
    return op == OP_FLDCW_Mw || op == OP_FNSTCW_Mw || op == OP_FNSTSW_Mw || op == OP_FNSTSW_AX || op == OP_FNCLEX;
}

static bool x87(struct front *f, const struct insn_row *row)
{
    const struct insn *i = f->i;
    struct form v = {.kind = IR_V_X87, .opcode = (u8)hex(row->opcode)};
    unsigned size = x87_size(i->op);
    if (x87_left_out(i->op) || (i->is_mem && !size)) return false;
    if (x87_control(i->op)) v.kind |= IR_V_CONTROL;
    if (row->reads[0]) v.kind |= IR_V_COND;
    if (i->is_mem) mem(f, size, x87_stores(i->op) ? IR_WR : IR_RD);
    struct ir_op *o = vec(f, &v, row, i->modrm, i->is_mem ? IR_M : IR_NONE, 0);
    if (i->is_mem) set_address(f, o);
    o->seg = i->is_mem ? i->seg : IR_NONE;
    return true;
}

bool front_vec(struct compile_env *e, const struct tb *t, unsigned k, i32 off)
{
    const struct insn *i = &t->insn[k];
    const struct insn_row *row = &insn_rows[i->op];
    struct front f = {.b = &e->ir,
                      .i = i,
                      .k = (u8)k,
                      .code64 = (e->key & MODE_CODE) == MODE_64,
                      .flat = e->key & MODE_FLAT,
                      .off = off};
    if ((row->attr & (A_FPU | A_MMX)) && !(e->key & MODE_X87)) return false;
    if ((row->attr & A_SSE) && !(e->key & MODE_SSE)) return false;
    if (row->attr & A_FPU) return x87(&f, row);
    if ((row->attr & (A_SSE | A_MMX)) == (A_SSE | A_MMX) || (row->attr & A_VEX) || left_out(i->op)) return false;
    bool w = i->pfx & PFX_W;
    struct form v = {.ok = true};
    read_opcode(&v, row->opcode);
    read_operands(&v, row->operands, w);
    if (row->attr & A_MMX) v.kind |= IR_V_MMX;
    if (!v.ok || ((v.kind & IR_V_SSE) && (v.kind & IR_V_MMX))) return false;
    if (i->op == OP_LDMXCSR_Md || i->op == OP_STMXCSR_Md) {
        v.kind |= IR_V_SSE;
        v.store = i->op == OP_STMXCSR_Md;
    }
    if (v.store) v.kind |= IR_V_STORE;
    if (i->is_mem) {
        if (!v.size) return false;
        mem(&f, v.size, (v.store ? IR_WR : IR_RD) | (row->attr & A_ALIGN ? IR_ALIGN : 0));
    }
    unsigned reg = i->op == OP_LDMXCSR_Md ? 2 : i->op == OP_STMXCSR_Md ? 3 : i->reg;
    vec(&f, &v, row, reg, !row->operands[0] ? IR_NONE : i->is_mem ? IR_M : i->rm, w && f.code64);
    return true;
}
