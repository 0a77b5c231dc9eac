// SPDX-License-Identifier: MIT
// Segmentation: limits, types and privileges; what loads refuse and with which error code; gates and far returns.
#include "tests/insn/sys/sys.h"

CODE(nothing, "nop");
CODE(load_ds, "mov %eax,%ds");
CODE(load_es, "mov %eax,%es");
CODE(load_fs, "mov %eax,%fs");
CODE(load_gs, "mov %eax,%gs");
CODE(load_ss, "mov %eax,%ss");
CODE(pop_ss, "push %eax\n.globl pop_ss_at\npop_ss_at: pop %ss");
CODE(do_lldt, "lldt %ax");
CODE(do_ltr, "ltr %ax");
extern u8 pop_ss_at[];

static void plain(void)
{
    test("int from ring 0", "vol. 3 6.12.1");
    struct regs r = ring(0, nothing);
    run(&r);
    ends();
    EQ("handler ss", ev.hss, K_DS);
    EQ("sp", ev.hsp, TOP(stack_k) - 12);
    test("int from ring 3", "vol. 3 6.12.1");
    r = ring(3, nothing);
    r.cx = 0x12345678;
    r.flags |= F_IF | F_CF | F_DF | F_AC;
    run(&r);
    ends();
    EQ("sp", ev.hsp, TOP(stack0) - 20);
    EQ("user sp", ev.r.sp, TOP(stack3));
    EQ("ss", ev.r.ss, U_DS);
    EQ("cs", ev.r.cs, U_CS);
    EQ("handler cs", ev.hcs, K_CS);
    EQ("flags", ev.r.flags, F_1 | F_IF | F_CF | F_DF | F_AC);
    BITS("handler flags", ev.hflags, F_1 | F_DF | F_AC, ~0x8d5); // IF cleared by the interrupt gate
    EQ("cx", ev.r.cx, 0x12345678);
    set_gate(END_VEC, 0xef, K_CS, 0);
    run(&r);
    BITS("trap gate keeps IF", ev.hflags, F_IF, F_IF);
    set_gate(END_VEC, 0x8e, K_CS, 0);
    run(&r);
    event_is(GP, END_VEC * 8 + 2, nothing + 1); // INT n against the gate's DPL
    set_gate(END_VEC, 0x6e, K_CS, 0);
    run(&r);
    event_is(NP, END_VEC * 8 + 2, nothing + 1);
    set_gate(END_VEC, 0xec, K_CS, 0); // call gates are none
    run(&r);
    event_is(GP, END_VEC * 8 + 2, nothing + 1);
    set_gate(END_VEC, 0xee, 0, 0);
    run(&r);
    event_is(GP, 0, nothing + 1);
    set_gate(END_VEC, 0xee, K_DS, 0);
    run(&r);
    event_is(GP, K_DS, nothing + 1);
    set_gate(END_VEC, 0xee, 0x400, 0);
    run(&r);
    event_is(GP, 0x400, nothing + 1);
    set_desc(SPARE, descriptor(0, 0xfffff, A_CODE0 & ~A_P));
    set_gate(END_VEC, 0xee, SPARE, 0);
    run(&r);
    event_is(NP, SPARE, nothing + 1);
    set_desc(SPARE, descriptor(0, 0xf, 0x409b)); // the entry point is outside
    run(&r);
    event_is(GP, 0, nothing + 1);
    set_gate(END_VEC, 0xe6, K_CS16, 0); // 16-bit gate
    u32 low = 0x2000;
    memcpy((void *)low, "\x6a\x20\x66\x68", 4); // push 20h (word); push dword record; retl … far away:
    idt[END_VEC] = gate(K_CS, 0x2000, 0xe6, 0);
    // push END_VEC (32-bit code); jmp to the common part of the stub
    W8(low) = 0x68;
    W32(low + 1) = END_VEC;
    W8(low + 5) = 0xb8; // mov $record, %eax; jmp *%eax
    W32(low + 6) = stub(END_VEC) + 2 + 5 + *(u32 *)(stub(END_VEC) + 3);
    if (W8(stub(END_VEC) + 2) == 0xeb) W32(low + 6) = stub(END_VEC) + 4 + (signed char)W8(stub(END_VEC) + 3);
    W16(low + 10) = 0xe0ff;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    EQ("sp, 16-bit gate", ev.hsp, TOP(stack0) - 10);
    EQ("ip", frame16(0), (u32)(nothing + 3) & 0xffff);
    EQ("cs", frame16(1), U_CS);
    EQ("flags", frame16(2), (F_1 | F_IF | F_CF | F_DF));
    EQ("sp", frame16(3), TOP(stack3) & 0xffff);
    EQ("ss", frame16(4), U_DS);
    set_gate(END_VEC, 0xee, K_CS, 0);
}

// ---- loads of segment registers

static void loads(void)
{
    static const struct {
        const char *name;
        u32 access; // of SPARE; 0: leave
        u32 sel, cpl;
        u32 ss_vec, ss_err, ds_vec, ds_err; // vec 20h: goes through
    } t[] = {
        {"null", 0, 0, 0, GP, 0, END_VEC, 0},
        {"null with RPL 3", 0, 3, 0, GP, 0, END_VEC, 0},
        {"null, ring 3", 0, 3, 3, GP, 0, END_VEC, 0},
        {"data", 0x4093, SPARE, 0, END_VEC, 0, END_VEC, 0},
        {"data, not accessed", 0x4092, SPARE, 0, END_VEC, 0, END_VEC, 0},
        {"read-only data", 0x4091, SPARE, 0, GP, SPARE, END_VEC, 0},
        {"expand-down", 0x4097, SPARE, 0, END_VEC, 0, END_VEC, 0},
        {"read-only expand-down", 0x4095, SPARE, 0, GP, SPARE, END_VEC, 0},
        {"execute-only", 0x4099, SPARE, 0, GP, SPARE, GP, SPARE},
        {"readable code", 0x409b, SPARE, 0, GP, SPARE, END_VEC, 0},
        {"conforming execute-only", 0x409d, SPARE, 0, GP, SPARE, GP, SPARE},
        {"conforming readable", 0x409f, SPARE, 0, GP, SPARE, END_VEC, 0},
        {"conforming readable from ring 3", 0x409f, SPARE | 3, 3, GP, SPARE, END_VEC, 0},
        {"not present", 0x4013, SPARE, 0, SS, SPARE, NP, SPARE},
        {"not present code", 0x401b, SPARE, 0, GP, SPARE, NP, SPARE},
        {"not present, wrong privilege", 0x4013, SPARE | 3, 3, GP, SPARE, GP, SPARE},
        {"RPL 3, DPL 0", 0x4093, SPARE | 3, 0, GP, SPARE, GP, SPARE},
        {"RPL 3, DPL 3 at ring 0", 0x40f3, SPARE | 3, 0, GP, SPARE, END_VEC, 0},
        {"RPL 0, DPL 3 at ring 0", 0x40f3, SPARE, 0, GP, SPARE, END_VEC, 0},
        {"RPL 0, DPL 3 at ring 3", 0x40f3, SPARE, 3, GP, SPARE, END_VEC, 0},
        {"ring 3 own", 0x40f3, SPARE | 3, 3, END_VEC, 0, END_VEC, 0},
        {"ring 3, DPL 0", 0x4093, SPARE | 3, 3, GP, SPARE, GP, SPARE},
        {"ring 3, code DPL 0", 0x409b, SPARE | 3, 3, GP, SPARE, GP, SPARE},
        {"ring 1 takes DPL 1", 0x40b3, SPARE | 1, 1, END_VEC, 0, END_VEC, 0},
        {"ring 1, DPL 0", 0x4093, SPARE | 1, 1, GP, SPARE, GP, SPARE},
        {"TSS", 0x0089, SPARE, 0, GP, SPARE, GP, SPARE},
        {"LDT descriptor", 0x0082, SPARE, 0, GP, SPARE, GP, SPARE},
        {"call gate", 0x008c, SPARE, 0, GP, SPARE, GP, SPARE},
        {"beyond the GDT", 0, 0x400, 0, GP, 0x400, GP, 0x400},
        {"beyond the LDT", 0, 0x104, 0, GP, 0x104, GP, 0x104},
        {"LDT", 0x4093, 0x0c, 0, END_VEC, 0, END_VEC, 0},
        {"LDT entry 0", 0x4093, 0x04, 0, END_VEC, 0, END_VEC, 0},
        {"LDT not present", 0x4013, 0x0c, 0, SS, 0x0c, NP, 0x0c},
    };
    static const struct {
        const char *name;
        const u8 *code;
        bool ss;
    } how[] = {{"ds", load_ds}, {"es", load_es}, {"fs", load_fs}, {"gs", load_gs}, {"ss", load_ss, true}};
    for (unsigned h = 0; h < ARRAY_LEN(how); h++)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            char nm[80] = "load ";
            char *p = nm + 5;
            for (const char *s = how[h].name; *s;) *p++ = *s++;
            *p++ = ' ';
            for (const char *s = t[i].name; *s;) *p++ = *s++;
            *p = 0;
            test(nm, "vol. 2 MOV, vol. 3 5.4-5.7");
            if (t[i].access) set_desc(t[i].sel, descriptor(0, t[i].access & 4 ? 0 : 0xfffff, t[i].access | 0x8000));
            struct regs r = ring(t[i].cpl, how[h].code);
            r.ax = t[i].sel;
            run(&r);
            u32 vec = how[h].ss ? t[i].ss_vec : t[i].ds_vec, err = how[h].ss ? t[i].ss_err : t[i].ds_err;
            if (vec == END_VEC) {
                if (how[h].ss && (t[i].sel & 4 || t[i].sel >= SPARE)) {
                    EQ("vector", ev.vec, vec);
                } else {
                    ends();
                }
                u32 got[] = {ev.r.ds, ev.r.es, ev.r.fs, ev.r.gs, t[i].sel};
                EQ("selector", got[h], t[i].sel);
                if (t[i].access) BITS("accessed", get_desc(t[i].sel) >> 40, 1, 1);
            } else {
                event_is(vec, err, how[h].code);
                if (t[i].access) BITS("accessed", get_desc(t[i].sel) >> 40, t[i].access, 1);
            }
        }
    test("POP SS refused leaves ESP", "vol. 2 POP");
    struct regs r = ring(0, pop_ss);
    r.ax = SPARE;
    set_desc(SPARE, descriptor(0, 0xfffff, 0xc013));
    run(&r);
    event_is(SS, SPARE, pop_ss_at);
    EQ("esp", ev.hsp, TOP(stack_k) - 4 - 16);
}

static void system_loads(void)
{
    static const struct {
        const char *name;
        bool tr;
        u32 access, sel, vec, err, cpl;
    } t[] = {
        {"LLDT null", 0, 0, 0, END_VEC, 0},
        {"LLDT", 0, 0x82, SPARE, END_VEC, 0},
        {"LLDT in the LDT", 0, 0x82, 0x0c, GP, 0x0c},
        {"LLDT of a TSS", 0, 0x89, SPARE, GP, SPARE},
        {"LLDT of data", 0, 0x93, SPARE, GP, SPARE},
        {"LLDT not present", 0, 0x02, SPARE, NP, SPARE},
        {"LLDT beyond", 0, 0, 0x400, GP, 0x400},
        {"LLDT ring 3", 0, 0, 0, GP, 0, 3},
        {"LTR null", 1, 0, 0, GP, 0},
        {"LTR", 1, 0x89, SPARE, END_VEC, 0},
        {"LTR 16-bit", 1, 0x81, SPARE, END_VEC, 0},
        {"LTR busy", 1, 0x8b, SPARE, GP, SPARE},
        {"LTR 16-bit busy", 1, 0x83, SPARE, GP, SPARE},
        {"LTR in the LDT", 1, 0x89, 0x0c, GP, 0x0c},
        {"LTR not present", 1, 0x09, SPARE, NP, SPARE},
        {"LTR of an LDT", 1, 0x82, SPARE, GP, SPARE},
        {"LTR ring 3", 1, 0x89, SPARE, GP, 0, 3},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, t[i].tr ? "vol. 2 LTR" : "vol. 2 LLDT");
        reset_tables();
        if (t[i].access) set_desc(t[i].sel, descriptor((u32)&tss, 0x67, t[i].access));
        const u8 *code = t[i].tr ? do_ltr : do_lldt;
        struct regs r = ring(t[i].cpl, code);
        r.ax = t[i].sel;
        run(&r);
        if (t[i].vec == END_VEC)
            ends();
        else
            event_is(t[i].vec, t[i].err, code);
        if (t[i].tr && t[i].vec == END_VEC) BITS("busy", get_desc(SPARE) >> 40, t[i].access | 2, 0xff);
    }
    reset_tables();
}

// ---- limits and types of accesses

CODE(rd1, "movb %es:(%ebx),%al");
CODE(rd2, "movw %es:(%ebx),%ax");
CODE(rd4, "movl %es:(%ebx),%eax");
CODE(wr1, "movb %al,%es:(%ebx)");
CODE(wr4, "movl %eax,%es:(%ebx)");
CODE(xadd4, "xadd %eax,%es:(%ebx)");
CODE(cmp4, "cmpl $0,%es:(%ebx)");
CODE(ss4, "movl %ss:(%ebx),%eax");

