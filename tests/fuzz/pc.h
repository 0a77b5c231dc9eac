// SPDX-License-Identifier: MIT
// A whole pc for fuzz targets: 4 MB, one processor that sleeps in an endless HLT, a hard disk, a CD, a floppy disk,
// VGA.
#pragma once
#include "cpu/cpuid.h"
#include "hw/pc.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/fuzz/fuzz.h"

// The host's clock of a world in which each look takes 20 µs: runs are the same everywhere.
static u64 fuzz_clock(void *owner) { return *(u64 *)owner += 20000; }
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
    struct pc_config cfg = {.ram = 4 << 20,
                            .cpus = 1,
                            .model = model,
                            .engine = &interp_engine,
                            .time = {.icount_shift = 0, .host_ns = fuzz_clock, .owner = &host},
                            .bios = bios,
                            .vga = true,
                            .vga_mb = 2,
                            .rtc_start = 1000000000,
                            .boot_wait_ms = -1};
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
    machine_start(&p->m);
    return p;
}
