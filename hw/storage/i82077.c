// SPDX-License-Identifier: MIT
// Intel 82077AA floppy disk controller in PC/AT mode: registers, command, execution and result phases, seeks,
// interrupts. Intel 290166-007, sections 2 (registers), 5 (commands and status) and 6. Left out: SRA and SRB (PS/2
// modes), sectors of other than 512 bytes and deleted marks (an image has none: writing them writes plain sectors),
// FIFO overruns. Mechanics are faster than life; order and interrupts are kept.
#include <stdlib.h>
#include "hw/storage/floppy.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { DOR_SEL = 3, DOR_RUN = 4, DOR_DMA = 8, DSR_RESET = 0x80, DSR_POWERDOWN = 0x40 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NDM = 0x20, MSR_CB = 0x10 };
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_POLL = 0xc0, ST0_SE = 0x20, ST0_EC = 0x10 };
enum { ST1_EN = 0x80, ST1_DE = 0x20, ST1_ND = 0x04, ST1_NW = 0x02, ST1_MA = 0x01 };
enum { ST2_CM = 0x40, ST2_DD = 0x20, ST2_WC = 0x10, ST2_SH = 0x08, ST2_SN = 0x04 };
enum { CFG_EIS = 0x40, CFG_EFIFO = 0x20, CFG_POLL = 0x10 };
enum { MT = 0x80, SK = 0x20 };
enum phase { PH_COMMAND, PH_EXEC, PH_RESULT, PH_COUNT };
// What the execution phase waits for.
enum step { S_NONE, S_RESET, S_START, S_SECTOR, S_NO_MARK, S_DMA, S_PIO, S_COUNT };

#define NS_RESET   5000
#define NS_START   20000  // from the last parameter to the first sector
#define NS_SECTOR  10000  // between sectors
#define NS_STEP    3000   // a track of seeking
#define NS_NO_MARK 200000 // until the controller gives up (two turns take 400 ms)

struct seek {
    struct i82077 *f;
    struct timer timer;
    u8 st0;
};
struct i82077 {
    struct bus *bus;
    struct irq irq;
    struct i8237 *dma;
    struct floppy drive[2];
    struct seek seek[4];
    struct timer timer;
    u8 dor, tdr, rate, precomp;
    bool power_down;
    u8 specify[2]; // SRT/HUT, HLT/ND
    u8 config, pretrk, perp;
    bool lock, irq_line;
    u8 pcn[4];
    u8 seek_done, polled; // drives whose SENSE INTERRUPT is due, after a seek and after a reset
    u8 phase, step;
    u8 cmd[9], ncmd, need; // command bytes so far and in all
    u8 res[10], nres, ires;
    // Data transfer
    u8 head, c, r; // the sector in work, then the one after it
    u8 side;       // where the head was last
    u8 last;       // EOT, or the number of sectors to format
    u16 pos, len;  // of buf
    u8 st1, st2;
    bool tc;
    u8 buf[512];
};

static void irq_update(struct i82077 *f, bool level)
{
    f->irq_line = level;
    irq_set(&f->irq, level && (f->dor & DOR_DMA));
}
static void later(struct i82077 *f, enum step step, u64 ns)
{
    f->step = step;
    timer_arm(&f->bus->clock, &f->timer, clock_now(&f->bus->clock) + ns);
}
// The drive that the command names; NULL if there is none.
static struct floppy *drive_of(struct i82077 *f, unsigned n)
{
    return n < 2 && f->drive[n].type != FLOPPY_NONE ? &f->drive[n] : NULL;
}
static unsigned unit(const struct i82077 *f) { return f->cmd[1] & 3; }

static void to_command(struct i82077 *f)
{
    f->phase = PH_COMMAND;
    f->step = S_NONE;
    f->ncmd = f->need = f->nres = f->ires = 0;
}
static void to_result(struct i82077 *f, unsigned n, bool irq)
{
    f->phase = PH_RESULT;
    f->step = S_NONE;
    f->nres = n;
    f->ires = 0;
    if (irq) irq_update(f, true);
}

// ---- data transfers

