// SPDX-License-Identifier: MIT
// Registers by name. A row says where a value lies; what needs the processor's own rules on a write (control registers,
// flags, segments, MSRs) goes through cpu/, whose refusal (#GP and the like) becomes a message.
#include "ui/regs.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/opt.h"

enum kind {
    GPR,      // size bytes at the register; 4: a write clears the upper half, as in 64-bit code
    GPR_HIGH, // AH and its like
    PLAIN,    // a field without consequences
    SEL,
    BASE,
    LIMIT,
    ATTR,
    CR,
    DR,
    FLAGS,
    FLAG,
    PC, // linear address of the next instruction
    READ_ONLY
};
#define F(field) offsetof(struct cpu, field)
static const struct reg {
    const char *name;
    enum kind kind;
    u32 n; // register's number, offset of a field, bit of a flag
    u8 size;
} regs[] = {
#define G(n, name64, name32, name16) {name64, GPR, n, 8}, {name32, GPR, n, 4}, {name16, GPR, n, 2},
    G(R_RAX, "rax", "eax", "ax") G(R_RCX, "rcx", "ecx", "cx") G(R_RDX, "rdx", "edx", "dx") G(R_RBX, "rbx", "ebx", "bx")
        G(R_RSP, "rsp", "esp", "sp") G(R_RBP, "rbp", "ebp", "bp") G(R_RSI, "rsi", "esi", "si")
            G(R_RDI, "rdi", "edi", "di") G(8, "r8", "r8d", "r8w") G(9, "r9", "r9d", "r9w") G(10, "r10", "r10d", "r10w")
                G(11, "r11", "r11d", "r11w") G(12, "r12", "r12d", "r12w") G(13, "r13", "r13d", "r13w")
                    G(14, "r14", "r14d", "r14w") G(15, "r15", "r15d", "r15w") G(R_RIP, "rip", "eip", "ip")
#undef G
#define B(n, name) {name, GPR, n, 1},
                        B(R_RAX, "al") B(R_RCX, "cl") B(R_RDX, "dl") B(R_RBX, "bl") B(R_RSP, "spl") B(R_RBP, "bpl")
                            B(R_RSI, "sil") B(R_RDI, "dil") B(8, "r8b") B(9, "r9b") B(10, "r10b") B(11, "r11b")
                                B(12, "r12b") B(13, "r13b") B(14, "r14b") B(15, "r15b")
#undef B
                                    {"ah", GPR_HIGH, R_RAX, 1},
    {"ch", GPR_HIGH, R_RCX, 1},
    {"dh", GPR_HIGH, R_RDX, 1},
    {"bh", GPR_HIGH, R_RBX, 1},
    {"pc", PC, 0, 8},
#define S(n, name)                                                                                                     \
    {name, SEL, n, 2}, {name ".base", BASE, n, 8}, {name ".limit", LIMIT, n, 4}, {name ".attr", ATTR, n, 2},
    S(S_ES, "es") S(S_CS, "cs") S(S_SS, "ss") S(S_DS, "ds") S(S_FS, "fs") S(S_GS, "gs") S(S_LDTR, "ldtr") S(S_TR, "tr")
#undef S
        {"eflags", FLAGS, 0, 4},
    {"rflags", FLAGS, 0, 8},
    {"flag.cf", FLAG, 0, 1},
    {"flag.pf", FLAG, 2, 1},
    {"flag.af", FLAG, 4, 1},
    {"flag.zf", FLAG, 6, 1},
    {"flag.sf", FLAG, 7, 1},
    {"flag.tf", FLAG, 8, 1},
    {"flag.if", FLAG, 9, 1},
    {"flag.df", FLAG, 10, 1},
    {"flag.of", FLAG, 11, 1},
    {"flag.nt", FLAG, 14, 1},
    {"flag.rf", FLAG, 16, 1},
    {"flag.vm", FLAG, 17, 1},
    {"flag.ac", FLAG, 18, 1},
    {"flag.vif", FLAG, 19, 1},
    {"flag.vip", FLAG, 20, 1},
    {"flag.id", FLAG, 21, 1},
    {"cr0", CR, 0, 8},
    {"cr2", CR, 2, 8},
    {"cr3", CR, 3, 8},
    {"cr4", CR, 4, 8},
    {"cr8", CR, 8, 8},
    {"dr0", DR, 0, 8},
    {"dr1", DR, 1, 8},
    {"dr2", DR, 2, 8},
    {"dr3", DR, 3, 8},
    {"dr6", DR, 6, 8},
    {"dr7", DR, 7, 8},
    {"gdtr", PLAIN, F(gdt_base), 8},
    {"gdtr.base", PLAIN, F(gdt_base), 8},
    {"gdtr.limit", PLAIN, F(gdt_limit), 2},
    {"idtr", PLAIN, F(idt_base), 8},
    {"idtr.base", PLAIN, F(idt_base), 8},
    {"idtr.limit", PLAIN, F(idt_limit), 2},
    {"xcr0", READ_ONLY, F(xcr0), 8},
    {"mxcsr", PLAIN, F(mxcsr), 4},
    {"fcw", PLAIN, F(fpu.fcw), 2},
    {"fsw", PLAIN, F(fpu.fsw), 2},
    {"ftw", PLAIN, F(fpu.tags), 1},
    {"fop", PLAIN, F(fpu.fop), 2},
    {"fip", PLAIN, F(fpu.fip), 8},
    {"fcs", PLAIN, F(fpu.fcs), 2},
    {"fdp", PLAIN, F(fpu.fdp), 8},
    {"fds", PLAIN, F(fpu.fds), 2},
    {"cpl", READ_ONLY, F(cpl), 1},
    {"apic_id", READ_ONLY, F(apic_id), 4},
};

