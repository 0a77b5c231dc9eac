// SPDX-License-Identifier: MIT
// Accesses that share a check: a block's loads and stores off one base register, which has not changed but by known
// steps (PUSH, POP, ADD RSP), or off constants. The first of them, the leader, checks the range that all of them
// touch, and keeps the host's address of its start in struct cpu; the others only add to that. So the range must lie on
// one page: where it does not, the leader leaves, and the code behind it is a block of its own.
//
// What was checked holds until C runs, which may change translations and marks: no exit comes back into the block while
// a group is open (insn_done()), and an operation that always leaves closes all of them.
#include "tcg/host/x64/emit.h"

enum { SPAN = 128 /* bytes, most */, BASES = 16 + 2 /* IR_BASE, none */ };

struct scan {
    struct em *m;
    i32 moved[BASES];    // by known steps, since the base last changed otherwise
    u8 latest[BASES][2]; // groups that were opened last since then, [write]; NO_GROUP
    u8 in_ptr;           // as in struct em
};

static unsigned base_slot(unsigned operand) { return operand < 16 ? operand : operand == IR_BASE ? 16 : 17; }

static void changed(struct scan *s, unsigned reg)
{
    s->moved[reg] = 0;
    s->latest[reg][0] = s->latest[reg][1] = NO_GROUP;
}

static void all_changed(struct scan *s)
{
    memset(s->moved, 0, sizeof s->moved);
    memset(s->latest, NO_GROUP, sizeof s->latest);
}

static void operand_written(struct scan *s, unsigned operand)
{
    if (operand < 20) changed(s, operand < 16 ? operand : operand & 3);
}

// A known step of a whole register: LEA reg, [reg + k]; ADD and SUB. Else false.
static bool step(struct scan *s, const struct ir_op *o)
{
    unsigned full = s->m->code64 ? 8 : 4;
    i64 k;
    if (o->dst >= 16 || o->size != full) return false;
    if (o->op == IR_LEA && o->base == o->dst && o->index == IR_NONE && o->asz == full)
        k = o->disp;
    else if ((o->op == IR_ADD || o->op == IR_SUB) && o->a == IR_IMM)
        k = o->op == IR_ADD ? o->imm : -o->imm;
    else
        return false;
    k += s->moved[o->dst];
    if (k != (i16)k) return false;
    s->moved[o->dst] = (i32)k;
    return true;
}

// What o does to the bases.
static void follow(struct scan *s, const struct ir_op *o)
{
    unsigned kind = (u8)(o->imm >> 40);
    switch (ir_facts[o->op].regs) {
    case IR_W_NONE: return;
    case IR_W_STEP:
        if (step(s, o)) return;
        operand_written(s, o->dst);
        return;
    case IR_W_D: operand_written(s, o->dst); return;
    case IR_W_DA:
    case IR_W_DI:
        operand_written(s, o->dst);
        operand_written(s, ir_facts[o->op].regs == IR_W_DA ? o->a : (unsigned)o->imm);
        return;
    case IR_W_AXDX:
        changed(s, R_RAX);
        changed(s, R_RDX);
        return;
    case IR_W_VEC:
        if (kind & IR_V_X87) changed(s, R_RAX); // FNSTSW
        if (vec_is_pcmpstr(o)) changed(s, R_RCX);
        if (kind & IR_V_REG_GPR) operand_written(s, o->dst);
        if (kind & IR_V_RM_GPR) operand_written(s, o->a);
        return;
    default:
        all_changed(s);
        s->m->group_of[s->m->i] = GROUP_FORGET;
        s->in_ptr = NO_GROUP;
    }
}

// Joins the access to the group if all of it stays small enough.
static bool join(struct em *m, unsigned g, i32 at, unsigned size)
{
    if (g == NO_GROUP) return false;
    struct group *p = &m->groups[g];
    i32 lo = at < p->lo ? at : p->lo, hi = at + (i32)size > p->hi ? at + (i32)size : p->hi;
    if (hi - lo > SPAN) return false;
    p->lo = lo;
    p->hi = hi;
    p->last = m->i;
    p->members++;
    return true;
}

static void group_access(struct scan *s, const struct ir_op *o)
{
    struct em *m = s->m;
    unsigned full = m->code64 ? 8 : 4, b = base_slot(o->base), before = s->in_ptr;
    s->in_ptr = NO_GROUP;
    if (o->seg != IR_NONE || o->index != IR_NONE || o->asz != full || (o->acc & IR_ALIGN)) return;
    i64 at = (i64)s->moved[b] + o->disp;
    if (at != (i32)at || at > INT32_MAX - 2 * SPAN || at < INT32_MIN + 2 * SPAN || o->size > SPAN) return;
    // The stack is written sooner or later. Elsewhere a load shares the check of a store before it, not behind it.
    bool write = (o->acc & IR_WR) || o->base == R_RSP;
    unsigned g = s->latest[b][1];
    if (!join(m, g, (i32)at, o->size) && (write || !join(m, g = s->latest[b][0], (i32)at, o->size))) {
        if (m->ngroups == ARRAY_LEN(m->groups)) return;
        g = m->ngroups++;
        m->groups[g] =
            (struct group){.lo = (i32)at, .hi = (i32)at + o->size, .last = m->i, .members = 1, .write = write};
        s->latest[b][write] = (u8)g;
    } else if (g != before) {
        m->groups[g].kept = true;
    }
    s->in_ptr = (u8)g;
    m->group_of[m->i] = (u8)g;
    m->group_at[m->i] = (i32)at;
}

void groups_find(struct em *m)
{
    struct scan s = {.m = m, .in_ptr = NO_GROUP};
    const struct ir *b = &m->e->ir;
    m->ngroups = 0;
    m->open_until = 0;
    m->in_ptr = NO_GROUP;
    memset(m->kept, NO_GROUP, sizeof m->kept);
    m->grouped =
        m->e->opt && (m->code64 || m->flat) && (m->e->key & MODE_TLB) >> MODE_TLB_SHIFT < TLBSET_NONE && !m->t->narrow;
    if (!m->grouped) return;
    all_changed(&s);
    for (m->i = 0; m->i < b->n; m->i++) {
        m->group_of[m->i] = NO_GROUP;
        if (b->op[m->i].op == IR_MEM)
            group_access(&s, &b->op[m->i]);
        else
            follow(&s, &b->op[m->i]);
    }
    m->i = 0;
}

void groups_close(struct em *m)
{
    for (unsigned k = 0; k < GROUPS_KEPT; k++) m->kept[k] = NO_GROUP;
    m->open_until = 0;
    m->in_ptr = NO_GROUP;
}

// Where its address is kept; GROUPS_KEPT: the check has to be made.
static unsigned kept_at(const struct em *m)
{
    unsigned k = 0, g = m->grouped && m->op->op == IR_MEM ? m->group_of[m->i] : NO_GROUP;
    if (g == NO_GROUP) return GROUPS_KEPT;
    if (m->in_ptr != g && !m->groups[g].kept) return GROUPS_KEPT; // R10 was wanted for more than the scan knew of
    while (k < GROUPS_KEPT && m->kept[k] != g) k++;
    return k;
}

bool group_has(const struct em *m) { return kept_at(m) < GROUPS_KEPT; }

bool group_follows(struct em *m)
{
    unsigned k = kept_at(m), g = m->group_of[m->i];
    if (k == GROUPS_KEPT) return false;
    if (m->in_ptr != g) put_load(m, 8, H_PTR, o_mem(H_CPU, CPU_DISP(group_ptr) + (i32)k * 8));
    m->in_ptr = (u8)g;
    m->m_disp = m->group_at[m->i] - m->groups[g].lo;
    return true;
}

const struct group *group_leads(struct em *m)
{
    unsigned g = m->grouped ? m->group_of[m->i] : NO_GROUP;
    if (g == NO_GROUP || m->groups[g].last <= m->i) return NULL;
    for (unsigned k = 0; k < GROUPS_KEPT; k++)
        if (m->kept[k] == NO_GROUP || m->groups[m->kept[k]].last <= m->i) return &m->groups[g];
    return NULL;
}

void group_open(struct em *m)
{
    unsigned g = m->group_of[m->i], k = 0;
    while (m->kept[k] != NO_GROUP && m->groups[m->kept[k]].last > m->i) k++;
    m->kept[k] = (u8)g;
    m->in_ptr = (u8)g;
    if (m->groups[g].last > m->open_until) m->open_until = m->groups[g].last;
    if (m->groups[g].kept) put_store(m, 8, o_mem(H_CPU, CPU_DISP(group_ptr) + (i32)k * 8), H_PTR);
}
