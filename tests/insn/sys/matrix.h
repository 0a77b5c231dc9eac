// SPDX-License-Identifier: MIT
// Exceptions during the delivery of exceptions: every event that can come first, at ring 3 and at ring 0, times every
// way in which its delivery can fail. What is expected: SDM vol. 3 6.15 #DF, table 6-5 (classes: benign, contributory,
// page fault) and 6.13 (error codes: EXT is set unless INT n, INT3 or INTO was being delivered). Built for 32-bit code
// by matrix.c and for 64-bit code by matrix64.c. A #DF that cannot be delivered is in reset.c.
#pragma once
#include "tests/insn/sys/sys.h"
#ifndef __x86_64__
#include "tests/insn/sys/pages.h"
#endif

// ---- what comes first

#ifdef __x86_64__
#define ABSENT_PAGE "$0x8000000000"
#define REG         "r"
#else
#define ABSENT_PAGE "$0x600000"
#define REG         "e"
#endif
enum {
    NO_DATA = SPARE + 8,
    NO_CODE = SPARE + 16,
    NO_STACK = SPARE + 24,
    IRQ_BASE = 0x30,
    INT_N = 0x3f,
    ANYWHERE = 1,
    OSXMMEXCPT = 0x400
};
static const u32 unmasked = 0x1f00; // MXCSR: invalid operations are not masked
CODE(m_div, "xor %edx,%edx\n xor %ecx,%ecx\n.globl m_div_at\nm_div_at: div %ecx");
CODE(m_step, "nop\n.globl m_step_at\nm_step_at: nop");
CODE(m_int3, "int3");
CODE(m_intn, "int $0x3f");
CODE(m_ud2, "ud2");
CODE(m_fnop, "fnop");
CODE(m_np, "mov $0xa8+3,%eax\n.globl m_np_at\nm_np_at: mov %eax,%es");
CODE(m_ss, "mov $0xa8+3,%eax\n.globl m_ss_at\nm_ss_at: mov %eax,%ss");
CODE(m_hlt, "hlt");
CODE(m_pf, "mov " ABSENT_PAGE ",%" REG "ax\n.globl m_pf_at\nm_pf_at: mov (%" REG "ax),%eax");
CODE(m_mf, "fninit\n push $0x37b\n fldcw (%" REG "sp)\n fld1\n fldz\n fdivrp\n.globl m_mf_at\nm_mf_at: fwait");
CODE(m_ac, "mov 1(%" REG "sp),%eax");
CODE(m_xm, "ldmxcsr (%" REG "bx)\n xorps %xmm0,%xmm0\n.globl m_xm_at\nm_xm_at: divps %xmm0,%xmm0");
CODE(m_spin, "1: jmp 1b");
CODE(m_nmi, "mov $0xfee00300,%edi\n movl $0x400,(%" REG "di)\n 1: jmp 1b");
extern u8 m_div_at[], m_step_at[], m_np_at[], m_ss_at[], m_pf_at[], m_mf_at[], m_xm_at[];
#ifndef __x86_64__
CODE(m_into, "mov $0x7f,%al\n add $1,%al\n.globl m_into_at\nm_into_at: into");
static u32 bounds[2] = {1, 5};
CODE(m_bound, "mov $6,%eax\n.globl m_bound_at\nm_bound_at: bound %eax,(%ecx)");
CODE(m_ts, "pushf\n orl $0x4000,(%esp)\n popf\n.globl m_ts_at\nm_ts_at: iret"); // the link is beyond the GDT
extern u8 m_into_at[], m_bound_at[], m_ts_at[];
#endif

