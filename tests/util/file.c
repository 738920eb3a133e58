/* file.c - what may be removed and what may not */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/util.h"

static char dir[] = "/tmp/transom-file-XXXXXX", path[64];

static void setup(void)
{
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, a_file_goes)
{
    cr_assert_eq(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
    unlink_regular(path);
    cr_assert_neq(access(path, F_OK), 0);
    unlink_regular(path);              /* nothing there: nothing happens */
}

/* -pidfile /dev/stdout and the like */
Test(file, pipes_and_links_stay)
{
    struct stat st;

    cr_assert_eq(mkfifo(path, 0600), 0);
    unlink_regular(path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/dev/null", path), 0);
    unlink_regular(path);
    cr_assert_eq(lstat(path, &st), 0);
}
