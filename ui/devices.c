// SPDX-License-Identifier: MIT
// Devices and character back ends by name. Price of a new device here: a row of `types`, a table of properties and a
// function that plugs it in, either into the configuration (drives, ports) or into the machine under construction.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hw/port/debugcon.h"
#include "hw/port/testdev.h"
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/devices.h"
#include "ui/monitor.h"
#include "ui/opt.h"

#define NOT_GIVEN (~(u64)0)

// ---- character back ends

static struct named {
    char *id;
    struct chardev *c;
    bool mux, taken;
} named[32];
static unsigned nnamed;

struct chardev_opts {
    char *kind, *id, *path, *host, *port;
    i8 mux, server, wait, telnet, signal, delay;
};
#define C(field) offsetof(struct chardev_opts, field)
static const struct prop chardev_props[] = {
    {"backend", PROP_STR, C(kind), "stdio|file|pipe|pty|null|socket", .help = "kind, may stand alone in front"},
    {"id", PROP_STR, C(id), "NAME", .help = "what others call it"},
    {"path", PROP_STR, C(path), "FILE", .help = "file, pipe, socket"},
    {"host", PROP_STR, C(host), "HOST", .help = "socket: default 127.0.0.1"},
    {"port", PROP_STR, C(port), "PORT", .help = "socket"},
    {"mux", PROP_SWITCH, C(mux), .help = "several may share it (Ctrl-A c)"},
    {"signal", PROP_SWITCH, C(signal), .help = "stdio: Ctrl-C ends doppel"},
    {"server", PROP_SWITCH, C(server), .help = "socket: listen"},
    {"wait", PROP_SWITCH, C(wait), .help = "socket: do not start before somebody connects"},
    {"telnet", PROP_SWITCH, C(telnet), .help = "socket: telnet protocol"},
    {"delay", PROP_SWITCH, C(delay), .help = "socket: collect small packets"},
};
void chardev_help(struct buf *out) { props_help("-chardev", chardev_props, ARRAY_LEN(chardev_props), out); }

static char *chardev_spec(const struct chardev_opts *o, struct err *e)
{
    const char *k = o->kind;
    if (!strcmp(k, "socket")) {
        if (!o->path == !o->port) {
            err_set(e, "-chardev socket: either path= or host=,port= is needed");
            return NULL;
        }
        char *place = o->path ? xasprintf("unix:%s", o->path) : xasprintf("tcp:%s:%s", o->host ? o->host : "", o->port);
        char *spec = xasprintf("%s%s%s%s", place, o->server == 1 ? ",server=on" : "", o->wait == 0 ? ",wait=off" : "",
                               o->telnet == 1 ? ",telnet=on" : "");
        free(place);
        return spec;
    }
    if (!strcmp(k, "file") || !strcmp(k, "pipe")) {
        if (o->path) return xasprintf("%s:%s", k, o->path);
        err_set(e, "-chardev %s: path= is missing", k);
        return NULL;
    }
    return xstrdup(!strcmp(k, "stdio") && (o->signal == 0 || o->mux == 1) ? "stdio,raw" : k);
}

bool chardev_option(const char *arg, struct err *e)
{
    struct chardev_opts o = {.mux = -1, .server = -1, .wait = -1, .telnet = -1, .signal = -1, .delay = -1};
    char *spec = NULL;
    bool ok = props_parse("-chardev", arg, "backend", chardev_props, ARRAY_LEN(chardev_props), &o, e);
    if (ok && (!o.kind || !o.id))
        ok = err_set(e, "-chardev: %s",
                     o.kind ? "id= is missing" : "the kind is missing: stdio, file, pipe, pty, null, socket");
    for (unsigned i = 0; ok && i < nnamed; i++)
        if (!strcmp(named[i].id, o.id)) ok = err_set(e, "-chardev: id=%s is there already", o.id);
    if (ok && nnamed == ARRAY_LEN(named)) ok = err_set(e, "-chardev: more than %zu", ARRAY_LEN(named));
    if (ok) ok = (spec = chardev_spec(&o, e)) != NULL;
    if (ok) {
        struct chardev *c = chr_open(spec, o.id, e);
        ok = c != NULL || (!e->msg[0] && err_set(e, "-chardev: '%s' is no back end", o.kind));
        if (ok) named[nnamed++] = (struct named){xstrdup(o.id), c, o.mux == 1, false};
    }
    free(spec);
    free(o.kind), free(o.id), free(o.path), free(o.host), free(o.port);
    return ok;
}

