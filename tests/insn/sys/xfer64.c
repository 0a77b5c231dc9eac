// SPDX-License-Identifier: MIT
// Far transfers of long mode: IRET and far RET to every kind of target, call gates, direct far CALL and JMP, delivery
// by 64-bit gates (IST, alignment, bad gates), SYSCALL, SYSRET, SYSENTER, SYSEXIT.
#include "tests/insn/sys/sys.h"

enum {
    K_CS32 = SPARE,
    T = SPARE + 8,         // 16 bytes
    C64_1 = SPARE + 0x18,  // 64-bit code, DPL 1
    CONF64 = SPARE + 0x20, // conforming 64-bit code, DPL 0
    SYSRET = SPARE + 0x28, // 32-bit code, data, 64-bit code, all DPL 3
    SYSENT = SPARE + 0x40, // 64-bit code, data; then DPL 3: 32-bit code, data, 64-bit code, data
    LOW_CODE = 0x9000,     // for IP of 16 bits
    LOW_STACK = 0x8f00
};
#define NONCANON 0x0000800000000000ul
CODE(nothing, "nop");
CODE32(nothing32, "nop");
CODE16(nothing16, "nop");
static u8 stack_ist[4096] PAGE_ALIGNED, stack_ist2[4096] PAGE_ALIGNED;

static void tables(void)
{
    set_desc(K_CS32, descriptor(0, 0xfffff, A_CODE0));
    set_desc(C64_1, descriptor(0, 0xfffff, 0xa0bb));
    set_desc(CONF64, descriptor(0, 0xfffff, 0xa09f));
    set_desc(SYSRET, descriptor(0, 0xfffff, A_CODE3));
    set_desc(SYSRET + 8, descriptor(0, 0xfffff, A_DATA3));
    set_desc(SYSRET + 16, descriptor(0, 0xfffff, A_CODE64_3));
    set_desc(SYSENT, descriptor(0, 0xfffff, A_CODE64));
    set_desc(SYSENT + 8, descriptor(0, 0xfffff, A_DATA0));
    set_desc(SYSENT + 16, descriptor(0, 0xfffff, A_CODE3));
    set_desc(SYSENT + 24, descriptor(0, 0xfffff, A_DATA3));
    set_desc(SYSENT + 32, descriptor(0, 0xfffff, A_CODE64_3));
    set_desc(SYSENT + 40, descriptor(0, 0xfffff, A_DATA3));
    PLACE(LOW_CODE, nothing);
}

// ---- IRET, far RET

CODE(do_iretq, "iretq");
CODE(do_iretl, "iretl");
CODE(do_iretw, "iretw");
CODE32(do_iret32, "iretl");
CODE(do_lretq, "lretq");
CODE(do_lretq8, "lretq $8");
CODE(do_lretl, "lretl");

// A frame of words of `size` bytes at the top of the code's stack: IP, CS, flags, SP, SS (no flags for far RET).
static struct regs with_frame(const u8 *code, unsigned size, const u64 *v, unsigned n)
{
    struct regs r = ring(0, code);
    r.sp -= 128;
    for (unsigned i = 0; i < n; i++)
        for (unsigned b = 0; b < size; b++) W8(r.sp + size * i + b) = v[i] >> 8 * b;
    return r;
}

