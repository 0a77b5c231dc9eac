// SPDX-License-Identifier: MIT
// Two processors: INIT and start-up, IPIs by every destination, NMI and interrupts that end HLT, locked operations, TLB
// shootdown, state that is each processor's own, MONITOR and MWAIT.
#include "tests/insn/sys/sys.h"
#include "tests/insn/sys/irq.h"

static volatile u32 stop, beats, entered;
static volatile u64 note[8];
// Waits for a condition, not for ever.
#define UNTIL(c)                                                                                                       \
    for (u32 n_ = 0; n_ < 3000000 && !(c); n_++) asm_("pause" ::: "memory")
static void others_reset(void) { irqs.others[0] = irqs.others[1] = 0; }

// ---- what the second processor does

static void beat(void)
{
    entered++;
    while (!stop) {
        beats++;
        asm_("pause");
    }
}
static void beat_sti(void)
{
    apic_write(SVR, 0x1ff);
    apic_write(LDR, 0x02000000);
    apic_write(DFR, 0xffffffff);
    note[7] = apic(ID);
    asm_("sti");
    beat();
    asm_("cli");
}
static void sleep_sti(void)
{
    apic_write(SVR, 0x1ff);
    entered++;
    for (unsigned i = 0; i < 3; i++) {
        asm_("sti\n hlt\n cli" ::: "memory");
        note[0]++;
    }
}
static void sleep_cli(void)
{
    entered++;
    asm_("cli\n hlt" ::: "memory");
    note[0]++;
}
static bool begin(void (*work)(void))
{
    stop = beats = entered = 0;
    memset((void *)note, 0, sizeof note);
    others_reset();
    return start_ap(work);
}
static void end(void)
{
    stop = 1;
    UNTIL(ap_done());
}

// ---- start

static void identify(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    note[0] = r[1] >> 24;
    note[1] = rdmsr(0x1b);
    note[2] = rdmsr(MSR_EFER);
    note[3] = rcr4();
    note[4] = apic(ID) >> 24;
    note[5] = r[0];
    note[6] = apic(SVR);
}

static void start(void)
{
    u32 r[4];
    test("start-up IPI", "vol. 3 8.4, 9.1, table 9-1");
    EQ("comes", begin(identify), 1);
    UNTIL(ap_done());
    cpuid(1, 0, r);
    EQ("CS", W16(0x8800), 0x0800);
    EQ("EDX: the signature", W32(0x8804), r[0]);
    BITS("CR0", W32(0x8808), 0x10, ~0x60000000u);
    EQ("another APIC ID", note[0] != r[1] >> 24, 1);
    EQ("APIC's own register agrees", note[4], note[0]);
    BITS("no BSP", note[1], 0x800, 0x900);
    EQ("the BSP is", rdmsr(0x1b) >> 8 & 1, 1);
    BITS("EFER", note[2], 0x500, 0xfff);
    BITS("SVR", note[6], 0xff, 0xff);

    test("a start-up IPI to a running processor is ignored", "vol. 3 8.4.4.1");
    begin(beat);
    UNTIL(beats > 10);
    apic_write(ICR, 0xc4609);
    u32 b = beats;
    UNTIL(beats > b + 10);
    EQ("goes on", beats > b + 10, 1);
    EQ("entered", entered, 1);
    test("INIT stops it until the next start-up IPI", "vol. 3 8.4, 10.4.7.4");
    apic_write(ICR, 0xc4500);
    for (u32 i = 0; i < 2000; i++) inb(0x80);
    b = beats;
    for (u32 i = 0; i < 2000; i++) inb(0x80);
    EQ("stopped", beats, b);
    W64(0x8800) = 0;
    apic_write(ICR, 0xc4608);
    UNTIL(entered == 2);
    EQ("entered again", entered, 2);
    EQ("CS", W16(0x8800), 0x0800);
    end();
    test("INIT clears what the processor was set to", "vol. 3 table 9-1");
    note[2] = 0;
    begin(identify);
    UNTIL(ap_done());
    BITS("EFER.SCE", note[2], 0, 1);
    BITS("CR4", note[3], 0x20, ~0ul);
}

// ---- messages

