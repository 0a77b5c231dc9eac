// SPDX-License-Identifier: MIT
// Symbol tables: ELF's .symtab (or .dynsym), by the System V ABI chapter 4, and lists in text. A table is an array
// sorted by address and an index of it sorted by name. Left out: DWARF, demangling, big-endian files.
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cpu/cpu.h"
#include "mem/base/bits.h"
#include "ui/opt.h"
#include "ui/symbols.h"

struct sym {
    u64 addr;
    u64 size;  // 0: up to the next one
    u32 name;  // offset in names
    u8 rank;   // which of several at one address gives its name: the lowest
    bool mute; // never names an address: per-CPU offsets, absolute values
};
struct table {
    char *file, *kind;
    u64 offset, cr3;
    struct sym *v;
    u32 n, cap;
    u32 *by_name;
    struct buf names;
    struct table *next;
};
static struct table *tables;
#define MAX_SYMBOLS (16u << 20)
#define FAR         (1u << 20) // behind a symbol without size and successor nothing belongs to it that is farther away
#define CR3_BASE    0x000ffffffffff000ull

static const char *name_of(const struct table *t, const struct sym *s) { return (const char *)t->names.data + s->name; }

static void add(struct table *t, u64 addr, u64 size, const char *name, size_t len, unsigned rank, bool mute)
{
    if (!len || len > 4096 || t->n == MAX_SYMBOLS) return;
    if (t->n == t->cap) t->v = xrealloc(t->v, (t->cap = t->cap * 2 + 1024) * sizeof *t->v);
    t->v[t->n++] = (struct sym){addr + t->offset, size, (u32)t->names.len, (u8)rank, mute};
    buf_add(&t->names, name, len);
    buf_u8(&t->names, 0);
}

// ---- ELF

struct elf {
    FILE *f;
    u64 size; // of the file
    bool wide;
    u64 shoff;
    u32 shentsize, shnum;
};
struct section {
    u32 type, link;
    u64 offset, size, entsize;
};

static bool read_at(const struct elf *x, u64 at, void *to, u64 n)
{
    return range_ok(at, n, x->size) && !fseeko(x->f, (off_t)at, SEEK_SET) && fread(to, 1, n, x->f) == n;
}

static bool section(const struct elf *x, u32 n, struct section *s)
{
    u8 b[64];
    if (n >= x->shnum || !read_at(x, x->shoff + (u64)n * x->shentsize, b, x->wide ? 64 : 40)) return false;
    s->type = ld32(b + 4);
    s->offset = x->wide ? ld64(b + 24) : ld32(b + 16);
    s->size = x->wide ? ld64(b + 32) : ld32(b + 20);
    s->link = ld32(b + (x->wide ? 40 : 24));
    s->entsize = x->wide ? ld64(b + 56) : ld32(b + 36);
    return true;
}

static u8 *section_data(const struct elf *x, const struct section *s)
{
    if (!range_ok(s->offset, s->size, x->size) || s->size > 1u << 30) return NULL;
    u8 *p = xalloc(s->size + 1);
    if (read_at(x, s->offset, p, s->size)) return p;
    free(p);
    return NULL;
}

static void elf_symbols(struct table *t, const struct elf *x, const u8 *sym, u64 size, const char *str, u64 strsize)
{
    u32 ent = x->wide ? 24 : 16;
    for (u64 at = 0; range_ok(at, ent, size); at += ent) {
        const u8 *p = sym + at;
        u32 name = ld32(p);
        u8 info = p[x->wide ? 4 : 12];
        u16 shndx = ld16(p + (x->wide ? 6 : 14));
        u64 value = x->wide ? ld64(p + 8) : ld32(p + 4), len = x->wide ? ld64(p + 16) : ld32(p + 8);
        unsigned type = info & 15, bind = info >> 4;
        // NOTYPE, OBJECT, FUNC, and GNU_IFUNC; sections, files and thread-local ones have no address of their own
        if (!shndx || (type > 2 && type != 10) || name >= strsize) continue;
        size_t n = strnlen(str + name, strsize - name);
        if (n > 2 && str[name] == '.' && str[name + 1] == 'L') continue; // assembler's own
        bool absolute = shndx == 0xfff1;
        add(t, value, len, str + name, n, (type == 2 ? 0 : type == 1 ? 2 : 4) + (bind == 0), absolute && !type);
    }
}

