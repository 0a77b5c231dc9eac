// SPDX-License-Identifier: MIT
// Monitor sessions: lines in (ui/lineedit.c), answers out, commands by table.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/debug.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/vm.h"

#define PROMPT  "(doppel) "
#define LINE    1024
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
    bool shared /* behind a multiplexer: focus comes and goes */, away, greeted;
    bool busy; // a command runs, perhaps for long: what comes in waits
    struct buf in;
    struct buf pending; // output that the back end has not taken
    struct lineedit edit;
    struct monitor *next;
};
static struct monitor *monitors; // all, for monitor_free_all()
static struct monitor *speaking; // whose command runs

static void push(struct monitor *m)
{
    size_t k = chardev_write(m->c, m->pending.data, m->pending.len);
    memmove(m->pending.data, m->pending.data + k, m->pending.len - k);
    m->pending.len -= k;
}

static void put(void *owner, const char *text)
{
    struct monitor *m = owner;
    struct chr *r = chr_of(m->c);
    bool crlf = r && r->tty && !r->borrowed; // telnet and ptys: nobody behind us adds the CR
    for (; *text; text++) {
        if (crlf && *text == '\n') buf_u8(&m->pending, '\r');
        buf_u8(&m->pending, (u8)*text);
    }
    if (m->pending.len) push(m);
}

static unsigned columns(void *owner)
{
    struct monitor *m = owner;
    struct chr *r = chr_of(m->c);
    struct winsize w;
    return !ioctl(r ? r->out.fd : STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80;
}

static void run_line(void *owner, const char *line)
{
    struct monitor *m = owner, *before = speaking;
    struct buf out = {0};
    m->busy = true;
    speaking = m;
    monitor_run(line, &out);
    speaking = before;
    m->busy = false;
    put(m, buf_text(&out));
    buf_free(&out);
    if (!vm.quit) put(m, PROMPT);
}

void info_history(struct mon_call *a)
{
    const struct lineedit *e = speaking ? &speaking->edit : NULL;
    u32 n = e ? e->nhist : 0;
    for (u32 i = n > LINEEDIT_HISTORY ? n - LINEEDIT_HISTORY : 0; i < n; i++)
        buf_printf(a->out, "%u: '%s'\n", i, e->history[i % LINEEDIT_HISTORY]);
}

void mon_offer_commands(struct offers *o)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) offers_add(o, commands[i].name);
}

const char *mon_arguments(const char *command)
{
    const struct command *c = command_named(command);
    return c ? c->args : NULL;
}

static size_t can_receive(void *front) { return 64; }

// While a command waits for the machine, only these are for now: Ctrl-C, `stop` and `quit`; a script's `quit` not
// before its other lines have had their turn.
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
        if (!hit || (quit && i && !m->edit.tty)) continue;
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
        lineedit_key(&m->edit, c);
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
        if (m->edit.len) lineedit_redraw(&m->edit);
        buf_free(&out);
    }
}
static void greet(struct monitor *m)
{
    put(m, m->greeted ? "\n" : "doppel monitor - type 'help' for more information\n");
    put(m, PROMPT);
    if (m->edit.len) lineedit_redraw(&m->edit);
    m->greeted = true;
}
static void event(void *front, enum chardev_event e)
{
    struct monitor *m = front;
    if (e == CHARDEV_CLOSED) {
        if (m->busy) debug_cancel();
        m->in.len = 0;
        lineedit_reset(&m->edit);
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
    m->edit = (struct lineedit){.prompt = PROMPT,
                                .owner = m,
                                .put = put,
                                .enter = run_line,
                                .complete = mon_complete,
                                .columns = columns,
                                .tty = tty};
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
        lineedit_free(&m->edit);
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
