// SPDX-License-Identifier: MIT
// `-display vnc=[HOST]:N` and `-vnc`: the screen over RFB (RFC 6143) with libvncserver, TCP port 5900 + N. Without HOST
// only this computer can connect: there is no password. Keys come as X11 key symbols and are looked up on a US layout.
// Left out: passwords and TLS (use an ssh tunnel), absolute pointing (the machine has a PS/2 mouse), sound, IPv6.
#ifdef CONFIG_VNC
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <rfb/keysym.h>
#include <rfb/rfb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "ui/display.h"
#include "ui/keys.h"

struct vnc {
    struct screen *screen;
    struct input *input;
    rfbScreenInfoPtr rfb;
    u32 *shown; // what clients were told of
    u32 w, h;
    int x, y; // last pointer position
    unsigned buttons, mask;
    char title[160];
};

static const struct {
    u16 sym;
    u8 key;
} syms[] = {
    {XK_Escape, 0x01},
    {XK_BackSpace, 0x0e},
    {XK_Tab, 0x0f},
    {XK_ISO_Left_Tab, 0x0f},
    {XK_Return, 0x1c},
    {XK_Control_L, 0x1d},
    {XK_Shift_L, 0x2a},
    {XK_Shift_R, 0x36},
    {XK_Alt_L, 0x38},
    {XK_Meta_L, 0x38},
    {XK_Caps_Lock, 0x3a},
    {XK_Num_Lock, 0x45},
    {XK_Scroll_Lock, 0x46},
    {XK_Control_R, 0x9d},
    {XK_Alt_R, 0xb8},
    {XK_Meta_R, 0xb8},
    {XK_ISO_Level3_Shift, 0xb8},
    {XK_Mode_switch, 0xb8},
    {XK_Home, 0xc7},
    {XK_Up, 0xc8},
    {XK_Page_Up, 0xc9},
    {XK_Left, 0xcb},
    {XK_Right, 0xcd},
    {XK_End, 0xcf},
    {XK_Down, 0xd0},
    {XK_Page_Down, 0xd1},
    {XK_Insert, 0xd2},
    {XK_Delete, 0xd3},
    {XK_Super_L, 0xdb},
    {XK_Super_R, 0xdc},
    {XK_Menu, 0xdd},
    {XK_Print, 0xb7},
    {XK_Sys_Req, 0xb7},
    {XK_Pause, 0xc6},
    {XK_Break, 0xc6},
    {XK_F11, 0x57},
    {XK_F12, 0x58},
    {XK_KP_Enter, 0x9c},
    {XK_KP_Divide, 0xb5},
    {XK_KP_Multiply, 0x37},
    {XK_KP_Subtract, 0x4a},
    {XK_KP_Add, 0x4e},
    {XK_KP_Decimal, 0x53},
    {XK_KP_Delete, 0x53},
    {XK_KP_Separator, 0x53},
    {XK_KP_0, 0x52},
    {XK_KP_1, 0x4f},
    {XK_KP_2, 0x50},
    {XK_KP_3, 0x51},
    {XK_KP_4, 0x4b},
    {XK_KP_5, 0x4c},
    {XK_KP_6, 0x4d},
    {XK_KP_7, 0x47},
    {XK_KP_8, 0x48},
    {XK_KP_9, 0x49},
    {XK_KP_Insert, 0x52},
    {XK_KP_End, 0x4f},
    {XK_KP_Down, 0x50},
    {XK_KP_Page_Down, 0x51},
    {XK_KP_Left, 0x4b},
    {XK_KP_Begin, 0x4c},
    {XK_KP_Right, 0x4d},
    {XK_KP_Home, 0x47},
    {XK_KP_Up, 0x48},
    {XK_KP_Page_Up, 0x49},
};

static unsigned key_of(u32 sym)
{
    bool shift;
    if (sym >= XK_F1 && sym <= XK_F10) return 0x3b + sym - XK_F1;
    for (unsigned i = 0; i < ARRAY_LEN(syms); i++)
        if (syms[i].sym == sym) return syms[i].key;
    return sym >= 0x20 && sym < 0x7f ? key_by_char((u8)sym, &shift) : 0; // the client sends its Shift by itself
}

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
    struct vnc *d = cl->screen->screenData;
    unsigned key = key_of(sym);
    if (key && d->input && d->input->key) d->input->key(d->input->dev, key, down);
}

static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
    struct vnc *d = cl->screen->screenData;
    unsigned wheel = (unsigned)mask & ~d->mask & 0x18; // buttons 4 and 5 are the wheel: a press is a step
    d->buttons = (mask & 1 ? INPUT_LEFT : 0) | (mask & 2 ? INPUT_MIDDLE : 0) | (mask & 4 ? INPUT_RIGHT : 0);
    d->mask = (unsigned)mask;
    if (d->input && d->input->mouse)
        d->input->mouse(d->input->dev, x - d->x, y - d->y, wheel & 8 ? -1 : wheel & 16 ? 1 : 0, d->buttons);
    d->x = x, d->y = y;
}

