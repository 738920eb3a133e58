/* KVM's paravirtual interfaces: the clock's page, steal time, hypercalls, out of HLT */
#include "tests/target-x86/sys-rig.h"

enum { MSR_WALL = 0x4b564d00, MSR_TIME = 0x4b564d01, PAGE = 0x3000, WALL = 0x3100 };

static uint64_t ticks;
static unsigned told;

static uint64_t tsc(void *opaque) { return ticks; }
static int64_t wall_ns(void *opaque) { return 1700000000123456789ll; }
static void ram_done(void *opaque, gpa_t gpa, uint64_t len) { told++; }

static void *ram(void *opaque, gpa_t gpa, uint64_t len)
{
    struct sys_rig *r = opaque;

    return gpa < SR_BYTES && len <= SR_BYTES - gpa ? r->ram + gpa : NULL;
}

static struct sys_rig *clock_rig(uint64_t hz)
{
    struct sys_rig *r = sr_new();

    r->bus.tsc = tsc;
    r->bus.wall_ns = wall_ns;
    r->bus.ram = ram;
    r->bus.ram_done = ram_done;
    r->model.tsc_hz = hz;
    ticks = told = 0;
    return r;
}

/* As a guest computes it. */
static uint64_t guest_ns(const uint8_t *p, uint64_t guest_tsc)
{
    uint64_t d = guest_tsc - ldl64(p + 8);
    int8_t shift = (int8_t)p[28];

    d = shift < 0 ? d >> -shift : d << shift;
    return ldl64(p + 16) + (uint64_t)((unsigned __int128)d * ldl32(p + 24) >> 32);
}

Test(pv, the_clock_is_the_TSC_in_ns)
{
    static const uint64_t rates[] = { 1000000, 33333333, 999999999, 1000000000, 1000000001, 2299998000, 5700000000 };

    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        struct sys_rig *r = clock_rig(rates[i]);
        uint8_t *p = r->ram + PAGE;

        ticks = rates[i] * 7;
        cr_assert(x86_msr_write(r->cpu, MSR_TIME, PAGE | 1));
        cr_assert_eq(told, 1);
        cr_assert_eq(ldl32(p) & 1, 0, "the version is even");
        cr_assert_eq(p[29], 1, "the TSCs agree");
        for (unsigned s = 7; s < 4000; s += 1331) {
            uint64_t want = s * 1000000000ull, got = guest_ns(p, rates[i] * s);

            cr_assert(got <= want + 1 && want - got < 3000, "%llu Hz, %u s: %llu", (unsigned long long)rates[i], s,
                      (unsigned long long)got);
        }
        sr_free(r);
    }
}

Test(pv, the_clock_goes_on_when_the_guest_changes_its_TSC)
{
    struct sys_rig *r = clock_rig(2000000000);
    uint8_t *p = r->ram + PAGE;
    uint32_t version;

    cr_assert(x86_msr_write(r->cpu, MSR_TIME, PAGE | 1));
    version = ldl32(p);
    ticks = 2000000000;
    cr_assert(x86_msr_write(r->cpu, 0x10, 5));
    cr_assert_neq(ldl32(p), version);
    cr_assert(1000000000 - guest_ns(p, 5) <= 1, "%llu", (unsigned long long)guest_ns(p, 5));
    cr_assert(x86_msr_write(r->cpu, MSR_TIME, 0));
    version = ldl32(p);
    cr_assert(x86_msr_write(r->cpu, 0x10, 77));
    cr_assert_eq(ldl32(p), version, "switched off");
    sr_free(r);
}

Test(pv, addresses_that_are_no_memory_change_nothing)
{
    static const uint64_t bad[] = { SR_BYTES | 1, (SR_BYTES - 16) | 1, 0xfffffffffffffffdull, 0x3003 };
    struct sys_rig *r = clock_rig(1000000000);
    uint64_t v;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert(x86_msr_write(r->cpu, MSR_TIME, bad[i]));
    cr_assert_eq(told, 0);
    r->model.pv = 0;
    cr_assert_not(x86_msr_read(r->cpu, MSR_TIME, &v), "hidden");
    cr_assert_not(x86_msr_write(r->cpu, MSR_WALL, WALL));
    sr_free(r);
}

