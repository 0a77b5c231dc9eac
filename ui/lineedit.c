// SPDX-License-Identifier: MIT
// The line editor: GNU readline's Emacs keys as far as fingers know them. The terminal is taken to understand CR, BS
// and ECMA-48's EL and CUF; a line longer than the screen scrolls sideways. Left out: multi-byte characters count as
// several.
#include "ui/lineedit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "mem/base/err.h"

#define CTRL(c)  ((c)-64)
#define MAX_LIST 200 // candidates that are shown
#define SEARCH   "(search)`"

static void put(struct lineedit *e, const char *text) { e->put(e->owner, text); }

void lineedit_redraw(struct lineedit *e)
{
    char text[LINEEDIT_MAX + 160];
    unsigned columns = e->columns ? e->columns(e->owner) : 80, prompt = (unsigned)strlen(e->prompt);
    if (!e->tty) return;
    if (e->searching) {
        snprintf(text, sizeof text, "\r\033[K" SEARCH "%s': %s", e->want, e->line);
        put(e, text);
        return;
    }
    u32 room = columns > prompt + 10 ? columns - prompt - 1 : 20;
    if (e->cur < e->shown) e->shown = e->cur;
    if (e->cur > e->shown + room) e->shown = e->cur - room;
    if (e->len <= room) e->shown = 0;
    snprintf(text, sizeof text, "\r\033[K%s%.*s\r\033[%uC", e->prompt, (int)min_u64(e->len - e->shown, room),
             e->line + e->shown, prompt + e->cur - e->shown);
    put(e, text);
}

void lineedit_reset(struct lineedit *e)
{
    e->len = e->cur = e->shown = e->esc = 0;
    e->line[0] = 0;
    e->searching = false;
    e->at = e->nhist;
}

void lineedit_free(struct lineedit *e)
{
    for (u32 i = 0; i < LINEEDIT_HISTORY; i++) free(e->history[i]);
}

static void set_line(struct lineedit *e, const char *text)
{
    snprintf(e->line, sizeof e->line, "%s", text);
    e->len = e->cur = (u32)strlen(e->line);
    lineedit_redraw(e);
}

static void remember(struct lineedit *e)
{
    if (e->len && (!e->nhist || strcmp(e->history[(e->nhist - 1) % LINEEDIT_HISTORY], e->line))) {
        char **slot = &e->history[e->nhist++ % LINEEDIT_HISTORY];
        free(*slot);
        *slot = xstrdup(e->line);
    }
}

static void enter(struct lineedit *e)
{
    char line[LINEEDIT_MAX];
    if (e->searching) {
        e->searching = false;
        lineedit_redraw(e);
    }
    if (e->tty) put(e, "\n");
    remember(e);
    memcpy(line, e->line, sizeof line);
    lineedit_reset(e);
    e->enter(e->owner, line);
}

static void insert(struct lineedit *e, const char *text, u32 n)
{
    if (n >= LINEEDIT_MAX - e->len) return;
    memmove(e->line + e->cur + n, e->line + e->cur, e->len - e->cur + 1);
    memcpy(e->line + e->cur, text, n);
    e->cur += n;
    e->len += n;
    char one[2] = {*text, 0};
    unsigned columns = e->columns ? e->columns(e->owner) : 80;
    if (n == 1 && e->cur == e->len && !e->shown && strlen(e->prompt) + e->len < columns) {
        if (e->tty) put(e, one);
    } else {
        lineedit_redraw(e);
    }
}

static void erase(struct lineedit *e, u32 from, u32 to, bool keep)
{
    if (keep && to > from) snprintf(e->kill, sizeof e->kill, "%.*s", (int)(to - from), e->line + from);
    memmove(e->line + from, e->line + to, e->len - to + 1);
    e->len -= to - from;
    e->cur = from;
    lineedit_redraw(e);
}

static void move_to(struct lineedit *e, u32 cur)
{
    e->cur = cur;
    lineedit_redraw(e);
}

static bool in_word(char c) { return c != ' ' && c != '/' && c != '-' && c != '.' && c != ','; }
static u32 word_left(const struct lineedit *e)
{
    u32 k = e->cur;
    while (k && !in_word(e->line[k - 1])) k--;
    while (k && in_word(e->line[k - 1])) k--;
    return k;
}
static u32 word_right(const struct lineedit *e)
{
    u32 k = e->cur;
    while (k < e->len && !in_word(e->line[k])) k++;
    while (k < e->len && in_word(e->line[k])) k++;
    return k;
}

