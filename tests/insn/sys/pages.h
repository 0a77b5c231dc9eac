// SPDX-License-Identifier: MIT
// 32-bit paging for the tests: the first 8 MB one to one, all rights, in 4 KB pages that a test changes at will.
#pragma once
#include "tests/insn/sys/sys.h"

enum { P = 1, PW = 2, PU = 4, PWT = 8, PCD = 16, PA = 32, PD = 64, PS = 128, PG = 256 };
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 }; // error code
static u32 page_dir[1024] PAGE_ALIGNED, page_table[2048] PAGE_ALIGNED;

// The entry of an address in the first 8 MB.
static volatile u32 *pte(const void *at) { return page_table + ((ul)at >> 12); }
static void pages_reset(void)
{
    for (u32 i = 0; i < 2048; i++) page_table[i] = i << 12 | P | PW | PU; // paging may be on
    for (u32 i = 0; i < 1024; i++) page_dir[i] = i < 2 ? (u32)(page_table + 1024 * i) | P | PW | PU : 0;
}
static void pages_on(void)
{
    pages_reset();
    wcr3((ul)page_dir);
    wcr0(rcr0() | CR0_PG);
}
static void pages_off(void) { wcr0(rcr0() & ~CR0_PG); }
static void pages_flush(void) { wcr3(rcr3()); }
// A page at `at` gets these rights in place of its own.
static void page_set(const void *at, u32 v)
{
    *pte(at) = ((ul)at & ~0xffful) | v;
    invlpg((ul)at);
}
