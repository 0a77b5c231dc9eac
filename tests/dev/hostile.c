// SPDX-License-Identifier: MIT
// The whole machine under a driver that means harm: every port and register read and written at random in all widths,
// BARs put on top of RAM, ROM and each other, DMA with random descriptors, resets, keys and discs in between; saved
// machines with flipped bits. Nothing is expected but that the process lives (the sanitizers watch), that the machine
// then still resets into the state of a new one, and that save and load agree.
#include <stdlib.h>
#include <unistd.h>
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "hw/pc.h"
#include "hw/port/chardev.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/check.h"

#define RAM_MB 8

static char dir[] = "/tmp/doppel-hostile-XXXXXX";
static u64 seed;
static u32 rnd(u32 below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(((seed >> 32) * below) >> 32);
}
static u64 rnd64(void)
{
    u64 hi = rnd(~0u);
    return hi << 32 | rnd(~0u);
}

static u64 host_ns(void *owner)
{
    u64 *t = owner;
    return *t += 1000;
}
static size_t swallow(struct chardev *c, const u8 *p, size_t n) { return rnd(4) ? n : n / 2; }

// Files: a firmware that halts for ever, a disk, a disc, a floppy.
static const char *file(const char *name, size_t size)
{
    static char path[8][64];
    static unsigned n;
    char *p = path[n++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    if (access(p, F_OK) == 0) return p;
    u8 *data = calloc(1, size);
    for (size_t i = 0; i < size; i += 64) data[i] = (u8)(i >> 9);
    if (!strcmp(name, "bios")) memcpy(data + size - 16, "\xf4\xeb\xfd", 3); // hlt; jmp to it
    FILE *f = fopen(p, "wb");
    CHECK(f && fwrite(data, 1, size, f) == size);
    if (f) fclose(f);
    free(data);
    return p;
}
static struct disk *image(const char *name, size_t size, bool cdrom)
{
    struct err e = {0};
    struct disk_opts o = {
        .file = file(name, size), .format = "raw", .snapshot = !cdrom, .readonly = cdrom, .cdrom = cdrom};
    struct disk *d = disk_open(&o, &e);
    CHECK_STR(e.msg, "");
    return d;
}

struct rig {
    struct pc *pc;
    struct cpu_model *model;
    u64 host;
    struct chardev chr[3];
};
static void rig_open(struct rig *r)
{
    struct err e = {0};
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 3; i++) r->chr[i] = (struct chardev){.name = "x", .write = swallow};
    r->model = cpuid_model_parse("max", &e);
    struct pc_config c = {.ram = RAM_MB << 20,
                          .cpus = 2,
                          .model = r->model,
                          .engine = &interp_engine,
                          .time = {.icount_shift = 3, .host_ns = host_ns, .owner = &r->host},
                          .bios = file("bios", 65536),
                          .vga = true,
                          .vga_mb = 4,
                          .ide = {{IDE_DISK, image("disk", 4 << 20, false)},
                                  {IDE_DISK, image("disk2", 1 << 20, false)},
                                  {IDE_CD, image("disc", 2 << 20, true)},
                                  {IDE_CD, NULL}},
                          .floppy = {image("floppy", 1474560, false), image("floppy2", 737280, false)},
                          .serial = {&r->chr[0]},
                          .parallel = {&r->chr[1]},
                          .debugcon = &r->chr[2],
                          .rtc_start = 1700000000,
                          .seed = 1};
    r->pc = pc_new(&c, &e);
    CHECK_STR(e.msg, "");
    if (!r->pc) {
        printf("not ok hostile: %s\n", e.msg);
        exit(1);
    }
    machine_start(&r->pc->m);
}
static void rig_close(struct rig *r)
{
    pc_free(r->pc);
    free(r->model);
}

static void rig_save(struct rig *r, struct buf *out)
{
    struct state s = {.mode = STATE_SAVE, .out = out};
    machine_state(&r->pc->m, &s);
    CHECK_STR(s.err.msg, "");
}
static bool rig_load(struct rig *r, const u8 *p, size_t n)
{
    struct state s = {.mode = STATE_LOAD, .in = p, .len = n};
    machine_state(&r->pc->m, &s);
    return state_ok(&s);
}

