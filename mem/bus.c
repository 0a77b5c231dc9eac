// SPDX-License-Identifier: MIT
// The backplane: port map, width splitting, single physical accesses and bounded DMA.
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/bus.h"

#define NPORTS          65536u
#define DATA_STORES_MAX 16384 // the slow way of so many costs much more than what it forgets of a page costs anew

void bus_init(struct bus *b)
{
    memset(b, 0, sizeof *b);
    log_init(&b->log);
    b->port_map = xalloc(NPORTS * sizeof *b->port_map);
    b->ports = xalloc(sizeof *b->ports);
    b->nports = 1;
}

static u64 all_ones(unsigned size) { return size_mask(size); }

// The widest implemented width <= size, or the narrowest if all are wider.
static unsigned pick_width(u8 sizes, unsigned size)
{
    if (!sizes) return 1;
    for (unsigned w = size; w; w >>= 1)
        if (sizes & w) return w;
    return sizes & -sizes;
}

static u64 region_read(struct region *r, u64 off, unsigned size)
{
    unsigned w = pick_width(r->ops->sizes, size);
    if (!r->ops->read) return all_ones(size);
    if (w == size) return r->ops->read(r->dev, off, size) & size_mask(size);
    u64 v = 0;
    if (w < size) {
        for (unsigned i = 0; i < size; i += w) v |= (r->ops->read(r->dev, off + i, w) & size_mask(w)) << 8 * i;
        return v;
    }
    for (unsigned i = 0; i < size;) { // cut out of wider registers; an access may touch two of them
        u64 at = align_down(off + i, w), reg = r->ops->read(r->dev, at, w);
        for (; i < size && off + i < at + w; i++) v |= (reg >> 8 * (off + i - at) & 0xff) << 8 * i;
    }
    return v;
}

static void region_write(struct bus *b, struct region *r, u64 off, u64 val, unsigned size)
{
    unsigned w = pick_width(r->ops->sizes, size);
    if (!r->ops->write) return;
    if (w > size && !r->ops->narrow_write) {
        log_guest(&b->log, r->name, "write of %u bytes at offset 0x%llx, registers have %u: dropped", size,
                  (unsigned long long)off, w);
        return;
    }
    if (w >= size) {
        r->ops->write(r->dev, off, val & size_mask(size), size);
        return;
    }
    for (unsigned i = 0; i < size; i += w) r->ops->write(r->dev, off + i, val >> 8 * i & size_mask(w), w);
}

// ---- ports

static void port_repaint(struct bus *b, u64 base, u64 size)
{
    for (u64 p = base; p < base + size && p < NPORTS; p++) {
        u16 best = 0;
        for (u16 i = 1; i < b->nports; i++) {
            struct region *r = b->ports[i];
            if (r->enabled && p >= r->base && p - r->base < r->size && (!best || r->prio >= b->ports[best]->prio))
                best = i;
        }
        b->port_map[p] = best;
    }
}

struct region *bus_map_port(struct bus *b, u16 base, u32 size, const struct io_ops *ops, void *dev, const char *name)
{
    struct region *r = xalloc(sizeof *r);
    *r = (struct region){.name = name,
                         .base = base,
                         .size = size,
                         .rw = REGION_RW,
                         .enabled = true,
                         .port = true,
                         .ops = ops,
                         .dev = dev};
    if (b->nports == 0xffff) panic("too many port regions");
    b->ports = xrealloc(b->ports, (b->nports + 1) * sizeof *b->ports);
    b->ports[b->nports++] = r;
    port_repaint(b, base, size);
    return r;
}

static struct region *port_region(struct bus *b, u32 port)
{
    u16 i = b->port_map[port & 0xffff];
    return i ? b->ports[i] : NULL;
}

u32 bus_in(struct bus *b, u16 port, unsigned size)
{
    struct region *r = port_region(b, port);
    if (size > 1 && port_region(b, port + size - 1) != r) { // crosses a border: the bus's byte cycles
        u32 v = 0;
        for (unsigned i = 0; i < size; i++) v |= bus_in(b, port + i, 1) << 8 * i;
        return v;
    }
    if (!r) {
        trace(&b->log, port_unassigned_read, port, size);
        return all_ones(size);
    }
    return region_read(r, port - r->base, size);
}

