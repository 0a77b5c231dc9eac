// SPDX-License-Identifier: MIT
// Names of the guest's addresses: symbol tables that the user loads, each for every address space or for that of one
// CR3. What is looked up on behalf of a CPU sees the tables of its CR3 first, then those for all.
#pragma once
#include "mem/base/buf.h"
#include "mem/base/err.h"

struct cpu;
#define SYM_ALL_SPACES (~(u64)0)
// ELF (32 and 64 bit), System.map (`ADDR TYPE NAME`), .sym (`ADDR NAME`, `SEG:OFF NAME`), nasm's map file (`REAL
// VIRTUAL NAME`). `offset` is added to every address; cr3: SYM_ALL_SPACES or the page-table base of a task. A file that
// is loaded again for the same space replaces its table. Returns how many, 0 with a message.
unsigned symbols_load(const char *file, u64 offset, u64 cr3, struct err *e);
// Forgets those of a file (as it was given), or all of them with NULL; returns how many tables went.
unsigned symbols_unload(const char *file);
void symbols_info(struct buf *out); // the tables
// Address of a name; false if there is none. c NULL: only tables for all spaces.
bool symbol_addr(const struct cpu *c, const char *name, u64 *addr);
// The symbol that an address belongs to, and how far behind its start; NULL if none does.
const char *symbol_at(const struct cpu *c, u64 addr, u64 *off);
// "name", "name+0x12" or "" in a static buffer.
const char *symbol_text(const struct cpu *c, u64 addr);
// Calls fn for every name that begins with `prefix` (any space), at most `max` of them; for completion. Returns how
// many.
unsigned symbols_complete(const char *prefix, unsigned max, void (*fn)(void *owner, const char *name), void *owner);
// Calls fn for every symbol whose name matches a wildcard (* and ?), by address.
void symbols_match(const struct cpu *c, const char *glob, void (*fn)(void *owner, u64 addr, const char *name),
                   void *owner);
// Feeds the names to the search for the nearest right word.
struct nearest;
void symbols_nearest(struct nearest *n);
