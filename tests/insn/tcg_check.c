// SPDX-License-Identifier: MIT
// Lockstep must pass right code and find wrong code: here the translated code's constants are falsified under it.
#include "mem/base/buf.h"
#include "tests/insn/machine.h"
#if !defined(__x86_64__)
int main(void) { return printf("skip tcg_check: the host is not x86-64\n") < 0; }
#else
#include "tcg/tb/check.h"

enum { AT = 0x7000 };
static char first[8192];
static unsigned reports;
static void differ(const char *text)
{
    if (!reports++) snprintf(first, sizeof first, "%s", text);
}

static const struct tcg_config config = {
    .size = TCG_SIZE_MIN, .check = true, .differ = differ, .command = "doppel --again"};
static struct cpu_engine engine;

static struct machine *start(const u8 *code, unsigned n)
{
    engine = tcg_engine;
    engine.config = &config;
    struct machine *m = machine_protected_engine("max", &engine);
    memcpy(m->ram->host + AT, code, n);
    reports = 0;
    first[0] = 0;
    return m;
}

// A loop with stores, flags that live on, a call through a register, a string instruction, an exception at the end.
// clang-format off
static const u8 loop[] = {
    0xbe, 0, 0, 1, 0,                   // mov esi, 10000h
    0xb9, 0x44, 0x33, 0x22, 0x11,       // 7005: mov ecx, 11223344h
    0xc7, 6, 0x88, 0x77, 0x66, 0x55,    // mov dword [esi], 55667788h
    0x01, 0x0e,                         // add [esi], ecx
    0x11, 0xc8,                         // adc eax, ecx
    0x75, 1,                            // jnz + 1
    0x40,                               // inc eax
    0xbb, 0x30, 0x70, 0, 0,             // mov ebx, 7030h
    0xff, 0xd3,                         // call ebx
    0xbf, 0, 0, 2, 0,                   // mov edi, 20000h
    0xb9, 4, 0, 0, 0,                   // mov ecx, 4
    0xf3, 0xab,                         // rep stosd
    0xeb, 0xd9,                         // jmp 7005
    0x90, 0x90, 0x90, 0x90,
    0x8d, 0x52, 0x07,                   // 7030: lea edx, [edx + 7]
    0xc3};                              // ret
// clang-format on

static void windows(struct machine *m, unsigned *runs, unsigned *insns)
{
    struct buf b = {0};
    engine.info(m->c, &b);
    const char *line = strstr(buf_text(&b), "checked ");
    *runs = *insns = 0;
    CHECK(line && sscanf(line, "checked %u windows, %u", runs, insns) == 2);
    buf_free(&b);
}

static void agree(void)
{
    struct machine *m = start(loop, sizeof loop);
    unsigned runs, insns;
    CHECK_EQ(cpu_run(m->c, 20000), CPU_STOP_BUDGET);
    CHECK_EQ(reports, 0);
    CHECK_STR(first, "");
    CHECK_EQ(m->c->icount, 20000);
    windows(m, &runs, &insns);
    CHECK(runs >= 2 && insns == 20000);
    machine_free(m);
}

// Windows are long where all code has been checked for a while, and short behind any translation.
static void windows_grow(void)
{
    struct machine *m = start(loop, sizeof loop);
    unsigned runs, insns, before;
    cpu_run(m->c, 100000);
    windows(m, &before, &insns);
    cpu_run(m->c, 30 * CHECK_WINDOW);
    windows(m, &runs, &insns);
    CHECK(runs - before <= 40);
    tb_forget(m->bus.code_cache);
    before = runs;
    cpu_run(m->c, CHECK_WINDOW); // its first window is one of before
    cpu_run(m->c, CHECK_WINDOW);
    windows(m, &runs, &insns);
    CHECK(runs - before >= 4);
    CHECK_EQ(reports, 0);
    CHECK_STR(first, "");
    machine_free(m);
}

// Replaces a 32-bit constant in all of the translated code.
static bool falsify(struct machine *m, u32 from, u32 to)
{
    struct tcg *k = m->bus.code_cache;
    bool any = false;
    for (u32 at = k->code_first; at + 4 <= k->code_used; at++) {
        if (ld32(k->rw + at) != from) continue;
        st32(k->rw + at, to);
        any = true;
    }
    return any;
}

