// SPDX-License-Identifier: MIT
// Translation look-aside buffers. First level (in struct cpu): what loads and stores hit inline, one entry = a host
// address. Second level (here): the walk's result, tagged with PCID and global bit, small pages and large ones (2 MB
// pieces) apart, so that INVLPG of a large page costs one set and MOV CR3 refills without walking. SDM vol. 3 4.10.
#include <stdlib.h>
#include <string.h>
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"

enum { T_VALID = 1, T_WRITE = 2, T_USER = 4, T_NX = 8, T_GLOBAL = 16, T_DIRTY = 32, T_HUGE = 64 /* page over 2 MB */ };
struct entry {
    u64 page;  // linear address >> shift
    u64 pa;    // of the page (piece), A20 not applied
    u32 space; // the PCID's number when it was found: a flush of the PCID gives it a new one
    u8 flags;
};
enum { WAYS = 4, SMALL_SETS = 1024, LARGE_SETS = 32, ITLB = 256, PCIDS = 4096 };
// Pages, by number. One that is too full has all.
enum { PAGE_SET_BITS = 12, PAGE_SET_MOST = 3000 };
struct page_set {
    u64 gen; // entries of another one are none
    u32 n;
    struct {
        u64 page, gen;
    } at[1 << PAGE_SET_BITS];
};
// What MOV CR3 that keeps a PCID's translations comes back to: the generation that was that PCID's.
enum { SPACES = 8 };
struct space {
    u32 number;               // tlb2.space of the PCID then
    u32 gen, age;             // cpu.tlb_gen and cpu.tlb_gen_global then; age 0: none
    struct page_set executed; // local pages that code was fetched from in this generation and those before it
};
struct tlb2 {
    struct entry small[SMALL_SETS][WAYS], large[LARGE_SETS][WAYS];
    u8 next;                        // way to replace
    bool global, large_page;        // the translation found last was a global page's, one of more than 4 KB
    struct tlb_entry itlb[2][ITLB]; // by CPL 3 or not: tag = page, addend = physical page | ITLB_GLOBAL
    struct tlb_filled code;         // of itlb, local pages
    struct page_set executed;       // global pages that code was fetched from since the last flush: whoever caches by
                                    // linear address has none of the others
    struct space spaces[SPACES];    // by PCID, the one used last; here local pages are listed
    u32 space[PCIDS], last_space;
    struct walk_cache walks;
    struct page_set pieces;         // 2 MB pieces whose pages may be in the first level or behind it
    struct page_set huge;           // huge_key() of pages over 2 MB that have entries in `large`
    u64 era[2];                     // [write]: stamps of cpu.behind that were made in another one are void
    struct tlb_filled reference[2]; // slots of TLBSET_REFERENCE, of reads and of writes
    u32 stands_for;                 // the set in whose place it was last
    u64 refused;                    // page | key that tlb_refill() has refused last: device memory, pages with code
};
#define ITLB_GLOBAL 1
enum { FAULT_KNOWN = 0x800 }; // of cpu.fault_page, above tlb_refill()'s key

static u32 set_hash(u64 page) { return (u32)(page * 0x9e3779b97f4a7c15ull >> (64 - PAGE_SET_BITS)); }
// Where the page is, or would be.
static u32 set_find(const struct page_set *s, u64 page)
{
    u32 i = set_hash(page);
    while (s->at[i].gen == s->gen && s->at[i].page != page) i = (i + 1) & ((1 << PAGE_SET_BITS) - 1);
    return i;
}
static bool set_has(const struct page_set *s, u64 page)
{
    return s->n > PAGE_SET_MOST || s->at[set_find(s, page)].gen == s->gen;
}
static void set_add(struct page_set *s, u64 page)
{
    if (set_has(s, page)) return;
    u32 i = set_find(s, page);
    s->at[i].page = page;
    s->at[i].gen = s->gen;
    s->n++;
}
static void set_clear(struct page_set *s)
{
    s->gen++;
    s->n = 0;
}

static void number_spaces(struct tlb2 *t)
{
    for (u32 i = 0; i < PCIDS; i++) t->space[i] = i;
    t->last_space = PCIDS - 1;
}

static u32 current_pcid(const struct cpu *c) { return c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0; }
static u32 current_space(const struct cpu *c) { return c->tlb2->space[current_pcid(c)]; }
static struct space *space_now(struct cpu *c) { return &c->tlb2->spaces[current_pcid(c) % SPACES]; }
static void forget_spaces(struct tlb2 *t)
{
    for (u32 i = 0; i < SPACES; i++) t->spaces[i].age = 0;
}
static void new_generation(struct cpu *c, bool global)
{
    struct space *s = space_now(c);
    tlb_new_generation(c, global);
    s->number = current_space(c);
    s->gen = c->tlb_gen;
    s->age = c->tlb_gen_global;
}
// CR3 has changed. Nobody has invalidated what was cached by linear address when this PCID was used last: its
// generation goes on.
static bool old_generation(struct cpu *c)
{
    const struct space *s = space_now(c);
    if (s->age != c->tlb_gen_global || s->number != current_space(c)) return false;
    c->tlb_gen = s->gen;
    cpu_set_jump_context(c);
    return true;
}

// What entries of cpu.behind must carry to be good now.
static void restamp(struct cpu *c)
{
    struct tlb2 *t = c->tlb2;
    for (int w = 0; w < 2; w++) {
        c->behind_stamp[w][0] = t->era[w] << 33 | current_space(c);
        c->behind_stamp[w][1] = t->era[w] << 33 | 1ull << 32;
    }
}

struct walk_cache *tlb_walk_cache(struct cpu *c) { return &c->tlb2->walks; }

void tlb_create(struct cpu *c)
{
    c->tlb2 = xalloc(sizeof *c->tlb2);
    c->tlb = &c->tlbs[TLBSET_KERNEL];
    c->filled[0].n = c->filled[1].n = c->tlb2->code.n = TLB_FILLED + 1;
    number_spaces(c->tlb2);
    tlb_flush(c, true);
}

void tlb_destroy(struct cpu *c)
{
    free(c->tlb2);
    c->tlb2 = NULL;
}

static struct tlb_entry *l1_entry(struct cpu *c, u32 n)
{
    struct tlb_set *s = &c->tlbs[n / (2 * TLB_SIZE)];
    return n % (2 * TLB_SIZE) < TLB_SIZE ? &s->rd[n % TLB_SIZE] : &s->wr[n % TLB_SIZE];
}

static void list_slot(struct tlb_filled *f, u32 k)
{
    if (f->n < TLB_FILLED) f->k[f->n] = (u16)k;
    if (f->n <= TLB_FILLED) f->n++;
}
static u32 listed(const struct tlb_filled *f, u32 all) { return f->n > TLB_FILLED ? all : f->n; }
static u32 list_at(const struct tlb_filled *f, u32 i) { return f->n > TLB_FILLED ? i : f->k[i]; }

// What was derived from translations: first level, code TLB, and whoever caches by linear address. MOV CR3 keeps what
// came from global pages: the kernel's code and data stay at hand across a task switch. keep: what CR3's PCID had is
// good as it was.
static void flush_l1(struct cpu *c, bool global, bool keep)
{
    struct tlb2 *t = c->tlb2;
    for (u32 i = 0, n = listed(&c->filled[0], TLB_SLOTS); i < n; i++) {
        u32 k = list_at(&c->filled[0], i);
        if (global || !c->slot_global[k]) l1_entry(c, k)->tag = tlb_none(k);
    }
    c->filled[0].n = 0;
    for (u32 i = 0, n = global ? listed(&c->filled[1], TLB_SLOTS) : 0; i < n; i++) {
        u32 k = list_at(&c->filled[1], i);
        l1_entry(c, k)->tag = tlb_none(k);
    }
    if (global) {
        c->filled[1].n = 0;
        set_clear(&t->pieces);
        t->era[0]++, t->era[1]++;
        t->code.n = TLB_FILLED + 1;
        set_clear(&t->executed);
        forget_spaces(t);
    }
    for (u32 i = 0, n = listed(&t->code, 2 * ITLB); i < n; i++) {
        struct tlb_entry *e = &t->itlb[0][0] + list_at(&t->code, i);
        if (global || !(e->addend & ITLB_GLOBAL)) e->tag = TLB_NONE;
    }
    t->code.n = 0;
    t->walks.gen++;
    restamp(c);
    if (keep && old_generation(c)) return;
    set_clear(&space_now(c)->executed);
    new_generation(c, global);
}

