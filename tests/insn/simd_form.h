// SPDX-License-Identifier: MIT
// Operands that are likely to show a fault of MMX, SSE and x87 (edge values of each lane type), and the bytes of an
// instruction made from its row of insn-simd.def. Numbers only: the same on every host.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "cpu/decode.h"

// ---- random operands: C leaves the order open in which an expression's parts ask rnd(), so they ask one by one
static u64 seed = 88172645463325252ull;
static u64 rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545F4914F6CDD1Dull;
}
static unsigned below(unsigned n) { return (unsigned)(rnd() >> 33) % n; }

static u32 float_value(void)
{
    static const u32 pool[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
                               0xffc12345, 0x7f812345, 0xff800001, 1,          0x80000001, 0x007fffff, 0x00800000,
                               0x80800000, 0x7f7fffff, 0xff7fffff, 0x00800001, 0x3effffff, 0x3f000000, 0x3f000001,
                               0x4effffff, 0x4f000000, 0xcf000000, 0x5f000000, 0xdf000000, 0x40490fdb, 0x3fc00000,
                               0x20000000, 0x60000000, 0x7e800000, 0x7f000000, 0xcf000001, 0x33800000, 0x01000000};
    u32 v;
    switch (below(5)) {
    case 0: return (u32)rnd();
    case 1: v = (u32)rnd() & 0x80ffffff; return v | (0x3f800000 + (below(64) << 23)); // about 1 to 2^64
    case 2: v = (u32)rnd() & 0x807fffff; return v | (127 - 20 + below(60)) << 23;
    default: return pool[below(ARRAY_LEN(pool))];
    }
}
static u64 double_value(void)
{
    static const u64 pool[] = {
        0,
        1ull << 63,
        0x3ff0000000000000,
        0xbff0000000000000,
        0x7ff0000000000000,
        0xfff0000000000000,
        0x7ff8000000000000,
        0xfff8123456789abc,
        0x7ff0000000000001,
        0xfff4000000000000,
        1,
        0x800fffffffffffff,
        0x000fffffffffffff,
        0x0010000000000000,
        0x7fefffffffffffff,
        0xffefffffffffffff,
        0x3fe0000000000000,
        0x41dfffffffc00000,
        0x41dfffffffe00000,
        0x41e0000000000000,
        0xc1e0000000000000,
        0xc1e0000000100000,
        0xc1e0000000200000,
        0x43e0000000000000,
        0xc3e0000000000000,
        0x43dfffffffffffff,
        0x3810000000000000,
        0x380fffffffffffff,
        0x36a0000000000000,
        0x47efffffe0000000,
        0x47efffffefffffff,
        0x47effffff0000000,
        0x47f0000000000000,
        0x400921fb54442d18,
        0x3fe0000000000001,
        0x4000000000000000,
    };
    u64 v;
    switch (below(5)) {
    case 0: return rnd();
    case 1: v = rnd() & 0x800fffffffffffff; return v | (u64)(1023 - 140 + below(280)) << 52;
    case 2: v = rnd() & 0x800fffffffffffff; return v | (u64)(1023 - 10 + below(80)) << 52;
    default: return pool[below(ARRAY_LEN(pool))];
    }
}
static void fill16(u8 *p)
{
    static const u8 edge[] = {0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 2};
    u32 d[4];
    u64 q[2];
    q[0] = rnd();
    q[1] = rnd();
    switch (below(11)) {
    case 0: break;
    case 1:
    case 2:
    case 3:
        for (int n = 0; n < 4; n++) d[n] = float_value();
        memcpy(q, d, 16);
        break;
    case 4:
    case 5:
    case 6: q[0] = double_value(), q[1] = double_value(); break;
    case 7:
        for (int n = 0; n < 16; n++) ((u8 *)q)[n] = edge[below(8)];
        break;
    case 8:
        for (int n = 0; n < 8; n++)
            ((u16 *)q)[n] = (u16)((u32[]){0, 0x7fff, 0x8000, 0xffff, 1, 0x8001, 0x00ff})[below(7)];
        break;
    case 9: // text: few letters, a terminator now and then
        for (int n = 0; n < 16; n++) ((u8 *)q)[n] = below(12) ? "aabcz\xe0"[below(6)] : 0;
        if (below(2))
            for (int n = 0; n < 8; n++) {
                u16 letter = below(10) ? (u16) "abc"[below(3)] : 0;
                ((u16 *)q)[n] = letter && !below(4) ? letter | 0xff00 : letter;
            }
        break;
    default: q[0] = below(80); break; // a shift count
    }
    memcpy(p, q, 16);
}
static u64 integer(void)
{
    u64 v;
    switch (below(5)) {
    case 0: return rnd();
    case 1: return (u64)(i64)(i32)rnd();
    case 2: return (u64)((i64)below(40) - 20);
    case 3:
        return (
            (u64[]){1ull << 63, (1ull << 63) - 1, 0x80000000, 0x7fffffff, 1ull << 53, (1ull << 24) + 1, 0})[below(7)];
    default: v = rnd(); return v >> below(64);
    }
}

