// SPDX-License-Identifier: MIT
// Topics of `info` about descriptor tables: GDT, LDT, IDT, the real mode's vectors, the TSS, and the segment registers
// with their hidden parts, in Bochs' layouts. SDM vol. 3 3.4.5, 3.5, 5.8.3, 6.11, 7.2.
#include <stdio.h>
#include <string.h>
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/symbols.h"

struct raw {
    u32 lo, hi;
    u64 upper; // of 16-byte entries in long mode
};

static void print_segment(struct buf *out, const struct desc *d)
{
    bool code = d->attr & SEG_CODE;
    buf_printf(out, "%s segment, base=0x%08llx, limit=0x%08x, ", code ? "Code" : "Data", (unsigned long long)d->base,
               d->limit);
    if (code)
        buf_printf(out, "%s, %s", d->attr & SEG_READ ? "Execute/Read" : "Execute-Only",
                   d->attr & SEG_CONFORMING ? "Conforming" : "Non-Conforming");
    else
        buf_printf(out, "%s%s", d->attr & SEG_WRITE ? "Read/Write" : "Read-Only",
                   d->attr & SEG_DOWN ? ", Expand-down" : "");
    if (d->attr & SEG_ACCESSED) buf_printf(out, ", Accessed");
    if (code || d->attr & SEG_DB || d->attr & SEG_DOWN)
        buf_printf(out, ", %s-bit", d->attr & SEG_L && code ? "64" : d->attr & SEG_DB ? "32" : "16");
}

static void print_gate(struct cpu *c, struct buf *out, const struct raw *r, const char *kind, bool wide)
{
    u64 off = (r->lo & 0xffff) | (wide ? r->hi & 0xffff0000 : 0) | r->upper << 32;
    const char *name = symbol_text(c, off);
    buf_printf(out, "%s target=0x%04x:0x%0*llx%s%s%s, DPL=%u", kind, r->lo >> 16, wide ? 8 : 4, (unsigned long long)off,
               *name ? " <" : "", name, *name ? ">" : "", r->hi >> 13 & 3);
}

// One entry of a table; `lma`: system descriptors have 16 bytes and only the 64-bit types exist.
static void print_desc(struct cpu *c, struct buf *out, const struct raw *r, bool lma)
{
    struct desc d;
    seg_decode(&d, r->lo, r->hi);
    unsigned type = d.attr & SEG_TYPE, dpl = attr_dpl(d.attr);
    if (!r->lo && !r->hi) {
        buf_printf(out, "<null descriptor>");
        return;
    }
    if (d.attr & SEG_S) {
        print_segment(out, &d);
        buf_printf(out, ", DPL=%u", dpl);
    } else {
        static const char *const gates[16] = {
            [4] = "16-Bit Call Gate",  [6] = "16-Bit Interrupt Gate",  [7] = "16-Bit Trap Gate",
            [12] = "32-Bit Call Gate", [14] = "32-Bit Interrupt Gate", [15] = "32-Bit Trap Gate"};
        static const char *const gates64[16] = {
            [12] = "64-Bit Call Gate", [14] = "64-Bit Interrupt Gate", [15] = "64-Bit Trap Gate"};
        u64 base = d.base | (lma ? r->upper << 32 : 0);
        if (type == 2 || type == 9 || type == 11 || (!lma && (type == 1 || type == 3))) {
            buf_printf(out, "%s%s at 0x%08llx, length 0x%05x, DPL=%u",
                       type == 2  ? "LDT"
                       : lma      ? "64-Bit TSS"
                       : type & 8 ? "32-Bit TSS"
                                  : "16-Bit TSS",
                       type == 2  ? ""
                       : type & 2 ? " (Busy)"
                                  : " (Available)",
                       (unsigned long long)base, d.limit, dpl);
        } else if (type == 5 && !lma) {
            buf_printf(out, "Task Gate target=0x%04x, DPL=%u", r->lo >> 16, dpl);
        } else if ((lma ? gates64 : gates)[type]) {
            print_gate(c, out, r, (lma ? gates64 : gates)[type], type & 8);
            if ((type & 7) == 4 && !lma) buf_printf(out, ", %u parameters", r->hi & 31);
            if (type >= 14 && lma && (r->hi & 7)) buf_printf(out, ", IST%u", r->hi & 7);
        } else {
            buf_printf(out, "??? descriptor hi=0x%08x, lo=0x%08x", r->hi, r->lo);
            return;
        }
    }
    if (!(d.attr & SEG_P)) buf_printf(out, ", not present");
}

