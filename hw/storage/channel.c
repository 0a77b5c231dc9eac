// SPDX-License-Identifier: MIT
// An IDE channel: task file registers, device selection, the PIO, packet and bus-master DMA protocols, resets.
// ATA/ATAPI-6 (T13/1410D) clauses 7 (registers), 9 (protocols), 9.2–9.3 (resets); Programming Interface for Bus Master
// IDE Controller, revision 1.0. What commands mean is in ata.c and atapi.c.
//
// Every step that takes a real drive time shows BSY and ends in channel_step(), called by a timer: a command is
// executed there, not in the port write, so that a driver always sees BSY first and the interrupt later. What is
// pending is saved state. Left out: DMA queued commands, overlapped packet commands. An absent device reads as 00h.
#include "hw/storage/ata.h"
#include "mem/base/bits.h"
#include "mem/state.h"

#define NS_COMMAND 3000 // from command to data or result; a disk with a warm cache takes longer
#define NS_BLOCK   1000 // between the DRQ blocks of one command
#define NS_RESET   20000
#define DMA_SLICE  (256u << 10) // bytes moved before the guest runs on
#define NS_SLICE   20000
#define PRD_TABLE  65536 // a descriptor table must not cross this

static struct ide_drive *selected(struct ide_channel *c) { return &c->drive[c->sel]; }

static void line_update(struct ide_channel *c)
{
    bool now = selected(c)->intrq && !(c->ctl & CTL_NIEN);
    if (now == c->line) return;
    c->line = now;
    if (now) c->bm_status |= BM_INT;
    irq_set(&c->irq, now);
}
void drive_intrq(struct ide_drive *d)
{
    d->intrq = true;
    line_update(d->ch);
}
void channel_delay(struct ide_channel *c, enum ide_pending what, u64 ns)
{
    c->pending = what;
    timer_arm(&c->bus->clock, &c->timer, clock_now(&c->bus->clock) + ns);
}
static void busy(struct ide_drive *d, enum ide_pending what, u64 ns)
{
    d->status = (d->status & ~(ST_DRQ | ST_ERR | ST_DF)) | ST_BSY;
    channel_delay(d->ch, what, ns);
}

void drive_done(struct ide_drive *d)
{
    d->xfer = X_NONE;
    d->status = ST_DRDY | ST_DSC;
    drive_intrq(d);
}
void drive_fail(struct ide_drive *d, u8 error)
{
    d->xfer = X_NONE;
    d->error = error;
    d->status = ST_DRDY | ST_DSC | ST_ERR;
    drive_intrq(d);
}
void drive_signature(struct ide_drive *d)
{
    bool cd = d->kind == IDE_CD;
    d->nsect[0] = d->lbal[0] = 1;
    d->lbam[0] = cd ? 0x14 : 0;
    d->lbah[0] = cd ? 0xeb : 0;
    d->nsect[1] = d->lbal[1] = d->lbam[1] = d->lbah[1] = 0;
    d->dev &= DEV_SLAVE;
}

// ---- data phases

static bool is_out(const struct ide_drive *d)
{
    return d->xfer == X_OUT_DISK || d->xfer == X_OUT_BUF || d->xfer == X_OUT_PACKET;
}
static bool wants_dma(const struct ide_drive *d) { return d->dma && d->xfer != X_NONE && d->xfer != X_OUT_PACKET; }
// Opens a DRQ block for what is in buf from pos on.
static void drq_open(struct ide_drive *d, bool irq)
{
    d->drq_end = d->len;
    d->status = ST_DRDY | ST_DSC | ST_DRQ;
    if (d->xfer == X_OUT_PACKET) {
        d->nsect[0] = IR_COD;
        d->status = ST_DRDY | ST_DRQ;
    } else if (d->command == 0xa0) {
        u32 n = min_u64(d->len - d->pos, d->limit);
        if (n < d->len - d->pos) n &= ~1u; // only the last block may be odd
        d->drq_end = d->pos + n;
        d->nsect[0] = IR_IO;
        d->lbam[0] = n;
        d->lbah[0] = n >> 8;
        d->status = ST_DRDY | ST_DRQ;
    }
    if (irq) drive_intrq(d);
}
// The next piece of an input from the medium. False: nothing more, or ended with an error.
static bool fetch(struct ide_drive *d)
{
    if (!d->left) return false;
    if (d->xfer == X_IN_CD) return atapi_fetch(d);
    return d->xfer == X_IN_DISK && ata_fetch(d);
}
static void finish(struct ide_drive *d)
{
    if (d->command == 0xa0)
        atapi_finish(d);
    else
        drive_done(d);
}

void drive_start(struct ide_drive *d, enum ide_xfer x, u32 n)
{
    d->xfer = x;
    d->pos = 0;
    d->len = n;
    if (d->dma) {
        d->status = ST_BSY | ST_DRDY | ST_DSC;
        if (d->ch->bm_status & BM_ACTIVE) channel_delay(d->ch, P_DMA, NS_BLOCK);
        return;
    }
    if ((x == X_IN_DISK || x == X_IN_CD) && !fetch(d)) return;
    drq_open(d, !is_out(d));
}

// The last byte of a DRQ block went over the data register.
static void block_over(struct ide_drive *d)
{
    if (d->xfer == X_IN_DISK || d->xfer == X_IN_BUF) {
        if (d->left && d->xfer == X_IN_DISK) {
            busy(d, P_BLOCK, NS_BLOCK);
        } else if (d->command == 0xa0) {
            busy(d, P_BLOCK, NS_BLOCK); // the completion of a packet command has an interrupt of its own
        } else {
            d->xfer = X_NONE;
            d->status = ST_DRDY | ST_DSC;
        }
        return;
    }
    busy(d, P_BLOCK, NS_BLOCK);
}
// After the pause that block_over() opened.
static void block_next(struct ide_drive *d)
{
    switch (d->xfer) {
    case X_OUT_PACKET:
        d->xfer = X_NONE;
        atapi_exec(d);
        return;
    case X_OUT_BUF: ata_out_done(d); return;
    case X_OUT_DISK:
        if (!ata_store(d)) return;
        if (!d->left) {
            drive_done(d);
            return;
        }
        d->pos = 0;
        d->len = 512 * min_u64(d->left, d->block);
        drq_open(d, true);
        return;
    case X_IN_DISK:
        if (fetch(d)) drq_open(d, true);
        return;
    case X_IN_CD:
    case X_IN_BUF:
        if (d->pos < d->len)
            drq_open(d, true);
        else if (!d->left || d->xfer == X_IN_BUF)
            finish(d);
        else if (fetch(d))
            drq_open(d, true);
        return;
    default: return;
    }
}

static u32 data_read(struct ide_channel *c, unsigned size)
{
    struct ide_drive *d = selected(c);
    u8 b[4] = {0};
    if (!(d->status & ST_DRQ) || d->xfer == X_NONE || is_out(d)) return 0;
    unsigned n = size == 1 ? 2 : size; // a byte cycle moves a word all the same
    for (unsigned i = 0; i < n && d->pos < d->drq_end; i++) b[i] = d->buf[d->pos++];
    if (d->pos >= d->drq_end) block_over(d);
    return ld32(b) & (u32)size_mask(size);
}
static void data_write(struct ide_channel *c, u32 v, unsigned size)
{
    struct ide_drive *d = selected(c);
    if (!(d->status & ST_DRQ) || !is_out(d)) return;
    unsigned n = size == 1 ? 2 : size;
    for (unsigned i = 0; i < n && d->pos < d->drq_end; i++) d->buf[d->pos++] = v >> 8 * i;
    if (d->pos < d->drq_end) return;
    if (d->xfer == X_OUT_PACKET) memcpy(d->packet, d->buf, sizeof d->packet);
    block_over(d);
}

// ---- bus master

static void bm_stop(struct ide_channel *c, u8 error) { c->bm_status = (c->bm_status & ~BM_ACTIVE) | error; }

