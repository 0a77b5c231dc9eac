// SPDX-License-Identifier: MIT
// What all system tests share: tables at start, reports on the serial port, the end of the machine.
#include "tests/insn/sys/sys.h"

struct event ev;
asm(".globl ev_vec, ev_hsp, ev_hss, ev_hcs, ev_hflags, ev_cr2");
#define PLACE_(name, m) asm(".set " #name ", ev + %c0" ::"i"(OFFSET(struct event, m)))
static __attribute__((used)) void offsets(void)
{
    PLACE_(ev_vec, vec);
    PLACE_(ev_hsp, hsp);
    PLACE_(ev_hss, hss);
    PLACE_(ev_hcs, hcs);
    PLACE_(ev_hflags, hflags);
    PLACE_(ev_cr2, cr2);
}

u64 gdt[GDT_ENTRIES] __attribute__((aligned(16))), ldt[32] __attribute__((aligned(16)));
u8 stack0[8192] PAGE_ALIGNED, stack1[8192] PAGE_ALIGNED, stack3[8192] PAGE_ALIGNED, stack_k[8192] PAGE_ALIGNED;
#ifdef __x86_64__
u64 idt[512] PAGE_ALIGNED;
struct tss64 tss __attribute__((aligned(128)));
#else
u64 idt[256] PAGE_ALIGNED;
struct tss32 tss __attribute__((aligned(128))), tss2 __attribute__((aligned(128)));
struct tss16 tssh __attribute__((aligned(128)));
#endif
bool on_bochs;
extern u8 stubs[];

void *memset(void *p, int v, ul n)
{
    for (u8 *q = p; n--;) *(volatile u8 *)q++ = v;
    return p;
}
void *memcpy(void *d, const void *s, ul n)
{
    u8 *q = d;
    for (const u8 *r = s; n--;) *(volatile u8 *)q++ = *r++;
    return d;
}
int memcmp(const void *a, const void *b, ul n)
{
    const u8 *p = a, *q = b;
    for (; n--; p++, q++)
        if (*p != *q) return *p - *q;
    return 0;
}
// Leaf of the extended range, zeros if there is none: Intel's processors answer then with their last basic leaf.
void cpuid_ext(u32 leaf, u32 *r)
{
    cpuid(0x80000000, 0, r);
    if (r[0] >= leaf && r[0] >> 16 == 0x8000)
        cpuid(leaf, 0, r);
    else
        r[0] = r[1] = r[2] = r[3] = 0;
}
// MAXPHYADDR: SDM vol. 3 4.1.4; all processors here have PAE.
unsigned phys_bits(void)
{
    u32 r[4];
    cpuid_ext(0x80000008, r);
    return r[0] & 0xff ? r[0] & 0xff : 36;
}
bool amd(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    return r[1] == 0x68747541;
}
bool on_qemu(void)
{
    u32 r[4];
    cpuid(0x40000000, 0, r);
    return r[1] == 0x54474354; // TCGTCGTCGTCG
}
void place(u32 at, const u8 *from, const u8 *end) { memcpy((void *)(ul)at, from, end - from); }

// ---- tables

u64 descriptor(u32 base, u32 limit, u32 attr)
{
    return (u64)(limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xff) << 40 |
           (u64)(limit >> 16 & 15) << 48 | (u64)(attr >> 12 & 15) << 52 | (u64)(base >> 24) << 56;
}
u64 gate(u32 sel, u32 off, u32 access, u32 low)
{
    return (off & 0xffff) | (u64)sel << 16 | (u64)low << 32 | (u64)access << 40 | (u64)(off >> 16) << 48;
}
void set_desc(u32 sel, u64 d) { (sel & 4 ? ldt : gdt)[sel >> 3] = d; }
u64 get_desc(u32 sel) { return (sel & 4 ? ldt : gdt)[sel >> 3]; }
void set_system_desc(u32 sel, u64 base, u32 limit, u32 access)
{
    set_desc(sel, descriptor(base, limit, access));
#ifdef __x86_64__
    set_desc(sel + 8, base >> 32);
#endif
}
ul stub(unsigned vec) { return (ul)stubs + 16 * vec; }
void set_gate(unsigned vec, u32 access, u32 sel, u32 ist)
{
#ifdef __x86_64__
    idt[2 * vec] = gate(sel, stub(vec), access, ist);
    idt[2 * vec + 1] = 0;
#else
    idt[vec] = gate(sel, stub(vec), access, ist);
#endif
}

void reset_tables(void)
{
    struct {
        u16 limit;
        ul base;
    } PACKED g = {sizeof gdt - 1, (ul)gdt}, i = {sizeof idt - 1, (ul)idt};
    memset(gdt, 0, sizeof gdt);
    memset(ldt, 0, sizeof ldt);
    set_desc(K_CS, descriptor(0, 0xfffff, sizeof(ul) == 8 ? A_CODE64 : A_CODE0));
    set_desc(K_DS, descriptor(0, 0xfffff, A_DATA0));
    set_desc(U_CS, descriptor(0, 0xfffff, A_CODE3));
    set_desc(U_DS, descriptor(0, 0xfffff, A_DATA3));
    set_desc(K_CS64, descriptor(0, 0xfffff, A_CODE64));
    set_desc(U_CS64, descriptor(0, 0xfffff, A_CODE64_3));
    set_desc(K_CS16, descriptor(0, 0xffff, 0x009b));
    set_desc(K_DS16, descriptor(0, 0xffff, 0x0093));
    set_desc(U_CS16, descriptor(0, 0xffff, 0x00fb));
    set_desc(U_DS16, descriptor(0, 0xffff, 0x00f3));
    set_desc(R1_CS, descriptor(0, 0xfffff, 0xc0bb));
    set_desc(R1_DS, descriptor(0, 0xfffff, 0xc0b3));
    memset(&tss, 0, sizeof tss);
    tss.iomap = OFFSET(typeof(tss), io);
    memset(tss.io, 0xff, sizeof tss.io + 1);
#ifdef __x86_64__
    tss.rsp[0] = TOP(stack0);
    tss.rsp[1] = TOP(stack1);
#else
    tss.esp0 = TOP(stack0);
    tss.ss0 = K_DS;
    tss.esp1 = TOP(stack1);
    tss.ss1 = R1_DS;
    memset(&tss2, 0, sizeof tss2);
    memset(&tssh, 0, sizeof tssh);
    set_system_desc(TSS2_SEL, (ul)&tss2, sizeof tss2 - 1, 0x89);
#endif
    set_system_desc(TSS_SEL, (ul)&tss, sizeof tss - 1, 0x89);
    set_system_desc(LDT_SEL, (ul)ldt, sizeof ldt - 1, 0x82);
    for (unsigned v = 0; v < 256; v++) set_gate(v, v == END_VEC ? 0xee : 0x8e, K_CS, 0);
    asm_("lgdt %0\n lidt %1" ::"m"(g), "m"(i) : "memory");
#ifdef __x86_64__
    asm_("pushq %0\n pushq $1f\n lretq\n1:" ::"i"((ul)K_CS) : "memory");
#else
    asm_("ljmp %0,$1f\n1:" ::"i"(K_CS) : "memory");
#endif
    asm_("mov %0,%%ds\n mov %0,%%es\n mov %0,%%ss\n mov %0,%%fs\n mov %0,%%gs" ::"r"((u32)K_DS) : "memory");
    asm_("ltr %0" ::"r"((u16)TSS_SEL) : "memory");
    asm_("lldt %0" ::"r"((u16)LDT_SEL) : "memory");
    wcr0(rcr0() & ~(ul)CR0_TS);
    wdr7(0x400);
    wdr6(0xffff0ff0);
}

