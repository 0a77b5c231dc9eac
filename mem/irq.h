// SPDX-License-Identifier: MIT
// A line that somebody else owns: the driver of the line knows only this, never the chip at its other end.
#pragma once
#include "mem/base/types.h"

struct irq {
    void (*fn)(void *owner, int n, int level); // level 0 or 1; called on each set, also without change
    void *owner;
    int n; // which input of the owner
};
INLINE void irq_set(const struct irq *l, int level)
{
    if (l->fn) l->fn(l->owner, l->n, level);
}
// Edge for edge-triggered inputs: low, then high, and the line stays high, as ISA devices do it: an 8259A forgets a
// request whose line falls before the acknowledge.
INLINE void irq_pulse(const struct irq *l) { irq_set(l, 0), irq_set(l, 1); }
