// SPDX-License-Identifier: MIT
// The interpreter's integer instructions against the host's processor: every row of insn.def that user mode can run, in
// 64-bit and 32-bit code, register and memory forms, edge values and random operands. Bytes are made from the row's
// opcode column, decoded by our decoder, executed by the interpreter's function and natively; registers, flags, memory,
// RIP and faults must agree. Flags that the manual leaves undefined are compared on AMD hosts only, which the reference
// follows.
//   interp_int record [FILE]   writes tests/insn/int.vec, what tests/insn/replay.c judges by on hosts that are no x86
//   interp_int [PATTERN]   rows whose name contains it;  CASES=n cases a row and mode (default 400), SEED=n
#include <zlib.h>
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/bus.h"
#include "mem/phys.h"
#include "tests/check.h"
#include "tests/insn/native.h"
#ifdef TRANSLATED // tests/insn/tcg_int.c
#include "tests/insn/translated.h"
#endif

static u64 seed = 88172645463325252ull;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}
static u64 below(u64 n) { return (rnd() >> 11) % n; }
// Values near the borders of every width, and random ones.
static u64 value(void)
{
    static const u64 edge[] = {0,          1,
                               2,          3,
                               7,          0xf,
                               0x10,       0x7f,
                               0x80,       0xff,
                               0x100,      0x7fff,
                               0x8000,     0xffff,
                               0x10000,    ~0ull,
                               9,          0x99,
                               ~1ull,      0x9a,
                               0x7fffffff, 0x80000000,
                               0xffffffff, 1ull << 32,
                               1ull << 63, (1ull << 63) - 1};
    u64 v = rnd();
    switch (below(4)) {
    case 0: return edge[below(ARRAY_LEN(edge))];
    case 1: return edge[below(ARRAY_LEN(edge))] + below(5) - 2;
    case 2: return v >> below(64);
    default: return v;
    }
}

static struct machine {
    struct bus bus;
    struct ram *ram;
    struct cpu *c;
} m;

static void machine_open(void)
{
    struct err e = {0};
    bus_init(&m.bus);
    m.ram = ram_new(&m.bus, "test", 0x20000, &e);
    bus_map_ram(&m.bus, NATIVE_BASE, 0x20000, m.ram, 0, REGION_RW, 0, "test");
    struct cpu *c = aligned_alloc(64, (sizeof *c + 63) & ~(size_t)63);
    memset(c, 0, sizeof *c);
    c->bus = &m.bus;
    for (int k = 0; k < 8; k++) c->feat[k] = ~0ull;
    c->decoder = decoder_new(c->feat);
    c->a20_mask = ~0ull;
    c->phys_mask = (1ull << 40) - 1;
    c->cr0 = CR0_PE;
    c->exc = c->exc_first = -1;
    c->cpl = 3;
    tlb_create(c);
    m.c = c;
#ifdef TRANSLATED
    translated_open(c, !getenv("NO_OPT"));
    st16(m.ram->host + (NATIVE_TAKEN - NATIVE_BASE), 0xfeeb); // jumps go to a jump to itself
#endif
}
// Flat segments of 64-bit or 32-bit user code.
static void machine_mode(bool code32)
{
    struct cpu *c = m.c;
    for (unsigned s = S_ES; s <= S_GS; s++) {
        struct seg *g = &c->seg[s];
        g->base = 0;
        g->limit = 0xffffffff;
        g->usable = true;
        g->attr = SEG_P | SEG_S | SEG_DPL | SEG_G | (s == S_CS ? SEG_CODE | SEG_READ : SEG_WRITE) | SEG_DB;
        g->rend = g->wend = code32 ? 1ull << 32 : ~0ull;
        g->sel = s == S_CS ? (code32 ? 0x23 : 0x33) : 0x2b;
    }
    c->mode = (code32 ? MODE_32 : MODE_64) | MODE_SS32 | MODE_PE | MODE_LMA | MODE_USER | MODE_FLAT;
#ifdef TRANSLATED
    c->gpr[R_RIP] = NATIVE_TAKEN; // into the jump cache
    c->cc_op = CC_EFLAGS;
    translated_run(c, 5);
#endif
}

// ---- making bytes
struct bytes {
    u8 b[32];
    unsigned n;
};
static void put(struct bytes *b, unsigned v) { b->b[b->n++] = (u8)v; }
static bool has_code(const char *operands, const char *code)
{
    for (const char *p = operands; (p = strstr(p, code)); p++)
        if (p == operands || p[-1] == ',') return true;
    return false;
}
// One random encoding of the row, with trailing random bytes for displacement and immediates. False: not this mode.
static bool make(const struct insn_row *row, bool code32, struct bytes *out)
{
    struct bytes b = {.n = 0};
    const char *p = row->opcode;
    bool vex = !strncmp(p, "VEX", 3), w = !code32 && below(3) == 0, modrm = false, cut_w0 = false, cut_w1 = false;
    unsigned pp = 0, map = 1, rex = code32 ? 0 : below(16), digit = 8, kind = 0;
    bool np = false, op16 = below(4) == 0;
    u8 op[4];
    unsigned nop = 0;
    char tok[64];
    if (!strncmp(p, "66", 2) && p[2] == ' ') pp = 0x66;
    while (sscanf(p, "%63s", tok) == 1) {
        p = strstr(p, tok) + strlen(tok);
        if (!strncmp(tok, "VEX", 3)) {
            if (strstr(tok, ".66.")) pp = 0x66;
            if (strstr(tok, ".F3.")) pp = 0xf3;
            if (strstr(tok, ".F2.")) pp = 0xf2;
            map = strstr(tok, "0F38") ? 2 : strstr(tok, "0F3A") ? 3 : 1;
        } else if (!strcmp(tok, "NP")) {
            np = true;
        } else if (!strcmp(tok, "W0")) {
            cut_w0 = true;
        } else if (!strcmp(tok, "W1")) {
            cut_w1 = true;
        } else if (!strcmp(tok, "mem")) {
            kind = 1, modrm = true;
        } else if (!strcmp(tok, "mod3")) {
            kind = 2, modrm = true;
        } else if (tok[0] == '/') {
            modrm = true;
            if (tok[1] != 'r') digit = tok[1] - '0';
        } else if (!vex && nop == 0 && !pp && (!strcmp(tok, "66") || !strcmp(tok, "F3") || !strcmp(tok, "F2")) &&
                   *p == ' ') {
            pp = strtoul(tok, NULL, 16);
        } else if (strcmp(tok, "66") || nop) {
            unsigned v = strtoul(tok, NULL, 16);
            if (strstr(tok, "+r")) v += below(8);
            if (strstr(tok, "+cc")) v += below(16);
            op[nop++] = v;
        }
    }
    if (cut_w0) w = false;
    if (cut_w1) w = true;
    if (w && code32) return false;
    if (below(8) == 0 && !strstr(row->operands, "X") && !strstr(row->operands, "Y")) put(&b, 0x67);
    if ((row->attr & A_STR) && below(3)) put(&b, below(2) ? 0xf3 : 0xf2);
    if (!vex) {
        if (pp != 0x66 && !np && op16) put(&b, 0x66);
        if (pp) put(&b, pp);
        if (!code32 && (w || rex || below(2))) put(&b, 0x40 | w << 3 | (rex & 7));
        for (unsigned k = 0; k < nop; k++) put(&b, op[k]);
    } else {
        put(&b, 0xc4);
        unsigned inv = code32 ? 7 : ~rex & 7;
        put(&b, inv << 5 | map);
        bool by = strstr(row->operands, "By");
        put(&b, w << 7 | (by ? (code32 ? 8 | below(8) : below(16)) : 15) << 3 |
                    (pp == 0x66   ? 1
                     : pp == 0xf3 ? 2
                     : pp == 0xf2 ? 3
                                  : 0));
        put(&b, op[0]);
    }
    if (modrm || has_code(row->operands, "E") || has_code(row->operands, "G") || has_code(row->operands, "M") ||
        has_code(row->operands, "R")) {
        unsigned reg = digit < 8 ? digit : below(8), rm = below(8);
        bool mem = kind == 1 || (kind == 0 && below(2));
        put(&b, mem ? 0x40 | reg << 3 | rm : 0xc0 | reg << 3 | rm);
        if (mem && rm == 4) put(&b, below(256));
    }
    for (unsigned k = 0; k < 12; k++) put(&b, below(2) ? (u8)value() : (u8)rnd());
    *out = b;
    return true;
}

static u8 code_bytes[16]; // of the instruction that run_one() executes
// Functions run on into the next instruction: a stop follows.
static void run_one(struct cpu *c, const struct insn *i)
{
#ifdef TRANSLATED
    memcpy(m.ram->host + (NATIVE_INSN - NATIVE_BASE), code_bytes, 16);
    c->engine->invalidate(c, NATIVE_INSN, 16);
    c->gpr[R_RIP] = NATIVE_INSN;
    translated_run(c, 1);
    return;
#endif
    struct insn v[2] = {*i, {.exec = interp_stop}};
    c->cur = v;
    interp_pick(v)(c, v);
}

// ---- one case
struct outcome {
    struct native_state s;
    enum native_fault fault;
    u8 mem[NATIVE_DATA_SIZE];
};
static enum native_fault fault_of(int exc)
{
    switch (exc) {
    case -1: return NATIVE_OK;
    case EXC_DE: return NATIVE_DE;
    case EXC_UD: return NATIVE_UD;
    case EXC_PF: return NATIVE_PF;
    default: return NATIVE_GP;
    }
}
static void run_interp(struct outcome *o, struct insn *i)
{
    struct cpu *c = m.c;
    u8 *mem = m.ram->host + (NATIVE_DATA - NATIVE_BASE);
    memcpy(mem, o->mem, NATIVE_DATA_SIZE);
    memcpy(c->gpr, o->s.gpr, sizeof o->s.gpr);
    c->gpr[R_ZERO] = 0;
    c->gpr[R_RIP] = NATIVE_INSN + i->len;
    c->eflags = (u32)o->s.flags | FL_IF | FL_R1;
    c->cc_op = CC_EFLAGS;
    c->exc = -1;
    c->attn = 0;
    jmp_buf jb;
    c->fault = &jb;
    c->cur = i;
    if (!setjmp(jb))
        run_one(c, i);
    else
        c->gpr[R_RIP] -= i->len;
    o->fault = fault_of(c->exc);
    memcpy(o->s.gpr, c->gpr, sizeof o->s.gpr);
    o->s.rip = c->gpr[R_RIP];
    o->s.flags = flags_get(c);
    memcpy(o->mem, mem, NATIVE_DATA_SIZE);
}
static void run_native(struct outcome *o, const u8 *bytes, unsigned n, bool code32)
{
    u8 *mem = (u8 *)(uintptr_t)NATIVE_DATA;
    memcpy(mem, o->mem, NATIVE_DATA_SIZE);
    o->s.flags = (o->s.flags & (FL_ARITH | FL_DF)) | 2;
    o->fault = native_run(&o->s, bytes, n, code32);
    memcpy(o->mem, mem, NATIVE_DATA_SIZE);
}

