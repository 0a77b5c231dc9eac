// SPDX-License-Identifier: MIT
// Virtual-8086 mode: ways in and out, what is IOPL-sensitive, the virtual interrupt flag (VME; PVI in protected mode),
// redirected interrupts, the I/O permission bitmap. SDM vol. 3 chapter 20, tables 20-2 and 20-3 for VME.
#include "tests/insn/sys/sys.h"

enum {
    CODE_SEG = 0x2000,
    IVT_SEG = 0x3000,
    STACK_SEG = 0x4000,
    DS_SEG = 0x5000,
    ES_SEG = 0x5100,
    FS_SEG = 0x5200,
    GS_SEG = 0x5300,
    IP0 = 0x10,
    SP0 = 0x1000
};
// Code that ends with INT3, which IOPL does not concern.
#define V86(name, text)                                                                                                \
    asm(".pushsection .snip,\"ax\"\n.balign 16\n.code16\n.globl " #name "\n" #name ":\n" text "\nint3\n.globl " #name  \
        "_end\n" #name "_end:\n.code32\n.popsection\n");                                                               \
    extern u8 name[], name##_end[]

static struct regs enter_(const u8 *code, const u8 *end, u32 iopl)
{
    place(CODE_SEG * 16 + IP0, code, end);
    return (struct regs){.ip = IP0,
                         .cs = CODE_SEG,
                         .ss = STACK_SEG,
                         .sp = SP0,
                         .ds = DS_SEG,
                         .es = ES_SEG,
                         .fs = FS_SEG,
                         .gs = GS_SEG,
                         .flags = F_1 | F_VM | iopl << 12};
}
#define ENTER(code, iopl) enter_(code, code##_end, iopl)
#define AT(code, label)   ((void *)(ul)(label - code + IP0))
#define V_ENDS(code)      event_is(BP, NO_ERR, AT(code, code##_end))
static u16 stack16(u32 at) { return W16(STACK_SEG * 16 + at); }

V86(v_nop, "nop");
V86(v_cli, "cli");
V86(v_sti, "sti");
V86(v_pushf, "pushf\n pop %bx");
V86(v_pushfl, "pushfl\n pop %ebx");
V86(v_popf, "push %eax\n.globl v_popf_at\nv_popf_at: popf");
V86(v_popfl, "push %eax\n.globl v_popfl_at\nv_popfl_at: popfl");
V86(v_iret, "push %ax\n push %cs\n pushw $(1f-v_iret+0x10)\n.globl v_iret_at\nv_iret_at: iret\n hlt\n1:");
V86(v_iretl,
    "push %eax\n pushl $0x12342000\n pushl $(1f-v_iretl+0x10)\n.globl v_iretl_at\nv_iretl_at: iretl\n hlt\n1:");
V86(v_int, "int $0x40");
V86(v_int20, "int $0x20");
V86(v_into, "mov $0x7f,%al\n add $1,%al\n into");
V86(v_int1, ".byte 0xf1");
V86(v_div, "xor %cx,%cx\n.globl v_div_at\nv_div_at: div %cx");
extern u8 v_popf_at[], v_popfl_at[], v_iret_at[], v_iretl_at[], v_div_at[];

// ---- in and out

static void frame_of_gs_to_ip(u32 hsp, const struct regs *r, u32 ip)
{
    EQ("handler's stack", hsp, TOP(stack0) - 36);
    EQ("eip", frame32(0), ip);
    EQ("cs", frame32(1) & 0xffff, r->cs);
    EQ("eflags", frame32(2), r->flags);
    EQ("esp", frame32(3), r->sp);
    EQ("ss", frame32(4) & 0xffff, r->ss);
    EQ("es", frame32(5) & 0xffff, r->es);
    EQ("ds", frame32(6) & 0xffff, r->ds);
    EQ("fs", frame32(7) & 0xffff, r->fs);
    EQ("gs", frame32(8) & 0xffff, r->gs);
}
V86(v_segs,
    "movb $1,%cs:0x8000\n movb $2,%ds:0x100\n movb $3,%es:0x100\n movb $4,%fs:0x100\n movb $5,%gs:0x100\n push $0x666");
V86(v_load,
    "mov %ax,%ds\n movb $0x77,0x10\n mov %bx,%es\n movb $0x78,%es:0x20\n push %cx\n pop %ss\n nop\n push $0x79");
V86(v_far, "lcall $0x3000,$0x200\n nop");
V86(v_jmp, "ljmp $0x3001,$0x200");
V86(v_retf, "push $0x3002\n push $0x210\n lret $4");
V86(v_top, "mov (0xffff),%ax");
V86(v_top4, "mov (0xfffd),%eax");
V86(v_top_ok, "mov (0xfffe),%ax");
V86(v_over, "mov (%ebx),%al");
V86(v_stack, "mov %ss:(0xffff),%ax");
V86(v_push, "push %ax");
V86(v_pushl, "push %eax");
V86(v_step, "nop\n nop");
static void modes(void)
{
    struct regs r;
    test("IRET to virtual-8086 mode, interrupt out of it", "vol. 3 20.2, figure 20-3");
    r = ENTER(v_nop, 3);
    r.flags |= F_CF | F_AC | F_IF;
    r.ax = 0x12345678;
    run(&r);
    u32 es = ev.r.es, fs = ev.r.fs, gs = ev.r.gs, ds = ev.r.ds;
    EQ("vector", ev.vec, BP);
    frame_of_gs_to_ip(ev.hsp, &r, IP0 + 2);
    EQ("handler's cs", ev.hcs, K_CS);
    EQ("handler's ss", ev.hss, K_DS);
    EQ("handler's es, fs, gs, ds are null", es | fs | gs | ds, 0);
    BITS("handler's VM", ev.hflags, 0, F_VM);
    BITS("IF cleared by the interrupt gate", ev.hflags, 0, F_IF);
    EQ("eax", ev.r.ax, 0x12345678);
    V_ENDS(v_nop);
    EQ("handler's stack is in memory as words of 4 bytes", W32(TOP(stack0) - 4) & 0xffff, GS_SEG);
    test("all selectors are paragraphs", "vol. 3 20.1.1");
    r = ENTER(v_segs, 0);
    run(&r);
    V_ENDS(v_segs);
    EQ("cs", W8(CODE_SEG * 16 + 0x8000), 1);
    EQ("ds", W8(DS_SEG * 16 + 0x100), 2);
    EQ("es", W8(ES_SEG * 16 + 0x100), 3);
    EQ("fs", W8(FS_SEG * 16 + 0x100), 4);
    EQ("gs", W8(GS_SEG * 16 + 0x100), 5);
    EQ("ss", stack16(SP0 - 2), 0x666);
    test("loads of segment registers", "vol. 3 20.1.1");
    r = ENTER(v_load, 0);
    r.ax = 0x5557;
    r.bx = 0x5fff;
    r.cx = 0x4123;
    run(&r);
    V_ENDS(v_load);
    EQ("ds", W8(0x55570 + 0x10), 0x77);
    EQ("es", W8(0x5fff0 + 0x20), 0x78);
    EQ("ss", W16(0x41230 + SP0 - 2), 0x79);
    EQ("ss pushed", ev.r.ss, 0x4123);
    EQ("ds pushed", ev.r.ds, 0x5557);
    test("far call", "vol. 3 20.1.1");
    r = ENTER(v_far, 0);
    run(&r);
    event_is(BP, NO_ERR, (void *)0x201);
    EQ("cs", ev.r.cs, 0x3000);
    EQ("return ip", stack16(SP0 - 4), IP0 + 5);
    EQ("return cs", stack16(SP0 - 2), CODE_SEG);
    test("far jump", "vol. 3 20.1.1");
    r = ENTER(v_jmp, 0);
    run(&r);
    event_is(BP, NO_ERR, (void *)0x201);
    EQ("cs", ev.r.cs, 0x3001);
    test("far return", "vol. 3 20.1.1");
    r = ENTER(v_retf, 0);
    run(&r);
    event_is(BP, NO_ERR, (void *)0x211);
    EQ("cs", ev.r.cs, 0x3002);
    EQ("sp", ev.r.sp, SP0 + 4);
    static const struct {
        const char *name;
        const u8 *code, *end;
        u32 sp, bx, vec;
    } t[] = {
        {"word at FFFFh", v_top, v_top_end, SP0, 0, GP},
        {"dword at FFFDh", v_top4, v_top4_end, SP0, 0, GP},
        {"word at FFFEh", v_top_ok, v_top_ok_end, SP0, 0, BP},
        {"32-bit address at FFFFh", v_over, v_over_end, SP0, 0xffff, BP},
        {"32-bit address over 64 KB", v_over, v_over_end, SP0, 0x10000, GP},
        {"stack word at FFFFh", v_stack, v_stack_end, SP0, 0, SS},
        {"PUSH at SP 0", v_push, v_push_end, 0, 0, BP},
        {"PUSH at SP 1", v_push, v_push_end, 1, 0, SS},
        {"PUSH of a dword at SP 2", v_pushl, v_pushl_end, 2, 0, SS},
        {"PUSH at ESP 10002h uses SP", v_push, v_push_end, 0x10002, 0, BP},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 20.1.1, 20.2.7");
        r = enter_(t[i].code, t[i].end, 0);
        r.sp = t[i].sp;
        r.bx = t[i].bx;
        r.ax = 0x1234;
        run(&r);
        event_is(t[i].vec, t[i].vec == BP ? NO_ERR : 0,
                 (void *)(ul)(IP0 + (t[i].vec == BP ? t[i].end - t[i].code : 0)));
        if (t[i].code == v_push && t[i].vec == BP) {
            EQ("sp", ev.r.sp, t[i].sp ? t[i].sp - 2 : 0xfffe);
            EQ("pushed", stack16((t[i].sp - 2) & 0xffff), 0x1234);
        }
    }
    test("IRET to an IP over 64 KB", "vol. 2 IRET");
    r = ENTER(v_nop, 0);
    r.ip = 0x10010;
    run(&r);
    EQ("vector", ev.vec, GP);
    EQ("error code", frame32(0), 0);
    EQ("in ring 0", frame32(2) & 0xffff, K_CS);
    BITS("still protected mode", frame32(3), 0, F_VM);
    test("single step", "vol. 3 17.3.1.4");
    wdr6(0xffff0ff0);
    r = ENTER(v_step, 0);
    r.flags |= F_TF;
    run(&r);
    event_is(DB, NO_ERR, (void *)IP0 + 1);
    BITS("DR6.BS", rdr6(), 1 << 14, 0xe00f);
    BITS("TF in the image", ev.r.flags, F_TF | F_VM, F_TF | F_VM);
    wdr6(0xffff0ff0);
}

// ---- faults and privileged instructions

#define P(name, text) V86(v_##name, text)
P(hlt, "hlt");
P(cr, "mov %cr0,%eax");
P(cr_w, "mov %eax,%cr0");
P(dr, "mov %dr0,%eax");
P(lgdt, "lgdt 0");
P(lidt, "lidt 0");
P(lmsw, "lmsw %ax");
P(clts, "clts");
P(invd, "invd");
P(wbinvd, "wbinvd");
P(invlpg, "invlpg 0");
P(wrmsr, "wrmsr");
P(rdmsr, "rdmsr");
P(sysexit, "sysexit");
P(sysenter, "sysenter");
P(lar, "lar %ax,%bx");
P(lsl, "lsl %ax,%bx");
P(verr, "verr %ax");
P(verw, "verw %ax");
P(sldt, "sldt %ax");
P(str, "str %ax");
P(lldt, "lldt %ax");
P(ltr, "ltr %ax");
P(arpl, ".byte 0x63,0xc0");
P(ud2, "ud2");
P(lock, ".byte 0xf0\n nop");
P(smsw, "smsw %ax");
P(sgdt, "sgdt 0");
P(sidt, "sidt 0");
P(cpuid, "cpuid");
P(rdtsc, "rdtsc");
P(lahf, "lahf\n sahf");
static void refused(void)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
        u32 vec;
    } t[] = {
#define R(n, v) {#n, v_##n, v_##n##_end, v}
        R(hlt, GP),      R(cr, GP),    R(cr_w, GP),   R(dr, GP),     R(lgdt, GP),  R(lidt, GP),  R(lmsw, GP),
        R(clts, GP),     R(invd, GP),  R(wbinvd, GP), R(invlpg, GP), R(wrmsr, GP), R(rdmsr, GP), R(sysexit, GP),
        R(sysenter, GP), R(lar, UD),   R(lsl, UD),    R(verr, UD),   R(verw, UD),  R(sldt, UD),  R(str, UD),
        R(lldt, UD),     R(ltr, UD),   R(arpl, UD),   R(ud2, UD),    R(lock, UD),  R(smsw, BP),  R(sgdt, BP),
        R(sidt, BP),     R(cpuid, BP), R(rdtsc, BP),  R(lahf, BP),
#undef R
#undef P
    };
    wrmsr(0x174, 0); // SYSENTER: #GP if CS is null
    for (unsigned iopl = 0; iopl <= 3; iopl += 3)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            test2(iopl ? "IOPL 3," : "IOPL 0,", t[i].name, "vol. 3 20.2.8, vol. 2");
            struct regs r = enter_(t[i].code, t[i].end, iopl);
            run(&r);
            event_is(t[i].vec, t[i].vec == GP ? 0 : NO_ERR,
                     (void *)(ul)(IP0 + (t[i].vec == BP ? t[i].end - t[i].code : 0)));
        }
    test("RDTSC with CR4.TSD", "vol. 2 RDTSC");
    wcr4(rcr4() | CR4_TSD);
    struct regs r = ENTER(v_rdtsc, 3);
    run(&r);
    event_is(GP, 0, AT(v_rdtsc, v_rdtsc));
    wcr4(rcr4() & ~(ul)CR4_TSD);
}

