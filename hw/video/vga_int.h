// SPDX-License-Identifier: MIT
// What the files of the VGA share: registers, and what the last update drew. Video memory is kept interleaved: byte
// 4*o+p is offset o of plane p, so that the linear frame buffer, the planes and the text cells are the same bytes.
#pragma once
#include "hw/video/vga.h"
#include "mem/base/bits.h"
#include "mem/bus.h"
#include "mem/state.h"

enum { // Bochs VBE ("dispi") registers
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_NREGS,
    VBE_MEMORY_64K = VBE_NREGS // read only
};
enum { VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40, VBE_NOCLEAR = 0x80 };

#define VGA_GRAIN 8 // log2 of the bytes that one dirty mark stands for

// Every register value that decides how memory becomes pixels: if one changes, all is drawn again.
struct vga_look {
    u8 sr1, sr3, gr5, gr6, ar[21], cr[25], dac_mask, blank, blink, big_endian;
    u16 vbe[VBE_NREGS];
};
struct vga_draw {
    u32 w, h;
    u32 *px;
    u64 px_cap;
    u32 *cells; // text: what each cell showed, see vga_draw.c
    u64 cells_cap;
    u32 pal[256]; // DAC entry (pel mask applied) -> 0x00RRGGBB
    struct vga_look look;
    bool valid;      // px shows what look says
    bool pal_dirty;  // DAC written
    bool font_dirty; // plane 2 written
};
struct vga {
    struct bus *bus;
    struct ram *ram;
    u8 *mem;
    u32 size;
    u8 misc, fcr;
    u8 sr_index, sr[8];
    u8 gr_index, gr[16];
    u8 ar_index, ar[32]; // ar_index holds bit 5, palette address source, too
    bool ar_data;        // flip-flop: the next write to 3C0h is data
    u8 cr_index, cr[32];
    u8 dac_mask, dac_read, dac_write, dac_sub, dac_state, dac_cache[3], dac[768];
    u32 latch;
    u64 vint_from; // time since when a vertical interrupt is waited for
    u16 vbe_index, vbe[VBE_NREGS];
    bool big_endian; // pixels of the linear frame buffer
    u8 *dirty;       // a byte per 1 << VGA_GRAIN bytes of mem
    struct vga_draw draw;
    u8 edid[256];
    bool has_pci;
    struct pci_dev pci;
};

INLINE bool vga_vbe_on(const struct vga *v) { return v->vbe[VBE_ENABLE] & VBE_ENABLED; }
// Linear memory behind the A0000h window, whatever the sequencer says: all VBE modes but the planar one.
INLINE bool vga_linear(const struct vga *v) { return vga_vbe_on(v) && v->vbe[VBE_BPP] != 4; }
INLINE void vga_touch(struct vga *v, u32 at, u32 len)
{
    for (u32 g = at >> VGA_GRAIN; g <= (at + len - 1) >> VGA_GRAIN; g++) v->dirty[g] = 1;
}
// Nibble of plane bits -> byte mask of the four planes.
INLINE u32 vga_planes(unsigned n) { return ((n & 1) | (n & 2) << 7 | (n & 4) << 14 | (n & 8) << 21) * 0xffu; }
u8 vga_port_read(struct vga *v, unsigned port);
void vga_port_write(struct vga *v, unsigned port, u8 val);
// Beam position and sizes in dots and lines, from virtual time.
struct vga_beam {
    u64 frame; // frames since time 0
    u32 x, y;
    u32 htotal, hdisp, vtotal, vdisp, vsync, vsync_end;
};
void vga_beam(struct vga *v, struct vga_beam *b);
u32 vga_cr_vertical(const struct vga *v, unsigned low, unsigned bit8, unsigned bit9); // 10-bit vertical value

void vga_vbe_init(struct vga *v);
void vga_vbe_reset(struct vga *v);
void vga_vbe_check(struct vga *v); // makes the registers consistent with each other and with the memory
u16 vga_vbe_read(struct vga *v, unsigned index);
void vga_vbe_write(struct vga *v, unsigned index, u16 val);
u32 vga_vbe_stride(const struct vga *v); // bytes a line (bytes a line and plane at 4 bits per pixel)

void vga_draw_free(struct vga *v);
