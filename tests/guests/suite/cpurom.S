# SPDX-License-Identifier: MIT
# A CPU test as ROM image, run by -bios without any firmware: from the reset vector through real mode, 16- and 32-bit
# protected mode, paging, ring 3, virtual-8086 mode and a task switch back to real mode and a timer interrupt.
# Each stage writes its number to the diagnostic ports 80h and 190h and, as text, to COM1 and LPT1; FFh: all passed. The end
# is isa-debug-exit: 10h (status 33) if all passed, 40h + stage (status 129 + 2 * stage) if that stage failed.
# This is the last 64 KB of the image, at F0000h and below 4 GB; -defsym LOWER=1: the 64 KB before it, at E0000h;
# -defsym BREAK=n: stage n fails; -defsym WITH_LOWER=1: there are 64 KB before it. All of it passes on QEMU; on Bochs
# 2.7 all but one check: EDX has no family there after a reset (SDM vol. 3 table 9-1 wants it).
# Expected values: SDM vol. 3 9.1 (reset), 6.15 (exceptions), 4.7 and 4.8 (paging), 7.3 (tasks), 20 (V86); vol. 2 DAA, AAM.
    .intel_syntax noprefix
    .text
.ifdef LOWER
    .code16
    mov ax, 0x600d
    retf
    .org 0xfffc
    .long 0x4c4f5721
.else
.ifndef BREAK
BREAK = 0
.endif

# Memory: the stage, what a handler saw, tables.
AT_STAGE = 0x500
RESUME = 0x510              # where a handler goes on, in CS32, with ESP from KEEP
KEEP = 0x514
SEEN = 0x520                # vector, error code, EIP, CS, EFLAGS, (from outside ring 0) ESP, SS
MARK = 0x560
GDT = 0x800
IDT = 0x1000
TSS1 = 0x2000
TSS2 = 0x2100
STACK = 0x7000
STACK0 = 0x6800             # of the TSS
STACK3 = 0x6000
STACK_T2 = 0x5800
PD = 0x8000
PT0 = 0x9000
PT1 = 0xa000

CS32 = 0x08
DATA32 = 0x10
CS32_TOP = 0x18
CS16 = 0x20
DS16 = 0x28
U_CS = 0x33
U_DS = 0x3b
T1 = 0x40
T2 = 0x48
ABSENT = 0x50
GDT_SIZE = 0x58

    .code16
# ---- 1: the state after reset, in the copy below 4 GB: a near jump came here
start:
    mov sp, STACK
    pushfd
    pop eax
    cmp eax, 2
    jne fail16
    mov ax, cs
    cmp ax, 0xf000
    jne fail16
    test dh, 0x0f           # family
    jz fail16
    mov eax, cr0
    cmp eax, 0x60000010
    jne fail16
    sidt [SEEN]
    cmp word ptr [SEEN], 0xffff
    jne fail16
    cmp word ptr [SEEN + 2], 0
    jne fail16
    cli
    cld
    mov dx, 0x3fb           # 8 bits, after a reset it is 5
    mov al, 3
    out dx, al
    mov al, 1
    call stage16
.if BREAK == 1
    jmp fail16
.endif
# ---- 2: protected mode straight from there; the copies are equal, and no store changes them
    mov al, 2
    call stage16
    data32 lgdt cs:[gdtr_top]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea        # JMP CS32_TOP:top
    .long top
    .word CS32_TOP
    .code32
top:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
.ifdef WITH_LOWER
    mov esi, 0xfffe0000
    mov edi, 0xe0000
    mov ecx, 0x8000
    cmp dword ptr [0xefffc], 0x4c4f5721
    jne fail32
.else
    mov esi, 0xffff0000
    mov edi, 0xf0000
    mov ecx, 0x4000
