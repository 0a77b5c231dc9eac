// SPDX-License-Identifier: MIT
// What Tab offers in the monitor. Which kind of word can stand at a place is read off the command's own line in
// monitor.def: FILE, DRIVE, ADDR …; small letters stand for themselves.
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "mem/base/log.h"
#include "ui/keys.h"
#include "ui/monitor.h"
#include "ui/regs.h"
#include "ui/symbols.h"
#include "ui/vm.h"

static void offer(void *owner, const char *word) { offers_add(owner, word); }

static void offer_files(struct offers *o)
{
    glob_t g;
    struct stat st;
    char *pattern = xasprintf("%s*", o->line + o->from);
    if (!glob(pattern, GLOB_NOSORT, NULL, &g)) {
        for (size_t i = 0; i < g.gl_pathc; i++) {
            bool folder = !stat(g.gl_pathv[i], &st) && S_ISDIR(st.st_mode);
            char *name = folder ? xasprintf("%s/", g.gl_pathv[i]) : xstrdup(g.gl_pathv[i]);
            offers_add(o, name);
            o->open |= folder;
            free(name);
        }
    }
    globfree(&g);
    free(pattern);
}

// A symbol, or behind '$' a register, at the end of an expression.
static void offer_expression(struct offers *o)
{
    const char *name;
    u32 end = (u32)strlen(o->line), at = end;
    while (at > o->from && (isalnum((u8)o->line[at - 1]) || strchr("_.@?", o->line[at - 1]))) at--;
    o->from = at;
    if (at && o->line[at - 1] == '$')
        for (unsigned i = 0; (name = reg_name(i)); i++) offers_add(o, name);
    else if (at == end || !isdigit((u8)o->line[at]))
        symbols_complete(o->line + at, 5000, offer, o);
}

static void offer_keys(struct offers *o)
{
    const char *name, *dash = strrchr(o->line + o->from, '-');
    if (dash) o->from = (u32)(dash - o->line) + 1;
    for (unsigned k = 1; k < 256; k++)
        if ((name = key_name_of(k))) offers_add(o, name);
    o->open = true;
}

static void offer_topics(struct offers *o)
{
    const char *name;
    for (unsigned i = 0; (name = mon_info_topic(i)); i++) offers_add(o, name);
}

// Words in small letters that may stand first: "[load FILE | unload [FILE]]", "on|off".
static void offer_literals(struct offers *o, const char *spec)
{
    bool first = true;
    for (const char *p = spec; *p;) {
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz_-");
        if (n && first && (!p[n] || strchr(" |]", p[n]))) {
            char word[32];
            snprintf(word, sizeof word, "%.*s", (int)n, p);
            offers_add(o, word);
        }
        if (!n) {
            first = *p == '[' || *p == '|' || (first && *p == ' ');
            n = 1;
        } else {
            first = false;
        }
        p += n;
    }
}

// The n-th word of the arguments' description, without brackets; "" if there are not so many.
static void nth_word(const char *args, unsigned n, char *to, size_t size)
{
    *to = 0;
    for (const char *p = args; *p;) {
        size_t k = strcspn(p, " ");
        if (*p != '/' && p[*p == '['] != '/' && !n--) {
            snprintf(to, size, "%.*s", (int)k, p);
            return;
        }
        p += k + (p[k] == ' ');
    }
}

static void offer_by_kind(struct offers *o, const char *args, unsigned n)
{
    static const char *const drives[] = {"ide0-cd0", "ide0-cd1", "ide1-cd0", "ide1-cd1", "floppy0", "floppy1"};
    char kind[64];
    nth_word(args, n, kind, sizeof kind);
    if (strstr(kind, "COMMAND")) {
        mon_offer_commands(o);
    } else if (strstr(kind, "FILE")) {
        offer_files(o);
    } else if (strstr(kind, "DRIVE")) {
        for (unsigned i = 0; i < ARRAY_LEN(drives); i++) offers_add(o, drives[i]);
    } else if (strstr(kind, "KEY")) {
        offer_keys(o);
    } else if (strstr(kind, "ITEM")) {
        for (unsigned i = 0; i < LOG_NCATS; i++) offers_add(o, log_cat_name(i));
        offers_add(o, "none");
    } else if (!strcmp(kind, "GLOB")) {
        for (unsigned i = 0; i < TRACE_NIDS; i++) offers_add(o, log_trace_name(i));
    } else if (!strcmp(kind, "[WHAT]") && !n) {
        offer_topics(o);
    } else {
        u32 word = o->from;
        offer_literals(o, n ? kind : args);
        if (!o->n) {
            o->from = word;
            offer_expression(o);
        }
    }
}

void mon_complete(void *owner, struct offers *o)
{
    const char *p = o->line + strspn(o->line, " \t");
    size_t name = strcspn(p, " \t/");
    const char *blank = strrchr(o->line, ' ');
    o->from = blank ? (u32)(blank - o->line) + 1 : 0;
    if (!p[name]) {
        mon_offer_commands(o);
        return;
    }
    char word[64];
    unsigned n = 0;
    snprintf(word, sizeof word, "%.*s", (int)name, p);
    const char *args = mon_arguments(word);
    if (!args) return;
    for (p += name; *p; n++) { // words before the cursor, the format not counted
        p += strspn(p, " \t");
        if (*p == '/' || !*p) n--;
        if (!*p) n++;
        p += strcspn(p, " \t");
    }
    if (blank && !blank[1]) n++;
    if (!strcmp(word, "symbols") && n == 2) args = "FILE FILE";
    if (!strcmp(word, "info") && n > 1) args = "ADDR ADDR ADDR";
    offer_by_kind(o, args, n ? n - 1 : 0);
}
