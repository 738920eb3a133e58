/*
 * irq.c - the 16 ISA interrupt lines: each goes to the 8259 pair and to the
 * I/O APIC
 */
#include "hw/hw-int.h"
#include "hw/intc/intc.h"
#include "hw/acpi/pm.h"
#include "trace/format.h"

/* ISA line 0 (timer) arrives at pin 2; pin 0 is the 8259's INTR. */
static void isa_irq_set(void *opaque, int n, int level)
{
    struct machine *m = opaque;

    if (unlikely(m->trace.event != NULL))
        m->trace.event(m->trace.opaque, TRACE_IRQ, (uint64_t[]){ (unsigned)n, level != 0 }, 2);
    if (n == 8 && level)
        pm_rtc_event(m);
    pic_set_irq(m->pic, n, level);
    ioapic_set_irq(m->ioapic, n == 0 ? 2 : n, level);
}

void machine_irq_init(struct machine *m)
{
    for (int n = 0; n < 16; n++)
        m->isa_irq[n] = (struct irq_line){ isa_irq_set, m, n };
}

const struct irq_line *machine_irq(struct machine *m, unsigned n)
{
    return n < ARRAY_SIZE(m->isa_irq) ? &m->isa_irq[n] : NULL;
}
