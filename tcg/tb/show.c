// SPDX-License-Identifier: MIT
// `jit ADDR`: the blocks that hold the code at an address, each with its guest instructions, the IR before and behind
// optimisation and the host code side by side; links out and in, counters, and what was invalidated there.
//
// Nothing of this is kept while nobody looks: the block is compiled once more into memory of our own, with a map from
// operations to code, which gives the same code again but for its links. Those, and the code that is shown, are read
// from where it runs. A block that has not been translated yet, or that there is none of, is shown as it would be.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tb/tb.h"

typedef unsigned long long ull;
enum { MOST = 4 /* blocks shown whole */, WIDEST = 72 /* column */ };

struct view {
    struct cpu *c;
    struct tcg *k;
    u64 lin, pa;
    struct buf *out;
    struct tb *found[64];
    unsigned nfound, starts; // starts: those that begin at lin; they come first
};
struct made { // a block compiled again
    struct buf log;
    u8 *code;
    u16 map[IR_MAX + 1];
    struct tb_rec *rec;
    struct tb_code out;
    bool ok;
};

// ---- words

static const char *mode_words(u32 key, char *to, size_t size)
{
    static const char *const code[] = {"16-bit code", "32-bit code", "64-bit code", "?"};
    const char *where = key & MODE_VM      ? ", virtual-8086"
                        : !(key & MODE_PE) ? ", real mode"
                        : key & MODE_USER  ? ", user"
                                           : ", supervisor";
    snprintf(to, size, "%s%s%s%s%s%s%s%s", code[key & MODE_CODE], where,
             key & MODE_LMA && (key & MODE_CODE) != MODE_64 ? ", compatibility mode" : "",
             key & MODE_FLAT ? ", flat segments" : ", segments with bases", !(key & MODE_SS32) ? ", 16-bit stack" : "",
             key & MODE_X87 ? ", x87 free" : "", key & MODE_SSE ? ", SSE free" : "",
             key >> 12 ? ", with breakpoints" : "");
    return to;
}

static u64 count_of(const struct tcg *k, u32 rec) { return k->count ? k->count[rec] : 0; }

// ---- finding

static u64 bytes_on_first(const struct tb *t) { return min_u64(t->bytes, PAGE_SIZE - (t->pa & 0xfff)); }

static void consider(struct tb *t, void *arg)
{
    struct view *v = arg;
    u64 first = bytes_on_first(t);
    bool holds = v->pa - t->pa < first || (t->pa2 != ~(u64)0 && v->pa - t->pa2 < t->bytes - first);
    for (unsigned i = 0; i < v->nfound; i++) holds &= v->found[i] != t;
    if (!holds || v->nfound == ARRAY_LEN(v->found)) return;
    v->found[v->nfound++] = t;
    if (t->pa != v->pa) return;
    struct tb *other = v->found[v->starts];
    v->found[v->starts++] = t;
    v->found[v->nfound - 1] = other;
}

// Where instruction j of t stands, if its first byte stands at `from`.
static u64 address(const struct tb *t, unsigned j, u64 from)
{
    for (unsigned i = 0; i < j; i++) from += t->insn[i].len;
    return from;
}

// ---- the listing

static bool compile(struct view *v, const struct tb *t, struct made *m)
{
    struct compile_env *e = &v->k->env;
    u32 rec = t->code ? t->rec : v->k->rec_used;
    *m = (struct made){.code = xalloc(TB_CODE_MAX), .rec = xalloc(TB_REC_MAX * sizeof *m->rec)};
    e->c = v->c;
    e->key = t->key;
    e->opt = !v->k->cfg.no_opt;
    e->log = &m->log;
    m->out = (struct tb_code){.rw = m->code,
                              .rx = v->k->rx + (t->code ? t->code : v->k->code_used),
                              .size = TB_CODE_MAX,
                              .rec = m->rec,
                              .rec0 = rec,
                              .stubs = v->k->rx + code_stub(v->k, rec),
                              .count = t->code && v->k->count ? &v->k->count[t->rec] : NULL,
                              .map = m->map};
    m->ok = tb_compile(e, t, &m->out);
    e->log = NULL;
    return m->ok;
}

static void made_free(struct made *m)
{
    buf_free(&m->log);
    free(m->code);
    free(m->rec);
}

