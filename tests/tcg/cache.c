/*
 * cache.c - the code cache's memory: its two mappings, and what is made ready of it in advance
 */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include "tcg/tcg-int.h"

static struct code_cache cache_new(void)
{
    struct code_cache c = { 0 };
    struct err e;

    cr_assert_eq(cache_init(&c, 4 * MiB, false, &e), 0, "%s", e.msg);
    return c;
}

Test(cache, what_is_written_at_one_address_is_read_at_the_other)
{
    struct code_cache c = cache_new();

    c.rw[5000] = 0xc3;
    cr_assert_eq(c.rx[5000], 0xc3);
    cr_assert_eq(cache_rw(&c, c.rx + 5000), c.rw + 5000);
    cache_free(&c);
}

Test(cache, both_parts_are_ready_for_a_block_before_it_is_made)
{
    struct code_cache c = cache_new();

    for (unsigned i = 0; i < 100; i++) {
        cache_ready(&c);
        cr_assert_geq(c.ready, MIN(c.used + 64 * KiB, c.cold));
        cr_assert_geq(c.cold_ready, MIN(c.cold_used + 64 * KiB, c.bytes));
        c.used = MIN(c.used + 30000, c.cold);
        c.cold_used = MIN(c.cold_used + 50000, c.bytes);
    }
    cr_assert_eq(c.ready, c.cold);
    cr_assert_eq(c.cold_ready, c.bytes);
    cache_free(&c);
}

Test(cache, little_is_ready_while_little_is_used)
{
    struct code_cache c = cache_new();

    cache_ready(&c);
    cache_ready(&c);
    cr_assert_leq(c.ready, 256 * KiB);
    cr_assert_leq(c.cold_ready - c.cold, 256 * KiB);
    cr_assert_eq(c.rw[0] | c.rw[c.cold], 0);
    cache_free(&c);
}

Test(cache, an_emptied_cache_keeps_its_memory)
{
    struct code_cache c = cache_new();

    c.used = 1 * MiB;
    for (unsigned i = 0; i < 10; i++)
        cache_ready(&c);
    size_t ready = c.ready;
    cache_empty(&c);
    cache_ready(&c);
    cr_assert_eq(c.ready, ready);
    cr_assert_eq(c.used, 0);
    cache_free(&c);
}

Test(cache, an_arena_is_made_ready_to_its_end_and_no_further)
{
    size_t bytes = 1 * MiB, ready = 0;
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(p, MAP_FAILED);
    for (size_t used = 0; used <= bytes; used += 10000) {
        arena_ready(p, &ready, used, bytes);
        cr_assert_geq(ready, MIN(used, bytes));
        cr_assert_leq(ready, bytes);
    }
    cr_assert_eq(ready, bytes);
    cr_assert_eq(p[bytes - 1], 0);
    munmap(p, bytes);
}
