// SPDX-License-Identifier: MIT
// tb_compile(): the passes in order.
#include "mem/base/buf.h"
#include "mem/base/err.h"
#include "tcg/tcg.h"

#ifdef DEBUG
enum { DEBUGGING = 1 };
#else
enum { DEBUGGING = 0 };
#endif

static void verify(const struct ir *b, const char *pass)
{
#ifdef DEBUG
    u32 at;
    const char *bad = ir_verify(b, &at);
    if (!bad) return;
    struct buf text = {0};
    ir_print(b, &text);
    panic("tcg: %s made wrong code: operation %u: %s\n%s", pass, at, bad, buf_text(&text));
#endif
}

static void log_ops(struct compile_env *e, const char *title)
{
    if (!e->log) return;
    buf_printf(e->log, "%s:\n", title);
    ir_print(&e->ir, e->log);
}

bool tb_compile(struct compile_env *e, const struct tb *t, struct tb_code *out)
{
    tb_front(e, t);
    verify(&e->ir, "front");
    log_ops(e, "OP");
    if (host_reads_liveness || e->log || DEBUGGING)
        opt_flags(e, t);
    else
        opt_bare(e);
    verify(&e->ir, "opt_flags");
    log_ops(e, "OP after optimization");
    return host_emit(e, t, out);
}
