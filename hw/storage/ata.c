// SPDX-License-Identifier: MIT
// ATA commands: the hard disk, and those that a packet device shares. ATA/ATAPI-6 (T13/1410D) clause 8; READ NATIVE MAX
// and INITIALIZE DEVICE PARAMETERS also from ATA-5; DATA SET MANAGEMENT from ACS-2. Left out: host protected area (SET
// MAX), security, queued and streaming commands, power-up in standby: not in IDENTIFY, aborted. The power modes answer
// as they should but save nothing.
#include <errno.h>
#include "hw/storage/ata.h"
#include "mem/base/bits.h"

static u64 sectors(const struct ide_drive *d) { return d->disk->size / 512; }

void ata_string(u8 *to, const char *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) to[i ^ 1] = *s ? *s++ : ' '; // two characters a word, the first in the high byte
}

// ---- addresses

static bool is_lba(const struct ide_drive *d) { return d->dev & DEV_LBA; }

// The address in the task file; false if a CHS address does not exist.
static bool get_lba(const struct ide_drive *d, u64 *lba)
{
    u32 low = d->lbal[0] | d->lbam[0] << 8 | d->lbah[0] << 16;
    if (d->ext) {
        *lba = low | (u64)d->lbal[1] << 24 | (u64)d->lbam[1] << 32 | (u64)d->lbah[1] << 40;
    } else if (is_lba(d)) {
        *lba = low | (u32)(d->dev & 15) << 24;
    } else {
        u32 cyl = low >> 8, head = d->dev & 15, sec = low & 0xff;
        *lba = ((u64)cyl * d->cur_heads + head) * d->cur_secs + sec - 1;
        return sec && sec <= d->cur_secs && head < d->cur_heads;
    }
    return true;
}
static void put_lba(struct ide_drive *d, u64 lba)
{
    if (!d->ext && !is_lba(d)) {
        u32 track = lba / d->cur_secs, cyl = track / d->cur_heads;
        d->lbal[0] = lba % d->cur_secs + 1;
        d->lbam[0] = cyl;
        d->lbah[0] = cyl >> 8;
        d->dev = (d->dev & 0xf0) | track % d->cur_heads;
        return;
    }
    d->lbal[0] = lba, d->lbam[0] = lba >> 8, d->lbah[0] = lba >> 16;
    if (d->ext)
        d->lbal[1] = lba >> 24, d->lbam[1] = lba >> 32, d->lbah[1] = lba >> 40;
    else
        d->dev = (d->dev & 0xf0) | (lba >> 24 & 15);
}
// Address and count of the command, checked. False: ended with IDNF.
static bool get_range(struct ide_drive *d)
{
    u32 n = d->ext ? d->nsect[0] | d->nsect[1] << 8 : d->nsect[0];
    if (!n) n = d->ext ? 65536 : 256;
    if (!get_lba(d, &d->lba) || !range_ok(d->lba, n, sectors(d))) {
        drive_fail(d, ER_IDNF);
        return false;
    }
    d->left = n;
    return true;
}
// Host error while the drive worked on `lba`: reads are uncorrectable, writes are a device fault.
static void medium_error(struct ide_drive *d, u64 lba, int why, bool write)
{
    log_guest(&d->ch->bus->log, "ide", "%s sector %llu of %s: %s", write ? "write" : "read", (unsigned long long)lba,
              d->disk->file ? d->disk->file : "image", err_errno(why));
    put_lba(d, lba);
    drive_fail(d, write ? ER_ABRT : ER_UNC);
    if (write && why != EROFS) d->status |= ST_DF;
}
static void put_result(struct ide_drive *d)
{
    put_lba(d, d->lba - 1); // the last sector that was moved
    d->nsect[0] = d->left;
    if (d->ext) d->nsect[1] = d->left >> 8;
}

// ---- data

bool ata_fetch(struct ide_drive *d)
{
    u32 n = min_u64(d->left, d->block);
    int why = disk_read(d->disk, d->lba * 512, d->buf, n * 512);
    for (u32 i = 0; why && i < n; i++) { // which sector it is
        int one = disk_read(d->disk, (d->lba + i) * 512, d->buf, 512);
        if (!one) continue;
        medium_error(d, d->lba + i, one, false);
        return false;
    }
    if (why && disk_read(d->disk, d->lba * 512, d->buf, n * 512)) { // each alone could be read, all together cannot
        medium_error(d, d->lba, why, false);
        return false;
    }
    d->lba += n, d->left -= n;
    d->pos = 0, d->len = n * 512;
    put_result(d);
    return true;
}
static bool flush(struct ide_drive *d)
{
    int why = disk_flush(d->disk);
    if (why) medium_error(d, d->lba, why, true);
    return !why;
}
bool ata_store(struct ide_drive *d)
{
    u32 n = d->len / 512;
    int why = disk_write(d->disk, d->lba * 512, d->buf, n * 512);
    if (why) {
        u32 i = 0; // the address of the first sector that is not on the disk
        while (i + 1 < n && !disk_write(d->disk, (d->lba + i) * 512, d->buf + 512 * i, 512)) i++;
        medium_error(d, d->lba + i, why, true);
        return false;
    }
    d->lba += n, d->left -= n;
    put_result(d);
    bool fua = d->command == 0x3d || d->command == 0xce;
    return d->left || (d->wcache && !fua) || flush(d);
}
// DATA SET MANAGEMENT, TRIM: entries of 48 bits address, 16 bits count.
static void trim(struct ide_drive *d)
{
    for (u32 i = 0; i < d->len; i += 8) {
        u64 e = ld64(d->buf + i), lba = e & 0xffffffffffff, n = e >> 48;
        if (!n) continue;
        if (!range_ok(lba, n, sectors(d))) {
            drive_fail(d, ER_IDNF);
            return;
        }
        int why = disk_discard(d->disk, lba * 512, n * 512);
        if (why) {
            medium_error(d, lba, why, true);
            return;
        }
    }
    drive_done(d);
}
void ata_out_done(struct ide_drive *d)
{
    if (d->command == 0x06)
        trim(d);
    else
        drive_done(d); // WRITE BUFFER: stays in buf for READ BUFFER
}

enum { C_READ = 1, C_WRITE = 2, C_EXT = 4, C_MULT = 8, C_DMA = 16, C_CD = 32 };

static void c_rw(struct ide_drive *d, u8 how)
{
    bool write = how & C_WRITE;
    if (((how & C_MULT) && !d->mult) || (write && d->disk->readonly)) {
        drive_fail(d, ER_ABRT);
        return;
    }
    if (!get_range(d)) return;
    d->dma = how & C_DMA;
    d->block = d->dma ? IDE_BUF / 512 : how & C_MULT ? d->mult : 1;
    if (write)
        drive_start(d, X_OUT_DISK, 512 * min_u64(d->left, d->block));
    else
        drive_start(d, X_IN_DISK, 0);
}
static void c_verify(struct ide_drive *d, u8 how)
{
    if (!get_range(d)) return;
    d->block = IDE_BUF / 512;
    while (d->left)
        if (!ata_fetch(d)) return;
    drive_done(d);
}
static void c_seek(struct ide_drive *d, u8 how)
{
    if (get_lba(d, &d->lba) && d->lba < sectors(d))
        drive_done(d);
    else
        drive_fail(d, ER_IDNF);
}
static void c_done(struct ide_drive *d, u8 how) { drive_done(d); }
static void c_flush(struct ide_drive *d, u8 how)
{
    get_lba(d, &d->lba);
    if (flush(d)) drive_done(d);
}
static void c_buffer(struct ide_drive *d, u8 how)
{
    if (d->len < 512) memset(d->buf, 0, 512);
    drive_start(d, how & C_WRITE ? X_OUT_BUF : X_IN_BUF, 512);
}
static void c_trim(struct ide_drive *d, u8 how)
{
    u32 n = d->nsect[0] | d->nsect[1] << 8;
    if (d->feature[0] != 1 || !n || n > IDE_BUF / 512 || d->disk->readonly) {
        drive_fail(d, ER_ABRT);
        return;
    }
    d->dma = true;
    drive_start(d, X_OUT_BUF, n * 512);
}
static void c_native_max(struct ide_drive *d, u8 how)
{
    if (!d->ext && !is_lba(d)) {
        drive_fail(d, ER_ABRT);
        return;
    }
    put_lba(d, min_u64(sectors(d) - 1, d->ext ? ~(u64)0 : 0x0fffffff));
    drive_done(d);
}

// ---- settings

