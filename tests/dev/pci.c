// SPDX-License-Identifier: MIT
// PCI configuration, BARs, PAM, PIRQ routing and reset, as firmware and Linux' type 1 probe use them.
#include "hw/pci/i440fx.h"
#include "hw/pci/piix3.h"
#include "mem/base/bits.h"
#include "mem/state.h"
#include "tests/check.h"

struct tdev {
    struct pci_dev pci;
    u32 reg;
};
struct machine {
    struct bus bus;
    struct pci_bus *pci;
    struct ram *ram, *rom, *fb;
    struct tdev *t;
    int level[16], resets;
};
static u64 t_read(void *dev, u64 off, unsigned size) { return ((struct tdev *)dev)->reg + off; }
static void t_write(void *dev, u64 off, u64 v, unsigned size) { ((struct tdev *)dev)->reg = v; }
static const struct io_ops t_ops = {t_read, t_write, 4, false};
static void t_reset(void *self) { pci_dev_reset(&((struct tdev *)self)->pci); }
static void t_state(struct state *s, void *self) { pci_dev_state(s, &((struct tdev *)self)->pci); }
static const struct part_ops t_part = {.reset = t_reset, .state = t_state, .free = free};

static void isa_set(void *owner, int n, int level) { ((struct machine *)owner)->level[n] = level; }
static void request(void *owner, int what) { ((struct machine *)owner)->resets += what == BUS_REQ_RESET; }

static struct machine *make(void)
{
    struct machine *m = xalloc(sizeof *m);
    struct err e = {0};
    bus_init(&m->bus);
    m->bus.system_request = request;
    m->bus.system_owner = m;
    m->ram = ram_new(&m->bus, "ram", 2 << 20, &e);
    m->rom = ram_new(&m->bus, "rom", 64 << 10, &e);
    m->fb = ram_new(&m->bus, "fb", 1 << 20, &e);
    m->rom->rom = true;
    memset(m->rom->host, 0x5a, m->rom->size);
    bus_map_ram(&m->bus, 0, 0xa0000, m->ram, 0, REGION_RW, 0, "low");
    bus_map_ram(&m->bus, 0x100000, 0x100000, m->ram, 0x100000, REGION_RW, 0, "high");
    bus_map_ram(&m->bus, 0xf0000, 0x10000, m->rom, 0, REGION_R, 0, "bios");
    m->pci = pci_bus_new(&m->bus);
    i440fx_new(m->pci, m->ram, 2 << 20);
    struct irq isa[16];
    for (int i = 0; i < 16; i++) isa[i] = (struct irq){isa_set, m, i};
    piix3_new(m->pci, isa);
    struct tdev *t = m->t = xalloc(sizeof *t);
    t->reg = 0x12345678;
    pci_dev_init(&t->pci, "t", 0x1234, 0x5678, 0x020000, 3, 1);
    pci_bar_io(&t->pci, m->pci, 0, 32, &t_ops, t);
    pci_bar_mmio(&t->pci, m->pci, 1, 4096, 0, &t_ops, t);
    pci_bar_ram(&t->pci, m->pci, 2, m->fb, PCI_BAR_64 | PCI_BAR_PREFETCH);
    pci_bar_rom(&t->pci, m->pci, m->rom);
    CHECK_EQ(pci_add_cap(&t->pci, 9, 16), 0x40);
    CHECK_EQ(pci_add_cap(&t->pci, 1, 6), 0x50);
    CHECK_EQ(pci_add_cap(&t->pci, 9, 4), 0x58);
    CHECK(pci_dev_add(m->pci, &t->pci, -1));
    part_add(&m->bus.parts, "t", &t_part, t);
    parts_reset(&m->bus.parts);
    return m;
}
static void done(struct machine *m)
{
    bus_free(&m->bus);
    free(m);
}
static void sel(struct machine *m, unsigned devfn, unsigned reg)
{
    bus_out(&m->bus, 0xcf8, 0x80000000 | devfn << 8 | (reg & 0xfc), 4);
}
static u32 rd(struct machine *m, unsigned devfn, unsigned reg, unsigned size)
{
    sel(m, devfn, reg);
    return bus_in(&m->bus, 0xcfc + (reg & 3), size);
}
static void wr(struct machine *m, unsigned devfn, unsigned reg, u32 v, unsigned size)
{
    sel(m, devfn, reg);
    bus_out(&m->bus, 0xcfc + (reg & 3), v, size);
}
#define T PCI_DEVFN(2, 0)

