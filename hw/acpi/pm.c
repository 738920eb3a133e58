/*
 * pm.c - ACPI fixed hardware
 *
 * No SMM: the SMI command port switches SCI_EN itself, which is all that an
 * SMI handler would do for the guest. The chips' SMI enables read as if firmware
 * had set them already, so that it does not try to install a handler.
 *
 * Sleep S3: the CPUs' clocks stop; power button or RTC alarm, when enabled,
 * reset everything but RAM, and the firmware, or whoever stands in for it,
 * goes on at the waking vector.
 * Source: ACPI 6.3, 4.8; Intel 82371AB datasheet, 290562, 7.2; ICH9 datasheet,
 * 316972, 13.8.3.
 */
#include "hw/acpi/pm.h"
#include "hw/outside.h"
#include "hw/timer/timer.h"

#define PM_TIMER_HZ   3579545
#define PM_TIMER_BITS 24
#define NS_PER_S      1000000000ll

enum { PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08 };
enum {
    PMSTS_TMROF = 1 << 0, PMSTS_GBL = 1 << 5, PMSTS_PWRBTN = 1 << 8,
    PMSTS_RTC = 1 << 10, PMSTS_RSM = 1 << 15,
    PM_EVENTS = PMSTS_TMROF | PMSTS_GBL | PMSTS_PWRBTN | PMSTS_RTC,
    PMCNTRL_SCI_EN = 1 << 0, PMCNTRL_SUS_EN = 1 << 13,
};
#define SUS_TYP(cntrl) ((cntrl) >> 10 & 7)
#define CMOS_SHUTDOWN  0x0f       /* how firmware knows a resume */
#define CMOS_RESUME    0xfe
#define APM_ACPI_ENABLE  0xf1     /* as the FADT says */
#define APM_ACPI_DISABLE 0xf0

/* ---- PM timer -------------------------------------------------------------------- */

/* Ticks since the clock's start; split so that no product overflows. */
static uint64_t pm_ticks(const struct pm *s)
{
    uint64_t ns = clock_now_ns(&s->m->clock);

    return ns / NS_PER_S * PM_TIMER_HZ + ns % NS_PER_S * PM_TIMER_HZ / NS_PER_S;
}

static int64_t ticks_to_ns(uint64_t t)
{
    return t / PM_TIMER_HZ * NS_PER_S +
           (t % PM_TIMER_HZ * NS_PER_S + PM_TIMER_HZ - 1) / PM_TIMER_HZ;
}

static void stop_clocks(struct machine *m, bool stop)
{
    for (unsigned i = 0; i < m->n_vcpus; i++) {
        if (stop)
            vcpu_intr_raise(m->vcpus[i], VCPU_INTR_STPCLK);
        else
            vcpu_intr_lower(m->vcpus[i], VCPU_INTR_STPCLK);
    }
}

static void end_sleep(struct pm *s)
{
    struct machine *m = s->m;

    if (!s->asleep)
        return;
    log_ev(LOG_PM, "pm wake status=%#x", s->pmsts);
    s->asleep = false;
    m->waking = true;
    machine_request_reset(m, CAUSE_WAKEUP);
}

static void pm_wake(struct pm *s)
{
    if (s->pmsts & s->pmen & (PMSTS_PWRBTN | PMSTS_RTC))
        end_sleep(s);
}

/* TMROF_STS is set whenever the top bit of the counter changes. */
static void pm_note_overflow(struct pm *s)
{
    int64_t wrap = pm_ticks(s) >> (PM_TIMER_BITS - 1);

    if (wrap != s->last_wrap)
        s->pmsts |= PMSTS_TMROF;
    s->last_wrap = wrap;
}

static bool gpe_pending(const struct pm *s)
{
    for (unsigned i = 0; i < s->gpe_half; i++)
        if (s->gpsts[i] & s->gpen[i])
            return true;
    return false;
}

