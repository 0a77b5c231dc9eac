// SPDX-License-Identifier: MIT
// Lane kernels of MMX and SSE integer instructions: pure functions on 128-bit vectors, shared by both engines. SDM vol.
// 2, the pseudocode of each mnemonic; k_xxx is mnemonic xxx with a = first (destination) and b = second operand. MMX
// instructions use the same kernels with the upper half ignored where lanes keep their place; those that move between
// lanes say how in interp/mmx.c. Floating point is fplane.h. Left out: big-endian hosts (lane 0 is the lowest address).
#pragma once
#include <string.h>
#include "cpu/cpu.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the lane kernels need a little-endian host"
#endif

typedef u8 vb __attribute__((vector_size(16)));
typedef u16 vw __attribute__((vector_size(16)));
typedef u32 vd __attribute__((vector_size(16)));
typedef u64 vq __attribute__((vector_size(16))); // also what passes between functions
typedef i8 vsb __attribute__((vector_size(16)));
typedef i16 vsw __attribute__((vector_size(16)));
typedef i32 vsd __attribute__((vector_size(16)));
typedef i64 vsq __attribute__((vector_size(16)));

INLINE vq vec_lo(const union vec *v) { return *(const vq *)v; }
INLINE void vec_set_lo(union vec *v, vq x) { *(vq *)v = x; }
INLINE vq vec_load(const void *p)
{
    vq v;
    memcpy(&v, p, 16);
    return v;
}
INLINE vq vec_q(u64 lo, u64 hi) { return (vq){lo, hi}; }
// Mask m (all ones or zeros in each lane) chooses a, else b.
INLINE vq vec_sel(vq m, vq a, vq b) { return b ^ (m & (a ^ b)); }
INLINE u128 vec_u128(vq a) { return (u128)a[1] << 64 | a[0]; }
INLINE vq vec_from_u128(u128 a) { return (vq){(u64)a, (u64)(a >> 64)}; }

// A kernel whose expression sees both operands as vectors of type T.
#define K2(name, T, expr)                                                                                              \
    INLINE vq k_##name(vq a_, vq b_)                                                                                   \
    {                                                                                                                  \
        T a = (T)a_, b = (T)b_;                                                                                        \
        return (vq)(expr);                                                                                             \
    }
// One whose statement fills r[n] for n = 0 .. lanes-1.
#define KN(name, T, R, lanes, stmt)                                                                                    \
    INLINE vq k_##name(vq a_, vq b_)                                                                                   \
    {                                                                                                                  \
        T a = (T)a_, b = (T)b_;                                                                                        \
        R r;                                                                                                           \
        for (unsigned n = 0; n < lanes; n++) stmt;                                                                     \
        return (vq)r;                                                                                                  \
    }

