# SPDX-License-Identifier: MIT
# The guest of tests/bench/ops: a multiboot kernel in 64-bit code that executes one operation as often as it is told, and
# the same operations as a native program where user mode has them (NATIVE). Both take orders of 16 bytes (address of a
# row, count: the counter stands in RBX) and answer E when it is done; R when they are there; X and the vector when
# something went wrong. Between orders the kernel halts, so that the host's CPU time is that of the row alone.
# as --64 [--defsym NATIVE=1], ld -N -Ttext=0x100000 (kernel: objcopy -O elf32-i386).
.intel_syntax noprefix
.macro row name
    .balign 64
    .globl row_\name
row_\name:
.endm
.macro again                            # the row's own loop
    dec rbx
    jnz 1b
    ret
.endm

.ifndef NATIVE
.code32
.text
.long 0x1badb002, 0, -0x1badb002        # multiboot header
.globl _start
_start:
    cli
    mov esp, offset stack_top
    mov edi, offset pd                  # 1 GB by 2 MB pages, linear = physical, everybody's
    mov eax, 0x187                      # global, as systems have their own pages
2:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    cmp eax, 0x40000187
    jb 2b
    mov edi, offset pd2                 # second GB: 128 tables, 65536 pages, all of them `datapage`
    mov eax, offset tables + 7
    mov ecx, 128
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    loop 2b
    mov edi, offset tables
    mov eax, offset datapage + 7
    mov ecx, 65536
2:  mov [edi], eax
    add edi, 8
    loop 2b
    mov dword ptr [pdpt], offset pd + 7
    mov dword ptr [pdpt + 8], offset pd2 + 7
    mov dword ptr [pml4], offset pdpt + 7
    mov eax, offset pml4
    mov cr3, eax
    mov eax, 0x106a0                    # PAE, PGE, OSFXSR, OSXMMEXCPT, FSGSBASE
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x901                       # SCE, LME, NXE
    wrmsr
    mov eax, 0x80010033                 # PG, WP, NE, ET, MP, PE
    mov cr0, eax
    lgdt [gdtr]
    ljmp 0x08, offset long_mode
.code64
long_mode:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rsp, offset stack_top
    xor ebx, ebx                        # IDT: every vector to its stub; DPL 3 (INT from ring 3 is what rows do)
    mov rdi, offset idt
    mov rax, offset stubs
2:  mov [rdi], ax
    mov word ptr [rdi + 2], 8
    mov word ptr [rdi + 4], 0xee00
    mov rdx, rax
    shr rdx, 16
    mov [rdi + 6], dx
    mov qword ptr [rdi + 8], 0
    add rax, 16
    add rdi, 16
    inc ebx
    cmp ebx, 256
    jb 2b
    .macro gate vec, where
    mov rax, offset \where
    mov [idt + \vec * 16], ax
    shr rax, 16
    mov [idt + \vec * 16 + 6], ax
    .endm
    gate 14, page_fault
    gate 0x24, serial_irq
    gate 0x80, bare_iret
    gate 0x82, leave_ring3
    lidt [idtr]
    mov rax, offset tss
    mov [gdt + 0x30 + 2], ax
    shr rax, 16
    mov [gdt + 0x30 + 4], al
    mov [gdt + 0x30 + 7], ah
    mov eax, 0x30
    ltr ax
    mov qword ptr [tss + 4], offset stack_ring0
    mov ecx, 0xc0000081                 # STAR: kernel 08h, SYSRET 20h/28h
    xor eax, eax
    mov edx, 0x00180008
    wrmsr
    mov ecx, 0xc0000082                 # LSTAR
    mov eax, offset syscall_entry
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084                 # FMASK: IF, as systems do
    mov eax, 0x200
    wrmsr
    fninit
    .macro outb port, value
    mov edx, \port
    mov al, \value
    out dx, al
    .endm
    outb 0x20, 0x11
    outb 0x21, 0x20
    outb 0x21, 4
    outb 0x21, 1
    outb 0x21, 0xef                     # IRQ 4 only
    outb 0x3fb, 0x83
    outb 0x3f8, 1
    outb 0x3f9, 0
    outb 0x3fb, 3
    outb 0x3fa, 1
    outb 0x3fc, 0x0b
    outb 0x3f9, 1
    call setup
    mov dword ptr [fresh], 0x1000000
    mov al, 'R'
    call send
orders:
    mov rdi, offset order
    mov r12d, 16
2:  call receive
    stosb
    dec r12d
    jnz 2b
    mov rbx, [order + 8]
    call [order]
    mov al, 'E'
    call send
    jmp orders
send:
    push rdx
    push rax
    mov edx, 0x3fd
2:  in al, dx
    test al, 0x20
    jz 2b
    pop rax
    mov edx, 0x3f8
    out dx, al
    pop rdx
    ret
