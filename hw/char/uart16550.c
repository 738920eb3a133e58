/*
 * uart16550.c - National PC16550D UART
 *
 * Registers (offset: read / write; DLAB is LCR bit 7):
 *   0: RBR / THR, divisor low with DLAB     4: MCR
 *   1: IER, divisor high with DLAB          5: LSR / factory test
 *   2: IIR / FCR                            6: MSR / -
 *   3: LCR                                  7: scratch
 *
 * The transmitter has no baud rate: a byte leaves as soon as the back end
 * takes it. When the back end is full, bytes wait in the transmit FIFO and
 * THRE stays low. The receiver takes what fits; the rest waits in the back
 * end, so input is never overrun except in loopback, by the guest itself.
 * Only the character timeout runs by the programmed rate.
 *
 * Source: National Semiconductor PC16550D data sheet, section 8; IBM PC AT
 * Technical Reference, serial adapter (OUT2 gates the interrupt).
 */
#include "hw/char/uart16550.h"
#include "hw/outside.h"

#define FIFO_BYTES 16
#define UART_CLOCK_HZ 1843200
#define TIMEOUT_CHARS 4 /* data sheet 8.4.2 */

enum { UART_RBR_THR, UART_IER, UART_IIR_FCR, UART_LCR, UART_MCR, UART_LSR,
       UART_MSR, UART_SCR };

enum { IER_RDA = 0x01, IER_THRE = 0x02, IER_RLS = 0x04, IER_MSI = 0x08,
       IER_KEPT = 0x0f };
enum { IIR_NONE = 0x01, IIR_MSI = 0x00, IIR_THRE = 0x02, IIR_RDA = 0x04,
       IIR_RLS = 0x06, IIR_TIMEOUT = 0x0c, IIR_FIFOS = 0xc0 };
enum { FCR_ENABLE = 0x01, FCR_RX_RESET = 0x02, FCR_TX_RESET = 0x04,
       FCR_DMA = 0x08, FCR_TRIGGER = 0xc0,
       FCR_KEPT = FCR_ENABLE | FCR_DMA | FCR_TRIGGER };
enum { LCR_BITS = 0x03, LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08,
       MCR_LOOP = 0x10, MCR_KEPT = 0x1f };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10,
       LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO_ERR = 0x80,
       LSR_CHAR_ERRS = LSR_PE | LSR_FE | LSR_BI,
       LSR_ERRS = LSR_OE | LSR_CHAR_ERRS };
enum { MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08,
       MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
       MSR_DELTAS = 0x0f, MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD };

struct uart {
    struct device dev;
    struct chardev *chr;
    struct timer timeout;
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint8_t rbr;                /* last byte read; what an empty FIFO shows */
    uint8_t rx[FIFO_BYTES];
    uint8_t rx_err[FIFO_BYTES]; /* LSR_CHAR_ERRS of each byte */
    uint8_t rx_head, rx_count;
    uint8_t tx[FIFO_BYTES];
    uint8_t tx_head, tx_count;
    bool thre_pending;          /* THRE interrupt not yet acknowledged */
    bool timeout_pending;
};

static bool fifo_on(const struct uart *u)
{
    return u->fcr & FCR_ENABLE;
}

static unsigned fifo_depth(const struct uart *u)
{
    return fifo_on(u) ? FIFO_BYTES : 1;
}

static unsigned rx_trigger(const struct uart *u)
{
    static const uint8_t level[4] = { 1, 4, 8, 14 };

    return fifo_on(u) ? level[u->fcr >> 6] : 1;
}

/* Duration of one character on the line: start, data, parity, stop bits. */
static int64_t char_ns(const struct uart *u)
{
    unsigned nbits = 1 + 5 + (u->lcr & LCR_BITS) + !!(u->lcr & LCR_PARITY) +
                     (u->lcr & LCR_STOP ? 2 : 1);
    int64_t divisor = u->divisor ? u->divisor : 1;

    return nbits * 16 * divisor * 1000000000ll / UART_CLOCK_HZ;
}

