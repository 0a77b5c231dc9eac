// SPDX-License-Identifier: MIT
// 8259A pair: expected values from the 8259A data sheet and the PIIX3's.
#include "hw/chip/i8259.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct i8259 *pic;
};
static void set(struct rig *r, unsigned n, int level)
{
    struct irq l = i8259_line(r->pic, n);
    irq_set(&l, level);
}
// PC initialization: vectors 08h and 70h.
static void pc_init(struct rig *r, u8 icw4_master, u8 icw4_slave)
{
    static const u8 icw[2][3] = {{0x11, 0x08, 0x04}, {0x11, 0x70, 0x02}};
    for (int i = 0; i < 2; i++) {
        u16 p = i ? 0xa0 : 0x20;
        out8(&r->b, p, icw[i][0]);
        out8(&r->b, p + 1, icw[i][1]);
        out8(&r->b, p + 1, icw[i][2]);
        out8(&r->b, p + 1, i ? icw4_slave : icw4_master);
    }
}
static void open_rig(struct rig *r)
{
    bench_init(&r->b);
    r->pic = i8259_new(&r->b.bus, bench_irq(&r->b, 0));
    pc_init(r, 1, 1);
}
static u8 isr(struct rig *r, u16 p)
{
    out8(&r->b, p, 0x0b);
    return in8(&r->b, p);
}
static u8 irr(struct rig *r, u16 p)
{
    out8(&r->b, p, 0x0a);
    return in8(&r->b, p);
}

static void fixed_priority(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(r.b.level[0], 0);
    set(&r, 5, 1);
    set(&r, 3, 1);
    CHECK_EQ(r.b.level[0], 1);
    CHECK_EQ(irr(&r, 0x20), 0x28);
    CHECK_EQ(i8259_ack(r.pic), 0x0b);
    CHECK_EQ(isr(&r, 0x20), 0x08);
    CHECK_EQ(irr(&r, 0x20), 0x20);
    CHECK_EQ(r.b.level[0], 0); // 5 is below the one in service
    set(&r, 1, 1);
    CHECK_EQ(r.b.level[0], 1); // 1 is above
    CHECK_EQ(i8259_ack(r.pic), 0x09);
    out8(&r.b, 0x20, 0x20);
    CHECK_EQ(isr(&r, 0x20), 0x08);
    out8(&r.b, 0x20, 0x63); // specific EOI of 3
    CHECK_EQ(isr(&r, 0x20), 0);
    CHECK_EQ(i8259_ack(r.pic), 0x0d);
    bus_free(&r.b.bus);
}

static void masks(void)
{
    struct rig r;
    open_rig(&r);
    out8(&r.b, 0x21, 0x10);
    CHECK_EQ(in8(&r.b, 0x21), 0x10);
    set(&r, 4, 1);
    CHECK_EQ(r.b.level[0], 0);
    CHECK_EQ(irr(&r, 0x20), 0x10); // a mask does not hide the request
    out8(&r.b, 0x21, 0);
    CHECK_EQ(r.b.level[0], 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0c);
    bus_free(&r.b.bus);
}

static void cascade(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 10, 1);
    CHECK_EQ(irr(&r, 0x20), 0x04);
    CHECK_EQ(i8259_ack(r.pic), 0x72);
    CHECK_EQ(isr(&r, 0x20), 0x04);
    CHECK_EQ(isr(&r, 0xa0), 0x04);
    set(&r, 8, 1); // above on the slave, but 2 is in service on the master
    CHECK_EQ(r.b.level[0], 0);
    out8(&r.b, 0xa0, 0x20);
    out8(&r.b, 0x20, 0x20);
    CHECK_EQ(i8259_ack(r.pic), 0x70);
    bus_free(&r.b.bus);
}

static void special_fully_nested(void)
{
    struct rig r;
    open_rig(&r);
    pc_init(&r, 0x11, 1);
    set(&r, 10, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x72);
    set(&r, 5, 1);
    CHECK_EQ(r.b.level[0], 0); // lower than the slave's level
    set(&r, 9, 1);
    CHECK_EQ(r.b.level[0], 1); // the slave may interrupt again
    CHECK_EQ(i8259_ack(r.pic), 0x71);
    bus_free(&r.b.bus);
}

static void spurious(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 3, 1);
    set(&r, 3, 0); // gone before INTA
    CHECK_EQ(r.b.level[0], 0);
    CHECK_EQ(i8259_ack(r.pic), 0x0f);
    CHECK_EQ(isr(&r, 0x20), 0); // no bit: how software knows
    bus_free(&r.b.bus);
}

static void spurious_slave(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 12, 1);
    out8(&r.b, 0x21, 0); // INT is seen; then the slave's request is masked: IR2 falls with it
    out8(&r.b, 0xa1, 0x10);
    CHECK_EQ(i8259_ack(r.pic), 0x0f);
    CHECK_EQ(isr(&r, 0x20), 0);
    out8(&r.b, 0xa1, 0);
    CHECK_EQ(i8259_ack(r.pic), 0x74);
    bus_free(&r.b.bus);
}

