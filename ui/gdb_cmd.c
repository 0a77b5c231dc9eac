// SPDX-License-Identifier: MIT
// What gdb's packets mean: registers, memory, threads, queries. gdb manual E.2 to E.4; QEMU's own packets (PhyMemMode,
// sstepbits) as its manual has them. Left out: non-stop mode, tracepoints, file I/O, agent expressions. A packet that
// is not known gets the empty reply, as the protocol asks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/mmu.h"
#include "mem/base/bits.h"
#include "ui/gdb.h"
#include "ui/monitor.h"
#include "ui/vm.h"

#define HEX_MAX ((GDB_PACKET - 16) / 2) // bytes that a reply in hexadecimal digits holds
#define CRC_MAX (256ull << 20)

struct cpu *gdb_cpu(struct gdb *g) { return vm.pc->m.cpu[g->cpu_g]; }

// ---- arguments

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

// A number of 1 to 16 hexadecimal digits at *p, which moves behind it.
static bool hex(char **p, u64 *v)
{
    unsigned n = 0;
    for (*v = 0; hex_digit(**p) >= 0; (*p)++, n++) *v = *v << 4 | (u64)hex_digit(**p);
    return n >= 1 && n <= 16;
}

static bool sep(char **p, char c)
{
    if (**p != c) return false;
    (*p)++;
    return true;
}

// Exactly n bytes from 2n digits.
static bool bytes(const char *p, u8 *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(p[2 * i]), lo = hi < 0 ? -1 : hex_digit(p[2 * i + 1]);
        if (lo < 0) return false;
        to[i] = (u8)(hi << 4 | lo);
    }
    return true;
}

static void put_bytes(struct buf *out, const u8 *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        buf_u8(out, (u8)digits[p[i] >> 4]);
        buf_u8(out, (u8)digits[p[i] & 15]);
    }
}

static void send_buf(struct gdb *g, struct buf *b)
{
    gdb_send_bytes(g, b->data, b->len);
    buf_free(b);
}

enum { THREAD_ALL = -1, THREAD_ANY = 0, THREAD_NONE = -2 };
// Thread n is CPU n - 1. "-1" all, "0" any.
static int thread(char **p)
{
    u64 v;
    if (**p == '-' && (*p)[1] == '1') return *p += 2, THREAD_ALL;
    if (!hex(p, &v) || v > vm.pc->m.ncpus) return THREAD_NONE;
    return (int)v;
}

// ---- registers

static void read_registers(struct gdb *g, char *a, size_t len)
{
    struct cpu *c = gdb_cpu(g);
    struct buf out = {0};
    u8 b[GDB_REG_MAX];
    for (unsigned i = 0, n = gdb_reg_count(c); i < n; i++) {
        gdb_reg_get(c, &g->view, i, b);
        put_bytes(&out, b, gdb_reg_size(c, i));
    }
    send_buf(g, &out);
}

// The packet holds all registers, some twice (RAX and EAX): only what differs from the present value is written.
static void write_registers(struct gdb *g, char *a, size_t len)
{
    struct cpu *c = gdb_cpu(g);
    struct {
        u8 old[GDB_REG_MAX], now[GDB_REG_MAX];
        bool given;
    } r[128] = {0};
    unsigned n = (unsigned)min_u64(gdb_reg_count(c), ARRAY_LEN(r));
    bool ok = true;
    for (unsigned i = 0; i < n; i++) {
        unsigned size = gdb_reg_size(c, i);
        if (!bytes(a, r[i].now, size)) break; // the rest is left alone ('x': unavailable)
        gdb_reg_get(c, &g->view, i, r[i].old);
        r[i].given = true;
        a += 2 * size;
    }
    for (unsigned i = 0; i < n; i++)
        if (r[i].given && memcmp(r[i].old, r[i].now, gdb_reg_size(c, i))) ok &= gdb_reg_set(c, &g->view, i, r[i].now);
    if (ok && r[0].given)
        gdb_send(g, "OK");
    else
        gdb_error(g, GDB_EINVAL);
}

