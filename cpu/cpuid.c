// SPDX-License-Identifier: MIT
// CPU models and the CPUID leaves. SDM vol. 2 CPUID, APM vol. 3 appendix E; names of models and features are QEMU's.
// Models of 64-bit processors call themselves AMD (family 15, as QEMU's qemu64): Linux then sees no need for page-table
// isolation. Leaves out: performance monitoring (Ah), hypervisor leaves other than a signature with +hypervisor.
#include <stdlib.h>
#include "cpu/cpuid.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"

enum { EAX, EBX, ECX, EDX };
static const struct feat_row {
    u32 leaf, subleaf;
    u8 reg, bit;
    const char *name;
} rows[FEAT_COUNT] = {
#define FEAT(name, leaf, subleaf, reg, bit, spelling) [FEAT_##name] = {leaf, subleaf, reg, bit, spelling},
#include "cpu/feat.def"
#undef FEAT
};

// Other spellings of the same feature.
static const char *const aliases[][2] = {
    {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"}, {"pni", "sse3"},           {"xd", "nx"},          {"i64", "lm"},
    {"lzcnt", "abm"},     {"clfsh", "clflush"}, {"pclmuldq", "pclmulqdq"}, {"ffxsr", "fxsr-opt"}, {"sha", "sha-ni"},
};
// Features that QEMU knows and doppel has not: may be switched off, not on.
static const char not_offered[] =
    " 3dnow 3dnowext acpi amd-ssbd amd-stibp arch-capabilities avx avx-vnni avx2 avx512f avx512bw avx512cd "
    "avx512dq avx512er avx512ifma avx512pf avx512vbmi avx512vl cldemote clzero cmp-legacy core-capability cr8legacy "
    "dca "
    "ds ds-cpl dtes64 est extapic f16c fma fma4 fsrc fsrs fzrm gfni hle ia64 ibpb ibrs ibs intel-pt kvm kvmclock la57 "
    "lwp md-clear misalignsse monitor-x mpx movdir64b movdiri mwaitx nodeid-msr npt osvw ospke pbe pcommit pdcm "
    "perfctr-core perfctr-nb pku pmm pmu pn rtm serialize sgx skinit smx spec-ctrl ssbd sse4a stibp svm syscfg tbm tce "
    "tm tm2 virt-ssbd vaes vmx vpclmulqdq waitpkg wbnoinvd wdt xop xsavec xsaveerptr xsaves xgetbv1 xtpr ";

#define AMD64_BRAND "doppel Virtual CPU version 1.0"
#define F_486       "i386 i486 fpu vme pse "
#define F_PENTIUM   F_486 "de tsc msr mce cx8 mmx apic "
#define F_PENTIUM2  F_PENTIUM "pae sep mtrr pge mca cmov pat pse36 fxsr "
#define F_PPRO      "i386 i486 fpu de pse tsc msr mce cx8 pge cmov pat fxsr mmx sse sse2 pae sep apic "
#define F_64        F_PPRO "vme mtrr clflush mca pse36 lm syscall nx sse3 cx16 lahf-lm "
#define F_CLOCK     "invtsc arat tsc-deadline tsc-adjust rdtscp "
#define F_V1        F_PPRO "vme mtrr clflush mca pse36 lm syscall nx mmxext fxsr-opt " F_CLOCK
#define F_V2        F_V1 "sse3 ssse3 sse4.1 sse4.2 popcnt cx16 lahf-lm x2apic "
#define F_CORE2     F_PPRO "vme mtrr clflush mca pse36 ss sse3 ssse3 cx16 lm syscall nx lahf-lm "
#define F_NEHALEM   F_CORE2 "sse4.1 sse4.2 popcnt "
#define F_MAX                                                                                                          \
    F_V2 "aes pclmulqdq sha-ni movbe abm bmi1 bmi2 adx rdrand rdseed fsgsbase clflushopt clwb pdpe1gb pcid invpcid "   \
         "smep smap umip xsave xsaveopt monitor 3dnowprefetch erms fsrm rdpid "
static const struct model_row {
    const char *name, *vendor;
    u8 family, model, stepping;
    u32 level, xlevel;
    u8 phys_bits;
    const char *brand, *feats;
} models[] = {
    {"486", "GenuineIntel", 4, 8, 0, 1, 0, 32, "", F_486},
    {"pentium", "GenuineIntel", 5, 4, 3, 1, 0, 32, "", F_PENTIUM},
    {"pentium2", "GenuineIntel", 6, 5, 2, 2, 0, 36, "", F_PENTIUM2},
    {"pentium3", "GenuineIntel", 6, 8, 3, 3, 0, 36, "", F_PENTIUM2 "sse "},
    {"athlon", "AuthenticAMD", 6, 2, 3, 2, 0x80000008, 36, AMD64_BRAND, F_PPRO "pse36 vme mtrr mca mmxext "},
    {"n270", "GenuineIntel", 6, 28, 2, 10, 0x80000008, 32, "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
     F_PPRO "vme mtrr clflush mca ss sse3 ssse3 monitor movbe nx lahf-lm "},
    {"coreduo", "GenuineIntel", 6, 14, 8, 10, 0x80000008, 32, "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
     F_PPRO "vme mtrr clflush mca ss sse3 monitor nx "},
    {"core2duo", "GenuineIntel", 6, 15, 11, 10, 0x80000008, 36, "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
     F_CORE2 "monitor "},
    {"Conroe", "GenuineIntel", 6, 15, 3, 10, 0x80000008, 40, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)", F_CORE2},
    {"Penryn", "GenuineIntel", 6, 23, 3, 10, 0x80000008, 40, "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
     F_CORE2 "sse4.1 "},
    {"Nehalem", "GenuineIntel", 6, 26, 3, 11, 0x80000008, 40, "Intel Core i7 9xx (Nehalem Class Core i7)", F_NEHALEM},
    {"Westmere", "GenuineIntel", 6, 44, 1, 11, 0x80000008, 40, "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
     F_NEHALEM "aes pclmulqdq arat "},
    {"Opteron_G1", "AuthenticAMD", 15, 6, 1, 5, 0x80000008, 40, "AMD Opteron 240 (Gen 1 Class Opteron)",
     F_PPRO "vme mtrr clflush mca pse36 sse3 lm syscall nx "},
    {"Opteron_G2", "AuthenticAMD", 15, 6, 1, 5, 0x80000008, 40, "AMD Opteron 22xx (Gen 2 Class Opteron)", F_64},
    {"kvm32", "GenuineIntel", 15, 6, 1, 5, 0x80000008, 36, "Common 32-bit KVM processor",
     F_PPRO "vme mtrr clflush mca pse36 sse3 "},
    {"kvm64", "GenuineIntel", 15, 6, 1, 13, 0x80000008, 40, "Common KVM processor",
     F_PPRO "vme mtrr clflush mca pse36 lm syscall nx sse3 cx16 "},
    {"qemu32", "GenuineIntel", 6, 6, 3, 4, 0x80000004, 36, AMD64_BRAND, F_PPRO "sse3 "},
    {"qemu64", "AuthenticAMD", 15, 107, 1, 0x16, 0x80000008, 40, AMD64_BRAND, F_64 F_CLOCK},
    {"x86-64-v1", "AuthenticAMD", 15, 107, 1, 0x16, 0x80000008, 40, AMD64_BRAND, F_V1},
    {"x86-64-v2", "AuthenticAMD", 15, 107, 1, 0x16, 0x80000008, 40, AMD64_BRAND, F_V2},
    {"max", "AuthenticAMD", 15, 107, 1, 0x16, 0x80000008, 40, AMD64_BRAND, F_MAX},
    {"base", "AuthenticAMD", 15, 107, 1, 0, 0, 40, "", "i386 i486 fpu "},
};
#define DEFAULT_MODEL "qemu64"

const char *cpuid_feat_name(enum feat f) { return f < FEAT_COUNT ? rows[f].name : "?"; }

// ---- parsing

// Edit distance with transpositions (optimal string alignment), for "did you mean"; names are short.
static unsigned distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    u8 d[MAX + 1][MAX + 1];
    unsigned n = strlen(a), m = strlen(b);
    if (n > MAX || m > MAX) return ~0u;
    for (unsigned i = 0; i <= n; i++) d[i][0] = i;
    for (unsigned j = 0; j <= m; j++) d[0][j] = j;
    for (unsigned i = 1; i <= n; i++)
        for (unsigned j = 1; j <= m; j++) {
            unsigned v = min_u64(d[i - 1][j] + 1, d[i][j - 1] + 1);
            v = min_u64(v, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) v = min_u64(v, d[i - 2][j - 2] + 1);
            d[i][j] = v;
        }
    return d[n][m];
}

static int feat_find(const char *name)
{
    char n[40];
    size_t len = strlen(name);
    if (len >= sizeof n) return -1;
    for (size_t i = 0; i <= len; i++) n[i] = name[i] == '_' ? '-' : name[i];
    for (unsigned i = 0; i < ARRAY_LEN(aliases); i++)
        if (!strcmp(n, aliases[i][0])) return feat_find(aliases[i][1]);
    for (unsigned i = 0; i < FEAT_COUNT; i++)
        if (!strcmp(n, rows[i].name)) return (int)i;
    return -1;
}

static bool known_elsewhere(const char *name)
{
    char n[48];
    if (strlen(name) > 40) return false;
    snprintf(n, sizeof n, " %s ", name);
    for (char *p = n; *p; p++)
        if (*p == '_') *p = '-';
    return strstr(not_offered, n) != NULL;
}

static const char *nearest_feat(const char *name)
{
    unsigned best = ~0u;
    const char *s = "";
    for (unsigned i = 0; i < FEAT_COUNT; i++) {
        unsigned d = distance(name, rows[i].name);
        if (d < best) best = d, s = rows[i].name;
    }
    return s;
}

static void feat_set(struct cpu_model *m, unsigned f, bool on)
{
    u64 b = (u64)1 << f % 64;
    if (on)
        m->feat[f / 64] |= b;
    else
        m->feat[f / 64] &= ~b;
}

