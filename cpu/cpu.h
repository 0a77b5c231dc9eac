// SPDX-License-Identifier: MIT
// The architectural state of one logical processor and the seams around it: pins (what a chipset does to it), engine
// (who runs its instructions). One struct, hot part first: what translated code reaches with an 8-bit displacement from
// a biased pointer (TCG_BIAS) ends before seg; the first eight registers, which it keeps in the host's, need not be.
#pragma once
#include <setjmp.h>
#include <stddef.h>
#include "mem/base/types.h"
#include "mem/bus.h"

struct cpu;
struct insn;
struct decoder;
struct cpu_model;
struct cpu_hooks;
struct cpu_trail;

// General registers in the order of their encoding. R_ZERO reads as 0 (no base, no index), R_RIP is the instruction
// pointer: while an instruction executes it already holds the address of the next one, as the SDM's pseudocode has it.
enum {
    R_RAX,
    R_RCX,
    R_RDX,
    R_RBX,
    R_RSP,
    R_RBP,
    R_RSI,
    R_RDI,
    R_R8,
    R_R15 = 15,
    R_ZERO = 16,
    R_RIP = 17,
    R_COUNT = 18
};
// Segment registers in the order of their encoding, then the two system segments.
enum { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS, S_LDTR, S_TR, S_COUNT };

// EFLAGS
enum {
    FL_CF = 1 << 0,
    FL_R1 = 1 << 1,
    FL_PF = 1 << 2,
    FL_AF = 1 << 4,
    FL_ZF = 1 << 6,
    FL_SF = 1 << 7,
    FL_TF = 1 << 8,
    FL_IF = 1 << 9,
    FL_DF = 1 << 10,
    FL_OF = 1 << 11,
    FL_IOPL = 3 << 12,
    FL_NT = 1 << 14,
    FL_RF = 1 << 16,
    FL_VM = 1 << 17,
    FL_AC = 1 << 18,
    FL_VIF = 1 << 19,
    FL_VIP = 1 << 20,
    FL_ID = 1 << 21,
    FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF
};
enum { // CR0
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_EM = 1 << 2,
    CR0_TS = 1 << 3,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30
};
#define CR0_PG (1u << 31)
enum { // CR4
    CR4_VME = 1 << 0,
    CR4_PVI = 1 << 1,
    CR4_TSD = 1 << 2,
    CR4_DE = 1 << 3,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_PCE = 1 << 8,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_UMIP = 1 << 11,
    CR4_LA57 = 1 << 12,
    CR4_FSGSBASE = 1 << 16,
    CR4_PCIDE = 1 << 17,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21
};
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11, EFER_FFXSR = 1 << 14 };
enum { // exception vectors
    EXC_DE,
    EXC_DB,
    EXC_NMI,
    EXC_BP,
    EXC_OF,
    EXC_BR,
    EXC_UD,
    EXC_NM,
    EXC_DF,
    EXC_TS = 10,
    EXC_NP,
    EXC_SS,
    EXC_GP,
    EXC_PF,
    EXC_MF = 16,
    EXC_AC,
    EXC_MC,
    EXC_XM
};

// Segment register with its hidden part. attr as in VMX access rights (SDM vol. 3 24.4.1): the descriptor's bits 40-55.
enum {
    SEG_TYPE = 15,
    SEG_S = 1 << 4,
    SEG_DPL = 3 << 5,
    SEG_P = 1 << 7,
    SEG_AVL = 1 << 12,
    SEG_L = 1 << 13,
    SEG_DB = 1 << 14,
    SEG_G = 1 << 15,
    SEG_ACCESSED = 1,
    SEG_WRITE = 2 /* data */,
    SEG_READ = 2 /* code */,
    SEG_DOWN = 4 /* data: expand-down */,
    SEG_CONFORMING = 4 /* code */,
    SEG_CODE = 8
};
struct seg {
    u64 base;
    u64 rend,
        wend;  // fast check: an access [ea, ea+n) with ea + n - 1 < rend (wend for writes) is inside and permitted;
               // 0 sends every access to the slow path (expand-down, unusable, read-only). seg_update() derives both.
    u32 limit; // in bytes, granularity applied
    u16 sel, attr;
    bool usable;
    u32 base_legacy; // ES, CS, SS, DS: the base as loaded; `base` is 0 while 64-bit code runs
};

// A load of a data segment register at CPL 0, in 64-bit code or outside long mode, as it went the last time (the
// translator's): with the same selector, GDT and descriptor (raw, in memory) it gives the same again.
enum {
    SEG_LOADS = 32,
    SEG_LOAD_ANY = 1 /* FS, GS */,
    SEG_LOAD_FLAT = 2 /* ES, DS too: MODE_FLAT stays */,
    SEG_LOAD_64 = 4 /* in 64-bit code */
};
struct seg_load {
    struct seg seg;
    u64 raw, gdt_base;
    u16 sel, gdt_limit;
    u8 use; // 0: nothing here
};

// A delivery through a gate, and an IRET, between 64-bit code or between flat 32-bit code outside long mode, as they
// went the last time (cpu/repeat.c; translated code reads them too): with the same gate, descriptors (raw, in memory)
// and levels they go the same way again.
struct int_memo {
    struct seg cs, ss;                // as they are then; SS if the level changes
    u64 gate[2], cs_raw, ss_raw, off; // ss_raw: outside long mode, if the level changes
    u32 keep;                         // flags that are not cleared
    u16 stack;                        // offset of the stack pointer in the TSS; 0: the present stack
    u16 vector;
    u8 kind /* MODE_64, MODE_32; 0: nothing here */, soft, from, cpl;
};
struct ret_memo {
    struct seg cs, ss;
    u64 cs_raw, ss_raw;
    u32 sels;      // CS | SS << 16; outside long mode no SS if the level stays
    u8 kind, from; // as above
};

// Lazy flags: cc_op says how the arithmetic flags follow from cc_dst (result) and cc_src; flags.h computes them, nobody
// else. cc_op == CC_EFLAGS: they are in eflags itself.

// First-level TLB entry, see cpu/tlb.h: tag = linear page address (low 12 bits 0) or TLB_NONE; host = addend + linear
// address.
struct tlb_entry {
    u64 tag;
    u64 addend;
};
#define TLB_BITS 12
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_NONE (~(u64)0) // never equals a page-aligned address
// Tag of an empty slot: no page, and neither the bits of a page of this slot nor of one of the next (translated code
// compares them alone).
INLINE u64 tlb_none(unsigned slot) { return ((u64)((slot ^ TLB_SIZE / 2) & (TLB_SIZE - 1)) << 12) | 0xfff; }
// Tag of a write entry for a page of cpu.beside_host's block that has code: no access finds it, for the same reason,
// and the difference from the page's address tells it from all others. The addend is the page's; whoever finds the
// entry may store where cpu.beside_lines has no code. Translated code does (thunk.c).
enum { TLB_BESIDE = TLB_SIZE / 4 /* pages */ };
INLINE u64 tlb_beside(u64 page) { return page ^ (u64)TLB_BESIDE << PAGE_BITS; }
// Which set of tables an access uses: by privilege, and whether a supervisor may touch user pages (SMAP, EFLAGS.AC).
enum {
    TLBSET_USER,
    TLBSET_KERNEL,
    TLBSET_KERNEL_NOUSER,
    TLBSET_NONE /* always empty: #AC, data breakpoints */,
    TLBSET_REFERENCE /* instead of any of the others while cpu.witness is set, see tlb_reference() */,
    TLBSET_COUNT
};
struct tlb_set {
    struct tlb_entry rd[TLB_SIZE], wr[TLB_SIZE];
};
enum {
    TLB_SLOTS = TLBSET_COUNT * 2 * TLB_SIZE, // of the first level: number = (set * 2 + write) * TLB_SIZE + index
    TLB_FILLED = 2 * TLB_SIZE
};
// First-level or code TLB slots that were filled since they were last emptied; n > TLB_FILLED: too many to list.
struct tlb_filled {
    u32 n;
    u16 k[TLB_FILLED];
};
// Behind the first level, reached by translated code: what tlb_fill() found last, of any address space. An entry is
// good while its stamp is one of the two that struct cpu has for accesses of its kind.
struct tlb_behind {
    u64 tag; // linear page address | set * 2 + write
    u64 addend;
    u64 stamp;
    u64 unused; // a set is one line of the host's cache
};
enum { BEHIND_SETS = 4096, BEHIND_WAYS = 2 };
// key: set * 2 + write
INLINE u32 tlb_behind_set(u64 lin, u32 key) { return (u32)(lin >> PAGE_BITS ^ key << 8) & (BEHIND_SETS - 1); }

