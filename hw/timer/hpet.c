/*
 * hpet.c - high precision event timers: 64-bit counter at 100 MHz, 3 timers
 *
 * Registers at 0xfed00000, 4 or 8 bytes wide. Timers go to I/O APIC pins 20-23,
 * to memory (FSB), or, with legacy replacement, timer 0 to IRQ 0 and timer 1 to
 * IRQ 8 in place of the 8254 and the RTC.
 *
 * Source: Intel IA-PC HPET Specification 1.0a.
 */
#include "hw/dma/iommu.h"
#include "hw/intc/intc.h"
#include "hw/timer/timer.h"

enum { N_TIMERS = 3, HPET_MMIO_BYTES = 0x400 };
enum {
    HPET_CAP = 0x000, HPET_CONFIG = 0x010, HPET_STATUS = 0x020,
    HPET_COUNTER = 0x0f0, HPET_TIMER0 = 0x100, TIMER_STRIDE = 0x20,
    TN_CONFIG = 0x00, TN_COMPARATOR = 0x08, TN_FSB = 0x10,
};

#define NS_PER_COUNT 10
#define CAP_VALUE (10000000ull << 32 | 0x8086ull << 16 | 1 << 15 /* legacy */ | \
                   1 << 13 /* 64 bit */ | (N_TIMERS - 1) << 8 | 1 /* revision */)
#define CONFIG_ENABLE 1u
#define CONFIG_LEGACY 2u

#define TN_LEVEL     BIT(1)
#define TN_ENABLE    BIT(2)
#define TN_PERIODIC  BIT(3)
#define TN_PER_CAP   BIT(4)
#define TN_64_CAP    BIT(5)
#define TN_VAL_SET   BIT(6)
#define TN_32BIT     BIT(8)
#define TN_ROUTE_POS 9
#define TN_FSB_EN    BIT(14)
#define TN_FSB_CAP   BIT(15)
#define TN_ROUTES    (0x00f00000ull << 32) /* pins 20-23 */
#define TN_WRITABLE  0x7f4eull
#define TN_FIXED     (TN_ROUTES | TN_FSB_CAP | TN_64_CAP | TN_PER_CAP)

#define MIN_PERIOD    1000             /* counts: 10 us, see timer_fire() */
#define MAX_LATE      10000000         /* counts: 0.1 s */
#define MAX_AHEAD     (INT64_MAX / 4 / NS_PER_COUNT) /* beyond: not armed */

struct hpet_timer {
    struct timer timer;
    struct hpet *hpet;
    uint64_t config, cmp, period, fsb;
    int64_t due_ns;      /* when cmp is reached; valid while the timer is queued */
    uint8_t level;       /* of the wire, level-triggered mode */
};

struct hpet {
    struct device dev;
    struct mem_region region;
    struct hpet_timer t[N_TIMERS];
    uint64_t config, status;
    uint64_t counter;    /* value while halted */
    int64_t start_ns;    /* running: virtual time at which it was 0 */
};

/* ---- counting ------------------------------------------------------------------ */

static int64_t now_ns(const struct hpet *h)
{
    return clock_now_ns(&h->dev.machine->clock);
}

static bool running(const struct hpet *h)
{
    return h->config & CONFIG_ENABLE;
}

/* The counter wraps at 64 bits, so it is kept as value at start plus time. */
static uint64_t count_at(const struct hpet *h, int64_t ns)
{
    return h->counter + (uint64_t)(ns - h->start_ns) / NS_PER_COUNT;
}

static uint64_t count_now(const struct hpet *h)
{
    return running(h) ? count_at(h, now_ns(h)) : h->counter;
}

static uint64_t timer_mask(const struct hpet_timer *t)
{
    return t->config & TN_32BIT ? 0xffffffffull : ~0ull;
}

static bool periodic(const struct hpet_timer *t)
{
    return t->config & TN_PERIODIC;
}

/* ---- interrupts ------------------------------------------------------------------ */

static unsigned timer_index(const struct hpet_timer *t)
{
    return t - t->hpet->t;
}

static bool legacy_routed(const struct hpet_timer *t)
{
    return (t->hpet->config & CONFIG_LEGACY) && timer_index(t) < 2;
}

static void wire_set(struct hpet_timer *t, int level)
{
    struct machine *m = t->hpet->dev.machine;
    unsigned pin = bits(t->config, TN_ROUTE_POS, 5);

    if (legacy_routed(t))
        irq_set(machine_irq(m, timer_index(t) ? 8 : 0), level);
    else if (TN_ROUTES >> 32 & BIT(pin))
        ioapic_set_irq(m->ioapic, pin, level);
}

static void level_set(struct hpet_timer *t, bool level)
{
    if (t->level != level) {
        t->level = level;
        wire_set(t, level);
    }
}

static void timer_interrupt(struct hpet_timer *t)
{
    struct hpet *h = t->hpet;

    if (t->config & TN_LEVEL) /* the status bit does not need the enable */
        h->status |= BIT(timer_index(t));
    if (!(t->config & TN_ENABLE))
        return;
    log_ev(LOG_HPET, "fire timer=%u cmp=%#llx", timer_index(t), (unsigned long long)t->cmp);
    if ((t->config & TN_FSB_EN) && !legacy_routed(t)) {
        bus_message(h->dev.machine, RID_HPET, t->fsb >> 32, t->fsb);
    } else if (t->config & TN_LEVEL) {
        level_set(t, true);
    } else {
        wire_set(t, 1);
        wire_set(t, 0);
    }
}

/* ---- comparators ---------------------------------------------------------------------- */

/* Whether anybody would notice that the comparator matched. */
static bool observed(const struct hpet_timer *t)
{
    return t->config & (TN_ENABLE | TN_LEVEL);
}

/* Arm for when the counter reaches cmp; @from: the count to look from. */
static void timer_arm(struct hpet_timer *t, uint64_t from)
{
    struct hpet *h = t->hpet;
    uint64_t ahead = (t->cmp - from) & timer_mask(t);
    uint64_t due = from - h->counter + ahead; /* counts since start_ns */

    if (!running(h) || !observed(t) || ahead > MAX_AHEAD || due > MAX_AHEAD)
        timer_del(&t->timer);
    else
        timer_mod(&t->timer, t->due_ns = h->start_ns + (int64_t)due * NS_PER_COUNT);
}

/* A period ends: the comparator goes on by whole periods. A guest's tiny
 * period is served every 10 us, a late host's lost time is skipped. */
static void timer_advance(struct hpet_timer *t, uint64_t now)
{
    uint64_t mask = timer_mask(t), late = (now - t->cmp) & mask, k = 1;

    if (t->period < MIN_PERIOD)
        k = (late + MIN_PERIOD) / t->period + 1;
    else if (late > t->period + MAX_LATE)
        k = late / t->period;
    t->cmp = (t->cmp + k * t->period) & mask;
}

static void timer_fire(void *opaque)
{
    struct hpet_timer *t = opaque;
    uint64_t due = count_at(t->hpet, t->due_ns), now = count_now(t->hpet);

    timer_interrupt(t);
    if (periodic(t) && t->period) {
        timer_advance(t, now);
        timer_arm(t, due);
        if (t->timer.queued && t->due_ns <= now_ns(t->hpet))
            machine_tick_late(t->hpet->dev.machine, &t->timer, t->due_ns,
                              now_ns(t->hpet) + (int64_t)MIN(t->period, MAX_LATE) * NS_PER_COUNT);
    } else {
        timer_arm(t, due + 1); /* again when the counter has wrapped */
    }
}

/* Whole periods that went by unobserved, while no host timer ran. */
static void timer_catch_up(struct hpet_timer *t)
{
    uint64_t mask = timer_mask(t), late = (count_now(t->hpet) - t->cmp) & mask;

    if (running(t->hpet) && !observed(t) && periodic(t) && t->period && late <= mask / 2)
        t->cmp = (t->cmp + (late / t->period + 1) * t->period) & mask;
}

static void rearm(struct hpet_timer *t)
{
    timer_arm(t, count_now(t->hpet));
}

/* ---- registers --------------------------------------------------------------------------- */

static void set_legacy(struct hpet *h, bool on)
{
    struct device *pit = machine_find_device(h->dev.machine, "i8254");
    struct device *rtc = machine_find_device(h->dev.machine, "mc146818");

    log_ev(LOG_HPET, "legacy on=%d", on);
    if (pit)
        i8254_gate_irq(pit, !on);
    if (rtc)
        rtc_gate_irq(rtc, !on);
}

static void config_write(struct hpet *h, uint64_t v)
{
    uint64_t old = h->config;

    v &= CONFIG_ENABLE | CONFIG_LEGACY;
    if ((old & ~v) & CONFIG_ENABLE)
        h->counter = count_now(h);
    if ((old ^ v) & CONFIG_LEGACY) /* wires move: take them down first */
        for (unsigned i = 0; i < N_TIMERS; i++)
            level_set(&h->t[i], false);
    h->config = v;
    if ((v & ~old) & CONFIG_ENABLE)
        h->start_ns = now_ns(h);
    if ((old ^ v) & CONFIG_LEGACY)
        set_legacy(h, v & CONFIG_LEGACY);
    for (unsigned i = 0; i < N_TIMERS; i++)
        rearm(&h->t[i]);
}

static void counter_write(struct hpet *h, uint64_t v)
{
    if (running(h))
        log_guest(LOG_HPET, "counter written while running");
    h->counter = v;
    h->start_ns = now_ns(h);
    for (unsigned i = 0; i < N_TIMERS; i++)
        rearm(&h->t[i]);
}

static void status_write(struct hpet *h, uint64_t v)
{
    h->status &= ~v;
    for (unsigned i = 0; i < N_TIMERS; i++)
        if (v & BIT(i))
            level_set(&h->t[i], false);
}

static void tn_config_write(struct hpet_timer *t, uint64_t v)
{
    timer_catch_up(t);
    level_set(t, false); /* on the pin it was routed to */
    t->config = TN_FIXED | (v & TN_WRITABLE);
    t->cmp &= timer_mask(t);
    t->period &= timer_mask(t);
    if ((t->config & (TN_LEVEL | TN_ENABLE)) == (TN_LEVEL | TN_ENABLE) &&
        !(t->config & TN_FSB_EN) && (t->hpet->status & BIT(timer_index(t))))
        level_set(t, true);
    rearm(t);
}

/* Periodic: without VAL_SET only the period changes, with it both do. */
static void comparator_write(struct hpet_timer *t, uint64_t v)
{
    v &= timer_mask(t);
    if (!periodic(t) || (t->config & TN_VAL_SET))
        t->cmp = v;
    if (periodic(t))
        t->period = v;
    t->config &= ~TN_VAL_SET;
    rearm(t);
}

static uint64_t reg64(const struct hpet *h, uint64_t off)
{
    const struct hpet_timer *t;

    switch (off) {
    case HPET_CAP:     return CAP_VALUE;
    case HPET_CONFIG:  return h->config;
    case HPET_STATUS:  return h->status;
    case HPET_COUNTER: return count_now(h);
    }
    if (off < HPET_TIMER0 || off >= HPET_TIMER0 + N_TIMERS * TIMER_STRIDE)
        return 0;
    t = &h->t[(off - HPET_TIMER0) / TIMER_STRIDE];
    switch (off % TIMER_STRIDE) {
    case TN_CONFIG:     return t->config & ~TN_VAL_SET;
    case TN_COMPARATOR: return t->cmp;
    case TN_FSB:        return t->fsb;
    }
    return 0;
}

static void reg64_write(struct hpet *h, uint64_t off, uint64_t v)
{
    struct hpet_timer *t;

    log_ev(LOG_HPET, "write off=%#llx val=%#llx", (unsigned long long)off,
           (unsigned long long)v);
    switch (off) {
    case HPET_CONFIG:  config_write(h, v); return;
    case HPET_STATUS:  status_write(h, v); return;
    case HPET_COUNTER: counter_write(h, v); return;
    }
    if (off < HPET_TIMER0 || off >= HPET_TIMER0 + N_TIMERS * TIMER_STRIDE)
        return;
    t = &h->t[(off - HPET_TIMER0) / TIMER_STRIDE];
    switch (off % TIMER_STRIDE) {
    case TN_CONFIG:     tn_config_write(t, v); return;
    case TN_COMPARATOR: comparator_write(t, v); return;
    case TN_FSB:        t->fsb = v; return;
    }
}

