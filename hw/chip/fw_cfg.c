// SPDX-License-Identifier: MIT
// QEMU's firmware configuration interface (docs/specs/fw_cfg.rst): the selector and data ports, the file directory and
// the DMA port. It is how SeaBIOS and OVMF learn of RAM, CPUs, boot order, ACPI and SMBIOS tables, and a kernel.
// Left out: writing through the data port, which QEMU dropped in version 2.4; writable files are written by DMA.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "hw/chip/fw_cfg.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define FILE_FIRST 0x20
#define FILE_SLOTS 0x60
#define NITEMS     (FILE_FIRST + FILE_SLOTS)
#define NAME_LEN   56
#define KEY_WRITE  0x4000 // once asked for write access; has no effect
#define KEY_ARCH   0x8000
#define FILE_DIR   0x19
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
    u8 *data;
    u32 len;
    bool from_file; // data == NULL: read from fd at file_pos
    int fd;
    u64 file_pos;
    bool writable;
    char name[NAME_LEN]; // of files
};
struct fw_cfg {
    struct bus *bus;
    struct item item[2][NITEMS]; // generic and architecture-local keys
    u32 nfiles;
    u16 key;
    u32 pos; // never beyond the item's end
    u64 dma; // guest address of the request, as collected so far
};

static struct item *selected(struct fw_cfg *f)
{
    unsigned n = f->key & ~(KEY_WRITE | KEY_ARCH);
    return n < NITEMS ? &f->item[!!(f->key & KEY_ARCH)][n] : NULL;
}
static void select_key(struct fw_cfg *f, u16 key)
{
    f->key = key;
    f->pos = 0;
}
static void item_read(struct fw_cfg *f, const struct item *it, u8 *to, u32 n)
{
    if (!it->from_file) {
        memcpy(to, it->data + f->pos, n);
        return;
    }
    for (u32 got = 0; got < n;) {
        ssize_t k = pread(it->fd, to + got, n - got, (off_t)(it->file_pos + f->pos + got));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) { // the file shrank under us
            memset(to + got, 0, n - got);
            log_guest(&f->bus->log, "fw_cfg", "item %04x: the host file cannot be read", f->key);
            return;
        }
        got += (u32)k;
    }
}
// Up to n bytes from the selected item, zeros past its end. to NULL: skip.
static void fetch(struct fw_cfg *f, u8 *to, u32 n)
{
    const struct item *it = selected(f);
    u32 have = it && it->len > f->pos ? (u32)min_u64(it->len - f->pos, n) : 0;
    if (to) {
        if (have) item_read(f, it, to, have);
        memset(to + have, 0, n - have);
    }
    f->pos += have;
}

// ---- the DMA port

static bool dma_read(struct fw_cfg *f, u64 addr, u32 len)
{
    u8 page[4096];
    while (len) {
        u32 n = (u32)min_u64(len, sizeof page - (addr & (sizeof page - 1)));
        fetch(f, page, n);
        if (!bus_dma_write(f->bus, addr, page, n)) return false;
        addr += n;
        len -= n;
    }
    return true;
}
static bool dma_write(struct fw_cfg *f, u64 addr, u32 len)
{
    struct item *it = selected(f);
    if (!it || !it->writable || !range_ok(f->pos, len, it->len)) return false;
    if (!bus_dma_read(f->bus, addr, it->data + f->pos, len)) return false;
    f->pos += len;
    return true;
}
// A request: control, length (32 bits each), address (64), all big-endian. The device clears control when it is done.
static void dma_run(struct fw_cfg *f)
{
    u64 at = f->dma;
    u8 req[16], done[4];
    f->dma = 0;
    bool ok = bus_dma_read(f->bus, at, req, sizeof req);
    if (ok) {
        u32 control = ldbe32(req), len = ldbe32(req + 4);
        u64 addr = (u64)ldbe32(req + 8) << 32 | ldbe32(req + 12);
        if (control & DMA_SELECT) select_key(f, control >> 16);
        if (control & DMA_READ)
            ok = dma_read(f, addr, len);
        else if (control & DMA_WRITE)
            ok = dma_write(f, addr, len);
        else if (control & DMA_SKIP)
            fetch(f, NULL, len);
    }
    if (!ok) log_guest(&f->bus->log, "fw_cfg", "DMA request at 0x%llx failed", (unsigned long long)at);
    stbe32(done, ok ? 0 : DMA_ERROR);
    if (!bus_dma_write(f->bus, at, done, sizeof done))
        log_guest(&f->bus->log, "fw_cfg", "no RAM at 0x%llx for the answer", (unsigned long long)at);
}
static u64 dma_port_read(void *dev, u64 off, unsigned size) { return ld32(off ? " CFG" : "QEMU"); }
static void dma_port_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct fw_cfg *f = dev;
    u32 v = __builtin_bswap32((u32)val);
    if (!off) {
        f->dma = (u64)v << 32;
    } else {
        f->dma |= v;
        dma_run(f);
    }
}
static const struct io_ops dma_ops = {.read = dma_port_read, .write = dma_port_write, .sizes = 4};

