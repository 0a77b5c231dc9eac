// SPDX-License-Identifier: MIT
// The front end: encodings of every class of instructions and mode, and the operations that the SDM's description of
// each asks for; order of checks and changes is the verifier's affair, which every case passes too.
#include "tests/ir/block.h"

struct encoding {
    u32 key;
    const char *bytes, *ir;
};

static void judge(const struct encoding *v, unsigned n)
{
    struct block *b = block_new();
    for (unsigned k = 0; k < n; k++) {
        char got[700], want[700];
        u32 at;
        bool ok = block_decode(b, v[k].key, v[k].bytes);
        b->e.ir.n = 0;
        if (ok) front_insn(&b->e, b->t, 0, (BLOCK_PA & 0xfff) + b->t->insn[0].len);
        snprintf(got, sizeof got, "%s: %s", v[k].bytes, ok ? block_text(b) : "not decoded");
        snprintf(want, sizeof want, "%s: %s", v[k].bytes, v[k].ir);
        CHECK_STR(got, want);
        if (!ok) continue;
        tb_front(&b->e, b->t);
        const char *bad = ir_verify(&b->e.ir, &at);
        snprintf(got, sizeof got, "%s: %s", v[k].bytes, bad ? bad : "fine");
        snprintf(want, sizeof want, "%s: fine", v[k].bytes);
        CHECK_STR(got, want);
    }
    block_free(b);
}
#define JUDGE(v) judge(v, ARRAY_LEN(v))

