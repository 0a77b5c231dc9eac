// SPDX-License-Identifier: MIT
// The way into translated code and out of it: System V calling convention on one side, tcg/tcg.h's registers on the
// other.
#include "tcg/host/x64/emit.h"

static const u8 saved[] = {H_RBX, H_RBP, H_R12, 13, 14, 15};

static void push_pop(struct em *m, unsigned reg, u8 opc)
{
    if (reg >= 8) put8(m, 0x41);
    put8(m, opc | (reg & 7));
}

u32 host_exit_stub(u8 *rw, u32 rec)
{
    struct em m = {.p = rw, .start = rw};
    struct opnd to = O_CPU(host_exit);
    put_imm(&m, 4, H_TMP, (i64)rec);
    put_rm(&m, 0, 0xff, 4, 4, &to);
    return here(&m);
}

u32 host_thunks(u8 *rw, const u8 *rx, struct host_entry *h)
{
    struct em m = {.p = rw, .start = rw};
    // enter(c: RDI, code: RSI, flags: EDX)
    for (unsigned k = 0; k < sizeof saved; k++) push_pop(&m, saved[k], 0x50);
    put_alu(&m, ALU_SUB, 8, o_reg(H_RSP), o_imm(8));
    put_lea(&m, 8, H_CPU, H_RDI, NO_REG, 0, TCG_BIAS);
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
    h->enter = (u32(*)(struct cpu *, const void *, u32))(uintptr_t)rx;
    h->exit = rx + here(&m);
    for (unsigned g = 0; g < 16; g++)
        if (host_of(g) >= 0) put_store(&m, 8, o_mem(H_CPU, (i32)(g * 8) - TCG_BIAS), (unsigned)host_of(g));
    put_rr(&m, 0x8b, 4, H_RAX, H_TMP);
    put_alu(&m, ALU_ADD, 8, o_reg(H_RSP), o_imm(8));
    for (unsigned k = sizeof saved; k-- > 0;) push_pop(&m, saved[k], 0x58);
    put8(&m, 0xfc); // cld: the convention's
    put8(&m, 0xc3);
    return here(&m);
}
