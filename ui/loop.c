// SPDX-License-Identifier: MIT
// poll() over the watched descriptors.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif
#include "mem/base/err.h"
#include "ui/loop.h"

#define MAX_FDS 256
static struct watch *watches;

void loop_add(struct watch *w)
{
    w->next = watches;
    watches = w;
}

void loop_remove(struct watch *w)
{
    for (struct watch **p = &watches; *p; p = &(*p)->next)
        if (*p == w) {
            *p = w->next;
            return;
        }
}

static bool is_watched(const struct watch *w)
{
    for (struct watch *p = watches; p; p = p->next)
        if (p == w) return true;
    return false;
}

void loop_wait(u64 ns)
{
    struct pollfd fds[MAX_FDS];
    struct watch *who[MAX_FDS];
    unsigned n = 0;
    for (struct watch *w = watches; w && n < MAX_FDS; w = w->next) {
        short ev = w->fd >= 0 ? w->wants(w->owner) : 0;
        if (!ev) continue;
        fds[n] = (struct pollfd){.fd = w->fd, .events = ev};
        who[n++] = w;
    }
    if (!n && !ns) return;
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    if (ppoll(fds, n, &t, NULL) <= 0) return;
    for (unsigned i = 0; i < n; i++)
        if (fds[i].revents && is_watched(who[i])) who[i]->ready(who[i]->owner, fds[i].revents);
}

void loop_fd_nonblock(int fd, bool cloexec)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (cloexec) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#if defined(__x86_64__)
static u64 host_ticks(void *owner) { return __rdtsc(); }
// Invariant: one rate in all states of the host's processors (SDM vol. 3 17.17.1), and as Linux starts them, one count.
u64 (*loop_ticks(void))(void *)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1) ? host_ticks : NULL;
}
#else
u64 (*loop_ticks(void))(void *) { return NULL; }
#endif

u64 loop_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}
