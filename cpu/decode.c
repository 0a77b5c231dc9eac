// SPDX-License-Identifier: MIT
// The decoder. SDM vol. 2 chapter 2, appendix A. cpu/insn.def is read once per CPU model into buckets: a bucket holds
// the few rows that share map, opcode, ModRM.reg and memory-or-register; the first one that fits prefixes and mode
// wins. Left out: EVEX (62h in 64-bit code is #UD until AVX-512 is offered), XOP, 3DNow!.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"

enum { // the attribute column's words
    LOCK = A_LOCK,
    I64 = A_I64,
    O64 = A_O64,
    D64 = A_D64,
    F64 = A_F64,
    END = A_END,
    SYS = A_SYS,
    IO = A_IO,
    STR = A_STR,
    CPL0 = A_CPL0,
    REX_W0 = A_REX_W0,
    FPU = A_FPU,
    MMX = A_MMX,
    SSE = A_SSE,
    VEX = A_VEX,
    NOREAL = A_NOREAL,
    ALIGN = A_ALIGN,
    NDF = A_NDF
};
const struct insn_row insn_rows[OP_COUNT] = {
#define INSN(name, opcode, mnemonic, operands, feat, attr, reads, writes, undef)                                       \
    [OP_##name] = {#name, opcode, mnemonic, operands, FEAT_##feat, attr, reads, writes, undef},
#include "cpu/insn.def"
#undef INSN
};

enum { PP_NP, PP_66, PP_F3, PP_F2, PP_ANY };
enum { IMM_NONE, IMM_IB, IMM_SIB, IMM_IW, IMM_IZ, IMM_IV, IMM_JB, IMM_JZ, IMM_AP, IMM_O, IMM_IWIB, IMM_IBIB };
enum { // how operand letters use the fields
    F_REG8 = 1,
    F_RM8 = 2,
    F_REGMMX = 4,
    F_RMMMX = 8,
    F_SREG = 16,
    F_FORCE_REG = 32,
    F_VVVV = 64,
    F_OPREG = 128,
    F_CC = 256
};
// A row in the form that matching and the rest of decoding need.
struct pat {
    u16 op;
    u8 pp;
    i8 w;   // 0, 1, -1 any
    i16 rm; // whole ModRM byte, -1 any
    u8 imm;
    u8 vlen; // 0 any, 16, 32
    u16 use; // F_*
    u32 attr;
};
enum { NMAPS = 7 }; // 0-3: legacy one byte, 0F, 0F 38, 0F 3A; 4-6: VEX 0F, 0F38, 0F3A
#define NBUCKETS (NMAPS * 256 * 16)
struct decoder {
    struct pat *pats; // grouped by bucket
    u16 first[NBUCKETS + 1];
    u8 modrm[NMAPS][256];
};

// ---- reading the table

struct row_parse {
    struct pat p;
    int map, opcode, span; // span: opcodes that the row covers (+r 8, +cc 16)
    int mod, reg;          // mod: 0 memory only, 1 register only, -1 both; reg: -1 any
    bool modrm;
};

static bool has_operand(const char *list, const char *code)
{
    size_t n = strlen(code);
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == n && !memcmp(p, code, n)) return true;
    return false;
}

