// SPDX-License-Identifier: MIT
// Exceptions among each other: classes and double faults; single steps over every kind of instruction, breakpoints,
// shadows; #AC, #MF, #NM, #BR, #OF; what returns from them restore.
#include "tests/insn/sys/sys.h"

CODE(nothing, "nop");
CODE(nops, "nop\n nop\n nop\n nop");
u32 scratch[64] __attribute__((aligned(64)));
CODE(do_mf, "fninit\n pushw $0x37b\n fldcw (%esp)\n fld1\n fldz\n fdivrp\n fnop\n.globl mf_at\nmf_at: fwait");
CODE(do_mf2, "fninit\n pushw $0x37b\n fldcw (%esp)\n fld1\n fldz\n fdivrp\n nop");
CODE(dr4, "mov %dr4,%eax");
CODE(do_sgdt, "sgdt scratch");
CODE(do_str, "str %eax");
CODE(do_sldt, "sldt %eax");
CODE(do_sidt, "sidt scratch");
extern u8 mf_at[];

// ---- vectors of instructions

CODE(do_div, "xor %edx,%edx\n xor %ecx,%ecx\n.globl div_at\ndiv_at: div %ecx");
CODE(do_int3, "int3");
CODE(do_cd03, ".byte 0xcd,3");
CODE(do_into, "mov $0x7f,%al\n add $1,%al\n into");
CODE(do_into_not, "xor %eax,%eax\n into");
CODE(do_int1, ".byte 0xf1");
CODE(do_ud2, "ud2");
CODE(do_bound, "bound %eax,scratch2");
CODE(do_hlt, "hlt");
CODE(do_cli, "cli");
CODE(do_sti, "sti");
CODE(do_out, "out %al,$0x80");
CODE(do_in16, "mov $0x80,%edx\n.globl in16_at\nin16_at: inw %dx,%ax");
CODE(do_mov_cr, "mov %cr0,%eax");
CODE(do_mov_dr, "mov %dr0,%eax");
CODE(do_fnop, "fnop");
CODE(do_fwait, "fwait");
CODE(do_fadd, "fninit\n fldz\n fld1\n fdivp\n.globl fadd_at\nfadd_at: fld1");
CODE(do_emms, "emms");
CODE(do_lock_ud, ".byte 0xf0\n mov %eax,(%ebx)");
CODE(long_insn, ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90");
CODE(ud_modrm, ".byte 0x0f,0xff,0xc0");
CODE(do_ac, "mov 1(%ebx),%eax");
CODE(do_ac8, "mov 1(%ebx),%al");
CODE(do_acpush, "lea -1(%esp),%esp\n.globl acpush_at\nacpush_at: push %eax");
u32 scratch2[2] = {1, 5};
extern u8 div_at[], in16_at[], fadd_at[], acpush_at[];

static void one(const char *name, unsigned cpl, const u8 *code, unsigned vec, ul err, const u8 *at)
{
    test(name, "vol. 3 6.15");
    struct regs r = ring(cpl, code);
    r.bx = (u32)scratch;
    run(&r);
    if (vec == END_VEC)
        ends();
    else
        event_is(vec, err, at);
}

static void vectors(void)
{
    one("#DE", 3, do_div, DE, NO_ERR, div_at);
    BITS("RF", ev.r.flags, F_RF, F_RF);
    set_gate(BP, 0xee, K_CS, 0);
    one("INT3", 3, do_int3, BP, NO_ERR, do_int3 + 1);
    BITS("RF", ev.r.flags, 0, F_RF);
    set_gate(OF, 0xee, K_CS, 0);
    one("INTO", 3, do_into, OF, NO_ERR, do_into_end - 2);
    one("INTO without OF", 3, do_into_not, END_VEC, 0, 0);
    set_gate(BP, 0x8e, K_CS, 0);
    one("INT3 against DPL 0", 3, do_int3, GP, BP * 8 + 2, do_int3);
    one("INT 3 (CD 03) against DPL 0", 3, do_cd03, GP, BP * 8 + 2, do_cd03);
    one("INT1 ignores DPL", 3, do_int1, DB, NO_ERR, do_int1 + 1);
    one("#UD", 3, do_ud2, UD, NO_ERR, do_ud2);
    BITS("RF", ev.r.flags, F_RF, F_RF);
    one("LOCK MOV", 3, do_lock_ud, UD, NO_ERR, do_lock_ud);
    one("UD0", 3, ud_modrm, UD, NO_ERR, ud_modrm);
    one("16 bytes", 3, long_insn, GP, 0, long_insn);
    test("#BR", "vol. 2 BOUND");
    struct regs r = ring(3, do_bound);
    r.ax = 6;
    run(&r);
    event_is(BR, NO_ERR, do_bound);
    r.ax = 5;
    run(&r);
    ends();
    r.ax = -1;
    run(&r);
    event_is(BR, NO_ERR, do_bound);
    one("HLT at ring 3", 3, do_hlt, GP, 0, do_hlt);
    one("CLI at ring 3", 3, do_cli, GP, 0, do_cli);
    one("STI at ring 3", 3, do_sti, GP, 0, do_sti);
    one("MOV CR at ring 3", 3, do_mov_cr, GP, 0, do_mov_cr);
    one("MOV CR at ring 1", 1, do_mov_cr, GP, 0, do_mov_cr);
    one("MOV DR at ring 3", 3, do_mov_dr, GP, 0, do_mov_dr);
    one("OUT refused by the I/O map", 3, do_out, GP, 0, do_out);
    tss.io[0x10] = 0xfe;
    one("OUT let by the I/O map", 3, do_out, END_VEC, 0, 0);
    one("IN of a word needs two bits", 3, do_in16, GP, 0, in16_at);
    tss.io[0x10] = 0xfc;
    one("IN of a word with two bits", 3, do_in16, END_VEC, 0, 0);
    tss.iomap = 0xffff;
    one("I/O map outside the TSS", 3, do_out, GP, 0, do_out);
    tss.iomap = OFFSET(struct tss32, io);
    test("IOPL 3 lets ring 3 do I/O", "vol. 1 19.5.1");
    r = ring(3, do_out);
    r.flags |= F_IOPL;
    tss.io[0x10] = 0xff;
    run(&r);
    ends();
    r = ring(3, do_sti);
    r.flags |= F_IOPL;
    run(&r);
    ends();
    BITS("IF", ev.r.flags, F_IF, F_IF);
}

static void coprocessor(void)
{
    static const struct {
        const char *name;
        u32 cr0;
        const u8 *code;
        u32 vec;
    } t[] = {
        {"TS, x87", CR0_TS, do_fnop, NM},
        {"TS, WAIT without MP", CR0_TS, do_fwait, END_VEC},
        {"TS and MP, WAIT", CR0_TS | CR0_MP, do_fwait, NM},
        {"MP, WAIT", CR0_MP, do_fwait, END_VEC},
        {"EM, x87", CR0_EM, do_fnop, NM},
        {"EM, MMX", CR0_EM, do_emms, UD},
        {"TS, MMX", CR0_TS, do_emms, NM},
    };
    u32 old = rcr0();
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        wcr0((old & ~(CR0_TS | CR0_MP | CR0_EM)) | t[i].cr0);
        one(t[i].name, 0, t[i].code, t[i].vec, NO_ERR, t[i].code);
    }
    wcr0(old);
    test("#MF with NE", "vol. 3 6.15 #MF");
    struct regs r = ring(0, do_fadd);
    asm_("fninit; fldcw %0" ::"m"((u16){0x37b})); // zero divide unmasked; code does fninit: masked
    run(&r);
    ends();
    r = ring(0, do_mf);
    run(&r);
    EQ("vector", ev.vec, MF);
    event_is(MF, NO_ERR, mf_at - 2); // fnop waits too
    asm_("fnclex");
    wcr0((old & ~CR0_NE));
    test("no #MF without NE", "vol. 1 8.7");
    W8(0) = W8(0);
    outb(0xf0, 0);
    r = ring(0, do_mf);
    r = ring(0, do_mf2);
    run(&r);
    ends();
    asm_("fnclex");
    outb(0xf0, 0);
    wcr0(old);
}

