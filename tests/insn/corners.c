// SPDX-License-Identifier: MIT
// What no other suite reaches (make coverage): instructions whose result is the system's own, CPUID's rarer leaves and
// the model's options, legacy SYSCALL, stacks of 16 bits, compatibility-mode interrupts without a change of level.
// Expected values from the SDM, the AMD APM where it says so; sections at each test.
#include "interp/interp.h"
#include "mem/base/buf.h"
#include "mem/state.h"
#include "tests/insn/machine.h"

// One instruction at 7000h by the interpreter: the exception, -1 none.
static int exec_bytes(struct machine *m, const u8 *p, unsigned n)
{
    struct cpu *c = m->c;
    memcpy(m->ram->host + 0x7000, p, n);
    c->engine->invalidate(c, 0x7000, 16);
    c->gpr[R_RIP] = 0x7000;
    c->attn = 0;
    return TRY(c, c->engine->step(c));
}
#define EXEC(m, ...) exec_bytes(m, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static struct machine *long_engine(const char *model)
{
    struct machine *m = machine_long(model);
    m->c->engine = &interp_engine;
    m->c->engine_data = interp_engine.create(m->c);
    return m;
}

// vol. 2 RDPMC, RDRAND, RDSEED
static u64 some_random(void *o, unsigned cpu) { return 0x1122334455667788; }
static void own_results(void)
{
    struct machine *m = long_engine("max");
    struct cpu *c = m->c;
    c->gpr[R_RCX] = 0;
    CHECK_EQ(EXEC(m, 0x0f, 0x33), -1);
    CHECK_EQ(c->gpr[R_RAX] >> 32, 0);
    c->gpr[R_RCX] = 4; // four counters, vol. 3 18.2.1
    CHECK_EQ(EXEC(m, 0x0f, 0x33), EXC_GP);
    c->gpr[R_RCX] = 0;
    c->cpl = 3;
    CHECK_EQ(EXEC(m, 0x0f, 0x33), EXC_GP);
    c->cr4 |= CR4_PCE;
    CHECK_EQ(EXEC(m, 0x0f, 0x33), -1);
    c->cpl = 0;
    static const u8 op[] = {0xf0, 0xf8}; // RDRAND /6, RDSEED /7
    for (unsigned k = 0; k < 2; k++) {
        c->pins.random = NULL; // nothing to give: CF 0, destination 0
        c->gpr[R_RAX] = ~0ull;
        CHECK_EQ(EXEC(m, 0x48, 0x0f, 0xc7, op[k]), -1);
        CHECK_EQ(c->gpr[R_RAX], 0);
        CHECK_EQ(flags_get(c) & FL_ARITH, 0);
        c->pins.random = some_random;
        CHECK_EQ(EXEC(m, 0x48, 0x0f, 0xc7, op[k]), -1);
        CHECK_EQ(c->gpr[R_RAX], 0x1122334455667788);
        CHECK_EQ(flags_get(c) & FL_ARITH, FL_CF);
        CHECK_EQ(EXEC(m, 0x0f, 0xc7, op[k]), -1);
        CHECK_EQ(c->gpr[R_RAX], 0x55667788);
        c->gpr[R_RAX] = ~0ull;
        CHECK_EQ(EXEC(m, 0x66, 0x0f, 0xc7, op[k]), -1);
        CHECK_EQ(c->gpr[R_RAX], 0xffffffffffff7788);
    }
    machine_free(m);
}

