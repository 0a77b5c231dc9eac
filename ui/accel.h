// SPDX-License-Identifier: MIT
// Which engine executes: -accel NAME[,PROP=…], -machine accel=NAME.
#pragma once
#include "mem/base/buf.h"
#include "mem/base/err.h"

struct cpu_engine;
// False with a message; *engine stays valid as long as the program runs.
bool accel_option(const char *arg, const struct cpu_engine **engine, struct err *e);
void accel_default(const struct cpu_engine **engine); // when nothing was asked for: the fastest that works here
void accel_command(const char *text);                 // the program's command line, for reports: before accel_option()
void accel_help(struct buf *out);
void accel_names(struct buf *out); // "tcg, interp, check": those in this build, the default first
