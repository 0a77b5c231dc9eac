// SPDX-License-Identifier: MIT
// Options to configuration: each option's row of properties, then drives, firmware and character devices.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "cpu/cpuid.h"
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "ui/accel.h"
#include "ui/chr.h"
#include "ui/devices.h"
#include "ui/opt.h"
#include "ui/setup.h"
#include "ui/symbols.h"
#include "ui/vm.h"

#define NOT_GIVEN (~(u64)0)
#define MB        (1ull << 20)

// ---- machine

struct machine_opts {
    char *type, *accel;
    i8 graphics;
};
static const struct prop machine_props[] = {
    {"type", PROP_STR, offsetof(struct machine_opts, type), "pc", .help = "kind of machine"},
    {"accel", PROP_STR, offsetof(struct machine_opts, accel), "tcg|interp|check", .help = "engine, as -accel"},
    {"graphics", PROP_SWITCH, offsetof(struct machine_opts, graphics),
     .help = "off: firmware talks to the serial port"},
};
static bool opt_machine(struct setup *s, const char *arg, struct err *e)
{
    struct machine_opts o = {.graphics = -1};
    bool ok = props_parse("-machine", arg, "type", machine_props, ARRAY_LEN(machine_props), &o, e);
    if (ok && o.type && strcmp(o.type, "pc") && strncmp(o.type, "pc-i440fx", 9))
        ok = err_set(e, "-machine: unknown machine '%s'; there is: pc", o.type);
    if (ok && o.accel) ok = accel_option(o.accel, &s->pc.engine, e);
    if (o.graphics >= 0) s->pc.graphic = o.graphics;
    free(o.type);
    free(o.accel);
    return ok;
}

static const struct prop smp_props[] = {
    {"cpus", PROP_UINT, offsetof(struct setup, cpus), "N", 1, MACHINE_MAX_CPUS, .help = "processors"},
    {"cores", PROP_UINT, offsetof(struct setup, cores), "N", 1, MACHINE_MAX_CPUS, .help = "cores in a package"},
    {"threads", PROP_UINT, offsetof(struct setup, threads), "N", 1, MACHINE_MAX_CPUS, .help = "threads in a core"},
    {"sockets", PROP_UINT, offsetof(struct setup, sockets), "N", 1, MACHINE_MAX_CPUS, .help = "packages"},
};
static bool opt_smp(struct setup *s, const char *arg, struct err *e)
{
    s->cpus = s->cores = s->threads = s->sockets = 0;
    if (!props_parse("-smp", arg, "cpus", smp_props, ARRAY_LEN(smp_props), s, e)) return false;
    u64 c = s->cores, t = s->threads ? s->threads : 1, k = s->sockets;
    if (!s->cpus) s->cpus = (c ? c : 1) * t * (k ? k : 1);
    if (!k) k = c ? (s->cpus + c * t - 1) / (c * t) : 1;
    if (!c) c = s->cpus / (k * t);
    if (s->cpus > MACHINE_MAX_CPUS)
        return err_set(e, "-smp: %llu processors; the most is %u", (unsigned long long)s->cpus, MACHINE_MAX_CPUS);
    if (c * t * k != s->cpus)
        return err_set(e, "-smp: %llu sockets x %llu cores x %llu threads are not %llu processors",
                       (unsigned long long)k, (unsigned long long)c, (unsigned long long)t,
                       (unsigned long long)s->cpus);
    s->cores = c, s->threads = t, s->sockets = k;
    return true;
}

struct symbols_opts {
    char *file;
    u64 offset, cr3;
};
static const struct prop symbols_props[] = {
    {"file", PROP_STR, offsetof(struct symbols_opts, file), "FILE", .help = "ELF, System.map, list of 'ADDRESS NAME'"},
    {"offset", PROP_UINT, offsetof(struct symbols_opts, offset), "N", .help = "added to every address"},
    {"cr3", PROP_UINT, offsetof(struct symbols_opts, cr3), "N", .help = "only while CR3 has this value"},
};
static bool opt_symbols(const char *arg, struct err *e)
{
    struct symbols_opts o = {.cr3 = SYM_ALL_SPACES};
    bool ok = props_parse("-symbols", arg, "file", symbols_props, ARRAY_LEN(symbols_props), &o, e);
    struct err why = {0};
    if (ok && !o.file)
        ok = err_set(e, "-symbols: a file is missing");
    else if (ok && !symbols_load(o.file, o.offset, o.cr3, &why))
        ok = err_set(e, "-symbols: %s", why.msg);
    free(o.file);
    return ok;
}

static const struct prop mem_props[] = {
    {"size", PROP_SIZE, offsetof(struct setup, pc.ram), "N[K|M|G]", .help = "guest memory", .unit = MB},
};
static bool opt_mem(struct setup *s, const char *arg, struct err *e)
{
    if (!props_parse("-m", arg, "size", mem_props, ARRAY_LEN(mem_props), s, e)) return false;
    s->pc.ram = align_up(s->pc.ram, 4096);
    if (s->pc.ram < MB) return err_set(e, "-m %s: a PC needs at least 1M", arg);
    if (s->pc.ram > 1ull << 40) return err_set(e, "-m %s: more than 1 TB", arg);
    u64 host = (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE);
    if (s->pc.ram > host)
        return err_set(e, "-m %s: this host has only %lluM of memory", arg, (unsigned long long)(host / MB));
    return true;
}

struct rtc_opts {
    char *base;
    int clock;
};
static const struct prop rtc_props[] = {
    {"base", PROP_STR, offsetof(struct rtc_opts, base), "utc|localtime|DATE",
     .help = "2026-01-31T12:00:00 or 2026-01-31"},
    {"clock", PROP_ENUM, offsetof(struct rtc_opts, clock), "host|vm|rt", .help = "what it follows"},
};
static i64 local_now(void)
{
    time_t t = time(NULL);
    struct tm tm;
    localtime_r(&t, &tm);
    return timegm(&tm);
}
static bool opt_rtc(struct setup *s, const char *arg, struct err *e)
{
    struct rtc_opts o = {0};
    bool ok = props_parse("-rtc", arg, NULL, rtc_props, ARRAY_LEN(rtc_props), &o, e);
    struct tm tm = {0};
    if (ok && o.base) {
        char *end = strptime(o.base, "%Y-%m-%dT%H:%M:%S", &tm);
        if (!end) {
            tm = (struct tm){0};
            end = strptime(o.base, "%Y-%m-%d", &tm);
        }
        if (!strcmp(o.base, "utc"))
            s->pc.rtc_start = time(NULL);
        else if (!strcmp(o.base, "localtime"))
            s->pc.rtc_start = local_now();
        else if (end && !*end)
            s->pc.rtc_start = timegm(&tm);
        else
            ok = err_set(e, "-rtc: base=%s is none of utc, localtime, 2026-01-31T12:00:00, 2026-01-31", o.base);
    }
    free(o.base);
    return ok;
}

struct icount_opts {
    char *shift;
    i8 sleep, align;
};
static const struct prop icount_props[] = {
    {"shift", PROP_STR, offsetof(struct icount_opts, shift), "0 to 10, or auto", .help = "2^N ns an instruction"},
    {"sleep", PROP_SWITCH, offsetof(struct icount_opts, sleep), .help = "an idle guest waits in real time"},
    {"align", PROP_SWITCH, offsetof(struct icount_opts, align), .help = "only off"},
};
static bool opt_icount(struct setup *s, const char *arg, struct err *e)
{
    struct icount_opts o = {.sleep = 1};
    u64 n = 3; // auto: 8 ns, about what the interpreter needs
    bool ok = props_parse("-icount", arg, "shift", icount_props, ARRAY_LEN(icount_props), &o, e);
    if (ok && o.shift && strcmp(o.shift, "auto") && (!parse_uint(o.shift, &n) || n > 10))
        ok = err_set(e, "-icount: shift=%s is neither 0 to 10 nor auto", o.shift);
    if (ok && o.align == 1) ok = err_set(e, "-icount: align=on is not to be had");
    s->pc.time.icount_shift = (int)n;
    s->pc.time.icount_sleep = o.sleep == 1;
    free(o.shift);
    return ok;
}

