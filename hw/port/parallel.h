// SPDX-License-Identifier: MIT
// Standard parallel port (SPP) with a printer that prints to a character device. chr NULL: nothing plugged in.
#pragma once
#include "hw/port/chardev.h"
#include "mem/bus.h"

void parallel_new(struct bus *b, const char *name, u16 base, const struct irq *irq, struct chardev *chr);