static struct named *chardev_named(const char *id, struct err *e)
{
    struct nearest near = {.word = id};
    for (unsigned i = 0; i < nnamed; i++) {
        if (!strcmp(named[i].id, id)) return &named[i];
        nearest_try(&near, named[i].id);
    }
    err_set(e, "there is no -chardev with id=%s%s", id, nearest_text(&near, ""));
    return NULL;
}

static struct chardev *take_named(const char *id, const char *label, struct err *e)
{
    struct named *n = chardev_named(id, e);
    if (!n) return NULL;
    if (n->mux) {
        struct mux *m = mux_of(n->c);
        struct chardev *c = mux_port(m ? m : mux_new(n->c), xstrdup(label), NULL, NULL);
        if (!c) err_set(e, "-chardev id=%s is shared by too many", id);
        return c;
    }
    if (n->taken) {
        err_set(e, "-chardev id=%s serves another device already: mux=on lets several share it", id);
        return NULL;
    }
    n->taken = true;
    return n->c;
}

bool back_end(const char *spec, const char *label, struct chardev **c, struct err *e)
{
    bool mon = !strncmp(spec, "mon:", 4);
    *c = NULL;
    if (!strncmp(spec, "chardev:", 8)) {
        *c = take_named(spec + 8, label, e);
        return *c != NULL;
    }
    *c = chr_open(mon ? (!strcmp(spec, "mon:stdio") ? "stdio,raw" : spec + 4) : spec, label, e);
    if (!*c) return !e->msg[0];
    if (!mon) return true;
    struct chr *r = chr_of(*c);
    struct mux *m = mux_new(*c);
    *c = mux_port(m, xstrdup(label), NULL, NULL);
    struct monitor *mo = monitor_new(r->tty, true);
    monitor_attach(mo, mux_port(m, "monitor", monitor_focus, mo));
    return true;
}

bool monitor_back_end(const char *spec, struct err *e)
{
    bool byname = !strncmp(spec, "chardev:", 8);
    struct named *n = byname ? chardev_named(spec + 8, e) : NULL;
    if (byname && !n) return false;
    if (n && n->mux) {
        struct mux *m = mux_of(n->c);
        struct monitor *mo = monitor_new(chr_of(n->c)->tty, true);
        struct chardev *c = mux_port(m ? m : mux_new(n->c), "monitor", monitor_focus, mo);
        if (!c) return err_set(e, "%s is shared by too many", spec);
        monitor_attach(mo, c);
        return true;
    }
    struct chardev *c;
    const char *s = !strncmp(spec, "mon:", 4) ? spec + 4 : spec;
    if (!back_end(!strcmp(s, "stdio") ? "stdio,raw" : s, "monitor", &c, e)) return false;
    if (!c || !strcmp(spec, "vc")) return true;
    struct chr *r = chr_of(c);
    monitor_attach(monitor_new(r && r->tty, false), c);
    return true;
}

bool debugcon_open(const char *spec, struct err *e)
{
    struct chardev *c;
    if (!back_end(spec, "debugcon", &c, e)) return false;
    if (!c && !back_end("null", "debugcon", &c, e)) return false;
    if (nnamed == ARRAY_LEN(named)) return err_set(e, "-chardev: more than %zu", ARRAY_LEN(named));
    named[nnamed++] = (struct named){xstrdup("debugcon"), c, false, false};
    return true;
}

// ---- devices

struct dev_opts {
    u64 iobase, iosize, readback, index, unit, vgamem;
    char *id, *chardev, *drive, *bus, *serial, *model;
};
struct dev_type {
    const char *name, *help;
    const struct prop *props;
    unsigned n;
    struct dev_opts defaults;
    bool (*prepare)(struct setup *s, struct dev_opts *o, struct err *e); // into the configuration
    bool (*add)(struct pc *p, struct dev_opts *o, struct err *e);        // into the machine
};
static struct device {
    const struct dev_type *type;
    struct dev_opts o;
} devices[64];
static unsigned ndevices;

#define D(field) offsetof(struct dev_opts, field)
#define ID_PROP                                                                                                        \
    {                                                                                                                  \
        "id", PROP_STR, D(id), "NAME", .help = "its name"                                                              \
    }
static const struct prop exit_props[] = {
    {"iobase", PROP_UINT, D(iobase), "PORT", 0, 0xffff, "default 0x501"},
    {"iosize", PROP_UINT, D(iosize), "1|2|4", 1, 4, "number of ports, default 2"},
    ID_PROP,
};
static const struct prop con_props[] = {
    {"iobase", PROP_UINT, D(iobase), "PORT", 1, 0xffff, "default 0xe9; SeaBIOS writes to 0x402"},
    {"readback", PROP_UINT, D(readback), "BYTE", 0, 0xff, "what reading gives, default 0xe9"},
    {"chardev", PROP_STR, D(chardev), "ID", .help = "where the text goes"},
    ID_PROP,
};
static const struct prop id_props[] = {ID_PROP};
static const struct prop port_props[] = {
    {"chardev", PROP_STR, D(chardev), "ID", .help = "what it is connected to"},
    {"index", PROP_UINT, D(index), "N", 0, 3, "which port; the first free one"},
    ID_PROP,
};
static const struct prop ide_props[] = {
    {"drive", PROP_STR, D(drive), "ID", .help = "a -drive with if=none,id=ID"},
    {"bus", PROP_STR, D(bus), "ide.0|ide.1", .help = "channel"},
    {"unit", PROP_UINT, D(unit), "0|1", 0, 1, "0 master, 1 slave"},
    {"serial", PROP_STR, D(serial), "TEXT", .help = "serial number"},
    {"model", PROP_STR, D(model), "TEXT", .help = "model"},
    ID_PROP,
};
static const struct prop floppy_props[] = {
    {"drive", PROP_STR, D(drive), "ID", .help = "a -drive with if=none,id=ID"},
    {"unit", PROP_UINT, D(unit), "0|1", 0, 1, "A or B"},
    ID_PROP,
};
static const struct prop vga_props[] = {
    {"vgamem_mb", PROP_UINT, D(vgamem), "MB", 1, 256, "video memory, a power of two, default 16"},
    ID_PROP,
};

