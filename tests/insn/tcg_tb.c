// SPDX-License-Identifier: MIT
// The translator's run-time without its compiler: a stand-in makes every instruction an exit to C, but counts, links
// and resumes as real code does. What the guest sees must be what the reference engine shows, at every instruction
// count. tcg_edge.c runs the same with the real compiler.
#include "interp/interp.h"
#include "mem/base/buf.h"
#include "tcg/tcg.h"
#include "tests/insn/machine.h"

#if !defined(__x86_64__)
int main(void) { return printf("skip tcg_tb: the host is not x86-64\n") < 0; }
#else

#ifndef REAL_COMPILER
// ---- the stand-in for tb_compile() and the host's part: x86-64 by hand (SDM vol. 2)

enum { FAR_ROOM = 72 };
static u8 disp8(size_t field) { return (u8)((i32)field - TCG_BIAS); }
#define FIELD(f)    disp8(offsetof(struct cpu, f))

static u8 *put(u8 *p, const void *bytes, unsigned n) { return (u8 *)memcpy(p, bytes, n) + n; }
#define PUT(p, ...) put(p, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))
static u8 *put32(u8 *p, u32 v) { return put(p, &v, 4); }
static u8 *put64(u8 *p, u64 v) { return put(p, &v, 8); }

u32 host_thunks(u8 *rw, const u8 *rx, const u8 *stubs, struct host_entry *h)
{
    u8 *p = rw;
    h->enter = rx;
    // lea rsp, [rsp - 128]; push rax, rbx, rbp, r12-r15; sub rsp, 8; lea r14, [rdi + 128]; jmp rsi
    p = PUT(p, 0x48, 0x8d, 0x64, 0x24, 0x80, 0x50, 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48,
            0x83, 0xec, 8);
    p = PUT(p, 0x4c, 0x8d, 0xb7, TCG_BIAS, 0, 0, 0, 0xff, 0xe6);
    h->stub = rx + (p - rw);
    p = PUT(p, 0x41, 0x5b); // pop r11
    h->exit = rx + (p - rw);
    // mov eax, r11d; add rsp, 8; pop all; lea rsp, [rsp + 128]; jmp rcx
    p = PUT(p, 0x44, 0x89, 0xd8, 0x48, 0x83, 0xc4, 8, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0x59,
            0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0, 0xff, 0xe1);
    return (u32)(p - rw);
}

static u8 *leave(u8 *p, u32 rec) // mov r11d, rec; jmp [r14 + host_exit]
{
    p = PUT(p, 0x41, 0xbb);
    p = put32(p, rec);
    return PUT(p, 0x41, 0xff, 0x66, FIELD(host_exit));
}

void host_stubs(u8 *rw, const u8 *rx, const struct host_entry *h, u32 first, u32 n, const u8 *code)
{
    for (u32 i = first; i < first + n; i++) { // push i; jmp h->stub
        u8 *p = put32(PUT(rw + i * HOST_STUB, 0x68), i);
        put32(PUT(p, 0xe9), (u32)(h->stub - (rx + (i + 1) * HOST_STUB)));
    }
}

void host_patch_entry(u8 *rw, u32 at, u32 to)
{
    rw[at] = 0xe9;
    st32(rw + at + 1, to - (at + 5));
}

static void link_far(u8 *rw, u32 at, u32 gen, u64 base, u32 to)
{
    u8 *p = rw + at, *end = p + 8 + 2 + 10 + 4 + 2 + 8 + 5;
    u32 rec = ld32(p - 8), target = ld32(p - 4);
    p = PUT(p, 0x41, 0x81, 0x7e, (u8)(FIELD(jump_context) + 4)); // cmp dword [r14 + jump_context + 4], gen
    p = put32(p, gen);
    p = PUT(p, 0x75, (u8)(end - p - 2), 0x49, 0xbb); // jne end; mov r11, base
    p = put64(p, base);
    p = PUT(p, 0x4d, 0x39, 0x5e, FIELD(code_base));                          // cmp [r14 + code_base], r11
    p = PUT(p, 0x75, (u8)(end - p - 2), 0x49, 0x81, 0x46, FIELD(code_base)); // jne end; add [r14 + code_base], imm
    p = put32(p, target & ~0xfffu);
    p = PUT(p, 0xe9);
    p = put32(p, to - (u32)(p + 4 - rw));
    leave(p, rec);
}

void host_link(u8 *rw, u32 code, const struct tb_rec *r, const struct host_link *l)
{
    u32 at = code + r->patch;
    if (r->kind == REC_FAR)
        link_far(rw, at, l->gen, l->base, l->to);
    else
        st32(rw + at, l->to - (at + 4));
}

void host_unlink(u8 *rw, u32 code, const struct tb_rec *r, u32 stub)
{
    if (r->kind == REC_FAR)
        leave(rw + code + r->patch, ld32(rw + code + r->patch - 8));
    else
        st32(rw + code + r->patch, 0);
}

u32 host_side(u8 *rw, u32 code, u32 at, u32 stub, const struct tb *t, struct tb_rec *r) { return 0; } // no EDGE_SIDE
i8 host_link_net(const u8 *rw, u32 code, const struct tb_rec *r) { return 0; }

void host_patch_guard(u8 *rw, u32 at, u32 gen, u64 base)
{
    st32(rw + at + 4, gen);
    st64(rw + at + 16, base);
}

i32 host_jump_distance(const u8 *code) { return 0; }

static u8 *jne(u8 *p, const u8 *to)
{
    p = PUT(p, 0x0f, 0x85);
    return put32(p, (u32)(to - (p + 4)));
}

struct stand_in {
    const struct tb *t;
    struct tb_code *out;
    u8 *p;
};

static struct tb_rec *record(struct stand_in *s, unsigned kind, unsigned insn, i32 target)
{
    struct tb_rec *r = &s->out->rec[s->out->nrec++];
    *r = (struct tb_rec){.kind = (u8)kind, .insn = (u8)insn, .done = (u8)insn, .cc_op = 0xffff, .target = target};
    r->cc_dst = r->cc_src = CC_IN_MEMORY;
    return r;
}

static void jump(struct stand_in *s, unsigned insn, i32 target, unsigned flags)
{
    bool far = target & ~0xfff;
    struct tb_rec *r = record(s, far ? REC_FAR : REC_JUMP, insn, target);
    u32 n = s->out->rec0 + s->out->nrec - 1;
    r->done = (u8)(insn + 1);
    r->resume_flags = (u8)flags;
    if (far) {
        s->p = put32(s->p, 0), s->p = put32(s->p, 0); // a NOP would do: never reached
        s->p -= 8;
        s->p = PUT(s->p, 0xeb, 10);
        s->p = PUT(s->p, 0x90, 0x90);
        s->p = put32(put32(s->p, n), (u32)target);
        r->patch = (u16)(s->p - s->out->rw);
        leave(s->p, n);
        s->p += FAR_ROOM;
        return;
    }
    s->p = PUT(s->p, 0xe9);
    r->patch = (u16)(s->p - s->out->rw);
    s->p = put32(s->p, 0); // to the next instruction: the exit
    s->p = leave(s->p, n);
}

bool tb_compile(struct compile_env *e, const struct tb *t, struct tb_code *out)
{
    struct stand_in s = {t, out, out->rw};
    i32 at = t->pa & 0xfff;
    bool open = true;
    out->nrec = 0;
    struct tb_rec *r = record(&s, REC_BUDGET, 0, at);
    s.p = PUT(s.p, 0x49, 0x83, 0x6e, FIELD(left), (u8)t->n, 0x79, 10); // sub [r14 + left], n; jns +10
    r->patch = (u16)(s.p - out->rw);
    s.p = leave(s.p, out->rec0);
    if (t->pa2 != ~(u64)0) {
        r->resume = (u16)(s.p - out->rw);
        s.p = PUT(s.p, 0x41, 0x81, 0x7e, (u8)(FIELD(jump_context) + 4), 0xff, 0xff, 0xff, 0xff); // cmp dword, -1
        s.p = jne(s.p, out->rw + r->patch);
        s.p = PUT(s.p, 0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x4d, 0x39, 0x5e, FIELD(code_base)); // mov r11; cmp
        s.p = jne(s.p, out->rw + r->patch);
    }
    for (unsigned k = 0; k < t->n; k++) {
        const struct insn *i = &t->insn[k];
        bool direct = i->op == OP_JMP_Jb || i->op == OP_JMP_Jz;
        if (direct) {
            jump(&s, k, at + i->len + (i32)i->imm, EDGE_TAKEN);
            open = false;
            break;
        }
        r = record(&s, REC_INSN, k, at);
        s.p = leave(s.p, out->rec0 + out->nrec - 1);
        at += i->len;
        open = !(insn_rows[i->op].attr & (A_END | A_SYS | A_IO)) || i->op == OP_JCC_Jb || i->op == OP_JCC_Jz;
        if (open) r->resume = (u16)(s.p - out->rw);
    }
    if (open) jump(&s, t->n - 1, at, 0);
    out->len = (u32)(s.p - out->rw);
    return true;
}

#endif
// ---- the same program on both engines

static void hook_protect(void *o, u64 pa) { tlb_protect(((struct machine *)o)->c, pa); }
static void hook_written(void *o, u64 pa, u64 len)
{
    struct cpu *c = ((struct machine *)o)->c;
    c->engine->invalidate(c, pa, len);
}

struct pair {
    struct machine *ref, *tcg;
    struct cpu_engine engine;
    struct tcg_config config;
};

static void pair_new(struct pair *p, struct tcg_config config)
{
    p->engine = tcg_engine;
    p->config = config;
    if (!p->config.size) p->config.size = TCG_SIZE_MIN;
    p->engine.config = &p->config;
    p->ref = machine_protected_engine("max", &interp_engine);
    p->tcg = machine_protected_engine("max", &p->engine);
    struct machine *m[] = {p->ref, p->tcg};
    for (int i = 0; i < 2; i++) m[i]->bus.hooks = (struct bus_hooks){m[i], NULL, hook_protect, hook_written};
}

static void pair_free(struct pair *p)
{
    p->ref->bus.hooks = p->tcg->bus.hooks = (struct bus_hooks){0};
    machine_free(p->ref);
    machine_free(p->tcg);
}

static void code(struct pair *p, u32 at, const void *bytes, unsigned n)
{
    CHECK(bus_dma_write(&p->ref->bus, at, bytes, n));
    CHECK(bus_dma_write(&p->tcg->bus, at, bytes, n));
}
#define CODE(p, at, ...) code(p, at, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void same(struct pair *p)
{
    struct cpu *a = p->ref->c, *b = p->tcg->c;
    for (unsigned i = 0; i < R_COUNT; i++) CHECK_EQ(b->gpr[i], a->gpr[i]);
    CHECK_EQ(flags_get(b), flags_get(a));
    CHECK_EQ(b->icount, a->icount);
    CHECK_EQ(b->cr2, a->cr2);
    CHECK_EQ(b->halt, a->halt);
    CHECK_EQ(b->seg[S_CS].sel, a->seg[S_CS].sel);
}

static void both_run(struct pair *p, u64 budget)
{
    enum cpu_stop a = cpu_run(p->ref->c, budget), b = cpu_run(p->tcg->c, budget);
    CHECK_EQ(b, a);
    same(p);
}

static void same_memory(struct pair *p) { CHECK(!memcmp(p->ref->ram->host, p->tcg->ram->host, p->ref->ram->size)); }

// Runs `total` instructions in slices of 1 to `most`.
static void slices(struct pair *p, u64 total, unsigned most)
{
    for (u64 n = 0, k = 1; n < total && !check_ctx.bad; k = k * 7 % 61) {
        u64 b = 1 + k % most;
        both_run(p, b);
        n += b;
    }
    same_memory(p);
}

static const struct tcg_config variants[] = {
    {.cold = 0}, {.cold = 0, .one_insn = true}, {.cold = 3}, {.cold = 0, .no_opt = true}};
#define EACH_VARIANT(p)                                                                                                \
    for (unsigned v_ = 0; v_ < ARRAY_LEN(variants) && !check_ctx.bad; v_++, pair_free(p))                              \
        if (pair_new(p, variants[v_]), true)

// A loop over memory with conditional jumps, a call, a string instruction and a far jump to another page.
static void load_loop(struct pair *p)
{
    CODE(p, 0x7000, 0xbe, 0, 0, 1, 0,                               // mov esi, 10000h
         0x31, 0xc0,                                                // xor eax, eax
         0xb9, 20, 0, 0, 0,                                         // 7007: mov ecx, 20
         0x03, 0x04, 0x8e,                                          // 700c: add eax, [esi + ecx * 4]
         0x89, 0x04, 0x8e,                                          // mov [esi + ecx * 4], eax
         0xa8, 1,                                                   // test al, 1
         0x75, 3,                                                   // jnz +3
         0x83, 0xc0, 5,                                             // add eax, 5
         0xe8, 0xe4, 0x1f, 0, 0,                                    // call 9000h
         0x49,                                                      // dec ecx
         0x75, 0xeb,                                                // jnz 700c
         0xe9, 0xdc, 0x2f, 0, 0);                                   // jmp a000h
    CODE(p, 0x9000, 0x42, 0x85, 0xd2, 0xc3);                        // inc edx; test edx, edx; ret
    CODE(p, 0xa000, 0xbf, 0, 0, 2, 0, 0xb9, 9, 0, 0, 0, 0xf3, 0xab, // mov edi, 20000h; mov ecx, 9; rep stosd
         0xe9, 0xf6, 0xcf, 0xff, 0xff);                             // jmp 7007
}

static void counts(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        load_loop(&p);
        slices(&p, 3000, 40);
        both_run(&p, 5000);
    }
}

// Numbers of `info jit`: the program above must have run in translated code, linked.
static void figures(void)
{
    struct pair p;
    pair_new(&p, (struct tcg_config){.cold = 2});
    load_loop(&p);
    both_run(&p, 20000);
    struct buf b = {0};
    p.tcg->c->engine->info(p.tcg->c, &b);
    const char *links = strstr(buf_text(&b), "links made");
    unsigned near = 0, far = 0;
    CHECK(links && sscanf(links, "links made %u in a page, %u between", &near, &far) == 2);
    CHECK(near >= 2 && far >= 2);
#ifndef REAL_COMPILER
    CHECK(strstr(buf_text(&b), "STOS_YvrAX"));
#endif
    buf_free(&b);
    pair_free(&p);
}

static void counts_one(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        load_loop(&p);
        slices(&p, 700, 3);
    }
}

// An interrupt that IF masks must neither stop nor slow the program down for good.
static void masked(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        load_loop(&p);
        cpu_set_intr(p.ref->c, 1);
        cpu_set_intr(p.tcg->c, 1);
        slices(&p, 800, 50);
    }
}

// The program changes an immediate of its own block ahead, then of a block that another one is linked to.
static void self_modifying(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        CODE(&p, 0x7000, 0xfe, 0x05, 0x08, 0x70, 0, 0, // inc byte [7008]
             0x90, 0x05, 0, 0, 0, 0,                   // nop; add eax, imm at 7008
             0xfe, 0x05, 0x01, 0x71, 0, 0,             // inc byte [7101]
             0xe9, 0xe9, 0, 0, 0);                     // jmp 7100
        CODE(&p, 0x7100, 0x05, 0, 0, 0, 0,             // add eax, imm at 7101
             0xe9, 0xf6, 0xfe, 0xff, 0xff);            // jmp 7000
        slices(&p, 2000, 30);
        CHECK(p.ref->c->gpr[R_RAX] > 1000);
    }
}

// Bytes beside code that are written as data for a while become code, and are written as before.
static void data_becomes_code(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        CODE(&p, 0x7000, 0xfe, 0x05, 0x21, 0x70, 0, 0, // inc byte [7021]
             0x41,                                     // inc ecx
             0x81, 0xf9, 200, 0, 0, 0,                 // cmp ecx, 200
             0x72, 0xf1,                               // jb 7000
             0xeb, 0x0f);                              // jmp 7020
        CODE(&p, 0x7020, 0x04, 0, 0xeb, 0xdc);         // add al, imm at 7021; jmp 7000
        slices(&p, 3000, 30);
        both_run(&p, 3000);
        CHECK(p.ref->c->gpr[R_RCX] > 300);
    }
}

// Loops whose head overwrites the flags, so that its edges do not keep them: what a slice's end shows must be right all
// the same, and when the head is another one that looks at them.
static void dead_flags(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        CODE(&p, 0x7000, 0x01, 0xc8,             // add eax, ecx
             0x31, 0xd3,                         // xor ebx, edx
             0x4a,                               // dec edx
             0x75, 0xf9,                         // jnz 7000
             0x83, 0xc2, 7,                      // add edx, 7
             0x83, 0xe9, 3,                      // 700a: sub ecx, 3
             0x72, 0x03,                         // jb 7012
             0x41,                               // inc ecx
             0xeb, 0xf8,                         // jmp 700a
             0xb9, 20, 0, 0, 0,                  // 7012: mov ecx, 20
             0x39, 0xf0,                         // cmp eax, esi
             0x0f, 0x87, 0xe1, 0x0f, 0, 0,       // ja 8000
             0xeb, 0xdf);                        // jmp 7000
        CODE(&p, 0x8000, 0x29, 0xf0,             // sub eax, esi
             0x0f, 0x83, 0xf8, 0xef, 0xff, 0xff, // jae 7000
             0xe9, 0xf3, 0xef, 0xff, 0xff);      // jmp 7000
        p.ref->c->gpr[R_RDX] = p.tcg->c->gpr[R_RDX] = 9;
        p.ref->c->gpr[R_RSI] = p.tcg->c->gpr[R_RSI] = 0x31415;
        p.ref->c->gpr[R_RCX] = p.tcg->c->gpr[R_RCX] = 40;
        slices(&p, 2500, 60);
        for (unsigned i = 0; i < 40; i++) {
            both_run(&p, 300 + i % 7);
            CODE(&p, 0x7000, i & 1 ? 0x01 : 0x11, 0xc8); // adc eax, ecx, and back
            both_run(&p, 301);
            CODE(&p, 0x8000, i & 2 ? 0x29 : 0x19, 0xf0);                 // sbb eax, esi, and back
            if (i % 3 == 0) CODE(&p, 0x700a, 0x83, i & 4 ? 0xe9 : 0xd9); // sbb ecx, 3, and back
        }
        same_memory(&p);
    }
}

// Code changed from outside between slices, in the middle of chains of linked blocks.
static void written_by_dma(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        CODE(&p, 0x7000, 0x40, 0xe9, 0xfa, 0, 0, 0);          // inc eax; jmp 7100
        CODE(&p, 0x7100, 0x43, 0xe9, 0xfa, 0x0e, 0, 0);       // inc ebx; jmp 8000
        CODE(&p, 0x8000, 0x42, 0xe9, 0xfa, 0xef, 0xff, 0xff); // inc edx; jmp 7000
        for (unsigned i = 0; i < 40; i++) {
            both_run(&p, 50 + i % 7);
            CODE(&p, i & 1 ? 0x7100 : 0x8000, (u8)(0x40 + i % 4)); // inc another one
            both_run(&p, 20);
        }
    }
}

