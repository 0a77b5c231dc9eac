// SPDX-License-Identifier: MIT
// System instructions and flags: SDM vol. 2 MOV CR/DR, LGDT …, LMSW, SMSW, LAR, LSL, VERR, ARPL, PUSHF, POPF, CLI, STI,
// IN, OUT, HLT, MONITOR, CPUID, RDTSC, RDMSR, RDRAND, SWAPGS, SYSCALL …, INVLPG, CLFLUSH, XGETBV. What they act on is
// cpu/sys.c, cpu/seg.c, cpu/mmu.c; here stand the operands, the privilege rules and the order of checks.
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "interp/ops.h"

INLINE bool iopl_ok(const struct cpu *c) { return c->cpl <= (c->eflags & FL_IOPL) >> 12; }
NORETURN static void gp0(struct cpu *c) { cpu_raise_err(c, EXC_GP, 0); }
INLINE void check_umip(struct cpu *c)
{
    if (c->cpl && (c->cr4 & CR4_UMIP)) gp0(c);
}
INLINE bool canonical(u64 a) { return (u64)((i64)(a << 16) >> 16) == a; }
// Stores of SLDT, STR, SMSW: 16 bits of memory, a register as the operand size says.
INLINE void st_word_or_reg(struct cpu *c, const struct insn *i, u64 v)
{
    if (i->is_mem)
        st_mem(c, i, v, 2);
    else
        reg_set(c, i->rm, cut(v, i->osz), i->osz);
}

// ---- flags register
X(PUSHF)
{
    u32 fl = flags_get(c) & ~(u32)(FL_VM | FL_RF);
    if ((c->eflags & FL_VM) && (c->eflags & FL_IOPL) != FL_IOPL) {
        if (!(c->cr4 & CR4_VME) || i->osz != 2) gp0(c);
        fl = (fl & ~(u32)FL_IF) | FL_IOPL | (fl & FL_VIF ? FL_IF : 0);
    }
    if (i->osz == 8)
        push(c, fl, 8);
    else if (i->osz == 4)
        push(c, fl, 4);
    else
        push(c, (u16)fl, 2);
}
X(POPF)
{
    u32 mask = FL_ARITH | FL_TF | FL_DF | FL_NT;
    bool vme = false;
    if (c->eflags & FL_VM) {
        if ((c->eflags & FL_IOPL) == FL_IOPL) {
            mask |= FL_IF;
        } else {
            if (!(c->cr4 & CR4_VME) || i->osz != 2) gp0(c);
            vme = true;
        }
    } else {
        if (c->cpl == 0) mask |= FL_IOPL;
        if (iopl_ok(c)) mask |= FL_IF;
    }
    // RF is cleared by the wider forms
    if (i->osz != 2) mask |= FL_AC | FL_ID | FL_RF;
    u64 v = i->osz == 8 ? peek(c, 8) : i->osz == 4 ? peek(c, 4) : peek(c, 2);
    u32 fl = (u32)v & ~(u32)FL_RF;
    if (vme) {
        if ((fl & FL_TF) || ((fl & FL_IF) && (c->eflags & FL_VIP))) gp0(c);
        fl = (fl & ~(u32)FL_VIF) | (fl & FL_IF ? FL_VIF : 0);
        mask |= FL_VIF;
    }
    c->gpr[R_RSP] = sp_add(c, i->osz, i->osz);
    sys_set_eflags(c, fl, mask);
}
X(CLI)
{
    if (iopl_ok(c))
        c->eflags &= ~(u32)FL_IF;
    else if (c->eflags & FL_VM ? c->cr4 & CR4_VME : c->cpl == 3 && (c->cr4 & CR4_PVI))
        c->eflags &= ~(u32)FL_VIF;
    else
        gp0(c);
}
X(STI)
{
    if (iopl_ok(c)) {
        if (!(c->eflags & FL_IF)) {
            sys_set_eflags(c, FL_IF, FL_IF);
            c->attn |= ATTN_SHADOW; // interrupts only after the next instruction
            c->inhibit_db = false;
        }
    } else if (c->eflags & FL_VM ? c->cr4 & CR4_VME : c->cpl == 3 && (c->cr4 & CR4_PVI)) {
        if (c->eflags & FL_VIP) gp0(c);
        c->eflags |= FL_VIF;
    } else {
        gp0(c);
    }
}
X(CLD) { c->eflags &= ~(u32)FL_DF; }
X(STD) { c->eflags |= FL_DF; }
// #UD, not #GP, outside CPL 0 (virtual-8086 mode included); real mode has them (SDM CLAC, STAC).
X(CLAC)
{
    if (c->cpl) cpu_raise(c, EXC_UD);
    sys_set_eflags(c, 0, FL_AC);
}
X(STAC)
{
    if (c->cpl) cpu_raise(c, EXC_UD);
    sys_set_eflags(c, FL_AC, FL_AC);
}