static bool plug_named(struct setup *s, struct dev_opts *o, int media, bool floppy, struct err *e)
{
    struct nearest near = {.word = o->drive ? o->drive : ""};
    for (unsigned i = 0; o->drive && i < s->ndrives; i++) {
        struct drive *d = &s->drive[i];
        if (!d->id) continue;
        nearest_try(&near, d->id);
        if (strcmp(d->id, o->drive)) continue;
        if (d->iface != DRIVE_NONE)
            return err_set(e, "-device: drive %s is plugged in by its -drive: use if=none", d->id);
        u64 bus = 0;
        if (o->bus && (strncmp(o->bus, "ide.", 4) || !parse_uint(o->bus + 4, &bus) || bus > 1))
            return err_set(e, "-device: bus=%s is neither ide.0 nor ide.1", o->bus);
        d->iface = floppy ? DRIVE_FLOPPY : DRIVE_IDE;
        d->media = media;
        if (o->serial) d->serial = xstrdup(o->serial);
        if (o->model) d->model = xstrdup(o->model);
        if (floppy && o->unit != NOT_GIVEN) d->index = o->unit;
        if (!floppy && (o->unit != NOT_GIVEN || o->bus)) d->index = 2 * bus + (o->unit == NOT_GIVEN ? 0 : o->unit);
        return true;
    }
    if (!o->drive && media && !floppy) { // an empty CD drive
        struct drive *d = setup_drive(s, e);
        u64 bus = o->bus && !strcmp(o->bus, "ide.1");
        if (!d) return false;
        d->media = media;
        if (o->unit != NOT_GIVEN || o->bus) d->index = 2 * bus + (o->unit == NOT_GIVEN ? 0 : o->unit);
        return true;
    }
    return err_set(e, "-device: no -drive has id=%s%s", o->drive ? o->drive : "…", nearest_text(&near, ""));
}
static bool prepare_hd(struct setup *s, struct dev_opts *o, struct err *e) { return plug_named(s, o, 0, false, e); }
static bool prepare_cd(struct setup *s, struct dev_opts *o, struct err *e) { return plug_named(s, o, 1, false, e); }
static bool prepare_floppy(struct setup *s, struct dev_opts *o, struct err *e) { return plug_named(s, o, 0, true, e); }

static bool prepare_port(struct chardev **port, unsigned n, const char *what, struct dev_opts *o, struct err *e)
{
    u64 at = o->index;
    if (at == NOT_GIVEN)
        for (at = 0; at < n && port[at]; at++) {
        }
    if (at >= n || port[at]) return err_set(e, "-device %s: that port is there already; a PC has %u", what, n);
    if (!o->chardev) return back_end("null", what, &port[at], e);
    port[at] = take_named(o->chardev, what, e);
    return port[at] != NULL;
}
static bool prepare_serial(struct setup *s, struct dev_opts *o, struct err *e)
{
    return prepare_port(s->pc.serial, 4, "isa-serial", o, e);
}
static bool prepare_parallel(struct setup *s, struct dev_opts *o, struct err *e)
{
    return prepare_port(s->pc.parallel, 3, "isa-parallel", o, e);
}
static bool prepare_vga(struct setup *s, struct dev_opts *o, struct err *e)
{
    if (o->vgamem & (o->vgamem - 1)) return err_set(e, "-device VGA: vgamem_mb is a power of two");
    s->pc.vga = s->vga_given = true;
    s->pc.vga_mb = (u32)o->vgamem;
    return true;
}
static bool add_exit(struct pc *p, struct dev_opts *o, struct err *e)
{
    debug_exit_new(&p->m.bus, (u16)o->iobase, (u32)o->iosize);
    return true;
}
static bool add_con(struct pc *p, struct dev_opts *o, struct err *e)
{
    struct chardev *c = NULL;
    if (o->chardev && !(c = take_named(o->chardev, "debugcon", e))) return false;
    debugcon_new(&p->m.bus, (u16)o->iobase, (u8)o->readback, c);
    return true;
}
static bool add_testdev(struct pc *p, struct dev_opts *o, struct err *e)
{
    struct irq gsi[TESTDEV_GSIS] = {0};
    for (int i = 0; i < 16; i++) gsi[i] = p->isa_irq[i];
    testdev_new(&p->m.bus, gsi);
    return true;
}

