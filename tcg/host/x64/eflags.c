// SPDX-License-Identifier: MIT
// The guest's flags out of any record, for translated code that does not know which one it finds: two routines beside
// the way in and out, called with R14 = struct cpu. They change R11 only (get_eflags: R13, its result).
//   cpu.host_flags  all six arithmetic flags to the host's EFLAGS, AF too, exactly as cpu/flags.c has them
//   cpu.host_getfl  R13 = EFLAGS
// A record's kind selects one of equal slots of code; kinds are those of cpu/flags.h and tcg/tcg.h.
#include "tcg/host/x64/emit.h"

enum { SLOT = 32, KINDS = CC_AH + 4 };

static void put_bytes(struct em *m, const u8 *b, unsigned n)
{
    for (unsigned k = 0; k < n; k++) put8(m, b[k]);
}
#define PUT(m, ...)                                                                                                    \
    do {                                                                                                               \
        static const u8 bytes[] = {__VA_ARGS__};                                                                       \
        put_bytes(m, bytes, sizeof bytes);                                                                             \
    } while (0)

void put_load_eflags(struct em *m)
{
    put_load(m, 4, H_TMP, O_CPU(eflags));
    put_rr(m, 0x87, 8, H_TMP, H_RAX);
    PUT(m, 0x80, 0xe4, 0x08, // and ah, 8: OF
        0x80, 0xc4, 0x78,    // add ah, 78h: overflows from 8 on
        0x88, 0xc4, 0x9e);   // mov ah, al; sahf
    put_rr(m, 0x8b, 8, H_RAX, H_TMP);
}

static void put_ret(struct em *m) { put8(m, 0xc3); }
static void put_carry(struct em *m) { put8(m, 0xf9); } // stc
static void jump_to(struct em *m, u32 to)
{
    u32 at = put_jmp(m);
    st32(m->start + at, to - (at + 4));
}

// The flags of one kind of record without its overrides.
static void put_slot(struct em *m, unsigned op, u32 shift, u32 shx)
{
    unsigned kind = op & ~3u, size = 1u << (op & 3);
    struct opnd dst = O_CPU(cc_dst), src = O_CPU(cc_src), t = o_reg(H_TMP);
    if (op == CC_EFLAGS) {
        put_load_eflags(m);
        put_ret(m);
        return;
    }
    if (kind == CC_EFLAGS) return;                                                 // no such record
    if (kind == CC_INC || kind == CC_DEC) put_rmi(m, 0, 0x0fba, 4, 4, &src, 0, 1); // bt: neither changes CF
    put_load(m, kind == CC_AH ? 8 : size, H_TMP, dst);
    switch (kind) {
    case CC_ADD:
        put_alu(m, ALU_SUB, size, t, src);
        put_alu(m, ALU_ADD, size, t, src);
        break;
    case CC_SUB:
        put_alu(m, ALU_ADD, size, t, src);
        put_alu(m, ALU_CMP, size, t, src);
        break;
    case CC_ADC:
    case CC_SBB:
        put_carry(m);
        put_alu(m, kind == CC_ADC ? ALU_SBB : ALU_ADC, size, t, src);
        put_carry(m);
        put_alu(m, kind == CC_ADC ? ALU_ADC : ALU_SBB, size, t, src);
        break;
    case CC_INC:
    case CC_DEC:
        put_rr(m, size == 1 ? 0xfe : 0xff, size, kind == CC_INC, H_TMP);
        put_rr(m, size == 1 ? 0xfe : 0xff, size, kind == CC_DEC, H_TMP);
        break;
    case CC_CMP: put_alu(m, ALU_CMP, size, t, src); break;
    case CC_AND: // fallthrough: a comparison with 0 leaves AF 0 on every processor
        put_alu(m, ALU_AND, size, t, src);
        put_alu(m, ALU_CMP, size, t, o_imm(0));
        break;
    case CC_AH:
        put_rr(m, 0x85, 4, H_TMP, H_TMP); // OF = 0
        put_rr(m, 0x87, 8, H_TMP, H_RAX);
        put8(m, 0x9e);
        put_rr(m, 0x8b, 8, H_RAX, H_TMP);
        break;
    default: put_alu(m, ALU_CMP, size, t, o_imm(0)); break; // CC_LOGIC, CC_SHIFT, CC_SHX
    }
    if (kind == CC_SHIFT || kind == CC_SHX)
        jump_to(m, kind == CC_SHX ? shx : shift);
    else
        put_ret(m);
}

// CC_SHIFT behind its comparison: src = CF | OF << 1 | AF << 2.
static void put_shift_flags(struct em *m)
{
    struct opnd src = O_CPU(cc_src);
    put8(m, 0x50);
    put8(m, 0x9f); // lahf
    put_load(m, 1, H_TMP, src);
    PUT(m, 0x44, 0x88, 0xd8, // mov al, r11b
        0x24, 0x01,          // and al, 1
        0x08, 0xc4,          // or ah, al
        0x44, 0x88, 0xd8,    // mov al, r11b
        0x24, 0x04,          // and al, 4
        0xc0, 0xe0, 0x02,    // shl al, 2
        0x08, 0xc4,          // or ah, al
        0x44, 0x88, 0xd8,    // mov al, r11b
        0x24, 0x02,          // and al, 2
        0xc0, 0xe0, 0x06,    // shl al, 6
        0x00, 0xc0,          // add al, al: overflows from 80h
        0x9e, 0x58, 0xc3);   // sahf; pop rax; ret
}