.endif
    repe cmpsd
    jne fail32
    mov eax, offset signature + 0xf0000
    mov ebx, [eax]
    cmp ebx, 0x21544f42
    jne fail32
    not dword ptr [eax]
    cmp [eax], ebx
    jne fail32
    not dword ptr [eax + 0xfff00000]
    cmp [eax + 0xfff00000], ebx
    jne fail32
    mov dword ptr [0x100000], 0x12345678
    cmp dword ptr [0x100000], 0x12345678
    jne fail32
.if BREAK == 2
    jmp fail32
.endif
# ---- 3: 16-bit protected mode, then real mode in the copy below 1 MB
    mov al, 3
    call stage32
    mov ax, DS16
    mov ds, ax
    mov es, ax
    mov ss, ax
    .byte 0xea              # JMP CS16:half
    .long half
    .word CS16
    .code16
half:
    push 0x1234             # a 16-bit stack, and CS16 says 16 bits
    cmp sp, STACK - 2
    jne fail16
    pop ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    .byte 0xea
    .word real, 0xf000
real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK
    mov word ptr [0 * 4], offset divide16
    mov word ptr [0 * 4 + 2], cs
    mov word ptr [6 * 4], offset opcode16
    mov word ptr [6 * 4 + 2], cs
    mov word ptr [0x20 * 4], offset call16
    mov word ptr [0x20 * 4 + 2], cs
    mov word ptr [8 * 4], offset tick16
    mov word ptr [8 * 4 + 2], cs
    mov al, 0x79
    add al, 0x35
    daa                     # SDM's example: 14h, CF and AF
    jnc fail16
    cmp al, 0x14
    jne fail16
    mov al, 0x3f
    aam
    cmp ax, 0x0603
    jne fail16
    mov ax, 0x8000
    cwd
    mov bx, 3
    idiv bx                 # -32768 = 3 * -10922 - 2
    cmp ax, -10922
    jne fail16
    cmp dx, -2
    jne fail16
    xor bx, bx
    mov bp, offset divided
divide:
    div bx                  # a fault: IP of the DIV
    jmp fail16
divided:
    cmp word ptr [SEEN], offset divide
    jne fail16
    cmp byte ptr [MARK], 1
    jne fail16
    mov bp, offset undefined2
undefined:
    ud2
    jmp fail16
undefined2:
    cmp word ptr [SEEN], offset undefined
    jne fail16
    cmp byte ptr [MARK], 2
    jne fail16
    int 0x20
    cmp byte ptr [MARK], 3
    jne fail16
    mov ax, 0x1000          # segments are bases here: 1000:0010 is 0FFF:0020
    mov es, ax
    dec ax
    mov fs, ax
    mov word ptr es:[0x10], 0x55aa
    cmp word ptr fs:[0x20], 0x55aa
    jne fail16
.if BREAK == 3
    jmp fail16
.endif
# ---- 4: the lower 64 KB of a larger image
.ifdef WITH_LOWER
    mov al, 4
    call stage16
    .byte 0x9a              # CALL E000:0
    .word 0, 0xe000
    cmp ax, 0x600d
    jne fail16
.if BREAK == 4
    jmp fail16
.endif
.endif
# ---- 5: 32-bit protected mode: exceptions and their error codes
    mov al, 5
    call stage16
    xor ax, ax
    mov es, ax
    mov si, offset gdt      # the GDT goes to RAM: TSS descriptors are written
    mov di, GDT
    mov cx, GDT_SIZE / 2
    rep movsw es:[di], cs:[si]
    mov word ptr [SEEN], GDT_SIZE - 1
    mov dword ptr [SEEN + 2], GDT
    data32 lgdt [SEEN]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea        # JMP CS32:protected
    .long protected
    .word CS32
    .code32
protected:
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    mov edi, IDT
    mov eax, offset stubs
    or eax, CS32 << 16
    xor ecx, ecx
