// SPDX-License-Identifier: MIT
// What the parts of the x86-64 back end share: the encoder, operands, the state of guest flags while a block is
// emitted. Register assignment: tcg/tcg.h.
#pragma once
#include <string.h>
#include "mem/base/bits.h"
#include "tcg/tcg.h"

enum { // host registers
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_PTR,     // R10: address under check, then the host pointer of IR_M
    H_TMP,     // R11: scratch of one operation; the record's index at an exit; the jump entry between LOOKUP and GO
    H_R12,     // guest R12
    H_T0,      // R13: IR_T0, or a second scratch where that is not live
    H_CPU,     // R14: struct cpu + TCG_BIAS
    H_GUEST_SP // R15: guest RSP
};
#define CPU_DISP(field) ((i32)offsetof(struct cpu, field) - TCG_BIAS)

// An operand as the host sees it.
enum { O_REG, O_MEM, O_IMM };
struct opnd { // two registers' worth: passed by value
    u8 kind;
    u8 reg;   // O_REG: host register; O_MEM: base
    u8 index; // O_MEM: NO_REG or index, scale 1
    u8 high;  // O_REG of size 1: AH CH DH BH (reg is RAX …)
    i32 disp;
    i64 imm;
};
enum { NO_REG = 0xff };

// Where the guest's flags are at this point of the block.
struct flags_state {
    bool known; // op is what cc_op must be; else memory holds the whole record
    bool op_stored;
    u16 op;      // CC_*, CC_CMP and CC_AND of tcg.h, CC_OVER_*
    u8 insn;     // guest instruction that set it
    u8 dst, src; // guest register, CC_IN_MEMORY, src also CC_SRC_IMM
    i32 imm;
    u16 host; // flags that the host's EFLAGS hold
};
struct stub {
    u32 at;   // of a branch's rel32
    u32 rec;  // index into out->rec: by whose exit it leaves
    u32 back; // not 0: no exit, but a call of cpu.host_flags and on there
};
// Accesses with one check, see group.c.
struct group {
    i32 lo, hi; // the bytes, from the base's value when it last changed by other than a known step
    u16 last;   // operation
    u8 members;
    bool write;
    bool kept; // its address goes to cpu.group_ptr: R10 has another one before the last member
};
enum { NO_GROUP = 0xff, GROUP_FORGET = 0xfe /* of an operation that may use R10 */, GROUPS_KEPT = 4 };
struct em {
    u8 *p, *start, *end;
    struct compile_env *e;
    const struct tb *t;
    struct tb_code *out;
    const struct ir_op *op;
    u32 i; // its index
    struct flags_state fl;
    bool code64, flat;
    bool bmi2;            // the host has it
    u8 live;              // CPU_HOST_* the block uses
    u8 x87;               // last x87 instruction that FIP and FOP do not name yet, plus 1
    bool left_insn;       // the operation left for the interpreter unconditionally
    bool remade;          // the guest instruction has put a record of its own in the place of memory's
    i32 m_disp;           // of IR_M from R10
    i32 sp;               // what guest RSP still has to be moved by
    u32 nstub, first_rec; // first_rec: of the guest instruction under way
    struct stub stubs[TB_REC_MAX];
    u32 exits;              // offset of rec[0]'s exit stub from start
    u32 load_at, load_back; // prologue's branch to the loading of XMM, and the way back
    // What call.c leaves for the cold part:
    u32 ret_at, ret_back, ret_rec; // RET that is not on the host's stack
    bool grouped;                  // else no groups
    u8 ngroups, in_ptr;            // in_ptr: the group whose range begins where R10 points
    u8 kept[GROUPS_KEPT];          // groups that are open; their addresses are in cpu.group_ptr (group.kept)
    u16 open_until;                // the last operation that counts on one of them
    struct group groups[64];
    u8 group_of[IR_MAX];    // of a MEM
    i32 group_at[IR_MAX];   // where it is in its group
    bool rec_after[IR_MAX]; // somebody may look at the record behind this operation
    u16 off[TB_MAX + 1];    // offset_of()
};

