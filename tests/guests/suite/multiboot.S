# SPDX-License-Identifier: MIT
# A kernel of the kvm-unit-tests kind: Multiboot ELF, text on COM1, arguments from -append, IRQs raised through
# pc-testdev (port 2000h + line), an I/O port that keeps its value (E0h), exit status through isa-debug-exit (port F4h:
# 2 * value + 1). Prints what it finds; the value is the number of checks that failed.
    .code32
    .text
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    movl $stack, %esp
    xorl %edi, %edi             # failures
    movl %eax, %ebp
    cmpl $0x2badb002, %ebp      # Multiboot 3.2: the loader's magic
    je 1f
    incl %edi
1:  movl $hello, %esi
    call puts
    testl $4, (%ebx)            # flag 2: command line
    jnz 2f
    incl %edi
    jmp 3f
2:  movl 16(%ebx), %esi
    call puts
3:  movl $newline, %esi
    call puts
    movw $0xe0, %dx             # pc-testdev: a register that reads back
    movl $0x12345678, %eax
    outl %eax, %dx
    xorl %eax, %eax
    inl %dx, %eax
    cmpl $0x12345678, %eax
    je 4f
    incl %edi
4:  movw $0x2005, %dx           # IRQ 5 up: the 8259's request register shows it
    movb $1, %al
    outb %al, %dx
    movb $0x0a, %al             # OCW3: read IRR
    outb %al, $0x20
    inb $0x20, %al
    testb $0x20, %al
    jnz 5f
    incl %edi
5:  movw $0x2005, %dx
    xorl %eax, %eax
    outb %al, %dx
    movl $done, %esi
    call puts
    movl %edi, %eax
    movw $0xf4, %dx
    outl %eax, %dx
6:  hlt
    jmp 6b
puts:
    movw $0x3fd, %dx
7:  inb %dx, %al
    testb $0x20, %al
    jz 7b
    lodsb
    testb %al, %al
    jz 8f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp puts
8:  ret
hello: .asciz "suite: "
newline: .asciz "\n"
done: .asciz "done\n"
    .bss
    .align 16
    .skip 4096
stack:
