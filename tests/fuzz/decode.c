// SPDX-License-Identifier: MIT
// Fuzz target: the decoder. First byte: code size; then bytes. Length at most 15, never more than given; the answer for
// a cut input is "more", and does not depend on bytes behind the instruction.
#include "tests/fuzz/fuzz.h"
#include "cpu/decode.h"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("\2\x48\x8b\x84\xc8\x44\x33\x22\x11"), FUZZ_SEED("\2\xc4\xe2\xf9\xf7\xc1"),
    FUZZ_SEED("\0\x66\x67\xf0\x0f\xb1\x04\x24"),     FUZZ_SEED("\1\x9a\1\2\3\4\5\6"),
    FUZZ_SEED("\2\x66\xf2\x48\x0f\x38\xf1\xc0"),     FUZZ_SEED("\2\x0f\x3a\x0f\xc1\x08")};
static void fuzz_one(const u8 *data, size_t len)
{
    static struct decoder *d;
    if (!d) {
        u64 feat[8];
        memset(feat, 0xff, sizeof feat);
        d = decoder_new(feat);
    }
    if (len < 2) return;
    unsigned code = data[0] % 3, n = len - 1 > 15 ? 15 : (unsigned)(len - 1);
    u8 *exact = malloc(n), full[15]; // exact: a byte too far is seen by the sanitizer
    memcpy(exact, data + 1, n);
    struct insn a, b;
    enum decode_status s = decode(d, exact, n, code, &a);
    if (s == DECODE_OK && (a.len < 1 || a.len > n || a.op == 0 || a.op >= OP_COUNT)) abort();
    if (s == DECODE_MORE && n >= 15) abort();
    if (s == DECODE_OK) {
        memset(full, 0xa5, sizeof full);
        memcpy(full, exact, a.len);
        if (decode(d, full, 15, code, &b) != DECODE_OK || memcmp(&a, &b, sizeof a)) abort();
        if (decode(d, exact, a.len - 1u, code, &b) == DECODE_OK) abort();
    }
    free(exact);
}
FUZZ_MAIN(decode, seeds, 8000000)
