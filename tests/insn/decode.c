// SPDX-License-Identifier: MIT
// The decoder against capstone: the one-, two- and three-byte opcode space × ModRM × 16-, 32- and 64-bit code ×
// prefixes, and VEX for the general registers: same validity, length, mnemonic, operands (register, base, index, scale,
// displacement, segment, immediate, size). All features are on. Differences that are capstone's affair, or that the
// manuals leave to the vendor, stand in `excuses` with their reason. Left out: EVEX, which neither side is asked.
//   decode                 the whole comparison; QUICK=1: a part of ModRM only, ALL=1: every difference
//   decode 64 480fc7c8     both decodings of these bytes
#include "tests/check.h"
#ifdef CONFIG_CAPSTONE
#include <capstone/capstone.h>
#include <ctype.h>
#include <fnmatch.h>
#include "cpu/decode.h"
#include "mem/base/bits.h"

enum { CODE_AT = 0x1000 }; // where the instruction stands, for branch targets
static const char *const cc_name[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                        "s", "ns", "p", "np", "l", "ge", "le", "g"};

// ---- operands in a form that both sides can be brought to
enum kind { K_REG, K_IMM, K_MEM };
enum reg_class { C_NONE, C_R8, C_R16, C_R32, C_R64, C_SEG, C_CR, C_DR, C_ST, C_MM, C_XMM, C_YMM, C_IP, C_ZERO };
#define REG(class, n) ((class) << 8 | (n))
struct operand {
    enum kind kind;
    unsigned size; // bytes, 0 not known
    u64 v;         // register or immediate
    unsigned base, index, scale, seg;
    u64 disp;
};
struct operands {
    unsigned n;
    struct operand o[5];
};
static unsigned gpr(unsigned n, unsigned size)
{
    return size == 1 ? REG(C_R8, n) : size == 2 ? REG(C_R16, n) : size == 4 ? REG(C_R32, n) : REG(C_R64, n);
}
static u64 cut(u64 v, unsigned size) { return size >= 8 || !size ? v : v & ((1ull << 8 * size) - 1); }

// Bytes of an operand code's size letters.
static unsigned letters_size(const char *l, size_t n, const struct insn *i)
{
    static const struct {
        const char *l;
        unsigned size;
    } fixed[] = {{"b", 1},   {"w", 2},   {"d", 4},  {"q", 8},  {"t", 10}, {"dq", 16},
                 {"ps", 16}, {"pd", 16}, {"ss", 4}, {"sd", 8}, {"pi", 8}};
    for (unsigned k = 0; k < ARRAY_LEN(fixed); k++)
        if (n == strlen(fixed[k].l) && !memcmp(l, fixed[k].l, n)) return fixed[k].size;
    if (n != 1) return 0;
    switch (*l) {
    case 'v': return i->osz;
    case 'z': return i->osz == 2 ? 2 : 4;
    case 'y': return i->osz == 8 ? 8 : 4;
    case 'a': return 2 * i->osz;
    case 'p': return i->osz + 2;
    default: return 0;
    }
}
static void put_reg(struct operands *s, unsigned r, unsigned size)
{
    s->o[s->n++] = (struct operand){.kind = K_REG, .v = r, .size = size};
}
static void put_imm(struct operands *s, u64 v, unsigned size)
{
    s->o[s->n++] = (struct operand){.kind = K_IMM, .v = cut(v, size), .size = size};
}
static void put_mem(struct operands *s, const struct insn *i, unsigned base, unsigned index, u64 disp, unsigned seg,
                    unsigned size)
{
    struct operand o = {.kind = K_MEM, .size = size, .disp = cut(disp, i->asz), .seg = seg};
    if (base == R_RIP)
        o.base = REG(C_IP, 0);
    else if (base != R_ZERO)
        o.base = gpr(base, i->asz);
    if (index != R_ZERO) o.index = gpr(index, i->asz), o.scale = 1u << i->scale;
    s->o[s->n++] = o;
}
// The register or memory operand of ModRM, of class vec or general.
static void put_rm(struct operands *s, const struct insn *i, unsigned class, unsigned size)
{
    // Selectors and the machine status word are stored as 16 bits whatever the operand size (SDM vol. 2: MOV, SLDT,
    // STR, SMSW).
    if (i->is_mem && (i->op == OP_MOV_EvSw || i->op == OP_SLDT_Ev || i->op == OP_STR_Ev || i->op == OP_SMSW_Ev))
        size = 2;
    if (i->is_mem)
        put_mem(s, i, i->base, i->index, (u64)(i64)i->disp, i->pfx & PFX_SEG ? i->seg : 99, size);
    else
        put_reg(s, class ? REG(class, i->rm) : gpr(i->rm, size), size);
}
static void put_fixed(struct operands *s, const char *t, size_t n, const struct insn *i)
{
    static const struct {
        const char *name;
        unsigned reg;
    } r[] = {{"AL", REG(C_R8, 0)},  {"CL", REG(C_R8, 1)},  {"DX", REG(C_R16, 2)}, {"AX", REG(C_R16, 0)},
             {"ES", REG(C_SEG, 0)}, {"CS", REG(C_SEG, 1)}, {"SS", REG(C_SEG, 2)}, {"DS", REG(C_SEG, 3)},
             {"FS", REG(C_SEG, 4)}, {"GS", REG(C_SEG, 5)}, {"ST0", REG(C_ST, 0)}, {"<XMM0>", REG(C_XMM, 0)}};
    for (unsigned k = 0; k < ARRAY_LEN(r); k++)
        if (n == strlen(r[k].name) && !memcmp(t, r[k].name, n)) return put_reg(s, r[k].reg, 0);
    if (n == 3 && !memcmp(t + 1, "AX", 2)) return put_reg(s, gpr(0, *t == 'e' && i->osz == 8 ? 4 : i->osz), 0);
    if (n == 3 && !memcmp(t, "STi", 3)) return put_reg(s, REG(C_ST, i->modrm & 7), 0);
    if (n == 1 && *t == '1') return put_imm(s, 1, 1);
    printf("not ok decode_operand_code: %.*s\n", (int)n, t);
    exit(1);
}
static void put_code(struct operands *s, const char *t, size_t n, const struct insn *i)
{
    unsigned size = letters_size(t + 1, n - 1, i), seg = i->pfx & PFX_SEG ? i->seg : 99;
    unsigned near = (insn_rows[i->op].attr & A_F64) ? (i->osz == 2 ? 2 : i->osz) : i->osz;
    if ((isupper((unsigned char)t[1]) && *t != 's') || *t == '<' || isdigit((unsigned char)*t) ||
        !strncmp(t, "rAX", 3) || !strncmp(t, "eAX", 3))
        return put_fixed(s, t, n, i);
    switch (*t) {
    case 'E':
    case 'M': put_rm(s, i, 0, size); break;
    case 'R': put_reg(s, gpr(i->rm, t[1] == 'd' ? (i->osz == 8 ? 8 : 4) : size), 0); break;
    case 'G': put_reg(s, gpr(i->reg, size), 0); break;
    case 'Z': put_reg(s, gpr(i->rm, size), 0); break;
    case 'B': put_reg(s, gpr(i->vvvv, size), 0); break;
    case 'S': put_reg(s, REG(C_SEG, i->reg), 0); break;
    case 'C': put_reg(s, REG(C_CR, i->reg), 0); break;
    case 'D': put_reg(s, REG(C_DR, i->reg), 0); break;
    case 'V': put_reg(s, REG(C_XMM, i->reg), 0); break;
    case 'P': put_reg(s, REG(C_MM, i->reg), 0); break;
    case 'W':
    case 'U': put_rm(s, i, C_XMM, size); break;
    case 'Q':
    case 'N': put_rm(s, i, C_MM, size); break;
    case 's': put_imm(s, i->imm, i->osz); break;
    case 'I':
        // ENTER's second immediate lies in the upper half.
        if (t[1] == 'b' && t > insn_rows[i->op].operands && !strcmp(insn_rows[i->op].operands, "Iw,Ib"))
            put_imm(s, i->imm >> 32, 1);
        else
            put_imm(s, i->imm, t[1] == 'z' && i->osz == 8 ? 8 : size);
        break;
    case 'J': put_imm(s, CODE_AT + i->len + i->imm, near); break;
    case 'A':
        put_imm(s, i->imm >> 32, 2);
        put_imm(s, (u32)i->imm, i->osz);
        break;
    case 'O': put_mem(s, i, R_ZERO, R_ZERO, i->imm, seg, size); break;
    case 'X': put_mem(s, i, R_RSI, R_ZERO, 0, seg, size); break;
    case 'Y': put_mem(s, i, R_RDI, R_ZERO, 0, S_ES, size); break;
    default: put_fixed(s, t, n, i);
    }
}
static struct operands ours(const struct insn *i)
{
    struct operands s = {0};
    for (const char *t = insn_rows[i->op].operands; *t; t += strcspn(t, ","), t += *t == ',')
        put_code(&s, t, strcspn(t, ","), i);
    return s;
}