// ---- the driver

static const u16 ports[][2] = {{0x00, 0x20},     {0x20, 0x22},     {0x40, 0x44},   {0x60, 0x65},     {0x70, 0x74},
                               {0x80, 0x94},     {0xa0, 0xa2},     {0xb2, 0xb4},   {0xc0, 0xe0},     {0xe9, 0xea},
                               {0xf0, 0xf2},     {0x170, 0x178},   {0x1ce, 0x1d2}, {0x1f0, 0x1f8},   {0x376, 0x378},
                               {0x378, 0x380},   {0x3b0, 0x3e0},   {0x3f0, 0x400}, {0x402, 0x403},   {0x4d0, 0x4d2},
                               {0x510, 0x51c},   {0x600, 0x640},   {0x700, 0x710}, {0xae00, 0xaf10}, {0xb000, 0xb040},
                               {0xb100, 0xb110}, {0xc000, 0xc010}, {0xcf8, 0xd00}};
static const u32 areas[][2] = {{0xfee00000, 0x1000},   {0xfec00000, 0x1000}, {0xfed00000, 0x400},
                               {0xa0000, 0x20000},     {0xc0000, 0x40000},   {0xffff0000, 0x10000},
                               {0xfd000000, 0x400000}, {0xfebf0000, 0x1000}, {0xe0000000, 0x10000000},
                               {0xfffff000, 0x1000},   {0x800000 - 64, 128}, {0, 0x100000}};

static u16 some_port(void)
{
    if (rnd(4) == 0) return (u16)rnd(65536);
    const u16 *p = ports[rnd(ARRAY_LEN(ports))];
    return (u16)(p[0] + rnd(p[1] - p[0]));
}
static u64 some_address(void)
{
    if (rnd(8) == 0) return rnd64() & 0xfffffffffffffull;
    const u32 *a = areas[rnd(ARRAY_LEN(areas))];
    return a[0] + rnd(a[1]);
}
static u32 some_value(void)
{
    static const u32 special[] = {0,    1,    2,    3,    4,      7,      8,          0x0f,      0x10,
                                  0x20, 0x7f, 0x80, 0xff, 0x8000, 0xffff, 0x80000000, 0xffffffff};
    return rnd(2) ? special[rnd(ARRAY_LEN(special))] : rnd(~0u);
}

// Configuration space: half of the time the registers that move things.
static void pci_step(struct bus *b)
{
    static const u8 regs[] = {0x04, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30, 0x3c,
                              0x40, 0x58, 0x5c, 0x60, 0x70, 0x72, 0x80, 0x90, 0xd0};
    static const u32 places[] = {0,          0x1000,     0xa0000,    0xb8000,    0xc0000,    0xf0000,    0x100000,
                                 0x700000,   0xe0000000, 0xfd000000, 0xfec00000, 0xfed00000, 0xfee00000, 0xffff0000,
                                 0xfff00000, 0xffffffff, 0x1f0,      0x3c0,      0xcf8,      0xfff0};
    u32 reg = rnd(2) ? regs[rnd(ARRAY_LEN(regs))] : rnd(256) & ~3u;
    u32 fn = rnd(2) ? rnd(4) << 11 | rnd(4) << 8 : rnd(65536) << 8;
    bus_out(b, 0xcf8, 0x80000000 | fn | reg, 4);
    unsigned size = 1u << rnd(3);
    u16 data = (u16)(0xcfc + rnd(4 / size) * size);
    if (rnd(4) == 0)
        bus_in(b, data, size);
    else
        bus_out(b, data,
                reg == 4 ? 7 & some_value()
                : rnd(3) ? places[rnd(ARRAY_LEN(places))] | rnd(16)
                         : some_value(),
                size);
}

// DMA: a request somewhere in RAM (or at its end, or nowhere), and the controller pointed at it.
static void dma_step(struct bus *b)
{
    static const u32 places[] = {0,        8,        0x7000,   0x9fffc,    0xa0000,    0xf0000,
                                 0x7ffff8, 0x7ffffe, 0x800000, 0xfee00000, 0xfffffff0, 0xfffffffe};
    u32 at = places[rnd(ARRAY_LEN(places))] & (rnd(2) ? ~3u : ~0u);
    if (rnd(2)) {
        u32 req[4] = {__builtin_bswap32(rnd(64) | rnd(0x60) << 16), __builtin_bswap32(some_value()),
                      __builtin_bswap32(rnd(4) ? 0 : some_value()), __builtin_bswap32(places[rnd(ARRAY_LEN(places))])};
        for (int i = 0; i < 4; i++) bus_store(b, (at & ~15u) + 4 * i, req[i], 4);
        bus_out(b, 0x514, __builtin_bswap32(rnd(8) ? 0 : some_value()), 4);
        bus_out(b, 0x518, __builtin_bswap32(at & ~15u), 4);
        return;
    }
    for (u32 i = 0; i < 4; i++) { // physical region descriptors
        bus_store(b, (at & ~7u) + 8 * i, places[rnd(ARRAY_LEN(places))], 4);
        bus_store(b, (at & ~7u) + 8 * i + 4, some_value() & 0xffff, 2);
        bus_store(b, (at & ~7u) + 8 * i + 6, rnd(4) ? 0 : 0x8000, 2);
    }
    bus_out(b, 0xcf8, 0x80000920, 4), bus_out(b, 0xcfc, 0xc001, 4); // bus master at C000h
    bus_out(b, 0xcf8, 0x80000904, 4), bus_out(b, 0xcfc, 5, 2);
    unsigned ch = rnd(2);
    u16 base = ch ? 0x170 : 0x1f0, bm = (u16)(0xc000 + 8 * ch);
    static const u8 commands[] = {0xc8, 0xca, 0x25, 0x35, 0x20, 0x30, 0xc4, 0xc5, 0xa0, 0xef, 0xec, 0xa1, 0xc6, 0xe7};
    bus_out(b, bm, 0, 1), bus_out(b, bm + 2, 6, 1), bus_out(b, bm + 4, at & ~3u, 4);
    bus_out(b, base + 6, 0xe0 | rnd(2) << 4 | rnd(16), 1);
    for (int i = 1; i < 6; i++) bus_out(b, base + i, some_value() & 0xff, 1);
    bus_out(b, base + 7, commands[rnd(ARRAY_LEN(commands))], 1);
    bus_out(b, bm, rnd(2) ? 9 : 1, 1);
    if (rnd(2)) // a packet, or data
        for (int i = 0; i < 6; i++) bus_out(b, base, rnd(65536), 2);
}

// An ISA DMA channel and a floppy command.
static void floppy_step(struct bus *b)
{
    static const u8 commands[] = {0x03, 0x04, 0x07, 0x08, 0x0a, 0x0f, 0x0e, 0x10, 0x12, 0x13,
                                  0x18, 0x45, 0x46, 0x4d, 0x66, 0xc5, 0xe6, 0x42, 0x94};
    bus_out(b, 0x0a, 6, 1), bus_out(b, 0x0c, 0, 1), bus_out(b, 0x0b, rnd(4) ? 0x46 : rnd(256), 1);
    for (int i = 0; i < 2; i++) bus_out(b, 4, some_value() & 0xff, 1);
    for (int i = 0; i < 2; i++) bus_out(b, 5, some_value() & 0xff, 1);
    bus_out(b, 0x81, some_value() & 0xff, 1), bus_out(b, 0x0a, 2, 1);
    bus_out(b, 0x3f2, 0x1c | rnd(4), 1);
    bus_out(b, 0x3f5, commands[rnd(ARRAY_LEN(commands))], 1);
    for (u32 i = 0, n = rnd(10); i < n; i++) bus_out(b, 0x3f5, rnd(3) ? rnd(20) : rnd(256), 1);
    for (u32 i = 0, n = rnd(8); i < n; i++) bus_in(b, 0x3f5, 1);
}

