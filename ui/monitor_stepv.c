// SPDX-License-Identifier: MIT
// `step -v`: one instruction of the interpreter as fetch, decode, execute, write-back, next: what the processor did,
// for people who want to see how it does it. Memory and ports are seen through the debugger's hooks, the rest is
// compared before and after.
#include <stdio.h>
#include <string.h>
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/monitor.h"
#include "ui/pagewalk.h"
#include "ui/regs.h"
#include "ui/symbols.h"
#include "ui/vm.h"

typedef unsigned long long ull;

// Registers that an instruction may change, each once.
static const char *const names[] = {"rax",
                                    "rcx",
                                    "rdx",
                                    "rbx",
                                    "rsp",
                                    "rbp",
                                    "rsi",
                                    "rdi",
                                    "r8",
                                    "r9",
                                    "r10",
                                    "r11",
                                    "r12",
                                    "r13",
                                    "r14",
                                    "r15",
                                    "es",
                                    "es.base",
                                    "cs",
                                    "cs.base",
                                    "ss",
                                    "ss.base",
                                    "ds",
                                    "ds.base",
                                    "fs",
                                    "fs.base",
                                    "gs",
                                    "gs.base",
                                    "cr0",
                                    "cr2",
                                    "cr3",
                                    "cr4",
                                    "cr8",
                                    "efer",
                                    "xcr0",
                                    "dr0",
                                    "dr1",
                                    "dr2",
                                    "dr3",
                                    "dr6",
                                    "dr7",
                                    "gdtr",
                                    "idtr",
                                    "ldtr",
                                    "tr",
                                    "mxcsr",
                                    "fcw",
                                    "fsw",
                                    "ftw",
                                    "star",
                                    "lstar",
                                    "sfmask",
                                    "kernel_gs_base",
                                    "pat",
                                    "apic_base",
                                    "sysenter_eip"};
struct picture {
    u64 reg[ARRAY_LEN(names)], m[8];
    u16 se[8];
    union vec vec[16];
    u32 eflags;
    u64 rip;
    unsigned cpl;
};

static void take(struct cpu *c, struct picture *p)
{
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) reg_read(c, names[i], &p->reg[i]);
    memcpy(p->m, c->fpu.m, sizeof p->m);
    memcpy(p->se, c->fpu.se, sizeof p->se);
    memcpy(p->vec, c->vec, sizeof p->vec);
    p->eflags = flags_get(c);
    p->rip = c->gpr[R_RIP];
    p->cpl = c->cpl;
}

// ---- fetch, decode

static unsigned print_fetch(struct cpu *c, struct buf *out, u8 *code)
{
    struct pt_walk w;
    u64 lin = debug_linear(c);
    unsigned n = 15;
    while (n && !mmu_debug_read(c, lin, code, n)) n--;
    const char *name = symbol_text(c, lin);
    buf_printf(out, "fetch       %04x:%0*llx", c->seg[S_CS].sel, cpu_code64(c) ? 16 : 8, (ull)c->gpr[R_RIP]);
    if (*name) buf_printf(out, " <%s>", name);
    buf_printf(out, ", linear 0x%llx", (ull)lin);
    pagewalk(c, lin, &w);
    if (!w.mapped)
        buf_printf(out, ", not mapped");
    else
        buf_printf(out, ", physical 0x%llx", (ull)(w.pa & c->a20_mask));
    if (w.n) buf_printf(out, " by %u table entries", w.n);
    buf_printf(out, "\n");
    return n;
}

