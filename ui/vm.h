// SPDX-License-Identifier: MIT
// The machine that this process runs, and the loop that runs it: stop, continue, quit, who is looked after in between.
#pragma once
#include "hw/pc.h"
#include "mem/base/buf.h"
#include "ui/display.h"
#include "ui/keys.h"

struct vm {
    struct pc *pc;
    bool paused, quit;
    int status; // of the process, once quit
    bool no_shutdown, no_reboot, snapshot;
    const char *name;
    bool boot_once; // -boot once=: the first reset brings boot_after
    const char *boot_after;
    const struct ui_display_ops *display;
    void *display_self;
    u64 next_frame;        // when it is due to be drawn, host ns
    struct key_queue keys; // of sendkey and type
};
extern struct vm vm; // the one mutable global of ui/

void vm_quit(int status); // after the current slice
void vm_stop(void);
void vm_cont(void);
void vm_after_reset(void);
void vm_flush_disks(void);
void vm_version(struct buf *out); // and what is built in
void vm_round(void);              // the machine for some milliseconds, then the host's descriptors
void vm_run(void);                // until quit
// Prints the CPUs and the last trace events: our own bug (SIGABRT), or asked for.
void vm_post_mortem(void);
