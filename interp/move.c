// SPDX-License-Identifier: MIT
// Data movement: SDM vol. 2 MOV (general and segment registers), MOVZX, MOVSX, LEA, XCHG, PUSH, POP, PUSHA, POPA,
// ENTER, LEAVE, CMOVcc, SETcc, XLAT, BSWAP, MOVBE, far pointer loads, CBW, CWD, NOPs.
#include "interp/ops.h"

// ---- MOV
#define MOV_FORMS(k, n)                                                                                                \
    FN(k##_rr##n) { wr(c, i->rm, rd(c, i->reg, n), n); }                                                               \
    FN(k##_gr##n) { wr(c, i->reg, rd(c, i->rm, n), n); }                                                               \
    FN(k##_ri##n) { wr(c, i->rm, i->imm, n); }                                                                         \
    FN_STORE(k##_mr##n, n, rd(c, i->reg, n))                                                                           \
    FN_STORE(k##_mi##n, n, cut(i->imm, n))                                                                             \
    FN_LOAD(k##_gm##n, n, wr(c, i->reg, v, n))                                                                         \
    FN(k##_ao##n) { wr(c, R_RAX, mem_load(c, i->seg, i->imm, n), n); }                                                 \
    FN(k##_oa##n) { mem_store(c, i->seg, i->imm, rd(c, R_RAX, n), n); }
MOV_FORMS(mov, 1)
SIZES(MOV_FORMS, mov)
XPICK(MOV_EbGb) { return i->is_mem ? BYTE_MEM(mov_mr1) : mov_rr1; }
XPICK(MOV_EvGv) { return i->is_mem ? BYSIZE_MEM(mov_mr) : BYSIZE(mov_rr); }
XPICK(MOV_GbEb) { return i->is_mem ? BYTE_MEM(mov_gm1) : mov_gr1; }
XPICK(MOV_GvEv) { return i->is_mem ? BYSIZE_MEM(mov_gm) : BYSIZE(mov_gr); }
XPICK(MOV_EbIb) { return i->is_mem ? BYTE_MEM(mov_mi1) : mov_ri1; }
XPICK(MOV_EvIz) { return i->is_mem ? BYSIZE_MEM(mov_mi) : BYSIZE(mov_ri); }
XPICK(MOV_ZbIb) { return mov_ri1; }
XPICK(MOV_ZvIv) { return BYSIZE(mov_ri); }
XPICK(MOV_ALOb) { return mov_ao1; }
XPICK(MOV_rAXOv) { return BYSIZE(mov_ao); }
XPICK(MOV_ObAL) { return mov_oa1; }
XPICK(MOV_OvrAX) { return BYSIZE(mov_oa); }
X(MOVNTI_MyGy)
{
    if (i->osz == 8)
        st_mem(c, i, rd(c, i->reg, 8), 8);
    else
        st_mem(c, i, rd(c, i->reg, 4), 4);
}

// ---- widening: k is MOVZX's cut or MOVSX's sext, m the source's size
#define WIDEN_FORM(k, how, m, n)                                                                                       \
    FN(k##_r##m##n) { wr(c, i->reg, (u64)how(rd(c, i->rm, m), m), n); }                                                \
    FN_LOAD(k##_m##m##n, m, wr(c, i->reg, (u64)how(v, m), n))
#define WIDEN(k, how, m) WIDEN_FORM(k, how, m, 2) WIDEN_FORM(k, how, m, 4) WIDEN_FORM(k, how, m, 8)
WIDEN(movzx, cut, 1)
WIDEN(movzx, cut, 2)
WIDEN(movsx, sext, 1)
WIDEN(movsx, sext, 2)
WIDEN_FORM(movsx, sext, 4, 8)
XPICK(MOVZX_GvEb) { return i->is_mem ? BYSIZE_MEM(movzx_m1) : BYSIZE(movzx_r1); }
XPICK(MOVZX_GvEw) { return i->is_mem ? BYSIZE_MEM(movzx_m2) : BYSIZE(movzx_r2); }
XPICK(MOVSX_GvEb) { return i->is_mem ? BYSIZE_MEM(movsx_m1) : BYSIZE(movsx_r1); }
XPICK(MOVSX_GvEw) { return i->is_mem ? BYSIZE_MEM(movsx_m2) : BYSIZE(movsx_r2); }
// MOVSXD without REX.W is a plain MOV of its operand size.
XPICK(MOVSXD_GvEd)
{
    if (i->osz == 8) return i->is_mem ? BYTE_MEM(movsx_m48) : movsx_r48;
    return i->is_mem ? BYSIZE_MEM(mov_gm) : BYSIZE(mov_gr);
}
X(CBW)
{
    if (i->osz == 2)
        wr(c, R_RAX, (u64)sext(c->gpr[R_RAX], 1), 2);
    else if (i->osz == 4)
        wr(c, R_RAX, (u64)sext(c->gpr[R_RAX], 2), 4);
    else
        wr(c, R_RAX, (u64)sext(c->gpr[R_RAX], 4), 8);
}
#define CWD_FORM(k, n)                                                                                                 \
    FN(k##n) { wr(c, R_RDX, msb(c->gpr[R_RAX], n) ? ~(u64)0 : 0, n); }
SIZES(CWD_FORM, cwd)
XPICK(CWD) { return BYSIZE(cwd); }

// ---- LEA: common shapes without the general address sum
#define LEA_FORM(k, n)                                                                                                 \
    FN(k##n) { wr(c, i->reg, insn_ea(c, i), n); }
SIZES(LEA_FORM, lea)
FN(lea_disp8) { c->gpr[i->reg] = c->gpr[i->base] + (u64)(i64)i->disp; }
XPICK(LEA_GvM)
{
    if (i->osz == 8 && i->asz == 8 && i->index == R_ZERO) return lea_disp8;
    return BYSIZE(lea);
}

// ---- XCHG
#define XCHG_FORM(k, n)                                                                                                \
    FN(k##_r##n)                                                                                                       \
    {                                                                                                                  \
        u64 a = rd(c, i->rm, n), b = rd(c, i->reg, n);                                                                 \
        wr(c, i->rm, b, n);                                                                                            \
        wr(c, i->reg, a, n);                                                                                           \
    }                                                                                                                  \
    FN(k##_m##n)                                                                                                       \
    {                                                                                                                  \
        struct rmw p;                                                                                                  \
        u64 a = rmw_load(c, i->seg, insn_ea(c, i), n, &p);                                                             \
        rmw_store(c, &p, rd(c, i->reg, n), n);                                                                         \
        wr(c, i->reg, a, n);                                                                                           \
    }
XCHG_FORM(xchg, 1)
SIZES(XCHG_FORM, xchg)
XPICK(XCHG_EbGb) { return i->is_mem ? xchg_m1 : xchg_r1; }
XPICK(XCHG_EvGv) { return i->is_mem ? BYSIZE(xchg_m) : BYSIZE(xchg_r); }
#define XCHGA_FORM(k, n)                                                                                               \
    FN(k##n)                                                                                                           \
    {                                                                                                                  \
        u64 a = rd(c, i->rm, n), b = rd(c, R_RAX, n);                                                                  \
        wr(c, i->rm, b, n);                                                                                            \
        wr(c, R_RAX, a, n);                                                                                            \
    }
SIZES(XCHGA_FORM, xchga)
XPICK(XCHG_ZvrAX) { return BYSIZE(xchga); }

// ---- nothing
FN(nop) {}
#define NOP_ROW(name)                                                                                                  \
    XPICK(name) { return nop; }
NOP_ROW(NOP)
NOP_ROW(PREFETCHW_M)
NOP_ROW(PREFETCH_M)
NOP_ROW(NOP_Ev_19)
NOP_ROW(NOP_Ev_1A)
NOP_ROW(NOP_Ev_1B)
NOP_ROW(NOP_Ev_1C)
NOP_ROW(NOP_Ev_1D)
NOP_ROW(NOP_Ev_1E)
NOP_ROW(NOP_Ev_1F)
// One instruction after the other is what fences ask for.
NOP_ROW(FENCE_L)
NOP_ROW(FENCE_M)
NOP_ROW(FENCE_S)

// ---- byte order
X(BSWAP_Zv)
{
    // With a 16-bit operand the result is undefined: zero, as processors give.
    if (i->osz == 8)
        c->gpr[i->rm] = __builtin_bswap64(c->gpr[i->rm]);
    else if (i->osz == 4)
        c->gpr[i->rm] = __builtin_bswap32((u32)c->gpr[i->rm]);
    else
        reg_set16(c, i->rm, 0);
}
INLINE u64 swap(u64 v, unsigned n) { return __builtin_bswap64(v) >> (64 - 8 * n); }
#define MOVBE_FORM(k, n)                                                                                               \
    FN(k##_gm##n) { wr(c, i->reg, swap(ld_mem(c, i, n), n), n); }                                                      \
    FN(k##_mg##n) { st_mem(c, i, swap(rd(c, i->reg, n), n), n); }
SIZES(MOVBE_FORM, movbe)
XPICK(MOVBE_GvMv) { return BYSIZE(movbe_gm); }
XPICK(MOVBE_MvGv) { return BYSIZE(movbe_mg); }
X(XLAT)
{
    u64 ea = (c->gpr[R_RBX] + (u8)c->gpr[R_RAX]) << i->ea_shift >> i->ea_shift;
    *reg8(c, R_RAX) = (u8)mem_load(c, i->seg, ea, 1);
}

// ---- conditions: one function for each of the sixteen
#define CONDITIONS(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define SETCC(cc)                                                                                                      \
    FN(setcc_r##cc) { *reg8(c, i->rm) = flags_cond(c, cc); }                                                           \
    FN(setcc_m##cc) { st_mem(c, i, flags_cond(c, cc), 1); }
CONDITIONS(SETCC)
// The source is read whatever the condition says, and a 32-bit destination is cut in either case.
#define CMOVCC(cc)                                                                                                     \
    FN(cmov_4##cc)                                                                                                     \
    {                                                                                                                  \
        u64 v = ld_e(c, i, 4);                                                                                         \
        c->gpr[i->reg] = flags_cond(c, cc) ? v : (u32)c->gpr[i->reg];                                                  \
    }                                                                                                                  \
    FN(cmov_8##cc)                                                                                                     \
    {                                                                                                                  \
        u64 v = ld_e(c, i, 8);                                                                                         \
        if (flags_cond(c, cc)) c->gpr[i->reg] = v;                                                                     \
    }                                                                                                                  \
    FN(cmov_2##cc)                                                                                                     \
    {                                                                                                                  \
        u64 v = ld_e(c, i, 2);                                                                                         \
        if (flags_cond(c, cc)) reg_set16(c, i->reg, (u16)v);                                                           \
    }
CONDITIONS(CMOVCC)
#define NAME_SETR(cc) setcc_r##cc,
#define NAME_SETM(cc) setcc_m##cc,
#define NAME_CMOV(cc) {cmov_2##cc, cmov_4##cc, cmov_8##cc},
XPICK(SETCC_Eb)
{
    static xfn *const reg[16] = {CONDITIONS(NAME_SETR)}, *const mem[16] = {CONDITIONS(NAME_SETM)};
    return (i->is_mem ? mem : reg)[i->cc & 15];
}
XPICK(CMOVCC_GvEv)
{
    static xfn *const fn[16][3] = {CONDITIONS(NAME_CMOV)};
    return fn[i->cc & 15][log2_size(i->osz) - 1];
}

// ---- PUSH, POP
#define PUSH_FORM(k, n)                                                                                                \
    FN_PUSH(push_r##n, n, rd(c, i->rm, n))                                                                             \
    FN(push_m##n) { push(c, ld_mem(c, i, n), n); }                                                                     \
    FN_PUSH(push_i##n, n, cut(i->imm, n))                                                                              \
    FN_POP(pop_r##n, n, wr(c, i->rm, v, n)) /* POP rSP: the value wins over the increment */                           \
    FN(pop_m##n)                                                                                                       \
    {                                                                                                                  \
        /* An address based on rSP uses its value after the increment. */                                              \
        u64 v = peek(c, n), old = c->gpr[R_RSP], sp = sp_add(c, n, n);                                                 \
        c->gpr[R_RSP] = sp;                                                                                            \
        u64 ea = insn_ea(c, i);                                                                                        \
        c->gpr[R_RSP] = old;                                                                                           \
        mem_store(c, i->seg, ea, v, n);                                                                                \
        c->gpr[R_RSP] = sp;                                                                                            \
    }                                                                                                                  \
    FN(leave##n)                                                                                                       \
    {                                                                                                                  \
        u64 m = sp_mask(c, n), bp = c->gpr[R_RBP] & m, v = mem_load(c, S_SS, bp, n);                                   \
        c->gpr[R_RSP] = ((bp + n) & m) | (c->gpr[R_RSP] & ~m);                                                         \
        wr(c, R_RBP, v, n);                                                                                            \
    }
SIZES(PUSH_FORM, x)
XPICK(PUSH_Zv) { return BYSIZE(push_r); }
XPICK(POP_Zv) { return BYSIZE(pop_r); }
XPICK(PUSH_Ev) { return i->is_mem ? BYSIZE(push_m) : BYSIZE(push_r); }
XPICK(POP_Ev) { return i->is_mem ? BYSIZE(pop_m) : BYSIZE(pop_r); }
XPICK(PUSH_Iz) { return BYSIZE(push_i); }
XPICK(PUSH_sIb) { return BYSIZE(push_i); }
XPICK(LEAVE) { return BYSIZE(leave); }

// Segment registers: pushed zero-extended (AMD APM vol. 3; recent Intel processors write 16 bits only).
#define PUSH_SREG(s)                                                                                                   \
    X(PUSH_##s)                                                                                                        \
    {                                                                                                                  \
        u16 sel = c->seg[S_##s].sel;                                                                                   \
        if (i->osz == 2)                                                                                               \
            push(c, sel, 2);                                                                                           \
        else if (i->osz == 4)                                                                                          \
            push(c, sel, 4);                                                                                           \
        else                                                                                                           \
            push(c, sel, 8);                                                                                           \
    }
PUSH_SREG(ES)
PUSH_SREG(CS)
PUSH_SREG(SS)
PUSH_SREG(DS)
PUSH_SREG(FS)
PUSH_SREG(GS)
// No interrupt and no debug trap until after the next instruction (SDM vol. 3 6.8.3).
INLINE void ss_shadow(struct cpu *c)
{
    c->attn |= ATTN_SHADOW;
    c->inhibit_db = true;
}
INLINE void pop_sreg(struct cpu *c, const struct insn *i, unsigned s)
{
    // The old stack's width decides where RSP goes, also for POP SS.
    u64 sel = i->osz == 2 ? peek(c, 2) : i->osz == 4 ? peek(c, 4) : peek(c, 8), sp = sp_add(c, i->osz, i->osz);
    seg_load(c, s, (u16)sel);
    c->gpr[R_RSP] = sp;
    if (s == S_SS) ss_shadow(c);
}
X(POP_ES) { pop_sreg(c, i, S_ES); }
X(POP_SS) { pop_sreg(c, i, S_SS); }
X(POP_DS) { pop_sreg(c, i, S_DS); }
X(POP_FS) { pop_sreg(c, i, S_FS); }
X(POP_GS) { pop_sreg(c, i, S_GS); }
X(MOV_EvSw)
{
    if (i->reg > S_GS) cpu_raise(c, EXC_UD);
    u16 sel = c->seg[i->reg].sel;
    if (i->is_mem)
        st_mem(c, i, sel, 2);
    else
        reg_set(c, i->rm, sel, i->osz);
}
X(MOV_SwEw)
{
    if (i->reg > S_GS || i->reg == S_CS) cpu_raise(c, EXC_UD);
    seg_load(c, i->reg, (u16)ld_e(c, i, 2));
    if (i->reg == S_SS) ss_shadow(c);
}
// Far pointers: offset first, selector behind it.
INLINE void load_far(struct cpu *c, const struct insn *i, unsigned s)
{
    u64 ea = insn_ea(c, i);
    u64 off = i->osz == 2   ? mem_load(c, i->seg, ea, 2)
              : i->osz == 4 ? mem_load(c, i->seg, ea, 4)
                            : mem_load(c, i->seg, ea, 8);
    u16 sel = (u16)mem_load(c, i->seg, ea_add(i, ea, i->osz), 2);
    seg_load(c, s, sel);
    reg_set(c, i->reg, off, i->osz);
}
X(LES_GzMp) { load_far(c, i, S_ES); }
X(LDS_GzMp) { load_far(c, i, S_DS); }
X(LSS_GvMp) { load_far(c, i, S_SS); }
X(LFS_GvMp) { load_far(c, i, S_FS); }
X(LGS_GvMp) { load_far(c, i, S_GS); }

// ---- several at once. Every slot is probed before the first is written.
INLINE void probe_push(struct cpu *c, unsigned count, unsigned n)
{
    for (unsigned k = 1; k <= count; k++) mem_probe(c, S_SS, sp_ea(c, sp_add(c, -(i64)(k * n), n), n), n, ACC_WRITE);
}
INLINE void pusha(struct cpu *c, unsigned n)
{
    probe_push(c, 8, n);
    for (unsigned r = 0; r < 8; r++) mem_store(c, S_SS, sp_ea(c, sp_add(c, -(i64)((r + 1) * n), n), n), rd(c, r, n), n);
    c->gpr[R_RSP] = sp_add(c, -(i64)(8 * n), n);
}
INLINE void popa(struct cpu *c, unsigned n)
{
    u64 v[8];
    for (unsigned r = 0; r < 8; r++) v[7 - r] = mem_load(c, S_SS, sp_ea(c, sp_add(c, r * n, n), n), n);
    u64 sp = sp_add(c, 8 * n, n);
    for (unsigned r = 0; r < 8; r++) wr(c, r, r == R_RSP ? c->gpr[R_RSP] : v[r], n);
    c->gpr[R_RSP] = sp;
}
X(PUSHA)
{
    if (i->osz == 2)
        pusha(c, 2);
    else
        pusha(c, 4);
}
X(POPA)
{
    if (i->osz == 2)
        popa(c, 2);
    else
        popa(c, 4);
}
// SDM vol. 2 ENTER. Frame pointers of the enclosing levels are copied while the new frame is pushed: both ranges are
// probed, then read and written in the manual's order, since they may overlap. The last check is a write at the new
// top.
INLINE void enter(struct cpu *c, const struct insn *i, unsigned n)
{
    u16 alloc = (u16)i->imm;
    unsigned level = (i->imm >> 32) & 31;
    u64 m = sp_mask(c, n), bp = c->gpr[R_RBP], frame = sp_add(c, -(i64)n, n);
    probe_push(c, level ? level + 1 : 1, n);
    for (unsigned k = 1; k < level; k++) mem_probe(c, S_SS, (bp - k * n) & m, n, ACC_READ);
    u64 sp = sp_add(c, -(i64)((level ? level + 1 : 1) * n) - alloc, n);
    mem_probe(c, S_SS, sp & m, n, ACC_WRITE);
    u64 at = frame;
    mem_store(c, S_SS, at & m, cut(bp, n), n);
    for (unsigned k = 1; k < level; k++) {
        u64 v = mem_load(c, S_SS, (bp - k * n) & m, n);
        at -= n;
        mem_store(c, S_SS, at & m, v, n);
    }
    if (level) mem_store(c, S_SS, (at - n) & m, cut(frame, n), n);
    wr(c, R_RBP, frame, n);
    c->gpr[R_RSP] = sp;
}
X(ENTER_IwIb)
{
    if (i->osz == 2)
        enter(c, i, 2);
    else if (i->osz == 4)
        enter(c, i, 4);
    else
        enter(c, i, 8);
}