static void person_step(struct rig *r)
{
    struct pc *p = r->pc;
    static struct text_screen text;
    struct surface s;
    switch (rnd(6)) {
    case 0: p->input.key(p->input.dev, rnd(256), rnd(2)); break;
    case 1:
        p->input.mouse(p->input.dev, (int)some_value() >> 8, (int)some_value() >> 8, (int)rnd(9) - 4, rnd(8));
        break;
    case 2: p->screen.text(p->screen.dev, &text); break;
    case 3:
        if (r->chr[0].front && r->chr[0].can_receive(r->chr[0].front) > 0)
            r->chr[0].receive(r->chr[0].front, (const u8 *)"x", 1);
        if (r->chr[0].front && r->chr[0].writable) r->chr[0].writable(r->chr[0].front);
        break;
    case 4: {
        struct disk *d = NULL;
        if (ide_cd_eject(p->ide, 2, rnd(2), &d)) {
            disk_close(d);
            struct disk *n = image("disc", 2 << 20, true);
            if (!ide_cd_insert(p->ide, 2, n)) disk_close(n);
        }
        break;
    }
    default:
        if (p->screen.update(p->screen.dev, &s, rnd(4) == 0) && s.w && s.h) {
            volatile u32 last = s.px[(size_t)(s.h - 1) * s.stride + s.w - 1]; // the picture is as large as it says
            (void)last;
        }
    }
}

static void harm(struct rig *r, u32 steps)
{
    struct bus *b = &r->pc->m.bus;
    for (u32 i = 0; i < steps; i++) {
        u32 what = rnd(1000);
        unsigned size = 1u << rnd(3);
        b->cur_cpu = rnd(2);
        if (what < 350)
            bus_out(b, some_port(), some_value(), size);
        else if (what < 550)
            bus_in(b, some_port(), size);
        else if (what < 800) {
            size = 1u << rnd(4);
            u64 pa = some_address();
            if ((pa & 4095) > 4096 - size) pa &= ~(u64)15;
            if (rnd(3))
                bus_store(b, pa, rnd(2) ? some_value() : rnd64(), size);
            else
                bus_load(b, pa, size);
        } else if (what < 880)
            pci_step(b);
        else if (what < 930)
            dma_step(b);
        else if (what < 960)
            floppy_step(b);
        else if (what < 985 - 20 * (i & 1))
            machine_run(&r->pc->m, 2000 * (1 + rnd(3)));
        else if (what < 999)
            person_step(r);
        else
            machine_request(&r->pc->m, BUS_REQ_RESET);
        r->pc->m.exiting = false; // isa-debug-exit is not plugged in, but the reset port is
    }
}

// Every part's state after a reset is that of a new machine, time and RAM aside: what differs is told.
static void everything_at_random(void)
{
    for (u64 n = 1; n <= 3; n++) {
        struct rig r;
        seed = n * 977;
        rig_open(&r);
        harm(&r, 50000);
        for (u32 i = 0; i < r.pc->m.bus.parts.n; i++) { // what `info` says is text, in whatever state
            const struct part *p = &r.pc->m.bus.parts.v[i];
            struct buf out = {0};
            if (p->ops->info) p->ops->info(p->self, &out);
            CHECK(!p->ops->info || out.len == strlen(buf_text(&out)));
            buf_free(&out);
        }
        struct rig t;
        struct buf a = {0}, b = {0};
        rig_open(&t);
        rig_save(&r, &a);
        CHECK(rig_load(&t, a.data, a.len));
        rig_save(&t, &b);
        CHECK_EQ(a.len, b.len);
        CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
        harm(&t, 1000);
        machine_reset(&r.pc->m);
        CHECK_EQ(bus_load(&r.pc->m.bus, 0xfffffff0, 4) & 0xffffff,
                 0xfdebf4); // the firmware shows, and nothing covers it
        bus_store(&r.pc->m.bus, 0x1000, 0x12345678, 4);
        CHECK_EQ(bus_load(&r.pc->m.bus, 0x1000, 4), 0x12345678);
        CHECK_EQ(r.pc->ram->host[0x1000], 0x78);
        bus_store(&r.pc->m.bus, 0xfffffff0, 0, 4);
        CHECK_EQ(bus_load(&r.pc->m.bus, 0xfffffff0, 4) & 0xffffff, 0xfdebf4);
        buf_free(&a);
        buf_free(&b);
        rig_close(&t);
        rig_close(&r);
    }
}

