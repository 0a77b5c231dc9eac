# SPDX-License-Identifier: MIT
# A multiboot guest for tests/cli/debug: one of everything that a debugger can stop at. Symbols name the places.
# Protected mode with paging, then 64-bit mode. as --32, ld -m elf_i386 -Ttext=0x100000.
.intel_syntax noprefix
.code32
.text
.long 0x1badb002, 0, -0x1badb002        # multiboot header
.globl _start
_start:
    cli
    mov esp, offset stack_top
    lgdt [gdtr]
    jmp 0x08:1f
1:  mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    lidt [idtr]
    # gates
    mov edi, 6 * 8
    mov eax, offset on_ud
    call set_gate
    mov edi, 14 * 8
    mov eax, offset on_pf
    call set_gate
    mov edi, 0x20 * 8
    mov eax, offset on_timer
    call set_gate
    mov edi, 0x80 * 8
    mov eax, offset on_80
    call set_gate
    # pages: 4 MB identity, then one hole at 3 MB
    mov edi, offset pt
    mov eax, 3
2:  stosd
    add eax, 0x1000
    cmp eax, 0x400003
    jb 2b
    mov dword ptr [pt + 0x300 * 4], 0
    mov eax, offset pt + 3
    mov [pd], eax
    mov [pd2], eax
    mov eax, offset pd
set_cr3:
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
set_cr0:
    mov cr0, eax
.globl do_int
do_int:
    int 0x80
after_int:
    ud2
after_ud:
    mov eax, [0x300010]                 # 5 bytes: on_pf skips it
after_pf:
    mov eax, offset pd2
switch:
    mov cr3, eax
    xchg bx, bx
after_magic:
    mov ecx, 0
do_writes:
    mov dword ptr [variable], 0x11111111
    mov eax, [variable]
    mov word ptr [variable + 2], 0x2222
    inc dword ptr [variable]
after_writes:
    mov esi, offset text
3:  lodsb
    test al, al
    jz 4f
    mov dx, 0x3f8
    out dx, al
    jmp 3b
4:
do_call:
    mov eax, 4
    call factorial
after_call:
    mov [result], eax
do_rep:
    cld
    mov esi, offset _start
    mov edi, 0x200000
    mov ecx, 2000
    rep movsb
after_rep:
    # the timer: PIC at 20h, PIT at about 1 kHz
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 0x04
    out 0x40, al
    mov ecx, 200000
do_sti:
    sti
in_shadow:
    nop
busy:
    dec ecx
    jnz busy
after_busy:
    hlt
after_hlt:
    cli
    # TF: the guest steps itself, three times
    mov edi, 1 * 8
    mov eax, offset on_db
    call set_gate
    pushfd
    or dword ptr [esp], 0x100
do_tf:
    popfd
    nop
    nop
    pushfd
    and dword ptr [esp], 0xfffffeff
    popfd
after_tf:
    # 64-bit mode
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov dword ptr [pml4], offset pdpt + 3
    mov dword ptr [pdpt], offset pd2 + 3
    mov dword ptr [pd2], 0x83           # 2 MB
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, offset pml4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov ebx, offset result
    mov edi, offset done
    jmp 0x18:long_mode
.code64
long_mode:
    mov ebx, ebx                        # the upper halves are undefined so far
    mov edi, edi
    mov esp, esp
    mov eax, 5
do_call64:
    call factorial64
after_call64:
    mov [rbx], eax
end:
    mov dword ptr [rdi], 1
forever:
    jmp forever
factorial64:
    cmp eax, 1
    jbe 1f
    push rax
    dec eax
    call factorial64
in_64:
    pop rcx
    imul eax, ecx
1:  ret
.code32
set_gate:
    mov [idt + edi], ax
    mov word ptr [idt + edi + 2], 8
    shr eax, 16
    mov word ptr [idt + edi + 4], 0xee00
    mov [idt + edi + 6], ax
    ret
factorial:
    cmp eax, 1
    jbe 1f
    push eax
    dec eax
    call factorial
in_factorial:
    pop ecx
    imul eax, ecx
1:  ret
on_80:
    inc dword ptr [ints]
    iret
on_ud:
    add dword ptr [esp], 2
    iret
on_pf:
    add dword ptr [esp + 4], 5
    add esp, 4
    iret
on_timer:
    push eax
    inc dword ptr [ticks]
    mov al, 0x20
    out 0x20, al
    pop eax
    iret
on_db:
    inc dword ptr [traps]
    iret
text: .asciz "Hello from the guest\r\n"
.balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdtr: .word 31
    .long gdt
idtr: .word 0x7ff
    .long idt
.bss
.balign 4096
pd: .space 4096
pd2: .space 4096
pt: .space 4096
pml4: .space 4096
pdpt: .space 4096
idt: .space 2048
variable: .space 4
result: .space 4
ints: .space 4
ticks: .space 4
traps: .space 4
done: .space 4
    .space 4096
stack_top:
