// SPDX-License-Identifier: MIT
// x87 instructions that compute: arithmetic, comparison, conditional moves, transcendentals, constants, stack
// housekeeping. SDM vol. 1 chapter 8; vol. 2 the instructions F*. Stack underflow delivers the default NaN when masked.
// Comparisons: an unmasked IE leaves condition codes and EFLAGS as they were, as the SDM says (AMD's processors set
// them); an unmasked DE does not.
#include "cpu/fpu/fast80.h"
#include "interp/x87.h"

// From the second character of the row's "D8" ... "DF".
const u8 x87_opcode_low[OP_COUNT] = {
#define INSN(name, opcode, ...) [OP_##name] = ((opcode)[1] >= 'A' ? (opcode)[1] - 'A' + 10 : (opcode)[1] - '0') & 7,
#include "cpu/insn-x87.def"
#undef INSN
};

// ---- arithmetic: D8, DC, DA, DE by ModRM.reg

static struct f80 arith(unsigned kind, struct fenv_x *e, struct fpn a, struct fpn b)
{
    switch (kind) {
    case 0: return f80_add(e, a, b);
    case 1: return f80_mul(e, a, b);
    case 4: return f80_sub(e, a, b);
    case 5: return f80_sub(e, b, a);
    case 6: return f80_div(e, a, b);
    default: return f80_div(e, b, a);
    }
}

static struct f80 arith80(unsigned kind, struct fenv_x *e, struct f80 a, struct f80 b)
{
    switch (kind) {
    case 0: return f80_addsub_fast(e, a, b, false);
    case 1: return f80_mul_fast(e, a, b);
    case 4: return f80_addsub_fast(e, a, b, true);
    case 5: return f80_addsub_fast(e, b, a, true);
    case 6: return f80_div_fast(e, a, b);
    default: return f80_div_fast(e, b, a);
    }
}

// The result goes to ST(dst), then `pops` pops.
static void finish(struct cpu *c, const struct insn *i, const struct fenv_x *e, unsigned dst, struct f80 v,
                   unsigned pops)
{
    if (x87_delivers(e)) {
        x87_set(&c->fpu, dst, v);
        while (pops--) x87_pop(&c->fpu);
    }
    x87_end(c, i, e);
}

static void set_cc(struct cpu *c, enum fp_rel r)
{
    unsigned cc = r == FP_UN ? FSW_CC : r == FP_EQ ? FSW_C3 : r == FP_LT ? FSW_C0 : 0;
    c->fpu.fsw = (u16)((c->fpu.fsw & ~FSW_CC) | cc);
}

static void compare(struct cpu *c, const struct insn *i, struct fenv_x *e, bool empty, struct fpn b, bool quiet,
                    unsigned pops)
{
    enum fp_rel r = FP_UN;
    if (empty)
        x87_stack_fault(e, false);
    else
        r = f80_compare(e, x87_num(c, 0), b, quiet);
    if (!(e->flags & ~e->masks & FX_IE)) set_cc(c, r);
    if (x87_delivers(e))
        while (pops--) x87_pop(&c->fpu);
    x87_end(c, i, e);
}

static void arith_operand(struct cpu *c, const struct insn *i, struct fenv_x *e, struct fpn b)
{
    unsigned kind = i->modrm >> 3 & 7;
    bool empty = x87_empty(&c->fpu, 0);
    if (kind == 2 || kind == 3) {
        compare(c, i, e, empty, b, false, kind == 3);
        return;
    }
    struct f80 r = F80_DEFAULT_NAN;
    if (empty)
        x87_stack_fault(e, false);
    else
        r = arith(kind, e, x87_num(c, 0), b);
    finish(c, i, e, 0, r, 0);
}

// The operand converted without exceptions.
static void arith_exact(struct cpu *c, const struct insn *i, struct fenv_x *e, struct f80 b)
{
    unsigned kind = i->modrm >> 3 & 7;
    if (unlikely(kind == 2 || kind == 3 || x87_empty(&c->fpu, 0)))
        arith_operand(c, i, e, fpn_f80(b));
    else
        finish(c, i, e, 0, arith80(kind, e, x87_get(&c->fpu, 0), b), 0);
}

