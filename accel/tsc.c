/*
 * tsc.c - the host counter that the guests' time-stamp counter follows
 *
 * On x86-64 this is the host's own TSC, read without a system call; its rate
 * is measured once. Elsewhere, and where the host's TSC does not tick at a
 * constant rate, it is the monotonic clock in ns.
 */
#include <time.h>
#include "accel/bt-icount.h"
#include "hw/outside.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define MEASURE_NS 2000000
#define COUNTED_HZ 1000000000ull

static int64_t raw_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

#if defined(__x86_64__)

static bool invariant(void)
{
    uint32_t a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & BIT(8));
}

/* Frequency from CPUID leaf 15h, 0 when it does not say. SDM vol. 2A, CPUID. */
static uint64_t enumerated_hz(void)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid_count(0x15, 0, &a, &b, &c, &d) || !a || !b || !c)
        return 0;
    return (uint64_t)c * b / a;
}

/* Clock and counter at one moment: the tightest of a few tries. */
static void sample(int64_t *ns, uint64_t *tsc)
{
    uint64_t best = ~0ull;

    for (int i = 0; i < 8; i++) {
        uint64_t before = __builtin_ia32_rdtsc();
        int64_t now = raw_ns();
        uint64_t after = __builtin_ia32_rdtsc();

        if (after - before < best) {
            best = after - before;
            *ns = now;
            *tsc = before + best / 2;
        }
    }
}

static uint64_t measured_hz(void)
{
    int64_t ns0, ns1;
    uint64_t tsc0, tsc1;

    sample(&ns0, &tsc0);
    while (raw_ns() < ns0 + MEASURE_NS)
        ;
    sample(&ns1, &tsc1);
    return (uint64_t)((unsigned __int128)(tsc1 - tsc0) * 1000000000u / (uint64_t)(ns1 - ns0));
}

uint64_t accel_tsc_hz(bool *fixed)
{
    uint64_t hz;

    *fixed = invariant();
    if (!*fixed)
        return 1000000000;
    hz = enumerated_hz();
    return hz ? hz : measured_hz();
}

uint64_t accel_host_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

#else

uint64_t accel_tsc_hz(bool *fixed)
{
    *fixed = false;
    return 1000000000;
}

uint64_t accel_host_tsc(void)
{
    return (uint64_t)raw_ns();
}

#endif

/* ---- the guest's ------------------------------------------------------------------ */

/* The host's counter in guest ticks. */
static uint64_t host_counter(const struct accel *a)
{
    uint64_t t = a->tsc_fixed ? accel_host_tsc() : (uint64_t)host_monotonic_ns();

    t = outside_value(a->m, OUTSIDE_TIME, OUTSIDE_TSC, t);
    return a->tsc_mul ? (uint64_t)((unsigned __int128)t * a->tsc_mul >> 32) : t;
}

void accel_tsc_init(struct accel *a)
{
    uint64_t host_hz = accel_tsc_hz(&a->tsc_fixed), want = a->model.tsc_hz;

    if (a->opt.icount.on && !want)
        want = COUNTED_HZ;           /* nothing of this host */
    a->model.tsc_hz = want ? want : host_hz;
    if (want && want != host_hz)
        a->tsc_mul = (uint64_t)(((unsigned __int128)want << 32) / host_hz);
}

uint64_t accel_tsc(struct accel *a)
{
    if (unlikely(a->opt.icount.on))
        return bt_icount_tsc(a->bt) - a->tsc_base;
    return a->tsc_running ? host_counter(a) - a->tsc_base : a->tsc_base;
}

/* A counted TSC stands still by itself. */
void accel_tsc_pause(struct accel *a)
{
    uint64_t now = accel_tsc(a);

    if (a->opt.icount.on)
        return;
    a->tsc_running = false;
    a->tsc_base = now;
}

void accel_tsc_resume(struct accel *a)
{
    if (a->tsc_running || a->opt.icount.on)
        return;
    a->tsc_base = host_counter(a) - a->tsc_base;
    a->tsc_running = true;
}

void accel_tsc_reset(struct accel *a)
{
    a->tsc_running = false;
    a->tsc_base = a->opt.icount.on ? bt_icount_tsc(a->bt) : 0;
}
