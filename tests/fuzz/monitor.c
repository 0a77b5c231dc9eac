// SPDX-License-Identifier: MIT
// Fuzz target: monitor lines against a stopped machine. Commands that reach host files or end the program are left to
// the generator's other words (the line is dropped if it names them).
#include <ctype.h>
#include "tests/fuzz/pc.h"
#include "ui/monitor.h"
#include "ui/vm.h"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("info registers"),
    FUZZ_SEED("x /10i $pc"),
    FUZZ_SEED("xp /4gx 0x1000"),
    FUZZ_SEED("print $eax+4*(2<<3)"),
    FUZZ_SEED("info mem"),
    FUZZ_SEED("info tlb"),
    FUZZ_SEED("o /b 0x80 0x12"),
    FUZZ_SEED("i /w 0x1f0"),
    FUZZ_SEED("sendkey ctrl-alt-delete"),
    FUZZ_SEED("info qtree"),
    FUZZ_SEED("help x"),
    FUZZ_SEED("sum 0x100 64"),
    FUZZ_SEED("mouse_move 3 -4"),
    FUZZ_SEED("gva2gpa 0x1000"),
    FUZZ_SEED("info pic"),
    FUZZ_SEED("info block"),
    FUZZ_SEED("break 0x7c00"),
    FUZZ_SEED("boot_set cdn"),
    FUZZ_SEED("step 3"),
    FUZZ_SEED("step -v 2"),
    FUZZ_SEED("page 0xfffff000"),
    FUZZ_SEED("find/4w -p 0 0x10000 0x1234 \"ab\""),
    FUZZ_SEED("find -1 0x100 0"),
    FUZZ_SEED("find -p -4097 -1 \"a\""),
    FUZZ_SEED("bt 5"),
    FUZZ_SEED("print-stack 4"),
    FUZZ_SEED("u /3h 0x7c00"),
    FUZZ_SEED("info gdt 0 3"),
    FUZZ_SEED("info msr 0x1b"),
    FUZZ_SEED("info tss"),
    FUZZ_SEED("p *(u16)0x410 + (i8)$al >= -1 && !0"),
    FUZZ_SEED("x/3s 0xf000:0x10"),
    FUZZ_SEED("crc 0 0xff"),
    FUZZ_SEED("symbols list *a?"),
    FUZZ_SEED("info exceptions 3"),
    FUZZ_SEED("info lapic 0"),
};
static void fuzz_one(const u8 *data, size_t len)
{
    static const char *const host[] = {"save", "load", "dump", "change", "quit", "source", "script", "q", "commit",
                                       "gdb", "log", "trace", "eject", "system", "cont", "c", "chardev", "drive",
                                       "device", "host", "net", "pm", "wav", "snap", "screen", "block", "mig", "record",
                                       "set",
                                       // … or run the machine until something happens that here never does
                                       "finish", "until", "next", "n"};
    if (!vm.pc) vm.pc = fuzz_pc(), vm.paused = true;
    char line[512] = "";
    memcpy(line, data, len < 511 ? len : 511);
    for (unsigned k = 0; k < 511; k++)
        if (line[k] == '\n' || line[k] == '|' || line[k] == '>') line[k] = ' ';
    const char *p = line + strspn(line, " \t");
    for (unsigned k = 0; k < ARRAY_LEN(host); k++)
        if (!strncmp(p, host[k], strlen(host[k])) && strncmp(p, "nmi", 3)) return;
    if (*p == 's')
        for (unsigned k = 0, digits = 0; p[k]; k++) // no steps without end
            if ((digits = isxdigit((u8)p[k]) ? digits + 1 : 0) > 4) return;
    const char *arg = p + strcspn(p, " \t/"); // nor as many as a register says
    if ((*p == 's' && arg - p == 1) || !strncmp(p, "step", 4))
        if (arg[strspn(arg, " \t/-v0123456789")]) return;
    struct buf out = {0};
    monitor_run(line, &out);
    buf_free(&out);
}
FUZZ_MAIN(monitor, seeds, 150000)
