// SPDX-License-Identifier: MIT
// Local APIC: expected values from the SDM, vol. 3A chapter 11.
#include "hw/chip/lapic.h"
#include "tests/dev/chip.h"

#define BASE 0xfee00000ull
#define CPUS 4
struct rig {
    struct bench b;
    struct lapics *p;
    int intr[CPUS], nmi[CPUS], smi[CPUS], init[CPUS], sipi[CPUS], vector[CPUS];
    int eois, last_eoi, acks;
    i64 tsc_offset;
};
static void p_intr(void *o, unsigned c, int level) { ((struct rig *)o)->intr[c] = level; }
static void p_nmi(void *o, unsigned c) { ((struct rig *)o)->nmi[c]++; }
static void p_smi(void *o, unsigned c) { ((struct rig *)o)->smi[c]++; }
static void p_init(void *o, unsigned c) { ((struct rig *)o)->init[c]++; }
static void p_sipi(void *o, unsigned c, u8 v)
{
    struct rig *r = o;
    r->sipi[c]++;
    r->vector[c] = v;
}
// A TSC of 2 GHz.
static u64 p_tsc(void *o, unsigned c)
{
    struct rig *r = o;
    return r->b.bus.clock.now * 2 + r->tsc_offset;
}
static u64 p_when(void *o, unsigned c, u64 tsc)
{
    struct rig *r = o;
    __int128 t = ((__int128)tsc - r->tsc_offset + 1) / 2;
    return t < 0 ? 0 : (u64)t;
}
static int p_ack(void *o)
{
    ((struct rig *)o)->acks++;
    return 0x30;
}
static void p_eoi(void *o, u8 v)
{
    struct rig *r = o;
    r->eois++;
    r->last_eoi = v;
}

static u32 rd_on(struct rig *r, unsigned cpu, u32 off)
{
    r->b.bus.cur_cpu = cpu;
    return (u32)bus_load(&r->b.bus, BASE + off, 4);
}
static void wr_on(struct rig *r, unsigned cpu, u32 off, u32 v)
{
    r->b.bus.cur_cpu = cpu;
    bus_store(&r->b.bus, BASE + off, v, 4);
}
static u32 rd(struct rig *r, u32 off) { return rd_on(r, 0, off); }
static void wr(struct rig *r, u32 off, u32 v) { wr_on(r, 0, off, v); }
static bool msr_wr(struct rig *r, u32 msr, u64 v) { return lapics_wrmsr(r->p, 0, msr, v); }
static u64 msr_rd(struct rig *r, u32 msr)
{
    u64 v = 0xdeadbeef;
    return lapics_rdmsr(r->p, 0, msr, &v) ? v : 0xbad;
}
// The machine with the APICs as after power-on; soft: SVR enables them, flat logical identities 1, 2, 4, 8.
static void open_rig(struct rig *r, bool soft)
{
    memset(r, 0, sizeof *r);
    bench_init(&r->b);
    r->p = lapics_new(&r->b.bus, CPUS, true,
                      (struct lapic_pins){r, p_intr, p_nmi, p_smi, p_init, p_sipi, p_tsc, p_when, p_ack, p_eoi});
    for (unsigned i = 0; soft && i < CPUS; i++) {
        wr_on(r, i, 0xf0, 0x1ff);
        wr_on(r, i, 0xd0, 0x01000000u << i);
    }
}
static void fixed(struct rig *r, u8 dest, u8 vector, bool level)
{
    lapics_send(r->p, &(struct apic_msg){.dest = dest, .vector = vector, .level = level});
}

