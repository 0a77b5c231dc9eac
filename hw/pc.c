// SPDX-License-Identifier: MIT
// The schematic: which chips there are, where they answer, and which wire goes where.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/seg.h"
#include "hw/chip/acpi_tables.h"
#include "hw/chip/fw_cfg.h"
#include "hw/chip/hpet.h"
#include "hw/chip/i8237.h"
#include "hw/chip/i8254.h"
#include "hw/chip/i8259.h"
#include "hw/chip/ioapic.h"
#include "hw/chip/lapic.h"
#include "hw/chip/mc146818.h"
#include "hw/chip/port61.h"
#include "hw/chip/port92.h"
#include "hw/chip/smbios.h"
#include "hw/input/i8042.h"
#include "hw/loader.h"
#include "hw/pc.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/pci.h"
#include "hw/pci/piix3.h"
#include "hw/pci/piix4_pm.h"
#include "hw/port/debugcon.h"
#include "hw/port/parallel.h"
#include "hw/port/uart16550.h"
#include "hw/storage/i82077.h"
#include "hw/video/vga.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

#define LOW_RAM_END 0xc0000000ull // RAM below the PCI hole; the rest continues at 4 GB
#define FOUR_GB     0x100000000ull

// ---- wires

// An ISA interrupt request reaches both controllers; the timer's sits on I/O APIC pin 2 (the 8259s' cascade has none).
static void isa_irq(void *owner, int n, int level)
{
    struct pc *p = owner;
    struct irq a = i8259_line(p->pic, n), b = ioapic_line(p->ioapic, n == 0 ? 2 : n);
    irq_set(&a, level);
    if (n != 2) irq_set(&b, level);
}

static void all_cpus_a20(struct pc *p)
{
    for (unsigned i = 0; i < p->m.ncpus; i++) cpu_set_a20(p->m.cpu[i], p->a20[0] | p->a20[1]);
}
static void a20_line(void *owner, int n, int level)
{
    struct pc *p = owner;
    p->a20[n] = level;
    all_cpus_a20(p);
}
static void fast_reset(void *owner, int n, int level)
{
    struct pc *p = owner;
    if (level) cpu_init_pin(p->m.cpu[0]);
}

// Local APICs to CPUs.
static struct cpu *cpu_of(void *owner, unsigned n) { return ((struct pc *)owner)->m.cpu[n]; }
static void lapic_intr(void *owner, unsigned n, int level) { cpu_set_intr(cpu_of(owner, n), level); }
static void lapic_nmi(void *owner, unsigned n) { cpu_nmi(cpu_of(owner, n)); }
static void lapic_smi(void *owner, unsigned n) {} // no system management mode
static void lapic_init(void *owner, unsigned n) { cpu_init_pin(cpu_of(owner, n)); }
static void lapic_sipi(void *owner, unsigned n, u8 vector) { cpu_sipi(cpu_of(owner, n), vector); }
static u64 lapic_tsc(void *owner, unsigned n) { return sys_tsc(cpu_of(owner, n)); }
static int lapic_pic_ack(void *owner) { return i8259_ack(((struct pc *)owner)->pic); }
static void lapic_eoi(void *owner, u8 vector) { ioapic_eoi(((struct pc *)owner)->ioapic, vector); }

static u64 lapic_tsc_when(void *owner, unsigned n, u64 tsc)
{
    struct pc *p = owner;
    const struct cpu *c = cpu_of(p, n);
    u64 raw = tsc - c->tsc_offset - c->tsc_adjust;
    if (raw > (u64)1 << 62) return (i64)raw < 0 ? 0 : ~(u64)0;
    return muldiv64(raw, NS_PER_SEC, p->model->tsc_hz) + 1;
}

