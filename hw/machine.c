// SPDX-License-Identifier: MIT
// The machine as a thing that runs. One thread; CPUs take turns. In host mode virtual time is the host's, less pauses;
// with icount it is a function of the instructions retired and of idle jumps to the next event.
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "hw/machine.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define SLICE_ONE  40000u     // instructions a turn, one CPU, with -icount
#define SLICE_HOST 250000u    // … in host mode, where SLICE_NS bounds it
#define SLACK      64u        // by so many turns may be shorter there: no block is longer
#define STEP_NS    10         // what a debugger's single step takes, in host mode
#define SLICE_MANY 8000u      // … several: spinlocks wait for the other CPU's turn
#define SLICE_NS   200000     // … and, in host mode, about as long at the most
#define SLICE_MIN  64u        // … but never fewer instructions
#define ANCHOR_NS  100000     // turns that begin within so long of each other share what the TSC is computed from
#define PAIR_TICKS 20000      // host ticks that reading both clocks may take, to be one time: better a sixteenth
#define RATE_FIRST 10000000   // ns after which the rate of the host's TSC is known, …
#define RATE_LATER 1000000000 // … and is measured again
#define TSC_FAST   250000000  // Hz; from there on nobody reads it twice within a tick
#define LATE_NS    10000000   // a batch of events that takes the host longer is not caught up

static u64 host_now(struct machine *m) { return m->time.host_ns ? m->time.host_ns(m->time.owner) : 0; }

u64 machine_icount(struct machine *m)
{
    u64 n = 0;
    for (unsigned i = 0; i < m->ncpus; i++) n += cpu_icount(m->cpu[i]);
    return n;
}

static u64 now(void *owner)
{
    struct machine *m = owner;
    if (m->time.icount_shift >= 0) return m->warp + (machine_icount(m) << m->time.icount_shift);
    if (m->in_events) return m->events_at;
    return m->running ? host_now(m) - m->host_base : m->stopped_at;
}

// Host mode: how long instructions took since the last look, held against one look that the host was away for.
static void measure_pace(struct machine *m, u64 at)
{
    u64 n = machine_icount(m), done = n - m->pace_icount, took = at - m->pace_at;
    if (m->pace_at && done >= SLICE_MIN) {
        u64 sample = min_u64(took * 1024 / done, 4 * m->pace + 1024);
        m->pace = max_u64((7 * m->pace + sample) / 8, 64);
    }
    m->pace_at = at;
    m->pace_icount = n;
}

// … and how many instructions these ns are, by that.
static u64 instructions_in(const struct machine *m, u64 ns)
{
    return min_u64(ns, SLICE_NS) * 1024 / m->pace + SLICE_MIN;
}

// What is due. In host mode time stands meanwhile, and falls behind the host's by what events took, if that was long:
// timers that a guest lets fire faster than the host can are never caught up, and nothing else would have its turn.
static void run_events(struct machine *m)
{
    if (m->time.icount_shift >= 0 || !m->running) {
        clock_run(&m->bus.clock);
        return;
    }
    u64 from = host_now(m);
    measure_pace(m, from);
    m->events_at = from - m->host_base;
    if (clock_next(&m->bus.clock) > max_u64(m->events_at, m->bus.clock.now)) return;
    m->in_events = true;
    clock_run(&m->bus.clock);
    m->in_events = false;
    u64 took = host_now(m) - from;
    if (took > LATE_NS) m->host_base += took;
}

// There is an earlier event than when the running CPU's turn began. With icount it must stop exactly there; else about
// there: a guest that waits for a disk in a loop shall not wait for the end of its turn.
static void rearmed(void *owner)
{
    struct machine *m = owner;
    bool host = m->time.icount_shift < 0;
    if (!m->ncpus || (host && (!m->running || m->in_events))) return;
    struct cpu *c = m->cpu[m->bus.cur_cpu];
    u64 due = clock_next(&m->bus.clock), t = now(m), left = 0;
    if (due > t) left = host ? instructions_in(m, due - t) : ((due - t) >> m->time.icount_shift) + 1;
    u64 limit = cpu_icount(c) + left;
    if (limit >= c->icount_limit) return;
    c->icount_limit = limit;
    c->attn |= ATTN_CODE; // the block that runs began under the old limit
}