static void c_init_params(struct ide_drive *d, u8 how)
{
    if (!d->nsect[0] || d->nsect[0] > 63) {
        drive_fail(d, ER_ABRT);
        return;
    }
    d->cur_secs = d->nsect[0];
    d->cur_heads = (d->dev & 15) + 1;
    drive_done(d);
}
static void c_set_mult(struct ide_drive *d, u8 how)
{
    u8 n = d->nsect[0];
    if (n > MULT_MAX || (n && !is_pow2(n))) {
        drive_fail(d, ER_ABRT);
        return;
    }
    d->mult = n;
    drive_done(d);
}
static bool set_transfer_mode(struct ide_drive *d, u8 v)
{
    switch (v >> 3) {
    case 0: d->pio = 0; return v < 2;
    case 1: d->pio = v & 7; return d->pio <= 4;
    case 4: d->mdma = (v & 7) + 1, d->udma = 0; return (v & 7) <= 2;
    case 8: d->udma = (v & 7) + 1, d->mdma = 0; return (v & 7) <= 5;
    default: return false;
    }
}
static void c_set_features(struct ide_drive *d, u8 how)
{
    u8 pio = d->pio, mdma = d->mdma, udma = d->udma;
    bool disk = d->kind == IDE_DISK, ok = true;
    switch (d->feature[0]) {
    case 0x02: ok = disk, d->wcache = true; break;
    case 0x82: ok = disk, d->wcache = false; break;
    case 0xaa: ok = disk, d->lookahead = true; break;
    case 0x55: ok = disk, d->lookahead = false; break;
    case 0x03:
        ok = set_transfer_mode(d, d->nsect[0]);
        if (!ok) d->pio = pio, d->mdma = mdma, d->udma = udma;
        break;
    case 0x05: // advanced power management, acoustic management: taken, nothing to manage
    case 0x85:
    case 0x42:
    case 0xc2: ok = disk; break;
    case 0x66: // keep or lose settings at a soft reset: kept anyway
    case 0xcc: break;
    default: ok = false;
    }
    if (disk && ok && d->feature[0] == 0x82 && !flush(d)) return;
    ok ? drive_done(d) : drive_fail(d, ER_ABRT);
}
static void c_power(struct ide_drive *d, u8 how)
{
    switch (d->command) {
    case 0xe5:
    case 0x98: d->nsect[0] = d->power; break;
    case 0xe0:
    case 0x94:
    case 0xe2:
    case 0x96: d->power = 0x00; break;
    case 0xe6:
    case 0x99: d->power = 0x00, d->asleep = true; break;
    default: d->power = 0x80;
    }
    drive_done(d);
}

// ---- identification

static void put_w(u8 *p, unsigned word, u16 v) { st16(p + 2 * word, v); }
// What disk and packet device tell in the same words.
static void identify_common(struct ide_drive *d, u8 *p)
{
    put_w(p, 50, 0x4000);
    put_w(p, 53, 0x0007);
    put_w(p, 63, 0x0007 | (d->mdma ? 0x100 << (d->mdma - 1) : 0));
    put_w(p, 64, 0x0003); // PIO 3 and 4
    for (int w = 65; w <= 68; w++) put_w(p, w, 120);
    put_w(p, 80, 0x00f0); // ATA/ATAPI-4 to -7
    put_w(p, 81, 0x0016);
    put_w(p, 88, 0x003f | (d->udma ? 0x100 << (d->udma - 1) : 0));
    put_w(p, 93, d->index ? 0x4b00 : 0x600b); // 80-wire cable; device 1 detected PDIAG-
    ata_string(p + 20, d->serial, 20);
    ata_string(p + 46, "1.0", 8);
    ata_string(p + 54, d->model, 40);
}
static void checksum(u8 *p)
{
    u8 sum = 0;
    for (int i = 0; i < 511; i++) sum += p[i];
    p[511] = -sum;
}
static void c_identify(struct ide_drive *d, u8 how)
{
    u8 *p = d->buf;
    u64 n = sectors(d), chs = (u64)d->cyls * d->heads * d->secs;
    u64 cur_cyls = min_u64(min_u64(n, chs) / (d->cur_heads * d->cur_secs), 65535);
    u32 cur = cur_cyls * d->cur_heads * d->cur_secs, n28 = min_u64(n, 0x0fffffff);
    memset(p, 0, 512);
    put_w(p, 0, 0x0040);
    put_w(p, 1, d->cyls);
    put_w(p, 3, d->heads);
    put_w(p, 4, d->secs * 512);
    put_w(p, 5, 512);
    put_w(p, 6, d->secs);
    identify_common(d, p);
    put_w(p, 20, 3);
    put_w(p, 21, 512); // buffer, in sectors
    put_w(p, 22, 4);
    put_w(p, 47, 0x8000 | MULT_MAX);
    put_w(p, 48, 1);      // 32-bit data port
    put_w(p, 49, 0x0f00); // LBA, DMA, IORDY
    put_w(p, 51, 0x200), put_w(p, 52, 0x200);
    put_w(p, 54, cur_cyls);
    put_w(p, 55, d->cur_heads);
    put_w(p, 56, d->cur_secs);
    st32(p + 2 * 57, cur);
    put_w(p, 59, d->mult ? 0x100 | d->mult : 0);
    st32(p + 2 * 60, n28);
    put_w(p, 82, 0x7069); // NOP, READ/WRITE BUFFER, look-ahead, write cache, power management, SMART
    put_w(p, 83, 0x7400); // FLUSH CACHE (EXT), 48-bit
    put_w(p, 84, 0x4040); // FUA
    put_w(p, 85, 0x7008 | d->lookahead << 6 | d->wcache << 5 | d->smart);
    put_w(p, 86, 0x3400);
    put_w(p, 87, 0x4040);
    st64(p + 2 * 100, n);
    put_w(p, 105, 8); // blocks of TRIM entries
    put_w(p, 169, 1); // TRIM
    put_w(p, 217, 1); // not rotating
    put_w(p, 255, 0x00a5);
    checksum(p);
    d->len = 512;
    drive_start(d, X_IN_BUF, 512);
}
void atapi_identify(struct ide_drive *d)
{
    u8 *p = d->buf;
    memset(p, 0, 512);
    put_w(p, 0, 0x8580); // packet device, CD-ROM, removable, DRQ within 3 ms, 12-byte packets
    identify_common(d, p);
    put_w(p, 20, 3);
    put_w(p, 21, 512);
    put_w(p, 22, 4);
    put_w(p, 48, 1);
    put_w(p, 49, 0x0b00); // IORDY, DMA, LBA
    put_w(p, 50, 0);
    put_w(p, 71, 30), put_w(p, 72, 30); // ns to release the bus: nominal
    put_w(p, 82, 0x4218);               // NOP, DEVICE RESET, PACKET, power management
    put_w(p, 83, 0x4000);
    put_w(p, 84, 0x4000);
    put_w(p, 85, 0x4218);
    put_w(p, 87, 0x4000);
    put_w(p, 255, 0x00a5);
    checksum(p);
    drive_start(d, X_IN_BUF, 512);
}

