// SPDX-License-Identifier: MIT
// Two cascaded 8259A programmable interrupt controllers as in the PIIX3.
// Intel 8259A data sheet (231468-003); 82371SB (PIIX3) data sheet, 2.5.4 and 2.5.6 (ELCR at 4D0h/4D1h).
// As in the PIIX3, LTIM of ICW1 does nothing: ELCR chooses edge or level line by line. In both modes the request
// follows the pin: an edge whose line falls again before INTA is forgotten, and the CPU gets the spurious IR7. Left
// out: buffered mode (a pin function). An INTA in MCS-80 mode yields the low byte of the CALL address.
#include <stdlib.h>
#include "hw/chip/i8259.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

struct pic {
    u8 line;  // pin levels
    u8 latch; // edge-sense latches: rose since the last acknowledge or ICW1
    u8 imr, isr;
    u8 elcr;   // 1: level
    u8 top;    // the level with the highest priority; rotation moves it
    u8 icw[4]; // as written
    u8 step;   // 0: initialized, else the ICW (2..4) that is expected
    bool aeoi, rotate_aeoi, special_mask, sfnm;
    bool read_isr, poll;
};
struct i8259 {
    struct bus *bus;
    struct pic pic[2]; // master, slave
    struct irq intr;
    u64 raised[16]; // for people only: no part of the state
};
enum { CASCADE = 2 };
static const u8 elcr_mask[2] = {0xf8, 0xde}; // IRQ0–2, 8 and 13 are always edge

static u8 requests(const struct pic *c) { return (c->line & c->elcr) | (c->latch & c->line & ~c->elcr); }

// Place of level n in the order of priority: 0 is the highest.
static unsigned rank(const struct pic *c, unsigned n) { return (n - c->top) & 7; }

static int highest(const struct pic *c, u8 set)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = (c->top + i) & 7;
        if (bit(set, n)) return (int)n;
    }
    return -1;
}

// The level that INT is asserted for, or -1.
static int winner(const struct i8259 *p, unsigned who)
{
    const struct pic *c = &p->pic[who];
    if (c->step) return -1;
    int n = highest(c, requests(c) & ~c->imr);
    if (n < 0) return -1;
    u8 block = c->special_mask ? c->isr & ~c->imr : c->isr;
    int s = highest(c, block);
    if (s < 0 || rank(c, n) < rank(c, s)) return n;
    // Special fully nested mode: a slave whose request is in service may interrupt again.
    if (n == s && c->sfnm && !bit(c->icw[0], 1) && who == 0 && bit(c->icw[2], n)) return n;
    return -1;
}

static void update(struct i8259 *p)
{
    u8 m = 1 << CASCADE, was = p->pic[0].line;
    p->pic[0].line = winner(p, 1) >= 0 ? was | m : was & ~m;
    if (p->pic[0].line & ~was & m) p->pic[0].latch |= m;
    irq_set(&p->intr, winner(p, 0) >= 0);
}

bool i8259_pending(const struct i8259 *p) { return winner(p, 0) >= 0; }

static void line_set(void *self, int n, int level)
{
    struct i8259 *p = self;
    struct pic *c = &p->pic[n >> 3];
    u8 m = 1 << (n & 7);
    if (!(c->line & m) == !level) return;
    c->line ^= m;
    if (level) {
        c->latch |= m;
        p->raised[n]++;
    } else {
        c->latch &= ~m;
    }
    update(p);
}

struct irq i8259_line(struct i8259 *p, unsigned n)
{
    if (n > 15 || n == CASCADE) return (struct irq){0};
    return (struct irq){line_set, p, (int)n};
}

const u64 *i8259_raised(const struct i8259 *p) { return p->raised; }

// What INTA does to one chip. Returns the level, 7 without ISR bit if the request is gone.
static unsigned acknowledge(struct i8259 *p, unsigned who)
{
    struct pic *c = &p->pic[who];
    int n = winner(p, who);
    if (n < 0) return 7;
    c->latch &= ~(1 << n);
    if (!c->aeoi)
        c->isr |= 1 << n;
    else if (c->rotate_aeoi)
        c->top = (n + 1) & 7;
    return n;
}

// The byte that a chip puts on the bus in the second INTA cycle.
static u8 vector(const struct pic *c, unsigned n)
{
    if (bit(c->icw[3], 0)) return (c->icw[1] & 0xf8) | n;
    if (bit(c->icw[0], 2)) return (c->icw[0] & 0xe0) | n << 2; // call address interval of 4
    return (c->icw[0] & 0xc0) | n << 3;
}

int i8259_ack(struct i8259 *p)
{
    struct pic *m = &p->pic[0], *s = &p->pic[1];
    bool real = winner(p, 0) >= 0;
    unsigned n = acknowledge(p, 0);
    int v;
    if (real && n == CASCADE && !bit(m->icw[0], 1) && bit(m->icw[2], CASCADE)) {
        unsigned k = acknowledge(p, 1);
        // A slave with another identity does not answer: the bus floats.
        v = (s->icw[2] & 7) == CASCADE ? vector(s, k) : 0xff;
    } else {
        v = vector(m, n);
    }
    irq_set(&p->intr, 0); // INT falls with INTA: the next request is an edge again
    update(p);
    return v;
}

static void eoi(struct pic *c, u8 ocw2)
{
    int n = ocw2 & 7;
    switch (ocw2 >> 5) {
    case 0: c->rotate_aeoi = false; return;
    case 4: c->rotate_aeoi = true; return;
    case 2: return; // no operation
    case 6: c->top = (n + 1) & 7; return;
    case 1:
    case 5: // non-specific: the one of highest priority; in special mask mode masked ones stay
        n = highest(c, c->special_mask ? c->isr & ~c->imr : c->isr);
        if (n < 0) return;
        break;
    default: break; // 3 and 7: specific
    }
    c->isr &= ~(1 << n);
    if (bit(ocw2, 7)) c->top = (n + 1) & 7;
}

static void icw1(struct pic *c, u8 v)
{
    c->icw[0] = v;
    c->imr = c->isr = c->latch = c->top = 0;
    c->special_mask = c->read_isr = c->poll = c->rotate_aeoi = false;
    c->step = 2;
    if (!bit(v, 0)) c->icw[3] = 0, c->aeoi = c->sfnm = false;
}

static void icw(struct pic *c, u8 v)
{
    c->icw[c->step - 1] = v;
    if (c->step == 4) {
        c->aeoi = bit(v, 1);
        c->sfnm = bit(v, 4);
    }
    bool single = bit(c->icw[0], 1), want4 = bit(c->icw[0], 0);
    if (c->step == 2 && !single)
        c->step = 3;
    else if (c->step < 4 && want4)
        c->step = 4;
    else
        c->step = 0;
}

static void pic_write(struct i8259 *p, unsigned who, u64 off, u8 v)
{
    struct pic *c = &p->pic[who];
    if (off & 1) {
        if (c->step)
            icw(c, v);
        else
            c->imr = v;
    } else if (bit(v, 4)) {
        icw1(c, v);
    } else if (bit(v, 3)) {
        if (bit(v, 6)) c->special_mask = bit(v, 5);
        if (bit(v, 2))
            c->poll = true;
        else if (bit(v, 1))
            c->read_isr = bit(v, 0);
    } else {
        eoi(c, v);
    }
    update(p);
}

static u8 pic_read(struct i8259 *p, unsigned who, u64 off)
{
    struct pic *c = &p->pic[who];
    if (c->poll) { // the next read, of either port, is the acknowledge
        c->poll = false;
        if (winner(p, who) < 0) return 0;
        u8 n = acknowledge(p, who);
        update(p);
        return 0x80 | n;
    }
    if (off & 1) return c->imr;
    return c->read_isr ? c->isr : requests(c);
}

static u64 master_read(void *self, u64 off, unsigned size) { return pic_read(self, 0, off); }
static u64 slave_read(void *self, u64 off, unsigned size) { return pic_read(self, 1, off); }
static void master_write(void *self, u64 off, u64 val, unsigned size) { pic_write(self, 0, off, (u8)val); }
static void slave_write(void *self, u64 off, u64 val, unsigned size) { pic_write(self, 1, off, (u8)val); }
static u64 elcr_read(void *self, u64 off, unsigned size) { return ((struct i8259 *)self)->pic[off & 1].elcr; }
static void elcr_write(void *self, u64 off, u64 val, unsigned size)
{
    struct i8259 *p = self;
    p->pic[off & 1].elcr = val & elcr_mask[off & 1];
    update(p);
}

static void reset(void *self)
{
    struct i8259 *p = self;
    for (int i = 0; i < 2; i++) {
        u8 line = p->pic[i].line & ~(i ? 0 : 1 << CASCADE); // the wires are not the chip's
        p->pic[i] = (struct pic){.line = line, .icw = {0x11, 0, i ? CASCADE : 1 << CASCADE, 1}};
    }
    update(p);
}

static void state(struct state *s, void *self)
{
    struct i8259 *p = self;
    for (int i = 0; i < 2; i++) {
        struct pic *c = &p->pic[i];
        state_u8(s, "line", &c->line);
        state_u8(s, "latch", &c->latch);
        state_u8(s, "imr", &c->imr);
        state_u8(s, "isr", &c->isr);
        state_u8(s, "elcr", &c->elcr);
        state_u8(s, "top", &c->top);
        state_bytes(s, "icw", c->icw, sizeof c->icw);
        state_u8(s, "step", &c->step);
        state_bool(s, "aeoi", &c->aeoi);
        state_bool(s, "rotate_aeoi", &c->rotate_aeoi);
        state_bool(s, "special_mask", &c->special_mask);
        state_bool(s, "sfnm", &c->sfnm);
        state_bool(s, "read_isr", &c->read_isr);
        state_bool(s, "poll", &c->poll);
        if (!state_loading(s)) continue;
        c->top &= 7;
        c->elcr &= elcr_mask[i];
        if (c->step == 1 || c->step > 4) state_fail(s, "initialization step %u does not exist", c->step), c->step = 0;
    }
}

static void info(void *self, struct buf *out)
{
    struct i8259 *p = self;
    for (int i = 0; i < 2; i++) {
        const struct pic *c = &p->pic[i];
        buf_printf(out, "pic%d: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n", i,
                   requests(c), c->imr, c->isr, c->top, c->icw[1] & 0xf8, c->read_isr, c->elcr, c->sfnm);
    }
}

static const struct io_ops master_ops = {master_read, master_write};
static const struct io_ops slave_ops = {slave_read, slave_write};
static const struct io_ops elcr_ops = {elcr_read, elcr_write};
static const struct part_ops part_ops = {reset, state, info, free};

struct i8259 *i8259_new(struct bus *b, struct irq intr)
{
    struct i8259 *p = xalloc(sizeof *p);
    p->bus = b;
    p->intr = intr;
    bus_map_port(b, 0x20, 2, &master_ops, p, "pic0");
    bus_map_port(b, 0xa0, 2, &slave_ops, p, "pic1");
    bus_map_port(b, 0x4d0, 2, &elcr_ops, p, "elcr");
    reset(p);
    part_add(&b->parts, "pic", &part_ops, p);
    return p;
}