static bool feat_switch(struct cpu_model *m, const char *name, bool on, struct err *e)
{
    int f = feat_find(name);
    if (f >= 0) {
        feat_set(m, f, on);
        return true;
    }
    if (!known_elsewhere(name))
        return err_set(e, "-cpu: no feature '%s'; did you mean '%s'? (-cpu help lists them)", name, nearest_feat(name));
    return !on || err_set(e, "-cpu: feature '%s' is not implemented: leave it out", name);
}

static bool number(const char *key, const char *v, u64 max, u64 *out, struct err *e)
{
    char *end;
    unsigned long long n = strtoull(v, &end, 0);
    if (!*v || *end || *v == '-' || n > max)
        return err_set(e, "-cpu: %s=%s is not a number from 0 to %llu", key, v, (unsigned long long)max);
    *out = n;
    return true;
}

static void vendor_set(struct cpu_model *m, const char *v)
{
    snprintf(m->vendor, sizeof m->vendor, "%s", v);
    m->vendor_id = !strcmp(v, "GenuineIntel") ? VENDOR_INTEL : !strcmp(v, "AuthenticAMD") ? VENDOR_AMD : VENDOR_OTHER;
}

static bool property(struct cpu_model *m, const char *key, const char *v, struct err *e)
{
    u64 n;
    if (!strcmp(key, "vendor")) {
        if (strlen(v) != 12) return err_set(e, "-cpu: vendor=%s has not 12 characters", v);
        vendor_set(m, v);
        return true;
    }
    if (!strcmp(key, "model-id") || !strcmp(key, "model_id")) {
        if (strlen(v) > 48) return err_set(e, "-cpu: model-id has more than 48 characters");
        snprintf(m->brand, sizeof m->brand, "%s", v);
        return true;
    }
    const struct {
        const char *key;
        u32 *field;
        u64 max;
    } t[] = {{"family", &m->family, 0xff + 0xf}, {"model", &m->model, 0xff},         {"stepping", &m->stepping, 0xf},
             {"level", &m->level, 0x1f},         {"xlevel", &m->xlevel, 0x8000001f}, {"phys-bits", &m->phys_bits, 52}};
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        if (!strcmp(key, t[i].key)) {
            if (!number(key, v, t[i].max, &n, e)) return false;
            if (t[i].field == &m->phys_bits && n < 32) return err_set(e, "-cpu: phys-bits=%s is less than 32", v);
            *t[i].field = n;
            return true;
        }
    if (!strcmp(key, "tsc-frequency")) return number(key, v, 100000000000ull, &m->tsc_hz, e);
    bool on = !strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "yes");
    if (!on && strcmp(v, "off") && strcmp(v, "false") && strcmp(v, "no"))
        return err_set(e, "-cpu: '%s=%s': features are switched by =on or =off", key, v);
    if (!strcmp(key, "check") || !strcmp(key, "enforce") || !strcmp(key, "migratable")) return true;
    return feat_switch(m, key, on, e);
}