static void arithmetic(void)
{
    static const struct encoding v[] = {
        {M64, "48 01 d8", "ADD.8 rax, rbx"},
        {M64, "01 d8", "ADD.4 rax, rbx"},
        {M64, "66 01 d8", "ADD.2 rax, rbx"},
        {M64, "00 d8", "ADD.1 rax, rbx"},
        {M64, "00 fc", "ADD.1 ah, bh"},
        {M64, "40 00 fc", "ADD.1 rsp, rdi"},
        {M64, "4d 03 f9", "ADD.8 r15, r9"},
        {M64, "02 e7", "ADD.1 ah, bh"},
        {M64, "04 ff", "ADD.1 rax, $-1"},
        {M64, "05 ff ff ff ff", "ADD.4 rax, $-1"},
        {M64, "48 05 00 00 00 80", "ADD.8 rax, $-0x80000000"},
        {M64, "66 05 ff 7f", "ADD.2 rax, $0x7fff"},
        {M64, "48 83 c0 80", "ADD.8 rax, $-0x80"},
        {M64, "83 c8 ff", "OR.4 rax, $-1"},
        {M64, "11 c8", "ADC.4 rax, rcx"},
        {M64, "48 19 c0", "SBB.8 rax, rax"},
        {M64, "21 c8", "AND.4 rax, rcx"},
        {M64, "29 c8", "SUB.4 rax, rcx"},
        {M64, "31 c0", "XOR.4 rax, rax"},
        {M64, "39 c8", "CMP.4 rax, rcx"},
        {M64, "48 01 03", "MEM.8 [rbx]a8 wr; ADD.8 m, rax"},
        {M64, "f0 48 01 03", "MEM.8 [rbx]a8 wr; ADD.8 m, rax"},
        {M64, "48 03 44 8b 10", "MEM.8 [rbx+rcx*4+0x10]a8; ADD.8 rax, m"},
        {M64, "67 48 03 44 8b f0", "MEM.8 [rbx+rcx*4-0x10]a4; ADD.8 rax, m"},
        {M64, "48 39 45 00", "MEM.8 [rbp]a8; CMP.8 m, rax"},
        {M64, "48 3b 05 00 10 00 00", "MEM.8 [base+0x1107]a8; CMP.8 rax, m"},
        {M64, "80 3d 00 10 00 00 05", "MEM.1 [base+0x1107]a8; CMP.1 m, $5"},
        {M64, "48 03 04 25 00 10 00 00", "MEM.8 [0x1000]a8; ADD.8 rax, m"},
        {M64, "64 48 03 04 25 28 00 00 00", "MEM.8 fs:[0x28]a8; ADD.8 rax, m"},
        {M64, "65 48 2b 44 24 08", "MEM.8 gs:[rsp+8]a8; SUB.8 rax, m"},
        {M64, "3e 81 3c c5 00 00 00 00 07 00 00 00", "MEM.4 [rax*8]a8; CMP.4 m, $7"},
        {M64, "f6 03 80", "MEM.1 [rbx]a8; TEST.1 m, $-0x80"},
        {M64, "f7 c8 01 00 00 00", "TEST.4 rax, $1"},
        {M64, "48 85 c0", "TEST.8 rax, rax"},
        {M64, "a9 00 00 00 80", "TEST.4 rax, $-0x80000000"},
        {M64, "ff c1", "INC.4 rcx"},
        {M32, "41", "INC.4 rcx"},
        {M32, "66 49", "DEC.2 rcx"},
        {M64, "fe 0f", "MEM.1 [rdi]a8 wr; DEC.1 m"},
        {M64, "48 f7 d9", "NEG.8 rcx"},
        {M64, "f7 d1", "NOT.4 rcx"},
        {M64, "f6 13", "MEM.1 [rbx]a8 wr; NOT.1 m"},
        {M32, "82 c0 05", "ADD.1 rax, $5"},
        {M64, "0f c1 03", "MEM.4 [rbx]a8 wr; XADD.4 m, rax"},
        {M64, "0f c0 03", "MEM.1 [rbx]a8 wr; XADD.1 m, rax"},
        {M64, "f0 48 0f b1 0b", "MEM.8 [rbx]a8 wr; CMPXCHG.8 m, rcx"},
        {M64, "0f b1 cb", "CMPXCHG.4 rbx, rcx"},
        {M64, "0f b0 cb", "CMPXCHG.1 rbx, rcx"},
        {M64, "f7 e3", "MUL.4 rbx"},
        {M64, "48 f7 2b", "MEM.8 [rbx]a8; IMUL1.8 m"},
        {M64, "f6 e3", "MUL.1 rbx"},
        {M64, "48 f7 f3", "DIV.8 rbx"},
        {M64, "f7 3b", "MEM.4 [rbx]a8; IDIV.4 m"},
        {M64, "66 f7 f3", "DIV.2 rbx"},
        {M64, "f6 f7", "DIV.1 bh"},
        {M64, "f6 fb", "CALL.0"},
        {M64, "0f af c3", "IMUL.4 rax, rbx"},
        {M64, "66 0f af 03", "MEM.2 [rbx]a8; IMUL.2 rax, m"},
        {M64, "48 6b c3 f0", "IMUL3.8 rax, rbx, $-0x10"},
        {M64, "69 03 00 01 00 00", "MEM.4 [rbx]a8; IMUL3.4 rax, m, $0x100"},
        {M64, "f8", "MOV.4 t0, $0; BT.4 t0, $0"},
        {M64, "f9", "MOV.4 t0, $1; BT.4 t0, $0"},
        {M64, "f5", "SETCC.1 t0, ae; BT.4 t0, $0"},
        {M64, "fc", "CLRFL.4 $0x400"},
        {M64, "fd", "SETFL.4 $0x400"},
        {M32, "27", "CALL.0"},
        {M64, "c4 e2 f0 f2 c3", "MOV.8 t0, rcx; NOT.8 t0; AND.8 t0, rbx; MOV.8 rax, t0"},
        {M64, "c4 e2 70 f2 03", "MEM.4 [rbx]a8; MOV.4 t0, rcx; NOT.4 t0; AND.4 t0, m; MOV.4 rax, t0"},
        {M64, "c4 e2 f3 f6 c3", "MULX.8 rcx, rbx, $0"},
        {M64, "66 48 0f 38 f6 c3", "ADCX.8 rax, rbx"},
        {M64, "f3 0f 38 f6 03", "MEM.4 [rbx]a8; ADOX.4 rax, m"},
        {M64, "c4 e2 f0 f3 cb", "BLSR.8 rcx, rbx"},
        {M64, "c4 e2 70 f3 1b", "MEM.4 [rbx]a8; BLSI.4 rcx, m"},
        {M64, "c4 e2 f0 f5 c3", "MOV.8 t0, rcx; BZHI.8 t0, rbx; MOV.8 rax, t0"},
        {M64, "c4 e2 73 f5 03", "MEM.4 [rbx]a8; MOV.4 t0, rcx; PDEP.4 t0, m; MOV.4 rax, t0"},
        {M64, "0f ae 3b", "MEM.1 [rbx]a8; NOP.0"},
    };
    JUDGE(v);
}

