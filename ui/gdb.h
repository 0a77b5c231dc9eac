// SPDX-License-Identifier: MIT
// The gdb stub: the remote serial protocol (gdb manual, appendix E) on a character back end, served from the main loop.
#pragma once
#include "hw/machine.h"
#include "hw/port/chardev.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "ui/debug.h"

// Opens the stub on "tcp::1234", "unix:F", "stdio", …; "none" closes it. There is one a process; another place replaces
// the first. A host that is not named is the loopback.
bool gdb_open(const char *spec, struct err *e);
void gdb_attach(struct chardev *c, const char *spec); // the same on a back end that is open already
void gdb_exited(int status);                          // the machine is going: whoever is connected is told
void gdb_free(void);                                  // before the back ends are closed

// ---- gdb_regs.c: registers and target description. Numbers are rows of gdb_regs.def that the processor has.
struct cpu;
enum gdb_arch { GDB_ARCH_AUTO, GDB_ARCH_NONE, GDB_ARCH_8086, GDB_ARCH_I386, GDB_ARCH_X64, GDB_ARCHS };
// How a client sees the machine.
struct gdb_view {
    bool linear; // RIP and RSP with the bases of CS and SS added: what `x/i $pc` needs in segmented code
    bool phys;   // memory by physical address
    enum gdb_arch arch;
};
#define GDB_REG_MAX 16 // bytes of the largest register
unsigned gdb_reg_count(const struct cpu *c);
unsigned gdb_reg_size(const struct cpu *c, unsigned n); // in bytes, 0: no such register
void gdb_reg_get(struct cpu *c, const struct gdb_view *v, unsigned n, u8 *to);
// False: the processor does not take this value.
bool gdb_reg_set(struct cpu *c, const struct gdb_view *v, unsigned n, const u8 *from);
void gdb_target_xml(struct cpu *c, const struct gdb_view *v, struct buf *out);
u64 gdb_pc(const struct cpu *c, const struct gdb_view *v);

// ---- between gdb.c (the line and its packets), gdb_cmd.c (what they mean) and gdb_run.c (run and stop)
#define GDB_PACKET 0x4000 // bytes of the largest packet's body, either way
enum gdb_errno { GDB_ESRCH = 3, GDB_EFAULT = 14, GDB_EINVAL = 22, GDB_E2BIG = 7, GDB_ENOSPC = 28 };
enum { GDB_STEP_ENABLE = 1, GDB_STEP_NOIRQ = 2, GDB_STEP_NOTIMER = 4 }; // QEMU's sstepbits
struct gdb {
    struct chardev *c;
    char *spec;
    struct gdb_view view;
    bool connected, noack, swbreak, hwbreak, extended;
    bool answering; // a packet is being served: its reply is to come
    bool waiting;   // the client resumed the machine and waits for a stop reply
    bool go_on;     // when the client leaves, the machine runs
    unsigned cpu_g; // of register and memory packets
    unsigned cpu_c; // of c and s; MACHINE_MAX_CPUS = all
    u32 sstep;      // GDB_STEP_*
    u64 range[2];   // a step goes on while the PC is in [0] … [1] - 1
    struct buf doc; // the qXfer object that is being read
    char why[128];  // the last stop reply
    // gdb_run.c's own
    struct gdb_point *points;
    unsigned npoints, points_cap;
    bool interrupting; // the stop to come is Ctrl-C's
    struct debug_listener ear;
    // gdb.c's own
    int state;
    u8 sum, got;
    bool escaped, overrun;
    u32 len;
    char in[GDB_PACKET + 1];
    struct buf last, pending; // the last packet, for a repetition; output that the back end has not taken
};
// A reply or an O packet: text, and any bytes (escaped where they must be).
void gdb_send(struct gdb *g, const char *fmt, ...) PRINTF(2, 3);
void gdb_send_bytes(struct gdb *g, const void *p, size_t n);
void gdb_error(struct gdb *g, enum gdb_errno e);
// One packet's body, NUL-terminated, len bytes; replies.
void gdb_packet(struct gdb *g, char *body, size_t len);
struct cpu *gdb_cpu(struct gdb *g); // of register and memory packets
// What vCont wants of a CPU.
enum gdb_action { GDB_STAY, GDB_CONT, GDB_STEP };
void gdb_resume(struct gdb *g, const enum gdb_action act[MACHINE_MAX_CPUS]);
void gdb_stop_reply(struct gdb *g); // why it stopped last
void gdb_interrupt(struct gdb *g);  // Ctrl-C
// type: 0 software, 1 hardware, 2 write, 3 read, 4 access. False: the machine has no room for it.
bool gdb_insert(struct gdb *g, unsigned type, u64 addr, u64 len);
void gdb_remove(struct gdb *g, unsigned type, u64 addr, u64 len);
void gdb_begin(struct gdb *g);  // a client has come
void gdb_detach(struct gdb *g); // its points go, the machine runs
void gdb_end(struct gdb *g);    // … is gone
void gdb_reset_machine(struct gdb *g);
