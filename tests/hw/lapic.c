/* lapic.c - local APICs: priorities, IPIs, timer, x2APIC */
#include "tests/hw/chips.h"

static struct bench b;
static struct lapic *a; /* vCPU 0's */

enum { ID = 0x20, VER = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0,
       DFR = 0xe0, SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280,
       ICR = 0x300, ICR2 = 0x310, LVTT = 0x320, LVTPC = 0x340, LINT0 = 0x350,
       LINT1 = 0x360, LVTERR = 0x370, TICR = 0x380, TCCR = 0x390, TDCR = 0x3e0 };

static void setup(void)
{
    struct err e = { "" };

    bench_init(&b, 4);
    cr_assert_eq(lapic_new_all(b.m, &e), 0, "%s", e.msg);
    a = b.v[0].lapic;
    for (int i = 0; i < 4; i++)
        lapic_mmio_write(b.v[i].lapic, SVR, 0x1ff, 4);
}

static void teardown(void)
{
    machine_free(b.m);
}

static uint32_t rd(unsigned off)
{
    return rd32(&b, LAPIC_BASE + off);
}

static void wr(unsigned off, uint32_t v)
{
    wr32(&b, LAPIC_BASE + off, v);
}

static int ack(int cpu)
{
    return vcpu_ack_interrupt(&b.v[cpu]);
}

static bool wants(int cpu)
{
    return b.v[cpu].intr & VCPU_INTR_APIC;
}

static void send(uint8_t vec)
{
    apic_deliver(b.m, 0, APIC_PHYSICAL, APIC_FIXED, vec, APIC_EDGE);
}

static void ipi(uint32_t dest, uint32_t low)
{
    wr(ICR2, dest << 24);
    wr(ICR, low);
}

TestSuite(lapic, .init = setup, .fini = teardown);

Test(lapic, reset_values)
{
    machine_reset(b.m);
    cr_assert_eq(rd(ID), 0);
    cr_assert_eq(rd(VER), 0x50014);
    cr_assert_eq(rd(SVR), 0xff);
    cr_assert_eq(rd(DFR), 0xffffffff);
    cr_assert_eq(rd(LVTT), 0x10000);
    cr_assert_eq(lapic_get_base(a), 0xfee00900);
    cr_assert_eq(lapic_get_base(b.v[1].lapic), 0xfee00800);
    cr_assert_eq(lapic_mmio_read(b.v[3].lapic, ID, 4), 3u << 24);
    cr_assert_eq(rd32(&b, LAPIC_BASE + 0x20), 0);
}

Test(lapic, irr_isr_eoi)
{
    send(0x51);
    cr_assert(wants(0));
    cr_assert_eq(rd(IRR + 0x20), 1u << 17);
    cr_assert_eq(ack(0), 0x51);
    cr_assert_eq(rd(IRR + 0x20), 0);
    cr_assert_eq(rd(ISR + 0x20), 1u << 17);
    cr_assert_eq(rd(PPR), 0x50);
    cr_assert(!wants(0));
    wr(EOI, 0);
    cr_assert_eq(rd(ISR + 0x20), 0);
    cr_assert_eq(rd(PPR), 0);
}

Test(lapic, tmr_outlives_the_interrupt)
{
    apic_deliver(b.m, 0, APIC_PHYSICAL, APIC_FIXED, 0x51, APIC_LEVEL);
    cr_assert_eq(ack(0), 0x51);
    wr(EOI, 0);
    cr_assert_eq(rd(TMR + 0x20), 1u << 17);
    send(0x51);
    cr_assert_eq(rd(TMR + 0x20), 0, "the next one was edge-triggered");
}

Test(lapic, priority_classes)
{
    send(0x51);
    cr_assert_eq(ack(0), 0x51);
    send(0x5f);
    cr_assert(!wants(0), "same class does not nest");
    send(0x61);
    cr_assert_eq(ack(0), 0x61);
    wr(EOI, 0);
    cr_assert(!wants(0));
    wr(EOI, 0);
    cr_assert_eq(ack(0), 0x5f);
}

Test(lapic, tpr_holds_back)
{
    wr(TPR, 0x55);
    cr_assert_eq(rd(PPR), 0x55);
    send(0x5f);
    cr_assert(!wants(0));
    lapic_set_tpr(a, 0x4f);
    cr_assert(wants(0));
    cr_assert_eq(lapic_get_tpr(a), 0x4f);
    lapic_set_tpr(a, 0xf0);
    cr_assert_eq(ack(0), -1);
    cr_assert(!wants(0));
}

Test(lapic, software_disable_masks_lvt)
{
    wr(LVTT, 0x40);
    wr(SVR, 0xff);
    cr_assert_eq(rd(LVTT), 0x10040);
    wr(LVTT, 0x40);
    cr_assert_eq(rd(LVTT), 0x10040, "stays masked");
    send(0x51);
    cr_assert_eq(rd(IRR + 0x20), 0, "not accepted");
    wr(SVR, 0x1ff);
    wr(LVTT, 0x40);
    cr_assert_eq(rd(LVTT), 0x40);
}

Test(lapic, illegal_vectors_and_registers_set_esr)
{
    wr(LVTERR, 0xf0);
    ipi(1, 0x0000f);
    cr_assert_eq(rd(ESR), 0, "not before a write");
    cr_assert_eq(ack(0), 0xf0);
    wr(EOI, 0);
    wr(ESR, 0);
    cr_assert_eq(rd(ESR), 0x20);
    wr(0x3f0, 1); /* self IPI exists in x2APIC mode only */
    wr(0x040, 1);
    wr(ESR, 0);
    cr_assert_eq(rd(ESR), 0x80);
    send(0x05);
    wr(ESR, 0);
    cr_assert_eq(rd(ESR), 0x40);
}

Test(lapic, ipi_physical_and_shorthands)
{
    ipi(2, 0x04041);
    cr_assert_eq(ack(2), 0x41);
    cr_assert_eq(rd(ICR), 0x04041);
    cr_assert_eq(rd(ICR2), 2u << 24);
    ipi(0, 0x44042); /* self */
    cr_assert_eq(ack(0), 0x42);
    ipi(0, 0xc4053); /* all but self */
    cr_assert_eq(ack(0), -1);
    for (int i = 1; i < 4; i++)
        cr_assert_eq(ack(i), 0x53);
    ipi(0, 0x84064); /* all */
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ack(i), 0x64);
    ipi(0xff, 0x04075); /* broadcast */
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ack(i), 0x75);
    ipi(9, 0x04086);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ack(i), -1);
}

Test(lapic, init_and_startup)
{
    ipi(1, 0x04500);
    cr_assert(b.v[1].intr & VCPU_INTR_INIT);
    vcpu_intr_lower(&b.v[1], VCPU_INTR_INIT);
    lapic_mmio_write(b.v[1].lapic, TPR, 0x20, 4);
    lapic_cpu_init(b.v[1].lapic);
    cr_assert_eq(lapic_mmio_read(b.v[1].lapic, TPR, 4), 0);
    ipi(1, 0x08500); /* de-assert: nothing */
    cr_assert(!(b.v[1].intr & VCPU_INTR_INIT));
    ipi(1, 0x0469a);
    cr_assert(b.v[1].intr & VCPU_INTR_SIPI);
    cr_assert_eq(lapic_sipi_vector(b.v[1].lapic), 0x9a);
    ipi(2, 0x04400);
    cr_assert(b.v[2].intr & VCPU_INTR_NMI, "NMI needs no vector");
}

Test(lapic, cluster_model)
{
    static const uint8_t ldr[] = { 0x11, 0x12, 0x21, 0x22 };

    for (int i = 0; i < 4; i++) {
        lapic_mmio_write(b.v[i].lapic, DFR, 0x0fffffff, 4);
        lapic_mmio_write(b.v[i].lapic, LDR, (uint32_t)ldr[i] << 24, 4);
    }
    ipi(0x23, 0x04841);
    cr_assert_eq(ack(0), -1);
    cr_assert_eq(ack(1), -1);
    cr_assert_eq(ack(2), 0x41);
    cr_assert_eq(ack(3), 0x41);
    ipi(0xf1, 0x04852);
    cr_assert_eq(ack(0), 0x52);
    cr_assert_eq(ack(2), 0x52, "all clusters");
    cr_assert_eq(ack(3), -1);
}

Test(lapic, one_shot_timer)
{
    wr(LVTT, 0x40);
    wr(TDCR, 0xb); /* by 1: a count is a ns */
    wr(TICR, 100000);
    bench_step(&b, 40000);
    cr_assert_eq(rd(TCCR), 60000);
    bench_step(&b, 59999);
    cr_assert_eq(ack(0), -1);
    bench_step(&b, 1);
    cr_assert_eq(ack(0), 0x40);
    cr_assert_eq(rd(TCCR), 0);
    wr(EOI, 0);
    bench_step(&b, 1000000);
    cr_assert_eq(ack(0), -1);
}

Test(lapic, periodic_timer_and_divider)
{
    wr(LVTT, 0x20040);
    wr(TDCR, 0x3); /* by 16 */
    wr(TICR, 1000);
    for (int i = 0; i < 5; i++) {
        bench_step(&b, 16000);
        cr_assert_eq(ack(0), 0x40, "tick %d", i);
        wr(EOI, 0);
    }
    bench_step(&b, 8000);
    cr_assert_eq(rd(TCCR), 500);
    wr(TDCR, 0x0); /* by 2: what is left takes 1000 ns */
    bench_step(&b, 1000);
    cr_assert_eq(ack(0), 0x40);
    wr(EOI, 0);
    wr(TICR, 0);
    bench_step(&b, 100000);
    cr_assert_eq(ack(0), -1);
}

Test(lapic, longer_rearm_is_not_early)
{
    wr(LVTT, 0x40);
    wr(TDCR, 0xb);
    wr(TICR, 20000);
    wr(TICR, 90000);
    bench_step(&b, 89999);
    cr_assert_eq(ack(0), -1);
    bench_step(&b, 1);
    cr_assert_eq(ack(0), 0x40);
}

Test(lapic, masked_timer_counts_on)
{
    wr(LVTT, 0x30040);
    wr(TDCR, 0xb);
    wr(TICR, 100000);
    bench_step(&b, 250000);
    cr_assert_eq(rd(TCCR), 50000);
    wr(LVTT, 0x20040);
    cr_assert_eq(ack(0), -1, "missed ticks do not come late");
    bench_step(&b, 50000);
    cr_assert_eq(ack(0), 0x40);
}

Test(lapic, tiny_period_does_not_hang)
{
    wr(LVTT, 0x20040);
    wr(TDCR, 0xb);
    wr(TICR, 1);
    bench_step(&b, 1000000);
    cr_assert_eq(ack(0), 0x40);
}

Test(lapic, tsc_deadline)
{
    lapic_set_tsc_deadline(a, 5000, 1000, 2000000000);
    cr_assert_eq(lapic_get_tsc_deadline(a), 0, "other mode: ignored");
    wr(LVTT, 0x40040);
    wr(TICR, 1000);
    cr_assert_eq(rd(TICR), 0, "no counting in this mode");
    lapic_set_tsc_deadline(a, 401001, 1001, 2000000000);
    cr_assert_eq(lapic_get_tsc_deadline(a), 401001);
    bench_step(&b, 199999);
    cr_assert_eq(ack(0), -1);
    bench_step(&b, 1);
    cr_assert_eq(ack(0), 0x40);
    cr_assert_eq(lapic_get_tsc_deadline(a), 0);
    wr(EOI, 0);
    lapic_set_tsc_deadline(a, 10, 1000, 2000000000);
    cr_assert_eq(ack(0), 0x40, "past: at once");
    wr(EOI, 0);
    lapic_set_tsc_deadline(a, ~0ull, 0, 1);
    lapic_set_tsc_deadline(a, 0, 0, 1);
    bench_step(&b, 1000000);
    cr_assert_eq(ack(0), -1);
}

static void count_moves(void *opaque)
{
    (*(int *)opaque)++;
}

/* Deadlines at equal distances: from the third on they find the host timer queued. */
Test(lapic, tsc_deadlines_of_a_tick_move_no_timer)
{
    int moves = 0;

    b.m->timers.notify = count_moves;
    b.m->timers.notify_opaque = &moves;
    wr(LVTT, 0x40040);
    for (int i = 1; i <= 10; i++) {
        int64_t now = clock_now_ns(&b.m->clock), at = 4000000ll * i;

        moves = 0;
        lapic_set_tsc_deadline(a, at, now, 1000000000);
        cr_assert_eq(moves, i < 3, "deadline %d", i);
        bench_step(&b, at - now - 1);
        cr_assert_eq(ack(0), -1, "not before its time");
        bench_step(&b, 1);
        cr_assert_eq(ack(0), 0x40);
        wr(EOI, 0);
        bench_step(&b, 5000);           /* the handler */
    }
    moves = 0;
    lapic_set_tsc_deadline(a, 42000000, clock_now_ns(&b.m->clock), 1000000000);
    cr_assert_eq(moves, 1, "sooner than expected");
    bench_step(&b, 42000000 - clock_now_ns(&b.m->clock));
    cr_assert_eq(ack(0), 0x40);
    wr(EOI, 0);
    bench_step(&b, 100000000);
    cr_assert_eq(ack(0), -1, "what was expected and not set is no interrupt");
}

Test(lapic, lint_inputs)
{
    wr(LINT1, 0x400);
    lapic_set_lint(a, 1, 1);
    cr_assert(b.v[0].intr & VCPU_INTR_NMI);
    wr(LINT0, 0x8045); /* fixed, level */
    lapic_set_lint(a, 0, 1);
    cr_assert_eq(rd(LINT0), 0xc045);
    cr_assert_eq(ack(0), 0x45);
    cr_assert_neq(rd(TMR + 0x20) & 1u << 5, 0);
    wr(EOI, 0);
    cr_assert_eq(ack(0), 0x45, "level");
    lapic_set_lint(a, 0, 0);
    wr(EOI, 0);
    cr_assert_eq(ack(0), -1);
    cr_assert_eq(rd(LINT0), 0x8045);
}

Test(lapic, perf_entry_masks_itself)
{
    wr(LVTPC, 0x400);
    lapic_raise_lvt(a, LVT_PERF);
    cr_assert(b.v[0].intr & VCPU_INTR_NMI);
    cr_assert_eq(rd(LVTPC), 0x10400);
}

Test(lapic, base_transitions)
{
    cr_assert(!lapic_set_base(a, 0xfee00500), "x2APIC without enable");
    cr_assert(!lapic_set_base(a, 0xfee00801), "reserved bit");
    cr_assert(!lapic_set_base(a, 1ull << 52 | 0xfee00800));
    cr_assert(lapic_set_base(a, 0xfee00c00));
    cr_assert_eq(lapic_get_base(a), 0xfee00d00, "BSP stays");
    cr_assert(!lapic_set_base(a, 0xfee00900), "x2APIC to xAPIC");
    cr_assert_eq(rd(VER), 0xffffffff, "no page in x2APIC mode");
    cr_assert(lapic_set_base(a, 0xfee00100));
    cr_assert(!lapic_set_base(a, 0xfee00d00), "disabled to x2APIC");
    cr_assert(lapic_set_base(a, 0xfee00900));
    cr_assert_eq(rd(SVR), 0xff, "disabling forgets");
    cr_assert(lapic_set_base(a, 0xfed80900));
    cr_assert_eq(rd32(&b, 0xfed80000 + VER), 0x50014);
}

Test(lapic, x2apic_registers)
{
    uint64_t v;

    cr_assert(!lapic_msr_read(a, 0x802, &v), "not in xAPIC mode");
    for (int i = 0; i < 4; i++)
        cr_assert(lapic_set_base(b.v[i].lapic, 0xfee00c00));
    cr_assert(lapic_msr_read(b.v[3].lapic, 0x802, &v) && v == 3);
    cr_assert(lapic_msr_read(b.v[3].lapic, 0x80d, &v) && v == 8);
    cr_assert(!lapic_msr_write(a, 0x80d, 0), "LDR is read-only");
    cr_assert(!lapic_msr_write(a, 0x80b, 1), "EOI takes 0 only");
    cr_assert(lapic_msr_write(a, 0x80b, 0));
    cr_assert(!lapic_msr_read(a, 0x80b, &v));
    cr_assert(!lapic_msr_read(a, 0x80e, &v), "no DFR");
    cr_assert(!lapic_msr_read(a, 0x831, &v));
    cr_assert(!lapic_msr_read(a, 0x82f, &v), "no CMCI entry");
    cr_assert(!lapic_msr_write(a, 0x808, 0x100));
    cr_assert(!lapic_msr_read(a, 0x8ff, &v));
    cr_assert(lapic_msr_write(a, 0x808, 0x20));
    cr_assert_eq(lapic_get_tpr(a), 0x20);
}

