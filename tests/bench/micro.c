// SPDX-License-Identifier: MIT
// Fixed work for the measured guest where ../shared/bench is not at hand: `micro NAME` prints a check sum that must be
// the same on every machine.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static unsigned ackermann(unsigned m, unsigned n)
{
    return !m ? n + 1 : !n ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}
static uint32_t collatz(uint32_t upto) // steps of the longest way to 1
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < upto; i++) {
        uint32_t steps = 0;
        for (uint64_t n = i; n != 1; steps++) n = n & 1 ? 3 * n + 1 : n / 2;
        if (steps > best) best = steps;
    }
    return best;
}
static double matrix(unsigned n, unsigned rounds)
{
    double *a = malloc(3 * n * n * sizeof *a), *b = a + n * n, *c = b + n * n, sum = 0;
    for (unsigned i = 0; i < n * n; i++) a[i] = i % 17 * 0.25, b[i] = i % 13 * 0.5;
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < n; i++)
            for (unsigned j = 0; j < n; j++) {
                double s = 0;
                for (unsigned k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j];
                c[i * n + j] = s;
            }
    for (unsigned i = 0; i < n * n; i++) sum += sqrt(c[i]);
    return sum;
}
static long kernel_calls(unsigned n)
{
    long sum = 0;
    for (unsigned i = 0; i < n; i++) sum += syscall(SYS_getppid) >= 0;
    return sum;
}
static unsigned touch_pages(unsigned rounds)
{
    unsigned sum = 0;
    for (unsigned r = 0; r < rounds; r++) {
        volatile char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (unsigned i = 0; i < 256; i++) sum += p[i << 12] = (char)i;
        munmap((void *)p, 1 << 20);
    }
    return sum;
}
static unsigned copies(unsigned rounds)
{
    size_t n = 4 << 20;
    char *a = malloc(n), *b = malloc(n);
    unsigned sum = 0;
    memset(a, 3, n);
    for (unsigned r = 0; r < rounds; r++) {
        memcpy(b, a, n);
        a[r * 4099 % n]++;
        sum += (unsigned char)b[r * 31];
    }
    return sum;
}
int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "calls")) return printf("%u\n", ackermann(3, 10)), 0;
    if (!strcmp(name, "integer")) return printf("%u\n", collatz(3000000)), 0;
    if (!strcmp(name, "float")) return printf("%.6f\n", matrix(160, 60)), 0;
    if (!strcmp(name, "syscall")) return printf("%ld\n", kernel_calls(1000000)), 0;
    if (!strcmp(name, "fault")) return printf("%u\n", touch_pages(400)), 0;
    if (!strcmp(name, "copy")) return printf("%u\n", copies(600)), 0;
    fprintf(stderr, "micro: nothing is called %s\n", name);
    return 2;
}
