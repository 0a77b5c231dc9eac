// SPDX-License-Identifier: MIT
// Segment registers: descriptors, their checks, what the fast paths derive from them; the stack; LAR, LSL, VERR, VERW.
// SDM vol. 3 chapters 3 and 5; order of checks and error codes from vol. 2 (MOV, POP, LDS, LLDT, LTR, LAR, LSL, VERR).
// Deviation: a null selector always clears the base (AMD before Zen 2 keeps that of FS and GS).
#include "cpu/access.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

enum { // types of system descriptors, SDM vol. 3 table 3-2
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS32 = 9
};
#define BIT_OF(type) (1u << (type))
// System types that LAR and LSL accept, in legacy and in long mode (SDM vol. 2, tables of LAR and LSL).
#define LAR_LEGACY (BIT_OF(1) | BIT_OF(2) | BIT_OF(3) | BIT_OF(4) | BIT_OF(5) | BIT_OF(9) | BIT_OF(11) | BIT_OF(12))
#define LAR_LONG   (BIT_OF(2) | BIT_OF(9) | BIT_OF(11) | BIT_OF(12))
#define LSL_LEGACY (BIT_OF(1) | BIT_OF(2) | BIT_OF(3) | BIT_OF(9) | BIT_OF(11))
#define LSL_LONG   (BIT_OF(2) | BIT_OF(9) | BIT_OF(11))

NORETURN void seg_fault(struct cpu *c, int vector, u32 sel) { cpu_raise_err(c, vector, (sel & 0xfffc) | c->exc_ext); }

// ---- descriptors

bool seg_desc_addr(struct cpu *c, u16 sel, unsigned n, u64 *lin)
{
    u32 off = sel & 0xfff8;
    if (sel & 4) {
        const struct seg *ldt = &c->seg[S_LDTR];
        *lin = ldt->base + off;
        return ldt->usable && off + n - 1 <= ldt->limit;
    }
    *lin = c->gdt_base + off;
    return off + n - 1 <= c->gdt_limit;
}

void seg_decode(struct desc *d, u32 lo, u32 hi)
{
    d->lo = lo;
    d->hi = hi;
    d->base = (lo >> 16) | (hi & 0xff) << 16 | (hi & 0xff000000);
    d->limit = (lo & 0xffff) | (hi & 0xf0000);
    if (hi >> 23 & 1) d->limit = d->limit << 12 | 0xfff;
    d->attr = (hi >> 8) & 0xf0ff;
}

// In long mode system descriptors (LDT, TSS, call gate) have 16 bytes; a half outside the table, or a type in the upper
// half that is not 0, counts as "not there" (SDM vol. 3 7.2.3).
bool seg_read_desc(struct cpu *c, u16 sel, struct desc *d, bool *ok_limit)
{
    u64 lin, raw;
    bool ok = seg_desc_addr(c, sel, 8, &lin);
    memset(d, 0, sizeof *d);
    if (ok) {
        raw = sys_load(c, lin, 8);
        seg_decode(d, (u32)raw, raw >> 32);
        if (cpu_lma(c) && !(d->attr & SEG_S)) {
            ok = seg_desc_addr(c, sel, 16, &lin);
            if (ok) {
                raw = sys_load(c, lin + 8, 8);
                d->base |= raw << 32;
                ok = (raw >> 40 & 0x1f) == 0;
            }
        }
    }
    if (ok_limit) *ok_limit = ok;
    return ok;
}

void seg_touch(struct cpu *c, u16 sel, struct desc *d)
{
    u64 lin;
    if (d->attr & SEG_ACCESSED || !seg_desc_addr(c, sel, 8, &lin)) return;
    d->attr |= SEG_ACCESSED;
    d->hi |= SEG_ACCESSED << 8;
    sys_store(c, lin + 5, d->attr & 0xff, 1);
}

// ---- what is derived

bool seg_in_limit(const struct seg *s, u64 ea, unsigned n)
{
    u64 last = ea + n - 1;
    if (!s->usable) return false;
    if ((s->attr & (SEG_CODE | SEG_DOWN)) == SEG_DOWN) // expand-down: (limit, FFFF or FFFFFFFF]
        return ea > s->limit && last <= (s->attr & SEG_DB ? 0xffffffff : 0xffff);
    return last <= s->limit;
}

static void derive(struct cpu *c, unsigned i)
{
    struct seg *s = &c->seg[i];
    if (cpu_code64(c)) {
        if (i <= S_DS) s->base = 0;
        s->rend = s->wend = ~(u64)0;
        return;
    }
    s->rend = s->wend = 0;
    if (!s->usable) return;
    bool code = s->attr & SEG_CODE;
    if (!code && (s->attr & SEG_DOWN)) return;
    // Linear addresses wrap at 4 GB; what would wrap takes the slow path.
    u64 end = (u64)s->limit + 1, room = 0x100000000 - (u32)s->base;
    if (end > room) end = room;
    bool any = cpu_real(c); // types are not checked in real mode
    if (any || !code || (s->attr & SEG_READ)) s->rend = end;
    if (any || (!code && (s->attr & SEG_WRITE))) s->wend = end;
}

void seg_update(struct cpu *c, unsigned seg)
{
    if (seg > S_GS) return;
    derive(c, seg);
    if (seg == S_CS || !cpu_code64(c)) cpu_update_mode(c); // in 64-bit code the others are not part of it
}

static u32 mode_compute(const struct cpu *c)
{
    u32 m = 0;
    bool pe = c->cr0 & CR0_PE, lma = c->efer & EFER_LMA, vm = pe && (c->eflags & FL_VM);
    u16 cs = c->seg[S_CS].attr;
    if (lma && (cs & SEG_L) && !vm)
        m = MODE_64 | MODE_SS32;
    else
        m = (cs & SEG_DB ? MODE_32 : MODE_16) | (c->seg[S_SS].attr & SEG_DB ? MODE_SS32 : 0);
    return m | (pe ? MODE_PE : 0) | (vm ? MODE_VM : 0) | (lma ? MODE_LMA : 0) | (c->cpl == 3 ? MODE_USER : 0);
}

// ES, CS, SS, DS from 0 to 4 GB, readable, and writable but for CS: the translator leaves the checks out.
static bool mode_flat(const struct cpu *c)
{
    const u64 all = 0x100000000;
    for (unsigned i = S_ES; i <= S_DS; i++) {
        const struct seg *s = &c->seg[i];
        if (s->base || s->rend != all || (i != S_CS && s->wend != all)) return false;
    }
    return true;
}

static struct tlb_set *tlb_choose(struct cpu *c)
{
    bool data_bp = false;
    if (c->dr[7] & 0xff)
        for (unsigned i = 0; i < 4; i++)
            if ((c->dr[7] >> (2 * i) & 3) && (c->dr[7] >> (16 + 4 * i) & 1)) data_bp = true; // R/W = 01 or 11
    if (data_bp) return &c->tlbs[TLBSET_NONE];
    if (c->cpl == 3) return &c->tlbs[(c->cr0 & CR0_AM) && (c->eflags & FL_AC) ? TLBSET_NONE : TLBSET_USER];
    if ((c->cr4 & CR4_SMAP) && !(c->eflags & FL_AC)) return &c->tlbs[TLBSET_KERNEL_NOUSER];
    return &c->tlbs[TLBSET_KERNEL];
}

void cpu_update_mode(struct cpu *c)
{
    u32 old = c->mode, now = mode_compute(c);
    c->mode = now;
    bool was64 = (old & MODE_CODE) == MODE_64, is64 = (now & MODE_CODE) == MODE_64;
    if (was64 != is64)
        for (unsigned i = S_ES; i <= S_DS; i++) {
            if (is64)
                c->seg[i].base_legacy = (u32)c->seg[i].base;
            else
                c->seg[i].base = c->seg[i].base_legacy;
        }
    if (was64 != is64 || ((old ^ now) & MODE_PE))
        for (unsigned i = S_ES; i <= S_GS; i++) derive(c, i);
    if (is64 || mode_flat(c)) c->mode |= MODE_FLAT;
    c->tlb = tlb_choose(c);
    c->mode |= (u32)(c->tlb - c->tlbs) << MODE_TLB_SHIFT;
    if (unlikely(c->witness != NULL)) tlb_reference(c);
    if (!(c->cr0 & (CR0_EM | CR0_TS))) {
        if (cpu_x87_quiet(c)) c->mode |= MODE_X87;
        if ((c->cr4 & CR4_OSFXSR) && (c->mxcsr & 0x1f80) == 0x1f80) c->mode |= MODE_SSE;
    }
    cpu_set_jump_context(c);
    bool insn_bp = false;
    if (c->dr[7] & 0xff)
        for (unsigned i = 0; i < 4; i++)
            if ((c->dr[7] >> (2 * i) & 3) && !(c->dr[7] >> (16 + 4 * i) & 3)) insn_bp = true;
    if ((old ^ c->mode) & (MODE_CODE | MODE_PE | MODE_VM | MODE_LMA)) cpu_hook(c, HOOK_MODE, old, c->mode, 0);
    bool each = c->hooks && c->hooks->each;
    if (insn_bp || each || (c->eflags & (FL_TF | FL_RF)) || cpu_virtual_interrupt(c))
        c->attn |= ATTN_DEBUG;
    else
        c->attn &= ~ATTN_DEBUG;
}

void seg_install(struct cpu *c, unsigned seg, u16 sel, const struct desc *d)
{
    struct seg *s = &c->seg[seg];
    s->sel = sel;
    s->base = d->base;
    s->base_legacy = (u32)d->base;
    s->limit = d->limit;
    s->attr = d->attr;
    s->usable = true;
    seg_update(c, seg);
}

void seg_install_null(struct cpu *c, unsigned seg, u16 sel)
{
    struct seg *s = &c->seg[seg];
    s->sel = sel;
    s->base = s->base_legacy = 0;
    s->limit = 0;
    // A null SS in 64-bit code keeps RPL as DPL (SDM vol. 3 5.4.1.1)
    s->attr = seg == S_SS ? (sel & 3) << 5 : 0;
    s->usable = false;
    seg_update(c, seg);
}

void seg_set_flat64(struct cpu *c, unsigned seg, u16 sel, bool code, unsigned dpl, bool long_mode)
{
    struct desc d = {.limit = 0xffffffff};
    d.attr = SEG_G | SEG_P | SEG_S | SEG_ACCESSED | SEG_READ | dpl << 5 | (code ? SEG_CODE : 0);
    d.attr |= code && long_mode ? SEG_L : SEG_DB;
    seg_install(c, seg, sel, &d);
}

// Real mode leaves limit and attributes alone (big real mode); virtual-8086 mode sets them (SDM vol. 3 20.1.1, 20.2.1).
void seg_load_real(struct cpu *c, unsigned seg, u16 sel)
{
    struct seg *s = &c->seg[seg];
    s->sel = sel;
    s->base = s->base_legacy = (u32)sel << 4;
    if ((c->cr0 & CR0_PE) && (c->eflags & FL_VM)) {
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_S | SEG_DPL | SEG_WRITE | SEG_ACCESSED;
    } else if (!s->usable) {
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_S | SEG_WRITE | SEG_ACCESSED;
    }
    s->usable = true;
    seg_update(c, seg);
}

// ---- loads

static void load_ss(struct cpu *c, u16 sel)
{
    struct desc d;
    unsigned rpl = sel & 3;
    if (sel_null(sel)) {
        if (!cpu_code64(c) || c->cpl == 3 || rpl != c->cpl) cpu_raise_err(c, EXC_GP, 0);
        seg_install_null(c, S_SS, sel);
        return;
    }
    if (!seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_GP, sel);
    if (rpl != c->cpl || !attr_is_data(d.attr) || !(d.attr & SEG_WRITE) || attr_dpl(d.attr) != c->cpl)
        seg_fault(c, EXC_GP, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_SS, sel);
    seg_touch(c, sel, &d);
    seg_install(c, S_SS, sel, &d);
}

