// SPDX-License-Identifier: MIT
// Fuzz target: every device's registers of a whole pc. The input is a program of port, MMIO, PCI configuration, guest
// memory, time steps and what people do; five bytes a step or more. Nothing may crash, hang or leave memory (asan,
// ubsan).
#include "tests/fuzz/pc.h"

// Ports worth more than chance: DMA, PIC, PIT, keyboard, RTC, IDE, serial, VGA, floppy, PCI, fw_cfg, power management.
static const u16 ports[] = {0x00,  0x08,  0x20,   0x21,   0x40,   0x43,  0x60,  0x61,  0x64,  0x70,
                            0x71,  0x80,  0x81,   0x92,   0xa0,   0xa1,  0xb2,  0xc0,  0xd0,  0x170,
                            0x177, 0x1f0, 0x1f7,  0x2f8,  0x376,  0x378, 0x3b0, 0x3c0, 0x3c4, 0x3ce,
                            0x3d4, 0x3f0, 0x3f5,  0x3f6,  0x3f8,  0x402, 0x4d0, 0x510, 0x511, 0x514,
                            0xcf8, 0xcfc, 0xc000, 0xc008, 0xc040, 0x600, 0x604, 0x1ce, 0x1cf};
static const u64 places[] = {0xa0000,    0xb8000,    0xfec00000, 0xfed00000, 0xfee00000,
                             0xfd000000, 0xfebf0000, 0xfe000000, 0xe0000000, 0xfffffff0};

