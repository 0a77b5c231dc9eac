// SPDX-License-Identifier: MIT
// How a block is entered and left: prologue, exits to the interpreter's function, direct jumps and their links, the
// jump cache. tcg/tcg.h has the contract with exec.c.
#include "mem/base/err.h"
#include "tcg/host/x64/emit.h"

// Offset of the guest instruction k from code_base.
i32 offset_of(const struct em *m, unsigned k) { return m->off[k]; }

void find_offsets(struct em *m)
{
    m->off[0] = m->t->pa & 0xfff;
    for (unsigned k = 0; k < m->t->n; k++) m->off[k + 1] = m->off[k] + m->t->insn[k].len;
}

struct tb_rec *rec_new(struct em *m, unsigned kind)
{
    struct tb_rec *r = &m->out->rec[m->out->nrec++];
    const struct flags_state *f = &m->fl;
    *r = (struct tb_rec){.kind = (u8)kind,
                         .insn = m->op->insn,
                         .done = m->op->insn,
                         .cc_op = 0xffff,
                         .cc_dst = CC_IN_MEMORY,
                         .cc_src = CC_IN_MEMORY};
    r->x87 = m->x87;
    if (kind == REC_INSN || kind == REC_JUMP) {
        if (f->known) {
            r->cc_op = f->op;
            r->cc_dst = f->dst;
            r->cc_src = f->src;
            r->imm = f->imm;
        }
    }
    if (kind == REC_INSN) {
        unsigned op = m->op->op;
        r->resume_flags = op == IR_MEM ? WHY_MEMORY : op == IR_LOOKUP || op == IR_RET ? WHY_JUMP : 0;
        r->target = offset_of(m, m->op->insn);
    }
    return r;
}

void patch_to_exit(struct em *m, u32 at, u32 rec) { st32(m->start + at, m->exits + rec * HOST_STUB - (at + 4)); }

void put_exit(struct em *m, u32 rec)
{
    u32 at = put_jmp(m);
    patch_to_exit(m, at, rec);
}

enum { RESUME_LATER = 0xffff };

void exit_at(struct em *m, u32 at)
{
    if (unlikely(m->sp)) panic("IR operation %u leaves, and nobody has settled RSP", m->op->op);
    struct tb_rec *r = rec_new(m, REC_INSN);
    r->resume = RESUME_LATER;
    patch_to_exit(m, at, (u32)(r - m->out->rec));
}

void exit_if(struct em *m, unsigned cc) { exit_at(m, put_jcc(m, cc)); }

void exit_insn(struct em *m, bool resume)
{
    sp_settle(m);
    struct tb_rec *r = rec_new(m, REC_INSN);
    const struct ir *b = &m->e->ir;
    bool leave = m->i + 1 < b->n && m->op[1].op == IR_LEAVE;
    r->resume = resume && !leave ? RESUME_LATER : 0;
    put_exit(m, (u32)(r - m->out->rec));
    m->left_insn = true;
}

// Does somebody find its flags in the host's EFLAGS from here on?
static bool host_flags_used(const struct em *m)
{
    u16 host = m->fl.host;
    const struct ir *b = &m->e->ir;
    for (u32 i = m->i + 1; i < b->n && host; i++) {
        const struct ir_op *o = &b->op[i];
        switch (o->op) {
        case IR_SETCC:
        case IR_CMOV:
        case IR_JCC:
            if (!(cond_mask(o->cc) & ~host)) return true;
            break;
        case IR_ADC:
        case IR_SBB:
        case IR_INC:
        case IR_DEC:
        case IR_RCL:
        case IR_RCR:
            if (host & FL_CF) return true;
            break;
        case IR_ADCX:
        case IR_ADOX:
            if (host & (FL_CF | FL_OF)) return true;
            break;
        case IR_DIV:
        case IR_IDIV:
        case IR_TZCNT:
        case IR_LZCNT:
        case IR_SAHF:
        case IR_CMPXCHG2: return true;
        case IR_VEC:
            if ((u8)(o->imm >> 40) & IR_V_COND) return true;
            break;
        default: break;
        }
        host = ir_facts[o->op].writes == IR_FL_ALL ? 0 : fl_host_after(o, host);
    }
    return false;
}

// By the guest instruction that the current operation ends.
static u16 flags_written(const struct em *m)
{
    u16 fl = 0;
    for (u32 i = m->i + 1; i-- > 0 && m->e->ir.op[i].insn == m->op->insn;) fl |= ir_facts[m->e->ir.op[i].op].writes;
    return fl;
}

