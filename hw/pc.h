// SPDX-License-Identifier: MIT
// The machine `pc`: i440FX + PIIX3, as SeaBIOS, Linux, Xen and older systems know it. pc_new() reads like its
// schematic.
#pragma once
#include "hw/disk/disk.h"
#include "hw/input/input.h"
#include "hw/machine.h"
#include "hw/port/chardev.h"
#include "hw/storage/ide.h"
#include "hw/video/screen.h"

struct cpu_model;
struct cpu_engine;
struct fw_cfg;
struct pci_bus;
struct i8259;
struct i8254;
struct i8237;
struct mc146818;
struct port92;
struct port61;
struct lapics;
struct ioapic;
struct hpet;
struct vga;
struct i82077;
struct piix4_pm;

// What a PC is made from. Strings and images stay the caller's until pc_new() succeeds; then images belong to the
// machine.
struct pc;
struct pc_config {
    u64 ram; // bytes
    unsigned cpus;
    struct cpu_model *model;
    const struct cpu_engine *engine;
    struct machine_time time;
    const char *bios, *vgabios; // files
    bool vga;
    u32 vga_mb; // 0: 16
    struct ide_unit ide[4];
    struct disk *floppy[2];
    bool no_floppy; // no drives at all (-nodefaults)
    struct chardev *serial[4], *parallel[3], *debugcon /* port 402h */, *e9;
    i64 rtc_start; // seconds since 1970 in the zone that the guest's clock shows
    const char *kernel, *initrd, *append;
    const char *boot_order; // "cdn": letters as QEMU's -boot order; NULL: "cad"
    bool boot_menu;
    int boot_wait_ms; // splash-time; < 0: firmware's default
    bool graphic;
    u64 seed; // of RDRAND
    // Devices beyond those above, added before the firmware's tables are made; NULL: none.
    bool (*add_devices)(struct pc *p, void *owner, struct err *e);
    void *add_owner;
};
struct pc {
    struct machine m; // first
    struct ram *ram, *rom;
    struct pci_bus *pci;
    struct fw_cfg *fw;
    struct i8259 *pic;
    struct i8254 *pit;
    struct i8237 *dma;
    struct mc146818 *rtc;
    struct port92 *port92;
    struct port61 *port61;
    struct lapics *lapic;
    struct ioapic *ioapic;
    struct hpet *hpet;
    struct ide *ide;
    struct vga *vga;
    struct piix4_pm *pm;
    struct i82077 *fdc;
    struct screen screen; // dev NULL: no display adapter
    struct input input;
    struct cpu_model *model;
    struct irq isa_irq[16]; // ISA interrupt requests for devices: each drives the 8259s and the I/O APIC
    bool a20[2];            // keyboard controller, port 92h
    u64 rng;
    u64 below_4g, above_4g;
};
// NULL with a message.
struct pc *pc_new(const struct pc_config *cfg, struct err *e);
void pc_boot_order(struct pc *p, const char *order); // from the next reset on; NULL: "cad"
void pc_free(struct pc *p);
