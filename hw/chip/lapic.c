// SPDX-License-Identifier: MIT
// Local APICs, xAPIC and x2APIC. Intel SDM vol. 3A chapter 11 (APIC), 11.12 (x2APIC), 11.5.4.1 (TSC deadline).
// Version 14h, six local vectors. The timer counts at LAPIC_HZ. A CPU whose APIC is disabled in IA32_APIC_BASE has its
// LINT pins as INTR and NMI; one that is disabled in SVR takes INIT, SIPI, NMI and SMI only, with all local vectors
// masked. The registers' page is one for all CPUs: it moves with the last IA32_APIC_BASE that was written, and a CPU
// whose own base is elsewhere finds nothing there. Stores to the rest of the FEExxxxxh megabyte are messages, as on the
// real bus. Left out: CMCI, suppression of EOI broadcasts (the version does not offer it), remote read (nor do
// processors since P6).
#include <stdlib.h>
#include <string.h>
#include "hw/chip/lapic.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { // register numbers: offset / 10h, and MSR - 800h
    ID = 0x02,
    VERSION,
    TPR = 0x08,
    APR,
    PPR,
    EOI,
    RRD,
    LDR,
    DFR,
    SVR,
    ISR = 0x10,
    TMR = 0x18,
    IRR = 0x20,
    ESR = 0x28,
    ICR = 0x30,
    ICR2,
    LVT = 0x32,
    TIMER_INITIAL = 0x38,
    TIMER_CURRENT,
    TIMER_DIVIDE = 0x3e,
    SELF_IPI
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };
enum { BASE_BSP = 1 << 8, BASE_X2 = 1 << 10, BASE_EN = 1 << 11 };
enum { SVR_ENABLE = 1 << 8, LVT_MASK = 1 << 16, LVT_IRR = 1 << 14, LVT_LEVEL = 1 << 15 };
enum { ESR_SEND_VECTOR = 0x20, ESR_RECEIVE_VECTOR = 0x40, ESR_REGISTER = 0x80 };
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
#define BASE_ADDR     0xfffffff000ull // 40 bits of physical address
#define DEFAULT_BASE  0xfee00000ull
#define TIMER_MIN_GAP 1000 // ns between two expirations: a guest's period of 1 must not stop the machine

static const u32 lvt_bits[LVT_COUNT] = {0x700ff | LVT_MASK, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};

struct lapic {
    struct lapics *set;
    unsigned cpu;
    u64 base; // IA32_APIC_BASE
    u32 id;   // in xAPIC mode; x2APIC's is the CPU's number
    u32 ldr, dfr, svr, tpr;
    u32 isr[8], irr[8], tmr[8];
    u32 esr, esr_new;
    u64 icr;
    u32 lvt[LVT_COUNT];
    u32 initial, divide;
    u64 started;  // ns at which `initial` was loaded
    u64 deadline; // TSC
    bool extint;  // an ExtINT message waits for its acknowledge
    bool intr;    // level at the CPU
    struct timer timer;
};
struct lapics {
    struct bus *bus;
    struct lapic_pins pins;
    struct region *page;
    bool x2apic;
    bool pic, nmi;  // levels of the board's lines
    u32 arbitrated; // who took the last lowest-priority message
    unsigned n;
    struct lapic v[];
};

bool lapics_enabled(const struct lapics *p, unsigned cpu) { return cpu < p->n && p->v[cpu].base & BASE_EN; }
static bool x2(const struct lapic *a) { return a->base & BASE_X2; }
static bool soft_enabled(const struct lapic *a) { return a->base & BASE_EN && a->svr & SVR_ENABLE; }
static u64 now(const struct lapic *a) { return clock_now(&a->set->bus->clock); }

static void deliver(struct lapic *a, unsigned mode, u8 vector, bool level);

// --- vectors and priorities ---

static int top(const u32 v[8])
{
    for (int i = 7; i >= 0; i--)
        if (v[i]) return i * 32 + 31 - __builtin_clz(v[i]);
    return -1;
}
static void put(u32 v[8], u8 n, bool on) { v[n / 32] = on ? v[n / 32] | 1u << n % 32 : v[n / 32] & ~(1u << n % 32); }
static bool has(const u32 v[8], u8 n) { return v[n / 32] >> n % 32 & 1; }

static u8 ppr(const struct lapic *a)
{
    int s = top(a->isr);
    u8 isr = s < 0 ? 0 : s & 0xf0;
    return (a->tpr & 0xf0) >= isr ? (u8)a->tpr : isr;
}

