// SPDX-License-Identifier: MIT
// MC146818: expected values from the Motorola data sheet; dates from the calendar.
#include "hw/chip/mc146818.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct mc146818 *rtc;
};
#define MS 1000000ull
// 2023-12-31 23:59:58 UTC, a Sunday.
#define NEW_YEARS_EVE 1704067198ll

static void open_rig(struct rig *r, i64 start)
{
    bench_init(&r->b);
    r->rtc = mc146818_new(&r->b.bus, 0x70, start, bench_irq(&r->b, 8), bench_irq(&r->b, 1));
}
static u8 get(struct rig *r, u8 i)
{
    out8(&r->b, 0x70, i);
    return in8(&r->b, 0x71);
}
static void put(struct rig *r, u8 i, u8 v)
{
    out8(&r->b, 0x70, i);
    out8(&r->b, 0x71, v);
}
// ssmmhh, ddmmyy and so on are easiest to compare as one number.
static u64 when(struct rig *r)
{
    static const u8 regs[] = {0x32, 9, 8, 7, 4, 2, 0};
    u64 v = 0;
    for (size_t i = 0; i < sizeof regs; i++) v = v << 8 | get(r, regs[i]);
    return v;
}

static void calendar(void)
{
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    CHECK_EQ(when(&r), 0x20231231235958);
    CHECK_EQ(get(&r, 6), 1);
    bench_pass(&r.b, 1999 * MS);
    CHECK_EQ(when(&r), 0x20231231235959);
    bench_pass(&r.b, 1 * MS);
    CHECK_EQ(when(&r), 0x20240101000000);
    CHECK_EQ(get(&r, 6), 2);
    mc146818_set_time(r.rtc, 1709251199); // 2024-02-29 is a day
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20240301000000);
    mc146818_set_time(r.rtc, 4107542399); // 2100-02-28: no leap year
    CHECK_EQ(when(&r), 0x21000228235959);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(when(&r), 0x21000301000000);
    mc146818_set_time(r.rtc, -1); // before 1970
    CHECK_EQ(when(&r), 0x19691231235959);
    CHECK_EQ(get(&r, 6), 4);
    mc146818_set_time(r.rtc, 946684799);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20000101000000);
    bus_free(&r.b.bus);
}

static void formats(void)
{
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    CHECK_EQ(get(&r, 0x0b), 2);
    CHECK_EQ(get(&r, 0x0d), 0x80);
    put(&r, 0x0b, 0x80 | 4); // SET, binary, 12 hours
    put(&r, 4, 0x8b);        // 11 PM
    put(&r, 2, 59);
    put(&r, 0, 58);
    put(&r, 0x0b, 4);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(get(&r, 0), 59);
    CHECK_EQ(get(&r, 4), 0x8b);
    put(&r, 7, 30), put(&r, 8, 11);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(get(&r, 4), 12); // 12 AM
    CHECK_EQ(get(&r, 7), 1);
    CHECK_EQ(get(&r, 8), 12);
    put(&r, 0x0b, 0x80); // BCD, 12 hours: 12 AM -> 1 AM, 11 AM -> 12 PM, 12 PM -> 1 PM
    static const u8 hours[][2] = {{0x12, 0x01}, {0x11, 0x92}, {0x92, 0x81}, {0x09, 0x10}, {0x91, 0x12}};
    for (size_t i = 0; i < ARRAY_LEN(hours); i++) {
        put(&r, 0x0b, 0x80);
        put(&r, 4, hours[i][0]), put(&r, 2, 0x59), put(&r, 0, 0x59);
        put(&r, 0x0b, 0);
        bench_pass(&r.b, NS_PER_SEC);
        CHECK_EQ(get(&r, 4), hours[i][1]);
    }
    bus_free(&r.b.bus);
}

static void update_in_progress(void)
{
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    CHECK_EQ(get(&r, 0x0a), 0x26);
    bench_until(&r.b, NS_PER_SEC - 2228001);
    CHECK_EQ(get(&r, 0x0a), 0x26);
    bench_until(&r.b, NS_PER_SEC - 2228000);
    CHECK_EQ(get(&r, 0x0a), 0xa6);
    bench_until(&r.b, NS_PER_SEC - 1);
    CHECK_EQ(get(&r, 0x0a), 0xa6);
    CHECK_EQ(get(&r, 0), 0x58);
    bench_until(&r.b, NS_PER_SEC);
    CHECK_EQ(get(&r, 0x0a), 0x26);
    CHECK_EQ(get(&r, 0), 0x59);
    put(&r, 0x0b, 0x82); // SET stops updates, not the divider
    bench_until(&r.b, 2 * NS_PER_SEC - 1000);
    CHECK_EQ(get(&r, 0x0a), 0x26);
    bench_until(&r.b, 2300 * MS);
    CHECK_EQ(get(&r, 0), 0x59);
    put(&r, 0x0b, 0x02);
    bench_until(&r.b, 3 * NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20240101000000);
    bus_free(&r.b.bus);
}

static void divider(void)
{
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    put(&r, 0x0a, 0x70); // divider held in reset
    bench_pass(&r.b, 5 * NS_PER_SEC);
    CHECK_EQ(get(&r, 0), 0x58);
    put(&r, 0x0a, 0x20); // the first update is half a second after release
    bench_pass(&r.b, 499 * MS);
    CHECK_EQ(get(&r, 0), 0x58);
    bench_pass(&r.b, 1 * MS);
    CHECK_EQ(get(&r, 0), 0x59);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(get(&r, 0), 0);
    bus_free(&r.b.bus);
}