static bool load_elf(struct table *t, FILE *f, u64 size, struct err *e)
{
    u8 h[64] = {0};
    struct elf x = {.f = f, .size = size};
    if (!read_at(&x, 0, h, min_u64(size, 64)) || size < 52 || (h[4] != 1 && h[4] != 2) || (h[4] == 2 && size < 64))
        return err_set(e, "the ELF header is cut short or of an unknown class");
    if (h[5] != 1) return err_set(e, "a big-endian ELF file: not of an x86 guest");
    x.wide = h[4] == 2;
    x.shoff = x.wide ? ld64(h + 40) : ld32(h + 32);
    x.shentsize = ld16(h + (x.wide ? 58 : 46));
    x.shnum = ld16(h + (x.wide ? 60 : 48));
    if (!x.shoff || !x.shnum) return err_set(e, "the ELF file has no sections, so no symbols (stripped?)");
    if (x.shentsize < (x.wide ? 64u : 40u) || !range_ok(x.shoff, (u64)x.shnum * x.shentsize, size))
        return err_set(e, "the section headers lie outside the file");
    for (u32 want = 2;; want = 11) { // SHT_SYMTAB, else SHT_DYNSYM
        for (u32 i = 0; i < x.shnum; i++) {
            struct section s, names;
            if (!section(&x, i, &s) || s.type != want) continue;
            u8 *sym = section_data(&x, &s), *str = NULL;
            if (sym && section(&x, s.link, &names)) str = section_data(&x, &names);
            if (str) elf_symbols(t, &x, sym, s.size, (const char *)str, names.size);
            free(sym);
            free(str);
            if (!str) return err_set(e, "the symbol table or its names lie outside the file");
        }
        if (t->n || want == 11) break;
    }
    t->kind = x.wide ? "ELF64" : "ELF32";
    return t->n || err_set(e, "the ELF file has no symbols (stripped?)");
}

// ---- text

static bool hex(const char *s, size_t n, u64 *v)
{
    if (n > 2 && s[0] == '0' && (s[1] | 32) == 'x') s += 2, n -= 2;
    if (!n || n > 16) return false;
    for (*v = 0; n; n--, s++) {
        if (!isxdigit((u8)*s)) return false;
        *v = *v << 4 | (u64)(isdigit((u8)*s) ? *s - '0' : (*s | 32) - 'a' + 10);
    }
    return true;
}

// The words of a line, at most 4.
static unsigned words(const char *line, const char **w, size_t *len)
{
    unsigned n = 0;
    while (n < 4) {
        line += strspn(line, " \t");
        if (!*line || *line == '#' || *line == ';') break;
        w[n] = line;
        len[n] = strcspn(line, " \t");
        line += len[n++];
    }
    return n;
}

static void text_line(struct table *t, char *line)
{
    const char *w[4], *colon;
    size_t len[4];
    u64 a, b;
    unsigned n = words(line, w, len);
    if (n < 2) return;
    if ((colon = memchr(w[0], ':', len[0]))) {
        size_t k = (size_t)(colon - w[0]);
        if (hex(w[0], k, &a) && hex(colon + 1, len[0] - k - 1, &b)) add(t, (a << 4) + b, 0, w[1], len[1], 0, false);
        return;
    }
    if (!hex(w[0], len[0], &a)) return;
    if (n >= 3 && len[1] == 1 && isalpha((u8)w[1][0])) { // System.map; T, t code, D d B b R r data, A absolute, U none
        char c = w[1][0];
        t->kind = "System.map";
        if ((c | 32) != 'u')
            add(t, a, 0, w[2], len[2], ((c | 32) == 't' || (c | 32) == 'w' ? 0 : 2) + (c >= 'a'), (c | 32) == 'a');
    } else if (n >= 3 && hex(w[1], len[1], &b)) {
        t->kind = "map file";
        add(t, b, 0, w[2], len[2], 0, false);
    } else {
        add(t, a, 0, w[1], len[1], 0, false);
    }
}

