/*
 * torture.c - runs in a Linux guest with several processors: what they do together has one right result
 *
 *   torture SECONDS     ends with "torture: N rounds, M wrong", exit code 1 when M is not 0
 *
 * A round: locked instructions on shared words, locks of several kinds, groups of processes that send each other
 * messages (as hackbench does), pages that become read-only while others write to them, code that is changed
 * while others run it, processes that come and go.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

static unsigned n_threads, wrong;

static void check(const char *what, uint64_t got, uint64_t want)
{
    if (got == want)
        return;
    wrong++;
    printf("torture: WRONG %s: %llu, not %llu\n", what, (unsigned long long)got, (unsigned long long)want);
}

static void on_all(void *(*fn)(void *))
{
    pthread_t t[MAX_THREADS];

    for (uintptr_t i = 0; i < n_threads; i++)
        if (pthread_create(&t[i], NULL, fn, (void *)i)) {
            perror("torture: thread");
            exit(2);
        }
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(t[i], NULL);
}

/* ---- locked instructions ------------------------------------------------------------------ */

enum { ATOMIC_ROUNDS = 100000 };

static struct {
    _Atomic uint32_t inc;
    _Atomic uint64_t add, cas;
    _Atomic uint8_t byte;
    uint64_t pair[2] __attribute__((aligned(16)));
    uint8_t split[128] __attribute__((aligned(64)));     /* a word over two lines at 62 */
} a;

static void add_pair(void)
{
    uint64_t lo = a.pair[0], hi = a.pair[1];
    uint8_t done;

    do
        __asm__ volatile("lea 1(%%rax), %%rbx; lea 3(%%rdx), %%rcx; lock cmpxchg16b %[m]; setz %[z]"
                         : [m] "+m"(a.pair), [z] "=r"(done), "+a"(lo), "+d"(hi) : : "rbx", "rcx", "cc", "memory");
    while (!done);
}

static void *atomics(void *arg)
{
    uint64_t old;

    for (unsigned i = 0; i < ATOMIC_ROUNDS; i++) {
        a.inc++;
        a.add += 5;
        a.byte++;
        old = a.cas;
        while (!atomic_compare_exchange_weak(&a.cas, &old, old + 7))
            ;
        add_pair();
        if (i % 64 == 0)
            __asm__ volatile("lock incl %0" : "+m"(*(uint32_t *)(a.split + 62)) : : "cc");
    }
    return NULL;
}

static void test_atomics(void)
{
    uint64_t n = (uint64_t)n_threads * ATOMIC_ROUNDS;
    uint32_t split;

    memset(&a, 0, sizeof(a));
    on_all(atomics);
    memcpy(&split, a.split + 62, sizeof(split));
    check("locked inc", a.inc, (uint32_t)n);
    check("xadd", a.add, n * 5);
    check("byte", a.byte, (uint8_t)n);
    check("cmpxchg", a.cas, n * 7);
    check("cmpxchg16b, low", a.pair[0], n);
    check("cmpxchg16b, high", a.pair[1], n * 3);
    check("split lock", split, n_threads * ((ATOMIC_ROUNDS + 63) / 64));
}

/* ---- locks ---------------------------------------------------------------------------------- */

