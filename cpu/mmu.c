// SPDX-License-Identifier: MIT
// The page walk. SDM vol. 3 chapter 4: 32-bit paging with PSE and PSE-36, PAE, 4-level. Left out: 5-level paging,
// protection keys, shadow stacks (not offered by CPUID).
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
#define PTE_NX   (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

// One level of a walk: table base, entry, where its flags go.
struct walk {
    struct cpu *c;
    u64 at[4], pte[4]; // entries read, outermost first
    unsigned n, size;  // size: bytes an entry
    bool w, u, nx;
    bool watched; // a debugger wants to know
    bool calm;    // nothing but memory may be read, nothing written: MMU_CALM
    bool vague;   // … and would have had to be: a fault tells nothing
};

static void walk_begin(struct walk *k, struct cpu *c, unsigned commit)
{
    k->c = c;
    k->n = 0;
    k->w = k->u = true;
    k->nx = k->vague = false;
    k->watched = commit && hook_walks(c);
    k->calm = commit == MMU_CALM;
}

// Reads an entry and accumulates its rights; false if not present or with reserved bits set (then *err is filled).
INLINE bool walk_step(struct walk *k, u64 at, u64 rsvd, bool rights, u32 *err)
{
    at &= k->c->a20_mask;
    const u8 *p = phys_read(k->c->bus, at);
    if (unlikely(!p && k->calm)) return k->vague = true, false;
    u64 e = likely(p != NULL) ? (k->size == 8 ? ld64(p) : ld32(p)) : bus_load(k->c->bus, at, k->size);
    if (unlikely(k->watched)) hook_walk(k->c, at, e, k->size, false);
    k->at[k->n] = at;
    k->pte[k->n++] = e;
    if (!(e & PTE_P)) return false;
    if (e & rsvd) {
        *err |= PF_P | PF_RSVD;
        return false;
    }
    if (rights) {
        k->w &= !!(e & PTE_W);
        k->u &= !!(e & PTE_U);
        k->nx |= k->size == 8 && (e & PTE_NX);
    }
    return true;
}

static bool walk32(struct walk *k, u64 lin, struct mmu_result *r)
{
    struct cpu *c = k->c;
    k->size = 4;
    if (!walk_step(k, (c->cr3 & 0xfffff000) + (lin >> 22 & 0x3ff) * 4, 0, true, &r->err)) return false;
    u64 pde = k->pte[0];
    if ((pde & PTE_PS) && (c->cr4 & CR4_PSE)) {
        u64 high = bits(pde, 20, 13) << 32; // PSE-36
        if ((pde & 1 << 21) || (high & ~c->phys_mask)) {
            r->err |= PF_P | PF_RSVD;
            return false;
        }
        r->page_bits = 22;
        r->pa = (pde & 0xffc00000) | high | (lin & 0x3fffff);
        return true;
    }
    if (!walk_step(k, (pde & 0xfffff000) + (lin >> 12 & 0x3ff) * 4, 0, true, &r->err)) return false;
    r->page_bits = 12;
    r->pa = (k->pte[1] & 0xfffff000) | (lin & 0xfff);
    return true;
}

// PAE and 4-level from the page directory (shift 21) or above down.
static bool walk64(struct walk *k, u64 lin, struct mmu_result *r, struct walk_cache *wc)
{
    struct cpu *c = k->c;
    bool lma = c->efer & EFER_LMA;
    u64 rsvd = PTE_ADDR & ~c->phys_mask, table;
    unsigned shift, slot = lin >> 21 & 63;
    k->size = 8;
    if (!(c->efer & EFER_NXE)) rsvd |= PTE_NX;
    if (!lma) rsvd |= 0x7ff0000000000000ull; // PAE: bits 62:52 too
    if (lma) {
        table = c->cr3 & PTE_ADDR;
        shift = 39;
    } else {
        u64 pdpte = c->pdpte[lin >> 30 & 3];
        if (!(pdpte & PTE_P)) return false;
        table = pdpte & PTE_ADDR;
        shift = 21;
    }
    if (wc && wc->at[slot].gen == wc->gen && wc->at[slot].page == lin >> 21) {
        k->w = wc->at[slot].w, k->u = wc->at[slot].u, k->nx = wc->at[slot].nx;
        table = wc->at[slot].table;
        shift = 12;
        wc = NULL;
    }
    for (;; shift -= 9) {
        if (wc && shift == 12) { // A of the entries above is set below, if the walk succeeds at all
            wc->at[slot].gen = 0, wc->at[slot].page = lin >> 21, wc->at[slot].table = table;
            wc->at[slot].w = k->w, wc->at[slot].u = k->u, wc->at[slot].nx = k->nx;
        }
        u64 more = shift == 39 || (shift == 30 && !cpu_has(c, FEAT_PDPE1GB)) ? PTE_PS : 0;
        if (!walk_step(k, table + (lin >> shift & 0x1ff) * 8, rsvd | more, true, &r->err)) return false;
        u64 e = k->pte[k->n - 1], low = (1ull << shift) - 1;
        if (shift == 12 || (e & PTE_PS)) {
            if (shift > 12 && (e & low & PTE_ADDR & ~0x1000ull)) { // bits below the page's base, but PAT at 12
                r->err |= PF_P | PF_RSVD;
                return false;
            }
            r->page_bits = shift;
            r->pa = (e & PTE_ADDR & ~low) | (lin & low);
            return true;
        }
        table = e & PTE_ADDR;
    }
}

