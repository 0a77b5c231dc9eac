// SPDX-License-Identifier: MIT
// SSE to SSE4.1: moves between vector registers, general registers and memory; inserts and extracts; MXCSR. SDM vol. 2;
// alignment as vol. 2 table 2-18 ff. classes 1 and 4. Cache hints (non-temporal) have no meaning here.
#include "interp/simd.h"

#define X_LOAD(name, align)                                                                                            \
    XRMF(name)                                                                                                         \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        xmm_set(c, i->reg, mem ? load128(c, i, align) : xmm_get(c, i->rm));                                            \
    }                                                                                                                  \
    static void f_##name(struct cpu *c, const struct insn *i)                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        XF_HOST(name, rd, 16, align);                                                                                  \
        xmm_set(c, i->reg, vec_load(p));                                                                               \
    }
#define X_STORE(name, align)                                                                                           \
    XRMF(name)                                                                                                         \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        vq v = xmm_get(c, i->reg);                                                                                     \
        if (mem)                                                                                                       \
            store128(c, i, v, align);                                                                                  \
        else                                                                                                           \
            xmm_set(c, i->rm, v);                                                                                      \
    }                                                                                                                  \
    static void f_##name(struct cpu *c, const struct insn *i)                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        XF_HOST(name, wr, 16, align);                                                                                  \
        vq v = xmm_get(c, i->reg);                                                                                     \
        memcpy(p, &v, 16);                                                                                             \
    }
X_LOAD(MOVUPS_VpsWps, 0)
X_LOAD(MOVUPD_VpdWpd, 0)
X_LOAD(MOVDQU_VdqWdq, 0)
X_LOAD(MOVAPS_VpsWps, 16)
X_LOAD(MOVAPD_VpdWpd, 16)
X_LOAD(MOVDQA_VdqWdq, 16)
X_LOAD(LDDQU_VdqMdq, 0)
X_LOAD(MOVNTDQA_VdqMdq, 16)
X_STORE(MOVUPS_WpsVps, 0)
X_STORE(MOVUPD_WpdVpd, 0)
X_STORE(MOVDQU_WdqVdq, 0)
X_STORE(MOVAPS_WpsVps, 16)
X_STORE(MOVAPD_WpdVpd, 16)
X_STORE(MOVDQA_WdqVdq, 16)
X_STORE(MOVNTPS_MpsVps, 16)
X_STORE(MOVNTPD_MpdVpd, 16)
X_STORE(MOVNTDQ_MdqVdq, 16)

// ---- Scalars: from memory the rest of the register becomes zero, from a register it stays.
XRM(MOVSS_VssWss)
{
    check_sse(c);
    u32 v = w32(c, i, mem);
    if (mem)
        xmm_set(c, i->reg, vec_q(v, 0));
    else
        c->vec[i->reg].d[0] = v;
}
XRM(MOVSS_WssVss)
{
    check_sse(c);
    u32 v = c->vec[i->reg].d[0];
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 4);
    else
        c->vec[i->rm].d[0] = v;
}
XRM(MOVSD_VsdWsd)
{
    check_sse(c);
    u64 v = w64(c, i, mem);
    if (mem)
        xmm_set(c, i->reg, vec_q(v, 0));
    else
        c->vec[i->reg].q[0] = v;
}
XRM(MOVSD_WsdVsd)
{
    check_sse(c);
    u64 v = c->vec[i->reg].q[0];
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 8);
    else
        c->vec[i->rm].q[0] = v;
}
XRM(MOVQ_VqWq)
{
    check_sse(c);
    xmm_set(c, i->reg, vec_q(w64(c, i, mem), 0));
}
XRM(MOVQ_WqVq)
{
    check_sse(c);
    u64 v = c->vec[i->reg].q[0];
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 8);
    else
        xmm_set(c, i->rm, vec_q(v, 0));
}
XRM(MOVD_VdqEd)
{
    check_sse(c);
    xmm_set(c, i->reg, vec_q(e32(c, i, mem), 0));
}
XRM(MOVQ_VdqEq)
{
    check_sse(c);
    xmm_set(c, i->reg, vec_q(e64(c, i, mem), 0));
}
// V.d[n] to Ed: a register is zero-extended.
INLINE void put_ed(struct cpu *c, const struct insn *i, bool mem, u32 v)
{
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 4);
    else
        c->gpr[i->rm] = v;
}
INLINE void put_eq(struct cpu *c, const struct insn *i, bool mem, u64 v)
{
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 8);
    else
        c->gpr[i->rm] = v;
}
XRM(MOVD_EdVdq)
{
    check_sse(c);
    put_ed(c, i, mem, c->vec[i->reg].d[0]);
}
XRM(MOVQ_EqVdq)
{
    check_sse(c);
    put_eq(c, i, mem, c->vec[i->reg].q[0]);
}

