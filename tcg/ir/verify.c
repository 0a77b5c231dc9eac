// SPDX-License-Identifier: MIT
// What holds for the intermediate code of a whole block, whoever made or changed it: ir.def's operands and sizes, where
// IR_T0 and IR_M come from, and the rule that makes leaving for the interpreter right: an instruction changes nothing
// before its last operation with IR_EXIT. Runs after every pass in builds with DEBUG.
#include <string.h>
#include "tcg/ir/ir.h"

enum { S1 = 1, S2 = 2, S4 = 4, S8 = 8, S_INT = 15, S_248 = 14, S_48 = 12 };
enum { CPU_MOST = 4096 }; // LDCPU …: offset in struct cpu
struct state {            // within the current guest instruction
    const char *bad;
    unsigned insn;
    u8 m_size, m_acc;     // of the MEM that IR_M stands for; m_size 0: none
    bool t0;              // IR_T0 has a value
    bool t0_lost;         // it had one before a MEM without IR_T0LIVE
    bool changed, called; // architectural state, by this instruction
    bool looked_up;       // behind a LOOKUP
};

static bool is_vec(const struct ir_op *o) { return o->op == IR_VEC || o->op == IR_VECF; }
static bool is_reg(unsigned r) { return r <= IR_T0; }

// Sizes an operation may have; 0: any.
static unsigned sizes(unsigned op)
{
    switch (op) {
    case IR_NOP:
    case IR_CALL:
    case IR_MEM:
    case IR_VEC:
    case IR_VECF:
    case IR_LEAVE:
    case IR_TSC:
    case IR_SAHF:
    case IR_GO:
    case IR_CALLGO:
    case IR_SETFL:
    case IR_CLRFL: return 0;
    case IR_GETFL:
    case IR_PUTFL:
    case IR_BITS:
    case IR_MASK: return S4;
    case IR_KEEP:
    case IR_KEPT:
    case IR_STADDR: return S8;
    case IR_IRET:
    case IR_INT: return S4 | S8;
    case IR_SWCPU: return S8;
    case IR_SHLV:
    case IR_SHRV:
    case IR_SARV:
    case IR_ROLV:
    case IR_RORV:
    case IR_SHLD:
    case IR_SHRD:
    case IR_SHLDV:
    case IR_SHRDV:
    case IR_CMPXCHG2:
    case IR_SHX:
    case IR_RORX:
    case IR_MULX:
    case IR_ADCX:
    case IR_ADOX:
    case IR_BLSR:
    case IR_BLSMSK:
    case IR_BLSI:
    case IR_BZHI:
    case IR_BEXTR:
    case IR_PEXT:
    case IR_PDEP:
    case IR_BSWAP: return S_48;
    case IR_CRC32: return S4;
    case IR_SETCC: return S1;
    case IR_IDIV:
    case IR_LEA:
    case IR_RIP:
    case IR_MOVZX:
    case IR_MOVSX:
    case IR_IMUL:
    case IR_IMUL3:
    case IR_CBW:
    case IR_CWD:
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
    case IR_BITS_AT:
    case IR_BSF:
    case IR_BSR:
    case IR_TZCNT:
    case IR_LZCNT:
    case IR_POPCNT:
    case IR_CMOV:
    case IR_LOOKUP:
    case IR_JCC:
    case IR_JRCXZ:
    case IR_CALLTO:
    case IR_RET:
    case IR_JMP: return S_248;
    default: return S_INT;
    }
}
// May dst be IR_M, and which of IR_M and IR_IMM may a be?
static bool dst_may_be_m(unsigned op)
{
    switch (op) {
    case IR_LEA:
    case IR_RIP:
    case IR_MOVZX:
    case IR_MOVSX:
    case IR_SHX:
    case IR_RORX:
    case IR_IMUL:
    case IR_IMUL3:
    case IR_MULX:
    case IR_BSWAP:
    case IR_BITS_AT:
    case IR_BSF:
    case IR_BSR:
    case IR_TZCNT:
    case IR_LZCNT:
    case IR_POPCNT:
    case IR_ADCX:
    case IR_ADOX:
    case IR_BLSR:
    case IR_BLSMSK:
    case IR_BLSI:
    case IR_BZHI:
    case IR_BEXTR:
    case IR_PEXT:
    case IR_PDEP:
    case IR_CRC32:
    case IR_CMOV:
    case IR_GETFL:
    case IR_LDCPU:
    case IR_MASK:
    case IR_KEPT:
    case IR_SWCPU: return false;
    default: return true;
    }
}
static bool a_may_be_m(unsigned op)
{
    switch (op) {
    case IR_SHLD:
    case IR_SHRD:
    case IR_SHLDV:
    case IR_SHRDV:
    case IR_BITS_AT:
    case IR_XCHG:
    case IR_XADD:
    case IR_CMPXCHG:
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC:
    case IR_LOOKUP:
    case IR_PUTFL:
    case IR_BITS:
    case IR_KEEP:
    case IR_SEGLOAD:
    case IR_CALLTO:
    case IR_CALLGO:
    case IR_RET:
    case IR_INT:
    case IR_STCPU: return false;
    default: return true;
    }
}
static bool a_may_be_imm(unsigned op)
{
    switch (op) {
    case IR_MOV:
    case IR_ADD:
    case IR_OR:
    case IR_ADC:
    case IR_SBB:
    case IR_AND:
    case IR_SUB:
    case IR_XOR:
    case IR_CMP:
    case IR_TEST:
    case IR_BT:
    case IR_BTS:
    case IR_BTR:
    case IR_BTC: return true;
    default: return false;
    }
}
static bool writes_dst(unsigned op) { return op != IR_CMP && op != IR_TEST && op != IR_BT; }
static bool writes_implied(unsigned op)
{
    switch (op) {
    case IR_MUL:
    case IR_IMUL1:
    case IR_MULX:
    case IR_DIV:
    case IR_IDIV:
    case IR_CBW:
    case IR_CWD:
    case IR_XCHG:
    case IR_XADD:
    case IR_CMPXCHG:
    case IR_SETFL:
    case IR_CLRFL:
    case IR_STCPU:
    case IR_STIMM:
    case IR_STADDR:
    case IR_CMPXCHG2:
    case IR_REPMOVS:
    case IR_REPSTOS:
    case IR_SEGLOAD:
    case IR_TSC:
    case IR_SWCPU: return true;
    default: return false;
    }
}

