// SPDX-License-Identifier: MIT
// Delivery of interrupts and exceptions, IRET. Expected frames and error codes from the SDM, sections named at each
// test.
#include "interp/interp.h"
#include "tests/insn/pair.h"

static void set_gate(struct machine *m, unsigned v, u64 d) { poke(m, IDT + 8 * v, d, 8); }
static void set_gate64(struct machine *m, unsigned v, u16 sel, u64 off, unsigned access, unsigned ist)
{
    poke(m, IDT + 16 * v, gate(sel, (u32)off, access, ist), 8);
    poke(m, IDT + 16 * v + 8, off >> 32, 8);
}

// vol. 3 20.1.4
static void real_mode(void)
{
    struct machine *m = machine_new("max");
    struct cpu *c = m->c;
    RUNS(c, seg_load(c, S_SS, 0x900));
    RUNS(c, far_jmp(c, 0x700, 0x10, 2));
    c->gpr[R_RSP] = 0xffff0002;
    c->eflags = FL_R1 | FL_IF | FL_TF | FL_CF | FL_AC;
    poke(m, 0x21 * 4, 0x12345678, 4);
    RUNS(c, int_soft(c, 0x21, INT_SOFT));
    CHECK_EQ(c->seg[S_CS].sel, 0x1234);
    CHECK_EQ(c->gpr[R_RIP], 0x5678);
    CHECK_EQ(c->gpr[R_RSP], 0xfffffffc); // SP wraps at 64 KB, the upper half stays
    CHECK_EQ(peek(m, 0x9000 + 0xfffc, 2), 0x10);
    CHECK_EQ(peek(m, 0x9000 + 0xfffe, 2), 0x700);
    CHECK_EQ(peek(m, 0x9000, 2), FL_R1 | FL_IF | FL_TF | FL_CF);
    CHECK_EQ(c->eflags, FL_R1 | FL_CF);
    RUNS(c, far_iret(c, 2));
    CHECK_EQ(c->seg[S_CS].sel, 0x700);
    CHECK_EQ(c->gpr[R_RIP], 0x10);
    CHECK_EQ(c->eflags, FL_R1 | FL_IF | FL_TF | FL_CF);
    c->idt_limit = 0x82;
    CHECK_EQ(TRY(c, int_soft(c, 0x21, INT_SOFT)), EXC_GP);
    CHECK_EQ(TRY(c, int_soft(c, 0x20, INT_SOFT)), EXC_GP); // needs up to 83h
    machine_free(m);
}

// vol. 3 6.12.1: same level; vol. 2 INT: gate checks and their codes.
static void same_level(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_gate(m, 14, gate(K_CS, 0x12340, 0x8e, 0));
    set_gate(m, 15, gate(K_CS, 0x12340, 0x8f, 0));
    c->eflags = FL_R1 | FL_IF | FL_TF | FL_NT | FL_ZF;
    RUNS(c, int_deliver(c, 14, INT_FAULT, true, 0xabc));
    CHECK_EQ(c->gpr[R_RSP], 0x9000 - 16);
    CHECK_EQ(peek(m, 0x8ff0, 4), 0xabc);
    CHECK_EQ(peek(m, 0x8ff4, 4), 0x7000);
    CHECK_EQ(peek(m, 0x8ff8, 4), K_CS);
    CHECK_EQ(peek(m, 0x8ffc, 4), FL_R1 | FL_IF | FL_TF | FL_NT | FL_ZF | FL_RF); // fault: RF is set
    CHECK_EQ(c->eflags, FL_R1 | FL_ZF);
    CHECK_EQ(c->gpr[R_RIP], 0x12340);
    c->eflags |= FL_IF;
    RUNS(c, int_deliver(c, 15, INT_HW, false, 0));
    CHECK_EQ(c->eflags, FL_R1 | FL_ZF | FL_IF);                          // trap gate: IF stays
    CHECK_EQ(peek(m, 0x8fec, 4), FL_R1 | FL_ZF | FL_IF);                 // no RF: not a fault
    RAISES(c, int_deliver(c, 32, INT_HW, false, 0), EXC_GP, 32 * 8 + 3); // type 0; EXT, IDT
    RAISES(c, int_deliver(c, 32, INT_SOFT, false, 0), EXC_GP, 32 * 8 + 2);
    set_gate(m, 32, gate(K_CS, 0, 0x0e, 0));
    RAISES(c, int_deliver(c, 32, INT_HW, false, 0), EXC_NP, 32 * 8 + 3);
    c->idt_limit = 32 * 8 + 6;
    RAISES(c, int_deliver(c, 32, INT_HW, false, 0), EXC_GP, 32 * 8 + 3);
    c->idt_limit = 0x7ff;
    set_gate(m, 33, gate(0, 0, 0x8e, 0));
    RAISES(c, int_deliver(c, 33, INT_HW, false, 0), EXC_GP, 1);
    set_gate(m, 33, gate(K_DS, 0, 0x8e, 0));
    RAISES(c, int_deliver(c, 33, INT_HW, false, 0), EXC_GP, K_DS | 1);
    set_gate(m, 33, gate(0x200, 0, 0x8e, 0));
    RAISES(c, int_deliver(c, 33, INT_SOFT, false, 0), EXC_GP, 0x200);
    set_desc(m, SPARE, descriptor(0, 0xfff, 0x401a));
    set_gate(m, 33, gate(SPARE, 0, 0x8e, 0));
    RAISES(c, int_deliver(c, 33, INT_HW, false, 0), EXC_NP, SPARE | 1);
    set_gate(m, 33, gate(K_CS, 0x1234, 0x86, 0)); // 16-bit gate
    c->gpr[R_RSP] = 0x9000;
    RUNS(c, int_deliver(c, 33, INT_HW, false, 0));
    CHECK_EQ(c->gpr[R_RSP], 0x8ffa);
    machine_free(m);
}

// vol. 3 6.12.1, 6.12.1.1: to ring 0 and back; privilege of software interrupts.
static void inner_level(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_gate(m, 0x80, gate(K_CS, 0x12340, 0xee, 0));
    set_gate(m, 0x81, gate(K_CS, 0x12340, 0x8e, 0));
    to_user(m);
    RAISES(c, int_soft(c, 0x81, INT_SOFT), EXC_GP, 0x81 * 8 + 2);
    c->eflags = FL_R1 | FL_IF;
    c->gpr[R_RIP] = 0x7002;
    RUNS(c, int_soft(c, 0x80, INT_SOFT));
    CHECK_EQ(c->cpl, 0);
    CHECK_EQ(c->gpr[R_RSP], STACK0 - 20);
    static const u32 want[] = {0x7002, U_CS, FL_R1 | FL_IF, STACK3, U_DS};
    for (unsigned i = 0; i < 5; i++) CHECK_EQ(peek(m, STACK0 - 20 + 4 * i, 4), want[i]);
    CHECK_EQ(c->seg[S_SS].sel, K_DS);
    CHECK_EQ(c->seg[S_DS].sel, U_DS); // stays
    RUNS(c, far_iret(c, 4));
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->gpr[R_RSP], STACK3);
    CHECK_EQ(c->gpr[R_RIP], 0x7002);
    CHECK_EQ(c->eflags, FL_R1 | FL_IF);
    // a hardware interrupt ignores the gate's DPL
    RUNS(c, int_deliver(c, 0x81, INT_HW, false, 0));
    CHECK_EQ(c->cpl, 0);
    RUNS(c, far_iret(c, 4));
    // ring 3 cannot raise its IOPL, nor set IF, by IRET
    poke(m, STACK3 - 12, 0x7002, 4);
    poke(m, STACK3 - 8, U_CS, 4);
    poke(m, STACK3 - 4, FL_IOPL | FL_CF, 4);
    c->gpr[R_RSP] = STACK3 - 12;
    RUNS(c, far_iret(c, 4));
    CHECK_EQ(c->eflags, FL_R1 | FL_IF | FL_CF);
    // TSS too small, SS not right
    c->seg[S_TR].limit = 8;
    RAISES(c, int_deliver(c, 0x81, INT_HW, false, 0), EXC_TS, TR_SEL | 1);
    c->seg[S_TR].limit = 0x67;
    poke(m, TSS + 8, U_DS, 2);
    RAISES(c, int_deliver(c, 0x81, INT_HW, false, 0), EXC_TS, (U_DS & ~3) | 1);
    machine_free(m);
}

// vol. 2 IRET: checks.
static void iret_checks(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    c->gpr[R_RSP] = 0x8fe0;
    static const struct {
        u32 cs, ss;
        int vector;
        u32 err;
    } t[] = {{0, 0, EXC_GP, 0},          {0x200, 0, EXC_GP, 0x200},  {K_DS, 0, EXC_GP, K_DS},
             {U_CS, 0, EXC_GP, 0},       {U_CS, K_DS, EXC_GP, K_DS}, {U_CS, 0x203, EXC_GP, 0x200},
             {U_CS, U_CS, EXC_GP, 0x18}, {K_CS | 1, 0, EXC_GP, K_CS}};
    for (volatile unsigned i = 0; i < ARRAY_LEN(t); i++) {
        poke(m, 0x8fe0, 0x7000, 4);
        poke(m, 0x8fe4, t[i].cs, 4);
        poke(m, 0x8fe8, FL_R1, 4);
        poke(m, 0x8fec, STACK3, 4);
        poke(m, 0x8ff0, t[i].ss, 4);
        RAISES(c, far_iret(c, 4), t[i].vector, t[i].err);
        CHECK_EQ(c->gpr[R_RSP], 0x8fe0);
    }
    // NMIs are unblocked even by an IRET that faults (vol. 3 6.7.1)
    c->nmi_blocked = true;
    poke(m, 0x8fe4, 0, 4);
    RAISES(c, far_iret(c, 4), EXC_GP, 0);
    CHECK(!c->nmi_blocked);
    machine_free(m);
}

// vol. 3 20.2, 20.3: virtual-8086 mode, in and out; VME.
static void to_v86(struct machine *m, u32 fl)
{
    struct cpu *c = m->c;
    static const u32 frame[] = {0x100, 0x700, 0, 0xfff0, 0x900, 0x111, 0x222, 0x333, 0x444};
    c->gpr[R_RSP] = 0x8f00;
    for (unsigned i = 0; i < 9; i++) poke(m, 0x8f00 + 4 * i, i == 2 ? fl | FL_VM | FL_R1 : frame[i], 4);
    RUNS(c, far_iret(c, 4));
}
static void v86(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_gate(m, 0x80, gate(K_CS, 0x12340, 0xee, 0));
    to_v86(m, FL_IF);
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->mode & (MODE_VM | MODE_CODE | MODE_USER), MODE_VM | MODE_16 | MODE_USER);
    CHECK_EQ(c->seg[S_GS].base, 0x4440);
    CHECK_EQ(c->seg[S_GS].limit, 0xffff);
    CHECK_EQ(c->gpr[R_RSP], 0xfff0);
    RAISES(c, int_soft(c, 0x80, INT_SOFT), EXC_GP, 0); // IOPL 0
    RUNS(c, int_deliver(c, 0x80, INT_HW, false, 0));
    CHECK_EQ(c->gpr[R_RSP], STACK0 - 36);
    static const u32 want[] = {0x100, 0x700, FL_IF | FL_VM | FL_R1, 0xfff0, 0x900, 0x111, 0x222, 0x333, 0x444};
    for (unsigned i = 0; i < 9; i++) CHECK_EQ(peek(m, STACK0 - 36 + 4 * i, 4), want[i]);
    CHECK_EQ(c->cpl, 0);
    CHECK(!(c->eflags & FL_VM) && !c->seg[S_GS].usable && !c->seg[S_DS].usable);
    to_v86(m, FL_IF | FL_IOPL);
    RUNS(c, int_soft(c, 0x80, INT_SOFT)); // IOPL 3, no VME
    CHECK_EQ(c->cpl, 0);
    set_gate(m, 0x80, gate(U_CS, 0x12340, 0xee, 0)); // a handler that is not in ring 0
    to_v86(m, FL_IF | FL_IOPL);
    RAISES(c, int_soft(c, 0x80, INT_SOFT), EXC_GP, U_CS & ~3);
    machine_free(m);
}

