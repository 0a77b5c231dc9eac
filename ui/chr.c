// SPDX-License-Identifier: MIT
// Back ends on host descriptors. Output goes through a ring of 64 KB a back end, so that a guest that prints bytes
// costs no system call each, and a reader that stopped reading holds up nothing but that device.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "mem/base/bits.h"
#include "ui/chr.h"
#include "ui/opt.h"

static struct chr *all;
static struct termios saved_tty; // valid while raw_tty
static volatile sig_atomic_t raw_tty;
static bool stdio_taken;

// ---- output

// Writes without blocking also where the descriptor is somebody else's: poll() promises room for a small piece.
static ssize_t write_some(struct chr *r, const u8 *p, size_t n)
{
    if (r->borrowed) {
        struct pollfd f = {.fd = r->out.fd, .events = POLLOUT};
        if (poll(&f, 1, 0) <= 0 || !(f.revents & (POLLOUT | POLLERR | POLLHUP))) return errno = EAGAIN, -1;
        n = min_u64(n, 256);
    }
    return write(r->out.fd, p, n);
}

// Sends what the host takes now.
static void flush_out(struct chr *r)
{
    while (r->outlen && r->out.fd >= 0) {
        size_t n = min_u64(r->outlen, CHR_OUT - r->outpos);
        ssize_t k = write_some(r, r->outbuf + r->outpos, n);
        if (k < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) return;
            r->outlen = 0; // the peer is gone: what it did not read is lost
            if (r->hangup) r->hangup(r);
            break;
        }
        r->outpos = (r->outpos + (u32)k) % CHR_OUT;
        r->outlen -= (u32)k;
    }
    if (r->out.fd < 0) r->outlen = 0;
    if (r->refused && r->outlen < CHR_OUT / 2) {
        r->refused = false;
        if (r->c.writable) r->c.writable(r->c.front);
    }
}

static size_t chr_write(struct chardev *c, const u8 *p, size_t n)
{
    struct chr *r = c->back;
    if (r->out.fd < 0) return n; // nobody there: swallowed
    if (r->outlen + n > CHR_OUT) flush_out(r);
    size_t take = min_u64(n, CHR_OUT - r->outlen);
    for (size_t i = 0; i < take; i++) r->outbuf[(r->outpos + r->outlen + i) % CHR_OUT] = p[i];
    r->outlen += (u32)take;
    if (take < n) r->refused = true;
    return take;
}

static short out_wants(void *owner)
{
    struct chr *r = owner;
    if (r->outlen) flush_out(r); // usually all goes at once
    return r->outlen ? POLLOUT : 0;
}
static void out_ready(void *owner, short events) { flush_out(owner); }

// ---- input

static void deliver(struct chr *r)
{
    while (r->inpos < r->inlen && r->c.receive) {
        size_t room = r->c.can_receive ? r->c.can_receive(r->c.front) : r->inlen;
        if (!room) return;
        u32 n = (u32)min_u64(room, r->inlen - r->inpos), at = r->inpos;
        r->inpos += n; // before the call: the front may ask for more from within
        r->c.receive(r->c.front, r->inbuf + at, n);
    }
}
static void accept_input(struct chardev *c) { deliver(c->back); }

static short in_wants(void *owner)
{
    struct chr *r = owner;
    deliver(r);
    return r->inpos == r->inlen ? POLLIN : 0;
}

// Telnet (RFC 854, 1143): commands are dropped; what we want was said at the start (char_socket.c).
static u32 telnet_strip(struct chr *r, u8 *p, u32 n)
{
    u32 k = 0;
    for (u32 i = 0; i < n; i++) {
        u8 c = p[i];
        switch (r->telnet_state) {
        case 0: // data
            if (c == 255)
                r->telnet_state = 1;
            else if (c || !k || p[k - 1] != '\r') // CR NUL is CR
                p[k++] = c;
            break;
        case 1: // IAC
            if (c == 255) p[k++] = c;
            r->telnet_state = c >= 251 && c <= 254 ? 2 : c == 250 ? 3 : 0;
            if (c == 243 && r->c.event) r->c.event(r->c.front, CHARDEV_BREAK);
            break;
        case 2: r->telnet_state = 0; break;                // option of WILL, WONT, DO, DONT
        case 3: r->telnet_state = c == 255 ? 4 : 3; break; // sub-negotiation
        case 4: r->telnet_state = c == 240 ? 0 : 3; break;
        }
    }
    return k;
}

