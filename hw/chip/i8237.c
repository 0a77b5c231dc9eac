// SPDX-License-Identifier: MIT
// Two 8237A DMA controllers, the second one cascading the first through its channel 0 (PC channel 4), and the page
// registers. Intel 8237A data sheet (231466-005); 82371SB (PIIX3) data sheet 2.5.1 and 2.5.2. Transfers take no virtual
// time; priority between channels is that of the devices' calls. As in the PIIX3 there are no memory-to-memory
// transfers. Left out: extended write, compressed timing, DREQ/DACK polarity (pin timing).
#include <stdlib.h>
#include <string.h>
#include "hw/chip/i8237.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { CMD_DISABLE = 4 };
enum { MODE_VERIFY, MODE_WRITE, MODE_READ, MODE_ILLEGAL }; // bits 3..2; "write" is to memory
enum { MODE_AUTO = 0x10, MODE_DOWN = 0x20, MODE_CASCADE = 0xc0 };

struct channel {
    u16 base_addr, base_count, addr, count;
    u8 mode;
};
struct controller {
    struct channel ch[4];
    u8 command, mask, request, tc, dreq; // bit a channel
    bool msb;                            // byte pointer flip-flop
};
struct consumer {
    void (*fn)(void *owner);
    void *owner;
    bool ready; // what fn was told last
};
struct i8237 {
    struct bus *bus;
    struct controller c[2];
    u8 page[16]; // as at ports 80h..8Fh
    struct consumer consumer[8];
};
// Which page register belongs to a channel: port - 80h.
static const u8 page_of[8] = {7, 3, 1, 2, 0xf, 0xb, 9, 0xa};

static bool channel_on(const struct i8237 *d, unsigned n)
{
    const struct controller *c = &d->c[n >> 2];
    return !(c->command & CMD_DISABLE) && !bit(c->mask, n & 3);
}

bool i8237_ready(const struct i8237 *d, unsigned n)
{
    if (n > 7 || n == 4 || !channel_on(d, n)) return false;
    if ((d->c[n >> 2].ch[n & 3].mode & MODE_CASCADE) == MODE_CASCADE) return false; // an external bus master's
    return n > 4 || (channel_on(d, 4) && (d->c[1].ch[0].mode & MODE_CASCADE) == MODE_CASCADE);
}

static void software_request(struct i8237 *d, unsigned n);

// Tells devices whose request can be served from now on.
static void wake(struct i8237 *d)
{
    for (unsigned n = 0; n < 8; n++) {
        struct consumer *u = &d->consumer[n];
        bool ready = i8237_ready(d, n) && bit(d->c[n >> 2].dreq, n & 3);
        bool rose = ready && !u->ready;
        u->ready = ready;
        if (rose && u->fn) u->fn(u->owner);
        if (bit(d->c[n >> 2].request, n & 3)) software_request(d, n);
    }
}

void i8237_attach(struct i8237 *d, unsigned n, void (*fn)(void *), void *owner)
{
    if (n < 8) d->consumer[n] = (struct consumer){fn, owner, false};
}

void i8237_request(struct i8237 *d, unsigned n, int level)
{
    if (n > 7) return;
    u8 m = 1 << (n & 3), *dreq = &d->c[n >> 2].dreq;
    if (!(*dreq & m) == !level) return;
    *dreq ^= m;
    wake(d);
}

static void terminal_count(struct i8237 *d, unsigned n)
{
    struct controller *c = &d->c[n >> 2];
    struct channel *ch = &c->ch[n & 3];
    u8 m = 1 << (n & 3);
    c->tc |= m;
    c->request &= ~m;
    if (ch->mode & MODE_AUTO)
        ch->addr = ch->base_addr, ch->count = ch->base_count;
    else
        c->mask |= m;
    d->consumer[n].ready = i8237_ready(d, n) && bit(c->dreq, n & 3);
}

// The address of the unit at 16-bit address a. Word channels shift it; their page's bit 0 is not used.
static u64 linear(const struct i8237 *d, unsigned n, u16 a)
{
    u8 page = d->page[page_of[n]];
    return n < 4 ? (u64)page << 16 | a : (u64)(page & 0xfe) << 16 | (u64)a << 1;
}

