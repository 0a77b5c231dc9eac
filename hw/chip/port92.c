// SPDX-License-Identifier: MIT
// System control port A: fast A20 and fast reset. 82371SB (PIIX3) data sheet 2.5.3.2.
#include <stdlib.h>
#include "hw/chip/port92.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { FAST_INIT = 1, FAST_A20 = 2 };
struct port92 {
    struct bus *bus;
    struct irq a20, init;
    u8 val;
};

static u64 p92_read(void *self, u64 off, unsigned size) { return ((struct port92 *)self)->val; }

static void p92_write(void *self, u64 off, u64 val, unsigned size)
{
    struct port92 *p = self;
    u8 rose = (u8)(val & ~p->val);
    p->val = val & (FAST_INIT | FAST_A20); // the other bits are reserved, zero
    irq_set(&p->a20, bit(val, 1));
    if (rose & FAST_INIT) irq_set(&p->init, 1), irq_set(&p->init, 0);
}

static void reset(void *self)
{
    struct port92 *p = self;
    p->val = 0;
    irq_set(&p->a20, 0);
}

static void state(struct state *s, void *self)
{
    struct port92 *p = self;
    state_u8(s, "val", &p->val);
    if (state_loading(s)) irq_set(&p->a20, bit(p->val, 1));
}

static const struct io_ops p92_ops = {p92_read, p92_write};
static const struct part_ops part_ops = {.reset = reset, .state = state, .free = free};

struct port92 *port92_new(struct bus *b, struct irq a20, struct irq init)
{
    struct port92 *p = xalloc(sizeof *p);
    *p = (struct port92){.bus = b, .a20 = a20, .init = init};
    bus_map_port(b, 0x92, 1, &p92_ops, p, "port92");
    reset(p);
    part_add(&b->parts, "port92", &part_ops, p);
    return p;
}
