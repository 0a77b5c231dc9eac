// SPDX-License-Identifier: MIT
// Random programs of integer, x87, MMX and SSE instructions, translated, against the interpreter's functions one by
// one: registers, all flags, memory, instruction pointer, number of retired instructions and faults must agree after
// any number of instructions, however the run is cut into slices. What single instructions cannot show shows here:
// flags that are carried in registers, across slow paths, side exits, loops and links between blocks.
//   tcg_seq [SEED]   one program, with what differs and its intermediate code;  CASES=n programs (default 3000), SEED=n
#define REPLAY
#include "tests/insn/interp_int.c"
#include "cpu/fpu/x87.h"
#include "mem/base/buf.h"
#include "tests/insn/translated.h"

enum {
    START = NATIVE_CODE + 0x100,
    CODE_MAX = 0x300,
    RAM_SIZE = 0x20000,
    LOW = NATIVE_DATA + 0x800,
    HIGH = NATIVE_DATA + 0x3800
};
struct state {
    u64 gpr[18], cc_dst, cc_src, gs_base, kernel_gs_base;
    u32 cc_op, eflags;
    u8 cc_cf, cc_of;
    int exc;
    u64 steps;
    struct fpu fpu;
    u32 mxcsr;
    u8 vec[16][16];
    u8 data[NATIVE_DATA_SIZE];
};
// Kinds of code: 64-bit and 32-bit flat, 32- and 16-bit with segments that have bases and limits.
enum kind { K64, K32, K32SEG, K16, K_COUNT };
static const char *const kind_names[] = {"64-bit", "32-bit", "32-bit segmented", "16-bit"};
static enum kind kind;
static u64 cs_base, ds_base;
static unsigned code_size(void) { return kind == K64 ? MODE_64 : kind == K16 ? MODE_16 : MODE_32; }
static u8 *ram_at(u64 at) { return m.ram->host + (at - NATIVE_BASE); }
static void load(const struct state *s)
{
    struct cpu *c = m.c;
    memcpy(c->gpr, s->gpr, sizeof c->gpr);
    c->cc_dst = s->cc_dst, c->cc_src = s->cc_src, c->cc_op = s->cc_op, c->eflags = s->eflags;
    c->cc_cf = s->cc_cf, c->cc_of = s->cc_of;
    c->seg[S_GS].base = s->gs_base, c->kernel_gs_base = s->kernel_gs_base;
    c->exc = -1;
    c->attn = 0;
    c->fpu = s->fpu;
    c->mxcsr = s->mxcsr;
    for (unsigned k = 0; k < 16; k++) memcpy(c->vec[k].b, s->vec[k], 16);
    memcpy(ram_at(NATIVE_DATA), s->data, NATIVE_DATA_SIZE);
}
static void save(struct state *s)
{
    struct cpu *c = m.c;
    memcpy(s->gpr, c->gpr, sizeof c->gpr);
    s->cc_dst = c->cc_dst, s->cc_src = c->cc_src, s->cc_op = c->cc_op, s->eflags = c->eflags;
    s->cc_cf = c->cc_cf, s->cc_of = c->cc_of;
    s->gs_base = c->seg[S_GS].base, s->kernel_gs_base = c->kernel_gs_base;
    s->exc = c->exc;
    s->fpu = c->fpu;
    s->mxcsr = c->mxcsr;
    for (unsigned k = 0; k < 16; k++) memcpy(s->vec[k], c->vec[k].b, 16);
    memcpy(s->data, ram_at(NATIVE_DATA), NATIVE_DATA_SIZE);
}

