// SPDX-License-Identifier: MIT
// 4-level paging: rights, A and D, reserved bits and error codes at each level, 2 MB and 1 GB pages, both halves of the
// address space, SMEP, SMAP, PCIDs. SDM vol. 3 4.5 to 4.10.
#include "tests/insn/sys/sys.h"

enum { P = 1, PW = 2, PU = 4, PA = 32, PD = 64, PS = 128, PG = 256 };
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 };
enum { EFER = 0xc0000080, NXE = 1 << 11 };
#define NX   (1ull << 63)
#define LOW  0x0000500000000000ul // two windows on the same tables, one in each half
#define HIGH 0xffff900000000000ul
#define BIG2 0x40000000ul // offsets: a 1 GB entry, and behind it a 2 MB entry
#define BIG1 0x200000ul
static u64 pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static u8 frame[4][4096] PAGE_ALIGNED;
static u64 *const entries[4] = {&boot_pml4[LOW >> 39 & 511], pdpt, pd, pt}; // of the first page, by level
static const char *const level[4] = {"PML4E", "PDPTE", "PDE", "PTE"};

CODE(rd, "movb (%rbx),%al");
CODE(wr, "movb %al,(%rbx)");
CODE(go, "jmp *%rbx");
CODE(do_invpcid, "invpcid (%rbx),%rax");
CODE(w_cr3, "mov %rax,%cr3");
CODE(w_cr4, "mov %rax,%cr4");
CODE(ac_loop, "mov $50,%ecx\n"
              "1: stac\n movb (%rbx),%al\n pushf\n pop %rdx\n clac\n pushf\n pop %rsi\n loop 1b\n"
              "movb (%rbx),%al");
enum access { READ, WRITE, FETCH };
static const u8 *const code_of[3] = {rd, wr, go};

static void flush(void) { wcr3(rcr3()); }
static void window_reset(void)
{
    boot_pml4[LOW >> 39 & 511] = boot_pml4[HIGH >> 39 & 511] = (ul)pdpt | P | PW | PU;
    memset(pdpt, 0, sizeof pdpt);
    memset(pd, 0, sizeof pd);
    pdpt[0] = (ul)pd | P | PW | PU;
    pd[0] = (ul)pt | P | PW | PU;
    for (unsigned i = 0; i < 4; i++) pt[i] = (ul)frame[i] | P | PW | PU;
    for (unsigned i = 0; i < 4; i++) W16((ul)frame[i]) = 0x20cd; // INT 20h, for fetches
    flush();
}
static void one(unsigned cpl, enum access acc, ul at, ul err)
{
    struct regs r = ring(cpl, code_of[acc]);
    r.bx = at;
    r.ax = 0xcd; // what is there
    wcr2(0x5555);
    run(&r);
    if (err == NO_ERR) {
        ends();
        return;
    }
    event_is(PF, err, acc == FETCH ? (void *)at : code_of[acc]);
    EQ("cr2", ev.cr2, at);
}

static void rights(void)
{
    for (unsigned wp = 0; wp < 2; wp++)
        for (unsigned l = 0; l < 4; l++) {
            test2(wp ? "WP, rights of the" : "rights of the", level[l], "vol. 3 4.6.1, 4.7");
            wcr0(wp ? rcr0() | CR0_WP : rcr0() & ~(ul)CR0_WP);
            for (unsigned k = 0; k < 8; k++) {
                bool w = k & 1, u = k & 2, nx = k & 4;
                window_reset();
                u64 rest = *entries[l] & ~(u64)(PW | PU);
                *entries[l] = rest | (w ? PW : 0) | (u ? PU : 0) | (nx ? NX : 0);
                flush();
                one(3, READ, LOW, u ? NO_ERR : E_P | E_U);
                one(3, WRITE, LOW, u && w ? NO_ERR : E_P | E_U | E_W);
                one(3, FETCH, LOW, u && !nx ? NO_ERR : E_P | E_U | E_I);
                one(0, READ, LOW, NO_ERR);
                one(0, WRITE, LOW, w || !wp ? NO_ERR : E_P | E_W);
                one(0, FETCH, LOW, nx ? E_P | E_I : NO_ERR);
            }
        }
    wcr0(rcr0() & ~(ul)CR0_WP);
}