// ---- ports
X(IN_ALIb) { *reg8(c, R_RAX) = (u8)sys_io_in(c, (u8)i->imm, 1); }
X(IN_eAXIb) { reg_set(c, R_RAX, sys_io_in(c, (u8)i->imm, i->osz == 2 ? 2 : 4), i->osz == 2 ? 2 : 4); }
X(IN_ALDX) { *reg8(c, R_RAX) = (u8)sys_io_in(c, (u16)c->gpr[R_RDX], 1); }
X(IN_eAXDX) { reg_set(c, R_RAX, sys_io_in(c, (u16)c->gpr[R_RDX], i->osz == 2 ? 2 : 4), i->osz == 2 ? 2 : 4); }
X(OUT_IbAL) { sys_io_out(c, (u8)i->imm, (u8)c->gpr[R_RAX], 1); }
X(OUT_IbeAX) { sys_io_out(c, (u8)i->imm, (u32)c->gpr[R_RAX], i->osz == 2 ? 2 : 4); }
X(OUT_DXAL) { sys_io_out(c, (u16)c->gpr[R_RDX], (u8)c->gpr[R_RAX], 1); }
X(OUT_DXeAX) { sys_io_out(c, (u16)c->gpr[R_RDX], (u32)c->gpr[R_RAX], i->osz == 2 ? 2 : 4); }

// ---- descriptor tables and selectors
X(SLDT_Ev)
{
    check_protected(c);
    check_umip(c);
    st_word_or_reg(c, i, c->seg[S_LDTR].sel);
}
X(STR_Ev)
{
    check_protected(c);
    check_umip(c);
    st_word_or_reg(c, i, c->seg[S_TR].sel);
}
X(LLDT_Ew)
{
    check_protected(c);
    check_cpl0(c);
    seg_load_ldt(c, (u16)ld_e(c, i, 2));
}
X(LTR_Ew)
{
    check_protected(c);
    check_cpl0(c);
    seg_load_tr(c, (u16)ld_e(c, i, 2));
}
X(VERR_Ew)
{
    check_protected(c);
    flags_change(c, FL_ZF, seg_verify(c, (u16)ld_e(c, i, 2), false) ? FL_ZF : 0);
}
X(VERW_Ew)
{
    check_protected(c);
    flags_change(c, FL_ZF, seg_verify(c, (u16)ld_e(c, i, 2), true) ? FL_ZF : 0);
}
X(LAR_GvEw)
{
    check_protected(c);
    u32 v;
    bool ok = seg_lar(c, (u16)ld_e(c, i, 2), &v);
    if (ok) reg_set(c, i->reg, i->osz == 2 ? v & 0xff00 : v, i->osz);
    flags_change(c, FL_ZF, ok ? FL_ZF : 0);
}
X(LSL_GvEw)
{
    check_protected(c);
    u32 v;
    bool ok = seg_lsl(c, (u16)ld_e(c, i, 2), &v);
    if (ok) reg_set(c, i->reg, i->osz == 2 ? (u16)v : v, i->osz);
    flags_change(c, FL_ZF, ok ? FL_ZF : 0);
}
X(ARPL_EwGw)
{
    check_protected(c);
    struct rmw p;
    u64 v = rmw_e_load(c, i, 2, &p), rpl = c->gpr[i->reg] & 3;
    bool up = (v & 3) < rpl;
    if (up) v = (v & ~(u64)3) | rpl;
    if (up || i->is_mem) rmw_e_store(c, i, &p, v, 2);
    flags_change(c, FL_ZF, up ? FL_ZF : 0);
}
// Limit first, then 4 bytes of base whatever the operand size, 8 in 64-bit code (as processors do; the 286's 24 bits
// are for loads only).
INLINE void store_table(struct cpu *c, const struct insn *i, u16 limit, u64 base)
{
    check_umip(c);
    u8 b[10];
    st16(b, limit);
    st64(b + 2, base);
    mem_write(c, i->seg, insn_ea(c, i), b, i->osz == 8 ? 10 : 6, 0);
}
X(SGDT_Ms) { store_table(c, i, c->gdt_limit, c->gdt_base); }
X(SIDT_Ms) { store_table(c, i, c->idt_limit, c->idt_base); }
INLINE void load_table(struct cpu *c, const struct insn *i, u16 *limit, u64 *base)
{
    check_cpl0(c);
    u8 b[10] = {0};
    mem_read(c, i->seg, insn_ea(c, i), b, i->osz == 8 ? 10 : 6, 0);
    u64 a = i->osz == 8 ? ld64(b + 2) : i->osz == 4 ? ld32(b + 2) : ld32(b + 2) & 0xffffff;
    if (!canonical(a)) gp0(c);
    *limit = ld16(b);
    *base = a;
}
X(LGDT_Ms) { load_table(c, i, &c->gdt_limit, &c->gdt_base); }
X(LIDT_Ms) { load_table(c, i, &c->idt_limit, &c->idt_base); }

