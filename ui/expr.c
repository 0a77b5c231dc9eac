// SPDX-License-Identifier: MIT
// Expressions of the monitor, in breakpoint conditions and wherever a number is asked for: C's operators and precedence
// on 64-bit numbers, $registers as QEMU and gdb name them, symbols, guest memory (`*(u16)ADDR`), casts, and SEG:OFF.
// Numbers are unsigned; what comes from a minus sign or a signed cast makes comparisons, / % and >> signed. A bare word
// is a symbol, or else a register as Bochs spells it.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/regs.h"
#include "ui/symbols.h"

struct expr {
    const char *p;
    struct cpu *c;
    struct err *e;
    unsigned depth, skip; // skip: the other side of && or || has decided; nothing is looked up in memory
};
struct value {
    u64 v;
    bool sgn;
    i8 size; // of what a cast pointer points to, negative: signed; 0: none was given
};
static struct value binary(struct expr *x, unsigned level);
#define MAX_DEPTH 100

static const struct {
    const char *name;
    i8 size;
} types[] = {
    {"u8", 1},           {"u16", 2},           {"u32", 4},
    {"u64", 8},          {"i8", -1},           {"i16", -2},
    {"i32", -4},         {"i64", -8},          {"byte", 1},
    {"word", 2},         {"dword", 4},         {"qword", 8},
    {"char", -1},        {"short", -2},        {"int", -4},
    {"long", -8},        {"unsigned char", 1}, {"unsigned short", 2},
    {"unsigned int", 4}, {"unsigned long", 8}, {"unsigned", 4},
    {"uint8_t", 1},      {"uint16_t", 2},      {"uint32_t", 4},
    {"uint64_t", 8},     {"int8_t", -1},       {"int16_t", -2},
    {"int32_t", -4},     {"int64_t", -8},
};

static bool word_char(char c) { return isalnum((u8)c) || c == '_' || c == '.' || c == '@' || c == '?'; }

static void blanks(struct expr *x)
{
    while (*x->p == ' ' || *x->p == '\t') x->p++;
}

static struct value num(u64 v) { return (struct value){.v = v}; }

// The word at x->p, cut to size n.
static void word(struct expr *x, char *to, size_t n)
{
    size_t k = 0;
    while (word_char(*x->p)) {
        if (k < n - 1) to[k++] = *x->p;
        x->p++;
    }
    to[k] = 0;
}

static struct value reg(struct expr *x)
{
    char name[40];
    u64 v = 0;
    word(x, name, sizeof name);
    if (reg_read(x->c, name, &v)) return num(v);
    struct nearest near = {.word = name};
    const char *r;
    for (unsigned i = 0; (r = reg_name(i)); i++) nearest_try(&near, r);
    err_set(x->e, "unknown register '$%s'%s", name, nearest_text(&near, "$"));
    return num(0);
}

static struct value name(struct expr *x)
{
    char text[256];
    u64 v = 0;
    const char *r;
    word(x, text, sizeof text);
    if (symbol_addr(x->c, text, &v) || reg_read(x->c, text, &v)) return num(v);
    struct nearest near = {.word = text};
    symbols_nearest(&near);
    for (unsigned i = 0; (r = reg_name(i)); i++) nearest_try(&near, r);
    err_set(x->e, "'%.100s' is neither a symbol nor a register%s", text, nearest_text(&near, ""));
    return num(0);
}

// "(u16)", "(u16 *)": the type's size, 0 if no type stands in these parentheses.
static i8 cast(struct expr *x, bool *pointer)
{
    const char *from = x->p;
    size_t best = 0;
    i8 size = 0;
    if (*x->p != '(') return 0;
    x->p++;
    blanks(x);
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        size_t n = strlen(types[i].name);
        if (n > best && !strncmp(x->p, types[i].name, n) && !word_char(x->p[n])) best = n, size = types[i].size;
    }
    x->p += best;
    blanks(x);
    *pointer = *x->p == '*';
    if (*pointer) x->p++, blanks(x);
    if (size && *x->p == ')')
        x->p++;
    else
        x->p = from, size = 0;
    return size;
}

static struct value as_size(u64 v, i8 size)
{
    unsigned n = (unsigned)(size < 0 ? -size : size);
    if (size < 0) return (struct value){.v = (u64)sign_extend(v & size_mask(n), n * 8), .sgn = true};
    return num(v & size_mask(n));
}

static struct value unary(struct expr *x);

static struct value dereference(struct expr *x)
{
    bool pointer;
    blanks(x);
    i8 size = cast(x, &pointer);
    struct value a = unary(x);
    u8 b[8] = {0};
    if (!size) size = a.size;
    if (!size) size = (i8)(2 << (x->c->mode & MODE_CODE) % 3);
    unsigned n = (unsigned)(size < 0 ? -size : size);
    if (x->e->msg[0] || x->skip) return num(0);
    if (!mmu_debug_read(x->c, a.v, b, n)) {
        err_set(x->e, "no memory at 0x%llx", (unsigned long long)a.v);
        return num(0);
    }
    return as_size(ld64(b), size);
}

static struct value number(struct expr *x)
{
    char text[40];
    unsigned n = 0;
    u64 v = 0;
    while (isalnum((u8)*x->p) && n < sizeof text - 1) text[n++] = *x->p++;
    text[n] = 0;
    if (!parse_uint(text, &v)) err_set(x->e, "'%s' is not a number (hexadecimal ones begin with 0x)", text);
    return num(v);
}

static struct value primary(struct expr *x)
{
    char c = *x->p;
    if (c == '(') {
        x->p++;
        struct value v = binary(x, 0);
        blanks(x);
        if (*x->p == ')')
            x->p++;
        else
            err_set(x->e, "')' is missing");
        return v;
    }
    if (c == '$') return x->p++, reg(x);
    if (isdigit((u8)c)) return number(x);
    if (c == '\'' && x->p[1] && x->p[2] == '\'') {
        x->p += 3;
        return num((u8)x->p[-2]);
    }
    if (isalpha((u8)c) || c == '_' || c == '.') return name(x);
    err_set(x->e, *x->p ? "a number, $register, symbol or '(' should stand at '%s'" : "the expression ends too early%s",
            x->p);
    return num(0);
}

static struct value unary(struct expr *x)
{
    struct value v;
    bool pointer;
    i8 size;
    blanks(x);
    if (++x->depth > MAX_DEPTH) {
        err_set(x->e, "the expression is nested too deeply");
        return num(0);
    }
    switch (*x->p) {
    case '-':
        x->p++;
        v = unary(x);
        v = (struct value){.v = -v.v, .sgn = true};
        break;
    case '+':
        x->p++;
        v = unary(x);
        break;
    case '~':
        x->p++;
        v = unary(x);
        v.v = ~v.v;
        break;
    case '!':
        x->p++;
        v = num(!unary(x).v);
        break;
    case '*':
        x->p++;
        v = dereference(x);
        break;
    default:
        size = cast(x, &pointer);
        v = size ? unary(x) : primary(x);
        if (size && pointer)
            v.size = size;
        else if (size)
            v = as_size(v.v, size);
    }
    x->depth--;
    return v;
}

// Longer spellings before those that they begin with.
static const struct {
    const char *op;
    u8 level;
    char id;
} ops[] = {{"||", 0, 'o'}, {"&&", 1, 'a'}, {"==", 5, '='}, {"!=", 5, '!'}, {"<<", 7, 'l'}, {">>", 7, 'r'},
           {"<=", 6, 'L'}, {">=", 6, 'G'}, {"<", 6, '<'},  {">", 6, '>'},  {"|", 2, '|'},  {"^", 3, '^'},
           {"&", 4, '&'},  {"+", 8, '+'},  {"-", 8, '-'},  {"*", 9, '*'},  {"/", 9, '/'},  {"%", 9, '%'}};
#define LEVELS 10

static struct value divide(struct expr *x, char op, u64 a, u64 b, bool sgn)
{
    if (!b) {
        if (!x->skip) err_set(x->e, "division by zero");
        return num(0);
    }
    if (!sgn) return num(op == '/' ? a / b : a % b);
    if (b == ~(u64)0) return (struct value){.v = op == '/' ? -a : 0, .sgn = true}; // also the one that overflows
    return (struct value){.v = op == '/' ? (u64)((i64)a / (i64)b) : (u64)((i64)a % (i64)b), .sgn = true};
}

static struct value compute(struct expr *x, char op, struct value l, struct value r)
{
    u64 a = l.v, b = r.v;
    bool sgn = l.sgn || r.sgn;
    bool below = sgn ? (i64)a < (i64)b : a < b, equal = a == b;
    switch (op) {
    case 'o': return num(a || b);
    case 'a': return num(a && b);
    case '=': return num(equal);
    case '!': return num(!equal);
    case '<': return num(below);
    case '>': return num(!below && !equal);
    case 'L': return num(below || equal);
    case 'G': return num(!below);
    case 'l': a = b > 63 ? 0 : a << b; break;
    case 'r': a = l.sgn ? (u64)((i64)a >> min_u64(b, 63)) : b > 63 ? 0 : a >> b; break;
    case '|': a |= b; break;
    case '^': a ^= b; break;
    case '&': a &= b; break;
    case '+': a += b; break;
    case '-': a -= b; break;
    case '*': a *= b; break;
    default: return divide(x, op, a, b, sgn);
    }
    return (struct value){.v = a, .sgn = sgn, .size = l.size};
}

static struct value binary(struct expr *x, unsigned level)
{
    if (level == LEVELS) return unary(x);
    if (!level && ++x->depth > MAX_DEPTH) {
        err_set(x->e, "the expression is nested too deeply");
        return num(0);
    }
    struct value v = binary(x, level + 1);
    while (!x->e->msg[0]) {
        blanks(x);
        unsigned i = 0;
        while (i < ARRAY_LEN(ops) && strncmp(x->p, ops[i].op, strlen(ops[i].op))) i++;
        if (i == ARRAY_LEN(ops) || ops[i].level != level) break;
        x->p += strlen(ops[i].op);
        bool decided = (ops[i].id == 'o' && v.v) || (ops[i].id == 'a' && !v.v);
        x->skip += decided;
        v = compute(x, ops[i].id, v, binary(x, level + 1));
        x->skip -= decided;
    }
    if (!level) x->depth--;
    return v;
}

// Linear address of SEL:OFF: in real and virtual-8086 mode by the formula, else by the descriptor, that of a loaded
// register first.
static bool far_address(struct cpu *c, u64 sel, u64 off, u64 *lin, struct err *e)
{
    if (sel > 0xffff) return err_set(e, "0x%llx is not a selector", (unsigned long long)sel);
    if (!cpu_protected(c)) return *lin = (sel << 4) + off, true;
    for (unsigned i = 0; i <= S_GS; i++)
        if (c->seg[i].usable && c->seg[i].sel == sel) return *lin = c->seg[i].base + off, true;
    u64 at;
    u8 b[8];
    struct desc d;
    if (sel_null((u16)sel) || !seg_desc_addr(c, (u16)sel, 8, &at) || !mmu_debug_read(c, at, b, 8))
        return err_set(e, "selector 0x%04llx has no descriptor", (unsigned long long)sel);
    seg_decode(&d, ld32(b), ld32(b + 4));
    if (!(d.attr & SEG_S)) return err_set(e, "selector 0x%04llx is not of code or data", (unsigned long long)sel);
    *lin = d.base + off;
    return true;
}

bool expr_eval(struct cpu *c, const char *text, u64 *v, struct err *e)
{
    struct expr x = {.p = text, .c = c, .e = e};
    e->msg[0] = 0;
    if (strlen(text) > 500) return err_set(e, "the expression is too long");
    struct value r = binary(&x, 0);
    blanks(&x);
    if (!e->msg[0] && *x.p == ':') {
        x.p++;
        u64 sel = r.v;
        struct value off = binary(&x, 0);
        blanks(&x);
        if (!e->msg[0] && !far_address(c, sel, off.v, &r.v, e)) return false;
    }
    if (!e->msg[0] && *x.p) err_set(e, "'%s' does not belong to the expression", x.p);
    if (e->msg[0]) return false;
    *v = r.v;
    return true;
}
