// SPDX-License-Identifier: MIT
// Direct boot: what reaches firmware for Linux, Multiboot and PVH kernels, and files that are none of these. Addresses
// and header fields from Linux' boot.rst, the Multiboot specification and Xen's start_info.h.
#include <sys/stat.h>
#include <unistd.h>
#include "hw/loader.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "tests/check.h"

#define KERNEL "kernel"
#define INITRD "initrd"
struct host {
    struct bus bus;
    struct fw_cfg *f;
    struct err e;
};
static char dir[] = "/tmp/doppel-loader-XXXXXX";

static struct host *make(void)
{
    struct host *h = xalloc(sizeof *h);
    bus_init(&h->bus);
    h->f = fw_cfg_new(&h->bus);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static void put(const char *name, const void *p, size_t n, u64 size)
{
    FILE *f = fopen(name, "wb");
    CHECK(f && fwrite(p, 1, n, f) == n && !fclose(f));
    if (size > n) CHECK(!truncate(name, (off_t)size));
}
static bool load(struct host *h, u64 mb, const char *initrd, const char *append)
{
    struct loader_opts o = {KERNEL, initrd, append, mb << 20};
    h->e.msg[0] = 0;
    return loader_kernel(&h->bus, h->f, &o, &h->e);
}
// A load that must fail, with a message that holds `text`.
static void refused(u64 mb, const char *initrd, const char *append, const char *text)
{
    struct host *h = make();
    CHECK(!load(h, mb, initrd, append));
    if (!strstr(h->e.msg, text)) printf("# %s\n", h->e.msg);
    CHECK(strstr(h->e.msg, text) != NULL);
    done(h);
}
static void get(struct host *h, u16 key, void *to, u32 n)
{
    bus_out(&h->bus, 0x510, key, 2);
    for (u32 i = 0; i < n; i++) ((u8 *)to)[i] = bus_in(&h->bus, 0x511, 1);
}
static u32 get32(struct host *h, u16 key)
{
    u8 b[4];
    get(h, key, b, 4);
    return ld32(b);
}

// A bzImage of protocol 2.12: 4 setup sectors, 8 KB of kernel.
static u8 linux_image[5 * 512 + 8192];
static void make_linux(void)
{
    u8 *p = linux_image;
    memset(p, 0x90, sizeof linux_image);
    memset(p + 0x1f1, 0, 0x80);
    p[0x1f1] = 4;
    st16(p + 0x1fe, 0xaa55);
    memcpy(p + 0x202, "HdrS", 4);
    st16(p + 0x206, 0x20c);
    p[0x211] = 1;
    st32(p + 0x1f4, 8192 / 16);
    st32(p + 0x22c, 0x37ffffff);
    st32(p + 0x238, 255);
    st32(p + 0x260, 0x100000);
    memcpy(p + 5 * 512, "KERNEL", 6);
    put(KERNEL, p, sizeof linux_image, 0);
}
static void linux_items(void)
{
    struct host *h = make();
    u8 s[0x268], c[6];
    make_linux();
    put(INITRD, "RAMDISK", 7, 100000);
    CHECK(fw_cfg_file(h->f, "bootorder", "/x/disk@0", 10));
    CHECK(load(h, 64, INITRD, "console=ttyS0 vga=ask"));
    CHECK_EQ(get32(h, FW_CFG_KERNEL_ADDR), 0x100000);
    CHECK_EQ(get32(h, FW_CFG_KERNEL_SIZE), 8192);
    CHECK_EQ(get32(h, FW_CFG_SETUP_SIZE), 5 * 512);
    CHECK_EQ(get32(h, FW_CFG_SETUP_ADDR), 0x10000);
    CHECK_EQ(get32(h, FW_CFG_CMDLINE_SIZE), 22);
    u32 at = get32(h, FW_CFG_INITRD_ADDR);
    CHECK_EQ(at, align_down((63 << 20) - 100000, 4096));
    CHECK_EQ(get32(h, FW_CFG_INITRD_SIZE), 100000);
    get(h, FW_CFG_SETUP_DATA, s, sizeof s);
    CHECK_EQ(s[0x210], 0xff);
    CHECK_EQ(s[0x211], 0x81);
    CHECK_EQ(ld32(s + 0x218), at);
    CHECK_EQ(ld32(s + 0x21c), 100000);
    CHECK_EQ(ld16(s + 0x224), 0xfe00);
    CHECK_EQ(ld32(s + 0x228), get32(h, FW_CFG_CMDLINE_ADDR));
    CHECK_EQ(ld16(s + 0x1fa), 0xfffd);
    get(h, FW_CFG_KERNEL_DATA, c, 6);
    CHECK(!memcmp(c, "KERNEL", 6));
    get(h, FW_CFG_INITRD_DATA, c, 6);
    CHECK(!memcmp(c, "RAMDIS", 6));
    size_t n;
    const char *order = fw_cfg_find(h->f, "bootorder", &n);
    CHECK(order && n == 37);
    if (order) CHECK_STR(order, "/rom@genroms/linuxboot.bin\n/x/disk@0");
    const u8 *rom = fw_cfg_find(h->f, "genroms/linuxboot.bin", &n);
    CHECK(rom && n == 1024 && ld16(rom) == 0xaa55);
    u8 sum = 0;
    for (size_t i = 0; rom && i < n; i++) sum += rom[i];
    CHECK_EQ(sum, 0);
    done(h);
}
static void linux_old(void)
{
    struct host *h = make();
    u8 s[0x268];
    make_linux();
    st16(linux_image + 0x206, 0x200); // a zImage
    linux_image[0x211] = 0;
    put(KERNEL, linux_image, sizeof linux_image, 0);
    CHECK(load(h, 64, NULL, "root=/dev/hda1"));
    CHECK_EQ(get32(h, FW_CFG_KERNEL_ADDR), 0x10000);
    CHECK_EQ(get32(h, FW_CFG_SETUP_ADDR), 0x90000);
    get(h, FW_CFG_SETUP_DATA, s, sizeof s);
    CHECK_EQ(ld16(s + 0x20), 0xa33f);
    CHECK_EQ(0x90000 + ld16(s + 0x22), get32(h, FW_CFG_CMDLINE_ADDR));
    done(h);
    // The initrd stays below what the kernel says, however much RAM there is; 2.12's flag lifts that.
    h = make();
    make_linux();
    put(INITRD, "", 0, 4096);
    CHECK(load(h, 2048, INITRD, NULL));
    CHECK_EQ(get32(h, FW_CFG_INITRD_ADDR), 0x37fff000);
    done(h);
    h = make();
    st16(linux_image + 0x236, 2);
    put(KERNEL, linux_image, sizeof linux_image, 0);
    CHECK(load(h, 2048, INITRD, NULL));
    CHECK_EQ(get32(h, FW_CFG_INITRD_ADDR), 0x7feff000);
    done(h);
}
static void bad_files(void)
{
    static char longline[300];
    put(KERNEL, "", 0, 0);
    refused(64, NULL, NULL, "is no kernel");
    put(KERNEL, "#!/bin/sh\n", 10, 20000);
    refused(64, NULL, NULL, "is no kernel");
    unlink(KERNEL);
    refused(64, NULL, NULL, "No such file");
    CHECK(!mkdir(KERNEL, 0700));
    refused(64, NULL, NULL, "not a file");
    rmdir(KERNEL);
    make_linux();
    refused(64, "nothing", NULL, "'nothing' cannot be opened: No such file");
    refused(0, NULL, NULL, "raise -m");
    memset(longline, 'a', 299);
    refused(64, NULL, longline, "at most 255");
    put(INITRD, "", 0, 80 << 20);
    refused(64, INITRD, NULL, "does not fit");
    put(INITRD, "", 0, 5ull << 30);
    refused(64, INITRD, NULL, "too large");
    put(INITRD, "", 0, 10);
    put(KERNEL, linux_image, 5 * 512, 0);
    refused(64, NULL, NULL, "truncated");
    put(KERNEL, linux_image, 5 * 512 + 4096, 0);
    refused(64, NULL, NULL, "is truncated: 6656 bytes of 10752; copy it again");
    make_linux();
    st32(linux_image + 0x260, 0x8000000); // runs in 128 MB
    put(KERNEL, linux_image, sizeof linux_image, 0);
    refused(64, NULL, NULL, "raise -m");
}

// An ELF file with one loaded segment at 1 MB (4 KB in the file, 8 KB in memory), a note segment behind it.
static u8 elf[0x3000];
static void make_elf(bool is64, bool multiboot, bool note)
{
    u8 *p = elf;
    memset(p, 0, sizeof elf);
    memcpy(p, "\177ELF", 4);
    p[4] = is64 ? 2 : 1, p[5] = p[6] = 1;
    st16(p + 16, 2), st16(p + 18, is64 ? 62 : 3);
    u8 *ph = p + 64;
    if (is64) {
        st64(p + 24, 0xffffffff80000010), st64(p + 32, 64), st16(p + 54, 56), st16(p + 56, 2);
        st32(ph, 1), st64(ph + 8, 0x1000), st64(ph + 16, 0xffffffff80000000), st64(ph + 24, 0x100000);
        st64(ph + 32, 0x1000), st64(ph + 40, 0x2000);
        st32(ph + 56, 4), st64(ph + 64, 0x2000), st64(ph + 88, 0x40);
    } else {
        st32(p + 24, 0x100010), st32(p + 28, 64), st16(p + 42, 32), st16(p + 44, 2);
        st32(ph, 1), st32(ph + 4, 0x1000), st32(ph + 8, 0x100000), st32(ph + 12, 0x100000);
        st32(ph + 16, 0x1000), st32(ph + 20, 0x2000);
        st32(ph + 32, 4), st32(ph + 36, 0x2000), st32(ph + 48, 0x40);
    }
    memcpy(p + 0x1010, "CODE", 4);
    if (multiboot) st32(p + 0x1000, 0x1badb002), st32(p + 0x1004, 3), st32(p + 0x1008, -(0x1badb002 + 3));
    if (note) { // one of another kind first
        st32(p + 0x2000, 4), st32(p + 0x2004, 2), st32(p + 0x2008, 5), memcpy(p + 0x200c, "Xen", 4);
        st32(p + 0x2014, 4), st32(p + 0x2018, 4), st32(p + 0x201c, 18), memcpy(p + 0x2020, "Xen", 4);
        st32(p + 0x2024, 0x100040);
    }
    put(KERNEL, p, sizeof elf, 0);
}
static void multiboot(void)
{
    put(INITRD, "first", 5, 0);
    put("mod,2", "second!", 7, 5000);
    for (int is64 = 0; is64 < 2; is64++) {
        struct host *h = make();
        u8 i[88], s[512], d[8];
        make_elf(is64, true, true);
        CHECK(load(h, 64, INITRD " a b,mod,,2", "opts"));
        CHECK_EQ(get32(h, FW_CFG_KERNEL_ADDR), 0x100000);
        CHECK_EQ(get32(h, FW_CFG_KERNEL_SIZE), 0x2000);
        CHECK_EQ(get32(h, FW_CFG_KERNEL_ENTRY), 0x100010);
        get(h, FW_CFG_INITRD_DATA, i, sizeof i);
        CHECK_EQ(ld32(i), 0x24f);
        u32 base = get32(h, FW_CFG_CMDLINE_ADDR);
        CHECK_EQ(ld32(i + 16), base);
        get(h, FW_CFG_CMDLINE_DATA, s, sizeof s);
        CHECK_STR((char *)s, "kernel opts");
        CHECK_EQ(ld32(i + 20), 2);
        const u8 *m = s + (ld32(i + 24) - base);
        CHECK_EQ(ld32(m), 0x102000);
        CHECK_EQ(ld32(m + 4), 0x102005);
        CHECK_STR((char *)s + (ld32(m + 8) - base), "initrd a b");
        CHECK_EQ(ld32(m + 16), 0x103000);
        CHECK_EQ(ld32(m + 20), 0x103000 + 5000);
        CHECK_STR((char *)s + (ld32(m + 24) - base), "mod,2");
        CHECK_EQ(get32(h, FW_CFG_SETUP_ADDR), 0x102000);
        get(h, FW_CFG_SETUP_DATA, d, 6);
        CHECK(!memcmp(d, "first\0", 6));
        size_t n;
        const u8 *rom = fw_cfg_find(h->f, "genroms/multiboot.bin", &n);
        CHECK(rom && rom[0x40] == 0);
        done(h);
    }
    struct host *h = make(); // addresses in the header instead of ELF
    memset(elf, 0, sizeof elf);
    u32 head[8] = {0x1badb002, 0x10003, -(0x1badb002 + 0x10003), 0x200010, 0x200000, 0x200100, 0x201000, 0x200040};
    for (int k = 0; k < 8; k++) st32(elf + 0x30 + 4 * k, head[k]);
    put(KERNEL, elf, sizeof elf, 0);
    CHECK(load(h, 64, NULL, NULL));
    CHECK_EQ(get32(h, FW_CFG_KERNEL_ADDR), 0x200000);
    CHECK_EQ(get32(h, FW_CFG_KERNEL_SIZE), 0x1000);
    CHECK_EQ(get32(h, FW_CFG_KERNEL_ENTRY), 0x200040);
    u8 d[4];
    get(h, FW_CFG_KERNEL_DATA, d, 4);
    CHECK_EQ(ld32(d), 0);
    bus_in(&h->bus, 0x511, 1);
    done(h);
    put(KERNEL, elf, 0x40, 0);
    refused(64, NULL, NULL, "truncated");
    make_elf(false, true, false);
    st32(elf + 0x1004, 8), st32(elf + 0x1008, -(0x1badb002 + 8)); // a required feature that nobody knows
    put(KERNEL, elf, sizeof elf, 0);
    refused(64, NULL, NULL, "features");
    make_elf(false, true, false);
    put(KERNEL, elf, 0x1800, 0);
    refused(64, NULL, NULL, "truncated");
    make_elf(false, true, false);
    put(INITRD, "", 0, 70 << 20);
    refused(64, INITRD, NULL, "does not fit");
    st32(elf + 64 + 12, 0xfff00000);
    put(KERNEL, elf, sizeof elf, 0);
    refused(64, NULL, NULL, "no RAM");
    make_elf(false, false, false);
    refused(64, NULL, NULL, "without Multiboot header or PVH entry");
}
static void pvh(void)
{
    struct host *h = make();
    u8 i[88], s[16];
    put(INITRD, "first", 5, 0);
    make_elf(true, false, true);
    CHECK(load(h, 64, INITRD, "quiet"));
    CHECK_EQ(get32(h, FW_CFG_KERNEL_ENTRY), 0x100040);
    get(h, FW_CFG_INITRD_DATA, i, sizeof i);
    CHECK_EQ(ld32(i), 0x336ec578);
    CHECK_EQ(ld32(i + 4), 1);
    CHECK_EQ(ld32(i + 12), 1);
    CHECK_EQ(ld64(i + 16), get32(h, FW_CFG_INITRD_ADDR) + 56);
    CHECK_EQ(ld64(i + 56), 0x102000);
    CHECK_EQ(ld64(i + 64), 5);
    CHECK_EQ(ld64(i + 24), get32(h, FW_CFG_CMDLINE_ADDR));
    get(h, FW_CFG_CMDLINE_DATA, s, 6);
    CHECK_STR((char *)s, "quiet");
    get(h, FW_CFG_SETUP_DATA, s, 5);
    CHECK(!memcmp(s, "first", 5));
    size_t n;
    const u8 *rom = fw_cfg_find(h->f, "genroms/pvh.bin", &n);
    CHECK(rom && rom[0x40] == 1);
    done(h);
}
// Headers with random bytes: refused or loaded, never a crash, never more than the RAM.
static void hostile(void)
{
    u64 r = 7;
    put(INITRD, "x", 1, 5000);
    for (int k = 0; k < 600; k++) {
        struct host *h = make();
        u8 *p = k % 3 ? elf : linux_image;
        if (k % 3)
            make_elf(k % 3 == 1, k & 8, true);
        else
            make_linux();
        for (int j = 0; j < 6; j++) {
            r = r * 6364136223846793005ull + 1442695040888963407ull;
            u32 at = k % 3 ? (r >> 60 & 1   ? 0
                              : r >> 61 & 1 ? 0x1000
                                            : 0x2000) +
                                 (r >> 32 & 0xff)
                           : 0x1f0 + (r >> 32) % 0x80;
            p[at] = (u8)(r >> 40);
        }
        put(KERNEL, p, p == elf ? sizeof elf : sizeof linux_image, 0);
        if (load(h, 32, r >> 62 & 1 ? INITRD : NULL, "a")) {
            u64 end = (u64)get32(h, FW_CFG_KERNEL_ADDR) + get32(h, FW_CFG_KERNEL_SIZE);
            CHECK(end <= 31 << 20);
        } else {
            CHECK(h->e.msg[0]);
        }
        done(h);
    }
}
static void rom_bytes(void)
{
    char cmd[300];
    const char *top = getenv("DOPPEL_TOP");
    snprintf(cmd, sizeof cmd, "%s/roms/build.sh --check", top);
    if (access("/bin/sh", X_OK)) SKIP("no shell");
    int st = system(cmd);
    if (WEXITSTATUS(st) == 77) SKIP("no x86 assembler");
    if (WEXITSTATUS(st) == 127) SKIP("not in the source tree");
    CHECK_EQ(st, 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(rom_bytes), TEST(linux_items), TEST(linux_old), TEST(bad_files),
                                              TEST(multiboot), TEST(pvh),         TEST(hostile)};
    char *top = realpath(".", NULL);
    if (!top || !mkdtemp(dir) || chdir(dir)) return 1;
    setenv("DOPPEL_TOP", top, 0);
    int st = check_main(argc, argv, tests, ARRAY_LEN(tests));
    unlink(KERNEL), unlink(INITRD), unlink("mod,2");
    if (rmdir(dir)) perror(dir);
    free(top);
    return st;
}
