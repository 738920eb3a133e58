/* file.c - what may be removed and what may not */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/temp-file.h"
#include "util/util.h"

TEMP_DIR_SUITE(file);

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
