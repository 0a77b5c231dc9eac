// SPDX-License-Identifier: MIT
// IRET and INT n as translated code does them in place: a kernel that interrupts itself, goes to ring 3 and comes back,
// on both engines, in slices of odd lengths, while gates, descriptors, stacks, limits, flags, paging and pending events
// change under it. Everything the guest could see must agree, and so must the trail of events. The reference forgets
// before each slice what it has noted, so that it takes the long way where translated code repeats.
#include "cpu/hook.h"
#include "interp/interp.h"
#include "mem/base/buf.h"
#include "tcg/tcg.h"
#include "tests/insn/pair.h"

// At 7000h (64-bit code: the kernel's parts through supervisor pages, 400000h higher):
//   main:  mov esp, 9000h; add; cmp eax, ebx; int 80h; push U_DS, a000h, flags | [b000h], U_CS, 7100h; iret
//   7080h: adc; image of flags |= [b008h]; iret                              INT 80h
//   7100h: add; sub; int 81h; adc; xor; loop four times; int 82h             ring 3
//   7200h: sbb; image of flags |= [b010h]; DS = FS = [b018h]; iret           INT 81h
//   7300h: add; jmp main                                                     INT 82h
//   7380h: add; jmp main                                                     exceptions
struct stretch {
    u16 at;
    u8 n, b[128];
};
static const struct stretch code64[] = {
    {0x0, 42, {0xbc, 0x00, 0x90, 0x40, 0x00, 0x49, 0x83, 0xc0, 0x01, 0x39, 0xd8, 0xcd, 0x80, 0x48,
               0x8b, 0x04, 0x25, 0x00, 0xb0, 0x40, 0x00, 0x6a, 0x23, 0x68, 0x00, 0xa0, 0x00, 0x00,
               0x9c, 0x48, 0x09, 0x04, 0x24, 0x6a, 0x33, 0x68, 0x00, 0x71, 0x00, 0x00, 0x48, 0xcf}},
    {0x80,
     19,
     {0x49, 0x83, 0xd1, 0x01, 0x48, 0x8b, 0x04, 0x25, 0x08, 0xb0, 0x40, 0x00, 0x48, 0x09, 0x44, 0x24, 0x10, 0x48,
      0xcf}},
    {0x100, 25, {0x49, 0x83, 0xc2, 0x01, 0x4d, 0x29, 0xd3, 0xcd, 0x81, 0x49, 0x83, 0xd4, 0x00,
                 0x4d, 0x31, 0xe5, 0xff, 0xc9, 0x83, 0xe1, 0x03, 0x75, 0xe9, 0xcd, 0x82}},
    {0x200, 33, {0x48, 0x83, 0xda, 0x01, 0x48, 0x8b, 0x04, 0x25, 0x10, 0xb0, 0x40, 0x00, 0x48, 0x09, 0x44, 0x24, 0x10,
                 0x8e, 0x1c, 0x25, 0x18, 0xb0, 0x40, 0x00, 0x8e, 0x24, 0x25, 0x18, 0xb0, 0x40, 0x00, 0x48, 0xcf}},
    {0x300, 9, {0x48, 0x83, 0xc5, 0x01, 0xe9, 0xf7, 0xfc, 0xff, 0xff}},
    {0x380, 9, {0x48, 0x83, 0xc6, 0x01, 0xe9, 0x77, 0xfc, 0xff, 0xff}},
};
static const struct stretch code32[] = {
    {0x0, 37, {0xbc, 0x00, 0x90, 0x00, 0x00, 0x83, 0xc7, 0x01, 0x39, 0xd8, 0xcd, 0x80, 0x36,
               0xa1, 0x00, 0xb0, 0x00, 0x00, 0x6a, 0x23, 0x68, 0x00, 0xa0, 0x00, 0x00, 0x9c,
               0x09, 0x04, 0x24, 0x6a, 0x1b, 0x68, 0x00, 0x71, 0x00, 0x00, 0xcf}},
    {0x80, 14, {0x83, 0xd7, 0x01, 0x36, 0xa1, 0x08, 0xb0, 0x00, 0x00, 0x09, 0x44, 0x24, 0x08, 0xcf}},
    {0x100, 20, {0x83, 0xc6, 0x01, 0x29, 0xf7, 0xcd, 0x81, 0x83, 0xd5, 0x00,
                 0x31, 0xef, 0x49, 0x83, 0xe1, 0x03, 0x75, 0xee, 0xcd, 0x82}},
    {0x200, 28, {0x83, 0xda, 0x01, 0x36, 0xa1, 0x10, 0xb0, 0x00, 0x00, 0x09, 0x44, 0x24, 0x08, 0x36,
                 0x8e, 0x1d, 0x18, 0xb0, 0x00, 0x00, 0x36, 0x8e, 0x25, 0x18, 0xb0, 0x00, 0x00, 0xcf}},
    {0x300, 15, {0x83, 0xc5, 0x01, 0xb8, 0x23, 0x00, 0x00, 0x00, 0x8e, 0xd8, 0xe9, 0xf1, 0xfc, 0xff, 0xff}},
    {0x380, 17, {0x83, 0xc6, 0x01, 0xb8, 0x23, 0x00, 0x00, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0xe9, 0x6f, 0xfc, 0xff, 0xff}},
};
enum { KERNEL = 0x400000, MAIN = 0x7000, FAULT = 0x7380, WORDS = 0xb000, INNER = 0x8800 /* no page with code */ };

