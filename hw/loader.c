// SPDX-License-Identifier: MIT
// Direct boot. Linux: bzImage and zImage of boot protocol 2.00 to 2.15 (Documentation/arch/x86/boot.rst); Multiboot
// 0.6.96 with ELF (32-bit, or 64-bit with a 32-bit entry) or the address fields of the header; ELF with Xen's PVH entry
// note (xen/include/public/arch-x86/hvm/start_info.h). Everything is placed by our option ROMs (roms/), which SeaBIOS
// starts as the first boot device. Left out: kernels older than protocol 2.00, Multiboot's video mode request.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/loader.h"
#include "mem/base/bits.h"
#include "mem/base/buf.h"
#include "mem/base/err.h"

static const u8 rom_linux[] = {
#include "roms/linuxboot.inc"
};
static const u8 rom_multiboot[] = {
#include "roms/multiboot.inc"
};
#define ROM_KIND     0x40
#define BIOS_RESERVE (1u << 20) // top of low RAM, where SeaBIOS puts tables and drivers' memory
#define INFO         0x9000u    // Multiboot information or PVH start information
#define MMAP         0x91f4u    // memory map behind it, up to 64 entries of 24 bytes
#define STRINGS      0x9800u    // module list and command lines, up to CONV
#define CONV         0x10000u   // a kernel may begin here
enum { KIND_MULTIBOOT, KIND_PVH };

struct load {
    struct fw_cfg *f;
    const struct loader_opts *o;
    struct err *e;
    int fd; // of the kernel
    u64 size;
    u64 top; // end of the RAM that a kernel may use
};

// ---- host files

static int file_open(const char *what, const char *name, u64 *size, struct err *e)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        err_set(e, "%s '%s' cannot be opened: %s", what, name, err_errno(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(e, "%s '%s' is not a file", what, name);
    } else if ((u64)st.st_size > 0xffffffff) {
        err_set(e, "%s '%s' is too large: %llu bytes", what, name, (unsigned long long)st.st_size);
    } else {
        *size = (u64)st.st_size;
        return fd;
    }
    if (fd >= 0) close(fd);
    return -1;
}
static bool file_read(int fd, const char *name, u64 pos, void *to, u64 n, struct err *e)
{
    for (u64 got = 0; got < n;) {
        ssize_t k = pread(fd, (u8 *)to + got, n - got, (off_t)(pos + got));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_set(e, "'%s' cannot be read: %s", name, k ? err_errno(errno) : "it ends too early");
        got += (u64)k;
    }
    return true;
}

// ---- the ROMs

static void checksum(u8 *p, u32 n, u8 *where)
{
    u8 sum = 0;
    *where = 0;
    for (u32 i = 0; i < n; i++) sum += p[i];
    *where = (u8)-sum;
}
static bool add_rom(struct load *l, const char *name, const u8 *bytes, u32 len, u8 kind)
{
    char path[64], file[32];
    struct buf order = {0};
    size_t n = 0;
    u8 *rom = xalloc(len);
    memcpy(rom, bytes, len);
    rom[ROM_KIND] = kind;
    checksum(rom + 0x20, 32, rom + 0x29); // the Plug and Play header, then the whole
    checksum(rom, len, rom + len - 1);
    snprintf(file, sizeof file, "genroms/%s", name);
    snprintf(path, sizeof path, "/rom@genroms/%s", name);
    const char *old = fw_cfg_find(l->f, "bootorder", &n);
    buf_add(&order, path, strlen(path));
    if (old && n && *old) {
        buf_u8(&order, '\n');
        buf_add(&order, old, strnlen(old, n));
    }
    buf_u8(&order, 0);
    bool ok = fw_cfg_file(l->f, file, rom, len) && fw_cfg_file(l->f, "bootorder", order.data, order.len);
    buf_free(&order);
    free(rom);
    return ok || err_set(l->e, "-kernel: no room for the loader ROM among the firmware's files");
}

// ---- Linux

enum {
    HDR_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_VID_MODE = 0x1fa,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_LOADER = 0x210
};
enum { HDR_FLAGS = 0x211, HDR_INITRD = 0x218, HDR_INITRD_SIZE = 0x21c, HDR_HEAP_END = 0x224, HDR_CMDLINE = 0x228 };
enum { HDR_INITRD_MAX = 0x22c, HDR_XFLAGS = 0x236, HDR_CMDLINE_SIZE = 0x238, HDR_INIT_SIZE = 0x260 };
#define HDR_END 0x268

// vga=normal, ext, ask or a number
static u16 video_mode(const char *cmdline)
{
    const char *v = strstr(cmdline, "vga=");
    if (!v || (v > cmdline && v[-1] != ' ')) return 0xffff;
    v += 4;
    if (!strncmp(v, "normal", 6)) return 0xffff;
    if (!strncmp(v, "ext", 3)) return 0xfffe;
    if (!strncmp(v, "ask", 3)) return 0xfffd;
    return (u16)strtoul(v, NULL, 0);
}
// Where the initrd goes: as high as the kernel lets it, and not on top of the kernel.
static bool place_initrd(struct load *l, u8 *h, u16 proto, u64 kernel_end)
{
    const char *name = l->o->initrd;
    u64 size, max = proto >= 0x203 ? ld32(h + HDR_INITRD_MAX) : 0x37ffffff;
    if (proto >= 0x20c && (ld16(h + HDR_XFLAGS) & 2)) max = 0xffffffff; // XLF_CAN_BE_LOADED_ABOVE_4G
    int fd = file_open("-initrd", name, &size, l->e);
    if (fd < 0) return false;
    u64 end = min_u64(max + 1, l->top);
    if (size > end || align_down(end - size, 4096) < kernel_end) {
        close(fd);
        return err_set(l->e, "-initrd '%s' (%llu MB) does not fit into the guest's RAM beside the kernel: raise -m",
                       name, (unsigned long long)(size >> 20));
    }
    u32 addr = (u32)align_down(end - size, 4096);
    st32(h + HDR_INITRD, addr);
    st32(h + HDR_INITRD_SIZE, (u32)size);
    fw_cfg_u32(l->f, FW_CFG_INITRD_ADDR, addr);
    fw_cfg_u32(l->f, FW_CFG_INITRD_SIZE, (u32)size);
    fw_cfg_item_fd(l->f, FW_CFG_INITRD_DATA, fd, 0, (u32)size);
    return true;
}
// The setup header's fields that a boot loader fills in.
static void fill_header(u8 *h, u16 proto, u32 real, u32 cmdline, const char *append)
{
    if (proto >= 0x202) {
        st32(h + HDR_CMDLINE, cmdline);
    } else {
        st16(h + 0x20, 0xa33f);
        st16(h + 0x22, (u16)(cmdline - real));
    }
    h[HDR_LOADER] = 0xff; // no number assigned
    if (proto >= 0x201) {
        h[HDR_FLAGS] |= 0x80; // CAN_USE_HEAP
        st16(h + HDR_HEAP_END, (u16)(cmdline - real - 0x200));
    }
    st16(h + HDR_VID_MODE, video_mode(append));
}
static bool load_linux(struct load *l, const u8 *head)
{
    const char *name = l->o->kernel, *append = l->o->append ? l->o->append : "";
    u16 proto = ld16(head + HDR_VERSION);
    u32 sects = head[HDR_SECTS] ? head[HDR_SECTS] : 4, setup_len = (sects + 1) * 512;
    u32 cmd_len = (u32)min_u64(strlen(append) + 1, 0x10000),
        cmd_max = proto >= 0x206 ? ld32(head + HDR_CMDLINE_SIZE) : 255;
    if (proto < 0x200)
        return err_set(l->e, "-kernel '%s': boot protocol %x.%02x is too old", name, proto >> 8, proto & 255);
    if (setup_len >= l->size)
        return err_set(l->e, "-kernel '%s' is truncated: %llu bytes", name, (unsigned long long)l->size);
    // In paragraphs; what is appended (signatures) does not count, and the last one need not be full.
    u64 whole = proto >= 0x204 ? setup_len + (u64)ld32(head + HDR_SYSSIZE) * 16 : 0;
    if (l->size + 16 <= whole)
        return err_set(l->e, "-kernel '%s' is truncated: %llu bytes of %llu; copy it again", name,
                       (unsigned long long)l->size, (unsigned long long)whole);
    if (cmd_len - 1 > min_u64(cmd_max, 0xf000))
        return err_set(l->e, "-append: this kernel takes a command line of at most %u characters", cmd_max);
    bool high = head[HDR_FLAGS] & 1;
    u32 prot = high ? 0x100000 : 0x10000, prot_len = (u32)(l->size - setup_len);
    u32 real = high && proto >= 0x202 ? 0x10000 : 0x90000;
    u32 cmdline = real == 0x10000 ? 0x20000 : (u32)align_down(0x9a000 - cmd_len, 16);
    u64 need = proto >= 0x20a ? max_u64(ld32(head + HDR_INIT_SIZE), prot_len) : prot_len;
    u64 end = high ? prot + need : prot + prot_len;
    if (setup_len > cmdline - real - 0x200)
        return err_set(l->e, "-kernel '%s': setup code of %u bytes is too large", name, setup_len);
    if (end > (high ? l->top : real))
        return err_set(l->e, "-kernel '%s' needs %llu MB: raise -m", name, (unsigned long long)(end >> 20) + 2);
    u8 *setup = xalloc(max_u64(setup_len, HDR_END));
    if (!file_read(l->fd, name, 0, setup, setup_len, l->e)) {
        free(setup);
        return false;
    }
    fill_header(setup, proto, real, cmdline, append);
    if (l->o->initrd && !place_initrd(l, setup, proto, high ? end : 0x100000)) {
        free(setup);
        return false;
    }
    fw_cfg_u32(l->f, FW_CFG_SETUP_ADDR, real);
    fw_cfg_u32(l->f, FW_CFG_SETUP_SIZE, setup_len);
    fw_cfg_item_take(l->f, FW_CFG_SETUP_DATA, setup, setup_len);
    fw_cfg_u32(l->f, FW_CFG_CMDLINE_ADDR, cmdline);
    fw_cfg_u32(l->f, FW_CFG_CMDLINE_SIZE, cmd_len);
    fw_cfg_item(l->f, FW_CFG_CMDLINE_DATA, append, cmd_len);
    fw_cfg_u32(l->f, FW_CFG_KERNEL_ADDR, prot);
    fw_cfg_u32(l->f, FW_CFG_KERNEL_SIZE, prot_len);
    fw_cfg_item_fd(l->f, FW_CFG_KERNEL_DATA, dup(l->fd), setup_len, prot_len);
    return add_rom(l, "linuxboot.bin", rom_linux, sizeof rom_linux, 0);
}

// ---- ELF

struct segment {
    u64 type, pos, vaddr, paddr, filesz, memsz;
};
struct elf {
    bool is64;
    u64 entry, phoff;
    u32 phnum, phsize;
};
static bool elf_parse(const u8 *h, u64 n, struct elf *x)
{
    if (n < 64 || memcmp(h, "\177ELF", 4) || h[5] != 1) return false; // little-endian
    x->is64 = h[4] == 2;
    u16 machine = ld16(h + 18);
    if (ld16(h + 16) != 2 || (machine != 3 && machine != 62)) return false; // executable for i386 or x86-64
    x->entry = x->is64 ? ld64(h + 24) : ld32(h + 24);
    x->phoff = x->is64 ? ld64(h + 32) : ld32(h + 28);
    x->phsize = ld16(h + (x->is64 ? 54 : 42));
    x->phnum = ld16(h + (x->is64 ? 56 : 44));
    return x->phsize >= (x->is64 ? 56 : 32);
}
static bool elf_segment(struct load *l, const struct elf *x, u32 i, struct segment *s)
{
    u8 p[56];
    u32 n = x->is64 ? 56 : 32;
    u64 off = (u64)i * x->phsize;
    if (!range_ok(x->phoff, off + n, l->size))
        return err_set(l->e, "-kernel '%s': ELF program headers lie outside the file", l->o->kernel);
    if (!file_read(l->fd, l->o->kernel, x->phoff + off, p, n, l->e)) return false;
    s->type = ld32(p);
    if (x->is64)
        s->pos = ld64(p + 8), s->vaddr = ld64(p + 16), s->paddr = ld64(p + 24), s->filesz = ld64(p + 32),
        s->memsz = ld64(p + 40);
    else
        s->pos = ld32(p + 4), s->vaddr = ld32(p + 8), s->paddr = ld32(p + 12), s->filesz = ld32(p + 16),
        s->memsz = ld32(p + 20);
    if ((s->type == 1 || s->type == 4) && !range_ok(s->pos, s->filesz, l->size))
        return err_set(l->e, "-kernel '%s' is truncated: an ELF segment lies outside the file", l->o->kernel);
    if (s->type == 1 && s->filesz > s->memsz)
        return err_set(l->e, "-kernel '%s': an ELF segment is larger in the file than in memory", l->o->kernel);
    return true;
}
// A kernel in memory: [lo, hi), data holds it all.
struct image {
    u64 lo, hi, entry;
    u8 *data;
};
static bool check_place(struct load *l, u64 lo, u64 hi)
{
    if (lo < CONV || hi > l->top || (lo < 0x100000 && hi > 0x9a000))
        return err_set(l->e, "-kernel '%s' wants to be at 0x%llx-0x%llx, where the guest has no RAM for it",
                       l->o->kernel, (unsigned long long)lo, (unsigned long long)hi);
    return true;
}
static bool elf_load(struct load *l, const struct elf *x, struct image *m)
{
    struct segment s;
    m->lo = ~(u64)0;
    m->hi = 0;
    m->entry = x->entry;
    for (u32 i = 0; i < x->phnum; i++) {
        if (!elf_segment(l, x, i, &s)) return false;
        if (s.type != 1 || !s.memsz) continue;
        if (s.paddr + s.memsz < s.paddr) return check_place(l, 0, ~(u64)0);
        m->lo = min_u64(m->lo, s.paddr);
        m->hi = max_u64(m->hi, s.paddr + s.memsz);
        // The entry is an address of the running kernel: go by the segment that holds it.
        if (x->entry - s.vaddr < s.memsz) m->entry = x->entry - s.vaddr + s.paddr;
    }
    if (!m->hi) return err_set(l->e, "-kernel '%s' has nothing to load", l->o->kernel);
    if (!check_place(l, m->lo, m->hi)) return false;
    m->data = xalloc(m->hi - m->lo);
    for (u32 i = 0; i < x->phnum; i++)
        if (!elf_segment(l, x, i, &s) ||
            (s.type == 1 && s.memsz &&
             !file_read(l->fd, l->o->kernel, s.pos, m->data + (s.paddr - m->lo), s.filesz, l->e)))
            return false; // the caller frees
    return true;
}

// ---- what Multiboot and PVH share

static void put_kernel(struct load *l, struct image *m)
{
    fw_cfg_u32(l->f, FW_CFG_KERNEL_ADDR, (u32)m->lo);
    fw_cfg_u32(l->f, FW_CFG_KERNEL_SIZE, (u32)(m->hi - m->lo));
    fw_cfg_u32(l->f, FW_CFG_KERNEL_ENTRY, (u32)m->entry);
    fw_cfg_item_take(l->f, FW_CFG_KERNEL_DATA, m->data, m->hi - m->lo);
    m->data = NULL;
}
static bool put_info(struct load *l, const u8 *info, u32 len, struct buf *strings)
{
    if (strings->len > CONV - STRINGS) return err_set(l->e, "-append: the command lines are too long for this kernel");
    fw_cfg_u32(l->f, FW_CFG_CMDLINE_ADDR, STRINGS);
    fw_cfg_u32(l->f, FW_CFG_CMDLINE_SIZE, (u32)strings->len);
    fw_cfg_item(l->f, FW_CFG_CMDLINE_DATA, strings->data, strings->len);
    fw_cfg_u32(l->f, FW_CFG_INITRD_ADDR, INFO);
    fw_cfg_u32(l->f, FW_CFG_INITRD_SIZE, len);
    fw_cfg_item(l->f, FW_CFG_INITRD_DATA, info, len);
    return true;
}
static u32 add_string(struct buf *b, const char *s)
{
    u32 at = STRINGS + (u32)b->len;
    buf_add(b, s, strlen(s) + 1);
    return at;
}
static u64 modules_base(const struct image *m) { return align_up(max_u64(m->hi, 0x100000), 4096); }