/* Highest interrupt that is enabled and pending (data sheet table 4). */
static uint8_t uart_iir(const struct uart *u)
{
    if ((u->ier & IER_RLS) && (u->lsr & LSR_ERRS))
        return IIR_RLS;
    if ((u->ier & IER_RDA) && u->rx_count >= rx_trigger(u))
        return IIR_RDA;
    if ((u->ier & IER_RDA) && u->timeout_pending)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MSI) && (u->msr & MSR_DELTAS))
        return IIR_MSI;
    return IIR_NONE;
}

/* The PC gates the request with OUT2, which loopback holds inactive. */
static void uart_update_irq(struct uart *u)
{
    bool gate = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    irq_set(u->dev.irq, gate && uart_iir(u) != IIR_NONE);
}

/* ---- receiver ----------------------------------------------------------- */

/* After the top of the FIFO changed: its errors appear in LSR. */
static void rx_show_top(struct uart *u)
{
    uint8_t rest = 0;

    u->lsr &= ~(LSR_DR | LSR_FIFO_ERR);
    if (!u->rx_count)
        return;
    u->lsr |= LSR_DR | u->rx_err[u->rx_head];
    for (unsigned i = 0; i < u->rx_count; i++)
        rest |= u->rx_err[(u->rx_head + i) % FIFO_BYTES];
    if (fifo_on(u) && rest)
        u->lsr |= LSR_FIFO_ERR;
}

/* Any move of data restarts the character timeout (data sheet 8.4.2). */
static void rx_arm_timeout(struct uart *u)
{
    u->timeout_pending = false;
    if (fifo_on(u) && u->rx_count)
        timer_mod(&u->timeout, clock_now_ns(u->timeout.list->clock) +
                                   TIMEOUT_CHARS * char_ns(u));
    else
        timer_del(&u->timeout);
}

static void rx_timeout(void *opaque)
{
    struct uart *u = opaque;

    u->timeout_pending = u->rx_count > 0;
    uart_update_irq(u);
}

static void rx_push(struct uart *u, uint8_t byte, uint8_t errs)
{
    unsigned at;

    if (u->rx_count >= fifo_depth(u)) {
        u->lsr |= LSR_OE;
        log_guest(LOG_UART, "port=%#x overrun byte=%#x", u->dev.port, byte);
        if (fifo_on(u))
            return;       /* the FIFO is kept, the new byte is lost */
        u->rx_count = 0;  /* a 16450 loses the old byte */
    }
    at = (u->rx_head + u->rx_count) % FIFO_BYTES;
    u->rx[at] = byte;
    u->rx_err[at] = errs;
    u->rx_count++;
    rx_show_top(u);
}

static uint8_t rx_pop(struct uart *u)
{
    if (u->rx_count) {
        u->rbr = u->rx[u->rx_head];
        u->rx_err[u->rx_head] = 0;
        u->rx_head = (u->rx_head + 1) % FIFO_BYTES;
        u->rx_count--;
        rx_show_top(u);
    }
    rx_arm_timeout(u);
    return u->rbr;
}

static void rx_clear(struct uart *u)
{
    u->rx_head = u->rx_count = 0;
    u->timeout_pending = false;
    timer_del(&u->timeout);
    rx_show_top(u);
}

static void uart_poll_input(struct uart *u)
{
    if (u->chr && u->chr->poll_input)
        u->chr->poll_input(u->chr);
}

/* ---- transmitter ---------------------------------------------------------- */

static void tx_emptied(struct uart *u)
{
    u->lsr |= LSR_THRE | LSR_TEMT;
    u->thre_pending = true;
}

static void tx_clear(struct uart *u)
{
    u->tx_head = u->tx_count = 0;
    tx_emptied(u);
}

