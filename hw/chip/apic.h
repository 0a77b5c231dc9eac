// SPDX-License-Identifier: MIT
// The interrupt message: what I/O APICs, MSIs and IPIs send to local APICs.
#pragma once
#include "mem/base/types.h"

enum apic_mode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_RESERVED, APIC_NMI, APIC_INIT, APIC_SIPI, APIC_EXTINT };
struct apic_msg {
    u32 dest; // 8 bits, or 32 with x2
    bool x2;  // sent by a local APIC in x2APIC mode
    bool logical, level;
    u8 mode; // enum apic_mode
    u8 vector;
};
// Who takes messages: the set of local APICs. The answer: somebody was addressed and took it.
struct apic_bus {
    bool (*send)(void *owner, const struct apic_msg *m);
    void *owner;
};
