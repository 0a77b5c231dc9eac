# SPDX-License-Identifier: MIT
# A multiboot guest for tests/bench/points: some 30 million instructions of arithmetic, memory, calls and string
# operations in 32-bit code with paging off, then isa-debug-exit. as --32, ld -m elf_i386 -Ttext=0x100000.
.intel_syntax noprefix
.code32
.text
.long 0x1badb002, 0, -0x1badb002        # multiboot header
.globl _start
_start:
    mov esp, offset stack_top
    mov ebp, 600
round:
    mov ecx, 4000
    mov esi, offset array
    xor eax, eax
sum:
    add eax, [esi]
    rol eax, 3
    mov [esi], eax
    add esi, 4
    dec ecx
    jnz sum
    mov eax, 14
    call fib
    mov edi, offset array
    mov ecx, 1000
    cld
    rep stosd
    dec ebp
    jnz round
    xor eax, eax
    mov dx, 0xf4
    out dx, al
hang:
    hlt
    jmp hang
fib:                                    # eax = fib(eax)
    cmp eax, 2
    jb 1f
    push ebx
    push eax
    dec eax
    call fib
    mov ebx, eax
    pop eax
    sub eax, 2
    call fib
    add eax, ebx
    pop ebx
1:  ret
.globl elsewhere
elsewhere:                              # never executed
    .fill 65536, 1, 0x90
.bss
.balign 4096
array: .space 16384
.space 4096
.globl quiet
.balign 4096
quiet: .space 4096                      # a page that nobody touches
.space 4096
stack_top:
