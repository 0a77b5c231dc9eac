// SPDX-License-Identifier: MIT
// The VGA as a driver sees it: modes from the BIOS parameter tables (IBM PS/2 BIOS technical reference, video parameter
// table), memory through the bus, pixels of the surface; a bit-by-bit model of the graphics controller; VBE; saved
// state; noise.
#include "hw/video/vga.h"
#include "mem/base/bits.h"
#include "mem/state.h"
#include "tests/check.h"

struct mode {
    u8 misc, sr[4], cr[25], ar[20], gr[9];
};
#define EGA_PAL 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f
static const struct mode mode03 = {0x67,
                                   {0x00, 0x03, 0x00, 0x02},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
                                    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
                                   {EGA_PAL, 0x0c, 0x00, 0x0f, 0x08},
                                   {0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff}};
static const struct mode mode01 = {0x67,
                                   {0x08, 0x03, 0x00, 0x02},
                                   {0x2d, 0x27, 0x28, 0x90, 0x2b, 0xa0, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
                                    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
                                   {EGA_PAL, 0x0c, 0x00, 0x0f, 0x08},
                                   {0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff}};
static const struct mode mode07 = {
    0x66,
    {0x00, 0x03, 0x00, 0x02},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x0d, 0x96, 0xb9, 0xa3, 0xff},
    {0, 8, 8, 8, 8, 8, 8, 8, 0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x18, 0x0e, 0x00, 0x0f, 0x08},
    {0, 0, 0, 0, 0, 0x10, 0x0a, 0x0f, 0xff}};
static const struct mode mode04 = {
    0x63,
    {0x09, 0x03, 0x00, 0x02},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
    {0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00},
    {0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff}};
static const struct mode mode06 = {0x63,
                                   {0x01, 0x01, 0x00, 0x06},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
                                    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff},
                                   {0,    0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
                                    0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x01, 0x00, 0x01, 0x00},
                                   {0, 0, 0, 0, 0, 0x00, 0x0d, 0x0f, 0xff}};
static const struct mode mode0d = {
    0x63,
    {0x09, 0x0f, 0x00, 0x06},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc0, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xe3, 0xff},
    {0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x0f, 0x00},
    {0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff}};
static const struct mode mode12 = {0xe3,
                                   {0x01, 0x0f, 0x00, 0x06},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
                                    0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
                                   {EGA_PAL, 0x01, 0x00, 0x0f, 0x00},
                                   {0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff}};
static const struct mode mode13 = {0x63,
                                   {0x01, 0x0f, 0x00, 0x0e},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
                                    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
                                   {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0x00, 0x0f, 0x00},
                                   {0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff}};

static struct bus bus;
static struct vga *vga;
static struct screen screen;
static struct surface sf;

static void out(u16 port, u8 v) { bus_out(&bus, port, v, 1); }
static u8 in(u16 port) { return (u8)bus_in(&bus, port, 1); }
static void out_ix(u16 port, u8 index, u8 v) { bus_out(&bus, port, index | v << 8, 2); }
static void ar_set(u8 index, u8 v)
{
    in(0x3da), in(0x3ba);
    out(0x3c0, index), out(0x3c0, v), out(0x3c0, 0x20);
}
static void dac_set(u8 i, u8 r, u8 g, u8 b) { out(0x3c8, i), out(0x3c9, r), out(0x3c9, g), out(0x3c9, b); }
static void vbe(u16 index, u16 v) { bus_out(&bus, 0x1ce, index, 2), bus_out(&bus, 0x1cf, v, 2); }
static u16 vbe_get(u16 index)
{
    bus_out(&bus, 0x1ce, index, 2);
    return (u16)bus_in(&bus, 0x1d0, 2);
}
static void poke(u32 pa, u8 v) { bus_store(&bus, pa, v, 1); }
static u8 peek(u32 pa) { return (u8)bus_load(&bus, pa, 1); }

static void setup(void)
{
    struct err e = {0};
    bus_init(&bus);
    vga = vga_new(&bus, 16 << 20, &e);
    if (!vga) printf("%s\n", e.msg), abort();
    screen = vga_screen(vga);
}
static void done(void)
{
    parts_free(&bus.parts);
    bus_free(&bus);
}
static bool update(bool full) { return screen.update(screen.dev, &sf, full); }
static u32 px(u32 x, u32 y) { return x < sf.w && y < sf.h ? sf.px[(u64)y * sf.stride + x] : 0xdeadbeef; }

