// SPDX-License-Identifier: MIT
// The machine's time in host mode, hw/machine.c: a host that is too slow for its events (without a processor), and how
// late events are in a turn of a processor.
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "hw/machine.h"
#include "interp/interp.h"
#include "mem/base/err.h"
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

// ---- with a processor
// A device whose work takes `delay`; its register's bit 0 is "busy". The guest of real mode starts it and polls.
struct poll {
    struct machine m;
    struct timer t;
    u64 delay, armed, reads, most, rounds;
    u64 per_insn; // host ns an instruction
    bool busy;
};
static u64 poll_host(void *owner)
{
    struct poll *p = owner;
    return 1000000 + machine_icount(&p->m) * p->per_insn;
}
static void poll_done(void *owner) { ((struct poll *)owner)->busy = false; }
static u64 poll_read(void *dev, u64 off, unsigned size)
{
    struct poll *p = dev;
    p->reads++;
    return p->busy;
}
static void poll_write(void *dev, u64 off, u64 v, unsigned size)
{
    struct poll *p = dev;
    if (p->rounds++ >= 50 && p->reads > p->most) p->most = p->reads; // the pace has been measured by then
    p->reads = 0;
    p->busy = true;
    timer_arm(&p->m.bus.clock, &p->t, clock_now(&p->m.bus.clock) + p->delay);
}
static const struct io_ops poll_ops = {.read = poll_read, .write = poll_write, .sizes = 1};

// Reads of the register until its work of `delay` is done, at the most in 50 rounds.
static u64 polls(u64 delay, u64 per_insn)
{
    static const u8 code[] = {0xba, 0x00, 0x02, 0xee, 0xec, 0xa8, 0x01, 0x75, 0xfb, 0xeb, 0xf8};
    //                        mov dx, 200h  1: out dx, al  2: in al, dx; test al, 1; jnz 2; jmp 1
    struct poll *p = xalloc(sizeof *p);
    struct err e = {0};
    p->delay = delay;
    p->per_insn = per_insn;
    machine_init(&p->m, &(struct machine_time){.icount_shift = -1, .host_ns = poll_host, .owner = p});
    timer_init(&p->t, poll_done, p);
    struct ram *ram = ram_new(&p->m.bus, "ram", 1 << 20, &e);
    bus_map_ram(&p->m.bus, 0, 1 << 20, ram, 0, REGION_RW, 0, "ram");
    bus_map_ram(&p->m.bus, 0xfff00000, 1 << 20, ram, 0, REGION_RW, 0, "rom");
    bus_map_port(&p->m.bus, 0x200, 1, &poll_ops, p, "poll");
    memcpy(ram->host + 0xffff0 - 0x100, code, sizeof code);
    memcpy(ram->host + 0xffff0, "\xe9\xfd\xfe", 3); // jmp to it
    struct cpu_model *model = cpuid_model_parse("486", &e);
    struct cpu_pins pins = {.owner = p};
    machine_add_cpu(&p->m, cpu_new(&p->m.bus, 0, model, &interp_engine, &pins));
    machine_reset(&p->m);
    machine_start(&p->m);
    while (p->rounds < 100) machine_run(&p->m, 1000000);
    u64 most = p->most;
    timer_cancel(&p->m.bus.clock, &p->t);
    machine_free(&p->m);
    free(model);
    free(p);
    return most;
}
// An event that a guest waits for in a loop comes when it is due, not at the end of its turn, on hosts of any speed.
static void event_in_a_turn(void)
{
    u64 slow = polls(3000, 100), fast = polls(3000, 1), long_one = polls(300000, 100);
    CHECK(slow >= 3000 / 100 / 3 && slow < 200);
    CHECK(fast >= 3000 / 1 / 3 && fast < 3000);
    CHECK(long_one >= 1000 && long_one < 1200);
}
int main(int argc, char **argv)
{
    static const struct check_test t[] = {TEST(events_too_slow), TEST(events_in_time), TEST(time_stands),
                                          TEST(event_in_a_turn)};
    return check_main(argc, argv, t, ARRAY_LEN(t));
}
