// SPDX-License-Identifier: MIT
// The report about a difference that lockstep has found: both states, the memory, the block to blame as guest code, IR
// and host code, how the window got there, and how to see it again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tb/check.h"

enum { LAST = 32 /* blocks */, BYTES = 64 /* that differ */ };
typedef unsigned long long ull;

static void put_code(const struct tcg *g, const struct check_bound *at, struct buf *out)
{
    const struct tb *t = tb_find(g, at->pa, at->key);
    if (!t) {
        buf_printf(out, "the block is gone\n");
        return;
    }
    tb_print_guest(g, t, at->rip, out);
    struct compile_env *e = xalloc(sizeof *e);
    struct tb_code code = {.rw = xalloc(TB_CODE_MAX),
                           .size = TB_CODE_MAX,
                           .rec = xalloc(TB_REC_MAX * sizeof(struct tb_rec)),
                           .stubs = g->rx + code_stub(g, 1)};
    code.rx = code.rw;
    e->c = g->cpu[0];
    e->key = t->key;
    e->opt = !g->cfg.no_opt;
    e->log = out;
    tb_compile(e, t, &code);
    free(code.rw);
    free(code.rec);
    free(e);
    if (t->code)
        tb_print_host(g, t, at->rip, out);
    else
        buf_printf(out, "the block is not translated\n");
}

static void put_state(const char *who, const struct check_state *s, struct buf *out)
{
    static const char *const name[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"};
    const struct cpu *c = CPU(s);
    buf_printf(out, "%s: RIP=%016llx EFLAGS=%08x CPL=%u MXCSR=%08x FSW=%04x FCW=%04x", who, (ull)c->gpr[R_RIP],
               s->flags, c->cpl, s->mxcsr, s->fpu.fsw, s->fpu.fcw);
    for (unsigned i = 0; i < 16; i++) {
        char reg[4];
        snprintf(reg, sizeof reg, "R%u", i);
        buf_printf(out, "%s%s=%016llx", i % 4 ? " " : "\n  ", i < 8 ? name[i] : reg, (ull)c->gpr[i]);
    }
    buf_printf(out, "\n");
}

static void put_vectors(const struct check_state *ref, const struct check_state *got, struct buf *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(ref->vec); i++) {
        if (!memcmp(&ref->vec[i], &got->vec[i], sizeof ref->vec[i])) continue;
        buf_printf(out, "vector register %u:", i);
        for (unsigned q = 0; q < 8; q++) {
            u64 a = ref->vec[i].q[q], b = got->vec[i].q[q];
            if (a != b) buf_printf(out, " bits %u.. reference %016llx translated %016llx", 64 * q, (ull)a, (ull)b);
        }
        buf_printf(out, "\n");
    }
    for (unsigned i = 0; i < 8; i++)
        if (ref->fpu.m[i] != got->fpu.m[i] || ref->fpu.se[i] != got->fpu.se[i])
            buf_printf(out, "x87 register R%u: reference %04x:%016llx translated %04x:%016llx\n", i, ref->fpu.se[i],
                       (ull)ref->fpu.m[i], got->fpu.se[i], (ull)got->fpu.m[i]);
    const struct fpu *x = &ref->fpu, *y = &got->fpu;
    if (x->fcw != y->fcw || x->fsw != y->fsw || x->fop != y->fop || x->tags != y->tags || x->fcs != y->fcs ||
        x->fds != y->fds || x->fip != y->fip || x->fdp != y->fdp)
        buf_printf(out,
                   "x87 FCW FSW FOP tags FCS FIP FDS FDP: reference %x %x %x %x %x:%llx %x:%llx translated %x %x %x "
                   "%x %x:%llx %x:%llx\n",
                   x->fcw, x->fsw, x->fop, x->tags, x->fcs, (ull)x->fip, x->fds, (ull)x->fdp, y->fcw, y->fsw, y->fop,
                   y->tags, y->fcs, (ull)y->fip, y->fds, (ull)y->fdp);
}

