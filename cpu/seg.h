// SPDX-License-Identifier: MIT
// Segments, far transfers, interrupts, tasks, system registers: what instructions of both engines call. Each raises the
// faults that the manual lists and changes nothing before the last check (commit late).
#pragma once
#include "cpu/cpu.h"

// ---- cpu/seg.c
struct desc {
    u32 lo, hi; // as in memory
    u64 base;   // 64-bit for system descriptors in long mode
    u32 limit;
    u16 attr; // SEG_*
};
void seg_update(struct cpu *c, unsigned seg);             // derives rend, wend, usable checks, mode
void seg_load_real(struct cpu *c, unsigned seg, u16 sel); // real and virtual-8086 mode
void seg_load(struct cpu *c, unsigned seg, u16 sel);      // MOV Sreg, POP Sreg, LDS …: ES, SS, DS, FS, GS in any mode
void seg_load_ldt(struct cpu *c, u16 sel);                // LLDT
void seg_load_tr(struct cpu *c, u16 sel);                 // LTR
// LAR, LSL, VERR, VERW: false = ZF 0.
bool seg_lar(struct cpu *c, u16 sel, u32 *rights);
bool seg_lsl(struct cpu *c, u16 sel, u32 *limit);
bool seg_verify(struct cpu *c, u16 sel, bool write);
bool seg_read_desc(struct cpu *c, u16 sel, struct desc *d,
                   bool *ok_limit); // raw look-up for debuggers and the above; no raise but #PF
void seg_set_flat64(struct cpu *c, unsigned seg, u16 sel, bool code, unsigned dpl,
                    bool long_mode); // SYSCALL, SYSENTER …
void seg_set_ip(struct cpu *c, u64 rip,
                unsigned opsize); // near branches: cuts to opsize, checks limit or canonical (#GP(0)); opsize 2, 4, 8
// Raises vector with a selector's error code (EXT set while an outside event is delivered).
NORETURN void seg_fault(struct cpu *c, int vector, u32 sel);
// Address of a descriptor; false if it lies beyond its table (LDT null included). `n`: bytes wanted, 8 or 16.
bool seg_desc_addr(struct cpu *c, u16 sel, unsigned n, u64 *lin);
void seg_decode(struct desc *d, u32 lo, u32 hi);
// Sets the accessed bit in memory and in *d unless it is set.
void seg_touch(struct cpu *c, u16 sel, struct desc *d);
// Puts a descriptor into a segment register, no checks, and derives; null: unusable.
void seg_install(struct cpu *c, unsigned seg, u16 sel, const struct desc *d);
void seg_install_null(struct cpu *c, unsigned seg, u16 sel);
// Data segments that the new, outer CPL may not use become null (RET, IRET).
void seg_drop_inner(struct cpu *c);
// Is [ea, ea+n) inside the limit (expand-down included)? Legacy segments only.
bool seg_in_limit(const struct seg *s, u64 ea, unsigned n);
INLINE bool sel_null(u16 sel) { return (sel & 0xfffc) == 0; }
INLINE unsigned attr_dpl(u16 attr) { return attr >> 5 & 3; }
INLINE bool attr_is_code(u16 attr) { return (attr & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE); }
INLINE bool attr_is_data(u16 attr) { return (attr & (SEG_S | SEG_CODE)) == SEG_S; }
INLINE bool lin_canonical(u64 lin) { return (u64)((i64)(lin << 16) >> 16) == lin; }
INLINE bool cpu_lma(const struct cpu *c) { return c->efer & EFER_LMA; }
// Several pushes that are checked together before the first byte moves: on the present stack, or on one to come.
struct frame {
    struct seg ss; // a copy: of the stack to push to
    u64 sp;
    unsigned size, n; // of a slot; slots
    bool present;     // the current stack at the current privilege
    bool flat;        // 64-bit stack
    u32 err;          // of #SS when there is no room
    u64 v[44];
};
void frame_present(struct cpu *c, struct frame *f, unsigned size);
INLINE void frame_push(struct frame *f, u64 v) { f->v[f->n++] = v; }
void frame_check(struct cpu *c, struct frame *f); // room, then page faults
u64 frame_commit(struct cpu *c, struct frame *f); // after frame_check: writes, returns the new RSP (upper bits kept)
// ---- stack (seg.c): size 2, 4 or 8
void stack_push(struct cpu *c, u64 v, unsigned size);
u64 stack_peek(struct cpu *c, unsigned off, unsigned size);
void stack_add(struct cpu *c, i64 n); // RSP, ESP or SP by the stack size
// ---- cpu/far.c
void far_jmp(struct cpu *c, u16 sel, u64 off, unsigned opsize);
void far_call(struct cpu *c, u16 sel, u64 off, unsigned opsize);
void far_ret(struct cpu *c, unsigned opsize, u16 pop_bytes);
void far_iret(struct cpu *c, unsigned opsize);
void far_syscall(struct cpu *c);
void far_sysret(struct cpu *c, unsigned opsize);
void far_sysenter(struct cpu *c);
void far_sysexit(struct cpu *c, unsigned opsize);
// ---- cpu/repeat.c
// Delivers as the last time, or returns false with nothing changed; flags: the image.
bool repeat_int(struct cpu *c, int vector, bool soft, u32 flags, bool has_err, u32 err);
bool repeat_iret(struct cpu *c, unsigned opsize, u32 mask); // mask: the flags that it may write
// What has just been done, from level `from`. ss: NULL if SS has not been loaded.
void repeat_note_int(struct cpu *c, int vector, bool soft, unsigned from, const u64 gate[2], const struct desc *cs,
                     const struct desc *ss);
