// SPDX-License-Identifier: MIT
// Control registers, EFLAGS, port I/O with its permission check, CPUID and the TSC as instructions see them.
// SDM vol. 3 2.5 (control registers), 4.1 (paging transitions), 9.8.5 (long mode), vol. 1 19.5 (I/O), vol. 2 MOV CR.
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

// ---- control registers

static NORETURN void gp0(struct cpu *c) { cpu_raise_err(c, EXC_GP, 0); }

u64 sys_read_cr(struct cpu *c, unsigned n)
{
    if (n > 8 || !(0x11du >> n & 1)) cpu_raise(c, EXC_UD);
    if (c->cpl != 0) gp0(c);
    switch (n) {
    case 0: return c->cr0;
    case 2: return c->cr2;
    case 3: return c->cr3;
    case 4: return c->cr4;
    default: return c->pins.get_tpr ? c->pins.get_tpr(c->pins.owner, c->index) : 0;
    }
}

static void write_cr0(struct cpu *c, u64 v)
{
    u64 known = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_PG, efer = c->efer, old = c->cr0;
    if (cpu_has(c, FEAT_I486)) known |= CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD;
    if (v >> 32) gp0(c);
    v = (v & known) | CR0_ET;
    if ((v & CR0_PG) && !(v & CR0_PE)) gp0(c);
    if ((v & CR0_NW) && !(v & CR0_CD)) gp0(c);
    if ((v & ~old) & CR0_PG) {
        if (efer & EFER_LME) {
            // a 16-bit TSS in TR cannot stay (SDM vol. 3 9.8.5)
            bool tss16 = c->seg[S_TR].usable && !(c->seg[S_TR].attr & 8);
            if (!(c->cr4 & CR4_PAE) || (c->seg[S_CS].attr & SEG_L) || tss16) gp0(c);
            efer |= EFER_LMA;
        }
    } else if ((old & ~v) & CR0_PG) {
        if (cpu_code64(c) || (c->cr4 & CR4_PCIDE)) gp0(c);
        efer &= ~(u64)EFER_LMA;
    }
    bool pdptes = (v & CR0_PG) && (c->cr4 & CR4_PAE) && !(efer & EFER_LMA);
    if (pdptes && ((v ^ old) & (CR0_PG | CR0_CD | CR0_NW)) && !mmu_load_pdptes(c, c->cr3)) gp0(c);
    c->cr0 = v;
    c->efer = efer;
    if ((v ^ old) & (CR0_PG | CR0_WP | CR0_PE)) tlb_flush(c, true);
    cpu_update_mode(c);
}

static void write_cr3(struct cpu *c, u64 v)
{
    bool keep = false;
    if (cpu_lma(c)) {
        if (c->cr4 & CR4_PCIDE) { // bit 63: keep what is cached for that PCID
            keep = v >> 63;
            v &= ~((u64)1 << 63);
        }
        if (v & ~(c->phys_mask | 0xfff)) gp0(c);
    } else {
        v = (u32)v;
        if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !mmu_load_pdptes(c, v)) gp0(c);
    }
    c->cr3 = v;
    if (keep)
        tlb_switch(c);
    else
        tlb_flush(c, false);
}

// CR4 bits and the features that bring them; others are reserved.
static u64 cr4_known(const struct cpu *c)
{
    static const struct {
        u32 bits;
        u16 feat;
    } t[] = {
        {CR4_VME | CR4_PVI, FEAT_VME}, {CR4_TSD, FEAT_TSC},        {CR4_DE, FEAT_DE},     {CR4_PSE, FEAT_PSE},
        {CR4_PAE, FEAT_PAE},           {CR4_MCE, FEAT_MCE},        {CR4_PGE, FEAT_PGE},   {CR4_PCE, FEAT_MMX},
        {CR4_OSFXSR, FEAT_FXSR},       {CR4_OSXMMEXCPT, FEAT_SSE}, {CR4_UMIP, FEAT_UMIP}, {CR4_FSGSBASE, FEAT_FSGSBASE},
        {CR4_PCIDE, FEAT_PCID},        {CR4_OSXSAVE, FEAT_XSAVE},  {CR4_SMEP, FEAT_SMEP}, {CR4_SMAP, FEAT_SMAP}};
    u64 m = 0;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        if (cpu_has(c, t[i].feat)) m |= t[i].bits;
    return m;
}

