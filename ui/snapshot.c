// SPDX-License-Identifier: MIT
// Saved machines. File: "DOPPELVM", u32 format version, u32 length of the shape text, the shape ("pc ram=… cpus=…
// cpu=…"), u64 length of the state, the state (mem/state), u32 CRC of all before it; numbers little-endian. A file is
// written beside its final name and moved there when it is whole. Disk images are not in it: they must be as they were.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "cpu/cpuid.h"
#include "mem/base/bits.h"
#include "mem/state.h"
#include "ui/monitor.h"
#include "ui/vm.h"

#define MAGIC   "DOPPELVM"
#define VERSION 1
#define HEAD    16 // magic, version, shape's length

static void shape(struct buf *b)
{
    buf_printf(b, "pc ram=%llu cpus=%u cpu=%s", (unsigned long long)vm.pc->ram->size, vm.pc->m.ncpus,
               vm.pc->model->name);
}

static u32 crc_of(const u8 *p, size_t n)
{
    u32 c = 0;
    for (size_t at = 0; at < n;) {
        uInt k = (uInt)min_u64(n - at, 1 << 30);
        c = (u32)crc32(c, p + at, k);
        at += k;
    }
    return c;
}

static bool save_state(struct buf *to, struct err *e)
{
    struct state s = {.mode = STATE_SAVE, .out = to};
    machine_state(&vm.pc->m, &s);
    return state_ok(&s) || err_set(e, "%s", s.err.msg);
}

static bool write_file(const char *file, const struct buf *b, struct err *e)
{
    char *tmp = xasprintf("%s.tmp%d", file, (int)getpid());
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < b->len;) {
        ssize_t n = write(fd, b->data + at, min_u64(b->len - at, 1 << 20));
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0;
        if (ok) at += (size_t)n;
    }
    ok = ok && !fsync(fd);
    int why = errno;
    if (fd >= 0 && close(fd) && ok) ok = false, why = errno;
    if (ok && rename(tmp, file)) ok = false, why = errno;
    if (!ok) {
        if (fd >= 0) unlink(tmp);
        err_set(e, "cannot write '%s': %s", file, err_errno(why));
    }
    free(tmp);
    return ok;
}

bool snapshot_save(const char *file, struct err *e)
{
    struct buf b = {0}, text = {0}, st = {0};
    vm_flush_disks();
    shape(&text);
    bool ok = save_state(&st, e);
    if (ok) {
        buf_add(&b, MAGIC, 8);
        buf_u32(&b, VERSION);
        buf_u32(&b, (u32)text.len);
        buf_add(&b, text.data, text.len);
        buf_u64(&b, st.len);
        buf_add(&b, st.data, st.len);
        buf_u32(&b, crc_of(b.data, b.len));
        ok = write_file(file, &b, e);
    }
    buf_free(&st);
    buf_free(&text);
    buf_free(&b);
    return ok;
}

static bool read_file(const char *file, struct buf *b, struct err *e)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st)) {
        err_set(e, "cannot open '%s': %s", file, err_errno(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, "'%s' is not a file", file);
    }
    buf_zero(b, (size_t)st.st_size);
    size_t at = 0;
    ssize_t n = 1;
    while (at < b->len && (n = read(fd, b->data + at, b->len - at)) > 0) at += (size_t)n;
    int why = errno;
    close(fd);
    if (at == b->len) return true;
    return err_set(e, "cannot read '%s': %s", file, n < 0 ? err_errno(why) : "it is shorter than it was");
}

// Checks everything around the state. *at, *n: where it lies.
static bool check_file(const char *file, const struct buf *b, size_t *at, size_t *n, struct err *e)
{
    if (b->len < 8 || memcmp(b->data, MAGIC, 8)) return err_set(e, "'%s' is not a machine saved by doppel", file);
    if (b->len < HEAD + 12) return err_set(e, "'%s' is cut short", file);
    u32 version = ld32(b->data + 8), len = ld32(b->data + 12);
    if (version != VERSION) return err_set(e, "'%s' has format %u; this doppel reads %u", file, version, VERSION);
    if (!range_ok(HEAD, (u64)len + 12, b->len)) return err_set(e, "'%s' is cut short", file);
    *at = HEAD + len + 8;
    *n = ld64(b->data + HEAD + len);
    if (*n > b->len - *at - 4) return err_set(e, "'%s' is cut short", file);
    if (*at + *n + 4 != b->len || crc_of(b->data, b->len - 4) != ld32(b->data + b->len - 4))
        return err_set(e, "'%s' is damaged (its checksum is wrong)", file);
    struct buf mine = {0};
    shape(&mine);
    bool ok = mine.len == len && !memcmp(mine.data, b->data + HEAD, len);
    if (!ok)
        err_set(e, "'%s' is of another machine: '%.*s'; this one is '%s': start with the same options", file,
                (int)min_u64(len, 120), b->data + HEAD, buf_text(&mine));
    buf_free(&mine);
    return ok;
}

bool snapshot_load(const char *file, struct err *e)
{
    struct buf b = {0}, before = {0};
    size_t at = 0, n = 0;
    bool ok = read_file(file, &b, e) && check_file(file, &b, &at, &n, e) && save_state(&before, e);
    if (ok) {
        struct state s = {.mode = STATE_LOAD, .in = b.data + at, .len = n};
        machine_state(&vm.pc->m, &s);
        if (!state_ok(&s)) { // back to where it was: a half-loaded machine is none
            struct state back = {.mode = STATE_LOAD, .in = before.data, .len = before.len};
            machine_state(&vm.pc->m, &back);
            ok = err_set(e, "'%s': %s", file, s.err.msg);
        }
    }
    buf_free(&before);
    buf_free(&b);
    return ok;
}