void pm_update(struct pm *s)
{
    bool level;

    pm_note_overflow(s);
    level = (s->pmcntrl & PMCNTRL_SCI_EN) &&
            ((s->pmsts & s->pmen & PM_EVENTS) || gpe_pending(s));
    irq_set(s->sci, level);
    if ((s->pmen & PMSTS_TMROF) && !(s->pmsts & PMSTS_TMROF))
        timer_mod(&s->overflow, ticks_to_ns((uint64_t)(s->last_wrap + 1)
                                            << (PM_TIMER_BITS - 1)));
    else
        timer_del(&s->overflow);
    pm_wake(s);
}

static void pm_overflow(void *opaque)
{
    pm_update(opaque);
}

/* ---- registers ---------------------------------------------------------------------- */

/* The 16-bit part of GPE0_BLK at @off, or NULL. */
static uint8_t *gpe_reg(struct pm *s, unsigned off)
{
    unsigned n = (off & ~1u) - s->gpe_at;

    if (n < s->gpe_half)
        return s->gpsts + n;
    return n < 2u * s->gpe_half ? s->gpen + (n - s->gpe_half) : NULL;
}

static uint16_t pm_reg(struct pm *s, unsigned off)
{
    switch (off) {
    case PMSTS:
        pm_note_overflow(s);
        return s->pmsts;
    case PMEN:      return s->pmen;
    case PMCNTRL:   return s->pmcntrl;
    case PMTMR:     return pm_ticks(s) & 0xffff;
    case PMTMR + 2: return pm_ticks(s) >> 16 & 0xff;
    default:        return gpe_reg(s, off) ? ldl16(gpe_reg(s, off)) : 0;
    }
}

uint64_t pm_read(struct pm *s, uint64_t off, unsigned size)
{
    if (off == PMTMR && size == 4)       /* one sample, not two halves */
        return pm_ticks(s) & (BIT(PM_TIMER_BITS) - 1);
    if (size == 4)
        return pm_reg(s, off) | (uint32_t)pm_reg(s, off + 2) << 16;
    return pm_reg(s, off & ~1u) >> (off & 1) * 8 & size_mask(size);
}

static void pm_suspend(struct pm *s)
{
    struct device *rtc = machine_find_device(s->m, mc146818_type.name);

    if (rtc)
        rtc_set_cmos(rtc, CMOS_SHUTDOWN, CMOS_RESUME);
    s->asleep = true;
    stop_clocks(s->m, true);
    machine_event(s->m, "SUSPEND", NULL);
    pm_wake(s);
}

/* 0 means off and 1 suspend to RAM on both chips, though on an ICH they are S0 and S1, which is not
 * modelled: what is made for virtual machines writes them without looking at \_S5 and \_S3. */
enum { SUS_TYP_OFF = 0, SUS_TYP_RAM = 1 };

static void pm_sleep(struct pm *s)
{
    unsigned typ = SUS_TYP(s->pmcntrl);

    log_ev(LOG_PM, "pm sleep type=%u", typ);
    if (typ == s->typ_s4)
        machine_event(s->m, "SUSPEND_DISK", NULL);
    if (typ == s->typ_s4 || typ == s->typ_s5 || typ == SUS_TYP_OFF)
        machine_request_shutdown(s->m, CAUSE_GUEST_SHUTDOWN, 0);
    else if (typ == s->typ_s3 || typ == SUS_TYP_RAM)
        pm_suspend(s);
    else
        log_guest(LOG_PM, "pm unsupported sleep type=%u", typ);
}

static void gpe_write(struct pm *s, unsigned off, uint16_t val, uint16_t mask)
{
    uint8_t *r = gpe_reg(s, off);

    if (!r)
        return;
    if (off - s->gpe_at < s->gpe_half)
        stl16(r, ldl16(r) & ~(val & mask));
    else
        stl16(r, (ldl16(r) & ~mask) | (val & mask));
}

/* @mask: the bits of the 16-bit register that the access covers */
static void pm_write_reg(struct pm *s, unsigned off, uint16_t val, uint16_t mask)
{
    switch (off) {
    case PMSTS:
        pm_note_overflow(s);
        s->pmsts &= ~(val & mask & (PM_EVENTS | PMSTS_RSM));
        break;
    case PMEN:
        s->pmen = ((s->pmen & ~mask) | (val & mask)) & PM_EVENTS;
        break;
    case PMCNTRL:                         /* SUS_EN is write-only */
        s->pmcntrl = ((s->pmcntrl & ~mask) | (val & mask)) & 0x1c03;
        if (val & mask & PMCNTRL_SUS_EN)
            pm_sleep(s);
        break;
    default:
        gpe_write(s, off, val, mask);
    }
    pm_update(s);
}

