// SPDX-License-Identifier: MIT
// The state visitor. Stored form: sections and fields in the order of visiting, each with its name, so that a wrong
// file is told from a right one by name.
//   section: 'S' u8 name-length name u32 version        field: 'F' u8 name-length name u32 length bytes
//   end of section: 'E'
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include "mem/base/bits.h"
#include "mem/state.h"

#define CHUNK (1u << 20) // of large memory: compressed apart, so that the work space stays small

void state_fail(struct state *s, const char *fmt, ...)
{
    char why[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    err_set(&s->err, "saved state of %s: %s", s->section, why);
}

// The next n bytes of the image, NULL (and failed) if it ends before.
static const u8 *take(struct state *s, size_t n)
{
    if (!state_ok(s)) return NULL;
    if (!range_ok(s->pos, n, s->len)) {
        state_fail(s, "the file ends too early");
        return NULL;
    }
    s->pos += n;
    return s->in + s->pos - n;
}

static bool take_name(struct state *s, u8 kind, const char *name)
{
    const u8 *h = take(s, 2);
    if (!h) return false;
    u8 k = h[0], n = h[1];
    const u8 *p = take(s, n);
    if (!p) return false;
    if (k == kind && n == strlen(name) && !memcmp(p, name, n)) return true;
    state_fail(s, "'%s' expected, '%.*s' found (another version or machine?)", name, n, (const char *)p);
    return false;
}

static void put_name(struct state *s, u8 kind, const char *name)
{
    buf_u8(s->out, kind);
    buf_u8(s->out, strlen(name));
    buf_add(s->out, name, strlen(name));
}

u32 state_begin(struct state *s, const char *part, u32 version)
{
    snprintf(s->section, sizeof s->section, "%s", part);
    if (s->mode == STATE_SAVE) {
        put_name(s, 'S', part);
        buf_u32(s->out, version);
    } else if (s->mode == STATE_DUMP) {
        buf_printf(s->out, "[%s]\n", part);
    } else if (take_name(s, 'S', part)) {
        const u8 *v = take(s, 4);
        u32 have = v ? ld32(v) : 0;
        if (v && have != version) state_fail(s, "version %u, this program reads %u", have, version);
        return have;
    }
    return version;
}

void state_end(struct state *s)
{
    if (s->mode == STATE_SAVE) {
        buf_u8(s->out, 'E');
    } else if (s->mode != STATE_DUMP) {
        const u8 *e = take(s, 1);
        if (e && *e != 'E') state_fail(s, "more fields than this program knows");
    }
}

// One field of fixed length in its stored form. LOAD: fills p. CHECK: notes a difference.
static void field(struct state *s, const char *name, u8 *p, size_t n)
{
    if (!state_ok(s)) return;
    if (s->mode == STATE_SAVE) {
        put_name(s, 'F', name);
        buf_u32(s->out, n);
        buf_add(s->out, p, n);
        return;
    }
    if (!take_name(s, 'F', name)) return;
    const u8 *l = take(s, 4);
    if (!l) return;
    if (ld32(l) != n) {
        state_fail(s, "field %s has %u bytes, %zu expected", name, ld32(l), n);
        return;
    }
    const u8 *v = take(s, n);
    if (!v) return;
    if (s->mode == STATE_LOAD) {
        memcpy(p, v, n);
    } else if (memcmp(p, v, n)) {
        s->diffs++;
        size_t i = 0;
        while (p[i] == v[i]) i++;
        if (s->out) buf_printf(s->out, "%s.%s byte %zu: %02x, saved %02x\n", s->section, name, i, p[i], v[i]);
    }
}

static void dump_words(struct state *s, const char *name, const void *p, size_t n, unsigned w)
{
    buf_printf(s->out, "  %-20s", name);
    for (size_t i = 0; i < n; i++) {
        u64 v = w == 1   ? ((const u8 *)p)[i]
                : w == 2 ? ((const u16 *)p)[i]
                : w == 4 ? ((const u32 *)p)[i]
                         : ((const u64 *)p)[i];
        if (i == 64) {
            buf_printf(s->out, " … (%zu)", n);
            break;
        }
        buf_printf(s->out, " %0*llx", (int)w * 2, (unsigned long long)v);
    }
    buf_printf(s->out, "\n");
}

static void words(struct state *s, const char *name, void *p, size_t n, unsigned w)
{
    if (s->mode == STATE_DUMP) {
        dump_words(s, name, p, n, w);
        return;
    }
    u8 small[64], *tmp = n * w <= sizeof small ? small : xalloc(n * w);
    for (size_t i = 0; i < n; i++) {
        switch (w) {
        case 1: tmp[i] = ((u8 *)p)[i]; break;
        case 2: st16(tmp + 2 * i, ((u16 *)p)[i]); break;
        case 4: st32(tmp + 4 * i, ((u32 *)p)[i]); break;
        default: st64(tmp + 8 * i, ((u64 *)p)[i]); break;
        }
    }
    field(s, name, tmp, n * w);
    for (size_t i = 0; i < n && s->mode == STATE_LOAD && state_ok(s); i++) {
        switch (w) {
        case 1: ((u8 *)p)[i] = tmp[i]; break;
        case 2: ((u16 *)p)[i] = ld16(tmp + 2 * i); break;
        case 4: ((u32 *)p)[i] = ld32(tmp + 4 * i); break;
        default: ((u64 *)p)[i] = ld64(tmp + 8 * i); break;
        }
    }
    if (tmp != small) free(tmp);
}

void state_u8(struct state *s, const char *name, u8 *v) { words(s, name, v, 1, 1); }
void state_u16(struct state *s, const char *name, u16 *v) { words(s, name, v, 1, 2); }
void state_u32(struct state *s, const char *name, u32 *v) { words(s, name, v, 1, 4); }
void state_u64(struct state *s, const char *name, u64 *v) { words(s, name, v, 1, 8); }
void state_bytes(struct state *s, const char *name, void *p, size_t n) { words(s, name, p, n, 1); }
void state_u16s(struct state *s, const char *name, u16 *p, size_t n) { words(s, name, p, n, 2); }
void state_u32s(struct state *s, const char *name, u32 *p, size_t n) { words(s, name, p, n, 4); }
void state_u64s(struct state *s, const char *name, u64 *p, size_t n) { words(s, name, p, n, 8); }

void state_bool(struct state *s, const char *name, bool *v)
{
    u8 b = *v;
    state_u8(s, name, &b);
    *v = b & 1;
}

void state_int(struct state *s, const char *name, int *v)
{
    u32 b = (u32)*v;
    state_u32(s, name, &b);
    *v = (int)b;
}

void state_blob(struct state *s, const char *name, void *p, u32 *n, u32 max)
{
    state_u32(s, name, n);
    state_limit_u32(s, name, n, max + 1);
    if (state_ok(s)) state_bytes(s, name, p, *n);
}

void state_limit_u32(struct state *s, const char *name, u32 *v, u32 max)
{
    if (s->mode != STATE_LOAD || *v < max) return;
    state_fail(s, "field %s is %u, below %u expected", name, *v, max);
    *v = 0;
}

static bool all_zero(const u8 *p, size_t n) { return !n || (!p[0] && !memcmp(p, p + 1, n - 1)); }

static void memory_save(struct state *s, const u8 *p, u64 size)
{
    u8 *tmp = xalloc(compressBound(CHUNK));
    for (u64 at = 0; at < size; at += CHUNK) {
        u64 n = min_u64(CHUNK, size - at);
        uLongf len = compressBound(CHUNK);
        if (all_zero(p + at, n)) {
            buf_u32(s->out, 0);
            continue;
        }
        if (compress2(tmp, &len, p + at, n, 1) != Z_OK) panic("deflate failed");
        buf_u32(s->out, len);
        buf_add(s->out, tmp, len);
    }
    free(tmp);
}

static void memory_load(struct state *s, u8 *p, u64 size)
{
    u8 *tmp = xalloc(CHUNK);
    for (u64 at = 0; at < size && state_ok(s); at += CHUNK) {
        u64 n = min_u64(CHUNK, size - at);
        const u8 *l = take(s, 4), *data = l ? take(s, ld32(l)) : NULL;
        if (!data) break;
        uLongf got = n;
        bool zero = !ld32(l);
        if (!zero && (uncompress(tmp, &got, data, ld32(l)) != Z_OK || got != n)) state_fail(s, "memory is damaged");
        if (!state_ok(s)) break;
        if (zero ? all_zero(p + at, n) : !memcmp(p + at, tmp, n)) continue; // untouched: no host memory for zeros
        if (s->mode == STATE_LOAD && zero)
            memset(p + at, 0, n);
        else if (s->mode == STATE_LOAD)
            memcpy(p + at, tmp, n);
        else if (s->diffs++, s->out)
            buf_printf(s->out, "%s: memory differs in the MB at %llx\n", s->section, (unsigned long long)at);
    }
    free(tmp);
}

void state_memory(struct state *s, const char *name, u8 *p, u64 size)
{
    u64 n = size;
    state_u64(s, name, &n);
    if (!state_ok(s) || s->mode == STATE_DUMP) return;
    if (n != size)
        state_fail(s, "%s is %llu bytes, this machine has %llu", name, (unsigned long long)n, (unsigned long long)size);
    else if (s->mode == STATE_SAVE)
        memory_save(s, p, size);
    else
        memory_load(s, p, size);
}