struct target {
    const char *name;
    u16 cs, ss;
    u32 access; // of the descriptor at T, if T is meant
    const u8 *ip;
    u64 bad_ip;
    u8 vec;
    u16 err;
};
static const struct target targets[] = {
    {"same level, 64-bit", K_CS, K_DS, 0, nothing, 0, END_VEC, 0},
    {"same level, 64-bit, SS null", K_CS, 0, 0, nothing, 0, END_VEC, 0},
    {"same level, 32-bit", K_CS32, K_DS, 0, nothing32, 0, END_VEC, 0},
    {"same level, 16-bit", K_CS16, K_DS, 0, (u8 *)LOW_CODE, 0, END_VEC, 0},
    {"ring 1, 64-bit", C64_1 | 1, R1_DS, 0, nothing, 0, END_VEC, 0},
    {"ring 1, 64-bit, SS null", C64_1 | 1, 1, 0, nothing, 0, END_VEC, 0},
    {"ring 1, 32-bit", R1_CS, R1_DS, 0, nothing32, 0, END_VEC, 0},
    {"ring 3, 64-bit", U_CS64, U_DS, 0, nothing, 0, END_VEC, 0},
    {"ring 3, 32-bit", U_CS, U_DS, 0, nothing32, 0, END_VEC, 0},
    {"ring 3, 16-bit", U_CS16, U_DS, 0, (u8 *)LOW_CODE, 0, END_VEC, 0},
    {"ring 3, conforming", CONF64 | 3, U_DS, 0, nothing, 0, END_VEC, 0},
    {"ring 3, SS null", U_CS64, 0, 0, nothing, 0, GP, 0},
    {"ring 3, SS null with RPL 3", U_CS64, 3, 0, nothing, 0, GP, 0},
    {"ring 1, 32-bit, SS null", R1_CS, 1, 0, nothing32, 0, GP, 0},
    {"CS null", 0, K_DS, 0, nothing, 0, GP, 0},
    {"CS null with RPL 3", 3, U_DS, 0, nothing, 0, GP, 0},
    {"CS a data segment", K_DS, K_DS, 0, nothing, 0, GP, K_DS},
    {"CS a TSS", TSS_SEL, K_DS, 0, nothing, 0, GP, TSS_SEL},
    {"CS beyond the table", 0x7f8, K_DS, 0, nothing, 0, GP, 0x7f8},
    {"CS, RPL not DPL", K_CS | 3, U_DS, 0, nothing, 0, GP, K_CS},
    {"CS absent", T, K_DS, 0xa01b, nothing, 0, NP, T},
    {"CS with L and D", T, K_DS, 0xe09b, nothing, 0, GP, T},
    {"conforming CS, DPL over RPL", T | 1, R1_DS, 0xa0ff, nothing, 0, GP, T},
    {"SS beyond the table", U_CS64, 0x7fb, 0, nothing, 0, GP, 0x7f8},
    {"SS, RPL not CPL", U_CS64, U_DS & ~3, 0, nothing, 0, GP, U_DS & ~3},
    {"SS, DPL not CPL", U_CS64, K_DS | 3, 0, nothing, 0, GP, K_DS},
    {"SS a code segment", U_CS64, U_CS, 0, nothing, 0, GP, U_CS & ~3},
    {"SS read-only", U_CS64, T | 3, 0xc0f1, nothing, 0, GP, T},
    {"SS absent", U_CS64, T | 3, 0xc073, nothing, 0, SS, T},
    {"RIP not canonical", U_CS64, U_DS, 0, NULL, NONCANON, GP, 0},
    {"EIP over the limit", U_CS16, U_DS, 0, NULL, 0x10000, GP, 0},
};

static void returns_by(const char *kind, const u8 *code, bool iret)
{
    for (unsigned i = 0; i < ARRAY_LEN(targets); i++) {
        const struct target *t = &targets[i];
        // far RET pops no SS within a level
        if (!iret && t->vec == END_VEC && !(t->cs & 3)) continue;
        static char name[64];
        char *p = name;
        for (const char *s = kind; *s;) *p++ = *s++;
        *p++ = ' ';
        for (const char *s = t->name; *s;) *p++ = *s++;
        *p = 0;
        test(name, "vol. 2 IRET, RET; vol. 3 6.14.3; APM vol. 2 8.9.5");
        if (t->access) set_desc(T, descriptor(0, 0xfffff, t->access));
        u64 ip = t->ip ? (ul)t->ip : t->bad_ip, sp = TOP(stack3) - 256;
        u64 f[5] = {ip, t->cs, F_1 | F_CF, sp, t->ss}, g[4] = {ip, t->cs, sp, t->ss};
        struct regs r = with_frame(code, 8, iret ? f : g, iret ? 5 : 4);
        run(&r);
        if (t->vec != END_VEC) {
            event_is(t->vec, t->err, code);
            EQ("RSP", ev.r.sp, r.sp);
            EQ("CS", ev.r.cs, K_CS);
            continue;
        }
        ends();
        EQ("CS", ev.r.cs, t->cs);
        EQ("SS", ev.r.ss, t->ss);
        EQ("RSP", ev.r.sp, sp);
        if (iret) BITS("CF", ev.r.flags, F_CF, F_CF);
        EQ("DS", ev.r.ds, t->cs & 3 ? 0 : K_DS);
        EQ("FS", ev.r.fs, 0);
    }
}