// Registers such that the instruction's accesses fall into the data area. False: cannot be had, try other bytes.
static bool aim(const struct insn_row *row, struct insn *i, struct outcome *o, bool code32)
{
    u64 *g = o->s.gpr;
    u64 mid = NATIVE_DATA + NATIVE_DATA_SIZE / 2;
    for (int r = 0; r < 16; r++) g[r] = value();
    if (i->asz == 2) return false;
    bool stack = strstr(row->mnemonic, "push") || strstr(row->mnemonic, "pop") || !strcmp(row->mnemonic, "call") ||
                 !strcmp(row->mnemonic, "ret") || !strcmp(row->mnemonic, "enter") || !strcmp(row->mnemonic, "leave");
    if (stack) g[R_RSP] = mid + 0x1000 + below(64);
    if (!strcmp(row->mnemonic, "enter") || !strcmp(row->mnemonic, "leave")) g[R_RBP] = mid + 0x1800 + below(64);
    if (!strcmp(row->mnemonic, "enter")) { // small frames, so that the new top lies in the area
        i->imm &= 0x1f000000ff;
    }
    if (row->attr & A_STR) {
        g[R_RSI] = mid - 0x200 + below(0x400);
        g[R_RDI] = mid - 0x200 + below(0x400);
        g[R_RCX] = below(4) ? below(40) : 0;
        if (i->asz == 4 && !code32) g[R_RCX] |= rnd() << 32;
    }
    if (!strcmp(row->mnemonic, "xlat")) g[R_RBX] = mid + below(256);
    bool bt = row->mnemonic[0] == 'b' && row->mnemonic[1] == 't';
    if (bt && i->is_mem) g[i->reg & 15] = below(8192) - 4096;
    if (!strcmp(row->mnemonic, "div") || !strcmp(row->mnemonic, "idiv")) {
        if (below(2)) g[R_RDX] = below(3) - 1;
        if (below(2)) g[R_RAX] &= 0xff;
    }
    if (i->is_mem && i->op != OP_LEA_GvM) {
        if (i->base == R_ZERO || i->base == R_RIP || i->base == i->index) return false;
        if (strstr(row->operands, "Ob") || strstr(row->operands, "Ov")) return false;
        if (bt && (i->base == i->reg || i->index == i->reg)) return false;
        if (stack && (i->base == R_RSP || i->index == R_RSP)) return false;
        u64 target = mid + below(256), idx = 0;
        if (!strncmp(row->mnemonic, "cmpxchg16b", 10) && below(8)) target &= ~15ull;
        if (i->index != R_ZERO) {
            idx = below(64);
            g[i->index] = idx;
        }
        g[i->base] = target - (idx << i->scale) - (u64)(i64)i->disp;
        // the case where an address is one of the implicit operands is as good as any
        if ((row->attr & A_STR) || (stack && i->base == R_RBP && strstr(row->mnemonic, "leave"))) return false;
    }
    if (code32)
        for (int r = 0; r < 16; r++) g[r] = (u32)g[r];
    for (unsigned k = 0; k < NATIVE_DATA_SIZE; k += 8) st64(o->mem + k, rnd());
    if (i->is_mem && i->op != OP_LEA_GvM) {
        u64 ea = g[i->base] + (i->index != R_ZERO ? g[i->index] << i->scale : 0) + (u64)(i64)i->disp;
        if (i->asz == 4) ea = (u32)ea;
        if (!range_ok(ea - NATIVE_DATA, 16, NATIVE_DATA_SIZE)) return false;
        if (below(4)) st64(o->mem + (ea - NATIVE_DATA), value());
        if (!strncmp(row->mnemonic, "cmpxchg", 7) && below(2)) {
            u8 *p = o->mem + (ea - NATIVE_DATA);
            if (!strcmp(row->mnemonic, "cmpxchg") && i->base && i->index) {
                st64(p, g[R_RAX]);
            } else if (!strcmp(row->mnemonic, "cmpxchg8b")) {
                st32(p, (u32)g[R_RAX]), st32(p + 4, (u32)g[R_RDX]);
            } else {
                st64(p, g[R_RAX]), st64(p + 8, g[R_RDX]);
            }
        }
        if (i->op == OP_JMP_Ev || i->op == OP_CALL_Ev) st64(o->mem + (ea - NATIVE_DATA), NATIVE_TAKEN);
        if (i->op == OP_BOUND_GvMa && below(2)) {
            g[i->reg & 7] = below(100);
            if (i->reg == i->base || i->reg == i->index) return false;
            st64(o->mem + (ea - NATIVE_DATA), i->osz == 2 ? 0x500000 : 0x5000000000ull);
        }
    } else if (!strcmp(row->mnemonic, "cmpxchg") && below(2)) {
        g[i->rm & 15] = g[R_RAX];
    }
    return true;
}

// Rows whose result is the system's affair (selectors, tables, interrupts), or whose address cannot be aimed.
static const char *const never[] = {
    "POPF",     "MONITOR",   "XGETBV",   "SGDT_Ms",   "SIDT_Ms",    "SLDT_Ev",       "STR_Ev",      "SMSW_Ev",
    "VERR_Ew",  "VERW_Ew",   "LAR_GvEw", "LSL_GvEw",  "INT3",       "INT1",          "INT_Ib",      "INTO",
    "CALL_Ap",  "JMP_Ap",    "RETF",     "RETF_Iw",   "CALL_Mp",    "JMP_Mp",        "PUSH_ES",     "PUSH_CS",
    "PUSH_SS",  "PUSH_DS",   "PUSH_FS",  "PUSH_GS",   "MOV_EvSw",   "RDPID_Ry",      "RDFSBASE_Ry", "RDGSBASE_Ry",
    "MOV_ALOb", "MOV_rAXOv", "MOV_ObAL", "MOV_OvrAX", "CLFLUSH_Mb", "CLFLUSHOPT_Mb", "CLWB_Mb",
};
static bool runnable(const struct insn_row *row)
{
    if (row->attr & (A_CPL0 | A_SYS | A_IO | A_FPU | A_MMX | A_SSE)) return false;
    for (unsigned k = 0; k < ARRAY_LEN(never); k++)
        if (!strcmp(row->name, never[k])) return false;
    return true;
}