// vol. 2 XSETBV, XGETBV; vol. 1 13.3
static void xcr0(void)
{
    struct machine *m = long_engine("max,+xsave");
    struct cpu *c = m->c;
    c->gpr[R_RCX] = c->gpr[R_RDX] = 0, c->gpr[R_RAX] = 3;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd1), EXC_UD); // CR4.OSXSAVE
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd0), EXC_UD);
    RUNS(c, sys_write_cr(c, 4, c->cr4 | CR4_OSXSAVE));
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd1), -1);
    c->gpr[R_RAX] = 2; // the x87's bit cannot be cleared
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd1), EXC_GP);
    c->gpr[R_RAX] = 0xb; // a part that is not there
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd1), EXC_GP);
    c->gpr[R_RAX] = 3, c->gpr[R_RCX] = 1;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd1), EXC_GP);
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd0), EXC_GP);
    c->gpr[R_RCX] = 0, c->gpr[R_RDX] = ~0ull;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xd0), -1);
    CHECK_EQ(c->gpr[R_RAX], 3);
    CHECK_EQ(c->gpr[R_RDX], 0);
    // XRSTOR of a part that XSTATE_BV says is initial (vol. 1 13.6)
    c->fpu.fcw = 0x27f, c->fpu.tags = 0xff;
    c->gpr[R_RDI] = 0x6000, c->gpr[R_RAX] = 3, c->gpr[R_RDX] = 0;
    memset(m->ram->host + 0x6000, 0x11, 512);
    memset(m->ram->host + 0x6200, 0, 64);
    poke(m, 0x6000 + 24, 0x1f80, 4);
    CHECK_EQ(EXEC(m, 0x0f, 0xae, 0x2f), -1);
    CHECK_EQ(c->fpu.fcw, 0x37f);
    CHECK_EQ(c->fpu.tags, 0);
    CHECK_EQ(c->vec[0].q[0], 0);
    machine_free(m);
}

// vol. 2 INVPCID; vol. 4 IA32_TSC_ADJUST (vol. 3 17.17.3)
static void mappings_and_time(void)
{
    struct machine *m = long_engine("max,+pcid,+invpcid,+tsc_adjust");
    struct cpu *c = m->c;
    u64 tsc;
    RUNS(c, sys_write_cr(c, 4, c->cr4 | CR4_PCIDE));
    poke(m, 0x6000, 0, 8);
    poke(m, 0x6008, 0x200010, 8);
    poke(m, 0x200010, 0x11, 1);
    poke(m, 0x000010, 0x22, 1);
    CHECK_EQ(TRY(c, CHECK_EQ(mem_load(c, S_DS, 0x200010, 1), 0x11)), -1);
    poke(m, PDIR + 8, 0x87, 8); // to the first 2 MB
    c->gpr[R_RDI] = 0x6000, c->gpr[R_RAX] = 0;
    CHECK_EQ(EXEC(m, 0x66, 0x0f, 0x38, 0x82, 0x07), -1);
    CHECK_EQ(TRY(c, CHECK_EQ(mem_load(c, S_DS, 0x200010, 1), 0x22)), -1);
    c->gpr[R_RAX] = 4;
    CHECK_EQ(EXEC(m, 0x66, 0x0f, 0x38, 0x82, 0x07), EXC_GP);
    c->gpr[R_RAX] = 0;
    poke(m, 0x6008, 1ull << 47, 8); // not canonical
    CHECK_EQ(EXEC(m, 0x66, 0x0f, 0x38, 0x82, 0x07), EXC_GP);
    m->tsc = 1000;
    c->gpr[R_RCX] = 0x10;
    CHECK_EQ(EXEC(m, 0x0f, 0x32), -1);
    tsc = c->gpr[R_RAX] | c->gpr[R_RDX] << 32;
    c->gpr[R_RCX] = 0x3b, c->gpr[R_RAX] = 5000, c->gpr[R_RDX] = 0;
    CHECK_EQ(EXEC(m, 0x0f, 0x30), -1);
    c->gpr[R_RCX] = 0x10;
    CHECK_EQ(EXEC(m, 0x0f, 0x32), -1);
    CHECK_EQ((c->gpr[R_RAX] | c->gpr[R_RDX] << 32) - tsc, 5000);
    machine_free(m);
}

// vol. 2 MONITOR, MWAIT
static void monitor_wait(void)
{
    struct machine *m = long_engine("max,+monitor");
    struct cpu *c = m->c;
    c->gpr[R_RAX] = 0x6000, c->gpr[R_RCX] = c->gpr[R_RDX] = 0;
    c->eflags |= FL_IF;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xc8), -1);
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xc9), -1);
    CHECK_EQ(c->halt, CPU_HALTED);
    c->halt = CPU_RUNNING;
    c->gpr[R_RCX] = 1;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xc8), EXC_GP);
    c->gpr[R_RCX] = 2;
    CHECK_EQ(EXEC(m, 0x0f, 0x01, 0xc9), EXC_GP);
    machine_free(m);
}

