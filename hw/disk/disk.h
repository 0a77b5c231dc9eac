// SPDX-License-Identifier: MIT
// A disk image as storage controllers see it: byte-addressed, fixed size, synchronous. Formats are files of this
// folder.
#pragma once
#include "mem/base/err.h"
#include "mem/base/types.h"

struct disk;
struct disk_ops {
    // 0 or a positive errno value; never partial. Ranges outside size are EINVAL without touching anything.
    int (*read)(struct disk *d, u64 pos, void *to, size_t n);
    int (*write)(struct disk *d, u64 pos, const void *from, size_t n); // EROFS if readonly, ENOSPC if the host is full
    int (*flush)(struct disk *d);                                      // what was written is on stable storage
    int (*discard)(struct disk *d, u64 pos, u64 n);                    // optional hint
    void (*close)(struct disk *d);
};
struct disk {
    const struct disk_ops *ops;
    char *file;   // for messages
    char *format; // "raw", …
    u64 size;     // bytes
    bool readonly;
    bool snapshot; // writes go to a temporary overlay
    bool probed;   // the format was guessed from content: the guest may not write another format's header (EPERM)
    void *self;
};
struct disk_opts {
    const char *file, *format; // format NULL: found by content
    bool readonly, snapshot;
    bool cdrom; // an empty or short last sector is padded
};
// Opens an image; NULL with a message that names the file and the cure.
struct disk *disk_open(const struct disk_opts *o, struct err *e);
int disk_read(struct disk *d, u64 pos, void *to, size_t n) MUST_CHECK;
int disk_write(struct disk *d, u64 pos, const void *from, size_t n) MUST_CHECK;
int disk_flush(struct disk *d);
int disk_discard(struct disk *d, u64 pos, u64 n); // a hint: contents are then old or zero
void disk_close(struct disk *d);                  // NULL is fine