static struct tss32 tss_other __attribute__((aligned(128)));
static void fill_task(struct tss32 *t, unsigned vec)
{
    memset(t, 0, sizeof *t);
    t->eip = stub(vec);
    t->eflags = F_1;
    t->cs = K_CS;
    t->ss = t->ds = t->es = K_DS;
    t->esp = TOP(stack1);
    t->cr3 = rcr3();
}
static void delivery(void)
{
    struct regs r;
    test("#DE", "vol. 3 20.3.1");
    r = ENTER(v_div, 0);
    run(&r);
    event_is(DE, NO_ERR, AT(v_div, v_div_at));
    EQ("stack", ev.hsp, TOP(stack0) - 36);
    BITS("eflags", ev.r.flags, F_VM | F_RF, F_VM | F_RF | F_IOPL);
    test("error codes lie below the frame", "vol. 3 20.3.1");
    r = ENTER(v_hlt, 0);
    run(&r);
    event_is(GP, 0, AT(v_hlt, v_hlt));
    EQ("stack", ev.hsp, TOP(stack0) - 40);
    test("INT3 and INT1 at IOPL 0", "vol. 3 20.2.8");
    r = ENTER(v_int1, 0);
    run(&r);
    event_is(DB, NO_ERR, (void *)IP0 + 1);
    test("INT3 looks at the gate's DPL", "vol. 2 INT");
    set_gate(BP, 0x8e, K_CS, 0);
    r = ENTER(v_nop, 3);
    run(&r);
    event_is(GP, BP * 8 + 2, (void *)IP0 + 1);
    set_gate(BP, 0xee, K_CS, 0);
    test("INTO at IOPL 0", "vol. 2 INT");
    set_gate(OF, 0xee, K_CS, 0);
    r = ENTER(v_into, 0);
    run(&r);
    event_is(OF, NO_ERR, (void *)IP0 + 5);
    test("INT n, IOPL 3, gate of DPL 3", "vol. 3 20.3.1");
    r = ENTER(v_int20, 3);
    run(&r);
    event_is(END_VEC, NO_ERR, (void *)IP0 + 2);
    test("INT n, IOPL 3, gate of DPL 0", "vol. 3 20.3.1");
    r = ENTER(v_int, 3);
    run(&r);
    event_is(GP, 0x40 * 8 + 2, (void *)IP0);
    test("INT n, IOPL 0 to 2", "vol. 3 20.3.1");
    for (unsigned i = 0; i < 3; i++) {
        r = ENTER(v_int20, i);
        run(&r);
        event_is(GP, 0, (void *)IP0);
    }
    test("trap gate keeps IF", "vol. 3 20.3.1.1");
    set_gate(END_VEC, 0xef, K_CS, 0);
    r = ENTER(v_int20, 3);
    r.flags |= F_IF;
    run(&r);
    event_is(END_VEC, NO_ERR, (void *)IP0 + 2);
    BITS("IF", ev.hflags, F_IF, F_IF | F_VM);
    static const struct {
        const char *name;
        u32 access, sel, vec, err;
    } t[] = {
        {"handler of ring 3", 0xc0fb, SPARE | 3, GP, SPARE},
        {"handler of ring 1", 0xc0bb, SPARE | 1, GP, SPARE},
        {"conforming handler of ring 0", 0xc09f, SPARE, GP, SPARE},
        {"conforming handler of ring 3", 0xc0ff, SPARE | 3, GP, SPARE},
        {"absent handler", 0xc01b, SPARE, NP, SPARE},
        {"handler is data", 0xc093, SPARE, GP, SPARE},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 INT, INTRA and INTER-PRIVILEGE");
        set_desc(SPARE, descriptor(0, 0xfffff, t[i].access));
        set_gate(END_VEC, 0xee, t[i].sel, 0);
        r = ENTER(v_int20, 3);
        run(&r);
        event_is(t[i].vec, t[i].err, (void *)IP0);
        BITS("from virtual-8086 mode", ev.r.flags, F_VM, F_VM);
    }
    set_gate(END_VEC, 0xee, K_CS, 0);
    static const struct {
        const char *name;
        u32 ss0, access, limit, vec, err;
    } s[] = {
        {"inner stack null", 0, 0, 0, TS, 0},
        {"inner stack of ring 3", SPARE | 3, 0xc0f3, 0xfffff, TS, SPARE},
        {"inner stack absent", SPARE, 0xc013, 0xfffff, SS, SPARE},
        {"inner stack read-only", SPARE, 0xc091, 0xfffff, TS, SPARE},
        {"inner stack too small", SPARE, 0x4093, 0xff, SS, SPARE},
    };
    for (unsigned i = 0; i < ARRAY_LEN(s); i++) { // the faults themselves need a stack: a task takes them
        test(s[i].name, "vol. 2 INT, INTER-PRIVILEGE");
        fill_task(&tss2, s[i].vec);
        fill_task(&tss_other, 0x99);
        set_desc(SPARE + 8, descriptor((u32)&tss_other, 0x67, 0x89));
        for (unsigned v = TS; v <= GP; v++) idt[v] = gate(v == s[i].vec ? TSS2_SEL : SPARE + 8, 0, 0x85, 0);
        if (s[i].access) set_desc(SPARE, descriptor(0, s[i].limit, s[i].access));
        tss.ss0 = s[i].ss0;
        r = ENTER(v_int20, 3);
        run(&r);
        EQ("vector", ev.vec, s[i].vec);
        EQ("error code", W32(ev.hsp), s[i].err);
        EQ("saved eip", tss.eip, IP0);
        EQ("saved cs", tss.cs, CODE_SEG);
        EQ("saved ss", tss.ss, STACK_SEG);
        EQ("saved gs", tss.gs, GS_SEG);
        BITS("saved eflags", tss.eflags, F_VM | F_IOPL | F_1, ~(u32)F_RF);
        reset_tables();
        set_gate(BP, 0xee, K_CS, 0);
    }
    test("16-bit gate", "vol. 3 20.3.1.1, 21.4");
    // a 16-bit gate's offset reaches 64 KB: the handler there goes on to the common one
    static const u8 far_jump[] = {0x6a, END_VEC, 0xea};
    memcpy((void *)0x3800, far_jump, 3);
    W32(0x3803) = stub(END_VEC) + 2;
    W16(0x3807) = K_CS;
    idt[END_VEC] = gate(K_CS, 0x3800, 0xe6, 0);
    r = ENTER(v_int20, 3);
    r.flags |= F_CF;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    EQ("stack", ev.hsp, TOP(stack0) - 18);
    static const u16 want[9] = {IP0 + 2, CODE_SEG, F_IOPL | F_1 | F_CF, SP0, STACK_SEG, ES_SEG, DS_SEG, FS_SEG, GS_SEG};
    for (unsigned i = 0; i < 9; i++) EQ("frame", frame16(i), want[i]);
    set_gate(END_VEC, 0xee, K_CS, 0);
}

