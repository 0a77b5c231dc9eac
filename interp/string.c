// SPDX-License-Identifier: MIT
// String instructions: SDM vol. 2 MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, REP. Registers change element by element (or
// by runs of elements that cannot fault, cpu/string.c), so a fault or an interrupt leaves a state to resume from. The
// flags of a repeated CMPS or SCAS are written once, at its end (SDM: a fault leaves EFLAGS as before the instruction).
// The source may be overridden, the destination is ES. An REP counts as one retired instruction.
#include "cpu/string.h"
#include "interp/ops.h"

// How far an REP gets before it makes room hangs on the number of its elements alone: not on which of them were moved
// in bulk, which an engine's marks on pages of code decide too.
enum {
    REP_BULK = 4096, // bytes between two looks at what asks for attention; a bulk step ends there at the latest
    REP_TURN =
        256 * 1024,  // … after which the machine looks at its clock: an REP of any length counts as one instruction
    REP_ELEMENT = 16 // what an element weighs of those that are never moved in bulk, in bytes
};

INLINE i64 step_of(const struct cpu *c, unsigned n) { return c->eflags & FL_DF ? -(i64)n : (i64)n; }
INLINE u64 mask_of(const struct insn *i) { return ~(u64)0 >> i->ea_shift; }
INLINE u64 index_of(const struct cpu *c, const struct insn *i, unsigned r) { return c->gpr[r] & mask_of(i); }
INLINE void move_index(struct cpu *c, const struct insn *i, unsigned r, i64 d)
{
    reg_set(c, r, (c->gpr[r] + (u64)d) & mask_of(i), i->asz);
}
INLINE bool rep(const struct insn *i) { return i->pfx & (PFX_REP | PFX_REPNE); }
// After `done` elements of an REP, n bytes each: true if the instruction has to make room for an event and come back.
// Stores into code (ATTN_CODE) are none: what has been decoded or translated of it decides when they show, and no
// engine's cache may decide how far an REP that overwrites itself gets.
INLINE bool rep_yield(struct cpu *c, const struct insn *i, u64 done, unsigned n, u64 *work)
{
    u64 before = *work;
    *work += done * n;
    bool trap = (c->attn & ATTN_TRAP) || (c->eflags & FL_TF);
    if (likely(!trap)) {
        if (before / REP_BULK == *work / REP_BULK) return false;
        if (*work >= REP_TURN) c->attn |= ATTN_EXIT;
        if (!(c->attn & cpu_attn_mask(c) & ~(u32)ATTN_CODE)) return false;
    }
    c->gpr[R_RIP] -= i->len;
    if (!cpu_code64(c)) c->gpr[R_RIP] = (u32)c->gpr[R_RIP];
    c->attn |= ATTN_CODE;
    c->rep_pending = c->rep_middle = true;
    return true;
}
// Element by element where each step of an REP shall be seen, else up to the next look.
INLINE u64 chunk(const struct cpu *c, u64 count, unsigned n, u64 work)
{
    return c->eflags & FL_TF ? 1 : min_u64(count, (REP_BULK - work % REP_BULK) / n);
}
INLINE struct str str_of(const struct cpu *c, const struct insn *i, unsigned n, u64 count, u64 work)
{
    return (struct str){.size = n,
                        .down = c->eflags & FL_DF,
                        .mask = mask_of(i),
                        .count = chunk(c, count, n, work),
                        .seg = i->seg,
                        .si = index_of(c, i, R_RSI),
                        .di = index_of(c, i, R_RDI)};
}
INLINE void count_down(struct cpu *c, const struct insn *i, u64 done)
{
    reg_set(c, R_RCX, (c->gpr[R_RCX] - done) & mask_of(i), i->asz);
}