1:  mov [edi + ecx * 8], eax
    mov dword ptr [edi + ecx * 8 + 4], 0x8e00
    add eax, 16
    inc ecx
    cmp ecx, 0x40
    jb 1b
    or byte ptr [IDT + 3 * 8 + 5], 0x60 # DPL 3
    or byte ptr [IDT + 4 * 8 + 5], 0x60
    or byte ptr [IDT + 0x30 * 8 + 5], 0x60
    mov word ptr [SEEN], 0x40 * 8 - 1
    mov dword ptr [SEEN + 2], IDT
    lidt [SEEN]

# INSN raises this vector with this error code; EIP is that of INSN (fault) or behind it (trap).
.macro TRAPS vector, error, where, insn:vararg
    mov dword ptr [KEEP], esp
    mov dword ptr [RESUME], offset resume\@
fault\@:
    \insn
trap\@:
    jmp fail32
resume\@:
    cmp dword ptr [SEEN], \vector
    jne fail32
    cmp dword ptr [SEEN + 4], \error
    jne fail32
    cmp dword ptr [SEEN + 8], offset \where\@
    jne fail32
.endm
    TRAPS 6, 0, fault, ud2
    xor ebx, ebx
    TRAPS 0, 0, fault, div ebx
    TRAPS 3, 0, trap, int3
    mov al, 0x7f
    inc al
    TRAPS 4, 0, trap, into
    mov dword ptr [MARK], 5
    mov dword ptr [MARK + 4], 9
    mov eax, 10
    TRAPS 5, 0, fault, bound eax, [MARK]
    mov eax, ABSENT
    TRAPS 11, ABSENT, fault, mov es, eax
    TRAPS 12, ABSENT, fault, mov ss, eax
    mov eax, GDT_SIZE + 3
    TRAPS 13, GDT_SIZE, fault, mov fs, eax
    TRAPS 13, (0x40*8+2), fault, int 0x40
    mov eax, CS32
    TRAPS 13, CS32, fault, mov ss, eax
    TRAPS 13, CS32, fault, ltr ax
    mov eax, cr0            # 4: x87 emulated
    or al, 4
    mov cr0, eax
    TRAPS 7, 0, fault, fldz
    mov eax, cr0
    and al, 0xf3
    mov cr0, eax
    fninit
    fld1
    fldpi
    fxch
    fistp dword ptr [MARK]
    cmp dword ptr [MARK], 1
    jne fail32
.if BREAK == 5
    jmp fail32
.endif
# ---- 6: paging
    mov al, 6
    call stage32
    mov edi, PD
    xor eax, eax
    mov ecx, 0x400
    rep stosd
    mov dword ptr [PD], PT0 + 7
    mov dword ptr [PD + 0xc00], PT1 + 7
    mov edi, PT0            # 0 to 4 MB are themselves, everybody's, but 30000h
    mov eax, 7
    mov ecx, 0x400
1:  stosd
    add eax, 0x1000
    loop 1b
    and dword ptr [PT0 + 0x30 * 4], 0xfffffffb
    mov edi, PT1            # C0000000h: the ROM, read-only
    xor eax, eax
    mov ecx, 0x400
    rep stosd
    mov edi, PT1
    mov eax, 0xf0005
    mov ecx, 16
1:  stosd
    add eax, 0x1000
    loop 1b
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000      # PG, WP
    mov cr0, eax
    jmp 1f
1:  cmp dword ptr [0xc0000000 + signature], 0x21544f42
    jne fail32
    mov edi, offset signature + 0xc0000000
    mov esi, 0xc0100004
    TRAPS 14, 3, fault, mov [edi], eax # present, write
    mov eax, cr2
    cmp eax, edi
    jne fail32
    TRAPS 14, 0, fault, mov eax, [esi]
    TRAPS 14, 2, fault, mov [esi], eax
    mov eax, cr2
    cmp eax, esi
    jne fail32
    mov eax, [0x21000]      # accessed and dirty
    mov [0x22000], eax
    mov al, [PT0 + 0x21 * 4]
    and al, 0x60
    cmp al, 0x20
    jne fail32
    mov al, [PT0 + 0x22 * 4]
    and al, 0x60
    cmp al, 0x60
    jne fail32
    mov dword ptr [0x25000], 0x25252525
    mov dword ptr [0x20000], 0x20202020
    mov dword ptr [PT0 + 0x20 * 4], 0x25007
    invlpg [0x20000]
    cmp dword ptr [0x20000], 0x25252525
    jne fail32