static void shifts_and_bits(void)
{
    static const struct encoding v[] = {
        {M64, "c1 e0 04", "SHL.4 rax, $4"},
        {M64, "c1 e0 24", "SHL.4 rax, $4"},
        {M64, "c1 e0 20", "MOV.4 rax, rax"}, // the upper half is cleared, flags stay
        {M64, "48 c1 e0 40", ""},
        {M64, "66 c1 e0 00", ""},
        {M64, "48 c1 e0 3f", "SHL.8 rax, $0x3f"},
        {M64, "c0 e0 08", "CALL.0"},
        {M64, "c0 fc 07", "SAR.1 ah, $7"},
        {M64, "66 c1 e8 10", "CALL.0"},
        {M64, "d1 e8", "SHR.4 rax, $1"},
        {M64, "48 d1 3b", "MEM.8 [rbx]a8 wr; SAR.8 m, $1"},
        {M64, "c1 23 00", "CALL.0"},
        {M64, "d3 e0", "SHLV.4 rax"},
        {M64, "48 d3 2b", "MEM.8 [rbx]a8 wr; SHRV.8 m"},
        {M64, "66 d3 e0", "CALL.0"},
        {M64, "d2 e0", "CALL.0"},
        {M64, "48 d3 c9", "RORV.8 rcx"},
        {M64, "c1 c0 07", "ROL.4 rax, $7"},
        {M64, "d0 cc", "ROR.1 ah, $1"},
        {M64, "d1 d0", "RCL.4 rax, $1"},
        {M64, "c1 f0 03", "SHL.4 rax, $3"}, // /6 is SHL
        {M64, "0f a4 d8 05", "SHLD.4 rax, rbx, $5"},
        {M64, "48 0f ac 03 21", "MEM.8 [rbx]a8 wr; SHRD.8 m, rax, $0x21"},
        {M64, "0f a4 d8 20", "MOV.4 rax, rax"},
        {M64, "66 0f a4 d8 05", "CALL.0"},
        {M64, "0f a5 d8", "SHLDV.4 rax, rbx"},
        {M64, "c4 e2 f1 f7 c3", "SHX.8 rax, rbx, SHL base=rcx"},
        {M64, "c4 e2 72 f7 03", "MEM.4 [rbx]a8; SHX.4 rax, m, SAR base=rcx"},
        {M64, "c4 e2 73 f7 c3", "SHX.4 rax, rbx, SHR base=rcx"},
        {M64, "c4 e3 fb f0 c3 45", "RORX.8 rax, rbx, $5"},
        {M64, "0f a3 d8", "BT.4 rax, rbx"},
        {M64, "0f a3 18", "LEA.8 t0, [rax]a8; BITS_AT.4 t0, rbx asz=8; MEM.4 [t0]a8; BT.4 m, rbx"},
        {M64, "48 0f ab d8", "BTS.8 rax, rbx"},
        {M64, "0f ba e0 25", "BT.4 rax, $5"},
        {M64, "48 0f ba 23 21", "MEM.8 [rbx]a8; BT.8 m, $0x21"},
        {M64, "f0 0f ba 2b 03", "MEM.4 [rbx]a8 wr; BTS.4 m, $3"},
        {M64, "66 0f ba 33 0f", "MEM.2 [rbx]a8 wr; BTR.2 m, $0xf"},
        {M64, "0f ba f8 03", "BTC.4 rax, $3"},
        {M64, "0f bc c3", "BSF.4 rax, rbx"},
        {M64, "48 0f bd 03", "MEM.8 [rbx]a8; BSR.8 rax, m"},
        {M64, "f3 0f bc c3", "TZCNT.4 rax, rbx"},
        {M64, "f3 48 0f bd c3", "LZCNT.8 rax, rbx"},
        {M64, "f3 48 0f b8 c3", "POPCNT.8 rax, rbx"},
        {M64, "f2 0f 38 f0 c3", "CRC32.4 rax, rbx cc=1"},
        {M64, "f2 48 0f 38 f1 03", "MEM.8 [rbx]a8; CRC32.4 rax, m cc=8"},
        {M64, "66 f2 0f 38 f1 c3", "CRC32.4 rax, rbx cc=2"},
    };
    JUDGE(v);
}

