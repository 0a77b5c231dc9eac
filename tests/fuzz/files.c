// SPDX-License-Identifier: MIT
// Fuzz target: parsers of host files and command lines. The first byte chooses one of `parsers`; the seeds are whole
// small files, as no mutation finds its way through a format's nested headers.
#include <zlib.h>
#include "hw/chip/fw_cfg.h"
#include "hw/disk/disk.h"
#include "hw/loader.h"
#include "mem/base/bits.h"
#include "tests/fuzz/pc.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/setup.h"
#include "ui/symbols.h"
#include "ui/vm.h"

// ---- seeds: a letter that chooses the parser, then the file

enum parser { DISK, KERNEL, KERNEL_INITRD, OPTIONS, PROPS, SIZES, SYMBOLS, SNAPSHOT, PARSERS };
#define AT16(at, v)           [1 + (at)] = (u8)(v), [2 + (at)] = (u8)((v) >> 8)
#define AT32(at, v)           AT16(at, v), [3 + (at)] = (u8)((u32)(v) >> 16), [4 + (at)] = (u8)((u32)(v) >> 24)
#define AT64(at, v)           AT32(at, v), [5 + (at)] = 0, [6 + (at)] = 0, [7 + (at)] = 0, [8 + (at)] = 0
#define TEXT4(at, a, b, c, d) [1 + (at)] = a, [2 + (at)] = b, [3 + (at)] = c, [4 + (at)] = d

// Linux: one setup sector more, protocol version, LOADED_HIGH, 4 paragraphs of code behind
#define BZIMAGE(parser, version, flags)                                                                                \
    {                                                                                                                  \
        [0] = parser, [1 + 0x1f1] = 1, AT32(0x1f4, 4), AT16(0x1fe, 0xaa55), TEXT4(0x202, 'H', 'd', 'r', 'S'),          \
        AT16(0x206, version), [1 + 0x211] = flags, AT32(0x22c, 0x7fffffff), AT32(0x238, 255), AT32(0x260, 0x8000),     \
        [1 + 1024 + 63] = 0xf4                                                                                         \
    }
static const u8 linux_215[] = BZIMAGE(KERNEL_INITRD, 0x20f, 1), linux_200[] = BZIMAGE(KERNEL_INITRD, 0x200, 0),
                linux_plain[] = BZIMAGE(KERNEL, 0x20a, 1);

#define ELF(parser, wide, machine)                                                                                     \
    [0] = parser, TEXT4(0, 0x7f, 'E', 'L', 'F'), TEXT4(4, 1 + (wide), 1, 1, 0), AT16(16, 2), AT16(18, machine),        \
    AT32(20, 1)
#define PHDR32(at, type, pos, addr, filesz, memsz)                                                                     \
    AT32(at, type), AT32((at) + 4, pos), AT32((at) + 8, addr), AT32((at) + 12, addr), AT32((at) + 16, filesz),         \
        AT32((at) + 20, memsz), AT32((at) + 24, 7), AT32((at) + 28, 4)
#define PHDR64(at, type, pos, addr, filesz, memsz)                                                                     \
    AT32(at, type), AT32((at) + 4, 7), AT64((at) + 8, pos), AT64((at) + 16, addr), AT64((at) + 24, addr),              \
        AT64((at) + 32, filesz), AT64((at) + 40, memsz), AT64((at) + 48, 4)
#define MULTIBOOT(at, flags) AT32(at, 0x1badb002), AT32((at) + 4, flags), AT32((at) + 8, -0x1badb002 - (flags))
static const u8 multiboot_elf[] = {ELF(KERNEL_INITRD, 0, 3),
                                   AT32(24, 0x100000),
                                   AT32(28, 52),
                                   AT16(42, 32),
                                   AT16(44, 1),
                                   PHDR32(52, 1, 0, 0x100000, 96, 0x2000),
                                   MULTIBOOT(84, 3)};
static const u8 multiboot_addresses[] = {[0] = KERNEL_INITRD, MULTIBOOT(0, 0x10003), AT32(12, 0x100000),
                                         AT32(16, 0x100000),  AT32(20, 0x100028),    AT32(24, 0x101000),
                                         AT32(28, 0x100020),  AT64(32, 0xf4)};
