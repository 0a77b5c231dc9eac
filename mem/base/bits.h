// SPDX-License-Identifier: MIT
// Bit fields, alignment, ranges, and memory in little-endian order whatever the host's is.
#pragma once
#include <string.h>
#include "mem/base/types.h"

INLINE u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
INLINE u64 max_u64(u64 a, u64 b) { return a > b ? a : b; }
INLINE u64 align_down(u64 x, u64 a) { return x & ~(a - 1); } // a: a power of two
INLINE u64 align_up(u64 x, u64 a) { return (x + a - 1) & ~(a - 1); }
INLINE bool is_pow2(u64 x) { return x && !(x & (x - 1)); }
// Bits hi..lo of x, shifted down.
INLINE u64 bits(u64 x, unsigned hi, unsigned lo) { return (x >> lo) & (~(u64)0 >> (63 - (hi - lo))); }
INLINE bool bit(u64 x, unsigned n) { return (x >> n) & 1; }
// All ones in the low `bytes` bytes, bytes 1..8.
INLINE u64 size_mask(unsigned bytes) { return ~(u64)0 >> (64 - 8 * bytes); }
INLINE i64 sign_extend(u64 x, unsigned bits_) { return (i64)(x << (64 - bits_)) >> (64 - bits_); }

// True if [pos, pos+len) lies inside [0, size): the one test that every guest-given length and address passes.
INLINE MUST_CHECK bool range_ok(u64 pos, u64 len, u64 size) { return pos <= size && len <= size - pos; }

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LE16(x) __builtin_bswap16(x)
#define LE32(x) __builtin_bswap32(x)
#define LE64(x) __builtin_bswap64(x)
#else
#define LE16(x) (x)
#define LE32(x) (x)
#define LE64(x) (x)
#endif
INLINE u16 ld16(const void *p)
{
    u16 v;
    memcpy(&v, p, 2);
    return LE16(v);
}
INLINE u32 ld32(const void *p)
{
    u32 v;
    memcpy(&v, p, 4);
    return LE32(v);
}
INLINE u64 ld64(const void *p)
{
    u64 v;
    memcpy(&v, p, 8);
    return LE64(v);
}
INLINE void st16(void *p, u16 v)
{
    v = LE16(v);
    memcpy(p, &v, 2);
}
INLINE void st32(void *p, u32 v)
{
    v = LE32(v);
    memcpy(p, &v, 4);
}
INLINE void st64(void *p, u64 v)
{
    v = LE64(v);
    memcpy(p, &v, 8);
}
INLINE u16 ldbe16(const void *p) { return __builtin_bswap16(ld16(p)); }
INLINE u32 ldbe32(const void *p) { return __builtin_bswap32(ld32(p)); }
INLINE void stbe16(void *p, u16 v) { st16(p, __builtin_bswap16(v)); }
INLINE void stbe32(void *p, u32 v) { st32(p, __builtin_bswap32(v)); }
// Little-endian load and store of 1, 2, 4 or 8 bytes.
INLINE u64 ld_size(const void *p, unsigned size)
{
    switch (size) {
    case 1: return *(const u8 *)p;
    case 2: return ld16(p);
    case 4: return ld32(p);
    default: return ld64(p);
    }
}
INLINE void st_size(void *p, u64 v, unsigned size)
{
    switch (size) {
    case 1: *(u8 *)p = (u8)v; break;
    case 2: st16(p, (u16)v); break;
    case 4: st32(p, (u32)v); break;
    default: st64(p, v); break;
    }
}
