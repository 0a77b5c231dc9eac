// SPDX-License-Identifier: MIT
// What modes add to paging: large pages, PAE's wide entries, reserved bits, PDPTEs, NX, SMEP, SMAP. SDM vol.
// 3 4.3, 4.4, 4.6, 4.7.
#include "tests/insn/sys/window.h"

CODE(wr4, "movl %eax,(%ebx)");
CODE(rmw, "incl (%ebx)");
CODE(ldds, "mov %eax,%ds");
CODE(w_cr3, "mov %eax,%cr3");
CODE(w_cr0, "mov %eax,%cr0");
CODE(stac_rd, ".byte 0x0f,0x01,0xcb\n movb (%ebx),%al\n.byte 0x0f,0x01,0xca\n.globl clac_at\nclac_at: movb (%ebx),%al");
extern u8 clac_at[];

// ---- large pages

static void large(void)
{
    u32 size = pae ? 1u << 21 : 1u << 22, cr3 = rcr3(), ours = (u32)frame & ~(size - 1), off = (u32)frame & (size - 1);
    u64 *next = pde(BIG + size);
    const char *kind = pae ? "2 MB page" : "4 MB page";
    if (!pae) {
        test("PS without CR4.PSE is ignored", "vol. 3 table 4-5");
        wpde_set(P | PW | PU | PS);
        one(0, READ, WINDOW, NO_ERR);
        window_reset();
        wcr4(rcr4() | CR4_PSE);
    }
    test2(kind, "read and write", "vol. 3 4.3, 4.4");
    window_reset();
    set_entry(pde(BIG), ours | P | PW | PU | PS);
    pages_flush();
    frame[2][5] = 0x77;
    EQ("read", W8(BIG + off + 0x2005), 0x77);
    BITS("A", entry(pde(BIG)), PA, PA | PD);
    W8(BIG + off + 0x2006) = 0x99;
    EQ("written", frame[2][6], 0x99);
    BITS("A and D", entry(pde(BIG)), PA | PD, PA | PD);
    test2(kind, "rights", "vol. 3 4.6");
    set_entry(pde(BIG), ours | P | PW | PS);
    pages_flush();
    one(3, READ, BIG + off, E_P | E_U);
    one(0, WRITE, BIG + off, NO_ERR);
    set_entry(pde(BIG), ours | P | PU | PS);
    pages_flush();
    one(3, WRITE, BIG + off, E_P | E_U | E_W);
    one(3, READ, BIG + off, NO_ERR);
    one(3, FETCH, BIG + off, NO_ERR);
    wcr0(rcr0() | CR0_WP);
    one(0, WRITE, BIG + off, E_P | E_W);
    wcr0(rcr0() & ~(ul)CR0_WP);
    set_entry(pde(BIG), ours | PU | PS);
    pages_flush();
    one(0, WRITE, BIG + off, E_W);
    test2(kind, "INVLPG of any address in it drops it", "vol. 3 4.10.4.1");
    set_entry(pde(BIG), ours | P | PW | PU | PS);
    pages_flush();
    (void)W8(BIG + off);
    (void)W8(BIG + off + 4096);
    set_entry(pde(BIG), 0);
    invlpg(BIG + 0x1000);
    one(0, READ, BIG + off, 0);
    one(0, READ, BIG + off + 4096, 0);
    test2(kind, "global", "vol. 3 4.10.2.4");
    wcr4(rcr4() | CR4_PGE);
    set_entry(pde(BIG), ours | P | PW | PU | PS | PG);
    (void)W8(BIG + off);
    set_entry(pde(BIG), 0);
    invlpg(BIG + off);
    one(0, READ, BIG + off, 0);
    set_entry(pde(BIG), ours | P | PW | PU | PS | PG);
    (void)W8(BIG + off);
    set_entry(pde(BIG), 0);
    wcr4(rcr4() & ~(ul)CR4_PGE);
    one(0, READ, BIG + off, 0);
    test2(kind, "the PAT bit is no address bit", "vol. 3 tables 4-4, 4-9");
    set_entry(pde(BIG), ours | P | PW | PU | PS | 1 << 12);
    pages_flush();
    EQ("read", W8(BIG + off + 0x2005), 0x77);
    test2(kind, "last bytes and the next page", "vol. 3 4.3, 4.4");
    set_entry(pde(BIG), ours | P | PW | PU | PS);
    set_entry(next, 0);
    pages_flush();
    one(0, READ, BIG + size - 1, NO_ERR);
    struct regs r = ring(0, wr4);
    r.bx = BIG + size - 2;
    run(&r);
    event_is(PF, E_W, wr4);
    EQ("cr2", ev.cr2, BIG + size);
    one(0, READ, BIG - 1, 0);
    set_entry(next, (pae ? (u32)wtab64 : (u32)wtab32) | P | PW | PU);
    pages_flush();
    W16((u32)frame[0]) = 0x3344;
    u32 low = W16(ours + size - 2);
    EQ("across", W32(BIG + size - 2), 0x33440000 | low);
    set_entry(next, 0);
    test2(kind, "and a table in its place", "vol. 3 4.10.2.3");
    set_entry(pde(BIG), ours | P | PW | PU | PS);
    pages_flush();
    (void)W8(BIG);
    frame[0][0] = 0x5a;
    set_entry(pde(BIG), (pae ? (u32)wtab64 : (u32)wtab32) | P | PW | PU);
    wcr3(cr3);
    EQ("by the table", W8(BIG), 0x5a);
    test2(kind, "reserved bits", "vol. 3 4.7, tables 4-4, 4-9");
    for (unsigned b = pae ? 13 : 21; b < (pae ? 21 : 22); b++) {
        set_entry(pde(BIG), (ours & 0xffc00000) | P | PW | PU | PS | 1 << b);
        pages_flush();
        one(0, READ, BIG + off, E_P | E_RSVD);
        one(3, WRITE, BIG + off, E_P | E_RSVD | E_W | E_U);
        set_entry(pde(BIG), (ours & 0xffc00000) | PW | PU | PS | 1 << b);
        pages_flush();
        one(0, READ, BIG + off, 0);
    }
    if (!pae) {
        test("PSE-36 reaches above 4 GB", "vol. 3 table 4-4");
        set_entry(pde(BIG), 1 << 13 | ours | P | PW | PU | PS); // 4 GB and more: no memory there
        pages_flush();
        W32((u32)frame[2] + 4) = 0x12345678;
        EQ("not the memory below", W32(BIG + off + 0x2004) != 0x12345678, 1);
        W32(BIG + off + 0x2004) = 0;
        EQ("not written", W32((u32)frame[2] + 4), 0x12345678);
        wcr4(rcr4() & ~(ul)CR4_PSE);
    }
    set_entry(pde(BIG), 0);
    pages_flush();
}

