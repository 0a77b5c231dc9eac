// SPDX-License-Identifier: MIT
// 82441FX host bridge at 00:00.0. It owns C0000h–FFFFFh (and A0000h–BFFFFh for SMRAM) of the system RAM: the machine
// maps RAM below 0A0000h and from 100000h on, and, with priority 0, the ROM that is seen where a segment does not read
// RAM.
#pragma once
#include "hw/pci/pci.h"

// ram: block whose offset 0 is physical address 0; segments beyond its end are not mapped. total: all RAM, for the row
// registers.
void i440fx_new(struct pci_bus *p, struct ram *ram, u64 total);
