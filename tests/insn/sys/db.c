// SPDX-License-Identifier: MIT
// Debug exceptions in 64-bit mode: breakpoints of every kind, length and overlap, DR6, DR7 and GD, single steps over
// what changes privilege, flags or memory, RF; the shadows of STI and MOV SS, HLT and interrupts that wait.
#include "tests/insn/sys/sys.h"

enum { X = 0, W = 1, IO = 2, RW = 3, K_CS32 = SPARE, SYSRET = SPARE + 8, VEC = 0x50 };
static u8 mem[8192] PAGE_ALIGNED;
CODE(nothing, "nop");
CODE(nops, "nop\n nop\n nop\n nop");

static void arm(unsigned i, ul at, unsigned rw, unsigned len)
{
    if (i == 0) wdr0(at);
    if (i == 1) wdr1(at);
    if (i == 2) wdr2(at);
    if (i == 3) wdr3(at);
    wdr6(0xffff0ff0);
    u32 l = len == 8 ? 2 : len - 1;
    wdr7((rdr7() & ~(0xful << (16 + 4 * i))) | 1u << (2 * i) | rw << (16 + 4 * i) | l << (18 + 4 * i));
}
static void disarm(void)
{
    wdr7(0x400);
    wdr6(0xffff0ff0);
    wdr0(0), wdr1(0), wdr2(0), wdr3(0);
}
// #DB at ip with B bits b of DR6.
static void db_is(const void *ip, u32 b)
{
    event_is(DB, NO_ERR, ip);
    BITS("DR6", rdr6(), b, 0xe00f);
}

// ---- registers

CODE(mov_dr7, "mov %rax,%dr7\n mov %dr7,%rbx");
CODE(mov_dr6, "mov %rax,%dr6\n mov %dr6,%rbx");
CODE(mov_dr5, "mov %rax,%dr5\n mov %dr7,%rbx");
CODE(read_dr4, "mov %dr4,%rbx");
CODE(read_dr0, "mov %dr0,%rbx");

static void registers(void)
{
    test("DR7, fixed bits", "vol. 3 17.2.4");
    struct regs r = ring(0, mov_dr7);
    r.ax = 0xdc00; // bits 15, 14, 12, 11 are 0, bit 10 is 1; RTM (11) stays away without it
    run(&r);
    ends();
    BITS("DR7", ev.r.bx, 0x400, ~0x800ul);
    r.ax = 0xffff03aa;
    wdr7(0x400);
    run(&r);
    ends();
    EQ("DR7", ev.r.bx, 0xffff07aa);
    disarm();
    test("DR6, fixed bits", "vol. 3 17.2.3");
    r = ring(0, mov_dr6);
    r.ax = 0xffffffff;
    run(&r);
    ends();
    BITS("DR6", ev.r.bx, 0xffffeffful, ~0x10800ul);
    r.ax = 0;
    run(&r);
    ends();
    BITS("DR6", ev.r.bx, 0xffff0ff0, ~0x10800ul);
    test("DR4, DR5 are DR6, DR7", "vol. 3 17.2.2");
    wdr6(0xffff0ff2);
    r = ring(0, read_dr4);
    run(&r);
    ends();
    EQ("DR4", ev.r.bx, rdr6());
    r = ring(0, mov_dr5);
    r.ax = 0x100;
    run(&r);
    EQ("DR5", ev.r.bx, 0x500);
    wcr4(rcr4() | CR4_DE);
    r = ring(0, read_dr4);
    run(&r);
    event_is(UD, NO_ERR, read_dr4);
    r = ring(0, mov_dr5);
    run(&r);
    event_is(UD, NO_ERR, mov_dr5);
    wcr4(rcr4() & ~(ul)CR4_DE);
    disarm();
    test("DR7.GD", "vol. 3 17.2.4");
    const u8 *const code[] = {read_dr0, mov_dr6, mov_dr7, read_dr4};
    for (unsigned i = 0; i < 4; i++) {
        wdr7(0x2400);
        r = ring(0, code[i]);
        run(&r);
        db_is(code[i], 1 << 13);
        BITS("GD is cleared in the handler", rdr7(), 0, 1 << 13);
        disarm();
    }
    test("DR7.GD at ring 3", "vol. 2 MOV DR");
    wdr7(0x2400);
    r = ring(3, read_dr0);
    run(&r);
    event_is(GP, 0, read_dr0);
    disarm();
}

// ---- code

extern u8 high_at[];
static u64 high_pdpt[512] PAGE_ALIGNED;
CODE32(nops32, "nop\n nop\n nop");
CODE(do_ud, "ud2");
CODE(rep_stos, "rep stosb\n nop");
CODE(do_popf, "pushfq\n orl $0x10000,(%rsp)\n popfq\n nop\n pushfq\n pop %rbx");
CODE(iret_rf, "iretq");

static void code(void)
{
    static const char sec[] = "vol. 3 17.3.1.1";
    struct regs r;
    test("execution breakpoint at ring 0 and 3", sec);
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        arm(0, (ul)nops + 1, X, 1);
        r = ring(cpl, nops);
        run(&r);
        db_is(nops + 1, 1);
        BITS("RF in the image", ev.r.flags, 0, F_RF);
        r.ip = (ul)nops + 1;
        r.flags |= F_RF;
        run(&r);
        ends();
        BITS("RF is gone after one instruction", ev.r.flags, 0, F_RF);
    }
    disarm();
    test("four at once", sec);
    arm(0, (ul)nops, X, 1);
    arm(1, (ul)nops + 1, X, 1);
    arm(2, (ul)nops + 2, X, 1);
    arm(3, (ul)nops + 3, X, 1);
    r = ring(3, nops);
    for (unsigned i = 0; i < 4; i++) {
        wdr6(0xffff0ff0);
        r.ip = (ul)nops + i;
        r.flags = F_1;
        run(&r);
        db_is(nops + i, 1 << i);
        r.flags |= F_RF;
        wdr6(0xffff0ff0);
        run(&r);
        if (i < 3)
            db_is(nops + i + 1, 2 << i);
        else
            ends();
    }
    disarm();
    test("two on one instruction", sec);
    arm(1, (ul)nops + 1, X, 1);
    arm(3, (ul)nops + 1, X, 1);
    r = ring(3, nops);
    run(&r);
    db_is(nops + 1, 0xa);
    disarm();
    test("all 64 bits of the address", "vol. 3 17.2.6");
    // FFFF8000 00000000 …: the first GB again
    boot_pml4[256] = (ul)high_pdpt | 7;
    high_pdpt[0] = (ul)boot_pd | 7;
    r = ring(0, (void *)((ul)nops | 0xffff800000000000));
    arm(0, (ul)nops + 1, X, 1);
    run(&r);
    ends();
    arm(0, ((ul)nops + 1) | 0xffff800000000000, X, 1);
    run(&r);
    db_is((void *)(((ul)nops + 1) | 0xffff800000000000), 1);
    r = ring(0, nops);
    run(&r);
    ends();
    test("compatibility code", "vol. 3 17.2.6");
    arm(0, (ul)nops32 + 1, X, 1);
    r = ring(3, nops32);
    r.cs = U_CS;
    run(&r);
    db_is(nops32 + 1, 1);
    arm(0, ((ul)nops32 + 1) | 1ul << 32, X, 1);
    run(&r);
    ends();
    disarm();
    test("before the instruction's own fault", "vol. 3 table 6-2");
    arm(0, (ul)do_ud, X, 1);
    r = ring(3, do_ud);
    run(&r);
    db_is(do_ud, 1);
    r.flags |= F_RF;
    run(&r);
    event_is(UD, NO_ERR, do_ud);
    BITS("RF in a fault's image", ev.r.flags, F_RF, F_RF);
    disarm();
    test("RF lasts for all of REP STOS", "vol. 3 17.3.1.1");
    arm(0, (ul)rep_stos, X, 1);
    r = ring(3, rep_stos);
    r.di = (ul)mem;
    r.cx = 20;
    r.flags |= F_RF;
    run(&r);
    ends();
    EQ("RCX", ev.r.cx, 0);
    disarm();
    test("POPF does not set RF, PUSHF stores 0", "vol. 2 POPF, PUSHF");
    arm(0, (ul)do_popf + 9, X, 1);
    r = ring(0, do_popf);
    run(&r);
    db_is(do_popf + 9, 1);
    disarm();
    run(&r);
    ends();
    BITS("stored", ev.r.bx, 0, F_RF);
    test("DR7.G0 alone", "vol. 3 17.2.4");
    arm(0, (ul)nops + 1, X, 1);
    wdr7(0x402);
    r = ring(0, nops);
    run(&r);
    db_is(nops + 1, 1);
    test("neither L0 nor G0", "vol. 3 17.2.4");
    wdr7(0x700);
    run(&r);
    ends();
    disarm();
    test("instructions are matched by their first byte", "vol. 3 17.2.5");
    arm(0, (ul)do_ud + 1, X, 1);
    r = ring(3, do_ud);
    run(&r);
    event_is(UD, NO_ERR, do_ud);
    disarm();
    test("a breakpoint on the code that MOV DR7 sits in", sec);
    extern u8 arm_self[], arm_self_at[];
    wdr0((ul)arm_self_at);
    r = ring(0, arm_self);
    r.ax = 0x401;
    run(&r);
    db_is(arm_self_at, 1);
    disarm();
}
CODE(arm_self, "mov %rax,%dr7\n nop\n.globl arm_self_at\narm_self_at: nop");

// ---- data

