// SPDX-License-Identifier: MIT
// 82077AA floppy disk controller at 3F0h, IRQ 6, DMA channel 2, with up to two drives.
#pragma once
#include "hw/chip/i8237.h"
#include "hw/disk/disk.h"

// What CMOS register 10h calls the drives. AUTO: what the image is, else 1.44 MB.
enum floppy_type { FLOPPY_NONE, FLOPPY_360K, FLOPPY_1200K, FLOPPY_720K, FLOPPY_1440K, FLOPPY_2880K, FLOPPY_AUTO };
struct floppy_unit {
    enum floppy_type type;
    struct disk *disk; // taken over; NULL: empty. A drive that cannot take it becomes the one that can
};
struct i82077;
struct i82077 *i82077_new(struct bus *b, const struct irq *irq, struct i8237 *dma, const struct floppy_unit unit[2]);
bool i82077_takes(u64 bytes); // is an image of that size a floppy? (else the constructor closes it: ask before)
enum floppy_type i82077_type(const struct i82077 *f, int drive); // never AUTO
// *out: the medium, to be closed by the caller. False: no such drive (insert: or not empty, or no floppy of that size
// fits).
bool i82077_eject(struct i82077 *f, int drive, struct disk **out) MUST_CHECK;
bool i82077_insert(struct i82077 *f, int drive, struct disk *d) MUST_CHECK; // takes d over if true
const struct disk *i82077_disk(const struct i82077 *f, int drive);