static void bits(void)
{
    for (unsigned l = 0; l < 4; l++) {
        test2("absent", level[l], "vol. 3 4.7");
        window_reset();
        u64 v = *entries[l] = ~1ull; // all other bits are the software's
        if (l == 0) boot_pml4[HIGH >> 39 & 511] = ~1ull;
        flush();
        one(0, READ, LOW + 5, 0);
        one(0, WRITE, HIGH + 5, E_W);
        one(3, READ, HIGH + 6, E_U);
        one(3, FETCH, LOW + 0x10, E_U | E_I);
        EQ("entry as before", *entries[l], v);
        test2("bits 9 to 11 and 52 to 62 of the", level[l], "vol. 3 tables 4-14 to 4-19");
        window_reset();
        *entries[l] |= 0x7ff0000000000e00ull;
        flush();
        one(3, WRITE, LOW, NO_ERR);
        BITS("kept", *entries[l], ~0ull, 0x7ff0000000000e00ull);
    }
    test("A at each level, D at the last", "vol. 3 4.8");
    window_reset();
    one(0, READ, LOW, NO_ERR);
    for (unsigned l = 0; l < 4; l++) BITS(level[l], *entries[l], PA, PA | PD);
    one(3, WRITE, LOW, NO_ERR);
    for (unsigned l = 0; l < 4; l++) BITS(level[l], *entries[l], l == 3 ? PA | PD : PA, PA | PD);
    window_reset();
    one(3, FETCH, HIGH, NO_ERR);
    BITS("fetch", pt[0], PA, PA | PD);
    u32 top = phys_bits();
    for (unsigned l = 0; l < 4; l++) {
        test2("reserved bits of the", level[l], "vol. 3 4.7, tables 4-14 to 4-19");
        for (unsigned b = top; b < 52; b++) {
            window_reset();
            *entries[l] |= 1ull << b;
            flush();
            one(0, READ, LOW, E_P | E_RSVD);
            one(3, WRITE, LOW, E_P | E_RSVD | E_U | E_W);
            one(3, FETCH, LOW, E_P | E_RSVD | E_U | E_I);
            *entries[l] &= ~1ull;
            flush();
            one(3, READ, LOW, E_U);
        }
        test2("NX without NXE in the", level[l], "vol. 3 4.5.4");
        window_reset();
        wrmsr(EFER, rdmsr(EFER) & ~(u64)NXE);
        *entries[l] |= NX;
        flush();
        one(0, READ, LOW, E_P | E_RSVD);
        one(3, FETCH, LOW, E_P | E_RSVD | E_U);
        wrmsr(EFER, rdmsr(EFER) | NXE);
    }
    test("PS in a PML4E is reserved", "vol. 3 table 4-14");
    window_reset();
    *entries[0] |= PS;
    flush();
    one(0, READ, LOW, E_P | E_RSVD);
    window_reset();
}