static bool in_long_mode;
static struct seg start[S_COUNT];

static u32 base(void) { return in_long_mode ? KERNEL : 0; }
static u16 code_sel(void) { return in_long_mode ? K_CS64 : K_CS; }

static void set_vector(struct pair *p, unsigned v, u16 sel, u32 off, unsigned access, unsigned ist)
{
    poke_both(p, IDT + v * (in_long_mode ? 16 : 8), gate(sel, base() + off, access, ist));
    if (in_long_mode) poke_both(p, IDT + v * 16 + 8, 0);
}
static u64 right_desc(u16 sel)
{
    u32 attr = sel == K_DS     ? A_DATA0
               : sel == U_DS   ? A_DATA3
               : sel == K_CS   ? A_CODE0
               : sel == U_CS   ? A_CODE3
               : sel == K_CS64 ? A_CODE64_0
                               : A_CODE64_3;
    return descriptor(0, 0xfffff, attr);
}

// Everything as it was in the beginning, code too.
static void put_code(struct pair *p)
{
    const struct stretch *code = in_long_mode ? code64 : code32;
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < ARRAY_LEN(code64); i++) {
            u8 *to = p->m[k]->ram->host + MAIN + code[i].at;
            if (!memcmp(to, code[i].b, code[i].n)) continue;
            memcpy(to, code[i].b, code[i].n);
            p->m[k]->c->engine->invalidate(p->m[k]->c, MAIN + code[i].at, code[i].n);
        }
}
static void revive(struct pair *p)
{
    static const u16 sels[] = {K_CS, K_DS, U_CS, U_DS, K_CS64, U_CS64};
    for (unsigned v = 0; v < 32; v++) set_vector(p, v, code_sel(), FAULT, 0x8e, 0);
    for (unsigned v = 0; v < 3; v++)
        set_vector(p, 0x80 + v, code_sel(), (u32)(v == 0 ? 0x7080 : v == 1 ? 0x7200 : 0x7300), 0xee, 0);
    for (unsigned k = 0; k < ARRAY_LEN(sels); k++) poke_both(p, GDT + (sels[k] & 0xf8), right_desc(sels[k]));
    poke_both(p, TSS + 4, in_long_mode ? KERNEL + INNER : INNER | (u64)K_DS << 32);
    poke_both(p, WORDS + 0x18, U_DS);
    for (int k = 0; k < 2; k++) {
        struct cpu *c = p->m[k]->c;
        c->halt = CPU_RUNNING;
        c->exc = c->exc_first = -1;
        c->attn = 0;
        c->nmi_blocked = false;
        c->eflags = FL_R1;
        c->cc_op = CC_EFLAGS;
        c->cpl = 0;
        memcpy(c->seg, start, sizeof c->seg);
        c->gdt_base = base() + GDT, c->gdt_limit = 0xff;
        c->idt_base = base() + IDT, c->idt_limit = 0xfff;
        c->seg[S_TR].base = base() + TSS;
        c->gpr[R_RIP] = base() + MAIN;
        cpu_update_mode(c);
    }
}