// ---- Multiboot

enum { MB_PAGE_ALIGN = 1, MB_MEMORY = 2, MB_VIDEO = 4, MB_ADDRESSES = 0x10000 };
// The header: within the first 8 KB, on a 4-byte boundary.
static const u8 *multiboot_header(const u8 *p, u64 n)
{
    for (u64 i = 0; i + 12 <= n; i += 4)
        if (ld32(p + i) == 0x1badb002 && !(u32)(ld32(p + i) + ld32(p + i + 4) + ld32(p + i + 8))) return p + i;
    return NULL;
}
static bool multiboot_addresses(struct load *l, const u8 *head, u64 n, const u8 *h, struct image *m)
{
    u64 at = (u64)(h - head);
    if (at + 32 > n) return err_set(l->e, "-kernel '%s' is truncated in its Multiboot header", l->o->kernel);
    u64 header = ld32(h + 12), load = ld32(h + 16), load_end = ld32(h + 20), bss_end = ld32(h + 24);
    if (header < load || header - load > at)
        return err_set(l->e, "-kernel '%s': bad addresses in the Multiboot header", l->o->kernel);
    u64 pos = at - (header - load), len = load_end ? load_end - load : l->size - pos;
    if ((load_end && load_end < load) || !range_ok(pos, len, l->size))
        return err_set(l->e, "-kernel '%s' is truncated: its Multiboot header promises more", l->o->kernel);
    m->lo = load;
    m->hi = max_u64(load + len, bss_end);
    m->entry = ld32(h + 28);
    if (!check_place(l, m->lo, m->hi)) return false;
    m->data = xalloc(m->hi - m->lo + 1);
    return file_read(l->fd, l->o->kernel, pos, m->data, len, l->e);
}
// "file args,file args" -> modules behind the kernel, one after the other on pages. `,,` is a comma.
static bool multiboot_modules(struct load *l, const struct image *m, struct buf *list, struct buf *strings, u32 *count)
{
    u64 base = modules_base(m);
    struct buf data = {0};
    char *spec = xstrdup(l->o->initrd ? l->o->initrd : ""), *part = xalloc(strlen(spec) + 1);
    const char *s = spec;
    bool ok = true;
    *count = 0;
    while (ok && *s) {
        size_t n = 0;
        for (; *s && (*s != ',' || s[1] == ','); s++) part[n++] = *s, s += *s == ',';
        part[n] = 0;
        if (*s) s++;
        char *space = strchr(part, ' ');
        u64 size = 0;
        buf_zero(&data, align_up(data.len, 4096) - data.len);
        u32 str = add_string(strings, part), from = (u32)(base + data.len);
        if (space) *space = 0;
        int fd = file_open("-initrd", part, &size, l->e);
        ok = fd >= 0;
        if (ok && base + data.len + size > l->top)
            ok = err_set(l->e, "-initrd '%s' does not fit into the guest's RAM beside the kernel: raise -m", part);
        if (ok) {
            size_t at = data.len;
            buf_zero(&data, size);
            ok = file_read(fd, part, 0, data.data + at, size, l->e);
            buf_u32(list, from), buf_u32(list, from + (u32)size), buf_u32(list, str), buf_u32(list, 0);
            ++*count;
        }
        if (fd >= 0) close(fd);
    }
    free(spec), free(part);
    if (ok && data.len) {
        fw_cfg_u32(l->f, FW_CFG_SETUP_ADDR, (u32)base);
        fw_cfg_u32(l->f, FW_CFG_SETUP_SIZE, (u32)data.len);
        fw_cfg_item(l->f, FW_CFG_SETUP_DATA, data.data, data.len);
    }
    buf_free(&data);
    return ok;
}
static bool multiboot_info(struct load *l, const struct image *m)
{
    struct buf list = {0}, strings = {0};
    u8 info[88] = {0};
    u32 count;
    char *cmd = l->o->append ? xasprintf("%s %s", l->o->kernel, l->o->append) : xstrdup(l->o->kernel);
    st32(info, 1 | 2 | 4 | 8 | 0x40 | 0x200); // memory, boot device, command line, modules, memory map, loader's name
    st32(info + 12, 0x8000ffff);              // first partition of the first disk, as QEMU says
    st32(info + 16, add_string(&strings, cmd));
    st32(info + 64, add_string(&strings, "doppel"));
    st32(info + 48, MMAP);
    bool ok = multiboot_modules(l, m, &list, &strings, &count);
    if (ok) {
        buf_zero(&strings, align_up(strings.len, 4) - strings.len);
        st32(info + 20, count);
        st32(info + 24, STRINGS + (u32)strings.len);
        buf_add(&strings, list.data, list.len);
        ok = put_info(l, info, sizeof info, &strings);
    }
    buf_free(&list), buf_free(&strings);
    free(cmd);
    return ok;
}
static bool load_multiboot(struct load *l, const u8 *head, u64 n, const u8 *h)
{
    struct image m = {0};
    struct elf x;
    u32 flags = ld32(h + 4);
    if (flags & 0xffff & ~(MB_PAGE_ALIGN | MB_MEMORY | MB_VIDEO))
        return err_set(l->e, "-kernel '%s' asks for Multiboot features 0x%x that doppel does not have", l->o->kernel,
                       flags & 0xffff);
    bool ok;
    if (flags & MB_ADDRESSES)
        ok = multiboot_addresses(l, head, n, h, &m);
    else if (elf_parse(head, n, &x))
        ok = elf_load(l, &x, &m);
    else
        ok =
            err_set(l->e, "-kernel '%s': a Multiboot kernel that is neither ELF nor gives its addresses", l->o->kernel);
    if (ok && (m.entry < m.lo || m.entry >= m.hi))
        ok = err_set(l->e, "-kernel '%s': its entry 0x%llx lies outside it", l->o->kernel, (unsigned long long)m.entry);
    if (ok && (ok = multiboot_info(l, &m))) {
        put_kernel(l, &m);
        ok = add_rom(l, "multiboot.bin", rom_multiboot, sizeof rom_multiboot, KIND_MULTIBOOT);
    }
    free(m.data);
    return ok;
}

