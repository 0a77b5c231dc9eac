// SPDX-License-Identifier: MIT
// Hardware task switches between 32- and 16-bit TSSs: every way in and out, what is saved and loaded, what is refused
// in the old task and what faults in the new one. SDM vol. 3 chapter 7; table 7-1 for checks, 7-2 for links and busy
// bits.
#include "tests/insn/sys/pages.h"

struct {
    u32 off;
    u16 sel;
} far_ptr;
CODE(jmp_t, "ljmp *far_ptr");
CODE(call_t, "lcall *far_ptr");
CODE(jmp_imm, "ljmp $0x48,$0x12345678");
CODE(int_t, "int $0x40");
CODE(iret_t, "iret");
CODE(target, "nop");
CODE(back, "iret\n nop\n nop"); // left by IRET, goes on behind it when entered again
CODE(fault_t, "ud2");
CODE(target_call, "lcall *far_ptr\n iret");
CODE(to_gp, "ljmp $8,$stubs+16*13"); // from a 16-bit task's code segment
CODE(spin, "sti\n1: inc %ebx\n jmp 1b");

enum {
    SEG16 = SPARE,
    SS16 = SPARE + 8,
    TASK3 = SPARE + 16,
    GATE = SPARE + 24,
    BAD = SPARE + 32,
    TSSL = 0x0c,
    GATEL = 0x14
};
static struct tss16 tssa __attribute__((aligned(128))); // the old task, when that is a 16-bit one
static struct tss32 tss3 __attribute__((aligned(128))); // the task of exceptions
static u8 stack_e[4096] PAGE_ALIGNED;

static u32 reg_of(unsigned i) { return 0xb0b0b000 + 0x111 * i; }
static u16 task_register(void)
{
    ul v;
    asm_("str %0" : "=r"(v));
    return v;
}
static u16 ldt_register(void)
{
    ul v;
    asm_("sldt %0" : "=r"(v));
    return v;
}
static u32 type_of(u32 sel) { return get_desc(sel) >> 40 & 0xff; }

static void fill32(struct tss32 *t, const u8 *code, u32 sp)
{
    memset(t, 0, sizeof *t);
    t->esp0 = TOP(stack0);
    t->ss0 = K_DS;
    t->eip = (u32)code;
    t->eflags = F_1 | F_CF | F_ZF;
    u32 *r = (void *)((u8 *)t + OFFSET(struct tss32, eax));
    for (unsigned i = 0; i < 8; i++) r[i] = reg_of(i);
    t->esp = sp;
    t->es = t->ds = t->ss = K_DS;
    t->cs = K_CS;
    t->fs = U_DS;
    t->gs = U_DS | 0;
    t->ldt = LDT_SEL;
    t->cr3 = rcr3();
    t->iomap = OFFSET(struct tss32, io);
}
// Code and stack of a 16-bit task lie above 64 KB: by the bases of their segments.
static void fill16(struct tss16 *t, const u8 *code)
{
    memset(t, 0, sizeof *t);
    set_desc(SEG16, descriptor((u32)code, 0xffff, 0x409b));
    set_desc(SS16, descriptor((u32)stack1, 0xffff, 0x0093));
    t->sp0 = 0x100;
    t->ss0 = SS16;
    t->flags = F_1 | F_CF | F_ZF;
    u16 *r = (void *)((u8 *)t + OFFSET(struct tss16, ax));
    for (unsigned i = 0; i < 8; i++) r[i] = reg_of(i);
    t->sp = sizeof stack1 - 64;
    t->es = t->ds = K_DS;
    t->ss = SS16;
    t->cs = SEG16;
    t->ldt = LDT_SEL;
}

// Two tasks: the old one runs what run() enters, the new one is at TSS2_SEL.
static void two(bool old32, bool new32, const u8 *code)
{
    reset_tables();
    memset(&tss.cr3, 0x99, OFFSET(struct tss32, trap) - OFFSET(struct tss32, cr3));
    tss.link = 0x7777;
    if (!old32) {
        memset(&tssa, 0x99, sizeof tssa);
        tssa.link = 0x7777;
        tssa.sp0 = TOP(stack0);
        tssa.ss0 = K_DS;
        set_desc(TSS_SEL, descriptor((u32)&tssa, sizeof tssa - 1, 0x81));
        asm_("ltr %0" ::"r"((u16)TSS_SEL));
    }
    if (new32) {
        fill32(&tss2, code, TOP(stack1));
        tss2.link = 0x6666;
    } else {
        fill16(&tssh, code);
        tssh.link = 0x6666;
        set_desc(TSS2_SEL, descriptor((u32)&tssh, sizeof tssh - 1, 0x81));
    }
    far_ptr.sel = TSS2_SEL;
    far_ptr.off = 0xdeadbeef;
}
static struct regs begin(const u8 *code)
{
    struct regs r = ring(0, code);
    r.ax = 0xa0a0a0a0;
    r.cx = 0xa1a1a1a1;
    r.dx = 0xa2a2a2a2;
    r.bx = 0xa3a3a3a3;
    r.bp = 0xa5a5a5a5;
    r.si = 0xa6a6a6a6;
    r.di = 0xa7a7a7a7;
    r.fs = U_DS;
    r.gs = 3;
    r.flags = F_1 | F_OF | F_PF;
    return r;
}

static void loaded_is(bool new32)
{
    u32 m = new32 ? ~0u : 0xffff;
    BITS("eax", ev.r.ax, reg_of(0), m);
    BITS("ecx", ev.r.cx, reg_of(1), m);
    BITS("edx", ev.r.dx, reg_of(2), m);
    BITS("ebx", ev.r.bx, reg_of(3), m);
    BITS("ebp", ev.r.bp, reg_of(5), m);
    BITS("esi", ev.r.si, reg_of(6), m);
    BITS("edi", ev.r.di, reg_of(7), m);
    EQ("esp", ev.hsp + 12, new32 ? TOP(stack1) : sizeof stack1 - 64);
    EQ("ds", ev.r.ds, K_DS);
    EQ("es", ev.r.es, K_DS);
    EQ("ss", ev.hss, new32 ? K_DS : SS16);
    if (new32) EQ("fs", ev.r.fs, U_DS);
    EQ("ldtr", ldt_register(), LDT_SEL);
    EQ("tr", task_register(), TSS2_SEL);
    BITS("TS", rcr0(), CR0_TS, CR0_TS);
}
static void saved_is(bool old32, u32 ip, u32 flags)
{
    if (old32) {
        EQ("saved eip", tss.eip, ip);
        BITS("saved eflags", tss.eflags, flags, ~(u32)F_RF);
        EQ("saved eax", tss.eax, 0xa0a0a0a0);
        EQ("saved ecx", tss.ecx, 0xa1a1a1a1);
        EQ("saved edx", tss.edx, 0xa2a2a2a2);
        EQ("saved ebx", tss.ebx, 0xa3a3a3a3);
        EQ("saved esp", tss.esp, TOP(stack_k));
        EQ("saved ebp", tss.ebp, 0xa5a5a5a5);
        EQ("saved esi", tss.esi, 0xa6a6a6a6);
        EQ("saved edi", tss.edi, 0xa7a7a7a7);
        EQ("saved es", tss.es, K_DS);
        EQ("saved cs", tss.cs, K_CS);
        EQ("saved ss", tss.ss, K_DS);
        EQ("saved ds", tss.ds, K_DS);
        EQ("saved fs", tss.fs, U_DS);
        EQ("saved gs", tss.gs, 3);
        EQ("cr3 is not saved", tss.cr3, 0x99999999);
        EQ("ldt is not saved", tss.ldt, 0x9999);
    } else {
        EQ("saved ip", tssa.ip, ip & 0xffff);
        EQ("saved flags", tssa.flags, flags & 0xffff);
        EQ("saved ax", tssa.ax, 0xa0a0);
        EQ("saved cx", tssa.cx, 0xa1a1);
        EQ("saved dx", tssa.dx, 0xa2a2);
        EQ("saved bx", tssa.bx, 0xa3a3);
        EQ("saved sp", tssa.sp, TOP(stack_k) & 0xffff);
        EQ("saved bp", tssa.bp, 0xa5a5);
        EQ("saved si", tssa.si, 0xa6a6);
        EQ("saved di", tssa.di, 0xa7a7);
        EQ("saved es", tssa.es, K_DS);
        EQ("saved cs", tssa.cs, K_CS);
        EQ("saved ss", tssa.ss, K_DS);
        EQ("saved ds", tssa.ds, K_DS);
        EQ("ldt is not saved", tssa.ldt, 0x9999);
    }
}
static u32 link_of(bool wide, struct tss32 *w, struct tss16 *n) { return wide ? w->link : n->link; }

