// SPDX-License-Identifier: MIT
// Monitor commands that look at memory and ports: dumps in all formats, disassembly, values, checksums, searching.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "ui/monitor.h"
#include "ui/opt.h"
#include "ui/pagewalk.h"
#include "ui/symbols.h"
#include "ui/vm.h"

// ---- memory

struct format {
    u64 count;
    char kind;
    unsigned size;
};
static struct format last_format = {1, 'x', 4};
static u64 last_addr;

static bool parse_format(struct mon_call *a, struct format *f)
{
    *f = last_format;
    f->count = 1;
    const char *p = a->fmt;
    if (*p >= '0' && *p <= '9') f->count = strtoul(p, (char **)&p, 10);
    for (; *p; p++) {
        switch (*p) {
        case 'x':
        case 'd':
        case 'u':
        case 'o':
        case 'c':
        case 'i':
        case 's': f->kind = *p; break;
        case 'b': f->size = 1; break;
        case 'h': f->size = 2; break;
        case 'w': f->size = 4; break;
        case 'g': f->size = 8; break;
        default:
            mon_fail(a, "format '/%s': '%c' is none of x d u o c i s (kind) and b h w g (size)", a->fmt, *p);
            return false;
        }
    }
    if (f->kind == 'c' && !strpbrk(a->fmt, "hwg")) f->size = 1;
    if (f->count > 65536) {
        mon_fail(a, "format '/%s': at most 65536 at once", a->fmt);
        return false;
    }
    last_format = *f;
    return true;
}

// pad: in columns, QEMU's widths.
static void print_value(struct buf *out, u64 v, char kind, unsigned size, bool pad)
{
    i64 sv = size == 1 ? (i8)v : size == 2 ? (i16)v : size == 4 ? (i32)v : (i64)v;
    switch (kind) {
    case 'd': buf_printf(out, "%*lld", pad ? ((int)size * 80 + 32) / 33 : 0, (long long)sv); break;
    case 'u': buf_printf(out, "%*llu", pad ? ((int)size * 80 + 32) / 33 : 0, (unsigned long long)v); break;
    case 'o': buf_printf(out, "%#*llo", pad ? ((int)size * 8 + 2) / 3 : 0, (unsigned long long)v); break;
    case 'c':
        if (v >= 32 && v < 127)
            buf_printf(out, "'%c'", (int)v);
        else
            buf_printf(out, "'\\x%02x'", (unsigned)v & 0xff);
        break;
    default: buf_printf(out, "0x%0*llx", (int)size * 2, (unsigned long long)v);
    }
}

static bool look(u64 addr, void *to, u64 n, bool phys)
{
    return phys ? bus_peek(&vm.pc->m.bus, addr, to, n) : mmu_debug_read(mon_the_cpu(), addr, to, n);
}

// With a size letter the code is taken to be 16 (h), 32 (w) or 64 bits (g) wide, else as the processor is now.
static u64 dump_code(struct mon_call *a, u64 addr, u64 count, bool phys)
{
    struct cpu *c = mon_the_cpu();
    const char *letter = strpbrk(a->fmt, "hwg");
    unsigned mode = !letter ? c->mode & MODE_CODE : *letter == 'h' ? MODE_16 : *letter == 'w' ? MODE_32 : MODE_64;
    for (u64 first = count; count; count--) {
        u8 code[15];
        unsigned n = 15;
        char text[256];
        u64 off;
        const char *name = phys ? NULL : symbol_at(c, addr, &off);
        if (name && (!off || count == first)) buf_printf(a->out, "%s:\n", symbol_text(c, addr));
        while (n && !look(addr, code, n, phys)) n--;
        if (!n) {
            mon_fail(a, "0x%016llx: no memory there", (unsigned long long)addr);
            return addr;
        }
        unsigned len = disas_as(c, mode, addr, code, n, text, sizeof text);
        buf_printf(a->out, "0x%08llx:  ", (unsigned long long)addr);
        for (unsigned i = 0; i < 10; i++)
            if (i < (len ? len : 1))
                buf_printf(a->out, "%02x ", code[i]);
            else
                buf_printf(a->out, "   ");
        buf_printf(a->out, " %s\n", text);
        addr += len ? len : 1;
    }
    return addr;
}

