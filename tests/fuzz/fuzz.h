// SPDX-License-Identifier: MIT
// A fuzz target defines fuzz_one() and its seeds, and ends with FUZZ_MAIN(name). Built plainly it has a driver of its
// own: every seed, then mutations of the seeds from a fixed generator, so that CI sees the same inputs each time;
// with -DFUZZ_ENGINE it is a libFuzzer target (`make fuzz`), which first writes the seeds to the folder FUZZ_SEEDS.
//   NAME [FILE…]     runs these inputs only; RUNS=n mutations (default: the target's)
#pragma once
#include <unistd.h>
#include "tests/check.h"

struct fuzz_seed {
    const void *data;
    size_t len;
};
#define FUZZ_SEED(s)                                                                                                   \
    {                                                                                                                  \
        s, sizeof(s) - 1                                                                                               \
    }

static void fuzz_one(const u8 *data, size_t len);

// A file with these bytes in $TMPDIR or /tmp, gone at exit; a tag's path is the same in each call.
static char fuzz_path[8][300];
static UNUSED void fuzz_clean(void)
{
    for (unsigned k = 0; k < ARRAY_LEN(fuzz_path); k++)
        if (*fuzz_path[k]) unlink(fuzz_path[k]);
}
static UNUSED const char *fuzz_file(const char *tag, const void *data, size_t len)
{
    static unsigned files;
    const char *dir = getenv("TMPDIR");
    char path[sizeof fuzz_path[0]];
    snprintf(path, sizeof path, "%s/doppel-fuzz-%s-%d", dir && *dir ? dir : "/tmp", tag, (int)getpid());
    unsigned k = 0;
    while (k < files && strcmp(fuzz_path[k], path)) k++;
    if (k == ARRAY_LEN(fuzz_path)) exit(2);
    if (k == files && !files++) atexit(fuzz_clean);
    memcpy(fuzz_path[k], path, sizeof path);
    unlink(path); // a file that is cut and written anew is waited for by some file systems
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len) exit(2);
    fclose(f);
    return fuzz_path[k];
}

#ifdef FUZZ_ENGINE
int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);
static void fuzz_write_seeds(const struct fuzz_seed *s, unsigned nseeds)
{
    const char *dir = getenv("FUZZ_SEEDS");
    for (unsigned k = 0; dir && k < nseeds; k++) {
        char path[512];
        snprintf(path, sizeof path, "%s/seed-%u", dir, k);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(s[k].data, 1, s[k].len, f) != s[k].len) exit(2);
        fclose(f);
    }
}
#define FUZZ_MAIN(name, seeds, runs)                                                                                   \
    int LLVMFuzzerInitialize(int *argc, char ***argv)                                                                  \
    {                                                                                                                  \
        fuzz_write_seeds(seeds, ARRAY_LEN(seeds));                                                                     \
        return 0;                                                                                                      \
    }                                                                                                                  \
    int LLVMFuzzerTestOneInput(const u8 *data, size_t len)                                                             \
    {                                                                                                                  \
        fuzz_one(data, len);                                                                                           \
        return 0;                                                                                                      \
    }
#else
enum { FUZZ_MAX = 4096 };
static u64 fuzz_state = 88172645463325252ull;
static u64 fuzz_rnd(void)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return fuzz_state * 0x2545f4914f6cdd1dull >> 11;
}
static size_t fuzz_mutate(u8 *b, size_t n, const struct fuzz_seed *s, unsigned nseeds)
{
    static const u8 magic[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x10, 0x40, 0x20};
    for (unsigned k = 1 + fuzz_rnd() % 8; k--;) {
        size_t at = n ? fuzz_rnd() % n : 0;
        switch (fuzz_rnd() % 7) {
        case 0:
            if (n) b[at] ^= 1u << fuzz_rnd() % 8;
            break;
        case 1:
            if (n) b[at] = magic[fuzz_rnd() % sizeof magic];
            break;
        case 2:
            for (size_t j = at; j < n && j < at + 8; j++) b[j] = (u8)fuzz_rnd();
            break;
        case 3: n = at; break;
        case 4: // append noise
            for (unsigned j = fuzz_rnd() % 64; j-- && n < FUZZ_MAX;) b[n++] = (u8)fuzz_rnd();
            break;
        case 5: { // a piece of another seed
            const struct fuzz_seed *o = &s[fuzz_rnd() % nseeds];
            size_t from = o->len ? fuzz_rnd() % o->len : 0, len = o->len - from;
            if (len > FUZZ_MAX - at) len = FUZZ_MAX - at;
            memcpy(b + at, (const u8 *)o->data + from, len);
            if (at + len > n) n = at + len;
            break;
        }
        default: // a 32-bit number at an extreme
            if (n >= 4) memcpy(b + fuzz_rnd() % (n - 3), (u32[]){~0u, 0x80000000, 0x7fffffff, 0} + fuzz_rnd() % 4, 4);
        }
    }
    return n;
}
static int fuzz_main(int argc, char **argv, const char *name, const struct fuzz_seed *s, unsigned nseeds, unsigned runs)
{
    static u8 b[1 << 20];
    unsigned files = 0;
    for (int k = 1; k < argc; k++) {
        if (!strcmp(argv[k], "long")) {
            runs *= 30;
            continue;
        }
        FILE *f = fopen(argv[k], "rb");
        if (!f) return perror(argv[k]), 2;
        size_t n = fread(b, 1, sizeof b, f);
        fclose(f);
        fuzz_one(b, n);
        files++;
    }
    if (files) return 0;
    if (getenv("RUNS")) runs = (unsigned)atoi(getenv("RUNS"));
    for (unsigned k = 0; k < nseeds; k++) fuzz_one(s[k].data, s[k].len);
    for (unsigned k = 0; k < runs; k++) {
        const struct fuzz_seed *o = &s[fuzz_rnd() % nseeds];
        size_t n = o->len > FUZZ_MAX ? FUZZ_MAX : o->len;
        memcpy(b, o->data, n);
        n = fuzz_mutate(b, n, s, nseeds);
        if (getenv("KEEP")) { // the input that kills us stays
            FILE *f = fopen(getenv("KEEP"), "wb");
            if (f) fwrite(b, 1, n, f), fclose(f);
        }
        fuzz_one(b, n);
    }
    printf("ok fuzz_%s (%u inputs)\n", name, nseeds + runs);
    return 0;
}
#define FUZZ_MAIN(name, seeds, runs)                                                                                   \
    int main(int argc, char **argv) { return fuzz_main(argc, argv, #name, seeds, ARRAY_LEN(seeds), runs); }
#endif