static void parse_operands(struct row_parse *r, const char *list)
{
    struct pat *p = &r->p;
    static const struct {
        const char *code;
        u8 imm;
    } imms[] = {{"Ib", IMM_IB}, {"sIb", IMM_SIB}, {"Iw", IMM_IW}, {"Iz", IMM_IZ}, {"Iv", IMM_IV},
                {"Jb", IMM_JB}, {"Jz", IMM_JZ},   {"Ap", IMM_AP}, {"Ob", IMM_O},  {"Ov", IMM_O}};
    for (unsigned k = 0; k < ARRAY_LEN(imms); k++)
        if (has_operand(list, imms[k].code)) p->imm = imms[k].imm;
    if (has_operand(list, "Iw") && has_operand(list, "Ib")) p->imm = IMM_IWIB;
    for (const char *q = list; *q; q += strcspn(q, ","), q += *q == ',') {
        switch (*q) {
        case 'E':
        case 'M':
        case 'W':
        case 'U':
            if (q[1] == 'S') break; // the register ES
            r->modrm = true;
            // PINSRB, PEXTRB: the low byte of any register, never AH-BH.
            if (q[0] == 'E' && q[1] == 'b' && !(p->attr & A_SSE)) p->use |= F_RM8;
            break;
        case 'Q':
        case 'N': r->modrm = true, p->use |= F_RMMMX; break;
        case 'P': r->modrm = true, p->use |= F_REGMMX; break;
        case 'V': r->modrm = true; break;
        case 'R': r->modrm = q[1] != 0 && q[1] != 'A'; break;
        case 'G':
            if (q[1] == 'S') break; // the register GS
            r->modrm = true;
            if (q[1] == 'b') p->use |= F_REG8;
            break;
        case 'S':
            if (q[1] == 'w') r->modrm = true, p->use |= F_SREG;
            if (!memcmp(q, "STi", 3)) r->modrm = true;
            break;
        case 'C':
        case 'D':
            if (q[1] == 'd') r->modrm = true, p->use |= F_FORCE_REG;
            break;
        case 'B':
            if (q[1] == 'y') p->use |= F_VVVV;
            break;
        case 'Z': p->use |= F_OPREG | (q[1] == 'b' ? F_RM8 : 0); break;
        default: break;
        }
    }
}

// "VEX.128.F3.0F38.W1"
static void parse_vex(struct row_parse *r, const char *tok)
{
    r->p.vlen = strstr(tok, ".128") ? 16 : strstr(tok, ".256") ? 32 : 0;
    r->p.pp = strstr(tok, ".66.") ? PP_66 : strstr(tok, ".F3.") ? PP_F3 : strstr(tok, ".F2.") ? PP_F2 : PP_NP;
    r->map = strstr(tok, ".0F3A") ? 6 : strstr(tok, ".0F38") ? 5 : 4;
    r->p.w = strstr(tok, ".W1") ? 1 : strstr(tok, ".W0") ? 0 : -1;
}

static void parse_opcode(struct row_parse *r, const char *s, const char *name)
{
    int nbytes = 0, bytes[4] = {0};
    while (*s) {
        char tok[40];
        size_t n = strcspn(s, " ");
        if (n >= sizeof tok) panic("insn.def %s: opcode", name);
        memcpy(tok, s, n), tok[n] = 0;
        s += n + (s[n] == ' ');
        char *plus = strchr(tok, '+');
        if (plus) *plus++ = 0;
        if (!strncmp(tok, "VEX.", 4))
            parse_vex(r, tok);
        else if (!strcmp(tok, "NP"))
            r->p.pp = PP_NP;
        else if (!strcmp(tok, "W0"))
            r->p.w = 0;
        else if (!strcmp(tok, "W1"))
            r->p.w = 1;
        else if (!strcmp(tok, "/r"))
            r->modrm = true;
        else if (!strcmp(tok, "mem"))
            r->mod = 0, r->modrm = true;
        else if (!strcmp(tok, "mod3"))
            r->mod = 1, r->modrm = true;
        else if (tok[0] == '/' && isdigit((u8)tok[1]))
            r->reg = tok[1] - '0', r->modrm = true;
        else if (strlen(tok) == 2 && isxdigit((u8)tok[0]) && isxdigit((u8)tok[1])) {
            int b = strtol(tok, NULL, 16);
            if (!nbytes && r->p.pp == PP_ANY && *s && (b == 0x66 || b == 0xf2 || b == 0xf3))
                r->p.pp = b == 0x66 ? PP_66 : b == 0xf3 ? PP_F3 : PP_F2;
            else if (nbytes < 4)
                bytes[nbytes++] = b;
        } else
            panic("insn.def %s: opcode token '%s'", name, tok);
        if (plus && !strcmp(plus, "cc"))
            r->span = 16, r->p.use |= F_CC;
        else if (plus && !strcmp(plus, "r"))
            r->span = 8;
    }
    int k = 0;
    if (!(r->p.attr & A_VEX) && bytes[0] == 0x0f && nbytes > 1) {
        r->map = 1, k = 1;
        if (nbytes > 2 && (bytes[1] == 0x38 || bytes[1] == 0x3a)) r->map = bytes[1] == 0x38 ? 2 : 3, k = 2;
    }
    r->opcode = bytes[k];
    if (k + 1 < nbytes) { // a ModRM byte spelled out
        r->p.rm = bytes[k + 1];
        r->modrm = true;
        r->mod = 1;
        r->reg = bytes[k + 1] >> 3 & 7;
    }
}

static struct row_parse parse_row(int op)
{
    const struct insn_row *row = &insn_rows[op];
    struct row_parse r = {
        .p = {.op = op, .pp = PP_ANY, .w = -1, .rm = -1, .attr = row->attr}, .span = 1, .mod = -1, .reg = -1};
    parse_operands(&r, row->operands);
    parse_opcode(&r, row->opcode, row->name);
    if (r.p.attr & A_REX_W0 && r.p.w < 0) r.p.attr |= A_REX_W0;
    return r;
}

static int weight(const struct pat *p)
{
    return (p->pp != PP_ANY) * 4 + (p->rm >= 0) * 8 + (p->w >= 0) * 2 + (p->vlen != 0);
}

// Calls back for every bucket that a row belongs to.
static void for_buckets(const struct row_parse *r, void (*fn)(void *, int bucket, const struct pat *), void *arg)
{
    for (int o = r->opcode; o < r->opcode + r->span; o++)
        for (int k = 0; k < 16; k++) {
            if (r->modrm && r->reg >= 0 && (k & 7) != r->reg) continue;
            if (r->modrm && r->mod >= 0 && (k >> 3) != r->mod) continue;
            fn(arg, (r->map * 256 + o) * 16 + k, &r->p);
        }
}

struct build {
    struct decoder *d;
    u16 *count;
};
static void count_cb(void *arg, int bucket, const struct pat *p) { ((struct build *)arg)->count[bucket]++; }
// Keeps a bucket's rows in order of falling weight; equal ones in table order.
static void place_cb(void *arg, int bucket, const struct pat *p)
{
    struct build *b = arg;
    struct pat *v = b->d->pats + b->d->first[bucket];
    int n = b->count[bucket]++;
    while (n > 0 && weight(&v[n - 1]) < weight(p)) v[n] = v[n - 1], n--;
    v[n] = *p;
}

struct decoder *decoder_new(const u64 *feat)
{
    struct decoder *d = xalloc(sizeof *d);
    struct build b = {d, xalloc(NBUCKETS * sizeof *b.count)};
    struct row_parse *rows = xalloc(OP_COUNT * sizeof *rows);
    int n = 0;
    for (int op = 1; op < OP_COUNT; op++) {
        unsigned f = insn_rows[op].feat;
        if (!(feat[f / 64] >> f % 64 & 1)) continue;
        rows[n] = parse_row(op);
        for (int k = 0; k < rows[n].span; k++) d->modrm[rows[n].map][rows[n].opcode + k] |= rows[n].modrm;
        for_buckets(&rows[n++], count_cb, &b);
    }
    u32 total = 0;
    for (int k = 0; k < NBUCKETS; k++) {
        d->first[k] = total;
        total += b.count[k];
        b.count[k] = 0;
    }
    if (total > 65535) panic("insn.def: too many encodings");
    d->first[NBUCKETS] = total;
    d->pats = xalloc(total * sizeof *d->pats);
    for (int k = 0; k < n; k++) for_buckets(&rows[k], place_cb, &b);
    free(rows);
    free(b.count);
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d) return;
    free(d->pats);
    free(d);
}