static const u8 pvh_64[] = {ELF(KERNEL_INITRD, 1, 62),
                            AT64(24, 0x100000),
                            AT64(32, 64),
                            AT16(54, 56),
                            AT16(56, 2),
                            PHDR64(64, 1, 0, 0x100000, 196, 0x3000),
                            PHDR64(120, 4, 176, 0x1000b0, 20, 20),
                            AT32(176, 4),
                            AT32(180, 4),
                            AT32(184, 18),
                            TEXT4(188, 'X', 'e', 'n', 0),
                            AT32(192, 0x100000)};
// section headers at 64: none, .symtab (2 symbols at 256), .strtab
static const u8 symbols_64[] = {ELF(SYMBOLS, 1, 62),
                                AT64(40, 64),
                                AT16(58, 64),
                                AT16(60, 3),
                                AT32(128 + 4, 2),
                                AT64(128 + 24, 256),
                                AT64(128 + 32, 48),
                                AT32(128 + 40, 2),
                                AT64(128 + 56, 24),
                                AT32(192 + 4, 3),
                                AT64(192 + 24, 304),
                                AT64(192 + 32, 9),
                                AT32(256, 1),
                                AT32(260, 0x10012),
                                AT64(264, 0x1000),
                                AT64(272, 16),
                                AT32(280, 5),
                                AT32(284, 0x10011),
                                AT64(288, 0x1010),
                                AT64(296, 0),
                                TEXT4(304, 0, 'a', 'b', 'c'),
                                TEXT4(308, 0, 'x', 'y', 'z'),
                                [1 + 312] = 0};
static const u8 symbols_32[] = {
    ELF(SYMBOLS, 0, 3), AT32(32, 52),      AT16(46, 40),      AT16(48, 2),        AT32(52 + 4, 11),
    AT32(52 + 16, 132), AT32(52 + 20, 16), AT32(52 + 24, 1),  AT32(92 + 4, 3),    AT32(92 + 16, 148),
    AT32(92 + 20, 4),   AT32(132, 1),      AT32(136, 0x7c00), AT32(144, 0x10012), TEXT4(148, 0, 'g', 'o', 0)};
#define WHOLE(a)                                                                                                       \
    {                                                                                                                  \
        a, sizeof(a)                                                                                                   \
    }
static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\0QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\1\0\0\0"
              "\0\0\0\0\2"),
    FUZZ_SEED("\0KDMV\1\0\0\0\3\0\0\0"),
    FUZZ_SEED("\0conectix\0\0\0\2"),
    FUZZ_SEED("\0WithoutFreeSpace"),
    WHOLE(linux_215),
    WHOLE(linux_200),
    WHOLE(linux_plain),
    WHOLE(multiboot_elf),
    WHOLE(multiboot_addresses),
    WHOLE(pvh_64),
    FUZZ_SEED("\3-m\0"
              "64M\0-drive\0file=a,if=ide,index=1\0-smp\0"
              "2\0"),
    FUZZ_SEED("\3-device\0isa-debug-exit,iobase=0xf4\0-append\0x y\0-kernel\0k"),
    FUZZ_SEED("\4name,number=0x12,size=1.5G,kind=cdrom,switch=off"),
    FUZZ_SEED("\4text=a,,b,noswitch"),
    FUZZ_SEED("\4switch,kind=disk,number=99,nme=1"),
    FUZZ_SEED("\5"
              "1024k"),
    WHOLE(symbols_64),
    WHOLE(symbols_32),
    FUZZ_SEED("\6ffffffff81000000 T _text\nffffffff81000010 t go\n0000000000000100 A percpu\n                 U x\n"),
    FUZZ_SEED("\6# list\n0x7c00 start\nf000:fff0 reset\r\n"),
    FUZZ_SEED("\6            Real                  Virtual               Name\n        7C00    7C00  _start\n"),
    FUZZ_SEED("\7"
              "DOPPELVM\1\0\0\0\36\0\0\0pc ram=1048576 cpus=1 cpu=max\4\0\0\0\0\0\0\0abcd"),
};

// ---- parsers