// APM vol. 3 SYSCALL, SYSRET: legacy mode, where Intel has none.
static void legacy_syscall(void)
{
    struct machine *m = machine_protected_engine("max", &interp_engine);
    struct cpu *c = m->c;
    to_user(m);
    c->efer |= EFER_SCE;
    c->star = 0x00100008ull << 32 | 0x12345678;
    c->eflags = FL_R1 | FL_IF;
    CHECK_EQ(EXEC(m, 0x0f, 0x05), -1);
    CHECK_EQ(c->gpr[R_RCX], 0x7002);
    CHECK_EQ(c->gpr[R_RIP], 0x12345678);
    CHECK_EQ(c->cpl, 0);
    CHECK_EQ(c->seg[S_CS].sel, 0x08);
    CHECK_EQ(c->seg[S_SS].sel, 0x10);
    CHECK_EQ(c->seg[S_CS].limit, 0xffffffff);
    CHECK_EQ(c->eflags & (FL_IF | FL_VM | FL_RF), 0);
    c->gpr[R_RCX] = 0x7654321;
    CHECK_EQ(EXEC(m, 0x0f, 0x07), -1);
    CHECK_EQ(c->gpr[R_RIP], 0x7654321);
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->seg[S_CS].sel, 0x13);
    CHECK_EQ(c->seg[S_SS].sel & ~3, 0x18);
    CHECK_EQ(c->eflags & FL_IF, FL_IF);
    machine_free(m);
}

// vol. 3 5.8.5, 6.12: inner and outer stacks with B = 0 use SP.
static void narrow_stacks(void)
{
    struct machine *m = machine_protected_engine("max", &interp_engine);
    struct cpu *c = m->c;
    set_desc(m, SPARE, descriptor(0x20000, 0xffff, 0x0093));
    set_desc(m, SPARE + 8, descriptor(0x30000, 0xffff, 0x00f3));
    set_desc(m, SPARE + 16, gate(K_CS, 0x7100, 0xec, 0));
    poke(m, TSS + 4, 0x8000, 4);
    poke(m, TSS + 8, SPARE, 2);
    to_user(m);
    RUNS(c, seg_load(c, S_SS, (SPARE + 8) | 3));
    c->gpr[R_RSP] = 0x4000;
    CHECK_EQ(EXEC(m, 0x9a, 0, 0, 0, 0, (SPARE + 16) | 3, 0), -1); // CALL through the gate
    CHECK_EQ(c->cpl, 0);
    CHECK_EQ(c->gpr[R_RSP] & 0xffff, 0x7ff0);
    CHECK_EQ(peek(m, 0x20000 + 0x7ff0, 4), 0x7007);
    CHECK_EQ(peek(m, 0x20000 + 0x7ff4, 2), U_CS);
    CHECK_EQ(peek(m, 0x20000 + 0x7ff8, 4), 0x4000);
    CHECK_EQ(peek(m, 0x20000 + 0x7ffc, 2), (SPARE + 8) | 3);
    CHECK_EQ(EXEC(m, 0xcb), -1); // RETF
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->gpr[R_RSP] & 0xffff, 0x4000);
    CHECK_EQ(c->gpr[R_RIP], 0x7007);
    machine_free(m);
}

// vol. 3 6.14.2, 6.14.4: from compatibility mode at CPL 3 to 64-bit code at CPL 3: no new stack, aligned, SS:RSP
// pushed.
static void compatibility_interrupt(void)
{
    struct machine *m = long_engine("max");
    struct cpu *c = m->c;
    struct desc d;
    c->idt_limit = 0xfff;
    poke(m, IDT + 16 * 0x80, gate(U_CS64, 0x7100, 0xee, 0), 8);
    poke(m, IDT + 16 * 0x80 + 8, 0, 8);
    c->cpl = 3;
    seg_decode(&d, (u32)descriptor(0, 0xfffff, A_CODE3), descriptor(0, 0xfffff, A_CODE3) >> 32);
    seg_install(c, S_CS, U_CS, &d);
    RUNS(c, seg_load(c, S_SS, U_DS));
    c->gpr[R_RSP] = 0x900c;
    CHECK_EQ(EXEC(m, 0xcd, 0x80), -1);
    CHECK_EQ(c->cpl, 3);
    CHECK_EQ(c->gpr[R_RIP], 0x7100);
    CHECK_EQ(c->mode & MODE_CODE, MODE_64);
    CHECK_EQ(c->gpr[R_RSP], 0x9000 - 40);
    static const u64 want[] = {0x7002, U_CS};
    for (unsigned k = 0; k < 2; k++) CHECK_EQ(peek(m, 0x9000 - 40 + 8 * k, 8), want[k]);
    CHECK_EQ(peek(m, 0x9000 - 16, 8), 0x900c);
    CHECK_EQ(peek(m, 0x9000 - 8, 8), U_DS);
    machine_free(m);
}

