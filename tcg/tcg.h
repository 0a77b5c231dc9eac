// SPDX-License-Identifier: MIT
// The translator's shared structures: block, exit record, engine. tb_compile() (compile.c) is the passes in order.
//
// How translated code runs (host x86-64):
// - Guest registers RAX RCX RDX RBX RBP RSI RDI R8 R9 R12 are the host's of the same name, guest RSP is host R15; guest
//   R10 R11 R13 R14 R15 live in struct cpu. R14 = struct cpu + TCG_BIAS, R10 R11 R13 are scratch, host RSP is the
//   host's.
// - Guest RSP is behind by what a row of PUSHes and POPs has not added yet (em.sp), but never where anybody may see it:
//   at exits, at edges, in an operand.
// - RIP is not kept: cpu.code_base + the offset that is known for every point of a block. code_base = RIP - (linear
//   address & 0xfff) of the block's start, so it stays the same within a page and blocks are keyed by physical address.
// - Flags: the record of cpu/flags.h, partly still in registers: each exit's record says where.
// - Whatever translated code cannot do it leaves to C by an exit: it jumps to the stub of a tb_rec, one of an array of
//   HOST_STUB bytes each, which pushes the record's index and goes to a thunk; that stores the registers and returns to
//   exec.c (who has the index in R11D jumps to cpu.host_exit). There C executes the guest instruction with the
//   interpreter's function, links a jump, or looks the next block up. So C never runs above translated code and may
//   longjmp; but for tlb_refill(), a page walk that neither raises nor writes guest memory nor looks at counts.
// - Translated code has a stack of its own (cpu.host_sp while C runs), where the host's CALL and RET serve as the
//   guest's: call.c. It outlives exits. Neither exits nor entries are calls for the host, whose prediction of returns
//   they would put out of step.
// - cpu.left counts down by the block's instructions at its entry; below zero it exits (REC_BUDGET) with nothing done.
// - A jump that C has linked (an edge) need not pass there: it takes off what its target counts less what its own block
//   has counted too much and goes on behind the target's count; below zero it exits as if it were not linked, which
//   gives the same instruction boundary. Such an exit knows the flags' record by its tb_rec, so the edge stores it only
//   if the target looks at flags before it overwrites them all.
// - Each block lists the edges that lead to it; when it dies they are made exits again. So what was known of a target
//   when the link was made holds for as long as the link does.
// - Memory: each access compares its page's tag in the first-level TLB (mem.c); accesses off one base share a check
//   (group.c). A miss goes by a routine beside the exits (put_fill, thunk.c) that refills the slot from cpu.behind, a
//   second level for host code, and only then leaves. A store to a page with code has an entry that no check finds; the
//   same routine looks whether its lines carry code, and only then leaves.
// - More routines of that kind, called from blocks, save an exit: EFLAGS of a record that was made elsewhere
//   (eflags.c), a segment register loaded with what it was loaded with before (segload.c), the TSC as the machine has
//   said for this turn (cpu.tsc, sys.c). They run on the host's stack, call nothing, and change scratch registers only.
//   IRET and INT n that repeat one (cpu/repeat.c) go by such a routine (event.c) straight to the next block.
#pragma once
#include "cpu/mmu.h"
#include "cpu/hook.h"
#include "interp/interp.h"
#include "tcg/ir/ir.h"

enum { TB_MAX = 48 /* instructions */, TB_COLD_RUNS = 4 /* executions by the interpreter's functions first */ };

enum tb_rec_kind {
    REC_INSN,   // execute instruction `insn`, then go on at `resume` (0: at the dispatcher)
    REC_JUMP,   // direct jump to code_base + target: an edge, which host_link() may lead to the block there. cpu.left
                // below zero: it was linked, and there is no room for the target in the slice
    REC_FAR,    // the same to another page: a guarded link
    REC_BUDGET, // block entry: left went below zero, or the block is dead (then left was not counted down): rec[0]
    REC_LEAVE,  // RIP has been set
    REC_X87,    // block entry: the x87 registers shall be loaded, then on at `resume`
    REC_KINDS
};
enum { CC_IN_MEMORY = 0xff, CC_SRC_IMM = 0xfe }; // tb_rec.cc_dst, cc_src
// Records that only translated code makes, each in four widths; tcg_flags_normal() turns them into those of
// cpu/flags.h.
enum {
    CC_CMP = CC_COUNT,     // CC_SUB whose result is dst - src: a comparison whose operands are at hand
    CC_AND = CC_COUNT + 4, // CC_LOGIC whose result is dst & src
    CC_AH = CC_COUNT + 8   // dst = RAX behind LAHF; OF is 0
};
enum {               // tb_rec.resume_flags: what exec.c does before it goes on at `resume`
    RESUME_HOST = 1, // the host's EFLAGS shall hold the guest's
    RESUME_OVER = 2, // cc_cf and cc_of shall hold CF and OF
    RESUME_CMP = 4,  // the instruction's record is CC_SUB: CC_CMP's dst is wanted in cc_dst
    RESUME_AND = 8,  // CC_LOGIC: CC_AND's operands
    // and why the exit is there, for the statistics; neither: the instruction has no translation
    WHY_MEMORY = 16,
    WHY_JUMP = 32,
    RESUME_AH = 64,   // the record is CC_AH: flags are wanted in cc_dst
    RESUME_RAW = 128, // the instruction changes no flags but CF and OF: the record's parts in memory as they were
    // Of edges:
    EDGE_COUNTED = 1, // it counts cpu.left itself: to be led behind the target's count
    EDGE_SIDE = 2,    // its code is made by host_side() before it is linked first (patch is 0 until then)
    EDGE_STORED = 4,  // memory has cc_op already
    EDGE_TAKEN = 8    // a jump's target, which may raise or be cut, even if it is the next instruction
};
INLINE u64 tcg_cut(u64 v, u32 op) { return v << (64 - (8u << (op & 3))) >> (64 - (8u << (op & 3))); }
// Brings the record into cpu/flags.h's form: whenever C runs.
INLINE void tcg_flags_normal(struct cpu *c)
{
    u32 op = c->cc_op & 0xff, over = c->cc_op & CC_OVER;
    if (op < CC_COUNT) { // what translated code has stored is not cut
        c->cc_dst = tcg_cut(c->cc_dst, op);
        c->cc_src = tcg_cut(c->cc_src, op);
        return;
    }
    if (op >= CC_AH) {
        c->cc_op = CC_EFLAGS | over;
        c->eflags = (c->eflags & ~(u32)FL_ARITH) | (u32)(c->cc_dst >> 8 & FL_ARITH & 0xff);
        return;
    }
    c->cc_dst = tcg_cut(op < CC_AND ? c->cc_dst - c->cc_src : c->cc_dst & c->cc_src, op);
    c->cc_src = tcg_cut(c->cc_src, op);
    c->cc_op = (op < CC_AND ? CC_SUB : CC_LOGIC) | (op & 3) | over;
}
// Completes the record from what an exit says is still in registers.
INLINE void tcg_flags_complete(struct cpu *c, u16 cc_op, u8 dst, u8 src, i32 imm)
{
    if (cc_op != 0xffff) {
        c->cc_op = cc_op;
        if (dst != CC_IN_MEMORY) c->cc_dst = tcg_cut(c->gpr[dst & 15], cc_op);
        if (src == CC_SRC_IMM)
            c->cc_src = tcg_cut((u64)(i64)imm, cc_op);
        else if (src != CC_IN_MEMORY)
            c->cc_src = tcg_cut(c->gpr[src & 15], cc_op);
    }
}
struct tb_rec {
    u8 kind, insn;
    u8 done;           // instructions of the block completed before this point
    u8 resume_flags;   // RESUME_*
    u16 cc_op;         // cc_op of the record, or 0xffff: memory has it
    u8 cc_dst, cc_src; // guest register (cut to the size in cc_op) still to be stored as cc_dst, cc_src
    u32 patch;         // offset from the block's code: of edges, the host's affair
    i32 target;        // of a jump; REC_INSN: offset of the instruction (RIP - code_base)
    i32 imm;           // CC_SRC_IMM
    u16 resume;        // offset from the block's code; of edges the host's affair
    u8 x87;            // instruction whose FIP, FCS and FOP are to be set, plus 1; 0: they are right
    union {
        u8 spill; // of edges the host's affair
        u8 wide;  // of a MEM's check: it is for more than this access (tb.narrow)
    };
    union {
        u8 bare; // of edges the host's affair
        u8 span; // of a MEM's check: the access' last byte from its first
    };
    u8 fill; // of a MEM's check: its stub leads to host_entry.fill[fill - 1], which comes back to `patch`, behind the
             // check, if the access may be made (HOST_FILL); 0: to C
    u32 tb;  // the block's tb_number()
    u32 to, next; // of edges: the block that it leads to, 0 none; next of the edges that lead there (tb.in)
};
struct tb {
    u64 pa;  // of the first byte
    u64 pa2; // of the second page's first byte, ~0 if there is none
    u32 key; // cpu.mode
    u16 n, bytes;
    u32 code;     // offset in the code memory, 0: not translated
    u16 code_len; // hot and cold part
    u16 nrec;
    u32 rec;     // index of the first record
    u32 runs;    // executions while cold
    u64 outside; // with tcg_config.check: instructions that the reference does not execute; CHECK_WIDE
    const struct check_runs *check; // … the block as the reference executes it
    bool dead, global;
    u8 live; // CPU_HOST_* it uses
    u8 fails;
    u8 counted,
        inside;  // entries behind the count, and behind all that an edge from the block to itself need not repeat
    bool bare;   // it overwrites all arithmetic flags before anybody may look at them, be it at its entry's checks
    bool narrow; // accesses have their own checks: common ones have failed too often
    u8 wide;     // how often
    u32 in;      // first record of the edges that lead here
    struct tb *hash, *page[2];
    struct insn insn[];
};