enum kind { K_READ, K_WRITE, K_READ_TRACK, K_READ_DELETED, K_FORMAT, K_SCAN, K_VERIFY };
static enum kind kind_of(const struct i82077 *f)
{
    switch (f->cmd[0] & 0x1f) {
    case 0x05:
    case 0x09: return K_WRITE;
    case 0x02: return K_READ_TRACK;
    case 0x0c: return K_READ_DELETED;
    case 0x0d: return K_FORMAT;
    case 0x16: return K_VERIFY;
    case 0x11:
    case 0x19:
    case 0x1d: return K_SCAN;
    default: return K_READ;
    }
}
static bool from_host(const struct i82077 *f)
{
    enum kind k = kind_of(f);
    return k == K_WRITE || k == K_FORMAT || k == K_SCAN;
}
static bool pio(const struct i82077 *f) { return f->specify[1] & 1; }

// The result phase of everything that reads, writes or looks for sectors.
static void finish(struct i82077 *f, u8 st0)
{
    timer_cancel(&f->bus->clock, &f->timer);
    f->res[0] = st0 | f->side << 2 | unit(f);
    f->res[1] = f->st1, f->res[2] = f->st2;
    f->res[3] = f->c, f->res[4] = f->head, f->res[5] = f->r, f->res[6] = 2;
    to_result(f, 7, true);
    i8237_request(f->dma, 2, 0);
}
// Counts to the next sector as the data sheet's table has it. False: that was the last one of the track or cylinder.
static bool advance(struct i82077 *f)
{
    enum kind k = kind_of(f);
    if (k == K_FORMAT || k == K_READ_TRACK) return f->r++ < f->last;
    unsigned step = k == K_SCAN && (f->cmd[8] & 3) == 2 ? 2 : 1;
    if (f->r < f->last && f->r + step <= 255) {
        f->r += step;
        if (f->r <= f->last) return true;
    }
    f->r = 1;
    if (!(f->cmd[0] & MT)) {
        f->c++;
        return false;
    }
    f->head ^= 1;
    if (f->head) return true; // side 1 follows
    f->c++;
    return false;
}
static void next(struct i82077 *f)
{
    bool more = advance(f);
    if (f->tc || (f->st2 & ST2_CM)) {
        finish(f, f->st1 ? ST0_ABNORMAL : 0);
    } else if (more) {
        later(f, S_SECTOR, NS_SECTOR);
    } else if (kind_of(f) == K_FORMAT || kind_of(f) == K_READ_TRACK || kind_of(f) == K_VERIFY) {
        finish(f, f->st1 ? ST0_ABNORMAL : 0);
    } else if (kind_of(f) == K_SCAN) {
        finish(f, 0);
    } else {
        f->st1 |= ST1_EN;
        finish(f, ST0_ABNORMAL);
    }
}

// FORMAT TRACK: the four bytes that the host gave name a sector.
static void format_sector(struct i82077 *f, struct floppy *d)
{
    u8 fill[512];
    unsigned r = f->buf[2];
    memset(fill, f->cmd[5], sizeof fill);
    f->c = f->buf[0];
    if (f->buf[3] != 2 || f->buf[1] != f->head || !r || r > d->format->spt) {
        f->st1 |= ST1_ND; // cannot be in an image
    } else if (floppy_write(d, f->head, r, fill)) {
        f->st1 |= ST1_DE;
        finish(f, ST0_ABNORMAL);
        return;
    }
    next(f);
}
static void scan_sector(struct i82077 *f, struct floppy *d)
{
    u8 disk[512], how = f->cmd[0] & 0x1f;
    bool equal = true, ok = true;
    if (floppy_read(d, f->head, f->r, disk)) {
        f->st1 |= ST1_DE, f->st2 |= ST2_DD;
        finish(f, ST0_ABNORMAL);
        return;
    }
    for (unsigned i = 0; i < 512 && i < f->pos; i++) { // the first difference decides; FFh from either side matches all
        if (disk[i] == f->buf[i] || disk[i] == 0xff || f->buf[i] == 0xff) continue;
        equal = false;
        ok = how == 0x19 ? disk[i] < f->buf[i] : how == 0x1d && disk[i] > f->buf[i];
        break;
    }
    f->st2 &= ~(ST2_SH | ST2_SN);
    if (equal) f->st2 |= ST2_SH;
    if (!ok) f->st2 |= ST2_SN;
    if (ok) {
        finish(f, 0);
        return;
    }
    next(f);
}

