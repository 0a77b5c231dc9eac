// SPDX-License-Identifier: MIT
// Page faults of long mode: by accesses across two pages, and while an exception is delivered (stack, IDT,
// descriptors). Rights, tables and PCID are in paging64.c. SDM vol. 3 4.7, 6.14, 6.15.
#include "tests/insn/sys/sys.h"

#define WIN 0x0000008000000000ul // PML4 entry 1; tables of its own
enum { P = 1, RW = 2, US = 4 };
enum { E_P = 1, E_W = 2, E_U = 4 };
static u64 pdpt[512] PAGE_ALIGNED, pd[512] PAGE_ALIGNED, pt[512] PAGE_ALIGNED;
static u8 frame[2][4096] PAGE_ALIGNED;

static void flush(void) { wcr3(rcr3()); }
static void window(void)
{
    boot_pml4[1] = (ul)pdpt | P | RW | US;
    pdpt[0] = (ul)pd | P | RW | US;
    pd[0] = (ul)pt | P | RW | US;
    pt[0] = (ul)frame[0] | P | RW | US;
    pt[1] = (ul)frame[1] | P | RW | US;
    memset(frame[0], 0x90, 4096);
    memset(frame[1], 0x90, 4096);
    frame[0][0] = frame[1][0] = 0xcd; // INT 20h
    frame[0][1] = frame[1][1] = 0x20;
    flush();
}

CODE(rd8, "mov (%rbx),%rax");
CODE(wr8, "mov %rax,(%rbx)");
CODE(do_ud, "ud2");
CODE(do_int30, "int $0x30");

// ---- across pages

static void across(void)
{
    test("8 bytes across two pages", "vol. 3 4.7");
    static const struct {
        u64 e0, e1; // flags of the two
        u8 bad;     // 0: none, else the page that is reported
        u8 err_rd, err_wr;
    } t[] = {
        {P | RW | US, P | RW | US, 0, 0, 0},
        {P | RW | US, 0, 2, E_U, E_U | E_W},
        {0, P | RW | US, 1, E_U, E_U | E_W},
        {0, 0, 1, E_U, E_U | E_W},
        {P | RW | US, P | US, 2, 0xff, E_P | E_U | E_W},
        {P | US, P | RW | US, 1, 0xff, E_P | E_U | E_W},
        {P | RW | US, P | RW, 2, E_P | E_U, E_P | E_U | E_W},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        for (unsigned w = 0; w < 2; w++)
            for (unsigned off = 1; off < 8; off++) {
                window();
                pt[0] = (ul)frame[0] | t[i].e0;
                pt[1] = (ul)frame[1] | t[i].e1;
                flush();
                struct regs r = ring(3, w ? wr8 : rd8);
                r.bx = WIN + 4096 - off;
                r.ax = 0x1122334455667788;
                run(&r);
                u8 err = w ? t[i].err_wr : t[i].err_rd;
                if (!t[i].bad || err == 0xff) {
                    ends();
                    if (w) EQ("written", W64(WIN + 4096 - off), 0x1122334455667788);
                    continue;
                }
                event_is(PF, err, w ? wr8 : rd8);
                EQ("CR2", ev.cr2, t[i].bad == 1 ? WIN + 4096 - off : WIN + 4096);
                EQ("RAX", ev.r.ax, r.ax);
                EQ("nothing is written", frame[0][4095] << 8 | frame[1][2], 0x9090);
            }
}

// ---- faults in delivery

static u8 stack_ist[4096] PAGE_ALIGNED;
static void delivery(void)
{
    window();
    u64 rsp0 = tss.rsp[0];
    tss.ist[0] = (ul)stack_ist + 4096;
    test("#PF on the stack of ring 0: #PF by IST", "vol. 3 6.14.5, table 6-5");
    pt[1] = 0;
    flush();
    tss.rsp[0] = WIN + 8192;
    set_gate(PF, 0x8e, K_CS, 1);
    struct regs r = ring(3, do_ud);
    run(&r);
    event_is(PF, E_W, do_ud); // supervisor's write
    EQ("page of CR2", ev.cr2 & ~0xffful, WIN + 4096);
    EQ("CS", ev.r.cs, U_CS64);
    EQ("RSP", ev.r.sp, r.sp);
    test("#PF on the stack of ring 0, again for #PF: #DF", "vol. 3 table 6-5");
    set_gate(PF, 0x8e, K_CS, 0);
    set_gate(DF, 0x8e, K_CS, 1);
    run(&r);
    event_is(DF, 0, do_ud);
    test("the IDT's page absent", "vol. 3 6.15");
    tss.rsp[0] = rsp0;
    struct {
        u16 limit;
        u64 base;
    } PACKED i = {4095, WIN + 4096 - 0x300}, own = {4095, (ul)idt}; // gates from 30h on are on the second page
    memcpy(frame[0] + 4096 - 0x300, idt, 0x300);
    asm_("lidt %0" ::"m"(i));
    r = ring(3, do_int30);
    run(&r);
    asm_("lidt %0" ::"m"(own));
    event_is(PF, 0, do_int30); // a supervisor's read, whatever CPL
    EQ("CR2", ev.cr2 & ~0xful, WIN + 4096);
    test("the descriptor's page absent", "vol. 3 6.15, 4.6");
    extern u8 load_ldt_sel[];
    set_system_desc(SPARE, WIN + 4096 - 8, 0xfff, 0x82); // entry 0 on the first page, others on the second
    asm_("lldt %0" ::"r"((u16)SPARE));
    r = ring(3, load_ldt_sel);
    run(&r);
    event_is(PF, 0, load_ldt_sel + 5);
    EQ("CR2", ev.cr2 & ~7ul, WIN + 4096);
    asm_("lldt %0" ::"r"((u16)LDT_SEL));
    reset_tables();
}
CODE(load_ldt_sel, "mov $0xf,%eax\n mov %eax,%fs");

void test_main(void)
{
    across();
    delivery();
}
