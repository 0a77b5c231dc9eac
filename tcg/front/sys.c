// SPDX-License-Identifier: MIT
// Emitters of what kernels do often: PUSHF, POPF, CLI, STI, SWAPGS, reads of selectors (SDM vol. 2). Everything that
// could change the mode, raise, or let an interrupt in goes to the interpreter: each emitter begins with the checks.
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
bool front_mov_from_seg(struct front *f)
{
    if (f->i->reg > S_GS) return false;
    if (f->i->is_mem) mem(f, 2, IR_WR);
    add(f, IR_LDCPU, 2, IR_T0, IR_NONE)->imm = SEG_FIELD(f->i->reg, sel);
    add(f, IR_MOV, f->i->is_mem ? 2 : f->n, f->i->is_mem ? IR_M : f->i->rm, IR_T0);
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
    case OP_MOV_RdCd:
    case OP_WRFSBASE_Ry:
    case OP_WRGSBASE_Ry: return true;
    default: return false;
    }
}