/* How many of @len bytes the back end takes now. */
static int send(struct uart *u, const uint8_t *buf, unsigned len)
{
    int n = u->chr ? u->chr->write(u->chr, buf, (int)len) : (int)len;

    return (int)outside_value(u->dev.machine, OUTSIDE_CHAR, OUTSIDE_TAKEN, (uint64_t)n);
}

/* Hand waiting bytes to the back end; it may take only some. */
static void tx_drain(struct uart *u)
{
    while (u->tx_count) {
        unsigned run = MIN(u->tx_count, FIFO_BYTES - u->tx_head);
        int n = send(u, &u->tx[u->tx_head], run);

        if (n <= 0)
            return; /* can_write will call again */
        n = MIN(n, (int)run);
        u->tx_head = (u->tx_head + n) % FIFO_BYTES;
        u->tx_count -= n;
    }
    tx_emptied(u);
}

static void uart_write_thr(struct uart *u, uint8_t byte)
{
    u->thre_pending = false;
    if (u->mcr & MCR_LOOP) {
        rx_push(u, byte, 0);
        rx_arm_timeout(u);
        tx_emptied(u);
        return;
    }
    if (u->tx_count >= fifo_depth(u)) {
        log_guest(LOG_UART, "port=%#x THR written while full", u->dev.port);
        return;
    }
    u->tx[(u->tx_head + u->tx_count++) % FIFO_BYTES] = byte;
    u->lsr &= ~(LSR_THRE | LSR_TEMT);
    tx_drain(u);
}

/* ---- modem lines ------------------------------------------------------------ */

/* Modem inputs as wired now: the outputs in loopback, else a ready peer. */
static uint8_t modem_inputs(const struct uart *u)
{
    uint8_t in = 0;

    if (!(u->mcr & MCR_LOOP))
        return MSR_CONNECTED;
    if (u->mcr & MCR_RTS)
        in |= MSR_CTS;
    if (u->mcr & MCR_DTR)
        in |= MSR_DSR;
    if (u->mcr & MCR_OUT1)
        in |= MSR_RI;
    if (u->mcr & MCR_OUT2)
        in |= MSR_DCD;
    return in;
}

static void uart_write_mcr(struct uart *u, uint8_t val)
{
    bool was_loop = u->mcr & MCR_LOOP;
    uint8_t old = u->msr, now, changed;

    u->mcr = val & MCR_KEPT;
    now = modem_inputs(u);
    changed = (old ^ now) & 0xf0;
    u->msr = now | (old & MSR_DELTAS) | ((changed >> 4) & ~MSR_TERI);
    if ((old & MSR_RI) && !(now & MSR_RI)) /* only the trailing edge counts */
        u->msr |= MSR_TERI;
    if (was_loop && !(u->mcr & MCR_LOOP))
        uart_poll_input(u);
}

/* ---- registers ---------------------------------------------------------------- */

static void uart_write_fcr(struct uart *u, uint8_t val)
{
    bool toggled = (val ^ u->fcr) & FCR_ENABLE;

    if (!(val & FCR_ENABLE))
        val = 0; /* the other bits are only programmed with bit 0 set */
    u->fcr = val & FCR_KEPT;
    if (toggled || (val & FCR_RX_RESET))
        rx_clear(u);
    if ((toggled || (val & FCR_TX_RESET)) && u->tx_count)
        tx_clear(u);
    uart_poll_input(u);
}

static void uart_write_ier(struct uart *u, uint8_t val)
{
    uint8_t rising = val & ~u->ier;

    u->ier = val & IER_KEPT;
    /* enabling the interrupt while the holding register is empty raises it */
    if ((rising & IER_THRE) && (u->lsr & LSR_THRE))
        u->thre_pending = true;
}

