// SPDX-License-Identifier: MIT
// Deliveries and IRETs in 64-bit code that repeat one. What int.c and far.c have checked gives the same again as long
// as gate, descriptors and the levels are the same, so it is kept with them (raw, as memory had them) and compared with
// what memory has now; the rest is done here in one go. Whatever is unlike, or not at hand in the first-level TLB, is
// left to int.c and far.c, before anything has changed: so also all that raises, lockstep's reference, data
// breakpoints.
#include "cpu/access.h"
#include "cpu/flags.h"
#include "cpu/seg.h"

static bool possible(const struct cpu *c) { return cpu_code64(c) && !c->hooks && !c->witness && !(c->dr[7] & 0xff); }

// n bytes at lin for an implicit supervisor access.
static u8 *sys_host(struct cpu *c, u64 lin, unsigned n) { return tlb_host(c->tlbs[sys_tlb(c)].rd, lin, n); }

// The raw descriptor is still this one. Selectors of the LDT are not kept.
static bool same_desc(struct cpu *c, u16 sel, u64 raw)
{
    u32 off = sel & 0xfff8;
    const u8 *p = off + 7 <= c->gdt_limit ? sys_host(c, c->gdt_base + off, 8) : NULL;
    return p && ld64(p) == raw;
}

// CPL and EFLAGS have changed inside 64-bit code, nothing else that the mode depends on: cpu_update_mode().
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

void repeat_note_int(struct cpu *c, int vector, bool soft, unsigned from, const u64 gate[2], const struct desc *cs)
{
    u16 sel = gate[0] >> 16;
    if (!possible(c) || (sel & 4) || !(cs->attr & SEG_ACCESSED) || c->cpl == 3) return;
    *int_slot(c, vector, from) = (struct int_memo){.gate = {gate[0], gate[1]},
                                                   .raw = (u64)cs->hi << 32 | cs->lo,
                                                   .cs = c->seg[S_CS],
                                                   .off = c->gpr[R_RIP],
                                                   .vector = (u16)vector,
                                                   .used = true,
                                                   .soft = soft,
                                                   .from = (u8)from,
                                                   .cpl = c->cpl,
                                                   .ist = gate[0] >> 32 & 7,
                                                   .clears_if = !(gate[0] >> 40 & 1)};
}

bool repeat_int(struct cpu *c, int vector, bool soft, u32 flags, bool has_err, u32 err)
{
    const struct int_memo *m = int_slot(c, vector, c->cpl);
    u32 off = (u32)vector * 16;
    if (!m->used || m->vector != vector || m->soft != soft || m->from != c->cpl || !possible(c)) return false;
    const u8 *g = off + 15 <= c->idt_limit ? sys_host(c, c->idt_base + off, 16) : NULL;
    if (!g || ld64(g) != m->gate[0] || ld64(g + 8) != m->gate[1] || !same_desc(c, m->gate[0] >> 16, m->raw))
        return false;
    bool inner = m->cpl != c->cpl;
    u64 sp = m->ist ? task_rsp64(c, 3u + m->ist) : inner ? task_rsp64(c, m->cpl) : c->gpr[R_RSP];
    if (!lin_canonical(sp)) return false;
    sp = (sp & ~(u64)15) - (has_err ? 48 : 40);
    u8 *f = tlb_host(c->tlbs[sys_tlb(c)].wr, sp, has_err ? 48 : 40);
    if (!f) return false;
    u8 *at = f;
    if (has_err) {
        st64(at, err);
        at += 8;
    }
    st64(at, c->gpr[R_RIP]);
    st64(at + 8, c->seg[S_CS].sel);
    st64(at + 16, flags);
    st64(at + 24, c->gpr[R_RSP]);
    st64(at + 32, c->seg[S_SS].sel);
    c->seg[S_CS] = m->cs;
    if (inner) c->seg[S_SS] = (struct seg){.sel = m->cpl, .attr = (u16)(m->cpl << 5), .rend = ~(u64)0, .wend = ~(u64)0};
    c->cpl = m->cpl;
    c->gpr[R_RSP] = sp;
    c->gpr[R_RIP] = m->off;
    c->eflags &= ~(u32)(FL_TF | FL_NT | FL_RF | (m->clears_if ? FL_IF : 0));
    new_level(c);
    return true;
}

// ---- IRET

static struct ret_memo *ret_slot(struct cpu *c, u16 cs, u16 ss)
{
    return &c->ret_memo[((cs >> 3) + (ss >> 3)) % ARRAY_LEN(c->ret_memo)];
}

void repeat_note_iret(struct cpu *c, unsigned from, const struct desc *cs, const struct desc *ss)
{
    u16 cs_sel = c->seg[S_CS].sel, ss_sel = c->seg[S_SS].sel;
    bool null = sel_null(ss_sel);
    if (!possible(c) || ((cs_sel | ss_sel) & 4) || !(cs->attr & SEG_ACCESSED)) return;
    if (!null && !(ss->attr & SEG_ACCESSED)) return;
    *ret_slot(c, cs_sel, ss_sel) = (struct ret_memo){.cs = c->seg[S_CS],
                                                     .ss = c->seg[S_SS],
                                                     .cs_raw = (u64)cs->hi << 32 | cs->lo,
                                                     .ss_raw = null ? 0 : (u64)ss->hi << 32 | ss->lo,
                                                     .used = true,
                                                     .from = (u8)from};
}

bool repeat_iret(struct cpu *c, u32 mask)
{
    const u8 *f = possible(c) ? tlb_host(c->tlb->rd, c->gpr[R_RSP], 40) : NULL;
    if (!f) return false;
    u64 ip = ld64(f), fl = ld64(f + 16), sp = ld64(f + 24);
    u16 cs = (u16)ld64(f + 8), ss = (u16)ld64(f + 32);
    const struct ret_memo *m = ret_slot(c, cs, ss);
    if (!m->used || m->cs.sel != cs || m->ss.sel != ss || m->from != c->cpl || !lin_canonical(ip)) return false;
    if (!same_desc(c, cs, m->cs_raw) || (!sel_null(ss) && !same_desc(c, ss, m->ss_raw))) return false;
    bool outer = (cs & 3u) != c->cpl;
    mask &= 0x3f7fd5; // bits that exist
    c->eflags = (flags_get(c) & ~mask) | ((u32)fl & mask) | FL_R1;
    c->seg[S_CS] = m->cs;
    c->seg[S_SS] = m->ss;
    c->cpl = cs & 3;
    c->gpr[R_RIP] = ip;
    c->gpr[R_RSP] = sp;
    if (outer) seg_drop_inner(c);
    new_level(c);
    return true;
}