// ---- SMART: a healthy disk

static const u8 attributes[][12] = {
    // id, flags (2), value, worst, raw (6), threshold
    {0x01, 0x03, 0, 100, 100, 0, 0, 0, 0, 0, 0, 6},    {0x03, 0x03, 0, 100, 100, 16, 0, 0, 0, 0, 0, 0},
    {0x04, 0x02, 0, 100, 100, 100, 0, 0, 0, 0, 0, 20}, {0x05, 0x03, 0, 100, 100, 0, 0, 0, 0, 0, 0, 36},
    {0x09, 0x03, 0, 100, 100, 1, 0, 0, 0, 0, 0, 0},    {0x0c, 0x03, 0, 100, 100, 0, 0, 0, 0, 0, 0, 0},
    {0xbe, 0x03, 0, 69, 69, 31, 0, 31, 31, 0, 0, 50},
};
static void smart_data(struct ide_drive *d, bool thresholds)
{
    u8 *p = d->buf;
    memset(p, 0, 512);
    p[0] = 1;
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        u8 *e = p + 2 + 12 * i;
        if (thresholds)
            e[0] = attributes[i][0], e[1] = attributes[i][11];
        else
            memcpy(e, attributes[i], 11);
    }
    if (!thresholds) {
        p[362] = 0x02; // offline collection finished
        p[364] = 114, p[365] = 0x00, p[366] = 0x01;
        p[367] = 0x1b; // offline immediate, self-tests
        p[368] = 0x03, p[370] = 0x01;
        p[372] = 2, p[373] = 54;
    }
    checksum(p);
    drive_start(d, X_IN_BUF, 512);
}
static void smart_log(struct ide_drive *d)
{
    u8 *p = d->buf;
    memset(p, 0, 512);
    p[0] = 1;
    switch (d->lbal[0]) {
    case 0: p[2] = 1, p[12] = 1; break; // directory: logs 1 and 6, a sector each
    case 1: checksum(p); break;         // errors: none
    case 6: checksum(p); break;         // self-tests: none
    default: drive_fail(d, ER_ABRT); return;
    }
    drive_start(d, X_IN_BUF, 512);
}
static void c_smart(struct ide_drive *d, u8 how)
{
    if (d->lbam[0] != 0x4f || d->lbah[0] != 0xc2 || (!d->smart && d->feature[0] != 0xd8)) {
        drive_fail(d, ER_ABRT);
        return;
    }
    switch (d->feature[0]) {
    case 0xd0: smart_data(d, false); return;
    case 0xd1: smart_data(d, true); return;
    case 0xd2: // autosave on, off; save; off-line test: nothing is collected
    case 0xd3:
    case 0xd4: break;
    case 0xd5: smart_log(d); return;
    case 0xd8: d->smart = true; break;
    case 0xd9: d->smart = false; break;
    case 0xda: break; // status: the key unchanged means no threshold exceeded
    default: drive_fail(d, ER_ABRT); return;
    }
    drive_done(d);
}

