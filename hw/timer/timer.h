/*
 * timer.h - clock chips: 8254, MC146818, HPET
 *
 * All functions want the machine lock held.
 */
#ifndef HW_TIMER_TIMER_H
#define HW_TIMER_TIMER_H

#include "hw/hw.h"

/* ---- 8254 (ports 0x40-0x43 and 0x61); irq: output of counter 0 ----------- */

#define PIT_HZ 1193182

extern const struct device_type i8254_type;

/** i8254_gate_irq() - connect (@on) or cut counter 0's interrupt line
 *  The HPET cuts it in legacy replacement mode; counting goes on. */
void i8254_gate_irq(struct device *pit, bool on);
/** i8254_speaker_level() - whether the speaker membrane is pushed now:
 *  counter 2's output AND the data bit of port 0x61 */
bool i8254_speaker_level(struct device *pit);

/* ---- MC146818 real-time clock (ports 0x70, 0x71) ------------------------- */

extern const struct device_type mc146818_type;

/** rtc_set_cmos()/rtc_get_cmos() - CMOS byte @reg (0..127) for the board
 *  Clock registers 0x00-0x0d and the century 0x32 belong to the chip and are
 *  not changed. */
void rtc_set_cmos(struct device *rtc, uint8_t reg, uint8_t val);
uint8_t rtc_get_cmos(struct device *rtc, uint8_t reg);
/** rtc_time_ns() - the clock now, since 1970 as the guest keeps it (UTC mostly) */
int64_t rtc_time_ns(struct device *rtc);
/** rtc_gate_irq() - connect (@on) or cut the interrupt line, as i8254_gate_irq() */
void rtc_gate_irq(struct device *rtc, bool on);
/** rtc_nmi_masked() - bit 7 of port 0x70 */
bool rtc_nmi_masked(struct device *rtc);

/* ---- HPET (0xfed00000) --------------------------------------------------- */

#define HPET_BASE 0xfed00000ull

/* Finds "i8254" and "mc146818" when the guest asks for legacy replacement, so
 * the order of construction does not matter. */
extern const struct device_type hpet_type;

#endif
