// SPDX-License-Identifier: MIT
// The local APIC seen by one processor: priorities, IRR, ISR, EOI, self-IPIs, errors, the timer in its three modes,
// LINT0 and the 8259s, NMI and what blocks it, the x87's IRQ 13, x2APIC, switching off. SDM vol. 3 chapter 10.
#include "tests/insn/sys/sys.h"
#include "tests/insn/sys/irq.h"

CODE(nothing, "nop");
CODE(r_msr, "rdmsr");
CODE(w_msr, "wrmsr");

// ---- priorities

static u32 in_isr, in_irr, in_ppr, in_tpr;
static void look(unsigned vec)
{
    in_isr = apic_bit(ISR, vec);
    in_irr = apic_bit(IRR, vec);
    in_ppr = apic(PPR);
    in_tpr = apic(TPR);
}
static void send_again(unsigned vec)
{
    static bool done;
    if (!done) {
        self_ipi(vec);
        self_ipi(vec);
        done = true;
    }
}
// In the handler of 61h: 62h is of the same class, 71h of a higher one, 51h of a lower one.
static u32 nested[4];
static void nest(unsigned vec)
{
    if (vec != 0x61) return;
    self_ipi(0x62);
    self_ipi(0x51);
    window();
    nested[0] = irqs.n;
    self_ipi(0x71);
    window();
    nested[1] = irqs.n;
    nested[2] = apic_bit(ISR, 0x61);
}

static void priorities(void)
{
    test("an interrupt that waits is in IRR, one in service in ISR", "vol. 3 10.8.4");
    irq_reset();
    self_ipi(0x55);
    EQ("IRR", apic_bit(IRR, 0x55), 1);
    EQ("ISR", apic_bit(ISR, 0x55), 0);
    EQ("none came with IF = 0", irqs.n, 0);
    irqs.hook = look;
    window();
    EQ("came", irqs.n, 1);
    EQ("vector", irqs.log[0], 0x55);
    EQ("ISR in the handler", in_isr, 1);
    EQ("IRR in the handler", in_irr, 0);
    EQ("PPR in the handler", in_ppr, 0x50);
    EQ("ISR after EOI", apic_bit(ISR, 0x55), 0);
    EQ("PPR after EOI", apic(PPR), 0);
    test("the highest vector first", "vol. 3 10.8.3.1");
    irq_reset();
    static const u8 sent[] = {0x51, 0x62, 0x55, 0x61, 0xfe, 0x30}, order[] = {0xfe, 0x62, 0x61, 0x55, 0x51, 0x30};
    for (unsigned i = 0; i < 6; i++) self_ipi(sent[i]);
    window();
    EQ("count", irqs.n, 6);
    for (unsigned i = 0; i < 6; i++) EQ("vector", irqs.log[i], order[i]);
    test("one vector twice is one", "vol. 3 10.8.4");
    irq_reset();
    self_ipi(0x44);
    self_ipi(0x44);
    window();
    EQ("count", irqs.n, 1);
    test("one in service and one that waits", "vol. 3 10.8.4");
    irq_reset();
    irqs.hook = send_again;
    self_ipi(0x44);
    window();
    EQ("count", irqs.n, 2);
    test("nesting", "vol. 3 10.8.3.1");
    irq_reset();
    irqs.hook = nest;
    self_ipi(0x61);
    window();
    EQ("nobody of the class or below it", nested[0], 1);
    EQ("a higher class", nested[1], 2);
    EQ("EOI ended the higher one", nested[2], 1);
    static const u8 then[] = {0x61, 0x71, 0x62, 0x51};
    EQ("count", irqs.n, 4);
    for (unsigned i = 0; i < 4; i++) EQ("vector", irqs.log[i], then[i]);
    test("TPR", "vol. 3 10.8.3.1");
    static const struct {
        u8 tpr, vec, comes;
    } t[] = {{0x50, 0x5f, 0}, {0x50, 0x60, 1}, {0x5f, 0x60, 1}, {0x4f, 0x50, 1}, {0xf0, 0xfe, 0}, {0xe0, 0xf0, 1}};
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        irq_reset();
        apic_write(TPR, t[i].tpr);
        self_ipi(t[i].vec);
        window();
        EQ("comes", irqs.n, t[i].comes);
        EQ("PPR", apic(PPR), t[i].tpr);
        apic_write(TPR, 0);
        window();
        EQ("comes when TPR is lowered", irqs.n, 1);
    }
    test("PPR under TPR and ISR", "vol. 3 10.8.3.1");
    static const struct {
        u8 tpr, vec, ppr;
    } p[] = {{0x12, 0x67, 0x60}, {0x5f, 0x67, 0x60}};
    for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
        irq_reset();
        irqs.hook = look;
        apic_write(TPR, p[i].tpr);
        self_ipi(p[i].vec);
        window();
        EQ("PPR", in_ppr, p[i].ppr);
        EQ("TPR", in_tpr, p[i].tpr);
    }
    apic_write(TPR, 0);
    test("EOI without anything in service", "vol. 3 10.8.5");
    irq_reset();
    apic_write(EOI, 0);
    self_ipi(0x55);
    window();
    EQ("count", irqs.n, 1);
    test("broadcast to all, self too", "vol. 3 10.6.1");
    irq_reset();
    apic_write(ICR, 0x80000 | 0x45);
    window();
    EQ("count", irqs.n, 1);
    test("to oneself by ID", "vol. 3 10.6.2.1");
    irq_reset();
    apic_write(ICR2, apic(ID));
    apic_write(ICR, 0x46);
    window();
    EQ("count", irqs.n, 1);
    test("to oneself by logical ID, flat and cluster", "vol. 3 10.6.2.2");
    irq_reset();
    apic_write(LDR, 0x04000000);
    apic_write(DFR, 0xffffffff);
    apic_write(ICR2, 0x0c000000);
    apic_write(ICR, 0x800 | 0x47);
    window();
    EQ("flat", irqs.n, 1);
    apic_write(ICR2, 0x0b000000);
    apic_write(ICR, 0x800 | 0x47);
    window();
    EQ("flat, others", irqs.n, 1);
    apic_write(DFR, 0x0fffffff);
    apic_write(LDR, 0x32000000);
    apic_write(ICR2, 0x32000000);
    apic_write(ICR, 0x800 | 0x47);
    window();
    EQ("cluster", irqs.n, 2);
    apic_write(ICR2, 0x22000000);
    apic_write(ICR, 0x800 | 0x47);
    window();
    EQ("another cluster", irqs.n, 2);
    apic_write(DFR, 0xffffffff);
    apic_write(LDR, 0);
}

static void illegal(void)
{
    test("sending an illegal vector", "vol. 3 10.5.3");
    irq_reset();
    apic_write(LVT_ERROR, 0x5a);
    apic_write(ESR, 0);
    apic_write(ESR, 0);
    self_ipi(5);
    window();
    apic_write(ESR, 0);
    BITS("ESR", apic(ESR), 0x20, 0x20);
    EQ("the error vector", irqs.log[0], 0x5a);
    EQ("count", irqs.n, 1);
    apic_write(ESR, 0);
    EQ("ESR after the second write", apic(ESR), 0);
    apic_write(LVT_ERROR, 0x10000);
}