static void edges(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 4, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0c);
    out8(&r.b, 0x20, 0x20);
    CHECK_EQ(r.b.level[0], 0); // still high: no new edge
    set(&r, 4, 0);
    set(&r, 4, 1);
    CHECK_EQ(r.b.level[0], 1);
    out8(&r.b, 0x20, 0x11); // ICW1 resets the edge sense
    out8(&r.b, 0x21, 8), out8(&r.b, 0x21, 4), out8(&r.b, 0x21, 1);
    CHECK_EQ(r.b.level[0], 0);
    CHECK_EQ(in8(&r.b, 0x21), 0);
    bus_free(&r.b.bus);
}

static void levels(void)
{
    struct rig r;
    open_rig(&r);
    out8(&r.b, 0x4d0, 0xff);
    out8(&r.b, 0x4d1, 0xff);
    CHECK_EQ(in8(&r.b, 0x4d0), 0xf8);
    CHECK_EQ(in8(&r.b, 0x4d1), 0xde);
    set(&r, 11, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x73);
    out8(&r.b, 0xa0, 0x20);
    out8(&r.b, 0x20, 0x20);
    CHECK_EQ(r.b.level[0], 1); // still asserted: again
    set(&r, 11, 0);
    CHECK_EQ(r.b.level[0], 0);
    bus_free(&r.b.bus);
}

static void auto_eoi_and_rotation(void)
{
    struct rig r;
    open_rig(&r);
    pc_init(&r, 3, 1);
    out8(&r.b, 0x20, 0x80); // rotate in automatic EOI mode
    set(&r, 0, 1);
    set(&r, 1, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x08);
    CHECK_EQ(isr(&r, 0x20), 0);
    set(&r, 0, 0);
    set(&r, 0, 1); // now the lowest
    CHECK_EQ(i8259_ack(r.pic), 0x09);
    CHECK_EQ(i8259_ack(r.pic), 0x08);
    bus_free(&r.b.bus);
}

static void rotation(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 3, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0b);
    out8(&r.b, 0x20, 0xa0); // rotate on non-specific EOI: 3 becomes the lowest
    set(&r, 1, 1);
    set(&r, 4, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0c);
    out8(&r.b, 0x20, 0xe4); // rotate on specific EOI
    CHECK_EQ(isr(&r, 0x20), 0);
    out8(&r.b, 0x20, 0xc0); // set priority: 0 lowest, 1 highest
    set(&r, 7, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x09);
    bus_free(&r.b.bus);
}

static void special_mask(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 2 + 1, 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0b);
    set(&r, 6, 1);
    CHECK_EQ(r.b.level[0], 0);
    out8(&r.b, 0x21, 0x08);
    out8(&r.b, 0x20, 0x68); // special mask mode: a masked one in service does not block
    CHECK_EQ(r.b.level[0], 1);
    CHECK_EQ(i8259_ack(r.pic), 0x0e);
    out8(&r.b, 0x20, 0x20); // non-specific EOI leaves masked ones
    CHECK_EQ(isr(&r, 0x20), 0x08);
    out8(&r.b, 0x20, 0x48);
    bus_free(&r.b.bus);
}

static void poll(void)
{
    struct rig r;
    open_rig(&r);
    set(&r, 6, 1);
    out8(&r.b, 0x20, 0x0c);
    CHECK_EQ(in8(&r.b, 0x20), 0x86);
    CHECK_EQ(isr(&r, 0x20), 0x40);
    CHECK_EQ(r.b.level[0], 0);
    out8(&r.b, 0x20, 0x0c);
    CHECK_EQ(in8(&r.b, 0x21) & 0x80, 0); // nothing to report
    CHECK_EQ(in8(&r.b, 0x21), 0);        // and the mask again
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    u64 seed = 3;
    for (int i = 0; i < 1000; i++) {
        bench_fuzz(&r.b, ports, ARRAY_LEN(ports), 100, 50, i + 1);
        set(&r, bench_random(&seed) % 16, bench_random(&seed) & 1);
        int v = i8259_ack(r.pic);
        CHECK(v >= 0 && v < 256);
        CHECK_EQ(i8259_pending(r.pic), r.b.level[0]);
        if (i % 100 == 0) bench_round_trip(&r.b, &q.b);
    }
    bench_damage(&r.b, &q.b, 1);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(fixed_priority), TEST(masks), TEST(cascade),       TEST(special_fully_nested),  TEST(spurious),
        TEST(spurious_slave), TEST(edges), TEST(levels),        TEST(auto_eoi_and_rotation), TEST(rotation),
        TEST(special_mask),   TEST(poll),  TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
