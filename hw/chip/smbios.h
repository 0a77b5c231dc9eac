// SPDX-License-Identifier: MIT
// SMBIOS 2.8 tables, handed to firmware through fw_cfg, which places them and completes the anchor.
#pragma once
#include "hw/chip/fw_cfg.h"

struct smbios_opts {
    unsigned cpus;
    u64 below_4g, above_4g;
    const char *cpu_name; // NULL: "doppel"
    u8 uuid[16];          // all zero: none set
};
void smbios_add(struct fw_cfg *f, const struct smbios_opts *o);