// DAC entry i is made a grey-blue of its own: R = i mod 64, G = i / 4, B = 63 - i mod 64, as 6 bits.
static u32 six(u32 c) { return c << 2 | c >> 4; }
static u32 colour(u8 i) { return six(i & 63) << 16 | six(i >> 2) << 8 | six(63 - (i & 63)); }
static void set_mode(const struct mode *m)
{
    vbe(4, 0);
    out(0x3c2, m->misc);
    u16 crtc = m->misc & 1 ? 0x3d4 : 0x3b4;
    out_ix(0x3c4, 0, 3);
    for (u8 i = 0; i < 4; i++) out_ix(0x3c4, i + 1, m->sr[i]);
    out_ix(crtc, 0x11, 0);
    for (u8 i = 0; i < 25; i++) out_ix(crtc, i, m->cr[i]);
    for (u8 i = 0; i < 9; i++) out_ix(0x3ce, i, m->gr[i]);
    for (u8 i = 0; i < 20; i++) ar_set(i, m->ar[i]);
    ar_set(0x14, 0);
    out(0x3c6, 0xff);
    for (unsigned i = 0; i < 256; i++) dac_set((u8)i, i & 63, (u8)(i >> 2), 63 - (i & 63));
}
// Writes a glyph's rows to plane 2, the way every BIOS does.
static void font(u32 block, u8 ch, const u8 *rows, unsigned n)
{
    out_ix(0x3c4, 2, 4), out_ix(0x3c4, 4, 7), out_ix(0x3ce, 5, 0), out_ix(0x3ce, 6, 4);
    for (unsigned i = 0; i < n; i++) poke(0xa0000 + block + ch * 32 + i, rows[i]);
    out_ix(0x3c4, 2, 3), out_ix(0x3c4, 4, 3), out_ix(0x3ce, 5, 0x10), out_ix(0x3ce, 6, 0x0e);
}
static const u8 glyph[16] = {0x80, 0x01, 0x81, 0x18, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f};
static void fill16(u32 pa, u16 cell, u32 n)
{
    for (u32 i = 0; i < n; i++) bus_store(&bus, pa + 2 * i, cell, 2);
}

static void text_mode(void)
{
    setup();
    set_mode(&mode03);
    font(0, 'A', glyph, 16);
    font(0, 0xc4, glyph, 16);
    fill16(0xb8000, 0x0720, 2000);
    bus_store(&bus, 0xb8000 + 2 * (80 * 3 + 5), 0x1e41, 2); // yellow on blue 'A' at column 5, row 3
    bus_store(&bus, 0xb8000 + 2 * (80 * 3 + 6), 0x1ec4, 2); // a line drawing character repeats its 8th dot
    CHECK(update(false));
    CHECK_EQ(sf.w, 720);
    CHECK_EQ(sf.h, 400);
    u32 fg = colour(0x3e), bg = colour(1);
    CHECK_EQ(px(45, 48), fg);
    CHECK_EQ(px(46, 48), bg);
    CHECK_EQ(px(53, 48), bg);
    CHECK_EQ(px(52, 49), fg);
    CHECK_EQ(px(53, 49), bg); // the ninth dot of 'A' is background
    CHECK_EQ(px(61, 49), fg);
    CHECK_EQ(px(62, 49), fg); // and of C4h a copy
    CHECK_EQ(px(62, 48), bg);
    for (u32 x = 45; x < 53; x++) CHECK_EQ(px(x, 52), fg);
    CHECK_EQ(px(0, 399), colour(0));
    CHECK(!update(false)); // nothing changed
    poke(0xb8000, 'A');
    CHECK(update(false));
    CHECK_EQ(px(0, 0), colour(7));
    CHECK_EQ(peek(0xb8000), 'A');
    CHECK_EQ(peek(0xb8001), 7);
    struct text_screen t;
    CHECK(screen.text(screen.dev, &t));
    CHECK_EQ(t.cols, 80);
    CHECK_EQ(t.rows, 25);
    CHECK_EQ(t.cell[80 * 3 + 5], 0x1e41);
    CHECK_EQ(t.cell[0], 0x0741);
    out_ix(0x3c4, 1, 1); // 8 dots
    update(false);
    CHECK_EQ(sf.w, 640);
    CHECK_EQ(px(40, 48), fg);
    set_mode(&mode01);
    fill16(0xb8000, 0x0720, 1000);
    bus_store(&bus, 0xb8002, 0x0741, 2);
    update(false);
    CHECK_EQ(sf.w, 720);
    CHECK_EQ(px(18, 0), colour(7));
    CHECK_EQ(px(19, 0), colour(7));
    CHECK_EQ(px(20, 0), colour(0));
    done();
}

