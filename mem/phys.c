// SPDX-License-Identifier: MIT
// RAM blocks, the flattened physical map, dirty and code marks.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/bus.h"

#define HOST_LARGE (2u << 20) // most hosts' second page size

void phys_rebuild(struct bus *b);
void phys_free(struct bus *b);

// One mapping each, so that untouched parts cost nothing; a large one begins where the host's large pages do, and asks
// for them: guests touch memory in no order that a small TLB would like.
static u8 *map_block(u64 size)
{
    u64 slack = size >= 2 * HOST_LARGE ? HOST_LARGE : 0;
    u8 *p = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || !slack) return p;
    u64 skip = -(uintptr_t)p & (HOST_LARGE - 1);
    if (skip) munmap(p, skip);
    if (slack - skip) munmap(p + skip + size, slack - skip);
    p += skip;
    madvise(p, size, MADV_HUGEPAGE); // a wish: without it all is the same but slower
    return p;
}

struct ram *ram_new(struct bus *b, const char *name, u64 size, struct err *e)
{
    struct phys *p = &b->phys;
    size = align_up(size, PAGE_SIZE);
    u64 pages = size >> PAGE_BITS;
    struct ram *r = xalloc(sizeof *r);
    snprintf(r->name, sizeof r->name, "%s", name);
    r->size = size;
    r->host = map_block(size);
    r->flags = calloc(pages, 1);
    r->code_lines = calloc(pages, 8);
    if (r->host == MAP_FAILED || !r->flags || !r->code_lines) {
        err_set(e, "cannot allocate %llu MB for %s: %s; use a smaller -m", (unsigned long long)(size >> 20), name,
                err_errno(errno));
        if (r->host != MAP_FAILED) munmap(r->host, size);
        free(r->flags);
        free(r->code_lines);
        free(r);
        return NULL;
    }
    p->rams = xrealloc(p->rams, (p->nrams + 1) * sizeof *p->rams);
    return p->rams[p->nrams++] = r;
}

void phys_free(struct bus *b)
{
    struct phys *p = &b->phys;
    for (u32 i = 0; i < p->nrams; i++) {
        munmap(p->rams[i]->host, p->rams[i]->size);
        free(p->rams[i]->flags);
        free(p->rams[i]->code_lines);
        free(p->rams[i]);
    }
    for (u32 i = 0; i < p->nregions; i++) free(p->regions[i]);
    free(p->rams);
    free(p->regions);
    free(p->map);
    free(p->pieces);
    *p = (struct phys){0};
}

