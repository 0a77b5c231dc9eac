// SPDX-License-Identifier: MIT
// Blocks: found by physical address and mode, listed under the pages that they lie on, killed when their bytes change.
// A block that dies unlinks the edges that lead to it; its entry, where jump caches may still lead, is overwritten by a
// jump to its exit, and when its successor has been translated, to that.
#include <stdlib.h>
#include <string.h>
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "tcg/tb/check.h"

// Golden section: neighbouring addresses spread, whatever their distance.
static u32 hash_block(u64 pa, u32 key) { return (u32)((pa ^ (u64)key << 40) * 0x9e3779b97f4a7c15ull >> 32) % TB_HASH; }
static u32 hash_page(u64 pa) { return (u32)(pa >> PAGE_BITS) & (TB_LISTS - 1); }

struct tcg *tb_cache_get(struct cpu *c)
{
    struct bus *b = c->bus;
    struct tcg *k = b->code_cache;
    if (!k) {
        k = b->code_cache = xalloc(sizeof *k);
        k->bus = b;
        k->cfg = c->engine->config ? *(const struct tcg_config *)c->engine->config : tcg_default_config;
        k->meta_used = TB_FIRST;
        code_open(k, k->cfg.size);
    }
    if (k->users == ARRAY_LEN(k->cpu)) panic("too many CPUs");
    k->cpu[k->users++] = c;
    return k;
}

void tb_cache_put(struct cpu *c)
{
    struct tcg *k = c->bus->code_cache;
    for (u32 i = 0; i < k->users; i++)
        if (k->cpu[i] == c) k->cpu[i] = k->cpu[k->users - 1];
    if (--k->users) return;
    c->bus->code_cache = NULL;
    code_close(k);
    free(k);
}

struct tb *tb_find(const struct tcg *k, u64 pa, u32 key)
{
    for (struct tb *t = k->hash[hash_block(pa, key)]; t; t = t->hash)
        if (t->pa == pa && t->key == key) return t;
    return NULL;
}

struct tb *tb_alloc(struct tcg *k)
{
    u64 most = sizeof(struct tb) + TB_MAX * sizeof(struct insn) + (k->cfg.check ? CHECK_RUNS_MAX : 0);
    if (k->meta_used + most > k->meta_size) return NULL;
    struct tb *t = (struct tb *)(k->meta + k->meta_used);
    memset(t, 0, sizeof *t);
    t->pa2 = ~(u64)0;
    return t;
}

// Lists the block under its page (which = 0) or second page (1); the low bit of a link says which of a block's two
// links continues the list.
static void list_page(struct tcg *k, struct tb *t, int which)
{
    struct tb **head = &k->pages[hash_page(which ? t->pa2 : t->pa)];
    t->page[which] = *head;
    *head = (struct tb *)((uintptr_t)t | which);
}

static struct tb *untag(struct tb *t, int *which)
{
    *which = (uintptr_t)t & 1;
    return (struct tb *)((uintptr_t)t & ~(uintptr_t)1);
}

// Bytes on the block's first page.
static u64 first_bytes(const struct tb *t) { return min_u64(t->bytes, PAGE_SIZE - (t->pa & 0xfff)); }

static struct tb **bucket(struct tcg *k, const struct tb *t) { return &k->hash[hash_block(t->pa, t->key)]; }
static u32 hash_grave(const struct tb *t) { return hash_block(t->pa, t->key) % TB_LISTS; }

static void take_out(struct tb **p, const struct tb *t)
{
    while (*p && *p != t) p = &(*p)->hash;
    if (*p) *p = t->hash;
}

// ---- edges

static void unlist(struct tcg *k, const struct tb_rec *r)
{
    u32 *p = &tb_at(k, r->to)->in;
    while (&k->rec[*p] != r) p = &k->rec[*p].next;
    *p = r->next;
}

