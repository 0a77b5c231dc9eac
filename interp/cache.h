// SPDX-License-Identifier: MIT
// Decoded blocks: straight runs of instructions, keyed by physical address and mode, kept until their bytes change.
// Shared by all CPUs of a machine (bus->code_cache). Memory is a bump arena; when it is full everything is forgotten at
// once.
#pragma once
#include "interp/interp.h"

#define BLOCK_MAX  32          // instructions
#define MODE_DEAD  0xffffffffu // block's bytes changed: no key equals it
#define CODE_ARENA (20u << 20) // bytes
#define CODE_BITS  16
#define CODE_HASH  (1u << CODE_BITS)
struct iblock {
    u64 pa; // of the first byte
    u32 mode;
    u16 n;                  // instructions
    u16 slots;              // elements of insn[], with what stands before and behind the last instruction
    u16 last;               // index of the last instruction: n - 1, or n with a slot before it that completes RIP
    u16 bytes;              // may run into the next page (then it is one instruction, pa2 valid)
    u64 pa2;                // physical address of the second page, ~0 if there is none
    struct iblock *hash;    // same bucket
    struct iblock *page[2]; // next block of the same page; [1] for the list of pa2's page
    bool links;             // ends by a direct near transfer or runs on: what follows is a matter of RIP alone
    struct insn insn[];
};
// Behind the last instruction, in the room of one more: the way on to blocks that begin in the same page. They were
// found once by their linear address; within a page no translation, mode or right to execute comes between.
struct iend {
    void (*exec)(struct cpu *c, const struct insn *i);
    struct iblock *to[2];
    i32 delta[2]; // their RIP from this block's, NO_LINK: none
};
#define NO_LINK INT32_MIN
_Static_assert(sizeof(struct iend) <= sizeof(struct insn), "the end takes an instruction's room");
INLINE struct iend *block_end(struct iblock *t) { return (struct iend *)&t->insn[t->last + 1]; }
struct code_cache {
    u8 *arena;
    u32 used;
    u32 users;           // engine instances
    struct cpu *cpu[64]; // theirs: a flush of the arena makes their jump caches stale
    u64 blocks, flushes, killed;
    struct iblock *hash[CODE_HASH];
    struct iblock *pages[CODE_HASH]; // by physical page: blocks that touch it
};
struct code_cache *code_cache_get(struct cpu *c);
void code_cache_put(struct cpu *c);
struct iblock *code_find(struct code_cache *k, u64 pa, u32 mode);
// Room for a block with up to n instructions; flushes if there is none.
struct iblock *code_alloc(struct code_cache *k, struct bus *b, unsigned n);
void code_insert(struct code_cache *k, struct bus *b, struct iblock *t); // marks its lines; insn count is final
void code_flush(struct code_cache *k, struct bus *b);
void code_invalidate(struct code_cache *k, struct bus *b, u64 pa, u64 len);