static void movement(void)
{
    static const struct encoding v[] = {
        {M64, "48 89 d8", "MOV.8 rax, rbx"},
        {M64, "88 e0", "MOV.1 rax, ah"},
        {M64, "48 8b 03", "MEM.8 [rbx]a8; MOV.8 rax, m"},
        {M64, "88 2b", "MEM.1 [rbx]a8 wr; MOV.1 m, ch"},
        {M64, "c7 03 ff ff ff ff", "MEM.4 [rbx]a8 wr; MOV.4 m, $-1"},
        {M64, "48 c7 c0 ff ff ff ff", "MOV.8 rax, $-1"},
        {M64, "48 b8 88 77 66 55 44 33 22 11", "MOV.8 rax, $0x1122334455667788"},
        {M64, "b8 ff ff ff ff", "MOV.4 rax, $-1"},
        {M64, "b4 80", "MOV.1 ah, $-0x80"},
        {M64, "a1 00 00 00 00 80 00 00 00", "CALL.0"}, // 64-bit address beyond 32 bits
        {M64, "a1 00 10 00 00 00 00 00 00", "MEM.4 [0x1000]a8; MOV.4 rax, m"},
        {M64, "67 a0 00 00 00 80", "MEM.1 [-0x80000000]a4; MOV.1 rax, m"},
        {M32, "a3 00 10 00 00", "MEM.4 [0x1000]a4 wr; MOV.4 m, rax"},
        {M16, "a1 34 12", "MEM.2 ds:[0x1234]a2; MOV.2 rax, m"},
        {M64, "8c f8", "CALL.0"}, // no such segment register
        {M64, "8e d0", "CALL.0"},
        {M64, "48 0f c3 03", "MEM.8 [rbx]a8 wr; MOV.8 m, rax"},
        {M64, "0f b6 c3", "MOVZX.4 rax, rbx cc=1"},
        {M64, "0f b6 c7", "MOVZX.4 rax, bh cc=1"},
        {M64, "48 0f b7 03", "MEM.2 [rbx]a8; MOVZX.8 rax, m cc=2"},
        {M64, "66 0f b7 c3", "MOV.2 rax, rbx"},
        {M64, "66 0f be c3", "MOVSX.2 rax, rbx cc=1"},
        {M64, "48 63 c3", "MOVSX.8 rax, rbx cc=4"},
        {M64, "63 03", "MEM.4 [rbx]a8; MOV.4 rax, m"},
        {M64, "48 8d 44 8b 10", "LEA.8 rax, [rbx+rcx*4+0x10]a8"},
        {M64, "67 48 8d 03", "LEA.8 rax, [rbx]a4"},
        {M64, "8d 05 10 00 00 00", "LEA.4 rax, [base+0x116]a8"},
        {M16, "66 8d 40 fe", "LEA.4 rax, [rbx+rsi*1-2]a2"},
        {M64, "87 d8", "XCHG.4 rax, rbx"},
        {M64, "48 87 03", "MEM.8 [rbx]a8 wr; XCHG.8 m, rax"},
        {M64, "86 23", "MEM.1 [rbx]a8 wr; XCHG.1 m, ah"},
        {M64, "91", "XCHG.4 rcx, rax"},
        {M64, "49 90", "XCHG.8 r8, rax"},
        {M64, "90", ""},
        {M64, "f3 90", "CALL.0"},
        {M64, "0f 1f 44 00 00", ""},
        {M64, "f3 0f 1e fa", ""},
        {M64, "0f 18 0b", ""},
        {M64, "0f ae f0", ""},
        {M64, "0f c8", "BSWAP.4 rax"},
        {M64, "66 0f c8", "MOV.2 rax, $0"},
        {M64, "48 0f 38 f0 03", "MEM.8 [rbx]a8; MOV.8 rax, m; BSWAP.8 rax"},
        {M64, "0f 38 f1 03", "MEM.4 [rbx]a8 wr; MOV.4 t0, rax; BSWAP.4 t0; MOV.4 m, t0"},
        {M64, "66 0f 38 f0 03", "CALL.0"},
        {M64, "66 98", "CBW.2"},
        {M64, "48 98", "CBW.8"},
        {M64, "99", "CWD.4"},
        {M64, "0f 94 c0", "SETCC.1 rax, e"},
        {M64, "0f 9f 03", "MEM.1 [rbx]a8 wr; SETCC.1 m, g"},
        {M64, "0f 45 c3", "CMOV.4 rax, rbx, ne"},
        {M64, "48 0f 42 03", "MEM.8 [rbx]a8; CMOV.8 rax, m, b"},
        {M64, "d7", "CALL.0"},
        {M64, "a4",
         "OFF.4 $0x400000000a4; MEM.1 [rsi]a8; MOVZX.4 t0, m cc=1; MEM.1 [rdi]a8 wr t0live; MOV.1 m, t0; LEA.8 rsi, "
         "[rsi+1]a8; LEA.8 rdi, [rdi+1]a8"},
        {M64, "0f a2", "CALL.0"},
        {M64, "ec", "CALL.0; LEAVE.0"},
    };
    JUDGE(v);
}