void insn_done(struct em *m)
{
    bool ends = ir_facts[m->op->op].props & IR_END;
    const struct flags_state *f = &m->fl;
    u8 how = 0;
    if (!ends && m->out->nrec > m->first_rec) {
        unsigned form = f->op & 0xfc;
        if (host_flags_used(m)) how |= RESUME_HOST;
        if (f->known && (f->op & CC_OVER)) how |= RESUME_OVER;
        u16 writes = flags_written(m);
        if (!writes || (f->known && !(writes & ~IR_FL_CFOF) && !m->remade)) how |= RESUME_RAW;
        if (f->known && form == CC_CMP) how |= RESUME_CMP;
        if (f->known && form == CC_AND) how |= RESUME_AND;
        if (f->known && form == CC_AH && !(how & RESUME_RAW)) how |= RESUME_AH;
    }
    for (u32 k = m->first_rec; k < m->out->nrec; k++) {
        struct tb_rec *r = &m->out->rec[k];
        if (r->resume != RESUME_LATER) continue;
        r->resume = ends || m->open_until > m->i ? 0 : (u16)here(m);
        r->resume_flags |= how;
    }
    m->first_rec = m->out->nrec;
}

// Branches to be patched at *a and *b unless cpu's generation of translations and code_base are those that
// host_patch_guard() will put here.
static void put_guard(struct em *m, u32 *a, u32 *b)
{
    struct opnd gen = o_mem(H_CPU, CPU_DISP(jump_context) + 4), base = O_CPU(code_base);
    put_rmi(m, 0, 0x81, 4, ALU_CMP, &gen, -1, 4); // no generation is all ones
    *a = put_jcc(m, C_NE);
    put8(m, 0x49);
    put8(m, 0xb8 | (H_TMP & 7));
    put64(m, 0);
    put_rm(m, 0, 0x39, 8, H_TMP, &base);
    *b = put_jcc(m, C_NE);
}

void host_patch_guard(u8 *rw_base, u32 at, u32 gen, u64 base)
{
    u8 *p = rw_base + at;
    st64(p + 16, base);
    st32(p + 4, gen);
}

// jit count: R11 and the flags are nobody's at a block's entry.
static void emit_count(struct em *m)
{
    struct opnd n = o_mem(H_TMP, 0);
    put8(m, 0x49);
    put8(m, 0xb8 | (H_TMP & 7));
    put64(m, (u64)(uintptr_t)m->out->count);
    put_rmi(m, 0, 0x83, 8, ALU_ADD, &n, 1, 1);
}

void emit_prologue(struct em *m)
{
    struct opnd left = O_CPU(left);
    struct tb_rec *r = rec_new(m, REC_BUDGET);
    r->target = offset_of(m, 0);
    put_rmi(m, 0, 0x83, 8, ALU_SUB, &left, m->t->n, 1);
    m->stubs[m->nstub++] = (struct stub){.at = put_jcc(m, C_S)};
    m->out->counted = (u8)here(m);
    if (m->t->pa2 != ~(u64)0) { // the second page's translation, for which exec.c vouches (host_patch_guard)
        r->resume = (u16)here(m);
        put_guard(m, &m->stubs[m->nstub].at, &m->stubs[m->nstub + 1].at);
        for (unsigned k = 0; k < 2; k++, m->nstub++) m->stubs[m->nstub].rec = m->stubs[m->nstub].back = 0;
    }
    vec_prologue(m);
    if (!m->flat && !m->code64) { // CS limit: the block's last byte
        struct opnd limit =
            o_mem(H_CPU, (i32)(offsetof(struct cpu, seg) + S_CS * sizeof(struct seg) + offsetof(struct seg, limit)) -
                             TCG_BIAS);
        put_load(m, 8, H_TMP, O_CPU(code_base));
        put_lea(m, 4, H_TMP, H_TMP, NO_REG, 0, offset_of(m, m->t->n) - 1);
        put_rm(m, 0, 0x3b, 4, H_TMP, &limit);
        m->stubs[m->nstub++] = (struct stub){.at = put_jcc(m, C_A)};
    }
    m->out->inside = (u8)here(m);
    if (m->out->count) emit_count(m);
}

