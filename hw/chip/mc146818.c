// SPDX-License-Identifier: MIT
// Real-time clock and CMOS RAM. Motorola MC146818 data sheet (ADI-856), 82371SB (PIIX3) data sheet 2.5.5.
// The time registers are bytes that one event a second increments as the chip does, in whatever format register B
// chooses. The divider chain counts 32768 Hz from `origin`: the first update cycle ends half a second after the divider
// was released, periodic interrupts come at multiples of their own period. PF without PIE is found when somebody reads
// C. Additions of PCs: century in index 32h, incremented with the year 99 -> 00; bit 7 of the index port masks NMI.
// Left out: the square wave output (not connected on a PC), the faster crystals (DV 0 and 1 run at 32768 Hz).
#include <stdlib.h>
#include "hw/chip/mc146818.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, DOW, DAY, MONTH, YEAR, A, B, C, D, CENTURY = 0x32 };
enum { A_UIP = 0x80, A_DV = 0x70, A_RS = 0x0f };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 8, B_DM = 4, B_24 = 2, B_DSE = 1 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
#define XTAL   32768ull
#define UIP_NS (244000ull + 1984000ull) // t_BUC before the update cycle, t_UC of the cycle itself

struct mc146818 {
    struct bus *bus;
    struct irq irq, nmi_off;
    u8 index; // as written, NMI bit included
    u8 ram[128];
    u64 origin;    // ns at which the divider chain was 0
    u64 second;    // ns at which the first update cycle since then ends
    u64 pf_seen;   // periodic edges up to this time (ns) are accounted for
    bool dst_back; // the hour of October was repeated already
    struct timer update, periodic;
};

static u64 now(struct mc146818 *r) { return clock_now(&r->bus->clock); }
static bool divider_runs(const struct mc146818 *r) { return (r->ram[A] & A_DV) <= 0x20; }

static u8 from_reg(const struct mc146818 *r, u8 v) { return r->ram[B] & B_DM ? v : (v >> 4) * 10 + (v & 15); }
static u8 to_reg(const struct mc146818 *r, u8 v) { return r->ram[B] & B_DM ? v : (v / 10 % 16) << 4 | v % 10; }