// ---- PAE: wide entries, NX, PDPTEs

static u32 features(void)
{
    u32 id[4];
    cpuid(0, 0, id);
    if (id[0] < 7) return 0;
    cpuid(7, 0, id);
    return id[1];
}
static bool has_nx(void)
{
    u32 id[4];
    cpuid_ext(0x80000001, id);
    return id[3] >> 20 & 1;
}

static u64 pdpt2[4] __attribute__((aligned(32)));
static void wide(void)
{
    struct regs r;
    u32 cr3 = rcr3();
    test("frames above 4 GB", "vol. 3 table 4-11");
    window_reset();
    W32((u32)frame[0] + 4) = 0x12345678;
    set_entry(wpte(0), (u32)frame[0] | 1ull << 32 | P | PW | PU);
    invlpg(WINDOW);
    EQ("not the memory below", W32(WINDOW + 4) != 0x12345678, 1);
    test("reserved bits of entries", "vol. 3 4.7, tables 4-8 to 4-11");
    u32 top = phys_bits();
    for (unsigned b = top; b < 63; b++) {
        window_reset();
        set_entry(wpte(0), (u32)frame[0] | 1ull << b | P | PW | PU);
        invlpg(WINDOW);
        one(0, READ, WINDOW, E_P | E_RSVD);
        if (b != top && b != 62) continue;
        one(3, WRITE, WINDOW, E_P | E_RSVD | E_U | E_W);
        set_entry(wpte(0), (u32)frame[0] | 1ull << b | PW | PU);
        invlpg(WINDOW);
        one(3, WRITE, WINDOW, E_U | E_W);
        window_reset();
        wpde_set(1ull << b | P | PW | PU);
        one(0, READ, WINDOW, E_P | E_RSVD);
        wpte_set(0, 0); // the directory's comes first
        one(0, READ, WINDOW, E_P | E_RSVD);
    }
    test("bits 9 to 11 are the software's", "vol. 3 table 4-11");
    window_reset();
    wpde_set(P | PW | PU | 0xe00);
    wpte_set(0, P | PW | PU | 0xe00);
    one(3, WRITE, WINDOW, NO_ERR);
    BITS("kept", entry(wpte(0)), 0xe00, 0xe00);
    window_reset();

    test("PDPTE absent", "vol. 3 4.4.1");
    pdpt[1] &= ~1ull;
    wcr3(cr3);
    one(3, WRITE, WINDOW, E_U | E_W);
    pdpt[1] = ~0x11ull & 0xffffffff00000ffeull; // reserved bits of an absent one do not matter
    wcr3(cr3);
    one(0, READ, WINDOW, 0);
    pdpt[1] = (u32)pd64[1] | P;
    wcr3(cr3);
    one(0, READ, WINDOW, NO_ERR);
    test("PDPTEs are registers: loaded with CR3", "vol. 3 4.4.1");
    pdpt[1] = 0;
    invlpg(WINDOW);
    one(0, READ, WINDOW, NO_ERR);
    wcr3(cr3);
    one(0, READ, WINDOW, 0);
    pdpt[1] = (u32)pd64[1] | P;
    one(0, READ, WINDOW, 0);
    wcr3(cr3);
    test("PDPTEs have no rights", "vol. 3 4.4.1");
    one(3, WRITE, WINDOW, NO_ERR);
    EQ("no A", pdpt[1], (u32)pd64[1] | P);
    test("PWT, PCD and bits 9 to 11 of a PDPTE", "vol. 3 table 4-8");
    pdpt[1] |= PWT | PCD | 0xe00;
    wcr3(cr3);
    one(3, WRITE, WINDOW, NO_ERR);
    pdpt[1] = (u32)pd64[1] | P;
    wcr3(cr3);
    static const u8 reserved[] = {1, 2, 5, 6, 7, 8, 52, 62, 63};
    for (unsigned i = 0; i < ARRAY_LEN(reserved); i++) {
        test("reserved bits of PDPTEs, MOV CR3", "vol. 3 4.4.1");
        memcpy(pdpt2, pdpt, sizeof pdpt);
        pdpt2[3] = 1ull << reserved[i] | P;
        r = ring(0, w_cr3);
        r.ax = (u32)pdpt2;
        run(&r);
        event_is(GP, 0, w_cr3);
        EQ("CR3 as before", rcr3(), cr3);
        one(0, READ, WINDOW, NO_ERR);
        pdpt2[3] &= ~1ull;
        run(&r);
        EQ("absent, it does not matter", ev.vec, END_VEC);
        wcr3(cr3);
    }
    test("reserved bits of PDPTEs, MOV CR0", "vol. 3 4.4.1");
    u32 cr0 = rcr0();
    wcr0(cr0 & ~CR0_PG);
    pdpt[3] = 1ull << 63 | P;
    r = ring(0, w_cr0);
    r.ax = cr0;
    run(&r);
    event_is(GP, 0, w_cr0);
    BITS("PG", rcr0(), 0, CR0_PG);
    pdpt[3] = 0;
    wcr0(cr0);
    test("CR3 points to 32 bytes", "vol. 3 4.4.1");
    memcpy(pdpt2, pdpt, sizeof pdpt);
    wcr3((ul)pdpt2 | 0x1f);
    one(0, READ, WINDOW, NO_ERR);
    BITS("CR3", rcr3(), (u32)pdpt2, ~0x1f);
    wcr3(cr3);
}

