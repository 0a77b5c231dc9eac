// SPDX-License-Identifier: MIT
// Traces to files: each instruction with what it changed, each access to memory, each access to a port. Free when off.
#include <stdio.h>
#include <string.h>
#include "cpu/access.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/vm.h"

typedef unsigned long long ull;
static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                                    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "efl", "es",
                                    "cs",  "ss",  "ds",  "fs",  "gs",  "cr0", "cr2", "cr3", "cr4"};

static void look(struct cpu *c, u64 *v)
{
    for (unsigned i = 0; i < 16; i++) v[i] = c->gpr[i];
    v[16] = flags_get(c);
    for (unsigned i = 0; i < 6; i++) v[17 + i] = c->seg[i].sel;
    v[23] = c->cr0, v[24] = c->cr2, v[25] = c->cr3, v[26] = c->cr4;
}

// Ends the line of the instruction before: what it changed.
static void changes(struct cpu *c)
{
    u64 now[ARRAY_LEN(names)];
    if (dbg.traced != c) {
        if (dbg.traced) fputc('\n', dbg.trace);
        look(c, dbg.before);
        dbg.traced = c;
        return;
    }
    look(c, now);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (now[i] != dbg.before[i]) fprintf(dbg.trace, "  %s=%llx", names[i], (ull)now[i]);
    fputc('\n', dbg.trace);
    memcpy(dbg.before, now, sizeof now);
}

// One line an instruction: count, CPU, CS:RIP, disassembly; then, when the next one comes, the registers it changed.
void debug_trace_insn(struct cpu *c, u64 lin)
{
    u8 code[15] = {0};
    unsigned k = 15;
    char text[128];
    changes(c);
    while (k && !mmu_debug_read(c, lin, code, k)) k--;
    if (k) disas(c, lin, code, k, text, sizeof text);
    fprintf(dbg.trace, "%llu cpu%u %04x:%0*llx  %-32s", (ull)cpu_icount(c), c->index, c->seg[S_CS].sel,
            cpu_code64(c) ? 16 : 8, (ull)c->gpr[R_RIP], k ? text : "(no memory)");
}

void debug_trace_data(struct cpu *c, const struct hook_access *a)
{
    fprintf(dbg.mem_trace, "%llu cpu%u %c%u %016llx (%012llx)%s %0*llx\n", (ull)cpu_icount(c), c->index,
            a->write ? 'W' : 'R', a->size, (ull)a->lin, (ull)a->pa, a->system ? " sys" : "",
            (int)(a->size > 8 ? 16 : 2 * a->size), (ull)a->value);
}

void debug_trace_io(struct cpu *c, u32 port, u32 size, u64 v, bool write)
{
    fprintf(dbg.io_trace, "%llu cpu%u %s%u %04x %0*llx\n", (ull)cpu_icount(c), c->index, write ? "out" : "in", size,
            port, (int)(2 * size), (ull)v);
}

void debug_trace_close(void)
{
    if (dbg.trace) fputc('\n', dbg.trace);
    FILE **all[] = {&dbg.trace, &dbg.mem_trace, &dbg.io_trace};
    for (unsigned i = 0; i < 3; i++) {
        if (*all[i] && *all[i] != stderr) fclose(*all[i]);
        *all[i] = NULL;
    }
    dbg.traced = NULL;
}
