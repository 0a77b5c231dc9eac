// SPDX-License-Identifier: MIT
// String instructions that stop half-way: at page borders and segment limits, in both directions and address sizes, by
// interrupts; wraps of their pointers. SDM vol. 1 7.3.9, vol. 2 REP, MOVS, CMPS, SCAS, LODS, STOS, INS, OUTS.
#include "tests/insn/sys/window.h"

// clang-format off: two declarations each
#define S(n)                                                                                                           \
    CODE(n##_32, "rep " #n);                                                                                           \
    CODE(n##_16, "addr16 rep " #n)
#define SE(n)                                                                                                          \
    CODE(n##_32, "repe " #n);                                                                                          \
    CODE(n##_16, "addr16 repe " #n)
S(movsb);
S(movsw);
S(movsl);
S(stosb);
S(stosw);
S(stosl);
S(lodsb);
S(lodsw);
S(lodsl);
SE(cmpsb);
SE(cmpsw);
SE(cmpsl);
SE(scasb);
SE(scasw);
SE(scasl);
S(insb);
S(insw);
S(insl);
S(outsb);
S(outsw);
S(outsl);
// clang-format on
CODE(movsb_ss, "rep movsb %ss:(%esi),%es:(%edi)");
CODE(movsb_fs, "rep movsb %fs:(%esi),%es:(%edi)");
CODE(repne_scasb, "repne scasb");
CODE(repne_cmpsb, "repne cmpsb");
CODE(one_movsl, "movsl");
CODE(one_stosl, "stosl");

struct op {
    const char *name;
    const u8 *code[2]; // 32-bit, 16-bit addresses
    u32 size;
    bool src, dst, store; // which of ESI, EDI it uses; EDI is written
};
static const struct op ops[] = {
#define O(n, size, src, dst, store)                                                                                    \
    {                                                                                                                  \
#n, {n##_32, n##_16 }, size, src, dst, store                                                                   \
    }
    O(movsb, 1, 1, 1, 1), O(movsw, 2, 1, 1, 1), O(movsl, 4, 1, 1, 1), O(stosb, 1, 0, 1, 1), O(stosw, 2, 0, 1, 1),
    O(stosl, 4, 0, 1, 1), O(lodsb, 1, 1, 0, 0), O(lodsw, 2, 1, 0, 0), O(lodsl, 4, 1, 0, 0), O(cmpsb, 1, 1, 1, 0),
    O(cmpsw, 2, 1, 1, 0), O(cmpsl, 4, 1, 1, 0), O(scasb, 1, 0, 1, 0), O(scasw, 2, 0, 1, 0), O(scasl, 4, 0, 1, 0),
    O(insb, 1, 0, 1, 1),  O(insw, 2, 0, 1, 1),  O(insl, 4, 0, 1, 1),  O(outsb, 1, 1, 0, 0), O(outsw, 2, 1, 0, 0),
    O(outsl, 4, 1, 0, 0),
#undef O
};
static bool compares(const struct op *o) { return o->name[0] == 'c' || (o->name[0] == 's' && o->name[1] == 'c'); }

enum { COUNT = 8, GOOD = 5, OTHER = 0x2800 }; // elements; those before the border; where the other operand lies
struct way {
    bool a16, down, dst, skew; // dst: EDI's page is the one that faults; skew: an element lies across the border
    u64 rights;                // of the page that faults
    u32 err;
    bool flags; // looked at
};

// The pointers at the start and the step; upper halves must survive 16-bit addressing.
static struct regs string_regs(const struct op *o, const struct way *w, u32 *at)
{
    struct regs r = ring(0, o->code[w->a16]);
    u32 size = o->size, high = w->a16 ? 0xdead0000 : WINDOW, skew = w->skew ? size - 1 : 0;
    // up: the elements before the border end at it; down: page 1 is good and page 0 is not
    *at = w->down ? 0x1000 + (GOOD - 1) * size - skew : 0x1000 - GOOD * size + skew;
    r.si = high | (w->dst ? OTHER : *at);
    r.di = high | (w->dst ? *at : OTHER);
    r.cx = w->a16 ? 0xbeef0000 | COUNT : COUNT;
    r.ax = 0x44444444;
    r.dx = 0x80;
    r.flags |= (w->down ? F_DF : 0) | F_CF | F_OF | F_SF;
    if (w->a16) r.ds = r.es = SPARE;
    return r;
}
static void fill(const struct op *o)
{
    for (u32 i = 0; i < sizeof frame; i++) ((u8 *)frame)[i] = compares(o) ? 0x44 : i * 7 + (i >> 8);
}
static u8 byte_at(u32 off) { return frame[off >> 12 & 3][off & 0xfff]; }

static void border(const struct op *o, const struct way *w)
{
    u32 at, size = o->size, good = GOOD - w->skew, bad = w->down ? 0 : 1;
    int step = w->down ? -(int)size : (int)size;
    window_reset();
    set_desc(SPARE, descriptor(WINDOW, 0xffff, 0x4093));
    fill(o);
    wpte_set(bad, w->rights);
    if (w->rights & P) wcr0(rcr0() | CR0_WP);
    struct regs r = string_regs(o, w, &at), s;
    run(&r);
    wcr0(rcr0() & ~(ul)CR0_WP);
    event_is(PF, w->err | (w->dst && o->store ? E_W : 0), o->code[w->a16]);
    u32 first = at + good * step; // the element that faulted
    u32 cr2 = first;
    if (w->skew && !w->down) cr2 = 0x1000; // its second part
    EQ("cr2", ev.cr2, WINDOW + cr2);
    EQ("ecx", ev.r.cx, r.cx - good);
    EQ("esi", ev.r.si, o->src ? r.si + good * step : r.si);
    EQ("edi", ev.r.di, o->dst ? r.di + good * step : r.di);
    if (w->flags) BITS("flags as before", ev.r.flags, r.flags, F_CF | F_OF | F_SF | F_ZF | F_DF);
    wpte_set(bad, P | PW | PU); // and on
    s = r;
    s.ax = ev.r.ax;
    s.cx = ev.r.cx;
    s.si = ev.r.si;
    s.di = ev.r.di;
    run(&s);
    ends();
    EQ("ecx at the end", ev.r.cx, r.cx - COUNT);
    EQ("esi at the end", ev.r.si, o->src ? r.si + COUNT * step : r.si);
    EQ("edi at the end", ev.r.di, o->dst ? r.di + COUNT * step : r.di);
    if (compares(o)) BITS("flags", ev.r.flags, F_ZF, F_CF | F_OF | F_SF | F_ZF);
    if (o->store && o->name[0] != 'i') {
        bool same = true;
        for (u32 e = 0; e < COUNT; e++)
            for (u32 b = 0; b < size; b++) {
                u32 d = (r.di & 0xffff & (WINDOW - 1)) + e * step + b, f = (r.si & 0xffff) + e * step + b;
                same &= byte_at(d) == (o->src ? byte_at(f) : 0x44);
            }
        EQ("memory", same, 1);
    }
    if (o->name[0] == 'l') {
        u32 want = 0;
        for (u32 b = 0; b < size; b++) want |= byte_at(at + (COUNT - 1) * step + b) << 8 * b;
        BITS("eax", ev.r.ax, want | (0x44444444 & ~(size == 4 ? ~0u : (1u << 8 * size) - 1)), ~0u);
    }
}

static void borders(void)
{
    static const struct {
        const char *name;
        struct way way;
    } ways[] = {
        {"up", {0, 0, 0, 0, 0, 0}},
        {"down", {0, 1, 0, 0, 0, 0}},
        {"up, 16-bit addresses", {1, 0, 0, 0, 0, 0}},
        {"down, 16-bit addresses", {1, 1, 0, 0, 0, 0}},
        {"up, an element across", {0, 0, 0, 1, 0, 0}},
        {"down, an element across", {0, 1, 0, 1, 0, 0}},
    };
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
        for (unsigned k = 0; k < ARRAY_LEN(ways); k++) {
            struct way w = ways[k].way;
            if (w.skew && ops[i].size == 1) continue;
            if (ops[i].src) {
                test2(ops[i].name, ways[k].name, "vol. 1 7.3.9.2, vol. 2 REP");
                border(&ops[i], &w);
            }
            if (!ops[i].dst) continue;
            w.dst = true;
            char nm[48] = "destination, ";
            unsigned n = 13;
            for (const char *s = ways[k].name; *s; s++) nm[n++] = *s;
            nm[n] = 0;
            test2(ops[i].name, nm, "vol. 1 7.3.9.2, vol. 2 REP");
            border(&ops[i], &w);
            if (!ops[i].store) continue;
            w.rights = P;
            w.err = E_P;
            border(&ops[i], &w);
        }
}

// "The EFLAGS value is restored to the state prior to the execution of the instruction" (vol. 2 REP).
static void flags_at_faults(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
        for (unsigned k = 0; k < 2 && compares(&ops[i]); k++) {
            struct way w = {.down = k, .dst = true, .flags = true};
            test2("flags at the fault,", ops[i].name, "vol. 2 REP");
            border(&ops[i], &w);
        }
}

static void at_ends(void)
{
    struct regs r;
    test("count 0 touches nothing", "vol. 2 REP");
    window_reset();
    wpte_set(0, 0);
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
        for (unsigned a16 = 0; a16 < 2; a16++) {
            r = ring(0, ops[i].code[a16]);
            r.cx = a16 ? 0x10000 : 0;
            r.si = r.di = WINDOW;
            r.ds = r.es = a16 ? 0 : K_DS;
            r.dx = 0x80;
            r.ax = 0x1234;
            r.flags |= F_CF | F_ZF | F_OF;
            run(&r);
            ends();
            EQ("registers", ev.r.si == WINDOW && ev.r.di == WINDOW && ev.r.cx == r.cx && ev.r.ax == 0x1234, 1);
            BITS("flags", ev.r.flags, F_CF | F_ZF | F_OF, F_CF | F_ZF | F_OF | F_SF);
        }
    test("ends with the last byte of the page", "vol. 2 REP");
    window_reset();
    wpte_set(1, 0);
    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        if (ops[i].name[0] == 'i' || ops[i].name[0] == 'o') continue;
        memset(frame[0], 0x44, 4096);
        r = ring(0, ops[i].code[0]);
        r.cx = 4;
        r.si = r.di = WINDOW + 0x1000 - 4 * ops[i].size;
        r.ax = 0x44444444;
        run(&r);
        ends();
        EQ("ecx", ev.r.cx, 0);
    }
    test("REPE CMPSB ends before the border by a difference", "vol. 2 REP");
    memset(frame[0], 0x44, 4096);
    memset(frame[2], 0x44, 4096);
    frame[0][0xfff] = 0x43;
    r = ring(0, cmpsb_32);
    r.cx = 100;
    r.si = WINDOW + 0xff0;
    r.di = WINDOW + 0x2000;
    run(&r);
    ends();
    EQ("ecx", ev.r.cx, 84);
    EQ("esi", ev.r.si, WINDOW + 0x1000);
    BITS("flags", ev.r.flags, F_CF | F_SF | F_AF | F_PF, F_CF | F_SF | F_AF | F_PF | F_ZF | F_OF);
    test("REPNE SCASB ends before the border", "vol. 2 REP");
    r = ring(0, repne_scasb);
    r.cx = 100;
    r.di = WINDOW + 0xff0;
    r.ax = 0x43;
    run(&r);
    ends();
    EQ("ecx", ev.r.cx, 84);
    BITS("ZF", ev.r.flags, F_ZF, F_ZF);
    r.ax = 0x42;
    run(&r);
    event_is(PF, 0, repne_scasb);
    EQ("ecx", ev.r.cx, 84);
    EQ("edi", ev.r.di, WINDOW + 0x1000);
    test("MOVS, both pages absent: the source's comes first", "vol. 2 MOVS");
    wpte_set(0, 0);
    wpte_set(2, 0);
    r = ring(0, movsl_32);
    r.cx = 4;
    r.si = WINDOW + 0x10;
    r.di = WINDOW + 0x2010;
    run(&r);
    event_is(PF, 0, movsl_32);
    EQ("cr2", ev.cr2, WINDOW + 0x10);
    test("MOVS without REP", "vol. 2 MOVS");
    window_reset();
    wpte_set(2, 0);
    r = ring(0, one_movsl);
    r.si = WINDOW + 0x10;
    r.di = WINDOW + 0x2010;
    r.cx = 77;
    run(&r);
    event_is(PF, E_W, one_movsl);
    EQ("esi", ev.r.si, r.si);
    EQ("edi", ev.r.di, r.di);
    EQ("ecx", ev.r.cx, 77);
    test("STOS across a page that is read-only writes nothing", "vol. 3 4.7");
    window_reset();
    wcr0(rcr0() | CR0_WP);
    wpte_set(1, P | PU);
    r = ring(0, one_stosl);
    r.di = WINDOW + 0xffd;
    r.ax = ~0u;
    run(&r);
    wcr0(rcr0() & ~(ul)CR0_WP);
    event_is(PF, E_P | E_W, one_stosl);
    EQ("memory", frame[0][0xffd] | frame[0][0xfff] | frame[1][0], 0);
    test("overlapping MOVSB spreads a byte over three pages", "vol. 2 MOVS");
    window_reset();
    frame[0][0x800] = 0xa5;
    r = ring(0, movsb_32);
    r.si = WINDOW + 0x800;
    r.di = WINDOW + 0x801;
    r.cx = 0x2400;
    run(&r);
    ends();
    EQ("first", frame[0][0x801], 0xa5);
    EQ("border", frame[0][0xfff] << 8 | frame[1][0], 0xa5a5);
    EQ("last", frame[2][0xc00], 0xa5);
    EQ("behind", frame[2][0xc01], 0);
    test("overlapping MOVSL upwards by 2", "vol. 2 MOVS");
    window_reset();
    W32((u32)frame[0] + 0xff0) = 0x04030201;
    r = ring(0, movsl_32);
    r.si = WINDOW + 0xff0;
    r.di = WINDOW + 0xff2;
    r.cx = 8;
    run(&r);
    ends();
    static const u8 want[12] = {1, 2, 1, 2, 3, 4, 3, 4, 0, 0, 0, 0}; // a dword at a time: 0403 is copied on, then zeros
    for (u32 i = 0; i < 12; i++) EQ("pattern", byte_at(0xff0 + i), want[i]);
    test("overlapping MOVSB downwards", "vol. 2 MOVS");
    window_reset();
    for (u32 i = 0; i < 32; i++) frame[0][0xff0 + (i & 15)] = i & 15;
    r = ring(0, movsb_32);
    r.si = WINDOW + 0xfff;
    r.di = WINDOW + 0x1003;
    r.cx = 16;
    r.flags |= F_DF;
    run(&r);
    EQ("memory", byte_at(0xff4) << 24 | byte_at(0xfff) << 16 | byte_at(0x1000) << 8 | byte_at(0x1003), 0x000b0c0f);
    EQ("edi", ev.r.di, WINDOW + 0xff3);
    window_reset();
}

// INS reads the port only when the destination can be written.
static void io(void)
{
    test("INS into an absent page does not read the port", "vol. 2 INS");
    window_reset();
    for (u32 i = 0; i < 1000 && inb(0x64) & 1; i++) (void)inb(0x60);
    while (inb(0x64) & 2) {
    }
    outb(0x64, 0xd2); // puts a byte into the keyboard's output buffer
    while (inb(0x64) & 2) {
    }
    outb(0x60, 0x5a);
    for (u32 i = 0; i < 100000 && !(inb(0x64) & 1); i++) {
    }
    wpte_set(0, 0);
    struct regs r = ring(0, insb_32);
    r.di = WINDOW + 0x10;
    r.cx = 1;
    r.dx = 0x60;
    run(&r);
    event_is(PF, E_W, insb_32);
    EQ("the byte waits", inb(0x64) & 1, 1);
    wpte_set(0, P | PW | PU);
    run(&r);
    ends();
    EQ("read", frame[0][0x10], 0x5a);
    EQ("taken", inb(0x64) & 1, 0);
}

// ---- segment limits

static void limits(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u32 access, limit, si, di, cx;
        u32 vec, left; // elements left; SPARE is the segment of both, or by the prefix
        bool down, ds, es, ss, fs;
    } t[] = {
        {"MOVSB over the source's limit", movsb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 1, 0},
        {"MOVSB over the destination's limit", movsb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 0, 1},
        {"MOVSL over the source's limit", movsl_32, 0x4093, 0x11, 0, 0, 32, GP, 28, 0, 1, 0},
        {"STOSL over the limit", stosl_32, 0x4093, 0x12, 0, 0, 32, GP, 28, 0, 0, 1},
        {"STOSL at the limit", stosl_32, 0x4093, 0x7f, 0, 0, 32, END_VEC, 0, 0, 0, 1},
        {"LODSW over the limit", lodsw_32, 0x4093, 0x10, 0, 0, 32, GP, 24, 0, 1, 0},
        {"LODSB downwards from 3", lodsb_32, 0x4093, 0x10, 3, 0, 32, GP, 28, 1, 1, 0},
        {"SCASB over the limit", scasb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 0, 1},
        {"CMPSB over the limit", cmpsb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 0, 1},
        {"STOSB into a read-only segment", stosb_32, 0x4091, 0xff, 0, 0, 4, GP, 4, 0, 0, 1},
        {"MOVSB from a read-only segment", movsb_32, 0x4091, 0xff, 0, 0, 4, END_VEC, 0, 0, 1, 0},
        {"MOVSB from execute-only code", movsb_fs, 0x4099, 0xff, 0, 0, 4, 0, 4, 0, 0, 0, 0, 1},
        {"STOSB down an expand-down segment", stosb_32, 0x4097, 0xf, 0, 0x1f, 32, GP, 16, 1, 0, 1},
        {"LODSB down an expand-down segment", lodsb_32, 0x4097, 0xf, 0x13, 0, 32, GP, 28, 1, 1, 0},
        {"MOVSB, SS by prefix", movsb_ss, 0x4093, 0xf, 0, 0, 32, SS, 16, 0, 0, 0, 1},
        {"MOVSB, FS by prefix", movsb_fs, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 0, 0, 0, 1},
        {"INSB over the limit", insb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 0, 1},
        {"OUTSB over the limit", outsb_32, 0x4093, 0xf, 0, 0, 32, GP, 16, 0, 1, 0},
        {"OUTSL over the limit", outsl_32, 0x4093, 0xe, 0, 0, 32, GP, 29, 0, 1, 0},
        {"16-bit STOSW over the limit", stosw_16, 0x4093, 0xe, 0, 0xabcd0000, 0x10008, GP, 0x10001, 0, 0, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        if (!t[i].vec) continue; // such a selector does not load
        test(t[i].name, "vol. 3 5.3, vol. 2 REP");
        window_reset();
        bool inner = t[i].ss; // the handler has this stack: it grows below the limit, from where ESP stands
        set_desc(SPARE, descriptor(WINDOW, t[i].limit, t[i].access));
        struct regs r = ring(0, t[i].code);
        r.si = t[i].ds || t[i].ss || t[i].fs ? t[i].si : WINDOW + 0x1000;
        r.di = t[i].es ? t[i].di : WINDOW + 0x2000;
        r.cx = t[i].cx;
        r.dx = 0x80;
        if (t[i].ds) r.ds = SPARE;
        if (t[i].es) r.es = SPARE;
        if (t[i].fs) r.fs = SPARE;
        if (t[i].down) r.flags |= F_DF;
        if (inner) { // from ring 3, so that the handler's stack is another one
            set_desc(SPARE, descriptor(WINDOW, t[i].limit, t[i].access | 0x60));
            r = ring(3, t[i].code);
            r.si = t[i].si;
            r.di = WINDOW + 0x2000;
            r.cx = t[i].cx;
            r.ss = SPARE | 3;
            r.sp = 0x10;
        }
        run(&r);
        if (t[i].vec == END_VEC) {
            ends();
            EQ("ecx", ev.r.cx, 0);
            continue;
        }
        event_is(t[i].vec, 0, t[i].code);
        EQ("ecx", ev.r.cx, t[i].left);
    }
    test("null segments", "vol. 3 3.4.2");
    struct regs r = ring(0, movsb_32);
    r.si = r.di = WINDOW;
    r.cx = 3;
    r.es = 0;
    run(&r);
    event_is(GP, 0, movsb_32);
    EQ("ecx", ev.r.cx, 3);
    EQ("esi", ev.r.si, WINDOW);
    reset_tables();
}

// ---- wraps of the pointers

static u8 big[0x12000] PAGE_ALIGNED;
static void wraps(void)
{
    struct regs r;
    set_desc(SPARE, descriptor((u32)big + 16, 0xfffff, 0xc093));
    for (u32 i = 0; i < sizeof big; i++) big[i] = 0;
    test("SI wraps at 64 KB, its upper half stays", "vol. 1 3.3.5, 7.3.9.1");
    W16((u32)big + 16 + 0xfffe) = 0x1111;
    W16((u32)big + 16) = 0x2222;
    W16((u32)big + 18) = 0x3333;
    r = ring(0, movsw_16);
    r.ds = r.es = SPARE;
    r.si = 0x1234fffe;
    r.di = 0x56780100;
    r.cx = 0xabcd0003;
    run(&r);
    ends();
    EQ("esi", ev.r.si, 0x12340004);
    EQ("edi", ev.r.di, 0x56780106);
    EQ("ecx", ev.r.cx, 0xabcd0000);
    EQ("copied", W32((u32)big + 16 + 0x100), 0x22221111);
    EQ("copied", W16((u32)big + 16 + 0x104), 0x3333);
    test("DI wraps at 64 KB", "vol. 1 3.3.5");
    r = ring(0, stosl_16);
    r.es = SPARE;
    r.di = 0x5678fff8;
    r.cx = 4;
    r.ax = 0x99887766;
    run(&r);
    ends();
    EQ("edi", ev.r.di, 0x56780008);
    EQ("stored", W32((u32)big + 16 + 0xfffc), 0x99887766);
    EQ("stored", W32((u32)big + 16 + 4), 0x99887766);
    EQ("not above 64 KB", W32((u32)big + 16 + 0x10000), 0);
    test("SI wraps downwards", "vol. 1 3.3.5");
    r = ring(0, lodsb_16);
    r.ds = SPARE;
    r.si = 0x12340001;
    r.cx = 3;
    r.flags |= F_DF;
    big[16 + 0xffff] = 0x5c;
    run(&r);
    ends();
    EQ("esi", ev.r.si, 0x1234fffe);
    BITS("al", ev.r.ax, 0x5c, 0xff);
    test("an element across 64 KB is not split", "vol. 1 3.3.5");
    W32((u32)big + 16 + 0xfffe) = 0x44332211;
    r = ring(0, lodsl_16);
    r.ds = SPARE;
    r.si = 0xfffe;
    r.cx = 1;
    run(&r);
    ends();
    EQ("eax", ev.r.ax, 0x44332211);
    EQ("esi", ev.r.si, 2);
    test("CX counts 64 K at most", "vol. 2 REP");
    r = ring(0, lodsb_16);
    r.ds = SPARE;
    r.cx = 0x1ffff;
    run(&r);
    ends();
    EQ("ecx", ev.r.cx, 0x10000);
    EQ("esi", ev.r.si, 0xffff);
    test("ESI and EDI wrap at 4 GB", "vol. 1 3.3.5");
    for (u32 i = 0; i < 32; i++) big[i] = i + 1;
    r = ring(0, movsl_32);
    r.ds = r.es = SPARE;
    r.si = 0xfffffff8;
    r.di = 0x100;
    r.cx = 4;
    run(&r);
    ends();
    EQ("esi", ev.r.si, 8);
    EQ("first", W32((u32)big + 16 + 0x100), W32((u32)big + 8));
    EQ("last", W32((u32)big + 16 + 0x10c), W32((u32)big + 20));
    r = ring(0, stosb_32);
    r.es = SPARE;
    r.di = 0xfffffffe;
    r.cx = 4;
    r.ax = 0xee;
    run(&r);
    ends();
    EQ("edi", ev.r.di, 2);
    EQ("stored", W32((u32)big + 14), 0xeeeeeeee);
    test("EDI wraps downwards", "vol. 1 3.3.5");
    r = ring(0, stosl_32);
    r.es = SPARE;
    r.di = 4;
    r.cx = 4;
    r.ax = 0x10203040;
    r.flags |= F_DF;
    run(&r);
    ends();
    EQ("edi", ev.r.di, 0xfffffff4);
    EQ("stored", W32((u32)big + 8), 0x10203040);
    reset_tables();
}

// ---- interrupts between repetitions

static void interrupted(void)
{
    enum { LONG = 0x400000 }; // some milliseconds: the window's frames over and over
    static const struct {
        const char *name;
        const u8 *code;
    } t[] = {{"LODSB", lodsb_32}, {"MOVSB", movsb_32}, {"STOSL", stosl_32}, {"SCASB", scasb_32}};
    outb(0x20, 0x11);
    outb(0x21, 0x30);
    outb(0x21, 4);
    outb(0x21, 1);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test2("timer interrupt in REP", t[i].name, "vol. 1 7.3.9.2, vol. 3 6.6");
        window_reset();
        for (u32 k = PAGES; k < LONG >> 12; k++) set_entry(wpte(k), (u32)frame[k % PAGES] | P | PW | PU);
        struct regs r = ring(0, t[i].code);
        u32 ints = 0, size = t[i].code == stosl_32 ? 4 : 1;
        bool src = t[i].code == lodsb_32 || t[i].code == movsb_32, dst = t[i].code != lodsb_32, right = true;
        for (unsigned tries = 0; tries < 60 && !ints; tries++) {
            r = ring(0, t[i].code);
            r.cx = LONG / size;
            r.si = r.di = WINDOW;
            r.flags |= F_IF;
            outb(0x43, 0x30);
            outb(0x40, 40 * (1 + tries)); // 34 us and more
            outb(0x40, 40 * (1 + tries) >> 8);
            outb(0x21, 0xfe);
            run(&r);
            outb(0x21, 0xff);
            if (ev.vec != 0x30) {
                asm_("pushf; sti; nop; nop; cli; popf");
                continue;
            }
            outb(0x20, 0x20);
            if (frame32(0) != (u32)t[i].code) continue; // before it or behind it
            u32 done = LONG / size - ev.r.cx;
            if (!ev.r.cx || !done) continue;
            ints++;
            right &= ev.r.si == WINDOW + (src ? done * size : 0) && ev.r.di == WINDOW + (dst ? done * size : 0);
            struct regs s = r;
            s.flags = F_1;
            s.ax = ev.r.ax;
            s.cx = ev.r.cx;
            s.si = ev.r.si;
            s.di = ev.r.di;
            run(&s);
            ends();
            EQ("ecx", ev.r.cx, 0);
        }
        EQ("interrupted", ints, 1);
        EQ("registers tell how far it was", right, 1);
    }
    outb(0x21, 0xff);
}

void test_main(void)
{
    begin(false);
    borders();
    flags_at_faults();
    at_ends();
    io();
    limits();
    interrupted();
    end();
    wraps();
}
