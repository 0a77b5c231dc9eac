// SPDX-License-Identifier: MIT
// 8254 programmable interval timer at `base` (40h): three counters at 1.193182 MHz.
#pragma once
#include "mem/bus.h"

#define I8254_HZ_NUM 3579545ull // the rate is a third of the colour burst: 1193181.67 Hz
#define I8254_HZ_DEN 3ull
struct i8254;
struct i8254 *i8254_new(struct bus *b, u16 base, struct irq out0);
void i8254_gate(struct i8254 *t, unsigned counter, int level); // GATE pins; 0 and 1 are tied high on a PC
bool i8254_out(struct i8254 *t, unsigned counter);             // OUT pins, now
