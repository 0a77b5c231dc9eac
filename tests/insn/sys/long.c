// SPDX-License-Identifier: MIT
// Long mode: the way in and out through every other mode, what CR0, CR3, CR4, CR8, DR, EFER and the MSRs refuse,
// canonical addresses, segments in 64-bit code, and the instructions whose sizes or existence differ there.
#include "tests/insn/sys/sys.h"

enum { K_CS32 = SPARE, T = SPARE + 8, T2 = SPARE + 24 };
#define NONCANON 0x0000800000000000ul
#define LAST     0x00007ffffffffffful
static u64 scratch[64] __attribute__((aligned(64)));
CODE(nothing, "nop");

static void one(const char *name, const char *sec, const struct regs *r, unsigned vec, ul err, const u8 *at)
{
    test(name, sec);
    run(r);
    if (vec == END_VEC)
        ends();
    else
        event_is(vec, err, at);
}

// ---- the modes in turn

extern u32 seen[32];
u32 seen[32];
static struct tss16 tss286;
void trip(void);
extern u8 trip_gp[], trip_low[], trip_low_end[], trip_mark[];
extern u32 trip_mild;
#define SEE(n) "mov %eax, seen + 4 * " #n "\n"
#define EFER   "mov $0xc0000080, %ecx\n rdmsr\n"
// Tries something; #GP goes on behind it, at the address in EBX. The noted word tells.
#define TRY(n, text) "movl $0, seen + 4 * " #n "\n mov $1f, %ebx\n" text "\n movl $1, seen + 4 * " #n "\n 1:\n"
// clang-format off
asm(".pushsection .text\n"
    "trip: push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp, trip_sp\n ljmp *trip_far\n"
    ".code32\n"
    "trip32: mov %cs, %eax\n" SEE(0) " xor %eax, %eax\n .byte 0x48\n nop\n" SEE(1) // DEC EAX here, REX.W in 64-bit code
    EFER SEE(2) " mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n" EFER SEE(3) // paging off: LMA falls
    " and $0xfffffeff, %eax\n wrmsr\n" EFER SEE(4)
    " mov $trip_pdpt, %eax\n mov %eax, %cr3\n" // 32-bit PAE
    " mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n" EFER SEE(5)
    " mov 0x40200000 + trip_mark, %eax\n" SEE(6)
    " mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n"
    // rules that hold when long mode is entered; #GP comes through a 32-bit IDT
    " lidt trip_idtr\n" EFER " or $0x100, %eax\n wrmsr\n mov $boot_pml4, %eax\n mov %eax, %cr3\n"
    " mov %cr4, %eax\n and $~0x20, %eax\n mov %eax, %cr4\n"
    " mov %cr0, %esi\n mov %esi, %edi\n or $0x80000000, %edi\n" TRY(7, "mov %edi, %cr0") // no PAE
    " mov %cr4, %eax\n or $0x20, %eax\n mov %eax, %cr4\n"
    // CS.L = 1, which is 16-bit code till then
    " testl $1, trip_mild\n jnz 1f\n movl $0, seen + 32\n mov $1f, %ebx\n ljmp $0xb8, $2f\n"
    ".code16\n 2: mov %edi, %cr0\n .code64\n movl $1, seen + 32\n ljmp *trip_back\n .code32\n 1:\n"
    " mov $0xc0, %eax\n ltr %ax\n" TRY(9, "mov %edi, %cr0") // TR: a 16-bit TSS
    " mov $0xd0, %eax\n ltr %ax\n" TRY(10, "mov %edi, %cr0")
    " mov %cr0, %eax\n" SEE(11) " mov %esi, %cr0\n" EFER SEE(12)
    // 16-bit protected (K_CS16), then real mode
    " ljmp $0x68, $0x7000\n"
    "trip_gp: mov $1, %ecx\n lea 16(%esp), %esp\n jmp *%ebx\n"
    ".code64\n"
    "trip64: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov %eax, %fs\n mov %eax, %gs\n"
    " mov trip_sp, %rsp\n mov %cs, %eax\n" SEE(16) EFER SEE(
        17) " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n"
            " pop %rbx\n ret\n"
            ".code16\n"
            "trip_low: mov $0x70, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %fs\n mov %ax, %gs\n mov %ax, %ss\n"
            " mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n ljmp $0, $(1f - trip_low + 0x7000)\n"
            "1: lidt %cs:trip_real_idtr - trip_low + 0x7000\n xor %ax, %ax\n mov %ax, %ss\n mov $0x6ff0, %esp\n"
            " mov $0x1234, %ax\n mov %ax, %ds\n mov $0x8765, %bx\n mov 0x10, %dx\n" // 12350h
            " mov %ds, %ax\n mov %ax, %cs:0x6f02\n mov %dx, %cs:0x6f00\n smsw %ax\n mov %ax, %cs:0x6f04\n"
            // straight to long mode: PE and PG together
            " mov %cr0, %eax\n or $0x80000001, %eax\n mov %eax, %cr0\n"
            " ljmpl $0x28, $trip64\n"
            "trip_real_idtr: .word 0x3ff\n .long 0\n"
            "trip_low_end: .code64\n .popsection\n"
            ".data\n trip_far: .long trip32\n .word 0xa0\n trip_mark: .long 0x600df00d\n"
            "trip_back: .long 1b\n .word 0xa0\n .globl trip_mild\n trip_mild: .long 0\n .balign 8\n"
            "trip_idtr: .word 255\n .long trip_idt\n"
            ".bss\n trip_sp: .space 8\n .globl trip_idt, trip_pdpt\n .balign 4096\n trip_pdpt: .space 4096\n trip_idt: "
            ".space 256\n"
            ".text");
// clang-format on
extern u64 trip_idt[32], trip_pdpt[4];