// Jump cache of translated code: where the code for a linear address is, valid while `context` equals cpu.jump_context.
struct jump_entry {
    u64 at; // RIP (64-bit code) or CS base + EIP
    u64 context;
    u64 code; // host address
    u64 base; // cpu.code_base there
};
#define JUMP_BITS   15
#define JUMP_SIZE   (1u << JUMP_BITS)
#define JUMP_FACTOR 0x9e3779b1u // golden section: the product's high bits spread whatever the distance
INLINE u32 jump_hash(u64 at) { return (u32)at * JUMP_FACTOR >> (32 - JUMP_BITS); }

// What cpu->attn holds: something to look at before the next instruction. 0: run on.
enum {
    ATTN_INTR = 1, // the INTR pin is high
    ATTN_NMI = 2,
    ATTN_INIT = 4,
    ATTN_SIPI = 8,
    ATTN_SMI = 16,
    ATTN_EXIT = 32,   // cpu_run() shall return (slice shrunk, stop, reset, host event)
    ATTN_SHADOW = 64, // the instruction before was STI, MOV SS, POP SS: no interrupts (and, after SS, no #DB) now
    ATTN_TRAP = 128,  // TF was set when the instruction began, or debug traps are pending in dr6_pending
    ATTN_CODE = 256,  // code that may be running was changed: leave the block
    ATTN_DEBUG = 512 // DR7 has enabled instruction breakpoints, EFLAGS.TF or RF is set, or cpu_virtual_interrupt(): run
                     // instruction by instruction
};

// MODE_*: what the meaning of an instruction depends on beyond its bytes: key of decoded and translated blocks.
enum {
    MODE_16 = 0,
    MODE_32 = 1,
    MODE_64 = 2,
    MODE_CODE = 3,      // code size: CS.L, CS.D
    MODE_SS32 = 1 << 2, // stack address size: SS.B; in 64-bit mode RSP is used whole and this bit is set
    MODE_PE = 1 << 3,   // protected mode (also long mode and virtual-8086)
    MODE_VM = 1 << 4,   // virtual-8086
    MODE_LMA = 1 << 5,  // long mode active (64-bit or compatibility)
    MODE_USER = 1 << 6, // CPL 3
    MODE_FLAT = 1 << 7, // ES, CS, SS, DS have base 0 and limit 4 GB (in 64-bit code always)
    MODE_TLB = 3 << 8,  // TLBSET_*: the tables ordinary accesses use
    MODE_X87 =
        1 << 10, // x87 and MMX do not raise #NM or #UD (CR0.EM, TS); FCW masks all exceptions, see cpu_fcw_mode()
    MODE_SSE = 1 << 11, // the same for SSE (CR4.OSFXSR too), and MXCSR masks all exceptions
    MODE_TLB_SHIFT = 8,
    MODE_ALL = 0xfff // the other bits of a key: hook.h
};

struct fpu {
    u64 m[8];  // significands of the physical registers R0-R7: MMX registers alias them (MMn = m[n])
    u16 se[8]; // sign and exponent
    u16 fcw, fsw /* with TOP */, fop;
    u8 tags; // bit n set: physical register n is not empty (FXSAVE's abridged form)
    u16 fcs, fds;
    u64 fip, fdp;
};

// Vector registers, laid out for AVX-512; XMM and YMM are the low 16 and 32 bytes. Elements in little-endian order in
// memory.
union vec {
    u8 b[64];
    u16 w[32];
    u32 d[16];
    u64 q[8];
};

