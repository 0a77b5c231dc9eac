# SPDX-License-Identifier: MIT
# A boot sector for debuggers: 16-bit code, a segment whose base is not 0, then 32-bit, then 64-bit code. `stage` says
# how far it is; `counter` counts to 1000 in 64-bit code; at the end it halts. README's chapter on gdb uses it.
    .intel_syntax noprefix
    .globl start
    .code16
start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    lea si, hello
    call print
    ljmp 0x7c0, segmented - start
print:
    lodsb
    test al, al
    jz 1f
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    jmp print
1:  ret
segmented:
    mov byte ptr [stage], 1
    nop
    ljmp 0, unsegmented
unsegmented:
    cli
    lgdt [gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 8, protected
    .code32
protected:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, 0x7c00
    mov byte ptr [stage], 2
    mov edi, 0x1000                 # PML4, page directory pointers, page directory: 2 MB, linear = physical
    xor eax, eax
    mov ecx, 0xc00
    rep stosd
    mov dword ptr [0x1000], 0x2003
    mov dword ptr [0x2000], 0x3003
    mov dword ptr [0x3000], 0x83
    mov eax, 0x1000
    mov cr3, eax
    mov eax, 0x620                  # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100                   # LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    ljmp 0x18, long_mode
    .code64
long_mode:
    mov byte ptr [rip + stage], 3
    movabs rax, 0x1122334455667788
    mov r15, rax
    movq xmm7, rax
    fninit
    fld1
    call count
done:
    hlt
    jmp done
count:
    mov ecx, 1000
1:  inc qword ptr [rip + counter]
    dec ecx
    jnz 1b
    ret
hello:
    .asciz "hello from the boot sector\r\n"
    .balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff
gdtr:
    .word gdtr - gdt - 1
    .long gdt
    .balign 8
stage:
    .long 0
counter:
    .quad 0
    .org start + 510
    .word 0xaa55
