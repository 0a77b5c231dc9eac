// SPDX-License-Identifier: MIT
// A guest's CALL and RET as the host's own, so that the host's prediction of returns serves the guest's, and a return
// costs a comparison instead of a look-up. The host's stack holds, for each CALL that translated code has executed and
// whose RET it has not seen yet, a frame: where the host is to return to (the CALL's pad), the guest's RSP behind the
// push, and its RIP there.
//   CALL: push rip; push rsp; call target; pad: …   RET: cmp [rsp + 16], rip; jne cold; …; ret 16
// RET's comparison makes the frame right whatever the guest did in between: the pad leads to the block at that RIP, for
// as long as RIPs mean what they did (exec.c empties the stack when cpu.tlb_gen has changed, which it does with every
// block that is dropped and every change of translations) and the mode is the pad's, which it looks at itself.
// Another frame than the wanted one: guests leave calls by other ways (longjmp, task switches, a RET for a jump). Then
// host_ret, beside the exits, drops the frames of what is no longer on the guest's stack, and looks the address up.
#include "tcg/host/x64/emit.h"

enum { FRAME_RSP = 8, FRAME_RIP = 16, FRAME = 24 };
// Frames whose RSP is up to so much above the guest's may still be returned to, others are another stack's.
enum { NEAR_FRAME = 1 << 16 };
_Static_assert((int)FRAME == (int)HOST_FRAME, "exec.c's room");

// Elsewhere two CS bases may share a RIP, or the address is cut.
static bool paired(const struct em *m) { return m->flat && m->op->size != 2 && (m->e->key & MODE_SS32); }

static void push(struct em *m, unsigned reg)
{
    put8(m, 0x41);
    put8(m, 0x50 | (reg & 7));
}

// IR_T0 = the RIP that the guest has pushed.
static void put_frame(struct em *m)
{
    push(m, H_T0);
    push(m, H_GUEST_SP);
}

// Where the RET comes to: R13 = RIP. On by an edge to the next block.
static void put_pad(struct em *m, i32 off)
{
    struct opnd mode = O_CPU(jump_context);
    const struct ir_op next = {.imm = off, .insn = m->op->insn};
    put_rmi(m, 0, 0x81, 4, ALU_CMP, &mode, m->e->key & MODE_ALL, 4);
    u32 other = short_jcc(m, C_NE);
    put_lea(m, 8, H_T0, H_T0, NO_REG, 0, -off);
    put_store(m, 8, O_CPU(code_base), H_T0);
    m->fl.known = false; // the callee's record, in memory
    struct tb_rec *r = rec_new(m, REC_JUMP);
    put_edge(m, r, &next, put_jmp(m));
    short_here(m, other);
    put_store(m, 8, O_CPU(gpr[R_RIP]), H_T0);
    put_exit(m, m->out->nrec);
    rec_new(m, REC_LEAVE)->done = (u8)(m->op->insn + 1);
}

void emit_callto(struct em *m)
{
    const struct ir_op *o = m->op;
    if (!paired(m)) {
        emit_jump(m);
        return;
    }
    edge_spill(m, o);
    struct tb_rec *r = rec_new(m, REC_JUMP);
    put_frame(m);
    put_edge(m, r, o, put_call(m));
    put_pad(m, o->disp);
}

void emit_callgo(struct em *m)
{
    if (!m->flat || !(m->e->key & MODE_SS32)) return; // LOOKUP has left
    struct opnd code = o_mem(H_TMP, offsetof(struct jump_entry, code));
    put_frame(m);
    put_load(m, 8, H_T0, o_mem(H_TMP, offsetof(struct jump_entry, base)));
    put_store(m, 8, O_CPU(code_base), H_T0);
    put_rm(m, 0, 0xff, 4, 2, &code);
    put_pad(m, m->op->disp);
}

static void put_step(struct em *m, const struct ir_op *o)
{
    put_lea(m, o->asz, H_GUEST_SP, H_GUEST_SP, NO_REG, 0, o->disp);
}

void emit_ret(struct em *m)
{
    struct opnd rip = o_mem(H_RSP, FRAME_RIP);
    fl_spill(m, &m->fl);
    vec_pointers(m);
    if (!paired(m)) {
        exit_insn(m, false);
        return;
    }
    put_rm(m, 0, 0x39, 8, H_T0, &rip);
    m->ret_at = put_jcc(m, C_NE);
    m->ret_back = here(m);
    put_step(m, m->op);
    put8(m, 0xc2);
    put8(m, FRAME - 8);
    put8(m, 0);
    m->ret_rec = m->out->nrec;
    rec_new(m, REC_INSN); // to the interpreter's function, nothing done
}

