// SPDX-License-Identifier: MIT
// Double precision with SSE's rules; see sse_ops.h.
#define T      u64
#define P      f64
#define FORMAT fp_f64
#include "cpu/fpu/sse_ops.h"

u64 f32_to_f64(struct fenv_x *e, u32 a) { return convert(e, fpn_f32(a)); }