void pm_write(struct pm *s, uint64_t off, uint64_t val, unsigned size)
{
    unsigned sh = (off & 1) * 8;

    log_ev(LOG_PM, "pm write off=%#llx val=%#llx size=%u", (unsigned long long)off,
           (unsigned long long)val, size);
    if (size == 1) {
        pm_write_reg(s, off & ~1u, val << sh, 0xff << sh);
        return;
    }
    pm_write_reg(s, off, val, 0xffff);
    if (size == 4)
        pm_write_reg(s, off + 2, val >> 16, 0xffff);
}

static void button_pressed(void *target, const struct outside_event *ev)
{
    struct pm *s = target;

    s->pmsts |= PMSTS_PWRBTN;
    pm_update(s);
}

void pm_power_button(struct machine *m)
{
    struct outside_event ev = { .kind = OUTSIDE_CONTROL, .arg = { OUTSIDE_POWER_BUTTON } };

    if (m->pm)
        (void)outside_post(m, &ev, button_pressed, m->pm);
}

static void woken(void *target, const struct outside_event *ev)
{
    end_sleep(target);
}

bool pm_wakeup(struct machine *m)
{
    struct outside_event ev = { .kind = OUTSIDE_CONTROL, .arg = { OUTSIDE_WAKEUP } };

    if (!m->pm || !m->pm->asleep)
        return false;
    (void)outside_post(m, &ev, woken, m->pm);
    return true;
}

void pm_gpe_event(struct machine *m, unsigned n)
{
    struct pm *s = m->pm;

    if (!s)
        return;
    assert(n < 8u * s->gpe_half);
    s->gpsts[n / 8] |= 1u << n % 8;
    pm_update(s);
}

void pm_rtc_event(struct machine *m)
{
    struct pm *s = m->pm;

    if (!s || !(s->pmen & PMSTS_RTC))
        return;
    s->pmsts |= PMSTS_RTC;
    pm_update(s);
}

/* ---- SMI command port ------------------------------------------------------------------ */

static uint64_t apm_read(void *opaque, uint64_t off, unsigned size)
{
    struct pm *s = opaque;

    return off ? s->apms : s->apmc;
}

static void apm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct pm *s = opaque;

    if (off) {
        s->apms = val;
        return;
    }
    s->apmc = val;
    if (val == APM_ACPI_ENABLE)
        s->pmcntrl |= PMCNTRL_SCI_EN;
    else if (val == APM_ACPI_DISABLE)
        s->pmcntrl &= ~PMCNTRL_SCI_EN;
    pm_update(s);
}

static const struct io_ops apm_ops = { apm_read, apm_write, 1, 1 };

/* ---- life ------------------------------------------------------------------------------- */

void pm_init(struct pm *s, struct machine *m)
{
    assert(s->gpe_half <= PM_GPE_MAX && s->gpe_half % 2 == 0 && s->gpe_at % 2 == 0);
    s->m = m;
    m->pm = s;
    timer_init(&s->overflow, &m->timers, pm_overflow, s);
    port_map(m, "apm", 0xb2, 2, &apm_ops, s);
}

void pm_reset(struct pm *s)
{
    s->pmsts = s->m->waking ? PMSTS_RSM : 0;
    s->pmen = s->pmcntrl = 0;
    memset(s->gpsts, 0, sizeof s->gpsts);
    memset(s->gpen, 0, sizeof s->gpen);
    s->asleep = false;
    stop_clocks(s->m, false);
    s->apmc = s->apms = 0;
    s->last_wrap = pm_ticks(s) >> (PM_TIMER_BITS - 1);
    pm_update(s);
}

void pm_free(struct pm *s)
{
    timer_del(&s->overflow);
    s->m->pm = NULL;
}
