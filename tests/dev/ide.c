// SPDX-License-Identifier: MIT
// IDE channels and ATA disks, driven as SeaBIOS and Linux do it. Expected values: ATA/ATAPI-6, Bus Master IDE 1.0.
#include "tests/dev/ide_driver.h"

enum { SIZE = 70000 * 512 };
static struct mdisk *disk;
static struct machine *one_disk(void)
{
    base = 0x1f0;
    disk = mdisk_new(SIZE, false);
    return make((struct ide_unit[4]){{IDE_DISK, &disk->d, "SER1", NULL}});
}
static bool sector_is(const u8 *p, u64 lba) { return ld64(p) == lba && ld64(p + 504) == ~lba; }

static void identify(void)
{
    struct machine *m = one_disk();
    u8 b[512], sum = 0;
    CHECK_EQ(in(m, 7), 0x50);
    out(m, 6, 0xa0);
    out(m, 7, 0xec);
    CHECK_EQ(alt(m) & 0x80, 0x80); // BSY first, the interrupt later
    CHECK_EQ(m->level[14], 0);
    CHECK_EQ(ready(m), 0x58);
    CHECK_EQ(m->level[14], 1);
    CHECK_EQ(alt(m), 0x58); // the alternate status leaves the interrupt
    CHECK_EQ(m->level[14], 1);
    CHECK_EQ(in(m, 7), 0x58);
    CHECK_EQ(m->level[14], 0);
    pio_in(m, b, 512);
    CHECK_EQ(in(m, 7), 0x50);
    for (int i = 0; i < 512; i++) sum += b[i];
    CHECK_EQ(sum, 0);
    CHECK_EQ(b[510], 0xa5);
    CHECK_EQ(ld16(b), 0x40);
    CHECK_EQ(ld16(b + 2), 70000 / 1008);
    CHECK_EQ(ld16(b + 6), 16);
    CHECK_EQ(ld16(b + 12), 63);
    CHECK(!memcmp(b + 20, "ES1R    ", 8)); // bytes of a word swapped
    CHECK(!memcmp(b + 54, "ODPPLEH RADDSI K", 16));
    CHECK_EQ(ld16(b + 94), 0x8010);
    CHECK_EQ(ld16(b + 98) & 0x300, 0x300);
    CHECK_EQ(ld32(b + 120), 70000);
    CHECK_EQ(ld64(b + 200), 70000);
    CHECK_EQ(ld16(b + 166) & 0xc400, 0x4400);
    CHECK_EQ(ld16(b + 176), 0x203f); // Ultra DMA 5 selected
    u16 c;
    u8 h, s;
    CHECK(ide_geometry(m->ide, 0, &c, &h, &s) && c == 69 && h == 16 && s == 63);
    CHECK(!ide_geometry(m->ide, 1, &c, &h, &s));
    done(m);
}
static void absent(void)
{
    struct machine *m = one_disk();
    out(m, 6, 0xb0); // slave
    CHECK_EQ(in(m, 7), 0);
    out(m, 7, 0xec);
    run(m, 1000000);
    CHECK_EQ(in(m, 7), 0);
    CHECK_EQ(m->edges[14], 0);
    out(m, 6, 0xa0);
    CHECK_EQ(in(m, 7), 0x50);
    base = 0x170; // no drive at all: Linux' ata_devchk must not see its pattern
    out(m, 6, 0xa0), out(m, 2, 0x55), out(m, 3, 0xaa), out(m, 2, 0xaa), out(m, 3, 0x55);
    CHECK(in(m, 2) != 0xaa || in(m, 3) != 0x55);
    CHECK_EQ(in(m, 7) & 0x88, 0);
    out(m, 7, 0x90), ctl(m, 4), run(m, 100), ctl(m, 0), run(m, 1000000);
    CHECK_EQ(in(m, 7) & 0x88, 0);
    CHECK_EQ(m->edges[15], 0);
    done(m);
}
static void resets(void)
{
    struct machine *m = one_disk();
    out(m, 6, 0xb0);
    ctl(m, 0x0c);
    CHECK_EQ(alt(m), 0); // absent slave selected
    ctl(m, 0x08);
    run(m, 100000); // device 0 is selected at the end
    CHECK_EQ(alt(m), 0x50);
    CHECK_EQ(in(m, 1), 1);
    CHECK_EQ(in(m, 2), 1);
    CHECK_EQ(in(m, 3), 1);
    CHECK_EQ(in(m, 4), 0);
    CHECK_EQ(in(m, 5), 0);
    CHECK_EQ(in(m, 6), 0xa0);
    CHECK_EQ(m->edges[14], 0);
    ctl(m, 4);
    CHECK_EQ(alt(m) & 0x80, 0x80);
    out(m, 2, 0x77); // not while busy
    ctl(m, 0);
    ready(m);
    CHECK_EQ(in(m, 2), 1);
    out(m, 6, 0xb0); // diagnostics run in all devices, whoever is selected
    out(m, 7, 0x90);
    run(m, 100000);
    CHECK_EQ(m->edges[14], 1);
    CHECK_EQ(in(m, 7), 0x50);
    CHECK_EQ(in(m, 1), 1);
    CHECK_EQ(in(m, 6), 0xa0);
    out(m, 7, 0x08); // DEVICE RESET is a packet device's
    ready(m);
    CHECK_EQ(in(m, 7), 0x51);
    CHECK_EQ(in(m, 1), 4);
    out(m, 7, 0x00); // NOP
    ready(m);
    CHECK_EQ(in(m, 7), 0x51);
    done(m);
}
static void pio_read(void)
{
    struct machine *m = one_disk();
    u8 b[512 * 16];
    select_lba(m, 0, 1000, 3);
    out(m, 7, 0x20);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(ready(m), 0x58);
        CHECK_EQ(m->edges[14], i + 1);
        CHECK_EQ(in(m, 7), 0x58);
        for (int k = 0; k < 512; k += 4) st32(b + k, bus_in(&m->bus, base, 4));
        CHECK(sector_is(b, 1000 + i));
        if (i < 2) CHECK_EQ(alt(m) & 0x88, 0x80); // busy until the next block
    }
    CHECK_EQ(ready(m), 0x50);
    run(m, 100000);
    CHECK_EQ(m->edges[14], 3);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8, 1002); // the last sector
    CHECK_EQ(in(m, 2), 0);
    CHECK_EQ(bus_in(&m->bus, base, 2), 0); // no DRQ
    // CHS 1/2/3 with 16 heads, 63 sectors
    out(m, 6, 0xa2), out(m, 2, 1), out(m, 3, 3), out(m, 4, 1), out(m, 5, 0), out(m, 7, 0x20);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, b, 512);
    CHECK(sector_is(b, (1 * 16 + 2) * 63 + 2));
    // … with 8 heads, 17 sectors
    out(m, 6, 0xa7), out(m, 2, 17), out(m, 7, 0x91);
    CHECK_EQ(ready(m), 0x50);
    out(m, 6, 0xa2), out(m, 2, 1), out(m, 3, 3), out(m, 4, 1), out(m, 5, 0), out(m, 7, 0x20);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, b, 512);
    CHECK(sector_is(b, (1 * 8 + 2) * 17 + 2));
    out(m, 2, 1), out(m, 3, 0), out(m, 7, 0x20); // sector 0 does not exist
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 0x10);
    // READ MULTIPLE: blocks of 8, the last one partial
    out(m, 2, 8), out(m, 7, 0xc6);
    CHECK_EQ(ready(m), 0x50);
    m->edges[14] = 0, in(m, 7);
    select_lba(m, 0, 2000, 10);
    out(m, 7, 0xc4);
    CHECK_EQ(ready(m), 0x58);
    in(m, 7);
    pio_in(m, b, 8 * 512);
    CHECK(sector_is(b + 7 * 512, 2007));
    CHECK_EQ(ready(m), 0x58);
    CHECK_EQ(m->edges[14], 2);
    pio_in(m, b, 2 * 512);
    CHECK(sector_is(b + 512, 2009));
    CHECK_EQ(ready(m), 0x50);
    out(m, 2, 3), out(m, 7, 0xc6); // no power of two
    CHECK_EQ(ready(m), 0x51);
    out(m, 2, 0), out(m, 7, 0xc6); // disabled
    CHECK_EQ(ready(m), 0x50);
    out(m, 7, 0xc4);
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 4);
    // 256 sectors by count 0
    select_lba(m, 0, 0, 0);
    out(m, 7, 0x20);
    for (int i = 0; i < 256; i++) {
        CHECK_EQ(ready(m), 0x58);
        pio_in(m, b, 512);
    }
    CHECK(sector_is(b, 255));
    CHECK_EQ(ready(m), 0x50);
    // 48 bits, and reading back through HOB
    select_ext(m, 0, 69999, 1);
    out(m, 7, 0x24);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, b, 512);
    CHECK(sector_is(b, 69999));
    select_ext(m, 0, 0x123456789a, 0x1234);
    CHECK_EQ(in(m, 2), 0x34);
    ctl(m, 0x80);
    CHECK_EQ(in(m, 2), 0x12);
    CHECK_EQ(in(m, 3), 0x34);
    CHECK_EQ(in(m, 4), 0x12);
    out(m, 1, 0);
    CHECK_EQ(in(m, 3), 0x9a);
    done(m);
}
static void pio_write(void)
{
    struct machine *m = one_disk();
    u8 b[1024];
    for (int i = 0; i < 1024; i++) b[i] = i * 3;
    select_lba(m, 0, 500, 2);
    out(m, 7, 0x30);
    CHECK_EQ(ready(m), 0x58);
    CHECK_EQ(m->edges[14], 0); // the first block comes without
    pio_out(m, b, 512);
    CHECK_EQ(ready(m), 0x58);
    CHECK_EQ(m->edges[14], 1);
    in(m, 7);
    pio_out(m, b + 512, 512);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(m->edges[14], 2);
    CHECK(!memcmp(disk->data + 500 * 512, b, 1024));
    CHECK(sector_is(disk->data + 502 * 512, 502));
    CHECK_EQ(disk->flushes, 0);
    out(m, 7, 0xe7);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(disk->flushes, 1);
    out(m, 1, 0x82), out(m, 7, 0xef); // write cache off: flushed at once and after each command
    CHECK_EQ(ready(m), 0x50);
    select_ext(m, 0, 600, 2);
    out(m, 7, 0x39);
    CHECK_EQ(ready(m), 0x58);
    pio_out(m, b, 1024);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(disk->flushes, 3);
    CHECK(!memcmp(disk->data + 600 * 512, b, 1024));
    // nIEN: no interrupt; it shows when enabled again
    in(m, 7);
    m->edges[14] = 0;
    ctl(m, 2);
    select_lba(m, 0, 0, 1);
    out(m, 7, 0x40);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(m->edges[14], 0);
    ctl(m, 0);
    CHECK_EQ(m->edges[14], 1);
    done(m);
}
static void errors(void)
{
    struct machine *m = one_disk();
    u8 b[1024] = {0};
    select_lba(m, 0, 69999, 2);
    out(m, 7, 0x20);
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 0x10);
    CHECK_EQ(m->edges[14], 1);
    select_ext(m, 0, 0xffffffffffff, 0);
    out(m, 7, 0x25);
    CHECK_EQ(ready(m), 0x51);
    out(m, 7, 0x42);
    CHECK_EQ(ready(m), 0x51);
    out(m, 7, 0xfe); // unknown
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 4);
    disk->bad = 1001, disk->fail = EIO; // UNC, with the address of the bad sector
    select_lba(m, 0, 1000, 2);
    out(m, 7, 0xc4);
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 0x40);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8, 1001);
    CHECK_EQ(in(m, 6), 0xe0);
    disk->fail = ENOSPC; // a full host: device fault, the first sector is there
    memset(b, 0xee, sizeof b);
    select_lba(m, 0, 1000, 2);
    out(m, 7, 0xc5);
    CHECK_EQ(ready(m), 0x58);
    pio_out(m, b, 1024);
    CHECK_EQ(ready(m), 0x71);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8, 1001);
    CHECK_EQ(disk->data[1000 * 512], 0xee);
    CHECK(sector_is(disk->data + 1001 * 512, 1001));
    disk->fail = 0;
    disk->d.readonly = true;
    out(m, 7, 0x30);
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(in(m, 1), 4);
    done(m);
}
static void settings(void)
{
    struct machine *m = one_disk();
    u8 b[512];
    static const struct {
        u8 feature, nsect, status;
    } sf[] = {{3, 0x45, 0x50}, {3, 0x22, 0x50}, {3, 0x46, 0x51}, {3, 0x23, 0x51}, {3, 0x0c, 0x50}, {3, 0x0d, 0x51},
              {2, 0, 0x50},    {0xaa, 0, 0x50}, {0x55, 0, 0x50}, {0x66, 0, 0x50}, {0x77, 0, 0x51}};
    for (size_t i = 0; i < ARRAY_LEN(sf); i++) {
        out(m, 6, 0xa0), out(m, 1, sf[i].feature), out(m, 2, sf[i].nsect), out(m, 7, 0xef);
        CHECK_EQ(ready(m), sf[i].status);
    }
    out(m, 7, 0xec), ready(m), pio_in(m, b, 512);
    CHECK_EQ(ld16(b + 126), 0x0407); // multi-word DMA 2 was the last good one
    CHECK_EQ(ld16(b + 176), 0x003f);
    CHECK_EQ(ld16(b + 170) & 0x60, 0x20); // look-ahead off, write cache on
    out(m, 6, 0xe0), out(m, 7, 0xf8);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8 | in(m, 5) << 16, 69999);
    out(m, 7, 0x27);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8 | in(m, 5) << 16, 69999);
    out(m, 7, 0xe5), ready(m);
    CHECK_EQ(in(m, 2), 0xff);
    out(m, 7, 0xe0), ready(m), out(m, 7, 0xe5), ready(m);
    CHECK_EQ(in(m, 2), 0);
    // SMART
    out(m, 1, 0xda), out(m, 4, 0x4f), out(m, 5, 0xc2), out(m, 7, 0xb0);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(in(m, 4), 0x4f);
    out(m, 1, 0xd0), out(m, 7, 0xb0);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, b, 512);
    u8 sum = 0;
    for (int i = 0; i < 512; i++) sum += b[i];
    CHECK_EQ(sum, 0);
    out(m, 4, 0), out(m, 7, 0xb0);
    CHECK_EQ(ready(m), 0x51);
    // Buffer
    for (int i = 0; i < 512; i++) b[i] = i ^ 0x5a;
    out(m, 7, 0xe8), ready(m), pio_out(m, b, 512);
    CHECK_EQ(ready(m), 0x50);
    u8 c[512];
    out(m, 7, 0xe4);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, c, 512);
    CHECK(!memcmp(b, c, 512));
    // Asleep: only a reset wakes it
    out(m, 7, 0xe6);
    CHECK_EQ(ready(m), 0x50);
    out(m, 7, 0xec);
    run(m, 100000);
    CHECK_EQ(alt(m), 0x50);
    ctl(m, 4), run(m, 5000), ctl(m, 0), ready(m);
    out(m, 7, 0xec);
    CHECK_EQ(ready(m), 0x58);
    done(m);
}

