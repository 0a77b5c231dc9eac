// SPDX-License-Identifier: MIT
// High precision event timer. IA-PC HPET Specification 1.0a, 2.3 (registers), 2.4 (theory of operation).
// A comparator matches when it equals the main counter: one that is set behind the counter waits for its wrap, as in
// hardware. Periods of less than a microsecond are met in lumps. Edge-triggered outputs are pulses to low: the 8259A
// wants its line to stay high. Left out: FSB delivery (not advertised).
#include <stdlib.h>
#include <string.h>
#include "hw/chip/hpet.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { CAP = 0x000, CONFIG = 0x010, STATUS = 0x020, COUNTER = 0x0f0, TIMERS = 0x100 };
enum { CONFIG_ENABLE = 1, CONFIG_LEGACY = 2 };
enum { T_LEVEL = 2, T_ENABLE = 4, T_PERIODIC = 8, T_PERIODIC_CAP = 0x10, T_64_CAP = 0x20, T_SET = 0x40, T_32 = 0x100 };
enum { T_ROUTE = 0x3e00, T_WRITE = T_LEVEL | T_ENABLE | T_PERIODIC | T_SET | T_32 | T_ROUTE };
#define NTIMERS 3
#define TICK_NS 10ull
#define GAP_NS  1000ull // least time between two matches of a timer that cost an event

struct hpet_timer {
    struct hpet *hpet;
    unsigned n;
    u32 config; // low half of the register, capabilities included
    u64 cmp, period;
    u64 fired; // tick of the last match, ~0: none
    struct timer timer;
};
struct hpet {
    struct bus *bus;
    struct irq gsi[HPET_GSIS], legacy[2];
    u32 routes;
    u8 in[2]; // levels of the 8254 and the RTC
    u64 config, status;
    u64 offset; // main counter minus ticks of the clock; while halted: the main counter
    struct hpet_timer t[NTIMERS];
};

static u64 tick(const struct hpet *h) { return clock_now(&h->bus->clock) / TICK_NS; }
static u64 counter(const struct hpet *h) { return h->offset + (h->config & CONFIG_ENABLE ? tick(h) : 0); }
static u64 mask(const struct hpet_timer *t) { return t->config & T_32 ? 0xffffffff : ~(u64)0; }

static const struct irq *output(const struct hpet_timer *t)
{
    static const struct irq none = {0};
    const struct hpet *h = t->hpet;
    if (h->config & CONFIG_LEGACY && t->n < 2) return &h->legacy[t->n];
    unsigned r = bits(t->config, 13, 9);
    return r < HPET_GSIS && bit(h->routes, r) ? &h->gsi[r] : &none;
}

static void line_update(const struct hpet_timer *t)
{
    bool on = t->config & T_ENABLE && t->config & T_LEVEL && bit(t->hpet->status, t->n);
    irq_set(output(t), on);
}

// Periodic: the comparator moves on to its first value ahead of the counter.
static void next_period(struct hpet_timer *t)
{
    if (!(t->config & T_PERIODIC) || !t->period) return;
    u64 behind = (counter(t->hpet) - t->cmp) & mask(t);
    t->cmp = (t->cmp + (behind / t->period + 1) * t->period) & mask(t);
}

static void schedule(struct hpet_timer *t)
{
    struct hpet *h = t->hpet;
    struct clock *c = &h->bus->clock;
    timer_cancel(c, &t->timer);
    // Without interrupt an edge-triggered timer has no effect; its comparator is brought up to date when somebody
    // looks.
    if (!(h->config & CONFIG_ENABLE) || !(t->config & (T_ENABLE | T_LEVEL))) return;
    u64 now = tick(h), delta = (t->cmp - counter(h)) & mask(t);
    if (!delta && t->fired == now) {
        if (!(t->config & T_32)) return; // in 5800 years
        delta = 1ull << 32;
    }
    if (delta >> 58) return;
    u64 due = (now + delta) * TICK_NS;
    if (t->fired != ~(u64)0 && due < t->fired * TICK_NS + GAP_NS) due = t->fired * TICK_NS + GAP_NS;
    timer_arm(c, &t->timer, due);
}

static void match(struct hpet_timer *t)
{
    struct hpet *h = t->hpet;
    t->fired = tick(h);
    next_period(t);
    if (t->config & T_LEVEL) {
        h->status |= 1u << t->n;
        line_update(t);
    } else if (t->config & T_ENABLE) {
        irq_pulse(output(t));
    }
    schedule(t);
}

static void due(void *self) { match(self); }