// CPUs to the board.
static int pin_inta(void *owner, unsigned n)
{
    struct pc *p = owner;
    return model_has(p->model, FEAT_APIC) ? lapics_inta(p->lapic, n) : i8259_ack(p->pic);
}
// A CPU without local APIC has the 8259s' INTR on its own pin.
static void pic_to_cpu(void *owner, int n, int level)
{
    struct pc *p = owner;
    if (p->m.ncpus) cpu_set_intr(p->m.cpu[0], level); // the chip's constructor drives the line before there is a CPU
}
static bool pin_rdmsr(void *owner, unsigned n, u32 msr, u64 *v)
{
    return lapics_rdmsr(((struct pc *)owner)->lapic, n, msr, v);
}
static bool pin_wrmsr(void *owner, unsigned n, u32 msr, u64 v)
{
    return lapics_wrmsr(((struct pc *)owner)->lapic, n, msr, v);
}
static u8 pin_get_tpr(void *owner, unsigned n) { return lapics_get_cr8(((struct pc *)owner)->lapic, n); }
static void pin_set_tpr(void *owner, unsigned n, u8 v) { lapics_set_cr8(((struct pc *)owner)->lapic, n, v); }
// FERR# sets the latch behind IRQ 13; a write to port F0h clears it (AT Technical Reference, "Coprocessor").
static void pin_ferr(void *owner, unsigned n, int level) { irq_set(&((struct pc *)owner)->isa_irq[13], level); }
static void ferr_write(void *dev, u64 off, u64 val, unsigned size) { irq_set(&((struct pc *)dev)->isa_irq[13], 0); }
static const struct io_ops ferr_ops = {.write = ferr_write};
static u64 pin_tsc(void *owner, unsigned n) { return machine_tsc(&((struct pc *)owner)->m); }
static void pin_triple_fault(void *owner, unsigned n)
{
    struct pc *p = owner;
    machine_request(&p->m, BUS_REQ_RESET); // the board's logic answers the shutdown cycle with a reset
}
static u64 pin_random(void *owner, unsigned n) // xorshift64*: reproducible, not secret
{
    struct pc *p = owner;
    u64 x = p->rng;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    p->rng = x;
    return x * 0x2545f4914f6cdd1dull;
}
static const struct cpu_pins pins = {.inta = pin_inta,
                                     .apic_rdmsr = pin_rdmsr,
                                     .apic_wrmsr = pin_wrmsr,
                                     .get_tpr = pin_get_tpr,
                                     .set_tpr = pin_set_tpr,
                                     .ferr = pin_ferr,
                                     .triple_fault = pin_triple_fault,
                                     .tsc = pin_tsc,
                                     .random = pin_random};

// ---- what the board itself keeps

static void board_reset(void *self)
{
    struct pc *p = self;
    p->a20[0] = p->a20[1] = true; // QEMU's and most chipsets' state after power-on
}
static void board_state(struct state *s, void *self)
{
    struct pc *p = self;
    state_bool(s, "a20_kbd", &p->a20[0]);
    state_bool(s, "a20_port92", &p->a20[1]);
    state_u64(s, "rng", &p->rng);
}
// Registered behind the CPUs: their address masks follow.
static void board_late_reset(void *self) { all_cpus_a20(self); }
static void board_late_state(struct state *s, void *self)
{
    if (state_loading(s)) all_cpus_a20(self);
}
static const struct part_ops board_ops = {.reset = board_reset, .state = board_state};
static const struct part_ops board_late_ops = {.reset = board_late_reset, .state = board_late_state};

// ---- memory and firmware

// Reads a whole file of at most max bytes; NULL with a message.
static u8 *load_file(const char *what, const char *file, size_t max, size_t *size, struct err *e)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        err_set(e, "cannot open %s '%s': %s", what, file, err_errno(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (u64)st.st_size > max) {
        err_set(e, "%s '%s' is not a file of 1 to %zu bytes", what, file, max);
        close(fd);
        return NULL;
    }
    u8 *p = xalloc(st.st_size);
    ssize_t n = read(fd, p, st.st_size);
    close(fd);
    if (n != st.st_size) {
        err_set(e, "cannot read %s '%s'", what, file);
        free(p);
        return NULL;
    }
    *size = n;
    return p;
}

