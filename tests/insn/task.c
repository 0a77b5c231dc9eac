// SPDX-License-Identifier: MIT
// The hardware task switch and the I/O permission map. SDM vol. 3 chapter 7; sections named at each test.
#include "tests/insn/machine.h"

enum { T2 = 0x60, T16 = 0x68, TGATE = 0x70 };

// A second task: ring 0 unless told otherwise, EIP 7200h, stack B000h.
static struct machine *two_tasks(void)
{
    struct machine *m = machine_protected("max");
    set_desc(m, T2, descriptor(TSS2, 0x67, 0x89));
    poke(m, TSS2 + 0x20, 0x7200, 4);
    poke(m, TSS2 + 0x24, FL_R1 | FL_ZF, 4);
    for (unsigned i = 0; i < 8; i++) poke(m, TSS2 + 0x28 + 4 * i, 0x1000 + i, 4);
    poke(m, TSS2 + 0x38, 0xb000, 4);
    static const u16 seg[] = {K_DS, K_CS, K_DS, K_DS, 0, 0};
    for (unsigned i = 0; i < 6; i++) poke(m, TSS2 + 0x48 + 4 * i, seg[i], 4);
    return m;
}

// 7.3: JMP: old not busy, new busy, no link, TS set.
static void jump(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    for (unsigned i = 0; i < 8; i++) c->gpr[i] = 0x2000 + i;
    c->gpr[R_RIP] = 0x7007;
    c->eflags = FL_R1 | FL_CF;
    c->dr[7] = 0x4ff;
    RUNS(c, far_jmp(c, T2, 0xdeadbeef, 4));
    CHECK_EQ(c->gpr[R_RIP], 0x7200);
    CHECK_EQ(c->gpr[R_RCX], 0x1001);
    CHECK_EQ(c->gpr[R_RSP], 0xb000);
    CHECK_EQ(c->eflags, FL_R1 | FL_ZF);
    CHECK_EQ(c->seg[S_TR].sel, T2);
    CHECK_EQ(peek(m, GDT + T2 + 5, 1), 0x8b);
    CHECK_EQ(peek(m, GDT + TR_SEL + 5, 1), 0x89);
    CHECK_EQ(peek(m, TSS + 0x20, 4), 0x7007);
    CHECK_EQ(peek(m, TSS + 0x24, 4), FL_R1 | FL_CF);
    CHECK_EQ(peek(m, TSS + 0x2c, 4), 0x2001);
    CHECK_EQ(peek(m, TSS + 0x4c, 2), K_CS);
    CHECK(c->cr0 & CR0_TS);
    CHECK_EQ(c->dr[7], 0x4aa);                   // local breakpoints go (17.2.4)
    RAISES(c, far_jmp(c, T2, 0, 4), EXC_GP, T2); // busy
    machine_free(m);
}

// 7.4: CALL nests, IRET returns.
static void nested(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    c->gpr[R_RIP] = 0x7007;
    RUNS(c, far_call(c, T2, 0, 4));
    CHECK_EQ(peek(m, TSS2, 2), TR_SEL);
    CHECK(c->eflags & FL_NT);
    CHECK_EQ(peek(m, GDT + TR_SEL + 5, 1), 0x8b); // both busy
    CHECK_EQ(peek(m, GDT + T2 + 5, 1), 0x8b);
    c->gpr[R_RIP] = 0x7210;
    RUNS(c, far_iret(c, 4));
    CHECK_EQ(c->seg[S_TR].sel, TR_SEL);
    CHECK_EQ(c->gpr[R_RIP], 0x7007);
    CHECK_EQ(peek(m, GDT + T2 + 5, 1), 0x89);
    CHECK_EQ(peek(m, TSS2 + 0x20, 4), 0x7210);
    CHECK(!(peek(m, TSS2 + 0x24, 4) & FL_NT));
    // back link to a task that is not busy
    c->eflags |= FL_NT;
    poke(m, TSS, T2, 2);
    RAISES(c, far_iret(c, 4), EXC_TS, T2);
    poke(m, TSS, T2 | 4, 2);
    RAISES(c, far_iret(c, 4), EXC_TS, T2 | 4);
    machine_free(m);
}