static uint64_t hpet_read(void *op, uint64_t off, unsigned size)
{
    uint64_t v = reg64(op, off & ~7ull);

    return size == 8 ? v : v >> (off & 4) * 8 & 0xffffffff;
}

/* What a half does not name keeps its value; status clears only what is written. */
static void hpet_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct hpet *h = op;
    uint64_t reg = off & ~7ull, old = reg == HPET_STATUS ? 0 : reg64(h, reg);
    bool tn = reg >= HPET_TIMER0 && reg < HPET_TIMER0 + N_TIMERS * TIMER_STRIDE;

    if (size == 8) {
        reg64_write(h, reg, val);
        return;
    }
    if (tn && reg % TIMER_STRIDE == TN_COMPARATOR) {
        struct hpet_timer *t = &h->t[(reg - HPET_TIMER0) / TIMER_STRIDE];
        /* halves of a period are put together from the period */
        if (periodic(t) && !(t->config & TN_VAL_SET))
            old = t->period;
    }
    if (off & 4)
        val = (old & 0xffffffff) | val << 32;
    else
        val = (old & ~0xffffffffull) | (val & 0xffffffff);
    reg64_write(h, reg, val);
}

static const struct io_ops hpet_ops = { hpet_read, hpet_write, 4, 8 };

/* ---- life ------------------------------------------------------------------------------------ */

static void hpet_reset(struct device *d)
{
    struct hpet *h = container_of(d, struct hpet, dev);

    if (h->config & CONFIG_LEGACY)
        set_legacy(h, false);
    for (unsigned i = 0; i < N_TIMERS; i++) {
        struct hpet_timer *t = &h->t[i];

        level_set(t, false);
        timer_del(&t->timer);
        t->config = TN_FIXED;
        t->cmp = ~0ull;
        t->period = t->fsb = 0;
    }
    h->config = h->status = h->counter = 0;
}

static int hpet_init(struct device *d, struct err *e)
{
    struct hpet *h = container_of(d, struct hpet, dev);

    for (unsigned i = 0; i < N_TIMERS; i++) {
        h->t[i].hpet = h;
        timer_init(&h->t[i].timer, &d->machine->timers, timer_fire, &h->t[i]);
        h->t[i].timer.prompt = true;
    }
    h->region = (struct mem_region){
        .name = "hpet", .base = HPET_BASE, .len = HPET_MMIO_BYTES,
        .kind = MEM_MMIO, .prio = 2, .enabled = true, .ops = &hpet_ops, .opaque = h,
    };
    mem_add(&d->machine->mem, &h->region);
    hpet_reset(d);
    return 0;
}

static void hpet_destroy(struct device *d)
{
    struct hpet *h = container_of(d, struct hpet, dev);

    for (unsigned i = 0; i < N_TIMERS; i++)
        timer_del(&h->t[i].timer);
    mem_remove(&d->machine->mem, &h->region);
}

#define HPET_TIMER_FIELDS(i)                   \
    FIELD(U64, struct hpet, t[i].config),      \
    FIELD(U64, struct hpet, t[i].cmp),         \
    FIELD(U64, struct hpet, t[i].period),      \
    FIELD(U64, struct hpet, t[i].fsb),         \
    FIELD(U8, struct hpet, t[i].level)

static const struct dev_field hpet_fields[] = {
    HPET_TIMER_FIELDS(0),
    HPET_TIMER_FIELDS(1),
    HPET_TIMER_FIELDS(2),
    FIELD(U64, struct hpet, config),
    FIELD(U64, struct hpet, status),
    FIELD(U64, struct hpet, counter),
    FIELD(U64, struct hpet, start_ns),
    FIELD_END,
};

const struct device_type hpet_type = {
    .name = "hpet", .desc = "high precision event timers",
    .size = sizeof(struct hpet), .init = hpet_init, .reset = hpet_reset,
    .destroy = hpet_destroy, .fields = hpet_fields,
};
