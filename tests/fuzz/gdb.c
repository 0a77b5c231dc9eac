// SPDX-License-Identifier: MIT
// Fuzz target: what a gdb may send, byte by byte, to a stopped machine. The monitor's commands, which reach host files,
// have a target of their own; input that names qRcmd is dropped.
#include "tests/fuzz/pc.h"
#include "ui/gdb.h"
#include "ui/vm.h"

static const struct fuzz_seed seeds[] = {
    FUZZ_SEED("$qSupported:swbreak+;hwbreak+#00$?#00$g#00$qfThreadInfo#00"),
    FUZZ_SEED("$qXfer:features:read:target.xml:0,ffb#00$qXfer:features:read:target.xml:ff,1#00"),
    FUZZ_SEED("$qXfer:memory-map:read::0,1000#00$qXfer:threads:read::0,10#00"),
    FUZZ_SEED("$p10#00$P10=1234567800000000#00$P0=0102030405060708#00$Gffffffffffffffff#00"),
    FUZZ_SEED("$m7c00,10#00$M7c00,4:01020304#00$X7c00,3:}\3ab#00$mffffffffffffffff,ffff#00"),
    FUZZ_SEED("$Z0,7c00,1#00$Z2,400,4#00$Z4,ffffffffffffff00,100#00$c#00\3$z0,7c00,1#00$D#00"),
    FUZZ_SEED("$vCont;s:1;c#00$vCont;c#00\3$vCont;t:1#00$s#00$s7c00#00$C05;7c00#00\3"),
    FUZZ_SEED("$Hg1#00$Hc-1#00$T1#00$qThreadExtraInfo,1#00$qC#00$qCRC:0,100#00"),
    FUZZ_SEED("$Qqemu.PhyMemMode:1#00$m0,4#00$Qqemu.sstep=1#00$Qdoppel.linear:1#00$g#00$s#00"),
    FUZZ_SEED("$P18=1100008000000000#00$p41#00$R00#00$vRun;x#00$!#00$vKill;1#00$k#00"),
    FUZZ_SEED("$m0,$m0,4#0$m0,4#zz}#}}}$$##\3\3--++"),
};

static size_t swallow(struct chardev *c, const u8 *p, size_t n) { return n; }

static void fuzz_one(const u8 *data, size_t len)
{
    static struct chardev line = {.name = "gdb", .write = swallow};
    static const u8 no_ack[] = "$QStartNoAckMode#00"; // from here on no check sum is asked for
    struct err e;
    if (!vm.pc) {
        vm.pc = fuzz_pc();
        vm.paused = true;
    }
    if (memmem(data, len, "qRcmd", 5)) return;
    gdb_attach(&line, "fuzz");
    line.receive(line.front, no_ack, 17);
    line.receive(line.front, (const u8 *)"b0", 2);
    line.receive(line.front, data, len);
    gdb_open("none", &e); // a client that vanishes
    vm.quit = false;
    if (!vm.paused) vm_stop();
}
FUZZ_MAIN(gdb, seeds, 100000)