static void alignment(void)
{
    u32 old = rcr0();
    test("#AC", "vol. 3 6.15 #AC");
    wcr0(old | CR0_AM);
    struct regs r = ring(3, do_ac);
    r.bx = (u32)scratch;
    r.flags |= F_AC;
    run(&r);
    event_is(AC, 0, do_ac);
    r.ip = (u32)do_acpush;
    run(&r);
    event_is(AC, 0, acpush_at);
    r.ip = (u32)do_ac8;
    run(&r);
    ends();
    test("no #AC without AC, AM or at ring 0", "vol. 3 6.15 #AC");
    r.ip = (u32)do_ac;
    r.flags = F_1;
    run(&r);
    ends();
    r = ring(0, do_ac);
    r.bx = (u32)scratch;
    r.flags |= F_AC;
    run(&r);
    ends();
    wcr0(old & ~CR0_AM);
    r = ring(3, do_ac);
    r.bx = (u32)scratch;
    r.flags |= F_AC;
    run(&r);
    ends();
    wcr0(old);
}

// ---- double faults

CODE(at_ring3, "nop");

static void doubles(void)
{
    enum { FINE, ABSENT, BAD }; // gate of the first vector
    static const struct {
        const char *name;
        const u8 *code;
        u32 vec, kind, want, err;
    } t[] = {
        {"#DE then #NP", do_div, DE, ABSENT, DF, 0},
        {"#DE then #GP", do_div, DE, BAD, DF, 0},
        {"#GP then #NP", do_hlt, GP, ABSENT, DF, 0},
        {"#UD then #NP is #NP", do_ud2, UD, ABSENT, NP, UD * 8 + 3},
        {"#UD then #GP is #GP", do_ud2, UD, BAD, GP, UD * 8 + 3},
        {"INT n then #NP is #NP", nothing, END_VEC, ABSENT, NP, END_VEC * 8 + 2},
        {"#BR then #NP is #NP", do_bound, BR, ABSENT, NP, BR * 8 + 3},
        {"INT1 then #NP is #NP", do_int1, DB, ABSENT, NP, DB * 8 + 3},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 table 6-5, 6.13");
        set_gate(t[i].vec, t[i].kind == BAD ? 0x80 : 0x6e, K_CS, 0);
        struct regs r = ring(3, t[i].code);
        r.ax = 6;
        run(&r);
        event_is(t[i].want, t[i].err, t[i].want == DF ? 0 : t[i].code + (t[i].vec == END_VEC));
        set_gate(t[i].vec, t[i].vec == END_VEC ? 0xee : 0x8e, K_CS, 0);
    }
    test("conforming handler at ring 3", "vol. 3 6.12.1.1");
    set_desc(SPARE, descriptor(0, 0xfffff, 0xc09f));
    idt[UD] = gate(SPARE, (u32)at_ring3, 0xee, 0);
    struct regs r = ring(3, do_ud2);
    run(&r);
    ends();
    EQ("handler cs", ev.r.cs, SPARE | 3);
    EQ("sp", ev.r.sp, TOP(stack3) - 12);
    EQ("ip", W32(TOP(stack3) - 12), (u32)do_ud2);
    EQ("cs", W32(TOP(stack3) - 8), U_CS);
    idt[END_VEC] = gate(U_CS, stub(END_VEC), 0xee, 0);
    r = ring(0, nothing);
    run(&r);
    event_is(GP, U_CS & ~3, nothing + 1); // to an outer level
    reset_tables();
    test("IDT limit", "vol. 3 6.10");
    struct {
        u16 limit;
        u32 base;
    } PACKED d = {END_VEC * 8 + 6, (u32)idt};
    asm_("lidt %0" ::"m"(d));
    r = ring(0, nothing);
    run(&r);
    event_is(GP, END_VEC * 8 + 2, nothing + 1);
    reset_tables();
}

