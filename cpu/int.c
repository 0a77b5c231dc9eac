// SPDX-License-Identifier: MIT
// Interrupts and exceptions: delivery through the IVT, legacy and long-mode IDTs, virtual-8086 mode with VME's
// redirection, double and triple faults. SDM vol. 3 chapter 6, 20.3; vol. 2 INT n for the order of checks.
#include "cpu/access.h"
#include "cpu/flags.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

enum { // gate types, SDM vol. 3 tables 3-2 and 6.11
    GATE_TASK = 5,
    GATE_INT16 = 6,
    GATE_TRAP16 = 7,
    GATE_INT32 = 14,
    GATE_TRAP32 = 15,
    SYS_TSS16 = 1,
    SYS_TSS32 = 9
};

struct gate {
    u16 sel;
    u64 off;
    unsigned size;  // of what is pushed: 2, 4, 8
    bool clears_if; // interrupt gate
    unsigned ist;
    u64 raw[2];
};

// What is to be pushed below the return address.
struct event {
    enum int_kind kind;
    bool has_err;
    u32 err;
    u32 flags; // image of EFLAGS
};

static bool is_soft(enum int_kind k) { return k == INT_SOFT || k == INT_INT3; }

static NORETURN void idt_fault(struct cpu *c, int exc, int vector)
{
    cpu_raise_err(c, exc, (u32)vector * 8 + 2 + c->exc_ext);
}

static void set_sp(struct cpu *c, u64 sp)
{
    if (cpu_code64(c))
        c->gpr[R_RSP] = sp;
    else if (c->seg[S_SS].attr & SEG_DB)
        c->gpr[R_RSP] = (u32)sp;
    else
        c->gpr[R_RSP] = (c->gpr[R_RSP] & ~(u64)0xffff) | (sp & 0xffff);
}

// ---- real mode, and virtual-8086 mode when VME redirects