// Loads the next descriptor. False: there is none, or it cannot be read (then bm_status says so).
static bool prd_next(struct ide_channel *c)
{
    u8 e[8];
    if (c->prd_last || c->prd_at - c->bm_table >= PRD_TABLE) {
        bm_stop(c, 0);
        return false;
    }
    if (!ide_dma(c->ide, c->prd_at, e, 8, false)) {
        bm_stop(c, BM_ERROR);
        return false;
    }
    c->prd_base = ld32(e) & ~1u;
    c->prd_left = ld16(e + 4) & ~1u;
    if (!c->prd_left) c->prd_left = 65536;
    c->prd_last = e[7] & 0x80;
    c->prd_at += 8;
    return true;
}

// The drive has moved everything: the active bit falls only if the descriptors are used up too.
static void dma_finish(struct ide_channel *c, struct ide_drive *d)
{
    if (!c->prd_left && c->prd_last) bm_stop(c, 0);
    c->pending = P_NONE;
    if (d->xfer == X_OUT_BUF)
        ata_out_done(d);
    else
        finish(d);
}
// A piece has filled or emptied the buffer. False: the command is over.
static bool dma_turn(struct ide_channel *c, struct ide_drive *d)
{
    if (!is_out(d)) {
        if ((d->xfer == X_IN_DISK || d->xfer == X_IN_CD) && d->left) return fetch(d);
        dma_finish(c, d);
        return false;
    }
    if (d->xfer == X_OUT_DISK) {
        if (!ata_store(d)) return false;
        if (d->left) {
            d->pos = 0;
            d->len = 512 * min_u64(d->left, d->block);
            return true;
        }
    }
    dma_finish(c, d);
    return false;
}
static void dma_step(struct ide_channel *c)
{
    struct ide_drive *d = selected(c);
    bool to_memory = c->bm_cmd & BM_TO_MEMORY;
    if (!(c->bm_status & BM_ACTIVE) || !wants_dma(d)) return;
    if (to_memory == is_out(d)) {
        log_guest(&c->bus->log, "ide", "bus master direction differs from the command's");
        bm_stop(c, BM_ERROR);
        return;
    }
    for (u32 moved = 0; moved < DMA_SLICE;) {
        if (d->pos >= d->len && !dma_turn(c, d)) return;
        if (!c->prd_left && !prd_next(c)) {
            // Too few descriptors: no interrupt, the drive still waits with DRQ.
            d->status = ST_DRDY | ST_DSC | ST_DRQ;
            d->xfer = X_NONE;
            return;
        }
        u32 n = min_u64(c->prd_left, d->len - d->pos);
        if (!ide_dma(c->ide, c->prd_base, d->buf + d->pos, n, to_memory)) {
            log_guest(&c->bus->log, "ide", "bus master access to 0x%x, where no memory is", c->prd_base);
            bm_stop(c, BM_ERROR);
            d->status = ST_DRDY | ST_DSC | ST_DRQ;
            d->xfer = X_NONE;
            return;
        }
        c->prd_base += n, c->prd_left -= n, d->pos += n, moved += n;
        if (d->pos >= d->len && !dma_turn(c, d)) return;
    }
    channel_delay(c, P_DMA, NS_SLICE);
}

u8 bm_read(struct ide_channel *c, unsigned reg)
{
    switch (reg) {
    case 0: return c->bm_cmd;
    case 2: return c->bm_status;
    case 4 ... 7: return c->bm_table >> 8 * (reg - 4);
    default: return 0xff;
    }
}
void bm_write(struct ide_channel *c, unsigned reg, u8 v)
{
    struct ide_drive *d = selected(c);
    switch (reg) {
    case 0:
        if ((v & BM_START) && !(c->bm_cmd & BM_START)) {
            c->prd_at = c->bm_table;
            c->prd_left = 0;
            c->prd_last = false;
            c->bm_status |= BM_ACTIVE;
            if (wants_dma(d) && c->pending == P_NONE) channel_delay(c, P_DMA, NS_BLOCK);
        } else if (!(v & BM_START)) {
            bm_stop(c, 0);
            if (c->pending == P_DMA) {
                c->pending = P_NONE;
                timer_cancel(&c->bus->clock, &c->timer);
            }
        }
        c->bm_cmd = v & (BM_START | BM_TO_MEMORY);
        return;
    case 2: c->bm_status = (c->bm_status & ~(v & (BM_ERROR | BM_INT)) & ~0x60) | (v & 0x60); return;
    case 4 ... 7:
        c->bm_table &= ~(0xffu << 8 * (reg - 4));
        c->bm_table |= (u32)v << 8 * (reg - 4);
        c->bm_table &= ~3u;
        return;
    default: return;
    }
}

// ---- task file

static void drive_reset(struct ide_drive *d, bool hard)
{
    d->xfer = X_NONE;
    d->dma = d->intrq = d->asleep = false;
    d->left = d->pos = d->len = d->drq_end = 0;
    d->power = 0xff;
    if (d->kind == IDE_NONE) return;
    if (d->kind == IDE_DISK)
        ata_reset(d, hard);
    else
        atapi_reset(d, hard);
    drive_signature(d);
    d->error = 1; // diagnostics passed
    d->status = d->kind == IDE_CD ? 0 : ST_DRDY | ST_DSC;
}

// EXECUTE DEVICE DIAGNOSTIC and resets end here: both devices show their signature, device 0 is selected.
static void both_signature(struct ide_channel *c, bool irq)
{
    for (int i = 0; i < 2; i++) drive_reset(&c->drive[i], false), c->drive[i].dev = 0;
    c->sel = 0;
    if (irq) drive_intrq(&c->drive[0]);
    line_update(c);
}

static void channel_step(void *owner)
{
    struct ide_channel *c = owner;
    struct ide_drive *d = selected(c);
    enum ide_pending what = c->pending;
    c->pending = P_NONE;
    switch (what) {
    case P_COMMAND:
        if (d->command == 0x90)
            both_signature(c, true);
        else
            ata_exec(d);
        break;
    case P_BLOCK: block_next(d); break;
    case P_DMA: dma_step(c); break;
    case P_RESET: both_signature(c, false); break;
    default: break;
    }
}

static void command_write(struct ide_channel *c, u8 v)
{
    struct ide_drive *d = selected(c);
    if (v == 0x90 && !(d->status & ST_BSY)) { // diagnostics are for both
        for (int i = 0; i < 2; i++) {
            c->drive[i].command = v;
            c->drive[i].intrq = false;
            if (c->drive[i].kind != IDE_NONE) busy(&c->drive[i], P_COMMAND, NS_COMMAND);
        }
        line_update(c);
        return;
    }
    if (d->kind == IDE_NONE) return;
    if (v == 0x08 && d->kind == IDE_CD) { // DEVICE RESET: also while busy or asleep
        timer_cancel(&c->bus->clock, &c->timer);
        c->pending = P_NONE;
        u8 slave = d->dev & DEV_SLAVE;
        drive_reset(d, false);
        d->dev = slave;
        line_update(c);
        return;
    }
    if ((d->status & ST_BSY) || d->asleep) return;
    d->command = v;
    d->error = 0;
    d->dma = false;
    d->xfer = X_NONE;
    d->left = 0;
    d->intrq = false;
    line_update(c);
    busy(d, P_COMMAND, NS_COMMAND);
}

static void shift(u8 r[2], u8 v)
{
    r[1] = r[0];
    r[0] = v;
}
static void reg_write(struct ide_channel *c, unsigned reg, u8 v)
{
    if (reg == 7) {
        c->ctl &= ~CTL_HOB;
        command_write(c, v);
        return;
    }
    if (selected(c)->status & ST_BSY) return;
    c->ctl &= ~CTL_HOB;
    for (int i = 0; i < 2; i++) {
        struct ide_drive *d = &c->drive[i];
        switch (reg) {
        case 1: shift(d->feature, v); break;
        case 2: shift(d->nsect, v); break;
        case 3: shift(d->lbal, v); break;
        case 4: shift(d->lbam, v); break;
        case 5: shift(d->lbah, v); break;
        case 6: d->dev = v; break;
        }
    }
    if (reg == 6) {
        c->sel = v >> 4 & 1;
        line_update(c);
    }
}
static u8 reg_read(struct ide_channel *c, unsigned reg)
{
    struct ide_drive *d = selected(c);
    int h = c->ctl & CTL_HOB ? 1 : 0;
    if (d->kind == IDE_NONE) return 0;
    switch (reg) {
    case 1: return d->error;
    case 2: return d->nsect[h];
    case 3: return d->lbal[h];
    case 4: return d->lbam[h];
    case 5: return d->lbah[h];
    case 6: return d->dev | 0xa0; // bits 7 and 5: obsolete, one
    default:
        d->intrq = false;
        line_update(c);
        return d->status;
    }
}

static u64 cmd_read(void *dev, u64 off, unsigned size)
{
    struct ide_channel *c = dev;
    u32 v = 0;
    if (!off) return data_read(c, size);
    for (unsigned i = 0; i < size; i++) v |= (u32)reg_read(c, off + i) << 8 * i;
    return v;
}
static void cmd_write(void *dev, u64 off, u64 v, unsigned size)
{
    struct ide_channel *c = dev;
    if (!off)
        data_write(c, (u32)v, size);
    else
        for (unsigned i = 0; i < size; i++) reg_write(c, off + i, v >> 8 * i);
}
static u64 ctl_read(void *dev, u64 off, unsigned size)
{
    struct ide_channel *c = dev;
    return selected(c)->kind == IDE_NONE ? 0 : selected(c)->status; // alternate status: the interrupt stays
}
static void ctl_write(void *dev, u64 off, u64 v, unsigned size)
{
    struct ide_channel *c = dev;
    bool was = c->ctl & CTL_SRST;
    c->ctl = v & (CTL_NIEN | CTL_SRST | CTL_HOB);
    if (!was && (v & CTL_SRST)) {
        timer_cancel(&c->bus->clock, &c->timer);
        c->pending = P_NONE;
        for (int i = 0; i < 2; i++) {
            struct ide_drive *d = &c->drive[i];
            if (d->kind == IDE_NONE) continue;
            d->xfer = X_NONE;
            d->intrq = d->asleep = false;
            d->status = ST_BSY;
        }
    } else if (was && !(v & CTL_SRST)) {
        channel_delay(c, P_RESET, NS_RESET);
    }
    line_update(c);
}
const struct io_ops ide_cmd_ops = {.read = cmd_read, .write = cmd_write, .sizes = 1 | 2 | 4};
const struct io_ops ide_ctl_ops = {.read = ctl_read, .write = ctl_write, .sizes = 1};

// ---- life

void channel_init(struct ide_channel *c, struct ide *ide, struct bus *b, const struct irq *irq)
{
    c->ide = ide;
    c->bus = b;
    c->irq = *irq;
    timer_init(&c->timer, channel_step, c);
}
void channel_reset(struct ide_channel *c)
{
    timer_cancel(&c->bus->clock, &c->timer);
    c->pending = P_NONE;
    c->sel = c->ctl = c->bm_cmd = c->bm_status = 0;
    c->bm_table = c->prd_at = c->prd_base = c->prd_left = 0;
    c->prd_last = false;
    for (int i = 0; i < 2; i++) {
        struct ide_drive *d = &c->drive[i];
        memset(d->feature, 0, 2), memset(d->nsect, 0, 2), memset(d->lbal, 0, 2);
        memset(d->lbam, 0, 2), memset(d->lbah, 0, 2);
        d->dev = d->status = d->error = d->command = 0;
        drive_reset(d, true);
    }
    line_update(c);
}