#define P(t) t, ARRAY_LEN(t)
static const struct dev_type types[] = {
    {"isa-debug-exit", "writing V ends doppel with status 2V+1", P(exit_props), {0x501, 2}, NULL, add_exit},
    {"isa-debugcon", "debug console", P(con_props), {0xe9, 1, 0xe9}, NULL, add_con},
    {"pc-testdev", "interrupt and memory test device of kvm-unit-tests", P(id_props), {0}, NULL, add_testdev},
    {"ide-hd", "IDE hard disk", P(ide_props), {.unit = NOT_GIVEN}, prepare_hd, NULL},
    {"ide-cd", "IDE CD-ROM drive", P(ide_props), {.unit = NOT_GIVEN}, prepare_cd, NULL},
    {"floppy", "floppy drive", P(floppy_props), {.unit = NOT_GIVEN}, prepare_floppy, NULL},
    {"isa-serial", "serial port (16550A)", P(port_props), {.index = NOT_GIVEN}, prepare_serial, NULL},
    {"isa-parallel", "parallel port", P(port_props), {.index = NOT_GIVEN}, prepare_parallel, NULL},
    {"VGA", "standard VGA with Bochs VBE", P(vga_props), {.vgamem = 16}, prepare_vga, NULL},
};

static const struct dev_type *type_named(const char *what, const char *name, struct err *e)
{
    struct nearest near = {.word = name};
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        if (!strcmp(types[i].name, name)) return &types[i];
        nearest_try(&near, types[i].name);
    }
    err_set(e, "%s: unknown device '%s'%s (-device help lists them)", what, name, nearest_text(&near, ""));
    return NULL;
}

void devices_help(struct buf *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) buf_printf(out, "%-16s %s\n", types[i].name, types[i].help);
}
bool device_help(const char *name, struct buf *out)
{
    struct err e = {0};
    const struct dev_type *t = type_named("-device", name, &e);
    if (t) props_help(t->name, t->props, t->n, out);
    return t != NULL;
}

static struct global {
    const struct dev_type *type;
    char *text; // "prop=value"
} globals[64];
static unsigned nglobals;

bool global_option(struct setup *s, const char *arg, struct err *e)
{
    char name[64];
    size_t n = strcspn(arg, ".=");
    snprintf(name, sizeof name, "%.*s", (int)n, arg);
    if (arg[n] != '.' || !strchr(arg, '=')) return err_set(e, "-global %s: the form is DEVICE.PROP=VALUE", arg);
    const struct dev_type *t = type_named("-global", name, e);
    struct dev_opts scratch = {0};
    if (!t || !props_parse("-global", arg + n + 1, NULL, t->props, t->n, &scratch, e)) return false;
    if (nglobals == ARRAY_LEN(globals)) return err_set(e, "-global: more than %zu", ARRAY_LEN(globals));
    globals[nglobals++] = (struct global){t, xstrdup(arg + n + 1)};
    return true;
}

bool device_option(struct setup *s, const char *arg, struct err *e)
{
    char name[64], what[80];
    size_t n = strcspn(arg, ",");
    snprintf(name, sizeof name, "%.*s", (int)n, arg);
    const struct dev_type *t = type_named("-device", name, e);
    if (!t) return false;
    if (ndevices == ARRAY_LEN(devices)) return err_set(e, "-device: more than %zu", ARRAY_LEN(devices));
    struct device *d = &devices[ndevices++];
    d->type = t;
    d->o = t->defaults;
    snprintf(what, sizeof what, "-device %s", name);
    for (unsigned i = 0; i < nglobals; i++)
        if (globals[i].type == t && !props_parse(what, globals[i].text, NULL, t->props, t->n, &d->o, e)) return false;
    return props_parse(what, arg[n] ? arg + n + 1 : "", NULL, t->props, t->n, &d->o, e);
}

bool devices_prepare(struct setup *s, struct err *e)
{
    for (unsigned i = 0; i < ndevices; i++)
        if (devices[i].type->prepare && !devices[i].type->prepare(s, &devices[i].o, e)) return false;
    return true;
}

bool devices_add(struct pc *p, void *setup, struct err *e)
{
    for (unsigned i = 0; i < ndevices; i++)
        if (devices[i].type->add && !devices[i].type->add(p, &devices[i].o, e)) return false;
    return true;
}
