// SPDX-License-Identifier: MIT
// Growable byte buffer.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

static u8 *buf_grow(struct buf *b, size_t n)
{
    if (b->len + n + 1 > b->cap) {
        b->cap = max_u64(b->len + n + 1, b->cap * 2 + 64);
        b->data = xrealloc(b->data, b->cap);
    }
    u8 *p = b->data + b->len;
    b->len += n;
    b->data[b->len] = 0;
    return p;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    u8 *to = buf_grow(b, n);
    if (n) memcpy(to, p, n);
}
void buf_zero(struct buf *b, size_t n) { memset(buf_grow(b, n), 0, n); }
void buf_u8(struct buf *b, u8 v) { *buf_grow(b, 1) = v; }
void buf_u16(struct buf *b, u16 v) { st16(buf_grow(b, 2), v); }
void buf_u32(struct buf *b, u32 v) { st32(buf_grow(b, 4), v); }
void buf_u64(struct buf *b, u64 v) { st64(buf_grow(b, 8), v); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n <= 0) return;
    u8 *to = buf_grow(b, n);
    va_start(ap, fmt);
    vsnprintf((char *)to, n + 1, fmt, ap);
    va_end(ap);
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

const char *buf_text(const struct buf *b) { return b->data ? (const char *)b->data : ""; }
