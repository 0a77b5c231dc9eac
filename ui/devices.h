// SPDX-License-Identifier: MIT
// -device, -global and -chardev: what they name, with which properties, and what becomes of them.
#pragma once
#include "ui/setup.h"

// A back end by -chardev; false with a message.
bool chardev_option(const char *arg, struct err *e);
void chardev_help(struct buf *out);
// What -serial, -monitor … say: "mon:stdio", "chardev:ID", or any of chr_open(). *c NULL: "none".
bool back_end(const char *spec, const char *label, struct chardev **c, struct err *e);
bool debugcon_open(const char *spec, struct err *e); // as -chardev …,id=debugcon
// The monitor on a back end of that kind.
bool monitor_back_end(const char *spec, struct err *e);

bool device_option(struct setup *s, const char *arg, struct err *e); // remembers it
bool global_option(struct setup *s, const char *arg, struct err *e);
bool devices_prepare(struct setup *s, struct err *e);       // drives and ports that devices name go to s->pc
bool devices_add(struct pc *p, void *setup, struct err *e); // the rest: pc_config's hook
void devices_help(struct buf *out);
bool device_help(const char *name, struct buf *out); // false: no such device
