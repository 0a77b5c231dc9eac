// SPDX-License-Identifier: MIT
// `info jit`, and what -d in_asm and out_asm print.
#include <stdio.h>
#include <stdlib.h>
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/bus.h"
#include "tcg/tb/tb.h"

typedef unsigned long long ull;

static double part(u64 a, u64 b) { return b ? (double)a / (double)b : 0; }

static void info_exits(const struct tcg *k, struct buf *out)
{
    const struct tcg_stats *s = &k->st;
    u64 refills = 0;
    for (u32 i = 0; i < k->users; i++) refills += k->cpu[i]->refills;
    static const char *const kind[REC_KINDS] = {"instruction", "jump", "far jump", "budget", "leave", "load x87"};
    u64 all = 0;
    for (unsigned i = 0; i < ARRAY_LEN(s->exits); i++) all += s->exits[i];
    buf_printf(out, "entered from C     %llu times, left %llu times:\n", (ull)s->enters, (ull)all);
    for (unsigned i = 0; i < ARRAY_LEN(s->exits); i++)
        buf_printf(out, "  %-16s %llu (%.1f%%)\n", kind[i], (ull)s->exits[i], 100 * part(s->exits[i], all));
    buf_printf(out, "  TLB misses served without leaving: %llu\n", (ull)refills);
    buf_printf(out, "  instruction exits: %llu for memory (TLB miss, MMIO, marked page), %llu for a target\n",
               (ull)s->slow_memory, (ull)s->slow_jump);
    buf_printf(out, "  at dead blocks     %llu\n", (ull)s->dead);
    buf_printf(out, "links made         %llu in a page, %llu between pages\n", (ull)s->near, (ull)s->far);
    buf_printf(out,
               "dispatcher         %llu look-ups, %llu jump cache entries made (%llu of pages that are not global)\n",
               (ull)s->lookups, (ull)s->filled, (ull)s->local);
    buf_printf(out,
               "  found there      %llu nothing, %llu another address, %llu another mode, %llu an old translation\n",
               (ull)s->missed[MISS_NEW], (ull)s->missed[MISS_OTHER], (ull)s->missed[MISS_MODE],
               (ull)s->missed[MISS_GENERATION]);
}

static int by_count(const void *a, const void *b)
{
    const u32 *x = a, *y = b;
    return x[1] < y[1] ? 1 : x[1] > y[1] ? -1 : 0;
}

static void info_fallbacks(const struct tcg_stats *s, struct buf *out)
{
    enum { TOP = 30 };
    u32 row[OP_COUNT][2], n = 0;
    u64 all = 0;
    for (u32 i = 0; i < OP_COUNT; i++) {
        if (!s->fallback[i]) continue;
        all += s->fallback[i];
        row[n][0] = i;
        row[n++][1] = s->fallback[i];
    }
    qsort(row, n, sizeof row[0], by_count);
    buf_printf(out, "instructions by the interpreter's functions inside blocks: %llu, of %u kinds\n", (ull)all, n);
    for (u32 i = 0; i < n && i < TOP; i++)
        buf_printf(out, "  %-24s %10u (%.1f%%)\n", insn_rows[row[i][0]].name, row[i][1], 100 * part(row[i][1], all));
}

void tb_info(const struct tcg *k, struct buf *out)
{
    const struct tcg_stats *s = &k->st;
    u32 hot = k->code_used - k->code_first, cold = k->side_used - k->side_first;
    buf_printf(out, "code memory        %u KB and %u KB of edges of %u KB, %u KB of blocks, %u KB of records\n",
               hot >> 10, cold >> 10, k->code_size >> 10, (u32)(k->meta_used >> 10),
               (u32)(k->rec_used * sizeof *k->rec >> 10));
    buf_printf(out, "blocks decoded     %llu, %.1f instructions and %.1f bytes each\n", (ull)s->built,
               part(s->built_insns, s->built), part(s->built_bytes, s->built));
    buf_printf(out, "blocks translated  %llu, %.1f instructions and %.1f guest bytes each; %llu too long\n",
               (ull)s->compiled, part(s->insns, s->compiled), part(s->guest_bytes, s->compiled), (ull)s->fails);
    u64 apart = s->side_bytes + s->records * HOST_STUB;
    buf_printf(out, "host bytes a block hot %.1f (%.2f x the guest's), cold %.1f: edges %.1f, %.1f exits\n",
               part(s->host_bytes, s->compiled), part(s->host_bytes, s->guest_bytes), part(apart, s->compiled),
               part(s->side_bytes, s->compiled), part(s->records, s->compiled));
    if (k->cfg.ticks)
        buf_printf(out, "translation time   %llu million ticks, %.0f an instruction\n", (ull)s->ticks / 1000000,
                   part(s->ticks, s->insns));
    buf_printf(out, "executed cold      %llu instructions, %llu alone\n", (ull)s->cold, (ull)s->alone);
    info_exits(k, out);
    buf_printf(out,
               "blocks killed      %llu by the CPU's writes, %llu by DMA, %llu by a second page that moved, "
               "%llu whose common checks failed\n",
               (ull)s->by_cpu, (ull)s->by_dma, (ull)s->by_page, (ull)s->by_wide);
    buf_printf(out, "flushes            %llu, of which %llu because memory was full\n", (ull)s->flushes, (ull)s->full);
    info_fallbacks(s, out);
}

