// SPDX-License-Identifier: MIT
// SSE4.2's string comparisons, AES-NI, PCLMULQDQ, SHA. SDM vol. 2. The work is cpu/simd/pcmpstr.h and crypto.h.
#include "cpu/simd/crypto.h"
#include "cpu/simd/pcmpstr.h"
#include "interp/simd.h"

// Lengths in EAX and EDX, or with REX.W in RAX and RDX.
INLINE struct pcmpstr explicit_len(struct cpu *c, const struct insn *i, vq b)
{
    i64 la = (i64)c->gpr[R_RAX], lb = (i64)c->gpr[R_RDX];
    if (!(i->pfx & PFX_W)) la = (i32)la, lb = (i32)lb;
    return pcmpstr_explicit(xmm_get(c, i->reg), b, la, lb, (u8)i->imm);
}
INLINE struct pcmpstr implicit_len(struct cpu *c, const struct insn *i, vq b)
{
    return pcmpstr_implicit(xmm_get(c, i->reg), b, (u8)i->imm);
}
#define X_PCMPSTR(NAME, compare)                                                                                       \
    XRM(NAME##I_VdqWdqIb)                                                                                              \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        struct pcmpstr p = compare(c, i, w128u(c, i, mem));                                                            \
        c->gpr[R_RCX] = pcmpstr_index(&p, (u8)i->imm);                                                                 \
        flags_set_arith(c, p.eflags);                                                                                  \
    }                                                                                                                  \
    XRM(NAME##M_VdqWdqIb)                                                                                              \
    {                                                                                                                  \
        check_sse(c);                                                                                                  \
        struct pcmpstr p = compare(c, i, w128u(c, i, mem));                                                            \
        xmm_set(c, 0, pcmpstr_mask(&p, (u8)i->imm));                                                                   \
        flags_set_arith(c, p.eflags);                                                                                  \
    }
X_PCMPSTR(PCMPESTR, explicit_len)
X_PCMPSTR(PCMPISTR, implicit_len)

X_VW(AESENC_VdqWdq, simd_aesenc(a, b))
X_VW(AESENCLAST_VdqWdq, simd_aesenclast(a, b))
X_VW(AESDEC_VdqWdq, simd_aesdec(a, b))
X_VW(AESDECLAST_VdqWdq, simd_aesdeclast(a, b))
X_VW(AESIMC_VdqWdq, simd_aesimc(b))
X_VW(AESKEYGENASSIST_VdqWdqIb, simd_aeskeygenassist(b, imm))
X_VW(PCLMULQDQ_VdqWdqIb, simd_pclmulqdq(a, b, imm))
X_VW(SHA1RNDS4_VdqWdqIb, simd_sha1rnds4(a, b, imm))
X_VW(SHA1NEXTE_VdqWdq, simd_sha1nexte(a, b))
X_VW(SHA1MSG1_VdqWdq, simd_sha1msg1(a, b))
X_VW(SHA1MSG2_VdqWdq, simd_sha1msg2(a, b))
X_VW(SHA256RNDS2_VdqWdqXMM0, simd_sha256rnds2(a, b, xmm_get(c, 0)))
X_VW(SHA256MSG1_VdqWdq, simd_sha256msg1(a, b))
X_VW(SHA256MSG2_VdqWdq, simd_sha256msg2(a, b))
