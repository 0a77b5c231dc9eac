// SPDX-License-Identifier: MIT
// Far transfers: JMP, CALL, RET, IRET through code segments, call gates, task gates and TSSs; SYSCALL, SYSENTER and
// their returns. SDM vol. 2 (JMP, CALL, RET, IRET, SYSCALL …), vol. 3 5.8, 7.2, 20.2; APM vol. 3 where AMD differs.
// Every check comes before the first change; within a check the order is the manual's.
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/seg.h"

enum { // system descriptor types, SDM vol. 3 table 3-2
    SYS_TSS16 = 1,
    SYS_CALL16 = 4,
    SYS_TASK = 5,
    SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11,
    SYS_CALL32 = 12
};

static bool is_amd(const struct cpu *c) { return c->model && c->model->vendor_id == VENDOR_AMD; }

static u64 cut(u64 v, unsigned opsize) { return v & size_mask(opsize); }

// ---- checks on the target

// The new instruction pointer against the code segment that comes.
static void check_ip(struct cpu *c, const struct desc *cs, u64 ip)
{
    if (cpu_lma(c) && (cs->attr & SEG_L)) {
        if (!lin_canonical(ip)) cpu_raise_err(c, EXC_GP, 0);
    } else if ((u32)ip > cs->limit) {
        cpu_raise_err(c, EXC_GP, 0);
    }
}

static u64 legal_ip(struct cpu *c, const struct desc *cs, u64 ip)
{
    return cpu_lma(c) && (cs->attr & SEG_L) ? ip : (u32)ip;
}

static void check_code_bits(struct cpu *c, u16 sel, const struct desc *d)
{
    if (cpu_lma(c) && (d->attr & SEG_L) && (d->attr & SEG_DB)) seg_fault(c, EXC_GP, sel);
}

// Direct JMP or CALL to a code segment: privilege stays.
static void check_code_direct(struct cpu *c, u16 sel, const struct desc *d)
{
    check_code_bits(c, sel, d);
    if (d->attr & SEG_CONFORMING) {
        if (attr_dpl(d->attr) > c->cpl) seg_fault(c, EXC_GP, sel);
    } else if ((sel & 3u) > c->cpl || attr_dpl(d->attr) != c->cpl) {
        seg_fault(c, EXC_GP, sel);
    }
    if (!(d->attr & SEG_P)) seg_fault(c, EXC_NP, sel);
}

static void read_target(struct cpu *c, u16 sel, struct desc *d)
{
    if (sel_null(sel)) cpu_raise_err(c, EXC_GP, 0);
    if (!seg_read_desc(c, sel, d, NULL)) seg_fault(c, EXC_GP, sel);
}

static void gate_visible(struct cpu *c, u16 sel, const struct desc *d)
{
    if (attr_dpl(d->attr) < c->cpl || attr_dpl(d->attr) < (sel & 3u)) seg_fault(c, EXC_GP, sel);
}

static void set_cs_ip(struct cpu *c, u16 sel, struct desc *d, u64 ip, unsigned cpl)
{
    seg_touch(c, sel, d);
    c->cpl = cpl;
    seg_install(c, S_CS, (sel & ~3) | cpl, d);
    c->gpr[R_RIP] = legal_ip(c, d, ip);
}

// ---- gates

struct call_gate {
    u16 sel;
    u64 off;
    unsigned params, size; // of a pushed word
};

static void gate_decode(struct cpu *c, u16 gsel, const struct desc *d, struct call_gate *g)
{
    g->sel = d->lo >> 16;
    g->off = d->lo & 0xffff;
    g->params = d->hi & 31;
    if (cpu_lma(c)) {
        u64 lin;
        seg_desc_addr(c, gsel, 16, &lin);
        g->off |= (d->hi & 0xffff0000) | sys_load(c, lin + 8, 4) << 32;
        g->params = 0;
        g->size = 8;
    } else if ((d->attr & SEG_TYPE) == SYS_CALL32) {
        g->off |= d->hi & 0xffff0000;
        g->size = 4;
    } else {
        g->size = 2;
    }
}

