// SPDX-License-Identifier: MIT
// Registers of 16 bits, accessed by other widths, as a guest of the whole machine sees them. No standard speaks of the
// Bochs VBE ports: QEMU decodes words only, Bochs takes a byte for a word without its upper half, VirtualBox pairs
// bytes, upper half first; firmware (SeaBIOS' and the LGPL VGA BIOS) uses words. Like QEMU's, ours are word ports and
// nothing else. The IDE data port is a word of the ATA bus: a byte cycle at it moves one word, of which the host sees
// the lower half (ATA-4 6.2, 7.8; ISA's IOCS16 makes no difference to the drive).
#include "tests/insn/sys/sys.h"

enum { INDEX = 0x1ce, DATA = 0x1cf, DATA2 = 0x1d0, XRES = 1, YRES = 2 };
static u16 inw(u16 p)
{
    u16 v;
    asm_("inw %1,%0" : "=a"(v) : "Nd"(p));
    return v;
}

static void vbe(void)
{
    outw(INDEX, 0);
    if (inw(DATA) >> 4 != 0xb0c) {
        skip("VBE", "not there");
        return;
    }
    test("VBE registers by words", "none");
    outw(INDEX, YRES);
    outw(DATA, 0x250);
    outw(INDEX, XRES);
    outw(DATA, 0x320);
    EQ("index", inw(INDEX), XRES);
    EQ("data", inw(DATA), 0x320);
    test("VBE data port at 1D0h", "none"); // where x86 wants it aligned
    EQ("read", inw(DATA2), 0x320);
    outw(DATA2, 0x400);
    EQ("written", inw(DATA), 0x400);
    test("VBE registers read by bytes", "none");
    for (u32 p = INDEX; p <= DATA2 + 1; p++) EQ("nobody", inb(p), 0xff);
    test("VBE registers read by a dword", "none");
    EQ("nobody", inl(INDEX), 0xffffffff);
    test("VBE index written by a byte", "none");
    outb(INDEX, YRES);
    EQ("index", inw(INDEX), XRES);
    outw(INDEX, XRES);
    test("VBE data written by bytes", "none");
    outb(DATA, 0x12);
    EQ("first", inw(DATA), 0x400);
    outb(DATA, 0x34);
    EQ("second", inw(DATA), 0x400);
    outb(DATA2, 0x12);
    EQ("at 1D0h", inw(DATA), 0x400);
    outb(DATA2 + 1, 0x12);
    EQ("at 1D1h", inw(DATA), 0x400);
    test("VBE registers written by a dword", "none");
    outl(INDEX, 0x280 << 16 | YRES);
    EQ("index", inw(INDEX), XRES);
    EQ("data", inw(DATA), 0x400);
}

// PIO read of a sector of tests/cli/sys' disk: B3 n CD 20, then F4.
static bool sector(u32 n)
{
    outb(0x3f6, 2);
    outb(0x1f6, 0xe0);
    outb(0x1f2, 1);
    outb(0x1f3, n);
    outb(0x1f4, 0);
    outb(0x1f5, 0);
    outb(0x1f7, 0x20);
    for (u32 k = 0; k < 1000000; k++)
        if ((inb(0x1f7) & 0x88) == 8) return true;
    return false;
}
static void ide(void)
{
    outb(0x1f6, 0xa0);
    if (inb(0x1f7) == 0xff || inb(0x1f7) == 0) {
        skip("IDE", "no disk there");
        return;
    }
    test("IDE data by words", "none");
    EQ("DRQ", sector(5), 1);
    EQ("first", inw(0x1f0), 0x05b3);
    EQ("second", inw(0x1f0), 0x20cd);
    for (u32 k = 0; k < 253; k++) EQ("rest", inw(0x1f0), 0xf4f4);
    BITS("DRQ with one word left", inb(0x3f6), 8, 8);
    EQ("last", inw(0x1f0), 0xf4f4);
    BITS("DRQ", inb(0x3f6), 0, 8);
    test("IDE data by dwords", "none"); // two words
    EQ("DRQ", sector(6), 1);
    EQ("first", inl(0x1f0), 0x20cd06b3);
    for (u32 k = 0; k < 127; k++) EQ("rest", inl(0x1f0), 0xf4f4f4f4);
    BITS("DRQ", inb(0x3f6), 0, 8);
    test("IDE data by bytes", "none");
    EQ("DRQ", sector(7), 1);
    EQ("first", inb(0x1f0), 0xb3);
    EQ("second", inb(0x1f0), 0xcd);
    EQ("third", inb(0x1f0), 0xf4);
    for (u32 k = 0; k < 252; k++) inb(0x1f0);
    BITS("DRQ with one word left", inb(0x3f6), 8, 8);
    inb(0x1f0);
    BITS("DRQ", inb(0x3f6), 0, 8);
    outb(0x3f6, 6); // reset
    for (u32 k = 0; k < 1000; k++) inb(0x80);
    outb(0x3f6, 2);
}

void test_main(void)
{
    vbe();
    ide();
}
