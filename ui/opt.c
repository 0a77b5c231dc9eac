// SPDX-License-Identifier: MIT
// Options and property lists from their tables.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mem/base/bits.h"
#include "ui/opt.h"

static const struct row {
    const char *name, *arg, *help;
    enum opt_id id;
} rows[] = {
#define OPT(id, name, arg, help) {name, arg, help, OPT_##id},
#define OPT_ALIAS(id, name, arg) {name, arg, NULL, OPT_##id},
#define OPT_GROUP(title)         {NULL, NULL, title, OPT_IMAGE},
#include "ui/opt.def"
#undef OPT
#undef OPT_ALIAS
#undef OPT_GROUP
};

// ---- the nearest right word

// Levenshtein's distance, in which two letters that changed places count once; words of up to 40 characters.
static unsigned distance(const char *a, const char *b)
{
    unsigned n = strlen(a), m = strlen(b), d[3][42];
    if (n > 40 || m > 40) return 99;
    for (unsigned j = 0; j <= m; j++) d[0][j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            unsigned c = up[j - 1] + (a[i - 1] != b[j - 1]);
            c = min_u64(c, min_u64(up[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) c = min_u64(c, up2[j - 2] + 1);
            row[j] = c;
        }
    }
    return d[n % 3][m];
}

void nearest_try(struct nearest *n, const char *candidate)
{
    unsigned c = distance(n->word, candidate) * 2, w = strlen(n->word), k = strlen(candidate);
    if (w >= 2 && !strncmp(n->word, candidate, w)) c = min_u64(c, 3); // an abbreviation
    if (k >= 3 && !strncmp(n->word, candidate, k)) c = min_u64(c, 3); // run together with its argument
    if (!strcasecmp(n->word, candidate)) c = 1;
    if (c > 2 * (1 + max_u64(w, k) / 3)) return;
    if (!n->best || c < n->cost) n->best = candidate, n->cost = c;
}

const char *nearest_text(const struct nearest *n, const char *before)
{
    static char text[120];
    text[0] = 0;
    if (n->best) snprintf(text, sizeof text, "; did you mean '%s%.80s'?", before, n->best);
    return text;
}

// ---- options

const char *opt_name(enum opt_id id)
{
    static char name[32];
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].id == id && rows[i].name) {
            snprintf(name, sizeof name, "-%s", rows[i].name);
            return name;
        }
    return "the image";
}

static const struct row *row_of(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].name && !strcmp(rows[i].name, name)) return &rows[i];
    return NULL;
}

struct opt *opts_parse(int argc, char **argv, unsigned *n, struct err *e)
{
    struct opt *v = xalloc(argc * sizeof *v);
    *n = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (a[0] != '-' || !a[1]) {
            v[(*n)++] = (struct opt){OPT_IMAGE, a};
            continue;
        }
        a += a[1] == '-' ? 2 : 1;
        const struct row *r = row_of(a);
        if (!r) {
            struct nearest near = {.word = a};
            for (unsigned k = 0; k < ARRAY_LEN(rows); k++)
                if (rows[k].name) nearest_try(&near, rows[k].name);
            err_set(e, "unknown option '%s'%s (-help lists them)", argv[i], nearest_text(&near, "-"));
            free(v);
            return NULL;
        }
        bool takes = r->arg[0];
        if (takes && i + 1 == argc) {
            err_set(e, "option '%s' needs an argument: -%s %s", argv[i], r->name, r->arg);
            free(v);
            return NULL;
        }
        v[(*n)++] = (struct opt){r->id, takes ? argv[++i] : NULL};
    }
    return v;
}

void opts_help(struct buf *out)
{
    buf_printf(out, "usage: doppel [OPTION]… [IMAGE]\n"
                    "IMAGE: a disk, CD or floppy image or a kernel to boot; what it is is found out by its content.\n");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        if (!r->name)
            buf_printf(out, "\n%s:\n", r->help);
        else if (r->help)
            buf_printf(out, "  -%s%s%s\n        %s\n", r->name, *r->arg ? " " : "", r->arg, r->help);
        else
            buf_printf(out, "  -%s%s%s   (the same)\n", r->name, *r->arg ? " " : "", r->arg);
    }
}

// ---- values

bool parse_uint(const char *text, u64 *v)
{
    u64 n = 0;
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) base = 16, text += 2;
    if (!*text) return false;
    for (; *text; text++) {
        char c = *text | 0x20;
        unsigned d = *text >= '0' && *text <= '9' ? *text - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (d >= base || n > (~(u64)0 - d) / base) return false;
        n = n * base + d;
    }
    *v = n;
    return true;
}

bool parse_size(const char *text, u64 unit, u64 *v)
{
    char number[40];
    size_t n = strspn(text, "0123456789."), shift = 0;
    if (!n || n >= sizeof number) return parse_uint(text, v) && !__builtin_mul_overflow(*v, unit ? unit : 1, v);
    if (!strncasecmp(text, "0x", 2)) return parse_uint(text, v) && !__builtin_mul_overflow(*v, unit ? unit : 1, v);
    memcpy(number, text, n);
    number[n] = 0;
    static const char suffix[] = "bkmgtp";
    const char *s = text + n, *at;
    if (*s) {
        at = strchr(suffix, *s | 0x20);
        if (!at || (s[1] && strcasecmp(s + 1, "b") && strcasecmp(s + 1, "ib"))) return false;
        shift = 10 * (size_t)(at - suffix);
        unit = 1;
    } else if (!unit) {
        unit = 1;
    }
    u64 whole = 0;
    char *dot = strchr(number, '.');
    if (dot) {
        char *end;
        double d = strtod(number, &end);
        if (*end || d * (double)unit * (double)((u64)1 << shift) >= 9.2e18) return false;
        *v = (u64)(d * (double)unit * (double)((u64)1 << shift));
        return true;
    }
    if (!parse_uint(number, &whole) || __builtin_mul_overflow(whole, unit, &whole)) return false;
    return !__builtin_mul_overflow(whole, (u64)1 << shift, v);
}

static bool parse_switch(const char *v, i8 *to)
{
    static const char *const on[] = {"on", "yes", "true", "1", "y"}, *const off[] = {"off", "no", "false", "0", "n"};
    for (unsigned i = 0; i < ARRAY_LEN(on); i++) {
        if (!strcmp(v, on[i])) return *to = 1, true;
        if (!strcmp(v, off[i])) return *to = 0, true;
    }
    return false;
}

static bool parse_enum(const char *what, const struct prop *p, const char *v, int *to, struct err *e)
{
    char word[64];
    struct nearest near = {.word = v};
    char words[16][64];
    int n = 0;
    for (const char *s = p->values; *s && n < 16; n++) {
        size_t len = strcspn(s, "|");
        snprintf(word, sizeof word, "%.*s", (int)len, s);
        if (!strcmp(word, v)) return *to = n, true;
        memcpy(words[n], word, sizeof word);
        nearest_try(&near, words[n]);
        s += len + (s[len] == '|');
    }
    return err_set(e, "%s: %s=%s is none of %s%s", what, p->name, v, p->values, nearest_text(&near, ""));
}

static bool set_value(const char *what, const struct prop *p, const char *v, void *to, struct err *e)
{
    void *at = (char *)to + p->offset;
    u64 n = 0;
    switch (p->type) {
    case PROP_STR:
        free(*(char **)at);
        *(char **)at = xstrdup(v);
        return true;
    case PROP_SWITCH: return parse_switch(v, at) || err_set(e, "%s: %s=%s is neither on nor off", what, p->name, v);
    case PROP_ENUM: return parse_enum(what, p, v, at, e);
    case PROP_SIZE:
        if (!parse_size(v, p->unit, &n)) return err_set(e, "%s: %s=%s is not a size like 512M or 2G", what, p->name, v);
        break;
    case PROP_UINT:
        if (!parse_uint(v, &n)) return err_set(e, "%s: %s=%s is not a number", what, p->name, v);
        break;
    }
    if (n < p->min || (p->max && n > p->max))
        return err_set(e, "%s: %s=%s is out of range: %llu to %llu", what, p->name, v, (unsigned long long)p->min,
                       (unsigned long long)p->max);
    *(u64 *)at = n;
    return true;
}

static const struct prop *prop_named(const struct prop *p, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(p[i].name, name)) return &p[i];
    return NULL;
}

static bool unknown(const char *what, const char *key, const struct prop *p, unsigned n, struct err *e)
{
    struct nearest near = {.word = key};
    struct buf all = {0};
    for (unsigned i = 0; i < n; i++) {
        nearest_try(&near, p[i].name);
        buf_printf(&all, "%s%s", i ? ", " : "", p[i].name);
    }
    if (n)
        err_set(e, "%s: unknown property '%s'%s (there are: %s)", what, key, nearest_text(&near, ""), buf_text(&all));
    else
        err_set(e, "%s: unknown property '%s'; it has none", what, key);
    buf_free(&all);
    return false;
}

// Cuts "key=value" off the front of *text; two commas within it become one. The caller frees it.
static char *next_item(const char **text)
{
    const char *s = *text;
    char *item = xalloc(strlen(s) + 1), *to = item;
    while (*s) {
        if (s[0] == ',' && s[1] != ',') break;
        if (*s == ',') s++;
        *to++ = *s++;
    }
    *text = *s ? s + 1 : s;
    return item;
}

bool props_parse(const char *what, const char *text, const char *first, const struct prop *p, unsigned n, void *to,
                 struct err *e)
{
    bool ok = true, leading = true;
    while (ok && *text) {
        char *item = next_item(&text), *eq = strchr(item, '=');
        if (!*item) { // "a,,b" would have been an escape: an empty item is a comma at the start
            ok = err_set(e, "%s: an empty property", what);
        } else if (!eq && leading && first && !prop_named(p, n, item)) {
            ok = set_value(what, prop_named(p, n, first), item, to, e);
        } else {
            if (eq) *eq = 0;
            const struct prop *q = prop_named(p, n, item);
            const char *value = eq ? eq + 1 : "on";
            if (!q && !eq && !strncmp(item, "no", 2)) {
                q = prop_named(p, n, item + 2);
                value = "off";
                if (q && q->type != PROP_SWITCH) q = NULL;
            }
            if (!q)
                ok = unknown(what, item, p, n, e);
            else if (!eq && q->type != PROP_SWITCH)
                ok = err_set(e, "%s: property '%s' needs a value: %s=%s", what, item, item,
                             q->values ? q->values : "VALUE");
            else
                ok = set_value(what, q, value, to, e);
        }
        leading = false;
        free(item);
    }
    return ok;
}

void props_help(const char *what, const struct prop *p, unsigned n, struct buf *out)
{
    static const char *const types[] = {"string", "on|off", "number", "size", ""};
    buf_printf(out, "%s properties:\n", what);
    if (!n) buf_printf(out, "  none\n");
    for (unsigned i = 0; i < n; i++)
        buf_printf(out, "  %s=<%s>%*s  %s\n", p[i].name, p[i].values ? p[i].values : types[p[i].type],
                   (int)(24 - min_u64(24, strlen(p[i].name) + strlen(p[i].values ? p[i].values : types[p[i].type]))),
                   "", p[i].help ? p[i].help : "");
}