// One stretch of consecutive ascending units.
static void move(struct i8237 *d, u64 pa, u8 *p, size_t len, bool to_memory)
{
    bool ok = to_memory ? bus_dma_write(d->bus, pa, p, len) : bus_dma_read(d->bus, pa, p, len);
    if (!ok) log_guest(&d->bus->log, "dma", "transfer at %llx reaches no memory", (unsigned long long)pa);
}

// `units` bytes or words from the current address, which wraps within its 64 K units.
static void run(struct i8237 *d, unsigned n, u8 *p, u32 units, bool to_memory)
{
    struct channel *ch = &d->c[n >> 2].ch[n & 3];
    unsigned width = n < 4 ? 1 : 2, dir = bits(ch->mode, 3, 2);
    bool down = ch->mode & MODE_DOWN;
    bool moves = p && dir == (to_memory ? MODE_WRITE : MODE_READ);
    if (p && !moves && !to_memory) memset(p, 0xff, (size_t)units * width);
    if (!moves) {
        ch->addr = down ? ch->addr - units : ch->addr + units;
        return;
    }
    while (units) {
        u32 k = down ? 1 : (u32)min_u64(units, 0x10000u - ch->addr);
        move(d, linear(d, n, ch->addr), p, (size_t)k * width, to_memory);
        ch->addr += down ? 0xffff : k;
        p += (size_t)k * width;
        units -= k;
    }
}

size_t i8237_transfer(struct i8237 *d, unsigned n, bool to_memory, void *p, size_t len, bool *tc)
{
    *tc = false;
    unsigned width = n < 4 ? 1 : 2;
    if (!i8237_ready(d, n) || len < width) return 0;
    struct channel *ch = &d->c[n >> 2].ch[n & 3];
    u32 units = (u32)min_u64(len / width, (u32)ch->count + 1);
    run(d, n, p, units, to_memory);
    *tc = units == (u32)ch->count + 1;
    ch->count -= units;
    if (*tc) terminal_count(d, n);
    return (size_t)units * width;
}

// A request by software, which the mask does not stop: the whole block is counted, and no device is there to move data.
static void software_request(struct i8237 *d, unsigned n)
{
    struct controller *c = &d->c[n >> 2];
    struct channel *ch = &c->ch[n & 3];
    if (n == 4 || c->command & CMD_DISABLE || (ch->mode & MODE_CASCADE) == MODE_CASCADE) return;
    run(d, n, NULL, (u32)ch->count + 1, false);
    ch->count = 0xffff;
    terminal_count(d, n);
}

static void master_clear(struct controller *c)
{
    c->command = c->request = c->tc = 0;
    c->mask = 0xf;
    c->msb = false;
}

static void control_write(struct i8237 *d, unsigned who, unsigned reg, u8 v)
{
    struct controller *c = &d->c[who];
    u8 m = 1 << (v & 3);
    switch (reg) {
    case 8: c->command = v; break;
    case 9: c->request = bit(v, 2) ? c->request | m : c->request & ~m; break;
    case 10: c->mask = bit(v, 2) ? c->mask | m : c->mask & ~m; break;
    case 11: c->ch[v & 3].mode = v & ~3; break;
    case 12: c->msb = false; break;
    case 13: master_clear(c); break;
    case 14: c->mask = 0; break;
    case 15: c->mask = v & 15; break;
    }
    wake(d);
}

static void dma_write(struct i8237 *d, unsigned who, unsigned reg, u8 v)
{
    struct controller *c = &d->c[who];
    if (reg > 7) {
        control_write(d, who, reg, v);
        return;
    }
    struct channel *ch = &c->ch[reg >> 1];
    u16 *base = reg & 1 ? &ch->base_count : &ch->base_addr, *cur = reg & 1 ? &ch->count : &ch->addr;
    *base = c->msb ? (*base & 0xff) | v << 8 : (*base & 0xff00) | v;
    *cur = *base; // both are written at once
    c->msb = !c->msb;
}

