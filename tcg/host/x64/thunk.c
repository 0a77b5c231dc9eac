// SPDX-License-Identifier: MIT
// The way into translated code and out of it: System V calling convention on one side, tcg/tcg.h's registers on the
// other.
#include "tcg/host/x64/emit.h"

static const u8 saved[] = {H_RBX, H_RBP, H_R12, 13, 14, 15};

// push index; jmp stub; or call fill; jmp behind the check.
void host_stubs(u8 *rw, const u8 *rx, const struct host_entry *h, u32 first, u32 n, const u8 *code)
{
    for (u32 i = first; i < first + n; i++) {
        const struct tb_rec *r = &h->rec[i];
        const u8 *middle = rx + (u64)i * HOST_STUB + 5, *end = middle + 5;
        u8 *p = rw + (u64)i * HOST_STUB;
        bool fill = r->fill;
        u32 routine = (u32)(h->fill[fill ? r->fill - 1 : 0] - middle),
            to = (u32)((fill ? code + r->patch : h->stub) - end);
        st64(p, (fill ? 0xe8 : 0x68) | (u64)(fill ? routine : i) << 8 | (u64)0xe9 << 40 | (u64)to << 48);
        st16(p + 8, (u16)(to >> 16));
    }
}

struct fill {
    const u8 *stubs;
    const struct host_entry *h;
    unsigned key;
    bool t0;
    struct opnd tag;        // of the entry
    u32 keep_xmm, load_xmm; // offsets of routines
    u32 fail[8];
    u32 nfail;
};

static void move_xmm(struct em *m, u32 opc)
{
    for (unsigned n = 0; n < 16; n++) {
        struct opnd v = o_mem(H_CPU, (i32)(offsetof(struct cpu, vec) + n * sizeof(union vec)) - TCG_BIAS);
        put_rm(m, 0, opc, 4, n, &v); // movaps
    }
}

static void put_moves(struct em *m, u32 opc)
{
    move_xmm(m, opc);
    put8(m, 0xc3);
}
static void put_call_if_xmm(struct em *m, u32 to)
{
    struct opnd live = O_CPU(host_live);
    put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_XMM, 1);
    u32 none = put_jcc(m, C_E), at = put_call(m);
    st32(m->start + at, to - (at + 4));
    patch_here(m, none);
}

// EAX = h->refill(cpu, R10, key), on C's stack. It raises nothing, looks at no count of instructions, writes no guest
// memory and computes with integers only, so translated code may stand below it: of the registers of vectors that it
// may change XMM alone can be the guest's. RCX, RDX and R10 are changed.
static void put_walk(struct em *m, const struct fill *f)
{
    static const u8 kept[] = {H_RSI, H_RDI, H_R8, H_R9, H_TMP, H_RBX};
    struct opnd c_sp = O_CPU(host_c_sp), to = o_reg(H_RAX), sp = o_reg(H_RSP);
    put_call_if_xmm(m, f->keep_xmm);
    for (unsigned k = 0; k < sizeof kept; k++) push_pop(m, kept[k], 0x50);
    put_rr(m, 0x8b, 8, H_RBX, H_RSP);
    put_load(m, 8, H_RSP, c_sp);
    put_alu(m, ALU_AND, 8, sp, o_imm(-16));
    put_lea(m, 8, H_RDI, H_CPU, NO_REG, 0, -TCG_BIAS);
    put_rr(m, 0x8b, 8, H_RSI, H_PTR);
    put_imm(m, 4, H_RDX, f->key);
    put_imm(m, 8, H_RAX, (i64)(uintptr_t)f->h->refill);
    put_rm(m, 0, 0xff, 4, 2, &to);
    put_rr(m, 0x8b, 8, H_RSP, H_RBX);
    for (unsigned k = sizeof kept; k-- > 0;) push_pop(m, kept[k], 0x58);
    put_call_if_xmm(m, f->load_xmm);
}