struct boot_opts {
    char *order, *once;
    i8 menu, strict;
    u64 splash;
};
static const struct prop boot_props[] = {
    {"order", PROP_STR, offsetof(struct boot_opts, order), "LETTERS", .help = "a floppy, c disk, d CD, n network"},
    {"once", PROP_STR, offsetof(struct boot_opts, once), "LETTERS", .help = "the order of the first boot only"},
    {"menu", PROP_SWITCH, offsetof(struct boot_opts, menu), .help = "the firmware's boot menu"},
    {"splash-time", PROP_UINT, offsetof(struct boot_opts, splash), "MS", 0, 0xffff, .help = "how long it waits"},
    {"strict", PROP_SWITCH, offsetof(struct boot_opts, strict), .help = "accepted"},
};
static bool letters_ok(const char *what, const char *l, struct err *e)
{
    for (const char *p = l; p && *p; p++) {
        if (!strchr("acdn", *p))
            return err_set(e, "-boot: %s=%s: '%c' is none of a floppy, c disk, d CD, n network", what, l, *p);
        if (strchr(p + 1, *p)) return err_set(e, "-boot: %s=%s: '%c' stands twice", what, l, *p);
    }
    return true;
}
static bool opt_boot(struct setup *s, const char *arg, struct err *e)
{
    struct boot_opts o = {.menu = -1, .splash = NOT_GIVEN};
    bool ok = props_parse("-boot", arg, "order", boot_props, ARRAY_LEN(boot_props), &o, e) &&
              letters_ok("order", o.order, e) && letters_ok("once", o.once, e);
    if (o.menu >= 0) s->pc.boot_menu = o.menu;
    if (o.splash != NOT_GIVEN) s->pc.boot_wait_ms = (int)o.splash;
    if (ok && o.order) s->pc.boot_order = xstrdup(o.order);
    if (ok && o.once) { // the order given, or the usual one, comes with the first reset
        s->boot_once = true;
        s->boot_after = s->pc.boot_order;
        s->pc.boot_order = xstrdup(o.once);
    }
    free(o.order);
    free(o.once);
    return ok;
}

// ---- drives

enum { MEDIA_DISK, MEDIA_CDROM };
static const struct prop drive_props[] = {
    {"file", PROP_STR, offsetof(struct drive, file), "NAME", .help = "the image"},
    {"format", PROP_STR, offsetof(struct drive, format), "raw", .help = "its format; found by content"},
    {"if", PROP_ENUM, offsetof(struct drive, iface), "ide|floppy|none", .help = "what it is plugged into"},
    {"media", PROP_ENUM, offsetof(struct drive, media), "disk|cdrom", .help = "kind of medium"},
    {"index", PROP_UINT, offsetof(struct drive, index), "N", 0, 3, .help = "place: 0 to 3 of IDE, 0 and 1 of floppy"},
    {"bus", PROP_UINT, offsetof(struct drive, bus), "N", 0, 1, .help = "IDE channel"},
    {"unit", PROP_UINT, offsetof(struct drive, unit), "N", 0, 1, .help = "0 master, 1 slave"},
    {"snapshot", PROP_SWITCH, offsetof(struct drive, snapshot), .help = "leave the image untouched"},
    {"readonly", PROP_SWITCH, offsetof(struct drive, readonly), .help = "the guest may not write"},
    {"read-only", PROP_SWITCH, offsetof(struct drive, readonly), .help = "the same"},
    {"id", PROP_STR, offsetof(struct drive, id), "NAME", .help = "what -device …,drive= and the monitor call it"},
    {"serial", PROP_STR, offsetof(struct drive, serial), "TEXT", .help = "serial number that the guest sees"},
    // QEMU's tuning of host I/O: scripts name it, and here it changes nothing that a guest or a user could see.
    {"cache", PROP_STR, offsetof(struct drive, tuning), "MODE",
     .help = "accepted, no effect: images are read and written directly"},
    {"aio", PROP_STR, offsetof(struct drive, tuning), "KIND", .help = "accepted, no effect"},
    {"discard", PROP_STR, offsetof(struct drive, tuning), "MODE", .help = "accepted, no effect"},
    {"detect-zeroes", PROP_STR, offsetof(struct drive, tuning), "MODE", .help = "accepted, no effect"},
    {"werror", PROP_ENUM, offsetof(struct drive, on_error), "report|enospc",
     .help = "a failed write is the guest's error in any case"},
    {"rerror", PROP_ENUM, offsetof(struct drive, on_error), "report", .help = "a failed read is the guest's error"},
};

struct drive *setup_drive(struct setup *s, struct err *e)
{
    if (s->ndrives == SETUP_DRIVES) {
        err_set(e, "more than %u drives", SETUP_DRIVES);
        return NULL;
    }
    struct drive *d = &s->drive[s->ndrives++];
    *d = (struct drive){.index = NOT_GIVEN, .bus = NOT_GIVEN, .unit = NOT_GIVEN, .snapshot = -1, .readonly = -1};
    return d;
}
static bool simple_drive(struct setup *s, const char *file, int iface, int media, u64 index, struct err *e)
{
    struct drive *d = setup_drive(s, e);
    if (!d) return false;
    d->file = xstrdup(file);
    d->iface = iface, d->media = media, d->index = index;
    return true;
}
static bool opt_drive(struct setup *s, const char *arg, struct err *e)
{
    struct drive *d = setup_drive(s, e);
    if (!d || !props_parse("-drive", arg, NULL, drive_props, ARRAY_LEN(drive_props), d, e)) return false;
    if (d->bus != NOT_GIVEN || d->unit != NOT_GIVEN) {
        u64 bus = d->bus == NOT_GIVEN ? 0 : d->bus, unit = d->unit == NOT_GIVEN ? 0 : d->unit;
        if (d->index != NOT_GIVEN) return err_set(e, "-drive: index= and bus=/unit= say the same: give one of them");
        d->index = d->iface == DRIVE_FLOPPY ? unit : 2 * bus + unit;
    }
    if (d->iface == DRIVE_FLOPPY && d->index != NOT_GIVEN && d->index > 1)
        return err_set(e, "-drive: if=floppy has index 0 and 1");
    if (!d->file && d->media != MEDIA_CDROM)
        return err_set(e, "-drive: file= is missing (only a CD drive may be empty)");
    return true;
}

static bool plug_drive(struct setup *s, struct drive *d, struct err *e)
{
    static const char *const places[] = {"-hda", "-hdb", "-hdc or -cdrom", "-hdd"};
    struct disk *disk = NULL;
    bool cd = d->media == MEDIA_CDROM && d->iface == DRIVE_IDE;
    u64 at = d->index;
    if (d->iface == DRIVE_NONE)
        return err_set(e, "-drive: if=none needs a -device with drive=%s", d->id ? d->id : "ID");
    if (at == NOT_GIVEN) { // QEMU: a CD-ROM too takes the first place that is free, but -cdrom is index 2
        u64 n = d->iface == DRIVE_IDE ? 4 : 2;
        for (at = 0; at < n; at++)
            if (d->iface == DRIVE_IDE ? !s->pc.ide[at].kind : !s->pc.floppy[at]) break;
        if (at == n) return err_set(e, "'%s': every place for a drive is taken", d->file ? d->file : "");
    }
    if (d->iface == DRIVE_IDE ? s->pc.ide[at].kind != IDE_NONE : s->pc.floppy[at] != NULL)
        return err_set(e, "'%s': %s drive %llu (%s) is there already", d->file ? d->file : "",
                       d->iface ? "floppy" : "IDE", (unsigned long long)at,
                       d->iface ? (at ? "-fdb" : "-fda") : places[at]);
    if (d->file) {
        struct disk_opts o = {.file = d->file,
                              .format = d->format,
                              .readonly = d->readonly == 1 || cd,
                              .snapshot = (d->snapshot == 1 || (s->snapshot && d->snapshot != 0)) && !cd,
                              .cdrom = cd};
        disk = disk_open(&o, e);
        if (!disk) return false;
        if (d->iface == DRIVE_FLOPPY && !i82077_takes(disk->size)) {
            err_set(e, "'%s' has %llu bytes: no floppy has that size (1440 KB is usual)", d->file,
                    (unsigned long long)disk->size);
            disk_close(disk);
            return false;
        }
    }
    if (d->iface == DRIVE_FLOPPY)
        s->pc.floppy[at] = disk;
    else
        s->pc.ide[at] =
            (struct ide_unit){.kind = cd ? IDE_CD : IDE_DISK, .disk = disk, .serial = d->serial, .model = d->model};
    return true;
}

// ---- firmware

static char *firmware(struct setup *s, const char *name)
{
    if (strchr(name, '/') || !access(name, R_OK)) return xstrdup(name);
    for (unsigned i = 0; i < s->nlib; i++) {
        char *f = xasprintf("%s/%s", s->lib[i], name);
        if (!access(f, R_OK)) return f;
        free(f);
    }
    for (const char *p = FIRMWARE_PATH; *p;) {
        size_t n = strcspn(p, ":");
        char *f = xasprintf("%.*s/%s", (int)n, p, name);
        if (!access(f, R_OK)) return f;
        free(f);
        p += n + (p[n] == ':');
    }
    return NULL;
}

// ---- the options

static bool remember(const char **list, unsigned *n, unsigned max, const struct opt *o, struct err *e)
{
    if (*n == max) return err_set(e, "%s: more than %u", opt_name(o->id), max);
    list[(*n)++] = o->arg;
    return true;
}

struct mon_opts {
    char *chardev;
    int mode;
};
static const struct prop mon_props[] = {
    {"chardev", PROP_STR, offsetof(struct mon_opts, chardev), "ID", .help = "where it is"},
    {"mode", PROP_ENUM, offsetof(struct mon_opts, mode), "readline", .help = "the only one"},
};
static bool opt_mon(struct setup *s, const char *arg, struct err *e)
{
    struct mon_opts o = {0};
    if (!props_parse("-mon", arg, "chardev", mon_props, ARRAY_LEN(mon_props), &o, e)) return false;
    if (!o.chardev) return err_set(e, "-mon: chardev=ID is missing");
    if (s->nmonitor == ARRAY_LEN(s->monitor)) return err_set(e, "-mon: more than %zu", ARRAY_LEN(s->monitor));
    s->monitor[s->nmonitor++] = xasprintf("chardev:%s", o.chardev);
    return true;
}

// `-OPTION help`
static bool option_help(const struct opt *o, struct buf *out)
{
    const char *a = o->arg;
    if (o->id == OPT_HELP) return opts_help(out), true;
    if (o->id == OPT_VERSION) return vm_version(out), true;
    if (!a) return false;
    size_t n = strcspn(a, ",");
    if (o->id == OPT_DEVICE && !strcmp(a + n, ",help")) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)n, a);
        return device_help(name, out);
    }
    if (strcmp(a, "help") && strcmp(a, "?")) return false;
    switch (o->id) {
    case OPT_M:
        buf_printf(out, "pc  i440FX + PIIX3 PC (default)\n");
        props_help("-machine", machine_props, ARRAY_LEN(machine_props), out);
        return true;
    case OPT_ACCEL: accel_help(out); return true;
    case OPT_CPU: cpuid_model_help(out); return true;
    case OPT_SMP: props_help("-smp", smp_props, ARRAY_LEN(smp_props), out); return true;
    case OPT_RTC: props_help("-rtc", rtc_props, ARRAY_LEN(rtc_props), out); return true;
    case OPT_ICOUNT: props_help("-icount", icount_props, ARRAY_LEN(icount_props), out); return true;
    case OPT_BOOT: props_help("-boot", boot_props, ARRAY_LEN(boot_props), out); return true;
    case OPT_DRIVE: props_help("-drive", drive_props, ARRAY_LEN(drive_props), out); return true;
    case OPT_CHARDEV: chardev_help(out); return true;
    case OPT_DEVICE: devices_help(out); return true;
    case OPT_VGA:
        buf_printf(out, "std   standard VGA with Bochs VBE (default)\nnone  no display adapter\n");
        return true;
    case OPT_L: buf_printf(out, "%s\n", FIRMWARE_PATH); return true;
    case OPT_DISPLAY:
        for (unsigned i = 0; ui_display_nth(i); i++)
            buf_printf(out, "%-8s %s\n", ui_display_nth(i)->name, ui_display_nth(i)->help);
        return true;
    case OPT_D:
        for (int i = 0; i < LOG_NCATS; i++) buf_printf(out, "%-14s %s\n", log_cat_name(i), log_cat_help(i));
        buf_printf(out, "%-14s %s\n", "trace:GLOB", "trace events whose name matches (-trace help lists them)");
        return true;
    case OPT_TRACE:
        for (int i = 0; i < TRACE_NIDS; i++) buf_printf(out, "%s\n", log_trace_name(i));
        return true;
    default: return false;
    }
}

