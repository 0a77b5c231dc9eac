// SPDX-License-Identifier: MIT
// AES-NI, PCLMULQDQ and SHA: pure functions, crypto.c. a is the first operand, b the second.
#pragma once
#include "cpu/simd/lane.h"

vq simd_aesenc(vq a, vq key);
vq simd_aesenclast(vq a, vq key);
vq simd_aesdec(vq a, vq key);
vq simd_aesdeclast(vq a, vq key);
vq simd_aesimc(vq b);
vq simd_aeskeygenassist(vq b, u8 imm);
vq simd_pclmulqdq(vq a, vq b, u8 imm);
vq simd_sha1rnds4(vq a, vq b, u8 imm);
vq simd_sha1nexte(vq a, vq b);
vq simd_sha1msg1(vq a, vq b);
vq simd_sha1msg2(vq a, vq b);
vq simd_sha256rnds2(vq a, vq b, vq xmm0);
vq simd_sha256msg1(vq a, vq b);
vq simd_sha256msg2(vq a, vq b);
