// SPDX-License-Identifier: MIT
// Guest flags while a block is emitted. An operation that sets them leaves them in the host's EFLAGS; the record for
// those who look later (an exit, a successor, a reader behind a clobber) stays in the registers it is made of for as
// long as these are not overwritten, and is described to exec.c by each exit's tb_rec. What is needed again is
// computed again from the record: a comparison repeated costs less than saving EFLAGS.
#include "tcg/host/x64/emit.h"

const bool host_reads_liveness = false;
const u16 fl_cond_masks[8] = {FL_OF, FL_CF, FL_ZF, FL_CF | FL_ZF, FL_SF, FL_PF, FL_SF | FL_OF, FL_SF | FL_OF | FL_ZF};

enum {
    ALL = FL_ARITH,
    SHIFT = FL_CF | FL_ZF | FL_SF | FL_PF,
    READS_COND = 0xffff, // by cc
    READS_VEC = 0xfffe   // by its encoding
};
const struct fl_effect fl_effects[IR_COUNT] = {
    [IR_ADD] = {ALL, 0},
    [IR_OR] = {ALL, 0},
    [IR_ADC] = {ALL, 0, FL_CF},
    [IR_SBB] = {ALL, 0, FL_CF},
    [IR_AND] = {ALL, 0},
    [IR_SUB] = {ALL, 0},
    [IR_XOR] = {ALL, 0},
    [IR_CMP] = {ALL, 0},
    [IR_TEST] = {ALL, 0},
    [IR_NEG] = {ALL, 0},
    [IR_XADD] = {ALL, 0},
    [IR_CMPXCHG] = {ALL, 0},
    [IR_VECF] = {ALL, 0},
    [IR_POPCNT] = {ALL, 0},
    [IR_SAHF] = {ALL & ~FL_OF, ALL},
    [IR_RCL] = {FL_CF | FL_OF, ALL, FL_CF},
    [IR_RCR] = {FL_CF | FL_OF, ALL, FL_CF},
    [IR_ADCX] = {FL_CF | FL_OF, ALL, FL_CF | FL_OF},
    [IR_ADOX] = {FL_CF | FL_OF, ALL, FL_CF | FL_OF},
    [IR_BLSR] = {SHIFT & ~FL_PF, ALL},
    [IR_BLSMSK] = {SHIFT & ~FL_PF, ALL},
    [IR_BLSI] = {SHIFT & ~FL_PF, ALL},
    [IR_BZHI] = {SHIFT & ~FL_PF, ALL},
    [IR_BEXTR] = {0, ALL},
    [IR_BSF] = {FL_ZF, ALL},
    [IR_BSR] = {FL_ZF, ALL},
    [IR_CMPXCHG2] = {FL_ZF, ALL},
    [IR_INC] = {ALL & ~FL_CF, 0},
    [IR_DEC] = {ALL & ~FL_CF, 0},
    [IR_SHL] = {SHIFT | FL_OF, ALL},
    [IR_SHR] = {SHIFT, ALL, 0, true},
    [IR_SAR] = {SHIFT, ALL, 0, true},
    [IR_VEC] = {0, 0, READS_VEC, true},
    [IR_JRCXZ] = {0, 0, 0, true},
    [IR_SHLD] = {SHIFT, ALL},
    [IR_SHRD] = {SHIFT, ALL},
    [IR_ROL] = {FL_CF | FL_OF, 0},
    [IR_ROR] = {FL_CF | FL_OF, 0},
    [IR_IMUL] = {FL_CF | FL_OF, ALL},
    [IR_IMUL3] = {FL_CF | FL_OF, ALL},
    [IR_MUL] = {FL_CF | FL_OF, ALL},
    [IR_IMUL1] = {FL_CF | FL_OF, ALL},
    [IR_BT] = {FL_CF, ALL},
    [IR_BTS] = {FL_CF, ALL},
    [IR_BTR] = {FL_CF, ALL},
    [IR_BTC] = {FL_CF, ALL},
    [IR_MEM] = {0, ALL},
    [IR_CALL] = {0, ALL},
    [IR_LOOKUP] = {0, ALL},
    [IR_DIV] = {0, ALL},
    [IR_IDIV] = {0, ALL},
    [IR_SETFL] = {0, ALL},
    [IR_CLRFL] = {0, ALL},
    [IR_SHLV] = {0, ALL},
    [IR_SHRV] = {0, ALL},
    [IR_SARV] = {0, ALL},
    [IR_ROLV] = {0, ALL},
    [IR_RORV] = {0, ALL},
    [IR_SHLDV] = {0, ALL},
    [IR_SHRDV] = {0, ALL},
    [IR_BITS_AT] = {0, ALL},
    [IR_REPMOVS] = {0, ALL},
    [IR_REPSTOS] = {0, ALL},
    [IR_OFF] = {0, ALL},
    [IR_SEGLOAD] = {0, ALL},
    [IR_TSC] = {0, ALL},
    [IR_TZCNT] = {0, ALL},
    [IR_LZCNT] = {0, ALL},
    [IR_GETFL] = {0, ALL},
    [IR_PUTFL] = {0, ALL},
    [IR_CHECK] = {0, ALL},
    [IR_BITS] = {0, ALL},
    [IR_MASK] = {0, ALL},
    [IR_SETCC] = {0, 0, READS_COND},
    [IR_CMOV] = {0, 0, READS_COND},
    [IR_JCC] = {0, 0, READS_COND},
};

