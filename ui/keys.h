// SPDX-License-Identifier: MIT
// Keys by name, by character and by host code; and a queue that types them at a pace that guests keep up with.
#pragma once
#include "hw/input/input.h"
#include "mem/base/err.h"
#include "mem/base/types.h"

enum { KEY_SHIFT = 0x2a, KEY_CTRL = 0x1d, KEY_ALT = 0x38, KEY_RET = 0x1c, KEY_ESC = 0x01, KEYS_COMBO_MAX = 16 };

unsigned key_by_name(const char *name);  // "spc", "kp_enter", "0x1c"; 0: unknown
const char *key_name_of(unsigned key);   // NULL: unknown
unsigned key_by_hid(unsigned usage);     // USB HID usage = SDL scan code; 0: unknown
unsigned key_by_char(u8 c, bool *shift); // US layout; '\r' and '\n' are Enter; 0: no key types it
// "ctrl-alt-delete" -> key numbers in order; 0 with a message that names the wrong part.
unsigned keys_parse(const char *combo, u8 key[KEYS_COMBO_MAX], struct err *e);

// Presses and releases that wait for their turn. Zero-filled = empty.
struct key_queue {
    u16 ev[2048]; // key number, bit 8: release
    u32 head, n;
    u64 next; // ms: when the next one may go
};
// Presses all in order, releases them in reverse. False: the queue is full, nothing was added.
bool key_queue_combo(struct key_queue *q, const u8 *key, unsigned n);
bool key_queue_char(struct key_queue *q, u8 c, bool ctrl, bool alt); // characters without a key are skipped (true)
size_t key_queue_text(struct key_queue *q, const char *text);        // bytes taken
void key_queue_poll(struct key_queue *q, const struct input *in, u64 now_ms);
// Where a letter of code page 437 lies in Unicode (0-31: the pictures).
extern const u16 cp437_unicode[256];
