// SPDX-License-Identifier: MIT
// A bus, 4 MB of RAM and one CPU for tests that call cpu/ directly: descriptors go to memory, faults are caught.
// Locals that a caught call changes must be volatile.
#pragma once
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wclobbered"
#endif
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "tests/check.h"

enum { GDT = 0x1000, IDT = 0x2000, LDT = 0x3000, TSS = 0x4000, TSS2 = 0x5000, STACK0 = 0x8000, STACK3 = 0xa000 };
// Selectors of the common GDT.
enum { K_CS = 0x08, K_DS = 0x10, U_CS = 0x1b, U_DS = 0x23, K_CS64 = 0x28, U_CS64 = 0x33, TR_SEL = 0x40, SPARE = 0x50 };
// Access byte | flags << 12, as struct seg's attr.
enum {
    A_CODE0 = 0xc09b,
    A_DATA0 = 0xc093,
    A_CODE3 = 0xc0fb,
    A_DATA3 = 0xc0f3,
    A_CODE64_0 = 0xa09b,
    A_CODE64_3 = 0xa0fb
};
struct machine {
    struct bus bus;
    struct cpu *c;
    struct cpu_model *model;
    struct ram *ram;
    int triple;
    u64 tsc;
};
static UNUSED void m_triple(void *o, unsigned cpu) { ((struct machine *)o)->triple++; }
static UNUSED u64 m_tsc(void *o, unsigned cpu) { return ((struct machine *)o)->tsc; }

static UNUSED struct machine *machine_new_engine(const char *model, const struct cpu_engine *engine)
{
    struct machine *m = xalloc(sizeof *m);
    struct err e = {0};
    bus_init(&m->bus);
    m->ram = ram_new(&m->bus, "ram", 4 << 20, &e);
    bus_map_ram(&m->bus, 0, 4 << 20, m->ram, 0, REGION_RW, 0, "ram");
    m->model = cpuid_model_parse(model, &e);
    if (!m->model) panic("%s", e.msg);
    struct cpu_pins pins = {.owner = m, .triple_fault = m_triple, .tsc = m_tsc};
    m->c = cpu_new(&m->bus, 0, m->model, engine, &pins);
    return m;
}
static UNUSED struct machine *machine_new(const char *model) { return machine_new_engine(model, NULL); }
static UNUSED void machine_free(struct machine *m)
{
    bus_free(&m->bus);
    free(m->model);
    free(m);
}
static UNUSED void poke(struct machine *m, u32 at, u64 v, unsigned size) { st_size(m->ram->host + at, v, size); }
static UNUSED u64 peek(struct machine *m, u32 at, unsigned size) { return ld_size(m->ram->host + at, size); }
// limit in units of the granularity.
static UNUSED u64 descriptor(u32 base, u32 limit, u32 attr)
{
    return (u64)(limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xff) << 40 |
           (u64)(limit >> 16 & 15) << 48 | (u64)(attr >> 12 & 15) << 52 | (u64)(base >> 24) << 56;
}
static UNUSED void set_desc(struct machine *m, u16 sel, u64 d) { poke(m, GDT + (sel & 0xfff8), d, 8); }
// Gate: type with P and DPL in `access`.
static UNUSED u64 gate(u16 sel, u32 off, unsigned access, unsigned low)
{
    return (off & 0xffff) | (u64)sel << 16 | (u64)low << 32 | (u64)access << 40 | (u64)(off >> 16) << 48;
}

#define TRY(c, call)                                                                                                   \
    ({                                                                                                                 \
        jmp_buf jb_;                                                                                                   \
        (c)->exc = -1;                                                                                                 \
        (c)->fault = &jb_;                                                                                             \
        if (!setjmp(jb_)) call;                                                                                        \
        (c)->fault = NULL;                                                                                             \
        (c)->exc;                                                                                                      \
    })
// `call` raises vector with that error code.
#define RAISES(c, call, vector, err)                                                                                   \
    do {                                                                                                               \
        CHECK_EQ(TRY(c, call), vector);                                                                                \
        CHECK_EQ((c)->exc_err, err);                                                                                   \
        (c)->exc = -1;                                                                                                 \
    } while (0)
#define RUNS(c, call) CHECK_EQ(TRY(c, call), -1)

