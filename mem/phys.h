// SPDX-License-Identifier: MIT
// RAM and ROM blocks, the flattened physical map, dirty and code marks. Page = 4096 bytes, line = 64 bytes.
#pragma once
#include "mem/base/types.h"

struct bus;
struct region;
#define PAGE_BITS 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (~(u64)0xfff)

enum {             // page flags of a struct ram
    RAM_CODE = 1,  // some line of the page holds decoded or translated code: writes take the slow path
    RAM_CLEAN = 2, // a watcher (the screen) wants to know of the next write
};
// A block of memory: system RAM, a ROM, the frame buffer. Page-aligned size. Owned by the bus.
struct ram {
    char name[32];
    u8 *host;
    u64 size;
    u8 *flags;       // a byte a page
    u64 *code_lines; // 64 bits a page: lines with code; allocated with the block, touched only where there is code
    bool rom;        // writes are ignored wherever it is mapped
    bool watched;    // the dirty log is on: pages get RAM_CLEAN in phys_take_dirty()
    bool transient;  // not part of saved state (a ROM loaded from a file again)
};

// The flattened map: sorted, disjoint; a gap is nobody's.
struct range {
    u64 first, last; // inclusive
    struct region *rd, *wr;
};
// What was readable memory when the map was made: [first, last] from offset ram_off of ram on.
struct piece {
    u64 first, last;
    struct ram *ram;
    u64 ram_off;
};
struct phys {
    struct ram **rams;
    u32 nrams;
    struct region **regions;
    u32 nregions;
    struct range *map;
    u32 nmap;
    struct piece *pieces;
    u32 npieces;
    u32 hold; // bus_map_begin depth
    bool stale;
    u32 hit; // last range found
    // The last memory that phys_read() has found: whole pages.
    u64 read_first, read_len;
    u8 *read_host;
};

// Makes a zero-filled block (host memory is touched lazily). NULL with a message if the host has not that much.
struct err;
struct ram *ram_new(struct bus *b, const char *name, u64 size, struct err *e);
const struct range *phys_find(struct bus *b, u64 pa); // NULL: nobody

// Who answers in this page, for TLBs. host: pointer to the page's first byte or NULL (MMIO, nobody, or the page is
// mapped piecewise). For a write, `ram` pages with RAM_CODE, RAM_CLEAN, ROMs have direct == false.
struct phys_page {
    u8 *host;
    struct ram *ram;
    u64 ram_off; // of the page in ram
    bool direct; // plain access through host is all there is to it
};
struct phys_page phys_page(struct bus *b, u64 pa, bool write);
// The byte at pa, to be read, as phys_page() would find it: NULL if its page is not memory.
#define phys_read(b, pa) phys_read_from(b, &(b)->phys, pa)
u8 *phys_read_slow(struct bus *b, u64 pa);
INLINE u8 *phys_read_from(struct bus *b, const struct phys *p, u64 pa)
{
    u64 at = pa - p->read_first;
    return likely(at < p->read_len) ? p->read_host + at : phys_read_slow(b, pa);
}

// Marks [pa, pa+len) as holding code; a page's first mark calls hooks.protect. No RAM there: false (code must not be
// cached).
bool phys_mark_code(struct bus *b, u64 pa, u64 len) MUST_CHECK;
// Replaces the marks of a page whose code was partly discarded: bit n of `lines` = line n still holds code.
void phys_set_code(struct bus *b, u64 pa, u64 lines);
// Lines of [pa, pa+len), which lies in one page, as a bit mask.
u64 phys_line_mask(u64 pa, u64 len);
// Forgets all marks of all blocks.
void phys_clear_all_code(struct bus *b);
// True if any line of [pa, pa+len) carries a code mark.
bool phys_has_code(struct bus *b, u64 pa, u64 len);

// Dirty log for a watched block: was [off, off+len) written since the last call? Clears it (and so makes writes slow
// once).
bool phys_take_dirty(struct bus *b, struct ram *ram, u64 off, u64 len);