// Before somebody looks at or changes a timer.
static void sync(struct hpet_timer *t)
{
    struct hpet *h = t->hpet;
    if (timer_armed(&t->timer)) {
        if (t->timer.due > clock_now(&h->bus->clock)) return;
        timer_cancel(&h->bus->clock, &t->timer);
        match(t);
    } else if (h->config & CONFIG_ENABLE && t->config & T_PERIODIC && !(t->config & (T_ENABLE | T_LEVEL))) {
        // Ahead by more than half the range is behind.
        if (((counter(h) - t->cmp) & mask(t)) <= mask(t) / 2) next_period(t);
    }
}
static void sync_all(struct hpet *h)
{
    for (int i = 0; i < NTIMERS; i++) sync(&h->t[i]);
}

static void legacy_set(void *self, int n, int level)
{
    struct hpet *h = self;
    h->in[n] = !!level;
    if (!(h->config & CONFIG_LEGACY)) irq_set(&h->legacy[n], level);
}
struct irq hpet_legacy_line(struct hpet *h, unsigned n) { return (struct irq){legacy_set, h, (int)(n & 1)}; }

static void config_write(struct hpet *h, u64 v)
{
    u64 changed = (v ^ h->config) & (CONFIG_ENABLE | CONFIG_LEGACY), c = counter(h);
    sync_all(h);
    if (changed & CONFIG_LEGACY) // the old outputs fall silent
        for (int i = 0; i < NTIMERS; i++) irq_set(output(&h->t[i]), 0);
    h->config ^= changed;
    if (changed & CONFIG_ENABLE) h->offset = h->config & CONFIG_ENABLE ? c - tick(h) : c;
    for (int i = 0; i < NTIMERS; i++) {
        if (changed & CONFIG_LEGACY) line_update(&h->t[i]);
        schedule(&h->t[i]);
    }
    if (changed & CONFIG_LEGACY && !(h->config & CONFIG_LEGACY))
        for (int i = 0; i < 2; i++) irq_set(&h->legacy[i], h->in[i]);
}

static void status_write(struct hpet *h, u64 v)
{
    sync_all(h);
    h->status &= ~v;
    for (int i = 0; i < NTIMERS; i++)
        if (bit(v, i) && h->t[i].config & T_LEVEL) line_update(&h->t[i]);
}

static void counter_write(struct hpet *h, u64 v)
{
    sync_all(h);
    h->offset = v - (h->config & CONFIG_ENABLE ? tick(h) : 0);
    for (int i = 0; i < NTIMERS; i++) {
        h->t[i].fired = ~(u64)0;
        schedule(&h->t[i]);
    }
}

static void timer_config_write(struct hpet_timer *t, u32 v)
{
    struct hpet *h = t->hpet;
    u32 old = t->config, route = bits(v, 13, 9);
    if (!bit(h->routes, route)) v = (v & ~T_ROUTE) | (old & T_ROUTE); // refused: software reads back
    if ((v ^ old) & (T_ROUTE | T_LEVEL | T_ENABLE)) irq_set(output(t), 0);
    t->config = (old & ~T_WRITE) | (v & T_WRITE);
    t->cmp &= mask(t);
    t->period &= mask(t);
    if (!(t->config & T_LEVEL)) h->status &= ~(1ull << t->n); // always 0 in edge mode
    if (t->config & T_LEVEL) line_update(t);
    schedule(t);
}

static u64 merge(u64 old, u64 v, u64 bytes) { return (old & ~bytes) | (v & bytes); }

// In periodic mode a write goes to the period, and with T_SET to the comparator too, once.
static void comparator_write(struct hpet_timer *t, u64 v, u64 bytes)
{
    bool periodic = t->config & T_PERIODIC;
    if (!periodic || t->config & T_SET) {
        t->cmp = merge(t->cmp, v, bytes) & mask(t);
        t->fired = ~(u64)0;
    }
    if (periodic) t->period = merge(t->period, v, bytes) & mask(t);
    t->config &= ~T_SET;
    schedule(t);
}

static u64 reg_read(struct hpet *h, u64 off)
{
    // Period in femtoseconds, vendor 8086h, legacy replacement, 64 bits, number of the last timer, revision 1.
    u64 cap = TICK_NS * 1000000 << 32 | 0x80860000 | 1 << 15 | 1 << 13 | (NTIMERS - 1) << 8 | 1;
    if (off >= TIMERS && off < TIMERS + NTIMERS * 0x20) {
        struct hpet_timer *t = &h->t[(off - TIMERS) / 0x20];
        sync(t);
        if ((off & 0x18) == 0) return (u64)h->routes << 32 | t->config;
        return (off & 0x18) == 8 ? t->cmp : 0;
    }
    switch (off) {
    case CAP: return cap;
    case CONFIG: return h->config;
    case STATUS: sync_all(h); return h->status;
    case COUNTER: return counter(h);
    default: return 0;
    }
}

