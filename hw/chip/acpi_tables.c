// SPDX-License-Identifier: MIT
// ACPI tables of the 440FX PC: DSDT in AML, FADT, FACS, MADT, HPET, WAET, RSDT, RSDP, and the loader script that makes
// firmware place and link them (QEMU's docs/specs/acpi_bios_linker: hw/acpi/bios-linker-loader).
// ACPI 6.4, chapters 5 (tables), 6.4 (resources), 20 (AML); FADT of revision 3 (ACPI 2.0) and RSDP of revision 0, which
// old systems read too. Left out: sleep states but S5, hot plug, PCI hosts with extended configuration space (MCFG).
#include <stdlib.h>
#include "hw/chip/acpi_tables.h"
#include "hw/pci/piix4_pm.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

// ---- AML

enum { NAME_OP = 0x08, SCOPE_OP = 0x10, BUFFER_OP = 0x11, PACKAGE_OP = 0x12 };
enum { METHOD_OP = 0x14, EXT_OP = 0x5b, DEVICE_OP = 0x82, PROCESSOR_OP = 0x83, REGION_OP = 0x80, FIELD_OP = 0x81 };
enum { ARG0 = 0x68, STORE_OP = 0x70, AND_OP = 0x7b, OR_OP = 0x7d, CREATE_DWORD_OP = 0x8a };
enum { LLESS_OP = 0x95, IF_OP = 0xa0, RETURN_OP = 0xa4 };

static void aml_op(struct buf *b, u8 op)
{
    if (op >= 0x80 && op <= 0x83) buf_u8(b, EXT_OP);
    buf_u8(b, op);
}
// "\\_SB.PCI0": segments are padded with underscores to four characters.
static void aml_path(struct buf *b, const char *s)
{
    unsigned segs = 1;
    if (*s == '\\') buf_u8(b, *s++);
    for (const char *p = s; *p; p++) segs += *p == '.';
    if (segs == 2) buf_u8(b, 0x2e);
    if (segs > 2) buf_u8(b, 0x2f), buf_u8(b, segs);
    for (unsigned n = 0;; s++) {
        if (*s && *s != '.') {
            buf_u8(b, *s), n++;
            continue;
        }
        for (; n < 4; n++) buf_u8(b, '_');
        n = 0;
        if (!*s) break;
    }
}
static void aml_int(struct buf *b, u64 v)
{
    if (v < 2)
        buf_u8(b, v);
    else if (v < 0x100)
        buf_u8(b, 0x0a), buf_u8(b, v);
    else if (v < 0x10000)
        buf_u8(b, 0x0b), buf_u16(b, v);
    else if (v < 0x100000000)
        buf_u8(b, 0x0c), buf_u32(b, v);
    else
        buf_u8(b, 0x0e), buf_u64(b, v);
}
// PkgLength counts itself unless it is the length of a field.
static unsigned pkg_length(u8 *to, size_t len, bool self)
{
    unsigned n = 1;
    while (len + (self ? n : 0) >= (n == 1 ? (size_t)1 << 6 : (size_t)1 << (8 * n - 4))) n++;
    if (self) len += n;
    if (n == 1) {
        to[0] = len;
        return 1;
    }
    to[0] = (n - 1) << 6 | (len & 15);
    for (unsigned i = 1; i < n; i++) to[i] = len >> (8 * i - 4);
    return n;
}
// Everything that is added between open and close becomes the package's body.
static size_t aml_open(struct buf *b, u8 op)
{
    aml_op(b, op);
    return b->len;
}
static void aml_close(struct buf *b, size_t at)
{
    u8 l[4];
    size_t body = b->len - at;
    unsigned n = pkg_length(l, body, true);
    buf_zero(b, n);
    memmove(b->data + at + n, b->data + at, body);
    memcpy(b->data + at, l, n);
}
static size_t aml_open_named(struct buf *b, u8 op, const char *name)
{
    size_t at = aml_open(b, op);
    aml_path(b, name);
    return at;
}
static size_t aml_method(struct buf *b, const char *name, u8 args, bool serialized)
{
    size_t at = aml_open_named(b, METHOD_OP, name);
    buf_u8(b, args | serialized << 3);
    return at;
}
static void aml_name(struct buf *b, const char *name)
{
    aml_op(b, NAME_OP);
    aml_path(b, name);
}
static void aml_name_int(struct buf *b, const char *name, u64 v) { aml_name(b, name), aml_int(b, v); }
// "PNP0A03" as the compressed EISA identifier: three letters of five bits, four hex digits.
static void aml_hid(struct buf *b, const char *id)
{
    u32 v = (id[0] - 0x40) << 26 | (id[1] - 0x40) << 21 | (id[2] - 0x40) << 16 | (u32)strtoul(id + 3, NULL, 16);
    aml_name(b, "_HID");
    buf_u8(b, 0x0c);
    buf_u32(b, __builtin_bswap32(v));
}
// A resource template: buffer with its end tag.
static void aml_resources(struct buf *b, const char *name, struct buf *r)
{
    buf_u16(r, 0x0079);
    aml_name(b, name);
    size_t at = aml_open(b, BUFFER_OP);
    aml_int(b, r->len);
    buf_add(b, r->data, r->len);
    aml_close(b, at);
    buf_free(r);
}