// What is asked of a CPU from outside, and what it asks.
struct cpu_pins {
    void *owner;
    int (*inta)(void *owner, unsigned cpu);                         // interrupt acknowledge: vector, or -1 (spurious)
    bool (*apic_rdmsr)(void *owner, unsigned cpu, u32 msr, u64 *v); // IA32_APIC_BASE, TSC deadline, x2APIC; false = #GP
    bool (*apic_wrmsr)(void *owner, unsigned cpu, u32 msr, u64 v);
    u8 (*get_tpr)(void *owner, unsigned cpu); // CR8
    void (*set_tpr)(void *owner, unsigned cpu, u8 cr8);
    void (*ferr)(void *owner, unsigned cpu, int level); // FERR#: x87 error with CR0.NE = 0
    void (*triple_fault)(void *owner, unsigned cpu);
    u64 (*tsc)(void *owner, unsigned cpu);    // ticks of the invariant TSC, before TSC_ADJUST
    u64 (*random)(void *owner, unsigned cpu); // RDRAND, RDSEED: the machine's seeded generator
};

// How translated code computes pins.tsc by itself during a turn of the CPU (hw/machine.c has the reasons):
// HOST    base + (host's TSC - from) * scale / 2^32; base before `from`, and no more from CPU_TSC_FAR on: who has been
//         away for so long, within a turn, slept. At least `last` + step, which it then is: hosts' counters go in
//         steps, and may show two readers of the guest's what no processor does, the same
// ICOUNT  base + retired instructions * scale nanoseconds, hz ticks a second
// ASK     not at all.
enum { CPU_TSC_FAR = 1 << 28 };
enum cpu_tsc_kind { CPU_TSC_ASK, CPU_TSC_HOST, CPU_TSC_ICOUNT };
struct cpu_tsc {
    u64 base, from, scale, hz, last, step;
    enum cpu_tsc_kind kind;
};
INLINE u64 cpu_tsc_host(struct cpu_tsc *t, u64 ticks)
{
    u64 d = ticks > t->from ? ticks - t->from : 0;
    if (unlikely(d > CPU_TSC_FAR)) d = CPU_TSC_FAR;
    u64 v = t->base + (u64)((u128)d * t->scale >> 32), least = t->last + t->step;
    return t->last = v < least ? least : v;
}

// Who runs instructions.
struct cpu_engine {
    const char *name;
    void *(*create)(struct cpu *c);
    void (*destroy)(struct cpu *c);
    void (*run)(struct cpu *c);      // until attn, icount_limit or a fault (which longjmps to cpu->fault)
    void (*step)(struct cpu *c);     // exactly one instruction
    u64 (*progress)(struct cpu *c);  // instructions retired since icount was last brought up to date
    u64 (*fault_rip)(struct cpu *c); // address of the instruction that executes (cur)
    void (*flush)(struct cpu *c);    // every decoded or translated block
    void (*invalidate)(struct cpu *c, u64 pa, u64 len); // those that overlap these bytes
    void (*info)(struct cpu *c, struct buf *out);
    // For people who look at a translator (`jit`): all about the code at a linear address; counting executions and
    // exits of blocks. NULL: there is nothing to show.
    void (*show)(struct cpu *c, u64 lin, struct buf *out);
    void (*count)(struct cpu *c, bool on);
    const void *config; // the engine's own: who wants another one than the default copies the struct
};

enum { CPU_HOST_XMM = 1 /* and MXCSR */, CPU_HOST_X87 = 2 };
enum cpu_halt { CPU_RUNNING, CPU_HALTED, CPU_WAIT_SIPI, CPU_SHUTDOWN };

