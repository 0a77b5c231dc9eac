// SPDX-License-Identifier: MIT
// A processor's life: birth, power-on reset, INIT, pins, saved state, `info registers`. Reset values: SDM vol. 3 table
// 9-1. Part "cpuN". No SMM.
#include <stdlib.h>
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/fpu/x87.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/state.h"

NORETURN void cpu_raise(struct cpu *c, int vector)
{
    c->exc = vector;
    c->exc_has_err = false;
    c->exc_err = 0;
    c->exc_ext = false;
    if (!c->fault) panic("cpu%u: exception %d with nobody to catch it", c->index, vector);
    longjmp(*c->fault, 1);
}

NORETURN void cpu_raise_err(struct cpu *c, int vector, u32 err)
{
    c->exc = vector;
    // Real mode pushes no error codes; delivery there ignores it.
    c->exc_has_err = true;
    c->exc_err = err;
    c->exc_ext = false;
    if (!c->fault) panic("cpu%u: exception %d (%x) with nobody to catch it", c->index, vector, err);
    longjmp(*c->fault, 1);
}

// ---- reset

// What RESET and INIT have in common (SDM vol. 3 table 9-1).
static void reset_common(struct cpu *c)
{
    const struct cpu_model *m = c->model;
    memset(c->gpr, 0, sizeof c->gpr);
    c->gpr[R_RDX] = (m->stepping & 15) | (m->model & 15) << 4 | min_u64(m->family, 15) << 8 | (m->model >> 4) << 16 |
                    (m->family > 15 ? m->family - 15 : 0) << 20;
    c->gpr[R_RIP] = 0xfff0;
    c->cc_op = CC_EFLAGS;
    c->cc_dst = c->cc_src = 0;
    c->eflags = FL_R1;
    c->cpl = 0;
    for (unsigned i = 0; i < S_COUNT; i++) {
        struct seg *s = &c->seg[i];
        memset(s, 0, sizeof *s);
        s->limit = 0xffff;
        s->usable = true;
        s->attr = SEG_P | SEG_S | SEG_WRITE | SEG_ACCESSED;
    }
    c->seg[S_CS].sel = 0xf000;
    c->seg[S_CS].base = c->seg[S_CS].base_legacy = 0xffff0000;
    c->seg[S_CS].attr |= SEG_CODE;
    c->seg[S_LDTR].attr = SEG_P | 2;
    c->seg[S_TR].attr = SEG_P | 11;
    c->gdt_base = c->idt_base = 0;
    c->gdt_limit = c->idt_limit = 0xffff;
    c->cr2 = c->cr3 = c->cr4 = 0;
    c->efer = 0;
    memset(c->pdpte, 0, sizeof c->pdpte);
    memset(c->dr, 0, sizeof c->dr);
    c->dr[6] = 0xffff0ff0;
    c->dr[7] = 0x400;
    c->dr6_pending = 0;
    c->inhibit_db = c->nmi_blocked = false;
    c->monitor_armed = c->rep_pending = c->rep_middle = false;
    c->exc = c->exc_first = -1;
    c->exc_has_err = c->exc_here = c->exc_ext = false;
    c->event_at = ~(u64)0;
    c->cur = NULL;
    c->attn = (c->attn & (ATTN_INTR | ATTN_EXIT)) | ATTN_CODE;
    c->mode = 0;
    for (unsigned i = S_ES; i <= S_GS; i++) seg_update(c, i);
    cpu_update_mode(c);
}

static void reset_msrs(struct cpu *c)
{
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
    c->tsc_aux = c->tsc_adjust = c->tsc_offset = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->pat = 0x0007040600070406;
    c->misc_enable = 1; // fast strings
    c->feature_control = 1;
    c->mtrr_def = 0;
    memset(c->mtrr_fixed, 0, sizeof c->mtrr_fixed);
    memset(c->mtrr_base, 0, sizeof c->mtrr_base);
    memset(c->mtrr_mask, 0, sizeof c->mtrr_mask);
    c->mcg_status = c->spec_ctrl = c->hwcr = c->syscfg = c->de_cfg = c->top_mem = c->top_mem2 = c->debugctl = 0;
}

