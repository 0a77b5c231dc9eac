// SPDX-License-Identifier: MIT
// The gdb stub's line: framing, check sums, acknowledgement, output, who is connected. gdb manual E.1 "Overview". No
// run-length encoding is made; what arrives is unescaped wherever '}' stands, as only binary data may hold one.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/gdb.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

enum { IDLE, BODY, SUM1, SUM2 };
#define CTRL_C      3
#define PENDING_MAX (4 * GDB_PACKET) // of replies that the client has not read, before more packets are taken
static struct gdb *stub;             // NULL: none
static const char *const arch_names[GDB_ARCHS] = {"auto", "none", "i8086", "i386", "x86-64"};

static int hex_digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

// ---- output

static void push(struct gdb *g)
{
    if (!g->pending.len) return;
    size_t k = chardev_write(g->c, g->pending.data, g->pending.len);
    memmove(g->pending.data, g->pending.data + k, g->pending.len - k);
    g->pending.len -= k;
}

void gdb_send_bytes(struct gdb *g, const void *p, size_t n)
{
    const u8 *b = p;
    u8 sum = 0;
    if (!g->connected) return;
    g->last.len = 0;
    buf_u8(&g->last, '$');
    for (size_t i = 0; i < n; i++) {
        u8 c = b[i];
        if (c == '}' || c == '#' || c == '$' || c == '*') {
            buf_u8(&g->last, '}');
            sum += '}';
            c ^= 0x20;
        }
        buf_u8(&g->last, c);
        sum += c;
    }
    buf_printf(&g->last, "#%02x", sum);
    buf_add(&g->pending, g->last.data, g->last.len);
    g->answering = false;
    push(g);
}

void gdb_send(struct gdb *g, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    gdb_send_bytes(g, text, min_u64((u64)n, sizeof text - 1));
}

void gdb_error(struct gdb *g, enum gdb_errno e) { gdb_send(g, "E%02x", e); }

// ---- input

static void ack(struct gdb *g, char c)
{
    if (g->noack) return;
    buf_u8(&g->pending, (u8)c);
    push(g);
}

static void whole_packet(struct gdb *g)
{
    g->in[g->len] = 0;
    if (g->overrun) {
        gdb_error(g, GDB_E2BIG);
        return;
    }
    g->answering = true;
    gdb_packet(g, g->in, g->len);
}

static void begin_body(struct gdb *g)
{
    g->state = BODY;
    g->len = g->sum = 0;
    g->escaped = g->overrun = false;
}

static void body_byte(struct gdb *g, u8 c)
{
    if (c == '#') {
        g->state = SUM1;
        return;
    }
    if (c == '$') { // never within a packet: the one before was cut off
        begin_body(g);
        return;
    }
    g->sum += c;
    if (c == '}' && !g->escaped) {
        g->escaped = true;
        return;
    }
    if (g->escaped) c ^= 0x20;
    g->escaped = false;
    if (g->len < GDB_PACKET)
        g->in[g->len++] = (char)c;
    else
        g->overrun = true;
}

static void byte(struct gdb *g, u8 c)
{
    switch (g->state) {
    case IDLE:
        if (c == '$')
            begin_body(g);
        else if (c == CTRL_C)
            gdb_interrupt(g);
        else if (c == '-' && !g->noack && g->last.len) {
            buf_add(&g->pending, g->last.data, g->last.len);
            push(g);
        }
        break;
    case BODY: body_byte(g, c); break;
    case SUM1:
        g->got = (u8)(hex_digit(c) << 4);
        g->state = hex_digit(c) < 0 ? IDLE : SUM2;
        if (g->state == IDLE) ack(g, '-');
        break;
    case SUM2:
        g->state = IDLE;
        if (!g->noack && (hex_digit(c) < 0 || (g->got | hex_digit(c)) != g->sum)) {
            ack(g, '-');
            break;
        }
        ack(g, '+');
        whole_packet(g);
        break;
    }
}

// ---- the connection

static void connected(struct gdb *g)
{
    if (g->connected) return;
    g->connected = true;
    g->noack = g->swbreak = g->hwbreak = g->extended = g->waiting = false;
    g->state = IDLE;
    g->last.len = g->pending.len = 0;
    g->cpu_g = g->cpu_c = 0;
    g->view.phys = false;
    gdb_begin(g);
}

static void disconnected(struct gdb *g)
{
    if (!g->connected) return;
    g->connected = false;
    g->pending.len = 0;
    gdb_end(g);
}

// A command of the monitor may run the main loop: what comes meanwhile has to wait; as has a client that reads nothing.
static size_t can_receive(void *front)
{
    const struct gdb *g = front;
    return g->answering || g->pending.len > PENDING_MAX ? 0 : 1;
}
static void receive(void *front, const u8 *p, size_t n)
{
    struct gdb *g = front;
    connected(g); // stdio: nobody "connects"
    for (size_t i = 0; i < n && g->connected && !vm.quit; i++) byte(g, p[i]);
}
static void event(void *front, enum chardev_event e)
{
    if (e == CHARDEV_OPENED) connected(front);
    if (e == CHARDEV_CLOSED) disconnected(front);
}
static void writable(void *front) { push(front); }

static void shut(void)
{
    if (!stub) return;
    struct chardev *c = stub->c;
    disconnected(stub);
    struct chr *r = chr_of(c);
    c->front = NULL;
    c->event = NULL;
    c->receive = NULL;
    c->writable = NULL;
    c->can_receive = NULL;
    if (r) chr_close(r);
    buf_free(&stub->doc);
    buf_free(&stub->last);
    buf_free(&stub->pending);
    free(stub->spec);
    free(stub);
    stub = NULL;
}

void gdb_attach(struct chardev *c, const char *spec)
{
    struct gdb *g = xalloc(sizeof *g);
    g->c = c;
    g->spec = xstrdup(spec);
    g->sstep = GDB_STEP_ENABLE | GDB_STEP_NOIRQ | GDB_STEP_NOTIMER;
    c->front = g;
    c->can_receive = can_receive;
    c->receive = receive;
    c->event = event;
    c->writable = writable;
    stub = g;
}

bool gdb_open(const char *spec, struct err *e)
{
    if (stub && stub->answering) return err_set(e, "gdbserver: gdb itself is connected here; detach first");
    if (!strcmp(spec, "none")) return shut(), true;
    static const char *const kinds[] = {"tcp:", "unix:", "stdio", "pty", "pipe:"};
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && strncmp(spec, kinds[i], strlen(kinds[i]))) i++;
    if (i == ARRAY_LEN(kinds))
        return err_set(e, "-gdb %s: gdb can come by tcp:[HOST]:PORT, unix:FILE, stdio, pty, pipe:NAME, or none", spec);
    bool server = i < 2;
    if (server && !spec[strlen(kinds[i])]) return err_set(e, "-gdb %s is incomplete: tcp:[HOST]:PORT, unix:FILE", spec);
    char *full = xasprintf("%s%s", spec, server ? ",server=on,wait=off" : "");
    shut(); // the place may be the same
    struct chardev *c = chr_open(full, "gdb", e);
    free(full);
    if (!c) return false;
    struct chr *r = chr_of(c);
    if (r && !r->hangup) r->hangup = chr_detach; // the end of standard input is the client's end
    gdb_attach(c, spec);
    return true;
}

void gdb_exited(int status)
{
    if (!stub || !stub->connected || !stub->waiting) return;
    gdb_send(stub, "W%02x", status & 0xff);
    stub->waiting = false;
}

void gdb_free(void) { shut(); }

static void print_status(struct buf *out)
{
    if (!stub) {
        buf_printf(out, "no gdb server (gdbserver tcp::1234 starts one)\n");
        return;
    }
    buf_printf(out, "gdb server on %s: %s; linear %s, arch %s\n", stub->spec,
               stub->connected ? "connected" : "nobody connected", stub->view.linear ? "on" : "off",
               arch_names[stub->view.arch]);
}

// `gdbserver linear on`, `gdbserver arch i8086`. False with a message: no such setting or value.
static bool set(const char *name, const char *value, struct err *e)
{
    if (!stub) return err_set(e, "there is no gdb server");
    if (!strcmp(name, "linear")) {
        bool on = !strcmp(value, "on");
        if (!on && strcmp(value, "off")) return err_set(e, "gdbserver linear: '%s' is neither on nor off", value);
        return stub->view.linear = on, true;
    }
    if (strcmp(name, "arch")) return err_set(e, "gdbserver: '%s' is neither linear nor arch", name);
    for (unsigned i = 0; i < GDB_ARCHS; i++)
        if (!strcmp(value, arch_names[i])) return stub->view.arch = i, true;
    return err_set(e, "gdbserver arch: '%s' is none of auto, none, i8086, i386, x86-64", value);
}

void mon_gdbserver(struct mon_call *a)
{
    struct err e = {0};
    const char *what = a->argc ? a->argv[0] : "tcp::1234"; // QEMU's default
    if (!strcmp(what, "status")) {
        print_status(a->out);
    } else if (a->argc > 1) {
        if (!set(what, a->argv[1], &e)) mon_fail(a, "%s", e.msg);
    } else if (!gdb_open(what, &e)) {
        mon_fail(a, "%s", e.msg);
    } else if (stub) {
        buf_printf(a->out, "Waiting for gdb connection on device '%s'\n", what);
    } else {
        buf_printf(a->out, "Disabled gdbserver\n");
    }
}