// ---- single steps

// Runs one instruction at `at` with TF set and expects #DB behind it with BS.
static void step(const char *name, const u8 *code, unsigned cpl, ul next, u32 more, u32 want_flags, u32 mask)
{
    test(name, "vol. 3 17.3.1.4");
    struct regs r = ring(cpl, code);
    r.flags |= F_TF | more;
    r.bx = r.si = (u32)scratch;
    r.di = (u32)(scratch + 32);
    r.cx = 3;
    r.dx = 0x80;
    wdr6(0xffff0ff0);
    run(&r);
    event_is(DB, NO_ERR, (void *)next);
    BITS("DR6", rdr6(), 0xffff4ff0, ~0u);
    BITS("TF in the image", ev.r.flags, F_TF, F_TF);
    BITS("TF in the handler", ev.hflags, 0, F_TF);
    if (mask) BITS("flags", ev.r.flags, want_flags, mask);
}

CODE(s_mov, "mov %eax,%ecx");
CODE(s_jmp, "jmp 1f\n nop\n1: nop");
CODE(s_jcc, "xor %eax,%eax");
CODE(s_call, "call 1f\n nop\n1: nop");
CODE(s_load, "mov (%ebx),%eax");
CODE(s_store, "mov %eax,(%ebx)");
CODE(s_rep, "rep movsb");
CODE(s_rep0, "rep movsb");
CODE(s_popf, "push $2\n popf\n nop\n nop");
CODE(s_popf_set, "push $0x102\n popf\n nop\n nop");
CODE(s_pushf, "pushf\n pop %eax");
CODE(s_int, "int $0x21\n nop");
CODE(s_movss, "mov %ss,%eax\n mov %eax,%ss\n nop\n nop\n nop");
CODE(s_popss, "push %ss\n pop %ss\n nop\n nop");
CODE(s_lss, "lss (%ebx),%esp\n nop");
CODE(s_sti, "sti\n nop\n nop");
CODE(s_iret, "pushf\n orl $0x100,(%esp)\n push %cs\n push $1f\n iret\n1: nop\n nop");
CODE(s_iret_off, "iret");
CODE(s_cpuid, "cpuid");
CODE(s_in, "in %dx,%al");
CODE(s_out, "out %al,%dx");
CODE(s_hlt_skip, "nop");
CODE(s_ud, "ud2");
CODE(s_loop, "1: loop 1b");
CODE(s_lcr3, "mov %cr3,%eax");
CODE(s_wcr0, "mov %cr0,%eax\n mov %eax,%cr0\n nop");
CODE(s_enter, "enter $8,$0");
CODE(s_xchg, "xchg %eax,(%ebx)");
CODE(s_lock, "lock incl (%ebx)");
CODE(s_lahf, "lahf");
CODE(s_retf, "push %cs\n push $1f\n.globl retf_at\nretf_at: lret\n1: nop");
CODE(s_x87, "fninit");
CODE(s_cmpxchg8b, "cmpxchg8b (%ebx)");
CODE(s_rdtsc, "rdtsc");
CODE(s_invd, "wbinvd");
CODE(s_far, "ljmp $8,$1f\n1: nop");
extern u8 retf_at[];

static void steps(void)
{
    step("step NOP", nops, 0, (ul)nops + 1, 0, 0, 0);
    step("step NOP at ring 3", nops, 3, (ul)nops + 1, 0, 0, 0);
    step("step MOV", s_mov, 0, (ul)s_mov + 2, 0, 0, 0);
    step("step JMP", s_jmp, 0, (ul)s_jmp + 3, 0, 0, 0);
    step("step CALL", s_call, 0, (ul)s_call + 6, 0, 0, 0);
    step("step load", s_load, 0, (ul)s_load + 2, 0, 0, 0);
    step("step store", s_store, 0, (ul)s_store + 2, 0, 0, 0);
    step("step XCHG", s_xchg, 3, (ul)s_xchg + 2, 0, 0, 0);
    step("step LOCK INC", s_lock, 3, (ul)s_lock + 3, 0, 0, 0);
    step("step CPUID", s_cpuid, 0, (ul)s_cpuid + 2, 0, 0, 0);
    step("step IN", s_in, 0, (ul)s_in + 1, 0, 0, 0);
    step("step OUT", s_out, 0, (ul)s_out + 1, 0, 0, 0);
    step("step REP MOVSB, each repetition", s_rep, 0, (ul)s_rep, 0, F_RF, F_RF);
    EQ("ecx", ev.r.cx, 2);
    step("step LOOP", s_loop, 0, (ul)s_loop, 0, 0, 0);
    EQ("ecx", ev.r.cx, 2);
    step("step MOV from CR3", s_lcr3, 0, (ul)s_lcr3 + 3, 0, 0, 0);
    step("step ENTER", s_enter, 0, (ul)s_enter + 4, 0, 0, 0);
    step("step RDTSC", s_rdtsc, 0, (ul)s_rdtsc + 2, 0, 0, 0);
    step("step WBINVD", s_invd, 0, (ul)s_invd + 2, 0, 0, 0);
    step("step FNINIT", s_x87, 0, (ul)s_x87 + 2, 0, 0, 0);
    step("step CMPXCHG8B", s_cmpxchg8b, 0, (ul)s_cmpxchg8b + 3, 0, 0, 0);
    step("step far JMP", s_far, 0, (ul)s_far + 7, 0, 0, 0);
    step("step STI", s_sti, 0, (ul)s_sti + 1, 0, F_IF, F_IF);
    {
        test("step REP MOVSB, the last", "vol. 3 17.3.1.4");
        struct regs r = ring(0, s_rep);
        r.flags |= F_TF;
        r.cx = 1;
        r.si = (u32)scratch, r.di = (u32)scratch + 32;
        run(&r);
        event_is(DB, NO_ERR, s_rep + 2);
        test("step REP MOVSB, none", "vol. 3 17.3.1.4");
        r.cx = 0;
        run(&r);
        event_is(DB, NO_ERR, s_rep + 2);
    }
    {
        test("POPF that clears TF is stepped once more", "vol. 3 17.3.1.4");
        struct regs r = ring(0, s_popf + 2);
        r.flags |= F_TF;
        r.sp -= 4;
        W32(r.sp) = F_1;
        wdr6(0xffff0ff0);
        run(&r);
        event_is(DB, NO_ERR, s_popf + 3);
        BITS("TF", ev.r.flags, 0, F_TF);
        test("POPF that sets TF, after the next", "vol. 3 17.3.1.4");
        r = ring(0, s_popf_set);
        run(&r);
        event_is(DB, NO_ERR, s_popf_set_end - 3);
        BITS("TF", ev.r.flags, F_TF, F_TF);
        test("IRET that sets TF, after the next", "vol. 3 17.3.1.4");
        r = ring(0, s_iret);
        run(&r);
        event_is(DB, NO_ERR, s_iret_end - 3);
        test("PUSHF stores TF", "vol. 3 17.3.1.4");
        r = ring(0, s_pushf);
        r.flags |= F_TF;
        run(&r);
        event_is(DB, NO_ERR, s_pushf + 1);
        BITS("TF", W32(ev.r.sp), F_TF, F_TF);
    }
    {
        test("INT n clears TF, no step in the handler", "vol. 3 17.3.1.4");
        struct regs r = ring(3, nothing + 1);
        r.flags |= F_TF;
        run(&r);
        EQ("vector", ev.vec, END_VEC);
        BITS("TF", frame32(2), F_TF, F_TF);
        test("faults, no step", "vol. 3 17.3.1.4");
        r = ring(0, s_ud);
        r.flags |= F_TF;
        run(&r);
        event_is(UD, NO_ERR, s_ud);
        BITS("TF", ev.r.flags, F_TF | F_RF, F_TF | F_RF);
    }
    {
        test("MOV SS holds the step back for one instruction", "vol. 3 6.8.3");
        struct regs r = ring(0, s_movss + 2);
        r.ax = K_DS;
        r.flags |= F_TF;
        wdr6(0xffff0ff0);
        run(&r);
        event_is(DB, NO_ERR, s_movss + 5);
        BITS("DR6", rdr6(), 0xffff4ff0, ~0u);
        test("POP SS holds the step back for one instruction", "vol. 3 6.8.3");
        r = ring(0, s_popss + 1);
        r.sp -= 4;
        W32(r.sp) = K_DS;
        r.flags |= F_TF;
        run(&r);
        event_is(DB, NO_ERR, s_popss + 3);
        test("LSS does not", "vol. 3 6.8.3");
        scratch[0] = TOP(stack_k);
        scratch[1] = K_DS;
        r = ring(0, s_lss);
        r.bx = (u32)scratch;
        r.flags |= F_TF;
        run(&r);
        event_is(DB, NO_ERR, s_lss + 3);
    }
    {
        test("DR6.BS stays until software clears it", "vol. 3 17.2.3");
        struct regs r = ring(0, nops);
        r.flags |= F_TF;
        wdr6(0xffff0ff0);
        run(&r);
        r.flags = F_1;
        r.ip = (ul)do_int1;
        run(&r);
        BITS("DR6", rdr6(), 1 << 14, 0xe00f);
    }
}

