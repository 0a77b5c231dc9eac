// SPDX-License-Identifier: MIT
// The local APICs of all CPUs: xAPIC at FEE00000h (the bus' cur_cpu chooses which) and x2APIC by MSR. One struct a
// machine.
#pragma once
#include "hw/chip/apic.h"
#include "mem/bus.h"

#define LAPIC_HZ 1000000000ull // the timer's clock before its divider
struct lapics;
// What the local APICs do to their CPUs and ask of the machine. All but `owner` must be there.
struct lapic_pins {
    void *owner;
    void (*intr)(void *owner, unsigned cpu, int level);
    void (*nmi)(void *owner, unsigned cpu);
    void (*smi)(void *owner, unsigned cpu);
    void (*init)(void *owner, unsigned cpu);
    void (*sipi)(void *owner, unsigned cpu, u8 vector);
    u64 (*tsc)(void *owner, unsigned cpu);               // what RDTSC gives
    u64 (*tsc_when)(void *owner, unsigned cpu, u64 tsc); // virtual time (ns) at which it reaches that value; ~0: never
    int (*pic_ack)(void *owner);                         // INTA to the 8259s: a vector
    void (*eoi)(void *owner, u8 vector);                 // to every I/O APIC
};
// CPU n has APIC ID n; CPU 0 is the bootstrap processor. x2apic: the CPU model has it.
struct lapics *lapics_new(struct bus *b, unsigned ncpus, bool x2apic, struct lapic_pins pins);
struct irq lapics_pic_line(struct lapics *p);                       // the 8259s' INTR, on LINT0 of every CPU
struct irq lapics_nmi_line(struct lapics *p);                       // the board's NMI, on LINT1 of every CPU
bool lapics_send(void *lapics, const struct apic_msg *m);           // struct apic_bus
void lapics_msi(struct lapics *p, u64 addr, u32 data);              // a device wrote a message to FEExxxxxh
int lapics_inta(struct lapics *p, unsigned cpu);                    // interrupt acknowledge: vector; -1 none
bool lapics_rdmsr(struct lapics *p, unsigned cpu, u32 msr, u64 *v); // 1Bh, 6E0h, 800h–8FFh. false: #GP
bool lapics_wrmsr(struct lapics *p, unsigned cpu, u32 msr, u64 v);
u8 lapics_get_cr8(struct lapics *p, unsigned cpu);
void lapics_set_cr8(struct lapics *p, unsigned cpu, u8 cr8);
bool lapics_enabled(const struct lapics *p, unsigned cpu); // IA32_APIC_BASE.EN: what CPUID.1:EDX.APIC shows
void lapics_tsc_moved(struct lapics *p, unsigned cpu);     // the TSC was written: deadlines move
