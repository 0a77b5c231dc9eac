// SPDX-License-Identifier: MIT
// Packet commands: a CD/DVD-ROM drive with one data track. INF-8020i and MMC-5 (T10/1675D); sense codes from SPC-3.
// Left out: audio playback, subchannel and error correction bytes (zero in READ CD), MODE SELECT, writing.
#include "hw/storage/ata.h"
#include "mem/base/bits.h"

enum { NOT_READY = 2, MEDIUM_ERROR = 3, ILLEGAL = 5, ATTENTION = 6 };
enum { EVENT_NONE, EVENT_EJECT, EVENT_NEW, EVENT_REMOVAL };
#define CD_MAX      (80 * 60 * 75) // sectors of an 80-minute CD; more is a DVD
#define PROFILE_CD  0x0008
#define PROFILE_DVD 0x0010

static bool present(const struct ide_drive *d) { return d->disk && !d->tray_open; }
static u32 total(const struct ide_drive *d) { return present(d) ? min_u64(d->disk->size / 2048, 0xffffffff) : 0; }
static u16 profile(const struct ide_drive *d) { return !present(d) ? 0 : total(d) > CD_MAX ? PROFILE_DVD : PROFILE_CD; }

static void end(struct ide_drive *d, u8 status)
{
    d->xfer = X_NONE;
    d->nsect[0] = IR_COD | IR_IO;
    d->status = ST_DRDY | status;
    drive_intrq(d);
}
static void sense(struct ide_drive *d, u8 key, u8 asc, u8 ascq)
{
    d->sense = key, d->asc = asc, d->ascq = ascq;
    d->error = key << 4 | (key == ILLEGAL ? ER_ABRT : 0);
    end(d, ST_ERR);
}
static void bad_field(struct ide_drive *d) { sense(d, ILLEGAL, 0x24, 0); }
void atapi_finish(struct ide_drive *d)
{
    d->error = 0;
    end(d, 0);
}
// n bytes in buf go to the host, which has room for alloc.
static void reply(struct ide_drive *d, u32 n, u32 alloc)
{
    n = min_u64(n, alloc);
    d->left = 0;
    if (n)
        drive_start(d, X_IN_BUF, n);
    else
        atapi_finish(d);
}

static void put_msf(u8 *p, u32 lba)
{
    lba += 150;
    p[0] = min_u64(lba / 75 / 60, 255), p[1] = lba / 75 % 60, p[2] = lba % 75;
}
static void put_addr(u8 *p, u32 lba, bool msf)
{
    stbe32(p, msf ? 0 : lba);
    if (msf) put_msf(p + 1, lba);
}

// ---- reading

// Bytes of a mode 1 sector that READ CD's byte 9 selects.
static u16 raw_size(u8 f)
{
    return (f & 0x80 ? 12 : 0) + (f & 0x20 ? 4 : 0) + (f & 0x10 ? 2048 : 0) + (f & 8 ? 288 : 0);
}
static void raw_sector(struct ide_drive *d, u8 *to, const u8 *data, u32 lba)
{
    if (d->cd_fields & 0x80) {
        memset(to, 0xff, 12);
        to[0] = to[11] = 0;
        to += 12;
    }
    if (d->cd_fields & 0x20) {
        u8 msf[3];
        put_msf(msf, lba);
        for (int i = 0; i < 3; i++) to[i] = msf[i] / 10 % 10 << 4 | msf[i] % 10;
        to[3] = 1;
        to += 4;
    }
    if (d->cd_fields & 0x10) {
        memmove(to, data, 2048);
        to += 2048;
    }
    if (d->cd_fields & 8) memset(to, 0, 288);
}
bool atapi_fetch(struct ide_drive *d)
{
    u32 n = min_u64(d->left, IDE_BUF / (d->sector > 2048 ? d->sector : 2048));
    if (!present(d)) {
        sense(d, NOT_READY, 0x3a, d->tray_open ? 2 : 1);
        return false;
    }
    if (d->sector == 2048 && d->cd_fields == 0x10) {
        if (disk_read(d->disk, d->lba * 2048, d->buf, n * 2048)) goto fail;
    } else {
        u8 data[2048];
        for (u32 i = 0; i < n; i++) {
            if (disk_read(d->disk, (d->lba + i) * 2048, data, 2048)) goto fail;
            raw_sector(d, d->buf + i * d->sector, data, d->lba + i);
        }
    }
    d->lba += n, d->left -= n;
    d->pos = 0, d->len = n * d->sector;
    return true;
fail:
    sense(d, MEDIUM_ERROR, 0x11, 0);
    return false;
}
static void read_from(struct ide_drive *d, u32 lba, u32 n, u8 fields)
{
    if (!range_ok(lba, n, total(d))) {
        sense(d, ILLEGAL, 0x21, 0);
        return;
    }
    d->cd_fields = fields;
    if (!n || !raw_size(fields)) {
        atapi_finish(d);
        return;
    }
    d->sector = raw_size(fields);
    d->lba = lba;
    d->left = n;
    d->pos = d->len = 0;
    drive_start(d, X_IN_CD, 0);
}
static void read_10(struct ide_drive *d, const u8 *p) { read_from(d, ldbe32(p + 2), ldbe16(p + 7), 0x10); }
static void read_12(struct ide_drive *d, const u8 *p) { read_from(d, ldbe32(p + 2), ldbe32(p + 6), 0x10); }
// Sector type, C2 and subchannel selection of READ CD (MSF).
static bool cd_fields_ok(struct ide_drive *d, const u8 *p)
{
    u8 type = p[1] >> 2 & 7;
    if (type > 2 || type == 1)
        sense(d, ILLEGAL, 0x64, 0); // the track is mode 1 data
    else if ((p[9] & 6) || (p[10] & 7))
        bad_field(d);
    else
        return true;
    return false;
}
static void read_cd(struct ide_drive *d, const u8 *p)
{
    if (cd_fields_ok(d, p)) read_from(d, ldbe32(p + 2), ldbe32(p + 5) & 0xffffff, p[9]);
}
static void read_cd_msf(struct ide_drive *d, const u8 *p)
{
    u32 from = (p[3] * 60u + p[4]) * 75 + p[5], to = (p[6] * 60u + p[7]) * 75 + p[8];
    if (!cd_fields_ok(d, p)) return;
    if (from < 150 || to < from)
        bad_field(d);
    else
        read_from(d, from - 150, to - from, p[9]);
}
static void verify(struct ide_drive *d, const u8 *p)
{
    if (range_ok(ldbe32(p + 2), ldbe16(p + 7), total(d)))
        atapi_finish(d);
    else
        sense(d, ILLEGAL, 0x21, 0);
}
static void seek(struct ide_drive *d, const u8 *p)
{
    if (ldbe32(p + 2) < total(d))
        atapi_finish(d);
    else
        sense(d, ILLEGAL, 0x21, 0);
}

// ---- what is in the drive

