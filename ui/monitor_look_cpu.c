// SPDX-License-Identifier: MIT
// Topics of `info` about one processor's registers, in Bochs' layouts: flags, segments, control, debug, x87 and vector
// registers, MSRs. Names in capitals are set bits. SDM vol. 1 3.4.3, 8.1, 10.2.3; vol. 3 2.5, 17.2.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/regs.h"

// "pe mp -" …, from bit 0 up, "-" for bits without a name; printed from the highest down, capitals for those that are
// set.
static void print_bits(struct buf *out, u64 v, const char *names)
{
    struct {
        const char *at;
        size_t len;
    } w[64];
    unsigned n = 0;
    while (*names && n < 64) {
        w[n].at = names;
        w[n].len = strcspn(names, " ");
        names += w[n].len;
        names += strspn(names, " ");
        n++;
    }
    while (n--) {
        if (*w[n].at == '-') continue;
        buf_printf(out, " ");
        for (size_t i = 0; i < w[n].len; i++) buf_printf(out, "%c", v >> n & 1 ? toupper((u8)w[n].at[i]) : w[n].at[i]);
    }
}

static void print_eflags(struct cpu *c, struct buf *out)
{
    u32 f = flags_get(c);
    buf_printf(out, "eflags 0x%08x:", f);
    print_bits(out, f >> 14, "nt - rf vm ac vif vip id");
    buf_printf(out, " IOPL=%u", f >> 12 & 3);
    print_bits(out, f, "cf - pf - af - zf sf tf if df of");
    buf_printf(out, "\n");
}
void info_eflags(struct mon_call *a) { print_eflags(mon_the_cpu(), a->out); }

// Bochs' `r`.
void mon_regs(struct mon_call *a)
{
    static const char names[18][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8 ",
                                      "r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "",    "rip"};
    static const u8 order[17] = {R_RAX, R_RBX, R_RCX, R_RDX, R_RSP, R_RBP, R_RSI, R_RDI, 8,
                                 9,     10,    11,    12,    13,    14,    15,    R_RIP};
    struct cpu *c = mon_the_cpu();
    buf_printf(a->out, "CPU%u:\n", c->index);
    for (unsigned i = 0; i < 17; i++) {
        u64 v = c->gpr[order[i]];
        if (cpu_has(c, FEAT_LM))
            buf_printf(a->out, "%s: %08x_%08x\n", names[order[i]], (u32)(v >> 32), (u32)v);
        else if (i < 8 || i == 16)
            buf_printf(a->out, "e%s: 0x%08x %u\n", names[order[i]] + 1, (u32)v, (u32)v);
    }
    print_eflags(c, a->out);
}

// ---- control and debug registers

void info_creg(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    u64 cr8 = 0;
    buf_printf(a->out, "CR0=0x%08x:", (u32)c->cr0);
    print_bits(a->out, c->cr0, "pe mp em ts et ne - - - - - - - - - - wp - am - - - - - - - - - - nw cd pg");
    buf_printf(a->out, "\nCR2=page fault laddr=0x%016llx\n", (unsigned long long)c->cr2);
    buf_printf(a->out, "CR3=0x%012llx\n", (unsigned long long)c->cr3);
    if (c->cr4 & CR4_PCIDE)
        buf_printf(a->out, "    PCID=0x%03x\n", (unsigned)c->cr3 & 0xfff);
    else
        buf_printf(a->out, "    PCD=page-level cache disable=%u\n    PWT=page-level write-through=%u\n",
                   (unsigned)(c->cr3 >> 4 & 1), (unsigned)(c->cr3 >> 3 & 1));
    if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !cpu_lma(c))
        for (unsigned i = 0; i < 4; i++)
            buf_printf(a->out, "    PDPTE%u=0x%016llx\n", i, (unsigned long long)c->pdpte[i]);
    buf_printf(a->out, "CR4=0x%08x:", (u32)c->cr4);
    print_bits(a->out, c->cr4,
               "vme pvi tsd de pse pae mce pge pce osfxsr osxmmexcpt umip la57 vmx smx - fsgsbase pcid osxsave - smep "
               "smap pke cet");
    if (reg_read(c, "cr8", &cr8)) buf_printf(a->out, "\nCR8: 0x%llx", (unsigned long long)cr8);
    buf_printf(a->out, "\nEFER=0x%08x:", (u32)c->efer);
    print_bits(a->out, c->efer, "sce - - - - - - - lme - lma nxe svme - ffxsr");
    buf_printf(a->out, "\n");
    if (cpu_has(c, FEAT_XSAVE)) {
        buf_printf(a->out, "XCR0=0x%08x:", (u32)c->xcr0);
        print_bits(a->out, c->xcr0, "fpu sse ymm bndregs bndcfg opmask zmm_hi256 hi_zmm - pkru");
        buf_printf(a->out, "\n");
    }
}

void info_dreg(struct mon_call *a)
{
    static const char *const types[] = {"Code", "Write", "I/O", "Access"};
    static const u8 lengths[] = {1, 2, 8, 4};
    struct cpu *c = mon_the_cpu();
    for (unsigned i = 0; i < 4; i++) buf_printf(a->out, "DR%u=0x%016llx\n", i, (unsigned long long)c->dr[i]);
    buf_printf(a->out, "DR6=0x%08x:", (u32)c->dr[6]);
    print_bits(a->out, c->dr[6], "b0 b1 b2 b3 - - - - - - - - - bd bs bt");
    buf_printf(a->out, "\nDR7=0x%08x:", (u32)c->dr[7]);
    for (unsigned i = 4; i--;) {
        unsigned r = c->dr[7] >> (16 + i * 4) & 15;
        buf_printf(a->out, " DR%u=%s-%u", i, types[r & 3], lengths[r >> 2]);
    }
    print_bits(a->out, c->dr[7], "l0 g0 l1 g1 l2 g2 l3 g3 le ge - rtm - gd");
    buf_printf(a->out, "\n");
}

// ---- x87, MMX, SSE

static long double f80_host_value(u64 m, u16 se)
{
    return ldexpl((long double)m, (int)(se & 0x7fff) - 16383 - 63) * (se >> 15 ? -1 : 1);
}

static void print_f80(struct buf *out, u64 m, u16 se)
{
    unsigned exp = se & 0x7fff;
    const char *sign = se >> 15 ? "-" : "+";
    if (exp == 0x7fff && !(m >> 63))
        buf_printf(out, "unsupported");
    else if (exp == 0x7fff && !(m << 1))
        buf_printf(out, "%sinf", sign);
    else if (exp == 0x7fff)
        buf_printf(out, "%s", m >> 62 & 1 ? "QNaN" : "SNaN");
    else if (exp && !(m >> 63))
        buf_printf(out, "unsupported");
    else
        buf_printf(out, "%+.20Lg", f80_host_value(m, se));
}

static const char *const rounding[] = {"RC_NEAREST", "RC_DOWN", "RC_UP", "RC_TRUNC"};

void info_fpu(struct mon_call *a)
{
    static const char *const precision[] = {"PC_32", "PC_reserved", "PC_64", "PC_80"};
    struct cpu *c = mon_the_cpu();
    const struct fpu *f = &c->fpu;
    unsigned top = f->fsw >> 11 & 7;
    buf_printf(a->out, "status  word: 0x%04x:", f->fsw);
    print_bits(a->out, f->fsw >> 14, "c3 b");
    buf_printf(a->out, " TOS%u", top);
    print_bits(a->out, f->fsw, "ie de ze oe ue pe sf es c0 c1 c2");
    buf_printf(a->out, "\ncontrol word: 0x%04x:", f->fcw);
    print_bits(a->out, f->fcw >> 12, "inf");
    buf_printf(a->out, " %s %s", rounding[f->fcw >> 10 & 3], precision[f->fcw >> 8 & 3]);
    print_bits(a->out, f->fcw, "im dm zm om um pm");
    u16 tag = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned exp = f->se[i] & 0x7fff, t = 3;
        if (f->tags >> i & 1) t = exp == 0 && !f->m[i] ? 1 : exp == 0x7fff || !(f->m[i] >> 63) ? 2 : 0;
        tag |= (u16)(t << (2 * i));
    }
    buf_printf(a->out, "\ntag word:     0x%04x\noperand:      0x%04x\n", tag, f->fop);
    buf_printf(a->out, "fip:          0x%04x:%016llx\nfdp:          0x%04x:%016llx\n", f->fcs,
               (unsigned long long)f->fip, f->fds, (unsigned long long)f->fdp);
    static const char *const tags[] = {"v", "0", "s", "e"};
    for (unsigned i = 0; i < 8; i++) {
        unsigned r = (top + i) & 7;
        buf_printf(a->out, "FP%u ST%u(%s): raw 0x%04x:%016llx (", r, i, tags[tag >> (2 * r) & 3], f->se[r],
                   (unsigned long long)f->m[r]);
        print_f80(a->out, f->m[r], f->se[r]);
        buf_printf(a->out, ")\n");
    }
}

void info_mmx(struct mon_call *a)
{
    const struct fpu *f = &mon_the_cpu()->fpu;
    for (unsigned i = 0; i < 8; i++) buf_printf(a->out, "MM[%u]: %08x_%08x\n", i, (u32)(f->m[i] >> 32), (u32)f->m[i]);
}

void info_sse(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    buf_printf(a->out, "MXCSR: 0x%08x:", c->mxcsr);
    print_bits(a->out, c->mxcsr >> 15, "fz");
    buf_printf(a->out, " %s", rounding[c->mxcsr >> 13 & 3]);
    print_bits(a->out, c->mxcsr, "ie de ze oe ue pe daz im dm zm om um pm");
    buf_printf(a->out, "\n");
    for (unsigned i = 0; i < (cpu_has(c, FEAT_LM) ? 16 : 8); i++) {
        const union vec *v = &c->vec[i];
        double d[2];
        memcpy(d, v->q, sizeof d);
        buf_printf(a->out, "XMM[%02u]: %08x_%08x_%08x_%08x", i, v->d[3], v->d[2], v->d[1], v->d[0]);
        if (v->q[0] | v->q[1]) buf_printf(a->out, "  (%g, %g)", d[1], d[0]);
        buf_printf(a->out, "\n");
    }
}

// ---- MSRs

void info_msr(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    const char *name;
    u64 v;
    u32 num = 0;
    if (!a->argc) {
        for (unsigned i = 0; (name = reg_msr(i, &num)); i++)
            if (msr_read(c, num, &v)) buf_printf(a->out, "%08x %-18s %016llx\n", num, name, (unsigned long long)v);
        return;
    }
    struct nearest near = {.word = a->argv[0]};
    for (unsigned i = 0; (name = reg_msr(i, &num)); i++) {
        if (!strcasecmp(name, a->argv[0])) break;
        nearest_try(&near, name);
    }
    if (!name) {
        u64 n;
        struct err e = {0};
        if (!expr_eval(c, a->argv[0], &n, &e) || n >> 32) {
            mon_fail(a, "info msr: '%s' is neither a number nor the name of an MSR%s", a->argv[0],
                     nearest_text(&near, ""));
            return;
        }
        num = (u32)n;
    }
    if (msr_read(c, num, &v))
        buf_printf(a->out, "%08x %016llx\n", num, (unsigned long long)v);
    else
        mon_fail(a, "info msr: this processor has no MSR 0x%x", num);
}
