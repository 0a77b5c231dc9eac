// SPDX-License-Identifier: MIT
// Single precision with SSE's rules; see sse_ops.h.
#define T      u32
#define P      f32
#define FORMAT fp_f32
#include "cpu/fpu/sse_ops.h"

u32 f64_to_f32(struct fenv_x *e, u64 a) { return convert(e, fpn_f64(a)); }
