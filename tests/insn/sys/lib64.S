// SPDX-License-Identifier: MIT
// Entry by multiboot and the way to 64-bit mode (the first 4 GB mapped one to one, 2 MB pages, for user code too), the
// recording handlers, run(), and the entry of a second processor.
#define R(n) (8 * (n))
#define AX 0
#define CX 1
#define DX 2
#define BX 3
#define SP 4
#define BP 5
#define SI 6
#define DI 7
#define IP 16
#define FLAGS 17
#define CS 18
#define SS 19
#define DS 20
#define ES 21
#define FS 22
#define GS 23
    .section .multiboot, "a"
    .balign 4
header:
    .long 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    .long header, image_start, image_end, bss_end, start
    .text
    .code32
    .globl start
start:
    cli
    cld
    mov $boot_stack_top, %esp
    mov %eax, %ebp
    mov $image_end, %edi
    mov $bss_end, %ecx
    sub %edi, %ecx
    xor %eax, %eax
    rep stosb
    movl $boot_pdpt + 7, boot_pml4
    mov $boot_pd + 7, %eax
    mov $boot_pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 1b
    mov $0x87, %eax // user pages too
    mov $boot_pd, %edi
    mov $2048, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    lgdt boot_gdtr
    ljmp $8, $start64
    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_stack_top, %rsp
    mov %ebp, %edi
    call lib_start
1:  hlt
    jmp 1b

    .globl run
run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushf
    mov %rsp, host_rsp
    mov %rdi, %rbp
    mov R(DS)(%rbp), %ds
    mov R(ES)(%rbp), %es
    mov R(FS)(%rbp), %fs
    mov R(GS)(%rbp), %gs
    push R(SS)(%rbp)
    push R(SP)(%rbp)
    push R(FLAGS)(%rbp)
    push R(CS)(%rbp)
    push R(IP)(%rbp)
    mov R(AX)(%rbp), %rax
    mov R(CX)(%rbp), %rcx
    mov R(DX)(%rbp), %rdx
    mov R(BX)(%rbp), %rbx
    mov R(SI)(%rbp), %rsi
    mov R(DI)(%rbp), %rdi
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov R(\n)(%rbp), %r\n
    .endr
    mov R(BP)(%rbp), %rbp
    .globl run_iret
run_iret:
    iretq

    .balign 16
    .globl stubs
stubs:
    .set i, 0
    .rept 256
    .balign 16
    push $i
    jmp record
    .set i, i + 1
    .endr

record:
    mov %rax, ev + R(AX) // not by way of DS or SS, whatever they are
    pop %rax
    mov %rax, ev_vec
    mov %rsp, ev_hsp
    pushf
    pop %rax
    mov %rax, ev_hflags
    cld
    mov %rcx, ev + R(CX)
    mov %rdx, ev + R(DX)
    mov %rbx, ev + R(BX)
    mov %rbp, ev + R(BP)
    mov %rsi, ev + R(SI)
    mov %rdi, ev + R(DI)
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\n, ev + R(\n)
    .endr
    xor %eax, %eax
    mov %ds, %ax
    mov %rax, ev + R(DS)
    mov %es, %ax
    mov %rax, ev + R(ES)
    mov %fs, %ax
    mov %rax, ev + R(FS)
    mov %gs, %ax
    mov %rax, ev + R(GS)
    mov %cs, %ax
    mov %rax, ev_hcs
    mov %ss, %ax
    mov %rax, ev_hss
    mov %cr2, %rax
    mov %rax, ev_cr2
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov host_rsp, %rsp
    popf
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

// A second processor starts here in real mode, copied to 8000h, and comes to ap_main() in 64-bit mode.
    .globl ap_code, ap_code_end
ap_code:
    .code16
    cli
    mov %cs, %ax
    mov %ax, %ds
    mov %ax, 0x800 // 8800h: CS as it came
    mov %edx, 0x804
    mov %cr0, %eax
    mov %eax, 0x808
    lgdtl ap_gdtr - ap_code
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    ljmpl $8, $ap_start64
ap_gdtr:
    .word 23
    .long boot_gdt
ap_code_end:
    .code64
ap_start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $ap_stack_top, %rsp
    call *ap_main
1:  cli
    hlt
    jmp 1b

    .data
    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
    .word 23
    .long boot_gdt
    .globl ap_main
    .balign 8
ap_main:
    .quad 0
    .bss
    .globl host_rsp
host_rsp:
    .space 8
    .balign 16
    .space 8192
ap_stack_top:
    .space 32768
boot_stack_top:
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
    .space 4096
boot_pdpt:
    .space 4096
boot_pd:
    .space 4 * 4096
