// SPDX-License-Identifier: MIT
// Lockstep: what check.c and the report (differ.c) share, and what exec.c calls.
#pragma once
#include <setjmp.h>
#include "cpu/hook.h"
#include "tcg/tb/tb.h"

enum {
    // Instructions that the reference goes ahead, up to the end of the block. What differs may be overwritten before a
    // window ends, so while code is new windows are short; while nothing is translated they grow.
    CHECK_WINDOW_NEW = 1000,
    CHECK_WINDOW = 16000,
    CHECK_PAGES = 256, // that it may write to
    CHECK_JUMPS = 4096 // blocks that the reference finds by linear address
};
#define CHECK_WIDE ((u64)1 << 63) // tb.outside: some instruction may change or need MODE_X87

// A block's instructions once more, for the reference: runs, in which one goes on into the next (insn_next()) while RIP
// stands at the block's start, each with interp_stop behind it. See interp/engine.c, whose blocks are made so.
enum { CHECK_ALONE = 0xff };
struct check_runs {
    struct insn *insn; // in this order in memory: the struct, what of[] needs, these
    u32 n;
    struct {
        u16 at;     // where each instruction begins, from the block's start; and where the last one ends
        u8 pos;     // its element of insn[]; CHECK_ALONE: it must be executed with RIP behind it
        bool jumps; // RIP says what comes next
    } of[];
};
enum {
    CHECK_RUNS_MAX = sizeof(struct check_runs) + (TB_MAX + 1) * sizeof(((struct check_runs *)0)->of[0]) + 8 +
                     2 * TB_MAX * sizeof(struct insn)
};
INLINE const void *check_runs_end(const struct check_runs *r) { return r->insn + r->n; }
enum check_end { // of a window
    END_FULL,
    END_EXACT, // the slice's last instruction
    END_DEVICE,
    END_CODE,
    END_OUTSIDE,
    END_FAULT,
    END_ATTENTION,
    END_X87,   // an x87 instruction that may raise what does not fault
    END_STEPS, // a string instruction that somebody has interrupted
    END_COUNT
};
struct check_state {
    u8 cpu[offsetof(struct cpu, fpu)] __attribute__((aligned(64)));
    u32 flags, mxcsr;
    struct fpu fpu;
    union vec vec[16];
};
#define CPU(s) ((const struct cpu *)(const void *)(s)->cpu)
struct check_page {
    u64 pa;
    u8 *host;
    u8 before[PAGE_SIZE], after[PAGE_SIZE];
};
struct check_bound { // where the reference entered a block
    u64 n, rip, pa;
    u32 key;
};
struct check_stats {
    u64 windows, insns, again, ends[END_COUNT];
};
struct check_jump {
    u64 lin, context; // cpu.context
    const struct tb *t;
};
struct check {
    struct tcg *g;
    u64 at;                           // icount where the open window ends; ~0: none is open
    struct check_state before, after; // of the reference
    u64 n, most;                      // instructions that it executed; that it may
    enum check_end why;               // it stopped …
    const struct tb *t;               // … in this block, if not NULL, which it entered …
    unsigned first;                   // … at this instruction
    u64 rip;                          // … at this address
    unsigned i;                       // … before this one
    const struct insn *run;           // if not NULL: cpu.cur is so far behind that one
    u32 rest;                         // … with so many left of the block that translated code may begin
    int exc;                          // the fault
    u64 cr2;
    bool walked;      // A and D bits were set
    bool half, store; // the instruction may have done half of its work; by a store
    u32 npages;
    struct check_page page[CHECK_PAGES];
    u32 nbounds;
    struct check_bound bound[CHECK_WINDOW + 1];
    u64 limit; // cpu.icount_limit but for the window
    jmp_buf out;
    const struct cpu_hooks *hooks; // a debugger's
    struct cpu_trail trail;        // instead of the true one
    bool faulted;                  // translated code raised an exception inside the window
    const char *what;              // differs
    bool hunting;
    u64 most_next;        // while hunting
    u64 window, compiled; // instructions; tcg_stats.compiled when it was opened
    u32 epoch;            // of the pointers in jump[]
    struct check_jump jump[CHECK_JUMPS];
    struct check_state then, now; // the reference's before the block to blame; translated code's
    struct check_bound blame;
    struct check_stats st;
};

struct check *check_new(struct tcg *g); // freed by free()
struct check *tcg_check(struct cpu *c);
INLINE bool check_is_open(const struct check *k) { return k->at != ~(u64)0; }
// Opens a window at RIP, which is instruction `first` of t unless that is NULL. False: the reference does not execute
// the instruction there, the interpreter's function must; or t may be gone.
bool check_open(struct cpu *c, struct check *k, const struct tb *t, unsigned first);
// Whenever C has control and all state is in its place: compares if the window ends here. False: it does, and they
// differed; RIP and all else may be something else now.
bool check_look(struct cpu *c, struct check *k);
// The engine runs again: a window that is still open was left by an exception.
INLINE void check_enter(struct check *k) { k->faulted = check_is_open(k); }
// The reference stores to a line with code (the page is kept, the bytes may be there already).
void check_code_store(struct cpu *c, u64 pa, u64 len);
void check_info(const struct check *k, struct buf *out);
// Of a new block: where the reference stops.
void check_note(struct cpu *c, struct tb *t);
// differ.c: all that is known about a difference. first: the window as it was found; k: run again for the block to
// blame, if it could be found.
void check_tell(struct cpu *c, struct check *k, const struct check *first, bool found, const char *memory);
// Bytes that are not as the reference left them.
void check_memory(const struct check *k, struct buf *out);