static void segments(void)
{
    static const struct encoding v[] = {
        {M32, "8b 03", "MEM.4 [rbx]a4; MOV.4 rax, m"},
        {M32, "64 8b 03", "MEM.4 fs:[rbx]a4; MOV.4 rax, m"},
        {M32, "2e 8b 03", "MEM.4 cs:[rbx]a4; MOV.4 rax, m"}, // CS may not be writable, nor readable
        {M32SEG, "8b 03", "MEM.4 ds:[rbx]a4; MOV.4 rax, m"},
        {M32SEG, "8b 45 08", "MEM.4 ss:[rbp+8]a4; MOV.4 rax, m"},
        {M32SEG, "26 8b 03", "MEM.4 es:[rbx]a4; MOV.4 rax, m"},
        {M32, "67 8b 07", "MEM.4 [rbx]a2; MOV.4 rax, m"},
        {M16, "8b 07", "MEM.2 ds:[rbx]a2; MOV.2 rax, m"},
        {M16, "66 8b 46 fe", "MEM.4 ss:[rbp-2]a2; MOV.4 rax, m"},
        {M16, "67 8b 03", "MEM.2 ds:[rbx]a4; MOV.2 rax, m"},
        {M16, "8b 06 ff ff", "MEM.2 ds:[-1]a2; MOV.2 rax, m"},
    };
    JUDGE(v);
}

// Fields of struct cpu are at offsets that nothing here should know.
static void with_fields(void)
{
    char text[300];
    size_t eflags = offsetof(struct cpu, eflags), es = offsetof(struct cpu, seg) + offsetof(struct seg, sel);
    snprintf(text, sizeof text,
             "OFF.4 $0x%llx; MEM.1 [rsi]a8; MOVZX.4 t0, m cc=1; MEM.1 [rdi]a8 wr t0live; MOV.1 m, t0; LEA.8 rsi, "
             "[rsi+1]a8; LEA.8 rdi, [rdi+1]a8",
             (unsigned long long)FL_DF << 32 | eflags);
    judge(&(struct encoding){M64, "a4", text}, 1);
    snprintf(text, sizeof text, "OFF.4 $0x%llx; REPSTOS.8 asz=8", (unsigned long long)FL_DF << 32 | eflags);
    judge(&(struct encoding){M64, "f3 48 ab", text}, 1);
    snprintf(text, sizeof text, "MEM.4 [rsp-4]a4 wr stack; LDCPU.2 t0, $0x%x; MOV.4 m, t0; LEA.4 rsp, [rsp-4]a4",
             (unsigned)es);
    judge(&(struct encoding){M32, "06", text}, 1);
}

static void stack(void)
{
    static const struct encoding v[] = {
        {M64, "50", "MEM.8 [rsp-8]a8 wr stack; MOV.8 m, rax; LEA.8 rsp, [rsp-8]a8"},
        {M64, "54", "MEM.8 [rsp-8]a8 wr stack; MOV.8 m, rsp; LEA.8 rsp, [rsp-8]a8"},
        {M64, "66 50", "MEM.2 [rsp-2]a8 wr stack; MOV.2 m, rax; LEA.8 rsp, [rsp-2]a8"},
        {M64, "6a ff", "MEM.8 [rsp-8]a8 wr stack; MOV.8 m, $-1; LEA.8 rsp, [rsp-8]a8"},
        {M64, "68 00 00 00 80", "MEM.8 [rsp-8]a8 wr stack; MOV.8 m, $-0x80000000; LEA.8 rsp, [rsp-8]a8"},
        {M64, "ff 33",
         "MEM.8 [rbx]a8; MOV.8 t0, m; MEM.8 [rsp-8]a8 wr t0live stack; MOV.8 m, t0; LEA.8 rsp, [rsp-8]a8"},
        {M64, "58", "MEM.8 [rsp]a8 stack; MOV.8 rax, m; LEA.8 rsp, [rsp+8]a8"},
        {M64, "5c", "MEM.8 [rsp]a8 stack; LEA.8 rsp, [rsp+8]a8; MOV.8 rsp, m"},
        {M64, "8f 03", "MEM.8 [rsp]a8 stack; MOV.8 t0, m; MEM.8 [rbx]a8 wr t0live; MOV.8 m, t0; LEA.8 rsp, [rsp+8]a8"},
        {M64, "8f 44 24 10",
         "MEM.8 [rsp]a8 stack; MOV.8 t0, m; MEM.8 [rsp+0x18]a8 wr t0live; MOV.8 m, t0; LEA.8 rsp, [rsp+8]a8"},
        {M64, "c9", "MEM.8 [rbp]a8; LEA.8 rsp, [rbp+8]a8; MOV.8 rbp, m"},
        {M64, "c8 20 00 00",
         "MEM.8 [rsp-0x28]a8 wr stack; MEM.8 [rsp-8]a8 wr stack; MOV.8 m, rbp; LEA.8 rbp, [rsp-8]a8; LEA.8 rsp, "
         "[rsp-0x28]a8"},
        {M64, "c8 20 00 01", "CALL.0"},
        {M32, "50", "MEM.4 [rsp-4]a4 wr stack; MOV.4 m, rax; LEA.4 rsp, [rsp-4]a4"},
        {M32SEG, "50", "MEM.4 ss:[rsp-4]a4 wr stack; MOV.4 m, rax; LEA.4 rsp, [rsp-4]a4"},
        {M32, "66 50", "MEM.2 [rsp-2]a4 wr stack; MOV.2 m, rax; LEA.4 rsp, [rsp-2]a4"},
        {M32, "8f 04 24",
         "MEM.4 [rsp]a4 stack; MOV.4 t0, m; MEM.4 [rsp+4]a4 wr t0live; MOV.4 m, t0; LEA.4 rsp, [rsp+4]a4"},
        {M16, "50", "MEM.2 ss:[rsp-2]a2 wr stack; MOV.2 m, rax; LEA.2 rsp, [rsp-2]a2"},
        {M16, "66 50", "MEM.4 ss:[rsp-4]a2 wr stack; MOV.4 m, rax; LEA.2 rsp, [rsp-4]a2"},
        {M16, "5c", "MEM.2 ss:[rsp]a2 stack; LEA.2 rsp, [rsp+2]a2; MOV.2 rsp, m"},
        {M16, "67 8f 04 24", "CALL.0"},
        {M16, "c9", "MEM.2 ss:[rbp]a2; LEA.2 rsp, [rbp+2]a2; MOV.2 rbp, m"},
        {M16, "c8 20 00 00", "CALL.0"},
        {M32, "60", "CALL.0"},
        {M64, "9c", "GETFL.4 t0; MEM.8 [rsp-8]a8 wr t0live stack; MOV.8 m, t0; LEA.8 rsp, [rsp-8]a8"},
        {M64, "66 9c", "CALL.0"},
        {M64, "66 9d", "CALL.0"},
    };
    JUDGE(v);
}

