// SPDX-License-Identifier: MIT
// PCI root bus: configuration mechanism #1 (ports CF8h, CFCh), type 0 headers, BARs, INTx wires.
// PCI Local Bus Specification 3.0, chapters 3.2.2.3.2 and 6; Intel 290549 (82441FX) section 3.1 for CONFADD and
// CONFDATA. Left out: bridges to further buses, special cycles, MSI (this machine's bridges predate it), parity.
#include <stdlib.h>
#include "hw/pci/pci.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define BAR_PRIO -8 // below RAM, ROM and every fixed register: a BAR on top of them is shadowed

void pci_dev_init(struct pci_dev *d, const char *name, u16 vendor, u16 device, u32 class_, u8 rev, u8 pin)
{
    d->name = name;
    st16(d->cfg + PCI_VENDOR, vendor);
    st16(d->cfg + PCI_DEVICE, device);
    d->cfg[PCI_REVISION] = rev;
    d->cfg[PCI_CLASS] = (u8)class_;
    st16(d->cfg + PCI_CLASS + 1, class_ >> 8);
    d->cfg[PCI_INT_PIN] = pin;
    st16(d->wmask + PCI_COMMAND, 0x0547); // I/O, memory, master, parity, SERR, INTx disable
    d->w1c[PCI_STATUS + 1] = 0xf9;
    d->wmask[0x0c] = d->wmask[0x0d] = 0xff; // cache line size, latency timer
    if (pin) d->wmask[PCI_INT_LINE] = 0xff;
}

static unsigned bar_reg(int n) { return n == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * n; }

// Gives BAR n its region (made enabled at 0 inside a begin/commit pair that the caller opened) and its register masks.
static void bar_set(struct pci_dev *d, struct pci_bus *p, int n, struct region *r, u64 size, u32 low)
{
    unsigned reg = bar_reg(n);
    if (!is_pow2(size) || n < 0 || n > 6 || d->bar[n].region) panic("%s: bad BAR %d", d->name, n);
    r->prio = BAR_PRIO;
    bus_region_set(p->bus, r, 0, false);
    bus_map_commit(p->bus);
    d->bar[n] = (struct pci_bar){r, size};
    st32(d->cfg + reg, low);
    u64 mask = ~(size - 1);
    st32(d->wmask + reg, (u32)mask | (n == PCI_ROM_BAR));
    if (n != PCI_ROM_BAR && !(low & 1) && (low & PCI_BAR_64)) st32(d->wmask + reg + 4, mask >> 32);
}
void pci_bar_io(struct pci_dev *d, struct pci_bus *p, int n, u32 size, const struct io_ops *ops, void *owner)
{
    bus_map_begin(p->bus);
    bar_set(d, p, n, bus_map_port(p->bus, 0, size, ops, owner, d->name), size, 1);
}
void pci_bar_mmio(struct pci_dev *d, struct pci_bus *p, int n, u64 size, int flags, const struct io_ops *ops,
                  void *owner)
{
    bus_map_begin(p->bus);
    bar_set(d, p, n, bus_map_mmio(p->bus, 0, size, ops, owner, d->name, BAR_PRIO), size, flags);
}
void pci_bar_ram(struct pci_dev *d, struct pci_bus *p, int n, struct ram *ram, int flags)
{
    bus_map_begin(p->bus);
    bar_set(d, p, n, bus_map_ram(p->bus, 0, ram->size, ram, 0, REGION_RW, BAR_PRIO, d->name), ram->size, flags);
}
void pci_bar_rom(struct pci_dev *d, struct pci_bus *p, struct ram *rom)
{
    bus_map_begin(p->bus);
    bar_set(d, p, PCI_ROM_BAR, bus_map_ram(p->bus, 0, rom->size, rom, 0, REGION_R, BAR_PRIO, d->name), rom->size, 0);
}

u8 pci_add_cap(struct pci_dev *d, u8 id, u8 size)
{
    unsigned end = 0x40; // first free byte: after the last capability
    for (unsigned at = d->cfg[PCI_CAPS]; at; at = d->cfg[at + 1])
        end = max_u64(end, at + d->init[at]); // init[] holds the lengths until pci_dev_add()
    end = align_up(end, 4);
    if (!range_ok(end, size, 256) || size < 2) panic("%s: no room for capability %02x", d->name, id);
    d->cfg[end] = id;
    d->cfg[end + 1] = d->cfg[PCI_CAPS];
    d->init[end] = size;
    d->cfg[PCI_CAPS] = end;
    d->cfg[PCI_STATUS] |= 0x10;
    return end;
}

bool pci_dev_add(struct pci_bus *p, struct pci_dev *d, int devfn)
{
    if (devfn < 0) {
        for (devfn = PCI_DEVFN(2, 0); devfn < 256 && p->dev[devfn]; devfn += 8)
            ;
    }
    if (devfn > 255 || p->dev[devfn]) return false;
    d->pci = p;
    d->devfn = devfn;
    memcpy(d->init, d->cfg, sizeof d->init);
    p->dev[devfn] = d;
    return true;
}

// Where BAR n decodes now; false if it does not.
static bool bar_decodes(const struct pci_dev *d, int n, u64 *base)
{
    const u8 *at = d->cfg + bar_reg(n);
    u16 cmd = ld16(d->cfg + PCI_COMMAND);
    u32 low = ld32(at);
    u64 size = d->bar[n].size;
    if (n == PCI_ROM_BAR) {
        *base = low & ~(u32)0x7ff;
        if (!(low & 1)) return false;
    } else if (low & 1) {
        *base = low & ~3u;
        return (cmd & PCI_CMD_IO) && *base && range_ok(*base, size, 0x10000);
    } else {
        *base = low & ~15u;
        if (low & PCI_BAR_64) *base |= (u64)ld32(at + 4) << 32;
    }
    // The all-ones pattern of sizing decodes nothing; neither does 0, where RAM is.
    u64 top = !(low & 1) && (low & PCI_BAR_64) && n != PCI_ROM_BAR ? ~(u64)0 : 0xffffffff;
    return (cmd & PCI_CMD_MEM) && *base && *base + size - 1 < top && *base + size - 1 >= *base;
}

static void bars_update(struct pci_dev *d)
{
    bus_map_begin(d->pci->bus);
    for (int n = 0; n < 7; n++) {
        struct region *r = d->bar[n].region;
        u64 base;
        if (!r) continue;
        bool on = bar_decodes(d, n, &base);
        if (on || r->enabled) bus_region_set(d->pci->bus, r, on ? base : r->base, on);
    }
    bus_map_commit(d->pci->bus);
}

// The 440FX boards' wiring: INTA# of slot n goes to PIRQ[n-1 mod 4], INTB# to the next, and so on.
static unsigned pirq_of(const struct pci_dev *d) { return ((d->devfn >> 3) + d->cfg[PCI_INT_PIN] - 1 - 1) & 3; }

// The status bit shows the request; the wire also obeys the disable bit.
static bool intx_wire(const struct pci_dev *d) { return d->intx && !(d->cfg[PCI_COMMAND + 1] & PCI_CMD_INTX_OFF >> 8); }
static void intx_change(struct pci_dev *d, bool before)
{
    bool now = intx_wire(d);
    d->cfg[PCI_STATUS] = (d->cfg[PCI_STATUS] & ~8) | d->intx << 3;
    if (now == before) return;
    struct pci_bus *p = d->pci;
    unsigned n = pirq_of(d);
    p->level[n] += now ? 1 : -1;
    irq_set(&p->pirq[n], p->level[n] != 0);
}
void pci_set_irq(struct pci_dev *d, bool level)
{
    if (!d->cfg[PCI_INT_PIN]) return;
    bool before = intx_wire(d);
    d->intx = level;
    intx_change(d, before);
}

void pci_dev_reset(struct pci_dev *d)
{
    pci_set_irq(d, false);
    memcpy(d->cfg, d->init, sizeof d->cfg);
    bars_update(d);
}

void pci_dev_state(struct state *s, struct pci_dev *d)
{
    u8 cfg[256];
    bool before = intx_wire(d);
    memcpy(cfg, d->cfg, sizeof cfg);
    state_bytes(s, "config", cfg, sizeof cfg);
    state_bool(s, "intx", &d->intx);
    if (!state_loading(s) || !state_ok(s)) return;
    // Only bits that software or the device can change are taken over: the file cannot turn the device into another
    // one.
    for (int i = 0; i < 256; i++) {
        bool fixed = i < PCI_COMMAND || (i >= PCI_REVISION && i < 0x0c) || (i >= PCI_HEADER_TYPE && i < PCI_INT_LINE);
        u8 m = i == PCI_INT_PIN || i == PCI_CAPS ? 0 : fixed ? d->wmask[i] : 0xff;
        d->cfg[i] = (d->cfg[i] & ~m) | (cfg[i] & m);
    }
    if (!d->cfg[PCI_INT_PIN]) d->intx = false;
    // The wire's far end has its own saved level.
    d->pci->level[pirq_of(d)] += intx_wire(d) - before;
    bars_update(d);
}

bool pci_dma_read(struct pci_dev *d, u64 pa, void *to, u64 len)
{
    if (!pci_master(d)) {
        memset(to, 0xff, len);
        return false;
    }
    if (bus_dma_read(d->pci->bus, pa, to, len)) return true;
    d->cfg[PCI_STATUS + 1] |= 0x20; // received master abort
    return false;
}
bool pci_dma_write(struct pci_dev *d, u64 pa, const void *from, u64 len)
{
    if (!pci_master(d)) return false;
    if (bus_dma_write(d->pci->bus, pa, from, len)) return true;
    d->cfg[PCI_STATUS + 1] |= 0x20;
    return false;
}

static u32 config_load(struct pci_dev *d, unsigned reg, unsigned size)
{
    if (d->config_read) d->config_read(d, reg, size);
    return ld_size(d->cfg + reg, size);
}
static void config_store(struct pci_dev *d, unsigned reg, u32 val, unsigned size)
{
    bool wire = intx_wire(d);
    for (unsigned i = 0; i < size; i++) {
        u8 v = val >> 8 * i, *c = &d->cfg[reg + i];
        *c = ((*c & ~d->wmask[reg + i]) | (v & d->wmask[reg + i])) & ~(v & d->w1c[reg + i]);
    }
    if (reg < PCI_COMMAND + 2 && reg + size > PCI_COMMAND) intx_change(d, wire), bars_update(d);
    if (reg < PCI_ROM + 4 && reg + size > PCI_BAR0) bars_update(d);
    if (d->config_written) d->config_written(d, reg, size);
}

static struct pci_dev *config_target(struct pci_bus *p)
{
    if (!(p->addr & 1u << 31) || (p->addr >> 16 & 0xff)) return NULL;
    return p->dev[p->addr >> 8 & 0xff];
}

static u64 conf_read(void *dev, u64 off, unsigned size)
{
    struct pci_bus *p = dev;
    if (off >= 4) {
        struct pci_dev *d = config_target(p);
        return d ? config_load(d, (p->addr & 0xfc) + (off - 4), size) : size_mask(size);
    }
    if (off == 0 && size == 4) return p->addr;
    if (off == 1 && size == 1 && p->cf9_read) return p->cf9_read(p->cf9_owner);
    return size_mask(size); // narrow cycles go on to PCI, where nobody is
}
static void conf_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct pci_bus *p = dev;
    if (off >= 4) {
        struct pci_dev *d = config_target(p);
        if (d) config_store(d, (p->addr & 0xfc) + (off - 4), (u32)val, size);
    } else if (off == 0 && size == 4) {
        p->addr = (u32)val & 0x80fffffc;
    } else if (off == 1 && size == 1 && p->cf9_write) {
        p->cf9_write(p->cf9_owner, (u8)val);
    }
}
static const struct io_ops conf_ops = {.read = conf_read, .write = conf_write, .sizes = 1 | 2 | 4};

