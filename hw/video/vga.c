// SPDX-License-Identifier: MIT
// Standard VGA: ports 3B4h-3DAh, the memory window A0000h-BFFFFh, retrace timing, state.
// IBM "Video Subsystem" technical reference (VGA function, 1992), sections on the sequencer, graphics, attribute and
// CRT controllers and the video DAC; 86Box- and Bochs-proven behaviour where the manual is silent: odd/even addressing
// follows the sequencer for writes and the graphics controller for reads, whatever bit 1 of GR6 says. Left out: the 64
// KB limit of SR4 bit 1, the odd/even page bit of the miscellaneous register, the sequencer's reset stop, palette write
// protection while the screen is on, the feedback bits 4-5 of input status 1, light pen, an interrupt wire.
#include <stdlib.h>
#include "hw/video/vga_int.h"
#include "mem/base/err.h"

// ---- retrace timing

u32 vga_cr_vertical(const struct vga *v, unsigned low, unsigned bit8, unsigned bit9)
{
    return v->cr[low] | (u32)bit(v->cr[7], bit8) << 8 | (u32)bit(v->cr[7], bit9) << 9;
}

void vga_beam(struct vga *v, struct vga_beam *b)
{
    u32 clk = (v->misc >> 2 & 3) == 1 ? 28322000 : 25175000;
    if (v->sr[1] & 8) clk /= 2;
    u32 cw = v->sr[1] & 1 ? 8 : 9, twice = v->cr[0x17] & 4 ? 1 : 0;
    b->htotal = (v->cr[0] + 5u) * cw;
    b->hdisp = (v->cr[1] + 1u) * cw;
    b->vtotal = (vga_cr_vertical(v, 6, 0, 5) + 2) << twice;
    b->vdisp = (vga_cr_vertical(v, 0x12, 1, 6) + 1) << twice;
    b->vsync = vga_cr_vertical(v, 0x10, 2, 7) << twice;
    u32 len = ((v->cr[0x11] & 15u) - (b->vsync >> twice)) & 15;
    b->vsync_end = b->vsync + ((len ? len : 16) << twice);
    u64 dots = muldiv64(clock_now(&v->bus->clock), clk, NS_PER_SEC), frame = (u64)b->htotal * b->vtotal;
    b->frame = dots / frame;
    dots %= frame;
    b->y = (u32)(dots / b->htotal);
    b->x = (u32)(dots % b->htotal);
}

static u8 status1(struct vga *v)
{
    struct vga_beam b;
    vga_beam(v, &b);
    u8 st = b.y >= b.vdisp || b.x >= b.hdisp ? 1 : 0;
    if (b.y >= b.vsync && b.y < b.vsync_end) st |= 8;
    return st;
}

// Input status 0: bit 7 a vertical interrupt is pending (CR11 bit 4 lets it be), bit 4 the DAC's sense line: a colour
// monitor.
static u8 status0(struct vga *v)
{
    u8 st = 0x10;
    if (!(v->cr[0x11] & 0x10)) return st;
    struct vga_beam now;
    vga_beam(v, &now);
    u32 clk = (v->misc >> 2 & 3) == 1 ? 28322000 : 25175000;
    if (v->sr[1] & 8) clk /= 2;
    u64 frame = (u64)now.htotal * now.vtotal, at = (u64)now.vdisp * now.htotal;
    u64 from = muldiv64(v->vint_from, clk, NS_PER_SEC), to = muldiv64(clock_now(&v->bus->clock), clk, NS_PER_SEC);
    u64 phase = frame - at % frame; // frame ends shifted to where the display ends
    return (to + phase) / frame > (from + phase) / frame ? st | 0x80 : st;
}

// ---- registers

static const u8 sr_mask[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff};
static const u8 gr_mask[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};

static void cr_write(struct vga *v, u8 val)
{
    unsigned i = v->cr_index;
    if (i > 0x18) return;
    if (i <= 7 && v->cr[0x11] & 0x80) { // CR0-7 are locked but for the line compare bit
        if (i == 7) v->cr[7] = (v->cr[7] & ~0x10) | (val & 0x10);
        return;
    }
    if (i == 0x11 && (!(val & 0x10) || !(v->cr[0x11] & 0x10))) v->vint_from = clock_now(&v->bus->clock);
    v->cr[i] = val;
}

static u8 cr_read(struct vga *v)
{
    if (v->cr_index <= 0x18) return v->cr[v->cr_index];
    if (v->cr_index == 0x22) return v->latch >> 8 * (v->gr[4] & 3); // undocumented, as every clone has it
    if (v->cr_index == 0x24) return (u8)(v->ar_data << 7 | (v->ar_index & 0x3f));
    return 0xff;
}

static void dac_data_write(struct vga *v, u8 val)
{
    v->dac_cache[v->dac_sub++] = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? val : val & 0x3f;
    if (v->dac_sub < 3) return;
    v->dac_sub = 0;
    memcpy(v->dac + 3 * v->dac_write++, v->dac_cache, 3);
    v->draw.pal_dirty = true;
}

static u8 dac_data_read(struct vga *v)
{
    u8 val = v->dac[3 * v->dac_read + v->dac_sub];
    if (++v->dac_sub == 3) v->dac_sub = 0, v->dac_read++;
    return val;
}

static void ar_write(struct vga *v, u8 val)
{
    static const u8 mask[21] = {[0 ... 15] = 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f};
    if (!v->ar_data)
        v->ar_index = val & 0x3f;
    else if ((v->ar_index & 0x1f) < 21)
        v->ar[v->ar_index & 0x1f] = val & mask[v->ar_index & 0x1f];
    v->ar_data = !v->ar_data;
}

// 3Bxh answers with a monochrome monitor (miscellaneous bit 0 = 0), 3Dxh with a colour one.
static bool wrong_monitor(const struct vga *v, unsigned port)
{
    return ((port & 0x3f0) == 0x3b0 && v->misc & 1) || ((port & 0x3f0) == 0x3d0 && !(v->misc & 1));
}

u8 vga_port_read(struct vga *v, unsigned port)
{
    if (wrong_monitor(v, port)) return 0xff;
    switch (port) {
    case 0x3c0: return v->ar_index;
    case 0x3c1: return (v->ar_index & 0x1f) < 21 ? v->ar[v->ar_index & 0x1f] : 0;
    case 0x3c2: return status0(v);
    case 0x3c4: return v->sr_index;
    case 0x3c5: return v->sr[v->sr_index];
    case 0x3c6: return v->dac_mask;
    case 0x3c7: return v->dac_state;
    case 0x3c8: return v->dac_write;
    case 0x3c9: return dac_data_read(v);
    case 0x3ca: return v->fcr;
    case 0x3cc: return v->misc;
    case 0x3ce: return v->gr_index;
    case 0x3cf: return v->gr[v->gr_index];
    case 0x3b4:
    case 0x3d4: return v->cr_index;
    case 0x3b5:
    case 0x3d5: return cr_read(v);
    case 0x3ba:
    case 0x3da: v->ar_data = false; return status1(v);
    default: return 0xff;
    }
}

void vga_port_write(struct vga *v, unsigned port, u8 val)
{
    if (wrong_monitor(v, port)) return;
    switch (port) {
    case 0x3c0: ar_write(v, val); break;
    case 0x3c2: v->misc = val & 0xef; break;
    case 0x3c4: v->sr_index = val & 7; break;
    case 0x3c5: v->sr[v->sr_index] = val & sr_mask[v->sr_index]; break;
    case 0x3c6: v->dac_mask = val, v->draw.pal_dirty = true; break;
    case 0x3c7: v->dac_read = val, v->dac_sub = 0, v->dac_state = 3; break;
    case 0x3c8: v->dac_write = val, v->dac_sub = 0, v->dac_state = 0; break;
    case 0x3c9: dac_data_write(v, val); break;
    case 0x3ce: v->gr_index = val & 15; break;
    case 0x3cf: v->gr[v->gr_index] = val & gr_mask[v->gr_index]; break;
    case 0x3b4:
    case 0x3d4: v->cr_index = val & 0x3f; break;
    case 0x3b5:
    case 0x3d5: cr_write(v, val); break;
    case 0x3ba:
    case 0x3da: v->fcr = val & 0x0b; break;
    default: break;
    }
}

