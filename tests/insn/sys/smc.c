// SPDX-License-Identifier: MIT
// Code that changes: by itself (later bytes of the instruction, the next one, the block, the block before, the other
// page), through an alias, by DMA, by the page walk, by a remapped page, by another processor. SDM vol. 3 8.1.3, 11.6:
// stores to code are seen from the next instruction on; through another linear address, or another processor, after a
// serializing instruction.
#include "tests/insn/sys/sys.h"

static const char sec[] = "vol. 3 8.1.3, 11.6";
// Two pages for code, one of them left untouched by what is in the other; a page at 9000h for 16-bit code.
static u8 page[4][4096] PAGE_ALIGNED;
enum { LOW = 0x9000, K_CS32 = SPARE, T = SPARE + 8, ALIAS = 0x20000000, MAP = 0x30000000 };

static void *load_at(void *to, const u8 *from, const u8 *end)
{
    memcpy(to, from, end - from);
    serialize();
    return to;
}
#define LOAD_AT(to, name) load_at(to, name, name##_end)
#define LOAD(name)        LOAD_AT(page[0], name)

// ---- own code

CODE(nothing, "nop");
CODE(next_insn, "movb $0x5a,1f+1(%rip)\n1: mov $0,%bl");
CODE(next_next, "movb $0x5a,1f+1(%rip)\n nop\n inc %ecx\n add $3,%edx\n1: mov $0,%bl");
CODE(
    own_imm,
    "mov $3,%ecx\n1: .byte 0x81,5\n .long -4,1\n dec %ecx\n jnz 1b\n mov 1b+6(%rip),%ebx"); // the immediate's own bytes
CODE(own_opcode, "xor %ebx,%ebx\n mov $2,%ecx\n"
                 "1: movb $0x80,1b(%rip)\n inc %ebx\n loop 1b"); // C6 /0 becomes 80 /0, ADD: adds to itself
CODE(before, "xor %ecx,%ecx\n1: mov $1,%bl\n inc %ecx\n cmp $2,%ecx\n je 2f\n movb $0x77,1b+1(%rip)\n jmp 1b\n2:");
CODE(other_length, "xor %ebx,%ebx\n mov $2,%ecx\n1: inc %ebx\n nop\n nop\n nop\n nop\n"
                   "movl $0x90c3ff48,1b(%rip)\n movw $0x9090,1b+4(%rip)\n loop 1b"); // INC EBX becomes REX.W
CODE(loop_end, "xor %ebx,%ebx\n1: inc %ebx\n cmp $100,%ebx\n jne 2f\n movw $0x9090,2f(%rip)\n2: jmp 1b");
CODE(by_push, "mov %rsp,%rdx\n lea 2f(%rip),%rsp\n push %rax\n1: nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n2: mov "
              "%rdx,%rsp");
CODE(by_call, "mov %rsp,%rdx\n lea 2f+10(%rip),%rsp\n call 2f\n2: movabs $0,%rbx\n mov %rdx,%rsp"); // return address
CODE(by_xchg, "mov $0x77,%al\n xchg %al,1f+1(%rip)\n1: mov $0x11,%bl\n mov %al,%cl");
CODE(by_cmpxchg16b,
     "mov 1f(%rip),%rax\n mov 1f+8(%rip),%rdx\n mov %rax,%rbx\n mov %rdx,%rcx\n xor $0x6600,%rbx\n"
     "lock cmpxchg16b 1f(%rip)\n .balign 16\n1: mov $0x11,%bl\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n"
     "nop\n nop\n nop\n nop\n nop\n nop\n nop");
CODE(by_movnti, "mov $0x90909090,%eax\n movnti %eax,1f(%rip)\n sfence\n mov $5,%ebx\n1: inc %ebx\n inc %ebx");
CODE(
    by_movs,
    "lea 2f(%rip),%rsi\n lea 1f(%rip),%rdi\n mov $2,%ecx\n rep movsb\n1: mov $0x11,%bl\n jmp 3f\n2: mov $0x77,%bl\n3:");
CODE(by_stosq, "mov $0x9090909090909090,%rax\n lea 1f(%rip),%rdi\n mov $2,%ecx\n xor %ebx,%ebx\n rep stosq\n"
               "1: inc %ebx\n inc %ebx\n inc %ebx\n inc %ebx\n inc %ebx\n inc %ebx\n inc %ebx\n inc %ebx");
CODE(far_jump, "movb $0x77,1f+1(%rip)\n pushq $8\n lea 1f(%rip),%rax\n push %rax\n lretq\n1: mov $0,%bl");
CODE(two_stores, "movb $1,1f+1(%rip)\n movb $2,1f+1(%rip)\n1: mov $0,%bl\n movb $3,2f+1(%rip)\n2: mov $0,%cl\n"
                 "movb $4,3f+1(%rip)\n movb $5,1b+1(%rip)\n3: mov $0,%dl");
CODE(rep_self,
     "1: rep stosb\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop");

static void own(unsigned cpl)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
        u64 bx;
    } t[] = {
        {"the next instruction", next_insn, next_insn_end, 0x5a},
        {"the instruction after some", next_next, next_next_end, 0x5a},
        {"its own immediate", own_imm, own_imm_end, 8},
        {"its own opcode", own_opcode, own_opcode_end, 2},
        {"the block before", before, before_end, 0x77},
        {"an instruction becomes longer", other_length, other_length_end, 2},
        {"the end of a loop, from inside", loop_end, loop_end_end, 100},
        {"by XCHG", by_xchg, by_xchg_end, 0x77},
        {"by CMPXCHG16B", by_cmpxchg16b, by_cmpxchg16b_end, 0x77},
        {"by MOVNTI", by_movnti, by_movnti_end, 5},
        {"by REP MOVS", by_movs, by_movs_end, 0x77},
        {"by REP STOS, its neighbours", by_stosq, by_stosq_end, 0},
        {"by the push of CALL", by_call, by_call_end, 0},
        {"two stores to one place", two_stores, two_stores_end, 2},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        static char name[80];
        char *p = name;
        for (const char *s = t[i].name; *s;) *p++ = *s++;
        for (const char *s = cpl ? ", ring 3" : ""; *s;) *p++ = *s++;
        *p = 0;
        test(name, sec);
        for (unsigned round = 0; round < 3; round++) { // the third has met the code already, in its first shape
            struct regs r = ring(cpl, load_at(page[0], t[i].code, t[i].end));
            run(&r);
            ends();
            u64 want = t[i].bx, mask = want == 0x77 || want == 0x5a || t[i].code == two_stores ? 0xff : ~0ull;
            if (t[i].code == by_call) want = (ul)page[0] + 15;
            BITS("result", ev.r.bx, want, mask);
            if (t[i].code == two_stores) EQ("later ones", (ev.r.cx & 0xff) << 8 | (ev.r.dx & 0xff), 0x304);
        }
    }
    test(cpl ? "by PUSH, ring 3" : "by PUSH", sec);
    for (unsigned round = 0; round < 3; round++) {
        struct regs r = ring(cpl, LOAD(by_push));
        r.ax = 0x9090909090c3ff48; // INC RBX
        r.bx = 41;
        run(&r);
        ends();
        EQ("result", ev.r.bx, 42);
    }
    test(cpl ? "REP STOS over itself, ring 3" : "REP STOS over itself",
         "vol. 3 8.1.3 (either it stops there or it goes on)");
    for (unsigned round = 0; round < 2; round++) {
        struct regs r = ring(cpl, (u8 *)LOAD_AT(page[0] + 64, rep_self));
        memset(page[0], 0xcc, 64);
        r.ax = 0x90;
        r.di = (ul)page[0] + 50;
        r.cx = 20; // 14 before it, its two bytes, 4 NOPs
        run(&r);
        ends();
        ul n = ev.r.di - r.di;
        unsigned good = 0;
        for (unsigned i = 0; i < 20; i++) good += page[0][50 + i] == 0x90;
        EQ("filled", good, 20);
        EQ("RCX and RDI agree", ev.r.cx, n == 20 ? 0 : 20 - n + 1);
    }
    if (!cpl) {
        test("far jump to what was written", sec);
        struct regs r = ring(0, LOAD(far_jump));
        run(&r);
        ends();
        EQ("result", ev.r.bx & 0xff, 0x77);
    }
}

// 32-bit and 16-bit code: EBX holds where it was loaded.
#define OWN_NARROW(bits, at)                                                                                           \
    CODE##bits(n##bits##_next, "10: movb $0x5a,1f-10b+1(%" at ")\n1: mov $0,%dl");                                     \
    CODE##bits(n##bits##_before, "10: xor %ecx,%ecx\n1: mov $1,%dl\n inc %ecx\n cmp $2,%ecx\n je 2f\n"                 \
                                 "movb $0x77,1b-10b+1(%" at ")\n jmp 1b\n2:");                                         \
    CODE##bits(n##bits##_loop, "10: xor %edx,%edx\n1: inc %edx\n cmp $100,%edx\n jne 2f\n"                             \
                               "movw $0x9090,2f-10b(%" at ")\n2: jmp 1b");                                             \
    CODE##bits(n##bits##_stos, "10: lea 1f-10b(%" at "),%edi\n mov $0x90,%al\n mov $4,%ecx\n xor %edx,%edx\n"          \
                               "rep stosb\n1: inc %dl\n inc %dl\n inc %dh")
OWN_NARROW(32, "ebx");
OWN_NARROW(16, "bx");

