// SPDX-License-Identifier: MIT
// Back ends on sockets, as server (one peer at a time, the next may come when it has gone) or client. TCP without a
// host name is the loopback.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ui/chr.h"
#include "ui/opt.h"

struct sock_opts {
    char *where; // path, or host:port
    i8 server, wait, telnet, nodelay, abstract;
};
static const struct prop sock_props[] = {
    {"path", PROP_STR, offsetof(struct sock_opts, where), "NAME or HOST:PORT", .help = "where"},
    {"server", PROP_SWITCH, offsetof(struct sock_opts, server), .help = "listen instead of connecting"},
    {"wait", PROP_SWITCH, offsetof(struct sock_opts, wait), .help = "server: do not start before somebody connects"},
    {"telnet", PROP_SWITCH, offsetof(struct sock_opts, telnet), .help = "speak the telnet protocol"},
    {"delay", PROP_SWITCH, offsetof(struct sock_opts, nodelay), .help = "let the host collect small packets"},
};

static void sock_hangup(struct chr *r) { chr_detach(r); }

static void sock_closed(struct chr *r)
{
    if (r->listener.fd >= 0) close(r->listener.fd);
    if (r->extra) unlink(r->extra);
    free(r->extra);
}

static short listener_wants(void *owner) { return ((struct chr *)owner)->in.fd < 0 ? POLLIN : 0; }
static void listener_ready(void *owner, short events)
{
    struct chr *r = owner;
    int fd = accept4(r->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    chr_attach(r, fd, fd);
}

// A socket that listens or is connected; -1 with a message.
static int make_unix(const struct sock_opts *o, const char *label, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(o->where) >= sizeof a.sun_path) {
        err_set(e, "%s: the socket's name is longer than %zu characters", label, sizeof a.sun_path - 1);
        return -1;
    }
    strcpy(a.sun_path, o->where);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (o->server == 1) {
        if (!lstat(o->where, &st) && S_ISSOCK(st.st_mode)) unlink(o->where); // of a process that has gone
        if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 1)) return fd;
    } else if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a)) {
        return fd;
    }
    err_set(e, "%s: cannot %s '%s': %s", label, o->server == 1 ? "listen on" : "connect to", o->where,
            err_errno(errno));
    if (fd >= 0) close(fd);
    return -1;
}

static int make_tcp(const struct sock_opts *o, const char *label, struct err *e)
{
    char *host = xstrdup(o->where), *port = strrchr(host, ':');
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int fd = -1, one = 1, why = 0;
    if (!port || !port[1]) {
        err_set(e, "%s: '%s' is not [HOST]:PORT", label, o->where);
        free(host);
        return -1;
    }
    *port++ = 0;
    char *name = host;
    if (name[0] == '[' && name[1] && name[strlen(name) - 1] == ']') name[strlen(name) - 1] = 0, name++;
    int rc = getaddrinfo(*name ? name : "127.0.0.1", port, &hints, &list);
    for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, i->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        bool ok = o->server == 1 ? !bind(fd, i->ai_addr, i->ai_addrlen) && !listen(fd, 1)
                                 : !connect(fd, i->ai_addr, i->ai_addrlen);
        if (ok) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            break;
        }
        why = errno;
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        err_set(e, "%s: cannot %s %s: %s", label, o->server == 1 ? "listen on" : "connect to", o->where,
                rc ? gai_strerror(rc) : err_errno(why));
    if (list) freeaddrinfo(list);
    free(host);
    return fd;
}

struct chr *chr_socket_open(const char *kind, const char *rest, const char *label, const char *spec, struct err *e)
{
    struct sock_opts o = {.server = 0, .wait = 1, .telnet = !strcmp(kind, "telnet")};
    struct chr *r = NULL;
    int fd = -1;
    if (!props_parse(label, rest, "path", sock_props, ARRAY_LEN(sock_props), &o, e) || !o.where) {
        if (!o.where) err_set(e, "%s: '%s' names no place", label, spec);
        goto out;
    }
    fd = !strcmp(kind, "unix") ? make_unix(&o, label, e) : make_tcp(&o, label, e);
    if (fd < 0) goto out;
    r = chr_new(label, spec);
    r->telnet = o.telnet == 1;
    r->tty = r->telnet; // a person types there, character by character
    r->hangup = sock_hangup;
    r->closed = sock_closed;
    if (o.server != 1) {
        loop_fd_nonblock(fd, true);
        chr_attach(r, fd, fd);
        goto out;
    }
    if (!strcmp(kind, "unix")) r->extra = xstrdup(o.where);
    r->listener = (struct watch){.fd = fd, .wants = listener_wants, .ready = listener_ready, .owner = r};
    loop_add(&r->listener);
    if (o.wait == 1) {
        fprintf(stderr, "doppel: waiting for a connection on %s\n", spec);
        listener_ready(r, POLLIN);
    }
    loop_fd_nonblock(fd, true);
out:
    free(o.where);
    return r;
}
