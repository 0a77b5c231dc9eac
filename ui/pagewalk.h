// SPDX-License-Identifier: MIT
// Page tables as a person looks at them: every level of one walk, and all that is mapped. Reads guest memory only, sets
// nothing, and trusts nothing that it reads: tables may lie outside memory or contain themselves.
#pragma once
#include "cpu/cpu.h"

#define PAGEWALK_LEVELS 5
struct pt_level {
    const char *name; // "PML4E" … "PTE"
    u64 at, entry;    // physical address, value
    unsigned shift;   // log2 of what an entry of this level covers
    bool leaf;        // maps a page
    bool outside;     // the entry lies where no memory is
    u64 reserved;     // bits that are set and must not be
};
struct pt_walk {
    unsigned n; // levels read: the last one is the leaf, or where the walk ends
    bool mapped;
    struct pt_level level[PAGEWALK_LEVELS];
    u64 pa;           // of the byte, if mapped
    unsigned shift;   // of the page
    bool w, u, x;     // rights along the walk
    u64 pdpte_memory; // PAE: the first level is what the processor loaded with CR3; this is what memory holds now
};
const char *pagewalk_kind(const struct cpu *c); // "4-level" …, NULL: paging is off
void pagewalk(struct cpu *c, u64 lin, struct pt_walk *w);

struct pt_page {
    u64 lin, pa, entry; // lin as the processor shows it (canonical)
    unsigned shift;
    bool w, u, x; // along the walk
};
// Calls fn for every page that is mapped, in order; false: given up after `budget` entries, for tables that map
// themselves again and again.
bool pagewalk_all(struct cpu *c, u64 budget, void (*fn)(void *owner, const struct pt_page *p), void *owner);
