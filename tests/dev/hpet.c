// SPDX-License-Identifier: MIT
// HPET: expected values from the IA-PC HPET specification 1.0a. One tick is 10 ns.
#include "hw/chip/hpet.h"
#include "tests/dev/chip.h"

#define BASE 0xfed00000ull
enum { IRQ0 = 24, IRQ8 };
struct rig {
    struct bench b;
    struct hpet *h;
};
static u64 rd(struct rig *r, u32 off) { return bus_load(&r->b.bus, BASE + off, 8); }
static void wr(struct rig *r, u32 off, u64 v) { bus_store(&r->b.bus, BASE + off, v, 8); }
static void open_rig(struct rig *r)
{
    bench_init(&r->b);
    struct irq gsi[HPET_GSIS], legacy[2] = {bench_irq(&r->b, IRQ0), bench_irq(&r->b, IRQ8)};
    for (int i = 0; i < HPET_GSIS; i++) gsi[i] = bench_irq(&r->b, i);
    r->h = hpet_new(&r->b.bus, BASE, 0xff0104, gsi, legacy);
}

static void registers(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(rd(&r, 0), 0x009896808086a201);
    CHECK_EQ(bus_load(&r.b.bus, BASE + 4, 4), 10000000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(rd(&r, 0x100 + 0x20 * i), 0x00ff010400000030);
        CHECK_EQ(rd(&r, 0x108 + 0x20 * i), ~0ull);
    }
    wr(&r, 0x100, 3 << 9); // a route that is not offered
    CHECK_EQ(rd(&r, 0x100) & 0x3e00, 0);
    wr(&r, 0x100, 20 << 9);
    CHECK_EQ(rd(&r, 0x100) & 0x3e00, 20 << 9);
    bus_free(&r.b.bus);
}

static void main_counter(void)
{
    struct rig r;
    open_rig(&r);
    bench_pass(&r.b, 1000);
    CHECK_EQ(rd(&r, 0xf0), 0);
    wr(&r, 0xf0, 0xffffffff0);
    wr(&r, 0x10, 1);
    bench_pass(&r.b, 1000);
    CHECK_EQ(rd(&r, 0xf0), 0x1000000054);
    CHECK_EQ(bus_load(&r.b.bus, BASE + 0xf4, 4), 0x10);
    wr(&r, 0x10, 0);
    bench_pass(&r.b, 1000);
    CHECK_EQ(rd(&r, 0xf0), 0x1000000054);
    bus_store(&r.b.bus, BASE + 0xf0, 7, 4);
    CHECK_EQ(rd(&r, 0xf0), 0x1000000007);
    bus_free(&r.b.bus);
}

static void one_shot(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x120, 0x4 | 8 << 9);
    wr(&r, 0x128, 500);
    wr(&r, 0x10, 1);
    bench_pass(&r.b, 4999);
    CHECK_EQ(r.b.rises[8], 0);
    bench_pass(&r.b, 1);
    CHECK_EQ(r.b.rises[8], 1);
    CHECK_EQ(rd(&r, 0x20), 0); // edge: no status
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(r.b.rises[8], 1);
    wr(&r, 0x128, 600); // behind the counter: not before the wrap
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(r.b.rises[8], 1);
    bus_free(&r.b.bus);
}

static void wrap_of_32_bits(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x140, 0x104 | 16 << 9);
    wr(&r, 0x148, 0x100000050); // cut to 32 bits
    CHECK_EQ(rd(&r, 0x148), 0x50);
    wr(&r, 0xf0, 0xfffffff0);
    wr(&r, 0x10, 1);
    bench_pass(&r.b, 0x60 * 10);
    CHECK_EQ(r.b.rises[16], 1);
    bench_pass(&r.b, 42949672960ull); // and again after each wrap
    CHECK_EQ(r.b.rises[16], 2);
    bus_free(&r.b.bus);
}

