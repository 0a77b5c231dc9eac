// SPDX-License-Identifier: MIT
// Intel 8042 with the PS/2 keyboard controller's program, ports 60h and 64h.
// IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard and auxiliary device controller"; Intel UPI-41/42.
// Bytes cross the serial lines in BYTE_NS, a quarter of the real time, one after the other. Left out: the security lock
// (commands A4h–A6h say that no password is installed), the input port's factory jumpers.
#include <stdlib.h>
#include "hw/input/i8042.h"
#include "hw/input/ps2.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { ST_OBF = 1, ST_SYS = 4, ST_A2 = 8, ST_UNLOCKED = 16, ST_MOBF = 32 };
enum { CB_KBD_INT = 1, CB_AUX_INT = 2, CB_SYS = 4, CB_KBD_OFF = 16, CB_AUX_OFF = 32, CB_XLATE = 64 };
enum { OUT_NRESET = 1, OUT_A20 = 2, OUT_KBD_IRQ = 16, OUT_AUX_IRQ = 32 };
enum { CMD_WRITE_RAM = 0x60, CMD_WRITE_OUT = 0xd1, CMD_WRITE_KBD_BUF, CMD_WRITE_AUX_BUF, CMD_WRITE_AUX };
#define BYTE_NS    250000
#define INPUT_PORT 0x80 // keyboard not locked

// Set 2 codes to set 1; F0h makes a break code of the next one.
static const u8 xlate[256] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, // 00
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, // 10
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, // 20
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, // 30
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, // 40
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, // 50
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, // 60
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, // 70
    0x80, 0x81, 0x82, 0x41, 0x54, // 80: F7 and SysRq; from 85h on codes stay (0 here)
};

struct i8042 {
    struct bus *bus;
    struct irq kbd_irq, aux_irq, a20;
    struct ps2 *kbd, *aux;
    struct timer line; // a byte is on its way
    u8 ram[32];        // ram[0]: the command byte
    u8 out;            // output port, without the interrupt bits
    u8 status;         // OBF, A2, MOBF
    u8 data;           // output buffer
    u8 command;        // that waits for its data byte at port 60h
    bool broken;       // F0h was translated, its code follows
    u32 nreply;        // controller's own answers behind the one in the output buffer
    u8 reply[8];
};

static void irqs(struct i8042 *c)
{
    irq_set(&c->kbd_irq, (c->status & (ST_OBF | ST_MOBF)) == ST_OBF && (c->ram[0] & CB_KBD_INT));
    irq_set(&c->aux_irq, (c->status & ST_OBF) && (c->status & ST_MOBF) && (c->ram[0] & CB_AUX_INT));
}
static void present(struct i8042 *c, u8 v, bool aux)
{
    c->data = v;
    c->status = (c->status & ~ST_MOBF) | ST_OBF | (aux ? ST_MOBF : 0);
    irqs(c);
}
static bool can_send(const struct i8042 *c, bool aux)
{
    return !(c->ram[0] & (aux ? CB_AUX_OFF : CB_KBD_OFF)) && ps2_ready(aux ? c->aux : c->kbd);
}
// Starts the next transfer if the output buffer is free.
static void pump(struct i8042 *c)
{
    if (c->status & ST_OBF) return;
    if (c->nreply) {
        u8 v = c->reply[0];
        memmove(c->reply, c->reply + 1, --c->nreply);
        present(c, v, false);
    } else if (!timer_armed(&c->line) && (can_send(c, false) || can_send(c, true))) {
        timer_arm(&c->bus->clock, &c->line, clock_now(&c->bus->clock) + BYTE_NS);
    }
}
static void wake(void *owner) { pump(owner); }
static void arrive(void *owner)
{
    struct i8042 *c = owner;
    if (c->status & ST_OBF) return; // pump() again when it is read
    if (can_send(c, false)) {
        u8 v = (u8)ps2_take(c->kbd);
        if (!(c->ram[0] & CB_XLATE)) {
            present(c, v, false);
        } else if (v == 0xf0) {
            c->broken = true;
        } else {
            u8 t = v < 0x85 ? xlate[v] : v;
            present(c, t | (c->broken ? 0x80 : 0), false);
            c->broken = false;
        }
    } else if (can_send(c, true)) {
        present(c, (u8)ps2_take(c->aux), true);
    }
    pump(c);
}
static void answer(struct i8042 *c, u8 v)
{
    if (c->nreply < sizeof c->reply) c->reply[c->nreply++] = v;
    pump(c);
}
static void set_out(struct i8042 *c, u8 v)
{
    c->out = (v & ~(OUT_KBD_IRQ | OUT_AUX_IRQ)) | OUT_NRESET;
    irq_set(&c->a20, !!(v & OUT_A20));
    if (!(v & OUT_NRESET) && c->bus->system_request) c->bus->system_request(c->bus->system_owner, BUS_REQ_RESET);
}
static void set_command_byte(struct i8042 *c, u8 v)
{
    c->ram[0] = v & 0x7f;
    irqs(c);
    pump(c);
}

