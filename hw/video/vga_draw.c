// SPDX-License-Identifier: MIT
// Standard VGA: from memory and registers to pixels, redrawing what changed. A surface pixel is a dot of the monitor:
// modes with half the dot clock or doubled lines come out doubled, as on glass (mode 13h is 640 x 400). IBM "Video
// Subsystem" technical reference: CRT controller (addressing, line compare, row scan), attribute controller (palette,
// panning, 9-dot characters, blinking), sequencer (character maps, dot clock). Left out: register changes in the middle
// of a frame, the border, cursor and display-enable skew beyond the cursor's column.
#include <stdlib.h>
#include "hw/video/vga_int.h"
#include "mem/base/err.h"

enum { MAX_DOTS = 256 * 18 + 36 }; // 256 characters of 9 doubled dots, and the one that panning shows in part

// ---- dirty marks

// Takes the page-wise log of the RAM block (writes through the linear frame buffer) over into our own finer marks.
static void collect_dirty(struct vga *v, u64 first, u64 len)
{
    u64 from = align_down(first, PAGE_SIZE), to = min_u64(align_up(first + len, PAGE_SIZE), v->size);
    if (from >= to) return;
    for (u64 at = from; at < to; at += PAGE_SIZE)
        if (!(v->ram->flags[at >> PAGE_BITS] & RAM_CLEAN))
            memset(v->dirty + (at >> VGA_GRAIN), 1, PAGE_SIZE >> VGA_GRAIN);
    if (phys_take_dirty(v->bus, v->ram, from, to - from)) v->draw.font_dirty = true;
}

static bool is_dirty(const struct vga *v, u64 first, u64 len)
{
    if (!range_ok(first, len, v->size)) return true;
    u64 g = first >> VGA_GRAIN, last = (first + len - 1) >> VGA_GRAIN;
    return memchr(v->dirty + g, 1, last - g + 1) != NULL;
}

static void clear_dirty(struct vga *v, u64 first, u64 len)
{
    u64 to = min_u64(first + len, v->size);
    if (first < to) memset(v->dirty + (first >> VGA_GRAIN), 0, ((to - 1) >> VGA_GRAIN) - (first >> VGA_GRAIN) + 1);
}

// ---- palette

static void load_palette(struct vga *v)
{
    bool eight = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC;
    for (unsigned i = 0; i < 256; i++) {
        const u8 *c = v->dac + 3 * (i & v->dac_mask);
        u32 rgb = 0;
        for (unsigned k = 0; k < 3; k++)
            rgb = rgb << 8 | (eight ? c[k] : (u8)((c[k] & 0x3f) << 2 | (c[k] & 0x3f) >> 4));
        v->draw.pal[i] = rgb;
    }
}

// The 16 attribute colours: colour plane enable, palette registers, colour select.
static void attr_colours(const struct vga *v, u32 out[16])
{
    for (unsigned i = 0; i < 16; i++) {
        u8 c = v->ar[i & v->ar[0x12] & 15] & 0x3f;
        if (v->ar[0x10] & 0x80) c = (c & 15) | (v->ar[0x14] & 3) << 4;
        out[i] = v->draw.pal[c | (v->ar[0x14] & 0x0c) << 4];
    }
}

// ---- the CRT controller's walk over the scan lines

struct walk {
    u32 ma, row_ma; // address of the line's first character (with byte panning), and without
    u32 rs;         // row scan
    u32 byte_pan, pan;
    bool second; // the second of two doubled lines
    bool fresh;  // first line of a character row (text)
};
struct crtc {
    u32 cols, lines, rows_per_char, step, compare, cw, dot; // dot: surface pixels a dot
    bool twice, scan_double;                                // CR17 bit 2: all lines twice; CR9 bit 7
};