// ---- packet device's own

static void c_packet(struct ide_drive *d, u8 how)
{
    u16 limit = (d->lbam[0] | d->lbah[0] << 8) & ~1u;
    d->limit = limit ? limit : 0xfffe;
    bool dma = d->feature[0] & 1;
    drive_start(d, X_OUT_PACKET, 12);
    d->dma = dma; // for the data; the packet itself comes through the data port
}
static void c_identify_packet(struct ide_drive *d, u8 how) { atapi_identify(d); }

static const struct ata_command {
    u8 first, last;
    void (*fn)(struct ide_drive *, u8 how);
    u8 how; // C_CD: packet devices have it too, or alone (a0, a1)
} commands[] = {
    {0x06, 0x06, c_trim, C_EXT},
    {0x10, 0x1f, c_done, 0}, // RECALIBRATE
    {0x20, 0x21, c_rw, C_READ},
    {0x24, 0x24, c_rw, C_READ | C_EXT},
    {0x25, 0x25, c_rw, C_READ | C_EXT | C_DMA},
    {0x27, 0x27, c_native_max, C_EXT},
    {0x29, 0x29, c_rw, C_READ | C_EXT | C_MULT},
    {0x30, 0x31, c_rw, C_WRITE},
    {0x34, 0x34, c_rw, C_WRITE | C_EXT},
    {0x35, 0x35, c_rw, C_WRITE | C_EXT | C_DMA},
    {0x39, 0x39, c_rw, C_WRITE | C_EXT | C_MULT},
    {0x3d, 0x3d, c_rw, C_WRITE | C_EXT | C_DMA}, // FUA
    {0x40, 0x41, c_verify, 0},
    {0x42, 0x42, c_verify, C_EXT},
    {0x70, 0x7f, c_seek, 0},
    {0x91, 0x91, c_init_params, 0},
    {0x94, 0x99, c_power, C_CD},
    {0xa0, 0xa0, c_packet, C_CD},
    {0xa1, 0xa1, c_identify_packet, C_CD},
    {0xb0, 0xb0, c_smart, 0},
    {0xc4, 0xc4, c_rw, C_READ | C_MULT},
    {0xc5, 0xc5, c_rw, C_WRITE | C_MULT},
    {0xc6, 0xc6, c_set_mult, 0},
    {0xc8, 0xc9, c_rw, C_READ | C_DMA},
    {0xca, 0xcb, c_rw, C_WRITE | C_DMA},
    {0xce, 0xce, c_rw, C_WRITE | C_EXT | C_MULT}, // FUA
    {0xe0, 0xe3, c_power, C_CD},
    {0xe4, 0xe4, c_buffer, C_READ},
    {0xe5, 0xe6, c_power, C_CD},
    {0xe7, 0xe7, c_flush, 0},
    {0xe8, 0xe8, c_buffer, C_WRITE},
    {0xea, 0xea, c_flush, C_EXT},
    {0xec, 0xec, c_identify, 0},
    {0xef, 0xef, c_set_features, C_CD},
    {0xf8, 0xf8, c_native_max, 0},
};
void ata_exec(struct ide_drive *d)
{
    bool cd = d->kind == IDE_CD;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct ata_command *c = &commands[i];
        if (d->command < c->first || d->command > c->last) continue;
        if (cd != !!(c->how & C_CD) && (cd || c->first == 0xa0 || c->first == 0xa1)) break;
        d->ext = c->how & C_EXT;
        c->fn(d, c->how);
        return;
    }
    // A packet device that is asked for a disk's data or identity shows what it is.
    if (cd && (d->command == 0xec || d->command == 0x20 || d->command == 0x21)) drive_signature(d);
    drive_fail(d, ER_ABRT);
}

// ---- life

void ata_init(struct ide_drive *d)
{
    u64 n = sectors(d), cyls = n / (16 * 63);
    d->heads = 16;
    d->secs = 63;
    d->cyls = cyls > 16383 ? 16383 : cyls < 2 ? 2 : cyls;
}
void ata_reset(struct ide_drive *d, bool hard)
{
    d->block = 1;
    d->limit = d->sector = 2048;
    if (!hard) return;
    d->mult = MULT_MAX;
    d->pio = 4;
    d->mdma = 0;
    d->udma = 6; // mode 5
    d->wcache = d->lookahead = d->smart = true;
    d->cur_heads = d->heads;
    d->cur_secs = d->secs;
}
