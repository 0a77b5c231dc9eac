// SPDX-License-Identifier: MIT
// CPU models, CPUID, MSRs and control registers. SDM vol. 2 CPUID and MOV CR, vol. 3 2.5, 4.1.2, vol. 4 chapter 2.
#include "mem/state.h"
#include "tests/insn/machine.h"

static void query(struct cpu *c, u32 leaf, u32 sub, u32 r[4])
{
    c->gpr[R_RAX] = leaf | 0xffffffff00000000;
    c->gpr[R_RCX] = sub;
    sys_cpuid(c);
    r[0] = c->gpr[R_RAX], r[1] = c->gpr[R_RBX], r[2] = c->gpr[R_RCX], r[3] = c->gpr[R_RDX];
    CHECK_EQ(c->gpr[R_RAX] >> 32, 0);
}

static bool refused(const char *spec, const char *with)
{
    struct err e = {0};
    struct cpu_model *m = cpuid_model_parse(spec, &e);
    free(m);
    return !m && strstr(e.msg, with);
}

static void parsing(void)
{
    struct err e = {0};
    struct cpu_model *m =
        cpuid_model_parse("qemu64,+aes,-sse3,vendor=GenuineIntel,family=6,popcnt=on,-avx,lahf_lm=off", &e);
    CHECK(m != NULL);
    if (!m) return;
    CHECK(model_has(m, FEAT_AES) && model_has(m, FEAT_POPCNT));
    CHECK(!model_has(m, FEAT_SSE3) && !model_has(m, FEAT_LAHF_LM));
    CHECK_EQ(m->vendor_id, VENDOR_INTEL);
    CHECK_EQ(m->family, 6);
    free(m);
    CHECK(refused("qemu46", "'qemu64'"));
    CHECK(refused("qemu64,+sse4.3", "'sse4.1'"));
    CHECK(refused("qemu64,+avx2", "avx2"));
    CHECK(refused("qemu64,family=x", "family"));
    CHECK(refused("qemu64,vendor=me", "12"));
    CHECK(refused("qemu64,phys-bits=31", "phys-bits"));
    CHECK(refused("host", "max"));
    CHECK(refused("qemu64,+", "-cpu"));
    // without its base, a feature goes
    m = cpuid_model_parse("max,-sse2", &e);
    CHECK(m && !model_has(m, FEAT_SSE42) && !model_has(m, FEAT_AES));
    free(m);
    // a feature raises the highest leaf
    m = cpuid_model_parse("pentium3,+nx,+bmi1", &e);
    CHECK(m && m->level == 7 && m->xlevel == 0x80000001);
    free(m);
    m = cpuid_model_parse(NULL, &e);
    CHECK(m && !strcmp(m->name, "qemu64"));
    free(m);
    struct buf out = {0};
    cpuid_model_help(&out);
    CHECK(strstr(buf_text(&out), "pentium3") && strstr(buf_text(&out), "clflushopt"));
    buf_free(&out);
}