static void put_system(const struct check_state *ref, const struct check_state *got, struct buf *out)
{
    const struct cpu *a = CPU(ref), *b = CPU(got);
    if (a->mode != b->mode || a->cpl != b->cpl) buf_printf(out, "mode: reference %x translated %x\n", a->mode, b->mode);
    for (unsigned s = 0; s < S_COUNT; s++) {
        const struct seg *x = &a->seg[s], *y = &b->seg[s];
        if (x->sel != y->sel || x->attr != y->attr || x->base != y->base || x->limit != y->limit ||
            x->rend != y->rend || x->wend != y->wend || x->usable != y->usable)
            buf_printf(
                out, "segment register %u: reference %04x %llx %x %x %llx %llx translated %04x %llx %x %x %llx %llx\n",
                s, x->sel, (ull)x->base, x->limit, x->attr, (ull)x->rend, (ull)x->wend, y->sel, (ull)y->base, y->limit,
                y->attr, (ull)y->rend, (ull)y->wend);
    }
    for (size_t at = offsetof(struct cpu, gdt_base); at + 8 <= offsetof(struct cpu, rep_pending); at += 8) {
        u64 x = ld64(ref->cpu + at), y = ld64(got->cpu + at);
        if (x != y) buf_printf(out, "struct cpu + %u: reference %llx translated %llx\n", (unsigned)at, (ull)x, (ull)y);
    }
}

void check_memory(const struct check *k, struct buf *out)
{
    u32 shown = 0;
    for (u32 p = 0; p < k->npages; p++) {
        const struct check_page *g = &k->page[p];
        for (unsigned i = 0; i < PAGE_SIZE; i++) {
            if (g->host[i] == g->after[i] || shown++ >= BYTES) continue;
            buf_printf(out, "memory at %llx: before %02x, reference's store %02x, translated %02x\n", (ull)(g->pa + i),
                       g->before[i], g->after[i], g->host[i]);
        }
    }
    if (shown > BYTES) buf_printf(out, "… %u bytes differ\n", shown);
}

static const char *reason(const struct check *k)
{
    static const char *const text[END_COUNT] = {"the window is full",
                                                "the slice ends",
                                                "an access to what is not plain memory",
                                                "a store to where code is",
                                                "the next instruction has effects outside of registers and memory",
                                                "a fault",
                                                "something asks for attention",
                                                "an x87 instruction whose errors may go outside",
                                                "the next instruction goes in steps"};
    return text[k->why];
}

void check_tell(struct cpu *c, struct check *k, const struct check *first, bool found, const char *memory)
{
    struct buf out = {0};
    const struct check *shown = found ? k : first;
    const struct check_state *start = &first->before;
    buf_printf(&out,
               "-accel check: translated code and the reference differ: %s\nafter %llu instructions from RIP %llx on, "
               "CPU %u, which had executed %llu; the reference stopped because: %s",
               first->what, (ull)first->n, (ull)CPU(start)->gpr[R_RIP], c->index, (ull)CPU(start)->icount,
               reason(first));
    buf_printf(&out, first->exc >= 0 ? " (exception %d, CR2 %llx)\n" : "\n", first->exc, (ull)first->cr2);
    if (k->g->cfg.command) buf_printf(&out, "to see it again: %s\n", k->g->cfg.command);
    if (found)
        buf_printf(&out,
                   "both again, block by block: %s, first behind the one at RIP %llx, instructions %llu to %llu\n",
                   k->what, (ull)k->blame.rip, (ull)k->blame.n, (ull)k->n);
    else
        buf_printf(&out, "both again, block by block: no difference\n");
    put_state("before    ", found ? &k->then : start, &out);
    put_state("reference ", &shown->after, &out);
    put_state("translated", &shown->now, &out);
    put_vectors(&shown->after, &shown->now, &out);
    put_system(&shown->after, &shown->now, &out);
    buf_printf(&out, "%s", memory);
    put_code(k->g, found ? &k->blame : &first->bound[first->nbounds - 1], &out);
    buf_printf(&out, "the window's blocks, the newest last:\n");
    for (u32 i = first->nbounds > LAST ? first->nbounds - LAST : 0; i < first->nbounds; i++)
        buf_printf(&out, "  after %llu: RIP %llx physical %llx\n", (ull)first->bound[i].n, (ull)first->bound[i].rip,
                   (ull)first->bound[i].pa);
    if (k->g->cfg.differ) {
        k->g->cfg.differ(buf_text(&out));
    } else {
        fputs(buf_text(&out), stderr);
        panic("-accel check: %s", first->what);
    }
    buf_free(&out);
}
