// SPDX-License-Identifier: MIT
// System tests without an OS: a machine state is entered with run() and comes back at its first exception or interrupt,
// which is recorded whole. Built twice: -m32 (protected mode, real and virtual-8086 mode through it) and -m64.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long ul; // a general register
typedef _Bool bool;
enum { false, true };
#define NULL         ((void *)0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))
#define OFFSET(t, m) __builtin_offsetof(t, m)
#define PACKED       __attribute__((packed))
#define PAGE_ALIGNED __attribute__((aligned(4096)))

// ---- state

// Offsets are known to lib32.S and lib64.S: words of the register size.
struct regs {
    ul ax, cx, dx, bx, sp, bp, si, di;
#ifdef __x86_64__
    ul r8, r9, r10, r11, r12, r13, r14, r15;
#endif
    ul ip, flags, cs, ss, ds, es, fs, gs;
};
// The first event after run(): registers at that moment; the handler's own CS, SS, stack pointer (as it found it, error
// code lowest) and flags.
struct event {
    struct regs r;
    ul vec, hsp, hss, hcs, hflags;
    ul err; // NO_ERR for vectors without
    u64 cr2;
};
extern struct event ev;
#define NO_ERR ((ul)0xeeee)

// Enters `in`; fills ev.
void run(const struct regs *in);
// A word of the handler's frame as the processor pushed it.
u32 frame32(unsigned i);
u16 frame16(unsigned i);
u64 frame64(unsigned i);

// ---- tables

enum { // selectors
    K_CS = 0x08,
    K_DS = 0x10,
    U_CS = 0x1b,
    U_DS = 0x23,
    K_CS64 = 0x28,
    U_CS64 = 0x33,   // follows U_DS as SYSRET wants: U_CS, U_DS, U_CS64
    TSS_SEL = 0x38,  // 16 bytes in long mode
    TSS2_SEL = 0x48, // a second task, for the tests
    LDT_SEL = 0x58,
    K_CS16 = 0x68,
    K_DS16 = 0x70,
    U_CS16 = 0x7b,
    U_DS16 = 0x83,
    R1_CS = 0x89,
    R1_DS = 0x91,
    SPARE = 0xa0, // … to the end: the test's
    GDT_ENTRIES = 128
};
enum { // access byte | flags << 12
    A_P = 0x80,
    A_CODE0 = 0xc09b,
    A_DATA0 = 0xc093,
    A_CODE3 = 0xc0fb,
    A_DATA3 = 0xc0f3,
    A_CODE64 = 0xa09b,
    A_CODE64_3 = 0xa0fb
};
struct tss32 {
    u16 link, r0;
    u32 esp0;
    u16 ss0, r1;
    u32 esp1;
    u16 ss1, r2;
    u32 esp2;
    u16 ss2, r3;
    u32 cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    u16 es, r4, cs, r5, ss, r6, ds, r7, fs, r8, gs, r9, ldt, r10, trap, iomap;
    u8 vme[32], io[128], end;
} PACKED;
struct tss16 {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
} PACKED;
struct tss64 {
    u32 r0;
    u64 rsp[3], r1, ist[7], r2;
    u16 r3, iomap;
    u8 io[128], end;
} PACKED;

extern u64 gdt[GDT_ENTRIES], ldt[32];
#ifdef __x86_64__
extern u64 idt[512];
extern struct tss64 tss;
#else
extern u64 idt[256];
extern struct tss32 tss, tss2;
extern struct tss16 tssh;
#endif
u64 descriptor(u32 base, u32 limit, u32 attr);
u64 gate(u32 sel, u32 off, u32 access, u32 low);
void set_desc(u32 sel, u64 d);
u64 get_desc(u32 sel);
void set_system_desc(u32 sel, u64 base, u32 limit, u32 access); // 16 bytes in long mode
// IDT entry to the recording handler; access: P, DPL, type (0x8e: interrupt gate, ring 0).
void set_gate(unsigned vec, u32 access, u32 sel, u32 ist);
void reset_tables(void); // as at start
ul stub(unsigned vec);
enum { END_VEC = 0x20 }; // INT 20h ends a piece of code: DPL 3, interrupt gate

extern u8 stack0[8192], stack1[8192], stack3[8192], stack_k[8192]; // ring 0 (TSS), ring 1, ring 3, ring 0 (run())
#define TOP(s) ((ul)(s) + sizeof(s) - 64)

// A start state: ring 0, 1 or 3, flat, IF clear.
struct regs ring(unsigned cpl, const void *ip);

// ---- code

