/* system.c - what costs a trip into the guest's kernel */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel.h"

enum { PAGE = 4096 };

static uint64_t run_getppid(uint64_t n)
{
    long first = syscall(SYS_getppid);
    uint64_t same = 0;

    for (uint64_t i = 0; i < n; i++)
        same += syscall(SYS_getppid) == first;
    return same;
}

static uint64_t run_readwrite(uint64_t n)
{
    static char buf[PAGE];
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    uint64_t bytes = 0;

    bench_check(zero >= 0 && null >= 0, "/dev/zero, /dev/null");
    for (uint64_t i = 0; i < n; i++) {
        bytes += (uint64_t)read(zero, buf, sizeof(buf));
        bytes += (uint64_t)write(null, buf, sizeof(buf));
    }
    close(zero);
    close(null);
    return bytes;
}

static uint64_t run_stat(uint64_t n)
{
    struct stat st;
    uint64_t good = 0;

    for (uint64_t i = 0; i < n; i++)
        good += stat("/proc/self/../..", &st) == 0;
    return good;
}

/* a byte through a pipe within one process */
static uint64_t run_pipe(uint64_t n)
{
    int fd[2];
    char c = 0;
    uint64_t sum = 0;

    bench_check(!pipe(fd), "pipe");
    for (uint64_t i = 0; i < n; i++) {
        c = (char)i;
        bench_check(write(fd[1], &c, 1) == 1 && read(fd[0], &c, 1) == 1, "pipe");
        sum += (uint8_t)c;
    }
    close(fd[0]);
    close(fd[1]);
    return sum;
}

static void wait_for(pid_t pid)
{
    int status;

    bench_check(waitpid(pid, &status, 0) == pid && status == 0, "child");
}

/* two processes and two pipes: two context switches a round */
static uint64_t run_pingpong(uint64_t n)
{
    int go[2], back[2];
    uint64_t v = 0;
    pid_t pid;

    bench_check(!pipe(go) && !pipe(back), "pipe");
    pid = fork();
    bench_check(pid >= 0, "fork");
    if (!pid) {
        for (uint64_t i = 0; i < n; i++) {
            if (read(go[0], &v, 8) != 8)
                _exit(1);
            v = v * 3 + 1;
            if (write(back[1], &v, 8) != 8)
                _exit(1);
        }
        _exit(0);
    }
    for (uint64_t i = 0; i < n; i++)
        bench_check(write(go[1], &v, 8) == 8 && read(back[0], &v, 8) == 8, "pipe");
    wait_for(pid);
    close(go[0]), close(go[1]), close(back[0]), close(back[1]);
    return v;
}

/* the same with 64 pages touched in each process between switches */
static uint64_t run_switch_touch(uint64_t n)
{
    static volatile uint8_t mem[64 * PAGE];
    int go[2], back[2];
    uint64_t v = 0;
    pid_t pid;

    bench_check(!pipe(go) && !pipe(back), "pipe");
    pid = fork();
    bench_check(pid >= 0, "fork");
    for (uint64_t i = 0; i < n; i++) {
        int in = pid ? back[0] : go[0], out = pid ? go[1] : back[1];

        if (!pid && read(in, &v, 8) != 8)
            _exit(1);
        for (int p = 0; p < 64; p++)
            mem[p * PAGE + (i & 63)]++;
        v += mem[i % 64 * PAGE + (i & 63)];
        if (write(out, &v, 8) != 8)
            _exit(1);
        if (pid && read(in, &v, 8) != 8)
            _exit(1);
    }
    if (!pid)
        _exit(0);
    wait_for(pid);
    close(go[0]), close(go[1]), close(back[0]), close(back[1]);
    return v;
}

static uint64_t run_fork(uint64_t n)
{
    uint64_t done = 0;

    for (uint64_t i = 0; i < n; i++) {
        pid_t pid = fork();

        bench_check(pid >= 0, "fork");
        if (!pid)
            _exit(0);
        wait_for(pid);
        done++;
    }
    return done;
}

/* fork with 8 MiB touched before, of which the child writes a quarter */
static uint64_t run_fork_cow(uint64_t n)
{
    enum { LEN = 8 << 20 };
    volatile uint8_t *m = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;

    bench_check(m != MAP_FAILED, "mmap");
    madvise((void *)m, LEN, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < n; i++) {
        pid_t pid;

        for (size_t at = 0; at < LEN; at += PAGE)
            m[at]++;
        pid = fork();
        bench_check(pid >= 0, "fork");
        if (!pid) {
            for (size_t at = 0; at < LEN; at += 4 * PAGE)
                m[at]++;
            _exit(0);
        }
        wait_for(pid);
        sum += m[i % 2048 * PAGE];
    }
    munmap((void *)m, LEN);
    return sum;
}

