// SPDX-License-Identifier: MIT
// Monitor commands that do: run and stop, buttons and keys, media, saved machines, logs.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "hw/pci/piix4_pm.h"
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "ui/debug.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

void mon_select(struct mon_call *a)
{
    u64 n;
    if (!mon_number(a, "cpu", a->rest, &n)) return;
    if (n < vm.pc->m.ncpus)
        mon_cpu = (unsigned)n;
    else
        mon_fail(a, "cpu: there are 0 to %u", vm.pc->m.ncpus - 1);
}
void mon_stop(struct mon_call *a) { vm_stop(); }
void mon_cont(struct mon_call *a) { vm_cont(); }

void mon_quit(struct mon_call *a)
{
    u64 status = 0;
    if (*a->rest && !mon_number(a, "quit", a->rest, &status)) return;
    vm_quit((int)(status & 0xff));
}

void mon_reset(struct mon_call *a)
{
    if (vm.paused) {
        machine_reset(&vm.pc->m);
        vm_after_reset();
    } else
        machine_request(&vm.pc->m, BUS_REQ_RESET);
}
void mon_powerdown(struct mon_call *a) { piix4_pm_power_button(vm.pc->pm); }
void mon_nmi(struct mon_call *a)
{
    u64 n = 0;
    if (a->argc && !mon_number(a, "nmi", a->rest, &n)) return;
    if (n < vm.pc->m.ncpus)
        cpu_nmi(vm.pc->m.cpu[n]);
    else
        mon_fail(a, "nmi: there are processors 0 to %u", vm.pc->m.ncpus - 1);
}

void mon_boot_set(struct mon_call *a)
{
    const char *order = a->argv[0];
    if (*order && strspn(order, "abcdn") == strlen(order) && strlen(order) <= 4)
        pc_boot_order(vm.pc, order);
    else
        mon_fail(a, "boot_set: '%s': letters are a, b (floppy), c (disk), d (CD), n (network)", order);
}

// ---- keyboard, mouse, screen

void mon_sendkey(struct mon_call *a)
{
    u8 key[KEYS_COMBO_MAX];
    struct err e = {0};
    unsigned n = keys_parse(a->argv[0], key, &e);
    if (!n)
        mon_fail(a, "sendkey: %s", e.msg);
    else if (!key_queue_combo(&vm.keys, key, n))
        mon_fail(a, "sendkey: too many keys wait already");
}

void mon_type(struct mon_call *a)
{
    char *text = xstrdup(a->rest), *to = text;
    for (const char *p = a->rest; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p == 'e' ? 27 : *p;
        } else {
            *to++ = *p;
        }
    }
    *to = 0;
    if (key_queue_text(&vm.keys, text) < strlen(text)) mon_fail(a, "type: the text is too long: its end is left out");
    free(text);
}

static unsigned buttons;
static bool signed_arg(struct mon_call *a, int n, int *v)
{
    u64 u = 0;
    if (n < a->argc && !mon_number(a, "mouse_move", a->argv[n], &u)) return false;
    *v = (int)(i64)u;
    return true;
}
void mon_mouse_move(struct mon_call *a)
{
    int dx, dy, dz;
    if (signed_arg(a, 0, &dx) && signed_arg(a, 1, &dy) && signed_arg(a, 2, &dz) && vm.pc->input.mouse)
        vm.pc->input.mouse(vm.pc->input.dev, dx, dy, dz, buttons);
}
void mon_mouse_button(struct mon_call *a)
{
    u64 v;
    if (!mon_number(a, "mouse_button", a->rest, &v)) return;
    // HMP: 1 left, 2 right, 4 middle: the same as ours
    buttons = (unsigned)v & 7;
    if (vm.pc->input.mouse) vm.pc->input.mouse(vm.pc->input.dev, 0, 0, 0, buttons);
}

void mon_screendump(struct mon_call *a)
{
    struct surface s = {0};
    struct err e = {0};
    if (!vm.pc->screen.dev) {
        mon_fail(a, "screendump: there is no display adapter");
        return;
    }
    vm.pc->screen.update(vm.pc->screen.dev, &s, true);
    if (!ui_screendump(&s, a->argv[0], &e)) mon_fail(a, "%s", e.msg);
}

// ---- media

// "ide1-cd0" -> IDE unit; "floppy0" -> 4 + drive; -1 with a message.
static int drive_named(struct mon_call *a, const char *name)
{
    static const char *const names[] = {"ide0-cd0", "ide0-cd1", "ide1-cd0", "ide1-cd1", "floppy0", "floppy1"};
    struct nearest near = {.word = name};
    for (int i = 0; i < 6; i++) {
        enum ide_kind kind;
        if (i < 4 && (!ide_disk(vm.pc->ide, i, &kind) || true) && kind != IDE_CD) continue;
        if (i >= 4 && (!vm.pc->fdc || i82077_type(vm.pc->fdc, i - 4) == FLOPPY_NONE)) continue;
        if (!strcmp(names[i], name)) return i;
        nearest_try(&near, names[i]);
    }
    mon_fail(a, "no drive with removable media is called '%s'%s (info block lists them)", name,
             nearest_text(&near, ""));
    return -1;
}

static bool open_tray(struct mon_call *a, int at, bool force)
{
    struct disk *old = NULL;
    if (at >= 4 ? !i82077_eject(vm.pc->fdc, at - 4, &old) : !ide_cd_eject(vm.pc->ide, at, force, &old)) {
        mon_fail(a, "the guest has locked the tray: it was asked to release it; try again, or eject -f");
        return false;
    }
    disk_close(old);
    return true;
}

void mon_eject(struct mon_call *a)
{
    bool force = !strcmp(a->argv[0], "-f");
    if (a->argc < 1 + force) {
        mon_fail(a, "eject: which drive? (info block lists them)");
        return;
    }
    int at = drive_named(a, a->argv[force]);
    if (at >= 0) open_tray(a, at, force);
}

void mon_change(struct mon_call *a)
{
    struct err e = {0};
    int at = drive_named(a, a->argv[0]);
    if (at < 0) return;
    struct disk_opts o = {.file = a->argv[1], .readonly = at < 4, .cdrom = at < 4, .snapshot = vm.snapshot && at >= 4};
    struct disk *d = disk_open(&o, &e);
    if (!d) {
        mon_fail(a, "change: %s", e.msg);
        return;
    }
    if (!open_tray(a, at, false)) {
        disk_close(d);
        return;
    }
    if (at >= 4 ? i82077_insert(vm.pc->fdc, at - 4, d) : ide_cd_insert(vm.pc->ide, at, d)) return;
    mon_fail(a, "change: '%s' does not fit into %s", a->argv[1], a->argv[0]);
    disk_close(d);
}
void mon_commit(struct mon_call *a) { vm_flush_disks(); }

// ---- saved machines

void mon_savevm(struct mon_call *a)
{
    struct err e = {0};
    if (!snapshot_save(a->argv[0], &e)) mon_fail(a, "savevm: %s", e.msg);
}
void mon_loadvm(struct mon_call *a)
{
    struct err e = {0};
    if (!snapshot_load(a->argv[0], &e)) mon_fail(a, "loadvm: %s", e.msg);
}

// ---- logs

void mon_log(struct mon_call *a)
{
    struct err e = {0};
    struct log *l = &vm.pc->m.bus.log;
    if (!strcmp(a->argv[0], "none"))
        l->cats = 0;
    else if (!log_parse(l, a->argv[0], &e))
        mon_fail(a, "log: %s", e.msg);
    debug_autopsy(vm.no_reboot || log_on(l, LOG_RESET));
}
void mon_logfile(struct mon_call *a)
{
    struct log *l = &vm.pc->m.bus.log;
    FILE *f = fopen(a->argv[0], "w");
    if (!f) {
        mon_fail(a, "logfile: cannot write '%s': %s", a->argv[0], err_errno(errno));
        return;
    }
    if (l->out) fclose(l->out);
    l->out = f;
}
void mon_trace(struct mon_call *a)
{
    bool on = !strcmp(a->argv[1], "on");
    if (!on && strcmp(a->argv[1], "off")) {
        mon_fail(a, "trace-event: '%s' is neither on nor off", a->argv[1]);
        return;
    }
    if (!log_trace_set(&vm.pc->m.bus.log, a->argv[0], on))
        mon_fail(a, "trace-event: no event matches '%s' (doppel -trace help lists them)", a->argv[0]);
}