static void text_cursor_blink(void)
{
    setup();
    set_mode(&mode03);
    font(0, 'A', glyph, 16);
    fill16(0xb8000, 0x0720, 2000);
    out_ix(0x3d4, 0xe, 0), out_ix(0x3d4, 0xf, 82); // column 2, row 1; lines 13-14
    update(false);
    CHECK_EQ(px(18, 16 + 13), colour(7));
    CHECK_EQ(px(26, 16 + 14), colour(7));
    CHECK_EQ(px(18, 16 + 12), colour(0));
    CHECK_EQ(px(18, 16 + 15), colour(0));
    CHECK_EQ(px(17, 16 + 13), colour(0));
    struct text_screen t;
    screen.text(screen.dev, &t);
    CHECK_EQ(t.cursor_x, 2);
    CHECK_EQ(t.cursor_y, 1);
    CHECK(t.cursor_on);
    bus.clock.now = 9 * 14268000ull; // the 10th frame at 70.09 Hz: the cursor is off for frames 8-15
    CHECK(update(false));
    CHECK_EQ(px(18, 16 + 13), colour(0));
    bus.clock.now = 0;
    out_ix(0x3d4, 0xa, 0x2d); // disabled
    update(false);
    CHECK_EQ(px(18, 16 + 13), colour(0));
    screen.text(screen.dev, &t);
    CHECK(!t.cursor_on);
    out_ix(0x3d4, 0xa, 0x00), out_ix(0x3d4, 0xb, 0x1f); // block
    update(false);
    CHECK_EQ(px(18, 16), colour(7));
    CHECK_EQ(px(18, 31), colour(7));
    // Attribute bit 7: blinking 'A' on blue, or bright background.
    bus_store(&bus, 0xb8000, 0x9741, 2);
    update(false);
    CHECK_EQ(px(0, 0), colour(7));
    CHECK_EQ(px(1, 0), colour(1));
    bus.clock.now = 17 * 14268000ull; // frames 16-31: off
    update(false);
    CHECK_EQ(px(0, 0), colour(1));
    CHECK_EQ(px(1, 0), colour(1));
    ar_set(0x10, 0x04);
    update(false);
    CHECK_EQ(px(0, 0), colour(7));
    CHECK_EQ(px(1, 0), colour(0x39));
    done();
}

static void text_fonts_and_mono(void)
{
    setup();
    set_mode(&mode03);
    static const u8 solid[16] = {[0 ... 15] = 0xff}, empty[16];
    font(0, 'A', empty, 16);
    font(0x2000, 'A', solid, 16); // block 4 of the character map select register lies at 8 KB
    fill16(0xb8000, 0x0720, 2000);
    bus_store(&bus, 0xb8000, 0x0741, 2);
    bus_store(&bus, 0xb8002, 0x0f41, 2);
    out_ix(0x3c4, 3, 0x20); // map A (attribute bit 3) = block 4, map B = block 0
    update(false);
    CHECK_EQ(px(0, 0), colour(0));
    CHECK_EQ(px(9, 0), colour(0x3f));
    out_ix(0x3c4, 3, 0x10); // the other way round
    update(false);
    CHECK_EQ(px(0, 0), colour(7));
    CHECK_EQ(px(9, 0), colour(0));
    set_mode(&mode07);
    CHECK_EQ(in(0x3d4), 0xff);
    out(0x3b4, 0x0a);
    CHECK_EQ(in(0x3b4), 0x0a);
    fill16(0xb0000, 0x0720, 2000);
    bus_store(&bus, 0xb0000, 0x0120, 2); // underlined blank
    bus_store(&bus, 0xb0002, 0x0f20, 2);
    out_ix(0x3c4, 3, 0);
    update(false);
    CHECK_EQ(px(0, 13), colour(8));
    CHECK_EQ(px(8, 13), colour(8));
    CHECK_EQ(px(0, 12), colour(0));
    CHECK_EQ(px(9, 13), colour(0));
    CHECK_EQ(peek(0xb8000), 0xff);
    done();
}

static void text_split_and_panning(void)
{
    setup();
    set_mode(&mode03);
    static const u8 solid[16] = {[0 ... 15] = 0xff}, empty[16];
    font(0, 'A', solid, 16), font(0, ' ', empty, 16);
    fill16(0xb8000, 0x0720, 4000);
    out_ix(0x3d4, 0xc, 80 * 30 >> 8), out_ix(0x3d4, 0xd, 80 * 30 & 255); // shows from row 30 on
    bus_store(&bus, 0xb8000, 0x0441, 2);                                 // row 0: below the split
    bus_store(&bus, 0xb8000 + 2 * 80 * 30, 0x0241, 2);
    // Line compare 319: line 320 is the first from address 0.
    out_ix(0x3d4, 0x18, 319 & 255), out_ix(0x3d4, 7, 0x1f), out_ix(0x3d4, 9, 0x0f);
    update(false);
    CHECK_EQ(px(0, 0), colour(2));
    CHECK_EQ(px(0, 15), colour(2));
    CHECK_EQ(px(0, 16), colour(0));
    CHECK_EQ(px(0, 319), colour(0));
    CHECK_EQ(px(0, 320), colour(4));
    CHECK_EQ(px(0, 335), colour(4));
    CHECK_EQ(px(0, 336), colour(0));
    out_ix(0x3d4, 8, 5); // preset row scan: 5 lines up, only above the split
    update(false);
    CHECK_EQ(px(0, 10), colour(2));
    CHECK_EQ(px(0, 11), colour(0));
    CHECK_EQ(px(0, 335), colour(4));
    ar_set(0x13, 2); // 9 dots: value 2 = 3 dots to the left
    update(false);
    CHECK_EQ(px(4, 0), colour(2));
    CHECK_EQ(px(5, 0), colour(0));
    CHECK_EQ(px(4, 320), colour(4));
    CHECK_EQ(px(6, 320), colour(0));
    ar_set(0x10, 0x2c); // panning stops at the split
    update(false);
    CHECK_EQ(px(5, 0), colour(0));
    CHECK_EQ(px(6, 320), colour(4));
    struct text_screen t;
    screen.text(screen.dev, &t);
    CHECK_EQ(t.cell[0], 0x0241);
    CHECK_EQ(t.cell[80 * (t.rows - 5)], 0x0441);
    done();
}