// Ring 0, 32-bit, flat; a TSS with SS0:ESP0; empty IDT.
static UNUSED struct machine *machine_protected_engine(const char *model, const struct cpu_engine *engine)
{
    struct machine *m = machine_new_engine(model, engine);
    struct cpu *c = m->c;
    struct desc d;
    set_desc(m, K_CS, descriptor(0, 0xfffff, A_CODE0));
    set_desc(m, K_DS, descriptor(0, 0xfffff, A_DATA0));
    set_desc(m, U_CS, descriptor(0, 0xfffff, A_CODE3));
    set_desc(m, U_DS, descriptor(0, 0xfffff, A_DATA3));
    set_desc(m, K_CS64, descriptor(0, 0xfffff, A_CODE64_0));
    set_desc(m, U_CS64, descriptor(0, 0xfffff, A_CODE64_3));
    set_desc(m, TR_SEL, descriptor(TSS, 0x67 + 0x20, 0x89));
    set_desc(m, TR_SEL + 8, 0);
    c->gdt_base = GDT;
    c->gdt_limit = 0xff;
    c->idt_base = IDT;
    c->idt_limit = 0x7ff;
    TRY(c, sys_write_cr(c, 0, CR0_PE | CR0_ET | CR0_NE));
    seg_decode(&d, (u32)descriptor(0, 0xfffff, A_CODE0), descriptor(0, 0xfffff, A_CODE0) >> 32);
    seg_install(c, S_CS, K_CS, &d);
    for (unsigned i = S_ES; i <= S_GS; i++)
        if (i != S_CS) TRY(c, seg_load(c, i, K_DS));
    TRY(c, seg_load_tr(c, TR_SEL));
    TRY(c, seg_load_ldt(c, 0));
    poke(m, TSS + 4, STACK0, 4);
    poke(m, TSS + 8, K_DS, 2);
    poke(m, TSS + 0x66, 0x68, 2);
    c->gpr[R_RSP] = 0x9000;
    c->gpr[R_RIP] = 0x7000;
    return m;
}
static UNUSED struct machine *machine_protected(const char *model) { return machine_protected_engine(model, NULL); }
// To ring 3.
static UNUSED void to_user(struct machine *m)
{
    struct cpu *c = m->c;
    struct desc d;
    c->cpl = 3;
    seg_decode(&d, (u32)descriptor(0, 0xfffff, A_CODE3), descriptor(0, 0xfffff, A_CODE3) >> 32);
    seg_install(c, S_CS, U_CS, &d);
    TRY(c, seg_load(c, S_SS, U_DS));
    TRY(c, seg_load(c, S_DS, U_DS));
    TRY(c, seg_load(c, S_ES, U_DS));
    c->gpr[R_RSP] = STACK3;
}
// 64-bit mode, ring 0, identity map of the first 4 MB (2 MB pages, user).
enum { PML4 = 0x100000, PDPT = 0x101000, PDIR = 0x102000 };
static UNUSED struct machine *machine_long_engine(const char *model, const struct cpu_engine *engine)
{
    struct machine *m = machine_protected_engine(model, engine);
    struct cpu *c = m->c;
    poke(m, PML4, PDPT | 7, 8);
    poke(m, PDPT, PDIR | 7, 8);
    poke(m, PDIR, 0x87, 8);
    poke(m, PDIR + 8, 0x200087, 8);
    set_desc(m, TR_SEL, descriptor(TSS, 0x67, 0x89));
    c->gpr[R_RCX] = 0xc0000080;
    c->gpr[R_RAX] = EFER_LME | EFER_SCE;
    c->gpr[R_RDX] = 0;
    TRY(c, sys_wrmsr(c));
    TRY(c, sys_write_cr(c, 4, CR4_PAE));
    TRY(c, sys_write_cr(c, 3, PML4));
    TRY(c, sys_write_cr(c, 0, CR0_PE | CR0_PG | CR0_ET | CR0_NE));
    TRY(c, far_jmp(c, K_CS64, 0x7000, 4));
    TRY(c, seg_load_tr(c, TR_SEL));
    poke(m, TSS + 4, STACK0, 8);
    return m;
}
static UNUSED struct machine *machine_long(const char *model) { return machine_long_engine(model, NULL); }