void seg_load(struct cpu *c, unsigned seg, u16 sel)
{
    struct desc d;
    if (!cpu_protected(c)) {
        seg_load_real(c, seg, sel);
        return;
    }
    if (seg == S_SS) {
        load_ss(c, sel);
        return;
    }
    if (sel_null(sel)) {
        seg_install_null(c, seg, sel);
        return;
    }
    if (!seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_GP, sel);
    bool code = attr_is_code(d.attr);
    if (!(d.attr & SEG_S) || (code && !(d.attr & SEG_READ))) seg_fault(c, EXC_GP, sel);
    if (!(code && (d.attr & SEG_CONFORMING)) && ((sel & 3) > attr_dpl(d.attr) || c->cpl > attr_dpl(d.attr)))
        seg_fault(c, EXC_GP, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    seg_touch(c, sel, &d);
    seg_install(c, seg, sel, &d);
}

void seg_drop_inner(struct cpu *c)
{
    static const u8 which[] = {S_ES, S_FS, S_GS, S_DS};
    for (unsigned i = 0; i < 4; i++) {
        struct seg *s = &c->seg[which[i]];
        if (s->usable && attr_dpl(s->attr) < c->cpl && !(attr_is_code(s->attr) && (s->attr & SEG_CONFORMING)))
            seg_install_null(c, which[i], 0);
        else if (!s->usable && sel_null(s->sel))
            s->sel = 0;
    }
}

void seg_load_ldt(struct cpu *c, u16 sel)
{
    struct desc d;
    if (sel_null(sel)) {
        seg_install_null(c, S_LDTR, sel);
        return;
    }
    if ((sel & 4) || !seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_GP, sel);
    if ((d.attr & (SEG_S | SEG_TYPE)) != SYS_LDT) seg_fault(c, EXC_GP, sel);
    if (cpu_lma(c) && !lin_canonical(d.base)) seg_fault(c, EXC_GP, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    seg_install(c, S_LDTR, sel, &d);
}

void seg_load_tr(struct cpu *c, u16 sel)
{
    struct desc d;
    u64 lin;
    if (sel_null(sel)) cpu_raise_err(c, EXC_GP, 0);
    if ((sel & 4) || !seg_read_desc(c, sel, &d, NULL)) seg_fault(c, EXC_GP, sel);
    unsigned type = d.attr & (SEG_S | SEG_TYPE);
    if (type != SYS_TSS32 && (type != SYS_TSS16 || cpu_lma(c))) seg_fault(c, EXC_GP, sel);
    if (cpu_lma(c) && !lin_canonical(d.base)) seg_fault(c, EXC_GP, sel);
    if (!(d.attr & SEG_P)) seg_fault(c, EXC_NP, sel);
    seg_desc_addr(c, sel, 8, &lin);
    d.attr |= 2; // busy
    sys_store(c, lin + 5, d.attr & 0xff, 1);
    seg_install(c, S_TR, sel, &d);
}

// ---- looking at descriptors

// Common to LAR and LSL: there, of a type in `sys` if it is a system descriptor, visible at this privilege.
static bool inspect(struct cpu *c, u16 sel, struct desc *d, u32 sys)
{
    if (sel_null(sel) || !seg_read_desc(c, sel, d, NULL)) return false;
    if (!(d->attr & SEG_S) && !(sys >> (d->attr & SEG_TYPE) & 1)) return false;
    if (attr_is_code(d->attr) && (d->attr & SEG_CONFORMING)) return true;
    return attr_dpl(d->attr) >= c->cpl && attr_dpl(d->attr) >= (sel & 3u);
}

bool seg_lar(struct cpu *c, u16 sel, u32 *rights)
{
    struct desc d;
    if (!inspect(c, sel, &d, cpu_lma(c) ? LAR_LONG : LAR_LEGACY)) return false;
    *rights = d.hi & 0x00ffff00; // bits 16-19 undefined (SDM): processors leave the limit's there
    return true;
}

bool seg_lsl(struct cpu *c, u16 sel, u32 *limit)
{
    struct desc d;
    if (!inspect(c, sel, &d, cpu_lma(c) ? LSL_LONG : LSL_LEGACY)) return false;
    *limit = d.limit;
    return true;
}

bool seg_verify(struct cpu *c, u16 sel, bool write)
{
    struct desc d;
    if (!inspect(c, sel, &d, 0)) return false;
    if (write) return attr_is_data(d.attr) && (d.attr & SEG_WRITE);
    return attr_is_data(d.attr) || (d.attr & SEG_READ);
}

// ---- instruction pointer

void seg_set_ip(struct cpu *c, u64 rip, unsigned opsize)
{
    if (cpu_code64(c)) {
        // near branches have 64-bit operands in 64-bit mode; AMD lets 66h cut RIP to 16 bits, Intel ignores it
        if (opsize == 2) rip &= 0xffff;
        if (!lin_canonical(rip)) cpu_raise_err(c, EXC_GP, 0);
    } else {
        rip &= opsize == 2 ? 0xffff : 0xffffffff;
        if (rip > c->seg[S_CS].limit) cpu_raise_err(c, EXC_GP, 0);
    }
    c->gpr[R_RIP] = rip;
}

// ---- the stack

static u64 stack_mask(const struct cpu *c)
{
    return cpu_code64(c) ? ~(u64)0 : c->mode & MODE_SS32 ? 0xffffffff : 0xffff;
}

static void stack_set(struct cpu *c, u64 sp)
{
    u64 mask = stack_mask(c);
    if (mask == 0xffff)
        c->gpr[R_RSP] = (c->gpr[R_RSP] & ~mask) | (sp & mask);
    else
        c->gpr[R_RSP] = sp & mask;
}

void stack_push(struct cpu *c, u64 v, unsigned size)
{
    u64 sp = (c->gpr[R_RSP] - size) & stack_mask(c);
    mem_store(c, S_SS, sp, v, size);
    stack_set(c, sp);
}

u64 stack_peek(struct cpu *c, unsigned off, unsigned size)
{
    return mem_load(c, S_SS, (c->gpr[R_RSP] + off) & stack_mask(c), size);
}

void stack_add(struct cpu *c, i64 n) { stack_set(c, c->gpr[R_RSP] + (u64)n); }

// ---- frames

void frame_present(struct cpu *c, struct frame *f, unsigned size)
{
    f->ss = c->seg[S_SS];
    f->sp = c->gpr[R_RSP];
    f->size = size;
    f->n = 0;
    f->present = true;
    f->flat = cpu_code64(c);
    f->err = c->exc_ext;
}

static u64 frame_mask(const struct frame *f) { return f->flat ? ~(u64)0 : f->ss.attr & SEG_DB ? 0xffffffff : 0xffff; }

static u64 frame_lin(const struct frame *f, u64 ea) { return f->flat ? ea : (u32)(f->ss.base + ea); }

// The lowest slot's address if the frame lies in one piece (no wrap of SP, none of the linear address).
static bool frame_whole(const struct frame *f, u64 *low)
{
    u64 mask = frame_mask(f), total = f->n * f->size;
    *low = (f->sp - total) & mask;
    return *low + total - 1 >= *low && *low + total - 1 <= mask &&
           (f->flat || frame_lin(f, *low) <= 0xffffffff - total);
}

// Stacks of inner levels are reached with supervisor rights though CPL is still the old one.
void frame_check(struct cpu *c, struct frame *f)
{
    u64 mask = frame_mask(f), low;
    if (!f->n) return;
    for (unsigned i = 1; i <= f->n; i++) {
        u64 ea = (f->sp - i * f->size) & mask;
        bool ok = f->flat ? lin_canonical(ea) && lin_canonical(ea + f->size - 1) : seg_in_limit(&f->ss, ea, f->size);
        if (!ok) cpu_raise_err(c, EXC_SS, f->err);
    }
    if (frame_whole(f, &low)) {
        if (f->present)
            mem_probe(c, S_SS, low, f->n * f->size, ACC_WRITE);
        else
            sys_probe(c, frame_lin(f, low), f->n * f->size, ACC_WRITE);
        return;
    }
    for (unsigned i = 1; i <= f->n; i++) {
        u64 ea = (f->sp - i * f->size) & mask;
        if (f->present)
            mem_probe(c, S_SS, ea, f->size, ACC_WRITE);
        else
            sys_probe(c, frame_lin(f, ea), f->size, ACC_WRITE);
    }
}

u64 frame_commit(struct cpu *c, struct frame *f)
{
    u64 mask = frame_mask(f);
    for (unsigned i = 0; i < f->n; i++) {
        u64 ea = (f->sp - (i + 1) * f->size) & mask;
        if (f->present) {
            mem_store(c, S_SS, ea, f->v[i], f->size);
        } else {
            sys_store(c, frame_lin(f, ea), f->v[i], f->size);
            debug_check_data(c, frame_lin(f, ea), f->size, true);
        }
    }
    u64 sp = (f->sp - f->n * f->size) & mask;
    return mask == 0xffff ? (f->sp & ~mask) | sp : sp;
}