static u64 total;
static bool amd_host;
// Commit late: with segments that end somewhere in the data area, an instruction that faults has changed nothing.
static u64 late;
static const char *commit_late(const struct outcome *in, struct insn *i)
{
    static struct outcome o;
    struct cpu *c = m.c;
    if (i->pfx & (PFX_REP | PFX_REPNE)) return NULL; // restartable by elements
    u32 limit = NATIVE_DATA + NATIVE_DATA_SIZE / 2 - 0x40 + below(0x180);
    if (below(3) == 0) limit += 0xff0;
    if (below(3) == 0) limit += 0x7f0;
    for (unsigned s = S_ES; s <= S_GS; s++)
        if (s != S_CS) c->seg[s].limit = limit, c->seg[s].rend = c->seg[s].wend = (u64)limit + 1;
    c->mode &= ~(u32)MODE_FLAT;
    o = *in;
    run_interp(&o, i);
    machine_mode(true);
    if (o.fault == NATIVE_OK) return NULL;
    late++;
    if (memcmp(o.s.gpr, in->s.gpr, sizeof o.s.gpr)) return "registers";
    if ((o.s.flags ^ in->s.flags) & FL_ARITH) return "flags";
    if (o.s.rip != NATIVE_INSN) return "rip";
    if (memcmp(o.mem, in->mem, sizeof o.mem)) return "memory";
    return NULL;
}
static u32 undefined(const struct insn_row *row)
{
    static const char letters[] = "oszapc";
    static const u32 flag[] = {FL_OF, FL_SF, FL_ZF, FL_AF, FL_PF, FL_CF};
    u32 fl = 0;
    for (unsigned k = 0; k < 6; k++)
        if (strchr(row->undef, letters[k])) fl |= flag[k];
    return fl;
}
// ---- recorded vectors: what remains of a case whose outcome a real processor confirmed. Each case has its own seed
// (row, mode, attempt), so that the input is made again from that alone and a digest of the outcome is enough.
// tests/insn/int.vec: per row and mode: name, NUL, mode (1 byte), count (2), then attempt (2), input (2), outcome (4)
// digests (CRC-32, the input's lower half), little-endian.
static struct {
    bool replay;
    u16 in;
    u32 out;
} vectors;
static u32 crc_regs(u32 crc, const struct native_state *s, u64 cutm)
{
    for (int r = 0; r < (cutm == ~0ull ? 16 : 8); r++) {
        u8 b[8];
        st64(b, s->gpr[r] & cutm);
        crc = (u32)crc32(crc, b, 8);
    }
    return crc;
}
static u16 digest_in(const struct outcome *o, const u8 *bytes, unsigned n)
{
    u8 b[4];
    st32(b, (u32)o->s.flags);
    return (u16)crc_regs((u32)crc32((u32)crc32(0, bytes, n), b, 4), &o->s, ~0ull);
}
static u32 digest_out(const struct outcome *o, bool code32)
{
    u8 b[16] = {(u8)o->fault};
    st32(b + 4, o->fault == NATIVE_OK ? (u32)o->s.flags & (FL_ARITH | FL_DF) : 0);
    st64(b + 8, o->fault == NATIVE_OK ? o->s.rip : 0);
    u32 crc = crc_regs((u32)crc32(0, b, sizeof b), &o->s, code32 ? 0xffffffff : ~0ull);
    return (u32)crc32(crc, o->mem, NATIVE_DATA_SIZE);
}
static void seed_case(const char *row, bool code32, unsigned attempt)
{
    u64 h = 14695981039346656037ull;
    for (const char *p = row; *p; p++) h = (h ^ (u8)*p) * 1099511628211ull;
    seed = (h ^ ((u64)attempt << 1 | code32)) * 0x9e3779b97f4a7c15ull | 1;
    for (int k = 0; k < 4; k++) rnd();
}

