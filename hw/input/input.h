// SPDX-License-Identifier: MIT
// Keys and pointer movements on their way into the machine. Key numbers are PC scan code set 1 make codes (01h–7Fh),
// plus 80h for keys with an E0 prefix; Pause is C6h, Print Screen B7h (QEMU's numbering for `sendkey`).
#pragma once
#include "mem/base/types.h"

enum { INPUT_LEFT = 1, INPUT_RIGHT = 2, INPUT_MIDDLE = 4 };
struct input {
    void *dev;
    void (*key)(void *dev, unsigned key, bool down);
    void (*mouse)(void *dev, int dx, int dy, int dz,
                  unsigned buttons); // relative, dy > 0 is down, dz > 0 towards the user
    u8 (*leds)(void *dev);           // bit 0 scroll, 1 num, 2 caps
};