void cpu_reset(struct cpu *c)
{
    c->cr0 = CR0_CD | CR0_NW | CR0_ET;
    if (!cpu_has(c, FEAT_I486)) c->cr0 = CR0_ET;
    reset_common(c);
    reset_msrs(c);
    c->xcr0 = 1;
    x87_reset(&c->fpu);
    c->mxcsr = 0x1f80;
    memset(c->vec, 0, sizeof c->vec);
    memset(c->k, 0, sizeof c->k);
    c->monitor_addr = 0;
    c->sipi_vector = 0;
    c->attn &= ~(u32)ATTN_INTR;
    c->halt = c->index == 0 ? CPU_RUNNING : CPU_WAIT_SIPI;
    tlb_flush(c, true);
    if (c->engine && c->engine->flush) c->engine->flush(c);
}

void cpu_init_signal(struct cpu *c)
{
    u32 sipi = c->attn & ATTN_SIPI;                 // it came behind the INIT, see cpu_init_pin()
    c->cr0 = (c->cr0 & (CR0_CD | CR0_NW)) | CR0_ET; // caches stay as they are
    reset_common(c);
    c->attn |= sipi;
    c->halt = c->index == 0 ? CPU_RUNNING : CPU_WAIT_SIPI;
    tlb_flush(c, true);
}

void cpu_set_a20(struct cpu *c, bool on)
{
    u64 mask = on ? ~(u64)0 : ~((u64)1 << 20);
    if (mask == c->a20_mask) return;
    c->a20_mask = mask;
    tlb_flush(c, true); // physical addresses changed, global pages' too
    c->attn |= ATTN_CODE;
    if (c->engine && c->engine->flush) c->engine->flush(c);
}

// ---- pins

void cpu_set_intr(struct cpu *c, int level)
{
    if (level)
        c->attn |= ATTN_INTR;
    else
        c->attn &= ~(u32)ATTN_INTR;
}
void cpu_nmi(struct cpu *c) { c->attn |= ATTN_NMI; }
// The sender need not wait between INIT and SIPI: both may be pending when the CPU looks. One from before counts no
// more.
void cpu_init_pin(struct cpu *c) { c->attn = (c->attn & ~(u32)ATTN_SIPI) | ATTN_INIT; }
void cpu_sipi(struct cpu *c, u8 vector)
{
    c->sipi_vector = vector;
    c->attn |= ATTN_SIPI;
}

// ---- saved state