// vol. 3 20.1.1, 9.9.2: what was null in protected mode can be used once real mode has loaded it.
static void real_mode_after_null(void)
{
    struct machine *m = machine_protected_engine("max", &interp_engine);
    struct cpu *c = m->c;
    RUNS(c, seg_load(c, S_FS, 0));
    RUNS(c, sys_write_cr(c, 0, c->cr0 & ~(u64)CR0_PE));
    RUNS(c, seg_load(c, S_FS, 0x1234));
    CHECK_EQ(c->seg[S_FS].base, 0x12340);
    CHECK_EQ(c->seg[S_FS].limit, 0xffff);
    poke(m, 0x12345, 0x5a, 1);
    CHECK_EQ(TRY(c, CHECK_EQ(mem_load(c, S_FS, 5, 1), 0x5a)), -1);
    machine_free(m);
}

// vol. 2 MASKMOVDQU: the bytes it would write are probed, round the end of the address space too.
static void masked_wrap(void)
{
    struct machine *m = long_engine("max");
    struct cpu *c = m->c;
    RUNS(c, sys_write_cr(c, 4, c->cr4 | CR4_OSFXSR));
    c->gpr[R_RDI] = 0xfffffff8;
    memset(c->vec[0].b, 0x77, 16), memset(c->vec[1].b, 0xff, 16);
    poke(m, 0, 0x11, 1);
    CHECK_EQ(EXEC(m, 0x67, 0x66, 0x0f, 0xf7, 0xc1), EXC_PF); // absent below 4 GB
    CHECK_EQ(c->cr2, 0xfffffff8);
    CHECK_EQ(peek(m, 0, 1), 0x11);
    c->gpr[R_RDI] = 0xfffffffc;
    memset(c->vec[1].b, 0, 16);
    c->vec[1].b[3] = c->vec[1].b[4] = 0x80;
    CHECK_EQ(EXEC(m, 0x67, 0x66, 0x0f, 0xf7, 0xc1), EXC_PF);
    CHECK_EQ(c->cr2, 0xffffffff);
    CHECK_EQ(peek(m, 0, 1), 0x11);
    poke(m, PDPT + 8 * 3, 0x103007, 8); // the last 2 MB below 4 GB are there now
    poke(m, 0x103000 + 8 * 511, 0x200087, 8);
    CHECK_EQ(EXEC(m, 0x67, 0x66, 0x0f, 0xf7, 0xc1), -1);
    CHECK_EQ(peek(m, 0x3fffff, 1), 0x77);
    CHECK_EQ(peek(m, 0, 1), 0x77);
    CHECK_EQ(peek(m, 1, 1), 0);
    machine_free(m);
}

