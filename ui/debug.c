// SPDX-License-Identifier: MIT
// The debugger's points and hooks: what is to stop the machine, and the functions of cpu/hook.h that notice.
#include "ui/debug.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/access.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/symbols.h"
#include "ui/vm.h"

#define TEXT_PERIOD (20 * 1000000ull) // ns of virtual time between two looks at the screen
#define MAX_POINTS  20000

struct debugger dbg = {.next_id = 1};

// ---- a hit

u64 debug_linear(const struct cpu *c)
{
    return cpu_code64(c) ? c->gpr[R_RIP] : (u32)(c->seg[S_CS].base + c->gpr[R_RIP]);
}

u64 debug_sp(const struct cpu *c)
{
    if (cpu_code64(c)) return c->gpr[R_RSP];
    u64 sp = c->mode & MODE_SS32 ? (u32)c->gpr[R_RSP] : (u16)c->gpr[R_RSP];
    return (u32)(c->seg[S_SS].base + sp);
}

// Everything that makes the machine stop passes here. The first reason counts.
void debug_request(const struct debug_stop *s)
{
    if (!dbg.pending) dbg.stop = *s;
    dbg.pending = true;
    machine_pause(&vm.pc->m);
}

// Is this point's word "stop"? Counts the hit.
static bool counts(struct debug_point *p, struct cpu *c, struct debug_stop *s)
{
    if (p->disabled || (p->cpu >= 0 && (unsigned)p->cpu != c->index)) return false;
    if (p->sp && debug_sp(c) - p->sp >= 65536) return false;
    if (p->cond) {
        u64 v = 1;
        struct err e = {0};
        if (!expr_eval(c, p->cond, &v, &e))
            snprintf(s->text, sizeof s->text, "condition: %.50s", e.msg);
        else if (!v)
            return false;
    }
    p->hits++;
    if (p->ignore) {
        p->ignore--;
        return false;
    }
    return true;
}

static void hit(struct debug_point *p, struct cpu *c, struct debug_stop *s)
{
    s->kind = p->internal ? STOP_STEP : STOP_POINT;
    s->point = p->kind;
    s->id = p->internal ? 0 : p->id;
    s->owner = p->owner;
    s->cpu = c->index;
    debug_request(s);
}

static bool within(const struct debug_point *p, u64 v) { return v >= p->first && v <= p->last; }

// ---- hooks

// What a command does to the stopped machine is no event.
static bool at_rest(void) { return vm.paused && !dbg.stepping; }

// An instruction is looked at once: not again when the machine goes on from a stop there, nor between the repetitions
// of a string instruction.
static bool looked_at(u64 *memo, struct cpu *c, u64 lin)
{
    u64 n = cpu_icount(c);
    if (memo[0] == lin && memo[1] == n) return true;
    memo[0] = lin;
    memo[1] = n;
    return false;
}

static bool code_matches(const struct debug_point *p, struct cpu *c, u64 lin)
{
    u64 pa;
    switch (p->kind) {
    case POINT_CODE: return p->first == lin;
    case POINT_CODE_PHYS: return mmu_peek(c, lin, &pa) && p->first == pa;
    case POINT_CODE_SEG: return p->sel == c->seg[S_CS].sel && p->first == c->gpr[R_RIP];
    default: return false;
    }
}

static bool on_code(struct cpu *c, u64 lin)
{
    bool stop = false;
    if (looked_at(dbg.at[c->index].code, c, lin)) return false;
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        struct debug_stop s = {.addr = p->first};
        if (!code_matches(p, c, lin) || !counts(p, c, &s)) continue;
        hit(p, c, &s);
        stop = true;
    }
    return stop;
}

static bool on_insn(struct cpu *c, u64 lin)
{
    if (looked_at(dbg.at[c->index].insn, c, lin)) return false;
    if (dbg.trace) debug_trace_insn(c, lin);
    return dbg.finish.on && debug_finish_insn(c);
}

static bool on_fault(struct cpu *c)
{
    bool stop = false;
    u64 *memo = dbg.at[c->index].fault, v = (u64)c->exc;
    if (looked_at(memo, c, debug_linear(c) << 8 | v)) return false;
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        struct debug_stop s = {
            .vector = c->exc, .err = c->exc_has_err ? c->exc_err : 0, .addr = c->cr2, .int_kind = INT_FAULT};
        if (p->kind != POINT_EXCEPTION || !within(p, v) || !counts(p, c, &s)) continue;
        hit(p, c, &s);
        stop = true;
    }
    return stop;
}

static u64 peek(struct cpu *c, const struct hook_access *a)
{
    u8 b[8] = {0};
    u32 n = (u32)min_u64(a->size, 8);
    while (n && !(a->walk ? bus_peek(c->bus, a->pa, b, n) : mmu_debug_read(c, a->lin, b, n))) n--;
    return ld64(b);
}

// A device's transfer. What is reported of a long one is the part that is watched.
static void on_dma(void *owner, u64 pa, const u8 *bytes, u64 len, bool write)
{
    struct cpu *c = vm.pc->m.cpu[vm.pc->m.bus.cur_cpu];
    if (at_rest() || !len) return;
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        if (p->kind != POINT_WATCH_PHYS || !(write ? p->wr : p->rd)) continue;
        if (pa > p->last || pa + (len - 1) < p->first) continue;
        u64 from = max_u64(pa, p->first), n = min_u64(pa + (len - 1), p->last) - from + 1;
        u8 now[8] = {0}, then[8] = {0};
        u32 few = (u32)min_u64(n, 8);
        struct debug_stop s = {.addr = from, .size = (u32)n, .write = write, .by = BY_DMA};
        if (!counts(p, c, &s)) continue;
        memcpy(now, bytes + (from - pa), few);
        s.value = s.old = ld64(now);
        if (write && bus_peek(&vm.pc->m.bus, from, then, few)) s.old = ld64(then);
        hit(p, c, &s);
    }
}

static void on_data(struct cpu *c, const struct hook_access *a)
{
    if (at_rest()) return;
    if (dbg.mem_trace && !a->walk) debug_trace_data(c, a);
    if (dbg.saw_data && !a->walk) dbg.saw_data(c, a);
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        bool phys = p->kind == POINT_WATCH_PHYS;
        if ((p->kind != POINT_WATCH || a->walk) && !phys) continue;
        if (!(a->write ? p->wr : p->rd)) continue;
        u64 from = phys ? a->pa : a->lin;
        u32 room = (u32)min_u64(a->size, PAGE_SIZE - (a->lin & 0xfff));
        bool meets = phys ? (from <= p->last && from + room - 1 >= p->first) ||
                                (room < a->size && a->pa2 <= p->last && a->pa2 + (a->size - room) - 1 >= p->first)
                          : from <= p->last && from + a->size - 1 >= p->first;
        struct debug_stop s = {.addr = from, .size = a->size, .write = a->write, .value = a->value};
        if (!meets || !counts(p, c, &s)) continue;
        s.old = a->write ? peek(c, a) : a->value;
        s.by = a->walk ? BY_WALK : BY_CPU;
        hit(p, c, &s);
        c->attn |= ATTN_EXIT;
    }
}

static void event_point(struct cpu *c, enum point_kind kind, u64 v, bool read, const struct debug_stop *proto)
{
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        struct debug_stop s = *proto;
        if (p->kind != kind || !within(p, v)) continue;
        if (kind == POINT_IO && !(read ? p->rd : p->wr)) continue;
        if (!counts(p, c, &s)) continue;
        hit(p, c, &s);
        c->attn |= ATTN_EXIT;
    }
}

static void on_io(struct cpu *c, bool in, u64 a, u64 v)
{
    u32 size = a >> 16, port = a & 0xffff;
    if (dbg.io_trace) debug_trace_io(c, port, size, v, !in);
    if (dbg.saw_io) dbg.saw_io(c, port, size, v, !in);
    struct debug_stop s = {.addr = port, .size = size, .write = !in, .value = v, .old = v};
    for (u32 k = 0; k < size; k++) { // once an access, whatever port of it is the point's
        bool before = dbg.pending;
        event_point(c, POINT_IO, port + k, in, &s);
        if (dbg.pending != before) return;
    }
}

static void on_event(struct cpu *c, enum hook_event what, u64 a, u64 b, u64 v)
{
    struct debug_stop s = {.old = b, .value = v, .addr = a};
    if (at_rest()) return;
    const u32 mode_bits = MODE_CODE | MODE_PE | MODE_VM | MODE_LMA;
    switch (what) {
    case HOOK_INT:
        if (dbg.finish.on && c->index == dbg.finish.cpu) dbg.finish.depth++;
        s = (struct debug_stop){.vector = (int)a, .int_kind = (u8)b, .err = (u32)v};
        if (b != INT_FAULT) event_point(c, POINT_INT, a, false, &s);
        break;
    case HOOK_IN:
    case HOOK_OUT: on_io(c, what == HOOK_IN, a, b); break;
    case HOOK_CR:
        if (b != v) event_point(c, POINT_CR, a, false, &s);
        break;
    case HOOK_MODE:
        s.old = a, s.value = b;
        if ((a ^ b) & mode_bits) event_point(c, POINT_MODE, 0, false, &s);
        break;
    case HOOK_TRIPLE:
        if (dbg.autopsy) debug_autopsy_print(c);
        event_point(c, POINT_TRIPLE, 0, false, &s);
        break;
    case HOOK_MAGIC: event_point(c, POINT_MAGIC, 0, false, &s); break;
    case HOOK_ICOUNT:
        for (struct debug_point *p = dbg.points; p; p = p->next) {
            if (p->kind != POINT_ICOUNT || cpu_icount(c) < p->first || !counts(p, c, &s)) continue;
            s.value = cpu_icount(c);
            hit(p, c, &s);
        }
        c->icount_stop = ~(u64)0; // debug_resuming() finds the next one
        break;
    default: break;
    }
}

// ---- time and text

static void on_time(void *owner)
{
    u64 now = clock_now(&vm.pc->m.bus.clock);
    struct cpu *c = vm.pc->m.cpu[0];
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        struct debug_stop s = {.value = now};
        if (p->kind != POINT_TIME || p->disabled || p->first > now || p->seen) continue;
        p->seen = true;
        if (counts(p, c, &s)) hit(p, c, &s);
    }
    debug_arm();
}

static bool text_hit(struct debug_point *p)
{
    struct debug_stop s = {0};
    struct cpu *c = vm.pc->m.cpu[p->cpu >= 0 ? p->cpu : 0];
    snprintf(s.text, sizeof s.text, "%s", p->text);
    if (!counts(p, c, &s)) return false;
    hit(p, c, &s);
    return true;
}

static void serial(const u8 *p, size_t n)
{
    if (likely(!dbg.text_points)) return;
    for (; n; n--, p++) {
        if (dbg.nline == sizeof dbg.line - 1) {
            memmove(dbg.line, dbg.line + 256, dbg.nline - 256);
            dbg.nline -= 256;
        }
        dbg.line[dbg.nline++] = *p ? (char)*p : ' ';
        dbg.line[dbg.nline] = 0;
        for (struct debug_point *q = dbg.points; q; q = q->next) {
            size_t len = q->kind == POINT_TEXT ? strlen(q->text) : 0;
            if (len && len <= dbg.nline && !memcmp(dbg.line + dbg.nline - len, q->text, len)) text_hit(q);
        }
    }
}

static size_t tap(struct chardev *c, const u8 *p, size_t n)
{
    unsigned i = 0;
    while (dbg.tap[i].c != c) i++;
    size_t k = dbg.tap[i].write(c, p, n);
    serial(p, k);
    return k;
}

void debug_serial(struct chardev *c)
{
    unsigned i = 0;
    if (!c || !c->write) return;
    while (i < ARRAY_LEN(dbg.tap) && dbg.tap[i].c && dbg.tap[i].c != c) i++;
    if (i == ARRAY_LEN(dbg.tap) || dbg.tap[i].c) return;
    dbg.tap[i].c = c;
    dbg.tap[i].write = c->write;
    c->write = tap;
}

// The screen is looked at by a timer of its own: a text counts when it comes to be there, not while it stays.
static void on_screen(void *owner)
{
    static struct text_screen t;
    static char row[512];
    if (vm.pc->screen.dev && vm.pc->screen.text(vm.pc->screen.dev, &t)) {
        for (struct debug_point *p = dbg.points; p; p = p->next) {
            if (p->kind != POINT_TEXT) continue;
            bool there = false;
            for (u32 y = 0; y < t.rows && !there; y++) {
                u32 n = min_u64(t.cols, sizeof row - 1);
                for (u32 x = 0; x < n; x++) {
                    char ch = (char)(t.cell[y * t.cols + x] & 0xff);
                    row[x] = ch ? ch : ' ';
                }
                row[n] = 0;
                there = strstr(row, p->text);
            }
            if (there && !p->seen) text_hit(p);
            p->seen = there;
        }
    }
    debug_arm();
}

void debug_arm(void)
{
    struct clock *k = &vm.pc->m.bus.clock;
    u64 now = clock_now(k), due = ~(u64)0;
    if (!dbg.time.fn) {
        timer_init(&dbg.time, on_time, NULL);
        timer_init(&dbg.screen, on_screen, NULL);
    }
    for (struct debug_point *p = dbg.points; p; p = p->next)
        if (p->kind == POINT_TIME && !p->disabled && !p->seen) due = min_u64(due, p->first);
    if (due != ~(u64)0)
        timer_arm(k, &dbg.time, due);
    else
        timer_cancel(k, &dbg.time);
    if (!dbg.text_points)
        timer_cancel(k, &dbg.screen);
    else if (!timer_armed(&dbg.screen))
        timer_arm(k, &dbg.screen, now + TEXT_PERIOD);
}

// ---- hanging the hooks in

static const u32 event_of[POINT_NKINDS] = {
    [POINT_IO] = 1u << HOOK_IN | 1u << HOOK_OUT,
    [POINT_INT] = 1u << HOOK_INT,
    [POINT_CR] = 1u << HOOK_CR,
    [POINT_MODE] = 1u << HOOK_MODE,
    [POINT_TRIPLE] = 1u << HOOK_TRIPLE,
    [POINT_MAGIC] = 1u << HOOK_MAGIC,
    [POINT_ICOUNT] = 1u << HOOK_ICOUNT,
};

// Marks for one point; false: no room.
static bool mark(struct cpu_hooks *h, const struct debug_point *p)
{
    switch (p->kind) {
    case POINT_CODE: return hook_mark(h, p->first, false);
    case POINT_CODE_PHYS: return hook_mark(h, p->first, true);
    case POINT_CODE_SEG: {
        // Where CS's base puts it: as in real mode, as the segment is now, and as the descriptor table says.
        bool ok = hook_mark(h, ((u64)p->sel << 4) + p->first, false) && hook_mark(h, p->first, false);
        for (unsigned i = 0; ok && i < vm.pc->m.ncpus; i++) {
            struct cpu *c = vm.pc->m.cpu[i];
            u8 raw[8];
            struct desc d;
            if (c->seg[S_CS].sel == p->sel) ok = hook_mark(h, (u32)(c->seg[S_CS].base + p->first), false);
            u64 table = p->sel & 4 ? c->seg[S_LDTR].base : c->gdt_base;
            if (!ok || !mmu_debug_read(c, table + (p->sel & 0xfff8), raw, 8)) continue;
            seg_decode(&d, ld32(raw), ld32(raw + 4));
            ok = hook_mark(h, (u32)(d.base + p->first), false);
        }
        return ok;
    }
    case POINT_WATCH:
    case POINT_WATCH_PHYS: hook_watch(h, p->first, p->last, p->kind == POINT_WATCH_PHYS); return true;
    default: return true;
    }
}

static void apply(void)
{
    struct cpu_hooks *h = &dbg.hooks;
    bool any = dbg.trace || dbg.mem_trace || dbg.io_trace || dbg.saw_data || dbg.finish.on, fault = false, dma = false;
    h->wants = (dbg.autopsy ? 1u << HOOK_TRIPLE : 0) |
               (dbg.io_trace || dbg.saw_io ? 1u << HOOK_IN | 1u << HOOK_OUT : 0) | (dbg.finish.on ? 1u << HOOK_INT : 0);
    h->each = dbg.trace || dbg.finish.on;
    h->watch_all = dbg.mem_trace || dbg.saw_data;
    hook_clear(h);
    dbg.text_points = 0;
    for (struct debug_point *p = dbg.points; p; p = p->next) {
        any = true;
        if (p->disabled) continue;
        dbg.text_points += p->kind == POINT_TEXT;
        fault |= p->kind == POINT_EXCEPTION;
        h->wants |= event_of[p->kind];
        dma |= p->kind == POINT_WATCH_PHYS;
        if (!mark(h, p)) p->disabled = true; // debug_add() has seen to it that there is room
    }
    vm.pc->m.bus.hooks.dma = dma ? on_dma : NULL;
    h->code = on_code;
    h->insn = on_insn;
    h->data = on_data;
    h->event = on_event;
    h->fault = fault ? on_fault : NULL;
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        struct cpu *c = vm.pc->m.cpu[i];
        c->hooks = any ? h : NULL;
        c->autopsy = dbg.autopsy ? h : NULL; // (-no-reboot: hooks for that would cost every fault its short ways)
        bool cheap = log_on(&vm.pc->m.bus.log, LOG_RESET) || !strcmp(c->engine->name, "interp");
        c->trail->blocks_on = dbg.branches || (dbg.autopsy && cheap);
        c->icount_stop = ~(u64)0;
        cpu_update_mode(c);
        tlb_flush(c, true);
        c->engine->flush(c);
    }
    dbg.stale = false;
    debug_count_stops();
    debug_arm();
}

