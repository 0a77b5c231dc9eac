// SPDX-License-Identifier: MIT
// High precision event timer at `base` (FED00000h): three 64-bit timers, 100 MHz.
#pragma once
#include "mem/bus.h"

#define HPET_GSIS 24
struct hpet;
// routes: bit n set: timers may use gsi[n], whose structs are copied. legacy: IRQ0 and IRQ8 as the 8254 and the RTC
// drive them; these two drive hpet_legacy_line(h, 0) and (h, 1) instead, which the legacy replacement mode cuts off.
struct hpet *hpet_new(struct bus *b, u64 base, u32 routes, const struct irq gsi[HPET_GSIS], const struct irq legacy[2]);
struct irq hpet_legacy_line(struct hpet *h, unsigned n);
