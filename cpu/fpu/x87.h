// SPDX-License-Identifier: MIT
// The x87's architectural state: stack, tags, status, pending exceptions, images in memory, and what MMX shares with
// it. SDM vol. 1 8.1, 9.2, 10.5; vol. 2 FNSTENV FNSAVE FXSAVE XSAVE.
#pragma once
#include "cpu/cpu.h"
#include "cpu/fpu/softfloat.h"

enum { // status word
    FSW_SF = 1 << 6,
    FSW_ES = 1 << 7,
    FSW_C0 = 1 << 8,
    FSW_C1 = 1 << 9,
    FSW_C2 = 1 << 10,
    FSW_TOP = 7 << 11,
    FSW_C3 = 1 << 14,
    FSW_B = 1 << 15,
    FSW_CC = FSW_C0 | FSW_C2 | FSW_C3,
    FCW_INIT = 0x37F,
    FCW_BITS = 0x1F7F, // bits that can be written; bit 6 reads as 1
};
enum { MXCSR_INIT = 0x1F80, MXCSR_MASK = 0xFFFF };

INLINE unsigned x87_top(const struct fpu *f) { return f->fsw >> 11 & 7; }
INLINE unsigned x87_phys(const struct fpu *f, unsigned i) { return (x87_top(f) + i) & 7; }
INLINE void x87_set_top(struct fpu *f, unsigned top) { f->fsw = (u16)((f->fsw & ~FSW_TOP) | (top & 7) << 11); }
INLINE bool x87_empty(const struct fpu *f, unsigned i) { return !(f->tags >> x87_phys(f, i) & 1); }
INLINE struct f80 x87_get(const struct fpu *f, unsigned i)
{
    unsigned n = x87_phys(f, i);
    return (struct f80){f->m[n], f->se[n]};
}
INLINE void x87_set(struct fpu *f, unsigned i, struct f80 v)
{
    unsigned n = x87_phys(f, i);
    f->m[n] = v.m;
    f->se[n] = v.se;
    f->tags |= (u8)(1u << n);
}
INLINE void x87_push(struct fpu *f, struct f80 v)
{
    x87_set_top(f, x87_top(f) - 1);
    x87_set(f, 0, v);
}
INLINE void x87_pop(struct fpu *f)
{
    f->tags &= (u8) ~(1u << x87_top(f));
    x87_set_top(f, x87_top(f) + 1);
}

void x87_reset(struct fpu *f); // power-on (SDM vol. 3 table 9-1)
void x87_init(struct cpu *c);  // FNINIT
// Sets exception flags (FX_*, FSW_SF) and what follows from them: ES, B, FERR#.
void x87_raise(struct cpu *c, u8 flags);
// After a change of flags or masks from outside: ES, B and FERR# follow.
void x87_update_summary(struct cpu *c);
// For waiting instructions, when FSW.ES is set: #MF (CR0.NE = 1), or FERR# and on as with IGNNE# (NE = 0).
void x87_pending_slow(struct cpu *c);
INLINE void x87_check_pending(struct cpu *c)
{
    if (unlikely(c->fpu.fsw & FSW_ES)) x87_pending_slow(c);
}
u16 x87_full_tags(const struct fpu *f); // FNSTENV's tag word, two bits a register
u8 x87_abridge_tags(u16 full);

// MMX. Every MMX instruction but EMMS: TOP = 0, all registers valid (SDM vol. 1 9.6.2); a written one gets exponent
// FFFFh. Call after the last access that may fault; check_mmx() and x87_check_pending() come first.
INLINE void x87_mmx_enter(struct cpu *c)
{
    c->fpu.fsw &= (u16)~FSW_TOP;
    c->fpu.tags = 0xFF;
}
INLINE void x87_mmx_write(struct cpu *c, unsigned n, u64 v)
{
    c->fpu.m[n] = v;
    c->fpu.se[n] = 0xFFFF;
}
INLINE void x87_emms(struct cpu *c) { c->fpu.tags = 0; }

// Images. `real`: the formats of real and virtual-8086 mode. Return the length: 14 or 28.
unsigned x87_env_store(const struct fpu *f, u8 *p, bool wide, bool real);
unsigned x87_env_load(struct cpu *c, const u8 *p, bool wide, bool real);
void x87_regs_store(const struct fpu *f, u8 *p); // 80 bytes, ST(0) first
void x87_regs_load(struct fpu *f, const u8 *p);
// The legacy region of FXSAVE and XSAVE: x87 part (bytes 0-23 and 32-159); rexw: 64-bit pointers.
void x87_fx_store(const struct fpu *f, u8 *p, bool rexw);
void x87_fx_load(struct cpu *c, const u8 *p, bool rexw);
bool x87_is_init(const struct fpu *f); // XINUSE[0] = 0