static void vme(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    RUNS(c, sys_write_cr(c, 4, CR4_VME));
    // bitmap below the I/O map: vector 21h to the 8086 handler, 80h to the monitor
    poke(m, TSS + 0x66, 0x88, 2);
    poke(m, TSS + 0x68 + 0x80 / 8, 1, 1);
    poke(m, 0x21 * 4, 0x12345678, 4);
    to_v86(m, FL_VIF | FL_IF);
    RUNS(c, int_soft(c, 0x21, INT_SOFT));
    CHECK(c->eflags & FL_VM);
    CHECK_EQ(c->seg[S_CS].sel, 0x1234);
    CHECK_EQ(c->gpr[R_RSP], 0xffea);
    CHECK_EQ(peek(m, 0x9000 + 0xffee, 2), FL_IF | FL_IOPL | FL_R1); // VIF shown as IF, IOPL 3
    CHECK(!(c->eflags & FL_VIF) && (c->eflags & FL_IF));
    RAISES(c, int_soft(c, 0x80, INT_SOFT), EXC_GP, 0);
    RUNS(c, far_iret(c, 2)); // IF goes to VIF
    CHECK_EQ(c->seg[S_CS].sel, 0x700);
    CHECK(c->eflags & FL_VIF);
    RAISES(c, far_iret(c, 4), EXC_GP, 0); // 32-bit IRET: not with IOPL < 3
    c->eflags |= FL_VIP;
    c->gpr[R_RSP] = 0xffea;
    RAISES(c, far_iret(c, 2), EXC_GP, 0); // VIP and IF
    machine_free(m);
}

// vol. 3 6.14: long mode.
static void long_mode(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    c->idt_limit = 0xfff;
    set_gate64(m, 14, K_CS64, 0xffffffff80001000, 0x8e, 0);
    set_gate64(m, 8, K_CS64, 0x7100, 0x8e, 3);
    set_gate64(m, 0x80, K_CS64, 0x7100, 0xee, 0);
    c->gpr[R_RSP] = 0x9007;
    c->eflags = FL_R1 | FL_IF;
    RUNS(c, int_deliver(c, 14, INT_FAULT, true, 7));
    CHECK_EQ(c->gpr[R_RIP], 0xffffffff80001000);
    CHECK_EQ(c->gpr[R_RSP], 0x9000 - 48); // aligned to 16, SS:RSP always pushed
    static const u64 want[] = {7, 0x7000, K_CS64, FL_R1 | FL_IF | FL_RF, 0x9007, K_DS};
    for (unsigned i = 0; i < 6; i++) CHECK_EQ(peek(m, 0x9000 - 48 + 8 * i, 8), want[i]);
    CHECK_EQ(c->seg[S_SS].sel, K_DS);
    c->gpr[R_RSP] += 8;
    RUNS(c, far_iret(c, 8));
    CHECK_EQ(c->gpr[R_RSP], 0x9007);
    // IST
    poke(m, TSS + 0x24 + 16, 0xb000, 8);
    RUNS(c, int_deliver(c, 8, INT_FAULT, true, 0));
    CHECK_EQ(c->gpr[R_RSP], 0xb000 - 48);
    c->gpr[R_RSP] += 8;
    RUNS(c, far_iret(c, 8));
    // to ring 3 and in again
    poke(m, 0x9100, 0x7000, 8);
    poke(m, 0x9108, U_CS64, 8);
    poke(m, 0x9110, FL_R1 | FL_IF, 8);
    poke(m, 0x9118, STACK3, 8);
    poke(m, 0x9120, U_DS, 8);
    c->gpr[R_RSP] = 0x9100;
    RUNS(c, far_iret(c, 8));
    CHECK_EQ(c->cpl, 3);
    RUNS(c, int_soft(c, 0x80, INT_SOFT));
    CHECK_EQ(c->gpr[R_RSP], STACK0 - 40);
    CHECK_EQ(c->seg[S_SS].sel, 0); // null with RPL = CPL
    CHECK_EQ(peek(m, STACK0 - 8, 8), U_DS);
    // null SS is a legal return to 64-bit ring 0 (vol. 3 6.14.4)
    RUNS(c, int_deliver(c, 0x80, INT_HW, false, 0));
    RUNS(c, far_iret(c, 8));
    CHECK_EQ(c->cpl, 0);
    RUNS(c, far_iret(c, 8));
    CHECK_EQ(c->cpl, 3);
    // wrong gates and stacks
    set_gate64(m, 0x81, K_CS, 0x7100, 0xee, 0);
    RAISES(c, int_soft(c, 0x81, INT_SOFT), EXC_GP, K_CS); // 32-bit segment
    set_gate64(m, 0x81, K_CS64, 0x800000000000, 0xee, 0);
    RAISES(c, int_soft(c, 0x81, INT_SOFT), EXC_GP, 0);
    poke(m, TSS + 4, 0x800000000000, 8);
    RAISES(c, int_deliver(c, 14, INT_FAULT, true, 0), EXC_SS, 1);
    set_gate64(m, 0x81, K_CS64, 0x7100, 0xe6, 0); // 16-bit gate
    RAISES(c, int_soft(c, 0x81, INT_SOFT), EXC_GP, 0x81 * 8 + 2);
    machine_free(m);
}