// ---- an instruction's bytes from its row
struct form {
    u8 bytes[16];
    unsigned len;
    bool approx, mmx;
};

static unsigned reg_for(const char *code) // of an operand code
{
    if (strchr("PQN", code[0])) return below(8);
    if (strchr("VWU", code[0])) return below(16);
    unsigned r; // general register: not RSP, not RDI
    do r = below(16);
    while (r == R_RSP || r == R_RDI);
    return r;
}
static bool simd_build(const struct insn_row *row, bool mem, struct form *f)
{
    char ops[3][16] = {{0}};
    sscanf(row->operands, "%15[^,],%15[^,],%15[^,]", ops[0], ops[1], ops[2]);
    u8 pp = 0, op[4], nop = 0;
    int digit = -1, w = -1;
    char opcode[64];
    snprintf(opcode, sizeof opcode, "%s", row->opcode);
    for (char *t = strtok(opcode, " "); t; t = strtok(NULL, " ")) {
        if (!strcmp(t, "mem")) {
            if (!mem) return false;
        } else if (!strcmp(t, "mod3")) {
            if (mem) return false;
        } else if (t[0] == 'W') {
            w = t[1] - '0';
        } else if (t[0] == '/') {
            if (t[1] != 'r') digit = t[1] - '0';
        } else if (strcmp(t, "NP")) {
            u8 b = (u8)strtol(t, NULL, 16);
            if (!nop && !pp && (b == 0x66 || b == 0xf2 || b == 0xf3))
                pp = b;
            else
                op[nop++] = b;
        }
    }
    const char *rm = "", *reg = "";
    for (int k = 0; k < 3; k++) {
        if (strchr("EMWQUN", ops[k][0]) && ops[k][0]) rm = ops[k];
        if (strchr("GVP", ops[k][0]) && ops[k][0]) reg = ops[k];
    }
    bool modrm = *rm || *reg;
    if (mem && !modrm) return false;
    if (w < 0) w = strchr(row->operands, 'y') || strstr(row->name, "PCMPESTR") ? (int)below(2) : 0;
    unsigned r = digit >= 0 ? (unsigned)digit : *reg ? reg_for(reg) : 0, b = mem ? R_RDI : *rm ? reg_for(rm) : 0;
    memset(f, 0, sizeof *f);
    if (!below(4)) f->bytes[f->len++] = 0x67; // the page is below 4 GB: the general form instead of the flat one
    if (pp) f->bytes[f->len++] = pp;
    u8 rex = (u8)(w << 3 | (r >> 3) << 2 | b >> 3);
    if (rex || (!strcmp(rm, "Eb") && below(2))) f->bytes[f->len++] = 0x40 | rex;
    for (int k = 0; k < nop; k++) f->bytes[f->len++] = op[k];
    if (modrm) f->bytes[f->len++] = (u8)((mem ? 0 : 0xc0) | (r & 7) << 3 | (b & 7));
    if (strstr(row->operands, ",Ib")) f->bytes[f->len++] = below(3) ? (u8)rnd() : (u8)below(20);
    f->mmx = row->attr & A_MMX;
    f->approx = strstr(row->name, "RCP") || strstr(row->name, "RSQRT");
    return true;
}
