// SPDX-License-Identifier: MIT
// The host's own processor as judge: runs the bytes of one instruction natively, in 64-bit or 32-bit user mode, with
// given registers, and says what became of them. x86-64 Linux only; elsewhere native_open() is false and tests skip.
//
// One arena at a fixed address below 4 GB holds what the instruction may touch, so that a guest whose RAM lies at the
// same address sees the same addresses:
//   NATIVE_CODE   the instruction at NATIVE_INSN; a jump to NATIVE_TAKEN is reported in state.rip, all else falls
//   through NATIVE_DATA   NATIVE_DATA_SIZE bytes for operands; the stack lies there too NATIVE_HOLE   a page that no
//   access may touch: SIGSEGV, reported as NATIVE_PF
#pragma once
#include "mem/base/types.h"

enum {
    NATIVE_BASE = 0x20000000,
    NATIVE_CODE = NATIVE_BASE,
    NATIVE_INSN = NATIVE_CODE + 0x800,
    NATIVE_TAKEN = NATIVE_INSN + 0x60,
    NATIVE_DATA = NATIVE_BASE + 0x10000,
    NATIVE_DATA_SIZE = 0x4000,
    NATIVE_HOLE = NATIVE_DATA + NATIVE_DATA_SIZE
};
// What happened: 0 or a signal, in the exception's terms.
enum native_fault {
    NATIVE_OK,
    NATIVE_DE,
    NATIVE_UD,
    NATIVE_GP /* or SS, BR, OF */,
    NATIVE_PF,
    NATIVE_TRAP,
    NATIVE_FPE
};

struct native_state {
    u64 gpr[16]; // in encoding order; a 32-bit run uses the low halves of the first eight
    u64 flags, rip;
    u8 fx[512] __attribute__((aligned(16))); // FXSAVE image, loaded and stored if `use_fx`
    bool use_fx;
};
#if defined(__x86_64__) && defined(__linux__)
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>
#include <ucontext.h>

// In the arena's code page, reached RIP-relative by the trampoline.
struct native_area {
    struct native_state s;
    u64 host_rsp, host_flags;
    u32 far_off;
    u16 far_sel;
    u32 taken;
};
#define NATIVE_AREA ((struct native_area *)(uintptr_t)(NATIVE_BASE + 0x2000))

struct native_ctx {
    sigjmp_buf jmp;
    enum native_fault fault;
    u64 fault_addr;
    volatile bool running;
    u64 gpr[16], flags;
    u8 fx[512]; // of a fault, FXSAVE's format
};
static struct native_ctx native_ctx;

static UNUSED void native_signal(int sig, siginfo_t *info, void *uc_)
{
    struct native_ctx *x = &native_ctx;
    ucontext_t *uc = uc_;
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    if (!x->running) {
        signal(sig, SIG_DFL);
        return;
    }
    for (int i = 0; i < 16; i++) x->gpr[i] = (u64)uc->uc_mcontext.gregs[order[i]];
    x->flags = (u64)uc->uc_mcontext.gregs[REG_EFL];
    memcpy(x->fx, uc->uc_mcontext.fpregs, sizeof x->fx);
    x->fault_addr = (u64)info->si_addr;
    u64 trapno = (u64)uc->uc_mcontext.gregs[REG_TRAPNO];
    x->fault = trapno == 0                    ? NATIVE_DE
               : trapno == 6                  ? NATIVE_UD
               : trapno == 14                 ? NATIVE_PF
               : trapno == 1 || trapno == 3   ? NATIVE_TRAP
               : trapno == 16 || trapno == 19 ? NATIVE_FPE
                                              : NATIVE_GP;
    siglongjmp(x->jmp, 1);
}

struct native_emit {
    u8 *p;
};
static UNUSED void native_bytes(struct native_emit *e, const char *b, unsigned n)
{
    memcpy(e->p, b, n);
    e->p += n;
}
// An instruction whose RIP-relative operand is `target`.
static UNUSED void native_rip(struct native_emit *e, const char *b, unsigned n, const void *target)
{
    native_bytes(e, b, n);
    i32 d = (i32)((const u8 *)target - (e->p + 4));
    memcpy(e->p, &d, 4);
    e->p += 4;
}
static UNUSED void native_gpr(struct native_emit *e, unsigned op, unsigned r, const void *m)
{
    char b[3] = {(char)(0x48 | (r >> 3) << 2), (char)op, (char)(5 | (r & 7) << 3)};
    native_rip(e, b, 3, m);
}

// Maps the arena, makes the trampolines, takes the signals. False: not this host.
static UNUSED bool native_open(void)
{
    void *p = mmap((void *)(uintptr_t)NATIVE_BASE, 0x20000, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) return false;
    mprotect((void *)(uintptr_t)NATIVE_HOLE, 0x1000, PROT_NONE);
    static u8 stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&ss, NULL);
    struct sigaction sa = {.sa_sigaction = native_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++) sigaction(sigs[i], &sa, NULL);

    struct native_area *a = NATIVE_AREA;
    struct native_emit e = {(u8 *)(uintptr_t)NATIVE_CODE}, *x = &e;
    for (int fx = 0; fx < 2; fx++) {
        // Enter: save the callee's registers and RSP, load flags, then registers; jump far, to 64-bit or 32-bit code.
        e.p = (u8 *)(uintptr_t)NATIVE_CODE + 0x200 * fx;
        native_bytes(x, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); // push rbx rbp r12-r15
        native_gpr(x, 0x89, 4, &a->host_rsp);
        if (fx) native_rip(x, "\x48\x0f\xae\x0d", 4, a->s.fx);
        native_rip(x, "\xff\x35", 2, &a->s.flags);
        native_bytes(x, "\x9d", 1);
        for (unsigned r = 0; r < 16; r++) native_gpr(x, 0x8b, r, &a->s.gpr[r]);
        native_rip(x, "\xff\x2d", 2, &a->far_off);
        // Leave, in 64-bit code.
        e.p = (u8 *)(uintptr_t)NATIVE_CODE + 0x400 + 0x200 * fx;
        for (unsigned r = 0; r < 16; r++) native_gpr(x, 0x89, r, &a->s.gpr[r]);
        native_gpr(x, 0x8b, 4, &a->host_rsp);
        native_bytes(x, "\x9c", 1);
        native_rip(x, "\x8f\x05", 2, &a->s.flags);
        if (fx) native_rip(x, "\x48\x0f\xae\x05", 4, a->s.fx);
        native_bytes(x, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12);
    }
    return true;
}

// Runs n bytes. On a fault the state is that of the faulting instruction's start, as the kernel shows it.
static UNUSED enum native_fault native_run(struct native_state *s, const u8 *bytes, unsigned n, bool code32)
{
    struct native_area *a = NATIVE_AREA;
    u8 *p = (u8 *)(uintptr_t)NATIVE_INSN;
    memset(p, 0xcc, 0x80);
    memcpy(p, bytes, n);
    const u32 leave = NATIVE_CODE + 0x400 + (s->use_fx ? 0x200 : 0), taken_at = (u32)(uintptr_t)&a->taken;
    for (int k = 0; k < 2; k++) {
        u8 *q = k ? (u8 *)(uintptr_t)NATIVE_TAKEN : p + n;
        if (k) { // mov dword [taken], 1: absolute in 32-bit code, through SIB in 64-bit code
            *q++ = 0xc7;
            *q++ = code32 ? 0x05 : 0x04;
            if (!code32) *q++ = 0x25;
            memcpy(q, &taken_at, 4);
            q += 4;
            memcpy(q, "\x01\0\0\0", 4);
            q += 4;
        }
        if (code32) {
            *q++ = 0xea; // jmp 33:leave
            memcpy(q, &leave, 4);
            q += 4;
            memcpy(q, "\x33\0", 2);
        } else {
            *q++ = 0xe9;
            i32 d = (i32)(leave - (u32)(uintptr_t)(q + 4));
            memcpy(q, &d, 4);
        }
    }
    a->s = *s;
    a->taken = 0;
    a->far_off = NATIVE_INSN;
    a->far_sel = code32 ? 0x23 : 0x33;
    native_ctx.fault = NATIVE_OK;
    if (!sigsetjmp(native_ctx.jmp, 1)) {
        native_ctx.running = true;
        if (code32) __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss" ::"r"(0x2b));
        ((void (*)(void))(uintptr_t)(NATIVE_CODE + (s->use_fx ? 0x200 : 0)))();
        native_ctx.running = false;
        *s = a->s;
        s->rip = a->taken ? NATIVE_TAKEN : NATIVE_INSN + n;
    } else {
        native_ctx.running = false;
        __asm__ volatile("cld");
        memcpy(s->gpr, native_ctx.gpr, sizeof s->gpr);
        s->flags = native_ctx.flags;
        s->rip = NATIVE_INSN;
    }
    return native_ctx.fault;
}
#else
static UNUSED bool native_open(void) { return false; }
static UNUSED enum native_fault native_run(struct native_state *s, const u8 *bytes, unsigned n, bool code32)
{
    return NATIVE_OK;
}
#endif
