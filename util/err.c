/*
 * err.c - one-line error messages, and allocation that cannot fail
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "util/util.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (e) {
        va_start(ap, fmt);
        vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
        va_end(ap);
    }
    return code;
}

static void *or_die(void *p)
{
    if (p)
        return p;
    fputs("transom: out of memory\n", stderr);
    exit(1);
}

void *xmalloc(size_t n)
{
    return or_die(malloc(n ? n : 1));
}

void *xzalloc(size_t n)
{
    return or_die(calloc(1, n ? n : 1));
}

void *xrealloc(void *p, size_t n)
{
    return or_die(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return or_die(n < 0 ? NULL : s);
}