struct regs ring(unsigned cpl, const void *ip)
{
    struct regs r = {.ip = (ul)ip, .flags = F_1};
    bool wide = sizeof(ul) == 8;
    r.cs = cpl == 0 ? K_CS : cpl == 1 ? R1_CS : wide ? U_CS64 : U_CS;
    r.ss = r.ds = r.es = cpl == 0 ? K_DS : cpl == 1 ? R1_DS : U_DS;
    r.sp = cpl == 0 ? TOP(stack_k) : cpl == 1 ? TOP(stack1) : TOP(stack3);
    return r;
}

// ---- the frame that the processor pushed; the host's DS is flat

static u32 stack_base(void)
{
    if (sizeof(ul) == 8) return 0;
    u64 d = get_desc(ev.hss);
    return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}
u32 frame32(unsigned i) { return W32(stack_base() + ev.hsp + 4 * i); }
u16 frame16(unsigned i) { return W16(stack_base() + ev.hsp + 2 * i); }
u64 frame64(unsigned i) { return W64(ev.hsp + 8 * i); }

static bool has_err(unsigned v) { return v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21; }

// Completes ev from the frame, when the gate was of the native size.
void event_complete(void)
{
    unsigned e = has_err(ev.vec);
#ifdef __x86_64__
#define FRAME frame64
#else
#define FRAME frame32
    if (!(get_desc(ev.hss) >> 54 & 1)) e = e;
#endif
    ev.err = e ? FRAME(0) : NO_ERR;
    ev.r.ip = FRAME(e);
    ev.r.cs = FRAME(e + 1) & 0xffff;
    ev.r.flags = FRAME(e + 2);
    bool outer = sizeof(ul) == 8 || (ev.r.cs & 3) > (ev.hcs & 3) || (ev.r.flags & F_VM);
    ev.r.sp = outer ? FRAME(e + 3) : ev.hsp + 4 * (3 + e);
    ev.r.ss = outer ? FRAME(e + 4) & 0xffff : ev.hss;
#ifndef __x86_64__
    if (ev.r.flags & F_VM) {
        ev.r.es = frame16(2 * (e + 5));
        ev.r.ds = frame16(2 * (e + 6));
        ev.r.fs = frame16(2 * (e + 7));
        ev.r.gs = frame16(2 * (e + 8));
    }
#endif
}

// ---- reports

static const char *name, *section;
static unsigned tests, failures, checks, skipped;
static bool failed;

static void put(char ch)
{
    while (!(inb(0x3fd) & 0x20)) {
    }
    outb(0x3f8, ch);
}
void puts(const char *s)
{
    while (*s) put(*s++);
}
void put_hex(u64 v)
{
    bool on = false;
    for (int i = 60; i >= 0; i -= 4) {
        unsigned d = v >> i & 15;
        on |= d || !i;
        if (on) put("0123456789abcdef"[d]);
    }
}
static void put_dec(unsigned n)
{
    if (n > 9) put_dec(n / 10);
    put('0' + n % 10);
}

static void end_test(void)
{
    if (!name) return;
    tests++;
    if (failed) {
        failures++;
        puts(" (SDM ");
        puts(section);
        puts(")\n");
    } else {
        puts("ok ");
        puts(name);
        put('\n');
    }
    name = NULL;
}
void test(const char *n, const char *s)
{
    end_test();
    name = n;
    section = s;
    failed = false;
}
void test2(const char *n, const char *rest, const char *s)
{
    static char both[96];
    char *p = both, *end = both + sizeof both - 1;
    end_test();
    for (; *n && p < end; n++) *p++ = *n;
    *p++ = ' ';
    for (; *rest && p < end; rest++) *p++ = *rest;
    *p = 0;
    test(both, s);
}
void check_(const char *what, u64 got, u64 want, u64 mask)
{
    checks++;
    if ((got & mask) == (want & mask)) return;
    if (!failed) {
        puts("not ok ");
        puts(name);
        puts(":");
    } else {
        puts(";");
    }
    failed = true;
    puts(" ");
    puts(what);
    puts(": got ");
    put_hex(got & mask);
    puts(" want ");
    put_hex(want & mask);
}
void event_is(unsigned vec, ul err, const void *ip)
{
    event_complete();
    EQ("vector", ev.vec, vec);
    if (ev.vec != vec) {
        EQ("error code", ev.err, err);
        EQ("at", ev.r.ip, (ul)ip);
        return;
    }
    EQ("error code", ev.err, err);
    if (ip) EQ("at", ev.r.ip, (ul)ip);
}
void ends(void)
{
    event_complete();
    EQ("vector", ev.vec, END_VEC);
    if (ev.vec != END_VEC) {
        EQ("error code", ev.err, NO_ERR);
        EQ("at", ev.r.ip, 0);
        EQ("cr2", ev.cr2, 0);
    }
}
void skip(const char *n, const char *why)
{
    end_test();
    skipped++;
    puts("skip ");
    puts(n);
    puts(": ");
    puts(why);
    puts("\n");
}