CODE(st1, "mov %al,(%rbx)\n nop");
CODE(st2, "mov %ax,(%rbx)\n nop");
CODE(st4, "mov %eax,(%rbx)\n nop");
CODE(st8, "mov %rax,(%rbx)\n nop");
CODE(st16, "movups %xmm0,(%rbx)\n nop");
CODE(ld1, "mov (%rbx),%al\n nop");
CODE(ld2, "mov (%rbx),%ax\n nop");
CODE(ld4, "mov (%rbx),%eax\n nop");
CODE(ld8, "mov (%rbx),%rax\n nop");
CODE(ld16, "movups (%rbx),%xmm0\n nop");
CODE(d_add, "add %eax,(%rbx)\n nop");
CODE(d_test, "test %eax,(%rbx)\n nop");
CODE(d_lock, "lock incl (%rbx)\n nop");
CODE(d_xchg, "xchg %eax,(%rbx)\n nop");
CODE(d_xadd, "xadd %eax,(%rbx)\n nop");
CODE(d_bts, "btsl $1,(%rbx)\n nop");
CODE(d_bt, "btl $1,(%rbx)\n nop");
CODE(d_cmpxchg, "cmpxchg %ecx,(%rbx)\n nop");
CODE(d_lea, "lea (%rbx),%rcx\n nop");
CODE(d_nop, "nopl (%rbx)\n nop");
CODE(d_prefetch, "prefetcht0 (%rbx)\n nop");
CODE(d_push, "mov %rbx,%rsp\n push %rax\n nop\n mov %rbp,%rsp");
CODE(d_pop, "mov %rbx,%rsp\n pop %rax\n nop\n mov %rbp,%rsp");
CODE(d_popm, "push %rax\n pop (%rbx)\n nop");
CODE(d_call, "mov %rbx,%rsp\n call 1f\n1: mov %rbp,%rsp");
CODE(d_movs, "mov %rbx,%rsi\n lea 64(%rbx),%rdi\n movsl\n nop");
CODE(d_stos, "mov %rbx,%rdi\n stosq\n nop");
CODE(d_xlat, "xor %eax,%eax\n xlat\n nop");
CODE(d_fst, "fninit\n fldz\n fstpt (%rbx)\n nop");
CODE(d_fld, "fninit\n fldl (%rbx)\n nop");
CODE(d_cmov, "xor %eax,%eax\n cmovnz (%rbx),%eax\n nop");
CODE(d_cx16, "lock cmpxchg16b (%rbx)\n nop");
CODE(d_setcc, "setz (%rbx)\n nop");
CODE(d_movnti, "movnti %eax,(%rbx)\n nop");
CODE(d_sgdt, "sgdt (%rbx)\n nop");
CODE(d_lgdt, "sgdt 64(%rbx)\n lgdt 64(%rbx)\n nop");

static void overlap(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u8 n, rw, len_insn;
    } t[] = {
        {"stores of 1", st1, 1, W, 2},    {"stores of 2", st2, 2, W, 3},    {"stores of 4", st4, 4, W, 2},
        {"stores of 8", st8, 8, W, 3},    {"stores of 16", st16, 16, W, 3}, {"loads of 1", ld1, 1, RW, 2},
        {"loads of 2", ld2, 2, RW, 3},    {"loads of 4", ld4, 4, RW, 2},    {"loads of 8", ld8, 8, RW, 3},
        {"loads of 16", ld16, 16, RW, 3},
    };
    static const u8 lens[] = {1, 2, 4, 8};
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        for (unsigned l = 0; l < 4; l++) {
            static char name[64];
            char *p = name;
            for (const char *s = t[i].name; *s;) *p++ = *s++;
            for (const char *s = " against "; *s;) *p++ = *s++;
            *p++ = '0' + lens[l];
            *p = 0;
            test(name, "vol. 3 17.2.5, table 17-2");
            for (unsigned at = 0; at < 2; at++) { // a range inside a page; one at its end
                ul bp = (ul)mem + (at ? 4096 - lens[l] : 64);
                for (int off = -18; off <= 10; off++) {
                    struct regs r = ring(3, t[i].code);
                    r.bx = bp + off;
                    arm(l, bp + (lens[l] > 1), t[i].rw, lens[l]); // the address's low bits do not count
                    run(&r);
                    if (off < lens[l] && off + t[i].n > 0)
                        db_is(t[i].code + t[i].len_insn, 1 << l);
                    else
                        ends();
                    disarm();
                }
            }
        }
}

