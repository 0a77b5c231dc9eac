// SPDX-License-Identifier: MIT
// 8254: expected values from the 82C54 data sheet's mode diagrams. One CLK is 838.095 ns.
#include "hw/chip/i8254.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct i8254 *pit;
    u64 clk; // current CLK pulse
};
// To the middle of CLK n after now: whole pulses are what counts.
static void clk(struct rig *r, u64 n)
{
    r->clk += n;
    bench_until(&r->b, (u64)((u128)(2 * r->clk + 1) * 3 * NS_PER_SEC / (2 * 3579545ull)));
}
static void open_rig(struct rig *r)
{
    bench_init(&r->b);
    r->pit = i8254_new(&r->b.bus, 0x40, bench_irq(&r->b, 0));
    r->clk = 0;
    clk(r, 0);
}
static void program(struct rig *r, unsigned c, u8 control, u16 count)
{
    out8(&r->b, 0x43, c << 6 | control);
    if (control & 0x10) out8(&r->b, 0x40 + c, (u8)count);
    if (control & 0x20) out8(&r->b, 0x40 + c, count >> 8);
}
static u16 read16(struct rig *r, unsigned c)
{
    u8 lo = in8(&r->b, 0x40 + c);
    return lo | in8(&r->b, 0x40 + c) << 8;
}
// The levels of OUT over n pulses as text.
static const char *wave(struct rig *r, unsigned c, unsigned n)
{
    static char s[64];
    for (unsigned i = 0; i < n; i++) {
        s[i] = i8254_out(r->pit, c) ? '1' : '0';
        clk(r, 1);
    }
    s[n] = 0;
    return s;
}

static void mode0(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x10, 4);
    CHECK_STR(wave(&r, 0, 8), "00000111"); // N + 1 pulses
    CHECK_EQ(r.b.rises[0], 1);
    program(&r, 0, 0x10, 4);
    CHECK_EQ(r.b.level[0], 0);
    clk(&r, 3);
    CHECK_EQ(in8(&r.b, 0x40), 2);
    i8254_gate(r.pit, 0, 0);
    clk(&r, 5);
    CHECK_EQ(in8(&r.b, 0x40), 2);
    i8254_gate(r.pit, 0, 1);
    clk(&r, 4);
    CHECK_EQ(in8(&r.b, 0x40), 0xfe); // goes on below zero
    program(&r, 0, 0x30, 0x300);
    clk(&r, 2);
    out8(&r.b, 0x40, 2); // the first byte stops the count
    clk(&r, 5);
    CHECK_EQ(read16(&r, 0), 0x2ff);
    out8(&r.b, 0x40, 0);
    CHECK_STR(wave(&r, 0, 5), "00011");
    bus_free(&r.b.bus);
}

static void mode1(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 2, 0x12, 3);
    CHECK_STR(wave(&r, 2, 3), "111");
    i8254_gate(r.pit, 2, 1);
    CHECK_STR(wave(&r, 2, 6), "100011");
    i8254_gate(r.pit, 2, 0);
    i8254_gate(r.pit, 2, 1);
    CHECK_STR(wave(&r, 2, 3), "100");
    i8254_gate(r.pit, 2, 0);
    i8254_gate(r.pit, 2, 1); // retriggered
    CHECK_STR(wave(&r, 2, 6), "000011");
    bus_free(&r.b.bus);
}

static void mode2(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x14, 3);
    CHECK_STR(wave(&r, 0, 10), "1110110110");
    CHECK_EQ(r.b.level[0], 1);
    int before = r.b.rises[0];
    clk(&r, 300);
    CHECK_EQ(r.b.rises[0] - before, 100);
    out8(&r.b, 0x40, 4); // takes effect after the current period
    clk(&r, 3);
    CHECK_STR(wave(&r, 0, 8), "11101110");
    i8254_gate(r.pit, 0, 0);
    CHECK_STR(wave(&r, 0, 3), "111");
    i8254_gate(r.pit, 0, 1);
    CHECK_STR(wave(&r, 0, 5), "11110");
    bus_free(&r.b.bus);
}

static void mode3(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x16, 4);
    CHECK_STR(wave(&r, 0, 10), "1110011001");
    program(&r, 0, 0x16, 5);
    CHECK_STR(wave(&r, 0, 12), "111100111001");
    program(&r, 0, 0x16, 4);
    clk(&r, 1);
    CHECK_EQ(in8(&r.b, 0x40), 4);
    clk(&r, 1);
    CHECK_EQ(in8(&r.b, 0x40), 2);
    clk(&r, 1);
    CHECK_EQ(in8(&r.b, 0x40), 4);
    i8254_gate(r.pit, 0, 0);
    CHECK(i8254_out(r.pit, 0));
    bus_free(&r.b.bus);
}

