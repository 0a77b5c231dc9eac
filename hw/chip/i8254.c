// SPDX-License-Identifier: MIT
// 8254 programmable interval timer. Intel 82C54 data sheet (231244-006): all six modes, BCD, counter latch, read-back.
// Every counter is advanced on demand, in closed form, to the CLK tick at which somebody looks; only OUT0, which drives
// an interrupt line, has an event. Ticks are those of the PC's 14.31818 MHz / 12, exactly. A count of 1 in modes 2 and
// 3 is illegal by the data sheet: here OUT stays high then. Reading the control word register does not drive the bus:
// FFh.
#include <stdlib.h>
#include "hw/chip/i8254.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

struct counter {
    u8 control;    // RW, M and BCD bits as written
    u16 cr;        // count register as written
    u16 latched;   // OL
    u8 status;     // latched status
    u8 latch_left; // bytes of `latched` still to be read
    bool has_status;
    bool read_msb, write_msb; // flip-flops of two-byte access
    u8 low;                   // first byte of a two-byte write
    bool null_count;          // CR is not in CE yet
    bool written;             // a whole count came since the control word
    bool load;                // the next CLK loads CE
    bool running;             // CE counts (GATE permitting)
    bool armed;               // modes 0, 1, 4, 5: OUT will change at zero
    bool odd;                 // mode 3: CE was loaded from an odd count
    bool gate, out;
    u32 ce;   // counting element as a number; 65536 or 10000 right after a load of 0
    u64 tick; // CLK pulses since time 0, for which all this holds
};
struct i8254 {
    struct bus *bus;
    struct irq out0;
    struct timer timer;
    struct counter c[3];
};

static u64 tick_at(u64 ns) { return muldiv64(ns, I8254_HZ_NUM, I8254_HZ_DEN * NS_PER_SEC); }
// First nanosecond of a tick: tick_at(ns_at(n)) == n.
static u64 ns_at(u64 tick) { return (u64)(((u128)tick * I8254_HZ_DEN * NS_PER_SEC + I8254_HZ_NUM - 1) / I8254_HZ_NUM); }

static unsigned mode(const struct counter *c)
{
    unsigned m = bits(c->control, 3, 1);
    return m > 5 ? m - 4 : m; // 6 and 7 are 2 and 3
}
static bool bcd(const struct counter *c) { return c->control & 1; }
static unsigned rw(const struct counter *c) { return bits(c->control, 5, 4); }
static u32 modulus(const struct counter *c) { return bcd(c) ? 10000 : 65536; }

static u32 count_of(const struct counter *c)
{
    u32 n = c->cr;
    if (bcd(c)) n = (n >> 12) * 1000 + (n >> 8 & 15) * 100 + (n >> 4 & 15) * 10 + (n & 15);
    return n ? n : modulus(c);
}

static u16 ce_read(const struct counter *c)
{
    u32 n = c->ce % modulus(c);
    return bcd(c) ? n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10 : n;
}

static void load_ce(struct counter *c)
{
    u32 n = count_of(c);
    c->odd = mode(c) == 3 && n & 1;
    c->ce = c->odd ? n - 1 : n;
    c->null_count = c->load = false;
    c->running = c->armed = true;
}

static bool gate_holds(const struct counter *c)
{
    unsigned m = mode(c);
    return !c->gate && m != 1 && m != 5;
}

static u64 take(struct counter *c, u64 max, u64 n)
{
    n = min_u64(max, n);
    c->tick += n;
    return n;
}

// Mode 2, in steps: CE from N to 1, one tick low, reload.
static void step_rate(struct counter *c, u64 max)
{
    if (c->ce > 1) {
        c->ce -= (u32)take(c, max, c->ce - 1);
        if (c->ce == 1) c->out = false;
    } else {
        take(c, max, 1);
        load_ce(c);
        c->out = true;
    }
}

// Mode 3: CE falls by two. An odd count has one more tick in the high half.
static void step_square(struct counter *c, u64 max)
{
    u64 half = c->ce / 2 + (c->out && c->odd ? 1 : 0), n = take(c, max, half);
    if (n < half) {
        c->ce -= 2 * (u32)n;
        return;
    }
    c->out = !c->out;
    load_ce(c);
}

// Modes 0, 1, 4, 5: down to zero, then on through the modulus for ever.
static void step_once(struct counter *c, u64 max)
{
    unsigned m = mode(c);
    if (c->armed) {
        c->ce -= (u32)take(c, max, c->ce);
        if (c->ce) return;
        c->armed = false;
        c->out = m < 2;
        return;
    }
    bool strobe = m >= 4 && !c->out; // low for one tick, whatever GATE does
    u64 n = take(c, max, strobe ? 1 : ~(u64)0);
    if (!gate_holds(c)) c->ce = (u32)((c->ce + modulus(c) - n % modulus(c)) % modulus(c));
    c->out = true;
}

// Moves c by at least one and at most `max` ticks, not beyond the next thing that happens.
static void step(struct counter *c, u64 max)
{
    unsigned m = mode(c);
    if (c->load) {
        take(c, max, 1);
        load_ce(c);
        if (m == 1)
            c->out = false;
        else
            c->out = m != 0;
    } else if (!c->running || (gate_holds(c) && !(m == 4 && !c->out))) {
        take(c, max, max);
    } else if ((m == 2 || m == 3) && c->ce < 2 && !c->null_count && count_of(c) == 1) {
        take(c, max, max); // the illegal count
    } else if (m == 2) {
        step_rate(c, max);
    } else if (m == 3) {
        step_square(c, max);
    } else {
        step_once(c, max);
    }
}

// Advances to `to`. Returns whether OUT changed on the way.
static bool advance(struct counter *c, u64 to)
{
    bool moved = false, out = c->out;
    while (c->tick < to) {
        // Whole periods that nobody sees, once a period begins and no new count waits.
        if ((mode(c) == 2 || mode(c) == 3) && c->running && !c->load && !c->null_count && c->gate && c->out) {
            u32 n = count_of(c);
            if (n > 1 && c->ce == (c->odd ? n - 1 : n) && to - c->tick >= 2 * (u64)n) {
                c->tick += (to - c->tick) / n * n;
                moved = true;
                continue;
            }
        }
        step(c, to - c->tick);
        if (c->out != out) moved = true, out = c->out;
    }
    return moved;
}

static void drive(struct i8254 *t, unsigned n, bool moved)
{
    if (n) return;
    bool out = t->c[0].out;
    if (moved && out) irq_set(&t->out0, 0); // low in between: there was an edge
    irq_set(&t->out0, out);
}

// The next change of OUT0 becomes an event. Mode 2's low pulse of one tick costs none: its end makes the whole pulse.
static void schedule(struct i8254 *t)
{
    struct counter c = t->c[0];
    bool out = c.out;
    u64 limit = c.tick + (1u << 20); // farther than any count
    while (c.out == out && c.tick < limit) step(&c, limit - c.tick);
    bool changes = c.out != out;
    if (changes && mode(&c) == 2 && !c.out) step(&c, 1);
    if (changes)
        timer_arm(&t->bus->clock, &t->timer, ns_at(c.tick));
    else
        timer_cancel(&t->bus->clock, &t->timer);
}

static void sync_to(struct i8254 *t, unsigned n, u64 ns)
{
    struct counter *c = &t->c[n];
    bool moved = advance(c, tick_at(ns));
    if (moved) drive(t, n, true);
}
static void sync(struct i8254 *t, unsigned n) { sync_to(t, n, clock_now(&t->bus->clock)); }

static void expire(void *self)
{
    struct i8254 *t = self;
    sync_to(t, 0, t->timer.due);
    schedule(t);
}

static void changed(struct i8254 *t, unsigned n)
{
    drive(t, n, false);
    if (n == 0) schedule(t);
}

void i8254_gate(struct i8254 *t, unsigned n, int level)
{
    if (n > 2) return;
    struct counter *c = &t->c[n];
    sync(t, n);
    if (c->gate == !!level) return;
    c->gate = level;
    unsigned m = mode(c);
    if (level && (m == 1 || m == 5 || m == 2 || m == 3) && c->written) c->load = true;
    if (!level && (m == 2 || m == 3)) c->out = true;
    changed(t, n);
}

bool i8254_out(struct i8254 *t, unsigned n)
{
    if (n > 2) return false;
    sync(t, n);
    return t->c[n].out;
}

static void set_count(struct counter *c, u16 v)
{
    unsigned m = mode(c);
    bool first = !c->written, held = (m == 2 || m == 3) && c->running && c->ce < 2 && count_of(c) == 1;
    c->cr = v;
    c->null_count = c->written = true;
    if (m == 0) c->out = false;
    if (m == 0 || m == 4 || ((m == 2 || m == 3) && first)) c->load = true;
    if (held) c->load = true; // the illegal count has no end of period to wait for
}

static void count_write(struct counter *c, u8 v)
{
    switch (rw(c)) {
    case 1: set_count(c, v); break;
    case 2: set_count(c, v << 8); break;
    case 3:
        if (!c->write_msb) {
            c->low = v;
            if (mode(c) == 0) c->running = c->load = false, c->out = false; // the first byte stops the count
        } else {
            set_count(c, c->low | v << 8);
        }
        c->write_msb = !c->write_msb;
        break;
    default: break; // not programmed since power-on
    }
}

static void latch_count(struct counter *c)
{
    if (c->latch_left) return; // the first one holds until it is read
    c->latched = ce_read(c);
    c->latch_left = rw(c) == 3 ? 2 : 1;
    c->read_msb = false;
}

static void latch_status(struct counter *c)
{
    if (c->has_status) return;
    c->status = c->out << 7 | c->null_count << 6 | (c->control & 0x3f);
    c->has_status = true;
}

static void control_write(struct i8254 *t, u8 v)
{
    unsigned n = v >> 6;
    if (n == 3) {
        for (unsigned i = 0; i < 3; i++) {
            if (!bit(v, 1 + i)) continue;
            sync(t, i);
            if (!bit(v, 5)) latch_count(&t->c[i]);
            if (!bit(v, 4)) latch_status(&t->c[i]);
        }
        return;
    }
    struct counter *c = &t->c[n];
    sync(t, n);
    if (!bits(v, 5, 4)) {
        latch_count(c);
        return;
    }
    u64 tick = c->tick;
    u32 ce = c->ce;
    *c = (struct counter){.control = v & 0x3f, .gate = c->gate, .tick = tick, .ce = ce, .null_count = true};
    c->out = mode(c) != 0;
    changed(t, n);
}

static u8 count_read(struct counter *c)
{
    if (c->has_status) {
        c->has_status = false;
        return c->status;
    }
    u16 v = c->latch_left ? c->latched : ce_read(c);
    bool msb = rw(c) == 2 || (rw(c) == 3 && c->read_msb);
    if (rw(c) == 3) c->read_msb = !c->read_msb;
    if (c->latch_left) c->latch_left--;
    return msb ? v >> 8 : (u8)v;
}

static u64 pit_read(void *self, u64 off, unsigned size)
{
    struct i8254 *t = self;
    if (off == 3) return 0xff;
    sync(t, off);
    return count_read(&t->c[off]);
}

static void pit_write(void *self, u64 off, u64 val, unsigned size)
{
    struct i8254 *t = self;
    if (off == 3) {
        control_write(t, (u8)val);
        return;
    }
    sync(t, off);
    count_write(&t->c[off], (u8)val);
    changed(t, off);
}

static void reset(void *self)
{
    struct i8254 *t = self;
    u64 tick = tick_at(clock_now(&t->bus->clock));
    for (int i = 0; i < 3; i++)
        t->c[i] = (struct counter){.gate = i < 2, .tick = tick, .out = true, .control = 0x30, .null_count = true};
    for (int i = 0; i < 3; i++) t->c[i].out = false; // mode 0 without a count
    timer_cancel(&t->bus->clock, &t->timer);
    irq_set(&t->out0, 0);
}

static void state(struct state *s, void *self)
{
    struct i8254 *t = self;
    for (int i = 0; i < 3; i++) {
        struct counter *c = &t->c[i];
        state_u8(s, "control", &c->control);
        state_u16(s, "cr", &c->cr);
        state_u16(s, "latched", &c->latched);
        state_u8(s, "status", &c->status);
        state_u8(s, "latch_left", &c->latch_left);
        state_bool(s, "has_status", &c->has_status);
        state_bool(s, "read_msb", &c->read_msb);
        state_bool(s, "write_msb", &c->write_msb);
        state_u8(s, "low", &c->low);
        state_bool(s, "null_count", &c->null_count);
        state_bool(s, "written", &c->written);
        state_bool(s, "load", &c->load);
        state_bool(s, "running", &c->running);
        state_bool(s, "armed", &c->armed);
        state_bool(s, "odd", &c->odd);
        state_bool(s, "gate", &c->gate);
        state_bool(s, "out", &c->out);
        state_u32(s, "ce", &c->ce);
        state_u64(s, "tick", &c->tick);
        if (state_loading(s)) state_limit_u32(s, "ce", &c->ce, 65537);
    }
    timer_state(s, "timer", &t->bus->clock, &t->timer);
}

static void info(void *self, struct buf *out)
{
    struct i8254 *t = self;
    for (unsigned i = 0; i < 3; i++) {
        struct counter *c = &t->c[i];
        sync(t, i);
        buf_printf(out, "counter %u: mode %u %s count %u of %u, gate %d out %d\n", i, mode(c),
                   bcd(c) ? "bcd" : "binary", c->ce, count_of(c), c->gate, c->out);
    }
}

static void release(void *self)
{
    struct i8254 *t = self;
    timer_cancel(&t->bus->clock, &t->timer);
    free(t);
}

static const struct io_ops pit_ops = {pit_read, pit_write};
static const struct part_ops part_ops = {reset, state, info, release};

struct i8254 *i8254_new(struct bus *b, u16 base, struct irq out0)
{
    struct i8254 *t = xalloc(sizeof *t);
    t->bus = b;
    t->out0 = out0;
    timer_init(&t->timer, expire, t);
    bus_map_port(b, base, 4, &pit_ops, t, "pit");
    reset(t);
    part_add(&b->parts, "pit", &part_ops, t);
    return t;
}