Test(lapic, x2apic_ipis)
{
    for (int i = 0; i < 4; i++)
        cr_assert(lapic_set_base(b.v[i].lapic, 0xfee00c00));
    cr_assert(lapic_msr_write(a, 0x830, 2ull << 32 | 0x41));
    cr_assert_eq(ack(2), 0x41);
    cr_assert(lapic_msr_write(a, 0x830, 0x000aull << 32 | 0x0852));
    cr_assert_eq(ack(1), 0x52);
    cr_assert_eq(ack(3), 0x52);
    cr_assert_eq(ack(2), -1);
    cr_assert(lapic_msr_write(a, 0x830, 0xffffffffull << 32 | 0x63));
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ack(i), 0x63);
    cr_assert(lapic_msr_write(a, 0x83f, 0x74));
    cr_assert_eq(ack(0), 0x74);
}

static struct vcpu *now_running;

static struct vcpu *running(struct machine *m)
{
    return now_running;
}

Test(lapic, page_is_per_cpu)
{
    lapic_route_by_vcpu(b.m, running);
    now_running = &b.v[2];
    cr_assert_eq(rd(ID), 2u << 24);
    now_running = NULL; /* a device's write is a message */
    wr(0x000, 0x0091);
    cr_assert_eq(ack(0), 0x91);
}

Test(lapic, odd_accesses_are_harmless)
{
    for (unsigned off = 0; off < 0x1000; off += 2)
        for (unsigned size = 1; size <= 8; size *= 2) {
            lapic_mmio_read(a, off, size);
            if (size != 4)
                lapic_mmio_write(a, off, ~0ull, size);
        }
    cr_assert_eq(rd(SVR), 0x1ff);
    cr_assert_eq(lapic_mmio_read(a, VER + 2, 1), 0x05);
}

/* ---- PV EOI ------------------------------------------------------------------------------ */

enum { WORD = 0x5000 };

static uint8_t *eoi_word(void) { return b.m->ram + WORD; }

/* The guest's way: true when the register need not be written. */
static void end_in_memory(void)
{
    cr_assert_eq(*eoi_word() & 1, 1, "offered");
    *eoi_word() &= ~1;
}

static void eoi_setup(void)
{
    setup();
    cr_assert(lapic_set_pv_eoi(a, WORD | 1));
}

TestSuite(lapic_pv_eoi, .init = eoi_setup, .fini = teardown);

Test(lapic_pv_eoi, ended_in_memory)
{
    for (int i = 0; i < 3; i++) {
        send(0x51);
        cr_assert_eq(ack(0), 0x51);
        cr_assert_eq(ack(0), -1, "not again");
        *eoi_word() = 0;                   /* that look took the offer back */
        wr(EOI, 0);
        send(0x51);
        cr_assert_eq(ack(0), 0x51);
        end_in_memory();
        cr_assert_not(wants(0));
        cr_assert_eq(rd(ISR + 0x20), 0, "whoever looks sees it ended");
        send(0x41);
        cr_assert_eq(ack(0), 0x41);
        end_in_memory();
        send(0x31);
        cr_assert(wants(0), "a lower one asks");
        cr_assert_eq(ack(0), 0x31);
        wr(EOI, 0);
        cr_assert_eq(*eoi_word() & 1, 0, "written nevertheless: no offer is left");
        cr_assert_eq(rd(ISR + 0x10), 0);
    }
}

Test(lapic_pv_eoi, a_request_that_waits_takes_the_offer_back)
{
    send(0x51);
    cr_assert_eq(ack(0), 0x51);
    send(0x41);
    cr_assert_eq(ack(0), -1, "not yet");
    cr_assert_eq(*eoi_word() & 1, 0, "the register is to be written");
    wr(EOI, 0);
    cr_assert(wants(0));
    cr_assert_eq(ack(0), 0x41);
}

Test(lapic_pv_eoi, no_offer_when_others_wait_for_the_end)
{
    send(0x41);
    send(0x51);
    cr_assert_eq(ack(0), 0x51);
    cr_assert_eq(*eoi_word() & 1, 0, "another request");
    wr(EOI, 0);
    cr_assert_eq(ack(0), 0x41);
    cr_assert_eq(*eoi_word() & 1, 1);
    send(0x61);
    cr_assert_eq(ack(0), 0x61, "nested");
    cr_assert_eq(*eoi_word() & 1, 0);
    wr(EOI, 0);
    wr(EOI, 0);
    apic_deliver(b.m, 0, APIC_PHYSICAL, APIC_FIXED, 0x71, APIC_LEVEL);
    cr_assert_eq(ack(0), 0x71);
    cr_assert_eq(*eoi_word() & 1, 0, "a level: the I/O APIC wants to know");
    wr(EOI, 0);
    cr_assert_eq(rd(ISR + 0x30), 0);
}

Test(lapic_pv_eoi, off_or_nowhere)
{
    send(0x51);
    cr_assert_eq(ack(0), 0x51);
    cr_assert(lapic_set_pv_eoi(a, 0));
    cr_assert_eq(*eoi_word(), 0, "taken back");
    cr_assert_neq(rd(ISR + 0x20), 0);
    wr(EOI, 0);
    cr_assert_eq(rd(ISR + 0x20), 0);
    cr_assert(lapic_set_pv_eoi(a, 0xfffffffff000ull | 1));
    send(0x51);
    cr_assert_eq(ack(0), 0x51);
    wr(EOI, 0);
    cr_assert_eq(rd(ISR + 0x20), 0);
    cr_assert_not(lapic_set_pv_eoi(a, WORD | 2), "reserved");
}

/* Several may have the same ID; an IPI to it reaches them all. */
Test(lapic, id_can_be_changed)
{
    for (int i = 0; i < 2; i++)
        lapic_mmio_write(b.v[i].lapic, ID, 0x42ffffff, 4);
    cr_assert_eq(rd(ID), 0x42000000);
    ipi(0x42, 0x4050);
    cr_assert(wants(0) && wants(1) && !wants(2) && !wants(3));
    cr_assert(ack(0) == 0x50 && ack(1) == 0x50);
    ipi(1, 0x4060);
    cr_assert_not(wants(0) || wants(1));
    lapic_cpu_init(b.v[1].lapic);
    cr_assert_eq(lapic_mmio_read(b.v[1].lapic, ID, 4), 0x42000000, "INIT leaves it alone");
    cr_assert(lapic_set_base(b.v[1].lapic, LAPIC_BASE));
    cr_assert(lapic_set_base(b.v[1].lapic, LAPIC_BASE | 1 << 11));
    cr_assert_eq(lapic_mmio_read(b.v[1].lapic, ID, 4), 0x01000000, "being switched off does not");
    cr_assert(lapic_set_base(a, LAPIC_BASE | 3 << 10));
    apic_deliver_x2(b.m, 0, APIC_PHYSICAL, APIC_FIXED, 0x70, APIC_EDGE);
    cr_assert(wants(0), "the x2APIC has another one");
}

Test(lapic, one_interrupt_to_many)
{
    static const uint64_t odd[2] = { 0xa, 0 }, far[2] = { 0, 1 };

    cr_assert_eq(apic_send_to_ids(b.m, odd, 0, 0x51), 2);
    cr_assert(!wants(0) && wants(1) && !wants(2) && wants(3));
    cr_assert_eq(apic_send_to_ids(b.m, odd, 1, 0x51), 1, "2, and 4, which is not there");
    cr_assert(wants(2));
    cr_assert_eq(apic_send_to_ids(b.m, far, 0, 0x51), 0);
    cr_assert_eq(apic_send_to_ids(b.m, far, (uint32_t)-63, 0x51), 1, "numbers wrap");
    cr_assert_eq(apic_send_to_ids(b.m, odd, 0, 0x8), 0, "an impossible vector");
    cr_assert_eq(apic_send_to_ids(b.m, odd, 0, 0x551), 0, "INIT is not for many");
    cr_assert_eq(apic_send_to_ids(b.m, odd, 0, 0x400), 2);
    cr_assert(b.v[1].intr & VCPU_INTR_NMI);
}
