// SPDX-License-Identifier: MIT
// The translator in place of the interpreter's functions, for suites that execute single instructions on a struct cpu
// of their own: translated at once, in blocks of one instruction.
#pragma once
#include "cpu/hook.h"
#include "mem/base/err.h"
#include "tcg/tcg.h"

static UNUSED struct tcg_config translated_config;
static UNUSED struct cpu_engine translated_engine;

static UNUSED void translated_engine_set(bool opt)
{
    translated_config = tcg_default_config;
    translated_config.size = TCG_SIZE_MIN;
    translated_config.cold = 0;
    translated_config.one_insn = true;
    translated_config.no_opt = !opt;
    translated_engine = tcg_engine;
    translated_engine.config = &translated_config;
}
static UNUSED void translated_open(struct cpu *c, bool opt)
{
    translated_engine_set(opt);
    c->engine = &translated_engine;
    if (!c->trail) c->trail = xalloc(sizeof *c->trail);
    c->engine_data = translated_engine.create(c);
}
// Runs n instructions from RIP; c->fault is set. Faults leave RIP behind the instruction, as the interpreter's
// functions do.
static UNUSED void translated_run(struct cpu *c, u64 n)
{
    c->icount = 0;
    c->icount_limit = n;
    cpu_set_jump_context(c);
    c->engine->run(c);
}
