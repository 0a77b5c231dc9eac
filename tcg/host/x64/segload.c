// SPDX-License-Identifier: MIT
// Loads of segment registers that repeat an earlier one: cpu.seg_loads (cpu/cpu.h), filled by tcg_note_load(). One
// routine beside the code, called with the selector in R13; ZF on its return says whether it has done it.
#include "tcg/host/x64/emit.h"

#define LOAD_FIELD(f) ((i32)offsetof(struct seg_load, f))

void emit_segload(struct em *m)
{
    unsigned s = (unsigned)m->op->imm;
    struct opnd to = O_CPU(host_segload);
    i32 seg = (i32)(offsetof(struct cpu, seg) + s * sizeof(struct seg)) - TCG_BIAS;
    unsigned use = m->code64 ? SEG_LOAD_64 : s >= S_FS ? SEG_LOAD_ANY : SEG_LOAD_FLAT;
    put_imm(m, 4, H_TMP, (i64)use << 24 | seg);
    put_rm(m, 0, 0xff, 4, 2, &to);
    exit_if(m, C_NE);
}

// R11: offset of the segment register from R14, and in its highest byte what the load must be good for. R10, R11, R13
// are changed.
void put_segload_thunk(struct em *m, const u8 *rx, struct host_entry *h)
{
    struct opnd a = o_reg(H_RAX), c = o_reg(H_RCX), t = o_reg(H_TMP), sel = o_reg(H_T0), ptr = o_reg(H_PTR);
    u32 fail[8], n = 0;
    while (here(m) & 15) put8(m, 0xcc);
    h->segload = rx + here(m);
    put8(m, 0x50);
    put8(m, 0x51);
    put_load(m, 4, H_RAX, sel); // RAX = the entry
    put_rmi(m, 0, 0xc1, 4, 5, &a, 3, 1);
    put_alu(m, ALU_AND, 4, a, o_imm(SEG_LOADS - 1));
    put_rmi(m, 0, 0x69, 4, H_RAX, &a, sizeof(struct seg_load), 4);
    put_lea(m, 8, H_RAX, H_CPU, H_RAX, 0, CPU_DISP(seg_loads));
    put_load(m, 4, H_RCX, t);
    put_rmi(m, 0, 0xc1, 4, 5, &c, 24, 1);
    struct opnd use = o_mem(H_RAX, LOAD_FIELD(use));
    put_rm(m, 0, 0x84, 1, H_RCX, &use); // test
    fail[n++] = put_jcc(m, C_E);
    put_alu(m, ALU_CMP, 2, sel, o_mem(H_RAX, LOAD_FIELD(sel)));
    fail[n++] = put_jcc(m, C_NE);
    put_alu(m, ALU_AND, 4, sel, o_imm(0xfffc));
    u32 null = put_jcc(m, C_E);
    put_load(m, 2, H_RCX, O_CPU(gdt_limit));
    put_alu(m, ALU_CMP, 2, c, o_mem(H_RAX, LOAD_FIELD(gdt_limit)));
    fail[n++] = put_jcc(m, C_NE);
    put_load(m, 8, H_RCX, O_CPU(gdt_base));
    put_alu(m, ALU_CMP, 8, c, o_mem(H_RAX, LOAD_FIELD(gdt_base)));
    fail[n++] = put_jcc(m, C_NE);
    put_alu(m, ALU_AND, 4, sel, o_imm(0xfff8));
    put_alu(m, ALU_ADD, 8, sel, c); // where the descriptor lies: by the first-level TLB
    put_load(m, 4, H_RCX, sel);
    put_rmi(m, 0, 0xc1, 4, 5, &c, 8, 1);
    put_alu(m, ALU_AND, 4, c, o_imm((TLB_SIZE - 1) << 4));
    _Static_assert(sizeof(struct tlb_entry) == 16, "the shift and mask above");
    put_alu(m, ALU_ADD, 8, c, O_CPU(tlb));
    put_load(m, 8, H_PTR, o_mem(H_RCX, (i32)offsetof(struct tlb_set, rd)));
    put_alu(m, ALU_XOR, 8, ptr, sel);
    put_alu(m, ALU_CMP, 8, ptr, o_imm((i64)PAGE_SIZE - 8));
    fail[n++] = put_jcc(m, C_A);
    put_alu(m, ALU_ADD, 8, sel, o_mem(H_RCX, (i32)offsetof(struct tlb_set, rd) + 8));
    put_load(m, 8, H_RCX, o_mem(H_T0, 0));
    put_alu(m, ALU_CMP, 8, c, o_mem(H_RAX, LOAD_FIELD(raw)));
    fail[n++] = put_jcc(m, C_NE);
    patch_here(m, null);
    put_alu(m, ALU_AND, 4, t, o_imm(0xffffff));
    put_alu(m, ALU_ADD, 8, t, o_reg(H_CPU));
    _Static_assert(sizeof(struct seg) % 8 == 0, "copied by eights");
    for (i32 at = 0; at < (i32)sizeof(struct seg); at += 8) {
        put_load(m, 8, H_RCX, o_mem(H_RAX, at));
        put_store(m, 8, o_mem(H_TMP, at), H_RCX);
    }
    put8(m, 0x59);
    put8(m, 0x58);
    put_rr(m, 0x39, 4, H_RAX, H_RAX); // ZF
    put8(m, 0xc3);
    for (unsigned k = 0; k < n; k++) patch_here(m, fail[k]);
    put8(m, 0x59);
    put8(m, 0x58);
    put_rr(m, 0x85, 8, H_CPU, H_CPU); // no ZF
    put8(m, 0xc3);
}
