// SPDX-License-Identifier: MIT
// Virtual time and what is due: one struct clock a machine. Unit: nanoseconds since the machine was made. Nothing else
// in cpu/, hw/ or interp/ knows a time. Where time comes from is the owner's affair (host clock, or instructions with
// -icount).
#pragma once
#include "mem/base/types.h"

struct clock;
struct state;
// Embedded in the device; armed at most once at a time. Fires once, from clock_run(), never from inside a device call.
struct timer {
    void (*fn)(void *owner);
    void *owner;
    u64 due;  // ns; meaningful while armed
    u64 seq;  // order of arming among equal due times: determinism
    u32 slot; // 1 + place in the heap, 0 = not armed
};
struct clock {
    u64 (*source)(void *owner); // current virtual time in ns; must never go back. NULL: `now` as set by hand (tests)
    void *owner;
    void (*rearmed)(
        void *owner); // optional: the earliest deadline may have moved nearer (the running CPU's slice must shrink)
    u64 now;
    struct timer **heap;
    u32 n, cap;
    u64 seq;
};
u64 clock_now(struct clock *c);
void timer_init(struct timer *t, void (*fn)(void *), void *owner);
void timer_arm(struct clock *c, struct timer *t, u64 due); // due <= now: fires at the next clock_run()
void timer_cancel(struct clock *c, struct timer *t);
INLINE bool timer_armed(const struct timer *t) { return t->slot != 0; }
// Saves or loads whether and when t is due (call it from the device's state function).
void timer_state(struct state *s, const char *name, struct clock *c, struct timer *t);
u64 clock_next(struct clock *c);  // earliest deadline, ~0 if none
void clock_run(struct clock *c);  // fires everything due by clock_now(), in order
void clock_free(struct clock *c); // timers stay with their devices

// a*b/c without overflow in between: for converting ticks of different rates.
INLINE u64 muldiv64(u64 a, u64 b, u64 c) { return (u64)((u128)a * b / c); }
#define NS_PER_SEC 1000000000ull