static void no_data(struct ide_drive *d, const u8 *p) { atapi_finish(d); }
static void request_sense(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    if (!d->sense && d->ua_asc) d->sense = ATTENTION, d->asc = d->ua_asc, d->ascq = 0, d->ua_asc = 0;
    memset(b, 0, 18);
    b[0] = 0x70; // valid is 0: no information field
    b[2] = d->sense;
    b[7] = 10;
    b[12] = d->asc;
    b[13] = d->ascq;
    d->sense = d->asc = d->ascq = 0;
    reply(d, 18, p[4]);
}
static void inquiry(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    if ((p[1] & 1) || p[2]) { // vital product data
        bad_field(d);
        return;
    }
    memset(b, 0, 36);
    b[0] = 5;    // CD-ROM
    b[1] = 0x80; // removable
    b[3] = 0x21; // ATAPI version 2, format 1
    b[4] = 31;
    memcpy(b + 8, "DOPPEL  CD/DVD-ROM      1.0 ", 28);
    reply(d, 36, ldbe16(p + 3));
}
static void read_capacity(struct ide_drive *d, const u8 *p)
{
    stbe32(d->buf, total(d) - 1);
    stbe32(d->buf + 4, 2048);
    reply(d, 8, 8);
}
static u32 toc_tracks(struct ide_drive *d, u8 *b, u8 from, bool msf)
{
    u32 n = 4;
    b[2] = b[3] = 1;
    if (from <= 1) {
        memcpy(b + n, (u8[]){0, 0x14, 1, 0}, 4);
        put_addr(b + n + 4, 0, msf);
        n += 8;
    }
    memcpy(b + n, (u8[]){0, 0x14, 0xaa, 0}, 4);
    put_addr(b + n + 4, total(d), msf);
    return n + 8;
}
static u32 toc_full(struct ide_drive *d, u8 *b)
{
    static const u8 points[4] = {0xa0, 0xa1, 0xa2, 1};
    b[2] = b[3] = 1;
    for (int i = 0; i < 4; i++) {
        u8 *e = b + 4 + 11 * i;
        memset(e, 0, 11);
        e[0] = 1, e[1] = 0x14, e[3] = points[i];
        if (points[i] == 0xa2 || points[i] == 1)
            put_msf(e + 8, points[i] == 1 ? 0 : total(d));
        else
            e[8] = 1; // first and last track
    }
    return 4 + 44;
}
static void read_toc(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf, format = p[2] & 15 ? p[2] & 15 : p[9] >> 6;
    bool msf = p[1] & 2;
    u32 n;
    memset(b, 0, 64);
    if (format == 0 && (p[6] <= 1 || p[6] == 0xaa)) {
        n = toc_tracks(d, b, p[6], msf);
    } else if (format == 1) {
        b[2] = b[3] = 1;
        memcpy(b + 4, (u8[]){0, 0x14, 1, 0}, 4);
        put_addr(b + 8, 0, msf);
        n = 12;
    } else if (format == 2) {
        n = toc_full(d, b);
    } else {
        bad_field(d);
        return;
    }
    stbe16(b, n - 2);
    reply(d, n, ldbe16(p + 7));
}
static void read_subchannel(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    u32 n = 4;
    memset(b, 0, 24);
    b[1] = 0x15; // no audio status to return
    if (p[2] & 0x40) {
        if (p[3] < 1 || p[3] > 3) {
            bad_field(d);
            return;
        }
        b[4] = p[3];
        n = p[3] == 1 ? 16 : 24;
        if (p[3] == 1) {
            b[5] = 0x14, b[6] = 1, b[7] = 1;
            put_addr(b + 8, 0, p[1] & 2);
            if (!(p[1] & 2)) stbe32(b + 12, 0);
        }
        stbe16(b + 2, n - 4);
    }
    reply(d, n, ldbe16(p + 7));
}
static void read_disc_info(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    memset(b, 0, 34);
    if (p[1] & 7) {
        bad_field(d);
        return;
    }
    b[1] = 32;
    b[2] = 0x0e; // complete disc, complete last session
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20; // unrestricted use
    memset(b + 16, 0xff, 8);
    reply(d, 34, ldbe16(p + 7));
}
static void read_track_info(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    u32 where = ldbe32(p + 2), type = p[1] & 3;
    if (type == 3 || (type == 0 && where >= total(d)) || (type && where != 1)) {
        bad_field(d);
        return;
    }
    memset(b, 0, 36);
    b[1] = 34, b[2] = 1, b[3] = 1;
    b[5] = 4; // data track
    b[6] = 1; // mode 1
    stbe32(b + 24, total(d));
    reply(d, 36, ldbe16(p + 7));
}
static void mechanism_status(struct ide_drive *d, const u8 *p)
{
    memset(d->buf, 0, 8);
    d->buf[1] = d->tray_open << 4;
    reply(d, 8, ldbe16(p + 8));
}
static void dvd_structure(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    u32 n = p[7] == 1 ? 8 : 4 + 2048;
    if (profile(d) != PROFILE_DVD) {
        sense(d, ILLEGAL, 0x30, 2);
        return;
    }
    if (p[1] & 15 || p[6] || (p[7] != 0 && p[7] != 1 && p[7] != 4)) {
        bad_field(d);
        return;
    }
    memset(b, 0, n);
    stbe16(b, n - 2);
    if (p[7] == 0) {
        b[4] = 0x01; // DVD-ROM, part version 1
        b[5] = 0x0f; // 120 mm, no maximum rate given
        b[6] = 0x01; // one layer, read-only
        stbe32(b + 8, 0x30000);
        stbe32(b + 12, 0x30000 + total(d) - 1);
    }
    reply(d, n, ldbe16(p + 8));
}

