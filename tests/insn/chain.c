// SPDX-License-Identifier: MIT
// Blocks that run on into each other, seen from outside: the stack stays bounded, slices end exactly, changed code is
// noticed, one block serves two instruction pointers, interrupts come between any two blocks.
#include <pthread.h>
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/bus.h"
#include "mem/phys.h"
#include "tests/check.h"

enum { CODE = 0x1000, HANDLER = 0x2000, DATA = 0x3000 };

static struct {
    struct bus bus;
    struct ram *ram;
    struct cpu *c;
    struct cpu_model *model;
} m;

static int on_inta(void *owner, unsigned cpu)
{
    cpu_set_intr(m.c, 0);
    return 0x20;
}

static void protect(void *owner, u64 pa) { tlb_protect(m.c, pa); }
static void code_written(void *owner, u64 pa, u64 len) { m.c->engine->invalidate(m.c, pa, len); }

static void machine_open(const u8 *code, unsigned n)
{
    struct err e = {0};
    struct cpu_pins pins = {.inta = on_inta};
    bus_init(&m.bus);
    m.bus.hooks.protect = protect;
    m.bus.hooks.code_written = code_written;
    m.ram = ram_new(&m.bus, "test", 1 << 20, &e);
    bus_map_ram(&m.bus, 0, 1 << 20, m.ram, 0, REGION_RW, 0, "test");
    m.model = cpuid_model_parse("max", &e);
    m.c = cpu_new(&m.bus, 0, m.model, &interp_engine, &pins);
    memcpy(m.ram->host + CODE, code, n);
    st32(m.ram->host + 4 * 0x20, HANDLER);
    for (unsigned s = S_ES; s <= S_GS; s++) seg_load_real(m.c, s, s == S_CS ? CODE >> 4 : 0);
    m.c->gpr[R_RIP] = 0;
    m.c->gpr[R_RSP] = 0x8000;
    cpu_update_mode(m.c);
}
static void machine_close(void)
{
    bus_free(&m.bus);
    free(m.model);
    memset(&m, 0, sizeof m);
}

// Three blocks a turn, one of them entered by a call; ends in JMP $.
static const u8 counting[] = {
    0x31, 0xC0,                // 00: xor ax, ax
    0x31, 0xC9,                // 02: xor cx, cx
    0xE8, 0x08, 0x00,          // 04: call 0Fh
    0x40,                      // 07: inc ax
    0x49,                      // 08: dec cx
    0x75, 0xF9,                // 09: jnz 04h
    0xEB, 0xFE,                // 0B: jmp $
    0x90, 0x90,                // 0D
    0x83, 0x06, 0,    0x30, 1, // 0F: add word [3000h], 1
    0x74, 0x01,                // 14: jz 17h
    0x43,                      // 16: inc bx
    0xC3,                      // 17: ret
};

static void *count_on_thread(void *arg)
{
    *(enum cpu_stop *)arg = cpu_run(m.c, 9 * 65536);
    return NULL;
}

// 65536 turns, 250,000 blocks, on 128 KB of stack: less than a byte for each.
static void bounded_stack(void)
{
    machine_open(counting, sizeof counting);
    pthread_attr_t a;
    pthread_t t;
    enum cpu_stop why = CPU_STOP_EXIT;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 128 << 10);
    CHECK_EQ(pthread_create(&t, &a, count_on_thread, &why), 0);
    pthread_join(t, NULL);
    pthread_attr_destroy(&a);
    CHECK_EQ(why, CPU_STOP_BUDGET);
    CHECK_EQ(m.c->gpr[R_RAX] & 0xffff, 0);
    CHECK_EQ(m.c->gpr[R_RBX] & 0xffff, 0xffff); // all turns but the one that wraps
    CHECK_EQ(m.c->gpr[R_RIP], 0x0B);
    CHECK_EQ(m.c->icount, 9 * 65536);
    machine_close();
}

// Whatever the slices, the same instructions have run at their ends.
static void exact_slices(void)
{
    static u64 rip[400], ax[400];
    machine_open(counting, sizeof counting);
    for (int k = 0; k < 400; k++) {
        cpu_run(m.c, 1);
        CHECK_EQ(m.c->icount, k + 1);
        rip[k] = m.c->gpr[R_RIP];
        ax[k] = m.c->gpr[R_RAX];
    }
    machine_close();
    for (int len = 2; len <= 40; len++) {
        machine_open(counting, sizeof counting);
        for (int k = len; k <= 400; k += len) {
            cpu_run(m.c, len);
            CHECK_EQ(m.c->icount, k);
            CHECK_EQ(m.c->gpr[R_RIP], rip[k - 1]);
            CHECK_EQ(m.c->gpr[R_RAX], ax[k - 1]);
        }
        machine_close();
    }
}

// A block writes into the one that follows, every time.
static void changed_code(void)
{
    static const u8 code[] = {
        0x31, 0xC0,                   // 00: xor ax, ax
        0xB9, 0x64, 0x00,             // 02: mov cx, 100
        0x2E, 0x88, 0x0E, 0x0E, 0x00, // 05: mov cs:[000Eh], cl
        0xEB, 0x01,                   // 0A: jmp 0Dh
        0x90,                         // 0C
        0x04, 0x00,                   // 0D: add al, imm8
        0x80, 0xD4, 0x00,             // 0F: adc ah, 0
        0x49,                         // 12: dec cx
        0x75, 0xF0,                   // 13: jnz 05h
        0xEB, 0xFE,                   // 15: jmp $
    };
    machine_open(code, sizeof code);
    cpu_run(m.c, 2000);
    CHECK_EQ(m.c->gpr[R_RAX] & 0xffff, 5050);
    machine_close();
}

// The same bytes at 0100:0000 and at 0000:1000: return addresses are those of the pointer in use.
static void two_pointers(void)
{
    static const u8 code[] = {
        0xE8, 0x05, 0x00,             // 00: call 08h
        0xEB, 0xFB,                   // 03: jmp 00h
        0x90, 0x90, 0x90,             // 05
        0x8B, 0xEC, 0x8B, 0x46, 0x00, // 08: mov bp, sp; mov ax, [bp]
        0xC3,                         // 0D: ret
    };
    machine_open(code, sizeof code);
    for (int k = 0; k < 4; k++) {
        seg_load_real(m.c, S_CS, k & 1 ? 0 : CODE >> 4);
        m.c->gpr[R_RIP] = k & 1 ? CODE : 0;
        cpu_update_mode(m.c);
        m.c->gpr[R_RAX] = 0;
        cpu_run(m.c, 5 * 50);
        CHECK_EQ(m.c->gpr[R_RAX] & 0xffff, k & 1 ? CODE + 3 : 3);
        CHECK_EQ(m.c->gpr[R_RIP], k & 1 ? CODE : 0);
    }
    machine_close();
}

// INTR is seen after any number of instructions of a loop that is at full speed; the interrupted IP is exact.
static void interrupts(void)
{
    static const u8 handler[] = {
        0x55, 0x89, 0xE5, // push bp; mov bp, sp
        0x8B, 0x56, 0x02, // mov dx, [bp+2]
        0x5D, 0xCF,       // pop bp; iret
    };
    machine_open(counting, sizeof counting);
    memcpy(m.ram->host + HANDLER, handler, sizeof handler);
    m.c->eflags |= FL_IF;
    for (int k = 0; k < 200; k++) {
        cpu_run(m.c, 1000 + k);
        u64 rip = m.c->gpr[R_RIP];
        cpu_set_intr(m.c, 1);
        cpu_run(m.c, 5);
        CHECK_EQ(m.c->gpr[R_RDX] & 0xffff, rip);
        CHECK_EQ(m.c->gpr[R_RIP], rip);
    }
    machine_close();
}

static const struct check_test tests[] = {
    TEST(bounded_stack), TEST(exact_slices), TEST(changed_code), TEST(two_pointers), TEST(interrupts),
};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