// ---- task switches

CODE(jmp_task, "ljmp $0x48,$0");
CODE(iret_back, "iret");
static void fill_v86_task(const u8 *code, const u8 *end)
{
    place(CODE_SEG * 16 + IP0, code, end);
    memset(&tss2, 0, sizeof tss2);
    tss2.eip = IP0;
    tss2.eflags = F_1 | F_VM | F_ZF;
    tss2.cs = CODE_SEG;
    tss2.ss = STACK_SEG;
    tss2.ds = DS_SEG;
    tss2.es = ES_SEG;
    tss2.fs = FS_SEG;
    tss2.gs = GS_SEG;
    tss2.esp = SP0;
    tss2.esp0 = TOP(stack1);
    tss2.ss0 = K_DS;
    tss2.ldt = LDT_SEL;
    tss2.cr3 = rcr3();
    tss2.iomap = OFFSET(struct tss32, io);
}
static void tasks(void)
{
    struct regs r;
    test("task switch into virtual-8086 mode", "vol. 3 20.2.4");
    fill_v86_task(v_segs, v_segs_end);
    memset((void *)(DS_SEG * 16), 0, 0x3200);
    r = ring(0, jmp_task);
    run(&r);
    V_ENDS(v_segs);
    EQ("cs", ev.r.cs, CODE_SEG);
    EQ("ds", W8(DS_SEG * 16 + 0x100), 2);
    EQ("gs", W8(GS_SEG * 16 + 0x100), 5);
    EQ("ss", stack16(SP0 - 2), 0x666);
    EQ("stack", ev.hsp, TOP(stack1) - 36);
    BITS("eflags", ev.r.flags, F_VM | F_ZF, F_VM | F_ZF | F_IOPL | F_NT);
    reset_tables();
    set_gate(BP, 0xee, K_CS, 0);
    test("task gate out of virtual-8086 mode and back", "vol. 3 20.3.2");
    fill_task(&tss2, 0);
    tss2.eip = (u32)iret_back;
    tss.ldt = LDT_SEL;
    tss.cr3 = rcr3();
    idt[END_VEC] = gate(TSS2_SEL, 0, 0xe5, 0);
    r = ENTER(v_int20, 3);
    r.cx = 0x87654321;
    run(&r);
    V_ENDS(v_int20);
    EQ("link", tss2.link, TSS_SEL);
    EQ("ecx", ev.r.cx, 0x87654321);
    EQ("cs", ev.r.cs, CODE_SEG);
    EQ("es", ev.r.es, ES_SEG);
    BITS("eflags", ev.r.flags, F_VM | F_IOPL, F_VM | F_IOPL | F_NT);
    EQ("saved in the old TSS", tss.ds, DS_SEG);
    reset_tables();
    set_gate(BP, 0xee, K_CS, 0);
}