static bool item(struct cpu_model *m, char *s, struct err *e)
{
    char *eq = strchr(s, '=');
    if (*s == '+' || *s == '-') return feat_switch(m, s + 1, *s == '+', e);
    if (eq) {
        *eq = 0;
        return property(m, s, eq + 1, e);
    }
    if (!strcmp(s, "check") || !strcmp(s, "enforce")) return true;
    return feat_switch(m, s, true, e);
}

static const struct model_row *model_find(const char *name, struct err *e)
{
    unsigned best = ~0u;
    const char *near = "";
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        if (!strcmp(name, models[i].name)) return &models[i];
        unsigned d = distance(name, models[i].name);
        if (d < best) best = d, near = models[i].name;
    }
    if (!strcmp(name, "host"))
        err_set(e, "-cpu host needs hardware virtualization; use -cpu max");
    else
        err_set(e, "-cpu: no model '%s'; did you mean '%s'? (-cpu help lists them)", name, near);
    return NULL;
}

// What cannot be without something else goes with it.
static void drop_dependants(struct cpu_model *m)
{
    static const u8 needs[][2] = {
        {FEAT_SSE, FEAT_FXSR},       {FEAT_SSE2, FEAT_SSE},
        {FEAT_SSE3, FEAT_SSE2},      {FEAT_SSSE3, FEAT_SSE3},
        {FEAT_SSE41, FEAT_SSSE3},    {FEAT_SSE42, FEAT_SSE41},
        {FEAT_AES, FEAT_SSE2},       {FEAT_PCLMUL, FEAT_SSE2},
        {FEAT_SHA, FEAT_SSSE3},      {FEAT_XSAVE, FEAT_FXSR},
        {FEAT_XSAVEOPT, FEAT_XSAVE}, {FEAT_PAE, FEAT_CX8},
        {FEAT_NX, FEAT_PAE},         {FEAT_LM, FEAT_PAE},
        {FEAT_PDPE1GB, FEAT_LM},     {FEAT_PCID, FEAT_LM},
        {FEAT_CX16, FEAT_LM},        {FEAT_LAHF_LM, FEAT_LM},
        {FEAT_FSGSBASE, FEAT_LM},    {FEAT_X2APIC, FEAT_APIC},
        {FEAT_ARAT, FEAT_APIC},      {FEAT_TSC_DEADLINE, FEAT_APIC},
        {FEAT_TSC_ADJUST, FEAT_TSC}, {FEAT_INVTSC, FEAT_TSC},
        {FEAT_RDTSCP, FEAT_TSC},     {FEAT_MMX, FEAT_FPU},
    };
    for (unsigned i = 0; i < ARRAY_LEN(needs); i++)
        if (!model_has(m, needs[i][1])) feat_set(m, needs[i][0], false);
}

// The highest leaves rise to those that features need.
static void raise_levels(struct cpu_model *m)
{
    for (unsigned i = 0; i < FEAT_COUNT; i++) {
        u32 leaf = rows[i].leaf;
        if (leaf == FEAT_NOLEAF || !model_has(m, i)) continue;
        if (leaf & 0x80000000) {
            if (m->xlevel < leaf) m->xlevel = leaf;
        } else if (m->level < leaf) {
            m->level = leaf;
        }
    }
    if (model_has(m, FEAT_LM) && m->xlevel < 0x80000008) m->xlevel = 0x80000008;
    if (model_has(m, FEAT_TOPOEXT) && m->xlevel < 0x8000001e) m->xlevel = 0x8000001e;
}