// The buffer is through: its bytes went to the host, or came from there.
static void sector_over(struct i82077 *f)
{
    struct floppy *d = drive_of(f, unit(f));
    if (!d || !d->format) { // taken out meanwhile
        f->st1 |= ST1_MA;
        finish(f, ST0_ABNORMAL);
        return;
    }
    switch (kind_of(f)) {
    case K_FORMAT:
        if (f->pos < f->len) // terminal count within an address
            finish(f, 0);
        else
            format_sector(f, d);
        return;
    case K_SCAN: scan_sector(f, d); return;
    case K_WRITE:
        memset(f->buf + f->pos, 0, sizeof f->buf - f->pos); // terminal count within the sector
        if (floppy_write(d, f->head, f->r, f->buf)) {
            f->st1 |= ST1_DE;
            f->st2 |= ST2_DD;
            finish(f, ST0_ABNORMAL);
            return;
        }
        break;
    default: break;
    }
    next(f);
}

// DACK cycles; also called by the DMA controller when the host has got it ready.
static void dma_run(void *owner)
{
    struct i82077 *f = owner;
    if (f->phase != PH_EXEC || f->step != S_DMA) return;
    bool tc = false;
    f->pos += i8237_transfer(f->dma, 2, !from_host(f), f->buf + f->pos, f->len - f->pos, &tc);
    f->tc |= tc;
    if (f->pos < f->len && !f->tc) return;
    f->step = S_NONE;
    i8237_request(f->dma, 2, 0);
    sector_over(f);
}
static void offer(struct i82077 *f, u16 n)
{
    f->pos = 0;
    f->len = n;
    if (pio(f)) {
        f->step = S_PIO;
        irq_update(f, true);
    } else {
        f->step = S_DMA;
        i8237_request(f->dma, 2, f->dor & DOR_DMA);
    }
}

// Do H and N of the command match those of any sector on the side that it selects?
static bool is_id(const struct i82077 *f) { return f->cmd[3] == (f->cmd[1] >> 2 & 1) && f->cmd[5] == 2; }
// Is the wanted sector on this track?
static bool find_sector(struct i82077 *f, struct floppy *d)
{
    if (f->c != floppy_cylinder(d)) f->st2 |= ST2_WC;
    if (f->c == floppy_cylinder(d) && f->r && f->r <= d->format->spt && is_id(f)) return true;
    f->st1 |= ST1_ND;
    return false;
}
static void next_sector(struct i82077 *f)
{
    struct floppy *d = drive_of(f, unit(f));
    enum kind k = kind_of(f);
    f->side = f->head;
    if (!d || !floppy_readable(d, f->head, f->rate)) {
        later(f, S_NO_MARK, NS_NO_MARK);
        return;
    }
    if (k == K_FORMAT) {
        offer(f, 4);
        return;
    }
    if (k == K_READ_TRACK) { // whatever comes by; ND tells that it was not what the command asked for
        if (f->r > d->format->spt || f->cmd[5] != 2) {
            f->st1 |= ST1_ND;
            finish(f, ST0_ABNORMAL);
            return;
        }
        if (f->c != floppy_cylinder(d) || !is_id(f)) f->st1 |= ST1_ND;
    } else if (!find_sector(f, d)) {
        finish(f, ST0_ABNORMAL);
        return;
    }
    d->turn = f->r;
    if (k == K_READ_DELETED) {
        if (f->cmd[0] & SK) { // every sector has the other mark
            next(f);
            return;
        }
        f->st2 |= ST2_CM;
    }
    if (k == K_WRITE || k == K_SCAN) {
        offer(f, 512);
        return;
    }
    if (floppy_read(d, f->head, f->r, f->buf)) {
        f->st1 |= ST1_DE, f->st2 |= ST2_DD;
        finish(f, ST0_ABNORMAL);
        return;
    }
    if (k != K_VERIFY) {
        offer(f, 512);
        return;
    }
    if (f->cmd[1] & 0x80 && !--f->cmd[8]) f->tc = true; // EC: a count of sectors instead of EOT
    next(f);
}
static void seek_to(struct i82077 *f, unsigned n, u8 cyl)
{
    struct floppy *d = drive_of(f, n);
    if (d) floppy_step(d, cyl - f->pcn[n]);
    f->pcn[n] = cyl;
}
static void transfer_start(struct i82077 *f)
{
    struct floppy *d = drive_of(f, unit(f));
    enum kind k = kind_of(f);
    if (k != K_FORMAT && (f->config & CFG_EIS)) seek_to(f, unit(f), f->cmd[2]);
    if ((k == K_WRITE || k == K_FORMAT) && d && d->disk && d->disk->readonly) {
        f->st1 |= ST1_NW;
        finish(f, ST0_ABNORMAL);
        return;
    }
    next_sector(f);
}
static void read_id(struct i82077 *f)
{
    struct floppy *d = drive_of(f, unit(f));
    if (!d || !floppy_readable(d, f->head, f->rate)) {
        later(f, S_NO_MARK, NS_NO_MARK);
        return;
    }
    d->turn = d->turn % d->format->spt + 1;
    f->r = d->turn;
    f->c = floppy_cylinder(d);
    finish(f, 0);
}