static void write_cr4(struct cpu *c, u64 v)
{
    u64 old = c->cr4;
    if (v & ~cr4_known(c)) gp0(c);
    if (cpu_lma(c) && !(v & CR4_PAE)) gp0(c);
    if ((v & ~old) & CR4_PCIDE)
        if (!cpu_lma(c) || (c->cr3 & 0xfff)) gp0(c);
    bool walk = (v ^ old) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP);
    bool pdptes = (c->cr0 & CR0_PG) && (v & CR4_PAE) && !cpu_lma(c);
    if (pdptes && walk && !mmu_load_pdptes(c, c->cr3)) gp0(c);
    c->cr4 = v;
    if (walk || ((v ^ old) & (CR4_SMAP | CR4_PCIDE))) tlb_flush(c, true);
    cpu_update_mode(c);
}

void sys_write_cr(struct cpu *c, unsigned n, u64 v)
{
    if (n > 8 || !(0x11du >> n & 1)) cpu_raise(c, EXC_UD);
    if (c->cpl != 0) gp0(c);
    u64 old = hook_wants(c, HOOK_CR) ? sys_read_cr(c, n) : 0;
    switch (n) {
    case 0: write_cr0(c, v); break;
    case 2: c->cr2 = v; break;
    case 3: write_cr3(c, v); break;
    case 4: write_cr4(c, v); break;
    case 8:
        if (v & ~(u64)15) gp0(c);
        if (c->pins.set_tpr) c->pins.set_tpr(c->pins.owner, c->index, v);
        break;
    }
    cpu_hook(c, HOOK_CR, n, old, v);
}

// ---- EFLAGS

void sys_set_eflags(struct cpu *c, u32 value, u32 mask)
{
    u32 old = flags_get(c);
    mask &= 0x3f7fd5; // bits that exist
    u32 fl = (old & ~mask) | (value & mask) | FL_R1;
    c->eflags = fl;
    if ((old ^ fl) & (FL_TF | FL_RF | FL_AC | FL_VM | FL_VIF | FL_VIP)) cpu_update_mode(c);
}

// ---- ports

static void io_check(struct cpu *c, u16 port, unsigned size)
{
    if (cpu_real(c)) return;
    if (!(c->mode & MODE_VM) && c->cpl <= (c->eflags >> 12 & 3)) return;
    if (!task_io_permitted(c, port, size)) gp0(c);
}

u32 sys_io_in(struct cpu *c, u16 port, unsigned size)
{
    io_check(c, port, size);
    debug_check_io(c, port, size);
    c->bus->cur_cpu = c->index;
    u32 v = bus_in(c->bus, port, size);
    if (trace_on(&c->bus->log, cpu_in)) trace(&c->bus->log, cpu_in, port, size, v);
    trail_io(c, port, v, size, false);
    cpu_hook(c, HOOK_IN, port | size << 16, v, 0);
    return v;
}

void sys_io_out(struct cpu *c, u16 port, u32 v, unsigned size)
{
    io_check(c, port, size);
    debug_check_io(c, port, size);
    c->bus->cur_cpu = c->index;
    if (trace_on(&c->bus->log, cpu_out)) trace(&c->bus->log, cpu_out, port, size, v);
    bus_out(c->bus, port, v, size);
    trail_io(c, port, v, size, true);
    cpu_hook(c, HOOK_OUT, port | size << 16, v, 0);
}

// ---- CPUID

void sys_cpuid(struct cpu *c)
{
    u32 r[4];
    cpuid_query(c, (u32)c->gpr[R_RAX], (u32)c->gpr[R_RCX], r);
    c->gpr[R_RAX] = r[0];
    c->gpr[R_RBX] = r[1];
    c->gpr[R_RCX] = r[2];
    c->gpr[R_RDX] = r[3];
}