static void modes(void)
{
    static u64 pd[512] PAGE_ALIGNED;
    set_desc(K_CS32, descriptor(0, 0xfffff, A_CODE0));
    // 0xa0: 32-bit code; 0xa8: absent; 0xb8: 64-bit code; 0xc0: 16-bit TSS; 0xd0: 32/64-bit TSS
    set_desc(0xb8, descriptor(0, 0xfffff, A_CODE64));
    set_desc(0xc0, descriptor((u32)(ul)&tss286, sizeof tss286 - 1, 0x81));
    set_system_desc(0xd0, (ul)&tss, sizeof tss - 1, 0x89);
    trip_idt[GP] = gate(K_CS32, (u32)(ul)trip_gp, 0x8e, 0);
    for (unsigned i = 0; i < 512; i++) pd[i] = ((u64)i << 21) + 0x200000 + 0x83;
    trip_pdpt[0] = (ul)boot_pd + 1;
    trip_pdpt[1] = (ul)pd + 1;
    memcpy((void *)0x7000, trip_low, trip_low_end - trip_low);
    W16(0x12350) = 0xbeef;
    memset(seen, 0xee, sizeof seen);
    pd[0] = 0x83; // 40000000h: 0 …; 40200000h: 200000h
    pd[1] = 0x83; // … but here the first 2 MB again, where trip_mark is
    trip_mild = on_qemu();
    trip();
    test("compatibility code", "vol. 3 3.2.1, 5.2.1");
    EQ("CS", seen[0], K_CS32);
    EQ("48h is DEC EAX", seen[1], -1u);
    BITS("EFER: LMA and LME", seen[2], 0x500, 0x500);
    test("CR0.PG = 0 leaves long mode", "vol. 3 9.8.5.4");
    BITS("EFER: LME", seen[3], 0x100, 0x500);
    BITS("EFER.LME can be cleared then", seen[4], 0, 0x500);
    test("PAE paging of 32-bit mode", "vol. 3 4.4");
    BITS("EFER", seen[5], 0, 0x500);
    EQ("by way of the second GB", seen[6], W32(trip_mark));
    test("entering with CR4.PAE = 0", "vol. 2 MOV CR, vol. 3 9.8.5");
    EQ("let through", seen[7], 0);
    if (trip_mild) {
        skip("entering with CS.L = 1", "QEMU lets it through and is lost");
    } else {
        test("entering with CS.L = 1", "vol. 2 MOV CR, vol. 3 9.8.5");
        EQ("let through", seen[8], 0);
    }
    test("entering with a 16-bit TSS", "vol. 2 MOV CR, vol. 3 9.8.5");
    EQ("let through", seen[9], 0);
    test("entering from 32-bit code", "vol. 3 9.8.5");
    EQ("let through", seen[10], 1);
    BITS("CR0", seen[11], CR0_PG, CR0_PG);
    BITS("EFER after leaving", seen[12], 0x100, 0x500);
    test("real mode between", "vol. 3 9.9.2");
    EQ("DS << 4", W16(0x6f00), 0xbeef);
    EQ("DS", W16(0x6f02), 0x1234);
    BITS("CR0.PE", W16(0x6f04), 0, 1);
    test("real mode to 64-bit code, PE and PG at once", "vol. 3 9.8.5");
    EQ("CS", seen[16], K_CS64);
    BITS("EFER", seen[17], 0x500, 0x500);
    reset_tables();
    set_desc(K_CS32, descriptor(0, 0xfffff, A_CODE0));
}

// ---- what control registers and MSRs refuse

CODE(w_cr0, "mov %rax,%cr0");
CODE(w_cr3, "mov %rax,%cr3");
CODE(w_cr4, "mov %rax,%cr4");
CODE(w_cr8, "mov %rax,%cr8");
CODE(w_dr0, "mov %rax,%dr0");
CODE(w_dr6, "mov %rax,%dr6");
CODE(w_dr7, "mov %rax,%dr7");
CODE(w_msr, "mov %rax,%rdx\n shr $32,%rdx\n.globl w_msr_at\nw_msr_at: wrmsr");
CODE(do_lgdt, "lgdt (%rbx)");
CODE(do_lidt, "lidt (%rbx)");
CODE(do_lldt, "lldt %ax");
CODE(do_ltr, "ltr %ax");
CODE(do_invlpg, "invlpg (%rax)");
extern u8 w_msr_at[];

