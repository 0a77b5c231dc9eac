// SPDX-License-Identifier: MIT
// The 82077AA with the 8237A, driven as BIOSes and Linux do it. Expected values: Intel 290166-007, sections 5 and 6.
#include <errno.h>
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/check.h"

struct mdisk {
    struct disk d;
    u8 *data;
    int fail;
};
static int m_read(struct disk *d, u64 pos, void *to, size_t n)
{
    struct mdisk *m = d->self;
    memcpy(to, m->data + pos, n);
    return m->fail;
}
static int m_write(struct disk *d, u64 pos, const void *from, size_t n)
{
    struct mdisk *m = d->self;
    if (!m->fail) memcpy(m->data + pos, from, n);
    return m->fail;
}
static int m_flush(struct disk *d) { return 0; }
static void m_close(struct disk *d) { free(((struct mdisk *)d->self)->data); }
static const struct disk_ops m_ops = {m_read, m_write, m_flush, NULL, m_close};
static struct mdisk *image(u32 sectors)
{
    struct mdisk *m = xalloc(sizeof *m);
    m->d = (struct disk){.ops = &m_ops, .file = xstrdup("memory"), .size = sectors * 512, .self = m};
    m->data = xalloc(sectors * 512);
    for (u32 i = 0; i < sectors; i++) st32(m->data + i * 512, i), st32(m->data + i * 512 + 508, ~i);
    return m;
}
static bool sector_is(const u8 *p, u32 i) { return ld32(p) == i && ld32(p + 508) == ~i; }

struct machine {
    struct bus bus;
    struct ram *ram;
    struct i82077 *f;
    int level, edges;
};
static void irq_fn(void *owner, int n, int level)
{
    struct machine *m = owner;
    m->edges += level && !m->level;
    m->level = level;
}
static struct mdisk *disk;
static struct machine *make(struct disk *a, struct disk *b)
{
    struct machine *m = xalloc(sizeof *m);
    struct err e = {0};
    bus_init(&m->bus);
    m->ram = ram_new(&m->bus, "ram", 1 << 20, &e);
    bus_map_ram(&m->bus, 0, 1 << 20, m->ram, 0, REGION_RW, 0, "ram");
    struct i8237 *dma = i8237_new(&m->bus);
    m->f = i82077_new(&m->bus, &(struct irq){irq_fn, m, 6}, dma,
                      (struct floppy_unit[2]){{FLOPPY_AUTO, a}, {b ? FLOPPY_AUTO : FLOPPY_NONE, b}});
    parts_reset(&m->bus.parts);
    bus_out(&m->bus, 0xd6, 0xc0, 1), bus_out(&m->bus, 0xd4, 0, 1); // cascade
    return m;
}
static void done(struct machine *m)
{
    bus_free(&m->bus);
    free(m);
}
static void run(struct machine *m, u64 ns)
{
    for (u64 end = m->bus.clock.now + ns;;) {
        u64 next = clock_next(&m->bus.clock);
        m->bus.clock.now = next < end ? next : end;
        clock_run(&m->bus.clock);
        if (next >= end) return;
    }
}
static u8 in(struct machine *m, u16 p) { return bus_in(&m->bus, p, 1); }
static void out(struct machine *m, u16 p, u8 v) { bus_out(&m->bus, p, v, 1); }
static void command(struct machine *m, const u8 *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(in(m, 0x3f4) & 0xd0, i ? 0x90 : 0x80);
        out(m, 0x3f5, c[i]);
    }
}
#define COMMAND(m, ...) command(m, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
static u8 res[16];
static unsigned results(struct machine *m)
{
    unsigned n = 0;
    memset(res, 0xee, sizeof res);
    for (int i = 0; i < 2000 && (in(m, 0x3f4) & 0xc0) != 0xc0; i++) run(m, 1000);
    while ((in(m, 0x3f4) & 0xc0) == 0xc0 && n < 16) res[n++] = in(m, 0x3f5);
    CHECK_EQ(in(m, 0x3f4) & 0xd0, 0x80);
    return n;
}
static bool result_is(u8 st0, u8 st1, u8 st2, u8 c, u8 h, u8 r)
{
    const u8 want[7] = {st0, st1, st2, c, h, r, 2};
    bool ok = !memcmp(res, want, 7);
    if (!ok)
        fprintf(stderr, "result %02x %02x %02x %02x %02x %02x %02x\n", res[0], res[1], res[2], res[3], res[4], res[5],
                res[6]);
    return ok;
}
// DMA channel 2: 46h to memory, 4Ah from memory, 42h verify.
static void dma(struct machine *m, u8 mode, u32 at, u32 n)
{
    out(m, 0x0a, 6), out(m, 0x0c, 0), out(m, 0x0b, mode);
    out(m, 4, at), out(m, 4, at >> 8), out(m, 0x81, at >> 16);
    out(m, 5, n - 1), out(m, 5, (n - 1) >> 8), out(m, 0x0a, 2);
}
static void start(struct machine *m) // what a BIOS does first
{
    out(m, 0x3f2, 0x08), run(m, 10000);
    out(m, 0x3f2, 0x1c), run(m, 100000);
    for (int i = 0; i < 4; i++) {
        COMMAND(m, 8);
        CHECK_EQ(results(m), 2);
        CHECK_EQ(res[0], 0xc0 + i);
        CHECK_EQ(res[1], 0);
    }
    COMMAND(m, 3, 0xaf, 0x02);
    out(m, 0x3f7, 0);
}
static struct machine *one(u32 sectors)
{
    disk = image(sectors);
    struct machine *m = make(&disk->d, NULL);
    start(m);
    return m;
}
static void seek(struct machine *m, u8 cyl)
{
    COMMAND(m, 0x0f, 0, cyl);
    run(m, 1000000);
    COMMAND(m, 8);
    CHECK_EQ(results(m), 2);
    CHECK_EQ(res[0], 0x20);
    CHECK_EQ(res[1], cyl);
}