static void mode_13h_and_x(void)
{
    setup();
    set_mode(&mode13);
    for (u32 i = 0; i < 64000; i++) poke(0xa0000 + i, 0);
    poke(0xa0000 + 320 * 10 + 7, 0xc5);
    bus_store(&bus, 0xa0000 + 320 * 199 + 316, 0x04030201, 4);
    update(false);
    CHECK_EQ(sf.w, 640);
    CHECK_EQ(sf.h, 400);
    CHECK_EQ(px(14, 20), colour(0xc5));
    CHECK_EQ(px(15, 21), colour(0xc5));
    CHECK_EQ(px(16, 20), colour(0));
    CHECK_EQ(px(13, 20), colour(0));
    CHECK_EQ(px(14, 22), colour(0));
    CHECK_EQ(px(14, 19), colour(0));
    for (u32 i = 0; i < 4; i++) CHECK_EQ(px(632 + 2 * i, 399), colour((u8)(i + 1)));
    CHECK(!update(false));
    out(0x3c6, 0x0f); // pel mask
    CHECK(update(false));
    CHECK_EQ(px(14, 20), colour(5));
    out(0x3c6, 0xff);
    ar_set(0x13, 4); // 2 pixels to the left
    update(false);
    CHECK_EQ(px(10, 20), colour(0xc5));
    CHECK_EQ(px(12, 20), colour(0));
    ar_set(0x13, 0);
    // Mode X: chain 4 off, byte addressing. Plane p, offset o is pixel 4*o+p.
    out_ix(0x3c4, 4, 6), out_ix(0x3d4, 0x14, 0), out_ix(0x3d4, 0x17, 0xe3);
    out_ix(0x3c4, 2, 0x0f);
    for (u32 i = 0; i < 0x10000; i += 8) bus_store(&bus, 0xa0000 + i, 0, 8);
    out_ix(0x3c4, 2, 4);
    poke(0xa0000 + 80 * 50 + 3, 0x77);
    update(false);
    CHECK_EQ(px(2 * 14, 100), colour(0x77));
    CHECK_EQ(px(2 * 15, 100), colour(0));
    CHECK_EQ(px(2 * 13, 100), colour(0));
    out_ix(0x3ce, 4, 2);
    CHECK_EQ(peek(0xa0000 + 80 * 50 + 3), 0x77);
    out_ix(0x3ce, 4, 1);
    CHECK_EQ(peek(0xa0000 + 80 * 50 + 3), 0);
    out_ix(0x3d4, 0xc, 80 * 50 >> 8), out_ix(0x3d4, 0xd, 80 * 50 & 255); // page flip
    update(false);
    CHECK_EQ(px(28, 0), colour(0x77));
    CHECK_EQ(px(28, 100), colour(0));
    out_ix(0x3d4, 0x13, 0x2a), out_ix(0x3d4, 9, 0x40); // 84 bytes a line, single lines
    poke(0xa0000 + 80 * 50 + 84 * 399, 0x12);
    update(false);
    CHECK_EQ(px(4, 399), colour(0x12));
    done();
}

