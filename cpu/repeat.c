// SPDX-License-Identifier: MIT
// Deliveries and IRETs that repeat one, between 64-bit code, or between flat 32-bit code outside long mode. What int.c
// and far.c have checked gives the same again as long as gate, descriptors and the levels are the same, so it is kept
// with them (raw, as memory had them) and compared with what memory has now; the rest is done here in one go. Whatever
// is unlike, or not at hand in the first-level TLB, is left to int.c and far.c, before anything has changed: so also
// all that raises, lockstep's reference, data breakpoints. Translated code does the same with the same notes
// (tcg/host/x64/event.c).
#include "cpu/access.h"
#include "cpu/flags.h"
#include "cpu/seg.h"

enum { FLAT32 = MODE_32 | MODE_SS32 | MODE_PE | MODE_FLAT, TSS_32 = 8, TSS64_IST = 4 + 8 * 3, TSS_SP0 = 4 };

// MODE_64, MODE_32, or 0: no such code.
static unsigned kind_of(const struct cpu *c)
{
    if (cpu_code64(c)) return MODE_64;
    return (c->mode & (MODE_CODE | MODE_SS32 | MODE_PE | MODE_VM | MODE_LMA | MODE_FLAT)) == FLAT32 ? MODE_32 : 0;
}
_Static_assert(INT_SOFT == 1, "int_memo.soft is what translated code writes into the trail");
static bool possible(const struct cpu *c) { return !c->hooks && !c->witness && !(c->dr[7] & 0xff); }

// n bytes at lin for an implicit supervisor access.
static u8 *sys_host(struct cpu *c, u64 lin, unsigned n) { return tlb_host(c->tlbs[sys_tlb(c)].rd, lin, n); }

// The raw descriptor is still this one. Selectors of the LDT are not kept.
static bool same_desc(struct cpu *c, u16 sel, u64 raw)
{
    u32 off = sel & 0xfff8;
    const u8 *p = off + 7 <= c->gdt_limit ? sys_host(c, c->gdt_base + off, 8) : NULL;
    return p && ld64(p) == raw;
}
static u64 raw_of(const struct desc *d) { return (u64)d->hi << 32 | d->lo; }

// CPL and EFLAGS have changed inside code of one kind, nothing else that the mode depends on: cpu_update_mode().
static void new_level(struct cpu *c)
{
    u32 set = c->cpl == 3 ? ((c->cr0 & CR0_AM) && (c->eflags & FL_AC) ? TLBSET_NONE : TLBSET_USER)
              : (c->cr4 & CR4_SMAP) && !(c->eflags & FL_AC) ? TLBSET_KERNEL_NOUSER
                                                            : TLBSET_KERNEL;
    c->mode = (c->mode & ~(u32)(MODE_USER | MODE_TLB)) | (c->cpl == 3 ? MODE_USER : 0) | set << MODE_TLB_SHIFT;
    c->tlb = &c->tlbs[set];
    cpu_set_jump_context(c);
    if (unlikely((c->eflags & (FL_TF | FL_RF)) || cpu_virtual_interrupt(c)))
        c->attn |= ATTN_DEBUG;
    else
        c->attn &= ~(u32)ATTN_DEBUG;
}

// ---- delivery

static struct int_memo *int_slot(struct cpu *c, int vector, unsigned from)
{
    return &c->int_memo[((u32)vector * 2 + (from == 3)) % ARRAY_LEN(c->int_memo)];
}

void repeat_note_int(struct cpu *c, int vector, bool soft, unsigned from, const u64 gate[2], const struct desc *cs,
                     const struct desc *ss)
{
    u16 sel = gate[0] >> 16;
    unsigned kind = kind_of(c), ist = kind == MODE_64 ? gate[0] >> 32 & 7 : 0;
    bool inner = c->cpl != from;
    if (!kind || !possible(c) || (sel & 4) || !(cs->attr & SEG_ACCESSED) || c->cpl == 3) return;
    if (ss && ((c->seg[S_SS].sel & 4) || !(ss->attr & SEG_ACCESSED))) return;
    struct seg null = {.sel = c->cpl, .attr = (u16)(c->cpl << 5), .rend = ~(u64)0, .wend = ~(u64)0};
    *int_slot(c, vector, from) =
        (struct int_memo){.cs = c->seg[S_CS],
                          .ss = kind == MODE_64 ? null : c->seg[S_SS],
                          .gate = {gate[0], gate[1]},
                          .cs_raw = raw_of(cs),
                          .ss_raw = ss ? raw_of(ss) : 0,
                          .off = c->gpr[R_RIP],
                          .keep = ~(u32)(FL_TF | FL_NT | FL_RF | FL_VM | (gate[0] >> 40 & 1 ? 0 : FL_IF)),
                          .stack = (u16)(ist     ? TSS64_IST + 8u * ist
                                         : inner ? TSS_SP0 + 8u * c->cpl
                                                 : 0u),
                          .vector = (u16)vector,
                          .kind = (u8)kind,
                          .soft = soft,
                          .from = (u8)from,
                          .cpl = c->cpl};
}

// The stack pointer that the TSS has; false: not as the last time.
static bool tss_stack(struct cpu *c, const struct int_memo *m, u64 *sp)
{
    const struct seg *tr = &c->seg[S_TR];
    bool long_mode = m->kind == MODE_64;
    if (!tr->usable || m->stack + (long_mode ? 7u : 5u) > tr->limit) return false;
    const u8 *p = sys_host(c, tr->base + m->stack, long_mode ? 8 : 6);
    if (!p) return false;
    *sp = long_mode ? ld64(p) : ld32(p);
    return long_mode || ((tr->attr & TSS_32) && ld16(p + 4) == m->ss.sel && same_desc(c, m->ss.sel, m->ss_raw));
}