// [FIRST [LAST]] of a table with n entries; false: wrong.
static bool range_args(struct mon_call *a, const char *what, u64 n, u64 *first, u64 *last)
{
    *first = 0;
    *last = n ? n - 1 : 0;
    if (a->argc > 0 && !mon_number(a, what, a->argv[0], first)) return false;
    if (a->argc > 0) *last = *first;
    if (a->argc > 1 && !mon_number(a, what, a->argv[1], last)) return false;
    if (a->argc > 2) {
        mon_fail(a, "info %s takes at most two numbers: first and last entry", what);
        return false;
    }
    if (*first <= *last && *last < n) return true;
    mon_fail(a, "info %s: the table has %llu entries, from 0", what, (unsigned long long)n);
    return false;
}

static bool is_wide(const struct raw *r, bool lma) { return lma && !(r->hi >> 12 & 1) && r->hi >> 8 & 15; }

// GDT or LDT.
static void table(struct mon_call *a, const char *name, u64 base, u32 limit)
{
    struct cpu *c = mon_the_cpu();
    u64 first, last;
    bool lma = cpu_lma(c);
    if (!range_args(a, *name == 'G' ? "gdt" : "ldt", (min_u64(limit, 0xffff) + 1) / 8, &first, &last)) return;
    for (u64 i = first; i <= last; i++) {
        struct raw r = {0};
        u8 b[16] = {0};
        buf_printf(a->out, "%s[0x%04x]=", name, (unsigned)i * 8);
        if (!mmu_debug_read(c, base + i * 8, b, 8)) {
            buf_printf(a->out, "no memory at 0x%llx\n", (unsigned long long)(base + i * 8));
            continue;
        }
        r.lo = ld32(b), r.hi = ld32(b + 4);
        bool wide = is_wide(&r, lma), cut = wide && i * 8 + 15 > limit;
        if (wide && !cut && mmu_debug_read(c, base + i * 8 + 8, b + 8, 8)) r.upper = ld32(b + 8);
        print_desc(c, a->out, &r, lma);
        buf_printf(a->out, "%s\n", cut ? ", cut off by the limit" : "");
        i += wide; // the upper half is no entry of its own
    }
}

void info_gdt(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    buf_printf(a->out, "Global Descriptor Table (base=0x%016llx, limit=%u):\n", (unsigned long long)c->gdt_base,
               c->gdt_limit);
    table(a, "GDT", c->gdt_base, c->gdt_limit);
}

void info_ldt(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    const struct seg *s = &c->seg[S_LDTR];
    if (!cpu_protected(c) || !s->usable || sel_null(s->sel)) {
        buf_printf(a->out, "no LDT is loaded\n");
        return;
    }
    buf_printf(a->out, "Local Descriptor Table (base=0x%016llx, limit=%u):\n", (unsigned long long)s->base, s->limit);
    table(a, "LDT", s->base, s->limit);
}

void info_idt(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    bool lma = cpu_lma(c);
    unsigned size = lma ? 16 : 8;
    u64 first, last;
    if (cpu_real(c)) {
        buf_printf(a->out, "in real mode, the table of vectors:\n");
        info_ivt(a);
        return;
    }
    if (!range_args(a, "idt", min_u64(((u64)c->idt_limit + 1) / size, 256), &first, &last)) return;
    buf_printf(a->out, "Interrupt Descriptor Table (base=0x%016llx, limit=%u):\n", (unsigned long long)c->idt_base,
               c->idt_limit);
    for (u64 i = first; i <= last; i++) {
        u8 b[16] = {0};
        buf_printf(a->out, "IDT[0x%02x]=", (unsigned)i);
        if (!mmu_debug_read(c, c->idt_base + i * size, b, size)) {
            buf_printf(a->out, "no memory at 0x%llx\n", (unsigned long long)(c->idt_base + i * size));
            continue;
        }
        struct raw r = {ld32(b), ld32(b + 4), ld32(b + 8)};
        print_desc(c, a->out, &r, lma);
        buf_printf(a->out, "\n");
    }
}

