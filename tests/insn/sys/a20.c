// SPDX-License-Identifier: MIT
// The A20 line: bit 20 of physical addresses, masked by port 92h together with the keyboard controller's output port,
// for data, page tables' targets and fetches. SDM vol. 3 8.7.13.4 (A20M#).
#include "tests/insn/sys/pages.h"

enum { WINDOW = 0x40000000 };
// The code runs below 1 MB, as the image's own megabyte moves away.

// ebx: 8000h's content by 108000h; ecx, edx: 2 MB and 3 MB. Port 92h and the keyboard controller both hold the line.
#define WAIT   "1: in $0x64,%al\n test $2,%al\n jnz 1b\n"
#define KBC(v) WAIT "mov $0xd1,%al\n out %al,$0x64\n" WAIT "mov $" #v ",%al\n out %al,$0x60\n" WAIT
#define LOOK   "mov 0x108000,%ebx\n mov 0x208000,%ecx\n mov 0x308000,%edx\n mov (%esi),%esi\n movl $0x99999999,0x108010\n"
CODE32(a20_92, KBC(0xdd) "in $0x92,%al\n and $0xfc,%al\n out %al,$0x92\n" LOOK
                         "in $0x92,%al\n and $0xfe,%al\n or $2,%al\n out %al,$0x92\n mov 0x108000,%edi\n" KBC(0xdf));
CODE32(a20_kbc, "in $0x92,%al\n and $0xfc,%al\n out %al,$0x92\n" KBC(0xdd)
                    LOOK KBC(0xdf) "mov 0x108000,%edi\n in $0x92,%al\n and $0xfe,%al\n or $2,%al\n out %al,$0x92");
CODE32(a20_fetch, KBC(0xdd) "in $0x92,%al\n and $0xfc,%al\n out %al,$0x92\n mov $0x168000,%eax\n call *%eax\n"
                            "in $0x92,%al\n and $0xfe,%al\n or $2,%al\n out %al,$0x92\n" KBC(0xdf));
CODE(call_1m, "mov $0x168000,%eax\n call *%eax");
enum { LOW = 0x60000, LOW_STACK = 0x6f000, LOW_DIR = 0x70000, LOW_TAB = 0x71000 };
void test_main(void)
{
    static const struct {
        const char *name;
        const u8 *code, *end;
    } t[] = {{"port 92h", a20_92, a20_92_end}, {"keyboard controller", a20_kbc, a20_kbc_end}};
    u32 save[4];
    for (u32 i = 0; i < 4; i++) save[i] = W32(0x8000 + (i << 20));
    static u8 kept[64];
    memcpy(kept, (void *)0x108000, 64);
    for (u32 i = 0; i < 2; i++) {
        W32(LOW_DIR + 4 * i) = 0;
        for (u32 k = 0; k < 1024; k++) W32(LOW_TAB + 4096 * i + 4 * k) = i << 22 | k << 12 | P | PW | PU;
        W32(LOW_DIR + 4 * i) = (LOW_TAB + 4096 * i) | P | PW | PU;
    }
    W32(LOW_DIR + 4 * (WINDOW >> 22)) = (LOW_TAB + 8192) | P | PW | PU;
    W32(LOW_TAB + 8192) = 0x108000 | P | PW | PU;
    for (unsigned paged = 0; paged < 2; paged++)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            test2(paged ? "A20 with paging," : "A20,", t[i].name, "vol. 3 8.7.13.4");
            for (u32 k = 0; k < 4; k++) W32(0x8000 + (k << 20)) = 0x10000000 + k;
            W32(0x8010) = 0;
            place(LOW, t[i].code, t[i].end);
            struct regs r = ring(0, (void *)LOW);
            r.sp = LOW_STACK;
            r.si = paged ? WINDOW : 0x108000;
            if (paged) {
                wcr3(LOW_DIR);
                wcr0(rcr0() | CR0_PG);
            }
            run(&r);
            pages_off();
            EQ("vector", ev.vec, END_VEC);
            EQ("1 MB wraps to 0", ev.r.bx, 0x10000000);
            EQ("2 MB does not", ev.r.cx, 0x10000002);
            EQ("3 MB wraps to 2", ev.r.dx, 0x10000002);
            EQ("by another address", ev.r.si, 0x10000000);
            EQ("write wraps", W32(0x8010), 0x99999999);
            EQ("with A20 it is memory", ev.r.di, 0x10000001);
        }
    test("fetches with A20 off", "vol. 3 8.7.13.4");
    W8(0x68000) = 0x43; // inc %ebx; ret
    W8(0x68001) = 0xc3;
    u16 there = W16(0x168000);
    W16(0x168000) = 0xc34b; // dec %ebx; ret
    for (unsigned k = 0; k < 2; k++) {
        struct regs r = ring(0, call_1m);
        r.bx = 5;
        run(&r);
        EQ("with A20", ev.r.bx, 4);
        place(LOW, a20_fetch, a20_fetch_end);
        r.ip = LOW;
        r.sp = LOW_STACK;
        run(&r);
        EQ("without A20", ev.r.bx, 6);
    }
    W16(0x168000) = there;
    for (u32 i = 0; i < 4; i++) W32(0x8000 + (i << 20)) = save[i];
    memcpy((void *)0x108000, kept, 64);
}
