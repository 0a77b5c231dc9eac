// SPDX-License-Identifier: MIT
// Paging outside long mode, 32-bit and PAE: rights, error codes, accessed and dirty bits, the processor's own accesses,
// accesses across pages, what a TLB may keep and what not. SDM vol. 3 chapter 4.
#include "tests/insn/sys/window.h"

CODE(rd4, "movl (%ebx),%eax");
CODE(es4, "movl %es:(%ebx),%eax");
CODE(rd2, "movw (%ebx),%ax");
CODE(wr4, "movl %eax,(%ebx)");
CODE(wr2, "movw %ax,(%ebx)");
CODE(rmw, "incl (%ebx)");
CODE(cmp4, "cmpl $0,(%ebx)");
CODE(test4, "testl $1,(%ebx)");
CODE(bt4, "btl $0,(%ebx)");
CODE(bts4, "btsl $0,(%ebx)");
CODE(xchg4, "xchgl %eax,(%ebx)");
CODE(xadd4, "xaddl %eax,(%ebx)");
CODE(cmpxchg_no, "mov $0x77777777,%eax\n lock cmpxchgl %ecx,(%ebx)");
CODE(cmpxchg8_no, "mov $0x77777777,%eax\n lock cmpxchg8b (%ebx)");
CODE(not4, "notl (%ebx)");
CODE(setc1, "setc (%ebx)");
CODE(pop_m, "push $5\n popl (%ebx)");
CODE(push_m, "pushl (%ebx)");
CODE(push_s, "mov %ebx,%esp\n push %eax");
CODE(call_s, "mov %ebx,%esp\n call 1f\n1:");
CODE(pusha_s, "mov %ebx,%esp\n.globl pusha_at\npusha_at: pusha");
CODE(popa_s, "mov %ebx,%esp\n.globl popa_at\npopa_at: popa");
CODE(enter_s, "mov %ebx,%esp\n.globl enter_at\nenter_at: enter $8,$0");
CODE(fst10, "fninit\n fldpi\n.globl fst10_at\nfst10_at: fstpt (%ebx)");
CODE(fld8, "fninit\n.globl fld8_at\nfld8_at: fldl (%ebx)");
CODE(fnsave, "fninit\n.globl fnsave_at\nfnsave_at: fnsave (%ebx)");
CODE(ldds, "mov %eax,%ds");
CODE(in80, "in $0x80,%al");
CODE(do_invlpg, "invlpg (%ebx)");
extern u8 pusha_at[], popa_at[], fst10_at[], fld8_at[], fnsave_at[];

// ---- rights, 4.6, and error codes, 4.7; A and D, 4.8