static const char *ivt_name(unsigned n)
{
    static const struct {
        u8 n;
        const char *name;
    } names[] = {{0x00, "DIVIDE ERROR"},
                 {0x01, "SINGLE STEP"},
                 {0x02, "NON-MASKABLE INTERRUPT"},
                 {0x03, "BREAKPOINT"},
                 {0x04, "INT0 DETECTED OVERFLOW"},
                 {0x05, "BOUND RANGE EXCEED / PRINT SCREEN"},
                 {0x06, "INVALID OPCODE"},
                 {0x07, "PROCESSOR EXTENSION NOT AVAILABLE"},
                 {0x08, "IRQ0 - SYSTEM TIMER"},
                 {0x09, "IRQ1 - KEYBOARD DATA READY"},
                 {0x0a, "IRQ2 - CASCADE"},
                 {0x0b, "IRQ3 - COM2"},
                 {0x0c, "IRQ4 - COM1"},
                 {0x0d, "IRQ5 - LPT2"},
                 {0x0e, "IRQ6 - DISKETTE CONTROLLER"},
                 {0x0f, "IRQ7 - PARALLEL PRINTER"},
                 {0x10, "VIDEO"},
                 {0x11, "GET EQUIPMENT LIST"},
                 {0x12, "GET MEMORY SIZE"},
                 {0x13, "DISK"},
                 {0x14, "SERIAL"},
                 {0x15, "SYSTEM"},
                 {0x16, "KEYBOARD"},
                 {0x17, "PRINTER"},
                 {0x18, "DISKLESS BOOT HOOK"},
                 {0x19, "SYSTEM BOOTSTRAP LOADER"},
                 {0x1a, "TIME"},
                 {0x1b, "CONTROL-BREAK HANDLER"},
                 {0x1c, "SYSTEM TIMER TICK"},
                 {0x1d, "VIDEO PARAMETER TABLES"},
                 {0x1e, "DISKETTE PARAMETERS"},
                 {0x1f, "8x8 GRAPHICS FONT"},
                 {0x40, "DISKETTE (RELOCATED)"},
                 {0x41, "HARD DISK 0 PARAMETER TABLE"},
                 {0x42, "VIDEO (RELOCATED)"},
                 {0x43, "VIDEO CHARACTER TABLE"},
                 {0x46, "HARD DISK 1 PARAMETER TABLE"},
                 {0x4a, "SYSTEM ALARM"},
                 {0x70, "IRQ8 - CMOS REAL-TIME CLOCK"},
                 {0x71, "IRQ9 - REDIRECTED TO INT 0A"},
                 {0x72, "IRQ10"},
                 {0x73, "IRQ11"},
                 {0x74, "IRQ12 - POINTING DEVICE"},
                 {0x75, "IRQ13 - MATH COPROCESSOR"},
                 {0x76, "IRQ14 - HARD DISK"},
                 {0x77, "IRQ15 - SECOND HARD DISK"}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].n == n) return names[i].name;
    return "";
}

void info_ivt(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    u64 first, last, base = cpu_real(c) ? c->idt_base : 0;
    if (!range_args(a, "ivt", 256, &first, &last)) return;
    for (u64 i = first; i <= last; i++) {
        u8 b[4], op = 0;
        if (!mmu_debug_read(c, base + i * 4, b, 4)) {
            mon_fail(a, "no memory at 0x%llx", (unsigned long long)(base + i * 4));
            return;
        }
        u16 off = ld16(b), seg = ld16(b + 2);
        u32 at = ((u32)seg << 4) + off;
        bool dummy = mmu_debug_read(c, at, &op, 1) && op == 0xcf;
        buf_printf(a->out, "INT# %02x > %04X:%04X (0x%08x) %s%s\n", (unsigned)i, seg, off, at, ivt_name((unsigned)i),
                   dummy ? " ; dummy iret" : "");
    }
}

// ---- the task

static void tss32(struct mon_call *a, const u8 *t)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    static const char *const segs[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    buf_printf(a->out, "link: 0x%04x\n", ld16(t));
    for (unsigned i = 0; i < 3; i++)
        buf_printf(a->out, "ss:esp(%u): 0x%04x:0x%08x\n", i, ld16(t + 8 + i * 8), ld32(t + 4 + i * 8));
    buf_printf(a->out, "cr3: 0x%08x\neip: 0x%08x\neflags: 0x%08x\n", ld32(t + 28), ld32(t + 32), ld32(t + 36));
    for (unsigned i = 0; i < 6; i++) buf_printf(a->out, "%s: 0x%04x%c", segs[i], ld16(t + 72 + i * 4), " \n"[i == 5]);
    for (unsigned i = 0; i < 8; i++)
        buf_printf(a->out, "%s: 0x%08x%c", names[i], ld32(t + 40 + i * 4), " \n"[i % 4 == 3]);
    buf_printf(a->out, "ldt: 0x%04x\ni/o map: 0x%04x\n", ld16(t + 96), ld16(t + 102));
}

