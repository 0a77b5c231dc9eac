// SPDX-License-Identifier: MIT
// The x87 registers on their way between struct fpu, where register n is physical, and the host's, as an FXSAVE image:
// ST(i) in stack order, tags by physical register. SDM vol. 1 10.5.1. The pointers stay in struct fpu.
#include <string.h>
#include "cpu/fpu/x87.h"
#include "mem/base/bits.h"
#include "tcg/tb/tb.h"

void tb_x87_to_host(struct cpu *c)
{
    struct fpu *f = &c->fpu;
    u8 *p = c->host_x87;
    st16(p, f->fcw);
    st16(p + 2, f->fsw);
    st16(p + 4, f->tags);
    st32(p + 24, MXCSR_INIT);
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = x87_phys(f, i);
        st64(p + 32 + 16 * i, f->m[n]);
        st16(p + 40 + 16 * i, f->se[n]);
    }
}

void tb_x87_from_host(struct cpu *c)
{
    struct fpu *f = &c->fpu;
    const u8 *p = c->host_x87;
    f->fcw = ld16(p);
    f->fsw = ld16(p + 2);
    f->tags = p[4];
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = x87_phys(f, i);
        f->m[n] = ld64(p + 32 + 16 * i);
        f->se[n] = ld16(p + 40 + 16 * i);
    }
}

void tb_x87_pointers(struct cpu *c, const struct tb *t, unsigned k)
{
    u64 rip = c->code_base + (t->pa & 0xfff);
    for (unsigned j = 0; j < k; j++) rip += t->insn[j].len;
    c->fpu.fip = cpu_code64(c) ? rip : (u32)rip;
    c->fpu.fcs = c->seg[S_CS].sel;
    c->fpu.fop = tcg_x87_opcode(&t->insn[k]);
}
