// SPDX-License-Identifier: MIT
// x87 loads, stores and control: FLD FILD FBLD, FST FIST FISTTP FBSTP, control and status words, environment and state
// images, FWAIT. SDM vol. 1 8.1.8-8.1.10, 8.3.1-8.3.2; vol. 2. A store's exceptions and pop come after the memory
// write, so that a fault leaves no trace.
#include <string.h>
#include "cpu/fpu/fast80.h"
#include "interp/x87.h"

// ---- loads

static void push_loaded(struct cpu *c, const struct insn *i, struct fenv_x *e, struct f80 v)
{
    if (!x87_empty(&c->fpu, 7)) {
        e->flags = 0;
        x87_stack_fault(e, true);
        v = F80_DEFAULT_NAN;
    }
    // Only an unmasked IE stops a load: a denormal comes in even if DE is unmasked.
    if (!(e->flags & ~e->masks & FX_IE)) x87_push(&c->fpu, v);
    x87_end(c, i, e);
}

static void load_f32(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    u32 v = (u32)mem_load(c, i->seg, insn_ea(c, i), 4);
    push_loaded(c, i, &e, f80_from_f32_fast(&e, v));
}
static void load_f64(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    u64 v = mem_load(c, i->seg, insn_ea(c, i), 8);
    push_loaded(c, i, &e, f80_from_f64_fast(&e, v));
}
X(FLD_Mt)
{
    struct fenv_x e = x87_begin(c);
    u8 b[10];
    mem_read(c, i->seg, insn_ea(c, i), b, 10, 0);
    push_loaded(c, i, &e, (struct f80){ld64(b), ld16(b + 8)});
}
static void load_i16(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    push_loaded(c, i, &e, f80_from_i64((i16)mem_load(c, i->seg, insn_ea(c, i), 2)));
}
static void load_i32(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    push_loaded(c, i, &e, f80_from_i64((i32)mem_load(c, i->seg, insn_ea(c, i), 4)));
}
static void load_i64(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    push_loaded(c, i, &e, f80_from_i64((i64)mem_load(c, i->seg, insn_ea(c, i), 8)));
}
#define QUICK_LOAD(name, fn, size, ok)                                                                                 \
    X(name)                                                                                                            \
    {                                                                                                                  \
        struct f80 b;                                                                                                  \
        void *p = x87_quick(c) && x87_empty(&c->fpu, 7) ? access_host_rd(c, i->seg, insn_ea(c, i), size) : NULL;       \
        u64 v = likely(p != NULL) ? ld_size(p, size) : 0;                                                              \
        if (unlikely(!p || !(ok))) return fn(c, i);                                                                    \
        x87_push(&c->fpu, b);                                                                                          \
        x87_quick_end(c, i, false, 0);                                                                                 \
    }
QUICK_LOAD(FLD_Md, load_f32, 4, f80_from_f32_exact((u32)v, &b))
QUICK_LOAD(FLD_Mq, load_f64, 8, f80_from_f64_exact(v, &b))
QUICK_LOAD(FILD_Mw, load_i16, 2, (b = f80_from_i64_fast((i16)v), true))
QUICK_LOAD(FILD_Md, load_i32, 4, (b = f80_from_i64_fast((i32)v), true))
QUICK_LOAD(FILD_Mq, load_i64, 8, (b = f80_from_i64_fast((i64)v), true))

X(FBLD_Mt)
{
    struct fenv_x e = x87_begin(c);
    u8 b[10];
    mem_read(c, i->seg, insn_ea(c, i), b, 10, 0);
    push_loaded(c, i, &e, f80_from_bcd(b));
}

// ---- stores

// True if the store is to be made: `stop` are the exceptions that forbid it when unmasked.
static bool stores(const struct fenv_x *e, u8 stop) { return !(e->flags & ~e->masks & stop); }

static void end_store(struct cpu *c, const struct insn *i, struct fenv_x *e, bool stored, bool pop)
{
    if (stored && pop) x87_pop(&c->fpu);
    x87_end(c, i, e);
}

enum { STOP_REAL = FX_IE | FX_OE | FX_UE };

static void store_f32(struct cpu *c, const struct insn *i, bool pop)
{
    struct fenv_x e = x87_begin(c);
    u32 v = 0xFFC00000;
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        v = f80_to_f32_fast(&e, x87_get(&c->fpu, 0));
    bool st = stores(&e, STOP_REAL);
    if (st) mem_store(c, i->seg, insn_ea(c, i), v, 4);
    end_store(c, i, &e, st, pop);
}
X(FST_Md) { store_f32(c, i, false); }
X(FSTP_Md) { store_f32(c, i, true); }

static void store_f64(struct cpu *c, const struct insn *i, bool pop)
{
    struct fenv_x e = x87_begin(c);
    u64 v = 0xFFF8000000000000;
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        v = f80_to_f64_fast(&e, x87_get(&c->fpu, 0));
    bool st = stores(&e, STOP_REAL);
    if (st) mem_store(c, i->seg, insn_ea(c, i), v, 8);
    end_store(c, i, &e, st, pop);
}
X(FST_Mq) { store_f64(c, i, false); }
X(FSTP_Mq) { store_f64(c, i, true); }

X(FSTP_Mt)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = x87_get(&c->fpu, 0);
    if (x87_empty(&c->fpu, 0)) {
        x87_stack_fault(&e, false);
        v = F80_DEFAULT_NAN;
    }
    bool st = stores(&e, FX_IE);
    if (st) {
        u8 b[10];
        st64(b, v.m);
        st16(b + 8, v.se);
        mem_write(c, i->seg, insn_ea(c, i), b, 10, 0);
    }
    end_store(c, i, &e, st, true);
}

INLINE void store_int(struct cpu *c, const struct insn *i, unsigned size, bool trunc, bool pop)
{
    struct fenv_x e = x87_begin(c);
    u64 v = 1ull << (8 * size - 1);
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        v = (u64)f80_to_int(&e, x87_get(&c->fpu, 0), 8 * size, trunc ? FX_TRUNC : e.rm);
    bool st = stores(&e, FX_IE);
    if (st) mem_store(c, i->seg, insn_ea(c, i), v & size_mask(size), size);
    end_store(c, i, &e, st, pop);
}
X(FIST_Mw) { store_int(c, i, 2, false, false); }
X(FIST_Md) { store_int(c, i, 4, false, false); }
X(FISTP_Mw) { store_int(c, i, 2, false, true); }
X(FISTP_Md) { store_int(c, i, 4, false, true); }
X(FISTP_Mq) { store_int(c, i, 8, false, true); }
X(FISTTP_Mw) { store_int(c, i, 2, true, true); }
X(FISTTP_Md) { store_int(c, i, 4, true, true); }
X(FISTTP_Mq) { store_int(c, i, 8, true, true); }

X(FBSTP_Mt)
{
    struct fenv_x e = x87_begin(c);
    u8 b[10] = {0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF};
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        f80_to_bcd(&e, x87_get(&c->fpu, 0), b);
    bool st = stores(&e, FX_IE);
    if (st) mem_write(c, i->seg, insn_ea(c, i), b, 10, 0);
    end_store(c, i, &e, st, true);
}

// ---- control: these leave FIP, FDP and FOP alone; FN… forms do not wait

X(FLDCW_Mw)
{
    x87_begin(c);
    c->fpu.fcw = (u16)((mem_load(c, i->seg, insn_ea(c, i), 2) & FCW_BITS) | 0x40);
    x87_update_summary(c);
}
X(FNSTCW_Mw)
{
    check_fpu(c);
    mem_store(c, i->seg, insn_ea(c, i), c->fpu.fcw, 2);
}
X(FNSTSW_Mw)
{
    check_fpu(c);
    mem_store(c, i->seg, insn_ea(c, i), c->fpu.fsw, 2);
}
X(FNSTSW_AX)
{
    check_fpu(c);
    reg_set16(c, R_RAX, c->fpu.fsw);
}
X(FNCLEX)
{
    check_fpu(c);
    c->fpu.fsw &= (u16) ~(FX_ALL | FSW_SF);
    x87_update_summary(c);
}
X(FNINIT)
{
    check_fpu(c);
    x87_init(c);
}
X(FNENI) { check_fpu(c); }
X(FNDISI) { check_fpu(c); }
X(FNSETPM) { check_fpu(c); }

X(FWAIT)
{
    if (unlikely((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))) cpu_raise(c, EXC_NM);
    x87_check_pending(c);
}

static bool wide(const struct insn *i) { return i->osz != 2; }

X(FNSTENV_M)
{
    check_fpu(c);
    u8 b[28];
    unsigned n = x87_env_store(&c->fpu, b, wide(i), !cpu_protected(c));
    mem_write(c, i->seg, insn_ea(c, i), b, n, 0);
    c->fpu.fcw |= FX_ALL;
    x87_update_summary(c);
}
X(FLDENV_M)
{
    x87_begin(c);
    u8 b[28];
    mem_read(c, i->seg, insn_ea(c, i), b, wide(i) ? 28 : 14, 0);
    x87_env_load(c, b, wide(i), !cpu_protected(c));
}
X(FNSAVE_M)
{
    check_fpu(c);
    u8 b[108];
    unsigned n = x87_env_store(&c->fpu, b, wide(i), !cpu_protected(c));
    x87_regs_store(&c->fpu, b + n);
    mem_write(c, i->seg, insn_ea(c, i), b, n + 80, 0);
    x87_init(c);
}
X(FRSTOR_M)
{
    x87_begin(c);
    u8 b[108];
    mem_read(c, i->seg, insn_ea(c, i), b, wide(i) ? 108 : 94, 0);
    unsigned n = x87_env_load(c, b, wide(i), !cpu_protected(c));
    x87_regs_load(&c->fpu, b + n);
}