static bool vectors_too;
static bool may_run[OP_COUNT]; // needs no more of a machine than there is
static void set_kind(enum kind k, bool small_limit, bool ss32)
{
    struct cpu *c = m.c;
    kind = k;
    machine_mode(k != K64);
    c->mode |= MODE_X87 | MODE_SSE;
    cs_base = k >= K32SEG ? NATIVE_BASE : 0;
    ds_base = k >= K32SEG ? NATIVE_DATA : 0;
    if (k < K32SEG) return;
    c->mode = (k == K16 ? MODE_16 : MODE_32) | (k == K16 && !ss32 ? 0 : MODE_SS32) | MODE_PE | MODE_USER | MODE_X87 |
              MODE_SSE;
    for (unsigned s = S_ES; s <= S_GS; s++) {
        struct seg *g = &c->seg[s];
        g->base = s == S_CS ? cs_base : s == S_FS ? ds_base + 0x123 : ds_base;
        g->limit = s != S_CS && small_limit ? 0x37ff : 0xffff;
        g->rend = (u64)g->limit + 1;
        g->wend = s == S_CS ? 0 : g->rend;
    }
}
// System instructions that have emitters. Of POPF only what changes no mode.
static bool is_system(unsigned op)
{
    return op == OP_PUSHF || op == OP_POPF || op == OP_CLI || op == OP_STI || op == OP_SWAPGS || op == OP_MOV_EvSw;
}
static bool pops_mode(const struct cpu *c)
{
    u64 top = c->gpr[R_RSP];
    if (kind != K64) top = c->seg[S_SS].base + (c->mode & MODE_SS32 ? (u32)top : (u16)top);
    return !range_ok(top - NATIVE_DATA, 8, NATIVE_DATA_SIZE) ||
           (ld32(ram_at(top)) & (FL_TF | FL_RF | FL_VM | FL_AC | FL_IOPL));
}

// One instruction by the interpreter's function; false: it faults, or there is none to execute.
static bool step(void)
{
    struct cpu *c = m.c;
    u64 rip = c->gpr[R_RIP];
    struct insn v[2] = {{.len = 0}, {.exec = interp_stop}};
    if (!range_ok(cs_base + rip - NATIVE_BASE, 16, RAM_SIZE) || (kind >= K32SEG && rip > 0xfff0)) return false;
    if (decode(c->decoder, ram_at(cs_base + rip), 15, code_size(), &v[0]) != DECODE_OK) return false;
    u32 attr = insn_rows[v[0].op].attr;
    if (!may_run[v[0].op]) return false;
    if (v[0].op == OP_POPF && pops_mode(c)) return false;
    u64 count = v[0].asz == 8 ? c->gpr[R_RCX] : v[0].asz == 4 ? (u32)c->gpr[R_RCX] : (u16)c->gpr[R_RCX];
    if ((attr & A_STR) && (v[0].pfx & (PFX_REP | PFX_REPNE)) && count > 300) return false;
    jmp_buf jb;
    c->fault = &jb;
    c->cur = v;
    c->gpr[R_RIP] = rip + v[0].len;
    if (setjmp(jb)) {
        c->gpr[R_RIP] = rip;
        return false;
    }
    v[0].exec = interp_pick(&v[0]);
    v[0].exec(c, v);
    c->attn = 0;
    c->rep_pending = false;
    return true;
}

// ---- programs
static const enum insn_op common[] = {
    OP_ADD_EvGv,  OP_ADD_EbGb,     OP_ADD_GvEv,    OP_ADC_EvGv,    OP_ADC_EbIb,    OP_SBB_GvEv,  OP_SBB_EvsIb,
    OP_SUB_EvIz,  OP_SUB_EbGb,     OP_CMP_EvGv,    OP_CMP_EbIb,    OP_CMP_GvEv,    OP_TEST_EvGv, OP_TEST_EbIb,
    OP_AND_EvGv,  OP_XOR_GbEb,     OP_INC_Ev,      OP_DEC_Ev,      OP_DEC_Eb,      OP_NEG_Ev,    OP_JCC_Jb,
    OP_JCC_Jb,    OP_JCC_Jz,       OP_SETCC_Eb,    OP_CMOVCC_GvEv, OP_CMOVCC_GvEv, OP_MOV_EvGv,  OP_MOV_GvEv,
    OP_MOV_ZvIv,  OP_MOVZX_GvEb,   OP_MOVSXD_GvEd, OP_LEA_GvM,     OP_SHL_EvIb,    OP_SHR_EvCL,  OP_SAR_Ev1,
    OP_ROL_EvIb,  OP_ROR_EvCL,     OP_SHLD_EvGvIb, OP_RCL_Ev1,     OP_BT_EvIb,     OP_BTS_EvGv,  OP_IMUL_GvEv,
    OP_MUL_Ev,    OP_PUSH_Zv,      OP_POP_Zv,      OP_PUSHF,       OP_LAHF,        OP_STC,       OP_CMC,
    OP_XADD_EvGv, OP_CMPXCHG_EvGv, OP_BSF_GvEv,    OP_POPCNT_GvEv, OP_XCHG_EvGv,   OP_CALL_Jz,   OP_LOOP_Jb,
    OP_PUSHF,     OP_POPF,         OP_CLI,         OP_STI,         OP_SWAPGS,      OP_MOV_EvSw,
};
static const u8 pointers[] = {R_RBX, R_RSP, R_RBP, R_RDI, 13};