void finish(void)
{
    end_test();
    puts("# done ");
    put_dec(tests);
    puts(" tests, ");
    put_dec(checks);
    puts(" checks, ");
    put_dec(failures);
    puts(" failed\n");
    while (!(inb(0x3fd) & 0x40)) {
    }
    outl(0xf4, failures ? 0x11 : 0x10);                         // isa-debug-exit
    for (const char *s = "Shutdown"; *s; s++) outb(0x8900, *s); // Bochs
    outb(0x64, 0xfe);
    for (;;) asm_("hlt");
}

#ifndef __x86_64__
extern u8 low_code[], low_code_end[], real_record[];
void real_setup(void);
// Interrupt vectors and their stubs: 0:1000h + 8 n: push n; jmp.
void real_setup(void)
{
    memcpy((void *)0x600, low_code, low_code_end - low_code);
    u32 rec = 0x600 + (real_record - low_code);
    for (unsigned v = 0; v < 256; v++) {
        u8 *p = (u8 *)0x1000 + 8 * v;
        p[0] = 0x68;
        p[1] = v;
        p[2] = 0;
        p[3] = 0xe9;
        *(u16 *)(p + 4) = rec - (0x1000 + 8 * v + 6);
        W32(4 * v) = 0x1000 + 8 * v;
    }
}
#endif

#ifdef __x86_64__
static volatile u32 ap_up;
static void (*ap_work)(void);
static void ap_entry(void)
{
    struct {
        u16 limit;
        ul base;
    } PACKED g = {sizeof gdt - 1, (ul)gdt}, i = {sizeof idt - 1, (ul)idt};
    asm_("lgdt %0\n lidt %1" ::"m"(g), "m"(i) : "memory");
    ap_up = 1;
    ap_work();
    ap_up = 2;
}
static void delay(u32 us)
{
    while (us--) inb(0x80);
}
bool start_ap(void (*work)(void))
{
    if (!(rdmsr(0x1b) & 0x800)) return false;
    memcpy((void *)0x8000, ap_code, ap_code_end - ap_code);
    ap_main = ap_entry;
    ap_work = work;
    ap_up = 0;
    W32(0xfee00300) = 0xc4500; // INIT, all but self
    delay(200);
    W32(0xfee00300) = 0xc4608; // start-up at 8000h
    for (u32 n = 0; n < 200000 && !ap_up; n++) inb(0x80);
    return ap_up;
}
bool ap_done(void) { return ap_up == 2; }
#endif

void lib_start(u32 magic);
void lib_start(u32 magic)
{
    on_bochs = magic == 0xb0c45;
    outb(0x3f9, 0); // UART: no interrupts, 115200 8N1
    outb(0x3fb, 0x80);
    outb(0x3f8, 1);
    outb(0x3f9, 0);
    outb(0x3fb, 3);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    wcr0((rcr0() | CR0_NE) & ~(ul)(CR0_EM | CR0_TS));
    reset_tables();
#ifndef __x86_64__
    real_setup();
#endif
    test_main();
    finish();
}
