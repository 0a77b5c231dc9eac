// SPDX-License-Identifier: MIT
// Devices for test kernels: QEMU's isa-debug-exit and pc-testdev (kvm-unit-tests).
#pragma once
#include "mem/bus.h"

// Writing v ends the program with status (v << 1) | 1. QEMU's defaults: base 501h, size 2.
void debug_exit_new(struct bus *b, u16 base, u32 size);
// Ports E0h (4 bytes of storage, any width), E4h (flush), E8h (storage, byte by byte), 2000h–2017h (level of a GSI),
// FF000000h (64 KB of memory behind MMIO). gsi: structs are copied.
#define TESTDEV_GSIS 24
void testdev_new(struct bus *b, const struct irq gsi[TESTDEV_GSIS]);
