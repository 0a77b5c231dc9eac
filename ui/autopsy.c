// SPDX-License-Identifier: MIT
// The report on a triple fault: which faults came in a row, what each delivery met in the IDT, the descriptor tables,
// the TSS, the stack and the page tables, what ran before, and in one sentence the likely cause. SDM vol. 3 6.12-6.15.
// Looks only: reads guest memory without side effects.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cpu/decode.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/pagewalk.h"
#include "ui/symbols.h"
#include "ui/vm.h"

typedef unsigned long long ull;
enum { CHAIN = 8, BRANCHES = 12 };
enum { GATE_TASK = 5, GATE_INT16 = 6, GATE_TRAP16 = 7, GATE_INT32 = 14, GATE_TRAP32 = 15 };

struct report {
    struct cpu *c;
    struct buf *out;
    char cause[300]; // the first thing found wrong
};

static void cause(struct report *r, const char *fmt, ...) PRINTF(2, 3);
static void cause(struct report *r, const char *fmt, ...)
{
    va_list ap;
    if (*r->cause) return;
    va_start(ap, fmt);
    vsnprintf(r->cause, sizeof r->cause, fmt, ap);
    va_end(ap);
}

const char *debug_vector_name(int v)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",
                                        "#TS", "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM"};
    static char text[24];
    if (v >= 0 && v < (int)ARRAY_LEN(names)) return names[v];
    snprintf(text, sizeof text, "vector 0x%02x", v & 0xff);
    return text;
}

// Code at a linear address; where that is not mapped, what stands at the physical address of the same number (paging
// was just switched on, as a rule). Returns how many bytes.
static unsigned read_code(struct cpu *c, u64 lin, u8 *code, bool *phys)
{
    unsigned k = 15;
    *phys = false;
    while (k && !mmu_debug_read(c, lin, code, k)) k--;
    if (k) return k;
    *phys = true;
    for (k = 15; k && !bus_peek(c->bus, lin, code, k);) k--;
    return k;
}

// ---- error codes

static void print_error(const struct trail_event *e, struct buf *out)
{
    if (!e->has_err) return;
    if (e->vector == EXC_PF) {
        buf_printf(out, ", error 0x%x: %s of %s page by %s%s at 0x%llx", e->err,
                   e->err & PF_I   ? "fetch"
                   : e->err & PF_W ? "write"
                                   : "read",
                   e->err & PF_P ? "a protected" : "a not present", e->err & PF_U ? "user code" : "the supervisor",
                   e->err & PF_RSVD ? ", reserved bits set" : "", (ull)e->cr2);
        return;
    }
    buf_printf(out, ", error 0x%x", e->err);
    if (!e->err || e->vector == EXC_DF || e->vector == EXC_AC) return;
    if (e->err & 2)
        buf_printf(out, " (IDT entry 0x%02x", e->err >> 3);
    else
        buf_printf(out, " (selector 0x%04x in the %s", e->err & 0xfffc, e->err & 4 ? "LDT" : "GDT");
    buf_printf(out, ")");
}

static void print_event(const struct trail_event *e, struct cpu *c, struct buf *out)
{
    static const char *const kinds[] = {"hardware interrupt ", "INT ", "", "INT1 ", "", ""};
    if (e->during >= 0)
        buf_printf(out, "  while %s was delivered: ", debug_vector_name(e->during));
    else
        buf_printf(out, "  ");
    buf_printf(out, "%s%s", kinds[e->kind % 6], debug_vector_name(e->vector));
    print_error(e, out);
    buf_printf(out, ", CS:RIP %04x:%llx, RSP %llx, CPL %u", e->cs, (ull)e->rip, (ull)e->rsp, e->cpl);
    const char *sym = symbol_text(c, e->rip);
    buf_printf(out, "%s%s\n", *sym ? "  " : "", sym);
}

// ---- what a delivery needs

// Linear memory; prints why not.
static bool reachable(struct report *r, u64 lin, void *to, unsigned n, const char *what)
{
    if (mmu_debug_read(r->c, lin, to, n)) return true;
    struct pt_walk w;
    pagewalk(r->c, lin, &w);
    buf_printf(r->out, "    %s at 0x%llx cannot be read", what, (ull)lin);
    if (!w.mapped && w.n) {
        const struct pt_level *l = &w.level[w.n - 1];
        buf_printf(r->out, ": %s at 0x%llx is 0x%llx%s", l->name, (ull)l->at, (ull)l->entry,
                   l->outside    ? ", where no memory is"
                   : l->reserved ? ", reserved bits set"
                                 : ", not present");
    }
    buf_printf(r->out, "\n");
    return false;
}

