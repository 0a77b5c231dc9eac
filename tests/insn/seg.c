// SPDX-License-Identifier: MIT
// Segment loads, descriptor inspection, far transfers. Expected values from the SDM, sections named at each test.
#include "tests/insn/machine.h"

// vol. 3 20.1.1, 3.4.2: real mode changes the base only; limits of "unreal mode" stay.
static void real_mode_keeps_limit(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    RUNS(c, sys_write_cr(c, 0, CR0_ET));
    CHECK(cpu_real(c));
    RUNS(c, seg_load(c, S_DS, 0x1234));
    CHECK_EQ(c->seg[S_DS].base, 0x12340);
    CHECK_EQ(c->seg[S_DS].limit, 0xffffffff);
    poke(m, 0x200000, 0xa5, 1);
    volatile u64 v = 0;
    RUNS(c, v = mem_load(c, S_DS, 0x200000 - 0x12340, 1));
    CHECK_EQ(v, 0xa5);
    machine_free(m);
}

// vol. 2 MOV: order and codes of the checks.
static void data_load_checks(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    RAISES(c, seg_load(c, S_SS, 0), EXC_GP, 0);
    RUNS(c, seg_load(c, S_ES, 3)); // null with RPL 3 is null
    CHECK(!c->seg[S_ES].usable);
    RAISES(c, mem_load(c, S_ES, 0, 1), EXC_GP, 0);
    RAISES(c, seg_load(c, S_DS, 0x100), EXC_GP, 0x100);   // beyond the GDT's limit
    RAISES(c, seg_load(c, S_DS, 0x104), EXC_GP, 0x104);   // no LDT
    RAISES(c, seg_load(c, S_DS, TR_SEL), EXC_GP, TR_SEL); // system descriptor
    RAISES(c, seg_load(c, S_SS, K_CS), EXC_GP, K_CS);     // not writable data
    RAISES(c, seg_load(c, S_SS, K_DS | 3), EXC_GP, K_DS); // RPL differs; the code's low bits are EXT, IDT
    RAISES(c, seg_load(c, S_SS, U_DS & ~3), EXC_GP, U_DS & ~3);
    set_desc(m, SPARE, descriptor(0, 0xfff, 0x4019 & ~0x10)); // a system type
    RAISES(c, seg_load(c, S_DS, SPARE), EXC_GP, SPARE);
    set_desc(m, SPARE, descriptor(0, 0xfff, 0x4098)); // execute-only
    RAISES(c, seg_load(c, S_DS, SPARE), EXC_GP, SPARE);
    set_desc(m, SPARE, descriptor(0, 0xfff, 0x4012)); // data, not present
    RAISES(c, seg_load(c, S_DS, SPARE), EXC_NP, SPARE);
    RAISES(c, seg_load(c, S_SS, SPARE), EXC_SS, SPARE);
    set_desc(m, SPARE, descriptor(0x12345678, 0xabcde, 0x4092));
    RUNS(c, seg_load(c, S_FS, SPARE));
    CHECK_EQ(c->seg[S_FS].base, 0x12345678);
    CHECK_EQ(c->seg[S_FS].limit, 0xabcde);
    CHECK_EQ(c->seg[S_FS].attr, 0x4093);
    CHECK_EQ(peek(m, GDT + SPARE + 5, 1), 0x93); // accessed
    to_user(m);
    RAISES(c, seg_load(c, S_DS, K_DS), EXC_GP, K_DS);
    RAISES(c, seg_load(c, S_DS, K_DS | 3), EXC_GP, K_DS);
    set_desc(m, SPARE, descriptor(0, 0xfff, 0x409e)); // conforming, readable: any privilege
    RUNS(c, seg_load(c, S_DS, SPARE));
    machine_free(m);
}