// ---- host_entry.fill: a MEM's check has failed. R11 = offset of the entry in the first level's table; R13 = (last
// byte's address xor tag) >> 12, or with IR_T0 there R10 = address xor tag; of a store without that R10 = address. The
// access may be made if
// - cpu.behind has the page, or a walk finds it: the entry is filled;
// - the entry is tlb_beside() the page, and the lines carry no code.
// Then the routine returns to its stub and behind the check, which needs R11 and R10 as they would be there. Else, or
// if the access lies on two pages, it goes on to the exit. (Filling touches neither record nor block: they would have
// to be brought into the cache.)
static const u8 fill_kept[] = {H_RAX, H_RCX, H_RDX, H_T0, H_PTR};
enum { KEPT_PTR = 0, KEPT_RETURN = 8 * sizeof fill_kept }; // from RSP
static void fill_fails(struct em *m, struct fill *f, unsigned cc) { f->fail[f->nfail++] = put_jcc(m, cc); }

static void put_filled(struct em *m, const struct fill *f)
{
    if (f->t0) { // what the check has made of the address
        put_load(m, 8, H_PTR, o_mem(H_RSP, KEPT_PTR));
        put_rm(m, 0, 0x33, 8, H_PTR, &f->tag);
        put_store(m, 8, o_mem(H_RSP, KEPT_PTR), H_PTR);
    }
    for (unsigned k = sizeof fill_kept; k-- > 0;) push_pop(m, fill_kept[k], 0x58);
    put8(m, 0xc3);
}

// ECX = span of the record whose stub has called: the stubs are an array, and so are the records.
static void put_span(struct em *m, const struct fill *f)
{
    _Static_assert(sizeof(struct tb_rec) == 4 * HOST_STUB, "the scale below");
    const u8 *returns = f->stubs + 5; // to stub 0
    put_load(m, 8, H_RDX, o_mem(H_RSP, KEPT_RETURN));
    put_imm(m, 8, H_RCX, (i64)((uintptr_t)&f->h->rec[0].span - 4 * (uintptr_t)returns));
    put_lea(m, 8, H_RCX, H_RCX, H_RDX, 2, 0);
    put_load(m, 1, H_RCX, o_mem(H_RCX, 0));
}

// The store at *RSP lies on a page with code. Returns where a branch goes that has none any more, R10 = the page.
static u32 put_beside(struct em *m, struct fill *f)
{
    struct opnd first = o_reg(H_RAX), last = o_reg(H_RCX), lines = o_reg(H_RDX), at = o_reg(H_PTR), addend = f->tag;
    struct opnd left = O_CPU(beside_left), word = o_mem(H_RDX, 0);
    put_span(m, f);
    addend.disp += (i32)offsetof(struct tlb_entry, addend);
    put_load(m, 8, H_RAX, o_mem(H_RSP, KEPT_PTR));
    put_rm(m, 0, 0x03, 8, H_RAX, &addend);
    put_alu(m, ALU_SUB, 8, first, O_CPU(beside_host));
    put_alu(m, ALU_ADD, 8, last, first);
    put_rmi(m, 0, 0xc1, 8, 5, &first, 6, 1); // the lines' numbers
    put_rmi(m, 0, 0xc1, 8, 5, &last, 6, 1);
    put_rr(m, 0x8b, 8, H_PTR, H_RAX);
    put_rmi(m, 0, 0xc1, 8, 5, &at, 6, 1);
    put_load(m, 8, H_RDX, O_CPU(beside_lines));
    put_lea(m, 8, H_RDX, H_RDX, H_PTR, 3, 0);
    put_load(m, 8, H_RDX, word);
    put_rr(m, 0x85, 8, H_RDX, H_RDX);
    u32 code = put_jcc(m, C_NE);
    put_load(m, 8, H_PTR, o_mem(H_RSP, KEPT_PTR));
    put_alu(m, ALU_AND, 8, at, o_imm(-(i64)PAGE_SIZE));
    u32 none = put_jmp(m);
    patch_here(m, code);
    put_rr(m, 0x8b, 4, H_PTR, H_RCX);
    put_alu(m, ALU_SUB, 4, at, first);
    put_rr(m, 0x8b, 4, H_RCX, H_RAX);
    put_rm(m, 0, 0xd3, 8, 5, &lines); // its bit 0 is the first line's
    put_rr(m, 0x85, 8, H_RDX, H_RDX);
    u32 above = put_jcc(m, C_E);
    put_rm(m, 0, 0x0fbc, 8, H_RCX, &lines); // bsf
    put_alu(m, ALU_CMP, 4, last, at);
    fill_fails(m, f, C_BE);
    patch_here(m, above);
    put_rmi(m, 0, 0x83, 4, ALU_SUB, &left, 1, 1);
    fill_fails(m, f, C_S);
    put_filled(m, f);
    return none;
}