static void forget_all(struct tlb2 *t)
{
    memset(t->small, 0, sizeof t->small);
    memset(t->large, 0, sizeof t->large);
    set_clear(&t->huge);
}

void tlb_flush(struct cpu *c, bool global)
{
    if (!global) {
        tlb_flush_pcid(c, (u16)current_pcid(c));
        return;
    }
    flush_l1(c, true, false);
    forget_all(c->tlb2);
}

void tlb_flush_pcid(struct cpu *c, u16 pcid)
{
    struct tlb2 *t = c->tlb2;
    t->space[pcid] = ++t->last_space;
    if (unlikely(!t->last_space)) { // all numbers used: forgetting more than asked is always right
        forget_all(t);
        forget_spaces(t);
        number_spaces(t);
        t->era[0]++, t->era[1]++;
    }
    flush_l1(c, false, false);
}

void tlb_switch(struct cpu *c) { flush_l1(c, false, true); }

static void drop_behind(struct cpu *c, u64 lin)
{
    for (u32 key = 0; key < TLBSET_COUNT * 2; key++) {
        struct tlb_behind *e = c->behind[tlb_behind_set(lin, key)];
        for (int w = 0; w < BEHIND_WAYS; w++)
            if (e[w].tag == ((lin & PAGE_MASK) | key)) e[w].stamp = 0;
    }
}

static u64 huge_key(u64 lin, unsigned page_bits) { return (u64)page_bits << 56 | lin << 16 >> 16 >> page_bits; }

void tlb_flush_page(struct cpu *c, u64 lin)
{
    struct tlb2 *t = c->tlb2;
    u32 space = current_space(c);
    bool whole = set_has(&t->pieces, lin >> 21);
    t->walks.gen++;
    for (int w = 0; w < WAYS; w++) {
        struct entry *e = &t->small[lin >> 12 & (SMALL_SETS - 1)][w];
        if (e->page == lin >> 12 && (e->space == space || (e->flags & T_GLOBAL))) e->flags = 0;
        e = &t->large[lin >> 21 & (LARGE_SETS - 1)][w];
        if ((e->flags & T_VALID) && e->page == lin >> 21 && (e->space == space || (e->flags & T_GLOBAL))) {
            whole = true;
            if (!(e->flags & T_HUGE)) e->flags = 0;
        }
    }
    if (set_has(&t->huge, huge_key(lin, 22)) || set_has(&t->huge, huge_key(lin, 30))) { // its pieces may lie anywhere
        whole = true;
        memset(t->large, 0, sizeof t->large);
        set_clear(&t->huge);
    }
    if (whole) { // its 4 KB pieces in the first level are not listed
        flush_l1(c, true, false);
        return;
    }
    drop_behind(c, lin);
    for (int s = 0; s < TLBSET_COUNT; s++) {
        struct tlb_entry *e = tlb_slot(c->tlbs[s].rd, lin);
        if (e->tag == (lin & PAGE_MASK)) e->tag = tlb_none((u32)(lin >> 12));
        e = tlb_slot(c->tlbs[s].wr, lin);
        if (e->tag == (lin & PAGE_MASK) || e->tag == tlb_beside(lin & PAGE_MASK)) e->tag = tlb_none((u32)(lin >> 12));
    }
    for (int u = 0; u < 2; u++) t->itlb[u][lin >> 12 & (ITLB - 1)].tag = TLB_NONE;
    // A process' code says nothing about the kernel's.
    if (set_has(&t->executed, lin >> 12))
        new_generation(c, true);
    else if (set_has(&space_now(c)->executed, lin >> 12))
        new_generation(c, false);
}

// Write entries point to host memory: the page's host address finds them.
void tlb_protect(struct cpu *c, u64 pa)
{
    u8 *host = pa == ~(u64)0 ? NULL : phys_page(c->bus, pa, true).host;
    c->tlb2->era[1]++;
    restamp(c);
    for (int g = 0; g < 2; g++) {
        const struct tlb_filled *f = &c->filled[g];
        for (u32 i = 0, n = listed(f, TLB_SLOTS); i < n; i++) {
            u32 k = list_at(f, i);
            struct tlb_entry *e = l1_entry(c, k);
            if (k % (2 * TLB_SIZE) >= TLB_SIZE && e->tag != tlb_none(k) &&
                (!host || (u8 *)(uintptr_t)(e->addend + e->tag) == host))
                e->tag = tlb_none(k);
        }
    }
}