// ---- the I/O permission bitmap

V86(v_in1, "in %dx,%al");
V86(v_in2, "in %dx,%ax");
V86(v_in4, "in %dx,%eax");
V86(v_out1, "out %al,%dx");
V86(v_out2, "out %ax,%dx");
V86(v_out4, "out %eax,%dx");
V86(v_in_imm, "in $0x80,%al");
V86(v_insb, "insb");
V86(v_outsw, "outsw");
V86(v_rep_outsb, "rep outsb");
static void io_map(void)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
        u32 port, allowed; // bits of ports 80h to 8Fh that are let
        bool ok;
    } t[] = {
        {"byte let", v_in1, v_in1_end, 0x80, 0x0001, 1},
        {"byte refused", v_in1, v_in1_end, 0x81, 0x0001, 0},
        {"immediate port", v_in_imm, v_in_imm_end, 0, 0x0001, 1},
        {"immediate port refused", v_in_imm, v_in_imm_end, 0, 0xfffe, 0},
        {"word let", v_in2, v_in2_end, 0x80, 0x0003, 1},
        {"word, second byte refused", v_in2, v_in2_end, 0x80, 0x0001, 0},
        {"word, first byte refused", v_in2, v_in2_end, 0x80, 0x0002, 0},
        {"dword let", v_in4, v_in4_end, 0x80, 0x000f, 1},
        {"dword, last byte refused", v_in4, v_in4_end, 0x80, 0x0007, 0},
        {"word over two bytes of the map", v_in2, v_in2_end, 0x87, 0x0180, 1},
        {"word over two bytes, second refused", v_in2, v_in2_end, 0x87, 0x0080, 0},
        {"dword over two bytes of the map", v_in4, v_in4_end, 0x85, 0x01e0, 1},
        {"dword over two bytes, last refused", v_in4, v_in4_end, 0x85, 0x00e0, 0},
        {"OUT byte let", v_out1, v_out1_end, 0x80, 0x0001, 1},
        {"OUT byte refused", v_out1, v_out1_end, 0x80, 0xfffe, 0},
        {"OUT word refused", v_out2, v_out2_end, 0x80, 0x0001, 0},
        {"OUT dword refused", v_out4, v_out4_end, 0x84, 0x00e0, 0},
        {"INS let", v_insb, v_insb_end, 0x80, 0x0001, 1},
        {"INS refused", v_insb, v_insb_end, 0x80, 0xfffe, 0},
        {"OUTS refused", v_outsw, v_outsw_end, 0x80, 0x0001, 0},
        {"REP OUTS let", v_rep_outsb, v_rep_outsb_end, 0x80, 0x0001, 1},
        {"REP OUTS refused", v_rep_outsb, v_rep_outsb_end, 0x80, 0xfffe, 0},
    };
    struct regs r;
    for (unsigned iopl = 0; iopl <= 3; iopl += 3)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            test2(iopl ? "I/O at IOPL 3," : "I/O at IOPL 0,", t[i].name, "vol. 3 20.2.8.1, vol. 1 19.5.2");
            tss.io[0x10] = ~t[i].allowed;
            tss.io[0x11] = ~t[i].allowed >> 8;
            r = enter_(t[i].code, t[i].end, iopl);
            r.dx = t[i].port;
            r.cx = 3;
            run(&r);
            if (t[i].ok)
                event_is(BP, NO_ERR, (void *)(ul)(IP0 + (t[i].end - t[i].code)));
            else
                event_is(GP, 0, (void *)IP0);
            if (t[i].code == v_rep_outsb) EQ("cx", ev.r.cx, t[i].ok ? 0 : 3);
        }
    memset(tss.io, 0, sizeof tss.io);
    static const struct {
        const char *name;
        u32 limit, iomap;
        bool ok;
    } m[] = {
        {"map ends two bytes later", OFFSET(struct tss32, io) + 0x11, OFFSET(struct tss32, io), 1},
        {"map ends with the port's byte", OFFSET(struct tss32, io) + 0x10, OFFSET(struct tss32, io), 0},
        {"map ends before", OFFSET(struct tss32, io) + 0x0f, OFFSET(struct tss32, io), 0},
        {"base is the limit", 0x67, 0x67, 0},
        {"base beyond the limit", 0x67, 0xffff, 0},
        {"map moved", sizeof tss - 1, OFFSET(struct tss32, io) + 8, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(m); i++) {
        test2("I/O,", m[i].name, "vol. 1 19.5.2");
        set_desc(TSS_SEL, descriptor((u32)&tss, m[i].limit, 0x89));
        asm_("ltr %0" ::"r"((u16)TSS_SEL));
        tss.iomap = m[i].iomap;
        r = ENTER(v_in1, 3);
        r.dx = 0x80;
        run(&r);
        if (m[i].ok)
            V_ENDS(v_in1);
        else
            event_is(GP, 0, (void *)IP0);
    }
    reset_tables();
    set_gate(BP, 0xee, K_CS, 0);
}