static void leaves(void)
{
    struct machine *m = machine_new("max");
    struct cpu *c = m->c;
    u32 r[4];
    query(c, 0, 0, r);
    CHECK(!memcmp(&r[1], "Auth", 4) && !memcmp(&r[3], "enti", 4) && !memcmp(&r[2], "cAMD", 4));
    query(c, 1, 0, r);
    CHECK_EQ(r[0], 0x00060fb1); // family 15, model 107, stepping 1
    CHECK_EQ(r[3] & 0x07808111, 0x07808111);
    CHECK(!(r[2] >> 28 & 1) && !(r[2] >> 12 & 1)); // neither AVX nor FMA
    CHECK(!(r[2] >> 31));                          // no hypervisor
    CHECK(!(r[2] >> 27 & 1));
    RUNS(c, sys_write_cr(c, 4, CR4_OSXSAVE));
    query(c, 1, 0, r);
    CHECK(r[2] >> 27 & 1); // OSXSAVE follows CR4
    query(c, 0xd, 0, r);
    CHECK_EQ(r[0], 3);
    CHECK_EQ(r[2], 576);
    query(c, 0x80000008, 0, r);
    CHECK_EQ(r[0], 0x3028);
    query(c, 0x80000007, 0, r);
    CHECK_EQ(r[3], 0x100); // invariant TSC
    query(c, 0x15, 0, r);
    CHECK_EQ((u64)r[2] * r[1] / r[0], 1000000000);
    query(c, 0x40000000, 0, r);
    CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    query(c, 0x80000001, 0, r);
    CHECK_EQ(r[3] & 0x20100800, 0x20100800); // LM, NX, SYSCALL
    query(c, 0x80000005, 0, r);              // APM vol. 3 E.4.5: L1 caches of 64 KB, 2 ways, lines of 64 bytes
    CHECK(r[0] == 0x01ff01ff && r[1] == 0x01ff01ff && r[2] == 0x40020140 && r[3] == 0x40020140);
    query(c, 0x80000006, 0, r); // E.4.6: L2 of 512 KB and 16 ways, L3 of 16 MB
    CHECK(r[1] == 0x42004200 && r[2] == 0x02008140 && r[3] >> 18 == 32 && (r[3] & 0xffff) == 0x8140);
    machine_free(m);
    m = machine_new("Westmere"); // Intel's: L2 alone (SDM vol. 2 CPUID)
    query(m->c, 0x80000005, 0, r);
    CHECK_EQ(r[0] | r[1] | r[2] | r[3], 0);
    query(m->c, 0x80000006, 0, r);
    CHECK(!r[0] && !r[1] && (r[2] & 0xff) == 64 && !r[3]);
    machine_free(m);
    m = machine_new("pentium");
    query(m->c, 0, 0, r);
    CHECK_EQ(r[0], 1);
    query(m->c, 1, 0, r);
    CHECK_EQ(r[0], 0x543);
    query(m->c, 0x80000000, 0, r); // beyond the range: as the highest basic leaf
    CHECK_EQ(r[0], 0x543);
    machine_free(m);
    m = machine_new("pentium");
    CHECK_EQ(m->c->gpr[R_RDX], 0x543); // at reset (vol. 3 9.1.2)
    machine_free(m);
}

static void topology(void)
{
    struct machine *m = machine_new("max,+topoext");
    struct cpu *c = m->c;
    u32 r[4];
    m->model->cores = 4;
    m->model->threads = 2;
    c->apic_id = 13;
    query(c, 1, 0, r);
    CHECK_EQ(r[1] >> 16, 13 << 8 | 8);
    CHECK(r[3] >> 28 & 1);
    query(c, 0xb, 0, r);
    CHECK_EQ(r[0], 1);
    CHECK_EQ(r[1], 2);
    CHECK_EQ(r[2], 0x100);
    CHECK_EQ(r[3], 13);
    query(c, 0xb, 1, r);
    CHECK_EQ(r[0], 3);
    CHECK_EQ(r[1], 8);
    CHECK_EQ(r[2], 0x201);
    query(c, 0x80000008, 0, r);
    CHECK_EQ(r[2], 3 << 12 | 7);
    query(c, 0x8000001e, 0, r);
    CHECK_EQ(r[0], 13);
    CHECK_EQ(r[1], 1 << 8 | 2);
    CHECK_EQ(r[2], 1);
    machine_free(m);
}

static int wrmsr(struct cpu *c, u32 num, u64 v)
{
    c->gpr[R_RCX] = num;
    c->gpr[R_RAX] = (u32)v;
    c->gpr[R_RDX] = v >> 32;
    return TRY(c, sys_wrmsr(c));
}
static u64 rdmsr(struct cpu *c, u32 num)
{
    c->gpr[R_RCX] = num;
    c->gpr[R_RAX] = c->gpr[R_RDX] = ~(u64)0;
    if (TRY(c, sys_rdmsr(c)) >= 0) return 0xbad;
    return c->gpr[R_RAX] | c->gpr[R_RDX] << 32;
}

