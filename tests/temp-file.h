/* temp-file.h - a file with given bytes, for the test to remove; a directory for each test of a suite */
#ifndef TESTS_TEMP_FILE_H
#define TESTS_TEMP_FILE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMP_FILE_CHARS 32

/** temp_file() - its name goes to @path, which has room for TEMP_FILE_CHARS */
static inline void temp_file(char *path, const void *bytes, size_t len)
{
    int fd;

    strcpy(path, "/tmp/transom-test-XXXXXX");
    fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/** TEMP_DIR_SUITE() - suite @name; each of its tests has a directory, dir, in which it may leave one file, path */
#define TEMP_DIR_SUITE(name)                                                                 \
    static char dir[] = "/tmp/transom-dir-XXXXXX", path[64];                                 \
    static void setup_dir(void)                                                              \
    {                                                                                        \
        cr_assert(mkdtemp(dir));                                                             \
        snprintf(path, sizeof path, "%s/f", dir);                                            \
    }                                                                                        \
    static void remove_dir(void)                                                             \
    {                                                                                        \
        unlink(path);                                                                        \
        rmdir(dir);                                                                          \
    }                                                                                        \
    TestSuite(name, .init = setup_dir, .fini = remove_dir)

#endif
