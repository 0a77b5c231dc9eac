// SPDX-License-Identifier: MIT
// The list of parts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/err.h"
#include "mem/part.h"
#include "mem/state.h"

struct part *parts_find(struct parts *p, const char *name)
{
    for (u32 i = 0; i < p->n; i++)
        if (!strcmp(p->v[i].name, name)) return &p->v[i];
    return NULL;
}

void part_add(struct parts *p, const char *name, const struct part_ops *ops, void *self)
{
    if (!ops->reset || !ops->state) panic("part %s without reset or state", name);
    if (p->n == p->cap) p->v = xrealloc(p->v, (p->cap = p->cap * 2 + 16) * sizeof *p->v);
    struct part t = {.ops = ops, .self = self};
    snprintf(t.name, sizeof t.name, "%s", name);
    for (int k = 1; parts_find(p, t.name); k++) snprintf(t.name, sizeof t.name, "%.24s#%d", name, k);
    p->v[p->n++] = t;
}

void parts_reset(struct parts *p)
{
    for (u32 i = 0; i < p->n; i++) p->v[i].ops->reset(p->v[i].self);
}

void parts_state(struct parts *p, struct state *s)
{
    for (u32 i = 0; i < p->n && state_ok(s); i++) {
        state_begin(s, p->v[i].name, 1);
        p->v[i].ops->state(s, p->v[i].self);
        state_end(s);
    }
}

void parts_free(struct parts *p)
{
    while (p->n) {
        struct part *t = &p->v[--p->n];
        if (t->ops->free) t->ops->free(t->self);
    }
    free(p->v);
    *p = (struct parts){0};
}
