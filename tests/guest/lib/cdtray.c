/* cdtray.c - in a guest: "cdtray open|close DEVICE" */
#include <fcntl.h>
#include <linux/cdrom.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
    int fd = argc == 3 ? open(argv[2], O_RDONLY | O_NONBLOCK) : -1;

    if (fd < 0)
        return 2;
    return ioctl(fd, strcmp(argv[1], "open") ? CDROMCLOSETRAY : CDROMEJECT, 0) < 0;
}
