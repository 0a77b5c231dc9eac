// SPDX-License-Identifier: MIT
// How a debugger stops and watches a processor, for every engine. cpu/ owns this vtable, ui/debug.c implements it;
// cpu->hooks is NULL while nobody debugs, and then all of it costs one predictable branch on slow paths only.
//
// The contract for engines:
//  1. Blocks. When a block is looked up by (linear, physical) address, cpu_break_key() is part of its key; 0 nearly
//     always. In a block whose key is not 0 no instruction but the first may carry a mark: the builder asks
//     hook_marked() for each address and ends the block before it. Before the first instruction of a marked block is
//     executed, each time, the engine calls cpu_break(); when that says true nothing is executed and run() returns
//     (ATTN_EXIT is set). So such a block never enters a jump cache and is never chained to. An engine may as well
//     leave pages whose key is not 0 to step().
//  2. Setting or removing a mark flushes the engine of every CPU: keys of the past do not matter.
//  3. Watched pages never enter the first-level TLB (tlb_fill() sees to it): an inline access misses and cpu/access.c
//     reports it. An engine that keeps host addresses across instructions drops them when cpu->tlb_gen changes.
//  4. What a hook wants to stop sets ATTN_EXIT; run() returns at the next instruction boundary, with the instruction
//     that was under way completed and counted. Faults stop before their delivery.
//  5. hooks->each: the loop (cpu/loop.c) executes instruction by instruction with step(), as with EFLAGS.TF.
//  6. `xchg bx,bx` is executed by interp's function when hook_wants(c, HOOK_MAGIC) as it is decoded.
//  7. Who wants HOOK_TRIPLE alone hangs its hooks into cpu->autopsy, and slows nothing down.
//  8. While cpu->trail->blocks_on an engine notes each block that it enters (trail_block()): where it lies is all that
//     the record of last branches needs. It costs the interpreter 3 % and the translator its links, so it is on only
//     where someone will look: -d cpu_reset, -no-reboot on the interpreter, the first `info branches`. Switching it
//     flushes the engines.
// Exceptions, interrupts and port accesses are recorded always: they cost hundreds of instructions anyway.
#pragma once
#include "cpu/cpu.h"

enum hook_event { //      a                                  b                       c
    HOOK_INT,     // vector                             enum int_kind           error code; before delivery
    HOOK_IN,      // port | size << 16                  value
    HOOK_OUT,     //   "                                value; after the access
    HOOK_CR,      // number, 16 = EFER, 17 = XCR0       old value               new value
    HOOK_MODE,    // old MODE_*                         new MODE_*
    HOOK_TRIPLE,  // the processor shuts down
    HOOK_MAGIC,   // xchg bx,bx was executed
    HOOK_ICOUNT,  // cpu->icount_stop was reached
    HOOK_NEVENTS
};
struct hook_access {    // of data, by an instruction or by the processor itself (descriptors, stacks of a delivery)
    u64 lin, pa, value; // pa: of the first byte; value: read, or about to be written (low 8 bytes of longer ones)
    u64 pa2;            // of the first byte behind a page border, if the access crosses one
    u32 size;
    bool write, system; // write: called before the bytes move
    bool walk;          // of a page table, by a page walk: pa only (lin is the same)
};
struct break_page;
struct watch_range {
    u64 first, last; // addresses, inclusive
    bool phys;
};
struct cpu_hooks {
    void *owner;
    u32 wants;                            // 1 << HOOK_*
    bool each;                            // call insn() before every instruction
    bool watch_all;                       // data() for every access
    bool (*code)(struct cpu *c, u64 lin); // a marked address: true = stop before it
    bool (*insn)(struct cpu *c, u64 lin); // with `each`: the same
    bool (*fault)(struct cpu *c);         // c->exc is about to be delivered: true = stop
    void (*data)(struct cpu *c, const struct hook_access *a);
    void (*event)(struct cpu *c, enum hook_event what, u64 a, u64 b, u64 v);
    // hook.c's
    struct break_page **page; // hash by page number
    u64 *filter;              // bits by page number
    u32 npage[2];             // linear, physical ones
    struct watch_range *watch;
    u32 nwatch, nphys; // nphys: physical ones, which page walks are told to
};

