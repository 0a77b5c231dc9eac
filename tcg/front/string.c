// SPDX-License-Identifier: MIT
// Emitters of string instructions: SDM vol. 2 MOVS, STOS, LODS, SCAS, CMPS, REP. Upwards only (DF clear, which is
// checked). REP MOVS and REP STOS in place where all of it lies in one page of each kind: then no event can be due
// before its end. To the interpreter: the other REPs, INS, OUTS, and REP with segments that are not flat.
#include "tcg/front/front.h"

static bool rep(const struct insn *i) { return i->pfx & (PFX_REP | PFX_REPNE); }
static void upwards(struct front *f)
{
    add(f, IR_OFF, 4, IR_NONE, IR_NONE)->imm = (i64)((u64)FL_DF << 32 | offsetof(struct cpu, eflags));
}
static void mem_at(struct front *f, unsigned reg, unsigned seg, unsigned acc)
{
    struct ir_op *o = add(f, IR_MEM, f->n, IR_NONE, IR_NONE);
    o->base = reg;
    o->asz = f->i->asz;
    o->seg = seg_of(f, seg);
    o->acc = acc;
}
static void advance(struct front *f, unsigned reg) { lea(f, f->i->asz, reg, reg, f->n, f->i->asz); }

// All of an REP; false: not in place.
static bool bulk(struct front *f, enum ir_code op)
{
    bool wide = f->i->asz == (f->code64 ? 8 : 4);
    if (!wide || seg_of(f, S_ES) != IR_NONE || (op == IR_REPMOVS && seg_of(f, f->i->seg) != IR_NONE)) return false;
    upwards(f);
    add(f, op, f->n, IR_NONE, IR_NONE)->asz = f->i->asz;
    return true;
}
bool front_movs(struct front *f)
{
    if (rep(f->i)) return bulk(f, IR_REPMOVS);
    upwards(f);
    mem_at(f, R_RSI, f->i->seg, IR_RD);
    load_t0(f, f->n, IR_M);
    mem_at(f, R_RDI, S_ES, IR_WR | IR_T0LIVE);
    add(f, IR_MOV, f->n, IR_M, IR_T0);
    advance(f, R_RSI);
    advance(f, R_RDI);
    return true;
}
bool front_stos(struct front *f)
{
    if (rep(f->i)) return bulk(f, IR_REPSTOS);
    upwards(f);
    mem_at(f, R_RDI, S_ES, IR_WR);
    add(f, IR_MOV, f->n, IR_M, R_RAX);
    advance(f, R_RDI);
    return true;
}
bool front_lods(struct front *f)
{
    if (rep(f->i)) return false;
    upwards(f);
    mem_at(f, R_RSI, f->i->seg, IR_RD);
    add(f, IR_MOV, f->n, R_RAX, IR_M);
    advance(f, R_RSI);
    return true;
}
bool front_scas(struct front *f)
{
    if (rep(f->i)) return false;
    upwards(f);
    mem_at(f, R_RDI, S_ES, IR_RD);
    add(f, IR_CMP, f->n, R_RAX, IR_M);
    advance(f, R_RDI);
    return true;
}
bool front_cmps(struct front *f)
{
    if (rep(f->i)) return false;
    upwards(f);
    mem_at(f, R_RSI, f->i->seg, IR_RD);
    load_t0(f, f->n, IR_M);
    mem_at(f, R_RDI, S_ES, IR_RD | IR_T0LIVE);
    add(f, IR_CMP, f->n, IR_T0, IR_M);
    advance(f, R_RSI);
    advance(f, R_RDI);
    return true;
}
