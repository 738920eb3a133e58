/*
 * irq.c - the 16 ISA interrupt lines: each goes to the 8259 pair and to the
 * I/O APIC
 *
 * Late ticks. When the host was late by more than a period, the ticks of a periodic timer would
 * fall together in the controllers and the guest's clock would lose them: Linux then finds that its timer does not
 * work. The next is sent when the CPU has taken the one before.
 */
#include "hw/hw-int.h"
#include "hw/intc/intc.h"
#include "trace/format.h"

/* ISA line 0 (timer) arrives at pin 2; pin 0 is the 8259's INTR. */
static void isa_irq_set(void *opaque, int n, int level)
{
    struct machine *m = opaque;

    if (unlikely(m->trace.event != NULL))
        m->trace.event(m->trace.opaque, TRACE_IRQ, (uint64_t[]){ (unsigned)n, level != 0 }, 2);
    pic_set_irq(m->pic, n, level);
    ioapic_set_irq(m->ioapic, n == 0 ? 2 : n, level);
}

void machine_tick_late(struct machine *m, struct timer *t, int64_t due_ns, int64_t at_ns)
{
    if (m->chips)                    /* nobody tells when it is taken */
        at_ns = due_ns;
    timer_mod(t, at_ns);
    m->late_tick = t;
    m->late_tick_ns = at_ns;
}

void machine_tick_taken(struct machine *m)
{
    struct timer *t = m->late_tick;

    m->late_tick = NULL;
    if (!t->queued || t->deadline_ns != m->late_tick_ns)
        return;                      /* set anew since */
    timer_del(t);
    t->cb(t->opaque);
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
