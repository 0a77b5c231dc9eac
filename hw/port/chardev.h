// SPDX-License-Identifier: MIT
// A character device: what a UART, parallel port or debug console (the front) plugs into. The back end (stdio, file,
// socket, pty …) is ui's; this is the seam that the hardware side owns.
#pragma once
#include "mem/base/types.h"

enum chardev_event { CHARDEV_OPENED, CHARDEV_CLOSED, CHARDEV_BREAK };
struct chardev {
    const char *name;
    // Back end, set by ui. Takes what it can without blocking and returns how many bytes; the front keeps the rest and
    // tries again when `writable` is called. A missing peer (unconnected socket, null) swallows everything.
    size_t (*write)(struct chardev *c, const u8 *p, size_t n);
    // Front, set by chardev_attach(): how many bytes it takes now; bytes; events.
    size_t (*can_receive)(void *front);
    void (*receive)(void *front, const u8 *p, size_t n);
    void (*event)(void *front, enum chardev_event e);
    void (*writable)(void *front);
    void *front;
    void *back; // the back end's own
    // The front calls this when it can take input again after having refused some. May be NULL.
    void (*accept_input)(struct chardev *c);
};
INLINE size_t chardev_write(struct chardev *c, const u8 *p, size_t n) { return c && c->write ? c->write(c, p, n) : n; }
INLINE void chardev_accept_input(struct chardev *c)
{
    if (c && c->accept_input) c->accept_input(c);
}