// A case: prints and counts the difference, true if none.
static bool one(unsigned op, bool code32, bool *made)
{
    const struct insn_row *row = &insn_rows[op];
    static struct outcome in, a, b;
    struct bytes by;
    struct insn i;
    *made = false;
    if (!make(row, code32, &by)) return true;
    if (decode(m.c->decoder, by.b, 15, code32 ? MODE_32 : MODE_64, &i) != DECODE_OK || i.op != op) return true;
    if (!aim(row, &i, &in, code32)) return true;
    in.s.flags = rnd() & (FL_ARITH | ((row->attr & A_STR) && below(2) ? FL_DF : 0));
    if (i.op == OP_ENTER_IwIb) {
        u8 *p = by.b + i.len - 3;
        p[0] = i.imm & 0xff, p[1] = 0, p[2] = (i.imm >> 32) & 31;
    }
    // Jumps: to the stub, wherever the operand is.
    if (row->attr & A_F64) {
        i64 d = (i64)NATIVE_TAKEN - (NATIVE_INSN + i.len);
        if (i.osz == 2)
            return true; // IP cut to 16 bits leads out of the arena; and AMD and Intel differ in 64-bit code
        if (strstr(row->operands, "Jb")) by.b[i.len - 1] = (u8)d, i.imm = (u64)d;
        if (strstr(row->operands, "Jz")) st32(by.b + i.len - 4, (u32)d), i.imm = (u64)d;
        if (!i.is_mem && strstr(row->operands, "Ev")) {
            if (i.rm == R_RSP) return true;
            in.s.gpr[i.rm] = NATIVE_TAKEN;
        }
        if (!strcmp(row->mnemonic, "ret")) {
            u64 off = in.s.gpr[R_RSP] - NATIVE_DATA;
            st64(in.mem + off, NATIVE_TAKEN);
        }
        if (!strncmp(row->mnemonic, "loop", 4) || !strcmp(row->mnemonic, "jcxz")) in.s.gpr[R_RCX] = value();
        if (code32) in.s.gpr[R_RCX] = (u32)in.s.gpr[R_RCX];
    }
    if ((row->attr & A_F64) && (i.pfx & PFX_66)) return true;
    if (!amd_host && i.osz == 2 && (row->mnemonic[2] == 'l' || row->mnemonic[2] == 'r') && row->mnemonic[3] == 'd')
        return true;                                      // SHLD, SHRD with counts above 16
    if (i.op == OP_PREFETCHW_M && !i.is_mem) return true; // #UD on AMD, NOP on Intel
    *made = true;
    total++;
    a = b = in;
    if (!vectors.replay) run_native(&a, by.b, i.len, code32);
    memcpy(code_bytes, by.b, sizeof code_bytes);
    run_interp(&b, &i);
    vectors.in = digest_in(&in, by.b, i.len);
    vectors.out = digest_out(&b, code32);
    if (vectors.replay) return true;
    char why[512] = "";
    unsigned n = 0;
    u64 cutm = code32 ? 0xffffffff : ~0ull;
    if (a.fault != b.fault) n += snprintf(why + n, sizeof why - n, " fault %d, want %d;", b.fault, a.fault);
    for (int r = 0; r < (code32 ? 8 : 16); r++)
        if ((a.s.gpr[r] ^ b.s.gpr[r]) & cutm && n < 400)
            n += snprintf(why + n, sizeof why - n, " r%d %" PRIx64 ", want %" PRIx64 ";", r, b.s.gpr[r] & cutm,
                          a.s.gpr[r] & cutm);
    u32 fl = (u32)(a.s.flags ^ b.s.flags) & (FL_ARITH | FL_DF) & ~(amd_host ? 0 : undefined(row));
    if (fl && a.fault == NATIVE_OK && n < 400)
        n += snprintf(why + n, sizeof why - n, " flags %x, want %x (differ %x; undefined: %s);",
                      (u32)b.s.flags & FL_ARITH, (u32)a.s.flags & FL_ARITH, fl, row->undef);
    if (a.fault == NATIVE_OK && a.s.rip != b.s.rip && n < 400)
        n += snprintf(why + n, sizeof why - n, " rip %" PRIx64 ", want %" PRIx64 ";", b.s.rip, a.s.rip);
    if (memcmp(a.mem, b.mem, NATIVE_DATA_SIZE) && n < 400) {
        unsigned k = 0;
        while (a.mem[k] == b.mem[k]) k++;
        n += snprintf(why + n, sizeof why - n, " memory +%x %02x, want %02x;", k, b.mem[k], a.mem[k]);
    }
    const char *torn = code32 && !n ? commit_late(&in, &i) : NULL;
    if (torn) n += snprintf(why + n, sizeof why - n, " a fault (%d) finds the %s changed;", m.c->exc, torn);
    if (!n) return true;
    if (check_ctx.bad && !getenv("ALL")) return false;
    check_ctx.bad = true;
    char hex[64];
    for (unsigned k = 0; k < i.len; k++) sprintf(hex + 2 * k, "%02x", by.b[k]);
    snprintf(check_ctx.why, sizeof check_ctx.why,
             "%s %s%s: before rax %" PRIx64 " rcx %" PRIx64 " rdx %" PRIx64 " rbx %" PRIx64 " flags %x:%.300s", hex,
             code32 ? "32" : "64", i.is_mem ? " mem" : "", in.s.gpr[0], in.s.gpr[1], in.s.gpr[2], in.s.gpr[3],
             (u32)in.s.flags, why);
    if (getenv("ALL")) printf("# %s %s\n", row->name, check_ctx.why);
    return false;
}

