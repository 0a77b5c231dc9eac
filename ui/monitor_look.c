// SPDX-License-Identifier: MIT
// `info`: the table of topics (info.def), what every part of the machine says of itself, and the topics about the
// machine as a whole. Those about the processor and its memory are in monitor_look_*.c.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "hw/chip/i8259.h"
#include "hw/chip/ioapic.h"
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

unsigned mon_cpu;
struct cpu *mon_the_cpu(void) { return vm.pc->m.cpu[mon_cpu < vm.pc->m.ncpus ? mon_cpu : 0]; }

bool mon_number(struct mon_call *a, const char *what, const char *expr, u64 *v)
{
    struct err e = {0};
    if (expr_eval(mon_the_cpu(), expr, v, &e)) return true;
    mon_fail(a, "%s: %s", what, e.msg);
    return false;
}

// ---- info

void info_registers(struct mon_call *a)
{
    bool all = a->argc && !strcmp(a->argv[0], "-a");
    if (a->argc && !all) {
        mon_fail(a, "info registers: '%s' is not -a (all processors)", a->argv[0]);
        return;
    }
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        struct cpu *c = vm.pc->m.cpu[i];
        if (!all && c != mon_the_cpu()) continue;
        if (vm.pc->m.ncpus > 1) buf_printf(a->out, "CPU#%u\n", c->index);
        cpu_dump(c, a->out);
    }
}
void info_status(struct mon_call *a)
{
    struct buf *out = a->out;
    buf_printf(out, "VM status: %s\n", vm.paused ? "paused" : "running");
    buf_printf(out, "%llu instructions, %llu ns of virtual time, %llu resets\n",
               (unsigned long long)machine_icount(&vm.pc->m), (unsigned long long)clock_now(&vm.pc->m.bus.clock),
               (unsigned long long)vm.pc->m.resets - 1);
}
void info_version(struct mon_call *a) { vm_version(a->out); }
void info_name(struct mon_call *a) { buf_printf(a->out, "%s\n", vm.name ? vm.name : "doppel"); }

void info_screen(struct mon_call *a)
{
    struct buf *out = a->out;
    static struct text_screen t;
    if (!vm.pc->screen.dev) {
        buf_printf(out, "there is no display adapter\n");
        return;
    }
    if (!vm.pc->screen.text(vm.pc->screen.dev, &t)) {
        struct surface s = {0};
        vm.pc->screen.update(vm.pc->screen.dev, &s, false);
        buf_printf(out, "graphics mode, %u x %u\n", s.w, s.h);
        return;
    }
    for (u32 y = 0; y < t.rows; y++) {
        u32 end = t.cols;
        while (end && ((t.cell[y * t.cols + end - 1] & 0xff) == ' ' || !(t.cell[y * t.cols + end - 1] & 0xff))) end--;
        for (u32 x = 0; x < end; x++) {
            u32 u = cp437_unicode[t.cell[y * t.cols + x] & 0xff];
            if (u < 0x20) u = ' ';
            if (u < 0x80)
                buf_printf(out, "%c", (int)u);
            else if (u < 0x800)
                buf_printf(out, "%c%c", (int)(0xc0 | u >> 6), (int)(0x80 | (u & 0x3f)));
            else
                buf_printf(out, "%c%c%c", (int)(0xe0 | u >> 12), (int)(0x80 | (u >> 6 & 0x3f)),
                           (int)(0x80 | (u & 0x3f)));
        }
        buf_printf(out, "\n");
    }
}

void info_cpus(struct mon_call *a)
{
    struct buf *out = a->out;
    static const char *const halts[] = {"running", "halted", "waiting for SIPI", "shut down"};
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        struct cpu *c = vm.pc->m.cpu[i];
        buf_printf(out, "%c CPU #%u: pc=0x%016llx (%s) APIC id %u, %llu instructions\n", i == mon_cpu ? '*' : ' ', i,
                   (unsigned long long)(c->seg[S_CS].base + c->gpr[R_RIP]), halts[c->halt & 3], c->apic_id,
                   (unsigned long long)cpu_icount(c));
    }
}

static int by_base(const void *a, const void *b)
{
    const struct region *x = *(struct region *const *)a, *y = *(struct region *const *)b;
    return x->base != y->base ? (x->base < y->base ? -1 : 1) : y->prio - x->prio;
}
static void print_regions(struct buf *out, struct region **from, u32 n, int digits)
{
    struct region **v = xalloc(n * sizeof *v);
    u32 k = 0;
    for (u32 i = 0; i < n; i++)
        if (from[i] && from[i]->size) v[k++] = from[i];
    qsort(v, k, sizeof *v, by_base);
    for (u32 i = 0; i < k; i++) {
        const struct region *r = v[i];
        buf_printf(out, "  %0*llx-%0*llx (prio %d, %s%s): %s%s\n", digits, (unsigned long long)r->base, digits,
                   (unsigned long long)(r->base + r->size - 1), r->prio,
                   r->kind == REGION_IO    ? "i/o"
                   : r->ram && r->ram->rom ? "rom"
                                           : "ram",
                   r->rw == REGION_RW  ? ""
                   : r->rw == REGION_R ? ", reads"
                   : r->rw == REGION_W ? ", writes"
                                       : ", off",
                   r->name, r->enabled ? "" : " [disabled]");
    }
    free(v);
}
void info_mtree(struct mon_call *a)
{
    struct buf *out = a->out;
    struct bus *b = &vm.pc->m.bus;
    buf_printf(out, "memory\n");
    print_regions(out, b->phys.regions, b->phys.nregions, 16);
    buf_printf(out, "I/O ports\n");
    print_regions(out, b->ports + 1, b->nports > 1 ? b->nports - 1 : 0, 4);
}

static void one_disk(struct buf *out, const char *name, const struct disk *d)
{
    if (!d)
        buf_printf(out, "%s: [not inserted]\n", name);
    else
        buf_printf(out, "%s: %s (%s%s%s), %llu bytes\n", name, d->file, d->format, d->readonly ? ", read-only" : "",
                   d->snapshot ? ", snapshot" : "", (unsigned long long)d->size);
}
void info_block(struct mon_call *a)
{
    struct buf *out = a->out;
    for (int i = 0; i < 4; i++) {
        enum ide_kind kind;
        char name[32];
        const struct disk *d = ide_disk(vm.pc->ide, i, &kind);
        if (kind == IDE_NONE) continue;
        snprintf(name, sizeof name, "ide%d-%s%d", i / 2, kind == IDE_CD ? "cd" : "hd", i % 2);
        one_disk(out, name, d);
    }
    for (int i = 0; vm.pc->fdc && i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "floppy%d", i);
        if (i82077_type(vm.pc->fdc, i) != FLOPPY_NONE) one_disk(out, name, i82077_disk(vm.pc->fdc, i));
    }
}
void info_jit(struct mon_call *a)
{
    struct buf *out = a->out;
    struct cpu *c = mon_the_cpu();
    buf_printf(out, "engine %s\n", c->engine->name);
    if (c->engine->info) c->engine->info(c, out);
}

// `jit`, `jit ADDR`, `jit count on|off`.
void mon_jit(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    u64 lin = debug_linear(c);
    if (!c->engine->show) {
        mon_fail(a, "jit: engine %s does not translate (-accel tcg does)", c->engine->name);
        return;
    }
    if (a->argc && !strcmp(a->argv[0], "count")) {
        bool on = a->argc == 2 && !strcmp(a->argv[1], "on");
        if (!on && (a->argc != 2 || strcmp(a->argv[1], "off")))
            mon_fail(a, "jit count: on or off is missing");
        else
            c->engine->count(c, on);
        return;
    }
    if (a->argc && !mon_number(a, "address", a->rest, &lin)) return;
    c->engine->show(c, lin, a->out);
}

static void one_irq(struct buf *out, const char *name, const u64 *n, unsigned lines)
{
    buf_printf(out, "IRQ statistics for %s:\n", name);
    for (unsigned i = 0; i < lines; i++)
        if (n[i]) buf_printf(out, "%2u: %llu\n", i, (unsigned long long)n[i]);
}
void info_irq(struct mon_call *a)
{
    if (vm.pc->ioapic) one_irq(a->out, "ioapic", ioapic_raised(vm.pc->ioapic), IOAPIC_PINS);
    one_irq(a->out, "isa-i8259", i8259_raised(vm.pc->pic), 16);
}