// ---- logs
u32 tb_disas(const struct tcg *k, const u8 *code, u32 len, u64 at, unsigned mode, char *text, size_t size)
{
    u32 n = k->cfg.disas ? k->cfg.disas(k->cpu[0], mode, at, code, len, text, size) : 0;
    if (n) return n;
    struct buf bytes = {0};
    for (; n < 8 && n < len; n++) buf_printf(&bytes, "%s%02x", n ? " " : "", code[n]);
    snprintf(text, size, "%s", buf_text(&bytes));
    buf_free(&bytes);
    return n;
}

static void disassemble(const struct tcg *k, struct buf *out, const u8 *code, u32 len, u64 at, unsigned mode)
{
    char text[160];
    for (u32 from = 0, n; from < len; from += n) {
        n = tb_disas(k, code + from, len - from, at + from, mode, text, sizeof text);
        buf_printf(out, "0x%08llx: ", (ull)at + from);
        for (u32 i = 0; i < 11; i++) {
            if (i < n)
                buf_printf(out, " %02x", code[from + i]);
            else
                buf_printf(out, "   ");
        }
        buf_printf(out, "  %s\n", text);
    }
}

void tb_print_guest(const struct tcg *k, const struct tb *t, u64 rip, struct buf *out)
{
    u8 bytes[TB_MAX * 15];
    for (unsigned i = 0; i < t->bytes; i++) {
        unsigned room = PAGE_SIZE - (t->pa & 0xfff);
        bytes[i] = (u8)bus_load(k->bus, i < room ? t->pa + i : t->pa2 + (i - room), 1);
    }
    buf_printf(out, "IN: physical %llx, mode %x\n", (ull)t->pa, t->key);
    disassemble(k, out, bytes, t->bytes, rip, t->key & MODE_CODE);
}

void tb_print_host(const struct tcg *k, const struct tb *t, u64 rip, struct buf *out)
{
    buf_printf(out, "OUT: RIP %llx [size=%u]\n", (ull)rip, t->code_len);
    disassemble(k, out, k->rw + t->code, t->code_len, (u64)(uintptr_t)(k->rx + t->code), MODE_64);
}

void tb_log_guest(struct tcg *k, const struct tb *t, u64 rip)
{
    if (!log_in_range(&k->bus->log, rip)) return;
    struct buf out = {0};
    tb_print_guest(k, t, rip, &out);
    log_item(&k->bus->log, LOG_INASM, "----------------\n%s\n", buf_text(&out));
    buf_free(&out);
}

void tb_log_host(struct tcg *k, const struct tb *t, u64 rip)
{
    if (!log_in_range(&k->bus->log, rip)) return;
    struct buf out = {0};
    tb_print_host(k, t, rip, &out);
    log_item(&k->bus->log, LOG_OUTASM, "%s\n", buf_text(&out));
    buf_free(&out);
}

void tb_log_entry(struct tcg *k, const struct tb *t, const struct cpu *c)
{
    if (!log_in_range(&k->bus->log, c->gpr[R_RIP])) return;
    log_item(&k->bus->log, LOG_EXEC, "Trace %u: %p [%016llx/%016llx/%08x]\n", c->index, (const void *)(k->rx + t->code),
             (ull)t->pa, (ull)c->gpr[R_RIP], t->key);
}
