// SPDX-License-Identifier: MIT
// National Semiconductor PC16550D UART as the PC wires it: 1.8432 MHz crystal, OUT2 enables the interrupt line.
// PC16550D data sheet (TL/C/8652, June 1995), section 8 (registers) and 8.7–8.10 (FIFO operation, loopback).
// Characters reach the back end whole and at once: the line's speed only shows in the receiver's time-out. What the
// back end does not take stays in the transmitter, which then is not empty. Word lengths below 8 only cut in loopback:
// a guest that never set LCR (reset value: 5 bits) still gets its text out. CTS, DSR and DCD are wired on (null modem),
// with or without a peer, so that drivers with hardware flow control never hang. Left out: parity errors (there is no
// line noise) and the DMA pins of FCR bit 3, which the PC leaves open.
#include <stdlib.h>
#include "hw/port/uart16550.h"
#include "mem/base/bits.h"
#include "mem/base/err.h"
#include "mem/state.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR }; // register offsets; THR = RBR, FCR = IIR when written
enum { IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MSI = 8 };
enum { IIR_NONE = 1, IIR_MSI = 0, IIR_THRE = 2, IIR_RDA = 4, IIR_RLS = 6, IIR_TIMEOUT = 12 };
enum { LCR_STOP = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_PE = 4, LSR_FE = 8, LSR_BI = 16, LSR_THRE = 32, LSR_TEMT = 64, LSR_FIFO_ERR = 128 };
enum { MSR_DCTS = 1, MSR_DDSR = 2, MSR_TERI = 4, MSR_DDCD = 8, MSR_CTS = 16, MSR_DSR = 32, MSR_RI = 64, MSR_DCD = 128 };
#define LSR_CHAR_ERRS (LSR_PE | LSR_FE | LSR_BI) // belong to one character
#define CRYSTAL       1843200u
#define DEPTH         16
#define RETRY_NS      10000000

struct fifo {
    u8 data[DEPTH], err[DEPTH]; // err: LSR_CHAR_ERRS of the character
    u32 head, n;
};
struct uart {
    struct bus *bus;
    struct irq irq;
    struct chardev *chr;
    struct timer timeout; // four character times without receiver activity
    struct timer retry;   // a back end that was replaced while it was full never says that it is writable
    struct fifo rx, tx;   // one deep each while the FIFOs are off
    u16 divisor;
    u8 ier, lcr, mcr, msr, scr;
    u8 fcr;            // bits 0, 3, 6, 7 as written
    u8 errs;           // LSR bits 1–4 until the next read of LSR
    u8 last;           // what RBR shows when the receiver is empty
    bool thre_pending; // THRE interrupt not yet acknowledged
    bool timed_out;
    bool refused; // the back end was told that there is no room
};

static bool fifo_on(const struct uart *u) { return u->fcr & 1; }
static unsigned depth(const struct uart *u) { return fifo_on(u) ? DEPTH : 1; }
static unsigned trigger(const struct uart *u)
{
    static const u8 level[4] = {1, 4, 8, 14};
    return fifo_on(u) ? level[u->fcr >> 6] : 1;
}
static void fifo_put(struct fifo *f, u8 c, u8 err)
{
    unsigned at = (f->head + f->n++) % DEPTH;
    f->data[at] = c;
    f->err[at] = err;
}
static u8 fifo_get(struct fifo *f)
{
    u8 c = f->data[f->head];
    f->head = (f->head + 1) % DEPTH;
    f->n--;
    return c;
}

// ns that one character takes on the line: start bit, 5–8 data bits, parity, 1–2 stop bits.
static u64 char_time(const struct uart *u)
{
    unsigned half_bits = 2 * (1 + 5 + (u->lcr & 3)) + (u->lcr & LCR_PARITY ? 2 : 0);
    half_bits += !(u->lcr & LCR_STOP) ? 2 : (u->lcr & 3) ? 4 : 3;
    u32 div = u->divisor ? u->divisor : 0x10000;
    return muldiv64(half_bits * 16ull * div, NS_PER_SEC, 2 * CRYSTAL);
}