static void rights(void)
{
    static const char *const accs[] = {"read", "write", "fetch"};
    for (unsigned wp = 0; wp < 2; wp++)
        for (unsigned user = 0; user < 2; user++)
            for (unsigned acc = 0; acc < 3; acc++) {
                char nm[40] = "ring 0, WP 0, ";
                nm[5] = user ? '3' : '0';
                nm[11] = wp ? '1' : '0';
                memcpy(nm + 14, accs[acc], acc == READ ? 5 : 6);
                test2(pae ? "PAE" : "32-bit", nm, "vol. 3 4.6.1, 4.7, 4.8");
                wcr0(wp ? rcr0() | CR0_WP : rcr0() & ~(ul)CR0_WP);
                for (unsigned k = 0; k < 16; k++) {
                    u32 up = (k & 3) << 1, low = (k >> 2) << 1; // R/W and U/S of both levels
                    bool u = up & low & PU, w = up & low & PW;
                    bool ok = (!user || u) && (acc != WRITE || w || (!user && !wp));
                    wpde_set(P | up);
                    wpte_set(0, P | low);
                    one(user ? 3 : 0, acc, WINDOW + 0x123, ok ? NO_ERR : E_P | (acc == WRITE) * E_W | user * E_U);
                    if (ok) {
                        BITS("A of the directory entry", entry(pde(WINDOW)), PA, PA | PD);
                        BITS("A and D of the entry", entry(wpte(0)), acc == WRITE ? PA | PD : PA, PA | PD);
                    } else {
                        BITS("no D", entry(wpte(0)), 0, PD);
                    }
                }
            }
    wcr0(rcr0() & ~(ul)CR0_WP);
    test2(pae ? "PAE" : "32-bit", "not present", "vol. 3 4.7");
    for (unsigned user = 0; user < 2; user++)
        for (unsigned acc = 0; acc < 3; acc++)
            for (unsigned level = 0; level < 2; level++) {
                wpde_set(level ? PW | PU : P | PW | PU);
                wpte_set(1, level ? P | PW | PU : 0xffe & ~(level ? 0 : 1)); // all other bits are the software's
                u64 before = entry(wpte(1)), up = entry(pde(WINDOW));
                one(user ? 3 : 0, acc, WINDOW + 0x1ffc, (acc == WRITE) * E_W | user * E_U);
                EQ("entry as before", entry(wpte(1)), before);
                BITS("directory entry as before", entry(pde(WINDOW)), up, ~(u64)PA);
                if (pae && acc == READ) {
                    wpte_set(1, 0xfffffffff0000000ull << 8);
                    one(user ? 3 : 0, acc, WINDOW + 0x1004, user * E_U);
                }
            }
    window_reset();
    test2(pae ? "PAE" : "32-bit", "ring 1 is a supervisor", "vol. 3 4.6");
    wpte_set(0, P);
    one(1, WRITE, WINDOW, NO_ERR);
    window_reset();
}

// 4.8: what reads only leaves D, what writes sets it, whatever it writes.
static void dirty(void)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
        u32 off;
        bool d;
    } t[] = {
#define T(n, off, d) {#n, n, n##_end, off, d}
        T(rd, 0, 0),          T(rd4, 0, 0),         T(cmp4, 0, 0),       T(test4, 0, 0),       T(bt4, 0, 0),
        T(push_m, 0, 0),      T(popa_s, 0, 0),      T(fld8, 0, 0),       T(wr, 0, 1),          T(bts4, 0, 1),
        T(xchg4, 0, 1),       T(xadd4, 0, 1),       T(cmpxchg_no, 0, 1), T(cmpxchg8_no, 0, 1), T(not4, 0, 1),
        T(rmw, 0, 1),         T(setc1, 0, 1),       T(pop_m, 0, 1),      T(push_s, 0x100, 1),  T(call_s, 0x100, 1),
        T(pusha_s, 0x100, 1), T(enter_s, 0x100, 1), T(fst10, 0, 1),      T(fnsave, 0, 1),
#undef T
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test2("A and D of", t[i].name, "vol. 3 4.8");
        for (unsigned warm = 0; warm < 2; warm++) { // with the translation cached, clean
            window_reset();
            if (warm) (void)W8(WINDOW);
            struct regs r = ring(3, t[i].code);
            r.bx = WINDOW + t[i].off;
            run(&r);
            EQ("vector", ev.vec, END_VEC);
            BITS("A and D", entry(wpte(0)), t[i].d ? PA | PD : PA, PA | PD);
            BITS("A of the directory entry", entry(pde(WINDOW)), PA, PA | PD);
            BITS("next page", entry(wpte(1)), 0, PA | PD);
        }
        test2("fault of", t[i].name, "vol. 3 4.7");
        window_reset();
        wpte_set(0, P | PU);
        memset(frame[0], 0x11, 4096);
        struct regs r = ring(3, t[i].code);
        r.bx = WINDOW + t[i].off;
        r.cx = 0x1234;
        run(&r);
        if (t[i].d) {
            EQ("vector", ev.vec, PF);
            EQ("error code", frame32(0), E_P | E_W | E_U);
            BITS("cr2", ev.cr2, WINDOW, ~0xfffull);
            BITS("no D", entry(wpte(0)), 0, PD);
            EQ("memory as before", W32((u32)frame[0]) == 0x11111111 && W32((u32)frame[0] + 0xfc) == 0x11111111, 1);
        } else {
            EQ("vector", ev.vec, END_VEC);
        }
    }
    window_reset();
}

