// SPDX-License-Identifier: MIT
// Ways to reset the machine, one after another; each boots this image again, which finds out by a note in RAM above the
// image how far it had come. SDM vol. 3 6.15 (#DF: shutdown), 9.1; the board: 8042 pulse, port 92h, port CF9h.
#include "tests/insn/sys/sys.h"

// The firmware leaves this place alone; RAM keeps what it holds through a reset.
#define NOTE  W32(0x3000000)
#define STATE W32(0x3000004)
#define MAGIC 0x600d0000u
static void no_idt(void)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED i = {0, 0};
    asm_("lidt %0\n int3" ::"m"(i));
}
// #DF's handler cannot be reached either: each gate is absent.
static void absent_gates(void)
{
    for (unsigned v = 0; v < 32; v++) set_gate(v, 0x0e, K_CS, 0);
    asm_("ud2");
}
// The stack of #DF by IST is nowhere.
static void no_stack(void)
{
    set_gate(UD, 0x0e, K_CS, 0);
    set_gate(NP, 0x0e, K_CS, 0);
    set_gate(DF, 0x8e, K_CS, 1);
    tss.ist[0] = 0x8000000000;
    asm_("ud2");
}
// The delivery of #DF fails in each way that delivery can: #GP, #NP, #SS, #PF (table 6-5: a fault during #DF is
// shutdown).
static void double_fault(u32 access, u32 sel, u64 ist)
{
    set_desc(SPARE, descriptor(0, 0xfffff, 0xa01b));
    set_gate(UD, 0x0e, K_CS, 0);
    set_gate(NP, 0x0e, K_CS, 0);
    set_gate(DF, access, sel, ist != 0);
    tss.ist[0] = ist;
    asm_("ud2");
}
static void df_absent(void) { double_fault(0x0e, K_CS, 0); }
static void df_no_gate(void) { double_fault(0x80, K_CS, 0); }
static void df_cs_null(void) { double_fault(0x8e, 0, 0); }
static void df_cs_data(void) { double_fault(0x8e, K_DS, 0); }
static void df_cs_absent(void) { double_fault(0x8e, SPARE, 0); }
static void df_not_canonical(void) { double_fault(0x8e, K_CS, 0x800000000000); }
// A page fault that cannot be delivered, twice.
static void page_faults(void)
{
    set_gate(PF, 0x8e, K_CS, 1);
    set_gate(DF, 0x8e, K_CS, 1);
    tss.ist[0] = 0x8000000000;
    W8(0x8000000000);
}
static void kbd(void) { outb(0x64, 0xfe); }
static void port92(void)
{
    u8 v = inb(0x92);
    outb(0x92, v & 0xfe);
    outb(0x92, v | 1);
}
static void portcf9(void)
{
    outb(0xcf9, 2);
    outb(0xcf9, 6);
}
static const struct {
    const char *name, *section;
    void (*fn)(void);
} ways[] = {
    {"triple fault, no IDT", "vol. 3 6.15", no_idt},
    {"triple fault, gates absent", "vol. 3 6.15", absent_gates},
    {"triple fault, no stack for #DF", "vol. 3 6.15", no_stack},
    {"triple fault, #DF's gate absent", "vol. 3 table 6-5", df_absent},
    {"triple fault, #DF's gate is none", "vol. 3 table 6-5", df_no_gate},
    {"triple fault, #DF's CS null", "vol. 3 table 6-5", df_cs_null},
    {"triple fault, #DF's CS no code", "vol. 3 table 6-5", df_cs_data},
    {"triple fault, #DF's CS absent", "vol. 3 table 6-5", df_cs_absent},
    {"triple fault, #DF's stack not canonical", "vol. 3 table 6-5", df_not_canonical},
    {"triple fault, #PF in #PF in #DF", "vol. 3 table 6-5", page_faults},
    {"8042 command FEh", "PC/AT Technical Reference, 8042", kbd},
    {"port 92h, bit 0", "PIIX3 datasheet 2.5.6", port92},
    {"port CF9h", "PIIX3 datasheet 2.5.8, reset control", portcf9},
};

void test_main(void)
{
    u32 next = NOTE - MAGIC;
    if (next > ARRAY_LEN(ways)) next = 0;
    if (next) {
        // It worked: the state is that of a start.
        test(ways[next - 1].name, ways[next - 1].section);
        EQ("came this far", STATE, next);
        EQ("APIC base", rdmsr(0x1b), 0xfee00900);
        EQ("FS base", rdmsr(0xc0000100), 0);
        EQ("KERNEL_GS base", rdmsr(0xc0000102), 0);
        EQ("LSTAR", rdmsr(0xc0000082), 0);
        EQ("DR0", rdr0(), 0);
        EQ("EFER.SCE", rdmsr(MSR_EFER) & 1, 0);
    }
    if (next == ARRAY_LEN(ways)) {
        NOTE = 0;
        return;
    }
    test(NULL, NULL); // ends the test before: it is reported now
    NOTE = MAGIC + next + 1;
    STATE = next + 1;
    wrmsr(0xc0000100, 0x1234);
    wrmsr(0xc0000102, 0x1234);
    wrmsr(0xc0000082, 0x1234);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
    wdr0(0x1234);
    ways[next].fn();
    for (u32 i = 0; i < 100000; i++) inb(0x80);
    test(ways[next].name, ways[next].section);
    EQ("does nothing", 1, 0);
    NOTE = 0;
}
