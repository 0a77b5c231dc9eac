// SPDX-License-Identifier: MIT
// PIIX4 power management function (8086:7113): ACPI registers, PM timer, SMBus, and the APM ports B2h and B3h.
#pragma once
#include "hw/pci/pci.h"

#define PIIX4_PM_BASE      0x600 // where SeaBIOS puts the registers; the ACPI tables say so
#define PIIX4_ACPI_ENABLE  0xf1  // written to port B2h
#define PIIX4_ACPI_DISABLE 0xf0
struct piix4_pm;
struct piix4_pm *piix4_pm_new(struct pci_bus *p, int devfn, const struct irq *sci);
void piix4_pm_power_button(struct piix4_pm *t); // pressed briefly: the operating system shuts down
