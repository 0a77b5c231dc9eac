// SPDX-License-Identifier: MIT
// `-display sdl`: an SDL2 window. Click grabs the mouse, Ctrl-Alt-G lets it go, Ctrl-Alt-F switches full screen,
// Ctrl-Alt-U sets the window to the guest's size. Keys go by place on the keyboard (scan codes), so the guest's own
// layout decides. Left out: absolute pointing (the machine has a PS/2 mouse), sound, several windows.
#ifdef CONFIG_SDL
#include <SDL.h>
#include <stdlib.h>
#include <string.h>
#include "ui/display.h"
#include "ui/keys.h"

struct sdl {
    struct screen *screen;
    struct input *input;
    struct ui_display_opts o;
    SDL_Window *win;
    SDL_Renderer *ren;
    SDL_Texture *tex;
    u32 tex_w, tex_h;
    bool grab, full, paused, redraw;
    unsigned buttons;
    bool down[256];
    char title[160];
};

static void set_title(struct sdl *d)
{
    snprintf(d->title, sizeof d->title, "doppel%s%s%s%s%s", d->o.name ? " (" : "", d->o.name ? d->o.name : "",
             d->o.name ? ")" : "", d->paused ? " [paused]" : "", d->grab ? " - Ctrl-Alt-G lets the mouse go" : "");
    SDL_SetWindowTitle(d->win, d->title);
}

static void send_key(struct sdl *d, unsigned key, bool down)
{
    d->down[key & 0xff] = down;
    if (d->input && d->input->key) d->input->key(d->input->dev, key, down);
}
static void release_all(struct sdl *d)
{
    for (unsigned k = 0; k < 256; k++)
        if (d->down[k]) send_key(d, k, false);
    if (d->buttons && d->input && d->input->mouse) d->input->mouse(d->input->dev, 0, 0, 0, 0);
    d->buttons = 0;
}

static void set_grab(struct sdl *d, bool on)
{
    if (d->grab == on) return;
    d->grab = on;
    SDL_SetRelativeMouseMode(on);
    SDL_SetWindowKeyboardGrab(d->win, on);
    set_title(d);
}

