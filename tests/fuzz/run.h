/*
 * run.h - the loop of a fuzzer: seeds in order, in children that may die
 *
 *   PROGRAM [--seed N] [--count N] [--seconds N]
 */
#ifndef TESTS_FUZZ_RUN_H
#define TESTS_FUZZ_RUN_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "util/util.h"

struct fuzz_run {
    const char *name;
    void (*one)(uint64_t seed);  /* exits or dies when it finds something */
    uint64_t count;              /* without --count */
    unsigned per_child;
    volatile uint64_t *shown;    /* [0]: the seed that runs; the rest are the fuzzer's counters */
};
#define FUZZ_COUNTERS 8

static inline uint64_t fuzz_child(const struct fuzz_run *r, uint64_t from, uint64_t to, time_t until, unsigned *found)
{
    int status;
    pid_t pid;

    *r->shown = from;
    fflush(stdout);
    pid = fork();
    if (!pid) {
        for (uint64_t s = from; s < to && (!until || time(NULL) < until); s++) {
            *r->shown = s;
            r->one(s);
        }
        ++*r->shown;
        fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        perror(r->name), exit(2);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return *r->shown;
    ++*found;
    printf("FOUND: seed %llu: %s %d\n", (unsigned long long)*r->shown,
           WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return *r->shown + 1;
}

static inline int fuzz_main(struct fuzz_run *r, int argc, char **argv)
{
    uint64_t seed = 1, count = r->count, from;
    unsigned found = 0, seconds = 0;
    time_t until;

    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t v = strtoull(argv[i + 1], NULL, 0);
        if (!strcmp(argv[i], "--seed"))
            seed = v;
        else if (!strcmp(argv[i], "--count"))
            count = v;
        else if (!strcmp(argv[i], "--seconds"))
            seconds = (unsigned)v, count = ~0ull >> 1;
    }
    until = seconds ? time(NULL) + seconds : 0;
    printf("%s: seed %llu\n", r->name, (unsigned long long)seed);
    for (from = seed; from < seed + count && (!until || time(NULL) < until);)
        from = fuzz_child(r, from, MIN(from + r->per_child, seed + count), until, &found);
    printf("%s: %llu cases, %u found\n", r->name, (unsigned long long)(from - seed), found);
    return found != 0;
}

/** fuzz_shared() - memory for fuzz_run.shown, which children share */
static inline volatile uint64_t *fuzz_shared(void)
{
    void *p = mmap(NULL, FUZZ_COUNTERS * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        perror("mmap"), exit(2);
    return p;
}

#endif
