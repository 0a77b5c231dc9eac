// SPDX-License-Identifier: MIT
// The intermediate code: facts of its operations, building and printing. A printed operation is a line
//   INSN NAME.SIZE OPERANDS [FIELD=VALUE …]
// with operands in the order of ir.def: registers by their 64-bit names (the size is the operation's), t0, m,
// immediates as $n, addresses as seg:[base+index*scale+disp]aN with N = address size. Fields that no operand shows
// follow by name. parse.c reads this form back.
#include "tcg/ir/ir.h"
#include "mem/base/buf.h"
#include "tcg/ir/names.h"

enum { NONE = IR_FL_NONE, CF = IR_FL_CF, CFOF = IR_FL_CFOF, NOCF = IR_FL_NOCF, ALL = IR_FL_ALL };
const struct ir_fact ir_facts[IR_COUNT] = {
#define IR(name, operands, writes, reads, props, regs) [IR_##name] = {#name, operands, writes, reads, props, IR_##regs},
#include "tcg/ir/ir.def"
#undef IR
};
const char *const ir_reg_names[IR_BASE + 1] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",  "rsi", "rdi", "r8",
                                               "r9",  "r10", "r11", "r12", "r13", "r14",  "r15", "ah",  "ch",
                                               "dh",  "bh",  "t0",  "m",   "imm", "none", "base"};
const char *const ir_cond_names[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                       "s", "ns", "p", "np", "l", "ge", "le", "g"};
const char *const ir_seg_names[6] = {"es", "cs", "ss", "ds", "fs", "gs"};
const struct ir_flag_name ir_acc_names[4] = {
    {"wr", IR_WR}, {"align", IR_ALIGN}, {"t0live", IR_T0LIVE}, {"stack", IR_STACK}};
// In the order of "oszapc".
const struct ir_flag_name ir_flag_names[6] = {{"o", 0x800}, {"s", 0x80}, {"z", 0x40}, {"a", 0x10}, {"p", 4}, {"c", 1}};

bool ir_cc_is_condition(unsigned op) { return op == IR_JCC || op == IR_SETCC || op == IR_CMOV; }

static const char *reg_name(unsigned r) { return r <= IR_BASE ? ir_reg_names[r] : "?"; }
static void print_hex(struct buf *out, i64 v, bool plus)
{
    u64 m = v < 0 ? -(u64)v : (u64)v;
    buf_printf(out, "%s%s%llx", v < 0 ? "-" : plus ? "+" : "", m < 10 ? "" : "0x", (unsigned long long)m);
}
static void print_address(struct buf *out, const struct ir_op *o)
{
    if (o->seg != IR_NONE) buf_printf(out, "%s:", o->seg < 6 ? ir_seg_names[o->seg] : "?");
    buf_printf(out, "[");
    if (o->base != IR_NONE) buf_printf(out, "%s", reg_name(o->base));
    if (o->index != IR_NONE)
        buf_printf(out, "%s%s*%u", o->base != IR_NONE ? "+" : "", reg_name(o->index), 1u << o->scale);
    if (o->disp || (o->base == IR_NONE && o->index == IR_NONE))
        print_hex(out, o->disp, o->base != IR_NONE || o->index != IR_NONE);
    buf_printf(out, "]a%u", o->asz);
}
static void print_flags(struct buf *out, const char *name, unsigned fl)
{
    if (!fl) return;
    buf_printf(out, " %s=", name);
    for (unsigned k = 0; k < 6; k++)
        if (fl & ir_flag_names[k].bit) buf_printf(out, "%s", ir_flag_names[k].name);
}

// Fields that the operands have shown are cleared in *o.
static void print_operands(struct buf *out, struct ir_op *o)
{
    const char *sep = " ";
    for (const char *p = ir_facts[o->op].operands; *p; p++, sep = ", ") {
        buf_printf(out, "%s", sep);
        switch (*p) {
        case 'd':
        case 'D':
            buf_printf(out, "%s", reg_name(o->dst));
            o->dst = IR_NONE;
            break;
        case 'a':
            if (o->a == IR_IMM) {
                buf_printf(out, "$");
                print_hex(out, o->imm, false);
                o->imm = 0;
            } else {
                buf_printf(out, "%s", reg_name(o->a));
            }
            o->a = IR_NONE;
            break;
        case 'm':
            print_address(out, o);
            o->base = o->index = o->seg = IR_NONE;
            o->scale = o->asz = 0;
            o->disp = 0;
            break;
        case 'i':
            buf_printf(out, "$");
            print_hex(out, o->imm, false);
            o->imm = 0;
            break;
        default: // c
            buf_printf(out, "%s", ir_cc_is_condition(o->op) ? ir_cond_names[o->cc & 15] : ir_facts[o->cc].name);
            o->cc = 0;
            break;
        }
    }
}

void ir_print(const struct ir *b, struct buf *out)
{
    for (u32 k = 0; k < b->n; k++) {
        struct ir_op o = b->op[k];
        buf_printf(out, "%u %s.%u", o.insn, ir_facts[o.op].name, o.size);
        print_operands(out, &o);
        for (unsigned j = 0; j < 4; j++)
            if (o.acc & ir_acc_names[j].bit) buf_printf(out, " %s", ir_acc_names[j].name);
        if (o.dst != IR_NONE) buf_printf(out, " dst=%s", reg_name(o.dst));
        if (o.a != IR_NONE) buf_printf(out, " a=%s", reg_name(o.a));
        if (o.base != IR_NONE) buf_printf(out, " base=%s", reg_name(o.base));
        if (o.index != IR_NONE) buf_printf(out, " index=%s", reg_name(o.index));
        if (o.scale) buf_printf(out, " scale=%u", o.scale);
        if (o.seg != IR_NONE) buf_printf(out, " seg=%u", o.seg);
        if (o.asz) buf_printf(out, " asz=%u", o.asz);
        if (o.cc) buf_printf(out, " cc=%u", o.cc);
        if (o.disp) buf_printf(out, " disp=%d", o.disp);
        if (o.imm) buf_printf(out, " imm=0x%llx", (unsigned long long)o.imm);
        print_flags(out, "need", o.need);
        print_flags(out, "live", o.live);
        buf_printf(out, "\n");
    }
}