// ---- hardware breakpoints

enum { X = 0, W = 1, IO = 2, RW = 3 };
static void arm(unsigned i, ul at, unsigned rw, unsigned len)
{
    if (i == 0) wdr0(at);
    if (i == 1) wdr1(at);
    if (i == 2) wdr2(at);
    if (i == 3) wdr3(at);
    wdr6(0xffff0ff0);
    u32 l = len == 1 ? 0 : len == 2 ? 1 : len == 4 ? 3 : 2;
    wdr7(0x400 | 1u << (2 * i) | rw << (16 + 4 * i) | l << (18 + 4 * i));
}
CODE(bp_store, "mov %eax,(%ebx)\n nop\n nop");
CODE(bp_load, "mov (%ebx),%eax\n nop\n nop");
CODE(bp_store1, "movb %al,(%ebx)\n nop\n nop");
CODE(bp_movs, "rep movsb\n nop");
CODE(bp_push, "push %eax\n nop");
CODE(bp_io, "out %al,%dx\n nop");
CODE(bp_dr, "mov %eax,%dr0\n nop");
CODE(bp_dr_read, "mov %dr6,%eax\n nop");
CODE(bp_ss, "mov %eax,%ss\n nop\n nop");
CODE(bp_ss_load, "mov (%ebx),%ss\n nop\n nop");
CODE(bp_ss_int, "mov (%ebx),%ss\n int $0x20\n nop");
CODE(bp_xchg, "xchg %eax,(%ebx)\n nop");
CODE(bp_rep_stos, "rep stosl\n nop");