// ---- MOVS, STOS, LODS
INLINE void movs(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 v = mem_load(c, i->seg, index_of(c, i, R_RSI), n);
    mem_store(c, S_ES, index_of(c, i, R_RDI), v, n);
    move_index(c, i, R_RSI, step_of(c, n));
    move_index(c, i, R_RDI, step_of(c, n));
}
INLINE void rep_movs(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 work = 0, count;
    while ((count = index_of(c, i, R_RCX))) {
        struct str s = str_of(c, i, n, count, work);
        u64 done = string_movs(c, &s);
        if (done) {
            move_index(c, i, R_RSI, (i64)done * step_of(c, n));
            move_index(c, i, R_RDI, (i64)done * step_of(c, n));
        } else {
            movs(c, i, n);
            done = 1;
        }
        count_down(c, i, done);
        if (done < count && rep_yield(c, i, done, n, &work)) return;
    }
}
INLINE void stos(struct cpu *c, const struct insn *i, unsigned n)
{
    mem_store(c, S_ES, index_of(c, i, R_RDI), rd(c, R_RAX, n), n);
    move_index(c, i, R_RDI, step_of(c, n));
}
INLINE void rep_stos(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 work = 0, count;
    while ((count = index_of(c, i, R_RCX))) {
        struct str s = str_of(c, i, n, count, work);
        u64 done = string_stos(c, &s, rd(c, R_RAX, n));
        if (done) {
            move_index(c, i, R_RDI, (i64)done * step_of(c, n));
        } else {
            stos(c, i, n);
            done = 1;
        }
        count_down(c, i, done);
        if (done < count && rep_yield(c, i, done, n, &work)) return;
    }
}
INLINE void lods(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 v = mem_load(c, i->seg, index_of(c, i, R_RSI), n);
    move_index(c, i, R_RSI, step_of(c, n));
    wr(c, R_RAX, v, n);
}
INLINE void rep_lods(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 work = 0, count;
    while ((count = index_of(c, i, R_RCX))) {
        lods(c, i, n);
        count_down(c, i, 1);
        if (count > 1 && rep_yield(c, i, 1, REP_ELEMENT, &work)) return;
    }
}

// ---- SCAS, CMPS
INLINE void set_compare(struct cpu *c, u64 a, u64 b, unsigned n)
{
    flags_record(c, CC_SUB, log2_size(n), cut(a - b, n), b);
}
INLINE void scas(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 v = mem_load(c, S_ES, index_of(c, i, R_RDI), n);
    move_index(c, i, R_RDI, step_of(c, n));
    set_compare(c, rd(c, R_RAX, n), v, n);
}
INLINE void rep_scas(struct cpu *c, const struct insn *i, unsigned n)
{
    bool want = i->pfx & PFX_REPNE; // REPNE ends with the first that is equal
    u64 work = 0, count, acc = rd(c, R_RAX, n), v;
    while ((count = index_of(c, i, R_RCX))) {
        struct str s = str_of(c, i, n, count, work);
        u64 done = string_scas(c, &s, acc, want, &v);
        if (!done) {
            v = mem_load(c, S_ES, s.di, n);
            done = 1;
        }
        move_index(c, i, R_RDI, (i64)done * step_of(c, n));
        count_down(c, i, done);
        if (done == count || (acc == v) == want) {
            set_compare(c, acc, v, n);
            return;
        }
        if (rep_yield(c, i, done, n, &work)) return;
    }
}
INLINE void cmps(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 a = mem_load(c, i->seg, index_of(c, i, R_RSI), n), b = mem_load(c, S_ES, index_of(c, i, R_RDI), n);
    move_index(c, i, R_RSI, step_of(c, n));
    move_index(c, i, R_RDI, step_of(c, n));
    set_compare(c, a, b, n);
}
INLINE void rep_cmps(struct cpu *c, const struct insn *i, unsigned n)
{
    bool want = i->pfx & PFX_REPNE;
    u64 work = 0, count, a, b;
    while ((count = index_of(c, i, R_RCX))) {
        struct str s = str_of(c, i, n, count, work);
        u64 done = string_cmps(c, &s, want, &a, &b);
        if (!done) {
            a = mem_load(c, i->seg, s.si, n);
            b = mem_load(c, S_ES, s.di, n);
            done = 1;
        }
        move_index(c, i, R_RSI, (i64)done * step_of(c, n));
        move_index(c, i, R_RDI, (i64)done * step_of(c, n));
        count_down(c, i, done);
        if (done == count || (a == b) == want) {
            set_compare(c, a, b, n);
            return;
        }
        if (rep_yield(c, i, done, n, &work)) return;
    }
}