// The code segment behind a call gate. May be more privileged unless `jump` and not conforming.
static void gate_target(struct cpu *c, const struct call_gate *g, struct desc *cs, bool jump)
{
    read_target(c, g->sel, cs);
    if (!attr_is_code(cs->attr) || attr_dpl(cs->attr) > c->cpl) seg_fault(c, EXC_GP, g->sel);
    if (jump && !(cs->attr & SEG_CONFORMING) && attr_dpl(cs->attr) != c->cpl) seg_fault(c, EXC_GP, g->sel);
    if (cpu_lma(c) && (!(cs->attr & SEG_L) || (cs->attr & SEG_DB))) seg_fault(c, EXC_GP, g->sel);
    if (!(cs->attr & SEG_P)) seg_fault(c, EXC_NP, g->sel);
}

static void task_transfer(struct cpu *c, u16 sel, const struct desc *d, enum task_why why)
{
    u16 tss = sel;
    struct desc t = *d;
    gate_visible(c, sel, d);
    if ((d->attr & SEG_TYPE) == SYS_TASK) {
        if (!(d->attr & SEG_P)) seg_fault(c, EXC_NP, sel);
        tss = d->lo >> 16;
        if (sel_null(tss)) cpu_raise_err(c, EXC_GP, 0);
        if ((tss & 4) || !seg_read_desc(c, tss, &t, NULL)) seg_fault(c, EXC_GP, tss);
    } else if (tss & 4) {
        seg_fault(c, EXC_GP, tss);
    }
    unsigned type = t.attr & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS16 && type != SYS_TSS32) seg_fault(c, EXC_GP, tss);
    if (!(t.attr & SEG_P)) seg_fault(c, EXC_NP, tss);
    task_switch(c, tss, &t, why, false, 0);
}

// What stands behind a far pointer that is no code segment; returns for call gates only.
static void check_system(struct cpu *c, u16 sel, const struct desc *d, enum task_why why, struct call_gate *g)
{
    unsigned type = d->attr & (SEG_S | SEG_TYPE);
    switch (type) {
    case SYS_CALL16:
        if (cpu_lma(c)) break;
        // fall through
    case SYS_CALL32:
        gate_visible(c, sel, d);
        if (!(d->attr & SEG_P)) seg_fault(c, EXC_NP, sel);
        gate_decode(c, sel, d, g);
        return;
    case SYS_TSS16:
    case SYS_TSS32:
    case SYS_TASK:
        if (cpu_lma(c)) break;
        task_transfer(c, sel, d, why);
        g->size = 0;
        return;
    }
    seg_fault(c, EXC_GP, sel);
}

// ---- JMP