static void large(void)
{
    u32 id[4];
    cpuid_ext(0x80000001, id);
    bool giant = id[3] >> 26 & 1;
    for (unsigned k = 0; k < 2; k++) {
        const char *name = k ? "1 GB page" : "2 MB page";
        ul size = k ? 1ul << 30 : 1ul << 21, at = LOW + (k ? BIG2 : BIG1), off = (ul)frame & (size - 1);
        u64 *e = k ? &pdpt[1] : &pd[1], ours = (ul)frame & ~(size - 1);
        window_reset();
        if (k && !giant) {
            test("PS in a PDPTE without 1 GB pages is reserved", "vol. 3 table 4-16");
            *e = ours | P | PW | PU | PS;
            flush();
            one(0, READ, at, E_P | E_RSVD);
            continue;
        }
        test2(name, "read, write, fetch", "vol. 3 4.5");
        *e = ours | P | PW | PU | PS;
        flush();
        one(3, READ, at + off, NO_ERR);
        BITS("A", *e, PA, PA | PD);
        W32(at + off + 0x1010) = 0x12345678;
        EQ("written", W32((ul)frame[1] + 0x10), 0x12345678);
        BITS("A and D", *e, PA | PD, PA | PD);
        one(3, FETCH, at + off, NO_ERR);
        test2(name, "rights", "vol. 3 4.6.1");
        *e = ours | P | PW | PU | PS | NX;
        flush();
        one(3, FETCH, at + off, E_P | E_U | E_I);
        *e = ours | P | PW | PS;
        flush();
        one(3, READ, at + off, E_P | E_U);
        *e = ours | P | PU | PS;
        flush();
        one(3, WRITE, at + off, E_P | E_U | E_W);
        test2(name, "reserved bits", "vol. 3 tables 4-15, 4-17");
        for (unsigned b = 13; 1ul << b < size; b++) {
            *e = (k ? 0 : ours) | P | PW | PU | PS | 1ull << b;
            flush();
            one(0, WRITE, at + off, E_P | E_RSVD | E_W);
        }
        *e = ours | P | PW | PU | PS | 1 << 12; // PAT
        flush();
        one(0, READ, at + off, NO_ERR);
        test2(name, "INVLPG of any address in it", "vol. 3 4.10.4.1");
        *e = ours | P | PW | PU | PS;
        flush();
        (void)W8(at + off);
        (void)W8(at + off + 4096);
        *e = 0;
        invlpg(at + 0x1000);
        one(0, READ, at + off, 0);
        one(0, READ, at + off + 4096, 0);
        test2(name, "global", "vol. 3 4.10.2.4");
        wcr4(rcr4() | CR4_PGE);
        *e = ours | P | PW | PU | PS | PG;
        (void)W8(at + off);
        *e = 0;
        invlpg(at + off);
        one(0, READ, at + off, 0);
        *e = ours | P | PW | PU | PS | PG;
        (void)W8(at + off);
        *e = 0;
        wcr4(rcr4() & ~(ul)CR4_PGE);
        one(0, READ, at + off, 0);
    }
    window_reset();
}

static void halves(void)
{
    test("code that runs over the end of the lower half", "vol. 1 3.3.7.1");
    window_reset();
    boot_pml4[255] = (ul)pdpt | P | PW | PU;
    pdpt[511] = (ul)pd | P | PW | PU;
    pd[511] = (ul)pt | P | PW | PU;
    pt[511] = (ul)frame[3] | P | PW | PU;
    memcpy(frame[3] + 0xffc, "\xff\xc0\xff\xc0", 4); // INC EAX, twice
    flush();
    struct regs r = ring(3, (void *)0x00007ffffffffffcul);
    for (unsigned k = 0; k < 3; k++) {
        run(&r);
        event_is(GP, 0, (void *)0x0000800000000000ul);
        EQ("eax, each once", ev.r.ax, 2);
    }
    pt[511] = boot_pml4[255] = 0;
    test("both halves see the same tables", "vol. 3 4.5");
    window_reset();
    W64(LOW + 0x2008) = 0x1122334455667788ull;
    EQ("by the other", W64(HIGH + 0x2008), 0x1122334455667788ull);
    test("each has its translation", "vol. 3 4.10.4.1");
    frame[0][8] = 1;
    frame[1][8] = 2;
    EQ("low", W8(LOW + 8), 1);
    EQ("high", W8(HIGH + 8), 1);
    pt[0] = (ul)frame[1] | P | PW | PU;
    invlpg(LOW);
    EQ("low", W8(LOW + 8), 2);
    invlpg(HIGH);
    EQ("high", W8(HIGH + 8), 2);
    test("INVLPG of a non-canonical address does nothing", "vol. 2 INVLPG");
    invlpg(0x0000900000000000ul);
    EQ("still here", W8(LOW + 8), 2);
    window_reset();
    test("table changed below: MOV CR3 drops what was kept of its way", "vol. 3 4.10.3");
    static u64 other_pt[512] PAGE_ALIGNED;
    other_pt[0] = (ul)frame[3] | P | PW | PU;
    frame[3][8] = 4;
    EQ("first", W8(LOW + 8), 1);
    pd[0] = (ul)other_pt | P | PW | PU;
    flush();
    EQ("second", W8(LOW + 8), 4);
    pd[0] = (ul)pt | P | PW | PU;
    invlpg(LOW); // drops paging-structure caches too
    EQ("first again", W8(LOW + 8), 1);
    pd[0] = 0;
    invlpg(LOW);
    one(0, READ, LOW + 8, 0);
    pd[0] = (ul)pt | P | PW | PU; // what was absent is not kept
    one(0, READ, LOW + 8, NO_ERR);
}