static void disk(const u8 *data, size_t len)
{
    struct err e = {0};
    const char *option = NULL, *boot = NULL, *kind = NULL;
    struct disk_opts o = {.file = fuzz_file("image", data, len), .snapshot = true};
    if (image_options(o.file, &option, &boot, &kind, &e) ? !option || !kind : !e.msg[0]) abort();
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
static void kernel(const u8 *data, size_t len, bool initrd)
{
    static const char *const append[] = {"", "a b", "vga=ask", "x vga=0x317 y", "vga=ext"};
    struct err e = {0};
    struct bus b;
    bus_init(&b);
    b.log.cats = 0;
    struct fw_cfg *f = fw_cfg_new(&b);
    struct loader_opts o = {
        .kernel = fuzz_file("kernel", data, len), .append = append[len % ARRAY_LEN(append)], .ram_below_4g = 64 << 20};
    if (initrd) o.initrd = fuzz_file("initrd", "an initrd", 9);
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
struct values {
    char *text;
    i8 on;
    u64 number, size;
    int kind;
};
static void props(const char *text)
{
    static const struct prop table[] = {
        {"text", PROP_STR, offsetof(struct values, text)},
        {"switch", PROP_SWITCH, offsetof(struct values, on)},
        {"number", PROP_UINT, offsetof(struct values, number), "N", 0, 99},
        {"size", PROP_SIZE, offsetof(struct values, size), .unit = 1 << 20},
        {"kind", PROP_ENUM, offsetof(struct values, kind), "disk|cdrom"},
    };
    struct values v = {.on = -1};
    struct err e = {0};
    if (props_parse("-it", text, "text", table, ARRAY_LEN(table), &v, &e) ? v.number > 99 || v.kind > 1 : !e.msg[0])
        abort();
    free(v.text);
}
static void sizes(const char *text)
{
    u64 v;
    parse_size(text, 1 << 20, &v);
    parse_uint(text, &v);
}
static void seen(void *owner, u64 addr, const char *name)
{
    u64 off;
    if (!symbol_addr(NULL, name, &off)) abort(); // what is listed is found
    symbol_at(NULL, addr, &off);
}
static void symbols(const u8 *data, size_t len)
{
    struct err e = {0};
    struct buf out = {0};
    const char *file = fuzz_file("symbols", data, len);
    if (!symbols_load(file, len & 1 ? 0x1000 : 0, SYM_ALL_SPACES, &e)) {
        if (!e.msg[0]) abort();
        return;
    }
    symbols_info(&out);
    symbols_match(NULL, "*", seen, NULL);
    symbol_text(NULL, 0x1008);
    buf_free(&out);
    if (symbols_unload(file) != 1) abort();
}
// The file is the input and, but for every eighth length, its right checksum. What is refused leaves the machine as it
// was.
static void snapshot(const u8 *data, size_t len)
{
    struct err e = {0};
    struct buf file = {0}, before = {0}, after = {0};
    vm.pc = fuzz_pc_again();
    machine_stop(&vm.pc->m);
    struct state save = {.mode = STATE_SAVE, .out = &before}, again = {.mode = STATE_SAVE, .out = &after};
    machine_state(&vm.pc->m, &save);
    buf_add(&file, data, len);
    if (len % 8 != 7) buf_u32(&file, (u32)crc32(0, data, (uInt)len));
    bool ok = snapshot_load(fuzz_file("vm", file.data, file.len), &e);
    machine_state(&vm.pc->m, &again);
    if (!ok && (!e.msg[0] || before.len != after.len || memcmp(before.data, after.data, before.len))) abort();
    machine_start(&vm.pc->m);
    buf_free(&file), buf_free(&before), buf_free(&after);
}

static void fuzz_one(const u8 *data, size_t len)
{
    if (!len) return;
    char *text = malloc(len); // the rest, with a zero behind
    memcpy(text, data + 1, len - 1);
    text[len - 1] = 0;
    switch (data[0] % PARSERS) {
    case DISK: disk(data + 1, len - 1); break;
    case KERNEL: kernel(data + 1, len - 1, false); break;
    case KERNEL_INITRD: kernel(data + 1, len - 1, true); break;
    case OPTIONS: options(data + 1, len - 1); break;
    case PROPS: props(text); break;
    case SIZES: sizes(text); break;
    case SYMBOLS: symbols(data + 1, len - 1); break;
    default: snapshot(data + 1, len - 1);
    }
    free(text);
}
FUZZ_MAIN(files, seeds, 8000)
