// SPDX-License-Identifier: MIT
// cpu_run(): the loop. Between instructions it looks at what asks for attention, in the order of SDM vol. 3 table 6-2;
// all else is the engine's. A fault anywhere below longjmps here.
#include "cpu/access.h"
#include "cpu/decode.h"
#include "cpu/hook.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"

u64 cpu_icount(const struct cpu *c) { return c->icount + (c->engine ? c->engine->progress((struct cpu *)c) : 0); }

// After a longjmp: the instruction that raised did not happen.
static void unwind(struct cpu *c)
{
    c->icount += c->engine->progress(c);
    if (c->cur && !c->exc_here) c->gpr[R_RIP] = c->engine->fault_rip(c);
    c->exc_here = false;
    c->fault_page = 0;
    if (!cpu_code64(c)) c->gpr[R_RIP] = (u32)c->gpr[R_RIP];
    c->cur = NULL;
}

// An event has been delivered. If no instruction has been since the one before, it takes an instruction's time:
// handlers that fault at once, on a stack that wraps, would never come to an end of their turn.
static void count_event(struct cpu *c)
{
    c->event_row = c->icount == c->event_at;
    c->icount += c->event_row;
    c->event_at = c->icount;
}

static bool wake(struct cpu *c)
{
    u32 a = c->attn & ~c->attn_hold;
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
        c->exc_has_err = false; // run() delivers it: DR6 is set from dr6_pending
        return false;
    }
    if (!shadow && (c->attn & ~c->attn_hold & ATTN_NMI) && !c->nmi_blocked) {
        c->attn &= ~ATTN_NMI;
        c->nmi_blocked = true;
        int_deliver(c, EXC_NMI, INT_NMI, false, 0);
        count_event(c);
        return false;
    }
    if (!shadow && (c->attn & ~c->attn_hold & ATTN_INTR) && (c->eflags & FL_IF)) {
        int v = c->pins.inta(c->pins.owner, c->index);
        if (v >= 0) {
            trace(&c->bus->log, cpu_interrupt, v, c->gpr[R_RIP]);
            int_deliver(c, v, INT_HW, false, 0);
            count_event(c);
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
    if (unlikely(cpu_virtual_interrupt(c))) cpu_raise_err(c, EXC_GP, 0);
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

// A debugger's word on the instruction that step() would execute: true = stop before it. What the engines' blocks ask
// for themselves is asked here for single instructions.
static bool stop_before(struct cpu *c)
{
    u64 lin = c->gpr[R_RIP] + (cpu_code64(c) ? 0 : c->seg[S_CS].base), pa;
    const struct cpu_hooks *h = c->hooks;
    if (!cpu_code64(c)) lin = (u32)lin;
    if (h->each && h->insn(c, lin)) return true;
    if (!mmu_peek(c, lin, &pa)) pa = ~(u64)0;
    return hook_marked(h, lin, pa) && h->code(c, lin);
}

// Is RF, from an IRET, all that asks for a step? Then nothing that it could hold back is there, and no image of EFLAGS
// shows whether it lives for the next instruction: a fault sets it there anyway, so does the middle of a string
// instruction, and all else clears it first, as step() does. So it need not be stepped.
static bool rf_alone(struct cpu *c)
{
    return !(c->dr[7] & 0xff) && !(c->eflags & FL_TF) && !c->hooks && !cpu_virtual_interrupt(c);
}

static enum cpu_stop run(struct cpu *c)
{
    for (;;) {
        if (c->exc >= 0) {
            if (unlikely(c->hooks != NULL) && c->hooks->fault && c->hooks->fault(c)) return CPU_STOP_EXIT;
            int_exception(c);
            count_event(c);
        }
        c->exc_first = -1;
        if (unlikely(c->event_row) && c->icount == c->event_at && c->icount >= c->icount_limit) return CPU_STOP_BUDGET;
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
                bool over = c->icount >= c->icount_limit, leave = c->attn & ATTN_EXIT;
                if (over || leave || (unlikely(c->hooks != NULL) && stop_before(c))) {
                    if (shadow) c->attn |= ATTN_SHADOW; // it outlives the slice
                    c->attn &= ~(u32)ATTN_EXIT;
                    return over && !leave ? CPU_STOP_BUDGET : CPU_STOP_EXIT;
                }
                if (shadow || !rf_alone(c)) {
                    if (unlikely(c->trail->blocks_on))
                        trail_block(c->trail, c->seg[S_CS].base + c->gpr[R_RIP], 0, c->mode);
                    step(c, shadow);
                    continue;
                }
                c->eflags &= ~FL_RF;
                c->attn &= ~(u32)ATTN_DEBUG;
            }
            if ((c->attn & cpu_attn_mask(c) & ~ATTN_EXIT) || c->halt != CPU_RUNNING || c->exc >= 0) continue;
        }
        if (c->attn & ATTN_EXIT) {
            c->attn &= ~ATTN_EXIT;
            return CPU_STOP_EXIT;
        }
        if (c->icount + c->slack_now >= c->icount_limit) return CPU_STOP_BUDGET;
        c->rep_middle = false;
        c->engine->run(c);
    }
}

enum cpu_stop cpu_run(struct cpu *c, u64 budget)
{
    jmp_buf fault, *outer = c->fault;
    c->fault = &fault;
    u64 limit = c->icount + budget;
    c->icount_limit = min_u64(limit, max_u64(c->icount_stop, c->icount));
    c->slack_now = c->icount_stop < limit || budget < 16 * c->slack ? 0 : c->slack;
    c->bus->cur_cpu = c->index;
    if (setjmp(fault)) unwind(c);
    enum cpu_stop why = run(c);
    c->fault = outer;
    if (unlikely(c->icount >= c->icount_stop)) {
        c->icount_limit = limit;
        cpu_hook(c, HOOK_ICOUNT, 0, 0, 0);
        return CPU_STOP_EXIT;
    }
    return why;
}
