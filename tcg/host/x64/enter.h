// SPDX-License-Identifier: MIT
// The way into translated code, in line: a call would put the host's prediction of returns, where the guest's calls are
// (call.c), out of step.
#pragma once
#include "tcg/tcg.h"

// Runs translated code at `code` until it exits; returns the record's index. flags: to be loaded into the host's EFLAGS
// before (arithmetic flags only), ~0 if they do not matter.
INLINE u32 host_enter(const struct host_entry *h, struct cpu *c, const void *code, u32 flags)
{
    u32 rec;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "jmpq *%[enter]\n"
                     "1:"
                     : "=&a"(rec), "+D"(c), "+S"(code), "+d"(flags)
                     : [enter] "m"(h->enter)
                     : "rcx", "r8", "r9", "r10", "r11", "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                       "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return rec;
}
