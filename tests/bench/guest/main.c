/*
 * main.c - runs the kernels of one class: CLASS [-s PERCENT] [-l] [NAME]...
 *
 * One line a kernel: "NAME SECONDS CHECKSUM CPU-SECONDS", after a line "begin NAME"
 * by which an observer outside knows when it started. Both times are those of the
 * guest's clocks; the second one counts children too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "kernel.h"

char bench_dir[4096];

void bench_check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static double wall_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double usage_s(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static double cpu_s(void) { return usage_s(RUSAGE_SELF) + usage_s(RUSAGE_CHILDREN); }

/* Processes that talk to each other are to share a CPU, as in a guest that has one */
static void stay_on_this_cpu(void)
{
    cpu_set_t set;
    int cpu = sched_getcpu();

    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void measure(const struct kernel *k, unsigned percent)
{
    uint64_t n = k->n * percent / 100, sum;
    double wall, cpu;

    if (k->usable && !k->usable()) {
        printf("skip %s\n", k->name);
        return;
    }
    if (k->prepare)
        k->prepare();
    printf("begin %s\n", k->name);
    fflush(stdout);
    cpu = cpu_s();
    wall = wall_s();
    sum = k->run(n ? n : 1);
    wall = wall_s() - wall;
    cpu = cpu_s() - cpu;
    printf("%s %.6f %016llx %.6f\n", k->name, wall, (unsigned long long)sum, cpu);
    fflush(stdout);
}

static int is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(name, argv[i]))
            return 1;
    return argc == 0;
}

int main(int argc, char **argv)
{
    unsigned percent = 100;
    int opt, list = 0;
    char *slash;

    snprintf(bench_dir, sizeof(bench_dir), "%s", argv[0]);
    slash = strrchr(bench_dir, '/');
    strcpy(slash ? slash : bench_dir, slash ? "" : ".");
    while ((opt = getopt(argc, argv, "s:l")) != -1) {
        if (opt == 'l')
            list = 1;
        else if (opt != 's' || !(percent = (unsigned)strtoul(optarg, NULL, 10))) {
            fprintf(stderr, "usage: %s [-s PERCENT] [-l] [NAME]...\n", argv[0]);
            return 2;
        }
    }
    stay_on_this_cpu();
    for (const struct kernel *k = kernels; k->name; k++) {
        if (!is_wanted(k->name, argc - optind, argv + optind))
            continue;
        if (list)
            puts(k->name);
        else
            measure(k, percent);
    }
    return 0;
}
