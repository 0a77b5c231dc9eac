// SPDX-License-Identifier: MIT
// Reads the form that ir_print() writes; empty lines and what follows a # are skipped. For tests.
#include <stdlib.h>
#include <string.h>
#include "mem/base/err.h"
#include "tcg/ir/ir.h"
#include "tcg/ir/names.h"

// A line being read; at == NULL: it could not be.
struct line {
    const char *at;
};

static void skip(struct line *l)
{
    while (*l->at == ' ' || *l->at == '\t') l->at++;
}
static bool eat(struct line *l, const char *s)
{
    size_t n = strlen(s);
    if (strncmp(l->at, s, n)) return false;
    l->at += n;
    return true;
}
static size_t word(const struct line *l)
{
    return strspn(l->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}
// Index of the next word among names, -1 if it is none of them.
static int pick(struct line *l, const char *const *names, unsigned n)
{
    size_t len = word(l);
    for (unsigned k = 0; k < n; k++)
        if (strlen(names[k]) == len && !memcmp(names[k], l->at, len)) {
            l->at += len;
            return (int)k;
        }
    return -1;
}
static bool number(struct line *l, i64 *v)
{
    bool minus = *l->at == '-';
    if (*l->at == '-' || *l->at == '+') l->at++;
    if (*l->at < '0' || *l->at > '9') return false;
    char *end;
    u64 m = strtoull(l->at, &end, 0);
    *v = minus ? -(i64)m : (i64)m;
    l->at = end;
    return true;
}
static bool reg(struct line *l, u8 *r)
{
    int k = pick(l, ir_reg_names, IR_BASE + 1);
    *r = (u8)k;
    return k >= 0;
}

static bool address(struct line *l, struct ir_op *o)
{
    for (unsigned k = 0; k < 6; k++)
        if (!strncmp(l->at, ir_seg_names[k], 2) && l->at[2] == ':') o->seg = k, l->at += 3;
    if (!eat(l, "[")) return false;
    i64 v;
    while (!eat(l, "]")) {
        struct line number_at = *l;
        if (number(&number_at, &v)) {
            o->disp = (i32)v;
            *l = number_at;
            continue;
        }
        u8 r;
        eat(l, "+");
        if (!reg(l, &r)) return false;
        if (eat(l, "*")) {
            if (!number(l, &v) || v < 1 || v > 8) return false;
            o->index = r;
            o->scale = (u8)__builtin_ctzll((u64)v);
        } else {
            o->base = r;
        }
    }
    if (!eat(l, "a") || !number(l, &v)) return false;
    o->asz = (u8)v;
    return true;
}

static bool condition(struct line *l, struct ir_op *o)
{
    int k;
    if (ir_cc_is_condition(o->op)) {
        k = pick(l, ir_cond_names, 16);
    } else {
        const char *names[IR_COUNT];
        for (unsigned n = 0; n < IR_COUNT; n++) names[n] = ir_facts[n].name;
        k = pick(l, names, IR_COUNT);
    }
    o->cc = (u8)k;
    return k >= 0;
}

static bool operand(struct line *l, struct ir_op *o, char kind)
{
    switch (kind) {
    case 'd':
    case 'D': return reg(l, &o->dst);
    case 'a':
        if (!eat(l, "$")) return reg(l, &o->a);
        o->a = IR_IMM;
        return number(l, &o->imm);
    case 'i': return eat(l, "$") && number(l, &o->imm);
    case 'm': return address(l, o);
    default: return condition(l, o);
    }
}

static bool flags(struct line *l, u16 *fl)
{
    for (size_t n = word(l); n--; l->at++) {
        unsigned k = 0;
        while (k < 6 && ir_flag_names[k].name[0] != *l->at) k++;
        if (k == 6) return false;
        *fl |= ir_flag_names[k].bit;
    }
    return true;
}

// "align", "need=oc", "cc=4" …
static bool field(struct line *l, struct ir_op *o)
{
    for (unsigned k = 0; k < 4; k++)
        if (eat(l, ir_acc_names[k].name)) {
            o->acc |= ir_acc_names[k].bit;
            return true;
        }
    if (eat(l, "need=")) return flags(l, &o->need);
    if (eat(l, "live=")) return flags(l, &o->live);
    if (eat(l, "dst=")) return reg(l, &o->dst);
    if (eat(l, "a=")) return reg(l, &o->a);
    if (eat(l, "base=")) return reg(l, &o->base);
    if (eat(l, "index=")) return reg(l, &o->index);
    i64 v;
    if (eat(l, "imm=")) return number(l, &o->imm);
    if (eat(l, "disp=")) {
        if (!number(l, &v)) return false;
        o->disp = (i32)v;
        return true;
    }
    u8 *to = eat(l, "scale=") ? &o->scale
             : eat(l, "seg=") ? &o->seg
             : eat(l, "asz=") ? &o->asz
             : eat(l, "cc=")  ? &o->cc
                              : NULL;
    if (!to || !number(l, &v)) return false;
    *to = (u8)v;
    return true;
}

static bool operation(struct line *l, struct ir *b)
{
    const char *names[IR_COUNT];
    for (unsigned n = 0; n < IR_COUNT; n++) names[n] = ir_facts[n].name;
    i64 insn, size;
    if (!number(l, &insn)) return false;
    skip(l);
    int op = pick(l, names, IR_COUNT);
    if (op < 0 || !eat(l, ".") || !number(l, &size) || b->n >= IR_MAX) return false;
    struct ir_op *o = ir_add(b, (unsigned)insn, (enum ir_code)op, (unsigned)size, IR_NONE, IR_NONE);
    for (const char *p = ir_facts[op].operands; *p; p++) {
        skip(l);
        if (p > ir_facts[op].operands && !eat(l, ",")) return false;
        skip(l);
        if (!operand(l, o, *p)) return false;
    }
    for (skip(l); *l->at && *l->at != '\n' && *l->at != '#'; skip(l))
        if (!field(l, o)) return false;
    return true;
}

bool ir_parse(struct ir *b, const char *text, struct err *e)
{
    b->n = 0;
    b->vec = true;
    for (unsigned n = 1; *text; n++) {
        struct line l = {text};
        skip(&l);
        if (*l.at && *l.at != '\n' && *l.at != '#' && !operation(&l, b))
            return err_set(e, "line %u: cannot read '%.*s'", n, (int)strcspn(text, "\n"), text);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return true;
}