static void in_ready(void *owner, short events)
{
    struct chr *r = owner;
    ssize_t n = read(r->in.fd, r->inbuf, sizeof r->inbuf);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        if (r->hangup)
            r->hangup(r);
        else
            r->in.fd = -1; // end of the file: output goes on
        return;
    }
    r->inpos = 0;
    r->inlen = r->telnet ? telnet_strip(r, r->inbuf, (u32)n) : (u32)n;
    deliver(r);
}

// ---- life

struct chr *chr_new(const char *label, const char *spec)
{
    struct chr *r = xalloc(sizeof *r);
    snprintf(r->label, sizeof r->label, "%s", label);
    r->spec = xstrdup(spec);
    r->outbuf = xalloc(CHR_OUT);
    r->c = (struct chardev){.name = r->label, .write = chr_write, .back = r, .accept_input = accept_input};
    r->in = (struct watch){.fd = -1, .wants = in_wants, .ready = in_ready, .owner = r};
    r->out = (struct watch){.fd = -1, .wants = out_wants, .ready = out_ready, .owner = r};
    r->listener.fd = -1;
    loop_add(&r->in);
    loop_add(&r->out);
    r->next = all;
    all = r;
    return r;
}

void chr_attach(struct chr *r, int in, int out)
{
    r->in.fd = in;
    r->out.fd = out;
    r->inpos = r->inlen = r->outlen = r->telnet_state = 0;
    // IAC WILL ECHO, WILL SUPPRESS GO AHEAD, WILL BINARY, DO BINARY, before anything else is said
    static const u8 hello[] = {255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0};
    if (r->telnet) chr_write(&r->c, hello, sizeof hello);
    if (r->c.event) r->c.event(r->c.front, CHARDEV_OPENED);
}

void chr_detach(struct chr *r)
{
    if (!r->borrowed) {
        if (r->in.fd >= 0) close(r->in.fd);
        if (r->out.fd >= 0 && r->out.fd != r->in.fd) close(r->out.fd);
    }
    r->in.fd = r->out.fd = -1;
    r->inpos = r->inlen = r->outlen = 0;
    if (r->c.event) r->c.event(r->c.front, CHARDEV_CLOSED);
    if (r->refused && r->c.writable) r->c.writable(r->c.front);
    r->refused = false;
}

struct chr *chr_of(struct chardev *c)
{
    for (struct chr *r = all; r; r = r->next)
        if (&r->c == c) return r;
    return NULL;
}

void chr_flush_all(void)
{
    for (struct chr *r = all; r; r = r->next)
        if (r->outlen) flush_out(r);
}

void chr_restore_terminal(void)
{
    if (raw_tty) tcsetattr(0, TCSADRAIN, &saved_tty);
    raw_tty = 0;
}

void chr_drain(void)
{
    for (int tries = 0; tries < 50; tries++) {
        bool left = false;
        chr_flush_all();
        for (struct chr *r = all; r; r = r->next) left |= r->outlen && !r->hangup;
        if (!left) break;
        loop_wait(10000000);
    }
}

void chr_close(struct chr *r)
{
    struct chr **p = &all;
    while (*p != r) p = &(*p)->next;
    *p = r->next;
    flush_out(r);
    r->c.event = NULL; // the front is going too
    r->c.writable = NULL;
    chr_detach(r);
    if (r->closed) r->closed(r);
    loop_remove(&r->in);
    loop_remove(&r->out);
    loop_remove(&r->listener);
    free(r->outbuf);
    free(r->spec);
    free(r);
}

void chr_close_all(void)
{
    while (all) chr_close(all);
    chr_restore_terminal();
    stdio_taken = false;
}

void chr_info(struct buf *out)
{
    for (struct chr *r = all; r; r = r->next)
        buf_printf(out, "%s: filename=%s%s, %u bytes waiting for the host, %u for the guest\n", r->label, r->spec,
                   r->in.fd < 0 && r->out.fd < 0 && r->listener.fd >= 0 ? " (nobody connected)" : "", r->outlen,
                   r->inlen - r->inpos);
}

// ---- kinds

// A person's terminal gives single keys, unechoed. With signals (plain -serial stdio) Ctrl-C ends doppel, as in QEMU;
// under the multiplexer it goes to the guest.
static void make_raw(bool signals)
{
    if (!isatty(0) || raw_tty || tcgetattr(0, &saved_tty)) return;
    struct termios t = saved_tty;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_oflag |= OPOST;
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (!tcsetattr(0, TCSANOW, &t)) raw_tty = 1;
}