static void remapped(void *owner, bool code)
{
    struct machine *m = owner;
    for (unsigned i = 0; i < m->ncpus; i++) {
        tlb_flush(m->cpu[i], true);
        if (code) m->cpu[i]->engine->flush(m->cpu[i]);
    }
}

static void protect(void *owner, u64 pa)
{
    struct machine *m = owner;
    for (unsigned i = 0; i < m->ncpus; i++) tlb_protect(m->cpu[i], pa);
}

static void code_written(void *owner, u64 pa, u64 len)
{
    struct machine *m = owner;
    for (unsigned i = 0; i < m->ncpus; i++) m->cpu[i]->engine->invalidate(m->cpu[i], pa, len);
}

static void attention(struct machine *m)
{
    for (unsigned i = 0; i < m->ncpus; i++) cpu_exit_request(m->cpu[i]);
}

void machine_request(struct machine *m, int what)
{
    m->requests |= 1u << what;
    attention(m);
}
static void system_request(void *owner, int what) { machine_request(owner, what); }

static void exit_request(void *owner, int code)
{
    struct machine *m = owner;
    m->exiting = true;
    m->exit_code = code;
    attention(m);
}

void machine_pause(struct machine *m)
{
    m->pause = true;
    attention(m);
}

void machine_init(struct machine *m, const struct machine_time *t)
{
    memset(m, 0, sizeof *m);
    bus_init(&m->bus);
    m->time = *t;
    m->pace = 5 * 1024;
    m->bus.clock.source = now;
    m->bus.clock.rearmed = rearmed;
    m->bus.clock.owner = m;
    m->bus.hooks = (struct bus_hooks){m, remapped, protect, code_written};
    m->bus.system_request = system_request;
    m->bus.exit_request = exit_request;
    m->bus.system_owner = m->bus.exit_owner = m;
}

void machine_add_cpu(struct machine *m, struct cpu *c)
{
    if (m->ncpus == MACHINE_MAX_CPUS) panic("too many CPUs");
    m->cpu[m->ncpus++] = c;
}

void machine_free(struct machine *m)
{
    m->bus.hooks = (struct bus_hooks){0};
    m->bus.clock.source = NULL;
    m->bus.clock.rearmed = NULL;
    bus_free(&m->bus);
}

// -d cpu_reset: the processors as they are when the reset comes.
static void log_cpus(struct machine *m)
{
    struct buf out = {0};
    for (unsigned i = 0; i < m->ncpus && log_on(&m->bus.log, LOG_RESET); i++) {
        buf_printf(&out, "CPU Reset (CPU %u)\n", i);
        cpu_dump(m->cpu[i], &out);
    }
    log_item(&m->bus.log, LOG_RESET, "%s", buf_text(&out));
    buf_free(&out);
}

void machine_reset(struct machine *m)
{
    log_cpus(m);
    m->requests = 0;
    m->resets++;
    m->round.left = 0;
    parts_reset(&m->bus.parts);
    remapped(m, true);
}

void machine_start(struct machine *m)
{
    if (m->running) return;
    m->host_base = host_now(m) - m->stopped_at;
    m->tsc.scale = 0;
    m->running = true;
}

void machine_stop(struct machine *m)
{
    if (!m->running) return;
    m->stopped_at = clock_now(&m->bus.clock);
    m->running = false;
    m->idle_since = 0;
}

// What devices and users asked for between instructions.
static bool serve_requests(struct machine *m, enum machine_stop *why)
{
    if (m->exiting) {
        *why = MACHINE_EXIT;
        return true;
    }
    if (m->requests & 1u << BUS_REQ_POWEROFF) {
        m->requests = 0;
        *why = MACHINE_POWEROFF;
        return true;
    }
    if (m->requests & 1u << BUS_REQ_RESET) {
        m->requests = 0;
        if (!m->no_reboot) machine_reset(m);
        *why = MACHINE_RESET;
        return true;
    }
    if (m->pause) {
        m->pause = false;
        *why = MACHINE_PAUSED;
        return true;
    }
    m->requests = 0;
    return false;
}

