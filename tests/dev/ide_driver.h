// SPDX-License-Identifier: MIT
// A machine with two IDE channels and a little driver for them, for tests/dev/ide.c and atapi.c.
#pragma once
#include <errno.h>
#include "hw/pci/piix3.h"
#include "hw/storage/ide.h"
#include "mem/base/bits.h"
#include "mem/state.h"
#include "tests/check.h"

// A disk in memory; `fail` is what accesses to sectors from `bad` on return.
struct mdisk {
    struct disk d;
    u8 *data;
    u64 bad;
    int fail, flushes;
};
static int m_read(struct disk *d, u64 pos, void *to, size_t n)
{
    struct mdisk *m = d->self;
    if (m->fail && pos + n > m->bad * 512) return m->fail;
    memcpy(to, m->data + pos, n);
    return 0;
}
static int m_write(struct disk *d, u64 pos, const void *from, size_t n)
{
    struct mdisk *m = d->self;
    if (m->fail && pos + n > m->bad * 512) return m->fail;
    memcpy(m->data + pos, from, n);
    return 0;
}
static int m_flush(struct disk *d)
{
    struct mdisk *m = d->self;
    m->flushes++;
    return 0;
}
static int m_discard(struct disk *d, u64 pos, u64 n)
{
    memset(((struct mdisk *)d->self)->data + pos, 0, n);
    return 0;
}
static void m_close(struct disk *d) { free(((struct mdisk *)d->self)->data); } // d is the start of its struct
static const struct disk_ops m_ops = {m_read, m_write, m_flush, m_discard, m_close};
static UNUSED struct mdisk *mdisk_new(u64 size, bool readonly)
{
    struct mdisk *m = xalloc(sizeof *m);
    m->d = (struct disk){.ops = &m_ops, .file = xstrdup("memory"), .size = size, .readonly = readonly, .self = m};
    m->data = xalloc(size);
    for (u64 i = 0; i < size; i += 512) st64(m->data + i, i / 512), st64(m->data + i + 504, ~(i / 512));
    return m;
}