// The vector that the CPU would get from IRR, or -1.
static int pending(const struct lapic *a)
{
    int v = soft_enabled(a) ? top(a->irr) : -1;
    return v >= 0 && (v & 0xf0) > (ppr(a) & 0xf0) ? v : -1;
}

static unsigned lvt_mode(const struct lapic *a, int i) { return bits(a->lvt[i], 10, 8); }

// The 8259s' request reaches this CPU: by the LINT0 pin, or as a message.
static bool pic_through(const struct lapic *a)
{
    if (!(a->base & BASE_EN)) return a->set->pic;
    if (a->extint) return true;
    return a->set->pic && !(a->lvt[LVT_LINT0] & LVT_MASK) && lvt_mode(a, LVT_LINT0) == APIC_EXTINT;
}

static void update(struct lapic *a)
{
    bool level = pending(a) >= 0 || pic_through(a);
    if (level == a->intr) return;
    a->intr = level;
    a->set->pins.intr(a->set->pins.owner, a->cpu, level);
}

int lapics_inta(struct lapics *p, unsigned cpu)
{
    if (cpu >= p->n) return -1;
    struct lapic *a = &p->v[cpu];
    int v = pending(a);
    if (v >= 0) {
        put(a->irr, v, false);
        put(a->isr, v, true);
    } else if (pic_through(a)) {
        a->extint = false;
        v = p->pins.pic_ack(p->pins.owner);
    } else if (a->base & BASE_EN) {
        v = a->svr & 0xff; // the request went away in between
    }
    update(a);
    return v;
}

static void error(struct lapic *a, u32 e)
{
    bool fresh = e & ~a->esr_new;
    a->esr_new |= e;
    u32 l = a->lvt[LVT_ERROR];
    // Errors of the error vector itself are recorded without another interrupt.
    if (fresh && !(l & LVT_MASK) && (l & 0xff) >= 16) deliver(a, APIC_FIXED, (u8)l, false);
}

static void accept_fixed(struct lapic *a, u8 vector, bool level)
{
    if (!soft_enabled(a)) return;
    if (vector < 16) {
        error(a, ESR_RECEIVE_VECTOR);
        return;
    }
    put(a->irr, vector, true);
    put(a->tmr, vector, level);
    update(a);
}

static void eoi(struct lapic *a)
{
    int v = top(a->isr);
    if (v < 0) return;
    put(a->isr, v, false);
    bool level = has(a->tmr, v);
    // A level-triggered LINT pin that is still asserted interrupts again.
    for (int i = LVT_LINT0; i <= LVT_LINT1; i++) {
        if (!level || !(a->lvt[i] & LVT_IRR) || (a->lvt[i] & 0xff) != (u32)v) continue;
        a->lvt[i] &= ~LVT_IRR;
        if (!(a->lvt[i] & LVT_MASK) && (i == LVT_LINT0 ? a->set->pic : a->set->nmi)) {
            a->lvt[i] |= LVT_IRR;
            accept_fixed(a, v, true);
        }
    }
    if (level) a->set->pins.eoi(a->set->pins.owner, v);
    update(a);
}

// --- LINT pins ---

static void lint(struct lapic *a, int i, bool rose)
{
    u32 l = a->lvt[i];
    if (!(a->base & BASE_EN)) {
        if (i == LVT_LINT1 && rose) a->set->pins.nmi(a->set->pins.owner, a->cpu);
    } else if (rose && !(l & LVT_MASK) && lvt_mode(a, i) != APIC_EXTINT) {
        bool level = l & LVT_LEVEL && lvt_mode(a, i) == APIC_FIXED;
        if (!level || !(l & LVT_IRR)) {
            if (level) a->lvt[i] |= LVT_IRR;
            deliver(a, lvt_mode(a, i), (u8)l, level);
        }
    }
    update(a);
}

static void pic_set(void *self, int n, int level)
{
    struct lapics *p = self;
    bool *line = n ? &p->nmi : &p->pic, rose = level && !*line;
    if (*line == !!level) return;
    *line = level;
    for (unsigned i = 0; i < p->n; i++) lint(&p->v[i], n ? LVT_LINT1 : LVT_LINT0, rose);
}
struct irq lapics_pic_line(struct lapics *p) { return (struct irq){pic_set, p, 0}; }
struct irq lapics_nmi_line(struct lapics *p) { return (struct irq){pic_set, p, 1}; }

// --- the timer ---

static unsigned timer_mode(const struct lapic *a) { return bits(a->lvt[LVT_TIMER], 18, 17); }
static bool timer_masked(const struct lapic *a) { return a->lvt[LVT_TIMER] & LVT_MASK; }
// ns a count: bits 3, 1, 0 of the divide register are log2 - 1, 7 is 1.
static u64 timer_unit(const struct lapic *a)
{
    unsigned d = (a->divide >> 1 & 4) | (a->divide & 3);
    return (1ull << ((d + 1) & 7)) * NS_PER_SEC / LAPIC_HZ;
}

