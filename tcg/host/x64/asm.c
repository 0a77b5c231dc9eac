// SPDX-License-Identifier: MIT
// The encoder: SDM vol. 2 chapter 2 (prefixes, REX, ModRM, SIB), only the forms the back end uses; IR operands as the
// host sees them.
#include "tcg/host/x64/emit.h"

// Bytes are stored through a local pointer: through m->p each would wait for the store of the one before. Which of them
// there are depends on the guest's code, so what can do without a branch does: bytes are stored in any case, and the
// next one's place says whether they stay.
INLINE u8 *put_opcode(u8 *p, unsigned pfx, u32 opc, unsigned size, unsigned rex, bool low)
{
    *p = 0x66;
    p += size == 2;
    *p = (u8)pfx;
    p += pfx != 0;
    rex |= (size & 8) | (unsigned)low << 6;
    *p = (u8)(0x40 | rex);
    p += rex != 0;
    unsigned n = 1 + (opc > 0xff) + (opc > 0xffff);
    st32(p, __builtin_bswap32(opc << (32 - 8 * n)));
    return p + n;
}

INLINE u8 *put_disp(u8 *p, unsigned mod, i32 disp)
{
    st32(p, (u32)disp);
    return p + (mod >> 6 & 1) + (mod >> 5 & 4);
}

INLINE u8 *put_modrm(u8 *p, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm)
{
    unsigned rex = (reg >> 1 & 4) | (rm->reg >> 3 & 1), r = (reg & 7) << 3, b = rm->reg & 7;
    if (rm->kind == O_REG) { // SPL, BPL, SIL, DIL need a REX
        bool low = size == 1 && ((reg >= 4 && reg < 8) || (rm->reg >= 4 && rm->reg < 8));
        p = put_opcode(p, pfx, opc, size, rex, low);
        *p++ = 0xc0 | r | b;
        return p;
    }
    unsigned mod = rm->disp == 0 && b != 5 ? 0 : rm->disp == (i8)rm->disp ? 0x40 : 0x80;
    bool low = size == 1 && reg >= 4 && reg < 8;
    if (rm->index != NO_REG) {
        p = put_opcode(p, pfx, opc, size, rex | (rm->index >> 2 & 2), low);
        *p++ = mod | r | 4;
        *p++ = (rm->index & 7) << 3 | b;
        return put_disp(p, mod, rm->disp);
    }
    p = put_opcode(p, pfx, opc, size, rex, low);
    if (b == 4) {
        *p++ = mod | r | 4;
        *p++ = 4 << 3 | b;
    } else {
        *p++ = mod | r | b;
    }
    return put_disp(p, mod, rm->disp);
}

void put_rm(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm)
{
    m->p = put_modrm(m->p, pfx, opc, size, reg, rm);
}

void put_rmi(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm, i64 imm,
             unsigned immbytes)
{
    u8 *p = put_modrm(m->p, pfx, opc, size, reg, rm);
    st32(p, (u32)imm);
    m->p = p + immbytes;
}

void put_rr(struct em *m, u32 opc, unsigned size, unsigned reg, unsigned rm)
{
    bool low = size == 1 && ((reg >= 4 && reg < 8) || (rm >= 4 && rm < 8));
    u8 *p = put_opcode(m->p, 0, opc, size, (reg >> 1 & 4) | (rm >> 3 & 1), low);
    *p = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
    m->p = p + 1;
}

void put_load(struct em *m, unsigned size, unsigned reg, struct opnd from)
{
    if (size <= 2)
        put_rm(m, 0, size == 1 ? 0x0fb6 : 0x0fb7, size == 1 && from.kind == O_REG && from.reg >= 4 ? 8 : 4, reg, &from);
    else
        put_rm(m, 0, 0x8b, size, reg, &from);
}

void put_store(struct em *m, unsigned size, struct opnd to, unsigned reg)
{
    put_rm(m, 0, size == 1 ? 0x88 : 0x89, size, reg, &to);
}

void put_imm(struct em *m, unsigned size, unsigned reg, i64 v)
{
    u8 *p = m->p;
    if (size == 8 && v == (i32)v && v < 0) {
        struct opnd o = o_reg(reg);
        put_rmi(m, 0, 0xc7, 8, 0, &o, v, 4);
        return;
    }
    bool wide = size == 8 && (u64)v > 0xffffffff;
    if (wide || reg >= 8) *p++ = (wide ? 0x48 : 0x40) | (reg >> 3);
    *p++ = 0xb8 | (reg & 7);
    st64(p, (u64)v);
    m->p = p + (wide ? 8 : 4);
}