// The image's pages become the supervisor's; ring 3 runs from the window.
static void supervisor_modes(void)
{
    u32 id[4];
    cpuid(7, 0, id);
    window_reset();
    for (unsigned i = 0; i < 2048; i++) boot_pd[i] &= ~(u64)PU;
    flush();
    if (id[1] >> 7 & 1) {
        test("SMEP", "vol. 3 4.6.1");
        wcr4(rcr4() | CR4_SMEP);
        one(0, FETCH, LOW, E_P | E_I);
        one(0, WRITE, LOW, NO_ERR);
        for (unsigned l = 0; l < 4; l++) { // the supervisor's by any level
            window_reset();
            *entries[l] &= ~(u64)PU;
            flush();
            one(0, FETCH, LOW, NO_ERR);
        }
        wcr4(rcr4() & ~(ul)CR4_SMEP);
        one(0, FETCH, HIGH, NO_ERR);
    } else {
        skip("SMEP", "not there");
    }
    if (id[1] >> 20 & 1) {
        test("SMAP", "vol. 3 4.6.1");
        window_reset();
        wcr4(rcr4() | CR4_SMAP);
        one(0, READ, LOW, E_P);
        one(0, WRITE, HIGH, E_P | E_W);
        one(0, FETCH, LOW, NO_ERR);
        struct regs r = ring(0, wr);
        r.bx = LOW + 0x800;
        r.flags |= F_AC;
        run(&r);
        ends();
        for (unsigned l = 0; l < 4; l++) {
            window_reset();
            *entries[l] &= ~(u64)PU;
            flush();
            one(0, READ, LOW, NO_ERR);
        }
        test("STAC, CLAC many times", "vol. 2 STAC, CLAC");
        window_reset();
        r = ring(0, ac_loop);
        r.bx = LOW;
        run(&r);
        event_is(PF, E_P, ac_loop_end - 4); // the read behind the last CLAC
        BITS("flags behind STAC", ev.r.dx, F_AC, F_AC);
        BITS("flags behind CLAC", ev.r.si, 0, F_AC);
        EQ("counter", ev.r.cx, 0);
        test("SMAP leaves user accesses", "vol. 3 4.6.1");
        window_reset();
        asm_("stac");
        memcpy(frame[2], rd, rd_end - rd);
        asm_("clac");
        r = ring(3, (void *)(LOW + 0x2000));
        r.bx = LOW;
        run(&r);
        ends();
        wcr4(rcr4() & ~(ul)CR4_SMAP);
    } else {
        skip("SMAP", "not there");
    }
    for (unsigned i = 0; i < 2048; i++) boot_pd[i] |= PU;
    flush();
}

// ---- process-context identifiers, 4.10.1

