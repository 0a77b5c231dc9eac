// SPDX-License-Identifier: MIT
// Pages under test beside a one-to-one image, for 32-bit paging and PAE alike.
#pragma once
#include "tests/insn/sys/pages.h"

// The pages under test: linear addresses from 1 GB on, their table's entry of its own, frames in the image.
enum { WINDOW = 0x40000000, PAGES = 4, BIG = 0x40400000 }; // BIG: for large pages
#define E_NX (1ull << 63)
enum { EFER = 0xc0000080, NXE = 1 << 11 };
static u8 frame[PAGES][4096] PAGE_ALIGNED;
static u32 wtab32[1024] PAGE_ALIGNED;
static u64 wtab64[512] PAGE_ALIGNED, pd64[2][512] PAGE_ALIGNED, pdpt[4] __attribute__((aligned(32)));
static bool pae;
static u64 kernel_rights; // of the image's pages

static u64 entry(volatile void *p) { return pae ? *(volatile u64 *)p : *(volatile u32 *)p; }
static void set_entry(volatile void *p, u64 v)
{
    if (pae)
        *(volatile u64 *)p = v;
    else
        *(volatile u32 *)p = v;
}
static void *pde(u32 at) { return pae ? (void *)&pd64[at >> 30][at >> 21 & 511] : (void *)&page_dir[at >> 22]; }
static void *wpte(unsigned i) { return pae ? (void *)&wtab64[i] : (void *)&wtab32[i]; }
static void wpde_set(u64 rights)
{
    set_entry(pde(WINDOW), (pae ? (u32)wtab64 : (u32)wtab32) | rights);
    pages_flush();
}
static void wpte_set(unsigned i, u64 rights)
{
    set_entry(wpte(i), (u32)frame[i] | rights);
    invlpg(WINDOW + 4096 * i);
}
static void window_reset(void)
{
    memset(frame, 0, sizeof frame);
    wpde_set(P | PW | PU);
    for (unsigned i = 0; i < PAGES; i++) wpte_set(i, P | PW | PU);
}
// Ring 3 runs only with kernel_rights U, or from the window.
static void identity(u64 rights)
{
    kernel_rights = rights;
    if (pae)
        for (u32 i = 0; i < 32; i++) pd64[0][i] = i << 21 | rights | PS;
    else
        for (u32 i = 0; i < 2048; i++) page_table[i] = i << 12 | rights;
    pages_flush();
}
static void begin(bool with_pae)
{
    pae = with_pae;
    pages_reset();
    memset(pd64, 0, sizeof pd64);
    memset(pdpt, 0, sizeof pdpt);
    memset(wtab64, 0, sizeof wtab64);
    memset(wtab32, 0, sizeof wtab32);
    identity(P | PW | PU);
    pdpt[0] = (u32)pd64[0] | P;
    pdpt[1] = (u32)pd64[1] | P;
    wcr4(pae ? rcr4() | CR4_PAE : rcr4() & ~(ul)CR4_PAE);
    wcr3(pae ? (ul)pdpt : (ul)page_dir);
    wcr0(rcr0() | CR0_PG);
    window_reset();
}
static void end(void)
{
    pages_off();
    wcr0(rcr0() & ~(ul)CR0_WP);
    wcr4(rcr4() & ~(ul)(CR4_PAE | CR4_PSE | CR4_PGE));
}

CODE(rd, "movb (%ebx),%al");
CODE(wr, "movb %al,(%ebx)");
CODE(go, "jmp *%ebx");

enum access { READ, WRITE, FETCH };
static const u8 *const code_of[3] = {rd, wr, go};

// One access at ring cpl; the fault, if any, must be this one. err NO_ERR: none.
static void one(unsigned cpl, enum access acc, u32 at, ul err)
{
    if (acc == FETCH) W16((u32)frame + (at & 0x3fff)) = 0x20cd; // INT 20h
    struct regs r = ring(cpl, code_of[acc]);
    r.bx = at;
    wcr2(0x5555);
    run(&r);
    if (err == NO_ERR) {
        EQ("vector", ev.vec, END_VEC);
        if (ev.vec != END_VEC) EQ("error code", frame32(0), 0);
        return;
    }
    event_is(PF, err, acc == FETCH ? (void *)(ul)at : code_of[acc]);
    EQ("cr2", ev.cr2, at);
}
