// SPDX-License-Identifier: MIT
// Intel 82371SB (PIIX3), function 0: PCI to ISA bridge with the PIRQ router and the reset control register.
// Intel 290550-002, sections 2.2 (configuration) and 2.5.4 (RC, CF9h). The legacy devices behind it are files of
// hw/chip. Left out: chip selects, bus timing and SMI registers only keep what is written.
#include <stdlib.h>
#include "hw/pci/piix3.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define PIRQRCA  0x60
#define ROUTABLE 0xdef8 // 3–7, 9–12, 14, 15: the others are reserved

struct piix3 {
    struct pci_dev pci;
    struct irq isa[16];
    u8 pirq;   // levels of PIRQA–D
    u16 level; // of the ISA lines as driven from here
    u8 rc;     // CF9h: only the reset type is kept
};

static void route(struct piix3 *t)
{
    u16 want = 0;
    for (int i = 0; i < 4; i++) {
        u8 rc = t->pci.cfg[PIRQRCA + i];
        if ((t->pirq >> i & 1) && !(rc & 0x80)) want |= 1u << (rc & 15) & ROUTABLE;
    }
    u16 change = want ^ t->level;
    t->level = want;
    for (int n = 0; n < 16; n++)
        if (change >> n & 1) irq_set(&t->isa[n], want >> n & 1);
}
static void pirq_set(void *owner, int n, int level)
{
    struct piix3 *t = owner;
    t->pirq = (t->pirq & ~(1 << n)) | (level != 0) << n;
    route(t);
}
static void config_written(struct pci_dev *d, unsigned reg, unsigned size)
{
    if (reg < PIRQRCA + 4 && reg + size > PIRQRCA) route((void *)d);
}

static u8 cf9_read(void *owner) { return ((struct piix3 *)owner)->rc; }
static void cf9_write(void *owner, u8 v)
{
    struct piix3 *t = owner;
    struct bus *b = t->pci.pci->bus;
    t->rc = v & 2;
    if ((v & 4) && b->system_request) b->system_request(b->system_owner, BUS_REQ_RESET);
}

static void reset(void *self)
{
    struct piix3 *t = self;
    pci_dev_reset(&t->pci);
    t->rc = 0;
    route(t);
}
static void state(struct state *s, void *self)
{
    struct piix3 *t = self;
    pci_dev_state(s, &t->pci);
    state_u8(s, "pirq", &t->pirq);
    state_u16(s, "isa_level", &t->level);
    state_u8(s, "reset_control", &t->rc);
    t->pirq &= 15;
    t->level &= ROUTABLE;
    t->rc &= 2;
}
static void info(void *self, struct buf *out)
{
    struct piix3 *t = self;
    for (int i = 0; i < 4; i++) {
        u8 rc = t->pci.cfg[PIRQRCA + i];
        buf_printf(out, "PIRQ%c: ", 'A' + i);
        if (rc & 0x80)
            buf_printf(out, "not routed");
        else
            buf_printf(out, "IRQ %d", rc & 15);
        buf_printf(out, ", level %d\n", t->pirq >> i & 1);
    }
}
static const struct part_ops ops = {.reset = reset, .state = state, .info = info, .free = free};

// Reset value and writable bits of a register that is not all zero.
static const struct {
    u8 reg, init, wmask;
} regs[] = {
    {0x4c, 0x4d, 0x7f}, {0x4e, 0x03, 0xff}, {0x4f, 0x00, 0x01},                     // I/O recovery, X-bus chip select
    {0x60, 0x80, 0x8f}, {0x61, 0x80, 0x8f}, {0x62, 0x80, 0x8f}, {0x63, 0x80, 0x8f}, // PIRQRC
    {0x69, 0x02, 0xfe}, {0x6a, 0x00, 0xff}, {0x6b, 0x00, 0x81},                     // top of memory, miscellaneous
    {0x70, 0x80, 0xef}, {0x76, 0x0c, 0x8f}, {0x77, 0x0c, 0x8f}, {0x78, 0x02, 0xff}, // motherboard IRQ, DMA, chip select
    {0x79, 0x00, 0xff}, {0x80, 0x00, 0x7f}, {0x82, 0x00, 0x0f}, {0xa0, 0x08, 0x1f}, // APIC base, latency, SMI
    {0xa2, 0x00, 0xff}, {0xa3, 0x00, 0xff}, {0xa4, 0x00, 0xff}, {0xa5, 0x00, 0xff}, //
    {0xa6, 0x00, 0xff}, {0xa7, 0x00, 0xff}, {0xa8, 0x0f, 0xff}, {0xaa, 0x00, 0xff}, //
    {0xab, 0x00, 0xff}, {0xac, 0x00, 0xff}, {0xae, 0x00, 0xff},
};

void piix3_new(struct pci_bus *p, const struct irq isa[16])
{
    struct piix3 *t = xalloc(sizeof *t);
    memcpy(t->isa, isa, sizeof t->isa);
    pci_dev_init(&t->pci, "piix3", 0x8086, 0x7000, 0x060100, 0, 0);
    u8 *c = t->pci.cfg, *w = t->pci.wmask;
    c[PCI_COMMAND] = 0x07; // I/O, memory, master: hardwired
    st16(w + PCI_COMMAND, 0x0008);
    st16(c + PCI_STATUS, 0x0200);
    w[0x0c] = w[0x0d] = 0;
    c[PCI_HEADER_TYPE] = 0x80; // IDE, USB and power management are further functions
    for (size_t i = 0; i < ARRAY_LEN(regs); i++) {
        c[regs[i].reg] = regs[i].init;
        w[regs[i].reg] = regs[i].wmask;
    }
    t->pci.config_written = config_written;
    if (!pci_dev_add(p, &t->pci, PCI_DEVFN(1, 0))) panic("piix3: 00:01.0 is taken");
    for (int i = 0; i < 4; i++) p->pirq[i] = (struct irq){pirq_set, t, i};
    p->cf9_read = cf9_read;
    p->cf9_write = cf9_write;
    p->cf9_owner = t;
    part_add(&p->bus->parts, "piix3", &ops, t);
}
