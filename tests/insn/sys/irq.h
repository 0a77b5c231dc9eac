// SPDX-License-Identifier: MIT
// Interrupt handlers that log and return, and the local APIC's registers, for 64-bit system tests that live with
// interrupts (those of sys.h end at the first).
#pragma once
#include "tests/insn/sys/sys.h"

enum { // offsets of registers
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0
};
enum { PIC_BASE = 0x80 };
static inline u32 apic(u32 reg) { return W32(0xfee00000ul + reg); }
static inline void apic_write(u32 reg, u32 v) { W32(0xfee00000ul + reg) = v; }
static inline u32 apic_bit(u32 reg, unsigned vec) { return apic(reg + 16 * (vec / 32)) >> vec % 32 & 1; }
static inline void self_ipi(u32 vec)
{
    apic_write(ICR, 0x40000 | vec);
    for (u32 i = 0; i < 100000 && apic(ICR) & 0x1000; i++) asm_("pause");
}
static inline u64 rdtsc(void)
{
    u32 a, d;
    asm_("rdtsc" : "=a"(a), "=d"(d));
    return a | (u64)d << 32;
}

// What came, in order; hook runs in the handler, before EOI. Of the processor that irq_setup() ran on.
static volatile struct {
    u32 n;
    u8 log[64];
    void (*hook)(unsigned vec);
    bool x2;       // EOI by MSR
    u32 others[4]; // interrupts of other processors: count, last vector
} irqs;
static u32 irq_cpu(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    return r[1] >> 24;
}
static u32 irq_first_cpu;
static __attribute__((used)) void irq(unsigned vec)
{
    if (irq_cpu() != irq_first_cpu) {
        irqs.others[1] = vec;
        if (vec >= 32) apic_write(EOI, 0);
        asm_("lock incl %0" : "+m"(irqs.others[0]));
        return;
    }
    if (irqs.n < sizeof irqs.log) irqs.log[irqs.n] = vec;
    irqs.n++;
    if (irqs.hook) irqs.hook(vec);
    if (vec >= PIC_BASE && vec < PIC_BASE + 16) {
        if (vec == PIC_BASE + 13) { // IGNNE#, and the error away
            outb(0xf0, 0);
            asm_("fnclex");
        }
        if (vec >= PIC_BASE + 8) outb(0xa0, 0x20);
        outb(0x20, 0x20);
    } else if (vec >= 32 && irqs.x2) {
        wrmsr(0x80b, 0);
    } else if (vec >= 32) {
        apic_write(EOI, 0);
    }
}
asm(".pushsection .text\n"
    ".balign 16\n irq_stubs:\n .set i, 0\n .rept 256\n .balign 16\n push $i\n jmp irq_common\n .set i, i + 1\n .endr\n"
    "irq_common: push %rax\n push %rcx\n push %rdx\n push %rsi\n push %rdi\n push %r8\n push %r9\n push %r10\n push "
    "%r11\n"
    " mov 72(%rsp), %edi\n cld\n call irq\n"
    " pop %r11\n pop %r10\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n pop %rax\n"
    " add $8, %rsp\n iretq\n .popsection");
extern u8 irq_stubs[];
static void irq_gate(unsigned vec)
{
    ul at = (ul)irq_stubs + 16 * vec;
    idt[2 * vec] = gate(K_CS, (u32)at, 0x8e, 0);
    idt[2 * vec + 1] = at >> 32;
}
static void irq_reset(void)
{
    irqs.n = 0;
    irqs.hook = NULL;
    memset((void *)irqs.log, 0, sizeof irqs.log);
}
static void irq_setup(void)
{
    irq_first_cpu = irq_cpu();
    for (unsigned v = 0x21; v < 256; v++) irq_gate(v);
    irq_gate(NMI);
    irq_gate(BP);
    apic_write(SVR, 0x1ff);
    apic_write(LVT_LINT0, 0x10700);
    apic_write(TPR, 0);
    irq_reset();
}
// Interrupts are let in for a moment.
static inline void window(void) { asm_("sti\n .rept 20\n nop\n .endr\n cli" ::: "memory"); }
static inline void wait_irqs(u32 n)
{
    asm_("sti");
    for (u32 i = 0; i < 2000000 && irqs.n < n; i++) asm_("pause" ::: "memory");
    asm_("cli");
}
static inline void wait_a_while(void)
{
    asm_("sti");
    for (u32 i = 0; i < 50000; i++) asm_("pause" ::: "memory");
    asm_("cli");
}
