/*
 * mc146818.c - real-time clock with 128 bytes of CMOS memory
 *
 *   0x70  index (bits 6..0) and NMI mask (bit 7), write-only    0x71  data
 *
 * The clock is a number of ns since 1970 at virtual time 0; the registers are
 * made from it when they are read. While SET or a stopped divider freezes the
 * clock they are plain bytes. Flags that no interrupt is enabled for are worked
 * out when register C is read, so that an idle guest costs no timer.
 *
 * Source: Motorola MC146818A data sheet; PIIX3 data sheet for port 0x70.
 *
 * Departure: the update itself takes no time; UIP announces it for 244 us.
 */
#include <stdlib.h>
#include <time.h>
#include "hw/acpi/pm.h"
#include "hw/outside.h"
#include "hw/timer/timer.h"

enum {
    RTC_SEC, RTC_SEC_ALARM, RTC_MIN, RTC_MIN_ALARM, RTC_HOUR, RTC_HOUR_ALARM,
    RTC_WDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
    RTC_CENTURY = 0x32, CMOS_BYTES = 128,
};
enum {
    A_UIP = 0x80, A_DV = 0x70, A_DV_RUN = 0x20, A_RS = 0x0f,
    B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08,
    B_BINARY = 0x04, B_24H = 0x02,
    C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10,
    D_VRT = 0x80,
    HOUR_PM = 0x80, ALARM_ANY = 0xc0, INDEX_NMI = 0x80,
};

#define NS_PER_S     1000000000ll
#define UIP_NS       244000
#define S_PER_DAY    86400
#define BASE_TICK_HZ 32768

struct rtc {
    struct device dev;
    struct timer second_timer, periodic_timer;
    uint8_t cmos[CMOS_BYTES];
    uint8_t index;        /* port 0x70 as written */
    uint8_t irq_cut, irq_level;
    int64_t epoch_ns;     /* clock = virtual now + this, while it runs */
    int64_t start_ns;     /* epoch_ns before the guest set the clock */
    int64_t told_s;       /* by how much it has, as programs know */
    int64_t seen_s;       /* updates up to this second are in UF and AF */
    int64_t seen_tick;    /* 32768 Hz ticks accounted for in PF */
    uint8_t wday_offset;  /* guest's day of the week minus the calendar's */
};

/* ---- calendar ------------------------------------------------------------------ */

struct date { int64_t year; unsigned month, day, wday; }; /* 1-12, 1-31, 0 Sunday */

/* Days since 1970-01-01 of a Gregorian date; years count from March here. */
static int64_t days_from_date(int64_t y, unsigned month, unsigned day)
{
    unsigned mp = (month + 9) % 12; /* March is 0 */
    int64_t era, yoe;

    y -= month <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 +
           (153 * mp + 2) / 5 + day - 1 - 719468;
}