static const struct fuzz_seed seeds[] = {
    // IDENTIFY, a PIO write, bus master read; tray; an ATAPI packet
    FUZZ_SEED("\1\x15\7\0\xec\0\x15\0\0\0\1\x15\2\0\1\1\x15\6\0\xe0\1\x15\7\0\x30\5\0\0\0\0"),
    FUZZ_SEED("\1\x13\6\0\xa0\1\x13\7\0\xa0\0\x13\0\0\0\0\x13\0\0\0\5\4\0\0\0"),
    // floppy: recalibrate, read with DMA
    FUZZ_SEED("\1\x1f\2\0\x1c\1\x1f\5\0\7\1\x1f\5\0\0\5\xff\0\0\0\1\x1f\5\0\xe6\1\x1f\5\0\0\1\x1f\5\0\0\1\x1f\5\0\0"),
    // PCI configuration: BARs, command; fw_cfg selector and DMA; VGA modes; PIT; HPET; APIC
    FUZZ_SEED("\3\0\x08\x10\xff\3\0\x0a\x20\1\3\0\x09\4\7\3\0\x0b\4\7\1\x26\0\0\x19\0\x27\0\0\0\1\x28\0\0\1"),
    FUZZ_SEED("\1\x1b\0\0\x13\1\x1d\0\0\5\1\x2f\0\0\4\1\x30\0\0\x41\4\0\0\0\x55\4\1\0\0\x55\4\5\0\0\1\5\x20\0\0\0"),
    // keys, the mouse, a byte received, a break; the screen as text, drawn, in mode 13h and in VBE 800x600x32
    FUZZ_SEED(
        "\2\0\x1e\1\0\2\1\5\373\1\2\2\x41\0\0\2\3\0\0\0\0\x22\0\0\0\2\5\0\0\0\2\6\1\0\0\1\x1b\2\0\x63\1\x1d\4\0\x0e"
        "\1\x1d\5\0\x0f\1\x1c\4\0\4\2\6\1\0\0"),
    FUZZ_SEED("\x21\x2f\0\0\1\x09\x30\0\0\3\x21\x2f\0\0\2\x09\x30\0\0\2\x21\x2f\0\0\3\x21\x30\0\0\x20\x21\x2f\0\0\4\x21"
              "\x30\0\0\x41\2\6\1\0\0"),
    FUZZ_SEED("\4\3\x10\0\1\4\3\0\1\x30\4\4\xf0\0\xff\4\4\x20\3\x20\4\4\x80\3\xff\5\xff\xff\0\0\4\2\x10\0\x1f"),
};
static volatile u32 fuzz_sink;
static u32 number(const u8 *p, unsigned kind)
{
    return kind & 1 ? p[0] : p[0] * 0x01010101u ^ (kind & 2 ? 0xff00u : 0);
}
// What comes from the other side: keys, the mouse, bytes on the serial port, a look at the screen.
static void people(struct pc *p, const u8 *data, unsigned *draws)
{
    struct surface surface;
    struct text_screen text;
    switch (data[1] % 8) {
    case 0: p->input.key(p->input.dev, data[2], data[3] & 1); break;
    case 1: p->input.mouse(p->input.dev, (i8)data[2], (i8)data[3], (i8)(data[4] << 4) >> 4, data[4] >> 4); break;
    case 2:
        if (fuzz_serial.can_receive(fuzz_serial.front)) fuzz_serial.receive(fuzz_serial.front, data + 2, 1);
        break;
    case 3: fuzz_serial.event(fuzz_serial.front, CHARDEV_BREAK); break;
    case 4:
        if (fuzz_serial.writable) fuzz_serial.writable(fuzz_serial.front);
        if (fuzz_parallel.writable) fuzz_parallel.writable(fuzz_parallel.front);
        break;
    case 5: p->screen.text(p->screen.dev, &text); break;
    default:
        if (++*draws > 3) break; // dear
        if (p->screen.update(p->screen.dev, &surface, data[2] & 1) && surface.w && surface.h)
            fuzz_sink += surface.px[(size_t)(surface.h - 1) * surface.stride + surface.w - 1];
    }
}
static void fuzz_one(const u8 *data, size_t len)
{
    struct pc *p = fuzz_pc_again();
    struct bus *b = &p->m.bus;
    unsigned steps = 0, draws = 0,
             looks = 0; // the machine's looks at the host's clock, in each of which it comes to an event
    for (; len >= 5 && steps < 700; data += 5, len -= 5, steps++) {
        unsigned op = data[0] % 8, size = 1u << (data[0] >> 3) % 3, kind = data[0] >> 5;
        u16 port = (u16)(ports[data[1] % ARRAY_LEN(ports)] + data[2] % 16 + (data[3] > 250 ? data[3] : 0));
        u64 at = places[data[1] % ARRAY_LEN(places)] + data[2] * 16u + (u64)data[3] * 256;
        at &= ~(u64)(size - 1);
        switch (op) {
        case 0: bus_in(b, port, size); break;
        case 2: people(p, data, &draws); break;
        case 1: bus_out(b, port, number(data + 4, kind), size); break;
        case 3: // a PCI configuration register
            bus_out(b, 0xcf8, 0x80000000u | (u32)(data[2] & 0x1f) << 8 | (u32)(data[1] & 3) << 11 | (data[3] & 0xfc),
                    4);
            bus_out(b, (u16)(0xcfc + data[3] % 4), number(data + 4, kind), 1);
            break;
        case 4: bus_store(b, at, number(data + 4, kind), size); break;
        case 5: // time passes
            for (unsigned n = 1 + data[1] * (data[2] % 64u) / 8; n && looks < 1000; n--) {
                machine_run(&p->m, FUZZ_LOOK);
                looks += p->m.cpu[0]->halt == CPU_RUNNING ? 300 : 1; // awake it runs 40,000 instructions of anything
            }
            break;
        case 6: // DMA descriptors and commands in guest memory
            bus_store(b, (0x1000u + data[1] * 4u + (data[2] & 15u) * 256u) & ~(u64)(size - 1), number(data + 4, kind),
                      size);
            break;
        default: bus_load(b, at, size); break;
        }
    }
    if (steps % 8) return; // costs more than the rest
    struct buf out = {0};
    struct state s = {.mode = STATE_SAVE, .out = &out};
    machine_state(&p->m, &s); // whatever has become of it can be saved
    if (!state_ok(&s)) abort();
    buf_free(&out);
}
FUZZ_MAIN(device, seeds, 2500)
