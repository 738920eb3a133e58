/*
 * maps.c - the page maps' entries: words and limits
 */
#include <criterion/criterion.h>
#include "tcg/mmu-int.h"

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

#endif
