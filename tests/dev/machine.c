// SPDX-License-Identifier: MIT
// The machine's time on a host that is too slow for its events, without a processor: hw/machine.c.
#include "hw/machine.h"
#include "tests/check.h"

struct host {
    u64 ns, cost; // its clock; what an event takes
    struct machine m;
    struct timer t;
    u64 period, due, fired, in_event;
};
static u64 host_ns(void *owner) { return ((struct host *)owner)->ns += 100; }
static void fire(void *owner)
{
    struct host *h = owner;
    h->fired++;
    h->ns += h->cost;
    h->in_event = clock_now(&h->m.bus.clock);
    h->due += h->period;
    timer_arm(&h->m.bus.clock, &h->t, h->due);
}
static void open_machine(struct host *h, u64 period, u64 cost)
{
    *h = (struct host){.ns = 5 * NS_PER_SEC, .cost = cost, .period = period, .due = period};
    machine_init(&h->m, &(struct machine_time){.icount_shift = -1, .host_ns = host_ns, .owner = h});
    timer_init(&h->t, fire, h);
    timer_arm(&h->m.bus.clock, &h->t, h->due);
    machine_start(&h->m);
}
static void close_machine(struct host *h)
{
    timer_cancel(&h->m.bus.clock, &h->t);
    machine_free(&h->m);
}

// Each event takes twice its period: what is due after a round is what that round's own time brought, not twice as
// much.
static void events_too_slow(void)
{
    struct host h;
    open_machine(&h, 1000, 2000);
    h.ns += 50000000;
    u64 most = 0;
    for (int i = 0; i < 40; i++) {
        u64 before = h.fired;
        machine_run(&h.m, 4000000);
        if (i) most = h.fired - before > most ? h.fired - before : most;
        h.ns += 1000000;
    }
    CHECK(h.fired > 50000); // none is dropped
    CHECK(most < 20000);
    close_machine(&h);
}
// A host that is fast enough is followed to the nanosecond, whatever its events take.
static void events_in_time(void)
{
    struct host h;
    open_machine(&h, 1000000, 500000);
    u64 t = clock_now(&h.m.bus.clock), from = h.ns;
    for (int i = 0; i < 40; i++) {
        machine_run(&h.m, 4000000);
        h.ns += 2000000;
    }
    u64 here = clock_now(&h.m.bus.clock);
    CHECK_EQ(here - t, h.ns - from);
    CHECK(h.fired + 3 > (here - t) / 1000000 && h.fired <= (here - t) / 1000000);
    close_machine(&h);
}
// Time does not go back, and stands while events happen.
static void time_stands(void)
{
    struct host h;
    open_machine(&h, 1000, 20000000);
    u64 last = 0;
    for (int i = 0; i < 3; i++) {
        h.ns += 10000;
        u64 t = clock_now(&h.m.bus.clock), fired = h.fired;
        CHECK(t >= last);
        machine_run(&h.m, 1000);
        if (h.fired != fired) CHECK(h.in_event < t + 20000000);
        last = h.in_event;
    }
    CHECK(h.fired > 0);
    close_machine(&h);
}
int main(int argc, char **argv)
{
    static const struct check_test t[] = {TEST(events_too_slow), TEST(events_in_time), TEST(time_stands)};
    return check_main(argc, argv, t, ARRAY_LEN(t));
}