static void seg_state(struct state *s, struct seg *seg, unsigned i)
{
    static const char *const names[S_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    char n[24];
    struct {
        const char *suffix;
        u64 *v64;
        u32 *v32;
        u16 *v16;
    } f[] = {{"base", &seg->base, NULL, NULL},
             {"base_legacy", NULL, &seg->base_legacy, NULL},
             {"limit", NULL, &seg->limit, NULL},
             {"sel", NULL, NULL, &seg->sel},
             {"attr", NULL, NULL, &seg->attr}};
    for (unsigned k = 0; k < ARRAY_LEN(f); k++) {
        snprintf(n, sizeof n, "%s_%s", names[i], f[k].suffix);
        if (f[k].v64) state_u64(s, n, f[k].v64);
        if (f[k].v32) state_u32(s, n, f[k].v32);
        if (f[k].v16) state_u16(s, n, f[k].v16);
    }
    snprintf(n, sizeof n, "%s_usable", names[i]);
    state_bool(s, n, &seg->usable);
}

static void vec_state(struct state *s, struct cpu *c)
{
    char n[16];
    for (unsigned i = 0; i < 32; i++) {
        snprintf(n, sizeof n, "zmm%u", i);
        state_u64s(s, n, c->vec[i].q, 8);
    }
    state_u64s(s, "k", c->k, 8);
    state_u32(s, "mxcsr", &c->mxcsr);
}

static void fpu_state(struct state *s, struct fpu *f)
{
    state_u64s(s, "fpu_m", f->m, 8);
    state_u16s(s, "fpu_se", f->se, 8);
    state_u16(s, "fcw", &f->fcw);
    state_u16(s, "fsw", &f->fsw);
    state_u16(s, "fop", &f->fop);
    state_u8(s, "ftags", &f->tags);
    state_u16(s, "fcs", &f->fcs);
    state_u16(s, "fds", &f->fds);
    state_u64(s, "fip", &f->fip);
    state_u64(s, "fdp", &f->fdp);
}

static void msr_state(struct state *s, struct cpu *c)
{
    state_u64(s, "efer", &c->efer);
    state_u64(s, "star", &c->star);
    state_u64(s, "lstar", &c->lstar);
    state_u64(s, "cstar", &c->cstar);
    state_u64(s, "sfmask", &c->sfmask);
    state_u64(s, "kernel_gs_base", &c->kernel_gs_base);
    state_u64(s, "tsc_aux", &c->tsc_aux);
    state_u64(s, "tsc_adjust", &c->tsc_adjust);
    state_u64(s, "tsc_offset", &c->tsc_offset);
    state_u64(s, "sysenter_cs", &c->sysenter_cs);
    state_u64(s, "sysenter_esp", &c->sysenter_esp);
    state_u64(s, "sysenter_eip", &c->sysenter_eip);
    state_u64(s, "pat", &c->pat);
    state_u64(s, "misc_enable", &c->misc_enable);
    state_u64(s, "feature_control", &c->feature_control);
    state_u64(s, "mtrr_def", &c->mtrr_def);
    state_u64s(s, "mtrr_fixed", c->mtrr_fixed, ARRAY_LEN(c->mtrr_fixed));
    state_u64s(s, "mtrr_base", c->mtrr_base, ARRAY_LEN(c->mtrr_base));
    state_u64s(s, "mtrr_mask", c->mtrr_mask, ARRAY_LEN(c->mtrr_mask));
    state_u64(s, "mcg_status", &c->mcg_status);
    state_u64(s, "spec_ctrl", &c->spec_ctrl);
    state_u64(s, "hwcr", &c->hwcr);
    state_u64(s, "syscfg", &c->syscfg);
    state_u64(s, "de_cfg", &c->de_cfg);
    state_u64(s, "top_mem", &c->top_mem);
    state_u64(s, "top_mem2", &c->top_mem2);
    state_u64(s, "debugctl", &c->debugctl);
    state_u64(s, "monitor_addr", &c->monitor_addr);
    state_bool(s, "monitor_armed", &c->monitor_armed);
}

static void run_state(struct state *s, struct cpu *c)
{
    const u32 kept = ATTN_INTR | ATTN_NMI | ATTN_INIT | ATTN_SIPI | ATTN_SHADOW | ATTN_TRAP;
    int halt = c->halt;
    u32 attn = c->attn & kept;
    bool inhibit_db = c->inhibit_db && (attn & ATTN_SHADOW); // else it says nothing
    state_u64(s, "icount", &c->icount);
    state_int(s, "halt", &halt);
    state_u32(s, "attn", &attn);
    state_bool(s, "inhibit_db", &inhibit_db);
    state_bool(s, "nmi_blocked", &c->nmi_blocked);
    state_u8(s, "sipi_vector", &c->sipi_vector);
    state_u64(s, "dr6_pending", &c->dr6_pending);
    state_u64(s, "a20_mask", &c->a20_mask);
    state_u8(s, "cpl", &c->cpl);
    if (!state_loading(s)) return;
    if (halt < CPU_RUNNING || halt > CPU_SHUTDOWN) state_fail(s, "halt state %d does not exist", halt);
    if (attn & ~kept) state_fail(s, "nobody would take notice of %x in attn", attn & ~kept);
    if (c->cpl > 3) state_fail(s, "privilege level %u does not exist", c->cpl);
    if (!state_ok(s)) return;
    c->halt = halt;
    c->attn = attn | ATTN_CODE;
    c->inhibit_db = inhibit_db;
}

// What a loaded file may not contradict: the engines index by these.
static void after_load(struct state *s, struct cpu *c)
{
    if (!state_ok(s)) return;
    if ((c->cr0 & CR0_PG && !(c->cr0 & CR0_PE)) || (c->efer & EFER_LMA && !cpu_has(c, FEAT_LM))) {
        state_fail(s, "the control registers contradict each other or the CPU model");
        return;
    }
    c->gpr[R_ZERO] = 0;
    c->eflags |= FL_R1;
    c->cc_op = CC_EFLAGS;
    c->exc = c->exc_first = -1;
    c->exc_ext = false;
    c->event_at = ~(u64)0;
    c->cur = NULL;
    c->mode = 0;
    if ((c->efer & EFER_LMA) && (c->seg[S_CS].attr & SEG_L)) c->mode = MODE_64; // bases are in their 64-bit form
    cpu_update_mode(c);
    for (unsigned i = S_ES; i <= S_GS; i++) seg_update(c, i);
    tlb_flush(c, true);
    if (c->engine && c->engine->flush) c->engine->flush(c);
}

static void cpu_state(struct state *s, void *self)
{
    struct cpu *c = self;
    if (!state_loading(s)) flags_get(c);
    state_u64s(s, "gpr", c->gpr, R_COUNT);
    state_u32(s, "eflags", &c->eflags);
    for (unsigned i = 0; i < S_COUNT; i++) seg_state(s, &c->seg[i], i);
    state_u64(s, "gdt_base", &c->gdt_base);
    state_u16(s, "gdt_limit", &c->gdt_limit);
    state_u64(s, "idt_base", &c->idt_base);
    state_u16(s, "idt_limit", &c->idt_limit);
    state_u64(s, "cr0", &c->cr0);
    state_u64(s, "cr2", &c->cr2);
    state_u64(s, "cr3", &c->cr3);
    state_u64(s, "cr4", &c->cr4);
    state_u64(s, "xcr0", &c->xcr0);
    state_u64s(s, "dr", c->dr, 8);
    state_u64s(s, "pdpte", c->pdpte, 4);
    msr_state(s, c);
    fpu_state(s, &c->fpu);
    vec_state(s, c);
    run_state(s, c);
    if (state_loading(s)) after_load(s, c);
}

// ---- info registers, in QEMU's layout

static void dump_seg(const struct cpu *c, struct buf *out, unsigned i)
{
    static const char names[S_COUNT][5] = {"ES ", "CS ", "SS ", "DS ", "FS ", "GS ", "LDT", "TR "};
    const struct seg *s = &c->seg[i];
    u32 flags = s->usable ? ((u32)s->attr & 0xff) << 8 | ((u32)s->attr & 0xf000) << 8 : 0;
    u32 limit_bits = s->attr & SEG_G ? s->limit >> 12 : s->limit;
    flags |= s->usable ? limit_bits & 0xf0000 : 0;
    if (cpu_lma(c))
        buf_printf(out, "%s=%04x %016llx %08x %08x", names[i], s->sel, (unsigned long long)s->base, s->limit, flags);
    else
        buf_printf(out, "%s=%04x %08x %08x %08x", names[i], s->sel, (u32)s->base, s->limit, flags);
    if (cpu_real(c) || !s->usable) {
        buf_printf(out, "\n");
        return;
    }
    buf_printf(out, " DPL=%u ", attr_dpl(s->attr));
    if (s->attr & SEG_S) {
        if (s->attr & SEG_CODE)
            buf_printf(out, "%s [%c%c",
                       s->attr & SEG_L    ? "CS64"
                       : s->attr & SEG_DB ? "CS32"
                                          : "CS16",
                       s->attr & SEG_CONFORMING ? 'C' : '-', s->attr & SEG_READ ? 'R' : '-');
        else
            buf_printf(out, "%s [%c%c", s->attr & SEG_DB || cpu_lma(c) ? "DS  " : "DS16",
                       s->attr & SEG_DOWN ? 'E' : '-', s->attr & SEG_WRITE ? 'W' : '-');
        buf_printf(out, "%c]", s->attr & SEG_ACCESSED ? 'A' : '-');
    } else {
        static const char *const types[2][16] = {
            {"Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16", "TrapGate16",
             "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32"},
            {"<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved", "Reserved", "Reserved",
             "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64", "Reserved", "IntGate64", "TrapGate64"}};
        buf_printf(out, "%s", types[cpu_lma(c)][s->attr & 15]);
    }
    buf_printf(out, "\n");
}

static void dump_gprs(struct cpu *c, struct buf *out)
{
    static const char names[16][4] = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
                                      "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
    static const u8 order[16] = {R_RAX, R_RBX, R_RCX, R_RDX, R_RSI, R_RDI, R_RBP, R_RSP, 8, 9, 10, 11, 12, 13, 14, 15};
    u32 fl = flags_get(c);
    bool wide = cpu_code64(c);
    for (unsigned i = 0; i < (wide ? 16 : 8); i++) {
        char end = i % 4 == 3 ? '\n' : ' ';
        if (wide)
            buf_printf(out, "%s=%016llx%c", names[i], (unsigned long long)c->gpr[order[i]], end);
        else
            buf_printf(out, "E%c%c=%08x%c", names[i][1], names[i][2], (u32)c->gpr[order[i]], end);
    }
    if (wide)
        buf_printf(out, "RIP=%016llx RFL=%08x", (unsigned long long)c->gpr[R_RIP], fl);
    else
        buf_printf(out, "EIP=%08x EFL=%08x", (u32)c->gpr[R_RIP], fl);
    buf_printf(out, " [%c%c%c%c%c%c%c] CPL=%u II=%u A20=%u SMM=0 HLT=%u\n", fl & FL_DF ? 'D' : '-',
               fl & FL_OF ? 'O' : '-', fl & FL_SF ? 'S' : '-', fl & FL_ZF ? 'Z' : '-', fl & FL_AF ? 'A' : '-',
               fl & FL_PF ? 'P' : '-', fl & FL_CF ? 'C' : '-', c->cpl, !!(c->attn & ATTN_SHADOW),
               (unsigned)(c->a20_mask >> 20 & 1), c->halt != CPU_RUNNING);
}

static void dump_fpu(const struct cpu *c, struct buf *out)
{
    const struct fpu *f = &c->fpu;
    unsigned top = f->fsw >> 11 & 7;
    buf_printf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", f->fcw, f->fsw, top, f->tags, c->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        buf_printf(out, "FPR%u=%016llx %04x%c", i, (unsigned long long)f->m[i], f->se[i], i & 1 ? '\n' : ' ');
    for (unsigned i = 0; i < (cpu_code64(c) ? 16 : 8); i++)
        buf_printf(out, "XMM%02u=%016llx %016llx%c", i, (unsigned long long)c->vec[i].q[1],
                   (unsigned long long)c->vec[i].q[0], i & 1 ? '\n' : ' ');
}

void cpu_dump(struct cpu *c, struct buf *out)
{
    bool lma = cpu_lma(c);
    dump_gprs(c, out);
    for (unsigned i = 0; i < S_COUNT; i++) dump_seg(c, out, i);
    if (lma) {
        buf_printf(out, "GDT=     %016llx %08x\nIDT=     %016llx %08x\n", (unsigned long long)c->gdt_base, c->gdt_limit,
                   (unsigned long long)c->idt_base, c->idt_limit);
        buf_printf(out, "CR0=%08x CR2=%016llx CR3=%016llx CR4=%08x\n", (u32)c->cr0, (unsigned long long)c->cr2,
                   (unsigned long long)c->cr3, (u32)c->cr4);
    } else {
        buf_printf(out, "GDT=     %08x %08x\nIDT=     %08x %08x\n", (u32)c->gdt_base, c->gdt_limit, (u32)c->idt_base,
                   c->idt_limit);
        buf_printf(out, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", (u32)c->cr0, (u32)c->cr2, (u32)c->cr3, (u32)c->cr4);
    }
    for (unsigned i = 0; i < 4; i++) buf_printf(out, "DR%u=%016llx ", i, (unsigned long long)c->dr[i]);
    buf_printf(out, "\nDR6=%016llx DR7=%016llx\n", (unsigned long long)c->dr[6], (unsigned long long)c->dr[7]);
    buf_printf(out, "EFER=%016llx\n", (unsigned long long)c->efer);
    dump_fpu(c, out);
}

// ---- birth

static void part_reset(void *self) { cpu_reset(self); }
static void part_info(void *self, struct buf *out) { cpu_dump(self, out); }
static void part_free(void *self) { cpu_free(self); }
static const struct part_ops part_ops = {.reset = part_reset, .state = cpu_state, .info = part_info, .free = part_free};

struct cpu *cpu_new(struct bus *b, unsigned index, const struct cpu_model *model, const struct cpu_engine *engine,
                    const struct cpu_pins *pins)
{
    char name[16];
    struct cpu *c = aligned_alloc(64, align_up(sizeof *c, 64));
    if (!c) panic("no memory for a CPU");
    memset(c, 0, sizeof *c);
    c->bus = b;
    c->index = c->apic_id = index;
    c->model = model;
    memcpy(c->feat, model->feat, sizeof c->feat);
    c->decoder = decoder_new(c->feat);
    c->engine = engine;
    if (pins) c->pins = *pins;
    c->a20_mask = ~(u64)0;
    c->phys_mask = ((u64)1 << model->phys_bits) - 1;
    c->icount_limit = c->icount_stop = ~(u64)0;
    c->trail = xalloc(sizeof *c->trail);
    tlb_create(c);
    if (engine && engine->create) c->engine_data = engine->create(c);
    cpu_reset(c);
    snprintf(name, sizeof name, "cpu%u", index);
    part_add(&b->parts, name, &part_ops, c);
    return c;
}

void cpu_free(struct cpu *c)
{
    if (c->engine && c->engine->destroy) c->engine->destroy(c);
    tlb_destroy(c);
    free(c->trail);
    decoder_free((struct decoder *)c->decoder);
    free(c);
}