static bool load_text(struct table *t, FILE *f, struct err *e)
{
    char line[5000];
    unsigned lines = 0;
    t->kind = "list";
    while (fgets(line, sizeof line, f)) {
        lines++;
        line[strcspn(line, "\r\n")] = 0;
        text_line(t, line);
    }
    return t->n || err_set(e, "neither ELF nor a list of lines 'ADDRESS NAME' (%u lines read)", lines);
}

// ---- tables

// qsort_r's argument order is not the same everywhere; merging by hand would be longer than one static.
static const struct table *sorting;
static int by_addr(const void *a, const void *b)
{
    const struct sym *x = a, *y = b;
    if (x->addr != y->addr) return x->addr < y->addr ? -1 : 1;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}
static int by_name(const void *a, const void *b)
{
    const struct sym *x = &sorting->v[*(const u32 *)a], *y = &sorting->v[*(const u32 *)b];
    int d = strcmp(name_of(sorting, x), name_of(sorting, y));
    return d ? d : x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void index_table(struct table *t)
{
    qsort(t->v, t->n, sizeof *t->v, by_addr);
    t->by_name = xalloc(((size_t)t->n + 1) * sizeof *t->by_name);
    for (u32 i = 0; i < t->n; i++) t->by_name[i] = i;
    sorting = t;
    qsort(t->by_name, t->n, sizeof *t->by_name, by_name);
    // A 64-bit kernel's map begins with the offsets of its per-CPU variables: no addresses that a name could stand for.
    if (t->v[t->n - 1].addr - t->offset >= 0xffff800000000000)
        for (u32 i = 0; i < t->n && t->v[i].addr - t->offset < 0x400000; i++) t->v[i].mute = true;
}

static void free_table(struct table *t)
{
    buf_free(&t->names);
    free(t->file);
    free(t->v);
    free(t->by_name);
    free(t);
}

static unsigned unload(const char *file, bool all_spaces, u64 cr3)
{
    unsigned n = 0;
    for (struct table **p = &tables; *p;) {
        struct table *t = *p;
        if ((file && strcmp(t->file, file)) || (!all_spaces && t->cr3 != cr3)) {
            p = &t->next;
            continue;
        }
        *p = t->next;
        free_table(t);
        n++;
    }
    return n;
}
unsigned symbols_unload(const char *file) { return unload(file, true, 0); }

unsigned symbols_load(const char *file, u64 offset, u64 cr3, struct err *e)
{
    struct stat st;
    FILE *f = fopen(file, "rb");
    if (!f || fstat(fileno(f), &st)) {
        err_set(e, "cannot read '%s': %s", file, err_errno(errno));
        if (f) fclose(f);
        return 0;
    }
    struct table *t = xalloc(sizeof *t);
    struct err why = {0};
    u8 magic[4] = {0};
    bool ok;
    t->file = xstrdup(file);
    t->offset = offset;
    t->cr3 = cr3 == SYM_ALL_SPACES ? cr3 : cr3 & CR3_BASE;
    if (!S_ISREG(st.st_mode)) {
        ok = err_set(&why, "not a regular file");
    } else if (fread(magic, 1, 4, f) == 4 && !memcmp(magic, "\177ELF", 4)) {
        ok = load_elf(t, f, (u64)st.st_size, &why);
    } else {
        rewind(f);
        ok = load_text(t, f, &why);
    }
    fclose(f);
    if (!ok) {
        err_set(e, "'%s': %s", file, why.msg);
        free_table(t);
        return 0;
    }
    unload(file, false, t->cr3);
    index_table(t);
    t->next = tables;
    tables = t;
    return t->n;
}

void symbols_info(struct buf *out)
{
    if (!tables) buf_printf(out, "no symbols are loaded (symbols load FILE)\n");
    for (const struct table *t = tables; t; t = t->next) {
        buf_printf(out, "%s: %s, %u symbols, 0x%llx to 0x%llx", t->file, t->kind, t->n,
                   (unsigned long long)t->v[0].addr, (unsigned long long)t->v[t->n - 1].addr);
        if (t->offset) buf_printf(out, ", offset 0x%llx", (unsigned long long)t->offset);
        if (t->cr3 != SYM_ALL_SPACES) buf_printf(out, ", only with CR3 0x%llx", (unsigned long long)t->cr3);
        buf_printf(out, "\n");
    }
}

// ---- look-up

// The address space that c is in; SYM_ALL_SPACES without one.
static u64 space_of(const struct cpu *c) { return c ? c->cr3 & CR3_BASE : SYM_ALL_SPACES; }

// First entry of by_name whose name is not below `name`.
static u32 lower(const struct table *t, const char *name)
{
    u32 lo = 0, hi = t->n;
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (strcmp(name_of(t, &t->v[t->by_name[mid]]), name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool symbol_addr(const struct cpu *c, const char *name, u64 *addr)
{
    u64 space = space_of(c);
    for (int all = space == SYM_ALL_SPACES; all < 2; all++)
        for (const struct table *t = tables; t; t = t->next) {
            if (t->cr3 != (all ? SYM_ALL_SPACES : space)) continue;
            u32 i = lower(t, name);
            if (i == t->n || strcmp(name_of(t, &t->v[t->by_name[i]]), name)) continue;
            *addr = t->v[t->by_name[i]].addr;
            return true;
        }
    return false;
}

// The best symbol at or below addr in one table.
static const struct sym *below(const struct table *t, u64 addr)
{
    u32 lo = 0, hi = t->n; // first entry above addr
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (t->v[mid].addr <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    // Downwards to the next one that reaches addr: a small one inside a big one hides nothing but itself.
    u32 next = lo;
    for (u32 tries = 0; lo && tries < 64; tries++) {
        u32 first = --lo;
        while (first && t->v[first - 1].addr == t->v[lo].addr) first--;
        for (u32 i = first; i <= lo; i++) {
            const struct sym *s = &t->v[i];
            u64 off = addr - s->addr;
            if (s->mute) continue;
            if (s->size ? off < s->size : off < FAR && (next == t->n || addr < t->v[next].addr)) return s;
        }
        lo = first;
    }
    return NULL;
}

const char *symbol_at(const struct cpu *c, u64 addr, u64 *off)
{
    u64 space = space_of(c);
    for (int all = space == SYM_ALL_SPACES; all < 2; all++) {
        const struct sym *best = NULL;
        const struct table *in = NULL;
        for (const struct table *t = tables; t; t = t->next) {
            if (t->cr3 != (all ? SYM_ALL_SPACES : space)) continue;
            const struct sym *s = below(t, addr);
            if (s && (!best || s->addr > best->addr)) best = s, in = t;
        }
        if (best) {
            *off = addr - best->addr;
            return name_of(in, best);
        }
    }
    return NULL;
}

const char *symbol_text(const struct cpu *c, u64 addr)
{
    static char text[200];
    u64 off;
    const char *name = symbol_at(c, addr, &off);
    if (!name)
        text[0] = 0;
    else if (off)
        snprintf(text, sizeof text, "%.160s+0x%llx", name, (unsigned long long)off);
    else
        snprintf(text, sizeof text, "%.160s", name);
    return text;
}

unsigned symbols_complete(const char *prefix, unsigned max, void (*fn)(void *owner, const char *name), void *owner)
{
    unsigned n = 0;
    for (const struct table *t = tables; t; t = t->next)
        for (u32 i = lower(t, prefix); i < t->n && n < max; i++, n++) {
            const char *name = name_of(t, &t->v[t->by_name[i]]);
            if (strncmp(name, prefix, strlen(prefix))) break;
            fn(owner, name);
        }
    return n;
}

void symbols_match(const struct cpu *c, const char *glob, void (*fn)(void *owner, u64 addr, const char *name),
                   void *owner)
{
    u64 space = space_of(c);
    for (const struct table *t = tables; t; t = t->next)
        for (u32 i = 0; i < t->n && (t->cr3 == space || t->cr3 == SYM_ALL_SPACES); i++)
            if (!fnmatch(glob, name_of(t, &t->v[i]), 0)) fn(owner, t->v[i].addr, name_of(t, &t->v[i]));
}

void symbols_nearest(struct nearest *n)
{
    for (const struct table *t = tables; t; t = t->next)
        for (u32 i = 0; i < t->n && t->n < 20000; i++) nearest_try(n, name_of(t, &t->v[i]));
}