static void data(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        int at;         // from RBX
        u8 write, read; // hits of W, RW
        u8 past;        // offset of the instruction behind
    } t[] = {
        {"ADD", d_add, 0, 1, 1, 2},
        {"TEST", d_test, 0, 0, 1, 2},
        {"LOCK INC", d_lock, 0, 1, 1, 3},
        {"XCHG", d_xchg, 0, 1, 1, 2},
        {"XADD", d_xadd, 0, 1, 1, 3},
        {"BTS", d_bts, 0, 1, 1, 4},
        {"BT", d_bt, 0, 0, 1, 4},
        {"CMPXCHG that fails", d_cmpxchg, 0, 1, 1, 3},
        {"LEA", d_lea, 0, 0, 0, 0},
        {"NOP with an address", d_nop, 0, 0, 0, 0},
        {"PREFETCH", d_prefetch, 0, 0, 0, 0},
        {"PUSH", d_push, -8, 1, 1, 4},
        {"PUSH, beside it", d_push, 0, 0, 0, 0},
        {"POP", d_pop, 0, 0, 1, 4},
        {"POP to memory", d_popm, 0, 1, 1, 3},
        {"CALL", d_call, -4, 1, 1, 8},
        {"MOVS, source", d_movs, 0, 0, 1, 8},
        {"MOVS, destination", d_movs, 64, 1, 1, 8},
        {"STOS", d_stos, 7, 1, 1, 5},
        {"XLAT", d_xlat, 0, 0, 1, 3},
        {"FSTP m80, its last bytes", d_fst, 9, 1, 1, 6},
        {"FLD m64", d_fld, 7, 0, 1, 4},
        {"CMOV without condition", d_cmov, 0, 0, 1, 5},
        {"CMPXCHG16B that fails", d_cx16, 15, 1, 1, 5},
        {"SETcc", d_setcc, 0, 1, 1, 3},
        {"MOVNTI", d_movnti, 0, 1, 1, 3},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 17.2.5, 17.3.1.2");
        for (unsigned rw = W; rw <= RW; rw += 2) {
            struct regs r = ring(3, t[i].code);
            memset(mem, 0x55, 512);
            r.bx = (ul)mem + 128;
            r.ax = 1;
            r.bp = r.sp;
            arm(2, r.bx + t[i].at, rw, 1);
            run(&r);
            if (rw == W ? t[i].write : t[i].read)
                db_is(t[i].code + t[i].past, 4);
            else
                ends();
            disarm();
        }
    }
    test("RF does not hold a data breakpoint back", "vol. 3 17.3.1.2");
    struct regs r = ring(3, st4);
    r.bx = (ul)mem;
    r.flags |= F_RF;
    arm(0, (ul)mem, W, 4);
    run(&r);
    db_is(st4 + 2, 1);
    BITS("RF", ev.r.flags, 0, F_RF);
    disarm();
    test("a store that faults hits nothing", "vol. 3 17.3.1.2");
    r = ring(3, st4);
    r.bx = 0x8000000000;
    arm(0, r.bx, W, 4);
    run(&r);
    event_is(PF, 6, st4);
    BITS("DR6", rdr6(), 0, 0xf);
    disarm();
    test("address above 4 GB", "vol. 3 17.2.6");
    r = ring(3, st4);
    r.bx = (ul)mem | 0xffff800000000000;
    arm(0, (ul)mem, W, 4);
    run(&r);
    ends();
    arm(0, r.bx, W, 4);
    run(&r);
    db_is(st4 + 2, 1);
    disarm();
    test("each of two that one store hits", "vol. 3 17.2.3");
    r = ring(3, st8);
    r.bx = (ul)mem;
    arm(0, (ul)mem, W, 4);
    arm(3, (ul)mem + 7, RW, 1);
    run(&r);
    db_is(st8 + 3, 9);
    disarm();
    test("on and with TF", "vol. 3 17.2.3");
    r = ring(3, st8);
    r.flags |= F_TF;
    r.bx = (ul)mem;
    arm(1, (ul)mem, W, 8);
    run(&r);
    db_is(st8 + 3, 0x4002);
    disarm();
    test("the frame that an interrupt pushes", "vol. 3 17.3.1.2");
    r = ring(3, nothing);
    arm(0, TOP(stack0) - 8, W, 8);
    run(&r);
    db_is((void *)stub(END_VEC), 1);
    disarm();
}

CODE(rep_movs, "rep movsb\n nop");
CODE(rep_movsq, "rep movsq\n nop");
CODE(rep_lods, "rep lodsb\n nop");
CODE(rep_scas, "repne scasb\n nop");
CODE(rep_cmps, "repe cmpsb\n nop");
static void strings(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u32 at, rw; // bytes from mem
        u32 left, past;
    } t[] = {
        {"REP STOSB, the sixth", rep_stos, 256 + 5, W, 14, 0},
        {"REP STOSB, the last", rep_stos, 256 + 19, W, 0, 2},
        {"REP MOVSB, source", rep_movs, 5, RW, 14, 0},
        {"REP MOVSB, destination", rep_movs, 256 + 5, W, 14, 0},
        {"REP MOVSB, past the end", rep_movs, 256 + 20, W, 99, 0},
        {"REP MOVSQ", rep_movsq, 256 + 44, W, 14, 0},
        {"REP LODSB", rep_lods, 5, RW, 14, 0},
        {"REPNE SCASB", rep_scas, 256 + 5, RW, 14, 0},
        {"REPE CMPSB, first operand", rep_cmps, 5, RW, 14, 0},
        {"REPE CMPSB, second operand", rep_cmps, 256 + 5, RW, 14, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 17.3.1.2: after the repetition");
        struct regs r = ring(3, t[i].code);
        memset(mem, 0x55, 512);
        r.si = (ul)mem;
        r.di = (ul)mem + 256;
        r.cx = 20;
        arm(1, (ul)mem + t[i].at, t[i].rw, 1);
        run(&r);
        if (t[i].left == 99) {
            ends();
        } else {
            db_is(t[i].code + (t[i].left ? 0 : 2 + (t[i].code == rep_movsq)), 2);
            EQ("RCX", ev.r.cx, t[i].left);
            r = ev.r; // and on
            disarm();
            run(&r);
            ends();
            EQ("RCX at the end", ev.r.cx, 0);
        }
        disarm();
    }
}

