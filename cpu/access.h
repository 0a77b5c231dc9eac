// SPDX-License-Identifier: MIT
// Loads and stores as instructions make them: segmented (seg, ea) and linear. The inline part hits the first-level TLB;
// all else (limits, privilege, paging, page crossing, MMIO, #AC, breakpoints) is access.c. Faults raise and do not
// return. ea is already cut to the address size. Values are little-endian in guest memory.
#pragma once
#include "cpu/cpu.h"
#include "mem/base/bits.h"

enum { ACC_READ = 0, ACC_WRITE = 1, ACC_EXEC = 2, WITNESS_WALK = 3 /* cpu.witness only */ };

u64 access_load_slow(struct cpu *c, unsigned seg, u64 ea, unsigned size);
void access_store_slow(struct cpu *c, unsigned seg, u64 ea, u64 v, unsigned size);
u64 access_lin_load_slow(struct cpu *c, u64 lin, unsigned size, bool system);
void access_lin_store_slow(struct cpu *c, u64 lin, u64 v, unsigned size, bool system);

INLINE struct tlb_entry *tlb_slot(struct tlb_entry *t, u64 lin) { return &t[(lin >> PAGE_BITS) & (TLB_SIZE - 1)]; }
// Host address of [lin, lin+size) if the TLB has the page and the access does not cross it, else NULL.
INLINE void *tlb_host(struct tlb_entry *t, u64 lin, unsigned size)
{
    struct tlb_entry *e = tlb_slot(t, lin);
    if (unlikely(((lin + size - 1) & PAGE_MASK) != e->tag)) return NULL;
    return (void *)(uintptr_t)(e->addend + lin);
}
INLINE void *access_host_rd(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    const struct seg *s = &c->seg[seg];
    if (unlikely(ea + (size - 1) >= s->rend)) return NULL;
    return tlb_host(c->tlb->rd, s->base + ea, size);
}
INLINE void *access_host_wr(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    const struct seg *s = &c->seg[seg];
    if (unlikely(ea + (size - 1) >= s->wend)) return NULL;
    return tlb_host(c->tlb->wr, s->base + ea, size);
}
// size is a constant 1, 2, 4 or 8 at each call.
INLINE u64 mem_load(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    void *p = access_host_rd(c, seg, ea, size);
    return likely(p != NULL) ? ld_size(p, size) : access_load_slow(c, seg, ea, size);
}
INLINE void mem_store(struct cpu *c, unsigned seg, u64 ea, u64 v, unsigned size)
{
    void *p = access_host_wr(c, seg, ea, size);
    if (likely(p != NULL))
        st_size(p, v, size);
    else
        access_store_slow(c, seg, ea, v, size);
}
// Read-modify-write: rmw_load checks for write (a fault has W set) and reads; rmw_store then cannot fault. `p` is
// between them.
struct rmw {
    void *host; // NULL: slow
    u64 ea;
    unsigned seg;
};
u64 access_rmw_load_slow(struct cpu *c, unsigned seg, u64 ea, unsigned size);
INLINE u64 rmw_load(struct cpu *c, unsigned seg, u64 ea, unsigned size, struct rmw *p)
{
    p->host = access_host_wr(c, seg, ea, size);
    p->seg = seg;
    p->ea = ea;
    return likely(p->host != NULL) ? ld_size(p->host, size) : access_rmw_load_slow(c, seg, ea, size);
}
INLINE void rmw_store(struct cpu *c, const struct rmw *p, u64 v, unsigned size)
{
    if (likely(p->host != NULL))
        st_size(p->host, v, size);
    else
        access_store_slow(c, p->seg, p->ea, v, size);
}
// Blocks of n bytes (10, 16, 28 … 4096): all checks, for every page, before the first byte moves. align: 0, or a power
// of two whose violation raises #GP(0) (SSE's aligned forms).
void mem_read(struct cpu *c, unsigned seg, u64 ea, void *to, unsigned n, unsigned align);
void mem_write(struct cpu *c, unsigned seg, u64 ea, const void *from, unsigned n, unsigned align);
// Raises what an access of n bytes would raise; changes nothing but A and D bits.
void mem_probe(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc);
// Linear address after all segment checks (canonical in 64-bit code): for INVLPG, bit strings, string operations.
u64 mem_linear(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc);
// Linear addresses with the current privilege.
INLINE u64 lin_load(struct cpu *c, u64 lin, unsigned size) { return access_lin_load_slow(c, lin, size, false); }
INLINE void lin_store(struct cpu *c, u64 lin, u64 v, unsigned size) { access_lin_store_slow(c, lin, v, size, false); }
// Implicit supervisor accesses: descriptor tables, TSS, IDT, inner stacks (SDM vol. 3 4.6: not subject to CPL). SMAP
// does not ask for EFLAGS.AC there, so they have the rights of one of the supervisor's sets, which they look into and
// fill.
INLINE u32 sys_tlb(const struct cpu *c)
{
    return unlikely(c->witness != NULL) ? TLBSET_NONE : c->cr4 & CR4_SMAP ? TLBSET_KERNEL_NOUSER : TLBSET_KERNEL;
}
INLINE u64 sys_load(struct cpu *c, u64 lin, unsigned size)
{
    void *p = tlb_host(c->tlbs[sys_tlb(c)].rd, lin, size);
    return likely(p != NULL) ? ld_size(p, size) : access_lin_load_slow(c, lin, size, true);
}
INLINE void sys_store(struct cpu *c, u64 lin, u64 v, unsigned size)
{
    void *p = tlb_host(c->tlbs[sys_tlb(c)].wr, lin, size);
    if (likely(p != NULL))
        st_size(p, v, size);
    else
        access_lin_store_slow(c, lin, v, size, true);
}
void sys_probe(struct cpu *c, u64 lin, unsigned n, int acc);
