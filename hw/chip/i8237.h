// SPDX-License-Identifier: MIT
// The PC's two 8237A DMA controllers with their page registers: channels 0..3 of bytes, 5..7 of words, 4 is the
// cascade.
#pragma once
#include "mem/bus.h"

struct i8237;
struct i8237 *i8237_new(struct bus *b); // ports 0–Fh, C0h–DFh, 80h–8Fh
// fn is called when `channel` starts to be ready while its DREQ is high (unmasked, enabled): the device goes on. It may
// transfer from inside. One device a channel.
void i8237_attach(struct i8237 *d, unsigned channel, void (*fn)(void *owner), void *owner);
void i8237_request(struct i8237 *d, unsigned channel, int level); // DREQ
bool i8237_ready(const struct i8237 *d, unsigned channel);        // a request would be acknowledged
// DACK cycles: moves up to n bytes (words: an even n) between the device and memory, until terminal count. to_memory:
// the device's direction; the guest's mode decides what happens in memory (verify, or a mode against the device's
// direction: nothing, the device reads FFh). Returns the bytes that were counted, 0 if not ready. *tc: terminal count
// was reached.
size_t i8237_transfer(struct i8237 *d, unsigned channel, bool to_memory, void *p, size_t n, bool *tc);
