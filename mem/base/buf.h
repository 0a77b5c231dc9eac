// SPDX-License-Identifier: MIT
// Growable byte buffer: text for people (monitor output, dumps) and binary tables (ACPI, saved state).
#pragma once
#include "mem/base/types.h"

struct buf {
    u8 *data; // always NUL-terminated past len once anything was added, so that text can be printed
    size_t len, cap;
};
void buf_add(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_u8(struct buf *b, u8 v);
void buf_u16(struct buf *b, u16 v); // little-endian
void buf_u32(struct buf *b, u32 v);
void buf_u64(struct buf *b, u64 v);
void buf_zero(struct buf *b, size_t n);
void buf_free(struct buf *b);
// The text so far, "" when empty; valid until the next change.
const char *buf_text(const struct buf *b);