static void rules(void)
{
    enum { SET = 1, CLEAR }; // v changes what the register holds
    static const struct {
        const char *name;
        const u8 *code;
        u8 reg, how;
        u64 v;
        bool bad;
    } t[] = {
        {"CR0.PG cleared in 64-bit code", w_cr0, 0, CLEAR, CR0_PG, true},
        {"CR0.PE cleared", w_cr0, 0, CLEAR, CR0_PE, true},
        {"CR0, bit 32", w_cr0, 0, SET, 1ull << 32, true},
        {"CR0, bit 63", w_cr0, 0, SET, 1ull << 63, true},
        {"CR0, NW without CD", w_cr0, 0, SET, 1ull << 29, true},
        {"CR4.PAE cleared", w_cr4, 4, CLEAR, CR4_PAE, true},
        {"CR4, bit 32", w_cr4, 4, SET, 1ull << 32, true},
        {"CR4, bit 19", w_cr4, 4, SET, 1ull << 19, true},
        {"CR4.PSE has no effect but is stored", w_cr4, 4, SET, CR4_PSE, false},
        {"CR3, bit 52", w_cr3, 3, SET, 1ull << 52, true},
        {"CR3, bit 62", w_cr3, 3, SET, 1ull << 62, true},
        {"CR3, bit 63 without PCIDE", w_cr3, 3, SET, 1ull << 63, true},
        {"CR8, 16", w_cr8, 8, 0, 16, true},
        {"CR8, bit 63", w_cr8, 8, 0, 1ull << 63, true},
        {"CR8, 15", w_cr8, 8, 0, 15, false},
        {"CR8, 0", w_cr8, 8, 0, 0, false},
        {"DR6, bit 32", w_dr6, 6, 0, 1ull << 32, true},
        {"DR7, bit 32", w_dr7, 7, 0, 1ull << 32, true},
        {"DR0 takes all 64 bits", w_dr0, 5, 0, 0xfedcba9876543210, false},
    };
    wcr0(rcr0() & ~0x60000000ul); // CD, NW
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct regs r = ring(0, t[i].code);
        u64 old = t[i].reg == 0 ? rcr0() : t[i].reg == 3 ? rcr3() : t[i].reg == 4 ? rcr4() : 0;
        r.ax = t[i].how == SET ? old | t[i].v : t[i].how == CLEAR ? old & ~t[i].v : t[i].v;
        one(t[i].name, "vol. 2 MOV CR, MOV DR; vol. 3 2.5, 10.8.6.1, 17.2.6", &r, t[i].bad ? GP : END_VEC, 0,
            t[i].code);
        if (t[i].reg == 0) EQ("CR0", rcr0(), old);
        if (t[i].reg == 4) {
            EQ("CR4", rcr4(), t[i].bad ? old : r.ax);
            wcr4(old);
        }
        if (t[i].reg == 3) EQ("CR3", rcr3(), old);
        if (t[i].reg == 5) EQ("DR0", rdr0(), t[i].v);
    }
    wdr6(0xffff0ff0);
    wdr7(0x400);

    u64 efer = rdmsr(MSR_EFER);
    static const struct {
        const char *name;
        u32 msr;
        u64 v; // xor what it holds if `flip`
        bool flip, bad;
    } m[] = {
        {"EFER.LME changed under paging", MSR_EFER, 0x100, true, true},
        {"EFER, bit 9", MSR_EFER, 0x200, true, true},
        {"EFER, bit 32", MSR_EFER, 1ull << 32, true, true},
        {"EFER.SCE", MSR_EFER, 1, true, false},
        {"FS base not canonical", 0xc0000100, NONCANON, false, true},
        {"GS base not canonical", 0xc0000101, NONCANON, false, true},
        {"KERNEL_GS base not canonical", 0xc0000102, 0xffff7ffffffffffful, false, true},
        {"LSTAR not canonical", 0xc0000082, NONCANON, false, true},
        {"CSTAR not canonical", 0xc0000083, NONCANON, false, true},
        {"SYSENTER_ESP not canonical", 0x175, NONCANON, false, true},
        {"SYSENTER_EIP not canonical", 0x176, NONCANON, false, true},
        {"FS base at the top", 0xc0000100, 0xffff800000000000ul, false, false},
        {"FS base 0", 0xc0000100, 0, false, false},
        {"GS base below the hole", 0xc0000101, LAST, false, false},
        {"GS base 0", 0xc0000101, 0, false, false},
        {"PAT, type 2", 0x277, 0x0007040600070402, false, true},
        {"APIC base beyond the physical address", 0x1b, 1ull << 60, true, true},
    };
    for (unsigned i = 0; i < ARRAY_LEN(m); i++) {
        struct regs r = ring(0, w_msr);
        r.cx = m[i].msr;
        r.ax = m[i].flip ? rdmsr(m[i].msr) ^ m[i].v : m[i].v;
        one(m[i].name, "vol. 2 WRMSR, vol. 3 2.2.1; APM vol. 2 3.1.7", &r, m[i].bad ? GP : END_VEC, 0, w_msr_at);
        if (!m[i].bad) EQ("read back", rdmsr(m[i].msr), r.ax);
    }
    wrmsr(MSR_EFER, efer);

    static struct {
        u16 limit;
        u64 base;
    } PACKED dtr = {0xff, NONCANON};
    struct regs r = ring(0, do_lgdt);
    r.bx = (ul)&dtr;
    one("LGDT, base not canonical", "vol. 2 LGDT", &r, GP, 0, do_lgdt);
    r.ip = (ul)do_lidt;
    one("LIDT, base not canonical", "vol. 2 LGDT", &r, GP, 0, do_lidt);
    r = ring(0, do_invlpg);
    r.ax = NONCANON;
    one("INVLPG of no canonical address does nothing", "vol. 2 INVLPG", &r, END_VEC, 0, 0);

    static const struct {
        const char *name;
        const u8 *code;
        u32 access, high, vec, err;
        u64 base;
    } s[] = {
        {"LTR, 16-bit TSS", do_ltr, 0x81, 0, GP, T, 0},
        {"LTR, busy TSS", do_ltr, 0x8b, 0, GP, T, 0},
        {"LTR, absent TSS", do_ltr, 0x09, 0, NP, T, 0},
        {"LTR, upper half has a type", do_ltr, 0x89, 0x0900, GP, T, 0},
        {"LTR, a data segment", do_ltr, 0x93, 0, GP, T, 0},
        {"LLDT, absent LDT", do_lldt, 0x02, 0, NP, T, 0},
        {"LLDT, a TSS", do_lldt, 0x89, 0, GP, T, 0},
        {"LLDT, upper half has a type", do_lldt, 0x82, 0x0200, GP, T, 0},
        {"LLDT, 64-bit base", do_lldt, 0x82, 0, END_VEC, 0, 0xffffffff80000000},
    };
    for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
        if (s[i].high && on_bochs) {
            skip(s[i].name, "Bochs panics");
            continue;
        }
        set_system_desc(T, s[i].base ? s[i].base : (ul)ldt, 103, s[i].access);
        set_desc(T + 8, get_desc(T + 8) | (u64)s[i].high << 32);
        r = ring(0, s[i].code);
        r.ax = T;
        one(s[i].name, "vol. 2 LTR, LLDT; vol. 3 7.2.3, 8.2.3", &r, s[i].vec, s[i].err, s[i].code);
    }
    asm_("lldt %0" ::"r"((u16)LDT_SEL));
    // The descriptor at the end of the table: only half of it is inside.
    test("LTR, the upper half beyond the table", "vol. 2 LTR");
    u32 last = sizeof gdt - 8;
    set_desc(last, descriptor((u32)(ul)&tss, 103, 0x89));
    r = ring(0, do_ltr);
    r.ax = last;
    run(&r);
    event_is(GP, last, do_ltr);
    set_desc(last, 0);
}

// ---- canonical addresses

CODE(c_load, "mov (%rax),%rbx");
CODE(c_store, "mov %bl,(%rax)");
CODE(c_load4, "mov (%rax),%ebx");
CODE(c_rbp, "mov %rax,%rbp\n.globl c_rbp_at\nc_rbp_at: mov (%rbp),%ecx");
CODE(c_rsp, "mov %rax,%rsp\n.globl c_rsp_at\nc_rsp_at: mov (%rsp),%ecx");
CODE(c_push, "mov %rax,%rsp\n.globl c_push_at\nc_push_at: push %rcx");
CODE(c_pop, "mov %rax,%rsp\n.globl c_pop_at\nc_pop_at: pop %rcx");
CODE(c_fs, "mov %fs:(%rax),%ecx");
CODE(c_fs_rbp, "mov %rax,%rbp\n.globl c_fsrbp_at\nc_fsrbp_at: mov %fs:(%rbp),%ecx");
CODE(c_a32, "mov (%eax),%ecx");
CODE(c_movs, "mov %rax,%rsi\n.globl c_movs_at\nc_movs_at: movsb");
CODE(c_stos, "mov %rax,%rdi\n.globl c_stos_at\nc_stos_at: stosb");
CODE(c_xlat, "mov %rax,%rbx\n.globl c_xlat_at\nc_xlat_at: xlat");
CODE(c_lea, "lea 1(%rax),%rcx");
CODE(c_jmp, "jmp *%rax");
CODE(c_call, "call *%rax");
CODE(c_ret, "push %rax\n.globl c_ret_at\nc_ret_at: ret");
CODE(c_lret, "push %rbx\n push %rax\n.globl c_lret_at\nc_lret_at: lretq");
CODE(c_iret, "push $0x10\n push %rsp\n pushf\n push %rbx\n push %rax\n.globl c_iret_at\nc_iret_at: iretq");
CODE(c_iret3, "push $0x23\n push %rsp\n pushf\n push %rcx\n push %rax\n.globl c_iret3_at\nc_iret3_at: iretq");
extern u8 c_rbp_at[], c_rsp_at[], c_push_at[], c_pop_at[], c_fsrbp_at[], c_movs_at[], c_stos_at[], c_xlat_at[],
    c_ret_at[], c_lret_at[], c_iret_at[], c_iret3_at[];

