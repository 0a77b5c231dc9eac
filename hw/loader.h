// SPDX-License-Identifier: MIT
// -kernel, -initrd, -append: hands a kernel and our loader ROM to SeaBIOS through fw_cfg.
#pragma once
#include "hw/chip/fw_cfg.h"

struct err;
struct loader_opts {
    const char *kernel, *initrd, *append; // initrd, append: NULL = none. Multiboot: initrd is "file args,file args"
    u64 ram_below_4g;
};
// Call after fw_cfg_add_pc(): the ROM goes to the head of the boot order. False with a message.
bool loader_kernel(struct bus *b, struct fw_cfg *f, const struct loader_opts *o, struct err *e) MUST_CHECK;
