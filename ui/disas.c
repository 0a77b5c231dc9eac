// SPDX-License-Identifier: MIT
// Disassembly for people, by capstone, in the code size that the processor is in now.
#include <stdio.h>
#include "cpu/cpu.h"
#include "ui/monitor.h"
#ifdef CONFIG_CAPSTONE
#include <capstone/capstone.h>

unsigned disas(struct cpu *c, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size)
{
    static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    csh h;
    cs_insn *i = NULL;
    unsigned len = 0;
    snprintf(text, size, "(bad)");
    if (cs_open(CS_ARCH_X86, modes[(c->mode & MODE_CODE) % 3], &h) != CS_ERR_OK) return 0;
    if (cs_disasm(h, bytes, n, addr, 1, &i) == 1) {
        snprintf(text, size, "%s %s", i->mnemonic, i->op_str);
        len = i->size;
        cs_free(i, 1);
    }
    cs_close(&h);
    return len;
}
#else
unsigned disas(struct cpu *c, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size)
{
    snprintf(text, size, "(built without capstone)");
    return 0;
}
#endif