static void deliver_ivt(struct cpu *c, u64 table, int vector, u32 flags, u32 clear)
{
    struct frame f;
    u32 entry = sys_load(c, table + 4 * (u32)vector, 4);
    u16 ip = entry, cs = entry >> 16;
    frame_present(c, &f, 2);
    frame_push(&f, flags & 0xffff);
    frame_push(&f, c->seg[S_CS].sel);
    frame_push(&f, c->gpr[R_RIP] & 0xffff);
    frame_check(c, &f);
    if (ip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
    set_sp(c, frame_commit(c, &f));
    seg_load_real(c, S_CS, cs);
    c->gpr[R_RIP] = ip;
    sys_set_eflags(c, 0, clear);
}

static void deliver_real(struct cpu *c, int vector)
{
    if ((u32)vector * 4 + 3 > c->idt_limit) cpu_raise_err(c, EXC_GP, (u32)vector * 8 + 2 + c->exc_ext);
    deliver_ivt(c, c->idt_base, vector, flags_get(c), FL_IF | FL_TF | FL_AC | FL_RF);
}

// ---- protected and long mode

static void read_gate(struct cpu *c, int vector, enum int_kind kind, struct gate *g, bool *task)
{
    bool lma = cpu_lma(c);
    u32 off = (u32)vector * (lma ? 16 : 8);
    if (off + (lma ? 15 : 7) > c->idt_limit) idt_fault(c, EXC_GP, vector);
    u64 raw = sys_load(c, c->idt_base + off, 8);
    unsigned type = raw >> 40 & 0x1f;
    bool ok = type == GATE_INT32 || type == GATE_TRAP32 ||
              (!lma && (type == GATE_INT16 || type == GATE_TRAP16 || type == GATE_TASK));
    if (!ok) idt_fault(c, EXC_GP, vector);
    if (is_soft(kind) && (raw >> 45 & 3) < c->cpl) idt_fault(c, EXC_GP, vector);
    if (!(raw >> 47 & 1)) idt_fault(c, EXC_NP, vector);
    *task = type == GATE_TASK;
    g->sel = raw >> 16;
    g->off = raw & 0xffff;
    if (type & 8) g->off |= raw >> 32 & 0xffff0000;
    g->size = type & 8 ? 4 : 2;
    g->clears_if = !(type & 1);
    g->ist = 0;
    g->raw[0] = raw;
    g->raw[1] = 0;
    if (lma) {
        g->raw[1] = sys_load(c, c->idt_base + off + 8, 8);
        g->off |= g->raw[1] << 32;
        g->size = 8;
        g->ist = raw >> 32 & 7;
    }
}

static void through_task_gate(struct cpu *c, u16 sel, const struct event *e)
{
    struct desc d;
    if (sel_null(sel) || (sel & 4) || !seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_GP, sel);
    unsigned type = d.attr & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS16 && type != SYS_TSS32) seg_fault(c, EXC_GP, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    // The image of EFLAGS in the old TSS has RF set for faults.
    c->eflags |= e->flags & FL_RF;
    task_switch(c, sel, &d, TASK_INT, e->has_err, e->err);
}

static void read_handler(struct cpu *c, const struct gate *g, struct desc *cs)
{
    if (sel_null(g->sel)) cpu_raise_err(c, EXC_GP, c->exc_ext);
    if (!seg_read_desc(c, g->sel, cs, NULL)) seg_fault(c, EXC_GP, g->sel);
    if (!attr_is_code(cs->attr) || attr_dpl(cs->attr) > c->cpl) seg_fault(c, EXC_GP, g->sel);
    if (cpu_lma(c) && (!(cs->attr & SEG_L) || (cs->attr & SEG_DB))) seg_fault(c, EXC_GP, g->sel);
    if (!(cs->attr & SEG_P)) seg_fault(c, EXC_NP, g->sel);
    if (c->mode & MODE_VM) // virtual-8086 mode is left for ring 0 only
        if ((cs->attr & SEG_CONFORMING) || attr_dpl(cs->attr) != 0) seg_fault(c, EXC_GP, g->sel);
}

static void inner_stack(struct cpu *c, unsigned cpl, u16 *ss, struct desc *d, struct frame *f)
{
    task_stack(c, cpl, ss, &f->sp);
    if (sel_null(*ss)) cpu_raise_err(c, EXC_TS, c->exc_ext);
    if (!seg_read_desc(c, *ss, d, NULL)) seg_fault(c, EXC_TS, *ss);
    if ((*ss & 3u) != cpl || attr_dpl(d->attr) != cpl || !attr_is_data(d->attr) || !(d->attr & SEG_WRITE))
        seg_fault(c, EXC_TS, *ss);
    if (!(d->attr & SEG_P)) seg_fault(c, EXC_SS, *ss);
    f->ss = (struct seg){.base = d->base, .limit = d->limit, .attr = d->attr, .usable = true};
    f->err = (*ss & 0xfffc) | c->exc_ext;
}

static void push_return(struct cpu *c, struct frame *f, const struct event *e)
{
    frame_push(f, e->flags);
    frame_push(f, c->seg[S_CS].sel);
    frame_push(f, cpu_code64(c) ? c->gpr[R_RIP] : (u32)c->gpr[R_RIP]);
    if (e->has_err) frame_push(f, e->err);
}

static void enter(struct cpu *c, const struct gate *g, struct desc *cs, unsigned cpl)
{
    seg_install(c, S_CS, (g->sel & ~3) | cpl, cs);
    c->gpr[R_RIP] = g->off;
    sys_set_eflags(c, 0, FL_TF | FL_NT | FL_VM | FL_RF | (g->clears_if ? FL_IF : 0));
}

static void through_gate_legacy(struct cpu *c, const struct gate *g, const struct event *e, int vector)
{
    struct desc cs, ssd;
    struct frame f = {0};
    u16 ss = 0;
    unsigned from = c->cpl;
    read_handler(c, g, &cs);
    bool inner = !(cs.attr & SEG_CONFORMING) && attr_dpl(cs.attr) < c->cpl, vm = c->mode & MODE_VM;
    unsigned cpl = inner ? attr_dpl(cs.attr) : c->cpl;
    if (inner) {
        inner_stack(c, cpl, &ss, &ssd, &f);
        f.size = g->size;
        if (vm) {
            frame_push(&f, c->seg[S_GS].sel);
            frame_push(&f, c->seg[S_FS].sel);
            frame_push(&f, c->seg[S_DS].sel);
            frame_push(&f, c->seg[S_ES].sel);
        }
        frame_push(&f, c->seg[S_SS].sel);
        frame_push(&f, c->gpr[R_RSP]);
    } else {
        frame_present(c, &f, g->size);
    }
    push_return(c, &f, e);
    frame_check(c, &f);
    if (g->off > cs.limit) cpu_raise_err(c, EXC_GP, c->exc_ext);
    if (inner) seg_touch(c, ss, &ssd);
    seg_touch(c, g->sel, &cs);
    u64 sp = frame_commit(c, &f);
    c->cpl = cpl;
    if (inner) {
        if (vm) {
            sys_set_eflags(c, 0, FL_VM);
            seg_install_null(c, S_GS, 0);
            seg_install_null(c, S_FS, 0);
            seg_install_null(c, S_DS, 0);
            seg_install_null(c, S_ES, 0);
        }
        seg_install(c, S_SS, ss, &ssd);
    }
    set_sp(c, sp);
    enter(c, g, &cs, cpl);
    if (g->size == 4) repeat_note_int(c, vector, is_soft(e->kind), from, g->raw, &cs, inner ? &ssd : NULL);
}

static void through_gate_long(struct cpu *c, const struct gate *g, const struct event *e, int vector)
{
    struct desc cs;
    struct frame f;
    unsigned from = c->cpl;
    f.n = 0;
    read_handler(c, g, &cs);
    bool inner = !(cs.attr & SEG_CONFORMING) && attr_dpl(cs.attr) < c->cpl;
    unsigned cpl = inner ? attr_dpl(cs.attr) : c->cpl;
    u64 sp = c->gpr[R_RSP];
    if (g->ist)
        sp = task_rsp64(c, 3 + g->ist);
    else if (inner)
        sp = task_rsp64(c, cpl);
    else if (!cpu_code64(c)) // compatibility mode at the same level: the stack is SS:ESP, its base counts as 0 now
        sp &= c->mode & MODE_SS32 ? 0xffffffff : 0xffff;
    if (!lin_canonical(sp)) cpu_raise_err(c, EXC_SS, c->exc_ext);
    f.sp = sp & ~(u64)15;
    f.flat = true;
    f.size = 8;
    f.err = c->exc_ext;
    f.present = cpl == 3; // else the handler's supervisor rights
    frame_push(&f, c->seg[S_SS].sel);
    frame_push(&f, c->gpr[R_RSP]);
    push_return(c, &f, e);
    if (!lin_canonical(g->off)) cpu_raise_err(c, EXC_GP, c->exc_ext);
    if (f.present && !cpu_code64(c)) { // user frames go through SS: make it flat for a handler in 64-bit code at CPL 3
        f.present = false;
    }
    frame_check(c, &f);
    seg_touch(c, g->sel, &cs);
    sp = frame_commit(c, &f);
    c->cpl = cpl;
    enter(c, g, &cs, cpl);
    if (inner) seg_install_null(c, S_SS, cpl);
    set_sp(c, sp);
    repeat_note_int(c, vector, is_soft(e->kind), from, g->raw, &cs, NULL);
}

static void log_event(struct cpu *c, int vector, enum int_kind kind, bool has_err, u32 err)
{
    static const char *const kinds[] = {"hw", "int", "int3", "icebp", "fault", "nmi"};
    log_item(&c->bus->log, LOG_INT,
             "cpu%u: %s v=%02x e=%04x cpl=%u IP=%04x:%016llx SP=%04x:%016llx CR2=%016llx icount=%llu\n", c->index,
             kinds[kind], vector, has_err ? err : 0, c->cpl, c->seg[S_CS].sel, (unsigned long long)c->gpr[R_RIP],
             c->seg[S_SS].sel, (unsigned long long)c->gpr[R_RSP], (unsigned long long)c->cr2,
             (unsigned long long)c->icount);
}

void int_deliver(struct cpu *c, int vector, enum int_kind kind, bool has_err, u32 err)
{
    struct gate g;
    bool task;
    if (c->bus && log_on(&c->bus->log, LOG_INT)) log_event(c, vector, kind, has_err, err);
    trail_event(c, vector, kind, has_err, err, -1);
    cpu_hook(c, HOOK_INT, (u64)vector, kind, err);
    c->exc_ext = !is_soft(kind);
    if (cpu_real(c)) {
        deliver_real(c, vector);
    } else {
        struct event e = {kind, has_err, err, flags_get(c)};
        // Table in SDM vol. 3 17.3.1.1: faults push RF = 1, but for instruction breakpoints (int_exception()
        // tells); so does what comes between the repetitions of a string instruction.
        if (kind == INT_FAULT && vector != EXC_DF && vector != EXC_MC) e.flags |= FL_RF;
        if (c->rep_middle) e.flags |= FL_RF;
        if (!repeat_int(c, vector, is_soft(kind), e.flags, has_err, err)) {
            read_gate(c, vector, kind, &g, &task);
            if (task)
                through_task_gate(c, g.sel, &e);
            else if (cpu_lma(c))
                through_gate_long(c, &g, &e, vector);
            else
                through_gate_legacy(c, &g, &e, vector);
        }
    }
    c->exc_ext = false;
    c->no_step = true;
    if (kind == INT_NMI) c->nmi_blocked = true;
    c->attn &= ~(u32)ATTN_SHADOW;
    c->inhibit_db = false;
}

// ---- INT n and its like

// The bit of the interrupt redirection bitmap, 32 bytes below the I/O map (SDM vol. 3 20.3.2). Beyond the TSS: as 1.
static bool vme_redirects(struct cpu *c, int vector)
{
    const struct seg *tr = &c->seg[S_TR];
    if (!tr->usable || tr->limit < 103 || !(tr->attr & 8)) return false;
    u32 map = sys_load(c, (u32)(tr->base + 102), 2);
    u32 at = map - 32 + (u32)vector / 8;
    if (map < 32 || at > tr->limit) return false;
    return !(sys_load(c, (u32)(tr->base + at), 1) >> vector % 8 & 1);
}

static void int_v86(struct cpu *c, int vector)
{
    u32 fl = flags_get(c), iopl = fl >> 12 & 3;
    if ((c->cr4 & CR4_VME) && vme_redirects(c, vector)) {
        u32 clear = FL_TF | FL_RF | FL_AC, image = fl;
        if (iopl == 3) {
            clear |= FL_IF;
        } else { // the program sees VIF as IF, and IOPL 3
            image = (fl & ~FL_IF) | FL_IOPL | (fl & FL_VIF ? FL_IF : 0);
            clear |= FL_VIF;
        }
        deliver_ivt(c, 0, vector, image, clear);
        c->no_step = true;
        return;
    }
    if (iopl != 3) cpu_raise_err(c, EXC_GP, 0);
    int_deliver(c, vector, INT_SOFT, false, 0);
}

void int_soft(struct cpu *c, int vector, enum int_kind kind)
{
    if (kind == INT_SOFT && (c->mode & MODE_VM))
        int_v86(c, vector);
    else
        int_deliver(c, vector, kind, false, 0);
}

// ---- exceptions

enum exc_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

// SDM vol. 3 table 6-4
static enum exc_class exc_class(int vector)
{
    switch (vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP: return CONTRIBUTORY;
    case EXC_PF: return PAGE_FAULT;
    default: return BENIGN;
    }
}

static void triple_fault(struct cpu *c)
{
    c->halt = CPU_SHUTDOWN;
    c->exc = c->exc_first = -1;
    c->exc_ext = false;
    c->attn |= ATTN_EXIT;
    const struct cpu_hooks *told = c->autopsy ? c->autopsy : c->hooks;
    if (told && (told->wants >> HOOK_TRIPLE & 1)) told->event(c, HOOK_TRIPLE, 0, 0, 0);
    if (log_on(&c->bus->log, LOG_RESET)) log_item(&c->bus->log, LOG_RESET, "cpu%u: triple fault\n", c->index);
    if (c->pins.triple_fault) c->pins.triple_fault(c->pins.owner, c->index);
}

// DR6: B0-B3 and BT tell of this event; BD and BS stay until software clears them. DR7.GD is cleared so that the
// handler can use the debug registers (SDM vol. 3 17.2.3, 17.2.4).
static void debug_latch(struct cpu *c)
{
    c->dr[6] = (c->dr[6] & 0xffff6ff0) | (c->dr6_pending & 0xe00f);
    c->dr6_pending = 0;
    c->dr[7] &= ~(u64)0x2000;
    c->attn &= ~(u32)ATTN_TRAP;
}

void int_exception(struct cpu *c)
{
    int vector = c->exc, first = c->exc_first;
    bool has_err = c->exc_has_err;
    u32 err = c->exc_err;
    enum int_kind kind = INT_FAULT;
    if (first >= 0) {
        trail_event(c, vector, INT_FAULT, has_err, err, first);
        enum exc_class a = exc_class(first), b = exc_class(vector);
        if (first == EXC_DF && b != BENIGN) {
            triple_fault(c);
            return;
        }
        if ((a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN)) {
            vector = EXC_DF;
            has_err = true;
            err = 0;
        }
    }
    bool general_detect = vector == EXC_DB && (c->dr6_pending & 0x2000);
    if (vector == EXC_DB) {
        debug_latch(c);
        if (!general_detect) kind = INT_HW; // no RF in the image: traps, and instruction breakpoints by rule
    }
    c->exc = -1;
    c->exc_first = vector;
    c->monitor_armed = false;
    int_deliver(c, vector, kind, has_err, err);
    c->exc_first = -1;
}
