// SPDX-License-Identifier: MIT
// PCI: one root bus, configuration mechanism #1, and what a function embeds as its first member. See pci.c.
//   pci_dev_init(&d->pci, "ide", 0x8086, 0x7010, 0x010180, 0, 1);  fill d->pci.cfg / wmask / w1c for what is special
//   pci_bar_io(&d->pci, bus, 4, 16, &ops, d);                        any number of BARs
//   pci_dev_add(bus, &d->pci, PCI_DEVFN(1, 1));                      cfg as it is now = reset values
// then pci_dev_reset() and pci_dev_state() from the device's own reset and state functions (the latter first in them).
#pragma once
#include "mem/bus.h"

#define PCI_DEVFN(slot, fn) ((slot) << 3 | (fn))
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBVENDOR = 0x2c,
    PCI_SUBDEVICE = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPS = 0x34,
    PCI_INT_LINE = 0x3c,
    PCI_INT_PIN = 0x3d
};
enum { PCI_CMD_IO = 1, PCI_CMD_MEM = 2, PCI_CMD_MASTER = 4, PCI_CMD_SERR = 0x100, PCI_CMD_INTX_OFF = 0x400 };
enum { PCI_BAR_64 = 4, PCI_BAR_PREFETCH = 8 }; // flags of memory BARs, as the low bits of the register have them
#define PCI_ROM_BAR 6

struct state;
struct pci_bar {
    struct region *region; // NULL: not implemented
    u64 size;
};
struct pci_dev {
    struct pci_bus *pci;
    const char *name;
    u8 devfn;
    bool intx; // the function asks for its interrupt (before the command register's disable bit)
    u8 cfg[256], wmask[256], w1c[256]; // bits that software may write, or clear by writing 1
    u8 init[256];                      // cfg after reset
    struct pci_bar bar[7];             // 6: expansion ROM
    // Optional: refresh cfg before software reads, act on what it wrote (cfg already holds it, BARs have moved).
    void (*config_read)(struct pci_dev *d, unsigned reg, unsigned size);
    void (*config_written)(struct pci_dev *d, unsigned reg, unsigned size);
};
struct pci_bus {
    struct bus *bus;
    struct pci_dev *dev[256];    // by devfn
    u32 addr;                    // CF8h
    u16 level[4];                // functions that pull PIRQA–D now
    struct irq pirq[4];          // set by the ISA bridge
    u8 (*cf9_read)(void *owner); // port CF9h, the ISA bridge's, lies inside the address register
    void (*cf9_write)(void *owner, u8 v);
    void *cf9_owner;
};
struct pci_bus *pci_bus_new(struct bus *b); // maps CF8h–CFFh

// class_: 24 bits, base class in the highest byte. pin: 1 = INTA#, 0 = no interrupt.
void pci_dev_init(struct pci_dev *d, const char *name, u16 vendor, u16 device, u32 class_, u8 rev, u8 pin);
// size: a power of two, at least 4 (I/O) or 16 (memory). The region is made here and enabled by the command register.
// RAM and fixed registers win over a BAR that a guest places on top of them.
void pci_bar_io(struct pci_dev *d, struct pci_bus *p, int n, u32 size, const struct io_ops *ops, void *owner);
void pci_bar_mmio(struct pci_dev *d, struct pci_bus *p, int n, u64 size, int flags, const struct io_ops *ops,
                  void *owner);
void pci_bar_ram(struct pci_dev *d, struct pci_bus *p, int n, struct ram *ram, int flags);
void pci_bar_rom(struct pci_dev *d, struct pci_bus *p, struct ram *rom); // rom->size: a power of two
// Appends a capability of `size` bytes (id and link included); returns its offset. Call before pci_dev_add().
u8 pci_add_cap(struct pci_dev *d, u8 id, u8 size);
// devfn < 0: the first free slot. False if that place is taken or the bus is full.
bool pci_dev_add(struct pci_bus *p, struct pci_dev *d, int devfn);
void pci_dev_reset(struct pci_dev *d); // configuration space, BARs off, interrupt low
void pci_dev_state(struct state *s, struct pci_dev *d);
void pci_set_irq(struct pci_dev *d, bool level);
INLINE bool pci_master(const struct pci_dev *d) { return d->cfg[PCI_COMMAND] & PCI_CMD_MASTER; }
// Bus-master access. False: not allowed by the command register, or master abort (noted in the status register).
bool pci_dma_read(struct pci_dev *d, u64 pa, void *to, u64 len) MUST_CHECK;
bool pci_dma_write(struct pci_dev *d, u64 pa, const void *from, u64 len) MUST_CHECK;