static void uart_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct uart *u = opaque;

    switch (off) {
    case UART_RBR_THR:
        if (u->lcr & LCR_DLAB)
            u->divisor = (u->divisor & 0xff00) | (uint8_t)val;
        else
            uart_write_thr(u, val);
        break;
    case UART_IER:
        if (u->lcr & LCR_DLAB)
            u->divisor = (u->divisor & 0x00ff) | (uint16_t)(val << 8);
        else
            uart_write_ier(u, val);
        break;
    case UART_IIR_FCR:
        uart_write_fcr(u, val);
        break;
    case UART_LCR:
        u->lcr = val;
        break;
    case UART_MCR:
        uart_write_mcr(u, val);
        break;
    case UART_SCR:
        u->scr = val;
        break;
    default: /* LSR, MSR: factory test only */
        log_guest(LOG_UART, "port=%#x write to read-only register %u",
                  u->dev.port, (unsigned)off);
        return;
    }
    uart_update_irq(u);
}

static uint8_t uart_read_rbr(struct uart *u)
{
    uint8_t byte = rx_pop(u);

    if (!(u->mcr & MCR_LOOP))
        uart_poll_input(u);
    return byte;
}

static uint8_t uart_read_iir(struct uart *u)
{
    uint8_t iir = uart_iir(u);

    if (iir == IIR_THRE)
        u->thre_pending = false;
    return iir | (fifo_on(u) ? IIR_FIFOS : 0);
}

static uint8_t uart_read_lsr(struct uart *u)
{
    uint8_t lsr = u->lsr;

    u->lsr &= ~LSR_ERRS;
    if (u->rx_count)
        u->rx_err[u->rx_head] = 0; /* seen */
    rx_show_top(u);
    return lsr;
}

static uint64_t uart_read(void *opaque, uint64_t off, unsigned size)
{
    struct uart *u = opaque;
    uint8_t val = 0xff;

    switch (off) {
    case UART_RBR_THR:
        val = u->lcr & LCR_DLAB ? u->divisor & 0xff : uart_read_rbr(u);
        break;
    case UART_IER:
        val = u->lcr & LCR_DLAB ? u->divisor >> 8 : u->ier;
        break;
    case UART_IIR_FCR:
        val = uart_read_iir(u);
        break;
    case UART_LCR:
        val = u->lcr;
        break;
    case UART_MCR:
        val = u->mcr;
        break;
    case UART_LSR:
        val = uart_read_lsr(u);
        break;
    case UART_MSR:
        val = u->msr;
        u->msr &= ~MSR_DELTAS;
        break;
    case UART_SCR:
        val = u->scr;
        break;
    }
    uart_update_irq(u);
    return val;
}

/* ---- front end of the character device ------------------------------------------ */

static int uart_can_receive(void *front)
{
    struct uart *u = front;

    if (u->mcr & MCR_LOOP) /* the line is disconnected inside the chip */
        return 0;
    return (int)fifo_depth(u) - u->rx_count - (int)outside_waiting(u->dev.machine, u);
}

static void bytes_arrive(void *target, const struct outside_event *ev)
{
    struct uart *u = target;

    for (size_t i = 0; i < ev->len; i++)
        rx_push(u, ((const uint8_t *)ev->data)[i], 0);
    rx_arm_timeout(u);
    uart_update_irq(u);
}

static void room_comes(void *target, const struct outside_event *ev)
{
    struct uart *u = target;

    if (!u->tx_count)
        return;
    tx_drain(u);
    uart_update_irq(u);
}

static void break_comes(void *target, const struct outside_event *ev)
{
    struct uart *u = target;

    if (u->mcr & MCR_LOOP)
        return;
    rx_push(u, 0, LSR_BI); /* a break is one zero character */
    rx_arm_timeout(u);
    uart_update_irq(u);
}

static void post(struct uart *u, struct outside_event ev,
                 void (*happen)(void *target, const struct outside_event *ev))
{
    ev.kind = OUTSIDE_CHAR;
    ev.source = u->chr->label;
    (void)outside_post(u->dev.machine, &ev, happen, u);
}

static void uart_receive(void *front, const uint8_t *buf, int len)
{
    post(front, (struct outside_event){ .arg = { OUTSIDE_BYTES }, .data = buf, .len = (size_t)len }, bytes_arrive);
}