enum { PD = 0x100000, PT = 0x101000 };
static void map(struct pair *p, u32 lin, u32 pte)
{
    CODE(p, PT + (lin >> 12) * 4, (u8)pte, (u8)(pte >> 8), (u8)(pte >> 16), (u8)(pte >> 24));
}

// Identity by 4 KB pages; flags for all.
static void paging(struct pair *p, u32 flags)
{
    CODE(p, PD, 0x07, 0x10, 0x10, 0);
    for (u32 at = 0; at < 4 << 20; at += 4096) map(p, at, at | flags);
    struct cpu *c[] = {p->ref->c, p->tcg->c};
    for (int i = 0; i < 2; i++) {
        TRY(c[i], sys_write_cr(c[i], 4, CR4_PGE));
        TRY(c[i], sys_write_cr(c[i], 3, PD));
        TRY(c[i], sys_write_cr(c[i], 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE));
    }
}

static void flush_page(struct pair *p, u32 lin)
{
    tlb_flush_page(p->ref->c, lin);
    tlb_flush_page(p->tcg->c, lin);
}

// One physical page at two linear addresses, whose relative jump to the next page leads to two different ones.
static void alias(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        paging(&p, 3);
        map(&p, 0x300000, 0x7003);
        map(&p, 0x301000, 0x9003);
        CODE(&p, 0x7000, 0x40, 0xe9, 0xfa, 0x0f, 0, 0);       // inc eax; jmp + page
        CODE(&p, 0x8000, 0x43, 0xe9, 0xfa, 0x7f, 0x2f, 0);    // inc ebx; jmp 300000
        CODE(&p, 0x9000, 0x42, 0xe9, 0xfa, 0x5f, 0xd0, 0xff); // inc edx; jmp 7000 (from 301006)
        slices(&p, 1500, 50);
        CHECK(p.ref->c->gpr[R_RBX] > 100 && p.ref->c->gpr[R_RDX] > 100);
    }
}

// A link to a page that is then another one: with global pages and without, after INVLPG and after MOV CR3.
static void remapped(void)
{
    struct pair p;
    for (unsigned global = 0; global < 2; global++) EACH_VARIANT(&p)
        {
            paging(&p, global ? 0x103 : 3);
            CODE(&p, 0x7000, 0x40, 0xe9, 0xfa, 0x0f, 0, 0);       // inc eax; jmp 8000
            CODE(&p, 0x8000, 0x43, 0xe9, 0xfa, 0xef, 0xff, 0xff); // inc ebx; jmp 7000
            CODE(&p, 0x9000, 0x42, 0xe9, 0xfa, 0xef, 0xff, 0xff); // inc edx; jmp - page
            for (unsigned i = 0; i < 20; i++) {
                both_run(&p, 100 + i);
                map(&p, 0x8000, (i & 1 ? 0x8003 : 0x9003) | (global ? 0x100 : 0));
                if (!global && (i & 2)) {
                    TRY(p.ref->c, sys_write_cr(p.ref->c, 3, PD));
                    TRY(p.tcg->c, sys_write_cr(p.tcg->c, 3, PD));
                } else {
                    flush_page(&p, 0x8000);
                }
            }
            CHECK(p.ref->c->gpr[R_RBX] > 100 && p.ref->c->gpr[R_RDX] > 100);
        }
}

// An instruction over a page border: its second page moves, is written, goes away.
static void straddling(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        paging(&p, 3);
        CODE(&p, 0x7ffd, 0x05, 1, 0, 0, 0, 0xeb, 0xf9); // add eax, 1; jmp 7ffd
        CODE(&p, 0x9000, 2, 0, 0xeb, 0xf9);             // … + 20000h
        p.ref->c->gpr[R_RIP] = p.tcg->c->gpr[R_RIP] = 0x7ffd;
        for (unsigned i = 0; i < 12; i++) {
            both_run(&p, 21);
            map(&p, 0x8000, i & 1 ? 0x8003 : 0x9003);
            flush_page(&p, 0x8000);
            both_run(&p, 20);
            CODE(&p, 0x8000, (u8)i);
        }
        map(&p, 0x8000, 0);
        flush_page(&p, 0x8000);
        both_run(&p, 20); // #PF without a handler: shutdown, CR2 = 8000
        CHECK_EQ(p.tcg->c->halt, CPU_SHUTDOWN);
        CHECK_EQ(p.tcg->c->cr2, 0x8000);
    }
}

// More blocks than the code memory holds.
static void full(void)
{
    struct pair p;
    enum { N = 60000, AT = 0x200000 };
    pair_new(&p, (struct tcg_config){.cold = 0});
    for (u32 i = 0; i < N; i++) CODE(&p, AT + 4 * i, 0x40, 0xeb, 1, 0x90); // inc eax; jmp + 1
    CODE(&p, AT + 4 * N, 0xe9, 0xfb, 0xff - (4 * N >> 8 & 0xff), 0xff - (4 * N >> 16), 0xff);
    CODE(&p, AT + 4 * N, 0xf4);
    p.ref->c->gpr[R_RIP] = p.tcg->c->gpr[R_RIP] = AT;
    both_run(&p, 2 * N);
    CHECK_EQ(p.tcg->c->gpr[R_RAX], N);
    struct buf b = {0};
    p.tcg->c->engine->info(p.tcg->c, &b);
    CHECK(!strstr(buf_text(&b), "which 0 because"));
    buf_free(&b);
    pair_free(&p);
}

// To another code segment, running again after a shutdown.
static void go(struct machine *m, u16 sel, u32 off)
{
    struct cpu *c = m->c;
    c->halt = CPU_RUNNING;
    RUNS(c, far_jmp(c, sel, off, 4));
}

