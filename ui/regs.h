// SPDX-License-Identifier: MIT
// A processor's registers by name, as QEMU, gdb and Bochs call them, to be read and set by a person: general registers
// in all widths, segments (`cs`, `cs.base`, `cs.limit`, `cs.attr`), control and debug registers, EFLAGS and each flag
// (`flag.zf`), MSRs by name or `msr.NUMBER`, x87, MMX (`mm0`) and vector registers (`xmm3.d0`).
#pragma once
#include "cpu/cpu.h"
#include "mem/base/err.h"

bool reg_read(struct cpu *c, const char *name, u64 *v); // false: no such register
// Sets it with all that hangs on it (mode, TLBs); false with a message: no such register, or no such value.
bool reg_write(struct cpu *c, const char *name, u64 v, struct err *e);
const char *reg_name(unsigned n); // for completion and spelling; NULL behind the last
// Names of MSRs that are known by one: NULL behind the last.
const char *reg_msr(unsigned n, u32 *num);
