// SPDX-License-Identifier: MIT
// Ports 61h and 92h, debug console, isa-debug-exit, pc-testdev.
#include "hw/chip/i8254.h"
#include "hw/chip/port61.h"
#include "hw/chip/port92.h"
#include "hw/port/debugcon.h"
#include "hw/port/testdev.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct i8254 *pit;
    struct port61 *p61;
    struct chardev chr;
    char text[64];
    size_t len, room;
    int status, exits;
};
enum { NMI = 1, A20, INIT, GSI0 = 4 };

static size_t take(struct chardev *c, const u8 *p, size_t n)
{
    struct rig *r = c->back;
    if (n > r->room) n = r->room;
    memcpy(r->text + r->len, p, n);
    r->len += n;
    r->room -= n;
    return n;
}
static void quit(void *owner, int code)
{
    struct rig *r = owner;
    r->status = code;
    r->exits++;
}
static void open_rig(struct rig *r)
{
    memset(r, 0, sizeof *r);
    bench_init(&r->b);
    struct bus *b = &r->b.bus;
    struct irq gsi[TESTDEV_GSIS];
    for (int i = 0; i < TESTDEV_GSIS; i++) gsi[i] = bench_irq(&r->b, GSI0 + i);
    r->pit = i8254_new(b, 0x40, (struct irq){0});
    r->p61 = port61_new(b, r->pit, bench_irq(&r->b, NMI));
    port92_new(b, bench_irq(&r->b, A20), bench_irq(&r->b, INIT));
    r->chr = (struct chardev){.write = take, .back = r};
    r->room = sizeof r->text;
    debugcon_new(b, 0x402, 0xe9, &r->chr);
    debug_exit_new(b, 0x501, 2);
    testdev_new(b, gsi);
    b->exit_request = quit;
    b->exit_owner = r;
}

static void speaker(void)
{
    struct rig r;
    open_rig(&r);
    out8(&r.b, 0x43, 0xb6); // counter 2, mode 3, 1000 Hz
    out8(&r.b, 0x42, 1193 & 0xff), out8(&r.b, 0x42, 1193 >> 8);
    out8(&r.b, 0x61, 0);
    CHECK(!port61_speaker(r.p61));
    out8(&r.b, 0x61, 3);
    unsigned edges = 0;
    bool was = false;
    for (int i = 0; i < 10000; i++) { // 100 ms
        bench_pass(&r.b, 10000);
        bool is = port61_speaker(r.p61);
        CHECK_EQ(in8(&r.b, 0x61) >> 5 & 1, is);
        edges += is && !was;
        was = is;
    }
    CHECK(edges >= 99 && edges <= 101);
    out8(&r.b, 0x61, 1); // the gate alone makes no sound
    for (int i = 0; i < 100; i++, bench_pass(&r.b, 10000)) CHECK(!port61_speaker(r.p61));
    bus_free(&r.b.bus);
}

// How Linux and others calibrate: counter 2 in mode 0, gated by port 61h, polled in bit 5.
static void calibration(void)
{
    struct rig r;
    open_rig(&r);
    out8(&r.b, 0x61, 1);
    out8(&r.b, 0x43, 0xb0);
    out8(&r.b, 0x42, 11932 & 0xff), out8(&r.b, 0x42, 11932 >> 8); // 10 ms
    CHECK_EQ(in8(&r.b, 0x61) & 0x20, 0);
    bench_pass(&r.b, 9999000);
    CHECK_EQ(in8(&r.b, 0x61) & 0x20, 0);
    bench_pass(&r.b, 3000);
    CHECK_EQ(in8(&r.b, 0x61) & 0x20, 0x20);
    bus_free(&r.b.bus);
}

static void refresh_toggle(void)
{
    struct rig r;
    open_rig(&r);
    unsigned toggles = 0;
    u8 was = in8(&r.b, 0x61) & 0x10;
    for (int i = 0; i < 10000; i++) { // 10 ms
        bench_pass(&r.b, 1000);
        u8 is = in8(&r.b, 0x61) & 0x10;
        toggles += is != was;
        was = is;
    }
    CHECK(toggles >= 661 && toggles <= 665); // every 15.085 us
    bus_free(&r.b.bus);
}

