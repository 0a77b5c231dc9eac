// SPDX-License-Identifier: MIT
// Monitor commands of the debugger: points, stepping, traces. QEMU's spelling where QEMU has the command, gdb's and
// Bochs' verbs beside it.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "cpu/cpu.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

typedef unsigned long long ull;

// ---- points

// Cuts " if COND" off the text and puts it into p; also " cpu N". The text is the caller's copy.
static bool take_options(struct mon_call *a, char *text, struct debug_point *p)
{
    char *cond = strstr(text, " if ");
    if (!strncmp(text, "if ", 3)) cond = text - 1;
    if (cond) {
        p->cond = cond + 4 + strspn(cond + 4, " ");
        *(cond < text ? text : cond) = 0;
        if (!*p->cond) {
            mon_fail(a, "break: an expression should follow 'if'");
            return false;
        }
    }
    char *cpu = strstr(text, " cpu ");
    if (cpu) {
        u64 n;
        if (!mon_number(a, "cpu", cpu + 5, &n)) return false;
        if (n >= vm.pc->m.ncpus) {
            mon_fail(a, "cpu: there are 0 to %u", vm.pc->m.ncpus - 1);
            return false;
        }
        p->cpu = (int)n;
        *cpu = 0;
    }
    size_t n = strlen(text);
    while (n && text[n - 1] == ' ') text[--n] = 0;
    return true;
}

static void add(struct mon_call *a, const char *what, const struct debug_point *p)
{
    struct err e = {0};
    struct debug_point *q = debug_add(p, &e);
    if (!q) {
        mon_fail(a, "%s: %s", what, e.msg);
        return;
    }
    buf_printf(a->out, "%u: ", q->id);
    debug_point_text(q, a->out);
    buf_printf(a->out, "\n");
}

static bool vector(struct mon_call *a, const char *what, const char *text, u64 max, struct debug_point *p)
{
    static const char *const names[] = {"de", "db", "nmi", "bp", "of", "br", "ud", "nm", "df", "",
                                        "ts", "np", "ss",  "gp", "pf", "",   "mf", "ac", "mc", "xm"};
    if (*text == '#') text++;
    if (!*text || !strcmp(text, "any")) {
        p->last = max;
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcasecmp(names[i], text)) {
            p->first = p->last = i;
            return true;
        }
    if (!mon_number(a, what, text, &p->first)) return false;
    p->last = p->first;
    if (p->first <= max) return true;
    mon_fail(a, "%s: vectors are 0 to %llu, or names like #pf", what, (ull)max);
    return false;
}

