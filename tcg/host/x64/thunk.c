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

void host_stubs(u8 *rw, const u8 *rx, const struct host_entry *h, u32 first, u32 n)
{
    for (u32 i = first; i < first + n; i++) {
        const u8 *end = rx + (u64)(i + 1) * HOST_STUB;
        u8 *p = rw + (u64)i * HOST_STUB;
        p[0] = 0xe8;
        st32(p + 1, (u32)(h->stub - end));
    }
}

// Where the stubs call: the return address says which one. R11D = (it - stubs - HOST_STUB) / HOST_STUB, a division
// without remainder, so the multiplicative inverse does.
static void put_stub_exit(struct em *m, const u8 *stubs)
{
    const u32 inverse = 0xcccccccd;
    _Static_assert(HOST_STUB * 0xcccccccdu == 1, "mod 2^32");
    struct opnd t = o_reg(H_TMP);
    push_pop(m, H_TMP, 0x58);
    put_lea(m, 4, H_TMP, H_TMP, NO_REG, 0, (i32) - (u32)((uintptr_t)stubs + HOST_STUB));
    put_rmi(m, 0, 0x69, 4, H_TMP, &t, inverse, 4);
}

static void move_xmm(struct em *m, u32 opc)
{
    for (unsigned n = 0; n < 16; n++) {
        struct opnd v = o_mem(H_CPU, (i32)(offsetof(struct cpu, vec) + n * sizeof(union vec)) - TCG_BIAS);
        put_rm(m, 0, opc, 4, n, &v); // movaps
    }
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
    // enter(c: RDI, code: RSI, flags: EDX)
    for (unsigned k = 0; k < sizeof saved; k++) push_pop(&m, saved[k], 0x50);
    put_alu(&m, ALU_SUB, 8, o_reg(H_RSP), o_imm(8));
    put_lea(&m, 8, H_CPU, H_RDI, NO_REG, 0, TCG_BIAS);
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
    h->enter = (u32(*)(struct cpu *, const void *, u32))(uintptr_t)rx;
    h->stub = rx + here(&m);
    put_stub_exit(&m, stubs);
    h->exit = rx + here(&m);
    for (unsigned g = 0; g < 16; g++)
        if (host_of(g) >= 0) put_store(&m, 8, o_mem(H_CPU, (i32)(g * 8) - TCG_BIAS), (unsigned)host_of(g));
    put_save_live(&m);
    put_rr(&m, 0x8b, 4, H_RAX, H_TMP);
    put_alu(&m, ALU_ADD, 8, o_reg(H_RSP), o_imm(8));
    for (unsigned k = sizeof saved; k-- > 0;) push_pop(&m, saved[k], 0x58);
    put8(&m, 0xfc); // cld: the convention's
    put8(&m, 0xc3);
    while (here(&m) & 15) put8(&m, 0xcc);
    h->load = rx + here(&m);
    put_load_xmm(&m);
    put_flags_thunks(&m, rx, h);
    return here(&m);
}
