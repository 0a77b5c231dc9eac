// SPDX-License-Identifier: MIT
// System control port A at 92h: fast A20 and fast reset.
#pragma once
#include "mem/bus.h"

struct port92;
// a20: level of bit 1, to be ORed with the keyboard controller's. init: pulses high, low when bit 0 goes from 0 to 1.
struct port92 *port92_new(struct bus *b, struct irq a20, struct irq init);