// vol. 3 5.3: limits, expand-down, wrap; type checks.
static void limits(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_desc(m, SPARE, descriptor(0x10000, 0xfff, 0x4092));
    RUNS(c, seg_load(c, S_DS, SPARE));
    RUNS(c, mem_load(c, S_DS, 0xffc, 4));
    RAISES(c, mem_load(c, S_DS, 0xffd, 4), EXC_GP, 0);
    RAISES(c, mem_store(c, S_DS, 0xffffffff, 0, 2), EXC_GP, 0);
    set_desc(m, SPARE, descriptor(0x10000, 0xfff, 0x4090)); // read-only
    RUNS(c, seg_load(c, S_DS, SPARE));
    RUNS(c, mem_load(c, S_DS, 0, 4));
    RAISES(c, mem_store(c, S_DS, 0, 0, 4), EXC_GP, 0);
    set_desc(m, SPARE, descriptor(0x10000, 0xfff, 0x0096)); // expand-down, 16-bit: 1000..FFFF
    RUNS(c, seg_load(c, S_DS, SPARE));
    RAISES(c, mem_load(c, S_DS, 0xfff, 1), EXC_GP, 0);
    RUNS(c, mem_load(c, S_DS, 0x1000, 1));
    RUNS(c, mem_load(c, S_DS, 0xfffc, 4));
    RAISES(c, mem_load(c, S_DS, 0xfffd, 4), EXC_GP, 0);
    set_desc(m, SPARE, descriptor(0xffff0000, 0xfffff, 0xc092)); // linear addresses wrap at 4 GB
    RUNS(c, seg_load(c, S_DS, SPARE));
    poke(m, 0x2000, 0x5a, 1);
    volatile u64 v = 0;
    RUNS(c, v = mem_load(c, S_DS, 0x12000, 1));
    CHECK_EQ(v, 0x5a);
    set_desc(m, SPARE, descriptor(0x10000, 0xff, 0x4092));
    RUNS(c, seg_load(c, S_SS, SPARE));
    c->gpr[R_RSP] = 0x102;
    RAISES(c, stack_push(c, 1, 4), EXC_SS, 0);
    CHECK_EQ(c->gpr[R_RSP], 0x102);
    machine_free(m);
}

// vol. 2 LAR, LSL, VERR, VERW
static void inspection(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    u32 v = 0;
    CHECK(seg_lar(c, K_DS, &v));
    CHECK_EQ(v & 0x00f0ff00, 0x00c09300); // bits 16-19 are undefined
    CHECK(seg_lsl(c, K_DS, &v));
    CHECK_EQ(v, 0xffffffff);
    CHECK(seg_lsl(c, TR_SEL, &v));
    CHECK_EQ(v, 0x87);
    CHECK(!seg_lar(c, 0, &v));
    CHECK(!seg_lar(c, 0x100, &v));
    CHECK(!seg_lar(c, K_DS | 3, &v)); // DPL 0 < RPL 3
    set_desc(m, SPARE, gate(K_CS, 0, 0x8c, 0));
    CHECK(seg_lar(c, SPARE, &v) && !seg_lsl(c, SPARE, &v)); // a gate has no limit
    set_desc(m, SPARE, gate(K_CS, 0, 0x8e, 0));
    CHECK(!seg_lar(c, SPARE, &v)); // interrupt gates are not accepted
    CHECK(seg_verify(c, K_DS, false) && seg_verify(c, K_DS, true));
    CHECK(seg_verify(c, K_CS, false) && !seg_verify(c, K_CS, true));
    CHECK(!seg_verify(c, TR_SEL, false));
    to_user(m);
    CHECK(!seg_verify(c, K_DS, false) && seg_verify(c, U_DS, true));
    machine_free(m);
}

// vol. 2 LTR, LLDT; vol. 3 7.2.3
static void system_segments(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    CHECK_EQ(peek(m, GDT + TR_SEL + 5, 1), 0x8b); // busy
    RAISES(c, seg_load_tr(c, TR_SEL), EXC_GP, TR_SEL);
    RAISES(c, seg_load_tr(c, 0), EXC_GP, 0);
    RAISES(c, seg_load_tr(c, TR_SEL | 4), EXC_GP, TR_SEL | 4);
    RAISES(c, seg_load_ldt(c, K_DS), EXC_GP, K_DS);
    set_desc(m, SPARE, descriptor(LDT, 0xf, 0x02));
    RAISES(c, seg_load_ldt(c, SPARE), EXC_NP, SPARE);
    set_desc(m, SPARE, descriptor(LDT, 0xf, 0x82));
    RUNS(c, seg_load_ldt(c, SPARE));
    poke(m, LDT + 8, descriptor(0x777000, 0xfff, 0x4093), 8);
    RUNS(c, seg_load(c, S_GS, 0xc));
    CHECK_EQ(c->seg[S_GS].base, 0x777000);
    RAISES(c, seg_load(c, S_GS, 0x14), EXC_GP, 0x14);
    machine_free(m);
}