// ---- control and debug registers, MSRs
X(SMSW_Ev)
{
    check_umip(c);
    st_word_or_reg(c, i, c->cr0);
}
X(LMSW_Ew)
{
    check_cpl0(c);
    u64 v = ld_e(c, i, 2), keep = c->cr0 & ~(u64)(CR0_MP | CR0_EM | CR0_TS);
    sys_write_cr(c, 0, keep | (v & (CR0_PE | CR0_MP | CR0_EM | CR0_TS))); // sets PE, never clears it
}
X(CLTS)
{
    check_cpl0(c);
    sys_write_cr(c, 0, c->cr0 & ~(u64)CR0_TS);
}
INLINE void check_cr(struct cpu *c, const struct insn *i)
{
    if (i->reg > 8 || (i->reg > 4 && i->reg < 8) || i->reg == 1 || (i->reg == 8 && !cpu_code64(c)))
        cpu_raise(c, EXC_UD);
    check_cpl0(c);
}
X(MOV_RdCd)
{
    check_cr(c, i);
    wr(c, i->rm, sys_read_cr(c, i->reg), i->osz == 8 ? 8 : 4);
}
X(MOV_CdRd)
{
    check_cr(c, i);
    sys_write_cr(c, i->reg, i->osz == 8 ? c->gpr[i->rm] : (u32)c->gpr[i->rm]);
}
X(MOV_RdDd)
{
    if (i->reg > 7) cpu_raise(c, EXC_UD);
    check_cpl0(c);
    wr(c, i->rm, sys_read_dr(c, i->reg), i->osz == 8 ? 8 : 4);
}
X(MOV_DdRd)
{
    if (i->reg > 7) cpu_raise(c, EXC_UD);
    check_cpl0(c);
    sys_write_dr(c, i->reg, i->osz == 8 ? c->gpr[i->rm] : (u32)c->gpr[i->rm]);
}
X(RDMSR)
{
    check_cpl0(c);
    sys_rdmsr(c);
}
X(WRMSR)
{
    check_cpl0(c);
    sys_wrmsr(c);
}
INLINE void set_edx_eax(struct cpu *c, u64 v)
{
    c->gpr[R_RAX] = (u32)v;
    c->gpr[R_RDX] = v >> 32;
}
// What CR4.TSD and CR4.PCE close to everybody but CPL 0.
INLINE void check_tsd(struct cpu *c)
{
    if (c->cpl && (c->cr4 & CR4_TSD)) gp0(c);
}
X(RDTSC)
{
    check_tsd(c);
    set_edx_eax(c, sys_tsc(c));
}
X(RDTSCP)
{
    check_tsd(c);
    set_edx_eax(c, sys_tsc(c));
    c->gpr[R_RCX] = (u32)c->tsc_aux;
}
// Four performance counters that never count.
X(RDPMC)
{
    if (c->cpl && !(c->cr4 & CR4_PCE)) gp0(c);
    if ((u32)c->gpr[R_RCX] >= 4) gp0(c);
    set_edx_eax(c, 0);
}
X(RDPID_Ry) { wr(c, i->rm, c->tsc_aux, i->osz == 8 ? 8 : 4); }
X(CPUID) { sys_cpuid(c); }
INLINE void random_reg(struct cpu *c, const struct insn *i)
{
    u64 v = c->pins.random ? c->pins.random(c->pins.owner, c->index) : 0;
    reg_set(c, i->rm, cut(v, i->osz), i->osz);
    flags_set_arith(c, c->pins.random ? FL_CF : 0);
}
X(RDRAND_Rv) { random_reg(c, i); }
X(RDSEED_Rv) { random_reg(c, i); }
// XCR0: x87 always, SSE; the rest of the register file is not offered.
X(XGETBV)
{
    if (!(c->cr4 & CR4_OSXSAVE)) cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_RCX]) gp0(c);
    set_edx_eax(c, c->xcr0);
}
X(XSETBV)
{
    if (!(c->cr4 & CR4_OSXSAVE)) cpu_raise(c, EXC_UD);
    check_cpl0(c);
    u64 v = (u32)c->gpr[R_RAX] | c->gpr[R_RDX] << 32;
    if ((u32)c->gpr[R_RCX] || !(v & 1) || v & ~(u64)3) gp0(c);
    c->xcr0 = v;
}

