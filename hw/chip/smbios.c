// SPDX-License-Identifier: MIT
// SMBIOS tables: system, enclosure, processors, memory. DMTF DSP0134 version 2.8.0, chapters 5.2.1 (entry point) and 7.
// SeaBIOS supplies type 0 (itself) where it finds none; ours says what the machine is. Left out: slots, cooling, power.
#include "hw/chip/smbios.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

enum { UNKNOWN = 2, SAFE = 3 };
struct tables {
    struct buf b;
    unsigned count;
    size_t longest, start; // of the structure under way
    u8 strings;
    struct buf text; // its strings
};

static void begin(struct tables *t, u8 type, u8 len, u16 handle)
{
    t->start = t->b.len;
    t->strings = 0;
    buf_u8(&t->b, type), buf_u8(&t->b, len), buf_u16(&t->b, handle);
}
// A string's number, as the formatted area refers to it.
static void string(struct tables *t, const char *s)
{
    buf_add(&t->text, s, strlen(s) + 1);
    buf_u8(&t->b, ++t->strings);
}
// len: the formatted area's, given to begin(); what was not filled is 0.
static void end(struct tables *t)
{
    size_t len = t->b.data[t->start + 1], have = t->b.len - t->start;
    if (have > len) panic("smbios: structure of type %u is too long", t->b.data[t->start]);
    buf_zero(&t->b, len - have);
    if (t->text.len) buf_add(&t->b, t->text.data, t->text.len);
    buf_zero(&t->b, t->text.len ? 1 : 2);
    buf_free(&t->text);
    t->longest = max_u64(t->longest, t->b.len - t->start);
    t->count++;
}

static void bios_and_system(struct tables *t, const struct smbios_opts *o)
{
    begin(t, 0, 24, 0x000);
    string(t, "doppel"), string(t, "1.0");
    buf_u16(&t->b, 0xe800), string(t, "04/01/2014"), buf_u8(&t->b, 0); // segment, date, ROM size of 64 KB
    buf_u64(&t->b, 1 << 3);                                            // no characteristics given
    buf_u8(&t->b, 0), buf_u8(&t->b, 0x14);                             // extension 2: UEFI no, virtual machine
    buf_u8(&t->b, 0), buf_u8(&t->b, 0), buf_u8(&t->b, 0xff), buf_u8(&t->b, 0xff);
    end(t);
    begin(t, 1, 27, 0x100);
    string(t, "doppel"), string(t, "Standard PC (i440FX + PIIX)"), string(t, "1.0"), buf_u8(&t->b, 0);
    buf_add(&t->b, o->uuid, 16);
    buf_u8(&t->b, 6); // woken by the power switch
    end(t);
    begin(t, 3, 22, 0x300);
    string(t, "doppel"), buf_u8(&t->b, 1); // other
    string(t, "1.0"), buf_u8(&t->b, 0), buf_u8(&t->b, 0);
    buf_u8(&t->b, SAFE), buf_u8(&t->b, SAFE), buf_u8(&t->b, SAFE), buf_u8(&t->b, UNKNOWN);
    end(t);
}
static void processor(struct tables *t, const struct smbios_opts *o, unsigned n)
{
    char socket[16];
    snprintf(socket, sizeof socket, "CPU %u", n);
    begin(t, 4, 42, 0x400 + n);
    string(t, socket), buf_u8(&t->b, 3), buf_u8(&t->b, 1); // central processor, family other
    string(t, "doppel"), buf_u64(&t->b, 0);
    string(t, o->cpu_name ? o->cpu_name : "doppel"), buf_u8(&t->b, 0);       // voltage unknown
    buf_u16(&t->b, 0), buf_u16(&t->b, 2000), buf_u16(&t->b, 2000);           // MHz
    buf_u8(&t->b, 0x41), buf_u8(&t->b, 1);                                   // populated and enabled, other
    buf_u16(&t->b, 0xffff), buf_u16(&t->b, 0xffff), buf_u16(&t->b, 0xffff);  // no cache information
    buf_u8(&t->b, 0), buf_u8(&t->b, 0), buf_u8(&t->b, 0);                    // serial, asset, part
    buf_u8(&t->b, 1), buf_u8(&t->b, 1), buf_u8(&t->b, 1), buf_u16(&t->b, 0); // cores, enabled, threads
    buf_u16(&t->b, 1);
    end(t);
}
// Types 17 (device) and 19 (where it is mapped), in one DIMM of all RAM; above 32 GB - 1 MB the extended size.
static void memory(struct tables *t, const struct smbios_opts *o)
{
    u64 total = o->below_4g + o->above_4g, mb = total >> 20, kb = total >> 10;
    begin(t, 16, 23, 0x1000);
    buf_u8(&t->b, 1), buf_u8(&t->b, 3), buf_u8(&t->b, 6); // other place, system memory, multi-bit ECC as QEMU says
    buf_u32(&t->b, kb < 0x80000000 ? kb : 0x80000000), buf_u16(&t->b, 0xfffe), buf_u16(&t->b, 1);
    buf_u64(&t->b, kb < 0x80000000 ? 0 : total);
    end(t);
    begin(t, 17, 40, 0x1100);
    buf_u16(&t->b, 0x1000), buf_u16(&t->b, 0xfffe), buf_u16(&t->b, 0xffff), buf_u16(&t->b, 0xffff);
    buf_u16(&t->b, mb < 0x7fff ? mb : 0x7fff), buf_u8(&t->b, 9), buf_u8(&t->b, 0); // DIMM
    string(t, "DIMM 0"), buf_u8(&t->b, 0), buf_u8(&t->b, 7), buf_u16(&t->b, 2);    // RAM
    buf_u16(&t->b, 0), string(t, "doppel");
    buf_zero(&t->b, 4);
    buf_u32(&t->b, mb < 0x7fff ? 0 : mb);
    end(t);
    for (int high = 0; high < 2; high++) {
        u64 base = high ? 1ull << 32 : 0, size = high ? o->above_4g : o->below_4g, last = base + size - 1;
        if (!size) continue;
        bool wide = last >> 10 >= 0xffffffff;
        begin(t, 19, 31, 0x1300 + high);
        buf_u32(&t->b, wide ? 0xffffffff : base >> 10), buf_u32(&t->b, wide ? 0xffffffff : last >> 10);
        buf_u16(&t->b, 0x1000), buf_u8(&t->b, 1);
        buf_u64(&t->b, wide ? base : 0), buf_u64(&t->b, wide ? last : 0);
        end(t);
    }
}

void smbios_add(struct fw_cfg *f, const struct smbios_opts *o)
{
    struct tables t = {0};
    bios_and_system(&t, o);
    for (unsigned n = 0; n < o->cpus; n++) processor(&t, o, n);
    memory(&t, o);
    begin(&t, 32, 11, 0x2000), end(&t); // no error at boot
    begin(&t, 127, 4, 0x7f00), end(&t);
    u8 a[31] = {0}; // firmware fills in the address and both checksums
    memcpy(a, "_SM_", 4);
    a[5] = sizeof a, a[6] = 2, a[7] = 8;
    st16(a + 8, t.longest);
    memcpy(a + 16, "_DMI_", 5);
    st16(a + 22, t.b.len);
    st16(a + 28, t.count);
    a[30] = 0x28;
    if (t.b.len > 0xffff || !fw_cfg_file(f, "etc/smbios/smbios-tables", t.b.data, t.b.len) ||
        !fw_cfg_file(f, "etc/smbios/smbios-anchor", a, sizeof a))
        panic("smbios: no room");
    buf_free(&t.b);
}