static void canonical(void)
{
    static const struct {
        const char *name;
        const u8 *code, *at;
        u64 a;
        u8 vec;
    } t[] = {
        {"load", c_load, c_load, NONCANON, GP},
        {"load, below the upper half", c_load, c_load, 0xffff7ffffffffff0, GP},
        {"load, bit 63 only", c_load, c_load, 1ull << 63, GP},
        {"store", c_store, c_store, NONCANON, GP},
        {"load of 8 that ends in the hole", c_load, c_load, LAST - 3, GP},
        {"load of 4 that ends in the hole", c_load4, c_load4, LAST - 2, GP},
        {"load of 8 before the hole", c_load, c_load, LAST - 7, PF},
        {"load at the start of the upper half", c_load, c_load, 0xffff800000000000, PF},
        {"load by RBP", c_rbp, c_rbp_at, NONCANON, SS},
        {"load by RSP", c_rsp, c_rsp_at, NONCANON, SS},
        {"PUSH", c_push, c_push_at, NONCANON + 16, SS},
        {"PUSH from the upper half down", c_push, c_push_at, 0xffff800000000000, SS},
        {"POP", c_pop, c_pop_at, NONCANON, SS},
        {"FS: load", c_fs, c_fs, NONCANON, GP},
        {"FS: load by RBP", c_fs_rbp, c_fsrbp_at, NONCANON, GP},
        {"MOVS", c_movs, c_movs_at, NONCANON, GP},
        {"STOS", c_stos, c_stos_at, NONCANON, GP},
        {"XLAT", c_xlat, c_xlat_at, NONCANON, GP},
        {"JMP", c_jmp, c_jmp, NONCANON, GP},
        {"CALL", c_call, c_call, NONCANON, GP},
        {"RET", c_ret, c_ret_at, NONCANON, GP},
        {"far RET", c_lret, c_lret_at, NONCANON, GP},
        {"IRET", c_iret, c_iret_at, NONCANON, GP},
        {"IRET to ring 3", c_iret3, c_iret3_at, NONCANON, GP},
        {"LEA does not look", c_lea, NULL, NONCANON, END_VEC},
        {"32-bit addresses are zero-extended", c_a32, NULL, 0xffff123400000000, END_VEC},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 1 3.3.7.1, vol. 3 5.3.1, 6.15");
        unsigned cpl = t[i].vec == SS ? 3 : 0; // the handler wants a stack
        struct regs r = ring(cpl, t[i].code);
        r.ax = t[i].a;
        if (t[i].code == c_a32) r.ax |= (u32)(ul)scratch;
        r.bx = t[i].code == c_load ? 0 : K_CS;
        r.cx = U_CS64;
        run(&r);
        if (t[i].vec == END_VEC) {
            ends();
            continue;
        }
        event_is(t[i].vec, 0, t[i].at);
        if (t[i].vec == PF) EQ("CR2", ev.cr2, t[i].a);
        EQ("CS", ev.r.cs, cpl ? U_CS64 : K_CS);
        if (t[i].code == c_jmp || t[i].code == c_call) EQ("RSP", ev.r.sp, r.sp);
        if (t[i].code == c_ret) EQ("RSP", ev.r.sp, r.sp - 8);
    }
    test("FS base + offset leaves the canonical half", "vol. 3 3.4.4");
    wrmsr(0xc0000100, LAST & ~0xful);
    asm_("mov %%fs,%%eax" ::: "rax");
    // run() loads FS, which would set the base: the code sets it itself.
    extern u8 c_fsb[], c_fsb_at[];
    struct regs r = ring(0, c_fsb);
    r.ax = (u32)LAST & ~0xf;
    r.dx = LAST >> 32;
    r.cx = 0xc0000100;
    r.bx = 0x10;
    run(&r);
    event_is(GP, 0, c_fsb_at);
    r.bx = (ul)scratch - (LAST & ~0xful);
    scratch[0] = 0x1122334455667788;
    run(&r);
    ends();
    EQ("wraps to the other half", ev.r.si, scratch[0]);
    wrmsr(0xc0000100, 0);
}

static void run_off_the_end(void)
{
    static u64 pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED;
    test("code that runs into the hole", "vol. 1 3.3.7.1, vol. 3 6.15");
    boot_pml4[255] = (ul)pdpt | 7;
    pdpt[511] = (ul)pd | 7;
    pd[511] = 0x1e00087; // 30 MB
    memset((void *)0x1fffff0, 0x90, 16);
    struct regs r = ring(0, (void *)(LAST - 3));
    run(&r);
    event_is(GP, 0, (void *)NONCANON);
    r = ring(3, (void *)LAST);
    run(&r);
    event_is(GP, 0, (void *)NONCANON);
    test("an instruction that reaches into the hole", "vol. 1 3.3.7.1, vol. 3 6.15");
    W8(0x1ffffff) = 0xb8; // MOV EAX, imm32
    run(&r);
    event_is(GP, 0, (void *)LAST);
    boot_pml4[255] = 0;
    wcr3(rcr3());
}
CODE(c_fsb, "wrmsr\n.globl c_fsb_at\nc_fsb_at: mov %fs:(%rbx),%rsi");

// ---- segments in 64-bit code

CODE(s_ds, "mov %eax,%ds\n mov (%rbx),%rcx\n mov %rcx,8(%rbx)");
CODE(s_ss, "mov %eax,%ss\n nop\n mov %ss,%ecx\n push %rcx\n pop %rdx");
CODE(s_fs, "mov %eax,%fs\n mov %fs:(%rbx),%rcx");
CODE(s_fs_store, "mov %eax,%fs\n mov %rcx,%fs:(%rbx)");
CODE(s_gs, "mov %eax,%gs\n mov %gs:(%rbx),%rcx");
CODE(s_cs_store, "mov %rcx,%cs:(%rbx)\n mov %rcx,%es:8(%rbx)\n mov %rcx,%ss:16(%rbx)");
CODE32(s32_ds, "mov %eax,%ds\n.globl s32_ds_at\ns32_ds_at: mov (%ebx),%ecx");
CODE32(s32_st, "mov %eax,%ds\n.globl s32_st_at\ns32_st_at: mov %ecx,(%ebx)");
CODE32(s32_fs, "mov %eax,%fs\n mov %fs:(%ebx),%ecx");
CODE(s_pop_fs, "push %rax\n pop %fs\n mov %fs,%ecx\n push %fs\n pop %rdx");
CODE(s_pop_fs16, "pushw %ax\n popw %fs\n mov %fs,%ecx");
CODE(s_lfs, "lfs (%rbx),%ecx\n mov %fs,%edx");
CODE(s_lsl, "lsl %eax,%ecx\n lar %eax,%edx");
CODE(s_verr, "xor %ecx,%ecx\n verr %ax\n setz %cl\n verw %ax\n setz %ch");
extern u8 s32_ds_at[], s32_st_at[];

static void seg_test(const char *name, const u8 *code, unsigned cpl, u32 sel, u64 bx, unsigned vec, ul err,
                     const u8 *at)
{
    struct regs r = ring(cpl, code);
    if (code == s32_ds || code == s32_st || code == s32_fs) {
        r.cs = cpl ? U_CS : K_CS32;
        r.fs = 0;
    }
    r.ax = sel;
    r.bx = bx;
    r.cx = 0xc0dec0dec0dec0de;
    one(name, "vol. 3 3.4.4, 5.3; APM vol. 2 4.8", &r, vec, err, at);
}

static void segments(void)
{
    const char *sec = "vol. 3 3.4.4";
    ul a = (ul)scratch;
    set_desc(K_CS32, descriptor(0, 0xfffff, A_CODE0));
    scratch[0] = 0xfeedface12345678;
    scratch[1] = 0;
    seg_test("DS null", s_ds, 0, 0, a, END_VEC, 0, 0);
    EQ("through it", scratch[1], scratch[0]);
    seg_test("DS null at ring 3", s_ds, 3, 3, a, END_VEC, 0, 0);
    set_desc(T, descriptor(0x12345000, 0, 0x0091)); // base, limit 0, read-only
    scratch[1] = 0;
    seg_test("DS, base, limit and type are not looked at", s_ds, 0, T, a, END_VEC, 0, 0);
    EQ("through it", scratch[1], scratch[0]);
    seg_test("CS, ES, SS overrides are ignored", s_cs_store, 0, 0, a, END_VEC, 0, 0);
    EQ("CS:", scratch[0], 0xc0dec0dec0dec0de);
    EQ("SS:", scratch[2], 0xc0dec0dec0dec0de);
    set_desc(T, descriptor(0x12345000, 0, 0x0011));
    seg_test("DS absent", s_ds, 0, T, a, NP, T, s_ds);
    seg_test("DS beyond the table", s_ds, 0, 0x7f8, a, GP, 0x7f8, s_ds);
    seg_test("DS, a system segment", s_ds, 0, TSS_SEL, a, GP, TSS_SEL, s_ds);
    seg_test("DS at ring 3, DPL 0", s_ds, 3, K_DS, a, GP, K_DS, s_ds);
    seg_test("DS, execute-only code", s_ds, 0, T2, a, GP, T2, s_ds);

    seg_test("SS null at ring 0", s_ss, 0, 0, a, END_VEC, 0, 0);
    EQ("SS", ev.r.cx, 0);
    seg_test("SS null, RPL 1 at ring 0", s_ss, 0, 1, a, GP, 0, s_ss);
    seg_test("SS null at ring 3", s_ss, 3, 3, a, GP, 0, s_ss);
    seg_test("SS null, RPL 0 at ring 3", s_ss, 3, 0, a, GP, 0, s_ss);
    seg_test("SS, DPL 3 at ring 0", s_ss, 0, U_DS, a, GP, U_DS & ~3, s_ss);
    set_desc(T, descriptor(0, 0xfffff, 0xc091));
    seg_test("SS read-only", s_ss, 0, T, a, GP, T, s_ss);
    set_desc(T, descriptor(0, 0xfffff, 0xc013));
    seg_test("SS absent", s_ss, 0, T, a, SS, T, s_ss);
    set_desc(T, descriptor(0x1000, 0xf, 0x0093));
    seg_test("SS, base and limit are not looked at", s_ss, 0, T, a, END_VEC, 0, 0);

    scratch[0] = 0xfeedface12345678;
    set_desc(T, descriptor((u32)a - 0x100, 0x1f, 0x0091));
    seg_test("FS has a base, no limit", s_fs, 0, T, 0x100, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, scratch[0]);
    EQ("FS.base", rdmsr(0xc0000100), (u32)a - 0x100);
    seg_test("FS is read-only, no matter", s_fs_store, 0, T, 0x108, END_VEC, 0, 0);
    EQ("through it", scratch[1], 0xc0dec0dec0dec0de);
    set_desc(T, descriptor(0xffffff00, 0xfffff, 0xc093));
    seg_test("FS.base is zero-extended", s_fs, 0, T, a - 0xffffff00ul, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, scratch[0]);
    seg_test("GS too", s_gs, 0, T, a - 0xffffff00ul, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, scratch[0]);
    seg_test("FS null does not fault", s_fs, 3, 0, 0, END_VEC, 0, 0);
    seg_test("PUSH FS, POP FS, 8 bytes", s_pop_fs, 0, T, 0, END_VEC, 0, 0);
    EQ("FS", ev.r.cx, T);
    EQ("PUSH", ev.r.dx, T);
    EQ("RSP", ev.r.sp, TOP(stack_k));
    seg_test("POP FS, 66h", s_pop_fs16, 0, T, 0, END_VEC, 0, 0);
    EQ("FS", ev.r.cx, T);
    scratch[4] = 0x89abcdef | (u64)T << 32;
    seg_test("LFS", s_lfs, 0, 0, (ul)&scratch[4], END_VEC, 0, 0);
    EQ("offset", ev.r.cx, 0x89abcdef);
    EQ("FS", ev.r.dx, T);

    set_desc(T, descriptor((u32)a, 0xf, 0x4091));
    seg_test("compatibility code, base", s32_ds, 0, T, 0, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, (u32)scratch[0]);
    seg_test("compatibility code, limit", s32_ds, 0, T, 0xd, GP, 0, s32_ds_at);
    seg_test("compatibility code, read-only", s32_st, 0, T, 0, GP, 0, s32_st_at);
    seg_test("compatibility code, null DS", s32_ds, 0, 0, a, GP, 0, s32_ds_at);
    set_desc(T, descriptor((u32)a + 0x100, 0xfffff, 0xc093));
    seg_test("compatibility code, addresses wrap at 4 GB", s32_ds, 0, T, -0x100u, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, (u32)scratch[0]);
    seg_test("compatibility code, FS wraps too", s32_fs, 0, T, -0x100u, END_VEC, 0, 0);
    EQ("through it", ev.r.cx, (u32)scratch[0]);

    test("LSL, LAR of a 16-byte descriptor", "vol. 2 LAR, LSL");
    struct regs r = ring(0, s_lsl);
    r.ax = LDT_SEL;
    run(&r);
    ends();
    EQ("limit", ev.r.cx, sizeof ldt - 1);
    EQ("rights", ev.r.dx, 0x8200);
    test("LAR of types that long mode has not", "vol. 2 LAR");
    static const u8 gone[] = {1, 3, 4, 5, 6, 7};
    for (unsigned i = 0; i < sizeof gone; i++) {
        set_desc(T, descriptor(0, 0, 0x80 | gone[i]));
        r.ax = T;
        r.cx = r.dx = 0x5555;
        run(&r);
        ends();
        EQ("rights", ev.r.dx, 0x5555);
        EQ("limit", ev.r.cx, 0x5555);
    }
    test("VERR, VERW", sec);
    set_desc(T, descriptor(0, 0, 0x0091));
    r = ring(0, s_verr);
    r.ax = T;
    run(&r);
    ends();
    EQ("readable, not writable", ev.r.cx & 0xffff, 1);
    set_desc(T, 0);
}

// ---- instructions