static void empty_reference(struct cpu *c, unsigned write)
{
    struct tlb_filled *f = &c->tlb2->reference[write];
    u32 first = TLBSET_REFERENCE * 2 * TLB_SIZE + write * TLB_SIZE;
    for (u32 i = 0, n = listed(f, TLB_SIZE); i < n; i++) {
        u32 k = f->n > TLB_FILLED ? first + i : f->k[i];
        l1_entry(c, k)->tag = tlb_none(k);
    }
    f->n = 0;
}

void tlb_reference_writes(struct cpu *c) { empty_reference(c, 1); }

void tlb_reference(struct cpu *c)
{
    u32 set = (u32)(c->tlb - c->tlbs);
    if (set >= TLBSET_NONE) return;
    if (c->tlb2->stands_for != set) {
        empty_reference(c, 0);
        empty_reference(c, 1);
        c->tlb2->stands_for = set;
    }
    c->tlb = &c->tlbs[TLBSET_REFERENCE];
}

static struct entry *lookup(struct cpu *c, u64 lin, bool *large)
{
    struct tlb2 *t = c->tlb2;
    u32 space = current_space(c);
    for (int k = 0; k < 2; k++) {
        struct entry *set = k ? t->large[lin >> 21 & (LARGE_SETS - 1)] : t->small[lin >> 12 & (SMALL_SETS - 1)];
        u64 page = lin >> (k ? 21 : 12);
        for (int w = 0; w < WAYS; w++)
            if ((set[w].flags & T_VALID) && set[w].page == page &&
                (set[w].space == space || (set[w].flags & T_GLOBAL))) {
                *large = k;
                return &set[w];
            }
    }
    return NULL;
}

// Whether a cached translation allows the access; a refusal leads to a walk, which tells why.
static bool allows(struct cpu *c, u8 f, int acc, bool user, bool implicit)
{
    if (acc == ACC_WRITE && !(f & T_DIRTY)) return false;
    if (user) return (f & T_USER) && (acc != ACC_WRITE || (f & T_WRITE)) && !(acc == ACC_EXEC && (f & T_NX));
    if (acc == ACC_EXEC) return !(f & T_NX) && !((f & T_USER) && (c->cr4 & CR4_SMEP));
    if ((f & T_USER) && (c->cr4 & CR4_SMAP) && (implicit || !(c->eflags & FL_AC))) return false;
    return acc != ACC_WRITE || (f & T_WRITE) || !(c->cr0 & CR0_WP);
}

static void insert(struct cpu *c, u64 lin, const struct mmu_result *r)
{
    struct tlb2 *t = c->tlb2;
    bool large = r->page_bits > 12;
    unsigned shift = large ? 21 : 12;
    struct entry *set = large ? t->large[lin >> 21 & (LARGE_SETS - 1)] : t->small[lin >> 12 & (SMALL_SETS - 1)];
    u64 page = lin >> shift;
    u32 space = current_space(c);
    u8 flags = T_VALID | (r->writable ? T_WRITE : 0) | (r->user ? T_USER : 0) | (r->nx ? T_NX : 0) |
               (r->global ? T_GLOBAL : 0) | (r->dirty ? T_DIRTY : 0) | (r->page_bits > 21 ? T_HUGE : 0);
    if (flags & T_HUGE) set_add(&t->huge, huge_key(lin, r->page_bits));
    int way = t->next++ & (WAYS - 1);
    for (int w = 0; w < WAYS; w++)
        if (!(set[w].flags & T_VALID) || (set[w].page == page && set[w].space == space)) {
            way = w;
            break;
        }
    set[way].page = page;
    set[way].pa = r->pa & ~((1ull << shift) - 1);
    set[way].space = space;
    set[way].flags = flags;
}

static void note_fault(struct cpu *c, u64 lin, u32 err)
{
    c->fault_page = 0;
    c->cr2 = lin;
    if (log_on(&c->bus->log, LOG_MMU))
        log_item(&c->bus->log, LOG_MMU, "page fault at %llx error %x\n", (unsigned long long)lin, err);
}

bool tlb_known_fault(struct cpu *c, u64 lin)
{
    bool large;
    if (!c->fault_page || ((lin ^ c->fault_page) & PAGE_MASK)) return false;
    struct entry *e = lookup(c, lin, &large);
    if (e) e->flags = 0;
    note_fault(c, lin, c->fault_err);
    c->exc = EXC_PF;
    c->exc_has_err = true;
    c->exc_err = c->fault_err;
    c->exc_ext = false;
    return true;
}