// cpu/repeat.c: with what is remembered of earlier deliveries and IRETs, everything is as without it (by the second
// machine, which remembers nothing), whatever of gates, descriptors, TSS, limits, levels and stacks changes in between.
static struct seg cs_of[2], ss_of[2]; // in ring 0, in ring 3
static void disturb(struct pair *p)
{
    u32 v = 0x80 + draw(p, 4), sel = (u32)DRAW(p, K_CS64, U_CS64, U_DS, K_DS), n;
    u64 d = descriptor(0, 0xfffff,
                       sel == K_CS64   ? A_CODE64_0
                       : sel == U_CS64 ? A_CODE64_3
                       : sel == U_DS   ? A_DATA3
                                       : A_DATA0);
    u64 off = DRAW(p, 0x7100, 0x7200, 0x700007100, 0xffffffff80001000, 0x800000000000), raw;
    switch (draw(p, 24)) {
    case 0:
        raw = gate((u16)DRAW(p, K_CS64, K_CS64, K_CS64, K_CS, U_CS64, 0), (u32)off,
                   (u32)DRAW(p, 0xee, 0xee, 0xef, 0x8e, 0x6e, 0xe5), (u32)DRAW(p, 0, 0, 0, 1, 3));
        poke_both(p, IDT + 16 * v, raw);
        poke_both(p, IDT + 16 * v + 8, off >> 32);
        break;
    case 1:
        poke_both(p, GDT + (sel & 0xf8),
                  d ^ DRAW(p, 0, 0, 0, 0, 1ull << 40, 1ull << 41, 1ull << 42, 1ull << 45, 1ull << 47));
        break;
    case 2: poke_both(p, GDT + (sel & 0xf8), d); break;
    case 3: poke_both(p, TSS + 4, DRAW(p, STACK0, STACK0, STACK0 + 5, 0xc010, 0x800000000000, 0x500000)); break;
    case 4: poke_both(p, TSS + 0x24, DRAW(p, STACK0, 0xb000, 0x7fffffffffff)); break;
    case 5:
        n = (u32)DRAW(p, 0xfff, 0xfff, 0x80e, 0x827);
        for (int k = 0; k < 2; k++) p->m[k]->c->idt_limit = (u16)n;
        break;
    case 6:
        n = (u32)DRAW(p, 0xff, 0xff, 0x2f, 0x36);
        for (int k = 0; k < 2; k++) p->m[k]->c->gdt_limit = (u16)n;
        break;
    case 7:
        n = draw(p, 8) ? CR4_PAE : CR4_PAE | CR4_SMAP;
        for (int k = 0; k < 2; k++) {
            p->m[k]->c->cpl = 0;
            RUNS(p->m[k]->c, sys_write_cr(p->m[k]->c, 4, n));
        }
        break;
    default: break;
    }
}
static void same_state(struct pair *p, int exc, int exc2)
{
    struct cpu *a = p->m[0]->c, *b = p->m[1]->c;
    CHECK_EQ(exc, exc2);
    if (exc >= 0) CHECK_EQ(a->exc_err, b->exc_err);
    for (unsigned i = 0; i < R_COUNT; i++) CHECK_EQ(a->gpr[i], b->gpr[i]);
    CHECK_EQ(flags_get(a), flags_get(b));
    for (unsigned i = 0; i < S_COUNT; i++) {
        const struct seg *x = &a->seg[i], *y = &b->seg[i];
        CHECK_EQ(x->sel | x->attr << 16, y->sel | y->attr << 16);
        CHECK(x->base == y->base && x->limit == y->limit && x->rend == y->rend && x->wend == y->wend);
        CHECK(x->usable == y->usable && x->base_legacy == y->base_legacy);
    }
    CHECK_EQ(a->cpl, b->cpl);
    CHECK_EQ(a->mode, b->mode);
    CHECK_EQ((u32)a->jump_context, (u32)b->jump_context);
    CHECK_EQ((a->jump_context >> 32) == a->tlb_gen, (b->jump_context >> 32) == b->tlb_gen);
    CHECK_EQ(a->tlb - a->tlbs, b->tlb - b->tlbs);
    CHECK_EQ(a->attn, b->attn);
    CHECK_EQ(a->cr2, b->cr2);
    CHECK(!memcmp(p->m[0]->ram->host, p->m[1]->ram->host, 0x10000));
}
static void repeated(void)
{
    struct pair p = {.seed = 4711};
    u32 hits = 0;
    for (int k = 0; k < 2; k++) {
        p.m[k] = machine_long("max");
        p.m[k]->c->idt_limit = 0xfff;
        poke(p.m[k], PML4 + 255 * 8, PDPT | 7, 8); // a page below the lower half's end
        poke(p.m[k], PDPT + 511 * 8, PDIR | 7, 8);
        poke(p.m[k], PDIR + 511 * 8, 0x87, 8);
        for (unsigned v = 0x80; v < 0x84; v++) set_gate64(p.m[k], v, K_CS64, 0x7100, 0xee, 0);
    }
    for (int user = 0; user < 2; user++) {
        struct cpu *c = p.m[0]->c;
        struct desc d;
        u64 raw = descriptor(0, 0xfffff, user ? A_CODE64_3 : A_CODE64_0);
        c->cpl = user ? 3 : 0;
        seg_decode(&d, (u32)raw, raw >> 32);
        seg_install(c, S_CS, user ? U_CS64 : K_CS64, &d);
        RUNS(c, seg_load(c, S_SS, user ? U_DS : K_DS));
        cs_of[user] = c->seg[S_CS], ss_of[user] = c->seg[S_SS];
    }
    for (u32 step = 0; step < 30000; step++) {
        disturb(&p);
        u32 user = draw(&p, 2), op = draw(&p, 4), v = 0x80 + draw(&p, 4), err = draw(&p, 99), at = draw(&p, 3);
        u32 fl = FL_R1 | (u32)DRAW(&p, 0, 0, FL_IF, FL_RF, FL_TF, FL_AC, FL_NT, FL_IF | FL_ZF);
        u64 sp = DRAW(&p, 0x9000, 0x9000, 0x9007, 0x9ff0, 0x800000000000, 0x600000);
        u64 image[5] = {DRAW(&p, 0x7000, 0x7000, 0x7800, 0x800000000000),
                        user ? U_CS64 : DRAW(&p, K_CS64, U_CS64, U_CS64, U_CS, K_CS),
                        FL_R1 | DRAW(&p, 0, FL_IF, FL_RF, FL_TF, FL_AC, FL_IOPL, FL_CF | FL_DF), sp, 0};
        image[4] = image[1] == K_CS64 ? DRAW(&p, 0, K_DS, K_DS, K_DS | 1, U_DS)
                                      : DRAW(&p, U_DS, U_DS, U_DS, U_DS & ~3, K_DS, 0);
        volatile int exc[2];
        for (volatile int k = 0; k < 2; k++) {
            struct cpu *c = p.m[k]->c;
            c->seg[S_CS] = cs_of[user], c->seg[S_SS] = ss_of[user];
            c->cpl = user ? 3 : 0;
            c->mode |= MODE_64;
            c->gpr[R_RIP] = 0x7000 + step % 64;
            c->gpr[R_RSP] = sp;
            c->eflags = fl;
            c->cc_op = CC_EFLAGS;
            c->attn = 0;
            cpu_update_mode(c);
            if (k) memset(c->int_memo, 0, sizeof c->int_memo), memset(c->ret_memo, 0, sizeof c->ret_memo);
            if (!k && op) hits += c->int_memo[(v * 2 + user) % ARRAY_LEN(c->int_memo)].kind;
            if (op == 0 && sp < 0x10000) memcpy(p.m[k]->ram->host + sp, image, sizeof image);
            exc[k] = op == 0   ? TRY(c, far_iret(c, 8))
                     : op == 1 ? TRY(c, int_soft(c, (int)v, INT_SOFT))
                               : TRY(c, int_deliver(c, (int)v, op == 2 ? INT_HW : INT_FAULT, at == 0, err));
            c->exc = -1, c->exc_ext = false;
        }
        same_state(&p, exc[0], exc[1]);
    }
    CHECK(hits > 1000);
    machine_free(p.m[0]);
    machine_free(p.m[1]);
}

