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
// Edge for edge-triggered inputs: low, high, low.
INLINE void irq_pulse(const struct irq *l) { irq_set(l, 1), irq_set(l, 0); }
