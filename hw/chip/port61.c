// SPDX-License-Identifier: MIT
// NMI status and control register (port 61h) with the PC speaker. 82371SB (PIIX3) data sheet 2.5.3.1.
// Bit 4 toggles with every refresh request, each 18 pulses of the 1.193182 MHz clock, whatever counter 1 was programmed
// for. Left out: sound itself; whoever plays it samples port61_speaker().
#include <stdlib.h>
#include "hw/chip/i8254.h"
#include "hw/chip/port61.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { GATE2 = 1, SPEAKER = 2, SERR_OFF = 4, IOCHK_OFF = 8, REFRESH = 0x10, OUT2 = 0x20, IOCHK = 0x40, SERR = 0x80 };
#define REFRESH_TICKS 18

struct port61 {
    struct bus *bus;
    struct i8254 *pit;
    struct irq nmi;
    u8 control; // bits 3..0
    u8 status;  // latched IOCHK and SERR
    u8 line;    // input levels, a bit a PORT61_*
};

static void update(struct port61 *p)
{
    if (bit(p->line, PORT61_IOCHK)) p->status |= IOCHK;
    if (bit(p->line, PORT61_SERR)) p->status |= SERR;
    if (p->control & IOCHK_OFF) p->status &= ~IOCHK;
    if (p->control & SERR_OFF) p->status &= ~SERR;
    irq_set(&p->nmi, p->status && !bit(p->line, PORT61_NMI_OFF));
}

static void line_set(void *self, int n, int level)
{
    struct port61 *p = self;
    p->line = level ? p->line | 1 << n : p->line & ~(1 << n);
    update(p);
}
struct irq port61_line(struct port61 *p, unsigned n) { return (struct irq){line_set, p, (int)(n % 3)}; }

bool port61_speaker(struct port61 *p) { return p->control & SPEAKER && i8254_out(p->pit, 2); }

static u64 p61_read(void *self, u64 off, unsigned size)
{
    struct port61 *p = self;
    u64 pulses = muldiv64(clock_now(&p->bus->clock), I8254_HZ_NUM, I8254_HZ_DEN * NS_PER_SEC);
    u8 v = p->control | p->status;
    if (pulses / REFRESH_TICKS & 1) v |= REFRESH;
    if (i8254_out(p->pit, 2)) v |= OUT2;
    return v;
}

static void p61_write(void *self, u64 off, u64 val, unsigned size)
{
    struct port61 *p = self;
    p->control = val & 15;
    i8254_gate(p->pit, 2, val & GATE2);
    update(p);
}

static void reset(void *self)
{
    struct port61 *p = self;
    p->control = p->status = 0;
    i8254_gate(p->pit, 2, 0);
    update(p);
}

static void state(struct state *s, void *self)
{
    struct port61 *p = self;
    state_u8(s, "control", &p->control);
    state_u8(s, "status", &p->status);
    state_u8(s, "line", &p->line);
    if (state_loading(s)) p->control &= 15, p->status &= IOCHK | SERR, p->line &= 7;
}

static const struct io_ops p61_ops = {p61_read, p61_write};
static const struct part_ops part_ops = {.reset = reset, .state = state, .free = free};

struct port61 *port61_new(struct bus *b, struct i8254 *pit, struct irq nmi)
{
    struct port61 *p = xalloc(sizeof *p);
    *p = (struct port61){.bus = b, .pit = pit, .nmi = nmi};
    bus_map_port(b, 0x61, 1, &p61_ops, p, "port61");
    reset(p);
    part_add(&b->parts, "port61", &part_ops, p);
    return p;
}