void bus_out(struct bus *b, u16 port, u32 val, unsigned size)
{
    struct region *r = port_region(b, port);
    if (size > 1 && port_region(b, port + size - 1) != r) {
        for (unsigned i = 0; i < size; i++) bus_out(b, port + i, val >> 8 * i & 0xff, 1);
        return;
    }
    if (!r)
        trace(&b->log, port_unassigned_write, port, size, val);
    else
        region_write(b, r, port - r->base, val, size);
}

void phys_rebuild(struct bus *b);

void bus_map_begin(struct bus *b) { b->phys.hold++; }

void bus_map_commit(struct bus *b)
{
    if (!--b->phys.hold && b->phys.stale) phys_rebuild(b);
}

static void mem_changed(struct bus *b)
{
    b->phys.stale = true;
    if (!b->phys.hold) phys_rebuild(b);
}

static struct region *mem_add(struct bus *b, struct region t)
{
    if (!t.size || t.base + t.size - 1 < t.base) panic("region %s wraps", t.name);
    struct region *r = xalloc(sizeof *r);
    *r = t;
    struct phys *p = &b->phys;
    p->regions = xrealloc(p->regions, (p->nregions + 1) * sizeof *p->regions);
    p->regions[p->nregions++] = r;
    mem_changed(b);
    return r;
}

struct region *bus_map_mmio(struct bus *b, u64 base, u64 size, const struct io_ops *ops, void *dev, const char *name,
                            int prio)
{
    return mem_add(b, (struct region){.name = name,
                                      .base = base,
                                      .size = size,
                                      .kind = REGION_IO,
                                      .rw = REGION_RW,
                                      .prio = prio,
                                      .enabled = true,
                                      .ops = ops,
                                      .dev = dev});
}

struct region *bus_map_ram(struct bus *b, u64 base, u64 size, struct ram *ram, u64 ram_off, int rw, int prio,
                           const char *name)
{
    if (!range_ok(ram_off, size, ram->size)) panic("region %s exceeds its block", name);
    return mem_add(b, (struct region){.name = name,
                                      .base = base,
                                      .size = size,
                                      .kind = REGION_RAM,
                                      .rw = rw,
                                      .prio = prio,
                                      .enabled = true,
                                      .ram = ram,
                                      .ram_off = ram_off});
}

void bus_region_set(struct bus *b, struct region *r, u64 base, bool enabled)
{
    if (r->base == base && r->enabled == enabled) return;
    if (base + r->size - 1 < base)
        enabled = false; // a BAR at the very top of the address space: hardware would not decode it
    u64 old = r->base;
    bool was = r->enabled;
    r->base = base;
    r->enabled = enabled;
    if (!r->port) {
        if (was || enabled) mem_changed(b);
        return;
    }
    if (was) port_repaint(b, old, r->size);
    if (enabled) port_repaint(b, base, r->size);
}

void bus_region_rw(struct bus *b, struct region *r, int rw)
{
    if (r->rw == rw) return;
    r->rw = rw;
    mem_changed(b);
}

// ---- single accesses

// The range that answers all of [pa, pa+size), or NULL (then byte by byte).
static struct region *mem_region(struct bus *b, u64 pa, unsigned size, bool write, bool *split)
{
    const struct range *g = phys_find(b, pa);
    u64 last = pa + size - 1;
    *split = false;
    if (!g) {
        for (unsigned i = 1; i < size; i++) *split |= phys_find(b, pa + i) != NULL;
        return NULL;
    }
    if (last > g->last) *split = true;
    return write ? g->wr : g->rd;
}

u64 bus_load(struct bus *b, u64 pa, unsigned size)
{
    bool split;
    struct region *r = mem_region(b, pa, size, false, &split);
    if (unlikely(split && size > 1)) {
        u64 v = 0;
        for (unsigned i = 0; i < size; i++) v |= bus_load(b, pa + i, 1) << 8 * i;
        return v;
    }
    if (!r) {
        trace(&b->log, bus_unassigned_read, pa, size);
        return all_ones(size);
    }
    if (r->kind == REGION_RAM) return ld_size(r->ram->host + r->ram_off + (pa - r->base), size);
    return region_read(r, pa - r->base, size);
}

// What a write to RAM must tell: the screen, and the engine if there is code in these lines.
static void ram_touched(struct bus *b, struct ram *ram, u64 off, u64 len, u64 pa)
{
    for (u64 page = off >> PAGE_BITS; page <= (off + len - 1) >> PAGE_BITS; page++) {
        ram->flags[page] &= ~RAM_CLEAN;
        if (unlikely(ram->flags[page] & RAM_CODE)) {
            u64 from = max_u64(off, page << PAGE_BITS), to = min_u64(off + len, (page + 1) << PAGE_BITS);
            if (phys_has_code(b, pa + (from - off), to - from) && b->hooks.code_written)
                b->hooks.code_written(b->hooks.owner, pa + (from - off), to - from);
        }
    }
}