// Physical address of lin before A20; raises #PF.
static u64 translate(struct cpu *c, u64 lin, int acc, bool system)
{
    if (!(c->cr0 & CR0_PG)) return lin;
    bool user = c->cpl == 3 && !system, large = false, implicit = system;
    struct entry *e = lookup(c, lin, &large);
    if (e) c->tlb2->global = e->flags & T_GLOBAL;
    c->tlb2->large_page = large;
    if (e && allows(c, e->flags, acc, user, implicit)) return large ? e->pa | (lin & 0x1fffff) : e->pa | (lin & 0xfff);
    if (e) e->flags = 0; // SDM vol. 3 4.10.4.1: a fault drops what was cached; so does a first write (D)
    struct mmu_result r;
    u64 known = (lin & PAGE_MASK) | (u64)(c->tlb - c->tlbs) << 1 | (acc == ACC_WRITE) | FAULT_KNOWN;
    if (c->fault_page == known && acc != ACC_EXEC && !system) {
        r.fault = true;
        r.err = c->fault_err;
    } else {
        mmu_walk_kind(c, lin, acc, user, implicit, true, &r);
    }
    if (r.fault) {
        note_fault(c, lin, r.err);
        cpu_raise_err(c, EXC_PF, r.err);
    }
    insert(c, lin, &r);
    c->tlb2->global = r.global;
    c->tlb2->large_page = r.page_bits > 12;
    return r.pa;
}

u64 mmu_translate(struct cpu *c, u64 lin, int acc, bool system) { return translate(c, lin, acc, system) & c->a20_mask; }

// An entry of the first level of `set`, for the page of lin, which is memory at host (lin's byte).
static struct tlb_entry *fill_first(struct cpu *c, u64 lin, u32 key, const void *host)
{
    struct tlb2 *t = c->tlb2;
    u32 k = key * TLB_SIZE + (lin >> 12 & (TLB_SIZE - 1));
    struct tlb_entry *e = tlb_slot(key & 1 ? c->tlbs[key >> 1].wr : c->tlbs[key >> 1].rd, lin);
    if (e->tag == tlb_none(k) || c->slot_global[k] != t->global) list_slot(&c->filled[t->global], k);
    c->slot_global[k] = t->global;
    if (unlikely(c->witness != NULL)) list_slot(&t->reference[key & 1], k);
    e->tag = lin & PAGE_MASK;
    e->addend = (u64)(uintptr_t)host - lin;
    if (t->large_page) set_add(&t->pieces, lin >> 21);
    return e;
}

// The first level of `set`, and what is behind it, for the page of lin, which is plain memory at host (lin's byte).
static void fill(struct cpu *c, u64 lin, int acc, u32 set, const void *host)
{
    struct tlb2 *t = c->tlb2;
    u32 key = set * 2 + (acc == ACC_WRITE);
    struct tlb_entry *e = fill_first(c, lin, key, host);
    if (set >= TLBSET_NONE) return;
    struct tlb_behind *b = c->behind[tlb_behind_set(lin, key)];
    if (b[0].tag != (e->tag | key)) b[1] = b[0];
    b[0] = (struct tlb_behind){e->tag | key, e->addend, c->behind_stamp[key & 1][t->global], 0};
}

// The page of lin is not plain memory for writes. Because of code alone: an entry tlb_beside(). The lines' marks are
// looked at by each store, so whatever becomes of the page's code leaves the entry right; all else that concerns it
// drops it as it would a plain one.
static bool fill_beside(struct cpu *c, u64 lin, u32 set, const struct phys_page *g)
{
    enum { UNTOLD = 256 }; // stores: telling C costs ten times one
    if (!g->host || g->ram->rom || g->ram->flags[g->ram_off >> PAGE_BITS] != RAM_CODE || set >= TLBSET_NONE)
        return false;
    if (unlikely(!c->beside_host)) { // the block that answers at address 0
        const struct ram *ram = phys_page(c->bus, 0, false).ram;
        if (!ram) return false;
        c->beside_host = ram->host;
        c->beside_lines = ram->code_lines;
    }
    if (g->ram->host != c->beside_host) return false;
    c->beside_left = UNTOLD;
    struct tlb_entry *e = fill_first(c, lin, set * 2 + 1, g->host + (lin & 0xfff));
    e->tag = tlb_beside(lin & PAGE_MASK);
    return true;
}

