// SPDX-License-Identifier: MIT
// Test devices as QEMU offers them to kernels under test: isa-debug-exit, pc-testdev. Reference: what kvm-unit-tests'
// x86 programs do with them (lib/x86/fwcfg, x86/ioram.h, x86/emulator.c, x86/ioapic.c).
// The flush port makes the machine forget its cached translations: QEMU's remaps a page of the host to the same end.
#include <stdlib.h>
#include <string.h>
#include "hw/port/testdev.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define IOMEM_BASE 0xff000000ull
#define IOMEM_SIZE 0x10000
struct testdev {
    struct bus *bus;
    struct irq gsi[TESTDEV_GSIS];
    u8 level[TESTDEV_GSIS];
    u8 port[8]; // four are mapped
    u8 mem[IOMEM_SIZE];
};

static u64 exit_read(void *self, u64 off, unsigned size) { return 0; }
static void exit_write(void *self, u64 off, u64 val, unsigned size)
{
    struct bus *b = self;
    if (b->exit_request) b->exit_request(b->exit_owner, (int)((u32)val << 1 | 1));
}
static const struct io_ops exit_ops = {exit_read, exit_write, .sizes = 1 | 2 | 4};

void debug_exit_new(struct bus *b, u16 base, u32 size) { bus_map_port(b, base, size, &exit_ops, b, "isa-debug-exit"); }

static u64 port_read(void *self, u64 off, unsigned size)
{
    struct testdev *t = self;
    return range_ok(off, size, 4) ? ld_size(t->port + off, size) : ~(u64)0;
}
static void port_write(void *self, u64 off, u64 val, unsigned size)
{
    struct testdev *t = self;
    if (range_ok(off, size, 4)) st_size(t->port + off, val, size);
}

static u64 none_read(void *self, u64 off, unsigned size) { return 0; } // as QEMU's
static void flush_write(void *self, u64 off, u64 val, unsigned size)
{
    struct bus *b = ((struct testdev *)self)->bus;
    if (b->hooks.remapped) b->hooks.remapped(b->hooks.owner, true);
}

static void line_write(void *self, u64 off, u64 val, unsigned size)
{
    struct testdev *t = self;
    if (off >= TESTDEV_GSIS) return;
    t->level[off] = !!val;
    irq_set(&t->gsi[off], t->level[off]);
}

static u64 mem_read(void *self, u64 off, unsigned size)
{
    struct testdev *t = self;
    return range_ok(off, size, IOMEM_SIZE) ? ld_size(t->mem + off, size) : ~(u64)0;
}
static void mem_write(void *self, u64 off, u64 val, unsigned size)
{
    struct testdev *t = self;
    if (range_ok(off, size, IOMEM_SIZE)) st_size(t->mem + off, val, size);
}

static void reset(void *self)
{
    struct testdev *t = self;
    for (int i = 0; i < TESTDEV_GSIS; i++)
        if (t->level[i]) irq_set(&t->gsi[i], t->level[i] = 0);
    memset(t->port, 0, sizeof t->port);
}

static void state(struct state *s, void *self)
{
    struct testdev *t = self;
    state_bytes(s, "level", t->level, sizeof t->level);
    state_bytes(s, "port", t->port, sizeof t->port);
    state_memory(s, "mem", t->mem, sizeof t->mem);
    if (!state_loading(s)) return;
    for (int i = 0; i < TESTDEV_GSIS; i++) t->level[i] = !!t->level[i];
}

static const struct io_ops port_ops = {port_read, port_write, .sizes = 1 | 2 | 4};
static const struct io_ops bytes_ops = {port_read, port_write, .sizes = 1};
static const struct io_ops flush_ops = {none_read, flush_write, .sizes = 1 | 2 | 4};
static const struct io_ops line_ops = {none_read, line_write, .sizes = 1};
static const struct io_ops mem_ops = {mem_read, mem_write, .sizes = 1 | 2 | 4 | 8};
static const struct part_ops part_ops = {.reset = reset, .state = state, .free = free};

void testdev_new(struct bus *b, const struct irq gsi[TESTDEV_GSIS])
{
    struct testdev *t = xalloc(sizeof *t);
    t->bus = b;
    memcpy(t->gsi, gsi, sizeof t->gsi);
    bus_map_port(b, 0xe0, 4, &port_ops, t, "testdev-port");
    bus_map_port(b, 0xe4, 4, &flush_ops, t, "testdev-flush");
    bus_map_port(b, 0xe8, 4, &bytes_ops, t, "testdev-port-byte");
    bus_map_port(b, 0x2000, TESTDEV_GSIS, &line_ops, t, "testdev-irq");
    bus_map_mmio(b, IOMEM_BASE, IOMEM_SIZE, &mem_ops, t, "testdev-mem", 0);
    part_add(&b->parts, "pc-testdev", &part_ops, t);
}
