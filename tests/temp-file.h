/* temp-file.h - a file with given bytes, for the test to remove */
#ifndef TESTS_TEMP_FILE_H
#define TESTS_TEMP_FILE_H

#include <criterion/criterion.h>
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

#endif