static bool only_t0(unsigned op)
{
    return op == IR_GETFL || op == IR_PUTFL || op == IR_LDCPU || op == IR_STCPU || op == IR_SWCPU || op == IR_MASK ||
           op == IR_KEEP || op == IR_KEPT || op == IR_BITS_AT || op == IR_SEGLOAD || op == IR_CALLTO ||
           op == IR_CALLGO || op == IR_RET || op == IR_INT || op == IR_BZHI || op == IR_BEXTR || op == IR_PEXT ||
           op == IR_PDEP;
}

static const char *use_m(const struct state *s, unsigned size, bool write)
{
    if (!s->m_size) return "IR_M without MEM in this instruction";
    if (size > s->m_size) return "access wider than MEM has checked";
    if (write && !(s->m_acc & IR_WR)) return "IR_M written, but MEM checked for reading";
    return NULL;
}
static const char *use_t0(const struct state *s)
{
    return s->t0        ? NULL
           : s->t0_lost ? "IR_T0 used behind a MEM without IR_T0LIVE"
                        : "IR_T0 used before it is defined in this instruction";
}

static const char *check_dst(const struct state *s, const struct ir_op *o, bool read)
{
    if (!is_reg(o->dst) && o->dst != IR_M) return "destination";
    if (o->dst >= 16 && o->dst < 20 && o->size != 1) return "AH CH DH BH with another size than 1";
    if (o->dst == IR_M) return dst_may_be_m(o->op) ? use_m(s, o->size, writes_dst(o->op)) : "destination in memory";
    return o->dst == IR_T0 && read ? use_t0(s) : NULL;
}
static const char *check_a(const struct state *s, const struct ir_op *o)
{
    bool narrow = o->op == IR_MOVZX || o->op == IR_MOVSX || o->op == IR_CRC32;
    unsigned size = narrow ? o->cc : o->size;
    if (narrow && o->op != IR_CRC32 && size >= o->size) return "source size";
    if (narrow && size != 1 && size != 2 && size != 4 && size != 8) return "source size";
    if (o->a == IR_IMM) {
        if (!a_may_be_imm(o->op)) return "immediate source";
        if (o->op != IR_MOV && o->imm != (i32)o->imm) return "immediate of more than 32 bits";
        return NULL;
    }
    if (!is_reg(o->a) && o->a != IR_M) return "source";
    if (o->a >= 16 && o->a < 20 && size != 1) return "AH CH DH BH with another size than 1";
    if (o->a == IR_M) {
        if (!a_may_be_m(o->op)) return "source in memory";
        if (o->dst == IR_M) return "two memory operands";
        return use_m(s, size, false);
    }
    return o->a == IR_T0 ? use_t0(s) : NULL;
}
static const char *check_address(const struct ir_op *o)
{
    if (is_vec(o)) return NULL; // its address is a MEM's, ahead of it
    if (o->base > 15 && o->base != IR_NONE && o->base != IR_BASE && (o->op != IR_MEM || o->base != IR_T0))
        return "base";
    if (o->index > 15 && o->index != IR_NONE) return "index";
    if (o->index == 4) return "RSP as index";
    if (o->scale > 3 || (o->scale && o->index == IR_NONE)) return "scale";
    if (o->asz != 2 && o->asz != 4 && o->asz != 8) return "address size";
    if (o->seg > 5 && o->seg != IR_NONE) return "segment";
    return NULL;
}
static const char *check_imm(const struct ir_op *o)
{
    unsigned width = 8u * o->size;
    switch (o->op) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_ROR:
    case IR_RCL:
    case IR_RCR:
    case IR_SHLD:
    case IR_SHRD: return o->imm < 1 || o->imm >= width ? "shift count" : NULL;
    case IR_RORX: return o->imm < 0 || o->imm >= width ? "shift count" : NULL;
    case IR_MULX: return o->imm < 0 || o->imm > 15 ? "register of the high half" : NULL;
    case IR_IMUL3: return o->imm != (i32)o->imm ? "immediate of more than 32 bits" : NULL;
    case IR_RIP:
    case IR_JCC:
    case IR_JRCXZ:
    case IR_CALLTO:
    case IR_JMP: return o->imm != (i32)o->imm ? "target out of reach" : NULL;
    case IR_SETFL:
    case IR_CLRFL: return o->imm & IR_FL_ALL || o->imm != (u32)o->imm ? "arithmetic flags" : NULL;
    case IR_PUTFL: return (o->imm & IR_FL_ALL) != IR_FL_ALL || o->imm != (u32)o->imm ? "arithmetic flags" : NULL;
    case IR_MASK:
    case IR_BITS: return o->imm < 0 || o->imm != (i32)o->imm ? "immediate of more than 31 bits" : NULL;
    case IR_STADDR:
    case IR_STIMM:
    case IR_OFF:
    case IR_CHECK: return (o->imm & 0xffffffff) >= CPU_MOST ? "offset" : NULL;
    case IR_LDCPU:
    case IR_STCPU:
    case IR_SWCPU: return o->imm < 0 || o->imm >= CPU_MOST ? "offset" : NULL;
    default: return NULL;
    }
}
static const char *check_cc(const struct ir_op *o)
{
    if (o->op == IR_SHX)
        return o->cc != IR_SHL && o->cc != IR_SHR && o->cc != IR_SAR ? "kind of shift"
               : o->base > 15                                        ? "register of the count"
                                                                     : NULL;
    return o->cc > 15 ? "condition" : NULL;
}

static const char *check_operands(const struct state *s, const struct ir_op *o)
{
    const char *bad = NULL, *p = ir_facts[o->op].operands;
    if (!strpbrk(p, "dD") && !is_vec(o) && o->dst != IR_NONE) return "destination where there is none";
    if (!strchr(p, 'a') && !is_vec(o) && o->a != IR_NONE) return "source where there is none";
    for (; *p && !bad; p++) {
        switch (*p) {
        case 'd': bad = check_dst(s, o, false); break;
        case 'D': bad = check_dst(s, o, true); break;
        case 'a': bad = check_a(s, o); break;
        case 'm': bad = check_address(o); break;
        case 'i': bad = check_imm(o); break;
        default: bad = check_cc(o); break;
        }
    }
    if (bad) return bad;
    if (only_t0(o->op) && (o->dst == IR_NONE ? o->a : o->dst) != IR_T0) return "not IR_T0";
    if ((o->op == IR_BT || o->op == IR_BTS || o->op == IR_BTR || o->op == IR_BTC) && o->a == IR_IMM &&
        (o->imm < 0 || o->imm >= 8 * o->size))
        return "bit";
    if (o->op == IR_JRCXZ && (o->cc > 1 || (o->asz != 2 && o->asz != 4 && o->asz != 8))) return "counter";
    return NULL;
}

