// SPDX-License-Identifier: MIT
// What the MMX and SSE functions of the reference engine share: operands, checks, and the shapes of which most
// instructions are made. Every function comes in a register and a memory form (`mem` is a constant in each).
#pragma once
#include "cpu/fpu/x87.h"
#include "cpu/simd/lane.h"
#include "interp/interp.h"
#include "interp/ops.h"

// Two functions for a name from one body that sees c, i and the constant `mem`.
#define XRM(name)                                                                                                      \
    INLINE void b_##name(struct cpu *c, const struct insn *i, const bool mem);                                         \
    static void r_##name(struct cpu *c, const struct insn *i) { b_##name(c, i, false); }                               \
    static void m_##name(struct cpu *c, const struct insn *i) { b_##name(c, i, true); }                                \
    XPICK(name) { return i->is_mem ? m_##name : r_##name; }                                                            \
    INLINE void b_##name(struct cpu *c, const struct insn *i, const bool mem)

INLINE vq xmm_get(const struct cpu *c, unsigned n) { return vec_lo(&c->vec[n]); }
INLINE void xmm_set(struct cpu *c, unsigned n, vq v) { vec_set_lo(&c->vec[n], v); }

// 16 bytes of memory; align: 16 or 0 (interp/interp.h's mem_read).
INLINE vq load128(struct cpu *c, const struct insn *i, unsigned align)
{
    u64 ea = insn_ea(c, i), lin = c->seg[i->seg].base + ea;
    if (likely(ea + 15 < c->seg[i->seg].rend && !(align && (lin & 15)))) {
        const void *p = tlb_host(c->tlb->rd, lin, 16);
        if (likely(p != NULL)) return vec_load(p);
    }
    vq v;
    mem_read(c, i->seg, ea, &v, 16, align);
    return v;
}
INLINE void store128(struct cpu *c, const struct insn *i, vq v, unsigned align)
{
    u64 ea = insn_ea(c, i), lin = c->seg[i->seg].base + ea;
    if (likely(ea + 15 < c->seg[i->seg].wend && !(align && (lin & 15)))) {
        void *p = tlb_host(c->tlb->wr, lin, 16);
        if (likely(p != NULL)) {
            memcpy(p, &v, 16);
            return;
        }
    }
    mem_write(c, i->seg, ea, &v, 16, align);
}
// Second operand W by size; the shorter ones give the low lanes, and need no alignment.
INLINE vq w128(struct cpu *c, const struct insn *i, bool mem) { return mem ? load128(c, i, 16) : xmm_get(c, i->rm); }
INLINE vq w128u(struct cpu *c, const struct insn *i, bool mem) { return mem ? load128(c, i, 0) : xmm_get(c, i->rm); }
INLINE u64 w64(struct cpu *c, const struct insn *i, bool mem)
{
    return mem ? mem_load(c, i->seg, insn_ea(c, i), 8) : c->vec[i->rm].q[0];
}
INLINE u32 w32(struct cpu *c, const struct insn *i, bool mem)
{
    return mem ? (u32)mem_load(c, i->seg, insn_ea(c, i), 4) : c->vec[i->rm].d[0];
}
INLINE u64 e64(struct cpu *c, const struct insn *i, bool mem)
{
    return mem ? mem_load(c, i->seg, insn_ea(c, i), 8) : c->gpr[i->rm];
}
INLINE u32 e32(struct cpu *c, const struct insn *i, bool mem)
{
    return mem ? (u32)mem_load(c, i->seg, insn_ea(c, i), 4) : (u32)c->gpr[i->rm];
}
// Register of Gy.
INLINE void gy_set(struct cpu *c, const struct insn *i, u64 v) { c->gpr[i->reg] = i->pfx & PFX_W ? v : (u32)v; }

// A third form for flat addresses that the first-level TLB serves (as in interp/ops.h); all else goes on to the memory
// form by a tail call, before anything has been written.
#define XRMF(name)                                                                                                     \
    static void f_##name(struct cpu *c, const struct insn *i);                                                         \
    INLINE void b_##name(struct cpu *c, const struct insn *i, const bool mem);                                         \
    static void r_##name(struct cpu *c, const struct insn *i) { b_##name(c, i, false); }                               \
    static void m_##name(struct cpu *c, const struct insn *i) { b_##name(c, i, true); }                                \
    XPICK(name) { return !i->is_mem ? r_##name : ea_flat(i) ? f_##name : m_##name; }                                   \
    INLINE void b_##name(struct cpu *c, const struct insn *i, const bool mem)
#define XF_HOST(name, table, n, align)                                                                                 \
    u64 lin = flat_ea(c, i);                                                                                           \
    void *p = tlb_host(c->tlb->table, lin, n);                                                                         \
    if (unlikely(!p || ((align) && (lin & ((align)-1))))) return m_##name(c, i)

// V = f(V, W) and friends; expr sees a (V), b (W) and imm.
#define X_VW_(T, value, old, expr)                                                                                     \
    T b = value, a = old;                                                                                              \
    UNUSED u8 imm = (u8)i->imm;                                                                                        \
    (void)a;                                                                                                           \
    old = expr
#define X_VW(name, expr)                                                                                               \
    XRMF(name)                                                                                                         \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        X_VW_(vq, w128(c, i, mem), *(vq *)&c->vec[i->reg], expr);                                                      \
    }                                                                                                                  \
    static void f_##name(struct cpu *c, const struct insn *i)                                                          \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        XF_HOST(name, rd, 16, 16);                                                                                     \
        X_VW_(vq, vec_load(p), *(vq *)&c->vec[i->reg], expr);                                                          \
    }

// MMX: CR0, then a pending x87 error (SDM vol. 3 12.4). x87_mmx_enter() comes with the instruction's writes.
INLINE void mmx_begin(struct cpu *c)
{
    check_mmx(c);
    x87_check_pending(c);
}
INLINE u64 mm_get(const struct cpu *c, unsigned n) { return c->fpu.m[n]; }
INLINE u64 q64(struct cpu *c, const struct insn *i, bool mem)
{
    return mem ? mem_load(c, i->seg, insn_ea(c, i), 8) : mm_get(c, i->rm);
}
// MASKMOVQ, MASKMOVDQU: the bytes of v whose mask byte has its top bit set, at DS:rDI.
void simd_maskmov(struct cpu *c, const struct insn *i, const u8 *v, u32 mask);
