// SPDX-License-Identifier: MIT
// The reference engine: one function per name of cpu/insn.def, and the cache of decoded instructions.
// A function is written as
//     X(CPUID) { sys_cpuid(c); }
// with `struct cpu *c` and `const struct insn *i` in scope. It may raise (not return) at any point before its first
// architectural write (commit late). RIP already names the next instruction.
// A name may have several functions by operand size, register or memory form: then it defines its own pick function
//     XPICK(ADD_EvGv) { return i->is_mem ? … : …; }
// which is called once, when the instruction is decoded. A name without either does not link.
#pragma once
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/flags.h"

typedef void xfn(struct cpu *c, const struct insn *i);
typedef xfn *xpick(const struct insn *i);
#define INSN(name, ...) xpick xp_##name;
#include "cpu/insn.def"
#undef INSN
#define XPICK(name) xfn *xp_##name(const struct insn *i)
#define X(name)                                                                                                        \
    static xfn x_##name;                                                                                               \
    xfn *xp_##name(const struct insn *i) { return x_##name; }                                                          \
    static void x_##name(struct cpu *c, const struct insn *i)
// Gives a second name (an alias encoding) the functions of another.
#define XALIAS(name, other)                                                                                            \
    xfn *xp_##name(const struct insn *i) { return xp_##other(i); }
// By operand size: three functions fn##16, fn##32, fn##64.
#define XSIZES(name, fn)                                                                                               \
    xfn *xp_##name(const struct insn *i) { return i->osz == 2 ? fn##16 : i->osz == 4 ? fn##32 : fn##64; }

// The function for a decoded instruction. What it is called with is an element of an array: many functions end by
// jumping to the next element's (insn_next), so the last one is followed by an instruction whose exec is interp_stop.
xfn *interp_pick(const struct insn *i);
xfn interp_stop;
// The instruction at rip, decoded byte-wise as the processor fetches: a fault appears only if a byte beyond it is
// needed. Raises #PF, and #GP beyond CS's limit; what is undefined or too long gets a function that raises so.
void interp_fetch(struct cpu *c, u64 rip, struct insn *i);
// Fills in exec after decode(); not for DECODE_MORE. len is at least 1 then.
void interp_finish(struct cpu *c, struct insn *i, enum decode_status s);
// Threaded code: on to the next instruction, unless something asks for attention. A tail call.
INLINE void insn_next(struct cpu *c, const struct insn *i)
{
    if (unlikely(c->attn)) return;
    i++;
    c->cur = i;
    i->exec(c, i);
}
bool interp_is_magic(const struct insn *i); // `xchg bx,bx`, a debugger's magic breakpoint
extern const struct cpu_engine interp_engine;

// Effective address of the memory operand, cut to the address size.
INLINE u64 insn_ea(const struct cpu *c, const struct insn *i)
{
    u64 a = c->gpr[i->base] + (c->gpr[i->index] << i->scale) + (i64)i->disp;
    return a << i->ea_shift >> i->ea_shift;
}
// Byte register n, with 16-19 = AH CH DH BH.
INLINE u8 *reg8(struct cpu *c, unsigned n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (u8 *)&c->gpr[n & 15] + 7 - (n >> 4);
#else
    return (u8 *)&c->gpr[n & 15] + (n >> 4);
#endif
}
// Writes a register as the operand size demands: 16 bits leave the rest, 32 bits clear the upper half.
INLINE void reg_set16(struct cpu *c, unsigned n, u16 v) { c->gpr[n] = (c->gpr[n] & ~(u64)0xffff) | v; }
INLINE void reg_set32(struct cpu *c, unsigned n, u32 v) { c->gpr[n] = v; }
INLINE void reg_set(struct cpu *c, unsigned n, u64 v, unsigned size)
{
    if (size == 2)
        reg_set16(c, n, v);
    else
        c->gpr[n] = size == 4 ? (u32)v : v;
}
// Checks that attributes ask for; each raises.
INLINE void check_cpl0(struct cpu *c)
{
    if (unlikely(c->cpl)) cpu_raise_err(c, EXC_GP, 0);
}
INLINE void check_protected(struct cpu *c) // A_NOREAL
{
    if (unlikely(!cpu_protected(c))) cpu_raise(c, EXC_UD);
}
INLINE void check_fpu(struct cpu *c)
{
    if (unlikely(c->cr0 & (CR0_EM | CR0_TS))) cpu_raise(c, EXC_NM);
}
INLINE void check_mmx(struct cpu *c)
{
    if (unlikely(c->cr0 & (CR0_EM | CR0_TS))) cpu_raise(c, c->cr0 & CR0_EM ? EXC_UD : EXC_NM);
}
INLINE void check_sse(struct cpu *c)
{
    if (unlikely((c->cr0 & (CR0_EM | CR0_TS)) || !(c->cr4 & CR4_OSFXSR)))
        cpu_raise(c, (c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR) ? EXC_UD : EXC_NM);
}
