// SPDX-License-Identifier: MIT
// Intel 82441FX (440FX PMC), the host bridge: programmable attribute map and SMRAM control.
// Intel 290549-001, sections 3.2 (registers) and 4.1 (address map).
// Left out: DRAM timing and error registers only keep what is written; no AGP (there was none), no SMM view of SMRAM.
#include <stdlib.h>
#include "hw/pci/i440fx.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { PAM0 = 0x59, PAM6 = 0x5f, DRB0 = 0x60, SMRAM = 0x72, D_OPEN = 0x40, D_LCK = 0x10 };
#define NSEG       13
#define PAM_PRIO   1 // over the ROM below 1 MB
#define SMRAM_PRIO 4 // over the display's window

struct i440fx {
    struct pci_dev pci;
    struct region *seg[NSEG]; // 0: F0000h–FFFFFh (PAM0); then 16 KB each from C0000h, two a register (PAM1–PAM6)
    struct region *smram;
};

// Attribute bits of segment i: bit 0 reads, bit 1 writes go to RAM. The same values as REGION_R and REGION_W.
static int seg_rw(const struct i440fx *h, int i)
{
    if (!i) return h->pci.cfg[PAM0] >> 4 & 3;
    return h->pci.cfg[PAM0 + (i + 1) / 2] >> (i & 1 ? 0 : 4) & 3;
}
static void update(struct i440fx *h)
{
    struct bus *b = h->pci.pci->bus;
    bus_map_begin(b);
    for (int i = 0; i < NSEG; i++) {
        struct region *r = h->seg[i];
        if (!r) continue;
        int rw = seg_rw(h, i);
        if (rw) bus_region_rw(b, r, rw);
        bus_region_set(b, r, r->base, rw != 0);
    }
    if (h->smram) bus_region_set(b, h->smram, h->smram->base, h->pci.cfg[SMRAM] & D_OPEN);
    bus_map_commit(b);
}

static void config_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    struct i440fx *h = (void *)d;
    if (d->cfg[SMRAM] & D_LCK) { // locked until reset: D_OPEN cleared, all read-only
        d->cfg[SMRAM] &= ~D_OPEN;
        d->wmask[SMRAM] = 0;
    }
    if ((reg <= PAM6 && reg + size > PAM0) || (reg <= SMRAM && reg + size > SMRAM)) update(h);
}
static void reset(void *self)
{
    struct i440fx *h = self;
    h->pci.wmask[SMRAM] = 0x78;
    pci_dev_reset(&h->pci);
    update(h);
}
static void state(struct state *s, void *self)
{
    struct i440fx *h = self;
    pci_dev_state(s, &h->pci);
    if (!state_loading(s)) return;
    h->pci.wmask[SMRAM] = h->pci.cfg[SMRAM] & D_LCK ? 0 : 0x78;
    update(h);
}
static const struct part_ops ops = {.reset = reset, .state = state, .free = free};

void i440fx_new(struct pci_bus *p, struct ram *ram, u64 total)
{
    struct i440fx *h = xalloc(sizeof *h);
    pci_dev_init(&h->pci, "i440fx", 0x8086, 0x1237, 0x060000, 2, 0);
    u8 *c = h->pci.cfg, *w = h->pci.wmask;
    c[PCI_COMMAND] = 0x06; // memory and master: hardwired
    st16(w + PCI_COMMAND, 0x0140);
    st16(c + PCI_STATUS, 0x0280); // medium DEVSEL#, fast back-to-back
    w[0x0c] = 0;
    w[0x0d] = 0xf8;
    w[0x0f] = 0xff;                        // BIST: kept, not run
    st16(w + 0x50, 0xfff8);                // PMCCFG
    w[0x52] = w[0x53] = 0xff;              // deturbo, DBX buffer control
    w[0x54] = w[0x55] = w[0x56] = 0xff;    // auxiliary control, SDRAM, DRAM row type
    c[0x57] = 1, w[0x57] = w[0x58] = 0xff; // DRAM control and timing
    for (int r = PAM0; r <= PAM6; r++) w[r] = r == PAM0 ? 0x30 : 0x33;
    for (int r = DRB0; r < DRB0 + 8; r++) { // row boundaries, units of 8 MB: one row holds it all
        c[r] = min_u64(align_up(total, 8 << 20) >> 23, 0xff);
        w[r] = 0xff;
    }
    w[0x68] = 0xff;           // fixed DRAM hole
    w[0x70] = w[0x71] = 0xff; // multi-transaction timer, CPU latency
    c[SMRAM] = 0x02;          // base select: A0000h, fixed
    c[0x71] = 0x10;
    w[0x90] = w[0x91] = w[0x93] = 0xff; // error command and status, turbo reset
    h->pci.config_written = config_written;
    for (int i = 0; i < NSEG; i++) {
        u64 base = i ? 0xc0000 + (i - 1) * 0x4000 : 0xf0000, size = i ? 0x4000 : 0x10000;
        if (range_ok(base, size, ram->size))
            h->seg[i] = bus_map_ram(p->bus, base, size, ram, base, REGION_RW, PAM_PRIO, "pam");
    }
    if (ram->size >= 0xc0000)
        h->smram = bus_map_ram(p->bus, 0xa0000, 0x20000, ram, 0xa0000, REGION_RW, SMRAM_PRIO, "smram");
    if (!pci_dev_add(p, &h->pci, PCI_DEVFN(0, 0))) panic("i440fx: 00:00.0 is taken");
    part_add(&p->bus->parts, "i440fx", &ops, h);
    reset(h);
}
