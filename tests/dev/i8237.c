// SPDX-License-Identifier: MIT
// 8237A pair: expected values from the 8237A data sheet and the PC's page registers.
#include "hw/chip/i8237.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct i8237 *dma;
    struct ram *ram;
    int woken;
};
static void open_rig(struct rig *r)
{
    struct err e = {""};
    memset(r, 0, sizeof *r);
    bench_init(&r->b);
    r->ram = ram_new(&r->b.bus, "ram", 1 << 20, &e);
    bus_map_ram(&r->b.bus, 0, 1 << 20, r->ram, 0, REGION_RW, 0, "ram");
    r->dma = i8237_new(&r->b.bus);
    out8(&r->b, 0xd6, 0xc0); // cascade
    out8(&r->b, 0xd4, 0x00);
}
static void program(struct rig *r, unsigned ch, u8 mode, u32 pa, u16 count)
{
    static const u8 page[4] = {0x87, 0x83, 0x81, 0x82};
    out8(&r->b, 0x0c, 0);
    out8(&r->b, 0x0b, mode | ch);
    out8(&r->b, ch * 2, (u8)pa), out8(&r->b, ch * 2, pa >> 8);
    out8(&r->b, page[ch], pa >> 16);
    out8(&r->b, ch * 2 + 1, (u8)count), out8(&r->b, ch * 2 + 1, count >> 8);
    out8(&r->b, 0x0a, ch);
}
static u16 reg16(struct rig *r, u16 port)
{
    out8(&r->b, 0x0c, 0);
    u8 lo = in8(&r->b, port);
    return lo | in8(&r->b, port) << 8;
}

static void write_to_memory(void)
{
    struct rig r;
    open_rig(&r);
    bool tc;
    u8 data[512];
    for (int i = 0; i < 512; i++) data[i] = (u8)(i * 7);
    program(&r, 2, 0x44, 0x12345, 511);
    CHECK_EQ(i8237_transfer(r.dma, 2, true, data, 100, &tc), 100);
    CHECK(!tc);
    CHECK_EQ(reg16(&r, 4), 0x2345 + 100);
    CHECK_EQ(reg16(&r, 5), 511 - 100);
    CHECK_EQ(in8(&r.b, 8), 0);
    CHECK_EQ(i8237_transfer(r.dma, 2, true, data + 100, 412, &tc), 412);
    CHECK(tc);
    CHECK(!memcmp(r.ram->host + 0x12345, data, 512));
    CHECK_EQ(reg16(&r, 5), 0xffff);
    CHECK_EQ(in8(&r.b, 8), 4); // reached; reading clears it
    CHECK_EQ(in8(&r.b, 8), 0);
    CHECK(!i8237_ready(r.dma, 2)); // masked again
    CHECK_EQ(i8237_transfer(r.dma, 2, true, data, 1, &tc), 0);
    bus_free(&r.b.bus);
}

static void read_verify_and_wrong_way(void)
{
    struct rig r;
    open_rig(&r);
    bool tc;
    u8 data[16];
    memcpy(r.ram->host + 0x500, "sixteen letters.", 16);
    program(&r, 2, 0x48, 0x500, 15);
    CHECK_EQ(i8237_transfer(r.dma, 2, false, data, 16, &tc), 16);
    CHECK(tc && !memcmp(data, "sixteen letters.", 16));
    program(&r, 2, 0x40, 0x500, 15); // verify: counts, moves nothing
    memset(data, 0x55, 16);
    CHECK_EQ(i8237_transfer(r.dma, 2, true, data, 16, &tc), 16);
    CHECK(tc && !memcmp(r.ram->host + 0x500, "sixteen letters.", 16));
    program(&r, 2, 0x48, 0x500, 15); // the device writes, the guest said read
    CHECK_EQ(i8237_transfer(r.dma, 2, true, data, 16, &tc), 16);
    CHECK(!memcmp(r.ram->host + 0x500, "sixteen letters.", 16));
    bus_free(&r.b.bus);
}