// A thousand points in a row are worth one look: it is put off until the machine goes on.
static void install(void)
{
    dbg.stale = true;
    if (dbg.stepping) apply();
}

void debug_ready(void)
{
    if (unlikely(dbg.stale)) apply();
}

void debug_record_branches(void)
{
    dbg.branches = true;
    install();
}

// The nearest instruction count that a point waits for, a CPU.
void debug_count_stops(void)
{
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        struct cpu *c = vm.pc->m.cpu[i];
        u64 n = cpu_icount(c), stop = ~(u64)0;
        for (struct debug_point *p = dbg.points; p; p = p->next)
            if (p->kind == POINT_ICOUNT && !p->disabled && p->first > n && (p->cpu < 0 || (unsigned)p->cpu == i))
                stop = min_u64(stop, p->first);
        c->icount_stop = stop;
    }
}

void debug_changed(void) { install(); }

// ---- points

struct debug_point *debug_points(void) { return dbg.points; }

struct debug_point *debug_find(unsigned id)
{
    struct debug_point *p = dbg.points;
    while (p && p->id != id) p = p->next;
    return p;
}

static void free_point(struct debug_point *p)
{
    free((char *)p->cond);
    free((char *)p->text);
    free(p);
}

static struct debug_point **last_link(void)
{
    struct debug_point **at = &dbg.points;
    while (*at) at = &(*at)->next;
    return at;
}

struct debug_point *debug_add(const struct debug_point *proto, struct err *e)
{
    unsigned n = 0;
    u64 v;
    struct err cond = {0};
    for (struct debug_point *p = dbg.points; p; p = p->next) n++;
    if (n >= MAX_POINTS) {
        err_set(e, "there are %u points already", n);
        return NULL;
    }
    if (proto->last && proto->last < proto->first) {
        err_set(e, "the range ends before it begins");
        return NULL;
    }
    if (proto->kind == POINT_TEXT && (!proto->text || !*proto->text || strlen(proto->text) >= sizeof dbg.line / 2)) {
        err_set(e, "a text of 1 to %u characters is needed", (unsigned)sizeof dbg.line / 2 - 1);
        return NULL;
    }
    // What is not mapped now may be so when the point is hit.
    if (proto->cond && !expr_eval(vm.pc->m.cpu[0], proto->cond, &v, &cond) && strncmp(cond.msg, "no memory", 9)) {
        err_set(e, "condition: %s", cond.msg);
        return NULL;
    }
    struct debug_point *p = xalloc(sizeof *p);
    *p = *proto;
    if (!p->last) p->last = p->first;
    p->cond = p->cond ? xstrdup(p->cond) : NULL;
    p->text = p->text ? xstrdup(p->text) : NULL;
    p->hits = 0;
    p->next = NULL;
    p->id = p->internal ? 0 : dbg.next_id++;
    if (!mark(&dbg.hooks, p)) {
        free_point(p);
        err_set(e, "too many pages carry breakpoints (4094, 254 by physical address)");
        return NULL;
    }
    *last_link() = p;
    install();
    return p;
}