// vol. 3 3.4.4, 5.4.1.1: bases in 64-bit mode, null SS.
static void long_mode_segments(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    CHECK(cpu_code64(c));
    CHECK(c->mode & MODE_FLAT);
    set_desc(m, SPARE, descriptor(0x12345000, 0xfff, 0x4093));
    RUNS(c, seg_load(c, S_DS, SPARE));
    CHECK_EQ(c->seg[S_DS].base, 0);
    RUNS(c, seg_load(c, S_FS, SPARE));
    CHECK_EQ(c->seg[S_FS].base, 0x12345000);
    RUNS(c, seg_load(c, S_SS, 0));
    RAISES(c, seg_load(c, S_SS, 3), EXC_GP, 0);
    RUNS(c, stack_push(c, 0x1122334455667788, 8)); // usable all the same
    CHECK_EQ(peek(m, 0x8ff8, 8), 0x1122334455667788);
    RAISES(c, mem_load(c, S_DS, 0x800000000000, 8), EXC_GP, 0);
    RAISES(c, mem_load(c, S_SS, 0x7ffffffffffc, 8), EXC_SS, 0);
    RUNS(c, seg_load(c, S_SS, K_DS));
    RUNS(c, far_jmp(c, K_CS, 0x7000, 4)); // compatibility mode: the base counts again
    CHECK_EQ(c->mode & (MODE_CODE | MODE_LMA), MODE_32 | MODE_LMA);
    CHECK_EQ(c->seg[S_DS].base, 0x12345000);
    CHECK(!(c->mode & MODE_FLAT));
    RAISES(c, seg_load_tr(c, TR_SEL), EXC_GP, TR_SEL); // busy
    // a call gate must be 16 bytes with a type of 0 in the upper half; 4 (16-bit gate) does not exist
    set_desc(m, SPARE, gate(K_CS64, 0x7100, 0x84, 0));
    set_desc(m, SPARE + 8, 0);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_GP, SPARE);
    set_desc(m, SPARE, gate(K_CS64, 0x7100, 0x8c, 0));
    set_desc(m, SPARE + 8, 0x1ull << 40);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_GP, SPARE);
    set_desc(m, SPARE + 8, 0x800000);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_GP, 0); // non-canonical target 0080_0000_0000_7100h
    set_desc(m, SPARE + 8, 0);
    set_desc(m, SPARE, gate(K_CS, 0x7100, 0x8c, 0)); // to a 32-bit segment
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_GP, K_CS);
    machine_free(m);
}

// vol. 2 JMP, CALL: direct transfers.
static void far_direct(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    RAISES(c, far_jmp(c, 0, 0, 4), EXC_GP, 0);
    RAISES(c, far_jmp(c, K_DS, 0, 4), EXC_GP, K_DS);
    RAISES(c, far_jmp(c, U_CS, 0, 4), EXC_GP, U_CS & ~3); // DPL 3 from CPL 0
    RAISES(c, far_jmp(c, K_CS | 1, 0, 4), EXC_GP, K_CS);  // RPL > CPL
    set_desc(m, SPARE, descriptor(0x20000, 0xfff, 0x401a));
    RAISES(c, far_jmp(c, SPARE, 0, 4), EXC_NP, SPARE);
    set_desc(m, SPARE, descriptor(0x20000, 0xfff, 0x009a));
    RAISES(c, far_jmp(c, SPARE, 0x1000, 4), EXC_GP, 0); // beyond its limit
    c->gpr[R_RIP] = 0x7005;
    RUNS(c, far_call(c, SPARE, 0xffff0123, 2));
    CHECK_EQ(c->gpr[R_RIP], 0x123);
    CHECK_EQ(c->seg[S_CS].sel, SPARE);
    CHECK_EQ(c->gpr[R_RSP], 0x9000 - 4);
    CHECK_EQ(peek(m, 0x8ffc, 4), K_CS << 16 | 0x7005);
    CHECK_EQ(c->mode & MODE_CODE, MODE_16);
    RUNS(c, far_ret(c, 2, 0x10));
    CHECK_EQ(c->gpr[R_RIP], 0x7005);
    CHECK_EQ(c->gpr[R_RSP], 0x9010);
    CHECK_EQ(c->seg[S_CS].sel, K_CS);
    // conforming code runs at the caller's level
    to_user(m);
    set_desc(m, SPARE, descriptor(0, 0xfffff, 0xc09e));
    RUNS(c, far_jmp(c, SPARE, 0x7100, 4));
    CHECK_EQ(c->seg[S_CS].sel, SPARE | 3);
    CHECK_EQ(c->cpl, 3);
    machine_free(m);
}