// SDM vol. 4 table 2-2, APM vol. 2 appendix A.
static const struct {
    const char *name;
    u32 num;
} msrs[] = {
    {"tsc", 0x10},
    {"apic_base", 0x1b},
    {"feature_control", 0x3a},
    {"tsc_adjust", 0x3b},
    {"mtrrcap", 0xfe},
    {"sysenter_cs", 0x174},
    {"sysenter_esp", 0x175},
    {"sysenter_eip", 0x176},
    {"mcg_cap", 0x179},
    {"mcg_status", 0x17a},
    {"misc_enable", 0x1a0},
    {"debugctl", 0x1d9},
    {"mtrr_physbase0", 0x200},
    {"mtrr_physmask0", 0x201},
    {"mtrr_physbase1", 0x202},
    {"mtrr_physmask1", 0x203},
    {"mtrr_physbase2", 0x204},
    {"mtrr_physmask2", 0x205},
    {"mtrr_physbase3", 0x206},
    {"mtrr_physmask3", 0x207},
    {"mtrr_physbase4", 0x208},
    {"mtrr_physmask4", 0x209},
    {"mtrr_physbase5", 0x20a},
    {"mtrr_physmask5", 0x20b},
    {"mtrr_physbase6", 0x20c},
    {"mtrr_physmask6", 0x20d},
    {"mtrr_physbase7", 0x20e},
    {"mtrr_physmask7", 0x20f},
    {"mtrr_fix64k_00000", 0x250},
    {"mtrr_fix16k_80000", 0x258},
    {"mtrr_fix16k_a0000", 0x259},
    {"mtrr_fix4k_c0000", 0x268},
    {"mtrr_fix4k_c8000", 0x269},
    {"mtrr_fix4k_d0000", 0x26a},
    {"mtrr_fix4k_d8000", 0x26b},
    {"mtrr_fix4k_e0000", 0x26c},
    {"mtrr_fix4k_e8000", 0x26d},
    {"mtrr_fix4k_f0000", 0x26e},
    {"mtrr_fix4k_f8000", 0x26f},
    {"pat", 0x277},
    {"mtrr_def_type", 0x2ff},
    {"tsc_deadline", 0x6e0},
    {"efer", 0xc0000080},
    {"star", 0xc0000081},
    {"lstar", 0xc0000082},
    {"cstar", 0xc0000083},
    {"sfmask", 0xc0000084},
    {"fs_base", 0xc0000100},
    {"gs_base", 0xc0000101},
    {"kernel_gs_base", 0xc0000102},
    {"tsc_aux", 0xc0000103},
    {"syscfg", 0xc0010010},
    {"hwcr", 0xc0010015},
};