// Segmented code: a jump beyond CS's limit raises before it has happened, running off the end behind the last
// instruction; 16-bit jumps wrap.
static void segmented(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        struct machine *m[] = {p.ref, p.tcg};
        for (int i = 0; i < 2; i++) {
            set_desc(m[i], SPARE, descriptor(0x6800, 0x17ff, 0x409b));
            set_desc(m[i], SPARE + 8, descriptor(0x6800, 0xffff, 0x009b));
            go(m[i], SPARE, 0x800);
        }
        CODE(&p, 0x7000, 0x40, 0x3c, 200, 0x72, 0xfb, 0xe9, 0xf3, 0x0f, 0, 0); // inc eax; cmp al, 200; jb; jmp 17fd
        CODE(&p, 0x7ffd, 0x43, 0x90, 0x90);                                    // inc ebx; off the end
        slices(&p, 300, 17);
        both_run(&p, 1000);
        CHECK_EQ(p.tcg->c->halt, CPU_SHUTDOWN);
        CHECK_EQ(p.tcg->c->gpr[R_RIP], 0x1800);
        CHECK_EQ(p.tcg->c->gpr[R_RBX], 1);
        go(p.ref, SPARE, 0x800);
        go(p.tcg, SPARE, 0x800);
        CODE(&p, 0x7000, 0x40, 0xe9, 0xfb, 0x0f, 0, 0); // inc eax; jmp 1801
        both_run(&p, 1000);
        CHECK_EQ(p.tcg->c->gpr[R_RIP], 0x801);
        go(p.ref, SPARE + 8, 0x800);
        go(p.tcg, SPARE + 8, 0x800);
        CODE(&p, 0x7000, 0x40, 0xe9, 0xec, 0xf7);  // inc ax; jmp fff0
        CODE(&p, 0x167f0, 0x43, 0xe9, 0x0c, 0x08); // inc bx; jmp 800
        slices(&p, 300, 17);
        CHECK(p.tcg->c->gpr[R_RBX] > 50);
    }
}

// Two CPUs with page tables of their own share the blocks, but not the links between pages.
static void two_cpus(void)
{
    for (unsigned v = 0; v < ARRAY_LEN(variants); v++) {
        struct pair p;
        pair_new(&p, variants[v]);
        struct machine *m = p.tcg;
        struct cpu_pins pins = {.owner = m, .triple_fault = m_triple, .tsc = m_tsc};
        struct cpu *c[2] = {m->c, cpu_new(&m->bus, 1, m->model, &p.engine, &pins)};
        paging(&p, 3);
        CODE(&p, 0x7000, 0x40, 0xe9, 0xfa, 0x0f, 0, 0);       // inc eax; jmp 8000
        CODE(&p, 0x8000, 0x43, 0xe9, 0xfa, 0xef, 0xff, 0xff); // inc ebx; jmp 7000
        CODE(&p, 0x9000, 0x42, 0xe9, 0xfa, 0xef, 0xff, 0xff); // inc edx; jmp - page
        memcpy(m->ram->host + 0x200000, m->ram->host + PD, 0x2000);
        poke(m, 0x200000, 0x201007, 4);
        poke(m, 0x201000 + 8 * 4, 0x9003, 4);
        c[1]->halt = CPU_RUNNING;
        TRY(c[1], sys_write_cr(c[1], 3, 0x200000));
        TRY(c[1], sys_write_cr(c[1], 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE));
        memcpy(c[1]->seg, c[0]->seg, sizeof c[0]->seg);
        for (unsigned i = S_ES; i <= S_GS; i++) seg_update(c[1], i);
        cpu_update_mode(c[1]);
        c[1]->gpr[R_RIP] = 0x7000;
        for (unsigned k = 0; k < 2; k++) c[k]->gpr[R_RAX] = c[k]->gpr[R_RBX] = c[k]->gpr[R_RDX] = 0;
        for (unsigned i = 0; i < 30; i++)
            for (unsigned k = 0; k < 2; k++) cpu_run(c[k], 40);
        CHECK_EQ(c[0]->gpr[R_RAX], 300);
        CHECK_EQ(c[0]->gpr[R_RBX], 300);
        CHECK_EQ(c[0]->gpr[R_RDX], 0);
        CHECK_EQ(c[1]->gpr[R_RAX], 300);
        CHECK_EQ(c[1]->gpr[R_RBX], 0);
        pair_free(&p);
    }
}

// Pages whose first-level slots are the same, in turn: loads, stores, PUSH and POP, accesses on two pages. Then mapped
// elsewhere, with INVLPG and MOV CR3 between address spaces; and one becomes code that the stores change.
static void conflicts(void)
{
    enum { A = 0x800000, B = 0x1000000, C = 0x1800000, SLOT = 5 << 12, STUB = 0x20100 };
    struct pair p;
    EACH_VARIANT(&p)
    {
        bool g = v_ & 1; // global pages
        paging(&p, 3);
        for (unsigned i = 0; i < 3; i++) { // page tables at 102000 …: 8 MB apart from each other
            CODE(&p, PD + (i + 1) * 8, 0x07, (u8)(0x20 + 16 * i), 0x10, 0);
            u32 pte = 0x20003 + (i << 12) + g * 0x100, next = 0x24003 + (i << 12) + g * 0x100;
            CODE(&p, 0x102000 + (i << 12) + 5 * 4, (u8)pte, (u8)(pte >> 8), (u8)(pte >> 16), 0);
            CODE(&p, 0x102000 + (i << 12) + 6 * 4, (u8)next, (u8)(next >> 8), (u8)(next >> 16), 0);
        }
        for (u32 at = 0x20000; at < 0x28000; at += 4) CODE(&p, at, (u8)(at >> 2), (u8)(at >> 7), (u8)(at >> 12), 9);
        CODE(&p, STUB, 0xb8, 1, 2, 3, 4, 0xc3);     // mov eax, imm; ret
        CODE(&p, 0x7000, 0xa1, 0x10, 0x50, 0x80, 0, // mov eax, [A + 5010]
             0x01, 0xc3,                            // add ebx, eax
             0x03, 0x1d, 0x10, 0x50, 0, 1,          // add ebx, [B + 5010]
             0xff, 0x05, 0x20, 0x50, 0x80, 0,       // inc dword [A + 5020]
             0xff, 0x05, 0x20, 0x50, 0, 1,          // inc dword [B + 5020]
             0x8b, 0x0d, 0xfe, 0x5f, 0x80, 0,       // mov ecx, [A + 5ffe]
             0x01, 0xcb,                            // add ebx, ecx
             0x11, 0x1d, 0xfd, 0x5f, 0, 1,          // adc [B + 5ffd], ebx
             0xff, 0x35, 0x10, 0x50, 0x80, 0,       // push dword [A + 5010]
             0xff, 0x35, 0x20, 0x50, 0, 1,          // push dword [B + 5020]
             0x58, 0x5a, 0x01, 0xc2,                // pop eax; pop edx; add edx, eax
             0x66, 0x89, 0x15, 0x01, 0x51, 0x80, 0, // mov [A + 5101], dx
             0xeb, 0xc0);                           // jmp 7000
        p.ref->c->gpr[R_RSP] = p.tcg->c->gpr[R_RSP] = C + SLOT + 0x800;
        struct cpu *c = p.tcg->c;
        slices(&p, 1200, 60);
#ifdef REAL_COMPILER
        CHECK(c->refills > 100);
#endif
        for (unsigned i = 0; i < 6; i++) {
            u32 pte = 0x20003 + ((i & 1 ? 0 : 7) << 12) + g * 0x100;
            CODE(&p, 0x102000 + 5 * 4, (u8)pte, (u8)(pte >> 8), (u8)(pte >> 16), 0);
            if (g || i < 3) {
                flush_page(&p, A + SLOT);
            } else {
                TRY(p.ref->c, sys_write_cr(p.ref->c, 3, PD));
                TRY(c, sys_write_cr(c, 3, PD));
            }
            slices(&p, 400, 50);
        }
        // The stub becomes code: from now on the store into it is seen.
        CODE(&p, 0x703e, 0xe8, 0xbd, 0x90, 1, 0, 0xeb, 0xbb); // call STUB; jmp 7000
        slices(&p, 1500, 60);
        // Write-protected, no longer present: INVLPG each time.
        for (unsigned i = 0; i < 3; i++) {
            CODE(&p, 0x102000 + 5 * 4, i < 2 ? 1 : 0);
            flush_page(&p, A + SLOT);
            both_run(&p, 300);
        }
    }
}

