// SPDX-License-Identifier: MIT
// The interrupt path of a PC put together: 8254 through the HPET's legacy input to the 8259s (virtual wire, SDM 11.5.1)
// and to I/O APIC pin 2, on to a local APIC and its CPU; a PCI line with its EOI broadcast; NMI from port 61h.
#include "hw/chip/hpet.h"
#include "hw/chip/i8254.h"
#include "hw/chip/i8259.h"
#include "hw/chip/ioapic.h"
#include "hw/chip/lapic.h"
#include "hw/chip/port61.h"
#include "tests/dev/chip.h"

struct rig {
    struct bench b;
    struct i8259 *pic;
    struct ioapic *io;
    struct lapics *apics;
    struct i8254 *pit;
    struct port61 *p61;
    struct irq isa0[2];
    int intr, nmi;
};
static void p_intr(void *o, unsigned c, int level) { ((struct rig *)o)->intr = level; }
static void p_nmi(void *o, unsigned c) { ((struct rig *)o)->nmi++; }
static void p_none(void *o, unsigned c) {}
static void p_sipi(void *o, unsigned c, u8 v) {}
static u64 p_tsc(void *o, unsigned c) { return ((struct rig *)o)->b.bus.clock.now; }
static u64 p_when(void *o, unsigned c, u64 tsc) { return tsc; }
static int p_ack(void *o) { return i8259_ack(((struct rig *)o)->pic); }
static void p_eoi(void *o, u8 v) { ioapic_eoi(((struct rig *)o)->io, v); }
static void irq0(void *o, int n, int level)
{
    struct rig *r = o;
    irq_set(&r->isa0[0], level);
    irq_set(&r->isa0[1], level);
}

static void open_rig(struct rig *r)
{
    static const u16 init[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0xfa},
                                  {0xa0, 0x11}, {0xa1, 0x28}, {0xa1, 2}, {0xa1, 1}, {0xa1, 0xff}};
    memset(r, 0, sizeof *r);
    bench_init(&r->b);
    struct bus *b = &r->b.bus;
    r->apics = lapics_new(b, 1, false,
                          (struct lapic_pins){r, p_intr, p_nmi, p_none, p_none, p_sipi, p_tsc, p_when, p_ack, p_eoi});
    r->pic = i8259_new(b, lapics_pic_line(r->apics));
    r->io = ioapic_new(b, 0xfec00000, 0, (struct apic_bus){lapics_send, r->apics});
    struct irq gsi[HPET_GSIS], legacy[2] = {{irq0, r, 0}, {0}};
    for (int i = 0; i < HPET_GSIS; i++) gsi[i] = ioapic_line(r->io, i);
    r->isa0[0] = i8259_line(r->pic, 0);
    r->isa0[1] = gsi[2];
    struct hpet *h = hpet_new(b, 0xfed00000, 4, gsi, legacy);
    r->pit = i8254_new(b, 0x40, hpet_legacy_line(h, 0));
    r->p61 = port61_new(b, r->pit, lapics_nmi_line(r->apics));
    for (size_t i = 0; i < ARRAY_LEN(init); i++) out8(&r->b, init[i][0], init[i][1]);
    bus_store(b, 0xfee000f0, 0x1ff, 4);
}
static void rte(struct rig *r, unsigned pin, u32 v)
{
    bus_store(&r->b.bus, 0xfec00000, 0x10 + 2 * pin, 4);
    bus_store(&r->b.bus, 0xfec00010, v, 4);
}
// Programs counter 0 to 100 Hz and serves what comes in a second; returns how often `vector` did.
static unsigned second(struct rig *r, u8 control, int vector, bool pic)
{
    unsigned n = 0;
    out8(&r->b, 0x43, control);
    out8(&r->b, 0x40, 11932 & 0xff);
    out8(&r->b, 0x40, 11932 >> 8);
    bench_pass(&r->b, 1000000);
    if (r->intr) lapics_inta(r->apics, 0), out8(&r->b, 0x20, 0x20), bus_store(&r->b.bus, 0xfee000b0, 0, 4);
    for (int i = 0; i < 1000; i++) {
        bench_pass(&r->b, 1000000);
        if (!r->intr) continue;
        n += lapics_inta(r->apics, 0) == vector;
        if (pic)
            out8(&r->b, 0x20, 0x20);
        else
            bus_store(&r->b.bus, 0xfee000b0, 0, 4);
    }
    return n;
}

static void virtual_wire(void)
{
    struct rig r;
    open_rig(&r);
    CHECK_EQ(second(&r, 0x34, 0x20, true), 0); // LVT0 is masked
    bus_store(&r.b.bus, 0xfee00350, 0x700, 4);
    CHECK_EQ(second(&r, 0x34, 0x20, true), 100);
    CHECK_EQ(second(&r, 0x36, 0x20, true), 100);
    bus_free(&r.b.bus);
}

static void symmetric(void)
{
    struct rig r;
    open_rig(&r);
    rte(&r, 2, 0x31);
    CHECK_EQ(second(&r, 0x34, 0x31, false), 100);
    CHECK_EQ(second(&r, 0x36, 0x31, false), 100);
    bus_store(&r.b.bus, 0xfed00010, 3, 8); // the HPET takes IRQ0 over
    CHECK_EQ(second(&r, 0x34, 0x31, false), 0);
    bus_store(&r.b.bus, 0xfed00100, 0x4c, 8); // 100 Hz
    bus_store(&r.b.bus, 0xfed00108, bus_load(&r.b.bus, 0xfed000f0, 8) + 1000000, 8);
    bus_store(&r.b.bus, 0xfed00108, 1000000, 8);
    CHECK_EQ(second(&r, 0x34, 0x31, false), 100);
    bus_free(&r.b.bus);
}

static void pci_line(void)
{
    struct rig r;
    open_rig(&r);
    struct irq l = ioapic_line(r.io, 11);
    rte(&r, 11, 0xa0a1);
    irq_set(&l, 1);
    CHECK_EQ(lapics_inta(r.apics, 0), 0xa1);
    CHECK_EQ(r.intr, 0);
    bus_store(&r.b.bus, 0xfee000b0, 0, 4); // still asserted: again
    CHECK_EQ(lapics_inta(r.apics, 0), 0xa1);
    irq_set(&l, 0);
    bus_store(&r.b.bus, 0xfee000b0, 0, 4);
    CHECK_EQ(r.intr, 0);
    bus_free(&r.b.bus);
}

static void nmi(void)
{
    struct rig r;
    open_rig(&r);
    struct irq serr = port61_line(r.p61, PORT61_SERR);
    bus_store(&r.b.bus, 0xfee00360, 0x400, 4);
    irq_set(&serr, 1);
    CHECK_EQ(r.nmi, 1);
    bus_free(&r.b.bus);
}

static void save_in_the_middle(void)
{
    struct rig r, q;
    open_rig(&r);
    open_rig(&q);
    rte(&r, 2, 0x31);
    second(&r, 0x34, 0x31, false);
    bench_pass(&r.b, 10000000); // an interrupt is pending
    CHECK_EQ(r.intr, 1);
    bench_round_trip(&r.b, &q.b);
    CHECK_EQ(q.intr, 1);
    CHECK_EQ(lapics_inta(q.apics, 0), 0x31);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(virtual_wire), TEST(symmetric), TEST(pci_line), TEST(nmi), TEST(save_in_the_middle),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