static void planar_and_cga(void)
{
    setup();
    set_mode(&mode12);
    for (u32 i = 0; i < 0x10000; i += 8) bus_store(&bus, 0xa0000 + i, 0, 8);
    out_ix(0x3c4, 2, 0x0a); // planes 1 and 3
    poke(0xa0000 + 80 * 479 + 79, 0x01);
    update(false);
    CHECK_EQ(sf.w, 640);
    CHECK_EQ(sf.h, 480);
    CHECK_EQ(px(639, 479), colour(0x3a));
    CHECK_EQ(px(638, 479), colour(0));
    ar_set(0x12, 7); // colour plane enable
    update(false);
    CHECK_EQ(px(639, 479), colour(2));
    ar_set(0x12, 15), ar_set(0x14, 0x0d), ar_set(0x10, 0x81); // colour select: bits 4-5 = 1, bits 6-7 = 3
    update(false);
    CHECK_EQ(px(639, 479), colour(0xda));
    set_mode(&mode0d);
    out_ix(0x3c4, 2, 15);
    for (u32 i = 0; i < 0x10000; i += 8) bus_store(&bus, 0xa0000 + i, 0, 8);
    poke(0xa0000 + 40 * 100 + 1, 0x40);
    update(false);
    CHECK_EQ(sf.w, 640);
    CHECK_EQ(sf.h, 400);
    CHECK_EQ(px(18, 200), colour(0x17));
    CHECK_EQ(px(19, 201), colour(0x17));
    CHECK_EQ(px(20, 200), colour(0));
    CHECK_EQ(px(17, 200), colour(0));
    CHECK_EQ(px(18, 202), colour(0));
    set_mode(&mode06); // 640 x 200, odd lines 8 KB further
    for (u32 i = 0; i < 0x8000; i += 8) bus_store(&bus, 0xb8000 + i, 0, 8);
    poke(0xb8000, 0x80), poke(0xba000 + 80 * 99 + 79, 0x01);
    update(false);
    CHECK_EQ(px(0, 0), colour(0x17));
    CHECK_EQ(px(0, 1), colour(0x17));
    CHECK_EQ(px(0, 2), colour(0));
    CHECK_EQ(px(639, 398), colour(0x17));
    CHECK_EQ(px(639, 399), colour(0x17));
    CHECK_EQ(px(639, 397), colour(0));
    set_mode(&mode04); // 320 x 200, 4 colours, two bits a pixel from the left
    for (u32 i = 0; i < 0x8000; i += 8) bus_store(&bus, 0xb8000 + i, 0, 8);
    poke(0xb8000, 0x1b), poke(0xb8001, 0xc0), poke(0xba000 + 80 * 3, 0x40);
    update(false);
    const u8 pal[4] = {0, 0x13, 0x15, 0x17};
    for (u32 i = 0; i < 4; i++) CHECK_EQ(px(2 * i, 0), colour(pal[i]));
    CHECK_EQ(px(8, 1), colour(0x17));
    CHECK_EQ(px(10, 1), colour(0));
    CHECK_EQ(px(0, 14), colour(0x13));
    CHECK_EQ(px(1, 15), colour(0x13));
    CHECK_EQ(px(0, 13), colour(0));
    done();
}

// ---- the graphics controller against a model that handles one bit of one plane at a time

static struct {
    u8 plane[4][65536], latch[4];
} model;
static u8 gr[9], map_mask;

static void model_write(u32 a, u8 cpu)
{
    u8 rot = (u8)((cpu | cpu << 8) >> (gr[3] & 7));
    for (unsigned p = 0; p < 4; p++) {
        if (!(map_mask >> p & 1)) continue;
        u8 result = 0;
        for (unsigned b = 0; b < 8; b++) {
            unsigned d, latch = model.latch[p] >> b & 1, take = gr[8] >> b & 1, sr = gr[0] >> p & 1;
            switch (gr[5] & 3) {
            case 0: d = gr[1] >> p & 1 ? sr : rot >> b & 1u; break;
            case 1: d = latch, take = 0; break;
            case 2: d = cpu >> p & 1; break;
            default: d = sr, take &= rot >> b; break;
            }
            switch (gr[3] >> 3) {
            case 1: d &= latch; break;
            case 2: d |= latch; break;
            case 3: d ^= latch; break;
            }
            result |= (u8)((take & 1 ? d : latch) << b);
        }
        model.plane[p][a] = result;
    }
}
static u8 model_read(u32 a)
{
    for (unsigned p = 0; p < 4; p++) model.latch[p] = model.plane[p][a];
    if (!(gr[5] & 8)) return model.latch[gr[4]];
    u8 r = 0;
    for (unsigned b = 0; b < 8; b++) {
        bool eq = true;
        for (unsigned p = 0; p < 4; p++)
            if (gr[7] >> p & 1 && (model.latch[p] >> b & 1) != (gr[2] >> p & 1)) eq = false;
        r |= (u8)(eq << b);
    }
    return r;
}
static u64 seed = 0x9e3779b97f4a7c15;
static u32 rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (u32)(seed >> 20);
}

