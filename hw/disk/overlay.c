// SPDX-License-Identifier: MIT
// -snapshot: a copy-on-write layer over a read-only image. Changed blocks live in a temporary file that has no name (it
// goes when the program ends, however it ends); a table says where. A block enters the table after its data were
// written, so a full host disk costs an error but no data. Left out: merging the changes into the base.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hw/disk/format.h"
#include "mem/base/bits.h"

#define MAX_BLOCKS (16u << 20) // entries of the table; larger disks get larger blocks

struct overlay {
    struct disk *base;
    int fd;
    u32 block;  // bytes, a power of two
    u32 *map;   // 1 + slot in the file, 0 = still the base's; touched lazily by the host
    u32 used;   // slots
    u8 *bounce; // one block
};

// How far [pos, pos+n) stays in one piece: same layer and consecutive slots. *slot: of the first block.
static size_t run(const struct overlay *v, u64 pos, size_t n, u32 *slot)
{
    u64 i = pos / v->block;
    size_t len = v->block - pos % v->block;
    *slot = v->map[i];
    for (u32 k = 1; len < n && v->map[i + k] == (*slot ? *slot + k : 0); k++) len += v->block;
    return min_u64(len, n);
}
static int overlay_read(struct disk *d, u64 pos, void *to, size_t n)
{
    struct overlay *v = d->self;
    for (u8 *p = to; n;) {
        u32 slot;
        size_t len = run(v, pos, n, &slot);
        int why = slot ? fd_read(v->fd, (u64)(slot - 1) * v->block + pos % v->block, p, len)
                       : disk_read(v->base, pos, p, len);
        if (why) return why;
        p += len, pos += len, n -= len;
    }
    return 0;
}
// The part of one block that is not the base's yet: copied with the new bytes in place.
static int copy_block(struct overlay *v, u64 pos, const u8 *from, size_t n)
{
    u64 start = pos - pos % v->block;
    u64 have = min_u64(v->block, v->base->size - start);
    if (n < have) {
        int why = disk_read(v->base, start, v->bounce, have);
        if (why) return why;
    }
    memset(v->bounce + have, 0, v->block - have);
    memcpy(v->bounce + (pos - start), from, n);
    int why = fd_write(v->fd, (u64)v->used * v->block, v->bounce, v->block);
    if (!why) v->map[start / v->block] = ++v->used;
    return why;
}
static int overlay_write(struct disk *d, u64 pos, const void *from, size_t n)
{
    struct overlay *v = d->self;
    for (const u8 *p = from; n;) {
        u32 slot;
        size_t len = run(v, pos, n, &slot);
        int why;
        if (slot) {
            why = fd_write(v->fd, (u64)(slot - 1) * v->block + pos % v->block, p, len);
        } else {
            len = min_u64(len, v->block - pos % v->block);
            why = copy_block(v, pos, p, len);
        }
        if (why) return why;
        p += len, pos += len, n -= len;
    }
    return 0;
}
static int overlay_flush(struct disk *d) { return 0; } // nobody reads it after this process
static void overlay_close(struct disk *d)
{
    struct overlay *v = d->self;
    disk_close(v->base);
    close(v->fd);
    free(v->map);
    free(v->bounce);
    free(v);
}
static const struct disk_ops overlay_ops = {overlay_read, overlay_write, overlay_flush, NULL, overlay_close};

struct disk *overlay_open(struct disk *base, struct err *e)
{
    struct overlay *v = xalloc(sizeof *v);
    const char *dir = getenv("TMPDIR");
    char *name = xasprintf("%s/doppel-XXXXXX", dir && *dir ? dir : "/var/tmp");
    *v = (struct overlay){.base = base, .block = 4096, .fd = mkostemp(name, O_CLOEXEC)};
    if (v->fd < 0) {
        err_set(e, "-snapshot of '%s': cannot make '%s': %s; set TMPDIR to a directory with room", base->file, name,
                err_errno(errno));
        goto fail;
    }
    unlink(name);
    while ((base->size + v->block - 1) / v->block > MAX_BLOCKS && v->block < 1u << 30) v->block *= 2;
    v->map = calloc((base->size + v->block - 1) / v->block + 1, sizeof *v->map); // + 1: run() may look one ahead
    v->bounce = xalloc(v->block);
    if (!v->map) {
        err_set(e, "-snapshot of '%s': not enough memory for its block table", base->file);
        goto fail;
    }
    free(name);
    struct disk *d = xalloc(sizeof *d);
    *d = (struct disk){.ops = &overlay_ops,
                       .file = xstrdup(base->file),
                       .format = xstrdup(base->format),
                       .size = base->size,
                       .snapshot = true,
                       .self = v};
    return d;
fail:
    if (v->fd >= 0) close(v->fd);
    free(v->bounce);
    free(name);
    free(v);
    disk_close(base);
    return NULL;
}
