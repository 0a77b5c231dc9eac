// SPDX-License-Identifier: MIT
// IRET and INT n without leaving translated code: cpu/repeat.c's ways, in host code, by its notes (cpu.int_memo,
// cpu.ret_memo). One routine each for 64-bit code and for flat 32-bit code outside long mode. A block jumps there with
// its way out in R11, to where the routine comes back, with nothing done, unless all of this holds: nothing asks for
// attention, nobody looks on (hooks, -d int), memory has the descriptors, gate and stacks as noted and the first level
// of the TLB has their pages, the flags choose no other tables (AC) and are no debugger's (TF), and the jump cache
// knows where it goes on. Left to C, too: IRET from CPL 3, INT to other levels than 0. IRET drops RF at once if the
// next instruction is sure to be executed before anybody can look (loop.c, rf_alone()).
#include "tcg/host/x64/emit.h"

#define MEMO(memo, field) ((i32)offsetof(struct memo, field))
#define SEG_DISP(s, f)                                                                                                 \
    ((i32)(offsetof(struct cpu, seg) + (s) * sizeof(struct seg) + offsetof(struct seg, f)) - TCG_BIAS)
#define SET_DISP(set) ((i32)(offsetof(struct cpu, tlbs) + (set) * sizeof(struct tlb_set)) - TCG_BIAS)
enum { RD = (int)offsetof(struct tlb_set, rd), WR = (int)offsetof(struct tlb_set, wr) };
enum { SHL = 4, SHR = 5 };
static const u8 saved[] = {H_TMP, H_PTR, H_RAX, H_RCX, H_RDX, H_RBX, H_RSI, H_RDI};
enum { SAVED_PTR = 6 * 8 /* R10 there, from RSP */ };

struct event {
    struct em *m;
    bool code64;
    unsigned size; // of a slot on the stack
    u32 fail[48], n;
};

static void fail_if(struct event *v, unsigned cc) { v->fail[v->n++] = put_jcc(v->m, cc); }
static void shift(struct em *m, unsigned how, unsigned reg, unsigned n)
{
    struct opnd r = o_reg(reg);
    put_rmi(m, 0, 0xc1, 4, how, &r, n, 1);
}
static void test_imm(struct em *m, unsigned reg, u32 bits)
{
    struct opnd r = o_reg(reg);
    put_rmi(m, 0, 0xf7, 4, 0, &r, (i32)bits, 4);
}
static void alu_imm(struct em *m, unsigned op, unsigned size, unsigned reg, i64 v)
{
    put_alu(m, op, size, o_reg(reg), o_imm(v));
}

// Register `lin`, a linear address, becomes the host's for n bytes, by the table `table` bytes behind `set`. R11 and
// RCX are changed.
static void put_host(struct event *v, unsigned lin, unsigned set, i32 table, unsigned n)
{
    struct em *m = v->m;
    struct opnd entry = o_mem(set, table);
    put_rr(m, 0x8b, 4, H_TMP, lin);
    shift(m, SHR, H_TMP, 8);
    alu_imm(m, ALU_AND, 4, H_TMP, (TLB_SIZE - 1) << 4);
    _Static_assert(sizeof(struct tlb_entry) == 16, "the shift and mask above");
    entry.index = H_TMP;
    put_rm(m, 0, 0x8b, 8, H_RCX, &entry);
    put_rr(m, 0x33, 8, H_RCX, lin);
    alu_imm(m, ALU_CMP, 8, H_RCX, (i64)PAGE_SIZE - n);
    fail_if(v, C_A);
    entry.disp += 8;
    put_rm(m, 0, 0x03, 8, lin, &entry);
}

