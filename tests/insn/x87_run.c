// SPDX-License-Identifier: MIT
// The x87 inside a running processor: real-mode programs through cpu_run(), errors by INT 10h and by FERR# and IRQ 13,
// #NM, images with real-mode pointers, a sum over a loop.
#include "tests/check.h"
#include "cpu/cpuid.h"
#include "cpu/fpu/x87.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "interp/interp.h"
#include "mem/base/err.h"
#include "mem/bus.h"
#include "mem/phys.h"

enum { CODE = 0x1000, HANDLER = 0x2000, DATA = 0x3000 };

static struct {
    struct bus bus;
    struct ram *ram;
    struct cpu *c;
    struct cpu_model *model;
    unsigned ferr_edges;
} m;

// What the PC does with FERR#: IRQ 13, vector 75h in a BIOS's set-up.
static void on_ferr(void *owner, unsigned cpu, int level)
{
    m.ferr_edges += level;
    cpu_set_intr(m.c, level);
}
static int on_inta(void *owner, unsigned cpu) { return 0x75; }

static void machine_open(const u8 *code, unsigned n, const u8 *handler, unsigned hn)
{
    struct err e = {0};
    struct cpu_pins pins = {.ferr = on_ferr, .inta = on_inta};
    memset(&m, 0, sizeof m);
    bus_init(&m.bus);
    m.ram = ram_new(&m.bus, "test", 1 << 20, &e);
    bus_map_ram(&m.bus, 0, 1 << 20, m.ram, 0, REGION_RW, 0, "test");
    m.model = cpuid_model_parse("max", &e);
    m.c = cpu_new(&m.bus, 0, m.model, &interp_engine, &pins);
    u8 *p = m.ram->host;
    memcpy(p + CODE, code, n);
    memcpy(p + HANDLER, handler, hn);
    static const u8 vectors[] = {0x07, 0x10, 0x75};
    for (unsigned k = 0; k < sizeof vectors; k++) st32(p + 4 * vectors[k], HANDLER);
    st16(p + DATA, 0x37B); // ZE unmasked
    // CS:IP = 0100:0000, so that linear addresses differ from offsets
    for (unsigned s = S_ES; s <= S_GS; s++) seg_load_real(m.c, s, s == S_CS ? CODE >> 4 : 0);
    m.c->gpr[R_RIP] = 0;
    m.c->gpr[R_RSP] = 0x8000;
    cpu_update_mode(m.c);
    cpu_run(m.c, 100000);
}
static void machine_close(void)
{
    // the CPU is a part on the bus and goes with it
    bus_free(&m.bus);
    free(m.model);
}
static u16 word(unsigned at) { return ld16(m.ram->host + at); }

// Notes the status word and the interrupted IP, clears the error, counts, returns.
static const u8 note_and_clear[] = {
    0x55,                   // push bp
    0x89, 0xE5,             // mov bp, sp
    0xDF, 0xE0,             // fnstsw ax
    0xA3, 0x10, 0x30,       // mov [3010h], ax
    0x8B, 0x46, 0x02,       // mov ax, [bp+2]
    0xA3, 0x12, 0x30,       // mov [3012h], ax
    0xDB, 0xE2,             // fnclex
    0xFF, 0x06, 0x14, 0x30, // inc word [3014h]
    0x5D, 0xCF,             // pop bp; iret
};

static void error_by_exception(void)
{
    static const u8 code[] = {
        0x0F, 0x20, 0xC0, 0x0C, 0x20, 0x0F, 0x22, 0xC0, // CR0.NE = 1
        0xDB, 0xE3,                                     // fninit
        0xD9, 0x2E, 0x00, 0x30,                         // fldcw [3000h]
        0xD9, 0xEE, 0xD9, 0xE8,                         // fldz; fld1
        0xD8, 0xF1,                                     // 12h: fdiv st, st1
        0x90,                                           // nop
        0x9B,                                           // 15h: fwait
        0xD9, 0x36, 0x20, 0x30,                         // fnstenv [3020h]
        0x66, 0xDD, 0x36, 0x40, 0x30,                   // fnsave [3040h], 32-bit
        0xF4,
    };
    machine_open(code, sizeof code, note_and_clear, sizeof note_and_clear);
    CHECK_EQ(m.c->halt, CPU_HALTED);
    CHECK_EQ(word(0x3014), 1);
    CHECK_EQ(word(0x3012), 0x15); // a fault: the waiting instruction's own address
    CHECK_EQ(word(0x3010), 0xB084);
    CHECK_EQ(m.ferr_edges, 0);
    // 16-bit image: linear address of FDIV, opcode D8 F1
    CHECK_EQ(word(0x3020), 0x37B);
    CHECK_EQ(word(0x3022), 0x3000);
    CHECK_EQ(word(0x3024), 0x4FFF); // R7 zero, R6 valid
    CHECK_EQ(word(0x3026), CODE + 0x12);
    CHECK_EQ(word(0x3028), 0x00F1);
    // 32-bit image, then the registers from ST(0) = 1
    CHECK_EQ(word(0x304C), CODE + 0x12);
    CHECK_EQ(ld32(m.ram->host + 0x3050), 0x00F1);
    CHECK_EQ(ld64(m.ram->host + 0x305C), 1ull << 63);
    CHECK_EQ(word(0x3064), 0x3FFF);
    CHECK_EQ(word(0x306E), 0);
    CHECK_EQ(m.c->fpu.fcw, 0x37F); // FNSAVE initializes
    CHECK_EQ(m.c->fpu.tags, 0);
    machine_close();
}

static void error_by_interrupt(void)
{
    static const u8 code[] = {
        0x0F, 0x20, 0xC0, 0x24, 0xDF, 0x0F, 0x22, 0xC0, // CR0.NE = 0
        0xFB,                                           // sti
        0xDB, 0xE3, 0xD9, 0x2E, 0x00, 0x30,             // fninit; fldcw [3000h]
        0xD9, 0xEE, 0xD9, 0xE8, 0xD8, 0xF1,             // fldz; fld1; fdiv st, st1
        0x8B, 0x1E, 0x14, 0x30,                         // mov bx, [3014h]
        0xD9, 0xE8,                                     // fld1
        0xDF, 0xE0,                                     // fnstsw ax
        0xFA, 0xF4,
    };
    machine_open(code, sizeof code, note_and_clear, sizeof note_and_clear);
    CHECK_EQ(m.c->halt, CPU_HALTED);
    CHECK_EQ(m.ferr_edges, 1);
    CHECK_EQ(word(0x3014), 1);
    CHECK_EQ(word(0x3010), 0xB084);
    CHECK_EQ((u16)m.c->gpr[R_RBX], 1); // before the next x87 instruction
    CHECK_EQ((u16)m.c->gpr[R_RAX], 0x2800);
    machine_close();
}

static void task_switched(void)
{
    static const u8 code[] = {
        0xDB, 0xE3,                                     // fninit
        0x0F, 0x20, 0xC0, 0x0C, 0x08, 0x0F, 0x22, 0xC0, // CR0.TS = 1
        0xD9, 0xE8,                                     // 0Ah: fld1
        0xD9, 0xE8, 0xF4,
    };
    static const u8 handler[] = {0x0F, 0x06, 0xFF, 0x06, 0x14, 0x30, 0xCF}; // clts; inc word [3014h]; iret
    machine_open(code, sizeof code, handler, sizeof handler);
    CHECK_EQ(m.c->halt, CPU_HALTED);
    CHECK_EQ(word(0x3014), 1);
    CHECK_EQ(x87_top(&m.c->fpu), 6);
    CHECK_EQ(m.c->fpu.tags, 0xC0);
    machine_close();
}

// 1/1000^2 + 1/999^2 + ... + 1, every step rounded to 64 bits: the value is a Zen 4's.
static void sum(void)
{
    static const u8 code[] = {
        0xDB, 0xE3, 0xD9, 0xEE, 0xB9, 0xE8, 0x03, // fninit; fldz; mov cx, 1000
        0x89, 0x0E, 0x00, 0x31,                   // mov [3100h], cx
        0xD9, 0xE8, 0xDF, 0x06, 0x00, 0x31,       // fld1; fild word [3100h]
        0xD8, 0xC8, 0xDE, 0xF9, 0xDE, 0xC1,       // fmul st, st; fdivp; faddp
        0xE2, 0xEE,                               // loop
        0xDB, 0x3E, 0x10, 0x31, 0xF4,             // fstp tbyte [3110h]
    };
    machine_open(code, sizeof code, note_and_clear, 0);
    CHECK_EQ(m.c->halt, CPU_HALTED);
    CHECK_EQ(word(0x3118), 0x3fff);
    CHECK_EQ(ld64(m.ram->host + 0x3110), 0xd26c72a854a3344e);
    CHECK_EQ(m.c->fpu.fsw & 0xFF, FX_PE);
    machine_close();
}

static const struct check_test tests[] = {
    TEST(error_by_exception),
    TEST(error_by_interrupt),
    TEST(task_switched),
    TEST(sum),
};
int main(int argc, char **argv) { return check_main(argc, argv, tests, ARRAY_LEN(tests)); }