// CF and OF of ADCX and ADOX, which stay in the host's EFLAGS from one to the next, where accesses in between leave,
// fault, and are found at last; the carry passes the end of the block.
static void carry_chains(void)
{
    enum { DATA = 0x30000 };
    struct pair p;
    EACH_VARIANT(&p)
    {
        paging(&p, 3);
        CHECK(cpu_has(p.ref->c, FEAT_ADX));
        for (u32 at = DATA; at < DATA + 0x4000; at += 4) CODE(&p, at, (u8)(at * 5), (u8)(at >> 3), 0xff, (u8)(at >> 4));
        CODE(&p, IDT + 14 * 8, 0, 0x78, K_CS, 0, 0, 0x8e); // #PF: hlt
        CODE(&p, 0x7800, 0xf4);
        CODE(&p, 0x7100, 0x66, 0x0f, 0x38, 0xf6, 0x46, 4, // adcx eax, [esi + 4]
             0xf3, 0x0f, 0x38, 0xf6, 0xca,                // adox ecx, edx
             0x66, 0x0f, 0x38, 0xf6, 0xd9,                // adcx ebx, ecx
             0xf3, 0x0f, 0x38, 0xf6, 0x5e, 8,             // adox ebx, [esi + 8]
             0x89, 0x46, 16,                              // mov [esi + 16], eax
             0x66, 0x0f, 0x38, 0xf6, 0xd0,                // adcx edx, eax
             0x0f, 0x92, 0x46, 20,                        // setb [esi + 20]
             0xf3, 0x0f, 0x38, 0xf6, 0xc3,                // adox eax, ebx
             0x0f, 0x90, 0x46, 21,                        // seto [esi + 21]
             0x8d, 0x76, 4,                               // lea esi, [esi + 4]
             0xf3, 0x0f, 0x38, 0xf6, 0x56, 0xf0,          // adox edx, [esi - 16]
             0x66, 0x0f, 0x38, 0xf6, 0xc8,                // adcx ecx, eax
             0x8d, 0x7f, 0xff,                            // lea edi, [edi - 1]
             0x87, 0xf9,                                  // xchg ecx, edi
             0xe3, 4,                                     // jecxz + 4
             0x87, 0xf9,                                  // xchg ecx, edi
             0xeb, 0xbc,                                  // jmp 7100
             0xf4);                                       // hlt
        for (unsigned i = 0; i < 4 && !check_ctx.bad; i++) {
            u32 page = DATA + 0x1000, pte = i == 1 ? page | 1 : i == 2 ? 0 : page | 3;
            map(&p, page, pte);
            flush_page(&p, page);
            for (int k = 0; k < 2; k++) {
                struct cpu *c = k ? p.tcg->c : p.ref->c;
                c->gpr[R_RIP] = 0x7100;
                c->gpr[R_RAX] = 0xfffffff0;
                c->gpr[R_RDX] = 0x80000001;
                c->gpr[R_RSI] = DATA + 0x1000 - (i == 3 ? 0x81 : 0x80);
                c->gpr[R_RDI] = 60;
                c->halt = CPU_RUNNING;
                TRY(c, sys_write_cr(c, 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP));
            }
            for (unsigned n = 0; n < 1200 && !check_ctx.bad; n += 31) {
                both_run(&p, 31);
                if (p.ref->c->halt != CPU_RUNNING) break;
            }
            same_memory(&p);
            map(&p, page, page | 3);
            flush_page(&p, page);
        }
    }
}

// Accesses that may share a check, in every position around the end of a page: the stack moves down over it, a
// structure up; then the page behind, or the one before, is read-only, absent, another one, or holds the code itself.
static void shared_checks(void)
{
    enum { DATA = 0x30000, STACK = 0x38000 };
    struct pair p;
    EACH_VARIANT(&p)
    {
        paging(&p, 3);
        for (u32 at = DATA; at < STACK + 0x2000; at += 4) CODE(&p, at, (u8)(at >> 2), (u8)(at >> 5), (u8)(at >> 9), 1);
        CODE(&p, IDT + 14 * 8, 0, 0x78, K_CS, 0, 0, 0x8e); // #PF: hlt
        CODE(&p, 0x7800, 0xf4);
        CODE(&p, 0x7100, 0x50, 0x51, 0x53, // push eax; push ecx; push ebx
             0x03, 0x44, 0x24, 4,          // add eax, [esp + 4]
             0x89, 0x5c, 0x24, 0xf0,       // mov [esp - 16], ebx
             0x83, 0xec, 8,                // sub esp, 8
             0x31, 0x44, 0x24, 8,          // xor [esp + 8], eax
             0x83, 0xc4, 12,               // add esp, 12
             0x5a, 0x59,                   // pop edx; pop ecx
             0x8b, 0x46, 8,                // mov eax, [esi + 8]
             0x03, 0x46, 4,                // add eax, [esi + 4]
             0x89, 0x46, 16,               // mov [esi + 16], eax
             0x8b, 0x5e, 12,               // mov ebx, [esi + 12]
             0x85, 0xc9,                   // test ecx, ecx
             0x78, 3,                      // js + 3
             0x89, 0x5e, 20,               // mov [esi + 20], ebx
             0x03, 0x46, 16,               // add eax, [esi + 16]
             0x66, 0xff, 0x46, 22,         // inc word [esi + 22]
             0x02, 0x4e, 23,               // add cl, [esi + 23]
             0x01, 0xc1,                   // add ecx, eax
             0x83, 0xc6, 4,                // add esi, 4
             0x83, 0xec, 4,                // sub esp, 4
             0x4f,                         // dec edi
             0x75, 0xc1,                   // jnz 7100
             0xf4);                        // hlt
        for (unsigned i = 0; i < 7 && !check_ctx.bad; i++) {
            u32 page = i == 5 ? STACK : DATA + 0x1000, pte = i == 1 || i == 5 ? page | 1
                                                             : i == 2         ? 0
                                                             : i == 3         ? 0x7003
                                                                              : page | 3;
            map(&p, page, pte);
            flush_page(&p, page);
            for (int k = 0; k < 2; k++) {
                struct cpu *c = k ? p.tcg->c : p.ref->c;
                c->gpr[R_RIP] = 0x7100;
                c->gpr[R_RSP] = STACK + 0x1000 + (i == 4 ? 0x82 : 0x90);
                c->gpr[R_RSI] = DATA + 0x1000 - (i == 4 ? 0x91 : 0x80) - (i == 6 ? 0x400 : 0);
                c->gpr[R_RDI] = 60;
                c->halt = CPU_RUNNING;
                TRY(c, sys_write_cr(c, 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP));
            }
            for (unsigned n = 0; n < 1700 && !check_ctx.bad; n += 29) {
                both_run(&p, 29);
                if (p.ref->c->halt != CPU_RUNNING) break;
            }
            same_memory(&p);
            map(&p, page, page | 3);
            flush_page(&p, page);
        }
    }
}

// Stores of all kinds beside the code that makes them, through another mapping of the page: within a line, over lines,
// up to the byte before code, and into code. Then lines of data become code, the mapping changes, the page is
// write-protected, and the screen asks for its writes.
static void beside(void)
{
    enum { ALIAS = 0x9000, STUB = 0x783c, LATER = 0x747c };
    struct pair p;
    EACH_VARIANT(&p)
    {
        struct cpu *c = p.tcg->c;
        paging(&p, v_ & 1 ? 0x103 : 3);
        map(&p, ALIAS, 0x7003);
        for (u32 at = 0x20000; at < 0x21000; at += 4) CODE(&p, at, (u8)(at >> 2), (u8)(at >> 5), 7, 1);
        CODE(&p, IDT + 14 * 8, 0, 0x60, K_CS, 0, 0, 0x8e); // #PF: hlt
        CODE(&p, 0x6000, 0xf4);
        CODE(&p, STUB, 0x05, 1, 2, 3, 4, 0xc3);         // add eax, imm; ret
        CODE(&p, 0x7a00, 0x05, 9, 8, 7, 6, 0xc3);       // add eax, imm; ret: a line's first byte is written, too
        CODE(&p, LATER, 0x2d, 5, 6, 7, 8, 0xc3);        // sub eax, imm; ret
        CODE(&p, 0x7000, 0x45,                          // inc ebp
             0x6b, 0xf5, 5,                             // imul esi, ebp, 5
             0x81, 0xe6, 0xff, 0, 0, 0,                 // and esi, 255
             0x81, 0xc6, 0, 0x97, 0, 0,                 // 700a: add esi, 9700
             0x89, 0x06, 0x01, 0x4e, 3,                 // mov [esi], eax; add [esi + 3], ecx
             0x88, 0x46, 0x3c,                          // mov [esi + 60], al
             0x8b, 0x56, 8, 0xc1, 0xc2, 3,              // mov edx, [esi + 8]; rol edx, 3
             0x66, 0x89, 0x56, 0x21,                    // mov [esi + 33], dx
             0xff, 0x76, 4, 0x59,                       // push [esi + 4]; pop ecx
             0x89, 0xf7, 0xab, 0xaa, 0x66, 0xa5,        // mov edi, esi; stosd; stosb; movsw
             0xf0, 0x0f, 0xc1, 0x07,                    // lock xadd [edi], eax
             0xd9, 0xe8, 0xdb, 0x7f, 1,                 // fld1; fstp tbyte [edi + 1]
             0x11, 0xd0, 0xf7, 0xc5, 15, 0, 0, 0, 0x75, // adc eax, edx; test ebp, 15; jnz + 16
             16, 0xfe, 0x05, 0x3d, 0x98, 0, 0,          // inc byte [STUB's alias + 1]
             0x81, 0x35, 0xfd, 0x99, 0, 0, 1, 0, 0,     // xor dword [7a00's alias - 3], 30000001: add eax, xor eax
             0x30, 0xe8, 0xe8, 7, 0, 0,                 // 704f: call STUB
             0xe8, 0xa7, 9, 0, 0,                       // call 7a00
             0x31, 0xc1, 0xeb, 0xa3);                   // xor ecx, eax; jmp 7000
        CODE(&p, 0x6ff9, 0xdb, 0xe3, 0xe9, 0, 0, 0, 0); // fninit; jmp 7000
        p.ref->c->gpr[R_RIP] = c->gpr[R_RIP] = 0x6ff9;
        p.ref->c->gpr[R_RSP] = c->gpr[R_RSP] = ALIAS + 0xc40 + v_;
        slices(&p, 6000, 60);
#ifdef REAL_COMPILER
        if (!v_) { // most of them in place
            struct buf b = {0};
            both_run(&p, 20000);
            c->engine->info(c, &b);
            const char *left = strstr(buf_text(&b), "instruction exits: ");
            CHECK(left && atoi(left + 19) < 1500);
            if (check_ctx.bad) printf("%s\n", buf_text(&b));
            buf_free(&b);
        }
#endif
        CODE(&p, 0x700c, 0x40, 0x93); // the stores go elsewhere, …
        slices(&p, 2000, 60);
        CODE(&p, 0x7050, 0x28, 4); // … and next to them is code now
        slices(&p, 2000, 60);
        for (unsigned i = 0; i < 2; i++) { // to the next page and back
            map(&p, ALIAS, i ? 0x7003 : 0x20003);
            code(&p, i ? 0x7c00 : 0x20c00, p.ref->ram->host + (i ? 0x20c00 : 0x7c00), 0x100); // the stack
            if (v_ & 2) {
                flush_page(&p, ALIAS);
            } else {
                TRY(p.ref->c, sys_write_cr(p.ref->c, 3, PD));
                TRY(c, sys_write_cr(c, 3, PD));
            }
            both_run(&p, 300); // not at first by the interpreter, which would fill the TLB
            slices(&p, 1000, 50);
        }
        CHECK(phys_take_dirty(&p.tcg->bus, p.tcg->ram, 0x7000, PAGE_SIZE));
        CHECK(!phys_take_dirty(&p.tcg->bus, p.tcg->ram, 0x7000, PAGE_SIZE));
        both_run(&p, 100);
        CHECK_EQ(c->halt, CPU_RUNNING);
        CHECK(phys_take_dirty(&p.tcg->bus, p.tcg->ram, 0x7000, PAGE_SIZE));
        slices(&p, 500, 30);
        map(&p, ALIAS, 0x7001);
        for (int k = 0; k < 2; k++) {
            struct cpu *o = k ? c : p.ref->c;
            TRY(o, sys_write_cr(o, 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP));
            o->gpr[R_RSP] = 0x5800;
        }
        flush_page(&p, ALIAS);
        both_run(&p, 100);
        CHECK_EQ(c->halt, CPU_HALTED);
        same_memory(&p);
    }
}

