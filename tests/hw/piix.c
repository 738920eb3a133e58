/* piix.c - PIIX3 routing and reset, PIIX4 power management */
#include "hw/acpi/pm.h"
#include "hw/intc/intc.h"
#include "hw/timer/timer.h"
#include "tests/hw/board.h"

#define ISA PCI_DEVFN(1, 0)
#define PM  PCI_DEVFN(1, 3)
#define PMBASE 0x600

static int lines[16];

static struct machine *piix_machine(void)
{
    struct machine *m = board_machine();

    memset(lines, 0, sizeof lines);
    for (int n = 0; n < 16; n++)
        m->isa_irq[n] = (struct irq_line){ watch_line, lines, n };
    return m;
}

static struct machine *pm_machine(void)
{
    struct machine *m = piix_machine();

    cfg_wr(m, PM, 0x40, PMBASE | 1, 4);
    cfg_wr(m, PM, 0x80, 1, 1);
    return m;
}

Test(piix3, pirq_goes_where_it_is_routed)
{
    struct machine *m = piix_machine();

    m->pci->pirq_set(m->pci->pirq_opaque, 0, 1);
    for (int n = 0; n < 16; n++)
        cr_assert_eq(lines[n], 0, "off at reset");
    cfg_wr(m, ISA, 0x60, 10, 1);
    cr_assert_eq(lines[10], 1);
    cfg_wr(m, ISA, 0x60, 11, 1);
    cr_assert_eq(lines[10], 0);
    cr_assert_eq(lines[11], 1);
    cfg_wr(m, ISA, 0x61, 11, 1);
    m->pci->pirq_set(m->pci->pirq_opaque, 1, 1);
    m->pci->pirq_set(m->pci->pirq_opaque, 0, 0);
    cr_assert_eq(lines[11], 1, "shared");
    m->pci->pirq_set(m->pci->pirq_opaque, 1, 0);
    cr_assert_eq(lines[11], 0);
    cfg_wr(m, ISA, 0x60, 8, 1);
    m->pci->pirq_set(m->pci->pirq_opaque, 0, 1);
    cr_assert_eq(lines[8], 0, "line 8 cannot be routed to");
    machine_free(m);
}

Test(piix3, a_reset_forgets_what_was_configured)
{
    struct machine *m = piix_machine();

    cfg_wr(m, ISA, 0x4c, 0xffffffff, 4);
    cfg_wr(m, ISA, 0x60, 10, 1);
    cfg_wr(m, ISA, 0xa4, 0xffffffff, 4);
    machine_reset(m);
    cr_assert_eq(cfg_rd(m, ISA, 0x4c, 4), 0x0003004d);
    cr_assert_eq(cfg_rd(m, ISA, 0x60, 4), 0x80808080);
    cr_assert_eq(cfg_rd(m, ISA, 0xa4, 4), 0);
    machine_free(m);
}

Test(piix3, port_cf9_resets_on_the_rising_edge)
{
    struct machine *m = piix_machine();

    outb(m, 0xcf9, 0x02);
    cr_assert_eq(m->request_reset, CAUSE_NONE);
    cr_assert_eq(inb(m, 0xcf9), 0x02);
    outb(m, 0xcf9, 0x06);
    cr_assert_eq(m->request_reset, CAUSE_GUEST_RESET);
    machine_free(m);
}

Test(piix3, a_byte_at_cf9_does_not_disturb_the_address)
{
    struct machine *m = piix_machine();

    cfg_select(m, ISA, 0);
    outb(m, 0xcf9, 0x02);
    cr_assert_eq(port_read(m, 0xcfc, 4), 0x70008086);
    machine_free(m);
}

Test(piix4, pm_block_is_where_pmba_says)
{
    struct machine *m = pm_machine();

    cr_assert_eq(port_read(m, PMBASE + 4, 2), 0);
    cfg_wr(m, PM, 0x40, 0xb001, 4);
    cr_assert_eq(port_read(m, PMBASE + 4, 2), 0xffff);
    cr_assert_eq(port_read(m, 0xb004, 2), 0);
    cfg_wr(m, PM, 0x80, 0, 1);
    cr_assert_eq(port_read(m, 0xb004, 2), 0xffff);
    machine_free(m);
}

Test(piix4, the_timer_runs_at_3579545_hz_and_wraps_at_24_bits)
{
    struct machine *m = pm_machine();

    clock_step(&m->clock, &m->timers, 1000000000);
    cr_assert_eq(port_read(m, PMBASE + 8, 4), 3579545);
    clock_step(&m->clock, &m->timers, 4000000000);
    cr_assert_eq(port_read(m, PMBASE + 8, 4), 5 * 3579545 & 0xffffff);
    machine_free(m);
}

Test(piix4, timer_overflow_raises_sci)
{
    struct machine *m = pm_machine();

    outb(m, 0xb2, 0xf1);
    port_write(m, PMBASE + 2, 1, 2);
    cr_assert_eq(lines[9], 0);
    clock_step(&m->clock, &m->timers, 2300000000);   /* bit 23 changes at 2.343 s */
    cr_assert_eq(lines[9], 0);
    clock_step(&m->clock, &m->timers, 100000000);
    cr_assert_eq(lines[9], 1);
    port_write(m, PMBASE, 1, 2);
    cr_assert_eq(lines[9], 0);
    clock_step(&m->clock, &m->timers, 2400000000);
    cr_assert_eq(lines[9], 1, "again at the next half");
    machine_free(m);
}