// ---- accesses that the processor makes itself are the supervisor's

static void implicit(void)
{
    struct regs r;
    test("descriptor of a page that ring 3 may not read", "vol. 3 4.6.1");
    set_system_desc(LDT_SEL, WINDOW, 0xfff, 0x82);
    asm_("lldt %0" ::"r"((u16)LDT_SEL));
    window_reset();
    W64((u32)frame[0] + 8) = descriptor(0, 0xfffff, 0xc0f2); // not accessed
    wpte_set(0, P | PW);
    r = ring(3, ldds);
    r.ax = 0xf;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    EQ("accessed", W8((u32)frame[0] + 13), 0xf3);
    BITS("A and D", entry(wpte(0)), PA | PD, PA | PD);
    test("descriptor on an absent page", "vol. 3 4.7");
    wpte_set(0, 0);
    run(&r);
    event_is(PF, 0, ldds);
    EQ("cr2", ev.cr2, WINDOW + 8);
    test("accessed bit on a read-only page, WP", "vol. 3 4.6.1");
    W8((u32)frame[0] + 13) = 0xf2;
    wpte_set(0, P | PU);
    wcr0(rcr0() | CR0_WP);
    run(&r);
    event_is(PF, E_P | E_W, ldds);
    BITS("cr2", ev.cr2, WINDOW + 8, ~7ull);
    EQ("not accessed", W8((u32)frame[0] + 13), 0xf2);
    W8((u32)frame[0] + 13) = 0xf3;
    run(&r);
    EQ("accessed already: nothing is written", ev.vec, END_VEC);
    wcr0(rcr0() & ~(ul)CR0_WP);
    W8((u32)frame[0] + 13) = 0xf2;
    wpte_set(0, P);
    run(&r);
    EQ("without WP it is written", ev.vec, END_VEC);
    test("I/O map on an absent page", "vol. 3 4.7");
    window_reset();
    memcpy(frame[0] + 0xf00, &tss, 0x68); // 0x40000f00: the map's byte 10h of port 80h is on the next page
    W16((u32)frame[0] + 0xf66) = 0x100 - 0x10;
    set_system_desc(TSS_SEL, WINDOW + 0xf00, 0x200, 0x89);
    asm_("ltr %0" ::"r"((u16)TSS_SEL));
    wpte_set(1, 0);
    r = ring(3, in80);
    run(&r);
    event_is(PF, 0, in80);
    EQ("cr2", ev.cr2, WINDOW + 0x1000);
    wpte_set(1, P);
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    reset_tables();
    window_reset();
}

// ---- accesses across two pages: both are looked at before anything is written; the first that faults is reported

