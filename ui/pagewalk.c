// SPDX-License-Identifier: MIT
// Page tables for people. SDM vol. 3 chapter 4: 32-bit (PSE, PSE-36), PAE, 4- and 5-level; figures 4-4 to 4-11 for the
// bits. Written apart from cpu/mmu.c, which is asked for the verdict: the two check each other.
#include "ui/pagewalk.h"
#include "cpu/cpuid.h"
#include "mem/base/bits.h"
#include "mem/bus.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80 };
#define PTE_NX   (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

static const struct shape {
    const char *kind;
    unsigned levels, size; // size: bytes an entry
    struct {
        const char *name;
        unsigned shift, bits;
        bool page; // an entry may map a page (with PS)
    } level[PAGEWALK_LEVELS];
} shapes[] = {
    {"32-bit", 2, 4, {{"PDE", 22, 10, true}, {"PTE", 12, 10, true}}},
    {"PAE", 3, 8, {{"PDPTE", 30, 2, false}, {"PDE", 21, 9, true}, {"PTE", 12, 9, true}}},
    {"4-level", 4, 8, {{"PML4E", 39, 9, false}, {"PDPTE", 30, 9, true}, {"PDE", 21, 9, true}, {"PTE", 12, 9, true}}},
    {"5-level",
     5,
     8,
     {{"PML5E", 48, 9, false},
      {"PML4E", 39, 9, false},
      {"PDPTE", 30, 9, true},
      {"PDE", 21, 9, true},
      {"PTE", 12, 9, true}}},
};

static const struct shape *shape_of(const struct cpu *c)
{
    if (!(c->cr0 & CR0_PG)) return NULL;
    if (c->efer & EFER_LMA) return &shapes[c->cr4 & CR4_LA57 ? 3 : 2];
    return &shapes[c->cr4 & CR4_PAE ? 1 : 0];
}

const char *pagewalk_kind(const struct cpu *c)
{
    const struct shape *s = shape_of(c);
    return s ? s->kind : NULL;
}

static u64 root(const struct cpu *c, const struct shape *s)
{
    return s->levels == 2 ? c->cr3 & 0xfffff000 : s->levels == 3 ? c->cr3 & 0xffffffe0 : c->cr3 & PTE_ADDR;
}

static bool is_leaf(const struct cpu *c, const struct shape *s, unsigned i, u64 e)
{
    if (i + 1 == s->levels) return true;
    if (!(e & PTE_PS) || !s->level[i].page) return false;
    if (s->levels == 2) return c->cr4 & CR4_PSE;
    return s->level[i].shift == 21 || cpu_has(c, FEAT_PDPE1GB);
}

// Reserved bits that are set in a present entry.
static u64 reserved(const struct cpu *c, const struct shape *s, unsigned i, u64 e, bool leaf)
{
    unsigned shift = s->level[i].shift;
    u64 r = PTE_ADDR & ~c->phys_mask;
    if (s->levels == 2) {
        if (!leaf || shift == 12) return 0;
        return e & (1u << 21 | (0x1fe000 & ~(u32)(c->phys_mask >> 32 << 13)));
    }
    if (s->levels == 3) {
        r |= 0x7ff0000000000000ull;
        if (i == 0) return e & (r | PTE_NX | 0x1e6);
    }
    if (!(c->efer & EFER_NXE)) r |= PTE_NX;
    if (leaf && shift > 12) r |= ((1ull << shift) - 1) & PTE_ADDR & ~0x1000ull; // PAT is at bit 12
    if (!leaf && (!s->level[i].page || shift == 30)) r |= PTE_PS;
    return e & r;
}

// What a leaf maps at offset 0.
static u64 page_base(const struct shape *s, unsigned shift, u64 e)
{
    if (s->levels == 2) return shift == 22 ? (e & 0xffc00000) | bits(e, 20, 13) << 32 : e & 0xfffff000;
    return e & PTE_ADDR & ~((1ull << shift) - 1);
}

static u64 table_of(const struct shape *s, u64 e) { return s->levels == 2 ? e & 0xfffff000 : e & PTE_ADDR; }