static void autoinit_down_and_wrap(void)
{
    struct rig r;
    open_rig(&r);
    bool tc;
    u8 data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    program(&r, 1, 0x54, 0x600, 3);
    CHECK_EQ(i8237_transfer(r.dma, 1, true, data, 8, &tc), 4);
    CHECK(tc && i8237_ready(r.dma, 1));
    CHECK_EQ(reg16(&r, 2), 0x600);
    CHECK_EQ(reg16(&r, 3), 3);
    program(&r, 1, 0x64, 0x707, 7); // decrement
    CHECK_EQ(i8237_transfer(r.dma, 1, true, data, 8, &tc), 8);
    for (int i = 0; i < 8; i++) CHECK_EQ(r.ram->host[0x707 - i], i + 1);
    program(&r, 1, 0x44, 0x3fffe, 3); // wraps in its 64 KB
    CHECK_EQ(i8237_transfer(r.dma, 1, true, data, 4, &tc), 4);
    CHECK_EQ(r.ram->host[0x3ffff], 2);
    CHECK_EQ(r.ram->host[0x30000], 3);
    CHECK_EQ(r.ram->host[0x40000], 0);
    program(&r, 1, 0x44, 0xff0000, 3); // no memory: the process lives
    CHECK_EQ(i8237_transfer(r.dma, 1, true, data, 4, &tc), 4);
    bus_free(&r.b.bus);
}

static void words(void)
{
    struct rig r;
    open_rig(&r);
    bool tc;
    u8 data[6] = {1, 2, 3, 4, 5, 6};
    out8(&r.b, 0xd8, 0);
    out8(&r.b, 0xd6, 0x45); // channel 5
    out8(&r.b, 0xc4, 0x00), out8(&r.b, 0xc4, 0x81);
    out8(&r.b, 0xc6, 0x02), out8(&r.b, 0xc6, 0x00);
    out8(&r.b, 0x8b, 0x03); // bit 0 does not count
    out8(&r.b, 0xd4, 0x01);
    CHECK_EQ(i8237_transfer(r.dma, 5, true, data, 6, &tc), 6);
    CHECK(tc && !memcmp(r.ram->host + 0x30200, data, 6));
    bus_free(&r.b.bus);
}

static void wake(void *owner) { ((struct rig *)owner)->woken++; }

static void masks_and_cascade(void)
{
    struct rig r;
    open_rig(&r);
    program(&r, 2, 0x44, 0x1000, 15);
    i8237_attach(r.dma, 2, wake, &r);
    out8(&r.b, 0x0a, 6); // mask channel 2
    i8237_request(r.dma, 2, 1);
    CHECK_EQ(r.woken, 0);
    CHECK_EQ(in8(&r.b, 8), 0x40); // the request shows in the status
    out8(&r.b, 0x0a, 2);
    CHECK_EQ(r.woken, 1);
    out8(&r.b, 0x08, 4); // controller disabled
    CHECK(!i8237_ready(r.dma, 2));
    out8(&r.b, 0x08, 0);
    CHECK_EQ(r.woken, 2);
    out8(&r.b, 0xd4, 4); // the cascade is masked
    CHECK(!i8237_ready(r.dma, 2));
    out8(&r.b, 0xdc, 0);
    CHECK(i8237_ready(r.dma, 2));
    out8(&r.b, 0x0d, 0);
    CHECK_EQ(in8(&r.b, 0x0f) & 15, 15); // master clear masks all
    out8(&r.b, 0x0f, 5);
    CHECK_EQ(in8(&r.b, 0x0f) & 15, 5);
    out8(&r.b, 0x09, 5); // software request: counts without a device
    CHECK_EQ(in8(&r.b, 8) & 15, 2);
    bus_free(&r.b.bus);
}

static void page_registers(void)
{
    struct rig r;
    open_rig(&r);
    for (int i = 0; i < 16; i++) out8(&r.b, 0x80 + i, 0x30 + i);
    for (int i = 0; i < 16; i++) CHECK_EQ(in8(&r.b, 0x80 + i), 0x30 + i);
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    u16 ports[64];
    for (int i = 0; i < 16; i++)
        ports[i] = i, ports[16 + i] = 0x80 + i, ports[32 + i] = 0xc0 + i, ports[48 + i] = 0xd0 + i;
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    u64 seed = 9;
    for (int i = 0; i < 1000; i++) {
        u8 data[300] = {0};
        bool tc;
        unsigned ch = bench_random(&seed) % 8;
        bench_fuzz(&r.b, ports, 64, 100, 100, i + 1);
        i8237_request(r.dma, ch, bench_random(&seed) & 1);
        size_t n = bench_random(&seed) % sizeof data;
        CHECK(i8237_transfer(r.dma, ch, bench_random(&seed) & 1, data, n, &tc) <= n);
        if (i % 100 == 0) bench_round_trip(&r.b, &q.b);
    }
    bench_damage(&r.b, &q.b, 4);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(write_to_memory), TEST(read_verify_and_wrong_way), TEST(autoinit_down_and_wrap),
        TEST(words),           TEST(masks_and_cascade),         TEST(page_registers),
        TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
