/*
 * i8254.c - 8254 interval timer and the system control port B beside it
 *
 *   0x40-0x42  counters 0-2   0x43  control word   0x61  gate 2, speaker
 *
 * Nothing counts: each counter keeps the tick at which its count was loaded,
 * and everything else follows from the clock. Counter 0 alone has a timer, for
 * the rising edges of its output.
 *
 * Source: Intel 8254 data sheet; PIIX3 data sheet for port 0x61.
 *
 * Departures: the clock that the chip needs to load a count is not waited for;
 * in mode 3 a new count is taken up at the end of the whole cycle.
 */
#include "hw/timer/timer.h"

enum {
    PORT_CONTROL = 3,
    CW_BCD = 0x01, CW_RW_LATCH = 0, CW_READ_BACK = 3,
    RB_COUNTER0 = 0x02, RB_NO_STATUS = 0x10, RB_NO_COUNT = 0x20,
    RW_LSB = 1, RW_MSB = 2, RW_BOTH = 3,
    STATUS_NULL = 0x40, STATUS_OUT = 0x80,
    PORTB_GATE2 = 0x01, PORTB_SPEAKER = 0x02, PORTB_WRITABLE = 0x0f,
    PORTB_REFRESH = 0x10, PORTB_OUT2 = 0x20,
};

#define REFRESH_NS 15085       /* half period of the refresh toggle */
#define MIN_EDGE_TICKS 12      /* 10 us: closer edges fall together in the 8259 */
#define MAX_LATE_TICKS (PIT_HZ / 10) /* a later host drops edges */

struct pit_counter {
    int64_t start;        /* tick at which the current count began */
    int64_t held;         /* ticks counted when the gate stopped it */
    uint32_t n;           /* count in use, 1..65536 (10000 in BCD) */
    uint32_t next_n;      /* taken up at the end of the cycle; 0: none */
    uint16_t latch;       /* latched count */
    uint8_t status;       /* latched status */
    uint8_t latch_bytes;  /* bytes of it still to be read */
    uint8_t status_latched;
    uint8_t read_msb, write_msb; /* the second byte of two is next */
    uint8_t write_lsb;
    uint8_t rw, mode, bcd, gate;
    uint8_t loaded;       /* has a count since the control word */
    uint8_t running;      /* counting, or was triggered (modes 1, 5) */
};

struct pit {
    struct device dev;
    struct pit_counter c[3];
    struct timer timer;
    int64_t edge_tick;    /* next rising edge of counter 0; 0: none */
    uint8_t port_b;
    uint8_t irq_cut;
    uint8_t irq_level;
};

/* ---- time ------------------------------------------------------------------ */

static int64_t now_tick(const struct pit *p)
{
    return (unsigned __int128)clock_now_ns(&p->dev.machine->clock) * PIT_HZ / 1000000000u;
}

/* First ns at which now_tick() gives @tick. */
static int64_t tick_ns(int64_t tick)
{
    return ((unsigned __int128)tick * 1000000000u + PIT_HZ - 1) / PIT_HZ;
}

static bool periodic(const struct pit_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Ticks since the count was loaded, the gate's pauses left out. */
static int64_t elapsed(const struct pit_counter *c, int64_t now)
{
    return c->running ? now - c->start : c->held;
}

/* Take up a new count when the cycle it waited for is over. */
static void sync(struct pit_counter *c, int64_t now)
{
    if (!c->next_n || !c->running || !periodic(c) || now - c->start < c->n)
        return;
    c->start += c->n;
    c->n = c->next_n;
    c->next_n = 0;
}

/* ---- what the pins and the counting element show ----------------------------- */

static bool counter_out(const struct pit_counter *c, int64_t now)
{
    int64_t d = elapsed(c, now);

    if (!c->loaded)
        return c->mode != 0;
    switch (c->mode) {
    case 0:
        return d >= c->n;
    case 1:
        return !c->running || d >= c->n;
    case 2:
        return !c->running || d % c->n != c->n - 1;
    case 3:
        return !c->running || d % c->n < (c->n + 1) / 2;
    case 4:
        return d != c->n;
    default:
        return !c->running || d != c->n;
    }
}

static uint16_t to_bcd(uint32_t v)
{
    return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t v)
{
    return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12) * 1000;
}

