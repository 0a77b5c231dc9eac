// SPDX-License-Identifier: MIT
// Emitters of what kernels do often: PUSHF, POPF, CLI, STI, STAC, CLAC, SWAPGS, SYSCALL, SYSRET, SYSENTER, SYSEXIT,
// RDTSC, RDTSCP, reads of CR0, CR2, CR3, CR4, IRET, INT n (SDM vol. 2).
// What could change the mode, raise, or let an interrupt in goes to the interpreter: each emitter begins with the
// checks.
#include "cpu/cpuid.h"
#include "tcg/front/front.h"

// Leaves unless the `size` bytes at the field are v.
#define CHECK_FIELD(f, size, field, v)                                                                                 \
    (add(f, IR_CHECK, size, IR_NONE, IR_NONE)->imm = (i64)((u64)(u32)(v) << 32 | offsetof(struct cpu, field)))
#define SEG_FIELD(s, field) (offsetof(struct cpu, seg) + (s) * sizeof(struct seg) + offsetof(struct seg, field))

static bool protected(const struct front *f) { return f->key & MODE_PE; }
// Code that may change IF: at CPL 0, or in real mode. MODE_USER is CPL 3; 1 and 2 are found out at run time.
static bool may_be_kernel(const struct front *f) { return !(f->key & (MODE_USER | MODE_VM)); }
static void at_cpl0(struct front *f)
{
    if (protected(f)) CHECK_FIELD(f, 1, cpl, 0);
}

bool front_cli(struct front *f)
{
    if (!may_be_kernel(f)) return false;
    at_cpl0(f);
    add(f, IR_CLRFL, 4, IR_NONE, IR_NONE)->imm = FL_IF;
    return true;
}
// With nothing pending the shadow cannot be seen if the next instruction belongs to the same block: there is no
// boundary between the two where an event could come.
bool front_sti(struct front *f)
{
    if (!may_be_kernel(f) || f->last) return false;
    at_cpl0(f);
    CHECK_FIELD(f, 4, attn, 0);
    add(f, IR_SETFL, 4, IR_NONE, IR_NONE)->imm = FL_IF;
    return true;
}
bool front_pushf(struct front *f)
{
    if (f->n == 2 || (f->key & MODE_VM)) return false;
    add(f, IR_GETFL, 4, IR_T0, IR_NONE);
    mem_push(f, f->n, IR_T0LIVE);
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    move_sp(f, -(i32)f->n);
    return true;
}
bool front_popf(struct front *f)
{
    if (f->n == 2 || (f->key & MODE_VM)) return false;
    bool kernel = may_be_kernel(f);
    if (kernel) at_cpl0(f);
    mem_top(f, f->n);
    load_t0(f, f->n, IR_M);
    add(f, IR_PUTFL, 4, IR_NONE, IR_T0)->imm = FL_ARITH | FL_DF | (kernel ? FL_IF : 0);
    move_sp(f, f->n);
    return true;
}
bool front_swapgs(struct front *f)
{
    if (!f->code64 || !may_be_kernel(f)) return false;
    at_cpl0(f);
    add(f, IR_LDCPU, 8, IR_T0, IR_NONE)->imm = SEG_FIELD(S_GS, base);
    add(f, IR_SWCPU, 8, IR_T0, IR_NONE)->imm = offsetof(struct cpu, kernel_gs_base);
    add(f, IR_STCPU, 8, IR_NONE, IR_T0)->imm = SEG_FIELD(S_GS, base);
    return true;
}
bool front_mov_from_cr(struct front *f)
{
    static const u16 at[8] = {[0] = offsetof(struct cpu, cr0),
                              [2] = offsetof(struct cpu, cr2),
                              [3] = offsetof(struct cpu, cr3),
                              [4] = offsetof(struct cpu, cr4)};
    unsigned n = f->i->reg, size = f->n == 8 ? 8 : 4;
    if (n > 7 || !at[n] || f->i->is_mem || !may_be_kernel(f)) return false;
    at_cpl0(f);
    add(f, IR_LDCPU, size, IR_T0, IR_NONE)->imm = at[n];
    add(f, IR_MOV, size, f->i->rm, IR_T0);
    return true;
}
// A lone processor has nobody to give up its turn to.
bool front_pause(struct front *f)
{
    const struct cpu_model *m = f->c ? f->c->model : NULL;
    return m && m->cores * m->threads * max_u64(m->packages, 1) <= 1;
}

// ---- SYSCALL and SYSRET between 64-bit code at CPL 3 and 0. What they depend on and systems set once is
// checked to be what it is now, so that selectors, attributes and the new mode are constants. cpu/far.c has the whole.
enum { FLAT64 = SEG_G | SEG_P | SEG_S | SEG_ACCESSED | SEG_READ };