struct cpu {
    u64 gpr[R_COUNT];
    u64 cc_dst, cc_src;
    u32 cc_op;
    u32 eflags; // all bits but, while cc_op != CC_EFLAGS, the arithmetic ones
    u32 attn;
    u8 cc_cf, cc_of; // values of CF and OF that cc_op says are kept here
    // The translator's: which of the guest's registers are in the host's of the same kind (CPU_HOST_*), and which shall
    // be when it enters translated code.
    u8 host_live, host_want;
    union {
        struct {
            u32 mode;    // MODE_*
            u32 tlb_gen; // changes whenever translations may have: caches by linear address compare it
        };
        u64 context; // both at once
    };
    struct tlb_set *tlb;    // tables for ordinary accesses at the current privilege
    const struct insn *cur; // instruction that executes (its length gives the faulting RIP), NULL between blocks
    u64 icount;             // instructions retired (loop.c counts some events too); exact between blocks: cpu_icount()
    u64 icount_limit;       // the engine stops here exactly, or by `slack` before
    // The translator's, while translated code runs.
    i64 left;         // instructions that may still be executed, the running block's taken off
    u64 code_base;    // RIP less the low 12 bits of the linear address: constant within a page
    u64 jump_context; // what valid entries of jump[] carry: context, or that of global pages (kernel code, CR4.PGE)
    u64 host_exit;    // address of the code that leaves translated code
    u64 host_flags;   // … of the code that brings the flags, whatever their record, to the host's
    u64 group_ptr[4]; // host addresses of what one check has covered (tcg/host/x64/group.c)

    struct seg seg[S_COUNT];
    u64 gdt_base, idt_base;
    u16 gdt_limit, idt_limit;
    u64 cr0, cr2, cr3, cr4, cr8_unused, xcr0;
    u64 efer;
    u64 dr[8];
    u64 dr6_pending; // bits to set in DR6 when the pending #DB trap is delivered
    u8 cpl;
    bool inhibit_db;  // the shadow is that of MOV SS / POP SS
    bool no_step;     // the instruction entered a handler with TF cleared: no single-step trap after it
    bool nmi_blocked; // until IRET
    enum cpu_halt halt;
    u8 sipi_vector;
    u64 a20_mask;  // ANDed to physical addresses
    u64 phys_mask; // bits of a physical address that exist (MAXPHYADDR)
    u64 pdpte[4];  // PAE: loaded with CR3
    // MSRs
    u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, tsc_adjust, tsc_offset;
    u64 sysenter_cs, sysenter_esp, sysenter_eip, pat, misc_enable, feature_control, apic_base_unused;
    u64 mtrr_def, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    u64 mcg_status, spec_ctrl, hwcr, syscfg, de_cfg, top_mem, top_mem2, debugctl;
    u64 monitor_addr;
    bool monitor_armed;
    bool rep_pending; // the string instruction stopped half-way: it has not retired
    bool rep_middle;  // … and nothing has executed since: events push RF = 1 (SDM vol. 3 17.3.1.1)

    // exception under delivery (int.c) or raised and not yet delivered (loop.c)
    int exc; // vector, -1 none
    u32 exc_err;
    bool exc_has_err;
    bool exc_here;  // RIP is where a fault belongs, not behind the instruction: a task switch has got to the new task
    bool exc_ext;   // an event outside the program is being delivered: error codes have EXT set
    int exc_first;  // vector whose delivery raised exc, -1 none: double fault rules
    jmp_buf *fault; // where cpu_raise() goes: set by whoever runs instructions or calls into cpu/

    u64 feat[8]; // what CPUID offers: bits by enum feat
    const struct cpu_model *model;
    const struct decoder *decoder;
    struct cpu_pins pins;
    struct bus *bus;
    const struct cpu_engine *engine;
    void *engine_data;
    const struct cpu_hooks *hooks;   // of a debugger (hook.h), NULL while there is none
    const struct cpu_hooks *autopsy; // who wants to know of a shutdown, and of nothing else: HOOK_TRIPLE
    struct cpu_trail *trail;         // last events (hook.h)
    // Lockstep's ear (tcg/tb/check.c): told, before it happens, of each access that the first-level TLB does not know:
    // ACC_*, or WITNESS_WALK for the A and D bits of a paging entry. May longjmp to fault. NULL: nobody listens.
    void (*witness)(struct cpu *c, u64 pa, int acc);
    u64 event_at;       // icount at the last event's delivery; not saved
    bool event_row;     // … to which no instruction had led since the one before
    u64 icount_stop;    // a debugger wants to know when this many instructions have retired, ~0 = no
    u32 attn_hold;      // bits of attn that are left pending while a debugger steps
    struct tlb2 *tlb2;  // second level, cpu/tlb.c
    u32 tlb_gen_global; // the same for global pages, which MOV CR3 leaves alone; bit 31 tells the two apart
    bool fetch_global;  // the last tlb_fetch() was from a global page
    unsigned index;     // among the machine's CPUs
    u32 apic_id;

    struct fpu fpu;
    u8 host_x87[512] __attribute__((aligned(16))); // FXSAVE image on its way between fpu and the host's registers
    struct seg_load seg_loads[SEG_LOADS];
    // The engine may stop so many instructions before icount_limit: what whoever runs it allows, and what holds now.
    u32 slack, slack_now;
    // The translator's: its code's stack while it does not run, that stack's empty state, C's stack while it does.
    u64 host_sp, host_top, host_c_sp;
    u64 host_ret;                  // address of code: RET's address is not the newest on that stack
    u64 host_segload;              // address of code: loads a segment register that seg_loads knows
    u64 host_iret[2], host_int[2]; // addresses of code: IRET and INT n in 32-bit and in 64-bit code …
    u64 host_end;                  // … icount when `left` is 0
    u8 host_vector;                // … INT's
    u64 host_tsc;                  // address of code: reads the TSC, as …
    struct cpu_tsc tsc;            // … whoever runs the CPU has said for the turn (else kind ASK)
    u64 host_load, host_getfl;     // addresses of code: loads the vector registers; gets EFLAGS
    u32 mxcsr, host_mxcsr;         // host_mxcsr: what C runs with, set by the translator
    u64 k[8];                      // opmask registers, for later
    union vec vec[32] __attribute__((aligned(64)));

    struct tlb_set tlbs[TLBSET_COUNT] __attribute__((aligned(64)));
    // Slots of tlbs by kind of page, duplicates included: [0] of one address space, [1] global; and which kind it is.
    struct tlb_filled filled[2];
    u8 slot_global[TLB_SLOTS];
    u64 behind_stamp[2][2]; // [write][global page]
    // A walk for translated code has found that the access faults: the page | key (tlb_refill()) and a mark, 0:
    // nothing, with the error code. It holds while C executes the instruction that the exit was for.
    u64 fault_page;
    u32 fault_err;
    u64 refills; // of the first level from `behind` by translated code
    // Stores beside code: the block of memory (the system's) and its ram.code_lines. Of many of them one is told to C
    // (mem/bus.c: data_beside_code()), when beside_left has got below 0.
    const u8 *beside_host;
    const u64 *beside_lines;
    i32 beside_left;
    struct tlb_behind behind[BEHIND_SETS][BEHIND_WAYS] __attribute__((aligned(64)));
    struct jump_entry jump[JUMP_SIZE] __attribute__((aligned(64)));
    struct int_memo int_memo[64];
    struct ret_memo ret_memo[8];
};
enum { TCG_BIAS = 192 };
_Static_assert(offsetof(struct cpu, gpr[R_R8]) >= TCG_BIAS - 128 && offsetof(struct cpu, seg) <= TCG_BIAS + 128,
               "the hot part must stay within reach of 8-bit displacements");