void tb_link(struct tcg *k, struct tb_rec *r, struct tb *to, const struct host_link *l)
{
    u32 n = tb_number(k, to);
    const struct tb *from = tb_at(k, r->tb);
    if ((r->resume_flags & EDGE_SIDE) && !r->patch) {
        u32 len = host_side(k->rw, from->code, k->side_used, code_stub(k, (u32)(r - k->rec)), from, r);
        k->side_used += len;
        k->st.side_bytes += len;
    }
    host_link(k->rw, from->code, r, l);
    if (r->to == n) return;
    if (r->to) unlist(k, r);
    r->to = n;
    r->next = to->in;
    to->in = (u32)(r - k->rec);
}

static void unlink_all(struct tcg *k, struct tb *to)
{
    while (to->in) {
        struct tb_rec *r = &k->rec[to->in];
        host_unlink(k->rw, tb_at(k, r->tb)->code, r, code_stub(k, to->in));
        to->in = r->next;
        r->to = r->next = 0;
    }
}

static void kill(struct tcg *k, struct tb *t)
{
    take_out(bucket(k, t), t);
    t->dead = true;
    if (!t->code) return;
    unlink_all(k, t);
    host_patch_entry(k->rw, t->code, code_stub(k, t->rec));
    u32 g = hash_grave(t);
    t->hash = k->gone[g];
    k->gone[g] = t;
    k->graves[g / 64] |= 1ull << g % 64;
}

bool tb_insert(struct tcg *k, struct tb *t)
{
    u64 size = sizeof *t + t->n * sizeof t->insn[0];
    if (t->check) size = (u64)((const u8 *)check_runs_end(t->check) - (const u8 *)t);
    k->meta_used += align_up(size, 16);
    t->hash = *bucket(k, t);
    *bucket(k, t) = t;
    list_page(k, t, 0);
    bool ok = phys_mark_code(k->bus, t->pa, first_bytes(t));
    if (t->pa2 != ~(u64)0) {
        list_page(k, t, 1);
        ok &= phys_mark_code(k->bus, t->pa2, t->bytes - first_bytes(t));
    }
    if (!ok) kill(k, t);
    return ok;
}

void tb_translated(struct tcg *k, struct tb *t)
{
    u32 g = hash_grave(t);
    if (likely(!(k->graves[g / 64] >> g % 64 & 1))) return;
    for (struct tb **p = &k->gone[g]; *p; p = &(*p)->hash) {
        struct tb *old = *p;
        if (old->pa != t->pa || old->key != t->key) continue;
        host_patch_entry(k->rw, old->code, t->code);
        *p = old->hash;
        return; // older ones lead to this one
    }
}

static bool overlaps(u64 a, u64 alen, u64 b, u64 blen) { return a < b + blen && b < a + alen; }

static void note_death(struct tcg *k, const struct tb *t, unsigned cause)
{
    struct cpu *c = k->cpu[k->bus->cur_cpu < k->users ? k->bus->cur_cpu : 0];
    k->death[k->ndeaths++ % TB_DEATHS] = (struct tb_death){.pa = t->pa,
                                                           .rip = c->cur ? c->engine->fault_rip(c) : c->gpr[R_RIP],
                                                           .icount = cpu_icount(c),
                                                           .key = t->key,
                                                           .bytes = t->bytes,
                                                           .cpu = (u8)c->index,
                                                           .cause = (u8)cause};
}

// What lies beside code and is written again and again (a boot loader's variables, a firmware's stack): as long as no
// block is made, none covers it.
static struct tb_data *data_at(struct tcg *k, u64 pa) { return &k->data[pa / 2 % TB_DATA]; }
static bool is_data(struct tcg *k, u64 pa, u64 len)
{
    const struct tb_data *d = data_at(k, pa);
    return d->pa == pa && d->len == len && d->built == k->st.built;
}
static void note_data(struct tcg *k, u64 pa, u64 len) { *data_at(k, pa) = (struct tb_data){pa, len, k->st.built}; }

bool tb_covers(struct tcg *k, u64 pa, u64 len)
{
    int which;
    if (is_data(k, pa, len)) return false;
    for (struct tb *t, *next = k->pages[hash_page(pa)]; next; next = t->page[which]) {
        t = untag(next, &which);
        u64 from = which ? t->pa2 & PAGE_MASK : t->pa, n = which ? t->bytes - first_bytes(t) : first_bytes(t);
        if (!t->dead && overlaps(from, n, pa, len)) return true;
    }
    note_data(k, pa, len);
    return false;
}