.if BREAK == 6
    jmp fail32
.endif
# ---- 7: ring 3
    mov al, 7
    call stage32
    mov edi, TSS1
    xor eax, eax
    mov ecx, 0x200 / 4
    rep stosd
    mov dword ptr [TSS1 + 4], STACK0
    mov dword ptr [TSS1 + 8], DATA32
    mov word ptr [TSS1 + 0x66], 0x68 # no I/O map
    mov eax, T1
    ltr ax

# Runs TARGET at ring 3; it ends by this vector and error code, EIP of label WHERE.
.macro RING3 target, vector, error, where
    mov dword ptr [KEEP], esp
    mov dword ptr [RESUME], offset resume\@
    push U_DS
    push STACK3
    push 2
    push U_CS
    push offset \target
    iretd
resume\@:
    cmp dword ptr [SEEN], \vector
    jne fail32
    cmp dword ptr [SEEN + 4], \error
    jne fail32
    cmp dword ptr [SEEN + 8], offset \where
    jne fail32
    cmp dword ptr [SEEN + 12], U_CS
    jne fail32
    cmp dword ptr [SEEN + 24], U_DS
    jne fail32
.endm
    RING3 user_read, 14, 5, user_read.at
    RING3 user_hlt, 13, 0, user_hlt
    RING3 user_cli, 13, 0, user_cli
    RING3 user_in, 13, 0, user_in
    RING3 user_int, 13, (0x20*8+2), user_int
    RING3 user_call, 0x30, 0, user_call.behind
    cmp dword ptr [MARK], 0x33
    jne fail32
.if BREAK == 7
    jmp fail32
.endif
# ---- 8: virtual-8086 mode
    mov al, 8
    call stage32

# Runs F000:TARGET with these flags; it ends by this vector and error code at F000:WHERE.
.macro V86 target, flags, vector, error, where
    mov dword ptr [KEEP], esp
    mov dword ptr [RESUME], offset resume\@
    push 0                  # GS, FS
    push 0
    push 0x1000             # DS
    push 0x2000             # ES
    push 0                  # SS
    push STACK3
    push 0x20002 | \flags
    push 0xf000
    push offset \target
    iretd
resume\@:
    cmp dword ptr [SEEN], \vector
    jne fail32
    cmp dword ptr [SEEN + 4], \error
    jne fail32
    cmp dword ptr [SEEN + 8], offset \where
    jne fail32
    cmp dword ptr [SEEN + 12], 0xf000
    jne fail32
    test byte ptr [SEEN + 18], 2 # VM
    jz fail32
    cmp dword ptr [SEEN + 24], 0
    jne fail32
.endm
    V86 v86_int, 0, 13, 0, v86_int.at
    cmp word ptr [0x10020], 0x1000 # it stored its DS
    jne fail32
    cmp dword ptr [0x25004], 0x86868686 # ES:4 is 20004h, which paging moved
    jne fail32
    V86 v86_cli, 0, 13, 0, v86_cli
    V86 v86_in, 0x3000, 13, 0, v86_in
    V86 v86_int3, 0x3000, 3, 0, v86_int3.behind
    V86 v86_ud, 0x3000, 6, 0, v86_ud
    V86 v86_page, 0, 14, 5, v86_page.at
.if BREAK == 8
    jmp fail32
