// SPDX-License-Identifier: MIT
// Running and stopping for gdb: its breakpoints and watchpoints as points of the debugger (ui/debug.h), resume, single
// steps, stop replies. gdb takes all its points out at each stop and puts them in again before it goes on; so a packet
// only notes what is wanted, and the debugger hears of the differences when the machine is to run.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "mem/base/bits.h"
#include "ui/gdb.h"
#include "ui/vm.h"

#define MAX_POINTS 4000
enum { GDB_SIGINT = 2, GDB_SIGQUIT = 3, GDB_SIGTRAP = 5 }; // gdb's own numbers (include/gdb/signals.def)
enum { Z_SOFTWARE, Z_HARDWARE, Z_WRITE, Z_READ, Z_ACCESS };

struct gdb_point {
    u64 addr, len;
    u8 type; // Z_*
    bool phys, wanted;
    unsigned id; // the debugger's, 0: not there
};

// ---- points

static struct gdb_point *find(struct gdb *g, unsigned type, u64 addr, u64 len)
{
    for (unsigned i = 0; i < g->npoints; i++) {
        struct gdb_point *p = &g->points[i];
        if (p->type == type && p->addr == addr && p->len == len && p->phys == g->view.phys) return p;
    }
    return NULL;
}

bool gdb_insert(struct gdb *g, unsigned type, u64 addr, u64 len)
{
    struct gdb_point *p = find(g, type, addr, len);
    if (!p) {
        if (g->npoints == MAX_POINTS || (type >= Z_WRITE && addr + (len - 1) < addr)) return false;
        if (g->npoints == g->points_cap) {
            g->points_cap = g->points_cap ? g->points_cap * 2 : 64;
            g->points = xrealloc(g->points, g->points_cap * sizeof *g->points);
        }
        p = &g->points[g->npoints++];
        *p = (struct gdb_point){.addr = addr, .len = len, .type = (u8)type, .phys = g->view.phys};
    }
    return p->wanted = true;
}

void gdb_remove(struct gdb *g, unsigned type, u64 addr, u64 len)
{
    struct gdb_point *p = find(g, type, addr, len);
    if (p) p->wanted = false;
}

static bool add(struct gdb *g, struct gdb_point *p)
{
    struct err e = {0};
    bool watch = p->type >= Z_WRITE;
    struct debug_point d = {.kind = watch ? (p->phys ? POINT_WATCH_PHYS : POINT_WATCH)
                                          : (p->phys ? POINT_CODE_PHYS : POINT_CODE),
                            .first = p->addr,
                            .last = watch ? p->addr + (p->len - 1) : p->addr,
                            .rd = p->type == Z_READ || p->type == Z_ACCESS,
                            .wr = p->type == Z_WRITE || p->type == Z_ACCESS,
                            .cpu = -1,
                            .owner = g};
    struct debug_point *made = debug_add(&d, &e);
    if (made) p->id = made->id;
    return made != NULL;
}

// Brings the debugger's points up to what gdb wants; false: there was no room for all.
static bool sync_points(struct gdb *g)
{
    unsigned n = 0;
    bool ok = true;
    for (unsigned i = 0; i < g->npoints; i++) {
        struct gdb_point *p = &g->points[i];
        if (!p->wanted) {
            if (p->id) debug_delete(p->id);
            continue;
        }
        if (p->id && !debug_find(p->id)) p->id = 0; // the monitor's `delete`
        if (!p->id) ok &= add(g, p);
        g->points[n++] = *p;
    }
    g->npoints = n;
    return ok;
}

static void drop_points(struct gdb *g)
{
    debug_delete_owner(g);
    g->npoints = 0;
}

// ---- stops

static struct gdb_point *point_of(struct gdb *g, unsigned id)
{
    for (unsigned i = 0; i < g->npoints; i++)
        if (g->points[i].id == id) return &g->points[i];
    return NULL;
}

static int signal_of(enum stop_kind k)
{
    switch (k) {
    case STOP_USER: return GDB_SIGINT;
    case STOP_POWEROFF: return GDB_SIGQUIT;
    default: return GDB_SIGTRAP;
    }
}

static void note_stop(struct gdb *g, const struct debug_stop *s)
{
    struct gdb_point *p = s->kind == STOP_POINT && s->owner == g ? point_of(g, s->id) : NULL;
    char more[48] = "";
    if (s->kind != STOP_USER) g->cpu_g = g->cpu_c = s->cpu;
    if (p && p->type >= Z_WRITE) {
        static const char *const names[] = {[Z_WRITE] = "watch", [Z_READ] = "rwatch", [Z_ACCESS] = "awatch"};
        // an access may begin before the watched bytes: gdb looks for one of those
        snprintf(more, sizeof more, "%s:%llx;", names[p->type], (unsigned long long)max_u64(s->addr, p->addr));
    } else if (p && (p->type == Z_SOFTWARE ? g->swbreak : g->hwbreak)) {
        snprintf(more, sizeof more, "%s:;", p->type == Z_SOFTWARE ? "swbreak" : "hwbreak");
    }
    snprintf(g->why, sizeof g->why, "T%02xthread:%x;core:%x;%s", signal_of(s->kind), g->cpu_g + 1, g->cpu_g, more);
}