static void mode4(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x18, 3);
    CHECK_STR(wave(&r, 0, 8), "11110111");
    out8(&r.b, 0x40, 2);
    CHECK_STR(wave(&r, 0, 6), "111011");
    bus_free(&r.b.bus);
}

static void mode5(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 2, 0x1a, 3);
    CHECK_STR(wave(&r, 2, 6), "111111");
    i8254_gate(r.pit, 2, 1);
    CHECK_STR(wave(&r, 2, 7), "1111011");
    bus_free(&r.b.bus);
}

static void bcd_counting(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x35, 0x1000);
    clk(&r, 2);
    CHECK_EQ(read16(&r, 0), 0x0999);
    program(&r, 0, 0x31, 0); // 10000
    clk(&r, 1);
    CHECK_EQ(read16(&r, 0), 0);
    clk(&r, 1);
    CHECK_EQ(read16(&r, 0), 0x9999);
    clk(&r, 9998);
    CHECK_EQ(r.b.level[0], 0);
    clk(&r, 1);
    CHECK_EQ(r.b.level[0], 1);
    bus_free(&r.b.bus);
}

static void latch_and_read_back(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x34, 0x1234);
    out8(&r.b, 0x43, 0xe2); // status of counter 0: null count, RW 3, mode 2
    CHECK_EQ(in8(&r.b, 0x40), 0xf4);
    clk(&r, 1);
    out8(&r.b, 0x43, 0xe2);
    CHECK_EQ(in8(&r.b, 0x40), 0xb4);
    out8(&r.b, 0x43, 0x00);
    clk(&r, 100);
    out8(&r.b, 0x43, 0x00); // the second latch is ignored
    CHECK_EQ(read16(&r, 0), 0x1234);
    CHECK_EQ(read16(&r, 0), 0x1234 - 100);
    out8(&r.b, 0x43, 0xc2); // count and status: status comes first
    CHECK_EQ(in8(&r.b, 0x40), 0xb4);
    CHECK_EQ(read16(&r, 0), 0x1234 - 100);
    program(&r, 1, 0x20, 0x5600);
    clk(&r, 2);
    CHECK_EQ(in8(&r.b, 0x41), 0x55);
    bus_free(&r.b.bus);
}

// 18.2 Hz: 65536 pulses are 54.925439 ms.
static void bios_tick(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 0, 0x36, 0);
    bench_pass(&r.b, 10 * NS_PER_SEC);
    CHECK_EQ(r.b.rises[0], 183); // one when the mode was set, 182 = floor(10 / 0.054925) since
    // Nobody ran the events: the edge still comes out.
    int before = r.b.rises[0];
    program(&r, 0, 0x34, 100);
    r.b.bus.clock.now += NS_PER_SEC;
    in8(&r.b, 0x40);
    CHECK(r.b.rises[0] > before);
    CHECK_EQ(r.b.level[0], 1);
    bus_free(&r.b.bus);
}

static void illegal_count(void)
{
    struct rig r;
    open_rig(&r);
    for (u8 m = 0x14; m <= 0x16; m += 2) {
        program(&r, 0, m, 1);
        clk(&r, 100);
        CHECK(i8254_out(r.pit, 0));
        out8(&r.b, 0x40, 2);
        clk(&r, 3);
        int before = r.b.rises[0];
        clk(&r, 20);
        CHECK_EQ(r.b.rises[0] - before, 10);
    }
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    static const u16 ports[] = {0x40, 0x41, 0x42, 0x43, 0x43};
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    for (int i = 0; i < 100; i++) {
        bench_fuzz(&r.b, ports, ARRAY_LEN(ports), 1000, 20000, i + 1);
        i8254_gate(r.pit, 2, i & 1);
        bench_round_trip(&r.b, &q.b);
    }
    // Both go on alike.
    bench_pass(&r.b, 12345678), bench_pass(&q.b, 12345678);
    for (int c = 0; c < 3; c++) CHECK_EQ(read16(&r, c), read16(&q, c));
    bench_damage(&r.b, &q.b, 2);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(mode0),     TEST(mode1),         TEST(mode2),         TEST(mode3),
        TEST(mode4),     TEST(mode5),         TEST(bcd_counting),  TEST(latch_and_read_back),
        TEST(bios_tick), TEST(illegal_count), TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
