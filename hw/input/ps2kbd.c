// SPDX-License-Identifier: MIT
// 102-key PS/2 keyboard: scan code sets 1, 2 and 3, its command set and the queue of a PS/2 port.
// IBM PS/2 Hardware Interface Technical Reference (1990), "Keyboards (101- and 102-key)"; scan code sets 1 to 3 there.
// Left out: own typematic repeat (whoever presses keys repeats them: the host's keyboard does, in the host's time; rate
// and delay are only kept) and the Shift codes that a keyboard wraps around grey keys while NumLock is lit.
#include <stdlib.h>
#include "hw/input/ps2.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { ACK = 0xfa, RESEND = 0xfe, BAT_OK = 0xaa };
enum { KEY_PAUSE = 0xc6, KEY_PRTSC = 0xb7, KEY_LCTRL = 0x1d, KEY_LSHIFT = 0x2a, KEY_RSHIFT = 0x36, KEY_LALT = 0x38 };
enum { KEY_RCTRL = 0x9d, KEY_RALT = 0xb8 };
#define SPARE 32 // bytes kept free for break codes: a lost make code is a lost key, a lost break code a stuck one

// Set 2 codes of keys by their set 1 make code. With an E0 prefix both sets use the same pairs.
static const u8 set2[128] = {
    0,    0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d, // 00
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b, // 10
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a, // 20
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03, // 30
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69, // 40
    0x72, 0x7a, 0x70, 0x71, 0x84, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, // 50
    0x47, 0x4f, 0x56, 0x5e, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x57, 0x6f, // 60
    0x13, 0x19, 0x39, 0x51, 0x53, 0x5c, 0x5f, 0x62, 0x63, 0x64, 0x65, 0x67, 0x68, 0x6a, 0x6d, 0x6e, // 70
};
static const u8 set3[128] = {
    0,    0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d, // 00
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b, // 10
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a, // 20
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27, // 30
    0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69, // 40
    0x72, 0x7a, 0x70, 0x71, 0x57, 0,    0x13, 0x56, 0x5e,                                           // 50
};
static const struct {
    u8 key, code;
} set3_grey[] = {
    {0x9c, 0x79}, {0x9d, 0x58}, {0xb5, 0x77}, {0xb7, 0x57}, {0xb8, 0x39}, {0xc6, 0x62}, {0xc7, 0x6e},
    {0xc8, 0x63}, {0xc9, 0x6f}, {0xcb, 0x61}, {0xcd, 0x6a}, {0xcf, 0x65}, {0xd0, 0x60}, {0xd1, 0x6d},
    {0xd2, 0x67}, {0xd3, 0x64}, {0xdb, 0x8b}, {0xdc, 0x8c}, {0xdd, 0x8d},
};
// Set 3 keys that send a break code by default: Ctrl, left Shift, Caps Lock, left Alt, right Shift.
static const u8 set3_breaks[] = {0x11, 0x12, 0x14, 0x19, 0x59};

struct ps2kbd {
    struct ps2 ps2; // first
    struct bus *bus;
    u8 set;        // 1, 2 or 3
    u8 leds;       // bit 0 scroll, 1 num, 2 caps
    u8 typematic;  // as written
    u8 command;    // that waits for its argument, 0 = none
    u8 last;       // byte sent, for FEh
    bool enabled;  // scans keys
    bool sysrq;    // Print Screen went down as SysRq
    u8 breaks[32]; // set 3: bit per code, sends a break code
    u8 down[32];   // bit per key number
};

static bool is_down(const struct ps2kbd *k, unsigned key) { return bit(k->down[key / 8], key % 8); }
static void set_bit(u8 *map, unsigned n, bool on) { map[n / 8] = (map[n / 8] & ~(1 << n % 8)) | on << n % 8; }