static void read_register(struct gdb *g, char *a, size_t len)
{
    u64 n;
    u8 b[GDB_REG_MAX];
    struct buf out = {0};
    unsigned size = hex(&a, &n) && n < 1000 ? gdb_reg_size(gdb_cpu(g), (unsigned)n) : 0;
    if (!size) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    gdb_reg_get(gdb_cpu(g), &g->view, (unsigned)n, b);
    put_bytes(&out, b, size);
    send_buf(g, &out);
}

static void write_register(struct gdb *g, char *a, size_t len)
{
    u64 n;
    u8 b[GDB_REG_MAX];
    unsigned size = hex(&a, &n) && n < 1000 && sep(&a, '=') ? gdb_reg_size(gdb_cpu(g), (unsigned)n) : 0;
    if (size && bytes(a, b, size) && gdb_reg_set(gdb_cpu(g), &g->view, (unsigned)n, b))
        gdb_send(g, "OK");
    else
        gdb_error(g, GDB_EINVAL);
}

// ---- memory

static bool mem_read(struct gdb *g, u64 addr, u8 *to, u64 n)
{
    struct cpu *c = gdb_cpu(g);
    if (g->view.phys) return bus_peek(c->bus, addr, to, n);
    return mmu_debug_read(c, c->mode & MODE_LMA ? addr : (u32)addr, to, n);
}

static bool mem_write(struct gdb *g, u64 addr, const u8 *from, u64 n)
{
    struct cpu *c = gdb_cpu(g);
    if (g->view.phys) return bus_poke(c->bus, addr, from, n);
    return mmu_debug_write(c, c->mode & MODE_LMA ? addr : (u32)addr, from, n);
}

// Piecewise up to the first page that is not there; returns how many bytes were read.
static u64 read_some(struct gdb *g, u64 addr, u8 *to, u64 n)
{
    u64 done = 0;
    while (done < n) {
        u64 k = min_u64(n - done, PAGE_SIZE - ((addr + done) & 0xfff));
        if (!mem_read(g, addr + done, to + done, k)) break;
        done += k;
    }
    return done;
}

static void read_memory(struct gdb *g, char *a, size_t len)
{
    u64 addr, n;
    u8 b[HEX_MAX];
    struct buf out = {0};
    if (!hex(&a, &addr) || !sep(&a, ',') || !hex(&a, &n)) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    u64 want = min_u64(n, HEX_MAX), got = read_some(g, addr, b, want);
    if (want && !got) {
        gdb_error(g, GDB_EFAULT);
        return;
    }
    put_bytes(&out, b, got);
    send_buf(g, &out);
}

static void store(struct gdb *g, u64 addr, const u8 *p, u64 n)
{
    if (!n || mem_write(g, addr, p, n))
        gdb_send(g, "OK");
    else
        gdb_error(g, GDB_EFAULT);
}

static void write_memory(struct gdb *g, char *a, size_t len)
{
    u64 addr, n;
    u8 b[HEX_MAX];
    if (!hex(&a, &addr) || !sep(&a, ',') || !hex(&a, &n) || !sep(&a, ':') || n > sizeof b || !bytes(a, b, n))
        gdb_error(g, GDB_EINVAL);
    else
        store(g, addr, b, n);
}

static void write_binary(struct gdb *g, char *a, size_t len)
{
    u64 addr, n;
    char *end = a + len;
    if (!hex(&a, &addr) || !sep(&a, ',') || !hex(&a, &n) || !sep(&a, ':') || n != (u64)(end - a))
        gdb_error(g, GDB_EINVAL);
    else
        store(g, addr, (const u8 *)a, n);
}

// compare-sections: the CRC of gdb manual E.9, MSB first, polynomial 04C11DB7h, from all ones, not inverted.
static void query_crc(struct gdb *g, char *a, size_t len)
{
    u64 addr, n;
    u8 b[4096];
    u32 crc = 0xffffffff, table[256];
    if (!hex(&a, &addr) || !sep(&a, ',') || !hex(&a, &n) || n > CRC_MAX) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    for (u32 i = 0; i < 256; i++) {
        table[i] = i << 24;
        for (int bit = 0; bit < 8; bit++) table[i] = table[i] & 0x80000000 ? table[i] << 1 ^ 0x04c11db7 : table[i] << 1;
    }
    while (n) {
        u64 k = min_u64(n, sizeof b - (addr & 0xfff));
        if (!mem_read(g, addr, b, k)) {
            gdb_error(g, GDB_EFAULT);
            return;
        }
        for (u64 i = 0; i < k; i++) crc = crc << 8 ^ table[crc >> 24 ^ b[i]];
        addr += k;
        n -= k;
    }
    gdb_send(g, "C%08x", crc);
}