// Of the chosen processor, of the one with an APIC's number, or of all.
void info_lapic(struct mon_call *a)
{
    struct part *p = parts_find(&vm.pc->m.bus.parts, "lapic");
    u64 n = mon_the_cpu()->index;
    struct buf all = {0};
    char head[64];
    bool every = a->argc && !strcmp(a->argv[0], "all");
    if (!p) {
        mon_fail(a, "info lapic: there is no local APIC");
        return;
    }
    if (a->argc && !every && !mon_number(a, "APIC number", a->argv[0], &n)) return;
    if (n >= vm.pc->m.ncpus) {
        mon_fail(a, "info lapic: there are 0 to %u", vm.pc->m.ncpus - 1);
        return;
    }
    p->ops->info(p->self, &all);
    snprintf(head, sizeof head, "dumping local APIC state for CPU %u ", (unsigned)n);
    const char *from = every ? buf_text(&all) : strstr(buf_text(&all), head);
    const char *end = from && !every ? strstr(from + 1, "dumping local APIC state") : NULL;
    if (from) buf_add(a->out, from, end ? (size_t)(end - from) : strlen(from));
    buf_free(&all);
}

void info_chardev(struct mon_call *a) { chr_info(a->out); }

static const struct topic {
    const char *name, *args, *help;
    mon_fn *fn;
} topics[] = {
#define INFO(fn, name, args, help) {name, args, help, info_##fn},
#include "ui/info.def"
#undef INFO
};

const char *mon_info_topic(unsigned n)
{
    if (n < ARRAY_LEN(topics)) return topics[n].name;
    struct parts *p = &vm.pc->m.bus.parts;
    n -= ARRAY_LEN(topics);
    return n < p->n ? p->v[n].name : NULL;
}

static void list_topics(struct mon_call *a)
{
    struct parts *parts = &vm.pc->m.bus.parts;
    for (unsigned i = 0; i < ARRAY_LEN(topics); i++)
        if (*topics[i].help)
            buf_printf(a->out, "info %s%s%s -- %s\n", topics[i].name, *topics[i].args ? " " : "", topics[i].args,
                       topics[i].help);
    buf_printf(a->out, "and by name of the part:");
    for (u32 i = 0; i < parts->n; i++)
        if (parts->v[i].ops->info) buf_printf(a->out, " %s", parts->v[i].name);
    buf_printf(a->out, "\n");
}

void mon_info(struct mon_call *a)
{
    struct parts *parts = &vm.pc->m.bus.parts;
    if (!a->argc) {
        list_topics(a);
        return;
    }
    const char *name = a->argv[0];
    a->rest += strcspn(a->rest, " \t");
    a->rest += strspn(a->rest, " \t");
    a->argc--, a->argv++;
    struct nearest near = {.word = name};
    for (unsigned i = 0; i < ARRAY_LEN(topics); i++) {
        const struct topic *t = &topics[i];
        nearest_try(&near, t->name);
        if (strcmp(t->name, name)) continue;
        if (a->argc && !*t->args)
            mon_fail(a, "info %s takes no argument", name);
        else if (!a->argc && *t->args && *t->args != '[')
            mon_fail(a, "info %s: an argument is missing: %s", name, t->args);
        else
            t->fn(a);
        return;
    }
    struct part *p = parts_find(parts, name);
    if (p && p->ops->info) {
        if (a->argc)
            mon_fail(a, "info %s takes no argument", name);
        else
            p->ops->info(p->self, a->out);
        return;
    }
    for (u32 i = 0; i < parts->n; i++)
        if (parts->v[i].ops->info) nearest_try(&near, parts->v[i].name);
    mon_fail(a, "info: nothing is called '%s'%s (info lists all)", name, nearest_text(&near, ""));
}

// Bochs' words for some topics are commands of their own.
#define SAME(topic)                                                                                                    \
    void mon_##topic(struct mon_call *a) { info_##topic(a); }
SAME(eflags)
SAME(creg)
SAME(dreg)
SAME(fpu)
SAME(mmx)
SAME(sse)
#undef SAME
