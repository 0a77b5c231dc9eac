// SPDX-License-Identifier: MIT
// Guest memory: address, segment, first-level TLB (cpu/access.h: tag and addend). A hit costs eight instructions: the
// slot is the first byte's, the page compared with its tag the last byte's, so one comparison serves both the tag and
// the page's end, since no tag in a slot is a page of the next slot.
#include "tcg/host/x64/emit.h"

_Static_assert(sizeof(struct tlb_entry) == 16, "the shift and mask below");
#define TLB_INDEX ((TLB_SIZE - 1) << 4) // (address >> 8) & TLB_INDEX = offset of the entry

// R11 = offset of the address' TLB entry in its table. The commonest sequences of all are written out, not encoded.
static u8 *put_slot(const struct em *m, u8 *p, unsigned va)
{
    if (m->bmi2) { // rorx r11d, va, 8
        st32(p, 0x007b43c4u | (va >= 8 ? 0 : 0x2000) | 0xf0000000u);
        p[4] = 0xd8 | (va & 7);
        p[5] = 8;
        p += 6;
    } else { // mov r11d, va; shr r11d, 8
        p[0] = 0x44 | va >> 3;
        p[1] = 0x8b;
        p[2] = 0xd8 | (va & 7);
        st32(p + 3, 0x08ebc141);
        p += 7;
    }
    st64(p, 0xe38141 | (u64)TLB_INDEX << 24); // and r11d, TLB_INDEX
    return p + 7;
}

// `op` register, [r14 + r11 + disp], 64 bits
static u8 *put_entry(u8 *p, u8 op, unsigned reg, i32 disp)
{
    st32(p, 0x1e84004bu | (reg & 8) >> 1 | (u32)op << 8 | (reg & 7) << 19);
    st32(p + 4, (u32)disp);
    return p + 8;
}

// R13 = va + size - 1, which must lie on the page of the entry. Returns where the branch's rel32 is: taken if not.
static u32 put_check(struct em *m, unsigned va, unsigned size, i32 table)
{
    u8 *p = put_slot(m, m->p, va);
    *p++ = 0x4c | va >> 3;
    if (size == 1) { // mov r13, va
        p[0] = 0x8b;
        p[1] = 0xe8 | (va & 7);
        p += 2;
    } else { // lea r13, [va + size - 1]
        *p++ = 0x8d;
        *p++ = 0x68 | (va & 7);
        if ((va & 7) == 4) *p++ = 0x24;
        *p++ = (u8)(size - 1);
    }
    p = put_entry(p, 0x33, H_T0, table);
    st64(p, 0x850f0cedc149);
    m->p = p + 10;
    return here(m) - 4;
}

// A pinned guest register, or a scratch loaded with it.
static unsigned in_register(struct em *m, unsigned g, unsigned tmp)
{
    if (g == IR_BASE) {
        put_load(m, 8, tmp, O_CPU(code_base));
        return tmp;
    }
    if (g == IR_T0) { // which the check itself needs
        put_rr(m, 0x8b, 8, tmp, H_T0);
        return tmp;
    }
    int h = host_of(g);
    if (h >= 0) return (unsigned)h;
    put_load(m, 8, tmp, o_guest(g));
    return tmp;
}

// The effective address of o, cut to its address size. Returns where it is: `to`, or the base register itself. tmp is
// clobbered if the index register lives in memory.
unsigned emit_address(struct em *m, const struct ir_op *o, unsigned to, unsigned tmp)
{
    unsigned base = NO_REG, index = NO_REG, size = o->asz == 8 ? 8 : 4;
    if (o->index != IR_NONE) index = in_register(m, o->index, tmp);
    if (o->base != IR_NONE) base = in_register(m, o->base, to);
    if (index == NO_REG && o->disp == 0 && base != NO_REG && o->asz == 8) return base;
    if (base == NO_REG && index == NO_REG) {
        put_imm(m, size, to, size == 8 ? (i64)o->disp : (i64)(u32)o->disp);
    } else if (index == NO_REG && o->disp == 0) {
        put_rr(m, 0x8b, size, to, base);
    } else {
        put_lea(m, size, to, base, index, o->scale, o->disp);
    }
    if (o->asz == 2) put_load(m, 2, to, o_reg(to));
    return to;
}

// Guest RSP + constant, as a whole.
static bool is_sp_step(const struct em *m, const struct ir_op *o)
{
    unsigned full = m->code64 ? 8 : 4;
    return o->op == IR_LEA && o->dst == R_RSP && o->base == R_RSP && o->index == IR_NONE && o->size == full &&
           o->asz == full;
}

void sp_settle(struct em *m)
{
    if (!m->sp) return;
    put_lea(m, m->code64 ? 8 : 4, H_GUEST_SP, H_GUEST_SP, NO_REG, 0, m->sp);
    m->sp = 0;
}

