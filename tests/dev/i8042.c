// SPDX-License-Identifier: MIT
// Keyboard controller, keyboard and mouse as SeaBIOS, Linux (i8042, atkbd, psmouse) and DOS programs use them. Codes
// from IBM's PS/2 Hardware Interface Technical Reference.
#include "hw/input/i8042.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/check.h"

struct host {
    struct bus bus;
    struct input in;
    int irq1, irq12, a20, edges1, edges12, resets;
};
static void on_irq(void *o, int n, int level)
{
    struct host *h = o;
    int *l = n == 1 ? &h->irq1 : n == 12 ? &h->irq12 : &h->a20;
    if (n == 1) h->edges1 += level && !*l;
    if (n == 12) h->edges12 += level && !*l;
    *l = level;
}
static void request(void *o, int what) { ((struct host *)o)->resets += what == BUS_REQ_RESET; }
static struct host *make(void)
{
    struct host *h = xalloc(sizeof *h);
    bus_init(&h->bus);
    h->bus.system_request = request;
    h->bus.system_owner = h;
    struct irq k = {on_irq, h, 1}, a = {on_irq, h, 12}, g = {on_irq, h, 20};
    i8042_new(&h->bus, &k, &a, &g, &h->in);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static void out(struct host *h, u16 p, u8 v) { bus_out(&h->bus, p, v, 1); }
static u8 in(struct host *h, u16 p) { return bus_in(&h->bus, p, 1); }
static void pass(struct host *h, u64 ns)
{
    h->bus.clock.now += ns;
    clock_run(&h->bus.clock);
}
// The next byte within 50 ms, < 0: none; 100h is added to bytes of the mouse.
static int get(struct host *h)
{
    for (int i = 0; i < 200; i++, pass(h, 250000)) {
        u8 st = in(h, 0x64);
        if (st & 1) return in(h, 0x60) | (st & 0x20 ? 0x100 : 0);
    }
    return -1;
}
// All waiting bytes in hex.
static const char *all(struct host *h)
{
    static char text[1024];
    size_t n = 0;
    text[0] = 0;
    for (int v; (v = get(h)) >= 0 && n < sizeof text - 8;)
        n += snprintf(text + n, sizeof text - n, "%s%02x", n ? " " : "", v & 0xff);
    return text;
}
static const char *kbd(struct host *h, u8 v)
{
    out(h, 0x60, v);
    return all(h);
}
static const char *aux(struct host *h, u8 v)
{
    out(h, 0x64, 0xd4);
    out(h, 0x60, v);
    return all(h);
}
static void command_byte(struct host *h, u8 v)
{
    out(h, 0x64, 0x60);
    out(h, 0x60, v);
}
static const char *tap(struct host *h, unsigned key)
{
    h->in.key(h->in.dev, key, true);
    h->in.key(h->in.dev, key, false);
    return all(h);
}
static void down(struct host *h, unsigned key, bool d)
{
    h->in.key(h->in.dev, key, d);
    all(h);
}

static void controller(void)
{
    struct host *h = make();
    CHECK_EQ(in(h, 0x64) & ~0x10, 0);
    out(h, 0x64, 0xaa);
    CHECK_EQ(in(h, 0x64), 0x1d); // unlocked, command, system flag, full
    CHECK_EQ(in(h, 0x60), 0x55);
    out(h, 0x64, 0xab);
    CHECK_EQ(get(h), 0);
    out(h, 0x64, 0xa9);
    CHECK_EQ(get(h), 0);
    command_byte(h, 0x65);
    CHECK_EQ(in(h, 0x64) & 8, 0);
    out(h, 0x64, 0x20);
    CHECK_EQ(get(h), 0x65);
    out(h, 0x64, 0xa7);
    out(h, 0x64, 0xad);
    out(h, 0x64, 0x20);
    CHECK_EQ(get(h), 0x75);
    out(h, 0x64, 0xa8);
    out(h, 0x64, 0xae);
    out(h, 0x64, 0x20);
    CHECK_EQ(get(h), 0x45);
    out(h, 0x64, 0x7f), out(h, 0x60, 0x99); // internal RAM
    out(h, 0x64, 0x3f);
    CHECK_EQ(get(h), 0x99);
    out(h, 0x64, 0xa4);
    CHECK_EQ(get(h), 0xf1);
    out(h, 0x64, 0xc0);
    CHECK_EQ(get(h) & 0x80, 0x80);
    out(h, 0x64, 0xd3), out(h, 0x60, 0xa5); // Linux' test for an AUX port
    CHECK_EQ(in(h, 0x64) & 0x21, 0x21);
    CHECK_EQ(h->irq12, 0);
    CHECK_EQ(get(h), 0x1a5);
    out(h, 0x64, 0xd2), out(h, 0x60, 0x77);
    CHECK_EQ(h->irq1, 1);
    CHECK_EQ(get(h), 0x77);
    CHECK_EQ(h->irq1, 0);
    done(h);
}
static void a20_and_reset(void)
{
    struct host *h = make();
    CHECK_EQ(h->a20, 1);
    out(h, 0x64, 0xdd);
    CHECK_EQ(h->a20, 0);
    out(h, 0x64, 0xdf);
    CHECK_EQ(h->a20, 1);
    out(h, 0x64, 0xd1), out(h, 0x60, 0xdd);
    CHECK_EQ(h->a20, 0);
    out(h, 0x64, 0xd0);
    CHECK_EQ(get(h) & 3, 1);
    out(h, 0x64, 0xd1), out(h, 0x60, 0xdf);
    CHECK_EQ(h->a20, 1);
    CHECK_EQ(h->resets, 0);
    out(h, 0x64, 0xff); // HIMEM's pulse of nothing
    CHECK_EQ(h->resets, 0);
    out(h, 0x64, 0xfe);
    CHECK_EQ(h->resets, 1);
    CHECK_EQ(h->a20, 1);
    done(h);
}
static void keyboard_commands(void)
{
    struct host *h = make();
    command_byte(h, 0x25); // no translation
    CHECK_STR(kbd(h, 0xff), "fa aa");
    CHECK_STR(kbd(h, 0xf2), "fa ab 83");
    CHECK_STR(kbd(h, 0xee), "ee");
    CHECK_STR(kbd(h, 0xed), "fa");
    CHECK_STR(kbd(h, 0x05), "fa");
    CHECK_EQ(h->in.leds(h->in.dev), 5);
    CHECK_STR(kbd(h, 0xed), "fa");
    CHECK_STR(kbd(h, 0xf4), "fa"); // a command ends the wait
    CHECK_EQ(h->in.leds(h->in.dev), 5);
    CHECK_STR(kbd(h, 0xf3), "fa");
    CHECK_STR(kbd(h, 0x00), "fa");
    CHECK_STR(kbd(h, 0xf0), "fa");
    CHECK_STR(kbd(h, 0x00), "fa 02");
    CHECK_STR(kbd(h, 0x12), "fe");
    CHECK_STR(kbd(h, 0xf5), "fa");
    CHECK_STR(tap(h, 0x1e), "");
    CHECK_STR(kbd(h, 0xf4), "fa");
    CHECK_STR(tap(h, 0x1e), "1c f0 1c");
    CHECK_STR(kbd(h, 0xfe), "1c");
    out(h, 0x64, 0xad);
    CHECK_STR(tap(h, 0x30), ""); // held back while the line is closed
    out(h, 0x64, 0xae);
    CHECK_STR(all(h), "32 f0 32");
    command_byte(h, 0x65);
    CHECK_STR(kbd(h, 0xf2), "fa ab 41"); // what Linux' atkbd expects behind translation
    done(h);
}
static void scan_sets(void)
{
    struct host *h = make();
    command_byte(h, 0x40);
    // Through translation every key shows its set 1 code: the tables are each other's inverse.
    for (unsigned k = 1; k < 256; k++) {
        char want[16];
        if (!(k & 0x7f) || (k & 0x7f) > 0x58 || (k & 0x7f) == 0x55 || k == 0xc6 || k == 0xb7) continue;
        snprintf(want, sizeof want, k & 0x80 ? "e0 %02x e0 %02x" : "%02x %02x", k & 0x7f, k | 0x80);
        CHECK_STR(tap(h, k), want);
    }
    CHECK_STR(tap(h, 0xb7), "e0 2a e0 37 e0 b7 e0 aa");
    CHECK_STR(tap(h, 0xc6), "e1 1d 45 e1 9d c5");
    command_byte(h, 0);
    CHECK_STR(tap(h, 0xb7), "e0 12 e0 7c e0 f0 7c e0 f0 12");
    CHECK_STR(tap(h, 0xc6), "e1 14 77 e1 f0 14 f0 77");
    CHECK_STR(tap(h, 0xc8), "e0 75 e0 f0 75");
    CHECK_STR(tap(h, 0x41), "83 f0 83"); // F7
    down(h, 0x1d, true);
    CHECK_STR(tap(h, 0xc6), "e0 7e e0 f0 7e"); // Ctrl-Break
    CHECK_STR(tap(h, 0xb7), "e0 7c e0 f0 7c");
    down(h, 0x1d, false), down(h, 0x38, true);
    CHECK_STR(tap(h, 0xb7), "84 f0 84"); // Alt: SysRq
    down(h, 0x38, false);
    kbd(h, 0xf0), kbd(h, 1);
    CHECK_STR(tap(h, 0x1e), "1e 9e");
    CHECK_STR(tap(h, 0xc6), "e1 1d 45 e1 9d c5");
    kbd(h, 0xf0), kbd(h, 3);
    CHECK_STR(tap(h, 0x1e), "1c"); // typematic only
    CHECK_STR(tap(h, 0x2a), "12 f0 12");
    CHECK_STR(tap(h, 0xc8), "63");
    CHECK_STR(tap(h, 0xc6), "62");
    kbd(h, 0xfc), kbd(h, 0x1c);
    CHECK_STR(tap(h, 0x1e), "1c f0 1c");
    CHECK_STR(kbd(h, 0xf8), "fa");
    CHECK_STR(tap(h, 0x3b), "07 f0 07");
    CHECK_STR(kbd(h, 0xf6), "fa");
    CHECK_STR(tap(h, 0x3b), "07");
    done(h);
}
static void keyboard_irq(void)
{
    struct host *h = make();
    command_byte(h, 0x41);
    h->in.key(h->in.dev, 0x1e, true), h->in.key(h->in.dev, 0x1e, false);
    CHECK_EQ(h->irq1, 0);
    pass(h, 300000);
    CHECK_EQ(h->irq1, 1);
    CHECK_EQ(in(h, 0x60), 0x1e);
    CHECK_EQ(h->irq1, 0);
    CHECK_EQ(in(h, 0x60), 0x1e); // the buffer keeps its byte
    for (int i = 0; i < 3; i++) pass(h, 300000);
    CHECK_EQ(h->edges1, 2);
    CHECK_EQ(in(h, 0x60), 0x9e);
    for (int i = 0; i < 1000; i++) h->in.key(h->in.dev, 2 + i % 8, true); // nobody reads: bounded
    int n = 0;
    while (get(h) >= 0) n++;
    CHECK(n > 16 && n <= 128);
    h->in.key(h->in.dev, 0x1000, true);
    h->in.key(h->in.dev, 0, true);
    CHECK_EQ(get(h), -1);
    done(h);
}
static void mouse_commands(void)
{
    struct host *h = make();
    command_byte(h, 2);
    CHECK_STR(aux(h, 0xff), "fa aa 00");
    CHECK_STR(aux(h, 0xf2), "fa 00");
    CHECK_STR(aux(h, 0xe9), "fa 00 02 64");
    CHECK_STR(aux(h, 0xe8), "fa");
    CHECK_STR(aux(h, 0x03), "fa");
    CHECK_STR(aux(h, 0xe7), "fa");
    CHECK_STR(aux(h, 0xf3), "fa");
    CHECK_STR(aux(h, 40), "fa");
    CHECK_STR(aux(h, 0xf3), "fa");
    CHECK_STR(aux(h, 41), "fe");
    CHECK_STR(aux(h, 0xf4), "fa");
    CHECK_STR(aux(h, 0xe9), "fa 30 03 28");
    CHECK_STR(aux(h, 0xf0), "fa");
    CHECK_STR(aux(h, 0xe9), "fa 70 03 28");
    CHECK_STR(aux(h, 0xee), "fa");
    CHECK_STR(aux(h, 0xf2), "f2"); // wrap mode
    CHECK_STR(aux(h, 0xec), "fa");
    CHECK_STR(aux(h, 0xf6), "fa");
    CHECK_STR(aux(h, 0xe9), "fa 00 02 64");
    CHECK_STR(aux(h, 0xfe), "fa 00 02 64");
    CHECK_STR(aux(h, 0x12), "fe");
    done(h);
}
static void move(struct host *h, int dx, int dy, int dz, unsigned b) { h->in.mouse(h->in.dev, dx, dy, dz, b); }
static void mouse_reports(void)
{
    struct host *h = make();
    command_byte(h, 2);
    move(h, 5, 5, 0, 0);
    CHECK_STR(all(h), ""); // off after reset
    aux(h, 0xf4);
    h->edges12 = 0;
    move(h, 5, 3, 9, 0); // down is negative; no wheel yet
    CHECK_STR(all(h), "28 05 fd");
    CHECK_EQ(h->edges12, 3);
    move(h, -1, -2, 0, 1);
    CHECK_STR(all(h), "19 ff 02");
    move(h, 0, 0, 0, 6);
    move(h, 0, 0, 0, 0); // a click is never lost
    CHECK_STR(all(h), "0e 00 00 08 00 00");
    move(h, 300, 0, 0, 0); // the rest follows
    CHECK_STR(all(h), "08 ff 00 08 2d 00");
    aux(h, 0xe7);
    move(h, 4, -7, 0, 0); // scaling 2:1: 4 -> 6, 7 -> 14
    CHECK_STR(all(h), "08 06 0e");
    aux(h, 0xe6), aux(h, 0xf0);
    move(h, 1, 0, 0, 1);
    CHECK_STR(all(h), "");
    CHECK_STR(aux(h, 0xeb), "fa 09 01 00");
    done(h);
}
static void rate(struct host *h, u8 r) { aux(h, 0xf3), aux(h, r); }
static void mouse_wheel(void)
{
    struct host *h = make();
    command_byte(h, 2);
    rate(h, 200), rate(h, 100), rate(h, 80);
    CHECK_STR(aux(h, 0xf2), "fa 03");
    aux(h, 0xf4);
    move(h, 0, 0, -1, 0);
    CHECK_STR(all(h), "08 00 00 ff");
    rate(h, 200), rate(h, 200), rate(h, 80);
    CHECK_STR(aux(h, 0xf2), "fa 04");
    move(h, 1, 0, 2, 8 | 16);
    CHECK_STR(all(h), "08 01 00 32");
    move(h, 0, 0, -9, 0);
    CHECK_STR(all(h), "08 00 00 09 08 00 00 0e");
    CHECK_STR(aux(h, 0xff), "fa aa 00");
    CHECK_STR(aux(h, 0xf2), "fa 00");
    done(h);
}
static void mouse_rate(void)
{
    struct host *h = make();
    command_byte(h, 2);
    rate(h, 20);
    aux(h, 0xf4);
    int n = 0;
    for (int ms = 0; ms < 1000; ms++) {
        move(h, 1, 0, 0, 0);
        for (int i = 0; i < 4; i++, pass(h, 250000))
            if (in(h, 0x64) & 1) n++, in(h, 0x60);
    }
    CHECK(n >= 19 * 3 && n <= 21 * 3);
    done(h);
}
static void save(struct host *h, struct buf *out)
{
    struct state s = {.mode = STATE_SAVE, .out = out};
    parts_state(&h->bus.parts, &s);
}
static void state_round_trip(void)
{
    struct host *h = make(), *g = make();
    struct buf a = {0}, b = {0};
    command_byte(h, 0x43);
    rate(h, 200), rate(h, 100), rate(h, 80);
    aux(h, 0xf4);
    move(h, 3, 4, 1, 1), move(h, 100, 0, 0, 1);
    h->in.key(h->in.dev, 0x1e, true), h->in.key(h->in.dev, 0x1e, false);
    pass(h, 250000);
    out(h, 0x60, 0xed), out(h, 0x64, 0xdd);
    save(h, &a);
    struct state s = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&g->bus.parts, &s);
    CHECK(state_ok(&s));
    CHECK_EQ(g->a20, 0);
    save(g, &b);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    g->bus.clock.now = h->bus.clock.now;
    char want[1024];
    snprintf(want, sizeof want, "%s", all(h));
    CHECK(strlen(want) > 20);
    CHECK_STR(all(g), want);
    for (size_t i = 0; i < a.len; i++) {
        a.data[i] ^= 0xff;
        s = (struct state){.mode = STATE_LOAD, .in = a.data, .len = a.len};
        parts_state(&g->bus.parts, &s);
        in(g, 0x60), out(g, 0x60, 1), move(g, 1, 1, 1, 1);
        a.data[i] ^= 0xff;
    }
    buf_free(&a), buf_free(&b);
    done(h), done(g);
}
static void fuzz(void)
{
    struct host *h = make();
    u64 r = 99;
    for (int i = 0; i < 100000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        u16 port = r >> 33 & 1 ? 0x64 : 0x60;
        if (r >> 40 & 1)
            out(h, port, r >> 50 & 1 ? 0xd4 : (u8)(r >> 20));
        else
            in(h, port);
        if ((r >> 41 & 3) == 0) h->in.key(h->in.dev, (u8)(r >> 24), r >> 55 & 1);
        if ((r >> 43 & 3) == 0) move(h, (int)(r >> 32), (int)(r >> 31), (int)(r >> 30), (unsigned)(r >> 29));
        if ((r >> 45 & 3) == 0) pass(h, 300000);
    }
    parts_reset(&h->bus.parts);
    CHECK_STR(all(h), "");
    CHECK_STR(tap(h, 0x1e), "1c f0 1c");
    done(h);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(controller),       TEST(a20_and_reset), TEST(keyboard_commands),
                                              TEST(scan_sets),        TEST(keyboard_irq),  TEST(mouse_commands),
                                              TEST(mouse_reports),    TEST(mouse_wheel),   TEST(mouse_rate),
                                              TEST(state_round_trip), TEST(fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