// ---- selector and data ports

static u64 port_read(void *dev, u64 off, unsigned size)
{
    u8 v[2] = {0};
    fetch(dev, v, 1);
    return v[0];
}
static void port_write(void *dev, u64 off, u64 val, unsigned size)
{
    if (size == 2 && !off) select_key(dev, (u16)val);
}
static const struct io_ops port_ops = {.read = port_read, .write = port_write, .sizes = 1 | 2};

// ---- contents

static void item_drop(struct item *it)
{
    free(it->data);
    if (it->from_file) close(it->fd);
    it->data = NULL;
    it->from_file = false;
    it->len = 0;
}
static void item_take(struct item *it, u8 *data, size_t len)
{
    if (len > 0xffffffff) panic("fw_cfg: item of %zu bytes", len);
    item_drop(it);
    it->data = data;
    it->len = (u32)len;
}
static void item_set(struct item *it, const void *data, size_t len)
{
    u8 *copy = xalloc(len + 1);
    if (len) memcpy(copy, data, len);
    item_take(it, copy, len);
}
static struct item *item_at(struct fw_cfg *f, u16 key)
{
    unsigned n = key & ~KEY_ARCH;
    if (n >= FILE_FIRST) panic("fw_cfg: no key %04x", key);
    return &f->item[!!(key & KEY_ARCH)][n];
}
void fw_cfg_item(struct fw_cfg *f, u16 key, const void *data, size_t len) { item_set(item_at(f, key), data, len); }
void fw_cfg_item_take(struct fw_cfg *f, u16 key, u8 *data, size_t len) { item_take(item_at(f, key), data, len); }
void fw_cfg_item_fd(struct fw_cfg *f, u16 key, int fd, u64 pos, u32 len)
{
    struct item *it = item_at(f, key);
    item_drop(it);
    it->from_file = true;
    it->fd = fd;
    it->file_pos = pos;
    it->len = len;
}
void fw_cfg_u16(struct fw_cfg *f, u16 key, u16 v)
{
    u8 b[2];
    st16(b, v);
    fw_cfg_item(f, key, b, sizeof b);
}
void fw_cfg_u32(struct fw_cfg *f, u16 key, u32 v)
{
    u8 b[4];
    st32(b, v);
    fw_cfg_item(f, key, b, sizeof b);
}
void fw_cfg_u64(struct fw_cfg *f, u16 key, u64 v)
{
    u8 b[8];
    st64(b, v);
    fw_cfg_item(f, key, b, sizeof b);
}

static struct item *file_find(const struct fw_cfg *f, const char *name)
{
    for (u32 i = 0; i < f->nfiles; i++) {
        const struct item *it = &f->item[0][FILE_FIRST + i];
        if (!strcmp(it->name, name)) return (struct item *)it;
    }
    return NULL;
}
// Item 19h: number of files, then size, key, two reserved bytes and name of each; big-endian.
static void directory_build(struct fw_cfg *f)
{
    u32 len = 4 + f->nfiles * (8 + NAME_LEN);
    u8 *dir = xalloc(len), *p = dir + 4;
    stbe32(dir, f->nfiles);
    for (u32 i = 0; i < f->nfiles; i++, p += 8 + NAME_LEN) {
        const struct item *it = &f->item[0][FILE_FIRST + i];
        stbe32(p, it->len);
        stbe16(p + 4, FILE_FIRST + i);
        memcpy(p + 8, it->name, NAME_LEN);
    }
    item_set(&f->item[0][FILE_DIR], dir, len);
    free(dir);
}
bool fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    struct item *it = file_find(f, name);
    if (!it) {
        if (strlen(name) >= NAME_LEN || f->nfiles == FILE_SLOTS) return false;
        it = &f->item[0][FILE_FIRST + f->nfiles++];
        snprintf(it->name, sizeof it->name, "%s", name);
    }
    item_set(it, data, len);
    directory_build(f);
    return true;
}
bool fw_cfg_file_rw(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    if (!fw_cfg_file(f, name, data, len)) return false;
    file_find(f, name)->writable = true;
    return true;
}
const void *fw_cfg_find(const struct fw_cfg *f, const char *name, size_t *len)
{
    const struct item *it = file_find(f, name);
    if (it) *len = it->len;
    return it ? it->data : NULL;
}

