/*
 * pm.c - 82371AB (PIIX4) function 3: ACPI power management and SMBus host
 *
 * No SMM: the SMI command port switches SCI_EN itself, which is all that an
 * SMI handler would do for the guest. DEVACTB reads as if firmware had enabled
 * APM SMIs already, so that it does not try to install a handler.
 *
 * Sleep S3: the CPUs' clocks stop; power button or RTC alarm, when enabled,
 * reset everything but RAM, and the firmware, or whoever stands in for it,
 * goes on at the waking vector.
 * Source: Intel 82371AB datasheet, 290562, chapters 7.1-7.3; ACPI 6.3, 4.8.
 */
#include "hw/pci/pci.h"
#include "hw/timer/timer.h"

#define PM_TIMER_HZ   3579545
#define PM_TIMER_BITS 24
#define NS_PER_S      1000000000ll
#define SCI_IRQ       9

enum { PMBA = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90, SMBHSTCFG = 0xd2 };
enum { PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08, GPSTS = 0x0c, GPEN = 0x0e };
enum {
    PMSTS_TMROF = 1 << 0, PMSTS_GBL = 1 << 5, PMSTS_PWRBTN = 1 << 8,
    PMSTS_RTC = 1 << 10, PMSTS_RSM = 1 << 15,
    PM_EVENTS = PMSTS_TMROF | PMSTS_GBL | PMSTS_PWRBTN | PMSTS_RTC,
    PMCNTRL_SCI_EN = 1 << 0, PMCNTRL_SUS_EN = 1 << 13,
};
#define SUS_TYP(cntrl) ((cntrl) >> 10 & 7)
#define SUS_TYP_S5     0          /* as \_S5 and \_S3 in dsdt.asl say */
#define SUS_TYP_S3     1
#define CMOS_SHUTDOWN  0x0f       /* how firmware knows a resume */
#define CMOS_RESUME    0xfe
#define APM_ACPI_ENABLE  0xf1     /* as the FADT says */
#define APM_ACPI_DISABLE 0xf0
#define PM_LEN    64
#define SMB_LEN   16
#define SMBHSTSTS_DEV_ERR 0x04

struct piix4_pm {
    struct pci_device pci;
    uint16_t pmsts, pmen, pmcntrl, gpsts, gpen;
    uint8_t apmc, apms;           /* ports 0xb2, 0xb3 */
    uint8_t smb[SMB_LEN];
    struct port_range *pm_ports, *smb_ports;
    uint16_t pm_at, smb_at;       /* 0: not decoded */
    int64_t last_wrap;            /* PM timer half-periods already noticed */
    struct timer overflow;
    bool asleep;
};

/* ---- PM timer -------------------------------------------------------------------- */