.endif
# ---- 9: a task switch and back
    mov al, 9
    call stage32
    mov eax, cr3
    mov [TSS1 + 0x1c], eax  # not saved by the switch
    mov [TSS2 + 0x1c], eax
    mov dword ptr [TSS2 + 0x20], offset task2
    mov dword ptr [TSS2 + 0x24], 2
    mov dword ptr [TSS2 + 0x28], 0x20202020 # EAX
    mov dword ptr [TSS2 + 0x38], STACK_T2
    mov dword ptr [TSS2 + 0x48], DATA32
    mov dword ptr [TSS2 + 0x4c], CS32
    mov dword ptr [TSS2 + 0x50], DATA32
    mov dword ptr [TSS2 + 0x54], DATA32
    mov word ptr [TSS2 + 0x66], 0x68
    mov eax, 0x10101010
    .byte 0x9a              # CALL T2:0
    .long 0
    .word T2
back: cmp eax, 0x10101010
    jne fail32
    cmp dword ptr [MARK], 0x20202020
    jne fail32
    cmp dword ptr [TSS1 + 0x20], offset back
    jne fail32
    cmp byte ptr [GDT + T1 + 5], 0x8b
    jne fail32
    cmp byte ptr [GDT + T2 + 5], 0x89
    jne fail32
    smsw ax                 # TS
    test al, 8
    jz fail32
    clts
.if BREAK == 9
    jmp fail32
.endif
# ---- A: real mode again
    mov al, 0x0a
    call stage32
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov dword ptr [0xfee000f0], 0x1ff # virtual wire mode: where there is a local APIC, it is masked after reset
    mov dword ptr [0xfee00350], 0x700
    mov word ptr [SEEN], 0x3ff
    mov dword ptr [SEEN + 2], 0
    lidt [SEEN]
    mov ax, DS16
    mov ds, ax
    mov es, ax
    mov ss, ax
    .byte 0xea
    .long half2
    .word CS16
    .code16
half2:
    mov eax, cr0
    and al, 0xf0
    mov cr0, eax
    .byte 0xea
    .word real2, 0xf000
real2:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACK
    mov byte ptr [MARK], 0
    int 0x20
    cmp byte ptr [MARK], 3
    jne fail16
.if BREAK == 10
    jmp fail16
.endif
# ---- B: a timer interrupt ends HLT
    mov al, 0x0b
    call stage16
    mov al, 0x11            # 8259s: vectors 8 and 70h, IRQ 0 alone
    out 0x20, al
    out 0xa0, al
    mov al, 8
    out 0x21, al
    mov al, 0x70
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0xff
    out 0xa1, al
    mov al, 0x34            # counter 0, mode 2, 1000
    out 0x43, al
    mov al, 1000 & 255
    out 0x40, al
    mov al, 1000 >> 8
    out 0x40, al
    mov byte ptr [MARK], 0
    mov cx, 3
1:  sti
    hlt
    cli
    loop 1b
    cmp byte ptr [MARK], 3
    jne fail16
.if BREAK == 11
    jmp fail16
.endif
    mov al, 0xff
    call stage16
    mov al, 0x10
    jmp end16

# ---- 16-bit code: handlers, text, end
divide16:
    mov byte ptr [MARK], 1
    jmp fault16
opcode16:
    mov byte ptr [MARK], 2
fault16:
    pop word ptr [SEEN]
    push bp
    iret
call16:
    mov byte ptr [MARK], 3
    iret
tick16:
    push ax
    inc byte ptr [MARK]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret
fail16:
    mov al, [AT_STAGE]
    or al, 0x40
end16:
    mov dx, 0xf4
    out dx, al
1:  hlt
    jmp 1b

# AL: the stage's number, to the diagnostic ports and as text; a character, to COM1 and LPT1. DS has base 0.
.macro TEXT bits
stage\bits:
    mov [AT_STAGE], al
    out 0x80, al
    mov dx, 0x190
    out dx, al
    push eax
    shr al, 4
    call digit\bits
    pop eax
    and al, 15
    call digit\bits
    mov al, 0x20
    cmp byte ptr [AT_STAGE], 0xff
    jne put\bits
    mov al, 10
    jmp put\bits