static void real_cs_ip(struct cpu *c, u16 sel, u64 ip)
{
    if (ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
    seg_load_real(c, S_CS, sel);
    c->gpr[R_RIP] = ip;
}

void far_jmp(struct cpu *c, u16 sel, u64 off, unsigned opsize)
{
    struct desc d;
    struct call_gate g = {0};
    off = cut(off, opsize);
    if (!cpu_protected(c)) {
        real_cs_ip(c, sel, off);
        return;
    }
    read_target(c, sel, &d);
    if (attr_is_code(d.attr)) {
        check_code_direct(c, sel, &d);
        check_ip(c, &d, off);
        set_cs_ip(c, sel, &d, off, c->cpl);
        return;
    }
    check_system(c, sel, &d, TASK_JMP, &g);
    if (!g.size) return;
    gate_target(c, &g, &d, true);
    check_ip(c, &d, g.off);
    set_cs_ip(c, g.sel, &d, g.off, c->cpl);
}

// ---- CALL

// Through a gate to an inner level: the stack comes from the TSS, parameters are copied (SDM vol. 3 5.8.5).
static void call_inner(struct cpu *c, const struct call_gate *g, struct desc *cs)
{
    struct frame f = {.size = g->size};
    struct desc ssd;
    unsigned cpl = attr_dpl(cs->attr);
    u16 ss = cpl;
    u64 ip = cut(g->off, g->size);
    if (cpu_lma(c)) {
        f.sp = task_rsp64(c, cpl);
        f.flat = true;
        if (!lin_canonical(f.sp)) cpu_raise_err(c, EXC_SS, 0);
    } else {
        task_stack(c, cpl, &ss, &f.sp);
        if (sel_null(ss)) cpu_raise_err(c, EXC_TS, 0);
        if (!seg_read_desc(c, ss, &ssd, NULL)) seg_fault(c, EXC_TS, ss);
        if ((ss & 3u) != cpl || attr_dpl(ssd.attr) != cpl || !attr_is_data(ssd.attr) || !(ssd.attr & SEG_WRITE))
            seg_fault(c, EXC_TS, ss);
        if (!(ssd.attr & SEG_P)) seg_fault(c, EXC_SS, ss);
        f.ss = (struct seg){.base = ssd.base, .limit = ssd.limit, .attr = ssd.attr, .usable = true};
        f.err = ss & 0xfffc;
    }
    frame_push(&f, c->seg[S_SS].sel);
    frame_push(&f, c->gpr[R_RSP]);
    for (unsigned i = g->params; i-- > 0;) frame_push(&f, stack_peek(c, i * g->size, g->size));
    frame_push(&f, c->seg[S_CS].sel);
    frame_push(&f, c->gpr[R_RIP]);
    frame_check(c, &f);
    check_ip(c, cs, ip);
    if (!cpu_lma(c)) seg_touch(c, ss, &ssd);
    seg_touch(c, g->sel, cs);
    u64 sp = frame_commit(c, &f);
    c->cpl = cpl;
    if (cpu_lma(c))
        seg_install_null(c, S_SS, cpl);
    else
        seg_install(c, S_SS, ss, &ssd);
    set_cs_ip(c, g->sel, cs, ip, cpl);
    if (!f.flat && !(ssd.attr & SEG_DB))
        c->gpr[R_RSP] = (c->gpr[R_RSP] & ~(u64)0xffff) | (sp & 0xffff);
    else
        c->gpr[R_RSP] = sp;
}

static void call_same(struct cpu *c, u16 sel, struct desc *cs, u64 ip, unsigned size)
{
    struct frame f;
    frame_present(c, &f, size);
    // A 64-bit gate, or a 64-bit target reached from compatibility mode, still pushes on the present stack.
    frame_push(&f, c->seg[S_CS].sel);
    frame_push(&f, c->gpr[R_RIP]);
    frame_check(c, &f);
    check_ip(c, cs, ip);
    seg_touch(c, sel, cs);
    c->gpr[R_RSP] = frame_commit(c, &f);
    set_cs_ip(c, sel, cs, ip, c->cpl);
}

void far_call(struct cpu *c, u16 sel, u64 off, unsigned opsize)
{
    struct desc d;
    struct call_gate g = {0};
    off = cut(off, opsize);
    if (!cpu_protected(c)) {
        struct frame f;
        frame_present(c, &f, opsize);
        frame_push(&f, c->seg[S_CS].sel);
        frame_push(&f, c->gpr[R_RIP]);
        frame_check(c, &f);
        if (off > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
        c->gpr[R_RSP] = frame_commit(c, &f);
        seg_load_real(c, S_CS, sel);
        c->gpr[R_RIP] = off;
        return;
    }
    read_target(c, sel, &d);
    if (attr_is_code(d.attr)) {
        check_code_direct(c, sel, &d);
        call_same(c, sel, &d, off, opsize);
        return;
    }
    check_system(c, sel, &d, TASK_CALL, &g);
    if (!g.size) return;
    gate_target(c, &g, &d, false);
    if (!(d.attr & SEG_CONFORMING) && attr_dpl(d.attr) < c->cpl)
        call_inner(c, &g, &d);
    else
        call_same(c, g.sel, &d, cut(g.off, g.size), g.size);
}

// ---- returns

struct ret_target {
    u16 cs, ss;
    u64 ip, sp;
    struct desc csd, ssd;
    bool outer;   // to a less privileged level
    bool load_ss; // SS:RSP come from the stack
    bool ss_null;
};

// Checks CS (and SS if the level changes or the frame has one) of RET and IRET.
static void ret_check_cs(struct cpu *c, struct ret_target *t)
{
    unsigned rpl = t->cs & 3;
    read_target(c, t->cs, &t->csd);
    if (!attr_is_code(t->csd.attr)) seg_fault(c, EXC_GP, t->cs);
    check_code_bits(c, t->cs, &t->csd);
    if (rpl < c->cpl) seg_fault(c, EXC_GP, t->cs);
    if (t->csd.attr & SEG_CONFORMING ? attr_dpl(t->csd.attr) > rpl : attr_dpl(t->csd.attr) != rpl)
        seg_fault(c, EXC_GP, t->cs);
    if (!(t->csd.attr & SEG_P)) seg_fault(c, EXC_NP, t->cs);
    t->outer = rpl > c->cpl;
}

static void ret_check_ss(struct cpu *c, struct ret_target *t)
{
    unsigned rpl = t->cs & 3;
    if (sel_null(t->ss)) {
        if (!cpu_lma(c) || !(t->csd.attr & SEG_L) || rpl == 3 || (t->ss & 3u) != rpl) cpu_raise_err(c, EXC_GP, 0);
        t->ss_null = true;
        return;
    }
    if (!seg_read_desc(c, t->ss, &t->ssd, NULL)) seg_fault(c, EXC_GP, t->ss);
    if ((t->ss & 3u) != rpl || !attr_is_data(t->ssd.attr) || !(t->ssd.attr & SEG_WRITE) || attr_dpl(t->ssd.attr) != rpl)
        seg_fault(c, EXC_GP, t->ss);
    if (!(t->ssd.attr & SEG_P)) seg_fault(c, EXC_SS, t->ss);
}

// Everything has been checked: CS:RIP, SS:RSP. `release` bytes go from the stack that is current afterwards.
static void ret_commit(struct cpu *c, struct ret_target *t, u64 release)
{
    unsigned rpl = t->cs & 3;
    seg_touch(c, t->cs, &t->csd);
    if (t->load_ss) {
        if (!t->ss_null) seg_touch(c, t->ss, &t->ssd);
        c->cpl = rpl;
        seg_install(c, S_CS, t->cs, &t->csd);
        if (t->ss_null)
            seg_install_null(c, S_SS, t->ss);
        else
            seg_install(c, S_SS, t->ss, &t->ssd);
        c->gpr[R_RIP] = legal_ip(c, &t->csd, t->ip);
        if (cpu_code64(c))
            c->gpr[R_RSP] = t->sp;
        else if (c->mode & MODE_SS32)
            c->gpr[R_RSP] = (u32)t->sp;
        else // the part above SP is not restored by a 16-bit stack
            c->gpr[R_RSP] = (c->gpr[R_RSP] & ~(u64)0xffff) | (t->sp & 0xffff);
        if (release) stack_add(c, release);
        if (t->outer) seg_drop_inner(c);
    } else {
        seg_install(c, S_CS, t->cs, &t->csd);
        c->gpr[R_RIP] = legal_ip(c, &t->csd, t->ip);
    }
}

void far_ret(struct cpu *c, unsigned opsize, u16 pop_bytes)
{
    struct ret_target t = {0};
    t.ip = stack_peek(c, 0, opsize);
    t.cs = stack_peek(c, opsize, opsize);
    if (!cpu_protected(c)) {
        if (t.ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
        stack_add(c, 2 * opsize + pop_bytes);
        seg_load_real(c, S_CS, t.cs);
        c->gpr[R_RIP] = t.ip;
        return;
    }
    ret_check_cs(c, &t);
    if (!t.outer) {
        check_ip(c, &t.csd, t.ip);
        // The stack pointer moves when CS is loaded: where RET leads into 64-bit code processors add to all of RSP.
        seg_touch(c, t.cs, &t.csd);
        ret_commit(c, &t, 0);
        stack_add(c, 2 * opsize + pop_bytes);
        return;
    }
    t.sp = stack_peek(c, 2 * opsize + pop_bytes, opsize);
    t.ss = stack_peek(c, 3 * opsize + pop_bytes, opsize);
    t.load_ss = true;
    ret_check_ss(c, &t);
    check_ip(c, &t.csd, t.ip);
    ret_commit(c, &t, pop_bytes);
}

// ---- IRET

static void iret_task(struct cpu *c)
{
    struct desc d;
    if (cpu_lma(c)) cpu_raise_err(c, EXC_GP, 0);
    u16 link = sys_load(c, (u32)c->seg[S_TR].base, 2);
    if ((link & 4) || sel_null(link) || !seg_read_desc(c, link, &d, NULL)) seg_fault(c, EXC_TS, link);
    unsigned type = d.attr & (SEG_S | SEG_TYPE);
    if ((type & ~8u) != (SYS_TSS32_BUSY & ~8u)) seg_fault(c, EXC_TS, link);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, link);
    task_switch(c, link, &d, TASK_IRET, false, 0);
}

// From ring 0 to virtual-8086 mode (SDM vol. 3 20.2.1).
static void iret_to_v86(struct cpu *c, u64 ip, u16 cs, u32 fl)
{
    static const u8 order[] = {S_ES, S_DS, S_FS, S_GS};
    u16 sel[4], ss;
    u32 sp = stack_peek(c, 12, 4);
    ss = stack_peek(c, 16, 4);
    for (unsigned i = 0; i < 4; i++) sel[i] = stack_peek(c, 20 + 4 * i, 4);
    if (ip > 0xffff) cpu_raise_err(c, EXC_GP, 0);
    c->cpl = 3;
    sys_set_eflags(c, fl, ~0u);
    seg_load_real(c, S_CS, cs);
    seg_load_real(c, S_SS, ss);
    for (unsigned i = 0; i < 4; i++) seg_load_real(c, order[i], sel[i]);
    c->gpr[R_RIP] = ip;
    c->gpr[R_RSP] = sp;
}

static void iret_real(struct cpu *c, unsigned opsize)
{
    u64 ip = stack_peek(c, 0, opsize);
    u16 cs = stack_peek(c, opsize, opsize);
    u32 fl = stack_peek(c, 2 * opsize, opsize);
    u32 mask = FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_AC | FL_ID;
    if (opsize == 2) mask &= 0xffff;
    if (ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
    stack_add(c, 3 * opsize);
    seg_load_real(c, S_CS, cs);
    c->gpr[R_RIP] = ip;
    sys_set_eflags(c, fl, mask);
}

static void iret_v86(struct cpu *c, unsigned opsize)
{
    u32 iopl = c->eflags >> 12 & 3;
    if (iopl != 3 && (!(c->cr4 & CR4_VME) || opsize != 2)) cpu_raise_err(c, EXC_GP, 0);
    u64 ip = stack_peek(c, 0, opsize);
    u16 cs = stack_peek(c, opsize, opsize);
    u32 fl = stack_peek(c, 2 * opsize, opsize);
    u32 mask = FL_ARITH | FL_TF | FL_IF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;
    if (ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
    if (opsize == 2) mask &= 0xffff;
    if (iopl != 3) { // VME: the program's IF is VIF
        if ((fl & FL_TF) || ((fl & FL_IF) && (c->eflags & FL_VIP))) cpu_raise_err(c, EXC_GP, 0);
        mask = (mask & ~FL_IF) | FL_VIF;
        fl = (fl & ~FL_VIF) | (fl & FL_IF ? FL_VIF : 0);
    }
    stack_add(c, 3 * opsize);
    seg_load_real(c, S_CS, cs);
    c->gpr[R_RIP] = ip;
    sys_set_eflags(c, fl, mask);
}

// Which flags a protected-mode IRET may write (SDM vol. 2 IRET, RETURN-TO-…-PRIVILEGE-LEVEL).
static u32 iret_mask(const struct cpu *c, unsigned opsize)
{
    u32 mask = FL_ARITH | FL_TF | FL_DF | FL_NT;
    if (opsize != 2) mask |= FL_RF | FL_AC | FL_ID;
    if (c->cpl <= (c->eflags >> 12 & 3)) mask |= FL_IF;
    if (c->cpl == 0) mask |= FL_IOPL | (opsize != 2 ? FL_VIF | FL_VIP : 0);
    return mask;
}

void far_iret(struct cpu *c, unsigned opsize)
{
    struct ret_target t = {0};
    c->nmi_blocked = false; // even if IRET faults (SDM vol. 3 6.7.1)
    if (cpu_real(c)) {
        iret_real(c, opsize);
        return;
    }
    if (c->mode & MODE_VM) {
        iret_v86(c, opsize);
        return;
    }
    if (c->eflags & FL_NT) {
        iret_task(c);
        return;
    }
    unsigned from = c->cpl;
    u32 mask = iret_mask(c, opsize);
    if (repeat_iret(c, opsize, mask)) return;
    t.ip = stack_peek(c, 0, opsize);
    t.cs = stack_peek(c, opsize, opsize);
    u32 fl = stack_peek(c, 2 * opsize, opsize);
    if (opsize == 4 && (fl & FL_VM) && c->cpl == 0 && !cpu_lma(c)) {
        iret_to_v86(c, t.ip, t.cs, fl);
        return;
    }
    ret_check_cs(c, &t);
    t.load_ss = t.outer || cpu_code64(c);
    if (t.load_ss) {
        t.sp = stack_peek(c, 3 * opsize, opsize);
        t.ss = stack_peek(c, 4 * opsize, opsize);
        ret_check_ss(c, &t);
        check_ip(c, &t.csd, t.ip);
    } else {
        check_ip(c, &t.csd, t.ip);
        seg_touch(c, t.cs, &t.csd);
    }
    ret_commit(c, &t, 0);
    if (!t.load_ss) stack_add(c, 3 * opsize); // by the size of the mode that it leads to, as RET does
    sys_set_eflags(c, fl, mask);
    if (opsize >= 4) repeat_note_iret(c, from, &t.csd, t.load_ss ? &t.ssd : NULL);
}

// ---- fast system calls

void far_syscall(struct cpu *c)
{
    bool lma = cpu_lma(c), amd = is_amd(c);
    u16 sel = (c->star >> 32) & 0xfffc;
    if (!(c->efer & EFER_SCE) || !cpu_protected(c) || (!amd && !cpu_code64(c))) cpu_raise(c, EXC_UD);
    if (lma) {
        u64 target = cpu_code64(c) ? c->lstar : c->cstar;
        c->gpr[R_RCX] = c->gpr[R_RIP];
        c->gpr[11] = flags_get(c) & ~FL_RF;
        c->cpl = 0;
        sys_set_eflags(c, 0, (u32)c->sfmask | FL_RF);
        c->no_step = !(c->eflags & FL_TF);
        seg_set_flat64(c, S_CS, sel, true, 0, true);
        seg_set_flat64(c, S_SS, sel + 8, false, 0, false);
        c->gpr[R_RIP] = target;
    } else {
        c->gpr[R_RCX] = (u32)c->gpr[R_RIP];
        c->cpl = 0;
        sys_set_eflags(c, 0, FL_IF | FL_VM | FL_RF);
        seg_set_flat64(c, S_CS, sel, true, 0, false);
        seg_set_flat64(c, S_SS, sel + 8, false, 0, false);
        c->gpr[R_RIP] = (u32)c->star;
    }
}

// AMD leaves the hidden part of SS as it is (APM vol. 3 SYSRET) and does not look at RCX; Intel loads SS and raises
// #GP(0) at CPL 0 for a non-canonical RCX.
void far_sysret(struct cpu *c, unsigned opsize)
{
    bool amd = is_amd(c), from64 = cpu_code64(c);
    u16 sel = c->star >> 48;
    if (!(c->efer & EFER_SCE) || (!amd && !from64)) cpu_raise(c, EXC_UD);
    if (!cpu_protected(c) || c->cpl != 0) cpu_raise_err(c, EXC_GP, 0);
    u64 rip = c->gpr[R_RCX];
    if (!amd && opsize == 8 && !lin_canonical(rip)) cpu_raise_err(c, EXC_GP, 0);
    u32 fl = c->gpr[11];
    c->cpl = 3;
    if (from64 && opsize == 8) {
        seg_set_flat64(c, S_CS, (sel + 16) | 3, true, 3, true);
        c->gpr[R_RIP] = rip;
    } else {
        seg_set_flat64(c, S_CS, sel | 3, true, 3, false);
        c->gpr[R_RIP] = (u32)rip;
    }
    if (amd)
        c->seg[S_SS].sel = sel + 8;
    else
        seg_set_flat64(c, S_SS, (sel + 8) | 3, false, 3, false);
    if (!from64) {
        sys_set_eflags(c, FL_IF, FL_IF);
        return;
    }
    sys_set_eflags(c, fl & 0x3c7fd7, 0x3c7fd7 | FL_RF);
    // The new TF counts, not the old one: a step is taken at the target, as if SYSCALL had just ended there. Other than
    // IRET's TF, which spares one instruction.
    c->no_step = true;
    if (c->eflags & FL_TF) {
        c->dr6_pending |= 1 << 14;
        c->attn |= ATTN_TRAP;
    }
}

void far_sysenter(struct cpu *c)
{
    bool lma = cpu_lma(c);
    if (lma && is_amd(c)) cpu_raise(c, EXC_UD);
    if (cpu_real(c) || sel_null(c->sysenter_cs)) cpu_raise_err(c, EXC_GP, 0);
    u16 sel = c->sysenter_cs & 0xfffc;
    c->cpl = 0;
    sys_set_eflags(c, 0, FL_VM | FL_IF | FL_RF);
    seg_set_flat64(c, S_CS, sel, true, 0, lma);
    seg_set_flat64(c, S_SS, sel + 8, false, 0, false);
    c->gpr[R_RSP] = lma ? c->sysenter_esp : (u32)c->sysenter_esp;
    c->gpr[R_RIP] = lma ? c->sysenter_eip : (u32)c->sysenter_eip;
}

void far_sysexit(struct cpu *c, unsigned opsize)
{
    if (c->cpl != 0) cpu_raise_err(c, EXC_GP, 0); // before #UD on AMD's processors
    if (cpu_lma(c) && is_amd(c)) cpu_raise(c, EXC_UD);
    if (cpu_real(c) || sel_null(c->sysenter_cs)) cpu_raise_err(c, EXC_GP, 0);
    u64 rip = c->gpr[R_RDX], rsp = c->gpr[R_RCX];
    bool to64 = opsize == 8;
    if (to64 && (!lin_canonical(rip) || !lin_canonical(rsp))) cpu_raise_err(c, EXC_GP, 0);
    u16 sel = c->sysenter_cs & 0xfffc;
    c->cpl = 3;
    seg_set_flat64(c, S_CS, (sel + (to64 ? 32 : 16)) | 3, true, 3, to64);
    seg_set_flat64(c, S_SS, (sel + (to64 ? 40 : 24)) | 3, false, 3, false);
    c->gpr[R_RIP] = to64 ? rip : (u32)rip;
    c->gpr[R_RSP] = to64 ? rsp : (u32)rsp;
}