static void arith_f32(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    u32 v = (u32)mem_load(c, i->seg, insn_ea(c, i), 4);
    struct f80 b;
    if (likely(f80_from_f32_exact(v, &b)))
        arith_exact(c, i, &e, b);
    else
        arith_operand(c, i, &e, fpn_f32(v));
}
static void arith_f64(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    u64 v = mem_load(c, i->seg, insn_ea(c, i), 8);
    struct f80 b;
    if (likely(f80_from_f64_exact(v, &b)))
        arith_exact(c, i, &e, b);
    else
        arith_operand(c, i, &e, fpn_f64(v));
}
static void arith_i32(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    arith_exact(c, i, &e, f80_from_i64((i32)mem_load(c, i->seg, insn_ea(c, i), 4)));
}
static void arith_i16(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    arith_exact(c, i, &e, f80_from_i64((i16)mem_load(c, i->seg, insn_ea(c, i), 2)));
}
// Quick forms: `v` is the operand as loaded, `ok` whether it became b.
#define KINDS(f, ...)                                                                                                  \
    f(0, __VA_ARGS__) f(1, __VA_ARGS__) f(4, __VA_ARGS__) f(5, __VA_ARGS__) f(6, __VA_ARGS__) f(7, __VA_ARGS__)
#define QUICK_MEM(kind, fn, size, ok)                                                                                  \
    static void fn##_q##kind(struct cpu *c, const struct insn *i)                                                      \
    {                                                                                                                  \
        struct fenv_x e = {0};                                                                                         \
        struct f80 b, r;                                                                                               \
        void *p = x87_quick(c) && !x87_empty(&c->fpu, 0) ? access_host_rd(c, i->seg, insn_ea(c, i), size) : NULL;      \
        u64 v = likely(p != NULL) ? ld_size(p, size) : 0;                                                              \
        if (unlikely(!p || !(ok) || !f80_arith_try(kind, &e, x87_get(&c->fpu, 0), b, &r))) return fn(c, i);            \
        x87_set(&c->fpu, 0, r);                                                                                        \
        x87_quick_end(c, i, e.c1, e.flags);                                                                            \
    }
KINDS(QUICK_MEM, arith_f32, 4, f80_from_f32_exact((u32)v, &b))
KINDS(QUICK_MEM, arith_f64, 8, f80_from_f64_exact(v, &b))
KINDS(QUICK_MEM, arith_i32, 4, (b = f80_from_i64_fast((i32)v), true))
KINDS(QUICK_MEM, arith_i16, 2, (b = f80_from_i64_fast((i16)v), true))
#define QUICK_ROW(fn)                                                                                                  \
    {                                                                                                                  \
        fn##_q0, fn##_q1, fn, fn, fn##_q4, fn##_q5, fn##_q6, fn##_q7                                                   \
    }
#define QUICK_PICK(fn)                                                                                                 \
    static xfn *pick_##fn(const struct insn *i)                                                                        \
    {                                                                                                                  \
        static xfn *const row[8] = QUICK_ROW(fn);                                                                      \
        return row[i->modrm >> 3 & 7];                                                                                 \
    }
