// SPDX-License-Identifier: MIT
// Registers of 16 and 32 bits, accessed by bytes: values from the ATA standard's and ISA's cycles (a byte cycle at the
// data port strobes a word), ACPI 4.8.3 (PM1 registers may be accessed as bytes), the 82371AB and 82441FX data sheets
// (CONFADD answers to dwords only, CONFDATA to any bytes), PCI 2.2 6.2.3 (write one to clear) and fw_cfg's description.
#include "hw/chip/fw_cfg.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/piix4_pm.h"
#include "tests/dev/ide_driver.h"

static u32 rd(struct machine *m, u16 port, unsigned n) { return bus_in(&m->bus, port, n); }
static void wr(struct machine *m, u16 port, u32 v, unsigned n) { bus_out(&m->bus, port, v, n); }

// IDENTIFY's 256 words by byte cycles: the low half of each, and DRQ falls after 256 of them.
static void ide_data(void)
{
    struct machine *m = make((struct ide_unit[4]){{IDE_DISK, &mdisk_new(1 << 20, false)->d}});
    u8 id[512];
    base = 0x1f0;
    out(m, 6, 0xa0), out(m, 7, 0xec);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, id, 512);
    out(m, 7, 0xec);
    CHECK_EQ(ready(m), 0x58);
    for (int i = 0; i < 256; i++) {
        CHECK_EQ(alt(m) & 8, 8);
        CHECK_EQ(in(m, 0), id[2 * i]);
    }
    CHECK_EQ(alt(m), 0x50);
    CHECK_EQ(in(m, 0), 0); // nothing more to give
    // A word at the byte registers is two byte cycles: cylinder low and high.
    out(m, 4, 0x34), out(m, 5, 0x12);
    CHECK_EQ(rd(m, 0x1f4, 2), 0x1234);
    wr(m, 0x1f4, 0x5678, 2);
    CHECK_EQ(in(m, 4), 0x78);
    CHECK_EQ(in(m, 5), 0x56);
    // Written bytes are low halves of words; a sector is full after 256.
    select_lba(m, 0, 7, 1);
    out(m, 7, 0x30);
    CHECK_EQ(ready(m) & 8, 8);
    for (int i = 0; i < 255; i++) out(m, 0, i);
    CHECK_EQ(alt(m) & 8, 8);
    out(m, 0, 255);
    CHECK_EQ(ready(m), 0x50);
    select_lba(m, 0, 7, 1);
    out(m, 7, 0x20);
    CHECK_EQ(ready(m), 0x58);
    pio_in(m, id, 512);
    for (int i = 0; i < 256; i++) CHECK_EQ(id[2 * i], i);
    done(m);
}

static int sci;
static void on_sci(void *owner, int n, int level) { sci = level; }

static void pm_registers(void)
{
    struct machine *m = make((struct ide_unit[4]){{0}});
    struct piix4_pm *pm = piix4_pm_new(m->pci, PCI_DEVFN(1, 3), &(struct irq){on_sci, m, 9});
    wr(m, 0xcf8, 0x80000b40, 4), wr(m, 0xcfc, 0x601, 4);
    wr(m, 0xcf8, 0x80000b80, 4), wr(m, 0xcfc, 1, 1);
    // Enable register: bytes join; PWRBTN_EN is bit 8, GBL_EN bit 5, TMR_EN bit 0.
    wr(m, 0x602, 0x21, 1);
    CHECK_EQ(rd(m, 0x602, 2), 0x0021);
    wr(m, 0x603, 0x01, 1);
    CHECK_EQ(rd(m, 0x602, 2), 0x0121);
    CHECK_EQ(rd(m, 0x602, 1), 0x21);
    CHECK_EQ(rd(m, 0x603, 1), 0x01);
    // Status: write one to clear, in the byte that is written and nowhere else.
    piix4_pm_power_button(pm);
    CHECK_EQ(rd(m, 0x601, 1), 0x01);
    wr(m, 0x600, 0xff, 1);
    CHECK_EQ(rd(m, 0x601, 1), 0x01);
    wr(m, 0x601, 0xfe, 1);
    CHECK_EQ(rd(m, 0x600, 2), 0x0100);
    wr(m, 0x601, 0x01, 1);
    CHECK_EQ(rd(m, 0x600, 2), 0);
    // Control: SCI_EN in the low byte, SLP_TYP in the high one.
    wr(m, 0x604, 1, 1);
    wr(m, 0x605, 0x04, 1);
    CHECK_EQ(rd(m, 0x604, 2), 0x0401);
    wr(m, 0x604, 0, 1);
    CHECK_EQ(rd(m, 0x604, 2), 0x0400);
    // The timer's bytes are those of one count; 3,579,545 a second.
    m->bus.clock.now += NS_PER_SEC;
    u32 t = rd(m, 0x608, 4);
    CHECK(t >= 3579545 && t <= 3579546);
    for (unsigned i = 0; i < 4; i++) CHECK_EQ(rd(m, 0x608 + i, 1), t >> 8 * i & 0xff);
    CHECK_EQ(rd(m, 0x609, 2), t >> 8 & 0xffff);
    wr(m, 0x608, 0, 1); // read-only
    CHECK_EQ(rd(m, 0x608, 4), t);
    done(m);
}

