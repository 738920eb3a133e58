/*
 * monitor-complete.c - what the Tab key completes: commands, "info" items, and
 * arguments by their types
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "hw/disk/drive.h"
#include "hw/user-devices.h"
#include "net/net.h"
#include "ui/keymap.h"
#include "ui/monitor-int.h"
#include "ui/run-int.h"

#define FOUND_MAX 512

/** struct found - candidates that begin with @prefix */
struct found {
    const char *prefix;
    size_t len;
    char *names[FOUND_MAX];      /* owned */
    unsigned n;
    bool partial;                /* a word is not finished with its candidate (directories, keys) */
};

static void offer_n(struct found *f, const char *name, size_t n)
{
    if (n < f->len || strncmp(name, f->prefix, f->len) || f->n == FOUND_MAX)
        return;
    for (unsigned i = 0; i < f->n; i++)
        if (!strncmp(f->names[i], name, n) && !f->names[i][n])
            return;
    f->names[f->n++] = xasprintf("%.*s", (int)n, name);
}

static void offer(struct found *f, const char *name)
{
    if (name)
        offer_n(f, name, strlen(name));
}

/* ---- kinds of words ------------------------------------------------------------------ */

static void offer_rows(struct found *f, const struct monitor_cmd *const *tables)
{
    for (unsigned t = 0; t < MONITOR_TABLES && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            offer_n(f, c->name, strcspn(c->name, "|"));
}

static void offer_commands(struct monitor *mon, struct found *f)
{
    offer_rows(f, mon->commands);
    for (unsigned t = 0; t < MONITOR_TABLES && mon->typed[t]; t++)
        for (const struct command *c = mon->typed[t]; c->hmp || c->qmp; c++)
            if (c->hmp)
                offer_n(f, c->hmp, strcspn(c->hmp, "|"));
}

static void offer_entry(struct found *f, const char *dir, size_t dir_len, const struct dirent *d)
{
    char *path = xasprintf("%.*s%s", (int)dir_len, dir, d->d_name);
    struct stat st;
    unsigned before = f->n;

    if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
        char *with = xasprintf("%s/", path);

        offer(f, with);
        free(with);
        f->partial |= f->n > before;
    } else {
        offer(f, path);
    }
    free(path);
}

static void offer_files(struct found *f)
{
    const char *slash = strrchr(f->prefix, '/');
    size_t n = slash ? (size_t)(slash - f->prefix) + 1 : 0;
    char *dir = n ? xasprintf("%.*s", (int)n, f->prefix) : xstrdup(".");
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.' || f->prefix[n] == '.')
            offer_entry(f, f->prefix, n, entry);
    if (d)
        closedir(d);
    free(dir);
}

static void offer_drives(struct monitor *mon, struct found *f)
{
    for (const struct drive *d = mon->machine->drives; d; d = d->next) {
        offer(f, d->id);
        if (d->owner)
            offer(f, d->owner->id);
    }
}

static void offer_devices(struct monitor *mon, struct found *f)
{
    for (const struct device *d = mon->machine->devices; d; d = d->next)
        offer(f, d->id);
}

static void offer_netdevs(struct monitor *mon, struct found *f)
{
    for (struct netport *p = mon->machine->net ? mon->machine->net->ports : NULL; p; p = p->next)
        offer(f, p->id);
}

static void offer_chardevs(struct monitor *mon, struct found *f)
{
    const struct run *r = mon->hooks.opaque;

    for (unsigned i = 0; r && i < r->n_chr; i++)
        offer(f, r->chr[i].id);
}

static void offer_types(struct found *f)
{
    size_t n;
    const struct user_device *u = user_devices(&n);

    for (size_t i = 0; i < n; i++)
        offer(f, u[i].type->name);
}

/* "ctrl-alt-de": the last key */
static void offer_keys(struct found *f)
{
    const char *dash = strrchr(f->prefix, '-'), *name;
    size_t n = dash ? (size_t)(dash - f->prefix) + 1 : 0;

    for (size_t i = 0; (name = key_name(i)); i++) {
        char *whole = xasprintf("%.*s%s", (int)n, f->prefix, name);

        offer(f, whole);
        free(whole);
    }
    f->partial = true;
}