static u8 dma_read(struct i8237 *d, unsigned who, unsigned reg)
{
    struct controller *c = &d->c[who];
    if (reg < 8) {
        u16 v = reg & 1 ? c->ch[reg >> 1].count : c->ch[reg >> 1].addr;
        c->msb = !c->msb;
        return c->msb ? (u8)v : v >> 8;
    }
    if (reg == 8) {
        u8 v = (c->dreq | c->request) << 4 | c->tc;
        c->tc = 0;
        return v;
    }
    if (reg == 13) return 0;              // temporary register, of memory-to-memory only
    if (reg == 15) return c->mask | 0xf0; // readable in the PIIX3
    return 0xff;
}

static u64 low_read(void *self, u64 off, unsigned size) { return dma_read(self, 0, off); }
static u64 high_read(void *self, u64 off, unsigned size) { return dma_read(self, 1, off >> 1); }
static void low_write(void *self, u64 off, u64 val, unsigned size) { dma_write(self, 0, off, (u8)val); }
static void high_write(void *self, u64 off, u64 val, unsigned size) { dma_write(self, 1, off >> 1, (u8)val); }
static u64 page_read(void *self, u64 off, unsigned size) { return ((struct i8237 *)self)->page[off]; }
static void page_write(void *self, u64 off, u64 val, unsigned size) { ((struct i8237 *)self)->page[off] = (u8)val; }

static void reset(void *self)
{
    struct i8237 *d = self;
    for (int i = 0; i < 2; i++) {
        u8 dreq = d->c[i].dreq;
        d->c[i] = (struct controller){.dreq = dreq};
        master_clear(&d->c[i]);
    }
    memset(d->page, 0, sizeof d->page);
    for (int n = 0; n < 8; n++) d->consumer[n].ready = false;
}

static void state(struct state *s, void *self)
{
    struct i8237 *d = self;
    for (int i = 0; i < 2; i++) {
        struct controller *c = &d->c[i];
        for (int n = 0; n < 4; n++) {
            state_u16(s, "base_addr", &c->ch[n].base_addr);
            state_u16(s, "base_count", &c->ch[n].base_count);
            state_u16(s, "addr", &c->ch[n].addr);
            state_u16(s, "count", &c->ch[n].count);
            state_u8(s, "mode", &c->ch[n].mode);
        }
        state_u8(s, "command", &c->command);
        state_u8(s, "mask", &c->mask);
        state_u8(s, "request", &c->request);
        state_u8(s, "tc", &c->tc);
        state_u8(s, "dreq", &c->dreq);
        state_bool(s, "msb", &c->msb);
        if (state_loading(s)) c->mask &= 15, c->request &= 15, c->tc &= 15, c->dreq &= 15;
    }
    state_bytes(s, "page", d->page, sizeof d->page);
    if (!state_loading(s)) return;
    for (unsigned n = 0; n < 8; n++) d->consumer[n].ready = i8237_ready(d, n) && bit(d->c[n >> 2].dreq, n & 3);
}

static void info(void *self, struct buf *out)
{
    struct i8237 *d = self;
    for (unsigned n = 0; n < 8; n++) {
        const struct channel *ch = &d->c[n >> 2].ch[n & 3];
        buf_printf(out, "channel %u: address %06llx count %04x mode %02x%s%s\n", n,
                   (unsigned long long)linear(d, n, ch->addr), ch->count, ch->mode, channel_on(d, n) ? "" : " masked",
                   bit(d->c[n >> 2].dreq, n & 3) ? " dreq" : "");
    }
}

static const struct io_ops low_ops = {low_read, low_write};
static const struct io_ops high_ops = {high_read, high_write};
static const struct io_ops page_ops = {page_read, page_write};
static const struct part_ops part_ops = {reset, state, info, free};

struct i8237 *i8237_new(struct bus *b)
{
    struct i8237 *d = xalloc(sizeof *d);
    d->bus = b;
    bus_map_port(b, 0x00, 16, &low_ops, d, "dma0");
    bus_map_port(b, 0xc0, 32, &high_ops, d, "dma1");
    bus_map_port(b, 0x80, 16, &page_ops, d, "dma-page");
    reset(d);
    part_add(&b->parts, "dma", &part_ops, d);
    return d;
}