static uint64_t run_exec(uint64_t n)
{
    char path[4200];
    char *argv[] = { "tiny", NULL }, *envp[] = { NULL };
    uint64_t done = 0;

    snprintf(path, sizeof(path), "%s/tiny", bench_dir);
    for (uint64_t i = 0; i < n; i++) {
        pid_t pid;

        bench_check(!posix_spawn(&pid, path, NULL, NULL, argv, envp), path);
        wait_for(pid);
        done++;
    }
    return done;
}

/* map, touch every page, unmap: the page fault path */
static uint64_t touch_rounds(uint64_t n, size_t len)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        volatile uint8_t *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        bench_check(m != MAP_FAILED, "mmap");
        madvise((void *)m, len, MADV_NOHUGEPAGE);
        for (size_t at = 0; at < len; at += PAGE)
            sum += m[at] += 3;
        munmap((void *)m, len);
    }
    return sum;
}

static uint64_t run_mmap(uint64_t n) { return touch_rounds(n, PAGE); }
static uint64_t run_fault(uint64_t n) { return touch_rounds(n, 4 << 20); }

/* faults on a file's pages in the page cache */
static uint64_t run_fault_file(uint64_t n)
{
    enum { LEN = 64 * PAGE };
    static uint8_t buf[LEN];
    uint64_t sum = 0;
    int fd = memfd_create("bench", 0);

    for (int i = 0; i < LEN; i++)
        buf[i] = (uint8_t)(i >> 8);
    bench_check(fd >= 0 && write(fd, buf, LEN) == LEN, "memfd");
    for (uint64_t i = 0; i < n; i++) {
        volatile uint8_t *m = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);

        bench_check(m != MAP_FAILED, "mmap");
        for (size_t at = 0; at < LEN; at += PAGE)
            sum += m[at];
        munmap((void *)m, LEN);
    }
    close(fd);
    return sum;
}

static uint64_t run_mprotect(uint64_t n)
{
    volatile uint8_t *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;

    bench_check(m != MAP_FAILED, "mmap");
    for (uint64_t i = 0; i < n; i++) {
        mprotect((void *)m, PAGE, PROT_READ);
        sum += *m;
        mprotect((void *)m, PAGE, PROT_READ | PROT_WRITE);
        *m = (uint8_t)i;
    }
    munmap((void *)m, PAGE);
    return sum;
}

static volatile uint64_t signals;
static void on_signal(int sig) { signals += (uint64_t)sig; }

static uint64_t run_signal(uint64_t n)
{
    struct sigaction act = { .sa_handler = on_signal }, old;

    signals = 0;
    sigaction(SIGUSR1, &act, &old);
    for (uint64_t i = 0; i < n; i++)
        kill(getpid(), SIGUSR1);
    sigaction(SIGUSR1, &old, NULL);
    return signals;
}

static sigjmp_buf out_of_fault;
static void on_fault(int sig) { siglongjmp(out_of_fault, sig); }

/* a null pointer, caught: page fault, signal, return over the system call */
static uint64_t run_segv(uint64_t n)
{
    struct sigaction act = { .sa_handler = on_fault }, old;
    int *volatile nowhere = (int *)16;
    volatile uint64_t caught = 0;

    sigaction(SIGSEGV, &act, &old);
    for (volatile uint64_t i = 0; i < n; i++) {
        if (sigsetjmp(out_of_fault, 1))
            caught++;
        else
            *nowhere = 1;
    }
    sigaction(SIGSEGV, &old, NULL);
    return caught;
}

static uint64_t run_yield(uint64_t n)
{
    pid_t pid = fork();

    bench_check(pid >= 0, "fork");
    for (uint64_t i = 0; i < n; i++)
        sched_yield();
    if (!pid)
        _exit(0);
    wait_for(pid);
    return n;
}

const struct kernel kernels[] = {
    { "getppid", run_getppid, 2500000, 0, 0 },
    { "readwrite_4k", run_readwrite, 800000, 0, 0 },
    { "stat", run_stat, 200000, 0, 0 },
    { "pipe", run_pipe, 400000, 0, 0 },
    { "pingpong", run_pingpong, 80000, 0, 0 },
    { "switch_touch", run_switch_touch, 60000, 0, 0 },
    { "yield", run_yield, 150000, 0, 0 },
    { "fork", run_fork, 2500, 0, 0 },
    { "fork_cow", run_fork_cow, 70, 0, 0 },
    { "exec", run_exec, 1500, 0, 0 },
    { "mmap", run_mmap, 50000, 0, 0 },
    { "fault", run_fault, 100, 0, 0 },
    { "fault_file", run_fault_file, 12000, 0, 0 },
    { "mprotect", run_mprotect, 120000, 0, 0 },
    { "signal", run_signal, 250000, 0, 0 },
    { "segv", run_segv, 150000, 0, 0 },
    { 0, 0, 0, 0, 0 },
};