// Instructions until the next event (host mode: about), or a plain slice.
static u64 budget(struct machine *m)
{
    bool host = m->time.icount_shift < 0;
    u64 slice = m->ncpus > 1 ? SLICE_MANY : host ? SLICE_HOST : SLICE_ONE;
    u64 due = clock_next(&m->bus.clock);
    if (host) return min_u64(slice, instructions_in(m, due > m->events_at ? due - m->events_at : 0));
    u64 t = now(m);
    if (due <= t) return 1;
    return min_u64(slice, ((due - t - 1) >> m->time.icount_shift) + 1);
}

// All CPUs are halted. True if virtual time could be moved on at once.
static bool idle(struct machine *m)
{
    if (m->time.icount_shift < 0) return clock_next(&m->bus.clock) <= clock_now(&m->bus.clock);
    u64 due = clock_next(&m->bus.clock), t = now(m);
    if (due == ~(u64)0) return false;
    if (due > t && m->time.icount_sleep) {
        u64 h = host_now(m);
        if (!m->idle_since) m->idle_since = h;
        u64 waited = h - m->idle_since;
        if (waited < due - t) return false;
    }
    m->idle_since = 0;
    if (due > t) m->warp += due - t;
    return true;
}

u64 machine_idle_ns(struct machine *m)
{
    u64 due = clock_next(&m->bus.clock), t = clock_now(&m->bus.clock);
    if (due == ~(u64)0) return ~(u64)0;
    u64 left = due > t ? due - t : 0, waited = m->idle_since ? host_now(m) - m->idle_since : 0;
    return left > waited ? left - waited : 0;
}

// ---- the TSC: virtual time at the model's rate. In host mode reading the host's clock for each RDTSC would cost more
// than anything else that a guest does so often, so while a CPU has its turn the TSC is a function of the host's TSC
// (struct cpu_tsc), which translated code computes in place, and C by the same formula and the same counter
// (machine_tsc()), so neither can be before the other. A turn's function begins where virtual time is, or, if the one
// before was faster than virtual time and has passed that, where that one has ended: the TSC never runs back. It is
// then slower by a thousandth until virtual time has caught up. Between turns, where events are, time is virtual time,
// but never before `floor`, which the last function has reached. An event by virtual time, a TSC deadline above all, is
// not early by the TSC, since the function of the turn behind it begins at or above that time.

static u64 by_time(const struct machine *m, u64 ns) { return muldiv64(ns, m->tsc_hz, NS_PER_SEC); }

// Where virtual time must be not to be before the TSC.
static u64 tsc_ns(const struct machine *m)
{
    return m->tsc.floor ? muldiv64(m->tsc.floor, NS_PER_SEC, m->tsc_hz) + 1 : 0;
}

static u64 host_ticks(struct machine *m) { return m->time.host_ticks(m->time.owner); }

// The host's clocks show ns and ticks at the same time.
static void measure_rate(struct machine *m, u64 ns, u64 ticks)
{
    u64 dns = ns - m->tsc.ns, dt = ticks - m->tsc.ticks, was = m->tsc.rate;
    if (m->tsc.ticks && (i64)dt > 0 && dns < (was ? RATE_LATER : RATE_FIRST)) return;
    if (m->tsc.ticks && (i64)dt > 0) {
        u64 rate = (u64)(((u128)dns << 32) / dt);
        // The host slept, or its counter was set: what was known is void.
        m->tsc.rate = was && (rate > was + was / 128 || rate < was - was / 128) ? 0 : rate;
    } else {
        m->tsc.rate = 0;
    }
    m->tsc.ns = ns;
    m->tsc.ticks = ticks;
}

