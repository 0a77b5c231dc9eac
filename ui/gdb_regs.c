// SPDX-License-Identifier: MIT
// Registers for gdb, and the target description (gdb manual, appendix G) that goes with them. The description's shape
// does not depend on the processor's mode: only the <architecture> that it names does, and gdb may choose another at
// any time, as both register sets are there (gdb_regs.def says how). QEMU's choice, one set for ever, makes gdb refuse
// `set architecture i8086`; two descriptions of different shape give "Remote 'g' packet reply is too long".
#include <string.h>
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/fpu/x87.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/gdb.h"

enum feature { CORE, SSE, SEG, SYS, FEATURES };
enum who { ALL, LM, LEG };
enum kind { GPR, PC, EFLAGS, SEL, ST, X87, XMM, MXCSR, BASE, LIMIT, TABLE, TABLE_LIMIT, CR, DR, MSR };
static const struct reg {
    const char *name, *type, *group;
    u8 bits, feature, who, kind;
    u32 n;
} regs[] = {
#define REG(name, bits, type, feature, group, who, kind, n) {#name, #type, #group, bits, feature, who, kind, n},
#include "ui/gdb_regs.def"
#undef REG
};
static const struct bit {
    const char *name;
    u8 bit, bytes; // bytes != 0: begins a type
} flag_rows[] = {
#define TYPE(name, bytes) {#name, 0, bytes},
#define BIT(name, bit)    {#name, bit, 0},
#include "ui/gdb_regs.def"
#undef TYPE
#undef BIT
};

static bool has_row(const struct cpu *c, const struct reg *r)
{
    return r->who == ALL || (r->who == LM) == model_has(c->model, FEAT_LM);
}

static const struct reg *nth(const struct cpu *c, unsigned n)
{
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
        if (has_row(c, &regs[i]) && !n--) return &regs[i];
    return NULL;
}

unsigned gdb_reg_count(const struct cpu *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) n += has_row(c, &regs[i]);
    return n;
}

unsigned gdb_reg_size(const struct cpu *c, unsigned n)
{
    const struct reg *r = nth(c, n);
    return r ? r->bits / 8 : 0;
}

// ---- reading

static u64 seg_base(const struct cpu *c, unsigned s) { return cpu_code64(c) && s < S_FS ? 0 : c->seg[s].base; }

u64 gdb_pc(const struct cpu *c, const struct gdb_view *v)
{
    u64 rip = c->gpr[R_RIP];
    if (!v->linear || cpu_code64(c)) return rip;
    return (u32)(rip + seg_base(c, S_CS));
}

static u64 get_x87(const struct fpu *f, unsigned n)
{
    switch (n) {
    case 0: return f->fcw;
    case 1: return f->fsw;
    case 2: return x87_full_tags(f);
    case 3: return f->fcs;
    case 4: return (u32)f->fip;
    case 5: return f->fds;
    case 6: return (u32)f->fdp;
    default: return f->fop;
    }
}

// At any privilege level, unlike sys_read_cr().
static u64 get_cr(const struct cpu *c, unsigned n)
{
    switch (n) {
    case 0: return c->cr0;
    case 2: return c->cr2;
    case 3: return c->cr3;
    case 4: return c->cr4;
    default: return c->pins.get_tpr ? c->pins.get_tpr(c->pins.owner, c->index) : 0;
    }
}

static u64 get_word(struct cpu *c, const struct gdb_view *v, const struct reg *r)
{
    u64 x = 0;
    switch (r->kind) {
    case GPR:
        if (r->n == R_RSP && v->linear && !cpu_code64(c)) return (u32)(c->gpr[R_RSP] + seg_base(c, S_SS));
        return c->gpr[r->n];
    case PC: return gdb_pc(c, v);
    case EFLAGS: return flags_get(c);
    case SEL: return c->seg[r->n].sel;
    case X87: return get_x87(&c->fpu, r->n);
    case MXCSR: return c->mxcsr;
    case BASE: return seg_base(c, r->n);
    case LIMIT: return c->seg[r->n].limit;
    case TABLE: return r->n ? c->idt_base : c->gdt_base;
    case TABLE_LIMIT: return r->n ? c->idt_limit : c->gdt_limit;
    case CR: return get_cr(c, r->n);
    case DR: return c->dr[r->n];
    case MSR: msr_read(c, r->n, &x); return x;
    }
    return x;
}

