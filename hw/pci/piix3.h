// SPDX-License-Identifier: MIT
// 82371SB (PIIX3) ISA bridge at 00:01.0: routes PIRQA–D to ISA interrupts, and port CF9h.
#pragma once
#include "hw/pci/pci.h"

// isa: the 16 interrupt requests, each of which the machine wires to the 8259s and to the I/O APIC input of the same
// number. A line is driven only while its level changes, so that an ISA device may share the wire's struct when PCI
// does not use it.
void piix3_new(struct pci_bus *p, const struct irq isa[16]);