// May the access be made, given the rights along the walk? SDM vol. 3 4.6.1.
INLINE bool may(const struct cpu *c, bool w, bool u, bool nx, int acc, bool user, bool implicit)
{
    if (user) return u && (acc != ACC_WRITE || w) && !(acc == ACC_EXEC && nx);
    if (acc == ACC_EXEC) return !nx && !(u && (c->cr4 & CR4_SMEP));
    if (u && (c->cr4 & CR4_SMAP) && (implicit || !(c->eflags & FL_AC))) return false;
    return acc != ACC_WRITE || w || !(c->cr0 & CR0_WP);
}
static bool permitted(struct cpu *c, const struct walk *k, int acc, bool user, bool implicit)
{
    return may(c, k->w, k->u, k->nx, acc, user, implicit);
}

// The commonest walk of all in one go: the page table is known, its entry allows the access and has its marks. False:
// nothing has been done.
static bool walk_known(struct cpu *c, const struct walk_cache *wc, u64 lin, int acc, bool user, bool implicit,
                       struct mmu_result *r)
{
    unsigned slot = lin >> 21 & 63;
    if (wc->at[slot].gen != wc->gen || wc->at[slot].page != lin >> 21 || unlikely(hook_walks(c))) return false;
    const u8 *p = phys_read(c->bus, (wc->at[slot].table + (lin >> 12 & 0x1ff) * 8) & c->a20_mask);
    if (unlikely(!p)) return false;
    u64 e = ld64(p), marks = PTE_P | PTE_A | (acc == ACC_WRITE ? PTE_D : 0);
    u64 rsvd = (PTE_ADDR & ~c->phys_mask) | (c->efer & EFER_NXE ? 0 : PTE_NX);
    bool w = wc->at[slot].w && (e & PTE_W), u = wc->at[slot].u && (e & PTE_U), nx = wc->at[slot].nx || (e & PTE_NX);
    if ((e & marks) != marks || (e & rsvd) || !may(c, w, u, nx, acc, user, implicit)) return false;
    *r = (struct mmu_result){.pa = (e & PTE_ADDR) | (lin & 0xfff),
                             .page_bits = 12,
                             .writable = w,
                             .user = u,
                             .nx = nx,
                             .global = (e & PTE_G) && (c->cr4 & CR4_PGE),
                             .dirty = e & PTE_D};
    return true;
}

static void set_ad(struct walk *k, bool dirty)
{
    for (unsigned i = 0; i < k->n; i++) {
        u64 want = k->pte[i] | PTE_A | (dirty && i == k->n - 1 ? PTE_D : 0);
        if (want == k->pte[i]) continue;
        if (unlikely(k->c->witness != NULL)) k->c->witness(k->c, k->at[i], WITNESS_WALK);
        if (unlikely(k->watched)) hook_walk(k->c, k->at[i], want, k->size, true);
        bus_store(k->c->bus, k->at[i], want, k->size);
        k->pte[i] = want;
    }
}

static bool all_marked(const struct walk *k, bool dirty)
{
    for (unsigned i = 0; i < k->n; i++)
        if (!(k->pte[i] & PTE_A)) return false;
    return !dirty || (k->pte[k->n - 1] & PTE_D);
}