static u8 lsr(const struct uart *u)
{
    u8 v = u->errs | (u->rx.n ? LSR_DR : 0) | (u->tx.n ? 0 : LSR_THRE | LSR_TEMT);
    for (unsigned i = 0; fifo_on(u) && i < u->rx.n; i++)
        if (u->rx.err[(u->rx.head + i) % DEPTH]) v |= LSR_FIFO_ERR;
    return v;
}
static u8 iir(const struct uart *u)
{
    if ((u->ier & IER_RLS) && u->errs) return IIR_RLS;
    if ((u->ier & IER_RDA) && u->rx.n >= trigger(u)) return IIR_RDA;
    if ((u->ier & IER_RDA) && u->timed_out && u->rx.n) return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending) return IIR_THRE;
    if ((u->ier & IER_MSI) && (u->msr & 15)) return IIR_MSI;
    return IIR_NONE;
}
static void update(struct uart *u) { irq_set(&u->irq, iir(u) != IIR_NONE && (u->mcr & MCR_OUT2)); }

// ---- receiver

// The error bits of the character that is next to be read show in LSR from now on.
static void reveal(struct uart *u)
{
    if (u->rx.n) u->errs |= u->rx.err[u->rx.head] & LSR_CHAR_ERRS;
}
static void receive_activity(struct uart *u)
{
    u->timed_out = false;
    if (fifo_on(u) && u->rx.n)
        timer_arm(&u->bus->clock, &u->timeout, clock_now(&u->bus->clock) + 4 * char_time(u));
    else
        timer_cancel(&u->bus->clock, &u->timeout);
}
static void receive_char(struct uart *u, u8 c, u8 err)
{
    if (u->rx.n < depth(u)) {
        fifo_put(&u->rx, c, err);
        if (u->rx.n == 1) reveal(u);
    } else {
        u->errs |= LSR_OE;
        if (!fifo_on(u)) { // the new character replaces the one in RBR; a full FIFO keeps what it has
            u->rx.data[u->rx.head] = c;
            u->rx.err[u->rx.head] = err;
            reveal(u);
        }
    }
    receive_activity(u);
}
static size_t can_receive(void *front)
{
    struct uart *u = front;
    size_t n = u->mcr & MCR_LOOP || u->rx.n >= depth(u) ? 0 : depth(u) - u->rx.n;
    u->refused |= !n;
    return n;
}
static void receive(void *front, const u8 *p, size_t n)
{
    struct uart *u = front;
    if (u->mcr & MCR_LOOP) return; // the line is disconnected from the receiver
    for (size_t i = 0; i < n; i++) receive_char(u, p[i], 0);
    update(u);
}
static void event(void *front, enum chardev_event e)
{
    struct uart *u = front;
    if (e != CHARDEV_BREAK || (u->mcr & MCR_LOOP)) return;
    receive_char(u, 0, LSR_BI);
    update(u);
}
static void room_again(struct uart *u)
{
    if (!u->refused || u->mcr & MCR_LOOP || u->rx.n >= depth(u)) return;
    u->refused = false;
    chardev_accept_input(u->chr);
}
static u8 rbr_read(struct uart *u)
{
    if (u->rx.n) {
        u->rx.err[u->rx.head] = 0;
        u->last = fifo_get(&u->rx);
        reveal(u);
    }
    receive_activity(u);
    update(u);
    room_again(u);
    return u->last;
}

// ---- transmitter

static void transmit(struct uart *u)
{
    bool had = u->tx.n != 0;
    while (u->tx.n) {
        u8 c = u->tx.data[u->tx.head];
        if (u->mcr & MCR_LOOP)
            receive_char(u, c & 0xff >> (3 - (u->lcr & 3)), 0);
        else if (!chardev_write(u->chr, &c, 1))
            break;
        fifo_get(&u->tx);
    }
    if (had && !u->tx.n) u->thre_pending = true;
    if (u->tx.n)
        timer_arm(&u->bus->clock, &u->retry, clock_now(&u->bus->clock) + RETRY_NS);
    else
        timer_cancel(&u->bus->clock, &u->retry);
}
static void writable(void *front)
{
    struct uart *u = front;
    if (!u->tx.n) return;
    transmit(u);
    update(u);
}
static void thr_write(struct uart *u, u8 v)
{
    if (u->tx.n < depth(u))
        fifo_put(&u->tx, v, 0);
    else
        log_guest(&u->bus->log, "serial", "transmitter overrun");
    u->thre_pending = false; // and down goes the line: the next THRE interrupt is a new edge
    update(u);
    transmit(u);
    update(u);
}

