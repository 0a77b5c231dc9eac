// SPDX-License-Identifier: MIT
// A floppy drive and the medium in it, as the controller's head sees them.
#pragma once
#include "hw/storage/i82077.h"

struct floppy_format {
    u32 sectors; // in all
    u8 spt, heads, tracks;
    u8 rate; // as in CCR: 0 500, 1 300, 2 250, 3 1000 kbit/s
    u8 type; // drive that reads and writes it (enum floppy_type)
};
struct floppy {
    u8 type;
    struct disk *disk;
    const struct floppy_format *format; // NULL: no medium
    u8 track;                           // where the head is
    u8 turn;                            // sector that passed last: READ ID shows the next one
    bool changed;
};
void floppy_init(struct floppy *d, const struct floppy_unit *u);
bool floppy_takes(u64 bytes);
bool floppy_put(struct floppy *d, struct disk *disk);
// Can a sector mark be seen on this side at this rate?
bool floppy_readable(const struct floppy *d, unsigned head, unsigned rate);
u8 floppy_cylinder(const struct floppy *d);    // number in the sector marks under the head; needs a medium
void floppy_step(struct floppy *d, int steps); // towards the centre; negative: towards track 0
// The sector under the head. 0 or errno; the part of a track that a short image lacks is zeros and cannot be written.
int floppy_read(struct floppy *d, unsigned head, unsigned r, u8 *to);
int floppy_write(struct floppy *d, unsigned head, unsigned r, const u8 *from);
