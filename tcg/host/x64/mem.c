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

void emit_lea(struct em *m)
{
    const struct ir_op *o = m->op;
    if (o->dst < 20) fl_spare(m, o->dst);
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

void emit_mem(struct em *m)
{
    const struct ir_op *o = m->op;
    bool t0 = o->acc & IR_T0LIVE;
    unsigned set = (m->e->key & MODE_TLB) >> MODE_TLB_SHIFT;
    i32 table = (i32)(offsetof(struct cpu, tlbs) + set * sizeof(struct tlb_set) +
                      (o->acc & IR_WR ? offsetof(struct tlb_set, wr) : offsetof(struct tlb_set, rd))) -
                TCG_BIAS;
    unsigned va = emit_address(m, o, H_PTR, H_TMP);
    if (va != H_PTR && (t0 || o->seg != IR_NONE)) {
        put_rr(m, 0x8b, 8, H_PTR, va);
        va = H_PTR;
    }
    if (o->seg != IR_NONE) segment(m, o);
    if (t0) { // no second scratch: tag xor address is the offset in the page, or more
        m->p = put_entry(put_slot(m, m->p, va), 0x33, H_PTR, table);
        put_alu(m, ALU_CMP, 8, o_reg(H_PTR), o_imm((i64)PAGE_SIZE - o->size));
        exit_if(m, C_A);
        m->p = put_entry(m->p, 0x33, H_PTR, table); // the address again
    } else {
        exit_at(m, put_check(m, va, o->size, table));
    }
    if (o->acc & IR_ALIGN) {
        struct opnd off = o_reg(va);
        put_rmi(m, 0, 0xf6, 1, 0, &off, o->size - 1, 1);
        exit_if(m, C_NE);
    }
    m->m_index = NO_REG;
    m->p = put_entry(m->p, va == H_PTR ? 0x03 : 0x8b, H_PTR, table + 8);
    if (va != H_PTR) put_rr(m, 0x03, 8, H_PTR, va);
}