static void command(struct i8042 *c, u8 v)
{
    c->command = 0;
    switch (v) {
    case 0xa1: answer(c, 0); break;    // version of the program
    case 0xa4: answer(c, 0xf1); break; // no password
    case 0xa7: set_command_byte(c, c->ram[0] | CB_AUX_OFF); break;
    case 0xa8: set_command_byte(c, c->ram[0] & ~CB_AUX_OFF); break;
    case 0xa9:
    case 0xab: answer(c, 0); break; // line tests: nothing stuck
    case 0xaa:                      // self-test; bytes from before it are lost
        c->ram[0] |= CB_SYS;
        c->status &= ~(ST_OBF | ST_MOBF);
        c->nreply = 0;
        irqs(c);
        answer(c, 0x55);
        break;
    case 0xad: set_command_byte(c, c->ram[0] | CB_KBD_OFF); break;
    case 0xae: set_command_byte(c, c->ram[0] & ~CB_KBD_OFF); break;
    case 0xc0: answer(c, INPUT_PORT); break;
    case 0xc1:
    case 0xc2: break; // poll the input port into status bits 4–7: they show the same
    case 0xd0: answer(c, c->out | (c->status & ST_OBF ? c->status & ST_MOBF ? OUT_AUX_IRQ : OUT_KBD_IRQ : 0)); break;
    case 0xdd: set_out(c, c->out & ~OUT_A20); break;
    case 0xdf: set_out(c, c->out | OUT_A20); break;
    case 0xe0: answer(c, 0); break; // test inputs: both clock lines low while the controller holds them
    case CMD_WRITE_OUT:
    case CMD_WRITE_KBD_BUF:
    case CMD_WRITE_AUX_BUF:
    case CMD_WRITE_AUX: c->command = v; break;
    default:
        if (v >= 0x20 && v < 0x40)
            answer(c, c->ram[v & 31]);
        else if (v >= 0x60 && v < 0x80)
            c->command = v;
        else if (v >= 0xf0) { // pulse the output port's low bits, those that are 0 in the command: bit 0 is reset
            if (!(v & 1)) set_out(c, c->out & ~OUT_NRESET);
        } else
            log_guest(&c->bus->log, "i8042", "unknown command %02x", v);
        break;
    }
}
static void data_write(struct i8042 *c, u8 v)
{
    u8 cmd = c->command;
    c->command = 0;
    switch (cmd) {
    case 0: // to the keyboard; that opens its line
        c->ram[0] &= ~CB_KBD_OFF;
        c->kbd->write(c->kbd, v);
        break;
    case CMD_WRITE_OUT: set_out(c, v); break;
    case CMD_WRITE_KBD_BUF: present(c, v, false); break;
    case CMD_WRITE_AUX_BUF: present(c, v, true); break;
    case CMD_WRITE_AUX:
        c->ram[0] &= ~CB_AUX_OFF;
        c->aux->write(c->aux, v);
        break;
    case CMD_WRITE_RAM: set_command_byte(c, v); break;
    default: c->ram[cmd & 31] = v; break;
    }
    pump(c);
}