static void dma(void)
{
    struct machine *m = one_disk();
    prd(m, 0x10000, 512 * 200, 0x8000);
    select_lba(m, 0, 3000, 200);
    out(m, 7, 0xc8);
    CHECK(ready(m) & 0x80); // waits for the bus master
    CHECK_EQ(m->edges[14], 0);
    bm(m, 9);
    CHECK_EQ(bm_status(m), 1);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(m->edges[14], 1);
    CHECK_EQ(bm_status(m), 4);
    for (int i = 0; i < 200; i++) CHECK(sector_is(m->ram->host + 0x10000 + i * 512, 3000 + i));
    CHECK_EQ(m->ram->host[0x10000 + 200 * 512], 0);
    bm(m, 8), bm_clear(m), in(m, 7);
    CHECK_EQ(bm_status(m), 0);
    // Master started before the command; odd pieces; write
    prd(m, 0x10002, 1024, 0x66);
    bm(m, 1);
    select_ext(m, 0, 60000, 2);
    out(m, 7, 0x35);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(bm_status(m), 4);
    CHECK(!memcmp(disk->data + 60000 * 512, m->ram->host + 0x10002, 1024));
    bm(m, 0), bm_clear(m), in(m, 7);
    // Large: several slices
    prd(m, 0x100000, 0x200000, 0x10000);
    select_ext(m, 0, 100, 4096);
    out(m, 7, 0x25), bm(m, 9);
    CHECK_EQ(ready(m), 0x50);
    CHECK(sector_is(m->ram->host + 0x100000 + 4095 * 512, 4195));
    CHECK_EQ(m->edges[14], 3);
    bm(m, 0), bm_clear(m), in(m, 7);
    // Descriptors longer than the transfer: still active, with the interrupt
    prd(m, 0x10000, 4096, 0x10000);
    select_lba(m, 0, 7, 1), out(m, 7, 0xc8), bm(m, 9);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(bm_status(m), 5);
    bm(m, 0);
    CHECK_EQ(bm_status(m), 4);
    bm_clear(m), in(m, 7);
    // Too short: neither active nor interrupt; a reset helps
    m->edges[14] = 0;
    prd(m, 0x10000, 512, 0x10000);
    select_lba(m, 0, 7, 4), out(m, 7, 0xc8), bm(m, 9);
    run(m, 1000000);
    CHECK_EQ(bm_status(m), 0);
    CHECK_EQ(alt(m) & 0x21, 0);
    CHECK_EQ(m->edges[14], 0);
    bm(m, 0), ctl(m, 4), run(m, 5000), ctl(m, 0);
    CHECK_EQ(ready(m), 0x50);
    // Data to nowhere, table nowhere: error bit, no interrupt
    prd(m, 0xe0000000, 512, 512);
    select_lba(m, 0, 7, 1), out(m, 7, 0xc8), bm(m, 9);
    run(m, 1000000);
    CHECK_EQ(bm_status(m), 2);
    bm(m, 0), bm_clear(m), ctl(m, 4), run(m, 5000), ctl(m, 0), ready(m);
    bus_out(&m->bus, BM + 4, 0xf0000000, 4);
    select_lba(m, 0, 7, 1), out(m, 7, 0xc8), bm(m, 9);
    run(m, 1000000);
    CHECK_EQ(bm_status(m), 2);
    CHECK_EQ(m->edges[14], 0);
    bm(m, 0), bm_clear(m), ctl(m, 4), run(m, 5000), ctl(m, 0), ready(m);
    // Disk error in the middle
    disk->bad = 1200, disk->fail = EIO;
    prd(m, 0x10000, 512 * 255, 0x8000);
    select_lba(m, 0, 1000, 255), out(m, 7, 0xc8), bm(m, 9);
    CHECK_EQ(ready(m), 0x51);
    CHECK_EQ(bm_status(m) & 4, 4);
    CHECK_EQ(in(m, 1), 0x40);
    CHECK_EQ(in(m, 3) | in(m, 4) << 8, 1200);
    disk->fail = 0;
    bm(m, 0), bm_clear(m);
    // TRIM
    memset(m->ram->host + 0x10000, 0, 512);
    st64(m->ram->host + 0x10000, 5000 | (u64)3 << 48);
    prd(m, 0x10000, 512, 512);
    select_ext(m, 0, 0, 1), out(m, 1, 1), out(m, 7, 0x06), bm(m, 1);
    CHECK_EQ(ready(m), 0x50);
    CHECK_EQ(disk->data[5002 * 512], 0);
    CHECK(sector_is(disk->data + 5003 * 512, 5003));
    bm(m, 0);
    // Not a bus master: nothing moves
    bus_out(&m->bus, 0xcf8, 0x80000904, 4), bus_out(&m->bus, 0xcfc, 1, 2);
    prd(m, 0x10000, 512, 512);
    select_lba(m, 0, 7, 1), out(m, 7, 0xc8), bm(m, 9);
    run(m, 1000000);
    CHECK_EQ(bm_status(m) & 3, 2);
    done(m);
}

