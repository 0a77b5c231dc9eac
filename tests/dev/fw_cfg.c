// SPDX-License-Identifier: MIT
// The firmware configuration device as SeaBIOS and Linux' qemu_fw_cfg driver use it (docs/specs/fw_cfg.rst).
#include <unistd.h>
#include "hw/chip/fw_cfg.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/check.h"

struct host {
    struct bus bus;
    struct ram *ram;
    struct fw_cfg *f;
};
static struct host *make(void)
{
    struct host *h = xalloc(sizeof *h);
    struct err e = {0};
    bus_init(&h->bus);
    h->ram = ram_new(&h->bus, "ram", 1 << 20, &e);
    bus_map_ram(&h->bus, 0, 1 << 20, h->ram, 0, REGION_RW, 0, "ram");
    h->f = fw_cfg_new(&h->bus);
    CHECK(fw_cfg_file(h->f, "etc/first", "0123456789", 10));
    CHECK(fw_cfg_file_rw(h->f, "etc/second", "abcd", 4));
    parts_reset(&h->bus.parts);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static void get(struct host *h, u16 key, void *to, int n)
{
    bus_out(&h->bus, 0x510, key, 2);
    for (int i = 0; i < n; i++) ((u8 *)to)[i] = bus_in(&h->bus, 0x511, 1);
}
// Builds the request at 1000h, gives its address as drivers do, and returns the control field afterwards.
static u32 dma(struct host *h, u32 control, u32 len, u64 addr)
{
    u8 *p = h->ram->host + 0x1000;
    stbe32(p, control), stbe32(p + 4, len), stbe32(p + 8, addr >> 32), stbe32(p + 12, (u32)addr);
    bus_out(&h->bus, 0x514, 0, 4);
    bus_out(&h->bus, 0x518, __builtin_bswap32(0x1000), 4);
    return ldbe32(p);
}

static void identity(void)
{
    struct host *h = make();
    u8 b[8];
    get(h, 0, b, 5);
    CHECK(!memcmp(b, "QEMU\0", 5));
    get(h, 1, b, 4);
    CHECK_EQ(ld32(b), 3);
    CHECK_EQ(bus_in(&h->bus, 0x514, 4), 0x554d4551); // "QEMU CFG" in memory order
    CHECK_EQ(bus_in(&h->bus, 0x518, 4), 0x47464320);
    CHECK_EQ(bus_in(&h->bus, 0x514, 1), 'Q');
    get(h, 0x7777, b, 2); // a key that is not there reads as zeros
    CHECK_EQ(ld16(b), 0);
    done(h);
}
static void directory(void)
{
    struct host *h = make();
    u8 b[4 + 2 * 64];
    get(h, 0x19, b, sizeof b);
    CHECK_EQ(ldbe32(b), 2);
    CHECK_EQ(ldbe32(b + 4), 10);
    CHECK_EQ(ldbe16(b + 8), 0x20);
    CHECK_EQ(ldbe16(b + 10), 0);
    CHECK_STR((char *)b + 12, "etc/first");
    CHECK_EQ(ldbe32(b + 68), 4);
    CHECK_STR((char *)b + 76, "etc/second");
    get(h, 0x20, b, 12);
    CHECK(!memcmp(b, "0123456789\0\0", 12));
    CHECK(fw_cfg_file(h->f, "etc/first", "xy", 2)); // replaced, not added
    get(h, 0x19, b, 8);
    CHECK_EQ(ldbe32(b), 2);
    CHECK_EQ(ldbe32(b + 4), 2);
    char name[60];
    memset(name, 'n', 59), name[59] = 0;
    CHECK(!fw_cfg_file(h->f, name, "", 0));
    name[55] = 0;
    CHECK(fw_cfg_file(h->f, name, "", 0));
    int n = 3;
    for (; n < 1000; n++) {
        snprintf(name, sizeof name, "f%d", n);
        if (!fw_cfg_file(h->f, name, name, 3)) break;
    }
    CHECK_EQ(n, 0x60);
    done(h);
}
static void dma_transfers(void)
{
    struct host *h = make();
    u8 *m = h->ram->host;
    memset(m + 0x2000, 0xee, 32);
    CHECK_EQ(dma(h, 0x20 << 16 | 8 | 2, 4, 0x2000), 0); // select and read
    CHECK(!memcmp(m + 0x2000, "0123\xee", 5));
    CHECK_EQ(dma(h, 4, 3, 0), 0); // skip
    CHECK_EQ(dma(h, 2, 8, 0x2010), 0);
    CHECK(!memcmp(m + 0x2010, "789\0\0\0\0\0\xee", 9)); // zeros past the end
    CHECK_EQ(dma(h, 0x20 << 16 | 8, 0, 0), 0);
    CHECK_EQ(bus_in(&h->bus, 0x511, 1), '0');
    memcpy(m + 0x3000, "WXYZ", 4);
    CHECK_EQ(dma(h, 0x20 << 16 | 8 | 16, 4, 0x3000), 1); // read-only
    CHECK_EQ(dma(h, 0x21 << 16 | 8 | 16, 4, 0x3000), 0);
    CHECK_EQ(dma(h, 0x21 << 16 | 8 | 16, 5, 0x3000), 1); // too long
    CHECK_EQ(dma(h, 0x21 << 16 | 8 | 2, 4, 0x2000), 0);
    CHECK(!memcmp(m + 0x2000, "WXYZ", 4));
    CHECK_EQ(dma(h, 0x20 << 16 | 8 | 2, 4, 0xffffffff), 1); // nobody there
    CHECK_EQ(dma(h, 0x20 << 16 | 8 | 2, 0xffffffff, 0xfff00), 1);
    CHECK_EQ(dma(h, 0x20 << 16 | 8 | 2, 16, ~(u64)7), 1);
    bus_out(&h->bus, 0x514, 0xffffffff, 4); // request in nowhere
    bus_out(&h->bus, 0x518, 0xffffffff, 4);
    done(h);
}
static void host_file(void)
{
    struct host *h = make();
    FILE *t = tmpfile();
    CHECK(t && fwrite("headerBODYtail", 1, 14, t) == 14 && !fflush(t));
    fw_cfg_item_fd(h->f, FW_CFG_INITRD_DATA, dup(fileno(t)), 6, 4);
    CHECK_EQ(dma(h, FW_CFG_INITRD_DATA << 16 | 8 | 2, 6, 0x2000), 0);
    CHECK(!memcmp(h->ram->host + 0x2000, "BODY\0\0", 6));
    CHECK_EQ(ftruncate(fileno(t), 8), 0); // shrunk meanwhile: zeros
    CHECK_EQ(dma(h, FW_CFG_INITRD_DATA << 16 | 8 | 2, 4, 0x2000), 0);
    CHECK(!memcmp(h->ram->host + 0x2000, "BO\0\0", 4));
    fclose(t);
    done(h);
}
static void pc_items(void)
{
    struct host *h = make();
    struct fw_cfg_pc o = {.below_4g = 0xc0000000,
                          .above_4g = 0x40000000,
                          .cpus = 2,
                          .max_cpus = 4,
                          .menu = true,
                          .graphic = true,
                          .bootorder = "/rom@genroms/linuxboot.bin",
                          .menu_wait_ms = 100};
    fw_cfg_add_pc(h->f, &o);
    u8 b[48];
    get(h, 3, b, 8);
    CHECK_EQ(ld64(b), 1ull << 32);
    get(h, 5, b, 2);
    CHECK_EQ(ld16(b), 2);
    get(h, 15, b, 2);
    CHECK_EQ(ld16(b), 4);
    get(h, 14, b, 2);
    CHECK_EQ(ld16(b), 1);
    get(h, 0x8002, b, 1);
    CHECK_EQ(b[0], 1);
    size_t n;
    const u8 *e = fw_cfg_find(h->f, "etc/e820", &n);
    CHECK(e && n == 40 && ld64(e + 8) == 0xc0000000 && ld32(e + 16) == 1 && ld64(e + 20) == 1ull << 32);
    const char *order = fw_cfg_find(h->f, "bootorder", &n);
    CHECK(order && n == 27 && !order[26]);
    CHECK(!fw_cfg_find(h->f, "etc/none", &n));
    done(h);
}
static void state_round_trip(void)
{
    struct host *h = make(), *g = make();
    u8 x[3];
    struct buf a = {0}, b = {0};
    memcpy(h->ram->host, "WXYZ", 4);
    dma(h, 0x21 << 16 | 8 | 16, 4, 0);
    get(h, 0x20, x, 3);
    bus_out(&h->bus, 0x514, 0x12345678, 4);
    struct state s = {.mode = STATE_SAVE, .out = &a};
    parts_state(&h->bus.parts, &s);
    s = (struct state){.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&g->bus.parts, &s);
    CHECK(state_ok(&s));
    CHECK_EQ(bus_in(&g->bus, 0x511, 1), '3');
    get(g, 0x21, x, 3);
    CHECK(!memcmp(x, "WXY", 3));
    get(g, 0x20, x, 3);
    s = (struct state){.mode = STATE_SAVE, .out = &b};
    parts_state(&g->bus.parts, &s);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    for (size_t i = 0; i < a.len; i++) {
        a.data[i] ^= 0x80;
        s = (struct state){.mode = STATE_LOAD, .in = a.data, .len = a.len};
        parts_state(&g->bus.parts, &s);
        bus_in(&g->bus, 0x511, 1);
        a.data[i] ^= 0x80;
    }
    buf_free(&a), buf_free(&b);
    done(h), done(g);
}
static void fuzz(void)
{
    struct host *h = make();
    u64 r = 42;
    for (int i = 0; i < 100000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        u8 *p = h->ram->host + 0x1000;
        stbe32(p, (u32)(r >> 32) & 0x003f001f);
        stbe32(p + 4, (u32)(r >> 20) & (r >> 63 ? 0x1fff : 0xf));
        stbe32(p + 8, 0);
        stbe32(p + 12, (u32)(r >> 24) & 0x1fffff);
        u16 port = 0x510 + (r >> 33) % 12;
        unsigned size = 1 << (r >> 45) % 3;
        u32 v = r >> 50 & 1 ? __builtin_bswap32(0x1000) : r >> 51 & 1 ? 0 : (u32)(r >> 13);
        if (r >> 40 & 1)
            bus_out(&h->bus, port, v, size);
        else
            bus_in(&h->bus, port, size);
    }
    u8 b[4];
    get(h, 0, b, 4);
    CHECK(!memcmp(b, "QEMU", 4));
    done(h);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(identity),  TEST(directory), TEST(dma_transfers),
                                              TEST(host_file), TEST(pc_items),  TEST(state_round_trip),
                                              TEST(fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