// Ctrl-Alt-letter of ours: true if it was one.
static bool hot_key(struct sdl *d, const SDL_KeyboardEvent *k)
{
    if (!(k->keysym.mod & KMOD_CTRL) || !(k->keysym.mod & KMOD_ALT)) return false;
    SDL_Scancode c = k->keysym.scancode;
    if (c != SDL_SCANCODE_G && c != SDL_SCANCODE_F && c != SDL_SCANCODE_U) return false;
    if (k->type == SDL_KEYUP || k->repeat) return true;
    release_all(d);
    if (c == SDL_SCANCODE_G) {
        set_grab(d, !d->grab);
    } else if (c == SDL_SCANCODE_F) {
        d->full = !d->full;
        SDL_SetWindowFullscreen(d->win, d->full ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
        d->redraw = true;
    } else if (!d->full) {
        SDL_SetWindowSize(d->win, (int)d->tex_w, (int)d->tex_h);
    }
    return true;
}

static void on_key(struct sdl *d, const SDL_KeyboardEvent *k)
{
    if (hot_key(d, k)) return;
    unsigned key = key_by_hid(k->keysym.scancode);
    if (key && (k->type == SDL_KEYDOWN || d->down[key])) send_key(d, key, k->type == SDL_KEYDOWN);
}

static void on_button(struct sdl *d, const SDL_MouseButtonEvent *b)
{
    if (!d->grab) {
        if (b->type == SDL_MOUSEBUTTONUP && b->button == SDL_BUTTON_LEFT) set_grab(d, true);
        return;
    }
    unsigned bit = b->button == SDL_BUTTON_LEFT     ? INPUT_LEFT
                   : b->button == SDL_BUTTON_RIGHT  ? INPUT_RIGHT
                   : b->button == SDL_BUTTON_MIDDLE ? INPUT_MIDDLE
                                                    : 0;
    d->buttons = b->type == SDL_MOUSEBUTTONDOWN ? d->buttons | bit : d->buttons & ~bit;
    if (d->input && d->input->mouse) d->input->mouse(d->input->dev, 0, 0, 0, d->buttons);
}

static bool on_event(struct sdl *d, const SDL_Event *ev)
{
    bool mouse = d->grab && d->input && d->input->mouse;
    switch (ev->type) {
    case SDL_QUIT: return d->o.no_close;
    case SDL_KEYDOWN:
    case SDL_KEYUP: on_key(d, &ev->key); break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: on_button(d, &ev->button); break;
    case SDL_MOUSEMOTION:
        if (mouse) d->input->mouse(d->input->dev, ev->motion.xrel, ev->motion.yrel, 0, d->buttons);
        break;
    case SDL_MOUSEWHEEL:
        if (mouse) d->input->mouse(d->input->dev, 0, 0, -ev->wheel.y, d->buttons);
        break;
    case SDL_WINDOWEVENT:
        if (ev->window.event == SDL_WINDOWEVENT_FOCUS_LOST) release_all(d), set_grab(d, false);
        if (ev->window.event == SDL_WINDOWEVENT_CLOSE) return d->o.no_close;
        d->redraw = true;
        break;
    default: break;
    }
    return true;
}

static bool new_texture(struct sdl *d, u32 w, u32 h)
{
    SDL_Texture *t = SDL_CreateTexture(d->ren, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, (int)w, (int)h);
    if (!t) return false;
    if (d->tex) SDL_DestroyTexture(d->tex);
    d->tex = t;
    d->tex_w = w, d->tex_h = h;
    SDL_RenderSetLogicalSize(d->ren, (int)w, (int)h);
    if (!d->full) SDL_SetWindowSize(d->win, (int)w, (int)h);
    return true;
}

static void draw(struct sdl *d)
{
    struct surface s = {0};
    bool changed = d->screen && d->screen->update && d->screen->update(d->screen->dev, &s, false);
    if (s.px && (s.w != d->tex_w || s.h != d->tex_h)) changed = new_texture(d, s.w, s.h);
    if (s.px && changed && d->tex) SDL_UpdateTexture(d->tex, NULL, s.px, (int)(s.stride * sizeof *s.px));
    if (!changed && !d->redraw) return;
    d->redraw = false;
    SDL_SetRenderDrawColor(d->ren, 0, 0, 0, 255);
    SDL_RenderClear(d->ren);
    if (d->tex) SDL_RenderCopy(d->ren, d->tex, NULL, NULL);
    SDL_RenderPresent(d->ren);
}

static bool sdl_poll(void *self)
{
    struct sdl *d = self;
    SDL_Event ev;
    while (SDL_PollEvent(&ev))
        if (!on_event(d, &ev)) return false;
    if (d->o.paused && *d->o.paused != d->paused) {
        d->paused = *d->o.paused;
        set_title(d);
    }
    draw(d);
    return true;
}

static void sdl_close(void *self)
{
    struct sdl *d = self;
    release_all(d);
    if (d->tex) SDL_DestroyTexture(d->tex);
    if (d->ren) SDL_DestroyRenderer(d->ren);
    if (d->win) SDL_DestroyWindow(d->win);
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
    free(d);
}

static void *sdl_open(struct screen *screen, struct input *input, const struct ui_display_opts *o, struct err *e)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); // Ctrl-C in the terminal stays ui/main's
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint("SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR", "0");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO)) {
        err_set(e, "-display sdl: %s (no window system here? try -display curses or -nographic)", SDL_GetError());
        return NULL;
    }
    struct sdl *d = xalloc(sizeof *d);
    d->screen = screen, d->input = input, d->o = *o, d->full = o->full_screen, d->redraw = true;
    u32 flags = SDL_WINDOW_RESIZABLE | (o->full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    d->win = SDL_CreateWindow("doppel", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 640, 400, flags);
    if (d->win) d->ren = SDL_CreateRenderer(d->win, -1, 0);
    if (d->win && !d->ren) d->ren = SDL_CreateRenderer(d->win, -1, SDL_RENDERER_SOFTWARE);
    if (!d->ren) {
        err_set(e, "-display sdl: %s", SDL_GetError());
        sdl_close(d);
        return NULL;
    }
    set_title(d);
    return d;
}

const struct ui_display_ops ui_display_sdl = {"sdl", "window (SDL2)", sdl_open, sdl_poll, sdl_close};
#endif
