// SPDX-License-Identifier: MIT
// A whole pc for fuzz targets: 1 MB, one processor that sleeps in an endless HLT, a hard disk, a CD, a floppy disk,
// VGA, a serial and a parallel port, pc-testdev.
#pragma once
#include "cpu/cpuid.h"
#include "hw/pc.h"
#include "hw/port/testdev.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/fuzz/fuzz.h"

// The host's clock of a world in which each look takes 20 µs: runs are the same everywhere.
enum { FUZZ_LOOK = 20000 };
static u64 fuzz_clock(void *owner) { return *(u64 *)owner += FUZZ_LOOK; }
// The other side of serial port, parallel port and debug console takes some bytes now and then.
static size_t fuzz_take(struct chardev *c, const u8 *p, size_t n)
{
    static unsigned turn;
    return min_u64(n, turn++ % 3);
}
static struct chardev fuzz_serial, fuzz_parallel, fuzz_console;
static bool fuzz_devices(struct pc *p, void *owner, struct err *e)
{
    struct irq gsi[TESTDEV_GSIS] = {0};
    for (int i = 0; i < 16; i++) gsi[i] = p->isa_irq[i];
    testdev_new(&p->m.bus, gsi);
    return true;
}
static UNUSED struct pc *fuzz_pc(void)
{
    static u64 host;
    static u8 rom[0x20000], image[0x100000];
    static const char *bios, *disk, *floppy;
    if (!bios) {
        memset(rom, 0xf4, sizeof rom);
        memcpy(rom + sizeof rom - 16, "\xf4\xeb\xfd", 3);
        bios = strdup(fuzz_file("bios", rom, sizeof rom));
        for (unsigned k = 0; k < sizeof image; k++) image[k] = (u8)(k * 7 + (k >> 9));
        disk = strdup(fuzz_file("disk", image, sizeof image));
        floppy = strdup(fuzz_file("floppy", image, 737280));
    }
    struct err e = {0};
    static struct cpu_model *model; // one at a time, like the pc
    free(model);
    model = cpuid_model_parse("max", &e);
    struct disk_opts hd = {.file = disk, .format = "raw", .snapshot = true};
    struct disk_opts cd = {.file = disk, .format = "raw", .readonly = true, .cdrom = true};
    struct disk_opts fd = {.file = floppy, .format = "raw", .snapshot = true};
    struct pc_config cfg = {.ram = 1 << 20,
                            .cpus = 1,
                            .model = model,
                            .engine = &interp_engine,
                            .time = {.icount_shift = 0, .host_ns = fuzz_clock, .owner = &host},
                            .bios = bios,
                            .vga = true,
                            .vga_mb = 1,
                            .rtc_start = 1000000000,
                            .boot_wait_ms = -1,
                            .serial = {&fuzz_serial},
                            .parallel = {&fuzz_parallel},
                            .debugcon = &fuzz_console,
                            .add_devices = fuzz_devices};
    fuzz_serial = fuzz_parallel = fuzz_console = (struct chardev){.name = "fuzz", .write = fuzz_take};
    cfg.ide[0].disk = disk_open(&hd, &e);
    cfg.ide[2].disk = disk_open(&cd, &e);
    cfg.ide[0].kind = IDE_DISK, cfg.ide[2].kind = IDE_CD;
    cfg.floppy[0] = disk_open(&fd, &e);
    struct pc *p = pc_new(&cfg, &e);
    if (!p) {
        printf("not ok fuzz_pc: %s\n", e.msg);
        exit(1);
    }
    p->m.bus.log.cats = 0; // a hostile guest's log lines are not the point
    machine_reset(&p->m);
    for (unsigned v = 0; v < 256; v++) bus_store(&p->m.bus, 4 * v, 0xf000fff0, 4); // whatever wakes it: HLT again
    machine_start(&p->m);
    return p;
}

// The same machine as after fuzz_pc(), at a tenth of its price: the last one, with the state of its first moment loaded
// over what an input has made of it, which is a test of its own; a new one each FUZZ_REUSE turns, as no state holds
// what was written to disks.
enum { FUZZ_REUSE = 64 };
static struct buf fuzz_first;
static UNUSED struct pc *fuzz_pc_again(void)
{
    static struct pc *p;
    static unsigned turns;
    if (p && turns++ < FUZZ_REUSE) {
        struct state l = {.mode = STATE_LOAD, .in = fuzz_first.data, .len = fuzz_first.len};
        machine_stop(&p->m);
        p->m.requests = 0, p->m.exiting = p->m.pause = false;
        machine_state(&p->m, &l);
        if (!state_ok(&l)) abort();
        machine_start(&p->m);
        return p;
    }
    if (p) pc_free(p);
    p = fuzz_pc(), turns = 0;
    if (!fuzz_first.len) {
        struct state s = {.mode = STATE_SAVE, .out = &fuzz_first};
        machine_state(&p->m, &s);
    }
    return p;
}
