// SPDX-License-Identifier: MIT
// Addition, subtraction, logic, comparison, exchange-and-add, decimal adjustment: SDM vol. 2 ADD … XOR, INC, DEC, NEG,
// NOT, TEST, CMPXCHG, XADD, AAA … DAS, ADCX, ADOX. One function an operand size and a register or memory form.
#include "cpu/cpuid.h"
#include "interp/ops.h"

enum alu { K_ADD, K_OR, K_ADC, K_SBB, K_AND, K_SUB, K_XOR, K_CMP, K_TEST };

// a op b, flags recorded.
INLINE u64 alu(struct cpu *c, enum alu k, u64 a, u64 b, unsigned n)
{
    u64 r;
    unsigned op;
    switch (k) {
    case K_ADD: r = cut(a + b, n), op = CC_ADD; break;
    case K_ADC: {
        bool cf = flags_cf(c);
        r = cut(a + b + cf, n), op = cf ? CC_ADC : CC_ADD;
        break;
    }
    case K_SUB:
    case K_CMP: r = cut(a - b, n), op = CC_SUB; break;
    case K_SBB: {
        bool cf = flags_cf(c);
        r = cut(a - b - cf, n), op = cf ? CC_SBB : CC_SUB;
        break;
    }
    case K_OR: r = a | b, op = CC_LOGIC; break;
    case K_XOR: r = a ^ b, op = CC_LOGIC; break;
    default: r = a & b, op = CC_LOGIC; break;
    }
    flags_record(c, op, log2_size(n), r, b);
    return r;
}
// Destination a register.
INLINE void alu_reg(struct cpu *c, enum alu k, unsigned r, u64 b, unsigned n)
{
    u64 v = alu(c, k, rd(c, r, n), b, n);
    if (k != K_CMP && k != K_TEST) wr(c, r, v, n);
}
#define ALU_REG(k, n)                                                                                                  \
    FN(k##_rr##n) { alu_reg(c, K_##k, i->rm, rd(c, i->reg, n), n); }                                                   \
    FN(k##_ri##n) { alu_reg(c, K_##k, i->rm, cut(i->imm, n), n); }                                                     \
    FN(k##_ai##n) { alu_reg(c, K_##k, R_RAX, cut(i->imm, n), n); }
#define ALU_LOAD(k, n)                                                                                                 \
    FN(k##_gr##n) { alu_reg(c, K_##k, i->reg, rd(c, i->rm, n), n); }                                                   \
    FN_LOAD(k##_gm##n, n, alu_reg(c, K_##k, i->reg, v, n))
#define ALU_RMW(k, n)                                                                                                  \
    FN_RMW(k##_mr##n, n, alu(c, K_##k, v, rd(c, i->reg, n), n))                                                        \
    FN_RMW(k##_mi##n, n, alu(c, K_##k, v, cut(i->imm, n), n))
// CMP and TEST only read their memory operand.
#define ALU_COMPARE(k, n)                                                                                              \
    FN_LOAD(k##_mr##n, n, alu(c, K_##k, v, rd(c, i->reg, n), n))                                                       \
    FN_LOAD(k##_mi##n, n, alu(c, K_##k, v, cut(i->imm, n), n))
#define ALU_PICK_LOAD(k)                                                                                               \
    XPICK(k##_GbEb) { return i->is_mem ? BYTE_MEM(k##_gm1) : k##_gr1; }                                                \
    XPICK(k##_GvEv) { return i->is_mem ? BYSIZE_MEM(k##_gm) : BYSIZE(k##_gr); }                                        \
    XALIAS(k##_EbIb_82, k##_EbIb)                                                                                      \
    XALIAS(k##_EvsIb, k##_EvIz)
#define ALU_PICK(k)                                                                                                    \
    XPICK(k##_EbGb) { return i->is_mem ? BYTE_MEM(k##_mr1) : k##_rr1; }                                                \
    XPICK(k##_EvGv) { return i->is_mem ? BYSIZE_MEM(k##_mr) : BYSIZE(k##_rr); }                                        \
    XPICK(k##_ALIb) { return k##_ai1; }                                                                                \
    XPICK(k##_rAXIz) { return BYSIZE(k##_ai); }                                                                        \
    XPICK(k##_EbIb) { return i->is_mem ? BYTE_MEM(k##_mi1) : k##_ri1; }                                                \
    XPICK(k##_EvIz) { return i->is_mem ? BYSIZE_MEM(k##_mi) : BYSIZE(k##_ri); }
#define ALL_SIZES(fn, k) fn(k, 1) SIZES(fn, k)
#define ALU(k)                                                                                                         \
    ALL_SIZES(ALU_REG, k)                                                                                              \
    ALL_SIZES(ALU_LOAD, k)                                                                                             \
    ALL_SIZES(ALU_RMW, k)                                                                                              \
    ALU_PICK(k)                                                                                                        \
    ALU_PICK_LOAD(k)
ALU(ADD)
ALU(OR)
ALU(ADC)
ALU(SBB)
ALU(AND)
ALU(SUB)
ALU(XOR)
ALL_SIZES(ALU_REG, CMP)
ALL_SIZES(ALU_LOAD, CMP)
ALL_SIZES(ALU_COMPARE, CMP)
ALU_PICK(CMP)
ALU_PICK_LOAD(CMP)
ALL_SIZES(ALU_REG, TEST)
ALL_SIZES(ALU_COMPARE, TEST)
ALU_PICK(TEST)
XALIAS(TEST_EbIb_1, TEST_EbIb)
XALIAS(TEST_EvIz_1, TEST_EvIz)

// ---- one operand
enum unary { K_INC, K_DEC, K_NEG, K_NOT };
INLINE u64 unary(struct cpu *c, enum unary k, u64 a, unsigned n)
{
    u64 r;
    switch (k) {
    case K_INC:
        r = cut(a + 1, n);
        flags_record(c, CC_INC, log2_size(n), r, flags_cf(c));
        break;
    case K_DEC:
        r = cut(a - 1, n);
        flags_record(c, CC_DEC, log2_size(n), r, flags_cf(c));
        break;
    case K_NEG:
        r = cut(-a, n);
        flags_record(c, CC_SUB, log2_size(n), r, a);
        break;
    default: r = cut(~a, n); break;
    }
    return r;
}
#define UNARY_FORMS(k, n)                                                                                              \
    FN(k##_r##n) { wr(c, i->rm, unary(c, K_##k, rd(c, i->rm, n), n), n); }                                             \
    FN_RMW(k##_m##n, n, unary(c, K_##k, v, n))
#define UNARY(k)                                                                                                       \
    ALL_SIZES(UNARY_FORMS, k)                                                                                          \
    XPICK(k##_Eb) { return i->is_mem ? BYTE_MEM(k##_m1) : k##_r1; }                                                    \
    XPICK(k##_Ev) { return i->is_mem ? BYSIZE_MEM(k##_m) : BYSIZE(k##_r); }
UNARY(INC)
UNARY(DEC)
UNARY(NEG)
UNARY(NOT)
XPICK(INC_Zv) { return BYSIZE(INC_r); }
XPICK(DEC_Zv) { return BYSIZE(DEC_r); }

// ---- exchange: XADD, CMPXCHG
#define XADD_FORM(k, n)                                                                                                \
    FN(k##_##n)                                                                                                        \
    {                                                                                                                  \
        struct rmw p;                                                                                                  \
        u64 a = rmw_e_load(c, i, n, &p), r = alu(c, K_ADD, a, rd(c, i->reg, n), n);                                    \
        wr(c, i->reg, a, n); /* first: XADD r, r leaves the sum */                                                     \
        rmw_e_store(c, i, &p, r, n);                                                                                   \
    }
XADD_FORM(xadd, 1)
SIZES(XADD_FORM, xadd)
XPICK(XADD_EbGb) { return xadd_1; }
XPICK(XADD_EvGv) { return BYSIZE(xadd_); }
// The destination is written in either case: a fault says W, and the hardware's bus cycle is a write. The 32-bit form
// clears the upper half of the register that changes only.
#define CMPXCHG_FORM(k, n)                                                                                             \
    FN(k##_##n)                                                                                                        \
    {                                                                                                                  \
        struct rmw p;                                                                                                  \
        u64 a = rmw_e_load(c, i, n, &p), acc = rd(c, R_RAX, n), src = rd(c, i->reg, n);                                \
        alu(c, K_CMP, acc, a, n);                                                                                      \
        if (acc == a) {                                                                                                \
            rmw_e_store(c, i, &p, src, n);                                                                             \
        } else {                                                                                                       \
            if (i->is_mem) rmw_store(c, &p, a, n);                                                                     \
            wr(c, R_RAX, a, n);                                                                                        \
        }                                                                                                              \
    }
CMPXCHG_FORM(cmpxchg, 1)
SIZES(CMPXCHG_FORM, cmpxchg)
XPICK(CMPXCHG_EbGb) { return cmpxchg_1; }
XPICK(CMPXCHG_EvGv) { return BYSIZE(cmpxchg_); }
X(CMPXCHG8B_Mq)
{
    struct rmw p;
    u64 a = rmw_load(c, i->seg, insn_ea(c, i), 8, &p);
    bool same = a == ((u32)c->gpr[R_RAX] | c->gpr[R_RDX] << 32);
    rmw_store(c, &p, same ? (u32)c->gpr[R_RBX] | c->gpr[R_RCX] << 32 : a, 8);
    if (!same) {
        c->gpr[R_RAX] = (u32)a;
        c->gpr[R_RDX] = a >> 32;
    }
    flags_change(c, FL_ZF, same ? FL_ZF : 0);
}
X(CMPXCHG16B_Mdq)
{
    u64 ea = insn_ea(c, i);
    u8 b[16];
    mem_read(c, i->seg, ea, b, 16, 16); // the alignment's #GP comes first
    mem_probe(c, i->seg, ea, 16, ACC_WRITE);
    u64 lo = ld64(b), hi = ld64(b + 8);
    bool same = lo == c->gpr[R_RAX] && hi == c->gpr[R_RDX];
    if (same) {
        st64(b, c->gpr[R_RBX]);
        st64(b + 8, c->gpr[R_RCX]);
    }
    mem_write(c, i->seg, ea, b, 16, 16);
    if (!same) {
        c->gpr[R_RAX] = lo;
        c->gpr[R_RDX] = hi;
    }
    flags_change(c, FL_ZF, same ? FL_ZF : 0);
}

// ---- carry chains of ADX
#define ADX_FORM(name, flag, n)                                                                                        \
    FN(name##_##n)                                                                                                     \
    {                                                                                                                  \
        u64 b = ld_e(c, i, n);                                                                                         \
        u128 r = (u128)rd(c, i->reg, n) + b + ((flags_arith(c) & flag) != 0);                                          \
        wr(c, i->reg, (u64)r, n);                                                                                      \
        flags_change(c, flag, r >> 8 * n ? flag : 0);                                                                  \
    }
ADX_FORM(adcx, FL_CF, 4)
ADX_FORM(adcx, FL_CF, 8)
ADX_FORM(adox, FL_OF, 4)
ADX_FORM(adox, FL_OF, 8)
XPICK(ADCX_GyEy) { return i->osz == 8 ? adcx_8 : adcx_4; }
XPICK(ADOX_GyEy) { return i->osz == 8 ? adox_8 : adox_4; }

// ---- decimal adjustment. Undefined flags are AMD's (Zen): those of the addition to AL, or to AX, that adjusts.
INLINE u32 add_flags(u64 a, u64 b, int sign, unsigned n)
{
    u64 r = cut(a + (u64)sign * b, n), of = sign > 0 ? (a ^ r) & (b ^ r) : (a ^ b) & (a ^ r);
    return (msb(of, n) ? FL_OF : 0) | (r ? 0 : FL_ZF) | (msb(r, n) ? FL_SF : 0) |
           (__builtin_parity(r & 0xff) ? 0 : FL_PF);
}
INLINE void decimal_adjust(struct cpu *c, int sign)
{
    u32 fl = flags_arith(c), out = 0;
    u8 al = (u8)c->gpr[R_RAX], d = 0;
    if ((al & 15) > 9 || (fl & FL_AF)) {
        d = 6;
        out = FL_AF;
        if (sign < 0 && al < 6) out |= FL_CF; // the borrow of the first step (SDM, DAS)
    }
    if (al > 0x99 || (fl & FL_CF)) {
        d += 0x60;
        out |= FL_CF;
    }
    *reg8(c, R_RAX) = (u8)(al + sign * d);
    flags_set_arith(c, out | add_flags(al, d, sign, 1));
}
X(DAA) { decimal_adjust(c, 1); }
X(DAS) { decimal_adjust(c, -1); }
INLINE void ascii_adjust(struct cpu *c, int sign)
{
    u16 ax = (u16)c->gpr[R_RAX];
    bool adjust = (ax & 15) > 9 || (flags_arith(c) & FL_AF);
    u32 out = (adjust ? FL_AF | FL_CF : 0) | add_flags(ax, adjust ? 0x106 : 0, sign, 2);
    if (adjust) ax += sign * 0x106;
    reg_set16(c, R_RAX, ax & 0xff0f);
    flags_set_arith(c, out);
}
X(AAA) { ascii_adjust(c, 1); }
X(AAS) { ascii_adjust(c, -1); }
X(AAM_Ib)
{
    u8 al = (u8)c->gpr[R_RAX], b = (u8)i->imm;
    if (!b) cpu_raise(c, EXC_DE);
    reg_set16(c, R_RAX, (u16)(al / b << 8 | al % b));
    flags_set_arith(c, add_flags(al % b, 0, 1, 1));
}
X(AAD_Ib)
{
    u8 al = (u8)c->gpr[R_RAX], b = (u8)((u8)(c->gpr[R_RAX] >> 8) * (u8)i->imm), r = al + b;
    reg_set16(c, R_RAX, r);
    flags_record(c, CC_ADD, 0, r, b);
}
X(SALC) { *reg8(c, R_RAX) = flags_cf(c) ? 0xff : 0; }

// ---- CF, and the flags in AH
X(CLC) { flags_change(c, FL_CF, 0); }
X(STC) { flags_change(c, FL_CF, FL_CF); }
X(CMC) { flags_change(c, FL_CF, flags_cf(c) ? 0 : FL_CF); }
// In 64-bit code the two exist only with a CPUID bit of their own.
INLINE void check_lahf(struct cpu *c)
{
    if (cpu_code64(c) && !cpu_has(c, FEAT_LAHF_LM)) cpu_raise(c, EXC_UD);
}
X(SAHF)
{
    check_lahf(c);
    flags_change(c, FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF, *reg8(c, 16));
}
X(LAHF)
{
    check_lahf(c);
    *reg8(c, 16) = (u8)((flags_arith(c) & 0xd5) | FL_R1);
}
