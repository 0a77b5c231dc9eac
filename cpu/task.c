// SPDX-License-Identifier: MIT
// Task-state segments: stack pointers of inner levels, I/O permission, and the hardware task switch with 16- and 32-bit
// TSSs. SDM vol. 3 chapter 7 (7.3 for the steps, table 7-1 for checks and error codes), vol. 1 19.5.2 for the I/O map.
#include "cpu/access.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

enum { // SDM vol. 3 figures 7-2 and 7-10
    T32_CR3 = 0x1c,
    T32_EIP = 0x20,
    T32_EFLAGS = 0x24,
    T32_REGS = 0x28,
    T32_SEGS = 0x48,
    T32_LDT = 0x60,
    T32_TRAP = 0x64,
    T32_IOMAP = 0x66,
    T32_MIN = 0x67,
    T16_IP = 0x0e,
    T16_FLAGS = 0x10,
    T16_REGS = 0x12,
    T16_SEGS = 0x22,
    T16_LDT = 0x2a,
    T16_MIN = 0x2b,
    TSS_BUSY = 2,
    TSS_32 = 8
};

// ---- what other transfers read

void task_stack(struct cpu *c, unsigned cpl, u16 *ss, u64 *sp)
{
    const struct seg *tr = &c->seg[S_TR];
    bool is32 = tr->attr & TSS_32;
    u32 at = is32 ? 4 + 8 * cpl : 2 + 4 * cpl;
    if (!tr->usable || at + (is32 ? 5 : 3) > tr->limit) seg_fault(c, EXC_TS, tr->sel);
    u32 lin = (u32)tr->base + at;
    *sp = sys_load(c, lin, is32 ? 4 : 2);
    *ss = sys_load(c, (u32)(lin + (is32 ? 4 : 2)), 2);
}

u64 task_rsp64(struct cpu *c, unsigned index)
{
    const struct seg *tr = &c->seg[S_TR];
    u32 at = 4 + 8 * index;
    if (!tr->usable || at + 7 > tr->limit) seg_fault(c, EXC_TS, tr->sel);
    return sys_load(c, tr->base + at, 8);
}

bool task_io_permitted(struct cpu *c, u16 port, unsigned size)
{
    const struct seg *tr = &c->seg[S_TR];
    if (!tr->usable || !(tr->attr & TSS_32) || tr->limit < T32_MIN) return false;
    u64 mask = cpu_lma(c) ? ~(u64)0 : 0xffffffff;
    u32 map = sys_load(c, (tr->base + T32_IOMAP) & mask, 2);
    u32 at = map + port / 8;
    if (at + 1 > tr->limit) return false; // two bytes are read always
    u32 bits_ = sys_load(c, (tr->base + at) & mask, 2);
    return !(bits_ >> port % 8 & ((1u << size) - 1));
}

// ---- the switch

struct task_image {
    u32 ip, flags, reg[8], cr3;
    u16 seg[6], ldt; // in the order of S_ES …
    bool trap;
};

static void image_read(struct cpu *c, u32 base, bool is32, struct task_image *t)
{
    memset(t, 0, sizeof *t);
    if (is32) {
        t->cr3 = sys_load(c, base + T32_CR3, 4);
        t->ip = sys_load(c, base + T32_EIP, 4);
        t->flags = sys_load(c, base + T32_EFLAGS, 4);
        for (u32 i = 0; i < 8; i++) t->reg[i] = sys_load(c, base + T32_REGS + 4 * i, 4);
        for (u32 i = 0; i < 6; i++) t->seg[i] = sys_load(c, base + T32_SEGS + 4 * i, 2);
        t->ldt = sys_load(c, base + T32_LDT, 2);
        t->trap = sys_load(c, base + T32_TRAP, 1) & 1;
        return;
    }
    t->ip = sys_load(c, base + T16_IP, 2);
    t->flags = sys_load(c, base + T16_FLAGS, 2);
    for (u32 i = 0; i < 8; i++) t->reg[i] = 0xffff0000 | sys_load(c, base + T16_REGS + 2 * i, 2);
    for (u32 i = 0; i < 4; i++) t->seg[i] = sys_load(c, base + T16_SEGS + 2 * i, 2);
    t->ldt = sys_load(c, base + T16_LDT, 2);
}

