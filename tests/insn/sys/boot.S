// SPDX-License-Identifier: MIT
// Boot sector for machines without -kernel (Bochs): reads the image that follows it to 1 MB by way of 10000h, one sector
// at a time, and enters it as multiboot does, with EAX = B0C45h.
    .code16
    .globl _start
_start:
    ljmp $0, $1f
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $0x7c00, %sp
    mov $0x2401, %ax
    int $0x15
    in $0x92, %al
    or $2, %al
    and $0xfe, %al
    out %al, $0x92
    mov $1, %si             // LBA
    mov $0x100000, %edi
next:
    mov %si, %ax
    xor %dx, %dx
    mov $18, %bx
    div %bx
    mov %dl, %cl
    inc %cl
    xor %dx, %dx
    mov $2, %bx
    div %bx
    mov %al, %ch
    mov %dl, %dh
    mov $0, %dl
    mov $0x1000, %bx
    mov %bx, %es
    xor %bx, %bx
    mov $0x0201, %ax
    int $0x13
    jc next
    cli                     // to protected mode and back for each sector
    lgdt gdtr
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $0x10, %bx
    mov %bx, %ds
    mov %bx, %es
    and $0xfe, %al
    mov %eax, %cr0
    xor %bx, %bx
    mov %bx, %ds
    push %si
    mov $0x10000, %esi
    mov $128, %ecx
    cld
    mov %bx, %es
    addr32 rep movsl
    pop %si
    sti
    inc %si
    cmp %si, count
    jae next
    cli
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmp $8, $1f
    .code32
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $0xb0c45, %eax
    mov 0x10001c, %ebx      // the header's entry_addr
    jmp *%ebx
    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word 23
    .long gdt
    .org 508
count:
    .word 0
    .word 0xaa55