static bool pointers_good(const struct cpu *c)
{
    for (unsigned k = 0; k < (kind != K64 ? 4 : 5); k++) {
        u64 v = kind == K16 ? (u16)c->gpr[pointers[k]] : c->gpr[pointers[k]];
        if (v + ds_base < LOW || v + ds_base >= HIGH) return false;
    }
    return true;
}
static struct state scratch;
// Appends an instruction that executes without a fault in the state at hand and leaves the pointers pointers.
static bool append(u64 *at)
{
    struct bytes by;
    struct insn i;
    u64 rip = m.c->gpr[R_RIP];
    save(&scratch);
    for (unsigned tries = 0; tries < 300; tries++) {
        unsigned op = vectors_too && below(2) ? OP_RORX_GyEyIb + 1 + below(OP_COUNT - OP_RORX_GyEyIb - 1)
                      : below(4)              ? common[below(ARRAY_LEN(common))]
                                              : 1 + below(OP_RORX_GyEyIb);
        const struct insn_row *row = &insn_rows[op];
        if (!may_run[op] || !make(row, kind != K64, &by)) continue;
        if (decode(m.c->decoder, by.b, 15, code_size(), &i) != DECODE_OK || i.op != op) continue;
        if ((row->attr & A_END) && (i.pfx & PFX_66)) continue;
        bool stays = true;
        if (row->attr & A_END) { // to the end, the start, or the next instruction
            u64 to = below(2) ? NATIVE_TAKEN : below(2) ? START : *at + i.len;
            i64 d = (i64)(to - (*at + i.len));
            stays = false;
            if (strstr(row->operands, "Jb")) {
                if (d != (i8)d) d = 0;
                by.b[i.len - 1] = (u8)d;
            } else if (strstr(row->operands, "Jz")) {
                st_size(by.b + i.len - (kind == K16 ? 2 : 4), (u64)d, kind == K16 ? 2 : 4);
            } else if (below(8)) {
                continue;
            }
        }
        if (i.is_mem && i.op != OP_LEA_GvM && !(i.op >= OP_NOP_Ev_19 && i.op <= OP_NOP_Ev_1F)) {
            u64 ea = (m.c->gpr[i.base] + (m.c->gpr[i.index] << i.scale) + (u64)(i64)i.disp) << i.ea_shift >> i.ea_shift;
            if (below(16) && !range_ok(ds_base + ea - NATIVE_DATA, 8, NATIVE_DATA_SIZE)) continue;
        }
        memcpy(ram_at(*at), by.b, i.len);
        m.c->gpr[R_RIP] = *at - cs_base;
        bool ran = step(), good = pointers_good(m.c) && m.c->gpr[R_RIP] != NATIVE_TAKEN - cs_base;
        if (!stays) good = true;
        if (!ran && !below(100)) ran = true; // a fault now and then
        load(&scratch);
        m.c->gpr[R_RIP] = rip;
        if (!ran || !good) continue;
        m.c->gpr[R_RIP] = *at - cs_base; // again, for good; jumps as if not taken
        step();
        *at += i.len;
        m.c->gpr[R_RIP] = *at - cs_base;
        if (!pointers_good(m.c)) load(&scratch);
        return true;
    }
    return false;
}
static void start_state(struct state *s)
{
    for (int r = 0; r < 16; r++) s->gpr[r] = kind != K64 && r < 8 ? (u32)value() : value();
    for (unsigned k = 0; k < ARRAY_LEN(pointers); k++) s->gpr[pointers[k]] = LOW - ds_base + 0x400 + below(0x2000);
    s->gpr[R_RCX] = below(2) ? below(20) : s->gpr[R_RCX];
    if (below(8) == 0) s->gpr[R_RDI] = (NATIVE_DATA - ds_base) + 0xffb + below(8); // accesses across pages
    s->gpr[R_ZERO] = 0;
    s->gpr[R_RIP] = START - cs_base;
    s->gs_base = m.c->seg[S_GS].base, s->kernel_gs_base = 0;
    if (kind == K64) s->gs_base = below(0x100), s->kernel_gs_base = below(0x100);
    s->eflags = FL_R1 | FL_IF | (rnd() & FL_ARITH);
    s->cc_op = below(3) ? CC_ADD + below(CC_COUNT - CC_ADD) : CC_EFLAGS;
    u64 mask = ~(u64)0 >> (64 - (8u << (s->cc_op & 3)));
    s->cc_dst = value() & mask;
    s->cc_src = s->cc_op >= CC_INC && s->cc_op < CC_SHIFT ? below(2) : s->cc_op >= CC_SHIFT ? below(8) : value() & mask;
    s->cc_cf = below(2), s->cc_of = below(2);
    memset(&s->fpu, 0, sizeof s->fpu);
    s->fpu.fcw = 0x37f;
    s->fpu.fsw = (u16)(below(8) << 11);
    s->fpu.tags = vectors_too ? (u8)rnd() : 0;
    for (unsigned k = 0; k < 8 && vectors_too; k++) {
        s->fpu.m[k] = rnd() | 1ull << 63;
        s->fpu.se[k] = (u16)(0x3fc0 + below(0x80) + (below(2) << 15));
    }
    s->mxcsr = 0x1f80;
    for (unsigned k = 0; k < 16; k++)
        for (unsigned j = 0; j < 16; j += 4) {
            float f = (float)((double)(i64)rnd() / (double)(1ull << below(64)));
            memcpy(s->vec[k] + j, &f, 4);
        }
    if (s->cc_op >= CC_SHX || (s->cc_op && below(4) == 0)) s->cc_op |= CC_OVER;
    for (unsigned k = 0; k < NATIVE_DATA_SIZE; k += 8) st64(s->data + k, value());
}