static struct crtc crtc_of(const struct vga *v)
{
    struct crtc c = {.cols = v->cr[1] + 1u, .lines = vga_cr_vertical(v, 0x12, 1, 6) + 1};
    c.rows_per_char = (v->cr[9] & 0x1f) + 1u;
    c.step = v->cr[0x13] * 2u;
    c.compare = v->cr[0x18] | (u32)bit(v->cr[7], 4) << 8 | (u32)bit(v->cr[9], 6) << 9;
    c.cw = v->sr[1] & 1 || v->gr[6] & 1 ? 8 : 9;
    c.dot = v->sr[1] & 8 ? 2 : 1;
    c.twice = v->cr[0x17] & 4;
    c.scan_double = v->cr[9] & 0x80;
    return c;
}

static struct walk walk_start(const struct vga *v)
{
    struct walk w = {.row_ma = (u32)v->cr[0xc] << 8 | v->cr[0xd], .rs = v->cr[8] & 0x1f, .fresh = true};
    w.byte_pan = v->cr[8] >> 5 & 3;
    w.pan = v->ar[0x13] & 15;
    w.ma = w.row_ma + w.byte_pan;
    return w;
}

static void walk_next(const struct vga *v, const struct crtc *c, struct walk *w, u32 y)
{
    w->fresh = false;
    if (y == c->compare) {
        w->row_ma = w->rs = 0;
        w->second = false;
        w->fresh = true;
        if (v->ar[0x10] & 0x20) w->pan = w->byte_pan = 0;
    } else if (c->scan_double && !w->second) {
        w->second = true;
        return;
    } else {
        w->second = false;
        if (w->rs == c->rows_per_char - 1) {
            w->rs = 0;
            w->row_ma += c->step;
            w->fresh = true;
        } else {
            w->rs = (w->rs + 1) & 0x1f;
        }
    }
    w->ma = w->row_ma + w->byte_pan;
}

// Memory address counter -> offset in the planes: byte, word or doubleword mode, and the row scan bits that CGA modes
// put in.
static u32 crtc_offset(const struct vga *v, u32 ma, u32 rs)
{
    u32 a;
    if (v->cr[0x14] & 0x40)
        a = ma << 2 | (ma >> 12 & 3);
    else if (!(v->cr[0x17] & 0x40))
        a = ma << 1 | (ma >> (v->cr[0x17] & 0x20 ? 15 : 13) & 1);
    else
        a = ma;
    if (!(v->cr[0x17] & 1)) a = (a & ~0x2000u) | (rs & 1) << 13;
    if (!(v->cr[0x17] & 2)) a = (a & ~0x4000u) | (rs & 2) << 13;
    return a & 0xffff;
}

// Dots that AR13 moves the picture to the left by.
static u32 pan_dots(u32 pan, u32 cw)
{
    if (cw == 9) return pan >= 8 ? 0 : pan + 1;
    return pan & 7;
}

// ---- graphics

struct pixels {
    u32 col[16]; // attribute colours
    u8 shift;    // GR5 bits 5-6
    u8 blink;    // bit 3 of the pixel is off in this half of the blink period
    u32 dot;
};

static u32 *put(u32 *to, u32 rgb, u32 n)
{
    while (n--) *to++ = rgb;
    return to;
}

// The 8 dots of one character clock, from the bytes of the four planes.
static u32 *put_dots(const struct vga *v, const struct pixels *p, u32 *to, u32 w)
{
    if (p->shift & 2) {
        for (unsigned i = 0; i < 4; i++) to = put(to, v->draw.pal[w >> 8 * i & 0xff], 2 * p->dot);
        return to;
    }
    for (int i = 7; i >= 0; i--) {
        unsigned idx;
        if (p->shift & 1) { // pairs of bits of planes 0 and 2, then 1 and 3
            u32 low = i >= 4 ? w : w >> 8;
            unsigned k = 2 * (i & 3);
            idx = (low >> k & 3) | (low >> (16 + k) & 3) << 2;
        } else {
            idx = (w >> i & 1) | (w >> (8 + i) & 1) << 1 | (w >> (16 + i) & 1) << 2 | (w >> (24 + i) & 1) << 3;
        }
        to = put(to, p->col[idx & ~p->blink], p->dot);
    }
    return to;
}

static bool draw_graphics(struct vga *v, bool full)
{
    struct vga_draw *d = &v->draw;
    struct crtc c = crtc_of(v);
    struct walk w = walk_start(v);
    struct pixels p = {.shift = v->gr[5] >> 5 & 3, .blink = d->look.blink ? 8 : 0, .dot = c.dot};
    unsigned count = v->cr[0x14] & 0x20 ? 2 : v->cr[0x17] & 8 ? 1 : 0; // counter runs at a quarter or half of the clock
    u32 line[MAX_DOTS], prev_first = ~0u, prev_last = 0, prev_pan = 0;
    bool any = false, prev_drawn = false;
    attr_colours(v, p.col);
    collect_dirty(v, 0, 0x40000);
    for (u32 y = 0, out = 0; y < c.lines; walk_next(v, &c, &w, y), y++, out += c.twice ? 2 : 1) {
        u32 first = crtc_offset(v, w.ma, w.rs), last = crtc_offset(v, w.ma + (c.cols >> count), w.rs);
        u32 *row = d->px + (u64)out * d->w, pan = pan_dots(w.pan, 8) * c.dot;
        bool same = first == prev_first && last == prev_last && pan == prev_pan;
        bool draw =
            same ? prev_drawn : full || last < first || is_dirty(v, 4 * (u64)first, 4 * (u64)(last - first + 1));
        if (draw && same) {
            memcpy(row, row - (c.twice ? 2 : 1) * d->w, d->w * sizeof *row);
        } else if (draw) {
            u32 *to = line;
            for (u32 i = 0; i <= c.cols; i++)
                to = put_dots(v, &p, to, ld32(v->mem + 4 * crtc_offset(v, w.ma + (i >> count), w.rs)));
            memcpy(row, line + pan, d->w * sizeof *row);
        }
        if (draw && c.twice) memcpy(row + d->w, row, d->w * sizeof *row);
        any |= draw;
        prev_drawn = draw, prev_first = first, prev_last = last, prev_pan = pan;
    }
    clear_dirty(v, 0, 0x40000);
    return any;
}

// ---- VBE

