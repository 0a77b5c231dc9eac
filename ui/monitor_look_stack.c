// SPDX-License-Identifier: MIT
// Monitor commands about code and stack: u (disassemble), print-stack, bt. A backtrace follows frame pointers while
// they make sense; where there are none it takes each word on the stack that points behind a call instruction for a
// return address, and says so with a question mark.
#include <stdio.h>
#include <string.h>
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/symbols.h"

#define SCAN_WORDS 512 // of the stack, when frame pointers do not lead on

struct stack {
    struct cpu *c;
    u64 sp, bp;    // offsets in SS
    u64 mask;      // of offsets
    unsigned slot; // bytes: 2, 4, 8 by the code size
    u64 code;      // base of the frame's code: far calls of real mode change it
};

static struct stack stack_of(struct cpu *c)
{
    unsigned size = cpu_code64(c) ? 8 : c->mode & MODE_SS32 ? 4 : 2;
    u64 mask = size_mask(size);
    return (struct stack){.c = c,
                          .sp = c->gpr[R_RSP] & mask,
                          .bp = c->gpr[R_RBP] & mask,
                          .mask = mask,
                          .slot = 2u << (c->mode & MODE_CODE) % 3,
                          .code = c->seg[S_CS].base};
}

static bool peek(const struct stack *s, u64 off, u64 *v)
{
    u8 b[8] = {0};
    if (!mmu_debug_read(s->c, s->c->seg[S_SS].base + (off & s->mask), b, s->slot)) return false;
    *v = ld64(b);
    return true;
}

void mon_print_stack(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    struct stack s = stack_of(c);
    u64 n = 16, v;
    if (a->argc && !mon_number(a, "print-stack", a->rest, &n)) return;
    if (n > 65536) {
        mon_fail(a, "print-stack: at most 65536 words");
        return;
    }
    buf_printf(a->out, "Stack address size %u\n", s.slot);
    for (u64 i = 0; i < n; i++) {
        u64 off = s.sp + i * s.slot, lin = c->seg[S_SS].base + (off & s.mask);
        if (!peek(&s, off, &v)) {
            mon_fail(a, "no memory at 0x%llx", (unsigned long long)lin);
            return;
        }
        const char *name = symbol_text(c, c->seg[S_CS].base + v);
        int w = (int)s.slot * 2;
        buf_printf(a->out, " | STACK 0x%0*llx [0x%0*llx] (%s)\n", w > 4 ? w : 5, (unsigned long long)lin, w,
                   (unsigned long long)v, *name ? name : "<unknown>");
    }
}

// Does the instruction before this address call? Forms: E8, FF /2; far ones 9A, FF /3 (SDM vol. 2 CALL).
static bool behind_call(const struct stack *s, u64 lin, bool far)
{
    u8 b[8] = {0};
    if (lin < 8 || !mmu_debug_read(s->c, lin - 8, b, 8)) return false;
    const u8 *end = b + 8;
    if (!far && (end[-5] == 0xe8 || (s->slot == 2 && end[-3] == 0xe8))) return true;
    if (far && s->slot < 8 && end[s->slot == 2 ? -5 : -7] == 0x9a) return true;
    for (int len = 2; len <= 7; len++) {
        const u8 *p = end - len;
        unsigned mod = p[1] >> 6, rm = p[1] & 7, want = 2;
        if (*p != 0xff || (p[1] >> 3 & 7) != (far ? 3 : 2)) continue;
        if (s->slot == 2)
            want += mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 6) ? 2 : 0;
        else
            want += (mod != 3 && rm == 4) + (mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0);
        if ((int)want == len) return true;
    }
    return false;
}

// Is there a return address at this place of the stack? Far ones in real and virtual-8086 mode, where the selector
// above says all; elsewhere they mostly stay in the segment. Tells the slots that it takes, 0: none.
static unsigned return_address(struct stack *s, u64 at, u64 *off)
{
    u64 sel;
    if (!peek(s, at, off)) return 0;
    if (behind_call(s, s->code + *off, false)) return 1;
    if (cpu_protected(s->c)) return behind_call(s, s->code + *off, true);
    if (!peek(s, at + s->slot, &sel) || !behind_call(s, ((sel & 0xffff) << 4) + *off, true)) return 0;
    s->code = (sel & 0xffff) << 4;
    return 2;
}