enum { WAY = 5 /* bytes of a jmp rel32 */ };

static void ret_cold(struct em *m)
{
    struct opnd look = O_CPU(host_ret), code = o_mem(H_PTR, offsetof(struct jump_entry, code));
    patch_here(m, m->ret_at);
    put_by_r11(m, look);
    u32 back = put_jmp(m);
    st32(m->start + back, m->ret_back - (back + 4));
    put_exit(m, m->ret_rec);
    put_step(m, &m->e->ir.op[m->e->ir.n - 1]);
    put_load(m, 8, H_T0, o_mem(H_PTR, offsetof(struct jump_entry, base)));
    put_store(m, 8, O_CPU(code_base), H_T0);
    put_rm(m, 0, 0xff, 4, 4, &code);
}

void call_cold(struct em *m)
{
    if (m->ret_at) ret_cold(m);
}

// host_entry.stray: RIP = R13, by record 0.
static void put_stray(struct em *m, const u8 *rx, struct host_entry *h)
{
    struct opnd out = O_CPU(host_exit);
    h->stray = rx + here(m);
    put_store(m, 8, O_CPU(gpr[R_RIP]), H_T0);
    put_imm(m, 4, H_TMP, 0);
    put_rm(m, 0, 0xff, 4, 4, &out);
}

// cpu.host_ret: R13 = RIP, which the newest frame has not got; R11 = where to go on: there with the wanted frame on top
// of the stack; behind a jump there if nobody knows RIP; behind two with R10 = the jump cache's entry.
void put_ret_thunk(struct em *m, const u8 *rx, struct host_entry *h)
{
    struct opnd t = o_reg(H_PTR), way = o_reg(H_TMP), top = O_CPU(host_top), context = O_CPU(jump_context);
    struct opnd rsp = o_mem(H_RSP, FRAME_RSP), rip = o_mem(H_RSP, FRAME_RIP), target = o_reg(H_T0);
    put_stray(m, rx, h);
    h->ret = rx + here(m);
    u32 loop = here(m);
    put_rm(m, 0, 0x3b, 8, H_RSP, &top);
    u32 empty = put_jcc(m, C_AE);
    put_load(m, 8, H_PTR, rsp);
    put_rr(m, 0x2b, 8, H_PTR, H_GUEST_SP);
    u32 same = put_jcc(m, C_E);
    put_alu(m, ALU_CMP, 8, t, o_imm(NEAR_FRAME));
    u32 outer = put_jcc(m, C_B);
    put_lea(m, 8, H_RSP, H_RSP, NO_REG, 0, FRAME);
    u32 again = put_jmp(m);
    st32(m->start + again, loop - (again + 4));
    patch_here(m, same);
    put_rm(m, 0, 0x39, 8, H_T0, &rip);
    u32 other = put_jcc(m, C_NE);
    put_rm(m, 0, 0xff, 4, 4, &way);
    patch_here(m, other);
    put_lea(m, 8, H_RSP, H_RSP, NO_REG, 0, FRAME);
    patch_here(m, empty);
    patch_here(m, outer);
    // emit_lookup()'s
    put_rmi(m, 0, 0x69, 4, H_PTR, &target, (i32)JUMP_FACTOR, 4);
    put_rmi(m, 0, 0xc1, 4, 5, &t, 32 - JUMP_BITS - 5, 1);
    put_alu(m, ALU_AND, 4, t, o_imm((i64)(JUMP_SIZE - 1) << 5));
    put_lea(m, 8, H_PTR, H_CPU, H_PTR, 0, CPU_DISP(jump));
    struct opnd at = o_mem(H_PTR, offsetof(struct jump_entry, at));
    put_lea(m, 8, H_TMP, H_TMP, NO_REG, 0, WAY);
    put_rm(m, 0, 0x39, 8, H_T0, &at);
    u32 unknown = put_jcc(m, C_NE);
    put_load(m, 8, H_T0, o_mem(H_PTR, offsetof(struct jump_entry, context)));
    put_rm(m, 0, 0x3b, 8, H_T0, &context);
    u32 old = put_jcc(m, C_NE);
    put_lea(m, 8, H_TMP, H_TMP, NO_REG, 0, WAY);
    patch_here(m, unknown);
    patch_here(m, old);
    put_rm(m, 0, 0xff, 4, 4, &way);
}
