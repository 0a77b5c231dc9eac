// SPDX-License-Identifier: MIT
// The monitor: doppel's command line, on any character device, in scripts (-ex, source) and behind the gdb stub.
#pragma once
#include "hw/port/chardev.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "ui/lineedit.h"

struct cpu;
// A session; tty: a person's terminal, with line editing and echo; shared: behind a multiplexer.
struct monitor *monitor_new(bool tty, bool shared);
void monitor_free_all(void); // at the end of the program, when their back ends are closed
void monitor_attach(struct monitor *m, struct chardev *c);
void monitor_focus(void *m, bool on); // for mux_port()
// Runs one line; what it prints is appended to out. False: it was wrong (out says why).
bool monitor_run(const char *line, struct buf *out);

// ---- between monitor.c and the commands
struct mon_call {
    struct buf *out;
    const char *fmt;  // what stood behind '/', "" if nothing
    const char *rest; // the arguments as typed
    int argc;
    char **argv; // split at blanks; "…" keeps them
    bool failed;
};
typedef void mon_fn(struct mon_call *a);
#define CMD(fn, ...) mon_fn mon_##fn;
#include "ui/monitor.def"
#undef CMD
#define INFO(fn, ...) mon_fn info_##fn; // a->argv, a->rest: what follows the topic
#include "ui/info.def"
#undef INFO
// Prints an error line and marks the call as failed.
void mon_fail(struct mon_call *a, const char *fmt, ...) PRINTF(2, 3);
bool mon_number(struct mon_call *a, const char *what, const char *expr,
                u64 *v); // evaluates; false: mon_fail was called
extern unsigned mon_cpu; // that looks are about
struct cpu *mon_the_cpu(void);
void mon_complete(void *owner, struct offers *o); // complete.c
void mon_offer_commands(struct offers *o);
const char *mon_arguments(const char *command); // as monitor.def has them; NULL: no such command
// monitor_look.c: topics of `info`, for completion; NULL behind the last
const char *mon_info_topic(unsigned n);
// expr.c: false with a message
bool expr_eval(struct cpu *c, const char *text, u64 *v, struct err *e);
// disas.c: one instruction at bytes[0..n) in the code size that c is in; its length, 0 if there is none or no
// disassembler. Targets and RIP-relative addresses that have a symbol are named behind it.
unsigned disas(struct cpu *c, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size);
unsigned disas_as(struct cpu *c, unsigned code /* MODE_16, MODE_32, MODE_64 */, u64 addr, const u8 *bytes, unsigned n,
                  char *text, size_t size);
// snapshot.c
bool snapshot_save(const char *file, struct err *e);
bool snapshot_load(const char *file, struct err *e);