static void set_field(struct front *f, unsigned size, size_t offset, i64 v)
{
    add(f, IR_STIMM, size, IR_NONE, IR_NONE)->imm = (i64)((u64)v << 32 | offset);
}
// Base, rend and wend are the same for all flat segments of 64-bit code.
static void set_segment(struct front *f, unsigned s, u16 sel, unsigned attr)
{
    _Static_assert(offsetof(struct seg, attr) == offsetof(struct seg, sel) + 2, "stored as one");
    set_field(f, 4, SEG_FIELD(s, limit), -1);
    set_field(f, 4, SEG_FIELD(s, sel), (i32)(sel | (u32)attr << 16));
    set_field(f, 1, SEG_FIELD(s, usable), 1);
    set_field(f, 4, SEG_FIELD(s, base_legacy), 0);
}
static unsigned tlb_set(const struct front *f) { return (f->key & MODE_TLB) >> MODE_TLB_SHIFT; }
static bool kernel_set(const struct front *f)
{
    return tlb_set(f) == TLBSET_KERNEL || tlb_set(f) == TLBSET_KERNEL_NOUSER;
}
static bool may_cross(struct front *f)
{
    const struct cpu *c = f->c;
    if (!f->code64 || !(c->efer & EFER_SCE)) return false;
    CHECK_FIELD(f, 4, attn, 0); // nor TF, RF
    CHECK_FIELD(f, 4, efer, c->efer);
    CHECK_FIELD(f, 4, cr4, c->cr4);
    add(f, IR_CHECK, 4, IR_NONE, IR_NONE)->imm = (i64)(c->star & ~(u64)0xffffffff) | (offsetof(struct cpu, star) + 4);
    return true;
}
// T0 = RIP there.
static size_t look_up_in(struct front *f, u32 mode)
{
    size_t gen = !(mode & MODE_USER) && (f->c->cr4 & CR4_PGE) ? offsetof(struct cpu, tlb_gen_global)
                                                              : offsetof(struct cpu, tlb_gen);
    struct ir_op *o = add(f, IR_LOOKUP, 8, IR_NONE, IR_T0);
    o->imm = mode;
    o->disp = (i32)gen;
    return gen;
}
// All but CS, SS, EFLAGS: cpu_update_mode().
static void cross_to(struct front *f, u32 mode, unsigned set, size_t gen)
{
    set_field(f, 1, offsetof(struct cpu, cpl), mode & MODE_USER ? 3 : 0);
    set_field(f, 4, offsetof(struct cpu, mode), mode);
    set_field(f, 4, offsetof(struct cpu, jump_context), mode);
    add(f, IR_LDCPU, 4, IR_T0, IR_NONE)->imm = (i64)gen;
    add(f, IR_STCPU, 4, IR_NONE, IR_T0)->imm = offsetof(struct cpu, jump_context) + 4;
    u64 table = offsetof(struct cpu, tlbs) + set * sizeof(struct tlb_set);
    add(f, IR_STADDR, 8, IR_NONE, IR_NONE)->imm = (i64)(table << 32 | offsetof(struct cpu, tlb));
    add(f, IR_GO, 0, IR_NONE, IR_NONE);
}
static void cross(struct front *f, u32 mode, unsigned set, size_t gen)
{
    set_field(f, 4, offsetof(struct cpu, cc_op), CC_EFLAGS);
    set_field(f, 1, offsetof(struct cpu, no_step), 1);
    cross_to(f, mode, set, gen);
}
bool front_syscall(struct front *f)
{
    if (!f->c) return false; // tests of the front end have no processor
    const struct cpu *c = f->c;
    // With SMAP the tables that follow are known only if AC is among the flags that are cleared.
    bool smap = c->cr4 & CR4_SMAP;
    unsigned set = smap ? TLBSET_KERNEL_NOUSER : TLBSET_KERNEL;
    u32 mode = (f->key & ~(u32)(MODE_USER | MODE_TLB)) | set << MODE_TLB_SHIFT;
    u16 sel = (c->star >> 32) & 0xfffc;
    if (tlb_set(f) != TLBSET_USER || (smap && !(c->sfmask & FL_AC)) || !may_cross(f)) return false;
    CHECK_FIELD(f, 4, sfmask, c->sfmask);
    add(f, IR_GETFL, 4, IR_T0, IR_NONE);
    add(f, IR_KEEP, 8, IR_NONE, IR_T0);
    add(f, IR_LDCPU, 8, IR_T0, IR_NONE)->imm = offsetof(struct cpu, lstar);
    size_t gen = look_up_in(f, mode);
    add(f, IR_RIP, 8, R_RCX, IR_NONE)->imm = f->off;
    add(f, IR_KEPT, 8, IR_T0, IR_NONE);
    add(f, IR_MOV, 8, 11, IR_T0);
    add(f, IR_MASK, 4, IR_T0, IR_NONE)->imm = ~((u32)c->sfmask | FL_RF) & 0x3f7fd7;
    add(f, IR_STCPU, 4, IR_NONE, IR_T0)->imm = offsetof(struct cpu, eflags);
    add(f, IR_SETFL, 4, IR_NONE, IR_NONE)->imm = FL_R1;
    set_segment(f, S_CS, sel, FLAT64 | SEG_CODE | SEG_L);
    set_segment(f, S_SS, sel + 8, FLAT64 | SEG_DB);
    cross(f, mode, set, gen);
    return true;
}
// A target that is not canonical is in no jump cache.
bool front_sysret(struct front *f)
{
    if (!f->c) return false; // tests of the front end have no processor
    const struct cpu *c = f->c;
    u32 mode = (f->key & ~(u32)MODE_TLB) | MODE_USER | TLBSET_USER << MODE_TLB_SHIFT;
    u16 sel = c->star >> 48;
    if (f->n != 8 || !may_be_kernel(f) || !c->model || !kernel_set(f) || !may_cross(f)) return false;
    at_cpl0(f);
    add(f, IR_BITS, 4, IR_NONE, 11)->imm = FL_TF | FL_AC;
    add(f, IR_MOV, 8, IR_T0, R_RCX);
    size_t gen = look_up_in(f, mode);
    add(f, IR_MOV, 4, IR_T0, 11);
    add(f, IR_MASK, 4, IR_T0, IR_NONE)->imm = 0x3c7fd7;
    add(f, IR_STCPU, 4, IR_NONE, IR_T0)->imm = offsetof(struct cpu, eflags);
    add(f, IR_SETFL, 4, IR_NONE, IR_NONE)->imm = FL_R1;
    set_segment(f, S_CS, (sel + 16) | 3, FLAT64 | SEG_DPL | SEG_CODE | SEG_L);
    if (c->model->vendor_id == VENDOR_AMD)
        set_field(f, 2, SEG_FIELD(S_SS, sel), (u16)(sel + 8));
    else
        set_segment(f, S_SS, (sel + 8) | 3, FLAT64 | SEG_DPL | SEG_DB);
    cross(f, mode, TLBSET_USER, gen);
    return true;
}

