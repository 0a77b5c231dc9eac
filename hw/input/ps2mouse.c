// SPDX-License-Identifier: MIT
// PS/2 mouse with wheel and five buttons: standard, IntelliMouse (ID 3) and IntelliMouse Explorer (ID 4) protocols.
// IBM PS/2 Hardware Interface Technical Reference (1990), "Mouse"; Microsoft, "IntelliMouse and Explorer mouse
// protocols" (the rate sequences 200-100-80 and 200-200-80). Left out: resolution does not scale what the host's
// pointer reports.
#include <stdlib.h>
#include "hw/input/ps2.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { ACK = 0xfa, NAK = 0xfe };
enum { STREAM, REMOTE };
#define MOVE_MAX 32767 // counts kept for later

struct ps2mouse {
    struct ps2 ps2; // first
    struct bus *bus;
    struct timer sample; // the next report may go out
    u8 id;               // 0, 3, 4
    u8 mode;
    u8 command; // that waits for its argument
    u8 resolution, rate;
    u8 rates[3]; // the last three, oldest first
    u8 buttons, reported;
    bool wrap, enabled, scale2;
    u32 nlast;
    u8 last[8]; // the last answer or report, for FEh
    int dx, dy, dz;
};

static void answer(struct ps2mouse *m, const u8 *v, u32 n)
{
    memcpy(m->last, v, n);
    m->nlast = n;
    (void)ps2_put(&m->ps2, &m->ps2.reply, v, n, 0);
}

// ---- reports

