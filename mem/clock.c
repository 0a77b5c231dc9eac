// SPDX-License-Identifier: MIT
// Virtual time: a binary heap of timers ordered by (due, order of arming).
#include <stdlib.h>
#include "mem/base/err.h"
#include "mem/clock.h"
#include "mem/state.h"

// How late, in ns, a saved timer may be. More is a damaged file: a periodic timer would fire for ages to catch up.
#define STALE (10 * NS_PER_SEC)

u64 clock_now(struct clock *c)
{
    if (!c->source) return c->now;
    u64 t = c->source(c->owner);
    if (t > c->now) c->now = t;
    return c->now;
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void put(struct clock *c, u32 i, struct timer *t)
{
    c->heap[i] = t;
    t->slot = i + 1;
}

static void sift(struct clock *c, u32 i, struct timer *t)
{
    for (; i && before(t, c->heap[(i - 1) / 2]); i = (i - 1) / 2) put(c, i, c->heap[(i - 1) / 2]);
    for (u32 k; (k = 2 * i + 1) < c->n; i = k) {
        if (k + 1 < c->n && before(c->heap[k + 1], c->heap[k])) k++;
        if (!before(c->heap[k], t)) break;
        put(c, i, c->heap[k]);
    }
    put(c, i, t);
}

void timer_init(struct timer *t, void (*fn)(void *), void *owner) { *t = (struct timer){.fn = fn, .owner = owner}; }

void timer_cancel(struct clock *c, struct timer *t)
{
    if (!t->slot) return;
    u32 i = t->slot - 1;
    t->slot = 0;
    struct timer *last = c->heap[--c->n];
    if (last != t) sift(c, i, last);
}

void timer_arm(struct clock *c, struct timer *t, u64 due)
{
    timer_cancel(c, t);
    if (c->n == c->cap) c->heap = xrealloc(c->heap, (c->cap = c->cap * 2 + 16) * sizeof *c->heap);
    t->due = due;
    t->seq = c->seq++;
    sift(c, c->n++, t);
    if (c->heap[0] == t && c->rearmed) c->rearmed(c->owner);
}

u64 clock_next(struct clock *c) { return c->n ? c->heap[0]->due : ~(u64)0; }

void clock_run(struct clock *c)
{
    u64 now = clock_now(c);
    while (c->n && c->heap[0]->due <= now) {
        struct timer *t = c->heap[0];
        timer_cancel(c, t);
        t->fn(t->owner);
    }
}

void clock_free(struct clock *c)
{
    while (c->n) timer_cancel(c, c->heap[0]);
    free(c->heap);
    c->heap = NULL;
    c->cap = 0;
}

void timer_state(struct state *s, const char *name, struct clock *c, struct timer *t)
{
    u64 due = t->slot ? t->due : ~(u64)0;
    state_u64(s, name, &due);
    if (!state_loading(s)) return;
    timer_cancel(c, t);
    if (due == ~(u64)0) return;
    u64 now = clock_now(c);
    if (due < now && now - due > STALE)
        state_fail(s, "%s: it was due %llu ns before the time of this machine", name, (unsigned long long)(now - due));
    else
        timer_arm(c, t, due);
}
