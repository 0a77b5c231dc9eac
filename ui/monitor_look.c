// SPDX-License-Identifier: MIT
// Monitor commands that look: registers, memory, ports, and what every part of the machine says of itself.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "ui/chr.h"
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

static void info_registers(struct buf *out)
{
    struct cpu *c = mon_the_cpu();
    if (vm.pc->m.ncpus > 1) buf_printf(out, "CPU#%u\n", c->index);
    cpu_dump(c, out);
}
static void info_status(struct buf *out)
{
    buf_printf(out, "VM status: %s\n", vm.paused ? "paused" : "running");
    buf_printf(out, "%llu instructions, %llu ns of virtual time, %llu resets\n",
               (unsigned long long)machine_icount(&vm.pc->m), (unsigned long long)clock_now(&vm.pc->m.bus.clock),
               (unsigned long long)vm.pc->m.resets - 1);
}
static void info_version(struct buf *out) { vm_version(out); }
static void info_name(struct buf *out) { buf_printf(out, "%s\n", vm.name ? vm.name : "doppel"); }

static void info_screen(struct buf *out)
{
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

static void info_cpus(struct buf *out)
{
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
static void info_mtree(struct buf *out)
{
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
static void info_block(struct buf *out)
{
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
static void info_jit(struct buf *out)
{
    struct cpu *c = mon_the_cpu();
    buf_printf(out, "engine %s\n", c->engine->name);
    if (c->engine->info) c->engine->info(c, out);
}

static const struct topic {
    const char *name, *help;
    void (*fn)(struct buf *out);
} topics[] = {
    {"registers", "the chosen processor's registers", info_registers},
    {"cpus", "all processors", info_cpus},
    {"status", "running or paused, time", info_status},
    {"version", "what this is", info_version},
    {"name", "the machine's name", info_name},
    {"screen", "the text on the screen", info_screen},
    {"mtree", "who answers where in memory and at the ports", info_mtree},
    {"block", "drives and their images", info_block},
    {"chardev", "character back ends", chr_info},
    {"jit", "the engine", info_jit},
};

const char *mon_info_topic(unsigned n)
{
    if (n < ARRAY_LEN(topics)) return topics[n].name;
    struct parts *p = &vm.pc->m.bus.parts;
    n -= ARRAY_LEN(topics);
    return n < p->n ? p->v[n].name : NULL;
}

void mon_info(struct mon_call *a)
{
    struct parts *parts = &vm.pc->m.bus.parts;
    if (!a->argc) {
        for (unsigned i = 0; i < ARRAY_LEN(topics); i++)
            buf_printf(a->out, "info %s -- %s\n", topics[i].name, topics[i].help);
        buf_printf(a->out, "and by name of the part:");
        for (u32 i = 0; i < parts->n; i++)
            if (parts->v[i].ops->info) buf_printf(a->out, " %s", parts->v[i].name);
        buf_printf(a->out, "\n");
        return;
    }
    struct nearest near = {.word = a->argv[0]};
    for (unsigned i = 0; i < ARRAY_LEN(topics); i++) {
        nearest_try(&near, topics[i].name);
        if (strcmp(topics[i].name, a->argv[0])) continue;
        topics[i].fn(a->out);
        return;
    }
    struct part *p = parts_find(parts, a->argv[0]);
    if (p && p->ops->info) {
        p->ops->info(p->self, a->out);
        return;
    }
    for (u32 i = 0; i < parts->n; i++)
        if (parts->v[i].ops->info) nearest_try(&near, parts->v[i].name);
    mon_fail(a, "info: nothing is called '%s'%s (info lists all)", a->argv[0], nearest_text(&near, ""));
}

// ---- memory

struct format {
    u64 count;
    char kind;
    unsigned size;
};
static struct format last_format = {1, 'x', 4};
static u64 last_addr;

static bool parse_format(struct mon_call *a, struct format *f)
{
    *f = last_format;
    f->count = 1;
    const char *p = a->fmt;
    if (*p >= '0' && *p <= '9') f->count = strtoul(p, (char **)&p, 10);
    for (; *p; p++) {
        switch (*p) {
        case 'x':
        case 'd':
        case 'u':
        case 'o':
        case 'c':
        case 'i':
        case 's': f->kind = *p; break;
        case 'b': f->size = 1; break;
        case 'h': f->size = 2; break;
        case 'w': f->size = 4; break;
        case 'g': f->size = 8; break;
        default:
            mon_fail(a, "format '/%s': '%c' is none of x d u o c i s (kind) and b h w g (size)", a->fmt, *p);
            return false;
        }
    }
    if (f->kind == 'c' && !strpbrk(a->fmt, "hwg")) f->size = 1;
    if (f->count > 65536) {
        mon_fail(a, "format '/%s': at most 65536 at once", a->fmt);
        return false;
    }
    last_format = *f;
    return true;
}

static void print_value(struct buf *out, u64 v, char kind, unsigned size)
{
    i64 sv = size == 1 ? (i8)v : size == 2 ? (i16)v : size == 4 ? (i32)v : (i64)v;
    switch (kind) {
    case 'd': buf_printf(out, "%lld", (long long)sv); break;
    case 'u': buf_printf(out, "%llu", (unsigned long long)v); break;
    case 'o': buf_printf(out, "0%llo", (unsigned long long)v); break;
    case 'c':
        if (v >= 32 && v < 127)
            buf_printf(out, "'%c'", (int)v);
        else
            buf_printf(out, "'\\x%02x'", (unsigned)v & 0xff);
        break;
    default: buf_printf(out, "0x%0*llx", (int)size * 2, (unsigned long long)v);
    }
}

static bool look(u64 addr, void *to, u64 n, bool phys)
{
    return phys ? bus_dma_read(&vm.pc->m.bus, addr, to, n) : mmu_debug_read(mon_the_cpu(), addr, to, n);
}

static u64 dump_code(struct mon_call *a, u64 addr, u64 count, bool phys)
{
    for (; count; count--) {
        u8 code[15];
        unsigned n = 15;
        char text[128];
        while (n && !look(addr, code, n, phys)) n--;
        if (!n) {
            mon_fail(a, "0x%016llx: no memory there", (unsigned long long)addr);
            return addr;
        }
        unsigned len = disas(mon_the_cpu(), addr, code, n, text, sizeof text);
        buf_printf(a->out, "0x%08llx:  ", (unsigned long long)addr);
        for (unsigned i = 0; i < 10; i++)
            if (i < (len ? len : 1))
                buf_printf(a->out, "%02x ", code[i]);
            else
                buf_printf(a->out, "   ");
        buf_printf(a->out, " %s\n", text);
        addr += len ? len : 1;
    }
    return addr;
}

static u64 dump_text(struct mon_call *a, u64 addr, u64 count, bool phys)
{
    for (; count; count--) {
        u8 c;
        buf_printf(a->out, "0x%016llx: \"", (unsigned long long)addr);
        for (unsigned i = 0; i < 4096 && look(addr, &c, 1, phys) && (addr++, c); i++)
            buf_printf(a->out, c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
        buf_printf(a->out, "\"\n");
    }
    return addr;
}

static void dump(struct mon_call *a, bool phys)
{
    struct format f;
    u64 addr = last_addr;
    if (!parse_format(a, &f)) return;
    if (*a->rest && !mon_number(a, "address", a->rest, &addr)) return;
    if (f.kind == 'i') {
        last_addr = dump_code(a, addr, f.count, phys);
        return;
    }
    if (f.kind == 's') {
        last_addr = dump_text(a, addr, f.count, phys);
        return;
    }
    unsigned per_line = f.kind == 'c' ? 8 : 16 / f.size;
    if (f.kind == 'x' && f.size == 1) per_line = 8;
    for (u64 i = 0; i < f.count; i++, addr += f.size) {
        u8 b[8] = {0};
        if (!look(addr, b, f.size, phys)) {
            mon_fail(a, "%s0x%016llx: no memory there", i % per_line ? "\n" : "", (unsigned long long)addr);
            return;
        }
        if (i % per_line == 0) buf_printf(a->out, "%016llx:", (unsigned long long)addr);
        buf_printf(a->out, " ");
        print_value(a->out, ld64(b), f.kind, f.size);
        if (i % per_line == per_line - 1 || i == f.count - 1) buf_printf(a->out, "\n");
    }
    last_addr = addr;
}
void mon_x(struct mon_call *a) { dump(a, false); }
void mon_xp(struct mon_call *a) { dump(a, true); }

void mon_print(struct mon_call *a)
{
    u64 v;
    struct format f = {1, 'x', 8};
    if (*a->fmt && !parse_format(a, &f)) return;
    if (!mon_number(a, "print", a->rest, &v)) return;
    if (f.kind == 'x')
        buf_printf(a->out, "0x%llx\n", (unsigned long long)v);
    else {
        print_value(a->out, v, f.kind, 8);
        buf_printf(a->out, "\n");
    }
}

static void save(struct mon_call *a, bool phys)
{
    u64 addr, n;
    u8 page[4096];
    if (!mon_number(a, "address", a->argv[0], &addr) || !mon_number(a, "size", a->argv[1], &n)) return;
    FILE *f = fopen(a->argv[2], "wb");
    if (!f) {
        mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
        return;
    }
    while (n && !a->failed) {
        u64 k = min_u64(n, sizeof page);
        if (!look(addr, page, k, phys))
            mon_fail(a, "0x%llx: no memory there", (unsigned long long)addr);
        else if (fwrite(page, 1, k, f) != k)
            mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
        addr += k;
        n -= k;
    }
    if (fclose(f) && !a->failed) mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
}
void mon_memsave(struct mon_call *a) { save(a, false); }
void mon_pmemsave(struct mon_call *a) { save(a, true); }

// ---- ports

static bool port_args(struct mon_call *a, unsigned *size, u64 *port)
{
    *size = *a->fmt == 'w' ? 4 : *a->fmt == 'h' ? 2 : 1;
    if (*a->fmt && (!strchr("bhw", *a->fmt) || a->fmt[1])) {
        mon_fail(a, "a port has /b (8), /h (16) or /w (32 bits)");
        return false;
    }
    if (!mon_number(a, "port", a->argv[0], port)) return false;
    if (*port <= 0xffff) return true;
    mon_fail(a, "ports are 0 to 0xffff");
    return false;
}
void mon_in(struct mon_call *a)
{
    unsigned size;
    u64 port;
    if (port_args(a, &size, &port))
        buf_printf(a->out, "port%c[0x%04llx] = 0x%0*x\n", "bbhww"[size], (unsigned long long)port, (int)size * 2,
                   bus_in(&vm.pc->m.bus, (u16)port, size));
}
void mon_out(struct mon_call *a)
{
    unsigned size;
    u64 port, v;
    if (port_args(a, &size, &port) && mon_number(a, "value", a->argv[1], &v))
        bus_out(&vm.pc->m.bus, (u16)port, (u32)v, size);
}

void mon_ring(struct mon_call *a)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return;
    log_ring_print(&vm.pc->m.bus.log, f, LOG_RING);
    fclose(f);
    buf_add(a->out, text, n);
    free(text);
}