static void narrow(void)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
        u16 cs, ss;
        u32 dx;
    } t[] = {
        {"32-bit code, the next instruction", n32_next, n32_next_end, U_CS, U_DS, 0x5a},
        {"32-bit code, the block before", n32_before, n32_before_end, U_CS, U_DS, 0x77},
        {"32-bit code, the end of a loop", n32_loop, n32_loop_end, U_CS, U_DS, 100},
        {"32-bit code, REP STOS", n32_stos, n32_stos_end, U_CS, U_DS, 0x100},
        {"32-bit code, ring 0", n32_next, n32_next_end, K_CS32, K_DS, 0x5a},
        {"16-bit code, the next instruction", n16_next, n16_next_end, U_CS16, U_DS, 0x5a},
        {"16-bit code, the block before", n16_before, n16_before_end, U_CS16, U_DS, 0x77},
        {"16-bit code, the end of a loop", n16_loop, n16_loop_end, U_CS16, U_DS, 100},
        {"16-bit code, REP STOS", n16_stos, n16_stos_end, U_CS16, U_DS, 0x100},
        {"16-bit code, ring 0", n16_next, n16_next_end, K_CS16, K_DS, 0x5a},
    };
    set_desc(K_CS32, descriptor(0, 0xfffff, A_CODE0));
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, sec);
        for (unsigned round = 0; round < 3; round++) {
            struct regs r = ring(t[i].cs & 3, load_at((void *)LOW, t[i].code, t[i].end));
            r.cs = t[i].cs;
            r.ss = r.ds = r.es = t[i].ss;
            r.bx = LOW;
            run(&r);
            ends();
            BITS("result", ev.r.dx, t[i].dx, t[i].dx == 0x100 || t[i].dx == 100 ? 0xffff : 0xff);
        }
    }
    test("one place as 16, 32 and 64-bit code in turn", "vol. 3 3.4.5"); // B8 and REX differ
    static const u8 same[] = {0xb8, 1, 0, 0, 0, 0x48, 0xff, 0xc0, 0xcd, 0x20};
    load_at((void *)LOW, same, same + sizeof same);
    for (unsigned round = 0; round < 3; round++) {
        struct regs r = ring(3, (void *)LOW);
        r.ax = 0x100000000;
        r.bx = LOW + 0x800;
        run(&r);
        ends();
        EQ("64: INC RAX", ev.r.ax, 2);
        r.cs = U_CS;
        run(&r);
        ends();
        EQ("32: DEC EAX, INC EAX", ev.r.ax, 1);
        r.cs = U_CS16;
        r.ax = 0;
        run(&r); // MOV AX,1; ADD [BX+SI],AL; DEC AX; INC AX
        ends();
        EQ("16", ev.r.ax & 0xffff, 1);
    }
}

// ---- pages

CODE(returns_1, "mov $1,%ebx\n nop");
CODE(returns_2, "mov $2,%ebx\n nop");
CODE(call_patch_call, "call *%rsi\n mov %ebx,%ebp\n movb $9,1(%rsi)\n call *%rsi");
CODE(fn, "mov $1,%ebx\n ret");
CODE(store_off, "mov %rax,(%rdi)\n jmp *%rsi");
CODE(alias_write, "call *%rsi\n mov %ebx,%ebp\n movb $9,1(%rdi)\n xor %eax,%eax\n xor %ecx,%ecx\n push %rsi\n cpuid\n "
                  "pop %rsi\n call *%rsi");
CODE(remap, "call *%rsi\n mov %ebx,%ebp\n mov %rax,(%rdi)\n invlpg (%rsi)\n call *%rsi");
CODE(remap_cr3, "call *%rsi\n mov %ebx,%ebp\n mov %rax,%cr3\n call *%rsi\n mov %ebx,%r8d\n mov %rdx,%cr3\n call *%rsi");
CODE(beside, "mov $10000,%ecx\n xor %ebx,%ebx\n1: mov %ecx,(%rdi)\n add (%rdi),%rbx\n incl 8(%rdi)\n loop 1b");
CODE(thousands, "mov $10000,%ecx\n xor %edx,%edx\n1: mov %ecx,2f+1(%rip)\n2: mov $0,%ebx\n add %rbx,%rdx\n loop 1b");
CODE(thousands_fn, "mov $10000,%ecx\n xor %edx,%edx\n1: mov %ecx,1(%rsi)\n call *%rsi\n add %rbx,%rdx\n loop 1b");
CODE(thousands_len, "mov $3000,%ebp\n xor %edx,%edx\n1: mov %ebp,%ecx\n and $31,%ecx\n mov %rsi,%rdi\n inc %ecx\n shl "
                    "$1,%ecx\n2: movw $0xc3ff,(%rdi)\n add $2,%rdi\n dec %ecx\n jnz 2b\n"
                    "movb $0xc3,(%rdi)\n xor %ebx,%ebx\n call *%rsi\n add %rbx,%rdx\n dec %ebp\n jnz 1b");
