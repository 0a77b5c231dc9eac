// SPDX-License-Identifier: MIT
// The command line: options (opt.def), property lists ("a=1,b=on"), and the nearest right word for a wrong one.
#pragma once
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "mem/base/types.h"

enum opt_id {
    OPT_IMAGE, // an argument that is no option
#define OPT(id, ...) OPT_##id,
#define OPT_ALIAS(...)
#define OPT_GROUP(title)
#include "ui/opt.def"
#undef OPT
#undef OPT_ALIAS
#undef OPT_GROUP
    OPT_COUNT
};
struct opt {
    enum opt_id id;
    const char *arg; // NULL: takes none; points into argv
};
// The arguments in order; *n of them (caller frees). NULL with a message.
struct opt *opts_parse(int argc, char **argv, unsigned *n, struct err *e);
void opts_help(struct buf *out);
const char *opt_name(enum opt_id id); // "-cdrom"

// A property list: what may stand in it, of which type, and where it goes. Strings are allocated; those of values not
// given stay as they are. Two commas stand for one within a value. A switch without value is on; `noNAME` is off.
enum prop_type { PROP_STR, PROP_SWITCH /* i8: -1 not given */, PROP_UINT /* u64 */, PROP_SIZE /* u64 */, PROP_ENUM };
struct prop {
    const char *name;
    enum prop_type type;
    size_t offset;      // of the value in the struct that is filled
    const char *values; // PROP_ENUM: "a|b|c", stored as int 0, 1, 2; else what -help shows
    u64 min, max;       // PROP_UINT, PROP_SIZE; max 0: no limit
    const char *help;
    u64 unit; // PROP_SIZE: of a number without suffix, 0 = bytes
};
// what: "-drive" for messages. first: the property that a leading value without '=' belongs to, or NULL.
bool props_parse(const char *what, const char *text, const char *first, const struct prop *p, unsigned n, void *to,
                 struct err *e);
void props_help(const char *what, const struct prop *p, unsigned n, struct buf *out);

// "512", "64K", "1.5G" in bytes; unit: of a plain number (1 << 20 for -m).
bool parse_size(const char *text, u64 unit, u64 *v);
bool parse_uint(const char *text, u64 *v); // decimal, 0x…, nothing behind
// The candidate that is nearest to a wrong word: feed them one by one. best NULL: nothing similar.
struct nearest {
    const char *word, *best;
    unsigned cost;
};
void nearest_try(struct nearest *n, const char *candidate);
// "; did you mean 'x'?" or "", in a static buffer.
const char *nearest_text(const struct nearest *n, const char *before);