// `doppel IMAGE` and its long form.
static bool add_image(struct setup *s, struct err *e)
{
    const char *option, *boot, *kind;
    if (!s->image) return true;
    if (!image_options(s->image, &option, &boot, &kind, e)) return false;
    fprintf(stderr, "doppel: %s is %s: %s %s%s%s\n", s->image, kind, option, s->image, boot ? " -boot " : "",
            boot ? boot : "");
    if (boot && !s->pc.boot_order) s->pc.boot_order = boot;
    if (!strcmp(option, "-kernel")) {
        s->pc.kernel = s->image;
        return true;
    }
    if (!strcmp(option, "-cdrom")) return simple_drive(s, s->image, DRIVE_IDE, MEDIA_CDROM, 2, e);
    return simple_drive(s, s->image, !strcmp(option, "-fda") ? DRIVE_FLOPPY : DRIVE_IDE, MEDIA_DISK, 0, e);
}

static bool one_option(struct setup *s, const struct opt *o, struct err *e)
{
    const char *a = o->arg;
    switch (o->id) {
    case OPT_M: return opt_machine(s, a, e);
    case OPT_ACCEL: return accel_option(a, &s->pc.engine, e);
    case OPT_CPU: s->cpu = xstrdup(a); return true;
    case OPT_SMP: return opt_smp(s, a, e);
    case OPT_MEM: return opt_mem(s, a, e);
    case OPT_BIOS: s->bios = xstrdup(a); return true;
    case OPT_L:
        if (s->nlib < ARRAY_LEN(s->lib)) s->lib[s->nlib++] = a;
        return true;
    case OPT_NODEFAULTS: s->nodefaults = true; return true;
    case OPT_RTC: return opt_rtc(s, a, e);
    case OPT_NAME: s->name = xasprintf("%.*s", (int)strcspn(a, ","), strncmp(a, "guest=", 6) ? a : a + 6); return true;
    case OPT_KERNEL: s->pc.kernel = a; return true;
    case OPT_INITRD: s->pc.initrd = a; return true;
    case OPT_APPEND: s->pc.append = a; return true;
    case OPT_BOOT: return opt_boot(s, a, e);
    case OPT_HDA:
    case OPT_HDB:
    case OPT_HDC:
    case OPT_HDD: return simple_drive(s, a, DRIVE_IDE, MEDIA_DISK, (u64)(o->id - OPT_HDA), e);
    case OPT_CDROM: return simple_drive(s, a, DRIVE_IDE, MEDIA_CDROM, 2, e);
    case OPT_FDA:
    case OPT_FDB: return simple_drive(s, a, DRIVE_FLOPPY, MEDIA_DISK, (u64)(o->id - OPT_FDA), e);
    case OPT_DRIVE: return opt_drive(s, a, e);
    case OPT_SNAPSHOT: s->snapshot = true; return true;
    case OPT_SERIAL:
        if (s->nserial == 4) return err_set(e, "-serial: a PC has four serial ports");
        s->serial[s->nserial++] = a;
        return true;
    case OPT_PARALLEL:
        if (s->nparallel == 3) return err_set(e, "-parallel: a PC has three parallel ports");
        s->parallel[s->nparallel++] = a;
        return true;
    case OPT_DEBUGCON: s->debugcon = a; return true;
    case OPT_NIC:
    case OPT_NET:
        if (strcmp(a, "none"))
            return err_set(e, "%s %s: this machine has no network yet; there is: none", opt_name(o->id), a);
        return true;
    case OPT_DISPLAY: s->display = xstrdup(a); return true;
    case OPT_CURSES: s->display = xstrdup("curses"); return true;
    case OPT_VNC: s->display = xasprintf("vnc=%s", a); return true;
    case OPT_VGA:
        if (strcmp(a, "std") && strcmp(a, "none")) return err_set(e, "-vga %s: there are: std, none", a);
        s->pc.vga = !strcmp(a, "std");
        s->vga_given = true;
        return true;
    case OPT_NOGRAPHIC: s->nographic = true; return true;
    case OPT_MONITOR: return remember(s->monitor, &s->nmonitor, ARRAY_LEN(s->monitor), o, e);
    case OPT_MON: return opt_mon(s, a, e);
    case OPT_GDB: s->gdb = a; return true;
    case OPT_GDB_SHORT: s->gdb = "tcp::1234"; return true;
    case OPT_EX: return remember(s->ex, &s->nex, ARRAY_LEN(s->ex), o, e);
    case OPT_SYMBOLS: return opt_symbols(a, e);
    case OPT_LOADVM: s->loadvm = a; return true;
    case OPT_TRACE: return remember(s->trace, &s->ntrace, ARRAY_LEN(s->trace), o, e);
    case OPT_CHARDEV: return remember(s->chardev, &s->nchardev, ARRAY_LEN(s->chardev), o, e);
    case OPT_DEVICE: return remember(s->device, &s->ndevice, ARRAY_LEN(s->device), o, e);
    case OPT_GLOBAL: return remember(s->global, &s->nglobal, ARRAY_LEN(s->global), o, e);
    case OPT_FULLSCREEN: s->full_screen = true; return true;
    case OPT_S: s->stopped = true; return true;
    case OPT_NOREBOOT: s->no_reboot = true; return true;
    case OPT_NOSHUTDOWN: s->no_shutdown = true; return true;
    case OPT_ICOUNT: return opt_icount(s, a, e);
    case OPT_SEED: s->seed_given = true; return parse_uint(a, &s->pc.seed) || err_set(e, "-seed %s is not a number", a);
    case OPT_D: s->log_items = a; return true;
    case OPT_DFILTER: s->log_ranges = a; return true;
    case OPT_LOGFILE: s->log_file = a; return true;
    case OPT_IMAGE:
        if (s->image)
            return err_set(e, "two images: '%s' and '%s'; -hda, -hdb, -cdrom … say what is what", s->image, a);
        s->image = a;
        return true;
    default: return err_set(e, "%s is not to be had yet", opt_name(o->id));
    }
}

