/* err.c - messages */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "util/util.h"

Test(err, message_and_code)
{
    struct err e = { "" };

    cr_assert_eq(err_set(&e, -ENOENT, "%s: %d", "file", 7), -ENOENT);
    cr_assert_str_eq(e.msg, "file: 7");
    cr_assert_eq(err_set(NULL, -EIO, "dropped"), -EIO);
}

Test(err, long_message_is_cut)
{
    struct err e;
    char big[1000];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    err_set(&e, -1, "%s", big);
    cr_assert_eq(strlen(e.msg), sizeof(e.msg) - 1);
}

Test(err, allocation)
{
    char *z = xzalloc(16), *s = xasprintf("%d-%s", 5, "x");

    cr_assert_eq(z[15], 0);
    cr_assert_str_eq(s, "5-x");
    free(z);
    free(s);
}
