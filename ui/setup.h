// SPDX-License-Identifier: MIT
// From the command line to a struct pc_config and all that belongs to it.
#pragma once
#include "hw/pc.h"
#include "mem/base/err.h"

#define SETUP_DRIVES 16
struct drive {
    char *file, *format, *id, *serial;
    int iface, media; // of drive_props' lists
    u64 index, bus, unit;
    i8 snapshot, readonly;
};
struct setup {
    struct pc_config pc;
    struct drive drive[SETUP_DRIVES];
    unsigned ndrives;
    const char *serial[4], *parallel[3], *debugcon, *monitor;
    unsigned nserial, nparallel;
    char *display, *cpu, *bios, *name, *rtc_base;
    const char *lib[16]; // -L
    unsigned nlib;
    const char *log_items, *log_file, *loadvm, *image;
    const char *trace[16], *ex[64];
    unsigned ntrace, nex;
    u64 cores, threads, sockets, cpus;
    bool snapshot, nographic, nodefaults, no_reboot, no_shutdown, stopped, vga_given, seed_given;
    bool done; // a help text was printed: nothing to run
};
// Reads the options. False with a message.
bool setup_parse(struct setup *s, int argc, char **argv, struct err *e);
// Opens images and back ends, finds firmware, fills s->pc.
bool setup_open(struct setup *s, struct err *e);