static void disturb(struct pair *p)
{
    u16 sel = (u16)DRAW(p, K_CS, U_CS, U_DS, K_DS, K_CS64, U_CS64);
    u32 v = 0x80 + draw(p, 3), n, m;
    switch (draw(p, 40)) {
    case 0:
        set_vector(p, v, (u16)(draw(p, 6) ? code_sel() : DRAW(p, U_CS, U_CS64, 0)),
                   (u32)DRAW(p, 0x7080, 0x7200, 0x7300, 0x7080, 0x7200), (u32)DRAW(p, 0xee, 0xee, 0xef, 0x8e, 0x6e),
                   in_long_mode ? (u32)DRAW(p, 0, 0, 1) : 0);
        break;
    case 1:
    case 2:
        poke_both(p, GDT + (sel & 0xf8),
                  right_desc(sel) ^ DRAW(p, 0, 1ull << 40, 1ull << 41, 1ull << 42, 1ull << 45, 1ull << 47, 1ull << 52,
                                         1ull << 55, 16));
        break;
    case 3:
    case 4: poke_both(p, GDT + (sel & 0xf8), right_desc(sel)); break;
    case 5:
        n = base() + (u32)DRAW(p, INNER, INNER + 5, STACK0, 0xc010, 0xc0c0, 0x200000);
        poke_both(p, TSS + 4, in_long_mode ? n : n | DRAW(p, K_DS, K_DS, K_DS, U_DS) << 32);
        break;
    case 6: poke_both(p, TSS + 0x24, DRAW(p, 0x40c800, 0x40cff8, 0x800000000000)); break;
    case 7:
    case 8:
    case 9:
        n = 8 * draw(p, 3);
        poke_both(p, WORDS + n, DRAW(p, 0, 0, FL_RF, FL_RF, FL_IF, FL_DF, FL_AC, FL_ID, FL_IOPL, FL_TF, FL_NT, FL_VIF));
        break;
    case 10: poke_both(p, WORDS + 0x18, DRAW(p, 0, U_DS, U_DS, K_DS, 3)); break;
    case 11:
        n = (u32)DRAW(p, 0xff, 0xff, 0x27, 0x36), m = (u32)DRAW(p, 0xfff, 0xfff, 0x81e, 0x417);
        for (int k = 0; k < 2; k++) p->m[k]->c->gdt_limit = (u16)n, p->m[k]->c->idt_limit = (u16)m;
        break;
    case 12:
        n = (u32)DRAW(p, 0x67, 0x67, 8, 10);
        for (int k = 0; k < 2; k++) p->m[k]->c->seg[S_TR].limit = n;
        break;
    case 13:
    case 14:
        n = p->m[0]->c->cr4 ^ (draw(p, 2) ? CR4_PGE : CR4_SMAP);
        for (int k = 0; k < 2; k++) {
            struct cpu *c = p->m[k]->c;
            u8 cpl = c->cpl;
            c->cpl = 0;
            RUNS(c, sys_write_cr(c, 4, n));
            c->cpl = cpl;
            cpu_update_mode(c);
        }
        break;
    case 15:
        for (int k = 0; k < 2; k++) tlb_flush(p->m[k]->c, true);
        break;
    case 16:
        for (int k = 0; k < 2; k++) cpu_nmi(p->m[k]->c);
        break;
    case 17:
        n = (u32)DRAW(p, FL_NT, FL_AC, FL_IF, FL_TF);
        for (int k = 0; k < 2; k++) sys_set_eflags(p->m[k]->c, n, n);
        break;
    case 18:
        for (int k = 0; k < 2; k++) p->m[k]->c->cr0 ^= CR0_AM, cpu_update_mode(p->m[k]->c);
        break;
    case 19:
    case 20:
    case 21:
    case 22:
        put_code(p);
        revive(p);
        break;
    default: break;
    }
}