// Table 7-2, figure 7-8; 7.3 for what is saved and loaded.
static const char *const sizes[4] = {"32 to 32", "32 to 16", "16 to 32", "16 to 16"};
static void ways_in(bool old32, bool new32, const char *sizes_name)
{
    static const struct {
        const char *name;
        const u8 *code;
        bool gate, nested, fault, ldt;
    } t[] = {
        {"JMP to a TSS", jmp_t, 0, 0},
        {"CALL to a TSS", call_t, 0, 1},
        {"JMP through a task gate", jmp_t, 1, 0},
        {"CALL through a task gate", call_t, 1, 1},
        {"CALL through a task gate in the LDT", call_t, 1, 1, 0, 1},
        {"INT n through a task gate", int_t, 0, 1},
        {"#UD through a task gate", fault_t, 0, 1, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        two(old32, new32, target);
        test2(t[i].name, sizes_name, "vol. 3 7.3, table 7-2");
        if (t[i].gate) {
            far_ptr.sel = t[i].ldt ? GATEL : GATE;
            set_desc(far_ptr.sel, gate(TSS2_SEL, 0xcccc, 0x85, 0));
        }
        idt[0x40] = gate(TSS2_SEL, 0, 0x85, 0);
        if (t[i].fault) idt[UD] = gate(TSS2_SEL, 0, 0x85, 0);
        wdr7(0x4ff);
        struct regs r = begin(t[i].code);
        run(&r);
        u32 dr7 = rdr7();
        wdr7(0x400);
        ends();
        loaded_is(new32);
        EQ("local breakpoints off", dr7, 0x4aa); // 17.2.4
        EQ("at", ev.r.ip, (new32 ? (u32)target : 0) + 3);
        EQ("eflags", ev.r.flags, F_1 | F_CF | F_ZF | (t[i].nested ? F_NT : 0));
        u32 len = t[i].code == int_t ? 2 : t[i].fault ? 0 : 6;
        saved_is(old32, (u32)t[i].code + len, F_1 | F_OF | F_PF);
        EQ("old busy", type_of(TSS_SEL), (old32 ? 0x89 : 0x81) | (t[i].nested ? 2 : 0));
        EQ("new busy", type_of(TSS2_SEL), new32 ? 0x8b : 0x83);
        EQ("link of the new", link_of(new32, &tss2, &tssh), t[i].nested ? TSS_SEL : 0x6666);
        EQ("link of the old", link_of(old32, &tss, &tssa), 0x7777);
    }
}

// IRET with NT: back to the task that the link names.
static void ways_out(bool old32, bool new32, const char *sizes_name)
{
    test2("IRET to the previous task", sizes_name, "vol. 3 7.4, table 7-2");
    two(old32, new32, target);
    if (old32)
        tss.link = TSS2_SEL;
    else
        tssa.link = TSS2_SEL;
    set_desc(TSS2_SEL, get_desc(TSS2_SEL) | 2ull << 40); // busy
    struct regs r = begin(iret_t);
    r.flags |= F_NT;
    run(&r);
    ends();
    loaded_is(new32);
    EQ("at", ev.r.ip, (new32 ? (u32)target : 0) + 3);
    EQ("eflags", ev.r.flags, F_1 | F_CF | F_ZF);
    saved_is(old32, (u32)iret_t + 1, F_1 | F_OF | F_PF); // NT is cleared in the image
    EQ("old busy", type_of(TSS_SEL), old32 ? 0x89 : 0x81);
    EQ("new busy", type_of(TSS2_SEL), new32 ? 0x8b : 0x83);
    EQ("link of the new", link_of(new32, &tss2, &tssh), 0x6666);
    EQ("link of the old", link_of(old32, &tss, &tssa), TSS2_SEL);

    test2("CALL and IRET", sizes_name, "vol. 3 7.4");
    two(old32, new32, back);
    if (!old32) { // the rest of the code must be reachable by a 16-bit IP
        set_desc(SPARE + 48, descriptor((u32)call_t & ~0xffff, 0xffff, 0x409b));
        set_desc(SPARE + 56, descriptor((u32)stack_k, 0xffff, 0x0093));
    }
    if (old32)
        tss.ldt = LDT_SEL, tss.cr3 = 0;
    else
        tssa.ldt = LDT_SEL;
    r = begin(call_t);
    if (!old32) {
        r.cs = SPARE + 48;
        r.ip = (u32)call_t & 0xffff;
        r.ss = SPARE + 56;
        r.sp = sizeof stack_k - 64;
    }
    run(&r);
    ends();
    EQ("at", ev.r.ip, (old32 ? (u32)call_t : (u32)call_t & 0xffff) + 8);
    BITS("eax", ev.r.ax, 0xa0a0a0a0, old32 ? ~0u : 0xffff);
    BITS("edi", ev.r.di, 0xa7a7a7a7, old32 ? ~0u : 0xffff);
    BITS("eflags", ev.r.flags, F_1 | F_OF | F_PF, ~0u);
    EQ("tr", task_register(), TSS_SEL);
    EQ("old busy", type_of(TSS_SEL), old32 ? 0x8b : 0x83);
    EQ("new busy", type_of(TSS2_SEL), new32 ? 0x89 : 0x81);
    u32 fl = new32 ? tss2.eflags : tssh.flags, ip = new32 ? tss2.eip : tssh.ip;
    EQ("NT cleared", fl, F_1 | F_CF | F_ZF);
    EQ("eip", ip, (new32 ? (u32)back : 0) + 1);
    far_ptr.sel = TSS2_SEL; // and again: goes on behind the IRET
    r.ip = old32 ? (u32)call_t : (u32)call_t & 0xffff;
    run(&r);
    ends();
    EQ("second time at", ev.r.ip, (new32 ? (u32)back : 0) + 5);
    EQ("second time tr", task_register(), TSS2_SEL);
}

static void nesting(void)
{
    struct regs r;
    test("three tasks deep and back", "vol. 3 7.4");
    two(1, 1, target_call);
    fill32(&tss3, back, TOP(stack_e));
    set_system_desc(TASK3, (u32)&tss3, 0x67, 0x89);
    idt[0x40] = gate(TSS2_SEL, 0, 0x85, 0);
    far_ptr.sel = TASK3;
    tss.ldt = LDT_SEL;
    r = begin(int_t);
    run(&r);
    ends();
    EQ("at", ev.r.ip, (u32)int_t + 4);
    EQ("link 2", tss2.link, TSS_SEL);
    EQ("link 3", tss3.link, TSS2_SEL);
    EQ("busy", type_of(TSS_SEL) << 16 | type_of(TSS2_SEL) << 8 | type_of(TASK3), 0x8b8989);
    EQ("flags 2", tss2.eflags & F_NT, 0);
    test("JMP out of a nested task leaves the chain", "vol. 3 table 7-2");
    two(1, 1, jmp_t);
    fill32(&tss3, target, TOP(stack_e));
    set_system_desc(TASK3, (u32)&tss3, 0x67, 0x89);
    idt[0x40] = gate(TSS2_SEL, 0, 0x85, 0);
    far_ptr.sel = TASK3;
    r = begin(int_t);
    run(&r);
    ends();
    EQ("tr", task_register(), TASK3);
    EQ("busy", type_of(TSS_SEL) << 16 | type_of(TSS2_SEL) << 8 | type_of(TASK3), 0x8b898b);
    EQ("NT is saved", tss2.eflags & F_NT, F_NT);
    BITS("NT of the new", ev.r.flags, 0, F_NT);
    EQ("link 2", tss2.link, TSS_SEL);
    EQ("link 3", tss3.link, 0);
    test("JMP to a task with NT in its image", "vol. 3 table 7-2");
    two(1, 1, target);
    tss2.eflags |= F_NT;
    r = begin(jmp_t);
    run(&r);
    ends();
    BITS("NT", ev.r.flags, F_NT, F_NT);
    test("a task does not call itself", "vol. 3 7.4");
    two(1, 1, target);
    far_ptr.sel = TSS_SEL;
    r = begin(call_t);
    run(&r);
    event_is(GP, TSS_SEL, call_t);
    EQ("link", tss.link, 0x7777);
    test("a task does not call one that called it", "vol. 3 7.4");
    two(1, 1, call_t);
    idt[0x40] = gate(TSS2_SEL, 0, 0x85, 0);
    far_ptr.sel = TSS_SEL;
    r = begin(int_t);
    run(&r);
    event_is(GP, TSS_SEL, call_t);
    EQ("tr", task_register(), TSS2_SEL);
}

// Table 7-1, first four rows: the old task's faults; nothing has changed.
static void refused(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u32 access, limit, sel; // of BAD; what far_ptr, gate or link names
        u32 gate;               // its access byte
        u32 vec, err, cpl;
    } t[] = {
        {"JMP, busy", jmp_t, 0x8b, 0x67, BAD, 0, GP, BAD},
        {"CALL, busy", call_t, 0x8b, 0x67, BAD, 0, GP, BAD},
        {"JMP, busy 16-bit", jmp_t, 0x83, 0x67, BAD, 0, GP, BAD},
        {"JMP, absent", jmp_t, 0x09, 0x67, BAD, 0, NP, BAD},
        {"CALL, absent", call_t, 0x01, 0x67, BAD, 0, NP, BAD},
        {"JMP, absent and busy", jmp_t, 0x0b, 0x67, BAD, 0, GP, BAD},
        {"JMP, limit 66h", jmp_t, 0x89, 0x66, BAD, 0, TS, BAD},
        {"CALL, limit 66h", call_t, 0x89, 0x66, BAD, 0, TS, BAD},
        {"JMP, 16-bit, limit 2Ah", jmp_t, 0x81, 0x2a, BAD, 0, TS, BAD},
        {"JMP, ring 3, DPL 0", jmp_t, 0x89, 0x67, BAD | 3, 0, GP, BAD, 3},
        {"JMP, RPL 3, DPL 0", jmp_t, 0x89, 0x67, BAD | 3, 0, GP, BAD},
        {"JMP, beyond the GDT", jmp_t, 0, 0, 0x400, 0, GP, 0x400},
        {"JMP, TSS in the LDT", jmp_t, 0x89, 0x67, TSSL, 0, GP, TSSL},
        {"gate, ring 3, DPL 0", jmp_t, 0x89, 0x67, BAD, 0x85, GP, GATE, 3},
        {"gate, absent", call_t, 0x89, 0x67, BAD, 0x05, NP, GATE},
        {"gate, absent and DPL 0", call_t, 0x89, 0x67, BAD, 0x05, GP, GATE, 3},
        {"gate to null", call_t, 0, 0, 0, 0x85, GP, 0},
        {"gate to the LDT", call_t, 0x89, 0x67, TSSL, 0x85, GP, TSSL},
        {"gate beyond the GDT", jmp_t, 0, 0, 0x400, 0x85, GP, 0x400},
        {"gate to data", jmp_t, 0x93, 0xfff, BAD, 0x85, GP, BAD},
        {"gate to an LDT", jmp_t, 0x82, 0xfff, BAD, 0x85, GP, BAD},
        {"gate to a busy TSS", jmp_t, 0x8b, 0x67, BAD, 0x85, GP, BAD},
        {"gate to an absent TSS", call_t, 0x09, 0x67, BAD, 0x85, NP, BAD},
        {"gate to a short TSS", call_t, 0x89, 0x66, BAD, 0x85, TS, BAD},
        {"INT, ring 3, gate DPL 0", int_t, 0x89, 0x67, BAD, 0x85, GP, 0x40 * 8 + 2, 3},
        {"INT, gate absent", int_t, 0x89, 0x67, BAD, 0x65, NP, 0x40 * 8 + 2, 3},
        {"INT, gate to null", int_t, 0, 0, 0, 0x85, GP, 0},
        {"INT, gate to the LDT", int_t, 0x89, 0x67, TSSL, 0x85, GP, TSSL},
        {"INT, gate to data", int_t, 0x93, 0x67, BAD, 0x85, GP, BAD},
        {"INT, gate beyond the GDT", int_t, 0, 0, 0x400, 0x85, GP, 0x400},
        {"INT, busy", int_t, 0x8b, 0x67, BAD, 0x85, GP, BAD},
        {"INT, absent", int_t, 0x09, 0x67, BAD, 0x85, NP, BAD},
        {"INT, limit 66h", int_t, 0x89, 0x66, BAD, 0x85, TS, BAD},
        {"#UD, busy", fault_t, 0x8b, 0x67, BAD, 0x85, GP, BAD + 1},
        {"#UD, absent", fault_t, 0x09, 0x67, BAD, 0x85, NP, BAD + 1},
        {"#UD, limit 66h", fault_t, 0x89, 0x66, BAD, 0x85, TS, BAD + 1},
        {"#UD, gate to the LDT", fault_t, 0x89, 0x67, TSSL, 0x85, GP, TSSL + 1},
        {"#UD, gate to null", fault_t, 0, 0, 0, 0x85, GP, 1},
        {"IRET, link to null", iret_t, 0, 0, 0, 0, TS, 0},
        {"IRET, link to the LDT", iret_t, 0x8b, 0x67, TSSL, 0, TS, TSSL},
        {"IRET, link beyond the GDT", iret_t, 0, 0, 0x400, 0, TS, 0x400},
        {"IRET, not busy", iret_t, 0x89, 0x67, BAD, 0, TS, BAD},
        {"IRET, link to data", iret_t, 0x93, 0x67, BAD, 0, TS, BAD},
        {"IRET, absent", iret_t, 0x0b, 0x67, BAD, 0, NP, BAD},
        {"IRET, limit 66h", iret_t, 0x8b, 0x66, BAD, 0, TS, BAD},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        two(1, 1, target);
        test2("refused,", t[i].name, "vol. 3 table 7-1, vol. 2 JMP, INT, IRET");
        struct tss32 before;
        if (t[i].access) set_desc(t[i].sel & ~3u, descriptor((u32)&tss2, t[i].limit, t[i].access));
        u64 desc = get_desc(BAD);
        struct regs r = begin(t[i].code);
        if (t[i].cpl) r = ring(3, t[i].code);
        if (t[i].code == jmp_t || t[i].code == call_t) {
            far_ptr.sel = t[i].gate ? GATE | t[i].cpl : t[i].sel;
            set_desc(GATE, gate(t[i].sel, 0, t[i].gate, 0));
        } else if (t[i].code == iret_t) {
            tss.link = t[i].sel;
            r.flags |= F_NT;
        } else {
            idt[t[i].code == int_t ? 0x40 : UD] = gate(t[i].sel, 0, t[i].gate, 0);
        }
        memcpy(&before, &tss, sizeof tss);
        run(&r);
        event_is(t[i].vec, t[i].err, t[i].code);
        EQ("tr", task_register(), TSS_SEL);
        EQ("old busy", type_of(TSS_SEL), 0x8b);
        BITS("descriptor", get_desc(BAD) ^ desc, 0, ~(1ull << 40)); // accessed, if it is data
        EQ("link", tss2.link, 0x6666);
        EQ("old TSS as before", memcmp(&before, &tss, sizeof tss), 0);
        BITS("TS", rcr0(), 0, CR0_TS);
    }
    test("limits that are just enough", "vol. 3 7.2.1, 7.6");
    two(1, 1, target);
    set_desc(TSS2_SEL, descriptor((u32)&tss2, 0x67, 0x89));
    struct regs r = begin(jmp_t);
    run(&r);
    ends();
    two(1, 0, target);
    set_desc(TSS2_SEL, descriptor((u32)&tssh, 0x2b, 0x81));
    run(&r);
    ends();
    test("a gate of DPL 3 lets ring 3 in", "vol. 3 7.2.5");
    two(1, 1, target);
    set_desc(GATE, gate(TSS2_SEL, 0, 0xe5, 0));
    far_ptr.sel = GATE | 3;
    r = ring(3, call_t);
    run(&r);
    ends();
    EQ("cs", ev.r.cs, K_CS);
    EQ("saved cs", tss.cs, U_CS);
    EQ("saved ss", tss.ss, U_DS);
    EQ("saved esp", tss.esp, TOP(stack3));
    test("IRET with NT at ring 3 switches too", "vol. 3 7.4");
    two(1, 1, target);
    tss.link = TSS2_SEL;
    set_desc(TSS2_SEL, get_desc(TSS2_SEL) | 2ull << 40);
    r = ring(3, iret_t);
    r.flags |= F_NT;
    run(&r);
    ends();
    EQ("tr", task_register(), TSS2_SEL);
    EQ("saved cs", tss.cs, U_CS);
}