// R10 = the page of the access' last byte, which must be the slot's.
static void put_page(struct em *m, struct fill *f)
{
    struct opnd page = o_reg(H_PTR), t = o_reg(H_T0);
    put_load(m, 8, H_PTR, f->tag);
    put_alu(m, ALU_AND, 8, page, o_imm(-(i64)PAGE_SIZE));
    put_rmi(m, 0, 0xc1, 8, 4, &t, PAGE_BITS, 1);
    put_rr(m, 0x33, 8, H_PTR, H_T0);
    if (f->t0) return;
    put_rr(m, 0x8b, 4, H_T0, H_PTR);
    put_rmi(m, 0, 0xc1, 4, 5, &t, 8, 1);
    put_alu(m, ALU_AND, 4, t, o_imm((TLB_SIZE - 1) << 4));
    put_alu(m, ALU_CMP, 4, t, o_reg(H_TMP));
    fill_fails(m, f, C_NE); // it starts on the page before
}

// With IR_T0 there the size says whether the access lies on one page; then all is as without it, but *RSP = address.
static void put_t0(struct em *m, struct fill *f)
{
    struct opnd t = o_reg(H_T0), off = o_reg(H_RAX);
    put_rr(m, 0x8b, 8, H_T0, H_PTR);
    put_rm(m, 0, 0x33, 8, H_PTR, &f->tag);
    put_store(m, 8, o_mem(H_RSP, KEPT_PTR), H_PTR);
    put_rmi(m, 0, 0xc1, 8, 5, &t, PAGE_BITS, 1);
    put_span(m, f);
    put_rr(m, 0x8b, 4, H_RAX, H_PTR);
    put_alu(m, ALU_AND, 4, off, o_imm(PAGE_SIZE - 1));
    put_alu(m, ALU_ADD, 4, off, o_reg(H_RCX));
    put_alu(m, ALU_CMP, 4, off, o_imm(PAGE_SIZE - 1));
    fill_fails(m, f, C_A);
}

// From cpu.behind: R10 = the page. Returns where it branches to if that has nothing.
static void put_behind(struct em *m, struct fill *f, u32 *none)
{
    unsigned key = f->key;
    struct opnd acx = o_reg(H_RCX), slot = o_reg(H_RDX), kind = o_mem(H_CPU, CPU_DISP(slot_global)), t = o_reg(H_T0);
    struct opnd tag = f->tag;
    kind.index = H_RDX;
    // RCX = the set, then the way
    put_rr(m, 0x8b, 8, H_RCX, H_PTR);
    put_rmi(m, 0, 0xc1, 8, 5, &acx, PAGE_BITS, 1);
    if (key) put_alu(m, ALU_XOR, 4, acx, o_imm((i64)key << 8));
    put_alu(m, ALU_AND, 4, acx, o_imm(BEHIND_SETS - 1));
    put_rmi(m, 0, 0xc1, 4, 4, &acx, 6, 1);
    _Static_assert(sizeof(struct tlb_behind) * BEHIND_WAYS == 64 && BEHIND_WAYS == 2, "the shift");
    put_lea(m, 8, H_RCX, H_CPU, H_RCX, 0, CPU_DISP(behind));
    put_lea(m, 8, H_RAX, H_PTR, NO_REG, 0, (i32)key);
    u32 found[4], other[2];
    for (unsigned way = 0; way < BEHIND_WAYS; way++) {
        i32 at = (i32)(way * sizeof(struct tlb_behind));
        struct opnd e_tag = o_mem(H_RCX, at + (i32)offsetof(struct tlb_behind, tag));
        put_rm(m, 0, 0x3b, 8, H_RAX, &e_tag);
        other[way] = put_jcc(m, C_NE);
        put_load(m, 8, H_RDX, o_mem(H_RCX, at + (i32)offsetof(struct tlb_behind, stamp)));
        put_load(m, 8, H_RCX, o_mem(H_RCX, at + (i32)offsetof(struct tlb_behind, addend)));
        for (unsigned global = 0; global < 2; global++) {
            struct opnd stamp =
                o_mem(H_CPU, (i32)(offsetof(struct cpu, behind_stamp) + ((key & 1) * 2 + global) * 8) - TCG_BIAS);
            put_imm(m, 4, H_RAX, global);
            put_rm(m, 0, 0x3b, 8, H_RDX, &stamp);
            found[way * 2 + global] = put_jcc(m, C_E);
        }
        none[way] = put_jmp(m);
        patch_here(m, other[way]);
    }
    none[2] = put_jmp(m);
    for (unsigned k = 0; k < 4; k++) patch_here(m, found[k]);
    // EAX = global, RCX = addend. The slot is listed unless it holds a page of the same kind.
    put_rr(m, 0x8b, 4, H_RDX, H_TMP);
    put_rmi(m, 0, 0xc1, 4, 5, &slot, 4, 1);
    if (key) put_alu(m, ALU_ADD, 4, slot, o_imm((i64)key * TLB_SIZE));
    put_rm(m, 0, 0x38, 1, H_RAX, &kind);
    u32 differs = put_jcc(m, C_NE);
    put_rmi(m, 0, 0xf6, 1, 0, &tag, 1, 1); // tlb_none() is odd
    u32 there = put_jcc(m, C_E);
    patch_here(m, differs);
    put_rm(m, 0, 0x88, 1, H_RAX, &kind);
    struct opnd list = o_reg(H_RAX), n = o_mem(H_RAX, offsetof(struct tlb_filled, n));
    struct opnd k = o_mem(H_RAX, 0);
    put_rmi(m, 0, 0x69, 4, H_RAX, &list, sizeof(struct tlb_filled), 4);
    put_lea(m, 8, H_RAX, H_CPU, H_RAX, 0, CPU_DISP(filled));
    put_load(m, 4, H_T0, n);
    put_alu(m, ALU_CMP, 4, t, o_imm(TLB_FILLED));
    u32 full = put_jcc(m, C_A), last = put_jcc(m, C_E);
    put_lea(m, 8, H_T0, H_RAX, H_T0, 1, offsetof(struct tlb_filled, k));
    k.reg = H_T0;
    put_store(m, 2, k, H_RDX);
    patch_here(m, last);
    put_rmi(m, 0, 0x83, 4, ALU_ADD, &n, 1, 1);
    patch_here(m, full);
    patch_here(m, there);
    put_store(m, 8, tag, H_PTR);
    tag.disp += 8;
    put_store(m, 8, tag, H_RCX);
    struct opnd refills = O_CPU(refills);
    put_rmi(m, 0, 0x83, 8, ALU_ADD, &refills, 1, 1);
}

// The record's index in R11, for the exit: the stub's distance from the first by its length. A RET that leads astray
// keeps the host's prediction of returns in step.
static void put_gives_up(struct em *m, const struct fill *f)
{
    struct opnd r = o_reg(H_TMP);
    for (unsigned k = sizeof fill_kept; k-- > 0;) push_pop(m, fill_kept[k], 0x58);
    push_pop(m, H_TMP, 0x58);
    put_imm(m, 8, H_PTR, (i64)(uintptr_t)(f->stubs + HOST_STUB / 2));
    put_alu(m, ALU_SUB, 8, r, o_reg(H_PTR));
    _Static_assert(HOST_STUB == 10, "the reciprocal below: 2^35 / 10");
    put_imm(m, 4, H_PTR, (i64)0xcccccccd);
    put_rr(m, 0x0faf, 8, H_TMP, H_PTR);
    put_rmi(m, 0, 0xc1, 8, 5, &r, 35, 1);
    put_imm(m, 8, H_PTR, (i64)(uintptr_t)f->h->exit);
    push_pop(m, H_PTR, 0x50);
    put8(m, 0xc3);
}

static void put_fill(struct em *m, struct fill f, unsigned write)
{
    struct opnd t = o_reg(H_T0), answer = o_reg(H_RAX);
    u32 beside = 0, none[4], nnone = 3;
    f.tag = o_mem(H_CPU, (i32)(offsetof(struct cpu, tlbs) + f.key * sizeof(struct tlb_entry) * TLB_SIZE) - TCG_BIAS);
    f.tag.index = H_TMP;
    for (unsigned k = 0; k < sizeof fill_kept; k++) push_pop(m, fill_kept[k], 0x50);
    if (f.t0) put_t0(m, &f);
    if (write) {
        put_alu(m, ALU_CMP, 8, t, o_imm(TLB_BESIDE));
        u32 other = put_jcc(m, C_NE);
        beside = here(m);
        none[nnone++] = put_beside(m, &f);
        patch_here(m, other);
    }
    put_page(m, &f);
    put_behind(m, &f, none);
    put_filled(m, &f);
    for (unsigned k = 0; k < nnone; k++) patch_here(m, none[k]);
    put_walk(m, &f);
    put_alu(m, ALU_CMP, 4, answer, o_imm(REFILL_DONE));
    fill_fails(m, &f, C_B);
    if (write) {
        u32 again = put_jcc(m, C_NE);
        st32(m->start + again, beside - (again + 4));
    }
    put_filled(m, &f);
    for (unsigned k = 0; k < f.nfail; k++) patch_here(m, f.fail[k]);
    put_gives_up(m, &f);
}

// cpu.host_load: XMM and MXCSR.
static void put_load_xmm(struct em *m)
{
    struct opnd mxcsr = O_CPU(mxcsr), live = O_CPU(host_live);
    move_xmm(m, 0x0f28);
    put_rm(m, 0, 0x0fae, 4, 2, &mxcsr);
    put_rmi(m, 0, 0x80, 1, ALU_OR, &live, CPU_HOST_XMM, 1);
    put8(m, 0xc3);
}

// At an exit: what is live goes back to struct cpu (x87 as an image, which exec.c takes apart), and C finds the host's
// registers as it expects them.
static void put_save_live(struct em *m)
{
    struct opnd live = O_CPU(host_live), mxcsr = O_CPU(mxcsr), plain = O_CPU(host_mxcsr), image = O_CPU(host_x87);
    put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_XMM | CPU_HOST_X87, 1);
    u32 none = put_jcc(m, C_E);
    put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_XMM, 1);
    u32 no_xmm = put_jcc(m, C_E);
    move_xmm(m, 0x0f29);
    put_rm(m, 0, 0x0fae, 4, 3, &mxcsr);
    put_rm(m, 0, 0x0fae, 4, 2, &plain);
    patch_here(m, no_xmm);
    put_rmi(m, 0, 0xf6, 1, 0, &live, CPU_HOST_X87, 1);
    u32 no_x87 = put_jcc(m, C_E);
    put_rm(m, 0, 0x0fae, 4, 0, &image); // fxsave
    put8(m, 0xdb);
    put8(m, 0xe3); // fninit
    patch_here(m, no_x87);
    patch_here(m, none);
}

// On the way in: what cpu.host_want names.
static void put_load_wanted(struct em *m)
{
    struct opnd want = O_CPU(host_want), live = O_CPU(host_live), image = O_CPU(host_x87), load = O_CPU(host_load);
    put_load(m, 1, H_RAX, want);
    put_store(m, 1, live, H_RAX);
    put_rmi(m, 0, 0xf6, 1, 0, &want, CPU_HOST_X87, 1);
    u32 no_x87 = put_jcc(m, C_E);
    put_rm(m, 0, 0x0fae, 4, 1, &image); // fxrstor
    patch_here(m, no_x87);
    put_rmi(m, 0, 0xf6, 1, 0, &want, CPU_HOST_XMM, 1);
    u32 no_xmm = put_jcc(m, C_E);
    put_rm(m, 0, 0xff, 4, 2, &load);
    patch_here(m, no_xmm);
}

