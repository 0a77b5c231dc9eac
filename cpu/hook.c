// SPDX-License-Identifier: MIT
// Which addresses a debugger has marked, by page, and the trail of last events. See hook.h.
#include <stdlib.h>
#include <string.h>
#include "cpu/access.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "mem/base/err.h"

enum { PAGES = 1 << 14, FILTER = 1 << 16 }; // hash slots
static const u32 max_id[2] = {4094,
                              254}; // of linear and physical pages: 12 and 8 bits of a block's key, never all ones
struct break_page {
    u64 number; // address >> 12
    u32 id;
    bool phys;
    u64 marked[64]; // a bit a byte of the page
};

static u32 slot_of(u64 number, bool phys) { return (u32)((number * 2 + phys) * 0x9e3779b97f4a7c15ull >> 50); }

static struct break_page **find(const struct cpu_hooks *h, u64 number, bool phys)
{
    u32 i = slot_of(number, phys);
    while (h->page[i] && (h->page[i]->number != number || h->page[i]->phys != phys)) i = (i + 1) % PAGES;
    return &h->page[i];
}

// A bit for most pages that have no marks: engines ask for every block they look up.
static u32 filter_of(u64 number, bool phys) { return (u32)((number * 2 + phys) * 0x9e3779b97f4a7c15ull >> 48); }

static struct break_page *page_of(const struct cpu_hooks *h, u64 addr, bool phys)
{
    u32 bit_nr = filter_of(addr >> PAGE_BITS, phys);
    if (!h->npage[phys] || !(h->filter[bit_nr / 64] >> bit_nr % 64 & 1)) return NULL;
    return *find(h, addr >> PAGE_BITS, phys);
}

void hook_clear(struct cpu_hooks *h)
{
    for (u32 i = 0; h->page && i < PAGES; i++) free(h->page[i]);
    free(h->page);
    free(h->filter);
    free(h->watch);
    h->page = NULL;
    h->filter = NULL;
    h->watch = NULL;
    h->npage[0] = h->npage[1] = h->nwatch = h->nphys = 0;
}

bool hook_mark(struct cpu_hooks *h, u64 addr, bool phys)
{
    u32 bit_nr = filter_of(addr >> PAGE_BITS, phys);
    if (!h->page) {
        h->page = xalloc(PAGES * sizeof *h->page);
        h->filter = xalloc(FILTER / 8);
    }
    struct break_page **p = find(h, addr >> PAGE_BITS, phys);
    if (!*p) {
        if (h->npage[phys] == max_id[phys]) return false;
        *p = xalloc(sizeof **p);
        (*p)->number = addr >> PAGE_BITS;
        (*p)->phys = phys;
        (*p)->id = ++h->npage[phys];
        h->filter[bit_nr / 64] |= (u64)1 << bit_nr % 64;
    }
    (*p)->marked[addr >> 6 & 63] |= (u64)1 << (addr & 63);
    return true;
}

void hook_watch(struct cpu_hooks *h, u64 first, u64 last, bool phys)
{
    h->watch = xrealloc(h->watch, (h->nwatch + 1) * sizeof *h->watch);
    h->watch[h->nwatch++] = (struct watch_range){first, last, phys};
    h->nphys += phys;
}

u32 hook_key(const struct cpu_hooks *h, u64 lin, u64 pa)
{
    const struct break_page *a = page_of(h, lin, false), *b = page_of(h, pa, true);
    return (a ? a->id << 12 : 0) | (b ? b->id << 24 : 0);
}

static bool bit_of(const struct break_page *p, u64 addr) { return p && p->marked[addr >> 6 & 63] >> (addr & 63) & 1; }

bool hook_marked(const struct cpu_hooks *h, u64 lin, u64 pa)
{
    return bit_of(page_of(h, lin, false), lin) || bit_of(page_of(h, pa, true), pa);
}

bool hook_watched_page(const struct cpu_hooks *h, u64 lin, u64 pa)
{
    if (h->watch_all) return true;
    for (u32 i = 0; i < h->nwatch; i++) {
        u64 page = (h->watch[i].phys ? pa : lin) & PAGE_MASK;
        if (page <= h->watch[i].last && page + 0xfff >= h->watch[i].first) return true;
    }
    return false;
}

static bool meets(const struct watch_range *w, const struct hook_access *a)
{
    u32 room = (u32)min_u64(a->size, PAGE_SIZE - (a->lin & 0xfff));
    if (!w->phys) return a->lin <= w->last && a->lin + a->size - 1 >= w->first;
    if (a->pa <= w->last && a->pa + room - 1 >= w->first) return true;
    return room < a->size && a->pa2 <= w->last && a->pa2 + (a->size - room) - 1 >= w->first;
}

void hook_data(struct cpu *c, u64 lin, u64 pa, u64 pa2, u64 value, u32 size, bool write, bool system)
{
    const struct cpu_hooks *h = c->hooks;
    struct hook_access a = {lin, pa, value, pa2, size, write, system, false};
    bool hit = h->watch_all;
    for (u32 i = 0; i < h->nwatch && !hit; i++) hit = meets(&h->watch[i], &a);
    if (hit) h->data(c, &a);
}

void hook_walk(struct cpu *c, u64 pa, u64 value, u32 size, bool write)
{
    const struct cpu_hooks *h = c->hooks;
    struct hook_access a = {pa, pa, value, 0, size, write, true, true};
    bool hit = false;
    for (u32 i = 0; i < h->nwatch && !hit; i++) hit = h->watch[i].phys && meets(&h->watch[i], &a);
    if (hit) h->data(c, &a);
}

void cpu_hold_interrupts(struct cpu *c, bool on) { c->attn_hold = on ? ATTN_INTR | ATTN_NMI : 0; }

// ---- the trail

void trail_event(struct cpu *c, int vector, int kind, bool has_err, u32 err, int during)
{
    struct cpu_trail *t = c->trail;
    if (t->blocks_on) trail_block(t, c->seg[S_CS].base + c->gpr[R_RIP], TRAIL_EVENT | (u32)vector, c->mode);
    t->event[t->nevents++ % TRAIL] = (struct trail_event){.icount = cpu_icount(c),
                                                          .rip = c->gpr[R_RIP],
                                                          .cr2 = c->cr2,
                                                          .rsp = c->gpr[R_RSP],
                                                          .err = has_err ? err : 0,
                                                          .cs = c->seg[S_CS].sel,
                                                          .vector = (u8)vector,
                                                          .kind = (u8)kind,
                                                          .has_err = has_err,
                                                          .during = (i8)during,
                                                          .cpl = c->cpl};
}

void trail_io(struct cpu *c, u16 port, u32 value, unsigned size, bool write)
{
    struct cpu_trail *t = c->trail;
    t->io[t->nio++ % TRAIL] = (struct trail_io){cpu_icount(c), c->gpr[R_RIP], value, port, (u8)size, write};
}