static void put_frame(u8 *at, unsigned size, const u64 *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++, at += size)
        if (size == 8)
            st64(at, v[i]);
        else
            st32(at, (u32)v[i]);
}

bool repeat_int(struct cpu *c, int vector, bool soft, u32 flags, bool has_err, u32 err)
{
    const struct int_memo *m = int_slot(c, vector, c->cpl);
    bool long_mode = m->kind == MODE_64, inner = m->cpl != c->cpl;
    if (!m->kind || m->vector != vector || m->soft != soft || m->from != c->cpl) return false;
    if (m->kind != kind_of(c) || !possible(c)) return false;
    unsigned size = long_mode ? 8 : 4, gate = 2 * size;
    u32 off = (u32)vector * gate;
    const u8 *g = off + gate - 1 <= c->idt_limit ? sys_host(c, c->idt_base + off, gate) : NULL;
    if (!g || ld64(g) != m->gate[0] || (long_mode && ld64(g + 8) != m->gate[1])) return false;
    if (!same_desc(c, m->gate[0] >> 16, m->cs_raw)) return false;
    u64 sp = long_mode ? c->gpr[R_RSP] : (u32)c->gpr[R_RSP];
    if (m->stack && !tss_stack(c, m, &sp)) return false;
    if (long_mode && !lin_canonical(sp)) return false;
    unsigned n = (long_mode || inner ? 5 : 3) + has_err;
    sp = long_mode ? (sp & ~(u64)15) - n * 8 : (u32)(sp - n * 4);
    // The present stack is written with the rights of CPL outside long mode, with a supervisor's in it.
    u8 *f = tlb_host(long_mode || inner ? c->tlbs[sys_tlb(c)].wr : c->tlb->wr, sp, n * size);
    if (!f) return false;
    const u64 image[] = {err, c->gpr[R_RIP], c->seg[S_CS].sel, flags, c->gpr[R_RSP], c->seg[S_SS].sel};
    put_frame(f, size, has_err ? image : image + 1, n);
    c->seg[S_CS] = m->cs;
    if (inner) c->seg[S_SS] = m->ss;
    c->cpl = m->cpl;
    c->gpr[R_RSP] = sp;
    c->gpr[R_RIP] = m->off;
    c->eflags &= m->keep;
    new_level(c);
    return true;
}

// ---- IRET

static struct ret_memo *ret_slot(struct cpu *c, u32 sels)
{
    return &c->ret_memo[((sels >> 3 & 0x1fff) + (sels >> 19)) % ARRAY_LEN(c->ret_memo)];
}

void repeat_note_iret(struct cpu *c, unsigned from, const struct desc *cs, const struct desc *ss)
{
    u32 sels = c->seg[S_CS].sel | (ss ? (u32)c->seg[S_SS].sel << 16 : 0);
    bool null = sel_null(sels >> 16);
    unsigned kind = kind_of(c);
    if (!kind || !possible(c) || (sels & 0x40004) || !(cs->attr & SEG_ACCESSED)) return;
    if (!null && !(ss->attr & SEG_ACCESSED)) return;
    struct ret_memo *m = ret_slot(c, sels);
    *m = (struct ret_memo){.cs = c->seg[S_CS],
                           .cs_raw = raw_of(cs),
                           .ss_raw = null ? 0 : raw_of(ss),
                           .sels = sels,
                           .kind = (u8)kind,
                           .from = (u8)from};
    if (ss) m->ss = c->seg[S_SS];
}

bool repeat_iret(struct cpu *c, unsigned opsize, u32 mask)
{
    unsigned kind = kind_of(c);
    bool long_mode = kind == MODE_64;
    if (!possible(c) || !kind || opsize != (long_mode ? 8 : 4)) return false;
    u64 sp = long_mode ? c->gpr[R_RSP] : (u32)c->gpr[R_RSP];
    const u8 *f = tlb_host(c->tlb->rd, sp, long_mode ? 40 : 12);
    if (!f) return false;
    u16 cs = (u16)ld32(f + opsize);
    bool outer = (cs & 3u) != c->cpl, load_ss = long_mode || outer;
    if (!long_mode && outer && (sp & 0xfff) > PAGE_SIZE - 20) return false;
    u64 ip = long_mode ? ld64(f) : ld32(f);
    u32 fl = ld32(f + 2 * opsize), ss = load_ss ? (u16)ld32(f + 4 * opsize) : 0, sels = cs | ss << 16;
    const struct ret_memo *m = ret_slot(c, sels);
    if (m->kind != kind || m->sels != sels || m->from != c->cpl || !lin_canonical(ip)) return false;
    if (!long_mode && (fl & FL_VM)) return false;
    if (!same_desc(c, cs, m->cs_raw) || (!sel_null((u16)ss) && !same_desc(c, (u16)ss, m->ss_raw))) return false;
    mask &= 0x3f7fd5; // bits that exist
    c->eflags = (flags_get(c) & ~mask) | (fl & mask) | FL_R1;
    c->seg[S_CS] = m->cs;
    if (load_ss) c->seg[S_SS] = m->ss;
    c->gpr[R_RIP] = ip;
    c->gpr[R_RSP] = long_mode ? ld64(f + 24) : outer ? ld32(f + 12) : (u32)(sp + 12);
    c->cpl = cs & 3;
    if (outer) seg_drop_inner(c);
    new_level(c);
    return true;
}
