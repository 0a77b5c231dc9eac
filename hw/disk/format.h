// SPDX-License-Identifier: MIT
// What the files of this folder lend each other: disk.c opens and locks the host file, a format gives it meaning.
#pragma once
#include "hw/disk/disk.h"

// Name of the format that the first bytes of an image tell, "raw" if none. `tail`: its last 512 bytes or NULL.
const char *disk_probe(const u8 *head, size_t n, const u8 *tail);
// Takes fd over, also on failure. bytes: length of the host file.
struct disk *raw_open(int fd, u64 bytes, const struct disk_opts *o, struct err *e);
// Writes go to an unlinked temporary file; takes base over, also on failure.
struct disk *overlay_open(struct disk *base, struct err *e);
// Whole-range file access: 0 or errno; a read past the end of the file is EIO.
int fd_read(int fd, u64 pos, void *to, size_t n);
int fd_write(int fd, u64 pos, const void *from, size_t n);