static u32 timer_current(const struct lapic *a)
{
    if (!a->initial || timer_mode(a) == TIMER_DEADLINE) return 0;
    u64 n = (now(a) - a->started) / timer_unit(a);
    if (timer_mode(a) == TIMER_PERIODIC) return a->initial - (u32)(n % a->initial);
    return n >= a->initial ? 0 : a->initial - (u32)n;
}

// Arms the next expiration after the time t that somebody would notice.
static void timer_schedule(struct lapic *a, u64 t)
{
    struct clock *c = &a->set->bus->clock;
    timer_cancel(c, &a->timer);
    if (timer_masked(a) || !(a->base & BASE_EN)) return;
    if (timer_mode(a) == TIMER_DEADLINE) {
        if (!a->deadline) return;
        u64 due = a->set->pins.tsc_when(a->set->pins.owner, a->cpu, a->deadline);
        if (due != ~(u64)0) timer_arm(c, &a->timer, due);
        return;
    }
    u64 span = a->initial * timer_unit(a);
    if (!span) return;
    u64 due = a->started + span;
    if (timer_mode(a) == TIMER_ONE_SHOT) {
        if (due > t) timer_arm(c, &a->timer, due);
        return;
    }
    if (t >= due) due += (t - a->started) / span * span;
    if (due < t + TIMER_MIN_GAP) due += (t + TIMER_MIN_GAP - due + span - 1) / span * span;
    timer_arm(c, &a->timer, due);
}

// A masked deadline passes unseen: the register is 0 from then on.
static void deadline_sync(struct lapic *a)
{
    if (a->deadline && timer_masked(a) && a->set->pins.tsc(a->set->pins.owner, a->cpu) >= a->deadline) a->deadline = 0;
}

static void timer_due(void *self)
{
    struct lapic *a = self;
    if (timer_mode(a) == TIMER_DEADLINE) {
        if (a->set->pins.tsc(a->set->pins.owner, a->cpu) < a->deadline) { // the TSC was set back
            timer_schedule(a, now(a));
            if (timer_armed(&a->timer) && a->timer.due > now(a)) return;
            timer_cancel(&a->set->bus->clock, &a->timer); // conversion rounds: it is due
        }
        a->deadline = 0;
    } else if (timer_mode(a) == TIMER_PERIODIC) {
        timer_schedule(a, max_u64(a->timer.due, now(a)));
    }
    deliver(a, APIC_FIXED, (u8)a->lvt[LVT_TIMER], false);
}

// Before the timer's registers change: what is due already, though nobody ran the events yet, happens first.
static void timer_sync(struct lapic *a)
{
    if (!timer_armed(&a->timer) || a->timer.due > now(a)) return;
    timer_cancel(&a->set->bus->clock, &a->timer);
    timer_due(a);
}

void lapics_tsc_moved(struct lapics *p, unsigned cpu)
{
    if (cpu < p->n && timer_mode(&p->v[cpu]) == TIMER_DEADLINE) timer_schedule(&p->v[cpu], now(&p->v[cpu]));
}

static void timer_lvt_write(struct lapic *a, u32 old)
{
    unsigned was = bits(old, 18, 17), is = timer_mode(a);
    if (was != is && (was == TIMER_DEADLINE || is == TIMER_DEADLINE)) a->initial = 0, a->deadline = 0; // disarmed
    // One-shot after periodic: the count goes on from where it is.
    if (was == TIMER_PERIODIC && is == TIMER_ONE_SHOT && a->initial) {
        u64 span = a->initial * timer_unit(a);
        a->started += (now(a) - a->started) / span * span;
    }
    timer_schedule(a, now(a));
}

// --- life ---

// State after power-up, INIT, or re-enabling in IA32_APIC_BASE (SDM 11.4.7.1, 11.4.7.3).
static void registers_reset(struct lapic *a)
{
    a->ldr = a->tpr = a->esr = a->esr_new = a->initial = a->divide = 0;
    a->icr = a->started = a->deadline = 0;
    a->dfr = ~0u;
    a->svr = 0xff;
    a->extint = false;
    memset(a->isr, 0, sizeof a->isr);
    memset(a->irr, 0, sizeof a->irr);
    memset(a->tmr, 0, sizeof a->tmr);
    for (int i = 0; i < LVT_COUNT; i++) a->lvt[i] = LVT_MASK;
    timer_cancel(&a->set->bus->clock, &a->timer);
    update(a);
}

static void base_write(struct lapic *a, u64 v)
{
    bool enabling = v & ~a->base & BASE_EN, disabling = a->base & ~v & BASE_EN;
    a->base = v;
    if (enabling || disabling) registers_reset(a);
    if (disabling) a->id = a->cpu << 24;
    update(a);
    bus_region_set(a->set->bus, a->set->page, v & BASE_ADDR, true);
}

// --- messages ---

static bool addressed(const struct lapic *a, const struct apic_msg *m)
{
    if (!(a->base & BASE_EN)) return false;
    if (m->dest == (m->x2 ? ~0u : 0xff)) return true; // both modes' broadcast
    if (!m->logical) return m->dest == (x2(a) ? a->cpu : a->id >> 24);
    if (x2(a)) {
        u32 l = (a->cpu >> 4) << 16 | 1u << (a->cpu & 15);
        return l >> 16 == m->dest >> 16 && l & m->dest & 0xffff;
    }
    u8 l = a->ldr >> 24, d = (u8)m->dest;
    if (m->dest >> 8) return false;
    if (a->dfr >> 28 == 15) return l & d;                       // flat
    return a->dfr >> 28 == 0 && l >> 4 == d >> 4 && l & d & 15; // cluster
}

static void deliver(struct lapic *a, unsigned mode, u8 vector, bool level)
{
    const struct lapic_pins *pins = &a->set->pins;
    switch (mode) {
    case APIC_FIXED:
    case APIC_LOWEST: accept_fixed(a, vector, level); break;
    case APIC_SMI: pins->smi(pins->owner, a->cpu); break;
    case APIC_NMI: pins->nmi(pins->owner, a->cpu); break;
    case APIC_INIT:
        registers_reset(a);
        pins->init(pins->owner, a->cpu);
        break;
    case APIC_SIPI: pins->sipi(pins->owner, a->cpu, vector); break;
    case APIC_EXTINT:
        a->extint = true;
        update(a);
        break;
    default: break;
    }
}

// Lowest priority: the least PPR among those that are enabled; equals take turns.
static bool arbitrate(struct lapics *p, const struct apic_msg *m)
{
    struct lapic *best = NULL;
    for (unsigned k = 1; k <= p->n; k++) {
        struct lapic *a = &p->v[(p->arbitrated + k) % p->n];
        if (addressed(a, m) && soft_enabled(a) && (!best || ppr(a) < ppr(best))) best = a;
    }
    if (!best) return false;
    p->arbitrated = best->cpu;
    deliver(best, APIC_LOWEST, m->vector, m->level);
    return true;
}

bool lapics_send(void *lapics, const struct apic_msg *m)
{
    struct lapics *p = lapics;
    bool taken = false;
    if (m->mode == APIC_LOWEST) return arbitrate(p, m);
    for (unsigned i = 0; i < p->n; i++) {
        struct lapic *a = &p->v[i];
        if (!addressed(a, m) || (m->mode == APIC_FIXED && !soft_enabled(a))) continue;
        taken = true;
        deliver(a, m->mode, m->vector, m->level);
    }
    return taken;
}

// Message address FEE, destination, redirection hint, mode; data: vector, delivery mode, level, trigger (SDM 11.11).
void lapics_msi(struct lapics *p, u64 addr, u32 data)
{
    struct apic_msg m = {.dest = bits(addr, 19, 12),
                         .logical = bit(addr, 2),
                         .mode = bits(data, 10, 8),
                         .vector = (u8)data,
                         .level = bit(data, 15)};
    if (m.level && !bit(data, 14)) return; // de-assert
    lapics_send(p, &m);
}

static void ipi(struct lapic *a, u64 icr)
{
    unsigned mode = bits(icr, 10, 8), shorthand = bits(icr, 19, 18);
    struct apic_msg m = {
        .dest = x2(a) ? icr >> 32 : icr >> 56, .x2 = x2(a), .logical = bit(icr, 11), .mode = mode, .vector = (u8)icr};
    if (mode == APIC_INIT && !bit(icr, 14) && bit(icr, 15)) return; // INIT level de-assert: only arbitration, before P4
    if (mode == APIC_RESERVED || mode == APIC_EXTINT) return;
    if (mode <= APIC_LOWEST && m.vector < 16) {
        error(a, ESR_SEND_VECTOR);
        return;
    }
    if (!shorthand) {
        lapics_send(a->set, &m);
        return;
    }
    if (shorthand == 1) { // self: fixed only
        if (mode == APIC_FIXED) deliver(a, mode, m.vector, false);
        return;
    }
    if (mode == APIC_LOWEST) m.mode = APIC_FIXED; // a broadcast has no lowest one
    for (unsigned i = 0; i < a->set->n; i++) {
        struct lapic *to = &a->set->v[i];
        if (to->base & BASE_EN && (shorthand == 2 || to != a)) deliver(to, m.mode, m.vector, false);
    }
}