// ---- Logic, arithmetic that wraps, comparison
K2(and, vq, a &b)
K2(andn, vq, ~a &b)
K2(or, vq, a | b)
K2(xor, vq, a ^ b)
K2(paddb, vb, a + b)
K2(paddw, vw, a + b)
K2(paddd, vd, a + b)
K2(paddq, vq, a + b)
K2(psubb, vb, a - b)
K2(psubw, vw, a - b)
K2(psubd, vd, a - b)
K2(psubq, vq, a - b)
K2(pcmpeqb, vb, a == b)
K2(pcmpeqw, vw, a == b)
K2(pcmpeqd, vd, a == b)
K2(pcmpeqq, vq, a == b)
K2(pcmpgtb, vsb, a > b)
K2(pcmpgtw, vsw, a > b)
K2(pcmpgtd, vsd, a > b)
K2(pcmpgtq, vsq, a > b)
#define K_MINMAX(suffix, T)                                                                                            \
    K2(pmin##suffix, T, vec_sel((vq)(a < b), a_, b_))                                                                  \
    K2(pmax##suffix, T, vec_sel((vq)(a > b), a_, b_))
K_MINMAX(ub, vb)
K_MINMAX(uw, vw)
K_MINMAX(ud, vd)
K_MINMAX(sb, vsb)
K_MINMAX(sw, vsw)
K_MINMAX(sd, vsd)

// ---- Saturation
#define K_SATURATE(suffix, U, S, bits)                                                                                 \
    K2(paddus##suffix, U, (U)(a + b) | (U)((U)(a + b) < a))                                                            \
    K2(psubus##suffix, U, (U)(a - b) & (U)(a > b))                                                                     \
    /* the limit on the side of the first operand's sign, where the result's sign shows overflow */                    \
    K2(padds##suffix, U,                                                                                               \
       vec_sel((vq)((S)(((a + b) ^ a) & ((a + b) ^ b)) < 0),                                                           \
               (vq)((U)((S)a < 0) ^ (U)((a ^ a) + (1u << (bits - 1)) - 1)), (vq)(a + b)))                              \
    K2(psubs##suffix, U,                                                                                               \
       vec_sel((vq)((S)((a ^ b) & (a ^ (a - b))) < 0), (vq)((U)((S)a < 0) ^ (U)((a ^ a) + (1u << (bits - 1)) - 1)),    \
               (vq)(a - b)))
K_SATURATE(b, vb, vsb, 8)
K_SATURATE(w, vw, vsw, 16)

INLINE i8 sat_i8(i32 x) { return (i8)(x < -128 ? -128 : x > 127 ? 127 : x); }
INLINE u8 sat_u8(i32 x) { return (u8)(x < 0 ? 0 : x > 255 ? 255 : x); }
INLINE i16 sat_i16(i32 x) { return (i16)(x < -32768 ? -32768 : x > 32767 ? 32767 : x); }
INLINE u16 sat_u16(i32 x) { return (u16)(x < 0 ? 0 : x > 65535 ? 65535 : x); }

// ---- Multiplication, averages, sums
K2(pmullw, vw, a *b)
K2(pmulld, vd, a *b)
KN(pmulhw, vsw, vsw, 8, r[n] = (i16)(a[n] * b[n] >> 16))
KN(pmulhuw, vw, vw, 8, r[n] = (u16)((u32)a[n] * b[n] >> 16))
KN(pmulhrsw, vsw, vsw, 8, r[n] = (i16)(((a[n] * b[n] >> 14) + 1) >> 1))
// Even and odd words of each doubleword, multiplied in 32 bits.
K2(pmaddwd, vsd, (vd)(a << 16 >> 16) * (vd)(b << 16 >> 16) + (vd)(a >> 16) * (vd)(b >> 16))
K2(pmuludq, vq, (a & 0xffffffffu) * (b & 0xffffffffu))
KN(pmuldq, vsd, vsq, 2, r[n] = (i64)a[2 * n] * b[2 * n])
K2(pavgb, vb, (a | b) - ((a ^ b) >> 1))
K2(pavgw, vw, (a | b) - ((a ^ b) >> 1))
INLINE u64 sum_bytes(u64 x)
{
    const u64 even = 0x00ff00ff00ff00ffull;
    return ((x & even) + (x >> 8 & even)) * 0x0001000100010001ull >> 48;
}
INLINE vq k_psadbw(vq a, vq b)
{
    vq d = k_psubusb(a, b) | k_psubusb(b, a);
    return vec_q(sum_bytes(d[0]), sum_bytes(d[1]));
}
INLINE vq k_pmaddubsw(vq a_, vq b_)
{
    vb a = (vb)a_;
    vsb b = (vsb)b_;
    vsw r;
    for (unsigned n = 0; n < 8; n++) r[n] = sat_i16(a[2 * n] * b[2 * n] + a[2 * n + 1] * b[2 * n + 1]);
    return (vq)r;
}
#define V_EVEN_W(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define V_ODD_W(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define V_EVEN_D(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define V_ODD_D(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7)
K2(phaddw, vw, V_EVEN_W(a, b) + V_ODD_W(a, b))
K2(phaddd, vd, V_EVEN_D(a, b) + V_ODD_D(a, b))
K2(phsubw, vw, V_EVEN_W(a, b) - V_ODD_W(a, b))
K2(phsubd, vd, V_EVEN_D(a, b) - V_ODD_D(a, b))
K2(phaddsw, vw, k_paddsw((vq)V_EVEN_W(a, b), (vq)V_ODD_W(a, b)))
K2(phsubsw, vw, k_psubsw((vq)V_EVEN_W(a, b), (vq)V_ODD_W(a, b)))
#define K_SIGN(s, T)                                                                                                   \
    K2(psign##s, T, (((a ^ (T)(b < 0)) - (T)(b < 0)) & (T)(b != 0)))                                                   \
    INLINE vq k_pabs##s(vq b_)                                                                                         \
    {                                                                                                                  \
        T b = (T)b_;                                                                                                   \
        return (vq)((b ^ (T)(b < 0)) - (T)(b < 0));                                                                    \
    }
K_SIGN(b, vsb)
K_SIGN(w, vsw)
K_SIGN(d, vsd)

// ---- Packing and interleaving
#define V_EVEN_B(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
// x within lo..hi, signed lanes; the even lanes of twice the number are then the packed values.
#define V_CLAMP(T, x, lo, hi)                                                                                          \
    vec_sel((vq)((x) > (hi)), (vq)((T){0} + (hi)), vec_sel((vq)((x) < (lo)), (vq)((T){0} + (lo)), (vq)(x)))
K2(packsswb, vsw, V_EVEN_B((vb)V_CLAMP(vsw, a, -128, 127), (vb)V_CLAMP(vsw, b, -128, 127)))
K2(packuswb, vsw, V_EVEN_B((vb)V_CLAMP(vsw, a, 0, 255), (vb)V_CLAMP(vsw, b, 0, 255)))
K2(packssdw, vsd, V_EVEN_W((vw)V_CLAMP(vsd, a, -32768, 32767), (vw)V_CLAMP(vsd, b, -32768, 32767)))
K2(packusdw, vsd, V_EVEN_W((vw)V_CLAMP(vsd, a, 0, 65535), (vw)V_CLAMP(vsd, b, 0, 65535)))
K2(punpcklbw, vb, __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23))
K2(punpckhbw, vb, __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
K2(punpcklwd, vw, __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11))
K2(punpckhwd, vw, __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15))
K2(punpckldq, vd, __builtin_shufflevector(a, b, 0, 4, 1, 5))
K2(punpckhdq, vd, __builtin_shufflevector(a, b, 2, 6, 3, 7))
K2(punpcklqdq, vq, __builtin_shufflevector(a, b, 0, 2))
K2(punpckhqdq, vq, __builtin_shufflevector(a, b, 1, 3))

// ---- Shuffles
INLINE vq k_pshufb(vq a, vq b)
{
    vb index = (vb)b & 15;
    u8 t[16], x[16], r[16];
    memcpy(t, &a, 16);
    memcpy(x, &index, 16);
    for (unsigned n = 0; n < 16; n++) r[n] = t[x[n]];
    return vec_load(r) & ~(vq)((vsb)b < 0);
}
// Four lanes of b chosen by two bits of imm each.
INLINE vq k_pshufd(vq b, u8 imm)
{
    u32 t[4];
    memcpy(t, &b, 16);
    return (vq)(vd){t[imm & 3], t[imm >> 2 & 3], t[imm >> 4 & 3], t[imm >> 6]};
}
INLINE u64 k_pshufw(u64 b, u8 imm)
{
    return (b >> (imm & 3) * 16 & 0xffff) | (b >> (imm >> 2 & 3) * 16 & 0xffff) << 16 |
           (b >> (imm >> 4 & 3) * 16 & 0xffff) << 32 | b >> (imm >> 6) * 16 << 48;
}
INLINE vq k_shufps(vq a, vq b, u8 imm)
{
    u32 s[4], t[4];
    memcpy(s, &a, 16);
    memcpy(t, &b, 16);
    return (vq)(vd){s[imm & 3], s[imm >> 2 & 3], t[imm >> 4 & 3], t[imm >> 6]};
}
INLINE vq k_shufpd(vq a, vq b, u8 imm) { return vec_q(imm & 1 ? a[1] : a[0], imm & 2 ? b[1] : b[0]); }
// Bytes n.. of a:b (b is the low part), a right shift by up to 32 bytes.
INLINE vq k_palignr(vq a, vq b, u8 imm)
{
    u8 t[48] = {0};
    memcpy(t, &b, 16);
    memcpy(t + 16, &a, 16);
    return vec_load(t + (imm > 32 ? 32 : imm));
}
// Where the top bit of a lane of m is set: b, else a.
#define K_BLENDV(name, T)                                                                                              \
    INLINE vq k_##name(vq a, vq b, vq m) { return vec_sel((vq)((T)m < 0), b, a); }
K_BLENDV(pblendvb, vsb)
K_BLENDV(blendvps, vsd)
K_BLENDV(blendvpd, vsq)
INLINE vq k_pblendw(vq a, vq b, u8 imm)
{
    vw sel = {imm & 1, imm & 2, imm & 4, imm & 8, imm & 16, imm & 32, imm & 64, imm & 128};
    return vec_sel((vq)(sel != 0), b, a);
}
INLINE vq k_blendps(vq a, vq b, u8 imm)
{
    vd sel = {imm & 1, imm & 2, imm & 4, imm & 8};
    return vec_sel((vq)(sel != 0), b, a);
}
INLINE vq k_blendpd(vq a, vq b, u8 imm) { return vec_q(imm & 1 ? b[0] : a[0], imm & 2 ? b[1] : a[1]); }

// ---- Shifts: n is the whole 64-bit count
#define K_SHIFT(s, U, S, E, bits)                                                                                      \
    INLINE vq k_psll##s(vq a, u64 n) { return n >= bits ? (vq){0, 0} : (vq)((U)a << (E)n); }                           \
    INLINE vq k_psrl##s(vq a, u64 n) { return n >= bits ? (vq){0, 0} : (vq)((U)a >> (E)n); }                           \
    INLINE UNUSED vq k_psra##s(vq a, u64 n) { return (vq)((S)a >> (E)(n >= bits ? bits - 1 : n)); }
K_SHIFT(w, vw, vsw, u16, 16)
K_SHIFT(d, vd, vsd, u32, 32)
K_SHIFT(q, vq, vsq, u64, 64)
INLINE vq k_pslldq(vq a, u64 n) { return n > 15 ? (vq){0, 0} : vec_from_u128(vec_u128(a) << n * 8); }
INLINE vq k_psrldq(vq a, u64 n) { return n > 15 ? (vq){0, 0} : vec_from_u128(vec_u128(a) >> n * 8); }

// ---- Masks of sign bits
INLINE u32 k_pmovmskb64(u64 a) { return (u32)((a & 0x8080808080808080ull) * 0x0002040810204081ull >> 56); }
INLINE u32 k_pmovmskb(vq a) { return k_pmovmskb64(a[0]) | k_pmovmskb64(a[1]) << 8; }
INLINE u32 k_movmskps(vq a_)
{
    vd a = (vd)a_;
    return a[0] >> 31 | a[1] >> 31 << 1 | a[2] >> 31 << 2 | a[3] >> 31 << 3;
}
INLINE u32 k_movmskpd(vq a) { return (u32)(a[0] >> 63 | a[1] >> 63 << 1); }

// ---- Widening: from the low lanes of b
#define K_WIDEN(name, FROM, TO, lanes)                                                                                 \
    INLINE vq k_##name(vq b_)                                                                                          \
    {                                                                                                                  \
        FROM b = (FROM)b_;                                                                                             \
        TO r;                                                                                                          \
        for (unsigned n = 0; n < lanes; n++) r[n] = b[n];                                                              \
        return (vq)r;                                                                                                  \
    }
K_WIDEN(pmovsxbw, vsb, vsw, 8)
K_WIDEN(pmovsxbd, vsb, vsd, 4)
K_WIDEN(pmovsxbq, vsb, vsq, 2)
K_WIDEN(pmovsxwd, vsw, vsd, 4)
K_WIDEN(pmovsxwq, vsw, vsq, 2)
K_WIDEN(pmovsxdq, vsd, vsq, 2)
K_WIDEN(pmovzxbw, vb, vw, 8)
K_WIDEN(pmovzxbd, vb, vd, 4)
K_WIDEN(pmovzxbq, vb, vq, 2)
K_WIDEN(pmovzxwd, vw, vd, 4)
K_WIDEN(pmovzxwq, vw, vq, 2)
K_WIDEN(pmovzxdq, vd, vq, 2)

// ---- SSE4.1's odd ones
INLINE vq k_phminposuw(vq b_)
{
    vw b = (vw)b_;
    u32 best = b[0];
    for (u32 n = 1; n < 8; n++) {
        u32 v = b[n] | n << 16;
        if ((u16)v < (u16)best) best = v;
    }
    return vec_q(best, 0);
}
INLINE vq k_mpsadbw(vq a_, vq b_, u8 imm)
{
    u8 a[16], b[16];
    u16 r[8];
    memcpy(a, &a_, 16);
    memcpy(b, &b_, 16);
    const u8 *x = a + (imm & 4), *y = b + (imm & 3) * 4;
    for (unsigned n = 0; n < 8; n++) {
        unsigned s = 0;
        for (unsigned k = 0; k < 4; k++) s += x[n + k] > y[k] ? x[n + k] - y[k] : y[k] - x[n + k];
        r[n] = (u16)s;
    }
    return vec_load(r);
}
// INSERTPS with the source lane already chosen.
INLINE vq k_insertps(vq a, u32 v, u8 imm)
{
    vd r = (vd)a;
    r[imm >> 4 & 3] = v;
    vd zero = {imm & 1, imm & 2, imm & 4, imm & 8};
    return (vq)(r & (vd)(zero == 0));
}