// The same in flat 32-bit code, whose inner stacks have a selector, whose IRETs may keep the stack, and where what is
// left of the data segments decides about MODE_FLAT.
static void disturb32(struct pair *p)
{
    u32 v = 0x80 + draw(p, 4), sel = (u32)DRAW(p, K_CS, U_CS, U_DS, K_DS), n;
    u64 d = descriptor(0, 0xfffff, sel == K_CS ? A_CODE0 : sel == U_CS ? A_CODE3 : sel == U_DS ? A_DATA3 : A_DATA0);
    switch (draw(p, 24)) {
    case 0:
        poke_both(p, IDT + 8 * v,
                  gate((u16)DRAW(p, K_CS, K_CS, K_CS, U_CS, 0), (u32)DRAW(p, 0x7100, 0x7200, 0x20007100),
                       (u32)DRAW(p, 0xee, 0xee, 0xef, 0x8e, 0x6e, 0xe6, 0xe7, 0xe5), 0));
        break;
    case 1:
        poke_both(p, GDT + (sel & 0xf8),
                  d ^ DRAW(p, 0, 0, 0, 0, 1 << 16, 1ull << 40, 1ull << 41, 1ull << 42, 1ull << 45, 1ull << 47,
                           1ull << 48, 1ull << 54, 1ull << 55));
        break;
    case 2: poke_both(p, GDT + (sel & 0xf8), d); break;
    case 3:
        poke_both(p, TSS + 4,
                  DRAW(p, STACK0, STACK0, STACK0 + 5, 0xc010, 0x10, 0x500000) |
                      DRAW(p, K_DS, K_DS, K_DS, K_DS, U_DS, 0, SPARE) << 32);
        break;
    case 4:
        n = draw(p, 3);
        poke_both(p, GDT + SPARE, n ? descriptor(0, 0xfffff, n == 1 ? A_DATA0 : A_DATA0 & ~1) : 0);
        break;
    case 5:
        n = (u32)DRAW(p, 0x7ff, 0x7ff, 0x40e, 0x417);
        for (int k = 0; k < 2; k++) p->m[k]->c->idt_limit = (u16)n;
        break;
    case 6:
        n = (u32)DRAW(p, 0xff, 0xff, 0x1f, 0x26);
        for (int k = 0; k < 2; k++) p->m[k]->c->gdt_limit = (u16)n;
        break;
    case 7:
        n = (u32)DRAW(p, 0x87, 0x87, 8, 6);
        for (int k = 0; k < 2; k++) p->m[k]->c->seg[S_TR].limit = n;
        break;
    case 8:
        n = (u32)DRAW(p, 0x8b, 0x8b, 0x8b, 0x83);
        for (int k = 0; k < 2; k++) p->m[k]->c->seg[S_TR].attr = (u16)n;
        break;
    case 9:
        n = draw(p, 8) ? 0 : CR4_SMAP;
        for (int k = 0; k < 2; k++) {
            p->m[k]->c->cpl = 0;
            RUNS(p->m[k]->c, sys_write_cr(p->m[k]->c, 4, n));
        }
        break;
    default: break;
    }
}
static void flat_segment(struct seg *s, struct cpu *c, unsigned seg, u16 sel, u32 attr)
{
    struct desc d;
    u64 raw = descriptor(0, 0xfffff, attr);
    seg_decode(&d, (u32)raw, raw >> 32);
    seg_install(c, seg, sel, &d);
    *s = c->seg[seg];
}
static void repeated32(void)
{
    struct pair p = {.seed = 815};
    struct seg ds[2];
    u32 hits = 0, back = 0;
    for (int k = 0; k < 2; k++) {
        p.m[k] = machine_protected("max");
        for (unsigned v = 0x80; v < 0x84; v++) set_gate(p.m[k], v, gate(K_CS, 0x7100, 0xee, 0));
    }
    flat_segment(&cs_of[1], p.m[0]->c, S_CS, U_CS, A_CODE3);
    flat_segment(&ss_of[1], p.m[0]->c, S_SS, U_DS, A_DATA3);
    flat_segment(&ds[1], p.m[0]->c, S_DS, U_DS, A_DATA3);
    flat_segment(&cs_of[0], p.m[0]->c, S_CS, K_CS, A_CODE0);
    flat_segment(&ss_of[0], p.m[0]->c, S_SS, K_DS, A_DATA0);
    flat_segment(&ds[0], p.m[0]->c, S_DS, K_DS, A_DATA0);
    for (u32 step = 0; step < 30000; step++) {
        disturb32(&p);
        u32 user = draw(&p, 2), op = draw(&p, 4), v = 0x80 + draw(&p, 4), err = draw(&p, 99), at = draw(&p, 3);
        u32 fl = FL_R1 | (u32)DRAW(&p, 0, 0, FL_IF, FL_RF, FL_TF, FL_AC, FL_NT, FL_IF | FL_ZF), data = draw(&p, 5);
        u64 sp = DRAW(&p, 0x9000, 0x9000, 0x9007, 0x9ff0, 0x9ff4, 0x600000, 0xfffffff8, 8, 0x900009000);
        u32 image[5] = {(u32)DRAW(&p, 0x7000, 0x7000, 0x7800, 0x80000000),
                        (u32)(user ? U_CS : DRAW(&p, K_CS, K_CS, U_CS, U_CS, U_CS64)),
                        (u32)(FL_R1 | DRAW(&p, 0, 0, FL_IF, FL_RF, FL_TF, FL_AC, FL_VM, FL_IOPL, FL_CF | FL_DF)),
                        (u32)sp, (u32)DRAW(&p, U_DS, U_DS, U_DS, K_DS, 0)};
        volatile int exc[2];
        for (volatile int k = 0; k < 2; k++) {
            struct cpu *c = p.m[k]->c;
            c->cpl = user ? 3 : 0;
            c->eflags = fl;
            c->cc_op = CC_EFLAGS;
            c->seg[S_CS] = cs_of[user], c->seg[S_SS] = ss_of[user];
            for (unsigned s = S_ES; s <= S_GS; s++)
                if (s != S_CS && s != S_SS) c->seg[s] = ds[user || s == data];
            if (data == 4) c->seg[S_ES].base = 0x10; // not flat
            c->gpr[R_RIP] = 0x7000 + step % 64;
            c->gpr[R_RSP] = sp;
            c->attn = 0;
            cpu_update_mode(c);
            if (k) memset(c->int_memo, 0, sizeof c->int_memo), memset(c->ret_memo, 0, sizeof c->ret_memo);
            if (!k && op) hits += c->int_memo[(v * 2 + user) % ARRAY_LEN(c->int_memo)].kind;
            if (!k && !op) back += c->ret_memo[((image[1] >> 3) + (user ? 0 : image[4] >> 3)) % 8].kind;
            if (op == 0 && (u32)sp >= 0x9000 && (u32)sp < 0x10000)
                memcpy(p.m[k]->ram->host + (u32)sp, image, sizeof image);
            exc[k] = op == 0   ? TRY(c, far_iret(c, 4))
                     : op == 1 ? TRY(c, int_soft(c, (int)v, INT_SOFT))
                               : TRY(c, int_deliver(c, (int)v, op == 2 ? INT_HW : INT_FAULT, at == 0, err));
            c->exc = -1, c->exc_ext = false;
        }
        same_state(&p, exc[0], exc[1]);
    }
    CHECK(hits > 1000);
    CHECK(back > 300);
    machine_free(p.m[0]);
    machine_free(p.m[1]);
}

