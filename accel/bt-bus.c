/*
 * bt-bus.c - what the translated CPU sees of the machine: ports, devices in
 * memory, its local APIC, interrupts, time
 */
#include <sys/random.h>
#include "accel/bt-icount.h"
#include "hw/intc/intc.h"
#include "hw/outside.h"
#include "hw/timer/timer.h"
#include "trace/format.h"

enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800, MSR_X2APIC_END = 0x900, MSR_PV_EOI = 0x4b564d04 };
#define FERR_IRQ 13

/* ---- ports ------------------------------------------------------------------- */

/* When time is counted, it is set for what devices do. */
static void time_enter(struct bt_cpu *c)
{
    if (unlikely(c->bt->icount))
        bt_icount_enter(c);
}

static void time_leave(struct bt_cpu *c)
{
    if (unlikely(c->bt->icount))
        bt_icount_leave(c);
}

static void note_access(struct bt_cpu *c, unsigned kind, uint64_t at, unsigned size, bool write, uint64_t v)
{
    if (trace_on(&c->ac.cpu->tcg, kind))
        bt_trace_access(c, kind, at, size, write, v);
}

static uint32_t bus_port_in(void *opaque, uint16_t port, unsigned size)
{
    struct bt_cpu *c = opaque;
    uint32_t v;

    time_enter(c);
    v = port_read(c->bt->m, port, size);
    time_leave(c);
    note_access(c, TRACE_IO, port, size, false, v);
    return v;
}

static unsigned bus_port_in_string(void *opaque, uint16_t port, unsigned size, void *buf, unsigned n)
{
    struct bt_cpu *c = opaque;

    time_enter(c);
    n = port_read_string(c->bt->m, port, size, buf, n);
    time_leave(c);
    for (unsigned i = 0; i < n && trace_on(&c->ac.cpu->tcg, TRACE_IO); i++) {
        uint32_t v = 0;
        memcpy(&v, (uint8_t *)buf + i * size, size);
        note_access(c, TRACE_IO, port, size, false, v);
    }
    return n;
}

static void bus_port_out(void *opaque, uint16_t port, uint32_t v, unsigned size)
{
    struct bt_cpu *c = opaque;

    time_enter(c);
    port_write(c->bt->m, port, v, size);
    time_leave(c);
    note_access(c, TRACE_IO, port, size, true, v);
    accel_stop_when_requested(&c->ac);
}

/* ---- devices in memory ------------------------------------------------------------ */

static struct bt_cpu *cpu_of(struct tcg_cpu *tc)
{
    return container_of(X86(tc)->bus, struct bt_cpu, bus);
}

uint64_t bt_mmio_read(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    struct bt_cpu *c = cpu_of(cpu);
    uint64_t v;

    time_enter(c);
    accel_enter_access(&c->ac, gpa);
    v = mmio_read(&c->bt->m->mem, gpa, size);
    accel_leave_access(&c->ac);
    time_leave(c);
    note_access(c, TRACE_MMIO, gpa, size, false, v);
    return v;
}

void bt_mmio_write(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size)
{
    struct bt_cpu *c = cpu_of(cpu);

    time_enter(c);
    accel_enter_access(&c->ac, gpa);
    mmio_write(&c->bt->m->mem, gpa, v, size);
    accel_leave_access(&c->ac);
    time_leave(c);
    note_access(c, TRACE_MMIO, gpa, size, true, v);
    accel_stop_when_requested(&c->ac);
}

/* ---- interrupts --------------------------------------------------------------------- */

static void bus_intr_clear(void *opaque, uint32_t bits)
{
    struct bt_cpu *c = opaque;

    vcpu_intr_lower(&c->ac.vcpu, bits);
    if ((bits & VCPU_INTR_INIT) && c->ac.vcpu.lapic)
        lapic_cpu_init(c->ac.vcpu.lapic);
}

static int bus_ack_irq(void *opaque)
{
    struct bt_cpu *c = opaque;
    int vector;

    time_enter(c);
    vector = vcpu_ack_interrupt(&c->ac.vcpu);
    time_leave(c);
    return vector;
}

static uint8_t bus_sipi_vector(void *opaque)
{
    struct bt_cpu *c = opaque;

    return c->ac.vcpu.lapic ? lapic_sipi_vector(c->ac.vcpu.lapic) : 0;
}

static uint8_t bus_get_tpr(void *opaque)
{
    struct bt_cpu *c = opaque;

    return c->ac.vcpu.lapic ? lapic_get_tpr(c->ac.vcpu.lapic) : 0;
}

static void bus_set_tpr(void *opaque, uint8_t tpr)
{
    struct bt_cpu *c = opaque;

    if (!c->ac.vcpu.lapic)
        return;
    time_enter(c);
    lapic_set_tpr(c->ac.vcpu.lapic, tpr);
    time_leave(c);
}

void bt_raise_ferr(struct bt_cpu *c)
{
    machine_lock(c->bt->m);
    irq_set(machine_irq(c->bt->m, FERR_IRQ), 1);
    machine_unlock(c->bt->m);
}

/* Port 0xF0: writing it clears the coprocessor's request. */
static void busy_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    irq_set(machine_irq(opaque, FERR_IRQ), 0);
}

static const struct io_ops busy_ops = { .write = busy_write, .min_bytes = 1, .max_bytes = 1 };

void bt_ferr_port(struct machine *m)
{
    port_map(m, "fpu-busy", 0xf0, 1, &busy_ops, m);
}

static void bus_halt(void *opaque, uint32_t masked)
{
    bt_halt(opaque, masked);
}

static void bus_triple_fault(void *opaque)
{
    struct bt_cpu *c = opaque;

    machine_request_reset(c->bt->m, CAUSE_TRIPLE_FAULT);
    accel_stop_self(&c->ac);
}

/* ---- APIC registers that are MSRs ---------------------------------------------------------- */

/* The guest's TSC as RDTSC gives it. */
static uint64_t guest_tsc(struct bt_cpu *c)
{
    return accel_tsc(c->bt->a) + c->ac.cpu->tsc_offset + c->ac.cpu->tsc_adjust;
}

static bool apic_read(struct bt_cpu *c, uint32_t msr, uint64_t *v)
{
    struct lapic *a = c->ac.vcpu.lapic;

    if (msr == MSR_APIC_BASE)
        *v = lapic_get_base(a);
    else if (msr == MSR_TSC_DEADLINE)
        *v = lapic_get_tsc_deadline(a);
    else
        return lapic_msr_read(a, msr, v);
    return true;
}

static bool apic_write(struct bt_cpu *c, uint32_t msr, uint64_t v)
{
    struct lapic *a = c->ac.vcpu.lapic;

    if (msr == MSR_APIC_BASE)
        return lapic_set_base(a, v);
    if (msr == MSR_PV_EOI)
        return lapic_set_pv_eoi(a, v);
    if (msr != MSR_TSC_DEADLINE)
        return lapic_msr_write(a, msr, v);
    lapic_set_tsc_deadline(a, v, guest_tsc(c), c->bt->a->model.tsc_hz);
    return true;
}

static bool bus_apic_msr(void *opaque, uint32_t msr, uint64_t *v, bool write)
{
    struct bt_cpu *c = opaque;
    bool ok;

    if (!c->ac.vcpu.lapic)
        return false;
    time_enter(c);
    ok = write ? apic_write(c, msr, *v) : apic_read(c, msr, v);
    time_leave(c);
    return ok;
}

/* ---- time ------------------------------------------------------------------------------------- */

static bool bus_random(void *opaque, uint64_t *v)
{
    struct bt_cpu *c = opaque;

    if (!c->bt->icount && getrandom(v, sizeof *v, GRND_NONBLOCK) != (ssize_t)sizeof *v)
        return false;
    *v = outside_entropy(c->bt->m, *v);
    return true;
}

void bt_run_prompt(struct bt_cpu *c)
{
    machine_lock(c->bt->m);
    timer_list_run_prompt(&c->bt->m->timers);
    machine_unlock(c->bt->m);
}

/* What the guest has for the time of day: the CMOS clock, else the host's. */
static int64_t bus_wall_ns(void *opaque)
{
    struct bt_cpu *c = opaque;
    struct device *rtc;
    int64_t ns;

    machine_lock(c->bt->m);
    rtc = machine_find_device(c->bt->m, mc146818_type.name);
    ns = rtc ? rtc_time_ns(rtc) : clock_now_ns(&c->bt->m->clock);
    machine_unlock(c->bt->m);
    return ns;
}

/* As a breakpoint of the debugger: behind the instruction everything stops. */
static void bus_magic(void *opaque)
{
    struct bt_cpu *c = opaque;

    fprintf(stderr, "transom: magic breakpoint on CPU %u\n", c->ac.vcpu.index);
    accel_stop_debugged(&c->ac, (struct accel_stop){ .kind = STOP_STEP });
}

void bt_bus_init(struct bt_cpu *c)
{
    c->bus = (struct x86_bus){
        .port_in = bus_port_in, .port_in_string = bus_port_in_string, .port_out = bus_port_out, .ack_irq = bus_ack_irq,
        .intr = bt_intr, .intr_clear = bus_intr_clear, .sipi_vector = bus_sipi_vector,
        .apic_msr = bus_apic_msr, .get_tpr = bus_get_tpr, .set_tpr = bus_set_tpr,
        .halt = bus_halt, .triple_fault = bus_triple_fault, .set_ferr = bt_set_ferr,
        .tsc = bt_tsc, .a20_mask = bt_a20_mask, .wall_ns = bus_wall_ns, .random = bus_random, .opaque = c,
    };
    bt_pv_init(c);
    if (!c->bt->icount)
        c->bus.prompt = bt_prompt;
    if (c->bt->a->opt.magic_break)
        c->bus.magic = bus_magic;
}
