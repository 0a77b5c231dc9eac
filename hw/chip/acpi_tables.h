// SPDX-License-Identifier: MIT
// The machine's ACPI tables, handed to firmware through fw_cfg ("etc/acpi/tables" with its loader script).
#pragma once
#include "hw/chip/fw_cfg.h"

struct acpi_opts {
    unsigned cpus;
    u64 below_4g; // the PCI window begins behind this RAM
    u16 pm_base;  // PIIX4's registers
    u8 ioapic_id;
    bool hpet, floppy, serial[4], parallel[3];
};
void acpi_tables_add(struct fw_cfg *f, const struct acpi_opts *o);
