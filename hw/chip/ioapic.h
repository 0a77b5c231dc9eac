// SPDX-License-Identifier: MIT
// I/O APIC with 24 pins at `base` (FEC00000h). A pin's level 1 means asserted, whatever polarity the guest writes.
#pragma once
#include "hw/chip/apic.h"
#include "mem/bus.h"

#define IOAPIC_PINS 24
struct ioapic;
struct ioapic *ioapic_new(struct bus *b, u64 base, u8 id, struct apic_bus to);
struct irq ioapic_line(struct ioapic *p, unsigned pin);
const u64 *ioapic_raised(const struct ioapic *p); // how often each pin has risen, for statistics
void ioapic_eoi(struct ioapic *p, u8 vector);     // EOI broadcast by a local APIC