static void pci_configuration(void)
{
    struct machine *m = make((struct ide_unit[4]){{0}});
    wr(m, 0xcf8, 0x80000900, 4);
    CHECK_EQ(rd(m, 0xcfc, 4), 0x70108086); // 82371SB IDE
    const u8 id[4] = {0x86, 0x80, 0x10, 0x70};
    for (unsigned i = 0; i < 4; i++) CHECK_EQ(rd(m, 0xcfc + i, 1), id[i]);
    CHECK_EQ(rd(m, 0xcfd, 2), 0x1080);
    // CONFADD: bytes and words pass by.
    for (unsigned i = 0; i < 4; i++) CHECK_EQ(rd(m, 0xcf8 + i, 1), i == 1 ? rd(m, 0xcf9, 1) : 0xff);
    CHECK_EQ(rd(m, 0xcf8, 2), 0xffff);
    wr(m, 0xcf8, 0x44, 1), wr(m, 0xcfa, 0, 2), wr(m, 0xcfb, 0, 1);
    CHECK_EQ(rd(m, 0xcf8, 4), 0x80000900);
    // Command by bytes: I/O and master enable stay as each byte says, the other byte is left alone.
    wr(m, 0xcf8, 0x80000904, 4);
    wr(m, 0xcfc, 0, 1);
    CHECK_EQ(rd(m, 0xcfc, 2) & 5, 0);
    CHECK_EQ(rd(m, 0x1f7, 1), 0xff); // the channel is not decoded without I/O enable
    wr(m, 0xcfd, 0xff, 1);
    CHECK_EQ(rd(m, 0xcfc, 2) & 5, 0);
    wr(m, 0xcfc, 5, 1);
    CHECK_EQ(rd(m, 0xcfc, 2) & 5, 5);
    // A read-only byte beside: status' low byte, device ID.
    u32 was = rd(m, 0xcfc, 4);
    wr(m, 0xcfe, 0xff, 1);
    CHECK_EQ(rd(m, 0xcfc, 4), was);
    // Base address: the low byte holds the type, the high ones the address.
    wr(m, 0xcf8, 0x80000920, 4);
    wr(m, 0xcfd, 0xd0, 1);
    CHECK_EQ(rd(m, 0xcfc, 4), 0xd001);
    wr(m, 0xcfc, 0xff, 1); // 16 ports
    CHECK_EQ(rd(m, 0xcfc, 4), 0xd0f1);
    done(m);
}

static void fw_cfg_ports(void)
{
    struct machine *m = make((struct ide_unit[4]){{0}});
    fw_cfg_new(&m->bus);
    parts_reset(&m->bus.parts);
    wr(m, 0x510, 0, 2); // FW_CFG_SIGNATURE
    CHECK_EQ(rd(m, 0x511, 1), 'Q');
    wr(m, 0x510, 1, 1); // the selector has 16 bits: a byte selects nothing
    CHECK_EQ(rd(m, 0x511, 1), 'E');
    wr(m, 0x511, 1, 1); // nor does one at the data port
    CHECK_EQ(rd(m, 0x511, 1), 'M');
    // The DMA address port is big-endian and 32 bits wide; its bytes can be read.
    CHECK_EQ(rd(m, 0x514, 4), ld32("QEMU"));
    for (unsigned i = 0; i < 4; i++) CHECK_EQ(rd(m, 0x514 + i, 1), (u8) "QEMU"[i]);
    CHECK_EQ(rd(m, 0x515, 2), ld16("EM"));
    wr(m, 0x518, 0xff, 1); // starts nothing
    CHECK_EQ(rd(m, 0x511, 1), 'U');
    done(m);
}

static const struct check_test tests[] = {
    TEST(ide_data),
    TEST(pm_registers),
    TEST(pci_configuration),
    TEST(fw_cfg_ports),
};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