static bool parse(struct cpu_model *m, char *spec, struct err *e)
{
    char *save = NULL, *tok = strtok_r(spec, ",", &save);
    const struct model_row *r = model_find(tok ? tok : DEFAULT_MODEL, e);
    if (!r) return false;
    snprintf(m->name, sizeof m->name, "%s", r->name);
    vendor_set(m, r->vendor);
    m->family = r->family;
    m->model = r->model;
    m->stepping = r->stepping;
    m->level = r->level;
    m->xlevel = r->xlevel;
    m->phys_bits = r->phys_bits;
    m->tsc_hz = m->crystal_hz = 1000000000;
    m->cores = m->threads = m->packages = 1;
    snprintf(m->brand, sizeof m->brand, "%s", r->brand);
    char *list = xstrdup(r->feats), *s2 = NULL;
    for (char *f = strtok_r(list, " ", &s2); f; f = strtok_r(NULL, " ", &s2))
        if (!feat_switch(m, f, true, e)) panic("model %s: feature '%s'", r->name, f);
    free(list);
    while ((tok = strtok_r(NULL, ",", &save)))
        if (!item(m, tok, e)) return false;
    if (model_has(m, FEAT_LM) || model_has(m, FEAT_PREFETCH3D)) feat_set(m, FEAT_PREFETCHW, true);
    drop_dependants(m);
    raise_levels(m);
    return true;
}

struct cpu_model *cpuid_model_parse(const char *spec, struct err *e)
{
    struct cpu_model *m = xalloc(sizeof *m);
    char *copy = xstrdup(spec && *spec ? spec : DEFAULT_MODEL);
    bool ok = parse(m, copy, e);
    free(copy);
    if (ok) return m;
    free(m);
    return NULL;
}

void cpuid_model_help(struct buf *out)
{
    buf_printf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < ARRAY_LEN(models); i++)
        buf_printf(out, "x86 %-20s %s%s\n", models[i].name, models[i].brand,
                   strcmp(models[i].name, DEFAULT_MODEL) ? "" : " (default)");
    buf_printf(out, "\nRecognized CPUID flags:\n");
    size_t col = 0;
    for (unsigned i = 0; i < FEAT_COUNT; i++) {
        if (rows[i].leaf == FEAT_NOLEAF) continue;
        size_t n = strlen(rows[i].name) + 1;
        buf_printf(out, "%s%s", col == 0 ? "  " : col + n > 76 ? "\n  " : " ", rows[i].name);
        col = col == 0 || col + n > 76 ? n + 1 : col + n;
    }
    buf_printf(out, "\n");
}

// ---- the leaves

static u32 collect(const struct cpu *c, u32 leaf, u32 subleaf, unsigned reg)
{
    u32 v = 0;
    for (unsigned i = 0; i < FEAT_COUNT; i++)
        if (rows[i].leaf == leaf && rows[i].subleaf == subleaf && rows[i].reg == reg && cpu_has(c, i))
            v |= 1u << rows[i].bit;
    return v;
}

static unsigned log2_up(u32 n)
{
    unsigned b = 0;
    while (b < 31 && (1u << b) < n) b++;
    return b;
}

static u32 signature(const struct cpu_model *m)
{
    u32 f = min_u64(m->family, 15), ext = m->family > 15 ? m->family - 15 : 0;
    return ext << 20 | (m->model >> 4) << 16 | f << 8 | (m->model & 15) << 4 | m->stepping;
}

static void leaf_vendor(const struct cpu_model *m, u32 max, u32 r[4])
{
    r[EAX] = max;
    r[EBX] = ld32(m->vendor);
    r[EDX] = ld32(m->vendor + 4);
    r[ECX] = ld32(m->vendor + 8);
}

static bool apic_enabled(const struct cpu *c)
{
    u64 base;
    if (!c->pins.apic_rdmsr || !c->pins.apic_rdmsr(c->pins.owner, c->index, 0x1b, &base)) return true;
    return base >> 11 & 1;
}

