// SPDX-License-Identifier: MIT
// What every test program in C uses: a line `ok NAME` or `not ok NAME: why` a test, exit status 1 if any failed.
// `./prog [PATTERN]` runs the tests whose name contains PATTERN.
#pragma once
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/types.h"

struct check_ctx {
    int failed, passed, skipped;
    char why[512];
    bool bad;
};
static UNUSED struct check_ctx check_ctx;

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond) && !check_ctx.bad) {                                                                               \
            check_ctx.bad = true;                                                                                      \
            snprintf(check_ctx.why, sizeof check_ctx.why, "%s:%d: %s", __FILE__, __LINE__, #cond);                     \
        }                                                                                                              \
    } while (0)
// Compares integers; the first difference of a test is reported in hex.
#define CHECK_EQ(got, want)                                                                                            \
    do {                                                                                                               \
        u64 g_ = (u64)(got), w_ = (u64)(want);                                                                         \
        if (g_ != w_ && !check_ctx.bad) {                                                                              \
            check_ctx.bad = true;                                                                                      \
            snprintf(check_ctx.why, sizeof check_ctx.why, "%s:%d: %s is %" PRIx64 ", want %" PRIx64, __FILE__,         \
                     __LINE__, #got, g_, w_);                                                                          \
        }                                                                                                              \
    } while (0)
#define CHECK_STR(got, want)                                                                                           \
    do {                                                                                                               \
        const char *g_ = (got), *w_ = (want);                                                                          \
        if (strcmp(g_, w_) && !check_ctx.bad) {                                                                        \
            check_ctx.bad = true;                                                                                      \
            snprintf(check_ctx.why, sizeof check_ctx.why, "%s:%d: %s is '%.150s', want '%.150s'", __FILE__, __LINE__,  \
                     #got, g_, w_);                                                                                    \
        }                                                                                                              \
    } while (0)
#define SKIP(reason)                                                                                                   \
    do {                                                                                                               \
        printf("skip %s: %s\n", __func__, reason);                                                                     \
        check_ctx.skipped++;                                                                                           \
        return;                                                                                                        \
    } while (0)

// ROWS=1: names each thing once that a real processor was asked about, for tests/insn/coverage.
static UNUSED void check_row(const char *name)
{
    static const char *seen[2048];
    static unsigned n;
    static int on = -1;
    if (on < 0) on = getenv("ROWS") != NULL;
    if (!on) return;
    for (unsigned k = 0; k < n; k++)
        if (seen[k] == name) return;
    if (n < 2048) seen[n++] = name;
    printf("# row %s\n", name);
}
// How much a suite draws, and from where: CASES=n cases of each thing instead of its usual number, SEED=n others than
// the usual ones (`make fuzz CASES=n SEED=n`).
static UNUSED unsigned check_cases(unsigned usual)
{
    const char *s = getenv("CASES");
    return s && atoi(s) > 0 ? (unsigned)atoi(s) : usual;
}
static UNUSED u64 check_seed(u64 usual)
{
    const char *s = getenv("SEED");
    return s ? usual ^ strtoull(s, NULL, 0) * 0x9e3779b97f4a7c15ull : usual;
}
struct check_test {
    const char *name;
    void (*fn)(void);
};
#define TEST(fn)                                                                                                       \
    {                                                                                                                  \
#fn, fn                                                                                                        \
    }

static UNUSED int check_main(int argc, char **argv, const struct check_test *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
        int skipped = check_ctx.skipped;
        check_ctx.bad = false;
        tests[i].fn();
        if (check_ctx.bad) {
            printf("not ok %s: %s\n", tests[i].name, check_ctx.why);
            check_ctx.failed++;
        } else if (skipped == check_ctx.skipped) {
            printf("ok %s\n", tests[i].name);
            check_ctx.passed++;
        }
        fflush(stdout);
    }
    return check_ctx.failed ? 1 : 0;
}
