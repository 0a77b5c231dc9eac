// SPDX-License-Identifier: MIT
// The translator's block cache, shared by all CPUs of a machine (bus->code_cache), and what runs its blocks.
//
// Memory: host code in one file that is mapped twice (writable, executable); blocks with their decoded instructions;
// exit records. All three are bump arenas: when one is full everything is forgotten at once, which costs less than the
// book-keeping of anything finer, and what is hot is translated again in a moment.
#pragma once
#include "tcg/tcg.h"

enum {
    TB_HASH = 1 << 17,  // buckets by (physical address, mode): a system has 100,000 blocks, each met in a cache miss
    TB_LISTS = 1 << 15, // lists of pages, and of the dead
    TB_WIDE = 100,      // failures of checks for several accesses that a block may have
    TB_JCC = 3,         // conditional jumps that a block runs through …
    TB_JCC_INSNS = 32,  // … and its length then
    TB_DATA = 64,
    TB_LOCAL = 1024 // jump cache entries of pages that are not global, while the cache's context is the global one
};

// What an entry of the jump cache takes the place of: why the look-up before it missed.
enum jump_miss { MISS_NEW, MISS_OTHER, MISS_MODE, MISS_GENERATION, MISS_KINDS };

struct tcg_stats {
    u64 built, built_insns, built_bytes;          // decoded
    u64 compiled, insns, guest_bytes, host_bytes; // translated
    u64 records, side_bytes;                      // exits of these blocks, code of edges
    u64 ticks;                                    // of the clock in tcg_config, spent on that
    u64 fails;                                    // shortened because they did not fit
    u64 enters, exits[REC_KINDS], dead;           // dead: exits at blocks that are no more
    u64 slow_memory, slow_jump;           // REC_INSN: what a MEM and a LOOKUP could not do; CALLs are `fallback`
    u64 near, far;                        // jumps linked
    u64 lookups, filled, local;           // by the dispatcher; into jump caches; of pages that are not global
    u64 missed[MISS_KINDS];               // by enum jump_miss
    u64 cold, alone;                      // instructions by the interpreter's functions
    u64 by_cpu, by_dma, by_page, by_wide; // blocks that died, by cause
    u64 full, flushes;
    u32 fallback[OP_COUNT];
};

// Blocks that were invalidated, the last ones, for `jit`.
enum { TB_DEATHS = 256 };
struct tb_death {
    u64 pa, rip, icount; // rip, icount: of the CPU that wrote (by_cpu), or was running
    u32 key;
    u16 bytes;
    u8 cpu, cause; // enum
};
enum { DEATH_CPU, DEATH_DMA, DEATH_PAGE };

// What all CPUs share.
struct tcg {
    struct bus *bus;
    struct tcg_config cfg;
    u8 *rw;                                 // the code memory, writable
    const u8 *rx;                           // … and executable
    u32 code_size, code_first, code_used;   // thunks and stubs, code_first: blocks,
    u32 side_first, side_used;              // … and code of edges, up to code_size
    u32 stub_large, code_large, side_large; // up to where they are on the host's large pages
    u8 *meta;                               // struct tb, by 16 bytes
    u64 meta_size, meta_used;
    struct tb_rec *rec;
    u32 rec_size, rec_used; // record 0 is nobody's
    u32 stubs, nstub;       // exit stubs, one a record: where the first one is, how many are written
    u32 epoch;              // flushes: a pointer into the arenas is good while this stays
    struct host_entry host;
    struct tb *hash[TB_HASH], *pages[TB_LISTS];
    struct tb *gone[TB_LISTS]; // dead, translated, and links may lead there: by (physical address, mode)
    u64 graves[TB_LISTS / 64]; // lists of `gone` that have ever had any: what to look at in a cache line or two
    u32 users;
    struct cpu *cpu[64];
    u64 narrow[1 << 8]; // hash of the blocks that had TB_WIDE of them, by (physical address, mode)
    struct compile_env env;
    struct tcg_stats st;
    u64 *count; // `jit count`: by record, times left there; a block's first record: times entered. NULL: nobody counts
    u32 ndeaths;
    struct tb_death death[TB_DEATHS]; // a ring
    // Written bytes beside code that no block covered when there were so many blocks (tcg_stats.built), by pa.
    struct tb_data {
        u64 pa, len, built;
    } data[TB_DATA];
};

enum { TB_FIRST = (sizeof(struct tb) + 15) & ~15 }; // number 0 is nobody's: all zeroes, with record 0
INLINE struct tb *tb_at(const struct tcg *k, u32 n) { return (struct tb *)(k->meta + ((u64)n << 4)); }
INLINE u32 tb_number(const struct tcg *k, const struct tb *t) { return (u32)(((const u8 *)t - k->meta) >> 4); }

// code.c
void code_open(struct tcg *k, u64 bytes); // panics if the host refuses: tcg_possible() has asked before
void code_close(struct tcg *k);
bool code_room(struct tcg *k); // for one more block, whatever its size
INLINE bool code_side_room(const struct tcg *k) { return k->code_size - k->side_used >= HOST_SIDE_MAX; }
INLINE u32 code_stub(const struct tcg *k, u32 rec) { return k->stubs + rec * HOST_STUB; }
// Translated code's stack of a processor. Turns of up to STACK_CALLS instructions fit unless it is low.
enum { STACK_CALLS = 1 << 18 };
void code_stack(const struct tcg *k, struct cpu *c);
void code_stack_free(struct cpu *c);
bool code_stack_low(const struct cpu *c);
void code_count(struct tcg *k, bool on); // counters: afterwards tb_forget()
// cache.c
struct tcg *tb_cache_get(struct cpu *c);
void tb_cache_put(struct cpu *c);
struct tb *tb_find(const struct tcg *k, u64 pa, u32 key);
struct tb *tb_alloc(struct tcg *k);          // room for TB_MAX instructions; NULL: full. Not kept until tb_insert().
bool tb_insert(struct tcg *k, struct tb *t); // marks its lines; false: its bytes cannot be watched
void tb_translated(struct tcg *k, struct tb *t); // it has code now: what led to its dead forerunner leads here
// The edge r leads to `to` now, as l says.
void tb_link(struct tcg *k, struct tb_rec *r, struct tb *to, const struct host_link *l);
bool tb_covers(struct tcg *k, u64 pa, u64 len); // some block's bytes; all in one page
void tb_invalidate(struct tcg *k, u64 pa, u64 len, u64 *cause);
void tb_forget(struct tcg *k);
void tb_narrow(struct tcg *k, struct tb *t); // kills it: its next translation has no checks for several accesses
bool tb_is_narrow(const struct tcg *k, const struct tb *t);
// Calls fn for every live block that has bytes on this page; ~0: for every one.
void tb_each(const struct tcg *k, u64 pa, void (*fn)(struct tb *t, void *arg), void *arg);
void tb_new_age(struct tcg *k); // the same, and generations start again from 1
// build.c
u64 tb_linear(const struct cpu *c, u64 rip); // of code
// Decodes a block at rip; NULL if its bytes cannot be cached. Raises what the fetch of the first instruction raises.
// `marks`: cpu_break_key() of the page.
struct tb *tb_build(struct cpu *c, struct tcg *k, u64 rip, u64 pa, u32 marks);
// Its decoder: fills in t from bytes at `host`, which stand at rip and t->pa; the block ends with their page. t->n is 0
// if an instruction crosses that; false: it is one that must be executed alone.
bool tb_decode(struct cpu *c, const struct tcg *k, struct tb *t, u64 rip, const u8 *host, u32 marks);
// Translates; false: the interpreter's functions must do, and after a flush (k->epoch) `t` is gone.
bool tb_translate(struct cpu *c, struct tcg *k, struct tb *t, u64 rip);
// info.c
void tb_info(const struct tcg *k, struct buf *out);
u32 tb_disas(const struct tcg *k, const u8 *code, u32 len, u64 at, unsigned mode, char *text,
             size_t size); // its length
void tb_print_guest(const struct tcg *k, const struct tb *t, u64 rip, struct buf *out);
void tb_print_host(const struct tcg *k, const struct tb *t, u64 rip, struct buf *out);
void tb_log_guest(struct tcg *k, const struct tb *t, u64 rip);
void tb_log_entry(struct tcg *k, const struct tb *t, const struct cpu *c);
void tb_log_host(struct tcg *k, const struct tb *t, u64 rip);
// show.c: `jit`
void tb_show(struct cpu *c, struct tcg *k, u64 lin, struct buf *out);
// x87.c: the x87 registers to and from cpu.host_x87; FIP, FCS and FOP of instruction k.
void tb_x87_to_host(struct cpu *c);
void tb_x87_from_host(struct cpu *c);
void tb_x87_pointers(struct cpu *c, const struct tb *t, unsigned k);