static u64 low_read(void *dev, u64 off, unsigned size) { return vga_port_read(dev, 0x3b4 + (unsigned)off); }
static void low_write(void *dev, u64 off, u64 val, unsigned size)
{
    vga_port_write(dev, 0x3b4 + (unsigned)off, (u8)val);
}
static u64 mono_read(void *dev, u64 off, unsigned size) { return vga_port_read(dev, 0x3ba); }
static void mono_write(void *dev, u64 off, u64 val, unsigned size) { vga_port_write(dev, 0x3ba, (u8)val); }
static u64 high_read(void *dev, u64 off, unsigned size) { return vga_port_read(dev, 0x3c0 + (unsigned)off); }
static void high_write(void *dev, u64 off, u64 val, unsigned size)
{
    vga_port_write(dev, 0x3c0 + (unsigned)off, (u8)val);
}
static const struct io_ops low_ops = {low_read, low_write, 1, false};
static const struct io_ops mono_ops = {mono_read, mono_write, 1, false};
static const struct io_ops high_ops = {high_read, high_write, 1, false};

// ---- memory window

// Where an offset from A0000h lies in the map that GR6 selects; false: not decoded.
static bool window(const struct vga *v, u64 off, u32 *a)
{
    if (!(v->misc & 2) && !vga_linear(v)) return false;
    switch (v->gr[6] >> 2 & 3) {
    case 0: *a = (u32)off; return true;
    case 1: *a = (u32)off; return off < 0x10000;
    case 2: *a = (u32)off - 0x10000; return off >= 0x10000 && off < 0x18000;
    default: *a = (u32)off - 0x18000; return off >= 0x18000;
    }
}

// Chain 4: bits 0-1 choose the plane; bits 14-15 take their place, as the CRT controller's doubleword mode has it.
static u32 chain4(u32 a) { return (a & 0xfffc) | (a >> 14 & 3); }

// Offset in the planes; the VBE bank switches 64 KB a plane at 4 bits per pixel. False: beyond the memory.
static bool plane_offset(const struct vga *v, u32 a, u32 *off)
{
    *off = (a & 0xffff) + (vga_vbe_on(v) ? (u32)v->vbe[VBE_BANK] << 16 : 0);
    return range_ok((u64)*off * 4, 4, v->size);
}

static u8 mem_read1(struct vga *v, u64 at)
{
    u32 a, off, plane = v->gr[4] & 3;
    if (!window(v, at, &a)) return 0xff;
    if (vga_linear(v)) {
        u64 lin = ((u64)v->vbe[VBE_BANK] << 16) + a;
        return lin < v->size ? v->mem[lin] : 0xff;
    }
    if (v->sr[4] & 8)
        plane = a & 3, a = chain4(a);
    else if (v->gr[5] & 0x10)
        plane = (plane & 2) | (a & 1), a = (a & ~1u) | (a >> 16 & 1);
    if (!plane_offset(v, a, &off)) return 0xff;
    v->latch = ld32(v->mem + 4 * off);
    if (!(v->gr[5] & 8)) return (u8)(v->latch >> 8 * plane);
    u32 differ = (v->latch ^ vga_planes(v->gr[2])) & vga_planes(v->gr[7]);
    differ |= differ >> 16;
    return (u8) ~(differ | differ >> 8);
}

// The graphics controller's data path for one byte from the CPU: all four planes, before the map mask.
static u32 write_data(const struct vga *v, u8 val)
{
    u8 rot = (u8)(val >> (v->gr[3] & 7) | val << (8 - (v->gr[3] & 7))), bitmask = v->gr[8];
    u32 d, set = vga_planes(v->gr[0]), enable = vga_planes(v->gr[1]);
    switch (v->gr[5] & 3) {
    case 0: d = ((rot * 0x01010101u) & ~enable) | (set & enable); break;
    case 1: return v->latch;
    case 2: d = vga_planes(val & 15); break;
    default: d = set, bitmask &= rot; break;
    }
    switch (v->gr[3] >> 3 & 3) {
    case 1: d &= v->latch; break;
    case 2: d |= v->latch; break;
    case 3: d ^= v->latch; break;
    default: break;
    }
    u32 m = bitmask * 0x01010101u;
    return (d & m) | (v->latch & ~m);
}