static struct date date_from_days(int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    struct date d = { .day = doy - (153 * mp + 2) / 5 + 1,
                      .month = mp < 10 ? mp + 3 : mp - 9 };

    d.year = yoe + era * 400 + (d.month <= 2);
    d.wday = ((days + 4) % 7 + 7) % 7;
    return d;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- register formats ------------------------------------------------------------- */

static uint8_t encode(const struct rtc *r, unsigned v)
{
    return r->cmos[RTC_B] & B_BINARY ? v : (v / 10 % 10) << 4 | v % 10;
}

static unsigned decode(const struct rtc *r, uint8_t v)
{
    return r->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const struct rtc *r, unsigned h)
{
    if (r->cmos[RTC_B] & B_24H)
        return encode(r, h);
    return encode(r, h % 12 ? h % 12 : 12) | (h >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *r, uint8_t v)
{
    if (r->cmos[RTC_B] & B_24H)
        return decode(r, v);
    return decode(r, v & ~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* ---- the clock ---------------------------------------------------------------------- */

static int64_t virtual_ns(const struct rtc *r)
{
    return clock_now_ns(&r->dev.machine->clock);
}

static int64_t clock_ns(const struct rtc *r)
{
    return virtual_ns(r) + r->epoch_ns;
}

static bool divider_runs(const struct rtc *r)
{
    return (r->cmos[RTC_A] & A_DV) == A_DV_RUN;
}

static bool clock_runs(const struct rtc *r)
{
    return divider_runs(r) && !(r->cmos[RTC_B] & B_SET);
}

/* Fill the time registers; call only while the clock runs. */
static void registers_from_clock(struct rtc *r)
{
    int64_t s = floor_div(clock_ns(r), NS_PER_S), days = floor_div(s, S_PER_DAY);
    unsigned sod = s - days * S_PER_DAY;
    struct date d = date_from_days(days);

    r->cmos[RTC_SEC] = encode(r, sod % 60);
    r->cmos[RTC_MIN] = encode(r, sod / 60 % 60);
    r->cmos[RTC_HOUR] = encode_hour(r, sod / 3600);
    r->cmos[RTC_WDAY] = encode(r, (d.wday + r->wday_offset) % 7 + 1);
    r->cmos[RTC_DAY] = encode(r, d.day);
    r->cmos[RTC_MONTH] = encode(r, d.month);
    r->cmos[RTC_YEAR] = encode(r, ((d.year % 100) + 100) % 100);
    r->cmos[RTC_CENTURY] = encode(r, d.year / 100);
}

/* Programs keep it for the next -rtc base=: by how much the guest's clock differs from ours. */
static void tell_change(struct rtc *r)
{
    int64_t s = floor_div((int64_t)((uint64_t)r->epoch_ns - (uint64_t)r->start_ns + NS_PER_S / 2), NS_PER_S);
    char *path;

    if (s == r->told_s)
        return;
    r->told_s = s;
    path = device_path(r->dev.machine, &r->dev, "");
    machine_event(r->dev.machine, "RTC_CHANGE", "{\"offset\": %lld, \"qom-path\": \"%s\"}", (long long)s, path);
    free(path);
}

/*
 * The clock goes on from the registers, @phase_ns into their second. Guests can
 * write any bytes; everything is brought into range, and a day past the month's
 * end runs on into the next, as a counter would at the next midnight.
 */
static void clock_from_registers(struct rtc *r, int64_t phase_ns)
{
    unsigned month = decode(r, r->cmos[RTC_MONTH]);
    int64_t year = decode(r, r->cmos[RTC_YEAR]) + 100ll * decode(r, r->cmos[RTC_CENTURY]);
    int64_t days, s;

    month = month < 1 ? 1 : month > 12 ? 12 : month;
    days = days_from_date(year, month, MAX(decode(r, r->cmos[RTC_DAY]), 1u));
    days = MIN(days, 106000); /* int64_t ns end in the year 2262 */
    s = days * S_PER_DAY + decode_hour(r, r->cmos[RTC_HOUR]) * 3600ll +
        decode(r, r->cmos[RTC_MIN]) * 60 + decode(r, r->cmos[RTC_SEC]);
    s = MAX(s, -9000000000ll); /* ... and began in 1677 */
    r->epoch_ns = s * NS_PER_S + phase_ns - virtual_ns(r);
    r->wday_offset = (decode(r, r->cmos[RTC_WDAY]) + 6 + 7 -
                      date_from_days(floor_div(s, S_PER_DAY)).wday) % 7;
    r->seen_s = s;
    tell_change(r);
    log_ev(LOG_RTC, "set epoch_s=%lld", (long long)s);
}

/* ---- flags and interrupt ---------------------------------------------------------------- */

static bool alarm_byte(uint8_t alarm, uint8_t now)
{
    return (alarm & ALARM_ANY) == ALARM_ANY || alarm == now;
}

static bool alarm_matches(const struct rtc *r, int64_t s)
{
    unsigned sod = s - floor_div(s, S_PER_DAY) * S_PER_DAY;

    return alarm_byte(r->cmos[RTC_SEC_ALARM], encode(r, sod % 60)) &&
           alarm_byte(r->cmos[RTC_MIN_ALARM], encode(r, sod / 60 % 60)) &&
           alarm_byte(r->cmos[RTC_HOUR_ALARM], encode_hour(r, sod / 3600));
}

/* Account for the updates since the last look; a day holds every alarm. */
static void count_seconds(struct rtc *r)
{
    int64_t now, from;

    if (!clock_runs(r))
        return;
    now = floor_div(clock_ns(r), NS_PER_S);
    if (now <= r->seen_s)
        return;
    r->cmos[RTC_C] |= C_UF;
    from = MAX(r->seen_s + 1, now - S_PER_DAY + 1);
    for (int64_t s = from; s <= now && !(r->cmos[RTC_C] & C_AF); s++)
        if (alarm_matches(r, s))
            r->cmos[RTC_C] |= C_AF;
    r->seen_s = now;
}

/* Ticks of 32768 Hz in a period; 0: none. Rates 1 and 2 repeat 8 and 9. */
static int64_t period_ticks(const struct rtc *r)
{
    unsigned rs = r->cmos[RTC_A] & A_RS;

    if (!rs || !divider_runs(r))
        return 0;
    return 1 << ((rs < 3 ? rs + 7 : rs) - 1);
}

static int64_t base_tick(const struct rtc *r)
{
    return (__int128)virtual_ns(r) * BASE_TICK_HZ / NS_PER_S;
}

static void count_periods(struct rtc *r)
{
    int64_t p = period_ticks(r), now = base_tick(r);

    if (p && now / p > r->seen_tick / p)
        r->cmos[RTC_C] |= C_PF;
    r->seen_tick = now;
}

static void update_irq(struct rtc *r)
{
    bool on = r->cmos[RTC_C] & r->cmos[RTC_B] & (C_PF | C_AF | C_UF);

    if (on)
        r->cmos[RTC_C] |= C_IRQF;
    else
        r->cmos[RTC_C] &= ~C_IRQF;
    if (on == r->irq_level)
        return;
    r->irq_level = on;
    log_ev(LOG_RTC, "irq level=%d c=%#x", on, r->cmos[RTC_C]);
    if (on)
        pm_rtc_event(r->dev.machine);    /* of the output itself: it also wakes where a HPET has its line */
    if (!r->irq_cut)
        irq_set(r->dev.irq, on);
}

/* Timers run only for flags that interrupt. */
static void arm(struct rtc *r)
{
    int64_t p = period_ticks(r);

    if (clock_runs(r) && (r->cmos[RTC_B] & (B_AIE | B_UIE)))
        timer_mod(&r->second_timer, (r->seen_s + 1) * NS_PER_S - r->epoch_ns);
    else
        timer_del(&r->second_timer);
    if (p && (r->cmos[RTC_B] & B_PIE)) {
        int64_t tick = (r->seen_tick / p + 1) * p;
        timer_mod(&r->periodic_timer,
                  ((__int128)tick * NS_PER_S + BASE_TICK_HZ - 1) / BASE_TICK_HZ);
    } else {
        timer_del(&r->periodic_timer);
    }
}

static void rtc_tick(void *opaque)
{
    struct rtc *r = opaque;

    count_seconds(r);
    count_periods(r);
    update_irq(r);
    arm(r);
}

/* ---- ports ------------------------------------------------------------------------------- */

static bool is_time(unsigned reg)
{
    return reg == RTC_SEC || reg == RTC_MIN || reg == RTC_HOUR ||
           (reg >= RTC_WDAY && reg <= RTC_YEAR) || reg == RTC_CENTURY;
}

static uint8_t read_a(const struct rtc *r)
{
    int64_t ns = clock_ns(r);
    bool uip = clock_runs(r) &&
               (floor_div(ns, NS_PER_S) + 1) * NS_PER_S - ns <= UIP_NS;

    return (r->cmos[RTC_A] & ~A_UIP) | (uip ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *r)
{
    uint8_t v;

    count_seconds(r);
    count_periods(r);
    update_irq(r);
    v = r->cmos[RTC_C];
    r->cmos[RTC_C] = 0;
    update_irq(r);
    arm(r);
    return v;
}

static uint8_t reg_read(struct rtc *r, unsigned reg)
{
    if (is_time(reg) && clock_runs(r))
        registers_from_clock(r);
    switch (reg) {
    case RTC_A: return read_a(r);
    case RTC_C: return read_c(r);
    case RTC_D: return D_VRT;
    }
    return r->cmos[reg];
}

/* A or B: the clock may stop, start, or change its format. */
static void control_write(struct rtc *r, unsigned reg, uint8_t v)
{
    bool ran = clock_runs(r), div_ran = divider_runs(r);
    int64_t phase;

    count_seconds(r);
    count_periods(r);
    phase = clock_ns(r) - floor_div(clock_ns(r), NS_PER_S) * NS_PER_S;
    if (ran)
        registers_from_clock(r);
    if (reg == RTC_A)
        v &= ~A_UIP;
    else if (v & B_SET)
        v &= ~B_UIE; /* SET clears UIE */
    r->cmos[reg] = v;
    if (!ran && clock_runs(r))
        /* the first update comes half a second after the divider starts */
        clock_from_registers(r, div_ran ? phase : NS_PER_S / 2);
    update_irq(r);
    arm(r);
}

static void reg_write(struct rtc *r, unsigned reg, uint8_t v)
{
    log_ev(LOG_RTC, "write reg=%#x val=%#x", reg, v);
    switch (reg) {
    case RTC_A:
    case RTC_B:
        control_write(r, reg, v);
        return;
    case RTC_C:
    case RTC_D:
        return; /* read-only */
    }
    if (is_time(reg) && clock_runs(r)) {
        int64_t ns = clock_ns(r);

        registers_from_clock(r);
        r->cmos[reg] = v;
        clock_from_registers(r, ns - floor_div(ns, NS_PER_S) * NS_PER_S);
        arm(r);
        return;
    }
    if (reg <= RTC_HOUR_ALARM)
        count_seconds(r); /* with the old alarm */
    r->cmos[reg] = v;
}

static uint64_t rtc_read(void *op, uint64_t off, unsigned size)
{
    struct rtc *r = op;

    return off ? reg_read(r, r->index & (CMOS_BYTES - 1)) : 0xff;
}

static void rtc_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct rtc *r = op;

    if (off)
        reg_write(r, r->index & (CMOS_BYTES - 1), val);
    else
        r->index = val;
}

/* ---- for the board --------------------------------------------------------------------------- */

int64_t rtc_time_ns(struct device *d)
{
    return clock_ns(container_of(d, struct rtc, dev));
}

void rtc_set_cmos(struct device *d, uint8_t reg, uint8_t val)
{
    struct rtc *r = container_of(d, struct rtc, dev);

    if (reg > RTC_D && reg < CMOS_BYTES && reg != RTC_CENTURY)
        r->cmos[reg] = val;
}

uint8_t rtc_get_cmos(struct device *d, uint8_t reg)
{
    struct rtc *r = container_of(d, struct rtc, dev);

    return reg < CMOS_BYTES ? r->cmos[reg] : 0xff;
}

void rtc_gate_irq(struct device *d, bool on)
{
    struct rtc *r = container_of(d, struct rtc, dev);

    if (r->irq_cut == !on)
        return;
    r->irq_cut = !on;
    irq_set(d->irq, on ? r->irq_level : 0);
}

bool rtc_nmi_masked(struct device *d)
{
    return container_of(d, struct rtc, dev)->index & INDEX_NMI;
}

/* The battery keeps time and memory; RESET clears enables and flags. */
static void rtc_reset(struct device *d)
{
    struct rtc *r = container_of(d, struct rtc, dev);

    r->index = 0;
    r->irq_cut = 0;
    r->cmos[RTC_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->cmos[RTC_C] = 0;
    update_irq(r);
    arm(r);
}

/* What the clock shows at first. */
static int64_t start_ns(struct machine *m)
{
    struct timespec ts;
    struct tm tm;

    if (m->cfg.rtc_base_set)
        return m->cfg.rtc_base_s * NS_PER_S;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (m->cfg.rtc_localtime && localtime_r(&ts.tv_sec, &tm))
        ts.tv_sec += tm.tm_gmtoff;
    return (int64_t)outside_value(m, OUTSIDE_TIME, OUTSIDE_DATE, (uint64_t)(ts.tv_sec * NS_PER_S + ts.tv_nsec));
}

static int rtc_init(struct device *d, struct err *e)
{
    struct rtc *r = container_of(d, struct rtc, dev);
    int64_t now_ns;

    timer_init(&r->second_timer, &d->machine->timers, rtc_tick, r);
    timer_init(&r->periodic_timer, &d->machine->timers, rtc_tick, r);
    now_ns = start_ns(d->machine);
    r->start_ns = r->epoch_ns = now_ns - virtual_ns(r);
    r->cmos[RTC_A] = A_DV_RUN | 6; /* 1024 Hz */
    r->cmos[RTC_B] = B_24H;
    r->cmos[RTC_D] = D_VRT;
    r->seen_s = now_ns / NS_PER_S;
    r->seen_tick = base_tick(r);
    registers_from_clock(r);
    return 0;
}

static void rtc_destroy(struct device *d)
{
    struct rtc *r = container_of(d, struct rtc, dev);

    timer_del(&r->second_timer);
    timer_del(&r->periodic_timer);
}

static const struct dev_field rtc_fields[] = {
    FIELD(BYTES, struct rtc, cmos),
    FIELD(U8, struct rtc, index),
    FIELD(U8, struct rtc, irq_cut),
    FIELD(U8, struct rtc, irq_level),
    FIELD(U64, struct rtc, epoch_ns),
    FIELD(U64, struct rtc, seen_s),
    FIELD(U64, struct rtc, seen_tick),
    FIELD(U8, struct rtc, wday_offset),
    FIELD_END,
};

const struct device_type mc146818_type = {
    .name = "mc146818", .desc = "MC146818A real-time clock",
    .size = sizeof(struct rtc), .init = rtc_init, .reset = rtc_reset,
    .destroy = rtc_destroy, .fields = rtc_fields,
    .io = { .len = 2, .ops = { rtc_read, rtc_write, 1, 1 } },
};