static void look_at_page(struct report *r, u64 lin, const char *what, bool write)
{
    struct pt_walk w;
    if (!(r->c->cr0 & CR0_PG)) return;
    pagewalk(r->c, lin, &w);
    for (unsigned i = 0; i < w.n; i++)
        buf_printf(r->out, "    %s%s at 0x%llx: 0x%llx%s%s\n", i ? "" : "page walk: ", w.level[i].name,
                   (ull)w.level[i].at, (ull)w.level[i].entry, w.level[i].entry & 1 ? "" : " not present",
                   w.level[i].outside ? " (no memory there)" : "");
    if (!w.mapped)
        cause(r, "%s 0x%llx is not mapped", what, (ull)lin);
    else if (write && !w.w)
        cause(r, "%s 0x%llx is mapped read-only", what, (ull)lin);
}

static bool descriptor(struct report *r, u16 sel, struct desc *d, const char *whose)
{
    struct cpu *c = r->c;
    bool ldt = sel & 4;
    u64 base = ldt ? c->seg[S_LDTR].base : c->gdt_base;
    u32 limit = ldt ? (c->seg[S_LDTR].usable ? c->seg[S_LDTR].limit : 0) : c->gdt_limit;
    u8 raw[8];
    if (sel_null(sel)) {
        cause(r, "%s is the null selector", whose);
        return false;
    }
    if ((sel & ~7u) + 7u > limit) {
        buf_printf(r->out, "    %s 0x%04x lies outside the %s (limit 0x%x)\n", whose, sel, ldt ? "LDT" : "GDT", limit);
        cause(r, "%s 0x%04x lies outside the %s, whose limit is 0x%x", whose, sel, ldt ? "LDT" : "GDT", limit);
        return false;
    }
    if (!reachable(r, base + (sel & ~7u), raw, 8, "its descriptor")) {
        cause(r, "the %s at 0x%llx is not mapped", ldt ? "LDT" : "GDT", (ull)base);
        return false;
    }
    seg_decode(d, ld32(raw), ld32(raw + 4));
    buf_printf(r->out, "    %s 0x%04x: descriptor %08x %08x, base 0x%llx, limit 0x%x, %s, DPL %u%s\n", whose, sel,
               d->hi, d->lo, (ull)d->base, d->limit,
               attr_is_code(d->attr)   ? (d->attr & SEG_L    ? "64-bit code"
                                          : d->attr & SEG_DB ? "32-bit code"
                                                             : "16-bit code")
               : attr_is_data(d->attr) ? "data"
                                       : "system",
               attr_dpl(d->attr), d->attr & SEG_P ? "" : ", not present");
    return true;
}

static void check_code_selector(struct report *r, u16 sel, int vector)
{
    struct desc d;
    if (!descriptor(r, sel, &d, "the gate's code selector")) return;
    const char *v = debug_vector_name(vector);
    if (!attr_is_code(d.attr))
        cause(r, "the gate for %s names selector 0x%04x, which is no code segment", v, sel);
    else if (!(d.attr & SEG_P))
        cause(r, "the code segment 0x%04x of the gate for %s is not present", sel, v);
    else if (attr_dpl(d.attr) > r->c->cpl)
        cause(r, "the gate for %s leads to a less privileged segment (DPL %u)", v, attr_dpl(d.attr));
    else if (cpu_lma(r->c) && !(d.attr & SEG_L))
        cause(r, "the gate for %s names selector 0x%04x, which is no 64-bit code segment, in long mode", v, sel);
}