static int cmp_u64(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

static struct region *top_region(struct phys *p, u64 pa, int rw)
{
    struct region *best = NULL;
    for (u32 i = 0; i < p->nregions; i++) {
        struct region *r = p->regions[i];
        if (r->enabled && (r->rw & rw) && pa - r->base < r->size && (!best || r->prio >= best->prio)) best = r;
    }
    return best;
}

static void note_pieces(struct phys *p)
{
    p->pieces = xrealloc(p->pieces, (p->nmap + 1) * sizeof *p->pieces);
    p->npieces = 0;
    for (u32 i = 0; i < p->nmap; i++) {
        const struct range *g = &p->map[i];
        if (!g->rd || g->rd->kind != REGION_RAM) continue;
        p->pieces[p->npieces++] =
            (struct piece){g->first, g->last, g->rd->ram, g->rd->ram_off + (g->first - g->rd->base)};
    }
}

// Whether a page with code is not any more where it was. A BAR that moves does not concern those who keep code.
static bool code_moved(struct bus *b)
{
    for (u32 i = 0; i < b->phys.npieces; i++) {
        const struct piece *was = &b->phys.pieces[i];
        u64 pages = (((was->ram_off & 0xfff) + (was->last - was->first)) >> PAGE_BITS) + 1;
        const u8 *flags = was->ram->flags + (was->ram_off >> PAGE_BITS);
        for (u64 n = 0; n < pages; n++) {
            if (!(flags[n] & RAM_CODE)) continue;
            struct phys_page g = phys_page(b, was->first + (n << PAGE_BITS), false);
            if (g.ram != was->ram || g.ram_off != (was->ram_off & PAGE_MASK) + (n << PAGE_BITS)) return true;
        }
    }
    return false;
}

// Cuts the address space at every region's ends; each piece belongs to its topmost reader and writer. A few dozen
// regions: the quadratic cost does not show, changes are rare (firmware, BARs).
void phys_rebuild(struct bus *b)
{
    struct phys *p = &b->phys;
    u64 *cut = xalloc((2 * p->nregions + 1) * sizeof *cut);
    u32 n = 0;
    for (u32 i = 0; i < p->nregions; i++) {
        struct region *r = p->regions[i];
        if (!r->enabled) continue;
        cut[n++] = r->base;
        if (r->base + r->size) cut[n++] = r->base + r->size;
    }
    qsort(cut, n, sizeof *cut, cmp_u64);
    free(p->map);
    p->map = xalloc((n + 1) * sizeof *p->map);
    p->nmap = 0;
    for (u32 i = 0; i < n; i++) {
        if (i + 1 < n && cut[i] == cut[i + 1]) continue;
        u64 last = i + 1 < n ? cut[i + 1] - 1 : ~(u64)0;
        struct region *rd = top_region(p, cut[i], REGION_R), *wr = top_region(p, cut[i], REGION_W);
        if (!rd && !wr) continue;
        struct range *prev = p->nmap ? &p->map[p->nmap - 1] : NULL;
        if (prev && prev->last + 1 == cut[i] && prev->rd == rd && prev->wr == wr)
            prev->last = last;
        else
            p->map[p->nmap++] = (struct range){cut[i], last, rd, wr};
    }
    free(cut);
    p->hit = 0;
    p->read_len = 0;
    p->stale = false;
    bool code = code_moved(b);
    note_pieces(p);
    if (b->hooks.remapped) b->hooks.remapped(b->hooks.owner, code);
}

const struct range *phys_find(struct bus *b, u64 pa)
{
    struct phys *p = &b->phys;
    if (p->hit < p->nmap && pa >= p->map[p->hit].first && pa <= p->map[p->hit].last) return &p->map[p->hit];
    u32 lo = 0, hi = p->nmap;
    while (lo < hi) {
        u32 mid = (lo + hi) / 2;
        if (pa > p->map[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == p->nmap || pa < p->map[lo].first) return NULL;
    p->hit = lo;
    return &p->map[lo];
}

struct phys_page phys_page(struct bus *b, u64 pa, bool write)
{
    pa &= PAGE_MASK;
    const struct range *g = phys_find(b, pa);
    struct region *r = g ? (write ? g->wr : g->rd) : NULL;
    if (!r || r->kind != REGION_RAM || g->last - pa < PAGE_SIZE - 1) return (struct phys_page){0};
    u64 off = r->ram_off + (pa - r->base);
    if (off & ~PAGE_MASK) return (struct phys_page){0};
    struct phys_page g2 = {.ram = r->ram, .ram_off = off, .host = r->ram->host + off};
    g2.direct = !write || (!r->ram->rom && !r->ram->flags[off >> PAGE_BITS]);
    return g2;
}

u8 *phys_read_slow(struct bus *b, u64 pa)
{
    struct phys *p = &b->phys;
    struct phys_page g = phys_page(b, pa, false);
    if (!g.host) return NULL;
    const struct range *r = phys_find(b, pa & PAGE_MASK);
    u64 first = align_up(r->first, PAGE_SIZE), end = (r->last + 1) & PAGE_MASK; // (RAM ends below the last page)
    if (end > first) {
        p->read_first = first;
        p->read_len = end - first;
        p->read_host = g.host - ((pa & PAGE_MASK) - first);
    }
    return g.host + (pa & 0xfff);
}

u64 phys_line_mask(u64 off, u64 len)
{
    unsigned first = (off & 0xfff) >> 6, last = ((off & 0xfff) + len - 1) >> 6;
    return (~(u64)0 << first) & (~(u64)0 >> (63 - last));
}

bool phys_mark_code(struct bus *b, u64 pa, u64 len)
{
    while (len) {
        u64 n = min_u64(len, PAGE_SIZE - (pa & 0xfff));
        struct phys_page g = phys_page(b, pa, false);
        if (!g.ram) return false;
        u64 page = g.ram_off >> PAGE_BITS;
        g.ram->code_lines[page] |= phys_line_mask(pa, n);
        if (!(g.ram->flags[page] & RAM_CODE)) {
            g.ram->flags[page] |= RAM_CODE;
            if (b->hooks.protect) b->hooks.protect(b->hooks.owner, pa & PAGE_MASK);
        }
        pa += n, len -= n;
    }
    return true;
}

void phys_set_code(struct bus *b, u64 pa, u64 lines)
{
    struct phys_page g = phys_page(b, pa, false);
    if (!g.ram) return;
    u64 page = g.ram_off >> PAGE_BITS;
    g.ram->code_lines[page] = lines;
    if (!lines) g.ram->flags[page] &= ~RAM_CODE;
}

void phys_clear_all_code(struct bus *b)
{
    for (u32 i = 0; i < b->phys.nrams; i++) {
        struct ram *r = b->phys.rams[i];
        for (u64 page = 0; page < r->size >> PAGE_BITS; page++) {
            if (!(r->flags[page] & RAM_CODE)) continue;
            r->flags[page] &= ~RAM_CODE;
            r->code_lines[page] = 0;
        }
    }
}

bool phys_has_code(struct bus *b, u64 pa, u64 len)
{
    while (len) {
        u64 n = min_u64(len, PAGE_SIZE - (pa & 0xfff));
        struct phys_page g = phys_page(b, pa, false);
        if (g.ram && (g.ram->code_lines[g.ram_off >> PAGE_BITS] & phys_line_mask(pa, n))) return true;
        pa += n, len -= n;
    }
    return false;
}

bool phys_take_dirty(struct bus *b, struct ram *ram, u64 off, u64 len)
{
    if (!len || !range_ok(off, len, ram->size)) return false;
    bool dirty = false, news = false;
    for (u64 page = off >> PAGE_BITS; page <= (off + len - 1) >> PAGE_BITS; page++) {
        if (ram->flags[page] & RAM_CLEAN) continue;
        dirty = true;
        ram->flags[page] |= RAM_CLEAN;
        news = true;
    }
    ram->watched = true;
    if (news && b->hooks.protect) b->hooks.protect(b->hooks.owner, ~(u64)0);
    return dirty;
}