// ---- resource descriptors

static void res_io(struct buf *r, u16 base, u8 len)
{
    buf_u16(r, 0x0147); // decodes 16 bits
    buf_u16(r, base), buf_u16(r, base);
    buf_u8(r, 1), buf_u8(r, len);
}
static void res_irq(struct buf *r, unsigned n) { buf_u8(r, 0x22), buf_u16(r, 1u << n); }
static void res_dma(struct buf *r, unsigned n) { buf_u8(r, 0x2a), buf_u8(r, 1u << n), buf_u8(r, 0); }
static void res_mem32(struct buf *r, u32 base, u32 len)
{
    buf_u8(r, 0x86), buf_u16(r, 9), buf_u8(r, 0); // read-only
    buf_u32(r, base), buf_u32(r, len);
}
// Windows of a bridge, which it forwards: type 0 memory, 1 I/O, 2 bus numbers.
static void res_window16(struct buf *r, u8 type, u16 first, u16 last)
{
    buf_u8(r, 0x88), buf_u16(r, 13), buf_u8(r, type), buf_u8(r, 0x0c), buf_u8(r, type == 1 ? 3 : 0);
    buf_u16(r, 0), buf_u16(r, first), buf_u16(r, last), buf_u16(r, 0), buf_u16(r, last - first + 1);
}
static void res_window32(struct buf *r, u32 first, u32 last)
{
    buf_u8(r, 0x87), buf_u16(r, 23), buf_u8(r, 0), buf_u8(r, 0x0c), buf_u8(r, 1);
    buf_u32(r, 0), buf_u32(r, first), buf_u32(r, last), buf_u32(r, 0), buf_u32(r, last - first + 1);
}
// Interrupts that a link device can use: level, active high, shared.
static void res_interrupts(struct buf *r, const u8 *irq, unsigned n)
{
    buf_u8(r, 0x89), buf_u16(r, 2 + 4 * n), buf_u8(r, 0x09), buf_u8(r, n);
    for (unsigned i = 0; i < n; i++) buf_u32(r, irq[i]);
}

// ---- DSDT