receive:
    mov edx, 0x3fd
2:  cli
    in al, dx
    test al, 1
    jnz 3f
    sti
    hlt
    jmp 2b
3:  mov edx, 0x3f8
    in al, dx
    ret
serial_irq:
    push rax
    outb 0x20, 0x20                     # (RDX is receive's)
    mov edx, 0x3fd
    pop rax
    iretq
    .balign 16
stubs:
    .set vec, 0
    .rept 256
    .balign 16
    mov bl, vec
    jmp wrong
    .set vec, vec + 1
    .endr
wrong:
    mov al, 'X'
    call send
    mov al, bl
    call send
2:  cli
    hlt
    jmp 2b
bare_iret:
    iretq
page_fault:                             # goes on behind a 3-byte instruction
    add qword ptr [rsp + 8], 3
    add rsp, 8
    iretq
syscall_entry:
    sysretq
.macro to_ring3 where                   # comes back to the caller when `where` executes INT 82h
    mov [ring0_sp], rsp
    push 0x23
    push offset stack_ring3
    push 0x202
    push 0x2b
    push offset \where
    iretq
.endm
leave_ring3:
    mov rsp, [ring0_sp]
    ret

row syscall
    to_ring3 2f
2:  syscall
    dec rbx
    jnz 2b
    int 0x82
row int
    to_ring3 2f
2:  int 0x80
    dec rbx
    jnz 2b
    int 0x82
row int0
1:  int 0x80
    again
row pf
    mov rdi, 0x80000000
    to_ring3 2f
2:  mov rax, [rdi]
    dec rbx
    jnz 2b
    int 0x82
row pf0
    mov rdi, 0x80000000
1:  mov rax, [rdi]
    again
row cr3
    mov rax, cr3
1:  mov cr3, rax
    again
row cr3touch                            # and 16 pages touched afterwards
    mov rax, cr3
1:  mov cr3, rax
    mov edi, 0x40000000
    .rept 16
    mov rcx, [rdi]
    add rdi, 4096
    .endr
    again
row invlpg
    mov edi, 0x40000000
1:  invlpg [rdi]
    mov rcx, [rdi]
    again
row tlb2                                # 4096 pages in turn: behind the first level
    mov rdi, 0x40000000
    xor ecx, ecx
1:  mov rax, [rdi + rcx]
    add ecx, 4096
    and ecx, 0xffffff
    again
row walk                                # 65536 pages in turn
    mov rdi, 0x40000000
    xor ecx, ecx
1:  mov rax, [rdi + rcx]
    add ecx, 4096
    and ecx, 0xfffffff
    again
row swapgs
1:  .rept 16
    swapgs
    .endr
    again
row clisti
1:  .rept 16
    cli
    sti
    nop
    .endr
    cli
    again
row wrmsr                               # FMASK, as it is
    mov ecx, 0xc0000084
    rdmsr
1:  wrmsr
    again
row clts
1:  clts
    again
row pollport                            # UART's LSR
    mov edx, 0x3fd
1:  in al, dx
    again
.else
.text
.globl _start
_start:
    call setup
    mov byte ptr [order], 'R'
    call send
orders:
    xor eax, eax
    xor edi, edi
    mov esi, offset order
    mov edx, 16
    syscall
    cmp rax, 16
    jne 2f
    mov rbx, [order + 8]
    call [order]
    mov byte ptr [order], 'E'
    call send
    jmp orders
2:  mov eax, 60
    xor edi, edi
    syscall
send:
    mov eax, 1
    mov edi, 1
    mov esi, offset order
    mov edx, 1
    syscall
    ret
row tsc                                 # answers RDTSC by itself
    rdtsc
    mov [order], eax
    mov [order + 4], edx
    mov eax, 1
    mov edi, 1
    mov esi, offset order
    mov edx, 8
    syscall
    ret
.endif

setup:                                  # a cycle of pointers over 4 KB, doubles, a stack frame for x87
    mov rdi, offset ring
    mov ecx, 63
2:  lea rax, [rdi + 64]
    mov [rdi], rax
    mov rdi, rax
    dec ecx
    jnz 2b
    mov qword ptr [rdi], offset ring
    ret

row loop
    mov edi, offset pages
    xor eax, eax
    mov ecx, 512
    .balign 16
1:  add rax, [rdi]
    add rdi, 8
    dec ecx
    jnz 1b
    mov edi, offset pages
    mov ecx, 512
    sub rbx, 512
    ja 1b
    ret
row chase
    mov rdi, offset ring
1:  .rept 16
    mov rdi, [rdi]
    .endr
    again
row push
1:  .rept 8
    push rax
    push rcx
    pop rcx
    pop rax
    .endr
    again
row call
1:  .rept 8
    call callee
    .endr
    again
row icall
    mov rdi, offset callee
1:  .rept 8
    call rdi
    .endr
    again
    .balign 64
callee: ret
row xpage
1:  jmp far_one
    .balign 4096
far_one:
    jmp far_two
    .balign 4096
far_two:
    again
row addsd
1:  .rept 8
    addsd xmm0, xmm8
    addsd xmm1, xmm8
    addsd xmm2, xmm8
    addsd xmm3, xmm8
    .endr
    again
row mulps
1:  .rept 8
    mulps xmm0, xmm8
    mulps xmm1, xmm8
    mulps xmm2, xmm8
    mulps xmm3, xmm8
    .endr
    again
row movups
    mov rdi, offset pages
1:  .rept 8
    movups xmm0, [rdi + 1]
    movups [rdi + 129], xmm0
    .endr
    again
row x87
    mov rdi, offset pages
1:  .rept 8
    fld qword ptr [rdi]
    fadd qword ptr [rdi + 8]
    fmul qword ptr [rdi + 16]
    fstp qword ptr [rdi + 24]
    .endr
    again
row movsb
1:  mov esi, offset pages
    mov edi, offset pages + 8192
    mov ecx, 4096
    rep movsb
    again
row movsb16
1:  mov esi, offset pages
    mov edi, offset pages + 8192
    mov ecx, 16
    rep movsb
    again
row stosq
    xor eax, eax
1:  mov edi, offset pages
    mov ecx, 512
    rep stosq
    again
row popf
1:  .rept 8
    pushfq
    popfq
    .endr
    again
row fxsave
1:  fxsave [area]
    fxrstor [area]
    again
row rdtsc
1:  .rept 16
    rdtsc
    .endr
    again
row cpuid
    mov rbp, rbx
1:  xor eax, eax
    cpuid
    dec rbp
    jnz 1b
    ret
row fsbase
    rdfsbase rax
1:  .rept 16
    wrfsbase rax
    .endr
    again
row div
    mov ecx, 7
1:  .rept 8
    mov eax, 1000000
    xor edx, edx
    div ecx
    .endr
    again
row adc
1:  .rept 8
    add rax, rcx
    adc rdx, rsi
    .endr
    again
row lock
1:  .rept 16
    lock inc dword ptr [pages]
    .endr
    again
row beside                              # data in the page whose code runs
    mov rdi, offset data_beside
1:  .rept 16
    mov [rdi], rax
    .endr
    again
    .balign 1024
data_beside: .quad 0
    .balign 4096
row patch
    mov rdi, offset patched
1:  mov [rdi + 1], ebx
    call patched
    again
    .balign 4096
patched:
    mov eax, 1
    ret
    .balign 4096
.ifndef NATIVE
# Fresh blocks of 5 instructions each, 16 bytes, in memory that had no code yet; executed 1, 4, 5, 16 and 128 times.
.macro fresh_row n
row first\n
    mov r8d, \n
    jmp fresh_blocks
.endm
    fresh_row 0
    fresh_row 1
    fresh_row 4
    fresh_row 5
    fresh_row 6
    fresh_row 16
    fresh_row 128
fresh_blocks:
    mov edi, [fresh]
    mov rax, [block]
    mov rdx, [block + 8]
    mov rcx, rbx
2:  mov [rdi], rax
    mov [rdi + 8], rdx
    add rdi, 16
    dec rcx
    jnz 2b
    mov byte ptr [rdi], 0xc3
    mov r9d, [fresh]
    add rdi, 4096
    and rdi, -4096
    mov [fresh], edi
    mov esi, offset pages
    test r8d, r8d
    jz 4f
3:  call r9
    dec r8d
    jnz 3b
4:  ret
    .balign 16
block:
    add eax, [rsi]
    lea ecx, [rax + rdx + 3]
    mov [rsi + 8], ecx
    xor edx, ecx
    jmp 2f
    nop
    nop
    nop
2:

.balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cff3000000ffff, 0x00affb000000ffff
    .quad 0x0000890000000067, 0         # 20h is SS, 28h CS of ring 3; 30h TSS
gdtr: .word gdtr - gdt - 1
    .quad gdt
idtr: .word 4095
    .quad idt
.endif
.bss
.balign 4096
pages: .space 16 * 4096
ring: .space 4096
.ifndef NATIVE
pml4: .space 4096
pdpt: .space 4096
pd: .space 4096
pd2: .space 4096
datapage: .space 4096
tables: .space 128 * 4096
idt: .space 4096
.space 8192
stack_ring0:
.space 8192
stack_ring3:
ring0_sp: .quad 0
tss: .space 104
.balign 16
.endif
.space 8192
stack_top:
.balign 16
area: .space 512
order: .space 16
fresh: .quad 0