static uint16_t counter_value(const struct pit_counter *c, int64_t now)
{
    int64_t d = elapsed(c, now), span = c->bcd ? 10000 : 65536, v;

    if (c->mode == 3) { /* counts by twos, from an even number, twice a cycle */
        int64_t half = (c->n + 1) / 2, x = d % c->n;
        v = (c->n & ~1u) - 2 * (x < half ? x : x - half);
        if (v <= 0)
            v = 2;
    } else if (c->mode == 2) {
        v = c->n - d % c->n;
    } else {
        v = (c->n - d) % span; /* wraps and goes on */
        if (v < 0)
            v += span;
    }
    return c->bcd ? to_bcd(v % span) : v;
}

static uint8_t counter_status(const struct pit_counter *c, int64_t now)
{
    return (counter_out(c, now) ? STATUS_OUT : 0) |
           (!c->loaded || c->next_n || c->write_msb ? STATUS_NULL : 0) |
           c->rw << 4 | c->mode << 1 | c->bcd;
}

/* ---- counter 0's interrupt ------------------------------------------------------- */

static void irq_level(struct pit *p, bool level)
{
    if (level == p->irq_level)
        return;
    p->irq_level = level;
    if (!p->irq_cut)
        irq_set(p->dev.irq, level);
}

/* Tick of the first rising edge after @now; 0: there will be none. */
static int64_t next_edge(const struct pit_counter *c, int64_t now)
{
    if (!c->loaded || !c->running)
        return 0;
    if (periodic(c)) {
        if (c->next_n || now < c->start)
            return c->start + c->n;
        return c->start + ((now - c->start) / c->n + 1) * c->n;
    }
    if (c->mode == 0 || c->mode == 1)
        return now - c->start < c->n ? c->start + c->n : 0;
    return now - c->start <= c->n ? c->start + c->n + 1 : 0; /* strobes */
}

/* After any change of counter 0: its line, and when it will rise. */
static void irq_update(struct pit *p)
{
    struct pit_counter *c = &p->c[0];
    int64_t now = now_tick(p);

    irq_level(p, counter_out(c, now));
    p->edge_tick = next_edge(c, now);
    if (p->edge_tick)
        timer_mod(&p->timer, tick_ns(p->edge_tick));
    else
        timer_del(&p->timer);
}

/* The edge due at p->edge_tick, and the one after it even if already past. */
static void pit_edge(void *opaque)
{
    struct pit *p = opaque;
    struct pit_counter *c = &p->c[0];
    int64_t now = now_tick(p), due = p->edge_tick;

    sync(c, due);
    irq_level(p, 0); /* the low phase before it is not timed */
    irq_level(p, 1);
    log_ev(LOG_PIT, "edge tick=%lld late=%lld", (long long)due, (long long)(now - due));
    p->edge_tick = periodic(c) ? next_edge(c, due) : 0;
    if (!p->edge_tick)
        return;
    if (c->n < MIN_EDGE_TICKS)
        p->edge_tick = next_edge(c, now + MIN_EDGE_TICKS);
    else if (now - p->edge_tick > MAX_LATE_TICKS)
        p->edge_tick = next_edge(c, now - 1);
    if (p->edge_tick <= now)
        machine_tick_late(p->dev.machine, &p->timer, tick_ns(p->edge_tick), tick_ns(now + c->n));
    else
        timer_mod(&p->timer, tick_ns(p->edge_tick));
}

/* ---- loading, gate ----------------------------------------------------------------- */

static uint32_t count_of(const struct pit_counter *c, uint16_t raw)
{
    uint32_t n = c->bcd ? from_bcd(raw) : raw;

    if (!n)
        n = c->bcd ? 10000 : 65536;
    return n == 1 && periodic(c) ? 2 : n; /* 1 is illegal there */
}

