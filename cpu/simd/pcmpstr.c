// SPDX-License-Identifier: MIT
// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. SDM vol. 2 4.1: imm[1:0] element format, [3:2] aggregation, [5:4]
// polarity, [6] which index or what kind of mask. a is the first operand (the set, the ranges, the needle).
#include "cpu/simd/pcmpstr.h"

enum { EQUAL_ANY, RANGES, EQUAL_EACH, EQUAL_ORDERED };

static void elements(vq v, u8 imm, i32 e[16])
{
    union {
        vq q;
        u8 ub[16];
        i8 sb[16];
        u16 uw[8];
        i16 sw[8];
    } u = {v};
    for (unsigned n = 0; n < 16; n++) {
        switch (imm & 3) {
        case 0: e[n] = u.ub[n]; break;
        case 1: e[n] = u.uw[n & 7]; break;
        case 2: e[n] = u.sb[n]; break;
        default: e[n] = u.sw[n & 7]; break;
        }
    }
}

// IntRes1. Comparisons with invalid elements are overridden as table 4-7 says.
static u32 aggregate(const i32 a[16], const i32 b[16], int la, int lb, int lanes, unsigned mode)
{
    u32 r = 0;
    switch (mode) {
    case EQUAL_ANY:
        for (int j = 0; j < lb; j++)
            for (int i = 0; i < la; i++)
                if (a[i] == b[j]) r |= 1u << j;
        break;
    case RANGES:
        for (int j = 0; j < lb; j++)
            for (int i = 0; i + 1 < la; i += 2)
                if (a[i] <= b[j] && b[j] <= a[i + 1]) r |= 1u << j;
        break;
    case EQUAL_EACH:
        for (int j = 0; j < lanes; j++)
            if (j < la && j < lb ? a[j] == b[j] : j >= la && j >= lb) r |= 1u << j;
        break;
    default:
        for (int j = 0; j < lanes; j++) {
            bool match = true;
            for (int i = 0; i < la && i + j < lanes && match; i++) match = i + j < lb && a[i] == b[i + j];
            if (match) r |= 1u << j;
        }
        break;
    }
    return r;
}

static struct pcmpstr compare(vq va, vq vb, int la, int lb, u8 imm)
{
    i32 a[16], b[16];
    int lanes = imm & 1 ? 8 : 16;
    u32 all = (1u << lanes) - 1;
    elements(va, imm, a);
    elements(vb, imm, b);
    u32 r = aggregate(a, b, la, lb, lanes, imm >> 2 & 3);
    if ((imm >> 4 & 3) == 1) r ^= all;
    if ((imm >> 4 & 3) == 3) r ^= (1u << lb) - 1;
    u32 fl = (r ? FL_CF : 0) | (lb < lanes ? FL_ZF : 0) | (la < lanes ? FL_SF : 0) | (r & 1 ? FL_OF : 0);
    return (struct pcmpstr){.bits = r, .lanes = (u32)lanes, .eflags = fl};
}

static int length(i64 n, int lanes)
{
    u64 m = n < 0 ? -(u64)n : (u64)n;
    return m > (u64)lanes ? lanes : (int)m;
}
struct pcmpstr pcmpstr_explicit(vq a, vq b, i64 la, i64 lb, u8 imm)
{
    int lanes = imm & 1 ? 8 : 16;
    return compare(a, b, length(la, lanes), length(lb, lanes), imm);
}
// Up to the first zero element.
static int terminated(vq v, u8 imm)
{
    if (imm & 1) {
        u32 m = k_pmovmskb(k_pcmpeqw(v, vec_q(0, 0))) | 0x10000;
        return __builtin_ctz(m) / 2;
    }
    return __builtin_ctz(k_pmovmskb(k_pcmpeqb(v, vec_q(0, 0))) | 0x10000);
}
struct pcmpstr pcmpstr_implicit(vq a, vq b, u8 imm)
{
    return compare(a, b, terminated(a, imm), terminated(b, imm), imm);
}

u32 pcmpstr_index(const struct pcmpstr *p, u8 imm)
{
    if (!p->bits) return p->lanes;
    return imm & 0x40 ? 31u - (u32)__builtin_clz(p->bits) : (u32)__builtin_ctz(p->bits);
}
vq pcmpstr_mask(const struct pcmpstr *p, u8 imm)
{
    if (!(imm & 0x40)) return vec_q(p->bits, 0);
    u8 m[16];
    for (unsigned n = 0; n < 16; n++) m[n] = p->bits >> (p->lanes == 8 ? n / 2 : n) & 1 ? 0xff : 0;
    return vec_load(m);
}