static void crossing(void)
{
    static const struct {
        const char *name;
        const u8 *code, *at;
        u32 ea, n; // what it touches
        bool write;
    } t[] = {
        {"read 2", rd2, rd2, 0xfff, 2, 0},
        {"read 4", rd4, rd4, 0xffd, 4, 0},
        {"write 2", wr2, wr2, 0xfff, 2, 1},
        {"write 4", wr4, wr4, 0xffe, 4, 1},
        {"INC 4", rmw, rmw, 0xffe, 4, 1},
        {"XCHG 4", xchg4, xchg4, 0xfff, 4, 1},
        {"FLD 8", fld8, fld8_at, 0xffa, 8, 0},
        {"FSTP 10", fst10, fst10_at, 0xff8, 10, 1},
        {"FNSAVE", fnsave, fnsave_at, 0xfc0, 108, 1},
    };
    struct regs r;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        r = ring(0, t[i].code);
        r.bx = WINDOW + t[i].ea;
        r.ax = 0xabcdef98;
        test2("both pages there,", t[i].name, "vol. 3 4.2");
        window_reset();
        memset(frame[0], 0x11, 4096);
        memset(frame[1], 0x22, 4096);
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        BITS("first entry", entry(wpte(0)), t[i].write ? PA | PD : PA, PA | PD);
        BITS("second entry", entry(wpte(1)), t[i].write ? PA | PD : PA, PA | PD);
        if (t[i].code == rd4) EQ("eax", ev.r.ax, 0x22111111);
        if (t[i].code == wr4) EQ("memory", W16((u32)frame[0] + 0xffe) | (u32)W16((u32)frame[1]) << 16, 0xabcdef98);
        if (t[i].code == rmw) EQ("memory", W16((u32)frame[0] + 0xffe) | (u32)W16((u32)frame[1]) << 16, 0x22221112);
        static const struct {
            const char *name;
            u64 first, second;
            u32 err, page; // which page is reported
            bool writes_only, wp;
        } f[] = {
            {"second absent,", P | PW | PU, 0, 0, 1, 0},
            {"first absent,", 0, P | PW | PU, 0, 0, 0},
            {"both absent,", 0, 0, 0, 0, 0},
            {"second read-only,", P | PW | PU, P | PU, E_P, 1, 1, 1},
            {"first read-only,", P | PU, P | PW | PU, E_P, 0, 1, 1},
        };
        for (unsigned k = 0; k < ARRAY_LEN(f); k++) {
            if (f[k].writes_only && !t[i].write) continue;
            test2(f[k].name, t[i].name, "vol. 3 4.7");
            window_reset();
            memset(frame[0], 0x11, 4096);
            memset(frame[1], 0x22, 4096);
            wpte_set(0, f[k].first);
            wpte_set(1, f[k].second);
            if (f[k].wp) wcr0(rcr0() | CR0_WP);
            run(&r);
            wcr0(rcr0() & ~(ul)CR0_WP);
            event_is(PF, f[k].err | t[i].write * E_W, t[i].at);
            EQ("cr2", ev.cr2, f[k].page ? WINDOW + 0x1000 : WINDOW + t[i].ea);
            if (t[i].n <= 8) { // longer ones may have begun
                EQ("nothing written, first page", W8((u32)frame[0] + 0xfff), 0x11);
                EQ("nothing written, second page", W8((u32)frame[1]), 0x22);
            }
            EQ("eax", ev.r.ax, 0xabcdef98);
        }
    }
    test("second page is the supervisor's", "vol. 3 4.6.1");
    window_reset();
    wpte_set(1, P | PW);
    r = ring(3, rd4);
    r.bx = WINDOW + 0xffe;
    run(&r);
    event_is(PF, E_P | E_U, rd4);
    EQ("cr2", ev.cr2, WINDOW + 0x1000);
    test("PUSHA across pages leaves ESP", "vol. 2 PUSHA");
    window_reset();
    wpte_set(0, 0);
    r = ring(0, pusha_s);
    r.bx = WINDOW + 0x1010;
    for (unsigned v = 0; v < 2; v++) { // the handler's stack is this one: it needs room, by a task
        if (v) {
            test("POPA across pages leaves the registers", "vol. 2 POPA");
            reset_tables();
            window_reset();
            wpte_set(1, 0);
            r = ring(0, popa_s);
            r.bx = WINDOW + 0xff0;
        }
        memset(&tss2, 0, sizeof tss2);
        tss2.eip = stub(PF);
        tss2.eflags = F_1;
        tss2.cs = K_CS;
        tss2.ss = tss2.ds = tss2.es = K_DS;
        tss2.esp = TOP(stack1);
        tss2.cr3 = rcr3();
        tss2.ldt = LDT_SEL;
        set_system_desc(TSS2_SEL, (u32)&tss2, sizeof tss2 - 1, 0x89);
        idt[PF] = gate(TSS2_SEL, 0, 0x85, 0);
        r.si = 0x51515151;
        run(&r);
        EQ("vector", ev.vec, PF);
        EQ("cr2", ev.cr2 & ~0xfffull, v ? WINDOW + 0x1000 : WINDOW);
        EQ("error code", W32(ev.hsp), v ? 0 : E_W);
        EQ("eip", tss.eip, (u32)(v ? popa_at : pusha_at));
        EQ("esp", tss.esp, r.bx);
        EQ("esi", tss.esi, 0x51515151);
    }
    reset_tables();
    test("4 GB wraps to page 0", "vol. 3 3.3.1");
    window_reset();
    set_desc(SPARE, descriptor(0xfffff000, 0xfffff, 0xc093));
    u64 low = entry(pae ? (void *)pd64[0] : (void *)page_table);
    static u32 top[1024] PAGE_ALIGNED;
    if (!pae) {
        page_dir[1023] = (u32)top | P | PW | PU;
        top[1023] = (u32)frame[0] | P | PW | PU;
        page_table[0] = (u32)frame[1] | P | PW | PU;
        pages_flush();
        memset(frame[0], 0x11, 4096);
        memset(frame[1], 0x22, 4096);
        r = ring(0, es4);
        r.es = SPARE;
        r.bx = 0xffe;
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        EQ("eax", ev.r.ax, 0x22221111);
        page_table[0] = 0;
        pages_flush();
        run(&r);
        EQ("vector", ev.vec, PF);
        EQ("cr2", ev.cr2, 0);
        page_table[0] = low;
        page_dir[1023] = 0;
        pages_flush();
    }
    reset_tables();
}

