// SPDX-License-Identifier: MIT
// The log: what -d LIST and the monitor's `log` and `trace-event` switch. One struct log a machine, no globals.
//   log_guest()  the guest did what a driver should not (rate-limited, category `guest_errors`, QEMU's name)
//   log_unimp()  a register or function that doppel leaves out (category `unimp`)
//   log_item()   free text of a category that a person asked for; test log_on() first where building it costs
//   trace()      one row of trace.def, always recorded in the ring, printed when its event is on
#pragma once
#include <stdio.h>
#include "mem/base/types.h"

enum log_cat {
    LOG_GUEST, // guest_errors
    LOG_UNIMP, // unimp
    LOG_INT,   // int: exceptions and interrupts delivered
    LOG_RESET, // cpu_reset
    LOG_EXEC,  // exec: each block entered
    LOG_CPU,   // cpu: registers before each block
    LOG_INASM, // in_asm: guest code when first decoded or translated
    LOG_OP,
    LOG_OPOPT,
    LOG_OUTASM,
    LOG_MMU,   // mmu
    LOG_PCALL, // pcall: far transfers
    LOG_NCATS
};
enum trace_id {
#define TRACE(name, fmt) TRACE_##name,
#include "mem/base/trace.def"
#undef TRACE
    TRACE_NIDS
};

struct log_ring_entry {
    u64 when; // the log's clock, see log.now
    u64 a[4];
    u16 id;
};
#define LOG_RING 256 // entries, a power of two

struct log {
    FILE *out;   // NULL: stderr
    u32 cats;    // bit per enum log_cat
    u32 nranges; // addresses that in_asm, op, op_opt, out_asm and exec are about (-dfilter); none: all
    struct {
        u64 first, last;
    } range[8];
    u64 guest_left; // lines of LOG_GUEST left before they are only counted; see log_guest()
    u64 guest_dropped;
    u8 trace_on[(TRACE_NIDS + 8) / 8];
    u64 (*now)(void *); // optional: virtual time for the ring
    void *now_owner;
    u32 ring_pos;
    struct log_ring_entry ring[LOG_RING];
};
void log_init(struct log *l);
INLINE bool log_on(const struct log *l, enum log_cat c) { return unlikely(l->cats >> c & 1); }
// Whether the filter lets code at this address through.
INLINE bool log_in_range(const struct log *l, u64 at)
{
    for (u32 i = 0; i < l->nranges; i++)
        if (at >= l->range[i].first && at <= l->range[i].last) return true;
    return !l->nranges;
}
void log_item(struct log *l, enum log_cat c, const char *fmt, ...) PRINTF(3, 4);
// `who`: the part's name ("ide0"). The line ends with a newline of its own.
void log_guest(struct log *l, const char *who, const char *fmt, ...) PRINTF(3, 4);
void log_unimp(struct log *l, const char *who, const char *fmt, ...) PRINTF(3, 4);
void log_trace(struct log *l, enum trace_id id, u64 a, u64 b, u64 c, u64 d);
#define trace_on(l, name)                  unlikely((l)->trace_on[TRACE_##name / 8] >> TRACE_##name % 8 & 1)
#define trace(l, name, ...)                TRACE_PICK(l, TRACE_##name, ##__VA_ARGS__, 0, 0, 0, 0)
#define TRACE_PICK(l, id, a, b, c, d, ...) log_trace(l, id, a, b, c, d)
// Parses QEMU's -d list ("int,guest_errors,trace:ide_*"); false with a message that names the wrong item.
struct err;
bool log_parse(struct log *l, const char *list, struct err *e);
// Parses QEMU's -dfilter list ("0x8000..0x8fff,0x9000+0x100,0x9fff-0x100", the end before its length).
bool log_parse_ranges(struct log *l, const char *list, struct err *e);
// Names and one-line meanings for `-d help`.
const char *log_cat_name(enum log_cat c);
const char *log_cat_help(enum log_cat c);
const char *log_trace_name(enum trace_id id);
// Switches the events that match a wildcard (* and ?) on or off; returns how many matched.
int log_trace_set(struct log *l, const char *glob, bool on);
// Prints the last events, oldest first.
void log_ring_print(const struct log *l, FILE *to, unsigned max);
