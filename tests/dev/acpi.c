// SPDX-License-Identifier: MIT
// ACPI tables as firmware links them: the loader script is run here as SeaBIOS does, then the tables are walked from
// the RSDP as an operating system does. iasl, where there is one, must take the DSDT.
#include <sys/wait.h>
#include <unistd.h>
#include "hw/chip/acpi_tables.h"
#include "hw/chip/smbios.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "tests/check.h"

#define AT 0x1fe0000u // where the tables come to lie
struct host {
    struct bus bus;
    struct fw_cfg *f;
    u8 tables[32768], rsdp[20];
    size_t n;
};
static bool sum_ok(const u8 *p, size_t n)
{
    u8 s = 0;
    for (size_t i = 0; i < n; i++) s += p[i];
    return !s;
}
static u8 *file_of(struct host *h, const char *name)
{
    if (!strcmp(name, "etc/acpi/tables")) return h->tables;
    if (!strcmp(name, "etc/acpi/rsdp")) return h->rsdp;
    CHECK(!"a file of that name");
    return h->tables;
}
static void run_script(struct host *h)
{
    size_t n;
    const u8 *s = fw_cfg_find(h->f, "etc/table-loader", &n);
    CHECK(s && n % 128 == 0);
    int allocated = 0;
    for (size_t i = 0; s && i < n; i += 128) {
        const u8 *c = s + i;
        u8 *d = file_of(h, (char *)c + 4);
        u32 cmd = ld32(c), sum = 0;
        if (cmd == 1) {
            allocated++;
            CHECK(is_pow2(ld32(c + 60)) && (c[64] == 1 || c[64] == 2));
        } else if (cmd == 2) {
            CHECK(!strcmp((char *)c + 60, "etc/acpi/tables") && c[120] == 4);
            d += ld32(c + 116);
            CHECK(ld32(d) < h->n);
            st32(d, ld32(d) + AT);
        } else {
            CHECK_EQ(cmd, 3);
            u32 at = ld32(c + 60), start = ld32(c + 64), len = ld32(c + 68);
            CHECK(at >= start && at < start + len);
            for (u32 k = 0; k < len; k++) sum += d[start + k];
            d[at] -= sum;
        }
    }
    CHECK_EQ(allocated, 2);
}
static struct host *make(unsigned cpus, bool all)
{
    struct host *h = xalloc(sizeof *h);
    bus_init(&h->bus);
    h->f = fw_cfg_new(&h->bus);
    struct acpi_opts o = {.cpus = cpus,
                          .below_4g = 512 << 20,
                          .pm_base = 0x600,
                          .hpet = all,
                          .floppy = all,
                          .serial = {true, all, all, all},
                          .parallel = {all, all, all}};
    acpi_tables_add(h->f, &o);
    size_t n;
    const u8 *t = fw_cfg_find(h->f, "etc/acpi/tables", &h->n), *r = fw_cfg_find(h->f, "etc/acpi/rsdp", &n);
    CHECK(t && h->n < sizeof h->tables && r && n == 20);
    memcpy(h->tables, t, h->n);
    memcpy(h->rsdp, r, 20);
    run_script(h);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static u8 *at(struct host *h, u32 pa)
{
    CHECK(pa >= AT && pa < AT + h->n);
    return h->tables + (pa >= AT && pa < AT + h->n ? pa - AT : 0);
}
static u8 *find(struct host *h, const char *sig)
{
    u8 *rsdt = at(h, ld32(h->rsdp + 16)), *t;
    for (u32 i = 36; i < ld32(rsdt + 4); i += 4)
        if (!memcmp(t = at(h, ld32(rsdt + i)), sig, 4)) return t;
    return NULL;
}

static void links_and_sums(void)
{
    struct host *h = make(4, true);
    CHECK(!memcmp(h->rsdp, "RSD PTR ", 8) && sum_ok(h->rsdp, 20));
    u8 *rsdt = at(h, ld32(h->rsdp + 16));
    CHECK(!memcmp(rsdt, "RSDT", 4) && sum_ok(rsdt, ld32(rsdt + 4)));
    CHECK_EQ(ld32(rsdt + 4), 36 + 4 * 4);
    for (u32 i = 36; i < ld32(rsdt + 4); i += 4) {
        u8 *t = at(h, ld32(rsdt + i));
        CHECK(range_ok((u64)(t - h->tables), ld32(t + 4), h->n) && sum_ok(t, ld32(t + 4)));
    }
    u8 *f = find(h, "FACP"), *hp = find(h, "HPET");
    CHECK(f && hp && find(h, "WAET"));
    u8 *dsdt = at(h, ld32(f + 40)), *facs = at(h, ld32(f + 36));
    CHECK(!memcmp(dsdt, "DSDT", 4) && sum_ok(dsdt, ld32(dsdt + 4)));
    CHECK(!memcmp(facs, "FACS", 4) && ld32(facs + 4) == 64 && (facs - h->tables) % 64 == 0);
    CHECK_EQ(ld64(hp + 44), 0xfed00000);
    done(h);
    h = make(1, false);
    CHECK(!find(h, "HPET"));
    done(h);
}
static void fadt_fields(void)
{
    struct host *h = make(1, true);
    u8 *f = find(h, "FACP");
    CHECK_EQ(ld32(f + 4), 244);
    CHECK_EQ(ld16(f + 46), 9);
    CHECK_EQ(ld32(f + 48), 0xb2);
    CHECK_EQ(f[52], 0xf1);
    CHECK_EQ(f[53], 0xf0);
    CHECK_EQ(ld32(f + 56), 0x600);
    CHECK_EQ(ld32(f + 64), 0x604);
    CHECK_EQ(ld32(f + 76), 0x608);
    CHECK_EQ(ld32(f + 112) & (1 << 4 | 1 << 8), 0); // a power button, a timer of 24 bits
    CHECK_EQ(ld32(f + 112) >> 10 & 1, 1);
    CHECK_EQ(ld64(f + 120), 0xcf9);
    CHECK_EQ(f[128] & 4, 4);
    CHECK_EQ(ld64(f + 212), 0x608);
    done(h);
}
static void madt_entries(void)
{
    struct host *h = make(4, true);
    u8 *m = find(h, "APIC");
    int cpus = 0, ioapics = 0, level = 0, timer = 0;
    CHECK_EQ(ld32(m + 36), 0xfee00000);
    for (u32 i = 44; i < ld32(m + 4); i += m[i + 1]) {
        if (m[i + 1] < 6) break;
        if (m[i] == 0) CHECK_EQ(m[i + 3], cpus++);
        if (m[i] == 1) ioapics += ld32(m + i + 4) == 0xfec00000;
        if (m[i] == 2 && m[i + 3] == 0) timer = ld32(m + i + 4);
        if (m[i] == 2 && ld16(m + i + 8) == 0x0d) level |= 1 << m[i + 3];
    }
    CHECK_EQ(cpus, 4);
    CHECK_EQ(ioapics, 1);
    CHECK_EQ(timer, 2);
    CHECK_EQ(level, 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11);
    done(h);
}
// Disassembles the DSDT, looks for what must be in it, and compiles the text again.
static void dsdt_by_iasl(void)
{
    char dir[] = "/tmp/doppel-acpi-XXXXXX", cmd[600];
    if (system("command -v iasl >/dev/null 2>&1")) SKIP("no iasl");
    if (!mkdtemp(dir)) SKIP("no temporary directory");
    struct host *h = make(4, true);
    u8 *d = at(h, ld32(find(h, "FACP") + 40));
    snprintf(cmd, sizeof cmd, "%s/dsdt.aml", dir);
    FILE *f = fopen(cmd, "wb");
    CHECK(f && fwrite(d, 1, ld32(d + 4), f) == ld32(d + 4) && !fclose(f));
    snprintf(
        cmd, sizeof cmd,
        "cd %s && iasl -d dsdt.aml >log 2>&1 && iasl -vw 3168 -p again dsdt.dsl >>log 2>&1 && grep -q '0 Errors, 0 "
        "Warnings' log",
        dir);
    int st = system(cmd);
    CHECK_EQ(WEXITSTATUS(st), 0);
    static const char *const want[] = {"Device (PCI0)",   "EisaId (\"PNP0A03\"", "_PRT", "0x001FFFFF",
                                       "Device (LNKD)",   "Device (COM4)",       "_S5",  "\\_SB.LNKC",
                                       "Processor (C003", "Device (HPET)",       "FDC0", "PRQ3,",
                                       "0x20000000,",     "0xFEBFFFFF,",         "LPT3", "Method (_SRS, 1"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        snprintf(cmd, sizeof cmd, "grep -qF '%s' %s/dsdt.dsl", want[i], dir);
        if (system(cmd)) printf("# not found: %s\n", want[i]);
        CHECK_EQ(system(cmd), 0);
    }
    if (check_ctx.bad) {
        snprintf(cmd, sizeof cmd, "grep -A3 -i 'error\\|warning' %s/log | head -20", dir);
        if (system(cmd)) printf("# no log\n");
    }
    if (!getenv("KEEP")) {
        snprintf(cmd, sizeof cmd, "rm -r %s", dir);
        CHECK_EQ(system(cmd), 0);
    }
    done(h);
}

// Walks the SMBIOS structures as firmware and dmidecode do (DSP0134 6.1.3).
static void smbios(void)
{
    struct host *h = make(1, true);
    struct smbios_opts o = {.cpus = 3, .below_4g = 3ull << 30, .above_4g = 2ull << 30};
    smbios_add(h->f, &o);
    size_t n, m, at = 0, count = 0, longest = 0, cpus = 0, mapped = 0;
    const u8 *t = fw_cfg_find(h->f, "etc/smbios/smbios-tables", &n),
             *a = fw_cfg_find(h->f, "etc/smbios/smbios-anchor", &m);
    CHECK(t && a && m == 31 && !memcmp(a, "_SM_", 4) && !memcmp(a + 16, "_DMI_", 5));
    while (at + 4 <= n) {
        const u8 *p = t + at;
        size_t len = p[1];
        if (p[0] == 1) CHECK_STR((const char *)p + len, "doppel");
        if (p[0] == 17) CHECK_EQ(ld16(p + 12), 5 << 10);
        cpus += p[0] == 4;
        if (p[0] == 19) mapped += ld32(p + 8) - ld32(p + 4) + 1;
        while (at + len + 2 <= n && (p[len] || p[len + 1])) len++;
        count++, at += len + 2;
        if (len + 2 > longest) longest = len + 2;
        if (p[0] == 127) break;
    }
    CHECK_EQ(at, n);
    CHECK_EQ(count, ld16(a + 28));
    CHECK_EQ(longest, ld16(a + 8));
    CHECK_EQ(n, ld16(a + 22));
    CHECK_EQ(cpus, 3);
    CHECK_EQ(mapped, 5 << 20);
    done(h);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(links_and_sums), TEST(fadt_fields), TEST(madt_entries),
                                              TEST(dsdt_by_iasl), TEST(smbios)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
