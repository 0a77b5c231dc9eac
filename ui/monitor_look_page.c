// SPDX-License-Identifier: MIT
// Monitor commands about paging: `page ADDR` (one walk, level by level, and what each access would do), `info tlb`,
// `info mem` (QEMU's layouts), `info tab` (Bochs').
#include <string.h>
#include "cpu/access.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/pagewalk.h"
#include "ui/symbols.h"

#define LINES  20000      // of a list; more is told, not shown
#define BUDGET (8u << 20) // entries that a list may read

// ---- page

static void print_flags(struct buf *out, const struct pt_level *l, unsigned entry_size, bool pdpte_pae)
{
    u64 e = l->entry;
    if (!(e & 1)) {
        buf_printf(out, "not present");
        return;
    }
    buf_printf(out, "P");
    if (!pdpte_pae) {
        buf_printf(out, " %s %s", e & 2 ? "RW" : "RO", e & 4 ? "US" : "SU");
        if (entry_size == 8) buf_printf(out, " %s", e >> 63 ? "NX" : "X");
    }
    static const struct {
        u32 bit;
        const char *name;
    } names[] = {{8, "PWT"}, {0x10, "PCD"}, {0x20, "A"}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (e & names[i].bit) buf_printf(out, " %s", names[i].name);
    if (l->leaf) {
        if (e & 0x40) buf_printf(out, " D");
        if (l->shift > 12) buf_printf(out, " PS");
        if (e & (l->shift > 12 ? 0x1000 : 0x80)) buf_printf(out, " PAT");
        if (e & 0x100) buf_printf(out, " G");
    }
    if (e & 0xe00) buf_printf(out, " AVL=%u", (unsigned)(e >> 9 & 7));
    if (l->reserved) buf_printf(out, ", reserved bits are set: 0x%llx", (unsigned long long)l->reserved);
}

static const struct pt_level *first_without(const struct pt_walk *w, u64 bit_, unsigned from)
{
    for (unsigned i = from; i < w->n; i++)
        if (!(w->level[i].entry & bit_)) return &w->level[i];
    return &w->level[w->n - 1];
}

// Why the walk does not allow it, in words; the verdict itself is the processor's (mmu_walk_kind).
static void print_why(struct mon_call *a, struct cpu *c, const struct pt_walk *w, int acc, bool user)
{
    const struct pt_level *last = &w->level[w->n - 1];
    bool pae = !(c->efer & EFER_LMA) && (c->cr4 & CR4_PAE);
    if (!w->mapped) {
        if (last->outside)
            buf_printf(a->out, "%s lies at 0x%llx where no memory is", last->name, (unsigned long long)last->at);
        else if (!(last->entry & 1))
            buf_printf(a->out, "%s is not present", last->name);
        else
            buf_printf(a->out, "%s has reserved bits set", last->name);
    } else if (user && !w->u) {
        buf_printf(a->out, "%s is the supervisor's (U/S = 0)", first_without(w, 4, pae)->name);
    } else if (!user && acc == ACC_EXEC && w->u && (c->cr4 & CR4_SMEP)) {
        buf_printf(a->out, "a user page, and CR4.SMEP is 1");
    } else if (!user && acc != ACC_EXEC && w->u && (c->cr4 & CR4_SMAP)) {
        buf_printf(a->out, "a user page, CR4.SMAP is 1 and EFLAGS.AC is 0");
    } else if (acc == ACC_EXEC && !w->x) {
        for (unsigned i = 0; i < w->n; i++)
            if (w->level[i].entry >> 63) last = &w->level[i], i = w->n;
        buf_printf(a->out, "%s has NX set", last->name);
    } else if (acc == ACC_WRITE && !w->w) {
        buf_printf(a->out, "%s is read-only (R/W = 0)%s", first_without(w, 2, pae)->name,
                   user ? "" : " and CR0.WP is 1");
    }
}

static void print_access(struct mon_call *a, struct cpu *c, u64 lin, const struct pt_walk *w, int acc, bool user)
{
    static const char *const what[] = {"read", "write", "execute"};
    buf_printf(a->out, "  %s %s: ", user ? "user" : "supervisor", what[acc]);
    if (cpu_lma(c) && !lin_canonical(lin)) {
        buf_printf(a->out, "#GP(0): not a canonical address\n");
        return;
    }
    struct mmu_result r;
    mmu_walk_kind(c, lin, acc, user, false, false, &r);
    if (!r.fault) {
        buf_printf(a->out, "allowed\n");
        return;
    }
    buf_printf(a->out, "#PF, error 0x%04x (%s%s%s%s%s): ", r.err, r.err & PF_P ? "P" : "not P",
               r.err & PF_W ? " W" : "", r.err & PF_U ? " U" : "", r.err & PF_RSVD ? " RSVD" : "",
               r.err & PF_I ? " I" : "");
    print_why(a, c, w, acc, user);
    buf_printf(a->out, "\n");
}

static void print_control(struct buf *out, const struct cpu *c)
{
    static const struct {
        u32 bit;
        const char *name;
    } cr4[] = {{CR4_PSE, "PSE"},     {CR4_PAE, "PAE"},   {CR4_PGE, "PGE"},  {CR4_LA57, "LA57"},
               {CR4_PCIDE, "PCIDE"}, {CR4_SMEP, "SMEP"}, {CR4_SMAP, "SMAP"}};
    buf_printf(out, "CR3 %016llx", (unsigned long long)c->cr3);
    if (c->cr0 & CR0_WP) buf_printf(out, " WP");
    for (unsigned i = 0; i < ARRAY_LEN(cr4); i++)
        if (c->cr4 & cr4[i].bit) buf_printf(out, " %s", cr4[i].name);
    if (c->efer & EFER_NXE) buf_printf(out, " NXE");
    if (c->efer & EFER_LMA) buf_printf(out, " LMA");
    buf_printf(out, ", CPL %u%s\n", c->cpl, c->eflags & FL_AC ? ", EFLAGS.AC" : "");
}

void mon_page(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    struct pt_walk w;
    u64 lin;
    if (!mon_number(a, "address", a->rest, &lin)) return;
    if (!cpu_lma(c) && lin >> 32) {
        mon_fail(a, "page: 0x%llx: linear addresses have 32 bits in this mode", (unsigned long long)lin);
        return;
    }
    const char *kind = pagewalk_kind(c);
    if (!kind) {
        buf_printf(a->out, "paging is off: linear 0x%llx is physical 0x%llx\n", (unsigned long long)lin,
                   (unsigned long long)(lin & c->a20_mask));
        return;
    }
    pagewalk(c, lin, &w);
    const char *name = symbol_text(c, lin);
    buf_printf(a->out, "linear 0x%016llx%s%s%s, %s paging\n", (unsigned long long)lin, *name ? " <" : "", name,
               *name ? ">" : "", kind);
    print_control(a->out, c);
    bool pae = !strcmp(kind, "PAE");
    unsigned size = !strcmp(kind, "32-bit") ? 4 : 8;
    for (unsigned i = 0; i < w.n; i++) {
        const struct pt_level *l = &w.level[i];
        buf_printf(a->out, "%-5s at 0x%016llx: ", l->name, (unsigned long long)l->at);
        if (l->outside) {
            buf_printf(a->out, "no memory there\n");
            continue;
        }
        buf_printf(a->out, "%0*llx  ", (int)size * 2, (unsigned long long)l->entry);
        print_flags(a->out, l, size, pae && i == 0);
        buf_printf(a->out, "\n");
        if (pae && i == 0 && w.pdpte_memory != l->entry)
            buf_printf(a->out, "      (loaded with CR3; memory holds %016llx now)\n",
                       (unsigned long long)w.pdpte_memory);
    }
    if (w.mapped)
        buf_printf(a->out, "physical 0x%016llx, in a %u %s page: %s, %s, %s\n",
                   (unsigned long long)(w.pa & c->a20_mask), 1u << (w.shift % 10),
                   w.shift >= 30   ? "GB"
                   : w.shift >= 20 ? "MB"
                                   : "KB",
                   w.u ? "user" : "supervisor", w.w ? "writable" : "read-only", w.x ? "executable" : "not executable");
    else
        buf_printf(a->out, "not mapped\n");
    for (int user = 0; user < 2; user++)
        for (int acc = ACC_READ; acc <= ACC_EXEC; acc++) print_access(a, c, lin, &w, acc, user);
}

// ---- lists

struct list {
    struct buf *out;
    struct cpu *c;
    u64 from, to; // shown: pages that overlap this (inclusive)
    unsigned lines;
    bool any;
    struct pt_page p; // the stretch so far
    u64 len;
};

static bool prepare(struct mon_call *a, struct list *k)
{
    *k = (struct list){.out = a->out, .c = mon_the_cpu(), .to = ~(u64)0};
    u64 len = 1;
    if (a->argc && !mon_number(a, "address", a->argv[0], &k->from)) return false;
    if (a->argc > 1 && !mon_number(a, "length", a->argv[1], &len)) return false;
    if (a->argc && len) k->to = k->from + (len - 1) < k->from ? ~(u64)0 : k->from + (len - 1);
    if (pagewalk_kind(k->c)) return true;
    buf_printf(a->out, "PG disabled\n");
    return false;
}
static bool wanted(const struct list *k, const struct pt_page *p)
{
    return p->lin <= k->to && p->lin + ((1ull << p->shift) - 1) >= k->from;
}
static void finish(struct list *k, bool whole)
{
    if (k->lines > LINES) buf_printf(k->out, "... %u lines more: name a range (ADDR [LEN])\n", k->lines - LINES);
    if (!whole) buf_printf(k->out, "... and more: given up after %u entries, the tables contain themselves\n", BUDGET);
}

// QEMU's print_pte: the entry without what lies outside of its address field, then X G P D A C T U W.
static void tlb_page(void *owner, const struct pt_page *p)
{
    struct list *k = owner;
    u64 e = p->entry;
    if (!wanted(k, p) || k->lines++ >= LINES) return;
    bool narrow = !strcmp(pagewalk_kind(k->c), "32-bit");
    u64 base = p->pa;
    buf_printf(k->out, "%016llx: %016llx %c%c%c%c%c%c%c%c%c\n", (unsigned long long)p->lin, (unsigned long long)base,
               !narrow && e >> 63 ? 'X' : '-', e & 0x100 ? 'G' : '-', p->shift > 12 ? 'P' : '-', e & 0x40 ? 'D' : '-',
               e & 0x20 ? 'A' : '-', e & 0x10 ? 'C' : '-', e & 8 ? 'T' : '-', e & 4 ? 'U' : '-', e & 2 ? 'W' : '-');
}
void info_tlb(struct mon_call *a)
{
    struct list k;
    if (prepare(a, &k)) finish(&k, pagewalk_all(k.c, BUDGET, tlb_page, &k));
}

static void mem_flush(struct list *k)
{
    if (k->any && k->lines++ < LINES)
        buf_printf(k->out, "%016llx-%016llx %016llx %c%c%c\n", (unsigned long long)k->p.lin,
                   (unsigned long long)(k->p.lin + k->len), (unsigned long long)k->len, k->p.u ? 'u' : '-', 'r',
                   k->p.w ? 'w' : '-');
    k->any = false;
}
static void mem_page(void *owner, const struct pt_page *p)
{
    struct list *k = owner;
    if (!wanted(k, p)) return;
    if (k->any && (p->lin != k->p.lin + k->len || p->w != k->p.w || p->u != k->p.u)) mem_flush(k);
    if (!k->any) k->p = *p, k->len = 0, k->any = true;
    k->len += 1ull << p->shift;
}
void info_mem(struct mon_call *a)
{
    struct list k;
    if (!prepare(a, &k)) return;
    bool whole = pagewalk_all(k.c, BUDGET, mem_page, &k);
    mem_flush(&k);
    finish(&k, whole);
}

static void tab_flush(struct list *k)
{
    int w = cpu_lma(k->c) ? 16 : 8;
    if (k->any && k->lines++ < LINES)
        buf_printf(k->out, "0x%0*llx-0x%0*llx -> 0x%012llx-0x%012llx\n", w, (unsigned long long)k->p.lin, w,
                   (unsigned long long)(k->p.lin + k->len - 1), (unsigned long long)k->p.pa,
                   (unsigned long long)(k->p.pa + k->len - 1));
    k->any = false;
}
static void tab_page(void *owner, const struct pt_page *p)
{
    struct list *k = owner;
    if (!wanted(k, p)) return;
    if (k->any && (p->lin != k->p.lin + k->len || p->pa != k->p.pa + k->len)) tab_flush(k);
    if (!k->any) k->p = *p, k->len = 0, k->any = true;
    k->len += 1ull << p->shift;
}
void info_tab(struct mon_call *a)
{
    struct list k;
    if (!prepare(a, &k)) return;
    buf_printf(a->out, "cr3: 0x%012llx\n", (unsigned long long)k.c->cr3);
    bool whole = pagewalk_all(k.c, BUDGET, tab_page, &k);
    tab_flush(&k);
    finish(&k, whole);
}