static void show(const struct state *s, u64 end, u64 total)
{
    printf("# %s, %" PRIu64 " instructions of:", kind_names[kind], total);
    for (u64 at = START; at < end;) {
        struct insn i;
        if (decode(m.c->decoder, ram_at(at), 15, code_size(), &i) != DECODE_OK) break;
        printf("\n#   %03x ", (unsigned)(at & 0xfff));
        for (unsigned k = 0; k < i.len; k++) printf(" %02x", ram_at(at)[k]);
        printf("  %s", insn_rows[i.op].name);
        at += i.len;
    }
    printf("\n# before: cc_op %x flags %x", s->cc_op, s->eflags);
    for (int r = 0; r < 16; r++) printf(" r%d %" PRIx64, r, s->gpr[r]);
    printf("\n");
}
// What differs, empty if nothing.
static size_t differ_vec(char *why, size_t room, const struct state *a, const struct state *b)
{
    size_t n = 0;
    const struct fpu *f = &a->fpu, *g = &b->fpu;
    if (memcmp(f, g, sizeof *f))
        n += snprintf(
            why, room, " x87 (fsw %x, want %x, tags %x, want %x, fop %x, want %x, fip %x, want %x, fdp %x, want %x);",
            g->fsw, f->fsw, g->tags, f->tags, g->fop, f->fop, (u32)g->fip, (u32)f->fip, (u32)g->fdp, (u32)f->fdp);
    for (unsigned k = 0; k < 8; k++)
        if (f->m[k] != g->m[k] || f->se[k] != g->se[k]) {
            n += snprintf(why + n, room - n, " R%u %x:%" PRIx64 ", want %x:%" PRIx64 ";", k, g->se[k], g->m[k],
                          f->se[k], f->m[k]);
            break;
        }
    if (a->mxcsr != b->mxcsr) n += snprintf(why + n, room - n, " mxcsr %x, want %x;", b->mxcsr, a->mxcsr);
    for (unsigned k = 0; k < 16; k++)
        if (memcmp(a->vec[k], b->vec[k], 16)) {
            n += snprintf(why + n, room - n, " xmm%u %" PRIx64 ":%" PRIx64 ", want %" PRIx64 ":%" PRIx64 ";", k,
                          ld64(b->vec[k] + 8), ld64(b->vec[k]), ld64(a->vec[k] + 8), ld64(a->vec[k]));
            break;
        }
    return n;
}
static void differ(char *why, size_t room, const struct state *a, const struct state *b, u32 fa, u32 fb)
{
    size_t n = 0;
    why[0] = 0;
    if (a->steps != b->steps)
        n += snprintf(why + n, room - n, " %" PRIu64 " steps, want %" PRIu64 ";", b->steps, a->steps);
    n += differ_vec(why + n, room - n, a, b);
    if (a->exc != b->exc) n += snprintf(why + n, room - n, " exception %d, want %d;", b->exc, a->exc);
    for (int r = 0; r < 18 && n < room - 80; r++)
        if (a->gpr[r] != b->gpr[r])
            n += snprintf(why + n, room - n, " r%d %" PRIx64 ", want %" PRIx64 ";", r, b->gpr[r], a->gpr[r]);
    if (a->gs_base != b->gs_base || a->kernel_gs_base != b->kernel_gs_base)
        n += snprintf(why + n, room - n, " GS base %" PRIx64 ", want %" PRIx64 ";", b->gs_base, a->gs_base);
    if (fa != fb && n < room - 80) n += snprintf(why + n, room - n, " flags %x, want %x;", fb, fa);
}

// The translator: n instructions in slices of random length.
static void translated(struct state *s, u64 n)
{
    struct cpu *c = m.c;
    volatile u64 done = 0, slice = 0;
    jmp_buf jb;
    c->fault = &jb;
    if (!setjmp(jb)) {
        while (done < n) {
            slice = below(3) ? n - done : 1 + below(n - done);
            translated_run(c, slice);
            done += c->icount;
            if (c->attn & ATTN_SHADOW)
                c->attn = 0;
            else if (c->icount != slice)
                break;
        }
    } else {
        done += c->icount;
        c->gpr[R_RIP] = c->engine->fault_rip(c);
        c->cur = NULL;
    }
    save(s);
    s->steps = done;
}

static u64 steps_run[K_COUNT];
static bool program(u64 number, bool loud)
{
    static struct state start, want, got;
    static u8 before[RAM_SIZE], after[RAM_SIZE];
    seed = (number + 1) * 0x9e3779b97f4a7c15ull | 1;
    for (int k = 0; k < 4; k++) rnd();
    enum kind k = below(2) ? K64 : K32 + below(K_COUNT - K32);
    bool small_limit = below(2), ss32 = below(2);
    vectors_too = below(2);
    set_kind(k, small_limit, ss32);
    m.c->cpl = below(2) ? 0 : 3;
    if (!m.c->cpl) m.c->mode &= ~(u32)MODE_USER;
    memset(ram_at(NATIVE_BASE), 0x90, RAM_SIZE);
    st16(ram_at(NATIVE_TAKEN), 0xfeeb);
    start_state(&start);
    load(&start);
    u64 at = START, length = 2 + below(14);
    for (unsigned k = 0; k < length && at < START + CODE_MAX; k++)
        if (!append(&at)) break;
    st16(ram_at(at), 0xfeeb);
    // the reference
    load(&start);
    memcpy(before, ram_at(NATIVE_BASE), RAM_SIZE);
    u64 total = 1 + below(below(3) ? 4 * length : 60 * length), done = 0; // the latter goes round linked loops
    while (done < total && step()) done++;
    if (m.c->exc < 0) total = done;
    save(&want);
    u32 want_flags = flags_get(m.c);
    want.steps = done;
    steps_run[kind] += done;
    memcpy(after, ram_at(NATIVE_BASE), RAM_SIZE);
    if (!total) return true;
    memcpy(ram_at(NATIVE_BASE), before, RAM_SIZE);
    load(&start);
    m.c->engine->invalidate(m.c, NATIVE_BASE, RAM_SIZE);
    if (loud) {
        show(&start, at, total);
        m.bus.log.cats = 1u << LOG_OP | 1u << LOG_OPOPT | 1u << LOG_OUTASM;
        m.bus.log.out = stdout;
    }
    translated(&got, total);
    u32 flags = flags_get(m.c);
    char why[1000];
    differ(why, sizeof why, &want, &got, want_flags, flags);
    const u8 *ram = ram_at(NATIVE_BASE);
    for (unsigned k = 0; k < RAM_SIZE && strlen(why) < 900; k++)
        if (ram[k] != after[k]) {
            sprintf(why + strlen(why), " memory %x %02x, want %02x;", NATIVE_BASE + k, ram[k], after[k]);
            break;
        }
    if (!why[0]) return true;
    if (!check_ctx.bad) show(&start, at, total);
    printf("# program %" PRIu64 ":%s\n", number, why);
    check_ctx.bad = true;
    return false;
}