// MOV CR0 and MOV CR4 load the PDPTEs if they change one of certain bits; if one has reserved bits, nothing changes.
CODE(w_cr4, "mov %eax,%cr4");
enum { CR0_CD = 1 << 30, CR0_NW = 1 << 29, CR4_MCE = 64 };
static void pdptes_reloaded(void)
{
    static const struct {
        const char *name;
        bool cr4;
        u32 flip, first; // first: set before
        bool loads;
    } t[] = {
        {"CR4.PGE", 1, CR4_PGE, 0, 1}, {"CR4.PSE", 1, CR4_PSE, 0, 1}, {"CR4.SMEP", 1, CR4_SMEP, 0, 1},
        {"CR4.TSD", 1, CR4_TSD, 0, 0}, {"CR4.DE", 1, CR4_DE, 0, 0},   {"CR4.MCE", 1, CR4_MCE, 0, 0},
        {"CR4, no bit", 1, 0, 0, 0},   {"CR0.CD", 0, CR0_CD, 0, 1},   {"CR0.NW", 0, CR0_NW, CR0_CD, 1},
        {"CR0.WP", 0, CR0_WP, 0, 0},   {"CR0.TS", 0, CR0_TS, 0, 0},   {"CR0, no bit", 0, 0, 0, 0},
    };
    window_reset();
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        if (t[i].flip == CR4_SMEP && !(features() >> 7 & 1)) continue;
        test2(t[i].loads ? "PDPTEs are loaded with" : "PDPTEs are not loaded with", t[i].name, "vol. 3 4.4.1");
        ul cr0 = rcr0(), cr4 = rcr4(), cr3 = rcr3(), cached = cr0 & ~(ul)(CR0_CD | CR0_NW);
        if (t[i].flip == CR4_SMEP) identity(P | PW); // the image is the supervisor's then
        wcr0(cached | t[i].first);
        for (unsigned round = 0; round < 2; round++) { // set, cleared
            ul was = t[i].cr4 ? rcr4() : rcr0(), now = was ^ t[i].flip;
            struct regs r = ring(0, t[i].cr4 ? w_cr4 : w_cr0);
            r.ax = now;
            pdpt[1] = 0;
            run(&r);
            EQ("written", ev.vec, END_VEC);
            invlpg(WINDOW);
            one(0, READ, WINDOW, t[i].loads ? 0 : NO_ERR);
            pdpt[1] = (u32)pd64[1] | P;
            wcr3(cr3);
            r.ax = was;
            pdpt[1] |= 1 << 5; // reserved
            run(&r);
            if (t[i].loads) {
                event_is(GP, 0, t[i].cr4 ? w_cr4 : w_cr0);
                EQ("as before", t[i].cr4 ? rcr4() : rcr0(), now);
            } else {
                EQ("written back", ev.vec, END_VEC);
            }
            pdpt[1] &= ~32ull;
            invlpg(WINDOW);
            one(0, READ, WINDOW, NO_ERR);
            if (t[i].cr4)
                wcr4(now);
            else
                wcr0(now);
        }
        wcr4(cr4);
        wcr0(cr0);
        identity(P | PW | PU);
    }
}

