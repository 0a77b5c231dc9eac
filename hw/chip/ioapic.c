// SPDX-License-Identifier: MIT
// I/O APIC. Intel 82093AA data sheet (290566-001); version 20h with its EOI register as in the ICH family (ICH9 13.5).
// An edge at a masked pin is lost, as the data sheet says. SMI, NMI, INIT and ExtINT are edge-triggered by definition.
// The polarity bit is stored and has no effect: lines inside the machine are "asserted" or not.
// Left out: the arbitration bus (the register mirrors the identity).
#include <stdlib.h>
#include "hw/chip/ioapic.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { REG_ID, REG_VERSION, REG_ARB, REG_TABLE = 0x10 };
#define RTE_PENDING (1ull << 12) // delivery status, read-only
#define RTE_IRR     (1ull << 14) // remote IRR, read-only
#define RTE_LEVEL   (1ull << 15)
#define RTE_MASK    (1ull << 16)
#define RTE_WRITE   0xff0000000001afffull

struct ioapic {
    struct bus *bus;
    struct apic_bus to;
    u8 id0, id; // after reset, now
    u8 select;
    u32 line; // pin levels
    u64 rte[IOAPIC_PINS];
    u64 raised[IOAPIC_PINS]; // for people only: no part of the state
};

static unsigned rte_mode(u64 e) { return bits(e, 10, 8); }
static bool rte_level(u64 e) { return e & RTE_LEVEL && rte_mode(e) <= APIC_LOWEST; }

static void send(struct ioapic *p, unsigned pin)
{
    u64 *e = &p->rte[pin];
    struct apic_msg m = {
        .dest = *e >> 56, .logical = bit(*e, 11), .level = rte_level(*e), .mode = rte_mode(*e), .vector = (u8)*e};
    // Set before sending: the message may come back as an EOI at once.
    if (m.level) *e |= RTE_IRR;
    if (!p->to.send(p->to.owner, &m) && m.level) *e &= ~RTE_IRR; // nobody took it: tried again with the next event
}

// A level-triggered pin that is asserted and not yet taken.
static void service(struct ioapic *p, unsigned pin)
{
    u64 e = p->rte[pin];
    if (rte_level(e) && bit(p->line, pin) && !(e & (RTE_MASK | RTE_IRR))) send(p, pin);
}

static void line_set(void *self, int pin, int level)
{
    struct ioapic *p = self;
    u32 m = 1u << pin;
    if (!(p->line & m) == !level) return;
    p->line ^= m;
    if (!level) return;
    p->raised[pin]++;
    if (rte_level(p->rte[pin]))
        service(p, pin);
    else if (!(p->rte[pin] & RTE_MASK))
        send(p, pin);
}

struct irq ioapic_line(struct ioapic *p, unsigned pin)
{
    return pin < IOAPIC_PINS ? (struct irq){line_set, p, (int)pin} : (struct irq){0};
}

void ioapic_eoi(struct ioapic *p, u8 vector)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        u64 *e = &p->rte[i];
        if ((u8)*e != vector || !(*e & RTE_IRR)) continue;
        *e &= ~RTE_IRR;
        service(p, i);
    }
}

static u32 reg_read(struct ioapic *p)
{
    switch (p->select) {
    case REG_ID:
    case REG_ARB: return (u32)p->id << 24;
    case REG_VERSION: return (IOAPIC_PINS - 1) << 16 | 0x20;
    default: break;
    }
    unsigned i = p->select - REG_TABLE;
    if (p->select < REG_TABLE || i >= 2 * IOAPIC_PINS) return 0;
    return (u32)(p->rte[i / 2] >> (i & 1 ? 32 : 0));
}

