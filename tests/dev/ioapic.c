// SPDX-License-Identifier: MIT
// I/O APIC: expected values from the 82093AA data sheet; the EOI register from the ICH9's.
#include "hw/chip/ioapic.h"
#include "tests/dev/chip.h"

#define BASE 0xfec00000ull
struct rig {
    struct bench b;
    struct ioapic *io;
    int sent;
    bool deaf;
    struct apic_msg last;
};
static bool take(void *owner, const struct apic_msg *m)
{
    struct rig *r = owner;
    if (r->deaf) return false;
    r->sent++;
    r->last = *m;
    return true;
}
static void open_rig(struct rig *r)
{
    memset(r, 0, sizeof *r);
    bench_init(&r->b);
    r->io = ioapic_new(&r->b.bus, BASE, 2, (struct apic_bus){take, r});
}
static u32 rd(struct rig *r, u8 reg)
{
    bus_store(&r->b.bus, BASE, reg, 4);
    return (u32)bus_load(&r->b.bus, BASE + 0x10, 4);
}
static void wr(struct rig *r, u8 reg, u32 v)
{
    bus_store(&r->b.bus, BASE, reg, 4);
    bus_store(&r->b.bus, BASE + 0x10, v, 4);
}
static void pin(struct rig *r, unsigned n, int level)
{
    struct irq l = ioapic_line(r->io, n);
    irq_set(&l, level);
}

static void registers(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(rd(&r, 0), 0x02000000);
    wr(&r, 0, 0xffffffff);
    CHECK_EQ(rd(&r, 0), 0x0f000000);
    CHECK_EQ(rd(&r, 1), 0x00170020);
    CHECK_EQ(rd(&r, 2), 0x0f000000);
    for (int i = 0; i < 24; i++) {
        CHECK_EQ(rd(&r, 0x10 + 2 * i), 0x10000);
        CHECK_EQ(rd(&r, 0x11 + 2 * i), 0);
    }
    wr(&r, 0x3e, 0xffffffff);
    wr(&r, 0x3f, 0xffffffff);
    CHECK_EQ(rd(&r, 0x3e), 0x1afff); // delivery status and remote IRR are read-only
    CHECK_EQ(rd(&r, 0x3f), 0xff000000);
    bus_store(&r.b.bus, BASE, 1, 1); // a byte will do for the index
    CHECK_EQ(bus_load(&r.b.bus, BASE + 0x10, 4), 0x00170020);
    CHECK_EQ(bus_load(&r.b.bus, BASE, 1), 1);
    CHECK_EQ(rd(&r, 0x80), 0);
    bus_free(&r.b.bus);
}

static void edge(void)
{
    struct rig r;
    open_rig(&r);
    pin(&r, 4, 1);
    pin(&r, 4, 0);
    wr(&r, 0x19, 0x03000000);
    wr(&r, 0x18, 0x00844); // logical, fixed, edge
    CHECK_EQ(r.sent, 0);   // the edge while masked is lost
    pin(&r, 4, 1);
    CHECK_EQ(r.sent, 1);
    CHECK_EQ(r.last.vector, 0x44);
    CHECK_EQ(r.last.dest, 3);
    CHECK(r.last.logical && !r.last.level && r.last.mode == APIC_FIXED);
    CHECK_EQ(rd(&r, 0x18), 0x844);
    pin(&r, 4, 1);
    CHECK_EQ(r.sent, 1);
    pin(&r, 4, 0);
    pin(&r, 4, 1);
    CHECK_EQ(r.sent, 2);
    bus_free(&r.b.bus);
}

static void level(void)
{
    struct rig r;
    open_rig(&r);
    pin(&r, 16, 1);
    wr(&r, 0x30, 0x0a1a1 & ~0x10000); // level, active low: asserted already
    CHECK_EQ(r.sent, 1);
    CHECK(r.last.level);
    CHECK_EQ(rd(&r, 0x30), 0xe1a1);
    pin(&r, 16, 0);
    pin(&r, 16, 1);
    CHECK_EQ(r.sent, 1); // remote IRR holds it
    ioapic_eoi(r.io, 0x55);
    CHECK_EQ(r.sent, 1);
    ioapic_eoi(r.io, 0xa1);
    CHECK_EQ(r.sent, 2); // still asserted
    pin(&r, 16, 0);
    bus_store(&r.b.bus, BASE + 0x40, 0xa1, 4); // the EOI register
    CHECK_EQ(rd(&r, 0x30), 0xa1a1);
    CHECK_EQ(r.sent, 2);
    pin(&r, 16, 1);
    wr(&r, 0x30, 0x121a1); // masked edge clears remote IRR, as drivers of version 11h parts do
    wr(&r, 0x30, 0x1a1a1);
    CHECK_EQ(rd(&r, 0x30) & 0x4000, 0);
    bus_free(&r.b.bus);
}

static void nobody_there(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x30, 0x0a0a1);
    r.deaf = true;
    pin(&r, 16, 1);
    CHECK_EQ(rd(&r, 0x30), 0xa0a1); // no remote IRR
    r.deaf = false;
    wr(&r, 0x31, 0x01000000);
    CHECK_EQ(r.sent, 1);
    bus_free(&r.b.bus);
}

static void edge_only_modes(void)
{
    struct rig r;
    open_rig(&r);
    wr(&r, 0x10, 0x8700); // ExtINT, "level"
    pin(&r, 0, 1);
    CHECK_EQ(r.sent, 1);
    CHECK(r.last.mode == APIC_EXTINT && !r.last.level);
    CHECK_EQ(rd(&r, 0x10) & 0x4000, 0);
    wr(&r, 0x12, 0x400);
    pin(&r, 1, 1);
    CHECK_EQ(r.last.mode, APIC_NMI);
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    u64 seed = 5;
    for (int i = 0; i < 100000; i++) {
        u32 x = bench_random(&seed), v = bench_random(&seed);
        r.deaf = x & 0x100;
        switch (x % 5) {
        case 0: wr(&r, bench_random(&seed) % 0x50, v); break;
        case 1: rd(&r, (u8)v); break;
        case 2: pin(&r, v % 24, v >> 8 & 1); break;
        case 3: ioapic_eoi(r.io, (u8)v); break;
        default: bus_store(&r.b.bus, BASE + v % 0xff8, x, 1u << (x >> 9 & 3)), bench_pass(&r.b, 10);
        }
        if (i % 10000 == 0) bench_round_trip(&r.b, &q.b);
    }
    CHECK(r.sent > 0);
    bench_damage(&r.b, &q.b, 7);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(registers), TEST(edge), TEST(level), TEST(nobody_there), TEST(edge_only_modes), TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
