/*
 * log.c - the -d/-D/-dfilter log
 *
 * The only process-wide mutable object of the program. The mask is read
 * without a lock (a stale value costs or gains a line); the stream is guarded
 * by a recursive lock, so that log_write() works between log_lock() and
 * log_unlock().
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "util/util.h"

static const struct {
    const char *name, *help;
} log_items[LOG_BIT_COUNT] = {
#define X(e, n, h) [LOG_BIT_##e] = { n, h },
    LOG_CATEGORIES(X)
#undef X
};

_Static_assert(LOG_BIT_COUNT <= 31, "log_mask has 32 bits, enum log_cat is an int");

struct range {
    uint64_t first, last; /* inclusive */
};

uint32_t log_mask;
static pthread_mutex_t log_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static FILE *log_stream; /* NULL: stderr */
static char *log_path;   /* of -D, as given; NULL: none */
static bool log_tid;     /* a file for each thread */
static _Thread_local FILE *log_own; /* this thread's */

/* Other names of items: QEMU's that say no more than ours. */
static const struct { const char *name; uint32_t bits; const char *help; } log_aliases[] = {
    { "op_ind", LOG_OP, "the same as op: there are no indirect globals to be lowered" },
    { "vpu", LOG_FPU, "the same as fpu" },
};
static struct range *log_ranges;
static size_t n_log_ranges;

static int unknown_item(const char *name, struct err *e)
{
    const char *names[LOG_BIT_COUNT + 3 + ARRAY_SIZE(log_aliases)];
    const char *near;

    for (size_t i = 0; i < LOG_BIT_COUNT; i++)
        names[i] = log_items[i].name;
    names[LOG_BIT_COUNT] = "all";
    names[LOG_BIT_COUNT + 1] = "none";
    names[LOG_BIT_COUNT + 2] = "tid";
    for (size_t i = 0; i < ARRAY_SIZE(log_aliases); i++)
        names[LOG_BIT_COUNT + 3 + i] = log_aliases[i].name;
    near = nearest_word(name, names, ARRAY_SIZE(names));
    if (near)
        return err_set(e, -EINVAL, "unknown log item '%s', did you mean '%s'?", name, near);
    return err_set(e, -EINVAL, "unknown log item '%s' (see -d help)", name);
}

/* Bits of one item; false when there is no such item. */
static bool item_bits(const char *name, uint32_t *mask, bool *tid)
{
    if (!strcmp(name, "tid")) {
        *tid = true;
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(log_aliases); i++)
        if (!strcmp(name, log_aliases[i].name)) {
            *mask |= log_aliases[i].bits;
            return true;
        }
    if (!strcmp(name, "none")) {
        *mask = 0;
        return true;
    }
    if (!strcmp(name, "all")) {
        /* nochain changes how code runs: only on explicit request */
        *mask |= ((1u << LOG_BIT_COUNT) - 1) & ~(uint32_t)LOG_NOCHAIN;
        return true;
    }
    for (size_t i = 0; i < LOG_BIT_COUNT; i++) {
        if (!strcmp(name, log_items[i].name)) {
            *mask |= 1u << i;
            return true;
        }
    }
    return false;
}

static int parse_items(const char *items, uint32_t *mask, bool *tid, struct err *e)
{
    char *copy = xstrdup(items), *rest = copy, *name;
    int rc = 0;

    while (!rc && (name = strsep(&rest, ",")))
        if (*name && !item_bits(name, mask, tid))
            rc = unknown_item(name, e);
    free(copy);
    return rc;
}

int log_set_items(const char *items, struct err *e)
{
    uint32_t mask = 0;
    bool tid = false;
    int rc = parse_items(items, &mask, &tid, e);

    if (!rc) {
        log_mask = mask;
        log_tid = tid;
    }
    return rc;
}

uint32_t log_items_mask(const char *items)
{
    uint32_t mask = 0;
    bool tid;

    return parse_items(items, &mask, &tid, NULL) < 0 ? 0 : mask;
}

/* @path with its first %d replaced; NULL for any other conversion. */
static char *expand_id(const char *path, int id)
{
    const char *pct = strchr(path, '%');

    if (!pct)
        return xstrdup(path);
    if (pct[1] != 'd' || strchr(pct + 1, '%'))
        return NULL;
    return xasprintf("%.*s%d%s", (int)(pct - path), path, id, pct + 2);
}

