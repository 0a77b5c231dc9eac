// SPDX-License-Identifier: MIT
// QEMU's firmware configuration device at ports 510h, 511h, 514h. The machine fills it before the guest runs.
#pragma once
#include "mem/bus.h"

enum { FW_CFG_RAM_SIZE = 3, FW_CFG_NOGRAPHIC = 4, FW_CFG_NB_CPUS = 5, FW_CFG_BOOT_MENU = 14, FW_CFG_MAX_CPUS = 15 };
enum { FW_CFG_KERNEL_ADDR = 7, FW_CFG_KERNEL_SIZE = 8, FW_CFG_KERNEL_ENTRY = 16, FW_CFG_KERNEL_DATA = 17 };
enum { FW_CFG_INITRD_ADDR = 10, FW_CFG_INITRD_SIZE = 11, FW_CFG_INITRD_DATA = 18, FW_CFG_IRQ0_OVERRIDE = 0x8002 };
enum { FW_CFG_CMDLINE_ADDR = 19, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA };
enum { FW_CFG_SETUP_ADDR = 22, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA };

struct fw_cfg *fw_cfg_new(struct bus *b);
void fw_cfg_item(struct fw_cfg *f, u16 key, const void *data, size_t len); // copies; replaces what was there
void fw_cfg_item_take(struct fw_cfg *f, u16 key, u8 *data, size_t len);    // takes malloc'ed data over
void fw_cfg_item_fd(struct fw_cfg *f, u16 key, int fd, u64 pos, u32 len);  // part of a host file; takes fd over
void fw_cfg_u16(struct fw_cfg *f, u16 key, u16 v);
void fw_cfg_u32(struct fw_cfg *f, u16 key, u32 v);
void fw_cfg_u64(struct fw_cfg *f, u16 key, u64 v);
// name: up to 55 characters, else (or when the directory is full) false. Replaces a file of that name.
bool fw_cfg_file(struct fw_cfg *f, const char *name, const void *data, size_t len) MUST_CHECK;
bool fw_cfg_file_rw(struct fw_cfg *f, const char *name, const void *data, size_t len) MUST_CHECK; // DMA may write
const void *fw_cfg_find(const struct fw_cfg *f, const char *name, size_t *len);                   // NULL: no such file
struct fw_cfg_pc {
    u64 below_4g, above_4g;
    u16 cpus, max_cpus;
    const char *bootorder; // device paths, a line each; NULL: none
    bool menu, graphic;
    int menu_wait_ms; // < 0: firmware's default
};
void fw_cfg_add_pc(struct fw_cfg *f, const struct fw_cfg_pc *o); // what every PC firmware asks for