QUICK_PICK(arith_f32)
QUICK_PICK(arith_f64)
QUICK_PICK(arith_i32)
QUICK_PICK(arith_i16)
#define PICK_ARITH(sfx, fn, p)                                                                                         \
    XPICK(F##p##ADD_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(F##p##MUL_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(F##p##COM_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(F##p##COMP_##sfx) { return pick_##fn(i); }                                                                   \
    XPICK(F##p##SUB_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(F##p##SUBR_##sfx) { return pick_##fn(i); }                                                                   \
    XPICK(F##p##DIV_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(F##p##DIVR_##sfx) { return pick_##fn(i); }
PICK_ARITH(Md, arith_f32, )
PICK_ARITH(Mq, arith_f64, )
PICK_ARITH(Md, arith_i32, I)
PICK_ARITH(Mw, arith_i16, I)

// Register forms: ST(0) op ST(i), to ST(0) or ST(i); DC and DE have SUB and SUBR, DIV and DIVR swapped, which makes the
// operation the same one.
INLINE void arith_regs(struct cpu *c, const struct insn *i, bool to_sti, unsigned pops)
{
    struct fenv_x e = x87_begin(c);
    unsigned n = i->modrm & 7;
    struct f80 r = F80_DEFAULT_NAN;
    if (x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, n))
        x87_stack_fault(&e, false);
    else
        r = arith80(i->modrm >> 3 & 7, &e, x87_get(&c->fpu, 0), x87_get(&c->fpu, n));
    finish(c, i, &e, to_sti ? n : 0, r, pops);
}
static void arith_st0(struct cpu *c, const struct insn *i) { arith_regs(c, i, false, 0); }
static void arith_sti(struct cpu *c, const struct insn *i) { arith_regs(c, i, true, 0); }
static void arith_sti_pop(struct cpu *c, const struct insn *i) { arith_regs(c, i, true, 1); }
#define QUICK_REGS(kind, fn, dst, pops)                                                                                \
    static void fn##_q##kind(struct cpu *c, const struct insn *i)                                                      \
    {                                                                                                                  \
        struct fenv_x e = {0};                                                                                         \
        struct f80 r;                                                                                                  \
        unsigned n = i->modrm & 7;                                                                                     \
        bool ok = x87_quick(c) && !x87_empty(&c->fpu, 0) && !x87_empty(&c->fpu, n);                                    \
        if (unlikely(!ok || !f80_arith_try(kind, &e, x87_get(&c->fpu, 0), x87_get(&c->fpu, n), &r))) return fn(c, i);  \
        x87_set(&c->fpu, dst, r);                                                                                      \
        if (pops) x87_pop(&c->fpu);                                                                                    \
        x87_quick_end(c, i, e.c1, e.flags);                                                                            \
    }
KINDS(QUICK_REGS, arith_st0, 0, 0)
KINDS(QUICK_REGS, arith_sti, n, 0)
KINDS(QUICK_REGS, arith_sti_pop, n, 1)
QUICK_PICK(arith_st0)
QUICK_PICK(arith_sti)
QUICK_PICK(arith_sti_pop)
#define PICK_REGS(p, sfx, fn)                                                                                          \
    XPICK(FADD##p##_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(FMUL##p##_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(FSUB##p##_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(FSUBR##p##_##sfx) { return pick_##fn(i); }                                                                   \
    XPICK(FDIV##p##_##sfx) { return pick_##fn(i); }                                                                    \
    XPICK(FDIVR##p##_##sfx) { return pick_##fn(i); }
PICK_REGS(, ST0STi, arith_st0)
PICK_REGS(, STiST0, arith_sti)
PICK_REGS(P, STiST0, arith_sti_pop)

// ---- comparison

static void compare_reg(struct cpu *c, const struct insn *i, unsigned n, bool quiet, unsigned pops)
{
    struct fenv_x e = x87_begin(c);
    bool empty = x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, n);
    compare(c, i, &e, empty, x87_num(c, n), quiet, pops);
}
X(FCOM_STi) { compare_reg(c, i, i->modrm & 7, false, 0); }
X(FCOMP_STi) { compare_reg(c, i, i->modrm & 7, false, 1); }
X(FCOMPP) { compare_reg(c, i, 1, false, 2); }
X(FUCOM) { compare_reg(c, i, i->modrm & 7, true, 0); }
X(FUCOMP) { compare_reg(c, i, i->modrm & 7, true, 1); }
X(FUCOMPP) { compare_reg(c, i, 1, true, 2); }
XALIAS(FCOM_STi_2, FCOM_STi)
XALIAS(FCOMP_STi_3, FCOMP_STi)
XALIAS(FCOMP_STi_5, FCOMP_STi)

X(FTST)
{
    struct fenv_x e = x87_begin(c);
    compare(c, i, &e, x87_empty(&c->fpu, 0), (struct fpn){0}, false, 0);
}

static void compare_eflags(struct cpu *c, const struct insn *i, bool quiet, unsigned pops)
{
    struct fenv_x e = x87_begin(c);
    unsigned n = i->modrm & 7;
    enum fp_rel r = FP_UN;
    if (x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, n)) {
        x87_stack_fault(&e, false);
    } else {
        r = f80_compare_fast(&e, x87_get(&c->fpu, 0), x87_get(&c->fpu, n), quiet);
        e.c1 = c->fpu.fsw & FSW_C1; // as it was, in AMD's processors; the manual says 0
    }
    if (!(e.flags & ~e.masks & FX_IE))
        flags_set_arith(c, r == FP_UN ? FL_ZF | FL_PF | FL_CF : r == FP_EQ ? FL_ZF : r == FP_LT ? FL_CF : 0);
    if (pops && x87_delivers(&e)) x87_pop(&c->fpu);
    x87_end(c, i, &e);
}
X(FCOMI) { compare_eflags(c, i, false, 0); }
X(FCOMIP) { compare_eflags(c, i, false, 1); }
X(FUCOMI) { compare_eflags(c, i, true, 0); }
X(FUCOMIP) { compare_eflags(c, i, true, 1); }

X(FXAM)
{
    struct fenv_x e = x87_begin(c);
    struct fpu *f = &c->fpu;
    u8 x = f80_xam(x87_get(f, 0));
    if (x87_empty(f, 0)) x = (u8)((x & 2) | 8 | 1);
    e.c1 = x & 2;
    f->fsw = (u16)((f->fsw & ~FSW_CC) | (x & 1) << 8 | (x & 4) << 8 | (x & 8) << 11);
    x87_end(c, i, &e);
}

// ---- moves between registers

static void cmov(struct cpu *c, const struct insn *i, bool cond)
{
    struct fenv_x e = x87_begin(c);
    unsigned n = i->modrm & 7;
    if (x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, n)) {
        x87_stack_fault(&e, false);
        if (x87_delivers(&e)) x87_set(&c->fpu, 0, F80_DEFAULT_NAN);
    } else {
        if (cond) x87_set(&c->fpu, 0, x87_get(&c->fpu, n));
        e.c1 = c->fpu.fsw & FSW_C1; // as it was
    }
    x87_end(c, i, &e);
}
X(FCMOVB) { cmov(c, i, flags_arith(c) & FL_CF); }
X(FCMOVE) { cmov(c, i, flags_arith(c) & FL_ZF); }
X(FCMOVBE) { cmov(c, i, flags_arith(c) & (FL_CF | FL_ZF)); }
X(FCMOVU) { cmov(c, i, flags_arith(c) & FL_PF); }
X(FCMOVNB) { cmov(c, i, !(flags_arith(c) & FL_CF)); }
X(FCMOVNE) { cmov(c, i, !(flags_arith(c) & FL_ZF)); }
X(FCMOVNBE) { cmov(c, i, !(flags_arith(c) & (FL_CF | FL_ZF))); }
X(FCMOVNU) { cmov(c, i, !(flags_arith(c) & FL_PF)); }

static void push(struct cpu *c, const struct insn *i, struct fenv_x *e, struct f80 v)
{
    if (!x87_empty(&c->fpu, 7)) {
        x87_stack_fault(e, true);
        v = F80_DEFAULT_NAN;
    }
    if (x87_delivers(e)) x87_push(&c->fpu, v);
    x87_end(c, i, e);
}

static void fld_sti_any(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = x87_get(&c->fpu, i->modrm & 7);
    if (x87_empty(&c->fpu, i->modrm & 7)) { // goes before an overflow
        x87_stack_fault(&e, false);
        if (x87_delivers(&e)) x87_push(&c->fpu, F80_DEFAULT_NAN);
        x87_end(c, i, &e);
        return;
    }
    push(c, i, &e, v);
}

X(FLD_STi)
{
    struct fpu *f = &c->fpu;
    if (unlikely(!x87_quick(c) || !x87_empty(f, 7) || x87_empty(f, i->modrm & 7))) return fld_sti_any(c, i);
    x87_push(f, x87_get(f, i->modrm & 7));
    x87_quick_end(c, i, false, 0);
}

static void fxch_any(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    struct fpu *f = &c->fpu;
    unsigned n = i->modrm & 7;
    bool e0 = x87_empty(f, 0), en = x87_empty(f, n);
    struct f80 v0 = e0 ? F80_DEFAULT_NAN : x87_get(f, 0), vn = en ? F80_DEFAULT_NAN : x87_get(f, n);
    if (e0 || en) x87_stack_fault(&e, false);
    if (x87_delivers(&e)) {
        x87_set(f, n, v0);
        x87_set(f, 0, vn);
    }
    x87_end(c, i, &e);
}
X(FXCH_STi)
{
    struct fpu *f = &c->fpu;
    unsigned n = i->modrm & 7;
    if (unlikely(!x87_quick(c) || x87_empty(f, 0) || x87_empty(f, n))) return fxch_any(c, i);
    struct f80 v0 = x87_get(f, 0), vn = x87_get(f, n);
    x87_set(f, n, v0);
    x87_set(f, 0, vn);
    x87_quick_end(c, i, false, 0);
}
XALIAS(FXCH_STi_4, FXCH_STi)
XALIAS(FXCH_STi_7, FXCH_STi)

static void store_reg(struct cpu *c, const struct insn *i, unsigned pops)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = x87_get(&c->fpu, 0);
    if (x87_empty(&c->fpu, 0)) {
        x87_stack_fault(&e, false);
        v = F80_DEFAULT_NAN;
    }
    finish(c, i, &e, i->modrm & 7, v, pops);
}
INLINE void store_reg_quick(struct cpu *c, const struct insn *i, unsigned pops)
{
    if (unlikely(!x87_quick(c) || x87_empty(&c->fpu, 0))) return store_reg(c, i, pops);
    x87_set(&c->fpu, i->modrm & 7, x87_get(&c->fpu, 0));
    if (pops) x87_pop(&c->fpu);
    x87_quick_end(c, i, false, 0);
}
X(FST_STi) { store_reg_quick(c, i, 0); }
X(FSTP_STi) { store_reg_quick(c, i, 1); }
X(FSTP_STi_1) // FSTPNCE: an empty ST(0) is popped without an exception, and nothing is copied
{
    struct fenv_x e = x87_begin(c);
    bool empty = x87_empty(&c->fpu, 0);
    if (!empty) x87_set(&c->fpu, i->modrm & 7, x87_get(&c->fpu, 0));
    x87_pop(&c->fpu);
    x87_end(c, i, &e);
}
XALIAS(FSTP_STi_8, FSTP_STi)
XALIAS(FSTP_STi_9, FSTP_STi)

X(FFREE)
{
    struct fenv_x e = x87_begin(c);
    c->fpu.tags &= (u8) ~(1u << x87_phys(&c->fpu, i->modrm & 7));
    x87_end(c, i, &e); // the manual leaves C1 open; processors clear it
}
X(FFREEP)
{
    struct fenv_x e = x87_begin(c);
    c->fpu.tags &= (u8) ~(1u << x87_phys(&c->fpu, i->modrm & 7));
    x87_pop(&c->fpu);
    x87_end(c, i, &e);
}
X(FINCSTP)
{
    struct fenv_x e = x87_begin(c);
    x87_set_top(&c->fpu, x87_top(&c->fpu) + 1);
    x87_end(c, i, &e);
}
X(FDECSTP)
{
    struct fenv_x e = x87_begin(c);
    x87_set_top(&c->fpu, x87_top(&c->fpu) - 1);
    x87_end(c, i, &e);
}
X(FNOP)
{
    x87_begin(c);
    x87_pointers(c, i);
}

// ---- constants: 66-bit internal values rounded by FCW.RC (SDM vol. 2, FLD1); no PE
static const struct {
    u64 down;   // rounded down and to zero
    u16 se;     // sign and exponent
    u8 nearest; // added to the significand by rounding to nearest
    bool inexact;
} constants[] = {
    {0x8000000000000000, 0x3FFF, 0, false}, // 1
    {0xD49A784BCD1B8AFE, 0x4000, 0, true},  // log2 10
    {0xB8AA3B295C17F0BB, 0x3FFF, 1, true},  // log2 e
    {0xC90FDAA22168C234, 0x4000, 1, true},  // pi
    {0x9A209A84FBCFF798, 0x3FFD, 1, true},  // log10 2
    {0xB17217F7D1CF79AB, 0x3FFE, 1, true},  // ln 2
    {0, 0, 0, false},                       // 0
};
static void load_const(struct cpu *c, const struct insn *i)
{
    struct fenv_x e = x87_begin(c);
    unsigned n = i->modrm & 7;
    u64 up = e.rm == FX_UP ? constants[n].inexact : e.rm == FX_NEAREST ? constants[n].nearest : 0;
    push(c, i, &e, (struct f80){constants[n].down + up, constants[n].se});
}
XPICK(FLD1) { return load_const; }
XPICK(FLDL2T) { return load_const; }
XPICK(FLDL2E) { return load_const; }
XPICK(FLDPI) { return load_const; }
XPICK(FLDLG2) { return load_const; }
XPICK(FLDLN2) { return load_const; }
XPICK(FLDZ) { return load_const; }

// ---- one operand in ST(0)

static void sign_op(struct cpu *c, const struct insn *i, u16 and, u16 xor)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = x87_get(&c->fpu, 0);
    v.se = (v.se & and) ^ xor;
    if (x87_empty(&c->fpu, 0)) {
        x87_stack_fault(&e, false);
        v = F80_DEFAULT_NAN;
    }
    finish(c, i, &e, 0, v, 0);
}
X(FCHS) { sign_op(c, i, 0xFFFF, 0x8000); }
X(FABS) { sign_op(c, i, 0x7FFF, 0); }