static void breakpoints(void)
{
    struct regs r;
    test("execution breakpoint", "vol. 3 17.3.1.1");
    arm(0, (ul)nops + 2, X, 1);
    r = ring(0, nops);
    run(&r);
    event_is(DB, NO_ERR, nops + 2);
    BITS("DR6", rdr6(), 0xffff0ff1, ~0u);
    BITS("RF pushed as it was", ev.r.flags, 0, F_RF);
    test("RF skips it for one instruction", "vol. 3 17.3.1.1");
    r = ring(0, nops + 2);
    r.flags |= F_RF;
    run(&r);
    ends();
    BITS("RF gone", ev.r.flags, 0, F_RF);
    r.flags = F_1;
    run(&r);
    event_is(DB, NO_ERR, nops + 2);
    test("execution breakpoint wins over the instruction's fault", "vol. 3 table 6-2");
    arm(1, (ul)do_ud2, X, 1);
    r = ring(3, do_ud2);
    run(&r);
    event_is(DB, NO_ERR, do_ud2);
    BITS("DR6", rdr6(), 2, 0xe00f);
    r.flags |= F_RF;
    run(&r);
    event_is(UD, NO_ERR, do_ud2);
    test("breakpoint in the middle of an instruction", "vol. 3 17.2.5");
    arm(0, (ul)s_mov + 1, X, 1);
    r = ring(0, s_mov);
    run(&r);
    ends();
    test("disabled breakpoint", "vol. 3 17.2.4");
    arm(0, (ul)nops + 2, X, 1);
    wdr7(0x400);
    r = ring(0, nops);
    run(&r);
    ends();
    test("global enable", "vol. 3 17.2.4");
    wdr7(0x402);
    run(&r);
    event_is(DB, NO_ERR, nops + 2);

    static const struct {
        const char *name;
        const u8 *code;
        u32 at, rw, len, hit; // at: offset from scratch+16
    } t[] = {
        {"write hits W", bp_store, 0, W, 4, 1},
        {"write hits RW", bp_store, 0, RW, 4, 1},
        {"read misses W", bp_load, 0, W, 4, 0},
        {"read hits RW", bp_load, 0, RW, 4, 1},
        {"byte 3 of a store", bp_store, 3, W, 1, 1},
        {"byte after a store", bp_store, 4, W, 1, 0},
        {"byte before a store", bp_store, -1, W, 1, 0},
        {"word ends before", bp_store, -2, W, 2, 0},
        {"byte store in a dword", bp_store1, -2, W, 4, 1}, // length 4 masks the low bits of the address: 16 - 4 … no
        {"XCHG is a write", bp_xchg, 0, W, 4, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        char nm[60] = "data breakpoint, ";
        char *p = nm + 17;
        for (const char *s = t[i].name; *s;) *p++ = *s++;
        *p = 0;
        test(nm, "vol. 3 17.2.5, 17.3.1.2");
        ul addr = (ul)(scratch + 4) + (int)t[i].at;
        r = ring(0, t[i].code);
        r.bx = (ul)(scratch + 4);
        if (t[i].code == bp_store1) r.bx = addr = (ul)(scratch + 4) + 2, addr -= 1;
        arm(2, addr, t[i].rw, t[i].len);
        r.ax = 0x99;
        run(&r);
        if (t[i].hit) {
            event_is(DB, NO_ERR, t[i].code + 2);
            BITS("DR6", rdr6(), 4, 0xe00f);
            BITS("RF", ev.r.flags, 0, F_RF);
            if (t[i].rw == W && t[i].code == bp_store) EQ("store done", scratch[4], 0x99);
        } else {
            ends();
            BITS("DR6", rdr6(), 0, 0xe000);
        }
    }
    test("disabled breakpoints may show in DR6, enabled ones decide", "vol. 3 17.2.3");
    arm(0, (ul)(scratch + 4), W, 4);
    wdr1((ul)(scratch + 4));
    wdr7(0x400 | 1 | W << 16 | 3 << 18 | W << 20 | 3 << 22);
    r = ring(0, bp_store);
    r.bx = (ul)(scratch + 4);
    run(&r);
    event_is(DB, NO_ERR, bp_store + 2);
    BITS("DR6", rdr6(), 1, 0xe001);
    test("REP stops after the repetition", "vol. 3 17.3.1.2");
    arm(0, (ul)scratch + 34, W, 1);
    r = ring(0, bp_movs);
    r.si = (u32)scratch;
    r.di = (u32)scratch + 32;
    r.cx = 8;
    run(&r);
    event_is(DB, NO_ERR, bp_movs);
    EQ("ecx", ev.r.cx, 5);
    BITS("RF", ev.r.flags, F_RF, F_RF);
    test("PUSH hits", "vol. 3 17.3.1.2");
    r = ring(3, bp_push);
    arm(3, r.sp - 4, W, 4);
    run(&r);
    event_is(DB, NO_ERR, bp_push + 1);
    BITS("DR6", rdr6(), 8, 0xe00f);
    test("I/O breakpoint", "vol. 3 17.2.4, 17.3.1.2");
    u32 cr4 = rcr4();
    wcr4(cr4 | CR4_DE);
    arm(0, 0x80, IO, 1);
    r = ring(0, bp_io);
    r.dx = 0x80;
    run(&r);
    event_is(DB, NO_ERR, bp_io + 1);
    BITS("DR6", rdr6(), 1, 0xe00f);
    r.dx = 0x81;
    run(&r);
    ends();
    wcr4(cr4);
    r.dx = 0x80;
    run(&r);
    ends();
    wdr7(0x400);
    test("GD", "vol. 3 17.2.4");
    r = ring(0, bp_dr);
    wdr6(0xffff0ff0);
    wdr7(0x2400);
    run(&r);
    event_is(DB, NO_ERR, bp_dr);
    BITS("DR6", rdr6(), 1 << 13, 0xe00f);
    BITS("GD cleared", rdr7(), 0, 0x2000);
    wdr6(0xffff0ff0);
    wdr7(0x2400);
    r = ring(0, bp_dr_read);
    run(&r);
    event_is(DB, NO_ERR, bp_dr_read);
    wdr7(0x400);
    test("DR4 and DR5", "vol. 3 17.2.2");
    r = ring(0, dr4);
    run(&r);
    ends();
    EQ("eax", ev.r.ax, rdr6());
    wcr4(cr4 | CR4_DE);
    run(&r);
    event_is(UD, NO_ERR, dr4);
    wcr4(cr4);
    test("data breakpoint by MOV SS comes after the next instruction", "vol. 3 6.8.3");
    scratch[4] = K_DS;
    arm(0, (ul)(scratch + 4), RW, 2);
    r = ring(0, bp_ss_load);
    r.bx = (ul)(scratch + 4);
    run(&r);
    event_is(DB, NO_ERR, bp_ss_load + 3);
    BITS("DR6", rdr6(), 1, 0xe00f);
    test("execution breakpoint behind MOV SS is suppressed", "vol. 3 6.8.3");
    arm(0, (ul)bp_ss + 2, X, 1);
    r = ring(0, bp_ss);
    r.ax = K_DS;
    run(&r);
    ends();
    wdr7(0x400);
    test("DR7 fixed bits", "vol. 3 17.2.4");
    wdr7(0);
    EQ("DR7", rdr7(), 0x400);
    wdr6(0);
    EQ("DR6", rdr6(), 0xffff0ff0);
    test("breakpoint and step together", "vol. 3 17.3.1");
    arm(0, (ul)(scratch + 4), W, 4);
    r = ring(0, bp_store);
    r.bx = (ul)(scratch + 4);
    r.flags |= F_TF;
    run(&r);
    event_is(DB, NO_ERR, bp_store + 2);
    BITS("DR6", rdr6(), 0x4001, 0xe00f);
    wdr7(0x400);
    wdr6(0xffff0ff0);
}

// ---- flags

CODE(f_popf, "push %eax\n popf\n pushf\n pop %ebx");
static void popf(void)
{
    static const struct {
        const char *name;
        u32 cpl, iopl, write, changed; // of IF and IOPL
    } t[] = {
        {"POPF ring 0", 0, 0, F_IF | F_IOPL, F_IF | F_IOPL},
        {"POPF ring 3, IOPL 0", 3, 0, F_IF | F_IOPL, 0},
        {"POPF ring 3, IOPL 3", 3, F_IOPL, F_IF, F_IF | F_IOPL},
        {"POPF ring 1, IOPL 1", 1, 0x1000, F_IF | F_IOPL, F_IF | 0x1000},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 POPF");
        struct regs r = ring(t[i].cpl, f_popf);
        r.flags |= t[i].iopl;
        r.ax = t[i].write | F_NT | F_AC | F_CF | F_RF | F_VM | F_VIF | F_VIP | 0x200000;
        run(&r);
        ends();
        EQ("flags", ev.r.bx, t[i].changed | F_NT | F_AC | F_CF | 0x200000 | F_1);
        asm_("pushf; andl $~0x4000,(%esp); popf");
    }
}

// ---- CR rules

CODE(w_cr0, "mov %eax,%cr0");
CODE(w_cr3, "mov %eax,%cr3");
CODE(w_cr4, "mov %eax,%cr4");
CODE(w_cr1, ".byte 0x0f,0x22,0xc8");
CODE(r_cr5, ".byte 0x0f,0x20,0xe8");
CODE(w_msr, "wrmsr");
CODE(r_msr, "rdmsr");
CODE(do_lmsw, "lmsw %ax");
CODE(do_smsw, "smsw %eax");
CODE(do_clts, "clts");
CODE(do_sysenter, "sysenter");
CODE(do_sysexit, "sysexit");
CODE(do_syscall, "syscall");
CODE(do_rsm, "rsm");
CODE(do_swapgs, ".byte 0x0f,0x01,0xf8");
CODE(do_rdpmc, "rdpmc");
static void reg_rules(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u32 cr, v, vec;
    } t[] = {
        {"CR0, NW without CD", w_cr0, 0, 0x20000031, GP},
        {"CR4, reserved bit", w_cr4, 4, 1u << 31, GP},
        {"CR4, reserved bit 15", w_cr4, 4, 1u << 15, GP},
        {"CR4, PCIDE outside long mode", w_cr4, 4, CR4_PCIDE, GP},
        {"CR1", w_cr1, 0, 0, UD},
    };
    u32 cr0 = rcr0();
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 MOV CR, vol. 3 2.5");
        struct regs r = ring(0, t[i].code);
        r.ax = t[i].v;
        run(&r);
        event_is(t[i].vec, t[i].vec == UD ? NO_ERR : 0, t[i].code);
    }
    one("MOV from CR5", 0, r_cr5, UD, NO_ERR, r_cr5);
    test("CR0.ET is always 1", "vol. 3 2.5");
    wcr0(cr0 & ~16);
    BITS("ET", rcr0(), 16, 16);
    test("LMSW sets PE, never clears it", "vol. 2 LMSW");
    struct regs r = ring(0, do_lmsw);
    r.ax = 0xfff0 | CR0_TS;
    run(&r);
    ends();
    EQ("CR0", rcr0(), cr0 | CR0_TS);
    r.ip = (u32)do_clts;
    run(&r);
    BITS("TS", rcr0(), 0, CR0_TS);
    wcr0(cr0);
    one("LMSW ring 3", 3, do_lmsw, GP, 0, do_lmsw);
    one("CLTS ring 3", 3, do_clts, GP, 0, do_clts);
    one("SMSW ring 3", 3, do_smsw, END_VEC, 0, 0);
    EQ("eax", ev.r.ax, rcr0());
    one("WRMSR ring 3", 3, w_msr, GP, 0, w_msr);
    one("RDMSR ring 3", 3, r_msr, GP, 0, r_msr);
    one("RSM outside SMM", 0, do_rsm, UD, NO_ERR, do_rsm);
    one("SWAPGS outside 64-bit mode", 0, do_swapgs, UD, NO_ERR, do_swapgs);
    test("RDMSR unknown", "vol. 2 RDMSR");
    r = ring(0, r_msr);
    r.cx = 0x12345678;
    run(&r);
    event_is(GP, 0, r_msr);
    test("CR3 keeps what is written", "vol. 3 2.5");
    u32 cr3 = rcr3();
    wcr3(0x12345018);
    EQ("CR3", rcr3(), 0x12345018);
    wcr3(cr3);
    test("SYSENTER with a null CS", "vol. 2 SYSENTER");
    wrmsr(0x174, 0);
    r = ring(3, do_sysenter);
    run(&r);
    event_is(GP, 0, do_sysenter);
    r = ring(0, do_sysexit);
    run(&r);
    event_is(GP, 0, do_sysexit);
    test("SYSENTER", "vol. 2 SYSENTER");
    wrmsr(0x174, SPARE);
    set_desc(SPARE, descriptor(0, 0xfffff, A_CODE0));
    set_desc(SPARE + 8, descriptor(0, 0xfffff, A_DATA0));
    set_desc(SPARE + 16, descriptor(0, 0xfffff, A_CODE3));
    set_desc(SPARE + 24, descriptor(0, 0xfffff, A_DATA3));
    wrmsr(0x175, TOP(stack0) - 256);
    wrmsr(0x176, (ul)nothing);
    r = ring(3, do_sysenter);
    r.flags |= F_IF | F_CF;
    run(&r);
    ends();
    EQ("cs", ev.r.cs, SPARE);
    EQ("ss", ev.hss, SPARE + 8);
    EQ("sp", ev.hsp, TOP(stack0) - 256 - 12);
    BITS("IF", ev.r.flags, F_CF, F_IF | F_CF);
    test("SYSEXIT", "vol. 2 SYSEXIT");
    r = ring(0, do_sysexit);
    r.dx = (ul)nothing;
    r.cx = TOP(stack3);
    run(&r);
    ends();
    EQ("cs", ev.r.cs, (SPARE + 16) | 3);
    EQ("ss", ev.r.ss, (SPARE + 24) | 3);
    EQ("sp", ev.r.sp, TOP(stack3));
    test("SYSEXIT at ring 3", "vol. 2 SYSEXIT");
    r = ring(3, do_sysexit);
    run(&r);
    event_is(GP, 0, do_sysexit);
    u32 id[4];
    cpuid(7, 0, id);
    if (id[2] & 4) {
        u32 cr4 = rcr4();
        wcr4(cr4 | CR4_UMIP);
        static const struct {
            const char *name;
            const u8 *code;
        } u[] = {{"UMIP, SGDT", do_sgdt},
                 {"UMIP, SIDT", do_sidt},
                 {"UMIP, STR", do_str},
                 {"UMIP, SLDT", do_sldt},
                 {"UMIP, SMSW", do_smsw}};
        for (unsigned i = 0; i < ARRAY_LEN(u); i++) {
            one(u[i].name, 3, u[i].code, GP, 0, u[i].code);
            struct regs r0 = ring(0, u[i].code);
            run(&r0);
            ends();
        }
        wcr4(cr4);
    } else
        skip("UMIP", "not there");
    reset_tables();
}