// ---- completion

void offers_add(struct offers *o, const char *word)
{
    size_t typed = strlen(o->line + o->from), k = 0;
    if (strncmp(word, o->line + o->from, typed)) return;
    for (const char *p = (const char *)o->list.data, *end = p + o->list.len; p < end; p += strlen(p) + 1)
        if (!strcmp(p, word)) return;
    if (!o->common) {
        o->common = xstrdup(word);
    } else {
        while (o->common[k] && o->common[k] == word[k]) k++;
        o->common[k] = 0;
    }
    o->n++;
    o->widest = (unsigned)max_u64(o->widest, strlen(word));
    if (o->n <= MAX_LIST) buf_add(&o->list, word, strlen(word) + 1);
}

static void show_offers(struct lineedit *e, const struct offers *o)
{
    unsigned columns = e->columns ? e->columns(e->owner) : 80, width = o->widest + 2, col = 0;
    struct buf text = {0};
    buf_printf(&text, "\n");
    for (const char *p = (const char *)o->list.data, *end = p + o->list.len; p < end; p += strlen(p) + 1) {
        if (col && col + width > columns) {
            buf_printf(&text, "\n");
            col = 0;
        }
        buf_printf(&text, "%-*s", (int)width, p);
        col += width;
    }
    if (o->n > MAX_LIST) buf_printf(&text, "\n... and %u more", o->n - MAX_LIST);
    buf_printf(&text, "\n");
    put(e, buf_text(&text));
    buf_free(&text);
    lineedit_redraw(e);
}

static void complete(struct lineedit *e)
{
    char line[LINEEDIT_MAX];
    snprintf(line, sizeof line, "%.*s", (int)e->cur, e->line);
    struct offers o = {.line = line, .from = e->cur};
    if (e->complete) e->complete(e->owner, &o);
    if (o.n) {
        u32 typed = e->cur - o.from, n = (u32)strlen(o.common);
        if (n > typed) insert(e, o.common + typed, n - typed);
        if (o.n == 1 && !o.open && e->line[e->cur] != ' ') insert(e, " ", 1);
        if (o.n > 1 && n == typed) show_offers(e, &o);
    }
    free(o.common);
    buf_free(&o.list);
}

// ---- history

static void history_step(struct lineedit *e, int by)
{
    u32 oldest = e->nhist > LINEEDIT_HISTORY ? e->nhist - LINEEDIT_HISTORY : 0;
    if (by < 0 ? e->at == oldest : e->at == e->nhist) return;
    e->at += (u32)by;
    set_line(e, e->at == e->nhist ? "" : e->history[e->at % LINEEDIT_HISTORY]);
}

// The next older line, below `from`, that holds what is searched for.
static void search(struct lineedit *e, u32 from)
{
    u32 oldest = e->nhist > LINEEDIT_HISTORY ? e->nhist - LINEEDIT_HISTORY : 0;
    while (from > oldest) {
        const char *line = e->history[--from % LINEEDIT_HISTORY];
        if (!strstr(line, e->want)) continue;
        e->at = from;
        set_line(e, line);
        return;
    }
    lineedit_redraw(e);
}

// False: the key ended the search and is to be done as usual.
static bool search_key(struct lineedit *e, char c)
{
    if (c == CTRL('R')) {
        search(e, e->at);
    } else if (c == CTRL('G') || c == CTRL('C')) {
        e->searching = false;
        set_line(e, "");
    } else if (c == 127 || c == '\b') {
        if (e->nwant) e->want[--e->nwant] = 0;
        search(e, e->nhist);
    } else if ((u8)c >= 32) {
        if (e->nwant + 1 < sizeof e->want) e->want[e->nwant++] = c, e->want[e->nwant] = 0;
        search(e, e->at < e->nhist && strstr(e->line, e->want) ? e->at + 1 : e->at);
    } else {
        e->searching = false;
        lineedit_redraw(e);
        return false;
    }
    return true;
}

// ---- keys