// ---- threads

static void set_thread(struct gdb *g, char *a, size_t len)
{
    char op = *a ? *a++ : 0;
    int t = thread(&a);
    if (t == THREAD_NONE || (op != 'g' && op != 'c')) {
        gdb_error(g, op == 'g' || op == 'c' ? GDB_ESRCH : GDB_EINVAL);
        return;
    }
    if (op == 'g' && t > 0) g->cpu_g = (unsigned)t - 1;
    if (op == 'c') g->cpu_c = t > 0 ? (unsigned)t - 1 : MACHINE_MAX_CPUS;
    gdb_send(g, "OK");
}

static void thread_alive(struct gdb *g, char *a, size_t len)
{
    if (thread(&a) > 0)
        gdb_send(g, "OK");
    else
        gdb_error(g, GDB_ESRCH);
}

static void query_current(struct gdb *g, char *a, size_t len) { gdb_send(g, "QC%x", g->cpu_g + 1); }

static void query_threads(struct gdb *g, char *a, size_t len)
{
    struct buf out = {0};
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) buf_printf(&out, "%c%x", i ? ',' : 'm', i + 1);
    send_buf(g, &out);
}
static void query_more_threads(struct gdb *g, char *a, size_t len) { gdb_send(g, "l"); }

static const char *halt_name(const struct cpu *c)
{
    static const char *const names[] = {[CPU_RUNNING] = "running",
                                        [CPU_HALTED] = "halted",
                                        [CPU_WAIT_SIPI] = "waits for SIPI",
                                        [CPU_SHUTDOWN] = "shut down"};
    return names[c->halt];
}

static void query_thread_info(struct gdb *g, char *a, size_t len)
{
    char text[40];
    struct buf out = {0};
    int t = thread(&a);
    if (t <= 0) {
        gdb_error(g, GDB_ESRCH);
        return;
    }
    snprintf(text, sizeof text, "CPU#%d [%s]", t - 1, halt_name(vm.pc->m.cpu[t - 1]));
    put_bytes(&out, (const u8 *)text, strlen(text));
    send_buf(g, &out);
}

// ---- qXfer: objects that are read in pieces

static bool xfer_features(struct gdb *g, const char *annex, struct buf *out)
{
    if (strcmp(annex, "target.xml")) return false;
    gdb_target_xml(gdb_cpu(g), &g->view, out);
    return true;
}

// By linear address anything may be anywhere at any time, so all of it is memory; by physical address it is what the
// bus says. A length of 2^63 from 2^63 on is what gdb takes for "to the end".
static bool xfer_memory_map(struct gdb *g, const char *annex, struct buf *out)
{
    struct bus *b = &vm.pc->m.bus;
    if (*annex) return false;
    buf_printf(out,
               "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
               "\"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n");
    if (!g->view.phys)
        buf_printf(out, "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>\n"
                        "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>\n");
    for (u32 i = 0; g->view.phys && i < b->phys.nmap; i++) {
        const struct range *r = &b->phys.map[i];
        if (r->rd && r->rd->kind == REGION_RAM)
            buf_printf(out, "<memory type=\"%s\" start=\"0x%llx\" length=\"0x%llx\"/>\n",
                       r->wr && r->wr->kind == REGION_RAM && !r->wr->ram->rom ? "ram" : "rom",
                       (unsigned long long)r->first, (unsigned long long)(r->last - r->first + 1));
    }
    buf_printf(out, "</memory-map>\n");
    return true;
}

static bool xfer_threads(struct gdb *g, const char *annex, struct buf *out)
{
    if (*annex) return false;
    buf_printf(out, "<?xml version=\"1.0\"?>\n<threads>\n");
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++)
        buf_printf(out, "<thread id=\"%x\" core=\"%u\" name=\"CPU#%u\">%s</thread>\n", i + 1, i, i,
                   halt_name(vm.pc->m.cpu[i]));
    buf_printf(out, "</threads>\n");
    return true;
}

