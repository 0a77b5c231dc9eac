# SPDX-License-Identifier: MIT
# Starts a Linux kernel through its 16-bit entry (Documentation/arch/x86/boot.rst, "Running the kernel"). The loader has
# prepared the setup code, so that only addresses are left to be followed.
.include "optrom.s"
product: .asciz "Linux"

boot:   cli
        cld
        xor     ax, ax
        mov     ss, ax
        mov     sp, 0x7c00
        LOAD    0x17, 0x16, 0x18        # setup code
        LOAD    0x14, 0x13, 0x15        # command line
        LOAD    0x08, 0x07, 0x11        # kernel
        LOAD    0x0b, 0x0a, 0x12        # initrd
        mov     ax, 0x16
        call    item
        mov     ebx, eax                # setup's address
        mov     ax, 0x13
        call    item
        sub     eax, ebx                # the stack ends where the command line begins
        sub     ax, 16
        shr     ebx, 4
        mov     ds, bx
        mov     es, bx
        mov     fs, bx
        mov     gs, bx
        mov     ss, bx
        movzx   esp, ax
        add     bx, 0x20
        push    bx
        push    0
        retf
.org 0x3ff
        .byte   0