// The stack that the handler would get.
static void check_stack(struct report *r, u16 sel, unsigned ist)
{
    struct cpu *c = r->c;
    struct desc d;
    u8 raw[8];
    bool inner = false;
    u64 table = sel & 4 ? c->seg[S_LDTR].base : c->gdt_base, sp = debug_sp(c);
    if (mmu_debug_read(c, table + (sel & ~7u), raw, 8)) {
        seg_decode(&d, ld32(raw), ld32(raw + 4));
        inner = !(d.attr & SEG_CONFORMING) && attr_dpl(d.attr) < c->cpl;
    }
    if (inner || ist) {
        const struct seg *tr = &c->seg[S_TR];
        bool lma = cpu_lma(c), tss32 = tr->attr & 8;
        unsigned at = lma ? (ist ? 0x1c + 8 * ist : 4) : tss32 ? 4 : 2, n = lma ? 8 : tss32 ? 4 : 2;
        if (!tr->usable || !(tr->sel & 0xfffc)) {
            buf_printf(r->out, "    the stack comes from the TSS, but TR is 0x%04x\n", tr->sel);
            cause(r, "the handler needs a stack from the TSS, but no TSS was loaded (LTR)");
            return;
        }
        if (at + n - 1 > tr->limit) cause(r, "the TSS is too short (limit 0x%x) for the handler's stack", tr->limit);
        memset(raw, 0, sizeof raw);
        if (!reachable(r, tr->base + at, raw, n, "the TSS")) {
            cause(r, "the TSS at 0x%llx is not mapped", (ull)tr->base);
            return;
        }
        sp = n == 8 ? ld64(raw) : n == 4 ? ld32(raw) : ld16(raw);
        buf_printf(r->out, "    stack from the TSS at 0x%llx%s: 0x%llx\n", (ull)tr->base, ist ? " (IST)" : "", (ull)sp);
        if (!sp) cause(r, "the stack pointer in the TSS is 0");
    }
    u64 low = sp - 8;
    if (!cpu_lma(c)) low = (u32)low;
    u8 b;
    struct mmu_result w = mmu_walk(c, low, 1, false, false);
    if ((c->cr0 & CR0_PG) && w.fault) {
        buf_printf(r->out, "    the stack cannot be written at 0x%llx:\n", (ull)low);
        look_at_page(r, low, "the stack at", true);
    } else if (!mmu_debug_read(c, low, &b, 1)) {
        buf_printf(r->out, "    the stack points at 0x%llx, where no memory is\n", (ull)low);
        cause(r, "the stack pointer 0x%llx points at no memory", (ull)sp);
    }
}

static void check_delivery(struct report *r, int vector)
{
    struct cpu *c = r->c;
    u8 raw[16] = {0};
    const char *v = debug_vector_name(vector);
    bool lma = cpu_lma(c);
    unsigned n = cpu_real(c) ? 4 : lma ? 16 : 8;
    buf_printf(r->out, "  delivery of %s: %s 0x%llx, limit 0x%x\n", v, cpu_real(c) ? "IVT" : "IDT", (ull)c->idt_base,
               c->idt_limit);
    if ((u32)vector * n + n - 1 > c->idt_limit) {
        buf_printf(r->out, "    its entry lies outside the table\n");
        cause(r, "the %s has no entry for %s (limit 0x%x): LIDT was not executed, or with too small a limit",
              cpu_real(c) ? "IVT" : "IDT", v, c->idt_limit);
        return;
    }
    if (!reachable(r, c->idt_base + (u32)vector * n, raw, n, "its entry")) {
        cause(r, "the IDT at 0x%llx is not mapped", (ull)c->idt_base);
        return;
    }
    if (cpu_real(c)) {
        buf_printf(r->out, "    handler %04x:%04x\n", ld16(raw + 2), ld16(raw));
        check_stack(r, 0, 0);
        return;
    }
    unsigned type = raw[5] & 31, ist = lma ? raw[4] & 7 : 0;
    u16 sel = ld16(raw + 2);
    u64 off = ld16(raw) | (u64)ld16(raw + 6) << 16 | (lma ? (u64)ld32(raw + 8) << 32 : 0);
    buf_printf(r->out, "    gate %016llx%s: type %u, DPL %u%s, handler %04x:%llx", (ull)ld64(raw), lma ? " …" : "",
               type, raw[5] >> 5 & 3, raw[5] & 0x80 ? "" : ", not present", sel, (ull)off);
    const char *sym = symbol_text(c, off);
    buf_printf(r->out, "%s%s\n", *sym ? "  " : "", sym);
    bool gate = type == GATE_INT32 || type == GATE_TRAP32 ||
                (!lma && (type == GATE_INT16 || type == GATE_TRAP16 || type == GATE_TASK));
    if (!gate)
        cause(r, ld64(raw) ? "the IDT's entry for %s is no gate%s" : "the IDT's entry for %s is empty%s", v, "");
    else if (!(raw[5] & 0x80))
        cause(r, "the gate for %s is not present", v);
    if (!gate || type == GATE_TASK) return;
    check_code_selector(r, sel, vector);
    check_stack(r, sel, ist);
}