static void dsdt_isa_device(struct buf *b, const char *name, const char *hid, u32 uid, struct buf *r)
{
    size_t at = aml_open_named(b, DEVICE_OP, name);
    aml_hid(b, hid);
    if (uid) aml_name_int(b, "_UID", uid);
    aml_name_int(b, "_STA", 15);
    aml_resources(b, "_CRS", r);
    aml_close(b, at);
}
static void dsdt_isa_devices(struct buf *b, const struct acpi_opts *o)
{
    static const u16 com[4] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}, lpt[3] = {0x378, 0x278, 0x3bc};
    static const u8 com_irq[4] = {4, 3, 4, 3}, lpt_irq[3] = {7, 5, 7};
    struct buf r = {0};
    char name[5] = "COM1";
    res_io(&r, 0x70, 8), res_irq(&r, 8);
    dsdt_isa_device(b, "RTC", "PNP0B00", 0, &r);
    res_io(&r, 0x60, 1), res_io(&r, 0x64, 1), res_irq(&r, 1);
    dsdt_isa_device(b, "KBD", "PNP0303", 0, &r);
    res_irq(&r, 12);
    dsdt_isa_device(b, "MOU", "PNP0F13", 0, &r);
    if (o->floppy) {
        res_io(&r, 0x3f2, 4), res_io(&r, 0x3f7, 1), res_irq(&r, 6), res_dma(&r, 2);
        dsdt_isa_device(b, "FDC0", "PNP0700", 0, &r);
    }
    for (int n = 0; n < 4; n++) {
        if (!o->serial[n]) continue;
        name[3] = '1' + n;
        res_io(&r, com[n], 8), res_irq(&r, com_irq[n]);
        dsdt_isa_device(b, name, "PNP0501", n + 1, &r);
    }
    memcpy(name, "LPT", 3);
    for (int n = 0; n < 3; n++) {
        if (!o->parallel[n]) continue;
        name[3] = '1' + n;
        res_io(&r, lpt[n], n == 2 ? 4 : 8), res_irq(&r, lpt_irq[n]);
        dsdt_isa_device(b, name, "PNP0400", n + 1, &r);
    }
}
// The PIRQ router's registers, PIIX3 configuration 60h-63h: PRQ0-PRQ3.
static void dsdt_isa_bridge(struct buf *b, const struct acpi_opts *o)
{
    size_t isa = aml_open_named(b, DEVICE_OP, "ISA");
    aml_name_int(b, "_ADR", 0x00010000);
    aml_op(b, REGION_OP), aml_path(b, "P40C");
    buf_u8(b, 2), aml_int(b, 0x60), aml_int(b, 4); // PCI configuration space
    size_t at = aml_open_named(b, FIELD_OP, "P40C");
    buf_u8(b, 1); // byte access, preserve
    for (int i = 0; i < 4; i++) {
        char prq[5] = "PRQ0";
        prq[3] += i;
        buf_add(b, prq, 4);
        buf_u8(b, 8);
    }
    aml_close(b, at);
    dsdt_isa_devices(b, o);
    aml_close(b, isa);
}
static void dsdt_links(struct buf *b)
{
    static const u8 choice[3] = {5, 10, 11}, none[1] = {0};
    for (int i = 0; i < 4; i++) {
        char prq[] = "\\_SB.PCI0.ISA.PRQ0", name[5] = "LNKA";
        struct buf r = {0};
        prq[17] += i, name[3] += i;
        size_t dev = aml_open_named(b, DEVICE_OP, name);
        aml_hid(b, "PNP0C0F");
        aml_name_int(b, "_UID", i + 1);
        res_interrupts(&r, choice, 3);
        aml_resources(b, "_PRS", &r);
        size_t m = aml_method(b, "_STA", 0, false); // If (PRQ & 80h) Return (9) Return (0Bh)
        size_t cond = aml_open(b, IF_OP);
        aml_op(b, AND_OP), aml_path(b, prq), aml_int(b, 0x80), aml_int(b, 0);
        aml_op(b, RETURN_OP), aml_int(b, 9);
        aml_close(b, cond);
        aml_op(b, RETURN_OP), aml_int(b, 11);
        aml_close(b, m);
        m = aml_method(b, "_DIS", 0, false);
        aml_op(b, OR_OP), aml_path(b, prq), aml_int(b, 0x80), aml_path(b, prq);
        aml_close(b, m);
        m = aml_method(b, "_CRS", 0, true);
        res_interrupts(&r, none, 1);
        aml_resources(b, "BUF0", &r);
        buf_u8(b, CREATE_DWORD_OP), aml_path(b, "BUF0"), aml_int(b, 5), aml_path(b, "IRQN");
        cond = aml_open(b, IF_OP); // routed: If (PRQ < 80h)
        buf_u8(b, LLESS_OP), aml_path(b, prq), aml_int(b, 0x80);
        aml_op(b, STORE_OP), aml_path(b, prq), aml_path(b, "IRQN");
        aml_close(b, cond);
        aml_op(b, RETURN_OP), aml_path(b, "BUF0");
        aml_close(b, m);
        m = aml_method(b, "_SRS", 1, true);
        buf_u8(b, CREATE_DWORD_OP), buf_u8(b, ARG0), aml_int(b, 5), aml_path(b, "IRQN");
        aml_op(b, STORE_OP), aml_path(b, "IRQN"), aml_path(b, prq);
        aml_close(b, m);
        aml_close(b, dev);
    }
}
// INTA of slot n is PIRQ[n-1 mod 4], as pci.c wires it.
static void dsdt_prt(struct buf *b)
{
    aml_name(b, "_PRT");
    size_t all = aml_open(b, PACKAGE_OP);
    buf_u8(b, 128);
    for (unsigned slot = 0; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++) {
            char link[] = "\\_SB.LNKA";
            link[8] += (slot + pin + 3) & 3;
            size_t one = aml_open(b, PACKAGE_OP);
            buf_u8(b, 4);
            aml_int(b, slot << 16 | 0xffff), aml_int(b, pin), aml_path(b, link), aml_int(b, 0);
            aml_close(b, one);
        }
    aml_close(b, all);
}
static void dsdt_body(struct buf *b, const struct acpi_opts *o)
{
    struct buf r = {0};
    size_t sb = aml_open_named(b, SCOPE_OP, "\\_SB");
    size_t pci = aml_open_named(b, DEVICE_OP, "PCI0");
    aml_hid(b, "PNP0A03");
    aml_name_int(b, "_UID", 0);
    res_window16(&r, 2, 0, 0xff);
    res_io(&r, 0xcf8, 8);
    res_window16(&r, 1, 0, 0xcf7);
    res_window16(&r, 1, 0xd00, 0xffff);
    res_window32(&r, 0xa0000, 0xbffff);
    res_window32(&r, (u32)align_up(max_u64(o->below_4g, 0x100000), 0x10000), 0xfebfffff);
    aml_resources(b, "_CRS", &r);
    dsdt_prt(b);
    dsdt_isa_bridge(b, o);
    aml_close(b, pci);
    dsdt_links(b);
    if (o->hpet) {
        res_mem32(&r, 0xfed00000, 0x400);
        dsdt_isa_device(b, "HPET", "PNP0103", 0, &r);
    }
    aml_close(b, sb);
    size_t pr = aml_open_named(b, SCOPE_OP, "\\_PR");
    for (unsigned n = 0; n < o->cpus; n++) {
        char name[5];
        snprintf(name, sizeof name, "C%03X", n & 0xfff);
        size_t at = aml_open_named(b, PROCESSOR_OP, name);
        buf_u8(b, n), buf_u32(b, 0), buf_u8(b, 0);
        aml_close(b, at);
    }
    aml_close(b, pr);
    aml_name(b, "\\_S5");
    size_t s5 = aml_open(b, PACKAGE_OP);
    buf_add(b, "\4\0\0\0\0", 5); // four elements: sleep type 0 for PM1a and PM1b
    aml_close(b, s5);
}