// The compiler's input and output.
struct tb_code {
    u8 *rw;             // where to write (the writable mapping)
    const u8 *rx;       // where it will run
    u32 size;           // room
    u32 len;            // out
    struct tb_rec *rec; // room for TB_REC_MAX
    u32 nrec;           // out
    u8 live;            // out: CPU_HOST_* the block uses
    u8 counted, inside; // out: as in struct tb
    u32 rec0;           // index that rec[0] will have
    const u8 *stubs;    // where rec[0]'s exit stub runs; the others follow
    u64 *count;         // NULL, or where the code shall count its executions
    u16 *map; // NULL, or room for IR_MAX + 1: offset of each operation's code; behind the last, the cold part's
};
enum {
    TB_REC_MAX = 400,
    TB_CODE_MAX = 24576,
    HOST_STUB = 10 /* bytes of an exit's stub, or of a TLB check's: host_stubs() */
};

struct compile_env {
    const struct cpu *c; // mode and features only
    u32 key;             // block's mode
    bool opt;            // optimise: off = every flag recorded, for tests
    bool bare;           // out: as in struct tb
    struct ir ir;
    struct buf *log; // NULL, or where -d op, op_opt go
};
extern const bool host_reads_liveness; // need and live of operations
// compile.c: front, opt, verify, host, in this order. False: does not fit into `out` (the caller makes room or gives
// up).
bool tb_compile(struct compile_env *e, const struct tb *t, struct tb_code *out);
// Its first half, for tests: t's instructions and the jump that ends the block, as e->ir.
void tb_front(struct compile_env *e, const struct tb *t);

