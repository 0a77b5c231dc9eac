// SPDX-License-Identifier: MIT
// The decoder: bytes and code size in, struct insn or a fault out; pure. What exists is cpu/insn.def, restricted to the
// features of the CPU model (a row without its feature is not there at all, so that LZCNT decodes as BSR where it
// must). SDM vol. 2 chapter 2 and appendix A; AMD APM vol. 3 chapter 1.
#pragma once
#include "cpu/cpu.h"

enum insn_op {
    OP_NONE,
#define INSN(name, ...) OP_##name,
#include "cpu/insn.def"
#undef INSN
    OP_COUNT
};

enum { // insn.pfx
    PFX_LOCK = 1,
    PFX_REP = 2 /* F3 last */,
    PFX_REPNE = 4 /* F2 last */,
    PFX_66 = 8,
    PFX_67 = 16,
    PFX_REX = 32,
    PFX_W = 64,
    PFX_SEG = 128 /* a segment override that counts */
};

// A decoded instruction. Registers are 0-15 (vectors 0-31); byte registers AH CH DH BH are 16-19 (16 + the register
// whose second byte they are). A register in the opcode (Zv) is in rm with is_mem = false, like Ev's.
struct insn {
    void (*exec)(struct cpu *c,
                 const struct insn *i); // the interpreter's function for this form; the decoder leaves NULL
    u64 imm; // immediate sign- or zero-extended to 64 bits as its operand code says; Jb, Jz: displacement; Ob, Ov:
             // address; Ap: offset | selector << 32; two immediates (ENTER): first | second << 32
             // x87: from RIP to the instruction's start, which it records: -len, unless an engine keeps RIP elsewhere
    i32 disp;
    u16 op;                     // enum insn_op
    u8 len;                     // bytes, 1-15
    u8 osz;                     // operand size 2, 4, 8
    u8 asz;                     // address size 2, 4, 8
    u8 ea_shift;                // 64 - 8 * asz
    u8 is_mem;                  // ModRM names memory
    u8 reg, rm;                 // ModRM.reg and, without memory, ModRM.rm
    u8 base, index, scale, seg; // of the memory operand; base or index R_ZERO: none; base R_RIP
    u8 pfx;                     // PFX_*
    u8 cc;                      // condition of +cc rows
    u8 modrm;                   // the byte itself (x87, groups)
    u8 vvvv, vl;                // VEX/EVEX: third register; vector length in bytes 16, 32, 64 (16 for legacy SSE)
    u8 aaa, evex;               // EVEX: opmask register; bit 0 z, bit 1 b
};

enum decode_status {
    DECODE_OK,
    DECODE_MORE /* n bytes are too few */,
    DECODE_UD,
    DECODE_LONG /* over 15 bytes: #GP(0) */
};
// The tables for a model's features (bits by enum feat); immutable after that.
struct decoder *decoder_new(const u64 *feat);
void decoder_free(struct decoder *d);
// p[0..n) are the bytes at hand, code is MODE_16, MODE_32 or MODE_64. On DECODE_UD len is how far the decoder read.
enum decode_status decode(const struct decoder *d, const u8 *p, unsigned n, unsigned code, struct insn *i);

// Facts of a row.
enum insn_attr {        // what insn.def's attribute column may name
    A_LOCK = 1 << 0,    // LOCK is allowed if the first operand is memory
    A_I64 = 1 << 1,     // invalid in 64-bit code
    A_O64 = 1 << 2,     // exists in 64-bit code only
    A_D64 = 1 << 3,     // operand size is 64 by default in 64-bit code, 32 cannot be had
    A_F64 = 1 << 4,     // operand size is always 64 in 64-bit code
    A_END = 1 << 5,     // ends a block: control transfer
    A_SYS = 1 << 6,     // ends a block: may change mode, mappings or what interrupts see
    A_IO = 1 << 7,      // ends a block: port access
    A_STR = 1 << 8,     // string instruction: REP counts
    A_CPL0 = 1 << 9,    // #GP(0) outside CPL 0
    A_REX_W0 = 1 << 10, // REX.W has no meaning: operand size stays 32 (or 16)
    A_FPU = 1 << 11,    // x87: CR0.EM, TS
    A_MMX = 1 << 12,
    A_SSE = 1 << 13,    // CR0.EM, TS, CR4.OSFXSR
    A_VEX = 1 << 14,    // VEX-coded: #UD in real and virtual-8086 mode
    A_NOREAL = 1 << 15, // #UD in real and virtual-8086 mode
    A_ALIGN = 1 << 16,  // memory operand must be aligned to its size
    A_NDF =
        1 << 17, // a documented difference between vendors, or results the manual leaves open: see the row's comment
};
struct insn_row {
    const char *name, *opcode, *mnemonic, *operands;
    u16 feat;
    u32 attr;
    const char *reads, *writes, *undef; // flags, letters of "oszapc" and d i t n
};
extern const struct insn_row insn_rows[OP_COUNT];