static bool read_entry(struct cpu *c, u64 at, unsigned size, u64 *e)
{
    u8 b[8] = {0};
    bool ok = bus_peek(c->bus, at & c->a20_mask, b, size);
    *e = ok ? ld64(b) : 0;
    return ok;
}

void pagewalk(struct cpu *c, u64 lin, struct pt_walk *w)
{
    const struct shape *s = shape_of(c);
    *w = (struct pt_walk){.w = true, .u = true, .x = true, .pa = lin, .shift = 12, .mapped = !s};
    if (!s) return;
    u64 table = root(c, s);
    for (unsigned i = 0; i < s->levels; i++) {
        struct pt_level *l = &w->level[w->n++];
        unsigned shift = s->level[i].shift;
        u64 index = lin >> shift & ((1u << s->level[i].bits) - 1);
        *l = (struct pt_level){.name = s->level[i].name, .at = (table + index * s->size) & c->a20_mask, .shift = shift};
        l->outside = !read_entry(c, l->at, s->size, &l->entry);
        if (s->levels == 3 && i == 0) {
            w->pdpte_memory = l->entry;
            l->entry = c->pdpte[index];
            l->outside = false;
        }
        if (!(l->entry & PTE_P)) return;
        l->leaf = is_leaf(c, s, i, l->entry);
        l->reserved = reserved(c, s, i, l->entry, l->leaf);
        if (s->levels != 3 || i) {
            w->w &= (l->entry & PTE_W) != 0;
            w->u &= (l->entry & PTE_U) != 0;
            w->x &= s->size == 4 || !(l->entry & PTE_NX);
        }
        if (l->reserved) return;
        if (l->leaf) {
            w->mapped = true;
            w->shift = shift;
            w->pa = page_base(s, shift, l->entry) | (lin & ((1ull << shift) - 1));
            return;
        }
        table = table_of(s, l->entry);
    }
}

// ---- everything

struct all {
    struct cpu *c;
    const struct shape *s;
    u64 budget;
    void (*fn)(void *owner, const struct pt_page *p);
    void *owner;
};

static bool all_below(struct all *k, unsigned i, u64 table, u64 lin, bool w, bool u, bool x)
{
    const struct shape *s = k->s;
    unsigned shift = s->level[i].shift, n = 1u << s->level[i].bits;
    u8 t[4096];
    bool pdptes = s->levels == 3 && i == 0; // in the processor
    if (!pdptes && !bus_peek(k->c->bus, table & k->c->a20_mask, t, (u64)n * s->size)) return true;
    if (k->budget < n) return false;
    k->budget -= n;
    for (unsigned j = 0; j < n; j++) {
        u64 e = pdptes ? k->c->pdpte[j] : s->size == 8 ? ld64(t + j * 8) : ld32(t + j * 4);
        u64 at = lin | (u64)j << shift;
        if (!(e & PTE_P)) continue;
        bool leaf = is_leaf(k->c, s, i, e), ew = w, eu = u, ex = x;
        if (reserved(k->c, s, i, e, leaf)) continue;
        if (!pdptes) {
            ew &= (e & PTE_W) != 0;
            eu &= (e & PTE_U) != 0;
            ex &= s->size == 4 || !(e & PTE_NX);
        }
        if (leaf) {
            unsigned top = s->level[0].shift + s->level[0].bits;
            struct pt_page p = {
                s->levels > 3 ? (u64)sign_extend(at, top) : at, page_base(s, shift, e), e, shift, ew, eu, ex};
            k->fn(k->owner, &p);
        } else if (!all_below(k, i + 1, table_of(s, e), at, ew, eu, ex)) {
            return false;
        }
    }
    return true;
}

bool pagewalk_all(struct cpu *c, u64 budget, void (*fn)(void *owner, const struct pt_page *p), void *owner)
{
    struct all k = {c, shape_of(c), budget, fn, owner};
    return !k.s || all_below(&k, 0, root(c, k.s), 0, true, true, true);
}
