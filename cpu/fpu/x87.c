// SPDX-License-Identifier: MIT
// The x87's state apart from arithmetic: reset, exceptions and how they are reported, tag words, images in memory. SDM
// vol. 1 8.1, 8.6, 8.7, appendix D (FERR#); vol. 2 FNSTENV, FNSAVE, FXSAVE. FERR# (CR0.NE = 0) is driven when the
// exception arises, as a 486 does for most of them, and released when ES is cleared; a waiting instruction meets it as
// with IGNNE# asserted: the processor does not freeze. FOP, FIP and FDP are those of the last non-control instruction
// (no FOP compatibility mode); FCS and FDS are kept.
#include <string.h>
#include "cpu/fpu/x87.h"
#include "mem/base/bits.h"

void x87_reset(struct fpu *f)
{
    memset(f, 0, sizeof *f);
    f->fcw = 0x40;
    f->tags = 0xFF; // the registers hold +0, tag word 5555h
}

static void set_ferr(struct cpu *c)
{
    if (!(c->cr0 & CR0_NE) && c->pins.ferr) c->pins.ferr(c->pins.owner, c->index, (c->fpu.fsw & FSW_ES) != 0);
}

void x87_update_summary(struct cpu *c)
{
    struct fpu *f = &c->fpu;
    bool had = f->fsw & FSW_ES, es = f->fsw & ~f->fcw & FX_ALL;
    f->fsw = (u16)((f->fsw & ~(FSW_ES | FSW_B)) | (es ? FSW_ES | FSW_B : 0));
    if (had != es) set_ferr(c);
}

void x87_raise(struct cpu *c, u8 flags)
{
    struct fpu *f = &c->fpu;
    f->fsw |= flags;
    if (unlikely(flags & ~f->fcw & FX_ALL)) {
        f->fsw |= FSW_ES | FSW_B;
        set_ferr(c);
    }
}

void x87_pending_slow(struct cpu *c)
{
    if (c->cr0 & CR0_NE) cpu_raise(c, EXC_MF);
    set_ferr(c);
}

void x87_init(struct cpu *c)
{
    struct fpu *f = &c->fpu;
    f->fcw = FCW_INIT;
    f->fsw &= FSW_ES; // update_summary sees the edge
    f->tags = 0;
    f->fop = f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
    x87_update_summary(c);
}

u16 x87_full_tags(const struct fpu *f)
{
    unsigned w = 0;
    for (unsigned n = 0; n < 8; n++) {
        unsigned tag = 2, e = f->se[n] & 0x7FFF;
        if (!(f->tags >> n & 1))
            tag = 3;
        else if (!e && !f->m[n])
            tag = 1;
        else if (e && e != 0x7FFF && f->m[n] >> 63)
            tag = 0;
        w |= tag << 2 * n;
    }
    return (u16)w;
}

u8 x87_abridge_tags(u16 full)
{
    unsigned t = 0;
    for (unsigned n = 0; n < 8; n++) t |= (unsigned)((full >> 2 * n & 3) != 3) << n;
    return (u8)t;
}

// Real-mode images hold 32-bit (16-bit images: 20-bit) linear addresses, the upper part beside the opcode.
unsigned x87_env_store(const struct fpu *f, u8 *p, bool wide, bool real)
{
    u32 ip = (u32)f->fip, dp = (u32)f->fdp;
    if (real) {
        ip += (u32)f->fcs << 4;
        dp += (u32)f->fds << 4;
    }
    if (!wide) {
        u16 w[7] = {f->fcw, f->fsw, x87_full_tags(f), (u16)ip, f->fcs, (u16)dp, f->fds};
        if (real) {
            w[4] = (u16)((ip >> 4 & 0xF000) | (f->fop & 0x7FF));
            w[6] = (u16)(dp >> 4 & 0xF000);
        }
        for (unsigned n = 0; n < 7; n++) st16(p + 2 * n, w[n]);
        return 14;
    }
    u32 d[7] = {f->fcw, f->fsw, x87_full_tags(f), ip, f->fcs | (f->fop & 0x7FFu) << 16, dp, f->fds};
    if (real) {
        d[3] = ip & 0xFFFF;
        d[4] = (ip >> 4 & 0x0FFFF000) | (f->fop & 0x7FF);
        d[5] = dp & 0xFFFF;
        d[6] = dp >> 4 & 0x0FFFF000;
    }
    // Reserved upper halves are stored as ones.
    for (unsigned n = 0; n < 7; n++) st32(p + 4 * n, n < 3 || n == 6 || (real && (n & 1)) ? d[n] | 0xFFFF0000 : d[n]);
    if (real) st32(p + 24, d[6]);
    return 28;
}

