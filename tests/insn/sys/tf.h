// SPDX-License-Identifier: MIT
// The trap flag over every opcode. Each opcode of the four maps, with operands in memory and in registers and with the
// prefixes that choose another instruction, runs once alone, in front of a page of INT3, and once with TF. If it raised
// a fault, it raises the same with TF; else TF stops it with #DB where INT3 or the fault of the next instruction told
// that it had ended, with the same registers (SDM vol. 3 17.3.1.4). Then those of ring 0, one by one. What the rule
// does not hold for is tested by name in exc.c and db.c: POPF, IRET, software interrupts, shadows, REP, calls and jumps
// by 32 bits. Built by tf.c and tf64.c.
#pragma once
#include "tests/insn/sys/sys.h"

enum { CODE_AT = 2048, PAD_AT = 3072, BP_OP = 0xcc };
static u8 code_page[4096] PAGE_ALIGNED;
static u8 data[256] __attribute__((aligned(64)));
static const bool wide = sizeof(ul) == 8;

// ---- which opcodes

enum map { ONE, TWO, M38, M3A };
static bool left_out(enum map m, u8 op)
{
    if (m == TWO) return op == 0x38 || op == 0x3a || (op >= 0x80 && op <= 0x8f); // … Jcc to where no memory is
    if (m != ONE) return false;
    switch (op) {
    case 0x0f:
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3: return true; // prefixes
    case 0x9d:              // POPF
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: // software interrupts, IRET
    case 0xe8:
    case 0xe9: // to where no memory is
    case 0xf1: return true;
    }
    return wide && op >= 0x40 && op <= 0x4f;
}
// The reg field is a part of the opcode.
static bool group(enum map m, u8 op)
{
    if (m == TWO) return op <= 1 || op == 0x18 || (op >= 0x71 && op <= 0x73) || op == 0xae || op == 0xba || op == 0xc7;
    return m == ONE &&
           ((op >= 0x80 && op <= 0x83) || op == 0x8f || op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0xc7 ||
            (op >= 0xd0 && op <= 0xd3) || op >= 0xfe || (op & 0xfe) == 0xf6 || (op >= 0xd8 && op <= 0xdf));
}
static bool has_modrm(enum map m, u8 op)
{
    if (m > TWO) return true;
    if (m == TWO)
        return !((op >= 4 && op <= 0x0b) || op == 0x0e || (op >= 0x30 && op <= 0x37) || op == 0x77 || op == 0xa0 ||
                 op == 0xa1 || op == 0xa2 || (op >= 0xa8 && op <= 0xaa) || (op >= 0xc8 && op <= 0xcf));
    if (op < 0x40) return (op & 7) < 4;
    return op == 0x62 || op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op <= 0x8f) || op == 0xc0 ||
           op == 0xc1 || (op >= 0xc4 && op <= 0xc7) || (op >= 0xd0 && op <= 0xd3) || (op >= 0xd8 && op <= 0xdf) ||
           op == 0xf6 || op == 0xf7 || op >= 0xfe;
}
// Jumps whose target 66h cuts to 16 bits; in 64-bit code that is so on AMD's processors.
static bool jumps(u8 op, unsigned reg)
{
    return (op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3) || op == 0xeb || op == 0xc2 || op == 0xc3 ||
           op == 0xca || op == 0xcb || (op == 0xff && reg >= 2 && reg <= 5);
}
// Its results are not the same twice.
static bool random(enum map m, u8 op, u8 modrm)
{
    return m == TWO && (op == 0x31 || op == 0x33 || (op == 1 && modrm == 0xf9) || (op == 0xc7 && modrm >= 0xf0));
}

// ---- one instruction

static char label[40];
static void name_it(const u8 *p, unsigned n)
{
    char *s = label;
    for (unsigned i = 0; i < n; i++) {
        *s++ = "0123456789abcdef"[p[i] >> 4];
        *s++ = "0123456789abcdef"[p[i] & 15];
        *s++ = ' ';
    }
    *s = 0;
}

static void go(const u8 *insn, unsigned n, ul flags)
{
    memset(code_page, BP_OP, sizeof code_page);
    memcpy(code_page + CODE_AT, insn, n);
    memset(data, 0, sizeof data);
    asm_("fninit");
    *(ul *)data = (ul)code_page + PAD_AT; // a near and a far target
    *(ul *)(data + sizeof(u32)) |= (u64)(wide ? 0 : U_CS);
    struct regs r = ring(3, code_page + CODE_AT);
    r.flags |= flags;
    r.sp -= 128;
    r.bp = r.sp + 32;
    ul *sp = (ul *)r.sp;
    sp[0] = (ul)code_page + PAD_AT;
    sp[1] = wide ? U_CS64 : U_CS;
    sp[2] = r.sp + 64;
    sp[3] = U_DS;
    r.ax = 0x11, r.cx = 3, r.dx = 0x80;
    r.bx = (ul)data, r.si = (ul)data + 64;
    r.di = (ul)code_page + PAD_AT;
    run(&r);
    event_complete();
}