static u8 area[0x3000] PAGE_ALIGNED;
static void limits(void)
{
    static const struct {
        const char *name;
        u32 limit, access;
        const u8 *code;
        u32 ea;
        bool ok;
    } t[] = {
        {"byte at the limit", 0xff, 0x4093, rd1, 0xff, 1},
        {"byte over the limit", 0xff, 0x4093, rd1, 0x100, 0},
        {"word at the limit", 0xff, 0x4093, rd2, 0xfe, 1},
        {"word across the limit", 0xff, 0x4093, rd2, 0xff, 0},
        {"dword at the limit", 0xff, 0x4093, rd4, 0xfc, 1},
        {"dword across the limit", 0xff, 0x4093, rd4, 0xfd, 0},
        {"write across the limit", 0xff, 0x4093, wr4, 0xfd, 0},
        {"RMW across the limit", 0xff, 0x4093, xadd4, 0xfd, 0},
        {"far outside", 0xff, 0x4093, rd1, 0xffffffff, 0},
        {"wrap of the offset", 0xff, 0x4093, rd4, 0xfffffffe, 0},
        {"granular limit end", 1, 0xc093, rd4, 0x1ffc, 1},
        {"granular limit over", 1, 0xc093, rd4, 0x1ffd, 0},
        {"limit 0", 0, 0x4093, rd1, 0, 1},
        {"limit 0, word", 0, 0x4093, rd2, 0, 0},
        {"write to read-only", 0xff, 0x4091, wr1, 0, 0},
        {"RMW of read-only", 0xff, 0x4091, xadd4, 0, 0},
        {"read of read-only", 0xff, 0x4091, cmp4, 0, 1},
        {"write to code", 0xff, 0x409b, wr1, 0, 0},
        {"read of code", 0xff, 0x409b, rd4, 0, 1},
        {"read of conforming code", 0xff, 0x409f, rd4, 0, 1},
        {"expand-down below", 0xff, 0x4097, rd1, 0xff, 0},
        {"expand-down first", 0xff, 0x4097, rd1, 0x100, 1},
        {"expand-down across the limit", 0xff, 0x4097, rd4, 0xff, 0},
        {"expand-down write", 0xff, 0x4097, wr4, 0x100, 1},
        {"expand-down 32-bit above 64 KB", 0xff, 0x4097, rd4, 0x10000, 1},
        {"expand-down 16-bit top", 0xff, 0x0097, rd1, 0xffff, 1},
        {"expand-down 16-bit over the top", 0xff, 0x0097, rd2, 0xffff, 0},
        {"expand-down 16-bit above 64 KB", 0xff, 0x0097, rd1, 0x10000, 0},
        {"expand-down 32-bit top wrap", 0xff, 0x4097, rd4, 0xfffffffe, 0},
        {"expand-down granular", 1, 0xc097, rd1, 0x1fff, 0},
        {"expand-down granular ok", 1, 0xc097, rd1, 0x2000, 1},
        {"expand-down limit max", 0xfffff, 0xc097, rd1, 0xffffffff, 0},
        {"expand-down read-only write", 0xff, 0x4095, wr1, 0x100, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 3 5.3, 3.4.5.1");
        set_desc(SPARE, descriptor((u32)area, t[i].limit, t[i].access));
        struct regs r = ring(0, t[i].code);
        r.es = SPARE;
        r.bx = t[i].ea;
        r.ax = 0x55;
        area[0] = 1;
        run(&r);
        if (t[i].ok) {
            ends();
        } else {
            event_is(GP, 0, t[i].code);
            EQ("eax", ev.r.ax, 0x55);
        }
    }
    test("null segment", "vol. 3 3.4.2");
    struct regs r = ring(0, rd1);
    r.es = 0;
    run(&r);
    event_is(GP, 0, rd1);
    r.es = 3;
    run(&r);
    event_is(GP, 0, rd1);
    test("stack segment limit", "vol. 3 6.15 #SS");
    set_desc(SPARE, descriptor(0, TOP(stack_k) >> 12, 0xc093)); // ends with the page of the stack
    r = ring(0, ss4);
    r.ss = SPARE;
    r.bx = (TOP(stack_k) | 0xfff) - 3;
    run(&r);
    ends();
    r.bx++;
    run(&r);
    event_is(SS, 0, ss4);
    test("linear addresses wrap at 4 GB", "vol. 3 3.3.1");
    set_desc(SPARE, descriptor(0xfffffff0, 0xfffff, 0xc093));
    r = ring(0, rd4);
    r.es = SPARE;
    r.bx = (u32)area + 0x20;
    W32(area + 0x10) = 0xabcd1234;
    run(&r);
    ends();
    EQ("eax", ev.r.ax, 0xabcd1234);
}

// Code segments: fetches over the limit.
CODE(cs_code, "nop\n nop\n mov $0x12345678,%eax");
static void code_limits(void)
{
    test("fetch across the CS limit", "vol. 3 6.15 #GP");
    struct regs r = ring(0, (void *)0);
    set_desc(SPARE, descriptor((u32)cs_code, 8, 0x409b)); // nop nop mov(5) int(2): 9 bytes, ends at 8
    r.cs = SPARE;
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    EQ("ip", frame32(0), 9);
    set_desc(SPARE, descriptor((u32)cs_code, 5, 0x409b));
    run(&r);
    event_is(GP, 0, (void *)2);
    BITS("eax", ev.r.ax, 0, ~0u);
    test("jump over the CS limit faults at the jump", "vol. 2 JMP");
    W16(area) = 0x0eeb; // jmp +10h
    set_desc(SPARE, descriptor((u32)area, 0xf, 0x409b));
    run(&r);
    event_is(GP, 0, (void *)0);
    set_desc(SPARE, descriptor((u32)area, 0x10, 0x409b));
    W8(area + 0x10) = 0xcc;
    run(&r);
    event_is(BP, NO_ERR, (void *)0x11);
}

// ---- far transfers

struct {
    u32 off;
    u16 sel;
} far_ptr;
CODE(call_far, "lcall *far_ptr");
CODE(jmp_far, "ljmp *far_ptr");
CODE(call_far2, "pushl $0x11111111\n pushl $0x22222222\n.globl call2_at\ncall2_at: lcall *far_ptr");
CODE(call_far16, "pushw $0x1111\n pushw $0x2222\n.globl call16_at\ncall16_at: lcall *far_ptr");
CODE(ret_far, "lret");
CODE(ret_far8, "lret $8");
CODE(inner_ret8, "lret $8");
extern u8 call2_at[], call16_at[];
enum { GATE = SPARE + 8 };

static void direct(void)
{
    static const struct {
        const char *name;
        u32 access, rpl, cpl, vec; // of SPARE
    } t[] = {
        {"same privilege", 0xc09b, 0, 0, END_VEC},
        {"RPL 3 over CPL 0", 0xc09b, 3, 0, GP},
        {"DPL 3 from ring 0", 0xc0fb, 3, 0, GP},
        {"DPL 0 from ring 3", 0xc09b, 3, 3, GP},
        {"conforming from ring 3", 0xc09f, 3, 3, END_VEC},
        {"conforming DPL 3 from ring 0", 0xc0ff, 0, 0, GP},
        {"execute-only", 0xc099, 0, 0, END_VEC},
        {"not present", 0xc01b, 0, 0, NP},
        {"data", 0xc093, 0, 0, GP},
        {"LDT", 0x0082, 0, 0, GP},
        {"busy TSS", 0x008b, 0, 0, GP},
        {"interrupt gate", 0x008e, 0, 0, GP},
        {"ring 3 RPL 0", 0xc0fb, 0, 3, END_VEC},
        {"reserved type 0", 0x0080, 0, 0, GP},
    };
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            char nm[60] = "far jmp ";
            if (k) memcpy(nm, "far call", 8);
            char *p = nm + 8;
            if (k) *p++ = ' ';
            for (const char *s = t[i].name; *s;) *p++ = *s++;
            *p = 0;
            test(nm, "vol. 2 JMP, CALL");
            set_desc(SPARE, descriptor(0, 0xfffff, t[i].access));
            far_ptr.sel = SPARE | t[i].rpl;
            far_ptr.off = (u32)nothing;
            const u8 *code = k ? call_far : jmp_far;
            struct regs r = ring(t[i].cpl, code);
            run(&r);
            if (t[i].vec == END_VEC) {
                ends();
                EQ("cs", ev.r.cs, SPARE | t[i].cpl);
                EQ("at", ev.r.ip, (u32)nothing + 3);
                if (k && t[i].cpl == 0) {
                    EQ("return ip", frame32(3), (u32)call_far + 7 - 1);
                    EQ("return cs", frame32(4) & 0xffff, K_CS);
                }
            } else {
                event_is(t[i].vec, SPARE, code);
            }
        }
    test("far jmp null", "vol. 2 JMP");
    far_ptr.sel = 2;
    struct regs r = ring(0, jmp_far);
    run(&r);
    event_is(GP, 0, jmp_far);
    test("far jmp outside the GDT", "vol. 2 JMP");
    far_ptr.sel = 0x7f8;
    run(&r);
    event_is(GP, 0x7f8, jmp_far);
    test("far jmp over the target's limit", "vol. 2 JMP");
    set_desc(SPARE, descriptor(0, 0xff, 0x409b));
    far_ptr.sel = SPARE;
    far_ptr.off = 0x100;
    run(&r);
    event_is(GP, 0, jmp_far);
}

