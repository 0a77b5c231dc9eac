// SPDX-License-Identifier: MIT
// Bulk steps of the string instructions: SDM vol. 1 7.3.9. Source and destination are one page each at most; the order
// of elements shows only where they overlap, and there it is kept.
#include <string.h>
#include "cpu/access.h"
#include "cpu/string.h"

// Host pointer of the first element and, in *n, how many lie in its page and inside the segment, not more than *n.
static u8 *span(struct cpu *c, const struct str *s, unsigned seg, u64 ea, bool write, u64 *n)
{
    u8 *p = write ? access_host_wr(c, seg, ea, s->size) : access_host_rd(c, seg, ea, s->size);
    if (!p) return NULL;
    unsigned at = (c->seg[seg].base + ea) & 0xfff;
    u64 room;
    if (s->down) {
        room = at / s->size + 1;
        if (ea / s->size < room) room = ea / s->size + 1; // the one below would wrap
    } else {
        u64 end = write ? c->seg[seg].wend : c->seg[seg].rend, last = s->mask - (s->size - 1);
        room = (0x1000 - at) / s->size;
        room = min_u64(room, (end - ea) / s->size);
        if (ea > last || (last - ea) / s->size + 1 < room) room = ea > last ? 0 : (last - ea) / s->size + 1;
    }
    *n = min_u64(*n, room);
    return *n ? p : NULL;
}

#define EACH(body)                                                                                                     \
    switch (s->size) {                                                                                                 \
    case 1: body(1) break;                                                                                             \
    case 2: body(2) break;                                                                                             \
    case 4: body(4) break;                                                                                             \
    default: body(8) break;                                                                                            \
    }

u64 string_movs(struct cpu *c, const struct str *s)
{
    u64 n = s->count;
    u8 *to = span(c, s, S_ES, s->di, true, &n);
    if (!to) return 0;
    u8 *from = span(c, s, s->seg, s->si, false, &n);
    if (!from) return 0;
    if (!s->down && ((uintptr_t)to <= (uintptr_t)from || (uintptr_t)to - (uintptr_t)from >= n * s->size)) {
        memmove(to, from, n * s->size);
        return n;
    }
    if (s->down && ((uintptr_t)to >= (uintptr_t)from || (uintptr_t)from - (uintptr_t)to >= n * s->size)) {
        memmove(to - (n - 1) * s->size, from - (n - 1) * s->size, n * s->size);
        return n;
    }
    // The destination runs into the source: what was written is read again.
    i64 step = s->down ? -(i64)s->size : (i64)s->size;
#define MOVE(z)                                                                                                        \
    for (u64 k = 0; k < n; k++, to += step, from += step) st_size(to, ld_size(from, z), z);
    EACH(MOVE)
    return n;
}

u64 string_stos(struct cpu *c, const struct str *s, u64 v)
{
    u64 n = s->count;
    u8 *to = span(c, s, S_ES, s->di, true, &n);
    if (!to) return 0;
    if (s->down) to -= (n - 1) * s->size;
    if (v == (u8)v * (size_mask(s->size) / 0xff)) {
        memset(to, (u8)v, n * s->size);
        return n;
    }
#define FILL(z)                                                                                                        \
    for (u64 k = 0; k < n; k++) st_size(to + k * z, v, z);
    EACH(FILL)
    return n;
}

u64 string_scas(struct cpu *c, const struct str *s, u64 acc, bool want, u64 *b)
{
    u64 n = s->count, k = 0, v = 0;
    const u8 *p = span(c, s, S_ES, s->di, false, &n);
    if (!p) return 0;
    if (s->size == 1 && !s->down && want) { // REPNE SCASB: strlen and its like
        const u8 *hit = memchr(p, (u8)acc, n);
        k = hit ? (u64)(hit - p) + 1 : n;
        *b = p[k - 1];
        return k;
    }
    i64 step = s->down ? -(i64)s->size : (i64)s->size;
#define SCAN(z)                                                                                                        \
    do {                                                                                                               \
        v = ld_size(p, z);                                                                                             \
        p += step;                                                                                                     \
        k++;                                                                                                           \
    } while (k < n && (v == acc) != want);
    EACH(SCAN)
    *b = v;
    return k;
}

u64 string_cmps(struct cpu *c, const struct str *s, bool want, u64 *a, u64 *b)
{
    u64 n = s->count, k = 0, v = 0, w = 0;
    const u8 *p = span(c, s, s->seg, s->si, false, &n);
    if (!p) return 0;
    const u8 *q = span(c, s, S_ES, s->di, false, &n);
    if (!q) return 0;
    i64 step = s->down ? -(i64)s->size : (i64)s->size;
#define COMPARE(z)                                                                                                     \
    do {                                                                                                               \
        v = ld_size(p, z);                                                                                             \
        w = ld_size(q, z);                                                                                             \
        p += step;                                                                                                     \
        q += step;                                                                                                     \
        k++;                                                                                                           \
    } while (k < n && (v == w) != want);
    EACH(COMPARE)
    *a = v;
    *b = w;
    return k;
}
