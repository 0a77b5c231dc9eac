// SPDX-License-Identifier: MIT
// opt_flags(): which flags are needed and live, judged by which later operation may look at them; and what
// a count of 0 or a partial write lets pass.
#include "tests/ir/block.h"

static struct block *run(u32 key, const char *hex, bool opt)
{
    struct block *b = block_new();
    u32 at;
    CHECK(block_decode(b, key, hex));
    b->e.opt = opt;
    tb_front(&b->e, b->t);
    opt_flags(&b->e, b->t);
    const char *bad = ir_verify(&b->e.ir, &at);
    CHECK_STR(bad ? bad : "fine", "fine");
    return b;
}
// need of the first operation `op` of instruction k; ~0 if there is none.
static unsigned need(const struct block *b, unsigned k, enum ir_code op)
{
    for (u32 j = 0; j < b->e.ir.n; j++)
        if (b->e.ir.op[j].insn == k && b->e.ir.op[j].op == op) return b->e.ir.op[j].need;
    return ~0u;
}
static unsigned live(const struct block *b, unsigned k, enum ir_code op)
{
    for (u32 j = 0; j < b->e.ir.n; j++)
        if (b->e.ir.op[j].insn == k && b->e.ir.op[j].op == op) return b->e.ir.op[j].live;
    return ~0u;
}

static void overwritten(void)
{
    struct block *b = run(M64, "48 01 d8 48 29 c8 90", true); // add; sub
    CHECK_EQ(need(b, 0, IR_ADD), 0);
    CHECK_EQ(need(b, 1, IR_SUB), IR_FL_ALL); // the end of the block: anything may follow
    CHECK_EQ(live(b, 0, IR_ADD), 0);
    CHECK_EQ(live(b, 1, IR_SUB), 0);
    block_free(b);
}
static void kept_by_inc(void)
{
    struct block *b = run(M64, "48 01 d8 48 ff c1", true); // add; inc: CF of ADD survives
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_CF);
    CHECK_EQ(need(b, 1, IR_INC), IR_FL_NOCF);
    CHECK_EQ(live(b, 1, IR_INC), IR_FL_CF);
    block_free(b);
}
static void read_by_condition(void)
{
    struct block *b = run(M64, "48 39 d8 0f 4c c1 48 01 d8", true); // cmp; cmovl; add
    CHECK_EQ(need(b, 0, IR_CMP), 0x880);
    CHECK_EQ(live(b, 1, IR_CMOV), 0x880);
    block_free(b);
    b = run(M64, "48 39 d8 0f 97 c0 48 01 d8", true); // cmp; seta; add
    CHECK_EQ(need(b, 0, IR_CMP), 0x41);
    block_free(b);
    b = run(M64, "48 01 d8 48 11 ca", true); // add; adc
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_CF);
    block_free(b);
}
// A memory access may fault, and the handler looks at all flags.
static void fault_between(void)
{
    struct block *b = run(M64, "48 01 d8 48 8b 03 48 29 c8", true); // add; mov rax,[rbx]; sub
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL);
    CHECK_EQ(live(b, 1, IR_MEM), IR_FL_ALL);
    CHECK_EQ(live(b, 1, IR_MOV), 0);
    block_free(b);
    b = run(M64, "48 01 d8 48 29 03", true); // add; sub [rbx],rax: the access comes before the subtraction
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL);
    block_free(b);
    b = run(M64, "48 01 d8 d7 48 29 c8", true); // add; xlat (a call); sub
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL);
    block_free(b);
}
static void conditional_exit(void)
{
    struct block *b = run(M64, "48 85 c0 74 10 48 29 c8", true); // test; je out; sub
    CHECK_EQ(need(b, 0, IR_TEST), IR_FL_ALL);                    // the taken exit may be interrupted
    CHECK_EQ(need(b, 1, IR_JCC), IR_FL_ALL);
    block_free(b);
}
// A loop to the block's own start: the jump says what the loop itself looks at.
static void own_loop(void)
{
    struct block *b = run(M64, "48 01 d8 48 ff c9 75 f8", true); // add; dec; jne start
    CHECK_EQ(need(b, 1, IR_DEC), IR_FL_NOCF);
    CHECK_EQ(need(b, 2, IR_JCC), 0);
    CHECK_EQ(need(b, 2, IR_JMP), IR_FL_ALL);
    CHECK(b->e.bare); // who links to this block need not store the flags
    block_free(b);
    b = run(M64, "48 11 d8 48 ff c9 75 f8", true); // adc; dec; jne start
    CHECK_EQ(need(b, 2, IR_JCC), IR_FL_CF);
    CHECK(!b->e.bare);
    block_free(b);
    b = run(M64, "48 03 03 48 ff c9 75 f8", true); // add rax,[rbx]: may fault at once
    CHECK_EQ(need(b, 2, IR_JCC), IR_FL_ALL);
    block_free(b);
    b = run(M64, "48 0f bc c3 48 ff c9 75 f7", true); // bsf overwrites all
    CHECK_EQ(need(b, 2, IR_JCC), 0);
    block_free(b);
    b = run(M64, "48 f7 f3 48 ff c9 75 f8", true); // div may leave
    CHECK_EQ(need(b, 2, IR_JCC), IR_FL_ALL);
    block_free(b);
    b = run(M64, "48 01 d8 48 ff c9 75 fb", true); // to the middle: another block
    CHECK_EQ(need(b, 2, IR_JCC), IR_FL_ALL);
    block_free(b);
}
// A count of 0 lets the flags pass.
static void variable_shift(void)
{
    struct block *b = run(M64, "48 01 d8 48 d3 e0 48 29 c8", true); // add; shl rax,cl; sub
    CHECK_EQ(need(b, 1, IR_SHLV), 0);
    CHECK_EQ(need(b, 0, IR_ADD), 0);
    block_free(b);
    b = run(M64, "48 01 d8 48 d3 e0 72 00", true); // …; jc
    CHECK_EQ(need(b, 1, IR_SHLV), IR_FL_ALL);
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL);
    block_free(b);
}
static void scans(void)
{
    struct block *b = run(M64, "48 0f bc 03 48 85 c0", true); // bsf rax,[rbx]; test
    CHECK_STR(block_text(b), "MEM.8 [rbx]a8 live=oszapc; BSF.8 rax, m; 1 TEST.8 rax, rax need=oszapc; 1 JMP.8 $0x107 "
                             "need=oszapc live=oszapc");
    block_free(b);
    b = run(M64, "48 0f bc 03 48 89 c1", true); // bsf rax,[rbx]; mov rcx,rax; end
    CHECK_STR(block_text(b),
              "MEM.8 [rbx]a8 live=oszapc; BSF.8 rax, m need=oszapc; 1 MOV.8 rcx, rax live=oszapc; 1 JMP.8 $0x107 "
              "need=oszapc live=oszapc");
    block_free(b);
    b = run(M64, "48 01 d8 48 d3 c0 72 00", true); // add; rol rax,cl; jc
    CHECK_EQ(need(b, 1, IR_ROLV), IR_FL_CFOF);
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL);
    block_free(b);
    b = run(M64, "f3 48 0f bc c3 70 00", true); // tzcnt keeps OF, which jo reads
    CHECK_EQ(live(b, 0, IR_TZCNT), 0x800);
    block_free(b);
    b = run(M64, "48 01 d8 f3 48 0f bc cb 48 29 c8", true); // add; tzcnt; sub: nobody looks at OF
    CHECK_EQ(need(b, 0, IR_ADD), 0);
    block_free(b);
}
static void partial(void)
{
    struct block *b = run(M64, "48 01 d8 0f ba e0 05 73 00", true); // add; bt; jnc: BT changes CF only
    CHECK_EQ(need(b, 1, IR_BT), IR_FL_CF);
    CHECK_EQ(need(b, 0, IR_ADD), IR_FL_ALL & ~IR_FL_CF);
    block_free(b);
    b = run(M64, "48 01 d8 48 f7 e3 48 31 c0", true); // add; mul; xor
    CHECK_EQ(need(b, 0, IR_ADD), 0);
    CHECK_EQ(need(b, 1, IR_MUL), 0);
    block_free(b);
}
// opt off: every flag of every operation.
static void all_needed(void)
{
    struct block *b = run(M64, "48 01 d8 48 ff c9 48 0f bc c3 75 f4", false);
    CHECK_STR(block_text(b), "ADD.8 rax, rbx need=oszapc live=oszapc; 1 DEC.8 rcx need=oszap live=oszapc; 2 BSF.8 rax, "
                             "rbx need=oszapc live=oszapc; 3 JCC.8 ne, $0x100 need=oszapc live=oszapc; 3 JMP.8 $0x10c "
                             "need=oszapc live=oszapc");
    block_free(b);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(overwritten),      TEST(kept_by_inc), TEST(read_by_condition), TEST(fault_between),
        TEST(conditional_exit), TEST(own_loop),    TEST(variable_shift),    TEST(scans),
        TEST(partial),          TEST(all_needed)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