static void set_format(rfbScreenInfoPtr s)
{
    s->serverFormat.redShift = 16, s->serverFormat.greenShift = 8, s->serverFormat.blueShift = 0;
}

static void resize(struct vnc *d, u32 w, u32 h)
{
    u32 *old = d->shown;
    d->shown = xalloc((size_t)w * h * sizeof *d->shown);
    d->w = w, d->h = h;
    rfbNewFramebuffer(d->rfb, (char *)d->shown, (int)w, (int)h, 8, 3, 4);
    set_format(d->rfb);
    free(old);
}

// Tells the clients of runs of lines that differ from what they were told.
static void send_changes(struct vnc *d, const struct surface *s)
{
    u32 from = 0;
    bool run = false;
    for (u32 y = 0; y <= s->h; y++) {
        const u32 *now = s->px + (u64)y * s->stride;
        bool differs = y < s->h && memcmp(d->shown + (u64)y * d->w, now, s->w * sizeof *now);
        if (differs) memcpy(d->shown + (u64)y * d->w, now, s->w * sizeof *now);
        if (differs && !run) from = y;
        if (!differs && run) rfbMarkRectAsModified(d->rfb, 0, (int)from, (int)s->w, (int)y);
        run = differs;
    }
}

static bool vnc_poll(void *self)
{
    struct vnc *d = self;
    struct surface s = {0};
    bool changed = d->screen && d->screen->update && d->screen->update(d->screen->dev, &s, false);
    if (s.px && (s.w != d->w || s.h != d->h)) resize(d, s.w, s.h), changed = true;
    if (s.px && changed) send_changes(d, &s);
    rfbProcessEvents(d->rfb, 0);
    return true;
}

static void vnc_close(void *self)
{
    struct vnc *d = self;
    rfbShutdownServer(d->rfb, TRUE);
    rfbScreenCleanup(d->rfb);
    free(d->shown);
    free(d);
}

// "[HOST]:N"; false with a message.
static bool parse_address(const char *arg, in_addr_t *addr, int *port, struct err *e)
{
    const char *colon = strrchr(arg, ':');
    char host[256], *end;
    long n = colon ? strtol(colon + 1, &end, 10) : -1;
    if (n < 0 || n > 59635 || !colon[1] || (*end && *end != ',') || (size_t)(colon - arg) >= sizeof host)
        return err_set(e, "-display vnc=%s: an address is [HOST]:N, as in vnc=:1 (port 5901)", arg);
    *port = 5900 + (int)n;
    *addr = htonl(INADDR_LOOPBACK);
    if (colon == arg) return true;
    memcpy(host, arg, (size_t)(colon - arg));
    host[colon - arg] = 0;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(host, NULL, &hints, &list)) return err_set(e, "-display vnc=%s: host %s is not known", arg, host);
    *addr = ((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr.s_addr;
    freeaddrinfo(list);
    return true;
}

static void *vnc_open(struct screen *screen, struct input *input, const struct ui_display_opts *o, struct err *e)
{
    in_addr_t addr;
    int port;
    const char *arg = o->arg && *o->arg ? o->arg : ":0";
    if (!parse_address(arg, &addr, &port, e)) return NULL;
    rfbLogEnable(0);
    struct vnc *d = xalloc(sizeof *d);
    d->screen = screen, d->input = input;
    d->rfb = rfbGetScreen(NULL, NULL, 640, 400, 8, 3, 4);
    if (!d->rfb) panic("rfbGetScreen failed");
    set_format(d->rfb);
    resize(d, 640, 400);
    snprintf(d->title, sizeof d->title, "doppel%s%s%s", o->name ? " (" : "", o->name ? o->name : "",
             o->name ? ")" : "");
    d->rfb->desktopName = d->title;
    d->rfb->screenData = d;
    d->rfb->kbdAddEvent = on_key;
    d->rfb->ptrAddEvent = on_pointer;
    d->rfb->alwaysShared = TRUE;
    d->rfb->autoPort = FALSE;
    d->rfb->port = port;
    d->rfb->ipv6port = 0;
    d->rfb->listenInterface = addr;
    d->rfb->cursor = NULL; // the guest draws its own
    rfbInitServer(d->rfb);
    if (d->rfb->listenSock < 0) {
        err_set(e, "-display vnc=%s: cannot listen on TCP port %d (in use? try another number)", arg, port);
        vnc_close(d);
        return NULL;
    }
    return d;
}

const struct ui_display_ops ui_display_vnc = {"vnc", "RFB server for VNC viewers (vnc=[HOST]:N)", vnc_open, vnc_poll,
                                              vnc_close};
#endif