static void execute_disable(void)
{
    if (!has_nx()) {
        skip("NX", "not there");
        return;
    }
    u64 efer = rdmsr(EFER);
    wrmsr(EFER, efer & ~(u64)NXE);
    window_reset();
    test("bit 63 without NXE is reserved", "vol. 3 4.4.2");
    wpte_set(0, P | PW | PU | E_NX);
    one(0, READ, WINDOW, E_P | E_RSVD);
    one(3, FETCH, WINDOW, E_P | E_RSVD | E_U);
    test("without NXE and SMEP fetches are not told", "vol. 3 4.7");
    wpte_set(0, 0);
    one(3, FETCH, WINDOW, E_U);
    wrmsr(EFER, efer | NXE);
    test("with NXE fetches are told", "vol. 3 4.7");
    one(3, FETCH, WINDOW, E_U | E_I);
    one(0, FETCH, WINDOW, E_I);
    one(0, READ, WINDOW, 0);
    wpte_set(0, P | PW);
    one(3, FETCH, WINDOW, E_P | E_U | E_I);
    static const struct {
        const char *name;
        u64 up, low;
        bool nx;
    } t[] = {
        {"NX nowhere", 0, 0, 0},
        {"NX of a page", 0, E_NX, 1},
        {"NX of a table", E_NX, 0, 1},
        {"NX of both", E_NX, E_NX, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 4.6.1");
        wpde_set(P | PW | PU | t[i].up);
        wpte_set(0, P | PW | PU | t[i].low);
        for (unsigned user = 0; user < 2; user++) {
            one(user * 3, READ, WINDOW, NO_ERR);
            one(user * 3, WRITE, WINDOW, NO_ERR);
            one(user * 3, FETCH, WINDOW, t[i].nx ? E_P | E_I | user * E_U : NO_ERR);
        }
    }
    test("NX of a 2 MB page", "vol. 3 table 4-9");
    u32 off = (u32)frame & 0x1fffff;
    set_entry(pde(BIG), ((u32)frame & ~0x1fffff) | P | PW | PU | PS | E_NX);
    pages_flush();
    one(3, FETCH, BIG + off, E_P | E_I | E_U);
    one(3, READ, BIG + off, NO_ERR);
    test("code cached before NX came", "vol. 3 4.10.4.2");
    window_reset();
    one(0, FETCH, WINDOW, NO_ERR);
    wpte_set(0, P | PW | PU | E_NX);
    one(0, FETCH, WINDOW, E_P | E_I);
    wpte_set(0, P | PW | PU);
    one(0, FETCH, WINDOW, NO_ERR);
    test("reserved bit and NX", "vol. 3 4.7");
    set_entry(wpte(0), (u32)frame[0] | 1ull << 62 | P | PW | PU | E_NX);
    invlpg(WINDOW);
    one(0, FETCH, WINDOW, E_P | E_RSVD | E_I);
    wrmsr(EFER, efer & ~(u64)NXE);
    set_entry(pde(BIG), 0);
    window_reset();
}

// ---- SMEP, SMAP: with the image's own pages the supervisor's

static void supervisor_modes(void)
{
    const char *kind = pae ? "PAE" : "32-bit";
    identity(P | PW);
    window_reset();
    if (features() >> 7 & 1) {
        test2("SMEP", kind, "vol. 3 4.6.1");
        wcr4(rcr4() | CR4_SMEP);
        one(0, FETCH, WINDOW, E_P | E_I);
        one(0, READ, WINDOW, NO_ERR);
        one(0, WRITE, WINDOW, NO_ERR);
        wpte_set(0, P | PW);
        one(0, FETCH, WINDOW, NO_ERR);
        wpte_set(0, P | PW | PU);
        wpde_set(P | PW);
        one(0, FETCH, WINDOW, NO_ERR);
        test2("SMEP makes fetches told", kind, "vol. 3 4.7");
        window_reset();
        wpte_set(0, 0);
        one(0, FETCH, WINDOW, E_I);
        one(0, READ, WINDOW, 0);
        test2("SMEP counts at once", kind, "vol. 3 4.10.4.1");
        window_reset();
        wcr4(rcr4() & ~(ul)CR4_SMEP);
        one(0, FETCH, WINDOW, NO_ERR);
        wcr4(rcr4() | CR4_SMEP);
        one(0, FETCH, WINDOW, E_P | E_I);
        wcr4(rcr4() & ~(ul)CR4_SMEP);
        one(0, FETCH, WINDOW, NO_ERR);
    } else {
        skip("SMEP", "not there");
    }
    if (!(features() >> 20 & 1)) {
        skip("SMAP", "not there");
        identity(P | PW | PU);
        return;
    }
    struct regs r;
    test2("SMAP, AC 0", kind, "vol. 3 4.6.1");
    window_reset();
    one(0, READ, WINDOW, NO_ERR);
    wcr4(rcr4() | CR4_SMAP);
    one(0, READ, WINDOW, E_P);
    one(0, WRITE, WINDOW, E_P | E_W);
    one(0, FETCH, WINDOW + 0x100, NO_ERR);
    wpte_set(1, P | PW);
    one(0, WRITE, WINDOW + 0x1000, NO_ERR);
    test2("SMAP, AC 1", kind, "vol. 3 4.6.1");
    for (unsigned k = 0; k < 3; k++) {
        static const u8 *const codes[] = {rd, wr, rmw};
        r = ring(0, codes[k]);
        r.bx = WINDOW;
        r.flags |= F_AC;
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        r.flags = F_1;
        run(&r);
        event_is(PF, k ? E_P | E_W : E_P, codes[k]);
    }
    test2("STAC and CLAC", kind, "vol. 2 STAC, CLAC");
    r = ring(0, stac_rd);
    r.bx = WINDOW;
    run(&r);
    event_is(PF, E_P, clac_at);
    BITS("AC", ev.r.flags, 0, F_AC);
    test2("SMAP, AC 1, read-only page with WP", kind, "vol. 3 4.6.1");
    wcr0(rcr0() | CR0_WP);
    wpte_set(0, P | PU);
    r = ring(0, wr);
    r.bx = WINDOW;
    r.flags |= F_AC;
    run(&r);
    event_is(PF, E_P | E_W, wr);
    wcr0(rcr0() & ~(ul)CR0_WP);
    run(&r);
    EQ("without WP", ev.vec, END_VEC);
    test2("SMAP leaves user accesses", kind, "vol. 3 4.6.1");
    window_reset();
    memcpy(frame[2], rd, rd_end - rd);
    r = ring(3, (void *)(WINDOW + 0x2000));
    r.bx = WINDOW;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    test2("SMAP, descriptor on a user page", kind, "vol. 3 4.6.1");
    set_system_desc(LDT_SEL, WINDOW, 0xfff, 0x82);
    asm_("lldt %0" ::"r"((u16)LDT_SEL));
    W64((u32)frame[0] + 8) = descriptor(0, 0xfffff, 0xc0f3);
    memcpy(frame[2], ldds, ldds_end - ldds);
    for (unsigned k = 0; k < 4; k++) { // implicit accesses fault whatever AC and CPL
        r = ring(k & 1 ? 3 : 0, k & 1 ? (void *)(WINDOW + 0x2000) : ldds);
        r.ax = 0xf;
        if (k & 2) r.flags |= F_AC;
        run(&r);
        event_is(PF, E_P, k & 1 ? (void *)(WINDOW + 0x2000) : ldds);
        EQ("cr2", ev.cr2, WINDOW + 8);
    }
    wpte_set(0, P | PW);
    run(&r);
    EQ("on the supervisor's page", ev.vec, END_VEC);
    reset_tables();
    test2("SMAP counts at once", kind, "vol. 3 4.10.4.1");
    window_reset();
    one(0, READ, WINDOW, E_P);
    wcr4(rcr4() & ~(ul)CR4_SMAP);
    one(0, READ, WINDOW, NO_ERR);
    wcr4(rcr4() | CR4_SMAP);
    one(0, READ, WINDOW, E_P);
    wcr4(rcr4() & ~(ul)CR4_SMAP);
    identity(P | PW | PU);
    window_reset();
}

void test_main(void)
{
    for (unsigned k = 0; k < 2; k++) {
        begin(k);
        large();
        if (k) {
            wide();
            pdptes_reloaded();
            execute_disable();
        }
        supervisor_modes();
        end();
    }
}