void fw_cfg_add_pc(struct fw_cfg *f, const struct fw_cfg_pc *o)
{
    static const u8 sleep_states[6] = {0x80, 0, 0, 1, 2, 0x80}; // bit 7: offered. Only S0 and S5.
    u8 e820[40] = {0};                                          // base, length (64 bits each), type 1 = RAM
    st64(e820 + 8, o->below_4g);
    st32(e820 + 16, 1);
    st64(e820 + 20, 1ull << 32);
    st64(e820 + 28, o->above_4g);
    st32(e820 + 36, 1);
    fw_cfg_u64(f, FW_CFG_RAM_SIZE, o->below_4g + o->above_4g);
    fw_cfg_u16(f, FW_CFG_NOGRAPHIC, !o->graphic);
    fw_cfg_u16(f, FW_CFG_NB_CPUS, o->cpus);
    fw_cfg_u16(f, FW_CFG_MAX_CPUS, o->max_cpus);
    fw_cfg_u16(f, FW_CFG_BOOT_MENU, o->menu);
    fw_cfg_item(f, FW_CFG_IRQ0_OVERRIDE, "\1", 1);
    bool ok = fw_cfg_file(f, "etc/e820", e820, o->above_4g ? 40 : 20) &&
              fw_cfg_file(f, "etc/system-states", sleep_states, sizeof sleep_states);
    if (o->bootorder) ok = ok && fw_cfg_file(f, "bootorder", o->bootorder, strlen(o->bootorder) + 1);
    if (o->menu_wait_ms >= 0) {
        u8 wait[2];
        st16(wait, (u16)min_u64(o->menu_wait_ms, 0xffff));
        ok = ok && fw_cfg_file(f, "etc/boot-menu-wait", wait, sizeof wait);
    }
    if (!ok) panic("fw_cfg: directory full");
}

// ---- the part

static void reset(void *self)
{
    struct fw_cfg *f = self;
    select_key(f, 0);
    f->dma = 0;
}
static void state(struct state *s, void *self)
{
    struct fw_cfg *f = self;
    state_u16(s, "key", &f->key);
    state_u32(s, "pos", &f->pos);
    state_u64(s, "dma", &f->dma);
    for (u32 i = 0; i < f->nfiles; i++) { // the other items follow from the machine's options
        struct item *it = &f->item[0][FILE_FIRST + i];
        if (it->writable) state_bytes(s, it->name, it->data, it->len);
    }
    const struct item *it = selected(f);
    if (state_loading(s) && f->pos > (it ? it->len : 0)) state_fail(s, "position beyond the item"), f->pos = 0;
}
static void info(void *self, struct buf *out)
{
    const struct fw_cfg *f = self;
    buf_printf(out, "selected %04x, position %u\n", f->key, f->pos);
    for (int a = 0; a < 2; a++)
        for (unsigned i = 0; i < NITEMS; i++)
            if (f->item[a][i].data || f->item[a][i].from_file)
                buf_printf(out, "%04x %8u  %s\n", a * KEY_ARCH + i, f->item[a][i].len, f->item[a][i].name);
}
static void fw_cfg_free(void *self)
{
    struct fw_cfg *f = self;
    for (unsigned i = 0; i < NITEMS; i++) item_drop(&f->item[0][i]), item_drop(&f->item[1][i]);
    free(f);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = fw_cfg_free};

struct fw_cfg *fw_cfg_new(struct bus *b)
{
    struct fw_cfg *f = xalloc(sizeof *f);
    f->bus = b;
    fw_cfg_item(f, 0, "QEMU", 4);
    fw_cfg_u32(f, 1, 3); // ID: the traditional ports and DMA
    directory_build(f);
    bus_map_port(b, 0x510, 2, &port_ops, f, "fw_cfg");
    bus_map_port(b, 0x514, 8, &dma_ops, f, "fw_cfg");
    part_add(&b->parts, "fw_cfg", &part_ops, f);
    return f;
}
