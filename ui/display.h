// SPDX-License-Identifier: MIT
// Where a person sees the machine: one struct ui_display_ops a kind, chosen by ui/main from `-display NAME`.
#pragma once
#include "hw/input/input.h"
#include "hw/video/screen.h"
#include "mem/base/err.h"

struct ui_display_opts {
    const char *name;   // of the machine (-name), may be NULL
    const char *arg;    // what follows the kind: "vnc=ARG"; may be NULL
    const bool *paused; // shown in the title; may be NULL
    bool full_screen;
    bool no_close; // window-close=off: the close button does nothing
};
struct ui_display_ops {
    const char *name, *help;
    // NULL with a message if there is no such display here. screen and input stay the caller's.
    void *(*open)(struct screen *screen, struct input *input, const struct ui_display_opts *o, struct err *e);
    bool (*poll)(void *self); // events and redraw, called 30 to 60 times a second; false: the user closed it
    void (*close)(void *self);
};
// NULL: not known or not built in.
const struct ui_display_ops *ui_display_find(const char *name);
const struct ui_display_ops *ui_display_nth(unsigned n); // for `-display help`; NULL behind the last
bool ui_display_usable(const char *name);                // is there an X server, a terminal …: to choose the default
extern const struct ui_display_ops ui_display_sdl, ui_display_curses, ui_display_vnc, ui_display_none;

// Picture to file: PNG if the name ends in .png, else PPM. False with a message; no half-written file stays.
bool ui_screendump(const struct surface *s, const char *file, struct err *e);