void *tlb_fill(struct cpu *c, u64 lin, int acc, bool system, u64 *pa)
{
    *pa = mmu_translate(c, lin, acc, system);
    struct phys_page g = phys_page(c->bus, *pa, acc == ACC_WRITE);
    bool plain = g.host && g.direct;
    if (unlikely(c->witness != NULL) && (acc == ACC_WRITE || !plain)) c->witness(c, *pa, acc);
    u32 set = system ? sys_tlb(c) : (u32)(c->tlb - c->tlbs);
    void *host = plain ? g.host + (*pa & 0xfff) : NULL;
    if (set == TLBSET_NONE) return host;
    if (unlikely(c->hooks != NULL) && hook_watched_page(c->hooks, lin, *pa)) return host;
    if (plain)
        fill(c, lin, acc, set, host);
    else if (acc == ACC_WRITE)
        fill_beside(c, lin, set, &g);
    return host;
}

enum tlb_refill tlb_refill(struct cpu *c, u64 lin, u32 key)
{
    struct tlb2 *t = c->tlb2;
    int acc = key & 1 ? ACC_WRITE : ACC_READ;
    bool large = false;
    if (c->hooks || c->witness || !(c->cr0 & CR0_PG) || (cpu_code64(c) ? !lin_canonical(lin) : lin >> 32))
        return REFILL_NOT;
    u64 pa, which = (lin & PAGE_MASK) | key;
    if (t->refused == which) return REFILL_NOT;
    struct entry *e = lookup(c, lin, &large);
    if (e && allows(c, e->flags, acc, c->cpl == 3, false)) {
        t->global = e->flags & T_GLOBAL;
        t->large_page = large;
        pa = large ? e->pa | (lin & 0x1fffff) : e->pa | (lin & 0xfff);
    } else {
        struct mmu_result r;
        mmu_walk_kind(c, lin, acc, c->cpl == 3, false, MMU_CALM, &r);
        if (r.fault) { // what lookup() has found is dropped when the access is made
            if (!r.vague) {
                c->fault_page = which | FAULT_KNOWN;
                c->fault_err = r.err;
            }
            return REFILL_NOT;
        }
        if (e) e->flags = 0;
        insert(c, lin, &r);
        t->global = r.global;
        t->large_page = r.page_bits > 12;
        pa = r.pa;
    }
    pa &= c->a20_mask;
    struct phys_page g = phys_page(c->bus, pa, acc == ACC_WRITE);
    if (!g.host || !g.direct) {
        if (acc == ACC_WRITE && fill_beside(c, lin, key >> 1, &g)) return REFILL_BESIDE;
        t->refused = which;
        return REFILL_NOT;
    }
    fill(c, lin, acc, key >> 1, g.host + (pa & 0xfff));
    return REFILL_DONE;
}

u64 tlb_fetch(struct cpu *c, u64 lin, u8 **host)
{
    struct tlb_entry *e = &c->tlb2->itlb[c->cpl == 3][lin >> 12 & (ITLB - 1)];
    if (e->tag != (lin & PAGE_MASK)) {
        // Code runs off the end of the lower half, and AMD's SYSRET looks at nothing.
        if (!lin_canonical(lin)) cpu_raise_err(c, EXC_GP, 0);
        u64 pa = mmu_translate(c, lin, ACC_EXEC, false);
        e->tag = lin & PAGE_MASK;
        e->addend = (pa & PAGE_MASK) | (c->tlb2->global ? ITLB_GLOBAL : 0);
        set_add(c->tlb2->global ? &c->tlb2->executed : &space_now(c)->executed, lin >> 12);
        if (!c->tlb2->global) list_slot(&c->tlb2->code, (u32)(e - &c->tlb2->itlb[0][0]));
    }
    u64 pa = (e->addend & PAGE_MASK) | (lin & 0xfff);
    c->fetch_global = e->addend & ITLB_GLOBAL;
    if (host) {
        struct phys_page g = phys_page(c->bus, pa, false);
        *host = g.host ? g.host + (pa & 0xfff) : NULL;
    }
    return pa;
}
