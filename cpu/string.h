// SPDX-License-Identifier: MIT
// Bulk steps of the string instructions, shared by both engines. Each moves as many elements as can be moved through
// host pointers without a fault, a page border, a wrap of the address or the end of a segment: at most one page.
// Registers and flags are the caller's; 0 means: do one element the ordinary way.
#pragma once
#include "cpu/cpu.h"

struct str {
    unsigned size; // of an element: 1, 2, 4, 8
    bool down;     // EFLAGS.DF
    u64 mask;      // of addresses: FFFFh, FFFFFFFFh, all
    u64 count;     // elements wanted, > 0
    unsigned seg;  // of the source (the destination is ES)
    u64 si, di;    // effective addresses of the first elements
};
u64 string_movs(struct cpu *c, const struct str *s);
u64 string_stos(struct cpu *c, const struct str *s, u64 v);
// Elements compared until the first that is equal (want) or differs (!want), that one included; *a and *b are the last
// pair.
u64 string_scas(struct cpu *c, const struct str *s, u64 acc, bool want, u64 *b);
u64 string_cmps(struct cpu *c, const struct str *s, bool want, u64 *a, u64 *b);