void put_alu(struct em *m, unsigned kind, unsigned size, struct opnd d, struct opnd a)
{
    u32 base = kind << 3 | (size != 1);
    if (a.kind == O_IMM) {
        i64 v = size == 1 ? (i8)a.imm : size == 2 ? (i16)a.imm : a.imm;
        if (size == 1)
            put_rmi(m, 0, 0x80, 1, kind, &d, v, 1);
        else if ((size == 4 ? (i32)v : v) == (i8)v)
            put_rmi(m, 0, 0x83, size, kind, &d, v, 1);
        else
            put_rmi(m, 0, 0x81, size, kind, &d, v, size == 2 ? 2 : 4);
    } else if (a.kind == O_REG) {
        put_rm(m, 0, base, size, a.reg, &d);
    } else {
        put_rm(m, 0, base | 2, size, d.reg, &a);
    }
}

void put_lea(struct em *m, unsigned size, unsigned reg, unsigned base, unsigned index, unsigned scale, i32 disp)
{
    unsigned rex = (reg >> 1 & 4), r = (reg & 7) << 3;
    if (index != NO_REG) rex |= index >> 2 & 2;
    if (base != NO_REG) rex |= base >> 3 & 1;
    u8 *p = put_opcode(m->p, 0, 0x8d, size, rex, false);
    unsigned mod = base == NO_REG ? 0 : disp == 0 && (base & 7) != 5 ? 0 : disp == (i8)disp ? 0x40 : 0x80;
    if (base == NO_REG || index != NO_REG || (base & 7) == 4) {
        *p++ = mod | r | 4;
        *p++ = scale << 6 | (index == NO_REG ? 4 : index & 7) << 3 | (base == NO_REG ? 5 : base & 7);
    } else {
        *p++ = mod | r | (base & 7);
    }
    m->p = put_disp(p, base == NO_REG ? 0x80 : mod, disp);
}

u32 put_jcc(struct em *m, unsigned cc)
{
    u8 *p = m->p;
    p[0] = 0x0f;
    p[1] = 0x80 | cc;
    st32(p + 2, 0);
    m->p = p + 6;
    return here(m) - 4;
}

u32 put_jmp(struct em *m)
{
    u8 *p = m->p;
    p[0] = 0xe9;
    st32(p + 1, 0);
    m->p = p + 5;
    return here(m) - 4;
}

u32 put_call(struct em *m)
{
    put_jmp(m);
    m->p[-5] = 0xe8;
    return here(m) - 4;
}

void push_pop(struct em *m, unsigned reg, u8 opc)
{
    if (reg >= 8) put8(m, 0x41);
    put8(m, opc | (reg & 7));
}

u32 short_jcc(struct em *m, unsigned cc)
{
    put8(m, 0x70 | cc);
    put8(m, 0);
    return here(m);
}

void short_here(struct em *m, u32 at) { m->start[at - 1] = (u8)(here(m) - at); }

void put_by_r11(struct em *m, struct opnd routine)
{
    put8(m, 0x4c);
    put8(m, 0x8d);
    put8(m, 0x1d);
    put32(m, 0);
    u32 from = here(m);
    put_rm(m, 0, 0xff, 4, 4, &routine);
    st32(m->start + from - 4, here(m) - from);
}

void patch_here(struct em *m, u32 at) { st32(m->start + at, here(m) - (at + 4)); }

// ---- operands

int host_of(unsigned g)
{
    static const i8 host[16] = {0, 1, 2, 3, H_GUEST_SP, 5, 6, 7, 8, 9, -1, -1, 12, -1, -1, -1};
    return g < 16 ? host[g] : -1;
}

struct opnd o_guest(unsigned g)
{
    int h = host_of(g);
    return h >= 0 ? o_reg((unsigned)h) : o_mem(H_CPU, (i32)(g * 8) - TCG_BIAS);
}

struct opnd o_of(struct em *m, unsigned operand)
{
    if (operand < 16) return o_guest(operand);
    if (operand == IR_T0) return o_reg(H_T0);
    if (operand == IR_M) return o_mem(H_PTR, m->m_disp);
    struct opnd o = o_reg(operand & 3); // AH CH DH BH
    o.high = 1;
    return o;
}