Test(piix4, acpi_is_switched_by_the_command_port)
{
    struct machine *m = pm_machine();

    outb(m, 0xb2, 0xf1);
    cr_assert_eq(port_read(m, PMBASE + 4, 2) & 1, 1);
    outb(m, 0xb2, 0xf0);
    cr_assert_eq(port_read(m, PMBASE + 4, 2) & 1, 0);
    machine_free(m);
}

Test(piix4, the_power_button_needs_enable_and_sci_en)
{
    struct machine *m = pm_machine();

    pm_power_button(m);
    cr_assert_eq(port_read(m, PMBASE, 2), 0x100);
    cr_assert_eq(lines[9], 0);
    port_write(m, PMBASE + 2, 0x100, 2);
    cr_assert_eq(lines[9], 0);
    outb(m, 0xb2, 0xf1);
    cr_assert_eq(lines[9], 1);
    port_write(m, PMBASE, 0x100, 2);
    cr_assert_eq(lines[9], 0);
    machine_free(m);
}

Test(piix4, slp_en_with_type_0_is_soft_off)
{
    struct machine *m = pm_machine();

    port_write(m, PMBASE + 4, 0x0401, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_NONE);
    port_write(m, PMBASE + 4, 0x2401, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_NONE, "type 1 is not offered");
    port_write(m, PMBASE + 4, 0x2001, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_GUEST_SHUTDOWN);
    cr_assert_eq(port_read(m, PMBASE + 4, 2), 0x0001, "SLP_EN reads 0");
    machine_free(m);
}

Test(piix4, sleep_s3_ends_with_an_enabled_event)
{
    struct machine *m = pm_machine();

    port_write(m, PMBASE + 2, 1 << 10, 2);               /* RTC_EN */
    pm_rtc_event(m);
    cr_assert_eq(m->request_reset, 0, "awake");
    port_write(m, PMBASE, 1 << 10, 2);
    port_write(m, PMBASE + 4, 0x2400, 2);
    cr_assert_eq(m->request_reset, 0);
    pm_power_button(m);
    cr_assert_eq(m->request_reset, 0, "not enabled");
    pm_rtc_event(m);
    cr_assert_eq(m->request_reset, CAUSE_WAKEUP);
    cr_assert(m->waking);
    machine_reset(m);
    cr_assert_not(m->waking);
    machine_free(m);
}

Test(piix4, sleep_s3_ends_when_somebody_says_so)
{
    struct machine *m = pm_machine();

    cr_assert_not(pm_wakeup(m), "awake");
    cr_assert_eq(m->request_reset, 0);
    port_write(m, PMBASE + 4, 0x2400, 2);
    cr_assert(pm_wakeup(m));
    cr_assert_eq(m->request_reset, CAUSE_WAKEUP, "no event was enabled");
    cr_assert(m->waking);
    machine_reset(m);
    cr_assert_not(pm_wakeup(m));
    machine_free(m);
}

/* Its interrupt line may be cut: the HPET's legacy replacement has it, the alarm goes on waking. */
Test(piix4, an_alarm_of_the_clock_wakes_with_its_line_cut)
{
    for (int cut = 0; cut < 2; cut++) {
        struct machine *m = pm_machine();
        struct err e = { "" };
        struct device *rtc = machine_add_device(m, &mc146818_type, 0x70, NULL, NULL, NULL, &e);

        cr_assert_not_null(rtc, "%s", e.msg);
        rtc_gate_irq(rtc, !cut);
        for (uint8_t reg = 1; reg <= 5; reg += 2)        /* alarm at every second */
            outb(m, 0x70, reg), outb(m, 0x71, 0xff);
        outb(m, 0x70, 0x0b), outb(m, 0x71, 0x22);        /* AIE */
        port_write(m, PMBASE + 2, 1 << 10, 2);           /* RTC_EN */
        port_write(m, PMBASE + 4, 0x2400, 2);
        cr_assert_eq(m->request_reset, 0);
        clock_step(&m->clock, &m->timers, 1500000000ll);
        cr_assert_eq(m->request_reset, CAUSE_WAKEUP);
        machine_free(m);
    }
}

Test(piix4, an_empty_smbus_answers_device_error)
{
    struct machine *m = pm_machine();

    cfg_wr(m, PM, 0x90, 0x701, 4);
    cfg_wr(m, PM, 0xd2, 9, 1);
    outb(m, 0x702, 0x48);
    cr_assert_eq(inb(m, 0x700), 0x04);
    outb(m, 0x700, 0x04);
    cr_assert_eq(inb(m, 0x700), 0);
    machine_free(m);
}

Test(irq, isa_line_0_arrives_at_pin_2_and_lines_end_at_15)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_not_null(machine_add_device(m, &i8259_type, 0, NULL, NULL, NULL, &e));
    cr_assert_not_null(machine_add_device(m, &ioapic_type, 0, NULL, NULL, NULL, &e));
    machine_reset(m);
    mmio_write(&m->mem, IOAPIC_BASE, 0x10 + 2 * 2, 4);       /* pin 2: level, unmasked, */
    mmio_write(&m->mem, IOAPIC_BASE + 0x10, 0x8030, 4);      /* vector 0x30 */
    irq_set(machine_irq(m, 0), 1);
    outb(m, 0x20, 0x0a);
    cr_assert_eq(inb(m, 0x20) & 1, 1, "IRR of the 8259");
    cr_assert_null(machine_irq(m, 16));
    machine_free(m);
}