static void same(struct pair *p)
{
    struct cpu *a = p->m[0]->c, *b = p->m[1]->c;
    for (unsigned r = 0; r < 16; r++) CHECK_EQ(b->gpr[r], a->gpr[r]);
    CHECK_EQ(b->gpr[R_RIP], a->gpr[R_RIP]);
    CHECK_EQ(flags_get(b), flags_get(a));
    CHECK_EQ(b->mode, a->mode);
    CHECK_EQ(b->tlb - b->tlbs, a->tlb - a->tlbs);
    CHECK_EQ((u32)b->jump_context, (u32)a->jump_context);
    CHECK_EQ((b->jump_context >> 32) == b->tlb_gen, (a->jump_context >> 32) == a->tlb_gen);
    CHECK_EQ(b->cpl, a->cpl);
    CHECK_EQ(b->icount, a->icount);
    CHECK_EQ(b->nmi_blocked, a->nmi_blocked);
    CHECK_EQ(b->attn, a->attn);
    CHECK_EQ(b->halt, a->halt);
    for (unsigned s = 0; s < S_COUNT; s++) {
        const struct seg *x = &a->seg[s], *y = &b->seg[s];
        CHECK_EQ(y->sel | y->attr << 16, x->sel | x->attr << 16);
        CHECK(y->base == x->base && y->limit == x->limit && y->rend == x->rend && y->wend == x->wend);
        CHECK_EQ(y->usable, x->usable);
    }
    CHECK(!memcmp(p->m[0]->ram->host, p->m[1]->ram->host, 0x10000));
    CHECK_EQ(b->trail->nevents, a->trail->nevents);
    for (unsigned k = 0; k < TRAIL; k++) {
        const struct trail_event *x = &a->trail->event[k], *y = &b->trail->event[k];
        CHECK(y->icount == x->icount && y->rip == x->rip && y->cr2 == x->cr2 && y->rsp == x->rsp);
        CHECK(y->err == x->err && y->cs == x->cs && y->vector == x->vector && y->kind == x->kind);
        CHECK(y->has_err == x->has_err && y->during == x->during && y->cpl == x->cpl);
    }
}

// What translated code has left for C inside blocks.
static int calls_of(struct cpu *c)
{
    struct buf info = {0};
    c->engine->info(c, &info);
    const char *calls = strstr(buf_text(&info), "inside blocks: ");
    int n = calls ? atoi(calls + 15) : INT32_MAX;
    buf_free(&info);
    return n;
}

static void hook_protect(void *o, u64 pa) { tlb_protect(((struct machine *)o)->c, pa); }
static void hook_written(void *o, u64 pa, u64 len)
{
    struct cpu *c = ((struct machine *)o)->c;
    c->engine->invalidate(c, pa, len);
}

static void run(struct pair *p)
{
    struct tcg_config config = tcg_default_config;
    struct cpu_engine tcg = tcg_engine;
    config.size = TCG_SIZE_MIN;
    config.cold = 1;
    tcg.config = &config;
    for (int k = 0; k < 2; k++) {
        const struct cpu_engine *e = k ? &tcg : &interp_engine;
        p->m[k] = in_long_mode ? machine_long_engine("max", e) : machine_protected_engine("max", e);
        if (in_long_mode) poke(p->m[k], PDIR + 16, 0x83, 8);
        p->m[k]->c->seg[S_TR].limit = 0x67;
        p->m[k]->bus.hooks = (struct bus_hooks){p->m[k], NULL, hook_protect, hook_written}; // stacks run into code
    }
    for (unsigned s = S_ES; s <= S_GS; s++) // segments that ring 3 may keep
        if (s != S_CS && s != S_SS) RUNS(p->m[0]->c, seg_load(p->m[0]->c, s, U_DS));
    memcpy(start, p->m[0]->c->seg, sizeof start);
    put_code(p);
    revive(p);
    // undisturbed: nearly all in place
    for (int k = 0; k < 2; k++) CHECK_EQ(cpu_run(p->m[k]->c, 20000), CPU_STOP_BUDGET);
    same(p);
    CHECK(p->m[0]->c->trail->nevents > 1500);
    CHECK(calls_of(p->m[1]->c) < 300);
    for (u32 turn = 0; turn < 6000 && !check_ctx.bad; turn++) {
        disturb(p);
        u64 budget = draw(p, 8) ? 60 + draw(p, 200) : 1 + draw(p, 60);
        enum cpu_stop why[2];
        for (int k = 0; k < 2; k++) {
            struct cpu *c = p->m[k]->c;
            if (!k) memset(c->int_memo, 0, sizeof c->int_memo), memset(c->ret_memo, 0, sizeof c->ret_memo);
            why[k] = cpu_run(c, budget);
        }
        CHECK_EQ(why[1], why[0]);
        same(p);
        if (check_ctx.bad) printf("# turn %u\n", turn);
        if (why[0] == CPU_STOP_BUDGET) continue;
        put_code(p);
        revive(p);
    }
    CHECK(p->m[0]->c->gpr[R_RBP] > 100);
    for (int k = 0; k < 2; k++) {
        p->m[k]->bus.hooks = (struct bus_hooks){0};
        machine_free(p->m[k]);
    }
}

