// SPDX-License-Identifier: MIT
// Fuzz target: loading saved state. The input is a list of changes (position, value) to a real image, or its new
// length; loading must fail with a message or leave a machine that runs and can be saved.
#include "tests/fuzz/pc.h"

static const struct fuzz_seed seeds[] = {FUZZ_SEED("\0\0\0\1"), FUZZ_SEED("\1\x40\0\xff\2\x80\1\x7f"),
                                         FUZZ_SEED("\xff\xff\x10\0"),
                                         FUZZ_SEED("\0\4\0\xff\0\5\0\xff\0\6\0\xff\0\7\0\xff")};
static void fuzz_one(const u8 *data, size_t len)
{
    struct pc *p = fuzz_pc_again();
    struct buf image = {0}, out = {0};
    buf_add(&image, fuzz_first.data, fuzz_first.len);
    size_t n = image.len;
    for (; len >= 4; data += 4, len -= 4) {
        u32 at = data[0] | data[1] << 8 | (data[2] & 1) << 16;
        if (data[2] >= 0xf0)
            n = at < image.len ? at : image.len;
        else if (data[2] & 8) // from the end, where the last parts lie
            image.data[image.len - 1 - at % image.len] = data[3];
        else
            image.data[at % image.len] = data[3];
    }
    u8 *exact = malloc(n ? n : 1);
    memcpy(exact, image.data, n);
    struct state l = {.mode = STATE_LOAD, .in = exact, .len = n};
    machine_state(&p->m, &l);
    if (state_ok(&l)) {
        // A turn of the processor, at most 40,000 instructions of whatever lies there; of one that sleeps more, to
        // events.
        machine_run(&p->m, FUZZ_LOOK);
        if (p->m.cpu[0]->halt != CPU_RUNNING) machine_run(&p->m, 50 * FUZZ_LOOK);
        struct state again = {.mode = STATE_SAVE, .out = &out};
        machine_state(&p->m, &again);
        if (!state_ok(&again)) abort();
    }
    free(exact);
    buf_free(&image);
    buf_free(&out);
}
FUZZ_MAIN(state, seeds, 2000)