static void uart_can_write(void *front)
{
    post(front, (struct outside_event){ .arg = { OUTSIDE_ROOM } }, room_comes);
}

static void uart_event(void *front, int event)
{
    if (event == CHR_EVENT_BREAK)
        post(front, (struct outside_event){ .arg = { OUTSIDE_EVENT, event } }, break_comes);
}

/* ---- the device --------------------------------------------------------------------- */

static void uart_reset(struct device *d)
{
    struct uart *u = (struct uart *)d;

    u->divisor = 12; /* 9600 baud; the chip leaves it undefined */
    u->ier = u->fcr = u->lcr = u->mcr = u->scr = u->rbr = 0;
    u->lsr = LSR_THRE | LSR_TEMT;
    u->msr = MSR_CONNECTED;
    rx_clear(u);
    memset(u->rx_err, 0, sizeof(u->rx_err));
    u->tx_head = u->tx_count = 0;
    u->thre_pending = false;
    uart_update_irq(u);
}

static int uart_init(struct device *d, struct err *e)
{
    struct uart *u = (struct uart *)d;

    timer_init(&u->timeout, &d->machine->timers, rx_timeout, u);
    uart_reset(d);
    if (u->chr) {
        u->chr->can_receive = uart_can_receive;
        u->chr->receive = uart_receive;
        u->chr->can_write = uart_can_write;
        u->chr->event = uart_event;
        u->chr->front = u;
    }
    return 0;
}

static void uart_destroy(struct device *d)
{
    struct uart *u = (struct uart *)d;

    timer_del(&u->timeout);
    outside_forget(d->machine, u);
    if (u->chr) {
        u->chr->can_receive = NULL;
        u->chr->receive = NULL;
        u->chr->can_write = NULL;
        u->chr->event = NULL;
        u->chr->front = NULL;
    }
}

static const struct dev_field uart_fields[] = {
    FIELD(U16, struct uart, divisor),
    FIELD(U8, struct uart, ier), FIELD(U8, struct uart, fcr),
    FIELD(U8, struct uart, lcr), FIELD(U8, struct uart, mcr),
    FIELD(U8, struct uart, lsr), FIELD(U8, struct uart, msr),
    FIELD(U8, struct uart, scr), FIELD(U8, struct uart, rbr),
    FIELD(BYTES, struct uart, rx), FIELD(BYTES, struct uart, rx_err),
    FIELD(U8, struct uart, rx_head), FIELD(U8, struct uart, rx_count),
    FIELD(BYTES, struct uart, tx),
    FIELD(U8, struct uart, tx_head), FIELD(U8, struct uart, tx_count),
    FIELD(BOOL, struct uart, thre_pending), FIELD(BOOL, struct uart, timeout_pending),
    FIELD_END
};

const struct device_type uart16550_type = {
    .name = "isa-serial", .desc = "16550A serial port",
    .size = sizeof(struct uart),
    .init = uart_init, .reset = uart_reset, .destroy = uart_destroy,
    .fields = uart_fields,
    .io = { .len = 8, .ops = { .read = uart_read, .write = uart_write,
                               .min_bytes = 1, .max_bytes = 1 } },
};

void uart16550_setup(struct device *d, const void *arg)
{
    ((struct uart *)d)->chr = (struct chardev *)arg;
}

int uart16550_add(struct machine *m, unsigned n, struct chardev *chr, struct err *e)
{
    static const uint16_t ports[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const uint8_t irqs[4] = { 4, 3, 4, 3 };

    if (!chr)
        return 0;
    if (n >= ARRAY_SIZE(ports))
        return err_set(e, -EINVAL, "serial port %u: a PC has four", n + 1);
    if (!machine_add_device(m, &uart16550_type, ports[n], machine_irq(m, irqs[n]),
                            uart16550_setup, chr, e))
        return -ENODEV;
    return 0;
}