// ---- IF, IOPL and VIF

// VIF and VIP together are virtual_interrupt()'s.
// in and out: IF, VIF, VIP, TF, NT, DF and IOPL of EFLAGS, but VM. image: what PUSHF shows of them.
enum { SEEN = F_IF | F_VIF | F_VIP | F_TF | F_NT | F_DF | F_IOPL };
struct flag_test {
    const char *name;
    const u8 *code, *end, *at; // at: of the fault
    bool vme;
    u32 iopl, in, ax, vec, out, image;
};
#define C(n)    v_##n, v_##n##_end, v_##n
#define CAT_(n) v_##n, v_##n##_end, v_##n##_at
static const struct flag_test flag_tests[] = {
    // without VME: IOPL 3 or #GP (20.2.8)
    {"CLI", C(cli), 0, 0, F_IF, 0, GP},
    {"CLI", C(cli), 0, 2, F_IF, 0, GP},
    {"CLI", C(cli), 0, 3, F_IF, 0, BP, 0},
    {"STI", C(sti), 0, 0, 0, 0, GP},
    {"STI", C(sti), 0, 1, 0, 0, GP},
    {"STI", C(sti), 0, 3, 0, 0, BP, F_IF},
    {"STI with VIP", C(sti), 0, 3, F_VIP, 0, BP, F_IF | F_VIP},
    {"PUSHF", C(pushf), 0, 0, 0, 0, GP},
    {"PUSHF", C(pushf), 0, 3, F_IF | F_NT, 0, BP, F_IF | F_NT, F_IF | F_NT | F_IOPL},
    {"PUSHF", C(pushf), 0, 3, F_VIF, 0, BP, F_VIF, F_IOPL},
    {"PUSHFD", C(pushfl), 0, 2, 0, 0, GP},
    {"PUSHFD shows neither VM nor RF", C(pushfl), 0, 3, F_VIF | F_VIP, 0, BP, F_VIF | F_VIP, F_IOPL | F_VIF | F_VIP},
    {"POPF", CAT_(popf), 0, 0, 0, F_IF, GP},
    {"POPF", CAT_(popf), 0, 2, 0, F_IF, GP},
    {"POPF", CAT_(popf), 0, 3, 0, F_IF | F_NT | F_DF, BP, F_IF | F_NT | F_DF},
    {"POPF keeps IOPL", CAT_(popf), 0, 3, F_IF, 0, BP, 0},
    {"POPFD", CAT_(popfl), 0, 1, 0, 0, GP},
    {"POPFD keeps VM, VIF, VIP and IOPL", CAT_(popfl), 0, 3, F_VIF, F_IF | F_VIP, BP, F_IF | F_VIF},
    {"IRET", CAT_(iret), 0, 0, 0, F_IF, GP},
    {"IRET", CAT_(iret), 0, 2, 0, 0, GP},
    {"IRET", CAT_(iret), 0, 3, 0, F_IF | F_NT, BP, F_IF | F_NT},
    {"IRET keeps IOPL", CAT_(iret), 0, 3, F_IF, 0, BP, 0},
    {"IRETD", CAT_(iretl), 0, 0, 0, 0, GP},
    {"IRETD keeps VM, VIF, VIP and IOPL", CAT_(iretl), 0, 3, F_VIF, F_IF | F_VIP, BP, F_IF | F_VIF},
    // with VME, IOPL 3: the same
    {"CLI", C(cli), 1, 3, F_IF | F_VIF, 0, BP, F_VIF},
    {"STI", C(sti), 1, 3, F_VIP, 0, BP, F_IF | F_VIP},
    {"PUSHF", C(pushf), 1, 3, F_VIF, 0, BP, F_VIF, F_IOPL},
    {"POPF", CAT_(popf), 1, 3, F_VIP, F_IF, BP, F_IF | F_VIP},
    {"POPFD", CAT_(popfl), 1, 3, F_VIP, F_IF | F_VIF, BP, F_IF | F_VIP},
    {"IRET", CAT_(iret), 1, 3, F_VIP, F_IF, BP, F_IF | F_VIP},
    {"IRETD", CAT_(iretl), 1, 3, F_VIF, F_IF, BP, F_IF | F_VIF},
    // with VME, IOPL below 3: VIF for IF
    {"CLI", C(cli), 1, 0, F_IF | F_VIF, 0, BP, F_IF},
    {"CLI with VIP", C(cli), 1, 2, F_IF | F_VIP, 0, BP, F_IF | F_VIP},
    {"STI", C(sti), 1, 0, 0, 0, BP, F_VIF},
    {"STI with IF", C(sti), 1, 2, F_IF, 0, BP, F_IF | F_VIF},
    {"STI with VIP", C(sti), 1, 0, F_VIP, 0, GP},
    {"STI with VIP and VIF", C(sti), 1, 1, F_VIP | F_VIF, 0, GP},
    {"PUSHF, IF set", C(pushf), 1, 0, F_IF, 0, BP, F_IF, F_IOPL},
    {"PUSHF, VIF set", C(pushf), 1, 0, F_VIF, 0, BP, F_VIF, F_IF | F_IOPL},
    {"PUSHF, both set", C(pushf), 1, 1, F_VIF | F_IF | F_NT, 0, BP, F_VIF | F_IF | F_NT, F_IF | F_IOPL | F_NT},
    {"PUSHFD", C(pushfl), 1, 0, F_IF, 0, GP},
    {"POPF sets VIF", CAT_(popf), 1, 0, 0, F_IF, BP, F_VIF},
    {"POPF clears VIF", CAT_(popf), 1, 0, F_IF | F_VIF, 0, BP, F_IF},
    {"POPF with VIP", CAT_(popf), 1, 0, F_VIP, F_IF, GP},
    {"POPF of IF 0 with VIP", CAT_(popf), 1, 0, F_VIP, 0, BP, F_VIP},
    {"POPF of TF", CAT_(popf), 1, 0, 0, F_TF, GP},
    {"POPF of NT, DF and IOPL", CAT_(popf), 1, 1, 0, F_NT | F_DF | F_IOPL, BP, F_NT | F_DF},
    {"POPFD", CAT_(popfl), 1, 0, 0, 0, GP},
    {"IRET sets VIF", CAT_(iret), 1, 0, 0, F_IF, BP, F_VIF},
    {"IRET clears VIF", CAT_(iret), 1, 0, F_IF | F_VIF, 0, BP, F_IF},
    {"IRET with VIP", CAT_(iret), 1, 0, F_VIP, F_IF, GP},
    {"IRET of IF 0 with VIP", CAT_(iret), 1, 2, F_VIP, 0, BP, F_VIP},
    {"IRET of TF", CAT_(iret), 1, 0, 0, F_TF, GP},
    {"IRET of NT and IOPL", CAT_(iret), 1, 1, 0, F_NT | F_IOPL, BP, F_NT},
    {"IRETD", CAT_(iretl), 1, 0, 0, 0, GP},
};
static bool has_vme(void)
{
    u32 id[4];
    cpuid(1, 0, id);
    return id[3] & 2;
}
static void flags(void)
{
    static const char *const with[2][4] = {{"IOPL 0,", "IOPL 1,", "IOPL 2,", "IOPL 3,"},
                                           {"VME, IOPL 0,", "VME, IOPL 1,", "VME, IOPL 2,", "VME, IOPL 3,"}};
    for (unsigned i = 0; i < ARRAY_LEN(flag_tests); i++) {
        const struct flag_test *t = &flag_tests[i];
        if (t->vme && !has_vme()) continue;
        test2(with[t->vme][t->iopl], t->name, "vol. 3 20.2.8, table 20-3");
        wcr4(t->vme ? rcr4() | CR4_VME : rcr4() & ~(ul)CR4_VME);
        struct regs r = enter_(t->code, t->end, t->iopl);
        r.flags |= t->in;
        r.ax = t->ax | F_1;
        run(&r);
        if (t->vec == GP) {
            u32 pushed = t->code == v_popf || t->code == v_popfl ? 4
                         : t->code == v_iret                     ? 6
                         : t->code == v_iretl                    ? 12
                                                                 : 0;
            event_is(GP, 0, (void *)(ul)(IP0 + (t->at - t->code)));
            BITS("flags as before", ev.r.flags, t->in | t->iopl << 12, SEEN);
            EQ("sp as before", ev.r.sp, SP0 - pushed);
            continue;
        }
        event_is(BP, NO_ERR, (void *)(ul)(IP0 + (t->end - t->code)));
        BITS("flags", ev.r.flags, t->out | t->iopl << 12 | F_VM, SEEN | F_VM);
        if (t->code == v_pushf) BITS("image", ev.r.bx, t->image, SEEN & 0xffff);
        if (t->code == v_pushfl) BITS("image", ev.r.bx, t->image, SEEN | F_VM | F_RF);
    }
    wcr4(rcr4() & ~(ul)CR4_VME);
}

