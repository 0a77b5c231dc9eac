// SPDX-License-Identifier: MIT
// Debug console: bytes written to one port go to a character device (QEMU's and SeaBIOS' 402h, Bochs' E9h).
#pragma once
#include "hw/port/chardev.h"
#include "mem/bus.h"

struct debugcon;
// readback: what reading gives; E9h tells guests that somebody listens. chr may be NULL.
struct debugcon *debugcon_new(struct bus *b, u16 base, u8 readback, struct chardev *chr);
