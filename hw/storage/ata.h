// SPDX-License-Identifier: MIT
// What the IDE channel, the ATA disk and the ATAPI CD-ROM share. See channel.c for the protocol between them.
#pragma once
#include "hw/storage/ide.h"

enum { ST_ERR = 0x01, ST_DRQ = 0x08, ST_DSC = 0x10, ST_DF = 0x20, ST_DRDY = 0x40, ST_BSY = 0x80 };
enum { ER_ABRT = 0x04, ER_IDNF = 0x10, ER_UNC = 0x40 };
enum { CTL_NIEN = 0x02, CTL_SRST = 0x04, CTL_HOB = 0x80 };
enum { IR_COD = 1, IR_IO = 2 }; // interrupt reason, in the sector count register of packet devices
enum { DEV_LBA = 0x40, DEV_SLAVE = 0x10 };

#define IDE_BUF  65536
#define MULT_MAX 16 // sectors a block in READ/WRITE MULTIPLE

// What moves between drive and host. *_BUF: only what is in the buffer.
enum ide_xfer { X_NONE, X_IN_DISK, X_OUT_DISK, X_IN_CD, X_IN_BUF, X_OUT_BUF, X_OUT_PACKET, X_COUNT };
// What the channel's timer does when it fires.
enum ide_pending { P_NONE, P_COMMAND, P_BLOCK, P_DMA, P_RESET, P_COUNT };

struct ide_drive {
    struct ide_channel *ch;
    enum ide_kind kind;
    struct disk *disk;
    char serial[21], model[41];
    u8 index; // 0 master, 1 slave

    // Task file. [0]: latest, [1]: the value before (48-bit commands).
    u8 feature[2], nsect[2], lbal[2], lbam[2], lbah[2], dev, status, error, command;
    bool intrq; // asks for the interrupt
    // Modes
    u8 mult;            // sectors of a MULTIPLE block, 0 = disabled
    u8 udma, mdma, pio; // selected mode + 1 (0 = none); pio: mode
    bool wcache, lookahead, smart, asleep;
    u8 power; // as CHECK POWER MODE tells: FFh active, 80h idle, 00h standby
    u16 cyls; // default translation
    u8 heads, secs;
    u8 cur_heads, cur_secs; // INITIALIZE DEVICE PARAMETERS
    // The transfer under way
    u8 xfer; // enum ide_xfer
    bool dma, ext;
    u64 lba;      // of the next sector to fetch or store
    u32 left;     // sectors not fetched or stored yet
    u8 block;     // sectors of a DRQ block, or of a piece by DMA
    u32 pos, len; // of buf: next byte, valid bytes (in) or expected bytes (out)
    u32 drq_end;  // packet PIO: where in buf this DRQ block ends
    // Packet device
    u8 packet[12];
    u16 limit;    // byte count limit
    u16 sector;   // bytes a sector as sent: 2048, 2352 or what READ CD selects
    u8 cd_fields; // READ CD's byte 9
    u8 sense, asc, ascq;
    u8 ua_asc; // pending unit attention, 0 = none
    bool tray_open, locked;
    u8 media_event; // for GET EVENT STATUS: 0 none, 1 eject request, 2 new, 3 removal
    u8 buf[IDE_BUF];
};
struct ide_channel {
    struct ide *ide;
    struct bus *bus;
    struct irq irq;
    struct ide_drive drive[2];
    struct timer timer;
    u8 sel, ctl, pending;
    bool line; // INTRQ as driven
    // Bus master
    u8 bm_cmd, bm_status;
    u32 bm_table;           // BMIDTP
    u32 prd_at;             // next descriptor
    u32 prd_base, prd_left; // current region
    bool prd_last;
    struct region *cmd_ports, *ctl_port;
};
enum { BM_START = 1, BM_TO_MEMORY = 8, BM_ACTIVE = 1, BM_ERROR = 2, BM_INT = 4 };

// channel.c
extern const struct io_ops ide_cmd_ops, ide_ctl_ops, ide_bm_ops; // owner: struct ide_channel; for bm: struct ide
void channel_init(struct ide_channel *c, struct ide *ide, struct bus *b, const struct irq *irq);
void channel_reset(struct ide_channel *c); // power-on or PCI reset
void channel_state(struct state *s, struct ide_channel *c);
u8 bm_read(struct ide_channel *c, unsigned reg);
void bm_write(struct ide_channel *c, unsigned reg, u8 v);
void drive_done(struct ide_drive *d);                          // command ended well: status and interrupt
void drive_fail(struct ide_drive *d, u8 error);                // … with ERR and this error register
void drive_start(struct ide_drive *d, enum ide_xfer x, u32 n); // data phase; n: bytes in buf or expected there
void drive_signature(struct ide_drive *d);
void drive_intrq(struct ide_drive *d);
void channel_delay(struct ide_channel *c, enum ide_pending what, u64 ns);
bool ide_dma(struct ide *ide, u64 pa, void *p, u32 n, bool to_memory) MUST_CHECK; // piix3_ide.c

// ata.c
void ata_init(struct ide_drive *d);
void ata_reset(struct ide_drive *d, bool hard);
void ata_exec(struct ide_drive *d);
// Moves one block between medium and buffer. False: the command was ended with an error.
bool ata_fetch(struct ide_drive *d) MUST_CHECK;
bool ata_store(struct ide_drive *d) MUST_CHECK; // all of buf, [0, len)
void ata_out_done(struct ide_drive *d);         // X_OUT_BUF has arrived
void ata_string(u8 *to, const char *s, unsigned n);
// atapi.c
void atapi_exec(struct ide_drive *d); // packet[] has arrived
void atapi_identify(struct ide_drive *d);
void atapi_reset(struct ide_drive *d, bool hard);
bool atapi_fetch(struct ide_drive *d) MUST_CHECK;
void atapi_finish(struct ide_drive *d); // packet command ended well
