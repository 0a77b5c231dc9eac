// SPDX-License-Identifier: MIT
// SSE4.2's string comparisons: SDM vol. 2 4.1. pcmpstr.c.
#pragma once
#include "cpu/simd/lane.h"

struct pcmpstr {
    u32 bits;   // IntRes2
    u32 lanes;  // 8 or 16
    u32 eflags; // OF SF ZF AF PF CF
};
// la, lb: lengths of the explicit form (absolute values are taken here); use pcmpstr_implicit() otherwise.
struct pcmpstr pcmpstr_explicit(vq a, vq b, i64 la, i64 lb, u8 imm);
struct pcmpstr pcmpstr_implicit(vq a, vq b, u8 imm);
u32 pcmpstr_index(const struct pcmpstr *p, u8 imm); // what goes to ECX
vq pcmpstr_mask(const struct pcmpstr *p, u8 imm);   // what goes to XMM0