static void leaf_1(const struct cpu *c, u32 r[4])
{
    const struct cpu_model *m = c->model;
    u32 logical = m->cores * m->threads;
    r[EAX] = signature(m);
    r[EBX] = (c->apic_id & 0xff) << 24 | (cpu_has(c, FEAT_CLFSH) ? 8 << 8 : 0);
    r[ECX] = collect(c, 1, 0, ECX);
    r[EDX] = collect(c, 1, 0, EDX);
    if (cpu_has(c, FEAT_XSAVE) && (c->cr4 & CR4_OSXSAVE)) r[ECX] |= 1u << 27;
    if (logical > 1) {
        r[EBX] |= (1u << log2_up(logical)) << 16;
        r[EDX] |= 1u << 28;
    }
    if (!apic_enabled(c)) r[EDX] &= ~(1u << 9);
}

// One cache in leaf 4's and leaf 8000001Dh's common form.
static void cache(const struct cpu_model *m, u32 r[4], unsigned type, unsigned level, u32 kb, u32 ways, bool shared,
                  bool amd)
{
    u32 sharing = shared ? m->cores * m->threads : m->threads, ids = amd ? sharing : 1u << log2_up(sharing);
    r[EAX] = type | level << 5 | 1 << 8 | (ids - 1) << 14;
    if (!amd) r[EAX] |= ((1u << log2_up(m->cores)) - 1) << 26;
    r[EBX] = 63 | (ways - 1) << 22;
    r[ECX] = kb * 1024 / (64 * ways) - 1;
    r[EDX] = shared ? 2 : 0; // the last level includes the lower ones
}

static void leaf_cache(const struct cpu_model *m, u32 sub, u32 r[4], bool amd)
{
    switch (sub) {
    case 0: cache(m, r, 1, 1, 32, 8, false, amd); break;
    case 1: cache(m, r, 2, 1, 32, 8, false, amd); break;
    case 2: cache(m, r, 3, 2, 512, 8, false, amd); break;
    case 3: cache(m, r, 3, 3, 16384, 16, true, amd); break;
    }
}

static void leaf_topology(const struct cpu *c, u32 sub, u32 r[4])
{
    const struct cpu_model *m = c->model;
    unsigned smt = log2_up(m->threads), core = log2_up(m->cores);
    r[ECX] = sub & 0xff;
    r[EDX] = c->apic_id;
    if (sub == 0) {
        r[EAX] = smt;
        r[EBX] = m->threads;
        r[ECX] |= 1 << 8;
    } else if (sub == 1) {
        r[EAX] = smt + core;
        r[EBX] = m->cores * m->threads;
        r[ECX] |= 2 << 8;
    }
}

static void leaf_xsave(const struct cpu *c, u32 sub, u32 r[4])
{
    if (!cpu_has(c, FEAT_XSAVE)) return;
    if (sub == 0) {
        r[EAX] = 3; // x87, SSE
        r[EBX] = r[ECX] = 512 + 64;
    } else if (sub == 1) {
        r[EAX] = collect(c, 0xd, 1, EAX);
        r[EBX] = 512 + 64;
    }
}

static void basic(const struct cpu *c, u32 leaf, u32 sub, u32 r[4])
{
    const struct cpu_model *m = c->model;
    bool intel = m->vendor_id == VENDOR_INTEL;
    switch (leaf) {
    case 0: leaf_vendor(m, m->level, r); break;
    case 1: leaf_1(c, r); break;
    case 2:
        if (intel) r[EAX] = 1, r[EDX] = 0x2c307d; // L1D 32K (2C), L1I 32K (30), L2 2M (7D)
        break;
    case 4:
        if (intel) leaf_cache(m, sub, r, false);
        break;
    case 5:
        if (cpu_has(c, FEAT_MONITOR)) r[EAX] = r[EBX] = 64, r[ECX] = 3;
        break;
    case 6: r[EAX] = collect(c, 6, 0, EAX); break;
    case 7:
        if (sub == 0)
            for (unsigned i = EBX; i <= EDX; i++) r[i] = collect(c, 7, 0, i);
        break;
    case 0xb: leaf_topology(c, sub, r); break;
    case 0xd: leaf_xsave(c, sub, r); break;
    case 0x15: // TSC = crystal * EBX / EAX
        if (!cpu_has(c, FEAT_INVTSC)) break;
        for (r[EAX] = 1; r[EAX] < 1000000 && m->tsc_hz * r[EAX] % m->crystal_hz; r[EAX] *= 10) {
        }
        r[EBX] = m->tsc_hz * r[EAX] / m->crystal_hz;
        r[ECX] = m->crystal_hz;
        break;
    case 0x16:
        r[EAX] = r[EBX] = m->tsc_hz / 1000000;
        r[ECX] = 100;
        break;
    }
}