// ---- control

static void fcr_write(struct uart *u, u8 v)
{
    bool toggled = (v ^ u->fcr) & 1;
    if (toggled || (v & 3) == 3) {
        u->rx = (struct fifo){0};
        receive_activity(u);
    }
    if (toggled || (v & 5) == 5) {
        if (u->tx.n) u->thre_pending = true;
        u->tx = (struct fifo){0};
    }
    u->fcr = v & 1 ? v & 0xc9 : 0; // bit 0 must be set for the others to be programmed
    update(u);
    room_again(u);
}
static void lcr_write(struct uart *u, u8 v)
{
    bool start = (v & ~u->lcr) & LCR_BREAK;
    u->lcr = v;
    if (start && (u->mcr & MCR_LOOP)) receive_char(u, 0, LSR_BI);
    update(u);
}
// The modem inputs: from the line, or in loopback from our own outputs. Changes set the delta bits.
static void msr_update(struct uart *u)
{
    u8 in = MSR_CTS | MSR_DSR | MSR_DCD;
    if (u->mcr & MCR_LOOP)
        in = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
             (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    u8 change = in ^ (u->msr & 0xf0);
    if (change & MSR_RI & in) change &= ~MSR_RI; // only RI's trailing edge counts
    u->msr = in | (u->msr & 15) | change >> 4;
}
static void mcr_write(struct uart *u, u8 v)
{
    bool left = u->mcr & ~v & MCR_LOOP;
    u->mcr = v & 0x1f;
    msr_update(u);
    update(u);
    if (left) room_again(u);
}
static void ier_write(struct uart *u, u8 v)
{
    u8 change = u->ier ^ v;
    u->ier = v & 15;
    if (change & IER_THRE) u->thre_pending = (v & IER_THRE) && !u->tx.n;
    update(u);
}

static u64 uart_read(void *dev, u64 off, unsigned size)
{
    struct uart *u = dev;
    u8 v;
    switch (off) {
    case RBR: return u->lcr & LCR_DLAB ? (u8)u->divisor : rbr_read(u);
    case IER: return u->lcr & LCR_DLAB ? u->divisor >> 8 : u->ier;
    case IIR:
        v = iir(u);
        if (v == IIR_THRE) u->thre_pending = false;
        update(u);
        return v | (fifo_on(u) ? 0xc0 : 0);
    case LCR: return u->lcr;
    case MCR: return u->mcr;
    case LSR:
        v = lsr(u);
        u->errs = 0;
        if (u->rx.n) u->rx.err[u->rx.head] = 0;
        update(u);
        return v;
    case MSR:
        v = u->msr;
        u->msr &= 0xf0;
        update(u);
        return v;
    default: return u->scr;
    }
}
static void uart_write(void *dev, u64 off, u64 val, unsigned size)
{
    struct uart *u = dev;
    u8 v = (u8)val;
    switch (off) {
    case RBR:
        if (u->lcr & LCR_DLAB)
            u->divisor = (u->divisor & 0xff00) | v;
        else
            thr_write(u, v);
        break;
    case IER:
        if (u->lcr & LCR_DLAB)
            u->divisor = (u->divisor & 0xff) | v << 8;
        else
            ier_write(u, v);
        break;
    case IIR: fcr_write(u, v); break;
    case LCR: lcr_write(u, v); break;
    case MCR: mcr_write(u, v); break;
    case SCR: u->scr = v; break;
    default: break; // LSR is for the factory's tests, MSR has no writable bit
    }
}
static const struct io_ops uart_ops = {.read = uart_read, .write = uart_write, .sizes = 1};

static void timeout(void *owner)
{
    struct uart *u = owner;
    u->timed_out = u->rx.n != 0;
    update(u);
}

// ---- the part

static void uart_reset(void *self)
{
    struct uart *u = self;
    u->rx = u->tx = (struct fifo){0};
    u->ier = u->lcr = u->mcr = u->fcr = u->errs = u->last = 0;
    u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    u->divisor = CRYSTAL / 16 / 9600;
    u->thre_pending = u->timed_out = false;
    timer_cancel(&u->bus->clock, &u->timeout);
    timer_cancel(&u->bus->clock, &u->retry);
    update(u);
    room_again(u);
}
static void fifo_state(struct state *s, struct fifo *f, const char *data, const char *err, const char *head,
                       const char *n)
{
    state_bytes(s, data, f->data, DEPTH);
    state_bytes(s, err, f->err, DEPTH);
    state_u32(s, head, &f->head);
    state_limit_u32(s, head, &f->head, DEPTH);
    state_u32(s, n, &f->n);
    state_limit_u32(s, n, &f->n, DEPTH + 1);
}
static void uart_state(struct state *s, void *self)
{
    struct uart *u = self;
    fifo_state(s, &u->rx, "rx", "rx_err", "rx_head", "rx_n");
    fifo_state(s, &u->tx, "tx", "tx_err", "tx_head", "tx_n");
    state_u16(s, "divisor", &u->divisor);
    state_u8(s, "ier", &u->ier);
    state_u8(s, "fcr", &u->fcr);
    state_u8(s, "lcr", &u->lcr);
    state_u8(s, "mcr", &u->mcr);
    state_u8(s, "msr", &u->msr);
    state_u8(s, "scr", &u->scr);
    state_u8(s, "errs", &u->errs);
    state_u8(s, "last", &u->last);
    state_bool(s, "thre_pending", &u->thre_pending);
    state_bool(s, "timed_out", &u->timed_out);
    timer_state(s, "timeout", &u->bus->clock, &u->timeout);
    timer_state(s, "retry", &u->bus->clock, &u->retry);
    if (!state_loading(s)) return;
    u->ier &= 15;
    u->mcr &= 31;
    u->errs &= LSR_OE | LSR_CHAR_ERRS;
    u->rx.n = min_u64(u->rx.n, depth(u));
    u->tx.n = min_u64(u->tx.n, depth(u));
    u->refused = true; // whatever the back end was told before, it may ask again
    room_again(u);
}
static void uart_info(void *self, struct buf *out)
{
    const struct uart *u = self;
    u32 div = u->divisor ? u->divisor : 0x10000;
    buf_printf(out, "%u baud, %u data bits, back end %s\n", CRYSTAL / 16 / div, 5 + (u->lcr & 3),
               u->chr ? u->chr->name : "none");
    buf_printf(out, "IER=%02x IIR=%02x FCR=%02x LCR=%02x MCR=%02x LSR=%02x MSR=%02x, receiver %u, transmitter %u\n",
               u->ier, iir(u), u->fcr, u->lcr, u->mcr, lsr(u), u->msr, u->rx.n, u->tx.n);
}
static void uart_free(void *self)
{
    struct uart *u = self;
    timer_cancel(&u->bus->clock, &u->timeout);
    timer_cancel(&u->bus->clock, &u->retry);
    if (u->chr)
        u->chr->front = NULL, u->chr->can_receive = NULL, u->chr->receive = NULL, u->chr->event = NULL,
        u->chr->writable = NULL;
    free(u);
}
static const struct part_ops part_ops = {
    .reset = uart_reset, .state = uart_state, .info = uart_info, .free = uart_free};

void uart16550_new(struct bus *b, const char *name, u16 base, const struct irq *irq, struct chardev *chr)
{
    struct uart *u = xalloc(sizeof *u);
    u->bus = b;
    u->irq = *irq;
    u->chr = chr;
    timer_init(&u->timeout, timeout, u);
    timer_init(&u->retry, writable, u);
    if (chr) {
        chr->front = u;
        chr->can_receive = can_receive;
        chr->receive = receive;
        chr->event = event;
        chr->writable = writable;
    }
    bus_map_port(b, base, 8, &uart_ops, u, "serial");
    part_add(&b->parts, name, &part_ops, u);
    uart_reset(u);
}
