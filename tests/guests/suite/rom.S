# SPDX-License-Identifier: MIT
# A 128 KB image for -bios of the ROM test kind: starts at the reset vector in real mode, writes result codes to a
# diagnostic port (190h), text to COM1 and the parallel port, and ends through isa-debug-exit (value 10h: status 33).
    .code16
    .text
    .org 0x10000
start:
    cli
    movw $0x190, %dx
    movb $1, %al
    outb %al, %dx               # test 1 runs
    movw $0x3f8, %dx
    movw $text, %si
1:  movb %cs:(%si), %al
    incw %si
    testb %al, %al
    jz 2f
    outb %al, %dx
    movb %al, %ah               # the same to the parallel port: not busy, data, strobe
    movw $0x379, %dx
4:  inb %dx, %al
    testb $0x80, %al
    jz 4b
    movb %ah, %al
    movw $0x378, %dx
    outb %al, %dx
    movw $0x37a, %dx
    movb $0x0d, %al
    outb %al, %dx
    movb $0x0c, %al
    outb %al, %dx
    movw $0x3f8, %dx
    jmp 1b
2:  movw $0x190, %dx
    movb $0xff, %al
    outb %al, %dx               # all passed
    movw $0xf4, %dx
    movb $0x10, %al
    outb %al, %dx
3:  hlt
    jmp 3b
text = . - 0x10000
    .asciz "rom test: ff\n"
    .org 0x1fff0
    .byte 0xea
    .word 0, 0xf000
    .org 0x20000