static void errors(void)
{
    if (on_qemu())
        skip("sending an illegal vector", "QEMU delivers it");
    else
        illegal();
    test("software disable masks the local vectors", "vol. 3 10.4.7.2");
    apic_write(LVT_TIMER, 0x41);
    apic_write(SVR, 0xff);
    BITS("LVT", apic(LVT_TIMER), 0x10000, 0x10000);
    apic_write(LVT_TIMER, 0x41);
    BITS("LVT, written", apic(LVT_TIMER), 0x10000, 0x10000);
    irq_reset();
    self_ipi(0x66);
    window();
    EQ("no interrupts", irqs.n, 0);
    apic_write(SVR, 0x1ff);
    window();
    EQ("none later", irqs.n, 0);
    BITS("LVT keeps its mask", apic(LVT_TIMER), 0x10000, 0x10000);
    test("versions and fixed bits", "vol. 3 10.4.8, 10.5.1, 10.8.3.1");
    BITS("version", apic(VERSION) & 0xff, 0x10, 0xf0);
    u32 version = apic(VERSION);
    apic_write(VERSION, 0);
    EQ("read-only", apic(VERSION), version);
    apic_write(TPR, 0xffffff00);
    EQ("TPR has 8 bits", apic(TPR), 0);
    apic_write(DFR, 0);
    EQ("DFR has 4 bits", apic(DFR), 0x0fffffff);
    apic_write(DFR, 0xffffffff);
}

// ---- timer

static void timer(void)
{
    enum { ONCE = 0, PERIODIC = 0x20000, DEADLINE = 0x40000, MASKED = 0x10000 };
    test("timer, one-shot", "vol. 3 10.5.4");
    irq_reset();
    apic_write(DIVIDE, 0xb);
    apic_write(LVT_TIMER, ONCE | 0x41);
    apic_write(INITIAL, 0xfffffff0);
    u32 c = apic(CURRENT);
    EQ("counts down", c <= 0xfffffff0 && c > 0, 1);
    EQ("goes on", apic(CURRENT) <= c, 1);
    apic_write(INITIAL, 100000);
    EQ("a write starts it anew", apic(CURRENT) <= 100000, 1);
    wait_irqs(1);
    EQ("vector", irqs.log[0], 0x41);
    EQ("stands at 0", apic(CURRENT), 0);
    EQ("INITIAL stays", apic(INITIAL), 100000);
    irqs.n = 0;
    wait_a_while();
    EQ("once", irqs.n, 0);
    test("timer, masked", "vol. 3 10.5.1");
    irq_reset();
    apic_write(LVT_TIMER, MASKED | 0x41);
    apic_write(INITIAL, 1000);
    for (unsigned i = 0; i < 1000000 && apic(CURRENT); i++) {
    }
    EQ("ran down", apic(CURRENT), 0);
    window();
    EQ("without interrupt", irqs.n, 0);
    apic_write(LVT_TIMER, 0x41);
    window();
    EQ("none when it is unmasked later", irqs.n, 0);
    test("timer, periodic", "vol. 3 10.5.4");
    irq_reset();
    apic_write(LVT_TIMER, PERIODIC | 0x42);
    apic_write(INITIAL, 100000);
    wait_irqs(5);
    EQ("five", irqs.n >= 5, 1);
    EQ("vector", irqs.log[4], 0x42);
    EQ("reloads", apic(CURRENT) <= 100000, 1);
    apic_write(INITIAL, 0);
    window();
    irqs.n = 0;
    wait_a_while();
    EQ("INITIAL = 0 stops it", irqs.n, 0);
    EQ("stands at 0", apic(CURRENT), 0);
    test("timer, divide register", "vol. 3 10.5.4");
    apic_write(LVT_TIMER, MASKED | 0x41);
    static const u8 divide[] = {0xb, 0, 1, 2, 3, 8, 9, 10};
    for (unsigned i = 0; i < 8; i++) {
        apic_write(DIVIDE, divide[i]);
        EQ("keeps its bits", apic(DIVIDE), divide[i]);
    }
    u32 went[2] = {-1u, -1u}; // the least of some: the host may be busy
    for (unsigned i = 0; i < 16; i++) {
        apic_write(DIVIDE, i & 1 ? 10 : 0xb);
        apic_write(INITIAL, 0xffffffff);
        for (unsigned k = 0; k < 500; k++) inb(0x80);
        u32 n = 0xffffffff - apic(CURRENT);
        if (n < went[i & 1]) went[i & 1] = n;
        apic_write(INITIAL, 0);
    }
    EQ("128 is much slower than 1", went[1] < went[0] / 8, 1);
    apic_write(DIVIDE, 0xb);
    u32 id[4];
    cpuid(1, 0, id);
    if (!(id[2] >> 24 & 1)) {
        skip("timer, TSC deadline", "not there");
        return;
    }
    test("timer, TSC deadline", "vol. 3 10.5.4.1");
    irq_reset();
    apic_write(LVT_TIMER, DEADLINE | 0x43);
    asm_("mfence");
    apic_write(INITIAL, 1000);
    window();
    EQ("INITIAL does nothing", irqs.n, 0);
    EQ("CURRENT", apic(CURRENT), 0);
    u64 at = rdtsc() + 200000;
    wrmsr(0x6e0, at);
    wait_irqs(1);
    EQ("not before its time", rdtsc() >= at, 1);
    EQ("vector", irqs.log[0], 0x43);
    EQ("the MSR is 0 again", rdmsr(0x6e0), 0);
    irq_reset();
    wrmsr(0x6e0, 1);
    window();
    wait_irqs(1);
    EQ("the past: at once", irqs.n, 1);
    wrmsr(0x6e0, rdtsc() + (1ull << 40));
    EQ("armed", rdmsr(0x6e0) != 0, 1);
    apic_write(LVT_TIMER, ONCE | 0x43);
    EQ("another mode disarms it", rdmsr(0x6e0), 0);
    apic_write(LVT_TIMER, MASKED);
}

// ---- 8259s, LINT0, IRQ 13

static void pic_init(void)
{
    outb(0x20, 0x11), outb(0xa0, 0x11);
    outb(0x21, PIC_BASE), outb(0xa1, PIC_BASE + 8);
    outb(0x21, 4), outb(0xa1, 2);
    outb(0x21, 1), outb(0xa1, 1);
    outb(0x21, 0xff), outb(0xa1, 0xff);
}
// Counter 0 in mode 0: IRQ 0 rises n clocks later and stays.
static void pit_once(u16 n)
{
    outb(0x43, 0x30);
    outb(0x40, n & 0xff);
    outb(0x40, n >> 8);
}

static void irq13(void)
{
    test("an x87 error is IRQ 13 with CR0.NE = 0", "vol. 1 8.7.2");
    irq_reset();
    outb(0x21, 0xfb), outb(0xa1, 0xdf);
    apic_write(LVT_LINT0, 0x700);
    wcr0(rcr0() & ~(ul)CR0_NE);
    u16 cw = 0x37b; // ZE is not masked
    asm_("fninit\n fldcw %0\n fld1\n fldz\n sti\n fdivrp\n fwait\n nop\n nop\n cli" ::"m"(cw));
    EQ("count", irqs.n, 1);
    EQ("vector", irqs.log[0], PIC_BASE + 13);
    asm_("fnclex\n fninit");
    wcr0(rcr0() | CR0_NE);
    outb(0x21, 0xff), outb(0xa1, 0xff);
    apic_write(LVT_LINT0, 0x10700);
}

static void lint(void)
{
    test("LINT0 as ExtINT: the 8259's vector", "vol. 3 10.5.1");
    pic_init();
    irq_reset();
    apic_write(LVT_LINT0, 0x700);
    pit_once(100);
    outb(0x21, 0xfe);
    wait_irqs(1);
    EQ("vector", irqs.log[0], PIC_BASE);
    EQ("nothing in ISR", apic_bit(ISR, PIC_BASE), 0);
    test("LINT0 masked", "vol. 3 10.5.1");
    outb(0x21, 0xff);
    irq_reset();
    apic_write(LVT_LINT0, 0x10700);
    pit_once(100);
    outb(0x21, 0xfe);
    wait_a_while();
    EQ("count", irqs.n, 0);
    apic_write(LVT_LINT0, 0x700);
    wait_irqs(1);
    EQ("comes when it is unmasked", irqs.n, 1);
    outb(0x21, 0xff);
    test("LINT0 as a fixed vector", "vol. 3 10.5.1");
    irq_reset();
    pit_once(0xffff); // falls
    apic_write(LVT_LINT0, 0x52);
    outb(0x21, 0xfe);
    pit_once(100);
    wait_irqs(1);
    EQ("vector", irqs.log[0], 0x52);
    outb(0x21, 0xff);
    apic_write(LVT_LINT0, 0x10700);
    pic_init();

    if (on_qemu())
        skip("an x87 error is IRQ 13 with CR0.NE = 0", "QEMU dies by an assertion of its own");
    else
        irq13();
    test("HLT waits for the timer", "vol. 2 HLT");
    irq_reset();
    apic_write(LVT_TIMER, 0x41);
    apic_write(INITIAL, 100000);
    asm_("sti\n hlt\n cli" ::: "memory");
    EQ("count", irqs.n, 1);
    apic_write(LVT_TIMER, 0x10000);
}

// ---- NMI

static void nmi_to_self(void)
{
    apic_write(ICR2, apic(ID));
    apic_write(ICR, 0x400);
}
static u32 seen_in_nmi;
static void nmi_sends_two(unsigned vec)
{
    if (vec != NMI || irqs.n > 1) return;
    nmi_to_self();
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    seen_in_nmi = irqs.n;
}
static void nmi_with_iret(unsigned vec)
{
    if (vec != NMI || irqs.n > 1) return;
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    seen_in_nmi = irqs.n;
    asm_("int3"); // its handler ends with IRET
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    seen_in_nmi |= irqs.n << 8;
}
CODE(nmi_iret, "iretq");
CODE(nmi_self, "mov %ecx,(%rbx)\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop");

// A double fault in the middle of code, whose handler sends itself an NMI and goes on behind the instruction.
static u32 doubles, seen_in_double;
static __attribute__((used)) void double_body(void)
{
    doubles++;
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    seen_in_double = irqs.n;
}
asm(".pushsection .text\n"
    "double_entry: push %rax\n push %rcx\n push %rdx\n push %rsi\n push %rdi\n push %r8\n push %r9\n push %r10\n"
    " push %r11\n cld\n call double_body\n"
    " pop %r11\n pop %r10\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n pop %rax\n"
    " add $8, %rsp\n addq $2, (%rsp)\n iretq\n .popsection");
extern u8 double_entry[];
static u32 behind_double;
static void double_fault(void)
{
    set_gate(GP, 0x0e, K_CS, 0); // not present: #NP, and that behind #GP is #DF
    idt[2 * DF] = gate(K_CS, (u32)(ul)double_entry, 0x8e, 0);
    idt[2 * DF + 1] = 0;
    asm_(".byte 0x8e,0xe0" ::"a"(0xfff8)); // mov %eax,%fs: beyond the GDT
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    behind_double = irqs.n;
    set_gate(GP, 0x8e, K_CS, 0);
    set_gate(DF, 0x8e, K_CS, 0);
}
static void nmi_with_double(unsigned vec)
{
    if (vec == NMI && irqs.n == 1) double_fault();
}

static void nmis(void)
{
    test("NMI with IF = 0", "vol. 3 6.7");
    irq_reset();
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    EQ("count", irqs.n, 1);
    EQ("vector", irqs.log[0], NMI);
    EQ("not in ISR", apic_bit(ISR, 2), 0);
    test("NMI in an NMI handler waits for IRET; one is kept", "vol. 3 6.7.1");
    irq_reset();
    irqs.hook = nmi_sends_two;
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    EQ("in the handler", seen_in_nmi, 1);
    EQ("count", irqs.n, 2);
    test("any IRET opens NMI again", "vol. 3 6.7.1");
    irq_reset();
    irqs.hook = nmi_with_iret;
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    EQ("before INT3", seen_in_nmi & 0xff, 1);
    EQ("behind INT3", seen_in_nmi >> 8, 3); // NMI, #BP, NMI
    EQ("count", irqs.n, 3);
    test("an IRET that faults opens NMI too", "vol. 3 6.7.1");
    irq_reset();
    // From an NMI's handler that run() records: NMI is blocked from here on.
    set_gate(NMI, 0x8e, K_CS, 0);
    struct regs r = ring(0, nmi_self);
    r.bx = 0xfee00300;
    r.cx = 0x400;
    apic_write(ICR2, apic(ID));
    run(&r);
    EQ("vector", ev.vec, NMI);
    irq_gate(NMI);
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    EQ("blocked", irqs.n, 0);
    r = ring(0, nmi_iret);
    r.sp -= 64;
    memset((void *)r.sp, 0, 40); // CS null
    // run() itself gets there by IRET: that opens it
    run(&r);
    event_is(GP, 0, nmi_iret);
    EQ("came", irqs.n, 1);
    test("NMI inside a double fault's handler", "vol. 3 6.7.1, 6.15");
    irq_reset();
    doubles = 0;
    double_fault();
    EQ("double faults", doubles, 1);
    EQ("in the handler", seen_in_double, 1);
    EQ("count", behind_double, 1);
    test("a double fault inside an NMI's handler leaves NMI blocked, its IRET opens it", "vol. 3 6.7.1");
    irq_reset();
    irqs.hook = nmi_with_double;
    doubles = 0;
    nmi_to_self();
    for (unsigned i = 0; i < 20; i++) asm_("nop");
    EQ("double faults", doubles, 1);
    EQ("in the handler", seen_in_double, 1);
    EQ("behind its IRET", behind_double, 2);
    EQ("count", irqs.n, 2);
    test("NMI before an interrupt that waits too", "vol. 3 table 6-2");
    irq_reset();
    self_ipi(0x55);
    nmi_to_self();
    window();
    EQ("first", irqs.log[0], NMI);
    EQ("then", irqs.log[1], 0x55);
}

// ---- x2APIC

static void msr_fails(const char *what, bool write, u32 msr, u64 v)
{
    struct regs r = ring(0, write ? w_msr : r_msr);
    r.cx = msr;
    r.ax = (u32)v;
    r.dx = v >> 32;
    run(&r);
    check_(what, ev.vec, GP, ~0ull);
}
static void hook_x2(unsigned vec) { in_isr = rdmsr(0x812) >> (vec & 31) & 1; }

static void x2apic(void)
{
    u32 id[4];
    cpuid(1, 0, id);
    if (!(id[2] >> 21 & 1)) {
        skip("x2APIC", "not there");
        return;
    }
    u64 base = rdmsr(0x1b);
    u32 version = apic(VERSION), me = apic(ID) >> 24;
    test("x2APIC registers outside x2APIC mode", "vol. 3 10.12.2");
    msr_fails("read", false, 0x802, 0);
    msr_fails("write", true, 0x808, 0);
    test("x2APIC", "vol. 3 10.12.1, 10.12.5");
    apic_write(TPR, 0x30);
    wrmsr(0x1b, base | 0x400);
    EQ("mode", rdmsr(0x1b), base | 0x400);
    EQ("ID", rdmsr(0x802), me);
    EQ("version", rdmsr(0x803), version);
    EQ("LDR", rdmsr(0x80d), (me >> 4) << 16 | 1 << (me & 15));
    EQ("TPR stays", rdmsr(0x808), 0x30);
    wrmsr(0x808, 0);
    irqs.x2 = true;
    irq_reset();
    irqs.hook = hook_x2;
    test("x2APIC, self-IPI", "vol. 3 10.12.11");
    wrmsr(0x83f, 0x4a);
    BITS("IRR", rdmsr(0x822), 1 << 10, 1 << 10);
    window();
    EQ("vector", irqs.log[0], 0x4a);
    EQ("ISR in the handler", in_isr, 1);
    EQ("ISR after EOI", rdmsr(0x812), 0);
    test("x2APIC, ICR of 64 bits", "vol. 3 10.12.9");
    irq_reset();
    wrmsr(0x830, (u64)me << 32 | 0x4b);
    window();
    EQ("by ID", irqs.n, 1);
    wrmsr(0x830, (u64)((me >> 4) << 16 | 1 << (me & 15)) << 32 | 0x84c);
    window();
    EQ("by logical ID", irqs.n, 2);
    EQ("reads back", rdmsr(0x830) >> 32, (me >> 4) << 16 | 1 << (me & 15));
    test("x2APIC, timer", "vol. 3 10.12.1.2");
    irq_reset();
    wrmsr(0x83e, 0xb);
    wrmsr(0x832, 0x41);
    wrmsr(0x838, 100000);
    wait_irqs(1);
    EQ("vector", irqs.log[0], 0x41);
    wrmsr(0x832, 0x10000);
    test("x2APIC, what is refused", "vol. 3 10.12.1.2, 10.12.1.3, 10.12.5.1");
    msr_fails("write to ID", true, 0x802, 0);
    msr_fails("write to the version", true, 0x803, 0);
    msr_fails("write to PPR", true, 0x80a, 0);
    msr_fails("write to LDR", true, 0x80d, 0);
    msr_fails("DFR", false, 0x80e, 0);
    msr_fails("DFR, write", true, 0x80e, 0);
    msr_fails("ICR2", false, 0x831, 0);
    msr_fails("EOI, read", false, 0x80b, 0);
    msr_fails("EOI, not 0", true, 0x80b, 1);
    msr_fails("ESR, not 0", true, 0x828, 1);
    msr_fails("ISR, write", true, 0x810, 0);
    msr_fails("self-IPI, read", false, 0x83f, 0);
    msr_fails("TPR, bit 8", true, 0x808, 0x100);
    msr_fails("TPR, bit 32", true, 0x808, 1ull << 32);
    msr_fails("SVR, bit 31", true, 0x80f, 0x800001ff);
    msr_fails("no register", false, 0x804, 0);
    msr_fails("back to xAPIC at once", true, 0x1b, base);
    irqs.x2 = false;
    if (on_qemu() || on_bochs) {
        skip("x2APIC, off and on again as xAPIC", "QEMU's and Bochs' APICs stay off, as the P6's did");
        return;
    }
    test("x2APIC, off and on again as xAPIC", "vol. 3 10.12.5.1");
    wrmsr(0x1b, base & ~0xc00ull);
    msr_fails("off to x2APIC at once", true, 0x1b, base | 0xc00);
    if (rdmsr(0x1b) & 0x400) wrmsr(0x1b, base & ~0xc00ull);
    wrmsr(0x1b, base);
    EQ("SVR after that", apic(SVR), 0xff);
    apic_write(SVR, 0x1ff);
    irq_reset();
    self_ipi(0x55);
    window();
    EQ("works", irqs.n, 1);
}

static void switch_off(void)
{
    if (on_qemu() || on_bochs) {
        skip("the APIC switched off and on", "QEMU's and Bochs' stay off, as the P6's did");
        return;
    }
    u64 base = rdmsr(0x1b);
    u32 id[4];
    test("the APIC switched off", "vol. 3 10.4.3");
    apic_write(LVT_ERROR, 0x44);
    apic_write(TPR, 0x20);
    self_ipi(0x15);
    wrmsr(0x1b, base & ~0x800ull);
    cpuid(1, 0, id);
    EQ("CPUID says so", id[3] >> 9 & 1, 0);
    test("and on: as after reset", "vol. 3 10.4.7.1");
    wrmsr(0x1b, base);
    cpuid(1, 0, id);
    EQ("CPUID says so", id[3] >> 9 & 1, 1);
    EQ("SVR", apic(SVR), 0xff);
    EQ("TPR", apic(TPR), 0);
    EQ("LVT", apic(LVT_ERROR), 0x10000);
    EQ("LVT", apic(LVT_TIMER), 0x10000);
    EQ("DFR", apic(DFR), 0xffffffff);
    EQ("IRR", apic(IRR), 0);
    EQ("CURRENT", apic(CURRENT), 0);
}

void test_main(void)
{
    irq_setup();
    priorities();
    errors();
    timer();
    lint();
    nmis();
    x2apic();
    switch_off();
}
