// SPDX-License-Identifier: MIT
// MC146818 real-time clock with 128 bytes of CMOS RAM, index port `base` (70h), data port base + 1.
#pragma once
#include "mem/bus.h"

struct mc146818;
// start: date at this moment, seconds since 1970-01-01 in the zone that the guest expects. irq: IRQ8. nmi_off: bit 7 of
// port 70h.
struct mc146818 *mc146818_new(struct bus *b, u16 base, i64 start, struct irq irq, struct irq nmi_off);
void mc146818_set_time(struct mc146818 *r, i64 seconds);
// CMOS RAM for who sets up the machine; the indices 0..Dh are the clock's and are left alone.
void mc146818_set(struct mc146818 *r, u8 index, u8 val);
u8 mc146818_get(const struct mc146818 *r, u8 index);