static void mechanism(void)
{
    struct machine *m = make();
    // Linux pci_check_type1(): the byte must not disturb the address register.
    bus_out(&m->bus, 0xcfb, 1, 1);
    u32 old = bus_in(&m->bus, 0xcf8, 4);
    bus_out(&m->bus, 0xcf8, 0x80000000, 4);
    CHECK_EQ(bus_in(&m->bus, 0xcf8, 4), 0x80000000);
    bus_out(&m->bus, 0xcf8, old, 4);
    CHECK_EQ(rd(m, 0, 0, 4), 0x12378086);
    CHECK_EQ(rd(m, 8, 0, 4), 0x70008086);
    CHECK_EQ(rd(m, 8, 0x0e, 1), 0x80);
    CHECK_EQ(rd(m, 0, 0x0a, 2), 0x0600);
    CHECK_EQ(rd(m, 8, 0x0a, 2), 0x0601);
    CHECK_EQ(rd(m, T, 2, 2), 0x5678);
    CHECK_EQ(rd(m, T, 1, 1), 0x12);
    CHECK_EQ(rd(m, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
    CHECK_EQ(rd(m, PCI_DEVFN(2, 1), 0, 2), 0xffff);
    bus_out(&m->bus, 0xcf8, 0x80010000, 4); // bus 1
    CHECK_EQ(bus_in(&m->bus, 0xcfc, 4), 0xffffffff);
    bus_out(&m->bus, 0xcf8, 0x00000000, 4); // not enabled
    CHECK_EQ(bus_in(&m->bus, 0xcfc, 4), 0xffffffff);
    wr(m, T, 0, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0, 4), 0x56781234);
    // Capability list
    CHECK_EQ(rd(m, T, PCI_CAPS, 1), 0x58);
    CHECK_EQ(rd(m, T, 0x58, 2), 0x5009);
    CHECK_EQ(rd(m, T, 0x50, 2), 0x4001);
    CHECK_EQ(rd(m, T, 0x40, 2), 0x0009);
    CHECK_EQ(rd(m, T, PCI_STATUS, 2), 0x10);
    done(m);
}
static void bars(void)
{
    struct machine *m = make();
    wr(m, T, 0x10, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0x10, 4), 0xffffffe1);
    wr(m, T, 0x14, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0x14, 4), 0xfffff000);
    wr(m, T, 0x18, 0xffffffff, 4);
    wr(m, T, 0x1c, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0x18, 4), 0xfff0000c);
    CHECK_EQ(rd(m, T, 0x1c, 4), 0xffffffff);
    wr(m, T, 0x20, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0x20, 4), 0);
    wr(m, T, 0x30, 0xffffffff, 4);
    CHECK_EQ(rd(m, T, 0x30, 4), 0xffff0001);
    wr(m, T, PCI_COMMAND, 3, 2); // decoding on with the sizing pattern in place: nobody at the top of memory
    CHECK_EQ(bus_load(&m->bus, 0xfffff000, 4), 0xffffffff);
    wr(m, T, 0x10, 0xc000, 4);
    wr(m, T, 0x14, 0xfeb00000, 4);
    wr(m, T, 0x18, 0x10000000, 4);
    wr(m, T, 0x1c, 0x2, 4);
    wr(m, T, 0x30, 0xfeb10001, 4);
    CHECK_EQ(bus_in(&m->bus, 0xc004, 4), 0x1234567c);
    CHECK_EQ(bus_load(&m->bus, 0xfeb00008, 4), 0x12345680);
    bus_store(&m->bus, 0x210000010, 0x77, 1);
    CHECK_EQ(m->fb->host[0x10], 0x77);
    CHECK_EQ(bus_load(&m->bus, 0xfeb10000, 2), 0x5a5a);
    wr(m, T, PCI_COMMAND, 2, 2); // ports off
    CHECK_EQ(bus_in(&m->bus, 0xc004, 4), 0xffffffff);
    CHECK_EQ(bus_load(&m->bus, 0xfeb00008, 4), 0x12345680);
    // On top of RAM: RAM stays; elsewhere again: it comes back
    m->ram->host[0x1000] = 0x42;
    wr(m, T, 0x14, 0x1000, 4);
    CHECK_EQ(bus_load(&m->bus, 0x1000, 1), 0x42);
    wr(m, T, 0x18, 0xfeb00000, 4); // two BARs on one place: one of them answers
    wr(m, T, 0x1c, 0, 4);
    wr(m, T, 0x14, 0xfeb00000, 4);
    (void)bus_load(&m->bus, 0xfeb00000, 4);
    // An I/O BAR over the configuration ports does not lock them away; beyond 64 K it does not answer
    wr(m, T, PCI_COMMAND, 1, 2);
    wr(m, T, 0x10, 0xce0, 4);
    CHECK_EQ(rd(m, T, 0, 4), 0x56781234);
    wr(m, T, 0x10, 0x10000, 4);
    CHECK_EQ(bus_in(&m->bus, 0, 4), 0xffffffff);
    parts_reset(&m->bus.parts);
    CHECK_EQ(rd(m, T, 0x10, 4), 1);
    CHECK_EQ(rd(m, T, PCI_COMMAND, 2), 0);
    done(m);
}
static void pam(void)
{
    struct machine *m = make();
    CHECK_EQ(bus_load(&m->bus, 0xf0000, 1), 0x5a); // ROM
    bus_store(&m->bus, 0xf0000, 0x11, 1);
    CHECK_EQ(m->ram->host[0xf0000], 0);
    wr(m, 0, 0x59, 0x20, 1); // write only: shadowing
    CHECK_EQ(bus_load(&m->bus, 0xf0000, 1), 0x5a);
    bus_store(&m->bus, 0xf0000, 0x22, 1);
    CHECK_EQ(m->ram->host[0xf0000], 0x22);
    CHECK_EQ(bus_load(&m->bus, 0xf0000, 1), 0x5a);
    wr(m, 0, 0x59, 0x10, 1); // read only
    CHECK_EQ(bus_load(&m->bus, 0xf0000, 1), 0x22);
    bus_store(&m->bus, 0xf0000, 0x33, 1);
    CHECK_EQ(m->ram->host[0xf0000], 0x22);
    wr(m, 0, 0x5a, 0x03, 1); // C0000h–C3FFFh
    bus_store(&m->bus, 0xc3fff, 1, 1);
    bus_store(&m->bus, 0xc4000, 1, 1);
    CHECK_EQ(bus_load(&m->bus, 0xc3fff, 1), 1);
    CHECK_EQ(bus_load(&m->bus, 0xc4000, 1), 0xff);
    wr(m, 0, 0x5f, 0x30, 1); // EC000h–EFFFFh
    bus_store(&m->bus, 0xec000, 9, 1);
    CHECK_EQ(m->ram->host[0xec000], 9);
    CHECK_EQ(bus_load(&m->bus, 0xe8000, 1), 0xff);
    wr(m, 0, 0x5c, 0xffffffff, 4); // D0000h–DFFFFh, E0000h–EFFFFh
    CHECK_EQ(rd(m, 0, 0x5c, 4), 0x33333333);
    bus_store(&m->bus, 0xd4000, 7, 1);
    CHECK_EQ(bus_load(&m->bus, 0xd4000, 1), 7);
    // SMRAM: open, then locked
    CHECK_EQ(rd(m, 0, 0x72, 1), 2);
    CHECK_EQ(bus_load(&m->bus, 0xa0000, 1), 0xff);
    wr(m, 0, 0x72, 0x4a, 1);
    bus_store(&m->bus, 0xa0000, 5, 1);
    CHECK_EQ(bus_load(&m->bus, 0xa0000, 1), 5);
    wr(m, 0, 0x72, 0x1a, 1);
    CHECK_EQ(bus_load(&m->bus, 0xa0000, 1), 0xff);
    wr(m, 0, 0x72, 0x4a, 1);
    CHECK_EQ(rd(m, 0, 0x72, 1), 0x1a);
    parts_reset(&m->bus.parts);
    CHECK_EQ(rd(m, 0, 0x72, 1), 2);
    CHECK_EQ(bus_load(&m->bus, 0xf0000, 1), 0x5a);
    CHECK_EQ(bus_load(&m->bus, 0xc0000, 1), 0xff);
    done(m);
}
static void interrupts(void)
{
    struct machine *m = make();
    CHECK_EQ(rd(m, 8, 0x60, 4), 0x80808080);
    pci_set_irq(&m->t->pci, true); // slot 2, INTA: PIRQB
    for (int i = 0; i < 16; i++) CHECK_EQ(m->level[i], 0);
    CHECK_EQ(rd(m, T, PCI_STATUS, 2) & 8, 8);
    wr(m, 8, 0x60, 0x0b0b0a0a, 4);
    CHECK_EQ(m->level[10], 1);
    CHECK_EQ(m->level[11], 0);
    wr(m, T, PCI_COMMAND, PCI_CMD_INTX_OFF, 2);
    CHECK_EQ(m->level[10], 0);
    CHECK_EQ(rd(m, T, PCI_STATUS, 2) & 8, 8);
    wr(m, T, PCI_COMMAND, 0, 2);
    CHECK_EQ(m->level[10], 1);
    wr(m, 8, 0x61, 0x05, 1); // re-routed while high
    CHECK_EQ(m->level[10], 0);
    CHECK_EQ(m->level[5], 1);
    wr(m, 8, 0x61, 0x0d, 1); // 13 is reserved
    CHECK_EQ(m->level[5], 0);
    CHECK_EQ(m->level[13], 0);
    wr(m, 8, 0x61, 0x05, 1);
    parts_reset(&m->bus.parts);
    CHECK_EQ(m->level[5], 0);
    done(m);
}
static void reset_control(void)
{
    struct machine *m = make();
    sel(m, T, 0);
    bus_out(&m->bus, 0xcf9, 2, 1);
    CHECK_EQ(m->resets, 0);
    CHECK_EQ(bus_in(&m->bus, 0xcf9, 1), 2);
    CHECK_EQ(bus_in(&m->bus, 0xcf8, 4), 0x80001000);
    bus_out(&m->bus, 0xcf9, 6, 1);
    CHECK_EQ(m->resets, 1);
    bus_out(&m->bus, 0xcf8, 0x80000600, 4); // a dword with those bits is an address
    CHECK_EQ(m->resets, 1);
    done(m);
}
static void save(struct machine *m, struct buf *b)
{
    struct state s = {.mode = STATE_SAVE, .out = b};
    parts_state(&m->bus.parts, &s);
}
static void state_and_fuzz(void)
{
    struct machine *m = make(), *n = make();
    u64 x = 88172645463325252;
    for (int i = 0; i < 100000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        unsigned devfn = x & 3 ? (x >> 8 & 3) * 8 : x >> 8 & 0xff, size = 1 << (x >> 16 & 3) % 3, reg = x >> 20 & 0xff;
        if (x >> 63)
            wr(m, devfn, reg & -size, x >> 28, size);
        else
            rd(m, devfn, reg & -size, size);
        if ((x >> 40 & 63) == 0) pci_set_irq(&m->t->pci, x >> 50 & 1);
        if ((x >> 40 & 63) == 1) bus_out(&m->bus, 0xcf8 + (x >> 48 & 7), x >> 32, 1);
        if ((x >> 40 & 63) == 2) bus_store(&m->bus, x >> 36 & 0xfffff, x, 1);
        if ((x >> 40 & 0x3fff) == 3) parts_reset(&m->bus.parts);
    }
    wr(m, T, 0x14, 0xfeb00000, 4);
    wr(m, T, PCI_COMMAND, 2, 2);
    wr(m, 8, 0x60, 0x0b0b0a0a, 4);
    pci_set_irq(&m->t->pci, true);
    struct buf a = {0}, b = {0};
    save(m, &a);
    struct state s = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&n->bus.parts, &s);
    CHECK(state_ok(&s));
    save(n, &b);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    CHECK_EQ(bus_load(&n->bus, 0xfeb00008, 4), 0x12345680);
    pci_set_irq(&n->t->pci, false); // the loaded wire falls
    n->level[10] = 1;
    pci_set_irq(&n->t->pci, true);
    pci_set_irq(&n->t->pci, false);
    CHECK_EQ(n->level[10], 0);
    struct buf t = {0};
    parts_find(&n->bus.parts, "pci")->ops->info(parts_find(&n->bus.parts, "pci")->self, &t);
    CHECK(strstr(buf_text(&t), "PCI device 8086:7000") && strstr(buf_text(&t), "0xfeb00000 [0xfeb00fff]"));
    buf_free(&a), buf_free(&b), buf_free(&t);
    done(m), done(n);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(mechanism),  TEST(bars),          TEST(pam),
                                              TEST(interrupts), TEST(reset_control), TEST(state_and_fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