static void graphics_controller_model(void)
{
    static const u8 gmask[9] = {15, 15, 15, 31, 3, 11, 0, 15, 255};
    setup();
    set_mode(&mode12);
    memset(&model, 0, sizeof model);
    out_ix(0x3c4, 2, 15);
    for (u32 i = 0; i < 256; i++) poke(0xa0000 + i, 0);
    peek(0xa0000);
    for (unsigned i = 0; i < 9; i++) gr[i] = mode12.gr[i];
    map_mask = 15;
    for (unsigned n = 0; n < 60000; n++) {
        u32 a = rnd() & 255;
        unsigned what = rnd() % 8, i = rnd() % 9;
        if (what == 0) {
            gr[i] = (u8)rnd() & gmask[i];
            if (i == 6) gr[6] = 5;
            out_ix(0x3ce, (u8)i, gr[i]);
        } else if (what == 1) {
            out_ix(0x3c4, 2, map_mask = rnd() & 15);
        } else if (what < 5) {
            u8 v = (u8)rnd();
            poke(0xa0000 + a, v), model_write(a, v);
        } else {
            CHECK_EQ(peek(0xa0000 + a), model_read(a));
        }
    }
    out_ix(0x3ce, 5, 0);
    for (u8 p = 0; p < 4; p++) {
        out_ix(0x3ce, 4, p);
        for (u32 i = 0; i < 256; i++) CHECK_EQ(peek(0xa0000 + i), model.plane[p][i]);
    }
    done();
}

static void registers(void)
{
    setup();
    set_mode(&mode03);
    out(0x3c8, 10), out(0x3c9, 0xff), out(0x3c9, 2), out(0x3c9, 3), out(0x3c9, 4), out(0x3c9, 5), out(0x3c9, 6);
    CHECK_EQ(in(0x3c8), 12);
    CHECK_EQ(in(0x3c7), 0);
    out(0x3c7, 10);
    CHECK_EQ(in(0x3c7), 3);
    const u8 want[] = {0x3f, 2, 3, 4, 5, 6}; // 6 bits wide, index moves on by itself
    for (unsigned i = 0; i < 6; i++) CHECK_EQ(in(0x3c9), want[i]);
    out_ix(0x3d4, 0x11, 0x8e); // lock CR0-7
    out_ix(0x3d4, 0, 0x11), out_ix(0x3d4, 7, 0x00), out(0x3d4, 0);
    CHECK_EQ(in(0x3d5), 0x5f);
    out(0x3d4, 7);
    CHECK_EQ(in(0x3d5), 0x0f); // only line compare bit 8 may change
    in(0x3da);
    out(0x3c0, 0x31), out(0x3c0, 0x2a);
    CHECK_EQ(in(0x3c0), 0x31);
    CHECK_EQ(in(0x3c1), 0x2a);
    CHECK_EQ(in(0x3cc), 0x67);
    // Retrace of mode 3: 449 lines of 900 dots at 28.322 MHz, display 400 lines, retrace lines 412-413.
    const double line_ns = 900 / 28.322e6 * 1e9;
    bus.clock.now = (u64)(100.5 * line_ns);
    CHECK_EQ(in(0x3da) & 9, 0);
    bus.clock.now = (u64)(100.9 * line_ns); // 810 dots: behind the 720 that are shown
    CHECK_EQ(in(0x3da) & 9, 1);
    bus.clock.now = (u64)(405.5 * line_ns);
    CHECK_EQ(in(0x3da) & 9, 1);
    bus.clock.now = (u64)(412.5 * line_ns);
    CHECK_EQ(in(0x3da) & 9, 9);
    bus.clock.now = (u64)(414.5 * line_ns);
    CHECK_EQ(in(0x3da) & 9, 1);
    bus.clock.now = (u64)(449.5 * line_ns);
    CHECK_EQ(in(0x3da) & 9, 0);
    out_ix(0x3d4, 0x11, 0x0e), out_ix(0x3d4, 0x11, 0x1e); // vertical interrupt: cleared, then waited for
    CHECK_EQ(in(0x3c2) & 0x80, 0);
    bus.clock.now = (u64)((449 + 401) * line_ns);
    CHECK_EQ(in(0x3c2) & 0x80, 0x80);
    out_ix(0x3d4, 0x11, 0x0e);
    CHECK_EQ(in(0x3c2) & 0x80, 0);
    out(0x3c2, 0x65); // display memory off
    CHECK_EQ(peek(0xb8000), 0xff);
    out_ix(0x3c4, 1, 0x23);
    update(false);
    CHECK_EQ(px(100, 100), 0);
    done();
}

static void vbe_modes(void)
{
    setup();
    set_mode(&mode03);
    for (u16 id = 0xb0c0; id <= 0xb0c5; id++) {
        vbe(0, id);
        CHECK_EQ(vbe_get(0), id);
    }
    vbe(0, 0xb0c6);
    CHECK_EQ(vbe_get(0), 0xb0c5);
    CHECK_EQ(vbe_get(10), 256);
    vbe(4, 2);
    CHECK(vbe_get(1) >= 1920 && vbe_get(2) >= 1080 && vbe_get(3) == 32);
    u8 *mem = bus.phys.rams[0]->host;
    memset(mem, 0x55, 4 << 20);
    vbe(4, 0), vbe(1, 1024), vbe(2, 768), vbe(3, 32), vbe(4, 0x41);
    CHECK_EQ(vbe_get(6), 1024);
    CHECK_EQ(vbe_get(7), 4096);
    update(false);
    CHECK_EQ(sf.w, 1024);
    CHECK_EQ(sf.h, 768);
    CHECK_EQ(px(1023, 767), 0);
    CHECK_EQ(mem[1024 * 768 * 4], 0x55);
    // Bank switching through A0000h: pixel 0 of line 100 lies at 409600 = bank 6, offset 16384.
    vbe(5, 6);
    bus_store(&bus, 0xa4000, 0xff123456, 4);
    CHECK(update(false));
    CHECK_EQ(px(0, 100), 0x123456);
    CHECK_EQ(bus_load(&bus, 0xa4000, 4), 0xff123456);
    CHECK(!update(false));
    out_ix(0x3c4, 4, 6);
    CHECK_EQ(bus_load(&bus, 0xa4000, 4), 0xff123456); // the sequencer has no say
    vbe(8, 8), vbe(9, 100);
    update(false);
    CHECK_EQ(px(0, 0), 0);
    vbe(8, 0);
    update(false);
    CHECK_EQ(px(0, 0), 0x123456);
    vbe(6, 2048);
    CHECK_EQ(vbe_get(7), 2048);
    vbe(4, 0), vbe(1, 1920), vbe(2, 1080), vbe(3, 16), vbe(4, 0xc1); // memory is kept
    st_size(mem + 1920 * 2 * 1079 + 1919 * 2, 0xf81f, 2);
    update(true);
    CHECK_EQ(sf.w, 1920);
    CHECK_EQ(sf.h, 1080);
    CHECK_EQ(px(1919, 1079), 0xff00ff);
    vbe(3, 15), st_size(mem, 0x7c1f, 2), update(true);
    CHECK_EQ(px(0, 0), 0xff00ff);
    vbe(3, 24), st_size(mem + 3, 0x030201, 4), update(true);
    CHECK_EQ(px(1, 0), 0x030201);
    vbe(3, 8), mem[5] = 77, update(true);
    CHECK_EQ(px(5, 0), colour(77));
    vbe(4, 0xe1); // 8-bit DAC
    dac_set(77, 0xfe, 0x81, 0x13), update(false);
    CHECK_EQ(px(5, 0), 0xfe8113);
    vbe(3, 9);
    CHECK_EQ(vbe_get(3), 8);
    // 16 colours, 800 x 600: planes with 100 bytes a line.
    set_mode(&mode12);
    vbe(1, 800), vbe(2, 600), vbe(3, 4), vbe(4, 1);
    out_ix(0x3c4, 4, 6), out_ix(0x3c4, 2, 5);
    poke(0xa0000 + 100 * 599 + 99, 1);
    update(false);
    CHECK_EQ(sf.w, 800);
    CHECK_EQ(px(799, 599), colour(5));
    CHECK_EQ(px(798, 599), colour(0));
    vbe(4, 0);
    set_mode(&mode03);
    struct text_screen t;
    CHECK(screen.text(screen.dev, &t));
    done();
}

static void pci_function(void)
{
    struct err e = {0};
    static const u8 rom[512] = {0x55, 0xaa, 1};
    bus_init(&bus);
    struct pci_bus *p = pci_bus_new(&bus);
    vga = vga_pci_new(&bus, p, PCI_DEVFN(2, 0), &(struct vga_opts){.rom = rom, .rom_size = sizeof rom}, &e);
    CHECK(vga != NULL);
    screen = vga_screen(vga);
    const struct {
        u8 reg;
        u32 want;
    } ids[] = {{0, 0x11111234}, {8, 0x03000002}, {0x2c, 0x11001af4}};
    for (unsigned i = 0; i < 3; i++) {
        bus_out(&bus, 0xcf8, 0x80001000 | ids[i].reg, 4);
        CHECK_EQ(bus_in(&bus, 0xcfc, 4), ids[i].want);
    }
    const struct {
        u8 reg;
        u32 val;
    } bars[] = {{0x10, 0xe0000000}, {0x18, 0xf0000000}, {0x30, 0xf1000001}, {4, 3}};
    for (unsigned i = 0; i < 4; i++) {
        bus_out(&bus, 0xcf8, 0x80001000 | bars[i].reg, 4);
        bus_out(&bus, 0xcfc, bars[i].val, 4);
    }
    CHECK_EQ(bus_load(&bus, 0xf1000000, 2), 0xaa55);
    CHECK_EQ(bus_load(&bus, 0xf0000000, 8), 0x00ffffffffffff00);
    u8 sum = 0;
    for (u32 i = 0; i < 128; i++) sum += (u8)bus_load(&bus, 0xf0000000 + i, 1);
    CHECK_EQ(sum, 0);
    CHECK_EQ(bus_load(&bus, 0xf0000500, 2), 0xb0c5);
    // As Linux' bochs-drm: unblank through the port mirror, then only VBE registers.
    bus_store(&bus, 0xf00004c2 - 0xc0, 1, 1), bus_load(&bus, 0xf000041a, 1), bus_store(&bus, 0xf0000400, 0x20, 1);
    const u16 regs[] = {0, 640, 480, 32, 0x41};
    for (u32 i = 1; i < 5; i++) bus_store(&bus, 0xf0000500 + 2 * i, regs[i], 2);
    update(false);
    CHECK_EQ(sf.w, 640);
    CHECK_EQ(sf.h, 480);
    CHECK(!update(false));
    bus_store(&bus, 0xe0000000 + 4 * (640 * 479 + 639), 0x00abcdef, 4);
    CHECK(update(false));
    CHECK_EQ(px(639, 479), 0xabcdef);
    CHECK(!update(false));
    bus_store(&bus, 0xf0000604, 0xbebebebe, 4);
    update(false);
    CHECK_EQ(px(639, 479), 0xcdab00);
    done();
}

