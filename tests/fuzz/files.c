// SPDX-License-Identifier: MIT
// Fuzz target: parsers of host files and command lines. First byte chooses: disk image (every format that opens by
// content), kernel (-kernel: Linux, Multiboot, PVH), options, sizes.
#include "tests/fuzz/fuzz.h"
#include "hw/chip/fw_cfg.h"
#include "hw/disk/disk.h"
#include "hw/loader.h"
#include "mem/bus.h"
#include "ui/opt.h"

#define ELF32                                                                                                          \
    "\x7f"                                                                                                             \
    "ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3\0\1\0\0\0\0\0\x10\0\x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\1\0\0\0\0\0\0\0"      \
    "\1\0\0\0\x60\0\0\0\0\0\x10\0\0\0\x10\0\x20\0\0\0\x40\0\0\0\7\0\0\0\0\x10\0\0"                                     \
    "\0\0\0\0\0\0\0\0\0\0\0\0\x02\xb0\xad\x1b\0\0\0\0\xfe\x4f\x52\xe4"
static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\1\0\0\0"
              "\0\0\0\0\2"),
    FUZZ_SEED("\0KDMV\1\0\0\0\3\0\0\0"),
    FUZZ_SEED("\0conectix\0\0\0\2"),
    FUZZ_SEED("\0WithoutFreeSpace"),
    FUZZ_SEED("\1" ELF32),
    FUZZ_SEED("\1\0\0HdrS"),
    FUZZ_SEED("\2-m\0"
              "64M\0-drive\0file=a,if=ide,index=1\0-smp\0"
              "2\0"),
    FUZZ_SEED("\2-device\0isa-debug-exit,iobase=0xf4\0-append\0x y\0-kernel\0k"),
    FUZZ_SEED("\3"
              "1024k"),
};
static void disk(const u8 *data, size_t len)
{
    struct err e = {0};
    struct disk_opts o = {.file = fuzz_file("image", data, len), .snapshot = true};
    struct disk *d = disk_open(&o, &e);
    if (!d) return;
    u8 block[4096];
    int rc = 0;
    for (u64 pos = 0; pos < d->size && pos < 1 << 20; pos += 65536) rc |= disk_read(d, pos, block, 512);
    if (d->size >= 512) rc |= disk_read(d, d->size - 512, block, 512) | disk_write(d, d->size - 512, block, 512);
    rc |= disk_read(d, ~0ull - 100, block, 512);
    if (rc < 0) abort(); // errno values or 0
    disk_close(d);
}
static void kernel(const u8 *data, size_t len)
{
    struct err e = {0};
    struct bus b;
    bus_init(&b);
    b.log.cats = 0;
    struct fw_cfg *f = fw_cfg_new(&b);
    struct loader_opts o = {.kernel = fuzz_file("kernel", data, len), .append = "a b", .ram_below_4g = 64 << 20};
    if (!loader_kernel(&b, f, &o, &e) && !e.msg[0]) abort();
    bus_free(&b);
}
static void options(const u8 *data, size_t len)
{
    char *text = malloc(len + 1), *argv[66];
    memcpy(text, data, len);
    text[len] = 0;
    int argc = 0;
    argv[argc++] = (char *)"doppel";
    for (size_t at = 0; at < len && argc < 64; at += strlen(text + at) + 1) argv[argc++] = text + at;
    argv[argc] = NULL;
    struct err e = {0};
    unsigned n;
    struct opt *o = opts_parse(argc, argv, &n, &e);
    if (!o && !e.msg[0]) abort();
    free(o);
    free(text);
}
static void fuzz_one(const u8 *data, size_t len)
{
    if (!len) return;
    switch (data[0] % 4) {
    case 0: disk(data + 1, len - 1); break;
    case 1: kernel(data + 1, len - 1); break;
    case 2: options(data + 1, len - 1); break;
    default: {
        char text[64] = "";
        u64 v;
        memcpy(text, data + 1, len - 1 < 63 ? len - 1 : 63);
        parse_size(text, 1 << 20, &v);
        parse_uint(text, &v);
    }
    }
}
FUZZ_MAIN(files, seeds, 600)