static const struct xfer {
    const char *object;
    bool (*make)(struct gdb *g, const char *annex, struct buf *out);
} xfers[] = {{"features", xfer_features}, {"memory-map", xfer_memory_map}, {"threads", xfer_threads}};

// object:read:annex:offset,length. The object is made anew when its beginning is read.
static void query_xfer(struct gdb *g, char *a, size_t len)
{
    char *object = strtok_r(a, ":", &a), *annex = NULL;
    const struct xfer *x = NULL;
    u64 off, n;
    for (unsigned i = 0; object && i < ARRAY_LEN(xfers); i++)
        if (!strcmp(object, xfers[i].object)) x = &xfers[i];
    if (!x || strncmp(a, "read:", 5)) {
        gdb_send(g, "%s", "");
        return;
    }
    annex = a + 5;
    a = strchr(annex, ':');
    if (a) *a++ = 0;
    if (!a || !hex(&a, &off) || !sep(&a, ',') || !hex(&a, &n)) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    if (!off) {
        buf_free(&g->doc);
        if (!x->make(g, annex, &g->doc)) {
            gdb_send(g, "E00");
            return;
        }
    }
    if (off > g->doc.len) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    u64 k = min_u64(min_u64(n, g->doc.len - off), HEX_MAX); // escapes may double it
    struct buf out = {0};
    buf_u8(&out, off + k < g->doc.len ? 'm' : 'l');
    buf_add(&out, g->doc.data + off, k);
    send_buf(g, &out);
}

// ---- other queries

static void query_supported(struct gdb *g, char *a, size_t len)
{
    g->swbreak = strstr(a, "swbreak+") != NULL;
    g->hwbreak = strstr(a, "hwbreak+") != NULL;
    gdb_send(g,
             "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+;"
             "vContSupported+;swbreak+;hwbreak+",
             GDB_PACKET);
}

static void start_no_ack(struct gdb *g, char *a, size_t len)
{
    gdb_send(g, "OK"); // the last one that is acknowledged; the '+' finds an idle line
    g->noack = true;
}

// What the command prints goes to gdb's console, in as many O packets as it takes.
static void monitor_command(struct gdb *g, char *a, size_t len)
{
    char line[1024];
    size_t n = strlen(a) / 2;
    struct buf out = {0};
    if (n >= sizeof line || strlen(a) % 2 || !bytes(a, (u8 *)line, n)) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    line[n] = 0;
    monitor_run(line, &out);
    for (size_t at = 0; at < out.len;) {
        struct buf piece = {0};
        size_t k = min_u64(out.len - at, HEX_MAX);
        buf_u8(&piece, 'O');
        put_bytes(&piece, out.data + at, k);
        send_buf(g, &piece);
        at += k;
    }
    buf_free(&out);
    gdb_send(g, "OK");
}