static void send(struct ps2kbd *k, const u8 *v, u32 n, bool down)
{
    if (!ps2_put(&k->ps2, &k->ps2.data, v, n, down ? SPARE : 0)) log_guest(&k->bus->log, "ps2kbd", "queue full");
}
// One code with its prefix, as make or break, in set 1 or 2. Returns the length added.
static u32 code(const struct ps2kbd *k, u8 *to, unsigned key, bool down)
{
    u32 n = 0;
    if (key & 0x80) to[n++] = 0xe0;
    if (k->set == 1) {
        to[n++] = (key & 0x7f) | (down ? 0 : 0x80);
    } else {
        if (!down) to[n++] = 0xf0;
        to[n++] = set2[key & 0x7f];
    }
    return n;
}
static void key_set3(struct ps2kbd *k, unsigned key, bool down)
{
    u8 c = key < 128 ? set3[key] : 0, v[2];
    for (size_t i = 0; i < ARRAY_LEN(set3_grey); i++)
        if (set3_grey[i].key == key) c = set3_grey[i].code;
    if (!c || (!down && !bit(k->breaks[c / 8], c % 8))) return;
    v[0] = 0xf0, v[1] = c;
    send(k, down ? v + 1 : v, down ? 1 : 2, down);
}
static void key_pause(struct ps2kbd *k, bool down)
{
    static const u8 v1[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5},
                    v2[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    u8 v[8];
    if (!down) return; // Pause sends make and break together
    if (is_down(k, KEY_LCTRL) || is_down(k, KEY_RCTRL)) {
        u32 n = code(k, v, 0xc6, true);
        send(k, v, n + code(k, v + n, 0xc6, false), true);
    } else if (k->set == 1) {
        send(k, v1, sizeof v1, true);
    } else {
        send(k, v2, sizeof v2, true);
    }
}
static void key_prtsc(struct ps2kbd *k, bool down)
{
    u8 v[8];
    u32 n = 0;
    if (down) k->sysrq = is_down(k, KEY_LALT) || is_down(k, KEY_RALT);
    bool plain = is_down(k, KEY_LCTRL) || is_down(k, KEY_RCTRL) || is_down(k, KEY_LSHIFT) || is_down(k, KEY_RSHIFT);
    if (k->sysrq) {
        n = code(k, v, 0x54, down);
    } else { // wrapped in a left Shift of its own
        if (down && !plain) n += code(k, v, 0xaa, true);
        n += code(k, v + n, 0xb7, down);
        if (!down && !plain) n += code(k, v + n, 0xaa, false);
    }
    send(k, v, n, down);
}

void ps2kbd_key(struct ps2 *p, unsigned key, bool down)
{
    struct ps2kbd *k = (void *)p;
    u8 v[4];
    if (!(key & 0x7f) || key > 0xff || (!down && !is_down(k, key))) return;
    set_bit(k->down, key, down);
    if (!k->enabled) return;
    if (k->set == 3)
        key_set3(k, key, down);
    else if (key == KEY_PAUSE)
        key_pause(k, down);
    else if (key == KEY_PRTSC)
        key_prtsc(k, down);
    else
        send(k, v, code(k, v, key, down), down);
}
u8 ps2kbd_leds(struct ps2 *p) { return ((struct ps2kbd *)p)->leds; }

// ---- commands

static void defaults(struct ps2kbd *k)
{
    k->typematic = 0x2b; // 10.9 characters a second after 500 ms
    memset(k->breaks, 0, sizeof k->breaks);
    for (size_t i = 0; i < sizeof set3_breaks; i++) set_bit(k->breaks, set3_breaks[i], true);
    k->ps2.data.n = 0;
}
static void power_on(struct ps2kbd *k)
{
    k->ps2.reply.n = 0;
    k->set = 2;
    k->leds = 0;
    k->command = 0;
    k->enabled = true;
    defaults(k);
}
static void argument(struct ps2kbd *k, u8 cmd, u8 v)
{
    bool ok = true;
    k->command = 0;
    switch (cmd) {
    case 0xed: k->leds = v & 7; break;
    case 0xf0:
        ok = v <= 3;
        if (ok && v) k->set = v, k->ps2.data.n = 0;
        break;
    case 0xf3: k->typematic = v; break;
    default: // FBh typematic, FCh make/break, FDh make: of the keys that follow, until the next command
        set_bit(k->breaks, v, cmd == 0xfc);
        k->command = cmd;
        break;
    }
    ps2_reply(&k->ps2, ok ? ACK : RESEND);
    if (cmd == 0xf0 && !v) ps2_reply(&k->ps2, k->set);
}
static void command(struct ps2kbd *k, u8 v)
{
    struct ps2 *p = &k->ps2;
    k->command = 0;
    if (v == 0xee) { // echo
        ps2_reply(p, v);
        return;
    }
    if (v == 0xfe) {
        ps2_reply(p, k->last);
        return;
    }
    if (v < 0xed || v == 0xef || v == 0xf1) {
        ps2_reply(p, RESEND);
        return;
    }
    if (v == 0xff) power_on(k);
    ps2_reply(p, ACK);
    switch (v) {
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd: k->command = v; break;
    case 0xf2: ps2_reply(p, 0xab), ps2_reply(p, 0x83); break;
    case 0xf4: k->enabled = true, p->data.n = 0; break;
    case 0xf5: defaults(k), k->enabled = false; break;
    case 0xf6: defaults(k), k->enabled = true; break;
    case 0xf7: // set all keys: typematic, make/break, make, typematic and make/break
    case 0xf9: memset(k->breaks, 0, sizeof k->breaks); break;
    case 0xf8:
    case 0xfa: memset(k->breaks, 0xff, sizeof k->breaks); break;
    case 0xff: ps2_reply(p, BAT_OK); break;
    }
}
static void host_byte(struct ps2 *p, u8 v)
{
    struct ps2kbd *k = (void *)p;
    // A command in place of an argument ends the one that waits; set 3 key codes reach up to 8Dh.
    if (k->command && v < (k->command >= 0xfb ? 0xed : 0x80))
        argument(k, k->command, v);
    else
        command(k, v);
}

// ---- the queues of a port

bool ps2_put(struct ps2 *p, struct ps2_queue *q, const u8 *v, u32 n, u32 spare)
{
    if (q->n + n + spare > sizeof q->b) return false;
    for (u32 i = 0; i < n; i++) q->b[(q->head + q->n++) % sizeof q->b] = v[i];
    if (p->wake) p->wake(p->owner);
    return true;
}
int ps2_take(struct ps2 *p)
{
    struct ps2_queue *q = p->reply.n ? &p->reply : &p->data;
    if (!q->n) return -1;
    u8 v = q->b[q->head];
    q->head = (q->head + 1) % sizeof q->b;
    q->n--;
    if (p->taken) p->taken(p, v);
    return v;
}
static void queue_state(struct state *s, const char *name, const char *count, struct ps2_queue *q)
{
    struct ps2_queue t = {.n = q->n};
    for (u32 i = 0; i < q->n; i++) t.b[i] = q->b[(q->head + i) % sizeof q->b];
    state_bytes(s, name, t.b, sizeof t.b);
    state_u32(s, count, &t.n);
    state_limit_u32(s, count, &t.n, sizeof t.b + 1);
    if (state_loading(s) && state_ok(s)) *q = t;
}
void ps2_state(struct state *s, struct ps2 *p)
{
    queue_state(s, "reply", "reply_n", &p->reply);
    queue_state(s, "data", "data_n", &p->data);
}

// ---- the part

static void taken(struct ps2 *p, u8 v)
{
    if (v != RESEND) ((struct ps2kbd *)p)->last = v;
}
static void reset(void *self)
{
    struct ps2kbd *k = self;
    power_on(k);
    k->last = 0;
    k->sysrq = false;
    memset(k->down, 0, sizeof k->down);
}
static void state(struct state *s, void *self)
{
    struct ps2kbd *k = self;
    ps2_state(s, &k->ps2);
    state_u8(s, "set", &k->set);
    state_u8(s, "leds", &k->leds);
    state_u8(s, "typematic", &k->typematic);
    state_u8(s, "command", &k->command);
    state_u8(s, "last", &k->last);
    state_bool(s, "enabled", &k->enabled);
    state_bool(s, "sysrq", &k->sysrq);
    state_bytes(s, "breaks", k->breaks, sizeof k->breaks);
    state_bytes(s, "down", k->down, sizeof k->down);
    if (state_loading(s) && (k->set < 1 || k->set > 3)) k->set = 2, state_fail(s, "no such scan code set");
}
static void info(void *self, struct buf *out)
{
    const struct ps2kbd *k = self;
    buf_printf(out, "scan code set %u, %s, LEDs:%s%s%s, %u bytes waiting\n", k->set,
               k->enabled ? "enabled" : "disabled", k->leds & 2 ? " num" : "", k->leds & 4 ? " caps" : "",
               k->leds & 1 ? " scroll" : "", k->ps2.reply.n + k->ps2.data.n);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = free};

struct ps2 *ps2kbd_new(struct bus *b)
{
    struct ps2kbd *k = xalloc(sizeof *k);
    k->bus = b;
    k->ps2.write = host_byte;
    k->ps2.taken = taken;
    part_add(&b->parts, "ps2kbd", &part_ops, k);
    reset(k);
    return &k->ps2;
}