// ---- what a debugger calls. Afterwards: engine->flush() and tlb_flush(c, true) for each CPU.
void hook_clear(struct cpu_hooks *h); // forgets all marks and watches
// An instruction that begins at this linear or physical address; false: too many pages (4094, 254 physical).
bool hook_mark(struct cpu_hooks *h, u64 addr, bool phys) MUST_CHECK;
void hook_watch(struct cpu_hooks *h, u64 first, u64 last, bool phys);
// Holds INTR and NMI back from this CPU while it steps (they stay pending).
void cpu_hold_interrupts(struct cpu *c, bool on);

// ---- what engines and the rest of cpu/ call
u32 hook_key(const struct cpu_hooks *h, u64 lin, u64 pa);
// Bits 12-31 of a block's key, MODE_* being the others: which page's marks it was built for.
INLINE u32 cpu_break_key(const struct cpu *c, u64 lin, u64 pa)
{
    return likely(!c->hooks || !c->hooks->page) ? 0 : hook_key(c->hooks, lin, pa);
}
bool hook_marked(const struct cpu_hooks *h, u64 lin, u64 pa);
INLINE bool cpu_break(struct cpu *c, u64 lin)
{
    if (likely(!c->hooks->code(c, lin))) return false;
    c->attn |= ATTN_EXIT;
    return true;
}
INLINE bool hook_wants(const struct cpu *c, enum hook_event e)
{
    return unlikely(c->hooks != NULL) && c->hooks->wants >> e & 1;
}
INLINE void cpu_hook(struct cpu *c, enum hook_event e, u64 a, u64 b, u64 v)
{
    if (hook_wants(c, e)) c->hooks->event(c, e, a, b, v);
}
bool hook_watched_page(const struct cpu_hooks *h, u64 lin, u64 pa);
void hook_data(struct cpu *c, u64 lin, u64 pa, u64 pa2, u64 value, u32 size, bool write, bool system);
// An entry of a paging structure that a walk reads, or is about to set A or D in. Reads count when the walk really
// reads: what TLBs and walk caches know is not read.
INLINE bool hook_walks(const struct cpu *c) { return unlikely(c->hooks != NULL) && c->hooks->nphys; }
void hook_walk(struct cpu *c, u64 pa, u64 value, u32 size, bool write);

// ---- the trail: what happened last, oldest overwritten; n counts all there ever were
enum { TRAIL = 64, TRAIL_BLOCKS = 256 };
struct trail_event { // an interrupt or exception as it was raised
    u64 icount, rip, cr2, rsp;
    u32 err;
    u16 cs;
    u8 vector, kind; // enum int_kind
    bool has_err;
    i8 during; // vector whose delivery raised it, -1 none
    u8 cpl;
};
struct trail_io {
    u64 icount, rip;
    u32 value;
    u16 port;
    u8 size;
    bool write;
};
struct trail_block {
    u64 at;    // linear address of its first byte
    u32 bytes; // 0: one instruction, whatever its length; TRAIL_EVENT | vector: an interrupt or exception came there
    u32 mode;  // MODE_CODE and whatever
};
#define TRAIL_EVENT 0x80000000u
struct cpu_trail {
    bool blocks_on;
    u32 nblocks, nevents, nio;
    struct trail_block block[TRAIL_BLOCKS];
    struct trail_event event[TRAIL];
    struct trail_io io[TRAIL];
};
void trail_event(struct cpu *c, int vector, int kind, bool has_err, u32 err, int during);
void trail_io(struct cpu *c, u16 port, u32 value, unsigned size, bool write);
INLINE void trail_block(struct cpu_trail *t, u64 at, u32 bytes, u32 mode)
{
    t->block[t->nblocks++ % TRAIL_BLOCKS] = (struct trail_block){at, bytes, mode};
}
