// SPDX-License-Identifier: MIT
// FXSAVE, FXRSTOR, and the XSAVE family in its standard form for x87 and SSE state. SDM vol. 1 10.5, 13.5-13.11; AMD
// APM vol. 2 11.4.4 for EFER.FFXSR. Extended components (AVX, AVX-512) follow the header at the offsets of CPUID leaf
// 0Dh when XCR0 comes to offer them. Left out: the compacted form (XSAVEC, XSAVES), which CPUID does not offer.
// XSAVEOPT writes as XSAVE does but for components in their initial state; the modified optimization is not made.
#include <string.h>
#include "interp/x87.h"

enum { XSTATE_X87 = 1, XSTATE_SSE = 2 };
enum { FX_SIZE = 512, FX_XMM = 160, XHEADER = 512, XHEADER_SIZE = 64 };

// Address of the area: segment checks, alignment (#GP(0)), then paging for all of it.
static void check_area(struct cpu *c, const struct insn *i, unsigned size, unsigned align, int acc)
{
    u64 ea = insn_ea(c, i);
    if (mem_linear(c, i->seg, ea, size, acc) & (align - 1)) cpu_raise_err(c, EXC_GP, 0);
    mem_probe(c, i->seg, ea, size, acc);
}

// The same if nothing of that can fail: where the host has the area, in plain memory; else NULL.
static u8 *area_host(struct cpu *c, const struct insn *i, unsigned size, unsigned align, int acc)
{
    u64 ea = insn_ea(c, i);
    if ((c->seg[i->seg].base + ea) & (align - 1)) return NULL;
    return acc == ACC_WRITE ? access_host_wr(c, i->seg, ea, size) : access_host_rd(c, i->seg, ea, size);
}

static void xmm_store(const struct cpu *c, u8 *p, unsigned n)
{
    for (unsigned r = 0; r < n; r++) memcpy(p + FX_XMM + 16 * r, c->vec[r].b, 16);
}
static void xmm_load(struct cpu *c, const u8 *p, unsigned n)
{
    for (unsigned r = 0; r < n; r++) memcpy(c->vec[r].b, p + FX_XMM + 16 * r, 16);
}
static unsigned xmm_count(const struct cpu *c) { return cpu_code64(c) ? 16 : 8; }

// FXSAVE and FXRSTOR move MXCSR only with CR4.OSFXSR, and the XMM registers unless FFXSR at CPL 0 in 64-bit code says
// no.
static bool fx_with_xmm(const struct cpu *c)
{
    return (c->cr4 & CR4_OSFXSR) && !((c->efer & EFER_FFXSR) && cpu_code64(c) && !c->cpl);
}

X(FXSAVE_M)
{
    check_fpu(c);
    u8 b[FX_SIZE], *host = area_host(c, i, FX_SIZE, 16, ACC_WRITE), *to = host ? host : b;
    if (!host) check_area(c, i, FX_SIZE, 16, ACC_WRITE);
    bool sse = c->cr4 & CR4_OSFXSR;
    unsigned n = fx_with_xmm(c) ? xmm_count(c) : 0;
    x87_fx_store(&c->fpu, to, i->pfx & PFX_W);
    if (sse) {
        st32(to + 24, c->mxcsr);
        st32(to + 28, MXCSR_MASK);
    }
    xmm_store(c, to, n);
    if (host) return;
    u64 ea = insn_ea(c, i);
    mem_write(c, i->seg, ea, b, sse ? 32 : 24, 0);
    mem_write(c, i->seg, ea + 32, b + 32, 128 + 16 * n, 0);
}

X(FXRSTOR_M)
{
    check_fpu(c);
    u8 b[FX_SIZE];
    const u8 *from = area_host(c, i, FX_SIZE, 16, ACC_READ);
    if (!from) {
        check_area(c, i, FX_SIZE, 16, ACC_READ);
        mem_read(c, i->seg, insn_ea(c, i), b, FX_SIZE, 0);
        from = b;
    }
    bool sse = c->cr4 & CR4_OSFXSR;
    if (sse && ld32(from + 24) & ~(u32)MXCSR_MASK) cpu_raise_err(c, EXC_GP, 0);
    x87_fx_load(c, from, i->pfx & PFX_W);
    if (sse) cpu_set_mxcsr(c, ld32(from + 24));
    if (fx_with_xmm(c)) xmm_load(c, from, xmm_count(c));
}

static u64 edx_eax(const struct cpu *c) { return (u64)(u32)c->gpr[R_RDX] << 32 | (u32)c->gpr[R_RAX]; }

static void check_xsave(struct cpu *c)
{
    if (!(c->cr4 & CR4_OSXSAVE)) cpu_raise(c, EXC_UD);
    if (c->cr0 & CR0_TS) cpu_raise(c, EXC_NM);
}

static bool sse_is_init(const struct cpu *c)
{
    u64 any = 0;
    for (unsigned r = 0; r < xmm_count(c); r++) any |= c->vec[r].q[0] | c->vec[r].q[1];
    return !any && c->mxcsr == MXCSR_INIT;
}

static void xsave(struct cpu *c, const struct insn *i, bool opt)
{
    enum { SIZE = XHEADER + XHEADER_SIZE };
    check_xsave(c);
    u8 b[SIZE], *host = area_host(c, i, SIZE, 64, ACC_WRITE), *to = host ? host : b;
    u64 rfbm = c->xcr0 & edx_eax(c), ea = insn_ea(c, i);
    if (!host) check_area(c, i, SIZE, 64, ACC_WRITE);
    u64 inuse = (x87_is_init(&c->fpu) ? 0 : XSTATE_X87) | (sse_is_init(c) ? 0 : XSTATE_SSE);
    u64 write = opt ? rfbm & inuse : rfbm;
    u64 old = host ? ld64(host + XHEADER) : mem_load(c, i->seg, ea + XHEADER, 8), bv = (old & ~rfbm) | (inuse & rfbm);
    if (write & XSTATE_X87) x87_fx_store(&c->fpu, to, i->pfx & PFX_W);
    if (rfbm & XSTATE_SSE) {
        st32(to + 24, c->mxcsr);
        st32(to + 28, MXCSR_MASK);
    }
    if (write & XSTATE_SSE) xmm_store(c, to, xmm_count(c));
    st64(to + XHEADER, bv);
    if (host) return;
    if (write & XSTATE_X87) {
        mem_write(c, i->seg, ea, b, 24, 0);
        mem_write(c, i->seg, ea + 32, b + 32, 128, 0);
    }
    if (rfbm & XSTATE_SSE) mem_write(c, i->seg, ea + 24, b + 24, 8, 0);
    if (write & XSTATE_SSE) mem_write(c, i->seg, ea + FX_XMM, b + FX_XMM, 16 * xmm_count(c), 0);
    mem_store(c, i->seg, ea + XHEADER, bv, 8);
}
X(XSAVE_M) { xsave(c, i, false); }
X(XSAVEOPT_M) { xsave(c, i, true); }

X(XRSTOR_M)
{
    u8 b[XHEADER + XHEADER_SIZE];
    check_xsave(c);
    u64 rfbm = c->xcr0 & edx_eax(c);
    const u8 *host = area_host(c, i, sizeof b, 64, ACC_READ);
    if (host) {
        memcpy(b, host, sizeof b);
    } else {
        check_area(c, i, sizeof b, 64, ACC_READ);
        mem_read(c, i->seg, insn_ea(c, i), b, sizeof b, 0);
    }
    u64 bv = ld64(b + XHEADER);
    // XSTATE_BV within XCR0; XCOMP_BV (no compacted form) and bytes 16-23 zero.
    if (bv & ~c->xcr0 || ld64(b + XHEADER + 8) || ld64(b + XHEADER + 16)) cpu_raise_err(c, EXC_GP, 0);
    if (rfbm & XSTATE_SSE && ld32(b + 24) & ~(u32)MXCSR_MASK) cpu_raise_err(c, EXC_GP, 0);
    if (rfbm & XSTATE_X87) {
        if (!(bv & XSTATE_X87)) {
            memset(b, 0, 24);
            memset(b + 32, 0, 128);
            st16(b, FCW_INIT);
        }
        x87_fx_load(c, b, i->pfx & PFX_W);
    }
    if (rfbm & XSTATE_SSE) {
        if (!(bv & XSTATE_SSE)) memset(b + FX_XMM, 0, 16 * 16);
        cpu_set_mxcsr(c, ld32(b + 24));
        xmm_load(c, b, xmm_count(c));
    }
}