static bool map_memory(struct pc *p, const struct pc_config *cfg, struct err *e)
{
    struct bus *b = &p->m.bus;
    p->below_4g = min_u64(cfg->ram, LOW_RAM_END);
    p->above_4g = cfg->ram - p->below_4g;
    p->ram = ram_new(b, "ram", cfg->ram, e);
    if (!p->ram) return false;
    bus_map_ram(b, 0, min_u64(cfg->ram, 0xa0000), p->ram, 0, REGION_RW, 0, "ram-low");
    if (p->below_4g > 0x100000) bus_map_ram(b, 0x100000, p->below_4g - 0x100000, p->ram, 0x100000, REGION_RW, 0, "ram");
    if (p->above_4g) bus_map_ram(b, FOUR_GB, p->above_4g, p->ram, p->below_4g, REGION_RW, 0, "ram-high");
    return true;
}

// The firmware ends at 4 GB; its last 128 KB also show at E0000h where the host bridge reads no RAM.
static bool map_bios(struct pc *p, const struct pc_config *cfg, struct err *e)
{
    struct bus *b = &p->m.bus;
    size_t size;
    u8 *image = load_file("firmware", cfg->bios, 16 << 20, &size, e);
    if (!image) return false;
    u64 rom_size = align_up(size, 65536), low = min_u64(rom_size, 131072);
    p->rom = ram_new(b, "bios", rom_size, e);
    if (p->rom) {
        p->rom->rom = true;
        memcpy(p->rom->host + rom_size - size, image, size);
        bus_map_ram(b, FOUR_GB - rom_size, rom_size, p->rom, 0, REGION_RW, 0, "bios");
        bus_map_ram(b, 0x100000 - low, low, p->rom, rom_size - low, REGION_R, 0, "bios-low");
    }
    free(image);
    return p->rom != NULL;
}

// Hard disks: types and geometry of the first two (12h, 19h-2Ch), BIOS translation of all four (39h: two bits each, 0
// none, 1 LBA, 2 large), as SeaBIOS and Bochs' BIOS read them.
static void fill_cmos_disks(struct pc *p)
{
    u8 translation = 0, types = 0;
    for (int u = 0; u < 4; u++) {
        u16 cyls;
        u8 heads, secs;
        if (!ide_geometry(p->ide, u, &cyls, &heads, &secs)) continue;
        translation |= (cyls <= 1024 ? 0 : (u32)cyls * heads <= 131072 ? 2 : 1) << 2 * u;
        if (u > 1) continue;
        const u8 info[9] = {cyls, cyls >> 8, heads, 0xff, 0xff, 0xc0 | (heads > 8) << 3, cyls, cyls >> 8, secs};
        types |= 0xf0 >> 4 * u;
        mc146818_set(p->rtc, 0x19 + u, 47); // a user-defined type: what follows
        for (int k = 0; k < 9; k++) mc146818_set(p->rtc, 0x1b + 9 * u + k, info[k]);
    }
    mc146818_set(p->rtc, 0x12, types);
    mc146818_set(p->rtc, 0x39, translation);
}

void pc_boot_order(struct pc *p, const char *order)
{
    static const char letters[] = "acdn"; // SeaBIOS: 1 floppy, 2 hard disk, 3 CD, 4 network
    u8 code[3] = {0};
    const char *o = order ? order : "cad";
    for (int i = 0; i < 3 && o[i]; i++) code[i] = strchr(letters, o[i]) ? strchr(letters, o[i]) - letters + 1 : 0;
    mc146818_set(p->rtc, 0x3d, code[0] | code[1] << 4);
    mc146818_set(p->rtc, 0x38, code[2] << 4 | 1);
}

// What the firmware of an AT finds in CMOS: memory sizes, drives, boot order (SeaBIOS' spelling of it).
static void fill_cmos(struct pc *p, const struct pc_config *cfg)
{
    u64 kb = p->below_4g >> 10, ext = kb > 1024 ? kb - 1024 : 0;
    u64 ext16 = p->below_4g > 16 << 20 ? (p->below_4g - (16 << 20)) >> 16 : 0, high = p->above_4g >> 16;
    mc146818_set(p->rtc, 0x15, 640 & 0xff);
    mc146818_set(p->rtc, 0x16, 640 >> 8);
    for (int k = 0; k < 2; k++) {
        mc146818_set(p->rtc, 0x17 + k, min_u64(ext, 65535) >> 8 * k);
        mc146818_set(p->rtc, 0x30 + k, min_u64(ext, 65535) >> 8 * k);
        mc146818_set(p->rtc, 0x34 + k, min_u64(ext16, 65535) >> 8 * k);
    }
    for (int k = 0; k < 3; k++) mc146818_set(p->rtc, 0x5b + k, high >> 8 * k);
    mc146818_set(p->rtc, 0x5f, cfg->cpus - 1);
    if (!cfg->no_floppy) {
        u8 second = i82077_type(p->fdc, 1);
        mc146818_set(p->rtc, 0x10, i82077_type(p->fdc, 0) << 4 | second);
        mc146818_set(p->rtc, 0x14, 0x07 | (second ? 0x40 : 0)); // floppy, coprocessor, PS/2 mouse
    } else {
        mc146818_set(p->rtc, 0x14, 0x06);
    }
    fill_cmos_disks(p);
    pc_boot_order(p, cfg->boot_order);
}

static bool fill_fw_cfg(struct pc *p, const struct pc_config *cfg, struct err *e)
{
    struct fw_cfg_pc f = {.below_4g = p->below_4g,
                          .above_4g = p->above_4g,
                          .cpus = cfg->cpus,
                          .max_cpus = cfg->cpus,
                          .menu = cfg->boot_menu,
                          .graphic = cfg->graphic,
                          .menu_wait_ms = cfg->boot_wait_ms};
    fw_cfg_add_pc(p->fw, &f);
    struct acpi_opts a = {.cpus = cfg->cpus,
                          .below_4g = p->below_4g,
                          .pm_base = PIIX4_PM_BASE,
                          .hpet = p->hpet != NULL,
                          .floppy = !cfg->no_floppy};
    for (int n = 0; n < 4; n++) a.serial[n] = cfg->serial[n] != NULL;
    for (int n = 0; n < 3; n++) a.parallel[n] = cfg->parallel[n] != NULL;
    acpi_tables_add(p->fw, &a);
    struct smbios_opts s = {.cpus = cfg->cpus, .below_4g = p->below_4g, .above_4g = p->above_4g};
    smbios_add(p->fw, &s);
    struct loader_opts k = {cfg->kernel, cfg->initrd, cfg->append, p->below_4g};
    return !cfg->kernel || loader_kernel(&p->m.bus, p->fw, &k, e);
}

static void make_cpus(struct pc *p, const struct pc_config *cfg)
{
    struct cpu_pins own = pins;
    own.owner = p;
    for (unsigned i = 0; i < cfg->cpus; i++) {
        struct cpu *c = cpu_new(&p->m.bus, i, cfg->model, cfg->engine, &own);
        machine_add_cpu(&p->m, c);
    }
}

static bool make_vga(struct pc *p, const struct pc_config *cfg, struct err *e)
{
    if (!cfg->vga) return true;
    size_t size = 0;
    u8 *rom = cfg->vgabios ? load_file("VGA BIOS", cfg->vgabios, 1 << 20, &size, e) : NULL;
    if (cfg->vgabios && !rom) return false;
    struct vga_opts o = {.vram_mb = cfg->vga_mb, .rom = rom, .rom_size = size};
    p->vga = vga_pci_new(&p->m.bus, p->pci, PCI_DEVFN(2, 0), &o, e);
    free(rom);
    if (p->vga) p->screen = vga_screen(p->vga);
    return p->vga != NULL;
}

static void make_ports(struct pc *p, const struct pc_config *cfg)
{
    struct bus *b = &p->m.bus;
    static const u16 com[4] = {0x3f8, 0x2f8, 0x3e8, 0x2e8}, lpt[3] = {0x378, 0x278, 0x3bc};
    static const u8 com_irq[4] = {4, 3, 4, 3}, lpt_irq[3] = {7, 5, 7};
    for (int n = 0; n < 4; n++)
        if (cfg->serial[n]) uart16550_new(b, "serial", com[n], &p->isa_irq[com_irq[n]], cfg->serial[n]);
    for (int n = 0; n < 3; n++)
        if (cfg->parallel[n]) parallel_new(b, "parallel", lpt[n], &p->isa_irq[lpt_irq[n]], cfg->parallel[n]);

    if (cfg->debugcon) debugcon_new(b, 0x402, 0xe9, cfg->debugcon);
    if (cfg->e9) debugcon_new(b, 0xe9, 0xe9, cfg->e9);
}

struct pc *pc_new(const struct pc_config *cfg, struct err *e)
{
    struct pc *p = xalloc(sizeof *p);
    struct bus *b = &p->m.bus;
    machine_init(&p->m, &cfg->time);
    p->model = cfg->model;
    p->m.tsc_hz = cfg->model->tsc_hz;
    p->rng = cfg->seed | 1;
    part_add(&b->parts, "board", &board_ops, p);
    if (!map_memory(p, cfg, e) || !map_bios(p, cfg, e)) goto fail;
    for (int n = 0; n < 16; n++) p->isa_irq[n] = (struct irq){isa_irq, p, n};

    struct lapic_pins lp = {.owner = p,
                            .intr = lapic_intr,
                            .nmi = lapic_nmi,
                            .smi = lapic_smi,
                            .init = lapic_init,
                            .sipi = lapic_sipi,
                            .tsc = lapic_tsc,
                            .tsc_when = lapic_tsc_when,
                            .pic_ack = lapic_pic_ack,
                            .eoi = lapic_eoi};
    p->lapic = lapics_new(b, cfg->cpus, model_has(cfg->model, FEAT_X2APIC), lp);
    p->ioapic = ioapic_new(b, 0xfec00000, 0, (struct apic_bus){lapics_send, p->lapic});
    bool apic = model_has(cfg->model, FEAT_APIC);
    p->pic = i8259_new(b, apic ? lapics_pic_line(p->lapic) : (struct irq){pic_to_cpu, p, 0});
    bus_map_port(b, 0xf0, 2, &ferr_ops, p, "ferr");
    struct irq gsi[HPET_GSIS], legacy[2] = {p->isa_irq[0], p->isa_irq[8]};
    for (int n = 0; n < HPET_GSIS; n++) gsi[n] = ioapic_line(p->ioapic, n);
    p->hpet = hpet_new(b, 0xfed00000, 0xff0104, gsi, legacy); // timers to I/O APIC pins 2, 8 and 16-23, as QEMU's PC
    p->pit = i8254_new(b, 0x40, hpet_legacy_line(p->hpet, 0));
    p->dma = i8237_new(b);
    p->port61 = port61_new(b, p->pit, lapics_nmi_line(p->lapic));
    p->rtc =
        mc146818_new(b, 0x70, cfg->rtc_start, hpet_legacy_line(p->hpet, 1), port61_line(p->port61, PORT61_NMI_OFF));
    p->port92 = port92_new(b, (struct irq){a20_line, p, 1}, (struct irq){fast_reset, p, 0});
    i8042_new(b, &p->isa_irq[1], &p->isa_irq[12], &(struct irq){a20_line, p, 0}, &p->input);
    p->fw = fw_cfg_new(b);

    make_ports(p, cfg);
    if (!cfg->no_floppy) {
        struct floppy_unit fd[2] = {{FLOPPY_AUTO, cfg->floppy[0]},
                                    {cfg->floppy[1] ? FLOPPY_AUTO : FLOPPY_NONE, cfg->floppy[1]}};
        p->fdc = i82077_new(b, &p->isa_irq[6], p->dma, fd);
    }
    p->pci = pci_bus_new(b);
    i440fx_new(p->pci, p->ram, cfg->ram);
    piix3_new(p->pci, p->isa_irq);
    p->pm = piix4_pm_new(p->pci, PCI_DEVFN(1, 3), &p->isa_irq[9]);
    p->ide = ide_new(p->pci, (struct irq[2]){p->isa_irq[14], p->isa_irq[15]}, cfg->ide);
    if (!make_vga(p, cfg, e)) goto fail;
    if (cfg->add_devices && !cfg->add_devices(p, cfg->add_owner, e)) goto fail;

    make_cpus(p, cfg);
    part_add(&b->parts, "a20", &board_late_ops, p);
    fill_cmos(p, cfg);
    if (!fill_fw_cfg(p, cfg, e)) goto fail;
    machine_reset(&p->m);
    return p;
fail:
    pc_free(p);
    return NULL;
}

void pc_free(struct pc *p)
{
    machine_free(&p->m);
    free(p);
}