unsigned x87_env_load(struct cpu *c, const u8 *p, bool wide, bool real)
{
    struct fpu *f = &c->fpu;
    unsigned step = wide ? 4 : 2;
    u32 d[7];
    for (unsigned n = 0; n < 7; n++) d[n] = (u32)ld_size(p + step * n, step);
    bool had = f->fsw & FSW_ES;
    f->fcw = (u16)((d[0] & FCW_BITS) | 0x40);
    f->fsw = (u16)((d[1] & ~FSW_ES) | (had ? FSW_ES : 0));
    f->tags = x87_abridge_tags((u16)d[2]);
    if (real) {
        f->fip = (d[3] & 0xFFFF) | (wide ? (u64)(d[4] & 0x0FFFF000) << 4 : (d[4] & 0xF000) << 4);
        f->fdp = (d[5] & 0xFFFF) | (wide ? (u64)(d[6] & 0x0FFFF000) << 4 : (d[6] & 0xF000) << 4);
        f->fop = d[4] & 0x7FF;
        f->fcs = f->fds = 0;
    } else {
        f->fip = d[3];
        f->fcs = (u16)d[4];
        f->fop = wide ? d[4] >> 16 & 0x7FF : 0;
        f->fdp = d[5];
        f->fds = (u16)d[6];
    }
    x87_update_summary(c);
    return 7 * step;
}

void x87_regs_store(const struct fpu *f, u8 *p)
{
    for (unsigned i = 0; i < 8; i++, p += 10) {
        struct f80 v = x87_get(f, i);
        st64(p, v.m);
        st16(p + 8, v.se);
    }
}

void x87_regs_load(struct fpu *f, const u8 *p)
{
    for (unsigned i = 0; i < 8; i++, p += 10) {
        unsigned n = x87_phys(f, i);
        f->m[n] = ld64(p);
        f->se[n] = ld16(p + 8);
    }
}

void x87_fx_store(const struct fpu *f, u8 *p, bool rexw)
{
    memset(p, 0, 24);
    st16(p, f->fcw);
    st16(p + 2, f->fsw);
    p[4] = f->tags;
    st16(p + 6, f->fop & 0x7FF);
    if (rexw) {
        st64(p + 8, f->fip);
        st64(p + 16, f->fdp);
    } else {
        st32(p + 8, (u32)f->fip);
        st16(p + 12, f->fcs);
        st32(p + 16, (u32)f->fdp);
        st16(p + 20, f->fds);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct f80 v = x87_get(f, i);
        u8 *q = p + 32 + 16 * i;
        st64(q, v.m);
        st64(q + 8, v.se);
    }
}

void x87_fx_load(struct cpu *c, const u8 *p, bool rexw)
{
    struct fpu *f = &c->fpu;
    bool had = f->fsw & FSW_ES;
    f->fcw = (u16)((ld16(p) & FCW_BITS) | 0x40);
    f->fsw = (u16)((ld16(p + 2) & ~FSW_ES) | (had ? FSW_ES : 0));
    f->tags = p[4];
    f->fop = ld16(p + 6) & 0x7FF;
    f->fip = rexw ? ld64(p + 8) : ld32(p + 8);
    f->fdp = rexw ? ld64(p + 16) : ld32(p + 16);
    f->fcs = rexw ? 0 : ld16(p + 12);
    f->fds = rexw ? 0 : ld16(p + 20);
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = x87_phys(f, i);
        f->m[n] = ld64(p + 32 + 16 * i);
        f->se[n] = ld16(p + 40 + 16 * i);
    }
    x87_update_summary(c);
}

bool x87_is_init(const struct fpu *f)
{
    u64 any = f->fsw | f->tags | f->fop | f->fcs | f->fds | f->fip | f->fdp;
    for (unsigned n = 0; n < 8; n++) any |= f->m[n] | f->se[n];
    return f->fcw == FCW_INIT && !any;
}
