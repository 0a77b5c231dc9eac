// SPDX-License-Identifier: MIT
// Instruction fetch: across pages with the second one absent, forbidden or exchanged; what is not fetched; the limit of
// 15 bytes; the ends of 64 KB segments and of the address space. SDM vol. 3 4.7, 5.3, 6.15; vol. 2 2.3.11.
#include "tests/insn/sys/window.h"

static void put(u32 off, const u8 *bytes, u32 n)
{
    for (u32 i = 0; i < n; i++) frame[(off + i) >> 12 & 3][(off + i) & 0xfff] = bytes[i];
}
static void put_end(u32 off) { put(off, (const u8[]){0xcd, END_VEC}, 2); }
static struct regs at(unsigned cpl, u32 off)
{
    struct regs r = ring(cpl, (void *)(ul)(WINDOW + off));
    r.ax = 0x01010101;
    r.bx = WINDOW + 0x2000;
    return r;
}

// Each of these sets EAX to `ax`; EBX is the third page.
static const struct insn_bytes {
    const char *name;
    u32 n, ax;
    u8 b[15];
} insns[] = {
    {"MOV imm32", 5, 0x44332211, {0xb8, 0x11, 0x22, 0x33, 0x44}},
    {"MOV imm16", 4, 0x01012211, {0x66, 0xb8, 0x11, 0x22}},
    {"MOVZX", 3, 1, {0x0f, 0xb6, 0xc0}},
    {"MOV moffs", 5, 0x55667788, {0xa1, 0x00, 0x20, 0x00, 0x40}},
    {"MOV disp32", 6, 0x55667788, {0x8b, 0x83, 0, 0, 0, 0}},
    {"ADD disp8, SIB", 4, 0x5667789 + 0x51000000, {0x03, 0x44, 0x23, 0x00}},
    {"IMUL imm32", 6, 0x10101010, {0x69, 0xc0, 0x10, 0, 0, 0}},
    {"CALL and POP", 6, WINDOW, {0xe8, 0, 0, 0, 0, 0x58}},
    {"15 bytes",
     15,
     0x02020202,
     {0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x01, 0xc0}},
};

static void prepare(const struct insn_bytes *i, u32 start)
{
    window_reset();
    put(start, i->b, i->n);
    put_end(start + i->n);
    W32((u32)frame[2]) = 0x55667788;
}
static void does(const struct insn_bytes *i, struct regs *r, u32 start, u32 ax)
{
    run(r);
    ends();
    u32 want = i->b[0] == 0xe8 ? WINDOW + start + 5 : i->b[0] == 0x03 ? 0x56677889 : ax;
    EQ("eax", ev.r.ax, want);
    EQ("at", ev.r.ip, WINDOW + start + i->n + 2);
}

static void across(void)
{
    for (unsigned k = 0; k < ARRAY_LEN(insns); k++) {
        const struct insn_bytes *i = &insns[k];
        u32 first = i->b[0] == 0xe8 ? 5 : i->n; // bytes of the first instruction
        test2("both pages there,", i->name, "vol. 3 4.2");
        for (u32 s = 1; s < first; s++) {
            prepare(i, 0x1000 - s);
            struct regs r = at(3, 0x1000 - s);
            does(i, &r, 0x1000 - s, i->ax);
            BITS("A of the first entry", entry(wpte(0)), PA, PA | PD);
            BITS("A of the second entry", entry(wpte(1)), PA, PA | PD);
        }
        static const struct {
            const char *name;
            u64 rights[2];
            u32 err, cpl;
            bool first; // is reported
        } f[] = {
            {"second page absent,", {P | PW | PU, 0}, E_U, 3, 0},
            {"second page absent, ring 0,", {P | PW | PU, 0}, 0, 0, 0},
            {"first page absent,", {0, P | PW | PU}, E_U, 3, 1},
            {"both absent,", {0, 0}, E_U, 3, 1},
            {"second page the supervisor's,", {P | PW | PU, P | PW}, E_P | E_U, 3, 0},
            {"second page NX,", {P | PW | PU, P | PW | PU | E_NX}, E_P | E_U | E_I, 3, 0},
        };
        for (unsigned m = 0; m < ARRAY_LEN(f); m++) {
            if (f[m].rights[1] & E_NX && !(pae && rdmsr(EFER) & NXE)) continue;
            test2(f[m].name, i->name, "vol. 3 4.7");
            u32 told = pae && rdmsr(EFER) & NXE ? E_I : 0;
            for (u32 s = 1; s < first; s++) {
                u32 start = 0x1000 - s;
                prepare(i, start);
                wpte_set(0, f[m].rights[0]);
                wpte_set(1, f[m].rights[1]);
                struct regs r = at(f[m].cpl, start);
                run(&r);
                event_is(PF, f[m].err | told, (void *)(ul)(WINDOW + start));
                EQ("cr2", ev.cr2, WINDOW + (f[m].first ? start : 0x1000));
                EQ("eax as before", ev.r.ax, 0x01010101);
                wpte_set(0, P | PW | PU);
                wpte_set(1, P | PW | PU);
                does(i, &r, start, i->ax);
                wpte_set(1, f[m].rights[1]); // and again, now that its code is known
                wpte_set(0, f[m].rights[0]);
                run(&r);
                event_is(PF, f[m].err | told, (void *)(ul)(WINDOW + start));
                EQ("cr2", ev.cr2, WINDOW + (f[m].first ? start : 0x1000));
            }
        }
    }
    test("second page exchanged", "vol. 3 4.10.4.1");
    for (u32 s = 1; s < 5; s++)
        for (unsigned how = 0; how < 3; how++) {
            u32 start = 0x1000 - s;
            prepare(&insns[0], start);
            for (u32 b = 0; b < 5 - s; b++) frame[3][b] = 0x99; // the rest of the immediate, elsewhere
            memcpy(frame[3] + 5 - s, (const u8[]){0xcd, END_VEC}, 2);
            struct regs r = at(3, start);
            does(&insns[0], &r, start, 0x44332211);
            u32 want = 0x44332211;
            for (u32 b = s - 1; b < 4; b++) want = (want & ~(0xffu << 8 * b)) | 0x99u << 8 * b;
            if (how == 0) {
                set_entry(wpte(1), (u32)frame[3] | P | PW | PU);
                invlpg(WINDOW + 0x1000);
            } else if (how == 1) {
                set_entry(wpte(1), (u32)frame[3] | P | PW | PU);
                pages_flush();
            } else { // written by another address
                memcpy(frame[1], frame[3], 16);
            }
            does(&insns[0], &r, start, want);
            if (how == 2) continue;
            set_entry(wpte(1), (u32)frame[1] | P | PW | PU);
            invlpg(WINDOW + 0x1000);
            does(&insns[0], &r, start, 0x44332211);
        }
    test("first page exchanged", "vol. 3 4.10.4.1");
    for (u32 s = 1; s < 5; s++) {
        u32 start = 0x1000 - s;
        prepare(&insns[0], start);
        memcpy(frame[3], frame[0], 4096);
        frame[3][0xfff] = s == 1 ? 0x0d : 0x99; // OR EAX, imm32, or another immediate
        struct regs r = at(3, start);
        does(&insns[0], &r, start, 0x44332211);
        set_entry(wpte(0), (u32)frame[3] | P | PW | PU);
        invlpg(WINDOW);
        u32 b = s - 2, want = s == 1 ? 0x44332211 | 0x01010101 : (0x44332211 & ~(0xffu << 8 * b)) | 0x99u << 8 * b;
        does(&insns[0], &r, start, want);
    }
    window_reset();
}

// ---- what lies before a border does not need what is behind it

static void borders(void)
{
    static const struct {
        const char *name;
        u32 n;
        u8 b[15];              // ends with the page
        u32 vec, err, ip, cr2; // vec PF, ip: offsets in the window
    } t[] = {
        {"NOP", 1, {0x90}, PF, E_U, 0x1000, 0x1000},
        {"MOV imm32", 5, {0xb8, 1, 2, 3, 4}, PF, E_U, 0x1000, 0x1000},
        {"JMP rel8", 2, {0xeb, 0x80}, END_VEC},
        {"JMP rel32", 5, {0xe9, 0x80, 0xff, 0xff, 0xff}, END_VEC},
        {"Jcc, taken", 2, {0x73, 0x80}, END_VEC},
        {"Jcc, not taken", 2, {0x72, 0x80}, PF, E_U, 0x1000, 0x1000},
        {"JECXZ, taken", 2, {0xe3, 0x80}, END_VEC},
        {"RET", 1, {0xc3}, END_VEC},
        {"INT n", 2, {0xcd, END_VEC}, END_VEC},
        {"UD2", 2, {0x0f, 0x0b}, UD, NO_ERR, 0xffe},
        {"HLT", 1, {0xf4}, GP, 0, 0xfff},
        {"half of UD2", 1, {0x0f}, PF, E_U, 0xfff, 0x1000},
        {"a prefix", 1, {0x66}, PF, E_U, 0xfff, 0x1000},
        {"LOCK", 1, {0xf0}, PF, E_U, 0xfff, 0x1000},
        {"REP", 1, {0xf3}, PF, E_U, 0xfff, 0x1000},
        {"ModRM alone is missing", 1, {0x8b}, PF, E_U, 0xfff, 0x1000},
        {"SIB alone is missing", 2, {0x8b, 0x04}, PF, E_U, 0xffe, 0x1000},
        {"fetch comes before the operand", 3, {0xa1, 0, 0x80}, PF, E_U, 0xffd, 0x1000},
        {"14 prefixes",
         14,
         {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},
         PF,
         E_U,
         0xff2,
         0x1000},
        {"15 prefixes",
         15,
         {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66},
         GP,
         0,
         0xff1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test2("before an absent page,", t[i].name, "vol. 3 4.7, 6.15");
        window_reset();
        put(0x1000 - t[i].n, t[i].b, t[i].n);
        put_end(0xf80); // where the jumps go
        wpte_set(1, 0);
        struct regs r = at(3, 0x1000 - t[i].n);
        r.sp -= 4;
        W32(r.sp) = WINDOW + 0xf80;
        for (unsigned again = 0; again < 2; again++) {
            run(&r);
            if (t[i].vec == END_VEC) {
                ends();
                continue;
            }
            event_is(t[i].vec, t[i].err, (void *)(ul)(WINDOW + t[i].ip));
            if (t[i].vec == PF) EQ("cr2", ev.cr2, WINDOW + t[i].cr2);
        }
    }
    test("CALL to an absent page pushes first", "vol. 2 CALL");
    window_reset();
    put(0x100, (const u8[]){0xe8, 0xfb, 0x0e, 0, 0}, 5);
    wpte_set(1, 0);
    struct regs r = at(3, 0x100);
    run(&r);
    event_is(PF, E_U, (void *)WINDOW + 0x1000);
    EQ("esp", ev.r.sp, TOP(stack3) - 4);
    EQ("return address", W32(TOP(stack3) - 4), WINDOW + 0x105);
    test("a step over an instruction across pages", "vol. 3 17.3.1.4");
    wdr6(0xffff0ff0);
    prepare(&insns[0], 0xffe);
    wpte_set(1, 0);
    r = at(3, 0xffe);
    r.flags |= F_TF;
    run(&r);
    event_is(PF, E_U, (void *)WINDOW + 0xffe);
    BITS("no step", rdr6(), 0, 1 << 14);
    wpte_set(1, P | PW | PU);
    run(&r);
    event_is(DB, NO_ERR, (void *)WINDOW + 0x1003);
    wdr6(0xffff0ff0);
}

static void length(void)
{
    static const u8 prefixes[] = {0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf2, 0xf3};
    for (unsigned i = 0; i < ARRAY_LEN(prefixes); i++) {
        test("15 bytes and 16", "vol. 2 2.3.11, vol. 3 6.15 #GP");
        window_reset();
        u8 b[16];
        memset(b, prefixes[i], 16);
        b[14] = 0x90;
        put(0x100, b, 15);
        put_end(0x10f);
        struct regs r = at(3, 0x100);
        run(&r);
        ends();
        b[14] = prefixes[i];
        b[15] = 0x90;
        put(0x100, b, 16);
        run(&r);
        event_is(GP, 0, (void *)WINDOW + 0x100);
    }
    test("16 bytes by the immediate", "vol. 2 2.3.11");
    window_reset();
    static const u8 ok[] = {0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x81, 0x83, 0x10, 0, 0, 0, 1, 0, 0, 0}; // ADD [EBX+10h], 1
    put(0x100, ok, 15);
    put_end(0x10f);
    struct regs r = at(3, 0x100);
    run(&r);
    ends();
    u8 longer[16] = {0x3e};
    memcpy(longer + 1, ok, 15);
    put(0x100, longer, 16);
    run(&r);
    event_is(GP, 0, (void *)WINDOW + 0x100);
}

// ---- the ends of segments and of memory

static u8 big[0x10400] PAGE_ALIGNED;
static void wraps(void)
{
    static const struct {
        const char *name;
        u32 ip, n;
        u8 b[8];
        u32 vec, at; // END_VEC: at 12h behind the INT n there
    } t[] = {
        {"NOP at FFFFh", 0xffff, 1, {0x90}, GP, 0x10000},
        {"INC AX at FFFFh", 0xffff, 1, {0x40}, GP, 0x10000},
        {"MOV imm16 across FFFFh", 0xfffe, 3, {0xb8, 1, 2}, GP, 0xfffe},
        {"MOV imm16 up to FFFFh", 0xfffd, 3, {0xb8, 1, 2}, GP, 0x10000},
        {"a prefix at FFFFh", 0xffff, 1, {0x66}, GP, 0xffff},
        {"JMP rel8 wraps", 0xfff0, 2, {0xeb, 0x1e}, END_VEC},
        {"JMP rel16 wraps", 0xfff0, 3, {0xe9, 0x1d, 0}, END_VEC},
        {"JMP rel16 at FFFDh", 0xfffd, 3, {0xe9, 0x10, 0}, END_VEC},
        {"JMP backwards wraps", 0x2, 3, {0xe9, 0xeb, 0xff}, END_VEC + 1},
        {"66h JMP rel32 does not wrap", 0xfff0, 6, {0x66, 0xe9, 0x1a, 0, 0, 0}, GP, 0xfff0},
        {"Jcc wraps", 0xfff0, 2, {0x73, 0x1e}, END_VEC},
        {"LOOP wraps", 0xfff0, 2, {0xe2, 0x1e}, END_VEC},
        {"CALL rel16 wraps", 0xfff0, 3, {0xe8, 0x1d, 0}, END_VEC},
        {"CALL at FFFDh", 0xfffd, 3, {0xe8, 0x10, 0}, END_VEC},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test2("16-bit code,", t[i].name, "vol. 3 5.3, vol. 2 JMP");
        memset(big, 0x90, sizeof big);
        memcpy(big + t[i].ip, t[i].b, t[i].n);
        big[0x10] = 0xcd;
        big[0x11] = END_VEC;
        big[0xfff0 - (t[i].vec > END_VEC ? 0 : 0x1000)] = 0xcd;
        big[0xfff1 - (t[i].vec > END_VEC ? 0 : 0x1000)] = END_VEC;
        set_desc(SPARE, descriptor((u32)big, 0xffff, 0x009b));
        struct regs r = ring(0, (void *)(ul)t[i].ip);
        r.cs = SPARE;
        r.cx = 5;
        run(&r);
        if (t[i].vec == GP) {
            event_is(GP, 0, (void *)(ul)t[i].at);
            if (t[i].b[0] == 0x40) EQ("ax, once", ev.r.ax, 1);
            continue;
        }
        ends();
        EQ("at", ev.r.ip, t[i].vec == END_VEC ? 0x12 : 0xfff2);
        if (t[i].b[0] == 0xe8) {
            EQ("sp", ev.r.sp, TOP(stack_k) - 2);
            EQ("return address", W16(TOP(stack_k) - 2), (t[i].ip + 3) & 0xffff);
        }
    }
    test("virtual-8086 mode, NOP at FFFFh", "vol. 3 20.1.1, 20.2.7");
    W8(0x2ffff) = 0x90;
    W16(0x20000) = W16(0x30000) = 0x20cd; // if IP wraps, or does not stop
    struct regs r = {.ip = 0xffff, .cs = 0x2000, .ss = 0x4000, .sp = 0x1000, .flags = F_1 | F_VM | F_IOPL};
    run(&r);
    event_is(GP, 0, (void *)0x10000);
    test("real mode, NOP at FFFFh", "vol. 3 20.1.4");
    rr = (struct real_regs){.ip = 0xffff, .flags = F_1, .cs = 0x2000, .ss = 0x4000, .sp = 0x1000};
    run_real();
    EQ("vector", rr.vec, GP);
    EQ("cs", rr.cs, 0x2000);
    EQ("sp, no error code", rr.sp, 0x1000);
    test("real mode, MOV imm16 across FFFFh", "vol. 3 20.1.4");
    W16(0x2fffe) = 0x12b8;
    rr = (struct real_regs){.ip = 0xfffe, .flags = F_1, .cs = 0x2000, .ss = 0x4000, .sp = 0x1000};
    run_real();
    EQ("vector", rr.vec, GP);
    EQ("ip", rr.ip, 0xfffe);
}

// The last page of 4 GB and the first: two frames.
static u32 top[1024] PAGE_ALIGNED;
static void end_of_memory(void)
{
    u32 low = page_table[0];
    window_reset();
    page_dir[1023] = (u32)top | P | PW | PU;
    top[1023] = (u32)frame[0] | P | PW | PU;
    page_table[0] = (u32)frame[1] | P | PW | PU;
    pages_flush();
    test("an instruction across 4 GB by the base of CS", "vol. 3 3.3.1");
    put(0xffe, insns[0].b, 5);
    put_end(0x1003);
    set_desc(SPARE, descriptor(0xfffff000, 0xfffff, 0xc0fb));
    struct regs r = ring(3, (void *)0xffe);
    r.cs = SPARE | 3;
    run(&r);
    ends();
    EQ("eax", ev.r.ax, 0x44332211);
    EQ("eip", ev.r.ip, 0x1005);
    page_table[0] = 0;
    pages_flush();
    run(&r);
    event_is(PF, E_U, (void *)0xffe);
    EQ("cr2", ev.cr2, 0);
    page_table[0] = (u32)frame[1] | P | PW | PU;
    pages_flush();
    run(&r);
    ends();
    test("EIP goes on from FFFFFFFFh to 0", "vol. 3 3.3.1");
    put(0xffe, (const u8[]){0x40, 0x40, 0x40, 0xcd, END_VEC}, 5);
    r = ring(3, (void *)0xfffffffe);
    run(&r);
    ends();
    EQ("eax", ev.r.ax, 3);
    EQ("eip", ev.r.ip, 3);
    test("JMP rel8 across 4 GB", "vol. 2 JMP");
    put(0xff8, (const u8[]){0xeb, 0x07}, 2); // to 1
    run(&(struct regs){
        .ip = 0xfffffff8, .flags = F_1, .cs = U_CS, .ss = U_DS, .ds = U_DS, .es = U_DS, .sp = TOP(stack3)});
    ends();
    EQ("eip", ev.r.ip, 3);
    page_table[0] = low;
    page_dir[1023] = 0;
    pages_flush();
    reset_tables();
}

// A branch whose target writes all flags, but lies on two pages, of which the second one goes.
static void flags_there(void)
{
    static const u8 from[] = {0x83, 0xc1, 0xff, 0x75, 9, 0xcd, END_VEC}; // again: add $-1,%ecx; jnz over; int
    static const u8 over[] = {0x3d, 0, 0, 0, 0, 0xeb, 0xeb};             // over: cmp $0,%eax; jmp again
    test("flags before an instruction whose second page has gone", "vol. 3 6.5");
    window_reset();
    put(0xff0, from, sizeof from);
    put(0xffe, over, sizeof over);
    struct regs r = at(3, 0xff0);
    r.cx = 40;
    run(&r);
    ends();
    wpte_set(1, 0);
    r.cx = 5;
    run(&r);
    event_is(PF, E_U, (void *)(ul)(WINDOW + 0xffe));
    EQ("ecx", ev.r.cx, 4);
    BITS("flags", ev.r.flags, F_CF | F_AF, 0x8d5);
}

// A branch to the next instruction that is taken is not the same as one that is not.
static void taken_by_0(void)
{
    static const struct {
        const char *name;
        u8 b[4];
        u32 n, flags;
    } t[] = {
        {"JC", {0x66, 0x72, 0}, 3, F_CF}, {"JMP", {0x66, 0xeb, 0}, 3, 0}, {"JC, not taken", {0x66, 0x72, 0}, 3, 0}};
    for (unsigned k = 0; k < ARRAY_LEN(t); k++) {
        test2("EIP is cut by a taken branch of 16 bits:", t[k].name, "vol. 2 Jcc, JMP");
        window_reset();
        put(0x100, t[k].b, t[k].n);
        put_end(0x100 + t[k].n);
        struct regs r = at(3, 0x100);
        r.flags |= t[k].flags;
        W16(0x100 + t[k].n) = END_VEC << 8 | 0xcd;
        run(&r);
        ends();
        EQ("at", ev.r.ip, (k == 2 ? WINDOW : 0) + 0x100 + t[k].n + 2);
        W16(0x100 + t[k].n) = 0;
    }
}

void test_main(void)
{
    begin(false);
    across();
    flags_there();
    taken_by_0();
    borders();
    length();
    end_of_memory();
    end();
    begin(true);
    u32 id[4];
    cpuid_ext(0x80000001, id);
    u64 efer = rdmsr(EFER);
    if (id[3] >> 20 & 1) wrmsr(EFER, efer | NXE);
    across();
    if (id[3] >> 20 & 1) wrmsr(EFER, efer);
    end();
    wraps();
}
