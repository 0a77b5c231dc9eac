// SPDX-License-Identifier: MIT
// The debugger behind the monitor and the gdb stub: points where the machine stops, and ways to go on. Its hooks hang
// in the CPUs (cpu/hook.h) only while a point, a trace or a step needs them. One debugger a process, as there is one
// machine (ui/vm.h).
//
// Life of a stop: a hook notes struct debug_stop and pauses the machine; machine_run() returns, vm.c calls
// debug_paused(), which sets vm.paused, deletes temporary points and tells every listener. vm_stop() (monitor, Ctrl-C
// of gdb) comes by the same way with STOP_USER. vm_cont() lets it run; an instruction at which a CPU stands then does
// not stop again.
#pragma once
#include "mem/base/buf.h"
#include "mem/base/err.h"

struct cpu;
enum point_kind {
    POINT_CODE,      // first: linear address
    POINT_CODE_PHYS, // … physical
    POINT_CODE_SEG,  // … offset, with sel = selector in CS
    POINT_WATCH,     // [first, last] linear; rd, wr
    POINT_WATCH_PHYS,
    POINT_IO,        // ports [first, last]; rd, wr
    POINT_EXCEPTION, // vectors [first, last], raised by an instruction: stops before it is delivered
    POINT_INT,       // vectors [first, last], interrupts and INT n: stops at the handler's first instruction
    POINT_CR,        // number first (16 = EFER) was written with another value; 3: another task
    POINT_MODE,      // real, protected, virtual-8086, long; 16, 32, 64-bit code
    POINT_TRIPLE,    // triple fault
    POINT_MAGIC,     // xchg bx,bx
    POINT_ICOUNT,    // first: a CPU has retired that many instructions
    POINT_TIME,      // first: ns of virtual time
    POINT_TEXT,      // text appeared on a serial line or the text screen
    POINT_NKINDS
};
struct debug_point {
    enum point_kind kind;
    u64 first, last; // last: 0 = first
    u16 sel;
    bool rd, wr;
    bool disabled, temporary;
    int cpu;          // -1: any
    void *owner;      // whose it is: NULL the monitor's; others are not listed as somebody's own
    u64 ignore;       // hits still to be passed over
    const char *cond; // expression, NULL: always
    const char *text; // POINT_TEXT
    u64 sp;           // internal, if not 0: only with the stack pointer in [sp, sp + 64 K) (next)
    // the manager's
    bool internal; // of `next` and its like: not listed, its stop is a STOP_STEP
    bool seen;     // POINT_TEXT: it was on the screen at the last look; POINT_TIME: that time is over
    unsigned id;   // from 1 on
    u64 hits;
    struct debug_point *next;
};
enum stop_kind {
    STOP_NONE,  // never stopped yet
    STOP_USER,  // vm_stop()
    STOP_POINT, // id, point_kind: a point was hit
    STOP_STEP,  // a step, next, finish, until came to its end
    STOP_HALT,  // step: the CPU is halted and nothing will wake it
    STOP_RESET, // -no-reboot -no-shutdown
    STOP_POWEROFF
};
struct debug_stop {
    enum stop_kind kind;
    enum point_kind point; // with STOP_POINT
    unsigned id;           // of the point, 0: of none
    void *owner;           // the point's
    unsigned cpu;
    u64 rip, lin; // where that CPU stands; lin: linear
    u64 addr;     // watch: address accessed (linear or physical as the point); io: port; CR: its number
    u32 size;     // of the access
    bool write;
    enum { BY_CPU, BY_WALK, BY_DMA } by; // watch: who accessed
    u64 old, value;                      // watch, io, CR, mode: before and after (reads: value)
    int vector;                          // exception, interrupt
    u32 err;
    u8 int_kind;   // enum int_kind
    char text[64]; // POINT_TEXT; a condition that could not be evaluated
};

// ---- points
// Adds a copy (strings too); NULL with a message: nonsense, too many.
struct debug_point *debug_add(const struct debug_point *p, struct err *e);
struct debug_point *debug_find(unsigned id); // NULL: none
struct debug_point *debug_points(void);      // list in order of id, by ->next
bool debug_delete(unsigned id);
void debug_delete_owner(void *owner); // all of this owner's (a gdb that has gone)
void debug_changed(void);             // after changing fields of a point
const char *debug_kind_name(enum point_kind k);
const char *debug_point_text(const struct debug_point *p, struct buf *out);

// ---- stops
const struct debug_stop *debug_stop(void);                         // the last one
void debug_stop_text(const struct debug_stop *s, struct buf *out); // one line and the instruction it stands at
struct debug_listener {
    void (*stopped)(void *owner, const struct debug_stop *s);
    void (*resumed)(void *owner); // may be NULL
    void *owner;
    struct debug_listener *next;
};
void debug_listen(struct debug_listener *l);
void debug_unlisten(struct debug_listener *l);

// ---- going on. Each stops the machine first; the answer is debug_stop() then. Only this CPU moves in debug_step().
enum {
    STEP_HOLD = 1,    // interrupts stay pending
    STEP_NO_TIMER = 2 // no timer's event happens
};
enum stop_kind debug_step(unsigned cpu, u64 n, unsigned flags);
struct mon_call;
enum stop_kind step_verbose(struct mon_call *a, unsigned cpu, unsigned flags); // monitor_stepv.c: and tells all of it
// These let the whole machine run and look after the host meanwhile (nested main loop) until it stops for whatever
// reason, or the program is to end. False with a message: cannot be done.
bool debug_next(unsigned cpu, unsigned flags, struct err *e); // over CALL, INT n, SYSCALL; else one step
bool debug_finish(unsigned cpu, struct err *e);               // until the current function has returned
bool debug_until(unsigned cpu, u64 lin, struct err *e);
bool debug_wait(u64 ns); // until it stops; false: the time was over
void debug_cancel(void); // whoever waits has gone: the wait ends, the machine goes on

// ---- for vm.c and main.c
void debug_ready(void);                  // before machine_run(): the hooks shall know all points
void debug_paused(void);                 // machine_run() or machine_step() said MACHINE_PAUSED
void debug_stopped_by(enum stop_kind k); // the machine was running and was stopped
void debug_resuming(void);
void debug_free(void);
// Listens to what a serial port sends, for POINT_TEXT.
struct chardev;
void debug_serial(struct chardev *c);
// The last `max` branches of a CPU, as lines; switches their record on.
void debug_print_branches(struct cpu *c, unsigned max, struct buf *out);
const char *debug_vector_name(int v); // "#PF"; static buffer
// Switches the record of branches on for good, and the report on triple faults: -no-reboot, -d cpu_reset.
void debug_autopsy(bool on);