// `user` here means an access with user rights; a supervisor's is implicit if the processor makes it on its own at CPL
// 3 (mmu_translate's `system`): that matters to SMAP only.
void mmu_walk_kind(struct cpu *c, u64 lin, int acc, bool user, bool implicit, unsigned commit, struct mmu_result *r)
{
    if (!(c->cr0 & CR0_PG)) {
        *r = (struct mmu_result){.pa = lin, .page_bits = 12, .writable = true, .user = true, .dirty = true};
        return;
    }
    struct walk_cache *wc = commit && (c->efer & EFER_LMA) ? tlb_walk_cache(c) : NULL;
    if (wc && walk_known(c, wc, lin, acc, user, implicit, r)) return;
    *r = (struct mmu_result){.page_bits = 12};
    struct walk k;
    walk_begin(&k, c, commit);
    bool ok = c->cr4 & CR4_PAE ? walk64(&k, lin, r, wc) : walk32(&k, lin, r);
    if (wc && k.n == 1 && !(ok && permitted(c, &k, acc, user, implicit))) { // judge by the tables as they are
        wc->at[lin >> 21 & 63].gen = 0;
        walk_begin(&k, c, commit);
        *r = (struct mmu_result){.page_bits = 12};
        ok = walk64(&k, lin, r, wc);
    }
    if (ok && !permitted(c, &k, acc, user, implicit)) {
        r->err |= PF_P;
        ok = false;
    }
    if (!ok) {
        bool has_i = ((c->efer & EFER_NXE) && (c->cr4 & CR4_PAE)) || (c->cr4 & CR4_SMEP);
        r->fault = true;
        r->vague = k.vague;
        r->err |= (acc == ACC_WRITE ? PF_W : 0) | (user ? PF_U : 0) | (acc == ACC_EXEC && has_i ? PF_I : 0);
        return;
    }
    if (commit == MMU_CALM && !all_marked(&k, acc == ACC_WRITE)) {
        r->fault = r->vague = true;
        return;
    }
    if (commit) set_ad(&k, acc == ACC_WRITE);
    if (wc && k.n == 4) wc->at[lin >> 21 & 63].gen = wc->gen;
    u64 leaf = k.pte[k.n - 1];
    r->writable = k.w;
    r->user = k.u;
    r->nx = k.nx;
    r->global = (leaf & PTE_G) && (c->cr4 & CR4_PGE);
    r->dirty = leaf & PTE_D;
}

struct mmu_result mmu_walk(struct cpu *c, u64 lin, int acc, bool user, bool commit)
{
    struct mmu_result r;
    mmu_walk_kind(c, lin, acc, user, !user && c->cpl == 3, commit, &r);
    return r;
}

bool mmu_peek(struct cpu *c, u64 lin, u64 *pa)
{
    struct walk k;
    struct mmu_result r = {.pa = lin};
    walk_begin(&k, c, 0);
    bool ok = !(c->cr0 & CR0_PG) || (c->cr4 & CR4_PAE ? walk64(&k, lin, &r, NULL) : walk32(&k, lin, &r));
    *pa = r.pa & c->a20_mask;
    return ok;
}

static bool debug_copy(struct cpu *c, u64 lin, u8 *p, u64 n, bool write)
{
    while (n) {
        u64 pa, m = min_u64(n, PAGE_SIZE - (lin & 0xfff));
        if (!mmu_peek(c, lin, &pa)) return false;
        if (!(write ? bus_poke(c->bus, pa, p, m) : bus_peek(c->bus, pa, p, m))) return false;
        lin += m, p += m, n -= m;
    }
    return true;
}
bool mmu_debug_read(struct cpu *c, u64 lin, void *to, u64 n) { return debug_copy(c, lin, to, n, false); }
bool mmu_debug_write(struct cpu *c, u64 lin, const void *from, u64 n)
{
    return debug_copy(c, lin, (u8 *)from, n, true);
}

bool mmu_load_pdptes(struct cpu *c, u64 cr3)
{
    u64 v[4], rsvd = (PTE_ADDR & ~c->phys_mask) | 0xfff00000000001e6ull; // SDM vol. 3 figure 4-7: bits 2:1, 8:5, 63:52
    for (int i = 0; i < 4; i++) {
        u64 at = ((cr3 & 0xffffffe0) + 8 * i) & c->a20_mask;
        v[i] = bus_load(c->bus, at, 8);
        if (hook_walks(c)) hook_walk(c, at, v[i], 8, false);
        if ((v[i] & PTE_P) && (v[i] & rsvd)) return false;
    }
    for (int i = 0; i < 4; i++) c->pdpte[i] = v[i];
    return true;
}
