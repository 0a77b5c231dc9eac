// SPDX-License-Identifier: MIT
// The backplane: 64 K ports, the physical address space, and who answers where. One struct bus a machine.
// A device gets bus, base, irq lines and back end in its constructor and maps itself; it never sees who accesses it.
#pragma once
#include "mem/base/log.h"
#include "mem/base/types.h"
#include "mem/clock.h"
#include "mem/irq.h"
#include "mem/part.h"
#include "mem/phys.h"

// A device's registers. `off` counts from the region's base; `size` is one of the widths in `sizes`. The bus splits
// wider accesses into the widest implemented ones (low address first) and cuts narrower reads out of the narrowest
// implemented one; a narrower write is dropped with a guest log line, unless `narrow_write`, where it reaches the
// device with its own size.
struct io_ops {
    u64 (*read)(void *dev, u64 off, unsigned size);
    void (*write)(void *dev, u64 off, u64 val, unsigned size);
    u8 sizes; // widths that the device implements: OR of 1, 2, 4, 8. 0 means 1.
    bool narrow_write;
};

enum region_kind { REGION_IO, REGION_RAM };
enum {
    REGION_R = 1,
    REGION_W = 2,
    REGION_RW = 3
}; // accesses that a region answers; others fall through to what is below

// A range of ports or of physical memory that one device or RAM block answers. Owned by the bus.
struct region {
    const char *name;
    u64 base, size;
    enum region_kind kind;
    u8 rw;   // REGION_*
    i8 prio; // the highest wins; equal: the later one
    bool enabled;
    bool port;                // in the port space
    const struct io_ops *ops; // REGION_IO
    void *dev;
    struct ram *ram; // REGION_RAM
    u64 ram_off;
};

// What the layers above lend to the bus.
struct bus_hooks {
    void *owner;
    // The memory map changed: forget every cached translation of addresses; code: and of code, for some of it has
    // moved.
    void (*remapped)(void *owner, bool code);
    void (*protect)(void *owner, u64 pa); // writes to this page (~0: any page) must take the slow path from now on
    void (*code_written)(void *owner, u64 pa, u64 len); // bytes that carry code marks were changed
    // NULL while nobody watches: a DMA transfer of these bytes, reads behind it, writes before.
    void (*dma)(void *owner, u64 pa, const u8 *bytes, u64 len, bool write);
};

struct bus {
    struct clock clock;
    struct log log;
    struct parts parts;
    struct bus_hooks hooks;
    struct phys phys;
    u16 data_stores[64];   // by page: stores into pages with code, since one was last cleared of it …
    bool keep_code;        // … which never happens: lockstep, where both engines must meet the same
    u16 *port_map;         // 65536 indices into ports, 0 = nobody
    struct region **ports; // ports[0] unused
    u32 nports;
    void *code_cache; // what an engine's instances share: blocks are keyed by physical address
    u32 generation;   // of translations: tells apart those of all CPUs (cpu/mmu.h)
    unsigned cur_cpu; // index of the CPU whose access is under way: only the local APIC looks at it
    void (*exit_request)(void *owner, int code); // isa-debug-exit and the like: ask the program to end with that status
    void *exit_owner;
    void (*system_request)(void *owner, int what); // BUS_REQ_*
    void *system_owner;
};
enum { BUS_REQ_RESET = 1, BUS_REQ_POWEROFF = 2, BUS_REQ_SUSPEND = 3, BUS_REQ_WAKEUP = 4 };

void bus_init(struct bus *b);
void bus_free(struct bus *b);

// Maps ports [base, base+size). Regions may overlap: prio decides.
struct region *bus_map_port(struct bus *b, u16 base, u32 size, const struct io_ops *ops, void *dev, const char *name);
// Maps memory-mapped registers, RAM or ROM. A region starts enabled.
struct region *bus_map_mmio(struct bus *b, u64 base, u64 size, const struct io_ops *ops, void *dev, const char *name,
                            int prio);
struct region *bus_map_ram(struct bus *b, u64 base, u64 size, struct ram *ram, u64 ram_off, int rw, int prio,
                           const char *name);
// Moves (BARs), switches, or changes what a region answers (PAM). Cheap if nothing changes.
void bus_region_set(struct bus *b, struct region *r, u64 base, bool enabled);
void bus_region_rw(struct bus *b, struct region *r, int rw);
// Several changes with one rebuild: begin/commit nest.
void bus_map_begin(struct bus *b);
void bus_map_commit(struct bus *b);

// Port access by the CPU, size 1, 2 or 4. Nobody there: all ones. May cross device borders: split per byte then.
u32 bus_in(struct bus *b, u16 port, unsigned size);
void bus_out(struct bus *b, u16 port, u32 val, unsigned size);

// One physical access of 1, 2, 4 or 8 bytes that does not cross a 4 KB page, with all side effects: the slow path of
// CPU loads and stores. Nobody there: all ones; ROM ignores writes.
u64 bus_load(struct bus *b, u64 pa, unsigned size);
void bus_store(struct bus *b, u64 pa, u64 val, unsigned size);

// DMA: any length. False if any byte hit neither RAM nor ROM (reads give FFh there, writes are dropped;
// MMIO is not touched: no device of this machine DMAs into another one's registers). Writes honour dirty and code
// marks.
bool bus_dma_read(struct bus *b, u64 pa, void *to, u64 len) MUST_CHECK;
bool bus_dma_write(struct bus *b, u64 pa, const void *from, u64 len) MUST_CHECK;
// The same by a debugger: no event.
bool bus_peek(struct bus *b, u64 pa, void *to, u64 len) MUST_CHECK;
bool bus_poke(struct bus *b, u64 pa, const void *from, u64 len) MUST_CHECK;