static void on_timer(void *owner)
{
    struct i82077 *f = owner;
    enum step s = f->step;
    f->step = S_NONE;
    switch (s) {
    case S_RESET: // polling finds all four drives' ready lines changed
        if (!(f->config & CFG_POLL)) {
            f->polled = 15;
            irq_update(f, true);
        }
        break;
    case S_START:
        if ((f->cmd[0] & 0x1f) == 0x0a)
            read_id(f);
        else
            transfer_start(f);
        break;
    case S_SECTOR: next_sector(f); break;
    case S_NO_MARK:
        f->st1 |= ST1_MA;
        finish(f, ST0_ABNORMAL);
        break;
    default: break;
    }
}

// ---- commands

// Command bytes from 2 on: C, H, R, N, EOT, GPL, DTL; FORMAT: N, SC, GPL, filler.
static void c_transfer(struct i82077 *f)
{
    bool format = kind_of(f) == K_FORMAT;
    f->phase = PH_EXEC;
    f->head = f->side = f->cmd[1] >> 2 & 1;
    f->c = format ? f->pcn[unit(f)] : f->cmd[2];
    f->r = format || kind_of(f) == K_READ_TRACK ? 1 : f->cmd[4];
    f->last = format ? f->cmd[3] : f->cmd[6];
    f->st1 = f->st2 = 0;
    f->tc = false;
    f->pos = f->len = 0;
    later(f, S_START, NS_START);
}
static void c_read_id(struct i82077 *f)
{
    f->phase = PH_EXEC;
    f->head = f->side = f->cmd[1] >> 2 & 1;
    f->c = f->r = f->st1 = f->st2 = 0;
    later(f, S_START, NS_START);
}

static void seek_over(void *owner)
{
    struct seek *s = owner;
    struct i82077 *f = s->f;
    f->seek_done |= 1 << (s - f->seek);
    irq_update(f, true);
}
static void seek_begin(struct i82077 *f, unsigned n, u8 st0, unsigned steps)
{
    f->seek[n].st0 = st0 | n;
    f->seek_done &= ~(1 << n);
    timer_arm(&f->bus->clock, &f->seek[n].timer, clock_now(&f->bus->clock) + NS_START + (u64)steps * NS_STEP);
    to_command(f);
}
static void c_seek(struct i82077 *f)
{
    unsigned n = unit(f), from = f->pcn[n];
    u8 to = f->cmd[2];
    if (f->cmd[0] & 0x80) to = f->cmd[0] & 0x40 ? from + f->cmd[2] : from - f->cmd[2]; // RELATIVE SEEK
    seek_to(f, n, to);
    seek_begin(f, n, ST0_SE | (f->cmd[1] & 4), to > from ? to - from : from - to);
}
static void c_recalibrate(struct i82077 *f)
{
    unsigned n = unit(f);
    struct floppy *d = drive_of(f, n);
    u8 st0 = ST0_SE, steps = 79;
    if (d) {
        steps = min_u64(d->track, 79);
        floppy_step(d, -steps);
    }
    if (!d || d->track) st0 |= ST0_ABNORMAL | ST0_EC; // no track 0 signal after 79 pulses
    f->pcn[n] = 0;
    seek_begin(f, n, st0, steps);
}
static void c_sense_interrupt(struct i82077 *f)
{
    u8 *from = f->polled ? &f->polled : &f->seek_done;
    if (!*from) {
        f->res[0] = ST0_INVALID;
        to_result(f, 1, false);
        return;
    }
    unsigned n = __builtin_ctz(*from);
    f->res[0] = f->polled ? ST0_POLL | n : f->seek[n].st0;
    f->res[1] = f->pcn[n];
    *from &= *from - 1;
    if (!f->seek_done) irq_update(f, false);
    to_result(f, 2, false);
}
static void c_sense_drive(struct i82077 *f)
{
    struct floppy *d = drive_of(f, unit(f));
    u8 st3 = 0x28 | (f->cmd[1] & 7); // ready, two sides
    if (d && !d->track) st3 |= 0x10;
    if (d && d->disk && d->disk->readonly) st3 |= 0x40;
    f->res[0] = st3;
    to_result(f, 1, false);
}
static void c_specify(struct i82077 *f)
{
    memcpy(f->specify, f->cmd + 1, 2);
    to_command(f);
}
static void c_configure(struct i82077 *f)
{
    f->config = f->cmd[2] & 0x7f;
    f->pretrk = f->cmd[3];
    to_command(f);
}
static void c_perpendicular(struct i82077 *f)
{
    if (f->cmd[1] & 0x80) f->perp = f->cmd[1] & 0x3c;
    f->perp = (f->perp & 0x3c) | (f->cmd[1] & 3);
    to_command(f);
}
static void c_dumpreg(struct i82077 *f)
{
    memcpy(f->res, f->pcn, 4);
    memcpy(f->res + 4, f->specify, 2);
    f->res[6] = f->last;
    f->res[7] = f->lock << 7 | f->perp;
    f->res[8] = f->config;
    f->res[9] = f->pretrk;
    to_result(f, 10, false);
}
static void c_version(struct i82077 *f)
{
    f->res[0] = 0x90;
    to_result(f, 1, false);
}
static void c_lock(struct i82077 *f)
{
    f->lock = f->cmd[0] & 0x80;
    f->res[0] = f->lock << 4;
    to_result(f, 1, false);
}
static void c_invalid(struct i82077 *f)
{
    f->res[0] = ST0_INVALID;
    to_result(f, 1, false);
}

static const struct command {
    u8 mask, code, bytes;
    void (*fn)(struct i82077 *f);
} commands[] = {
    {0x1f, 0x06, 9, c_transfer},    // READ DATA (MT, MFM, SK)
    {0x1f, 0x0c, 9, c_transfer},    // READ DELETED DATA
    {0x3f, 0x05, 9, c_transfer},    // WRITE DATA
    {0x3f, 0x09, 9, c_transfer},    // WRITE DELETED DATA
    {0x9f, 0x02, 9, c_transfer},    // READ TRACK
    {0x1f, 0x16, 9, c_transfer},    // VERIFY
    {0xbf, 0x0d, 6, c_transfer},    // FORMAT TRACK
    {0x1f, 0x11, 9, c_transfer},    // SCAN EQUAL
    {0x1f, 0x19, 9, c_transfer},    // SCAN LOW OR EQUAL
    {0x1f, 0x1d, 9, c_transfer},    // SCAN HIGH OR EQUAL
    {0xbf, 0x0a, 2, c_read_id},     // READ ID
    {0xff, 0x07, 2, c_recalibrate}, // RECALIBRATE
    {0xff, 0x08, 1, c_sense_interrupt},
    {0xff, 0x03, 3, c_specify},
    {0xff, 0x04, 2, c_sense_drive},
    {0xff, 0x0f, 3, c_seek},
    {0xbf, 0x8f, 3, c_seek}, // RELATIVE SEEK
    {0xff, 0x13, 4, c_configure},
    {0xff, 0x12, 2, c_perpendicular},
    {0xff, 0x0e, 1, c_dumpreg},
    {0xff, 0x10, 1, c_version},
    {0x7f, 0x14, 1, c_lock},
    {0x00, 0x00, 1, c_invalid},
};
static const struct command *command_of(u8 v)
{
    const struct command *c = commands;
    while ((v & c->mask) != c->code) c++;
    return c;
}