void sp_before(struct em *m)
{
    const struct ir_op *o = m->op;
    const struct ir_fact *f = &ir_facts[o->op];
    if (!m->sp || is_sp_step(m, o) || group_has(m)) return;
    bool uses = o->dst == R_RSP || o->a == R_RSP || o->base == R_RSP || o->index == R_RSP || f->regs == IR_W_DI;
    if (uses || (f->props & (IR_EXIT | IR_END)) || f->regs == IR_W_ANY || o->op == IR_JCC || o->op == IR_JRCXZ)
        sp_settle(m);
}

void emit_lea(struct em *m)
{
    const struct ir_op *o = m->op;
    if (o->dst < 20) fl_spare(m, o->dst);
    if (is_sp_step(m, o) && !__builtin_add_overflow(m->sp, o->disp, &m->sp)) return;
    struct opnd d = o_of(m, o->dst);
    bool direct = d.kind == O_REG && o->size >= 4 && o->asz >= o->size && o->base != o->index;
    // The destination may be used for the base on the way: not if it is the index.
    unsigned to = direct && (o->index == IR_NONE || host_of(o->index) != d.reg) ? d.reg : H_TMP;
    struct ir_op cut = *o;
    if (o->size == 4 && o->asz == 8) cut.asz = 4;
    unsigned at = emit_address(m, &cut, to, H_T0);
    if (at == to && to == d.reg && d.kind == O_REG) return;
    if (d.kind == O_REG) {
        put_rm(m, 0, 0x8b, o->size == 2 ? 2 : o->size, d.reg,
               &(struct opnd){.kind = O_REG, .reg = (u8)at, .index = NO_REG});
        return;
    }
    if (o->size == 4 && at != H_TMP) {
        put_rr(m, 0x8b, 4, H_TMP, at);
        at = H_TMP;
    } else if (o->size == 4) {
        put_rr(m, 0x8b, 4, at, at);
    }
    put_store(m, o->size == 4 ? 8 : o->size, d, at);
}

// Limit (outside 64-bit code) and base of a segment; the address is in H_PTR.
static void segment(struct em *m, const struct ir_op *o)
{
    unsigned off = offsetof(struct cpu, seg) + o->seg * sizeof(struct seg);
    if (!m->code64) {
        unsigned end = off + (o->acc & IR_WR ? offsetof(struct seg, wend) : offsetof(struct seg, rend));
        unsigned last = H_PTR;
        if (o->size > 1) {
            put_lea(m, 8, H_TMP, H_PTR, NO_REG, 0, o->size - 1);
            last = H_TMP;
        }
        struct opnd e = o_mem(H_CPU, (i32)end - TCG_BIAS);
        put_rm(m, 0, 0x3b, 8, last, &e);
        exit_if(m, C_AE);
    }
    struct opnd base = o_mem(H_CPU, (i32)(off + offsetof(struct seg, base)) - TCG_BIAS);
    put_rm(m, 0, 0x03, 8, H_PTR, &base);
}

// The first level has not got the page (the branch at `at`), or has it as one with code: if that can be helped, the
// stub comes back to here.
static void exit_fill(struct em *m, u32 at, unsigned set, bool write, unsigned size, bool wide)
{
    exit_at(m, at);
    struct tb_rec *r = &m->out->rec[m->out->nrec - 1];
    r->patch = (u16)here(m);
    r->span = (u8)(size - 1);
    r->wide = wide;
    if (set < TLBSET_NONE) r->fill = (u8)(1 + HOST_FILL(set, write, !!(m->op->acc & IR_T0LIVE)));
}

void emit_mem(struct em *m)
{
    struct ir_op o = *m->op;
    if (group_follows(m)) return;
    const struct group *g = group_leads(m);
    if (g) {
        o.disp += g->lo - m->group_at[m->i];
        o.size = (u8)(g->hi - g->lo);
        if (g->write) o.acc |= IR_WR;
    }
    bool t0 = o.acc & IR_T0LIVE, write = o.acc & IR_WR;
    unsigned set = (m->e->key & MODE_TLB) >> MODE_TLB_SHIFT;
    i32 table = (i32)(offsetof(struct cpu, tlbs) + set * sizeof(struct tlb_set) +
                      (write ? offsetof(struct tlb_set, wr) : offsetof(struct tlb_set, rd))) -
                TCG_BIAS;
    unsigned va = emit_address(m, &o, H_PTR, H_TMP);
    if (va != H_PTR && (write || t0 || o.seg != IR_NONE)) { // put_fill() wants a store's address there
        put_rr(m, 0x8b, 8, H_PTR, va);
        va = H_PTR;
    }
    if (o.seg != IR_NONE) segment(m, &o);
    if (t0) { // no second scratch: tag xor address is the offset in the page, or more
        m->p = put_entry(put_slot(m, m->p, va), 0x33, H_PTR, table);
        put_alu(m, ALU_CMP, 8, o_reg(H_PTR), o_imm((i64)PAGE_SIZE - o.size));
        exit_fill(m, put_jcc(m, C_A), set, write, o.size, g);
        m->p = put_entry(m->p, 0x33, H_PTR, table); // the address again
    } else {
        exit_fill(m, put_check(m, va, o.size, table), set, write, o.size, g);
    }
    if (o.acc & IR_ALIGN) {
        struct opnd off = o_reg(va);
        put_rmi(m, 0, 0xf6, 1, 0, &off, o.size - 1, 1);
        exit_if(m, C_NE);
    }
    m->m_disp = 0;
    m->in_ptr = NO_GROUP;
    m->p = put_entry(m->p, va == H_PTR ? 0x03 : 0x8b, H_PTR, table + 8);
    if (va != H_PTR) put_rr(m, 0x03, 8, H_PTR, va);
    if (!g) return;
    m->m_disp = m->group_at[m->i] - g->lo;
    group_open(m);
}

// ---- REP MOVS, REP STOS

// to = offset in the table of the entry for the address in reg
static void rep_entry(struct em *m, unsigned to, unsigned reg)
{
    struct opnd t = o_reg(to);
    put_rr(m, 0x8b, 4, to, reg);
    put_rmi(m, 0, 0xc1, 4, 5, &t, 8, 1);
    put_alu(m, ALU_AND, 4, t, o_imm(TLB_INDEX));
}

// Leaves unless R11, page size less the bytes, is at least the offset in the page of the address in reg, and the entry
// is for that page.
static void check_span(struct em *m, unsigned reg, i32 table)
{
    struct opnd tag = o_mem(H_CPU, table);
    tag.index = H_T0;
    rep_entry(m, H_T0, reg);
    put_rr(m, 0x8b, m->op->asz, H_PTR, reg);
    put_rm(m, 0, 0x33, 8, H_PTR, &tag);
    put_rr(m, 0x3b, 8, H_PTR, H_TMP);
    exit_if(m, C_A);
}
static void load_addend(struct em *m, unsigned to, unsigned reg, i32 table)
{
    struct opnd addend = o_mem(H_CPU, table + 8);
    addend.index = (u8)to;
    rep_entry(m, to, reg);
    put_load(m, 8, to, addend);
}

// All on one page of each kind: the host's own REP does what the guest's would, element by element where the two
// overlap.
void emit_rep(struct em *m)
{
    const struct ir_op *o = m->op;
    bool movs = o->op == IR_REPMOVS;
    unsigned w = o->asz, lg = o->size == 1 ? 0 : o->size == 2 ? 1 : o->size == 4 ? 2 : 3;
    unsigned set = (m->e->key & MODE_TLB) >> MODE_TLB_SHIFT;
    i32 table = (i32)(offsetof(struct cpu, tlbs) + set * sizeof(struct tlb_set)) - TCG_BIAS;
    i32 wr = table + (i32)offsetof(struct tlb_set, wr), rd = table + (i32)offsetof(struct tlb_set, rd);
    struct opnd t = o_reg(H_TMP), di = o_reg(H_RDI), si = o_reg(H_RSI);
    u32 none = 0;
    fl_spare(m, R_RCX);
    fl_spare(m, R_RDI);
    if (movs) fl_spare(m, R_RSI);
    put_alu(m, ALU_CMP, w, o_reg(H_RCX), o_imm((i64)PAGE_SIZE >> lg));
    exit_if(m, C_A);
    put_rr(m, 0x8b, 4, H_TMP, H_RCX);
    if (lg) put_rmi(m, 0, 0xc1, 4, 4, &t, lg, 1);
    put_rm(m, 0, 0xf7, 8, 3, &t); // neg
    put_alu(m, ALU_ADD, 8, t, o_imm(PAGE_SIZE));
    check_span(m, H_RDI, wr);
    if (movs) check_span(m, H_RSI, rd);
    if (w == 4) { // upper halves stay where nothing is done, and are cleared else
        put8(m, 0x67);
        put8(m, 0xe3);
        put8(m, 0);
        none = here(m);
    }
    load_addend(m, H_PTR, H_RDI, wr);
    if (movs) load_addend(m, H_T0, H_RSI, rd);
    if (w == 4) {
        put_rr(m, 0x8b, 4, H_RDI, H_RDI);
        if (movs) put_rr(m, 0x8b, 4, H_RSI, H_RSI);
        put_rr(m, 0x8b, 4, H_RCX, H_RCX);
    }
    put_alu(m, ALU_ADD, 8, di, o_reg(H_PTR));
    if (movs) put_alu(m, ALU_ADD, 8, si, o_reg(H_T0));
    if (o->size == 2) put8(m, 0x66);
    put8(m, 0xf3);
    if (o->size == 8) put8(m, 0x48);
    put8(m, (movs ? 0xa4 : 0xaa) | (o->size != 1));
    put_alu(m, ALU_SUB, 8, di, o_reg(H_PTR));
    if (movs) put_alu(m, ALU_SUB, 8, si, o_reg(H_T0));
    if (w == 4) { // over the end of 4 GB
        put_rr(m, 0x8b, 4, H_RDI, H_RDI);
        if (movs) put_rr(m, 0x8b, 4, H_RSI, H_RSI);
        m->start[none - 1] = (u8)(here(m) - none);
    }
}
