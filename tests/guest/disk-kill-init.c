/*
 * disk-kill-init.c - /init of the guest of disk-kill.py: writes to /dev/vda until it is killed
 *
 * Loads the modules /mod/0, /mod/1 ..., then one process a region writes. Step n of writer w
 * fills some sectors with the word w << 56 | n; which ones is a function of w and n alone that
 * disk-kill.py knows too. Every few steps it flushes, and says so: "f w n". "lie" on the
 * kernel's command line: it says so before it has written. That must be found.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WRITERS 4
#define REGION_SECTORS 65536u      /* 32 MiB a writer */
#define MAX_SECTORS 128u
#define FLUSH_STEPS 4

static uint64_t mix(uint64_t v)
{
    v = (v ^ v >> 31) * 0x9e3779b97f4a7c15ull;
    return v ^ v >> 29;
}

static void step(int fd, unsigned w, uint64_t n, uint64_t *buf)
{
    uint64_t h = mix(n * WRITERS + w + 1), word = (uint64_t)w << 56 | n;
    unsigned sectors = 1 + (h >> 8) % MAX_SECTORS;
    unsigned first = (h >> 24) % (REGION_SECTORS - MAX_SECTORS);

    for (unsigned i = 0; i < sectors * 64; i++)
        buf[i] = word;
    if (pwrite(fd, buf, sectors * 512, ((off_t)w * REGION_SECTORS + first) * 512) != sectors * 512) {
        printf("failed write\n");
        exit(1);
    }
}

static void writer(unsigned w, int lie)
{
    int fd = open("/dev/vda", O_RDWR | (w % 2 ? O_DIRECT : 0));
    uint64_t *buf = aligned_alloc(4096, MAX_SECTORS * 512);

    for (uint64_t n = 1; fd >= 0 && buf; n++) {
        if (lie)
            printf("f %u %llu\n", w, (unsigned long long)n);
        step(fd, w, n, buf);
        if (lie || n % FLUSH_STEPS)
            continue;
        if (fdatasync(fd)) {
            printf("failed flush\n");
            exit(1);
        }
        printf("f %u %llu\n", w, (unsigned long long)n);
    }
    printf("failed open\n");
    exit(1);
}

int main(int argc, char **argv)
{
    int console, lie = 0;
    char name[32];

    mount("none", "/dev", "devtmpfs", 0, NULL);
    console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(console, i);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)      /* what the kernel does not know comes here */
        lie |= !strcmp(argv[i], "lie");
    for (int i = 0, fd;; i++) {
        snprintf(name, sizeof name, "/mod/%d", i);
        fd = open(name, O_RDONLY);
        if (fd < 0)
            break;
        if (syscall(SYS_finit_module, fd, "", 0))
            printf("failed module %d\n", i);
        close(fd);
    }
    for (int i = 0; i < 200 && access("/dev/vda", F_OK); i++)
        usleep(50000);
    printf("begin\n");
    for (unsigned w = 0; w < WRITERS; w++)
        if (!fork())
            writer(w, lie);
    for (;;)
        pause();
}
