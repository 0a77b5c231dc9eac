// SPDX-License-Identifier: MIT
// PIIX4 power management as SeaBIOS sets it up and Linux' ACPI driver uses it.
#include "hw/pci/piix4_pm.h"
#include "mem/base/err.h"
#include "mem/state.h"
#include "tests/check.h"

#define PM 0x600
struct host {
    struct bus bus;
    struct pci_bus *pci;
    struct piix4_pm *pm;
    int sci, request;
};
static void on_sci(void *o, int n, int level) { ((struct host *)o)->sci = level; }
static void request(void *o, int what) { ((struct host *)o)->request = what; }
static void conf(struct host *h, unsigned reg, u32 v, unsigned size)
{
    bus_out(&h->bus, 0xcf8, 0x80000b00 | (reg & 0xfc), 4);
    bus_out(&h->bus, 0xcfc + (reg & 3), v, size);
}
static u32 conf_in(struct host *h, unsigned reg)
{
    bus_out(&h->bus, 0xcf8, 0x80000b00 | (reg & 0xfc), 4);
    return bus_in(&h->bus, 0xcfc, 4);
}
static struct host *make(void)
{
    struct host *h = xalloc(sizeof *h);
    bus_init(&h->bus);
    h->bus.system_request = request;
    h->bus.system_owner = h;
    h->pci = pci_bus_new(&h->bus);
    h->pm = piix4_pm_new(h->pci, PCI_DEVFN(1, 3), &(struct irq){on_sci, h, 9});
    conf(h, 0x40, PM | 1, 4); // SeaBIOS' piix4_pm_config_setup()
    conf(h, 0x80, 1, 1);
    conf(h, 0x90, (PM + 0x100) | 1, 4);
    conf(h, 0xd2, 9, 1);
    return h;
}
static void done(struct host *h)
{
    bus_free(&h->bus);
    free(h);
}
static u32 in(struct host *h, u16 p, unsigned n) { return bus_in(&h->bus, p, n); }
static void out(struct host *h, u16 p, u32 v, unsigned n) { bus_out(&h->bus, p, v, n); }
static void pass(struct host *h, u64 ns)
{
    h->bus.clock.now += ns;
    clock_run(&h->bus.clock);
}