// Checks before the switch leave everything as it was; table 7-1.
static void refusals(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    set_desc(m, T2, descriptor(TSS2, 0x66, 0x89));
    RAISES(c, far_jmp(c, T2, 0, 4), EXC_TS, T2); // too short
    set_desc(m, T2, descriptor(TSS2, 0x67, 0x09));
    RAISES(c, far_jmp(c, T2, 0, 4), EXC_NP, T2);
    CHECK_EQ(c->seg[S_TR].sel, TR_SEL);
    CHECK_EQ(c->gpr[R_RIP], 0x7000);
    to_user(m);
    set_desc(m, T2, descriptor(TSS2, 0x67, 0x89));
    RAISES(c, far_jmp(c, T2 | 3, 0, 4), EXC_GP, T2); // DPL 0
    set_desc(m, TGATE, gate(T2, 0, 0xe5, 0));
    RUNS(c, far_jmp(c, TGATE, 0, 4)); // a gate of DPL 3 lets ring 3 in
    CHECK_EQ(c->cpl, 0);
    machine_free(m);
}

// Faults while loading segments belong to the new task (7.3).
static void faults_in_new_task(void)
{
    static const struct {
        u32 at, v;
        int vector;
        u32 err;
    } t[] = {{0x4c, 0, EXC_TS, 0},         {0x4c, K_DS, EXC_TS, K_DS},           {0x4c, SPARE, EXC_NP, SPARE},
             {0x50, 0, EXC_TS, 0},         {0x50, U_DS, EXC_TS, U_DS & ~3},      {0x50, SPARE + 8, EXC_SS, SPARE + 8},
             {0x54, 0x200, EXC_TS, 0x200}, {0x54, SPARE + 8, EXC_NP, SPARE + 8}, {0x60, K_DS, EXC_TS, K_DS}};
    for (volatile unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct machine *m = two_tasks();
        struct cpu *c = m->c;
        set_desc(m, SPARE, descriptor(0, 0xfffff, 0xc01b));
        set_desc(m, SPARE + 8, descriptor(0, 0xfffff, 0xc013));
        poke(m, TSS2 + t[i].at, t[i].v, 4);
        RAISES(c, far_jmp(c, T2, 0, 4), t[i].vector, t[i].err);
        CHECK_EQ(c->seg[S_TR].sel, T2);
        CHECK_EQ(c->gpr[R_RIP], 0x7200);
        CHECK_EQ(c->gpr[R_RCX], 0x1001);
        CHECK_EQ(peek(m, GDT + T2 + 5, 1), 0x8b);
        machine_free(m);
    }
    struct machine *m = two_tasks();
    poke(m, TSS2 + 0x48 + 4, K_CS, 4);
    set_desc(m, K_CS, descriptor(0, 0x6, A_CODE0)); // limit 6FFFh: EIP is outside
    RAISES(m->c, far_jmp(m->c, T2, 0, 4), EXC_GP, 0);
    CHECK_EQ(m->c->seg[S_TR].sel, T2);
    machine_free(m);
}

// 6.12.2: exception through a task gate; the error code goes to the new stack. 7.2.1: T flag.
static void task_gate(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    poke(m, IDT + 8 * 8, gate(T2, 0, 0x85, 0), 8);
    poke(m, TSS2 + 0x64, 1, 2);
    RUNS(c, int_deliver(c, 8, INT_FAULT, true, 0x5678));
    CHECK_EQ(c->gpr[R_RSP], 0xb000 - 4);
    CHECK_EQ(peek(m, 0xaffc, 4), 0x5678);
    CHECK_EQ(peek(m, TSS + 0x20, 4), 0x7000);
    CHECK_EQ(peek(m, TSS2, 2), TR_SEL);
    CHECK_EQ(c->dr6_pending, 0x8000);
    CHECK(c->attn & ATTN_TRAP);
    RAISES(c, int_deliver(c, 8, INT_FAULT, true, 0), EXC_GP, T2 | 1); // busy now
    poke(m, IDT + 8 * 8, gate(T2 | 4, 0, 0x85, 0), 8);
    RAISES(c, int_deliver(c, 8, INT_HW, true, 0), EXC_GP, T2 | 4 | 1);
    machine_free(m);
}