// Table 20-2: INT n.
static void redirected(void)
{
    static const struct {
        const char *name;
        bool vme, idt; // idt: the bit of the map
        u32 iopl, in, vec;
        u32 out, image; // vec BP: arrived at the program's own handler with these flags
    } t[] = {
        {"method 1: no VME, IOPL 3", 0, 0, 3, F_IF, END_VEC},
        {"method 2: no VME, IOPL 0", 0, 0, 0, F_IF, GP},
        {"method 3: VME, bit 1, IOPL 0", 1, 1, 0, F_IF, GP},
        {"method 3: VME, bit 1, IOPL 2, VIP", 1, 1, 2, F_VIP, GP},
        {"method 4: VME, bit 1, IOPL 3", 1, 1, 3, F_IF, END_VEC},
        {"method 5: VME, bit 0, IOPL 3, IF", 1, 0, 3, F_IF, BP, 0, F_IF | F_IOPL},
        {"method 5: VME, bit 0, IOPL 3, VIF", 1, 0, 3, F_VIF, BP, F_VIF, F_IOPL},
        {"method 5: VME, bit 0, IOPL 3, NT", 1, 0, 3, F_NT, BP, F_NT, F_IOPL | F_NT},
        {"method 6: VME, bit 0, IOPL 0, IF", 1, 0, 0, F_IF, BP, F_IF, F_IOPL},
        {"method 6: VME, bit 0, IOPL 0, VIF", 1, 0, 0, F_VIF, BP, 0, F_IOPL | F_IF},
        {"method 6: VME, bit 0, IOPL 1, both", 1, 0, 1, F_VIF | F_IF, BP, F_IF, F_IOPL | F_IF},
        {"method 6: VME, bit 0, IOPL 2, VIP", 1, 0, 2, F_VIP, BP, F_VIP, F_IOPL},
    };
    struct regs r;
    memset((void *)(IVT_SEG * 16), 0xcc, 0x300);
    for (unsigned v = 0; v < 256; v++) W32(4 * v) = IVT_SEG << 16 | v;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        char nm[48];
        unsigned k = 0;
        for (const char *s = t[i].name; *s; s++) nm[k++] = *s == ':' ? ',' : *s;
        nm[k] = 0;
        if (t[i].vme && !has_vme()) continue;
        test2("INT n,", nm, "vol. 3 20.3.3, table 20-2");
        wcr4(t[i].vme ? rcr4() | CR4_VME : rcr4() & ~(ul)CR4_VME);
        memset(tss.vme, t[i].idt ? 0 : 0xff, sizeof tss.vme);
        tss.vme[END_VEC / 8] ^= 1 << END_VEC % 8;
        r = ENTER(v_int20, t[i].iopl);
        r.flags |= t[i].in | F_CF;
        run(&r);
        if (t[i].vec == GP) {
            event_is(GP, 0, (void *)IP0);
            BITS("flags", ev.r.flags, t[i].in | t[i].iopl << 12, SEEN);
            continue;
        }
        if (t[i].vec == END_VEC) {
            event_is(END_VEC, NO_ERR, (void *)IP0 + 2);
            BITS("flags", ev.r.flags, t[i].in | t[i].iopl << 12, SEEN);
            EQ("sp", ev.r.sp, SP0);
            continue;
        }
        event_is(BP, NO_ERR, (void *)END_VEC + 1);
        EQ("cs", ev.r.cs, IVT_SEG);
        EQ("sp", ev.r.sp, SP0 - 6);
        EQ("ip on the stack", stack16(SP0 - 6), IP0 + 2);
        EQ("cs on the stack", stack16(SP0 - 4), CODE_SEG);
        BITS("flags on the stack", stack16(SP0 - 2), t[i].image | F_CF | F_1, SEEN | F_CF | F_1);
        BITS("flags", ev.r.flags, t[i].out | t[i].iopl << 12 | F_CF | F_VM, SEEN | F_CF | F_VM);
    }
    if (!has_vme()) {
        skip("VME", "not there");
        return;
    }
    wcr4(rcr4() | CR4_VME);
    memset(tss.vme, 0, sizeof tss.vme);
    static const u8 vectors[] = {0, 3, 7, 8, 0x0d, 0x40, 0x7f, 0x80, 0xff};
    for (unsigned i = 0; i < ARRAY_LEN(vectors); i++) {
        test("INT n of any vector is redirected", "vol. 3 20.3.3");
        r = ENTER(v_int, 0);
        W8(CODE_SEG * 16 + IP0 + 1) = vectors[i];
        run(&r);
        event_is(BP, NO_ERR, (void *)(ul)(vectors[i] + 1));
        EQ("cs", ev.r.cs, IVT_SEG);
    }
    test("INT3 and INTO are not redirected", "vol. 3 20.3.3");
    set_gate(OF, 0xee, K_CS, 0);
    r = ENTER(v_into, 0);
    run(&r);
    event_is(OF, NO_ERR, (void *)IP0 + 5);
    r = ENTER(v_nop, 0);
    run(&r);
    event_is(BP, NO_ERR, (void *)IP0 + 2);
    EQ("cs", ev.r.cs, CODE_SEG);
    test("exceptions are not redirected", "vol. 3 20.3.3");
    r = ENTER(v_div, 0);
    r.flags |= F_VIF;
    run(&r);
    event_is(DE, NO_ERR, AT(v_div, v_div_at));
    BITS("VIF in the image", ev.r.flags, F_VIF, F_VIF);
    test("TF is cleared on the way, and on the stack", "vol. 3 20.3.3.4");
    wdr6(0xffff0ff0);
    r = ENTER(v_int20, 0);
    r.flags |= F_TF;
    run(&r);
    event_is(BP, NO_ERR, (void *)END_VEC + 1);
    BITS("TF on the stack", stack16(SP0 - 2), F_TF, F_TF);
    BITS("TF", ev.r.flags, 0, F_TF);
    test("the map's place follows the I/O map's base", "vol. 3 20.3.3");
    tss.iomap = OFFSET(struct tss32, io) + 32;
    memset(tss.vme, 0xff, sizeof tss.vme);
    memset(tss.io, 0, 32);
    r = ENTER(v_int20, 0);
    run(&r);
    event_is(BP, NO_ERR, (void *)END_VEC + 1);
    memset(tss.io, 0xff, 32);
    run(&r);
    event_is(GP, 0, (void *)IP0);
    wcr4(rcr4() & ~(ul)CR4_VME);
    reset_tables();
    set_gate(BP, 0xee, K_CS, 0);
}