// ---- faults of the new task: its handlers are tasks, as 6.15 #TS wants

static void exception_tasks(void)
{
    fill32(&tss3, NULL, TOP(stack_e));
    set_system_desc(TASK3, (u32)&tss3, 0x67, 0x89);
    for (unsigned v = TS; v <= PF; v++) idt[v] = gate(TASK3, 0, 0x85, 0);
}
// All vectors lead to one task, which tells by the error code only: the vector follows from the gate that has it.
static void only(unsigned vec)
{
    exception_tasks();
    tss3.eip = stub(vec);
    for (unsigned v = TS; v <= PF; v++)
        if (v != vec) set_gate(v, 0x8e, K_CS, 0);
}

static void faults_in_new(void)
{
    enum {
        LDT_ = OFFSET(struct tss32, ldt),
        CS_ = OFFSET(struct tss32, cs),
        SS_ = OFFSET(struct tss32, ss),
        DS_ = OFFSET(struct tss32, ds),
        ES_ = OFFSET(struct tss32, es),
        FS_ = OFFSET(struct tss32, fs),
        GS_ = OFFSET(struct tss32, gs)
    };
    static const struct {
        const char *name;
        u32 at, sel, access, vec, err; // vec END_VEC: goes through
    } t[] = {
        {"LDT null", LDT_, 0, 0, END_VEC},
        {"LDT in the LDT", LDT_, 0x0c, 0x82, TS, 0x0c},
        {"LDT beyond the GDT", LDT_, 0x400, 0, TS, 0x400},
        {"LDT is data", LDT_, BAD, 0x93, TS, BAD},
        {"LDT is a TSS", LDT_, BAD, 0x89, TS, BAD},
        {"LDT absent", LDT_, BAD, 0x02, TS, BAD},
        {"CS null", CS_, 0, 0, TS, 0},
        {"CS beyond the GDT", CS_, 0x400, 0, TS, 0x400},
        {"CS in the LDT", CS_, 0x0c, 0xc09b, END_VEC},
        {"CS beyond the LDT", CS_, 0x104, 0, TS, 0x104},
        {"CS is data", CS_, BAD, 0xc093, TS, BAD},
        {"CS is a TSS", CS_, BAD, 0x89, TS, BAD},
        {"CS RPL below DPL", CS_, BAD, 0xc0fb, TS, BAD},
        {"CS absent", CS_, BAD, 0xc01b, NP, BAD},
        {"CS conforming", CS_, BAD, 0xc09f, END_VEC},
        {"CS conforming, DPL above RPL", CS_, BAD, 0xc0ff, TS, BAD},
        {"CS execute-only", CS_, BAD, 0xc099, END_VEC},
        {"SS null", SS_, 0, 0, TS, 0},
        {"SS beyond the GDT", SS_, 0x400, 0, TS, 0x400},
        {"SS read-only", SS_, BAD, 0xc091, TS, BAD},
        {"SS code", SS_, BAD, 0xc09b, TS, BAD},
        {"SS RPL not CPL", SS_, BAD | 3, 0xc093, TS, BAD},
        {"SS DPL not CPL", SS_, BAD, 0xc0f3, TS, BAD},
        {"SS absent", SS_, BAD, 0xc013, SS, BAD},
        {"SS in the LDT", SS_, 0x0c, 0xc093, END_VEC},
        {"DS null", DS_, 0, 0, END_VEC},
        {"DS beyond the GDT", DS_, 0x400, 0, TS, 0x400},
        {"DS execute-only", DS_, BAD, 0xc099, TS, BAD},
        {"DS readable code", DS_, BAD, 0xc09b, END_VEC},
        {"DS RPL 3, DPL 0", DS_, BAD | 3, 0xc093, TS, BAD},
        {"DS RPL 3, conforming code", DS_, BAD | 3, 0xc09f, END_VEC},
        {"DS absent", DS_, BAD, 0xc013, NP, BAD},
        {"DS is a TSS", DS_, BAD, 0x89, TS, BAD},
        {"ES beyond the LDT", ES_, 0x104, 0, TS, 0x104},
        {"ES absent", ES_, BAD, 0xc013, NP, BAD},
        {"FS absent", FS_, BAD, 0xc013, NP, BAD},
        {"FS execute-only", FS_, BAD, 0xc099, TS, BAD},
        {"GS absent", GS_, BAD, 0xc013, NP, BAD},
        {"GS beyond the GDT", GS_, 0x400, 0, TS, 0x400},
    };
    static const struct {
        const char *name;
        const u8 *code;
        bool nested;
        u32 ext;
    } how[] = {{"JMP", jmp_t}, {"CALL", call_t, 1}, {"IRET", iret_t}, {"INT", int_t, 1}, {"#UD", fault_t, 1, 1}};
    for (unsigned h = 0; h < ARRAY_LEN(how); h++)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            if (h && t[i].vec == END_VEC) continue;
            test2(how[h].name, t[i].name, "vol. 3 7.3, table 7-1");
            two(1, 1, target);
            if (t[i].vec != END_VEC) only(t[i].vec);
            if (t[i].access) set_desc(t[i].sel, descriptor(0, 0xfffff, t[i].access));
            W16((u32)&tss2 + t[i].at) = t[i].sel;
            idt[0x40] = idt[UD] = gate(TSS2_SEL, 0, 0x85, 0);
            struct regs r = begin(how[h].code);
            if (how[h].code == iret_t) {
                tss.link = TSS2_SEL;
                set_desc(TSS2_SEL, get_desc(TSS2_SEL) | 2ull << 40);
                r.flags |= F_NT;
            }
            run(&r);
            if (t[i].vec == END_VEC) {
                ends();
                if (t[i].at == LDT_) EQ("ldtr", ldt_register(), t[i].sel);
                if (t[i].at == CS_) EQ("cs", ev.r.cs, t[i].sel);
                if (t[i].at == SS_) EQ("ss", ev.hss, t[i].sel);
                if (t[i].at == DS_) EQ("ds", ev.r.ds, t[i].sel);
                continue;
            }
            EQ("vector", ev.vec, t[i].vec);
            EQ("error code", W32(ev.hsp), t[i].err | how[h].ext);
            EQ("tr", task_register(), TASK3);
            EQ("link", tss3.link, TSS2_SEL);
            EQ("eip", tss2.eip, (u32)target);
            EQ("eax", tss2.eax, reg_of(0));
            EQ("esp", tss2.esp, TOP(stack1));
            BITS("eflags", tss2.eflags, F_1 | F_CF | F_ZF | (how[h].nested ? F_NT : 0), ~(u32)F_RF);
            EQ("selector", W16((u32)&tss2 + t[i].at), t[i].sel);
            EQ("cs", tss2.cs, t[i].at == CS_ ? t[i].sel : K_CS);
            EQ("busy", type_of(TSS_SEL) << 16 | type_of(TSS2_SEL) << 8 | type_of(TASK3),
               how[h].nested ? 0x8b8b8b : 0x898b8b);
            EQ("old saved", tss.eip, (u32)how[h].code + (h < 2 ? 6 : h == 2 ? 1 : h == 3 ? 2 : 0));
            if (how[h].nested) EQ("link of the new", tss2.link, TSS_SEL);
        }
}

static void more_faults(void)
{
    struct regs r;
    test("EIP outside the new CS", "vol. 2 JMP");
    two(1, 1, target);
    only(GP);
    set_desc(BAD, descriptor(0, 0xfff, 0x409b));
    tss2.cs = BAD;
    r = begin(jmp_t);
    run(&r);
    EQ("vector", ev.vec, GP);
    EQ("error code", W32(ev.hsp), 0);
    EQ("link", tss3.link, TSS2_SEL);
    EQ("eip", tss2.eip, (u32)target);
    test("ring 3 task, its own inner stack serves the fault", "vol. 3 7.3");
    two(1, 1, target);
    tss2.cs = U_CS;
    tss2.ss = U_DS;
    tss2.esp = TOP(stack3);
    tss2.esp0 = TOP(stack1) - 256;
    tss2.ds = BAD;
    set_desc(BAD, descriptor(0, 0xfffff, 0xc073));
    r = begin(jmp_t);
    run(&r);
    event_is(NP, BAD, target);
    EQ("sp", ev.hsp, TOP(stack1) - 256 - 24);
    EQ("cs", ev.r.cs, U_CS);
    EQ("ss", ev.r.ss, U_DS);
    EQ("esp", ev.r.sp, TOP(stack3));
    test("task of ring 3", "vol. 3 7.3");
    tss2.ds = U_DS;
    set_desc(TSS2_SEL, descriptor((u32)&tss2, sizeof tss2 - 1, 0x89));
    set_desc(TSS_SEL, get_desc(TSS_SEL) & ~(2ull << 40));
    asm_("ltr %0" ::"r"((u16)TSS_SEL));
    tss2.es = 0;
    run(&r);
    ends();
    EQ("cs", ev.r.cs, U_CS);
    EQ("ds", ev.r.ds, U_DS);
    EQ("sp", ev.hsp, TOP(stack1) - 256 - 20);
    test("ring 3 task with DS of ring 0", "vol. 3 table 7-1");
    two(1, 1, target);
    tss2.cs = U_CS;
    tss2.ss = U_DS;
    tss2.esp = TOP(stack3);
    tss2.ds = K_DS;
    run(&r);
    event_is(TS, K_DS, target);

    test("error code goes to the new task's stack", "vol. 3 6.12.2, 6.13");
    two(1, 1, NULL);
    tss2.eip = stub(GP);
    idt[GP] = gate(TSS2_SEL, 0, 0x85, 0);
    r = begin(jmp_t);
    far_ptr.sel = 0x7f8;
    run(&r);
    EQ("vector", ev.vec, GP);
    EQ("sp", ev.hsp, TOP(stack1) - 4);
    EQ("error code", W32(ev.hsp), 0x7f8);
    EQ("eip", tss.eip, (u32)jmp_t);
    EQ("link", tss2.link, TSS_SEL);
    test("error code to a 16-bit task", "vol. 3 6.13");
    two(1, 0, to_gp);
    idt[GP] = gate(TSS2_SEL, 0, 0x85, 0);
    far_ptr.sel = 0x7f8;
    r = begin(jmp_t);
    run(&r);
    EQ("vector", ev.vec, GP);
    EQ("sp", ev.hsp, sizeof stack1 - 64 - 2);
    EQ("error code", W16((u32)stack1 + ev.hsp), 0x7f8);
    test("double fault task", "vol. 3 6.15 #DF");
    two(1, 1, NULL);
    tss2.eip = stub(DF);
    idt[DF] = gate(TSS2_SEL, 0, 0x85, 0);
    idt[GP] = 0;
    idt[NP] = 0;
    r = begin(jmp_t);
    far_ptr.sel = 0x7f8;
    run(&r);
    EQ("vector", ev.vec, DF);
    EQ("error code", W32(ev.hsp), 0);
    EQ("eip", tss.eip, (u32)jmp_t);
    test("no room for the error code", "vol. 3 6.15 #SS");
    two(1, 1, target);
    set_desc(BAD, descriptor((u32)stack1, 0xfff, 0x4093));
    tss2.ss = BAD;
    tss2.esp = 0x1002;
    idt[GP] = gate(TSS2_SEL, 0, 0x85, 0);
    fill32(&tss3, (u8 *)stub(DF), TOP(stack_e)); // #SS while #GP is delivered: both contributory
    set_system_desc(TASK3, (u32)&tss3, 0x67, 0x89);
    idt[DF] = gate(TASK3, 0, 0x85, 0);
    far_ptr.sel = 0x7f8;
    r = begin(jmp_t);
    run(&r);
    EQ("vector", ev.vec, DF);
    EQ("link", tss3.link, TSS2_SEL);
    EQ("eip", tss2.eip, (u32)target);
    EQ("link of the new", tss2.link, TSS_SEL);

    test("T bit, #DB before the first instruction", "vol. 3 7.2.1, 17.3.1.5");
    two(1, 1, target);
    tss2.trap = 1;
    wdr6(0xffff0ff0);
    r = begin(jmp_t);
    run(&r);
    event_is(DB, NO_ERR, target);
    BITS("DR6.BT", rdr6(), 1 << 15, 0xe00f);
    EQ("tr", task_register(), TSS2_SEL);
    test("T bit by IRET", "vol. 3 17.3.1.5");
    two(1, 1, target);
    tss2.trap = 1;
    tss.link = TSS2_SEL;
    set_desc(TSS2_SEL, get_desc(TSS2_SEL) | 2ull << 40);
    wdr6(0xffff0ff0);
    r = begin(iret_t);
    r.flags |= F_NT;
    run(&r);
    event_is(DB, NO_ERR, target);
    BITS("DR6.BT", rdr6(), 1 << 15, 0xe00f);
    test("TF in the new task's EFLAGS", "vol. 3 17.3.1.4");
    two(1, 1, target);
    tss2.eflags |= F_TF;
    wdr6(0xffff0ff0);
    r = begin(jmp_t);
    run(&r);
    event_is(DB, NO_ERR, target + 1);
    BITS("DR6.BS", rdr6(), 1 << 14, 0xe00f);
    wdr6(0xffff0ff0);
    test("EFLAGS of the image are loaded whole", "vol. 3 7.3");
    two(1, 1, target);
    tss2.eflags = 0xffffffff & ~(F_VM | F_TF | F_IF);
    r = begin(jmp_t);
    run(&r);
    ends();
    BITS("eflags", ev.r.flags, 0x3c4cd7 | 0x1000 | 0x2000, 0x7fd5 | 1 << 15 | F_AC | 1 << 21 | 1 << 1);
}