static void msrs(void)
{
    struct machine *m = machine_new("max");
    struct cpu *c = m->c;
    CHECK_EQ(rdmsr(c, 0x277), 0x0007040600070406); // PAT at reset (vol. 3 table 11-12)
    CHECK_EQ(wrmsr(c, 0x277, 0x0107040600070406), -1);
    CHECK_EQ(wrmsr(c, 0x277, 0x0207040600070406), EXC_GP);
    CHECK_EQ(rdmsr(c, 0x277), 0x0107040600070406);
    CHECK_EQ(rdmsr(c, 0xfe) & 0xff, 8);
    CHECK_EQ(wrmsr(c, 0xfe, 0), EXC_GP);
    CHECK_EQ(wrmsr(c, 0x200, 0xfee00006), -1);
    CHECK_EQ(wrmsr(c, 0x20f, 0xfffff00800), -1);
    CHECK_EQ(rdmsr(c, 0x20f), 0xfffff00800);
    CHECK_EQ(rdmsr(c, 0x201), 0);
    CHECK_EQ(wrmsr(c, 0x200, 0xfee00002), EXC_GP); // reserved type
    CHECK_EQ(wrmsr(c, 0x200, 1ull << 40), EXC_GP); // beyond MAXPHYADDR
    CHECK_EQ(wrmsr(c, 0x210, 0), EXC_GP);
    CHECK_EQ(wrmsr(c, 0x2ff, 0xc06), -1);
    CHECK_EQ(wrmsr(c, 0x2ff, 0x1c06), EXC_GP);
    CHECK_EQ(wrmsr(c, 0x26f, 0x0606060606060606), -1);
    CHECK_EQ(wrmsr(c, 0x26f, 0x0606060606060602), EXC_GP);
    CHECK_EQ(wrmsr(c, 0xc0000082, 0x0000800000000000), EXC_GP);
    CHECK_EQ(wrmsr(c, 0xc0000100, 0xffff800000000000), -1);
    CHECK_EQ(c->seg[S_FS].base, 0xffff800000000000);
    CHECK_EQ(wrmsr(c, 0xc0000103, 1ull << 32), EXC_GP);
    CHECK_EQ(rdmsr(c, 0x12345678), 0xbad);
    CHECK_EQ(c->exc_err, 0);
    CHECK_EQ(rdmsr(c, 0x1a0), 0xbad); // Intel's
    m->tsc = 1000;
    CHECK_EQ(rdmsr(c, 0x10), 1000);
    CHECK_EQ(wrmsr(c, 0x10, 5000), -1);
    CHECK_EQ(rdmsr(c, 0x3b), 4000); // vol. 3 17.17.3
    m->tsc = 1100;
    CHECK_EQ(rdmsr(c, 0x10), 5100);
    c->cpl = 3;
    CHECK_EQ(rdmsr(c, 0x10), 0xbad);
    machine_free(m);
    m = machine_new("486");
    CHECK_EQ(rdmsr(m->c, 0xc0000080), 0xbad);
    machine_free(m);
}

// vol. 3 2.5, 4.1.2, 9.8.5
static void control_registers(void)
{
    struct machine *m = machine_protected("max");
    struct cpu *c = m->c;
    u32 pe = CR0_PE | CR0_ET | CR0_NE;
    RAISES(c, sys_write_cr(c, 0, CR0_PG | CR0_ET), EXC_GP, 0); // PG without PE
    RAISES(c, sys_write_cr(c, 0, pe | CR0_NW), EXC_GP, 0);     // NW without CD
    RAISES(c, sys_write_cr(c, 0, 1ull << 32 | pe), EXC_GP, 0);
    RAISES(c, sys_write_cr(c, 4, CR4_LA57), EXC_GP, 0);
    RAISES(c, sys_write_cr(c, 4, CR4_PCIDE), EXC_GP, 0); // not in long mode
    CHECK_EQ(TRY(c, sys_write_cr(c, 1, 0)), EXC_UD);
    CHECK_EQ(TRY(c, sys_read_cr(c, 5)), EXC_UD);
    RUNS(c, sys_write_cr(c, 0, CR0_PE));
    CHECK_EQ(c->cr0, CR0_PE | CR0_ET); // ET is hard-wired
    CHECK_EQ(wrmsr(c, 0xc0000080, EFER_LME | 2), EXC_GP);
    CHECK_EQ(wrmsr(c, 0xc0000080, EFER_LME), -1);
    RAISES(c, sys_write_cr(c, 0, pe | CR0_PG), EXC_GP, 0); // LME without PAE
    machine_free(m);

    m = machine_long("max");
    c = m->c;
    CHECK(c->efer & EFER_LMA);
    CHECK_EQ(wrmsr(c, 0xc0000080, EFER_SCE), EXC_GP); // LME while paging
    CHECK_EQ(wrmsr(c, 0xc0000080, EFER_LME | EFER_SCE | EFER_NXE), -1);
    CHECK(c->efer & EFER_LMA);
    RAISES(c, sys_write_cr(c, 0, pe), EXC_GP, 0); // paging off in 64-bit code
    RAISES(c, sys_write_cr(c, 4, 0), EXC_GP, 0);  // PAE off
    RAISES(c, sys_write_cr(c, 3, 1ull << 41), EXC_GP, 0);
    RAISES(c, sys_write_cr(c, 3, PML4 | 1ull << 63), EXC_GP, 0); // bit 63 without PCIDE
    RUNS(c, sys_write_cr(c, 3, PML4 | 0x18));
    RAISES(c, sys_write_cr(c, 4, CR4_PAE | CR4_PCIDE), EXC_GP, 0); // CR3[11:0] not 0
    RUNS(c, sys_write_cr(c, 3, PML4));
    RUNS(c, sys_write_cr(c, 4, CR4_PAE | CR4_PCIDE));
    RUNS(c, sys_write_cr(c, 3, PML4 | 5 | 1ull << 63));
    CHECK_EQ(c->cr3, PML4 | 5);
    RAISES(c, sys_write_cr(c, 8, 16), EXC_GP, 0);
    RUNS(c, sys_write_cr(c, 4, CR4_PAE));
    RUNS(c, far_jmp(c, K_CS, 0x7000, 4)); // leave through compatibility mode
    RUNS(c, sys_write_cr(c, 0, pe));
    CHECK(!(c->efer & EFER_LMA));
    c->cpl = 3;
    RAISES(c, sys_write_cr(c, 0, pe), EXC_GP, 0);
    machine_free(m);
}

// Table choice: vol. 3 4.6 (SMAP), 6.15 (#AC).
static void tlb_choice(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    CHECK(c->tlb == &c->tlbs[TLBSET_KERNEL]);
    RUNS(c, sys_write_cr(c, 4, CR4_PAE | CR4_SMAP));
    CHECK(c->tlb == &c->tlbs[TLBSET_KERNEL_NOUSER]);
    RUNS(c, sys_set_eflags(c, FL_AC, FL_AC));
    CHECK(c->tlb == &c->tlbs[TLBSET_KERNEL]);
    c->cpl = 3;
    cpu_update_mode(c);
    CHECK(c->tlb == &c->tlbs[TLBSET_USER]);
    c->cr0 |= CR0_AM;
    cpu_update_mode(c);
    CHECK(c->tlb == &c->tlbs[TLBSET_NONE]);
    RAISES(c, mem_load(c, S_DS, 0x7001, 4), EXC_AC, 0);
    machine_free(m);
}