static struct regs through(u32 cpl, u32 access, u32 sel, u32 params, const u8 *code)
{
    set_desc(GATE, gate(sel, (u32)nothing & (access & 8 ? ~0u : 0xffff), access, params));
    far_ptr.sel = GATE | cpl;
    far_ptr.off = 0xdeadbeef;
    return ring(cpl, code);
}

static void gates(void)
{
    struct regs r;
    test("call gate, same level", "vol. 3 5.8.4");
    r = through(0, 0x8c, K_CS, 5, call_far);
    run(&r);
    ends();
    EQ("sp", ev.hsp, TOP(stack_k) - 20); // parameters are copied only when stacks change
    EQ("ip", frame32(3), (u32)call_far + 6);
    test("call gate from ring 3 with parameters", "vol. 3 5.8.5");
    r = through(3, 0xec, K_CS | 3, 2, call_far2);
    run(&r);
    ends();
    EQ("cs", ev.r.cs, K_CS);
    EQ("ss", ev.hss, K_DS);
    EQ("sp", ev.hsp, TOP(stack0) - 12 - 24);
    EQ("ip", frame32(3), (u32)call2_at + 6);
    EQ("return cs", frame32(4) & 0xffff, U_CS);
    EQ("parameter 1", frame32(5), 0x22222222);
    EQ("parameter 2", frame32(6), 0x11111111);
    EQ("esp", frame32(7), TOP(stack3) - 8);
    EQ("old ss", frame32(8) & 0xffff, U_DS);
    test("16-bit call gate from ring 3", "vol. 3 5.8.5, 21.4");
    set_desc(K_CS16, descriptor((u32)nothing & ~0xffff, 0xffff, 0x409b));
    r = through(3, 0xe4, K_CS16 | 3, 2, call_far16);
    run(&r);
    EQ("vector", ev.vec, END_VEC);
    EQ("sp", ev.hsp, TOP(stack0) - 12 - 12);
    EQ("ip", frame16(6), ((u32)call16_at + 6) & 0xffff);
    EQ("cs", frame16(7), U_CS);
    EQ("parameter 1", frame16(8), 0x2222);
    EQ("parameter 2", frame16(9), 0x1111);
    EQ("sp pushed", frame16(10), (TOP(stack3) - 4) & 0xffff);
    EQ("ss pushed", frame16(11), U_DS);
    reset_tables();
    test("call gate to ring 1", "vol. 3 5.8.5");
    r = through(3, 0xec, R1_CS, 0, call_far);
    run(&r);
    ends();
    EQ("cs", ev.r.cs, R1_CS);
    EQ("ss", ev.r.ss, R1_DS);
    EQ("sp", ev.r.sp, TOP(stack1) - 16);
    test("call gate to conforming code", "vol. 3 5.8.4");
    set_desc(SPARE, descriptor(0, 0xfffff, 0xc09f));
    r = through(3, 0xec, SPARE, 3, call_far);
    run(&r);
    ends();
    EQ("cs", ev.r.cs, SPARE | 3);
    EQ("sp", ev.r.sp, TOP(stack3) - 8);
    test("jmp gate same level", "vol. 3 5.8.4");
    r = through(3, 0xec, U_CS, 0, jmp_far);
    run(&r);
    ends();
    EQ("sp", ev.r.sp, TOP(stack3));
    test("jmp gate to inner code", "vol. 3 5.8.4");
    r = through(3, 0xec, K_CS, 0, jmp_far);
    run(&r);
    event_is(GP, K_CS, jmp_far);
    static const struct {
        const char *name;
        u32 access, sel, vec, err, cpl, rpl;
    } t[] = {
        {"gate DPL below CPL", 0x8c, K_CS, GP, GATE, 3, 3},
        {"gate DPL below RPL", 0x8c, K_CS, GP, GATE, 0, 3},
        {"gate not present", 0x6c, K_CS, NP, GATE, 3, 3},
        {"gate to null", 0xec, 0, GP, 0, 3, 3},
        {"gate to data", 0xec, K_DS, GP, K_DS, 3, 3},
        {"gate beyond the GDT", 0xec, 0x400, GP, 0x400, 3, 3},
        {"gate to outer code", 0x8c, U_CS, GP, U_CS & ~3, 0, 0},
        {"gate to a TSS", 0xec, TSS2_SEL, GP, TSS2_SEL, 3, 3},
        {"gate to absent code", 0xec, SPARE, NP, SPARE, 3, 3},
        {"gate to a gate", 0xec, GATE, GP, GATE, 3, 3},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 CALL");
        set_desc(SPARE, descriptor(0, 0xfffff, 0xc01b));
        r = through(t[i].cpl, t[i].access, t[i].sel, 0, call_far);
        far_ptr.sel = GATE | t[i].rpl;
        run(&r);
        event_is(t[i].vec, t[i].err, call_far);
    }
    static const struct {
        const char *name;
        u32 ss1, access, vec, err;
    } s[] = {
        {"inner stack null", 0, 0, TS, 0},
        {"inner stack of wrong RPL", SPARE, 0x40b3, TS, SPARE},
        {"inner stack of wrong DPL", SPARE | 1, 0x4093, TS, SPARE},
        {"inner stack code", SPARE | 1, 0x40bb, TS, SPARE},
        {"inner stack read-only", SPARE | 1, 0x40b1, TS, SPARE},
        {"inner stack absent", SPARE | 1, 0x4033, SS, SPARE},
        {"inner stack beyond", 0x401, 0, TS, 0x400},
        {"inner stack too small", SPARE | 1, 0x40b3, SS, SPARE},
    };
    for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
        test(s[i].name, "vol. 2 CALL, vol. 3 6.13");
        reset_tables();
        if (s[i].access) set_desc(SPARE, descriptor(0, s[i].vec == SS ? 0xff : 0xfffff, s[i].access));
        tss.ss1 = s[i].ss1;
        r = through(3, 0xec, R1_CS, 0, call_far);
        run(&r);
        event_is(s[i].vec, s[i].err, call_far);
    }
    reset_tables();
    test("TSS too short for the inner stack", "vol. 2 CALL");
    set_desc(TSS_SEL, descriptor((u32)&tss, 0x10, 0x89));
    asm_("ltr %0" ::"r"((u16)TSS_SEL));
    r = through(3, 0xec, R1_CS, 0, call_far); // SS1:ESP1 at 0Ch
    run(&r);
    event_is(TS, TSS_SEL, call_far);
    reset_tables();
}