void gdb_reg_get(struct cpu *c, const struct gdb_view *v, unsigned n, u8 *to)
{
    const struct reg *r = nth(c, n);
    if (!r) return;
    if (r->kind == ST) {
        unsigned i = x87_phys(&c->fpu, r->n);
        st64(to, c->fpu.m[i]);
        st16(to + 8, c->fpu.se[i]);
        return;
    }
    if (r->kind == XMM) {
        memcpy(to, c->vec[r->n].b, 16);
        return;
    }
    u8 b[8];
    st64(b, get_word(c, v, r));
    memcpy(to, b, r->bits / 8);
}

// ---- writing

// As far as a selector can be loaded without changing the privilege level; the tables' checks are not repeated.
static bool set_selector(struct cpu *c, unsigned s, u16 sel)
{
    struct desc d;
    bool in_table;
    if (sel == c->seg[s].sel) return true;
    if (s < S_LDTR && !cpu_protected(c)) {
        seg_load_real(c, s, sel);
        return true;
    }
    if (sel_null(sel)) {
        if (s == S_CS || s == S_SS || s == S_TR) return false;
        seg_install_null(c, s, sel);
        return true;
    }
    if (!seg_read_desc(c, sel, &d, &in_table) || !in_table || !(d.attr & SEG_P)) return false;
    if (s >= S_LDTR ? (d.attr & SEG_S) != 0 : s == S_CS ? !attr_is_code(d.attr) : !(d.attr & SEG_S)) return false;
    if (s == S_CS && !(d.attr & SEG_CONFORMING) && attr_dpl(d.attr) != c->cpl) return false;
    if (s == S_SS && (!attr_is_data(d.attr) || attr_dpl(d.attr) != c->cpl)) return false;
    seg_install(c, s, sel, &d);
    return true;
}

static void set_x87(struct cpu *c, unsigned n, u32 x)
{
    struct fpu *f = &c->fpu;
    switch (n) {
    case 0: f->fcw = (u16)x; break;
    case 1: f->fsw = (u16)x; break;
    case 2: f->tags = x87_abridge_tags((u16)x); break;
    case 3: f->fcs = (u16)x; break;
    case 4: f->fip = x; break;
    case 5: f->fds = (u16)x; break;
    case 6: f->fdp = x; break;
    default: f->fop = x & 0x7ff; break;
    }
    if (n < 2) x87_update_summary(c);
}

static void set_rip(struct cpu *c, const struct gdb_view *v, u64 x)
{
    if (x == gdb_pc(c, v)) return;
    if (v->linear) x -= seg_base(c, S_CS);
    c->gpr[R_RIP] = cpu_code64(c) ? x : (u32)x;
    c->rep_middle = false;
    if (c->halt == CPU_HALTED) c->halt = CPU_RUNNING; // somebody wants it to go on there
}

// A 32-bit register keeps the upper half, so that writing both views of it (gdb after a call) is harmless.
static void set_gpr(struct cpu *c, const struct gdb_view *v, const struct reg *r, u64 x)
{
    if (r->n == R_RSP && v->linear) x -= seg_base(c, S_SS);
    if (r->bits == 32) x = (c->gpr[r->n] & ~(u64)0xffffffff) | (u32)x;
    c->gpr[r->n] = x;
}

static bool set_base(struct cpu *c, unsigned s, u64 x)
{
    if (model_has(c->model, FEAT_LM) ? !lin_canonical(x) : x >> 32) return false;
    if (cpu_code64(c) && s < S_FS) return x == 0;
    c->seg[s].base = x;
    if (s < S_FS) c->seg[s].base_legacy = (u32)x;
    seg_update(c, s);
    return true;
}

// Raises what the processor would at privilege level 0.
static bool set_word(struct cpu *c, const struct gdb_view *v, const struct reg *r, u64 x)
{
    switch (r->kind) {
    case GPR: set_gpr(c, v, r, x); break;
    case PC: set_rip(c, v, x); break;
    case EFLAGS: sys_set_eflags(c, (u32)x, ~(u32)FL_VM); break;
    case SEL: return set_selector(c, r->n, (u16)x);
    case X87: set_x87(c, r->n, (u32)x); break;
    case MXCSR: c->mxcsr = x & 0xffff; break;
    case BASE: return set_base(c, r->n, x);
    case LIMIT:
        c->seg[r->n].limit = (u32)x;
        seg_update(c, r->n);
        break;
    case TABLE: *(r->n ? &c->idt_base : &c->gdt_base) = x; break;
    case TABLE_LIMIT: *(r->n ? &c->idt_limit : &c->gdt_limit) = (u16)x; break;
    case CR: sys_write_cr(c, r->n, x); break;
    case DR: sys_write_dr(c, r->n, x); break;
    case MSR: return msr_write(c, r->n, x);
    }
    return true;
}

