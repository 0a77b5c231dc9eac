#!/bin/sh
# SPDX-License-Identifier: MIT
# Assembles our option ROMs into roms/*.inc, the bytes that hw/loader.c includes. `build.sh --check`: says whether the
# committed bytes are what the sources give (status 0), are not (1), or that there is no x86 assembler here (77).
cd "$(dirname "$0")" || exit 1
AS=${AS:-as} LD=${LD:-ld}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
echo nop | $AS --32 -o "$tmp/probe.o" - 2>/dev/null || exit 77
for rom in linuxboot multiboot; do
    $AS --32 -o "$tmp/$rom.o" $rom.s && $LD -m elf_i386 -Ttext 0 -e 0 --oformat binary -o "$tmp/$rom" "$tmp/$rom.o" || exit 1
    {
        echo "// SPDX-License-Identifier: MIT"
        echo "// Made from $rom.s by build.sh."
        od -An -v -tx1 -w16 "$tmp/$rom" | sed 's/ \(..\)/0x\1, /g; s/ $//'
    } >"$tmp/$rom.inc"
    if [ "$1" = --check ]; then
        cmp -s "$tmp/$rom.inc" $rom.inc || { echo "roms/$rom.inc is not what $rom.s gives: run roms/build.sh"; exit 1; }
    else
        cp "$tmp/$rom.inc" $rom.inc
    fi
done
