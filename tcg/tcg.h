// SPDX-License-Identifier: MIT
// The translator's shared structures: block, exit record, engine. tb_compile() (compile.c) is the passes in order.
//
// How translated code runs (host x86-64):
// - Guest registers RAX RCX RDX RBX RBP RSI RDI R8 R9 R12 are the host's of the same name, guest RSP is host R15; guest
//   R10 R11 R13 R14 R15 live in struct cpu. R14 = struct cpu + TCG_BIAS, R10 R11 R13 are scratch, host RSP is the
//   host's.
// - RIP is not kept: cpu.code_base + the offset that is known for every point of a block. code_base = RIP - (linear
//   address & 0xfff) of the block's start, so it stays the same within a page and blocks are keyed by physical address.
// - Flags: the record of cpu/flags.h, partly still in registers: each exit's record says where.
// - Whatever translated code cannot do it leaves to C by an exit: R11D = index of a tb_rec, jump to cpu.host_exit,
// which
//   stores the registers and returns to exec.c. There C executes the guest instruction with the interpreter's function,
//   links a jump, or looks the next block up. So C never runs above translated code and may longjmp.
// - cpu.left counts down by the block's instructions at its entry; below zero it exits (REC_BUDGET) with nothing done.
#pragma once
#include "interp/interp.h"
#include "tcg/ir/ir.h"

#define TCG_BIAS 128
enum { TB_MAX = 48 /* instructions */, TB_COLD_RUNS = 4 /* executions by the interpreter's functions first */ };

enum tb_rec_kind {
    REC_INSN,   // execute instruction `insn`, then go on at `resume` (0: at the dispatcher)
    REC_JUMP,   // direct jump to code_base + target: patch the branch at `patch` if it stays on the page
    REC_FAR,    // the same to another page: a guarded link (see link.c) may be patched
    REC_BUDGET, // block entry: left went below zero, or the block is dead (then left was not counted down). rec[0];
                // patch = its stub
    REC_LEAVE   // RIP has been set
};
enum { CC_IN_MEMORY = 0xff, CC_SRC_IMM = 0xfe }; // tb_rec.cc_dst, cc_src
struct tb_rec {
    u8 kind, insn;
    u8 done;           // instructions of the block completed before this point
    u8 resume_flags;   // at `resume` the host's EFLAGS hold the guest's
    u16 cc_op;         // cc_op of the record, or 0xffff: memory has it
    u8 cc_dst, cc_src; // guest register (cut to the size in cc_op) still to be stored as cc_dst, cc_src
    u16 resume, patch; // offsets from the block's code
    i32 target;        // of a jump; REC_INSN: offset of the instruction (RIP - code_base)
    i32 imm;           // CC_SRC_IMM
    u32 tb;            // tb_of_rec()
};
struct tb {
    u64 pa;  // of the first byte
    u64 pa2; // of the second page's first byte, ~0 if there is none
    u32 key; // cpu.mode
    u16 n, bytes;
    u32 code;     // offset in the code memory, 0: not translated
    u16 code_len; // hot and cold part
    u16 nrec;
    u32 rec;                // index of the first record
    u32 runs;               // executions while cold
    bool dead, global, vec; // vec: uses the host's vector or x87 registers
    u8 fails;
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
    u32 rec0;           // index that rec[0] will have
};
enum { TB_REC_MAX = 400, TB_CODE_MAX = 24576 };

struct compile_env {
    const struct cpu *c; // mode and features only
    u32 key;             // block's mode
    bool opt;            // optimise: off = every flag recorded, for tests
    struct ir ir;
    struct buf *log; // NULL, or where -d op, op_opt go
};
// compile.c: front, opt, verify, host, in this order. False: does not fit into `out` (the caller makes room or gives
// up).
bool tb_compile(struct compile_env *e, const struct tb *t, struct tb_code *out);
// Its first half, for tests: t's instructions and the jump that ends the block, as e->ir.
void tb_front(struct compile_env *e, const struct tb *t);

// front/: guest instructions to IR. Appends the operations of t->insn[k]; what it does not know becomes CALL (and LEAVE
// if it ends the block). `off` is the offset of the instruction behind it from code_base.
void front_insn(struct compile_env *e, const struct tb *t, unsigned k, i32 off);
// A direct jump's target is refused (outside the code segment, not canonical): takes back what its instruction has
// already changed, so that the interpreter's function can execute it.
void front_take_back(struct cpu *c, const struct insn *i);
// front/vec.c: x87, MMX, SSE; false: not known.
bool front_vec(struct compile_env *e, const struct tb *t, unsigned k, i32 off);
// opt/flags.c: fills in need and live; turns instructions whose flags cannot be recorded but are needed into CALLs.
void opt_flags(struct compile_env *e, const struct tb *t);
// host/x64/: IR to host code.
bool host_emit(struct compile_env *e, const struct tb *t, struct tb_code *out);
// Emits the code that enters and leaves translated code at `rw`/`rx`; returns its length.
struct host_entry {
    // Runs translated code at `code` until it exits; returns the record's index. flags: to be loaded into the host's
    // EFLAGS before (arithmetic flags only), ~0 if they do not matter.
    u32 (*enter)(struct cpu *c, const void *code, u32 flags);
    const void *exit;
};
u32 host_thunks(u8 *rw, const u8 *rx, struct host_entry *h);
// Patches the branch (rel32) at code offset `at` to go to `to`; both offsets in one code memory.
void host_patch_jump(u8 *rw_base, u32 at, u32 to);
// Makes a block's entry go to `to` (5 bytes are overwritten).
void host_patch_entry(u8 *rw_base, u32 at, u32 to);
extern const struct cpu_engine tcg_engine;