// ---- INS, OUTS: the port's permission first, then memory, then the port itself, which has effects
INLINE void check_port(struct cpu *c, unsigned n)
{
    if (!cpu_real(c) && ((c->eflags & FL_VM) || c->cpl > (c->eflags & FL_IOPL) >> 12) &&
        !task_io_permitted(c, (u16)c->gpr[R_RDX], n))
        cpu_raise_err(c, EXC_GP, 0);
}
INLINE void ins(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 ea = index_of(c, i, R_RDI);
    check_port(c, n);
    mem_probe(c, S_ES, ea, n, ACC_WRITE);
    u32 v = sys_io_in(c, (u16)c->gpr[R_RDX], n);
    mem_store(c, S_ES, ea, v, n);
    move_index(c, i, R_RDI, step_of(c, n));
}
INLINE void rep_ins(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 work = 0, count;
    check_port(c, n); // with a count of 0 too, as processors have it
    while ((count = index_of(c, i, R_RCX))) {
        ins(c, i, n);
        count_down(c, i, 1);
        if (count > 1 && rep_yield(c, i, 1, REP_ELEMENT, &work)) return;
    }
}
INLINE void outs(struct cpu *c, const struct insn *i, unsigned n)
{
    check_port(c, n);
    u32 v = (u32)mem_load(c, i->seg, index_of(c, i, R_RSI), n);
    sys_io_out(c, (u16)c->gpr[R_RDX], v, n);
    move_index(c, i, R_RSI, step_of(c, n));
}
INLINE void rep_outs(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 work = 0, count;
    check_port(c, n); // with a count of 0 too, as processors have it
    while ((count = index_of(c, i, R_RCX))) {
        outs(c, i, n);
        count_down(c, i, 1);
        if (count > 1 && rep_yield(c, i, 1, REP_ELEMENT, &work)) return;
    }
}

#define STRING_FORMS(k, n)                                                                                             \
    FN(k##_##n) { k(c, i, n); }                                                                                        \
    FN(k##_rep_##n) { rep_##k(c, i, n); }
#define STRING(k, byte_row, row)                                                                                       \
    STRING_FORMS(k, 1)                                                                                                 \
    SIZES(STRING_FORMS, k)                                                                                             \
    XPICK(byte_row) { return rep(i) ? k##_rep_1 : k##_1; }                                                             \
    XPICK(row) { return rep(i) ? BYSIZE(k##_rep_) : BYSIZE(k##_); }
STRING(movs, MOVS_YbXb, MOVS_YvXv)
STRING(stos, STOS_YbAL, STOS_YvrAX)
STRING(lods, LODS_ALXb, LODS_rAXXv)
STRING(scas, SCAS_ALYb, SCAS_rAXYv)
STRING(cmps, CMPS_XbYb, CMPS_XvYv)
#define PORT_STRING(k, byte_row, row)                                                                                  \
    STRING_FORMS(k, 1)                                                                                                 \
    STRING_FORMS(k, 2)                                                                                                 \
    STRING_FORMS(k, 4)                                                                                                 \
    XPICK(byte_row) { return rep(i) ? k##_rep_1 : k##_1; }                                                             \
    XPICK(row) { return rep(i) ? (i->osz == 2 ? k##_rep_2 : k##_rep_4) : i->osz == 2 ? k##_2 : k##_4; }
PORT_STRING(ins, INS_YbDX, INS_YzDX)
PORT_STRING(outs, OUTS_DXXb, OUTS_DXXz)
