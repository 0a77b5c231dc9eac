// SPDX-License-Identifier: MIT
// AES-NI (FIPS 197; SDM vol. 2 AESENC ...), carry-less multiplication, SHA-1 and SHA-256 steps (FIPS 180-4; SDM vol. 2
// SHA1RNDS4 ...). Tables and arithmetic, the same on every host; timing depends on data, as it may in an emulator.
#include "cpu/simd/crypto.h"
#include "cpu/simd/aes_tab.h"

INLINE u32 rol32(u32 x, unsigned n) { return x << n | x >> (32 - n); }
INLINE u32 ror32(u32 x, unsigned n) { return x >> n | x << (32 - n); }

// ---- AES. The state's byte 4 c + r is column c, row r. ShiftRows takes row r of column c from column c + r (inverse:
// c - r).
static vq round_mix(vq a, vq key, const u32 tab[256], unsigned dir)
{
    u8 s[16];
    vd r;
    memcpy(s, &a, 16);
    for (unsigned c = 0; c < 4; c++)
        r[c] = tab[s[4 * c]] ^ rol32(tab[s[(4 * (c + dir) + 1) & 15]], 8) ^
               rol32(tab[s[(4 * (c + 2 * dir) + 2) & 15]], 16) ^ rol32(tab[s[(4 * (c + 3 * dir) + 3) & 15]], 24);
    return (vq)r ^ key;
}
static vq round_last(vq a, vq key, const u8 box[256], unsigned dir)
{
    u8 s[16], r[16];
    memcpy(s, &a, 16);
    for (unsigned n = 0; n < 16; n++) r[n] = box[s[(n + 4 * dir * (n & 3)) & 15]];
    return vec_load(r) ^ key;
}
vq simd_aesenc(vq a, vq key) { return round_mix(a, key, aes_mix, 1); }
vq simd_aesdec(vq a, vq key) { return round_mix(a, key, aes_inv_mix, 3); }
vq simd_aesenclast(vq a, vq key) { return round_last(a, key, aes_sbox, 1); }
vq simd_aesdeclast(vq a, vq key) { return round_last(a, key, aes_inv_sbox, 3); }

// InvMixColumns alone: the S-box in front of aes_inv_mix's own inverse S-box cancels it.
vq simd_aesimc(vq b)
{
    u8 s[16];
    vd r;
    memcpy(s, &b, 16);
    for (unsigned c = 0; c < 4; c++)
        r[c] = aes_inv_mix[aes_sbox[s[4 * c]]] ^ rol32(aes_inv_mix[aes_sbox[s[4 * c + 1]]], 8) ^
               rol32(aes_inv_mix[aes_sbox[s[4 * c + 2]]], 16) ^ rol32(aes_inv_mix[aes_sbox[s[4 * c + 3]]], 24);
    return (vq)r;
}
static u32 sub_word(u32 x)
{
    return aes_sbox[x & 0xff] | (u32)aes_sbox[x >> 8 & 0xff] << 8 | (u32)aes_sbox[x >> 16 & 0xff] << 16 |
           (u32)aes_sbox[x >> 24] << 24;
}
vq simd_aeskeygenassist(vq b, u8 imm)
{
    vd x = (vd)b;
    u32 s1 = sub_word(x[1]), s3 = sub_word(x[3]);
    return (vq)(vd){s1, ror32(s1, 8) ^ imm, s3, ror32(s3, 8) ^ imm};
}

// ---- PCLMULQDQ: four bits of x at a time
vq simd_pclmulqdq(vq a, vq b, u8 imm)
{
    u64 x = a[imm & 1], y = b[imm >> 4 & 1];
    u128 t[16] = {0, y};
    for (unsigned n = 2; n < 16; n += 2) {
        t[n] = t[n / 2] << 1;
        t[n + 1] = t[n] ^ y;
    }
    u128 r = 0;
    for (int s = 60; s >= 0; s -= 4) r = r << 4 ^ t[x >> s & 15];
    return vec_from_u128(r);
}

// ---- SHA-1. Element 3 is the SDM's bits 127:96, the first word.
vq simd_sha1rnds4(vq a_, vq b_, u8 imm)
{
    static const u32 ks[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    vd s = (vd)a_, w = (vd)b_;
    u32 a = s[3], b = s[2], c = s[1], d = s[0], e = 0, k = ks[imm & 3];
    for (int n = 3; n >= 0; n--) {
        u32 f = (imm & 3) == 0 ? (b & c) ^ (~b & d) : (imm & 3) == 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d;
        u32 t = f + rol32(a, 5) + w[n] + e + k; // the caller has added E to the first word
        e = d;
        d = c;
        c = rol32(b, 30);
        b = a;
        a = t;
    }
    return (vq)(vd){d, c, b, a};
}
vq simd_sha1nexte(vq a, vq b)
{
    vd r = (vd)b;
    r[3] += rol32(((vd)a)[3], 30);
    return (vq)r;
}
vq simd_sha1msg1(vq a_, vq b_)
{
    vd a = (vd)a_, b = (vd)b_;
    return (vq)(vd){b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3]};
}
vq simd_sha1msg2(vq a_, vq b_)
{
    vd a = (vd)a_, b = (vd)b_;
    u32 w16 = rol32(a[3] ^ b[2], 1), w17 = rol32(a[2] ^ b[1], 1), w18 = rol32(a[1] ^ b[0], 1);
    return (vq)(vd){rol32(a[0] ^ w16, 1), w18, w17, w16};
}

// ---- SHA-256
// a holds C D G H, b holds A B E F (first in element 3), xmm0 two words with their constants added.
vq simd_sha256rnds2(vq a_, vq b_, vq x)
{
    vd p = (vd)a_, q = (vd)b_, w = (vd)x;
    u32 a = q[3], b = q[2], c = p[3], d = p[2], e = q[1], f = q[0], g = p[1], h = p[0];
    for (int n = 0; n < 2; n++) {
        u32 t1 = h + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + ((e & f) ^ (~e & g)) + w[n];
        u32 t2 = (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    return (vq)(vd){f, e, b, a};
}
vq simd_sha256msg1(vq a_, vq b_)
{
    vd a = (vd)a_, w = {a[1], a[2], a[3], (u32)b_[0]};
    vd s = (w >> 7 | w << 25) ^ (w >> 18 | w << 14) ^ w >> 3;
    return (vq)(a + s);
}
static u32 sigma1(u32 x) { return ror32(x, 17) ^ ror32(x, 19) ^ x >> 10; }
vq simd_sha256msg2(vq a_, vq b_)
{
    vd a = (vd)a_, b = (vd)b_;
    u32 w16 = a[0] + sigma1(b[2]), w17 = a[1] + sigma1(b[3]);
    return (vq)(vd){w16, w17, a[2] + sigma1(w16), a[3] + sigma1(w17)};
}
