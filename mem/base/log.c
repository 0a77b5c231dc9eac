// SPDX-License-Identifier: MIT
// The log and the trace ring.
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/base/log.h"

#define GUEST_LINES 1000 // of guest_errors before they are only counted: a hostile guest must not fill the host's disk

static const struct {
    const char *name, *help;
} cat_names[LOG_NCATS] = {
    [LOG_GUEST] = {"guest_errors", "what a driver should not do: bad registers, lengths, addresses"},
    [LOG_UNIMP] = {"unimp", "registers and functions that doppel leaves out"},
    [LOG_INT] = {"int", "exceptions and interrupts delivered, in short form"},
    [LOG_RESET] = {"cpu_reset", "CPU state at each reset, and why a triple fault came to pass"},
    [LOG_EXEC] = {"exec", "each block before it runs"},
    [LOG_CPU] = {"cpu", "registers before each block"},
    [LOG_INASM] = {"in_asm", "guest code of each block when it is first decoded"},
    [LOG_OP] = {"op", "IR of each translated block"},
    [LOG_OPOPT] = {"op_opt", "IR after optimisation"},
    [LOG_OUTASM] = {"out_asm", "host code of each translated block"},
    [LOG_MMU] = {"mmu", "page walks that fault"},
    [LOG_PCALL] = {"pcall", "far transfers in protected mode"},
};
static const struct {
    const char *name, *fmt;
} trace_rows[] = {
#define TRACE(name, fmt) {#name, fmt},
#include "mem/base/trace.def"
#undef TRACE
};

const char *log_cat_name(enum log_cat c) { return cat_names[c].name; }
const char *log_cat_help(enum log_cat c) { return cat_names[c].help; }
const char *log_trace_name(enum trace_id id) { return trace_rows[id].name; }

void log_init(struct log *l)
{
    memset(l, 0, sizeof *l);
    l->guest_left = GUEST_LINES;
}

static FILE *log_out(struct log *l) { return l->out ? l->out : stderr; }

void log_item(struct log *l, enum log_cat c, const char *fmt, ...)
{
    if (!log_on(l, c)) return;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(log_out(l), fmt, ap);
    va_end(ap);
}

static void log_line(struct log *l, const char *kind, const char *who, const char *fmt, va_list ap)
{
    if (!l->guest_left) {
        if (!l->guest_dropped++) fprintf(log_out(l), "(further lines of this kind are only counted)\n");
        return;
    }
    l->guest_left--;
    fprintf(log_out(l), "%s: %s: ", who, kind);
    vfprintf(log_out(l), fmt, ap);
    fputc('\n', log_out(l));
}

void log_guest(struct log *l, const char *who, const char *fmt, ...)
{
    if (!log_on(l, LOG_GUEST)) return;
    va_list ap;
    va_start(ap, fmt);
    log_line(l, "guest", who, fmt, ap);
    va_end(ap);
}

void log_unimp(struct log *l, const char *who, const char *fmt, ...)
{
    if (!log_on(l, LOG_UNIMP)) return;
    va_list ap;
    va_start(ap, fmt);
    log_line(l, "unimplemented", who, fmt, ap);
    va_end(ap);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral" // formats come from trace.def only
static void trace_print(FILE *to, const struct log_ring_entry *t)
{
    typedef unsigned long long ull;
    fprintf(to, "%12llu %s ", (ull)t->when, trace_rows[t->id].name);
    fprintf(to, trace_rows[t->id].fmt, (ull)t->a[0], (ull)t->a[1], (ull)t->a[2], (ull)t->a[3]);
    fputc('\n', to);
}

void log_trace(struct log *l, enum trace_id id, u64 a, u64 b, u64 c, u64 d)
{
    struct log_ring_entry *t = &l->ring[l->ring_pos++ & (LOG_RING - 1)];
    *t = (struct log_ring_entry){.id = id, .a = {a, b, c, d}, .when = l->now ? l->now(l->now_owner) : 0};
    if (unlikely(l->trace_on[id / 8] >> id % 8 & 1)) trace_print(log_out(l), t);
}

void log_ring_print(const struct log *l, FILE *to, unsigned max)
{
    u32 n = min_u64(min_u64(max, LOG_RING), l->ring_pos);
    for (u32 i = l->ring_pos - n; i != l->ring_pos; i++) trace_print(to, &l->ring[i & (LOG_RING - 1)]);
}

int log_trace_set(struct log *l, const char *glob, bool on)
{
    int n = 0;
    for (unsigned id = 0; id < TRACE_NIDS; id++) {
        if (fnmatch(glob, trace_rows[id].name, 0)) continue;
        l->trace_on[id / 8] = (l->trace_on[id / 8] & ~(1 << id % 8)) | on << id % 8;
        n++;
    }
    return n;
}

bool log_parse(struct log *l, const char *list, struct err *e)
{
    char item[128];
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        snprintf(item, sizeof item, "%.*s", (int)min_u64(n, sizeof item - 1), p);
        p += n + (p[n] == ',');
        if (!strncmp(item, "trace:", 6)) {
            if (!log_trace_set(l, item + 6, true)) return err_set(e, "-d %s: no trace event has that name", item);
            continue;
        }
        unsigned c = 0;
        while (c < LOG_NCATS && strcmp(item, cat_names[c].name)) c++;
        if (c == LOG_NCATS && strcmp(item, "all"))
            return err_set(e, "-d %s: no such log item; `-d help` lists them", item);
        l->cats |= c == LOG_NCATS ? (1u << LOG_NCATS) - 1 : 1u << c;
    }
    return true;
}

bool log_parse_ranges(struct log *l, const char *list, struct err *e)
{
    for (const char *p = list; *p; p += *p == ',') {
        char *end;
        if (l->nranges == ARRAY_LEN(l->range)) return err_set(e, "-dfilter: more than %zu ranges", ARRAY_LEN(l->range));
        u64 a = strtoull(p, &end, 0), b, how = (u8)*end;
        bool ok = end != p;
        p = end + (end[0] == '.' && end[1] == '.' ? 2 : 1);
        b = ok && *end ? strtoull(p, &end, 0) : 0;
        ok &= end > p && (!*end || *end == ',') && (how == '.' || how == '+' || how == '-') && (how == '.' || b);
        if (how == '+') b = a + b - 1;
        if (how == '-') {
            u64 len = b;
            b = a;
            a -= len - 1;
        }
        if (!ok || b < a)
            return err_set(e, "-dfilter %s: ranges are FIRST..LAST, START+LENGTH or END-LENGTH, with commas between",
                           list);
        l->range[l->nranges].first = a;
        l->range[l->nranges++].last = b;
        p = end;
    }
    return true;
}