digit\bits:
    cmp al, 10
    sbb al, 0x69
    das
put\bits:
    mov ah, al
    mov dx, 0x3fd
1:  in al, dx
    test al, 0x20
    jz 1b
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    mov dx, 0x379           # not busy, data, strobe
1:  in al, dx
    test al, 0x80
    jz 1b
    mov al, ah
    mov dx, 0x378
    out dx, al
    mov dx, 0x37a
    mov al, 0x0d
    out dx, al
    mov al, 0x0c
    out dx, al
    ret
.endm
    TEXT 16

v86_int:
    mov [0x20], ds
    mov dword ptr es:[4], 0x86868686
v86_int.at:
    int 0x21
v86_cli:
    cli
v86_in:
    in al, 0x60
v86_int3:
    int3
v86_int3.behind:
v86_ud:
    ud2
v86_page:
    mov ax, 0x3000
    mov fs, ax
v86_page.at:
    mov al, fs:[0]

# ---- 32-bit code
    .code32
    TEXT 32
fail32:
    mov al, [AT_STAGE]
    or al, 0x40
    mov dx, 0xf4
    out dx, al
1:  hlt
    jmp 1b
user_read:
    mov ax, U_DS
    mov ds, ax
user_read.at:
    mov eax, [0x30000]
user_hlt:
    hlt
user_cli:
    cli
user_in:
    in al, 0x60
user_int:
    int 0x20
user_call:
    mov ax, cs
    movzx eax, ax
    push eax
    mov ax, U_DS
    mov ds, ax
    pop dword ptr [MARK]
    int 0x30
user_call.behind:
task2:
    mov [MARK], eax
    pushfd
    pop eax
    test ah, 0x40           # NT
    jz fail32
    cmp word ptr [TSS2], T1
    jne fail32
    iretd

# What all stubs come to: vector and error code lie below the frame.
common:
    push eax
    mov ax, DATA32
    mov ds, ax
    mov es, ax
    pop eax
    pop dword ptr [SEEN]
    pop dword ptr [SEEN + 4]
    pop dword ptr [SEEN + 8]
    pop dword ptr [SEEN + 12]
    pop dword ptr [SEEN + 16]
    test byte ptr [SEEN + 12], 3
    jnz 1f
    test byte ptr [SEEN + 18], 2
    jz 2f
1:  pop dword ptr [SEEN + 20]
    pop dword ptr [SEEN + 24]
2:  mov esp, [KEEP]
    jmp dword ptr [RESUME]
    .balign 16
stubs:
vector = 0
.rept 0x40
    .balign 16
.if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
    push 0
.endif
    push vector
    jmp common
vector = vector + 1
.endr

    .balign 8
gdt:
    .word 0, 0, 0, 0
    .word 0xffff, 0, 0x9b0f, 0x0040 # CS32: F0000h
    .word 0xffff, 0, 0x9300, 0x00cf # DATA32
    .word 0xffff, 0, 0x9bff, 0xff40 # CS32_TOP: FFFF0000h
    .word 0xffff, 0, 0x9b0f, 0x0000 # CS16
    .word 0xffff, 0, 0x9300, 0x0000 # DS16
    .word 0xffff, 0, 0xfb0f, 0x0040 # U_CS
    .word 0xffff, 0, 0xf300, 0x00cf # U_DS
    .word 0x67, TSS1, 0x8900, 0
    .word 0x67, TSS2, 0x8900, 0
    .word 0xffff, 0, 0x1300, 0x00cf # ABSENT
gdtr_top:
    .word GDT_SIZE - 1
    .long 0xffff0000 + gdt
signature:
    .long 0x21544f42
    .org 0xfff0
    .code16
    jmp start               # near: CS keeps its base of FFFF0000h
    .org 0x10000
.endif