static u64 host_ns(void *owner) { return loop_now_ns(); }

bool setup_parse(struct setup *s, int argc, char **argv, struct err *e)
{
    *s = (struct setup){.cpus = 1, .cores = 1, .threads = 1, .sockets = 1};
    s->pc = (struct pc_config){.ram = 256 * MB, .vga = true, .boot_wait_ms = -1};
    s->pc.graphic = true;
    s->pc.rtc_start = time(NULL);
    s->pc.time = (struct machine_time){.icount_shift = -1, .host_ns = host_ns, .host_ticks = loop_ticks()};
    unsigned n;
    struct opt *o = opts_parse(argc, argv, &n, e);
    if (!o) return false;
    struct buf out = {0};
    bool ok = true;
    for (unsigned i = 0; i < n && ok && !s->done; i++) {
        s->done = option_help(&o[i], &out);
        ok = s->done || one_option(s, &o[i], e);
    }
    ok = ok && (s->done || add_image(s, e));
    if (ok && !s->done && !s->pc.engine) accel_default(&s->pc.engine);
    if (s->done) fputs(buf_text(&out), stdout);
    buf_free(&out);
    free(o);
    return ok;
}

// ---- back ends

static bool open_ports(struct setup *s, struct err *e)
{
    char label[32];
    if (!s->nserial && s->nographic && !s->nodefaults) s->serial[s->nserial++] = s->nmonitor ? "stdio" : "mon:stdio";
    if (!s->nserial && !s->nodefaults) s->serial[s->nserial++] = "vc";
    if (!s->nparallel && !s->nodefaults) s->parallel[s->nparallel++] = "null";
    for (unsigned i = 0; i < s->nserial; i++) {
        snprintf(label, sizeof label, "serial%u", i);
        if (!back_end(s->serial[i], label, &s->pc.serial[i], e)) return false;
    }
    for (unsigned i = 0; i < s->nparallel; i++) {
        snprintf(label, sizeof label, "parallel%u", i);
        if (!back_end(s->parallel[i], label, &s->pc.parallel[i], e)) return false;
    }
    for (unsigned i = 0; i < s->nmonitor; i++)
        if (strcmp(s->monitor[i], "none") && !monitor_back_end(s->monitor[i], e)) return false;
    return true;
}