CODE(on_stack, "push %rax\n call *%rsp\n add $8,%rsp\n mov %ebx,%ebp\n push %rdx\n call *%rsp\n add $8,%rsp");

static void pages(void)
{
    test("a function on another page", sec);
    for (unsigned round = 0; round < 3; round++) {
        struct regs r = ring(round ? 3 : 0, LOAD(call_patch_call));
        r.si = (ul)LOAD_AT(page[1] + 100, fn);
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 9);
    }
    test("a store that reaches from a page of data into one of code", sec);
    for (unsigned round = 0; round < 3; round++) {
        u8 *f = LOAD_AT(page[1], returns_1);
        struct regs r = ring(0, f); // so that it is known
        run(&r);
        r = ring(0, LOAD_AT(page[2], store_off));
        r.si = (ul)f;
        r.di = (ul)page[1] - 3;
        r.ax = (u64)0xbb << 24 | (u64)4 << 32; // the last five bytes: MOV EBX,4
        run(&r);
        ends();
        EQ("result", ev.r.bx, 4);
    }
    test("an instruction that straddles two pages", sec);
    static u8 fresh[18][4096] PAGE_ALIGNED; // where no code was before
    unsigned used = 0;
    for (unsigned off = 1; off < 5; off++) {
        for (unsigned b = 1; b < 5; b++) {
            u8 *f = fresh[++used] - off;
            LOAD_AT(f, fn);
            struct regs r = ring(0, LOAD(call_patch_call));
            LOAD_AT(f, fn);
            u8 *patch = page[0];
            while (!(patch[0] == 0xc6 && patch[1] == 0x46)) patch++;
            patch[2] = b; // movb $9,b(%rsi)
            r.si = (ul)f;
            run(&r);
            ends();
            EQ("first", ev.r.bp, 1);
            EQ("then", ev.r.bx, b == 1 ? 9 : (1 | 9u << 8 * (b - 1)));
        }
    }
    test("beside data on the same page", sec);
    struct regs r = ring(3, LOAD_AT(page[0] + 8, beside));
    r.di = (ul)page[0] + 512;
    memset(page[0] + 512, 0, 16);
    run(&r);
    ends();
    EQ("sum", ev.r.bx, 50005000);
    EQ("count", W32(page[0] + 520), 10000);
    test("patched 10000 times, the next instruction", sec);
    r = ring(3, LOAD(thousands));
    run(&r);
    ends();
    EQ("sum", ev.r.dx, 50005000);
    test("patched 10000 times, a function on the same page", sec);
    r = ring(3, LOAD(thousands_fn));
    r.si = (ul)LOAD_AT(page[0] + 2048, fn);
    run(&r);
    ends();
    EQ("sum", ev.r.dx, 50005000);
    test("patched 10000 times, a function on another page", sec);
    r.si = (ul)LOAD_AT(page[1] + 2048, fn);
    run(&r);
    ends();
    EQ("sum", ev.r.dx, 50005000);
    test("3000 functions of different lengths in one place", sec);
    r = ring(3, LOAD(thousands_len));
    r.si = (ul)page[1] + 5;
    run(&r);
    ends();
    u64 sum = 0;
    for (unsigned i = 1; i <= 3000; i++) sum += 2 * ((i & 31) + 1);
    EQ("sum", ev.r.dx, sum);
    test("code on the stack", sec);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(3, LOAD(on_stack));
        r.ax = 0x0000c300000001bb; // MOV EBX,1; RET
        r.dx = 0x0000c300000002bb;
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 2);
        EQ("RSP", ev.r.sp, r.sp);
    }
}

// ---- blocks: long ones, chained ones, one place seen in several ways, what else may come between

CODE(straight, "movb $0x77,1f+1(%rip)\n .rept 3000\n nop\n .endr\n1: mov $0,%bl");
// Two pages that jump to each other directly, each patching the other; in place.
CODE(chain,
     ".balign 4096\n xor %edx,%edx\n mov $1000,%ecx\n1: mov %ecx,2f+1(%rip)\n add $0,%edx\n jmp 2f\n"
     ".balign 4096\n2: mov $0,%ebx\n add %rbx,%rdx\n incb 1b+8(%rip)\n decb 1b+8(%rip)\n dec %ecx\n jnz 1b\n nop");
CODE(then_fault, "1: movb $0x77,1b+6(%rip)\n nop\n nop\n.globl then_fault_at\nthen_fault_at: mov (%rsi),%ebx");
CODE(fxsave_over, "call *%rsi\n mov %ebx,%ebp\n movq %rax,%xmm0\n fxsave (%rdi)\n call *%rsi");
CODE(call_twice, "call *%rsi");
CODE16(where16, "call 1f\n1: pop %dx");
CODE32(where32, "call 1f\n1: pop %edx");
extern u8 then_fault_at[];