static void after_reset(void)
{
    struct rig r;
    open_rig(&r, false);
    CHECK_EQ(rd(&r, 0x20), 0);
    CHECK_EQ(rd_on(&r, 2, 0x20), 0x02000000);
    CHECK_EQ(rd(&r, 0x30), 0x00050014);
    CHECK_EQ(rd(&r, 0xf0), 0xff);
    CHECK_EQ(rd(&r, 0xe0), 0xffffffff);
    CHECK_EQ(rd(&r, 0xd0), 0);
    for (u32 o = 0x320; o <= 0x370; o += 0x10) CHECK_EQ(rd(&r, o), 0x10000);
    CHECK_EQ(msr_rd(&r, 0x1b), 0xfee00900);
    u64 v;
    CHECK(lapics_rdmsr(r.p, 1, 0x1b, &v) && v == 0xfee00800);
    wr(&r, 0x350, 0x700); // soft-disabled: masks cannot be cleared
    CHECK_EQ(rd(&r, 0x350), 0x10700);
    fixed(&r, 0, 0x40, false);
    CHECK_EQ(rd(&r, 0x220), 0);
    bus_free(&r.b.bus);
}

static void priorities(void)
{
    struct rig r;
    open_rig(&r, true);
    fixed(&r, 0, 0x41, false);
    fixed(&r, 0, 0x83, false);
    CHECK_EQ(r.intr[0], 1);
    CHECK_EQ(rd(&r, 0x220), 2);
    CHECK_EQ(rd(&r, 0x240), 8);
    CHECK_EQ(lapics_inta(r.p, 0), 0x83);
    CHECK_EQ(r.intr[0], 0);
    CHECK_EQ(rd(&r, 0x140), 8);
    CHECK_EQ(rd(&r, 0xa0), 0x80);
    fixed(&r, 0, 0x8f, false); // the same class does not interrupt
    CHECK_EQ(r.intr[0], 0);
    fixed(&r, 0, 0x90, false);
    CHECK_EQ(lapics_inta(r.p, 0), 0x90);
    wr(&r, 0xb0, 0);
    wr(&r, 0xb0, 0);
    CHECK_EQ(lapics_inta(r.p, 0), 0x8f);
    wr(&r, 0xb0, 0);
    wr(&r, 0x80, 0x45); // TPR masks its class and below
    CHECK_EQ(r.intr[0], 0);
    CHECK_EQ(rd(&r, 0xa0), 0x45);
    CHECK_EQ(lapics_get_cr8(r.p, 0), 4);
    lapics_set_cr8(r.p, 0, 3);
    CHECK_EQ(r.intr[0], 1);
    CHECK_EQ(rd(&r, 0x80), 0x30);
    CHECK_EQ(lapics_inta(r.p, 0), 0x41);
    CHECK_EQ(r.eois, 0);
    wr(&r, 0xb0, 0);
    CHECK_EQ(lapics_inta(r.p, 0), 0xff); // nothing: the spurious vector of SVR
    CHECK_EQ(rd(&r, 0x170), 0);
    bus_free(&r.b.bus);
}

static void level_and_broadcast_of_eoi(void)
{
    struct rig r;
    open_rig(&r, true);
    fixed(&r, 0, 0x51, true);
    CHECK_EQ(rd(&r, 0x1a0), 1 << 0x11);
    CHECK_EQ(lapics_inta(r.p, 0), 0x51);
    wr(&r, 0xb0, 0);
    CHECK_EQ(r.eois, 1);
    CHECK_EQ(r.last_eoi, 0x51);
    fixed(&r, 0, 0x51, false); // edge: TMR is cleared
    CHECK_EQ(rd(&r, 0x1a0), 0);
    bus_free(&r.b.bus);
}