// ---- edges: jumps to other blocks (tcg.h). What host_link() fills in stands at tb_rec.patch:
// plain   jmp rel32 (patch is the rel32's), or the jcc itself
// counted sub [left], net; jns rel32; jmp exit
// far     the same behind a guard: cmp [generation]; jne exit; mov r11, base; cmp [code_base], r11; jne exit;
//         sub [left], net; js exit (if counted); add [code_base], k; jmp rel32
// The branch (jcc, jmp, call) whose rel32 is at tb_rec.resume (0: none) leaves by the exit as long as there is no link;
// else it leads to what stores the record, `spill` bytes before patch, or `bare` bytes before if the record is not to
// be stored. All that is EDGE_SIDE: not in the block, but made when the edge is linked first (host_side). Every far one
// is, since most are never linked, or it stands behind a CALL, which jumps anyhow.
enum { NET = 4, COUNTED_TO = 7, COUNTED_LEN = 16, GUARD_LEN = 34, FAR_COUNT = 11, FAR_LEN = GUARD_LEN + 8 + 5 };

static bool is_far(const struct ir_op *o) { return o->size == 2 || o->imm < 0 || o->imm >= (i64)PAGE_SIZE; }
static bool is_loop(const struct em *m, const struct ir_op *o) { return !is_far(o) && o->imm == offset_of(m, 0); }

static bool is_taken(const struct em *m, const struct ir_op *o)
{
    unsigned insn = m->t->insn[o->insn].op;
    return o->op == IR_JCC || o->op == IR_JRCXZ || o->op == IR_CALLTO ||
           (o->op == IR_JMP && (insn == OP_JMP_Jb || insn == OP_JMP_Jz));
}

static void describe_edge(const struct em *m, struct tb_rec *r, const struct ir_op *o, unsigned flags)
{
    r->kind = is_far(o) ? REC_FAR : REC_JUMP;
    r->target = (i32)o->imm;
    r->done = (u8)(o->insn + 1);
    r->resume_flags = (u8)(flags | (is_taken(m, o) ? EDGE_TAKEN : 0));
}

static void put_count(struct em *m)
{
    struct opnd left = O_CPU(left);
    put_rmi(m, 0, 0x83, 8, ALU_SUB, &left, 0, 1);
}

static void put_counted(struct em *m, struct tb_rec *r)
{
    u32 rec = (u32)(r - m->out->rec);
    r->patch = here(m);
    put_count(m);
    u32 on = put_jcc(m, C_NS), out = put_jmp(m);
    patch_to_exit(m, on, rec);
    patch_to_exit(m, out, rec);
}

static void put_far(struct em *m, struct tb_rec *r)
{
    struct opnd base = O_CPU(code_base);
    u32 a, b, rec = (u32)(r - m->out->rec);
    r->patch = here(m);
    put_guard(m, &a, &b);
    patch_to_exit(m, a, rec);
    patch_to_exit(m, b, rec);
    if (r->resume_flags & EDGE_COUNTED) {
        put_count(m);
        patch_to_exit(m, put_jcc(m, C_S), rec);
    }
    put_rmi(m, 0, 0x81, 8, ALU_ADD, &base, r->target & ~0xfff, 4);
    put_jmp(m);
}

static void put_rel(u8 *rw_base, u32 at, u32 to) { st32(rw_base + at, to - (at + 4)); }
static bool is_counted(const struct tb_rec *r) { return r->resume_flags & EDGE_COUNTED; }
static u32 far_len(const struct tb_rec *r) { return FAR_LEN + (is_counted(r) ? FAR_COUNT : 0); }

// Offset of the count's operand.
static u32 net_at(u32 code, const struct tb_rec *r)
{
    return code + r->patch + (r->kind == REC_FAR ? GUARD_LEN : 0) + NET;
}

static u32 jump_of(u32 code, const struct tb_rec *r)
{
    u32 at = code + r->patch;
    return r->kind == REC_FAR ? at + far_len(r) - 4 : is_counted(r) ? at + COUNTED_TO : at;
}

void host_link(u8 *rw_base, u32 code, const struct tb_rec *r, const struct host_link *l)
{
    if (is_counted(r)) rw_base[net_at(code, r)] = (u8)l->net;
    put_rel(rw_base, jump_of(code, r), l->to);
    if (r->kind == REC_FAR) host_patch_guard(rw_base, code + r->patch, l->gen, l->base);
    if (r->resume) put_rel(rw_base, code + r->resume, code + r->patch - (l->bare ? r->bare : r->spill));
}