// Flags an operation reads from the host's EFLAGS.
INLINE u16 reads(const struct ir_op *o)
{
    u16 r = fl_effects[o->op].reads;
    if (likely(r < READS_VEC)) return r;
    if (r == READS_COND) return cond_mask(o->cc);
    return (u8)(o->imm >> 40) & IR_V_COND ? FL_CF | FL_ZF | FL_PF : 0;
}

// FLDCW and LDMXCSR look at the new word before they load it.
static bool is_fldcw(const struct ir_op *o)
{
    if (vec_is_ldmxcsr(o)) return true;
    return ((u8)(o->imm >> 40) & IR_V_X87) && o->a == IR_M && (u8)(o->imm >> 16) == 0xd9 && (o->dst >> 3 & 7) == 5;
}

u16 fl_host_looks(const struct ir_op *o, u16 host)
{
    if (o->op == IR_VEC) return is_fldcw(o) ? 0 : host;
    if (o->op == IR_JRCXZ) return o->asz == 2 ? 0 : host;
    return host | (o->imm == 1 ? FL_OF : 0); // SHR, SAR
}

// What an operation means to the record before it: KILL replaces it, LOOK looks at it, PASS lets it through though it
// is a KILL.
enum { KILL = 1, LOOK = 2, PASS = 4 };
static const u8 record_use[IR_COUNT] = {
#define IR(name, operands, writes, reads, props, ...)                                                                  \
    [IR_##name] = (IR_FL_##writes == IR_FL_ALL && !((props)&IR_EXIT) && !(IR_FL_##reads & ~IR_FL_CF) ? KILL : 0) |     \
                  ((props) & (IR_EXIT | IR_END) || IR_##name == IR_JCC || IR_##name == IR_JRCXZ ? LOOK : 0) |          \
                  (IR_##name == IR_TZCNT || IR_##name == IR_LZCNT ? PASS : 0),
#include "tcg/ir/ir.def"
#undef IR
};

// rec_after[i]: may the record that is current behind operation i be looked at? Exits need it, and readers that do not
// find their flags in the host's EFLAGS.
void fl_analyse(struct em *m)
{
    const struct ir *b = &m->e->ir;
    u16 host = 0;
    for (u32 i = 0; i < b->n; i++) {
        bool blind = reads(&b->op[i]) & ~host; // a reader that does not find its flags
        m->rec_after[i] = blind;
        if (blind) host = 0; // what computes them again destroys the others
        host = fl_host_after(&b->op[i], host);
    }
    bool live = true;
    for (u32 i = b->n; i-- > 0;) {
        unsigned use = record_use[b->op[i].op];
        bool look = m->rec_after[i] | !!(use & LOOK), pass = (use & (KILL | PASS)) != KILL;
        m->rec_after[i] = live;
        live = look | (live & pass);
    }
}

// ---- the record

static struct opnd part(const struct em *m, unsigned where, bool dst)
{
    if (where == CC_IN_MEMORY) return dst ? O_CPU(cc_dst) : O_CPU(cc_src);
    return o_guest(where);
}

void fl_store_dst(struct em *m, unsigned reg) { put_store(m, 8, O_CPU(cc_dst), reg); }
void fl_store_src(struct em *m, unsigned reg) { put_store(m, 8, O_CPU(cc_src), reg); }

// All of the register: who reads the record looks at its size (tcg_flags_normal).
static void store_part(struct em *m, unsigned where, bool dst)
{
    struct opnd to = dst ? O_CPU(cc_dst) : O_CPU(cc_src);
    int h = host_of(where);
    if (h < 0) {
        h = H_TMP;
        put_load(m, 8, H_TMP, o_guest(where));
    }
    put_store(m, 8, to, (unsigned)h);
}

static void store_imm(struct em *m, const struct flags_state *f)
{
    i64 v = (i64)tcg_cut((u64)(i64)f->imm, f->op);
    struct opnd to = O_CPU(cc_src);
    if (v == (i32)v) {
        put_rmi(m, 0, 0xc7, 8, 0, &to, v, 4);
    } else {
        put_imm(m, 8, H_TMP, v);
        put_store(m, 8, to, H_TMP);
    }
}

bool fl_spilled(const struct flags_state *f)
{
    return !f->known || (f->op_stored && f->dst == CC_IN_MEMORY && f->src == CC_IN_MEMORY);
}

void fl_spill(struct em *m, const struct flags_state *f)
{
    if (!f->known) return;
    if (f->dst != CC_IN_MEMORY) store_part(m, f->dst, true);
    if (f->src == CC_SRC_IMM)
        store_imm(m, f);
    else if (f->src != CC_IN_MEMORY)
        store_part(m, f->src, false);
    if (!f->op_stored) {
        struct opnd to = O_CPU(cc_op);
        put_rmi(m, 0, 0xc7, 4, 0, &to, f->op, 4);
    }
}

void fl_spare(struct em *m, unsigned g)
{
    struct flags_state *f = &m->fl;
    if (g >= 16 && g < 20) g &= 3;
    if (g > 15 || !f->known || (f->dst != g && f->src != g)) return;
    u16 writes = ir_facts[m->op->op].writes;
    if (!m->rec_after[m->i] || (writes == IR_FL_ALL && m->op->op != IR_CALL)) return;
    if (writes == IR_FL_NOCF) return; // CF was saved before
    if (f->dst == g) {
        store_part(m, g, true);
        f->dst = CC_IN_MEMORY;
    }
    if (f->src == g) {
        store_part(m, g, false);
        f->src = CC_IN_MEMORY;
    }
}

void fl_set(struct em *m, unsigned op, unsigned dst, unsigned src, i64 imm)
{
    m->fl.known = true;
    m->fl.op_stored = false;
    m->fl.op = (u16)op;
    m->fl.dst = (u8)dst;
    m->fl.src = (u8)src;
    m->fl.imm = (i32)imm;
    m->fl.insn = m->op->insn;
}

void fl_over_begin(struct em *m, unsigned over)
{
    if (m->fl.known || !fl_wanted(m)) return;
    struct opnd op = O_CPU(cc_op);
    if (over == CC_OVER) { // all of its second byte; host flags stay, as behind a rotate
        op.disp++;
        put_rmi(m, 0, 0xc6, 1, 0, &op, CC_OVER >> 8, 1);
        return;
    }
    put_rmi(m, 0, 0x81, 4, ALU_OR, &op, over, 4);
}

void fl_over(struct em *m, unsigned over)
{
    if (!fl_wanted(m)) return;
    struct opnd cf = O_CPU(cc_cf), of = O_CPU(cc_of);
    if (over & CC_OVER_CF) put_rm(m, 0, 0x0f90 | C_B, 1, 0, &cf);
    if (over & CC_OVER_OF) put_rm(m, 0, 0x0f90 | C_O, 1, 0, &of);
    if (!m->fl.known) return;
    if ((m->fl.op & over) != over) m->fl.op_stored = false;
    m->fl.op |= over;
}

// ---- flags computed again

// An operation on the record's two parts that leaves the host's EFLAGS as the original did, but for overridden flags.
static bool recompute_parts(struct em *m, u16 mask)
{
    struct flags_state *f = &m->fl;
    unsigned op = f->op & 0xff & ~3u, size = 1u << (f->op & 3);
    if (op == CC_AH) {
        if (mask & FL_OF) return false;
        put_rr(m, 0x8b, 8, H_TMP, H_RAX);
        put_load(m, 8, H_RAX, O_CPU(cc_dst));
        put8(m, 0x9e); // sahf
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
        f->host = FL_ARITH & ~FL_OF;
        return true;
    }
    struct opnd d = part(m, f->dst, true);
    struct opnd s = f->src == CC_SRC_IMM ? o_imm(f->imm) : part(m, f->src, false);
    bool simple = op == CC_CMP || op == CC_AND;
    if (op == CC_EFLAGS) {
        put_load_eflags(m);
        f->host = FL_ARITH;
        return true;
    }
    if (simple) {
        if (d.kind == O_MEM && s.kind == O_MEM) {
            put_load(m, size, H_TMP, d);
            d = o_reg(H_TMP);
        }
        if (op == CC_CMP) {
            put_alu(m, ALU_CMP, size, d, s);
        } else if (s.kind == O_IMM) {
            put_rmi(m, 0, size == 1 ? 0xf6 : 0xf7, size, 0, &d, s.imm, size == 1 ? 1 : size == 2 ? 2 : 4);
        } else {
            if (s.kind == O_MEM) {
                struct opnd x = d;
                d = s, s = x;
            }
            put_rm(m, 0, size == 1 ? 0x84 : 0x85, size, s.reg, &d);
        }
        f->host = FL_ARITH;
        return true;
    }
    if (op == CC_LOGIC || op == CC_SHX || op == CC_SHIFT) {
        if (op != CC_LOGIC && (mask & ~(FL_ZF | FL_SF | FL_PF))) return false;
        if (d.kind == O_MEM)
            put_rmi(m, 0, size == 1 ? 0x80 : 0x83, size, ALU_CMP, &d, 0, 1);
        else
            put_rm(m, 0, size == 1 ? 0x84 : 0x85, size, d.reg, &d);
        f->host = op == CC_LOGIC ? FL_ARITH & ~FL_AF : FL_ZF | FL_SF | FL_PF;
        return true;
    }
    if (op == CC_ADD || op == CC_SUB) {
        put_load(m, size, H_TMP, d);
        put_alu(m, op == CC_ADD ? ALU_SUB : ALU_ADD, size, o_reg(H_TMP), s);
        put_alu(m, op == CC_ADD ? ALU_ADD : ALU_CMP, size, o_reg(H_TMP), s);
        f->host = FL_ARITH;
        return true;
    }
    if ((op == CC_INC || op == CC_DEC) && !(mask & FL_CF)) {
        put_load(m, size, H_TMP, d);
        put_alu(m, op == CC_INC ? ALU_SUB : ALU_ADD, size, o_reg(H_TMP), o_imm(1));
        put_rr(m, size == 1 ? 0xfe : 0xff, size, op == CC_INC ? 0 : 1, H_TMP);
        f->host = FL_ARITH & ~FL_CF;
        return true;
    }
    return false;
}

static bool recompute(struct em *m, u16 mask)
{
    struct flags_state *f = &m->fl;
    u16 over = (f->op & CC_OVER_CF ? FL_CF : 0) | (f->op & CC_OVER_OF ? FL_OF : 0);
    if (mask == (FL_CF | FL_OF) && over == mask) { // bit 0 of R11: CF ^ OF, bit 1: CF
        struct opnd of = O_CPU(cc_of), t = o_reg(H_TMP);
        put_load(m, 1, H_TMP, O_CPU(cc_cf));
        put_lea(m, 4, H_TMP, H_TMP, H_TMP, 1, 0);
        put_alu(m, ALU_XOR, 1, t, of);
        put_rmi(m, 0, 0xc0, 1, 4, &t, 6, 1);
        put_rm(m, 0, 0xd0, 1, 4, &t); // SHL by 1: CF = bit 7, OF = bit 7 ^ bit 6
        f->host = FL_CF | FL_OF;
        return true;
    }
    if (mask & over) {
        if (mask != FL_CF) return false;
        struct opnd cf = O_CPU(cc_cf);
        put_rmi(m, 0, 0x0fba, 4, 4, &cf, 0, 1); // bt
        f->host = FL_CF;
        return true;
    }
    if (!recompute_parts(m, mask)) return false;
    f->host &= (u16)~over;
    return true;
}

// Flags from before the block. What record they came in when it was translated is what will come again; comparisons by
// translated predecessors come as CC_CMP and CC_AND. The branch is taken if another one has come.
static u32 guess_record(struct em *m, struct flags_state *guess)
{
    u32 op = m->e->c->cc_op;
    if ((op & ~3u) == CC_SUB) op = CC_CMP | (op & 3);
    if ((op & ~3u) == CC_LOGIC) op = CC_AND | (op & 3);
    unsigned kind = op & 0xfc;
    if (kind == CC_INC || kind == CC_DEC) op |= CC_OVER_CF;
    if (kind == CC_SHIFT) op = (CC_SHX + (op & 3)) | CC_OVER;
    *guess =
        (struct flags_state){.known = true, .op_stored = true, .op = (u16)op, .dst = CC_IN_MEMORY, .src = CC_IN_MEMORY};
    struct opnd at = O_CPU(cc_op);
    put_rmi(m, 0, 0x81, 4, ALU_CMP, &at, op, 4);
    return put_jcc(m, C_NE);
}

// All six flags of whatever record is in memory.
static void call_flags(struct em *m)
{
    struct opnd to = O_CPU(host_flags);
    put_rm(m, 0, 0xff, 4, 2, &to);
    m->fl.host = FL_ARITH;
}

void fl_to_memory(struct em *m)
{
    struct flags_state *f = &m->fl;
    fl_spill(m, f);
    f->dst = f->src = CC_IN_MEMORY;
    f->op_stored = true;
}

void fl_need(struct em *m, u16 mask)
{
    struct flags_state *f = &m->fl, was = *f;
    if (!(mask & ~f->host)) return;
    u8 *p = m->p;
    u32 branch = 0;
    if (!f->known) branch = guess_record(m, f);
    bool ok = recompute(m, mask) && !(mask & ~f->host);
    was.host = f->host;
    *f = was;
    if (!ok) {
        m->p = p;
        fl_to_memory(m);
        call_flags(m);
    } else if (branch) {
        m->stubs[m->nstub++] = (struct stub){.at = branch, .back = here(m)};
    }
}