enum { LOCK_ROUNDS = 20000, LOCKED_WORDS = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_spinlock_t spin;
static _Atomic uint32_t ticket_next, ticket_now;
static uint64_t locked[3][LOCKED_WORDS];
static unsigned torn, turn;

/* All words are equal outside the lock. */
static void touch(uint64_t *w)
{
    for (unsigned i = 0; i < LOCKED_WORDS; i++)
        if (w[i]++ != w[0] - 1)
            __atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
}

static void *locks(void *arg)
{
    for (unsigned i = 0; i < LOCK_ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        touch(locked[0]);
        pthread_mutex_unlock(&mutex);
        pthread_spin_lock(&spin);
        touch(locked[1]);
        pthread_spin_unlock(&spin);
        if (i % 16 == 0) {           /* unfair to whoever is not running: few */
            uint32_t mine = ticket_next++;

            for (unsigned n = 0; ticket_now != mine; n++) {
                __builtin_ia32_pause();
                if (n > 1000)
                    sched_yield();
            }
            touch(locked[2]);
            ticket_now++;
        }
    }
    return NULL;
}

enum { TURNS = 500 };

static void *turns(void *arg)
{
    for (unsigned i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % n_threads != (uintptr_t)arg)
            pthread_cond_wait(&cond, &mutex);
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void test_locks(void)
{
    memset(locked, 0, sizeof(locked));
    torn = turn = 0;
    on_all(locks);
    on_all(turns);
    check("mutex", locked[0][0], (uint64_t)n_threads * LOCK_ROUNDS);
    check("spin lock", locked[1][0], (uint64_t)n_threads * LOCK_ROUNDS);
    check("ticket lock", locked[2][0], (uint64_t)n_threads * ((LOCK_ROUNDS + 15) / 16));
    check("words under a lock", torn, 0);
    check("turns", turn, n_threads * TURNS);
}

/* ---- messages ---------------------------------------------------------------------------------- */

enum { GROUPS = 4, PEERS = 8, MESSAGES = 100, MESSAGE_BYTES = 100 };

static void send_all(int fds[][2], unsigned peer)
{
    uint8_t m[MESSAGE_BYTES];

    for (unsigned i = 0; i < MESSAGES; i++)
        for (unsigned to = 0; to < PEERS; to++) {
            memset(m, (uint8_t)(peer + i + to), sizeof(m));
            if (write(fds[to][1], m, sizeof(m)) != sizeof(m))
                _exit(3);
        }
    _exit(0);
}

static void receive_all(int fd, unsigned me)
{
    uint64_t sum = 0, want = 0;
    uint8_t m[MESSAGE_BYTES];

    for (unsigned n = 0; n < PEERS * MESSAGES; n++) {
        size_t have = 0;

        while (have < sizeof(m)) {
            ssize_t r = read(fd, m + have, sizeof(m) - have);
            if (r <= 0)
                _exit(4);
            have += r;
        }
        for (unsigned i = 1; i < sizeof(m); i++)
            if (m[i] != m[0])
                _exit(5);
        sum += m[0];
    }
    for (unsigned p = 0; p < PEERS; p++)
        for (unsigned i = 0; i < MESSAGES; i++)
            want += (uint8_t)(p + i + me);
    _exit(sum == want ? 0 : 6);
}

static void run_group(void)
{
    int fds[PEERS][2];

    for (unsigned i = 0; i < PEERS; i++)
        if (pipe(fds[i]))
            _exit(7);
    for (unsigned i = 0; i < PEERS; i++) {
        if (fork() == 0)
            send_all(fds, i);
        if (fork() == 0)
            receive_all(fds[i][0], i);
    }
}

static void test_messages(void)
{
    unsigned bad = 0, ended = 0;
    int status;

    for (unsigned g = 0; g < GROUPS; g++)
        if (fork() == 0) {           /* a process a group: descriptors stay few */
            run_group();
            for (unsigned i = 0; i < 2 * PEERS; i++)
                if (wait(&status) < 0 || status)
                    bad++;
            _exit(bad != 0);
        }
    for (; wait(&status) > 0; ended++)
        bad += status != 0;
    check("groups that ended", ended, GROUPS);
    check("groups with lost messages", bad, 0);
}

/* ---- pages whose rights change -------------------------------------------------------------------- */

enum { PROTECT_ROUNDS = 200 };

static _Atomic bool stop_writing;
static _Atomic uint64_t *page_of[MAX_THREADS];
static unsigned changed_late;

static void faulted(int sig, siginfo_t *i, void *u)
{
    usleep(20);                      /* and again: it will be writable */
}

static void *write_pages(void *arg)
{
    unsigned at = (uintptr_t)arg;

    while (!stop_writing)
        ++*page_of[at++ % n_threads];
    return NULL;
}

/* Once mprotect() has returned nobody's store may arrive. */
static void *protect_page(void *arg)
{
    _Atomic uint64_t *p = page_of[(uintptr_t)arg];

    for (unsigned i = 0; i < PROTECT_ROUNDS; i++) {
        uint64_t v;

        mprotect((void *)p, 4096, PROT_READ);
        v = *p;
        for (unsigned n = 0; n < 200; n++)
            if (*p != v) {
                __atomic_fetch_add(&changed_late, 1, __ATOMIC_RELAXED);
                break;
            }
        mprotect((void *)p, 4096, PROT_READ | PROT_WRITE);
        sched_yield();
    }
    return NULL;
}

static void test_pages(void)
{
    struct sigaction sa = { .sa_sigaction = faulted, .sa_flags = SA_SIGINFO };
    pthread_t t[MAX_THREADS];
    uint8_t *m = mmap(NULL, n_threads * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sigaction(SIGSEGV, &sa, NULL);
    stop_writing = false;
    changed_late = 0;
    for (unsigned i = 0; i < n_threads; i++)
        page_of[i] = (_Atomic uint64_t *)(m + i * 4096);
    for (uintptr_t i = 0; i < n_threads; i++)
        pthread_create(&t[i], NULL, write_pages, (void *)i);
    on_all(protect_page);
    stop_writing = true;
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(t[i], NULL);
    signal(SIGSEGV, SIG_DFL);
    munmap(m, n_threads * 4096);
    check("stores to read-only pages", changed_late, 0);
}

/* ---- code that changes --------------------------------------------------------------------------------- */

enum { CODE_ROUNDS = 3000 };

static uint8_t *code;                /* mov $n, %eax; ret - n is an aligned word */
static unsigned went_back;

static void *run_code(void *arg)
{
    uint32_t (*fn)(void) = (void *)(code + 3), last = 0;

    for (unsigned i = 0; !stop_writing; i++) {
        uint32_t v = fn();

        if (v < last)
            __atomic_fetch_add(&went_back, 1, __ATOMIC_RELAXED);
        last = v;
        if (i % 256 == 0)
            sched_yield();
    }
    return NULL;
}

static void test_code(void)
{
    pthread_t t[MAX_THREADS];
    uint32_t (*fn)(void);

    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(code, 0x90, 64);
    code[3] = 0xb8;
    __atomic_store_n((uint32_t *)(code + 4), 0, __ATOMIC_SEQ_CST);
    code[8] = 0xc3;
    fn = (void *)(code + 3);
    stop_writing = false;
    went_back = 0;
    for (unsigned i = 0; i < n_threads; i++)
        pthread_create(&t[i], NULL, run_code, NULL);
    for (uint32_t n = 1; n <= CODE_ROUNDS; n++) {
        __atomic_store_n((uint32_t *)(code + 4), n, __ATOMIC_SEQ_CST);
        check("own code", fn(), n);
        if (n % 8 == 0)
            sched_yield();
    }
    stop_writing = true;
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(t[i], NULL);
    munmap(code, 4096);
    check("code of before", went_back, 0);
}

/* ---- processes ------------------------------------------------------------------------------------------- */

enum { PROCESSES = 100 };

static void *processes(void *arg)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = -1;
        pid_t p = fork();

        if (p == 0)
            _exit(i & 0x7f);
        if (waitpid(p, &status, 0) != p || WEXITSTATUS(status) != (i & 0x7f))
            __atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void test_processes(void)
{
    torn = 0;
    on_all(processes);
    check("processes", torn, 0);
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    unsigned rounds = 0;
    long n = sysconf(_SC_NPROCESSORS_ONLN) * 2;

    setvbuf(stdout, NULL, _IOLBF, 0);
    n_threads = n < 2 ? 2 : n > MAX_THREADS ? MAX_THREADS : n;
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    do {
        test_atomics();
        test_locks();
        test_messages();
        test_pages();
        test_code();
        test_processes();
        rounds++;
    } while (time(NULL) < end);
    printf("torture: %u rounds, %u wrong\n", rounds, wrong);
    return wrong != 0;
}