// ---- modes and features

static u32 mode_page(struct ide_drive *d, u8 *b, u8 page, bool changeable)
{
    u32 n = page == 0x01 ? 8 : page == 0x0e ? 16 : 20;
    memset(b, 0, n);
    b[0] = page;
    b[1] = n - 2;
    if (changeable) return n;
    if (page == 0x01) {
        b[3] = 5; // retries
    } else if (page == 0x0e) {
        b[2] = 4; // IMMED
        b[8] = 1, b[9] = 0xff, b[10] = 2, b[11] = 0xff;
    } else {
        b[2] = 0x3b;                  // reads CD-R, CD-RW, DVD-ROM, DVD-R
        b[4] = 0x70;                  // multi-session, mode 2 forms 1 and 2
        b[5] = 0x03;                  // CD-DA commands, accurate
        b[6] = 0x29 | d->locked << 1; // tray, eject, lock
        stbe16(b + 8, 8800);          // kB/s: 50 x
        stbe16(b + 12, 512);          // kB of buffer
        stbe16(b + 14, 8800);
    }
    return n;
}
static void mode_sense(struct ide_drive *d, const u8 *p)
{
    static const u8 pages[] = {0x01, 0x0e, 0x2a};
    u8 *b = d->buf, page = p[2] & 0x3f, control = p[2] >> 6;
    u32 n = 8;
    if (control == 3) {
        sense(d, ILLEGAL, 0x39, 0); // saved values
        return;
    }
    memset(b, 0, 8);
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (page == 0x3f || page == pages[i]) n += mode_page(d, b + n, pages[i], control == 1);
    if (n == 8) {
        bad_field(d);
        return;
    }
    stbe16(b, n - 2);
    b[2] = d->tray_open ? 0x71 : d->disk ? 0x01 : 0x70; // door open, 120 mm data disc, no disc
    reply(d, n, ldbe16(p + 7));
}
static const struct feature {
    u16 code;
    u8 flags, len; // version << 2 | persistent << 1 | current
    u8 data[8];
} features[] = {
    {0x0000, 0x03, 8, {0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0}}, // profiles: DVD-ROM, CD-ROM; bit 0 of byte 2: current
    {0x0001, 0x0b, 8, {0, 0, 0, 2, 1}},                      // core: ATAPI
    {0x0002, 0x07, 4, {2}},                                  // morphing: operational change events
    {0x0003, 0x03, 4, {0x29}},                               // removable medium: tray, eject, lock
    {0x0010, 0x00, 8, {0, 0, 8, 0, 0, 1, 0, 0}},             // random readable: 2048 bytes, one a block
    {0x001e, 0x08, 4, {0}},                                  // CD read
    {0x001f, 0x08, 4, {0}},                                  // DVD read
};
static void get_configuration(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf, rt = p[1] & 3;
    u16 from = ldbe16(p + 2), now = profile(d);
    u32 n = 8;
    if (rt == 3) {
        bad_field(d);
        return;
    }
    memset(b, 0, 8);
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature *f = &features[i];
        bool on = (f->flags & 1) || (f->code == 0x10 && now) || (f->code == 0x1e && now == PROFILE_CD) ||
                  (f->code == 0x1f && now == PROFILE_DVD);
        if (rt == 2 ? f->code != from : f->code < from || (rt == 1 && !on)) continue;
        u8 *e = b + n;
        stbe16(e, f->code);
        e[2] = f->flags | on;
        e[3] = f->len;
        memcpy(e + 4, f->data, f->len);
        if (!f->code) e[4 + 2] = now == PROFILE_DVD, e[8 + 2] = now == PROFILE_CD;
        n += 4 + f->len;
    }
    stbe32(b, n - 4);
    stbe16(b + 6, now);
    reply(d, n, ldbe16(p + 7));
}
static void get_event(struct ide_drive *d, const u8 *p)
{
    u8 *b = d->buf;
    if (!(p[1] & 1)) { // only polled
        bad_field(d);
        return;
    }
    memset(b, 0, 8);
    b[3] = 0x10; // media events
    if (!(p[4] & 0x10)) {
        b[1] = 2;
        b[2] = 0x80; // no event available
        reply(d, 4, ldbe16(p + 7));
        return;
    }
    b[1] = 6;
    b[2] = 4;
    b[4] = d->media_event;
    b[5] = (d->disk && !d->tray_open) << 1 | d->tray_open;
    if (ldbe16(p + 7) > 4) d->media_event = EVENT_NONE;
    reply(d, 8, ldbe16(p + 7));
}

// ---- tray

static void start_stop(struct ide_drive *d, const u8 *p)
{
    bool load = p[4] & 1, move = p[4] & 2;
    if ((p[4] & 0xf0) || !move) { // power conditions; spinning up and down
        atapi_finish(d);
        return;
    }
    if (!load && d->locked && !d->tray_open) {
        sense(d, ILLEGAL, 0x53, 2);
        return;
    }
    if (d->tray_open && load && d->disk) d->media_event = EVENT_NEW, d->ua_asc = 0x28;
    if (!d->tray_open && !load) d->media_event = EVENT_REMOVAL;
    d->tray_open = !load;
    atapi_finish(d);
}
static void prevent_allow(struct ide_drive *d, const u8 *p)
{
    d->locked = p[4] & 1;
    atapi_finish(d);
}

enum { MEDIUM = 1, QUIET = 2 }; // needs a medium; is not held up by a unit attention
static const struct cdb {
    u8 op;
    void (*fn)(struct ide_drive *, const u8 *);
    u8 how;
} cdbs[] = {
    {0x00, no_data, MEDIUM}, // TEST UNIT READY
    {0x01, no_data, MEDIUM}, // REZERO UNIT
    {0x03, request_sense, QUIET},
    {0x12, inquiry, QUIET},
    {0x1b, start_stop, 0},
    {0x1e, prevent_allow, 0},
    {0x25, read_capacity, MEDIUM},
    {0x28, read_10, MEDIUM},
    {0x2b, seek, MEDIUM},
    {0x2f, verify, MEDIUM},
    {0x35, no_data, 0}, // SYNCHRONIZE CACHE
    {0x42, read_subchannel, MEDIUM},
    {0x43, read_toc, MEDIUM},
    {0x46, get_configuration, QUIET},
    {0x4a, get_event, QUIET},
    {0x4e, no_data, MEDIUM}, // STOP PLAY/SCAN
    {0x51, read_disc_info, MEDIUM},
    {0x52, read_track_info, MEDIUM},
    {0x5a, mode_sense, 0},
    {0xa7, no_data, 0}, // SET READ AHEAD
    {0xa8, read_12, MEDIUM},
    {0xad, dvd_structure, MEDIUM},
    {0xb9, read_cd_msf, MEDIUM},
    {0xbb, no_data, 0}, // SET CD SPEED
    {0xbd, mechanism_status, 0},
    {0xbe, read_cd, MEDIUM},
};
void atapi_exec(struct ide_drive *d)
{
    const u8 *p = d->packet;
    d->left = 0;
    if (p[0] != 0x03) d->sense = d->asc = d->ascq = 0;
    for (size_t i = 0; i < ARRAY_LEN(cdbs); i++) {
        const struct cdb *c = &cdbs[i];
        if (c->op != p[0]) continue;
        if (d->ua_asc && !(c->how & QUIET)) {
            u8 asc = d->ua_asc;
            d->ua_asc = 0;
            sense(d, ATTENTION, asc, 0);
        } else if ((c->how & MEDIUM) && !present(d)) {
            sense(d, NOT_READY, 0x3a, d->tray_open ? 2 : 1);
        } else {
            c->fn(d, p);
        }
        return;
    }
    sense(d, ILLEGAL, 0x20, 0);
}

void atapi_reset(struct ide_drive *d, bool hard)
{
    d->block = 1;
    d->limit = d->sector = 2048;
    d->cd_fields = 0x10;
    d->cur_heads = d->cur_secs = 1; // unused
    if (!hard) return;
    d->sense = d->asc = d->ascq = 0;
    d->ua_asc = 0x29; // power on, reset
    d->locked = false;
    d->media_event = EVENT_NONE;
    d->pio = 4;
    d->mdma = 0;
    d->udma = 6;
    d->wcache = d->lookahead = d->smart = false;
}