const char *reg_msr(unsigned n, u32 *num)
{
    if (n >= ARRAY_LEN(msrs)) return NULL;
    *num = msrs[n].num;
    return msrs[n].name;
}

const char *reg_name(unsigned n)
{
    static char text[16];
    if (n < ARRAY_LEN(regs)) return regs[n].name;
    n -= ARRAY_LEN(regs);
    if (n < ARRAY_LEN(msrs)) return msrs[n].name;
    n -= ARRAY_LEN(msrs);
    if (n >= 48) return NULL;
    snprintf(text, sizeof text, n < 8 ? "st%u" : n < 16 ? "mm%u" : "xmm%u", n < 16 ? n % 8 : n - 16);
    return text;
}

static const struct reg *find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
        if (!strcasecmp(regs[i].name, name)) return &regs[i];
    return NULL;
}

static bool find_msr(const char *name, u32 *num)
{
    u64 v;
    for (unsigned i = 0; i < ARRAY_LEN(msrs); i++)
        if (!strcasecmp(msrs[i].name, name)) return *num = msrs[i].num, true;
    if (strncasecmp(name, "msr.", 4) || !parse_uint(name + 4, &v) || v >> 32) return false;
    *num = (u32)v;
    return true;
}

// "xmm3", "xmm3.q1", "ymm2.d7", "mm5", "st0" -> where it lies and how wide; false: none of these.
static bool find_vector(struct cpu *c, const char *name, u8 **at, unsigned *size)
{
    char kind[4] = "", part = 'q', rest = 0;
    unsigned n = 0, elem = 0, k = 0;
    while (isalpha((u8)name[k]) && k < 3) kind[k] = (char)tolower((u8)name[k]), k++;
    int got = sscanf(name + k, "%2u.%c%3u%c", &n, &part, &elem, &rest);
    if (got != 1 && got != 3) return false;
    bool mm = !strcmp(kind, "mm"), st = !strcmp(kind, "st");
    unsigned bytes = !strcmp(kind, "xmm") ? 16 : !strcmp(kind, "ymm") ? 32 : !strcmp(kind, "zmm") ? 64 : 8;
    if (bytes == 8 && !mm && !st) return false;
    *size = part == 'b' ? 1 : part == 'w' ? 2 : part == 'd' ? 4 : part == 'q' ? 8 : 0;
    if (!*size || n >= (bytes == 8 ? 8u : 32u) || (elem + 1) * *size > bytes) return false;
    u8 *base = bytes > 8 ? c->vec[n].b : (u8 *)&c->fpu.m[st ? (n + (c->fpu.fsw >> 11)) & 7 : n];
    *at = base + elem * *size;
    return true;
}

bool reg_read(struct cpu *c, const char *name, u64 *v)
{
    const struct reg *r = find(name);
    u8 *at;
    unsigned size;
    u32 msr;
    if (!r) {
        if (find_vector(c, name, &at, &size)) return *v = ld_size(at, size), true;
        if (find_msr(name, &msr)) {
            if (!msr_read(c, msr, v)) *v = msr == 0xc0000080 ? c->efer : 0;
            return true;
        }
        return false;
    }
    const struct seg *s = &c->seg[r->n < S_COUNT ? r->n : 0];
    switch (r->kind) {
    case GPR: *v = c->gpr[r->n] & size_mask(r->size); break;
    case GPR_HIGH: *v = c->gpr[r->n] >> 8 & 0xff; break;
    case PLAIN:
    case READ_ONLY: *v = 0, memcpy(v, (const u8 *)c + r->n, r->size), *v = LE64(*v); break;
    case SEL: *v = s->sel; break;
    case BASE: *v = s->base; break;
    case LIMIT: *v = s->limit; break;
    case ATTR: *v = s->attr; break;
    case CR:
        *v = r->n == 0         ? c->cr0
             : r->n == 2       ? c->cr2
             : r->n == 3       ? c->cr3
             : r->n == 4       ? c->cr4
             : c->pins.get_tpr ? c->pins.get_tpr(c->pins.owner, c->index)
                               : 0;
        break;
    case DR: *v = c->dr[r->n]; break;
    case FLAGS: *v = flags_get(c); break;
    case FLAG: *v = flags_get(c) >> r->n & 1; break;
    case PC: *v = c->seg[S_CS].base + c->gpr[R_RIP]; break;
    }
    return true;
}

