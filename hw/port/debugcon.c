// SPDX-License-Identifier: MIT
// Debug console port. QEMU's device isa-debugcon (docs: -debugcon; properties iobase and readback), Bochs' port E9h.
// Bytes that the back end does not take at once wait in a small queue; when that is full the oldest are lost.
#include <stdlib.h>
#include <string.h>
#include "hw/port/debugcon.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define QUEUE 4096
struct debugcon {
    struct bus *bus;
    struct chardev *chr;
    u8 readback;
    u32 n;
    u8 queue[QUEUE];
};

static void flush(void *self)
{
    struct debugcon *d = self;
    if (!d->n) return;
    size_t k = min_u64(chardev_write(d->chr, d->queue, d->n), d->n);
    memmove(d->queue, d->queue + k, d->n -= (u32)k);
}

static u64 con_read(void *self, u64 off, unsigned size) { return ((struct debugcon *)self)->readback; }

static void con_write(void *self, u64 off, u64 val, unsigned size)
{
    struct debugcon *d = self;
    if (d->n == QUEUE) memmove(d->queue, d->queue + 1, --d->n);
    d->queue[d->n++] = (u8)val;
    flush(d);
}

static size_t can_receive(void *front) { return 0; }
static void reset(void *self) {}

static void state(struct state *s, void *self)
{
    struct debugcon *d = self;
    state_blob(s, "queue", d->queue, &d->n, QUEUE);
}

static const struct io_ops con_ops = {con_read, con_write};
static const struct part_ops part_ops = {.reset = reset, .state = state, .free = free};

struct debugcon *debugcon_new(struct bus *b, u16 base, u8 readback, struct chardev *chr)
{
    struct debugcon *d = xalloc(sizeof *d);
    d->bus = b;
    d->chr = chr;
    d->readback = readback;
    if (chr) {
        chr->front = d;
        chr->can_receive = can_receive;
        chr->writable = flush;
    }
    bus_map_port(b, base, 1, &con_ops, d, "debugcon");
    part_add(&b->parts, "debugcon", &part_ops, d);
    return d;
}
