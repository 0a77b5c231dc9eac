// SPDX-License-Identifier: MIT
// Two machines that must stay equal while the same things happen to both, and the generator that draws what.
#pragma once
#include "tests/insn/machine.h"

struct pair {
    struct machine *m[2];
    u32 seed;
};
static UNUSED u32 draw(struct pair *p, u32 n) { return ((p->seed = p->seed * 1664525 + 1013904223) >> 8) % n; }
// One of several values; one that is named twice comes twice as often.
#define DRAW(p, ...)                                                                                                   \
    ({                                                                                                                 \
        static const u64 v_[] = {__VA_ARGS__};                                                                         \
        v_[draw(p, ARRAY_LEN(v_))];                                                                                    \
    })
static UNUSED void poke_both(struct pair *p, u32 at, u64 v)
{
    for (int k = 0; k < 2; k++) poke(p->m[k], at, v, 8);
}