typedef struct f80 unary_fn(struct fenv_x *, struct fpn);
static void unary(struct cpu *c, const struct insn *i, unary_fn *fn)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = F80_DEFAULT_NAN;
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        v = fn(&e, x87_num(c, 0));
    finish(c, i, &e, 0, v, 0);
}
X(FSQRT) { unary(c, i, f80_sqrt); }
X(FRNDINT) { unary(c, i, f80_rndint); }
X(F2XM1) { unary(c, i, f80_f2xm1); }

static void rem(struct cpu *c, const struct insn *i, bool nearest)
{
    struct fenv_x e = x87_begin(c);
    struct fpu *f = &c->fpu;
    struct f80 v = F80_DEFAULT_NAN;
    u8 q = 0;
    f->fsw &= (u16)~FSW_C2;
    if (x87_empty(f, 0) || x87_empty(f, 1)) {
        x87_stack_fault(&e, false);
    } else {
        struct fpn a = x87_num(c, 0), b = x87_num(c, 1);
        v = f80_rem(&e, a, b, nearest, &q);
        e.c1 = q & 1;
        if (a.cls < FP_INF_ && b.cls < FP_QNAN_ && !(e.flags & FX_IE) &&
            x87_delivers(&e)) // else there is no quotient, and C0 and C3 stay
            f->fsw = (u16)((f->fsw & ~FSW_CC) | (q & 4 ? FSW_C0 : 0) | (q & 8 ? FSW_C2 : 0) | (q & 2 ? FSW_C3 : 0));
    }
    finish(c, i, &e, 0, v, 0);
}
X(FPREM) { rem(c, i, false); }
X(FPREM1) { rem(c, i, true); }

