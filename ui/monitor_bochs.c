// SPDX-License-Identifier: MIT
// Bochs' debugger verbs whose arguments differ from the command that does the same here: each turns its line into that
// one's. Verbs that differ in name only are rows without help in monitor.def. Bochs user manual, chapter 8.
#include <stdarg.h>
#include <stdio.h>
#include "hw/machine.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

static void PRINTF(2, 3) instead(struct mon_call *a, const char *fmt, ...)
{
    char line[LINEEDIT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        mon_fail(a, "the line is too long");
    else if (!monitor_run(line, a->out))
        a->failed = true;
}

void mon_modebp(struct mon_call *a) { instead(a, "break mode"); }
void mon_sb(struct mon_call *a) { instead(a, "break icount +%s", a->rest); }
void mon_sba(struct mon_call *a) { instead(a, "break icount %s", a->rest); }
void mon_ldsym(struct mon_call *a) { instead(a, "symbols load %s", a->rest); }
void mon_slist(struct mon_call *a) { instead(a, a->argc ? "info symbols %s*" : "info symbols *", a->rest); }
void mon_trace_all(struct mon_call *a) { instead(a, "trace-insn %s", a->rest); }

// ---- parts of the machine

static struct part *part_named(struct mon_call *a, const char *what)
{
    struct parts *all = &vm.pc->m.bus.parts;
    struct part *p = parts_find(all, a->argv[0]);
    struct nearest near = {.word = a->argv[0]};
    if (p) return p;
    for (u32 i = 0; i < all->n; i++) nearest_try(&near, all->v[i].name);
    mon_fail(a, "%s: no part of the machine is called '%s'%s", what, a->argv[0], nearest_text(&near, ""));
    return NULL;
}

void info_device(struct mon_call *a)
{
    struct parts *all = &vm.pc->m.bus.parts;
    if (!a->argc) {
        for (u32 i = 0; i < all->n; i++)
            buf_printf(a->out, "%s%s\n", all->v[i].name, all->v[i].ops->info ? "" : "   (has nothing to show)");
        return;
    }
    struct part *p = part_named(a, "info device");
    if (!p) return;
    if (p->ops->info)
        p->ops->info(p->self, a->out);
    else
        buf_printf(a->out, "%s has nothing to show\n", p->name);
}

void mon_device_reset(struct mon_call *a)
{
    struct part *p = part_named(a, "device_reset");
    if (p) p->ops->reset(p->self);
}
