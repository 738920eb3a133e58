/*
 * pm.h - ACPI fixed hardware of a chipset: PM1 events and control, PM timer,
 * one general-purpose event block, the SMI command port
 *
 *   0x00 PM1_STS   0x02 PM1_EN   0x04 PM1_CNT   0x08 PM1_TMR   gpe_at GPE0
 *
 * Embedded in the chip that maps it: PIIX4 function 3 or the ICH9 LPC bridge.
 * Source: ACPI 6.3, 4.8.
 */
#ifndef HW_ACPI_PM_H
#define HW_ACPI_PM_H

#include "hw/hw.h"

#define PM_GPE_MAX 8

struct pm {
    struct machine *m;
    /* set by the chip before pm_init() */
    const struct irq_line *sci;   /* stays the chip's */
    uint8_t gpe_at, gpe_half;     /* GPE0_BLK: gpe_half status bytes, then as many enables */
    uint8_t typ_s3, typ_s4, typ_s5;   /* SLP_TYP values, as \_S3, \_S4 and \_S5 say */
    /* state */
    uint16_t pmsts, pmen, pmcntrl;
    uint8_t gpsts[PM_GPE_MAX], gpen[PM_GPE_MAX];
    uint8_t apmc, apms;           /* ports 0xb2, 0xb3 */
    bool asleep;
    int64_t last_wrap;            /* PM timer half-periods already noticed */
    struct timer overflow;
};

/** pm_init() - claim ports 0xb2 and 0xb3, become m->pm */
void pm_init(struct pm *s, struct machine *m);
/** pm_reset() - registers as after power on; pm_free() - timers go */
void pm_reset(struct pm *s);
void pm_free(struct pm *s);
/** pm_read()/pm_write() - register block; size 1, 2, 4; unknown registers are 0 */
uint64_t pm_read(struct pm *s, uint64_t off, unsigned size);
void pm_write(struct pm *s, uint64_t off, uint64_t val, unsigned size);
/** pm_update() - after a change of the events or of where the SCI goes */
void pm_update(struct pm *s);

/** pm_power_button() - press it: SCI when the guest enabled the event. The
 *  main loop calls this for request_powerdown. Caller holds the lock. */
void pm_power_button(struct machine *m);
/** pm_wakeup() - end the sleep S3 without an event; false: there is none. Caller holds the lock. */
bool pm_wakeup(struct machine *m);
/** pm_gpe_event() - general-purpose event @n (below 8 * gpe_half) has happened */
void pm_gpe_event(struct machine *m, unsigned n);
/** pm_rtc_event() - the clock chip's alarm: SCI or wake-up when enabled */
void pm_rtc_event(struct machine *m);

/** rows of the chip's fields table; @base: the struct pm in it */
#define PM_FIELDS(st, base) \
    FIELD(U16, st, base.pmsts), FIELD(U16, st, base.pmen), FIELD(U16, st, base.pmcntrl), \
    FIELD(BYTES, st, base.gpsts), FIELD(BYTES, st, base.gpen), FIELD(BOOL, st, base.asleep), \
    FIELD(U8, st, base.apmc), FIELD(U8, st, base.apms)

#endif
