// SPDX-License-Identifier: MIT
// What happened last on a processor: exceptions and interrupts, port accesses, branches (cpu/hook.h's trail).
#include <stdio.h>
#include "cpu/hook.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/debug.h"
#include "ui/monitor.h"
#include "ui/symbols.h"

typedef unsigned long long ull;

// How many to show, of n that there ever were: the first one's number.
static bool last_n(struct mon_call *a, const char *what, u32 n, u32 *from)
{
    u64 want = TRAIL;
    if (a->argc && !mon_number(a, what, a->argv[0], &want)) return false;
    u32 have = n < TRAIL ? n : TRAIL;
    *from = n - (u32)min_u64(want, have);
    if (*from == n) buf_printf(a->out, "none yet\n");
    return true;
}

void info_exceptions(struct mon_call *a)
{
    static const char *const kinds[] = {"interrupt", "int n", "int3/into", "int1", "exception", "nmi"};
    static const char *const vectors[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",
                                          "#TS", "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM"};
    struct cpu *c = mon_the_cpu();
    const struct cpu_trail *t = c->trail;
    u32 i;
    if (!last_n(a, "info exceptions", t->nevents, &i)) return;
    for (; i != t->nevents; i++) {
        const struct trail_event *e = &t->event[i % TRAIL];
        bool named = e->kind == INT_FAULT && e->vector < ARRAY_LEN(vectors);
        buf_printf(a->out, "%llu: %s 0x%02x %s at %04x:%0*llx", (ull)e->icount, kinds[e->kind % 6], e->vector,
                   named ? vectors[e->vector] : "", e->cs, cpu_lma(c) ? 16 : 8, (ull)e->rip);
        const char *name = symbol_text(c, e->rip);
        if (*name) buf_printf(a->out, " <%s>", name);
        if (e->has_err) buf_printf(a->out, " error 0x%04x", e->err);
        if (e->kind == INT_FAULT && e->vector == EXC_PF) buf_printf(a->out, " address 0x%llx", (ull)e->cr2);
        if (e->during >= 0) buf_printf(a->out, " while 0x%02x was delivered", (unsigned)e->during);
        buf_printf(a->out, ", CPL %u\n", e->cpl);
    }
}

void info_io(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    const struct cpu_trail *t = c->trail;
    u32 i;
    if (!last_n(a, "info io", t->nio, &i)) return;
    for (; i != t->nio; i++) {
        const struct trail_io *e = &t->io[i % TRAIL];
        buf_printf(a->out, "%llu: %s 0x%04x %s 0x%0*x at 0x%llx\n", (ull)e->icount, e->write ? "out" : "in ", e->port,
                   e->write ? "<-" : "->", e->size * 2, e->value, (ull)e->rip);
    }
}

void info_branches(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    u64 n = TRAIL_BLOCKS;
    if (a->argc && !mon_number(a, "info branches", a->argv[0], &n)) return;
    if (!c->trail->blocks_on) buf_printf(a->out, "recorded from now on, and with -no-reboot or -d cpu_reset\n");
    debug_print_branches(c, (unsigned)min_u64(n, TRAIL_BLOCKS), a->out);
}
