// SPDX-License-Identifier: MIT
// Monitor commands of the debugger that change and record: registers, memory from files, traces.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/regs.h"
#include "ui/vm.h"

typedef unsigned long long ull;

// set [$]REG[ ]=[ ]EXPR
void mon_set(struct mon_call *a)
{
    char name[40];
    u64 v;
    struct err e = {0};
    const char *p = a->rest + (*a->rest == '$'), *eq = strchr(p, '=');
    size_t n = strcspn(p, " =");
    if (!strncmp(p, "var ", 4)) return mon_fail(a, "set: registers only: set $REG=EXPR");
    if (!n || n >= sizeof name || !eq || strspn(p + n, " ") != (size_t)(eq - p) - n || eq[1] == '=') {
        mon_fail(a, "set: $REG=EXPR is needed");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, p);
    if (!mon_number(a, "set", eq + 1, &v)) return;
    if (!vm.paused) vm_stop();
    if (!reg_write(mon_the_cpu(), name, v, &e)) mon_fail(a, "set: %s", e.msg);
}

static bool poke(u64 addr, const void *p, u64 n, bool phys)
{
    return phys ? bus_poke(&vm.pc->m.bus, addr, p, n) : mmu_debug_write(mon_the_cpu(), addr, p, n);
}

// setmem ADDR SIZE VALUE
static void set_memory(struct mon_call *a, bool phys)
{
    u64 at, size, v;
    u8 b[8];
    if (!mon_number(a, "address", a->argv[0], &at) || !mon_number(a, "size", a->argv[1], &size) ||
        !mon_number(a, "value", a->argv[2], &v))
        return;
    if (size > 8 || !is_pow2(size)) {
        mon_fail(a, "setmem: a size is 1, 2, 4 or 8");
        return;
    }
    st64(b, v);
    if (!poke(at, b, size, phys)) mon_fail(a, "0x%llx: no memory there", (ull)at);
}
void mon_setmem(struct mon_call *a) { set_memory(a, false); }
void mon_setpmem(struct mon_call *a) { set_memory(a, true); }

static void load(struct mon_call *a, bool phys)
{
    u64 at, done = 0;
    u8 page[4096];
    size_t n;
    if (!mon_number(a, "address", a->argv[1], &at)) return;
    FILE *f = fopen(a->argv[0], "rb");
    if (!f) {
        mon_fail(a, "cannot read '%s': %s", a->argv[0], err_errno(errno));
        return;
    }
    while ((n = fread(page, 1, sizeof page, f)) && !a->failed) {
        if (!poke(at + done, page, n, phys)) mon_fail(a, "0x%llx: no memory there", (ull)(at + done));
        done += n;
    }
    if (ferror(f)) mon_fail(a, "cannot read '%s': %s", a->argv[0], err_errno(errno));
    fclose(f);
    if (!a->failed) buf_printf(a->out, "%llu bytes\n", (ull)done);
}
void mon_loadmem(struct mon_call *a) { load(a, false); }
void mon_ploadmem(struct mon_call *a) { load(a, true); }

// Bochs' order of arguments: FILE ADDR LEN.
void mon_writemem(struct mon_call *a)
{
    char *turned[3] = {a->argv[1], a->argv[2], a->argv[0]};
    memcpy(a->argv, turned, sizeof turned);
    mon_memsave(a);
}

// ---- traces: on = standard error, off, or a file

static void trace_to(struct mon_call *a, const char *what, FILE **to)
{
    const char *where = a->argv[0];
    bool off = !strcmp(where, "off");
    FILE *f = off ? NULL : !strcmp(where, "on") ? stderr : fopen(where, "w");
    if (!off && !f) {
        mon_fail(a, "%s: cannot write '%s': %s", what, where, err_errno(errno));
        return;
    }
    if (to == &dbg.trace) {
        if (dbg.trace && dbg.traced) fputc('\n', dbg.trace);
        dbg.traced = NULL;
    }
    if (*to && *to != stderr)
        fclose(*to);
    else if (*to)
        fflush(*to);
    *to = f;
    debug_changed();
}
void mon_trace_insn(struct mon_call *a) { trace_to(a, "trace-insn", &dbg.trace); }
void mon_trace_mem(struct mon_call *a) { trace_to(a, "trace-mem", &dbg.mem_trace); }
void mon_trace_io(struct mon_call *a) { trace_to(a, "trace-io", &dbg.io_trace); }
