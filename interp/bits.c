// SPDX-License-Identifier: MIT
// Bits: SDM vol. 2 BT, BTS, BTR, BTC, BSF, BSR, POPCNT, TZCNT, LZCNT, CRC32.
#include "interp/ops.h"

enum bit_op { K_BT, K_BTS, K_BTR, K_BTC };

INLINE u64 bit_change(enum bit_op k, u64 v, u64 m) { return k == K_BTS ? v | m : k == K_BTR ? v & ~m : v ^ m; }
INLINE void set_cf(struct cpu *c, bool cf) { flags_change(c, FL_CF, cf ? FL_CF : 0); }
INLINE void bit_reg(struct cpu *c, const struct insn *i, enum bit_op k, u64 off, unsigned n)
{
    u64 v = rd(c, i->rm, n), m = (u64)1 << (off & (8 * n - 1));
    set_cf(c, v & m);
    if (k != K_BT) wr(c, i->rm, bit_change(k, v, m), n);
}
INLINE void bit_mem(struct cpu *c, const struct insn *i, enum bit_op k, u64 ea, u64 off, unsigned n)
{
    u64 m = (u64)1 << (off & (8 * n - 1));
    if (k == K_BT) {
        set_cf(c, mem_load(c, i->seg, ea, n) & m);
    } else {
        struct rmw p;
        u64 v = rmw_load(c, i->seg, ea, n, &p);
        set_cf(c, v & m);
        rmw_store(c, &p, bit_change(k, v, m), n);
    }
}
// A register's offset is signed and reaches beyond the operand in memory: the bit string's unit is the operand size.
INLINE u64 bit_ea(struct cpu *c, const struct insn *i, i64 off, unsigned n)
{
    return ea_add(i, insn_ea(c, i), (u64)(off >> (log2_size(n) + 3)) * n);
}
#define BIT_FORMS(k, n)                                                                                                \
    FN(k##_rr##n) { bit_reg(c, i, K_##k, c->gpr[i->reg], n); }                                                         \
    FN(k##_ri##n) { bit_reg(c, i, K_##k, i->imm, n); }                                                                 \
    FN(k##_mi##n) { bit_mem(c, i, K_##k, insn_ea(c, i), i->imm, n); }                                                  \
    FN(k##_mr##n)                                                                                                      \
    {                                                                                                                  \
        i64 off = sext(c->gpr[i->reg], n);                                                                             \
        bit_mem(c, i, K_##k, bit_ea(c, i, off, n), (u64)off, n);                                                       \
    }
#define BIT(k)                                                                                                         \
    SIZES(BIT_FORMS, k)                                                                                                \
    XPICK(k##_EvGv) { return i->is_mem ? BYSIZE(k##_mr) : BYSIZE(k##_rr); }                                            \
    XPICK(k##_EvIb) { return i->is_mem ? BYSIZE(k##_mi) : BYSIZE(k##_ri); }
BIT(BT)
BIT(BTS)
BIT(BTR)
BIT(BTC)

// ---- scans. With a zero source BSF and BSR leave the destination (AMD APM vol. 3; Intel's processors too). The
// undefined flags are AMD's (Zen): BSF and BSR take PF from the result, TZCNT and LZCNT leave OF, all others are
// cleared.
INLINE u32 parity_flag(u64 r) { return __builtin_parity(r & 0xff) ? 0 : FL_PF; }
#define SCAN_FORMS(k, n)                                                                                               \
    FN(bsf_##n)                                                                                                        \
    {                                                                                                                  \
        u64 v = ld_e(c, i, n);                                                                                         \
        if (v) wr(c, i->reg, (u64)__builtin_ctzll(v), n);                                                              \
        flags_set_arith(c, v ? parity_flag((u64)__builtin_ctzll(v)) : FL_ZF | FL_PF);                                  \
    }                                                                                                                  \
    FN(bsr_##n)                                                                                                        \
    {                                                                                                                  \
        u64 v = ld_e(c, i, n);                                                                                         \
        if (v) wr(c, i->reg, 63 - (u64)__builtin_clzll(v), n);                                                         \
        flags_set_arith(c, v ? parity_flag(63 - (u64)__builtin_clzll(v)) : FL_ZF | FL_PF);                             \
    }                                                                                                                  \
    FN(tzcnt_##n)                                                                                                      \
    {                                                                                                                  \
        u64 v = ld_e(c, i, n), r = v ? (u64)__builtin_ctzll(v) : 8 * n;                                                \
        wr(c, i->reg, r, n);                                                                                           \
        flags_change(c, FL_ARITH & ~FL_OF, (v ? 0 : FL_CF) | (r ? 0 : FL_ZF));                                         \
    }                                                                                                                  \
    FN(lzcnt_##n)                                                                                                      \
    {                                                                                                                  \
        u64 v = ld_e(c, i, n), r = v ? (u64)__builtin_clzll(v) - (64 - 8 * n) : 8 * n;                                 \
        wr(c, i->reg, r, n);                                                                                           \
        flags_change(c, FL_ARITH & ~FL_OF, (v ? 0 : FL_CF) | (r ? 0 : FL_ZF));                                         \
    }                                                                                                                  \
    FN(popcnt_##n)                                                                                                     \
    {                                                                                                                  \
        u64 v = ld_e(c, i, n);                                                                                         \
        wr(c, i->reg, (u64)__builtin_popcountll(v), n);                                                                \
        flags_set_arith(c, v ? 0 : FL_ZF);                                                                             \
    }
SIZES(SCAN_FORMS, x)
XPICK(BSF_GvEv) { return BYSIZE(bsf_); }
XPICK(BSR_GvEv) { return BYSIZE(bsr_); }
XPICK(TZCNT_GvEv) { return BYSIZE(tzcnt_); }
XPICK(LZCNT_GvEv) { return BYSIZE(lzcnt_); }
XPICK(POPCNT_GvEv) { return BYSIZE(popcnt_); }

// ---- CRC-32C, reflected polynomial 82F63B78h, no inversion
INLINE u32 crc32c(u32 crc, u64 v, unsigned n)
{
    // remainder of each low nibble
    static const u32 step[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    for (unsigned k = 0; k < 2 * n; k++, v >>= 4) crc = crc >> 4 ^ step[(crc ^ v) & 15];
    return crc;
}
X(CRC32_GyEb) { c->gpr[i->reg] = crc32c((u32)c->gpr[i->reg], ld_e(c, i, 1), 1); }
#define CRC_FORM(k, n)                                                                                                 \
    FN(k##n) { c->gpr[i->reg] = crc32c((u32)c->gpr[i->reg], ld_e(c, i, n), n); }
SIZES(CRC_FORM, crc32_)
XPICK(CRC32_GyEv) { return BYSIZE(crc32_); }