static void found(u32 constant, const char *what, const char *also)
{
    struct machine *m = start(loop, sizeof loop);
    cpu_run(m->c, 100);
    CHECK_EQ(reports, 0);
    CHECK(falsify(m, constant, constant ^ 0x100));
    for (unsigned i = 0; i < 20; i++) cpu_run(m->c, 100 + i); // the end of a window may hide what is written again soon
    CHECK(reports > 0);
    CHECK(strstr(first, what));
    CHECK(strstr(first, also));
    CHECK(strstr(first, "to see it again: doppel --again"));
    machine_free(m);
}

static void wrong_register(void) { found(0x11223344, "differ: ", "reference "); }
static void wrong_memory(void) { found(0x55667788, "differ: memory", "memory at 1000"); }
static void wrong_target(void) { found(0x7030, "differ: ", "IN: physical 7017"); }

// ---- what cannot be taken back happens once: a device that counts, a port, a store into the loop's own code
struct counter {
    u64 value, reads, writes, ins;
};
static u64 counter_read(void *dev, u64 off, unsigned size)
{
    struct counter *d = dev;
    d->reads++;
    return d->value += 0x1234567;
}
static void counter_write(void *dev, u64 off, u64 v, unsigned size)
{
    struct counter *d = dev;
    d->writes++;
    d->value ^= v;
}
static u64 counter_in(void *dev, u64 off, unsigned size)
{
    struct counter *d = dev;
    return ++d->ins;
}
static void protect(void *owner, u64 pa)
{
    struct machine *m = owner;
    tlb_protect(m->c, pa);
}
static void code_written(void *owner, u64 pa, u64 len)
{
    struct machine *m = owner;
    m->c->engine->invalidate(m->c, pa, len);
}

static const struct io_ops counter_ops = {.read = counter_read, .write = counter_write, .sizes = 4};
static const struct io_ops counter_port = {.read = counter_in, .sizes = 1};
enum { INSNS = 11, TURNS = 500 };
// clang-format off
static const u8 effects[] = {
    0xbe, 0, 0, 0x80, 0,                // mov esi, 800000h
    0x89, 0x06,                         // 7005: mov [esi], eax
    0x03, 0x06,                         // add eax, [esi]
    0x01, 0x06,                         // add [esi], eax
    0xe4, 0x80,                         // in al, 80h
    0x50, 0x59,                         // push eax; pop ecx
    0x89, 0x0d, 0x1c, 0x70, 0, 0,       // mov [701ch], ecx
    0x01, 0x05, 0x1c, 0x70, 0, 0,       // add [701ch], eax
    0xba, 0, 0, 0, 0,                   // mov edx, what is at 701c
    0x31, 0xd0,                         // xor eax, edx
    0xeb, 0xe1};                        // jmp 7005
// clang-format on

static void run_effects(struct machine *m, struct counter *d)
{
    *d = (struct counter){0};
    m->bus.hooks = (struct bus_hooks){m, NULL, protect, code_written};
    bus_map_mmio(&m->bus, 0x800000, PAGE_SIZE, &counter_ops, d, "counter", 0);
    bus_map_port(&m->bus, 0x80, 1, &counter_port, d, "counter");
    memcpy(m->ram->host + AT, effects, sizeof effects);
    CHECK_EQ(cpu_run(m->c, 1 + INSNS * TURNS), CPU_STOP_BUDGET);
}

static void effects_happen_once(void)
{
    struct counter d, want;
    struct machine *m = start(effects, sizeof effects), *ref = machine_protected_engine("max", &interp_engine);
    run_effects(ref, &want);
    run_effects(m, &d);
    CHECK_STR(first, "");
    CHECK_EQ(reports, 0);
    CHECK_EQ(d.reads, 2 * TURNS);
    CHECK_EQ(d.writes, 2 * TURNS);
    CHECK_EQ(d.ins, TURNS);
    CHECK_EQ(d.value, want.value);
    CHECK_EQ(m->c->gpr[R_RAX], ref->c->gpr[R_RAX]);
    CHECK_EQ(peek(m, 0x701c, 4), peek(ref, 0x701c, 4));
    machine_free(m);
    machine_free(ref);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(agree),        TEST(windows_grow), TEST(wrong_register),
                                              TEST(wrong_memory), TEST(wrong_target), TEST(effects_happen_once)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
#endif