static const char *reg_of(unsigned n, unsigned size)
{
    static const char *const r[3][16] = {
        {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"},
        {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"},
        {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"},
    };
    static const char *const r64[18] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                                        "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "",    "rip"};
    if (n > 17) return "?";
    return size >= 8 || n > 7 ? r64[n] : r[size == 1 ? 0 : size == 2 ? 1 : 2][n];
}

static void print_memory(struct cpu *c, struct buf *out, const struct insn *i)
{
    static const char *const segs[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    u64 pa, ea = (i->base == R_RIP ? c->gpr[R_RIP] + i->len : c->gpr[i->base]) + (c->gpr[i->index] << i->scale) +
                 (u64)(i64)i->disp;
    ea = ea << i->ea_shift >> i->ea_shift;
    u64 lin = c->seg[i->seg % 6].base + ea;
    if (!cpu_code64(c)) lin = (u32)lin;
    bool any = false;
    buf_printf(out, "            memory operand %s:[", segs[i->seg % 6]);
    if (i->base != R_ZERO) any = true, buf_printf(out, "%s", reg_of(i->base, i->asz));
    if (i->index != R_ZERO) {
        buf_printf(out, "%s%s*%u", any ? " + " : "", reg_of(i->index, i->asz), 1u << i->scale);
        any = true;
    }
    if (i->disp || !any)
        buf_printf(out, "%s0x%x",
                   !any          ? ""
                   : i->disp < 0 ? " - "
                                 : " + ",
                   (u32)(i->disp < 0 && any ? -i->disp : i->disp));
    buf_printf(out, "] = 0x%llx, linear 0x%llx", (ull)ea, (ull)lin);
    if (mmu_peek(c, lin, &pa))
        buf_printf(out, ", physical 0x%llx\n", (ull)pa);
    else
        buf_printf(out, ", not mapped\n");
}

static void print_prefixes(struct buf *out, unsigned pfx)
{
    static const char *const n[] = {"lock", "rep", "repne", "66", "67", "rex", "rex.w", "segment"};
    buf_printf(out, "; prefixes:");
    for (unsigned k = 0; k < 8; k++)
        if (pfx >> k & 1) buf_printf(out, " %s", n[k]);
    if (!pfx) buf_printf(out, " none");
}

static void print_decode(struct cpu *c, struct buf *out, const u8 *code, unsigned n)
{
    struct insn i = {0};
    char text[256];
    enum decode_status s = n ? decode(c->decoder, code, n, c->mode & MODE_CODE, &i) : DECODE_MORE;
    unsigned len = s == DECODE_OK ? i.len : n;
    buf_printf(out, "            bytes");
    for (unsigned k = 0; k < len; k++) buf_printf(out, " %02x", code[k]);
    buf_printf(out, "%s\ndecode      ", n ? "" : " cannot be read");
    if (s != DECODE_OK) {
        buf_printf(out, "%s\n",
                   s == DECODE_UD     ? "no such instruction on this processor: #UD"
                   : s == DECODE_LONG ? "more than 15 bytes: #GP(0)"
                                      : "goes on where nothing is mapped");
        return;
    }
    const struct insn_row *r = &insn_rows[i.op];
    disas(c, debug_linear(c), code, n, text, sizeof text);
    buf_printf(out, "%s\n            %s: opcode %s, operands %s\n", text, r->name, r->opcode,
               *r->operands ? r->operands : "none");
    buf_printf(out, "            length %u, operand size %u, address size %u", i.len, i.osz, i.asz);
    print_prefixes(out, i.pfx);
    if (r->attr & A_VEX) buf_printf(out, "; vector length %u", i.vl);
    buf_printf(out, "\n");
    if (strstr(r->opcode, "/") || i.modrm)
        buf_printf(out, "            ModRM %02x: mod %u, reg %u, r/m %u\n", i.modrm, i.modrm >> 6, i.modrm >> 3 & 7,
                   i.modrm & 7);
    if (i.is_mem) print_memory(c, out, &i);
    if (strstr(r->operands, "I") || strstr(r->operands, "J") || strstr(r->operands, "A") || i.imm)
        buf_printf(out, "            immediate 0x%llx\n", (ull)i.imm);
    if (strstr(r->opcode, "+cc"))
        buf_printf(out, "            condition %x is %s\n", i.cc, flags_cond(c, i.cc) ? "true" : "false");
    if (*r->reads || *r->writes || *r->undef)
        buf_printf(out, "            flags read: %s; written: %s; undefined: %s\n", *r->reads ? r->reads : "none",
                   *r->writes ? r->writes : "none", *r->undef ? r->undef : "none");
}

// ---- execute

static struct buf *seen; // where the accesses of the step go
static unsigned nseen;

static void saw_data(struct cpu *c, const struct hook_access *a)
{
    u8 old[8] = {0};
    unsigned n = (unsigned)min_u64(a->size, 8);
    int w = (int)n * 2;
    nseen++;
    buf_printf(seen, "            %s %u bytes at linear 0x%llx (physical 0x%llx)%s", a->write ? "writes" : "reads",
               a->size, (ull)a->lin, (ull)a->pa, a->system ? " for itself" : "");
    const char *name = symbol_text(c, a->lin);
    if (*name) buf_printf(seen, " <%s>", name);
    if (a->write && mmu_debug_read(c, a->lin, old, n))
        buf_printf(seen, ": 0x%0*llx -> 0x%0*llx\n", w,
                   (ull)ld_size(old, n == 8   ? 8
                                     : n >= 4 ? 4
                                              : n),
                   w, (ull)a->value);
    else
        buf_printf(seen, ": 0x%0*llx\n", w, (ull)a->value);
}

static void saw_io(struct cpu *c, u32 port, u32 size, u64 v, bool write)
{
    nseen++;
    buf_printf(seen, "            %s port 0x%04x: 0x%0*llx\n", write ? "writes to" : "reads from", port, (int)size * 2,
               (ull)v);
}

// ---- write-back

static void print_flags(struct buf *out, u32 before, u32 after)
{
    static const char n[22][4] = {"cf", "",   "pf", "",   "af", "",   "zf", "sf", "tf",  "if",  "df",
                                  "of", "io", "pl", "nt", "",   "rf", "vm", "ac", "vif", "vip", "id"};
    buf_printf(out, "            eflags 0x%08x -> 0x%08x:", before, after);
    for (unsigned i = 0; i < 22; i++)
        if ((before ^ after) >> i & 1) buf_printf(out, " %s=%u", n[i], after >> i & 1);
    buf_printf(out, "\n");
}

static void print_changes(struct cpu *c, struct buf *out, const struct picture *a, const struct picture *b)
{
    size_t start = out->len;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (a->reg[i] != b->reg[i])
            buf_printf(out, "            %s 0x%llx -> 0x%llx\n", names[i], (ull)a->reg[i], (ull)b->reg[i]);
    for (unsigned i = 0; i < 8; i++)
        if (a->m[i] != b->m[i] || a->se[i] != b->se[i])
            buf_printf(out, "            x87 R%u %04x:%016llx -> %04x:%016llx\n", i, a->se[i], (ull)a->m[i], b->se[i],
                       (ull)b->m[i]);
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(&a->vec[i], &b->vec[i], 16))
            buf_printf(out, "            xmm%u %016llx_%016llx -> %016llx_%016llx\n", i, (ull)a->vec[i].q[1],
                       (ull)a->vec[i].q[0], (ull)b->vec[i].q[1], (ull)b->vec[i].q[0]);
    if (a->eflags != b->eflags) print_flags(out, a->eflags, b->eflags);
    if (a->cpl != b->cpl) buf_printf(out, "            CPL %u -> %u\n", a->cpl, b->cpl);
    if (out->len == start) buf_printf(out, "            nothing but RIP\n");
}

static void print_events(struct cpu *c, struct buf *out, u32 from)
{
    const struct cpu_trail *t = c->trail;
    for (u32 i = from; i != t->nevents && t->nevents - i <= TRAIL; i++) {
        const struct trail_event *e = &t->event[i % TRAIL];
        nseen++;
        buf_printf(out, "            %s %u",
                   e->kind == INT_HW      ? "interrupt"
                   : e->kind == INT_FAULT ? "exception"
                                          : "vector",
                   e->vector);
        if (e->has_err) buf_printf(out, ", error 0x%04x", e->err);
        if (e->vector == EXC_PF && e->kind == INT_FAULT) buf_printf(out, ", CR2 0x%llx", (ull)e->cr2);
        if (e->during >= 0) buf_printf(out, ", raised while %d was delivered", e->during);
        buf_printf(out, " is delivered\n");
    }
}

enum stop_kind step_verbose(struct mon_call *a, unsigned cpu, unsigned flags)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    struct picture before, after;
    struct buf accesses = {0};
    u8 code[16] = {0};
    u64 count = cpu_icount(c);
    u32 events = c->trail->nevents;
    if (!vm.paused) vm_stop();
    take(c, &before);
    unsigned n = print_fetch(c, a->out, code);
    print_decode(c, a->out, code, n);
    nseen = 0;
    seen = &accesses;
    dbg.saw_data = saw_data;
    dbg.saw_io = saw_io;
    debug_changed();
    enum stop_kind k = debug_step(cpu, 1, flags);
    dbg.saw_data = NULL;
    dbg.saw_io = NULL;
    debug_changed();
    take(c, &after);
    buf_printf(a->out, "execute\n");
    print_events(c, a->out, events);
    if (c->trail->nevents != events && cpu_icount(c) != count)
        buf_printf(a->out, "            (so the instruction that is completed is the handler's first)\n");
    buf_printf(a->out, "%s", buf_text(&accesses));
    if (!nseen) buf_printf(a->out, "            registers only\n");
    buf_free(&accesses);
    buf_printf(a->out, "write-back%s\n", cpu_icount(c) == count ? "  (no instruction was completed)" : "");
    print_changes(c, a->out, &before, &after);
    buf_printf(a->out, "next        ");
    debug_disas_line(c, debug_linear(c), a->out);
    buf_printf(a->out, "\n");
    return k;
}