static void one_insn(const u8 *insn, unsigned n, bool compare)
{
    const ul start = (ul)code_page + CODE_AT;
    go(insn, n, 0);
    struct event plain = ev;
    ul end = plain.r.ip - (plain.vec == BP);
    go(insn, n, F_TF);
    name_it(insn, n);
    bool fault = end == start;
    EQ(label, ev.vec, fault ? plain.vec : DB);
    EQ(label, ev.r.ip, end);
    if (fault) EQ(label, ev.err, plain.err);
    if (!fault) BITS(label, ev.r.flags, F_TF, F_TF);
    if (!compare) return;
    const ul *a = &plain.r.ax, *b = &ev.r.ax;
    for (unsigned k = 0; k < OFFSET(struct regs, ip) / sizeof(ul); k++) EQ(label, b[k], a[k]);
    BITS(label, ev.r.flags, plain.r.flags, ~(ul)(F_TF | F_RF));
}

static void opcodes(enum map m, u8 prefix, bool reg_form)
{
    for (unsigned op = 0; op < 256; op++) {
        if (left_out(m, op)) continue;
        for (unsigned reg = 0; reg < 8; reg++) {
            if (!has_modrm(m, op) && reg_form) continue;
            if (!group(m, op) && reg != 2) continue;
            if (m == ONE && prefix == 0x66 && jumps(op, reg)) continue;
            u8 b[8], n = 0, modrm = (reg_form ? 0xc7 : 0x03) | reg << 3;
            if (prefix) b[n++] = prefix;
            if (m) b[n++] = 0x0f;
            if (m > TWO) b[n++] = m == M38 ? 0x38 : 0x3a;
            b[n++] = op;
            if (has_modrm(m, op)) b[n++] = modrm;
            one_insn(b, n, !random(m, op, modrm));
        }
    }
}

// ---- ring 0

CODE(k_hlt, "hlt");
CODE(k_cli, "cli");
CODE(k_clts, "clts");
CODE(k_wbinvd, "wbinvd");
CODE(k_in, "in %dx,%al");
CODE(k_out, "out %al,%dx");
CODE(k_invlpg, "invlpg (%ebx)");
CODE(k_rdmsr, "rdmsr");
CODE(k_wrmsr, "wrmsr");
CODE(k_lldt, "lldt %si");
CODE(k_rcr0, ".byte 0x0f,0x20,0xc0");
CODE(k_rcr2, ".byte 0x0f,0x20,0xd0");
CODE(k_rcr3, ".byte 0x0f,0x20,0xd8");
CODE(k_wcr2, ".byte 0x0f,0x22,0xd0");
CODE(k_wcr3, ".byte 0x0f,0x22,0xdd"); // from (R|E)BP
CODE(k_wcr4, ".byte 0x0f,0x22,0xe7"); // from (R|E)DI
CODE(k_rdr, ".byte 0x0f,0x21,0xf8");
CODE(k_wdr, ".byte 0x0f,0x23,0xc0");
CODE(k_lmsw, "lmsw %si");
#ifdef __x86_64__
CODE(k_swapgs, "swapgs");
CODE(k_sgdt, "sgdt (%rbx)");
CODE(k_lgdt, "lgdt (%rbx)");
CODE(k_lidt, "lidt 16(%rbx)");
#else
CODE(k_sgdt, "sgdt (%ebx)");
CODE(k_lgdt, "lgdt (%ebx)");
CODE(k_lidt, "lidt 16(%ebx)");
CODE(k_sysenter, "sysenter");
CODE(k_sysexit, "sysexit");
CODE(landing, "nop\n nop");
#endif

static void kernel_step(const char *name, const u8 *code, const u8 *end, ul si)
{
    test2("step", name, "vol. 3 17.3.1.4");
    memset(data, 0, sizeof data);
    asm_("sgdt %0\n sidt %1" : "=m"(data[0]), "=m"(data[16]));
    struct regs r = ring(0, code);
    r.flags |= F_TF;
    r.bx = (ul)data;
    r.cx = 0x174; // IA32_SYSENTER_CS
    r.dx = code == k_wrmsr ? 0 : 0x80;
    r.si = si;
    r.bp = rcr3(), r.di = rcr4();
    wdr6(0xffff0ff0);
    run(&r);
    event_is(DB, NO_ERR, end - 2); // INT 20h follows
    BITS("DR6.BS", rdr6(), 0x4000, 0x4000);
}
#define KERNEL(name, code)        kernel_step(name, code, code##_end, 0)
#define KERNEL_SI(name, code, si) kernel_step(name, code, code##_end, si)