static u64 mmio_read(void *self, u64 off, unsigned size)
{
    u64 v = reg_read(self, off & ~7ull);
    return off & 4 ? v >> 32 : v;
}

static void mmio_write(void *self, u64 off, u64 val, unsigned size)
{
    struct hpet *h = self;
    unsigned shift = off & 4 ? 32 : 0;
    u64 reg = off & ~7ull, bytes = size_mask(size) << shift, v = val << shift;
    if (reg >= TIMERS && reg < TIMERS + NTIMERS * 0x20) {
        struct hpet_timer *t = &h->t[(reg - TIMERS) / 0x20];
        sync(t);
        if ((reg & 0x18) == 0 && !shift) timer_config_write(t, (u32)v);
        if ((reg & 0x18) == 8) comparator_write(t, v, bytes);
        return;
    }
    if (reg == CONFIG) config_write(h, merge(h->config, v, bytes));
    if (reg == STATUS) status_write(h, v);
    if (reg == COUNTER) counter_write(h, merge(counter(h), v, bytes));
}

static void reset(void *self)
{
    struct hpet *h = self;
    for (int i = 0; i < NTIMERS; i++) {
        struct hpet_timer *t = &h->t[i];
        irq_set(output(t), 0);
        timer_cancel(&h->bus->clock, &t->timer);
        t->config = T_PERIODIC_CAP | T_64_CAP;
        t->cmp = t->fired = ~(u64)0;
        t->period = 0;
    }
    h->config = h->status = h->offset = 0;
}

static void state(struct state *s, void *self)
{
    struct hpet *h = self;
    state_bytes(s, "in", h->in, sizeof h->in);
    state_u64(s, "config", &h->config);
    state_u64(s, "status", &h->status);
    state_u64(s, "offset", &h->offset);
    for (int i = 0; i < NTIMERS; i++) {
        struct hpet_timer *t = &h->t[i];
        state_u32(s, "timer_config", &t->config);
        state_u64(s, "cmp", &t->cmp);
        state_u64(s, "period", &t->period);
        state_u64(s, "fired", &t->fired);
        timer_state(s, "timer", &h->bus->clock, &t->timer);
        if (state_loading(s)) t->config = (t->config & T_WRITE) | T_PERIODIC_CAP | T_64_CAP;
        if (state_loading(s) && t->fired != ~(u64)0 && t->fired > tick(h)) t->fired = ~(u64)0;
    }
    if (!state_loading(s)) return;
    h->config &= CONFIG_ENABLE | CONFIG_LEGACY;
    h->in[0] &= 1, h->in[1] &= 1;
}

static void info(void *self, struct buf *out)
{
    struct hpet *h = self;
    buf_printf(out, "counter %llu %s%s status %llx\n", (unsigned long long)counter(h),
               h->config & CONFIG_ENABLE ? "running" : "halted", h->config & CONFIG_LEGACY ? " legacy" : "",
               (unsigned long long)h->status);
    for (int i = 0; i < NTIMERS; i++) {
        const struct hpet_timer *t = &h->t[i];
        buf_printf(out, "timer %d: config %x comparator %llu period %llu\n", i, t->config, (unsigned long long)t->cmp,
                   (unsigned long long)t->period);
    }
}

static void release(void *self)
{
    struct hpet *h = self;
    for (int i = 0; i < NTIMERS; i++) timer_cancel(&h->bus->clock, &h->t[i].timer);
    free(h);
}

static const struct io_ops mmio_ops = {mmio_read, mmio_write, .sizes = 4 | 8};
static const struct part_ops part_ops = {reset, state, info, release};

struct hpet *hpet_new(struct bus *b, u64 base, u32 routes, const struct irq gsi[HPET_GSIS], const struct irq legacy[2])
{
    struct hpet *h = xalloc(sizeof *h);
    h->bus = b;
    h->routes = routes & ((1u << HPET_GSIS) - 1);
    memcpy(h->gsi, gsi, sizeof h->gsi);
    memcpy(h->legacy, legacy, sizeof h->legacy);
    for (int i = 0; i < NTIMERS; i++) {
        h->t[i].hpet = h;
        h->t[i].n = i;
        timer_init(&h->t[i].timer, due, &h->t[i]);
    }
    bus_map_mmio(b, base, 0x400, &mmio_ops, h, "hpet", 0);
    reset(h);
    part_add(&b->parts, "hpet", &part_ops, h);
    return h;
}