void host_unlink(u8 *rw_base, u32 code, const struct tb_rec *r, u32 stub)
{
    if (r->resume) put_rel(rw_base, code + r->resume, stub);
    if (r->kind == REC_FAR)
        host_patch_guard(rw_base, code + r->patch, ~0u, 0);
    else
        put_rel(rw_base, jump_of(code, r), stub);
    if (is_counted(r)) rw_base[net_at(code, r)] = 0;
}

i8 host_link_net(const u8 *rw_base, u32 code, const struct tb_rec *r) { return (i8)rw_base[net_at(code, r)]; }

i32 host_jump_distance(const u8 *code)
{
    if (code[0] == 0xe9 || code[0] == 0xe8) return (i32)ld32(code + 1) + 5;
    if (code[0] == 0x0f && (code[1] & 0xf0) == 0x80) return (i32)ld32(code + 2) + 6;
    return code[0] == 0xeb || (code[0] & 0xf0) == 0x70 ? (i8)code[1] + 2 : 0;
}

void host_patch_entry(u8 *rw_base, u32 at, u32 to)
{
    rw_base[at] = 0xe9;
    st32(rw_base + at + 1, to - (at + 5));
}

// ---- direct jumps

// An edge at the block's end, by the branch at `at`. Far ones count themselves, since the target's count would leave
// with a record that may not have been stored.
void put_edge(struct em *m, struct tb_rec *r, const struct ir_op *o, u32 at)
{
    bool far = is_far(o);
    describe_edge(m, r, o, far ? EDGE_COUNTED | EDGE_SIDE | (m->fl.op_stored ? EDGE_STORED : 0) : 0);
    patch_to_exit(m, at, (u32)(r - m->out->rec));
    if (far)
        r->resume = (u16)at;
    else
        r->patch = at;
}

// What an edge's own code stores if it is far, else the block.
void edge_spill(struct em *m, const struct ir_op *o)
{
    if (!is_far(o)) fl_spill(m, &m->fl);
    vec_pointers(m);
}

// The block's last operation.
void emit_jump(struct em *m)
{
    const struct ir_op *o = m->op;
    if (is_loop(m, o)) {
        struct tb_rec *r = rec_new(m, REC_JUMP);
        describe_edge(m, r, o, EDGE_COUNTED);
        if (!m->e->bare) fl_spill(m, &m->fl);
        vec_pointers(m);
        put_counted(m, r);
        return;
    }
    edge_spill(m, o);
    struct tb_rec *r = rec_new(m, REC_JUMP);
    put_edge(m, r, o, put_jmp(m));
}

// A branch in the block's middle, or with something to do on the way.
static void taken(struct em *m, u32 at)
{
    const struct ir_op *o = m->op;
    struct tb_rec *r = rec_new(m, REC_JUMP);
    bool direct = m->t->n == o->insn + 1u && !is_far(o) && fl_spilled(&m->fl) && !m->x87;
    describe_edge(m, r, o, direct ? 0 : EDGE_COUNTED | EDGE_SIDE | (m->fl.op_stored ? EDGE_STORED : 0));
    patch_to_exit(m, at, (u32)(r - m->out->rec));
    if (direct)
        r->patch = at; // the branch itself is the link
    else
        r->resume = (u16)at;
}

u32 host_side(u8 *rw_base, u32 code, u32 at, u32 stub, const struct tb *t, struct tb_rec *r)
{
    struct tb_code out = {.rec = r};
    struct em m;
    m.start = rw_base + code;
    m.p = rw_base + at;
    m.t = t;
    m.out = &out;
    m.exits = stub - code;
    m.x87 = r->x87;
    m.code64 = (t->key & MODE_CODE) == MODE_64;
    find_offsets(&m);
    struct flags_state f = {.known = r->cc_op != 0xffff,
                            .op_stored = r->resume_flags & EDGE_STORED,
                            .op = r->cc_op,
                            .dst = r->cc_dst,
                            .src = r->cc_src,
                            .imm = r->imm};
    fl_spill(&m, &f);
    u32 bare = here(&m);
    vec_pointers(&m);
    r->spill = (u8)(here(&m) - (at - code));
    r->bare = (u8)(here(&m) - bare);
    if (r->kind == REC_FAR)
        put_far(&m, r);
    else
        put_counted(&m, r);
    return here(&m) - (at - code);
}

