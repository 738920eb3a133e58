/* kvmclock: what the guest finds in its page */
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
