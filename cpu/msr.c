// SPDX-License-Identifier: MIT
// Model-specific registers that kernels and firmware touch. SDM vol. 4 chapter 2, APM vol. 2 appendix A. What is not
// here raises #GP(0), as on hardware. Leaves out performance counters, last-branch records and machine-check banks
// (MCG_CAP says that there are none).
#include "cpu/cpuid.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

enum { // who has it
    ANY,
    INTEL = 1,
    AMD = 2
};
enum rule {
    PLAIN,  // bits outside the mask raise #GP
    CANON,  // must be a canonical address
    IGNORE, // writes are accepted and have no effect
    RDONLY, // writes raise #GP
    PATS,   // eight memory types
    FIXED,  // eight MTRR types
    DEFTYPE,
    VARBASE,
    VARMASK
};
#define F(name) offsetof(struct cpu, name)
#define ALL     (~(u64)0)
#define NOFEAT  FEAT_I386
struct msr {
    u32 num;
    u16 n; // how many in a row
    u8 who, feat;
    u8 rule;
    u8 stride; // 2: every second number (MTRR pairs)
    u32 field; // offset in struct cpu, 0: reads as `value`
    u64 value; // or mask of writable bits
};
static const struct msr msrs[] = {
    {0x000, 2, ANY, FEAT_MCE, IGNORE, 1, 0, 0},   // P5_MC_ADDR, P5_MC_TYPE
    {0x017, 1, INTEL, FEAT_MSR, RDONLY, 1, 0, 0}, // IA32_PLATFORM_ID
    {0x02a, 1, INTEL, FEAT_MSR, IGNORE, 1, 0, 0}, // EBL_CR_POWERON
    {0x03a, 1, INTEL, FEAT_MSR, RDONLY, 1, F(feature_control), 0},
    {0x08b, 1, INTEL, FEAT_MSR, IGNORE, 1, 0, 0x100000000}, // IA32_BIOS_SIGN_ID: microcode revision
    {0x08b, 1, AMD, FEAT_MSR, IGNORE, 1, 0, 0x01000065},    // PATCH_LEVEL
    {0x0fe, 1, ANY, FEAT_MTRR, RDONLY, 1, 0, 0x508},        // MTRRcap: 8 variable, fixed, WC
    {0x174, 1, ANY, FEAT_SEP, PLAIN, 1, F(sysenter_cs), 0xffffffff},
    {0x175, 1, ANY, FEAT_SEP, CANON, 1, F(sysenter_esp), ALL},
    {0x176, 1, ANY, FEAT_SEP, CANON, 1, F(sysenter_eip), ALL},
    {0x179, 1, ANY, FEAT_MCA, RDONLY, 1, 0, 0}, // MCG_CAP: no banks
    {0x17a, 1, ANY, FEAT_MCA, PLAIN, 1, F(mcg_status), 7},
    {0x1a0, 1, INTEL, FEAT_MSR, PLAIN, 1, F(misc_enable), 0x400c51889},
    {0x1d9, 1, ANY, FEAT_CMOV, PLAIN, 1, F(debugctl), 3},
    {0x200, 8, ANY, FEAT_MTRR, VARBASE, 2, F(mtrr_base), ALL},
    {0x201, 8, ANY, FEAT_MTRR, VARMASK, 2, F(mtrr_mask), ALL},
    {0x250, 1, ANY, FEAT_MTRR, FIXED, 1, F(mtrr_fixed[0]), ALL},
    {0x258, 2, ANY, FEAT_MTRR, FIXED, 1, F(mtrr_fixed[1]), ALL},
    {0x268, 8, ANY, FEAT_MTRR, FIXED, 1, F(mtrr_fixed[3]), ALL},
    {0x277, 1, ANY, FEAT_PAT, PATS, 1, F(pat), ALL},
    {0x2ff, 1, ANY, FEAT_MTRR, DEFTYPE, 1, F(mtrr_def), 0xcff},
    {0xc0000081, 1, ANY, FEAT_SYSCALL, PLAIN, 1, F(star), ALL},
    {0xc0000082, 1, ANY, FEAT_LM, CANON, 1, F(lstar), ALL},
    {0xc0000083, 1, ANY, FEAT_LM, CANON, 1, F(cstar), ALL},
    {0xc0000084, 1, ANY, FEAT_LM, PLAIN, 1, F(sfmask), 0xffffffff},
    {0xc0000102, 1, ANY, FEAT_LM, CANON, 1, F(kernel_gs_base), ALL},
    {0xc0000103, 1, ANY, FEAT_RDTSCP, PLAIN, 1, F(tsc_aux), 0xffffffff},
    {0xc0010010, 1, AMD, FEAT_SYSCALL, PLAIN, 1, F(syscfg), 0x7fffff},
    {0xc0010015, 1, AMD, FEAT_SYSCALL, PLAIN, 1, F(hwcr), ALL},
    {0xc001001a, 1, AMD, FEAT_SYSCALL, PLAIN, 1, F(top_mem), 0xffffff800000},
    {0xc001001d, 1, AMD, FEAT_SYSCALL, PLAIN, 1, F(top_mem2), 0xffffff800000},
    {0xc001001f, 1, AMD, FEAT_LM, IGNORE, 1, 0, 0}, // NB_CFG
    {0xc0010020, 1, AMD, FEAT_LM, IGNORE, 1, 0, 0}, // PATCH_LOADER: no patch is ever taken
    {0xc0010055, 1, AMD, FEAT_LM, IGNORE, 1, 0, 0}, // interrupt pending message: no C1E
    {0xc0010114, 1, AMD, FEAT_LM, IGNORE, 1, 0, 0}, // VM_CR
    {0xc0011029, 1, AMD, FEAT_LM, PLAIN, 1, F(de_cfg), ALL},
};