static void returns(void)
{
    const char *sec = "vol. 2 IRET; vol. 3 6.14.3";
    returns_by("IRET,", do_iretq, true);
    returns_by("far RET,", do_lretq, false);

    test("IRETQ, the upper half of the flags and VM are ignored", sec);
    u64 f[5] = {(ul)nothing, U_CS64, 0xffffffff00000000 | F_VM | F_VIF | F_VIP | F_IOPL | F_NT | F_1, TOP(stack3),
                U_DS};
    struct regs r = with_frame(do_iretq, 8, f, 5);
    run(&r);
    ends();
    EQ("flags", ev.r.flags, F_1 | F_IOPL | F_NT | (ev.r.flags & (F_VIF | F_VIP)));
    asm_("pushfq\n andl $~0x4000,(%%rsp)\n popfq" ::: "cc", "memory");
    test("IRET with NT", "vol. 2 IRET, vol. 3 7.7");
    f[2] = F_1;
    r = with_frame(do_iretq, 8, f, 5);
    r.flags |= F_NT;
    run(&r);
    event_is(GP, 0, do_iretq);
    test("IRET of 32 bits", sec);
    r = with_frame(do_iretl, 4, f, 5);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, U_CS64);
    EQ("RSP", ev.r.sp, TOP(stack3));
    test("IRET of 16 bits", sec);
    u64 low[5] = {LOW_CODE, U_CS64, F_1 | F_CF, LOW_STACK, U_DS};
    r = with_frame(do_iretw, 2, low, 5);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, U_CS64);
    EQ("RSP", ev.r.sp, LOW_STACK);
    BITS("CF", ev.r.flags, F_CF, F_CF);
    test("IRET of compatibility code to 64-bit code, same level", sec);
    u64 same[3] = {(ul)nothing, K_CS, F_1};
    r = with_frame(do_iret32, 4, same, 3);
    r.cs = K_CS32;
    run(&r);
    ends();
    EQ("CS", ev.r.cs, K_CS);
    EQ("RSP: three words are popped", ev.r.sp, r.sp + 12);
    test("IRET of compatibility code to ring 3, 64-bit", sec);
    r = with_frame(do_iret32, 4, f, 5);
    r.cs = K_CS32;
    run(&r);
    ends();
    EQ("CS", ev.r.cs, U_CS64);
    EQ("RSP", ev.r.sp, TOP(stack3));
    test("IRET at ring 3 keeps IF and IOPL", sec);
    u64 own[5] = {(ul)nothing, U_CS64, F_1 | F_IF | F_IOPL | F_DF, TOP(stack3), U_DS};
    r = with_frame(do_iretq, 8, own, 5);
    r.cs = U_CS64;
    r.ss = U_DS;
    run(&r);
    ends();
    EQ("flags", ev.r.flags, F_1 | F_DF);
    test("far RET imm", "vol. 2 RET");
    u64 g[5] = {(ul)nothing, U_CS64, 0, TOP(stack3) - 64, U_DS};
    r = with_frame(do_lretq8, 8, g, 5);
    run(&r);
    ends();
    EQ("RSP", ev.r.sp, TOP(stack3) - 64 + 8);
    test("far RET of 32 bits to compatibility code", "vol. 2 RET");
    u64 c[4] = {(ul)nothing32, U_CS, TOP(stack3), U_DS};
    r = with_frame(do_lretl, 4, c, 4);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, U_CS);
    EQ("RSP", ev.r.sp, TOP(stack3));
    test("far RET, same level, SS stays", "vol. 2 RET");
    r = with_frame(do_lretq, 8, c, 4);
    W64(r.sp + 8) = K_CS32;
    run(&r);
    ends();
    EQ("SS", ev.r.ss, K_DS);
    EQ("RSP", ev.r.sp, r.sp + 16);
    test("RF by IRET", "vol. 3 17.3.1.1");
    f[2] = F_1 | F_RF;
    extern u8 rf_end[], rf_code[];
    f[0] = (ul)rf_code;
    r = with_frame(do_iretq, 8, f, 5);
    run(&r);
    event_is(UD, NO_ERR, rf_end);
    BITS("in the image of a fault", ev.r.flags, F_RF, F_RF);
}
CODE(rf_code, "nop\n.globl rf_end\nrf_end: ud2");

// ---- call gates, direct far transfers

CODE(far_call, "lcall *(%rbx)");
CODE(far_jmp, "ljmp *(%rbx)");
CODE32(far_call32, "lcall *(%ebx)");
CODE(inside, "mov %ss,%ecx\n mov %rsp,%rsi\n mov (%rsp),%r8\n mov 8(%rsp),%r9\n mov 16(%rsp),%r10\n mov 24(%rsp),%r11\n"
             "testl $1,inside_back\n jz 1f\n lretq\n1:");
CODE(far_call_back, "lcall *(%rbx)\n mov %cs,%edx\n mov %ss,%edi");
CODE32(compat, "mov %cs,%ecx\n mov %esp,%esi\n mov (%esp),%edx\n mov 4(%esp),%edi\n lretl");
u32 inside_back;

static void gate64(u32 sel, u64 off, u32 access, u32 high)
{
    set_desc(T, gate(sel, off, access, 0));
    set_desc(T + 8, off >> 32 | (u64)high << 32);
}
static struct {
    u32 off;
    u16 sel;
} PACKED ptr;

static struct regs by_gate(const u8 *code, unsigned cpl, u16 sel)
{
    ptr.sel = sel;
    ptr.off = 0x12345678; // not used by gates
    struct regs r = ring(cpl, code);
    if (code == far_call32) r.cs = cpl ? U_CS : K_CS32;
    r.bx = (ul)&ptr;
    return r;
}

static void gates(void)
{
    const char *sec = "vol. 2 CALL, vol. 3 5.8.3.1, 5.8.5.1";
    test("call gate to ring 0", sec);
    gate64(K_CS, (ul)inside, 0xec, 0);
    struct regs r = by_gate(far_call, 3, T | 3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, K_CS);
    EQ("SS is null", ev.r.cx, 0);
    EQ("RSP", ev.r.si, tss.rsp[0] - 32);
    EQ("RIP pushed", ev.r.r8, (ul)far_call + 2);
    EQ("CS pushed", ev.r.r9, U_CS64);
    EQ("RSP pushed", ev.r.r10, r.sp);
    EQ("SS pushed", ev.r.r11, U_DS);
    test("call gate and back by far RET", sec);
    inside_back = 1;
    r = by_gate(far_call_back, 3, T | 3);
    run(&r);
    ends();
    EQ("CS", ev.r.dx, U_CS64);
    EQ("SS", ev.r.di, U_DS);
    EQ("RSP", ev.r.sp, r.sp);
    inside_back = 0;
    test("call gate to ring 1, SS null, RPL 1", sec);
    gate64(C64_1, (ul)inside, 0xec, 0);
    r = by_gate(far_call, 3, T | 3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, C64_1 | 1);
    EQ("SS", ev.r.cx, 1);
    EQ("RSP", ev.r.si, tss.rsp[1] - 32);
    test("call gate within a level", sec);
    gate64(K_CS, (ul)inside, 0x8c, 0);
    r = by_gate(far_call, 0, T);
    run(&r);
    ends();
    EQ("SS stays", ev.r.cx, K_DS);
    EQ("RSP", ev.r.si, r.sp - 16);
    EQ("RIP pushed", ev.r.r8, (ul)far_call + 2);
    EQ("CS pushed", ev.r.r9, K_CS);
    test("call gate from compatibility code", sec);
    gate64(K_CS, (ul)inside, 0xec, 0);
    r = by_gate(far_call32, 3, T | 3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, K_CS);
    EQ("RSP", ev.r.si, tss.rsp[0] - 32);
    EQ("RIP pushed", ev.r.r8, (ul)far_call32 + 2);
    EQ("CS pushed", ev.r.r9, U_CS);
    EQ("RSP pushed", ev.r.r10, r.sp);
    test("JMP through a call gate", "vol. 2 JMP");
    gate64(K_CS, (ul)inside, 0x8c, 0);
    r = by_gate(far_jmp, 0, T);
    run(&r);
    ends();
    EQ("RSP", ev.r.si, r.sp);
    test("call gate to conforming code", sec);
    gate64(CONF64, (ul)nothing, 0xec, 0);
    r = by_gate(far_call, 3, T | 3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, CONF64 | 3);
    EQ("RSP", ev.r.sp, r.sp - 16);

    static const struct {
        const char *name;
        const u8 *code;
        u8 cpl, rpl;
        u16 sel, access, high;
        u64 off;
        u8 vec;
        u16 err;
    } t[] = {
        {"gate, DPL under CPL", far_call, 3, 3, K_CS, 0x8c, 0, 0, GP, T},
        {"gate, DPL under RPL", far_call, 0, 3, K_CS, 0x8c, 0, 0, GP, T},
        {"gate absent", far_call, 0, 0, K_CS, 0x0c, 0, 0, NP, T},
        {"gate to 32-bit code", far_call, 0, 0, K_CS32, 0x8c, 0, 0, GP, K_CS32},
        {"gate to code with L and D", far_call, 0, 0, SPARE + 0x70, 0x8c, 0, 0, GP, SPARE + 0x70},
        {"gate to data", far_call, 0, 0, K_DS, 0x8c, 0, 0, GP, K_DS},
        {"gate to null", far_call, 0, 0, 0, 0x8c, 0, 0, GP, 0},
        {"gate to absent code", far_call, 0, 0, SPARE + 0x78, 0x8c, 0, 0, NP, SPARE + 0x78},
        {"gate to beyond the table", far_call, 0, 0, 0x7f8, 0x8c, 0, 0, GP, 0x7f8},
        {"gate to a less privileged level", far_call, 0, 0, U_CS64, 0x8c, 0, 0, GP, U_CS64 & ~3},
        {"gate, offset not canonical", far_call, 0, 0, K_CS, 0x8c, 0, NONCANON, GP, 0},
        {"gate, the upper half has a type", far_call, 0, 0, K_CS, 0x8c, 0x0100, 0, GP, T},
        {"JMP through a gate to an inner level", far_jmp, 3, 3, K_CS, 0xec, 0, 0, GP, K_CS},
        {"16-bit call gate", far_call, 0, 0, K_CS, 0x84, 0, 0, GP, T},
        {"task gate", far_call, 0, 0, TSS_SEL, 0x85, 0, 0, GP, T},
        {"16-bit interrupt gate", far_call, 0, 0, K_CS, 0x86, 0, 0, GP, T},
        {"interrupt gate", far_call, 0, 0, K_CS, 0x8e, 0, 0, GP, T},
    };
    set_desc(SPARE + 0x70, descriptor(0, 0xfffff, 0xe09b));
    set_desc(SPARE + 0x78, descriptor(0, 0xfffff, 0xa01b));
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, sec);
        gate64(t[i].sel, t[i].off ? t[i].off : (ul)inside, t[i].access, t[i].high);
        r = by_gate(t[i].code, t[i].cpl, T | t[i].rpl);
        run(&r);
        event_is(t[i].vec, t[i].err, t[i].code);
    }
    test("CALL and JMP to a TSS", "vol. 2 CALL, vol. 3 7.2.3");
    set_system_desc(T, (ul)&tss, 103, 0x89);
    r = by_gate(far_call, 0, T);
    run(&r);
    event_is(GP, T, far_call);
    r = by_gate(far_jmp, 0, T);
    run(&r);
    event_is(GP, T, far_jmp);
    test("gate to ring 0, RSP0 not canonical", "vol. 2 CALL");
    gate64(K_CS, (ul)inside, 0xec, 0);
    r = by_gate(far_call, 3, T | 3);
    u64 rsp0 = tss.rsp[0];
    tss.rsp[0] = NONCANON + 64;
    set_gate(SS, 0x8e, K_CS, 1);
    tss.ist[0] = (ul)stack_ist + 4096;
    run(&r);
    event_is(SS, 0, far_call);
    tss.rsp[0] = rsp0;
    set_gate(SS, 0x8e, K_CS, 0);
    test("gate at the end of the table", sec);
    set_desc(sizeof gdt - 8, gate(K_CS, (ul)inside, 0x8c, 0));
    r = by_gate(far_call, 0, sizeof gdt - 8);
    run(&r);
    event_is(GP, sizeof gdt - 8, far_call);
    set_desc(sizeof gdt - 8, 0);

    test("far CALL to compatibility code and back", "vol. 2 CALL");
    extern u8 to_compat[];
    r = ring(0, to_compat);
    r.bx = (ul)&ptr;
    ptr.sel = K_CS32;
    ptr.off = (u32)(ul)compat;
    run(&r);
    ends();
    EQ("CS there", ev.r.cx, K_CS32);
    EQ("RSP there", ev.r.si, r.sp - 8);
    EQ("EIP pushed", ev.r.dx, (ul)to_compat + 2);
    EQ("CS pushed", ev.r.di & 0xffff, K_CS);
    EQ("CS", ev.r.cs, K_CS);
    EQ("RSP", ev.r.sp, r.sp);
    static const struct {
        const char *name;
        u16 sel, access;
        u8 cpl, vec;
        u16 err;
    } d[] = {
        {"far JMP, null", 0, 0, 0, GP, 0},
        {"far JMP to ring 3 code", U_CS64, 0, 0, GP, U_CS64 & ~3},
        {"far JMP to ring 0 code at ring 3", K_CS, 0, 3, GP, K_CS},
        {"far JMP, absent", T, 0xa01b, 0, NP, T},
        {"far JMP, L and D", T, 0xe09b, 0, GP, T},
        {"far JMP, data", K_DS, 0, 0, GP, K_DS},
        {"far JMP over the limit", T, 0x409b, 0, GP, 0},
        {"far JMP, conforming, at ring 3", CONF64, 0, 3, END_VEC, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(d); i++) {
        test(d[i].name, "vol. 2 JMP, vol. 3 5.8.1");
        set_desc(T, descriptor(0, 0xff, d[i].access));
        r = by_gate(far_jmp, d[i].cpl, d[i].sel);
        ptr.off = (u32)(ul)nothing;
        run(&r);
        if (d[i].vec == END_VEC) {
            ends();
            EQ("CS", ev.r.cs, d[i].sel | d[i].cpl);
        } else
            event_is(d[i].vec, d[i].err, far_jmp);
    }
    set_desc(T, 0);
    set_desc(T + 8, 0);
}
CODE(to_compat, "lcall *(%rbx)");

