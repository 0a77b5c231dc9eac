// SPDX-License-Identifier: MIT
// What the tests of chips share: a bus with a clock set by hand, recording lines, state round trips, random accesses.
#pragma once
#include "mem/bus.h"
#include "mem/state.h"
#include "tests/check.h"

struct bench {
    struct bus bus;
    int level[32], rises[32]; // lines
};

static UNUSED void bench_line(void *owner, int n, int level)
{
    struct bench *t = owner;
    if (level && !t->level[n]) t->rises[n]++;
    t->level[n] = level;
}
static UNUSED struct irq bench_irq(struct bench *t, int n) { return (struct irq){bench_line, t, n}; }
static UNUSED void bench_init(struct bench *t)
{
    memset(t, 0, sizeof *t);
    bus_init(&t->bus);
}
// Moves time to `ns`, stopping at every event on the way.
static UNUSED void bench_until(struct bench *t, u64 ns)
{
    struct clock *c = &t->bus.clock;
    while (clock_next(c) <= ns) {
        if (clock_next(c) > c->now) c->now = clock_next(c);
        clock_run(c);
    }
    c->now = ns;
}
static UNUSED void bench_pass(struct bench *t, u64 ns) { bench_until(t, t->bus.clock.now + ns); }
static UNUSED u8 in8(struct bench *t, u16 port) { return (u8)bus_in(&t->bus, port, 1); }
static UNUSED void out8(struct bench *t, u16 port, u8 v) { bus_out(&t->bus, port, v, 1); }

static UNUSED void bench_save(struct bench *t, struct buf *out)
{
    struct state s = {.mode = STATE_SAVE, .out = out};
    parts_state(&t->bus.parts, &s);
    CHECK(state_ok(&s));
}
static UNUSED void bench_load(struct bench *t, const struct buf *in)
{
    struct state s = {.mode = STATE_LOAD, .in = in->data, .len = in->len};
    parts_state(&t->bus.parts, &s);
    CHECK(state_ok(&s));
}
// Saves `from`, loads into the fresh machine `to` (same time), saves again: the bytes must be the same.
static UNUSED void bench_round_trip(struct bench *from, struct bench *to)
{
    struct buf a = {0}, b = {0};
    bench_save(from, &a);
    to->bus.clock.now = from->bus.clock.now;
    bench_load(to, &a);
    bench_save(to, &b);
    CHECK(a.len > 0);
    CHECK_EQ(a.len, b.len);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    buf_free(&a);
    buf_free(&b);
}
// What `info` prints is text, in whatever state.
static UNUSED void bench_info(struct bench *t)
{
    for (u32 i = 0; i < t->bus.parts.n; i++) {
        const struct part *p = &t->bus.parts.v[i];
        struct buf out = {0};
        if (!p->ops->info) continue;
        p->ops->info(p->self, &out);
        CHECK(out.len > 0 && out.len == strlen(buf_text(&out)));
        buf_free(&out);
    }
}
// A damaged image is refused or taken, but does no harm.
static UNUSED void bench_damage(struct bench *from, struct bench *to, u32 seed)
{
    struct buf a = {0};
    bench_save(from, &a);
    for (int i = 0; i < 300; i++) {
        struct buf b = {0};
        buf_add(&b, a.data, a.len);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1664525 + 1013904223;
            b.data[(seed >> 8) % b.len] ^= 1u << (seed & 7);
        }
        struct state s = {.mode = STATE_LOAD, .in = b.data, .len = b.len};
        parts_state(&to->bus.parts, &s);
        bench_pass(to, 100000);
        bench_info(to);
        buf_free(&b);
    }
    parts_reset(&to->bus.parts);
    buf_free(&a);
}

static UNUSED u32 bench_random(u64 *s)
{
    *s = *s * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(*s >> 33);
}
// n random accesses to the given ports and steps of time of up to `step` ns.
static UNUSED void bench_fuzz(struct bench *t, const u16 *ports, size_t nports, u32 n, u32 step, u64 seed)
{
    u64 from = t->bus.clock.now;
    for (u32 i = 0; i < n; i++) {
        u16 port = ports[bench_random(&seed) % nports];
        unsigned size = 1u << (bench_random(&seed) % 16 ? 0 : bench_random(&seed) % 3);
        u32 r = bench_random(&seed);
        if (r % 3 == 0)
            bus_in(&t->bus, port, size);
        else if (r % 3 == 1)
            bus_out(&t->bus, port, bench_random(&seed), size);
        else
            bench_pass(t, bench_random(&seed) % step);
    }
    CHECK(t->bus.clock.now > from);
}