static void load_count(struct pit *p, struct pit_counter *c, uint16_t raw)
{
    int64_t now = now_tick(p);
    uint32_t n = count_of(c, raw);

    sync(c, now);
    log_ev(LOG_PIT, "load counter=%d mode=%u n=%u", (int)(c - p->c), c->mode, n);
    if (c->loaded && c->running && periodic(c)) {
        c->next_n = n;
        /* fold whole cycles away, so that the end of this one is start + n */
        c->start += (now - c->start) / c->n * c->n;
        return;
    }
    if (c->mode == 1 || c->mode == 5) { /* waits for the gate */
        if (c->loaded && c->running)
            c->next_n = n;
        else
            c->n = n;
        c->loaded = 1;
        return;
    }
    c->n = n;
    c->next_n = 0;
    c->loaded = 1;
    c->start = now;
    c->held = 0;
    c->running = c->gate;
}

static void gate_rise(struct pit_counter *c, int64_t now)
{
    if (!c->loaded)
        return;
    switch (c->mode) {
    case 0:
    case 4:
        c->start = now - c->held;
        break;
    default: /* trigger: begin anew */
        if (c->next_n)
            c->n = c->next_n;
        c->next_n = 0;
        c->start = now;
    }
    c->running = 1;
}

static void set_gate(struct pit *p, struct pit_counter *c, bool gate)
{
    int64_t now = now_tick(p);

    if (gate == c->gate)
        return;
    sync(c, now);
    c->gate = gate;
    if (gate) {
        gate_rise(c, now);
    } else if (c->mode != 1 && c->mode != 5) {
        c->held = elapsed(c, now);
        if (periodic(c))
            c->held %= c->n ? c->n : 1;
        c->running = 0;
    }
}

/* ---- ports --------------------------------------------------------------------------- */

static void latch_count(struct pit *p, struct pit_counter *c)
{
    if (c->latch_bytes) /* the first latch stands until it is read */
        return;
    sync(c, now_tick(p));
    c->latch = counter_value(c, now_tick(p));
    c->latch_bytes = c->rw == RW_BOTH ? 2 : 1;
}

static void read_back(struct pit *p, uint8_t v)
{
    for (unsigned i = 0; i < 3; i++) {
        struct pit_counter *c = &p->c[i];

        if (!(v & RB_COUNTER0 << i))
            continue;
        if (!(v & RB_NO_COUNT))
            latch_count(p, c);
        if (!(v & RB_NO_STATUS) && !c->status_latched) {
            sync(c, now_tick(p));
            c->status = counter_status(c, now_tick(p));
            c->status_latched = 1;
        }
    }
}

static void control_write(struct pit *p, uint8_t v)
{
    unsigned sel = v >> 6, rw = v >> 4 & 3, mode = v >> 1 & 7;
    struct pit_counter *c;

    if (sel == CW_READ_BACK) {
        read_back(p, v);
        return;
    }
    c = &p->c[sel];
    if (rw == CW_RW_LATCH) {
        latch_count(p, c);
        return;
    }
    c->held = c->n - counter_value(c, now_tick(p)); /* stands where it is */
    c->held = MAX(c->held, 0);
    c->rw = rw;
    c->mode = mode > 5 ? mode - 4 : mode; /* 6, 7: bit 2 is not decoded */
    c->bcd = v & CW_BCD;
    c->loaded = c->running = 0;
    c->next_n = 0;
    c->read_msb = c->write_msb = 0;
    c->latch_bytes = c->status_latched = 0;
    log_ev(LOG_PIT, "control counter=%u rw=%u mode=%u bcd=%u", sel, rw, c->mode, c->bcd);
    if (sel == 0)
        irq_update(p);
}

static void counter_write(struct pit *p, struct pit_counter *c, uint8_t v)
{
    if (c->rw == RW_LSB) {
        load_count(p, c, v);
    } else if (c->rw == RW_MSB) {
        load_count(p, c, v << 8);
    } else if (!c->write_msb) {
        c->write_lsb = v;
        c->write_msb = 1;
        if (c->mode == 0) { /* the first byte stops counting, out goes low */
            c->held = elapsed(c, now_tick(p));
            c->loaded = c->running = 0;
        }
    } else {
        c->write_msb = 0;
        load_count(p, c, v << 8 | c->write_lsb);
    }
    if (c == &p->c[0])
        irq_update(p);
}

