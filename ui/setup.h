// SPDX-License-Identifier: MIT
// From the command line to a struct pc_config and all that belongs to it.
#pragma once
#include "hw/pc.h"
#include "mem/base/err.h"

#define SETUP_DRIVES 16
enum { DRIVE_IDE, DRIVE_FLOPPY, DRIVE_NONE };
struct drive {
    char *file, *format, *id, *serial, *model;
    char *tuning; // of host I/O: not used
    int on_error;
    int iface, media; // DRIVE_IDE …; 0 disk, 1 CD-ROM
    u64 index, bus, unit;
    i8 snapshot, readonly;
};
struct setup {
    struct pc_config pc;
    struct drive drive[SETUP_DRIVES];
    unsigned ndrives;
    const char *serial[4], *parallel[3], *debugcon, *monitor[8];
    unsigned nserial, nparallel, nmonitor;
    const char *device[64], *global[64], *chardev[32];
    unsigned ndevice, nglobal, nchardev;
    char *display, *cpu, *bios, *name, *rtc_base;
    const char *lib[16]; // -L
    unsigned nlib;
    const char *log_items, *log_ranges, *log_file, *loadvm, *image, *gdb;
    const char *trace[16], *ex[64];
    unsigned ntrace, nex;
    u64 cores, threads, sockets, cpus;
    bool snapshot, nographic, nodefaults, no_reboot, no_shutdown, stopped, vga_given, seed_given;
    const char *boot_after; // with -boot once=: what comes then
    bool full_screen, boot_once;
    bool done; // a help text was printed: nothing to run
};
// Reads the options. False with a message.
bool setup_parse(struct setup *s, int argc, char **argv, struct err *e);
// Opens images and back ends, finds firmware, fills s->pc.
bool setup_open(struct setup *s, struct err *e);
struct drive *setup_drive(struct setup *s, struct err *e); // a new one; NULL with a message
// image.c: which option an image is for, the boot order that goes with it (NULL: the usual), and what it is.
bool image_options(const char *file, const char **option, const char **boot, const char **kind, struct err *e);