void repeat_note_iret(struct cpu *c, unsigned from, const struct desc *cs, const struct desc *ss);
// ---- cpu/int.c
enum int_kind { INT_HW, INT_SOFT /* INT n */, INT_INT3 /* INT3, INTO */, INT_ICEBP, INT_FAULT, INT_NMI };
// Delivers through IVT or IDT; raises the faults that delivery causes.
void int_deliver(struct cpu *c, int vector, enum int_kind kind, bool has_err, u32 err);
void int_soft(struct cpu *c, int vector,
              enum int_kind kind); // INT n, INT3, INTO, INT1 as instructions (IOPL, VME checks)
// Delivers c->exc (raised and caught): double and triple faults, DR6, RF; call it with c->fault set, RIP restored and
// c->exc >= 0. If delivery raises, c->exc and c->exc_first say so: call it again.
void int_exception(struct cpu *c);
// ---- cpu/task.c
enum task_why { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
void task_switch(struct cpu *c, u16 tss_sel, const struct desc *d, enum task_why why, bool has_err, u32 err);
// Stack pointer for a privilege change from the current TSS (32-bit or 16-bit: ss too).
void task_stack(struct cpu *c, unsigned cpl, u16 *ss, u64 *sp);
bool task_io_permitted(struct cpu *c, u16 port, unsigned size); // CPL > IOPL or V86: the I/O map
u64 task_rsp64(struct cpu *c, unsigned index);                  // RSP0-2 (0-2), IST1-7 (4-10)
// ---- cpu/sys.c
u64 sys_read_cr(struct cpu *c, unsigned n);
void sys_write_cr(struct cpu *c, unsigned n, u64 v);
u64 sys_read_dr(struct cpu *c, unsigned n);
void sys_write_dr(struct cpu *c, unsigned n, u64 v);
void sys_rdmsr(struct cpu *c);
void sys_wrmsr(struct cpu *c);
u64 sys_tsc(struct cpu *c);
// Writes EFLAGS as POPF and IRET may: `mask` says which bits; recomputes what hangs on TF, IF, AC, VM.
void sys_set_eflags(struct cpu *c, u32 value, u32 mask);
void sys_cpuid(struct cpu *c);
u32 sys_io_in(struct cpu *c, u16 port, unsigned size); // with the permission check
void sys_io_out(struct cpu *c, u16 port, u32 v, unsigned size);
// Debug registers: data breakpoint hit on [lin, lin+n)? Sets dr6_pending and ATTN_TRAP.
void debug_check_data(struct cpu *c, u64 lin, unsigned n, bool write);
void debug_check_io(struct cpu *c, u16 port, unsigned size); // the same for ports, with CR4.DE
// One MSR, no privilege check; false: no such MSR, or not this value (#GP(0)). For debuggers too.
bool msr_read(struct cpu *c, u32 num, u64 *v);
bool msr_write(struct cpu *c, u32 num, u64 v);
bool debug_check_insn(struct cpu *c, u64 lin); // raises #DB for an enabled instruction breakpoint, unless RF