/* Ticks since the clock's start; split so that no product overflows. */
static uint64_t pm_ticks(const struct piix4_pm *s)
{
    uint64_t ns = clock_now_ns(&s->pci.dev.machine->clock);

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

static void pm_wake(struct piix4_pm *s)
{
    struct machine *m = s->pci.dev.machine;

    if (!s->asleep || !(s->pmsts & s->pmen & (PMSTS_PWRBTN | PMSTS_RTC)))
        return;
    log_ev(LOG_PM, "pm wake status=%#x", s->pmsts);
    s->asleep = false;
    m->waking = true;
    machine_request_reset(m, CAUSE_WAKEUP);
}

/* TMROF_STS is set whenever the top bit of the counter changes. */
static void pm_note_overflow(struct piix4_pm *s)
{
    int64_t wrap = pm_ticks(s) >> (PM_TIMER_BITS - 1);

    if (wrap != s->last_wrap)
        s->pmsts |= PMSTS_TMROF;
    s->last_wrap = wrap;
}

static void pm_update_sci(struct piix4_pm *s)
{
    bool level;

    pm_note_overflow(s);
    level = (s->pmcntrl & PMCNTRL_SCI_EN) &&
            ((s->pmsts & s->pmen & PM_EVENTS) || (s->gpsts & s->gpen));
    irq_set(machine_irq(s->pci.dev.machine, SCI_IRQ), level);
    if ((s->pmen & PMSTS_TMROF) && !(s->pmsts & PMSTS_TMROF))
        timer_mod(&s->overflow, ticks_to_ns((uint64_t)(s->last_wrap + 1)
                                            << (PM_TIMER_BITS - 1)));
    else
        timer_del(&s->overflow);
    pm_wake(s);
}

static void pm_overflow(void *opaque)
{
    pm_update_sci(opaque);
}

/* ---- registers ---------------------------------------------------------------------- */

static uint16_t pm_reg(struct piix4_pm *s, unsigned off)
{
    switch (off) {
    case PMSTS:
        pm_note_overflow(s);
        return s->pmsts;
    case PMEN:      return s->pmen;
    case PMCNTRL:   return s->pmcntrl;
    case PMTMR:     return pm_ticks(s) & 0xffff;
    case PMTMR + 2: return pm_ticks(s) >> 16 & 0xff;
    case GPSTS:     return s->gpsts;
    case GPEN:      return s->gpen;
    default:        return 0;
    }
}

static uint64_t pm_read(void *opaque, uint64_t off, unsigned size)
{
    struct piix4_pm *s = opaque;

    if (off == PMTMR && size == 4)       /* one sample, not two halves */
        return pm_ticks(s) & (BIT(PM_TIMER_BITS) - 1);
    if (size == 4)
        return pm_reg(s, off) | (uint32_t)pm_reg(s, off + 2) << 16;
    return pm_reg(s, off & ~1u) >> (off & 1) * 8 & size_mask(size);
}

static void pm_suspend(struct piix4_pm *s)
{
    struct device *rtc = machine_find_device(s->pci.dev.machine, mc146818_type.name);

    if (rtc)
        rtc_set_cmos(rtc, CMOS_SHUTDOWN, CMOS_RESUME);
    s->asleep = true;
    stop_clocks(s->pci.dev.machine, true);
    pm_wake(s);
}

static void pm_sleep(struct piix4_pm *s)
{
    log_ev(LOG_PM, "pm sleep type=%u", SUS_TYP(s->pmcntrl));
    if (SUS_TYP(s->pmcntrl) == SUS_TYP_S5)
        machine_request_shutdown(s->pci.dev.machine, CAUSE_GUEST_SHUTDOWN, 0);
    else if (SUS_TYP(s->pmcntrl) == SUS_TYP_S3)
        pm_suspend(s);
    else
        log_guest(LOG_PM, "pm unsupported sleep type=%u", SUS_TYP(s->pmcntrl));
}

/* @mask: the bits of the 16-bit register that the access covers */
static void pm_write_reg(struct piix4_pm *s, unsigned off, uint16_t val, uint16_t mask)
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
    case GPSTS:
        s->gpsts &= ~(val & mask);
        break;
    case GPEN:
        s->gpen = (s->gpen & ~mask) | (val & mask);
        break;
    default:
        return;
    }
    pm_update_sci(s);
}

static void pm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct piix4_pm *s = opaque;
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

static const struct io_ops pm_ops = { pm_read, pm_write, 1, 4 };

void pm_power_button(struct machine *m)
{
    struct piix4_pm *s = (struct piix4_pm *)machine_find_device(m, piix4_pm_type.name);

    if (!s)
        return;
    s->pmsts |= PMSTS_PWRBTN;
    pm_update_sci(s);
}

void pm_rtc_event(struct machine *m)
{
    struct piix4_pm *s = (struct piix4_pm *)machine_find_device(m, piix4_pm_type.name);

    if (!s || !(s->pmen & PMSTS_RTC))
        return;
    s->pmsts |= PMSTS_RTC;
    pm_update_sci(s);
}

/* ---- SMI command port ------------------------------------------------------------------ */

static uint64_t apm_read(void *opaque, uint64_t off, unsigned size)
{
    struct piix4_pm *s = opaque;

    return off ? s->apms : s->apmc;
}

static void apm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct piix4_pm *s = opaque;

    if (off) {
        s->apms = val;
        return;
    }
    s->apmc = val;
    if (val == APM_ACPI_ENABLE)
        s->pmcntrl |= PMCNTRL_SCI_EN;
    else if (val == APM_ACPI_DISABLE)
        s->pmcntrl &= ~PMCNTRL_SCI_EN;
    pm_update_sci(s);
}

static const struct io_ops apm_ops = { apm_read, apm_write, 1, 1 };

/* ---- SMBus host: an empty bus -------------------------------------------------------------- */

static uint64_t smb_read(void *opaque, uint64_t off, unsigned size)
{
    struct piix4_pm *s = opaque;

    return s->smb[off];
}