X(FSCALE)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = F80_DEFAULT_NAN;
    if (x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, 1))
        x87_stack_fault(&e, false);
    else
        v = f80_scale(&e, x87_num(c, 0), x87_num(c, 1));
    finish(c, i, &e, 0, v, 0);
}

// FYL2X, FYL2XP1 (ST(0) = x, ST(1) = y), FPATAN (y = ST(1)): to ST(1), pop.
static void binary_pop(struct cpu *c, const struct insn *i, struct f80 (*fn)(struct fenv_x *, struct fpn, struct fpn),
                       bool y_first)
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = F80_DEFAULT_NAN;
    if (x87_empty(&c->fpu, 0) || x87_empty(&c->fpu, 1))
        x87_stack_fault(&e, false);
    else
        v = y_first ? fn(&e, x87_num(c, 1), x87_num(c, 0)) : fn(&e, x87_num(c, 0), x87_num(c, 1));
    finish(c, i, &e, 1, v, 1);
}
X(FYL2X) { binary_pop(c, i, f80_yl2x, false); }
X(FYL2XP1) { binary_pop(c, i, f80_yl2xp1, false); }
X(FPATAN) { binary_pop(c, i, f80_atan2, true); }

// ---- two results: ST(0) replaced, then a push

// False (and the default NaNs in *p) on a stack fault.
static bool two_results(struct cpu *c, struct fenv_x *e, struct f80_pair *p)
{
    bool under = x87_empty(&c->fpu, 0);
    if (!under && x87_empty(&c->fpu, 7)) return true;
    x87_stack_fault(e, !under);
    p->a = p->b = F80_DEFAULT_NAN;
    return false;
}
static void finish_two(struct cpu *c, const struct insn *i, const struct fenv_x *e, struct f80_pair p)
{
    if (x87_delivers(e)) {
        x87_set(&c->fpu, 0, p.a);
        x87_push(&c->fpu, p.b);
    }
    x87_end(c, i, e);
}
// C2 tells whether the operand was out of range; then nothing is written.
static bool set_partial(struct cpu *c, const struct insn *i, struct fenv_x *e, bool partial)
{
    c->fpu.fsw = (u16)((c->fpu.fsw & ~FSW_C2) | (partial ? FSW_C2 : 0));
    if (partial) x87_end(c, i, e);
    return partial;
}