// vol. 3 5.8.3-5.8.6: call gate with parameters to ring 0, and back.
static void call_gate(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_desc(m, SPARE, gate(K_CS, 0x7777, 0xec, 2));
    to_user(m);
    set_desc(m, 0x58, gate(K_CS, 0x7777, 0x8c, 0));
    RAISES(c, far_call(c, 0x58, 0, 4), EXC_GP, 0x58); // gate DPL 0
    RAISES(c, far_jmp(c, SPARE, 0, 4), EXC_GP, K_CS); // JMP cannot change the level
    c->gpr[R_RSP] = STACK3 - 8;
    poke(m, STACK3 - 8, 0x11111111, 4);
    poke(m, STACK3 - 4, 0x22222222, 4);
    c->gpr[R_RIP] = 0x7007;
    RUNS(c, far_call(c, SPARE, 0xdead, 4));
    CHECK_EQ(c->cpl, 0);
    CHECK_EQ(c->gpr[R_RIP], 0x7777);
    CHECK_EQ(c->seg[S_CS].sel, K_CS);
    CHECK_EQ(c->seg[S_SS].sel, K_DS);
    CHECK_EQ(c->gpr[R_RSP], STACK0 - 24);
    static const u32 want[] = {0x7007, U_CS, 0x11111111, 0x22222222, STACK3 - 8, U_DS};
    for (unsigned i = 0; i < 6; i++) CHECK_EQ(peek(m, STACK0 - 24 + 4 * i, 4), want[i]);
    RUNS(c, seg_load(c, S_GS, K_DS));
    RUNS(c, far_ret(c, 4, 8));
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->gpr[R_RSP], STACK3);
    CHECK_EQ(c->gpr[R_RIP], 0x7007);
    CHECK(!c->seg[S_GS].usable); // ring 0 data does not leak outwards
    CHECK_EQ(c->seg[S_GS].sel, 0);
    CHECK_EQ(c->seg[S_DS].sel, U_DS);
    // stack of the TSS wrong: #TS with the selector
    poke(m, TSS + 8, U_DS, 2);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_TS, U_DS & ~3);
    poke(m, TSS + 8, 0, 2);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_TS, 0);
    set_desc(m, 0x60, descriptor(0, 0xf, 0x4093));
    poke(m, TSS + 8, 0x60, 2);
    RAISES(c, far_call(c, SPARE, 0, 4), EXC_SS, 0x60); // no room
    CHECK_EQ(c->cpl, 3);
    machine_free(m);
}

// vol. 3 5.8.3.1: 64-bit call gate.
static void call_gate64(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    set_desc(m, SPARE, gate(K_CS64, 0x345678, 0xec, 0));
    set_desc(m, SPARE + 8, 0);
    c->cpl = 3;
    RUNS(c, far_jmp(c, U_CS, 0x7000, 4)); // compatibility mode, ring 3
    c->gpr[R_RIP] = 0x7007;
    c->gpr[R_RSP] = STACK3;
    RUNS(c, far_call(c, SPARE, 0, 4));
    CHECK_EQ(c->gpr[R_RIP], 0x345678);
    CHECK_EQ(c->cpl, 0);
    CHECK(cpu_code64(c));
    CHECK_EQ(c->seg[S_SS].sel, 0);
    CHECK_EQ(c->gpr[R_RSP], STACK0 - 32);
    CHECK_EQ(peek(m, STACK0 - 32, 8), 0x7007);
    CHECK_EQ(peek(m, STACK0 - 24, 8), U_CS);
    CHECK_EQ(peek(m, STACK0 - 16, 8), STACK3);
    poke(m, STACK0 - 8, U_DS, 8);
    RUNS(c, far_ret(c, 8, 0));
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->gpr[R_RSP], STACK3);
    CHECK(!cpu_code64(c));
    machine_free(m);
}

