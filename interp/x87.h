// SPDX-License-Identifier: MIT
// Shared by the x87 instructions' files: the beginning and the end of an instruction.
//
// An x87 instruction computes into a local struct fenv_x (its flags, with FSW_SF among them for stack faults) and
// commits after its last memory access: x87_end(). Exceptions that it raises are reported by the next waiting
// instruction.
#pragma once
#include "cpu/fpu/x87.h"
#include "interp/interp.h"

// A waiting instruction: #NM, then #MF for what an earlier one left.
INLINE struct fenv_x x87_begin(struct cpu *c)
{
    check_fpu(c);
    x87_check_pending(c);
    return fx_from_fcw(c->fpu.fcw);
}
// The first opcode byte's low three bits, for FOP.
extern const u8 x87_opcode_low[OP_COUNT];
// FIP, FOP and, with memory, FDP.
INLINE void x87_pointers(struct cpu *c, const struct insn *i)
{
    struct fpu *f = &c->fpu;
    u64 ip = c->gpr[R_RIP] + i->imm;
    f->fip = cpu_code64(c) ? ip : (u32)ip;
    f->fcs = c->seg[S_CS].sel;
    f->fop = (u16)(x87_opcode_low[i->op] << 8 | i->modrm);
    if (i->is_mem) {
        f->fdp = insn_ea(c, i);
        f->fds = c->seg[i->seg].sel;
    }
}
// Commits the flags and C1.
INLINE void x87_end(struct cpu *c, const struct insn *i, const struct fenv_x *e)
{
    x87_pointers(c, i);
    c->fpu.fsw = (u16)((c->fpu.fsw & ~FSW_C1) | (e->c1 ? FSW_C1 : 0));
    if (e->flags) x87_raise(c, e->flags);
}
INLINE void x87_stack_fault(struct fenv_x *e, bool overflow)
{
    e->flags |= FX_IE | FSW_SF;
    e->c1 = overflow;
}
// True if a result is to be written: no unmasked IE, DE, ZE.
INLINE bool x87_delivers(const struct fenv_x *e) { return !fx_pre_fault(e); }
INLINE struct fpn x87_num(const struct cpu *c, unsigned n) { return fpn_f80(x87_get(&c->fpu, n)); }

// ---- The ordinary case, threaded: usual control word, nothing pending, nothing but PE to come. A function that finds
// it otherwise has done nothing yet and calls the one for every case.
INLINE bool x87_quick(const struct cpu *c)
{
    return likely(!(c->cr0 & (CR0_EM | CR0_TS)) && !(c->fpu.fsw & FSW_ES) &&
                  (c->fpu.fcw & (FX_ALL | 0xF00)) == (FX_ALL | 0x300));
}
INLINE void x87_quick_end(struct cpu *c, const struct insn *i, bool c1, u8 flags)
{
    x87_pointers(c, i);
    c->fpu.fsw = (u16)((c->fpu.fsw & ~FSW_C1) | (c1 ? FSW_C1 : 0) | flags);
    insn_next(c, i);
}