CODE(x_push16, "pushw %ax\n mov (%rsp),%bx\n popw %cx");
CODE(x_push_imm, "push $-2\n mov (%rsp),%rbx\n pushw $0x1234\n mov (%rsp),%cx\n add $10,%rsp");
CODE(x_push_imm32, "push $-0x12345678\n pop %rbx");
CODE(x_push_rsp, "push %rsp\n pop %rbx\n sub %rsp,%rbx");
CODE(x_pop_rsp, "mov %rsp,%rdx\n push %rax\n pop %rsp\n mov %rsp,%rbx\n mov %rdx,%rsp");
CODE(x_pop_mem, "push %rax\n pop -8(%rsp)\n mov -8(%rsp),%rbx");             // RSP after the POP addresses
CODE(x_movsxd, "movslq %eax,%rbx\n .byte 0x63,0xc8\n .byte 0x66,0x63,0xd0"); // RBX; ECX (no REX.W); DX (66h)
CODE(x_zero, "mov %rax,%rbx\n mov %ebx,%ebx\n mov %rax,%rcx\n test %eax,%eax\n cmovz %eax,%ecx\n"
             "mov %rax,%rdx\n mov $0,%dl\n mov %rax,%rsi\n xor %si,%si\n mov %rax,%rdi\n xchg %eax,%edi");
CODE(x_nop90, "nop\n mov %rax,%rbx\n .byte 0x41,0x90\n mov %r8,%rcx");
CODE(x_shift, "mov $1,%ebx\n mov $33,%cl\n shl %cl,%rbx\n mov $1,%edx\n shl %cl,%edx");
CODE(x_rip, "mov 1f(%rip),%rbx\n jmp 2f\n1: .quad 0x1122334455667788\n2: lea 1b(%rip),%rcx\n lea 1b(%eip),%rdx");
CODE(x_loop, "mov $0xffffffff00000002,%rcx\n xor %ebx,%ebx\n1: inc %ebx\n addr32 loop 1b\n mov %rcx,%rdx\n"
             "mov $0x100000000,%rcx\n xor %esi,%esi\n jrcxz 1f\n inc %esi\n1: jecxz 2f\n inc %esi\n2:");
CODE(x_rep32, "lea (%rbx),%rdi\n bts $40,%rdi\n bts $40,%rcx\n mov %rbx,%rsi\n bts $41,%rsi\n addr32 rep movsb");
CODE(x_a32, "mov $-1,%rdx\n lea (%eax,%edx),%rbx\n lea (%eax,%edx),%ecx\n mov %rbx,%rsi");
CODE(x_moffs, ".byte 0x48,0xa1\n .quad scratch\n mov %rax,%rbx\n .byte 0x67,0xa1\n .long scratch\n mov %rax,%rcx");
CODE(x_enter, "mov $0x1234,%rbp\n enter $16,$0\n mov (%rbp),%rbx\n leave\n mov %rbp,%rcx");
CODE(x_bswap, "mov %rax,%rbx\n bswap %rbx\n mov %rax,%rcx\n bswap %ecx");
CODE(x_imm64, "movabs $0x123456789abcdef0,%rbx\n mov $-1,%rcx\n mov $-1,%edx");
CODE(x_rexlow, "mov $0,%ebx\n mov $0x5678,%edi\n mov %dil,%bl\n mov $0xff00,%eax\n mov %ah,%bh\n mov %spl,%cl");
CODE(x_rexdead, ".byte 0x48,0x66,0xb8,0x34,0x12\n mov %rax,%rbx"); // REX before 66h does not count
CODE(x_cmpxchg16, "mov $1,%eax\n mov $2,%edx\n mov $3,%ebx\n mov $4,%ecx\n lock cmpxchg16b scratch\n setz %sil");
CODE(x_cmpxchg16u, "cmpxchg16b scratch+8");
CODE(x_cqo, "cqo\n mov %rdx,%rbx\n cdqe\n mov %rax,%rcx\n mov %rsi,%rax\n cltd");
CODE(x_syscall_ud, "syscall");
CODE(x_callr, "lea 1f(%rip),%rax\n call *%rax\n1: pop %rbx");
CODE(x_div, "div %rcx\n mov %rax,%rbx");
CODE(x_mul, "mul %rcx\n mov %rax,%rbx");
CODE(x_iret_far, "mov %cs,%eax\n push %rax\n lea 1f(%rip),%rax\n push %rax\n lretq\n1: mov %cs,%ebx");
CODE(x_movcr66, ".byte 0x66,0x0f,0x20,0xc3");
CODE(x_smsw, "mov $-1,%rbx\n smsw %rbx\n mov $-1,%rcx\n smsw %cx\n mov $-1,%rdx\n str %edx\n mov $-1,%rsi\n sldt %si");

static void legacy(void)
{
    static const struct {
        const char *name;
        u8 len, b[7];
    } t[] = {
        {"06 PUSH ES", 1, {0x06}},
        {"07 POP ES", 1, {0x07}},
        {"0E PUSH CS", 1, {0x0e}},
        {"16 PUSH SS", 1, {0x16}},
        {"17 POP SS", 1, {0x17}},
        {"1E PUSH DS", 1, {0x1e}},
        {"1F POP DS", 1, {0x1f}},
        {"27 DAA", 1, {0x27}},
        {"2F DAS", 1, {0x2f}},
        {"37 AAA", 1, {0x37}},
        {"3F AAS", 1, {0x3f}},
        {"60 PUSHA", 1, {0x60}},
        {"61 POPA", 1, {0x61}},
        {"82 group 1", 3, {0x82, 0xc0, 0x01}},
        {"9A CALL far", 7, {0x9a, 0, 0, 0, 0, 8, 0}},
        {"EA JMP far", 7, {0xea, 0, 0, 0, 0, 8, 0}},
        {"CE INTO", 1, {0xce}},
        {"D4 AAM", 2, {0xd4, 0x0a}},
        {"D5 AAD", 2, {0xd5, 0x0a}},
        {"D6 SALC", 1, {0xd6}},
        {"8E /1 MOV CS", 2, {0x8e, 0xc8}},
        {"0F 22 MOV CR1", 3, {0x0f, 0x22, 0xc8}},
        {"0F 20 MOV CR9", 4, {0x44, 0x0f, 0x20, 0xc8}},
        {"0F 21 MOV DR8", 4, {0x44, 0x0f, 0x21, 0xc0}},
        {"0F B9 UD1", 3, {0x0f, 0xb9, 0xc0}},
        {"F0 on a register", 3, {0xf0, 0x01, 0xc0}},
        {"0F AA RSM", 2, {0x0f, 0xaa}},
    };
    static u8 code[16];
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        memset(code, 0x90, sizeof code);
        memcpy(code, t[i].b, t[i].len);
        code[t[i].len] = 0xcd;
        code[t[i].len + 1] = 0x20;
        struct regs r = ring(0, code);
        one(t[i].name, "vol. 2 2.2.1.2, A.3; vol. 1 5.19", &r, UD, NO_ERR, code);
    }
}