static void two_drives(void)
{
    struct mdisk *a = mdisk_new(1 << 20, false), *b = mdisk_new(2 << 20, false);
    struct machine *m = make((struct ide_unit[4]){{0}, {0}, {IDE_DISK, &a->d}, {IDE_DISK, &b->d}});
    u8 id[512];
    base = 0x170;
    for (int s = 0; s < 2; s++) {
        out(m, 6, 0xa0 | s << 4), out(m, 7, 0xec);
        CHECK_EQ(ready(m), 0x58);
        CHECK_EQ(m->level[15], 1);
        out(m, 6, 0xa0 | !s << 4); // the other one does not ask
        CHECK_EQ(m->level[15], 0);
        out(m, 6, 0xa0 | s << 4);
        in(m, 7);
        pio_in(m, id, 512);
        CHECK_EQ(ld32(id + 120), 2048u << s);
    }
    prd(m, 0x10000, 512, 512);
    select_lba(m, 1, 4000, 1), out(m, 7, 0xc8), bm(m, 9);
    CHECK_EQ(ready(m), 0x50);
    CHECK(sector_is(m->ram->host + 0x10000, 4000));
    CHECK_EQ(m->edges[14], 0);
    done(m);
}

static void state_in_transfers(void)
{
    struct machine *m = one_disk();
    struct machine *n = one_disk(); // `disk` is n's now
    u8 b[512];
    CHECK(same_state(m, n));
    // In the middle of a PIO sector, of a pause between blocks
    select_lba(m, 0, 1000, 2);
    out(m, 7, 0x20), ready(m), in(m, 7), pio_in(m, b, 100);
    CHECK(same_state(m, n));
    pio_in(n, b, 412);
    CHECK_EQ(ld64(b + 404), ~(u64)1000);
    CHECK(ready(n) == 0x58);
    pio_in(n, b, 512);
    CHECK(sector_is(b, 1001));
    pio_in(m, b, 412);
    CHECK(same_state(m, n));
    CHECK_EQ(n->edges[14], 1);
    n->level[14] = 0; // as loaded
    CHECK_EQ(ready(n), 0x58);
    CHECK_EQ(n->edges[14], 2);
    ready(m), pio_in(m, b, 512), in(m, 7);
    // Before the command, in the middle of DMA
    prd(n, 0x100000, 0x200000, 0x10000);
    prd(m, 0x100000, 0x200000, 0x10000);
    select_ext(m, 0, 0, 4096);
    out(m, 7, 0x25), bm(m, 9);
    CHECK(same_state(m, n));
    run(m, 15000);
    CHECK_EQ(alt(m) & 0x80, 0x80);
    CHECK(ld64(m->ram->host + 0x100000 + 512) == 1);
    CHECK(same_state(m, n));
    CHECK_EQ(ready(n), 0x50);
    CHECK_EQ(bm_status(n), 4);
    CHECK(sector_is(n->ram->host + 0x100000 + 4095 * 512, 4095));
    done(m), done(n);
}