static void destinations(void)
{
    struct rig r;
    open_rig(&r, true);
    struct apic_msg m = {.dest = 0x0a, .logical = true, .vector = 0x60}; // flat: CPUs 1 and 3
    CHECK(lapics_send(r.p, &m));
    CHECK(!r.intr[0] && r.intr[1] && !r.intr[2] && r.intr[3]);
    for (unsigned i = 0; i < CPUS; i++) { // cluster 1: CPUs 0, 1; cluster 2: CPUs 2, 3
        wr_on(&r, i, 0xe0, 0x0fffffff);
        wr_on(&r, i, 0xd0, (i / 2 + 1) << 28 | 1u << (24 + i % 2));
    }
    m = (struct apic_msg){.dest = 0x23, .logical = true, .vector = 0x61};
    CHECK(lapics_send(r.p, &m));
    CHECK_EQ(rd_on(&r, 2, 0x230), 2);
    CHECK_EQ(rd_on(&r, 3, 0x230), 3);
    CHECK_EQ(rd_on(&r, 0, 0x230), 0);
    m = (struct apic_msg){.dest = 0xff, .vector = 0x62};
    CHECK(lapics_send(r.p, &m));
    for (unsigned i = 0; i < CPUS; i++) CHECK_EQ(rd_on(&r, i, 0x230) & 4, 4);
    m = (struct apic_msg){.dest = 9, .vector = 0x63};
    CHECK(!lapics_send(r.p, &m)); // nobody
    bus_free(&r.b.bus);
}

static void lowest_priority(void)
{
    struct rig r;
    open_rig(&r, true);
    for (unsigned i = 0; i < CPUS; i++) wr_on(&r, i, 0x80, i == 2 ? 0x10 : 0x50);
    struct apic_msg m = {.dest = 0x0f, .logical = true, .mode = APIC_LOWEST, .vector = 0x70};
    CHECK(lapics_send(r.p, &m));
    CHECK(r.intr[2] && !r.intr[0] && !r.intr[1] && !r.intr[3]);
    for (unsigned i = 0; i < CPUS; i++) wr_on(&r, i, 0x80, 0);
    for (unsigned i = 0; i < CPUS; i++, m.vector++) CHECK(lapics_send(r.p, &m)); // equals take turns
    for (unsigned i = 0; i < CPUS; i++) CHECK(r.intr[i]);
    bus_free(&r.b.bus);
}

static void ipis(void)
{
    struct rig r;
    open_rig(&r, true);
    wr(&r, 0x310, 0x02000000);
    wr(&r, 0x300, 0x4500); // INIT, assert
    CHECK_EQ(r.init[2], 1);
    CHECK_EQ(rd_on(&r, 2, 0xf0), 0xff); // its APIC was reset too
    CHECK_EQ(rd_on(&r, 2, 0x20), 0x02000000);
    wr(&r, 0x300, 0x8500); // level de-assert: nothing
    CHECK_EQ(r.init[2], 1);
    wr(&r, 0x300, 0x4608);
    CHECK_EQ(r.sipi[2], 1);
    CHECK_EQ(r.vector[2], 8);
    wr(&r, 0x300, 0xc4400); // NMI, all but self
    CHECK(!r.nmi[0] && r.nmi[1] && r.nmi[2] && r.nmi[3]);
    wr(&r, 0x300, 0x84200); // SMI, all
    CHECK(r.smi[0] && r.smi[1] && r.smi[2] && r.smi[3]);
    wr(&r, 0x300, 0x40055); // self
    CHECK_EQ(lapics_inta(r.p, 0), 0x55);
    wr(&r, 0xb0, 0);
    wr(&r, 0x310, 0x03000000);
    wr(&r, 0x300, 0x00056);
    CHECK_EQ(rd(&r, 0x300), 0x56); // delivery status: idle
    CHECK_EQ(lapics_inta(r.p, 3), 0x56);
    bus_free(&r.b.bus);
}

static void errors(void)
{
    struct rig r;
    open_rig(&r, true);
    wr(&r, 0x370, 0xfe);
    wr(&r, 0x300, 0x40005); // illegal vector sent
    CHECK_EQ(lapics_inta(r.p, 0), 0xfe);
    wr(&r, 0xb0, 0);
    CHECK_EQ(rd(&r, 0x280), 0); // not before it is written
    wr(&r, 0x280, 0);
    CHECK_EQ(rd(&r, 0x280), 0x20);
    wr(&r, 0x280, 0);
    CHECK_EQ(rd(&r, 0x280), 0);
    fixed(&r, 0, 3, false);
    rd(&r, 0x3f0);
    wr(&r, 0x280, 0);
    CHECK_EQ(rd(&r, 0x280), 0xc0);
    bus_free(&r.b.bus);
}