// vol. 2 CPUID leaves 4, 0Dh, 40000000h; APM vol. 3 8000001Dh
static void query(struct cpu *c, u32 leaf, u32 sub, u32 r[4])
{
    c->gpr[R_RAX] = leaf, c->gpr[R_RCX] = sub;
    sys_cpuid(c);
    r[0] = c->gpr[R_RAX], r[1] = c->gpr[R_RBX], r[2] = c->gpr[R_RCX], r[3] = c->gpr[R_RDX];
}
static void caches(const char *model, u32 leaf)
{
    static const u32 type[] = {1, 2, 3, 3}, level[] = {1, 1, 2, 3};
    struct machine *m = machine_new(model);
    u32 r[4], last = 0;
    for (u32 sub = 0; sub < 4; sub++) {
        query(m->c, leaf, sub, r);
        u32 line = (r[1] & 0xfff) + 1, parts = (r[1] >> 12 & 0x3ff) + 1, ways = (r[1] >> 22) + 1, sets = r[2] + 1;
        u32 size = line * parts * ways * sets;
        CHECK_EQ(r[0] & 31, type[sub]);
        CHECK_EQ(r[0] >> 5 & 7, level[sub]);
        CHECK_EQ(line, 64);
        CHECK_EQ(size & (size - 1), 0);
        CHECK(sub == 1 || size > last); // data and instructions alike, then larger by level
        last = size;
    }
    query(m->c, leaf, 4, r);
    CHECK_EQ(r[0] & 31, 0);
    machine_free(m);
}
static void cpuid_leaves(void)
{
    u32 r[4];
    caches("Westmere", 4);
    caches("max,+topoext,xlevel=0x8000001e", 0x8000001d);
    struct machine *m = machine_new("max,+xsave,+xsaveopt,+hypervisor,model-id=some processor");
    query(m->c, 0x40000000, 0, r);
    CHECK_EQ(r[0], 0x40000000);
    CHECK(!memcmp(r + 1, "doppeldoppel", 12));
    query(m->c, 0xd, 1, r);
    CHECK_EQ(r[0] & 1, 1);
    query(m->c, 0x80000002, 0, r);
    CHECK(!memcmp(r, "some processor\0\0", 16));
    machine_free(m);
    struct err e = {0};
    CHECK(!cpuid_model_parse("max,model-id=0123456789012345678901234567890123456789012345678", &e));
    CHECK(strstr(e.msg, "48"));
    e.msg[0] = 0;
    CHECK(!cpuid_model_parse("max,aes=perhaps", &e));
    CHECK(strstr(e.msg, "=on or =off"));
    free(cpuid_model_parse("max,check,enforce,aes", &e));
    CHECK_STR(cpuid_feat_name(FEAT_AES), "aes");
    CHECK_STR(cpuid_feat_name(FEAT_COUNT), "?");
}

// The log of interrupts (-d int), statistics, a saved state that contradicts itself.
static void around(void)
{
    struct machine *m = machine_protected_engine("max", &interp_engine);
    struct cpu *c = m->c;
    FILE *f = tmpfile();
    char line[200] = "";
    m->bus.log.out = f;
    m->bus.log.cats = 1u << LOG_INT;
    poke(m, IDT + 8 * 14, gate(K_CS, 0x12340, 0x8e, 0), 8);
    RUNS(c, int_deliver(c, 14, INT_FAULT, true, 0xabc));
    m->bus.log.cats = 0;
    rewind(f);
    CHECK(fgets(line, sizeof line, f) && strstr(line, "abc"));
    m->bus.log.out = stderr;
    fclose(f);
    struct buf text = {0}, image = {0};
    interp_engine.info(c, &text);
    CHECK(strstr(buf_text(&text), "blocks"));
    struct part *p = parts_find(&m->bus.parts, "cpu0");
    struct state save = {.mode = STATE_SAVE, .out = &image};
    struct mmu_result w = mmu_walk(c, 0x12345678, ACC_READ, false, false); // no paging
    CHECK_EQ(w.pa, 0x12345678);
    CHECK(w.writable && w.user);
    u64 cr0 = c->cr0;
    c->cr0 = CR0_PG; // without PE
    p->ops->state(&save, p->self);
    c->cr0 = cr0;
    struct state load = {.mode = STATE_LOAD, .in = image.data, .len = image.len};
    p->ops->state(&load, p->self);
    CHECK(strstr(load.err.msg, "contradict"));
    buf_free(&text);
    buf_free(&image);
    machine_free(m);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(own_results),
                                              TEST(xcr0),
                                              TEST(mappings_and_time),
                                              TEST(monitor_wait),
                                              TEST(legacy_syscall),
                                              TEST(narrow_stacks),
                                              TEST(compatibility_interrupt),
                                              TEST(real_mode_after_null),
                                              TEST(masked_wrap),
                                              TEST(cpuid_leaves),
                                              TEST(around)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
