// SPDX-License-Identifier: MIT
// Blocks for tests of the translator's middle: guest bytes in hex to a decoded block, intermediate code as text.
#pragma once
#include <stdlib.h>
#include "cpu/decode.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tcg.h"
#include "tests/check.h"

enum {
    M64 = MODE_64 | MODE_SS32 | MODE_PE | MODE_LMA | MODE_FLAT,
    M32 = MODE_32 | MODE_SS32 | MODE_PE | MODE_FLAT,
    M32SEG = MODE_32 | MODE_SS32 | MODE_PE,
    M16 = MODE_16,
    BLOCK_PA = 0x5100 // offset of the first byte from code_base: 100h
};

struct block {
    struct decoder *decoder;
    struct compile_env e;
    struct tb *t;
    struct buf text;
};
static UNUSED struct block *block_new(void)
{
    struct block *b = xalloc(sizeof *b);
    u64 feat[8];
    for (unsigned k = 0; k < 8; k++) feat[k] = ~0ull;
    b->decoder = decoder_new(feat);
    b->t = xalloc(sizeof *b->t + TB_MAX * sizeof b->t->insn[0]);
    return b;
}
static UNUSED void block_free(struct block *b)
{
    decoder_free(b->decoder);
    buf_free(&b->text);
    free(b->t);
    free(b);
}
// Decodes all of the bytes. False: they are not whole instructions.
static UNUSED bool block_decode(struct block *b, u32 key, const char *hex)
{
    u8 bytes[256];
    unsigned n = 0, at = 0;
    for (const char *p = hex; *p && n < sizeof bytes;) {
        char *end;
        bytes[n++] = (u8)strtoul(p, &end, 16);
        p = end;
        while (*p == ' ') p++;
    }
    *b->t = (struct tb){.pa = BLOCK_PA, .pa2 = ~(u64)0, .key = key};
    b->e.key = key;
    b->e.opt = true;
    while (at < n && b->t->n < TB_MAX) {
        struct insn *i = &b->t->insn[b->t->n];
        if (decode(b->decoder, bytes + at, n - at, key & MODE_CODE, i) != DECODE_OK) return false;
        at += i->len;
        b->t->n++;
    }
    b->t->bytes = at;
    return at == n;
}
// The operations as printed, "; " between them; without the instruction's number if it is 0.
static UNUSED const char *block_text(struct block *b)
{
    struct buf raw = {0};
    ir_print(&b->e.ir, &raw);
    buf_free(&b->text);
    b->text = (struct buf){0};
    for (const char *p = buf_text(&raw); *p;) {
        size_t n = strcspn(p, "\n");
        const char *q = p;
        if (!strncmp(p, "0 ", 2)) q += 2;
        if (b->text.len) buf_printf(&b->text, "; ");
        buf_add(&b->text, q, n - (size_t)(q - p));
        p += n + (p[n] == '\n');
    }
    buf_free(&raw);
    return buf_text(&b->text);
}