// ---- the first fault

static void about_first(struct report *r, const struct trail_event *e, char *text, size_t size)
{
    ull at = e->cr2;
    *text = 0;
    if (e->kind != INT_FAULT) {
        snprintf(text, size, "%s 0x%02x could not be delivered",
                 e->kind == INT_HW ? "a hardware interrupt" : "interrupt", e->vector);
        return;
    }
    if (e->vector == EXC_PF) {
        buf_printf(r->out, "  the address 0x%llx:\n", at);
        char keep[sizeof r->cause];
        memcpy(keep, r->cause, sizeof keep);
        look_at_page(r, e->cr2, "", false);
        memcpy(r->cause, keep, sizeof keep);
        bool code = (e->err & PF_I) || e->cr2 - e->rip < 16;
        snprintf(text, size, code ? "code was fetched from 0x%llx, which %s" : "0x%llx was accessed, which %s", at,
                 e->err & PF_RSVD ? "has reserved bits in its page-table entries"
                 : e->err & PF_P  ? "does not allow that"
                                  : "is not mapped");
        return;
    }
    static const struct {
        int vector;
        const char *text;
    } t[] = {{EXC_UD, "an invalid instruction was executed"},
             {EXC_GP, "a general protection fault was raised"},
             {EXC_SS, "the stack segment was left or is not present"},
             {EXC_NP, "a segment is not present"},
             {EXC_TS, "a TSS is invalid"},
             {EXC_DE, "a division failed"},
             {EXC_NM, "x87 or SSE was used while CR0.EM or TS is set"},
             {EXC_DF, "a double fault was raised"}};
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        if (t[i].vector == e->vector) snprintf(text, size, "%s", t[i].text);
    if (!*text) snprintf(text, size, "%s was raised", debug_vector_name(e->vector));
}

// ---- what ran before

// Linear address of a block's last instruction; what cannot be decoded any more is taken for one.
static u64 last_insn(struct cpu *c, const struct trail_block *t)
{
    u64 at = t->at, end = t->at + t->bytes;
    while (at < end) {
        u8 code[15];
        bool phys;
        struct insn i;
        unsigned k = read_code(c, at, code, &phys);
        if (!k || decode(c->decoder, code, k, t->mode & MODE_CODE, &i) != DECODE_OK || at + i.len >= end) break;
        at += i.len;
    }
    return at;
}

// From block a, control went to b: was that a branch?
static bool branched(const struct trail_block *a, const struct trail_block *b)
{
    if (a->bytes & TRAIL_EVENT) return true;
    if (b->bytes & TRAIL_EVENT) return b->at - a->at > max_u64(a->bytes, 15); // an event came within the block
    return a->bytes ? b->at != a->at + a->bytes : b->at - a->at > 15;
}

static void print_place(struct cpu *c, u64 lin, const char *then, struct buf *out)
{
    const char *name = symbol_text(c, lin);
    buf_printf(out, *name ? "0x%llx <%s>%s" : "0x%llx%s%s", (ull)lin, name, then);
}

static void print_branch(struct cpu *c, const struct trail_block *a, const struct trail_block *b, struct buf *out)
{
    bool event = a->bytes & TRAIL_EVENT, phys;
    u8 code[15];
    char text[128] = "(no memory)", *target;
    u64 from = event ? a->at : last_insn(c, a);
    unsigned k = event ? 0 : read_code(c, from, code, &phys);
    if (event)
        snprintf(text, sizeof text, "%s", debug_vector_name((u8)a->bytes));
    else if (k)
        disas_as(c, a->mode & MODE_CODE, from, code, k, text, sizeof text);
    if ((target = strchr(text, '<'))) *target = 0; // it is named anyway
    print_place(c, from, " -> ", out);
    print_place(c, b->at, "  ", out);
    buf_printf(out, "%s\n", text);
}