// --- registers ---

static int lvt_of(unsigned reg) { return reg >= LVT && reg < LVT + LVT_COUNT ? (int)(reg - LVT) : -1; }

static u32 id_of(const struct lapic *a) { return x2(a) ? a->cpu : a->id; }
static u32 ldr_of(const struct lapic *a) { return x2(a) ? (a->cpu >> 4) << 16 | 1u << (a->cpu & 15) : a->ldr; }

// False: no such register.
static bool reg_read(struct lapic *a, unsigned reg, u32 *v)
{
    if (reg >= ISR && reg < ESR) {
        *v = (reg < TMR ? a->isr : reg < IRR ? a->tmr : a->irr)[reg & 7];
        return true;
    }
    if (lvt_of(reg) >= 0) {
        *v = a->lvt[lvt_of(reg)];
        return true;
    }
    switch (reg) {
    case ID: *v = id_of(a); return true;
    case VERSION: *v = (LVT_COUNT - 1) << 16 | 0x14; return true;
    case TPR: *v = a->tpr; return true;
    case APR:
    case PPR: *v = ppr(a); return true;
    case EOI:
    case RRD: *v = 0; return true;
    case LDR: *v = ldr_of(a); return true;
    case DFR: *v = a->dfr; return true;
    case SVR: *v = a->svr; return true;
    case ESR: *v = a->esr; return true;
    case ICR: *v = (u32)a->icr; return true;
    case ICR2: *v = a->icr >> 32; return true;
    case TIMER_INITIAL: *v = a->initial; return true;
    case TIMER_CURRENT: *v = timer_current(a); return true;
    case TIMER_DIVIDE: *v = a->divide; return true;
    default: *v = 0; return false;
    }
}

static void svr_write(struct lapic *a, u32 v)
{
    if (!(v & SVR_ENABLE)) timer_sync(a);
    a->svr = v & 0x3ff;
    if (!(v & SVR_ENABLE)) {
        for (int i = 0; i < LVT_COUNT; i++) a->lvt[i] |= LVT_MASK;
        timer_schedule(a, now(a));
    }
    update(a);
}

static void lvt_write(struct lapic *a, int i, u32 v)
{
    if (i == LVT_TIMER) timer_sync(a);
    u32 old = a->lvt[i];
    a->lvt[i] = (v & lvt_bits[i]) | (old & LVT_IRR & v >> 1); // edge mode has no remote IRR
    if (!soft_enabled(a)) a->lvt[i] |= LVT_MASK;
    if (i == LVT_TIMER) timer_lvt_write(a, old);
    // A pin that is asserted while its level-triggered vector opens.
    bool opens = bit(a->lvt[i], 15) && lvt_mode(a, i) == APIC_FIXED;
    if (opens && ((i == LVT_LINT0 && a->set->pic) || (i == LVT_LINT1 && a->set->nmi))) lint(a, i, true);
    update(a);
}

static void divide_write(struct lapic *a, u32 v)
{
    timer_sync(a);
    u32 left = timer_current(a);
    a->divide = v & 11;
    if (!a->initial) return;
    // The count stays, its pace changes.
    u64 done = (a->initial - left) * timer_unit(a), t = now(a);
    if (left || timer_mode(a) == TIMER_PERIODIC)
        a->started = t > done ? t - done : 0;
    else
        a->initial = 0; // an expired count does not come back to life
    timer_schedule(a, t);
}

// False: no such register, or it cannot be written.
static bool reg_write(struct lapic *a, unsigned reg, u32 v)
{
    if (lvt_of(reg) >= 0) {
        lvt_write(a, lvt_of(reg), v);
        return true;
    }
    switch (reg) {
    case ID: a->id = v & 0xff000000; return true;
    case TPR:
        a->tpr = v & 0xff;
        update(a);
        return true;
    case EOI: eoi(a); return true;
    case LDR: a->ldr = v & 0xff000000; return true;
    case DFR: a->dfr = v | 0x0fffffff; return true;
    case SVR: svr_write(a, v); return true;
    case ESR: // writing shows what was collected since the last time
        a->esr = a->esr_new;
        a->esr_new = 0;
        return true;
    case ICR:
        a->icr = (a->icr & ~0xffffffffull) | (v & 0xccfff);
        ipi(a, a->icr);
        return true;
    case ICR2: a->icr = (a->icr & 0xffffffff) | (u64)(v & 0xff000000) << 32; return true;
    case TIMER_INITIAL:
        if (timer_mode(a) == TIMER_DEADLINE) return true; // ignored
        timer_sync(a);
        a->initial = v;
        a->started = now(a);
        timer_schedule(a, a->started);
        return true;
    case TIMER_DIVIDE: divide_write(a, v); return true;
    case VERSION:
    case APR:
    case PPR:
    case RRD:
    case TIMER_CURRENT: return true; // read-only: ignored
    default: return reg >= ISR && reg < ESR;
    }
}