// vol. 3 6.15 (#DF), table 6-5.
static void double_fault(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_gate(m, EXC_DF, gate(K_CS, 0x5550, 0x8e, 0));
    c->exc = EXC_GP, c->exc_has_err = true, c->exc_err = 0x10, c->exc_first = -1;
    jmp_buf jb;
    c->fault = &jb;
    volatile int rounds = 0;
    if (setjmp(jb)) rounds++;
    if (c->exc >= 0) int_exception(c);
    CHECK_EQ(rounds, 1); // #GP has no gate: #GP again, which makes #DF
    CHECK_EQ(c->gpr[R_RIP], 0x5550);
    CHECK_EQ(peek(m, c->gpr[R_RSP], 4), 0);
    CHECK_EQ(peek(m, c->gpr[R_RSP] + 4, 4), 0x7000);
    CHECK_EQ(c->exc_first, -1);
    // #DB, then #GP: served one after the other
    set_gate(m, EXC_GP, gate(K_CS, 0x6660, 0x8e, 0));
    c->exc = EXC_DB, c->exc_has_err = false;
    rounds = 0;
    if (setjmp(jb)) rounds++;
    if (c->exc >= 0) int_exception(c);
    CHECK_EQ(c->gpr[R_RIP], 0x6660);
    CHECK_EQ(peek(m, c->gpr[R_RSP], 4), 1 * 8 + 3);
    // no gate for #GP nor #DF: shutdown
    poke(m, IDT + 8 * EXC_DF, 0, 8);
    poke(m, IDT + 8 * EXC_GP, 0, 8);
    c->exc = EXC_GP, c->exc_has_err = true;
    rounds = 0;
    if (setjmp(jb)) rounds++;
    if (c->exc >= 0) int_exception(c);
    CHECK_EQ(rounds, 2);
    CHECK_EQ(m->triple, 1);
    CHECK_EQ(c->halt, CPU_SHUTDOWN);
    c->fault = NULL;
    machine_free(m);
}