static void query_offsets(struct gdb *g, char *a, size_t len) { gdb_send(g, "Text=0;Data=0;Bss=0"); }
static void query_attached(struct gdb *g, char *a, size_t len) { gdb_send(g, "1"); }
static void answer_ok(struct gdb *g, char *a, size_t len) { gdb_send(g, "OK"); }
static void answer_nothing(struct gdb *g, char *a, size_t len) { gdb_send(g, "%s", ""); }
static void qemu_supported(struct gdb *g, char *a, size_t len) { gdb_send(g, "sstepbits;sstep;PhyMemMode"); }
static void qemu_bits(struct gdb *g, char *a, size_t len)
{
    gdb_send(g, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", GDB_STEP_ENABLE, GDB_STEP_NOIRQ, GDB_STEP_NOTIMER);
}
static void qemu_step(struct gdb *g, char *a, size_t len) { gdb_send(g, "0x%x", g->sstep); }
static void qemu_phys(struct gdb *g, char *a, size_t len) { gdb_send(g, "%d", g->view.phys); }
static void linear(struct gdb *g, char *a, size_t len) { gdb_send(g, "%d", g->view.linear); }

static void set_qemu_step(struct gdb *g, char *a, size_t len)
{
    u64 v;
    if (a[0] == '0' && a[1] == 'x') a += 2;
    if (!hex(&a, &v) || *a || v & ~(u64)7) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    g->sstep = (u32)v;
    gdb_send(g, "OK");
}

static void set_flag(struct gdb *g, const char *a, bool *flag)
{
    if ((*a != '0' && *a != '1') || a[1]) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    *flag = *a == '1';
    gdb_send(g, "OK");
}
static void set_qemu_phys(struct gdb *g, char *a, size_t len) { set_flag(g, a, &g->view.phys); }
static void set_linear(struct gdb *g, char *a, size_t len) { set_flag(g, a, &g->view.linear); }

// ---- run and stop

static void last_signal(struct gdb *g, char *a, size_t len) { gdb_stop_reply(g); }

// c [addr], s [addr], C sig[;addr], S sig[;addr]: signals mean nothing to a machine.
static void resume_one(struct gdb *g, char *a, bool signal, enum gdb_action what)
{
    enum gdb_action act[MACHINE_MAX_CPUS];
    unsigned c = g->cpu_c < vm.pc->m.ncpus ? g->cpu_c : g->cpu_g;
    u64 v;
    if (signal && (!hex(&a, &v) || (*a && !sep(&a, ';')))) {
        gdb_error(g, GDB_EINVAL);
        return;
    }
    if (*a) { // the number of the PC is that of "rip" or "eip" in gdb_regs.def: the first register behind the general
              // ones
        u8 b[GDB_REG_MAX];
        unsigned pc = gdb_reg_size(gdb_cpu(g), 0) == 8 ? 16 : 8;
        if (!hex(&a, &v) || *a) {
            gdb_error(g, GDB_EINVAL);
            return;
        }
        st64(b, v);
        gdb_reg_set(vm.pc->m.cpu[c], &g->view, pc, b);
    }
    g->range[0] = g->range[1] = 0;
    for (unsigned i = 0; i < MACHINE_MAX_CPUS; i++) act[i] = what == GDB_CONT ? GDB_CONT : GDB_STAY;
    act[c] = what;
    gdb_resume(g, act);
}
static void run_on(struct gdb *g, char *a, size_t len) { resume_one(g, a, false, GDB_CONT); }
static void run_signal(struct gdb *g, char *a, size_t len) { resume_one(g, a, true, GDB_CONT); }
static void step(struct gdb *g, char *a, size_t len) { resume_one(g, a, false, GDB_STEP); }
static void step_signal(struct gdb *g, char *a, size_t len) { resume_one(g, a, true, GDB_STEP); }

static void vcont_query(struct gdb *g, char *a, size_t len) { gdb_send(g, "vCont;c;C;s;S;t;r"); }

// vCont;action[:thread]…: the leftmost action that names a thread is its; a thread that none names stays as it is.
static void vcont(struct gdb *g, char *a, size_t len)
{
    enum gdb_action act[MACHINE_MAX_CPUS] = {GDB_STAY};
    bool named[MACHINE_MAX_CPUS] = {false};
    bool any = false;
    g->range[0] = g->range[1] = 0;
    while (sep(&a, ';')) {
        char op = *a ? *a++ : 0;
        u64 sig;
        int t = THREAD_ALL;
        bool ok = op && strchr("cCsStr", op) && ((op != 'C' && op != 'S') || hex(&a, &sig));
        if (op == 'r') ok = hex(&a, &g->range[0]) && sep(&a, ',') && hex(&a, &g->range[1]);
        if (ok && sep(&a, ':')) ok = (t = thread(&a)) != THREAD_NONE;
        if (!ok || (*a && *a != ';')) {
            gdb_error(g, GDB_EINVAL);
            return;
        }
        for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
            if (named[i] || (t > 0 && (unsigned)t != i + 1)) continue;
            named[i] = true;
            act[i] = op == 't' ? GDB_STAY : (op | 32) == 'c' ? GDB_CONT : GDB_STEP;
            any |= act[i] != GDB_STAY;
        }
    }
    if (*a)
        gdb_error(g, GDB_EINVAL);
    else if (any)
        gdb_resume(g, act);
    else
        gdb_stop_reply(g);
}