// The CPU whose access is under way, if the page is where its APIC is.
static struct lapic *current(struct lapics *p)
{
    if (p->bus->cur_cpu >= p->n) return NULL;
    struct lapic *a = &p->v[p->bus->cur_cpu];
    bool here = a->base & BASE_EN && !x2(a) && (a->base & BASE_ADDR) == p->page->base;
    return here ? a : NULL;
}

static u64 mmio_read(void *self, u64 off, unsigned size)
{
    struct lapic *a = current(self);
    u32 v;
    if (!a) return ~(u64)0;
    if (off & 15) return 0; // registers are 16 bytes apart
    if (!reg_read(a, off >> 4, &v)) error(a, ESR_REGISTER);
    return v;
}

static void mmio_write(void *self, u64 off, u64 val, unsigned size)
{
    struct lapic *a = current(self);
    if (a && !(off & 15) && !reg_write(a, off >> 4, (u32)val)) error(a, ESR_REGISTER);
}

static u64 message_read(void *self, u64 off, unsigned size) { return ~(u64)0; }
static void message_write(void *self, u64 off, u64 val, unsigned size)
{
    lapics_msi(self, DEFAULT_BASE + off, (u32)val);
}

// --- MSRs ---

static bool x2_reserved(unsigned reg) { return reg == APR || reg == RRD || reg == DFR || reg == ICR2; }

static bool x2_read(struct lapic *a, unsigned reg, u64 *v)
{
    u32 w;
    if (x2_reserved(reg) || reg == EOI || reg == SELF_IPI || !reg_read(a, reg, &w)) return false;
    *v = reg == ICR ? a->icr : w;
    return true;
}

// Bits that may be set in an x2APIC register; 0 with `ok` false: read-only or none.
static bool x2_writable(unsigned reg, u64 *mask)
{
    int i = lvt_of(reg);
    *mask = 0;
    if (i >= 0) *mask = lvt_bits[i] | 0x1000 | (i == LVT_LINT0 || i == LVT_LINT1 ? LVT_IRR : 0);
    switch (reg) {
    case TPR:
    case SELF_IPI: *mask = 0xff; return true;
    case EOI:
    case ESR: return true;
    case SVR: *mask = 0x3ff; return true;
    case ICR: *mask = 0xffffffff000ccfff | 0x1000; return true;
    case TIMER_INITIAL: *mask = 0xffffffff; return true;
    case TIMER_DIVIDE: *mask = 11; return true;
    default: return i >= 0;
    }
}

static bool x2_write(struct lapic *a, unsigned reg, u64 v)
{
    u64 mask;
    if (!x2_writable(reg, &mask) || v & ~mask) return false;
    if (reg == SELF_IPI) {
        if (v < 16)
            error(a, ESR_SEND_VECTOR);
        else
            deliver(a, APIC_FIXED, (u8)v, false);
        return true;
    }
    if (reg == ICR) {
        a->icr = v & ~0x1000ull;
        ipi(a, a->icr);
        return true;
    }
    return reg_write(a, reg, (u32)v);
}

static bool base_valid(const struct lapic *a, u64 v)
{
    u64 modes = BASE_EN | BASE_X2, from = a->base & modes, to = v & modes;
    if (v & ~(BASE_ADDR | BASE_BSP | modes) || (v & BASE_X2 && !a->set->x2apic)) return false;
    if (to == BASE_X2) return false;                  // x2APIC without the APIC
    if (from == modes && to == BASE_EN) return false; // x2APIC leads only to disabled
    return from || to != modes;                       // and only xAPIC leads to it
}

bool lapics_rdmsr(struct lapics *p, unsigned cpu, u32 msr, u64 *v)
{
    if (cpu >= p->n) return false;
    struct lapic *a = &p->v[cpu];
    if (msr == MSR_APIC_BASE) {
        *v = a->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        timer_sync(a);
        deadline_sync(a);
        *v = timer_mode(a) == TIMER_DEADLINE ? a->deadline : 0;
        return true;
    }
    return x2(a) && msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100 && x2_read(a, msr - MSR_X2APIC, v);
}