// RDX = a selector: its descriptor must be the one that the memo in RBX has at `raw`. RDI = the set of sys_tlb().
static void put_same_desc(struct event *v, i32 raw)
{
    struct em *m = v->m;
    alu_imm(m, ALU_AND, 4, H_RDX, 0xfff8);
    put_lea(m, 4, H_TMP, H_RDX, NO_REG, 0, 7);
    put_load(m, 2, H_RCX, O_CPU(gdt_limit));
    put_rr(m, 0x3b, 4, H_TMP, H_RCX);
    fail_if(v, C_A);
    put_alu(m, ALU_ADD, 8, o_reg(H_RDX), O_CPU(gdt_base));
    put_host(v, H_RDX, H_RDI, RD, 8);
    put_load(m, 8, H_RCX, o_mem(H_RDX, 0));
    put_alu(m, ALU_CMP, 8, o_reg(H_RCX), o_mem(H_RBX, raw));
    fail_if(v, C_NE);
}

// RCX = whether CR4.SMAP is set.
static void put_smap(struct em *m)
{
    put_load(m, 4, H_RCX, O_CPU(cr4));
    shift(m, SHR, H_RCX, 21);
    _Static_assert(CR4_SMAP == 1 << 21, "the shift");
    alu_imm(m, ALU_AND, 4, H_RCX, 1);
}

// RDI = the set of sys_tlb().
static void put_sys_set(struct em *m)
{
    put_smap(m);
    shift(m, SHL, H_RCX, TLB_BITS + 5);
    _Static_assert(sizeof(struct tlb_set) == 1 << (TLB_BITS + 5), "the shift");
    _Static_assert(TLBSET_KERNEL + 1 == TLBSET_KERNEL_NOUSER, "SMAP chooses between neighbours");
    put_lea(m, 8, H_RDI, H_CPU, H_RCX, 0, SET_DISP(TLBSET_KERNEL));
}

static void put_begin(struct event *v)
{
    struct opnd attn = O_CPU(attn), hooks = O_CPU(hooks);
    for (unsigned k = 0; k < sizeof saved; k++) push_pop(v->m, saved[k], 0x50);
    put_alu(v->m, ALU_CMP, 4, attn, o_imm(0)); // no TF, RF, shadow, breakpoints of instructions either
    fail_if(v, C_NE);
    put_alu(v->m, ALU_CMP, 8, hooks, o_imm(0));
    fail_if(v, C_NE);
}

// EDX = the mode to come but for MODE_USER and MODE_TLB.
static void put_mode(struct em *m)
{
    put_load(m, 4, H_RDX, O_CPU(mode));
    alu_imm(m, ALU_AND, 4, H_RDX, ~(i64)(MODE_USER | MODE_TLB));
}
// CPL 0 without AC: EDX becomes the mode, ECX the generation of what the jump cache must have; RDI is the set already.
static void put_kernel(struct em *m)
{
    struct opnd cr4 = O_CPU(cr4);
    put_smap(m);
    shift(m, SHL, H_RCX, MODE_TLB_SHIFT);
    put_rr(m, 0x03, 4, H_RDX, H_RCX);
    alu_imm(m, ALU_ADD, 4, H_RDX, TLBSET_KERNEL << MODE_TLB_SHIFT);
    put_load(m, 4, H_RCX, O_CPU(tlb_gen));
    put_rmi(m, 0, 0xf6, 1, 0, &cr4, CR4_PGE, 1);
    u32 local = put_jcc(m, C_E);
    put_load(m, 4, H_RCX, O_CPU(tlb_gen_global));
    patch_here(m, local);
}

// R11 = the jump cache's entry for R10 in the mode EDX of generation ECX.
static void put_find(struct event *v)
{
    struct em *m = v->m;
    struct opnd target = o_reg(H_PTR), at = o_mem(H_TMP, offsetof(struct jump_entry, at));
    struct opnd context = o_mem(H_TMP, offsetof(struct jump_entry, context));
    put_rmi(m, 0, 0x69, 4, H_TMP, &target, (i32)JUMP_FACTOR, 4);
    shift(m, SHR, H_TMP, 32 - JUMP_BITS - 5);
    alu_imm(m, ALU_AND, 4, H_TMP, (i64)(JUMP_SIZE - 1) << 5);
    put_lea(m, 8, H_TMP, H_CPU, H_TMP, 0, CPU_DISP(jump));
    put_rm(m, 0, 0x39, 8, H_PTR, &at);
    fail_if(v, C_NE);
    put_rm(m, 0, 0x39, 4, H_RDX, &context);
    fail_if(v, C_NE);
    context.disp += 4;
    put_rm(m, 0, 0x39, 4, H_RCX, &context);
    fail_if(v, C_NE);
}

static void put_segment(struct em *m, unsigned s, i32 from)
{
    _Static_assert(sizeof(struct seg) % 8 == 0, "copied by eights");
    for (i32 at = 0; at < (i32)sizeof(struct seg); at += 8) {
        put_load(m, 8, H_RCX, o_mem(H_RBX, from + at));
        put_store(m, 8, o_mem(H_CPU, SEG_DISP(s, base) + at), H_RCX);
    }
}

// To what put_find() has found: set RDI, flags R13D. R11 stays.
static void put_enter(struct em *m)
{
    struct opnd cc = O_CPU(cc_op);
    put_load(m, 8, H_RCX, o_mem(H_TMP, offsetof(struct jump_entry, context)));
    put_store(m, 8, O_CPU(jump_context), H_RCX);
    put_store(m, 4, O_CPU(mode), H_RCX);
    put_store(m, 8, O_CPU(tlb), H_RDI);
    put_store(m, 4, O_CPU(eflags), H_T0);
    put_rmi(m, 0, 0xc7, 4, 0, &cc, CC_EFLAGS, 4);
    put_load(m, 8, H_RCX, o_mem(H_TMP, offsetof(struct jump_entry, base)));
    put_store(m, 8, O_CPU(code_base), H_RCX);
}

static void put_end(struct event *v)
{
    struct em *m = v->m;
    struct opnd code = o_mem(H_TMP, offsetof(struct jump_entry, code)), to = o_reg(H_TMP);
    put_load(m, 8, H_TMP, code);
    for (unsigned k = sizeof saved; k-- > 1;) push_pop(m, saved[k], 0x58);
    put_lea(m, 8, H_RSP, H_RSP, NO_REG, 0, 8);
    put_rm(m, 0, 0xff, 4, 4, &to);
    for (unsigned k = 0; k < v->n; k++) patch_here(m, v->fail[k]);
    for (unsigned k = sizeof saved; k-- > 0;) push_pop(m, saved[k], 0x58);
    put_rm(m, 0, 0xff, 4, 4, &to);
}

// ---- IRET

// RBX = the note of the selectors in the frame at RSI, whose CS is in EAX; it must be of this kind, from CPL 0.
static void put_ret_memo(struct event *v)
{
    struct em *m = v->m;
    struct opnd slot = o_reg(H_RDX), kind = o_mem(H_RBX, MEMO(ret_memo, kind));
    put_load(m, 2, H_RAX, o_mem(H_RSI, (i32)v->size));
    if (v->code64) {
        put_load(m, 2, H_RCX, o_mem(H_RSI, 32));
    } else { // SS only if the level changes; then the frame's rest must be on the page, too
        put_rr(m, 0x33, 4, H_RCX, H_RCX);
        test_imm(m, H_RAX, 3);
        u32 same = put_jcc(m, C_E);
        put_rr(m, 0x8b, 4, H_RCX, H_GUEST_SP);
        alu_imm(m, ALU_AND, 4, H_RCX, PAGE_SIZE - 1);
        alu_imm(m, ALU_CMP, 4, H_RCX, PAGE_SIZE - 20);
        fail_if(v, C_A);
        put_load(m, 2, H_RCX, o_mem(H_RSI, 16));
        patch_here(m, same);
    }
    put_rr(m, 0x8b, 4, H_RDX, H_RAX);
    shift(m, SHR, H_RDX, 3);
    put_rr(m, 0x8b, 4, H_TMP, H_RCX);
    shift(m, SHR, H_TMP, 3);
    put_rr(m, 0x03, 4, H_RDX, H_TMP);
    alu_imm(m, ALU_AND, 4, H_RDX, ARRAY_LEN(((struct cpu *)0)->ret_memo) - 1);
    put_rmi(m, 0, 0x69, 4, H_RDX, &slot, sizeof(struct ret_memo), 4);
    put_lea(m, 8, H_RBX, H_CPU, H_RDX, 0, CPU_DISP(ret_memo));
    shift(m, SHL, H_RCX, 16);
    put_rr(m, 0x0b, 4, H_RCX, H_RAX);
    put_alu(m, ALU_CMP, 4, o_reg(H_RCX), o_mem(H_RBX, MEMO(ret_memo, sels)));
    fail_if(v, C_NE);
    _Static_assert(offsetof(struct ret_memo, from) == offsetof(struct ret_memo, kind) + 1, "compared as one");
    put_rmi(m, 0, 0x81, 2, ALU_CMP, &kind, v->code64 ? MODE_64 : MODE_32, 2);
    fail_if(v, C_NE);
}