// One page's part: kills what overlaps, drops dead blocks from the list, renews the marks.
static void invalidate_page(struct tcg *k, u64 pa, u64 len, u64 *cause)
{
    u64 page = pa & PAGE_MASK, lines = 0;
    if (is_data(k, pa, len)) return;
    struct tb **link = &k->pages[hash_page(pa)];
    while (*link) {
        int which;
        struct tb *t = untag(*link, &which);
        u64 from = which ? t->pa2 & PAGE_MASK : t->pa, n = which ? t->bytes - first_bytes(t) : first_bytes(t);
        bool here = (from & PAGE_MASK) == page;
        if (!t->dead && here && overlaps(from, n, pa, len)) {
            kill(k, t);
            ++*cause;
            note_death(k, t, cause == &k->st.by_cpu ? DEATH_CPU : cause == &k->st.by_dma ? DEATH_DMA : DEATH_PAGE);
        }
        if (t->dead) {
            *link = t->page[which];
            continue;
        }
        if (here) lines |= phys_line_mask(from, n);
        link = &t->page[which];
    }
    phys_set_code(k->bus, page, lines);
    note_data(k, pa, len);
}

void tb_invalidate(struct tcg *k, u64 pa, u64 len, u64 *cause)
{
    while (len) {
        u64 n = min_u64(len, PAGE_SIZE - (pa & 0xfff));
        invalidate_page(k, pa, n, cause);
        pa += n, len -= n;
    }
}

void tb_each(const struct tcg *k, u64 pa, void (*fn)(struct tb *t, void *arg), void *arg)
{
    if (pa == ~(u64)0) {
        for (u32 i = 0; i < TB_HASH; i++)
            for (struct tb *t = k->hash[i]; t; t = t->hash) fn(t, arg);
        return;
    }
    int which;
    for (struct tb *link = k->pages[hash_page(pa)]; link;) {
        struct tb *t = untag(link, &which);
        link = t->page[which];
        if (!t->dead && (((which ? t->pa2 : t->pa) ^ pa) & PAGE_MASK) == 0) fn(t, arg);
    }
}

static u32 narrow_hash(const struct tb *t) { return hash_block(t->pa, t->key) & 0x3fff; }
bool tb_is_narrow(const struct tcg *k, const struct tb *t)
{
    return k->narrow[narrow_hash(t) >> 6] >> (narrow_hash(t) & 63) & 1;
}

void tb_narrow(struct tcg *k, struct tb *t)
{
    k->narrow[narrow_hash(t) >> 6] |= 1ull << (narrow_hash(t) & 63);
    tb_invalidate(k, t->pa, 1, &k->st.by_wide);
}

void tb_forget(struct tcg *k)
{
    bool empty = k->meta_used == TB_FIRST;
    for (u32 i = 0; i < k->users; i++) tlb_new_generation(k->cpu[i], true);
    if (empty) return;
    memset(k->hash, 0, sizeof k->hash);
    memset(k->pages, 0, sizeof k->pages);
    memset(k->gone, 0, sizeof k->gone);
    memset(k->graves, 0, sizeof k->graves);
    k->meta_used = TB_FIRST;
    k->code_used = k->code_first;
    k->side_used = k->side_first;
    if (k->count) memset(k->count, 0, k->rec_used * sizeof *k->count);
    k->rec_used = 1;
    k->epoch++;
    k->st.flushes++;
    phys_clear_all_code(k->bus);
}

void tb_new_age(struct tcg *k)
{
    k->bus->generation = 0;
    tb_forget(k);
    for (u32 i = 0; i < k->users; i++) {
        memset(k->cpu[i]->jump, 0, sizeof k->cpu[i]->jump);
        tlb_flush(k->cpu[i], true); // nor does it come back to an old one
        k->cpu[i]->host_sp = k->cpu[i]->host_top;
    }
}