// An interrupt from outside always goes through the IDT.
V86(v_spin, "1: jmp 1b");
static void hardware(void)
{
    for (unsigned k = 0; k < 2; k++) {
        if (k && !has_vme()) continue;
        test2("timer interrupt in virtual-8086 mode,", k ? "VME" : "no VME", "vol. 3 20.3.1, 20.3.2");
        if (k) wcr4(rcr4() | CR4_VME);
        memset(tss.vme, 0, sizeof tss.vme);
        outb(0x20, 0x11);
        outb(0x21, 0x30);
        outb(0x21, 4);
        outb(0x21, 1);
        outb(0x43, 0x30); // mode 0: once
        outb(0x40, 0x40);
        outb(0x40, 0);
        outb(0x21, 0xfe);
        struct regs r = ENTER(v_spin, 0);
        r.flags |= F_IF;
        run(&r);
        outb(0x21, 0xff);
        outb(0x20, 0x20);
        event_is(0x30, NO_ERR, (void *)IP0);
        EQ("cs", ev.r.cs, CODE_SEG);
        EQ("stack", ev.hsp, TOP(stack0) - 36);
        BITS("flags", ev.r.flags, F_IF | F_VM, SEEN | F_VM);
        wcr4(rcr4() & ~(ul)CR4_VME);
    }
}

// ---- protected-mode virtual interrupts

CODE(p_cli, "cli");
CODE(p_sti, "sti");
CODE(p_pushf, "pushf\n pop %ebx");
CODE(p_popf, "push %eax\n popf");
static void pvi(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        bool pvi;
        u32 cpl, iopl, in, ax, vec, out, image;
    } t[] = {
        {"PVI, CLI", p_cli, 1, 3, 0, F_IF | F_VIF, 0, END_VEC, F_IF},
        {"PVI, CLI at IOPL 2", p_cli, 1, 3, 2, F_IF | F_VIP, 0, END_VEC, F_IF | F_VIP},
        {"PVI, CLI at IOPL 3", p_cli, 1, 3, 3, F_IF | F_VIF, 0, END_VEC, F_VIF},
        {"PVI, STI", p_sti, 1, 3, 0, 0, 0, END_VEC, F_VIF},
        {"PVI, STI with IF", p_sti, 1, 3, 1, F_IF, 0, END_VEC, F_IF | F_VIF},
        {"PVI, STI with VIP", p_sti, 1, 3, 0, F_VIP, 0, GP},
        {"PVI, STI at IOPL 3 with VIP", p_sti, 1, 3, 3, F_VIP, 0, END_VEC, F_VIP | F_IF},
        {"PVI, CLI at ring 1", p_cli, 1, 1, 0, F_IF | F_VIF, 0, GP},
        {"PVI, STI at ring 1", p_sti, 1, 1, 0, 0, 0, GP},
        {"PVI, STI at ring 1, IOPL 1", p_sti, 1, 1, 1, 0, 0, END_VEC, F_IF},
        {"PVI, PUSHF shows IF", p_pushf, 1, 3, 0, F_VIF, 0, END_VEC, F_VIF, F_VIF},
        {"PVI, PUSHF shows IF set", p_pushf, 1, 3, 0, F_IF, 0, END_VEC, F_IF, F_IF},
        {"PVI, POPF leaves VIF and IF", p_popf, 1, 3, 0, 0, F_IF | F_VIF | F_VIP, END_VEC, 0},
        {"PVI, POPF of 0 leaves VIF and IF", p_popf, 1, 3, 0, F_IF | F_VIF, 0, END_VEC, F_IF | F_VIF},
        {"no PVI, CLI", p_cli, 0, 3, 0, F_IF, 0, GP},
        {"no PVI, STI", p_sti, 0, 3, 2, F_IF, 0, GP},
    };
    if (!has_vme()) {
        skip("PVI", "not there");
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 20.4");
        wcr4(t[i].pvi ? rcr4() | CR4_PVI : rcr4() & ~(ul)CR4_PVI);
        struct regs r = ring(t[i].cpl, t[i].code);
        r.flags |= t[i].in | t[i].iopl << 12;
        r.ax = t[i].ax | F_1;
        run(&r);
        if (t[i].vec == GP) {
            event_is(GP, 0, t[i].code);
            BITS("flags", ev.r.flags, t[i].in | t[i].iopl << 12, SEEN);
        } else {
            ends();
            BITS("flags", ev.r.flags, t[i].out | t[i].iopl << 12, SEEN);
            if (t[i].code == p_pushf) BITS("image", ev.r.bx, t[i].image | t[i].iopl << 12, SEEN);
        }
    }
    wcr4(rcr4() & ~(ul)CR4_PVI);
    test("CLI and STI at ring 0 do not touch VIF", "vol. 3 20.4");
    wcr4(rcr4() | CR4_PVI);
    struct regs r = ring(0, p_sti);
    r.flags |= F_VIP;
    run(&r);
    ends();
    BITS("flags", ev.r.flags, F_IF | F_VIP, SEEN);
    wcr4(rcr4() & ~(ul)CR4_PVI);
}

// VIF and VIP both set as an instruction begins: #GP, where the processor looks at them at all.
CODE(p_nop, "nop");
static void virtual_interrupt(void)
{
    static const char *const flag[4] = {"neither", "VIF", "VIP", "VIF and VIP"};
    static const char *const where[] = {"IRET to V86", "IRET to ring 3", "IRET to ring 1", "IRET to ring 0",
                                        "task switch to V86"};
    struct regs r;
    if (!has_vme()) {
        skip("VIF and VIP", "no VME");
        return;
    }
    for (unsigned w = 0; w < ARRAY_LEN(where); w++)
        for (unsigned f = 0; f < 4; f++) {
            test2(where[w], flag[f], "vol. 3 20.3.2, 20.4");
            for (u32 k = 0; k < 16; k++) { // IOPL, CR4.VME or PVI
                u32 iopl = k & 3, in = (f & 1 ? F_VIF : 0) | (f & 2 ? F_VIP : 0);
                bool v86 = w == 0 || w == 4, on = v86 ? k & 4 : k & 8,
                     due = on && f == 3 && iopl < 3 && w != 2 && w != 3;
                wcr4((rcr4() & ~(ul)(CR4_VME | CR4_PVI)) | (k & 4 ? CR4_VME : 0) | (k & 8 ? CR4_PVI : 0));
                r = v86 ? ENTER(v_nop, iopl) : ring(w == 1 ? 3 : w == 2 ? 1 : 0, p_nop);
                r.flags = (r.flags & ~(ul)F_IOPL) | iopl << 12 | in;
                if (w == 4) {
                    fill_v86_task(v_nop, v_nop_end);
                    tss2.eflags = r.flags;
                    r = ring(0, jmp_task);
                }
                run(&r);
                const u8 *at = v86 ? (u8 *)IP0 : p_nop, *end = v86 ? (u8 *)IP0 + 2 : p_nop_end;
                event_is(due ? GP : v86 ? BP : END_VEC, due ? 0 : NO_ERR, due ? at : end);
                if (w == 4) {
                    reset_tables();
                    set_gate(BP, 0xee, K_CS, 0);
                }
                BITS("flags", ev.r.flags, in | iopl << 12, F_VIF | F_VIP | F_IOPL);
            }
        }
    wcr4(rcr4() & ~(ul)(CR4_VME | CR4_PVI));
}

void test_main(void)
{
    set_gate(BP, 0xee, K_CS, 0);
    memset((void *)(IVT_SEG * 16), 0xcc, 0x300); // INT3s
    modes();
    refused();
    delivery();
    tasks();
    io_map();
    flags();
    redirected();
    hardware();
    pvi();
    virtual_interrupt();
}