static void periodic(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x100, 0x4c | 2 << 9); // periodic, VAL_SET
    wr(&r, 0x108, 1000);
    wr(&r, 0x108, 250); // the period
    CHECK_EQ(rd(&r, 0x108), 1000);
    wr(&r, 0x10, 1);
    bench_pass(&r.b, 9999);
    CHECK_EQ(r.b.rises[2], 0);
    bench_pass(&r.b, 1);
    CHECK_EQ(r.b.rises[2], 1);
    CHECK_EQ(rd(&r, 0x108), 1250);
    bench_pass(&r.b, 25000);
    CHECK_EQ(r.b.rises[2], 11);
    r.b.bus.clock.now += 10000; // late: once, and on in phase
    CHECK_EQ(rd(&r, 0x108), 1000 + 15 * 250);
    CHECK_EQ(r.b.rises[2], 12);
    wr(&r, 0x100, 0x8 | 2 << 9); // without interrupt the comparator moves on
    bench_pass(&r.b, 25000);
    CHECK_EQ(rd(&r, 0x108), 1000 + 25 * 250);
    CHECK_EQ(r.b.rises[2], 12);
    wr(&r, 0x100, 0x4c | 2 << 9);
    wr(&r, 0x108, rd(&r, 0xf0) + 100);
    wr(&r, 0x108, 1); // every 10 ns: does not hang
    bench_pass(&r.b, NS_PER_SEC / 100);
    CHECK(r.b.rises[2] > 1000);
    bus_free(&r.b.bus);
}

static void level_triggered(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x120, 0x6 | 16 << 9);
    wr(&r, 0x128, 100);
    wr(&r, 0x10, 1);
    bench_pass(&r.b, 1000);
    CHECK_EQ(r.b.level[16], 1);
    CHECK_EQ(rd(&r, 0x20), 2);
    wr(&r, 0x20, 5);
    CHECK_EQ(r.b.level[16], 1);
    wr(&r, 0x20, 2);
    CHECK_EQ(r.b.level[16], 0);
    wr(&r, 0x120, 0x2 | 16 << 9); // no interrupt, but status
    wr(&r, 0x128, rd(&r, 0xf0) + 100);
    bench_pass(&r.b, 1000);
    CHECK_EQ(rd(&r, 0x20), 2);
    CHECK_EQ(r.b.level[16], 0);
    bus_free(&r.b.bus);
}

static void legacy_replacement(void)
{
    struct rig r;
    open_rig(&r);
    struct irq pit = hpet_legacy_line(r.h, 0), rtc = hpet_legacy_line(r.h, 1);
    irq_set(&pit, 1);
    irq_set(&rtc, 1);
    CHECK(r.b.level[IRQ0] && r.b.level[IRQ8]);
    wr(&r, 0x100, 0x4);
    wr(&r, 0x108, 100);
    wr(&r, 0x120, 0x4);
    wr(&r, 0x128, 200);
    wr(&r, 0x10, 3);
    CHECK(!r.b.level[IRQ0] && !r.b.level[IRQ8]);
    irq_set(&pit, 0);
    irq_set(&pit, 1);
    CHECK_EQ(r.b.rises[IRQ0], 1); // cut off
    bench_pass(&r.b, 1000);
    CHECK_EQ(r.b.rises[IRQ0], 2);
    CHECK_EQ(r.b.rises[IRQ8], 1);
    bench_pass(&r.b, 1000);
    CHECK_EQ(r.b.rises[IRQ8], 2);
    irq_set(&rtc, 0);
    wr(&r, 0x10, 1);
    CHECK_EQ(r.b.level[IRQ0], 1); // as the 8254 has it
    CHECK_EQ(r.b.level[IRQ8], 0);
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    u64 seed = 21;
    for (int i = 0; i < 100000; i++) {
        static const u16 regs[] = {0x10, 0x20, 0xf0, 0xf4, 0x100, 0x108, 0x10c, 0x120, 0x128, 0x140, 0x148, 0x14c};
        u32 x = bench_random(&seed), v = bench_random(&seed);
        u32 off = x % 16 ? regs[v % ARRAY_LEN(regs)] : v % 0x3f8;
        unsigned size = 4u << (x >> 8 & 1);
        if (off & 4) size = 4;
        v = bench_random(&seed) >> (x >> 9) % 32;
        switch (x % 3) {
        case 0: bus_load(&r.b.bus, BASE + off, size); break;
        case 1: bus_store(&r.b.bus, BASE + off, v, size); break;
        default: bench_pass(&r.b, v % 5000);
        }
        if (i % 5000 == 0) bench_round_trip(&r.b, &q.b);
    }
    CHECK(r.b.bus.clock.now > 0);
    bench_damage(&r.b, &q.b, 8);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(registers), TEST(main_counter),    TEST(one_shot),           TEST(wrap_of_32_bits),
        TEST(periodic),  TEST(level_triggered), TEST(legacy_replacement), TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