static int clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }
static int scaled(int v)
{
    static const u8 small[6] = {0, 1, 1, 3, 6, 9};
    int a = abs(v), r = a < 6 ? small[a] : 2 * a;
    return v < 0 ? -r : r;
}
// Takes the counts so far into a report; what does not fit stays for the next one.
static u32 report(struct ps2mouse *m, u8 *v, bool scale)
{
    int lim = scale ? 127 : 255, dx = clamp(m->dx, -lim, lim), dy = clamp(m->dy, -lim, lim);
    m->dx -= dx;
    m->dy -= dy;
    if (scale) dx = scaled(dx), dy = scaled(dy);
    v[0] = 8 | (m->buttons & 7) | (dx < 0) << 4 | (dy < 0) << 5;
    v[1] = (u8)dx;
    v[2] = (u8)dy;
    m->reported = m->buttons;
    if (!m->id) {
        m->dz = 0;
        return 3;
    }
    int zlim = m->id == 4 ? 7 : 127, dz = clamp(m->dz, -zlim, zlim);
    m->dz -= dz;
    v[3] = m->id == 4 ? (dz & 15) | (m->buttons & 0x18) << 1 : (u8)dz;
    return 4;
}
static bool anything(const struct ps2mouse *m)
{
    u8 seen = m->id == 4 ? 0x1f : 7;
    return m->dx || m->dy || (m->dz && m->id) || ((m->buttons ^ m->reported) & seen);
}
// In stream mode a report goes out when there is one, at most `rate` times a second; a click never waits.
static void stream(struct ps2mouse *m)
{
    u8 v[4];
    if (!m->enabled || m->mode != STREAM || m->wrap || !anything(m)) return;
    bool click = (m->buttons ^ m->reported) & 0x1f;
    if (!click && (m->ps2.data.n || m->ps2.reply.n || timer_armed(&m->sample))) return;
    u32 n = report(m, v, m->scale2);
    memcpy(m->last, v, n);
    m->nlast = n;
    (void)ps2_put(&m->ps2, &m->ps2.data, v, n, 0);
    timer_arm(&m->bus->clock, &m->sample, clock_now(&m->bus->clock) + NS_PER_SEC / (m->rate ? m->rate : 100));
}
static void sample(void *owner) { stream(owner); }
static void taken(struct ps2 *p, u8 v)
{
    if (!ps2_ready(p)) stream((void *)p);
}
void ps2mouse_move(struct ps2 *p, int dx, int dy, int dz, unsigned buttons)
{
    struct ps2mouse *m = (void *)p;
    if (!m->enabled && m->mode == STREAM) { // counters rest at 0 while reporting is off
        m->buttons = buttons & 0x1f;
        return;
    }
    m->dx = clamp(m->dx + clamp(dx, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX);
    m->dy = clamp(m->dy - clamp(dy, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX); // the mouse's y grows upwards
    m->dz = clamp(m->dz + clamp(dz, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX);
    m->buttons = buttons & 0x1f;
    stream(m);
}

// ---- commands

static void clear_counts(struct ps2mouse *m) { m->dx = m->dy = m->dz = 0; }
static void defaults(struct ps2mouse *m)
{
    m->mode = STREAM;
    m->enabled = m->scale2 = false;
    m->resolution = 2;
    m->rate = 100;
    clear_counts(m);
}
static void power_on(struct ps2mouse *m)
{
    m->ps2.reply.n = m->ps2.data.n = 0;
    defaults(m);
    m->id = 0;
    m->command = 0;
    m->wrap = false;
    memset(m->rates, 0, sizeof m->rates);
    m->reported = m->buttons;
    timer_cancel(&m->bus->clock, &m->sample);
}
static bool set_rate(struct ps2mouse *m, u8 v)
{
    static const u8 valid[] = {10, 20, 40, 60, 80, 100, 200};
    if (!memchr(valid, v, sizeof valid)) return false;
    m->rate = v;
    m->rates[0] = m->rates[1], m->rates[1] = m->rates[2], m->rates[2] = v;
    if (m->rates[0] == 200 && m->rates[2] == 80) {
        if (m->rates[1] == 100) m->id = 3;
        if (m->rates[1] == 200) m->id = 4;
    }
    return true;
}
static void argument(struct ps2mouse *m, u8 cmd, u8 v)
{
    bool ok;
    m->command = 0;
    if (cmd == 0xf3) {
        ok = set_rate(m, v);
    } else {
        ok = v <= 3;
        if (ok) m->resolution = v;
    }
    u8 a = ok ? ACK : NAK;
    answer(m, &a, 1);
}
static void command(struct ps2mouse *m, u8 v)
{
    u8 a[5] = {ACK};
    u32 n = 1;
    switch (v) {
    case 0xe6: m->scale2 = false; break;
    case 0xe7: m->scale2 = true; break;
    case 0xe8:
    case 0xf3: m->command = v; break;
    case 0xe9: // status; its button bits have their own order
        a[n++] = (m->mode == REMOTE) << 6 | m->enabled << 5 | m->scale2 << 4 | (m->buttons & 1) << 2 |
                 (m->buttons >> 1 & 2) | (m->buttons >> 1 & 1);
        a[n++] = m->resolution;
        a[n++] = m->rate;
        break;
    case 0xea: m->mode = STREAM, clear_counts(m); break;
    case 0xeb: n += report(m, a + 1, false); break;
    case 0xec: m->wrap = false; break;
    case 0xee: m->wrap = true; break;
    case 0xf0: m->mode = REMOTE, clear_counts(m); break;
    case 0xf2: a[n++] = m->id; break;
    case 0xf4: m->enabled = true, clear_counts(m), m->reported = m->buttons; break;
    case 0xf5: m->enabled = false; break;
    case 0xf6: defaults(m); break;
    case 0xff:
        power_on(m);
        a[n++] = 0xaa;
        a[n++] = 0;
        break;
    default: a[0] = NAK; break;
    }
    answer(m, a, n);
}
static void host_byte(struct ps2 *p, u8 v)
{
    struct ps2mouse *m = (void *)p;
    p->data.n = 0; // a report under way is given up
    if (m->wrap && v != 0xec && v != 0xff)
        answer(m, &v, 1);
    else if (m->command)
        argument(m, m->command, v);
    else if (v == 0xfe)
        (void)ps2_put(p, &p->reply, m->last, m->nlast, 0);
    else
        command(m, v);
}

// ---- the part

static void reset(void *self)
{
    struct ps2mouse *m = self;
    m->buttons = 0;
    m->nlast = 0;
    power_on(m);
}
static void state(struct state *s, void *self)
{
    struct ps2mouse *m = self;
    ps2_state(s, &m->ps2);
    state_u8(s, "id", &m->id);
    state_u8(s, "mode", &m->mode);
    state_u8(s, "command", &m->command);
    state_u8(s, "resolution", &m->resolution);
    state_u8(s, "rate", &m->rate);
    state_bytes(s, "rates", m->rates, sizeof m->rates);
    state_u8(s, "buttons", &m->buttons);
    state_u8(s, "reported", &m->reported);
    state_bool(s, "wrap", &m->wrap);
    state_bool(s, "enabled", &m->enabled);
    state_bool(s, "scale2", &m->scale2);
    state_bytes(s, "last", m->last, sizeof m->last);
    state_u32(s, "nlast", &m->nlast);
    state_limit_u32(s, "nlast", &m->nlast, sizeof m->last + 1);
    state_int(s, "dx", &m->dx);
    state_int(s, "dy", &m->dy);
    state_int(s, "dz", &m->dz);
    timer_state(s, "sample", &m->bus->clock, &m->sample);
    if (!state_loading(s)) return;
    m->dx = clamp(m->dx, -MOVE_MAX, MOVE_MAX);
    m->dy = clamp(m->dy, -MOVE_MAX, MOVE_MAX);
    m->dz = clamp(m->dz, -MOVE_MAX, MOVE_MAX);
    if (m->id != 3 && m->id != 4) m->id = 0;
    m->mode &= 1;
}
static void info(void *self, struct buf *out)
{
    const struct ps2mouse *m = self;
    buf_printf(out, "ID %u, %s mode, reports %s, %u a second, resolution %u, %u bytes waiting\n", m->id,
               m->wrap             ? "wrap"
               : m->mode == REMOTE ? "remote"
                                   : "stream",
               m->enabled ? "on" : "off", m->rate, m->resolution, m->ps2.reply.n + m->ps2.data.n);
}
static void mouse_free(void *self)
{
    struct ps2mouse *m = self;
    timer_cancel(&m->bus->clock, &m->sample);
    free(m);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = mouse_free};

struct ps2 *ps2mouse_new(struct bus *b)
{
    struct ps2mouse *m = xalloc(sizeof *m);
    m->bus = b;
    m->ps2.write = host_byte;
    m->ps2.taken = taken;
    timer_init(&m->sample, sample, m);
    part_add(&b->parts, "ps2mouse", &part_ops, m);
    reset(m);
    return &m->ps2;
}
