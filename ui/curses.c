// SPDX-License-Identifier: MIT
// `-display curses`: the guest's text screen in the terminal (ncursesw). Code page 437 becomes Unicode, colours the
// terminal's. Keys: what terminals tell of them; Alt is the Escape prefix. Ctrl-] is ours: then q quits, d sends
// Ctrl-Alt-Del, 1-9 Ctrl-Alt-F1 to F9, ] a Ctrl-]. Left out: graphics modes (their size is shown), bright backgrounds
// (bit 7 blinks), mouse.
#ifdef CONFIG_CURSES
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ui/display.h"
#include "ui/keys.h"

struct curses {
    struct screen *screen;
    struct input *input;
    struct ui_display_opts o;
    SCREEN *term;
    struct key_queue keys;
    struct text_screen now, shown;
    bool valid; // `shown` is what the terminal has
    bool menu;  // Ctrl-] was typed
    bool utf8, bright;
    unsigned polls;
    u32 gfx_w, gfx_h;
};

static u64 now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

// ---- drawing

// VGA attributes count blue, green, red; terminals red, green, blue.
static short term_colour(unsigned c) { return (short)((c & 8) | (c & 1) << 2 | (c & 2) | (c >> 2 & 1)); }

static void make_pairs(struct curses *d)
{
    if (!has_colors()) return;
    start_color();
    d->bright = COLORS >= 16 && COLOR_PAIRS > 128;
    for (unsigned bg = 0; bg < 8; bg++)
        for (unsigned fg = 0; fg < (d->bright ? 16u : 8u); fg++)
            init_pair((short)(bg * (d->bright ? 16 : 8) + fg + 1), term_colour(fg), term_colour(bg));
}

static wchar_t glyph_of(const struct curses *d, u8 c)
{
    wchar_t w = cp437_unicode[c];
    if (w == 0xa0) w = ' ';
    if (d->utf8 || w < 0x7f) return w;
    if (c >= 0xb0 && c <= 0xdf)
        return c == 0xb3 || c == 0xba ? '|' : c == 0xc4 || c == 0xcd ? '-' : c >= 0xdb || c < 0xb3 ? '#' : '+';
    return '?';
}

static void put_cell(const struct curses *d, int y, int x, u16 cell)
{
    unsigned fg = cell >> 8 & 15, bg = cell >> 12 & 7;
    attr_t a = cell & 0x8000 ? A_BLINK : A_NORMAL;
    short pair = (short)(d->bright ? bg * 16 + fg + 1 : bg * 8 + (fg & 7) + 1);
    if (!d->bright && fg & 8) a |= A_BOLD;
    if (!has_colors()) {
        pair = 0;
        if (bg) a |= A_REVERSE;
    }
    wchar_t text[2] = {glyph_of(d, (u8)cell), 0};
    cchar_t c;
    if (setcchar(&c, text, a, pair, NULL) == OK) mvadd_wch(y, x, &c);
}

static void message(const char *fmt, ...) PRINTF(1, 2);
static void message(const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    attron(A_REVERSE);
    mvaddnstr(LINES - 1, 0, text, COLS > 0 ? COLS - 1 : 0);
    attroff(A_REVERSE);
}

static void draw_cells(struct curses *d)
{
    const struct text_screen *t = &d->now;
    // A screen higher than the terminal: the part with the cursor.
    u32 rows = (u32)(LINES > 0 ? LINES : 1), cols = (u32)(COLS > 0 ? COLS : 1), top = 0;
    if (t->rows > rows && t->cursor_y >= rows) top = t->cursor_y - rows + 1;
    erase();
    for (u32 y = 0; y < rows && y + top < t->rows; y++)
        for (u32 x = 0; x < cols && x < t->cols; x++) put_cell(d, (int)y, (int)x, t->cell[(y + top) * t->cols + x]);
    if (d->menu) message("Ctrl-]: q quit, d Ctrl-Alt-Del, 1-9 Ctrl-Alt-F1 to F9, ] Ctrl-], other keys: back");
    bool visible = t->cursor_on && t->cursor_y - top < rows && t->cursor_x < cols;
    curs_set(visible ? 1 : 0);
    if (visible) move((int)(t->cursor_y - top), (int)t->cursor_x);
}

static void draw(struct curses *d)
{
    memset(&d->now, 0, sizeof d->now);
    bool text = d->screen && d->screen->text && d->screen->text(d->screen->dev, &d->now);
    if (!text && d->screen && d->screen->update && d->polls++ % 16 == 0) {
        struct surface s = {0};
        d->screen->update(d->screen->dev, &s, false);
        if (s.w != d->gfx_w || s.h != d->gfx_h) d->valid = false;
        d->gfx_w = s.w, d->gfx_h = s.h;
    }
    if (d->valid && !memcmp(&d->now, &d->shown, sizeof d->now)) return;
    d->shown = d->now;
    d->valid = true;
    if (text) {
        draw_cells(d);
    } else {
        char line[100];
        int n = snprintf(line, sizeof line, "graphics mode %ux%u", d->gfx_w, d->gfx_h);
        erase();
        curs_set(0);
        mvaddstr(LINES / 2, COLS > n ? (COLS - n) / 2 : 0, line);
        if (d->menu) message("Ctrl-]: q quit, d Ctrl-Alt-Del, 1-9 Ctrl-Alt-F1 to F9, ] Ctrl-], other keys: back");
    }
    refresh();
}

// ---- keys

