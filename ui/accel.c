// SPDX-License-Identifier: MIT
// -accel and -machine accel=: which engine executes, and what the translator is told.
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "interp/interp.h"
#include "mem/base/bits.h"
#include "ui/accel.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#ifdef CONFIG_TCG // configure found a folder of tcg/host for this host
#include <x86intrin.h>
#include "tcg/tcg.h"
#define HAVE_TCG 1
#else
#define HAVE_TCG 0
#endif

static const char *command; // the command line, for reports

void accel_command(const char *text) { command = text; }

static const char *const names[] = {"tcg", "interp", "check"};

#if HAVE_TCG
static u64 ticks(void) { return __rdtsc(); }

struct tcg_opts {
    char *name;
    u64 size, cold;
    i8 one_insn, opt;
};
static const struct prop tcg_props[] = {
    {"accel", PROP_STR, offsetof(struct tcg_opts, name), "tcg", .help = "the translator"},
    {"tb-size", PROP_UINT, offsetof(struct tcg_opts, size), "MB", TCG_SIZE_MIN >> 20, TCG_SIZE_MAX >> 20,
     .help = "memory for translated code, in megabytes; default 128"},
    {"cold", PROP_UINT, offsetof(struct tcg_opts, cold), "N", 0, 1000000,
     .help = "executions of a block before it is translated; default 4"},
    {"one-insn-per-tb", PROP_SWITCH, offsetof(struct tcg_opts, one_insn), .help = "blocks of one instruction"},
    {"opt", PROP_SWITCH, offsetof(struct tcg_opts, opt), .help = "off: translate without optimising"},
};

static bool tcg_option(const char *arg, const struct cpu_engine **engine, struct err *e)
{
    static struct tcg_config config;
    static struct cpu_engine tcg;
    struct tcg_opts o = {.size = TCG_SIZE_DEFAULT >> 20, .cold = TB_COLD_RUNS, .opt = 1};
    bool ok = props_parse("-accel", arg, "accel", tcg_props, ARRAY_LEN(tcg_props), &o, e);
    free(o.name);
    config = (struct tcg_config){.size = o.size << 20,
                                 .cold = (i32)o.cold,
                                 .one_insn = o.one_insn == 1,
                                 .no_opt = o.opt == 0,
                                 .disas = disas_as,
                                 .ticks = ticks};
    config.check = !strncmp(strncmp(arg, "accel=", 6) ? arg : arg + 6, "check", 5);
    config.command = command;
    if (config.check && config.cold == TB_COLD_RUNS) config.cold = 0;
    tcg = tcg_engine;
    tcg.config = &config;
    *engine = &tcg;
    return ok && tcg_possible(config.size, e);
}
#else
static bool tcg_option(const char *arg, const struct cpu_engine **engine, struct err *e)
{
    return err_set(e, "-accel tcg: the translator makes code for x86-64 hosts only; use -accel interp");
}
#endif

void accel_default(const struct cpu_engine **engine)
{
    struct err e = {0};
    if (HAVE_TCG && tcg_option("tcg", engine, &e)) return;
    if (HAVE_TCG) fprintf(stderr, "doppel: the translator cannot run here, the interpreter does: %s\n", e.msg);
    *engine = &interp_engine;
}

// "kvm:tcg": the first of them that there is.
static bool first_of(const char *list, const struct cpu_engine **engine, struct err *e)
{
    char *copy = xstrdup(list), *rest = copy, *one;
    bool found = false;
    while (!found && (one = strsep(&rest, ":"))) {
        *e = (struct err){0};
        found = accel_option(one, engine, e);
    }
    free(copy);
    if (found) *e = (struct err){0};
    return found;
}

bool accel_option(const char *arg, const struct cpu_engine **engine, struct err *e)
{
    char name[64];
    const char *list = arg;
    if (!strncmp(list, "accel=", 6)) list += 6;
    if (list[strcspn(list, ":,")] == ':') return first_of(list, engine, e);
    snprintf(name, sizeof name, "%.*s", (int)min_u64(strcspn(list, ","), sizeof name - 1), list);
    struct nearest near = {.word = name};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) nearest_try(&near, names[i]);
    if (!strcmp(name, "tcg") || !strcmp(name, "check")) return tcg_option(arg, engine, e);
    if (!strcmp(name, "interp")) {
        if (strchr(list, ',')) return err_set(e, "-accel %s: interp takes no properties", arg);
        *engine = &interp_engine;
        return true;
    }
    if (!strcmp(name, "kvm") || !strcmp(name, "xen") || !strcmp(name, "hvf"))
        return err_set(e, "-accel %s: doppel executes in software only; leave the option out", name);
    return err_set(e, "-accel: unknown engine '%s'%s (-accel help lists them)", name, nearest_text(&near, ""));
}

void accel_help(struct buf *out)
{
    if (HAVE_TCG) buf_printf(out, "tcg     translates blocks to host code (default)\n");
    buf_printf(out, "interp  one instruction after another, the reference%s\n", HAVE_TCG ? "" : " (default)");
#if HAVE_TCG
    buf_printf(out, "check   tcg in lockstep with interp: stops at the first difference; takes tcg's properties\n");
    props_help("-accel tcg", tcg_props, ARRAY_LEN(tcg_props), out);
#endif
}

void accel_names(struct buf *out) { buf_printf(out, "%s", HAVE_TCG ? "tcg, interp, check" : "interp"); }