// ---- bases of FS and GS
INLINE void check_fsgsbase(struct cpu *c)
{
    if (!(c->cr4 & CR4_FSGSBASE)) cpu_raise(c, EXC_UD);
}
INLINE void write_base(struct cpu *c, const struct insn *i, unsigned s)
{
    check_fsgsbase(c);
    u64 v = i->osz == 8 ? c->gpr[i->rm] : (u32)c->gpr[i->rm];
    if (!canonical(v)) gp0(c);
    c->seg[s].base = v;
}
INLINE void read_base(struct cpu *c, const struct insn *i, unsigned s)
{
    check_fsgsbase(c);
    wr(c, i->rm, c->seg[s].base, i->osz == 8 ? 8 : 4);
}
X(RDFSBASE_Ry) { read_base(c, i, S_FS); }
X(RDGSBASE_Ry) { read_base(c, i, S_GS); }
X(WRFSBASE_Ry) { write_base(c, i, S_FS); }
X(WRGSBASE_Ry) { write_base(c, i, S_GS); }
X(SWAPGS)
{
    check_cpl0(c);
    u64 v = c->seg[S_GS].base;
    c->seg[S_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = v;
}

// ---- fast system calls
X(SYSCALL) { far_syscall(c); }
X(SYSRET) { far_sysret(c, i->osz); }
X(SYSENTER) { far_sysenter(c); }
X(SYSEXIT) { far_sysexit(c, i->osz); }

// ---- caches and TLBs. There are no caches: what remains is the access check.
X(INVD) { check_cpl0(c); }
X(WBINVD) { check_cpl0(c); }
INLINE void touch(struct cpu *c, const struct insn *i) { mem_probe(c, i->seg, insn_ea(c, i), 1, ACC_READ); }
X(CLFLUSH_Mb) { touch(c, i); }
X(CLFLUSHOPT_Mb) { touch(c, i); }
X(CLWB_Mb) { touch(c, i); }
X(INVLPG_M)
{
    check_cpl0(c);
    u64 lin = c->seg[i->seg].base + insn_ea(c, i);
    if (!cpu_code64(c)) lin = (u32)lin;
    if (canonical(lin)) tlb_flush_page(c, lin); // else nothing (SDM, INVLPG)
}
X(INVPCID_GyMdq)
{
    check_cpl0(c);
    u64 type = i->osz == 8 ? c->gpr[i->reg] : (u32)c->gpr[i->reg];
    u8 d[16];
    if (type > 3) gp0(c);
    mem_read(c, i->seg, insn_ea(c, i), d, 16, 0);
    u64 pcid = ld64(d), lin = ld64(d + 8);
    if (pcid > 0xfff) gp0(c);
    if (type < 2 && pcid && !(c->cr4 & CR4_PCIDE)) gp0(c);
    if (type == 0 && !canonical(lin)) gp0(c);
    // More may be dropped than was asked for: other PCIDs have no way to lose a single page.
    switch (type) {
    case 0:
        if (!(c->cr4 & CR4_PCIDE) || pcid == (c->cr3 & 0xfff))
            tlb_flush_page(c, lin);
        else
            tlb_flush_pcid(c, (u16)pcid);
        break;
    case 1: tlb_flush_pcid(c, (u16)pcid); break;
    default: tlb_flush(c, true); break;
    }
}

// ---- waiting
X(HLT)
{
    check_cpl0(c);
    c->halt = CPU_HALTED;
    c->attn |= ATTN_CODE; // the loop looks at halt when it leaves the block
}
X(MONITOR)
{
    if (c->cpl) cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_RCX]) gp0(c);
    u64 ea = c->gpr[R_RAX] << i->ea_shift >> i->ea_shift;
    mem_probe(c, i->seg, ea, 1, ACC_READ);
    c->monitor_addr = mem_linear(c, i->seg, ea, 1, ACC_READ);
    c->monitor_armed = true;
}
static bool alone(const struct cpu *c)
{
    const struct cpu_model *m = c->model;
    return m && m->cores * m->threads * max_u64(m->packages, 1) <= 1;
}
// Who spins waits for another processor: its turn comes now. Without this, processors in equal slices can spin past
// each other for ever, as the lock is free for the one instruction only between two slices (SeaBIOS' smp_scan).
X(PAUSE)
{
    if (!alone(c)) c->attn |= ATTN_EXIT;
}
// Waking early is allowed for any reason. A lone processor sleeps until an interrupt, as nobody else can store to the
// monitored line but devices, which announce themselves with one; among several it only gives up its turn.
X(MWAIT)
{
    if (c->cpl) cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_RCX] & ~1u) gp0(c);
    // ECX bit 0: interrupts wake even when masked, which HLT's state could not: pass on
    if (c->monitor_armed && alone(c) && (c->eflags & FL_IF)) {
        c->halt = CPU_HALTED;
        c->attn |= ATTN_CODE;
    } else {
        c->attn |= ATTN_EXIT;
    }
    c->monitor_armed = false;
}