static void points(struct gdb *g, char *a, bool insert)
{
    u64 addr, n;
    unsigned type = (unsigned)(*a - '0');
    if (type > 4 || (a++, !sep(&a, ',')) || !hex(&a, &addr) || !sep(&a, ',') || !hex(&a, &n) || (type > 1 && !n))
        gdb_error(g, GDB_EINVAL);
    else if (!insert)
        gdb_remove(g, type, addr, n), gdb_send(g, "OK");
    else if (gdb_insert(g, type, addr, n))
        gdb_send(g, "OK");
    else
        gdb_error(g, GDB_ENOSPC);
}
static void insert_point(struct gdb *g, char *a, size_t len) { points(g, a, true); }
static void remove_point(struct gdb *g, char *a, size_t len) { points(g, a, false); }

static void detach(struct gdb *g, char *a, size_t len)
{
    gdb_send(g, "OK");
    gdb_detach(g);
}

// In extended mode the stub outlives what it debugs, and gdb's `run` kills first: the machine is only reset then.
static void extended(struct gdb *g, char *a, size_t len)
{
    g->extended = true;
    gdb_send(g, "OK");
}

static void kill_machine(struct gdb *g, char *a, size_t len)
{
    bool has_reply = *a == ';'; // vKill
    g->answering = false;
    if (g->extended)
        gdb_reset_machine(g);
    else
        vm_quit(0);
    if (has_reply) gdb_send(g, "OK");
}

static void interrupt(struct gdb *g, char *a, size_t len)
{
    gdb_send(g, "OK");
    gdb_interrupt(g);
}

static void restart(struct gdb *g, char *a, size_t len)
{
    g->answering = false; // R has no reply
    gdb_reset_machine(g);
}
static void run_anew(struct gdb *g, char *a, size_t len)
{
    gdb_reset_machine(g);
    gdb_stop_reply(g);
}

// ---- dispatch: the first name that the packet begins with; a name that ends in ' ' stands alone
static const struct packet {
    const char *name;
    void (*fn)(struct gdb *g, char *a, size_t len);
} packets[] = {
    {"?", last_signal},
    {"!", extended},
    {"g", read_registers},
    {"G", write_registers},
    {"p", read_register},
    {"P", write_register},
    {"m", read_memory},
    {"M", write_memory},
    {"X", write_binary},
    {"c", run_on},
    {"C", run_signal},
    {"s", step},
    {"S", step_signal},
    {"vCont?", vcont_query},
    {"vCont", vcont},
    {"vCtrlC", interrupt},
    {"vKill", kill_machine},
    {"vAttach;", last_signal},
    {"vRun", run_anew},
    {"Z", insert_point},
    {"z", remove_point},
    {"H", set_thread},
    {"T", thread_alive},
    {"D", detach},
    {"k", kill_machine},
    {"R", restart},
    {"qSupported", query_supported},
    {"QStartNoAckMode", start_no_ack},
    {"qXfer:", query_xfer},
    {"qfThreadInfo", query_threads},
    {"qsThreadInfo", query_more_threads},
    {"qThreadExtraInfo,", query_thread_info},
    {"qCRC:", query_crc},
    {"qC", query_current},
    {"qRcmd,", monitor_command},
    {"qAttached", query_attached},
    {"qOffsets", query_offsets},
    {"qSymbol:", answer_ok},
    {"qqemu.Supported", qemu_supported},
    {"qqemu.sstepbits", qemu_bits},
    {"qqemu.sstep", qemu_step},
    {"qqemu.PhyMemMode", qemu_phys},
    {"Qqemu.sstep=", set_qemu_step},
    {"Qqemu.PhyMemMode:", set_qemu_phys},
    {"qdoppel.linear", linear},
    {"Qdoppel.linear:", set_linear},
    {"", answer_nothing},
};

void gdb_packet(struct gdb *g, char *body, size_t len)
{
    const struct packet *p = packets;
    while (strncmp(body, p->name, strlen(p->name))) p++;
    size_t n = strlen(p->name);
    p->fn(g, body + n, len - n);
}
