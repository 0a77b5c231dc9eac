// SPDX-License-Identifier: MIT
// The VGA as PCI function 1234:1111 revision 2, as QEMU's `-device VGA` has it (docs/specs/standard-vga.rst): BAR0
// video memory, BAR2 4 KB of registers (0 EDID, 400h VGA ports from 3C0h, 500h VBE registers, 600h byte order),
// expansion ROM. EDID: VESA E-EDID standard 1.4, one base block. Left out: extension blocks, VGA ports that follow the
// command register.
#include <stdlib.h>
#include "hw/video/vga_int.h"
#include "mem/base/err.h"

enum { MMIO_PORTS = 0x400, MMIO_VBE = 0x500, MMIO_EXT = 0x600 };
enum { EXT_SIZE = 8, EXT_LITTLE = 0x1e1e1e1e };
#define EXT_BIG 0xbebebebeu

static u64 mmio_read(void *dev, u64 off, unsigned size)
{
    struct vga *v = dev;
    if (off < MMIO_PORTS) return range_ok(off, size, sizeof v->edid) ? ld_size(v->edid + off, size) : 0;
    if (range_ok(off - MMIO_PORTS, size, 0x20)) {
        u64 val = 0;
        for (unsigned i = 0; i < size; i++)
            val |= (u64)vga_port_read(v, 0x3c0 + (unsigned)off - MMIO_PORTS + i) << 8 * i;
        return val;
    }
    if (off >= MMIO_VBE && off < MMIO_VBE + 2 * (VBE_MEMORY_64K + 1)) {
        u32 val = vga_vbe_read(v, (unsigned)(off - MMIO_VBE) >> 1);
        if (size == 4) val |= (u32)vga_vbe_read(v, ((unsigned)(off - MMIO_VBE) >> 1) + 1) << 16;
        return size == 1 && off & 1 ? val >> 8 : val;
    }
    if (size == 4 && off == MMIO_EXT) return EXT_SIZE;
    if (size == 4 && off == MMIO_EXT + 4) return v->big_endian ? EXT_BIG : EXT_LITTLE;
    return 0;
}

static void mmio_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct vga *v = dev;
    if (off >= MMIO_PORTS && range_ok(off - MMIO_PORTS, size, 0x20)) {
        for (unsigned i = 0; i < size; i++)
            vga_port_write(v, 0x3c0 + (unsigned)off - MMIO_PORTS + i, (u8)(val >> 8 * i));
    } else if (off >= MMIO_VBE && off < MMIO_VBE + 2 * (VBE_MEMORY_64K + 1) && size >= 2 && !(off & 1)) {
        for (unsigned i = 0; i < size; i += 2)
            vga_vbe_write(v, (unsigned)(off - MMIO_VBE + i) >> 1, (u16)(val >> 8 * i));
    } else if (off == MMIO_EXT + 4 && size == 4 && (val == EXT_LITTLE || val == EXT_BIG)) {
        v->big_endian = val == EXT_BIG;
    }
}
static const struct io_ops mmio_ops = {mmio_read, mmio_write, 1 | 2 | 4, false};

// A detailed timing of 18 bytes with reduced blanking (CVT: 160 dots, 48 + 32 sync), 60 Hz, 96 dots an inch.
static void edid_timing(u8 *p, u32 x, u32 y)
{
    u32 hblank = 160, vblank = y / 32 + 7, clock = (u32)((u64)(x + hblank) * (y + vblank) * 60 / 10000);
    u32 wmm = x * 254 / 960, hmm = y * 254 / 960;
    st16(p, (u16)clock);
    p[2] = (u8)x, p[3] = (u8)hblank, p[4] = (u8)((x >> 8 & 15) << 4 | hblank >> 8);
    p[5] = (u8)y, p[6] = (u8)vblank, p[7] = (u8)((y >> 8 & 15) << 4 | (vblank >> 8 & 15));
    p[8] = 48, p[9] = 32, p[10] = 3 << 4 | 6;
    p[12] = (u8)wmm, p[13] = (u8)hmm, p[14] = (u8)((wmm >> 8 & 15) << 4 | (hmm >> 8 & 15));
    p[17] = 0x1a; // digital separate sync, horizontal positive
}

