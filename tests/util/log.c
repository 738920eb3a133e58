/* log.c - items, files, filters */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>
#include "util/util.h"

Test(log, items)
{
    struct err e = { "" };

    cr_assert_eq(log_set_items("in_asm,int", &e), 0);
    cr_assert_eq(log_mask, LOG_IN_ASM | LOG_INT);
    cr_assert(log_on(LOG_INT));
    cr_assert_not(log_on(LOG_MMU));
    cr_assert_eq(log_set_items("none", &e), 0);
    cr_assert_eq(log_mask, 0);
    cr_assert_eq(log_set_items("all", &e), 0);
    cr_assert(log_on(LOG_DMA));
    cr_assert_not(log_on(LOG_NOCHAIN));
}

Test(log, unknown_item_names_the_nearest)
{
    struct err e = { "" };

    cr_assert_eq(log_set_items("int", NULL), 0);
    cr_assert_eq(log_set_items("cpu,in_asn", &e), -EINVAL);
    cr_assert(strstr(e.msg, "'in_asn'") && strstr(e.msg, "'in_asm'"), "%s", e.msg);
    cr_assert_eq(log_mask, LOG_INT, "a failure changes nothing");
}

Test(log, filter)
{
    struct err e = { "" };

    cr_assert(log_in_filter(5));
    cr_assert_eq(log_set_filter("0x1000+0x10,0x2000..0x2004,100-3", &e), 0);
    cr_assert(log_in_filter(0x1000) && log_in_filter(0x100f));
    cr_assert_not(log_in_filter(0x1010));
    cr_assert(log_in_filter(0x2004));
    cr_assert_not(log_in_filter(0x2005));
    cr_assert(log_in_filter(98) && log_in_filter(100));
    cr_assert_not(log_in_filter(97) || log_in_filter(101));
    cr_assert_eq(log_set_filter("0xfffffffffffffff0+0x100", &e), 0);
    cr_assert(log_in_filter(UINT64_MAX));
    cr_assert_eq(log_set_filter("12", &e), -EINVAL);
    cr_assert_eq(log_set_filter("9..1", &e), -EINVAL);
    cr_assert_eq(log_set_filter("1+0", &e), -EINVAL);
}

Test(log, file_lines)
{
    struct err e = { "" };
    char dir[] = "/tmp/transom-log-XXXXXX", path[64], want[64], text[2200] = "", big[1500];
    FILE *f;

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/%%d.txt", dir);
    cr_assert_eq(log_set_file(path, &e), 0, "%s", e.msg);
    log_mask = LOG_PIC;
    log_ev(LOG_PIC, "a=%d", 1);
    log_ev(LOG_PIT, "not shown");
    log_guest(LOG_PIC, "b=%d\n", 2);
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    log_write("%s", big);
    cr_assert_eq(log_set_file(NULL, &e), 0);
    snprintf(want, sizeof(want), "%s/%d.txt", dir, (int)getpid());
    f = fopen(want, "r");
    cr_assert_not_null(f);
    cr_assert_eq(fread(text, 1, sizeof(text) - 1, f), 8 + 1500);
    fclose(f);
    unlink(want);
    rmdir(dir);
    cr_assert_eq(strncmp(text, "a=1\nb=2\nxxx", 11), 0, "%s", text);
    cr_assert_eq(text[8 + 1499], '\n');
}

Test(log, bad_file)
{
    struct err e = { "" };

    cr_assert_eq(log_set_file("/nonexistent/x", &e), -ENOENT);
    cr_assert_str_eq(e.msg, "/nonexistent/x: No such file or directory");
    cr_assert_eq(log_set_file("/tmp/x%s", &e), -EINVAL);
}
