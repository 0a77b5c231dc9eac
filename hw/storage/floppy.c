// SPDX-License-Identifier: MIT
// Floppy media: which format an image of some size is, and the head's movements over it. IBM and ECMA formats of
// 512-byte sectors; the larger ones are those that Linux' fdutils and Microsoft's DMF use.
#include <errno.h>
#include "hw/storage/floppy.h"
#include "mem/base/bits.h"

#define MAX_TRACK 83 // the mechanics' end stop

// Same size: the first row counts.
static const struct floppy_format formats[] = {
    {2880, 18, 2, 80, 0, FLOPPY_1440K}, {5760, 36, 2, 80, 3, FLOPPY_2880K}, {2400, 15, 2, 80, 0, FLOPPY_1200K},
    {1440, 9, 2, 80, 2, FLOPPY_1440K},  {720, 9, 2, 40, 2, FLOPPY_360K},    {640, 8, 2, 40, 2, FLOPPY_360K},
    {360, 9, 1, 40, 2, FLOPPY_360K},    {320, 8, 1, 40, 2, FLOPPY_360K},    {1600, 10, 2, 80, 2, FLOPPY_1440K},
    {1640, 10, 2, 82, 2, FLOPPY_1440K}, {1660, 10, 2, 83, 2, FLOPPY_1440K}, {3200, 20, 2, 80, 0, FLOPPY_1440K},
    {3360, 21, 2, 80, 0, FLOPPY_1440K}, {3444, 21, 2, 82, 0, FLOPPY_1440K}, {3486, 21, 2, 83, 0, FLOPPY_1440K},
    {3520, 22, 2, 80, 0, FLOPPY_1440K}, {3680, 23, 2, 80, 0, FLOPPY_1440K}, {3840, 24, 2, 80, 0, FLOPPY_1440K},
    {6240, 39, 2, 80, 3, FLOPPY_2880K}, {6400, 40, 2, 80, 3, FLOPPY_2880K}, {7040, 44, 2, 80, 3, FLOPPY_2880K},
    {7680, 48, 2, 80, 3, FLOPPY_2880K}, {2880, 18, 2, 80, 0, FLOPPY_1200K},
};

// A size in no row: the smaller of 1.44 and 2.88 MB that holds it.
static const struct floppy_format *format_of(u64 bytes)
{
    u64 n = (bytes + 511) / 512;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].sectors == n) return &formats[i];
    return n <= formats[0].sectors ? &formats[0] : n <= formats[1].sectors ? &formats[1] : NULL;
}

// A 2.88 MB drive takes all 3½-inch media, a 1.44 MB drive those of 720 KB too; 5¼-inch ones their own.
static bool fits(u8 drive, const struct floppy_format *f)
{
    return drive == f->type || (drive == FLOPPY_2880K && f->type == FLOPPY_1440K) ||
           (drive == FLOPPY_1200K && f->type == FLOPPY_360K) || (drive == FLOPPY_720K && f->sectors == 1440);
}
bool floppy_takes(u64 bytes) { return format_of(bytes) != NULL; }
bool floppy_put(struct floppy *d, struct disk *disk)
{
    const struct floppy_format *f = format_of(disk->size);
    if (d->disk || !f || !fits(d->type, f)) return false;
    d->disk = disk;
    d->format = f;
    d->changed = true;
    d->turn = 0;
    return true;
}
void floppy_init(struct floppy *d, const struct floppy_unit *u)
{
    const struct floppy_format *f = u->disk ? format_of(u->disk->size) : NULL;
    d->type = u->type != FLOPPY_AUTO ? u->type : FLOPPY_1440K;
    if (f && (u->type == FLOPPY_AUTO || !fits(d->type, f))) d->type = f->type;
    d->changed = true;
    if (u->disk && !floppy_put(d, u->disk)) disk_close(u->disk);
}

// A 360 KB medium in a 1.2 MB drive: 40 tracks over 80 steps.
static bool double_step(const struct floppy *d) { return d->type == FLOPPY_1200K && d->format->type == FLOPPY_360K; }
u8 floppy_cylinder(const struct floppy *d) { return double_step(d) ? d->track / 2 : d->track; }
bool floppy_readable(const struct floppy *d, unsigned head, unsigned rate)
{
    const struct floppy_format *f = d->format;
    if (!f || head >= f->heads) return false;
    return rate == (double_step(d) ? 1 : f->rate) && floppy_cylinder(d) < f->tracks; // turns faster there: 300 kbit/s
}
void floppy_step(struct floppy *d, int steps)
{
    int to = d->track + steps;
    if (steps && d->disk) d->changed = false;
    d->track = to < 0 ? 0 : to > MAX_TRACK ? MAX_TRACK : to;
}

static bool place(const struct floppy *d, unsigned head, unsigned r, u64 *pos)
{
    const struct floppy_format *f = d->format;
    *pos = ((u64)(floppy_cylinder(d) * f->heads + head) * f->spt + r - 1) * 512;
    return range_ok(*pos, 512, d->disk->size);
}
int floppy_read(struct floppy *d, unsigned head, unsigned r, u8 *to)
{
    u64 pos;
    if (place(d, head, r, &pos)) return disk_read(d->disk, pos, to, 512);
    memset(to, 0, 512);
    return 0;
}
int floppy_write(struct floppy *d, unsigned head, unsigned r, const u8 *from)
{
    u64 pos;
    return place(d, head, r, &pos) ? disk_write(d->disk, pos, from, 512) : ENOSPC;
}
