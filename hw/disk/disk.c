// SPDX-License-Identifier: MIT
// Disk images: opening with messages that help, format detection, locks against a second writer, range checks.
// The lock bytes are QEMU's (100 + permission held, 200 + permission denied to others), so that the two programs
// respect each other; open file description locks, so that one process opening an image twice is noticed as well. Left
// out: formats other than raw are recognised and refused by name.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/disk/format.h"
#include "mem/base/bits.h"

static const struct {
    const char *name, *magic;
    u8 at, len;
    bool tail; // counted from the last 512 bytes
} formats[] = {
    {"qcow2", "QFI\xfb", 0, 4, false},  {"vmdk", "KDMV", 0, 4, false},     {"vmdk", "COWD", 0, 4, false},
    {"vdi", "\x7f\x10\xda\xbe", 64, 4}, {"vhdx", "vhdxfile", 0, 8, false}, {"qed", "QED\0", 0, 4, false},
    {"vpc", "conectix", 0, 8, false},   {"vpc", "conectix", 0, 8, true},   {"parallels", "WithoutFreeSpace", 0, 16},
    {"luks", "LUKS\xba\xbe", 0, 6},     {"dmg", "koly", 0, 4, true},
};
const char *disk_probe(const u8 *head, size_t n, const u8 *tail)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const u8 *p = formats[i].tail ? tail : head;
        if (p && (formats[i].tail || range_ok(formats[i].at, formats[i].len, n)) &&
            !memcmp(p + formats[i].at, formats[i].magic, formats[i].len))
            return formats[i].name;
    }
    return "raw";
}

enum { LOCK_HELD = 100, LOCK_DENIED = 200, PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };

static bool lock_byte(int fd, int at)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return !fcntl(fd, F_OFD_SETLK, &l) || (errno != EAGAIN && errno != EACCES); // file systems without locks: go on
}
static bool free_byte(int fd, int at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &l) || l.l_type == F_UNLCK;
}
// Declares what this program does and denies to others, then looks whether anybody had declared the contrary.
static bool image_lock(int fd, bool write)
{
    if (!lock_byte(fd, LOCK_HELD + PERM_READ) || !lock_byte(fd, LOCK_DENIED + PERM_WRITE) ||
        !lock_byte(fd, LOCK_DENIED + PERM_RESIZE) || (write && !lock_byte(fd, LOCK_HELD + PERM_WRITE)))
        return false;
    // free_byte() sees other descriptions' locks only.
    return free_byte(fd, LOCK_DENIED + PERM_READ) && free_byte(fd, LOCK_HELD + PERM_WRITE) &&
           free_byte(fd, LOCK_HELD + PERM_RESIZE) && (!write || free_byte(fd, LOCK_DENIED + PERM_WRITE));
}

static int host_open(const char *file, bool write, struct err *e)
{
    struct stat st;
    // Not blocking: a FIFO must not hang the start.
    int fd = open(file, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int why = errno;
        if (!stat(file, &st) && S_ISDIR(st.st_mode))
            err_set(e, "'%s' is a directory, not a disk image", file);
        else if (why == ENOENT)
            err_set(e, "cannot open '%s': no such file; check the name, or make an image: truncate -s 8G '%s'", file,
                    file);
        else if (write && (why == EACCES || why == EROFS || why == EPERM))
            err_set(e, "cannot write to '%s': %s; use readonly=on, or -snapshot to keep changes aside", file,
                    err_errno(why));
        else
            err_set(e, "cannot open '%s': %s", file, err_errno(why));
        return -1;
    }
    if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
        err_set(e, "'%s' is a directory, not a disk image", file);
    } else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        err_set(e, "'%s' is neither a regular file nor a block device", file);
    } else if (!image_lock(fd, write)) {
        err_set(e, "'%s' is in use by another virtual machine or drive%s; close it there first", file,
                write ? "" : " that writes to it");
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

// NULL with a message if this program cannot use the image.
static const char *find_format(int fd, u64 bytes, const struct disk_opts *o, struct err *e)
{
    u8 head[512] = {0}, tail[512];
    if (o->format && strcmp(o->format, "raw")) {
        for (size_t i = 0; i < ARRAY_LEN(formats); i++)
            if (!strcmp(o->format, formats[i].name)) goto refuse;
        err_set(e, "'%s': unknown image format '%s'; known: raw", o->file, o->format);
        return NULL;
    }
    if (o->format) return "raw";
    int why = fd_read(fd, 0, head, min_u64(bytes, sizeof head));
    bool have_tail = !why && bytes >= 512;
    if (have_tail) why = fd_read(fd, bytes - 512, tail, 512);
    if (why) {
        err_set(e, "cannot read '%s': %s", o->file, err_errno(why));
        return NULL;
    }
    const char *f = disk_probe(head, min_u64(bytes, sizeof head), have_tail ? tail : NULL);
    if (!strcmp(f, "raw")) return f;
    err_set(e, "'%s' is a %s image, which this program does not read; convert it: qemu-img convert -O raw '%s' new.img",
            o->file, f, o->file);
    return NULL;
refuse:
    err_set(e, "'%s': format %s is not supported; convert it: qemu-img convert -O raw '%s' new.img", o->file, o->format,
            o->file);
    return NULL;
}

struct disk *disk_open(const struct disk_opts *o, struct err *e)
{
    int fd = host_open(o->file, !o->readonly && !o->snapshot && !o->cdrom, e);
    if (fd < 0) return NULL;
    off_t end = lseek(fd, 0, SEEK_END);
    if (end <= 0) {
        err_set(e, end ? "cannot find the size of '%s'" : "'%s' is empty; give it a size first: truncate -s 8G '%s'",
                o->file, o->file);
        close(fd);
        return NULL;
    }
    if (!find_format(fd, end, o, e)) {
        close(fd);
        return NULL;
    }
    struct disk *d = raw_open(fd, end, o, e);
    if (!d) return NULL;
    d->probed = !o->format && !d->readonly;
    if (o->snapshot && !o->cdrom && !o->readonly) d = overlay_open(d, e);
    return d;
}

int disk_read(struct disk *d, u64 pos, void *to, size_t n)
{
    if (!range_ok(pos, n, d->size)) return EINVAL;
    return n ? d->ops->read(d, pos, to, n) : 0;
}
int disk_write(struct disk *d, u64 pos, const void *from, size_t n)
{
    if (!range_ok(pos, n, d->size)) return EINVAL;
    if (d->readonly) return EROFS;
    // Otherwise a guest could make its image into one that names other files of the host at the next start.
    if (d->probed && !pos && strcmp(disk_probe(from, n, NULL), "raw")) return EPERM;
    return n ? d->ops->write(d, pos, from, n) : 0;
}
int disk_flush(struct disk *d) { return d->readonly ? 0 : d->ops->flush(d); }
int disk_discard(struct disk *d, u64 pos, u64 n)
{
    if (!range_ok(pos, n, d->size)) return EINVAL;
    if (d->readonly) return EROFS;
    return d->ops->discard && n ? d->ops->discard(d, pos, n) : 0;
}
void disk_close(struct disk *d)
{
    if (!d) return;
    if (!d->readonly) (void)d->ops->flush(d);
    d->ops->close(d);
    free(d->file);
    free(d->format);
    free(d);
}