#ifdef __x86_64__
enum { OUTER_CS = U_CS64 };
#else
enum { OUTER_CS = R1_CS };
#endif
enum class { BENIGN, CONTRIBUTORY, PAGE };
static const struct first {
    const char *name;
    unsigned vec;
    const u8 *code, *at; // at: the saved IP
    enum class class;
    bool soft; // no EXT
    bool user; // only from ring 3
    ul flags, cr0, cr4_off;
} firsts[] = {
    {"#DE", DE, m_div, m_div_at, CONTRIBUTORY},
    {"#DB", DB, m_step, m_step_at, BENIGN, .flags = F_TF},
    {"NMI", NMI, m_nmi, (u8 *)ANYWHERE, BENIGN},
    {"INT3", BP, m_int3, m_int3, BENIGN, true},
#ifndef __x86_64__
    {"INTO", OF, m_into, m_into_at, BENIGN, true},
    {"#BR", BR, m_bound, m_bound_at, BENIGN},
    {"#TS", TS, m_ts, m_ts_at, CONTRIBUTORY},
#endif
    {"#UD", UD, m_ud2, m_ud2, BENIGN},
    {"#NM", NM, m_fnop, m_fnop, BENIGN, .cr0 = CR0_TS},
    {"#NP", NP, m_np, m_np_at, CONTRIBUTORY},
    {"#SS", SS, m_ss, m_ss_at, CONTRIBUTORY, .user = true},
    {"#GP", GP, m_hlt, m_hlt, CONTRIBUTORY, .user = true},
    {"#PF", PF, m_pf, m_pf_at, PAGE},
    {"#MF", MF, m_mf, m_mf_at, BENIGN},
    {"#AC", AC, m_ac, m_ac, BENIGN, .user = true, .flags = F_AC, .cr0 = CR0_AM},
    {"#XM", XM, m_xm, m_xm_at, BENIGN},
    {"#XM without OSXMMEXCPT", UD, m_xm, m_xm_at, BENIGN, .cr4_off = OSXMMEXCPT},
    {"INT n", INT_N, m_intn, m_intn, BENIGN, true},
    {"an interrupt", IRQ_BASE, m_spin, m_spin, BENIGN, .flags = F_IF},
};

// ---- how its delivery fails

enum how { GATE_ABSENT, GATE_TYPE, CS_NULL, CS_DATA, CS_ABSENT, CS_OUTER, STACK_PAGE, STACK_BAD, STACK_ABSENT, WAYS };
static const struct second {
    const char *name;
    unsigned vec, err; // err: without EXT; of the first two the gate is named
} seconds[WAYS] = {
    [GATE_ABSENT] = {"then #NP, gate absent", NP, 2},
    [GATE_TYPE] = {"then #GP, no gate", GP, 2},
    [CS_NULL] = {"then #GP, CS null", GP, 0},
    [CS_DATA] = {"then #GP, CS no code", GP, K_DS},
    [CS_ABSENT] = {"then #NP, CS absent", NP, NO_CODE},
    [CS_OUTER] = {"then #GP, CS of an outer ring", GP, OUTER_CS & ~3},
    [STACK_PAGE] = {"then #PF, stack absent", PF, 2},
#ifdef __x86_64__
    [STACK_BAD] = {"then #SS, stack not canonical", SS, 0},
#else
    [STACK_BAD] = {"then #TS, SS null", TS, 0},
    [STACK_ABSENT] = {"then #SS, SS absent", SS, NO_STACK},
#endif
};

// Whether this is a failure, coming from this ring.
static bool applies(enum how how, unsigned cpl)
{
    if (how == CS_OUTER) return !cpl;
    return seconds[how].name && (how < STACK_PAGE || cpl || sizeof(ul) == 8);
}
// The first event's gate; its stack is one of its own (ring 1's, or an IST), so that what comes second finds a good
// one.
static void arrange(unsigned vec, enum how how)
{
    u32 sel = how == CS_NULL     ? 0
              : how == CS_DATA   ? K_DS
              : how == CS_ABSENT ? NO_CODE
              : how == CS_OUTER  ? OUTER_CS
                                 : K_CS;
    u32 access = how == GATE_ABSENT ? 0x6e : how == GATE_TYPE ? 0xe0 : 0xee;
#ifdef __x86_64__
    set_gate(vec, access, sel, how >= STACK_PAGE);
    tss.ist[0] = how == STACK_BAD ? 0x800000000000 : 0x8000002000;
#else
    set_gate(vec, access, how >= STACK_PAGE ? R1_CS : sel, 0);
    tss.esp1 = how == STACK_PAGE ? 0x602000 : TOP(stack1);
    tss.ss1 = how == STACK_BAD ? 0 : how == STACK_ABSENT ? NO_STACK | 1 : R1_DS;
#endif
}