static void pci_reset(void *self) { ((struct pci_bus *)self)->addr = 0; }
static void pci_state(struct state *s, void *self)
{
    struct pci_bus *p = self;
    state_u32(s, "addr", &p->addr);
    p->addr &= 0x80fffffc;
}

static void info_bar(struct buf *out, const struct pci_dev *d, int n)
{
    u32 low = ld32(d->cfg + bar_reg(n));
    u64 base;
    bool on = bar_decodes(d, n, &base), io = n != PCI_ROM_BAR && (low & 1);
    const char *kind = io                                           ? "I/O"
                       : n == PCI_ROM_BAR                           ? "32 bit ROM memory"
                       : low & PCI_BAR_64 && low & PCI_BAR_PREFETCH ? "64 bit prefetchable memory"
                       : low & PCI_BAR_64                           ? "64 bit memory"
                       : low & PCI_BAR_PREFETCH                     ? "32 bit prefetchable memory"
                                                                    : "32 bit memory";
    if (on)
        buf_printf(out, "      BAR%d: %s at 0x%0*llx [0x%0*llx].\n", n, kind, io ? 4 : 8, (unsigned long long)base,
                   io ? 4 : 8, (unsigned long long)(base + d->bar[n].size - 1));
    else
        buf_printf(out, "      BAR%d: %s (not mapped).\n", n, kind);
}
static const char *class_name(u16 c)
{
    static const struct {
        u16 class_;
        const char *name;
    } names[] = {{0x0100, "SCSI controller"},
                 {0x0101, "IDE controller"},
                 {0x0106, "SATA controller"},
                 {0x0180, "Storage controller"},
                 {0x0200, "Ethernet controller"},
                 {0x0300, "VGA controller"},
                 {0x0380, "Display controller"},
                 {0x0401, "Audio controller"},
                 {0x0600, "Host bridge"},
                 {0x0601, "ISA bridge"},
                 {0x0604, "PCI bridge"},
                 {0x0680, "Bridge"},
                 {0x0780, "Communication controller"},
                 {0x0c03, "USB controller"},
                 {0x0c05, "SMBus"}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].class_ == c) return names[i].name;
    return NULL;
}

// QEMU's layout.
static void pci_info(void *self, struct buf *out)
{
    struct pci_bus *p = self;
    for (int i = 0; i < 256; i++) {
        const struct pci_dev *d = p->dev[i];
        if (!d) continue;
        u16 class_ = ld16(d->cfg + PCI_CLASS + 1);
        buf_printf(out, "  Bus  0, device %3d, function %d:\n    ", i >> 3, i & 7);
        if (class_name(class_))
            buf_printf(out, "%s", class_name(class_));
        else
            buf_printf(out, "Class %04x", class_);
        buf_printf(out, ": PCI device %04x:%04x\n", ld16(d->cfg), ld16(d->cfg + 2));
        if (ld32(d->cfg + PCI_SUBVENDOR))
            buf_printf(out, "      PCI subsystem %04x:%04x\n", ld16(d->cfg + PCI_SUBVENDOR),
                       ld16(d->cfg + PCI_SUBDEVICE));
        if (d->cfg[PCI_INT_PIN])
            buf_printf(out, "      IRQ %d, pin %c\n", d->cfg[PCI_INT_LINE], 'A' + d->cfg[PCI_INT_PIN] - 1);
        for (int n = 0; n < 7; n++)
            if (d->bar[n].region) info_bar(out, d, n);
        buf_printf(out, "      id \"%s\"\n", d->name);
    }
}
static const struct part_ops pci_ops = {.reset = pci_reset, .state = pci_state, .info = pci_info, .free = free};

struct pci_bus *pci_bus_new(struct bus *b)
{
    struct pci_bus *p = xalloc(sizeof *p);
    p->bus = b;
    bus_map_port(b, 0xcf8, 8, &conf_ops, p, "pci");
    part_add(&b->parts, "pci", &pci_ops, p);
    return p;
}