static void fuzz(void)
{
    struct mdisk *a = mdisk_new(1 << 20, false), *c = mdisk_new(1 << 20, true);
    struct machine *m = make((struct ide_unit[4]){{IDE_DISK, &a->d}, {IDE_CD, &c->d}, {IDE_CD, NULL}, {0}});
    u64 x = 88172645463325252;
    for (int i = 0; i < 0x2000; i++) m->ram->host[i] = i * 37;
    static const u8 cmds[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x35, 0x39, 0xa0, 0xa0, 0xa0, 0xa1, 0xec,
                              0xc4, 0xc5, 0xc8, 0xca, 0xc6, 0xef, 0xb0, 0x06, 0x91, 0xe8, 0x90, 0x08};
    static const u8 packets[] = {0x00, 0x03, 0x12, 0x28, 0x28, 0xa8, 0xbe, 0xb9,
                                 0x43, 0x42, 0x46, 0x4a, 0x51, 0x5a, 0x1b, 0xad};
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        u32 v = x >> 20;
        base = x >> 60 & 7 ? 0x1f0 : 0x170;
        switch (x & 15) {
        case 0: out(m, 7, v & 0x300 ? cmds[(v >> 10) % sizeof cmds] : v); break;
        case 1: out(m, 6, v); break;
        case 2:
        case 3: out(m, 1 + v % 5, v & 0x100 ? v >> 12 & 3 : v >> 12); break;
        case 4: ctl(m, v & 0x7f00 ? v & 0x82 : v); break;
        case 5: run(m, v & 0x3fff); break;
        case 6: (void)bus_in(&m->bus, base + (v & 7), 1 << (v >> 8) % 3); break;
        case 7: bus_out(&m->bus, BM + (v >> 8 & 15), v & 8 ? 9 : v >> 16, 1 << (v & 3) % 3); break;
        case 8: {
            u8 p[12] = {packets[v % sizeof packets], x >> 30, 0, 0, x >> 40, x >> 41, x >> 42, 0, x >> 43 & 3, x >> 50};
            pio_out(m, p, 12);
            break;
        }
        case 9:
        case 10:
        case 11: pio_in(m, NULL, v & 2047); break;
        case 12: {
            u8 z[64] = {0};
            for (int k = 0; k < 16; k++) pio_out(m, z, 64);
            break;
        }
        case 13:
            if (!(v & 0x3ff))
                parts_reset(&m->bus.parts);
            else
                bm(m, v & 9), prd(m, v >> 3 & 0x3fffff, 1 + (v & 0xffff), 0x1000 + (x >> 44 & 0xfff0));
            break;
        default: (void)ready(m);
        }
        if (i % 5000 == 0) { // firmware again, in case of a reset
            bus_out(&m->bus, 0xcf8, 0x80000920, 4), bus_out(&m->bus, 0xcfc, BM, 4);
            bus_out(&m->bus, 0xcf8, 0x80000904, 4), bus_out(&m->bus, 0xcfc, 5, 2);
            bus_out(&m->bus, 0xcf8, 0x80000940, 4), bus_out(&m->bus, 0xcfc, 0x80008000, 4);
        }
    }
    struct mdisk *a2 = mdisk_new(1 << 20, false), *c2 = mdisk_new(1 << 20, true);
    struct machine *n = make((struct ide_unit[4]){{IDE_DISK, &a2->d}, {IDE_CD, &c2->d}, {IDE_CD, NULL}, {0}});
    CHECK(same_state(m, n));
    struct buf t = {0};
    parts_find(&m->bus.parts, "ide")->ops->info(parts_find(&m->bus.parts, "ide")->self, &t);
    CHECK(strstr(buf_text(&t), "ide0-hd0: memory"));
    CHECK(strstr(buf_text(&t), "ide1-cd0: [not inserted]"));
    buf_free(&t);
    done(m), done(n);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(identify), TEST(absent), TEST(resets),     TEST(pio_read),           TEST(pio_write), TEST(errors),
        TEST(settings), TEST(dma),    TEST(two_drives), TEST(state_in_transfers), TEST(fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