static u64 pml4_2[512] PAGE_ALIGNED, pdpt_2[512] PAGE_ALIGNED, pd_2[512] PAGE_ALIGNED, pt_2[512] PAGE_ALIGNED;
static void invpcid(ul type, u64 pcid, u64 at)
{
    struct {
        u64 pcid, at;
    } d = {pcid, at};
    asm_("invpcid %0,%1" ::"m"(d), "r"(type) : "memory");
}
enum { GLOBAL = 0x100 };
// Code at LOW that says which page it is, often enough for an engine to keep what it has made of it.
static ul which(void)
{
    struct regs r = ring(3, (void *)LOW);
    for (unsigned i = 0; i < 20; i++) {
        r.ax = 0;
        run(&r);
        ends();
    }
    return ev.r.ax & 0xff;
}
static void pcid_code(ul one_, ul two, bool invpcid_there)
{
    ul keep = 1ul << 63;
    for (unsigned i = 0; i < 4; i++) W32((ul)frame[i]) = 0x20cd00b0 | (i + 1) << 8; // MOV AL,i+1; INT 20h
    pt[0] = (ul)frame[0] | P | PW | PU;
    pt_2[0] = (ul)frame[1] | P | PW | PU;
    wcr3(one_);
    wcr3(two);
    test("code of two PCIDs in turn", "vol. 3 4.10.1");
    for (unsigned i = 0; i < 8; i++) {
        wcr3(one_ | keep);
        EQ("first", which(), 1);
        wcr3(two | keep);
        EQ("second", which(), 2);
    }
    test("MOV CR3 without bit 63 drops the PCID's code", "vol. 3 4.10.4.1");
    pt_2[0] = (ul)frame[2] | P | PW | PU;
    wcr3(one_ | keep);
    wcr3(two);
    EQ("second", which(), 3);
    wcr3(one_ | keep);
    EQ("first", which(), 1);
    test("INVLPG drops the PCID's code for good", "vol. 3 4.10.4.1");
    pt[0] = (ul)frame[3] | P | PW | PU;
    invlpg(LOW);
    EQ("first", which(), 4);
    wcr3(two | keep);
    EQ("second", which(), 3);
    pt_2[0] = (ul)frame[1] | P | PW | PU;
    invlpg(LOW);
    wcr3(one_ | keep);
    EQ("first again", which(), 4);
    wcr3(two | keep);
    EQ("second again", which(), 2);
    for (unsigned type = 0; invpcid_there && type < 4; type++) {
        test("INVPCID drops another PCID's code", "vol. 2 INVPCID");
        pt_2[0] = (ul)frame[1] | P | PW | PU;
        wcr3(two);
        EQ("second", which(), 2);
        wcr3(one_ | keep);
        EQ("first", which(), 4);
        pt_2[0] = (ul)frame[2] | P | PW | PU;
        invpcid(type, type < 2 ? 2 : 0, type ? 0 : LOW);
        EQ("first again", which(), 4);
        wcr3(two | keep);
        EQ("second again", which(), 3);
    }
    test("INVLPG of a global page drops all PCIDs' code", "vol. 3 4.10.4.1");
    pt[0] = (ul)frame[0] | P | PW | PU | GLOBAL;
    pt_2[0] = (ul)frame[0] | P | PW | PU | GLOBAL;
    wcr4(rcr4() | CR4_PGE);
    wcr3(two);
    EQ("second", which(), 1);
    wcr3(one_ | keep);
    EQ("first", which(), 1);
    pt[0] = pt_2[0] = (ul)frame[1] | P | PW | PU | GLOBAL;
    invlpg(LOW);
    EQ("first again", which(), 2);
    wcr3(two | keep);
    EQ("second again", which(), 2);
    wcr4(rcr4() & ~(ul)CR4_PGE);
    pt[0] = (ul)frame[0] | P | PW | PU;
    pt_2[0] = (ul)frame[1] | P | PW | PU;
    wcr3(two);
    wcr3(one_);
}
static void pcid(void)
{
    u32 id[4];
    cpuid(1, 0, id);
    if (!(id[2] >> 17 & 1)) {
        skip("PCID", "not there");
        return;
    }
    struct regs r;
    ul cr3 = rcr3() & ~0xffful, keep = 1ul << 63;
    test("CR4.PCIDE with a PCID in CR3", "vol. 2 MOV CR");
    wcr3(cr3 | 0x18);
    r = ring(0, w_cr4);
    r.ax = rcr4() | CR4_PCIDE;
    run(&r);
    event_is(GP, 0, w_cr4);
    wcr3(cr3);
    test("bit 63 of CR3 without PCIDE is reserved", "vol. 2 MOV CR");
    r = ring(0, w_cr3);
    r.ax = cr3 | keep;
    run(&r);
    event_is(GP, 0, w_cr3);
    wcr4(rcr4() | CR4_PCIDE);
    window_reset();
    memcpy(pml4_2, boot_pml4, sizeof pml4_2);
    pml4_2[LOW >> 39 & 511] = (ul)pdpt_2 | P | PW | PU;
    pdpt_2[0] = (ul)pd_2 | P | PW | PU;
    pd_2[0] = (ul)pt_2 | P | PW | PU;
    pt_2[0] = (ul)frame[1] | P | PW | PU;
    frame[0][8] = 1;
    frame[1][8] = 2;
    frame[2][8] = 3;
    ul one_ = cr3 | 1, two = (ul)pml4_2 | 2;
    test("each PCID has its own translations", "vol. 3 4.10.1");
    wcr3(one_);
    EQ("first", W8(LOW + 8), 1);
    wcr3(two);
    EQ("second", W8(LOW + 8), 2);
    wcr3(one_ | keep);
    EQ("bit 63 is not kept in CR3", rcr3(), one_);
    EQ("first again", W8(LOW + 8), 1);
    wcr3(two | keep);
    EQ("second again", W8(LOW + 8), 2);
    test("MOV CR3 without bit 63 drops the PCID's translations", "vol. 3 4.10.4.1");
    pt_2[0] = (ul)frame[2] | P | PW | PU;
    wcr3(two);
    EQ("new page", W8(LOW + 8), 3);
    test("INVLPG drops the current PCID's", "vol. 3 4.10.4.1");
    pt_2[0] = (ul)frame[1] | P | PW | PU;
    invlpg(LOW);
    EQ("new page", W8(LOW + 8), 2);
    cpuid(7, 0, id);
    if (id[1] >> 10 & 1) {
        for (unsigned type = 0; type < 4; type++) {
            test("INVPCID drops another PCID's", "vol. 2 INVPCID");
            wcr3(two);
            pt_2[0] = (ul)frame[1] | P | PW | PU;
            wcr3(two);
            EQ("page", W8(LOW + 8), 2);
            wcr3(one_ | keep);
            pt_2[0] = (ul)frame[2] | P | PW | PU;
            invpcid(type, type < 2 ? 2 : 0, type ? 0 : LOW);
            wcr3(two | keep);
            EQ("new page", W8(LOW + 8), 3);
        }
        test("INVPCID refuses", "vol. 2 INVPCID");
        static u64 d[2];
        static const struct {
            u64 type, pcid, at;
        } bad[] = {{4, 0, 0}, {0, 0x1000, 0}, {0, 1, 0x0000900000000000}};
        for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
            d[0] = bad[i].pcid;
            d[1] = bad[i].at;
            r = ring(0, do_invpcid);
            r.bx = (ul)d;
            r.ax = bad[i].type;
            run(&r);
            event_is(GP, 0, do_invpcid);
        }
        r = ring(3, do_invpcid);
        r.bx = (ul)d;
        run(&r);
        event_is(GP, 0, do_invpcid);
    } else {
        skip("INVPCID", "not there");
    }
    pcid_code(one_, two, id[1] >> 10 & 1);
    test("clearing PCIDE drops all", "vol. 3 4.10.4.1");
    wcr3(cr3);
    EQ("page", W8(LOW + 8), 1);
    pt[0] = (ul)frame[2] | P | PW | PU;
    wcr4(rcr4() & ~(ul)CR4_PCIDE);
    EQ("new page", W8(LOW + 8), 3);
    window_reset();
}

void test_main(void)
{
    wrmsr(EFER, rdmsr(EFER) | NXE);
    rights();
    bits();
    large();
    halves();
    supervisor_modes();
    pcid();
}
