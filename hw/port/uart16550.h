// SPDX-License-Identifier: MIT
// 16550A serial port. name: "serial0"; chr: its other end, NULL = nothing plugged in (what is sent vanishes).
#pragma once
#include "hw/port/chardev.h"
#include "mem/bus.h"

void uart16550_new(struct bus *b, const char *name, u16 base, const struct irq *irq, struct chardev *chr);