static struct regs exec(const char *name, const u8 *code, u64 ax)
{
    test(name, "vol. 1 3.4.1.1, 6.2.2; vol. 2 2.2.1");
    struct regs r = ring(0, code);
    r.ax = ax;
    r.r8 = 0x8888888888888888;
    run(&r);
    ends();
    return ev.r;
}

static void instructions(void)
{
    const u64 A = 0xfedcba9876543210;
    struct regs r = exec("PUSH, POP of 16 bits", x_push16, A);
    EQ("pushed", r.bx & 0xffff, 0x3210);
    EQ("popped", r.cx & 0xffff, 0x3210);
    EQ("RSP", r.sp, TOP(stack_k));
    r = exec("PUSH imm", x_push_imm, 0);
    EQ("sign-extended", r.bx, -2ul);
    EQ("16 bits", r.cx & 0xffff, 0x1234);
    EQ("RSP", r.sp, TOP(stack_k));
    r = exec("PUSH imm32", x_push_imm32, 0);
    EQ("sign-extended", r.bx, -0x12345678ul);
    r = exec("PUSH RSP", x_push_rsp, 0);
    EQ("the old value", r.bx, 0);
    r = exec("POP RSP", x_pop_rsp, A);
    EQ("RSP", r.bx, A);
    r = exec("POP to memory by RSP", x_pop_mem, A);
    EQ("address after the increment", r.bx, A);
    r = exec("MOVSXD", x_movsxd, A & ~0x7fffffffull);
    EQ("64", r.bx, 0x0);
    r = exec("MOVSXD, negative", x_movsxd, 0x00000000fedcba98);
    EQ("64", r.bx, 0xfffffffffedcba98);
    EQ("32, zero-extended", r.cx, 0xfedcba98);
    BITS("16", r.dx, 0xba98, 0xffff);
    r = exec("32-bit results are zero-extended, 8 and 16-bit ones not", x_zero, A);
    EQ("MOV", r.bx, 0x76543210);
    EQ("CMOV without condition", r.cx, 0x76543210);
    EQ("MOV 8", r.dx, A & ~0xfful);
    EQ("XOR 16", r.si, A & ~0xfffful);
    EQ("XCHG", r.di, 0x76543210);
    r = exec("90h leaves RAX, 41h 90h exchanges", x_nop90, A);
    EQ("NOP", r.bx, A);
    EQ("XCHG R8D, EAX", r.cx, 0x76543210);
    EQ("XCHG R8D, EAX", r.ax, 0x88888888);
    r = exec("shift counts: 6 bits with REX.W, else 5", x_shift, 0);
    EQ("64", r.bx, 1ul << 33);
    EQ("32", r.dx, 2);
    r = exec("RIP-relative", x_rip, 0);
    EQ("load", r.bx, 0x1122334455667788);
    EQ("with 67h", r.dx, r.cx);
    r = exec("LOOP and JrCXZ with 67h", x_loop, 0);
    EQ("LOOP by ECX", r.bx, 2);
    EQ("JRCXZ falls, JECXZ jumps", r.si, 1);
    test("67h REP MOVSB, ECX, ESI, EDI", "vol. 2 REP, vol. 1 3.3.7");
    memcpy(scratch, "abcdefgh", 8);
    r = ring(0, x_rep32);
    r.bx = (ul)scratch;
    r.cx = 4;
    run(&r);
    ends();
    EQ("RCX zero-extended", ev.r.cx, 0);
    EQ("RSI zero-extended", ev.r.si, (ul)scratch + 4);
    EQ("RDI zero-extended", ev.r.di, (ul)scratch + 4);
    r = exec("LEA with 67h", x_a32, 0x0000000100000000);
    EQ("64", r.bx, 0xffffffff);
    EQ("32", r.cx, 0xffffffff);
    scratch[0] = A;
    r = exec("MOV by absolute address", x_moffs, 0);
    EQ("64 bits", r.bx, A);
    EQ("32 bits", r.cx, 0x76543210);
    r = exec("ENTER, LEAVE", x_enter, 0);
    EQ("saved", r.bx, 0x1234);
    EQ("restored", r.cx, 0x1234);
    r = exec("BSWAP", x_bswap, A);
    EQ("64", r.bx, 0x1032547698badcfe);
    EQ("32", r.cx, 0x10325476);
    r = exec("MOV imm", x_imm64, 0);
    EQ("64", r.bx, 0x123456789abcdef0);
    EQ("32 sign-extended", r.cx, -1ul);
    EQ("32", r.dx, 0xffffffff);
    r = exec("byte registers", x_rexlow, 0);
    EQ("DIL, AH", r.bx & 0xffff, 0xff78);
    EQ("SPL", r.cx & 0xff, TOP(stack_k) & 0xff);
    r = exec("REX before another prefix is ignored", x_rexdead, A);
    EQ("16-bit MOV", r.bx, (A & ~0xfffful) | 0x1234);
    scratch[0] = 1;
    scratch[1] = 2;
    r = exec("CMPXCHG16B", x_cmpxchg16, 0);
    EQ("ZF", r.si & 0xff, 1);
    EQ("low", scratch[0], 3);
    EQ("high", scratch[1], 4);
    r = exec("CMPXCHG16B, not equal", x_cmpxchg16, 0);
    EQ("ZF", r.si & 0xff, 0);
    EQ("low", r.ax, 3);
    EQ("high", r.dx, 4);
    r = ring(0, x_cmpxchg16u);
    one("CMPXCHG16B misaligned", "vol. 2 CMPXCHG16B", &r, GP, 0, x_cmpxchg16u);
    r = exec("CQO, CDQE, CDQ", x_cqo, 0x8000000080000000);
    EQ("CQO", r.bx, -1ul);
    EQ("CDQE", r.cx, 0xffffffff80000000);
    EQ("CDQ", r.dx, 0);
    r = exec("near CALL pushes 8 bytes", x_callr, 0);
    EQ("return address", r.bx, r.ax);
    EQ("RSP", r.sp, TOP(stack_k));
    test("DIV of 128 bits", "vol. 2 DIV");
    r = ring(0, x_div);
    r.dx = 1;
    r.cx = 3;
    run(&r);
    ends();
    EQ("quotient", ev.r.bx, 0x5555555555555555);
    EQ("remainder", ev.r.dx, 1);
    r.cx = 1;
    one("DIV overflow", "vol. 2 DIV", &r, DE, NO_ERR, x_div);
    r = exec("far RET, REX.W", x_iret_far, 0);
    EQ("CS", r.bx, K_CS);
    r = exec("MOV from CR0 ignores 66h", x_movcr66, 0);
    EQ("RBX", r.bx, rcr0());
    r = exec("SMSW, STR, SLDT to registers", x_smsw, 0);
    EQ("SMSW r64", r.bx, rcr0());
    EQ("SMSW r16", r.cx, 0xffffffffffff0000 | (rcr0() & 0xffff));
    EQ("STR r32", r.dx, TSS_SEL);
    EQ("SLDT r16", r.si, 0xffffffffffff0000 | LDT_SEL);
}