static void long_mode(void)
{
    struct pair p = {.seed = 1};
    in_long_mode = true;
    run(&p);
}
static void flat_32(void)
{
    struct pair p = {.seed = 2};
    in_long_mode = false;
    run(&p);
}

// ---- page faults: ring 3 works on 16 pages, whose entries lack this and that; the handler gives a page, or more of
// it, and notes CR2 and error code in R8 and R9
//   7000h: to ring 3      7080h: #PF      7100h: reads, writes, read-modify-writes, push and pop, vectors, REP MOVSB
static const struct stretch faulting[] = {
    {0x0, 23, {0xbc, 0x00, 0x90, 0x40, 0x00, 0x6a, 0x23, 0x68, 0x00, 0xa0, 0x00, 0x00,
               0x6a, 0x02, 0x6a, 0x33, 0x68, 0x00, 0x71, 0x00, 0x00, 0x48, 0xcf}},
    {0x80, 62, {0x50, 0x53, 0x0f, 0x20, 0xd0, 0x49, 0x01, 0xc0, 0x49, 0xc1, 0xc1, 0x03, 0x4c, 0x33, 0x4c, 0x24,
                0x10, 0x0f, 0x01, 0x38, 0xc1, 0xe8, 0x0c, 0x83, 0xe0, 0x0f, 0x48, 0x8d, 0x1c, 0xc5, 0x00, 0x30,
                0x50, 0x00, 0x48, 0x0f, 0xba, 0x33, 0x33, 0xf6, 0x44, 0x24, 0x10, 0x01, 0x74, 0x04, 0x48, 0x83,
                0x0b, 0x06, 0x48, 0x83, 0x0b, 0x01, 0x5b, 0x58, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf}},
    {0x100, 119, {0x4d, 0x69, 0xd2, 0xfd, 0x43, 0x03, 0x00, 0x49, 0x81, 0xc2, 0xc3, 0x9e, 0x26, 0x00, 0x4c,
                  0x89, 0xd7, 0x48, 0xc1, 0xef, 0x10, 0x81, 0xe7, 0xfb, 0xff, 0x00, 0x00, 0x81, 0xc7, 0x00,
                  0x00, 0x60, 0x00, 0x48, 0x89, 0xfe, 0x81, 0xf6, 0x00, 0x30, 0x00, 0x00, 0x41, 0x39, 0xfa,
                  0x48, 0x8b, 0x07, 0x48, 0x89, 0x47, 0x08, 0x4c, 0x11, 0x5f, 0x10, 0x65, 0x48, 0x03, 0x46,
                  0x30, 0x03, 0x15, 0xc1, 0x8f, 0x5f, 0x00, 0x67, 0x66, 0xf7, 0x57, 0x3c, 0x48, 0x8d, 0x66,
                  0x10, 0x50, 0x5b, 0xf7, 0xc5, 0x07, 0x00, 0x00, 0x00, 0x74, 0x15, 0x28, 0x1e, 0x0f, 0xb7,
                  0x57, 0x28, 0xb9, 0x05, 0x00, 0x00, 0x00, 0xf3, 0xa4, 0x4c, 0x03, 0x5f, 0x64, 0xff, 0xc5,
                  0xeb, 0x95, 0xf3, 0x0f, 0x6f, 0x47, 0x18, 0xf3, 0x0f, 0x7f, 0x46, 0x18, 0xeb, 0xdf}},
};
enum { PAGES = 0x20000, TABLE = 0x103000, NPAGES = 16 };

static void same_pages(struct pair *p)
{
    same(p);
    CHECK_EQ(p->m[1]->c->cr2, p->m[0]->c->cr2);
    CHECK(!memcmp(p->m[1]->c->vec, p->m[0]->c->vec, sizeof p->m[0]->c->vec));
    CHECK(!memcmp(p->m[0]->ram->host + PAGES, p->m[1]->ram->host + PAGES, (NPAGES + 2) * PAGE_SIZE));
    for (u32 k = 0; k < NPAGES + 2; k++) CHECK_EQ(peek(p->m[1], TABLE + 8 * k, 8), peek(p->m[0], TABLE + 8 * k, 8));
}

static void faults(void)
{
    struct pair p = {.seed = 3};
    struct tcg_config config = tcg_default_config;
    struct cpu_engine tcg = tcg_engine;
    in_long_mode = true;
    config.size = TCG_SIZE_MIN;
    config.cold = 1;
    tcg.config = &config;
    for (int k = 0; k < 2; k++) {
        struct machine *m = p.m[k] = machine_long_engine("max", k ? &tcg : &interp_engine);
        poke(m, PDIR + 16, 0x83, 8);
        poke(m, PDIR + 24, TABLE | 7, 8);
        for (unsigned i = 0; i < ARRAY_LEN(faulting); i++)
            memcpy(m->ram->host + MAIN + faulting[i].at, faulting[i].b, faulting[i].n);
        for (u32 i = 0; i < NPAGES + 2; i++)
            poke(m, TABLE + 8 * i, (PAGES + i * PAGE_SIZE) | (i < NPAGES ? 0 : 0x67), 8);
        for (u32 i = 0; i < NPAGES * PAGE_SIZE; i += 4) poke(m, PAGES + i, i * 0x9e3779b1u, 4);
        RUNS(m->c, sys_write_cr(m->c, 4, CR4_PAE | CR4_PGE | CR4_OSFXSR));
        m->c->efer |= EFER_NXE;
    }
    RUNS(p.m[0]->c, seg_load(p.m[0]->c, S_GS, U_DS));
    p.m[0]->c->seg[S_GS].base = 0x10;
    memcpy(start, p.m[0]->c->seg, sizeof start);
    for (u32 turn = 0; turn < 6000 && !check_ctx.bad; turn++) {
        u32 n = draw(&p, NPAGES), v = draw(&p, 4);
        u64 e = (PAGES + n * PAGE_SIZE) | DRAW(&p, 0, 1, 3, 5, 7, 7, 0x25, 0x27, 0x67, 0x63, 0x167, 0x127) |
                DRAW(&p, 0, 0, 0, 1ull << 51, 1ull << 63);
        if (!turn) revive(&p);
        set_vector(&p, EXC_PF, K_CS64, 0x7080, 0x8e, 0);
        for (int k = 0; k < 2; k++) {
            struct cpu *c = p.m[k]->c;
            if (v) poke(p.m[k], TABLE + 8 * n, e, 8);
            if (v == 1) poke(p.m[k], PDIR + 24, TABLE | 7 | (n & 1) << 5, 8);
            tlb_flush(c, true);
            if (!k) memset(c->int_memo, 0, sizeof c->int_memo), memset(c->ret_memo, 0, sizeof c->ret_memo);
        }
        u64 budget = draw(&p, 8) ? 40 + draw(&p, 200) : 1 + draw(&p, 40);
        for (int k = 0; k < 2; k++) CHECK_EQ(cpu_run(p.m[k]->c, budget), CPU_STOP_BUDGET);
        same_pages(&p);
        if (check_ctx.bad) printf("# turn %u\n", turn);
    }
    CHECK(p.m[0]->c->gpr[R_RBP] > 10000);
    CHECK(p.m[0]->c->trail->nevents > 2000);
    for (int k = 0; k < 2; k++) machine_free(p.m[k]);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(long_mode), TEST(flat_32), TEST(faults)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
