// SPDX-License-Identifier: MIT
// Blocks out of guest code: decoding, and the way through the translator.
#include <string.h>
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "tcg/tb/check.h"

u64 tb_linear(const struct cpu *c, u64 rip) { return cpu_code64(c) ? rip : (u32)(c->seg[S_CS].base + rip); }

// CS limit: bytes that may be fetched at rip, 0..15. 64-bit code: all of them.
static unsigned limit_room(const struct cpu *c, u64 rip)
{
    if (cpu_code64(c)) return 15;
    u64 limit = c->seg[S_CS].limit;
    return rip > limit ? 0 : min_u64(15, limit - rip + 1);
}

static bool ends_block(const struct tb *t, const struct insn *i, unsigned *jcc)
{
    u32 attr = insn_rows[i->op].attr;
    if (i->op == OP_NONE) return true;
    if (i->op == OP_JCC_Jb || i->op == OP_JCC_Jz) return ++*jcc > TB_JCC || t->n >= TB_JCC_INSNS;
    return ((attr & (A_END | A_SYS | A_IO)) && !front_goes_on(i)) || (*jcc && t->n >= TB_JCC_INSNS);
}

// An instruction that straddles two pages.
static bool straddler(struct cpu *c, struct tb *t, u64 rip, unsigned page_room)
{
    interp_fetch(c, rip, &t->insn[0]);
    if (t->insn[0].len <= page_room) return false; // the segment ends, not the page
    t->pa2 = tlb_fetch(c, tb_linear(c, rip + page_room), NULL);
    t->n = 1;
    t->bytes = t->insn[0].len;
    return true;
}

bool tb_decode(struct cpu *c, const struct tcg *k, struct tb *t, u64 rip, const u8 *host, u32 marks)
{
    unsigned page_room = PAGE_SIZE - (t->pa & 0xfff), most = k->cfg.one_insn ? 1 : TB_MAX;
    unsigned jcc = c->trail->blocks_on ? TB_JCC : 0; // then a block's last instruction is the one that branches
    t->key = c->mode | marks;
    while (t->n < most) {
        if (unlikely(marks) && t->n && hook_marked(c->hooks, tb_linear(c, rip + t->bytes), t->pa + t->bytes)) break;
        struct insn *i = &t->insn[t->n];
        unsigned room = min_u64(page_room - t->bytes, limit_room(c, rip + t->bytes));
        enum decode_status s = decode(c->decoder, host + t->bytes, room, c->mode & MODE_CODE, i);
        if (s == DECODE_MORE) break; // page border or limit: the next block's affair
        interp_finish(c, i, s);
        if (hook_wants(c, HOOK_MAGIC) && interp_is_magic(i)) return t->n != 0; // executed alone
        t->bytes += i->len;
        t->n++;
        if (ends_block(t, i, &jcc)) break;
    }
    return true;
}

struct tb *tb_build(struct cpu *c, struct tcg *k, u64 rip, u64 pa, u32 marks)
{
    u8 *host;
    tlb_fetch(c, tb_linear(c, rip), &host);
    if (!host) return NULL;
    struct tb *t = tb_alloc(k);
    if (!t) {
        k->st.full++;
        tb_forget(k);
        t = tb_alloc(k);
    }
    t->pa = pa;
    if (!tb_decode(c, k, t, rip, host, marks)) return NULL;
    if (!t->n && !straddler(c, t, rip, PAGE_SIZE - (pa & 0xfff))) return NULL;
    k->st.built++;
    k->st.built_insns += t->n;
    k->st.built_bytes += t->bytes;
    if (log_on(&k->bus->log, LOG_INASM)) tb_log_guest(k, t, rip);
    if (k->cfg.check) check_note(c, t);
    return tb_insert(k, t) ? t : NULL;
}

// Cuts a block that does not fit down to its first half; the rest will be a block of its own.
static void shorten(struct tb *t)
{
    t->n = t->n / 2;
    t->bytes = 0;
    for (unsigned i = 0; i < t->n; i++) t->bytes += t->insn[i].len;
}

static bool ir_logged(const struct tcg *k, u64 rip)
{
    const struct log *l = &k->bus->log;
    return (log_on(l, LOG_OP) || log_on(l, LOG_OPOPT)) && log_in_range(l, rip);
}

bool tb_translate(struct cpu *c, struct tcg *k, struct tb *t, u64 rip)
{
    if (!code_room(k)) {
        k->st.full++;
        tb_forget(k);
        return false;
    }
    struct compile_env *e = &k->env;
    struct buf text = {0};
    u64 before = k->cfg.ticks ? k->cfg.ticks() : 0;
    struct tb_code out;
    e->c = c;
    e->key = t->key;
    e->opt = !k->cfg.no_opt;
    e->log = ir_logged(k, rip) ? &text : NULL;
    t->narrow = tb_is_narrow(k, t);
    for (;;) {
        out = (struct tb_code){.rw = k->rw + k->code_used,
                               .rx = k->rx + k->code_used,
                               .size = TB_CODE_MAX,
                               .rec = k->rec + k->rec_used,
                               .rec0 = k->rec_used,
                               .stubs = k->rx + code_stub(k, k->rec_used),
                               .count = k->count ? &k->count[k->rec_used] : NULL};
        if (tb_compile(e, t, &out)) break;
        k->st.fails++;
        if (t->n == 1) {
            t->fails = 1;
            buf_free(&text);
            return false;
        }
        shorten(t);
        if (k->cfg.check) check_note(c, t);
        text.len = 0;
    }
    t->code = k->code_used;
    t->code_len = (u16)out.len;
    t->rec = k->rec_used;
    t->nrec = (u16)out.nrec;
    t->live = out.live;
    t->counted = out.counted;
    t->inside = out.inside;
    t->bare = e->bare && t->pa2 == ~(u64)0 && (t->key & MODE_FLAT || (t->key & MODE_CODE) == MODE_64);
    for (u32 i = 0; i < out.nrec; i++) out.rec[i].tb = tb_number(k, t);
    host_stubs(k->rw + k->stubs, k->rx + k->stubs, &k->host, k->rec_used, out.nrec, k->rx + t->code);
    k->code_used += align_up(out.len, 16);
    k->rec_used += out.nrec;
    k->st.compiled++;
    k->st.insns += t->n;
    k->st.guest_bytes += t->bytes;
    k->st.host_bytes += out.len;
    k->st.records += out.nrec;
    if (k->cfg.ticks) k->st.ticks += k->cfg.ticks() - before;
    tb_translated(k, t);
    if (e->log) log_item(&k->bus->log, log_on(&k->bus->log, LOG_OP) ? LOG_OP : LOG_OPOPT, "%s\n", buf_text(&text));
    buf_free(&text);
    if (log_on(&k->bus->log, LOG_OUTASM)) tb_log_host(k, t, rip);
    return true;
}