static void timer(void)
{
    static const u8 init[] = {0x11, IRQ_BASE, 4, 1};
    for (unsigned i = 0; i < sizeof init; i++) outb(i ? 0x21 : 0x20, init[i]);
    outb(0x43, 0x30); // mode 0: once
    outb(0x40, 0x40);
    outb(0x40, 0);
    outb(0x21, 0xfe);
}

static void one(const struct first *f, enum how how, unsigned cpl)
{
    const struct second *s = &seconds[how];
    ul cr0 = rcr0();
    static char at_ring0[40];
    const char *name = f->name;
    if (!cpl) {
        char *p = at_ring0;
        for (; *name; name++) *p++ = *name;
        memcpy(p, " at ring 0", 11);
        name = at_ring0;
    }
    test2(name, s->name, "vol. 3 table 6-5, 6.13");
    struct regs r = ring(cpl, f->code);
    r.flags |= f->flags;
    r.cx = r.bx = (ul)&unmasked;
#ifndef __x86_64__
    if (f->vec == BR) r.cx = (ul)bounds;
    tss.link = 0xfff8;
#endif
    arrange(f->vec, how);
    wcr0(cr0 | f->cr0);
    wcr4(rcr4() & ~f->cr4_off);
    if (f->vec == IRQ_BASE) timer();
    run(&r);
    if (f->vec == IRQ_BASE) {
        outb(0x21, 0xff);
        outb(0x20, 0x20);
    }
    wcr0(cr0);
    wcr4(rcr4() | f->cr4_off);
    asm_("fninit");
    if (f->code == m_xm) {
        u32 mxcsr, masked = 0x1f80;
        asm_("stmxcsr %0" : "=m"(mxcsr));
        asm_("ldmxcsr %0" ::"m"(masked));
        EQ("MXCSR, IE set by the exception", mxcsr, unmasked | 1);
    }
    bool twice = f->class == PAGE || (f->class == CONTRIBUTORY && s->vec != PF);
    const u8 *at = twice || f->at == (u8 *)ANYWHERE ? NULL : f->at;
    u32 err = s->err | (how <= GATE_TYPE ? f->vec * 8 : 0) | (s->vec != PF && !f->soft);
    event_is(twice ? DF : s->vec, twice ? 0 : err, at);
    BITS("CPL", ev.r.cs, cpl, 3);
    if (!twice && s->vec == PF) EQ("page of CR2", ev.cr2 & ~0xffful, sizeof(ul) == 8 ? 0x8000001000ull : 0x601000);
#ifdef __x86_64__
    if (f->vec == NMI)
        asm_("mov %%rsp,%%rax\n push %0\n push %%rax\n pushf\n push %1\n push $1f\n iretq\n1:" ::"i"(K_DS), "i"(K_CS64)
             : "rax", "memory");
#else
    if (f->vec == NMI) asm_("pushf\n push %%cs\n push $1f\n iret\n1:" ::: "memory"); // NMIs are let in again
#endif
    set_gate(f->vec, f->soft ? 0xee : 0x8e, K_CS, 0);
}

void test_main(void)
{
    set_desc(NO_CODE, descriptor(0, 0xfffff, sizeof(ul) == 8 ? 0xa01b : 0xc01b));
    set_desc(NO_DATA, descriptor(0, 0xfffff, 0xc073));
#ifndef __x86_64__
    set_desc(NO_STACK, descriptor(0, 0xfffff, 0xc033));
    wcr4(rcr4() | CR4_OSFXSR | OSXMMEXCPT | CR4_PSE);
    pages_on();
    page_dir[0xfee00000 >> 22] = 0xfec00000 | P | PW | PU | PS;
    page_set((void *)0x600000, 0);
    page_set((void *)0x601000, 0);
#else
    wcr4(rcr4() | 0x600);                                                            // OSFXSR, OSXMMEXCPT
#endif
    for (unsigned i = 0; i < ARRAY_LEN(firsts); i++)
        for (unsigned cpl = 0; cpl <= 3; cpl += 3)
            for (unsigned how = 0; how < WAYS; how++)
                if (applies(how, cpl) && (cpl || !firsts[i].user)) one(&firsts[i], how, cpl);
}