int log_set_file(const char *path, struct err *e)
{
    FILE *f = NULL;

    if (path) {
        char *name = expand_id(path, (int)getpid());

        if (!name)
            return err_set(e, -EINVAL, "%s: only one %%d is understood", path);
        f = fopen(name, "we");
        if (!f) {
            int rc = err_set(e, -errno, "%s: %s", name, strerror(errno));

            free(name);
            return rc;
        }
        free(name);
        setvbuf(f, NULL, _IOLBF, 65536); /* complete up to a crash */
    }
    pthread_mutex_lock(&log_mutex);
    if (log_stream)
        fclose(log_stream);
    log_stream = f;
    free(log_path);
    log_path = path ? xstrdup(path) : NULL;
    pthread_mutex_unlock(&log_mutex);
    return 0;
}

/* -d tid: this thread's file, "%d" being its number; without such a file the common one. */
static FILE *own_stream(void)
{
    char *name;

    if (log_own || !log_path || !strchr(log_path, '%'))
        return log_own;
    name = expand_id(log_path, gettid());
    log_own = name ? fopen(name, "we") : NULL;
    if (log_own)
        setvbuf(log_own, NULL, _IOLBF, 65536);
    free(name);
    return log_own;
}

/* One of "a+len", "a-len", "a..b". */
static bool parse_range(const char *s, struct range *r)
{
    char *end;
    uint64_t a, b;
    char op;

    errno = 0;
    a = strtoull(s, &end, 0);
    if (end == s || errno)
        return false;
    op = *end++;
    if (op == '.' && *end++ != '.')
        return false;
    if (op != '.' && op != '+' && op != '-')
        return false;
    s = end;
    b = strtoull(s, &end, 0);
    if (end == s || *end || errno || (op != '.' && !b))
        return false;
    r->first = op == '-' ? a - MIN(a, b - 1) : a;
    r->last = op == '.' ? b : op == '-' ? a : a + MIN(b - 1, UINT64_MAX - a);
    return r->first <= r->last;
}

int log_set_filter(const char *ranges, struct err *e)
{
    char *copy = xstrdup(ranges), *rest = copy, *one;
    struct range *list = NULL;
    size_t n = 0;

    while ((one = strsep(&rest, ","))) {
        list = xrealloc(list, (n + 1) * sizeof(*list));
        if (!parse_range(one, &list[n])) {
            int rc = err_set(e, -EINVAL, "-dfilter: '%s' is not START+LEN, "
                             "START-LEN or START..END", one);

            free(list);
            free(copy);
            return rc;
        }
        n++;
    }
    free(copy);
    free(log_ranges);
    log_ranges = list;
    n_log_ranges = n;
    return 0;
}

bool log_in_filter(uint64_t addr)
{
    for (size_t i = 0; i < n_log_ranges; i++)
        if (addr >= log_ranges[i].first && addr <= log_ranges[i].last)
            return true;
    return !n_log_ranges;
}

void log_help(FILE *f)
{
    fputs("Log items (comma separated):\n", f);
    for (size_t i = 0; i < LOG_BIT_COUNT; i++)
        fprintf(f, "%-14s %s\n", log_items[i].name, log_items[i].help);
    for (size_t i = 0; i < ARRAY_SIZE(log_aliases); i++)
        fprintf(f, "%-14s %s\n", log_aliases[i].name, log_aliases[i].help);
    fputs("tid            a file for each thread: the %d of -D is the thread's number\n"
          "all            everything except nochain\n"
          "none           nothing\n", f);
}

/* One event is one line: a missing newline is added. */
void log_write(const char *fmt, ...)
{
    char line[1024], *text = line;
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    if (n >= (int)sizeof(line) - 1) {
        text = xmalloc(n + 2);
        vsnprintf(text, n + 1, fmt, again);
    }
    va_end(again);
    va_end(ap);
    if (n > 0) {
        if (text[n - 1] != '\n')
            text[n++] = '\n';
        fwrite(text, 1, n, log_lock());
        log_unlock();
    }
    if (text != line)
        free(text);
}

FILE *log_lock(void)
{
    FILE *own;

    pthread_mutex_lock(&log_mutex);
    own = unlikely(log_tid) ? own_stream() : NULL;
    return own ? own : log_stream ? log_stream : stderr;
}

void log_unlock(void)
{
    pthread_mutex_unlock(&log_mutex);
}