static const struct {
    int curses;
    u8 key;
    bool shift;
} special[] = {
    {KEY_UP, 0xc8},         {KEY_DOWN, 0xd0},        {KEY_LEFT, 0xcb},         {KEY_RIGHT, 0xcd},
    {KEY_HOME, 0xc7},       {KEY_END, 0xcf},         {KEY_PPAGE, 0xc9},        {KEY_NPAGE, 0xd1},
    {KEY_IC, 0xd2},         {KEY_DC, 0xd3},          {KEY_BACKSPACE, 0x0e},    {KEY_ENTER, 0x9c},
    {KEY_BTAB, 0x0f, true}, {KEY_SLEFT, 0xcb, true}, {KEY_SRIGHT, 0xcd, true}, {KEY_SR, 0xc8, true},
    {KEY_SF, 0xd0, true},   {KEY_SHOME, 0xc7, true}, {KEY_SEND, 0xcf, true},   {KEY_SDC, 0xd3, true},
    {KEY_B2, 0x4c},         {KEY_A1, 0xc7},          {KEY_A3, 0xc9},           {KEY_C1, 0xcf},
    {KEY_C3, 0xd1},
};

static void send_special(struct curses *d, int c, bool alt)
{
    u8 keys[4], key = 0;
    unsigned n = 0;
    bool shift = false, ctrl = false;
    for (unsigned i = 0; i < ARRAY_LEN(special); i++)
        if (special[i].curses == c) key = special[i].key, shift = special[i].shift;
    if (c >= KEY_F(1) && c <= KEY_F(48)) { // 13-24 shift, 25-36 ctrl, 37-48 both
        int f = (c - KEY_F(1)) % 12, mod = (c - KEY_F(1)) / 12;
        key = (u8)(f < 10 ? 0x3b + f : 0x57 + f - 10);
        shift = mod & 1, ctrl = mod & 2;
    }
    if (!key) return;
    if (ctrl) keys[n++] = KEY_CTRL;
    if (alt) keys[n++] = KEY_ALT;
    if (shift) keys[n++] = KEY_SHIFT;
    keys[n++] = key;
    key_queue_combo(&d->keys, keys, n);
}

static void send_char(struct curses *d, wint_t c, bool alt)
{
    if (c == 0x7f) {
        const u8 keys[] = {KEY_ALT, 0x0e};
        key_queue_combo(&d->keys, keys + !alt, 1 + alt);
    } else if (c == '\r' || c == '\n' || c == '\t' || c == 0x1b || (c >= 0x20 && c < 0x7f)) {
        key_queue_char(&d->keys, (u8)c, false, alt);
    } else if (c < 0x20) { // Ctrl-@ … Ctrl-_
        u8 letter = (u8)(c >= 1 && c <= 26 ? 'a' + c - 1 : c ? 0x40 + c : ' ');
        key_queue_char(&d->keys, letter, true, alt);
    }
}

// After Ctrl-]; false: quit.
static bool menu_key(struct curses *d, wint_t c)
{
    d->menu = d->valid = false;
    if (c == 'q' || c == 'Q') return d->o.no_close;
    if (c == ']' || c == 0x1d) send_char(d, 0x1d, false);
    if (c == 'd' || c == 'D') key_queue_combo(&d->keys, (const u8[]){KEY_CTRL, KEY_ALT, 0xd3}, 3);
    if (c >= '1' && c <= '9') key_queue_combo(&d->keys, (const u8[]){KEY_CTRL, KEY_ALT, (u8)(0x3b + c - '1')}, 3);
    return true;
}

static bool read_keys(struct curses *d)
{
    wint_t c;
    for (int kind; (kind = get_wch(&c)) != ERR;) {
        bool alt = false;
        if (kind == OK && c == 0x1b) { // Escape alone, or Alt and the key that follows at once
            wint_t next;
            int k = get_wch(&next);
            if (k != ERR) alt = true, c = next, kind = k;
        }
        if (kind == KEY_CODE_YES && c == KEY_RESIZE) {
            d->valid = false;
            clear();
        } else if (d->menu) {
            if (!menu_key(d, kind == OK ? c : 0)) return false;
        } else if (kind == OK && c == 0x1d && !alt) {
            d->menu = true, d->valid = false;
        } else if (kind == KEY_CODE_YES) {
            send_special(d, (int)c, alt);
        } else {
            send_char(d, c, alt);
        }
    }
    return true;
}

static bool curses_poll(void *self)
{
    struct curses *d = self;
    set_term(d->term);
    if (!read_keys(d)) return false;
    key_queue_poll(&d->keys, d->input, now_ms());
    draw(d);
    return true;
}

static void curses_close(void *self)
{
    struct curses *d = self;
    set_term(d->term);
    endwin();
    delscreen(d->term);
    free(d);
}

static void *curses_open(struct screen *screen, struct input *input, const struct ui_display_opts *o, struct err *e)
{
    if (!isatty(0) || !isatty(1)) {
        err_set(e, "-display curses: standard input and output must be a terminal");
        return NULL;
    }
    setlocale(LC_CTYPE, "");
    SCREEN *term = newterm(NULL, stdout, stdin);
    if (!term) {
        const char *name = getenv("TERM");
        err_set(e, "-display curses: no terminal description for TERM=%s", name ? name : "");
        return NULL;
    }
    struct curses *d = xalloc(sizeof *d);
    d->term = term;
    d->screen = screen, d->input = input, d->o = *o;
    d->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    set_escdelay(25);
    raw(), noecho(), nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    make_pairs(d);
    return d;
}

const struct ui_display_ops ui_display_curses = {"curses", "text mode in the terminal (ncurses)", curses_open,
                                                 curses_poll, curses_close};
#endif