static void drive_state(struct state *s, struct ide_drive *d)
{
    u32 kind = d->kind, keep = d->xfer == X_NONE ? 0 : d->len;
    state_u32(s, "kind", &kind);
    if (state_loading(s) && kind != d->kind) state_fail(s, "another kind of drive is configured");
    if (d->kind == IDE_NONE) return;
    state_bytes(s, "feature", d->feature, 2);
    state_bytes(s, "nsect", d->nsect, 2);
    state_bytes(s, "lbal", d->lbal, 2);
    state_bytes(s, "lbam", d->lbam, 2);
    state_bytes(s, "lbah", d->lbah, 2);
    state_u8(s, "device", &d->dev);
    state_u8(s, "status", &d->status);
    state_u8(s, "error", &d->error);
    state_u8(s, "command", &d->command);
    state_bool(s, "intrq", &d->intrq);
    state_u8(s, "mult", &d->mult);
    state_u8(s, "udma", &d->udma);
    state_u8(s, "mdma", &d->mdma);
    state_u8(s, "pio", &d->pio);
    state_bool(s, "wcache", &d->wcache);
    state_bool(s, "lookahead", &d->lookahead);
    state_bool(s, "smart", &d->smart);
    state_bool(s, "asleep", &d->asleep);
    state_u8(s, "power", &d->power);
    state_u8(s, "heads", &d->cur_heads);
    state_u8(s, "secs", &d->cur_secs);
    state_u8(s, "xfer", &d->xfer);
    state_bool(s, "dma", &d->dma);
    state_bool(s, "ext", &d->ext);
    state_u64(s, "lba", &d->lba);
    state_u32(s, "left", &d->left);
    state_u8(s, "block", &d->block);
    state_u32(s, "pos", &d->pos);
    state_u32(s, "len", &d->len);
    state_u32(s, "drq_end", &d->drq_end);
    state_bytes(s, "packet", d->packet, sizeof d->packet);
    state_u16(s, "limit", &d->limit);
    state_u16(s, "sector", &d->sector);
    state_u8(s, "cd_fields", &d->cd_fields);
    state_u8(s, "sense", &d->sense);
    state_u8(s, "asc", &d->asc);
    state_u8(s, "ascq", &d->ascq);
    state_u8(s, "ua_asc", &d->ua_asc);
    state_bool(s, "tray_open", &d->tray_open);
    state_bool(s, "locked", &d->locked);
    state_u8(s, "media_event", &d->media_event);
    state_blob(s, "buffer", d->buf, &keep, IDE_BUF);
    if (!state_loading(s)) return;
    state_limit_u32(s, "len", &d->len, IDE_BUF + 1);
    state_limit_u32(s, "pos", &d->pos, d->len + 1);
    state_limit_u32(s, "drq_end", &d->drq_end, d->len + 1);
    if (d->xfer >= X_COUNT || d->mult > MULT_MAX || !d->block || d->block > IDE_BUF / 512 || d->limit < 2 ||
        d->sector < 1 || d->sector > 2352 || !d->cur_heads || !d->cur_secs)
        state_fail(s, "a transfer that cannot be");
    if (!state_ok(s)) d->xfer = X_NONE, d->pos = d->len = d->drq_end = d->left = 0, d->mult = 0;
}
void channel_state(struct state *s, struct ide_channel *c)
{
    state_u8(s, "select", &c->sel);
    state_u8(s, "control", &c->ctl);
    state_u8(s, "pending", &c->pending);
    state_bool(s, "line", &c->line);
    state_u8(s, "bm_command", &c->bm_cmd);
    state_u8(s, "bm_status", &c->bm_status);
    state_u32(s, "bm_table", &c->bm_table);
    state_u32(s, "prd_at", &c->prd_at);
    state_u32(s, "prd_base", &c->prd_base);
    state_u32(s, "prd_left", &c->prd_left);
    state_bool(s, "prd_last", &c->prd_last);
    timer_state(s, "timer", &c->bus->clock, &c->timer);
    c->sel &= 1;
    if (c->pending >= P_COUNT) c->pending = P_NONE;
    for (int i = 0; i < 2; i++) drive_state(s, &c->drive[i]);
}
