// SPDX-License-Identifier: MIT
// Intel 82371AB (PIIX4), function 3: power management and SMBus host controller.
// Intel 290562-001, chapters 7 (registers) and 11; ACPI 1.0b, section 4.7 (PM1, PM timer). Left out: system management
// mode (bit 25 of DEVACTB says to SeaBIOS that it is set up already; ACPI is switched on by port B2h directly), device
// monitors, clock control (LVL2 and LVL3 reads do nothing), and anything that would answer on the SMBus.
#include <stdlib.h>
#include "hw/pci/piix4_pm.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2 };      // configuration
enum { PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08, GPSTS = 0x0c, GPEN = 0x0e }; // I/O
enum { HSTSTS = 0, HSTCNT = 2, HSTSTS_DEV_ERR = 4, HSTSTS_W1C = 0x1e, HSTCNT_START = 0x40 }; // SMBus
enum { TMR = 1 << 0, GBL = 1 << 5, PWRBTN = 1 << 8, RTC = 1 << 10 };
enum { SCI_EN = 1 << 0, SLP_TYP = 7 << 10, SLP_EN = 1 << 13 };
#define EVENTS   (TMR | GBL | PWRBTN | RTC)
#define TIMER_HZ 3579545u
#define HALF     (1u << 23) // the timer has 24 bits; an event each time the highest one changes
#define IO_SIZE  64

struct piix4_pm {
    struct pci_dev pci; // first
    struct irq sci;
    struct region *io, *smb;
    struct timer overflow;
    u64 tmr_next; // count (of all bits) at which TMR_STS sets
    u16 sts, en, cnt, gpsts, gpen;
    u8 regs[IO_SIZE]; // the registers that only keep what is written
    u8 smbus[16];
    u8 apm[2]; // B2h, B3h
};

static u64 ticks(const struct piix4_pm *t)
{
    return muldiv64(clock_now(&t->pci.pci->bus->clock), TIMER_HZ, NS_PER_SEC);
}
static void update(struct piix4_pm *t)
{
    struct clock *c = &t->pci.pci->bus->clock;
    if (ticks(t) >= t->tmr_next) t->sts |= TMR;
    bool sci = (t->cnt & SCI_EN) && ((t->sts & t->en & EVENTS) || (t->gpsts & t->gpen));
    irq_set(&t->sci, sci);
    if ((t->en & TMR) && !(t->sts & TMR))
        timer_arm(c, &t->overflow, muldiv64(t->tmr_next, NS_PER_SEC, TIMER_HZ) + 1);
    else
        timer_cancel(c, &t->overflow);
}
static void overflow(void *owner) { update(owner); }

void piix4_pm_power_button(struct piix4_pm *t)
{
    t->sts |= PWRBTN;
    update(t);
}

// ---- ACPI registers

static u32 reg32(struct piix4_pm *t, unsigned at)
{
    switch (at) {
    case PMSTS: update(t); return t->sts | (u32)t->en << 16;
    case PMCNTRL: return t->cnt;
    case PMTMR: return ticks(t) & 0xffffff;
    case GPSTS: return t->gpsts | (u32)t->gpen << 16;
    default: return ld32(t->regs + at);
    }
}
static u64 io_read(void *dev, u64 off, unsigned size)
{
    u64 v = 0;
    for (unsigned i = 0; i < size && off + i < IO_SIZE; i++) // one reading of the timer for all of an aligned access
        if (!i || !((off + i) & 3)) v |= (u64)(reg32(dev, (off + i) & ~3u) >> 8 * ((off + i) & 3)) << 8 * i;
    return v;
}
static void set_byte(u16 *r, unsigned hi, u8 v) { *r = hi ? (*r & 0xff) | v << 8 : (*r & 0xff00) | v; }
static void sleep(struct piix4_pm *t)
{
    struct bus *b = t->pci.pci->bus;
    unsigned type = t->cnt >> 10 & 7;
    if (type)
        log_guest(&b->log, "piix4_pm", "sleep type %u is not offered", type);
    else if (b->system_request)
        b->system_request(b->system_owner, BUS_REQ_POWEROFF);
}
static void write8(struct piix4_pm *t, unsigned at, u8 v)
{
    unsigned hi = at & 1;
    switch (at & ~1u) {
    case PMSTS:
        update(t);
        t->sts &= ~(v << 8 * hi);
        if (!hi && (v & TMR)) t->tmr_next = (ticks(t) | (HALF - 1)) + 1;
        break;
    case PMEN: set_byte(&t->en, hi, v), t->en &= EVENTS; break;
    case PMCNTRL:
        set_byte(&t->cnt, hi, v);
        if (t->cnt & SLP_EN) {
            t->cnt &= ~SLP_EN;
            sleep(t);
        }
        t->cnt &= SCI_EN | 2 | SLP_TYP; // 2: BM_RLD
        break;
    case PMTMR:
    case PMTMR + 2:
    case PMCNTRL + 2: break;
    case GPSTS: t->gpsts &= ~(v << 8 * hi); break;
    case GPEN: set_byte(&t->gpen, hi, v); break;
    default:
        if (at != 0x14 && at != 0x15) t->regs[at] = v; // LVL2, LVL3
    }
    update(t);
}
static void io_write(void *dev, u64 off, u64 val, unsigned size)
{
    for (unsigned i = 0; i < size && off + i < IO_SIZE; i++) write8(dev, off + i, val >> 8 * i);
}
static const struct io_ops io_ops = {.read = io_read, .write = io_write, .sizes = 1 | 2 | 4};

// ---- SMBus: a transaction always ends with "nobody answered"