static bool mtrr_type(u8 t) { return t <= 1 || (t >= 4 && t <= 6); }

static bool all_types(u64 v, bool pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u8 t = v >> i;
        if (!mtrr_type(t) && !(pat && t == 7)) return false;
    }
    return true;
}

static const struct msr *find(const struct cpu *c, u32 num, u32 *index)
{
    u8 who = c->model->vendor_id == VENDOR_INTEL ? INTEL : c->model->vendor_id == VENDOR_AMD ? AMD : ANY;
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++) {
        const struct msr *m = &msrs[i];
        u32 off = num - m->num;
        if (off >= (u32)m->n * m->stride || off % m->stride) continue;
        if ((m->who != ANY && m->who != who) || !cpu_has(c, m->feat)) continue;
        *index = off / m->stride;
        return m;
    }
    return NULL;
}

static u64 *field(struct cpu *c, const struct msr *m, u32 index) { return (u64 *)(void *)((u8 *)c + m->field) + index; }

static bool allowed(const struct cpu *c, const struct msr *m, u64 v)
{
    switch ((enum rule)m->rule) {
    case RDONLY: return false;
    case CANON: return !cpu_has(c, FEAT_LM) || lin_canonical(v);
    case PATS: return all_types(v, true);
    case FIXED: return all_types(v, false);
    case DEFTYPE: return !(v & ~m->value) && mtrr_type(v & 0xff);
    case VARBASE: return !(v & ~(c->phys_mask & ~(u64)0xfff) & ~(u64)0xff) && mtrr_type(v & 0xff);
    case VARMASK: return !(v & ~(c->phys_mask & ~(u64)0xfff) & ~(u64)0x800);
    case IGNORE: return true;
    case PLAIN: return !(v & ~m->value);
    }
    return false;
}

static bool is_apic(const struct cpu *c, u32 num)
{
    if (num == 0x1b) return cpu_has(c, FEAT_APIC);
    if (num == 0x6e0) return cpu_has(c, FEAT_TSC_DEADLINE);
    return num >= 0x800 && num <= 0x8ff && cpu_has(c, FEAT_X2APIC);
}

u64 sys_tsc(struct cpu *c)
{
    u64 t = c->pins.tsc ? c->pins.tsc(c->pins.owner, c->index) : cpu_icount(c);
    return t + c->tsc_offset + c->tsc_adjust;
}