// The log's lines between two titles; returns how many. Cuts the text up.
static unsigned lines_of(char *text, const char *title, char **line, unsigned most)
{
    char *p = strstr(text, title);
    unsigned n = 0;
    if (!p) return 0;
    for (p = strchr(p, '\n') + 1; *p >= '0' && *p <= '9' && n < most; p++) {
        line[n++] = p;
        p += strcspn(p, "\n");
        if (!*p) break;
        *p = 0;
    }
    return n;
}

static unsigned insn_of(const char *line) { return (unsigned)atoi(line); }
static const char *text_of(const char *line) { return line + strspn(line, "0123456789") + 1; }

// What optimisation made of a line: only what it added, where that is all.
static const char *change(const char *before, const char *after)
{
    size_t n = before ? strlen(before) : 0;
    if (!before || strncmp(before, after, n)) return after;
    return after[n] ? after + n + 1 : "=";
}

struct host {
    const u8 *code;
    u64 base; // where it runs
    u32 rec0;
};

// One line of host code at `at`, and which exit a jump in it is.
static u32 host_line(struct view *v, const struct host *h, u32 at, u32 end, char *to, size_t size)
{
    char text[160], more[32] = "";
    u32 n = tb_disas(v->k, h->code + at, end - at, h->base + at, MODE_64, text, sizeof text);
    i32 far = host_jump_distance(h->code + at);
    u64 stub = h->base + at + (u64)(i64)far - (u64)(uintptr_t)(v->k->rx + code_stub(v->k, h->rec0));
    if (far && stub < TB_REC_MAX * HOST_STUB) snprintf(more, sizeof more, "   ; exit %u", (u32)stub / HOST_STUB);
    snprintf(to, size, "+%03x %s%s", at, text, more);
    return n;
}

static void host_part(struct view *v, const struct host *h, u32 from, u32 to)
{
    char text[200];
    while (from < to) {
        from += host_line(v, h, from, to, text, sizeof text);
        buf_printf(v->out, "    %s\n", text);
    }
}

static void listing(struct view *v, const struct tb *t, u64 rip)
{
    struct made m;
    if (!compile(v, t, &m)) {
        buf_printf(v->out,
                   "  it does not fit into the room that a block has, and is shortened when it is translated\n");
        made_free(&m);
        return;
    }
    bool same = t->code && m.out.len == t->code_len;
    char **before = xalloc(2 * IR_MAX * sizeof *before), **after = before + IR_MAX;
    struct host h = {same ? v->k->rw + t->code : m.code, (u64)(uintptr_t)m.out.rx, m.out.rec0};
    if (t->code && !same) buf_printf(v->out, "  (below: as it would be translated now, %u bytes)\n", m.out.len);
    char *text = (char *)m.log.data;
    // The second title first: cutting the lines ends the text.
    unsigned na = lines_of(strstr(text, "OP after") ? strstr(text, "OP after") : text, "OP after", after, IR_MAX);
    unsigned nb = lines_of(text, "OP:", before, IR_MAX), a = 0, b = 0;
    int wide[2] = {2, 1};
    for (unsigned i = 0; i < nb; i++) wide[0] = (int)max_u64((u64)wide[0], strlen(text_of(before[i])));
    for (unsigned i = 0; i < na; i++)
        wide[1] = (int)max_u64((u64)wide[1], strlen(change(i < nb ? text_of(before[i]) : NULL, text_of(after[i]))));
    wide[0] = (int)min_u64((u64)wide[0], WIDEST), wide[1] = (int)min_u64((u64)wide[1], WIDEST);
    buf_printf(v->out, "  guest instruction, below it: IR | what optimisation made of it | host code\n  entry:\n");
    host_part(v, &h, 0, m.map[0]);
    u32 at = m.map[0];
    for (unsigned j = 0; j < t->n; j++) {
        u8 bytes[15] = {0};
        u64 lin = address(t, j, rip), off = address(t, j, 0), room = bytes_on_first(t);
        for (unsigned i = 0; i < t->insn[j].len; i++)
            if (!bus_peek(v->k->bus, off + i < room ? t->pa + off + i : t->pa2 + (off + i - room), &bytes[i], 1)) break;
        char guest[160], host[200];
        tb_disas(v->k, bytes, t->insn[j].len, lin, t->key & MODE_CODE, guest, sizeof guest);
        buf_printf(v->out, "  0x%llx  %s\n", (ull)lin, guest);
        while ((b < nb && insn_of(before[b]) == j) || (a < na && insn_of(after[a]) == j)) {
            const char *left = b < nb && insn_of(before[b]) == j ? text_of(before[b++]) : "", *mid = "";
            u32 end = at;
            if (a < na && insn_of(after[a]) == j) {
                mid = change(*left ? left : NULL, text_of(after[a]));
                end = m.map[++a];
            }
            do { // this operation's code, the first line beside it
                *host = 0;
                if (at < end) at += host_line(v, &h, at, end, host, sizeof host);
                buf_printf(v->out, "    %-*.*s | %-*.*s | %s\n", wide[0], wide[0], left, wide[1], wide[1], mid, host);
                left = mid = "";
            } while (at < end);
        }
    }
    buf_printf(v->out, "  cold part:\n");
    host_part(v, &h, m.map[na], m.out.len);
    free(before);
    made_free(&m);
}

// ---- links

static void print_exit(struct view *v, const struct tb *t, u64 page, unsigned n)
{
    const struct tcg *k = v->k;
    const struct tb_rec *r = &k->rec[t->rec + n];
    buf_printf(v->out, "  exit %-2u ", n);
    switch (r->kind) {
    case REC_BUDGET: buf_printf(v->out, "end of the slice, another second page, or the block is dead"); break;
    case REC_INSN:
        buf_printf(v->out, "instruction at 0x%llx by the interpreter%s%s", (ull)(page + (u64)(i64)r->target),
                   r->resume_flags & WHY_MEMORY ? " (memory: TLB miss, device, marked page)"
                   : r->resume_flags & WHY_JUMP ? " (target not in the jump cache)"
                                                : "",
                   r->resume ? ", then on" : "");
        break;
    case REC_JUMP:
    case REC_FAR:
        buf_printf(v->out, "jump to 0x%llx%s: ", (ull)(page + (u64)(i64)r->target),
                   r->kind == REC_FAR ? ", another page" : "");
        if (r->to)
            buf_printf(v->out, "linked to the block at physical 0x%llx%s", (ull)tb_at(k, r->to)->pa,
                       r->kind == REC_FAR ? " for these translations" : "");
        else
            buf_printf(v->out, "not linked");
        break;
    case REC_X87: buf_printf(v->out, "the x87 registers are to be loaded"); break;
    default: buf_printf(v->out, "RIP has been set"); break;
    }
    if (k->count && r->kind != REC_BUDGET) buf_printf(v->out, "; left %llu times", (ull)count_of(k, t->rec + n));
    buf_printf(v->out, "\n");
}

static void links(struct view *v, const struct tb *t, u64 rip)
{
    unsigned cached = 0, from = 0;
    for (unsigned i = 0; i < t->nrec; i++) print_exit(v, t, rip - (t->pa & 0xfff), i);
    for (u32 i = t->in; i; i = v->k->rec[i].next) {
        const struct tb *f = tb_at(v->k, v->k->rec[i].tb);
        if (from++ < 20)
            buf_printf(v->out, "  linked from the block at physical 0x%llx, exit %u\n", (ull)f->pa, i - f->rec);
    }
    if (from > 20) buf_printf(v->out, "  … and from %u more\n", from - 20);
    for (unsigned i = 0; i < v->k->users; i++)
        for (unsigned j = 0; j < JUMP_SIZE; j++)
            cached += v->k->cpu[i]->jump[j].code == (u64)(uintptr_t)(v->k->rx + t->code);
    if (!from) buf_printf(v->out, "  no links lead here\n");
    if (cached) buf_printf(v->out, "  %u jump cache entries lead here\n", cached);
}

// ---- a block

static void heading(struct view *v, const struct tb *t)
{
    char mode[200];
    buf_printf(v->out, "block at physical 0x%llx: %u instructions, %u bytes; %s (key 0x%x)", (ull)t->pa, t->n, t->bytes,
               mode_words(t->key, mode, sizeof mode), t->key);
    if (t->pa2 != ~(u64)0) buf_printf(v->out, "; goes on at physical 0x%llx", (ull)t->pa2);
    buf_printf(v->out, "\n");
}

static void state(struct view *v, const struct tb *t)
{
    const struct tcg *k = v->k;
    if (t->fails) {
        buf_printf(v->out, "  is the interpreter's: does not fit into a translated block\n");
        return;
    }
    if (!t->code) {
        buf_printf(v->out, "  not translated: executed %u times by the interpreter's functions, %d are to come first\n",
                   t->runs, k->cfg.cold);
        return;
    }
    buf_printf(v->out, "  translated: %u bytes of host code at 0x%llx, %u exits%s%s\n", t->code_len,
               (ull)(uintptr_t)(k->rx + t->code), t->nrec, t->live & CPU_HOST_XMM ? "; uses XMM registers" : "",
               t->live & CPU_HOST_X87 ? "; uses x87 registers" : "");
    if (k->count)
        buf_printf(v->out, "  executed %llu times since counting began\n", (ull)count_of(k, t->rec));
    else
        buf_printf(v->out, "  executions are not counted (`jit count on`)\n");
}

static void whole(struct view *v, const struct tb *t, u64 rip)
{
    heading(v, t);
    state(v, t);
    if (t->n) listing(v, t, rip);
    if (t->code) links(v, t, rip);
}

// There is no block: what would the CPU make of it, in its present mode?
static void imagine(struct view *v)
{
    u8 *page = xalloc(PAGE_SIZE);
    struct tb *t = xalloc(sizeof *t + TB_MAX * sizeof t->insn[0]);
    u64 room = PAGE_SIZE - (v->lin & 0xfff), base = cpu_code64(v->c) ? 0 : v->c->seg[S_CS].base;
    t->pa = v->pa;
    t->pa2 = ~(u64)0;
    if (!mmu_debug_read(v->c, v->lin, page, room))
        buf_printf(v->out, "no block, and no memory that could be code\n");
    else if (!tb_decode(v->c, v->k, t, v->lin - base, page, 0) || !t->n)
        buf_printf(v->out,
                   "no block; the instruction there is executed alone (magic, or behind the segment's or page's "
                   "end)\n");
    else {
        buf_printf(v->out, "no block; CPU %u would make of it, as it is now:\n", v->c->index);
        whole(v, t, v->lin);
    }
    free(t);
    free(page);
}

static void history(struct view *v)
{
    static const char *const causes[] = {"written by CPU %u", "written by DMA or the debugger (CPU %u was running)",
                                         "its second page moved (CPU %u)"};
    const struct tcg *k = v->k;
    unsigned n = 0;
    for (u32 i = k->ndeaths > TB_DEATHS ? k->ndeaths - TB_DEATHS : 0; i < k->ndeaths; i++) {
        const struct tb_death *d = &k->death[i % TB_DEATHS];
        if ((d->pa ^ v->pa) & PAGE_MASK) continue;
        if (!n++) buf_printf(v->out, "invalidated on this page, of the last %u:\n", TB_DEATHS);
        buf_printf(v->out, "  block at physical 0x%llx, %u bytes: ", (ull)d->pa, d->bytes);
        buf_printf(v->out, causes[d->cause % 3], d->cpu);
        buf_printf(v->out, " at RIP 0x%llx, instruction %llu\n", (ull)d->rip, (ull)d->icount);
    }
    if (!n) buf_printf(v->out, "nothing was invalidated on this page, of the last %u\n", TB_DEATHS);
    buf_printf(v->out, "all blocks were forgotten %llu times\n", (ull)k->st.flushes);
}

void tb_show(struct cpu *c, struct tcg *k, u64 lin, struct buf *out)
{
    struct view v = {.c = c, .k = k, .lin = lin, .out = out};
    if (!mmu_peek(c, lin, &v.pa)) {
        buf_printf(out, "0x%llx is not mapped\n", (ull)lin);
        return;
    }
    tb_each(k, v.pa, consider, &v);
    buf_printf(out, "linear 0x%llx, physical 0x%llx: %u blocks, %u begin there\n", (ull)lin, (ull)v.pa, v.nfound,
               v.starts);
    if (!v.nfound) imagine(&v);
    for (unsigned i = 0; i < v.nfound; i++) {
        const struct tb *t = v.found[i];
        u64 first = bytes_on_first(t), into = v.pa - t->pa < first ? v.pa - t->pa : first + (v.pa - t->pa2);
        if (i < MOST && (i < v.starts || !v.starts))
            whole(&v, t, lin - into);
        else
            heading(&v, t);
    }
    history(&v);
}
