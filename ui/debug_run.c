// SPDX-License-Identifier: MIT
// Stepping: single instructions, over calls, out of functions, to an address; and what a stop looks like in words.
// Nothing here touches the guest's TF, RF, debug registers or interrupt shadow: a step is a slice of one instruction.
#include <stdio.h>
#include <string.h>
#include "cpu/decode.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "mem/base/bits.h"
#include "ui/debug_int.h"
#include "ui/loop.h"
#include "ui/monitor.h"
#include "ui/vm.h"

// The instruction at RIP; false if it cannot be read or is none.
static bool insn_at(struct cpu *c, u64 lin, struct insn *i)
{
    u8 code[15];
    unsigned n = 15;
    while (n && !mmu_debug_read(c, lin, code, n)) n--;
    memset(i, 0, sizeof *i);
    return n && decode(c->decoder, code, n, c->mode & MODE_CODE, i) == DECODE_OK;
}

// ---- single steps

static enum stop_kind steps(unsigned cpu, u64 n, bool events)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    for (unsigned idle = 0; n;) {
        u64 before = cpu_icount(c);
        enum machine_stop why = machine_step(&vm.pc->m, cpu, events);
        bool moved = cpu_icount(c) != before;
        n -= moved;
        idle = moved ? 0 : idle + 1;
        if (dbg.pending) {
            dbg.pending = false;
            return dbg.stop.kind;
        }
        if (why == MACHINE_RESET) return STOP_RESET;
        if (why == MACHINE_POWEROFF) return STOP_POWEROFF;
        if (why == MACHINE_EXIT) {
            vm_quit(vm.pc->m.exit_code);
            return STOP_STEP;
        }
        if (idle > 1000 || (idle && clock_next(&vm.pc->m.bus.clock) == ~(u64)0)) return STOP_HALT;
    }
    return STOP_STEP;
}

static void finish_stop(enum stop_kind k, unsigned cpu)
{
    if (k != STOP_POINT) dbg.stop = (struct debug_stop){.kind = k, .cpu = cpu};
    struct cpu *c = vm.pc->m.cpu[dbg.stop.cpu];
    dbg.stop.rip = c->gpr[R_RIP];
    dbg.stop.lin = debug_linear(c);
    if (k == STOP_POINT) {
        struct debug_point *p = debug_find(dbg.stop.id);
        if (p && p->temporary) debug_delete(p->id);
    }
}

enum stop_kind debug_step(unsigned cpu, u64 n, unsigned flags)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    if (!vm.paused) vm_stop();
    debug_resuming();
    if (flags & STEP_HOLD) cpu_hold_interrupts(c, true);
    dbg.stepping = true;
    enum stop_kind k = steps(cpu, n, !(flags & STEP_NO_TIMER));
    dbg.stepping = false;
    cpu_hold_interrupts(c, false);
    finish_stop(k, cpu);
    if (k == STOP_RESET) vm_after_reset();
    return k;
}

// ---- running until something

bool debug_wait(u64 ns)
{
    u64 end = loop_now_ns() + ns;
    bool outer = dbg.waiting;
    dbg.waiting = true;
    dbg.cancel = false;
    while (!vm.paused && !vm.quit && !dbg.cancel && loop_now_ns() < end) vm_round();
    dbg.waiting = outer;
    return vm.paused || vm.quit;
}

void debug_cancel(void) { dbg.cancel = dbg.waiting; }

static bool may_run(struct err *e)
{
    if (!dbg.waiting) return true;
    return err_set(e, "another command waits for the machine to stop (`stop` ends that)");
}

static bool run_to(unsigned cpu, u64 lin, u64 sp, struct err *e)
{
    struct debug_point p = {.kind = POINT_CODE, .first = lin, .cpu = (int)cpu, .sp = sp, .internal = true};
    if (!may_run(e)) return false;
    if (!vm.paused) vm_stop();
    if (!debug_add(&p, e)) return false;
    vm_cont();
    debug_wait(~(u64)0 >> 1);
    debug_delete_internal();
    return true;
}

static bool steps_over(const struct insn *i)
{
    switch (i->op) {
    case OP_CALL_Jz:
    case OP_CALL_Ev:
    case OP_CALL_Ap:
    case OP_CALL_Mp:
    case OP_INT_Ib:
    case OP_INT3:
    case OP_INTO:
    case OP_SYSCALL: return true; // SYSEXIT returns elsewhere
    default: return false;
    }
}

bool debug_next(unsigned cpu, unsigned flags, struct err *e)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    struct insn i;
    if (!may_run(e)) return false;
    if (!vm.paused) vm_stop();
    u64 lin = debug_linear(c);
    if (!insn_at(c, lin, &i) || !steps_over(&i)) {
        debug_step(cpu, 1, flags);
        return true;
    }
    u64 next = lin + i.len;
    return run_to(cpu, cpu_code64(c) ? next : (u32)next, debug_sp(c), e);
}

bool debug_until(unsigned cpu, u64 lin, struct err *e) { return run_to(cpu, lin, 0, e); }

// Called before each instruction while a `finish` is under way.
bool debug_finish_insn(struct cpu *c)
{
    struct insn i;
    if (c->index != dbg.finish.cpu) return false;
    if (dbg.finish.returning) {
        struct debug_stop s = {.kind = STOP_STEP, .cpu = c->index};
        debug_request(&s);
        return true;
    }
    if (!insn_at(c, debug_linear(c), &i)) return false;
    bool iret = i.op == OP_IRET;
    if (!iret && i.op != OP_RET && i.op != OP_RET_Iw && i.op != OP_RETF && i.op != OP_RETF_Iw) return false;
    if (iret && dbg.finish.depth > 0) {
        dbg.finish.depth--;
        return false;
    }
    // Ours is the first return at or above the stack pointer of the start, at its privilege.
    dbg.finish.returning = dbg.finish.depth <= 0 && c->cpl == dbg.finish.cpl && debug_sp(c) - dbg.finish.sp < 65536;
    return false;
}

bool debug_finish(unsigned cpu, struct err *e)
{
    struct cpu *c = vm.pc->m.cpu[cpu];
    if (!may_run(e)) return false;
    if (!vm.paused) vm_stop();
    dbg.finish.on = true;
    dbg.finish.returning = false;
    dbg.finish.cpu = cpu;
    dbg.finish.cpl = c->cpl;
    dbg.finish.sp = debug_sp(c);
    dbg.finish.depth = 0;
    dbg.at[cpu].insn[1] = ~(u64)0;
    debug_changed();
    vm_cont();
    debug_wait(~(u64)0 >> 1);
    dbg.finish.on = false;
    debug_changed();
    return true;
}

// ---- words

void debug_disas_line(struct cpu *c, u64 lin, struct buf *out)
{
    u8 code[15] = {0};
    unsigned k = 15;
    char text[128];
    while (k && !mmu_debug_read(c, lin, code, k)) k--;
    if (k) disas(c, lin, code, k, text, sizeof text);
    if (cpu_code64(c))
        buf_printf(out, "%016llx  %s", (unsigned long long)c->gpr[R_RIP], k ? text : "(no memory)");
    else
        buf_printf(out, "%04x:%08llx  %s", c->seg[S_CS].sel, (unsigned long long)c->gpr[R_RIP],
                   k ? text : "(no memory)");
}

static const char *mode_text(u64 mode)
{
    if (mode & MODE_VM) return "virtual-8086";
    if (!(mode & MODE_PE)) return (mode & MODE_CODE) == MODE_32 ? "real (big)" : "real";
    if (mode & MODE_LMA)
        return (mode & MODE_CODE) == MODE_64   ? "64-bit"
               : (mode & MODE_CODE) == MODE_32 ? "compatibility, 32-bit"
                                               : "compatibility, 16-bit";
    return (mode & MODE_CODE) == MODE_32 ? "protected, 32-bit" : "protected, 16-bit";
}

static void point_text(const struct debug_stop *s, struct buf *out)
{
    typedef unsigned long long ull;
    static const char *const ints[] = {"hardware", "INT n", "INT3/INTO", "INT1", "exception", "NMI"};
    switch (s->point) {
    case POINT_WATCH:
    case POINT_WATCH_PHYS:
        buf_printf(out, ": %s of %u bytes at %s0x%llx", s->write ? "write" : "read", s->size,
                   s->point == POINT_WATCH ? "" : "physical ", (ull)s->addr);
        if (s->write)
            buf_printf(out, ", 0x%llx -> 0x%llx", (ull)s->old, (ull)s->value);
        else
            buf_printf(out, ", 0x%llx", (ull)s->value);
        buf_printf(out, "%s", s->by == BY_DMA ? ", by DMA" : s->by == BY_WALK ? ", by a page walk" : "");
        break;
    case POINT_IO:
        buf_printf(out, ": %s port 0x%llx, %u bytes, 0x%llx", s->write ? "out to" : "in from", (ull)s->addr, s->size,
                   (ull)s->value);
        break;
    case POINT_EXCEPTION:
        buf_printf(out, ": vector 0x%02x, error code 0x%x", s->vector, s->err);
        if (s->vector == EXC_PF) buf_printf(out, ", address 0x%llx", (ull)s->addr);
        break;
    case POINT_INT: buf_printf(out, ": vector 0x%02x (%s)", s->vector, ints[s->int_kind % 6]); break;
    case POINT_CR:
        buf_printf(out, s->addr == 16 ? ": efer" : ": cr%llu", (ull)s->addr);
        buf_printf(out, " 0x%llx -> 0x%llx", (ull)s->old, (ull)s->value);
        break;
    case POINT_MODE: buf_printf(out, ": %s -> %s", mode_text(s->old), mode_text(s->value)); break;
    case POINT_ICOUNT: buf_printf(out, ": %llu", (ull)s->value); break;
    case POINT_TIME: buf_printf(out, ": %llu ns", (ull)s->value); break;
    default: break;
    }
    if (*s->text) buf_printf(out, ": %s", s->text);
}

void debug_stop_text(const struct debug_stop *s, struct buf *out)
{
    static const char *const why[] = {"not stopped", "stopped", "", "", "halted", "reset", "powered off"};
    if (s->kind == STOP_NONE) {
        buf_printf(out, "not stopped by the debugger yet\n");
        return;
    }
    if (s->kind == STOP_POINT) {
        const struct debug_point *q = debug_find(s->id);
        buf_printf(out, "%s %u", debug_kind_name(s->point), s->id);
        if (q && q->cond) buf_printf(out, " (if %s)", q->cond);
        point_text(s, out);
        buf_printf(out, "\n");
    } else if (*why[s->kind]) {
        buf_printf(out, "%s\n", why[s->kind]);
    }
    struct cpu *c = vm.pc->m.cpu[s->cpu < vm.pc->m.ncpus ? s->cpu : 0];
    if (vm.pc->m.ncpus > 1) buf_printf(out, "CPU %u: ", c->index);
    debug_disas_line(c, debug_linear(c), out);
    if (c->halt != CPU_RUNNING) buf_printf(out, "   (halted)");
    buf_printf(out, "\n");
}