CODE(io_out_imm, "out %al,$0x80\n nop");
CODE(io_out, "out %al,%dx\n nop");
CODE(io_outl, "outl %eax,%dx\n nop");
CODE(io_in, "in %dx,%al\n nop");
CODE(io_inw, "inw %dx,%ax\n nop");
CODE(io_outs, "outsb\n nop");
CODE(io_ins, "insb\n nop");
CODE(io_rep, "rep outsb\n nop");
static void ports(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        u32 dx, bp, len, past; // past: 0 if it misses
    } t[] = {
        {"OUT imm", io_out_imm, 0, 0x80, 1, 2},
        {"OUT DX", io_out, 0x80, 0x80, 1, 1},
        {"OUT of 4, the last port", io_outl, 0x80, 0x83, 1, 1},
        {"OUT of 4, the port behind", io_outl, 0x80, 0x84, 1, 0},
        {"OUT, a range of 4", io_out, 0x83, 0x80, 4, 1},
        {"OUT, a range of 2, outside", io_out, 0x82, 0x80, 2, 0},
        {"IN", io_in, 0x80, 0x80, 1, 1},
        {"IN of 2", io_inw, 0x80, 0x81, 1, 2},
        {"OUTS", io_outs, 0x80, 0x80, 1, 1},
        {"INS", io_ins, 0x80, 0x80, 1, 1},
    };
    ul cr4 = rcr4();
    wcr4(cr4 | CR4_DE);
    struct regs r;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 17.2.4, 17.2.5, 17.3.1.2");
        r = ring(0, t[i].code);
        r.dx = t[i].dx;
        r.si = r.di = (ul)mem;
        arm(3, t[i].bp, IO, t[i].len);
        run(&r);
        if (t[i].past)
            db_is(t[i].code + t[i].past, 8);
        else
            ends();
        disarm();
    }
    test("REP OUTS, after the repetition", "vol. 3 17.3.1.2");
    r = ring(0, io_rep);
    r.dx = 0x80;
    r.cx = 3;
    r.si = (ul)mem;
    arm(0, 0x80, IO, 1);
    run(&r);
    db_is(io_rep, 1);
    EQ("RCX", ev.r.cx, 2);
    disarm();
    test("a port breakpoint is none of memory", "vol. 3 17.2.4");
    r = ring(0, st1);
    r.bx = 0x80;
    u8 old = W8(0x80);
    r.ax = old;
    arm(0, 0x80, IO, 1);
    run(&r);
    ends();
    disarm();
    wcr4(cr4);
}

// ---- steps

CODE(s_syscall, "syscall");
CODE(s_entry, "nop\n nop");
CODE(s_sysret, "sysretq");
CODE(s_iretq, "iretq");
CODE(s_lretq, "lretq");
CODE(s_int, "int $0x40\n nop\n nop");
CODE(s_back, "iretq");
CODE(s_int3, "int3\n nop");
CODE(s_swapgs, "swapgs\n swapgs");
CODE(s_cr8, "mov %rax,%cr8\n nop");
CODE(s_rdmsr, "rdmsr\n nop");
CODE(s_wrmsr, "wrmsr\n nop");
CODE(s_cpuid, "cpuid\n nop");
CODE(s_pushf, "pushfq\n pop %rbx");
CODE(s_leave, "leave\n nop");
CODE(s_jrcxz, "jrcxz 1f\n nop\n1: nop");
CODE(s_jcc, "jz 1f\n nop\n1: nop");
CODE(s_call, "call *%rax");
CODE(s_ret, "ret");
CODE(s_movdr, "mov %rax,%dr1\n nop");
CODE(s_cr3, "mov %cr3,%rcx\n mov %rcx,%cr3\n nop");
CODE(s_invlpg, "invlpg (%rbx)\n nop");
CODE(s_sse, "addps %xmm0,%xmm0\n nop");
CODE(s_cx16, "cmpxchg16b (%rbx)\n nop");
CODE(s_movss_seg, "mov %eax,%ss\n nop\n nop");
CODE(s_movds, "mov %eax,%ds\n nop");
CODE(s_pause, "pause\n nop");
CODE(s_mfence, "mfence\n nop");
CODE(s_xsetbv, "clts\n nop");
CODE(s_lmsw, "lmsw %ax\n nop");
CODE(s_cli, "cli\n nop");
CODE(s_sti, "sti\n nop");
CODE(s_rdtscp, "rdtsc\n nop");
CODE(s_icebp, ".byte 0xf1\n nop");
CODE(s_pf, "mov (%rbx),%eax\n nop");
CODE(s_ss_int, "mov (%rbx),%ss\n int $0x20");
CODE(s_ss_syscall, "mov (%rbx),%ss\n syscall");
CODE(s_popfq, "popfq\n nop\n nop");