// A saved machine with flipped bits, cut off, or with a tail: refused or taken, and what was taken runs.
static void damaged_saves(void)
{
    struct rig r, t;
    struct buf a = {0};
    seed = 4711;
    rig_open(&r);
    harm(&r, 3000);
    for (u32 i = 0; i < RAM_MB << 20; i += 4096) memset(r.pc->ram->host + i, 0, 4096); // small: parts, not pages
    rig_save(&r, &a);
    rig_open(&t);
    unsigned taken = 0;
    for (int i = 0; i < 150; i++) {
        struct buf b = {0};
        buf_add(&b, a.data, a.len);
        if (i % 10 == 9) b.len = rnd((u32)a.len);
        if (i % 10 < 9)
            for (u32 k = 0, n = 1 + rnd(4); k < n; k++) b.data[rnd((u32)b.len)] ^= 1u << rnd(8);
        if (b.len) taken += rig_load(&t, b.data, b.len);
        harm(&t, 150);
        buf_free(&b);
    }
    CHECK(taken < 150);
    CHECK(rig_load(&t, a.data, a.len)); // the sound one still goes in
    machine_reset(&t.pc->m);
    machine_run(&t.pc->m, 10000);
    buf_free(&a);
    rig_close(&t);
    rig_close(&r);
}

// A request that no part of the processor ever serves would keep it from executing anything (found by fuzz/state).
static void request_to_nobody(void)
{
    struct rig r;
    rig_open(&r);
    struct buf image = {0};
    struct state save = {.mode = STATE_SAVE, .out = &image};
    machine_state(&r.pc->m, &save);
    u8 *at = memmem(image.data, image.len, "attn", 4);
    CHECK(at && ld32(at + 4) == 4); // name, length, value
    for (unsigned bit = 0; at && bit < 32; bit++) {
        u32 was = ld32(at + 8);
        st32(at + 8, was | 1u << bit);
        struct state load = {.mode = STATE_LOAD, .in = image.data, .len = image.len};
        machine_state(&r.pc->m, &load);
        st32(at + 8, was);
        CHECK_EQ(state_ok(&load), (ATTN_INTR | ATTN_NMI | ATTN_INIT | ATTN_SIPI | ATTN_SHADOW | ATTN_TRAP) >> bit & 1);
    }
    buf_free(&image);
    rig_close(&r);
}

// Registers of one device under each other's window: RAM under the frame buffer keeps what it had.
static void frame_buffer_over_ram(void)
{
    struct rig r;
    rig_open(&r);
    struct bus *b = &r.pc->m.bus;
    bus_store(b, 0x400000, 0x11223344, 4);
    bus_out(b, 0xcf8, 0x80001010, 4), bus_out(b, 0xcfc, 0x400000, 4);
    bus_out(b, 0xcf8, 0x80001004, 4), bus_out(b, 0xcfc, 3, 2);
    CHECK_EQ(bus_in(b, 0xcfc, 2) & 3, 3);
    bus_store(b, 0x400000, 0x55667788, 4);
    bus_out(b, 0xcfc, 0, 2); // the window closes: RAM is what it was, or what was written if RAM wins the address
    u64 v = bus_load(b, 0x400000, 4);
    CHECK(v == 0x11223344 || v == 0x55667788);
    bus_store(b, 0x400000, 0x99aabbcc, 4);
    CHECK_EQ(bus_load(b, 0x400000, 4), 0x99aabbcc);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(frame_buffer_over_ram), TEST(damaged_saves), TEST(request_to_nobody),
                                              TEST(everything_at_random)};
    if (!mkdtemp(dir)) return 1;
    int rc = check_main(argc, argv, tests, ARRAY_LEN(tests));
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd) ? 1 : rc;
}