static void nmi(void)
{
    struct rig r;
    open_rig(&r);
    struct irq serr = port61_line(r.p61, PORT61_SERR), iochk = port61_line(r.p61, PORT61_IOCHK);
    struct irq off = port61_line(r.p61, PORT61_NMI_OFF);
    irq_set(&serr, 1);
    irq_set(&serr, 0);
    CHECK_EQ(r.b.level[NMI], 1);
    CHECK_EQ(in8(&r.b, 0x61) & 0xc0, 0x80);
    out8(&r.b, 0x61, 4); // clears and disables
    CHECK_EQ(r.b.level[NMI], 0);
    out8(&r.b, 0x61, 0);
    CHECK_EQ(in8(&r.b, 0x61) & 0xc0, 0);
    irq_set(&off, 1);
    irq_set(&iochk, 1);
    CHECK_EQ(r.b.level[NMI], 0);
    CHECK_EQ(in8(&r.b, 0x61) & 0xc0, 0x40);
    irq_set(&off, 0);
    CHECK_EQ(r.b.level[NMI], 1);
    bus_free(&r.b.bus);
}

static void a20_and_reset(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(in8(&r.b, 0x92), 0);
    out8(&r.b, 0x92, 2);
    CHECK_EQ(r.b.level[A20], 1);
    CHECK_EQ(r.b.rises[INIT], 0);
    out8(&r.b, 0x92, 3);
    out8(&r.b, 0x92, 3); // only the transition counts
    CHECK_EQ(r.b.rises[INIT], 1);
    CHECK_EQ(r.b.level[INIT], 0);
    out8(&r.b, 0x92, 0xfc);
    CHECK_EQ(in8(&r.b, 0x92), 0);
    CHECK_EQ(r.b.level[A20], 0);
    bus_free(&r.b.bus);
}

static void debug_console(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(in8(&r.b, 0x402), 0xe9);
    out8(&r.b, 0x402, 'a');
    r.room = 0;
    for (int i = 0; i < 5000; i++) out8(&r.b, 0x402, 'x'); // nobody takes it: no harm
    out8(&r.b, 0x402, 'b');
    struct rig q;
    open_rig(&q);
    bench_round_trip(&r.b, &q.b);
    r.room = 3;
    r.chr.writable(r.chr.front);
    CHECK_EQ(r.len, 4);
    CHECK(!memcmp(r.text, "axxx", 4));
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

static void test_devices(void)
{
    struct rig r;
    open_rig(&r);
    bus_out(&r.b.bus, 0x501, 0x10, 1);
    CHECK_EQ(r.exits, 1);
    CHECK_EQ(r.status, 0x21);
    bus_out(&r.b.bus, 0xe0, 0x12345678, 4);
    CHECK_EQ(bus_in(&r.b.bus, 0xe1, 2), 0x3456);
    CHECK_EQ(bus_in(&r.b.bus, 0xe8, 4), 0x12345678);
    bus_out(&r.b.bus, 0xe8, 0xaabbccdd, 4);
    CHECK_EQ(bus_in(&r.b.bus, 0xe0, 4), 0xaabbccdd);
    out8(&r.b, 0x2005, 1);
    CHECK_EQ(r.b.level[GSI0 + 5], 1);
    out8(&r.b, 0x2005, 0);
    CHECK_EQ(r.b.level[GSI0 + 5], 0);
    out8(&r.b, 0xe4, 0);
    bus_store(&r.b.bus, 0xff000ff8, 0x1122334455667788, 8);
    CHECK_EQ(bus_load(&r.b.bus, 0xff000ffa, 2), 0x5566);
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    static const u16 ports[] = {0x61, 0x61, 0x92, 0x402, 0x42, 0x43,   0x501,
                                0xe0, 0xe1, 0xe4, 0xe8,  0xeb, 0x2000, 0x2017};
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    for (int i = 0; i < 10; i++) {
        r.len = 0;
        r.room = 20;
        bench_fuzz(&r.b, ports, ARRAY_LEN(ports), 10000, 20000, i + 1);
        bench_round_trip(&r.b, &q.b);
    }
    bench_damage(&r.b, &q.b, 5);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(speaker),       TEST(calibration),   TEST(refresh_toggle), TEST(nmi),
        TEST(a20_and_reset), TEST(debug_console), TEST(test_devices),   TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