// An event in the middle of a long REP: the instruction leaves exact registers, does not retire, and goes on later.
static UNUSED bool rep_yields(bool down, u8 opcode)
{
    const u8 bytes[2] = {0xf3, opcode};
    struct cpu *c = m.c;
    struct insn i;
    u8 *mem = m.ram->host + (NATIVE_DATA - NATIVE_BASE);
    const u64 n = 0x1800, from = NATIVE_DATA + 0x123, to = NATIVE_DATA + 0x2010;
    machine_mode(false);
    if (decode(c->decoder, bytes, 2, MODE_64, &i) != DECODE_OK) return false;
    memcpy(code_bytes, bytes, 2);
    for (unsigned k = 0; k < NATIVE_DATA_SIZE; k++) mem[k] = (u8)rnd();
    memset(c->gpr, 0, sizeof c->gpr);
    c->gpr[R_RAX] = 0x5a;
    c->gpr[R_RCX] = n;
    c->gpr[R_RSI] = from + (down ? n - 1 : 0);
    c->gpr[R_RDI] = to + (down ? n - 1 : 0);
    c->eflags = FL_R1 | (down ? FL_DF : 0);
    c->cc_op = CC_EFLAGS;
    c->cur = &i;
    unsigned rounds = 0;
    do {
        u64 left = c->gpr[R_RCX];
        c->rep_pending = false;
        c->attn = ATTN_EXIT;
        c->gpr[R_RIP] = NATIVE_INSN + 2;
        run_one(c, &i);
        u64 done = n - c->gpr[R_RCX];
        if (left - c->gpr[R_RCX] > 4096) return false; // bounded work between two looks at events
        if (c->gpr[R_RDI] != (down ? to + n - 1 - done : to + done)) return false;
        if (opcode == 0xa4 && c->gpr[R_RSI] != (down ? from + n - 1 - done : from + done)) return false;
        if (c->gpr[R_RIP] != (c->rep_pending ? NATIVE_INSN : NATIVE_INSN + 2)) return false;
        if (c->rep_pending && !(c->attn & ATTN_CODE)) return false;
    } while (c->rep_pending && ++rounds < 20);
    if (!rounds || rounds == 20 || c->gpr[R_RCX]) return false;
    for (unsigned k = 0; k < n; k++)
        if (mem[to - NATIVE_DATA + k] != (opcode == 0xa4 ? mem[from - NATIVE_DATA + k] : 0x5a)) return false;
    return true;
}