// ---- delivery

CODE(do_ud, "ud2");
CODE32(do_ud32, "ud2");
CODE(do_gp, "mov (%rax),%eax");
CODE(do_int30, "int $0x30");
CODE32(do_int30_32, "int $0x30");
CODE(do_int31, "int $0xff");
CODE(do_int3, "int3");

static void delivery(void)
{
    const char *sec = "vol. 3 6.14";
    test("within a level, SS:RSP are pushed, RSP aligned to 16", "vol. 3 6.14.2");
    struct regs r = ring(0, do_ud);
    for (unsigned i = 0; i < 16; i += 3) {
        r.sp = TOP(stack_k) - i;
        run(&r);
        event_is(UD, NO_ERR, do_ud);
        EQ("RSP pushed", ev.r.sp, r.sp);
        EQ("SS pushed", ev.r.ss, K_DS);
        EQ("RSP", ev.hsp, (r.sp & ~15ul) - 40);
        EQ("SS", ev.hss, K_DS);
    }
    test("with an error code", sec);
    r = ring(0, do_gp);
    r.ax = NONCANON;
    r.sp -= 5;
    run(&r);
    event_is(GP, 0, do_gp);
    EQ("RSP", ev.hsp, (r.sp & ~15ul) - 48);
    test("from ring 3, RSP0, SS null", "vol. 3 6.14.4");
    r = ring(3, do_ud);
    tss.rsp[0] -= 5;
    run(&r);
    event_is(UD, NO_ERR, do_ud);
    EQ("RSP", ev.hsp, (tss.rsp[0] & ~15ul) - 40);
    EQ("SS", ev.hss, 0);
    EQ("SS pushed", ev.r.ss, U_DS);
    tss.rsp[0] += 5;
    test("from compatibility code, words of 8 bytes", "vol. 3 6.14.2");
    r = ring(3, do_ud32);
    r.cs = U_CS;
    run(&r);
    event_is(UD, NO_ERR, do_ud32);
    EQ("RSP", ev.hsp, tss.rsp[0] - 40);
    EQ("RSP pushed", ev.r.sp, r.sp);
    test("to ring 1", sec);
    set_gate(0x30, 0xee, C64_1, 0);
    idt[2 * 0x30] = gate(C64_1, (u32)(ul)nothing, 0xee, 0);
    r = ring(3, do_int30);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, C64_1 | 1);
    EQ("SS", ev.r.ss, 1);
    EQ("RSP", ev.r.sp, tss.rsp[1] - 40);

    for (unsigned k = 0; k < 2; k++) {
        test(k ? "IST from ring 3" : "IST within a level", "vol. 3 6.14.5");
        for (unsigned n = 1; n <= 7; n++) {
            set_gate(UD, 0x8e, K_CS, n);
            tss.ist[n - 1] = (ul)stack_ist + 4096 - 64 * n - 3;
            r = ring(k ? 3 : 0, do_ud);
            run(&r);
            event_is(UD, NO_ERR, do_ud);
            EQ("RSP", ev.hsp, (tss.ist[n - 1] & ~15ul) - 40);
            EQ("RSP pushed", ev.r.sp, r.sp);
            EQ("SS pushed", ev.r.ss, r.ss);
            if (k) EQ("SS", ev.hss, 0);
        }
    }
    test("IST not canonical, #SS", "vol. 3 6.14.5, 6.15");
    set_gate(UD, 0x8e, K_CS, 1);
    tss.ist[0] = NONCANON + 64;
    r = ring(0, do_ud);
    run(&r);
    EQ("vector", ev.vec, SS); // the error code's EXT bit and selector differ among processors
    test("IST not canonical, for #GP, #DF", "vol. 3 6.15");
    set_gate(GP, 0x8e, K_CS, 1);
    set_gate(DF, 0x8e, K_CS, 2);
    tss.ist[1] = (ul)stack_ist2 + 4096;
    r = ring(0, do_gp);
    r.ax = NONCANON;
    run(&r);
    event_is(DF, 0, do_gp);
    EQ("RSP", ev.hsp, (ul)stack_ist2 + 4096 - 48);
    reset_tables();
    tables();
    test("bad stack of ring 0, #DF by IST", "vol. 3 6.15");
    set_gate(DF, 0x8e, K_CS, 2);
    tss.ist[1] = (ul)stack_ist2 + 4096;
    r = ring(0, do_ud);
    r.sp = NONCANON + 8;
    set_gate(SS, 0x0e, K_CS, 0); // #SS's own gate is absent
    run(&r);
    event_is(DF, 0, do_ud);
    set_gate(SS, 0x8e, K_CS, 0);

    static const struct {
        const char *name;
        u16 sel;
        u8 access, cpl, vec;
        u16 err;
        u64 off;
    } t[] = {
        {"INT n, DPL under CPL", K_CS, 0x8e, 3, GP, 0x30 * 8 + 2, 0},
        {"INT n, absent gate", K_CS, 0x0e, 0, NP, 0x30 * 8 + 2, 0},
        {"INT n, 16-bit interrupt gate", K_CS, 0x86, 0, GP, 0x30 * 8 + 2, 0},
        {"INT n, 16-bit trap gate", K_CS, 0x87, 0, GP, 0x30 * 8 + 2, 0},
        {"INT n, task gate", TSS_SEL, 0x85, 0, GP, 0x30 * 8 + 2, 0},
        {"INT n, call gate", K_CS, 0x8c, 0, GP, 0x30 * 8 + 2, 0},
        {"INT n, null CS", 0, 0x8e, 0, GP, 0, 0},
        {"INT n, 32-bit CS", K_CS32, 0x8e, 0, GP, K_CS32, 0},
        {"INT n, data", K_DS, 0x8e, 0, GP, K_DS, 0},
        {"INT n, CS beyond the table", 0x7f8, 0x8e, 0, GP, 0x7f8, 0},
        {"INT n, CS, DPL 3", U_CS64, 0x8e, 0, GP, U_CS64 & ~3, 0},
        {"INT n, CS absent", SPARE + 0x78, 0x8e, 0, NP, SPARE + 0x78, 0},
        {"INT n, CS with L and D", SPARE + 0x70, 0x8e, 0, GP, SPARE + 0x70, 0},
        {"INT n, offset not canonical", K_CS, 0x8e, 0, GP, 0, NONCANON},
        {"INT n, trap gate", K_CS, 0xef, 3, 0x30, 0, 0},
    };
    set_desc(SPARE + 0x70, descriptor(0, 0xfffff, 0xe09b));
    set_desc(SPARE + 0x78, descriptor(0, 0xfffff, 0xa01b));
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 INT n, vol. 3 6.14.1");
        u64 off = t[i].off ? t[i].off : stub(0x30);
        idt[2 * 0x30] = gate(t[i].sel, off, t[i].access, 0);
        idt[2 * 0x30 + 1] = off >> 32;
        r = ring(t[i].cpl, do_int30);
        r.flags |= t[i].vec == 0x30 ? F_IF : 0;
        run(&r);
        if (t[i].vec == 0x30) {
            event_is(0x30, NO_ERR, do_int30 + 2);
            BITS("a trap gate leaves IF", ev.hflags, F_IF, F_IF);
        } else
            event_is(t[i].vec, t[i].err, do_int30);
    }
    test("INT n beyond the IDT", "vol. 2 INT n");
    struct {
        u16 limit;
        u64 base;
    } PACKED i = {16 * 0x30 + 14, (ul)idt};
    idt[2 * 0x30] = gate(K_CS, stub(0x30), 0xee, 0);
    idt[2 * 0x30 + 1] = 0;
    asm_("lidt %0" ::"m"(i));
    r = ring(3, do_int30);
    run(&r);
    event_is(GP, 0x30 * 8 + 2, do_int30);
    i.limit++;
    asm_("lidt %0" ::"m"(i));
    run(&r);
    event_is(0x30, NO_ERR, do_int30 + 2);
    reset_tables();
    tables();
    test("gate clears TF, NT, RF, IF", "vol. 3 6.12.1");
    r = ring(0, do_int31);
    r.flags |= F_NT | F_IF | F_RF | F_DF | F_CF;
    run(&r);
    event_is(0xff, NO_ERR, do_int31 + 2);
    EQ("flags in the handler", ev.hflags & ~(ul)F_PF, F_1 | F_DF | F_CF);
    BITS("image", ev.r.flags, F_NT | F_IF | F_DF, F_NT | F_IF | F_DF | F_RF);
}

