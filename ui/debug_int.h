// SPDX-License-Identifier: MIT
// What the debugger's files share: debug.c (points, hooks), debug_run.c (stepping), debug_trace.c, autopsy.c.
#pragma once
#include <stdio.h>
#include "cpu/hook.h"
#include "hw/machine.h"
#include "hw/port/chardev.h"
#include "mem/clock.h"
#include "ui/debug.h"

struct debugger {
    struct cpu_hooks hooks;
    struct debug_point *points;
    unsigned next_id, text_points;
    struct debug_stop stop;
    bool stale;   // the hooks do not know the latest points yet
    bool pending; // stop is news that nobody has been told yet
    struct debug_listener *listeners;
    struct { // the last instruction looked at: linear address, instruction count
        u64 code[2], insn[2], fault[2];
    } at[MACHINE_MAX_CPUS];
    struct timer time, screen;
    char line[1024]; // what the serial ports sent last
    size_t nline;
    struct {
        struct chardev *c;
        size_t (*write)(struct chardev *c, const u8 *p, size_t n);
    } tap[4]; // on the serial ports
    struct {
        bool on, returning;
        unsigned cpu, cpl;
        u64 sp;
        int depth; // of interrupt handlers
    } finish;
    bool stepping; // inside debug_step()
    bool waiting;  // inside debug_wait() …
    bool cancel;   // … and whoever waits is gone
    bool autopsy;
    bool branches; // are recorded in any case
    FILE *trace, *mem_trace, *io_trace;
    void (*saw_data)(struct cpu *c, const struct hook_access *a); // step -v looks on; NULL: nobody does
    void (*saw_io)(struct cpu *c, u32 port, u32 size, u64 v, bool write);
    struct cpu *traced; // before which instruction `before` was taken
    u64 before[40];
};
extern struct debugger dbg;

u64 debug_linear(const struct cpu *c); // of RIP
u64 debug_sp(const struct cpu *c);     // of the stack pointer
void debug_request(const struct debug_stop *s);
void debug_count_stops(void);
void debug_arm(void);
void debug_record_branches(void);
void debug_delete_internal(void);
bool debug_finish_insn(struct cpu *c); // true: stop before this instruction
void debug_trace_insn(struct cpu *c, u64 lin);
void debug_trace_data(struct cpu *c, const struct hook_access *a);
void debug_trace_io(struct cpu *c, u32 port, u32 size, u64 v, bool write);
void debug_trace_close(void);
void debug_autopsy_print(struct cpu *c);                 // to the log
void debug_autopsy_text(struct cpu *c, struct buf *out); // about the last fault's chain
// What stands at the address: "0x… <name+4>:  mov ax, bx"; into out, without newline.
void debug_disas_line(struct cpu *c, u64 lin, struct buf *out);
