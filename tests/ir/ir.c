// SPDX-License-Identifier: MIT
// Printer, parser and verifier of the intermediate code: what is printed reads back identical, bad text is refused with
// its line, and each of the verifier's rules refuses code that breaks it and nothing else.
#include "tests/ir/block.h"

static bool read_ir(struct ir *b, const char *text)
{
    struct err e = {.msg = ""};
    bool ok = ir_parse(b, text, &e);
    CHECK_STR(e.msg, "");
    return ok;
}

// Random guest code of all kinds, as the front end translates it.
static void round_trip(void)
{
    struct block *b = block_new();
    struct ir *back = xalloc(sizeof *back);
    static const u32 keys[] = {M64, M32, M32SEG, M16};
    u64 seed = 1;
    unsigned done = 0;
    for (unsigned k = 0; k < 30000; k++) {
        u8 bytes[16];
        for (unsigned j = 0; j < 16; j++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            bytes[j] = (u8)(seed >> 33);
        }
        if (k & 1) bytes[0] = 0x0f;
        *b->t = (struct tb){.pa = BLOCK_PA, .n = 1, .key = keys[k >> 1 & 3]};
        b->e.key = b->t->key;
        b->e.opt = k & 8;
        if (decode(b->decoder, bytes, 16, b->e.key & MODE_CODE, &b->t->insn[0]) != DECODE_OK) continue;
        tb_front(&b->e, b->t);
        opt_flags(&b->e, b->t);
        u32 at;
        const char *bad = ir_verify(&b->e.ir, &at);
        CHECK_STR(bad ? bad : "", "");
        struct buf text = {0};
        ir_print(&b->e.ir, &text);
        read_ir(back, buf_text(&text));
        CHECK_EQ(back->n, b->e.ir.n);
        if (memcmp(back->op, b->e.ir.op, b->e.ir.n * sizeof back->op[0])) CHECK_STR(buf_text(&text), "the same");
        buf_free(&text);
        done++;
    }
    CHECK(done > 10000);
    free(back);
    block_free(b);
}
static void every_operation(void)
{
    struct ir *a = xalloc(sizeof *a), *b = xalloc(sizeof *b);
    for (unsigned op = 0; op < IR_COUNT; op++) {
        bool imm = (op & 1) && !strchr(ir_facts[op].operands, 'i');
        struct ir_op *o = ir_add(a, op, (enum ir_code)op, 8, IR_T0, imm ? IR_IMM : IR_M);
        o->imm = op & 2 ? INT64_MIN : INT64_MAX;
        o->disp = op & 2 ? INT32_MIN : INT32_MAX;
        o->base = op & 4 ? IR_BASE : 12;
        o->index = 9, o->scale = 3, o->asz = 4, o->seg = 5, o->acc = 15, o->cc = op % IR_COUNT & 15;
        o->need = 0x801, o->live = 0xd4;
    }
    struct buf text = {0};
    ir_print(a, &text);
    read_ir(b, buf_text(&text));
    CHECK_EQ(b->n, a->n);
    for (u32 k = 0; k < a->n; k++)
        if (memcmp(&a->op[k], &b->op[k], sizeof a->op[0])) CHECK_STR(ir_facts[a->op[k].op].name, "the same");
    buf_free(&text);
    free(a);
    free(b);
}
static void bad_text(void)
{
    static const char *const bad[] = {
        "0 ADD.8 rax",     "0 ADD rax, rbx",        "0 FROB.8 rax",        "ADD.8 rax, rbx", "0 ADD.8 rax, rxx",
        "0 MEM.8 [rax",    "0 MEM.8 [rax*9]a8",     "0 MEM.8 [rax]",       "0 JCC.8 zz, $1", "0 JMP.8 1",
        "0 ADD.8 rax, $x", "0 ADD.8 rax, rbx frob", "0 MOV.8 rax, rbx, 0", "0 NOP.0 need=q", "0 MEM.8 []b8",
    };
    struct ir *b = xalloc(sizeof *b);
    for (unsigned k = 0; k < ARRAY_LEN(bad); k++) {
        struct err e = {.msg = ""};
        char text[100], want[100];
        snprintf(text, sizeof text, "# comment\n0 NOP.0\n%s\n", bad[k]);
        snprintf(want, sizeof want, "line 3: cannot read '%s'", bad[k]);
        CHECK(!ir_parse(b, text, &e));
        CHECK_STR(e.msg, want);
    }
    free(b);
}

struct rule {
    const char *text, *why; // why "": nothing wrong
    u32 at;
};
static void verifier(void)
{
    static const struct rule v[] = {
        {"0 ADD.8 rax, rbx\n0 JMP.8 $0", "", 2},
        {"", "block without an end", 0},
        {"0 ADD.8 rax, rbx\n", "block without an end", 1},
        {"0 JMP.8 $0\n0 NOP.0", "operation behind the end of the block", 1},
        {"1 NOP.0\n0 JMP.8 $0", "guest instructions out of order", 1},
        {"0 ADD.3 rax, rbx\n0 JMP.8 $0", "size", 0},
        {"0 SHLV.2 rax\n0 JMP.8 $0", "size", 0},
        {"0 SETCC.4 rax, e\n0 JMP.8 $0", "size", 0},
        {"0 MEM.0 [rax]a8\n0 JMP.8 $0", "size", 0},
        {"0 ADD.8 ah, rbx\n0 JMP.8 $0", "AH CH DH BH with another size than 1", 0},
        {"0 ADD.8 rax, bh\n0 JMP.8 $0", "AH CH DH BH with another size than 1", 0},
        {"0 MOVZX.4 rax, bh cc=1\n0 JMP.8 $0", "", 2},
        {"0 MOVZX.4 rax, bh cc=2\n0 JMP.8 $0", "AH CH DH BH with another size than 1", 0},
        {"0 MOVZX.4 rax, rbx cc=4\n0 JMP.8 $0", "source size", 0},
        {"0 ADD.8 imm, rbx\n0 JMP.8 $0", "destination", 0},
        {"0 ADD.8 rax, none\n0 JMP.8 $0", "source", 0},
        {"0 CBW.8 dst=rax\n0 JMP.8 $0", "destination where there is none", 0},
        {"0 INC.8 rax a=rbx\n0 JMP.8 $0", "source where there is none", 0},
        {"0 IMUL.8 rax, $5\n0 JMP.8 $0", "immediate source", 0},
        {"0 ADD.8 rax, $0x80000000\n0 JMP.8 $0", "immediate of more than 32 bits", 0},
        {"0 MOV.8 rax, $0x80000000\n0 JMP.8 $0", "", 2},
        // memory
        {"0 ADD.8 rax, m\n0 JMP.8 $0", "IR_M without MEM in this instruction", 0},
        {"0 MEM.8 [rbx]a8\n1 ADD.8 rax, m\n1 JMP.8 $0", "IR_M without MEM in this instruction", 1},
        {"0 MEM.4 [rbx]a8\n0 ADD.8 rax, m\n0 JMP.8 $0", "access wider than MEM has checked", 1},
        {"0 MEM.8 [rbx]a8\n0 ADD.8 m, rax\n0 JMP.8 $0", "IR_M written, but MEM checked for reading", 1},
        {"0 MEM.8 [rbx]a8\n0 CMP.8 m, rax\n0 JMP.8 $0", "", 3},
        {"0 MEM.8 [rbx]a8 wr\n0 ADD.8 m, m\n0 JMP.8 $0", "two memory operands", 1},
        {"0 MEM.8 [rbx]a8 wr\n0 XCHG.8 rax, m\n0 JMP.8 $0", "source in memory", 1},
        {"0 MEM.8 [rbx]a8 wr\n0 IMUL.8 m, rax\n0 JMP.8 $0", "destination in memory", 1},
        {"0 MEM.8 [t0]a8\n0 JMP.8 $0", "IR_T0 used before it is defined in this instruction", 0},
        {"0 LEA.8 rax, [t0]a8\n0 JMP.8 $0", "base", 0},
        {"0 MEM.8 [base]a8\n0 JMP.8 $0", "", 2},
        {"0 LEA.8 rax, [rbx+rsp*2]a8\n0 JMP.8 $0", "RSP as index", 0},
        {"0 LEA.8 rax, [rbx+base*2]a8\n0 JMP.8 $0", "index", 0},
        {"0 LEA.8 rax, [rbx]a1\n0 JMP.8 $0", "address size", 0},
        // the temporary
        {"0 MOV.8 rax, t0\n0 JMP.8 $0", "IR_T0 used before it is defined in this instruction", 0},
        {"0 ADD.8 t0, rax\n0 JMP.8 $0", "IR_T0 used before it is defined in this instruction", 0},
        {"0 MOV.8 t0, rax\n1 MOV.8 rax, t0\n1 JMP.8 $0", "IR_T0 used before it is defined in this instruction", 1},
        {"0 MOV.8 t0, rax\n0 MEM.8 [rbx]a8 wr\n0 MOV.8 m, t0\n0 JMP.8 $0", "IR_T0 used behind a MEM without IR_T0LIVE",
         2},
        {"0 MOV.8 t0, rax\n0 MEM.8 [rbx]a8 wr t0live\n0 MOV.8 m, t0\n0 JMP.8 $0", "", 4},
        {"0 MOV.8 t0, rax\n0 CMPXCHG.8 rbx, rcx\n0 MOV.8 rax, t0\n0 JMP.8 $0",
         "IR_T0 used before it is defined in this instruction", 2},
        // commit late
        {"0 MOV.8 rax, rbx\n0 MEM.8 [rbx]a8\n0 JMP.8 $0", "may leave for the interpreter after a change of state", 1},
        {"0 MEM.8 [rbx]a8 wr\n0 MOV.8 m, rax\n0 MEM.8 [rcx]a8\n0 JMP.8 $0",
         "may leave for the interpreter after a change of state", 2},
        {"0 CMP.8 rax, rbx\n0 CALL.0\n0 JMP.8 $0", "may leave for the interpreter after a change of state", 1},
        {"0 MUL.8 rbx\n0 DIV.8 rbx\n0 JMP.8 $0", "may leave for the interpreter after a change of state", 1},
        {"0 SETFL.4 $0x400\n0 MEM.8 [rbx]a8\n0 JMP.8 $0", "may leave for the interpreter after a change of state", 1},
        {"0 MOV.8 t0, rbx\n0 MEM.8 [rbx]a8\n0 JMP.8 $0", "", 3},
        {"0 MOV.8 rax, rbx\n1 MEM.8 [rbx]a8\n1 JMP.8 $0", "", 3},
        {"0 CALL.0\n0 MOV.8 rax, rbx\n0 JMP.8 $0", "operation behind the CALL of its instruction", 1},
        {"0 CALL.0\n0 LEAVE.0", "", 2},
        {"0 CALL.0\n0 JMP.8 $5", "", 2},
        {"0 CALL.0\n1 LEAVE.0", "LEAVE without CALL", 1},
        // indirect jumps
        {"0 LOOKUP.8 rax\n0 GO.0", "", 2},
        {"0 GO.0", "GO without LOOKUP", 0},
        {"0 LOOKUP.8 rax\n1 JMP.8 $0", "LOOKUP without GO", 1},
        {"0 LOOKUP.8 rax\n0 LEA.8 rsp, [rsp+8]a8\n0 GO.0", "", 3},
        {"0 LOOKUP.8 rax\n0 MEM.8 [rbx]a8\n0 GO.0", "may leave for the interpreter between LOOKUP and GO", 1},
        {"0 LOOKUP.8 rax\n0 IMUL.8 rax, rbx\n0 GO.0", "operation between LOOKUP and GO that may destroy what was found",
         1},
        {"0 LEA.8 rsp, [rsp+8]a8\n0 LOOKUP.8 rax\n0 GO.0", "may leave for the interpreter after a change of state", 1},
        // immediates and conditions
        {"0 SHL.4 rax, $0\n0 JMP.8 $0", "shift count", 0},
        {"0 SHL.1 rax, $8\n0 JMP.8 $0", "shift count", 0},
        {"0 SHLD.4 rax, rbx, $0x20\n0 JMP.8 $0", "shift count", 0},
        {"0 BT.4 rax, $0x20\n0 JMP.8 $0", "bit", 0},
        {"0 MEM.4 [rax]a8\n0 BT.4 m, $0x20\n0 JMP.8 $0", "bit", 1},
        {"0 MULX.8 rax, rbx, $0x10\n0 JMP.8 $0", "register of the high half", 0},
        {"0 SHX.8 rax, rbx, ADD base=rcx\n0 JMP.8 $0", "kind of shift", 0},
        {"0 SHX.8 rax, rbx, SHL\n0 JMP.8 $0", "register of the count", 0},
        {"0 JCC.8 e, $0x80000000\n0 JMP.8 $0", "target out of reach", 0},
        {"0 JMP.1 $0", "size", 0},
        {"0 JRCXZ.8 $0 asz=1\n0 JMP.8 $0", "counter", 0},
        {"0 SETFL.4 $1\n0 JMP.8 $0", "arithmetic flags", 0},
        {"0 GETFL.4 rax\n0 JMP.8 $0", "not IR_T0", 0},
        {"0 LDCPU.4 t0, $0x1000\n0 JMP.8 $0", "offset", 0},
        {"0 STIMM.4 $0x10\n0 CHECK.4 $0x10\n0 JMP.8 $0", "may leave for the interpreter after a change of state", 1},
    };
    struct ir *b = xalloc(sizeof *b);
    for (unsigned k = 0; k < ARRAY_LEN(v); k++) {
        u32 at;
        char got[300], want[300];
        read_ir(b, v[k].text);
        const char *bad = ir_verify(b, &at);
        snprintf(got, sizeof got, "%s: %s at %u", v[k].text, bad ? bad : "", at);
        snprintf(want, sizeof want, "%s: %s at %u", v[k].text, v[k].why, v[k].at);
        CHECK_STR(got, want);
    }
    free(b);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(round_trip), TEST(every_operation), TEST(bad_text), TEST(verifier)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
