// SPDX-License-Identifier: MIT
// What tests/cli/look looks at: a multiboot kernel (flat, at 1 MB) that loads descriptor tables, turns the paging on that
// MODE names (32, 36: PAE, 64), takes page faults on purpose, fills registers, and halts three calls deep. The page tables
// are data that the test appends at 110000h: what they should show is what it wrote.
    .set CR3, 0x110000
    .code32
    .globl _start
_start:
    .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
    .long _start, _start, 0, 0, entry
entry:
    lgdt gdtr
    ljmp $0x08, $1f
1:  mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    xor %ax, %ax
    mov %ax, %fs
    mov %ax, %gs
    mov $stack, %esp
    lidt idtr
    mov $0x40, %ax
    lldt %ax
.if MODE == 32
    mov $0x290, %eax        # PSE, PGE, OSFXSR
.else
    mov $0x2a0, %eax        # PAE, PGE, OSFXSR
.endif
    mov %eax, %cr4
    mov $CR3, %eax
    mov %eax, %cr3
.if MODE != 32
    mov $0xc0000080, %ecx
    rdmsr
    or $0x800, %eax         # NXE
.if MODE == 64
    or $0x100, %eax         # LME
.endif
    wrmsr
.endif
    mov $0x80010033, %eax   # PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
.if MODE == 64
    ljmp $0x18, $long
    .code64
long:
    .set A, 8
    mov $0x28, %ax
    ltr %ax
    mov $0xc0000102, %ecx   # KERNEL_GS_BASE
    mov $0x12345678, %eax
    mov $0xffff8000, %edx
    wrmsr
.else
    .set A, 4
    mov $0x28, %ax
    ltr %ax
.endif
    # faults: read of what is not mapped, write to a read-only page, execution of a page that is NX (no fault in MODE 32)
    movl $1f, resume
    mov 0xa00000, %al
1:  movl $2f, resume
    mov %al, 0x801000
2:  movl $3f, resume
.if MODE == 64
    mov $0x802000, %rax
    call *%rax
.else
    mov $0x802000, %eax
    call *%eax
.endif
3:
.if MODE == 64
    mov $stack, %rsp
.else
    mov $stack, %esp
.endif
    fninit
    fldpi
    fld1
    mov $0x11111111, %eax
    mov $0x22222222, %ebx
    mov $0x33333333, %ecx
    mov $0x44444444, %edx
    mov $0x55555555, %esi
    mov $0x66666666, %edi
.if MODE == 64
    movabs $0x8888888877777777, %r8
    movq %r8, %xmm3
    xor %ebp, %ebp
.else
    xor %ebp, %ebp
.endif
    stc
    call outer
after_outer:
    hlt

.if MODE == 64
    .macro prologue
    push %rbp
    mov %rsp, %rbp
    .endm
.else
    .macro prologue
    push %ebp
    mov %esp, %ebp
    .endm
.endif
    .globl outer, middle, inner, handler, stack, after_outer, in_outer, in_middle, text, halted, saved
outer:
    prologue
    call middle
in_outer:
    ret
middle:
    prologue
    call inner
in_middle:
    ret
inner:
    prologue
halted:
1:  hlt
    jmp 1b

// #PF: notes error code and CR2, goes on at `resume`
handler:
.if MODE == 64
    mov saved_n, %ebx
    pop %rax
    mov %eax, saved(,%rbx,8)
    mov %cr2, %rax
    mov %eax, saved+4(,%rbx,8)
    incl saved_n
    mov resume, %eax
    mov %rax, (%rsp)
    iretq
.else
    mov saved_n, %ebx
    pop %eax
    mov %eax, saved(,%ebx,8)
    mov %cr2, %eax
    mov %eax, saved+4(,%ebx,8)
    incl saved_n
    mov resume, %eax
    mov %eax, (%esp)
    iret
.endif

    .balign 16
text: .asciz "Hello, monitor"
    .balign 16
saved: .fill 16, 4, 0
saved_n: .long 0
resume: .long 0, 0
gdtr: .word gdt_end - gdt - 1
    .long gdt, 0
idtr: .word idt_end - idt - 1
    .long idt, 0
    .balign 16
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    # 08 code 32
    .quad 0x00cf93000000ffff    # 10 data
    .quad 0x00af9b000000ffff    # 18 code 64
    .quad 0x000099123456ffff    # 20 code 16, execute-only, base 123456h
    .word 0x67, tss_low         # 28 TSS
    .byte tss_mid, 0x89, 0, 0
    .quad 0                     # 30 its upper half in long mode
    .quad 0x00cff6000000ffff    # 38 data, expand-down, DPL 3
    .word 0x17, ldt_low         # 40 LDT
    .byte ldt_mid, 0x82, 0, 0
    .quad 0                     # 48
    .word gate_low, 0x08        # 50 call gate, three parameters
    .byte 3, 0xec
    .word gate_high
gdt_end:
    .balign 16
ldt: .quad 0, 0x00cffb000000ffff, 0x00cff3000000ffff
    .balign 16
tss: .fill 26, 4, 0
    .balign 16
idt:
.if MODE == 64
    .fill 28, 8, 0
    .word gate_low, 0x18, 0x8e00, gate_high
    .quad 0
    .word gate_low, 0x18, 0xef02, gate_high
    .quad 0
.else
    .fill 13, 8, 0
    .word 0, 0x28, 0x8500, 0            # 13: task gate
    .word gate_low, 0x08, 0x8e00, gate_high
    .word gate_low, 0x08, 0xef00, gate_high
.endif
idt_end:
    .fill 1024, 4, 0
stack:
    .set gate_low, (handler - _start) & 0xffff
    .set gate_high, 0x10
    .set tss_low, (tss - _start) & 0xffff
    .set tss_mid, 0x10
    .set ldt_low, (ldt - _start) & 0xffff
    .set ldt_mid, 0x10
    .org 0x10000
end:
