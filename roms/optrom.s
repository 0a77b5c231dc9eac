# SPDX-License-Identifier: MIT
# What our option ROMs share: the header (BIOS Boot Specification 1.01, Plug and Play BIOS 1.0A) with a bootstrap entry
# vector, and reading kernels through fw_cfg. The checksums are filled in by hw/loader.c. GNU assembler.
.intel_syntax noprefix
.code16
.org 0
        .byte   0x55, 0xaa, 2           # 2 x 512 bytes
        retf                            # nothing to do at initialization
.org 0x1a
        .word   pnp
.org 0x20
pnp:    .ascii  "$PnP"
        .byte   1, 2                    # revision, length / 16
        .word   0                       # no further header
        .byte   0, 0                    # checksum
        .long   0                       # device
        .word   0, product
        .byte   0, 0, 0, 0x64           # device type; indicators: IPL device, may be shadowed and read-cached
        .word   0, 0, boot, 0, 0        # BCV, disconnect, BEV, static resources
.org 0x40
kind:   .long   0                       # set by the loader, for multiboot.s

# EAX = the 32-bit item with key AX.
item:   push    dx
        push    cx
        mov     dx, 0x510
        out     dx, ax
        inc     dx
        mov     cx, 4
1:      in      al, dx
        ror     eax, 8
        loop    1b
        pop     cx
        pop     dx
        ret

# Item AX, ECX bytes of it, to physical address EDI. SS is 0: the DMA request lies on the stack.
load:   jecxz   2f
        shl     eax, 16
        mov     al, 0x0a                # select and read
        bswap   edi
        push    edi
        pushd   0
        bswap   ecx
        push    ecx
        bswap   eax
        push    eax
        mov     bp, sp
        xor     eax, eax
        mov     dx, 0x514
        out     dx, eax
        mov     ax, sp
        bswap   eax
        mov     dx, 0x518
        out     dx, eax
1:      mov     eax, [bp]
        test    eax, 0xfeffffff         # until nothing is left but the error bit
        jnz     1b
        add     sp, 16
        test    eax, eax
        jnz     failed
2:      ret

failed: mov     si, offset message
1:      mov     al, cs:[si]
        inc     si
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        cmp     byte ptr cs:[si], 0
        jne     1b
        sti
2:      hlt
        jmp     2b
message: .asciz "doppel: the kernel does not fit into memory\r\n"

.macro LOAD size, addr, data
        mov     ax, \addr
        call    item
        mov     edi, eax
        mov     ax, \size
        call    item
        mov     ecx, eax
        mov     ax, \data
        call    load
.endm