// A piece of code that ends with INT 20h unless it does not get there.
#define CODE_(bits, name, text)                                                                                        \
    asm(".pushsection .snip,\"ax\"\n.balign 16\n.code" bits "\n.globl " #name "\n" #name ":\n" text                    \
        "\nint $0x20\n.globl " #name "_end\n" #name "_end:\n.code" NATIVE "\n.popsection\n");                          \
    extern u8 name[], name##_end[]
#ifdef __x86_64__
#define NATIVE "64"
#else
#define NATIVE "32"
#endif
#define CODE(name, text)   CODE_(NATIVE, name, text)
#define CODE16(name, text) CODE_("16", name, text)
#define CODE32(name, text) CODE_("32", name, text)
#define CODE64(name, text) CODE_("64", name, text)
// Copies a piece to low memory (virtual-8086, real mode).
void place(u32 at, const u8 *from, const u8 *end);
#define PLACE(at, name) place(at, name, name##_end)

// ---- reports

void test(const char *name, const char *section);                    // begins a test; ends the one before
void test2(const char *name, const char *rest, const char *section); // …, named by both words
void check_(const char *what, u64 got, u64 want, u64 mask);
#define EQ(what, got, want)        check_(what, got, want, ~0ull)
#define BITS(what, got, want, msk) check_(what, got, want, msk)
void event_complete(void); // ev.err, IP, CS, flags and SP from the frame; the next two do that too
// The event is vector vec with error code err at ip.
void event_is(unsigned vec, ul err, const void *ip);
void ends(void); // … is the regular end
void skip(const char *name, const char *why);
void puts(const char *s);
void put_hex(u64 v);
void finish(void) __attribute__((noreturn));
void test_main(void);
extern bool on_bochs;

// ---- machine

void *memset(void *p, int v, ul n);
void *memcpy(void *d, const void *s, ul n);
int memcmp(const void *a, const void *b, ul n);
#define asm_ __asm__ __volatile__
static inline void outb(u16 p, u8 v) { asm_("outb %0,%1" ::"a"(v), "Nd"(p)); }
static inline void outw(u16 p, u16 v) { asm_("outw %0,%1" ::"a"(v), "Nd"(p)); }
static inline void outl(u16 p, u32 v) { asm_("outl %0,%1" ::"a"(v), "Nd"(p)); }
static inline u8 inb(u16 p)
{
    u8 v;
    asm_("inb %1,%0" : "=a"(v) : "Nd"(p));
    return v;
}
static inline u32 inl(u16 p)
{
    u32 v;
    asm_("inl %1,%0" : "=a"(v) : "Nd"(p));
    return v;
}
#define CR_(n)                                                                                                         \
    static inline ul rcr##n(void)                                                                                      \
    {                                                                                                                  \
        ul v;                                                                                                          \
        asm_("mov %%cr" #n ",%0" : "=r"(v)::"memory");                                                                 \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void wcr##n(ul v) { asm_("mov %0,%%cr" #n ::"r"(v) : "memory"); }
// clang-format off: these end without a semicolon
CR_(0)
CR_(2)
CR_(3)
CR_(4)
// clang-format on
#define DR_(n)                                                                                                         \
    static inline ul rdr##n(void)                                                                                      \
    {                                                                                                                  \
        ul v;                                                                                                          \
        asm_("mov %%dr" #n ",%0" : "=r"(v)::"memory");                                                                 \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void wdr##n(ul v) { asm_("mov %0,%%dr" #n ::"r"(v) : "memory"); }
DR_(0) DR_(1) DR_(2) DR_(3) DR_(6) DR_(7) static inline void invlpg(ul at) { asm_("invlpg (%0)" ::"r"(at) : "memory"); }
static inline u64 rdmsr(u32 n)
{
    u32 a, d;
    asm_("rdmsr" : "=a"(a), "=d"(d) : "c"(n));
    return a | (u64)d << 32;
}
static inline void wrmsr(u32 n, u64 v) { asm_("wrmsr" ::"a"((u32)v), "d"((u32)(v >> 32)), "c"(n) : "memory"); }
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    asm_("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(sub));
}
static inline void serialize(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    asm_("" ::: "memory");
}
#define W8(a)  (*(volatile u8 *)(ul)(a))
#define W16(a) (*(volatile u16 *)(ul)(a))
#define W32(a) (*(volatile u32 *)(ul)(a))
#define W64(a) (*(volatile u64 *)(ul)(a))

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM };
enum {
    F_CF = 1,
    F_1 = 2,
    F_PF = 4,
    F_AF = 16,
    F_ZF = 64,
    F_SF = 128,
    F_TF = 256,
    F_IF = 512,
    F_DF = 1024,
    F_OF = 2048,
    F_IOPL = 0x3000,
    F_NT = 0x4000,
    F_RF = 0x10000,
    F_VM = 0x20000,
    F_AC = 0x40000,
    F_VIF = 0x80000,
    F_VIP = 0x100000
};
enum { CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_NE = 32, CR0_WP = 1 << 16, CR0_AM = 1 << 18 };
#define CR0_PG 0x80000000ul
enum {
    CR4_VME = 1,
    CR4_PVI = 2,
    CR4_TSD = 4,
    CR4_DE = 8,
    CR4_PSE = 16,
    CR4_PAE = 32,
    CR4_PGE = 128,
    CR4_OSFXSR = 512,
    CR4_UMIP = 2048,
    CR4_PCIDE = 1 << 17,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21
};

// AMD and Intel differ where the test says so.
void cpuid_ext(u32 leaf, u32 *r);
unsigned phys_bits(void);
bool amd(void);
bool on_qemu(void);
#define MSR_EFER 0xc0000080

#ifdef __x86_64__
// Tables of the first 4 GB, one to one, in pages of 2 MB.
extern u64 boot_pml4[512], boot_pdpt[512], boot_pd[2048];
// The way of a second processor: copied to 8000h, calls ap_main; what it found is left at 8800h: CS, EDX, CR0.
extern u8 ap_code[], ap_code_end[];
extern void (*ap_main)(void);
// Starts all other processors, which run `work` in 64-bit mode at ring 0 and halt; false if none comes. Without a TSS:
// interrupts there stay on the stack they find.
bool start_ap(void (*work)(void));
bool ap_done(void);
#endif

// Real mode (32-bit images only): runs the code at cs:ip until an interrupt of any vector.
#ifndef __x86_64__
struct real_regs {
    u32 ax, cx, dx, bx, sp, bp, si, di;
    u32 ip, flags, cs, ss, ds, es, fs, gs;
    u32 vec;
};
#define rr (*(struct real_regs *)0x800) // in and out
void run_real(void);
#endif