// Interrupts from outside through a task gate.
static void hardware(void)
{
    test("timer interrupt through a task gate", "vol. 3 6.12.2");
    two(1, 1, NULL);
    tss2.eip = stub(0x30);
    idt[0x30] = gate(TSS2_SEL, 0, 0x85, 0);
    tss2.eflags = F_1;
    outb(0x20, 0x11);
    outb(0x21, 0x30);
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0x43, 0x30); // mode 0: once
    outb(0x40, 0x40);
    outb(0x40, 0);
    outb(0x21, 0xfe);
    struct regs r = begin(spin);
    run(&r);
    outb(0x21, 0xff);
    outb(0x20, 0x20);
    EQ("vector", ev.vec, 0x30);
    EQ("link", tss2.link, TSS_SEL);
    EQ("no error code", ev.hsp, TOP(stack1));
    BITS("IF saved", tss.eflags, F_IF, F_IF);
    BITS("IF of the new task", ev.hflags, F_NT, F_NT | F_IF);
    EQ("within the loop", tss.eip == (u32)spin + 1 || tss.eip == (u32)spin + 2, 1);
}

// ---- with paging

static u32 dir2[1024] PAGE_ALIGNED, table2[1024] PAGE_ALIGNED;
static u8 window[4096] PAGE_ALIGNED, other[4096] PAGE_ALIGNED;
CODE(read_window, "mov window_at,%eax\n mov (%eax),%eax");
u32 window_at = (u32)window;
static struct {
    u8 fill[4096 - 0x30];
    struct tss32 t;
} PACKED split PAGE_ALIGNED; // a TSS over two pages: EAX (28h) to EDX on the first, ESP on the second