static void blocks(void)
{
    struct regs r;
    test("the end of 3000 instructions without a jump", sec);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(3, LOAD(straight));
        run(&r);
        ends();
        EQ("result", ev.r.bx & 0xff, 0x77);
    }
    test("two pages that jump to and patch each other", sec);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(3, (void *)(((ul)chain + 4095) & ~4095ul));
        run(&r);
        ends();
        EQ("sum", ev.r.dx, 500500);
    }
    test("a fault behind a store to its own block", "vol. 3 6.6");
    for (unsigned round = 0; round < 3; round++) {
        r = ring(3, LOAD(then_fault));
        r.si = 0x8000000000;
        r.bx = 0x1234;
        run(&r);
        event_is(PF, 4, page[0] + (then_fault_at - then_fault));
        EQ("RBX", ev.r.bx, 0x1234);
    }
    test("stepped, each instruction", "vol. 3 17.3.1.4");
    for (unsigned round = 0; round < 2; round++) {
        r = ring(3, LOAD(next_next));
        r.flags |= F_TF;
        for (unsigned i = 0; i < 6; i++) {
            run(&r);
            if (ev.vec != DB) break;
            event_is(DB, NO_ERR, NULL);
            r = ev.r;
        }
        ends();
        EQ("result", ev.r.bx & 0xff, 0x5a);
    }
    wdr6(0xffff0ff0);
    test("by FXSAVE", sec);
    wcr4(rcr4() | CR4_OSFXSR);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(3, LOAD(fxsave_over));
        r.di = (ul)page[1] + 1024;
        r.si = (ul)LOAD_AT(page[1] + 1024 + 160, fn); // XMM0's place
        r.ax = 0xc300000077bb;                        // MOV EBX,77h; RET
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 0x77);
    }
    test("by the frame of an interrupt", "vol. 3 6.14.2");
    u64 rsp0 = tss.rsp[0];
    for (unsigned round = 0; round < 3; round++) {
        struct regs f = ring(0, LOAD(call_twice));
        f.si = (ul)LOAD_AT(page[1] + 1024, fn);
        run(&f);
        ends();
        EQ("before", ev.r.bx, 1);
        tss.rsp[0] = (ul)page[1] + 1024 + 16;
        r = ring(3, nothing);
        r.sp = 0xc377b3; // the word that is pushed there: MOV BL,77h; RET
        run(&r);
        ends();
        tss.rsp[0] = rsp0;
        run(&f);
        ends();
        EQ("after", ev.r.bx & 0xff, 0x77);
    }
    test("one place under several bases of CS", "vol. 3 3.4.2");
    static const u32 bases[] = {0, LOW, LOW - 0x100, 0x8000};
    for (unsigned k = 0; k < 2; k++) {
        load_at((void *)LOW, k ? where32 : where16, k ? where32_end : where16_end);
        for (unsigned i = 0; i < 8; i++) {
            u32 base = bases[i & 3];
            set_desc(T, descriptor(base, 0xfffff, k ? A_CODE3 : 0x80fb));
            r = ring(3, (void *)(ul)(LOW - base));
            r.cs = T | 3;
            r.dx = 0;
            run(&r);
            ends();
            EQ("return address", ev.r.dx, LOW - base + (k ? 5 : 3));
        }
    }
    set_desc(T, 0);
}

// ---- translations

static u64 pt[512] PAGE_ALIGNED, pd2[512] PAGE_ALIGNED, pdpt2[512] PAGE_ALIGNED, pml4_2[512] PAGE_ALIGNED;
static u64 saved_pd[2];

// MAP: 4 KB pages by pt[].
static void map_small(void)
{
    saved_pd[0] = boot_pd[MAP >> 21];
    saved_pd[1] = boot_pd[ALIAS >> 21];
    boot_pd[MAP >> 21] = (ul)pt | 7;
    boot_pd[ALIAS >> 21] = 0x87; // the first 2 MB again
    wcr3(rcr3());
}

