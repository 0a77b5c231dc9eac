// SPDX-License-Identifier: MIT
// `doppel IMAGE`: what is it? Told by content: ISO 9660 (ECMA-119 8.1), ELF, the Linux boot protocol's header (202h
// "HdrS"), multiboot's magic number, a floppy's size, else a disk.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "hw/storage/i82077.h"
#include "mem/base/bits.h"
#include "ui/setup.h"

static bool is_multiboot(const u8 *p, size_t n)
{
    for (size_t i = 0; i + 12 <= n && i < 8192; i += 4)
        if (ld32(p + i) == 0x1badb002 && ld32(p + i) + ld32(p + i + 4) + ld32(p + i + 8) == 0) return true;
    return false;
}

// Partition table of an MBR: four entries with a sane status, one of them in use.
static bool is_partitioned(const u8 *p, size_t n)
{
    bool used = false;
    if (n < 512 || p[510] != 0x55 || p[511] != 0xaa) return false;
    for (const u8 *t = p + 446; t < p + 510; t += 16) {
        if (t[0] & 0x7f) return false;
        used |= t[4] && ld32(t + 12);
    }
    return used;
}

bool image_options(const char *file, const char **option, const char **boot, const char **kind, struct err *e)
{
    static u8 head[0x8800];
    struct stat st;
    FILE *f = fopen(file, "rb");
    if (!f || fstat(fileno(f), &st)) {
        err_set(e, "cannot open '%s': %s", file, err_errno(errno));
        if (f) fclose(f);
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        fclose(f);
        return err_set(e, "'%s' is a directory, not an image", file);
    }
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    if (!n) return err_set(e, "'%s' is empty", file);
    *boot = NULL;
    if (n > 0x8006 && !memcmp(head + 0x8001, "CD001", 5))
        *option = "-cdrom", *boot = "d", *kind = "a CD image (ISO 9660)";
    else if (n > 4 && !memcmp(head, "\177ELF", 4))
        *option = "-kernel", *kind = "an ELF kernel";
    else if (n > 0x206 && !memcmp(head + 0x202, "HdrS", 4))
        *option = "-kernel", *kind = "a Linux kernel";
    else if (is_multiboot(head, n))
        *option = "-kernel", *kind = "a multiboot kernel";
    else if (n > 8 && !memcmp(head, "DOPPELVM", 8))
        return err_set(e, "'%s' is a saved machine: start with the options it had and -loadvm %s", file, file);
    else if (S_ISREG(st.st_mode) && i82077_takes((u64)st.st_size) &&
             !(is_partitioned(head, n) && st.st_size != 1474560))
        *option = "-fda", *boot = "a", *kind = "a floppy image (by its size)";
    else
        *option = "-hda", *kind = n >= 512 && head[510] == 0x55 && head[511] == 0xaa
                                      ? "a disk image"
                                      : "a disk image without boot sector";
    return true;
}