// ---- PVH

// XEN_ELFNOTE_PHYS32_ENTRY (18) among the notes. True: *entry is set.
static bool pvh_entry(struct load *l, const struct elf *x, u64 *entry)
{
    bool found = false;
    for (u32 i = 0; i < x->phnum && !found; i++) {
        struct segment s;
        if (!elf_segment(l, x, i, &s)) return false;
        if (s.type != 4 || !s.filesz || s.filesz > 1 << 20) continue;
        u8 *p = xalloc(s.filesz);
        if (!file_read(l->fd, l->o->kernel, s.pos, p, s.filesz, l->e)) {
            free(p);
            return false;
        }
        for (u64 at = 0; range_ok(at, 12, s.filesz) && !found;) {
            u64 name = at + 12, nlen = ld32(p + at), dlen = ld32(p + at + 4), desc = name + align_up(nlen, 4);
            if (!range_ok(desc, dlen, s.filesz)) break;
            if (ld32(p + at + 8) == 18 && nlen == 4 && !memcmp(p + name, "Xen", 4) && (dlen == 4 || dlen == 8)) {
                *entry = dlen == 8 ? ld64(p + desc) : ld32(p + desc);
                found = true;
            }
            at = desc + align_up(dlen, 4);
        }
        free(p);
    }
    return found;
}
static bool pvh_info(struct load *l, const struct image *m)
{
    u8 info[56 + 32] = {0}; // start information and one module
    struct buf strings = {0};
    u64 size, base = modules_base(m);
    st32(info, 0x336ec578);
    st32(info + 4, 1);
    st64(info + 24, add_string(&strings, l->o->append ? l->o->append : ""));
    st64(info + 40, MMAP);
    if (l->o->initrd) {
        int fd = file_open("-initrd", l->o->initrd, &size, l->e);
        bool fits = fd >= 0 && base + size <= l->top;
        if (!fits) {
            if (fd >= 0) close(fd);
            buf_free(&strings);
            return err_set(l->e, "-initrd '%s' does not fit into the guest's RAM beside the kernel: raise -m",
                           l->o->initrd);
        }
        st32(info + 12, 1);
        st64(info + 16, INFO + 56);
        st64(info + 56, base);
        st64(info + 64, size);
        fw_cfg_u32(l->f, FW_CFG_SETUP_ADDR, (u32)base);
        fw_cfg_u32(l->f, FW_CFG_SETUP_SIZE, (u32)size);
        fw_cfg_item_fd(l->f, FW_CFG_SETUP_DATA, fd, 0, (u32)size);
    }
    bool ok = put_info(l, info, sizeof info, &strings);
    buf_free(&strings);
    return ok;
}
static bool load_pvh(struct load *l, const struct elf *x, u64 entry)
{
    struct image m = {0};
    bool ok = elf_load(l, x, &m);
    m.entry = entry;
    if (ok && (entry < m.lo || entry >= m.hi))
        ok = err_set(l->e, "-kernel '%s': its PVH entry 0x%llx lies outside it", l->o->kernel,
                     (unsigned long long)entry);
    if (ok && (ok = pvh_info(l, &m))) {
        put_kernel(l, &m);
        ok = add_rom(l, "pvh.bin", rom_multiboot, sizeof rom_multiboot, KIND_PVH);
    }
    free(m.data);
    return ok;
}