static void configuration(void)
{
    struct host *h = make();
    CHECK_EQ(conf_in(h, 0), 0x71138086);
    CHECK_EQ(conf_in(h, 8) >> 8, 0x068000);
    CHECK_EQ(conf_in(h, 0x40), PM | 1);
    CHECK_EQ(conf_in(h, 0x58) >> 25 & 1, 1); // SeaBIOS must not try SMM
    CHECK_EQ(in(h, PM, 2), 0);
    conf(h, 0x40, 0xb000, 4);
    CHECK_EQ(in(h, PM, 2), 0xffff);
    CHECK_EQ(in(h, 0xb000, 2), 0);
    conf(h, 0x80, 0, 1);
    CHECK_EQ(in(h, 0xb000, 2), 0xffff);
    done(h);
}
static void enable_and_button(void)
{
    struct host *h = make();
    CHECK_EQ(in(h, PM + 4, 2), 0);
    piix4_pm_power_button(h->pm);
    CHECK_EQ(h->sci, 0);
    out(h, PM, 0xffff, 2);
    out(h, 0xb2, 0xf1, 1);
    CHECK_EQ(in(h, PM + 4, 2), 1);
    out(h, PM + 2, 0x100, 2);
    CHECK_EQ(h->sci, 0);
    piix4_pm_power_button(h->pm);
    CHECK_EQ(h->sci, 1);
    CHECK_EQ(in(h, PM, 4), 0x01000100);
    CHECK_EQ(in(h, PM + 1, 1), 1);
    out(h, PM, 0x100, 2);
    CHECK_EQ(h->sci, 0);
    CHECK_EQ(in(h, PM, 2), 0);
    out(h, 0xb2, 0xf0, 1);
    CHECK_EQ(in(h, PM + 4, 2), 0);
    out(h, 0xb3, 0x5a, 1);
    CHECK_EQ(in(h, 0xb3, 1), 0x5a);
    done(h);
}
static void power_off(void)
{
    struct host *h = make();
    out(h, PM + 4, 1, 2);
    out(h, PM + 4, 1 << 10 | 1, 2); // type without SLP_EN
    CHECK_EQ(h->request, 0);
    out(h, PM + 4, 1 << 10 | 1 << 13 | 1, 2); // suspend to RAM: not offered
    CHECK_EQ(h->request, 0);
    out(h, PM + 4, 1 << 13 | 1, 2);
    CHECK_EQ(h->request, BUS_REQ_POWEROFF);
    CHECK_EQ(in(h, PM + 4, 2), 1); // SLP_EN reads as 0
    done(h);
}
static void timer(void)
{
    struct host *h = make();
    CHECK_EQ(in(h, PM + 8, 4), 0);
    pass(h, NS_PER_SEC);
    CHECK_EQ(in(h, PM + 8, 4), 3579545);
    CHECK_EQ(in(h, PM + 9, 1), 3579545 >> 8 & 0xff);
    out(h, PM + 8, 0, 4); // read-only
    CHECK_EQ(in(h, PM + 8, 4), 3579545);
    CHECK_EQ(in(h, PM, 2), 0);
    out(h, PM + 4, 1, 2);
    out(h, PM + 2, 1, 2);
    pass(h, 1343000000); // bit 23 changes after 2.3435 s
    CHECK_EQ(h->sci, 0);
    pass(h, 1000000);
    CHECK_EQ(h->sci, 1);
    out(h, PM, 1, 2);
    CHECK_EQ(h->sci, 0);
    pass(h, 2342000000);
    CHECK_EQ(h->sci, 0);
    pass(h, 2000000);
    CHECK_EQ(in(h, PM, 2), 1);
    CHECK_EQ(in(h, PM + 8, 4) < 0x10000, 1); // 24 bits: wrapped
    done(h);
}
static void smbus(void)
{
    struct host *h = make();
    out(h, PM + 0x104, 0xa1, 1); // SPD of the first DIMM
    CHECK_EQ(in(h, PM + 0x104, 1), 0xa1);
    out(h, PM + 0x102, 0x48, 1);
    CHECK_EQ(in(h, PM + 0x100, 1), 4); // nobody there
    out(h, PM + 0x100, 0x1e, 1);
    CHECK_EQ(in(h, PM + 0x100, 1), 0);
    done(h);
}
static void state_and_fuzz(void)
{
    struct host *h = make(), *g = make();
    struct buf a = {0}, b = {0};
    u64 r = 5;
    out(h, PM + 2, 0x101, 2), out(h, 0xb2, 0xf1, 1);
    pass(h, 5000000000), piix4_pm_power_button(h->pm);
    struct state s = {.mode = STATE_SAVE, .out = &a};
    parts_state(&h->bus.parts, &s);
    s = (struct state){.mode = STATE_LOAD, .in = a.data, .len = a.len};
    parts_state(&g->bus.parts, &s);
    CHECK(state_ok(&s));
    s = (struct state){.mode = STATE_SAVE, .out = &b};
    parts_state(&g->bus.parts, &s);
    CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len));
    for (size_t i = 0; i < a.len; i++) {
        a.data[i] ^= 0xff;
        s = (struct state){.mode = STATE_LOAD, .in = a.data, .len = a.len};
        parts_state(&g->bus.parts, &s);
        pass(g, 1000000), in(g, PM, 4);
        a.data[i] ^= 0xff;
    }
    for (int i = 0; i < 100000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        unsigned size = 1 << (r >> 45) % 3;
        u16 port = r >> 60 & 1 ? PM + (r >> 33) % 64 : r >> 61 & 1 ? PM + 0x100 + (r >> 33) % 16 : 0xb2 + (r >> 33 & 1);
        if ((r >> 50 & 63) == 0)
            conf(h, (r >> 40) & 0xfc, (u32)(r >> 20), 4);
        else if (r >> 40 & 1)
            out(h, port, (u32)(r >> 13), size);
        else
            in(h, port, size);
        pass(h, r >> 40 & 0xfffff);
    }
    parts_reset(&h->bus.parts);
    CHECK_EQ(conf_in(h, 0), 0x71138086);
    CHECK_EQ(h->sci, 0);
    buf_free(&a), buf_free(&b);
    done(h), done(g);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        TEST(configuration), TEST(enable_and_button), TEST(power_off), TEST(timer), TEST(smbus), TEST(state_and_fuzz)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