INLINE u64 cpu_rip(const struct cpu *c) { return c->gpr[R_RIP]; }
INLINE bool cpu_has(const struct cpu *c, unsigned feat) { return c->feat[feat / 64] >> feat % 64 & 1; }
INLINE bool cpu_code64(const struct cpu *c) { return (c->mode & MODE_CODE) == MODE_64; }
INLINE bool cpu_real(const struct cpu *c) { return !(c->mode & MODE_PE); }
// After a change of mode or of translations.
INLINE void cpu_set_jump_context(struct cpu *c)
{
    bool global = (c->cr4 & CR4_PGE) && !(c->mode & MODE_USER);
    // (Not of `context`: reading both right after one was written would wait for the store.)
    c->jump_context = (u64)(global ? c->tlb_gen_global : c->tlb_gen) << 32 | c->mode;
}
// Which bits of attn can be acted on now: a masked interrupt must not slow the engine down.
INLINE u32 cpu_attn_mask(const struct cpu *c)
{
    return ~((c->eflags & FL_IF ? 0u : ATTN_INTR) | (c->nmi_blocked ? ATTN_NMI : 0u) | c->attn_hold);
}
INLINE bool cpu_protected(const struct cpu *c) { return (c->mode & (MODE_PE | MODE_VM)) == MODE_PE; }
// A virtual interrupt is pending and enabled: #GP(0) instead of the next instruction, in virtual-8086 mode with CR4.VME
// or at CPL 3 with CR4.PVI (SDM vol. 3 20.3.2, 20.4). IRET and task switches lead to it.
INLINE bool cpu_virtual_interrupt(const struct cpu *c)
{
    const u32 both = FL_VIF | FL_VIP;
    if (likely((c->eflags & both) != both) || (c->eflags & FL_IOPL) == FL_IOPL) return false;
    return c->eflags & FL_VM ? c->cr4 & CR4_VME : c->cpl == 3 && (c->cr0 & CR0_PE) && (c->cr4 & CR4_PVI);
}
// Retired instructions, exact also while one executes (which does not count yet).
u64 cpu_icount(const struct cpu *c);

// cpu/cpu.c: life. The model gives CPUID and the decoder's features (cpuid.h).
struct err;
struct cpu *cpu_new(struct bus *b, unsigned index, const struct cpu_model *model, const struct cpu_engine *engine,
                    const struct cpu_pins *pins);
void cpu_free(struct cpu *c);
void cpu_reset(struct cpu *c);       // power-on; the bootstrap processor runs at F000:FFF0, others wait for SIPI
void cpu_init_signal(struct cpu *c); // INIT: like reset, but caches, x87, MSRs stay (SDM vol. 3 table 9-1)
void cpu_dump(struct cpu *c, struct buf *out); // `info registers`, QEMU's layout
void cpu_set_a20(struct cpu *c, bool on);
// Pins, to be called by devices; levels and edges become visible before the next instruction.
void cpu_set_intr(struct cpu *c, int level);
void cpu_nmi(struct cpu *c);
void cpu_init_pin(struct cpu *c);
void cpu_sipi(struct cpu *c, u8 vector);
INLINE void cpu_exit_request(struct cpu *c) { c->attn |= ATTN_EXIT; }

// cpu/loop.c: runs up to `budget` instructions. Returns early on ATTN_EXIT, HLT without a pending wake-up, shutdown.
enum cpu_stop { CPU_STOP_BUDGET, CPU_STOP_EXIT, CPU_STOP_HALT, CPU_STOP_SHUTDOWN };
enum cpu_stop cpu_run(struct cpu *c, u64 budget);

// Raises an exception for the instruction that executes: does not return. RIP goes back to the instruction's start for
// faults.
NORETURN void cpu_raise(struct cpu *c, int vector);
NORETURN void cpu_raise_err(struct cpu *c, int vector, u32 err);
// After anything that MODE_* or the TLB choice depends on has changed: recomputes mode, tlb, attn's ATTN_DEBUG.
void cpu_update_mode(struct cpu *c);
// Loads MXCSR: the mode says whether it masks all exceptions.
INLINE void cpu_set_mxcsr(struct cpu *c, u32 v)
{
    bool masked = (c->mxcsr & 0x1f80) == 0x1f80, now = (v & 0x1f80) == 0x1f80;
    c->mxcsr = v;
    if (masked != now) cpu_update_mode(c);
}
// No x87 exception is unmasked or pending.
INLINE bool cpu_x87_quiet(const struct cpu *c) { return (c->fpu.fcw & 0x3f) == 0x3f && !(c->fpu.fsw & 1 << 7); }
// To be called where FCW may have changed and MODE_X87 matters.
INLINE void cpu_fcw_mode(struct cpu *c)
{
    bool free = !(c->cr0 & (CR0_EM | CR0_TS)) && cpu_x87_quiet(c);
    if (unlikely(free != !!(c->mode & MODE_X87))) cpu_update_mode(c);
}