static void reg_write(struct ioapic *p, u32 v)
{
    unsigned i = p->select - REG_TABLE;
    if (p->select == REG_ID) p->id = v >> 24 & 15;
    if (p->select < REG_TABLE || i >= 2 * IOAPIC_PINS) return;
    u64 *e = &p->rte[i / 2];
    u64 part = i & 1 ? (u64)v << 32 : v, keep = i & 1 ? 0xffffffffull : ~0xffffffffull;
    *e = (*e & (keep | RTE_PENDING | RTE_IRR)) | (part & ~keep & RTE_WRITE);
    if (!rte_level(*e)) *e &= ~RTE_IRR; // how drivers without the EOI register clear a stuck one
    service(p, i / 2);
}

static u64 mmio_read(void *self, u64 off, unsigned size)
{
    struct ioapic *p = self;
    switch (off & 0xff) {
    case 0x00: return p->select;
    case 0x10: return reg_read(p);
    default: return 0;
    }
}

static void mmio_write(void *self, u64 off, u64 val, unsigned size)
{
    struct ioapic *p = self;
    switch (off & 0xff) {
    case 0x00: p->select = (u8)val; break; // the only one that is a byte
    case 0x10:
        if (size == 4) reg_write(p, (u32)val);
        break;
    case 0x40: ioapic_eoi(p, (u8)val); break;
    default: break;
    }
}

const u64 *ioapic_raised(const struct ioapic *p) { return p->raised; }

static void reset(void *self)
{
    struct ioapic *p = self;
    p->id = p->id0;
    p->select = 0;
    for (unsigned i = 0; i < IOAPIC_PINS; i++) p->rte[i] = RTE_MASK;
}

static void state(struct state *s, void *self)
{
    struct ioapic *p = self;
    state_u8(s, "id", &p->id);
    state_u8(s, "select", &p->select);
    state_u32(s, "line", &p->line);
    state_u64s(s, "rte", p->rte, IOAPIC_PINS);
    if (!state_loading(s)) return;
    p->id &= 15;
    p->line &= (1u << IOAPIC_PINS) - 1;
    for (unsigned i = 0; i < IOAPIC_PINS; i++) p->rte[i] &= RTE_WRITE | RTE_IRR;
}

static void info_pins(struct buf *out, const char *name, u32 set)
{
    buf_printf(out, "  %-8s", name);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        if (bit(set, i)) buf_printf(out, " %u", i);
    buf_printf(out, "%s\n", set ? "" : " (none)");
}

// QEMU's layout.
static void info(void *self, struct buf *out)
{
    static const char *const modes[8] = {"fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT"};
    u32 irr = 0;
    struct ioapic *p = self;
    buf_printf(out, "ioapic0: ver=0x20 id=0x%02x sel=0x%02x\n", p->id, p->select);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        u64 e = p->rte[i];
        irr |= (e & RTE_IRR ? 1u : 0) << i;
        buf_printf(out, "  pin %-2u 0x%016llx dest=%X vec=%-3u active-%s %-5s %-6s %-6s %s\n", i, (unsigned long long)e,
                   (unsigned)(e >> 56), (u8)e, bit(e, 13) ? "lo" : "hi", e & RTE_LEVEL ? "level" : "edge",
                   e & RTE_MASK ? "masked" : "", modes[rte_mode(e)], bit(e, 11) ? "logical" : "physical");
    }
    info_pins(out, "IRR", p->line);
    info_pins(out, "Remote IRR", irr);
}

static const struct io_ops mmio_ops = {mmio_read, mmio_write, .sizes = 4, .narrow_write = true};
static const struct part_ops part_ops = {reset, state, info, free};

struct ioapic *ioapic_new(struct bus *b, u64 base, u8 id, struct apic_bus to)
{
    struct ioapic *p = xalloc(sizeof *p);
    *p = (struct ioapic){.bus = b, .to = to, .id0 = id & 15};
    bus_map_mmio(b, base, 0x1000, &mmio_ops, p, "ioapic", 0);
    reset(p);
    part_add(&b->parts, "ioapic", &part_ops, p);
    return p;
}