static void image_save(struct cpu *c, u32 base, bool is32, u32 flags)
{
    if (is32) {
        sys_store(c, base + T32_EIP, (u32)c->gpr[R_RIP], 4);
        sys_store(c, base + T32_EFLAGS, flags, 4);
        for (u32 i = 0; i < 8; i++) sys_store(c, base + T32_REGS + 4 * i, (u32)c->gpr[i], 4);
        for (u32 i = 0; i < 6; i++) sys_store(c, base + T32_SEGS + 4 * i, c->seg[i].sel, 2);
        return;
    }
    sys_store(c, base + T16_IP, c->gpr[R_RIP] & 0xffff, 2);
    sys_store(c, base + T16_FLAGS, flags & 0xffff, 2);
    for (u32 i = 0; i < 8; i++) sys_store(c, base + T16_REGS + 2 * i, c->gpr[i] & 0xffff, 2);
    for (u32 i = 0; i < 4; i++) sys_store(c, base + T16_SEGS + 2 * i, c->seg[i].sel, 2);
}

static void set_busy(struct cpu *c, u16 sel, bool busy)
{
    u64 lin;
    if (!seg_desc_addr(c, sel, 8, &lin)) return;
    u64 b = sys_load(c, lin + 5, 1);
    sys_store(c, lin + 5, busy ? b | TSS_BUSY : b & ~(u64)TSS_BUSY, 1);
}

// From here on faults belong to the new task: its registers are loaded, its segments not yet.
static void load_ldt(struct cpu *c, u16 sel)
{
    struct desc d;
    if (sel_null(sel)) return;
    if ((sel & 4) || !seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_TS, sel);
    if ((d.attr & (SEG_S | SEG_TYPE)) != 2 || !(d.attr & SEG_P)) seg_fault(c, EXC_TS, sel);
    seg_install(c, S_LDTR, sel, &d);
}

