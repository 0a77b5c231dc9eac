// SPDX-License-Identifier: MIT
// One line that a person edits on a terminal: cursor keys, the usual control and meta keys, history with search,
// completion. Written for any byte stream: a terminal behind the multiplexer, telnet, a pty; a library that wants a
// terminal of its own serves none of these.
#pragma once
#include "mem/base/buf.h"

#define LINEEDIT_MAX     1024
#define LINEEDIT_HISTORY 500

// What could stand at the cursor.
struct offers {
    const char *line; // up to the cursor
    u32 from;         // where the word begins that they would replace; the provider sets it
    unsigned n;
    char *common; // what all of them begin with
    struct buf list;
    unsigned widest;
    bool open; // a single one is not followed by a blank (a folder)
};
// Called by the provider for each candidate; those that do not begin with the word are passed over.
void offers_add(struct offers *o, const char *word);

struct lineedit {
    const char *prompt;
    void *owner;
    void (*put)(void *owner, const char *text);
    void (*enter)(void *owner, const char *line); // Enter was pressed; the line is in the history already
    void (*complete)(void *owner, struct offers *o);
    unsigned (*columns)(void *owner);
    bool tty; // false: a script's lines, nothing is echoed
    // the editor's
    char line[LINEEDIT_MAX];
    u32 len, cur, shown; // shown: the first character on the screen, for lines longer than it
    u32 esc, esc_arg;    // within an escape sequence: 1 after ESC, 2 after ESC [ or ESC O
    bool cr;             // the last one was CR: an LF behind it is the same Enter
    bool searching;      // Ctrl-R
    char want[64];
    u32 nwant;
    char kill[LINEEDIT_MAX];
    char *history[LINEEDIT_HISTORY];
    u32 nhist, at;
};
void lineedit_key(struct lineedit *e, char c);
void lineedit_redraw(struct lineedit *e);
void lineedit_reset(struct lineedit *e); // forgets the line, keeps the history
void lineedit_free(struct lineedit *e);
