// SPDX-License-Identifier: MIT
// Monitor commands about symbols: load, forget, list.
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/symbols.h"

#define CR3_BASE 0x000ffffffffff000ull

// FILE [OFFSET] [cr3=VALUE|current|any]; also Bochs' order `[global] FILE [OFFSET]`.
static void load(struct mon_call *a, int argc, char **argv)
{
    u64 offset = 0, cr3 = SYM_ALL_SPACES, n;
    const char *file = NULL;
    struct err e = {0};
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "cr3=", 4)) {
            const char *v = argv[i] + 4;
            if (!strcmp(v, "current"))
                cr3 = mon_the_cpu()->cr3 & CR3_BASE;
            else if (strcmp(v, "any") && !mon_number(a, "cr3", v, &cr3))
                return;
        } else if (!file) {
            file = argv[i];
        } else if (!mon_number(a, "offset", argv[i], &offset)) {
            return;
        }
    }
    if (!file) {
        mon_fail(a, "symbols load: a file is missing: symbols load FILE [OFFSET] [cr3=VALUE|current]");
        return;
    }
    n = symbols_load(file, offset, cr3, &e);
    if (!n)
        mon_fail(a, "symbols: %s", e.msg);
    else
        buf_printf(a->out, "%llu symbols\n", (unsigned long long)n);
}

static void print_match(void *owner, u64 addr, const char *name)
{
    struct mon_call *a = owner;
    buf_printf(a->out, "%016llx %s\n", (unsigned long long)addr, name);
}

void info_symbols(struct mon_call *a)
{
    size_t before = a->out->len;
    if (a->argc)
        symbols_match(mon_the_cpu(), a->argv[0], print_match, a);
    else
        symbols_info(a->out);
    if (a->argc && a->out->len == before) mon_fail(a, "info symbols: no name matches '%s'", a->argv[0]);
}

void mon_symbols(struct mon_call *a)
{
    static const char *const verbs[] = {"load", "unload", "list"};
    const char *verb = a->argc ? a->argv[0] : "list";
    struct nearest near = {.word = verb};
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++) nearest_try(&near, verbs[i]);
    if (!strcmp(verb, "load")) {
        load(a, a->argc - 1, a->argv + 1);
    } else if (!strcmp(verb, "unload")) {
        if (!symbols_unload(a->argc > 1 ? a->argv[1] : NULL))
            mon_fail(a, "symbols: %s", a->argc > 1 ? "no table comes from this file" : "none are loaded");
    } else if (!strcmp(verb, "list")) {
        if (a->argc) a->argc--, a->argv++;
        info_symbols(a);
    } else {
        mon_fail(a, "symbols: '%s' is none of load, unload, list%s", verb, nearest_text(&near, ""));
    }
}
