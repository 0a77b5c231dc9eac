// SPDX-License-Identifier: MIT
// The loop: run the machine for some milliseconds, then look after descriptors, display and keys. While every CPU is
// halted it sleeps until the next timer, input or redraw.
#include <stdio.h>
#include <stdlib.h>
#include "cpu/cpu.h"
#include "hw/machine.h"
#include "mem/base/bits.h"
#include "ui/accel.h"
#include "ui/chr.h"
#include "ui/debug.h"
#include "ui/loop.h"
#include "ui/vm.h"

#define DOPPEL_VERSION "0.1"
#define MS             1000000ull
#define SLICE          (4 * MS) // of guest time between looks at the host: keys and output wait no longer
#define FRAME          (33 * MS)
#define LONG_SLEEP     (1000 * MS)

struct vm vm;

void vm_quit(int status)
{
    vm.quit = true;
    vm.status = status;
    if (vm.pc) machine_pause(&vm.pc->m);
}

static void stop_for(enum stop_kind why)
{
    bool was = vm.paused;
    vm.paused = true;
    machine_stop(&vm.pc->m);
    if (!was) debug_stopped_by(why);
}
void vm_stop(void) { stop_for(STOP_USER); }

void vm_cont(void)
{
    debug_resuming();
    vm.paused = false;
    machine_start(&vm.pc->m);
}

void vm_after_reset(void)
{
    if (vm.boot_once) pc_boot_order(vm.pc, vm.boot_after);
    vm.boot_once = false;
}

void vm_flush_disks(void)
{
    for (int i = 0; i < 4; i++) {
        enum ide_kind kind;
        struct disk *d = (struct disk *)ide_disk(vm.pc->ide, i, &kind);
        if (d && !d->readonly) disk_flush(d);
    }
}

void vm_version(struct buf *out)
{
    static const char *const libs[] = {
#ifdef CONFIG_SDL
        "sdl",
#endif
#ifdef CONFIG_CURSES
        "curses",
#endif
#ifdef CONFIG_VNC
        "vnc",
#endif
#ifdef CONFIG_PNG
        "png",
#endif
#ifdef CONFIG_CAPSTONE
        "capstone (x/i)",
#endif
#ifdef CONFIG_SLIRP
        "slirp",
#endif
        "zlib",
    };
    buf_printf(out, "doppel %s, a PC in software; engines: ", DOPPEL_VERSION);
    accel_names(out);
    buf_printf(out, "; built by %s%s; with:",
#ifdef __clang__
               "",
#else
               "gcc ",
#endif
               __VERSION__);
    for (unsigned i = 0; i < ARRAY_LEN(libs); i++)
        buf_printf(out, " %s%s", libs[i], i + 1 < ARRAY_LEN(libs) ? "," : "\n");
    buf_printf(out, "firmware folders: %s\n", FIRMWARE_PATH);
}

void vm_post_mortem(void)
{
    if (!vm.pc) return;
    struct buf out = {0};
    for (unsigned i = 0; i < vm.pc->m.ncpus; i++) {
        buf_printf(&out, "CPU %u:\n", i);
        cpu_dump(vm.pc->m.cpu[i], &out);
    }
    fprintf(stderr, "%s\nlast events:\n", buf_text(&out));
    log_ring_print(&vm.pc->m.bus.log, stderr, 64);
    buf_free(&out);
}

// What the machine's stop means for the process. True: it may go on at once.
static bool stopped(enum machine_stop why)
{
    switch (why) {
    case MACHINE_POWEROFF:
        if (vm.no_shutdown)
            stop_for(STOP_POWEROFF);
        else
            vm_quit(0);
        return false;
    case MACHINE_RESET:
        vm_after_reset();
        if (!vm.no_reboot) return true;
        if (vm.no_shutdown)
            stop_for(STOP_RESET);
        else
            vm_quit(0);
        return false;
    case MACHINE_EXIT: vm_quit(vm.pc->m.exit_code); return false;
    case MACHINE_PAUSED: debug_paused(); return true;
    case MACHINE_BUSY: return true;
    case MACHINE_IDLE: return false;
    }
    return true;
}

void vm_round(void)
{
    u64 wait = 0;
    if (vm.paused) {
        wait = LONG_SLEEP;
    } else {
        debug_ready();
        if (!stopped(machine_run(&vm.pc->m, SLICE)))
            wait = vm.paused ? 0 : min_u64(machine_idle_ns(&vm.pc->m), LONG_SLEEP);
    }
    if (vm.quit) return;
    u64 now = loop_now_ns();
    if (vm.keys.n) {
        key_queue_poll(&vm.keys, &vm.pc->input, now / MS);
        wait = min_u64(wait, 5 * MS);
    }
    if (vm.display_self && now >= vm.next_frame) {
        if (!vm.display->poll(vm.display_self)) vm_quit(0);
        vm.next_frame = now + FRAME;
    }
    if (vm.display_self) wait = min_u64(wait, vm.next_frame > now ? vm.next_frame - now : 0);
    loop_wait(wait);
}

void vm_run(void)
{
    while (!vm.quit) vm_round();
}