u32 host_thunks(u8 *rw, const u8 *rx, const u8 *stubs, struct host_entry *h)
{
    struct em m = {.p = rw, .start = rw};
    struct opnd sp = O_CPU(host_sp), c_sp = O_CPU(host_c_sp);
    // c: RDI, code: RSI, flags: EDX, where to come back to: RAX. Below C's stack pointer its red zone may begin.
    put_lea(&m, 8, H_RSP, H_RSP, NO_REG, 0, -128);
    push_pop(&m, H_RAX, 0x50);
    for (unsigned k = 0; k < sizeof saved; k++) push_pop(&m, saved[k], 0x50);
    put_lea(&m, 8, H_CPU, H_RDI, NO_REG, 0, TCG_BIAS);
    put_store(&m, 8, c_sp, H_RSP);
    put_load(&m, 8, H_RSP, sp);
    put_load_wanted(&m);
    put_rr(&m, 0x8b, 8, H_TMP, H_RSI);
    put_alu(&m, ALU_CMP, 4, o_reg(H_RDX), o_imm(-1));
    put8(&m, 0x74); // je over push, popfq
    put8(&m, 2);
    put8(&m, 0x52);
    put8(&m, 0x9d);
    for (unsigned g = 0; g < 16; g++)
        if (host_of(g) >= 0) put_load(&m, 8, (unsigned)host_of(g), o_mem(H_CPU, (i32)(g * 8) - TCG_BIAS));
    struct opnd code = o_reg(H_TMP);
    put_rm(&m, 0, 0xff, 4, 4, &code);
    while (here(&m) & 15) put8(&m, 0xcc);
    h->enter = rx;
    h->stub = rx + here(&m);
    push_pop(&m, H_TMP, 0x58);
    h->exit = rx + here(&m);
    for (unsigned g = 0; g < 16; g++)
        if (host_of(g) >= 0) put_store(&m, 8, o_mem(H_CPU, (i32)(g * 8) - TCG_BIAS), (unsigned)host_of(g));
    put_save_live(&m);
    put_rr(&m, 0x8b, 4, H_RAX, H_TMP);
    put_store(&m, 8, sp, H_RSP);
    put_load(&m, 8, H_RSP, c_sp);
    for (unsigned k = sizeof saved; k-- > 0;) push_pop(&m, saved[k], 0x58);
    put8(&m, 0xfc); // cld: the convention's
    push_pop(&m, H_RCX, 0x58);
    put_lea(&m, 8, H_RSP, H_RSP, NO_REG, 0, 128);
    put_rr(&m, 0xff, 4, 4, H_RCX);
    while (here(&m) & 15) put8(&m, 0xcc);
    h->load = rx + here(&m);
    put_load_xmm(&m);
    struct fill f = {.stubs = stubs, .h = h, .keep_xmm = here(&m)};
    put_moves(&m, 0x0f29);
    f.load_xmm = here(&m);
    put_moves(&m, 0x0f28);
    for (unsigned set = 0; set < TLBSET_NONE; set++)
        for (unsigned k = 0; k < 4; k++) {
            while (here(&m) & 15) put8(&m, 0xcc);
            h->fill[HOST_FILL(set, k >> 1, k & 1)] = rx + here(&m);
            f.key = set * 2 + (k >> 1);
            f.t0 = k & 1;
            put_fill(&m, f, k >> 1);
        }
    put_flags_thunks(&m, rx, h);
    put_segload_thunk(&m, rx, h);
    put_tsc_thunk(&m, rx, h);
    put_ret_thunk(&m, rx, h);
    put_event_thunks(&m, rx, h);
    return here(&m);
}
