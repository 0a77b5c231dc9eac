// SPDX-License-Identifier: MIT
// Control transfer: SDM vol. 2 Jcc, JMP, CALL, RET, LOOP, JCXZ, INT n, IRET, BOUND, UD. Far transfers are cpu/far.c,
// delivery of interrupts cpu/int.c. The target is checked before anything is written.
#include "interp/ops.h"

u64 jump_refused(struct cpu *c, u64 rip, unsigned n)
{
    u64 old = c->gpr[R_RIP];
    seg_set_ip(c, rip, n); // has the last word, and raises
    rip = c->gpr[R_RIP];
    c->gpr[R_RIP] = old;
    return rip;
}
INLINE void jump_to(struct cpu *c, u64 rip, unsigned n) { c->gpr[R_RIP] = jump_check(c, rip, n); }

// ---- Near transfers need no exact RIP: what follows them lies i->disp beyond it (i->imm where a memory operand has
// the displacement), 0 unless an engine keeps RIP elsewhere. Their slow parts return to it.
INLINE u64 rip_next(const struct cpu *c, const struct insn *i) { return c->gpr[R_RIP] + (u64)(i64)i->disp; }

// ---- Jcc: one function a condition and operand size; what is neither a plain comparison nor inside the segment goes
// on in one that knows only the size.
INLINE void jcc_slow(struct cpu *c, const struct insn *i, unsigned n)
{
    u64 next = rip_next(c, i);
    if (flags_cond_slow(c, i->cc))
        jump_to(c, next + i->imm, n);
    else
        c->gpr[R_RIP] = next;
}
#define JCC_SLOW(k, n)                                                                                                 \
    COLD FN_PLAIN(jcc_slow##n) { jcc_slow(c, i, n); }
SIZES(JCC_SLOW, x)
#define CONDITIONS(f, n)                                                                                               \
    f(0, n) f(1, n) f(2, n) f(3, n) f(4, n) f(5, n) f(6, n) f(7, n) f(8, n) f(9, n) f(10, n) f(11, n) f(12, n)         \
        f(13, n) f(14, n) f(15, n)
#define JCC(cc, n)                                                                                                     \
    FN_PLAIN(jcc_##cc##_##n)                                                                                           \
    {                                                                                                                  \
        bool slow = false, taken = flags_cond_fast(c, cc, &slow);                                                      \
        if (unlikely(slow)) return jcc_slow##n(c, i);                                                                  \
        u64 rip = rip_next(c, i);                                                                                      \
        if (taken) {                                                                                                   \
            rip = cut(rip + i->imm, n);                                                                                \
            if (unlikely(!jump_ok(c, rip, n))) return jcc_slow##n(c, i);                                               \
        }                                                                                                              \
        c->gpr[R_RIP] = rip;                                                                                           \
        insn_next(c, i);                                                                                               \
    }
CONDITIONS(JCC, 2)
CONDITIONS(JCC, 4)
CONDITIONS(JCC, 8)
#define NAME_JCC(cc, n) jcc_##cc##_##n,
XPICK(JCC_Jz)
{
    static xfn *const fn[3][16] = {{CONDITIONS(NAME_JCC, 2)}, {CONDITIONS(NAME_JCC, 4)}, {CONDITIONS(NAME_JCC, 8)}};
    return fn[log2_size(i->osz) - 1][i->cc & 15];
}
XALIAS(JCC_Jb, JCC_Jz)

// ---- JMP, CALL, RET
#define JUMP_FORMS(k, n)                                                                                               \
    COLD static void jump_slow##n(struct cpu *c, u64 rip) { jump_to(c, rip, n); }                                      \
    COLD static void call_slow##n(struct cpu *c, u64 rip, u64 next)                                                    \
    {                                                                                                                  \
        rip = jump_check(c, rip, n);                                                                                   \
        push(c, cut(next, n), n);                                                                                      \
        c->gpr[R_RIP] = rip;                                                                                           \
    }                                                                                                                  \
    INLINE void jump_fast##n(struct cpu *c, const struct insn *i, u64 rip)                                             \
    {                                                                                                                  \
        rip = cut(rip, n);                                                                                             \
        if (unlikely(!jump_ok(c, rip, n))) return jump_slow##n(c, rip);                                                \
        c->gpr[R_RIP] = rip;                                                                                           \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    INLINE void call_fast##n(struct cpu *c, const struct insn *i, u64 rip, u64 next)                                   \
    {                                                                                                                  \
        rip = cut(rip, n);                                                                                             \
        u64 sp = sp_add(c, -(i64)n, n);                                                                                \
        void *p = stack_host_wr(c, sp, n);                                                                             \
        if (unlikely(!p || !jump_ok(c, rip, n))) return call_slow##n(c, rip, next);                                    \
        st_size(p, next, n);                                                                                           \
        c->gpr[R_RSP] = sp;                                                                                            \
        c->gpr[R_RIP] = rip;                                                                                           \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    FN_PLAIN(jmp_j##n) { jump_fast##n(c, i, rip_next(c, i) + i->imm); }                                                \
    FN_PLAIN(jmp_r##n) { jump_fast##n(c, i, c->gpr[i->rm]); }                                                          \
    FN_PLAIN(call_j##n) { call_fast##n(c, i, rip_next(c, i) + i->imm, rip_next(c, i)); }                               \
    FN_PLAIN(call_r##n) { call_fast##n(c, i, c->gpr[i->rm], c->gpr[R_RIP] + i->imm); }                                 \
    COLD FN_PLAIN(jmp_m_slow##n) { jump_to(c, ld_mem(c, i, n), n); }                                                   \
    COLD FN_PLAIN(call_m_slow##n) { call_slow##n(c, ld_mem(c, i, n), c->gpr[R_RIP] + i->imm); }                        \
    FN_PLAIN(jmp_m##n)                                                                                                 \
    {                                                                                                                  \
        void *p = access_host_rd(c, i->seg, insn_ea(c, i), n);                                                         \
        if (unlikely(!p)) return jmp_m_slow##n(c, i);                                                                  \
        jump_fast##n(c, i, ld_size(p, n));                                                                             \
    }                                                                                                                  \
    FN_PLAIN(call_m##n)                                                                                                \
    {                                                                                                                  \
        void *p = access_host_rd(c, i->seg, insn_ea(c, i), n);                                                         \
        if (unlikely(!p)) return call_m_slow##n(c, i);                                                                 \
        call_fast##n(c, i, ld_size(p, n), c->gpr[R_RIP] + i->imm);                                                     \
    }                                                                                                                  \
    COLD static void ret_slow##n(struct cpu *c, unsigned bytes)                                                        \
    {                                                                                                                  \
        u64 rip = jump_check(c, peek(c, n), n);                                                                        \
        c->gpr[R_RSP] = sp_add(c, n + bytes, n);                                                                       \
        c->gpr[R_RIP] = rip;                                                                                           \
    }                                                                                                                  \
    INLINE void ret_fast##n(struct cpu *c, const struct insn *i, unsigned bytes)                                       \
    {                                                                                                                  \
        void *p = stack_host_rd(c, c->gpr[R_RSP], n);                                                                  \
        if (unlikely(!p)) return ret_slow##n(c, bytes);                                                                \
        u64 rip = ld_size(p, n);                                                                                       \
        if (unlikely(!jump_ok(c, rip, n))) return ret_slow##n(c, bytes);                                               \
        c->gpr[R_RSP] = sp_add(c, n + bytes, n);                                                                       \
        c->gpr[R_RIP] = rip;                                                                                           \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    FN_PLAIN(ret_##n) { ret_fast##n(c, i, 0); }                                                                        \
    FN_PLAIN(ret_i##n) { ret_fast##n(c, i, (u16)i->imm); }
SIZES(JUMP_FORMS, x)
XPICK(JMP_Jz) { return BYSIZE(jmp_j); }
XPICK(JMP_Jb) { return BYSIZE(jmp_j); }
XPICK(JMP_Ev) { return i->is_mem ? BYSIZE(jmp_m) : BYSIZE(jmp_r); }
XPICK(CALL_Jz) { return BYSIZE(call_j); }
XPICK(CALL_Ev) { return i->is_mem ? BYSIZE(call_m) : BYSIZE(call_r); }
XPICK(RET) { return BYSIZE(ret_); }
XPICK(RET_Iw) { return BYSIZE(ret_i); }

// ---- loops: the counter is CX, ECX or RCX by address size
INLINE u64 counter(const struct cpu *c, const struct insn *i) { return c->gpr[R_RCX] << i->ea_shift >> i->ea_shift; }
INLINE void loop_if(struct cpu *c, const struct insn *i, bool cond)
{
    u64 n = ea_add(i, counter(c, i), ~(u64)0), rip = c->gpr[R_RIP];
    if (n && cond) rip = jump_check(c, i->osz == 8 ? rip + i->imm : cut(rip + i->imm, i->osz), i->osz == 8 ? 8 : 4);
    reg_set(c, R_RCX, n, i->asz);
    c->gpr[R_RIP] = rip;
}
X(LOOP_Jb) { loop_if(c, i, true); }
X(LOOPE_Jb) { loop_if(c, i, flags_cond(c, 4)); }
X(LOOPNE_Jb) { loop_if(c, i, flags_cond(c, 5)); }
X(JCXZ_Jb)
{
    if (counter(c, i)) return;
    u64 rip = c->gpr[R_RIP] + i->imm;
    if (i->osz == 8)
        jump_to(c, rip, 8);
    else
        jump_to(c, cut(rip, i->osz), 4);
}

// ---- far transfers
X(JMP_Ap) { far_jmp(c, (u16)(i->imm >> 32), (u32)i->imm, i->osz); }
X(CALL_Ap) { far_call(c, (u16)(i->imm >> 32), (u32)i->imm, i->osz); }
INLINE u16 far_pointer(struct cpu *c, const struct insn *i, u64 *off)
{
    u64 ea = insn_ea(c, i);
    *off = i->osz == 2   ? mem_load(c, i->seg, ea, 2)
           : i->osz == 4 ? mem_load(c, i->seg, ea, 4)
                         : mem_load(c, i->seg, ea, 8);
    return (u16)mem_load(c, i->seg, ea_add(i, ea, i->osz), 2);
}
X(JMP_Mp)
{
    u64 off;
    u16 sel = far_pointer(c, i, &off);
    far_jmp(c, sel, off, i->osz);
}
X(CALL_Mp)
{
    u64 off;
    u16 sel = far_pointer(c, i, &off);
    far_call(c, sel, off, i->osz);
}
X(RETF) { far_ret(c, i->osz, 0); }
X(RETF_Iw) { far_ret(c, i->osz, (u16)i->imm); }
X(IRET) { far_iret(c, i->osz); }
X(INT_Ib) { int_soft(c, (u8)i->imm, INT_SOFT); }
X(INT3) { int_soft(c, EXC_BP, INT_INT3); }
X(INT1) { int_soft(c, EXC_DB, INT_ICEBP); }
X(INTO)
{
    if (flags_cond(c, 0)) int_soft(c, EXC_OF, INT_INT3);
}
X(BOUND_GvMa)
{
    u64 ea = insn_ea(c, i);
    i64 v, lo, hi;
    if (i->osz == 2) {
        v = sext(c->gpr[i->reg], 2);
        lo = sext(mem_load(c, i->seg, ea, 2), 2);
        hi = sext(mem_load(c, i->seg, ea_add(i, ea, 2), 2), 2);
    } else {
        v = sext(c->gpr[i->reg], 4);
        lo = sext(mem_load(c, i->seg, ea, 4), 4);
        hi = sext(mem_load(c, i->seg, ea_add(i, ea, 4), 4), 4);
    }
    if (v < lo || v > hi) cpu_raise(c, EXC_BR);
}
X(UD2) { cpu_raise(c, EXC_UD); }
X(UD1_GvEv) { cpu_raise(c, EXC_UD); }
X(UD0_GvEv) { cpu_raise(c, EXC_UD); }
// There is no SMM: RSM outside of it is #UD.
X(RSM) { cpu_raise(c, EXC_UD); }
