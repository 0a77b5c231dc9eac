// SPDX-License-Identifier: MIT
// Intel 82371SB (PIIX3), function 1: the IDE interface's PCI side and bus master registers, the drives that are
// attached, and media change. Intel 290550-002, sections 2.3 and 2.7. Left out: IDE timings only keep what is written
// (a drive may be set to any Ultra DMA mode although PIIX3 had none).
#include <stdlib.h>
#include "hw/storage/ata.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { IDETIM = 0x40, SIDETIM = 0x44 }; // IDETIM: a word a channel; bit 15 enables its ports

struct ide {
    struct pci_dev pci;
    struct ide_channel ch[2];
};

bool ide_dma(struct ide *ide, u64 pa, void *p, u32 n, bool to_memory)
{
    return to_memory ? pci_dma_write(&ide->pci, pa, p, n) : pci_dma_read(&ide->pci, pa, p, n);
}
static struct ide_drive *unit_drive(const struct ide *ide, int unit)
{
    if (unit < 0 || unit > 3) return NULL;
    return (struct ide_drive *)&ide->ch[unit >> 1].drive[unit & 1];
}

static u64 bm_port_read(void *dev, u64 off, unsigned size)
{
    return bm_read(&((struct ide *)dev)->ch[off >> 3 & 1], off & 7);
}
static void bm_port_write(void *dev, u64 off, u64 v, unsigned size)
{
    bm_write(&((struct ide *)dev)->ch[off >> 3 & 1], off & 7, v);
}
const struct io_ops ide_bm_ops = {.read = bm_port_read, .write = bm_port_write, .sizes = 1};

static void decode_update(struct ide *ide)
{
    struct bus *b = ide->pci.pci->bus;
    for (int i = 0; i < 2; i++) {
        struct ide_channel *c = &ide->ch[i];
        bool on = (ide->pci.cfg[PCI_COMMAND] & PCI_CMD_IO) && (ide->pci.cfg[IDETIM + 1 + 2 * i] & 0x80);
        bus_region_set(b, c->cmd_ports, c->cmd_ports->base, on);
        bus_region_set(b, c->ctl_port, c->ctl_port->base, on);
    }
}
static void config_written(struct pci_dev *d, unsigned reg, unsigned size) { decode_update((struct ide *)d); }

static void reset(void *self)
{
    struct ide *ide = self;
    pci_dev_reset(&ide->pci);
    for (int i = 0; i < 2; i++) channel_reset(&ide->ch[i]);
    decode_update(ide);
}
static void state(struct state *s, void *self)
{
    struct ide *ide = self;
    pci_dev_state(s, &ide->pci);
    for (int i = 0; i < 2; i++) channel_state(s, &ide->ch[i]);
    if (state_loading(s)) decode_update(ide);
}
static void info(void *self, struct buf *out)
{
    struct ide *ide = self;
    for (int u = 0; u < 4; u++) {
        struct ide_drive *d = unit_drive(ide, u);
        if (d->kind == IDE_NONE) continue;
        buf_printf(out, "ide%d-%s%d: ", u >> 1, d->kind == IDE_CD ? "cd" : "hd", u & 1);
        if (d->disk)
            buf_printf(out, "%s (%s%s%s), %llu bytes\n", d->disk->file ? d->disk->file : "?",
                       d->disk->format ? d->disk->format : "?", d->disk->readonly ? ", read-only" : "",
                       d->disk->snapshot ? ", snapshot" : "", (unsigned long long)d->disk->size);
        else
            buf_printf(out, "[not inserted]\n");
        if (d->kind == IDE_CD)
            buf_printf(out, "    Removable device: %slocked, tray %s\n", d->locked ? "" : "not ",
                       d->tray_open ? "open" : "closed");
    }
}
static void ide_free(void *self)
{
    struct ide *ide = self;
    for (int u = 0; u < 4; u++) disk_close(unit_drive(ide, u)->disk);
    free(ide);
}
static const struct part_ops ops = {.reset = reset, .state = state, .info = info, .free = ide_free};

static void attach(struct ide *ide, int u, const struct ide_unit *unit)
{
    struct ide_drive *d = unit_drive(ide, u);
    d->ch = &ide->ch[u >> 1];
    d->index = u & 1;
    d->kind = unit->kind;
    if (d->kind == IDE_NONE) return;
    d->disk = unit->disk;
    if (d->kind == IDE_DISK && !d->disk) panic("ide: hard disk %d without a disk", u);
    if (unit->serial)
        snprintf(d->serial, sizeof d->serial, "%s", unit->serial);
    else
        snprintf(d->serial, sizeof d->serial, "DP%05d", u + 1);
    snprintf(d->model, sizeof d->model, "%s",
             unit->model           ? unit->model
             : d->kind == IDE_DISK ? "DOPPEL HARDDISK"
                                   : "DOPPEL CD/DVD-ROM");
    if (d->kind == IDE_DISK) ata_init(d);
}

struct ide *ide_new(struct pci_bus *p, const struct irq irq[2], const struct ide_unit unit[4])
{
    static const u16 cmd[2] = {0x1f0, 0x170}, ctl[2] = {0x3f6, 0x376};
    struct ide *ide = xalloc(sizeof *ide);
    pci_dev_init(&ide->pci, "ide", 0x8086, 0x7010, 0x010180, 0, 0);
    st16(ide->pci.cfg + PCI_STATUS, 0x0280);
    st16(ide->pci.wmask + PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER);
    ide->pci.wmask[0x0c] = 0;
    ide->pci.wmask[0x0d] = 0xf0;
    for (int r = IDETIM; r <= SIDETIM; r++) ide->pci.wmask[r] = 0xff;
    ide->pci.config_written = config_written;
    pci_bar_io(&ide->pci, p, 4, 16, &ide_bm_ops, ide);
    if (!pci_dev_add(p, &ide->pci, PCI_DEVFN(1, 1))) panic("ide: 00:01.1 is taken");
    for (int i = 0; i < 2; i++) {
        struct ide_channel *c = &ide->ch[i];
        channel_init(c, ide, p->bus, &irq[i]);
        c->cmd_ports = bus_map_port(p->bus, cmd[i], 8, &ide_cmd_ops, c, "ide");
        c->ctl_port = bus_map_port(p->bus, ctl[i], 1, &ide_ctl_ops, c, "ide");
    }
    for (int u = 0; u < 4; u++) attach(ide, u, &unit[u]);
    part_add(&p->bus->parts, "ide", &ops, ide);
    reset(ide);
    return ide;
}

bool ide_cd_eject(struct ide *ide, int unit, bool force, struct disk **out)
{
    struct ide_drive *d = unit_drive(ide, unit);
    *out = NULL;
    if (!d || d->kind != IDE_CD) return false;
    if (d->locked && !d->tray_open && !force) {
        d->media_event = 1; // eject request: the guest unlocks and ejects
        return false;
    }
    if (!d->tray_open) d->media_event = 3;
    d->tray_open = true;
    d->locked = false;
    *out = d->disk;
    d->disk = NULL;
    return true;
}
bool ide_cd_insert(struct ide *ide, int unit, struct disk *disk)
{
    struct ide_drive *d = unit_drive(ide, unit);
    if (!d || d->kind != IDE_CD || d->disk) return false;
    d->disk = disk;
    d->tray_open = false;
    d->media_event = 2;
    d->ua_asc = 0x28; // not ready to ready: the medium may have changed
    return true;
}
const struct disk *ide_disk(const struct ide *ide, int unit, enum ide_kind *kind)
{
    const struct ide_drive *d = unit_drive(ide, unit);
    *kind = d ? d->kind : IDE_NONE;
    return d ? d->disk : NULL;
}
bool ide_geometry(const struct ide *ide, int unit, u16 *cyls, u8 *heads, u8 *secs)
{
    const struct ide_drive *d = unit_drive(ide, unit);
    if (!d || d->kind != IDE_DISK) return false;
    *cyls = d->cyls, *heads = d->heads, *secs = d->secs;
    return true;
}
