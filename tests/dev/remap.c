// SPDX-License-Identifier: MIT
// What a change of the memory map tells those who keep translations: addresses always, code only where a page that is
// marked as code is not any more where it was (PAM, as the 82441FX shadows the BIOS), not where a BAR moves.
#include "mem/base/err.h"
#include "tests/dev/chip.h"

static struct {
    unsigned calls, code;
} seen;
static void remapped(void *owner, bool code)
{
    seen.calls++;
    seen.code += code;
}

enum { RAM_SIZE = 0x100000, LFB_SIZE = 0x20000 };
static struct region *rom, *low, *lfb;
static void make(struct bench *t)
{
    struct err e = {0};
    bench_init(t);
    struct bus *b = &t->bus;
    struct ram *ram = ram_new(b, "ram", RAM_SIZE, &e), *bios = ram_new(b, "bios", 0x10000, &e),
               *pixels = ram_new(b, "pixels", LFB_SIZE, &e);
    CHECK(ram && bios && pixels);
    low = bus_map_ram(b, 0, RAM_SIZE, ram, 0, REGION_R | REGION_W, 0, "ram");
    rom = bus_map_ram(b, 0xf0000, 0x10000, bios, 0, REGION_R, 1, "bios");
    lfb = bus_map_ram(b, 0xe0000000, LFB_SIZE, pixels, 0, REGION_R | REGION_W, 1, "pixels");
    b->hooks.remapped = remapped;
    seen.calls = seen.code = 0;
}

static void bar(void)
{
    struct bench t;
    make(&t);
    CHECK(phys_mark_code(&t.bus, 0x7c00, 16));
    CHECK(phys_mark_code(&t.bus, 0xffff0, 16));
    bus_region_set(&t.bus, lfb, 0xe0000000, false);
    bus_region_set(&t.bus, lfb, 0xfd000000, true);
    CHECK_EQ(seen.calls, 2);
    CHECK_EQ(seen.code, 0);
    // Code in the frame buffer goes with it; where it went there was none.
    CHECK(phys_mark_code(&t.bus, 0xfd010fff, 1));
    bus_region_set(&t.bus, lfb, 0xfc000000, true);
    CHECK_EQ(seen.code, 1);
    // Over other memory: that is hidden.
    phys_clear_all_code(&t.bus);
    bus_region_set(&t.bus, lfb, 0x40000, true);
    CHECK_EQ(seen.code, 1);
    bus_region_set(&t.bus, lfb, 0xfc000000, true);
    CHECK(phys_mark_code(&t.bus, 0x5f000, 1));
    bus_region_set(&t.bus, lfb, 0x40000, true);
    CHECK_EQ(seen.code, 2);
    CHECK_EQ(seen.calls, 6);
    bus_free(&t.bus);
}

static void shadow(void)
{
    struct bench t;
    make(&t);
    // RAM instead of the ROM: its code is gone, RAM's elsewhere is not.
    CHECK(phys_mark_code(&t.bus, 0x7c00, 16));
    bus_region_rw(&t.bus, rom, 0);
    CHECK_EQ(seen.code, 0);
    bus_region_rw(&t.bus, rom, REGION_R);
    CHECK_EQ(seen.code, 0);
    CHECK(phys_mark_code(&t.bus, 0xf0000, 1));
    bus_region_rw(&t.bus, rom, 0);
    CHECK_EQ(seen.code, 1);
    // What may be written is no matter: code is what is read.
    phys_clear_all_code(&t.bus);
    CHECK(phys_mark_code(&t.bus, 0xf0000, 1));
    bus_region_rw(&t.bus, rom, REGION_W);
    CHECK_EQ(seen.code, 1);
    bus_region_set(&t.bus, low, 0, false);
    CHECK_EQ(seen.code, 2);
    bus_free(&t.bus);
}

static void written(void *owner, u64 pa, u64 len)
{
    struct bench *t = owner;
    seen.calls++;
    CHECK_EQ(pa, len == PAGE_SIZE ? 0x9000 : 0x9800);
    phys_set_code(&t->bus, pa, 0);
}
// Code ran in a page that is a stack now: one day the stack is as fast as others again.
static void stack_on_old_code(void)
{
    for (int keep = 0; keep < 2; keep++) {
        struct bench t;
        make(&t);
        t.bus.hooks.owner = &t;
        t.bus.hooks.code_written = written;
        t.bus.keep_code = keep;
        CHECK(phys_mark_code(&t.bus, 0x9800, 64));
        for (int i = 0; i < 100000; i++) bus_store(&t.bus, 0x93f0, (u64)i, 4);
        CHECK_EQ(seen.calls, !keep);
        CHECK_EQ(phys_page(&t.bus, 0x9000, true).direct, !keep);
        // What was written to is told at once.
        CHECK(phys_mark_code(&t.bus, 0x9800, 64));
        bus_store(&t.bus, 0x9800, 0, 1);
        CHECK_EQ(seen.calls, 1 + !keep);
        bus_free(&t.bus);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(bar), TEST(shadow), TEST(stack_on_old_code)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