bool front_rdtsc(struct front *f)
{
    add(f, IR_OFF, 4, IR_NONE, IR_NONE)->imm = (i64)((u64)CR4_TSD << 32 | offsetof(struct cpu, cr4));
    add(f, IR_TSC, 0, IR_NONE, IR_NONE);
    if (f->i->op == OP_RDTSC) return true;
    add(f, IR_LDCPU, 4, IR_T0, IR_NONE)->imm = offsetof(struct cpu, tsc_aux);
    add(f, IR_MOV, 4, R_RCX, IR_T0);
    return true;
}

// ---- STAC and CLAC: where SMAP is on they choose other tables.
static bool set_ac(struct front *f, bool on)
{
    const struct cpu *c = f->c;
    if (!c || !may_be_kernel(f) || !protected(f) || !kernel_set(f) || !(c->cr4 & CR4_SMAP)) return false;
    if (!f->code64 && (f->key & (MODE_CODE | MODE_FLAT)) != (MODE_32 | MODE_FLAT)) return false;
    unsigned set = on ? TLBSET_KERNEL : TLBSET_KERNEL_NOUSER;
    u32 mode = (f->key & ~(u32)MODE_TLB) | set << MODE_TLB_SHIFT;
    at_cpl0(f);
    CHECK_FIELD(f, 4, attn, 0); // nor TF, RF
    CHECK_FIELD(f, 4, cr4, c->cr4);
    add(f, IR_RIP, f->code64 ? 8 : 4, IR_T0, IR_NONE)->imm = f->off;
    size_t gen = look_up_in(f, mode);
    add(f, on ? IR_SETFL : IR_CLRFL, 4, IR_NONE, IR_NONE)->imm = FL_AC;
    cross_to(f, mode, set, gen);
    return true;
}
bool front_stac(struct front *f) { return set_ac(f, true); }
bool front_clac(struct front *f) { return set_ac(f, false); }