static bool write_efer(struct cpu *c, u64 v)
{
    u64 known = EFER_LMA, old = c->efer;
    if (cpu_has(c, FEAT_SYSCALL)) known |= EFER_SCE;
    if (cpu_has(c, FEAT_LM)) known |= EFER_LME;
    if (cpu_has(c, FEAT_NX)) known |= EFER_NXE;
    if (cpu_has(c, FEAT_FFXSR)) known |= EFER_FFXSR;
    if (v & ~known) return false;
    if (((v ^ old) & EFER_LME) && (c->cr0 & CR0_PG)) return false;
    v = (v & ~(u64)EFER_LMA) | (old & EFER_LMA); // LMA is the processor's
    c->efer = v;
    cpu_hook(c, HOOK_CR, 16, old, v);
    if ((v ^ old) & EFER_NXE) tlb_flush(c, true);
    cpu_update_mode(c);
    return true;
}

bool msr_read(struct cpu *c, u32 num, u64 *v)
{
    u32 i;
    const struct msr *m;
    switch (num) {
    case 0x10: *v = sys_tsc(c); return cpu_has(c, FEAT_TSC);
    case 0x3b: *v = c->tsc_adjust; return cpu_has(c, FEAT_TSC_ADJUST);
    case 0xc0000080: *v = c->efer; return cpu_has(c, FEAT_SYSCALL) || cpu_has(c, FEAT_NX);
    case 0xc0000100: *v = c->seg[S_FS].base; return cpu_has(c, FEAT_LM);
    case 0xc0000101: *v = c->seg[S_GS].base; return cpu_has(c, FEAT_LM);
    }
    if (is_apic(c, num)) return c->pins.apic_rdmsr && c->pins.apic_rdmsr(c->pins.owner, c->index, num, v);
    m = find(c, num, &i);
    if (!m) return false;
    *v = m->field ? *field(c, m, i) : m->value;
    return true;
}

bool msr_write(struct cpu *c, u32 num, u64 v)
{
    u32 i;
    const struct msr *m;
    switch (num) {
    case 0x10: // the difference goes to TSC_ADJUST (SDM vol. 3 17.17.3)
        if (cpu_has(c, FEAT_TSC)) c->tsc_adjust += v - sys_tsc(c);
        return cpu_has(c, FEAT_TSC);
    case 0x3b:
        if (cpu_has(c, FEAT_TSC_ADJUST)) c->tsc_adjust = v;
        return cpu_has(c, FEAT_TSC_ADJUST);
    case 0xc0000080: return (cpu_has(c, FEAT_SYSCALL) || cpu_has(c, FEAT_NX)) && write_efer(c, v);
    case 0xc0000100:
    case 0xc0000101:
        if (!cpu_has(c, FEAT_LM) || !lin_canonical(v)) return false;
        c->seg[num == 0xc0000100 ? S_FS : S_GS].base = v;
        seg_update(c, num == 0xc0000100 ? S_FS : S_GS);
        return true;
    }
    if (is_apic(c, num)) return c->pins.apic_wrmsr && c->pins.apic_wrmsr(c->pins.owner, c->index, num, v);
    m = find(c, num, &i);
    if (!m || !allowed(c, m, v)) return false;
    if (m->field) *field(c, m, i) = v;
    return true;
}

void sys_rdmsr(struct cpu *c)
{
    u64 v = 0;
    if (c->cpl != 0 || !msr_read(c, (u32)c->gpr[R_RCX], &v)) cpu_raise_err(c, EXC_GP, 0);
    c->gpr[R_RAX] = (u32)v;
    c->gpr[R_RDX] = v >> 32;
}

void sys_wrmsr(struct cpu *c)
{
    u64 v = (u32)c->gpr[R_RAX] | c->gpr[R_RDX] << 32;
    if (c->cpl != 0 || !msr_write(c, (u32)c->gpr[R_RCX], v)) cpu_raise_err(c, EXC_GP, 0);
}