void gdb_stop_reply(struct gdb *g) { gdb_send(g, "%s", g->why); }

static void on_stop(void *owner, const struct debug_stop *s)
{
    struct gdb *g = owner;
    vm.pc->m.held = 0;
    bool ours = s->kind == STOP_STEP || (s->kind == STOP_USER ? g->interrupting : s->owner == g);
    if (!ours) g->go_on = false; // somebody else wanted it, or the machine is off
    g->interrupting = false;
    note_stop(g, s);
    if (!g->waiting) return;
    g->waiting = false;
    gdb_stop_reply(g);
}

static void on_resume(void *owner) { ((struct gdb *)owner)->go_on = true; }

void gdb_interrupt(struct gdb *g)
{
    if (vm.paused) return; // it says so already
    g->interrupting = true;
    vm_stop();
}

// ---- going on

#define RANGE_STEPS 1000 // after which gdb is asked again, and may send its Ctrl-C

// The others move by as many instructions, so that one that waits for them gets on.
static void step(struct gdb *g, unsigned cpu, const enum gdb_action *act)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    bool go_on = g->go_on; // a step is no resume
    debug_ready();
    unsigned flags = (g->sstep & GDB_STEP_NOIRQ ? STEP_HOLD : 0) | (g->sstep & GDB_STEP_NOTIMER ? STEP_NO_TIMER : 0);
    if (c->halt != CPU_RUNNING) flags = 0; // nothing but an interrupt gets a halted processor on
    enum stop_kind why = STOP_STEP;
    for (unsigned n = 0; n < RANGE_STEPS && g->waiting && why == STOP_STEP && !vm.quit; n++) {
        if (n && gdb_pc(c, &g->view) - g->range[0] >= g->range[1] - g->range[0]) break;
        for (unsigned i = 0; i < vm.pc->m.ncpus; i++)
            if (i != cpu && act[i] == GDB_CONT && vm.pc->m.cpu[i]->halt == CPU_RUNNING)
                machine_step(&vm.pc->m, i, !(flags & STEP_NO_TIMER));
        why = debug_step(cpu, 1, flags);
    }
    g->go_on = go_on;
    if (!g->waiting || vm.quit) return; // on_stop() has told, gdb_exited() will
    note_stop(g, debug_stop());
    g->waiting = false;
    gdb_stop_reply(g);
}

void gdb_resume(struct gdb *g, const enum gdb_action act[MACHINE_MAX_CPUS])
{
    struct machine *m = &vm.pc->m;
    unsigned stepped = m->ncpus;
    if (!sync_points(g)) {
        gdb_error(g, GDB_ENOSPC);
        return;
    }
    m->held = 0;
    for (unsigned i = 0; i < m->ncpus; i++) {
        if (act[i] == GDB_STAY) m->held |= (u64)1 << i;
        if (act[i] == GDB_STEP && stepped == m->ncpus) stepped = i;
    }
    g->waiting = true;
    g->answering = false;
    if (stepped < m->ncpus)
        step(g, stepped, act);
    else if (vm.paused)
        vm_cont();
}

void gdb_reset_machine(struct gdb *g)
{
    g->interrupting = !vm.paused;
    vm_stop();
    machine_reset(&vm.pc->m);
    vm_after_reset();
    g->cpu_g = g->cpu_c = 0;
    snprintf(g->why, sizeof g->why, "T%02xthread:1;core:0;", GDB_SIGTRAP);
}

// ---- the client comes and goes

void gdb_begin(struct gdb *g)
{
    g->ear = (struct debug_listener){.stopped = on_stop, .resumed = on_resume, .owner = g};
    g->go_on = !vm.paused;
    if (!vm.paused) vm_stop();
    snprintf(g->why, sizeof g->why, "T%02xthread:1;core:0;", GDB_SIGTRAP);
    debug_listen(&g->ear);
}

void gdb_detach(struct gdb *g)
{
    drop_points(g);
    g->waiting = false;
    vm.pc->m.held = 0;
    if (vm.paused && !vm.quit && debug_stop()->kind != STOP_POWEROFF) vm_cont();
}

void gdb_end(struct gdb *g)
{
    bool go_on = g->go_on;
    debug_unlisten(&g->ear);
    drop_points(g);
    free(g->points);
    g->points = NULL;
    g->points_cap = 0;
    g->waiting = false;
    vm.pc->m.held = 0;
    if (go_on && vm.paused && !vm.quit) vm_cont();
}
