/*
 * mini-criterion.c - main() of the unit tests in builds without Criterion
 *
 * unit [--filter SUITE/NAME]...: run tests whose "suite/name" starts with one
 * of the words, or all. Exit status 1 when a test fails.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/mini-criterion.h"

enum { EXIT_PASSED = 0, EXIT_FAILED = 101, EXIT_SKIPPED = 102 };
#define DEFAULT_TIMEOUT_S 300       /* emulated hosts are slow */

static struct mc_test *tests;
static struct mc_suite *suites;
static bool failed;                 /* in the test's own process */

void mc_add_test(struct mc_test *t)
{
    t->next = tests;
    tests = t;
}

void mc_add_suite(struct mc_suite *s)
{
    s->next = suites;
    suites = s;
}

void mc_fail(bool fatal, const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list ap;

    failed = true;
    fprintf(stderr, "[----] %s:%d: not so: %s", file, line, what);
    if (*fmt) {
        fprintf(stderr, ": ");
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
    }
    fprintf(stderr, "\n");
    if (fatal)
        _exit(EXIT_FAILED);
}

void mc_skip(void)
{
    _exit(EXIT_SKIPPED);
}

static const struct mc_options *suite_options(const char *name)
{
    static const struct mc_options none;

    for (struct mc_suite *s = suites; s; s = s->next)
        if (!strcmp(s->name, name))
            return s->options();
    return &none;
}

static void run_here(const struct mc_test *t)
{
    const struct mc_options *s = suite_options(t->suite), *o = t->options();
    void (*init)(void) = o->init ? o->init : s->init;
    void (*fini)(void) = o->fini ? o->fini : s->fini;

    alarm(o->timeout > DEFAULT_TIMEOUT_S ? (unsigned)o->timeout : DEFAULT_TIMEOUT_S);
    if (init)
        init();
    t->fn();
    if (fini)
        fini();
    fflush(stdout);
    _exit(failed ? EXIT_FAILED : EXIT_PASSED);
}

/* 1 passed, 0 failed, -1 skipped */
static int run_test(const struct mc_test *t)
{
    const struct mc_options *o = t->options();
    int status = 0;
    pid_t pid;

    if (o->disabled)
        return -1;
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        run_here(t);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return 0;
    if (WIFSIGNALED(status)) {
        if (o->signal == WTERMSIG(status))
            return 1;
        fprintf(stderr, "[----] %s::%s: signal %d\n", t->suite, t->name, WTERMSIG(status));
        return 0;
    }
    if (WEXITSTATUS(status) == EXIT_SKIPPED)
        return -1;
    return WEXITSTATUS(status) == o->exit_code && !o->signal;
}

static bool wanted(const struct mc_test *t, int argc, char **argv)
{
    char full[200];
    bool any = false;

    snprintf(full, sizeof(full), "%s/%s", t->suite, t->name);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        any = true;
        if (!strncmp(full, argv[i], strlen(argv[i])))
            return true;
    }
    return !any;
}

int main(int argc, char **argv)
{
    unsigned n = 0, ok = 0, skipped = 0;

    for (struct mc_test *t = tests; t; t = t->next) {
        int r;

        if (!wanted(t, argc, argv))
            continue;
        r = run_test(t);
        n += r >= 0;
        ok += r > 0;
        skipped += r < 0;
        if (!r)
            fprintf(stderr, "[FAIL] %s::%s\n", t->suite, t->name);
    }
    printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Skipped: %u\n", n, ok, n - ok,
           skipped);
    return n == ok ? 0 : 1;
}