static void mem_write1(struct vga *v, u64 at, u8 val)
{
    u32 a, off, planes = v->sr[2];
    if (!window(v, at, &a)) return;
    if (vga_linear(v)) {
        u64 lin = ((u64)v->vbe[VBE_BANK] << 16) + a;
        if (lin >= v->size) return;
        v->mem[lin] = val;
        vga_touch(v, (u32)lin, 1);
        return;
    }
    if (v->sr[4] & 8)
        planes &= 1u << (a & 3), a = chain4(a);
    else if (!(v->sr[4] & 4))
        planes &= 5u << (a & 1), a = (a & ~1u) | (a >> 16 & 1);
    if (!planes || !plane_offset(v, a, &off)) return;
    u32 m = vga_planes(planes), old = ld32(v->mem + 4 * off), new = (old & ~m) | (write_data(v, val) & m);
    if (new == old) return;
    st32(v->mem + 4 * off, new);
    if (planes & 4) v->draw.font_dirty = true;
    vga_touch(v, 4 * off, 4);
}

static u64 mem_read(void *dev, u64 off, unsigned size)
{
    u64 val = 0;
    for (unsigned i = 0; i < size; i++) val |= (u64)mem_read1(dev, off + i) << 8 * i;
    return val;
}

static void mem_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct vga *v = dev;
    u64 lin = ((u64)v->vbe[VBE_BANK] << 16) + off;
    if (vga_linear(v) && off + size <= 0x10000 && !(v->gr[6] & 8) && range_ok(lin, size, v->size)) {
        st_size(v->mem + lin, val, size);
        vga_touch(v, (u32)lin, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) mem_write1(v, off + i, (u8)(val >> 8 * i));
}
static const struct io_ops mem_ops = {mem_read, mem_write, 1 | 2 | 4 | 8, false};

// ---- part

static void vga_reset(void *self)
{
    struct vga *v = self;
    v->misc = v->fcr = v->sr_index = v->gr_index = v->ar_index = v->cr_index = 0;
    memset(v->sr, 0, sizeof v->sr);
    memset(v->gr, 0, sizeof v->gr);
    memset(v->ar, 0, sizeof v->ar);
    memset(v->cr, 0, sizeof v->cr);
    memset(v->dac, 0, sizeof v->dac);
    v->ar_data = false;
    v->dac_mask = 0xff;
    v->dac_read = v->dac_write = v->dac_sub = v->dac_state = 0;
    memset(v->dac_cache, 0, sizeof v->dac_cache);
    v->latch = 0;
    v->vint_from = 0;
    v->big_endian = false;
    v->draw.pal_dirty = true;
    vga_vbe_reset(v);
    if (v->has_pci) pci_dev_reset(&v->pci);
}

static void vga_state(struct state *s, void *self)
{
    struct vga *v = self;
    if (v->has_pci) pci_dev_state(s, &v->pci);
    state_u8(s, "misc", &v->misc);
    state_u8(s, "feature_control", &v->fcr);
    state_u8(s, "sr_index", &v->sr_index);
    state_bytes(s, "sr", v->sr, sizeof v->sr);
    state_u8(s, "gr_index", &v->gr_index);
    state_bytes(s, "gr", v->gr, sizeof v->gr);
    state_u8(s, "ar_index", &v->ar_index);
    state_bytes(s, "ar", v->ar, sizeof v->ar);
    state_bool(s, "ar_data", &v->ar_data);
    state_u8(s, "cr_index", &v->cr_index);
    state_bytes(s, "cr", v->cr, sizeof v->cr);
    state_u8(s, "dac_mask", &v->dac_mask);
    state_u8(s, "dac_read", &v->dac_read);
    state_u8(s, "dac_write", &v->dac_write);
    state_u8(s, "dac_sub", &v->dac_sub);
    state_u8(s, "dac_state", &v->dac_state);
    state_bytes(s, "dac_cache", v->dac_cache, sizeof v->dac_cache);
    state_bytes(s, "dac", v->dac, sizeof v->dac);
    state_u32(s, "latch", &v->latch);
    state_u64(s, "vint_from", &v->vint_from);
    state_u16(s, "vbe_index", &v->vbe_index);
    state_u16s(s, "vbe", v->vbe, VBE_NREGS);
    state_bool(s, "big_endian", &v->big_endian);
    if (!state_loading(s)) return;
    // What the register writes would have masked must hold here too: indices select array elements.
    v->sr_index &= 7, v->gr_index &= 15, v->ar_index &= 0x3f, v->cr_index &= 0x3f, v->dac_sub %= 3;
    vga_vbe_check(v);
    v->draw.valid = false;
    v->draw.pal_dirty = v->draw.font_dirty = true;
}

static void vga_info(void *self, struct buf *out)
{
    struct vga *v = self;
    struct vga_beam b;
    vga_beam(v, &b);
    if (vga_vbe_on(v))
        buf_printf(out, "VBE %ux%ux%u, virtual width %u, offset %u,%u, bank %u\n", v->vbe[VBE_XRES], v->vbe[VBE_YRES],
                   v->vbe[VBE_BPP], v->vbe[VBE_VIRT_WIDTH], v->vbe[VBE_X_OFFSET], v->vbe[VBE_Y_OFFSET],
                   v->vbe[VBE_BANK]);
    else
        buf_printf(out, "%s %ux%u dots, line %u of %u\n", v->gr[6] & 1 ? "graphics" : "text", b.hdisp, b.vdisp, b.y,
                   b.vtotal);
    const struct {
        const char *name;
        const u8 *p;
        unsigned n;
    } rows[] = {{"SR", v->sr, 5}, {"GR", v->gr, 9}, {"AR", v->ar, 21}, {"CR", v->cr, 25}};
    buf_printf(out, "misc %02x, %s, screen %s", v->misc, v->misc & 1 ? "colour" : "mono",
               v->ar_index & 0x20 && !(v->sr[1] & 0x20) ? "on" : "off");
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        buf_printf(out, "\n%s", rows[r].name);
        for (unsigned i = 0; i < rows[r].n; i++) buf_printf(out, " %02x", rows[r].p[i]);
    }
    buf_printf(out, "\n");
}

static void vga_free(void *self)
{
    struct vga *v = self;
    vga_draw_free(v);
    free(v->dirty);
    free(v);
}
static const struct part_ops vga_part = {vga_reset, vga_state, vga_info, vga_free};

struct vga *vga_new(struct bus *b, u32 vram_size, struct err *e)
{
    if (!is_pow2(vram_size) || vram_size < 256u << 10 || vram_size > 256u << 20) {
        err_set(e, "VGA: video memory of %u KB; it must be a power of two from 256 KB to 256 MB", vram_size >> 10);
        return NULL;
    }
    struct ram *ram = ram_new(b, "vga.vram", vram_size, e);
    if (!ram) return NULL;
    struct vga *v = xalloc(sizeof *v);
    v->bus = b;
    v->ram = ram;
    v->mem = ram->host;
    v->size = vram_size;
    v->dirty = xalloc(vram_size >> VGA_GRAIN);
    bus_map_port(b, 0x3b4, 2, &low_ops, v, "vga-mono");
    bus_map_port(b, 0x3ba, 1, &mono_ops, v, "vga-mono");
    bus_map_port(b, 0x3c0, 0x20, &high_ops, v, "vga");
    vga_vbe_init(v);
    bus_map_mmio(b, 0xa0000, 0x20000, &mem_ops, v, "vga-window", 2);
    part_add(&b->parts, "vga", &vga_part, v);
    vga_reset(v);
    return v;
}