void debug_print_branches(struct cpu *c, unsigned max, struct buf *out)
{
    const struct cpu_trail *t = c->trail;
    struct trail_block v[TRAIL_BLOCKS + 1];
    unsigned n = (unsigned)min_u64(t->nblocks, TRAIL_BLOCKS), hits = 0, first;
    if (!t->blocks_on) debug_record_branches();
    if (!n) return;
    for (unsigned i = 0; i < n; i++) v[i] = t->block[(t->nblocks - n + i) % TRAIL_BLOCKS];
    // Where it stands now, if that is not in the midst of the last block.
    u64 here = c->seg[S_CS].base + c->gpr[R_RIP];
    if (here - v[n - 1].at >= max_u64(v[n - 1].bytes, 1)) v[n++] = (struct trail_block){here, 0, c->mode};
    for (first = n - 1; first && hits < max; first--) hits += branched(&v[first - 1], &v[first]);
    for (unsigned i = first + 1; i < n; i++)
        if (branched(&v[i - 1], &v[i])) print_branch(c, &v[i - 1], &v[i], out);
}

static void print_code(struct cpu *c, u64 lin, struct buf *out)
{
    for (unsigned i = 0; i < 4; i++) {
        u8 code[15];
        bool phys;
        char text[128];
        unsigned k = read_code(c, lin, code, &phys);
        if (!k) {
            buf_printf(out, "  0x%llx  (no memory)\n", (ull)lin);
            return;
        }
        unsigned len = disas(c, lin, code, k, text, sizeof text);
        buf_printf(out, "%s 0x%llx  %s%s\n", i ? "  " : "=>", (ull)lin, text, phys ? "  (physical memory)" : "");
        lin += len ? len : 1;
    }
}

static const struct trail_event *nth_last(const struct cpu_trail *t, unsigned n)
{
    return &t->event[(t->nevents - n) % TRAIL];
}

// Does b come out of a? A delivery raises something, which is then delivered, as itself or as #DF.
static bool follows(const struct trail_event *a, const struct trail_event *b)
{
    if (a->icount != b->icount) return false;
    return b->during >= 0 ? a->during < 0 && a->vector == b->during : a->during >= 0;
}

void debug_autopsy_text(struct cpu *c, struct buf *out)
{
    const struct cpu_trail *t = c->trail;
    struct report r = {.c = c, .out = out};
    if (!t->nevents) {
        buf_printf(out, "CPU %u has seen no exception yet\n", c->index);
        return;
    }
    unsigned first = 1, n = (unsigned)min_u64(t->nevents, CHAIN);
    while (first < n && follows(nth_last(t, first + 1), nth_last(t, first))) first++;
    u64 when = nth_last(t, 1)->icount;
    buf_printf(out, "Triple fault of CPU %u after %llu instructions\nthe chain:\n", c->index, (ull)when);
    for (unsigned i = first; i; i--) {
        const struct trail_event *e = nth_last(t, i);
        // What was raised during a delivery is told once, not again as it is delivered itself.
        if (i == first || e->during >= 0 || e->vector != nth_last(t, i + 1)->vector) print_event(e, c, out);
    }
    const struct trail_event *e = nth_last(t, first);
    char what[200];
    buf_printf(out, "what was met:\n");
    check_delivery(&r, e->vector);
    if (e->vector != EXC_DF) check_delivery(&r, EXC_DF);
    about_first(&r, e, what, sizeof what);
    buf_printf(out, "the code:\n");
    print_code(c, cpu_code64(c) ? e->rip : (u32)(c->seg[S_CS].base + e->rip), out);
    if (t->nblocks > 1) {
        buf_printf(out, "the last branches:\n");
        debug_print_branches(c, BRANCHES, out);
    } else {
        buf_printf(out, "the last branches: translated code keeps them with -d cpu_reset\n");
    }
    cpu_dump(c, out);
    buf_printf(out, "likely cause: %s, and %s\n", what,
               *r.cause ? r.cause : "its handler could not be entered (see the chain's error codes)");
}

void debug_autopsy_print(struct cpu *c)
{
    struct buf out = {0};
    struct log *l = &vm.pc->m.bus.log;
    debug_autopsy_text(c, &out);
    fputs(buf_text(&out), l->out ? l->out : stderr);
    buf_free(&out);
}