// ---- Halves
#define X_HALF_LOAD(name, half)                                                                                        \
    X(name)                                                                                                            \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        c->vec[i->reg].q[half] = mem_load(c, i->seg, insn_ea(c, i), 8);                                                \
    }
#define X_HALF_STORE(name, half)                                                                                       \
    X(name)                                                                                                            \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        mem_store(c, i->seg, insn_ea(c, i), c->vec[i->reg].q[half], 8);                                                \
    }
X_HALF_LOAD(MOVLPS_VqMq, 0)
X_HALF_LOAD(MOVLPD_VqMq, 0)
X_HALF_LOAD(MOVHPS_VqMq, 1)
X_HALF_LOAD(MOVHPD_VqMq, 1)
X_HALF_STORE(MOVLPS_MqVq, 0)
X_HALF_STORE(MOVLPD_MqVq, 0)
X_HALF_STORE(MOVHPS_MqVq, 1)
X_HALF_STORE(MOVHPD_MqVq, 1)
X(MOVHLPS_VqUq)
{
    check_sse(c);
    c->vec[i->reg].q[0] = c->vec[i->rm].q[1];
}
X(MOVLHPS_VqUq)
{
    check_sse(c);
    c->vec[i->reg].q[1] = c->vec[i->rm].q[0];
}
X_VW(MOVSLDUP_VpsWps, k_pshufd(b, 0xA0))
X_VW(MOVSHDUP_VpsWps, k_pshufd(b, 0xF5))
XRM(MOVDDUP_VpdWq)
{
    check_sse(c);
    u64 v = w64(c, i, mem);
    xmm_set(c, i->reg, vec_q(v, v));
}

// ---- Sign masks, byte-masked store
X(MOVMSKPS_GdUps)
{
    check_sse(c);
    c->gpr[i->reg] = k_movmskps(xmm_get(c, i->rm));
}
X(MOVMSKPD_GdUpd)
{
    check_sse(c);
    c->gpr[i->reg] = k_movmskpd(xmm_get(c, i->rm));
}
X(PMOVMSKB_GdUdq)
{
    check_sse(c);
    c->gpr[i->reg] = k_pmovmskb(xmm_get(c, i->rm));
}
void simd_maskmov(struct cpu *c, const struct insn *i, const u8 *v, u32 mask)
{
    if (!mask) return; // faults are then implementation-specific: none
    unsigned seg = i->pfx & PFX_SEG ? i->seg : S_DS;
    unsigned first = (unsigned)__builtin_ctz(mask), last = 31u - (unsigned)__builtin_clz(mask);
    u64 ea = c->gpr[R_RDI];
#define BYTE_EA(n) ((ea + (n)) << i->ea_shift >> i->ea_shift)
    if (BYTE_EA(first) <= BYTE_EA(last)) {
        mem_probe(c, seg, BYTE_EA(first), last - first + 1, ACC_WRITE);
    } else { // wraps at the address size
        mem_probe(c, seg, BYTE_EA(first), 1, ACC_WRITE);
        mem_probe(c, seg, BYTE_EA(last), 1, ACC_WRITE);
    }
    for (unsigned n = first; n <= last; n++)
        if (mask >> n & 1) mem_store(c, seg, BYTE_EA(n), v[n], 1);
#undef BYTE_EA
}
X(MASKMOVDQU_VdqUdq)
{
    check_sse(c);
    simd_maskmov(c, i, c->vec[i->reg].b, k_pmovmskb(xmm_get(c, i->rm)));
}