static void returns(void)
{
    struct regs r;
    u32 *sp = (u32 *)(TOP(stack_k) - 64);
    test("far ret to ring 3", "vol. 2 RET");
    r = ring(0, ret_far8);
    r.sp = (u32)sp;
    r.es = K_DS;
    r.fs = U_DS;
    sp[0] = (u32)nothing;
    sp[1] = U_CS;
    sp[2] = sp[3] = 0;
    sp[4] = TOP(stack3) - 32;
    sp[5] = U_DS;
    run(&r);
    ends();
    EQ("cs", ev.r.cs, U_CS);
    EQ("sp", ev.r.sp, TOP(stack3) - 24); // parameters go from the outer stack too
    EQ("ds dropped", ev.r.ds, 0);
    EQ("es dropped", ev.r.es, 0);
    EQ("fs kept", ev.r.fs, U_DS);
    static const struct {
        const char *name;
        u32 cs, ss, access, vec, err, cpl;
    } t[] = {
        {"far ret null", 0, 0, 0, GP, 0},
        {"far ret to data", K_DS, 0, 0, GP, K_DS},
        {"far ret inward", K_CS, 0, 0, GP, K_CS, 3},
        {"far ret RPL not DPL", K_CS | 3, U_DS, 0, GP, K_CS},
        {"far ret absent", SPARE, 0, 0xc01b, NP, SPARE},
        {"far ret beyond", 0x408, 0, 0, GP, 0x408},
        {"far ret outer SS null", U_CS, 0, 0, GP, 0},
        {"far ret outer SS of ring 0", U_CS, K_DS, 0, GP, K_DS},
        {"far ret outer SS code", U_CS, U_CS, 0, GP, U_CS & ~3},
        {"far ret outer SS absent", U_CS, SPARE | 3, 0xc073, SS, SPARE},
        {"far ret outer SS read-only", U_CS, SPARE | 3, 0xc0f1, GP, SPARE},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        test(t[i].name, "vol. 2 RET");
        if (t[i].access) set_desc(SPARE, descriptor(0, 0xfffff, t[i].access));
        r = ring(t[i].cpl, ret_far);
        r.sp = (t[i].cpl ? TOP(stack3) : TOP(stack_k)) - 64;
        sp = (u32 *)r.sp;
        sp[0] = (u32)nothing;
        sp[1] = t[i].cs;
        sp[2] = TOP(stack3);
        sp[3] = t[i].ss;
        run(&r);
        event_is(t[i].vec, t[i].err, ret_far);
    }
    test("conforming far ret outward", "vol. 2 RET");
    set_desc(SPARE, descriptor(0, 0xfffff, 0xc09f));
    r = ring(0, ret_far);
    sp = (u32 *)(r.sp = TOP(stack_k) - 64);
    sp[0] = (u32)nothing;
    sp[1] = SPARE | 3;
    sp[2] = TOP(stack3);
    sp[3] = U_DS;
    run(&r);
    ends();
    EQ("cs", ev.r.cs, SPARE | 3);
}