static void special_key(struct lineedit *e, char c)
{
    bool by_word = e->esc_arg >= 3 && c != '~'; // ESC [ 1 ; 5 C: with Ctrl or Alt
    switch (c) {
    case 'A': history_step(e, -1); break;
    case 'B': history_step(e, 1); break;
    case 'C': move_to(e, by_word ? word_right(e) : e->cur + (e->cur < e->len)); break;
    case 'D': move_to(e, by_word ? word_left(e) : e->cur - (e->cur > 0)); break;
    case 'H': move_to(e, 0); break;
    case 'F': move_to(e, e->len); break;
    case '~':
        if (e->esc_arg == 3 && e->cur < e->len) erase(e, e->cur, e->cur + 1, false);
        if (e->esc_arg == 1 || e->esc_arg == 7) move_to(e, 0);
        if (e->esc_arg == 4 || e->esc_arg == 8) move_to(e, e->len);
        break;
    }
}

static void meta_key(struct lineedit *e, char c)
{
    switch (c) {
    case 'b': move_to(e, word_left(e)); break;
    case 'f': move_to(e, word_right(e)); break;
    case 'd': erase(e, e->cur, word_right(e), true); break;
    case 127:
    case '\b': erase(e, word_left(e), e->cur, true); break;
    }
}

static void transpose(struct lineedit *e)
{
    u32 at = e->cur == e->len ? e->cur - 1 : e->cur;
    if (e->len < 2 || !e->cur) return;
    char c = e->line[at];
    e->line[at] = e->line[at - 1];
    e->line[at - 1] = c;
    move_to(e, at + 1);
}

static void control_key(struct lineedit *e, char c)
{
    u32 k = e->cur;
    switch (c) {
    case CTRL('A'): move_to(e, 0); break;
    case CTRL('B'): move_to(e, e->cur - (e->cur > 0)); break;
    case CTRL('C'): set_line(e, ""); break;
    case CTRL('D'):
        if (e->cur < e->len) erase(e, e->cur, e->cur + 1, false);
        break;
    case CTRL('E'): move_to(e, e->len); break;
    case CTRL('F'): move_to(e, e->cur + (e->cur < e->len)); break;
    case CTRL('K'): erase(e, e->cur, e->len, true); break;
    case CTRL('L'):
        put(e, "\033[H\033[2J");
        lineedit_redraw(e);
        break;
    case CTRL('N'): history_step(e, 1); break;
    case CTRL('P'): history_step(e, -1); break;
    case CTRL('R'):
        e->searching = true;
        e->nwant = 0;
        e->want[0] = 0;
        e->at = e->nhist;
        lineedit_redraw(e);
        break;
    case CTRL('T'): transpose(e); break;
    case CTRL('U'): erase(e, 0, e->cur, true); break;
    case CTRL('W'):
        while (k && e->line[k - 1] == ' ') k--;
        while (k && e->line[k - 1] != ' ') k--;
        erase(e, k, e->cur, true);
        break;
    case CTRL('Y'): insert(e, e->kill, (u32)strlen(e->kill)); break;
    case '\t': complete(e); break;
    case '\b':
    case 127:
        if (e->cur) erase(e, e->cur - 1, e->cur, false);
        break;
    case 27: e->esc = 1; break;
    }
}

void lineedit_key(struct lineedit *e, char c)
{
    bool after_cr = e->cr;
    e->cr = c == '\r';
    if (c == '\n' && after_cr) return;
    if (c == '\n' || (e->tty && c == '\r')) {
        enter(e);
    } else if (!e->tty) {
        if (c != '\r' && c) insert(e, &c, 1);
    } else if (e->esc == 1) {
        e->esc = c == '[' || c == 'O' ? 2 : 0;
        e->esc_arg = 0;
        if (!e->esc) meta_key(e, c);
    } else if (e->esc == 2) {
        if (c >= '0' && c <= '9') {
            e->esc_arg = (e->esc_arg * 10 + (u32)(c - '0')) % 1000;
        } else if (c == ';') {
            e->esc_arg = 0;
        } else {
            e->esc = 0;
            special_key(e, c);
        }
    } else if (e->searching && search_key(e, c)) {
        return;
    } else if ((u8)c < 32 || c == 127) {
        control_key(e, c);
    } else {
        insert(e, &c, 1);
    }
}