static void stdio_closed(struct chr *r)
{
    chr_restore_terminal();
    stdio_taken = false;
}

static struct chr *stdio_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    if (stdio_taken) {
        err_set(e,
                "%s: standard input and output serve another device already; `mon:stdio` shares them with the monitor",
                spec);
        return NULL;
    }
    stdio_taken = true;
    struct chr *r = chr_new(label, spec);
    r->borrowed = true;
    r->tty = isatty(0);
    r->closed = stdio_closed;
    make_raw(strncmp(rest, "raw", 3) != 0);
    chr_attach(r, 0, 1);
    return r;
}

static struct chr *file_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    int fd = open(rest, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0) {
        err_set(e, "%s: cannot write '%s': %s", label, rest, err_errno(errno));
        return NULL;
    }
    struct chr *r = chr_new(label, spec);
    r->regular = true;
    chr_attach(r, -1, fd);
    return r;
}

// QEMU's pipe:F: named pipes F.in and F.out, or one F for both.
static struct chr *pipe_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    char *name = xasprintf("%s.in", rest);
    int in = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC), out = -1;
    free(name);
    name = xasprintf("%s.out", rest);
    if (in >= 0) out = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    free(name);
    if (in < 0) in = out = open(rest, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 || out < 0) {
        err_set(e, "%s: cannot open the pipes '%s.in' and '%s.out': %s (make them with mkfifo)", label, rest, rest,
                err_errno(errno));
        if (in >= 0) close(in);
        return NULL;
    }
    struct chr *r = chr_new(label, spec);
    chr_attach(r, in, out);
    return r;
}

// The other end keeps our pty from hanging up while nobody has it open.
static void pty_closed(struct chr *r) { close((int)(intptr_t)r->extra); }
static struct chr *pty_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    char name[128];
    struct termios t;
    if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, sizeof name)) {
        err_set(e, "%s: no pseudo terminal to be had: %s", label, err_errno(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0 && !tcgetattr(slave, &t)) {
        cfmakeraw(&t);
        tcsetattr(slave, TCSANOW, &t);
    }
    struct chr *r = chr_new(label, spec);
    r->extra = (void *)(intptr_t)slave;
    r->closed = pty_closed;
    r->tty = true;
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, label);
    chr_attach(r, fd, fd);
    return r;
}

static struct chr *null_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    return chr_new(label, spec);
}
static struct chr *unix_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    return chr_socket_open("unix", rest, label, spec, e);
}
static struct chr *tcp_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    return chr_socket_open("tcp", rest, label, spec, e);
}
static struct chr *telnet_open(const char *rest, const char *label, const char *spec, struct err *e)
{
    return chr_socket_open("telnet", rest, label, spec, e);
}

static const struct chr_kind {
    const char *name, *form;
    bool takes; // something after a colon
    struct chr *(*open)(const char *rest, const char *label, const char *spec, struct err *e);
} kinds[] = {
    {"stdio", "stdio", false, stdio_open},
    {"file", "file:NAME", true, file_open},
    {"pipe", "pipe:NAME", true, pipe_open},
    {"pty", "pty", false, pty_open},
    {"null", "null", false, null_open},
    {"vc", "vc", false, null_open}, // QEMU's text consoles inside the window: nobody sees them here
    {"unix", "unix:NAME[,server][,wait=off]", true, unix_open},
    {"tcp", "tcp:[HOST]:PORT[,server][,wait=off]", true, tcp_open},
    {"telnet", "telnet:[HOST]:PORT[,server][,wait=off]", true, telnet_open},
};

struct chardev *chr_open(const char *spec, const char *label, struct err *e)
{
    if (!strcmp(spec, "none")) return NULL;
    size_t n = strcspn(spec, ":,");
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)n, spec);
    struct nearest near = {.word = word};
    nearest_try(&near, "none");
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct chr_kind *k = &kinds[i];
        nearest_try(&near, k->name);
        if (strcmp(word, k->name)) continue;
        if (k->takes && (spec[n] != ':' || !spec[n + 1])) {
            err_set(e, "%s: '%s' is incomplete: %s", label, spec, k->form);
            return NULL;
        }
        const char *rest = spec[n] ? spec + n + 1 : spec + n;
        struct chr *r = k->open(rest, label, spec, e);
        return r ? &r->c : NULL;
    }
    err_set(e,
            "%s: unknown back end '%s'%s (there are: stdio, mon:stdio, file:, pipe:, pty, null, none, unix:, tcp:, "
            "telnet:)",
            label, spec, nearest_text(&near, ""));
    return NULL;
}
