// SPDX-License-Identifier: MIT
// What the interpreter's functions share: registers, operands, stack and jumps, where the operand size n (1, 2, 4, 8)
// is a constant at each call.
#pragma once
#include "cpu/seg.h"
#include "interp/interp.h"

#define FN(name) static void name(struct cpu *c, const struct insn *i)
// The function of fn2, fn4, fn8 for the instruction's operand size.
#define BYSIZE(fn)      (i->osz == 2 ? fn##2 : i->osz == 4 ? fn##4 : fn##8)
#define SIZES(fn, name) fn(name, 2) fn(name, 4) fn(name, 8)

INLINE unsigned log2_size(unsigned n) { return n == 1 ? 0 : n == 2 ? 1 : n == 4 ? 2 : 3; }
INLINE u64 cut(u64 v, unsigned n) { return n == 1 ? (u8)v : n == 2 ? (u16)v : n == 4 ? (u32)v : v; }
INLINE i64 sext(u64 v, unsigned n) { return n == 1 ? (i8)v : n == 2 ? (i16)v : n == 4 ? (i32)v : (i64)v; }
INLINE bool msb(u64 v, unsigned n) { return v >> (8 * n - 1) & 1; }
INLINE u64 rd(struct cpu *c, unsigned r, unsigned n) { return n == 1 ? *reg8(c, r) : cut(c->gpr[r], n); }
INLINE void wr(struct cpu *c, unsigned r, u64 v, unsigned n)
{
    if (n == 1)
        *reg8(c, r) = (u8)v;
    else if (n == 2)
        reg_set16(c, r, (u16)v);
    else
        c->gpr[r] = n == 4 ? (u32)v : v;
}
INLINE u64 ld_mem(struct cpu *c, const struct insn *i, unsigned n) { return mem_load(c, i->seg, insn_ea(c, i), n); }
INLINE void st_mem(struct cpu *c, const struct insn *i, u64 v, unsigned n)
{
    mem_store(c, i->seg, insn_ea(c, i), v, n);
}
// Operand E, where forms are not told apart by function.
INLINE u64 ld_e(struct cpu *c, const struct insn *i, unsigned n)
{
    return i->is_mem ? ld_mem(c, i, n) : rd(c, i->rm, n);
}
INLINE void st_e(struct cpu *c, const struct insn *i, u64 v, unsigned n)
{
    if (i->is_mem)
        st_mem(c, i, v, n);
    else
        wr(c, i->rm, v, n);
}
// E read and then written.
INLINE u64 rmw_e_load(struct cpu *c, const struct insn *i, unsigned n, struct rmw *p)
{
    if (i->is_mem) return rmw_load(c, i->seg, insn_ea(c, i), n, p);
    *p = (struct rmw){0};
    return rd(c, i->rm, n);
}
INLINE void rmw_e_store(struct cpu *c, const struct insn *i, const struct rmw *p, u64 v, unsigned n)
{
    if (i->is_mem)
        rmw_store(c, p, v, n);
    else
        wr(c, i->rm, v, n);
}
// ea + k, cut to the address size.
INLINE u64 ea_add(const struct insn *i, u64 ea, u64 k) { return (ea + k) << i->ea_shift >> i->ea_shift; }

// ---- stack. In 64-bit code RSP is used whole, else the mode says ESP or SP.
INLINE u64 sp_mask(const struct cpu *c, unsigned n)
{
    if (n == 8) return ~(u64)0;
    if (n == 2 && unlikely((c->mode & MODE_CODE) == MODE_64)) return ~(u64)0;
    return c->mode & MODE_SS32 ? 0xffffffff : 0xffff;
}
// RSP moved by k; bits above the stack's width stay.
INLINE u64 sp_add(const struct cpu *c, i64 k, unsigned n)
{
    u64 m = sp_mask(c, n), sp = c->gpr[R_RSP];
    return ((sp + k) & m) | (sp & ~m);
}
INLINE u64 sp_ea(const struct cpu *c, u64 sp, unsigned n) { return sp & sp_mask(c, n); }
INLINE void push(struct cpu *c, u64 v, unsigned n)
{
    u64 sp = sp_add(c, -(i64)n, n);
    mem_store(c, S_SS, sp_ea(c, sp, n), v, n);
    c->gpr[R_RSP] = sp;
}
// The value on top, RSP unchanged.
INLINE u64 peek(struct cpu *c, unsigned n) { return mem_load(c, S_SS, sp_ea(c, c->gpr[R_RSP], n), n); }
INLINE u64 pop(struct cpu *c, unsigned n)
{
    u64 v = peek(c, n);
    c->gpr[R_RSP] = sp_add(c, n, n);
    return v;
}

// ---- near jumps. Returns the target cut to the operand size; #GP(0) if it is outside the code segment or not
// canonical.
NOINLINE u64 jump_refused(struct cpu *c, u64 rip, unsigned n);
INLINE u64 jump_check(struct cpu *c, u64 rip, unsigned n)
{
    if (n == 8) {
        if (unlikely((u64)((i64)(rip << 16) >> 16) != rip)) return jump_refused(c, rip, n);
        return rip;
    }
    rip = cut(rip, n);
    if (unlikely(rip > c->seg[S_CS].limit)) return jump_refused(c, rip, n);
    return rip;
}