// 7.6: 16-bit TSS.
static void tss16(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    set_desc(m, T16, descriptor(0x6000, 0x2b, 0x81));
    poke(m, 0x600e, 0x7300, 2);
    poke(m, 0x6010, FL_R1, 2);
    for (unsigned i = 0; i < 8; i++) poke(m, 0x6012 + 2 * i, 0x300 + i, 2);
    static const u16 seg[] = {K_DS, K_CS, K_DS, K_DS};
    for (unsigned i = 0; i < 4; i++) poke(m, 0x6022 + 2 * i, seg[i], 2);
    RUNS(c, far_call(c, T16, 0, 2));
    CHECK_EQ(c->gpr[R_RIP], 0x7300);
    CHECK_EQ(c->gpr[R_RCX] & 0xffff, 0x301);
    CHECK(!c->seg[S_FS].usable);
    CHECK_EQ(peek(m, 0x6000, 2), TR_SEL);
    c->gpr[R_RIP] = 0x7310;
    RUNS(c, far_iret(c, 2));
    CHECK_EQ(c->seg[S_TR].sel, TR_SEL);
    CHECK_EQ(peek(m, 0x600e, 2), 0x7310);
    CHECK_EQ(peek(m, 0x6014, 2), 0x301);
    set_desc(m, T16, descriptor(0x6000, 0x2a, 0x81));
    RAISES(c, far_jmp(c, T16, 0, 2), EXC_TS, T16);
    machine_free(m);
}

// 20.2: a task in virtual-8086 mode.
static void v86_task(void)
{
    struct machine *m = two_tasks();
    struct cpu *c = m->c;
    poke(m, TSS2 + 0x24, FL_R1 | FL_VM, 4);
    for (unsigned i = 0; i < 6; i++) poke(m, TSS2 + 0x48 + 4 * i, 0x100 * (i + 1), 4);
    RUNS(c, far_jmp(c, T2, 0, 4));
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->seg[S_CS].base, 0x2000);
    CHECK_EQ(c->seg[S_GS].base, 0x6000);
    CHECK(c->mode & MODE_VM);
    machine_free(m);
}

// vol. 1 19.5.2
static void io_map(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    to_user(m);
    poke(m, TSS + 0x68 + 0x60 / 8, 0x10, 1); // port 64h is forbidden
    poke(m, TSS + 0x68 + 0x70 / 8, 0x00, 1);
    CHECK(task_io_permitted(c, 0x60, 4));
    CHECK(!task_io_permitted(c, 0x64, 1));
    CHECK(!task_io_permitted(c, 0x61, 4));
    CHECK(task_io_permitted(c, 0x65, 1));
    RAISES(c, sys_io_in(c, 0x64, 1), EXC_GP, 0);
    RUNS(c, sys_io_in(c, 0x60, 1));
    // the map ends with the TSS: limit 87h, map from 68h: ports up to F7h (two bytes are always read)
    CHECK(task_io_permitted(c, 0xf0, 1));
    CHECK(!task_io_permitted(c, 0xf8, 1));
    c->eflags |= FL_IOPL;
    RUNS(c, sys_io_in(c, 0x64, 1));
    poke(m, TSS + 0x66, 0xffff, 2);
    CHECK(!task_io_permitted(c, 0, 1));
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(jump),      TEST(nested), TEST(refusals), TEST(faults_in_new_task),
                                              TEST(task_gate), TEST(tss16),  TEST(v86_task), TEST(io_map)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
