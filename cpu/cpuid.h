// SPDX-License-Identifier: MIT
// CPU models and CPUID: what a guest is told, and what the decoder and the system registers accept. One table
// (feat.def) serves both, so that nothing is claimed that is not executed.
#pragma once
#include "cpu/cpu.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

#define FEAT_NOLEAF 0xffffffffu
enum feat {
#define FEAT(name, leaf, subleaf, reg, bit, spelling) FEAT_##name,
#include "cpu/feat.def"
#undef FEAT
    FEAT_COUNT
};

enum cpu_vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };

// A model as parsed; one object may serve every CPU of a machine. The machine fills in what is its own affair
// (topology, frequencies) between cpuid_model_parse() and cpu_new().
struct cpu_model {
    char name[32];
    char vendor[13]; // as CPUID leaf 0 shows it
    enum cpu_vendor vendor_id;
    u32 family, model, stepping; // displayed values: extended fields are folded in
    u32 level, xlevel;           // highest basic and extended leaf; 0: no such leaves
    char brand[49];
    u32 phys_bits;      // MAXPHYADDR: 32, 36, 40 …
    u64 tsc_hz;         // rate of the invariant TSC, default 1 GHz
    u64 crystal_hz;     // leaf 15h's crystal, which is also the local APIC timer's input clock; default 1 GHz
    u32 cores, threads; // per package and per core; default 1 and 1
    u32 packages;
    u64 feat[8]; // bits by enum feat
};
INLINE bool model_has(const struct cpu_model *m, unsigned feat) { return m->feat[feat / 64] >> feat % 64 & 1; }

// "qemu64,+aes,-sse4.2,vendor=GenuineIntel,family=6": a new model (caller frees it with free()), or NULL with a message
// that names the nearest right spelling. NULL or "" is the default model.
struct cpu_model *cpuid_model_parse(const char *spec, struct err *e);
// `-cpu help`: models and features.
void cpuid_model_help(struct buf *out);
// One leaf as the guest of `c` sees it now (APIC id, OSXSAVE, XCR0 are the CPU's): EAX, EBX, ECX, EDX.
void cpuid_query(const struct cpu *c, u32 leaf, u32 subleaf, u32 out[4]);
// Name of a feature in QEMU's spelling.
const char *cpuid_feat_name(enum feat f);
