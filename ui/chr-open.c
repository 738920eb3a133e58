/*
 * chr-open.c - choosing a character back end: -chardev KIND,key=value..., and the short
 * spellings of -serial and its like, which mean one
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include "ui/chardev-int.h"

/* ---- options of a kind ------------------------------------------------------------ */

/* Old switches: "nowait" is wait=off. */
static bool is_negated(const char *word, const char *key)
{
    return !strncmp(word, "no", 2) && !strcmp(word + 2, key);
}

static bool is_known(const struct kv *k, const char *const *known)
{
    const char *word = *k->key ? k->key : k->val;

    for (; *known; known++)
        if (!strcmp(word, *known) || (!*k->key && is_negated(word, *known)))
            return true;
    return false;
}

int chr_options(const struct chr_spec *s, const char *const *known, struct err *e)
{
    size_t n = 0;

    while (known[n])
        n++;
    for (size_t i = 0; i < s->kv->n; i++) {
        const struct kv *k = &s->kv->item[i];
        const char *word = *k->key ? k->key : k->val, *near;

        if (is_known(k, known))
            continue;
        near = nearest_word(word, known, n);
        return err_set(e, -EINVAL, "%s: unknown option '%s'%s%s%s", s->what, word,
                       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return 0;
}

const char *chr_text(const struct chr_spec *s, const char *key)
{
    return kv_get(s->kv, key);
}

int chr_switch(const struct chr_spec *s, const char *key, bool *val, struct err *e)
{
    for (size_t i = 0; i < s->kv->n; i++) {
        const struct kv *k = &s->kv->item[i];

        if (!*k->key && (!strcmp(k->val, key) || is_negated(k->val, key)))
            *val = !strcmp(k->val, key);
        if (strcmp(k->key, key))
            continue;
        *val = !strcmp(k->val, "on") || !strcmp(k->val, "yes");
        if (!*val && strcmp(k->val, "off") && strcmp(k->val, "no"))
            return err_set(e, -EINVAL, "%s: %s=%s: wants on or off", s->what, key, k->val);
    }
    return 0;
}

int chr_number(const struct chr_spec *s, const char *key, uint64_t max, uint64_t *val,
               struct err *e)
{
    const char *text = chr_text(s, key);

    if (text && (!isdigit((unsigned char)*text) || parse_size(text, 1, val) < 0 || *val > max))
        return err_set(e, -EINVAL, "%s: %s=%s: wants a number up to %llu", s->what, key, text,
                       (unsigned long long)max);
    return 0;
}

/* ---- kinds --------------------------------------------------------------------------- */

static const struct chr_kind {
    const char *name;
    struct chardev *(*open)(const struct chr_spec *s, struct err *e);
} kinds[] = {
    { "stdio", chr_open_stdio },
    { "null", chr_open_null },
    { "file", chr_open_file },
    { "pipe", chr_open_pipe },
    { "pty", chr_open_pty },
    { "socket", chr_open_socket },
    { "serial", chr_open_tty },
    { "tty", chr_open_tty },
    { "ringbuf", chr_open_ringbuf },
    { "memory", chr_open_ringbuf },
};

/* Kinds of QEMU's that are not there. */
static const char *const absent[] = { "udp", "vc", "msmouse", "wctablet", "braille", "parallel",
                                      "parport", "spicevmc", "spiceport", "qemu-vdagent", "dbus",
                                      "testdev", "hub" };

const char *chardev_kind_name(size_t n)
{
    return n < ARRAY_SIZE(kinds) ? kinds[n].name : NULL;
}

static const struct chr_kind *find_kind(const char *what, const char *name, struct err *e)
{
    const char *names[ARRAY_SIZE(kinds)], *near;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        names[i] = kinds[i].name;
        if (!strcmp(name, kinds[i].name))
            return &kinds[i];
    }
    for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
        if (!strcmp(name, absent[i])) {
            err_set(e, -ENOTSUP, "%s: '%s' is not supported", what, name);
            return NULL;
        }
    near = nearest_word(name, names, ARRAY_SIZE(names));
    err_set(e, -EINVAL, "%s: unknown kind of character device '%s'%s%s%s", what, name,
            near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* Behind the general options: mux=, logfile=, logappend=. */
static struct chardev *dress(struct chardev *c, const struct chr_spec *all, struct err *e)
{
    const char *log = chr_text(all, "logfile");
    bool mux = false, append = false;

    if (c && (chr_switch(all, "mux", &mux, e) < 0 || chr_switch(all, "logappend", &append, e) < 0)) {
        chardev_free(c);
        return NULL;
    }
    if (c && log)
        c = chr_log_new(c, log, append, all->what, e);
    return c && mux ? chardev_mux_new(c, all->label) : c;
}

/* Those the kind sees: copies of all but the general ones. */
static void own_options(struct kv_list *own, const struct kv_list *all)
{
    static const char *const general[] = { "backend", "id", "mux", "logfile", "logappend" };
    bool first = true;

    for (size_t i = 0; i < all->n; i++) {
        const struct kv *k = &all->item[i];
        bool skip = first && !*k->key;         /* the kind itself */

        first = false;
        for (size_t g = 0; g < ARRAY_SIZE(general); g++)
            skip |= !strcmp(k->key, general[g]) || (!*k->key && !strcmp(k->val, general[g]));
        if (!skip)
            kv_add(own, k->key, k->val);
    }
}

struct chardev *chardev_open(struct loop *loop, const struct kv_list *kv, const char *what,
                             const char *label, struct err *e)
{
    const char *name = kv->n && !*kv->item[0].key ? kv->item[0].val : kv_get(kv, "backend");
    struct kv_list own = { NULL, 0 };
    const struct chr_spec all = { loop, kv, what, label }, s = { loop, &own, what, label };
    const struct chr_kind *k;
    struct chardev *c = NULL;

    signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error code, not our end */
    if (!name) {
        err_set(e, -EINVAL, "%s: the kind comes first: stdio, socket, file ...", what);
        return NULL;
    }
    k = find_kind(what, name, e);
    own_options(&own, kv);
    if (k)
        c = dress(k->open(&s, e), &all, e);
    kv_free(&own);
    return c;
}

/* ---- short spellings ------------------------------------------------------------------- */

/* "HOST:PORT,opt..." into host= and port=; IPv6 addresses may stand in brackets. */
static int add_host_port(struct kv_list *l, char *addr, const char *spec, struct err *e)
{
    char *port = strrchr(addr, ':'), *host = addr;
    size_t n;

    if (!port)
        return err_set(e, -EINVAL, "%s: wants HOST:PORT", spec);
    *port++ = 0;
    n = strlen(host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        host++;
    }
    kv_add(l, "host", host);
    kv_add(l, "port", port);
    return 0;
}

/* The address and what follows it; options come after the first comma. */
static int add_socket(struct kv_list *l, const char *spec, const char *rest, struct err *e)
{
    size_t n = strcspn(rest, ",");
    char *addr = xasprintf("%.*s", (int)n, rest);
    int ret = 0;

    kv_add(l, "", "socket");
    if (!strncmp(spec, "unix:", 5))
        kv_add(l, "path", addr);
    else
        ret = add_host_port(l, addr, spec, e);
    if (!strncmp(spec, "telnet:", 7))
        kv_add(l, "telnet", "on");
    if (!strncmp(spec, "websocket:", 10))
        kv_add(l, "websocket", "on");
    if (ret == 0 && rest[n])
        ret = kv_parse(l, rest + n + 1, e);
    free(addr);
    return ret;
}

static int short_spec(struct kv_list *l, const char *spec, struct err *e)
{
    static const char *const sockets[] = { "unix:", "tcp:", "telnet:", "websocket:" };
    static const char *const paths[] = { "file", "pipe" };

    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
        if (!strncmp(spec, sockets[i], strlen(sockets[i])))
            return add_socket(l, spec, spec + strlen(sockets[i]), e);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        size_t n = strlen(paths[i]);

        if (strncmp(spec, paths[i], n) || spec[n] != ':')
            continue;
        kv_add(l, "", paths[i]);
        kv_add(l, "path", spec + n + 1);
        return 0;
    }
    if (!strncmp(spec, "/dev/", 5)) {
        kv_add(l, "", "serial");
        kv_add(l, "path", spec);
        return 0;
    }
    return kv_parse(l, spec, e);
}

static void refuse_short(const char *spec, struct err *e)
{
    static const char *const names[] = { "stdio", "null", "file", "pipe", "pty", "unix", "tcp",
                                         "telnet", "chardev", "mon", "none" };
    char word[32];
    const char *near;

    snprintf(word, sizeof(word), "%.*s", (int)strcspn(spec, ":,"), spec);
    near = nearest_word(word, names, ARRAY_SIZE(names));
    if (near && strcmp(near, word))
        err_set(e, -EINVAL, "%s: unknown kind '%s', did you mean '%s'?", spec, word, near);
    else if (near)
        err_set(e, -EINVAL, "%s: '%s' is written otherwise (see -help)", spec, word);
    else
        err_set(e, -EINVAL, "%s: unknown kind of character device", spec);
}

/* Whether the first word is a kind that needs nothing, so that "KIND,opt" is meant. */
static bool is_short(const char *spec)
{
    static const char *const plain[] = { "stdio", "null", "pty", "ringbuf" };
    static const char *const with[] = { "file:", "pipe:", "unix:", "tcp:", "telnet:", "websocket:",
                                        "/dev/" };
    size_t n = strcspn(spec, ",");

    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        if (n == strlen(plain[i]) && !strncmp(spec, plain[i], n))
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(with); i++)
        if (!strncmp(spec, with[i], strlen(with[i])))
            return true;
    return false;
}

static struct chardev *open_mon(struct loop *l, const char *spec, const char *label,
                                struct err *e)
{
    const char *rest = spec + 4;
    struct chardev *c;

    if (!strncmp(rest, "mon:", 4)) {
        err_set(e, -EINVAL, "%s: one mon: is enough", spec);
        return NULL;
    }
    /* Ctrl-C belongs to the guest: Ctrl-A x is the way out */
    c = chardev_new(l, strcmp(rest, "stdio") ? rest : "stdio,signal=off", label, e);
    return c ? chardev_mux_new(c, label) : NULL;
}

struct chardev *chardev_new(struct loop *loop, const char *spec, const char *label,
                            struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    struct chardev *c = NULL;

    if (!strncmp(spec, "mon:", 4))
        return open_mon(loop, spec, label, e);
    if (!is_short(spec))
        refuse_short(spec, e);
    else if (short_spec(&kv, spec, e) == 0)
        c = chardev_open(loop, &kv, spec, label, e);
    kv_free(&kv);
    return c;
}
