// SPDX-License-Identifier: MIT
// Monitor sessions: lines in, answers out, commands by table. On a terminal it edits the line itself (arrows, history,
// completion, the usual control keys): that works the same on stdio behind the multiplexer, telnet and ptys, where a
// line-editing library that wants a tty of its own does not.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/debug.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

#define PROMPT  "(doppel) "
#define LINE    1024
#define HISTORY 64
#define MAXARGS 32

static const struct command {
    const char *name, *args, *help;
    mon_fn *fn;
} commands[] = {
#define CMD(fn, name, args, help) {name, args, help, mon_##fn},
#include "ui/monitor.def"
#undef CMD
};

// ---- one line

void mon_fail(struct mon_call *a, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(a->out, "%s\n", text);
    a->failed = true;
}

static const struct command *command_named(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    return NULL;
}

void mon_help(struct mon_call *a)
{
    if (a->argc) {
        const struct command *c = command_named(a->argv[0]);
        struct nearest near = {.word = a->argv[0]};
        for (unsigned i = 0; i < ARRAY_LEN(commands); i++) nearest_try(&near, commands[i].name);
        if (!c) {
            mon_fail(a, "unknown command '%s'%s", a->argv[0], nearest_text(&near, ""));
            return;
        }
        while (c > commands && !*c->help) c--;
        buf_printf(a->out, "%s %s -- %s\n", c->name, c->args, c->help);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        if (*commands[i].help)
            buf_printf(a->out, "%s%s%s -- %s\n", commands[i].name, *commands[i].args == '/' ? "" : " ",
                       commands[i].args, commands[i].help);
}

// Splits at blanks; quotes keep them. Writes into `line`.
static int split(char *line, char **argv)
{
    int n = 0;
    char *p = line;
    for (;;) {
        while (*p == ' ' || *p == '\t') p++;
        if (!*p || n == MAXARGS) return n;
        char *to = p;
        argv[n++] = p;
        bool quoted = false;
        for (; *p && (quoted || (*p != ' ' && *p != '\t')); p++) {
            if (*p == '"')
                quoted = !quoted;
            else
                *to++ = *p;
        }
        bool end = !*p;
        *to = 0;
        if (end) return n;
        p++;
    }
}

bool monitor_run(const char *line, struct buf *out)
{
    while (*line == ' ' || *line == '\t') line++;
    if (!*line || *line == '#') return true;
    size_t n = strcspn(line, " \t/");
    char name[64], fmt[32] = "", *argv[MAXARGS];
    snprintf(name, sizeof name, "%.*s", (int)n, line);
    const struct command *c = command_named(name);
    if (!c) {
        struct nearest near = {.word = name};
        for (unsigned i = 0; i < ARRAY_LEN(commands); i++) nearest_try(&near, commands[i].name);
        buf_printf(out, "unknown command '%s'%s (help lists them)\n", name, nearest_text(&near, ""));
        return false;
    }
    const char *rest = line + n;
    bool has_fmt = strchr(c->args, '/') != NULL; // only these read a '/' behind a blank as a format
    if (has_fmt || *rest != '/') rest += strspn(rest, " \t");
    if (*rest == '/' && (has_fmt || rest == line + n)) {
        size_t k = strcspn(++rest, " \t");
        snprintf(fmt, sizeof fmt, "%.*s", (int)k, rest);
        rest += k;
        rest += strspn(rest, " \t");
    }
    char *copy = xstrdup(rest);
    struct mon_call a = {.out = out, .fmt = fmt, .rest = rest, .argc = split(copy, argv), .argv = argv};
    int need = 0, depth = 0; // words that are not optional; brackets open
    for (const char *p = c->args; *p; p++) {
        depth += (*p == '[') - (*p == ']');
        if ((p == c->args || p[-1] == ' ') && !depth && *p != '/') need++;
    }
    if (a.argc < need)
        mon_fail(&a, "%s: an argument is missing: %s%s%s", name, name, *c->args == '/' ? "" : " ", c->args);
    else if (!*c->args && a.argc)
        mon_fail(&a, "%s takes no argument", name);
    else if (*fmt && !has_fmt)
        mon_fail(&a, "%s takes no format", name);
    else
        c->fn(&a);
    free(copy);
    return !a.failed;
}

void mon_source(struct mon_call *a)
{
    static int depth;
    FILE *f = fopen(a->argv[0], "r");
    char line[LINE];
    if (!f || depth > 8) {
        mon_fail(a, "source: cannot read '%s'", a->argv[0]);
        if (f) fclose(f);
        return;
    }
    depth++;
    while (!a->failed && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = 0;
        a->failed = !monitor_run(line, a->out);
    }
    depth--;
    fclose(f);
}

// ---- sessions

struct monitor {
    struct chardev *c;
    bool tty, shared /* behind a multiplexer: focus comes and goes */, away, greeted;
    bool busy; // a command runs, perhaps for long: what comes in waits
    struct buf in;
    struct buf pending; // output that the back end has not taken
    char line[LINE];
    u32 len, cur;
    u32 esc; // of an escape sequence: 0 none, 1 after ESC, 2 after ESC [ or ESC O
    u32 esc_arg;
    char *history[HISTORY];
    u32 nhist, at;
    struct monitor *next;
};
static struct monitor *monitors; // all, for monitor_free_all()

static void push(struct monitor *m)
{
    size_t k = chardev_write(m->c, m->pending.data, m->pending.len);
    memmove(m->pending.data, m->pending.data + k, m->pending.len - k);
    m->pending.len -= k;
}

static void put(struct monitor *m, const char *text)
{
    struct chr *r = chr_of(m->c);
    bool crlf = r && r->tty && !r->borrowed; // telnet and ptys: nobody behind us adds the CR
    for (; *text; text++) {
        if (crlf && *text == '\n') buf_u8(&m->pending, '\r');
        buf_u8(&m->pending, (u8)*text);
    }
    if (m->pending.len) push(m);
}

static void redraw(struct monitor *m)
{
    char move[32];
    if (!m->tty) return;
    put(m, "\r\033[K" PROMPT);
    put(m, m->line);
    snprintf(move, sizeof move, "\r\033[%uC", (unsigned)strlen(PROMPT) + m->cur);
    put(m, move);
}

static void set_line(struct monitor *m, const char *text)
{
    snprintf(m->line, sizeof m->line, "%s", text);
    m->len = m->cur = (u32)strlen(m->line);
    redraw(m);
}

static void run_line(struct monitor *m)
{
    struct buf out = {0};
    if (m->tty) put(m, "\n");
    if (m->len && (!m->nhist || strcmp(m->history[(m->nhist - 1) % HISTORY], m->line))) {
        char **slot = &m->history[m->nhist++ % HISTORY];
        free(*slot);
        *slot = xstrdup(m->line);
    }
    m->at = m->nhist;
    char line[LINE];
    memcpy(line, m->line, sizeof line);
    m->len = m->cur = 0;
    m->line[0] = 0;
    m->busy = true;
    monitor_run(line, &out);
    m->busy = false;
    put(m, buf_text(&out));
    buf_free(&out);
    if (!vm.quit) put(m, PROMPT);
}

static void insert(struct monitor *m, char c)
{
    if (m->len + 1 >= LINE) return;
    memmove(m->line + m->cur + 1, m->line + m->cur, m->len - m->cur + 1);
    m->line[m->cur++] = c;
    m->len++;
    if (!m->tty) return;
    char one[2] = {c, 0};
    if (m->cur == m->len)
        put(m, one);
    else
        redraw(m);
}

static void erase(struct monitor *m, u32 from, u32 to)
{
    memmove(m->line + from, m->line + to, m->len - to + 1);
    m->len -= to - from;
    m->cur = from;
    redraw(m);
}

// TAB: commands, or topics behind `info`.
static void complete(struct monitor *m)
{
    bool info = !strncmp(m->line, "info ", 5);
    u32 from = info ? 5 : 0;
    if (m->cur != m->len || (!info && strchr(m->line, ' '))) return;
    const char *first = NULL;
    unsigned hits = 0, common = 0;
    struct buf list = {0};
    for (unsigned i = 0;; i++) {
        const char *w = info ? mon_info_topic(i) : i < ARRAY_LEN(commands) ? commands[i].name : NULL;
        if (!w) break;
        if (strncmp(w, m->line + from, m->len - from)) continue;
        if (!hits++) {
            first = w;
            common = (unsigned)strlen(w);
        }
        unsigned k = 0;
        while (k < common && w[k] == first[k]) k++;
        common = k;
        buf_printf(&list, "%s%s", hits > 1 ? "  " : "", w);
    }
    if (hits) {
        for (unsigned i = m->len - from; i < common; i++) insert(m, first[i]);
        if (hits == 1) insert(m, ' ');
    }
    if (hits > 1 && m->len - from == common) {
        put(m, "\n");
        put(m, buf_text(&list));
        put(m, "\n");
        redraw(m);
    }
    buf_free(&list);
}

static void history_step(struct monitor *m, int by)
{
    u32 oldest = m->nhist > HISTORY ? m->nhist - HISTORY : 0, to = m->at + (u32)by;
    if (by < 0 ? m->at == oldest : m->at == m->nhist) return;
    m->at = to;
    set_line(m, to == m->nhist ? "" : m->history[to % HISTORY]);
}

static void move_to(struct monitor *m, u32 cur)
{
    m->cur = cur;
    redraw(m);
}

static void special_key(struct monitor *m, char c)
{
    switch (c) {
    case 'A': history_step(m, -1); break;
    case 'B': history_step(m, 1); break;
    case 'C': move_to(m, m->cur + (m->cur < m->len)); break;
    case 'D': move_to(m, m->cur - (m->cur > 0)); break;
    case 'H': move_to(m, 0); break;
    case 'F': move_to(m, m->len); break;
    case '~':
        if (m->esc_arg == 3 && m->cur < m->len) erase(m, m->cur, m->cur + 1);
        if (m->esc_arg == 1 || m->esc_arg == 7) move_to(m, 0);
        if (m->esc_arg == 4 || m->esc_arg == 8) move_to(m, m->len);
        break;
    }
}

static void control_key(struct monitor *m, char c)
{
    u32 k = m->cur;
    switch (c) {
    case 'A' - 64: move_to(m, 0); break;
    case 'B' - 64: special_key(m, 'D'); break;
    case 'C' - 64: set_line(m, ""); break;
    case 'D' - 64:
        if (m->cur < m->len) erase(m, m->cur, m->cur + 1);
        break;
    case 'E' - 64: move_to(m, m->len); break;
    case 'F' - 64: special_key(m, 'C'); break;
    case 'K' - 64: erase(m, m->cur, m->len); break;
    case 'L' - 64:
        put(m, "\033[H\033[2J");
        redraw(m);
        break;
    case 'N' - 64: history_step(m, 1); break;
    case 'P' - 64: history_step(m, -1); break;
    case 'U' - 64: erase(m, 0, m->cur); break;
    case 'W' - 64:
        while (k && m->line[k - 1] == ' ') k--;
        while (k && m->line[k - 1] != ' ') k--;
        erase(m, k, m->cur);
        break;
    case '\t': complete(m); break;
    case '\b':
    case 127:
        if (m->cur) erase(m, m->cur - 1, m->cur);
        break;
    case 27: m->esc = 1; break;
    }
}

static void key(struct monitor *m, char c)
{
    if (c == '\n' || (m->tty && c == '\r')) {
        run_line(m);
    } else if (!m->tty) {
        if (c != '\r') insert(m, c);
    } else if (m->esc == 1) {
        m->esc = c == '[' || c == 'O' ? 2 : 0;
        m->esc_arg = 0;
    } else if (m->esc == 2) {
        if (c >= '0' && c <= '9') {
            m->esc_arg = (m->esc_arg * 10 + (u32)(c - '0')) % 1000;
        } else {
            m->esc = 0;
            special_key(m, c);
        }
    } else if ((u8)c < 32 || c == 127) {
        control_key(m, c);
    } else {
        insert(m, c);
    }
}

static size_t can_receive(void *front) { return 64; }

// While a command waits for the machine, only these are for now: Ctrl-C, `stop` and `quit`.
static void interrupt(struct monitor *m)
{
    static const char *const now[] = {"stop\n", "s\n", "quit\n", "q\n"};
    for (size_t i = 0; i < m->in.len; i++) {
        u8 *p = m->in.data + i;
        size_t n = 1;
        bool hit = *p == 'C' - 64, quit = false;
        for (unsigned k = 0; k < ARRAY_LEN(now) && !hit && (!i || p[-1] == '\n' || p[-1] == '\r'); k++) {
            n = strlen(now[k]);
            hit = m->in.len - i >= n && !memcmp(p, now[k], n - 1) && (p[n - 1] == '\n' || p[n - 1] == '\r');
            quit = hit && k > 1;
        }
        if (!hit) continue;
        memmove(p, p + n, m->in.len - i - n);
        m->in.len -= n;
        if (quit)
            vm_quit(0);
        else
            vm_stop();
        return;
    }
}
static void receive(void *front, const u8 *p, size_t n)
{
    struct monitor *m = front;
    buf_add(&m->in, p, n);
    if (m->busy) {
        interrupt(m);
        return;
    }
    while (m->in.len && !vm.quit) {
        char c = (char)m->in.data[0];
        memmove(m->in.data, m->in.data + 1, --m->in.len);
        key(m, c);
    }
}

// The debugger's news to all who do not wait for them as an answer; those of gdb's own points are gdb's.
static void say_stopped(void *owner, const struct debug_stop *s)
{
    if (s->kind == STOP_USER || s->owner) return;
    for (struct monitor *m = monitors; m; m = m->next) {
        struct buf out = {0};
        if (!m->c || m->busy || m->away) continue;
        buf_printf(&out, "\n");
        debug_stop_text(s, &out);
        buf_printf(&out, "%s", PROMPT);
        put(m, buf_text(&out));
        put(m, m->line);
        buf_free(&out);
    }
}
static void greet(struct monitor *m)
{
    put(m, m->greeted ? "\n" : "doppel monitor - type 'help' for more information\n");
    put(m, PROMPT);
    put(m, m->line);
    m->greeted = true;
}
static void event(void *front, enum chardev_event e)
{
    struct monitor *m = front;
    if (e == CHARDEV_CLOSED) {
        m->in.len = 0;
        m->len = m->cur = m->esc = 0;
        m->line[0] = 0;
        m->pending.len = 0;
        m->greeted = false;
    }
    if (e == CHARDEV_OPENED && !m->shared) greet(m);
}
static void writable(void *front) { push(front); }
void monitor_focus(void *m, bool on)
{
    ((struct monitor *)m)->away = !on;
    if (on) greet(m);
}

struct monitor *monitor_new(bool tty, bool shared)
{
    struct monitor *m = xalloc(sizeof *m);
    m->tty = tty;
    m->shared = m->away = shared;
    static struct debug_listener news = {.stopped = say_stopped};
    if (!monitors) debug_listen(&news);
    m->next = monitors;
    return monitors = m;
}

void monitor_free_all(void)
{
    for (struct monitor *m; (m = monitors);) {
        monitors = m->next;
        for (u32 i = 0; i < HISTORY; i++) free(m->history[i]);
        buf_free(&m->pending);
        buf_free(&m->in);
        free(m);
    }
}

void monitor_attach(struct monitor *m, struct chardev *c)
{
    struct chr *r = chr_of(c);
    m->c = c;
    c->front = m;
    c->can_receive = can_receive;
    c->receive = receive;
    c->event = event;
    c->writable = writable;
    if (r && r->in.fd >= 0) greet(m);
}