// False: this turn has no function.
static bool anchor(struct machine *m)
{
    u64 from = host_ticks(m), gap = 0, ns = 0;
    if (m->tsc.scale && (u128)(from - m->tsc.from) * m->tsc.rate >> 32 < ANCHOR_NS) return true;
    m->tsc.scale = 0;
    for (unsigned k = 0; k < 4 && (!k || gap > PAIR_TICKS / 16); k++) { // the host may be away in between
        u64 before = host_ticks(m), at = host_now(m), took = host_ticks(m) - before;
        if (k && took >= gap) continue;
        ns = at;
        gap = took;
        from = before + took / 2;
    }
    if (gap > PAIR_TICKS) return false;
    measure_rate(m, ns, from);
    if (!m->tsc.rate) return false;
    u64 time = by_time(m, max_u64(ns - m->host_base, m->bus.clock.now));
    m->tsc.from = from;
    m->tsc.base = max_u64(time, m->tsc.floor);
    m->tsc.scale = (u64)((u128)m->tsc.rate * m->tsc_hz / NS_PER_SEC);
    if (m->tsc.base - time > by_time(m, ANCHOR_NS) >> 8) m->tsc.scale -= m->tsc.scale >> 10;
    return m->tsc.scale;
}

static void begin_turn(struct machine *m, struct cpu *c)
{
    int shift = m->time.icount_shift;
    if (shift >= 0) {
        u64 others = machine_icount(m) - cpu_icount(c);
        c->tsc = (struct cpu_tsc){
            .base = m->warp + (others << shift), .scale = 1ull << shift, .hz = m->tsc_hz, .kind = CPU_TSC_ICOUNT};
    } else if (m->time.host_ticks && m->running && anchor(m)) {
        c->tsc = (struct cpu_tsc){.base = m->tsc.base,
                                  .from = m->tsc.from,
                                  .scale = m->tsc.scale,
                                  .last = m->tsc.floor,
                                  .step = m->tsc_hz >= TSC_FAST,
                                  .kind = CPU_TSC_HOST};
    }
}

static void end_turn(struct machine *m, struct cpu *c)
{
    if (c->tsc.kind == CPU_TSC_HOST) m->tsc.floor = cpu_tsc_host(&c->tsc, host_ticks(m));
    c->tsc.kind = CPU_TSC_ASK;
}

u64 machine_tsc(struct machine *m)
{
    struct cpu *c = m->ncpus ? m->cpu[m->bus.cur_cpu] : NULL;
    if (c && c->tsc.kind == CPU_TSC_HOST) return cpu_tsc_host(&c->tsc, host_ticks(m));
    return max_u64(by_time(m, clock_now(&m->bus.clock)), m->tsc.floor);
}

static bool asked(const struct machine *m) { return m->requests || m->exiting || m->pause; }

// Turns of all CPUs, or the rest of those that a stop broke off. True if any of them ran.
static bool one_round(struct machine *m)
{
    unsigned k = m->round.left ? m->round.left : m->ncpus;
    u64 limit = m->round.left ? m->round.budget : ~(u64)0;
    bool any = m->round.left && m->round.any;
    for (m->round.left = 0; k; k--, limit = ~(u64)0) {
        struct cpu *c = m->cpu[m->turn];
        if (unlikely(m->held >> m->turn & 1)) {
            m->turn = (m->turn + 1) % m->ncpus;
            continue;
        }
        c->attn &= ~(u32)ATTN_EXIT; // whoever asked has set a flag as well
        u64 from = c->icount, n = min_u64(budget(m), limit), ran = 0;
        enum cpu_stop why = CPU_STOP_EXIT;
        if (!asked(m)) {
            c->slack = m->time.icount_shift < 0 ? SLACK : 0;
            begin_turn(m, c);
            why = cpu_run(c, n);
            end_turn(m, c);
            ran = c->icount - from;
        }
        any |= ran || why != CPU_STOP_HALT;
        if (m->pause && why == CPU_STOP_EXIT && (!ran || c->icount < c->icount_limit)) {
            m->round.left = k;
            m->round.budget = n - ran;
            m->round.any = any;
            return true;
        }
        m->turn = (m->turn + 1) % m->ncpus;
        if (asked(m)) {
            m->round.left = k - 1;
            m->round.budget = ~(u64)0;
            m->round.any = any;
            return true;
        }
        if (m->ncpus > 1) run_events(m);
    }
    return any;
}

