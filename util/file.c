/*
 * file.c - files that are only there while we run, and the standard ones
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/util.h"

void std_fds_open(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            _exit(1);            /* there is nobody to tell */
}

int stdout_flush(struct err *e)
{
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    return err_set(e, -EIO, "standard output: %s", strerror(errno ? errno : EIO));
}

void unlink_regular(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path);
}