// ---- decoding

struct in {
    const u8 *p;
    unsigned n, at; // bytes at hand (at most 15), read so far
    bool over;      // wanted more than there are
};
static inline u8 next8(struct in *s)
{
    if (unlikely(s->at >= s->n)) {
        s->over = true;
        return 0;
    }
    return s->p[s->at++];
}
static inline u64 next_le(struct in *s, unsigned bytes)
{
    if (unlikely(s->at + bytes > s->n)) {
        s->over = true;
        return 0;
    }
    u64 v = ld_size(s->p + s->at, bytes);
    s->at += bytes;
    return v;
}

struct pre { // prefixes
    u8 pfx, rex, seg, pp;
    bool vex;
    u8 map, vvvv, vl;
};

static void read_prefixes(struct in *s, struct pre *x, unsigned code, u8 *opcode)
{
    for (;;) {
        u8 b = next8(s);
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (code != MODE_64) x->seg = b >> 3 & 3, x->pfx |= PFX_SEG;
            break;
        case 0x64:
        case 0x65: x->seg = b & 1 ? S_GS : S_FS, x->pfx |= PFX_SEG; break;
        case 0x66: x->pfx |= PFX_66; break;
        case 0x67: x->pfx |= PFX_67; break;
        case 0xf0: x->pfx |= PFX_LOCK; break;
        case 0xf2: x->pfx = (x->pfx & ~PFX_REP) | PFX_REPNE; break;
        case 0xf3: x->pfx = (x->pfx & ~PFX_REPNE) | PFX_REP; break;
        default:
            if (code == MODE_64 && (b & 0xf0) == 0x40) {
                x->rex = b; // counts only directly before the opcode
                if (s->over) return;
                continue;
            }
            *opcode = b;
            return;
        }
        x->rex = 0;
        if (s->over) return;
    }
}

// C4, C5: true if it is VEX (in 16- and 32-bit code only with what would be a register ModRM; else LES, LDS).
static bool read_vex(struct in *s, struct pre *x, unsigned code, u8 *opcode)
{
    if (*opcode != 0xc4 && *opcode != 0xc5) return false;
    if (s->at >= s->n) {
        s->over = true;
        return false;
    }
    if (code != MODE_64 && s->p[s->at] < 0xc0) return false;
    u8 b1 = next8(s), last = b1;
    x->map = 1;
    u8 rxb = ~b1 & 0x80;
    if (*opcode == 0xc4) {
        rxb = ~b1 & 0xe0;
        x->map = b1 & 31;
        last = next8(s);
        if (last & 0x80) rxb |= 1;
    }
    x->vex = true;
    x->rex = rxb >> 5 | (rxb & 1) << 3; // RXB in bits 2-0, W in bit 3
    if (code != MODE_64) x->rex &= 8;
    x->vvvv = ~(last >> 3) & (code == MODE_64 ? 15 : 7);
    x->vl = last & 4 ? 32 : 16;
    x->pp = last & 3;
    *opcode = next8(s);
    return true;
}

static void ea16(struct in *s, struct insn *i, unsigned mod, unsigned rm)
{
    static const u8 base[8] = {R_RBX, R_RBX, R_RBP, R_RBP, R_RSI, R_RDI, R_RBP, R_RBX};
    static const u8 index[8] = {R_RSI, R_RDI, R_RSI, R_RDI, R_ZERO, R_ZERO, R_ZERO, R_ZERO};
    i->base = base[rm];
    i->index = index[rm];
    if (mod == 0 && rm == 6) {
        i->base = R_ZERO;
        i->disp = (i16)next_le(s, 2);
    } else if (mod == 1) {
        i->disp = (i8)next8(s);
    } else if (mod == 2) {
        i->disp = (i16)next_le(s, 2);
    }
}

