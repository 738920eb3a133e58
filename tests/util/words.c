/* words.c - nearest_word() and parse_size() */
#include <criterion/criterion.h>
#include "util/util.h"

static const char *const words[] = { "machine", "memory", "monitor", "serial" };

Test(words, nearest)
{
    cr_assert_str_eq(nearest_word("machin", words, 4), "machine");
    cr_assert_str_eq(nearest_word("seriel", words, 4), "serial");
    cr_assert_str_eq(nearest_word("memory", words, 4), "memory");
    cr_assert_null(nearest_word("xyzzy", words, 4));
    cr_assert_null(nearest_word("", words, 4));
    cr_assert_null(nearest_word("m", words, 0));
}

static void check_size(const char *s, uint64_t unit, uint64_t want)
{
    uint64_t got = 0;

    cr_assert_eq(parse_size(s, unit, &got), 0, "%s", s);
    cr_assert_eq(got, want, "%s: %#lx", s, (unsigned long)got);
}

Test(words, sizes)
{
    check_size("128", MiB, 128 * MiB);
    check_size("512M", 1, 512 * MiB);
    check_size("1.5G", MiB, 1536 * MiB);
    check_size("4096k", MiB, 4 * MiB);
    check_size("0x1000", 1, 4096);
    check_size("0.3k", 1, 307);
    check_size("77b", MiB, 77);
    check_size("0", MiB, 0);
}

Test(words, bad_sizes)
{
    uint64_t v = 42;

    cr_assert_eq(parse_size("", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("-1", 1, &v), -EINVAL);
    cr_assert_eq(parse_size(" 1", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("12Q", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("12MB", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("1.", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("0x", 1, &v), -EINVAL);
    cr_assert_eq(parse_size("99999999999999999999", 1, &v), -ERANGE);
    cr_assert_eq(parse_size("17179869184G", 1, &v), -ERANGE);
    cr_assert_eq(v, 42, "a failure leaves the result alone");
}

Test(words, ids)
{
    static const char *const good[] = { "a", "net0", "A-b_c.9" };
    static const char *const bad[] = { "", "0", "#net0", "-a", "a b", "a\"", "a#", "\xc3\xa4" };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        cr_assert(id_is_good(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(id_is_good(bad[i]), "%s", bad[i]);
}