static void steps(void)
{
    static const char sec[] = "vol. 3 17.3.1.4";
    static const struct {
        const char *name;
        const u8 *code;
        const u8 *next; // NULL: the code's start + len
        u8 cpl, len;
    } t[] = {
        {"NOP", nops, NULL, 0, 1},
        {"NOP at ring 3", nops, NULL, 3, 1},
        {"MOV CR8", s_cr8, NULL, 0, 4},
        {"RDMSR", s_rdmsr, NULL, 0, 2},
        {"WRMSR", s_wrmsr, NULL, 0, 2},
        {"CPUID", s_cpuid, NULL, 3, 2},
        {"PUSHF", s_pushf, NULL, 3, 1},
        {"LEAVE", s_leave, NULL, 3, 1},
        {"JRCXZ", s_jrcxz, NULL, 3, 3},
        {"JZ not taken", s_jcc, NULL, 3, 2},
        {"CALL", s_call, nothing, 3, 0},
        {"RET", s_ret, nothing, 3, 0},
        {"MOV DR", s_movdr, NULL, 0, 3},
        {"MOV from CR3", s_cr3, NULL, 0, 3},
        {"MOV to CR3", s_cr3 + 3, NULL, 0, 3},
        {"INVLPG", s_invlpg, NULL, 0, 3},
        {"SSE", s_sse, NULL, 3, 3},
        {"CMPXCHG16B", s_cx16, NULL, 3, 4},
        {"MOV DS", s_movds, NULL, 0, 2},
        {"PAUSE", s_pause, NULL, 3, 2},
        {"MFENCE", s_mfence, NULL, 3, 3},
        {"CLTS", s_xsetbv, NULL, 0, 2},
        {"CLI", s_cli, NULL, 0, 1},
        {"STI", s_sti, NULL, 0, 1},
        {"RDTSC", s_rdtscp, NULL, 3, 2},
        {"SWAPGS", s_swapgs + 3, NULL, 0, 3},
        {"store", st8, NULL, 3, 3},
        {"load", ld8, NULL, 3, 3},
        {"XCHG with memory", d_xchg, NULL, 3, 2},
        {"LOCK INC", d_lock, NULL, 3, 3},
    };
    struct regs r;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        static char name[60];
        char *p = name;
        for (const char *s = "step "; *s;) *p++ = *s++;
        for (const char *s = t[i].name; *s;) *p++ = *s++;
        *p = 0;
        test(name, sec);
        r = ring(t[i].cpl, t[i].code);
        r.flags |= F_TF;
        r.bx = (ul)mem;
        r.cx = 0;
        if (t[i].code == s_rdmsr || t[i].code == s_wrmsr) r.cx = 0xc0000102;
        if (t[i].code == s_cr3 + 3) r.cx = rcr3();
        if (t[i].code == s_call) r.ax = (ul)nothing;
        if (t[i].code == s_movds) r.ax = K_DS;
        if (t[i].code == s_swapgs + 3) asm_("swapgs");
        if (t[i].code == s_jcc) r.flags &= ~F_ZF;
        r.bp = TOP(stack3) - 128;
        r.sp -= 8;
        W64(r.sp) = (ul)nothing;
        wdr6(0xffff0ff0);
        run(&r);
        db_is(t[i].next ? t[i].next : t[i].code + t[i].len, 0x4000);
        BITS("TF in the image", ev.r.flags, F_TF, F_TF);
        BITS("TF in the handler", ev.hflags, 0, F_TF);
    }
    test("step REP MOVSB, each repetition", sec);
    r = ring(3, rep_movs);
    r.flags |= F_TF;
    r.si = (ul)mem;
    r.di = (ul)mem + 256;
    r.cx = 2;
    run(&r);
    db_is(rep_movs, 0x4000);
    EQ("RCX", ev.r.cx, 1);
    r = ev.r;
    r.flags &= ~(ul)F_RF;
    run(&r);
    db_is(rep_movs + 2, 0x4000);
    test("step IRET to code with TF", sec);
    r = ring(0, s_iretq);
    u64 *sp = (u64 *)(r.sp -= 64);
    sp[0] = (ul)nops, sp[1] = U_CS64, sp[2] = F_1 | F_TF, sp[3] = TOP(stack3), sp[4] = U_DS;
    wdr6(0xffff0ff0);
    run(&r);
    db_is(nops + 1, 0x4000);
    EQ("CS", ev.r.cs, U_CS64);
    test("step IRET that clears TF", sec);
    r.flags |= F_TF;
    sp[2] = F_1;
    wdr6(0xffff0ff0);
    run(&r);
    db_is(nops, 0x4000);
    BITS("TF", ev.r.flags, 0, F_TF);
    test("step far RET", sec);
    r = ring(0, s_lretq);
    sp = (u64 *)(r.sp -= 64);
    sp[0] = (ul)nops, sp[1] = U_CS64, sp[2] = TOP(stack3), sp[3] = U_DS;
    r.flags |= F_TF;
    run(&r);
    db_is(nops, 0x4000);
    EQ("CS", ev.r.cs, U_CS64);
    test("POPF sets TF, after the next instruction", sec);
    r = ring(0, s_popfq);
    sp = (u64 *)(r.sp -= 64);
    sp[0] = F_1 | F_TF;
    run(&r);
    db_is(s_popfq + 2, 0x4000);
    test("POPF clears TF, once more", sec);
    sp[0] = F_1;
    r.flags |= F_TF;
    run(&r);
    db_is(s_popfq + 1, 0x4000);
    BITS("TF", ev.r.flags, 0, F_TF);
    test("INT n and back, after the instruction behind it", sec);
    idt[2 * 0x40] = gate(K_CS, (ul)s_back, 0xee, 0);
    r = ring(3, s_int);
    r.flags |= F_TF;
    run(&r);
    db_is(s_int + 3, 0x4000);
    test("INT n with TF, no step in the handler", sec);
    r = ring(3, nothing_end - 2);
    r.flags |= F_TF;
    wdr6(0xffff0ff0);
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    BITS("DR6", rdr6(), 0, 0x4000);
    test("a fault under TF is no step", sec);
    r = ring(3, s_pf);
    r.bx = 0x8000000000;
    r.flags |= F_TF;
    wdr6(0xffff0ff0);
    run(&r);
    event_is(PF, 4, s_pf);
    BITS("TF in the image", ev.r.flags, F_TF, F_TF);
    BITS("DR6", rdr6(), 0, 0x4000);
    r = ev.r;
    r.bx = (ul)mem;
    run(&r);
    db_is(s_pf + 2, 0x4000);
    test("ICEBP", "vol. 2 INT1");
    r = ring(3, s_icebp);
    wdr6(0xffff0ff0);
    run(&r);
    db_is(s_icebp + 1, 0);

    u64 efer = rdmsr(MSR_EFER);
    wrmsr(MSR_EFER, efer | 1);
    wrmsr(0xc0000081, (u64)(SYSRET | 3) << 48 | (u64)K_CS << 32);
    wrmsr(0xc0000082, (ul)s_entry);
    set_desc(SYSRET, descriptor(0, 0xfffff, A_CODE3));
    set_desc(SYSRET + 8, descriptor(0, 0xfffff, A_DATA3));
    set_desc(SYSRET + 16, descriptor(0, 0xfffff, A_CODE64_3));
    test("SYSCALL, FMASK takes TF, no step", "vol. 2 SYSCALL");
    wrmsr(0xc0000084, F_TF);
    r = ring(3, s_syscall);
    r.flags |= F_TF;
    wdr6(0xffff0ff0);
    run(&r);
    ends();
    BITS("R11", ev.r.r11, F_TF, F_TF);
    BITS("DR6", rdr6(), 0, 0x4000);
    test("SYSCALL, FMASK leaves TF, a step at the target", "vol. 2 SYSCALL");
    wrmsr(0xc0000084, 0);
    run(&r);
    db_is(s_entry, 0x4000);
    EQ("CS", ev.r.cs, K_CS);
    test("SYSRET that sets TF, a step at the target", "vol. 2 SYSRET; APM vol. 3 SYSRET");
    r = ring(0, s_sysret);
    r.cx = (ul)nops;
    r.r11 = F_1 | F_TF;
    r.sp = TOP(stack3);
    wdr6(0xffff0ff0);
    run(&r);
    db_is(nops, 0x4000); // and not behind its first instruction: see Linux' syscall_return_via_sysret
    EQ("CS", ev.r.cs, (SYSRET + 16) | 3);

    test("MOV SS holds a step back for one instruction", "vol. 3 6.8.3");
    r = ring(0, s_movss_seg);
    r.ax = K_DS;
    r.flags |= F_TF;
    wdr6(0xffff0ff0);
    run(&r);
    db_is(s_movss_seg + 3, 0x4000);
    test("MOV SS that hits a data breakpoint, behind the next instruction", "vol. 3 6.8.3, 17.3.1.2");
    W16(mem) = U_DS;
    arm(0, (ul)mem, RW, 2);
    extern u8 s_ss_nop[];
    r = ring(3, s_ss_nop);
    r.bx = (ul)mem;
    run(&r);
    db_is(s_ss_nop + 3, 1);
    test("MOV SS that hits a data breakpoint, INT n, in the handler", "vol. 3 6.8.3");
    r = ring(3, s_ss_int);
    r.bx = (ul)mem;
    wdr6(0xffff0ff0);
    run(&r);
    db_is((void *)stub(END_VEC), 1);
    EQ("CS", ev.r.cs, K_CS);
    test("MOV SS that hits a data breakpoint, SYSCALL, at the target", "vol. 3 6.8.3");
    wrmsr(0xc0000084, F_TF);
    set_gate(DB, 0x8e, K_CS, 1);
    tss.ist[0] = TOP(stack1);
    r = ring(3, s_ss_syscall);
    r.bx = (ul)mem;
    wdr6(0xffff0ff0);
    run(&r);
    db_is(s_entry, 1);
    EQ("CS", ev.r.cs, K_CS);
    EQ("RSP", ev.r.sp, r.sp);
    disarm();
    wrmsr(MSR_EFER, efer);
    reset_tables();
}
CODE(s_ss_nop, "mov (%rbx),%ss\n nop\n nop");