static void messages(void)
{
    begin(beat_sti);
    UNTIL(beats > 10);
    u32 other = note[7];
    apic_write(LDR, 0x01000000);
    apic_write(DFR, 0xffffffff);
    static const struct {
        const char *name;
        u32 hi, lo;
        u8 self, there;
    } t[] = {
        {"to the other by ID", 1, 0x51, 0, 1},
        {"to the other by logical ID", 0x02000000, 0x852, 0, 1},
        {"to both by logical ID", 0x03000000, 0x853, 1, 1},
        {"to no one by logical ID", 0x04000000, 0x854, 0, 0},
        {"to both by broadcast ID", 0xff000000, 0x55, 1, 1},
        {"to all but self", 0, 0xc0056, 0, 1},
        {"to all", 0, 0x80057, 1, 1},
        {"to self", 0, 0x40058, 1, 0},
        {"NMI to the other", 1, 0x400, 0, 1},
        {"NMI to all but self", 0, 0xc0400, 0, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 10.6");
        irq_reset();
        others_reset();
        apic_write(ICR2, t[i].hi == 1 ? other : t[i].hi);
        apic_write(ICR, t[i].lo);
        if (t[i].there)
            UNTIL(irqs.others[0]);
        else
            for (u32 k = 0; k < 500; k++) inb(0x80);
        window();
        EQ("there", irqs.others[0], t[i].there);
        EQ("here", irqs.n, t[i].self);
        if (t[i].there) EQ("vector there", irqs.others[1], t[i].lo & 0x700 ? NMI : t[i].lo & 0xff);
    }
    test("lowest priority goes to one of them", "vol. 3 10.6.2.4");
    irq_reset();
    others_reset();
    for (unsigned i = 0; i < 10; i++) {
        u32 before = irqs.others[0] + irqs.n;
        apic_write(ICR2, 0x03000000);
        apic_write(ICR, 0x900 | 0x61);
        for (u32 k = 0; k < 100; k++) inb(0x80);
        window();
        UNTIL(irqs.others[0] + irqs.n > before);
        EQ("once", irqs.others[0] + irqs.n, before + 1);
    }
    test("each has its own TPR", "vol. 3 10.8.3.1");
    apic_write(TPR, 0xf0);
    others_reset();
    apic_write(ICR2, other);
    apic_write(ICR, 0x55);
    UNTIL(irqs.others[0]);
    EQ("there", irqs.others[0], 1);
    apic_write(TPR, 0);
    end();

    test("an interrupt ends HLT on the other", "vol. 2 HLT");
    begin(sleep_sti);
    UNTIL(entered);
    for (u32 i = 1; i <= 3; i++) {
        for (u32 k = 0; k < 300; k++) inb(0x80); // asleep by now
        EQ("asleep", note[0], i - 1);
        apic_write(ICR, 0xc0050 + i);
        UNTIL(note[0] == i);
        EQ("woken", note[0], i);
    }
    UNTIL(ap_done());
    EQ("interrupts", irqs.others[0], 3);
    test("NMI ends HLT with IF = 0", "vol. 2 HLT, vol. 3 6.7");
    begin(sleep_cli);
    UNTIL(entered);
    for (u32 k = 0; k < 300; k++) inb(0x80);
    apic_write(ICR, 0xc0055); // an interrupt does not
    for (u32 k = 0; k < 300; k++) inb(0x80);
    EQ("asleep", note[0], 0);
    apic_write(ICR, 0xc0400);
    UNTIL(note[0]);
    EQ("woken", note[0], 1);
    EQ("vector", irqs.others[1], NMI);
    UNTIL(ap_done());
}

// ---- locked operations

enum { ROUNDS = 20000 };
static volatile u64 shared[8] __attribute__((aligned(64)));
static volatile u32 lock_word, go;
static void locked(void)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        asm_("lock incq %0\n lock decl 8+%0\n lock addw $3,16+%0" : "+m"(shared[0])::"cc");
        u64 one = 1;
        asm_("lock xaddq %0,%1" : "+r"(one), "+m"(shared[3])::"cc", "memory");
        u64 old = shared[4];
        bool ok;
        do asm_("lock cmpxchgq %3,%1\n setz %2" : "+a"(old), "+m"(shared[4]), "=q"(ok) : "r"(old + 2) : "cc", "memory");
        while (!ok);
        u32 taken = 1;
        do {
            taken = 1;
            asm_("xchgl %0,%1" : "+r"(taken), "+m"(lock_word)::"memory"); // XCHG locks by itself
        } while (taken);
        shared[5]++;
        lock_word = 0;
        u32 bit;
        do asm_("lock btsl $7,%1\n sbbl %0,%0" : "=r"(bit), "+m"(shared[6])::"cc", "memory");
        while (bit);
        shared[7]++;
        asm_("lock btrl $7,%0" : "+m"(shared[6])::"cc", "memory");
    }
}
static void locked_there(void)
{
    go = 1;
    locked();
}
static void locks(void)
{
    test("locked operations of two processors", "vol. 3 8.1.2");
    memset((void *)shared, 0, sizeof shared);
    go = 0;
    begin(locked_there);
    UNTIL(go);
    locked();
    UNTIL(ap_done());
    EQ("LOCK INC", shared[0], 2 * ROUNDS);
    EQ("LOCK DEC", (u32)shared[1], -2u * ROUNDS);
    EQ("LOCK ADD, 16 bits", shared[2], (u16)(2 * 3 * ROUNDS));
    EQ("LOCK XADD", shared[3], 2 * ROUNDS);
    EQ("LOCK CMPXCHG", shared[4], 4 * ROUNDS);
    EQ("behind XCHG", shared[5], 2 * ROUNDS);
    EQ("behind LOCK BTS", shared[7], 2 * ROUNDS);
}

