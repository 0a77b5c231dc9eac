// SPDX-License-Identifier: MIT
// One visitor for save, load, dump and check of every part's state: `void xxx_state(struct state *, void *self)` with
// one line a field. Values are stored as named, little-endian, of fixed width; a load checks names, widths and bounds
// and never trusts the file. After a load a part recomputes what it derives (lines, mappings) in the same function,
// under state_loading().
#pragma once
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/base/types.h"

enum state_mode { STATE_SAVE, STATE_LOAD, STATE_DUMP, STATE_CHECK };
struct state {
    enum state_mode mode;
    struct buf *out;  // SAVE: bytes; DUMP: text; CHECK: text of the first differences
    const u8 *in;     // LOAD, CHECK: a saved image
    size_t pos, len;  // of `in`
    struct err err;   // LOAD: the first thing that is wrong; later fields are left unchanged
    unsigned diffs;   // CHECK: fields that differ
    char section[64]; // part that is being visited
};
INLINE bool state_loading(const struct state *s) { return s->mode == STATE_LOAD; }
INLINE bool state_ok(const struct state *s) { return !s->err.msg[0]; }
// A part begins; version 1.. of its layout. Returns the version that is being read (LOAD, CHECK) or the given one.
u32 state_begin(struct state *s, const char *part, u32 version);
void state_end(struct state *s);
void state_bool(struct state *s, const char *name, bool *v);
void state_u8(struct state *s, const char *name, u8 *v);
void state_u16(struct state *s, const char *name, u16 *v);
void state_u32(struct state *s, const char *name, u32 *v);
void state_u64(struct state *s, const char *name, u64 *v);
void state_int(struct state *s, const char *name, int *v); // stored as 32 bits
// Fixed-size array of bytes or words; the stored length must be the same on load.
void state_bytes(struct state *s, const char *name, void *p, size_t n);
void state_u16s(struct state *s, const char *name, u16 *p, size_t n);
void state_u32s(struct state *s, const char *name, u32 *p, size_t n);
void state_u64s(struct state *s, const char *name, u64 *p, size_t n);
// Bytes of varying length up to max: *n is the length in and out.
void state_blob(struct state *s, const char *name, void *p, u32 *n, u32 max);
// Large memory, page-wise: pages of zeros and runs cost nothing, the rest is deflated (zlib) in chunks.
void state_memory(struct state *s, const char *name, u8 *p, u64 size);
// After LOAD of an index or length that the part relies on: not below max -> the load fails and *v becomes 0.
void state_limit_u32(struct state *s, const char *name, u32 *v, u32 max);
void state_fail(struct state *s, const char *fmt, ...) PRINTF(2, 3);