static void smb_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct piix4_pm *s = opaque;

    if (off == 0) {                       /* SMBHSTSTS: write 1 to clear */
        s->smb[0] &= ~val;
    } else {
        s->smb[off] = val;
        if (off == 2 && (val & 0x40)) {   /* SMBHSTCNT START: nobody answers */
            s->smb[2] &= ~0x40;
            s->smb[0] |= SMBHSTSTS_DEV_ERR;
        }
    }
}

static const struct io_ops smb_ops = { smb_read, smb_write, 1, 1 };

/* ---- configuration --------------------------------------------------------------------------- */

static void remap(struct piix4_pm *s, struct port_range **r, uint16_t *at, uint16_t want,
                  unsigned len, const char *name, const struct io_ops *ops)
{
    struct machine *m = s->pci.dev.machine;

    if (want == *at)
        return;
    port_unmap(m, *r);
    *r = want ? port_map(m, name, want, len, ops, s) : NULL;
    *at = want;
}

static void pm_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    struct piix4_pm *s = (struct piix4_pm *)p;
    const uint8_t *c = p->config;
    uint16_t pm = c[PMREGMISC] & 1 ? ldl16(c + PMBA) & 0xffc0 : 0;
    uint16_t smb = c[SMBHSTCFG] & 1 ? ldl16(c + SMBBA) & 0xfff0 : 0;

    remap(s, &s->pm_ports, &s->pm_at, pm, PM_LEN, "piix4-pm", &pm_ops);
    remap(s, &s->smb_ports, &s->smb_at, smb, SMB_LEN, "piix4-smb", &smb_ops);
}

static int pm_init(struct device *d, struct err *e)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x7113, .revision = 3, .class_code = 0x068000,
        .int_pin = 1,
    };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    stl16(s->pci.wmask + PMBA, 0xffc0);
    memset(s->pci.wmask + 0x44, 0xff, PMREGMISC - 0x44);
    s->pci.wmask[PMREGMISC] = 1;
    stl16(s->pci.wmask + SMBBA, 0xfff0);
    memset(s->pci.wmask + SMBHSTCFG, 0xff, 4);
    s->pci.config_written = pm_config_written;
    timer_init(&s->overflow, &d->machine->timers, pm_overflow, s);
    port_map(d->machine, "piix4-apm", 0xb2, 2, &apm_ops, s);
    return 0;
}

static void pm_reset(struct device *d)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    stl16(c + PCI_STATUS, 0x0280);
    memset(c + 0x40, 0, 0xc0);
    c[PMBA] = 1, c[SMBBA] = 1;            /* I/O space indicators */
    c[DEVACTB + 3] = 0x02;                /* APMC_EN: see the head of this file */
    s->pmsts = d->machine->waking ? PMSTS_RSM : 0;
    s->pmen = s->pmcntrl = s->gpsts = s->gpen = 0;
    s->asleep = false;
    stop_clocks(d->machine, false);
    s->apmc = s->apms = 0;
    memset(s->smb, 0, sizeof s->smb);
    s->last_wrap = pm_ticks(s) >> (PM_TIMER_BITS - 1);
    pm_config_written(&s->pci, 0, 4);
    pm_update_sci(s);
}

static void pm_destroy(struct device *d)
{
    timer_del(&((struct piix4_pm *)d)->overflow);
    pci_device_unplug((struct pci_device *)d);
}

static const struct dev_field pm_fields[] = {
    FIELD(BYTES, struct piix4_pm, pci.config),
    FIELD(U16, struct piix4_pm, pmsts),
    FIELD(U16, struct piix4_pm, pmen),
    FIELD(U16, struct piix4_pm, pmcntrl),
    FIELD(U16, struct piix4_pm, gpsts),
    FIELD(U16, struct piix4_pm, gpen),
    FIELD(BOOL, struct piix4_pm, asleep),
    FIELD(U8, struct piix4_pm, apmc),
    FIELD(U8, struct piix4_pm, apms),
    FIELD(BYTES, struct piix4_pm, smb),
    FIELD_END
};

const struct device_type piix4_pm_type = {
    .name = "PIIX4_PM", .desc = "82371AB power management", .size = sizeof(struct piix4_pm),
    .init = pm_init, .reset = pm_reset, .destroy = pm_destroy, .fields = pm_fields,
};