// ---- translations

enum { AT = 0x20000000 };
static u8 pages[2][4096] PAGE_ALIGNED;
static u64 pt[512] PAGE_ALIGNED;
static void reads_there(void)
{
    apic_write(SVR, 0x1ff);
    asm_("sti");
    while (!stop) {
        note[0] = W32(AT);
        beats++;
    }
    asm_("cli");
}
CODE(drop,
     "push %rax\n invlpg 0x20000000\n mov $0xfee000b0,%eax\n movl $0,(%rax)\n lock incl dropped\n pop %rax\n iretq");
volatile u32 dropped;
static void shootdown(void)
{
    test("TLB shootdown", "vol. 3 4.10.5");
    W32(pages[0]) = 0x1111;
    W32(pages[1]) = 0x2222;
    u64 old = boot_pd[AT >> 21];
    boot_pd[AT >> 21] = (ul)pt | 3;
    pt[0] = (ul)pages[0] | 3;
    wcr3(rcr3());
    idt[2 * 0x70] = gate(K_CS, (ul)drop, 0x8e, 0);
    idt[2 * 0x70 + 1] = 0;
    begin(reads_there);
    UNTIL(beats > 10);
    EQ("before", note[0], 0x1111);
    for (u32 i = 0; i < 20; i++) {
        u32 want = i & 1 ? 0x1111 : 0x2222;
        pt[0] = (ul)pages[!(i & 1)] | 3;
        invlpg(AT);
        dropped = 0;
        apic_write(ICR, 0xc0070);
        UNTIL(dropped);
        EQ("taken", dropped, 1);
        u32 b = beats;
        UNTIL(beats > b + 2);
        EQ("there", note[0], want);
        EQ("here", W32(AT), want);
    }
    test("the other's walk sets A in memory that all see", "vol. 3 4.8");
    BITS("A", pt[0], 0x20, 0x60);
    end();
    boot_pd[AT >> 21] = old;
    wcr3(rcr3());
    irq_gate(0x70);
}

// ---- MONITOR, MWAIT

static volatile u64 watched[8] __attribute__((aligned(64)));
static void mwaits(void)
{
    entered++;
    for (u32 i = 1; i <= 5; i++) {
        while (watched[0] < i) {
            asm_("monitor" ::"a"(watched), "c"(0), "d"(0));
            if (watched[0] >= i) break;
            asm_("mwait" ::"a"(0), "c"(0));
        }
        note[0] = i;
    }
}
CODE(do_monitor, "monitor");
CODE(do_mwait, "mwait");
static void monitor(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    if (!(r[2] >> 3 & 1)) {
        skip("MONITOR, MWAIT", "not there");
        return;
    }
    test("MWAIT ends when the line is written", "vol. 2 MWAIT");
    watched[0] = 0;
    begin(mwaits);
    UNTIL(entered);
    for (u32 i = 1; i <= 5; i++) {
        for (u32 k = 0; k < 200; k++) inb(0x80);
        EQ("waits", note[0], i - 1);
        watched[0] = i;
        UNTIL(note[0] == i);
        EQ("goes on", note[0], i);
    }
    UNTIL(ap_done());
    test("MONITOR, MWAIT at ring 3", "vol. 2 MONITOR");
    struct regs q = ring(3, do_monitor);
    q.ax = (ul)watched;
    run(&q);
    event_is(UD, NO_ERR, do_monitor);
    q = ring(3, do_mwait);
    run(&q);
    event_is(UD, NO_ERR, do_mwait);
    test("MONITOR with ECX", "vol. 2 MONITOR");
    q = ring(0, do_monitor);
    q.ax = (ul)watched;
    q.cx = 1;
    run(&q);
    event_is(GP, 0, do_monitor);
}

void test_main(void)
{
    irq_setup();
    if (!begin(beat)) {
        skip("two processors", "there is one");
        return;
    }
    end();
    start();
    messages();
    locks();
    shootdown();
    monitor();
}