// front/: guest instructions to IR. Appends the operations of t->insn[k]; what it does not know becomes CALL (and LEAVE
// if it ends the block). `off` is the offset of the instruction behind it from code_base.
void front_insn(struct compile_env *e, const struct tb *t, unsigned k, i32 off);
// Whether the one access that an instruction makes is to its operand, and nothing can be raised before that.
bool front_one_access(const struct insn *i);
// Whether the block goes on behind an instruction that insn.def has end it.
bool front_goes_on(const struct insn *i);
// A direct jump's target is refused (outside the code segment, not canonical): takes back what its instruction has
// already changed, so that the interpreter's function can execute it.
void front_take_back(struct cpu *c, const struct insn *i);
// An instruction that loads segment registers has been executed: what SEGLOAD may repeat.
void tcg_note_load(struct cpu *c, const struct insn *i);
// FOP of an x87 instruction.
u16 tcg_x87_opcode(const struct insn *i);
// front/vec.c: x87, MMX, SSE; false: not known.
bool front_vec(struct compile_env *e, const struct tb *t, unsigned k, i32 off);
// opt/flags.c: `bare`; the other fills in need and live, too.
void opt_bare(struct compile_env *e);
void opt_flags(struct compile_env *e, const struct tb *t);
// host/x64/: IR to host code.
bool host_emit(struct compile_env *e, const struct tb *t, struct tb_code *out);
// Emits the code that enters and leaves translated code at `rw`/`rx`; returns its length.
// Bytes that an executed CALL takes of translated code's stack.
enum { HOST_FRAME = 24 };
// Which one: by the tables, the kind of access, whether IR_T0 is live.
#define HOST_FILL(set, write, t0) ((set)*4u + (write)*2u + (t0))
enum { HOST_FILLS = 4 * TLBSET_NONE };
struct host_entry {
    const struct tb_rec *rec;                                    // in: where records are
    enum tlb_refill (*refill)(struct cpu *c, u64 page, u32 key); // in: tlb_refill()
    const u32 *log;                                              // in: log.cats
    // Where host_enter() (enter.h) goes.
    const void *enter;
    const void *exit;                    // cpu.host_exit
    const u8 *stub;                      // where exit stubs lead
    const u8 *fill[HOST_FILLS];          // … or first, see tb_rec.fill
    const void *load;                    // cpu.host_load
    const void *flags, *getfl, *segload; // cpu.host_flags, host_getfl, host_segload
    const void *iret[2], *intr[2];       // cpu.host_iret, host_int: of 32-bit and of 64-bit code
    const void *tsc, *tsc_asks;          // cpu.host_tsc; … that always leaves
    const void *ret, *stray;             // cpu.host_ret; where RET comes to by the frame that stands for none
};
u32 host_thunks(u8 *rw, const u8 *rx, const u8 *stubs, struct host_entry *h); // stubs: where stub 0 will run
// Writes the exit stubs of records first … first + n - 1, as their `fill` says; stub 0 stands at rw and rx. code: where
// the block runs whose records they are.
void host_stubs(u8 *rw, const u8 *rx, const struct host_entry *h, u32 first, u32 n, const u8 *code);
// Makes the code of an EDGE_SIDE of block t, whose code is at offset `code`, at offset `at`, where there is room for
// HOST_SIDE_MAX bytes; returns its length. stub: offset of the record's.
enum { HOST_SIDE_MAX = 192 };
u32 host_side(u8 *rw_base, u32 code, u32 at, u32 stub, const struct tb *t, struct tb_rec *r);
// Makes the edge r of the block whose code is at offset `code` a jump to offset `to`. net: what cpu.left loses on the
// way (EDGE_COUNTED); bare: the flags need not be stored. REC_FAR: for as long as the high half of cpu.jump_context is
// gen and cpu.code_base is base.
struct host_link {
    u32 to;
    i8 net;
    bool bare;
    u32 gen;
    u64 base;
};
void host_link(u8 *rw_base, u32 code, const struct tb_rec *r, const struct host_link *l);
void host_unlink(u8 *rw_base, u32 code, const struct tb_rec *r, u32 stub); // an exit again
i8 host_link_net(const u8 *rw_base, u32 code, const struct tb_rec *r);
// A block on two pages checks at rec[0].resume that its second page is the one that exec.c has looked at: for this
// generation of translations and this code_base it is. Before the first time the check fails: REC_BUDGET.
void host_patch_guard(u8 *rw_base, u32 at, u32 gen, u64 base);
// Makes a block's entry go to `to` (5 bytes are overwritten).
void host_patch_entry(u8 *rw_base, u32 at, u32 to);
// For people who look: how far behind `code` the jump there leads, 0: it is none.
i32 host_jump_distance(const u8 *code);

// tb/: the engine. Who wants another configuration copies tcg_engine and sets its `config`.
#define TCG_SIZE_MIN     (2ull << 20)
#define TCG_SIZE_MAX     (1024ull << 20)
#define TCG_SIZE_DEFAULT (128ull << 20)
struct tcg_config {
    u64 size;                        // of the code memory, bytes
    i32 cold;                        // executions of a block before it is translated
    bool one_insn;                   // blocks of one instruction, for tests
    bool no_opt;                     // compile_env.opt off
    bool check;                      // every run of translated code is compared with the reference's (check.c)
    const char *command;             // how to see it again, for the report; may be NULL
    void (*differ)(const char *why); // takes the report, then goes on; NULL: to stderr, and panic
    // One instruction of `code` (MODE_16 … MODE_64) that stands at `at`, as text; its length, 0: none. NULL: bytes are
    // shown.
    unsigned (*disas)(struct cpu *c, unsigned code, u64 at, const u8 *bytes, unsigned n, char *text, size_t size);
    u64 (*ticks)(void); // a clock for the statistics, NULL: translation time is not measured
};
extern const struct tcg_config tcg_default_config;
extern const struct cpu_engine tcg_engine;
// Whether the host lets us make code; else a message.
struct err;
bool tcg_possible(u64 bytes, struct err *e);