static void timer(void)
{
    struct rig r;
    open_rig(&r, true);
    wr(&r, 0x320, 0x40);
    wr(&r, 0x3e0, 0x3); // divide by 16
    wr(&r, 0x380, 1000);
    bench_pass(&r.b, 8000);
    CHECK_EQ(rd(&r, 0x390), 500);
    bench_pass(&r.b, 7999);
    CHECK_EQ(r.intr[0], 0);
    bench_pass(&r.b, 1);
    CHECK_EQ(lapics_inta(r.p, 0), 0x40);
    wr(&r, 0xb0, 0);
    bench_pass(&r.b, 100000);
    CHECK_EQ(rd(&r, 0x390), 0);
    CHECK_EQ(r.intr[0], 0);
    wr(&r, 0x3e0, 0xb); // 1
    wr(&r, 0x320, 0x20041);
    wr(&r, 0x380, 5000);
    for (int i = 0; i < 10; i++) {
        bench_pass(&r.b, 4999);
        CHECK_EQ(r.intr[0], 0);
        CHECK_EQ(rd(&r, 0x390), 1);
        bench_pass(&r.b, 1);
        CHECK_EQ(lapics_inta(r.p, 0), 0x41);
        wr(&r, 0xb0, 0);
    }
    wr(&r, 0x320, 0x30041); // masked it counts on
    bench_pass(&r.b, 12000);
    CHECK_EQ(r.intr[0], 0);
    CHECK_EQ(rd(&r, 0x390), 3000);
    wr(&r, 0x320, 0x20041);
    bench_pass(&r.b, 3000);
    CHECK_EQ(r.intr[0], 1);
    wr(&r, 0x380, 0); // stops
    lapics_inta(r.p, 0), wr(&r, 0xb0, 0);
    bench_pass(&r.b, 100000);
    CHECK_EQ(r.intr[0], 0);
    wr(&r, 0x380, 1); // a period of 1 ns does not hang the machine
    bench_pass(&r.b, 1000000);
    CHECK_EQ(lapics_inta(r.p, 0), 0x41);
    bus_free(&r.b.bus);
}

static void late_events(void)
{
    struct rig r;
    open_rig(&r, true);
    wr(&r, 0x3e0, 0xb);
    wr(&r, 0x320, 0x40);
    wr(&r, 0x380, 1000);
    r.b.bus.clock.now += 5000; // nobody ran the events yet
    wr(&r, 0x320, 0x41);
    CHECK_EQ(lapics_inta(r.p, 0), 0x40);
    bus_free(&r.b.bus);
}

static void tsc_deadline(void)
{
    struct rig r;
    open_rig(&r, true);
    CHECK(msr_wr(&r, 0x6e0, 1000));
    CHECK_EQ(msr_rd(&r, 0x6e0), 0); // not in that mode
    wr(&r, 0x320, 0x40042);
    wr(&r, 0x380, 77);
    CHECK_EQ(rd(&r, 0x380), 0);
    CHECK(msr_wr(&r, 0x6e0, 20001));
    CHECK_EQ(msr_rd(&r, 0x6e0), 20001);
    bench_until(&r.b, 10000);
    CHECK_EQ(r.intr[0], 0);
    bench_until(&r.b, 10001);
    CHECK_EQ(lapics_inta(r.p, 0), 0x42);
    CHECK_EQ(msr_rd(&r, 0x6e0), 0);
    wr(&r, 0xb0, 0);
    msr_wr(&r, 0x6e0, 5); // in the past: at once
    clock_run(&r.b.bus.clock);
    CHECK_EQ(lapics_inta(r.p, 0), 0x42);
    wr(&r, 0xb0, 0);
    msr_wr(&r, 0x6e0, 40000);
    r.tsc_offset = -20000; // the TSC is set back
    lapics_tsc_moved(r.p, 0);
    bench_until(&r.b, 29999);
    CHECK_EQ(r.intr[0], 0);
    bench_until(&r.b, 30000);
    CHECK_EQ(r.intr[0], 1);
    lapics_inta(r.p, 0), wr(&r, 0xb0, 0);
    msr_wr(&r, 0x6e0, 60000);
    msr_wr(&r, 0x6e0, 0); // disarms
    bench_pass(&r.b, 1000000);
    CHECK_EQ(r.intr[0], 0);
    msr_wr(&r, 0x6e0, ~0ull);
    wr(&r, 0x320, 0x42); // another mode disarms
    CHECK_EQ(msr_rd(&r, 0x6e0), 0);
    wr(&r, 0x320, 0x50042); // masked
    msr_wr(&r, 0x6e0, p_tsc(&r, 0) + 100);
    bench_pass(&r.b, 1000);
    CHECK_EQ(msr_rd(&r, 0x6e0), 0);
    CHECK_EQ(r.intr[0], 0);
    bus_free(&r.b.bus);
}

static void lint_pins(void)
{
    struct rig r;
    open_rig(&r, true);
    struct irq pic = lapics_pic_line(r.p), nmi = lapics_nmi_line(r.p);
    irq_set(&pic, 1);
    CHECK_EQ(r.intr[0], 0); // LVT0 is masked
    wr(&r, 0x350, 0x700);
    CHECK_EQ(r.intr[0], 1);
    CHECK_EQ(r.intr[1], 0);
    wr(&r, 0x80, 0xff); // priorities do not matter to ExtINT
    CHECK_EQ(lapics_inta(r.p, 0), 0x30);
    CHECK_EQ(r.acks, 1);
    irq_set(&pic, 0);
    CHECK_EQ(r.intr[0], 0);
    wr(&r, 0x80, 0);
    irq_set(&nmi, 1);
    CHECK_EQ(r.nmi[0], 0);
    irq_set(&nmi, 0);
    wr(&r, 0x360, 0x400);
    irq_set(&nmi, 1);
    irq_set(&nmi, 1); // an edge
    CHECK_EQ(r.nmi[0], 1);
    CHECK_EQ(r.nmi[1], 0);
    wr(&r, 0x350, 0x8044); // fixed, level
    irq_set(&pic, 1);
    CHECK_EQ(rd(&r, 0x350), 0xc044); // remote IRR
    CHECK_EQ(lapics_inta(r.p, 0), 0x44);
    wr(&r, 0xb0, 0);
    CHECK_EQ(lapics_inta(r.p, 0), 0x44); // still asserted
    irq_set(&pic, 0);
    wr(&r, 0xb0, 0);
    CHECK_EQ(r.intr[0], 0);
    lapics_send(r.p, &(struct apic_msg){.mode = APIC_EXTINT});
    CHECK_EQ(lapics_inta(r.p, 0), 0x30);
    CHECK_EQ(r.intr[0], 0);
    bus_free(&r.b.bus);
}

