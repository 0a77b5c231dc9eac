// SPDX-License-Identifier: MIT
// Keyboard controller (ports 60h, 64h) with PS/2 keyboard and mouse. *in is filled: where keys and movements go.
// a20: level of the controller's A20 output; the machine combines it with port 92h.
#pragma once
#include "hw/input/input.h"
#include "mem/bus.h"

void i8042_new(struct bus *b, const struct irq *kbd, const struct irq *aux, const struct irq *a20, struct input *in);
