// SPDX-License-Identifier: MIT
// cpu_run(): the loop. Between instructions it looks at what asks for attention, in the order of SDM vol. 3 table 6-2;
// all else is the engine's. A fault anywhere below longjmps here.
#include "cpu/access.h"
#include "cpu/decode.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

u64 cpu_icount(const struct cpu *c) { return c->icount + (c->engine ? c->engine->progress((struct cpu *)c) : 0); }

// After a longjmp: the instruction that raised did not happen.
static void unwind(struct cpu *c)
{
    c->icount += c->engine->progress(c);
    if (c->cur && !c->exc_here) c->gpr[R_RIP] = c->engine->fault_rip(c);
    c->exc_here = false;
    if (!cpu_code64(c)) c->gpr[R_RIP] = (u32)c->gpr[R_RIP];
    c->cur = NULL;
}

static bool wake(struct cpu *c)
{
    u32 a = c->attn;
    if (c->halt == CPU_WAIT_SIPI) return a & (ATTN_SIPI | ATTN_INIT);
    if (c->halt == CPU_SHUTDOWN) return a & (ATTN_INIT | ATTN_NMI);
    return (a & (ATTN_INIT | ATTN_SMI)) || ((a & ATTN_NMI) && !c->nmi_blocked) ||
           ((a & ATTN_INTR) && (c->eflags & FL_IF)) || (a & ATTN_TRAP);
}

static void startup(struct cpu *c)
{
    c->attn &= ~ATTN_SIPI;
    if (c->halt != CPU_WAIT_SIPI) return;
    c->halt = CPU_RUNNING;
    seg_load_real(c, S_CS, c->sipi_vector << 8);
    c->gpr[R_RIP] = 0;
}

// One round of attention; true if an instruction must be stepped alone now.
static bool attend(struct cpu *c)
{
    u32 shadow = c->attn & ATTN_SHADOW;
    c->attn &= ~(ATTN_CODE | ATTN_SHADOW);
    if (c->attn & ATTN_INIT) {
        c->attn &= ~ATTN_INIT;
        cpu_init_signal(c);
        return false;
    }
    if (c->attn & ATTN_SIPI) {
        startup(c);
        return false;
    }
    if ((c->attn & ATTN_TRAP) && !(shadow && c->inhibit_db)) {
        c->attn &= ~ATTN_TRAP;
        c->exc = EXC_DB;
        c->exc_has_err = false;
        int_exception(c); // sets DR6 from dr6_pending
        return false;
    }
    if (!shadow && (c->attn & ATTN_NMI) && !c->nmi_blocked) {
        c->attn &= ~ATTN_NMI;
        c->nmi_blocked = true;
        int_deliver(c, EXC_NMI, INT_NMI, false, 0);
        return false;
    }
    if (!shadow && (c->attn & ATTN_INTR) && (c->eflags & FL_IF)) {
        int v = c->pins.inta(c->pins.owner, c->index);
        if (v >= 0) {
            trace(&c->bus->log, cpu_interrupt, v, c->gpr[R_RIP]);
            int_deliver(c, v, INT_HW, false, 0);
        }
        return false;
    }
    if (!shadow) c->inhibit_db = false;
    return shadow || (c->attn & ATTN_DEBUG);
}

// One instruction with TF, RF and instruction breakpoints observed. RF lives for one completed instruction: it is gone
// before that executes, so that an IRET may set it for the next one (SDM vol. 3 17.3.1.1).
static void step(struct cpu *c, bool shadow)
{
    u32 rf = c->eflags & FL_RF;
    bool tf = c->eflags & FL_TF;
    u64 lin = (cpu_code64(c) ? 0 : c->seg[S_CS].base) + c->gpr[R_RIP], before = c->icount;
    if ((c->dr[7] & 0xff) && !(c->inhibit_db && shadow)) debug_check_insn(c, cpu_code64(c) ? lin : (u32)lin);
    c->eflags &= ~FL_RF;
    c->no_step = false;
    c->rep_middle = false;
    c->engine->step(c);
    if (c->icount == before) c->eflags |= rf; // a string instruction goes on
    if (rf) cpu_update_mode(c);
    if (tf && !c->no_step) {
        c->dr6_pending |= 1 << 14;
        c->attn |= ATTN_TRAP;
    }
}

static enum cpu_stop run(struct cpu *c)
{
    for (;;) {
        if (c->exc >= 0) int_exception(c);
        c->exc_first = -1;
        if (unlikely(c->halt != CPU_RUNNING)) {
            if (c->attn & ATTN_EXIT) {
                c->attn &= ~ATTN_EXIT;
                return CPU_STOP_EXIT;
            }
            if (!wake(c)) return c->halt == CPU_SHUTDOWN ? CPU_STOP_SHUTDOWN : CPU_STOP_HALT;
            if (c->halt != CPU_WAIT_SIPI) c->halt = CPU_RUNNING;
        }
        if (c->attn & ~ATTN_EXIT) {
            bool shadow = c->attn & ATTN_SHADOW;
            if (attend(c)) {
                if (c->icount >= c->icount_limit) { // the shadow outlives the slice
                    if (shadow) c->attn |= ATTN_SHADOW;
                    return CPU_STOP_BUDGET;
                }
                step(c, shadow);
                continue;
            }
            if ((c->attn & cpu_attn_mask(c) & ~ATTN_EXIT) || c->halt != CPU_RUNNING) continue;
        }
        if (c->attn & ATTN_EXIT) {
            c->attn &= ~ATTN_EXIT;
            return CPU_STOP_EXIT;
        }
        if (c->icount >= c->icount_limit) return CPU_STOP_BUDGET;
        c->rep_middle = false;
        c->engine->run(c);
    }
}

enum cpu_stop cpu_run(struct cpu *c, u64 budget)
{
    jmp_buf fault, *outer = c->fault;
    c->fault = &fault;
    c->icount_limit = c->icount + budget;
    c->bus->cur_cpu = c->index;
    if (setjmp(fault)) unwind(c);
    enum cpu_stop why = run(c);
    c->fault = outer;
    return why;
}