// ---- tables

#define TABLES "etc/acpi/tables"
#define RSDP   "etc/acpi/rsdp"
enum { CMD_ALLOCATE = 1, CMD_ADD_POINTER, CMD_ADD_CHECKSUM, ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define CMD_SIZE 128

struct build {
    struct buf t, script; // all tables; the loader script
};
static void script_name(struct buf *b, const char *s)
{
    char name[56] = {0};
    snprintf(name, sizeof name, "%s", s);
    buf_add(b, name, sizeof name);
}
static void script_end(struct buf *s) { buf_zero(s, align_up(s->len, CMD_SIZE) - s->len); }
static void script_allocate(struct buf *s, const char *file, u32 align, u8 zone)
{
    buf_u32(s, CMD_ALLOCATE);
    script_name(s, file);
    buf_u32(s, align), buf_u8(s, zone);
    script_end(s);
}
// The field of `size` bytes holds an offset in the tables; firmware adds where they are.
static void script_pointer(struct buf *s, const char *file, u32 at, u8 size)
{
    buf_u32(s, CMD_ADD_POINTER);
    script_name(s, file);
    script_name(s, TABLES);
    buf_u32(s, at), buf_u8(s, size);
    script_end(s);
}
static void script_checksum(struct buf *s, const char *file, u32 at, u32 start, u32 len)
{
    buf_u32(s, CMD_ADD_CHECKSUM);
    script_name(s, file);
    buf_u32(s, at), buf_u32(s, start), buf_u32(s, len);
    script_end(s);
}
static size_t table_begin(struct build *b, const char *sig, u8 rev)
{
    size_t at = b->t.len;
    buf_add(&b->t, sig, 4);
    buf_u32(&b->t, 0); // length: table_end()
    buf_u8(&b->t, rev), buf_u8(&b->t, 0);
    buf_add(&b->t, "DOPPELDOPPELPC", 14); // OEM and table identifiers
    buf_u32(&b->t, 1);
    buf_add(&b->t, "DPPL", 4);
    buf_u32(&b->t, 1);
    return at;
}
static void table_end(struct build *b, size_t at)
{
    u32 len = (u32)(b->t.len - at);
    st32(b->t.data + at + 4, len);
    script_checksum(&b->script, TABLES, at + 9, at, len);
}
static void gas_io(u8 *p, u8 bits_, u16 addr)
{
    p[0] = 1, p[1] = bits_, p[2] = 0, p[3] = 0;
    st64(p + 4, addr);
}
static void fadt(struct build *b, const struct acpi_opts *o, u32 facs, u32 dsdt)
{
    size_t at = table_begin(b, "FACP", 3);
    u16 pm = o->pm_base;
    buf_zero(&b->t, 244 - 36);
    u8 *p = b->t.data + at;
    st32(p + 36, facs), st32(p + 40, dsdt);
    p[44] = 1;          // dual PIC
    st16(p + 46, 9);    // SCI
    st32(p + 48, 0xb2); // SMI command port
    p[52] = PIIX4_ACPI_ENABLE, p[53] = PIIX4_ACPI_DISABLE;
    st32(p + 56, pm), st32(p + 64, pm + 4), st32(p + 76, pm + 8), st32(p + 80, pm + 12);
    p[88] = 4, p[89] = 2, p[91] = 4, p[92] = 4;   // lengths of these blocks
    st16(p + 96, 0xfff), st16(p + 98, 0xfff);     // no C2, no C3
    p[108] = 0x32;                                // century in CMOS
    st16(p + 109, 3);                             // legacy devices, 8042
    st32(p + 112, 1 | 1 << 2 | 1 << 5 | 1 << 10); // WBINVD, C1, no sleep button, reset register
    gas_io(p + 116, 8, 0xcf9);
    p[128] = 0x06;
    gas_io(p + 148, 32, pm), gas_io(p + 172, 16, pm + 4), gas_io(p + 208, 32, pm + 8), gas_io(p + 220, 32, pm + 12);
    script_pointer(&b->script, TABLES, at + 36, 4);
    script_pointer(&b->script, TABLES, at + 40, 4);
    table_end(b, at);
}
static void madt_override(struct buf *t, u8 irq, u32 gsi, u16 flags)
{
    buf_u8(t, 2), buf_u8(t, 10), buf_u8(t, 0), buf_u8(t, irq), buf_u32(t, gsi), buf_u16(t, flags);
}
static void madt(struct build *b, const struct acpi_opts *o)
{
    size_t at = table_begin(b, "APIC", 1);
    struct buf *t = &b->t;
    buf_u32(t, 0xfee00000), buf_u32(t, 1); // there are 8259s too
    for (unsigned n = 0; n < o->cpus; n++) buf_u8(t, 0), buf_u8(t, 8), buf_u8(t, n), buf_u8(t, n), buf_u32(t, 1);
    buf_u8(t, 1), buf_u8(t, 12), buf_u8(t, o->ioapic_id), buf_u8(t, 0), buf_u32(t, 0xfec00000), buf_u32(t, 0);
    madt_override(t, 0, 2, 0);
    static const u8 level[] = {5, 9, 10, 11}; // PCI interrupts and the SCI: level, active high
    for (size_t i = 0; i < sizeof level; i++) madt_override(t, level[i], level[i], 0x0d);
    buf_u8(t, 4), buf_u8(t, 6), buf_u8(t, 0xff), buf_u16(t, 0), buf_u8(t, 1); // NMI at LINT1 of all
    table_end(b, at);
}
static void hpet_table(struct build *b)
{
    size_t at = table_begin(b, "HPET", 1);
    buf_u32(&b->t, 0x8086a201);
    buf_u32(&b->t, 0), buf_u64(&b->t, 0xfed00000);
    buf_u8(&b->t, 0), buf_u16(&b->t, 0), buf_u8(&b->t, 0);
    table_end(b, at);
}

void acpi_tables_add(struct fw_cfg *f, const struct acpi_opts *o)
{
    struct build b = {0};
    u32 list[4], n = 0;
    u8 rsdp[20] = {0};
    script_allocate(&b.script, RSDP, 16, ZONE_FSEG);
    script_allocate(&b.script, TABLES, 64, ZONE_HIGH);
    buf_add(&b.t, "FACS", 4); // first: it must lie on 64 bytes; no checksum
    buf_u32(&b.t, 64);
    buf_zero(&b.t, 24);
    buf_u8(&b.t, 1);
    buf_zero(&b.t, 31);
    u32 dsdt = (u32)table_begin(&b, "DSDT", 1);
    dsdt_body(&b.t, o);
    table_end(&b, dsdt);
    list[n++] = (u32)b.t.len;
    fadt(&b, o, 0, dsdt);
    list[n++] = (u32)b.t.len;
    madt(&b, o);
    if (o->hpet) {
        list[n++] = (u32)b.t.len;
        hpet_table(&b);
    }
    list[n++] = (u32)b.t.len;
    size_t waet = table_begin(&b, "WAET", 1);
    buf_u32(&b.t, 2); // the PM timer may be read once
    table_end(&b, waet);
    u32 rsdt = (u32)table_begin(&b, "RSDT", 1);
    for (u32 i = 0; i < n; i++) {
        script_pointer(&b.script, TABLES, (u32)b.t.len, 4);
        buf_u32(&b.t, list[i]);
    }
    table_end(&b, rsdt);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "DOPPEL", 6);
    st32(rsdp + 16, rsdt);
    script_pointer(&b.script, RSDP, 16, 4);
    script_checksum(&b.script, RSDP, 8, 0, 20);
    if (!fw_cfg_file(f, RSDP, rsdp, sizeof rsdp) || !fw_cfg_file(f, TABLES, b.t.data, b.t.len) ||
        !fw_cfg_file(f, "etc/table-loader", b.script.data, b.script.len))
        panic("fw_cfg: directory full");
    buf_free(&b.t), buf_free(&b.script);
}
