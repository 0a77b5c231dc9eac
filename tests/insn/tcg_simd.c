// SPDX-License-Identifier: MIT
// The suite of simd.c, executed by translated code: MMX and SSE on the host's registers against the host itself.
#define TRANSLATED
#include "tests/insn/simd.c"