Test(pv, wall_clock_and_clock_make_the_time_of_day)
{
    struct sys_rig *r = clock_rig(1000000000);

    ticks = 23456789;
    cr_assert(x86_msr_write(r->cpu, MSR_WALL, WALL));
    cr_assert_eq(ldl32(r->ram + WALL) & 1, 0);
    cr_assert_eq(ldl32(r->ram + WALL + 4), 1700000000);
    cr_assert(ldl32(r->ram + WALL + 8) - 100000000 <= 1, "%u", ldl32(r->ram + WALL + 8));
    sr_free(r);
}

/* ---- steal time ----------------------------------------------------------------------- */

enum { MSR_STEAL = 0x4b564d03, MSR_EOI = 0x4b564d04, STEAL = 0x3200, AT_VERSION = 8, AT_PREEMPTED = 16 };

static uint64_t stolen;

static uint64_t steal_ns(void *opaque) { return stolen; }

static struct sys_rig *steal_rig(void)
{
    struct sys_rig *r = clock_rig(1000000000);

    r->bus.steal_ns = steal_ns;
    stolen = 5000;
    return r;
}

Test(pv, stolen_time_is_told_from_when_it_is_asked_for)
{
    struct sys_rig *r = steal_rig();
    uint8_t *p = r->ram + STEAL;

    cr_assert(x86_msr_write(r->cpu, MSR_STEAL, STEAL | 1));
    cr_assert_eq(ldl64(p), 0);
    cr_assert_eq(ldl32(p + AT_VERSION) & 1, 0);
    stolen += 700;
    x86_pv_steal_update(r->cpu);
    cr_assert_eq(ldl64(p), 0, "not so often");
    ticks += r->model.tsc_hz;
    x86_pv_steal_update(r->cpu);
    cr_assert_eq(ldl64(p), 700);
    cr_assert_eq(ldl32(p + AT_VERSION) & 1, 0, "the version is even");
    cr_assert(x86_msr_write(r->cpu, MSR_STEAL, 0));
    stolen += 700;
    ticks += r->model.tsc_hz;
    x86_pv_steal_update(r->cpu);
    cr_assert_eq(ldl64(p), 700, "switched off");
    sr_free(r);
}

Test(pv, who_waits_says_so_and_flushes_when_told)
{
    struct sys_rig *r = steal_rig();
    uint8_t *p = r->ram + STEAL;

    x86_pv_wait_begin(r->cpu);
    cr_assert_eq(p[AT_PREEMPTED], 0, "nobody asked");
    cr_assert(x86_msr_write(r->cpu, MSR_STEAL, STEAL | 1));
    x86_pv_wait_begin(r->cpu);
    cr_assert_eq(p[AT_PREEMPTED], 1);
    p[AT_PREEMPTED] |= 2;
    x86_pv_wait_end(r->cpu);
    cr_assert_eq(p[AT_PREEMPTED], 0);
    sr_free(r);
}

Test(pv, msrs_come_with_their_features)
{
    static const struct { uint32_t msr, bit; } rows[] = { { MSR_STEAL, PV_STEAL_TIME }, { MSR_EOI, PV_EOI },
                                                          { MSR_TIME, PV_CLOCK }, { 0x12, PV_CLOCK_OLD } };
    struct sys_rig *r = steal_rig();
    uint64_t v;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        r->model.pv = rows[i].bit;
        cr_assert(x86_msr_read(r->cpu, rows[i].msr, &v));
        r->model.pv = PV_ALL & ~rows[i].bit;
        cr_assert_not(x86_msr_read(r->cpu, rows[i].msr, &v), "%#x", rows[i].msr);
        cr_assert_not(x86_msr_write(r->cpu, rows[i].msr, 0));
    }
    r->model.pv = PV_ALL;
    cr_assert_not(x86_msr_write(r->cpu, MSR_STEAL, STEAL | 3), "reserved bits");
    sr_free(r);
}

