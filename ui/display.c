// SPDX-License-Identifier: MIT
// The displays that this build has, and the one that shows nothing.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ui/display.h"

static void *none_open(struct screen *screen, struct input *input, const struct ui_display_opts *o, struct err *e)
{
    static char self; // nothing to remember
    return &self;
}
static bool none_poll(void *self) { return true; }
static void none_close(void *self) {}
const struct ui_display_ops ui_display_none = {"none", "no display", none_open, none_poll, none_close};

static const struct ui_display_ops *const displays[] = {
#ifdef CONFIG_SDL
    &ui_display_sdl,
#endif
#ifdef CONFIG_CURSES
    &ui_display_curses,
#endif
#ifdef CONFIG_VNC
    &ui_display_vnc,
#endif
    &ui_display_none,
};

const struct ui_display_ops *ui_display_nth(unsigned n) { return n < ARRAY_LEN(displays) ? displays[n] : NULL; }

const struct ui_display_ops *ui_display_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(displays); i++)
        if (!strcmp(displays[i]->name, name)) return displays[i];
    return NULL;
}

static bool env_set(const char *name)
{
    const char *v = getenv(name);
    return v && *v;
}

bool ui_display_usable(const char *name)
{
    if (!ui_display_find(name)) return false;
    if (!strcmp(name, "sdl")) return env_set("DISPLAY") || env_set("WAYLAND_DISPLAY") || env_set("SDL_VIDEODRIVER");
    if (!strcmp(name, "curses")) return isatty(0) && isatty(1) && env_set("TERM") && strcmp(getenv("TERM"), "dumb");
    return true;
}