// A register that keeps its value is not written: gdb restores whole sets.
static bool set_guarded(struct cpu *c, const struct gdb_view *v, const struct reg *r, u64 x)
{
    u64 mask = r->bits == 32 ? 0xffffffff : ~(u64)0;
    if (!((get_word(c, v, r) ^ x) & mask)) return true;
    jmp_buf fault, *outer = c->fault;
    struct { // an exception that waits for its delivery, should the machine have stopped at one
        int exc, first;
        u32 err;
        bool has_err, here, ext;
    } wait = {c->exc, c->exc_first, c->exc_err, c->exc_has_err, c->exc_here, c->exc_ext};
    volatile u8 cpl = c->cpl;
    volatile bool ok = false;
    bool system = r->kind == CR || r->kind == DR;
    c->fault = &fault;
    if (system) c->cpl = 0;
    if (!setjmp(fault)) ok = set_word(c, v, r, x);
    c->fault = outer;
    if (system) c->cpl = cpl;
    c->exc = r->kind == PC ? -1 : wait.exc; // elsewhere it has not happened
    c->exc_first = wait.first, c->exc_err = wait.err, c->exc_has_err = wait.has_err;
    c->exc_here = wait.here, c->exc_ext = wait.ext;
    cpu_update_mode(c);
    return ok;
}

bool gdb_reg_set(struct cpu *c, const struct gdb_view *v, unsigned n, const u8 *from)
{
    const struct reg *r = nth(c, n);
    if (!r) return false;
    if (r->kind == ST) {
        unsigned i = x87_phys(&c->fpu, r->n);
        c->fpu.m[i] = ld64(from);
        c->fpu.se[i] = ld16(from + 8);
        return true;
    }
    if (r->kind == XMM) {
        memcpy(c->vec[r->n].b, from, 16);
        return true;
    }
    return set_guarded(c, v, r, r->bits == 32 ? ld32(from) : ld64(from));
}

// ---- description

static const char *architecture(const struct cpu *c, enum gdb_arch arch)
{
    static const char *const names[] = {
        [GDB_ARCH_8086] = "i8086", [GDB_ARCH_I386] = "i386", [GDB_ARCH_X64] = "i386:x86-64"};
    if (arch != GDB_ARCH_AUTO) return names[arch];
    unsigned code = c->mode & MODE_CODE;
    return names[code == MODE_64 ? GDB_ARCH_X64 : code == MODE_32 ? GDB_ARCH_I386 : GDB_ARCH_8086];
}

static void flag_types(struct buf *out, const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(flag_rows); i++) {
        if (!flag_rows[i].bytes || strcmp(flag_rows[i].name, name)) continue;
        buf_printf(out, "<flags id=\"%s\" size=\"%u\">", name, flag_rows[i].bytes);
        for (i++; i < ARRAY_LEN(flag_rows) && !flag_rows[i].bytes; i++)
            buf_printf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flag_rows[i].name, flag_rows[i].bit,
                       flag_rows[i].bit);
        buf_printf(out, "</flags>\n");
    }
}

static const char vector_types[] = "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
                                   "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
                                   "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
                                   "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
                                   "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
                                   "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
                                   "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
                                   "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
                                   "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
                                   "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
                                   "</union>\n";

void gdb_target_xml(struct cpu *c, const struct gdb_view *v, struct buf *out)
{
    static const char *const features[FEATURES] = {"org.gnu.gdb.i386.core", "org.gnu.gdb.i386.sse",
                                                   "org.gnu.gdb.i386.segments", "org.doppel.i386.system"};
    const char *arch = architecture(c, v->arch);
    buf_printf(out, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n");
    if (arch) buf_printf(out, "<architecture>%s</architecture>\n", arch);
    buf_printf(out, "<osabi>none</osabi>\n");
    for (unsigned f = 0; f < FEATURES; f++) {
        unsigned n = 0;
        buf_printf(out, "<feature name=\"%s\">\n", features[f]);
        if (f == SSE) buf_printf(out, "%s", vector_types);
        for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
            if (regs[i].feature == f && !strncmp(regs[i].type, "i386_", 5)) flag_types(out, regs[i].type);
        for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
            const struct reg *r = &regs[i];
            if (!has_row(c, r)) continue;
            if (r->feature == f)
                buf_printf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" group=\"%s\" regnum=\"%u\"/>\n", r->name,
                           r->bits, r->type, r->group, n);
            n++;
        }
        buf_printf(out, "</feature>\n");
    }
    buf_printf(out, "</target>\n");
}