static bool delete_if(bool (*fn)(const struct debug_point *p, void *arg), void *arg)
{
    bool any = false;
    for (struct debug_point **at = &dbg.points; *at;) {
        struct debug_point *p = *at;
        if (!fn(p, arg)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free_point(p);
        any = true;
    }
    if (any) install();
    return any;
}
static bool has_id(const struct debug_point *p, void *id) { return p->id == *(unsigned *)id && !p->internal; }
bool debug_delete(unsigned id) { return delete_if(has_id, &id); }
static bool has_owner(const struct debug_point *p, void *owner) { return p->owner == owner; }
void debug_delete_owner(void *owner) { delete_if(has_owner, owner); }
static bool is_internal(const struct debug_point *p, void *arg) { return p->internal; }
void debug_delete_internal(void) { delete_if(is_internal, NULL); }
static bool was_temporary(const struct debug_point *p, void *id) { return p->temporary && p->id == *(unsigned *)id; }

static const char *const kinds[POINT_NKINDS] = {"breakpoint",
                                                "breakpoint (physical)",
                                                "breakpoint",
                                                "watchpoint",
                                                "watchpoint (physical)",
                                                "port",
                                                "exception",
                                                "interrupt",
                                                "control register",
                                                "mode switch",
                                                "triple fault",
                                                "magic xchg bx,bx",
                                                "instruction count",
                                                "virtual time",
                                                "text"};

const char *debug_kind_name(enum point_kind k) { return kinds[k]; }

const char *debug_point_text(const struct debug_point *p, struct buf *out)
{
    typedef unsigned long long ull;
    size_t from = out->len;
    buf_printf(out, "%s", kinds[p->kind]);
    switch (p->kind) {
    case POINT_CODE:
    case POINT_CODE_PHYS:
        buf_printf(out, " 0x%llx", (ull)p->first);
        if (p->kind == POINT_CODE && *symbol_text(mon_the_cpu(), p->first))
            buf_printf(out, " <%s>", symbol_text(mon_the_cpu(), p->first));
        break;
    case POINT_CODE_SEG: buf_printf(out, " %04x:%llx", p->sel, (ull)p->first); break;
    case POINT_WATCH:
    case POINT_WATCH_PHYS:
    case POINT_IO:
        buf_printf(out, " 0x%llx", (ull)p->first);
        if (p->last != p->first) buf_printf(out, "-0x%llx", (ull)p->last);
        buf_printf(out, " %s%s", p->rd ? "r" : "", p->wr ? "w" : "");
        break;
    case POINT_EXCEPTION:
    case POINT_INT:
        if (p->first == 0 && p->last >= 255)
            buf_printf(out, " (any)");
        else if (p->last != p->first)
            buf_printf(out, " 0x%llx-0x%llx", (ull)p->first, (ull)p->last);
        else
            buf_printf(out, " 0x%llx", (ull)p->first);
        break;
    case POINT_CR: buf_printf(out, p->first == 16 ? " efer" : " cr%llu", (ull)p->first); break;
    case POINT_ICOUNT: buf_printf(out, " %llu", (ull)p->first); break;
    case POINT_TIME: buf_printf(out, " %llu ns", (ull)p->first); break;
    case POINT_TEXT: buf_printf(out, " \"%s\"", p->text); break;
    default: break;
    }
    return buf_text(out) + from;
}

// ---- stops

const struct debug_stop *debug_stop(void) { return &dbg.stop; }

void debug_listen(struct debug_listener *l)
{
    l->next = dbg.listeners;
    dbg.listeners = l;
}

void debug_unlisten(struct debug_listener *l)
{
    for (struct debug_listener **p = &dbg.listeners; *p; p = &(*p)->next)
        if (*p == l) {
            *p = l->next;
            return;
        }
}

// Fills in where the CPU stands, and tells everybody.
static void settle(void)
{
    struct cpu *c = vm.pc->m.cpu[dbg.stop.cpu < vm.pc->m.ncpus ? dbg.stop.cpu : 0];
    dbg.stop.rip = c->gpr[R_RIP];
    dbg.stop.lin = debug_linear(c);
    mon_cpu = c->index;
    if (dbg.stop.kind == STOP_POINT && dbg.stop.id) delete_if(was_temporary, &dbg.stop.id);
    for (struct debug_listener *l = dbg.listeners, *next; l; l = next) {
        next = l->next;
        l->stopped(l->owner, &dbg.stop);
    }
}

void debug_paused(void)
{
    if (!dbg.pending) return;
    dbg.pending = false;
    bool was = vm.paused;
    vm.paused = true;
    machine_stop(&vm.pc->m);
    if (!was) settle(); // else it is a step, which tells by itself
}

void debug_stopped_by(enum stop_kind k)
{
    if (dbg.pending && k == STOP_USER) { // something else came first
        dbg.pending = false;
    } else {
        dbg.pending = false;
        dbg.stop = (struct debug_stop){.kind = k, .cpu = mon_cpu};
    }
    settle();
}

void debug_resuming(void)
{
    debug_ready();
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        struct cpu *c = vm.pc->m.cpu[i];
        u64 lin = debug_linear(c);
        looked_at(dbg.at[i].code, c, lin);
        if (c->exc >= 0) looked_at(dbg.at[i].fault, c, lin << 8 | (u64)c->exc);
    }
    debug_count_stops();
    debug_arm();
    for (struct debug_listener *l = dbg.listeners, *next; l; l = next) {
        next = l->next;
        if (l->resumed) l->resumed(l->owner);
    }
}

void debug_autopsy(bool on)
{
    dbg.autopsy = on;
    install();
}

void debug_free(void)
{
    while (dbg.points) {
        struct debug_point *p = dbg.points;
        dbg.points = p->next;
        free_point(p);
    }
    hook_clear(&dbg.hooks);
    debug_trace_close();
}
