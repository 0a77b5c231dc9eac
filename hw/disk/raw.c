// SPDX-License-Identifier: MIT
// Raw images: the file's bytes are the disk's. A length that is no multiple of the sector is padded with zeros on
// reading; a write into that last sector completes it in the file.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "hw/disk/format.h"
#include "mem/base/bits.h"

struct raw {
    int fd;
    u64 bytes; // that the file has; up to disk.size zeros follow
};

int fd_read(int fd, u64 pos, void *to, size_t n)
{
    for (u8 *p = to; n;) {
        ssize_t got = pread(fd, p, n, (off_t)pos);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got ? errno : EIO;
        p += got, pos += got, n -= got;
    }
    return 0;
}
int fd_write(int fd, u64 pos, const void *from, size_t n)
{
    for (const u8 *p = from; n;) {
        ssize_t put = pwrite(fd, p, n, (off_t)pos);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return !put || errno == EDQUOT || errno == EFBIG ? ENOSPC : errno;
        p += put, pos += put, n -= put;
    }
    return 0;
}

static int raw_read(struct disk *d, u64 pos, void *to, size_t n)
{
    struct raw *r = d->self;
    size_t in_file = pos < r->bytes ? min_u64(n, r->bytes - pos) : 0;
    memset((u8 *)to + in_file, 0, n - in_file);
    return fd_read(r->fd, pos, to, in_file);
}
static int raw_write(struct disk *d, u64 pos, const void *from, size_t n)
{
    struct raw *r = d->self;
    int why = fd_write(r->fd, pos, from, n);
    if (!why) r->bytes = max_u64(r->bytes, pos + n);
    return why;
}
static int raw_flush(struct disk *d)
{
    struct raw *r = d->self;
    if (!fdatasync(r->fd) || errno == EINVAL || errno == EROFS) return 0; // the latter two: nothing to synchronise
    return errno;
}
static int raw_discard(struct disk *d, u64 pos, u64 n)
{
    struct raw *r = d->self;
    if (pos >= r->bytes) return 0;
    n = min_u64(n, r->bytes - pos);
    (void)!fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)n); // only a hint
    return 0;
}
static void raw_close(struct disk *d)
{
    struct raw *r = d->self;
    close(r->fd);
    free(r);
}
static const struct disk_ops raw_ops = {raw_read, raw_write, raw_flush, raw_discard, raw_close};

struct disk *raw_open(int fd, u64 bytes, const struct disk_opts *o, struct err *e)
{
    struct disk *d = xalloc(sizeof *d);
    struct raw *r = xalloc(sizeof *r);
    *r = (struct raw){.fd = fd, .bytes = bytes};
    *d = (struct disk){.ops = &raw_ops,
                       .file = xstrdup(o->file),
                       .format = xstrdup("raw"),
                       .size = align_up(bytes, o->cdrom ? 2048 : 512),
                       .readonly = o->readonly || o->snapshot || o->cdrom,
                       .self = r};
    return d;
}