X(FXTRACT)
{
    struct fenv_x e = x87_begin(c);
    struct f80_pair p;
    if (two_results(c, &e, &p)) p = f80_extract(&e, x87_num(c, 0));
    finish_two(c, i, &e, p);
}

X(FSINCOS)
{
    struct fenv_x e = x87_begin(c);
    struct f80_pair p;
    bool partial = false;
    if (two_results(c, &e, &p)) p = f80_sincos(&e, x87_num(c, 0), &partial);
    if (!set_partial(c, i, &e, partial)) finish_two(c, i, &e, p);
}

X(FPTAN)
{
    struct fenv_x e = x87_begin(c);
    struct f80_pair p;
    bool partial = false;
    if (two_results(c, &e, &p)) {
        struct fpn a = x87_num(c, 0);
        p.a = f80_tan(&e, a, &partial);
        p.b = a.cls >= FP_INF_ ? p.a : F80_ONE;
    }
    if (!set_partial(c, i, &e, partial)) finish_two(c, i, &e, p);
}

static void trig(struct cpu *c, const struct insn *i, struct f80 (*fn)(struct fenv_x *, struct fpn, bool *))
{
    struct fenv_x e = x87_begin(c);
    struct f80 v = F80_DEFAULT_NAN;
    bool partial = false;
    if (x87_empty(&c->fpu, 0))
        x87_stack_fault(&e, false);
    else
        v = fn(&e, x87_num(c, 0), &partial);
    if (!set_partial(c, i, &e, partial)) finish(c, i, &e, 0, v, 0);
}
X(FSIN) { trig(c, i, f80_sin); }
X(FCOS) { trig(c, i, f80_cos); }