static void translations(void)
{
    map_small();
    struct regs r;
    test("through an alias", sec);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(0, LOAD(alias_write));
        r.si = (ul)LOAD_AT(page[1] + 64, fn);
        r.di = r.si + ALIAS;
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 9);
    }
    test("executed through an alias, written in place", sec);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(0, LOAD(alias_write));
        r.di = (ul)LOAD_AT(page[1] + 64, fn);
        r.si = r.di + ALIAS;
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 9);
    }
    test("another page by INVLPG", "vol. 3 4.10.4");
    for (unsigned round = 0; round < 3; round++) {
        LOAD_AT(page[1] + 16, fn);
        LOAD_AT(page[2] + 16, fn);
        page[2][17] = 2;
        pt[1] = (ul)page[1] | 7;
        invlpg(MAP + 4096);
        r = ring(0, LOAD(remap));
        r.si = MAP + 4096 + 16;
        r.di = (ul)&pt[1];
        r.ax = (ul)page[2] | 7;
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.bx, 2);
    }
    test("another page by MOV CR3", "vol. 3 4.10.4");
    memcpy(pml4_2, boot_pml4, 4096);
    memcpy(pdpt2, boot_pdpt, 4096);
    memcpy(pd2, boot_pd, 4096);
    static u64 pt2[512] PAGE_ALIGNED;
    pml4_2[0] = (ul)pdpt2 | 7;
    pdpt2[0] = (ul)pd2 | 7;
    pd2[MAP >> 21] = (ul)pt2 | 7;
    pt[1] = (ul)page[1] | 7;
    pt2[1] = (ul)page[2] | 7;
    invlpg(MAP + 4096);
    for (unsigned round = 0; round < 3; round++) {
        r = ring(0, LOAD(remap_cr3));
        r.si = MAP + 4096 + 16;
        r.ax = (ul)pml4_2;
        r.dx = (ul)boot_pml4;
        run(&r);
        ends();
        EQ("first", ev.r.bp, 1);
        EQ("then", ev.r.r8, 2);
        EQ("and back", ev.r.bx, 1);
    }
    test("the second page of code that runs across is replaced", "vol. 3 4.10.4");
    for (unsigned straddle = 0; straddle < 3; straddle++) {
        pt[1] = (ul)page[0] | 7;
        pt[2] = (ul)page[1] | 7;
        invlpg(MAP + 4096);
        invlpg(MAP + 8192);
        // A MOV EBX,imm32 with its last bytes on the next page, or just before the border.
        u8 *f = page[0] + 4096 - 5 + straddle;
        memset(page[0] + 4080, 0x90, 16);
        static const u8 mov[] = {0xbb, 1, 0, 0, 0, 0xcd, 0x20};
        memset(page[1], 0, 16);
        memset(page[2], 0, 16);
        memset(page[3], 0, 16);
        memcpy(page[0] + 4096 - 5 + straddle, mov, 5 - straddle);
        memcpy(page[1], mov + 5 - straddle, 2 + straddle);
        static const u8 inc[] = {0xff, 0xc3, 0xcd, 0x20}; // on the new page: INC EBX
        memcpy(page[3], mov + 5 - straddle, straddle);
        memcpy(page[3] + straddle, inc, 4);
        if (straddle) page[3][straddle - 1] = 0x40; // the top byte of the immediate
        r = ring(0, (void *)(MAP + 4096 + (f - page[0])));
        for (unsigned round = 0; round < 3; round++) {
            pt[2] = (ul)page[1] | 7;
            invlpg(MAP + 8192);
            run(&r);
            ends();
            EQ("first", ev.r.bx, 1);
            pt[2] = (ul)page[3] | 7;
            invlpg(MAP + 8192);
            run(&r);
            ends();
            EQ("then", ev.r.bx, straddle ? 0x40000002 : 2);
        }
    }
    test("a store to code that faults on the next page changes nothing", "vol. 3 6.6");
    for (unsigned round = 0; round < 3; round++) {
        u8 *f = LOAD_AT(page[1] + 4096 - 9, returns_1); // MOV, NOP, INT: 8 bytes
        pt[1] = (ul)page[1] | 7;
        pt[2] = 0;
        invlpg(MAP + 4096);
        invlpg(MAP + 8192);
        struct regs g = ring(3, (void *)(MAP + 8192 - 9));
        run(&g);
        ends();
        r = ring(3, LOAD(store_off));
        r.di = MAP + 8192 - 4;
        r.si = (ul)f;
        run(&r);
        event_is(PF, 6, page[0]);
        EQ("CR2", ev.cr2, MAP + 8192);
        EQ("unchanged", memcmp(f, returns_1, 8), 0);
        run(&g);
        ends();
        EQ("result", ev.r.bx, 1);
    }
    test("a page of code made absent", "vol. 3 4.10.4");
    LOAD_AT(page[1], returns_1);
    pt[1] = (ul)page[1] | 7;
    invlpg(MAP + 4096);
    r = ring(3, (void *)(MAP + 4096));
    run(&r);
    ends();
    pt[1] = 0;
    invlpg(MAP + 4096);
    run(&r);
    event_is(PF, 4, (void *)(MAP + 4096));
    EQ("CR2", ev.cr2, MAP + 4096);
    test("a page of code taken from ring 3", "vol. 3 4.6");
    pt[1] = (ul)page[1] | 3;
    run(&r);
    event_is(PF, 5, (void *)(MAP + 4096));
    r.cs = K_CS;
    r.ss = K_DS;
    r.sp = TOP(stack_k);
    run(&r);
    ends();

    // The processor's own writes: accessed bits in what is code at the same time.
    test("the page walk sets an accessed bit in code", "vol. 3 4.8, 8.1.3");
    static u8 walk[64] __attribute__((aligned(8)));
    for (unsigned round = 0; round < 3; round++) {
        // pd entry of ALIAS + 2 MB points to a page table whose entry 0 is the immediate of MOVABS at page[1] + 6
        static const u8 movabs[] = {0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0xcd, 0x20};
        memset(page[1], 0x90, 4096);
        memcpy(page[1] + 6, movabs, sizeof movabs);
        W64(page[1] + 8) = ((ul)walk & ~0xffful) | 7;
        boot_pd[(ALIAS >> 21) + 1] = (ul)page[1] | 7;
        wcr3(rcr3());
        r = ring(0, page[1]);
        run(&r);
        ends();
        EQ("before", ev.r.bx, ((ul)walk & ~0xffful) | 7);
        W8(ALIAS + 0x200000 + 4096); // entry 1
        serialize();
        run(&r);
        ends();
        EQ("A", ev.r.bx, ((ul)walk & ~0xffful) | 0x27);
        W8(ALIAS + 0x200000 + 4096 + ((ul)walk & 0xfff)) = 1;
        serialize();
        run(&r);
        ends();
        EQ("A and D", ev.r.bx, ((ul)walk & ~0xffful) | 0x67);
    }
    test("a segment load sets an accessed bit in code", "vol. 3 3.4.5.1, 8.1.3");
    for (unsigned round = 0; round < 3; round++) {
        static const u8 movabs[] = {0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0xcd, 0x20};
        memcpy(page[2] + 6, movabs, sizeof movabs);
        memset(page[2], 0x90, 6);
        u64 d = descriptor(0, 0xfffff, 0xc0f2);
        W64(page[2] + 8) = d;
        set_system_desc(T, (ul)page[2], 255, 0x82);
        asm_("lldt %0" ::"r"((u16)T));
        r = ring(0, page[2]);
        run(&r);
        EQ("before", ev.r.bx, d);
        asm_("mov %0,%%fs\n mov %1,%%fs" ::"r"(0xf), "r"(0));
        serialize();
        run(&r);
        ends();
        EQ("after", ev.r.bx, d | 1ull << 40);
    }
    boot_pd[MAP >> 21] = saved_pd[0];
    boot_pd[ALIAS >> 21] = saved_pd[1];
    boot_pd[(ALIAS >> 21) + 1] = (ALIAS + 0x200000) | 0x87;
    wcr3(rcr3());
    reset_tables();
}

