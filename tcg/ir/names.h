// SPDX-License-Identifier: MIT
// Names in the printed form of the intermediate code, shared by printer and parser.
#pragma once
#include "tcg/ir/ir.h"

struct ir_flag_name {
    const char *name;
    u16 bit;
};
extern const char *const ir_reg_names[IR_BASE + 1], *const ir_cond_names[16], *const ir_seg_names[6];
extern const struct ir_flag_name ir_acc_names[4], ir_flag_names[6];
// Is this operation's cc a condition? (SHX has an operation there.)
bool ir_cc_is_condition(unsigned op);