static void tss16(struct mon_call *a, const u8 *t)
{
    static const char *const names[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const segs[] = {"es", "cs", "ss", "ds"};
    buf_printf(a->out, "link: 0x%04x\n", ld16(t));
    for (unsigned i = 0; i < 3; i++)
        buf_printf(a->out, "ss:sp(%u): 0x%04x:0x%04x\n", i, ld16(t + 4 + i * 4), ld16(t + 2 + i * 4));
    buf_printf(a->out, "ip: 0x%04x\nflags: 0x%04x\n", ld16(t + 14), ld16(t + 16));
    for (unsigned i = 0; i < 4; i++) buf_printf(a->out, "%s: 0x%04x%c", segs[i], ld16(t + 34 + i * 2), " \n"[i == 3]);
    for (unsigned i = 0; i < 8; i++)
        buf_printf(a->out, "%s: 0x%04x%c", names[i], ld16(t + 18 + i * 2), " \n"[i % 4 == 3]);
    buf_printf(a->out, "ldt: 0x%04x\n", ld16(t + 42));
}

static void tss64(struct mon_call *a, const u8 *t)
{
    for (unsigned i = 0; i < 3; i++)
        buf_printf(a->out, "rsp(%u): 0x%016llx\n", i, (unsigned long long)ld64(t + 4 + i * 8));
    for (unsigned i = 1; i < 8; i++)
        buf_printf(a->out, "ist(%u): 0x%016llx\n", i, (unsigned long long)ld64(t + 36 + (i - 1) * 8));
    buf_printf(a->out, "i/o map: 0x%04x\n", ld16(t + 102));
}

void info_tss(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    const struct seg *s = &c->seg[S_TR];
    bool wide = s->attr & 8;
    u8 t[104] = {0};
    buf_printf(a->out, "tr:s=0x%x, base=0x%016llx, limit=0x%x, valid=%u\n", s->sel, (unsigned long long)s->base,
               s->limit, s->usable);
    if (!cpu_protected(c) || sel_null(s->sel)) {
        buf_printf(a->out, "no task is loaded\n");
        return;
    }
    unsigned n = wide ? 104 : 44;
    if (!mmu_debug_read(c, s->base, t, min_u64(n, (u64)s->limit + 1)))
        mon_fail(a, "info tss: no memory at 0x%llx", (unsigned long long)s->base);
    else
        (cpu_lma(c) ? tss64 : wide ? tss32 : tss16)(a, t);
}

// ---- segment registers

void mon_sreg(struct mon_call *a)
{
    static const char *const names[S_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    static const u8 order[S_COUNT] = {S_ES, S_CS, S_SS, S_DS, S_FS, S_GS, S_LDTR, S_TR};
    struct cpu *c = mon_the_cpu();
    for (unsigned i = 0; i < S_COUNT; i++) {
        const struct seg *s = &c->seg[order[i]];
        u32 limit = s->attr & SEG_G ? s->limit >> 12 : s->limit, base = (u32)s->base;
        u32 dl = base << 16 | (limit & 0xffff);
        u32 dh = (base & 0xff000000) | (base >> 16 & 0xff) | (limit & 0xf0000) | ((u32)s->attr & 0xf0ff) << 8;
        buf_printf(a->out, "%s:0x%04x, dh=0x%08x, dl=0x%08x, valid=%u\n", names[i], s->sel, dh, dl, s->usable);
        if (!s->usable || !(s->attr & SEG_S)) {
            if (order[i] >= S_LDTR && s->usable)
                buf_printf(a->out, "\tbase=0x%08llx, limit=0x%x\n", (unsigned long long)s->base, s->limit);
            continue;
        }
        struct desc d = {.base = s->base, .limit = s->limit, .attr = s->attr};
        buf_printf(a->out, "\t");
        print_segment(a->out, &d);
        buf_printf(a->out, "\n");
    }
    buf_printf(a->out, "gdtr:base=0x%016llx, limit=0x%x\nidtr:base=0x%016llx, limit=0x%x\n",
               (unsigned long long)c->gdt_base, c->gdt_limit, (unsigned long long)c->idt_base, c->idt_limit);
}
void info_sreg(struct mon_call *a) { mon_sreg(a); }
