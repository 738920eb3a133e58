/*
 * file.c - files that are only there while we run
 */
#include <sys/stat.h>
#include <unistd.h>
#include "util/util.h"

void unlink_regular(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path);
}
