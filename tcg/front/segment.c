// SPDX-License-Identifier: MIT
// Emitters of what moves selectors: SDM vol. 2 MOV Sreg, PUSH and POP of segment registers. A load into ES, DS, FS or
// GS at CPL 0 (64-bit code, or outside long mode) is done in place if it repeats one that the reference has done: the
// same selector, table and descriptor, as it lies in memory, give the same segment register. To the interpreter: every
// other load.
#include "cpu/access.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "tcg/front/front.h"

#define SEG_FIELD(s, field) (offsetof(struct cpu, seg) + (s) * sizeof(struct seg) + offsetof(struct seg, field))

static unsigned segment_of(const struct insn *i)
{
    switch (i->op) {
    case OP_PUSH_ES:
    case OP_POP_ES: return S_ES;
    case OP_PUSH_CS: return S_CS;
    case OP_PUSH_SS:
    case OP_POP_SS: return S_SS;
    case OP_PUSH_DS:
    case OP_POP_DS: return S_DS;
    case OP_PUSH_FS:
    case OP_POP_FS: return S_FS;
    case OP_PUSH_GS:
    case OP_POP_GS: return S_GS;
    case OP_MOV_EvSw:
    case OP_MOV_SwEw: return i->reg;
    default: return S_COUNT;
    }
}

// ---- stores
bool front_push_seg(struct front *f)
{
    mem_push(f, f->n, 0);
    add(f, IR_LDCPU, 2, IR_T0, IR_NONE)->imm = SEG_FIELD(segment_of(f->i), sel);
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    move_sp(f, -(i32)f->n);
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

// ---- loads
static bool may_load(const struct front *f)
{
    unsigned s = segment_of(f->i);
    u32 mode = f->key & (MODE_PE | MODE_VM | MODE_LMA | MODE_USER | MODE_FLAT);
    return mode == (MODE_PE | MODE_FLAT | (f->code64 ? MODE_LMA : 0)) &&
           (s == S_ES || s == S_DS || s == S_FS || s == S_GS);
}
static void load_segment(struct front *f)
{
    add(f, IR_CHECK, 1, IR_NONE, IR_NONE)->imm = offsetof(struct cpu, cpl); // is 0
    add(f, IR_SEGLOAD, 2, IR_NONE, IR_T0)->imm = segment_of(f->i);
}
bool front_mov_to_seg(struct front *f)
{
    if (!may_load(f)) return false;
    load_t0(f, 2, operand_e(f, 2, IR_RD));
    load_segment(f);
    return true;
}
bool front_pop_seg(struct front *f)
{
    if (!may_load(f)) return false;
    mem_top(f, f->n);
    load_t0(f, 2, IR_M);
    load_segment(f);
    move_sp(f, f->n);
    return true;
}

void tcg_note_load(struct cpu *c, const struct insn *i)
{
    unsigned s = segment_of(i);
    if (s > S_GS || s == S_CS || s == S_SS || c->cpl || !cpu_protected(c)) return;
    if ((c->mode & MODE_LMA) && !cpu_code64(c)) return;
    const struct seg *g = &c->seg[s];
    struct seg_load *n = &c->seg_loads[g->sel >> 3 & (SEG_LOADS - 1)];
    u64 lin, raw = 0;
    if (g->sel & 4) return;
    if (!sel_null(g->sel)) {
        // The descriptor has just been read, so this raises nothing; SEGLOAD finds it by the first-level TLB.
        if (c->tlb != &c->tlbs[TLBSET_KERNEL] || !seg_desc_addr(c, g->sel, 8, &lin)) return;
        u64 pa;
        const void *host = (lin & 0xfff) <= PAGE_SIZE - 8 ? tlb_fill(c, lin, ACC_READ, false, &pa) : NULL;
        if (!host) return;
        raw = ld64(host);
    }
    bool flat = !g->base && g->rend == 0x100000000 && g->wend == g->rend;
    *n = (struct seg_load){.seg = *g,
                           .raw = raw,
                           .gdt_base = c->gdt_base,
                           .sel = g->sel,
                           .gdt_limit = c->gdt_limit,
                           .use = cpu_code64(c) ? SEG_LOAD_64
                                  : flat        ? SEG_LOAD_ANY | SEG_LOAD_FLAT
                                                : SEG_LOAD_ANY};
}
