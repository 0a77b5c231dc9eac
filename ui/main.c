// SPDX-License-Identifier: MIT
// doppel: options, machine, loop, end. The only file that exits.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mem/base/log.h"
#include "ui/accel.h"
#include "ui/chr.h"
#include "ui/debug.h"
#include "ui/gdb.h"
#include "ui/monitor.h"
#include "ui/setup.h"
#include "ui/vm.h"

static void on_end(int sig)
{
    if (vm.pc) {
        vm_quit(128 + sig);
        return;
    }
    // nothing is set up yet, and it may wait for a peer: end as if the signal had not been caught
    chr_restore_terminal();
    signal(sig, SIG_DFL);
    raise(sig);
}

// A panic, or the host's memory is gone: what the machine was doing, then the ordinary end of such a process.
static void on_abort(int sig)
{
    signal(SIGABRT, SIG_DFL);
    chr_restore_terminal();
    vm_post_mortem();
    raise(SIGABRT);
}

static NORETURN void fail(const char *msg)
{
    chr_close_all();
    fprintf(stderr, "doppel: %s\n", msg);
    exit(1);
}

static void open_display(struct setup *s, struct err *e)
{
    const char *spec = s->display;
    if (!spec && s->nographic) spec = "none";
    if (!spec) {
        static const char *const order[] = {"sdl", "none"};
        for (unsigned i = 0; i < ARRAY_LEN(order) && !spec; i++)
            if (ui_display_usable(order[i])) spec = order[i];
    }
    char kind[32];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(spec, "=,"), spec);
    vm.display = ui_display_find(kind);
    if (!vm.display) {
        err_set(e, "-display %s: not known or not built in (-display help)", spec);
        return;
    }
    if (!strcmp(kind, "none")) return;
    struct ui_display_opts o = {.name = s->name, .paused = &vm.paused, .full_screen = s->full_screen};
    if (spec[strlen(kind)] == '=') o.arg = spec + strlen(kind) + 1;
    vm.display_self = vm.display->open(&vm.pc->screen, &vm.pc->input, &o, e);
}

int main(int argc, char **argv)
{
    static struct setup s;
    struct err e = {0};
    static struct buf command;
    for (int i = 0; i < argc; i++)
        buf_printf(&command, strpbrk(argv[i], " ;&|<>$") ? "%s'%s'" : "%s%s", i ? " " : "", argv[i]);
    accel_command(buf_text(&command));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file-size limit is an error of that write
    if (!setup_parse(&s, argc, argv, &e)) fail(e.msg);
    if (s.done) return 0;
    // before the terminal's modes change: whatever ends us puts them back
    signal(SIGABRT, on_abort);
    signal(SIGTERM, on_end);
    signal(SIGINT, on_end);
    signal(SIGHUP, on_end);
    if (!setup_open(&s, &e)) fail(e.msg);
    for (unsigned i = 0; i < ARRAY_LEN(s.pc.serial); i++) debug_serial(s.pc.serial[i]);
    vm.pc = pc_new(&s.pc, &e);
    if (!vm.pc) fail(e.msg);
    struct log *log = &vm.pc->m.bus.log;
    if (s.log_file && !(log->out = fopen(s.log_file, "w"))) {
        err_set(&e, "-D: cannot write '%s': %s", s.log_file, err_errno(errno));
        fail(e.msg);
    }
    for (unsigned i = 0; i < s.ntrace; i++)
        if (!log_trace_set(log, s.trace[i], true)) {
            err_set(&e, "-trace: no event matches '%s' (-trace help lists them)", s.trace[i]);
            fail(e.msg);
        }
    if (s.log_items && !log_parse(log, s.log_items, &e)) fail(e.msg);
    if (s.log_ranges && !log_parse_ranges(log, s.log_ranges, &e)) fail(e.msg);
    vm.no_reboot = vm.pc->m.no_reboot = s.no_reboot;
    vm.no_shutdown = s.no_shutdown;
    vm.snapshot = s.snapshot;
    vm.name = s.name;
    vm.boot_once = s.boot_once;
    vm.boot_after = s.boot_after;
    debug_autopsy(s.no_reboot || log_on(log, LOG_RESET));
    open_display(&s, &e);
    if (e.msg[0]) fail(e.msg);
    if (s.loadvm && !snapshot_load(s.loadvm, &e)) fail(e.msg);
    if (s.gdb && !gdb_open(s.gdb, &e)) fail(e.msg);
    if (s.stopped)
        vm.paused = true;
    else
        vm_cont();
    for (unsigned i = 0; i < s.nex && !vm.quit; i++) {
        struct buf out = {0};
        bool ok = monitor_run(s.ex[i], &out);
        fputs(buf_text(&out), ok ? stdout : stderr);
        fflush(stdout);
        buf_free(&out);
    }
    vm_run();
    gdb_exited(vm.status);
    if (vm.display_self) vm.display->close(vm.display_self);
    chr_drain();
    gdb_free();
    debug_free();
    pc_free(vm.pc); // the fronts let go of their back ends
    chr_close_all();
    monitor_free_all();
    return vm.status;
}