// ---- SYSENTER and SYSEXIT between flat 32-bit code, outside long mode, likewise. The arithmetic flags stay in their
// record.
static bool may_enter(struct front *f, unsigned set)
{
    const struct cpu *c = f->c; // NULL: tests of the front end have no processor
    u32 flat32 = MODE_32 | MODE_SS32 | MODE_PE | MODE_FLAT;
    if (!c || (f->key & (MODE_CODE | MODE_SS32 | MODE_PE | MODE_FLAT | MODE_VM | MODE_LMA)) != flat32) return false;
    if (tlb_set(f) != set || (c->cr4 & CR4_SMAP) || !(c->sysenter_cs & 0xfffc)) return false;
    CHECK_FIELD(f, 4, attn, 0); // nor TF, RF
    CHECK_FIELD(f, 4, cr4, c->cr4);
    CHECK_FIELD(f, 2, sysenter_cs, (u16)c->sysenter_cs);
    return true;
}
bool front_sysenter(struct front *f)
{
    u32 mode = (f->key & ~(u32)(MODE_USER | MODE_TLB)) | TLBSET_KERNEL << MODE_TLB_SHIFT;
    if (!(f->key & MODE_USER) || !may_enter(f, TLBSET_USER)) return false;
    u16 sel = f->c->sysenter_cs & 0xfffc;
    add(f, IR_LDCPU, 4, IR_T0, IR_NONE)->imm = offsetof(struct cpu, sysenter_eip);
    size_t gen = look_up_in(f, mode);
    add(f, IR_LDCPU, 4, IR_T0, IR_NONE)->imm = offsetof(struct cpu, sysenter_esp);
    add(f, IR_MOV, 4, R_RSP, IR_T0);
    add(f, IR_LDCPU, 4, IR_T0, IR_NONE)->imm = offsetof(struct cpu, eflags);
    add(f, IR_MASK, 4, IR_T0, IR_NONE)->imm = 0x7fffffff & ~(i64)(FL_VM | FL_IF | FL_RF);
    add(f, IR_STCPU, 4, IR_NONE, IR_T0)->imm = offsetof(struct cpu, eflags);
    set_segment(f, S_CS, sel, FLAT64 | SEG_CODE | SEG_DB);
    set_segment(f, S_SS, sel + 8, FLAT64 | SEG_DB);
    cross_to(f, mode, TLBSET_KERNEL, gen);
    return true;
}
bool front_sysexit(struct front *f)
{
    u32 mode = (f->key & ~(u32)MODE_TLB) | MODE_USER | TLBSET_USER << MODE_TLB_SHIFT;
    if (f->n == 8 || (f->key & MODE_USER) || !may_enter(f, TLBSET_KERNEL)) return false;
    u16 sel = f->c->sysenter_cs & 0xfffc;
    at_cpl0(f);
    add(f, IR_OFF, 4, IR_NONE, IR_NONE)->imm = (i64)((u64)FL_AC << 32 | offsetof(struct cpu, eflags));
    add(f, IR_MOV, 4, IR_T0, R_RDX);
    size_t gen = look_up_in(f, mode);
    add(f, IR_MOV, 4, R_RSP, R_RCX);
    set_segment(f, S_CS, (sel + 16) | 3, FLAT64 | SEG_DPL | SEG_CODE | SEG_DB);
    set_segment(f, S_SS, (sel + 24) | 3, FLAT64 | SEG_DPL | SEG_DB);
    cross_to(f, mode, TLBSET_USER, gen);
    return true;
}

// ---- IRET and INT n that repeat one: cpu/repeat.c
static bool may_repeat(const struct front *f)
{
    const u32 flat32 = MODE_32 | MODE_SS32 | MODE_PE | MODE_FLAT;
    if (!f->c || tlb_set(f) >= TLBSET_NONE) return false; // tests of the front end have no processor
    return f->code64 || (f->key & (MODE_CODE | MODE_SS32 | MODE_PE | MODE_FLAT | MODE_VM | MODE_LMA)) == flat32;
}
bool front_iret(struct front *f)
{
    if (!may_repeat(f) || !may_be_kernel(f) || f->n != (f->code64 ? 8 : 4)) return false;
    add(f, IR_IRET, f->n, IR_NONE, IR_NONE);
    return true;
}
bool front_int(struct front *f)
{
    if (!may_repeat(f)) return false;
    add(f, IR_GETFL, 4, IR_T0, IR_NONE);
    struct ir_op *o = add(f, IR_INT, f->code64 ? 8 : 4, IR_NONE, IR_T0);
    o->imm = (u8)f->i->imm;
    o->disp = f->off;
    return true;
}

// Neither mode nor translations change, and what else could makes exec.c leave the block.
bool front_goes_on(const struct insn *i)
{
    switch (i->op) {
    case OP_CLI:
    case OP_STI:
    case OP_POPF:
    case OP_SWAPGS:
    case OP_PAUSE:
    case OP_RDTSC:
    case OP_RDTSCP:
    case OP_RDMSR:
    case OP_CPUID:
    case OP_MOV_SwEw:
    case OP_POP_ES:
    case OP_POP_SS:
    case OP_POP_DS:
    case OP_POP_FS:
    case OP_POP_GS:
    case OP_MOV_RdCd:
    case OP_WRFSBASE_Ry:
    case OP_WRGSBASE_Ry: return true;
    default: return false;
    }
}