// An instruction that begins a block and looks at flags finds any record there, whichever it was translated for: CF
// alone, conditions, all of EFLAGS.
static bool any_record(void)
{
    static struct state start, want, got;
    static const struct {
        u8 n, b[8];
    } code[] = {{3, {0xff, 0xc1, 0x9c}},       {2, {0x9c, 0x90}},       {3, {0x11, 0xca, 0x9c}},
                {3, {0xd1, 0xd9, 0x9c}},       {3, {0xf5, 0x9c, 0x90}}, {4, {0x0f, 0x9e, 0xc0, 0x9c}},
                {4, {0x0f, 0x90, 0xc0, 0x9c}}, {3, {0x76, 0x00, 0x9c}}, {4, {0x0f, 0x4b, 0xd1, 0x9c}}};
    for (unsigned first = CC_EFLAGS; first < CC_AH + 4; first += 3)
        for (unsigned k = 0; k < ARRAY_LEN(code); k++) {
            seed = first + k + 1;
            set_kind(K64, false, true);
            memset(ram_at(NATIVE_BASE), 0x90, RAM_SIZE);
            memcpy(ram_at(START), code[k].b, code[k].n);
            st16(ram_at(START) + code[k].n, 0xfeeb);
            m.c->engine->invalidate(m.c, NATIVE_BASE, RAM_SIZE);
            for (unsigned n = 0; n < 2 * (CC_AH + 4); n++) {
                unsigned op = n ? n / 2 : first;
                if ((op > CC_EFLAGS && op < CC_ADD) || op > CC_AH) op = CC_EFLAGS;
                start_state(&start);
                bool over = (op & ~3u) == CC_SHX || (n & 1);
                u64 mask = ~(u64)0 >> (64 - (8u << (op & 3)));
                start.cc_op = op | (over ? CC_OVER_CF << below(2) : 0) | (over && below(2) ? CC_OVER : 0);
                if ((op & ~3u) == CC_SHX) start.cc_op |= CC_OVER;
                start.cc_dst = op >= CC_COUNT ? value() : value() & mask;
                start.cc_src = op >= CC_COUNT                  ? value()
                               : op >= CC_INC && op < CC_SHIFT ? below(2)
                               : op >= CC_SHIFT && op < CC_SHX ? below(8)
                                                               : value() & mask;
                load(&start);
                tcg_flags_normal(m.c);
                step(), step(), step();
                save(&want);
                u32 flags = flags_get(m.c);
                want.steps = 3;
                load(&start);
                translated(&got, 3);
                char why[1000];
                differ(why, sizeof why, &want, &got, flags, flags_get(m.c));
                if (!why[0]) continue;
                printf("not ok any_record: code %u, translated for %x, record %x:%s\n", k, first, start.cc_op, why);
                return false;
            }
        }
    printf("ok any_record\n");
    return true;
}

int main(int argc, char **argv)
{
    machine_open();
    setvbuf(stdout, NULL, _IOLBF, 0);
    translated_open(m.c, !getenv("NO_OPT"));
    translated_config.one_insn = getenv("ONE") != NULL;
    translated_config.size = 8 << 20;
    m.c->engine->destroy(m.c);
    m.c->engine_data = m.c->engine->create(m.c);
    for (unsigned op = 1; op < OP_COUNT; op++) {
        // What may unmask exceptions changes the mode, for which the segments here are not real enough.
        static const u16 never_vec[] = {OP_FLDENV_M, OP_FLDCW_Mw,   OP_FRSTOR_M, OP_FXRSTOR_M,
                                        OP_XRSTOR_M, OP_LDMXCSR_Md, OP_XSAVE_M,  OP_XSAVEOPT_M};
        may_run[op] =
            op <= OP_RORX_GyEyIb ? runnable(&insn_rows[op]) : !(insn_rows[op].attr & (A_CPL0 | A_SYS | A_VEX));
        for (unsigned k = 0; k < ARRAY_LEN(never_vec); k++)
            if (op == never_vec[k]) may_run[op] = false;
        may_run[op] |= is_system(op);
    }
    m.c->cr0 |= CR0_NE | CR0_MP;
    m.c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
    x87_init(m.c);
    if (argc > 1) {
        program(strtoull(argv[1], NULL, 0), true);
        return 0;
    }
    unsigned cases = check_cases(3000), bad = 0;
    u64 from = check_seed(0);
    bad += !any_record();
    for (unsigned k = 0; k < cases; k++) bad += !program(from + k, false);
    if (bad)
        printf("not ok programs: %u of %u differ\n", bad, cases);
    else
        printf("ok programs (%u)\n", cases);
    for (unsigned k = 0; k < K_COUNT; k++) printf("# %s: %" PRIu64 " instructions\n", kind_names[k], steps_run[k]);
    return bad != 0;
}