static void leaf_amd_features(const struct cpu *c, u32 r[4])
{
    const struct cpu_model *m = c->model;
    r[ECX] = collect(c, 0x80000001, 0, ECX);
    r[EDX] = collect(c, 0x80000001, 0, EDX);
    if (m->vendor_id != VENDOR_AMD) {
        // Intel shows SYSCALL only in 64-bit mode
        if (!cpu_code64(c)) r[EDX] &= ~(1u << 11);
        return;
    }
    u32 low[4] = {0};
    leaf_1(c, low);
    r[EAX] = signature(m);
    r[EDX] |= low[EDX] & 0x0183f3ff;            // AMD repeats leaf 1
    if (m->cores * m->threads > 1) r[ECX] |= 2; // CmpLegacy: the logical processors are cores
}

static void extended(const struct cpu *c, u32 leaf, u32 sub, u32 r[4])
{
    const struct cpu_model *m = c->model;
    bool amd = m->vendor_id == VENDOR_AMD;
    char brand[48] = {0};
    switch (leaf) {
    case 0x80000000:
        if (amd)
            leaf_vendor(m, m->xlevel, r);
        else
            r[EAX] = m->xlevel;
        break;
    case 0x80000001: leaf_amd_features(c, r); break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(brand, m->brand, strlen(m->brand));
        for (unsigned i = 0; i < 4; i++) r[i] = ld32(brand + (leaf - 0x80000002) * 16 + 4 * i);
        break;
    case 0x80000005: // L1: TLBs of 255 entries, 64 KB 2-way caches of 64-byte lines
        if (amd) r[EAX] = r[EBX] = 0x01ff01ff, r[ECX] = r[EDX] = 0x40020140;
        break;
    case 0x80000006: // L2 512 KB 16-way; AMD also: TLB of 512 entries, L3 16 MB
        r[ECX] = 0x02008140;
        if (amd) r[EBX] = 0x42004200, r[EDX] = 32 << 18 | 8 << 12 | 1 << 8 | 64;
        break;
    case 0x80000007: r[EDX] = collect(c, leaf, 0, EDX); break;
    case 0x80000008:
        r[EAX] = m->phys_bits | (cpu_has(c, FEAT_LM) ? 48 : 32) << 8;
        if (amd) r[ECX] = (m->cores * m->threads - 1) | log2_up(m->cores * m->threads) << 12;
        break;
    case 0x8000001d:
        if (cpu_has(c, FEAT_TOPOEXT)) leaf_cache(m, sub, r, true);
        break;
    case 0x8000001e:
        if (!cpu_has(c, FEAT_TOPOEXT)) break;
        r[EAX] = c->apic_id;
        r[EBX] = (m->threads - 1) << 8 | (c->apic_id >> log2_up(m->threads) & ((1u << log2_up(m->cores)) - 1));
        r[ECX] = c->apic_id >> log2_up(m->cores * m->threads); // node = package
        break;
    }
}

void cpuid_query(const struct cpu *c, u32 leaf, u32 subleaf, u32 out[4])
{
    const struct cpu_model *m = c->model;
    memset(out, 0, 4 * sizeof out[0]);
    if (leaf >= 0x80000000 && leaf <= m->xlevel) {
        extended(c, leaf, subleaf, out);
    } else if (leaf == 0x40000000 && cpu_has(c, FEAT_HYPERVISOR)) {
        out[EAX] = 0x40000000;
        memcpy(&out[EBX], "doppeldoppel", 12);
        for (unsigned i = EBX; i <= EDX; i++) out[i] = LE32(out[i]);
    } else if (leaf <= m->level) {
        basic(c, leaf, subleaf, out);
    } else if (m->vendor_id == VENDOR_INTEL) {
        basic(c, m->level, subleaf, out); // Intel: beyond the range as the highest basic leaf
    }
}