// vol. 3 17.2, 17.3: DR6, RF, general detect.
static void debug(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    set_gate(m, EXC_DB, gate(K_CS, 0x5550, 0x8e, 0));
    RUNS(c, sys_write_dr(c, 6, 0));
    CHECK_EQ(c->dr[6], 0xffff0ff0);
    RUNS(c, sys_write_dr(c, 7, 0xffffffff & ~0x2000));
    CHECK_EQ(c->dr[7], 0xffff07ff);
    RUNS(c, sys_write_dr(c, 0, 0x7000));
    RUNS(c, sys_write_dr(c, 7, 0x00d00001 & ~0x00d00000)); // L0, execute
    CHECK(c->attn & ATTN_DEBUG);
    c->eflags |= FL_RF;
    RUNS(c, debug_check_insn(c, 0x7000));
    c->eflags &= ~FL_RF;
    RUNS(c, debug_check_insn(c, 0x7001));
    CHECK_EQ(TRY(c, debug_check_insn(c, 0x7000)), EXC_DB);
    RUNS(c, (c->exc = EXC_DB, c->exc_has_err = false, int_exception(c)));
    CHECK_EQ(c->dr[6], 0xffff0ff1);
    CHECK(!(peek(m, c->gpr[R_RSP] + 8, 4) & FL_RF)); // the handler must set it (17.3.1.1)
    // data breakpoint, 4 bytes, write
    RUNS(c, sys_write_dr(c, 1, 0x3004));
    RUNS(c, sys_write_dr(c, 7, 0xd << 20 | 4));
    CHECK(c->tlb == &c->tlbs[TLBSET_NONE]);
    RUNS(c, mem_store(c, S_DS, 0x3008, 1, 4));
    RUNS(c, mem_load(c, S_DS, 0x3004, 4));
    CHECK_EQ(c->dr6_pending, 0);
    RUNS(c, mem_store(c, S_DS, 0x3007, 1, 1));
    CHECK_EQ(c->dr6_pending, 2);
    CHECK(c->attn & ATTN_TRAP);
    c->dr6_pending = 0;
    // general detect
    RUNS(c, sys_write_dr(c, 7, 0x2000));
    CHECK_EQ(TRY(c, sys_read_dr(c, 0)), EXC_DB);
    RUNS(c, (c->exc = EXC_DB, c->exc_has_err = false, int_exception(c)));
    CHECK_EQ(c->dr[7], 0x400); // GD is cleared
    CHECK_EQ(c->dr[6] & 0x2000, 0x2000);
    CHECK(peek(m, c->gpr[R_RSP] + 8, 4) & FL_RF);
    // CR4.DE
    RUNS(c, sys_read_dr(c, 4));
    RUNS(c, sys_write_cr(c, 4, CR4_DE));
    CHECK_EQ(TRY(c, sys_read_dr(c, 4)), EXC_UD);
    c->cpl = 3;
    RAISES(c, sys_read_dr(c, 0), EXC_GP, 0);
    machine_free(m);
}

// vol. 3 17.3.1.1, 17.3.2: an instruction breakpoint whose handler sets RF and returns lets the instruction run once;
// TF traps after each instruction, not after INT n.
static void stepping(void)
{
    struct machine *m = machine_protected_engine("max", &interp_engine);
    struct cpu *c = m->c;
    set_gate(m, EXC_DB, gate(K_CS, 0x5550, 0x8e, 0));
    set_gate(m, 0x80, gate(K_CS, 0x5560, 0x8e, 0));
    // 5550: or dword [esp+8], 10000h; inc edx; iret   5560: inc ecx; jmp $
    static const u8 handler[] = {0x81, 0x4c, 0x24, 0x08, 0, 0, 1, 0, 0x42, 0xcf}, soft[] = {0x41, 0xeb, 0xfe};
    static const u8 code[] = {0x40, 0x40, 0x40, 0xcd, 0x80}; // inc eax * 3; int 80h
    memcpy(m->ram->host + 0x5550, handler, sizeof handler);
    memcpy(m->ram->host + 0x5560, soft, sizeof soft);
    memcpy(m->ram->host + 0x7000, code, sizeof code);
    c->halt = CPU_RUNNING;
    for (unsigned i = 0; i < 4; i++) c->gpr[i] = 0;
    RUNS(c, sys_write_dr(c, 1, 0x7001));
    RUNS(c, sys_write_dr(c, 7, 1 << 2));
    cpu_run(c, 6); // inc, [#DB] or, inc, iret, inc, inc
    CHECK_EQ(c->gpr[R_RAX], 3);
    CHECK_EQ(c->gpr[R_RDX], 1);
    CHECK_EQ(c->gpr[R_RIP], 0x7003);
    CHECK(!(c->eflags & FL_RF));
    CHECK_EQ(c->dr[6] & 0xf, 2);
    RUNS(c, sys_write_dr(c, 7, 0));
    RUNS(c, sys_write_dr(c, 6, 0));
    c->gpr[R_RIP] = 0x7000;
    c->gpr[R_RAX] = c->gpr[R_RDX] = 0;
    RUNS(c, sys_set_eflags(c, FL_TF, FL_TF));
    cpu_run(c, 3 + 3 * 3 + 1 + 2);
    CHECK_EQ(c->gpr[R_RAX], 3);
    CHECK_EQ(c->gpr[R_RDX], 3); // after each INC
    CHECK_EQ(c->gpr[R_RCX], 1); // none after INT 80h
    CHECK_EQ(c->dr[6] & 0x4000, 0x4000);
    machine_free(m);
}

