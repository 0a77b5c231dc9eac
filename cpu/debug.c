// SPDX-License-Identifier: MIT
// Debug registers: MOV DR, and the matching of instruction, data and I/O breakpoints. SDM vol. 3 chapter 17.2-17.3.
// Leaves out: last-branch records, branch stepping (DEBUGCTL.BTF), transactional debugging.
#include "cpu/seg.h"

enum { DR6_BD = 1 << 13, DR7_GD = 1 << 13 };
enum { BP_EXEC = 0, BP_WRITE = 1, BP_IO = 2, BP_RW = 3 };

static unsigned dr_number(struct cpu *c, unsigned n)
{
    if (n > 7 || ((n == 4 || n == 5) && (c->cr4 & CR4_DE))) cpu_raise(c, EXC_UD);
    if (c->cpl != 0) cpu_raise_err(c, EXC_GP, 0);
    if (c->dr[7] & DR7_GD) {
        c->dr6_pending |= DR6_BD;
        cpu_raise(c, EXC_DB);
    }
    return n == 4 || n == 5 ? n + 2 : n; // DR4 and DR5 are aliases unless CR4.DE
}

u64 sys_read_dr(struct cpu *c, unsigned n) { return c->dr[dr_number(c, n)]; }

void sys_write_dr(struct cpu *c, unsigned n, u64 v)
{
    n = dr_number(c, n);
    if (n >= 6 && cpu_code64(c) && v >> 32) cpu_raise_err(c, EXC_GP, 0);
    switch (n) {
    case 6: v = (v & 0xe00f) | 0xffff0ff0; break;
    case 7: v = (v & 0xffff23ff) | 0x400; break;
    }
    c->dr[n] = v;
    if (n == 7) cpu_update_mode(c);
}

// Length of breakpoint i; 8 bytes only where LEN = 10b has that meaning (64-bit processors).
static unsigned bp_len(const struct cpu *c, unsigned i)
{
    static const u8 len[] = {1, 2, 8, 4};
    return len[c->dr[7] >> (18 + 4 * i) & 3];
}

static unsigned bp_kind(const struct cpu *c, unsigned i) { return c->dr[7] >> (16 + 4 * i) & 3; }

static bool bp_enabled(const struct cpu *c, unsigned i) { return c->dr[7] >> (2 * i) & 3; }

static bool bp_overlaps(const struct cpu *c, unsigned i, u64 at, unsigned n)
{
    unsigned len = bp_len(c, i);
    u64 base = c->dr[i] & ~(u64)(len - 1); // low address bits are masked by the length
    return at <= base + len - 1 && at + n - 1 >= base;
}

// B0-B3 of every breakpoint of `kinds` that matches, enabled or not; `hit` if an enabled one does (SDM vol. 3 17.2.3).
static u32 match(const struct cpu *c, u64 at, unsigned n, u32 kinds, bool *hit)
{
    u32 b = 0;
    *hit = false;
    for (unsigned i = 0; i < 4; i++)
        if ((kinds >> bp_kind(c, i) & 1) && bp_overlaps(c, i, at, n)) {
            b |= 1u << i;
            *hit |= bp_enabled(c, i);
        }
    return b;
}

static void pend(struct cpu *c, u32 b)
{
    c->dr6_pending |= b;
    c->attn |= ATTN_TRAP;
}

void debug_check_data(struct cpu *c, u64 lin, unsigned n, bool write)
{
    bool hit;
    if (!(c->dr[7] & 0xff)) return;
    u32 b = match(c, lin, n, 1u << BP_RW | (write ? 1u << BP_WRITE : 0), &hit);
    if (hit) pend(c, b);
}

void debug_check_io(struct cpu *c, u16 port, unsigned size)
{
    bool hit;
    if (!(c->dr[7] & 0xff) || !(c->cr4 & CR4_DE)) return;
    u32 b = match(c, port, size, 1u << BP_IO, &hit);
    if (hit) pend(c, b);
}

bool debug_check_insn(struct cpu *c, u64 lin)
{
    bool hit;
    if (!(c->dr[7] & 0xff) || (c->eflags & FL_RF)) return false;
    u32 b = match(c, lin, 1, 1u << BP_EXEC, &hit);
    if (!hit) return false;
    c->dr6_pending |= b;
    cpu_raise(c, EXC_DB);
}