static void control(void)
{
    static const struct encoding v[] = {
        {M64, "74 10", "JCC.8 e, $0x112"},
        {M64, "0f 8f 00 ff ff ff", "JCC.8 g, $6"},
        {M64, "eb fe", "JMP.8 $0x100"},
        {M64, "e9 00 f0 ff ff", "JMP.8 $-0xefb"},
        {M64, "66 eb fe", "JMP.8 $0x101"},
        {M32, "eb fe", "JMP.4 $0x100"},
        {M32, "66 eb fe", "JMP.2 $0x101"},
        {M16, "75 fe", "JCC.2 ne, $0x100"},
        {M64, "e9 ff ff ff 7f", "CALL.0; LEAVE.0"}, // offset beyond 32 bits
        {M64, "e8 00 00 00 00",
         "MEM.8 [rsp-8]a8 wr stack; RIP.8 t0, $0x105; MOV.8 m, t0; LEA.8 rsp, [rsp-8]a8; CALLTO.8 t0, $0x105 disp=261"},
        {M16, "e8 10 00",
         "MEM.2 ss:[rsp-2]a2 wr stack; RIP.2 t0, $0x103; MOV.2 m, t0; LEA.2 rsp, [rsp-2]a2; CALLTO.2 t0, $0x113 "
         "disp=259"},
        {M64, "ff d0",
         "MOV.8 t0, rax; MEM.8 [rsp-8]a8 wr t0live stack; LOOKUP.8 t0; RIP.8 t0, $0x102; MOV.8 m, t0; LEA.8 rsp, "
         "[rsp-8]a8; CALLGO.0 t0 disp=258"},
        {M64, "ff 13",
         "MEM.8 [rbx]a8; MOV.8 t0, m; MEM.8 [rsp-8]a8 wr t0live stack; LOOKUP.8 t0; RIP.8 t0, $0x102; MOV.8 m, t0; "
         "LEA.8 rsp, [rsp-8]a8; CALLGO.0 t0 disp=258"},
        {M64, "ff e0", "MOV.8 t0, rax; LOOKUP.8 t0; GO.0"},
        {M64, "ff 24 c3", "MEM.8 [rbx+rax*8]a8; MOV.8 t0, m; LOOKUP.8 t0; GO.0"},
        {M16, "ff e0", "MOVZX.4 t0, rax cc=2; LOOKUP.2 t0; GO.0"},
        {M64, "c3", "MEM.8 [rsp]a8 stack; MOV.8 t0, m; RET.8 t0 asz=8 disp=8"},
        {M32, "c2 08 00", "MEM.4 [rsp]a4 stack; MOV.4 t0, m; RET.4 t0 asz=4 disp=12"},
        {M16, "c3", "MEM.2 ss:[rsp]a2 stack; MOVZX.4 t0, m cc=2; RET.2 t0 asz=2 disp=2"},
        {M64, "e2 fe", "LEA.8 rcx, [rcx-1]a8; JRCXZ.8 $0x100 asz=8 cc=1; JMP.8 $0x102"},
        {M64, "67 e2 fd", "LEA.4 rcx, [rcx-1]a4; JRCXZ.8 $0x100 asz=4 cc=1; JMP.8 $0x103"},
        {M32, "67 e2 fd", "LEA.2 rcx, [rcx-1]a2; JRCXZ.4 $0x100 asz=2 cc=1; JMP.4 $0x103"},
        {M64, "e1 fe", "CALL.0; LEAVE.0"},
        {M64, "e0 fe", "CALL.0; LEAVE.0"},
        {M64, "e3 10", "JRCXZ.8 $0x112 asz=8; JMP.8 $0x102"},
        {M64, "cb", "CALL.0; LEAVE.0"},
        {M64, "cd 80", "CALL.0; LEAVE.0"},
        {M64, "0f 05", "CALL.0; LEAVE.0"},
        {M64, "0f 0b", "CALL.0; LEAVE.0"},
        {M64, "f4", "CALL.0; LEAVE.0"},
    };
    JUDGE(v);
}

// A block: instructions in order, and a jump to what follows it.
static void whole_block(void)
{
    struct block *b = block_new();
    CHECK(block_decode(b, M64, "48 8b 03 48 85 c0 74 f8 90"));
    tb_front(&b->e, b->t);
    CHECK_STR(block_text(b), "MEM.8 [rbx]a8; MOV.8 rax, m; 1 TEST.8 rax, rax; 2 JCC.8 e, $0x100; 3 JMP.8 $0x109");
    // An end in the middle (a jump out of reach): nothing behind it.
    CHECK(block_decode(b, M64, "0f 84 ff ff ff 7f 90"));
    tb_front(&b->e, b->t);
    CHECK_STR(block_text(b), "CALL.0; LEAVE.0");
    // In 16-bit code the instruction pointer is not cut on the way to the next instruction.
    CHECK(block_decode(b, M16, "90"));
    tb_front(&b->e, b->t);
    CHECK_STR(block_text(b), "JMP.4 $0x101");
    block_free(b);
}

// What a refused direct jump has done is undone, as wide as it was done.
static void take_back(void)
{
    static struct cpu c;
    struct insn i = {.op = OP_CALL_Jz, .osz = 4};
    c.mode = MODE_32 | MODE_SS32;
    c.gpr[R_RSP] = 0xfffffffc;
    front_take_back(&c, &i);
    CHECK_EQ(c.gpr[R_RSP], 0);
    i.osz = 2;
    c.mode = MODE_16;
    c.gpr[R_RSP] = 0x1234fffe;
    front_take_back(&c, &i);
    CHECK_EQ(c.gpr[R_RSP], 0x12340000);
    i = (struct insn){.op = OP_LOOP_Jb, .asz = 2, .ea_shift = 48};
    c.gpr[R_RCX] = 0x5ffff;
    front_take_back(&c, &i);
    CHECK_EQ(c.gpr[R_RCX], 0x50000);
    i.op = OP_JMP_Jb;
    front_take_back(&c, &i);
    CHECK_EQ(c.gpr[R_RCX], 0x50000);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {TEST(arithmetic), TEST(shifts_and_bits), TEST(movement),
                                              TEST(segments),   TEST(stack),           TEST(with_fields),
                                              TEST(control),    TEST(whole_block),     TEST(take_back)};
    return check_main(argc, argv, tests, ARRAY_LEN(tests));
}
