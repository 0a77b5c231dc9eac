// SPDX-License-Identifier: MIT
// The packet CD-ROM, driven as SeaBIOS and Linux do it. Expected values: INF-8020i, MMC-5, SPC-3.
#include "tests/dev/ide_driver.h"

enum { SECTORS = 1000 };
static struct mdisk *disk;
static struct machine *one_cd(bool medium)
{
    base = 0x170;
    disk = medium ? mdisk_new(SECTORS * 2048, true) : NULL;
    return make((struct ide_unit[4]){{0}, {0}, {IDE_CD, medium ? &disk->d : NULL}, {0}});
}
// Sends a packet with this byte count limit; returns the status when it is no longer busy.
static u8 send(struct machine *m, const u8 *p, u16 limit, u8 feature)
{
    out(m, 6, 0xa0), out(m, 1, feature), out(m, 4, limit), out(m, 5, limit >> 8), out(m, 7, 0xa0);
    CHECK_EQ(ready(m), 0x48);
    CHECK_EQ(in(m, 2), 1); // CoD
    in(m, 7);
    m->edges[15] = 0;
    pio_out(m, p, 12);
    return ready(m);
}
// A whole packet command by PIO. Returns the bytes that came, ~0 on CHECK CONDITION.
static u32 cmd(struct machine *m, const u8 *p, u8 *to, u16 limit)
{
    u32 got = 0;
    u8 st = send(m, p, limit, 0);
    for (int i = 0; st & 8; i++) {
        u32 n = in(m, 4) | in(m, 5) << 8;
        CHECK_EQ(in(m, 2), 2); // to the host
        CHECK_EQ(m->level[15], 1);
        CHECK(n && n <= limit);
        in(m, 7);
        CHECK_EQ(m->level[15], 0);
        pio_in(m, to + got, n);
        got += n;
        st = ready(m);
    }
    CHECK_EQ(in(m, 2), 3);
    CHECK_EQ(m->level[15], 1); // an interrupt of its own
    in(m, 7);
    return st & 1 ? ~0u : got;
}
#define CMD(m, to, ...) cmd(m, (const u8[12]){__VA_ARGS__}, to, 0xfffe)
static u32 sense(struct machine *m) // key, asc, ascq
{
    u8 b[18] = {0};
    CHECK_EQ(CMD(m, b, 0x03, 0, 0, 0, 18), 18);
    CHECK_EQ(b[0], 0x70);
    return b[2] << 16 | b[12] << 8 | b[13];
}
static void attention(struct machine *m) // takes the power-on attention away
{
    CHECK_EQ(CMD(m, NULL, 0), ~0u);
    CHECK_EQ(in(m, 1) >> 4, 6);
    CHECK_EQ(sense(m), 0x062900);
}

static void identify(void)
{
    struct machine *m = one_cd(true);
    u8 b[512];
    CHECK_EQ(in(m, 7), 0); // a packet device is not ready for disk commands
    CHECK_EQ(in(m, 4), 0x14);
    CHECK_EQ(in(m, 5), 0xeb);
    out(m, 6, 0xa0), out(m, 4, 0), out(m, 5, 0), out(m, 7, 0xec);
    CHECK_EQ(ready(m) & 0x89, 1);
    CHECK_EQ(in(m, 1), 4);
    CHECK_EQ(in(m, 4), 0x14);
    CHECK_EQ(in(m, 5), 0xeb);
    out(m, 7, 0xa1);
    CHECK_EQ(ready(m) & 0x89, 8);
    pio_in(m, b, 512);
    CHECK_EQ(ld16(b), 0x8580);
    CHECK_EQ(ready(m) & 0x89, 0);
    out(m, 7, 0xc8); // a disk's
    CHECK_EQ(ready(m) & 0x89, 1);
    out(m, 1, 3), out(m, 2, 0x42), out(m, 7, 0xef);
    CHECK_EQ(ready(m) & 0x89, 0);
    out(m, 4, 0), out(m, 7, 0x08); // DEVICE RESET
    CHECK_EQ(in(m, 4), 0x14);
    CHECK_EQ(in(m, 7), 0);
    ctl(m, 4), run(m, 5000), ctl(m, 0), ready(m);
    CHECK_EQ(in(m, 5), 0xeb);
    attention(m);
    CHECK_EQ(CMD(m, b, 0x12, 0, 0, 0, 96), 36);
    CHECK_EQ(b[0], 5);
    CHECK_EQ(b[1], 0x80);
    CHECK_EQ(CMD(m, b, 0x12, 0, 0, 0, 5), 5); // allocation length
    CHECK_EQ(CMD(m, b, 0x12, 1, 0x83, 0, 96), ~0u);
    CHECK_EQ(sense(m), 0x052400);
    CHECK_EQ(CMD(m, b, 0xfe), ~0u);
    CHECK_EQ(in(m, 1), 0x54);
    CHECK_EQ(sense(m), 0x052000);
    CHECK_EQ(sense(m), 0);
    done(m);
}
static bool sector_is(const u8 *p, u32 lba) { return ld64(p) == lba * 4ull && ld64(p + 2040) == ~(lba * 4ull + 3); }