// ---- LAR, LSL, VERR, VERW, ARPL

CODE(look, "lar %ecx,%eax\n setz %dl\n lsl %ecx,%ebx\n setz %dh\n verr %cx\n setz %bl\n nop");
CODE(look_lar, "lar %ecx,%eax\n pushf\n pop %edx");
CODE(look_lsl, "lsl %ecx,%eax\n pushf\n pop %edx");
CODE(look_verr, "verr %cx\n pushf\n pop %edx");
CODE(look_verw, "verw %cx\n pushf\n pop %edx");
CODE(do_arpl, "arpl %cx,%ax\n pushf\n pop %edx");
static void inspection(void)
{
    static const struct {
        const char *name;
        u32 access, rpl, cpl, lar, lsl, verr, verw;
    } t[] = {
        {"data", 0xc093, 0, 0, 1, 1, 1, 1},
        {"read-only", 0xc091, 0, 0, 1, 1, 1, 0},
        {"execute-only", 0xc099, 0, 0, 1, 1, 0, 0},
        {"readable code", 0xc09b, 0, 0, 1, 1, 1, 0},
        {"absent data", 0xc013, 0, 0, 1, 1, 1, 1},
        {"ring 3 looks at DPL 0", 0xc093, 3, 3, 0, 0, 0, 0},
        {"RPL 3 at DPL 0", 0xc093, 3, 0, 0, 0, 0, 0},
        {"conforming from ring 3", 0xc09f, 3, 3, 1, 1, 1, 0},
        {"16-bit TSS", 0x0081, 0, 0, 1, 1, 0, 0},
        {"LDT", 0x0082, 0, 0, 1, 1, 0, 0},
        {"busy 16-bit TSS", 0x0083, 0, 0, 1, 1, 0, 0},
        {"16-bit call gate", 0x0084, 0, 0, 1, 0, 0, 0},
        {"task gate", 0x0085, 0, 0, 1, 0, 0, 0},
        {"16-bit interrupt gate", 0x0086, 0, 0, 0, 0, 0, 0},
        {"16-bit trap gate", 0x0087, 0, 0, 0, 0, 0, 0},
        {"type 8", 0x0088, 0, 0, 0, 0, 0, 0},
        {"32-bit TSS", 0x0089, 0, 0, 1, 1, 0, 0},
        {"type 10", 0x008a, 0, 0, 0, 0, 0, 0},
        {"busy 32-bit TSS", 0x008b, 0, 0, 1, 1, 0, 0},
        {"32-bit call gate", 0x008c, 0, 0, 1, 0, 0, 0},
        {"type 13", 0x008d, 0, 0, 0, 0, 0, 0},
        {"32-bit interrupt gate", 0x008e, 0, 0, 0, 0, 0, 0},
        {"type 0", 0x0080, 0, 0, 0, 0, 0, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        char nm[60] = "look at ";
        char *p = nm + 8;
        for (const char *s = t[i].name; *s;) *p++ = *s++;
        *p = 0;
        test(nm, "vol. 2 LAR, LSL, VERR");
        set_desc(SPARE, descriptor(0x11223344, 0x12345, t[i].access));
        const u8 *codes[] = {look_lar, look_lsl, look_verr, look_verw};
        u32 want[] = {t[i].lar, t[i].lsl, t[i].verr, t[i].verw};
        static const char *const what[] = {"LAR", "LSL", "VERR", "VERW"};
        for (unsigned k = 0; k < 4; k++) {
            struct regs r = ring(t[i].cpl, codes[k]);
            r.cx = SPARE | t[i].rpl;
            r.ax = 0x77777777;
            r.flags |= want[k] ? 0 : F_ZF;
            run(&r);
            ends();
            BITS(what[k], ev.r.dx, want[k] ? F_ZF : 0, F_ZF);
            u32 value = !want[k] || k > 1      ? 0x77777777
                        : k == 0               ? (t[i].access & 0xff) << 8 | (t[i].access & 0xf000) << 8
                        : t[i].access & 0x8000 ? 0x12345fff
                                               : 0x12345;
            BITS(what[k], ev.r.ax, value, k ? ~0u : 0xf0ff00); // LAR: bits 16-19 are undefined
        }
    }
    test("ARPL", "vol. 2 ARPL");
    struct regs r = ring(0, do_arpl);
    r.ax = 0x1230;
    r.cx = 3;
    run(&r);
    ends();
    EQ("ax", ev.r.ax, 0x1233);
    BITS("ZF", ev.r.dx, F_ZF, F_ZF);
    r.ax = 0x1232;
    r.cx = 1;
    run(&r);
    EQ("ax", ev.r.ax, 0x1232);
    BITS("ZF", ev.r.dx, 0, F_ZF);
}

void test_main(void)
{
    plain();
    loads();
    reset_tables();
    system_loads();
    limits();
    code_limits();
    direct();
    reset_tables();
    gates();
    returns();
    inspection();
}