// "[+]N", relative to `now` with the plus sign; with a unit for times.
static bool amount(struct mon_call *a, const char *what, const char *text, u64 now, bool time, u64 *v)
{
    static const struct {
        const char *name;
        u64 ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    char number[128];
    u64 scale = 1;
    bool relative = *text == '+';
    snprintf(number, sizeof number, "%s", text + relative);
    for (unsigned i = 0; time && i < ARRAY_LEN(units); i++) {
        size_t n = strlen(number), k = strlen(units[i].name);
        if (n <= k || strcmp(number + n - k, units[i].name) ||
            !(isdigit((u8)number[n - k - 1]) || number[n - k - 1] == ' '))
            continue;
        number[n - k] = 0;
        scale = units[i].ns;
        break;
    }
    if (!mon_number(a, what, number, v)) return false;
    *v = *v * scale + (relative ? now : 0);
    if (*v > now) return true;
    mon_fail(a, "%s: %llu is past already (it is %llu now; +N counts from here)", what, (ull)*v, (ull)now);
    return false;
}

static bool control_register(struct mon_call *a, const char *text, struct debug_point *p)
{
    if (!strcasecmp(text, "efer")) {
        p->first = 16;
        return true;
    }
    if (!strncasecmp(text, "cr", 2)) text += 2;
    if (!mon_number(a, "break cr", text, &p->first)) return false;
    if (p->first <= 8 && (0x11d >> p->first & 1)) return true;
    mon_fail(a, "break cr: there are 0, 2, 3, 4, 8 and efer");
    return false;
}

// break WORD …: what is no address. False: WORD is none of these, or (a->failed) wrong.
static bool special(struct mon_call *a, const char *text, struct debug_point *p)
{
    size_t n = strcspn(text, " ");
    const char *rest = text + n + strspn(text + n, " ");
    static const struct {
        const char *name;
        enum point_kind kind;
    } words[] = {{"exception", POINT_EXCEPTION},
                 {"int", POINT_INT},
                 {"interrupt", POINT_INT},
                 {"mode", POINT_MODE},
                 {"cr", POINT_CR},
                 {"cr3", POINT_CR},
                 {"task", POINT_CR},
                 {"cr0", POINT_CR},
                 {"cr4", POINT_CR},
                 {"efer", POINT_CR},
                 {"triple", POINT_TRIPLE},
                 {"magic", POINT_MAGIC},
                 {"icount", POINT_ICOUNT},
                 {"time", POINT_TIME},
                 {"text", POINT_TEXT}};
    unsigned i = 0;
    while (i < ARRAY_LEN(words) && (strlen(words[i].name) != n || strncmp(words[i].name, text, n))) i++;
    if (i == ARRAY_LEN(words)) return false;
    p->kind = words[i].kind;
    u64 icount = cpu_icount(mon_the_cpu());
    bool wants = p->kind == POINT_EXCEPTION || p->kind == POINT_INT || p->kind == POINT_ICOUNT ||
                 p->kind == POINT_TIME || p->kind == POINT_TEXT || !strcmp(words[i].name, "cr");
    if (!wants && *rest) {
        mon_fail(a, "break %s: '%s' does not belong there", words[i].name, rest);
        return false;
    }
    switch (p->kind) {
    case POINT_EXCEPTION: return vector(a, "break exception", rest, 31, p);
    case POINT_INT: return vector(a, "break int", rest, 255, p);
    case POINT_CR:
        if (!strcmp(words[i].name, "task")) rest = "3";
        return control_register(a, *rest ? rest : words[i].name, p);
    case POINT_ICOUNT: return amount(a, "break icount", rest, icount, false, &p->first);
    case POINT_TIME: return amount(a, "break time", rest, clock_now(&vm.pc->m.bus.clock), true, &p->first);
    case POINT_TEXT:
        p->text = rest;
        if (*rest == '"' && strlen(rest) > 1 && rest[strlen(rest) - 1] == '"') {
            ((char *)rest)[strlen(rest) - 1] = 0;
            p->text = rest + 1;
        }
        return true;
    default: return true;
    }
}

static bool segmented(struct mon_call *a, char *text, struct debug_point *p)
{
    char *colon = strchr(text, ':');
    u64 sel;
    if (!colon) {
        mon_fail(a, "vb: SELECTOR:OFFSET is needed");
        return false;
    }
    *colon = 0;
    if (!mon_number(a, "selector", text, &sel) || !mon_number(a, "offset", colon + 1, &p->first)) return false;
    if (sel > 0xffff) {
        mon_fail(a, "a selector has 16 bits");
        return false;
    }
    p->sel = (u16)sel;
    p->kind = POINT_CODE_SEG;
    return true;
}

static void set_break(struct mon_call *a, enum point_kind kind, bool temporary)
{
    char *text = xstrdup(a->rest);
    struct debug_point p = {.kind = kind, .temporary = temporary, .cpu = -1};
    bool ok = take_options(a, text, &p);
    char *at = text + (*text == '*');
    if (ok && !*at) {
        p.first = debug_linear(mon_the_cpu());
    } else if (ok && kind == POINT_CODE && at == text && special(a, at, &p)) {
        ;
    } else if (ok && !a->failed) {
        ok = kind == POINT_CODE_SEG ? segmented(a, at, &p) : mon_number(a, "break", at, &p.first);
    }
    if (ok && !a->failed) add(a, "break", &p);
    free(text);
}
void mon_break(struct mon_call *a)
{
    if (!*a->rest)
        mon_points(a);
    else
        set_break(a, POINT_CODE, false);
}
void mon_tbreak(struct mon_call *a) { set_break(a, POINT_CODE, true); }
void mon_pbreak(struct mon_call *a) { set_break(a, POINT_CODE_PHYS, false); }
void mon_vbreak(struct mon_call *a) { set_break(a, POINT_CODE_SEG, false); }

// [r|w|rw] [phys] ADDR [LEN]; Bochs' `watch r ADDR` and `watch w ADDR` mean physical addresses.
static void set_watch(struct mon_call *a, bool rd, bool wr)
{
    char *text = xstrdup(a->rest), *p = text;
    struct debug_point w = {.kind = POINT_WATCH, .cpu = -1};
    u64 len = 1;
    static const struct {
        const char *word;
        bool rd, wr;
    } how[] = {
        {"r ", true, false}, {"w ", false, true}, {"rw ", true, true}, {"read ", true, false}, {"write ", false, true}};
    bool ok = take_options(a, text, &w);
    for (unsigned i = 0; ok && i < ARRAY_LEN(how); i++)
        if (!strncmp(p, how[i].word, strlen(how[i].word))) {
            rd = how[i].rd, wr = how[i].wr;
            w.kind = POINT_WATCH_PHYS;
            p += strlen(how[i].word);
            break;
        }
    if (!strncmp(p, "phys ", 5)) {
        w.kind = POINT_WATCH_PHYS;
        p += 5;
    }
    p += strspn(p, " *");
    char *second = strchr(p, ' ');
    if (second) *second++ = 0;
    ok = ok && mon_number(a, "watch", p, &w.first) && (!second || mon_number(a, "length", second, &len));
    if (ok && (!len || len > 1 << 30 || w.first + len - 1 < w.first)) {
        mon_fail(a, "watch: a length is 1 to 2^30 bytes");
        ok = false;
    }
    w.last = w.first + len - 1;
    w.rd = rd, w.wr = wr;
    if (ok) add(a, "watch", &w);
    free(text);
}
void mon_watch(struct mon_call *a) { set_watch(a, false, true); }
void mon_rwatch(struct mon_call *a) { set_watch(a, true, false); }
void mon_awatch(struct mon_call *a) { set_watch(a, true, true); }

void mon_unwatch(struct mon_call *a)
{
    u64 at = 0;
    if (*a->rest && !mon_number(a, "unwatch", a->rest, &at)) return;
    unsigned n = 0;
    for (struct debug_point *p = debug_points(), *next; p; p = next) {
        next = p->next;
        if ((p->kind != POINT_WATCH && p->kind != POINT_WATCH_PHYS) || p->owner) continue;
        if (*a->rest && p->first != at) continue;
        debug_delete(p->id);
        n++;
    }
    if (!n) mon_fail(a, "unwatch: no watchpoint %s", *a->rest ? "there" : "is set");
}

void mon_iobreak(struct mon_call *a)
{
    char *text = xstrdup(a->rest), *p = text;
    struct debug_point w = {.kind = POINT_IO, .cpu = -1, .rd = true, .wr = true};
    bool ok = take_options(a, text, &w);
    size_t n = strcspn(p, " ");
    if (ok && p[n] && (!strncmp(p, "r ", 2) || !strncmp(p, "w ", 2) || !strncmp(p, "rw ", 3))) {
        w.rd = *p == 'r';
        w.wr = *p == 'w' || p[1] == 'w';
        p += n + strspn(p + n, " ");
    }
    char *dash = strchr(p, '-');
    if (dash) *dash++ = 0;
    ok = ok && mon_number(a, "port", p, &w.first);
    w.last = w.first;
    ok = ok && (!dash || mon_number(a, "port", dash, &w.last));
    if (ok && w.last > 0xffff) {
        mon_fail(a, "ports are 0 to 0xffff");
        ok = false;
    }
    if (ok) add(a, "iobreak", &w);
    free(text);
}

void mon_points(struct mon_call *a)
{
    bool any = false;
    for (struct debug_point *p = debug_points(); p; p = p->next) {
        if (p->internal) continue;
        any = true;
        buf_printf(a->out, "%-3u %s ", p->id, p->disabled ? "off" : p->temporary ? "tmp" : "on ");
        debug_point_text(p, a->out);
        if (p->cpu >= 0) buf_printf(a->out, " cpu %d", p->cpu);
        if (p->cond) buf_printf(a->out, " if %s", p->cond);
        buf_printf(a->out, ", hit %llu times", (ull)p->hits);
        if (p->ignore) buf_printf(a->out, ", the next %llu are ignored", (ull)p->ignore);
        buf_printf(a->out, "%s\n", p->owner ? " (gdb's)" : "");
    }
    if (!any) buf_printf(a->out, "no breakpoints\n");
}

void info_break(struct mon_call *a) { mon_points(a); }

static struct debug_point *point_named(struct mon_call *a, const char *what, const char *word)
{
    u64 n;
    if (!mon_number(a, what, word, &n)) return NULL;
    struct debug_point *p = n && n <= 0xffffffff ? debug_find((unsigned)n) : NULL;
    if (!p) mon_fail(a, "%s: there is no breakpoint %llu (info break lists them)", what, (ull)n);
    return p;
}

void mon_delete(struct mon_call *a)
{
    if (!a->argc) debug_delete_owner(NULL);
    for (int i = 0; i < a->argc && !a->failed; i++) {
        struct debug_point *p = point_named(a, "delete", a->argv[i]);
        if (p) debug_delete(p->id);
    }
}

static void able(struct mon_call *a, const char *what, bool disabled)
{
    for (struct debug_point *p = debug_points(); !a->argc && p; p = p->next) p->disabled = disabled;
    for (int i = 0; i < a->argc && !a->failed; i++) {
        struct debug_point *p = point_named(a, what, a->argv[i]);
        if (p) p->disabled = disabled;
    }
    debug_changed();
}
void mon_enable(struct mon_call *a) { able(a, "enable", false); }
void mon_disable(struct mon_call *a) { able(a, "disable", true); }

void mon_condition(struct mon_call *a)
{
    struct debug_point *p = point_named(a, "condition", a->argv[0]);
    const char *text = a->rest + strcspn(a->rest, " ");
    text += strspn(text, " ");
    u64 v;
    if (!p || (*text && !mon_number(a, "condition", text, &v))) return;
    free((char *)p->cond);
    p->cond = *text ? xstrdup(text) : NULL;
}

void mon_ignore(struct mon_call *a)
{
    struct debug_point *p = point_named(a, "ignore", a->argv[0]);
    if (p) mon_number(a, "ignore", a->argv[1], &p->ignore);
}

// ---- going on

static void report(struct mon_call *a)
{
    if (!vm.quit) debug_stop_text(debug_stop(), a->out);
}

// [-i] [N], and [-v] if verbose is not NULL
static bool step_args(struct mon_call *a, const char *what, u64 *n, unsigned *flags, bool *verbose)
{
    const char *p = a->rest;
    *n = 1;
    *flags = 0;
    while (*p == '-' && (p[1] == 'i' || (p[1] == 'v' && verbose)) && (!p[2] || p[2] == ' ')) {
        if (p[1] == 'i')
            *flags = STEP_HOLD;
        else
            *verbose = true;
        p += 2 + strspn(p + 2, " ");
    }
    if (*p && !mon_number(a, what, p, n)) return false;
    if (*n <= 1000000000) return true;
    mon_fail(a, "%s: at most 1000000000 at once", what);
    return false;
}

void mon_step(struct mon_call *a)
{
    u64 n;
    unsigned flags;
    bool verbose = false;
    if (!step_args(a, "step", &n, &flags, &verbose)) return;
    if (verbose && n > 1000) {
        mon_fail(a, "step -v: at most 1000 at once");
        return;
    }
    for (; verbose && n; n--)
        if (step_verbose(a, mon_the_cpu()->index, flags) != STOP_STEP) {
            report(a);
            return;
        }
    if (verbose) return;
    debug_step(mon_the_cpu()->index, n, flags);
    report(a);
}

// QEMU's `s` is stop, gdb's and Bochs' is step: whichever makes sense.
void mon_s(struct mon_call *a)
{
    if (vm.paused)
        mon_step(a);
    else
        vm_stop();
}

void mon_next(struct mon_call *a)
{
    u64 n;
    unsigned flags, cpu = mon_the_cpu()->index;
    struct err e = {0};
    if (!step_args(a, "next", &n, &flags, NULL)) return;
    while (n-- && !vm.quit) {
        if (!debug_next(cpu, flags, &e)) {
            mon_fail(a, "next: %s", e.msg);
            return;
        }
        if (debug_stop()->kind != STOP_STEP) break;
    }
    report(a);
}

void mon_finish(struct mon_call *a)
{
    struct err e = {0};
    if (debug_finish(mon_the_cpu()->index, &e))
        report(a);
    else
        mon_fail(a, "finish: %s", e.msg);
}

void mon_until(struct mon_call *a)
{
    struct err e = {0};
    u64 at;
    if (!*a->rest) {
        mon_next(a);
        return;
    }
    if (!mon_number(a, "until", a->rest + (*a->rest == '*'), &at)) return;
    if (debug_until(mon_the_cpu()->index, at, &e))
        report(a);
    else
        mon_fail(a, "until: %s", e.msg);
}

void mon_wait(struct mon_call *a)
{
    u64 seconds = 1000000;
    if (*a->rest && !mon_number(a, "wait", a->rest, &seconds)) return;
    if (debug_wait(min_u64(seconds, 1000000) * NS_PER_SEC))
        report(a);
    else
        mon_fail(a, "wait: it still runs");
}

void mon_continue(struct mon_call *a)
{
    u64 seconds;
    if (*a->rest && !mon_number(a, "continue", a->rest, &seconds)) return;
    vm_cont();
    mon_wait(a);
}