static u64 smb_read(void *dev, u64 off, unsigned size) { return ((struct piix4_pm *)dev)->smbus[off]; }
static void smb_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct piix4_pm *t = dev;
    u8 v = (u8)val;
    if (off == HSTSTS) {
        t->smbus[off] &= ~(v & HSTSTS_W1C);
    } else if (off == HSTCNT) {
        t->smbus[off] = v & ~HSTCNT_START;
        if (v & HSTCNT_START) t->smbus[HSTSTS] |= HSTSTS_DEV_ERR;
    } else {
        t->smbus[off] = v;
    }
}
static const struct io_ops smb_ops = {.read = smb_read, .write = smb_write, .sizes = 1};

// ---- APM ports: what the BIOS' SMI handler would do

static u64 apm_read(void *dev, u64 off, unsigned size) { return ((struct piix4_pm *)dev)->apm[off]; }
static void apm_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct piix4_pm *t = dev;
    t->apm[off] = (u8)val;
    if (off) return;
    if (val == PIIX4_ACPI_ENABLE) t->cnt |= SCI_EN;
    if (val == PIIX4_ACPI_DISABLE) t->cnt &= ~SCI_EN;
    update(t);
}
static const struct io_ops apm_ops = {.read = apm_read, .write = apm_write, .sizes = 1};

// ---- configuration space and the part

static void map_io(struct piix4_pm *t)
{
    struct bus *b = t->pci.pci->bus;
    const u8 *c = t->pci.cfg;
    u32 pm = ld32(c + PMBA) & 0xffc0, smb = ld32(c + SMBBA) & 0xfff0;
    bus_region_set(b, t->io, pm, (c[PMREGMISC] & 1) && pm);
    bus_region_set(b, t->smb, smb, (c[SMBHSTCFG] & 1) && smb);
}
static void config_written(struct pci_dev *d, unsigned reg, unsigned size) { map_io((void *)d); }
static void reset(void *self)
{
    struct piix4_pm *t = self;
    pci_dev_reset(&t->pci);
    map_io(t);
    t->sts = t->en = t->cnt = t->gpsts = t->gpen = 0;
    t->tmr_next = (ticks(t) | (HALF - 1)) + 1;
    memset(t->regs, 0, sizeof t->regs);
    memset(t->smbus, 0, sizeof t->smbus);
    memset(t->apm, 0, sizeof t->apm);
    update(t);
}
static void state(struct state *s, void *self)
{
    struct piix4_pm *t = self;
    pci_dev_state(s, &t->pci);
    state_u16(s, "sts", &t->sts);
    state_u16(s, "en", &t->en);
    state_u16(s, "cnt", &t->cnt);
    state_u16(s, "gpsts", &t->gpsts);
    state_u16(s, "gpen", &t->gpen);
    state_u64(s, "tmr_next", &t->tmr_next);
    state_bytes(s, "regs", t->regs, sizeof t->regs);
    state_bytes(s, "smbus", t->smbus, sizeof t->smbus);
    state_bytes(s, "apm", t->apm, sizeof t->apm);
    timer_state(s, "overflow", &t->pci.pci->bus->clock, &t->overflow);
    if (!state_loading(s)) return;
    t->tmr_next = min_u64(t->tmr_next, (u64)1 << 52); // 40 years: no overflow when turned into nanoseconds
    map_io(t);
}
static void info(void *self, struct buf *out)
{
    struct piix4_pm *t = self;
    buf_printf(out, "PM registers at %04x (%s), status %04x, enable %04x, control %04x (ACPI %s), timer %06x\n",
               ld16(t->pci.cfg + PMBA) & 0xffc0, t->io->enabled ? "on" : "off", t->sts, t->en, t->cnt,
               t->cnt & SCI_EN ? "on" : "off", (u32)ticks(t) & 0xffffff);
}
static void pm_free(void *self)
{
    struct piix4_pm *t = self;
    timer_cancel(&t->pci.pci->bus->clock, &t->overflow);
    free(t);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = pm_free};

struct piix4_pm *piix4_pm_new(struct pci_bus *p, int devfn, const struct irq *sci)
{
    struct piix4_pm *t = xalloc(sizeof *t);
    pci_dev_init(&t->pci, "piix4_pm", 0x8086, 0x7113, 0x068000, 3, 1);
    u8 *c = t->pci.cfg, *w = t->pci.wmask;
    st16(c + PCI_STATUS, 0x0280);
    st16(w + PCI_COMMAND, 0x0001);
    w[0x0c] = w[0x0d] = 0;
    st32(c + PMBA, 1), st32(w + PMBA, 0xffc0);
    memset(w + 0x44, 0xff, 0x3c);           // timers and device resources: kept
    c[DEVACTB + 3] = 2, w[DEVACTB + 3] = 0; // APMC_EN: see above
    w[PMREGMISC] = 1;
    st32(c + SMBBA, 1), st32(w + SMBBA, 0xfff0);
    memset(w + SMBHSTCFG, 0xff, 5);
    t->sci = *sci;
    timer_init(&t->overflow, overflow, t);
    t->io = bus_map_port(p->bus, 0, IO_SIZE, &io_ops, t, "piix4_pm");
    t->smb = bus_map_port(p->bus, 0, 16, &smb_ops, t, "smbus");
    bus_region_set(p->bus, t->io, 0, false);
    bus_region_set(p->bus, t->smb, 0, false);
    bus_map_port(p->bus, 0xb2, 2, &apm_ops, t, "apm");
    t->pci.config_written = config_written;
    if (!pci_dev_add(p, &t->pci, devfn)) panic("piix4_pm: its place is taken");
    part_add(&p->bus->parts, "piix4_pm", &part_ops, t);
    reset(t);
    return t;
}
