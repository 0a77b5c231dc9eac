// SPDX-License-Identifier: MIT
// PIIX3 IDE function at 00:01.1: two channels, ports 1F0h/3F6h and 170h/376h, up to four drives. Unit = 2 * channel +
// slave.
#pragma once
#include "hw/disk/disk.h"
#include "hw/pci/pci.h"

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CD };
struct ide_unit {
    enum ide_kind kind;
    struct disk *disk;          // taken over. A CD drive may have none: empty
    const char *serial, *model; // NULL: defaults; copied
};
struct ide;
struct ide *ide_new(struct pci_bus *p, const struct irq irq[2], const struct ide_unit unit[4]);
// Opens the tray; *out is the medium, to be closed by the caller (NULL: none). False: no CD drive there, or the guest
// locked the tray and was now asked to release it (unless force).
bool ide_cd_eject(struct ide *ide, int unit, bool force, struct disk **out) MUST_CHECK;
bool ide_cd_insert(struct ide *ide, int unit,
                   struct disk *d) MUST_CHECK; // closes the tray; takes d over; false: not empty
const struct disk *ide_disk(const struct ide *ide, int unit, enum ide_kind *kind); // what is there, for people
// Geometry that IDENTIFY tells and the BIOS translates (CMOS 12h, 19h, 39h). False: no hard disk.
bool ide_geometry(const struct ide *ide, int unit, u16 *cyls, u8 *heads, u8 *secs);
