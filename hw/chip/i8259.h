// SPDX-License-Identifier: MIT
// The PC's pair of 8259A interrupt controllers: master at 20h, slave at A0h on IR2, ELCR at 4D0h and 4D1h.
#pragma once
#include "mem/bus.h"

struct i8259;
// intr: the INT output of the master (the CPU's INTR pin or the local APICs' LINT0).
struct i8259 *i8259_new(struct bus *b, struct irq intr);
struct irq i8259_line(struct i8259 *p, unsigned n); // ISA IRQ n, 0..15. 2 is the cascade: nobody drives it
int i8259_ack(struct i8259 *p);                 // both INTA cycles: the vector; a spurious one if no request is left
const u64 *i8259_raised(const struct i8259 *p); // how often each of the 16 lines has risen, for statistics
bool i8259_pending(const struct i8259 *p);      // level of INT
