// SPDX-License-Identifier: MIT
// Disassembly for people, by capstone, with the names of the addresses that an instruction mentions.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/cpu.h"
#include "ui/monitor.h"
#include "ui/symbols.h"
#ifdef CONFIG_CAPSTONE
#include <capstone/capstone.h>

// What the operands point at: a branch's target, a RIP-relative place, or an immediate that is some symbol's address.
static void name_operands(struct cpu *c, unsigned code, const cs_insn *i, char *text, size_t size)
{
    const char *op = i->op_str, *rip = strstr(op, "[rip "), *hex;
    bool branch = *i->mnemonic == 'j' || !strncmp(i->mnemonic, "call", 4) || !strncmp(i->mnemonic, "loop", 4);
    size_t n = strlen(text);
    u64 v, off;
    if (rip && (rip[5] == '+' || rip[5] == '-')) {
        v = strtoull(rip + 7, NULL, 16);
        v = i->address + i->size + (rip[5] == '-' ? -v : v);
        snprintf(text + n, size - n, "  # 0x%llx", (unsigned long long)v);
        n = strlen(text);
    } else if ((hex = strstr(op, "0x")) && (hex == op || hex[-1] == ' ') && !strchr(hex, ':')) {
        v = strtoull(hex, NULL, 16);
        if (code == MODE_16 && branch) v = (i->address & ~0xffffull) | (v & 0xffff);
        if (!branch && (strchr(op, '[') || v < 0x400)) return;
    } else {
        return;
    }
    const char *name = symbol_at(c, v, &off);
    if (!name || n >= size) return;
    if (off)
        snprintf(text + n, size - n, " <%.60s+0x%llx>", name, (unsigned long long)off);
    else
        snprintf(text + n, size - n, " <%.60s>", name);
}

unsigned disas_as(struct cpu *c, unsigned code, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size)
{
    static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    csh h;
    cs_insn *i = NULL;
    unsigned len = 0;
    snprintf(text, size, "(bad)");
    if (cs_open(CS_ARCH_X86, modes[code % 3], &h) != CS_ERR_OK) return 0;
    if (cs_disasm(h, bytes, n, addr, 1, &i) == 1) {
        snprintf(text, size, "%s%s%s", i->mnemonic, *i->op_str ? " " : "", i->op_str);
        len = i->size;
        name_operands(c, code, i, text, size);
        cs_free(i, 1);
    }
    cs_close(&h);
    return len;
}
#else
unsigned disas_as(struct cpu *c, unsigned code, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size)
{
    snprintf(text, size, "(built without capstone)");
    return 0;
}
#endif

unsigned disas(struct cpu *c, u64 addr, const u8 *bytes, unsigned n, char *text, size_t size)
{
    return disas_as(c, c->mode & MODE_CODE, addr, bytes, n, text, size);
}