// ---- SYSCALL and its like

CODE(do_syscall, "mov $0x1234,%ecx\n syscall");
CODE32(do_syscall32, "syscall");
CODE(do_sysretq, "sysretq");
CODE(do_sysretl, "sysretl");
CODE(do_sysenter, "sysenter");
CODE32(do_sysenter32, "sysenter");
CODE(do_sysexit, "sysexit");
CODE(do_sysexitq, ".byte 0x48\n sysexit");
CODE(entry, "mov %ss,%ebx\n pushfq\n pop %rsi");

static void syscalls(void)
{
    const char *sec = "vol. 2 SYSCALL, vol. 3 5.8.8";
    u64 efer = rdmsr(MSR_EFER);
    wrmsr(MSR_EFER, efer & ~1ull);
    test("SYSCALL, EFER.SCE = 0", sec);
    struct regs r = ring(3, do_syscall);
    run(&r);
    event_is(UD, NO_ERR, do_syscall + 5);
    test("SYSRET, EFER.SCE = 0", "vol. 2 SYSRET");
    r = ring(0, do_sysretq);
    run(&r);
    event_is(UD, NO_ERR, do_sysretq);
    wrmsr(MSR_EFER, efer | 1);
    wrmsr(0xc0000081, (u64)(SYSRET | 3) << 48 | (u64)K_CS << 32);
    wrmsr(0xc0000082, (ul)entry);
    wrmsr(0xc0000083, (ul)entry);
    wrmsr(0xc0000084, F_IF | F_DF | F_NT | F_TF);
    test("SYSCALL from ring 3", sec);
    r = ring(3, do_syscall);
    r.flags |= F_IF | F_DF | F_CF | F_OF;
    run(&r);
    ends();
    EQ("CS", ev.r.cs, K_CS);
    EQ("SS", ev.r.bx, K_DS);
    EQ("RCX", ev.r.cx, (ul)do_syscall + 7);
    EQ("R11", ev.r.r11, r.flags);
    EQ("flags", ev.r.si, F_1 | F_CF | F_OF);
    EQ("RSP stays", ev.r.sp, r.sp);
    test("SYSCALL from ring 0", sec);
    r = ring(0, do_syscall);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, K_CS);
    test("SYSCALL from compatibility code", "vol. 2 SYSCALL; APM vol. 3 SYSCALL");
    r = ring(3, do_syscall32);
    r.cs = U_CS;
    run(&r);
    if (amd()) { // CSTAR
        ends();
        EQ("CS", ev.r.cs, K_CS);
        EQ("RCX", ev.r.cx, (ul)do_syscall32 + 2);
    } else {
        event_is(UD, NO_ERR, do_syscall32);
    }
    test("SYSRET to 64-bit code", "vol. 2 SYSRET");
    r = ring(0, do_sysretq);
    r.cx = (ul)nothing;
    r.r11 = ~0ul & ~(ul)(F_TF | F_AC);
    r.sp = TOP(stack3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, (SYSRET + 16) | 3);
    EQ("SS", ev.r.ss, (SYSRET + 8) | 3);
    EQ("flags", ev.r.flags, 0x3c7fd7 & ~(F_TF | F_AC));
    EQ("RSP stays", ev.r.sp, TOP(stack3));
    asm_("pushfq\n andl $~0x4000,(%%rsp)\n popfq" ::: "cc", "memory");
    test("SYSRET to compatibility code", "vol. 2 SYSRET");
    r = ring(0, do_sysretl);
    r.cx = (ul)nothing32 | 0xabcd00000000;
    r.r11 = F_1;
    r.sp = TOP(stack3);
    run(&r);
    ends();
    EQ("CS", ev.r.cs, SYSRET | 3);
    EQ("SS", ev.r.ss, (SYSRET + 8) | 3);
    test("SYSRET at ring 3", "vol. 2 SYSRET");
    r = ring(3, do_sysretq);
    run(&r);
    event_is(GP, 0, do_sysretq);
    test("SYSRET, RCX not canonical", "vol. 2 SYSRET; APM vol. 3 SYSRET");
    r = ring(0, do_sysretq);
    r.cx = NONCANON;
    r.r11 = F_1;
    run(&r);
    if (amd()) {
        event_is(GP, 0, (u8 *)NONCANON);
        EQ("CS", ev.r.cs, (SYSRET + 16) | 3);
    } else {
        event_is(GP, 0, do_sysretq);
        EQ("CS", ev.r.cs, K_CS);
    }
    wrmsr(MSR_EFER, efer);

    wrmsr(0x174, SYSENT);
    wrmsr(0x175, TOP(stack0) - 256);
    wrmsr(0x176, (ul)entry);
    sec = "vol. 2 SYSENTER; APM vol. 3 SYSENTER: #UD in long mode";
    static const struct {
        const char *name;
        const u8 *code;
        u8 cpl;
        bool compat;
    } t[] = {
        {"SYSENTER", do_sysenter, 3, false},
        {"SYSENTER from compatibility code", do_sysenter32, 3, true},
        {"SYSEXIT", do_sysexit, 0, false},
        {"SYSEXIT to 64-bit code", do_sysexitq, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, sec);
        r = ring(t[i].cpl, t[i].code);
        if (t[i].compat) r.cs = U_CS;
        r.cx = TOP(stack3) - 512;
        r.dx = (ul)(i == 2 ? nothing32 : nothing);
        run(&r);
        if (amd()) {
            event_is(UD, NO_ERR, t[i].code);
            continue;
        }
        ends();
        EQ("CS", ev.r.cs, i < 2 ? SYSENT : i == 2 ? (SYSENT + 16) | 3 : (SYSENT + 32) | 3);
        EQ("SS", ev.r.ss, i < 2 ? SYSENT + 8 : i == 2 ? (SYSENT + 24) | 3 : (SYSENT + 40) | 3);
        EQ("RSP", ev.r.sp, i < 2 ? TOP(stack0) - 256 : TOP(stack3) - 512);
    }
    if (amd()) return;
    test("SYSENTER, CS null", sec);
    wrmsr(0x174, 0);
    r = ring(3, do_sysenter);
    run(&r);
    event_is(GP, 0, do_sysenter);
    test("SYSEXIT, RDX not canonical", "vol. 2 SYSEXIT");
    wrmsr(0x174, SYSENT);
    r = ring(0, do_sysexitq);
    r.dx = NONCANON;
    run(&r);
    event_is(GP, 0, do_sysexitq);
}

void test_main(void)
{
    tables();
    returns();
    gates();
    delivery();
    syscalls();
}
