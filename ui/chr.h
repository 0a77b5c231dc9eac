// SPDX-License-Identifier: MIT
// Back ends of character devices (hw/port/chardev.h): stdio, file, pipe, pty, sockets, null; and the multiplexer that
// lets a serial port and the monitor share one of them (Ctrl-A c). All are kept in one list, which `info chardev`
// shows.
#pragma once
#include "hw/port/chardev.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "ui/loop.h"

#define CHR_OUT 65536
struct chr {
    struct chardev c; // what the front is given
    char label[32];
    char *spec;           // as the user wrote it
    struct watch in, out; // fd -1: nothing there
    u8 inbuf[512];        // read from the host, not yet taken by the front
    u32 inpos, inlen;
    u8 *outbuf; // CHR_OUT bytes, a ring: what the front wrote and the host has not taken
    u32 outpos, outlen;
    bool refused;  // the front waits for `writable`
    bool borrowed; // descriptors of our parent (stdio): never made non-blocking, never closed
    bool tty;      // a person's terminal: its input echoes nothing by itself
    bool regular;  // nobody reads: a write error ends it
    // sockets
    struct watch listener;
    bool telnet;
    u8 telnet_state;
    void (*hangup)(struct chr *r); // the peer is gone
    void (*closed)(struct chr *r); // extra work of closing (unlink, terminal modes)
    void *extra;
    struct chr *next;
};
// Opens "stdio", "file:F", … NULL with a message; NULL without one for "none".
struct chardev *chr_open(const char *spec, const char *label, struct err *e);
struct chr *chr_of(struct chardev *c);           // NULL: not one of ours (a mux port)
void chr_attach(struct chr *r, int in, int out); // a peer has come: watch these descriptors
void chr_detach(struct chr *r);                  // … gone
struct chr *chr_new(const char *label, const char *spec);
void chr_close(struct chr *r);   // one whose front has let go of it
void chr_flush_all(void);        // as far as the host takes it at once
void chr_drain(void);            // flushes, waits up to half a second; while the machine still lives
void chr_close_all(void);        // after the machine is freed; restores the terminal
void chr_restore_terminal(void); // from signal handlers too
void chr_info(struct buf *out);

// char_socket.c: unix: and tcp: / telnet:, `rest` is what follows the colon
struct chr *chr_socket_open(const char *kind, const char *rest, const char *label, const char *spec, struct err *e);

// mux.c
struct mux;
struct mux *mux_new(struct chardev *under); // takes the front's place at `under`
struct mux *mux_of(struct chardev *under);  // the one that sits on it, or NULL
// Another user of it; the first has the focus. focus() is told when the keyboard comes or goes; may be NULL.
struct chardev *mux_port(struct mux *m, const char *name, void (*focus)(void *owner, bool on), void *owner);
