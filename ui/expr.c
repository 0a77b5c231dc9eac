// SPDX-License-Identifier: MIT
// Expressions of the monitor: C's operators and precedence on 64-bit numbers, $registers as QEMU and gdb name them.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "cpu/cpu.h"
#include "cpu/flags.h"
#include "ui/monitor.h"
#include "ui/opt.h"

struct expr {
    const char *p;
    struct cpu *c;
    struct err *e;
};
static u64 binary(struct expr *x, unsigned level);

static const struct {
    const char *name;
    u16 offset;
    u8 size;
} regs[] = {
#define G(n, name64, name32, name16)                                                                                   \
    {name64, offsetof(struct cpu, gpr[n]), 8}, {name32, offsetof(struct cpu, gpr[n]), 4},                              \
        {name16, offsetof(struct cpu, gpr[n]), 2},
    G(R_RAX, "rax", "eax", "ax") G(R_RCX, "rcx", "ecx", "cx") G(R_RDX, "rdx", "edx", "dx") G(R_RBX, "rbx", "ebx", "bx")
        G(R_RSP, "rsp", "esp", "sp") G(R_RBP, "rbp", "ebp", "bp") G(R_RSI, "rsi", "esi", "si")
            G(R_RDI, "rdi", "edi", "di") G(8, "r8", "r8d", "r8w") G(9, "r9", "r9d", "r9w") G(10, "r10", "r10d", "r10w")
                G(11, "r11", "r11d", "r11w") G(12, "r12", "r12d", "r12w") G(13, "r13", "r13d", "r13w")
                    G(14, "r14", "r14d", "r14w") G(15, "r15", "r15d", "r15w") G(R_RIP, "rip", "eip", "ip")
#undef G
#define SEG(n, name) {name, offsetof(struct cpu, seg[n].sel), 2}, {name ".base", offsetof(struct cpu, seg[n].base), 8},
                        SEG(S_ES, "es") SEG(S_CS, "cs") SEG(S_SS, "ss") SEG(S_DS, "ds") SEG(S_FS, "fs") SEG(S_GS, "gs")
                            SEG(S_LDTR, "ldtr") SEG(S_TR, "tr")
#undef SEG
                                {"cr0", offsetof(struct cpu, cr0), 8},
    {"cr2", offsetof(struct cpu, cr2), 8},
    {"cr3", offsetof(struct cpu, cr3), 8},
    {"cr4", offsetof(struct cpu, cr4), 8},
    {"efer", offsetof(struct cpu, efer), 8},
    {"gdtr", offsetof(struct cpu, gdt_base), 8},
    {"idtr", offsetof(struct cpu, idt_base), 8},
    {"dr6", offsetof(struct cpu, dr[6]), 8},
    {"dr7", offsetof(struct cpu, dr[7]), 8},
};

static u64 reg(struct expr *x)
{
    char name[16];
    unsigned n = 0;
    while (isalnum((u8)*x->p) || *x->p == '.') {
        if (n < sizeof name - 1) name[n++] = (char)tolower((u8)*x->p);
        x->p++;
    }
    name[n] = 0;
    if (!strcmp(name, "eflags") || !strcmp(name, "rflags")) return flags_get(x->c);
    if (!strcmp(name, "pc")) return x->c->seg[S_CS].base + x->c->gpr[R_RIP];
    struct nearest near = {.word = name};
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        nearest_try(&near, regs[i].name);
        if (strcmp(regs[i].name, name)) continue;
        u64 v = 0;
        const u8 *at = (const u8 *)x->c + regs[i].offset;
        if (regs[i].size == 8) return *(const u64 *)at;
        if (regs[i].offset < sizeof x->c->gpr)
            v = *(const u64 *)at;
        else
            v = *(const u16 *)at;
        return regs[i].size == 4 ? (u32)v : (u16)v;
    }
    err_set(x->e, "unknown register '$%s'%s", name, nearest_text(&near, "$"));
    return 0;
}

static void blanks(struct expr *x)
{
    while (*x->p == ' ' || *x->p == '\t') x->p++;
}

static u64 primary(struct expr *x)
{
    blanks(x);
    char c = *x->p;
    if (c == '(') {
        x->p++;
        u64 v = binary(x, 0);
        blanks(x);
        if (*x->p == ')')
            x->p++;
        else
            err_set(x->e, "')' is missing");
        return v;
    }
    if (c == '-') return x->p++, -primary(x);
    if (c == '+') return x->p++, primary(x);
    if (c == '~') return x->p++, ~primary(x);
    if (c == '$') return x->p++, reg(x);
    if (isdigit((u8)c)) {
        char number[40];
        unsigned n = 0;
        while (isalnum((u8)*x->p) && n < sizeof number - 1) number[n++] = *x->p++;
        number[n] = 0;
        u64 v = 0;
        if (!parse_uint(number, &v)) err_set(x->e, "'%s' is not a number (hexadecimal ones begin with 0x)", number);
        return v;
    }
    if (c == '\'' && x->p[1] && x->p[2] == '\'') {
        x->p += 3;
        return (u8)x->p[-2];
    }
    err_set(x->e, *x->p ? "a number, $register or '(' should stand at '%s'" : "the expression ends too early%s", x->p);
    return 0;
}

static const struct {
    const char *op;
    unsigned level;
} ops[] = {{"||", 9}, {"<<", 3}, {">>", 3}, {"|", 0}, {"^", 1}, {"&", 2},
           {"+", 4},  {"-", 4},  {"*", 5},  {"/", 5}, {"%", 5}};

static u64 compute(struct expr *x, char op, u64 a, u64 b)
{
    switch (op) {
    case '|': return a | b;
    case '^': return a ^ b;
    case '&': return a & b;
    case '<': return b > 63 ? 0 : a << b;
    case '>': return b > 63 ? 0 : a >> b;
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    }
    if (!b) {
        err_set(x->e, "division by zero");
        return 0;
    }
    return op == '/' ? a / b : a % b;
}

static u64 binary(struct expr *x, unsigned level)
{
    if (level > 5) return primary(x);
    u64 v = binary(x, level + 1);
    while (!x->e->msg[0]) {
        blanks(x);
        unsigned i = 0;
        while (i < ARRAY_LEN(ops) && strncmp(x->p, ops[i].op, strlen(ops[i].op))) i++;
        if (i == ARRAY_LEN(ops) || ops[i].level != level) return v;
        x->p += strlen(ops[i].op);
        v = compute(x, ops[i].op[0], v, binary(x, level + 1));
    }
    return v;
}

bool expr_eval(struct cpu *c, const char *text, u64 *v, struct err *e)
{
    struct expr x = {text, c, e};
    if (strlen(text) > 500) return err_set(e, "the expression is too long");
    u64 r = binary(&x, 0);
    blanks(&x);
    if (!e->msg[0] && *x.p) err_set(e, "'%s' does not belong to the expression", x.p);
    if (e->msg[0]) return false;
    *v = r;
    return true;
}