// ---- registers

static u8 msr(const struct i82077 *f)
{
    u8 v = 0;
    if (!(f->dor & DOR_RUN) || f->step == S_RESET) return 0;
    for (int i = 0; i < 4; i++) v |= timer_armed(&f->seek[i].timer) << i;
    switch (f->phase) {
    case PH_COMMAND: return v | MSR_RQM | (f->ncmd ? MSR_CB : 0);
    case PH_RESULT: return v | MSR_RQM | MSR_DIO | MSR_CB;
    default:
        v |= MSR_CB | (pio(f) ? MSR_NDM : 0);
        return f->step == S_PIO ? v | MSR_RQM | (from_host(f) ? 0 : MSR_DIO) : v;
    }
}
static void pio_over(struct i82077 *f)
{
    f->step = S_NONE;
    irq_update(f, false);
    sector_over(f);
}
static u8 fifo_read(struct i82077 *f)
{
    if (!(msr(f) & MSR_RQM) || !(msr(f) & MSR_DIO)) return 0xff;
    if (f->phase == PH_EXEC) {
        u8 v = f->buf[f->pos++];
        if (f->pos >= f->len) pio_over(f);
        return v;
    }
    u8 v = f->res[f->ires++];
    if (f->ires == 1 && f->nres >= 7)
        irq_update(f, f->seek_done != 0); // SENSE INTERRUPT is not what this one waits for
    if (f->ires >= f->nres) to_command(f);
    return v;
}
static void fifo_write(struct i82077 *f, u8 v)
{
    if (!(msr(f) & MSR_RQM) || (msr(f) & MSR_DIO)) return;
    if (f->phase == PH_EXEC) {
        f->buf[f->pos++] = v;
        if (f->pos >= f->len) pio_over(f);
        return;
    }
    if (!f->ncmd) f->need = command_of(v)->bytes;
    f->cmd[f->ncmd++] = v;
    if (f->ncmd < f->need) return;
    command_of(f->cmd[0])->fn(f);
}

// Reset by DOR or DSR. LOCK keeps the FIFO's settings.
static void soft_reset(struct i82077 *f)
{
    timer_cancel(&f->bus->clock, &f->timer);
    for (int i = 0; i < 4; i++) timer_cancel(&f->bus->clock, &f->seek[i].timer), f->pcn[i] = 0;
    f->config = f->lock ? f->config & ~(CFG_EIS | CFG_POLL) : CFG_EFIFO;
    if (!f->lock) f->pretrk = 0;
    f->perp &= 0x3c;
    f->seek_done = f->polled = 0;
    f->power_down = false;
    to_command(f);
    i8237_request(f->dma, 2, 0);
    irq_update(f, false);
}
static void dor_write(struct i82077 *f, u8 v)
{
    u8 was = f->dor;
    f->dor = v;
    if ((was & DOR_RUN) && !(v & DOR_RUN)) soft_reset(f);
    if (!(was & DOR_RUN) && (v & DOR_RUN)) later(f, S_RESET, NS_RESET);
    irq_update(f, f->irq_line);
    i8237_request(f->dma, 2, f->step == S_DMA && (v & DOR_DMA));
}