static void load_cs(struct cpu *c, u16 sel)
{
    struct desc d;
    if (sel_null(sel) || !seg_read_desc(c, sel, &d, NULL) || !attr_is_code(d.attr)) seg_fault(c, EXC_TS, sel);
    unsigned dpl = attr_dpl(d.attr), rpl = sel & 3;
    if (d.attr & SEG_CONFORMING ? dpl > rpl : dpl != rpl) seg_fault(c, EXC_TS, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    seg_touch(c, sel, &d);
    seg_install(c, S_CS, sel, &d);
}

static void load_ss(struct cpu *c, u16 sel)
{
    struct desc d;
    if (sel_null(sel) || !seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_TS, sel);
    if (!attr_is_data(d.attr) || !(d.attr & SEG_WRITE) || attr_dpl(d.attr) != c->cpl || (sel & 3u) != c->cpl)
        seg_fault(c, EXC_TS, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_SS, sel);
    seg_touch(c, sel, &d);
    seg_install(c, S_SS, sel, &d);
}

static void load_data(struct cpu *c, unsigned seg, u16 sel)
{
    struct desc d;
    if (sel_null(sel)) return;
    if (!seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_TS, sel);
    bool code = attr_is_code(d.attr);
    if (!(d.attr & SEG_S) || (code && !(d.attr & SEG_READ))) seg_fault(c, EXC_TS, sel);
    if (!(code && (d.attr & SEG_CONFORMING)) && (attr_dpl(d.attr) < c->cpl || attr_dpl(d.attr) < (sel & 3u)))
        seg_fault(c, EXC_TS, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    seg_touch(c, sel, &d);
    seg_install(c, seg, sel, &d);
}

static void load_context(struct cpu *c, const struct task_image *t, bool is32)
{
    static const u8 data[] = {S_DS, S_ES, S_FS, S_GS};
    if (is32 && (c->cr0 & CR0_PG)) {
        u64 old = c->cr3;
        c->cr3 = t->cr3;
        cpu_hook(c, HOOK_CR, 3, old, t->cr3);
        if ((c->cr4 & CR4_PAE) && !mmu_load_pdptes(c, t->cr3)) cpu_raise_err(c, EXC_GP, 0);
        tlb_flush(c, false);
    }
    load_ldt(c, t->ldt);
    if (t->flags & FL_VM) {
        for (unsigned i = S_ES; i <= S_GS; i++) seg_load_real(c, i, t->seg[i]);
        return;
    }
    load_cs(c, t->seg[S_CS]);
    load_ss(c, t->seg[S_SS]);
    for (unsigned i = 0; i < 4; i++) load_data(c, data[i], t->seg[data[i]]);
}

void task_switch(struct cpu *c, u16 tss_sel, const struct desc *d, enum task_why why, bool has_err, u32 err)
{
    struct task_image t;
    struct seg old = c->seg[S_TR];
    struct desc tr = *d;
    bool is32 = d->attr & TSS_32, old32 = old.attr & TSS_32, nested = why == TASK_CALL || why == TASK_INT;
    u32 base = (u32)d->base, flags = flags_get(c);
    if (d->limit < (u32)(is32 ? T32_MIN : T16_MIN)) seg_fault(c, EXC_TS, tss_sel);
    // Everything that may fault in the old task: both TSSs and their descriptors.
    if (old.usable) sys_probe(c, (u32)old.base, old32 ? T32_LDT : T16_LDT, ACC_WRITE);
    if (nested) sys_probe(c, base, 2, ACC_WRITE);
    u64 lin;
    if (seg_desc_addr(c, tss_sel, 8, &lin)) sys_probe(c, lin + 5, 1, ACC_WRITE);
    image_read(c, base, is32, &t);

    if (!nested && old.usable) set_busy(c, old.sel, false);
    if (why == TASK_IRET) flags &= ~(u32)FL_NT;
    if (old.usable) image_save(c, (u32)old.base, old32, flags);
    if (nested) {
        sys_store(c, base, old.sel, 2);
        t.flags |= FL_NT;
    }
    if (why != TASK_IRET) set_busy(c, tss_sel, true);
    tr.attr |= TSS_BUSY;
    seg_install(c, S_TR, tss_sel, &tr);
    c->cr0 |= CR0_TS;
    c->dr[7] &= ~(u64)0x155; // L0-L3 and LE are the old task's
    for (unsigned i = 0; i < 8; i++) c->gpr[i] = t.reg[i];
    c->gpr[R_RIP] = t.ip;
    c->exc_here = true; // a fault from here on is the new task's
    c->cpl = t.flags & FL_VM ? 3 : t.seg[S_CS] & 3;
    sys_set_eflags(c, t.flags, ~0u);
    for (unsigned i = S_ES; i <= S_GS; i++) {
        seg_install_null(c, i, 0);
        c->seg[i].sel = t.seg[i];
    }
    seg_install_null(c, S_LDTR, 0);
    c->seg[S_LDTR].sel = t.ldt;
    load_context(c, &t, is32);

    if (has_err) {
        struct frame f;
        frame_present(c, &f, is32 ? 4 : 2);
        frame_push(&f, err);
        frame_check(c, &f);
        u64 sp = frame_commit(c, &f);
        c->gpr[R_RSP] = c->seg[S_SS].attr & SEG_DB ? (u32)sp : (c->gpr[R_RSP] & ~(u64)0xffff) | (sp & 0xffff);
    }
    if (t.ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, c->exc_ext);
    c->exc_here = false;
    c->no_step = true;
    if (t.trap) { // debug trap before the new task's first instruction
        c->dr6_pending |= 1 << 15;
        c->attn |= ATTN_TRAP;
    }
}