void emit_jcc(struct em *m)
{
    const struct ir_op *o = m->op;
    fl_need(m, cond_mask(o->cc));
    if (!is_loop(m, o) || m->x87 || !(m->e->bare || fl_spilled(&m->fl))) {
        taken(m, put_jcc(m, o->cc));
        return;
    }
    // The loop goes round in line.
    put8(m, 0x70 | (o->cc ^ 1));
    put8(m, COUNTED_LEN);
    struct tb_rec *r = rec_new(m, REC_JUMP);
    describe_edge(m, r, o, EDGE_COUNTED);
    put_counted(m, r);
}

void emit_jrcxz(struct em *m)
{
    const struct ir_op *o = m->op;
    if (o->asz == 2) {
        put_rr(m, 0x85, 2, H_RCX, H_RCX);
        taken(m, put_jcc(m, o->cc ? C_NE : C_E));
        return;
    }
    if (o->asz == 4) put8(m, 0x67);
    put8(m, 0xe3);
    put8(m, o->cc ? 5 : 2);
    if (!o->cc) {
        put8(m, 0xeb);
        put8(m, 5);
    }
    taken(m, put_jmp(m));
}

void emit_cold(struct em *m)
{
    vec_cold(m);
    call_cold(m);
    struct opnd flags = O_CPU(host_flags);
    for (u32 k = 0; k < m->nstub; k++) {
        const struct stub *s = &m->stubs[k];
        if (!s->back) {
            patch_to_exit(m, s->at, s->rec);
            continue;
        }
        patch_here(m, s->at);
        put_rm(m, 0, 0xff, 4, 2, &flags);
        u32 at = put_jmp(m);
        st32(m->start + at, s->back - (at + 4));
    }
}

// ---- indirect jumps

void emit_lookup(struct em *m)
{
    const struct ir_op *o = m->op;
    fl_spill(m, &m->fl);
    vec_pointers(m);
    m->fl.op_stored = true;
    m->fl.dst = m->fl.src = CC_IN_MEMORY;
    if (!m->flat || o->size == 2 || !(m->e->key & MODE_SS32)) { // two CS bases may share an entry: by the interpreter
        exit_insn(m, false);
        return;
    }
    struct opnd a = o_of(m, o->a), t = o_reg(H_TMP);
    if (o->a != IR_T0 || o->size == 4) put_rm(m, 0, 0x8b, o->size, H_T0, &a);
    struct opnd target = o_reg(H_T0);
    _Static_assert(sizeof(struct jump_entry) == 1 << 5 && JUMP_BITS + 5 < 32, "the offset in one shift");
    put_rmi(m, 0, 0x69, 4, H_TMP, &target, (i32)JUMP_FACTOR, 4); // jump_hash() * 32
    put_rmi(m, 0, 0xc1, 4, 5, &t, 32 - JUMP_BITS - 5, 1);
    put_alu(m, ALU_AND, 4, t, o_imm((i64)(JUMP_SIZE - 1) << 5));
    put_lea(m, 8, H_TMP, H_CPU, H_TMP, 0, (i32)offsetof(struct cpu, jump) - TCG_BIAS);
    struct opnd at = o_mem(H_TMP, offsetof(struct jump_entry, at));
    struct opnd ctx = o_mem(H_TMP, offsetof(struct jump_entry, context));
    put_rm(m, 0, 0x39, 8, H_T0, &at);
    exit_if(m, C_NE);
    if (o->imm) { // another mode's context
        put_alu(m, ALU_CMP, 4, ctx, o_imm(o->imm));
        exit_if(m, C_NE);
        put_load(m, 4, H_T0, o_mem(H_CPU, o->disp - TCG_BIAS));
        ctx.disp += 4;
        put_rm(m, 0, 0x39, 4, H_T0, &ctx);
    } else {
        put_load(m, 8, H_T0, O_CPU(jump_context));
        put_rm(m, 0, 0x39, 8, H_T0, &ctx);
    }
    exit_if(m, C_NE);
}

void emit_go(struct em *m)
{
    struct opnd code = o_mem(H_TMP, offsetof(struct jump_entry, code));
    put_load(m, 8, H_T0, o_mem(H_TMP, offsetof(struct jump_entry, base)));
    put_store(m, 8, O_CPU(code_base), H_T0);
    put_rm(m, 0, 0xff, 4, 4, &code);
}