static uint8_t counter_read(struct pit *p, struct pit_counter *c)
{
    uint16_t v;

    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    if (c->latch_bytes) {
        bool msb = c->rw == RW_MSB || (c->rw == RW_BOTH && c->latch_bytes == 1);
        c->latch_bytes--;
        return c->latch >> (msb ? 8 : 0);
    }
    sync(c, now_tick(p));
    v = counter_value(c, now_tick(p));
    if (c->rw == RW_BOTH) {
        c->read_msb = !c->read_msb;
        return c->read_msb ? v : v >> 8;
    }
    return c->rw == RW_MSB ? v >> 8 : v;
}

static uint64_t pit_read(void *op, uint64_t off, unsigned size)
{
    struct pit *p = op;

    if (off >= PORT_CONTROL)
        return 0xff; /* write-only */
    return counter_read(p, &p->c[off]);
}

static void pit_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct pit *p = op;

    if (off >= PORT_CONTROL)
        control_write(p, val);
    else
        counter_write(p, &p->c[off], val);
}

static uint64_t port_b_read(void *op, uint64_t off, unsigned size)
{
    struct pit *p = op;
    int64_t now = now_tick(p);
    uint8_t v = p->port_b;

    sync(&p->c[2], now);
    if (clock_now_ns(&p->dev.machine->clock) / REFRESH_NS & 1)
        v |= PORTB_REFRESH;
    if (counter_out(&p->c[2], now))
        v |= PORTB_OUT2;
    return v;
}

static void port_b_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct pit *p = op;

    p->port_b = val & PORTB_WRITABLE;
    set_gate(p, &p->c[2], val & PORTB_GATE2);
}

bool i8254_speaker_level(struct device *d)
{
    struct pit *p = container_of(d, struct pit, dev);

    sync(&p->c[2], now_tick(p));
    return (p->port_b & PORTB_SPEAKER) && counter_out(&p->c[2], now_tick(p));
}

void i8254_gate_irq(struct device *d, bool on)
{
    struct pit *p = container_of(d, struct pit, dev);

    if (p->irq_cut == !on)
        return;
    p->irq_cut = !on;
    irq_set(d->irq, on ? p->irq_level : 0);
}

/* ---- life -------------------------------------------------------------------------------- */

static void pit_reset(struct device *d)
{
    struct pit *p = container_of(d, struct pit, dev);

    timer_del(&p->timer);
    for (unsigned i = 0; i < 3; i++)
        p->c[i] = (struct pit_counter){
            .n = 65536, .rw = RW_BOTH, .mode = 3, .gate = i < 2,
        };
    p->edge_tick = 0;
    p->port_b = p->irq_cut = 0;
    p->irq_level = 1; /* mode 3, no count: high; not an edge */
}

static const struct io_ops port_b_ops = { port_b_read, port_b_write, 1, 1 };

static int pit_init(struct device *d, struct err *e)
{
    struct pit *p = container_of(d, struct pit, dev);

    timer_init(&p->timer, &d->machine->timers, pit_edge, p);
    p->timer.prompt = true;
    port_map(d->machine, "port-b", 0x61, 1, &port_b_ops, p);
    pit_reset(d);
    return 0;
}

static void pit_destroy(struct device *d)
{
    timer_del(&container_of(d, struct pit, dev)->timer);
}

static const struct dev_field pit_fields[] = {
    FIELD(BYTES, struct pit, c),
    FIELD(U64, struct pit, edge_tick),
    FIELD(U8, struct pit, port_b),
    FIELD(U8, struct pit, irq_cut),
    FIELD(U8, struct pit, irq_level),
    FIELD_END,
};

const struct device_type i8254_type = {
    .name = "i8254", .desc = "8254 interval timer and port 0x61",
    .size = sizeof(struct pit), .init = pit_init, .reset = pit_reset,
    .destroy = pit_destroy, .fields = pit_fields,
    .io = { .len = 4, .ops = { pit_read, pit_write, 1, 1 } },
};