static void resets(void)
{
    disk = image(2880);
    struct machine *m = make(&disk->d, NULL);
    CHECK_EQ(in(m, 0x3f4), 0); // held in reset
    out(m, 0x3f2, 0x0c);
    CHECK_EQ(m->level, 0);
    run(m, 100000);
    CHECK_EQ(m->level, 1);
    CHECK_EQ(in(m, 0x3f4), 0x80);
    COMMAND(m, 8);
    CHECK_EQ(results(m), 2);
    CHECK_EQ(m->level, 0);
    for (int i = 0; i < 3; i++) COMMAND(m, 8), results(m);
    CHECK_EQ(res[0], 0xc3);
    COMMAND(m, 8); // nothing left
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0x80);
    out(m, 0x3f4, 0x80); // by DSR
    run(m, 100000);
    CHECK_EQ(m->edges, 2);
    COMMAND(m, 0x13, 0, 0x5b, 0x12); // EIS, no polling
    COMMAND(m, 0x94);
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0x10);
    out(m, 0x3f2, 0x08), run(m, 1000), out(m, 0x3f2, 0x04), run(m, 100000);
    CHECK_EQ(m->edges, 2); // gated by DOR bit 3
    out(m, 0x3f2, 0x0c);
    CHECK_EQ(m->edges, 3);
    COMMAND(m, 0x0e);
    CHECK_EQ(results(m), 10);
    CHECK_EQ(res[7], 0x80);
    CHECK_EQ(res[8], 0x0b); // locked: the threshold stays; EIS and POLL do not
    CHECK_EQ(res[9], 0x12);
    COMMAND(m, 0x14);
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0);
    COMMAND(m, 0x10);
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0x90);
    COMMAND(m, 0x18); // PART ID: a later chip's (Linux tells an 82077AA by this)
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0x80);
    COMMAND(m, 0x12, 0x80 | 4 | 1);
    COMMAND(m, 0x0e), results(m);
    CHECK_EQ(res[7], 0x05);
    done(m);
}
static void seeks(void)
{
    struct machine *m = one(2880);
    CHECK_EQ(in(m, 0x3f7), 0x80); // changed since power-on
    m->edges = 0;
    COMMAND(m, 0x0f, 0, 40);
    CHECK_EQ(in(m, 0x3f4), 0x81); // drive 0 seeks, commands are welcome
    run(m, 1000000);
    CHECK_EQ(m->edges, 1);
    CHECK_EQ(in(m, 0x3f4), 0x80);
    CHECK_EQ(in(m, 0x3f7), 0);
    COMMAND(m, 0x04, 0);
    CHECK_EQ(results(m), 1);
    CHECK_EQ(res[0], 0x28);
    CHECK_EQ(m->level, 1);
    COMMAND(m, 8), results(m);
    CHECK_EQ(res[0], 0x20);
    CHECK_EQ(res[1], 40);
    CHECK_EQ(m->level, 0);
    COMMAND(m, 0xcf, 0, 5), run(m, 1000000); // relative, inwards
    COMMAND(m, 8), results(m);
    CHECK_EQ(res[1], 45);
    COMMAND(m, 0x8f, 0, 15), run(m, 1000000);
    COMMAND(m, 8), results(m);
    CHECK_EQ(res[1], 30);
    COMMAND(m, 0x07, 0), run(m, 1000000);
    COMMAND(m, 8), results(m);
    CHECK_EQ(res[0], 0x20);
    CHECK_EQ(res[1], 0);
    COMMAND(m, 0x04, 0), results(m);
    CHECK_EQ(res[0], 0x38);
    COMMAND(m, 0x07, 1), run(m, 1000000); // no drive 1: no track 0
    COMMAND(m, 8), results(m);
    CHECK_EQ(res[0], 0x71);
    done(m);
}
static void reading(void)
{
    struct machine *m = one(2880);
    u8 *ram = m->ram->host;
    seek(m, 3);
    m->edges = 0;
    dma(m, 0x46, 0x8000, 1024);
    COMMAND(m, 0xe6, 0, 3, 0, 17, 2, 18, 0x1b, 0xff);
    CHECK_EQ(in(m, 0x3f4), 0x10);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(m->edges, 1);
    CHECK_EQ(m->level, 0);
    CHECK(sector_is(ram + 0x8000, 3 * 36 + 16) && sector_is(ram + 0x8200, 3 * 36 + 17));
    CHECK(result_is(0, 0, 0, 3, 1, 1)); // with MT the next sector is on side 1
    // Both sides of the cylinder
    dma(m, 0x46, 0x8000, 36 * 512);
    COMMAND(m, 0xe6, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    for (int i = 0; i < 36; i++) CHECK(sector_is(ram + 0x8000 + i * 512, 3 * 36 + i));
    CHECK(result_is(0x04, 0, 0, 4, 0, 1)); // ST0 tells where the head is, H what comes next
    // Without MT one side; more DMA than track: end of cylinder
    dma(m, 0x46, 0x8000, 36 * 512);
    COMMAND(m, 0x46, 4, 3, 1, 10, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(result_is(0x44, 0x80, 0, 4, 1, 1));
    CHECK(sector_is(ram + 0x8000 + 8 * 512, 3 * 36 + 18 + 17));
    // Terminal count within a sector
    memset(ram + 0x8000, 0, 1024);
    dma(m, 0x46, 0x8000, 100);
    COMMAND(m, 0x46, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(result_is(0, 0, 0, 3, 0, 2));
    CHECK(ld32(ram + 0x8000) == 108 && ram[0x8000 + 508] == 0);
    // The host enables the channel late
    out(m, 0x0a, 6);
    COMMAND(m, 0x46, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
    run(m, 1000000);
    CHECK_EQ(in(m, 0x3f4), 0x10);
    dma(m, 0x46, 0x8000, 512);
    CHECK_EQ(results(m), 7);
    CHECK(sector_is(ram + 0x8000, 3 * 36 + 4));
    // READ ID: sectors pass one after the other
    COMMAND(m, 0x4a, 4);
    CHECK_EQ(results(m), 7);
    CHECK(result_is(4, 0, 0, 3, 1, 6));
    // READ TRACK from the index on
    dma(m, 0x46, 0x8000, 3 * 512);
    COMMAND(m, 0x42, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(sector_is(ram + 0x8000 + 1024, 3 * 36 + 2));
    // VERIFY moves nothing
    COMMAND(m, 0x56, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0);
    COMMAND(m, 0xd6, 0x80, 3, 0, 17, 2, 18, 0x1b, 4); // a count of sectors, over to side 1
    CHECK_EQ(results(m), 7);
    CHECK(result_is(4, 0, 0, 3, 1, 3));
    // Deleted data are not on an image: one sector with the control mark
    dma(m, 0x46, 0x8000, 1024);
    COMMAND(m, 0x4c, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[2], 0x40);
    // Implied seek
    COMMAND(m, 0x13, 0, 0x47, 0);
    dma(m, 0x46, 0x8000, 512);
    COMMAND(m, 0x46, 0, 50, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(sector_is(ram + 0x8000, 50 * 36));
    done(m);
}
static void errors(void)
{
    struct machine *m = one(2880);
    dma(m, 0x46, 0x8000, 512);
    COMMAND(m, 0x46, 0, 0, 0, 19, 2, 19, 0x1b, 0xff); // no such sector
    CHECK_EQ(results(m), 7);
    CHECK(result_is(0x40, 4, 0, 0, 0, 19));
    COMMAND(m, 0x46, 0, 5, 0, 1, 2, 18, 0x1b, 0xff); // the head is elsewhere
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 4);
    CHECK_EQ(res[2], 0x10);
    COMMAND(m, 0x46, 0, 0, 0, 1, 3, 18, 0x1b, 0xff); // 1024-byte sectors
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[1], 4);
    out(m, 0x3f7, 2); // 250 kbit/s cannot read high density
    COMMAND(m, 0x4a, 0);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 1);
    out(m, 0x3f7, 0);
    disk->fail = EIO;
    COMMAND(m, 0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 0x20);
    CHECK_EQ(res[2], 0x20);
    disk->fail = ENOSPC;
    dma(m, 0x4a, 0x8000, 512);
    COMMAND(m, 0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    disk->fail = 0;
    CHECK(sector_is(disk->data, 0));
    disk->d.readonly = true;
    COMMAND(m, 0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    CHECK_EQ(res[1], 2);
    COMMAND(m, 0x04, 0), results(m);
    CHECK_EQ(res[0] & 0x40, 0x40);
    // Taken out, put in
    struct disk *was;
    seek(m, 5), seek(m, 0);
    CHECK_EQ(in(m, 0x3f7), 0);
    CHECK(i82077_eject(m->f, 0, &was) && was == &disk->d);
    CHECK_EQ(in(m, 0x3f7), 0x80);
    seek(m, 5);
    CHECK_EQ(in(m, 0x3f7), 0x80); // still empty
    COMMAND(m, 0x46, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[1], 1);
    CHECK(!i82077_insert(m->f, 1, was));
    CHECK(i82077_insert(m->f, 0, was));
    CHECK(!i82077_insert(m->f, 0, was));
    CHECK_EQ(in(m, 0x3f7), 0x80);
    seek(m, 0);
    CHECK_EQ(in(m, 0x3f7), 0);
    done(m);
}
static void writing(void)
{
    struct machine *m = one(2880);
    u8 *ram = m->ram->host;
    seek(m, 7);
    for (int i = 0; i < 1024; i++) ram[0x8000 + i] = i * 5;
    dma(m, 0x4a, 0x8000, 1024);
    COMMAND(m, 0xc5, 4, 7, 1, 2, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(result_is(4, 0, 0, 7, 1, 4));
    CHECK(!memcmp(disk->data + (7 * 36 + 19) * 512, ram + 0x8000, 1024));
    CHECK(sector_is(disk->data + (7 * 36 + 21) * 512, 7 * 36 + 21));
    dma(m, 0x4a, 0x8000, 10); // terminal count within the sector: zeros follow
    COMMAND(m, 0x45, 0, 7, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(!memcmp(disk->data + 7 * 36 * 512, ram + 0x8000, 10) && disk->data[7 * 36 * 512 + 10] == 0);
    // FORMAT
    for (int i = 0; i < 18; i++) memcpy(ram + 0x9000 + 4 * i, (u8[]){7, 0, i + 1, 2}, 4);
    dma(m, 0x4a, 0x9000, 72);
    COMMAND(m, 0x4d, 0, 2, 18, 0x54, 0xf6);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0);
    for (int i = 0; i < 18 * 512; i++) CHECK_EQ(disk->data[7 * 36 * 512 + i], 0xf6);
    CHECK(disk->data[(7 * 36 + 18) * 512] != 0xf6);
    // SCAN: equal, lower, not
    memset(ram + 0x8000, 0xf6, 512);
    dma(m, 0x4a, 0x8000, 512);
    COMMAND(m, 0x51, 0, 7, 0, 3, 2, 18, 0x1b, 1);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[2], 8);
    ram[0x8000] = 0xf7;
    dma(m, 0x4a, 0x8000, 512);
    COMMAND(m, 0x59, 0, 7, 0, 3, 2, 18, 0x1b, 1);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[2], 0);
    dma(m, 0x4a, 0x8000, 512);
    COMMAND(m, 0x5d, 0, 7, 0, 3, 2, 18, 0x1b, 1);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[2], 4);
    done(m);
}
static void programmed_io(void)
{
    struct machine *m = one(2880);
    u8 b[512];
    COMMAND(m, 3, 0xaf, 3); // ND
    m->edges = 0;
    COMMAND(m, 0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    CHECK_EQ(in(m, 0x3f4), 0x30);
    for (int s = 0; s < 2; s++) {
        run(m, 100000);
        CHECK_EQ(m->edges, s + 1);
        for (int i = 0; i < 512; i++) {
            CHECK_EQ(in(m, 0x3f4), 0xf0);
            b[i] = in(m, 0x3f5);
        }
        CHECK(sector_is(b, 16 + s));
    }
    CHECK_EQ(results(m), 7);
    CHECK(result_is(0x40, 0x80, 0, 1, 0, 1)); // nobody can say TC
    COMMAND(m, 0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    run(m, 100000);
    CHECK_EQ(in(m, 0x3f4), 0xb0);
    for (int i = 0; i < 512; i++) out(m, 0x3f5, i * 3);
    CHECK_EQ(results(m), 7);
    CHECK(disk->data[17 * 512 + 5] == 15);
    done(m);
}
static void media(void)
{
    static const struct {
        u32 sectors;
        u8 type, rate, cyl, spt;
    } rows[] = {{720, FLOPPY_360K, 2, 39, 9},    {2400, FLOPPY_1200K, 0, 79, 15}, {1440, FLOPPY_1440K, 2, 79, 9},
                {2880, FLOPPY_1440K, 0, 79, 18}, {5760, FLOPPY_2880K, 3, 79, 36}, {3360, FLOPPY_1440K, 0, 79, 21}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct machine *m = one(rows[i].sectors);
        CHECK_EQ(i82077_type(m->f, 0), rows[i].type);
        CHECK_EQ(i82077_type(m->f, 1), FLOPPY_NONE);
        out(m, 0x3f7, rows[i].rate);
        seek(m, rows[i].cyl);
        dma(m, 0x46, 0x8000, 512);
        COMMAND(m, 0x46, 4, rows[i].cyl, 1, rows[i].spt, 2, rows[i].spt, 0x1b, 0xff);
        CHECK_EQ(results(m), 7);
        CHECK_EQ(res[0], 4);
        CHECK(sector_is(m->ram->host + 0x8000, rows[i].sectors - 1));
        done(m);
    }
    CHECK(!i82077_takes(20 << 20));
    // A short image is a 1.44 MB medium: zeros beyond, and nothing can be written there
    struct machine *m = one(2532);
    CHECK_EQ(i82077_type(m->f, 0), FLOPPY_1440K);
    seek(m, 79);
    m->ram->host[0x8000] = 1;
    dma(m, 0x46, 0x8000, 512);
    COMMAND(m, 0x46, 0, 79, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK(res[0] == 0 && m->ram->host[0x8000] == 0);
    dma(m, 0x4a, 0x8000, 512);
    COMMAND(m, 0x45, 0, 79, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(results(m), 7);
    CHECK_EQ(res[0], 0x40);
    done(m);
}

static void save(struct machine *m, struct buf *b)
{
    struct state s = {.mode = STATE_SAVE, .out = b};
    parts_state(&m->bus.parts, &s);
}
static bool same_state(struct machine *m, struct machine *n) // loads m's state into n
{
    struct buf a = {0}, b = {0};
    save(m, &a);
    n->bus.clock.now = m->bus.clock.now;
    struct state s = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&n->bus.parts, &s);
    save(n, &b);
    if (!state_ok(&s)) fprintf(stderr, "%s\n", s.err.msg);
    bool ok = state_ok(&s) && a.len == b.len && !memcmp(a.data, b.data, a.len);
    buf_free(&a), buf_free(&b);
    return ok;
}
static void states(void)
{
    struct machine *m = one(2880), *n = one(2880);
    seek(m, 3);
    out(m, 0x3f5, 0x46), out(m, 0x3f5, 0); // in a command
    CHECK(same_state(m, n));
    dma(m, 0x46, 0x8000, 1024);
    dma(n, 0x46, 0x8000, 1024);
    static const u8 rest[] = {3, 0, 17, 2, 18, 0x1b, 0xff};
    for (int i = 0; i < 7; i++) out(m, 0x3f5, rest[i]);
    run(m, 25000); // between the sectors
    CHECK(same_state(m, n));
    CHECK_EQ(results(n), 7);
    CHECK(result_is(0, 0, 0, 4, 0, 1));
    CHECK(sector_is(n->ram->host + 0x8200, 3 * 36 + 17));
    results(m);
    COMMAND(m, 0x0f, 0, 40); // in a seek
    run(m, 30000);
    CHECK(same_state(m, n));
    CHECK_EQ(in(n, 0x3f4), 0x81);
    run(n, 1000000);
    COMMAND(n, 8);
    CHECK_EQ(results(n), 2);
    CHECK_EQ(res[1], 40);
    out(m, 0x0a, 6); // waiting for the DMA controller
    run(m, 1000000);
    COMMAND(m, 8), results(m);
    COMMAND(m, 0x46, 0, 40, 0, 1, 2, 18, 0x1b, 0xff);
    run(m, 1000000);
    CHECK(same_state(m, n));
    dma(n, 0x46, 0x8000, 512);
    CHECK_EQ(results(n), 7);
    CHECK(sector_is(n->ram->host + 0x8000, 40 * 36));
    done(m), done(n);
}
static void fuzz(void)
{
    struct mdisk *a = image(2880), *b = image(720);
    struct machine *m = make(&a->d, &b->d);
    static const u8 cmds[] = {0x46, 0xe6, 0x45, 0xc5, 0x42, 0x4a, 0x4d, 0x51, 0x59, 0x5d, 0x56, 0x4c,
                              0x6c, 0x0f, 0x8f, 0x07, 0x08, 0x03, 0x04, 0x13, 0x0e, 0x12, 0x94};
    u64 x = 88172645463325252;
    start(m);
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        u32 v = x >> 20;
        switch (x & 15) {
        case 0: out(m, 0x3f0 + (v & 7), v >> 8); break;
        case 1: (void)in(m, 0x3f0 + (v & 7)); break;
        case 2: dma(m, 0x42 + (v & 0x3c), v >> 4 & 0x1fffff, 1 + (v & 0x3fff)); break;
        case 3: out(m, v & 0x1f, v >> 8); break;
        case 4: out(m, 0x3f2, v & 0xf0 ? 0x3c | (v & 1) : v); break;
        case 5:
        case 6: run(m, v & 0x3ffff); break;
        case 7:
            for (int k = 0; k < 16; k++) (void)in(m, 0x3f5);
            break;
        case 8: out(m, 0x3f7, v >> 8 & 0x70 ? 0 : v); break;
        case 9:
            if (!(v & 0xfff)) parts_reset(&m->bus.parts);
            break;
        default: {
            u8 c[9] = {cmds[v % sizeof cmds],      v >> 5 & 7, 0,    x >> 40 & 1, x >> 41 & 31,
                       x >> 46 & 63 ? 2 : x >> 50, x >> 52,    0x1b, x >> 8};
            if (v & 0x400) c[2] = x >> 30 & 0x7f;
            c[3] = c[1] >> 2;
            for (int k = 0; k < 9; k++) out(m, 0x3f5, c[k]);
        }
        }
    }
    struct mdisk *a2 = image(2880), *b2 = image(720);
    struct machine *n = make(&a2->d, &b2->d);
    CHECK(same_state(m, n));
    struct buf t = {0};
    parts_find(&m->bus.parts, "fdc")->ops->info(parts_find(&m->bus.parts, "fdc")->self, &t);
    CHECK(strstr(buf_text(&t), "floppy0: memory"));
    buf_free(&t);
    done(m), done(n);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(resets), TEST(seeks),   TEST(reading),
                                              TEST(errors), TEST(writing), TEST(programmed_io),
                                              TEST(media),  TEST(states),  TEST(fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