// INVLPG drops the whole 4 MB page that holds the address (vol. 3 4.10.4.1), and nothing of the others: what was cached
// by linear address for the kernel stays good. 32-bit kernels map all low memory by such pages.
static void invlpg_large(void)
{
    struct machine *m = machine_protected("pentium3");
    struct cpu *c = m->c;
    poke(m, 0x200000, 0x183, 4);        // 0 to 4 MB: global, 4 MB
    poke(m, 0x200000 + 4, 0x201003, 4); // then a page table
    poke(m, 0x201000, 0x9003, 4);
    for (u32 i = 0; i < 1024; i++) poke(m, 0x202000 + 4 * i, (i << 12) | 3, 4);
    poke(m, 0x202000 + 4 * 8, 0xa003, 4);
    poke(m, 0x8000, 1, 4);
    poke(m, 0xa000, 2, 4);
    RUNS(c, sys_write_cr(c, 3, 0x200000));
    RUNS(c, sys_write_cr(c, 4, CR4_PSE | CR4_PGE));
    RUNS(c, sys_write_cr(c, 0, c->cr0 | CR0_PG));
    volatile u64 v = 0;
    RUNS(c, v = mem_load(c, S_DS, 0x8000, 4));
    CHECK_EQ(v, 1);
    RUNS(c, v = mem_load(c, S_DS, 0x400000, 4));
    CHECK_EQ(tlb_fetch(c, 0x7000, NULL), 0x7000);
    CHECK(c->fetch_global);
    u32 gen = c->tlb_gen_global;
    tlb_flush_page(c, 0x400000);
    CHECK_EQ(c->tlb_gen_global, gen);
    poke(m, 0x200000, 0x202003, 4);
    tlb_flush_page(c, 0x3ff000);
    CHECK(c->tlb_gen_global != gen);
    RUNS(c, v = mem_load(c, S_DS, 0x8000, 4));
    CHECK_EQ(v, 2);
    machine_free(m);
}

// Save, load into another machine, save: the same bytes.
static void saved_state(void)
{
    struct machine *a = machine_long("max"), *b = machine_new("max");
    struct buf one = {0}, two = {0}, text = {0};
    a->c->eflags |= FL_IF;
    a->c->vec[3].q[1] = 0x1234;
    a->c->seg[S_GS].base = 0xffff888000000000;
    struct state s = {.mode = STATE_SAVE, .out = &one};
    parts_state(&a->bus.parts, &s);
    struct state l = {.mode = STATE_LOAD, .in = one.data, .len = one.len};
    parts_state(&b->bus.parts, &l);
    CHECK_STR(l.err.msg, "");
    struct state t = {.mode = STATE_SAVE, .out = &two};
    parts_state(&b->bus.parts, &t);
    CHECK(one.len == two.len && !memcmp(one.data, two.data, one.len));
    CHECK(cpu_code64(b->c));
    CHECK_EQ(b->c->mode, a->c->mode);
    cpu_dump(b->c, &text);
    CHECK(strstr(buf_text(&text), "RIP=0000000000007000 RFL=00000202 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0"));
    CHECK(strstr(buf_text(&text), "CS =0028 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]"));
    buf_free(&one), buf_free(&two), buf_free(&text);
    machine_free(a), machine_free(b);
}

// vol. 3 table 9-1
static void reset_state(void)
{
    struct machine *m = machine_long("max");
    struct cpu *c = m->c;
    c->mxcsr = 0x1fa0;
    c->lstar = 5;
    cpu_init_signal(c);
    CHECK_EQ(c->gpr[R_RIP], 0xfff0);
    CHECK_EQ(c->seg[S_CS].base, 0xffff0000);
    CHECK_EQ(c->mode & ~(MODE_FLAT | MODE_TLB | MODE_X87 | MODE_SSE), MODE_16);
    CHECK_EQ(c->eflags, 2);
    CHECK_EQ(c->dr[6], 0xffff0ff0);
    CHECK_EQ(c->mxcsr, 0x1fa0); // INIT leaves SSE and MSRs
    CHECK_EQ(c->lstar, 5);
    cpu_reset(c);
    CHECK_EQ(c->cr0, 0x60000010);
    CHECK_EQ(c->mxcsr, 0x1f80);
    CHECK_EQ(c->lstar, 0);
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(parsing),    TEST(leaves),       TEST(topology),    TEST(msrs),       TEST(control_registers),
        TEST(tlb_choice), TEST(invlpg_large), TEST(saved_state), TEST(reset_state)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
