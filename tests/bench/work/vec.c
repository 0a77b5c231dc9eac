// SPDX-License-Identifier: MIT
// Loops that a compiler turns into vector code: vec PART. Built with gcc -O2, gcc -O3 and clang -O3 for a plain x86-64.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
enum { N = 4096 };
static float fa[N], fb[N], fc[N];
static double da[N], db[N], dc[N];
static int32_t ia[N], ib[N];
static uint8_t ba[N], bb[N];
static int16_t sa[N], sb[N];

static double floats(void)
{
    float s = 0;
    for (int r = 0; r < 12000; r++) {
        for (int i = 0; i < N; i++) fc[i] = fa[i] * fb[i] + fc[i] * 0.5f;
        for (int i = 0; i < N; i++) fa[i] = fc[i] > 8 ? fc[i] - 8 : fc[i] + 0.25f;
    }
    for (int i = 0; i < N; i++) s += fa[i];
    return s;
}

static double doubles(void)
{
    double s = 0;
    for (int r = 0; r < 8000; r++) {
        for (int i = 1; i < N - 1; i++)
            dc[i] = (da[i - 1] + da[i] * 2 + da[i + 1]) * 0.25 + db[i] / (1 + dc[i] * dc[i]);
        memcpy(da, dc, sizeof da);
    }
    for (int i = 0; i < N; i++) s += da[i];
    return s;
}

static double ints(void)
{
    int64_t s = 0;
    for (int r = 0; r < 12000; r++) {
        for (int i = 0; i < N; i++) ia[i] = (ia[i] ^ ib[i]) + (ia[i] >> 3) * 5;
        for (int i = 0; i < N; i++) ib[i] = ia[i] < ib[i] ? ia[i] : ib[i] + r;
    }
    for (int i = 0; i < N; i++) s += ia[i] - ib[i];
    return s;
}

static double bytes(void)
{
    int64_t s = 0;
    for (int r = 0; r < 30000; r++) {
        int t = 0;
        for (int i = 0; i < N; i++) ba[i] = (ba[i] + bb[i] + 1) / 2 ^ r;
        for (int i = 0; i < N; i++) sa[i] = sa[i] * sb[i] + ba[i];
        for (int i = 0; i < N; i++) t += ba[i] > bb[i] ? ba[i] - bb[i] : bb[i] - ba[i];
        s += t + sa[r % N];
    }
    return s;
}

static double convert(void)
{
    double s = 0;
    for (int r = 0; r < 8000; r++) {
        for (int i = 0; i < N; i++) fa[i] = ia[i] * 0.001f;
        for (int i = 0; i < N; i++) da[i] = fa[i] + sa[i];
        for (int i = 0; i < N; i++) ia[i] = (int32_t)(da[i] * 2) + r;
        s += da[r % N];
    }
    return s;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < N; i++) {
        fa[i] = i % 13, fb[i] = i % 7 * 0.1f, fc[i] = i % 3, da[i] = i % 17, db[i] = i % 5, dc[i] = i & 1,
        ia[i] = i * 7919;
        ib[i] = i * 31 - 5000, ba[i] = i * 7, bb[i] = i * 13, sa[i] = i * 3, sb[i] = i * 5 | 1;
    }
    const char *p = argc > 1 ? argv[1] : "";
    double s = *p == 'f' ? floats() : *p == 'd' ? doubles() : *p == 'i' ? ints() : *p == 'b' ? bytes() : convert();
    printf("%.9g\n", s);
}