// ---- interrupts that wait: a vector sent to oneself while IF = 0

CODE(i_sti, "sti\n nop\n nop\n cli");
CODE(i_sti_sti, "sti\n sti\n nop\n nop\n cli");
CODE(i_sti_cli, "sti\n cli\n nop\n nop");
CODE(i_sti_jmp, "sti\n jmp 1f\n1: nop\n cli");
CODE(i_sti_hlt, "sti\n hlt\n nop\n cli");
CODE(i_sti_ss, "sti\n mov %eax,%ss\n nop\n nop\n cli");
CODE(i_popf, "popfq\n nop\n nop\n cli");
CODE(i_iret, "iretq");
CODE(i_cr8, "sti\n mov %rax,%cr8\n nop\n nop\n cli");
CODE(i_ss_cli, "sti\n nop\n nop"); // taken at once: IF is set before

static void self_ipi(void)
{
    W32(0xfee000f0) = 0x1ff; // software enable
    W32(0xfee00300) = 0x40000 | VEC;
    while (W32(0xfee00300) & 0x1000) {
    }
}
static void eoi(void) { W32(0xfee000b0) = 0; }

static void waiting(void)
{
    static const struct {
        const char *name;
        const u8 *code;
        int past; // where it is taken; -1: not at all
    } t[] = {
        {"STI, behind the next instruction", i_sti, 2},
        {"STI, STI, the second casts no shadow", i_sti_sti, 2},
        {"STI, CLI, not at all", i_sti_cli, -1},
        {"STI, JMP, at its target", i_sti_jmp, 3},
        {"STI, HLT, HLT ends", i_sti_hlt, 2},
        {"STI, MOV SS, behind the instruction after", i_sti_ss, 4},
        {"POPF, at once", i_popf, 1},
    };
    if (!(rdmsr(0x1b) & 0x800)) return;
    struct regs r;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 STI, MOV; vol. 3 6.8.3");
        self_ipi();
        r = ring(0, t[i].code);
        r.sp -= 8;
        W64(r.sp) = F_1 | F_IF;
        r.ax = K_DS;
        run(&r);
        if (t[i].past < 0) {
            ends();
            r.flags |= F_IF; // now it comes
            r.ip = (ul)nops;
            run(&r);
            event_is(VEC, NO_ERR, nops);
        } else {
            event_is(VEC, NO_ERR, t[i].code + t[i].past);
            BITS("IF in the image", ev.r.flags, F_IF, F_IF);
            BITS("IF in the handler", ev.hflags, 0, F_IF);
        }
        eoi();
    }
    test("IRET that sets IF, at its target", "vol. 2 IRET");
    self_ipi();
    r = ring(0, i_iret);
    u64 *sp = (u64 *)(r.sp -= 64);
    sp[0] = (ul)nops, sp[1] = U_CS64, sp[2] = F_1 | F_IF, sp[3] = TOP(stack3), sp[4] = U_DS;
    run(&r);
    event_is(VEC, NO_ERR, nops);
    EQ("CS", ev.r.cs, U_CS64);
    eoi();
    test("SYSRET that sets IF, at its target", "vol. 2 SYSRET");
    u64 efer = rdmsr(MSR_EFER);
    wrmsr(MSR_EFER, efer | 1);
    self_ipi();
    r = ring(0, s_sysret);
    r.cx = (ul)nops;
    r.r11 = F_1 | F_IF;
    run(&r);
    event_is(VEC, NO_ERR, nops);
    eoi();
    wrmsr(MSR_EFER, efer);
    test("CR8 lowered lets it in behind MOV CR8", "vol. 3 10.8.6");
    asm_("mov %0,%%cr8" ::"r"(15ul));
    self_ipi();
    r = ring(0, i_cr8);
    r.ax = 0;
    run(&r);
    event_is(VEC, NO_ERR, i_cr8 + 5);
    eoi();
    test("an execution breakpoint waits behind the interrupt", "vol. 3 table 6-2");
    self_ipi();
    arm(0, (ul)nops, X, 1);
    r = ring(0, nops);
    r.flags |= F_IF;
    run(&r);
    event_is(VEC, NO_ERR, nops);
    eoi();
    disarm();
    test("a step comes before the interrupt", "vol. 3 table 6-2");
    self_ipi();
    r = ring(0, i_sti);
    r.flags |= F_TF;
    wdr6(0xffff0ff0);
    run(&r);
    db_is(i_sti + 1, 0x4000);
    r = ev.r; // IF is set by now: the interrupt comes first
    run(&r);
    event_is(VEC, NO_ERR, i_sti + 1);
    eoi();
}

void test_main(void)
{
    wcr4(rcr4() | CR4_OSFXSR);
    registers();
    code();
    overlap();
    data();
    strings();
    ports();
    steps();
    waiting();
}