// ---- Between MMX and XMM
X(MOVQ2DQ_VdqNq)
{
    check_sse(c);
    mmx_begin(c);
    x87_mmx_enter(c);
    xmm_set(c, i->reg, vec_q(mm_get(c, i->rm), 0));
}
X(MOVDQ2Q_PqUq)
{
    check_sse(c);
    mmx_begin(c);
    x87_mmx_enter(c);
    x87_mmx_write(c, i->reg, c->vec[i->rm].q[0]);
}

// ---- Inserts and extracts
XRM(PINSRW_VdqEwIb)
{
    check_sse(c);
    c->vec[i->reg].w[i->imm & 7] = mem ? (u16)mem_load(c, i->seg, insn_ea(c, i), 2) : (u16)c->gpr[i->rm];
}
XRM(PINSRB_VdqEbIb)
{
    check_sse(c);
    c->vec[i->reg].b[i->imm & 15] = mem ? (u8)mem_load(c, i->seg, insn_ea(c, i), 1) : (u8)c->gpr[i->rm];
}
XRM(PINSRD_VdqEdIb)
{
    check_sse(c);
    c->vec[i->reg].d[i->imm & 3] = e32(c, i, mem);
}
XRM(PINSRQ_VdqEqIb)
{
    check_sse(c);
    c->vec[i->reg].q[i->imm & 1] = e64(c, i, mem);
}
XRM(INSERTPS_VdqWdIb)
{
    check_sse(c);
    u32 v = mem ? w32(c, i, true) : c->vec[i->rm].d[i->imm >> 6 & 3];
    xmm_set(c, i->reg, k_insertps(xmm_get(c, i->reg), v, (u8)i->imm));
}
X(PEXTRW_GdUdqIb)
{
    check_sse(c);
    c->gpr[i->reg] = c->vec[i->rm].w[i->imm & 7];
}
// To a register bytes and words are zero-extended to its whole width.
XRM(PEXTRB_EbVdqIb)
{
    check_sse(c);
    u8 v = c->vec[i->reg].b[i->imm & 15];
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 1);
    else
        c->gpr[i->rm] = v;
}
XRM(PEXTRW_EwVdqIb)
{
    check_sse(c);
    u16 v = c->vec[i->reg].w[i->imm & 7];
    if (mem)
        mem_store(c, i->seg, insn_ea(c, i), v, 2);
    else
        c->gpr[i->rm] = v;
}
XRM(PEXTRD_EdVdqIb)
{
    check_sse(c);
    put_ed(c, i, mem, c->vec[i->reg].d[i->imm & 3]);
}
XRM(PEXTRQ_EqVdqIb)
{
    check_sse(c);
    put_eq(c, i, mem, c->vec[i->reg].q[i->imm & 1]);
}
XRM(EXTRACTPS_EdVdqIb)
{
    check_sse(c);
    put_ed(c, i, mem, c->vec[i->reg].d[i->imm & 3]);
}

// ---- MXCSR
X(LDMXCSR_Md)
{
    check_sse(c);
    u32 v = (u32)mem_load(c, i->seg, insn_ea(c, i), 4);
    if (v & 0xffff0000) cpu_raise_err(c, EXC_GP, 0); // reserved bits; MXCSR_MASK is FFFF
    cpu_set_mxcsr(c, v);
}
X(STMXCSR_Md)
{
    check_sse(c);
    mem_store(c, i->seg, insn_ea(c, i), c->mxcsr, 4);
}
