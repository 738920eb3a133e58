/*
 * lapic-timer.c - local APIC timer: one-shot, periodic, TSC deadline
 *
 * The bus clock is 1 GHz, so one count is @divide nanoseconds of virtual time.
 * Nothing counts: the current count follows from when the timer runs out.
 *
 * Source: Intel SDM vol. 3A, "APIC Timer".
 */
#include "hw/intc/lapic-int.h"

/* No OS works with shorter periods; a guest that sets one must not keep the
 * host busy. Ticks closer than this fall together, as they would in IRR. */
#define MIN_PERIOD_NS 10000
/* How far the host may be late before ticks are dropped, not caught up. */
#define MAX_LATE_NS 100000000
/* A kernel's tick sets each TSC deadline as far behind the last as that was behind the one before, but for
 * the time between two readings of our clock. */
#define STEP_JITTER_NS 2000

static int64_t now_ns(const struct lapic *a)
{
    return clock_now_ns(&a->dev.machine->clock);
}

static unsigned divide_shift(const struct lapic *a)
{
    unsigned code = (a->timer_divide & 3) | (a->timer_divide >> 1 & 4);

    return (code + 1) & 7; /* 000: /2 ... 110: /128, 111: /1 */
}

static uint32_t timer_mode(const struct lapic *a)
{
    return a->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

static int64_t period_ns(const struct lapic *a)
{
    return (int64_t)a->timer_init << divide_shift(a);
}

/* The next tick at or after @t; a->timer_next_ns is one. */
static int64_t tick_from(const struct lapic *a, int64_t t)
{
    int64_t p = period_ns(a), d = t - a->timer_next_ns;

    return d <= 0 ? a->timer_next_ns : a->timer_next_ns + (d + p - 1) / p * p;
}

/*
 * Make the host timer come no later than timer_next_ns. An earlier one that is
 * queued is left: it finds nothing due and comes back here, which is cheaper
 * than moving it for each new deadline.
 */
static void arm(struct lapic *a)
{
    if (!a->timer_next_ns || (a->lvt[LVT_TIMER] & LVT_MASKED))
        return;
    if (!a->timer.queued || a->timer.deadline_ns > a->timer_next_ns)
        timer_mod(&a->timer, a->timer_next_ns);
}

/* A new TSC deadline: is it one of a row? */
static void note_deadline(struct lapic *a)
{
    int64_t step = a->timer_next_ns - a->due_ns, change = step - a->step_ns;

    a->steady = step >= MIN_PERIOD_NS && change >= -STEP_JITTER_NS && change <= STEP_JITTER_NS;
    a->step_ns = step;
    a->due_ns = a->timer_next_ns;
}

/*
 * Queue the host timer where the next deadline of a row will be: when the guest sets it, nobody has to
 * wake the main thread, which takes a vCPU longer than the rest of its tick.
 */
static void expect_next(struct lapic *a)
{
    if (a->steady)
        timer_mod(&a->timer, a->due_ns + a->step_ns - STEP_JITTER_NS);
    a->steady = false;
}

static void stop(struct lapic *a)
{
    a->timer_next_ns = 0;
    a->tsc_deadline = 0;
}

/** lapic_timer_reset() - stopped, count 0, divide by 2 */
void lapic_timer_reset(struct lapic *a)
{
    stop(a);
    timer_del(&a->timer);
    a->timer_init = a->timer_divide = 0;
}

/* A tick that nobody saw because the timer was masked. */
static void skip_masked_ticks(struct lapic *a)
{
    int64_t now = now_ns(a);

    if (!a->timer_next_ns || a->timer_next_ns > now)
        return;
    if (timer_mode(a) == LVT_TIMER_PERIODIC && a->timer_init)
        a->timer_next_ns = tick_from(a, now + 1);
    else
        stop(a);
}

/** lapic_timer_expired() - host timer callback */
void lapic_timer_expired(void *opaque)
{
    struct lapic *a = opaque;
    int64_t now = now_ns(a), due = a->timer_next_ns;

    if (!due || (a->lvt[LVT_TIMER] & LVT_MASKED))
        return;
    if (due > now) {
        arm(a);
        return;
    }
    if (timer_mode(a) == LVT_TIMER_PERIODIC && a->timer_init) {
        int64_t next = due + period_ns(a);

        if (period_ns(a) < MIN_PERIOD_NS)
            next = tick_from(a, now + MIN_PERIOD_NS);
        else if (now - next > MAX_LATE_NS)
            next = tick_from(a, now);
        a->timer_next_ns = next;
    } else {
        stop(a);
        if (timer_mode(a) == LVT_TIMER_DEADLINE)
            expect_next(a);
    }
    lapic_lvt_event(a, LVT_TIMER);
    arm(a);
}

/** lapic_timer_current() - current-count register */
uint32_t lapic_timer_current(const struct lapic *a)
{
    int64_t next = a->timer_next_ns, now = now_ns(a);
    unsigned sh = divide_shift(a);

    if (!next || timer_mode(a) == LVT_TIMER_DEADLINE)
        return 0;
    if (next <= now) {
        if (timer_mode(a) != LVT_TIMER_PERIODIC || !a->timer_init)
            return 0;
        next = tick_from(a, now + 1);
    }
    return (next - now + (1ll << sh) - 1) >> sh;
}

/** lapic_timer_set_initial() - initial-count register: (re)starts; 0 stops */
void lapic_timer_set_initial(struct lapic *a, uint32_t val)
{
    if (timer_mode(a) == LVT_TIMER_DEADLINE)
        return;
    a->timer_init = val;
    a->timer_next_ns = val ? now_ns(a) + period_ns(a) : 0;
    arm(a);
}

/** lapic_timer_set_divide() - divide register: the current count goes on */
void lapic_timer_set_divide(struct lapic *a, uint32_t val)
{
    uint32_t left = lapic_timer_current(a);

    a->timer_divide = val & 0xb;
    if (!a->timer_next_ns || timer_mode(a) == LVT_TIMER_DEADLINE)
        return;
    a->timer_next_ns = left ? now_ns(a) + ((int64_t)left << divide_shift(a)) : 0;
    arm(a);
}

/** lapic_timer_set_lvt() - LVT timer register; @val has only legal bits */
void lapic_timer_set_lvt(struct lapic *a, uint32_t val)
{
    uint32_t old = a->lvt[LVT_TIMER];

    if (old & LVT_MASKED)
        skip_masked_ticks(a);
    a->lvt[LVT_TIMER] = val;
    /* to or from TSC deadline: what ran is void */
    if ((old ^ val) & LVT_TIMER_DEADLINE)
        stop(a);
    arm(a);
}

void lapic_timer_restore(struct lapic *a, uint32_t init, uint32_t current, uint32_t divide)
{
    a->timer_init = init;
    a->timer_divide = divide & 0xb;
    a->timer_next_ns = 0;
    if (current && timer_mode(a) != LVT_TIMER_DEADLINE)
        a->timer_next_ns = now_ns(a) + ((int64_t)current << divide_shift(a));
    arm(a);
}

/** lapic_get_tsc_deadline() - IA32_TSC_DEADLINE; 0 when none is pending */
uint64_t lapic_get_tsc_deadline(struct lapic *a)
{
    uint64_t v;

    machine_lock(a->dev.machine);
    if (a->lvt[LVT_TIMER] & LVT_MASKED)
        skip_masked_ticks(a);
    v = a->tsc_deadline;
    machine_unlock(a->dev.machine);
    return v;
}

/**
 * lapic_set_tsc_deadline() - IA32_TSC_DEADLINE
 * @tsc: 0 disarms; ignored unless the LVT selects the TSC-deadline mode
 * @now_tsc: guest TSC now
 * @tsc_hz: guest TSC frequency, not 0
 * Takes the lock.
 */
void lapic_set_tsc_deadline(struct lapic *a, uint64_t tsc, uint64_t now_tsc, uint64_t tsc_hz)
{
    machine_lock(a->dev.machine);
    if (lapic_enabled(a) && timer_mode(a) == LVT_TIMER_DEADLINE) {
        stop(a);
        a->tsc_deadline = tsc;
        if (tsc) {
            uint64_t d = tsc > now_tsc ? tsc - now_tsc : 0;
            /* rounded up: the guest must not find its TSC short of it */
            unsigned __int128 ns = ((unsigned __int128)d * 1000000000u + tsc_hz - 1) / tsc_hz;
            int64_t now = now_ns(a);

            a->timer_next_ns = ns < (uint64_t)(INT64_MAX - now) ? now + (int64_t)ns : INT64_MAX;
            note_deadline(a);
            if (a->timer_next_ns <= now) {
                a->timer_next_ns = MAX(now, 1);
                lapic_timer_expired(a);
            }
        }
        arm(a);
    }
    machine_unlock(a->dev.machine);
}