// Writes the vectors of every row.
static UNUSED int record(const char *file)
{
    FILE *f = fopen(file, "wb");
    if (!f) return perror(file), 2;
    for (unsigned op = 1; op <= OP_RORX_GyEyIb; op++) {
        const struct insn_row *row = &insn_rows[op];
        if (!runnable(row)) continue;
        for (int code32 = 0; code32 < 2; code32++) {
            if (code32 ? row->attr & A_O64 : row->attr & A_I64) continue;
            u8 b[60 * 8];
            unsigned n = 0;
            machine_mode(code32);
            for (unsigned k = 0; n < 60 && k < 1200; k++) {
                bool made;
                seed_case(row->name, code32, k);
                if (!one(op, code32, &made) || !made) continue;
                st16(b + 8 * n, (u16)k), st16(b + 8 * n + 2, vectors.in), st32(b + 8 * n + 4, vectors.out);
                n++;
            }
            u8 head[3] = {(u8)code32};
            st16(head + 1, (u16)n);
            fwrite(row->name, 1, strlen(row->name) + 1, f);
            fwrite(head, 1, 3, f);
            fwrite(b, 8, n, f);
        }
    }
    return fclose(f) ? 2 : 0;
}
// Judges the interpreter by them, on any host.
static UNUSED int replay(const char *file, const char *pattern)
{
    static u8 b[4 << 20];
    FILE *f = fopen(file, "rb");
    if (!f) {
        printf("skip replay: no %s\n", file);
        return 0;
    }
    size_t len = fread(b, 1, sizeof b, f), at = 0;
    fclose(f);
    machine_open();
    vectors.replay = amd_host = true; // recorded there
    unsigned rows = 0, cases = 0;
    while (at < len) {
        const char *name = (const char *)b + at;
        at += strlen(name) + 1;
        bool code32 = b[at];
        unsigned n = ld16(b + at + 1), op = 1, bad = 0, stale = 0;
        const u8 *v = b + at + 3;
        at += 3 + 8 * n;
        if (pattern && !strstr(name, pattern)) continue;
        while (op < OP_COUNT && strcmp(insn_rows[op].name, name)) op++;
        if (op == OP_COUNT) continue;
        machine_mode(code32);
        unsigned first = 0;
        for (unsigned k = 0; k < n; k++, v += 8) {
            bool made;
            seed_case(name, code32, ld16(v));
            one(op, code32, &made);
            if (!made || vectors.in != ld16(v + 2)) {
                stale++;
            } else if (vectors.out != ld32(v + 4)) {
                if (!bad++) first = ld16(v);
            } else {
                cases++;
            }
        }
        rows++;
        if (bad) {
            printf("not ok replay_%s: %u of %u differ in %d-bit code, the first is attempt %u\n", name, bad, n,
                   code32 ? 32 : 64, first);
            check_ctx.failed++;
        }
        if (stale) {
            printf("not ok replay_%s: %u cases are made otherwise now: record again (interp_int record)\n", name,
                   stale);
            check_ctx.failed++;
        }
    }
    if (!check_ctx.failed) printf("ok replay (%u rows and modes, %u cases)\n", rows, cases);
    return check_ctx.failed ? 1 : 0;
}

#ifndef REPLAY
int main(int argc, char **argv)
{
    if (!native_open()) {
        printf("skip interp_int: no native x86-64\n");
        return 0;
    }
    machine_open();
#ifdef __x86_64__
    amd_host = __builtin_cpu_is("amd");
#endif
    if (argc > 1 && !strcmp(argv[1], "record")) return record(argc > 2 ? argv[2] : "tests/insn/int.vec");
    unsigned cases = check_cases(400);
    seed = check_seed(seed);
    for (unsigned op = 1; op <= OP_RORX_GyEyIb; op++) { // the integer rows
        const struct insn_row *row = &insn_rows[op];
        if (!runnable(row) || (argc > 1 && !strstr(row->name, argv[1]))) continue;
        check_ctx.bad = false;
        unsigned done = 0, bad = 0;
        for (int code32 = 0; code32 < 2; code32++) {
            if (code32 ? row->attr & A_O64 : row->attr & A_I64) continue;
            machine_mode(code32);
            for (unsigned k = 0, n = 0; n < cases && k < cases * 20; k++) {
                bool made;
                bad += !one(op, code32, &made);
                n += made, done += made;
            }
        }
        if (bad) {
            printf("not ok %s: %u of %u: %s\n", row->name, bad, done, check_ctx.why);
            check_ctx.failed++;
        } else if (!done) {
            printf("not ok %s: no case could be made\n", row->name);
            check_ctx.failed++;
        } else {
            printf("ok %s (%u)\n", row->name, done);
            check_ctx.passed++;
        }
    }
#ifndef TRANSLATED // whose dispatcher looks at what asks before it starts
    for (int k = 0; k < 4 && argc == 1; k++) {
        bool ok = rep_yields(k & 1, k & 2 ? 0xaa : 0xa4);
        printf("%s rep_yields %d\n", ok ? "ok" : "not ok", k);
        if (!ok) check_ctx.failed++;
    }
#endif
    printf("# %u rows ok, %u not, %" PRIu64 " cases, %" PRIu64 " faults\n", check_ctx.passed, check_ctx.failed, total,
           late);
    return check_ctx.failed ? 1 : 0;
}
#endif