// ---- encoder (asm.c)
INLINE void put8(struct em *m, u8 v) { *m->p++ = v; }
INLINE void put32(struct em *m, u32 v)
{
    st32(m->p, v);
    m->p += 4;
}
INLINE void put64(struct em *m, u64 v)
{
    st64(m->p, v);
    m->p += 8;
}
INLINE u32 here(const struct em *m) { return (u32)(m->p - m->start); }
// An instruction with ModRM: `pfx` mandatory prefix or 0; opc 1 byte, 0Fxx or 0F38xx/0F3Axx; size as operand size:
// 1 (byte registers), 2 (66), 4, 8 (REX.W). rm is O_REG or O_MEM.
void put_rm(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm);
// The same followed by an immediate of `immbytes`.
void put_rmi(struct em *m, unsigned pfx, u32 opc, unsigned size, unsigned reg, const struct opnd *rm, i64 imm,
             unsigned immbytes);
INLINE struct opnd o_reg(unsigned r) { return (struct opnd){.kind = O_REG, .reg = (u8)r, .index = NO_REG}; }
INLINE struct opnd o_mem(unsigned base, i32 disp)
{
    return (struct opnd){.kind = O_MEM, .reg = (u8)base, .index = NO_REG, .disp = disp};
}
INLINE struct opnd o_imm(i64 v) { return (struct opnd){.kind = O_IMM, .index = NO_REG, .imm = v}; }
#define O_CPU(field) o_mem(H_CPU, CPU_DISP(field))
void put_rr(struct em *m, u32 opc, unsigned size, unsigned reg, unsigned rm); // reg field, register rm
void put_load(struct em *m, unsigned size, unsigned reg, struct opnd from);   // zero-extends sizes 1 and 2
void put_store(struct em *m, unsigned size, struct opnd to, unsigned reg);
void put_imm(struct em *m, unsigned size, unsigned reg, i64 v);                         // mov reg, imm; flags stay
void put_alu(struct em *m, unsigned kind, unsigned size, struct opnd d, struct opnd a); // one of d, a not memory
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
void put_lea(struct em *m, unsigned size, unsigned reg, unsigned base, unsigned index, unsigned scale, i32 disp);
u32 put_jcc(struct em *m, unsigned cc); // rel32 to be patched; returns its offset
u32 put_jmp(struct em *m);
u32 put_call(struct em *m);
void push_pop(struct em *m, unsigned reg, u8 opc); // 50: push, 58: pop
u32 short_jcc(struct em *m, unsigned cc);          // rel8; what short_here() wants
void short_here(struct em *m, u32 at);
void put_by_r11(struct em *m, struct opnd routine); // lea r11, [what comes behind]; jmp [routine]
void patch_here(struct em *m, u32 at);
enum { C_O, C_NO, C_B, C_AE, C_E, C_NE, C_BE, C_A, C_S, C_NS, C_P, C_NP, C_L, C_GE, C_LE, C_G };

// ---- operands
int host_of(unsigned g); // host register of a guest register, -1: in memory
struct opnd o_guest(unsigned g);
struct opnd o_of(struct em *m, unsigned operand); // any IR operand but IR_IMM, IR_NONE

// ---- flags (flags.c)
void fl_analyse(struct em *m);
INLINE bool fl_wanted(const struct em *m) { return m->rec_after[m->i]; }
// What an operation does to flags in the host's EFLAGS, and which of them it reads there.
struct fl_effect {
    u16 set, drop, reads;
    bool looks; // at more than the operation: fl_host_looks()
};
extern const struct fl_effect fl_effects[IR_COUNT];
u16 fl_host_looks(const struct ir_op *o, u16 host);
INLINE u16 fl_host_after(const struct ir_op *o, u16 host) // what of the host's EFLAGS is the guest's then
{
    const struct fl_effect *e = &fl_effects[o->op];
    host = e->set | (host & ~e->drop);
    return likely(!e->looks) ? host : fl_host_looks(o, host);
}
void fl_spare(struct em *m, unsigned g); // guest register g is about to be written: keep the record
void fl_set(struct em *m, unsigned op, unsigned dst, unsigned src, i64 imm);
void fl_store_dst(struct em *m, unsigned reg); // cc_dst = host register (zero-extended already)
void fl_store_src(struct em *m, unsigned reg);
void fl_spill(struct em *m, const struct flags_state *f); // the whole record to memory; host flags stay
void fl_to_memory(struct em *m);                          // the same, and that is where it is from now on
bool fl_spilled(const struct flags_state *f);             // it is there already
void fl_over(struct em *m, unsigned over); // CF (and OF) of the host go to cc_cf, cc_of; before: fl_over_begin
void fl_over_begin(struct em *m, unsigned over);
void fl_need(struct em *m, u16 mask); // the host's EFLAGS shall hold these; R11 is clobbered
extern const u16 fl_cond_masks[8];
INLINE u16 cond_mask(unsigned cc) { return fl_cond_masks[cc >> 1 & 7]; }