// ---- capstone's side
static unsigned reg_of[X86_REG_ENDING];
static void learn_registers(csh h)
{
    static const char *const r8[] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char *const hi[] = {"ah", "ch", "dh", "bh"};
    static const char *const r16[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const sg[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned r = 1; r < X86_REG_ENDING; r++) {
        const char *n = cs_reg_name(h, r);
        unsigned v = 0, k;
        char tail[4] = "";
        if (!n) continue;
        for (k = 0; k < 8; k++) {
            if (!strcmp(n, r8[k])) v = REG(C_R8, k);
            if (!strcmp(n, r16[k])) v = REG(C_R16, k);
            if (n[0] == 'e' && !strcmp(n + 1, r16[k])) v = REG(C_R32, k);
            if (n[0] == 'r' && !strcmp(n + 1, r16[k])) v = REG(C_R64, k);
            if (k < 4 && !strcmp(n, hi[k])) v = REG(C_R8, 16 + k);
            if (k < 6 && !strcmp(n, sg[k])) v = REG(C_SEG, k);
        }
        if (!v && n[0] == 'r' && sscanf(n + 1, "%u%3s", &k, tail) >= 1)
            v = gpr(k, !*tail ? 8 : *tail == 'd' ? 4 : *tail == 'w' ? 2 : 1);
        if (sscanf(n, "cr%u", &k) == 1) v = REG(C_CR, k);
        if (sscanf(n, "dr%u", &k) == 1) v = REG(C_DR, k);
        if (sscanf(n, "mm%u", &k) == 1) v = REG(C_MM, k);
        if (sscanf(n, "xmm%u", &k) == 1) v = REG(C_XMM, k);
        if (sscanf(n, "ymm%u", &k) == 1) v = REG(C_YMM, k);
        if (sscanf(n, "st(%u", &k) == 1) v = REG(C_ST, k);
        if (!strcmp(n, "st")) v = REG(C_ST, 0);
        if (!strcmp(n, "rip") || !strcmp(n, "eip")) v = REG(C_IP, 0);
        if (!strcmp(n, "riz") || !strcmp(n, "eiz")) v = 0;
        reg_of[r] = v;
    }
}
static struct operands theirs(const cs_insn *ci)
{
    const cs_x86 *x = &ci->detail->x86;
    struct operands s = {0};
    for (unsigned k = 0; k < x->op_count && k < ARRAY_LEN(s.o); k++) {
        const cs_x86_op *p = &x->operands[k];
        struct operand *o = &s.o[s.n++];
        o->size = p->size;
        if (p->type == X86_OP_REG) {
            o->kind = K_REG, o->v = reg_of[p->reg];
        } else if (p->type == X86_OP_IMM) {
            o->kind = K_IMM, o->v = (u64)p->imm;
        } else {
            o->kind = K_MEM;
            o->base = reg_of[p->mem.base];
            o->index = reg_of[p->mem.index];
            o->scale = o->index ? (unsigned)p->mem.scale : 0;
            o->seg = p->mem.segment ? reg_of[p->mem.segment] & 255 : 99;
            o->disp = cut((u64)p->mem.disp, x->addr_size);
        }
    }
    return s;
}
// What differs: a word, or NULL.
static const char *operands_differ(const struct operands *a, const struct operands *b)
{
    if (a->n != b->n) return "number of operands";
    for (unsigned k = 0; k < a->n; k++) {
        const struct operand *p = &a->o[k], *q = &b->o[k];
        if (p->kind != q->kind) return "kind of operand";
        if (p->kind == K_REG && p->v != q->v) {
            bool gprs = p->v >> 8 <= C_R64 && q->v >> 8 <= C_R64;
            return gprs && (p->v & 255) == (q->v & 255) ? "width of a register" : "register";
        }
        if (p->kind == K_IMM && p->v != cut(q->v, p->size)) return "immediate";
        if (p->kind != K_MEM) continue;
        if (p->base != q->base || p->index != q->index || p->scale != q->scale) return "address";
        if (p->disp != q->disp) return "displacement";
        // Segments that count for nothing in 64-bit code are not named there.
        if (p->seg != q->seg && !(p->seg == 99 && q->seg == S_DS) && !(p->seg == S_ES && q->seg == 99))
            return "segment";
        if (p->size && q->size && p->size != q->size) return "access size";
    }
    return NULL;
}

// ---- explained differences
enum { ANY_MODE = 7, M16 = 1, M32 = 2, M64 = 4 };
struct excuse {
    const char *row, *cap; // fnmatch patterns: our row, or UD; capstone's mnemonic, or UD
    const char *what;      // pattern of the kind of difference
    unsigned modes;
    const char *reason;
};
#include "tests/insn/decode_excuses.h"
static u64 excused[ARRAY_LEN(excuses)];
static bool excuse(const char *row, const char *cap, const char *what, unsigned mode)
{
    for (unsigned k = 0; k < ARRAY_LEN(excuses); k++) {
        const struct excuse *x = &excuses[k];
        if (x->modes >> mode & 1 && !fnmatch(x->row, row, FNM_EXTMATCH) && !fnmatch(x->cap, cap, FNM_EXTMATCH) &&
            !fnmatch(x->what, what, FNM_EXTMATCH)) {
            excused[k]++;
            return true;
        }
    }
    return false;
}

// ---- the comparison
static struct decoder *dec;
static csh handle[3];
static cs_insn *cap[6]; // the answer, and those to the same question put otherwise
static u64 encodings, valid, differences;
static u32 row_cases[OP_COUNT], row_bad[OP_COUNT];
static char row_why[OP_COUNT][400];

static void our_mnemonic(const struct insn *i, char *to)
{
    const struct insn_row *row = &insn_rows[i->op];
    strcpy(to, row->mnemonic);
    char *q = strstr(to, "cc");
    if (q && strstr(row->opcode, "+cc")) strcpy(q, cc_name[i->cc]);
}
// Capstone writes sizes into some names and conditions of CMPPS into others.
static bool same_mnemonic(const struct insn *i, const char *mine, const cs_insn *ci)
{
    const char *m = ci->mnemonic, *sp = strrchr(m, ' ');
    static const char *const also[][2] = {{"ins", "insw"},
                                          {"ins", "insd"},
                                          {"outs", "outsw"},
                                          {"outs", "outsd"},
                                          {"movs", "movsw"},
                                          {"movs", "movsd"},
                                          {"movs", "movsq"},
                                          {"cmps", "cmpsw"},
                                          {"cmps", "cmpsd"},
                                          {"cmps", "cmpsq"},
                                          {"stos", "stosw"},
                                          {"stos", "stosd"},
                                          {"stos", "stosq"},
                                          {"lods", "lodsw"},
                                          {"lods", "lodsd"},
                                          {"lods", "lodsq"},
                                          {"scas", "scasw"},
                                          {"scas", "scasd"},
                                          {"scas", "scasq"},
                                          {"cbw", "cwde"},
                                          {"cbw", "cdqe"},
                                          {"cwd", "cdq"},
                                          {"cwd", "cqo"},
                                          {"pushf", "pushfd"},
                                          {"pushf", "pushfq"},
                                          {"popf", "popfd"},
                                          {"popf", "popfq"},
                                          {"iret", "iretd"},
                                          {"iret", "iretq"},
                                          {"pusha", "pushaw"},
                                          {"pusha", "pushal"},
                                          {"popa", "popaw"},
                                          {"popa", "popal"},
                                          {"jcxz", "jecxz"},
                                          {"jcxz", "jrcxz"},
                                          {"callf", "lcall"},
                                          {"jmpf", "ljmp"},
                                          {"retf", "retfq"},
                                          {"mov", "movabs"},
                                          {"xlat", "xlatb"},
                                          {"fwait", "wait"},
                                          {"fneni", "feni8087_nop"},
                                          {"fndisi", "fdisi8087_nop"},
                                          {"fcompp", "fcompp"},
                                          {"fcomi", "fcompi"},
                                          {"fucomip", "fucompi"},
                                          {"fcomip", "fcompi"},
                                          {"sysret", "sysretq"},
                                          {"sysexit", "sysexitq"},
                                          {"fxsave", "fxsave64"},
                                          {"fxrstor", "fxrstor64"},
                                          {"xsave", "xsave64"},
                                          {"xrstor", "xrstor64"},
                                          {"xsaveopt", "xsaveopt64"},
                                          {"int1", "int1"},
                                          {"loopne", "loopne"},
                                          {"shl", "sal"},
                                          {"ud2", "ud2"},
                                          {"prefetch", "prefetchnta"},
                                          {"prefetch", "prefetcht0"},
                                          {"prefetch", "prefetcht1"},
                                          {"prefetch", "prefetcht2"},
                                          {"prefetch", "nop"},
                                          {"prefetchw", "prefetch"},
                                          {"movq", "movd"},
                                          {"pushf", "pushfw"},
                                          {"sgdt", "sgdt"}};
    if (sp) m = sp + 1;
    if (!strcmp(m, mine)) return true;
    size_t n = strlen(m);
    if ((insn_rows[i->op].attr & A_SSE) && !strncmp(mine, "cmp", 3) && !strncmp(m, "cmp", 3) && n > 5 &&
        !strcmp(m + n - 2, mine + 3))
        return true;
    for (unsigned k = 0; k < ARRAY_LEN(also); k++)
        if (!strcmp(also[k][0], mine) && !strcmp(also[k][1], m)) return true;
    return false;
}
static void drop(struct operands *s, const struct insn *i)
{
    const struct insn_row *row = &insn_rows[i->op];
    bool cmp = !strncmp(row->mnemonic, "cmp", 3) && (row->attr & A_SSE);
    unsigned n = 0;
    for (unsigned k = 0; k < s->n; k++) {
        const struct operand *o = &s->o[k];
        if ((row->attr & A_FPU) && o->kind == K_REG && o->v == REG(C_ST, 0)) continue;
        if (strstr(row->operands, "<XMM0>") && k == 2) continue;
        if (cmp && o->kind == K_IMM) continue;
        s->o[n++] = *o;
    }
    s->n = n;
}
static bool legacy(u8 b, unsigned mode)
{
    return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x64 || b == 0x65 ||
           (b & 0xe7) == 0x26;
}
static void hex(const u8 *b, unsigned n, char *to)
{
    for (unsigned k = 0; k < n; k++) sprintf(to + 2 * k, "%02x", b[k]);
}
static void differ(unsigned mode, const u8 *b, const struct insn *i, bool ok, const cs_insn *ci, bool c,
                   const char *what)
{
    const char *row = ok ? insn_rows[i->op].name : "UD", *cm = c ? ci->mnemonic : "UD";
    if (excuse(row, cm, what, mode)) return;
    unsigned op = ok ? i->op : 0;
    differences++;
    char h[40], line[400];
    hex(b, ok && (!c || i->len > ci->size) ? i->len : c ? ci->size : 6, h);
    snprintf(line, sizeof line, "decode %d %s: %s: ours %s len %d, capstone %s %s len %d", 16 << mode, h, what, row,
             ok ? i->len : 0, cm, c ? ci->op_str : "", c ? ci->size : 0);
    if (!row_bad[op]++) snprintf(row_why[op], sizeof row_why[op], "%s", line);
    if (getenv("ALL")) printf("# %s\n", line);
}
// What differs between our decoding and capstone's of the same instruction, `extra` bytes longer there; NULL: nothing.
static const char *judge(const struct insn *i, bool ok, bool c, const cs_insn *ci, int extra)
{
    if (!ok && !c) return NULL;
    if (ok != c) return "validity";
    if (ci->size != i->len + extra) return "length";
    char name[40];
    our_mnemonic(i, name);
    if (!same_mnemonic(i, name, ci)) return "mnemonic";
    struct operands x = ours(i), y = theirs(ci);
    // Explicit or not is a matter of taste: ST0, the mask in XMM0, CMPPS's predicate, XCHG's order.
    drop(&x, i), drop(&y, i);
    for (unsigned k = 0; k < y.n; k++) // branch targets that were counted from a longer or shorter instruction
        if (y.o[k].kind == K_IMM && strchr(insn_rows[i->op].operands, 'J')) y.o[k].v -= (u64)extra;
    if (i->op == OP_XCHG_ZvrAX && x.n == 2 && y.n == 2 && x.o[0].v == y.o[1].v && x.o[1].v == y.o[0].v) return NULL;
    return operands_differ(&x, &y);
}
// Capstone is asked again in other, equivalent spellings, since its answer depends on the order of legacy prefixes
// (which is free: SDM vol. 2 2.1.1), and since in 16-bit code it takes 66 for the operand size only, not for a
// mandatory prefix: 16-bit code is 32-bit code with 67 toggled, and 66 too where it is the operand size.
static bool same_otherwise(unsigned mode, const u8 *b, const struct insn *i, bool ok)
{
    u8 pre[6], v[40];
    unsigned n = 0, body;
    for (body = 0; body < 6 && legacy(b[body], mode); body++) pre[n++] = b[body];
    for (unsigned way = 0; way < (mode == MODE_16 ? 3 : 1); way++) {
        u8 q[8];
        unsigned nq = 0;
        bool has66 = false, has67 = false;
        for (unsigned k = 0; k < n; k++) {
            has66 |= pre[k] == 0x66, has67 |= pre[k] == 0x67;
            if (!way || (pre[k] != 0x67 && (way == 2 || pre[k] != 0x66))) q[nq++] = pre[k];
        }
        if (way && !has67) q[nq++] = 0x67;
        if (way == 1 && !has66) q[nq++] = 0x66;
        for (unsigned turn = 0; turn < nq * (nq > 1 ? 2 : 1) || turn == 0; turn++) { // rotations, forth and back
            for (unsigned k = 0; k < nq; k++) v[k] = q[turn < nq ? (k + turn) % nq : (2 * nq - k + turn) % nq];
            memcpy(v + nq, b + body, 15);
            unsigned at = way ? MODE_32 : mode;
            const u8 *p = v;
            size_t left = 15;
            uint64_t pc = CODE_AT;
            bool c = cs_disasm_iter(handle[at], &p, &left, &pc, cap[3 + at]);
            const char *w = judge(i, ok, c, cap[3 + at], (int)nq - (int)body);
            if (!w || (ok && c && excuse(insn_rows[i->op].name, cap[3 + at]->mnemonic, w, at))) return true;
        }
    }
    return false;
}
// Ours is #UD because of a prefix that the row forbids (NP in the manual, LOCK without LOCK form); capstone passes over
// it.
static bool prefix_forbidden(unsigned mode, const u8 *b, const cs_insn *ci)
{
    unsigned n = 0;
    while (n < 6 && legacy(b[n], mode)) n++;
    for (unsigned which = 1; which < 8; which++) { // 1: F2 F3, 2: 66, 4: F0
        u8 v[32];
        unsigned k = 0;
        for (unsigned j = 0; j < n; j++) {
            unsigned bit = b[j] == 0xf2 || b[j] == 0xf3 ? 1 : b[j] == 0x66 ? 2 : b[j] == 0xf0 ? 4 : 0;
            if (!(bit & which)) v[k++] = b[j];
        }
        if (k == n) continue;
        memcpy(v + k, b + n, 15);
        struct insn i;
        char name[40];
        if (decode(dec, v, 15, mode, &i) != DECODE_OK) continue;
        our_mnemonic(&i, name);
        if (same_mnemonic(&i, name, ci)) return true;
    }
    return false;
}
static u64 forbidden;
static void compare(unsigned mode, const u8 *b)
{
    struct insn i;
    bool ok = decode(dec, b, 15, mode, &i) == DECODE_OK;
    const u8 *p = b;
    size_t left = 15;
    uint64_t at = CODE_AT;
    cs_insn *ci = cap[mode];
    bool c = cs_disasm_iter(handle[mode], &p, &left, &at, ci);
    encodings++;
    valid += ok && c;
    if (ok) row_cases[i.op]++;
    const char *what = judge(&i, ok, c, ci, 0);
    if (!what) return;
    if (ok && same_otherwise(mode, b, &i, ok)) return;
    if (!ok && prefix_forbidden(mode, b, ci)) {
        forbidden++;
        return;
    }
    differ(mode, b, &i, ok, ci, c, what);
}

// One-byte opcodes without a ModRM byte (SDM vol. 2 table A-2): few second bytes say all.
static bool no_modrm(unsigned op)
{
    if (op < 0x40) return (op & 7) >= 4;
    if (op < 0x62) return true;
    if (op < 0x80) return op != 0x62 && op != 0x63 && op != 0x69 && op != 0x6b;
    if (op < 0x90) return false;
    if (op < 0xc0) return true;
    return op == 0xc2 || op == 0xc3 || (op >= 0xc8 && op < 0xd0) || (op >= 0xd4 && op < 0xd8) ||
           (op >= 0xe0 && op < 0xf6) || (op >= 0xf8 && op < 0xfe);
}
static bool is_prefix(unsigned op, unsigned mode)
{
    return op == 0x0f || (op & 0xe7) == 0x26 || (op >= 0x64 && op <= 0x67) || op == 0xf0 || op == 0xf2 || op == 0xf3 ||
           (mode == MODE_64 && (op & 0xf0) == 0x40) || op == 0xc4 || op == 0xc5 || op == 0x62 || op == 0x8f;
}
static u32 lcg = 1;
static u8 filler(void) { return (lcg = lcg * 1664525 + 1013904223) >> 24; }
static void space(unsigned mode, const u8 *pre, unsigned npre, unsigned step)
{
    for (unsigned map = 0; map < 4; map++)
        for (unsigned op = 0; op < 256; op++) {
            // C4, C5, 62, 8F with ModRM of memory are LES, LDS, BOUND, POP in legacy code; VEX has its own turn.
            bool split = op == 0xc4 || op == 0xc5 || op == 0x62;
            if (!map && is_prefix(op, mode) && !(split && mode != MODE_64) && op != 0x8f) continue;
            if (map == 1 && (op == 0x38 || op == 0x3a)) continue;
            unsigned by = !map && no_modrm(op)                                ? 67
                          : map == 1 && (op == 1 || op == 0xae || op == 0xc7) ? 1 // rows that are one ModRM byte
                                                                              : step;
            for (unsigned m = by > 1 ? filler() % by : 0; m < 256; m += by) {
                if (!map && split && m >= 0xc0) continue;
                if (!map && op == 0x8f && (m & 0x38)) continue; // XOP
                u8 b[32];
                unsigned n = npre;
                memcpy(b, pre, npre);
                if (map) b[n++] = 0x0f;
                if (map > 1) b[n++] = map == 2 ? 0x38 : 0x3a;
                b[n++] = op, b[n++] = m;
                while (n < 16) b[n++] = filler();
                compare(mode, b);
            }
        }
}
static void vex_space(unsigned mode)
{
    for (unsigned map = 1; map <= 3; map++)
        for (unsigned op = 0; op < 256; op++)
            for (unsigned k = 0; k < (map > 1 && op >= 0xf0 ? 1024u : 64u); k++) { // pp, L, W; the rest by chance
                u8 b[16] = {0xc4, (filler() & 0xe0) | map, (k & 7) | (k >> 3 & 1) << 7 | (filler() & 0x78), op};
                if (mode != MODE_64) b[1] |= 0xc0;
                if (k & 16) b[2] |= 0x78;
                for (unsigned n = 4; n < 16; n++) b[n] = filler();
                compare(mode, b);
            }
}
static void show(unsigned mode, const char *h)
{
    u8 b[16] = {0};
    for (unsigned n = 0; n < 15 && h[0] && h[1]; n++, h += 2) {
        unsigned v = 0;
        sscanf(h, "%2x", &v);
        b[n] = v;
    }
    struct insn i;
    enum decode_status s = decode(dec, b, 15, mode, &i);
    printf("doppel:   %s len %d osz %d asz %d reg %d rm %d mem %d base %d index %d*%d disp %x seg %d imm %" PRIx64 "\n",
           s == DECODE_OK ? insn_rows[i.op].name : "UD", i.len, i.osz, i.asz, i.reg, i.rm, i.is_mem, i.base, i.index,
           1 << i.scale, (u32)i.disp, i.seg, i.imm);
    const u8 *p = b;
    size_t left = 15;
    uint64_t at = CODE_AT;
    if (cs_disasm_iter(handle[mode], &p, &left, &at, cap[mode]))
        printf("capstone: %s %s len %d\n", cap[mode]->mnemonic, cap[mode]->op_str, cap[mode]->size);
    else
        printf("capstone: invalid\n");
    compare(mode, b);
    for (unsigned op = 0; op < OP_COUNT; op++)
        if (row_bad[op]) printf("%s\n", row_why[op]);
    for (unsigned k = 0; k < ARRAY_LEN(excuses); k++)
        if (excused[k]) printf("explained: %s\n", excuses[k].reason);
}
static void run_all(void)
{
    static const struct {
        u8 n, b[3], modes;
        bool core;
    } pre[] = {{0, {0}, ANY_MODE, true},
               {1, {0x66}, ANY_MODE, true},
               {1, {0xf2}, ANY_MODE, true},
               {1, {0xf3}, ANY_MODE, true},
               {1, {0x67}, ANY_MODE, false},
               {1, {0x64}, ANY_MODE, false},
               {1, {0x26}, M16 | M32, false},
               {1, {0xf0}, ANY_MODE, false},
               {2, {0x66, 0x67}, ANY_MODE, false},
               {2, {0x66, 0xf2}, ANY_MODE, false},
               {2, {0x66, 0xf3}, ANY_MODE, false},
               {1, {0x48}, M64, true},
               {1, {0x41}, M64, false},
               {1, {0x42}, M64, false},
               {1, {0x44}, M64, false},
               {2, {0x66, 0x48}, M64, false},
               {2, {0xf2, 0x48}, M64, false},
               {2, {0xf3, 0x4d}, M64, false},
               {2, {0xf0, 0x49}, M64, false}};
    bool full = !getenv("QUICK");
    for (unsigned mode = 0; mode < 3; mode++) {
        for (unsigned k = 0; k < ARRAY_LEN(pre); k++)
            if (pre[k].modes >> mode & 1) space(mode, pre[k].b, pre[k].n, full ? 1 : pre[k].core ? 3 : 11);
        vex_space(mode);
    }
}

int main(int argc, char **argv)
{
    u64 feat[8];
    memset(feat, 0xff, sizeof feat);
    dec = decoder_new(feat);
    for (unsigned m = 0; m < 3; m++) {
        if (cs_open(CS_ARCH_X86, m == 0 ? CS_MODE_16 : m == 1 ? CS_MODE_32 : CS_MODE_64, &handle[m]) != CS_ERR_OK) {
            printf("skip decode: capstone does not open\n");
            return 0;
        }
        cs_option(handle[m], CS_OPT_DETAIL, CS_OPT_ON);
        cap[m] = cs_malloc(handle[m]);
        cap[3 + m] = cs_malloc(handle[m]);
    }
    learn_registers(handle[2]);
    if (argc > 2) {
        show(!strcmp(argv[1], "16") ? MODE_16 : !strcmp(argv[1], "32") ? MODE_32 : MODE_64, argv[2]);
        return 0;
    }
    run_all();
    unsigned bad = 0, rows = 0;
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (row_bad[op])
            bad++, printf("not ok decode_%s: %u of %u: %s\n", op ? insn_rows[op].name : "UD", row_bad[op],
                          row_cases[op], row_why[op]);
        if (op && !row_cases[op]) bad++, printf("not ok decode_%s: never met\n", insn_rows[op].name);
        rows += op && row_cases[op];
        if (op && row_cases[op]) check_row(insn_rows[op].name);
    }
    for (unsigned k = 0; k < ARRAY_LEN(excuses); k++)
        printf("# %8" PRIu64 " explained: %s / %s: %s\n", excused[k], excuses[k].row, excuses[k].cap,
               excuses[k].reason);
    printf("# %8" PRIu64
           " explained: a prefix that the row forbids (NP in the manual, or LOCK): #UD here, passed over by capstone\n",
           forbidden);
    printf("# %" PRIu64 " encodings, %" PRIu64 " valid on both sides, %u rows, %" PRIu64 " unexplained differences\n",
           encodings, valid, rows, differences);
    if (!bad) printf("ok decode (%u rows)\n", rows);
    return bad ? 1 : 0;
}
#else
int main(void)
{
    printf("skip decode: built without capstone\n");
    return 0;
}
#endif