// -debugcon is short for -chardev … -device isa-debugcon, with what -global says of it.
static bool add_devices(struct setup *s, struct err *e)
{
    for (unsigned i = 0; i < s->nchardev; i++)
        if (!chardev_option(s->chardev[i], e)) return false;
    for (unsigned i = 0; i < s->nglobal; i++)
        if (!global_option(s, s->global[i], e)) return false;
    for (unsigned i = 0; i < s->ndevice; i++)
        if (!device_option(s, s->device[i], e)) return false;
    return !s->debugcon || (debugcon_open(s->debugcon, e) && device_option(s, "isa-debugcon,chardev=debugcon", e));
}

bool setup_open(struct setup *s, struct err *e)
{
    s->pc.model = cpuid_model_parse(s->cpu, e);
    if (!s->pc.model) return false;
    s->pc.model->cores = (u32)s->cores;
    s->pc.model->threads = (u32)s->threads;
    s->pc.model->packages = (u32)s->sockets;
    s->pc.cpus = (unsigned)s->cpus;
    if (!s->seed_given) {
        s->pc.seed = 1;
        if (s->pc.time.icount_shift < 0 && getrandom(&s->pc.seed, sizeof s->pc.seed, 0) != sizeof s->pc.seed)
            s->pc.seed = loop_now_ns();
    }
    s->pc.bios = firmware(s, s->bios ? s->bios : "bios-256k.bin");
    if (!s->pc.bios)
        return err_set(e, "firmware '%s' not found in %s; install the package seabios, or use -bios or -L",
                       s->bios ? s->bios : "bios-256k.bin", FIRMWARE_PATH);
    if (!add_devices(s, e) || !devices_prepare(s, e)) return false;
    s->pc.add_devices = devices_add;
    s->pc.add_owner = s;
    if (s->nodefaults && !s->vga_given) s->pc.vga = false;
    if (s->pc.vga) {
        s->pc.vgabios = firmware(s, "vgabios-stdvga.bin");
        if (!s->pc.vgabios)
            return err_set(e,
                           "'vgabios-stdvga.bin' not found in %s; install the package seabios, or use -L or -vga none",
                           FIRMWARE_PATH);
    }
    if (s->nographic) s->pc.graphic = false;
    s->pc.no_floppy = s->nodefaults;
    for (unsigned i = 0; i < s->ndrives; i++) // places that were asked for first
        if (s->drive[i].index != NOT_GIVEN && !plug_drive(s, &s->drive[i], e)) return false;
    for (unsigned i = 0; i < s->ndrives; i++)
        if (s->drive[i].index == NOT_GIVEN && !plug_drive(s, &s->drive[i], e)) return false;
    if (!s->nodefaults && !s->pc.ide[2].kind) s->pc.ide[2].kind = IDE_CD;
    if (s->pc.initrd && !s->pc.kernel) return err_set(e, "-initrd needs -kernel");
    if (s->pc.append && !s->pc.kernel) return err_set(e, "-append needs -kernel");
    return open_ports(s, e);
}