// ---- devices, another processor

CODE(four_nops, "nop\n nop\n nop\n nop");
CODE(ins_over, "rep insb\n nop\n nop\n nop\n nop");
static void devices(void)
{
    outw(0x510, 0);
    u32 sig = 0;
    for (unsigned i = 0; i < 4; i++) sig |= (u32)inb(0x511) << 8 * i;
    if (sig != 0x554d4551) { // "QEMU": 51 PUSH RCX; 45 4D 55 PUSH R13
        skip("by DMA", "no fw_cfg");
        return;
    }
    static volatile struct {
        u32 control, length;
        u64 address;
    } PACKED dma __attribute__((aligned(16)));
    test("by DMA", "vol. 3 11.3, 11.6");
    for (unsigned round = 0; round < 3; round++) {
        struct regs r = ring(0, LOAD(four_nops));
        run(&r);
        ends();
        EQ("before", ev.r.sp, r.sp);
        dma.control = __builtin_bswap32(8 | 2); // select item 0, read
        dma.length = __builtin_bswap32(4);
        dma.address = __builtin_bswap64((ul)page[0]);
        outl(0x514, 0);
        outl(0x518, __builtin_bswap32((u32)(ul)&dma));
        serialize();
        EQ("status", dma.control, 0);
        run(&r);
        ends();
        EQ("after", ev.r.sp, r.sp - 16);
        EQ("memory", W32(page[0]), sig);
    }
    test("by REP INS", sec);
    for (unsigned round = 0; round < 3; round++) {
        struct regs r = ring(0, LOAD(ins_over));
        outw(0x510, 0);
        r.di = (ul)page[0] + 2;
        r.cx = 4;
        r.dx = 0x511;
        run(&r);
        ends();
        EQ("RSP", ev.r.sp, r.sp - 16);
    }
}

// The disk of tests/cli/sys: sector n is MOV BL,n; INT 20h.
CODE(bl_77, "mov $0x77,%bl");
CODE(start_and_go,
     "out %al,%dx\n add $2,%edx\n1: in %dx,%al\n test $1,%al\n jnz 1b\n xor %eax,%eax\n cpuid\n xor %ebx,%ebx\n"
     "jmp *%rsi");