enum machine_stop machine_run(struct machine *m, u64 ns)
{
    u64 end = host_now(m) + ns;
    enum machine_stop why;
    m->pace_at = 0; // nothing ran since
    for (;;) {
        run_events(m);
        if (serve_requests(m, &why)) return why;
        bool any = one_round(m);
        if (!any && !asked(m)) {
            if (!idle(m))
                return MACHINE_IDLE; // else time was moved on: a sleeping guest too must leave the loop in time
        } else {
            m->idle_since = 0;
        }
        if (host_now(m) >= end) {
            run_events(m);
            return serve_requests(m, &why) ? why : MACHINE_BUSY;
        }
    }
}

// Nothing runs on this CPU: time is moved to what may wake it.
static void skip_time(struct machine *m)
{
    u64 due = clock_next(&m->bus.clock), t = now(m);
    if (due == ~(u64)0 || due <= t) return;
    if (m->time.icount_shift >= 0)
        m->warp += due - t;
    else
        m->stopped_at = due;
}

enum machine_stop machine_step(struct machine *m, unsigned cpu, bool events)
{
    struct cpu *c = m->cpu[cpu];
    enum machine_stop why;
    if (events) run_events(m);
    if (serve_requests(m, &why)) return why;
    c->attn &= ~(u32)ATTN_EXIT;
    enum cpu_stop s = cpu_run(c, 1);
    if (m->time.icount_shift < 0) m->stopped_at += STEP_NS;
    if (s == CPU_STOP_HALT) skip_time(m);
    if (events) run_events(m);
    if (serve_requests(m, &why)) return why;
    return s == CPU_STOP_HALT || s == CPU_STOP_SHUTDOWN ? MACHINE_IDLE : MACHINE_BUSY;
}

void machine_state(struct machine *m, struct state *s)
{
    u32 n = m->ncpus, rams = 0;
    u32 version = state_begin(s, "machine", 2), left = m->ncpus > 1 ? m->round.left : 0;
    u64 budget = left ? m->round.budget : 0;
    bool any = left && m->round.any;
    u64 t = max_u64(clock_now(&m->bus.clock), tsc_ns(m));
    state_u32(s, "cpus", &n);
    if (state_ok(s) && n != m->ncpus) state_fail(s, "%u CPUs, this machine has %u", n, m->ncpus);
    state_u64(s, "time", &t);
    state_u32(s, "turn", &m->turn);
    state_limit_u32(s, "turn", &m->turn, m->ncpus);
    if (version > 1) { // a round of turns that a stop broke off; with one CPU it makes no difference
        state_u32(s, "turns-left", &left);
        state_limit_u32(s, "turns-left", &left, m->ncpus + 1);
        state_u64(s, "turn-budget", &budget);
        state_bool(s, "round-ran", &any);
    }
    state_end(s);
    if (!state_ok(s)) return;
    if (state_loading(s)) {
        m->bus.clock.source = NULL; // until the CPUs are loaded, it is the saved time: instructions do not tell it yet
        m->bus.clock.now = t;
        m->stopped_at = t;
        m->host_base = host_now(m) - t;
        m->tsc.floor = m->tsc.scale = 0;
    }
    for (u32 i = 0; i < m->bus.phys.nrams; i++) {
        struct ram *r = m->bus.phys.rams[i];
        if (r->transient) continue;
        char name[40];
        snprintf(name, sizeof name, "ram%u", rams++);
        state_begin(s, name, 1);
        state_memory(s, r->name, r->host, r->size);
        state_end(s);
    }
    bus_map_begin(&m->bus);
    parts_state(&m->bus.parts, s);
    bus_map_commit(&m->bus);
    if (!state_loading(s)) return;
    m->round.left = left;
    m->round.budget = budget;
    m->round.any = any;
    if (!state_ok(s)) machine_reset(m); // half a machine is none; its timers may lie years behind its time
    // Retired instructions were loaded with the CPUs: time is what it was.
    if (m->time.icount_shift >= 0) m->warp = t - (machine_icount(m) << m->time.icount_shift);
    m->bus.clock.source = now;
    remapped(m, true);
}
