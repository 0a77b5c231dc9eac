# SPDX-License-Identifier: MIT
# Starts a 32-bit kernel: Multiboot 0.6.96 section 3.2 (kind 0), or the Xen PVH entry (kind 1; Xen's
# docs/misc/pvh.pandoc). The loader's boot information lies at item 0Ah; what only the BIOS knows is added here.
.include "optrom.s"
product: .asciz "Multiboot"

.set MBI_LOWER, 4
.set MBI_UPPER, 8
.set MBI_MMAP_LEN, 44
.set MBI_MMAP, 48
.set PVH_RSDP, 32
.set PVH_MMAP, 40
.set PVH_MMAP_N, 48

boot:   cli
        cld
        xor     ax, ax
        mov     ss, ax
        mov     ds, ax
        mov     es, ax
        mov     sp, 0x7c00
        LOAD    0x08, 0x07, 0x11        # kernel
        LOAD    0x17, 0x16, 0x18        # modules
        LOAD    0x14, 0x13, 0x15        # module list and command lines
        LOAD    0x0b, 0x0a, 0x12        # boot information, in the first 64 KB
        mov     ax, 0x0a
        call    item
        mov     si, ax                  # boot information
        mov     di, [si + MBI_MMAP]
        cmp     byte ptr cs:[kind], 0
        je      1f
        mov     di, [si + PVH_MMAP]
1:      xor     ebx, ebx
        xor     bp, bp                  # entries

# The memory map: 24 bytes an entry, with its size (20) before it, or a reserved word behind it.
map:    push    di
        cmp     byte ptr cs:[kind], 0
        jne     1f
        mov     dword ptr [di], 20
        add     di, 4
        jmp     2f
1:      mov     dword ptr [di + 20], 0
2:      mov     eax, 0xe820
        mov     edx, 0x534d4150
        mov     ecx, 20
        int     0x15
        jc      mapped
        cmp     eax, 0x534d4150
        jne     mapped
        cmp     byte ptr cs:[kind], 0
        jne     3f
        cmp     dword ptr [di], 0x100000
        jne     3f
        cmp     dword ptr [di + 4], 0
        jne     3f
        mov     eax, [di + 8]           # RAM from 1 MB on, in KB
        shr     eax, 10
        mov     [si + MBI_UPPER], eax
3:      inc     bp
        pop     di
        add     di, 24
        test    ebx, ebx
        jz      done
        cmp     bp, 64
        jb      map
        jmp     done
mapped: pop     di
done:   movzx   ebp, bp
        cmp     byte ptr cs:[kind], 0
        jne     pvh
        imul    ebp, ebp, 24
        mov     [si + MBI_MMAP_LEN], ebp
        int     0x12
        movzx   eax, ax
        mov     [si + MBI_LOWER], eax
        jmp     enter

pvh:    mov     [si + PVH_MMAP_N], ebp
        mov     bx, 0xe000              # the RSDP: on a 16-byte boundary of E0000h-FFFFFh
1:      mov     ds, bx
        cmp     dword ptr [0], 0x20445352
        jne     2f
        cmp     dword ptr [4], 0x20525450
        je      3f
2:      inc     bx
        jnz     1b
        jmp     enter
3:      movzx   ebx, bx
        shl     ebx, 4
        xor     ax, ax
        mov     ds, ax
        mov     [si + PVH_RSDP], ebx

enter:  cli
        xor     ax, ax
        mov     ds, ax
        mov     ax, 0x10
        call    item
        mov     edi, eax                # entry
        movzx   ebx, si
        xor     ecx, ecx
        mov     cx, cs
        mov     dl, cs:[kind]
        shl     ecx, 4
        mov     eax, offset gdt
        add     eax, ecx
        push    eax
        pushw   23
        mov     bp, sp
        lgdtd   [bp]
        mov     eax, offset pmode
        add     eax, ecx
        pushd   8
        push    eax
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        retfd
.code32
pmode:  mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        mov     esp, 0x7c00
        xor     eax, eax
        test    dl, dl
        jnz     1f
        mov     eax, 0x2badb002
1:      jmp     edi
.balign 8
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
.org 0x3ff
        .byte   0