// Data segments that CPL 3 may not have become null: then by C.
static void put_keeps_data(struct event *v)
{
    static const u8 which[] = {S_ES, S_DS, S_FS, S_GS};
    struct em *m = v->m;
    struct opnd x = o_reg(H_RCX);
    _Static_assert(offsetof(struct seg, attr) == offsetof(struct seg, sel) + 2, "loaded as one");
    for (unsigned k = 0; k < 4; k++) {
        put_load(m, 4, H_RCX, o_mem(H_CPU, SEG_DISP(which[k], sel)));
        put_rr(m, 0x85, 4, H_RCX, H_RCX);
        u32 null = put_jcc(m, C_E);
        put_rm(m, 0, 0xf7, 4, 2, &x); // not
        test_imm(m, H_RCX, SEG_DPL << 16);
        fail_if(v, C_NE);
        patch_here(m, null);
    }
}

static void put_iret(struct em *m, bool code64)
{
    struct event v = {.m = m, .code64 = code64, .size = code64 ? 8 : 4};
    struct opnd cpl = O_CPU(cpl), nt = O_CPU(eflags), left = O_CPU(left), nmi = O_CPU(nmi_blocked);
    nt.disp++;
    put_begin(&v);
    put_rmi(m, 0, 0x80, 1, ALU_CMP, &cpl, 0, 1);
    fail_if(&v, C_NE);
    put_rmi(m, 0, 0xf6, 1, 0, &nt, FL_NT >> 8, 1);
    fail_if(&v, C_NE);
    put_rr(m, 0x8b, v.size, H_RSI, H_GUEST_SP);
    put_load(m, 8, H_RDI, O_CPU(tlb));
    put_host(&v, H_RSI, H_RDI, RD, code64 ? 40 : 12);
    put_ret_memo(&v);
    put_load(m, 4, H_T0, o_mem(H_RSI, 2 * (i32)v.size));
    test_imm(m, H_T0, FL_TF | FL_NT | FL_VM | FL_AC | FL_VIF | FL_VIP);
    fail_if(&v, C_NE);
    test_imm(m, H_T0, FL_RF);
    u32 no_rf = put_jcc(m, C_E);
    put_alu(m, ALU_CMP, 8, left, o_imm(TB_MAX)); // no block is longer
    fail_if(&v, C_L);
    patch_here(m, no_rf);
    put_sys_set(m);
    put_rr(m, 0x8b, 4, H_RDX, H_RAX);
    put_same_desc(&v, MEMO(ret_memo, cs_raw));
    put_load(m, 2, H_RDX, o_mem(H_RBX, MEMO(ret_memo, sels) + 2));
    test_imm(m, H_RDX, 0xfffc);
    u32 null = put_jcc(m, C_E);
    put_same_desc(&v, MEMO(ret_memo, ss_raw));
    patch_here(m, null);
    put_mode(m);
    alu_imm(m, ALU_AND, 4, H_RAX, 3);
    u32 kernel = put_jcc(m, C_E);
    alu_imm(m, ALU_CMP, 4, H_RAX, 3);
    fail_if(&v, C_NE);
    put_keeps_data(&v);
    alu_imm(m, ALU_OR, 4, H_RDX, MODE_USER | TLBSET_USER << MODE_TLB_SHIFT);
    put_lea(m, 8, H_RDI, H_CPU, NO_REG, 0, SET_DISP(TLBSET_USER));
    put_load(m, 4, H_RCX, O_CPU(tlb_gen));
    u32 user = put_jmp(m);
    patch_here(m, kernel);
    put_kernel(m);
    patch_here(m, user);
    put_load(m, v.size, H_PTR, o_mem(H_RSI, 0));
    put_find(&v);
    alu_imm(m, ALU_AND, 4, H_T0, 0x3c7fd5); // bits that exist, less RF
    alu_imm(m, ALU_OR, 4, H_T0, FL_R1);
    put_enter(m);
    put_store(m, 1, cpl, H_RAX);
    put_rmi(m, 0, 0xc6, 1, 0, &nmi, 0, 1);
    put_segment(m, S_CS, MEMO(ret_memo, cs));
    if (code64) {
        put_segment(m, S_SS, MEMO(ret_memo, ss));
        put_load(m, 8, H_GUEST_SP, o_mem(H_RSI, 24));
    } else {
        put_lea(m, 4, H_GUEST_SP, H_GUEST_SP, NO_REG, 0, 12);
        put_rr(m, 0x85, 4, H_RAX, H_RAX);
        u32 same = put_jcc(m, C_E);
        put_segment(m, S_SS, MEMO(ret_memo, ss));
        put_load(m, 4, H_GUEST_SP, o_mem(H_RSI, 12));
        patch_here(m, same);
    }
    put_end(&v);
}

// ---- INT n: R10 = RIP to return to, R13 = EFLAGS, cpu.host_vector

// RBX = the note of the vector and level; RDI = the set of sys_tlb(). The gate must be the noted one.
static void put_int_memo(struct event *v)
{
    struct em *m = v->m;
    struct opnd slot = o_reg(H_RSI), user = o_reg(H_RAX), t = o_reg(H_RDX);
    put_load(m, 1, H_RDX, O_CPU(host_vector));
    put_load(m, 1, H_RAX, O_CPU(cpl));
    put_lea(m, 4, H_RSI, H_RDX, H_RDX, 0, 0);
    alu_imm(m, ALU_CMP, 4, H_RAX, 3);
    put_rm(m, 0, 0x0f90 | C_E, 1, 0, &t); // the vector is read anew
    put_load(m, 1, H_RDX, o_reg(H_RDX));
    put_rr(m, 0x03, 4, H_RSI, H_RDX);
    alu_imm(m, ALU_AND, 4, H_RSI, ARRAY_LEN(((struct cpu *)0)->int_memo) - 1);
    put_rmi(m, 0, 0x69, 4, H_RSI, &slot, sizeof(struct int_memo), 4);
    put_lea(m, 8, H_RBX, H_CPU, H_RSI, 0, CPU_DISP(int_memo));
    put_load(m, 1, H_RDX, O_CPU(host_vector));
    put_alu(m, ALU_CMP, 2, o_reg(H_RDX), o_mem(H_RBX, MEMO(int_memo, vector)));
    fail_if(v, C_NE);
    // kind, soft, from, cpl: one word
    _Static_assert(offsetof(struct int_memo, cpl) == offsetof(struct int_memo, kind) + 3, "compared as one");
    shift(m, SHL, H_RAX, 16);
    put_rmi(m, 0, 0x81, 4, ALU_OR, &user, (v->code64 ? MODE_64 : MODE_32) | 1 << 8, 4);
    put_alu(m, ALU_CMP, 4, o_reg(H_RAX), o_mem(H_RBX, MEMO(int_memo, kind)));
    fail_if(v, C_NE);
    put_sys_set(m);
    shift(m, SHL, H_RDX, v->code64 ? 4 : 3);
    put_lea(m, 4, H_TMP, H_RDX, NO_REG, 0, v->code64 ? 15 : 7);
    put_load(m, 2, H_RCX, O_CPU(idt_limit));
    put_rr(m, 0x3b, 4, H_TMP, H_RCX);
    fail_if(v, C_A);
    put_alu(m, ALU_ADD, 8, o_reg(H_RDX), O_CPU(idt_base));
    put_host(v, H_RDX, H_RDI, RD, v->code64 ? 16 : 8);
    for (i32 k = 0; k < (v->code64 ? 16 : 8); k += 8) {
        put_load(m, 8, H_RCX, o_mem(H_RDX, k));
        put_alu(m, ALU_CMP, 8, o_reg(H_RCX), o_mem(H_RBX, MEMO(int_memo, gate) + k));
        fail_if(v, C_NE);
    }
}