// ---- writes

static bool load_segment(struct cpu *c, unsigned n, u64 v)
{
    struct desc d;
    if (n == S_LDTR)
        seg_load_ldt(c, (u16)v);
    else if (n == S_TR)
        seg_load_tr(c, (u16)v);
    else if (n != S_CS)
        seg_load(c, n, (u16)v);
    else if (!cpu_protected(c))
        seg_load_real(c, S_CS, (u16)v);
    else if (!sel_null((u16)v) && seg_read_desc(c, (u16)v, &d, NULL) && attr_is_code(d.attr) && (d.attr & SEG_P)) {
        seg_install(c, S_CS, (u16)v, &d);
        cpu_update_mode(c);
    } else
        return false;
    return true;
}

static void set_debug(struct cpu *c, unsigned n, u64 v)
{
    c->dr[n] = n == 6 ? (v & 0xe00f) | 0xffff0ff0 : n == 7 ? (v & 0xffff2fff) | 0x400 : v;
    tlb_flush(c, true); // pages with breakpoints are not cached
    cpu_update_mode(c);
}

static bool write_row(struct cpu *c, const struct reg *r, u64 v)
{
    struct seg *s = &c->seg[r->n < S_COUNT ? r->n : 0];
    u64 mask = size_mask(r->size);
    switch (r->kind) {
    case GPR: c->gpr[r->n] = r->size >= 4 ? v & mask : (c->gpr[r->n] & ~mask) | (v & mask); break;
    case GPR_HIGH: c->gpr[r->n] = (c->gpr[r->n] & ~0xff00ull) | (v & 0xff) << 8; break;
    case PLAIN: v = LE64(v), memcpy((u8 *)c + r->n, &v, r->size); break;
    case READ_ONLY: return false;
    case SEL: return load_segment(c, r->n, v);
    case BASE: s->base = s->base_legacy = v; break;
    case LIMIT: s->limit = (u32)v; break;
    case ATTR: s->attr = (u16)v; break;
    case CR: sys_write_cr(c, r->n, v); break;
    case DR: set_debug(c, r->n, v); break;
    case FLAGS: sys_set_eflags(c, (u32)v, ~0u); break;
    case FLAG: sys_set_eflags(c, v ? 1u << r->n : 0, 1u << r->n); break;
    case PC: c->gpr[R_RIP] = v - c->seg[S_CS].base; break;
    }
    if (r->kind == BASE || r->kind == LIMIT || r->kind == ATTR) {
        if (r->n <= S_GS) seg_update(c, r->n);
        cpu_update_mode(c);
    }
    return true;
}

// A write that the processor refuses comes back by its fault path: then nothing has changed (commit late).
static bool try_write(struct cpu *c, const struct reg *r, u64 v)
{
    jmp_buf here, *before = c->fault;
    volatile bool ok = true;
    u8 cpl = c->cpl;
    c->fault = &here;
    if (r->kind == CR) c->cpl = 0; // a person may
    if (setjmp(here)) {
        c->exc = -1;
        ok = false;
    } else {
        ok = write_row(c, r, v);
    }
    if (r->kind == CR) c->cpl = cpl;
    c->fault = before;
    return ok;
}

bool reg_write(struct cpu *c, const char *name, u64 v, struct err *e)
{
    const struct reg *r = find(name);
    u8 *at;
    unsigned size;
    u32 msr;
    if (r) {
        if (!try_write(c, r, v))
            return err_set(e, "%s does not take the value 0x%llx now", r->name, (unsigned long long)v);
    } else if (find_vector(c, name, &at, &size)) {
        st_size(at, v, size);
    } else if (find_msr(name, &msr)) {
        if (!msr_write(c, msr, v))
            return err_set(e, "MSR 0x%x does not exist on this processor or does not take 0x%llx", msr,
                           (unsigned long long)v);
    } else {
        struct nearest near = {.word = name};
        const char *word;
        for (unsigned i = 0; (word = reg_name(i)); i++) nearest_try(&near, word);
        return err_set(e, "unknown register '%s'%s", name, nearest_text(&near, ""));
    }
    c->attn |= ATTN_CODE; // whoever runs looks at RIP, mode and flags again
    return true;
}
