// SPDX-License-Identifier: MIT
// A machine as a thing that runs: CPUs in turn, virtual time, reset and power. What it is built of is pc.c's affair.
#pragma once
#include "mem/bus.h"

#define MACHINE_MAX_CPUS 64
struct cpu;
struct err;
enum machine_stop {
    MACHINE_BUSY,     // the time given is over
    MACHINE_IDLE,     // every CPU is halted: nothing happens before machine_deadline() or an event from outside
    MACHINE_POWEROFF, // the guest switched the machine off
    MACHINE_RESET,    // a reset was done (or, with no_reboot, would have been)
    MACHINE_EXIT,     // a debug-exit device asked the program to end: exit_code
    MACHINE_PAUSED    // a debugger's stop (machine_pause)
};
struct machine_time {
    int icount_shift;               // -1: virtual time follows the host's clock; else 1 instruction = 1 << shift ns
    bool icount_sleep;              // an idle guest waits in real time (else time jumps to the next event)
    u64 (*host_ns)(void *owner);    // monotonic; the only host clock there is …
    u64 (*host_ticks)(void *owner); // … but for this one, which the TSC follows: the host's, invariant; NULL: none
    void *owner;
};
struct machine {
    struct bus bus;
    struct cpu *cpu[MACHINE_MAX_CPUS];
    unsigned ncpus, turn;
    struct {           // of a round of turns that a debugger's stop broke off: it goes on as if nothing had been
        unsigned left; // turns, 0 = none broken off
        u64 budget;    // of the turn that was under way
        bool any;      // somebody ran
    } round;
    u64 held; // bit n: CPU n gets no turns, as a debugger lets only others run
    struct machine_time time;
    bool running;             // time flows
    u64 host_base;            // host mode: virtual time = host time - host_base
    u64 stopped_at;           // virtual time while not running
    bool in_events;           // time stands at events_at
    u64 events_at;            // host mode: virtual time when events were last looked for
    u64 pace;                 // … ns that 1024 instructions take, a running mean
    u64 pace_at, pace_icount; // … host time (0: none) and instructions when it was last measured
    u64 warp;                 // icount mode: virtual time that no instruction accounts for
    u64 idle_since;           // host time when it became idle, 0 = not idle
    u64 tsc_hz;               // the guest's TSC: its rate; in host mode:
    struct {
        u64 base, from, scale; // as in struct cpu_tsc, for the turns at hand; scale 0: made for none
        u64 floor;             // it may have been seen to be that
        u64 ns, ticks;         // of the host, at one time
        u64 rate;              // ns a tick of the host, * 2^32; 0: not known yet
    } tsc;
    u32 requests; // bits 1 << BUS_REQ_*
    bool no_reboot, exiting, pause;
    int exit_code;
    u64 resets;
};
void machine_init(struct machine *m, const struct machine_time *t);
void machine_add_cpu(struct machine *m, struct cpu *c);
void machine_free(struct machine *m);
void machine_reset(struct machine *m);
void machine_start(struct machine *m); // time flows from here
void machine_stop(struct machine *m);
// Runs for about `ns` of host time.
enum machine_stop machine_run(struct machine *m, u64 ns);
// Virtual time of the next event, ~0 = none; and how long, in host ns, an idle machine may be left alone.
u64 machine_idle_ns(struct machine *m);
void machine_request(struct machine *m, int what); // BUS_REQ_* from outside (monitor)
void machine_pause(struct machine *m);             // machine_run() returns MACHINE_PAUSED soon
// One instruction of this CPU alone, for a debugger; the machine is stopped. Time goes on: with icount by that
// instruction, else by 10 ns; while the CPU is halted, to the next event. What devices ask for is done as in run().
// events: false: no timer's event happens, however late it is then.
enum machine_stop machine_step(struct machine *m, unsigned cpu, bool events);
u64 machine_icount(struct machine *m); // retired by all CPUs
u64 machine_tsc(struct machine *m);    // cpu_pins.tsc, of all CPUs
// Everything: RAM, CPUs, parts. Version and shape of the machine are checked on load.
struct state;
void machine_state(struct machine *m, struct state *s);