bool lapics_wrmsr(struct lapics *p, unsigned cpu, u32 msr, u64 v)
{
    if (cpu >= p->n) return false;
    struct lapic *a = &p->v[cpu];
    if (msr == MSR_APIC_BASE) {
        if (!base_valid(a, v)) return false;
        base_write(a, v);
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        if (timer_mode(a) != TIMER_DEADLINE) return true; // ignored in the other modes
        timer_sync(a);
        a->deadline = v;
        timer_schedule(a, now(a));
        return true;
    }
    return x2(a) && msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100 && x2_write(a, msr - MSR_X2APIC, v);
}

u8 lapics_get_cr8(struct lapics *p, unsigned cpu) { return cpu < p->n ? p->v[cpu].tpr >> 4 & 15 : 0; }
void lapics_set_cr8(struct lapics *p, unsigned cpu, u8 cr8)
{
    if (cpu >= p->n) return;
    p->v[cpu].tpr = (cr8 & 15) << 4;
    update(&p->v[cpu]);
}

// --- the part ---

static void reset(void *self)
{
    struct lapics *p = self;
    for (unsigned i = 0; i < p->n; i++) {
        struct lapic *a = &p->v[i];
        a->base = DEFAULT_BASE | BASE_EN | (i ? 0 : BASE_BSP);
        a->id = i << 24;
        registers_reset(a);
    }
    p->arbitrated = 0;
    bus_region_set(p->bus, p->page, DEFAULT_BASE, true);
}

static void lapic_state(struct state *s, struct lapic *a)
{
    state_u64(s, "base", &a->base);
    state_u32(s, "id", &a->id);
    state_u32(s, "ldr", &a->ldr);
    state_u32(s, "dfr", &a->dfr);
    state_u32(s, "svr", &a->svr);
    state_u32(s, "tpr", &a->tpr);
    state_u32s(s, "isr", a->isr, 8);
    state_u32s(s, "irr", a->irr, 8);
    state_u32s(s, "tmr", a->tmr, 8);
    state_u32(s, "esr", &a->esr);
    state_u32(s, "esr_new", &a->esr_new);
    state_u64(s, "icr", &a->icr);
    state_u32s(s, "lvt", a->lvt, LVT_COUNT);
    state_u32(s, "initial", &a->initial);
    state_u32(s, "divide", &a->divide);
    state_u64(s, "started", &a->started);
    state_u64(s, "deadline", &a->deadline);
    state_bool(s, "extint", &a->extint);
    state_bool(s, "intr", &a->intr);
    timer_state(s, "timer", &a->set->bus->clock, &a->timer);
    if (!state_loading(s)) return;
    a->base &= BASE_ADDR | BASE_BSP | BASE_X2 | BASE_EN;
    a->svr &= 0x3ff, a->tpr &= 0xff, a->divide &= 11;
    for (int i = 0; i < LVT_COUNT; i++) a->lvt[i] &= lvt_bits[i] | LVT_IRR;
    a->set->pins.intr(a->set->pins.owner, a->cpu, a->intr);
}

static void state(struct state *s, void *self)
{
    struct lapics *p = self;
    u32 n = p->n;
    u64 page = p->page->base;
    state_u32(s, "cpus", &n);
    if (n != p->n) {
        state_fail(s, "saved with %u CPUs, this machine has %u", n, p->n);
        return;
    }
    state_bool(s, "pic", &p->pic);
    state_bool(s, "nmi", &p->nmi);
    state_u32(s, "arbitrated", &p->arbitrated);
    state_u64(s, "page", &page);
    for (unsigned i = 0; i < p->n; i++) lapic_state(s, &p->v[i]);
    if (!state_loading(s)) return;
    state_limit_u32(s, "arbitrated", &p->arbitrated, p->n);
    bus_region_set(p->bus, p->page, page & BASE_ADDR, true);
}

// QEMU's layouts, with the registers that it does not show at the end.
static void info_bits(struct buf *out, const char *name, const u32 v[8], const u32 *levels)
{
    buf_printf(out, "%s\t", name);
    bool any = false;
    for (int i = 0; i < 256; i++)
        if (has(v, i)) buf_printf(out, " %d%s", i, levels && has(levels, i) ? " (level)" : ""), any = true;
    buf_printf(out, "%s\n", any ? "" : " (none)");
}

