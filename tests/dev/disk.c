// SPDX-License-Identifier: MIT
// Disk images: what opens, what is refused with which message, padding, snapshots, locks, a full host disk.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/disk/disk.h"
#include "tests/check.h"

static char dir[] = "/tmp/doppel-disk-XXXXXX";
static const char *path(const char *name)
{
    static char buf[4][128];
    static int k;
    char *p = buf[k++ & 3];
    snprintf(p, sizeof buf[0], "%s/%s", dir, name);
    return p;
}
static const char *image(const char *name, size_t size, const char *head)
{
    const char *p = path(name);
    FILE *f = fopen(p, "w");
    if (head) fwrite(head, 1, strlen(head), f);
    fclose(f);
    if (truncate(p, (off_t)size)) abort();
    return p;
}
static struct disk *open_with(struct disk_opts o, struct err *e)
{
    *e = (struct err){0};
    return disk_open(&o, e);
}

static void raw(void)
{
    struct err e;
    const char *f = image("a.img", 1 << 20, NULL);
    struct disk *d = open_with((struct disk_opts){.file = f}, &e);
    CHECK(d && d->size == 1 << 20 && !d->readonly);
    if (!d) return;
    u8 w[1024], r[1024];
    for (int i = 0; i < 1024; i++) w[i] = i * 7;
    CHECK_EQ(disk_write(d, 512 * 100, w, 1024), 0);
    CHECK_EQ(disk_read(d, 512 * 100, r, 1024), 0);
    CHECK(!memcmp(w, r, 1024));
    CHECK_EQ(disk_read(d, (1 << 20) - 512, r, 1024), EINVAL);
    CHECK_EQ(disk_write(d, ~(u64)0 - 100, w, 512), EINVAL);
    CHECK_EQ(disk_flush(d), 0);
    CHECK_EQ(disk_discard(d, 0, 4096), 0);
    disk_close(d);
    d = open_with((struct disk_opts){.file = f, .readonly = true}, &e);
    CHECK(d && disk_read(d, 512 * 100, r, 1024) == 0 && !memcmp(w, r, 1024));
    CHECK_EQ(disk_write(d, 0, w, 512), EROFS);
    disk_close(d);
    disk_close(NULL);
}
static void odd_size(void)
{
    struct err e;
    u8 b[512];
    const char *f = image("odd.img", 1000, NULL);
    struct disk *d = open_with((struct disk_opts){.file = f}, &e);
    CHECK(d && d->size == 1024);
    if (!d) return;
    memset(b, 0xaa, sizeof b);
    CHECK_EQ(disk_read(d, 512, b, 512), 0);
    for (int i = 0; i < 512; i++) CHECK_EQ(b[i], 0);
    memset(b, 0xaa, sizeof b);
    CHECK_EQ(disk_write(d, 512, b, 512), 0);
    memset(b, 0, sizeof b);
    CHECK_EQ(disk_read(d, 512, b, 512), 0);
    CHECK_EQ(b[511], 0xaa);
    disk_close(d);
    f = image("odd.iso", 5000, NULL);
    d = open_with((struct disk_opts){.file = f, .cdrom = true}, &e);
    CHECK(d && d->size == 6144 && d->readonly);
    disk_close(d);
    // The file shrinks under us: an error, not a crash
    f = image("shrink.img", 8192, NULL);
    d = open_with((struct disk_opts){.file = f}, &e);
    CHECK_EQ(truncate(f, 100), 0);
    CHECK_EQ(disk_read(d, 4096, b, 512), EIO);
    disk_close(d);
}
static void refused(void)
{
    struct err e;
    CHECK(!open_with((struct disk_opts){.file = path("none")}, &e) && strstr(e.msg, "no such file"));
    CHECK(!open_with((struct disk_opts){.file = dir}, &e) && strstr(e.msg, "directory"));
    CHECK(!open_with((struct disk_opts){.file = dir, .readonly = true}, &e) && strstr(e.msg, "directory"));
    CHECK(!open_with((struct disk_opts){.file = image("empty", 0, NULL)}, &e) && strstr(e.msg, "empty"));
    CHECK(!open_with((struct disk_opts){.file = "/dev/null"}, &e) && strstr(e.msg, "neither"));
    CHECK(!open_with((struct disk_opts){.file = image("q", 4096, "QFI\xfb")}, &e) && strstr(e.msg, "qcow2"));
    struct disk *d = open_with((struct disk_opts){.file = path("q"), .format = "raw"}, &e);
    CHECK(d);
    disk_close(d);
    CHECK(!open_with((struct disk_opts){.file = path("q"), .format = "vmdk"}, &e) && strstr(e.msg, "vmdk"));
    CHECK(!open_with((struct disk_opts){.file = path("q"), .format = "zip"}, &e) && strstr(e.msg, "unknown"));
    mkfifo(path("fifo"), 0600);
    CHECK(!open_with((struct disk_opts){.file = path("fifo")}, &e) && strstr(e.msg, "neither"));
    // A guest must not turn a probed raw image into another format
    d = open_with((struct disk_opts){.file = image("p", 4096, NULL)}, &e);
    u8 b[512] = "QFI\xfb";
    CHECK_EQ(disk_write(d, 0, b, 512), EPERM);
    CHECK_EQ(disk_write(d, 512, b, 512), 0);
    disk_close(d);
}
static void locks(void)
{
    struct err e;
    const char *f = image("l.img", 4096, NULL);
    struct disk *a = open_with((struct disk_opts){.file = f}, &e);
    CHECK(a);
    CHECK(!open_with((struct disk_opts){.file = f}, &e) && strstr(e.msg, "in use"));
    CHECK(!open_with((struct disk_opts){.file = f, .readonly = true}, &e) && strstr(e.msg, "in use"));
    disk_close(a);
    a = open_with((struct disk_opts){.file = f, .snapshot = true}, &e);
    struct disk *b = open_with((struct disk_opts){.file = f, .readonly = true}, &e);
    CHECK(a && b);
    CHECK(!open_with((struct disk_opts){.file = f}, &e) && strstr(e.msg, "in use"));
    disk_close(a);
    disk_close(b);
    a = open_with((struct disk_opts){.file = f}, &e);
    CHECK(a);
    disk_close(a);
}
static void snapshot(void)
{
    struct err e;
    enum { SIZE = 5000 * 512 };
    const char *f = image("s.img", SIZE, "base");
    struct disk *d = open_with((struct disk_opts){.file = f, .snapshot = true}, &e);
    CHECK(d && d->snapshot && !d->readonly && d->size == SIZE);
    if (!d) return;
    u8 *model = calloc(1, SIZE), *tmp = malloc(SIZE);
    memcpy(model, "base", 4);
    u64 x = 88172645463325252;
    for (int i = 0; i < 2000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        u64 pos = x % 5000 * 512, n = (1 + (x >> 20) % 40) * 512;
        if (pos + n > SIZE) n = SIZE - pos;
        if (x >> 63) {
            memset(tmp, (int)(x >> 40), n);
            memcpy(model + pos, tmp, n);
            CHECK_EQ(disk_write(d, pos, tmp, n), 0);
        } else {
            CHECK_EQ(disk_read(d, pos, tmp, n), 0);
            CHECK(!memcmp(tmp, model + pos, n));
        }
    }
    CHECK_EQ(disk_read(d, 0, tmp, SIZE), 0);
    CHECK(!memcmp(tmp, model, SIZE));
    disk_close(d);
    d = open_with((struct disk_opts){.file = f, .readonly = true}, &e);
    memset(model, 0, SIZE);
    memcpy(model, "base", 4);
    CHECK(d && disk_read(d, 0, tmp, SIZE) == 0 && !memcmp(tmp, model, SIZE)); // untouched
    disk_close(d);
    free(model), free(tmp);
    char *old = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
    setenv("TMPDIR", path("nowhere"), 1);
    CHECK(!open_with((struct disk_opts){.file = f, .snapshot = true}, &e) && strstr(e.msg, "TMPDIR"));
    old ? setenv("TMPDIR", old, 1) : unsetenv("TMPDIR");
    free(old);
}
// A limit on the file's length stands for a full host disk: the same path through pwrite.
static void full(void)
{
    struct err e;
    struct rlimit was, now;
    signal(SIGXFSZ, SIG_IGN);
    const char *f = image("full.img", 1 << 20, NULL);
    struct disk *d = open_with((struct disk_opts){.file = f, .snapshot = true}, &e);
    u8 b[8192];
    memset(b, 1, sizeof b);
    CHECK_EQ(disk_write(d, 0, b, 8192), 0);
    getrlimit(RLIMIT_FSIZE, &was);
    now = (struct rlimit){8192, was.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
    memset(b, 2, sizeof b);
    CHECK_EQ(disk_write(d, 65536, b, 512), ENOSPC);
    CHECK_EQ(disk_write(d, 0, b, 512), 0); // a block that has its place
    setrlimit(RLIMIT_FSIZE, &was);
    CHECK_EQ(disk_read(d, 65536, b, 512), 0);
    CHECK_EQ(b[0], 0);
    CHECK_EQ(disk_read(d, 0, b, 8192), 0);
    CHECK(b[0] == 2 && b[511] == 2 && b[512] == 1 && b[8191] == 1);
    disk_close(d);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(raw),   TEST(odd_size), TEST(refused),
                                              TEST(locks), TEST(snapshot), TEST(full)};
    if (!mkdtemp(dir)) return 2;
    int rc = check_main(argc, argv, tests, ARRAY_LEN(tests));
    char cmd[64];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) ? 2 : rc;
}