// CF and OF that are kept beside the record, over those that it gives by itself.
static void put_overrides(struct em *m)
{
    struct opnd op = O_CPU(cc_op), cf = O_CPU(cc_cf), of = O_CPU(cc_of), t = o_reg(H_TMP);
    op.disp++;
    put8(m, 0x50);
    PUT(m, 0x9f, 0x0f, 0x90, 0xc0); // lahf; seto al
    put_rmi(m, 0, 0xf6, 1, 0, &op, CC_OVER_CF >> 8, 1);
    u32 no_cf = put_jcc(m, C_E);
    PUT(m, 0x80, 0xe4, 0xfe); // and ah, not 1
    put_load(m, 1, H_TMP, cf);
    put_rmi(m, 0, 0xc1, 4, 4, &t, 8, 1);
    put_alu(m, ALU_OR, 4, o_reg(H_RAX), t);
    patch_here(m, no_cf);
    put_rmi(m, 0, 0xf6, 1, 0, &op, CC_OVER_OF >> 8, 1);
    u32 no_of = put_jcc(m, C_E);
    put_rm(m, 0, 0x8a, 1, H_RAX, &of);
    patch_here(m, no_of);
    PUT(m, 0x04, 0x7f, 0x9e, 0x58, 0xc3); // add al, 7fh; sahf; pop rax; ret
}

static void align(struct em *m, unsigned to)
{
    while (here(m) % to) put8(m, 0xcc);
}

// Entry: R11 = slots + SLOT * kind.
static u32 put_flags(struct em *m)
{
    struct opnd op = O_CPU(cc_op), over = O_CPU(cc_op), base = O_CPU(host_flags), t = o_reg(H_TMP);
    over.disp++;
    u32 shift = here(m);
    put_shift_flags(m);
    u32 shx = here(m);
    PUT(m, 0x50, 0x9f, 0x80, 0xcc, 0x10, 0x9e, 0x58, 0xc3); // push rax; lahf; or ah, AF; sahf; pop rax; ret
    align(m, 16);
    u32 entry = here(m);
    put_load(m, 1, H_TMP, op);
    put_rmi(m, 0, 0x80, 1, ALU_CMP, &over, 0, 1);
    u32 overridden = put_jcc(m, C_NE), dispatch = here(m);
    put_rmi(m, 0, 0xc1, 4, 4, &t, 5, 1);
    _Static_assert(SLOT == 1 << 5, "the shift");
    put_alu(m, ALU_ADD, 8, t, base);
    put_rmi(m, 0, 0x81, 8, ALU_ADD, &t, 0, 4);
    u32 distance = here(m) - 4;
    put_rm(m, 0, 0xff, 4, 4, &t);
    patch_here(m, overridden);
    put8(m, 0xe8); // call
    put32(m, dispatch - (here(m) + 4));
    put_overrides(m);
    align(m, SLOT);
    st32(m->start + distance, here(m) - entry);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        put_slot(m, kind, shift, shx);
        do // also where there is no such kind
            put8(m, 0xcc);
        while (here(m) % SLOT);
    }
    return entry;
}

static u32 put_getfl(struct em *m)
{
    struct opnd op = O_CPU(cc_op), eflags = O_CPU(eflags), flags = O_CPU(host_flags), a = o_reg(H_RAX),
                t0 = o_reg(H_T0);
    align(m, 16);
    u32 entry = here(m);
    put_alu(m, ALU_CMP, 4, op, o_imm(CC_EFLAGS));
    u32 record = put_jcc(m, C_NE);
    put_load(m, 4, H_T0, eflags);
    put8(m, 0xc3);
    patch_here(m, record);
    put_rm(m, 0, 0xff, 4, 2, &flags);
    put8(m, 0x50);
    put8(m, 0x9f); // lahf
    put_rm(m, 0, 0x0f90 | C_O, 1, 0, &t0);
    put_load(m, 1, H_T0, t0);
    put_rmi(m, 0, 0xc1, 4, 4, &t0, 11, 1);
    PUT(m, 0x0f, 0xb6, 0xc4); // movzx eax, ah
    put_alu(m, ALU_OR, 4, t0, a);
    put_load(m, 4, H_RAX, eflags);
    put_alu(m, ALU_AND, 4, a, o_imm(~(i64)FL_ARITH));
    put_alu(m, ALU_OR, 4, t0, a);
    put8(m, 0x58);
    put8(m, 0xc3);
    return entry;
}

void put_flags_thunks(struct em *m, const u8 *rx, struct host_entry *h)
{
    h->flags = rx + put_flags(m);
    h->getfl = rx + put_getfl(m);
}
