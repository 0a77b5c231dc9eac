// SPDX-License-Identifier: MIT
// What the machine walks: every device and CPU registers itself as a part. Reset and state are required.
#pragma once
#include "mem/base/types.h"

struct state;
struct buf;
struct part_ops {
    void (*reset)(void *self);                  // to the state after power-on or hard reset
    void (*state)(struct state *s, void *self); // state.h; wrapped in state_begin/state_end by the walker
    void (*info)(void *self, struct buf *out);  // optional: what a person wants to see (`info NAME`)
    void (*free)(void *self);                   // optional: give back memory and host resources
};
struct part {
    char name[32]; // "pic0", "ide", "cpu0": unique, what `info` and saved state call it
    const struct part_ops *ops;
    void *self;
};
// The list that a machine owns.
struct parts {
    struct part *v;
    u32 n, cap;
};
// ops must outlive the list. A name that is taken gets a suffix "#1", "#2" …
void part_add(struct parts *p, const char *name, const struct part_ops *ops, void *self);
void parts_reset(struct parts *p);
void parts_state(struct parts *p, struct state *s);
struct part *parts_find(struct parts *p, const char *name);
void parts_free(struct parts *p); // frees in reverse order, then the list