static void draw_packed(const struct vga *v, u32 *to, const u8 *from, u32 n)
{
    bool be = v->big_endian;
    switch (v->vbe[VBE_BPP]) {
    case 8:
        for (u32 i = 0; i < n; i++) to[i] = v->draw.pal[from[i]];
        break;
    case 15:
        for (u32 i = 0; i < n; i++) {
            u32 c = be ? ldbe16(from + 2 * i) : ld16(from + 2 * i), r = c >> 10 & 31, g = c >> 5 & 31, b = c & 31;
            to[i] = (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | (b << 3 | b >> 2);
        }
        break;
    case 16:
        for (u32 i = 0; i < n; i++) {
            u32 c = be ? ldbe16(from + 2 * i) : ld16(from + 2 * i), r = c >> 11, g = c >> 5 & 63, b = c & 31;
            to[i] = (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
        }
        break;
    case 24:
        for (u32 i = 0; i < n; i++, from += 3)
            to[i] = be ? (u32)from[0] << 16 | from[1] << 8 | from[2] : (u32)from[2] << 16 | from[1] << 8 | from[0];
        break;
    default:
        for (u32 i = 0; i < n; i++) to[i] = (be ? ldbe32(from + 4 * i) : ld32(from + 4 * i)) & 0xffffff;
    }
}

static bool draw_vbe(struct vga *v, bool full)
{
    struct vga_draw *d = &v->draw;
    const u16 *r = v->vbe;
    bool any = false, planar = r[VBE_BPP] == 4;
    struct pixels p = {.dot = 1};
    u32 bytes = (r[VBE_BPP] + 7u) >> 3, per_line = planar ? d->w / 8 * 4 : d->w * bytes;
    u64 stride = (u64)vga_vbe_stride(v) * (planar ? 4 : 1);
    u64 start = r[VBE_Y_OFFSET] * stride + (planar ? r[VBE_X_OFFSET] / 8u * 4 : r[VBE_X_OFFSET] * bytes);
    u64 span = (d->h - 1) * stride + per_line;
    if (!range_ok(start, span, v->size)) return false; // vga_vbe_check() keeps this from happening
    attr_colours(v, p.col);
    collect_dirty(v, start, span);
    for (u32 y = 0; y < d->h; y++) {
        u64 at = start + y * stride;
        if (!full && !is_dirty(v, at, per_line)) continue;
        any = true;
        u32 *to = d->px + (u64)y * d->w;
        if (planar)
            for (u32 i = 0; i < d->w / 8; i++) to = put_dots(v, &p, to, ld32(v->mem + at + 4 * i));
        else
            draw_packed(v, to, v->mem + at, d->w);
    }
    clear_dirty(v, start, span);
    return any;
}

// ---- text

// What a cell shows, as cached: character, attribute, cursor lines, blink phase. CELL_NONE is none of them.
enum { CELL_BLINK_OFF = 1 << 16, CELL_CURSOR = 1 << 17, CELL_CURSOR_FIRST = 18, CELL_CURSOR_LAST = 23, CELL_NONE = ~0 };

struct text_job {
    struct crtc c;
    u32 col[16];
    u32 font[2]; // offset in plane 2 by attribute bit 3
    u32 cursor;  // address; ~0: not shown now
    u32 cursor_key;
    bool blink_on, blink_off_now, line_graphics;
    u8 underline;
};

static u32 font_offset(const struct vga *v, bool bit3)
{
    unsigned n = bit3 ? (v->sr[3] >> 2 & 3) | (v->sr[3] >> 3 & 4) : (v->sr[3] & 3) | (v->sr[3] >> 2 & 4);
    return (n & 3) * 0x4000 + (n >> 2) * 0x2000;
}

static u32 cursor_address(const struct vga *v)
{
    return (((u32)v->cr[0xe] << 8 | v->cr[0xf]) + (v->cr[0xb] >> 5 & 3)) & 0xffff;
}
static bool cursor_enabled(const struct vga *v)
{
    return !(v->cr[0xa] & 0x20) && (v->cr[0xa] & 0x1f) <= (v->cr[0xb] & 0x1f);
}

static u32 cell_key(const struct vga *v, const struct text_job *j, u32 ma)
{
    u32 word = ld32(v->mem + 4 * crtc_offset(v, ma, 0)), key = word & 0xffff;
    if (j->blink_on && key & 0x8000 && j->blink_off_now) key |= CELL_BLINK_OFF;
    if ((ma & 0xffff) == j->cursor) key |= j->cursor_key;
    return key;
}

// One cell's scan lines: n lines from y on, the first with row scan rs; x may be negative (panning).
static void draw_cell(struct vga *v, const struct text_job *j, u32 key, i32 x, u32 y, u32 n, u32 rs)
{
    struct vga_draw *d = &v->draw;
    u32 ch = key & 0xff, attr = key >> 8 & 0xff, fg = j->col[attr & 15];
    u32 bg = j->col[attr >> 4 & (j->blink_on ? 7 : 15)], ink = key & CELL_BLINK_OFF ? bg : fg;
    const u8 *glyph = v->mem + 4 * (j->font[attr >> 3 & 1] + ch * 32) + 2;
    u32 cw = j->c.cw, dot = j->c.dot;
    bool second = false, twice = j->c.twice;
    for (u32 k = 0; k < n; k++) {
        u32 bitsets = (u32)glyph[4 * rs] << 1; // bit 8 is the leftmost dot, bit 0 the ninth
        if (j->line_graphics && (ch & 0xe0) == 0xc0) bitsets |= bitsets >> 1 & 1;
        u32 on = ink;
        if (rs == j->underline && (attr & 0x77) == 1) bitsets = 0x1ff;
        if (key & CELL_CURSOR && rs >= (key >> CELL_CURSOR_FIRST & 31) && rs <= (key >> CELL_CURSOR_LAST & 31))
            bitsets = 0x1ff, on = fg;
        u32 *row = d->px + (u64)(y + k) * (twice ? 2 : 1) * d->w;
        for (u32 b = 0; b < cw * dot; b++) {
            i64 at = (i64)x + b;
            if (at >= 0 && at < d->w) row[at] = bitsets >> (8 - b / dot) & 1 ? on : bg;
        }
        if (twice) { // the twin line
            i64 from = x < 0 ? 0 : x, to = min_u64((u64)((i64)x + cw * dot), d->w);
            if (from < to) memcpy(row + d->w + from, row + from, (size_t)(to - from) * sizeof *row);
        }
        if (j->c.scan_double && !second)
            second = true;
        else
            second = false, rs = (rs + 1) & 0x1f;
    }
}

static struct text_job text_job(struct vga *v)
{
    struct text_job j = {.c = crtc_of(v), .cursor = ~0u};
    struct vga_beam b;
    vga_beam(v, &b);
    attr_colours(v, j.col);
    j.font[0] = font_offset(v, false), j.font[1] = font_offset(v, true);
    j.blink_on = v->ar[0x10] & 8;
    j.blink_off_now = b.frame >> 4 & 1;                                         // 32 frames a period
    if (cursor_enabled(v) && !(b.frame >> 3 & 1)) j.cursor = cursor_address(v); // 16 frames a period
    j.cursor_key = CELL_CURSOR | (v->cr[0xa] & 31u) << CELL_CURSOR_FIRST | (v->cr[0xb] & 31u) << CELL_CURSOR_LAST;
    j.line_graphics = v->ar[0x10] & 4;
    j.underline = v->cr[0x14] & 0x1f;
    return j;
}

static bool draw_text(struct vga *v, bool full)
{
    struct vga_draw *d = &v->draw;
    struct text_job j = text_job(v);
    struct walk w = walk_start(v);
    u64 seen = 0;
    bool any = false;
    collect_dirty(v, 0, 0x40000);
    if (d->font_dirty) full = true;
    d->font_dirty = false;
    u64 need = ((u64)j.c.lines + 1) * (j.c.cols + 1);
    if (d->cells_cap < need) {
        d->cells = xrealloc(d->cells, need * sizeof *d->cells);
        d->cells_cap = need;
        full = true;
    }
    for (u32 y = 0; y < j.c.lines;) {
        struct walk at = w; // the row's first line
        u32 n = 0;
        do walk_next(v, &j.c, &w, y + n++);
        while (y + n < j.c.lines && !w.fresh);
        i32 x = -(i32)(pan_dots(at.pan, j.c.cw) * j.c.dot);
        for (u32 i = 0; i <= j.c.cols; i++, x += (i32)(j.c.cw * j.c.dot), seen++) {
            u32 key = cell_key(v, &j, at.ma + i);
            if (!full && d->cells[seen] == key) continue;
            d->cells[seen] = key;
            if (x >= (i32)d->w) continue;
            draw_cell(v, &j, key, x, y, n, at.rs);
            any = true;
        }
        y += n;
    }
    clear_dirty(v, 0, 0x40000);
    return any;
}

// ---- struct screen

static bool is_blank(const struct vga *v) { return !(v->ar_index & 0x20) || v->sr[1] & 0x20; }

static void look_at(struct vga *v, struct vga_look *l)
{
    memset(l, 0, sizeof *l);
    l->blank = is_blank(v);
    l->dac_mask = v->dac_mask;
    if (l->blank) return;
    memcpy(l->ar, v->ar, sizeof l->ar);
    if (vga_vbe_on(v)) {
        memcpy(l->vbe, v->vbe, sizeof l->vbe);
        l->vbe[VBE_BANK] = 0;
        l->big_endian = v->big_endian;
        return;
    }
    l->sr1 = v->sr[1], l->sr3 = v->sr[3], l->gr5 = v->gr[5], l->gr6 = v->gr[6] & 1;
    memcpy(l->cr, v->cr, sizeof l->cr);
    l->cr[0xa] = l->cr[0xb] = l->cr[0xe] = l->cr[0xf] = 0; // the cursor is a matter of cells
    l->cr[0x11] = 0;
    if (!l->gr6 || !(v->ar[0x10] & 8)) return;
    struct vga_beam b;
    vga_beam(v, &b);
    l->blink = b.frame >> 4 & 1;
}

static void size_of(const struct vga *v, u32 *w, u32 *h)
{
    if (is_blank(v)) { // keep the window as it is
        *w = v->draw.w ? v->draw.w : 640, *h = v->draw.h ? v->draw.h : 400;
        return;
    }
    if (vga_vbe_on(v)) {
        *w = v->vbe[VBE_XRES], *h = v->vbe[VBE_YRES];
        return;
    }
    struct crtc c = crtc_of(v);
    *w = c.cols * c.cw * c.dot;
    *h = c.lines * (c.twice ? 2 : 1);
}

static bool vga_update(void *dev, struct surface *s, bool full)
{
    struct vga *v = dev;
    struct vga_draw *d = &v->draw;
    struct vga_look look;
    u32 w, h;
    bool any;
    look_at(v, &look);
    if (d->pal_dirty) load_palette(v), full = true;
    if (!d->valid || memcmp(&look, &d->look, sizeof look)) full = true;
    d->pal_dirty = false, d->look = look, d->valid = true;
    size_of(v, &w, &h);
    if (w != d->w || h != d->h) {
        u64 need = (u64)w * h;
        if (need > d->px_cap) {
            free(d->px);
            d->px = xalloc(need * sizeof *d->px);
            d->px_cap = need;
        }
        d->w = w, d->h = h;
        full = true;
    }
    if (look.blank) {
        if (full) memset(d->px, 0, (u64)w * h * sizeof *d->px);
        any = full;
    } else if (vga_vbe_on(v)) {
        any = draw_vbe(v, full);
    } else {
        any = v->gr[6] & 1 ? draw_graphics(v, full) : draw_text(v, full);
    }
    *s = (struct surface){d->w, d->h, d->w, d->px};
    return any;
}

static bool vga_text(void *dev, struct text_screen *t)
{
    struct vga *v = dev;
    if (vga_vbe_on(v) || v->gr[6] & 1 || is_blank(v)) return false;
    struct crtc c = crtc_of(v);
    struct walk w = walk_start(v);
    u32 cursor = cursor_address(v);
    t->cols = (u32)min_u64(c.cols, 132);
    t->rows = t->cursor_x = t->cursor_y = 0;
    t->cursor_on = false;
    for (u32 y = 0; y < c.lines && t->rows < 60;) {
        struct walk at = w;
        u32 n = 0;
        do walk_next(v, &c, &w, y + n++);
        while (y + n < c.lines && !w.fresh);
        y += n;
        for (u32 i = 0; i < t->cols; i++) {
            t->cell[t->rows * t->cols + i] = (u16)ld32(v->mem + 4 * crtc_offset(v, at.ma + i, 0));
            if (((at.ma + i) & 0xffff) != cursor || t->cursor_on) continue;
            t->cursor_x = i, t->cursor_y = t->rows;
            t->cursor_on = cursor_enabled(v);
        }
        t->rows++;
    }
    return true;
}

struct screen vga_screen(struct vga *v) { return (struct screen){v, vga_update, vga_text}; }

void vga_draw_free(struct vga *v)
{
    free(v->draw.px);
    free(v->draw.cells);
}