static void ea32(struct in *s, struct insn *i, unsigned mod, unsigned rm, unsigned rex, bool code64)
{
    i->base = rm | (rex & 1) << 3;
    if (rm == 4) {
        u8 sib = next8(s);
        unsigned x = (sib >> 3 & 7) | (rex & 2) << 2;
        i->base = (sib & 7) | (rex & 1) << 3;
        if (x != 4) i->index = x, i->scale = sib >> 6;
        if ((sib & 7) == 5 && mod == 0) {
            i->base = R_ZERO;
            i->disp = (i32)next_le(s, 4);
        }
    } else if (rm == 5 && mod == 0) {
        i->base = code64 ? R_RIP : R_ZERO;
        i->disp = (i32)next_le(s, 4);
    }
    if (mod == 1) i->disp = (i8)next8(s);
    if (mod == 2) i->disp = (i32)next_le(s, 4);
}

static void read_imm(struct in *s, struct insn *i, unsigned kind)
{
    switch (kind) {
    case IMM_IB: i->imm = next8(s); break;
    case IMM_SIB:
    case IMM_JB: i->imm = (u64)(i64)(i8)next8(s); break;
    case IMM_IW: i->imm = next_le(s, 2); break;
    case IMM_IZ:
    case IMM_JZ: i->imm = i->osz == 2 ? (u64)(i64)(i16)next_le(s, 2) : (u64)(i64)(i32)next_le(s, 4); break;
    case IMM_IV: i->imm = next_le(s, i->osz); break;
    case IMM_AP:
        i->imm = next_le(s, i->osz == 2 ? 2 : 4);
        i->imm |= next_le(s, 2) << 32;
        break;
    case IMM_O: i->imm = next_le(s, i->asz); break;
    case IMM_IWIB:
        i->imm = next_le(s, 2);
        i->imm |= (u64)next8(s) << 32;
        break;
    default: break;
    }
}

static void set_sizes(struct insn *i, const struct pre *x, const struct pat *p, unsigned code)
{
    bool p66 = (x->pfx & PFX_66) && p->pp != PP_66;
    bool w = (x->rex & 8) && !(p->attr & A_REX_W0);
    if (code == MODE_64) {
        i->osz = w ? 8 : p66 ? 2 : 4;
        if (p->attr & A_D64) i->osz = p66 && !w ? 2 : 8;
        if (p->attr & A_F64) i->osz = 8;
    } else {
        i->osz = (code == MODE_32) != p66 ? 4 : 2;
    }
}

static const struct pat *find(const struct decoder *d, const struct pre *x, unsigned map, u8 opcode, u8 modrm,
                              bool has_modrm, unsigned code)
{
    unsigned k = has_modrm ? (modrm >> 6 == 3 ? 8 : 0) + (modrm >> 3 & 7) : 0;
    unsigned bucket = (map * 256 + opcode) * 16 + k;
    for (const struct pat *p = d->pats + d->first[bucket], *end = d->pats + d->first[bucket + 1]; p < end; p++) {
        if (p->attr & (code == MODE_64 ? A_I64 : A_O64)) continue;
        if (p->pp != PP_ANY && p->pp != x->pp) continue;
        if (p->rm >= 0 && p->rm != modrm) continue;
        if (p->w >= 0 && p->w != (x->rex >> 3 & 1)) continue;
        if (x->vex && p->vlen && p->vlen != x->vl) continue;
        return p;
    }
    return NULL;
}

static void set_operands(struct in *s, struct insn *i, const struct pre *x, const struct pat *p, u8 modrm, u8 opcode,
                         bool has_modrm, unsigned code)
{
    unsigned rex = x->rex;
    i->base = i->index = R_ZERO;
    i->modrm = modrm;
    if (has_modrm) {
        unsigned mod = modrm >> 6, rm = modrm & 7;
        i->reg = (modrm >> 3 & 7) | (rex & 4) << 1;
        i->is_mem = mod != 3 && !(p->use & F_FORCE_REG);
        if (i->is_mem) {
            if (i->asz == 2)
                ea16(s, i, mod, rm);
            else
                ea32(s, i, mod, rm, rex, code == MODE_64);
            if (!(x->pfx & PFX_SEG)) i->seg = i->base == R_RSP || i->base == R_RBP ? S_SS : S_DS;
        } else {
            i->rm = rm | (rex & 1) << 3;
        }
        if (p->use & F_SREG) i->reg &= 7;
        if (p->use & F_REGMMX) i->reg &= 7;
        if (p->use & F_RMMMX) i->rm &= 7;
        if ((p->use & F_REG8) && !(rex & 0x40) && i->reg >= 4 && i->reg < 8) i->reg += 12;
    } else if (p->use & F_OPREG) {
        i->rm = (opcode & 7) | (rex & 1) << 3;
    }
    if ((p->use & F_RM8) && !i->is_mem && !(rex & 0x40) && i->rm >= 4 && i->rm < 8) i->rm += 12;
    if (p->use & F_CC) i->cc = opcode & 15;
}

enum decode_status decode(const struct decoder *d, const u8 *bytes, unsigned n, unsigned code, struct insn *i)
{
    struct in s = {bytes, n < 15 ? n : 15, 0, false};
    struct pre x = {.seg = S_DS};
    u8 opcode = 0, modrm = 0;
    memset(i, 0, sizeof *i);
    read_prefixes(&s, &x, code, &opcode);
    unsigned map = 0;
    if (read_vex(&s, &x, code, &opcode)) {
        if (x.map < 1 || x.map > 3 || (x.pfx & (PFX_LOCK | PFX_66 | PFX_REP | PFX_REPNE))) goto undefined;
        map = x.map + 3;
    } else {
        if (opcode == 0x0f) {
            opcode = next8(&s), map = 1;
            if (opcode == 0x38 || opcode == 0x3a) map = opcode == 0x38 ? 2 : 3, opcode = next8(&s);
        }
        x.pp = x.pfx & PFX_REP ? PP_F3 : x.pfx & PFX_REPNE ? PP_F2 : x.pfx & PFX_66 ? PP_66 : PP_NP;
    }
    bool has_modrm = d->modrm[map][opcode];
    if (has_modrm) modrm = next8(&s);
    if (s.over) goto more;
    const struct pat *p = find(d, &x, map, opcode, modrm, has_modrm, code);
    if (!p) goto undefined;
    // 90 with REX.B is XCHG, also behind F3: its row comes after PAUSE and NOP in this bucket.
    if (x.rex & 1)
        while (p->op == OP_PAUSE || p->op == OP_NOP) p++;
    i->op = p->op;
    i->pfx = x.pfx | (x.rex & 0x40 ? PFX_REX : 0) | (x.rex & 8 ? PFX_W : 0);
    i->asz = code == MODE_64 ? (x.pfx & PFX_67 ? 4 : 8) : (code == MODE_32) != !!(x.pfx & PFX_67) ? 4 : 2;
    i->ea_shift = 64 - 8 * i->asz;
    i->seg = x.seg;
    i->vl = x.vex ? x.vl : 16;
    i->vvvv = x.vvvv;
    set_sizes(i, &x, p, code);
    set_operands(&s, i, &x, p, modrm, opcode, has_modrm, code);
    read_imm(&s, i, p->imm);
    if (s.over) goto more;
    i->len = s.at;
    if (p->attr & A_FPU) i->imm = -(u64)i->len;
    if ((x.pfx & PFX_LOCK) && !((p->attr & A_LOCK) && i->is_mem)) goto undefined;
    if (x.vex && x.vvvv && !(p->use & F_VVVV)) goto undefined;
    return DECODE_OK;
undefined:
    if (s.over) goto more;
    i->len = s.at;
    return DECODE_UD;
more:
    return n >= 15 ? DECODE_LONG : DECODE_MORE;
}
