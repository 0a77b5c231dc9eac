// SPDX-License-Identifier: MIT
// Memory for translated code, never writable and executable at one address: the same pages, mapped twice. x86
// hosts keep instruction fetch coherent with stores by physical address, so nothing needs to be flushed.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "tcg/tb/tb.h"

// Bytes of blocks a byte of code; bytes of code a record: more than ever needed. Exit stubs, which are always
// REC_AHEAD records ahead, take their part of the code memory, and so does the code of edges.
enum { PER_META = 2, PER_REC = 32, REC_AHEAD = 4096, SIDE_PART = 5 };
_Static_assert((int)REC_AHEAD >= (int)TB_REC_MAX, "a block's stubs are there before it is");

// Address space that begins where the host's large pages do: hot code is spread over megabytes, and misses of the
// instruction TLB are dear. Shared memory is given large pages where the host is told to by madvise().
enum { LARGE = 2 << 20 };

static void *reserve(u64 size)
{
    u8 *p = mmap(NULL, size + LARGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return p;
    u64 skip = -(uintptr_t)p & (LARGE - 1);
    if (skip) munmap(p, skip);
    munmap(p + skip + size, LARGE - skip);
    return p + skip;
}

// A mapping of length 0 that is "moved" stays, and its pages are seen at the new place, too: a file (memfd) would be a
// third thing to keep, and under RLIMIT_FSIZE there is none of this size.
static bool map_anonymous(u64 size, u8 **rw, const u8 **rx)
{
    void *a = reserve(size), *b = reserve(size);
    if (a == MAP_FAILED || b == MAP_FAILED) goto no;
    *rw = mmap(a, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (*rw == MAP_FAILED) goto no;
    void *code = mremap(*rw, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, b);
    *rx = code;
    if (code == MAP_FAILED || mprotect(code, size, PROT_READ | PROT_EXEC)) goto no;
    madvise(*rw, size, MADV_HUGEPAGE); // wishes
    madvise(code, size, MADV_HUGEPAGE);
    return true;
no:;
    int why = errno;
    if (a != MAP_FAILED) munmap(a, size);
    if (b != MAP_FAILED) munmap(b, size);
    errno = why;
    return false;
}

// For kernels that refuse that: valgrind's is one.
static bool map_file(u64 size, u8 **rw, const u8 **rx)
{
    int fd = memfd_create("doppel-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size)) {
        if (fd >= 0) close(fd);
        return false;
    }
    *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    void *code = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    *rx = code;
    close(fd);
    if (*rw != MAP_FAILED && code != MAP_FAILED) return true;
    if (*rw != MAP_FAILED) munmap(*rw, size);
    if (code != MAP_FAILED) munmap(code, size);
    return false;
}

// False with errno.
static bool map_twice(u64 size, u8 **rw, const u8 **rx)
{
    if (map_anonymous(size, rw, rx)) return true;
    int why = errno;
    if (why == EINVAL && map_file(size, rw, rx)) return true;
    errno = why;
    return false;
}

bool tcg_possible(u64 bytes, struct err *e)
{
    u8 *rw;
    const u8 *rx;
    if (!map_twice(bytes, &rw, &rx))
        return err_set(e, "-accel tcg: no memory for translated code (%s); use -accel interp or a smaller tb-size=",
                       err_errno(errno));
    munmap(rw, bytes);
    munmap((void *)rx, bytes);
    return true;
}

static void *arena(u64 size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) panic("out of memory for translated blocks");
    madvise(p, size, MADV_HUGEPAGE);
    return p;
}

void code_open(struct tcg *k, u64 bytes)
{
    bytes = align_up(max_u64(min_u64(bytes, TCG_SIZE_MAX), TCG_SIZE_MIN), PAGE_SIZE);
    if (!map_twice(bytes, &k->rw, &k->rx)) panic("no memory for translated code: %s", err_errno(errno));
    k->code_size = (u32)bytes;
    k->meta_size = bytes * PER_META;
    k->meta = arena(k->meta_size);
    k->rec_size = (u32)(bytes / PER_REC);
    k->rec = arena((u64)k->rec_size * sizeof *k->rec);
    k->stubs = 16384;
    k->host.rec = k->rec;
    k->host.refill = tlb_refill;
    k->host.log = &k->bus->log.cats;
    if (host_thunks(k->rw, k->rx, k->rx + k->stubs, &k->host) > k->stubs) panic("the thunks do not fit");
    k->code_first = (u32)align_up(code_stub(k, k->rec_size), PAGE_SIZE);
    k->nstub = k->stub_large = 0;
    k->code_used = k->code_first;
    k->side_first = k->side_used = k->code_size - (u32)align_up(bytes / SIDE_PART, PAGE_SIZE);
    k->code_large = k->code_first & ~(u32)(LARGE - 1);
    k->side_large = k->side_first & ~(u32)(LARGE - 1);
    code_room(k);
    k->rec[0] = (struct tb_rec){.kind = REC_LEAVE, .cc_op = 0xffff, .cc_dst = CC_IN_MEMORY, .cc_src = CC_IN_MEMORY};
    k->rec_used = 1;
}

void code_close(struct tcg *k)
{
    munmap(k->rw, k->code_size);
    munmap((void *)k->rx, k->code_size);
    munmap(k->meta, k->meta_size);
    munmap(k->rec, (u64)k->rec_size * sizeof *k->rec);
    if (k->count) munmap(k->count, (u64)k->rec_size * sizeof *k->count);
}

enum { STACK_SIZE = 16 << 20, STACK_SIGNALS = 256 << 10 /* a signal's frame and handler */ };
_Static_assert(STACK_SIZE / 2 - STACK_SIGNALS >= STACK_CALLS * HOST_FRAME, "half of it is enough for a turn");

// The frame that stands for none: its RIP is no address, but a guest may try them all. It would then fault behind the
// RET, not at it.
void code_stack(const struct tcg *k, struct cpu *c)
{
    u8 *p = arena(STACK_SIZE);
    u64 *sentinel = (u64 *)(p + STACK_SIZE - 4096);
    sentinel[0] = (u64)(uintptr_t)k->host.stray;
    sentinel[2] = (u64)(uintptr_t)p | (u64)1 << 63;
    c->host_top = c->host_sp = (u64)(uintptr_t)sentinel;
}

void code_stack_free(struct cpu *c)
{
    munmap((void *)(uintptr_t)(c->host_top + 4096 - STACK_SIZE), STACK_SIZE);
    c->host_top = c->host_sp = 0;
}

bool code_stack_low(const struct cpu *c) { return c->host_top - c->host_sp > STACK_SIZE / 2; }

void code_count(struct tcg *k, bool on)
{
    if (k->count) munmap(k->count, (u64)k->rec_size * sizeof *k->count);
    k->count = on ? arena((u64)k->rec_size * sizeof *k->count) : NULL;
}

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 // Linux 6.1; before, the kernel may do it by itself, or not
#endif

// Memory about to be used is made of large pages, which shared memory seldom gets when it is touched first: all at once
// is cheaper than a fault a page and mapping, and nothing is copied, as it would be later.
static void large_pages(struct tcg *k, u32 used, u32 *done)
{
    for (; *done < used + TB_CODE_MAX && *done + LARGE <= k->code_size; *done += LARGE)
        if (!madvise(k->rw + *done, LARGE, MADV_COLLAPSE)) madvise((void *)(k->rx + *done), LARGE, MADV_COLLAPSE);
}

bool code_room(struct tcg *k)
{
    large_pages(k, k->stubs + k->nstub * HOST_STUB, &k->stub_large);
    large_pages(k, k->code_used, &k->code_large);
    large_pages(k, k->side_used, &k->side_large);
    if (k->rec_used + TB_REC_MAX > k->nstub) {
        u32 n = (u32)min_u64(REC_AHEAD, k->rec_size - k->nstub);
        host_stubs(k->rw + k->stubs, k->rx + k->stubs, &k->host, k->nstub, n, NULL);
        k->nstub += n;
    }
    return k->side_first - k->code_used >= TB_CODE_MAX && k->rec_size - k->rec_used >= TB_REC_MAX;
}