/* ---- hypercalls -------------------------------------------------------------------------- */

enum { KICK = 5, SEND_IPI = 10, YIELD = 11 };

static struct { uint32_t kicked, first, icr; uint64_t map[2]; } asked;

static bool pv_kick(void *opaque, uint32_t apic_id)
{
    asked.kicked = apic_id;
    return true;
}

static int pv_send_ipi(void *opaque, const uint64_t map[2], uint32_t first, uint32_t icr)
{
    asked.map[0] = map[0];
    asked.map[1] = map[1];
    asked.first = first;
    asked.icr = icr;
    return 3;
}

static struct sys_rig *call_rig(void)
{
    struct sys_rig *r = clock_rig(1000000000);

    r->bus.pv_kick = pv_kick;
    r->bus.pv_send_ipi = pv_send_ipi;
    memset(&asked, 0, sizeof(asked));
    return r;
}

static uint64_t call(struct sys_rig *r, uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    GPR(r->cpu, R_AX) = nr;
    GPR(r->cpu, R_BX) = a;
    GPR(r->cpu, R_CX) = b;
    GPR(r->cpu, R_DX) = c;
    GPR(r->cpu, R_SI) = d;
    h_vmcall(&r->cpu->tcg, 0, 0, 0);
    return GPR(r->cpu, R_AX);
}

Test(pv, hypercalls_in_32_bit_code)
{
    struct sys_rig *r = call_rig();
    const uint64_t high = 0xabcdef00ull << 32;

    cr_assert_eq(call(r, high | KICK, 0, high | 7, 0, 0), 0);
    cr_assert_eq(asked.kicked, 7);
    cr_assert_eq(call(r, SEND_IPI, high | 0x80000001, high | 2, 9, 0x41), 3);
    cr_assert_eq(asked.map[0], 0x280000001ull, "halves of 32 bits");
    cr_assert_eq(asked.map[1], 0);
    cr_assert_eq(asked.first, 9);
    cr_assert_eq(asked.icr, 0x41);
    cr_assert_eq(call(r, SEND_IPI, 1, 0, 0, 0x841), (uint32_t)-22, "a logical destination");
    cr_assert_eq(call(r, YIELD, 1, 0, 0, 0), 0);
    cr_assert_eq(call(r, 1234, 0, 0, 0, 0), (uint32_t)-1000);
    sr_free(r);
}

Test(pv, hypercalls_need_their_features_and_ring_0)
{
    static const struct { uint64_t nr; uint32_t bit; } rows[] = { { KICK, PV_UNHALT }, { SEND_IPI, PV_SEND_IPI },
                                                                  { YIELD, PV_SCHED_YIELD } };
    struct sys_rig *r = call_rig();

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        r->model.pv = PV_ALL & ~rows[i].bit;
        cr_assert_eq(call(r, rows[i].nr, 0, 0, 0, 0x41), (uint32_t)-1000);
        r->model.pv = rows[i].bit;
        cr_assert_neq(call(r, rows[i].nr, 0, 0, 0, 0x41), (uint32_t)-1000);
        r->cpu->cpl = 3;
        cr_assert_eq(call(r, rows[i].nr, 0, 0, 0, 0x41), (uint32_t)-1);
        r->cpu->cpl = 0;
    }
    sr_free(r);
}

/* Without IF only this ends HLT; while the CPU runs it waits. */
Test(pv, a_kick_ends_hlt)
{
    struct sys_rig *r = call_rig();

    r->cpu->eflags &= ~(uint32_t)EF_IF;
    r->intr = X86_INTR_UNHALT;
    tcg_kick(&r->cpu->tcg);
    cr_assert(x86_service(&r->cpu->tcg));
    cr_assert_eq(r->intr, X86_INTR_UNHALT, "nothing to end: kept");
    r->cpu->halted = true;
    tcg_kick(&r->cpu->tcg);
    cr_assert(x86_service(&r->cpu->tcg));
    cr_assert_not(r->cpu->halted);
    cr_assert_eq(r->intr, 0);
    cr_assert_eq(r->halts, 0);
    sr_free(r);
}
