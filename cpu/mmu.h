// SPDX-License-Identifier: MIT
// Paging: linear -> physical. SDM vol. 3 chapter 4. 2-level, PAE, 4-level; 5-level not offered.
#pragma once
#include "cpu/cpu.h"

enum { // page-fault error code
    PF_P = 1,
    PF_W = 2,
    PF_U = 4,
    PF_RSVD = 8,
    PF_I = 16
};
struct mmu_result {
    u64 pa;                                 // of the byte asked for, A20 not yet applied
    u32 page_bits;                          // 12, 21, 22, 30
    bool writable, user, nx, global, dirty; // as accumulated along the walk
    u32 err;                                // why it faults, if it does (with PF_* bits)
    bool fault;
    bool vague; // MMU_CALM: … and nobody knows whether the access would
};
// Walks the tables for an access (ACC_*) by user or supervisor. Sets A and D bits if `commit`, else changes nothing.
struct mmu_result mmu_walk(struct cpu *c, u64 lin, int acc, bool user, bool commit);
// The same, told apart: `implicit` is a supervisor access that the processor makes on its own (SMAP forbids user pages
// then). commit MMU_CALM: as if committing, but where A or D would have to be set, or an entry is not in memory, it is
// a fault (a vague one).
enum { MMU_CALM = 2 };
void mmu_walk_kind(struct cpu *c, u64 lin, int acc, bool user, bool implicit, unsigned commit, struct mmu_result *r);
// Physical address after A20, or raises #PF. `system`: implicit supervisor access.
u64 mmu_translate(struct cpu *c, u64 lin, int acc, bool system);
// For debuggers: no side effects; false if not mapped.
bool mmu_peek(struct cpu *c, u64 lin, u64 *pa);
// Reads guest memory by linear address for debuggers (ignores privilege); false if any page is not mapped to memory.
bool mmu_debug_read(struct cpu *c, u64 lin, void *to, u64 n);
bool mmu_debug_write(struct cpu *c, u64 lin, const void *from, u64 n);
// Loads and checks the PAE page-directory pointers; false = #GP.
bool mmu_load_pdptes(struct cpu *c, u64 cr3);

// TLB maintenance (tlb.c).
void tlb_flush(struct cpu *c, bool global); // MOV CR3 (global = false), CR4.PGE/PAE…, remapping (true)
void tlb_switch(struct cpu *c);             // CR3 changed, or A20, with everything tagged kept
void tlb_flush_pcid(struct cpu *c, u16 pcid);
void tlb_flush_page(struct cpu *c, u64 lin); // INVLPG: any size, global too
void tlb_protect(struct cpu *c, u64 pa);     // drop write entries of a physical page (~0: all)
// Lockstep: puts TLBSET_REFERENCE in the place of the tables chosen, emptied if it stood for others before.
void tlb_reference(struct cpu *c);
// Drops its write entries: the next write to each page is told to cpu.witness again.
void tlb_reference_writes(struct cpu *c);
// Fills the first level for (lin, acc) and returns the host pointer of the byte, or NULL (MMIO, marked page, crossing)
// with *pa set; raises on fault.
void *tlb_fill(struct cpu *c, u64 lin, int acc, bool system, u64 *pa);
// For translated code: fills the first level for an ordinary access to the page of lin, key = TLBSET_* * 2 + write.
// What raises, writes to memory, or is anybody's business but the processor's is not done (REFILL_NOT). REFILL_BESIDE:
// the entry's tag is tlb_beside().
enum tlb_refill { REFILL_NOT, REFILL_DONE, REFILL_BESIDE };
enum tlb_refill tlb_refill(struct cpu *c, u64 lin, u32 key);
// The access at lin for which tlb_refill() has found a fault (cpu.fault_page): makes the fault c->exc's, as raising it
// does but for the way to whoever catches. False: it has not, nothing is done.
bool tlb_known_fault(struct cpu *c, u64 lin);
// Code fetch: physical address and host pointer of the byte at lin; raises #PF with PF_I. host NULL: not plain memory.
u64 tlb_fetch(struct cpu *c, u64 lin, u8 **host);
// Makes whoever caches by linear address look again: for all pages, or those that are not global. The CPUs of a machine
// share the numbers, as they may share what was cached.
INLINE void tlb_new_generation(struct cpu *c, bool global)
{
    c->tlb_gen = ++c->bus->generation & 0x7fffffff;
    if (global) c->tlb_gen_global = c->tlb_gen | 1u << 31;
    cpu_set_jump_context(c);
}
// Page tables that 4-level walks found last (SDM vol. 3 4.10.3): the way to them need not be walked again. Emptied by
// every flush (gen); a walk that fails through an entry drops it.
struct walk_cache {
    u64 gen;
    struct {
        u64 gen, page; // linear address >> 21
        u64 table;     // physical address of the page table
        bool w, u, nx; // rights along the way
    } at[64];
};
struct walk_cache *tlb_walk_cache(struct cpu *c);
void tlb_create(struct cpu *c);
void tlb_destroy(struct cpu *c);