static void info_lvt(struct buf *out, const char *name, u32 l, bool timer)
{
    static const char *const modes[8] = {"Fixed", "...", "SMI", "...", "NMI", "INIT", "...", "ExtINT"};
    static const char *const timers[4] = {"one-shot", "periodic", "tsc-deadline", "..."};
    buf_printf(out, "%s\t 0x%08x active-%s %-5s %-6s %-7s %-12s %-6s", name, l, bit(l, 13) ? "lo" : "hi",
               l & LVT_LEVEL ? "level" : "edge", l & LVT_MASK ? "masked" : "", bit(l, 12) ? "pending" : "",
               timer ? timers[bits(l, 18, 17)] : "", modes[timer ? 0 : bits(l, 10, 8)]);
    if (timer || bits(l, 10, 8) != 4)
        buf_printf(out, " (vec %u)\n", l & 0xff);
    else
        buf_printf(out, "\n");
}

static void info_icr(struct buf *out, const struct lapic *a)
{
    static const char *const shorthands[4] = {"no-shorthand", "self", "all-self", "all"};
    u32 l = (u32)a->icr, dest = x2(a) ? (u32)(a->icr >> 32) : (u32)(a->icr >> 56);
    buf_printf(out, "ICR\t 0x%08x %s %s %s %s\n", l, bit(l, 11) ? "logical" : "physical", bit(l, 15) ? "level" : "edge",
               bit(l, 14) ? "assert" : "de-assert", shorthands[bits(l, 19, 18)]);
    buf_printf(out, "ICR2\t 0x%08x", (u32)(a->icr >> 32));
    if (!bits(l, 19, 18)) buf_printf(out, bit(l, 11) ? " mask %x" : " cpu %u (APIC ID)", dest);
    buf_printf(out, "\n");
}

static void info(void *self, struct buf *out)
{
    static const struct {
        const char *name;
        int n;
    } lvts[LVT_COUNT] = {{"LVT0", 3}, {"LVT1", 4}, {"LVTPC", 2}, {"LVTERR", 5}, {"LVTTHMR", 1}, {"LVTT", 0}};
    struct lapics *p = self;
    for (unsigned i = 0; i < p->n; i++) {
        struct lapic *a = &p->v[i];
        unsigned shift = (bits(a->divide, 1, 0) | bit(a->divide, 3) << 2) + 1;
        buf_printf(out, "dumping local APIC state for CPU %u \n\n", i);
        for (int k = 0; k < LVT_COUNT; k++) info_lvt(out, lvts[k].name, a->lvt[lvts[k].n], lvts[k].n == 0);
        buf_printf(out, "Timer\t DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n", a->divide,
                   shift == 8 ? 1 : 1u << shift, a->initial, timer_current(a));
        buf_printf(out, "SPIV\t 0x%08x APIC %s, focus=%s, spurious vec %u\n", a->svr,
                   soft_enabled(a) ? "enabled" : "disabled", bit(a->svr, 9) ? "off" : "on", a->svr & 0xff);
        info_icr(out, a);
        buf_printf(out, "ESR\t 0x%08x\n", a->esr);
        info_bits(out, "ISR", a->isr, a->tmr);
        info_bits(out, "IRR", a->irr, a->tmr);
        buf_printf(out, "\nTPR 0x%02x DFR 0x%08x LDR 0x%08x PPR 0x%02x\n", a->tpr, a->dfr, ldr_of(a), ppr(a));
        buf_printf(out, "BASE 0x%llx ID 0x%08x deadline = %llu\n\n", (unsigned long long)a->base, id_of(a),
                   (unsigned long long)a->deadline);
    }
}

static void release(void *self)
{
    struct lapics *p = self;
    for (unsigned i = 0; i < p->n; i++) timer_cancel(&p->bus->clock, &p->v[i].timer);
    free(p);
}

static const struct io_ops mmio_ops = {mmio_read, mmio_write, .sizes = 4};
static const struct io_ops message_ops = {message_read, message_write, .sizes = 4};
static const struct part_ops part_ops = {reset, state, info, release};

struct lapics *lapics_new(struct bus *b, unsigned ncpus, bool x2apic, struct lapic_pins pins)
{
    struct lapics *p = xalloc(sizeof *p + ncpus * sizeof p->v[0]);
    p->bus = b;
    p->pins = pins;
    p->x2apic = x2apic;
    p->n = ncpus;
    for (unsigned i = 0; i < ncpus; i++) {
        p->v[i].set = p;
        p->v[i].cpu = i;
        timer_init(&p->v[i].timer, timer_due, &p->v[i]);
    }
    bus_map_mmio(b, DEFAULT_BASE, 0x100000, &message_ops, p, "apic-messages", 9);
    p->page = bus_map_mmio(b, DEFAULT_BASE, 0x1000, &mmio_ops, p, "lapic", 10);
    reset(p);
    part_add(&b->parts, "lapic", &part_ops, p);
    return p;
}
