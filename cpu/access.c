// SPDX-License-Identifier: MIT
// The slow path of loads and stores: segment checks (SDM vol. 3 5.3-5.5), canonical addresses, alignment, page
// crossing, MMIO, data breakpoints. All pages of an access are translated before the first byte moves.
#include <string.h>
#include "cpu/access.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

NORETURN static void access_fault(struct cpu *c, unsigned seg) { cpu_raise_err(c, seg == S_SS ? EXC_SS : EXC_GP, 0); }

static bool canonical(u64 a) { return (u64)((i64)(a << 16) >> 16) == a; }

u64 mem_linear(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc)
{
    const struct seg *s = &c->seg[seg];
    u64 lin = s->base + ea;
    if (cpu_code64(c)) {
        if (!canonical(lin) || !canonical(lin + n - 1)) access_fault(c, seg);
        return lin;
    }
    u64 last = ea + n - 1, end = acc == ACC_WRITE ? s->wend : s->rend;
    if (last >= end) { // not an ordinary segment, or outside
        unsigned type = s->attr & SEG_TYPE;
        bool data = !(type & SEG_CODE);
        if (!s->usable) access_fault(c, seg);
        if (cpu_protected(c)) {
            if (acc == ACC_WRITE && !(data && (type & SEG_WRITE))) access_fault(c, seg);
            if (acc == ACC_READ && !data && !(type & SEG_READ)) access_fault(c, seg);
        }
        if (cpu_protected(c) && data && (type & SEG_DOWN)) {
            u64 top = s->attr & SEG_DB ? 0xffffffff : 0xffff;
            if (ea <= s->limit || last > top) access_fault(c, seg);
        } else if (last > s->limit) {
            access_fault(c, seg);
        }
    }
    return (u32)lin;
}

static void check_align(struct cpu *c, u64 lin, unsigned size)
{
    if (unlikely(lin & (size - 1)) && (c->cr0 & CR0_AM) && (c->eflags & FL_AC) && c->cpl == 3)
        cpu_raise_err(c, EXC_AC, 0);
}

static bool data_breakpoints(const struct cpu *c) { return c->dr[7] & 0xff; }

static bool watched(const struct cpu *c)
{
    return unlikely(c->hooks != NULL) && (c->hooks->nwatch || c->hooks->watch_all);
}

static u64 next_lin(struct cpu *c, u64 lin) { return cpu_code64(c) ? lin : (u32)lin; }

// An access that crosses pages does not pass tlb_fill().
static void tell_both(struct cpu *c, u64 pa, u64 pb, int acc)
{
    if (likely(c->witness == NULL)) return;
    c->witness(c, pa, acc);
    c->witness(c, pb, acc);
}

u64 access_lin_load_slow(struct cpu *c, u64 lin, unsigned size, bool system)
{
    u64 v, pa, pb = 0;
    if (!system) check_align(c, lin, size);
    unsigned room = PAGE_SIZE - (lin & 0xfff);
    if (likely(room >= size)) {
        void *p = tlb_fill(c, lin, ACC_READ, system, &pa);
        v = p ? ld_size(p, size) : bus_load(c->bus, pa, size);
    } else {
        pa = mmu_translate(c, lin, ACC_READ, system);
        pb = mmu_translate(c, next_lin(c, lin + room), ACC_READ, system);
        tell_both(c, pa, pb, ACC_READ);
        v = 0;
        for (unsigned i = 0; i < size; i++) v |= bus_load(c->bus, i < room ? pa + i : pb + (i - room), 1) << 8 * i;
    }
    if (watched(c)) hook_data(c, lin, pa, pb, v, size, false, system);
    if (unlikely(data_breakpoints(c)) && !system) debug_check_data(c, lin, size, false);
    return v;
}

void access_lin_store_slow(struct cpu *c, u64 lin, u64 v, unsigned size, bool system)
{
    u64 pa;
    if (!system) check_align(c, lin, size);
    unsigned room = PAGE_SIZE - (lin & 0xfff);
    if (likely(room >= size)) {
        void *p = tlb_fill(c, lin, ACC_WRITE, system, &pa);
        if (watched(c)) hook_data(c, lin, pa, 0, v & size_mask(size), size, true, system);
        if (p)
            st_size(p, v, size);
        else
            bus_store(c->bus, pa, v & size_mask(size), size);
    } else {
        u64 pb;
        pa = mmu_translate(c, lin, ACC_WRITE, system);
        pb = mmu_translate(c, next_lin(c, lin + room), ACC_WRITE, system);
        tell_both(c, pa, pb, ACC_WRITE);
        if (watched(c)) hook_data(c, lin, pa, pb, v & size_mask(size), size, true, system);
        for (unsigned i = 0; i < size; i++)
            bus_store(c->bus, i < room ? pa + i : pb + (i - room), v >> 8 * i & 0xff, 1);
    }
    if (unlikely(data_breakpoints(c)) && !system) debug_check_data(c, lin, size, true);
}