static bool load_any(struct load *l)
{
    u8 head[8192] = {0};
    u64 n = min_u64(l->size, sizeof head), entry = 0;
    struct elf x;
    if (!file_read(l->fd, l->o->kernel, 0, head, n, l->e)) return false;
    if (n >= HDR_END && !memcmp(head + HDR_MAGIC, "HdrS", 4)) return load_linux(l, head);
    const u8 *h = multiboot_header(head, n);
    if (h) return load_multiboot(l, head, n, h);
    bool is_elf = elf_parse(head, n, &x);
    if (is_elf && pvh_entry(l, &x, &entry)) return load_pvh(l, &x, entry);
    return err_set(l->e,
                   is_elf
                       ? "-kernel '%s' is an ELF file without Multiboot header or PVH entry: such a kernel needs its "
                         "own boot loader"
                       : "-kernel '%s' is no kernel: neither a Linux bzImage nor a Multiboot or PVH ELF file",
                   l->o->kernel);
}

bool loader_kernel(struct bus *b, struct fw_cfg *f, const struct loader_opts *o, struct err *e)
{
    struct load l = {.f = f, .o = o, .e = e};
    if (o->ram_below_4g < 4 << 20) return err_set(e, "-kernel needs at least 4 MB of RAM: raise -m");
    l.top = o->ram_below_4g - BIOS_RESERVE;
    l.fd = file_open("-kernel", o->kernel, &l.size, e);
    if (l.fd < 0) return false;
    bool ok = load_any(&l);
    close(l.fd);
    return ok;
}