// ---- CR8, FSGSBASE

CODE(r_cr8, "mov %cr8,%rbx");
CODE(rd_fs, "rdfsbase %rbx\n rdgsbase %rcx");
CODE(wr_fs, "wrfsbase %rax\n rdfsbase %rbx\n mov $-1,%rcx\n rdfsbase %ecx\n wrgsbase %eax\n rdgsbase %rdx\n"
            "xor %esi,%esi\n wrfsbase %rsi\n wrgsbase %rsi");
CODE(wr_fs1, "wrfsbase %rax");
CODE32(fs_32, ".byte 0xf3,0x0f,0xae,0xc3"); // RDFSBASE EBX
CODE(do_swapgs, "swapgs");
CODE(swap_twice,
     "mov $0xc0000101,%ecx\n swapgs\n rdmsr\n mov %eax,%ebx\n mov $0xc0000102,%ecx\n rdmsr\n mov %eax,%esi\n swapgs");
CODE32(swap_32, ".byte 0x0f,0x01,0xf8");

static void bases(void)
{
    u32 id[4];
    test("CR8 is the task priority of the local APIC", "vol. 3 10.8.6");
    bool apic = rdmsr(0x1b) & 0x800;
    struct regs r = ring(0, w_cr8);
    r.ax = 9;
    run(&r);
    ends();
    if (apic) EQ("TPR", W32(0xfee00080), 0x90);
    W32(0xfee00080) = 0x5f;
    r = ring(0, r_cr8);
    run(&r);
    EQ("CR8", ev.r.bx, 5);
    W32(0xfee00080) = 0;
    r = ring(3, r_cr8);
    one("CR8 at ring 3", "vol. 2 MOV CR", &r, GP, 0, r_cr8);

    r = ring(0, swap_twice);
    wrmsr(0xc0000102, 0x12345000);
    one("SWAPGS", "vol. 2 SWAPGS", &r, END_VEC, 0, 0);
    EQ("GS.base", ev.r.bx, 0x12345000);
    EQ("KERNEL_GS base", ev.r.si, 0);
    r = ring(3, do_swapgs);
    one("SWAPGS at ring 3", "vol. 2 SWAPGS", &r, GP, 0, do_swapgs);
    r = ring(0, swap_32);
    r.cs = K_CS32;
    one("SWAPGS in compatibility code", "vol. 2 SWAPGS", &r, UD, NO_ERR, swap_32);

    cpuid(7, 0, id);
    if (!(id[1] & 1)) {
        skip("FSGSBASE", "not there");
        return;
    }
    ul cr4 = rcr4();
    wcr4(cr4 & ~(1ul << 16));
    r = ring(0, rd_fs);
    one("RDFSBASE, CR4.FSGSBASE = 0", "vol. 2 RDFSBASE", &r, UD, NO_ERR, rd_fs);
    wcr4(cr4 | 1ul << 16);
    r = ring(3, wr_fs);
    r.ax = 0x00007edcba987654;
    one("WRFSBASE, RDFSBASE at ring 3", "vol. 2 WRFSBASE", &r, END_VEC, 0, 0);
    EQ("FS.base", ev.r.bx, r.ax);
    EQ("32 bits read", ev.r.cx, 0xba987654);
    EQ("32 bits written", ev.r.dx, 0xba987654);
    r = ring(3, wr_fs1);
    r.ax = NONCANON;
    one("WRFSBASE not canonical", "vol. 2 WRFSBASE", &r, GP, 0, wr_fs1);
    r = ring(0, fs_32);
    r.cs = K_CS32;
    one("RDFSBASE in compatibility code", "vol. 2 RDFSBASE", &r, UD, NO_ERR, fs_32);
    wcr4(cr4);
}

CODE(rd_tscp, "rdtscp\n shl $32,%rdx\n or %rdx,%rax");
CODE(rd_pid, ".byte 0xf3,0x0f,0xc7,0xf9"); // to RCX
static u64 tsc(void)
{
    u32 a, d;
    asm_("rdtsc" : "=a"(a), "=d"(d));
    return a | (u64)d << 32;
}
static void aux(void)
{
    u32 id[4];
    cpuid_ext(0x80000001, id);
    if (!(id[3] >> 27 & 1)) {
        skip("RDTSCP", "not there");
        return;
    }
    wrmsr(0xc0000103, 0xfedcba98);
    struct regs r = ring(3, rd_tscp);
    r.cx = ~0ul;
    u64 before = tsc();
    one("RDTSCP", "vol. 2 RDTSCP", &r, END_VEC, 0, 0);
    EQ("RCX is TSC_AUX", ev.r.cx, 0xfedcba98);
    EQ("the time-stamp counter", ev.r.ax >= before && ev.r.ax <= tsc(), true);
    wcr4(rcr4() | CR4_TSD);
    r = ring(3, rd_tscp);
    one("RDTSCP with CR4.TSD", "vol. 2 RDTSCP", &r, GP, 0, rd_tscp);
    r = ring(0, rd_tscp);
    one("RDTSCP with CR4.TSD at ring 0", "vol. 2 RDTSCP", &r, END_VEC, 0, 0);
    wcr4(rcr4() & ~(ul)CR4_TSD);
    cpuid(7, 0, id);
    if (id[2] >> 22 & 1) {
        r = ring(3, rd_pid);
        r.cx = ~0ul;
        one("RDPID", "vol. 2 RDPID", &r, END_VEC, 0, 0);
        EQ("RCX is TSC_AUX", ev.r.cx, 0xfedcba98);
    }
    wrmsr(0xc0000103, 0);
}

// By all ways of reading it, over many turns of an emulator's loop; then set.
static void counter(void)
{
    enum { READS = 30000 };
    u64 last = tsc(), back = 0, same = 0;
    test("the time-stamp counter", "vol. 3 17.17");
    for (u32 i = 0; i < READS; i++) {
        u64 a = tsc(), b = rdmsr(0x10), c = tsc();
        back += a < last || b < a || c < b;
        last = tsc();
        same += last == c || tsc() == last;
    }
    EQ("it never runs back", back, 0);
    EQ("nor stands", same, 0);
    u64 old = rdmsr(0x10);
    wrmsr(0x10, 1ul << 50);
    u64 set = tsc();
    EQ("it goes on from what was written", set >= 1ul << 50 && set < 1ul << 51 && rdmsr(0x10) >= set, true);
    wrmsr(0x10, old + rdmsr(0x10) - (1ul << 50));
    EQ("and back", tsc() >= last && tsc() < 1ul << 49, true);
}

void test_main(void)
{
    counter();
    modes();
    if (on_qemu())
        skip("what control registers and MSRs refuse",
             "QEMU's tcg lets through nearly everything, at times to its death");
    else
        rules();
    canonical();
    run_off_the_end();
    segments();
    legacy();
    instructions();
    bases();
    aux();
}