static void reading(void)
{
    struct machine *m = one_cd(true);
    static u8 b[70 * 2352];
    attention(m);
    CHECK_EQ(CMD(m, b, 0x25), 8);
    CHECK_EQ(ldbe32(b), SECTORS - 1);
    CHECK_EQ(ldbe32(b + 4), 2048);
    CHECK_EQ(CMD(m, b, 0x28, 0, 0, 0, 0, 17, 0, 0, 3), 3 * 2048);
    CHECK(sector_is(b, 17) && sector_is(b + 4096, 19));
    // Byte count limit 2048: a block and an interrupt a sector (SeaBIOS)
    u32 blocks = 0;
    u8 st = send(m, (u8[12]){0x28, 0, 0, 0, 0, 17, 0, 0, 3}, 2048, 0);
    for (; st & 8; st = ready(m), blocks++) {
        CHECK_EQ(in(m, 4) | in(m, 5) << 8, 2048);
        pio_in(m, b, 2048);
    }
    CHECK_EQ(blocks, 3);
    CHECK_EQ(in(m, 7), 0x40);
    CHECK_EQ(cmd(m, (u8[12]){0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 70}, b, 0xfffe), 70 * 2048);
    for (int i = 0; i < 70; i++) CHECK(sector_is(b + i * 2048, 5 + i));
    CHECK_EQ(cmd(m, (u8[12]){0x28, 0, 0, 0, 0, 5, 0, 0, 1}, b, 999), 2048); // odd limit: even blocks
    CHECK(sector_is(b, 5));
    CHECK_EQ(CMD(m, b, 0x28, 0, 0, 0, 0, 5, 0, 0, 0), 0);      // no sectors
    CHECK_EQ(CMD(m, b, 0x28, 0, 0, 0, 3, 0xe7, 0, 0, 2), ~0u); // 999, 2
    CHECK_EQ(sense(m), 0x052100);
    CHECK_EQ(CMD(m, b, 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ~0u);
    CHECK_EQ(sense(m), 0x052100);
    disk->bad = 40 * 4, disk->fail = EIO;
    CHECK_EQ(CMD(m, b, 0x28, 0, 0, 0, 0, 39, 0, 0, 2), ~0u);
    CHECK_EQ(sense(m), 0x031100);
    disk->fail = 0;
    // READ CD: user data; all of the sector; nothing
    CHECK_EQ(CMD(m, b, 0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0x10), 2048);
    CHECK(sector_is(b, 9));
    CHECK_EQ(CMD(m, b, 0xbe, 0, 0, 0, 0, 9, 0, 0, 60, 0xf8), 60 * 2352);
    CHECK(b[0] == 0 && b[1] == 0xff && b[11] == 0);
    CHECK(b[12] == 0 && b[13] == 2 && b[14] == 9 && b[15] == 1); // 00:02:09, mode 1
    CHECK(sector_is(b + 16, 9) && sector_is(b + 59 * 2352 + 16, 68));
    CHECK_EQ(CMD(m, b, 0xb9, 0, 0, 0, 2, 9, 0, 2, 10, 0x10), 2048);
    CHECK(sector_is(b, 9));
    CHECK_EQ(CMD(m, b, 0xbe, 0, 0, 0, 0, 9, 0, 0, 1, 0), 0);
    CHECK_EQ(CMD(m, b, 0xbe, 4, 0, 0, 0, 9, 0, 0, 1, 0x10), ~0u); // audio
    CHECK_EQ(sense(m), 0x056400);
    done(m);
}
static void dma(void)
{
    struct machine *m = one_cd(true);
    attention(m);
    prd(m, 0x10000, 40 * 2048, 0x8000);
    CHECK(send(m, (u8[12]){0x28, 0, 0, 0, 0, 17, 0, 0, 40}, 0, 1) & 0x80);
    bm(m, 9);
    CHECK_EQ(ready(m), 0x40);
    CHECK_EQ(bm_status(m), 4);
    CHECK_EQ(m->edges[15], 1);
    CHECK_EQ(in(m, 2), 3);
    for (int i = 0; i < 40; i++) CHECK(sector_is(m->ram->host + 0x10000 + i * 2048, 17 + i));
    bm(m, 8), bm_clear(m), in(m, 7);
    prd(m, 0x10000, 36, 0x8000); // short replies too
    CHECK(send(m, (u8[12]){0x12, 0, 0, 0, 36}, 0, 1) & 0x80);
    bm(m, 9);
    CHECK_EQ(ready(m), 0x40);
    CHECK_EQ(m->ram->host[0x10000], 5);
    bm(m, 8), bm_clear(m), in(m, 7);
    CHECK_EQ(send(m, (u8[12]){0x28, 0, 0, 0, 0xff, 17, 0, 0, 40}, 0, 1), 0x41); // fails before any data
    CHECK_EQ(m->edges[15], 1);
    done(m);
}
static void toc(void)
{
    struct machine *m = one_cd(true);
    u8 b[512];
    attention(m);
    CHECK_EQ(CMD(m, b, 0x43, 0, 0, 0, 0, 0, 0, 2), 20);
    static const u8 lba[20] = {0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 3, 0xe8};
    CHECK(!memcmp(b, lba, 20));
    CHECK_EQ(CMD(m, b, 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 12), 12);
    static const u8 msf[12] = {0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 15, 25}; // 1000 + 150 frames
    CHECK(!memcmp(b, msf, 12));
    CHECK_EQ(CMD(m, b, 0x43, 0, 0, 0, 0, 0, 2, 2), ~0u);
    CHECK_EQ(sense(m), 0x052400);
    CHECK_EQ(CMD(m, b, 0x43, 0, 1, 0, 0, 0, 0, 2), 12);
    CHECK_EQ(b[1], 10);
    CHECK_EQ(CMD(m, b, 0x43, 0, 0, 0, 0, 0, 0, 2, 0, 0x40), 12); // old place of the format
    CHECK_EQ(CMD(m, b, 0x43, 2, 2, 0, 0, 0, 0, 2), 48);
    CHECK_EQ(b[1], 46);
    CHECK(b[7] == 0xa0 && b[12] == 1 && b[29] == 0xa2 && b[35] == 15 && b[36] == 25);
    CHECK_EQ(CMD(m, b, 0x43, 0, 5, 0, 0, 0, 0, 2), ~0u);
    CHECK_EQ(CMD(m, b, 0x51, 0, 0, 0, 0, 0, 0, 0, 34), 34);
    CHECK_EQ(b[2], 0x0e);
    CHECK_EQ(CMD(m, b, 0x52, 1, 0, 0, 0, 1, 0, 0, 36), 36);
    CHECK_EQ(ldbe32(b + 24), SECTORS);
    CHECK_EQ(CMD(m, b, 0x42, 2, 0x40, 1, 0, 0, 0, 0, 16), 16);
    CHECK_EQ(b[1], 0x15);
    CHECK_EQ(CMD(m, b, 0x2b, 0, 0, 0, 3, 0xe8), ~0u);
    CHECK_EQ(CMD(m, b, 0x2b, 0, 0, 0, 3, 0xe7), 0);
    CHECK_EQ(CMD(m, b, 0xbb, 0, 0xff, 0xff), 0);
    CHECK_EQ(CMD(m, b, 0xad, 0, 0, 0, 0, 0, 0, 0, 8), ~0u); // a CD is no DVD
    CHECK_EQ(sense(m), 0x053002);
    done(m);
}
static void modes(void)
{
    struct machine *m = one_cd(true);
    u8 b[512];
    attention(m);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128), 28);
    CHECK_EQ(ldbe16(b), 26);
    CHECK(b[8] == 0x2a && b[9] == 18 && b[14] == 0x29);
    CHECK_EQ(CMD(m, b, 0x1e, 0, 0, 0, 1), 0);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128), 28);
    CHECK_EQ(b[14], 0x2b); // locked
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x0e, 0, 0, 0, 0, 0, 128), 24);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x01, 0, 0, 0, 0, 0, 128), 16);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 128), 52);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0xea, 0, 0, 0, 0, 0, 128), ~0u);
    CHECK_EQ(sense(m), 0x053900);
    CHECK_EQ(CMD(m, b, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 128), ~0u);
    CHECK_EQ(CMD(m, b, 0x46, 0, 0, 0, 0, 0, 0, 1, 0), 8 + 12 + 12 + 8 + 8 + 12 + 8 + 8);
    CHECK_EQ(ldbe32(b), 72);
    CHECK_EQ(ldbe16(b + 6), 8); // CD-ROM
    CHECK(b[14] == 0 && b[18] == 1);
    CHECK_EQ(CMD(m, b, 0x46, 2, 0, 0x1e, 0, 0, 0, 1, 0), 16);
    CHECK_EQ(b[10] & 1, 1);
    CHECK_EQ(CMD(m, b, 0x46, 1, 0, 0x1f, 0, 0, 0, 1, 0), 8);
    CHECK_EQ(CMD(m, b, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    CHECK(b[1] == 6 && b[2] == 4 && b[4] == 0 && b[5] == 2);
    CHECK_EQ(CMD(m, b, 0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8), 4);
    CHECK_EQ(b[2], 0x80);
    CHECK_EQ(CMD(m, b, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), ~0u);
    CHECK_EQ(CMD(m, b, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    done(m);
}
static void tray(void)
{
    struct machine *m = one_cd(true);
    struct disk *out_disk;
    u8 b[64];
    attention(m);
    CHECK_EQ(CMD(m, b, 0x1e, 0, 0, 0, 1), 0);
    CHECK_EQ(CMD(m, b, 0x1b, 0, 0, 0, 2), ~0u); // locked
    CHECK_EQ(sense(m), 0x055302);
    CHECK(!ide_cd_eject(m->ide, 2, false, &out_disk) && !out_disk); // the guest is asked
    CHECK_EQ(CMD(m, b, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    CHECK_EQ(b[4], 1);
    CHECK_EQ(CMD(m, b, 0x1e, 0, 0, 0, 0), 0);
    CHECK_EQ(CMD(m, b, 0x1b, 0, 0, 0, 2), 0); // out
    CHECK_EQ(CMD(m, b, 0x00), ~0u);
    CHECK_EQ(sense(m), 0x023a02);
    CHECK_EQ(CMD(m, b, 0x1b, 0, 0, 0, 3), 0); // the same medium back in
    CHECK_EQ(CMD(m, b, 0x00), ~0u);
    CHECK_EQ(sense(m), 0x062800);
    CHECK_EQ(CMD(m, b, 0x00), 0);
    CHECK(ide_cd_eject(m->ide, 2, false, &out_disk) && out_disk == &disk->d);
    CHECK_EQ(CMD(m, b, 0x28, 0, 0, 0, 0, 17, 0, 0, 1), ~0u);
    CHECK_EQ(sense(m), 0x023a02);
    CHECK_EQ(CMD(m, b, 0x1b, 0, 0, 0, 3), 0); // closed, empty
    CHECK_EQ(CMD(m, b, 0x25), ~0u);
    CHECK_EQ(sense(m), 0x023a01);
    struct mdisk *dvd = mdisk_new(2048, true); // only its size matters: 4 GB
    dvd->d.size = 4ull << 30;
    CHECK(ide_cd_insert(m->ide, 2, &dvd->d));
    CHECK(!ide_cd_insert(m->ide, 2, &dvd->d));
    CHECK_EQ(CMD(m, b, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    CHECK(b[4] == 2 && b[5] == 2);
    CHECK_EQ(CMD(m, b, 0x25), ~0u);
    CHECK_EQ(sense(m), 0x062800);
    CHECK_EQ(CMD(m, b, 0x25), 8);
    CHECK_EQ(ldbe32(b), (4u << 20) / 2 - 1);
    CHECK_EQ(CMD(m, b, 0x46, 1, 0, 0xff, 0, 0, 0, 0, 64), 8);
    CHECK_EQ(ldbe16(b + 6), 0x10); // DVD-ROM
    CHECK_EQ(CMD(m, b, 0xad, 0, 0, 0, 0, 0, 0, 0, 0, 20), 20);
    CHECK_EQ(ldbe32(b + 8), 0x30000);
    CHECK(!ide_cd_eject(m->ide, 0, true, &out_disk));
    // Ejected by force while a transfer is under way
    dvd->d.size = 2048;
    disk_close(&disk->d);
    disk = mdisk_new(SECTORS * 2048, true);
    CHECK(ide_cd_eject(m->ide, 2, true, &out_disk));
    disk_close(out_disk);
    CHECK(ide_cd_insert(m->ide, 2, &disk->d));
    CHECK_EQ(CMD(m, b, 0x00), ~0u);
    send(m, (u8[12]){0x28, 0, 0, 0, 0, 0, 0, 0, 100}, 2048, 0);
    CHECK(ide_cd_eject(m->ide, 2, true, &out_disk));
    disk_close(out_disk);
    for (int i = 0; i < 100 && ready(m) & 8; i++) pio_in(m, NULL, 2048);
    CHECK_EQ(in(m, 7), 0x41);
    CHECK_EQ(sense(m), 0x023a02);
    done(m);
}
static void state_in_packets(void)
{
    struct machine *m = one_cd(true), *n = one_cd(true);
    static u8 b[40 * 2048];
    attention(m);
    out(m, 6, 0xa0), out(m, 1, 0), out(m, 4, 0xfe), out(m, 5, 0xff), out(m, 7, 0xa0);
    ready(m);
    u8 p[12] = {0x28, 0, 0, 0, 0, 17, 0, 0, 40};
    pio_out(m, p, 6);
    CHECK(same_state(m, n)); // in the middle of the packet
    pio_out(n, p + 6, 6);
    CHECK(same_state(n, m));
    CHECK_EQ(ready(m), 0x48);
    u32 k = in(m, 4) | in(m, 5) << 8;
    pio_in(m, b, 3000);
    CHECK(same_state(m, n));
    pio_in(n, b + 3000, k - 3000);
    CHECK_EQ(ready(n), 0x48);
    u32 rest = in(n, 4) | in(n, 5) << 8;
    pio_in(n, b + k, rest);
    CHECK_EQ(ready(n), 0x48);
    pio_in(n, b + k + rest, 40 * 2048 - k - rest);
    CHECK_EQ(ready(n), 0x40);
    for (int i = 0; i < 40; i++) CHECK(sector_is(b + i * 2048, 17 + i));
    done(m), done(n);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(identify), TEST(reading),         TEST(dma), TEST(toc), TEST(modes),
                                              TEST(tray),     TEST(state_in_packets)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