static u8 hour_get(const struct mc146818 *r)
{
    u8 v = r->ram[HOUR];
    if (r->ram[B] & B_24) return from_reg(r, v);
    return from_reg(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static void hour_set(struct mc146818 *r, u8 h)
{
    if (r->ram[B] & B_24)
        r->ram[HOUR] = to_reg(r, h);
    else
        r->ram[HOUR] = to_reg(r, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned month_days(const struct mc146818 *r, unsigned month)
{
    static const u8 days[13] = {31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned yy = from_reg(r, r->ram[YEAR]), cc = from_reg(r, r->ram[CENTURY]);
    bool leap = yy % 100 ? yy % 4 == 0 : cc % 4 == 0;
    return days[month <= 12 ? month : 0] + (month == 2 && leap);
}

static void raise_flags(struct mc146818 *r, u8 flags)
{
    r->ram[C] |= flags;
    // IRQF: any flag whose enable, at the same place in B, is set.
    if (r->ram[C] & r->ram[B] & (C_PF | C_AF | C_UF))
        r->ram[C] |= C_IRQF;
    else
        r->ram[C] &= ~C_IRQF;
    irq_set(&r->irq, r->ram[C] & C_IRQF ? 1 : 0);
}

// --- the divider chain ---

static u64 xtal_ticks(u64 ns) { return muldiv64(ns, XTAL, NS_PER_SEC); }
static u64 xtal_ns(u64 ticks) { return (u64)(((u128)ticks * NS_PER_SEC + XTAL - 1) / XTAL); }

// Period of PF in crystal ticks, 0: none.
static u32 period(const struct mc146818 *r)
{
    u32 rs = r->ram[A] & A_RS;
    if (!rs || !divider_runs(r)) return 0;
    return rs < 3 ? 1u << (rs + 6) : 1u << (rs - 1); // 1 and 2 are 256 and 128 Hz
}

// The next periodic edge after the time t.
static u64 edge_after(const struct mc146818 *r, u64 t)
{
    u32 p = period(r);
    u64 k = t < r->origin ? 0 : xtal_ticks(t - r->origin) / p;
    return r->origin + xtal_ns((k + 1) * p);
}

static void sync_pf(struct mc146818 *r)
{
    u64 t = now(r);
    if (period(r) && edge_after(r, r->pf_seen) <= t) raise_flags(r, C_PF);
    r->pf_seen = t;
}

static void schedule_periodic(struct mc146818 *r)
{
    if (period(r) && r->ram[B] & B_PIE && !(r->ram[C] & C_PF))
        timer_arm(&r->bus->clock, &r->periodic, edge_after(r, now(r)));
    else
        timer_cancel(&r->bus->clock, &r->periodic);
}

static void periodic_due(void *self)
{
    struct mc146818 *r = self;
    sync_pf(r);
    schedule_periodic(r); // C holds PF now: the next one matters after it was read
}

// The first end of an update cycle after t.
static void schedule_update(struct mc146818 *r, u64 t)
{
    u64 due = t < r->second ? r->second : r->second + ((t - r->second) / NS_PER_SEC + 1) * NS_PER_SEC;
    if (divider_runs(r))
        timer_arm(&r->bus->clock, &r->update, due);
    else
        timer_cancel(&r->bus->clock, &r->update);
}

static void divider_write(struct mc146818 *r, u8 old)
{
    bool ran = (old & A_DV) <= 0x20;
    if (divider_runs(r) && !ran) {
        r->origin = r->pf_seen = now(r);
        r->second = r->origin + NS_PER_SEC / 2;
    }
    if (divider_runs(r) != ran) schedule_update(r, now(r));
}

// --- the calendar ---

static bool bump(struct mc146818 *r, int reg, unsigned first, unsigned last)
{
    unsigned v = from_reg(r, r->ram[reg]);
    bool carry = v >= last;
    r->ram[reg] = to_reg(r, carry ? first : v + 1);
    return carry;
}

static void next_day(struct mc146818 *r)
{
    bump(r, DOW, 1, 7);
    if (!bump(r, DAY, 1, month_days(r, from_reg(r, r->ram[MONTH])))) return;
    if (!bump(r, MONTH, 1, 12)) return;
    if (bump(r, YEAR, 0, 99)) bump(r, CENTURY, 0, 99);
}

// Daylight saving by the MC146818's rule: last Sunday of April 1:59:59 -> 3:00:00, of October 1:59:59 -> 1:00:00, once.
static bool dst_shift(struct mc146818 *r)
{
    unsigned month = from_reg(r, r->ram[MONTH]), day = from_reg(r, r->ram[DAY]);
    if (!(r->ram[B] & B_DSE) || from_reg(r, r->ram[DOW]) != 1 || hour_get(r) != 1) return false;
    if (month == 4 && day >= 24) {
        hour_set(r, 3);
        return true;
    }
    if (month == 10 && day >= 25 && !r->dst_back) {
        r->dst_back = true;
        return true;
    }
    r->dst_back = false;
    return false;
}

static void next_second(struct mc146818 *r)
{
    if (!bump(r, SEC, 0, 59) || !bump(r, MIN, 0, 59)) return;
    if (dst_shift(r)) return;
    unsigned h = hour_get(r);
    hour_set(r, h >= 23 ? 0 : h + 1);
    if (h >= 23) next_day(r);
}

static bool alarm_matches(const struct mc146818 *r)
{
    for (int i = SEC; i <= HOUR; i += 2)
        if ((r->ram[i + 1] & 0xc0) != 0xc0 && r->ram[i + 1] != r->ram[i]) return false;
    return true;
}

static void update_due(void *self)
{
    struct mc146818 *r = self;
    schedule_update(r, r->update.due);
    if (r->ram[B] & B_SET) return;
    next_second(r);
    raise_flags(r, C_UF | (alarm_matches(r) ? C_AF : 0));
}

void mc146818_set_time(struct mc146818 *r, i64 seconds)
{
    i64 day = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) rest += 86400, day--;
    r->ram[SEC] = to_reg(r, rest % 60);
    r->ram[MIN] = to_reg(r, rest / 60 % 60);
    hour_set(r, rest / 3600);
    r->ram[DOW] = to_reg(r, (u8)((((day + 4) % 7) + 7) % 7 + 1)); // 1970-01-01 was a Thursday; Sunday is 1
    // Civil date from days: 400 years from a first of March have 146097 days.
    i64 z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    i64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    i64 mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    r->ram[DAY] = to_reg(r, (u8)(doy - (153 * mp + 2) / 5 + 1));
    r->ram[MONTH] = to_reg(r, (u8)month);
    r->ram[YEAR] = to_reg(r, (u8)((year % 100 + 100) % 100));
    r->ram[CENTURY] = to_reg(r, (u8)((year / 100 % 100 + 100) % 100));
    r->dst_back = false;
}

// --- registers ---

static void control_a(struct mc146818 *r, u8 v)
{
    u8 old = r->ram[A];
    sync_pf(r);
    r->ram[A] = v & ~A_UIP;
    divider_write(r, old);
    schedule_periodic(r);
}

static void control_b(struct mc146818 *r, u8 v)
{
    sync_pf(r);
    if (v & B_SET) v &= ~B_UIE; // the data sheet: SET going high clears UIE
    r->ram[B] = v;
    raise_flags(r, 0);
    schedule_periodic(r);
}

static u8 flags_read(struct mc146818 *r)
{
    sync_pf(r);
    u8 v = r->ram[C];
    r->ram[C] = 0;
    irq_set(&r->irq, 0);
    schedule_periodic(r);
    return v;
}

static bool updating(struct mc146818 *r)
{
    if (r->ram[B] & B_SET || !timer_armed(&r->update)) return false;
    u64 t = now(r);
    return t < r->update.due && r->update.due - t <= UIP_NS;
}

static u64 rtc_read(void *self, u64 off, unsigned size)
{
    struct mc146818 *r = self;
    if (off == 0) return 0xff; // the index port is write-only
    switch (r->index & 0x7f) {
    case A: return r->ram[A] | (updating(r) ? A_UIP : 0);
    case C: return flags_read(r);
    case D: return 0x80; // VRT: the battery is good
    default: return r->ram[r->index & 0x7f];
    }
}

static void rtc_write(void *self, u64 off, u64 val, unsigned size)
{
    struct mc146818 *r = self;
    u8 v = (u8)val;
    if (off == 0) {
        r->index = v;
        irq_set(&r->nmi_off, v >> 7);
        return;
    }
    switch (r->index & 0x7f) {
    case A: control_a(r, v); break;
    case B: control_b(r, v); break;
    case C:
    case D: break;
    default: r->ram[r->index & 0x7f] = v; break;
    }
}

void mc146818_set(struct mc146818 *r, u8 index, u8 val)
{
    if (index > D && index < sizeof r->ram) r->ram[index] = val;
}
u8 mc146818_get(const struct mc146818 *r, u8 index) { return index < sizeof r->ram ? r->ram[index] : 0xff; }

// The RESET pin: time, calendar and RAM have a battery.
static void reset(void *self)
{
    struct mc146818 *r = self;
    r->ram[B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->ram[C] = 0;
    r->index = 0;
    r->pf_seen = now(r);
    schedule_periodic(r);
    irq_set(&r->irq, 0);
    irq_set(&r->nmi_off, 0);
}

static void state(struct state *s, void *self)
{
    struct mc146818 *r = self;
    state_u8(s, "index", &r->index);
    state_bytes(s, "ram", r->ram, sizeof r->ram);
    state_u64(s, "origin", &r->origin);
    state_u64(s, "second", &r->second);
    state_u64(s, "pf_seen", &r->pf_seen);
    state_bool(s, "dst_back", &r->dst_back);
    timer_state(s, "update", &r->bus->clock, &r->update);
    timer_state(s, "periodic", &r->bus->clock, &r->periodic);
    if (!state_loading(s)) return;
    r->ram[A] &= ~A_UIP;
    if (r->origin >> 62 || r->pf_seen >> 62 || r->second >> 62) {
        state_fail(s, "clock phase out of range");
        r->origin = r->pf_seen = r->second = 0;
    }
}

static void info(void *self, struct buf *out)
{
    struct mc146818 *r = self;
    buf_printf(out, "%02u%02u-%02u-%02u %02u:%02u:%02u  A %02x B %02x C %02x\n", from_reg(r, r->ram[CENTURY]),
               from_reg(r, r->ram[YEAR]), from_reg(r, r->ram[MONTH]), from_reg(r, r->ram[DAY]), hour_get(r),
               from_reg(r, r->ram[MIN]), from_reg(r, r->ram[SEC]), r->ram[A], r->ram[B], r->ram[C]);
}

static void release(void *self)
{
    struct mc146818 *r = self;
    timer_cancel(&r->bus->clock, &r->update);
    timer_cancel(&r->bus->clock, &r->periodic);
    free(r);
}

static const struct io_ops rtc_ops = {rtc_read, rtc_write};
static const struct part_ops part_ops = {reset, state, info, release};

struct mc146818 *mc146818_new(struct bus *b, u16 base, i64 start, struct irq irq, struct irq nmi_off)
{
    struct mc146818 *r = xalloc(sizeof *r);
    r->bus = b;
    r->irq = irq;
    r->nmi_off = nmi_off;
    timer_init(&r->update, update_due, r);
    timer_init(&r->periodic, periodic_due, r);
    r->ram[A] = 0x26; // 32768 Hz, 976 us
    r->ram[B] = B_24;
    r->origin = r->pf_seen = now(r);
    r->second = r->origin + NS_PER_SEC; // `start` begins now
    mc146818_set_time(r, start);
    schedule_update(r, r->origin);
    bus_map_port(b, base, 2, &rtc_ops, r, "rtc");
    reset(r);
    part_add(&b->parts, "rtc", &part_ops, r);
    return r;
}