static void kernel(void)
{
    KERNEL("CLI", k_cli);
    KERNEL("CLTS", k_clts);
    KERNEL("WBINVD", k_wbinvd);
    KERNEL("IN from DX", k_in);
    KERNEL("OUT to DX", k_out);
    KERNEL("INVLPG", k_invlpg);
    KERNEL("RDMSR", k_rdmsr);
    KERNEL("WRMSR", k_wrmsr);
    KERNEL("SGDT", k_sgdt);
    KERNEL("LGDT", k_lgdt);
    KERNEL("LIDT", k_lidt);
    KERNEL_SI("LLDT", k_lldt, LDT_SEL);
    KERNEL("MOV from CR0", k_rcr0);
    KERNEL("MOV from CR2", k_rcr2);
    KERNEL("MOV from CR3", k_rcr3);
    KERNEL("MOV to CR2", k_wcr2);
    KERNEL("MOV to CR3", k_wcr3);
    KERNEL("MOV to CR4", k_wcr4);
    KERNEL("MOV from DR7", k_rdr);
    KERNEL("MOV to DR0", k_wdr);
    KERNEL_SI("LMSW", k_lmsw, rcr0());
    if (on_bochs || on_qemu())
        skip("step HLT", "Bochs and QEMU sleep on (SDM vol. 2 HLT: a debug exception resumes execution)");
    else
        KERNEL("HLT, which ends at once", k_hlt);
#ifdef __x86_64__
    KERNEL("SWAPGS", k_swapgs);
    asm_("swapgs");
#else
    static const struct {
        const char *name;
        const u8 *code;
        unsigned cpl;
    } fast[] = {{"SYSENTER, TF stays", k_sysenter, 3}, {"SYSEXIT, TF stays", k_sysexit, 0}};
    for (unsigned i = 0; i < ARRAY_LEN(fast); i++) {
        test2("step", fast[i].name, "vol. 2 SYSENTER, SYSEXIT");
        wrmsr(0x174, K_CS);
        wrmsr(0x175, TOP(stack_k));
        wrmsr(0x176, (ul)landing);
        u64 spare[4];
        for (unsigned k = 0; k < 4; k++) spare[k] = get_desc(K_CS + 8 * k);
        set_desc(K_CS + 16, descriptor(0, 0xfffff, A_CODE3)); // what SYSEXIT takes: CS + 16, CS + 24
        set_desc(K_CS + 24, descriptor(0, 0xfffff, A_DATA3));
        struct regs r = ring(fast[i].cpl, fast[i].code);
        r.flags |= F_TF;
        r.dx = (ul)landing;
        r.cx = TOP(stack3);
        run(&r);
        event_is(DB, NO_ERR, landing);
        BITS("TF", ev.r.flags, F_TF, F_TF);
        EQ("CPL", ev.r.cs & 3, 3 - fast[i].cpl);
        for (unsigned k = 2; k < 4; k++) set_desc(K_CS + 8 * k, spare[k]);
        wrmsr(0x174, 0);
    }
#endif
}

void test_main(void)
{
    static const struct {
        const char *name;
        enum map map;
        u8 prefix;
    } t[] = {
        {"one byte", ONE, 0},    {"one byte, 66h", ONE, 0x66}, {"0Fh", TWO, 0},
        {"0Fh, 66h", TWO, 0x66}, {"0Fh, F2h", TWO, 0xf2},      {"0Fh, F3h", TWO, 0xf3},
        {"0Fh 38h", M38, 0},     {"0Fh 38h, 66h", M38, 0x66},  {"0Fh 38h, F2h", M38, 0xf2},
        {"0Fh 3Ah", M3A, 0},     {"0Fh 3Ah, 66h", M3A, 0x66},
    };
    wcr4(rcr4() | CR4_OSFXSR | 0x400);
    set_gate(BP, 0xee, K_CS, 0);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        if (t[i].map >= M38 && on_qemu()) {
            skip(t[i].name, "QEMU 7.2 dies by a signal at 0F 38 0C and others that are not defined");
            continue;
        }
        for (unsigned reg = 0; reg < 2; reg++) {
            test2(t[i].name, reg ? "registers" : "memory", "vol. 3 17.3.1.4");
            opcodes(t[i].map, t[i].prefix, reg);
        }
    }
    kernel();
}