// A page with code has no fast path for stores (and what the translator has for them is slower, and tells of one in
// hundreds only). One that takes many which hit no code holds a stack or data now, and code that ran there once: the
// engine forgets that, and what still runs it finds again.
static void data_beside_code(struct bus *b, struct ram *ram, u64 off, u64 pa)
{
    u16 *n = &b->data_stores[pa / PAGE_SIZE % ARRAY_LEN(b->data_stores)];
    if (likely(!(ram->flags[off >> PAGE_BITS] & RAM_CODE)) || b->keep_code || ++*n < DATA_STORES_MAX) return;
    *n = 0;
    if (b->hooks.code_written) b->hooks.code_written(b->hooks.owner, pa & PAGE_MASK, PAGE_SIZE);
}

void bus_store(struct bus *b, u64 pa, u64 val, unsigned size)
{
    bool split;
    struct region *r = mem_region(b, pa, size, true, &split);
    if (unlikely(split && size > 1)) {
        for (unsigned i = 0; i < size; i++) bus_store(b, pa + i, val >> 8 * i & 0xff, 1);
        return;
    }
    if (!r) {
        trace(&b->log, bus_unassigned_write, pa, size, val);
        return;
    }
    if (r->kind == REGION_RAM) {
        u64 off = r->ram_off + (pa - r->base);
        if (r->ram->rom) return;
        st_size(r->ram->host + off, val, size);
        ram_touched(b, r->ram, off, size, pa);
        data_beside_code(b, r->ram, off, pa);
        return;
    }
    region_write(b, r, pa - r->base, val, size);
}

// ---- DMA

// One piece of a DMA transfer: how many bytes from pa on the same region answers.
static u64 dma_piece(struct bus *b, u64 pa, u64 len, bool write, struct region **r)
{
    const struct range *g = phys_find(b, pa);
    if (!g) {
        *r = NULL;
        return min_u64(len, PAGE_SIZE - (pa & 0xfff));
    }
    *r = write ? g->wr : g->rd;
    return min_u64(len - 1, g->last - pa) + 1;
}

bool bus_peek(struct bus *b, u64 pa, void *to, u64 len)
{
    bool ok = true;
    for (u8 *p = to; len;) {
        struct region *r;
        u64 n = dma_piece(b, pa, len, false, &r);
        if (r && r->kind == REGION_RAM) {
            memcpy(p, r->ram->host + r->ram_off + (pa - r->base), n);
        } else {
            memset(p, 0xff, n);
            ok = false;
        }
        p += n, pa += n, len -= n;
    }
    return ok;
}

bool bus_poke(struct bus *b, u64 pa, const void *from, u64 len)
{
    bool ok = true;
    for (const u8 *p = from; len;) {
        struct region *r;
        u64 n = dma_piece(b, pa, len, true, &r);
        if (r && r->kind == REGION_RAM) {
            u64 off = r->ram_off + (pa - r->base);
            if (!r->ram->rom) {
                memcpy(r->ram->host + off, p, n);
                ram_touched(b, r->ram, off, n, pa);
            }
        } else {
            ok = false;
        }
        p += n, pa += n, len -= n;
    }
    return ok;
}

bool bus_dma_read(struct bus *b, u64 pa, void *to, u64 len)
{
    bool ok = bus_peek(b, pa, to, len);
    if (unlikely(b->hooks.dma != NULL)) b->hooks.dma(b->hooks.owner, pa, to, len, false);
    return ok;
}

bool bus_dma_write(struct bus *b, u64 pa, const void *from, u64 len)
{
    if (unlikely(b->hooks.dma != NULL)) b->hooks.dma(b->hooks.owner, pa, from, len, true);
    return bus_poke(b, pa, from, len);
}

void phys_free(struct bus *b);

void bus_free(struct bus *b)
{
    clock_free(&b->clock); // before the devices that the armed timers are part of
    parts_free(&b->parts);
    phys_free(b);
    for (u32 i = 1; i < b->nports; i++) free(b->ports[i]);
    free(b->ports);
    free(b->port_map);
    memset(b, 0, sizeof *b);
}