u64 access_load_slow(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    return access_lin_load_slow(c, mem_linear(c, seg, ea, size, ACC_READ), size, false);
}

void access_store_slow(struct cpu *c, unsigned seg, u64 ea, u64 v, unsigned size)
{
    access_lin_store_slow(c, mem_linear(c, seg, ea, size, ACC_WRITE), v, size, false);
}

static void probe_pages(struct cpu *c, u64 lin, unsigned n, int acc, bool system)
{
    mmu_translate(c, lin, acc, system);
    for (unsigned at = PAGE_SIZE - (lin & 0xfff); at < n; at += PAGE_SIZE)
        mmu_translate(c, next_lin(c, lin + at), acc, system);
}

u64 access_rmw_load_slow(struct cpu *c, unsigned seg, u64 ea, unsigned size)
{
    u64 lin = mem_linear(c, seg, ea, size, ACC_WRITE);
    check_align(c, lin, size);
    probe_pages(c, lin, size, ACC_WRITE, false);
    return access_lin_load_slow(c, lin, size, false);
}

void mem_probe(struct cpu *c, unsigned seg, u64 ea, unsigned n, int acc)
{
    probe_pages(c, mem_linear(c, seg, ea, n, acc), n, acc, false);
}

void sys_probe(struct cpu *c, u64 lin, unsigned n, int acc)
{
    struct tlb_set *s = &c->tlbs[sys_tlb(c)];
    if (unlikely(!tlb_host(acc == ACC_WRITE ? s->wr : s->rd, lin, n))) probe_pages(c, lin, n, acc, true);
}

static u64 first_bytes(const u8 *p, u64 n)
{
    u64 v = 0;
    for (unsigned i = 0; i < 8 && i < n; i++) v |= (u64)p[i] << 8 * i;
    return v;
}

// Moves n bytes once all pages are known to be accessible.
static void move_block(struct cpu *c, u64 lin, u8 *p, unsigned n, bool write)
{
    while (n) {
        u64 pa, m = min_u64(n, PAGE_SIZE - (lin & 0xfff));
        u8 *host = tlb_fill(c, next_lin(c, lin), write ? ACC_WRITE : ACC_READ, false, &pa);
        if (watched(c) && write) hook_data(c, next_lin(c, lin), pa, 0, first_bytes(p, m), (u32)m, true, false);
        if (host && write)
            memcpy(host, p, m);
        else if (host)
            memcpy(p, host, m);
        else
            for (u64 i = 0, w; i < m; i += w) {
                w = (pa + i) & 7 || m - i < 8 ? 1 : 8;
                if (write)
                    bus_store(c->bus, pa + i, ld_size(p + i, w), w);
                else
                    st_size(p + i, bus_load(c->bus, pa + i, w), w);
            }
        if (watched(c) && !write) hook_data(c, next_lin(c, lin), pa, 0, first_bytes(p, m), (u32)m, false, false);
        lin += m, p += m, n -= m;
    }
}

static void block(struct cpu *c, unsigned seg, u64 ea, u8 *p, unsigned n, unsigned align, bool write)
{
    u64 lin = mem_linear(c, seg, ea, n, write ? ACC_WRITE : ACC_READ);
    if (align && (lin & (align - 1))) cpu_raise_err(c, EXC_GP, 0);
    if (!align) check_align(c, lin, is_pow2(n) && n <= 16 ? n : n == 10 ? 8 : 4);
    if (PAGE_SIZE - (lin & 0xfff) < n) probe_pages(c, lin, n, write ? ACC_WRITE : ACC_READ, false);
    move_block(c, lin, p, n, write);
    if (unlikely(data_breakpoints(c))) debug_check_data(c, lin, n, write);
}

void mem_read(struct cpu *c, unsigned seg, u64 ea, void *to, unsigned n, unsigned align)
{
    void *p = access_host_rd(c, seg, ea, n);
    if (likely(p && !(align && ((c->seg[seg].base + ea) & (align - 1)))))
        memcpy(to, p, n);
    else
        block(c, seg, ea, to, n, align, false);
}

void mem_write(struct cpu *c, unsigned seg, u64 ea, const void *from, unsigned n, unsigned align)
{
    void *p = access_host_wr(c, seg, ea, n);
    if (likely(p && !(align && ((c->seg[seg].base + ea) & (align - 1)))))
        memcpy(p, from, n);
    else
        block(c, seg, ea, (u8 *)from, n, align, true);
}