// ---- translations that are cached, 4.10

static void stale(void)
{
    struct regs r;
    u32 cr3 = rcr3();
#define FILL()        (window_reset(), frame[0][8] = 1, frame[1][8] = 2, (void)W8(WINDOW + 8))
#define SWAP(extra)   set_entry(wpte(0), (u32)frame[1] | P | PW | PU | (extra))
#define SEES(what, v) EQ(what, W8(WINDOW + 8), v)
    test("INVLPG drops a translation", "vol. 3 4.10.4.1");
    FILL();
    SWAP(0);
    invlpg(WINDOW + 0xfff);
    SEES("new page", 2);
    test("MOV CR3 drops translations", "vol. 3 4.10.4.1");
    FILL();
    SWAP(0);
    wcr3(cr3);
    SEES("new page", 2);
    test("CR0.PG drops translations", "vol. 3 4.10.4.1");
    FILL();
    SWAP(0);
    wcr0(rcr0() & ~CR0_PG);
    wcr0(rcr0() | CR0_PG);
    SEES("new page", 2);
    test("CR4.PSE drops translations", "vol. 3 4.10.4.1");
    if (!pae) {
        FILL();
        SWAP(0);
        wcr4(rcr4() ^ CR4_PSE);
        SEES("new page", 2);
        wcr4(rcr4() ^ CR4_PSE);
    }
    test("CR4.PGE drops all translations, global ones too", "vol. 3 4.10.4.1");
    wcr4(rcr4() | CR4_PGE);
    for (unsigned k = 0; k < 2; k++) {
        window_reset();
        wpte_set(0, P | PW | PU | PG);
        frame[0][8] = 1;
        frame[1][8] = 2;
        (void)W8(WINDOW + 8);
        SWAP(PG);
        wcr4(k ? rcr4() & ~(ul)CR4_PGE : rcr4() & ~(ul)CR4_PGE);
        SEES("new page", 2);
        set_entry(wpte(0), (u32)frame[0] | P | PW | PU | PG);
        wcr4(rcr4() | CR4_PGE);
        SEES("new page by setting PGE", 1);
    }
    test("INVLPG drops global pages", "vol. 3 4.10.4.1");
    wpte_set(0, P | PW | PU | PG);
    SEES("page", 1);
    SWAP(PG);
    invlpg(WINDOW);
    SEES("new page", 2);
    test("MOV CR3 drops pages that are not global", "vol. 3 4.10.2.4");
    window_reset();
    frame[0][8] = 1;
    frame[1][8] = 2;
    SEES("page", 1);
    SWAP(0);
    wcr3(cr3);
    SEES("new page", 2);
    test("G without PGE is no more than a bit", "vol. 3 4.10.2.4");
    wcr4(rcr4() & ~(ul)CR4_PGE);
    wpte_set(0, P | PW | PU | PG);
    SEES("page", 1);
    SWAP(PG);
    wcr3(cr3);
    SEES("new page", 2);
    test("G in a directory entry that refers to a table is ignored", "vol. 3 4.10.2.4");
    wcr4(rcr4() | CR4_PGE);
    window_reset();
    frame[0][8] = 1;
    frame[1][8] = 2;
    wpde_set(P | PW | PU | PG);
    SEES("page", 1);
    SWAP(0);
    wcr3(cr3);
    SEES("new page", 2);
    wcr4(rcr4() & ~(ul)CR4_PGE);
    test("what was absent is not cached", "vol. 3 4.10.2.3");
    window_reset();
    wpte_set(2, 0);
    one(0, READ, WINDOW + 0x2000, 0);
    set_entry(wpte(2), (u32)frame[2] | P | PW | PU);
    one(0, READ, WINDOW + 0x2000, NO_ERR);
    wpde_set(PW | PU);
    one(0, READ, WINDOW + 0x2000, 0);
    set_entry(pde(WINDOW), entry(pde(WINDOW)) | P);
    one(0, READ, WINDOW + 0x2000, NO_ERR);
    test("more rights: at the latest after one fault", "vol. 3 4.10.4.3");
    window_reset();
    wpte_set(0, P);
    (void)W8(WINDOW);
    set_entry(wpte(0), (u32)frame[0] | P | PW | PU);
    r = ring(3, wr);
    r.bx = WINDOW;
    run(&r);
    if (ev.vec == PF) run(&r);
    EQ("vector", ev.vec, END_VEC);
    test("WP counts at once", "vol. 3 4.6.1");
    window_reset();
    wpte_set(0, P | PU);
    one(0, WRITE, WINDOW, NO_ERR);
    wcr0(rcr0() | CR0_WP);
    one(0, WRITE, WINDOW, E_P | E_W);
    wcr0(rcr0() & ~(ul)CR0_WP);
    one(0, WRITE, WINDOW, NO_ERR);
    test("a supervisor's translation does not let the user in", "vol. 3 4.6.1");
    window_reset();
    wpte_set(0, P | PW);
    one(0, WRITE, WINDOW, NO_ERR);
    one(3, READ, WINDOW, E_P | E_U);
    one(0, READ, WINDOW, NO_ERR);
    test("a user's write after the supervisor's on a read-only page", "vol. 3 4.6.1");
    wpte_set(0, P | PU);
    one(0, WRITE, WINDOW, NO_ERR);
    one(3, WRITE, WINDOW, E_P | E_W | E_U);
    one(3, READ, WINDOW, NO_ERR);
    test("fetches follow INVLPG and MOV CR3", "vol. 3 4.10.4.1");
    window_reset();
    W32((u32)frame[0] + 0x40) = 0x20cd40; // inc %eax; int 20h
    W32((u32)frame[1] + 0x40) = 0x20cd48; // dec %eax
    r = ring(0, go);
    r.bx = WINDOW + 0x40;
    r.ax = 5;
    run(&r);
    EQ("first page", ev.r.ax, 0x6);
    SWAP(0);
    invlpg(WINDOW);
    run(&r);
    EQ("second page", ev.r.ax, 4);
    set_entry(wpte(0), (u32)frame[0] | P | PW | PU);
    wcr3(cr3);
    run(&r);
    EQ("first page again", ev.r.ax, 6);
    test("INVLPG of an address without translation", "vol. 2 INVLPG");
    r = ring(0, do_invlpg);
    r.bx = 0x7fff0000;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    r = ring(3, do_invlpg);
    run(&r);
    event_is(GP, 0, do_invlpg);
    test("accessed again after the bits were cleared", "vol. 3 4.8");
    window_reset();
    W8(WINDOW) = 1;
    BITS("A and D", entry(wpte(0)), PA | PD, PA | PD);
    wpte_set(0, P | PW | PU);
    W8(WINDOW) = 1;
    BITS("A and D", entry(wpte(0)), PA | PD, PA | PD);
    wpte_set(0, P | PW | PU);
    (void)W8(WINDOW);
    BITS("A only", entry(wpte(0)), PA, PA | PD);
    window_reset();
}

void test_main(void)
{
    for (unsigned k = 0; k < 2; k++) {
        begin(k);
        rights();
        crossing();
        stale();
        if (!k) {
            dirty();
            implicit();
        }
        end();
    }
}
