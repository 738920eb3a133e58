/* own_file.c - which files are trusted, and that they are replaced as a whole */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <dirent.h>
#include "util/util.h"

#define SOMEBODY (getuid() == 65534 ? 65533 : 65534)     /* another user */

static char dir[] = "/tmp/transom-own-XXXXXX", path[64], other[64];

static void setup(void)
{
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    snprintf(other, sizeof other, "%s/other", dir);
}

static void teardown(void)
{
    chmod(dir, 0700);
    unlink(path);
    rmdir(path);
    unlink(other);
    rmdir(dir);
}

TestSuite(own_file, .init = setup, .fini = teardown);

static void put(const char *at, const char *text, mode_t mode)
{
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* What reading gives; @e says why when it is no content. */
static ssize_t read_it(char *buf, size_t room, struct err *e)
{
    struct own_file f;
    ssize_t n;

    cr_assert_eq(own_file_open(&f, path, e), 0, "%s", e->msg);
    n = own_file_read(&f, buf, room, e);
    own_file_close(&f);
    return n;
}

static void refused(const char *why)
{
    struct err e = { "" };
    char buf[100];

    cr_assert_eq(read_it(buf, sizeof buf, &e), -EPERM, "taken, or refused otherwise: %s", e.msg);
    cr_assert(strstr(e.msg, why), "'%s', not '%s'", e.msg, why);
    cr_assert(strstr(e.msg, path));
}

static void dir_refused(const char *why)
{
    struct err e = { "" };
    struct own_file f;

    cr_assert_eq(own_file_open(&f, path, &e), -EPERM, "%s", e.msg);
    cr_assert(strstr(e.msg, why), "'%s', not '%s'", e.msg, why);
    own_file_close(&f);
}

static unsigned count_files(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    cr_assert(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

Test(own_file, comes_back_and_is_for_us_alone)
{
    struct err e = { "" };
    struct own_file f;
    struct stat st;
    char buf[10];

    umask(0);
    cr_assert_eq(own_file_open(&f, path, &e), 0, "%s", e.msg);
    cr_assert_eq(own_file_read(&f, buf, sizeof buf, &e), 0, "there is none yet");
    cr_assert_eq(own_file_replace(&f, "first one", 9, &e), 0, "%s", e.msg);
    cr_assert_eq(own_file_replace(&f, "other", 5, &e), 0, "%s", e.msg);
    cr_assert_eq(own_file_read(&f, buf, sizeof buf, &e), 5, "%s", e.msg);
    cr_assert_arr_eq(buf, "other", 5);
    cr_assert_eq(own_file_read(&f, buf, 5, &e), 5, "as long as there is room");
    cr_assert_eq(own_file_read(&f, buf, 4, &e), -EFBIG);
    own_file_close(&f);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(count_files(), 1, "something is left over");
}

Test(own_file, no_link)
{
    put(other, "text", 0600);
    cr_assert_eq(symlink("other", path), 0);
    refused("a symbolic link");
}

Test(own_file, no_link_is_followed_when_it_is_replaced)
{
    struct err e = { "" };
    struct own_file f;
    struct stat st;

    put(other, "text", 0600);
    cr_assert_eq(symlink("other", path), 0);
    cr_assert_eq(own_file_open(&f, path, &e), 0);
    cr_assert_eq(own_file_replace(&f, "a longer text", 13, &e), 0, "%s", e.msg);
    own_file_close(&f);
    cr_assert_eq(stat(other, &st), 0);
    cr_assert_eq(st.st_size, 4, "it went where the link led");
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISREG(st.st_mode));
}

Test(own_file, no_directory) { mkdir(path, 0700); refused("not a regular file"); }
Test(own_file, no_pipe) { cr_assert_eq(mkfifo(path, 0600), 0); refused("not a regular file"); }
Test(own_file, not_when_a_group_may_write) { put(path, "text", 0620); refused("others may write to it"); }
Test(own_file, not_when_all_may_write) { put(path, "text", 0602); refused("others may write to it"); }

Test(own_file, not_another_users)
{
    put(path, "text", 0600);
    if (chown(path, SOMEBODY, (gid_t)-1))
        cr_skip_test("only root can give files away");
    refused("belongs to another user");
}

Test(own_file, not_in_a_directory_where_others_rename)
{
    chmod(dir, 0770);
    dir_refused("others may write to its directory");
    chmod(dir, 0707);
    dir_refused("others may write to its directory");
}

Test(own_file, not_in_another_users_directory)
{
    if (chown(dir, SOMEBODY, (gid_t)-1))
        cr_skip_test("only root can give directories away");
    dir_refused("its directory belongs to another user");
}

Test(own_file, in_a_directory_where_others_rename_only_their_own)
{
    struct err e = { "" };
    char buf[10];

    chmod(dir, 01777);
    put(path, "text", 0644);
    cr_assert_eq(read_it(buf, sizeof buf, &e), 4, "%s", e.msg);
}

Test(own_file, where_it_cannot_be)
{
    struct err e = { "" };
    struct own_file f;

    cr_assert_eq(own_file_open(&f, "/nonexistent/f", &e), -ENOENT);
    cr_assert(strstr(e.msg, "/nonexistent/f"));
    own_file_close(&f);
    snprintf(path, sizeof path, "%s/", dir);
    cr_assert_eq(own_file_open(&f, path, &e), -EINVAL);
    own_file_close(&f);
}

/* Two write, one reads: it has all of one of them. */
Test(own_file, two_at_once)
{
    enum { BYTES = 20000, TIMES = 40 };
    static char buf[BYTES + 1];
    struct err e = { "" };
    struct own_file f;
    int status;

    cr_assert_eq(own_file_open(&f, path, &e), 0);
    for (int who = 0; who < 2; who++)
        if (!fork()) {
            int ret = 0;

            memset(buf, 'a' + who, BYTES);
            for (int i = 0; i < TIMES; i++)
                ret |= own_file_replace(&f, buf, (size_t)(BYTES - i), &e);
            _exit(ret ? 1 : 0);
        }
    for (int i = 0; i < TIMES; i++) {
        ssize_t n = own_file_read(&f, buf, sizeof buf, &e);

        cr_assert(n == 0 || n > BYTES - TIMES, "%zd bytes: %s", n, e.msg);
        for (ssize_t k = 1; k < n; k++)
            cr_assert_eq(buf[k], buf[0]);
    }
    for (int who = 0; who < 2; who++) {
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0, "a writer failed");
    }
    own_file_close(&f);
    cr_assert_eq(count_files(), 1, "something is left over");
}

Test(build_id, there_is_one)
{
    uint8_t id[64], again[4];
    size_t n = build_id(id, sizeof id);

    cr_assert_geq(n, 8);
    cr_assert_eq(build_id(again, sizeof again), sizeof again);
    cr_assert_arr_eq(id, again, sizeof again);
}