static void paged(void)
{
    struct regs r;
    pages_on();
    W32(window) = 0x11111111;
    W32(other) = 0x22222222;
    memcpy(table2, page_table, sizeof table2);
    dir2[0] = (u32)table2 | P | PW | PU;
    dir2[1] = (u32)(page_table + 1024) | P | PW | PU;
    table2[(u32)window >> 12] = (u32)other | P | PW | PU;
    test("CR3 is loaded", "vol. 3 7.3");
    two(1, 1, read_window);
    tss2.cr3 = (u32)dir2;
    r = begin(jmp_t);
    W32(window) = W32(window); // in the TLB
    run(&r);
    ends();
    EQ("cr3", rcr3(), (u32)dir2);
    EQ("the other page", ev.r.ax, 0x22222222);
    wcr3((u32)page_dir);
    test("CR3 comes back by IRET", "vol. 3 7.4");
    two(1, 1, back);
    tss2.cr3 = (u32)dir2;
    tss.cr3 = (u32)page_dir;
    tss.ldt = LDT_SEL;
    r = begin(call_t);
    run(&r);
    ends();
    EQ("cr3", rcr3(), (u32)page_dir);
    EQ("window", W32(window), 0x11111111);
    EQ("image keeps its CR3", tss2.cr3, (u32)dir2);
    test("a 16-bit TSS leaves CR3", "vol. 3 7.6");
    two(1, 0, target);
    r = begin(jmp_t);
    run(&r);
    ends();
    EQ("cr3", rcr3(), (u32)page_dir);

    enum { ANY_W = 0x100 };
    static const struct {
        const char *name;
        const u8 *code;
        u32 which; // 0: new TSS, 1: its second page, 2: old TSS, 3: its second page
        u32 rights, err;
        bool wp;
    } t[] = {
        {"new TSS absent, JMP", jmp_t, 0, 0, 0},
        {"new TSS absent, CALL", call_t, 0, 0, ANY_W}, // read, and written for the link: the order is the processor's
        {"second page of the new TSS absent", jmp_t, 1, 0, 0},
        {"old TSS read-only with WP", jmp_t, 2, P | PU, E_P | E_W, 1},
        {"second page of the old TSS absent", jmp_t, 3, 0, E_W},
        {"new TSS read-only with WP, CALL", call_t, 0, P | PU, E_P | E_W, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test2("#PF in the old task,", t[i].name, "vol. 3 7.3");
        two(1, 1, target);
        memset(&split, 0, sizeof split);
        if (t[i].which < 2) {
            memcpy(&split.t, &tss2, sizeof tss2);
            set_desc(TSS2_SEL, descriptor((u32)&split.t, 0x67, 0x89));
        } else {
            memcpy(&split.t, &tss, sizeof tss);
            set_desc(TSS_SEL, descriptor((u32)&split.t, sizeof tss - 1, 0x89));
            asm_("ltr %0" ::"r"((u16)TSS_SEL));
        }
        u8 *page = (u8 *)&split + (t[i].which & 1 ? 4096 : 0);
        if (t[i].wp) wcr0(rcr0() | CR0_WP);
        page_set(page, t[i].rights);
        r = begin(t[i].code);
        run(&r);
        wcr0(rcr0() & ~(ul)CR0_WP);
        page_set(page, P | PW | PU);
        event_is(PF, t[i].err == ANY_W ? frame32(0) & E_W : t[i].err, t[i].code);
        EQ("cr2 is on the page", (u32)ev.cr2 & ~0xfff, (u32)page);
        EQ("tr", task_register(), TSS_SEL);
        EQ("busy", type_of(TSS_SEL) << 8 | type_of(TSS2_SEL), 0x8b89);
        EQ("registers", ev.r.cx, 0xa1a1a1a1);
    }
    test("JMP reads the new TSS only, read-only with WP", "vol. 3 7.3");
    two(1, 1, target);
    memcpy(&split.t, &tss2, sizeof tss2);
    set_desc(TSS2_SEL, descriptor((u32)&split.t, 0x67, 0x89));
    page_set(&split, P | PU);
    wcr0(rcr0() | CR0_WP);
    r = begin(jmp_t);
    run(&r);
    wcr0(rcr0() & ~(ul)CR0_WP);
    page_set(&split, P | PW | PU);
    ends();
    EQ("tr", task_register(), TSS2_SEL);
    test("TSSs are the supervisor's, even from ring 3", "vol. 3 4.6.1");
    two(1, 1, target);
    page_set(&tss2, P | PW);
    page_set(&tss, P | PW);
    page_set(gdt, P | PW);
    page_set(idt, P | PW);
    idt[0x40] = gate(TSS2_SEL, 0, 0xe5, 0);
    r = ring(3, int_t);
    run(&r);
    pages_reset();
    pages_flush();
    ends();
    EQ("tr", task_register(), TSS2_SEL);
    test("new stack absent, #PF in the new task when it pushes", "vol. 3 7.3");
    two(1, 1, target);
    tss2.esp = (u32)other + 2048;
    idt[GP] = gate(TSS2_SEL, 0, 0x85, 0);
    fill32(&tss3, (u8 *)stub(PF), TOP(stack_e));
    set_system_desc(TASK3, (u32)&tss3, 0x67, 0x89);
    idt[PF] = gate(TASK3, 0, 0x85, 0);
    far_ptr.sel = 0x7f8;
    page_set(other, 0);
    r = begin(jmp_t);
    run(&r);
    page_set(other, P | PW | PU);
    EQ("vector", ev.vec, PF);
    EQ("error code", W32(ev.hsp), E_W);
    EQ("cr2", ev.cr2, (u32)other + 2044);
    EQ("link", tss3.link, TSS2_SEL);
    EQ("eip", tss2.eip, (u32)target);
    EQ("esp", tss2.esp, (u32)other + 2048);
    test("code absent, #PF at the new task's first instruction", "vol. 3 7.3");
    two(1, 1, other);
    page_set(other, 0);
    r = begin(jmp_t);
    run(&r);
    page_set(other, P | PW | PU);
    event_is(PF, 0, other);
    EQ("cr2", ev.cr2, (u32)other);
    EQ("tr", task_register(), TSS2_SEL);
    pages_off();
}

void test_main(void)
{
    for (unsigned i = 0; i < 4; i++) {
        ways_in(!(i & 2), !(i & 1), sizes[i]);
        ways_out(!(i & 2), !(i & 1), sizes[i]);
    }
    nesting();
    refused();
    faults_in_new();
    more_faults();
    hardware();
    paged();
    reset_tables();
}