static void last(void)
{
    test("CR0, PG without PE", "vol. 2 MOV CR");
    struct regs r = ring(0, w_cr0);
    r.ax = CR0_PG;
    run(&r);
    event_is(GP, 0, w_cr0);
}

// ---- IRET

CODE(do_iret, "iret");
static void irets(void)
{
    static const struct {
        const char *name;
        u32 cs, ss, access, vec, err;
    } t[] = {
        {"IRET null CS", 0, 0, 0, GP, 0},
        {"IRET data", K_DS, 0, 0, GP, K_DS},
        {"IRET RPL not DPL", K_CS | 3, U_DS, 0, GP, K_CS},
        {"IRET absent", SPARE, 0, 0xc01b, NP, SPARE},
        {"IRET beyond", 0x408, 0, 0, GP, 0x408},
        {"IRET outer SS null", U_CS, 0, 0, GP, 0},
        {"IRET outer SS RPL", U_CS, U_DS & ~3, 0, GP, U_DS & ~3},
        {"IRET outer SS DPL", U_CS, K_DS | 3, 0, GP, K_DS},
        {"IRET outer SS absent", U_CS, SPARE | 3, 0xc073, SS, SPARE},
        {"IRET to ring 3", U_CS, U_DS, 0, END_VEC, 0},
        {"IRET to ring 1", R1_CS, R1_DS, 0, END_VEC, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 IRET");
        if (t[i].access) set_desc(SPARE, descriptor(0, 0xfffff, t[i].access));
        struct regs r = ring(0, do_iret);
        r.sp -= 64;
        u32 *sp = (u32 *)r.sp;
        sp[0] = (u32)nothing;
        sp[1] = t[i].cs;
        sp[2] = F_1;
        sp[3] = TOP(stack3) - 128;
        sp[4] = t[i].ss;
        run(&r);
        if (t[i].vec == END_VEC) {
            ends();
            EQ("cs", ev.r.cs, t[i].cs);
            EQ("ss", ev.r.ss, t[i].ss);
            EQ("sp", ev.r.sp, TOP(stack3) - 128);
            EQ("ds dropped", ev.r.ds, 0);
        } else {
            event_is(t[i].vec, t[i].err, do_iret);
            EQ("sp", ev.hsp, TOP(stack_k) - 64 - 16);
        }
    }
    test("IRET over the limit", "vol. 2 IRET");
    set_desc(SPARE, descriptor(0, 0xff, 0x409b));
    struct regs r = ring(0, do_iret);
    r.sp -= 64;
    u32 *sp = (u32 *)r.sp;
    sp[0] = 0x100;
    sp[1] = SPARE;
    sp[2] = F_1;
    run(&r);
    event_is(GP, 0, do_iret);
    test("IRET at ring 3 keeps IF and IOPL", "vol. 2 IRET");
    r = ring(3, do_iret);
    r.sp -= 64;
    sp = (u32 *)r.sp;
    sp[0] = (u32)nothing;
    sp[1] = U_CS;
    sp[2] = F_1 | F_IF | F_IOPL | F_CF | F_VM | F_NT * 0;
    run(&r);
    ends();
    EQ("flags", ev.r.flags, F_1 | F_CF);
}

void test_main(void)
{
    vectors();
    coprocessor();
    alignment();
    doubles();
    steps();
    breakpoints();
    popf();
    reg_rules();
    irets();
    last();
}