// ---- flags by routines beside the code (eflags.c)
void put_flags_thunks(struct em *m, const u8 *rx, struct host_entry *h);
void put_load_eflags(struct em *m); // the host's EFLAGS from a record CC_EFLAGS

// ---- exits (exit.c)
struct tb_rec *rec_new(struct em *m, unsigned kind);
i32 offset_of(const struct em *m, unsigned k); // of guest instruction k, from code_base
void find_offsets(struct em *m);               // before anybody asks
void exit_at(struct em *m, u32 at);            // the branch whose rel32 is at `at` is an exit REC_INSN …
void exit_if(struct em *m, unsigned cc);       // conditional exit REC_INSN for the current instruction
void exit_insn(struct em *m, bool resume);     // unconditional, in line
void insn_done(struct em *m);                  // resume points of the instruction's exits
void emit_jump(struct em *m);
void emit_jcc(struct em *m);
void emit_jrcxz(struct em *m);
void emit_lookup(struct em *m);
void emit_go(struct em *m);
void emit_prologue(struct em *m);
void patch_to_exit(struct em *m, u32 at, u32 rec); // the branch at `at` leaves by record rec
void put_exit(struct em *m, u32 rec);
void put_edge(struct em *m, struct tb_rec *r, const struct ir_op *o, u32 at); // r is that of the branch at `at`
void edge_spill(struct em *m, const struct ir_op *o);                         // before its record is made
void emit_cold(struct em *m);

// ---- CALL and RET on the host's own (call.c)
void emit_callto(struct em *m);
void emit_callgo(struct em *m);
void emit_ret(struct em *m);
void call_cold(struct em *m);
void put_ret_thunk(struct em *m, const u8 *rx, struct host_entry *h);

// ---- IRET and INT n (event.c)
void emit_iret(struct em *m);
void emit_int(struct em *m);
void put_event_thunks(struct em *m, const u8 *rx, struct host_entry *h);

// ---- memory (mem.c)
void emit_mem(struct em *m);
void emit_lea(struct em *m);
// What a row of PUSHes and POPs moves guest RSP by is added up until somebody may see it.
void sp_before(struct em *m); // the current operation
void sp_settle(struct em *m);
void emit_rep(struct em *m);                                                           // REP MOVS, REP STOS
unsigned emit_address(struct em *m, const struct ir_op *o, unsigned to, unsigned tmp); // returns the register
// ---- accesses that share a check (group.c)
void groups_find(struct em *m);
void groups_close(struct em *m);               // C has run: nothing holds any longer
bool group_has(const struct em *m);            // the current operation is a MEM that has been checked …
bool group_follows(struct em *m);              // … and IR_M is set
const struct group *group_leads(struct em *m); // it is to check for a group
void group_open(struct em *m);                 // it has: R10 points to the start
// ---- what emit.c does for others
void op_store(struct em *m, unsigned operand, unsigned reg, unsigned size); // what a 4-byte write clears it clears
void fl_record_kind(struct em *m, unsigned op); // memory has the record, and cc_op now: the interpreter's may differ
// ---- bmi.c
void emit_adx(struct em *m);
void emit_bmi(struct em *m);
void emit_bmi2(struct em *m);
// ---- system state (sys.c)
void emit_getfl(struct em *m);
void emit_putfl(struct em *m);
void emit_tsc(struct em *m);
void put_tsc_thunk(struct em *m, const u8 *rx, struct host_entry *h);
void emit_segload(struct em *m);
void put_segload_thunk(struct em *m, const u8 *rx, struct host_entry *h);
void emit_cpu(struct em *m); // CHECK LDCPU STCPU STIMM STADDR SWCPU, BITS MASK KEEP KEPT
// ---- vec.c
void emit_vec(struct em *m);
bool vec_is_pcmpstr(const struct ir_op *o); // it writes RCX
bool vec_is_ldmxcsr(const struct ir_op *o);
void vec_scan(struct em *m);     // sets live
void vec_prologue(struct em *m); // loads what the block uses, unless it is
void vec_cold(struct em *m);
void vec_pointers(struct em *m); // FIP, FCS and FOP to memory, at a jump out of the block