static u64 fdc_read(void *dev, u64 off, unsigned size)
{
    struct i82077 *f = dev;
    switch (off) {
    case 2: return f->dor;
    case 3: return f->tdr;
    case 4: return msr(f);
    case 5: return fifo_read(f);
    default: return 0xff; // SRA and SRB: not driven in AT mode
    }
}
static void fdc_write(void *dev, u64 off, u64 v, unsigned size)
{
    struct i82077 *f = dev;
    switch (off) {
    case 2: dor_write(f, (u8)v); return;
    case 3: f->tdr = v & 3; return;
    case 4:
        f->rate = v & 3;
        f->precomp = v >> 2 & 7;
        f->power_down = v & DSR_POWERDOWN;
        if ((v & DSR_RESET) && (f->dor & DOR_RUN)) {
            soft_reset(f);
            later(f, S_RESET, NS_RESET);
        }
        return;
    case 5: fifo_write(f, (u8)v); return;
    default: return;
    }
}
static const struct io_ops fdc_ops = {.read = fdc_read, .write = fdc_write, .sizes = 1};

// 3F7h: the disk change line of the selected drive while its motor turns; the other bits were the hard disk's.
static u64 dir_read(void *dev, u64 off, unsigned size)
{
    struct i82077 *f = dev;
    unsigned n = f->dor & DOR_SEL;
    struct floppy *d = drive_of(f, n);
    return d && (f->dor & 0x10 << n) && d->changed ? 0x80 : 0;
}
static void ccr_write(void *dev, u64 off, u64 v, unsigned size) { ((struct i82077 *)dev)->rate = v & 3; }
static const struct io_ops dir_ops = {.read = dir_read, .write = ccr_write, .sizes = 1};

// ---- life

static void reset(void *self)
{
    struct i82077 *f = self;
    f->lock = false;
    soft_reset(f);
    f->dor = f->tdr = f->precomp = f->perp = 0;
    f->rate = 2;
    f->config = CFG_EFIFO;
    f->specify[0] = f->specify[1] = 0;
    memset(f->cmd, 0, sizeof f->cmd);
    memset(f->res, 0, sizeof f->res);
    memset(f->buf, 0, sizeof f->buf);
    f->head = f->side = f->c = f->r = f->last = f->st1 = f->st2 = 0;
    f->pos = f->len = 0;
    f->tc = false;
    irq_update(f, false);
}
static void state(struct state *s, void *self)
{
    struct i82077 *f = self;
    for (int i = 0; i < 2; i++) {
        struct floppy *d = &f->drive[i];
        u8 type = d->type;
        state_u8(s, "type", &type);
        if (state_loading(s) && type != d->type) state_fail(s, "another kind of drive is configured");
        state_u8(s, "track", &d->track);
        state_u8(s, "turn", &d->turn);
        state_bool(s, "changed", &d->changed);
    }
    for (int i = 0; i < 4; i++) {
        state_u8(s, "seek_st0", &f->seek[i].st0);
        timer_state(s, "seek", &f->bus->clock, &f->seek[i].timer);
    }
    timer_state(s, "timer", &f->bus->clock, &f->timer);
    state_u8(s, "dor", &f->dor);
    state_u8(s, "tdr", &f->tdr);
    state_u8(s, "rate", &f->rate);
    state_u8(s, "precomp", &f->precomp);
    state_bool(s, "power_down", &f->power_down);
    state_bytes(s, "specify", f->specify, 2);
    state_u8(s, "config", &f->config);
    state_u8(s, "pretrk", &f->pretrk);
    state_u8(s, "perpendicular", &f->perp);
    state_bool(s, "lock", &f->lock);
    state_bool(s, "irq", &f->irq_line);
    state_bytes(s, "pcn", f->pcn, 4);
    state_u8(s, "seek_done", &f->seek_done);
    state_u8(s, "polled", &f->polled);
    state_u8(s, "phase", &f->phase);
    state_u8(s, "step", &f->step);
    state_bytes(s, "command", f->cmd, sizeof f->cmd);
    state_u8(s, "ncommand", &f->ncmd);
    state_u8(s, "need", &f->need);
    state_bytes(s, "result", f->res, sizeof f->res);
    state_u8(s, "nresult", &f->nres);
    state_u8(s, "iresult", &f->ires);
    state_u8(s, "head", &f->head);
    state_u8(s, "side", &f->side);
    state_u8(s, "c", &f->c);
    state_u8(s, "r", &f->r);
    state_u8(s, "last", &f->last);
    state_u16(s, "pos", &f->pos);
    state_u16(s, "len", &f->len);
    state_u8(s, "st1", &f->st1);
    state_u8(s, "st2", &f->st2);
    state_bool(s, "tc", &f->tc);
    state_bytes(s, "buffer", f->buf, sizeof f->buf);
    if (!state_loading(s)) return;
    f->rate &= 3, f->head &= 1, f->side &= 1, f->seek_done &= 15, f->polled &= 15;
    bool open = f->phase == PH_EXEC && (f->step == S_PIO || f->step == S_DMA);
    if (f->phase >= PH_COUNT || f->step >= S_COUNT || f->len > sizeof f->buf || f->pos > f->len ||
        (open && f->pos == f->len) || f->need > sizeof f->cmd || f->nres > sizeof f->res || f->ncmd > f->need ||
        (f->phase == PH_COMMAND && f->need && f->ncmd == f->need) || f->ires > f->nres ||
        (f->phase == PH_RESULT && f->ires == f->nres) || (f->ncmd && f->need != command_of(f->cmd[0])->bytes))
        state_fail(s, "a command that cannot be");
    if (!state_ok(s)) f->pos = f->len = 0, to_command(f);
}
static void info(void *self, struct buf *out)
{
    static const char *const names[] = {"none", "360 KB", "1.2 MB", "720 KB", "1.44 MB", "2.88 MB"};
    struct i82077 *f = self;
    for (int i = 0; i < 2; i++) {
        struct floppy *d = &f->drive[i];
        if (d->type == FLOPPY_NONE) continue;
        buf_printf(out, "floppy%d: ", i);
        if (d->disk)
            buf_printf(out, "%s (%s%s%s), %d tracks, %d heads, %d sectors", d->disk->file ? d->disk->file : "?",
                       d->disk->format ? d->disk->format : "?", d->disk->readonly ? ", read-only" : "",
                       d->disk->snapshot ? ", snapshot" : "", d->format->tracks, d->format->heads, d->format->spt);
        else
            buf_printf(out, "[not inserted]");
        buf_printf(out, "\n    Removable device: %s drive, head on track %d\n", names[d->type], d->track);
    }
}
static void fdc_free(void *self)
{
    struct i82077 *f = self;
    for (int i = 0; i < 2; i++) disk_close(f->drive[i].disk);
    free(f);
}
static const struct part_ops ops = {.reset = reset, .state = state, .info = info, .free = fdc_free};