static struct {
    u32 address, count; // SFF-8038i 1.3: physical region descriptor
} prd __attribute__((aligned(8)));
static u16 bus_master(void)
{
    for (u32 f = 0; f < 32 * 8; f++) {
        u32 at = 0x80000000 | f << 8;
        outl(0xcf8, at | 8);
        if (inl(0xcfc) >> 16 != 0x0101) continue; // mass storage, IDE
        outl(0xcf8, at | 0x20);
        u32 bar = inl(0xcfc);
        outl(0xcf8, at | 4);
        outl(0xcfc, (inl(0xcfc) & 0xffff) | 5); // I/O, bus master
        return bar & 1 ? bar & 0xfff0 : 0;
    }
    return 0;
}
// READ DMA of n sectors, all but the start.
static void ide_prepare(u16 bm, u32 lba, u32 n, void *to)
{
    prd.address = (u32)(ul)to;
    prd.count = n * 512 | 0x80000000;
    outl(bm + 4, (u32)(ul)&prd);
    outb(bm, 8);     // to memory
    outb(bm + 2, 6); // clears error and interrupt
    outb(0x1f6, 0xe0);
    for (u32 k = 0; k < 100000 && inb(0x1f7) & 0x80; k++) asm_("pause");
    outb(0x1f2, n);
    outb(0x1f3, lba);
    outb(0x1f4, 0);
    outb(0x1f5, 0);
    outb(0x1f7, 0xc8);
}
static u32 ide_finish(u16 bm)
{
    for (u32 k = 0; k < 10000000 && (inb(bm + 2) & 5) == 1; k++) asm_("pause");
    u32 status = inb(bm + 2) & 3;
    outb(bm, 0);
    return status | (inb(0x1f7) & 1) << 8;
}
static void bus_master_dma(void)
{
    u16 bm = bus_master();
    outb(0x1f6, 0xa0);
    if (!bm || inb(0x1f7) == 0xff || inb(0x1f7) == 0) {
        skip("by the IDE bus master", "no disk there");
        return;
    }
    outb(0x3f6, 2); // no interrupts
    test("by the IDE bus master", "vol. 3 11.3, 11.6");
    struct regs r = ring(0, LOAD(bl_77));
    for (u32 n = 0; n < 5; n++) {
        run(&r);
        ends();
        EQ("before", ev.r.bx & 0xff, n ? n : 0x77);
        ide_prepare(bm, n + 1, 1, page[0]);
        outb(bm, 9);
        EQ("status", ide_finish(bm), 0);
        serialize();
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        EQ("after", ev.r.bx & 0xff, n + 1);
        EQ("memory", W16(page[0]), (n + 1) << 8 | 0xb3);
    }
    test("by the IDE bus master, on both sides of a page's end", "vol. 3 11.3, 11.6");
    for (u32 n = 0; n < 3; n++) {
        u8 *low = page[3] - 512, *high = page[3];
        LOAD_AT(low, bl_77);
        LOAD_AT(high, bl_77);
        for (u32 k = 0; k < 4; k++) {
            if (k == 2) {
                ide_prepare(bm, 10 + n, 2, low);
                outb(bm, 9);
                EQ("status", ide_finish(bm), 0);
                serialize();
            }
            r = ring(k & 1 ? 3 : 0, k & 1 ? high : low);
            run(&r);
            EQ(k < 2 ? "before" : "after", ev.r.bx & 0xff, k < 2 ? 0x77 : 10 + n + (k & 1));
        }
    }
    test("by the IDE bus master, on the page that waits for it", "vol. 3 11.3, 11.6");
    for (u32 n = 0; n < 5; n++) {
        LOAD_AT(page[1] + 512, bl_77);
        r = ring(0, page[1] + 512);
        run(&r);
        EQ("before", ev.r.bx & 0xff, 0x77);
        r = ring(0, LOAD_AT(page[1], start_and_go));
        ide_prepare(bm, 20 + n, 1, page[1] + 512);
        r.ax = 9;
        r.dx = bm;
        r.si = (ul)page[1] + 512;
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        EQ("after", ev.r.bx & 0xff, 20 + n);
        EQ("status", ide_finish(bm), 0);
    }
}

static volatile u32 turn;
static u8 *volatile shared_code;
static void other_cpu(void)
{
    for (u32 n = 1; n <= 50; n++) {
        while (turn != 2 * n - 1) asm_("pause");
        shared_code[1] = n;
        turn = 2 * n;
    }
}
static void processors(void)
{
    if (!start_ap(other_cpu)) {
        skip("by another processor", "there is none");
        return;
    }
    test("by another processor", "vol. 3 8.1.3, cross-modifying code");
    shared_code = LOAD_AT(page[1], returns_1);
    struct regs r = ring(3, page[1]);
    for (u32 n = 1; n <= 50; n++) {
        run(&r);
        ends();
        EQ("before", ev.r.bx, n == 1 ? 1 : n - 1);
        turn = 2 * n - 1;
        while (turn != 2 * n) asm_("pause");
        serialize();
        run(&r);
        EQ("after", ev.r.bx, n);
    }
}

void test_main(void)
{
    own(0);
    own(3);
    narrow();
    pages();
    blocks();
    translations();
    devices();
    bus_master_dma();
    processors();
}
