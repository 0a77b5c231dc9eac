// SPDX-License-Identifier: MIT
// What the interpreter's functions share: registers, operands, stack and jumps, where the operand size n (1, 2, 4, 8)
// is a constant at each call.
#pragma once
#include "cpu/seg.h"
#include "interp/interp.h"

// A function that goes on to the next instruction by itself (insn_next): FN(name) { … } may return early.
#define FN(name)                                                                                                       \
    INLINE void name##_do(struct cpu *c, const struct insn *i);                                                        \
    static void name(struct cpu *c, const struct insn *i)                                                              \
    {                                                                                                                  \
        name##_do(c, i);                                                                                               \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    INLINE void name##_do(struct cpu *c, const struct insn *i)
#define FN_PLAIN(name) static void name(struct cpu *c, const struct insn *i)
// The function of fn2, fn4, fn8 for the instruction's operand size.
#define BYSIZE(fn)      (i->osz == 2 ? fn##2 : i->osz == 4 ? fn##4 : fn##8)
#define SIZES(fn, name) fn(name, 2) fn(name, 4) fn(name, 8)

INLINE unsigned log2_size(unsigned n) { return n == 1 ? 0 : n == 2 ? 1 : n == 4 ? 2 : 3; }
INLINE u64 cut(u64 v, unsigned n) { return n == 1 ? (u8)v : n == 2 ? (u16)v : n == 4 ? (u32)v : v; }
INLINE i64 sext(u64 v, unsigned n) { return n == 1 ? (i8)v : n == 2 ? (i16)v : n == 4 ? (i32)v : (i64)v; }
INLINE bool msb(u64 v, unsigned n) { return v >> (8 * n - 1) & 1; }
INLINE u64 rd(struct cpu *c, unsigned r, unsigned n) { return n == 1 ? *reg8(c, r) : cut(c->gpr[r], n); }
INLINE void wr(struct cpu *c, unsigned r, u64 v, unsigned n)
{
    if (n == 1)
        *reg8(c, r) = (u8)v;
    else if (n == 2)
        reg_set16(c, r, (u16)v);
    else
        c->gpr[r] = n == 4 ? (u32)v : v;
}
INLINE u64 ld_mem(struct cpu *c, const struct insn *i, unsigned n) { return mem_load(c, i->seg, insn_ea(c, i), n); }
INLINE void st_mem(struct cpu *c, const struct insn *i, u64 v, unsigned n)
{
    mem_store(c, i->seg, insn_ea(c, i), v, n);
}

// ---- functions with one memory operand come three times: NAME for what the first-level TLB serves, where nothing is
// called and so nothing has to be saved; NAME_f the same for flat addresses (64-bit code and address size, a segment
// whose base and limit do not count); NAME_slow for everything else, which both reach by a tail call and which returns
// to the engine, so that no run of functions is without an end to its stack.
#define COLD __attribute__((noinline, cold))
INLINE bool ea_flat(const struct insn *i) { return i->asz == 8 && i->seg <= S_DS; }
INLINE u64 flat_ea(const struct cpu *c, const struct insn *i)
{
    return c->gpr[i->base] + (c->gpr[i->index] << i->scale) + (u64)(i64)i->disp;
}
#define BYSIZE_F(fn)   (i->osz == 2 ? fn##2_f : i->osz == 4 ? fn##4_f : fn##8_f)
#define BYSIZE_MEM(fn) (ea_flat(i) ? BYSIZE_F(fn) : BYSIZE(fn))
#define BYTE_MEM(fn)   (ea_flat(i) ? fn##_f : fn)
// v is the value of the memory operand.
#define FN_LOAD(name, n, ...)                                                                                          \
    COLD FN_PLAIN(name##_slow)                                                                                         \
    {                                                                                                                  \
        u64 v = access_load_slow(c, i->seg, insn_ea(c, i), n);                                                         \
        __VA_ARGS__;                                                                                                   \
    }                                                                                                                  \
    FN_PLAIN(name)                                                                                                     \
    {                                                                                                                  \
        void *p = access_host_rd(c, i->seg, insn_ea(c, i), n);                                                         \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        u64 v = ld_size(p, n);                                                                                         \
        __VA_ARGS__;                                                                                                   \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    FN_PLAIN(name##_f)                                                                                                 \
    {                                                                                                                  \
        void *p = tlb_host(c->tlb->rd, flat_ea(c, i), n);                                                              \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        u64 v = ld_size(p, n);                                                                                         \
        __VA_ARGS__;                                                                                                   \
        insn_next(c, i);                                                                                               \
    }
// Stores `value`.
#define FN_STORE(name, n, value)                                                                                       \
    COLD FN_PLAIN(name##_slow) { access_store_slow(c, i->seg, insn_ea(c, i), value, n); }                              \
    FN_PLAIN(name)                                                                                                     \
    {                                                                                                                  \
        void *p = access_host_wr(c, i->seg, insn_ea(c, i), n);                                                         \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        st_size(p, value, n);                                                                                          \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    FN_PLAIN(name##_f)                                                                                                 \
    {                                                                                                                  \
        void *p = tlb_host(c->tlb->wr, flat_ea(c, i), n);                                                              \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        st_size(p, value, n);                                                                                          \
        insn_next(c, i);                                                                                               \
    }
// Replaces the value v by `result`.
#define FN_RMW(name, n, result)                                                                                        \
    COLD FN_PLAIN(name##_slow)                                                                                         \
    {                                                                                                                  \
        struct rmw p;                                                                                                  \
        u64 v = rmw_load(c, i->seg, insn_ea(c, i), n, &p);                                                             \
        rmw_store(c, &p, result, n);                                                                                   \
    }                                                                                                                  \
    FN_PLAIN(name)                                                                                                     \
    {                                                                                                                  \
        void *p = access_host_wr(c, i->seg, insn_ea(c, i), n);                                                         \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        u64 v = ld_size(p, n);                                                                                         \
        st_size(p, result, n);                                                                                         \
        insn_next(c, i);                                                                                               \
    }                                                                                                                  \
    FN_PLAIN(name##_f)                                                                                                 \
    {                                                                                                                  \
        void *p = tlb_host(c->tlb->wr, flat_ea(c, i), n);                                                              \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        u64 v = ld_size(p, n);                                                                                         \
        st_size(p, result, n);                                                                                         \
        insn_next(c, i);                                                                                               \
    }
// Operand E, where forms are not told apart by function.
INLINE u64 ld_e(struct cpu *c, const struct insn *i, unsigned n)
{
    return i->is_mem ? ld_mem(c, i, n) : rd(c, i->rm, n);
}
INLINE void st_e(struct cpu *c, const struct insn *i, u64 v, unsigned n)
{
    if (i->is_mem)
        st_mem(c, i, v, n);
    else
        wr(c, i->rm, v, n);
}
// E read and then written.
INLINE u64 rmw_e_load(struct cpu *c, const struct insn *i, unsigned n, struct rmw *p)
{
    if (i->is_mem) return rmw_load(c, i->seg, insn_ea(c, i), n, p);
    *p = (struct rmw){0};
    return rd(c, i->rm, n);
}
INLINE void rmw_e_store(struct cpu *c, const struct insn *i, const struct rmw *p, u64 v, unsigned n)
{
    if (i->is_mem)
        rmw_store(c, p, v, n);
    else
        wr(c, i->rm, v, n);
}
// ea + k, cut to the address size.
INLINE u64 ea_add(const struct insn *i, u64 ea, u64 k) { return (ea + k) << i->ea_shift >> i->ea_shift; }

// ---- stack. In 64-bit code RSP is used whole, else the mode says ESP or SP.
INLINE u64 sp_mask(const struct cpu *c, unsigned n)
{
    if (n == 8) return ~(u64)0;
    if (n == 2 && unlikely((c->mode & MODE_CODE) == MODE_64)) return ~(u64)0;
    return c->mode & MODE_SS32 ? 0xffffffff : 0xffff;
}
// RSP moved by k; bits above the stack's width stay.
INLINE u64 sp_add(const struct cpu *c, i64 k, unsigned n)
{
    u64 m = sp_mask(c, n), sp = c->gpr[R_RSP];
    return ((sp + k) & m) | (sp & ~m);
}
INLINE u64 sp_ea(const struct cpu *c, u64 sp, unsigned n) { return sp & sp_mask(c, n); }
INLINE void push(struct cpu *c, u64 v, unsigned n)
{
    u64 sp = sp_add(c, -(i64)n, n);
    mem_store(c, S_SS, sp_ea(c, sp, n), v, n);
    c->gpr[R_RSP] = sp;
}
// The value on top, RSP unchanged.
INLINE u64 peek(struct cpu *c, unsigned n) { return mem_load(c, S_SS, sp_ea(c, c->gpr[R_RSP], n), n); }
INLINE u64 pop(struct cpu *c, unsigned n)
{
    u64 v = peek(c, n);
    c->gpr[R_RSP] = sp_add(c, n, n);
    return v;
}
// Host address of a stack slot, NULL for the slow path. 8-byte slots exist in 64-bit code only, where SS is flat.
INLINE void *stack_host_rd(struct cpu *c, u64 sp, unsigned n)
{
    return n == 8 ? tlb_host(c->tlb->rd, sp, 8) : access_host_rd(c, S_SS, sp_ea(c, sp, n), n);
}
INLINE void *stack_host_wr(struct cpu *c, u64 sp, unsigned n)
{
    return n == 8 ? tlb_host(c->tlb->wr, sp, 8) : access_host_wr(c, S_SS, sp_ea(c, sp, n), n);
}
// Like FN_LOAD and FN_STORE.
#define FN_PUSH(name, n, value)                                                                                        \
    COLD FN_PLAIN(name##_slow) { push(c, value, n); }                                                                  \
    FN_PLAIN(name)                                                                                                     \
    {                                                                                                                  \
        u64 sp = sp_add(c, -(i64)n, n);                                                                                \
        void *p = stack_host_wr(c, sp, n);                                                                             \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        st_size(p, value, n);                                                                                          \
        c->gpr[R_RSP] = sp;                                                                                            \
        insn_next(c, i);                                                                                               \
    }
#define FN_POP(name, n, ...)                                                                                           \
    COLD FN_PLAIN(name##_slow)                                                                                         \
    {                                                                                                                  \
        u64 v = pop(c, n);                                                                                             \
        __VA_ARGS__;                                                                                                   \
    }                                                                                                                  \
    FN_PLAIN(name)                                                                                                     \
    {                                                                                                                  \
        void *p = stack_host_rd(c, c->gpr[R_RSP], n);                                                                  \
        if (unlikely(!p)) return name##_slow(c, i);                                                                    \
        u64 v = ld_size(p, n);                                                                                         \
        c->gpr[R_RSP] = sp_add(c, n, n);                                                                               \
        __VA_ARGS__;                                                                                                   \
        insn_next(c, i);                                                                                               \
    }

// ---- near jumps. Returns the target cut to the operand size; #GP(0) if it is outside the code segment or not
// canonical.
NOINLINE u64 jump_refused(struct cpu *c, u64 rip, unsigned n);
INLINE bool jump_ok(const struct cpu *c, u64 rip, unsigned n)
{
    return n == 8 ? (u64)((i64)(rip << 16) >> 16) == rip : rip <= c->seg[S_CS].limit;
}
INLINE u64 jump_check(struct cpu *c, u64 rip, unsigned n)
{
    rip = cut(rip, n);
    return likely(jump_ok(c, rip, n)) ? rip : jump_refused(c, rip, n);
}
