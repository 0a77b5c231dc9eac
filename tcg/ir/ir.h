// SPDX-License-Identifier: MIT
// The intermediate code of one block: a flat array of fixed-size operations, x86-shaped (two operands, flags as a side
// result with a mask of those that anybody may look at later). ir.def names them; printer, parser, verifier and
// liveness derive from it.
// Memory is reached in two steps: MEM checks and translates an address, and IR_M is then an operand like a register,
// until the next MEM. A guest instruction changes nothing before its last operation with IR_EXIT: leaving it to the
// interpreter there, from its beginning, is always right (design.md, "commit late"). The verifier holds that.
#pragma once
#include "mem/base/types.h"

struct buf;
struct err;
enum ir_code {
#define IR(name, ...) IR_##name,
#include "tcg/ir/ir.def"
#undef IR
    IR_COUNT
};
enum { IR_EXIT = 1, IR_END = 4 }; // properties
enum { IR_W_NONE, IR_W_D, IR_W_DA, IR_W_DI, IR_W_AXDX, IR_W_STEP, IR_W_VEC, IR_W_ANY };
// Operands: 0-15 guest registers, 16-19 AH CH DH BH, then
enum {
    IR_T0 = 20, // the one temporary: 64 bits, lives within a guest instruction
    IR_M = 21,  // memory that MEM checked
    IR_IMM = 22,
    IR_NONE = 23,
    IR_BASE = 24 // base of an address only: cpu.code_base (RIP-relative)
};
enum { // flags, as in EFLAGS
    IR_FL_NONE = 0,
    IR_FL_CF = 1,
    IR_FL_CFOF = 0x801,
    IR_FL_NOCF = 0x8d4,
    IR_FL_ALL = 0x8d5
};
enum { // ir_op.acc
    IR_RD = 0,
    IR_WR = 1,     // writable (and readable: there are no write-only pages)
    IR_ALIGN = 2,  // must be aligned to its size: else to the interpreter, which raises #GP
    IR_T0LIVE = 4, // IR_T0 holds a value across this MEM
    IR_STACK = 8   // through SS with RSP: for grouping
};
struct ir_op {
    u8 op, size; // bytes 1, 2, 4, 8; MEM and VEC also 10, 16 …
    u8 dst, a;
    u8 base, index, scale; // of an address: IR_NONE none, IR_BASE; scale 0-3
    u8 asz;                // address size 2, 4, 8
    u8 seg;                // IR_NONE: flat; else the segment (S_*) whose limit (outside 64-bit code) and base count
    u8 acc;
    u8 cc;    // condition; source size of MOVZX, MOVSX, CRC32
    u8 insn;  // index of the guest instruction in its block
    u16 need; // flags written here that must be recorded, set by opt/flags.c. JMP, JCC, JRCXZ to the block's own start:
              // flags that its code looks at (what happens between the two, a poll, may look at all); else all
    u16 live; // flags (as recorded before this operation) that may be looked at here or later: likewise
    i32 disp;
    i64 imm;
};
// VEC: a guest x87, MMX or SSE instruction executed as it is. imm holds up to 6 bytes of its encoding without REX,
// ModRM and memory operand, in order: mandatory prefix (0: none), opcode map (0 none, 1 0F, 2 0F38, 3 0F3A), opcode,
// immediate, has-immediate, kind (IR_V_*). dst = ModRM.reg, a = ModRM.rm or IR_M; size = W (8) or not; cc = IR_H_*.
// x87 with memory: the address too, for FDP.
enum {
    IR_V_SSE = 1,
    IR_V_MMX = 2,
    IR_V_X87 = 4,      // dst = ModRM; opcode D8-DF
    IR_V_REG_GPR = 8,  // ModRM.reg is a guest general register, the destination
    IR_V_RM_GPR = 16,  // ModRM.rm, if no memory, is one
    IR_V_STORE = 32,   // ModRM.rm is the destination
    IR_V_CONTROL = 64, // x87: leaves FIP, FDP, FOP
    IR_V_COND = 128    // x87: reads flags (FCMOVcc)
};
enum { IR_H_BASE, IR_H_SSE3, IR_H_SSSE3, IR_H_SSE41, IR_H_SSE42, IR_H_AES, IR_H_PCLMUL, IR_H_SHA }; // VEC's cc

enum { IR_MAX = 640 };
struct ir {
    struct ir_op op[IR_MAX];
    u32 n;
    bool vec; // there may be VEC or VECF among them
};
struct ir_fact {
    const char *name, *operands;
    u16 writes, reads;
    u8 props, regs;
};
extern const struct ir_fact ir_facts[IR_COUNT];

// Appends; size, dst, a as given, no address, rest 0. Never fails: the front end keeps n < IR_MAX - 16.
INLINE struct ir_op *ir_add(struct ir *b, unsigned insn, enum ir_code op, unsigned size, unsigned dst, unsigned a)
{
    struct ir_op *o = &b->op[b->n++];
    *o = (struct ir_op){
        .op = op, .size = size, .dst = dst, .a = a, .base = IR_NONE, .index = IR_NONE, .seg = IR_NONE, .insn = insn};
    return o;
}
void ir_print(const struct ir *b, struct buf *out);
// The printed form back; for tests. False with a message that names the line.
bool ir_parse(struct ir *b, const char *text, struct err *e);
// Of a whole block: NULL, or what is wrong (static text); *at = index of the operation.
const char *ir_verify(const struct ir *b, u32 *at);