struct machine {
    struct bus bus;
    struct pci_bus *pci;
    struct ram *ram;
    struct ide *ide;
    int level[16], edges[16];
};
static void isa_set(void *owner, int n, int level)
{
    struct machine *m = owner;
    m->edges[n] += level && !m->level[n];
    m->level[n] = level;
}
#define BM 0xc000
static UNUSED struct machine *make(const struct ide_unit unit[4])
{
    struct machine *m = xalloc(sizeof *m);
    struct err e = {0};
    bus_init(&m->bus);
    m->ram = ram_new(&m->bus, "ram", 4 << 20, &e);
    bus_map_ram(&m->bus, 0, 4 << 20, m->ram, 0, REGION_RW, 0, "ram");
    m->pci = pci_bus_new(&m->bus);
    struct irq isa[16];
    for (int i = 0; i < 16; i++) isa[i] = (struct irq){isa_set, m, i};
    piix3_new(m->pci, isa);
    m->ide = ide_new(m->pci, isa + 14, unit);
    parts_reset(&m->bus.parts);
    // What firmware does: ports on, bus master base, both channels decoded
    bus_out(&m->bus, 0xcf8, 0x80000920, 4), bus_out(&m->bus, 0xcfc, BM, 4);
    bus_out(&m->bus, 0xcf8, 0x80000904, 4), bus_out(&m->bus, 0xcfc, 5, 2);
    bus_out(&m->bus, 0xcf8, 0x80000940, 4), bus_out(&m->bus, 0xcfc, 0x80008000, 4);
    return m;
}
static UNUSED void done(struct machine *m)
{
    bus_free(&m->bus);
    free(m);
}
static UNUSED void run(struct machine *m, u64 ns) // virtual time passes
{
    for (u64 end = m->bus.clock.now + ns;;) {
        u64 next = clock_next(&m->bus.clock);
        m->bus.clock.now = next < end ? next : end;
        clock_run(&m->bus.clock);
        if (next >= end) return;
    }
}
static u16 base; // 1F0h or 170h
static UNUSED u8 in(struct machine *m, unsigned r) { return bus_in(&m->bus, base + r, 1); }
static UNUSED void out(struct machine *m, unsigned r, u8 v) { bus_out(&m->bus, base + r, v, 1); }
static UNUSED u8 alt(struct machine *m) { return bus_in(&m->bus, base + 0x206, 1); }
static UNUSED void ctl(struct machine *m, u8 v) { bus_out(&m->bus, base + 0x206, v, 1); }
static UNUSED int irq_of(void) { return base == 0x1f0 ? 14 : 15; }
// Waits until BSY falls; reads alternate status only.
static UNUSED u8 ready(struct machine *m)
{
    for (int i = 0; i < 3000 && (alt(m) & 0x80); i++) run(m, 1000);
    return alt(m);
}
static UNUSED void select_lba(struct machine *m, int slave, u32 lba, u8 n)
{
    out(m, 6, 0xe0 | slave << 4 | (lba >> 24 & 15));
    out(m, 2, n), out(m, 3, lba), out(m, 4, lba >> 8), out(m, 5, lba >> 16);
}
static UNUSED void select_ext(struct machine *m, int slave, u64 lba, u32 n)
{
    out(m, 6, 0xe0 | slave << 4);
    out(m, 2, n >> 8), out(m, 3, lba >> 24), out(m, 4, lba >> 32), out(m, 5, lba >> 40);
    out(m, 2, n), out(m, 3, lba), out(m, 4, lba >> 8), out(m, 5, lba >> 16);
}
static UNUSED void pio_in(struct machine *m, u8 *to, u32 n)
{
    for (u32 i = 0; i < n; i += 2) {
        u16 v = bus_in(&m->bus, base, 2);
        if (to) memcpy(to + i, &v, n - i < 2 ? 1 : 2);
    }
}
static UNUSED void pio_out(struct machine *m, const u8 *from, u32 n)
{
    for (u32 i = 0; i < n; i += 2) bus_out(&m->bus, base, ld16(from + i), 2);
}
// Descriptor table at 1000h: pieces of `size` bytes from `at` on, `n` bytes in all.
static UNUSED void prd(struct machine *m, u32 at, u32 n, u32 size)
{
    u32 t = 0x1000;
    for (; n; t += 8) {
        u32 k = n < size ? n : size;
        st32(m->ram->host + t, at), st32(m->ram->host + t + 4, k & 0xffff);
        at += k, n -= k;
    }
    m->ram->host[t - 1] |= 0x80;
    bus_out(&m->bus, BM + (base == 0x170) * 8 + 4, 0x1000, 4);
}
static UNUSED void bm(struct machine *m, u8 v) { bus_out(&m->bus, BM + (base == 0x170) * 8, v, 1); }
static UNUSED u8 bm_status(struct machine *m) { return bus_in(&m->bus, BM + (base == 0x170) * 8 + 2, 1); }
static UNUSED void bm_clear(struct machine *m) { bus_out(&m->bus, BM + (base == 0x170) * 8 + 2, 6, 1); }
static UNUSED void save(struct machine *m, struct buf *b)
{
    struct state s = {.mode = STATE_SAVE, .out = b};
    parts_state(&m->bus.parts, &s);
}
static UNUSED bool load(struct machine *m, const struct buf *b)
{
    struct state s = {.mode = STATE_LOAD, .in = b->data, .len = b->len};
    parts_state(&m->bus.parts, &s);
    if (s.err.msg[0]) fprintf(stderr, "%s\n", s.err.msg);
    return state_ok(&s);
}
// n was loaded from a save of m: both must save alike.
static UNUSED bool same_state(struct machine *m, struct machine *n)
{
    struct buf a = {0}, b = {0};
    save(m, &a);
    n->bus.clock.now = m->bus.clock.now;
    bool ok = load(n, &a);
    save(n, &b);
    ok = ok && a.len == b.len && !memcmp(a.data, b.data, a.len);
    buf_free(&a), buf_free(&b);
    return ok;
}