// Behind LOOKUP nothing may destroy what it found.
static bool goes_with_lookup(const struct ir_op *o)
{
    return o->op == IR_MOV || o->op == IR_LEA || o->op == IR_ADD || o->op == IR_SUB || o->op == IR_RIP ||
           o->op == IR_NOP || o->op == IR_GO || o->op == IR_CALLGO || o->op == IR_KEPT || o->op == IR_MASK ||
           o->op == IR_SETFL || o->op == IR_CLRFL || o->op == IR_LDCPU || o->op == IR_STCPU || o->op == IR_STIMM ||
           o->op == IR_STADDR;
}

static void step(struct state *s, const struct ir_op *o)
{
    const struct ir_fact *f = &ir_facts[o->op];
    if (o->op == IR_MEM) {
        s->m_size = o->size;
        s->m_acc = o->acc;
        if (s->t0 && !(o->acc & IR_T0LIVE)) s->t0 = false, s->t0_lost = true;
        return;
    }
    if (o->op == IR_CALL) s->called = true;
    if (o->op == IR_LOOKUP) s->looked_up = true;
    if (strpbrk(f->operands, "dD") && writes_dst(o->op)) {
        if (o->dst == IR_T0)
            s->t0 = true;
        else
            s->changed = true;
    }
    if (o->op == IR_CMPXCHG) s->t0 = s->t0_lost = false; // it has used it for itself
    if (writes_implied(o->op) || f->writes) s->changed = true;
}

static const char *check(const struct state *s, const struct ir_op *o)
{
    const struct ir_fact *f = &ir_facts[o->op];
    unsigned allowed = sizes(o->op);
    if (allowed && (!(o->size & allowed) || (o->size & (o->size - 1)))) return "size";
    if (o->op == IR_MEM && !o->size) return "size";
    if (o->op == IR_MEM && o->base == IR_T0 && use_t0(s)) return use_t0(s);
    if ((f->props & IR_EXIT) && s->changed) return "may leave for the interpreter after a change of state";
    if ((f->props & IR_EXIT) && s->looked_up) return "may leave for the interpreter between LOOKUP and GO";
    if (s->called && o->op != IR_LEAVE && o->op != IR_JMP && o->op != IR_NOP)
        return "operation behind the CALL of its instruction";
    if (o->op == IR_LEAVE && !s->called) return "LEAVE without CALL";
    if ((o->op == IR_GO || o->op == IR_CALLGO) && !s->looked_up) return "GO without LOOKUP";
    if (s->looked_up && !goes_with_lookup(o)) return "operation between LOOKUP and GO that may destroy what was found";
    return check_operands(s, o);
}

const char *ir_verify(const struct ir *b, u32 *at)
{
    struct state s = {.insn = 0};
    const char *bad = NULL;
    for (*at = 0; *at < b->n; ++*at) {
        const struct ir_op *o = &b->op[*at];
        if (o->op >= IR_COUNT) return "unknown operation";
        if (o->insn < s.insn) return "guest instructions out of order";
        if (o->insn > s.insn) {
            if (s.looked_up) return "LOOKUP without GO";
            s = (struct state){.insn = o->insn};
        }
        bad = check(&s, o);
        if (bad) return bad;
        step(&s, o);
        if ((ir_facts[o->op].props & IR_END) && *at + 1 < b->n) {
            ++*at;
            return "operation behind the end of the block";
        }
    }
    if (!b->n || !(ir_facts[b->op[b->n - 1].op].props & IR_END)) return "block without an end";
    return NULL;
}
