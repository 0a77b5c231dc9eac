// SPDX-License-Identifier: MIT
// Bochs VBE extension ("dispi"): index port 1CEh, 16-bit data ports 1CFh and 1D0h, identities B0C0h to B0C5h.
// Bochs, "VBE Display API" (vbe_display_api.txt), and the behaviour that vgabios and Linux' bochs-drm rely on:
// registers may be written while the mode is on, values that do not fit are lowered, and switching on sets up the VGA's
// own registers. Left out: 8-bit access to the ports, panels with other limits than the memory's.
#include "hw/video/vga_int.h"

enum { ID_MIN = 0xb0c0, ID_MAX = 0xb0c5, MAX_X = 16000, MAX_Y = 12000 };

u32 vga_vbe_stride(const struct vga *v)
{
    u32 w = v->vbe[VBE_VIRT_WIDTH], bpp = v->vbe[VBE_BPP];
    return bpp == 4 ? w >> 3 : w * ((bpp + 7) >> 3);
}

// Bytes that all lines share: a line of four planes counts four times.
static u32 line_bytes(const struct vga *v) { return vga_vbe_stride(v) * (v->vbe[VBE_BPP] == 4 ? 4 : 1); }

static bool bpp_ok(u16 bpp) { return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32; }

static u16 clamp16(u64 x, u64 lo, u64 hi) { return (u16)max_u64(lo, min_u64(x, hi)); }

void vga_vbe_check(struct vga *v)
{
    u16 *r = v->vbe;
    if (!bpp_ok(r[VBE_BPP])) r[VBE_BPP] = 8;
    r[VBE_BANK] &= (v->size >> 16 >> (r[VBE_BPP] == 4 ? 2 : 0)) - 1;
    if (!vga_vbe_on(v)) return;
    u32 per8 = r[VBE_BPP] == 4 ? 4 : 8 * ((r[VBE_BPP] + 7u) >> 3); // bytes of 8 pixels
    r[VBE_XRES] = clamp16(r[VBE_XRES] & ~7u, 8, MAX_X);
    r[VBE_VIRT_WIDTH] = clamp16(r[VBE_VIRT_WIDTH], r[VBE_XRES], min_u64(0xfff8, (u64)v->size / per8 * 8));
    if (r[VBE_BPP] == 4) r[VBE_VIRT_WIDTH] &= ~7u;
    u32 line = line_bytes(v), lines = v->size / line;
    r[VBE_VIRT_HEIGHT] = (u16)min_u64(lines, 0xffff);
    r[VBE_YRES] = clamp16(r[VBE_YRES], 1, min_u64(lines, MAX_Y));
    u64 shown = (u64)(r[VBE_YRES] - 1) * line + (r[VBE_X_OFFSET] + (u64)r[VBE_XRES] + 7) / 8 * per8;
    if (!range_ok((u64)r[VBE_Y_OFFSET] * line, shown, v->size)) r[VBE_Y_OFFSET] = 0;
    if (shown > v->size) r[VBE_X_OFFSET] = 0;
}

// Drivers that only know this interface expect a plain picture whatever mode the VGA was in.
static void set_vga_registers(struct vga *v)
{
    const u16 *r = v->vbe;
    u32 last = r[VBE_YRES] - 1u;
    v->gr[6] = (v->gr[6] & ~0x0c) | 0x05; // graphics, A0000h for 64 KB
    v->cr[0x17] |= 3;
    v->cr[0x13] = (u8)(vga_vbe_stride(v) >> 3);
    v->cr[0x01] = (u8)((r[VBE_XRES] >> 3) - 1);
    v->cr[0x12] = (u8)last;
    v->cr[0x07] = (u8)((v->cr[7] & ~0x42) | (last >> 7 & 2) | (last >> 3 & 0x40) | 0x10);
    v->cr[0x09] = (v->cr[9] & ~0x9f) | 0x40;
    v->cr[0x18] = 0xff;
    v->gr[5] &= ~0x60;
    if (r[VBE_BPP] == 4) {
        v->sr[1] &= ~8;
    } else {
        v->gr[5] |= 0x40;
        v->sr[4] |= 8;
        v->sr[2] |= 0x0f;
    }
}

static void write_enable(struct vga *v, u16 val)
{
    u16 *r = v->vbe, old = r[VBE_ENABLE];
    r[VBE_ENABLE] = val & (VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | VBE_LFB | VBE_NOCLEAR);
    if ((old ^ val) & VBE_8BIT_DAC) v->draw.pal_dirty = true;
    if (!(val & VBE_ENABLED)) return;
    if (!(old & VBE_ENABLED)) r[VBE_VIRT_WIDTH] = r[VBE_X_OFFSET] = r[VBE_Y_OFFSET] = r[VBE_BANK] = 0;
    vga_vbe_check(v);
    set_vga_registers(v);
    if (old & VBE_ENABLED || val & VBE_NOCLEAR) return;
    u32 n = r[VBE_YRES] * line_bytes(v);
    memset(v->mem, 0, n);
    vga_touch(v, 0, n);
    v->draw.font_dirty = true;
}

u16 vga_vbe_read(struct vga *v, unsigned index)
{
    if (v->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        if (index == VBE_XRES) return MAX_X;
        if (index == VBE_YRES) return MAX_Y;
        if (index == VBE_BPP) return 32;
    }
    if (index < VBE_NREGS) return v->vbe[index];
    return index == VBE_MEMORY_64K ? (u16)(v->size >> 16) : 0;
}

void vga_vbe_write(struct vga *v, unsigned index, u16 val)
{
    switch (index) {
    case VBE_ID:
        if (val >= ID_MIN && val <= ID_MAX) v->vbe[VBE_ID] = val;
        return;
    case VBE_BPP:
        if (!val) val = 8; // what vgabios once wrote for "the default"
        if (!bpp_ok(val)) {
            log_guest(&v->bus->log, "vga", "VBE: %u bits per pixel do not exist", val);
            return;
        }
        break;
    case VBE_ENABLE: write_enable(v, val); return;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BANK:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET: break;
    default: return; // VBE_VIRT_HEIGHT follows from the others
    }
    v->vbe[index] = val;
    vga_vbe_check(v);
    if (vga_vbe_on(v) && index != VBE_BANK && index != VBE_X_OFFSET && index != VBE_Y_OFFSET) set_vga_registers(v);
}

// Words only: see tests/insn/sys/ports.c for what others do with bytes.
static u64 vbe_read(void *dev, u64 off, unsigned size)
{
    struct vga *v = dev;
    if (size != 2) return ~(u64)0;
    return off ? vga_vbe_read(v, v->vbe_index) : v->vbe_index;
}
static void vbe_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct vga *v = dev;
    if (size != 2) return;
    if (off)
        vga_vbe_write(v, v->vbe_index, (u16)val);
    else
        v->vbe_index = (u16)val;
}
static const struct io_ops vbe_ops = {vbe_read, vbe_write, 1 | 2 | 4, false};

void vga_vbe_init(struct vga *v) { bus_map_port(v->bus, 0x1ce, 4, &vbe_ops, v, "vbe"); }

void vga_vbe_reset(struct vga *v)
{
    memset(v->vbe, 0, sizeof v->vbe);
    v->vbe_index = 0;
    v->vbe[VBE_ID] = ID_MAX;
    v->vbe[VBE_BPP] = 8;
}
