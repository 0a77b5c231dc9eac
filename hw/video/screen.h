// SPDX-License-Identifier: MIT
// What a display adapter shows, for whoever draws it: window, VNC, terminal, screendump. The user pulls; the adapter
// never pushes.
#pragma once
#include "mem/base/types.h"

struct surface {
    u32 w, h, stride; // pixels
    u32 *px;          // 0x00RRGGBB, owned by the adapter, valid until the next update
};
struct text_screen {
    u32 cols, rows;
    u32 cursor_x, cursor_y;
    bool cursor_on;
    u16 cell[132 * 60]; // attribute << 8 | character (code page 437), row-major with `cols` a row
};
struct screen {
    void *dev;
    // Draws what changed since the last call (everything if `full`). Returns false if nothing did. The size may change.
    bool (*update)(void *dev, struct surface *s, bool full);
    // Fills *t and returns true if the adapter is in a text mode.
    bool (*text)(void *dev, struct text_screen *t);
};