static void disabled(void)
{
    struct rig r;
    open_rig(&r, true);
    struct irq pic = lapics_pic_line(r.p), nmi = lapics_nmi_line(r.p);
    CHECK(msr_wr(&r, 0x1b, 0xfee00100));
    CHECK(!lapics_enabled(r.p, 0));
    CHECK_EQ(rd(&r, 0x30), 0xffffffff);
    irq_set(&pic, 1);
    CHECK_EQ(r.intr[0], 1); // LINT0 is INTR, LINT1 is NMI
    CHECK_EQ(lapics_inta(r.p, 0), 0x30);
    irq_set(&nmi, 1);
    CHECK_EQ(r.nmi[0], 1);
    CHECK(msr_wr(&r, 0x1b, 0xfee00900));
    CHECK_EQ(r.intr[0], 0);
    CHECK_EQ(rd(&r, 0xf0), 0xff);
    wr(&r, 0xf0, 0x1ff); // disabled by software: NMI, INIT and SIPI still arrive
    wr(&r, 0xf0, 0xff);
    fixed(&r, 0, 0x50, false);
    CHECK_EQ(r.intr[0], 0);
    lapics_send(r.p, &(struct apic_msg){.mode = APIC_NMI});
    CHECK_EQ(r.nmi[0], 2);
    CHECK(msr_wr(&r, 0x1b, 0xfec10900)); // moved
    CHECK_EQ(rd(&r, 0x30), 0xffffffff);
    CHECK_EQ(bus_load(&r.b.bus, 0xfec10030, 4), 0x00050014);
    bus_free(&r.b.bus);
}

static void x2apic(void)
{
    struct rig r;
    open_rig(&r, false);
    CHECK_EQ(msr_rd(&r, 0x802), 0xbad);   // not in xAPIC mode
    CHECK(!msr_wr(&r, 0x1b, 0xfee00500)); // EXTD without EN
    CHECK(!msr_wr(&r, 0x1b, 0xfee00901)); // reserved bit
    CHECK(msr_wr(&r, 0x1b, 0xfee00d00));
    CHECK(!msr_wr(&r, 0x1b, 0xfee00900)); // back only through disabled
    CHECK_EQ(rd(&r, 0x30), 0xffffffff);
    CHECK_EQ(msr_rd(&r, 0x803), 0x00050014);
    CHECK(lapics_wrmsr(r.p, 3, 0x1b, 0xfee00c00));
    u64 v;
    CHECK(lapics_rdmsr(r.p, 3, 0x802, &v) && v == 3);
    CHECK(lapics_rdmsr(r.p, 3, 0x80d, &v) && v == 8);
    CHECK(lapics_wrmsr(r.p, 3, 0x80f, 0x1ff) && msr_wr(&r, 0x80f, 0x1ff));
    static const u16 none[] = {0x800, 0x801, 0x804, 0x809, 0x80b, 0x80c, 0x80e, 0x829, 0x831, 0x83f, 0x8ff};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) CHECK_EQ(msr_rd(&r, none[i]), 0xbad);
    static const u16 fixed_regs[] = {0x802, 0x803, 0x80a, 0x80d, 0x810, 0x818, 0x820, 0x839, 0x80e, 0x831};
    for (size_t i = 0; i < ARRAY_LEN(fixed_regs); i++) CHECK(!msr_wr(&r, fixed_regs[i], 0));
    CHECK(!msr_wr(&r, 0x808, 0x100));
    CHECK(!msr_wr(&r, 0x80b, 1));
    CHECK(!msr_wr(&r, 0x828, 1));
    CHECK(!msr_wr(&r, 0x83e, 0x10));
    CHECK(msr_wr(&r, 0x83f, 0x61)); // self IPI
    CHECK_EQ(lapics_inta(r.p, 0), 0x61);
    CHECK(msr_wr(&r, 0x80b, 0));
    CHECK(msr_wr(&r, 0x830, 3ull << 32 | 0x62)); // physical 3
    CHECK_EQ(lapics_inta(r.p, 3), 0x62);
    CHECK_EQ(msr_rd(&r, 0x830), 3ull << 32 | 0x62);
    CHECK(lapics_wrmsr(r.p, 3, 0x80b, 0));
    CHECK(msr_wr(&r, 0x830, 9ull << 32 | 0x863)); // logical: CPUs 0 and 3 of cluster 0
    CHECK_EQ(lapics_inta(r.p, 0), 0x63);
    CHECK_EQ(lapics_inta(r.p, 3), 0x63);
    lapics_msi(r.p, 0xfee03000, 0x64); // 8 bits reach it too
    CHECK_EQ(r.intr[3], 0);            // same class
    CHECK(lapics_rdmsr(r.p, 3, 0x823, &v) && v == 1 << 4);
    CHECK(msr_wr(&r, 0x1b, 0xfee00100));
    CHECK(!msr_wr(&r, 0x1b, 0xfee00d00)); // not from disabled
    CHECK(msr_wr(&r, 0x1b, 0xfee00900));
    CHECK_EQ(rd(&r, 0x20), 0);
    bus_free(&r.b.bus);
}