static void edid_text(u8 *p, u8 tag, const char *text)
{
    p[3] = tag;
    memset(p + 5, ' ', 13);
    size_t n = strlen(text);
    memcpy(p + 5, text, n);
    if (n < 13) p[5 + n] = '\n';
}

static void edid_fill(u8 *e, u32 x, u32 y)
{
    static const u8 fixed[] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, // header
                               0x11, 0xf0, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, // maker "DOP", product, serial
                               0x01, 0x22, 0x01, 0x04,                         // week, 2024, EDID 1.4
                               0xa5, 0x00, 0x00, 0x78, 0x06}; // digital 8 bit; size; gamma 2.2; RGB, sRGB
    static const u8 chroma[] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54}; // sRGB
    static const struct {
        u16 x, y;
        u8 aspect; // bits 7-6 of a standard timing
    } standard[] = {{1920, 1080, 0xc0}, {1280, 720, 0xc0},  {1440, 900, 0x00},  {1280, 1024, 0x80},
                    {1280, 800, 0x00},  {1600, 1200, 0x40}, {1680, 1050, 0x00}, {1024, 768, 0x40}};
    memcpy(e, fixed, sizeof fixed);
    e[21] = (u8)min_u64(255, x * 254 / 9600), e[22] = (u8)min_u64(255, y * 254 / 9600);
    memcpy(e + 25, chroma, sizeof chroma);
    e[35] = 0x21, e[36] = 0x08; // 640x480, 800x600, 1024x768 at 60 Hz
    for (unsigned i = 0; i < ARRAY_LEN(standard); i++)
        e[38 + 2 * i] = (u8)(standard[i].x / 8 - 31), e[39 + 2 * i] = standard[i].aspect;
    edid_timing(e + 54, x, y);
    static const u8 limits[] = {0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 60, 0, 0x0a}; // Hz, kHz, 10 MHz
    memset(e + 72, ' ', 18);
    memcpy(e + 72, limits, sizeof limits);
    edid_text(e + 90, 0xfc, "doppel");
    edid_text(e + 108, 0xff, "1");
    u8 sum = 0;
    for (unsigned i = 0; i < 127; i++) sum += e[i];
    e[127] = (u8)-sum;
}

static bool add_rom(struct vga *v, struct pci_bus *p, const struct vga_opts *o, struct err *e)
{
    if (!o->rom || !o->rom_size) return true;
    if (o->rom_size > 16u << 20) return err_set(e, "VGA BIOS of %u bytes: 16 MB is the limit", o->rom_size);
    u32 size = 4096;
    while (size < o->rom_size) size *= 2;
    struct ram *rom = ram_new(v->bus, "vga.rom", size, e);
    if (!rom) return false;
    memcpy(rom->host, o->rom, o->rom_size);
    rom->rom = rom->transient = true;
    pci_bar_rom(&v->pci, p, rom);
    return true;
}

struct vga *vga_pci_new(struct bus *b, struct pci_bus *p, int devfn, const struct vga_opts *o, struct err *e)
{
    u32 mb = o->vram_mb ? o->vram_mb : 16;
    if (mb > 256) {
        err_set(e, "VGA: vgamem_mb=%u; the limit is 256", mb);
        return NULL;
    }
    struct vga *v = vga_new(b, mb << 20, e);
    if (!v) return NULL;
    pci_dev_init(&v->pci, "vga", 0x1234, 0x1111, 0x030000, 2, 0);
    st16(v->pci.cfg + PCI_SUBVENDOR, 0x1af4);
    st16(v->pci.cfg + PCI_SUBDEVICE, 0x1100);
    pci_bar_ram(&v->pci, p, 0, v->ram, PCI_BAR_PREFETCH);
    pci_bar_mmio(&v->pci, p, 2, 4096, 0, &mmio_ops, v);
    edid_fill(v->edid, min_u64(o->xres ? o->xres : 1280, 4095), min_u64(o->yres ? o->yres : 800, 4095));
    if (!add_rom(v, p, o, e)) return NULL;
    if (!pci_dev_add(p, &v->pci, devfn)) {
        err_set(e, "VGA: no free PCI slot");
        return NULL;
    }
    v->has_pci = true;
    return v;
}