static u64 port_read(void *dev, u64 off, unsigned size)
{
    struct i8042 *c = dev;
    if (off) return c->status | ST_UNLOCKED | (c->ram[0] & CB_SYS ? ST_SYS : 0);
    u8 v = c->data;
    if (c->status & ST_OBF) {
        c->status &= ~(ST_OBF | ST_MOBF);
        irqs(c);
        pump(c);
    }
    return v;
}
static void port_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct i8042 *c = dev;
    c->status = (c->status & ~ST_A2) | (off ? ST_A2 : 0);
    if (off)
        command(c, (u8)val);
    else
        data_write(c, (u8)val);
}
static u64 data_port_read(void *dev, u64 off, unsigned size) { return port_read(dev, 0, 1); }
static void data_port_write(void *dev, u64 off, u64 val, unsigned size) { port_write(dev, 0, val, 1); }
static u64 cmd_port_read(void *dev, u64 off, unsigned size) { return port_read(dev, 1, 1); }
static void cmd_port_write(void *dev, u64 off, u64 val, unsigned size) { port_write(dev, 1, val, 1); }
static const struct io_ops data_ops = {.read = data_port_read, .write = data_port_write, .sizes = 1};
static const struct io_ops cmd_ops = {.read = cmd_port_read, .write = cmd_port_write, .sizes = 1};

// ---- people's side

static void key(void *dev, unsigned k, bool down) { ps2kbd_key(((struct i8042 *)dev)->kbd, k, down); }
static void mouse(void *dev, int dx, int dy, int dz, unsigned buttons)
{
    ps2mouse_move(((struct i8042 *)dev)->aux, dx, dy, dz, buttons);
}
static u8 leds(void *dev) { return ps2kbd_leds(((struct i8042 *)dev)->kbd); }

// ---- the part

static void reset(void *self)
{
    struct i8042 *c = self;
    memset(c->ram, 0, sizeof c->ram);
    c->ram[0] = CB_KBD_INT | CB_AUX_INT;
    c->out = 0xcd | OUT_A20; // the pins float high: A20 is open
    c->status = c->data = c->command = 0;
    c->broken = false;
    c->nreply = 0;
    timer_cancel(&c->bus->clock, &c->line);
    irqs(c);
    irq_set(&c->a20, 1);
}
static void state(struct state *s, void *self)
{
    struct i8042 *c = self;
    state_bytes(s, "ram", c->ram, sizeof c->ram);
    state_u8(s, "out", &c->out);
    state_u8(s, "status", &c->status);
    state_u8(s, "data", &c->data);
    state_u8(s, "command", &c->command);
    state_bool(s, "broken", &c->broken);
    state_u32(s, "nreply", &c->nreply);
    state_limit_u32(s, "nreply", &c->nreply, sizeof c->reply + 1);
    state_bytes(s, "reply", c->reply, sizeof c->reply);
    timer_state(s, "line", &c->bus->clock, &c->line);
    if (!state_loading(s)) return;
    c->status &= ST_OBF | ST_MOBF | ST_A2;
    c->ram[0] &= 0x7f;
    irq_set(&c->a20, !!(c->out & OUT_A20));
}
static void info(void *self, struct buf *out)
{
    const struct i8042 *c = self;
    buf_printf(out, "command byte %02x, status %02x, output buffer %02x, A20 %s\n", c->ram[0], c->status, c->data,
               c->out & OUT_A20 ? "open" : "masked");
}
static void i8042_free(void *self)
{
    struct i8042 *c = self;
    timer_cancel(&c->bus->clock, &c->line);
    free(c);
}
static const struct part_ops part_ops = {.reset = reset, .state = state, .info = info, .free = i8042_free};

void i8042_new(struct bus *b, const struct irq *kbd, const struct irq *aux, const struct irq *a20, struct input *in)
{
    struct i8042 *c = xalloc(sizeof *c);
    c->bus = b;
    c->kbd_irq = *kbd;
    c->aux_irq = *aux;
    c->a20 = *a20;
    c->kbd = ps2kbd_new(b);
    c->aux = ps2mouse_new(b);
    c->kbd->wake = c->aux->wake = wake;
    c->kbd->owner = c->aux->owner = c;
    timer_init(&c->line, arrive, c);
    *in = (struct input){.dev = c, .key = key, .mouse = mouse, .leds = leds};
    bus_map_port(b, 0x60, 1, &data_ops, c, "i8042");
    bus_map_port(b, 0x64, 1, &cmd_ops, c, "i8042");
    part_add(&b->parts, "i8042", &part_ops, c);
    reset(c);
}
