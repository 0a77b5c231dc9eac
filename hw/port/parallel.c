// SPDX-License-Identifier: MIT
// The PC's parallel port in SPP mode and the Centronics handshake of the printer behind it.
// IBM PC/AT Technical Reference (1984), "Printer adapter"; IEEE 1284-1994 compatibility mode.
// Left out: bidirectional, EPP and ECP modes (control bit 5 and the ports above base+2 do nothing).
#include <stdlib.h>
#include "hw/port/parallel.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { STS_NBUSY = 0x80, STS_NACK = 0x40, STS_PAPER_END = 0x20, STS_SELECT = 0x10, STS_NERROR = 0x08, STS_ONES = 0x07 };
enum { CTL_STROBE = 1, CTL_AUTOFEED = 2, CTL_NINIT = 4, CTL_SELECT_IN = 8, CTL_IRQ = 16 };
#define BUSY_NS  1000     // from STROBE until the printer acknowledges
#define ACK_NS   500      // width of nACK, IEEE 1284's minimum
#define RETRY_NS 10000000 // a back end that was replaced while it was full never says that it is writable

enum phase { IDLE, BLOCKED, BUSY, ACK }; // BLOCKED: the back end has not taken the byte yet
struct parallel {
    struct bus *bus;
    struct irq irq;
    struct chardev *chr;
    struct timer step;
    u8 data, control;
    u8 latched; // the byte that STROBE handed over
    u8 phase;
};

static void deliver(struct parallel *p)
{
    p->phase = chardev_write(p->chr, &p->latched, 1) ? BUSY : BLOCKED;
    timer_arm(&p->bus->clock, &p->step, clock_now(&p->bus->clock) + (p->phase == BUSY ? BUSY_NS : RETRY_NS));
}
static void step(void *owner)
{
    struct parallel *p = owner;
    if (p->phase == BLOCKED) {
        deliver(p);
    } else if (p->phase == BUSY) {
        p->phase = ACK;
        timer_arm(&p->bus->clock, &p->step, clock_now(&p->bus->clock) + ACK_NS);
    } else if (p->phase == ACK) {
        p->phase = IDLE;
        if (p->control & CTL_IRQ) irq_pulse(&p->irq); // the trailing edge of nACK
    }
}
static void writable(void *front)
{
    struct parallel *p = front;
    if (p->phase == BLOCKED) deliver(p);
}

static u8 status(const struct parallel *p)
{
    if (!p->chr) return STS_NACK | STS_PAPER_END | STS_SELECT | STS_NERROR | STS_ONES; // pull-ups; BUSY is inverted
    u8 v = STS_SELECT | STS_NERROR | STS_ONES;
    if (p->phase == IDLE && (p->control & CTL_NINIT)) v |= STS_NBUSY;
    if (p->phase != ACK) v |= STS_NACK;
    return v;
}
static u64 port_read(void *dev, u64 off, unsigned size)
{
    const struct parallel *p = dev;
    return off == 0 ? p->data : off == 1 ? status(p) : p->control | 0xe0;
}
static void port_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct parallel *p = dev;
    if (off == 0) {
        p->data = (u8)val;
    } else if (off == 2) {
        u8 rise = (u8)val & ~p->control;
        p->control = val & 0x1f;
        if (!(p->control & CTL_NINIT)) { // nINIT resets the printer
            p->phase = IDLE;
            timer_cancel(&p->bus->clock, &p->step);
        } else if ((rise & CTL_STROBE) && p->phase == IDLE && p->chr) {
            p->latched = p->data;
            deliver(p);
        }
    }
}
static const struct io_ops port_ops = {.read = port_read, .write = port_write, .sizes = 1};

static void reset(void *self)
{
    struct parallel *p = self;
    timer_cancel(&p->bus->clock, &p->step);
    p->data = p->latched = 0;
    p->control = CTL_SELECT_IN | CTL_NINIT;
    p->phase = IDLE;
    irq_set(&p->irq, 0);
}
static void state(struct state *s, void *self)
{
    struct parallel *p = self;
    state_u8(s, "data", &p->data);
    state_u8(s, "control", &p->control);
    state_u8(s, "latched", &p->latched);
    state_u8(s, "phase", &p->phase);
    timer_state(s, "step", &p->bus->clock, &p->step);
    if (!state_loading(s)) return;
    p->control &= 0x1f;
    if (p->phase > ACK || (p->phase != IDLE) != timer_armed(&p->step))
        state_fail(s, "no such printer phase"), p->phase = IDLE;
}
static void info(void *self, struct buf *out)
{
    const struct parallel *p = self;
    buf_printf(out, "data=%02x status=%02x control=%02x, back end %s\n", p->data, status(p), p->control,
               p->chr ? p->chr->name : "none");
}
static void port_free(void *self)
{
    struct parallel *p = self;
    timer_cancel(&p->bus->clock, &p->step);
    if (p->chr) p->chr->front = NULL, p->chr->writable = NULL;
    free(p);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = port_free};

void parallel_new(struct bus *b, const char *name, u16 base, const struct irq *irq, struct chardev *chr)
{
    struct parallel *p = xalloc(sizeof *p);
    p->bus = b;
    p->irq = *irq;
    p->chr = chr;
    timer_init(&p->step, step, p);
    if (chr) chr->front = p, chr->writable = writable;
    bus_map_port(b, base, 3, &port_ops, p, "parallel");
    part_add(&b->parts, name, &part_ops, p);
    reset(p);
}