// RSI = the stack pointer before the frame, from the TSS if the note says so: at offset EAX, not 0.
static void put_int_stack(struct event *v)
{
    struct em *m = v->m;
    struct opnd usable = o_mem(H_CPU, SEG_DISP(S_TR, usable)), attr = o_mem(H_CPU, SEG_DISP(S_TR, attr));
    put_rr(m, 0x8b, v->size, H_RSI, H_GUEST_SP);
    put_load(m, 2, H_RAX, o_mem(H_RBX, MEMO(int_memo, stack)));
    put_rr(m, 0x85, 4, H_RAX, H_RAX);
    u32 present = put_jcc(m, C_E);
    put_rmi(m, 0, 0x80, 1, ALU_CMP, &usable, 0, 1);
    fail_if(v, C_E);
    put_lea(m, 4, H_RCX, H_RAX, NO_REG, 0, v->code64 ? 7 : 5);
    put_alu(m, ALU_CMP, 4, o_reg(H_RCX), o_mem(H_CPU, SEG_DISP(S_TR, limit)));
    fail_if(v, C_A);
    if (!v->code64) {
        put_rmi(m, 0, 0xf6, 1, 0, &attr, 8, 1); // a 32-bit TSS
        fail_if(v, C_E);
    }
    put_rr(m, 0x8b, 4, H_RSI, H_RAX);
    put_alu(m, ALU_ADD, 8, o_reg(H_RSI), o_mem(H_CPU, SEG_DISP(S_TR, base)));
    put_host(v, H_RSI, H_RDI, RD, v->code64 ? 8 : 6);
    if (!v->code64) {
        put_load(m, 2, H_RDX, o_mem(H_RSI, 4));
        put_alu(m, ALU_CMP, 2, o_reg(H_RDX), o_mem(H_RBX, MEMO(int_memo, ss) + (i32)offsetof(struct seg, sel)));
        fail_if(v, C_NE);
        put_same_desc(v, MEMO(int_memo, ss_raw));
    }
    put_load(m, v->size, H_RSI, o_mem(H_RSI, 0));
    patch_here(m, present);
    if (!v->code64) return;
    struct opnd t = o_reg(H_RCX);
    put_rr(m, 0x8b, 8, H_RCX, H_RSI);
    put_rmi(m, 0, 0xc1, 8, SHL, &t, 16, 1);
    put_rmi(m, 0, 0xc1, 8, 7, &t, 16, 1); // sar
    put_rr(m, 0x3b, 8, H_RCX, H_RSI);
    fail_if(v, C_NE);
    alu_imm(m, ALU_AND, 8, H_RSI, -16);
}

// RSI = where the host has the frame, RAX = its linear address.
static void put_int_frame(struct event *v)
{
    struct em *m = v->m;
    u32 down = 0;
    if (v->code64) {
        put_lea(m, 8, H_RSI, H_RSI, NO_REG, 0, -40);
        put_rr(m, 0x8b, 8, H_RAX, H_RSI);
        put_host(v, H_RSI, H_RDI, WR, 40);
        return;
    }
    put_rr(m, 0x85, 4, H_RAX, H_RAX);
    down = put_jcc(m, C_NE);
    put_lea(m, 4, H_RSI, H_RSI, NO_REG, 0, -12); // the present stack, with the present rights
    put_rr(m, 0x8b, 4, H_RAX, H_RSI);
    put_load(m, 8, H_RDX, O_CPU(tlb));
    put_host(v, H_RSI, H_RDX, WR, 12);
    u32 done = put_jmp(m);
    patch_here(m, down);
    put_lea(m, 4, H_RSI, H_RSI, NO_REG, 0, -20);
    put_rr(m, 0x8b, 4, H_RAX, H_RSI);
    put_host(v, H_RSI, H_RDI, WR, 20);
    patch_here(m, done);
}

// trail_event(). RCX, RDX are changed.
static void put_trail(struct em *m)
{
    struct opnd i = o_reg(H_RCX), n = o_mem(H_RDX, offsetof(struct cpu_trail, nevents));
#define EVENT(f) (o_mem(H_RCX, (i32)offsetof(struct trail_event, f)))
    put_load(m, 8, H_RDX, O_CPU(trail));
    put_load(m, 4, H_RCX, n);
    put_rmi(m, 0, 0x83, 4, ALU_ADD, &n, 1, 1);
    alu_imm(m, ALU_AND, 4, H_RCX, TRAIL - 1);
    put_rmi(m, 0, 0x69, 4, H_RCX, &i, sizeof(struct trail_event), 4);
    put_lea(m, 8, H_RCX, H_RDX, H_RCX, 0, offsetof(struct cpu_trail, event));
    put_load(m, 8, H_RDX, O_CPU(host_end)); // the block has been counted, and this is its last instruction, under way
    put_alu(m, ALU_SUB, 8, o_reg(H_RDX), O_CPU(left));
    put_lea(m, 8, H_RDX, H_RDX, NO_REG, 0, -1);
    put_store(m, 8, EVENT(icount), H_RDX);
    put_store(m, 8, EVENT(rip), H_PTR);
    put_store(m, 8, EVENT(rsp), H_GUEST_SP);
    put_load(m, 8, H_RDX, O_CPU(cr2));
    put_store(m, 8, EVENT(cr2), H_RDX);
    put_load(m, 2, H_RDX, o_mem(H_CPU, SEG_DISP(S_CS, sel)));
    put_store(m, 2, EVENT(cs), H_RDX);
    struct opnd err = EVENT(err), has = EVENT(has_err);
    put_rmi(m, 0, 0xc7, 4, 0, &err, 0, 4);
    put_load(m, 1, H_RDX, O_CPU(host_vector));
    put_store(m, 1, EVENT(vector), H_RDX);
    put_load(m, 1, H_RDX, o_mem(H_RBX, MEMO(int_memo, soft)));
    put_store(m, 1, EVENT(kind), H_RDX);
    _Static_assert(offsetof(struct trail_event, during) == offsetof(struct trail_event, has_err) + 1, "stored as one");
    put_rmi(m, 0, 0xc7, 2, 0, &has, 0xff00, 2);
    put_load(m, 1, H_RDX, O_CPU(cpl));
    put_store(m, 1, EVENT(cpl), H_RDX);
#undef EVENT
}

static void put_int(struct em *m, bool code64, const struct host_entry *h)
{
    struct event v = {.m = m, .code64 = code64, .size = code64 ? 8 : 4};
    struct opnd logged = o_mem(H_RCX, 0), no_step = O_CPU(no_step), cpl = O_CPU(cpl), inhibit = O_CPU(inhibit_db);
    put_begin(&v);
    put_imm(m, 8, H_RCX, (i64)(uintptr_t)h->log);
    put_rmi(m, 0, 0xf7, 4, 0, &logged, 1 << LOG_INT, 4);
    fail_if(&v, C_NE);
    test_imm(m, H_T0, FL_AC | FL_VIF | FL_VIP);
    fail_if(&v, C_NE);
    put_int_memo(&v);
    put_load(m, 2, H_RDX, o_mem(H_RBX, MEMO(int_memo, cs) + (i32)offsetof(struct seg, sel)));
    put_same_desc(&v, MEMO(int_memo, cs_raw));
    put_int_stack(&v);
    put_int_frame(&v);
    put_mode(m);
    put_kernel(m);
    put_load(m, 8, H_PTR, o_mem(H_RBX, MEMO(int_memo, off)));
    put_find(&v);
    put_load(m, 8, H_PTR, o_mem(H_RSP, SAVED_PTR));
    put_trail(m);
    put_store(m, v.size, o_mem(H_RSI, 0), H_PTR);
    put_load(m, 2, H_RCX, o_mem(H_CPU, SEG_DISP(S_CS, sel)));
    put_store(m, v.size, o_mem(H_RSI, (i32)v.size), H_RCX);
    put_store(m, v.size, o_mem(H_RSI, 2 * (i32)v.size), H_T0);
    put_load(m, 2, H_RCX, o_mem(H_CPU, SEG_DISP(S_SS, sel)));
    if (code64) { // always the whole frame
        put_store(m, 8, o_mem(H_RSI, 24), H_GUEST_SP);
        put_store(m, 8, o_mem(H_RSI, 32), H_RCX);
    }
    put_rmi(m, 0, 0x80, 1, ALU_CMP, &cpl, 0, 1);
    u32 same = put_jcc(m, C_E);
    if (!code64) {
        put_store(m, 4, o_mem(H_RSI, 12), H_GUEST_SP);
        put_store(m, 4, o_mem(H_RSI, 16), H_RCX);
    }
    put_segment(m, S_SS, MEMO(int_memo, ss));
    patch_here(m, same);
    put_segment(m, S_CS, MEMO(int_memo, cs));
    put_rr(m, 0x8b, 8, H_GUEST_SP, H_RAX);
    put_alu(m, ALU_AND, 4, o_reg(H_T0), o_mem(H_RBX, MEMO(int_memo, keep)));
    put_enter(m);
    put_rmi(m, 0, 0xc6, 1, 0, &cpl, 0, 1);
    put_rmi(m, 0, 0xc6, 1, 0, &no_step, 1, 1);
    put_rmi(m, 0, 0xc6, 1, 0, &inhibit, 0, 1);
    put_end(&v);
}

void put_event_thunks(struct em *m, const u8 *rx, struct host_entry *h)
{
    for (unsigned code64 = 0; code64 < 2; code64++) {
        while (here(m) & 15) put8(m, 0xcc);
        h->iret[code64] = rx + here(m);
        put_iret(m, code64);
        while (here(m) & 15) put8(m, 0xcc);
        h->intr[code64] = rx + here(m);
        put_int(m, code64, h);
    }
}

// To the routine; the way out behind it.
static void put_go(struct em *m, struct opnd to)
{
    put_by_r11(m, to);
    exit_insn(m, false);
}

void emit_iret(struct em *m)
{
    struct opnd to = O_CPU(host_iret);
    to.disp += 8 * m->code64;
    vec_pointers(m);
    put_go(m, to);
}

void emit_int(struct em *m)
{
    const struct ir_op *o = m->op;
    struct opnd to = O_CPU(host_int), vector = O_CPU(host_vector);
    to.disp += 8 * m->code64;
    vec_pointers(m);
    put_rmi(m, 0, 0xc6, 1, 0, &vector, o->imm, 1);
    put_load(m, 8, H_PTR, O_CPU(code_base));
    put_lea(m, m->code64 ? 8 : 4, H_PTR, H_PTR, NO_REG, 0, o->disp);
    put_go(m, to);
}
