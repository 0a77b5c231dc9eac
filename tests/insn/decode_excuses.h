// SPDX-License-Identifier: MIT
// Differences between our decoder and capstone 4 that are explained: by the SDM (vol. 2, row of the instruction), or as
// capstone's way to write things. First pattern that fits wins; patterns are fnmatch(3) with extensions.
#pragma once
static const struct excuse excuses[] = {
    // ---- not offered: no row, so #UD
    {"UD", "@(v*|k@(add|and|andn|mov|not|or|ortest|shiftl|shiftr|test|unpck|xnor|xor)*)", "validity", ANY_MODE,
     "AVX, FMA, F16C, AVX-512 opmasks, VMX, SVM: no rows"},
    {"UD", "@(pf*|pi2f*|pavgusb|pmulhrw|pswapd|femms)", "validity", ANY_MODE, "3DNow!: no rows"},
    {"UD", "@(extrq|insertq|movntsd|movntss)", "validity", ANY_MODE, "SSE4A: no rows"},
    {"UD", "@(stgi|clgi|invlpga|skinit)", "validity", ANY_MODE, "SVM: no rows"},
    {"UD", "@(invept|invvpid|getsec|encls|enclu)", "validity", ANY_MODE, "VMX, SMX, SGX: no rows"},
    {"UD", "@(xsavec|xsaves|xrstors)*", "validity", ANY_MODE, "XSAVEC, XSAVES: no rows"},
    {"UD", "@(xbegin|xend|xabort|xtest)", "validity", ANY_MODE, "TSX: no rows"},
    {"UD", "@(xstore*|xcrypt*|montmul|xsha*)", "validity", ANY_MODE, "VIA PadLock: no rows"},
    {"UD", "pcommit", "validity", ANY_MODE, "PCOMMIT was withdrawn before any processor had it: no row"},
    {"UD", "swapgs", "validity", M16 | M32, "SWAPGS exists in 64-bit code only (SDM: #UD elsewhere)"},
    // ---- encodings that capstone 4 does not know
    {"FENCE_?", "UD", "validity", ANY_MODE,
     "LFENCE, MFENCE, SFENCE ignore ModRM.rm (SDM: 0F AE /5, /6, /7 with mod 3)"},
    {"MOV_?(EvSw|SwEw)", "UD", "validity", ANY_MODE,
     "8C, 8E with reg 6 or 7: #UD when executed (SDM MOV), by the engine"},
    {"NOP_Ev_1?", "UD", "validity", ANY_MODE,
     "0F 19-1F: reserved NOPs for every ModRM (SDM vol. 2 table A-3, group 16)"},
    {"PREFETCH*_M", "UD", "validity", ANY_MODE, "0F 0D, 0F 18: hint and reserved NOP for every ModRM (AMD APM vol. 3)"},
    {"UD0_GvEv", "UD", "validity", ANY_MODE, "UD0 has a ModRM byte (SDM: UD0 r32, r/m32)"},
    {"UD?_GvEv", "ud*", "length", ANY_MODE, "UD0 and UD1 have a ModRM byte (SDM)"},
    {"RDPID_Ry", "rdseed", "mnemonic", ANY_MODE, "F3 0F C7 /7 mod 3 is RDPID (SDM)"},
    {"NOP_Ev_1E", "endbr*", "mnemonic", ANY_MODE, "CET not offered: ENDBR is a reserved NOP"},
    {"NOP_Ev_19", "nop", "number of operands", ANY_MODE, "capstone writes ModRM.reg too"},
    {"CLWB_Mb", "xsaveopt64", "mnemonic", M64, "66 0F AE /6 is CLWB, with REX.W too (SDM)"},
    {"COMISD_VsdWsd", "comiss", "mnemonic", M16, "66 in 16-bit code is a mandatory prefix here as elsewhere"},
    {"MOVQ_VqWq", "movd", "@(kind of operand|register)", ANY_MODE,
     "F3 0F 7E is MOVQ, with REX.W or in 16-bit code too (SDM)"},
    {"PINSRW_VdqEwIb", "pinsrw", "register", M16, "66 in 16-bit code is a mandatory prefix here as elsewhere"},
    {"MOVSXD_GvEd", "movsxd", "width of a register", M64, "without REX.W the destination is 32 bits (SDM MOVSXD)"},
    // ---- vendors
    {"@(CALL|JMP|JCC)_Jz", "*", "length", M64,
     "66 before near branches: ignored as on Intel (SDM); AMD cuts IP to 16 bits"},
    {"RET_Iw", "ret", "length", M64, "capstone 4 cuts the immediate with 66 and REX.W"},
    {"@(JMP|JCC)_Jz", "*", "immediate", M16 | M32, "target: capstone cuts by code or address size, not operand size"},
    {"@(CALL|JMP|JCC|PUSH|RET)_@(Jz|Iz|Iw)", "*", "@(immediate|length)", M64,
     "66 with REX.W: REX.W wins (SDM vol. 2 2.2.1.2)"},
    // ---- how capstone writes operands
    {"FSTP_STi_1", "fstpnce", "mnemonic", ANY_MODE, "D9 /3 mod 3: alias of FSTP (AMD APM vol. 3 appendix A)"},
    {"AA?_Ib", "aa?", "number of operands", ANY_MODE, "capstone leaves the immediate 10 unsaid"},
    {"FNSETPM", "fsetpm", "mnemonic", ANY_MODE, "spelling"},
    {"@(LAR_GvEw|LSL_GvEw|MOV_SwEw|PINSRW_*|PINSRB_*|PEXTRB_*|PEXTRW_*)", "*", "width of a register", ANY_MODE,
     "the register that holds a narrower operand is named whole"},
    {"@(L?S_G?Mp|CALL_Mp|JMP_Mp|LSL_GvEw|FNSTSW_Mw|COMIS?_*|PUNPCKL??_PqQd|PREFETCH_M|NOP_Ev_1?)", "*", "access size",
     ANY_MODE, "capstone 4 gives another size than the SDM's operand column (m16:32, m16, m32, m64)"},
    {"@(INS_YzDX|OUTS_DXXz|POP_Ev|PUSH_Ev)", "*", "access size", M64, "66 with REX.W: REX.W wins (SDM vol. 2 2.2.1.2)"},
};
