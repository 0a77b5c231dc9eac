// SPDX-License-Identifier: MIT
// The machine's time in host mode, hw/machine.c: a host that is too slow for its events (without a processor), and how
// late events are in a turn of a processor; the TSC, which follows the host's.
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

// ---- the TSC
// A guest of real mode that reads it again and again, on a host whose two clocks are these: 2.6 ticks a ns, or not
// quite.
struct two {
    struct machine m;
    u64 ns, ticks, ns_reads, reads, last, back, same, early, ahead, most_ahead;
    u64 per_ns, part; // ticks a ns, in 1/1024; what is left of them
    u32 seed;
    bool slow; // some readings of the clock take long
};
static void pass(struct two *p, u64 ns)
{
    p->ns += ns;
    p->part += ns * p->per_ns;
    p->ticks += p->part / 1024;
    p->part %= 1024;
}
static u64 two_ns(void *owner)
{
    struct two *p = owner;
    p->ns_reads++;
    pass(p, p->slow && p->ns_reads % 7 == 0 ? 40000 : 20);
    return p->ns;
}
static u64 two_ticks(void *owner) { return ((struct two *)owner)->ticks; }
static u64 two_tsc(void *owner, unsigned cpu)
{
    struct two *p = owner;
    p->seed = p->seed * 1664525 + 1013904223;
    pass(p, p->seed >> 16 ? p->seed >> 23 : 3000000 /* another process had its turn */);
    u64 v = machine_tsc(&p->m), time = p->ns - p->m.host_base; // at 1 GHz
    p->reads++;
    p->back += v < p->last;
    p->same += v == p->last;
    p->early += v + 1000 < time;
    if (v > time && v - time > p->most_ahead) p->most_ahead = v - time;
    p->last = v;
    return v;
}
static void two_open(struct two *p, struct cpu_model **model)
{
    static const u8 code[] = {0x0f, 0x31, 0xeb, 0xfc}; // rdtsc; jmp to it
    struct err e = {0};
    *p = (struct two){.ns = 77, .ticks = 1ull << 40, .per_ns = 2662, .seed = 1};
    machine_init(&p->m,
                 &(struct machine_time){.icount_shift = -1, .host_ns = two_ns, .host_ticks = two_ticks, .owner = p});
    p->m.tsc_hz = NS_PER_SEC;
    struct ram *ram = ram_new(&p->m.bus, "ram", 1 << 20, &e);
    bus_map_ram(&p->m.bus, 0, 1 << 20, ram, 0, REGION_RW, 0, "ram");
    bus_map_ram(&p->m.bus, 0xfff00000, 1 << 20, ram, 0, REGION_RW, 0, "rom");
    memcpy(ram->host + 0xffff0, code, sizeof code);
    *model = cpuid_model_parse("max", &e);
    struct cpu_pins pins = {.owner = p, .tsc = two_tsc};
    machine_add_cpu(&p->m, cpu_new(&p->m.bus, 0, *model, &interp_engine, &pins));
    machine_reset(&p->m);
    machine_start(&p->m);
}
static void two_run(struct two *p, u64 ms)
{
    p->early = p->most_ahead = p->ns_reads = p->reads = 0;
    for (u64 end = p->ns + ms * 1000000; p->ns < end;) machine_run(&p->m, 1000000);
}
static void tsc_follows_the_host(void)
{
    struct two p;
    struct cpu_model *model;
    two_open(&p, &model);
    two_run(&p, 100);
    two_run(&p, 1000);
    CHECK(p.reads > 100 * p.ns_reads); // seldom by the clock that is not at hand
    CHECK_EQ(p.early, 0);
    CHECK(p.most_ahead < 1000);
    p.per_ns = 2662 + 2; // 750 ppm: ahead of the clock for as long as that is not measured again
    two_run(&p, 1500);
    CHECK(p.most_ahead < 20000);
    two_run(&p, 100);
    CHECK(p.most_ahead < 1000);
    p.per_ns = 2662 - 2;
    two_run(&p, 1500);
    p.slow = true; // both clocks are not always read at one time
    two_run(&p, 100);
    two_run(&p, 1500);
    CHECK(p.most_ahead < 1000);
    p.slow = false;
    p.ticks += 1ull << 45; // the host slept: one clock went on
    two_run(&p, 1500);
    CHECK(p.most_ahead < 110000000); // 2^28 of its ticks
    p.ticks = 5;                     // or began anew
    two_run(&p, 100);
    CHECK_EQ(p.early, 0);
    machine_stop(&p.m); // time stands, and so does the TSC
    u64 v = machine_tsc(&p.m);
    CHECK(v >= p.last && v < p.last + 1000000);
    pass(&p, 5000000);
    CHECK_EQ(machine_tsc(&p.m), v);
    machine_start(&p.m);
    two_run(&p, 100);
    CHECK_EQ(p.early, 0);
    CHECK_EQ(p.back, 0);
    CHECK(p.same < 10); // where there is no function yet
    machine_free(&p.m);
    free(model);
}
int main(int argc, char **argv)
{
    static const struct check_test t[] = {TEST(events_too_slow), TEST(events_in_time), TEST(time_stands),
                                          TEST(event_in_a_turn), TEST(tsc_follows_the_host)};
    return check_main(argc, argv, t, ARRAY_LEN(t));
}
