// SPDX-License-Identifier: MIT
// Standard VGA with the Bochs VBE interface (`-vga std`): vga.c registers and memory, vga_vbe.c, vga_draw.c, vga_pci.c.
#pragma once
#include "hw/pci/pci.h"
#include "hw/video/screen.h"

struct vga;
// The adapter without PCI: legacy ports and A0000h–BFFFFh. vram_size: 256 KB to 256 MB, a power of two. NULL with a
// message.
struct vga *vga_new(struct bus *b, u32 vram_size, struct err *e);
// The PCI function 1234:1111. rom: the VGA BIOS' bytes (copied), may be NULL. devfn < 0: the first free slot.
// xres, yres: the monitor's preferred mode in its EDID; 0 = 1280 x 800.
struct vga_opts {
    u32 vram_mb; // 0 = 16
    const u8 *rom;
    u32 rom_size, xres, yres;
};
struct vga *vga_pci_new(struct bus *b, struct pci_bus *p, int devfn, const struct vga_opts *o, struct err *e);
struct screen vga_screen(struct vga *v);