// vol. 2 SYSCALL, SYSRET; APM vol. 3.
static void fast_calls_of(bool intel)
{
    struct machine *m = machine_long(intel ? "max,vendor=GenuineIntel" : "max");
    struct cpu *c = m->c;
    c->star = (u64)0x23 << 48 | (u64)K_CS64 << 32;
    c->lstar = 0xffffffff81000000;
    c->cstar = 0xffffffff82000000;
    c->sfmask = FL_IF | FL_DF;
    c->eflags = FL_R1 | FL_IF | FL_CF | FL_DF;
    c->gpr[R_RIP] = 0x7002;
    RUNS(c, far_syscall(c));
    CHECK_EQ(c->gpr[R_RIP], 0xffffffff81000000);
    CHECK_EQ(c->gpr[R_RCX], 0x7002);
    CHECK_EQ(c->gpr[11], FL_R1 | FL_IF | FL_CF | FL_DF);
    CHECK_EQ(c->eflags, FL_R1 | FL_CF);
    CHECK_EQ(c->seg[S_SS].sel, K_CS64 + 8);
    c->gpr[R_RCX] = 0x0000800000000000;
    if (intel) {
        RAISES(c, far_sysret(c, 8), EXC_GP, 0);
        CHECK_EQ(c->cpl, 0);
        c->gpr[R_RCX] = 0x7002;
    }
    RUNS(c, far_sysret(c, 8));
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->seg[S_CS].sel, 0x33);
    CHECK_EQ(c->seg[S_SS].sel, 0x2b);
    CHECK_EQ(c->eflags, FL_R1 | FL_IF | FL_CF | FL_DF);
    RAISES(c, far_sysret(c, 8), EXC_GP, 0); // CPL 3
    // compatibility mode: CSTAR on AMD, #UD on Intel
    RUNS(c, far_jmp(c, U_CS, 0x7000, 4));
    if (intel) {
        CHECK_EQ(TRY(c, far_syscall(c)), EXC_UD);
    } else {
        RUNS(c, far_syscall(c));
        CHECK_EQ(c->gpr[R_RIP], 0xffffffff82000000);
    }
    c->sysenter_cs = K_CS;
    c->sysenter_eip = 0x1234567890;
    c->sysenter_esp = 0x9876543210;
    if (intel) {
        RUNS(c, far_sysenter(c));
        CHECK_EQ(c->gpr[R_RIP], 0x1234567890);
        CHECK_EQ(c->gpr[R_RSP], 0x9876543210);
        CHECK(cpu_code64(c));
    } else {
        CHECK_EQ(TRY(c, far_sysenter(c)), EXC_UD);
    }
    machine_free(m);
}

static void fast_calls_amd(void) { fast_calls_of(false); }
static void fast_calls_intel(void) { fast_calls_of(true); }

static void sysenter_legacy(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    to_user(m);
    c->sysenter_cs = 0;
    RAISES(c, far_sysenter(c), EXC_GP, 0);
    c->sysenter_cs = 0x80;
    c->sysenter_eip = 0xc0001000;
    c->sysenter_esp = 0xc0002000;
    c->eflags |= FL_IF;
    RUNS(c, far_sysenter(c));
    CHECK_EQ(c->seg[S_CS].sel, 0x80);
    CHECK_EQ(c->seg[S_SS].sel, 0x88);
    CHECK_EQ(c->cpl, 0);
    CHECK(!(c->eflags & FL_IF));
    c->gpr[R_RDX] = 0x7000;
    c->gpr[R_RCX] = 0xa000;
    RUNS(c, far_sysexit(c, 4));
    CHECK_EQ(c->seg[S_CS].sel, 0x93);
    CHECK_EQ(c->seg[S_SS].sel, 0x9b);
    CHECK_EQ(c->gpr[R_RSP], 0xa000);
    CHECK_EQ(c->cpl, 3);
    machine_free(m);
}

// The last page of the address space: nothing lies behind it that a probe could walk into, and an empty TLB slot does
// not look like it.
static void top_page(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    const u64 top = ~(u64)7;
    struct rmw p;
    volatile u64 v = 0;
    RAISES(c, v = mem_load(c, S_DS, top, 8), EXC_PF, 0);
    poke(m, PML4 + 511 * 8, PDPT | 7, 8);
    poke(m, PDPT + 511 * 8, PDIR | 7, 8);
    poke(m, PDIR + 511 * 8, 0x200087, 8);
    poke(m, 0x3ffff8, 0x1234, 8);
    poke(m, PDIR, 0, 8); // page 0 is not mapped
    tlb_flush(c, true);
    RUNS(c, (v = rmw_load(c, S_DS, top, 8, &p), rmw_store(c, &p, v + 1, 8)));
    CHECK_EQ(peek(m, 0x3ffff8, 8), 0x1235);
    for (unsigned k = 0; k < TLB_SIZE; k++) {
        u64 none = tlb_none(k);
        CHECK((none >> 12 & (TLB_SIZE - 1)) != k); // no address of slot k
        CHECK((none >> 12 & (TLB_SIZE - 1)) != ((k + 1) & (TLB_SIZE - 1)));
        CHECK(none & 0xfff); // no page
    }
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(top_page),        TEST(real_mode_keeps_limit), TEST(data_load_checks), TEST(limits),    TEST(inspection),
        TEST(system_segments), TEST(long_mode_segments),    TEST(far_direct),       TEST(call_gate), TEST(call_gate64),
        TEST(fast_calls_amd),  TEST(fast_calls_intel),      TEST(sysenter_legacy)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