// SeaBIOS sends INIT and SIPI back to back: a processor that looks later finds both pending.
static void init_sipi(void)
{
    struct machine *m = machine_new_engine("max", &interp_engine);
    struct cpu_pins pins = {.owner = m, .triple_fault = m_triple, .tsc = m_tsc};
    struct cpu *c = cpu_new(&m->bus, 1, m->model, &interp_engine, &pins);
    cpu_reset(c);
    poke(m, 0x9000, 0xf4, 1); // HLT
    CHECK_EQ(cpu_run(c, 100), CPU_STOP_HALT);
    CHECK_EQ(c->halt, CPU_WAIT_SIPI);
    for (unsigned round = 0; round < 2; round++) { // from waiting, then from running
        cpu_init_pin(c);
        cpu_sipi(c, 9);
        CHECK_EQ(cpu_run(c, 100), CPU_STOP_HALT);
        CHECK_EQ(c->halt, CPU_HALTED);
        CHECK_EQ(c->seg[S_CS].sel, 0x900);
        CHECK_EQ(c->seg[S_CS].base, 0x9000);
        CHECK_EQ(c->gpr[R_RIP], 1);
    }
    cpu_sipi(c, 9); // means nothing to a processor that runs, and nothing after the INIT that follows
    cpu_init_pin(c);
    CHECK_EQ(cpu_run(c, 100), CPU_STOP_HALT);
    CHECK_EQ(c->halt, CPU_WAIT_SIPI);
    machine_free(m);
}

// PAUSE hands the turn to the other processors, if there are any.
static void pause_turn(void)
{
    for (unsigned cores = 1; cores <= 2; cores++) {
        struct machine *m = machine_new_engine("max", &interp_engine);
        m->model->cores = cores;
        struct cpu *c = m->c;
        cpu_reset(c);
        seg_load_real(c, S_CS, 0x900);
        c->gpr[R_RIP] = 0;
        poke(m, 0x9000, 0x4090f3, 3); // PAUSE; INC AX
        poke(m, 0x9003, 0xfbeb, 2);   // JMP to the start
        CHECK_EQ(cpu_run(c, 30), cores == 1 ? CPU_STOP_BUDGET : CPU_STOP_EXIT);
        CHECK_EQ(c->gpr[R_RIP], cores == 1 ? 0 : 2);
        CHECK_EQ(c->icount, cores == 1 ? 30 : 1);
        machine_free(m);
    }
}

// A long REP, though it is one instruction, lets the machine look at its clock now and then; what is due comes between
// repetitions (SDM vol. 1 7.3.9.2).
// Events without an instruction between them: a turn ends all the same.
static int always(void *o, unsigned cpu) { return 0x21; }
static void events_alone(void)
{
    struct machine *m = machine_new_engine("max", &interp_engine);
    struct cpu *c = m->c;
    RUNS(c, seg_load(c, S_SS, 0x9000)); // a stack that wraps
    poke(m, EXC_UD * 4, 0x7000, 4);
    poke(m, 0x7000, 0x0b0f, 2); // UD2 is its own handler
    RUNS(c, far_jmp(c, 0, 0x7000, 2));
    CHECK_EQ(cpu_run(c, 1000), CPU_STOP_BUDGET);
    CHECK_EQ(c->icount, 1000);
    CHECK_EQ(c->gpr[R_RIP], 0x7000);
    CHECK_EQ(peek(m, 0x90000 + (u16)c->gpr[R_RSP], 2), 0x7000);
    machine_free(m);
    // an interrupt that is asked for again at once, through a trap gate, on a 16-bit stack
    m = machine_protected_engine("max", &interp_engine);
    c = m->c;
    set_desc(m, SPARE, descriptor(0x200000, 0xffff, 0x0093));
    RUNS(c, seg_load(c, S_SS, SPARE));
    set_gate(m, 0x21, gate(K_CS, 0x7000, 0x8f, 0));
    c->pins.inta = always;
    c->eflags |= FL_IF;
    cpu_set_intr(c, 1);
    CHECK_EQ(cpu_run(c, 1000), CPU_STOP_BUDGET);
    CHECK_EQ(c->icount, 1000);
    CHECK_EQ(c->gpr[R_RIP], 0x7000);
    machine_free(m);
}

static void rep_turn(void)
{
    struct machine *m = machine_new_engine("max", &interp_engine);
    struct cpu *c = m->c;
    cpu_reset(c);
    seg_load_real(c, S_CS, 0x900);
    c->gpr[R_RIP] = 0;
    c->gpr[R_RCX] = 0xffff;
    c->gpr[R_RSI] = 0;
    poke(m, 0x9000, 0x90acf3, 3); // REP LODSB; NOP
    u32 turns = 0;
    while (c->gpr[R_RIP] == 0 && turns < 1000) {
        enum cpu_stop why = cpu_run(c, 1);
        if (c->gpr[R_RIP]) break;
        turns++;
        CHECK_EQ(why, CPU_STOP_EXIT);
        CHECK_EQ(c->icount, 0);
        CHECK_EQ(c->gpr[R_RSI] + c->gpr[R_RCX], 0xffff);
        CHECK_EQ(c->gpr[R_RCX] > 0, 1);
    }
    CHECK_EQ(turns > 1 && turns < 100, 1);
    CHECK_EQ(c->gpr[R_RIP], 2);
    CHECK_EQ(c->icount, 1);
    CHECK_EQ(c->gpr[R_RCX], 0);
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(real_mode), TEST(same_level), TEST(inner_level),  TEST(iret_checks),  TEST(v86),   TEST(vme),
        TEST(long_mode), TEST(repeated),   TEST(repeated32),   TEST(double_fault), TEST(debug), TEST(stepping),
        TEST(init_sipi), TEST(pause_turn), TEST(events_alone), TEST(rep_turn)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
