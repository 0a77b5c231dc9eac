// SPDX-License-Identifier: MIT
// The event loop's view of host descriptors: who waits for what. One process, one thread, one list.
#pragma once
#include "mem/base/types.h"

// Embedded in its owner. wants() is asked before every wait, so that back-pressure needs no bookkeeping.
struct watch {
    int fd;
    short (*wants)(void *owner); // POLLIN | POLLOUT, 0 = nothing now
    void (*ready)(void *owner, short events);
    void *owner;
    struct watch *next;
};
void loop_add(struct watch *w);
void loop_remove(struct watch *w); // also from inside ready()
void loop_wait(u64 ns);            // until something is ready or the time is over; calls ready()
void loop_fd_nonblock(int fd, bool cloexec);
u64 loop_now_ns(void); // monotonic
// What reads the host's time stamp counter; NULL if it has none that counts at one rate always.
u64 (*loop_ticks(void))(void *owner);
