# SPDX-License-Identifier: MIT
# What a Multiboot kernel finds, as text on COM1: entry state and information (Multiboot 0.6.96, 3.2 and 3.3), modules,
# pc-testdev at every width (ports E0h to EBh and 2000h, memory at FF000000h), isa-debug-exit (status 139). -defsym FLAGS=n:
# the header's flags; 10000h: with addresses, so that the file need not be ELF. tests/cli/suites holds the expected
# text, which is QEMU 7.2's, but for its name.
    .intel_syntax noprefix
    .text
    .code32
    .globl _start
first:
header:
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
.if FLAGS & 0x10000
    .long header, first, _edata, _end, _start
.endif
_start:
    mov [regs], eax
    mov [regs+4], ebx
    mov esp, offset stack
    pushfd
    and dword ptr [esp], 0x200
    pop dword ptr [regs+8]
    mov eax, cr0
    and eax, 0x80000001
    mov [regs+12], eax
    mov ax, cs
    movzx eax, ax
    lsl ecx, eax
    mov [regs+16], ecx
    mov ax, ds
    movzx eax, ax
    lsl ecx, eax
    mov [regs+20], ecx
    in al, 0x92
    and al, 2
    mov [regs+24], al
    mov ebx, [regs+4]
    mov eax, [ebx]
    mov [regs+4], eax
    mov eax, [ebx+12]
    mov [regs+28], eax
    mov esi, offset regs
    mov ecx, 8
    mov edi, offset t_regs
    call dump
    mov esi, [ebx+16]
    call puts
    mov esi, offset nl
    call puts
    # the memory map names the first megabyte and what is above it as RAM
    mov edx, [ebx+44]
    mov [left], edx
    mov edx, [ebx+48]
1:  cmp dword ptr [left], 0
    jle 2f
    cmp dword ptr [edx+20], 1
    jne 3f
    mov esi, edx
    mov ecx, 3
    mov edi, offset t_map
    push edx
    call dump
    pop edx
3:  mov eax, [edx]
    add eax, 4
    sub [left], eax
    add edx, eax
    jmp 1b
2:  # modules
    mov ecx, [ebx+20]
    mov edx, [ebx+24]
3:  jecxz 4f
    push ecx
    push edx
    mov eax, [edx]
    and eax, 0xfff
    mov [regs], eax
    mov eax, [edx+4]
    sub eax, [edx]
    mov [regs+4], eax
    mov esi, offset regs
    mov ecx, 2
    mov edi, offset t_mod
    call dump
    pop edx
    push edx
    mov esi, [edx+8]
    call puts
    mov esi, offset nl
    call puts
    pop edx
    push edx
    mov esi, [edx]
    mov ecx, 2
    mov edi, offset t_data
    call dump
    pop edx
    pop ecx
    add edx, 16
    dec ecx
    jmp 3b
4:  mov al, 'a'
    mov esi, offset t_test
    call puts
    # pc-testdev
    .macro SHOW
    call hex
    mov al, 32
    call putc
    .endm
    mov dx, 0xe0
    mov eax, 0x12345678
    out dx, eax
    mov dx, 0xe1
    in al, dx
    movzx eax, al
    SHOW
    mov dx, 0xe2
    in ax, dx
    movzx eax, ax
    SHOW
    mov dx, 0xe8
    in eax, dx
    SHOW
    mov dx, 0xe9
    in al, dx
    movzx eax, al
    SHOW
    mov dx, 0xea
    mov ax, 0xbeef
    out dx, ax
    mov dx, 0xe0
    in eax, dx
    SHOW
    mov dx, 0xe3
    mov al, 0x77
    out dx, al
    mov dx, 0xe8
    in eax, dx
    SHOW
    mov dx, 0xe4
    in eax, dx
    SHOW
    mov dx, 0xe4
    in al, dx
    movzx eax, al
    SHOW
    mov eax, 0x200000
    out dx, eax
    mov dx, 0x2000
    in al, dx
    movzx eax, al
    SHOW
    mov dx, 0x200e
    in ax, dx
    movzx eax, ax
    SHOW
    mov esi, offset nl
    call puts
    mov edi, 0xff000000
    mov dword ptr [edi], 0x11223344
    mov word ptr [edi+6], 0x5566
    mov byte ptr [edi+5], 0x77
    mov eax, [edi]
    SHOW
    mov eax, [edi+4]
    SHOW
    movzx eax, byte ptr [edi+1]
    SHOW
    movzx eax, word ptr [edi+2]
    SHOW
    mov eax, [edi+0xfffc]
    SHOW
    mov dword ptr [edi+0xfffc], 0xdeadbeef
    mov eax, [edi+0xfffc]
    SHOW
    fninit
    fild qword ptr [edi]
    fistp qword ptr [edi+16]
    mov eax, [edi+16]
    SHOW
    mov eax, [edi+20]
    SHOW
    mov eax, [edi+1]
    SHOW
    mov dword ptr [edi+0x21], 0xa1b2c3d4
    mov eax, [edi+0x20]
    SHOW
    mov eax, [edi+0x24]
    SHOW
    mov esi, offset nl
    call puts
    # lines 5 and 14 up: both 8259s ask
    mov dx, 0x2005
    mov al, 1
    out dx, al
    mov dx, 0x200e
    out dx, al
    mov al, 0x0a
    out 0x20, al
    out 0xa0, al
    in al, 0x20
    mov ah, al
    in al, 0xa0
    movzx eax, ax
    and eax, 0x2440
    SHOW
    mov dx, 0x2005
    mov al, 0
    out dx, al
    mov dx, 0x200e
    out dx, al
    mov esi, offset nl
    call puts
    # isa-debug-exit
    mov dx, 0xf4
    in eax, dx
    SHOW
    in al, dx
    movzx eax, al
    SHOW
    mov dx, 0xf6
    in al, dx
    movzx eax, al
    SHOW
    mov esi, offset nl
    call puts
    mov eax, 0x12345
    mov dx, 0xf4
    out dx, eax
9:  hlt
    jmp 9b
dump: # edi title, esi words, ecx count
    push esi
    mov esi, edi
    call puts
    pop esi
7:  mov eax, [esi]
    add esi, 4
    call hex
    mov al, 32
    call putc
    loop 7b
    mov esi, offset nl
    jmp puts
hex: pushad
    mov ecx, 8
8:  rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    call putc
    pop eax
    loop 8b
    popad
    ret
putc: push edx
    push eax
    mov dx, 0x3fd
1:  in al, dx
    test al, 0x20
    jz 1b
    pop eax
    mov dx, 0x3f8
    out dx, al
    pop edx
    ret
puts: lodsb
    test al, al
    jz 1f
    call putc
    jmp puts
1:  ret
    .data
t_regs: .asciz "regs "
t_map: .asciz "map "
t_mod: .asciz "mod "
t_data: .asciz "data "
t_test: .asciz "testdev\n"
nl: .asciz "\n"
left: .long 0
regs: .skip 64
    .bss
    .skip 4096
stack:
