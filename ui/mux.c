// SPDX-License-Identifier: MIT
// One terminal for a serial port and the monitor: Ctrl-A is the escape character, with QEMU's keys behind it. Output of
// all users is shown; the keyboard is one's. Escapes work also while the guest takes no input.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/vm.h"

#define MUX_PORTS  8
#define MUX_INPUT  4096
#define MUX_ESCAPE 1 // Ctrl-A
struct mux_port {
    struct chardev c;
    struct mux *mux;
    void (*focus)(void *owner, bool on);
    void *owner;
    u8 in[MUX_INPUT];
    u32 pos, len;
    bool refused;
};
struct mux {
    struct chardev *under;
    struct mux_port *port[MUX_PORTS];
    unsigned n, focus;
    bool escape, stamps, at_bol;
    u64 t0;
    struct mux *next;
};
static struct mux *all;

static void deliver(struct mux_port *p)
{
    while (p->len && p->c.receive) {
        size_t room = p->c.can_receive ? p->c.can_receive(p->c.front) : p->len;
        u32 n = (u32)min_u64(min_u64(room, p->len), MUX_INPUT - p->pos), at = p->pos;
        if (!n) return;
        p->pos = (p->pos + n) % MUX_INPUT;
        p->len -= n;
        p->c.receive(p->c.front, p->in + at, n);
    }
}

static void say(struct mux *m, const char *text) { chardev_write(m->under, (const u8 *)text, strlen(text)); }

static size_t port_write(struct chardev *c, const u8 *b, size_t n)
{
    struct mux_port *p = c->back;
    struct mux *m = p->mux;
    if (!m->stamps) {
        size_t k = chardev_write(m->under, b, n);
        if (k < n) p->refused = true;
        return k;
    }
    for (size_t i = 0; i < n; i++) {
        if (m->at_bol) {
            char stamp[40];
            u64 ms = (loop_now_ns() - m->t0) / 1000000;
            snprintf(stamp, sizeof stamp, "[%02u:%02u:%02u.%03u] ", (unsigned)(ms / 3600000),
                     (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
            say(m, stamp);
            m->at_bol = false;
        }
        if (!chardev_write(m->under, b + i, 1)) {
            p->refused = true;
            return i;
        }
        m->at_bol = b[i] == '\n';
    }
    return n;
}
static void port_accept(struct chardev *c)
{
    struct mux_port *p = c->back;
    deliver(p);
    chardev_accept_input(p->mux->under);
}

static void set_focus(struct mux *m, unsigned n)
{
    struct mux_port *old = m->port[m->focus], *now = m->port[n];
    m->focus = n;
    if (old->focus) old->focus(old->owner, false);
    if (now->focus) now->focus(now->owner, true);
}

static void escape(struct mux *m, u8 c)
{
    struct mux_port *p = m->port[m->focus];
    switch (c) {
    case MUX_ESCAPE:
        if (p->len < MUX_INPUT) p->in[(p->pos + p->len++) % MUX_INPUT] = c;
        break;
    case 'h':
    case '?':
        say(m,
            "\r\nC-a h    print this help\r\nC-a x    exit doppel\r\nC-a s    write what the guest has flushed to its "
            "disks\r\nC-a t    toggle time stamps\r\nC-a b    send break\r\nC-a c    switch between serial port and "
            "monitor\r\nC-a C-a  send C-a\r\n");
        break;
    case 'x':
        say(m, "\r\ndoppel: terminated\r\n");
        vm_quit(0);
        break;
    case 's': vm_flush_disks(); break;
    case 't':
        m->stamps = !m->stamps;
        m->at_bol = false;
        break;
    case 'b':
        if (p->c.event) p->c.event(p->c.front, CHARDEV_BREAK);
        break;
    case 'c':
        if (m->n > 1) set_focus(m, (m->focus + 1) % m->n);
        break;
    }
}

static size_t mux_can_receive(void *front)
{
    struct mux *m = front;
    struct chr *r = chr_of(m->under);
    struct mux_port *p = m->port[m->focus];
    // A person must reach Ctrl-A x even if the guest is stuck; a script's input waits instead of being lost.
    return p->len < MUX_INPUT || (r && r->tty) ? 1 : 0;
}
static void mux_receive(void *front, const u8 *b, size_t n)
{
    struct mux *m = front;
    for (size_t i = 0; i < n; i++) {
        struct mux_port *p = m->port[m->focus];
        if (m->escape) {
            m->escape = false;
            escape(m, b[i]);
        } else if (b[i] == MUX_ESCAPE) {
            m->escape = true;
        } else if (p->len < MUX_INPUT) {
            p->in[(p->pos + p->len++) % MUX_INPUT] = b[i];
        }
        deliver(m->port[m->focus]);
    }
}
static void mux_event(void *front, enum chardev_event e)
{
    struct mux *m = front;
    m->escape = false;
    for (unsigned i = 0; i < m->n; i++)
        if (m->port[i]->c.event) m->port[i]->c.event(m->port[i]->c.front, e);
}
static void mux_writable(void *front)
{
    struct mux *m = front;
    for (unsigned i = 0; i < m->n; i++) {
        struct mux_port *p = m->port[i];
        if (!p->refused) continue;
        p->refused = false;
        if (p->c.writable) p->c.writable(p->c.front);
    }
}

struct mux *mux_new(struct chardev *under)
{
    struct mux *m = xalloc(sizeof *m);
    m->under = under;
    m->t0 = loop_now_ns();
    under->can_receive = mux_can_receive;
    under->receive = mux_receive;
    under->event = mux_event;
    under->writable = mux_writable;
    under->front = m;
    m->next = all;
    all = m;
    return m;
}

struct mux *mux_of(struct chardev *under)
{
    for (struct mux *m = all; m; m = m->next)
        if (m->under == under) return m;
    return NULL;
}

struct chardev *mux_port(struct mux *m, const char *name, void (*focus)(void *owner, bool on), void *owner)
{
    if (m->n == MUX_PORTS) return NULL;
    struct mux_port *p = xalloc(sizeof *p);
    p->mux = m;
    p->focus = focus;
    p->owner = owner;
    p->c = (struct chardev){.name = name, .write = port_write, .accept_input = port_accept, .back = p};
    m->port[m->n++] = p;
    return &p->c;
}