static void periodic(void)
{
    // RS and the number of edges in a second, after the data sheet's table for 32.768 kHz.
    static const u16 rates[][2] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {9, 128}, {14, 4}, {15, 2}};
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        put(&r, 0x0b, 0x42);
        put(&r, 0x0a, 0x20 | rates[i][0]);
        get(&r, 0x0c);
        u64 end = r.b.bus.clock.now + NS_PER_SEC;
        unsigned n = 0;
        while (clock_next(&r.b.bus.clock) <= end) {
            bench_until(&r.b, clock_next(&r.b.bus.clock));
            if (!r.b.level[8]) continue; // the second
            n += (get(&r, 0x0c) & 0xc0) == 0xc0;
            CHECK_EQ(r.b.level[8], 0);
        }
        bench_until(&r.b, end);
        CHECK_EQ(n, rates[i][1]);
    }
    put(&r, 0x0b, 0x02); // PF comes without PIE too
    put(&r, 0x0a, 0x26);
    get(&r, 0x0c);
    CHECK_EQ(get(&r, 0x0c) & 0x40, 0);
    bench_pass(&r.b, 1 * MS);
    CHECK_EQ(get(&r, 0x0c), 0x40);
    bench_pass(&r.b, 1 * MS);
    put(&r, 0x0b, 0x42); // enabling it while the flag is set interrupts at once
    CHECK_EQ(r.b.level[8], 1);
    put(&r, 0x0a, 0x20); // rate 0: none
    get(&r, 0x0c);
    bench_pass(&r.b, 100 * MS);
    CHECK_EQ(r.b.level[8], 0);
    bus_free(&r.b.bus);
}

static void alarm_and_update(void)
{
    struct rig r;
    open_rig(&r, NEW_YEARS_EVE);
    put(&r, 0x0a, 0x20);
    put(&r, 5, 0x00), put(&r, 3, 0x01), put(&r, 1, 0x00);
    put(&r, 0x0b, 0x22);
    bench_pass(&r.b, 61999 * MS);
    CHECK_EQ(r.b.level[8], 0);
    CHECK_EQ(get(&r, 0x0c), 0x10);
    bench_pass(&r.b, 1 * MS); // 00:01:00
    CHECK_EQ(r.b.level[8], 1);
    CHECK_EQ(get(&r, 0x0c), 0xb0);
    CHECK_EQ(get(&r, 0x0c), 0);
    put(&r, 5, 0xff), put(&r, 3, 0xc0), put(&r, 1, 0x30); // once a minute
    bench_pass(&r.b, 29 * NS_PER_SEC);
    CHECK_EQ(r.b.level[8], 0);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(r.b.level[8], 1);
    get(&r, 0x0c);
    put(&r, 0x0b, 0x12);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(get(&r, 0x0c), 0x90);
    put(&r, 0x0b, 0x92); // SET clears UIE
    CHECK_EQ(get(&r, 0x0b), 0x82);
    bus_free(&r.b.bus);
}

static void daylight_saving(void)
{
    struct rig r;
    open_rig(&r, 1714269599); // 2024-04-28 01:59:59, the last Sunday
    put(&r, 0x0b, 0x03);
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20240428030000);
    mc146818_set_time(r.rtc, 1729994399); // 2024-10-27 01:59:59
    bench_pass(&r.b, NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20241027010000);
    bench_pass(&r.b, 3600 * NS_PER_SEC);
    CHECK_EQ(when(&r), 0x20241027020000);
    bus_free(&r.b.bus);
}

static void cmos_and_nmi(void)
{
    struct rig r;
    open_rig(&r, 0);
    mc146818_set(r.rtc, 0x10, 0x44);
    mc146818_set(r.rtc, 0x0b, 0xff); // a clock register: refused
    CHECK_EQ(get(&r, 0x10), 0x44);
    CHECK_EQ(get(&r, 0x0b), 2);
    put(&r, 0x7f, 0x5a);
    CHECK_EQ(mc146818_get(r.rtc, 0x7f), 0x5a);
    out8(&r.b, 0x70, 0x90);
    CHECK_EQ(r.b.level[1], 1);
    CHECK_EQ(in8(&r.b, 0x71), 0x44);
    CHECK_EQ(in8(&r.b, 0x70), 0xff);
    out8(&r.b, 0x70, 0x10);
    CHECK_EQ(r.b.level[1], 0);
    put(&r, 0x0b, 0x72);
    parts_reset(&r.b.bus.parts);
    CHECK_EQ(get(&r, 0x0b), 2);
    CHECK_EQ(get(&r, 0x7f), 0x5a);
    bus_free(&r.b.bus);
}

static void save_and_fuzz(void)
{
    static const u16 ports[] = {0x70, 0x71, 0x71};
    struct rig r, q;
    open_rig(&r, NEW_YEARS_EVE);
    open_rig(&q, 0);
    for (int i = 0; i < 20; i++) {
        bench_fuzz(&r.b, ports, ARRAY_LEN(ports), 5000, 50000, i + 1);
        bench_round_trip(&r.b, &q.b);
    }
    put(&r, 0x0a, 0x26), put(&q, 0x0a, 0x26);
    bench_pass(&r.b, 5 * NS_PER_SEC), bench_pass(&q.b, 5 * NS_PER_SEC);
    CHECK_EQ(when(&r), when(&q));
    bench_damage(&r.b, &q.b, 3);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(calendar),         TEST(formats),         TEST(update_in_progress), TEST(divider),       TEST(periodic),
        TEST(alarm_and_update), TEST(daylight_saving), TEST(cmos_and_nmi),       TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
