// SPDX-License-Identifier: MIT
// 16550A and parallel port as drivers use them; expected values from the PC16550D data sheet and the probe sequences of
// Linux' 8250 driver.
#include "hw/port/parallel.h"
#include "hw/port/uart16550.h"
#include "mem/base/err.h"
#include "mem/bus.h"
#include "mem/state.h"
#include "tests/check.h"

#define COM 0x3f8
#define LPT 0x378
struct host {
    struct bus bus;
    struct chardev chr, prn;
    struct irq irq, irq7;
    int level, edges, edges7, accepts;
    bool full;
    u8 got[4096];
    size_t n;
};
static void on_irq(void *o, int n, int level)
{
    struct host *h = o;
    h->edges += level && !h->level;
    h->level = level;
}
static void on_irq7(void *o, int n, int level) { ((struct host *)o)->edges7 += level; }
static size_t take(struct chardev *c, const u8 *p, size_t n)
{
    struct host *h = c->back;
    if (h->full) return 0;
    for (size_t i = 0; i < n && h->n < sizeof h->got; i++) h->got[h->n++] = p[i];
    return n;
}
static void accepted(struct chardev *c) { ((struct host *)c->back)->accepts++; }
static struct host *make(void)
{
    struct host *h = xalloc(sizeof *h);
    bus_init(&h->bus);
    h->chr = (struct chardev){.name = "test", .write = take, .back = h, .accept_input = accepted};
    h->prn = (struct chardev){.name = "prn", .write = take, .back = h};
    h->irq = (struct irq){on_irq, h, 4};
    h->irq7 = (struct irq){on_irq7, h, 7};
    uart16550_new(&h->bus, "serial0", COM, &h->irq, &h->chr);
    parallel_new(&h->bus, "parallel0", LPT, &h->irq7, &h->prn);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static u8 in(struct host *h, u16 p) { return bus_in(&h->bus, p, 1); }
static void out(struct host *h, u16 p, u8 v) { bus_out(&h->bus, p, v, 1); }
static void send(struct host *h, const char *t) { h->chr.receive(h->chr.front, (const u8 *)t, strlen(t)); }
static void pass(struct host *h, u64 ns)
{
    h->bus.clock.now += ns;
    clock_run(&h->bus.clock);
}

static void reset_values(void)
{
    struct host *h = make();
    CHECK_EQ(in(h, COM + 1), 0);
    CHECK_EQ(in(h, COM + 2), 0x01);
    CHECK_EQ(in(h, COM + 3), 0);
    CHECK_EQ(in(h, COM + 4), 0);
    CHECK_EQ(in(h, COM + 5), 0x60);
    CHECK_EQ(in(h, COM + 6) & 0x0f, 0);
    done(h);
}
// Linux' autoconfig(): what tells a 16550A from 8250, 16450, 16550, 16650, 16750.
static void linux_probe(void)
{
    struct host *h = make();
    out(h, COM + 1, 0);
    CHECK_EQ(in(h, COM + 1) & 15, 0);
    out(h, COM + 1, 15);
    CHECK_EQ(in(h, COM + 1), 15);
    out(h, COM + 1, 0);
    out(h, COM + 4, 0x10 | 0x0a);
    CHECK_EQ(in(h, COM + 6) & 0xf0, 0x90);
    out(h, COM + 4, 0);
    out(h, COM + 2, 1);
    CHECK_EQ(in(h, COM + 2) >> 6, 3);
    out(h, COM + 7, 0xa5);
    CHECK_EQ(in(h, COM + 7), 0xa5);
    out(h, COM + 3, 0x80); // a 16650 would show its EFR at IIR's place
    CHECK_EQ(in(h, COM + 2) & 0x1f, 1);
    out(h, COM + 2, 0x21);
    CHECK_EQ(in(h, COM + 2) & 0x20, 0); // no 64-byte mode: not a 16750
    out(h, COM, 0x34), out(h, COM + 1, 0x12);
    CHECK_EQ(in(h, COM), 0x34);
    CHECK_EQ(in(h, COM + 1), 0x12);
    out(h, COM + 3, 3);
    CHECK_EQ(in(h, COM + 1), 0);
    CHECK_EQ(in(h, COM + 3), 3);
    done(h);
}
static void transmit(void)
{
    struct host *h = make();
    out(h, COM + 3, 3), out(h, COM + 4, 8);
    out(h, COM + 1, 2); // transmitter is empty: interrupt at once
    CHECK_EQ(h->level, 1);
    CHECK_EQ(in(h, COM + 2), 0x02);
    CHECK_EQ(h->level, 0); // reading IIR acknowledges
    CHECK_EQ(in(h, COM + 2), 0x01);
    int e = h->edges;
    out(h, COM, 'x');
    CHECK_EQ(h->edges, e + 1);
    e = h->edges;
    out(h, COM, 'y'); // a new edge a character, also without reading IIR
    CHECK_EQ(h->edges, e + 1);
    CHECK(h->n == 2 && !memcmp(h->got, "xy", 2));
    out(h, COM + 1, 0);
    CHECK_EQ(h->level, 0);
    out(h, COM + 1, 2); // serial8250_do_startup()'s test for broken THRE
    CHECK_EQ(in(h, COM + 2), 0x02);
    done(h);
}
static void transmit_blocked(void)
{
    struct host *h = make();
    out(h, COM + 2, 1), out(h, COM + 4, 8), out(h, COM + 1, 2);
    in(h, COM + 2);
    h->full = true;
    for (int i = 0; i < 20; i++) out(h, COM, 'a' + i); // four more than the FIFO holds
    CHECK_EQ(in(h, COM + 5) & 0x60, 0);
    CHECK_EQ(h->level, 0);
    h->full = false;
    h->chr.writable(h->chr.front);
    CHECK_EQ(h->n, 16);
    CHECK_EQ(h->got[15], 'p');
    CHECK_EQ(in(h, COM + 5) & 0x60, 0x60);
    CHECK_EQ(h->level, 1);
    h->full = true;
    out(h, COM, 'q');
    h->full = false;
    pass(h, 20000000); // the back end never calls: tried again
    CHECK_EQ(h->n, 17);
    done(h);
}
static void receive_16450(void)
{
    struct host *h = make();
    out(h, COM + 4, 8), out(h, COM + 1, 1);
    CHECK_EQ(h->chr.can_receive(h->chr.front), 1);
    send(h, "a");
    CHECK_EQ(h->level, 1);
    CHECK_EQ(in(h, COM + 2), 4);
    CHECK_EQ(in(h, COM + 5), 0x61);
    CHECK_EQ(h->chr.can_receive(h->chr.front), 0);
    send(h, "b"); // overruns: the new one replaces the old
    CHECK_EQ(in(h, COM + 5), 0x63);
    CHECK_EQ(in(h, COM + 5), 0x61);
    CHECK_EQ(in(h, COM), 'b');
    CHECK_EQ(h->accepts, 1);
    CHECK_EQ(h->level, 0);
    CHECK_EQ(in(h, COM + 5), 0x60);
    done(h);
}
static void receive_fifo(void)
{
    static const u8 level[4] = {1, 4, 8, 14};
    for (int t = 0; t < 4; t++) {
        struct host *h = make();
        out(h, COM + 2, 1 | t << 6), out(h, COM + 4, 8), out(h, COM + 1, 1);
        for (int i = 1; i < level[t]; i++) send(h, "z");
        CHECK_EQ(h->level, 0);
        send(h, "z");
        CHECK_EQ(in(h, COM + 2), 0xc4);
        in(h, COM);
        CHECK_EQ(in(h, COM + 2), 0xc1); // below the level: off
        done(h);
    }
    struct host *h = make();
    out(h, COM + 2, 1), out(h, COM + 4, 8), out(h, COM + 1, 4);
    CHECK_EQ(h->chr.can_receive(h->chr.front), 16);
    send(h, "0123456789abcdefX");
    CHECK_EQ(in(h, COM + 2), 0xc6); // overrun: line status
    CHECK_EQ(in(h, COM + 5), 0x63);
    CHECK_EQ(in(h, COM + 2), 0xc1);
    for (int i = 0; i < 16; i++) CHECK_EQ(in(h, COM), "0123456789abcdef"[i]); // the FIFO keeps what it had
    CHECK_EQ(in(h, COM + 5), 0x60);
    send(h, "qq");
    out(h, COM + 2, 3); // receiver reset
    CHECK_EQ(in(h, COM + 5), 0x60);
    done(h);
}
static void receive_timeout(void)
{
    struct host *h = make();
    out(h, COM + 3, 0x83), out(h, COM, 1), out(h, COM + 1, 0), out(h, COM + 3, 3); // 115200 8N1: 86806 ns a character
    out(h, COM + 2, 0xc1), out(h, COM + 4, 8), out(h, COM + 1, 1);
    send(h, "abc");
    CHECK_EQ(h->level, 0);
    pass(h, 4 * 86806 - 10);
    CHECK_EQ(h->level, 0);
    pass(h, 20);
    CHECK_EQ(h->level, 1);
    CHECK_EQ(in(h, COM + 2), 0xcc);
    in(h, COM); // any read restarts the time
    CHECK_EQ(h->level, 0);
    pass(h, 4 * 86806 + 10);
    CHECK_EQ(in(h, COM + 2), 0xcc);
    in(h, COM), in(h, COM);
    pass(h, 1000000);
    CHECK_EQ(h->level, 0);
    done(h);
}
static void break_condition(void)
{
    struct host *h = make();
    out(h, COM + 2, 1), out(h, COM + 4, 8), out(h, COM + 1, 5);
    send(h, "a");
    h->chr.event(h->chr.front, CHARDEV_BREAK);
    send(h, "b");
    CHECK_EQ(in(h, COM + 5), 0xe1); // in the FIFO, but not at its top
    CHECK_EQ(in(h, COM), 'a');
    CHECK_EQ(in(h, COM + 2), 0xc6);
    CHECK_EQ(in(h, COM + 5), 0xf1);
    CHECK_EQ(in(h, COM), 0);
    CHECK_EQ(in(h, COM + 5), 0x61);
    CHECK_EQ(in(h, COM), 'b');
    done(h);
}
static void loopback(void)
{
    struct host *h = make();
    out(h, COM + 3, 3);
    in(h, COM + 6);
    out(h, COM + 4, 0x18);
    CHECK_EQ(in(h, COM + 6), 0x80 | 0x03); // CTS and DSR fell, DCD = OUT2 stayed
    out(h, COM + 4, 0x1f);
    CHECK_EQ(in(h, COM + 6), 0xf0 | 0x03); // RI rose: no TERI
    out(h, COM + 4, 0x1b);
    CHECK_EQ(in(h, COM + 6), 0xb0 | 0x04);
    out(h, COM, 0x55);
    CHECK_EQ(h->n, 0);
    CHECK_EQ(in(h, COM), 0x55);
    CHECK_EQ(h->chr.can_receive(h->chr.front), 0);
    out(h, COM + 3, 0x00); // five bits
    out(h, COM, 0xff);
    CHECK_EQ(in(h, COM), 0x1f);
    out(h, COM + 3, 0x43);
    CHECK_EQ(in(h, COM + 5), 0x71);
    out(h, COM + 1, 8);
    out(h, COM + 4, 0x19);
    CHECK_EQ(in(h, COM + 2), 0); // modem status is the lowest priority
    CHECK_EQ(h->level, 1);
    in(h, COM + 6);
    CHECK_EQ(h->level, 0);
    CHECK_EQ(in(h, COM), 0);
    out(h, COM + 4, 0x08);
    CHECK_EQ(h->accepts, 1);
    done(h);
}
static void priorities(void)
{
    struct host *h = make();
    out(h, COM + 2, 1), out(h, COM + 4, 0x18), in(h, COM + 6);
    out(h, COM + 4, 0x1a);
    out(h, COM + 1, 15);
    for (int i = 0; i < 17; i++) out(h, COM, i);
    CHECK_EQ(in(h, COM + 2), 0xc6);
    in(h, COM + 5);
    CHECK_EQ(in(h, COM + 2), 0xc4);
    out(h, COM + 2, 3);
    CHECK_EQ(in(h, COM + 2), 0xc2);
    CHECK_EQ(in(h, COM + 2), 0xc0);
    in(h, COM + 6);
    CHECK_EQ(in(h, COM + 2), 0xc1);
    out(h, COM + 4, 0x10); // without OUT2 nothing reaches the line
    out(h, COM, 1);
    CHECK_EQ(in(h, COM + 2), 0xc4);
    CHECK_EQ(h->level, 0);
    done(h);
}
static void print(struct host *h, u8 c)
{
    out(h, LPT, c);
    out(h, LPT + 2, 0x0d | 0x10), out(h, LPT + 2, 0x0c | 0x10);
}
static void printer(void)
{
    struct host *h = make();
    CHECK_EQ(in(h, LPT + 1) & 0xf8, 0xd8); // ready, selected, no error
    out(h, LPT, 0xaa);
    CHECK_EQ(in(h, LPT), 0xaa);
    out(h, LPT + 2, 0x0c);
    CHECK_EQ(in(h, LPT + 2) & 0x1f, 0x0c);
    print(h, 'P');
    CHECK(h->n == 1 && h->got[0] == 'P');
    CHECK_EQ(in(h, LPT + 1) & 0xc0, 0x40); // busy
    pass(h, 1000);
    CHECK_EQ(in(h, LPT + 1) & 0xc0, 0x00); // acknowledge
    CHECK_EQ(h->edges7, 0);
    pass(h, 500);
    CHECK_EQ(in(h, LPT + 1) & 0xc0, 0xc0);
    CHECK_EQ(h->edges7, 1);
    h->full = true;
    print(h, 'Q');
    pass(h, 5000);
    CHECK_EQ(in(h, LPT + 1) & 0x80, 0);
    h->full = false;
    h->prn.writable(h->prn.front);
    pass(h, 1000), pass(h, 500);
    CHECK(h->n == 2 && h->got[1] == 'Q');
    CHECK_EQ(in(h, LPT + 1) & 0x80, 0x80);
    CHECK_EQ(bus_in(&h->bus, LPT + 3, 1), 0xff);
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
    out(h, COM + 2, 0x81), out(h, COM + 4, 8), out(h, COM + 1, 7), out(h, COM + 7, 0x5a);
    send(h, "hello");
    h->full = true;
    out(h, COM, 'x'), out(h, COM, 'y');
    print(h, 'R');
    struct buf a = {0}, b = {0};
    save(h, &a);
    struct state s = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&g->bus.parts, &s);
    CHECK(state_ok(&s));
    save(g, &b);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    pass(g, 20000000);
    CHECK_EQ(g->n, 3);
    CHECK_EQ(in(g, COM), 'h');
    a.data[20]++, buf_free(&b);
    for (size_t i = 0; i < a.len; i++) { // damaged files: refused or loaded, never a crash
        a.data[i] ^= 0xff;
        struct state bad = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
        parts_state(&g->bus.parts, &bad);
        in(g, COM), out(g, COM, 1);
        a.data[i] ^= 0xff;
    }
    buf_free(&a);
    done(h), done(g);
}
static void fuzz(void)
{
    struct host *h = make();
    u64 r = 0x1234567;
    for (int i = 0; i < 100000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        u16 port = (r >> 60 & 1 ? COM : LPT) + (r >> 33) % 8;
        h->full = r >> 50 & 1;
        if (r >> 40 & 1)
            bus_out(&h->bus, port, (u32)(r >> 20), 1 << (r >> 45) % 3);
        else
            bus_in(&h->bus, port, 1 << (r >> 45) % 3);
        if (r >> 55 & 1) h->n = 0, send(h, "ab");
        if ((r >> 52 & 7) == 7) pass(h, r >> 44);
        if ((r >> 56 & 63) == 1) h->chr.event(h->chr.front, CHARDEV_BREAK);
    }
    parts_reset(&h->bus.parts);
    CHECK_EQ(in(h, COM + 5), 0x60);
    done(h);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(reset_values),  TEST(linux_probe),  TEST(transmit),        TEST(transmit_blocked),
        TEST(receive_16450), TEST(receive_fifo), TEST(receive_timeout), TEST(break_condition),
        TEST(loopback),      TEST(priorities),   TEST(printer),         TEST(state_round_trip),
        TEST(fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
