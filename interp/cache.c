// SPDX-License-Identifier: MIT
// Decoded blocks: arena, hash, per-page lists, invalidation by the bytes that changed.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "cpu/mmu.h"
#include "interp/cache.h"
#include "mem/base/err.h"

// Golden section: neighbouring addresses spread, whatever their distance.
static u32 hash_block(u64 pa, u32 mode) { return (pa ^ (u64)mode << 40) * 0x9e3779b97f4a7c15ull >> (64 - CODE_BITS); }
static u32 hash_page(u64 pa) { return (u32)(pa >> PAGE_BITS) & (CODE_HASH - 1); }

struct code_cache *code_cache_get(struct cpu *c)
{
    struct bus *b = c->bus;
    struct code_cache *k = b->code_cache;
    if (!k) {
        k = b->code_cache = xalloc(sizeof *k);
        k->arena = mmap(NULL, CODE_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (k->arena == MAP_FAILED) panic("out of memory for decoded instructions");
    }
    if (k->users == ARRAY_LEN(k->cpu)) panic("too many CPUs");
    k->cpu[k->users++] = c;
    return k;
}

void code_cache_put(struct cpu *c)
{
    struct bus *b = c->bus;
    struct code_cache *k = b->code_cache;
    for (u32 i = 0; i < k->users; i++)
        if (k->cpu[i] == c) k->cpu[i] = k->cpu[k->users - 1];
    if (--k->users) return;
    munmap(k->arena, CODE_ARENA);
    free(k);
    b->code_cache = NULL;
}

struct iblock *code_find(struct code_cache *k, u64 pa, u32 mode)
{
    for (struct iblock *t = k->hash[hash_block(pa, mode)]; t; t = t->hash)
        if (t->pa == pa && t->mode == mode) return t;
    return NULL;
}

void code_flush(struct code_cache *k, struct bus *b)
{
    memset(k->hash, 0, sizeof k->hash);
    memset(k->pages, 0, sizeof k->pages);
    k->used = 0;
    for (u32 i = 0; i < k->users; i++) tlb_new_generation(k->cpu[i], true);
    k->flushes++;
    phys_clear_all_code(b);
}

struct iblock *code_alloc(struct code_cache *k, struct bus *b, unsigned n)
{
    if (k->used + sizeof(struct iblock) + n * sizeof(struct insn) > CODE_ARENA) code_flush(k, b);
    struct iblock *t = (struct iblock *)(k->arena + k->used);
    memset(t, 0, sizeof *t);
    t->pa2 = ~(u64)0;
    return t;
}

// Lists the block under its page (which = 0) or second page (1).
static void list_page(struct code_cache *k, struct iblock *t, int which)
{
    struct iblock **head = &k->pages[hash_page(which ? t->pa2 : t->pa)];
    t->page[which] = *head;
    *head =
        (struct iblock *)((uintptr_t)t | which); // the low bit says which of the block's two links continues the list
}

static struct iblock *untag(struct iblock *t, int *which)
{
    *which = (uintptr_t)t & 1;
    return (struct iblock *)((uintptr_t)t & ~(uintptr_t)1);
}

// Bytes on the block's first page.
static u64 first_bytes(const struct iblock *t) { return min_u64(t->bytes, PAGE_SIZE - (t->pa & 0xfff)); }

void code_insert(struct code_cache *k, struct bus *b, struct iblock *t)
{
    k->used += (sizeof *t + t->slots * sizeof t->insn[0] + 15) & ~15u;
    u32 h = hash_block(t->pa, t->mode);
    t->hash = k->hash[h];
    k->hash[h] = t;
    k->blocks++;
    list_page(k, t, 0);
    if (!phys_mark_code(b, t->pa, first_bytes(t))) t->mode = MODE_DEAD;
    if (t->pa2 == ~(u64)0) return;
    list_page(k, t, 1);
    if (!phys_mark_code(b, t->pa2, t->bytes - first_bytes(t))) t->mode = MODE_DEAD;
}

static bool overlaps(u64 a, u64 alen, u64 b, u64 blen) { return a < b + blen && b < a + alen; }

static void unhash(struct code_cache *k, struct iblock *t)
{
    for (struct iblock **p = &k->hash[hash_block(t->pa, t->mode)]; *p; p = &(*p)->hash)
        if (*p == t) {
            *p = t->hash;
            break;
        }
    t->mode = MODE_DEAD;
    k->killed++;
}

// One page's part of an invalidation: kills what overlaps, drops dead blocks from the list, renews the marks.
static void invalidate_page(struct code_cache *k, struct bus *b, u64 pa, u64 len)
{
    u64 page = pa & PAGE_MASK, lines = 0;
    struct iblock **link = &k->pages[hash_page(pa)];
    while (*link) {
        int which;
        struct iblock *t = untag(*link, &which);
        u64 from = which ? t->pa2 & PAGE_MASK : t->pa, n = which ? t->bytes - first_bytes(t) : first_bytes(t);
        bool here = (from & PAGE_MASK) == page;
        if (t->mode != MODE_DEAD && here && overlaps(from, n, pa, len)) unhash(k, t);
        if (t->mode == MODE_DEAD) {
            *link = t->page[which];
            continue;
        }
        if (here) lines |= phys_line_mask(from, n);
        link = &t->page[which];
    }
    phys_set_code(b, page, lines);
}

void code_invalidate(struct code_cache *k, struct bus *b, u64 pa, u64 len)
{
    while (len) {
        u64 n = min_u64(len, PAGE_SIZE - (pa & 0xfff));
        invalidate_page(k, b, pa, n);
        pa += n, len -= n;
    }
}