static u64 dump_text(struct mon_call *a, u64 addr, u64 count, bool phys)
{
    for (; count; count--) {
        u8 c;
        buf_printf(a->out, "0x%016llx: \"", (unsigned long long)addr);
        for (unsigned i = 0; i < 4096 && look(addr, &c, 1, phys) && (addr++, c); i++)
            buf_printf(a->out, c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
        buf_printf(a->out, "\"\n");
    }
    return addr;
}

static void dump(struct mon_call *a, bool phys)
{
    struct format f;
    u64 addr = last_addr;
    if (!parse_format(a, &f)) return;
    if (*a->rest && !mon_number(a, "address", a->rest, &addr)) return;
    if (f.kind == 'i') {
        last_addr = dump_code(a, addr, f.count, phys);
        return;
    }
    if (f.kind == 's') {
        last_addr = dump_text(a, addr, f.count, phys);
        return;
    }
    unsigned per_line = f.kind == 'c' ? 8 : 16 / f.size;
    if (f.size == 1) per_line = 8;
    for (u64 i = 0; i < f.count; i++, addr += f.size) {
        u8 b[8] = {0};
        if (!look(addr, b, f.size, phys)) {
            mon_fail(a, "%s0x%016llx: no memory there", i % per_line ? "\n" : "", (unsigned long long)addr);
            return;
        }
        if (i % per_line == 0) buf_printf(a->out, "%016llx:", (unsigned long long)addr);
        buf_printf(a->out, " ");
        print_value(a->out, ld64(b), f.kind, f.size, true);
        if (i % per_line == per_line - 1 || i == f.count - 1) buf_printf(a->out, "\n");
    }
    last_addr = addr;
}
void mon_x(struct mon_call *a) { dump(a, false); }
void mon_xp(struct mon_call *a) { dump(a, true); }

void mon_print_string(struct mon_call *a)
{
    u64 addr;
    if (mon_number(a, "address", a->rest, &addr)) dump_text(a, addr, 1, false);
}

void mon_gva2gpa(struct mon_call *a)
{
    u64 addr, pa;
    if (!mon_number(a, "address", a->rest, &addr)) return;
    if (mmu_peek(mon_the_cpu(), addr, &pa))
        buf_printf(a->out, "gpa: 0x%llx\n", (unsigned long long)pa);
    else
        buf_printf(a->out, "Unmapped\n");
}

void mon_print(struct mon_call *a)
{
    u64 v;
    struct format f = {1, 'x', 8};
    if (*a->fmt && !parse_format(a, &f)) return;
    if (!mon_number(a, "print", a->rest, &v)) return;
    if (f.kind == 'x')
        buf_printf(a->out, "0x%llx\n", (unsigned long long)v);
    else {
        print_value(a->out, v, f.kind, 8, false);
        buf_printf(a->out, "\n");
    }
}

static void save(struct mon_call *a, bool phys)
{
    u64 addr, n;
    u8 page[4096];
    if (!mon_number(a, "address", a->argv[0], &addr) || !mon_number(a, "size", a->argv[1], &n)) return;
    FILE *f = fopen(a->argv[2], "wb");
    if (!f) {
        mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
        return;
    }
    while (n && !a->failed) {
        u64 k = min_u64(n, sizeof page);
        if (!look(addr, page, k, phys))
            mon_fail(a, "0x%llx: no memory there", (unsigned long long)addr);
        else if (fwrite(page, 1, k, f) != k)
            mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
        addr += k;
        n -= k;
    }
    if (fclose(f) && !a->failed) mon_fail(a, "cannot write '%s': %s", a->argv[2], err_errno(errno));
}
void mon_memsave(struct mon_call *a) { save(a, false); }
void mon_pmemsave(struct mon_call *a) { save(a, true); }

// ---- sums and searching

#define CHUNK 4096

// QEMU's `sum`: physical memory, rotate right, add.
void mon_sum(struct mon_call *a)
{
    u64 addr, n;
    u16 sum = 0;
    if (!mon_number(a, "address", a->argv[0], &addr) || !mon_number(a, "size", a->argv[1], &n)) return;
    if (n > 1ull << 32) {
        mon_fail(a, "sum: at most 4 GB at once");
        return;
    }
    for (u8 b[CHUNK]; n;) {
        u64 k = min_u64(n, CHUNK);
        if (!look(addr, b, k, true)) {
            mon_fail(a, "0x%llx: no memory there", (unsigned long long)addr);
            return;
        }
        for (u64 i = 0; i < k; i++) sum = (u16)((sum >> 1 | sum << 15) + b[i]);
        addr += k, n -= k;
    }
    buf_printf(a->out, "%05u\n", sum);
}

void mon_crc(struct mon_call *a)
{
    u64 addr, last;
    unsigned long crc = crc32(0, NULL, 0);
    if (!mon_number(a, "address", a->argv[0], &addr) || !mon_number(a, "address", a->argv[1], &last)) return;
    if (last < addr || last - addr >= 1ull << 32) {
        mon_fail(a, "crc: the last address lies before the first, or more than 4 GB behind it");
        return;
    }
    for (u8 b[CHUNK]; addr <= last;) {
        u64 k = min_u64(last - addr + 1, CHUNK);
        if (!look(addr, b, k, true)) {
            mon_fail(a, "0x%llx: no memory there", (unsigned long long)addr);
            return;
        }
        crc = crc32(crc, b, (unsigned)k);
        addr += k;
    }
    buf_printf(a->out, "0x%08lx\n", crc);
}

struct pattern {
    u8 b[256];
    unsigned n;
};

// Appends `VALUE "TEXT" …` to the pattern.
static bool parse_pattern(struct mon_call *a, const char *p, unsigned size, struct pattern *to)
{
    for (p += strspn(p, " \t"); *p; p += strspn(p, " \t")) {
        char word[520];
        u8 v[8];
        u64 u = 0;
        size_t n;
        const u8 *from = v;
        if (*p == '"') {
            n = strcspn(++p, "\"");
            from = (const u8 *)p;
            p += n + (p[n] == '"');
        } else {
            size_t len = strcspn(p, " \t");
            snprintf(word, sizeof word, "%.*s", (int)len, p);
            if (!mon_number(a, "value", word, &u)) return false;
            bool negative = (i64)u < 0 && (i64)u >= -(i64)(size_mask(size) / 2) - 1;
            if (u > size_mask(size) && !negative) {
                mon_fail(a, "find: %s does not fit into %u byte%s (/h /w /g: 2, 4, 8)", word, size,
                         size > 1 ? "s" : "");
                return false;
            }
            st64(v, u);
            n = size;
            p += len;
        }
        if (to->n + n > sizeof to->b) {
            mon_fail(a, "find: the pattern is longer than %zu bytes", sizeof to->b);
            return false;
        }
        memcpy(to->b + to->n, from, n);
        to->n += (unsigned)n;
    }
    if (to->n) return true;
    mon_fail(a, "find: a value or \"text\" is missing");
    return false;
}

// First address behind addr, where nothing is, that something may be at; ~0: nothing is. 0: addr is on the last page.
static u64 after_hole(u64 addr, bool phys)
{
    struct cpu *c = mon_the_cpu();
    struct pt_walk w;
    u64 next = (addr | 0xfff) + 1, best = ~(u64)0;
    if (!phys && pagewalk_kind(c)) {
        pagewalk(c, addr, &w);
        return w.mapped || !w.n ? next : (addr | ((1ull << w.level[w.n - 1].shift) - 1)) + 1;
    }
    const struct phys *p = &vm.pc->m.bus.phys;
    for (u32 i = 0; i < p->nmap; i++) {
        if (p->map[i].first <= addr && addr <= p->map[i].last) return next; // a device
        if (p->map[i].first > addr) best = min_u64(best, p->map[i].first);
    }
    return best;
}

// What lies where no memory is matches nothing; a match may cross pages.
static u64 find_in(struct mon_call *a, u64 addr, u64 len, const struct pattern *k, bool phys, u64 max)
{
    u8 b[CHUNK + sizeof k->b];
    u64 hits = 0, have = 0; // bytes of b that are filled; b[0] is at addr
    for (u64 left = len; (left || have >= k->n) && hits < max;) {
        u64 n = min_u64(min_u64(left, CHUNK), PAGE_SIZE - ((addr + have) & 0xfff));
        bool ok = !n || look(addr + have, b + have, n, phys);
        if (!ok) {
            u64 to = after_hole(addr + have, phys), skip = ~to ? min_u64(left, to - (addr + have)) : left;
            addr += have + skip;
            left -= skip;
            have = 0;
            continue;
        }
        left -= n;
        have += n;
        u64 i = 0;
        for (; have - i >= k->n && have > i && hits < max; i++)
            if (!memcmp(b + i, k->b, k->n)) {
                const char *name = phys ? "" : symbol_text(mon_the_cpu(), addr + i);
                buf_printf(a->out, "0x%016llx%s%s%s\n", (unsigned long long)(addr + i), *name ? " <" : "", name,
                           *name ? ">" : "");
                hits++;
            }
        addr += i;
        have -= i;
        memmove(b, b + i, have);
    }
    return hits;
}

void mon_find(struct mon_call *a)
{
    struct pattern k = {.n = 0};
    u64 max = 100, addr, len, digits = strspn(a->fmt, "0123456789");
    const char *kind = a->fmt + digits, *rest = a->rest;
    unsigned size = !*kind || *kind == 'b' ? 1 : *kind == 'h' ? 2 : *kind == 'w' ? 4 : *kind == 'g' ? 8 : 0;
    bool phys = !strcmp(a->argv[0], "-p");
    if (!size || (*kind && kind[1])) {
        mon_fail(a, "find: '/%s' is not a count and one of b h w g (1, 2, 4, 8 bytes)", a->fmt);
        return;
    }
    if (digits) max = strtoull(a->fmt, NULL, 10);
    if (a->argc < 3 + phys) {
        mon_fail(a, "find: an argument is missing: find [/FMT] [-p] ADDR LEN VALUE|\"TEXT\" …");
        return;
    }
    if (!mon_number(a, "address", a->argv[phys], &addr) || !mon_number(a, "length", a->argv[phys + 1], &len)) return;
    if (len > 1ull << 40) {
        mon_fail(a, "find: at most 1 TB at once");
        return;
    }
    if (addr) len = min_u64(len, -addr); // the address space ends
    for (int i = 0; i < 2 + phys; i++) {
        rest += strcspn(rest, " \t");
        rest += strspn(rest, " \t");
    }
    if (!parse_pattern(a, rest, size, &k)) return;
    if (!find_in(a, addr, len, &k, phys, max)) buf_printf(a->out, "not found\n");
}

void mon_ptime(struct mon_call *a)
{
    buf_printf(a->out, "ptime: %llu instructions, %llu ns\n", (unsigned long long)machine_icount(&vm.pc->m),
               (unsigned long long)clock_now(&vm.pc->m.bus.clock));
}

// ---- ports

static bool port_args(struct mon_call *a, unsigned *size, u64 *port)
{
    *size = *a->fmt == 'w' ? 4 : *a->fmt == 'h' ? 2 : 1;
    if (*a->fmt && (!strchr("bhw", *a->fmt) || a->fmt[1])) {
        mon_fail(a, "a port has /b (8), /h (16) or /w (32 bits)");
        return false;
    }
    if (!mon_number(a, "port", a->argv[0], port)) return false;
    if (*port <= 0xffff) return true;
    mon_fail(a, "ports are 0 to 0xffff");
    return false;
}
void mon_in(struct mon_call *a)
{
    unsigned size;
    u64 port;
    if (port_args(a, &size, &port))
        buf_printf(a->out, "port%c[0x%04llx] = 0x%0*x\n", "bbhww"[size], (unsigned long long)port, (int)size * 2,
                   bus_in(&vm.pc->m.bus, (u16)port, size));
}
void mon_out(struct mon_call *a)
{
    unsigned size;
    u64 port, v;
    if (port_args(a, &size, &port) && mon_number(a, "value", a->argv[1], &v))
        bus_out(&vm.pc->m.bus, (u16)port, (u32)v, size);
}

void mon_ring(struct mon_call *a)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return;
    log_ring_print(&vm.pc->m.bus.log, f, LOG_RING);
    fclose(f);
    buf_add(a->out, text, n);
    free(text);
}