static struct buf saved(void)
{
    struct buf b = {0};
    struct state s = {.mode = STATE_SAVE, .out = &b};
    parts_state(&bus.parts, &s);
    return b;
}
static void noise(unsigned n)
{
    static const u16 ports[] = {0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3c6, 0x3c7, 0x3c8, 0x3c9, 0x3ce, 0x3cf,
                                0x3d4, 0x3d5, 0x3b4, 0x3b5, 0x3da, 0x3ba, 0x1ce, 0x1cf, 0x1d0};
    for (unsigned i = 0; i < n; i++) {
        unsigned what = rnd() % 64;
        if (what < 20)
            bus_out(&bus, ports[rnd() % ARRAY_LEN(ports)], rnd(), 1u << rnd() % 3);
        else if (what < 26)
            vbe(rnd() % 12, (u16)(rnd() % 3 ? rnd() & 0x7ff : rnd()));
        else if (what < 28)
            vbe(4, rnd() & 1 ? 0 : 0xe1), vbe(3, (u16)(4 + rnd() % 4 * 8));
        else if (what < 34)
            bus_in(&bus, ports[rnd() % ARRAY_LEN(ports)], 1u << rnd() % 3);
        else if (what < 54)
            bus_store(&bus, 0xa0000 + (rnd() & 0x1fff8), rnd(), 1u << rnd() % 4);
        else if (what < 63)
            bus_load(&bus, 0xa0000 + (rnd() & 0x1fff8), 1u << rnd() % 4);
        else if (sf.w * sf.h < 3000000 || rnd() % 8 == 0)
            bus.clock.now += rnd(), update(rnd() & 1);
    }
}

static void random_use(void)
{
    static struct text_screen t;
    setup();
    for (unsigned round = 0; round < 10; round++) {
        static const struct mode *const modes[] = {&mode03, &mode12, &mode13, &mode04, &mode06, &mode07};
        set_mode(modes[round % 6]);
        noise(10000);
        update(true);
        screen.text(screen.dev, &t);
        CHECK(sf.w > 0 && sf.h > 0);
    }
    done();
}

static void saved_state(void)
{
    setup();
    set_mode(&mode13);
    noise(3000);
    struct buf a = saved();
    done();
    setup();
    struct state s = {.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&bus.parts, &s);
    CHECK(state_ok(&s));
    struct buf b = saved();
    CHECK_EQ(a.len, b.len);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    update(true);
    parts_reset(&bus.parts);
    struct buf c = saved();
    done();
    setup();
    parts_reset(&bus.parts);
    struct buf d = saved();
    CHECK(c.len == d.len && !memcmp(c.data, d.data, c.len));
    // A hostile file: noise in place of the registers must be survived.
    for (unsigned n = 0; n < 200; n++) {
        struct buf e = {0};
        buf_add(&e, a.data, a.len);
        for (unsigned i = 0; i < 40; i++) e.data[rnd() % e.len] = (u8)rnd();
        struct state l = {.mode = STATE_LOAD, .in = e.data, .len = e.len};
        parts_state(&bus.parts, &l);
        if (n % 8 == 0) update(true);
        noise(50);
        buf_free(&e);
    }
    done();
    buf_free(&a), buf_free(&b), buf_free(&c), buf_free(&d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(text_mode),
        TEST(text_cursor_blink),
        TEST(text_fonts_and_mono),
        TEST(text_split_and_panning),
        TEST(mode_13h_and_x),
        TEST(planar_and_cga),
        TEST(graphics_controller_model),
        TEST(registers),
        TEST(vbe_modes),
        TEST(pci_function),
        TEST(random_use),
        TEST(saved_state),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