static void offer_log_items(struct found *f)
{
    static const char *const names[] = {
#define X(e, n, h) n,
        LOG_CATEGORIES(X)
#undef X
        "all", "none",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        offer(f, names[i]);
}

static void offer_type(struct monitor *mon, struct found *f, char type)
{
    switch (type) {
    case 'F': offer_files(f); break;
    case 'B': offer_drives(mon, f); break;
    case 'D': offer_devices(mon, f); break;
    case 'N': offer_netdevs(mon, f); break;
    case 'C': offer_chardevs(mon, f); break;
    case 'T': offer_types(f); break;
    case 'K': offer_keys(f); break;
    case 'b': offer(f, "on"); offer(f, "off"); break;
    }
}

/* ---- which word it is ------------------------------------------------------------------ */

/* Argument number @n (0 is the first) of a typed command; switches are not counted. */
static void offer_typed(struct monitor *mon, struct found *f, const struct command *c, unsigned n)
{
    const char *args = c->args;
    struct cmd_arg a;

    while (cmd_next_arg(&args, &a)) {
        if (a.type == 'f' || a.no_hmp)
            continue;
        if (!n--) {
            /* a list as on the command line begins with what it is about */
            offer_type(mon, f, a.type == 'S' && !strcmp(a.name, "device") ? 'T' : a.type);
            return;
        }
    }
}

/* Rows that parse their line themselves: by the words of their help. */
static void offer_row(struct monitor *mon, struct found *f, const struct monitor_cmd *c, unsigned n)
{
    static const struct { const char *word; char type; } words[] = {
        { "FILE", 'F' }, { "DEVICE", 'B' }, { "KEY", 'K' }, { "ID", 'N' },
    };
    const char *s = c->args;

    if (monitor_is_name(c->name, "info", 4) && n == 0)
        offer_rows(f, mon->infos);
    else if (monitor_is_name(c->name, "help", 4))
        offer_commands(mon, f);
    else if (monitor_is_name(c->name, "log", 3))
        offer_log_items(f);
    while (*s && (n || *s == '[')) {
        n -= *s == ' ' && n;
        s++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strncmp(s, words[i].word, strlen(words[i].word)))
            offer_type(mon, f, words[i].type);
}

static void offer_argument(struct monitor *mon, struct found *f, const char *text, size_t len, unsigned n)
{
    const struct monitor_cmd *c = monitor_find(mon->commands, text, len);
    const struct command *t = monitor_find_typed(mon, text, len);

    if (c)
        offer_row(mon, f, c, n);
    else if (t)
        offer_typed(mon, f, t, n);
}

/* Words between the command and the one being typed, without switches. */
static unsigned count_words(const char *s, const char *end)
{
    unsigned n = 0;

    while (s < end) {
        size_t word;

        s += strspn(s, " \t");
        word = strcspn(s, " \t");
        if (s < end && *s != '-')
            n++;
        s += word;
    }
    return n;
}

/* ---- the answer --------------------------------------------------------------------------- */

static size_t common_length(const struct found *f)
{
    size_t common = strlen(f->names[0]);

    for (unsigned i = 1; i < f->n; i++) {
        size_t k = 0;

        while (k < common && f->names[i][k] == f->names[0][k])
            k++;
        common = k;
    }
    return common;
}

static bool answer(struct monitor *mon, struct found *f, char *rest, size_t size)
{
    size_t common = f->n ? common_length(f) : 0;

    if (!f->n)
        return false;
    snprintf(rest, size, "%.*s%s", (int)(common - f->len), f->names[0] + f->len,
             f->n == 1 && !f->partial ? " " : "");
    if (f->n == 1 || common > f->len)
        return false;
    monitor_printf(mon, "\n");
    for (unsigned i = 0; i < f->n; i++)
        monitor_printf(mon, "%s ", f->names[i]);
    monitor_printf(mon, "\n");
    return true;
}

bool monitor_complete(struct monitor *mon, const char *text, char *rest, size_t size)
{
    struct found f = { .n = 0 };
    const char *last = strrchr(text, ' ');
    bool listed;
    size_t len;

    text += strspn(text, " \t");
    len = strcspn(text, " \t");
    f.prefix = last && last >= text ? last + 1 : text;
    f.len = strlen(f.prefix);
    *rest = 0;
    if (f.prefix == text)
        offer_commands(mon, &f);
    else
        offer_argument(mon, &f, text, len, count_words(text + len, f.prefix));
    listed = answer(mon, &f, rest, size);
    for (unsigned i = 0; i < f.n; i++)
        free(f.names[i]);
    return listed;
}