static void messages(void)
{
    struct rig r;
    open_rig(&r, true);
    lapics_msi(r.p, 0xfee01000, 0x4071);
    CHECK_EQ(lapics_inta(r.p, 1), 0x71);
    lapics_msi(r.p, 0xfee04004, 0xc072); // logical 4, level, assert
    CHECK_EQ(lapics_inta(r.p, 2), 0x72);
    wr_on(&r, 2, 0xb0, 0);
    CHECK_EQ(r.last_eoi, 0x72);
    lapics_msi(r.p, 0xfee04004, 0x8072); // de-assert
    CHECK_EQ(r.intr[2], 0);
    bus_store(&r.b.bus, 0xfee03000, 0x73, 4); // a store by a CPU is a message too
    CHECK_EQ(lapics_inta(r.p, 3), 0x73);
    bus_free(&r.b.bus);
}

static void fuzz_step(struct rig *r, u64 *seed)
{
    u32 x = bench_random(seed), v = bench_random(seed), off = (bench_random(seed) % 0x48) << 4;
    unsigned cpu = bench_random(seed) % CPUS;
    struct irq pic = lapics_pic_line(r->p), nmi = lapics_nmi_line(r->p);
    u64 w;
    switch (x % 12) {
    case 0:
    case 1: rd_on(r, cpu, off); break;
    case 2:
    case 3:
    case 4: wr_on(r, cpu, off, v); break;
    case 5: lapics_rdmsr(r->p, cpu, 0x800 + off / 16, &w), lapics_rdmsr(r->p, cpu, 0x6e0, &w); break;
    case 6: lapics_wrmsr(r->p, cpu, 0x800 + off / 16, v & 0x3ff); break;
    case 7: lapics_wrmsr(r->p, cpu, 0x6e0, v); break;
    case 8: lapics_wrmsr(r->p, cpu, 0x1b, 0xfee00000 | (v & 0xf00)); break;
    case 9: irq_set(v & 2 ? &pic : &nmi, v & 1); break;
    case 10: lapics_msi(r->p, 0xfee00000 | (v & 0xff00c), v >> 8 & 0xc7ff); break;
    default:
        CHECK(lapics_inta(r->p, cpu) < 256);
        wr_on(r, cpu, 0xf0, 0x1ff);
        bench_pass(&r->b, v % 5000);
    }
}

static void save_and_fuzz(void)
{
    struct rig r, q;
    open_rig(&r, true);
    open_rig(&q, false);
    u64 seed = 11;
    for (int i = 0; i < 100000; i++) {
        fuzz_step(&r, &seed);
        if (i % 10000 == 0) bench_round_trip(&r.b, &q.b);
    }
    CHECK(r.b.bus.clock.now > 0);
    bench_damage(&r.b, &q.b, 6);
    bus_free(&r.b.bus);
    bus_free(&q.b.bus);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(after_reset),  TEST(priorities),      TEST(level_and_broadcast_of_eoi),
        TEST(destinations), TEST(lowest_priority), TEST(ipis),
        TEST(errors),       TEST(timer),           TEST(late_events),
        TEST(tsc_deadline), TEST(lint_pins),       TEST(disabled),
        TEST(x2apic),       TEST(messages),        TEST(save_and_fuzz),
    };
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