struct i82077 *i82077_new(struct bus *b, const struct irq *irq, struct i8237 *dma, const struct floppy_unit unit_[2])
{
    struct i82077 *f = xalloc(sizeof *f);
    f->bus = b;
    f->irq = *irq;
    f->dma = dma;
    timer_init(&f->timer, on_timer, f);
    for (int i = 0; i < 4; i++) {
        f->seek[i].f = f;
        timer_init(&f->seek[i].timer, seek_over, &f->seek[i]);
    }
    for (int i = 0; i < 2; i++) floppy_init(&f->drive[i], &unit_[i]);
    i8237_attach(dma, 2, dma_run, f);
    bus_map_port(b, 0x3f0, 6, &fdc_ops, f, "fdc");
    bus_map_port(b, 0x3f7, 1, &dir_ops, f, "fdc");
    part_add(&b->parts, "fdc", &ops, f);
    reset(f);
    return f;
}

enum floppy_type i82077_type(const struct i82077 *f, int n)
{
    return n < 0 || n > 1 ? FLOPPY_NONE : (enum floppy_type)f->drive[n].type;
}
bool i82077_eject(struct i82077 *f, int n, struct disk **out)
{
    *out = NULL;
    if (n < 0 || n > 1 || !drive_of(f, n)) return false;
    struct floppy *d = &f->drive[n];
    *out = d->disk;
    d->disk = NULL;
    d->format = NULL;
    d->changed = true;
    return true;
}
bool i82077_insert(struct i82077 *f, int n, struct disk *disk)
{
    return n >= 0 && n < 2 && drive_of(f, n) && floppy_put(&f->drive[n], disk);
}
bool i82077_takes(u64 bytes) { return floppy_takes(bytes); }
const struct disk *i82077_disk(const struct i82077 *f, int n) { return n < 0 || n > 1 ? NULL : f->drive[n].disk; }
