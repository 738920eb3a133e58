/*
 * timeit.c - runs a program as a benchmark kernel: timeit NAME PROGRAM [ARGUMENT]...
 *
 * Prints the same lines as main.c; the checksum is that of what the program wrote
 * to its standard output, which must not depend on the time or the place.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kernel.h"

static double wall_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double children_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void stay_on_this_cpu(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

/* Checksum of what the child writes until it closes the pipe */
static uint64_t sum_output(int fd)
{
    static uint8_t buf[65536];
    uint64_t sum = 1;

    for (ssize_t got; (got = read(fd, buf, sizeof(buf))) > 0; )
        for (ssize_t i = 0; i < got; i++)
            sum = (sum ^ buf[i]) * 0x100000001b3u;
    return sum;
}

int main(int argc, char **argv)
{
    int fd[2], status;
    double start;
    uint64_t sum;
    pid_t pid;

    if (argc < 3 || pipe(fd)) {
        fprintf(stderr, "usage: timeit NAME PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    stay_on_this_cpu();
    printf("begin %s\n", argv[1]);
    fflush(stdout);
    start = wall_s();
    pid = fork();
    if (!pid) {
        dup2(fd[1], 1);
        close(fd[0]);
        close(fd[1]);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    close(fd[1]);
    sum = sum_output(fd[0]);
    if (waitpid(pid, &status, 0) != pid || status) {
        printf("failed %s status %d\n", argv[1], status);
        return 1;
    }
    printf("%s %.6f %016llx %.6f\n", argv[1], wall_s() - start, (unsigned long long)sum, children_s());
    return 0;
}
