// SPDX-License-Identifier: MIT
// Entry by multiboot, the recording handlers, run() and the way to real mode and back.
#define R(n) (4 * (n))
#define AX 0
#define CX 1
#define DX 2
#define BX 3
#define SP 4
#define BP 5
#define SI 6
#define DI 7
#define IP 8
#define FLAGS 9
#define CS 10
#define SS 11
#define DS 12
#define ES 13
#define FS 14
#define GS 15
    .section .multiboot, "a"
    .balign 4
header:
    .long 0x1badb002, 0x10003, -(0x1badb002 + 0x10003)
    .long header, image_start, image_end, bss_end, start
    .text
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
    push %ebp
    call lib_start
1:  hlt
    jmp 1b

// void run(const struct regs *)
    .globl run
run:
    pusha
    pushf
    mov %esp, host_esp
    mov 40(%esp), %ebp
    testl $0x20000, %ds:R(FLAGS)(%ebp)
    jz 1f
    push %ds:R(GS)(%ebp)
    push %ds:R(FS)(%ebp)
    push %ds:R(DS)(%ebp)
    push %ds:R(ES)(%ebp)
    push %ds:R(SS)(%ebp)
    push %ds:R(SP)(%ebp)
    jmp 3f
1:  mov %ds:R(ES)(%ebp), %es
    mov %ds:R(FS)(%ebp), %fs
    mov %ds:R(GS)(%ebp), %gs
    testb $3, %ds:R(CS)(%ebp)
    jz 2f
    push %ds:R(SS)(%ebp)
    push %ds:R(SP)(%ebp)
    jmp 4f
2:  mov %ds:R(SS)(%ebp), %ss
    mov %ds:R(SP)(%ebp), %esp
4:  push %ds:R(FLAGS)(%ebp) // the reads are DS's, the pushes the new stack's
    push %ds:R(CS)(%ebp)
    push %ds:R(IP)(%ebp)
    mov %ds:R(DS)(%ebp), %ds
    jmp 5f
3:  push %ds:R(FLAGS)(%ebp)
    push %ds:R(CS)(%ebp)
    push %ds:R(IP)(%ebp)
5:  mov %cs:R(AX)(%ebp), %eax
    mov %cs:R(CX)(%ebp), %ecx
    mov %cs:R(DX)(%ebp), %edx
    mov %cs:R(BX)(%ebp), %ebx
    mov %cs:R(SI)(%ebp), %esi
    mov %cs:R(DI)(%ebp), %edi
    mov %cs:R(BP)(%ebp), %ebp
    iret

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
    push %eax
    push %ebx
    push %ds
    mov $0x10, %eax
    mov %eax, %ds
    mov %ecx, ev + R(CX)
    mov %edx, ev + R(DX)
    mov %ebp, ev + R(BP)
    mov %esi, ev + R(SI)
    mov %edi, ev + R(DI)
    xor %eax, %eax
    mov %es, %ax
    mov %eax, ev + R(ES)
    mov %fs, %ax
    mov %eax, ev + R(FS)
    mov %gs, %ax
    mov %eax, ev + R(GS)
    mov %cs, %ax
    mov %eax, ev_hcs
    mov %ss, %ax
    mov %eax, ev_hss
    mov %cr2, %ecx
    mov %ecx, ev_cr2
    movl $0, ev_cr2 + 4
    pushf
    mov %esp, %ebx
    lar %eax, %ecx
    test $1 << 22, %ecx
    jnz 1f
    movzwl %bx, %ebx
1:  mov %ss:(%ebx), %eax
    mov %eax, ev_hflags
    movzwl %ss:4(%ebx), %eax
    mov %eax, ev + R(DS)
    mov %ss:8(%ebx), %eax
    mov %eax, ev + R(BX)
    mov %ss:12(%ebx), %eax
    mov %eax, ev + R(AX)
    mov %ss:16(%ebx), %eax
    mov %eax, ev_vec
    lea 20(%ebx), %eax
    mov %eax, ev_hsp
    .globl resume_host
resume_host:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov host_esp, %esp
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    cld
    popf
    popa
    ret

// ---- real mode: everything in the first 64 KB, copied there from here. 0:600h … ; rr at 0:800h.
    .globl run_real
run_real:
    pusha
    pushf
    mov %esp, host_esp
    sidt saved_idt
    lidt real_idt
    ljmp $0x68, $0x600 // K_CS16
    .globl low_code, low_code_end
low_code:
    .code16
    mov $0x70, %ax // K_DS16: limit FFFFh
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %fs
    mov %ax, %gs
    mov %ax, %ss
    mov %cr0, %eax
    and $0xfffffffe, %eax
    mov %eax, %cr0
    ljmp $0, $(low_real - low_code + 0x600)
low_real:
    xor %ax, %ax
    mov %ax, %ds
    mov 0x800 + R(ES), %es
    mov 0x800 + R(FS), %fs
    mov 0x800 + R(GS), %gs
    mov 0x800 + R(SS), %ss
    mov 0x800 + R(SP), %esp
    mov 0x800 + R(AX), %eax
    mov 0x800 + R(CX), %ecx
    mov 0x800 + R(DX), %edx
    mov 0x800 + R(BX), %ebx
    mov 0x800 + R(BP), %ebp
    mov 0x800 + R(SI), %esi
    mov 0x800 + R(DI), %edi
    pushl 0x800 + R(FLAGS)
    pushl 0x800 + R(CS)
    pushl 0x800 + R(IP)
    mov 0x800 + R(DS), %ds
    iretl
    .globl real_record
real_record: // at low_code + (real_record - low_code): vector is on the stack
    mov %eax, %cs:0x800 + R(AX)
    pop %ax
    movzx %ax, %eax
    mov %eax, %cs:0x800 + 64
    mov %ecx, %cs:0x800 + R(CX)
    mov %edx, %cs:0x800 + R(DX)
    mov %ebx, %cs:0x800 + R(BX)
    mov %ebp, %cs:0x800 + R(BP)
    mov %esi, %cs:0x800 + R(SI)
    mov %edi, %cs:0x800 + R(DI)
    mov %ds, %ax
    mov %eax, %cs:0x800 + R(DS)
    mov %es, %ax
    mov %eax, %cs:0x800 + R(ES)
    mov %fs, %ax
    mov %eax, %cs:0x800 + R(FS)
    mov %gs, %ax
    mov %eax, %cs:0x800 + R(GS)
    mov %ss, %ax
    mov %eax, %cs:0x800 + R(SS)
    pop %ax
    mov %eax, %cs:0x800 + R(IP)
    pop %ax
    mov %eax, %cs:0x800 + R(CS)
    pop %ax
    mov %eax, %cs:0x800 + R(FLAGS)
    mov %esp, %cs:0x800 + R(SP)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x08, $back_to_protected
low_code_end:
    .code32
back_to_protected:
    mov $0x10, %eax
    mov %eax, %ds
    lidt saved_idt
    jmp resume_host

    .data
real_idt:
    .word 0x3ff
    .long 0
saved_idt:
    .word 0
    .long 0
    .bss
    .globl host_esp
host_esp:
    .space 4
    .balign 16
    .space 32768
boot_stack_top:
