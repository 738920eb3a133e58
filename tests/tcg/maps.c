/*
 * maps.c - the page maps' entries: words and limits
 */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "tcg/mmu-int.h"
#include "tests/tcg/rig.h"

#if TCG_FLAT_MAPS

static unsigned limit(const uint64_t *e, unsigned k)
{
    return ldl16((const uint8_t *)e + MAP_LIMIT(k));
}

/* What translated code asks: is an access at @va, of up to LIMIT_BYTES bytes, to the page at once? */
static bool below(const uint64_t *e, unsigned k, uint64_t va) { return (uint16_t)va < limit(e, k); }

Test(maps, the_limit_is_the_last_place_where_the_widest_access_fits)
{
    static const uint64_t pages[] = { 0, 0x1000, 0xf000, 0x10000, 0x7ffffffff000, 0xffffffff8100f000, 0xfffffffffffff000 };

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        uint64_t e[MAP_WORDS] = { 0 };

        map_set(e, ACC_READ, pages[i] + 123, 0x5000);
        cr_assert_eq(e[ACC_READ], 0x5000);
        for (unsigned off = 0; off < PAGE_SIZE; off++)
            cr_assert_eq(below(e, ACC_READ, pages[i] + off), off + LIMIT_BYTES <= PAGE_SIZE, "page %u, %#x", i, off);
        cr_assert_not(below(e, ACC_WRITE, pages[i]));
    }
}

Test(maps, what_is_not_in_the_map_has_no_place_below_its_limit)
{
    uint64_t e[MAP_WORDS] = { 0 };

    map_set(e, ACC_WRITE, 0x3000, 0x5000);
    cr_assert(below(e, ACC_WRITE, 0x3ff8));
    map_set(e, ACC_WRITE, 0, 0);
    cr_assert_eq(e[ACC_WRITE], 0);
    for (unsigned off = 0; off < PAGE_SIZE; off++)
        cr_assert_not(below(e, ACC_WRITE, 0x3000 + off));
}

Test(maps, words_come_and_go_without_changing_others)
{
    uint64_t e[MAP_WORDS] = { 0 };

    map_set(e, ACC_READ, 0x3000, 0x5000);
    map_set(e, ACC_WRITE, 0x3000, 0x6000);
    map_set(e, ACC_EXEC, 0x3000, 0xffffffff);
    map_set(e, MAP_BESIDE, 0x3000, 0x7000);
    cr_assert_eq((uint32_t)e[ACC_EXEC], 0xffffffff);
    cr_assert(below(e, ACC_READ, 0x3ff8) && below(e, ACC_WRITE, 0x3ff8));
    map_set(e, ACC_EXEC, 0, 0);
    map_set(e, MAP_BESIDE, 0, 0);
    cr_assert_eq((uint32_t)e[ACC_EXEC], 0);
    cr_assert(below(e, ACC_READ, 0x3ff8) && below(e, ACC_WRITE, 0x3ff8));
    map_set(e, ACC_WRITE, 0, 0);
    cr_assert(below(e, ACC_READ, 0x3ff8) && !below(e, ACC_WRITE, 0x3ff8));
    cr_assert_eq(e[ACC_READ], 0x5000);
}

/* Address space of this process, in pages. */
static unsigned long space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    cr_assert(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    return pages;
}

/* The limit is set so that one after the other of a vCPU's mappings is one too many. */
Test(maps, a_vcpu_that_cannot_be_had_leaves_nothing)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    fprintf(stderr, "skip: sanitizers do not live with a limit of address space\n");
#else
    struct rig *r = rig_new();
    struct rlimit was, now;
    struct tcg_cpu *cpu;
    struct err e = { "" };
    unsigned long before, with;
    bool failed = false, limited = false;

    before = space();
    cpu = tcg_cpu_alloc(r->tcg, &e);
    cr_assert_not_null(cpu, "%s", e.msg);
    with = space();
    tcg_cpu_free(cpu);
    before = space();
    cr_assert_eq(getrlimit(RLIMIT_AS, &was), 0);
    for (unsigned long less = 64; less < 8192 && less < with - before; less += 64) {
        now = was;
        now.rlim_cur = (with - less) * 4096ull;
        cr_assert_eq(setrlimit(RLIMIT_AS, &now), 0);
        cpu = tcg_cpu_alloc(r->tcg, &e);
        limited |= mmap(NULL, 1ull << 46, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED;
        cr_assert_eq(setrlimit(RLIMIT_AS, &was), 0);
        if (cpu) {
            tcg_cpu_free(cpu);
            continue;
        }
        failed = true;
        cr_assert_leq(space(), before + 64, "%lu pages less: %s", less, e.msg);
    }
    if (!limited)
        fprintf(stderr, "skip: no limit of address space here (qemu-user?)\n");
    cr_assert(failed || !limited);
    rig_free(r);
#endif
}

#endif