// Calls that do not end by their own RET, by turns with such as do: a RET for a jump, three calls left at once, another
// stack, another mode, and more of them than translated code's stack has room for.
static void returns(void)
{
    struct pair p;
    EACH_VARIANT(&p)
    {
        CODE(&p, 0x7000, 0xbc, 0, 0, 0x3f, 0, // 7000: mov esp, 0x3f0000
             0x31, 0xdb,                      // xor ebx, ebx
             0xb9, 0x28, 0, 0, 0,             // 7007: mov ecx, 40
             0xe8, 0x26, 0, 0, 0,             // 700c: call 7037
             1, 0xc3,                         // add ebx, eax
             0x49,                            // dec ecx
             0x75, 0xf6,                      // jnz 700c
             0xe8, 0x41, 0, 0, 0,             // call retpoline
             0xe8, 0x4d, 0, 0, 0,             // call longjump
             0xe8, 0x62, 0, 0, 0,             // call other_stack
             0xe8, 0x81, 0, 0, 0,             // call 70ab
             0xba, 0x80, 0x1a, 6, 0,          // mov edx, 400000
             0xe8, 0x6d, 0, 0, 0,             // call 70a1
             0x45,                            // inc ebp
             0xeb, 0xd0,                      // jmp 7007
             0x89, 0xc8,                      // 7037: mov eax, ecx
             0xa8, 1,                         // test al, 1
             0x74, 8,                         // jz 7045
             0x6a, 5,                         // push 5
             0xe8, 0x0c, 0, 0, 0,             // call 7050
             0xc3,                            // ret
             0xe8, 0x0d, 0, 0, 0,             // 7045: call 7057
             0xe8, 8, 0, 0, 0,                // call 7057
             0xc3,                            // ret
             0x8b, 0x44, 0x24, 4,             // 7050: mov eax, [esp + 4]
             0xc2, 4, 0,                      // ret 4
             0x8d, 0x44, 0, 1,                // 7057: lea eax, [eax * 2 + 1]
             0xc3,                            // ret
             0xe8, 4, 0, 0, 0,                // call 7065
             0xf3, 0x90,                      // 7061: pause
             0xeb, 0xfc,                      // jmp 7061
             0xc7, 4, 0x24, 0x57, 0x70, 0, 0, // 7065: mov dword [esp], 7057
             0xc3,                            // ret
             0x55,                            // push ebp
             0x89, 0xe6,                      // mov esi, esp
             0xe8, 2, 0, 0, 0,                // call 7077
             0x5d,                            // 7075: pop ebp
             0xc3,                            // ret
             0xe8, 1, 0, 0, 0,                // 7077: call 707d
             0xc3,                            // ret
             0xe8, 1, 0, 0, 0,                // 707d: call 7083
             0xc3,                            // ret
             0x89, 0xf4,                      // 7083: mov esp, esi
             0xeb, 0xee,                      // jmp 7075
             0x89, 0xe7,                      // mov edi, esp
             0xbc, 0, 0, 0x20, 0,             // mov esp, 0x200000
             0xe8, 0xc4, 0xff, 0xff, 0xff,    // call 7057
             0x68, 0x99, 0x70, 0, 0,          // push 7099
             0xc3,                            // ret
             0x89, 0xfc,                      // 7099: mov esp, edi
             0xe8, 0xb7, 0xff, 0xff, 0xff,    // call 7057
             0xc3,                            // ret
             0x4a,                            // 70a1: dec edx
             0x74, 5,                         // jz 70a9
             0xe8, 0xf8, 0xff, 0xff, 0xff,    // call 70a1
             0x43,                            // 70a9: inc ebx
             0xc3,                            // ret
             0x80, 0x35, 0, 0x7f, 0, 0, 4,    // 70ab: xor byte [0x7f00], 4
             0xd9, 0x2d, 0, 0x7f, 0, 0,       // fldcw [0x7f00]
             0xc3);                           // ret
        CODE(&p, 0x7f00, 0x7f, 3);
        slices(&p, 20000, 60);
        both_run(&p, 4500000);
        same_memory(&p);
        CHECK(p.ref->c->gpr[R_RBP] >= 2);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(counts),       TEST(figures),        TEST(counts_one),
                                              TEST(masked),       TEST(self_modifying), TEST(data_becomes_code),
                                              TEST(dead_flags),   TEST(written_by_dma), TEST(alias),
                                              TEST(remapped),     TEST(straddling),     TEST(full),
                                              TEST(segmented),    TEST(two_cpus),       TEST(conflicts),
                                              TEST(carry_chains), TEST(shared_checks),  TEST(beside),
                                              TEST(returns)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
#endif
