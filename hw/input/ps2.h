// SPDX-License-Identifier: MIT
// One PS/2 port: what a device has to say, in two queues (answers to commands go before scan codes and movements), and
// the seam between device and controller.
#pragma once
#include "mem/bus.h"

struct state;
struct ps2_queue {
    u8 b[128];
    u32 head, n;
};
struct ps2 {
    struct ps2_queue reply, data;
    void (*write)(struct ps2 *p, u8 v); // device: a byte from the host
    void (*taken)(struct ps2 *p, u8 v); // device: that byte has left
    void (*wake)(void *owner);          // controller: there is something to take
    void *owner;
};
// A whole sequence, or nothing of it (false) if fewer than `spare` bytes would stay free.
bool ps2_put(struct ps2 *p, struct ps2_queue *q, const u8 *v, u32 n, u32 spare);
INLINE void ps2_reply(struct ps2 *p, u8 v) { (void)ps2_put(p, &p->reply, &v, 1, 0); }
int ps2_take(struct ps2 *p); // the next byte, < 0: none
INLINE bool ps2_ready(const struct ps2 *p) { return p->reply.n || p->data.n; }
void ps2_state(struct state *s, struct ps2 *p);

struct ps2 *ps2kbd_new(struct bus *b);
void ps2kbd_key(struct ps2 *p, unsigned key, bool down);
u8 ps2kbd_leds(struct ps2 *p);
struct ps2 *ps2mouse_new(struct bus *b);
void ps2mouse_move(struct ps2 *p, int dx, int dy, int dz, unsigned buttons);
