// SPDX-License-Identifier: MIT
// The encoder: SDM vol. 2 chapter 2 (prefixes, REX, ModRM, SIB). Only the forms the back end uses.
#include "tcg/host/x64/emit.h"

void put_rm(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm)
{
    if (size == 2) put8(m, 0x66);
    if (pfx) put8(m, (u8)pfx);
    unsigned rex = (size == 8 ? 8 : 0) | (reg >> 1 & 4) | (rm->reg >> 3 & 1);
    if (rm->kind == O_MEM && rm->index != NO_REG) rex |= rm->index >> 2 & 2;
    bool low = false; // SPL, BPL, SIL, DIL need a REX
    if (size == 1) low = (reg >= 4 && reg < 8) || (rm->kind == O_REG && rm->reg >= 4 && rm->reg < 8);
    if (rex || low) put8(m, 0x40 | rex);
    if (opc > 0xffff) {
        put8(m, (u8)(opc >> 16));
        put8(m, (u8)(opc >> 8));
    } else if (opc > 0xff) {
        put8(m, (u8)(opc >> 8));
    }
    put8(m, (u8)opc);
    unsigned r = (reg & 7) << 3, b = rm->reg & 7;
    if (rm->kind == O_REG) {
        put8(m, 0xc0 | r | b);
        return;
    }
    unsigned mod = rm->disp == 0 && b != 5 ? 0 : rm->disp == (i8)rm->disp ? 0x40 : 0x80;
    if (rm->index != NO_REG || b == 4) {
        put8(m, mod | r | 4);
        put8(m, (rm->index == NO_REG ? 4 : rm->index & 7) << 3 | b);
    } else {
        put8(m, mod | r | b);
    }
    if (mod == 0x40)
        put8(m, (u8)rm->disp);
    else if (mod)
        put32(m, (u32)rm->disp);
}

void put_rmi(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm, i64 imm,
             unsigned immbytes)
{
    put_rm(m, pfx, opc, size, reg, rm);
    for (unsigned k = 0; k < immbytes; k++) put8(m, (u8)(imm >> 8 * k));
}

void put_rr(struct em *m, u32 opc, unsigned size, unsigned reg, unsigned rm)
{
    struct opnd o = o_reg(rm);
    put_rm(m, 0, opc, size, reg, &o);
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
    struct opnd o = o_reg(reg);
    if (size == 8 && v == (i32)v && v < 0) {
        put_rmi(m, 0, 0xc7, 8, 0, &o, v, 4);
    } else if (size == 8 && (u64)v > 0xffffffff) {
        put8(m, 0x48 | (reg >> 3));
        put8(m, 0xb8 | (reg & 7));
        put64(m, (u64)v);
    } else {
        if (reg >= 8) put8(m, 0x41);
        put8(m, 0xb8 | (reg & 7));
        put32(m, (u32)v);
    }
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
    if (size == 2) put8(m, 0x66);
    unsigned rex = (size == 8 ? 8 : 0) | (reg >> 1 & 4);
    if (index != NO_REG) rex |= index >> 2 & 2;
    if (base != NO_REG) rex |= base >> 3 & 1;
    if (rex) put8(m, 0x40 | rex);
    put8(m, 0x8d);
    unsigned r = (reg & 7) << 3;
    unsigned mod = base == NO_REG ? 0 : disp == 0 && (base & 7) != 5 ? 0 : disp == (i8)disp ? 0x40 : 0x80;
    if (base == NO_REG || index != NO_REG || (base & 7) == 4) {
        put8(m, mod | r | 4);
        put8(m, scale << 6 | (index == NO_REG ? 4 : index & 7) << 3 | (base == NO_REG ? 5 : base & 7));
    } else {
        put8(m, mod | r | (base & 7));
    }
    if (mod == 0x40)
        put8(m, (u8)disp);
    else if (mod == 0x80 || base == NO_REG)
        put32(m, (u32)disp);
}

u32 put_jcc(struct em *m, unsigned cc)
{
    put8(m, 0x0f);
    put8(m, 0x80 | cc);
    put32(m, 0);
    return here(m) - 4;
}

u32 put_jmp(struct em *m)
{
    put8(m, 0xe9);
    put32(m, 0);
    return here(m) - 4;
}

void patch_here(struct em *m, u32 at) { st32(m->start + at, here(m) - (at + 4)); }