static void frame(struct mon_call *a, const struct stack *s, unsigned n, u64 fp, u64 off, const char *mark)
{
    const char *name = symbol_text(s->c, s->code + off);
    int w = (int)s->slot * 2;
    if (cpu_protected(s->c))
        buf_printf(a->out, "#%-2u 0x%0*llx", n, w, (unsigned long long)off);
    else
        buf_printf(a->out, "#%-2u %04x:%0*llx", n, (unsigned)(s->code >> 4) & 0xffff, w, (unsigned long long)off);
    buf_printf(a->out, " %s%s", mark, *name ? name : "??");
    if (fp) buf_printf(a->out, "  (frame 0x%0*llx)", w, (unsigned long long)fp);
    buf_printf(a->out, "\n");
}

// A function that has not yet made its frame, or has left it: where the return address lies above SP; -1: in a frame.
static int return_at(const struct stack *s)
{
    u8 b[8] = {0};
    u64 pc = s->c->seg[S_CS].base + s->c->gpr[R_RIP];
    unsigned endbr = 0;
    if (!mmu_debug_read(s->c, pc - 1, b, 8)) return -1;
    if (b[1] == 0xf3 && b[2] == 0x0f && b[3] == 0x1e) endbr = 4; // ENDBR
    if (b[1 + endbr] == 0x55) return 0;
    if (b[1] == 0xc3 || b[1] == 0xc2 || b[1] == 0xcb || b[1] == 0xca) return 0;
    bool mov = (b[1] == 0x89 && b[2] == 0xe5) || (b[1] == 0x8b && b[2] == 0xec) ||
               (b[1] == 0x48 && ((b[2] == 0x89 && b[3] == 0xe5) || (b[2] == 0x8b && b[3] == 0xec)));
    return b[0] == 0x55 && mov ? (int)s->slot : -1;
}

void mon_bt(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    struct stack s = stack_of(c);
    u64 max = 30, ret, next, fp = s.bp;
    unsigned n = 0;
    if (a->argc && !mon_number(a, "bt", a->rest, &max)) return;
    frame(a, &s, n++, 0, c->gpr[R_RIP] & size_mask(s.slot == 2 ? 4 : s.slot), "");
    u64 scan = s.sp;
    int at = return_at(&s);
    // a function without frame and without anything on the stack: likely, not sure
    const char *mark = at < 0 ? "? " : "";
    unsigned took = (at >= 0 || fp != s.sp) && n < max ? return_address(&s, s.sp + (u64)(at > 0 ? at : 0), &ret) : 0;
    if (took) {
        frame(a, &s, n++, 0, ret, mark);
        scan = s.sp + (u64)(at > 0 ? at : 0) + took * s.slot;
    }
    // Frames lie above the stack pointer, each above the one before.
    while (n < max && fp >= scan && fp - scan < 1u << 20 && peek(&s, fp, &next) &&
           (took = return_address(&s, fp + s.slot, &ret))) {
        frame(a, &s, n++, fp, ret, "");
        scan = fp + (1 + took) * s.slot;
        if (!next) return; // whoever started it all cleared the frame pointer
        fp = next;
    }
    for (unsigned i = 0; i < SCAN_WORDS && n < max; i++)
        if ((took = return_address(&s, scan + (u64)i * s.slot, &ret))) {
            frame(a, &s, n++, 0, ret, "? ");
            i += took - 1;
        }
}

// Bochs' `u`: /N, and where it begins (else at the instruction pointer).
void mon_u(struct mon_call *a)
{
    struct cpu *c = mon_the_cpu();
    char fmt[40], addr[40];
    size_t digits = strspn(a->fmt, "0123456789");
    if (!strcmp(a->fmt + digits, "") || (strspn(a->fmt + digits, "hwg") == 1 && !a->fmt[digits + 1])) {
        snprintf(fmt, sizeof fmt, "%.*s%si", (int)digits, a->fmt, a->fmt + digits);
        snprintf(addr, sizeof addr, "0x%llx", (unsigned long long)(c->seg[S_CS].base + c->gpr[R_RIP]));
    } else {
        mon_fail(a, "u: '/%s' is not a number of instructions, with h, w or g for 16, 32 or 64 bits", a->fmt);
        return;
    }
    a->fmt = fmt;
    if (!a->argc) a->rest = addr;
    mon_x(a);
}
