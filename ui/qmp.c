/*
 * qmp.c - the machine protocol: JSON commands, replies and events over a character device
 *
 * A client is greeted, agrees on capabilities ("qmp_capabilities") and then sends one
 * command after another. Everything runs in order: out-of-band execution is offered, as
 * clients ask for it, and such a command simply has its turn.
 *
 * Objects are cut out of the byte stream by counting braces outside of strings, so that a
 * command may span lines and several may stand in one.
 *
 * Source: QEMU Machine Protocol Specification, as clients rely on it.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "ui/chardev-int.h"
#include "ui/monitor-int.h"
#include "ui/options.h"
#include "ui/qmp.h"
#include "ui/run-int.h"

#define OUT_MAX     (32 * MiB)   /* a client that does not read loses what comes after */
#define INPUT_MAX   JV_BYTES_MAX
#define FDS_MAX     32
#define LEVEL_MAJOR 7            /* the interface is that of QEMU 7.2 */
#define LEVEL_MINOR 2

struct named_fd {
    char *name;
    int fd;
};

struct qmp {
    struct run *run;
    struct chardev *chr;
    bool pretty;
    bool connected, ready;       /* ready: past qmp_capabilities */
    unsigned client;             /* counts connections */
    bool held;                   /* the reply to @id waits for qmp_resume() */
    /* input */
    char *in;
    size_t in_len, in_size;
    size_t scanned;              /* bytes of it that the scanner has seen */
    unsigned depth;
    bool quoted, escaped, overlong;
    /* output */
    char *out;
    size_t out_len, out_size;
    bool lost;
    char *id, *value;            /* the held command's: JSON of its id and answer, or NULL */
    struct named_fd fds[FDS_MAX];
    unsigned n_fds;
};

/* ---- output ------------------------------------------------------------------------- */

static void flush(struct qmp *q)
{
    size_t done = 0;

    while (done < q->out_len) {
        int n = q->chr->write(q->chr, (uint8_t *)q->out + done, (int)MIN(q->out_len - done, 65536u));

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    q->out_len -= MIN(done, q->out_len);   /* the client may have gone meanwhile */
    memmove(q->out, q->out + done, q->out_len);
    q->lost = q->lost && q->out_len;
}

static void send_text(struct qmp *q, const char *s, size_t n)
{
    if (!q->connected || q->lost || q->out_len + n + 2 > OUT_MAX) {
        q->lost = q->connected;
        return;
    }
    if (q->out_len + n + 2 > q->out_size) {
        q->out_size = (q->out_len + n + 2) * 2;
        q->out = xrealloc(q->out, q->out_size);
    }
    memcpy(q->out + q->out_len, s, n);
    memcpy(q->out + q->out_len + n, "\r\n", 2);
    q->out_len += n + 2;
    flush(q);
}

static void send_json(struct qmp *q, struct jw *w)
{
    send_text(q, w->text, w->len);
    jw_free(w);
}

static void stamp(struct jw *w)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    jw_open(w, "timestamp");
    jw_int(w, "seconds", ts.tv_sec);
    jw_int(w, "microseconds", ts.tv_nsec / 1000);
    jw_close(w);
}

void qmp_event(struct qmp *q, const char *name, const char *data)
{
    struct jw w = { .pretty = q->pretty };

    if (!q->ready)
        return;
    jw_open(&w, NULL);
    stamp(&w);
    jw_str(&w, "event", name);
    if (data)
        jw_raw(&w, "data", data);
    jw_close(&w);
    send_json(q, &w);
}

static void greet(struct qmp *q)
{
    struct jw w = { .pretty = q->pretty };

    jw_open(&w, NULL);
    jw_open(&w, "QMP");
    jw_open(&w, "version");
    jw_open(&w, "qemu");
    jw_int(&w, "micro", 0);
    jw_int(&w, "minor", LEVEL_MINOR);
    jw_int(&w, "major", LEVEL_MAJOR);
    jw_close(&w);
    jw_str(&w, "package", "Transom " TRANSOM_VERSION_TEXT);
    jw_close(&w);
    jw_open_array(&w, "capabilities");
    jw_str(&w, NULL, "oob");
    jw_close(&w);
    jw_close(&w);
    jw_close(&w);
    send_json(q, &w);
}

/* ---- replies --------------------------------------------------------------------------- */

static void reply_error(struct qmp *q, const struct jv *id, enum error_class class, const char *msg)
{
    static const char *const names[] = {
        [CLASS_GENERIC] = "GenericError", [CLASS_COMMAND_NOT_FOUND] = "CommandNotFound",
        [CLASS_DEVICE_NOT_ACTIVE] = "DeviceNotActive", [CLASS_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [CLASS_KVM_MISSING_CAP] = "KVMMissingCap",
    };
    struct jw w = { .pretty = q->pretty };

    jw_open(&w, NULL);
    if (id)
        jw_copy(&w, "id", id);
    jw_open(&w, "error");
    jw_str(&w, "class", names[class]);
    jw_str(&w, "desc", msg);
    jw_close(&w);
    jw_close(&w);
    send_json(q, &w);
}

/* @value and @id: JSON text; NULL: an empty object, none */
static void reply_value(struct qmp *q, const char *id, const char *value)
{
    struct jw w = { .pretty = q->pretty };

    jw_open(&w, NULL);
    jw_raw(&w, "return", value ? value : "{}");
    if (id)
        jw_raw(&w, "id", id);
    jw_close(&w);
    send_json(q, &w);
}

/* ---- commands ---------------------------------------------------------------------------- */

static const struct command *find(const char *name)
{
    for (size_t t = 0; run_commands[t]; t++)
        for (const struct command *c = run_commands[t]; c->hmp || c->qmp; c++)
            if (c->qmp && !strcmp(c->qmp, name))
                return c;
    return NULL;
}

/* Whether @list has the capability that we have, and nothing else. */
static int check_capabilities(const struct jv *args, struct err *e)
{
    const struct jv *list = jv_get(args, "enable");

    if (list && list->type != JV_ARRAY)
        return err_set(e, -EINVAL, "Invalid parameter type for 'enable', expected: array");
    for (const struct jv *v = list ? list->child : NULL; v; v = v->next)
        if (v->type != JV_STRING || strcmp(v->s, "oob"))
            return err_set(e, -EINVAL, "Capability %.64s not available", v->type == JV_STRING ? v->s : "");
    for (const struct jv *v = args ? args->child : NULL; v; v = v->next)
        if (strcmp(v->key, "enable"))
            return err_set(e, -EINVAL, "Parameter '%.64s' is unexpected", v->key);
    return 0;
}

static void negotiate(struct qmp *q, const char *name, const struct jv *args, const struct jv *id)
{
    struct jw idw = { .text = NULL };
    struct err e = { "" };

    if (strcmp(name, "qmp_capabilities")) {
        reply_error(q, id, CLASS_COMMAND_NOT_FOUND,
                    "Expecting capabilities negotiation with 'qmp_capabilities'");
        return;
    }
    if (check_capabilities(args, &e) < 0) {
        reply_error(q, id, CLASS_GENERIC, e.msg);
        return;
    }
    if (id)
        jw_copy(&idw, NULL, id);
    q->ready = true;
    reply_value(q, idw.text, NULL);
    jw_free(&idw);
}

/* The reply is to wait until the main loop has done what was asked. */
static void hold(struct qmp *q, const char *id, const char *value)
{
    free(q->id);
    free(q->value);
    q->held = true;
    q->id = id ? xstrdup(id) : NULL;
    q->value = value ? xstrdup(value) : NULL;
}

static void execute(struct qmp *q, const struct command *c, const struct jv *args, const struct jv *id)
{
    struct jw out = { .pretty = q->pretty }, idw = { .text = NULL };
    struct monitor_hooks hooks = run_monitor_hooks(q->run);
    struct jv *none = args ? NULL : jv_new(JV_OBJECT);
    struct err e = { "" };
    struct call call = { .m = q->run->m, .run = q->run, .hooks = &hooks, .qmp = q,
                         .args = args ? args : none, .out = &out };

    if (id)
        jw_copy(&idw, NULL, id);
    if (cmd_check_args(c, call.args, &e) < 0 || c->run(&call, &e) < 0) {
        reply_error(q, id, call.class, e.msg);
    } else if (call.wait) {
        hold(q, idw.text, out.text);
    } else {
        reply_value(q, idw.text, out.text);
    }
    jw_free(&out);
    jw_free(&idw);
    jv_free(none);
}

/* The members of a command: what is wrong with them, or NULL. */
static const char *bad_request(const struct jv *v)
{
    if (v->type != JV_OBJECT)
        return "QMP input must be a JSON object";
    for (const struct jv *m = v->child; m; m = m->next) {
        bool exec = !strcmp(m->key, "execute") || !strcmp(m->key, "exec-oob");

        if (exec && m->type != JV_STRING)
            return "QMP input member 'execute' must be a string";
        if (!strcmp(m->key, "arguments") && m->type != JV_OBJECT)
            return "QMP input member 'arguments' must be an object";
        if (!exec && strcmp(m->key, "arguments") && strcmp(m->key, "id"))
            return "QMP input member is unexpected";
    }
    if (!jv_get(v, "execute") == !jv_get(v, "exec-oob"))
        return "QMP input lacks member 'execute'";
    return NULL;
}

static void request(struct qmp *q, const struct jv *v)
{
    const struct jv *id = jv_get(v, "id"), *args = jv_get(v, "arguments");
    const char *why = bad_request(v), *name;
    const struct command *c;
    char text[200];

    if (why) {
        reply_error(q, id, CLASS_GENERIC, why);
        return;
    }
    name = jv_text(v, "execute") ? jv_text(v, "execute") : jv_text(v, "exec-oob");
    if (!q->ready) {
        negotiate(q, name, args, id);
        return;
    }
    c = find(name);
    if (c) {
        execute(q, c, args, id);
        return;
    }
    snprintf(text, sizeof(text), "The command %.128s has not been found", name);
    reply_error(q, id, CLASS_COMMAND_NOT_FOUND, text);
}

static void parse(struct qmp *q, const char *text, size_t len)
{
    struct err e = { "" };
    struct jv *v = jv_parse(text, len, &e);

    if (v)
        request(q, v);
    else
        reply_error(q, NULL, CLASS_GENERIC, e.msg);
    jv_free(v);
}

/* ---- input --------------------------------------------------------------------------------- */

static void scan_reset(struct qmp *q)
{
    q->depth = 0;
    q->quoted = q->escaped = false;
}

/* One more byte; true: it ends a value (or a line that holds none). */
static bool scan(struct qmp *q, char c)
{
    if (q->escaped) {
        q->escaped = false;
    } else if (q->quoted) {
        q->escaped = c == '\\';
        q->quoted = c != '"';
    } else if (c == '"') {
        q->quoted = true;
    } else if (c == '{' || c == '[') {
        q->depth++;
    } else if (c == '}' || c == ']') {
        if (q->depth)
            q->depth--;
        return !q->depth;
    }
    return c == '\n' && !q->depth;
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", s[i]))
            return false;
    return true;
}

static void drop(struct qmp *q, size_t n)
{
    q->in_len -= n;
    q->scanned -= n;
    memmove(q->in, q->in + n, q->in_len);
}

/* Run what is complete, until a command has to wait. A byte that never stands in JSON
 * (a client's way to start afresh) drops what came before it. */
static void pump(struct qmp *q)
{
    unsigned client = q->client;
    size_t start = 0;

    while (!q->held && q->scanned < q->in_len) {
        char c = q->in[q->scanned++];

        if ((unsigned char)c == 0xff) {
            scan_reset(q);
            start = q->scanned;
        } else if (scan(q, c)) {
            size_t end = q->scanned;

            scan_reset(q);
            if (!is_blank(q->in + start, end - start))
                parse(q, q->in + start, end - start);
            if (q->client != client)
                return;                /* it went away over the reply */
            start = end;
        }
    }
    drop(q, start);
}

static void overlong(struct qmp *q)
{
    if (!q->overlong)
        reply_error(q, NULL, CLASS_GENERIC, "JSON parse error, too long");
    q->overlong = true;
    q->in_len = q->scanned = 0;
    scan_reset(q);
}

/* After an object that was too long the next line begins anew. */
static int skip_overlong(struct qmp *q, const uint8_t *buf, int len)
{
    const uint8_t *end = memchr(buf, '\n', len);

    if (!end)
        return len;
    q->overlong = false;
    return (int)(end - buf) + 1;
}

static int qmp_can_receive(void *front)
{
    const struct qmp *q = front;

    return q->held ? 0 : 4096;
}

static void qmp_receive(void *front, const uint8_t *buf, int len)
{
    struct qmp *q = front;

    if (q->overlong) {
        int skip = skip_overlong(q, buf, len);

        buf += skip;
        len -= skip;
    }
    if (q->in_len + (size_t)len > q->in_size) {
        q->in_size = (q->in_len + (size_t)len) * 2;
        q->in = xrealloc(q->in, q->in_size);
    }
    memcpy(q->in + q->in_len, buf, len);
    q->in_len += (size_t)len;
    pump(q);
    if (!q->held && q->in_len > INPUT_MAX)
        overlong(q);
}

bool qmp_resume(struct qmp *q)
{
    if (!q->held)
        return false;
    q->held = false;
    reply_value(q, q->id, q->value);
    pump(q);
    q->chr->poll_input(q->chr);
    return q->held;
}

/* ---- life ------------------------------------------------------------------------------------- */

static void close_fds(struct qmp *q)
{
    while (q->n_fds) {
        close(q->fds[--q->n_fds].fd);
        free(q->fds[q->n_fds].name);
    }
}

static void forget(struct qmp *q)
{
    q->connected = q->ready = q->held = q->overlong = q->lost = false;
    q->in_len = q->scanned = q->out_len = 0;
    q->client++;
    scan_reset(q);
    close_fds(q);
}

static void qmp_chr_event(void *front, int event)
{
    struct qmp *q = front;

    if (event == CHR_EVENT_BREAK)
        return;
    forget(q);
    if (event == CHR_EVENT_OPENED) {
        q->connected = true;
        greet(q);
    }
}

static void qmp_can_write(void *front)
{
    flush(front);
}

struct qmp *qmp_new(struct run *r, struct chardev *chr, bool pretty, struct err *e)
{
    struct qmp *q;

#ifndef CONFIG_JANSSON
    err_set(e, -ENOTSUP, "the machine protocol was not built in (Jansson was not there)");
    return NULL;
#endif
    q = xzalloc(sizeof(*q));
    q->run = r;
    q->chr = chr;
    q->pretty = pretty;
    chr->can_receive = qmp_can_receive;
    chr->receive = qmp_receive;
    chr->can_write = qmp_can_write;
    chr->event = qmp_chr_event;
    chr->front = q;
    if (chardev_is_open(chr))
        qmp_chr_event(q, CHR_EVENT_OPENED);
    chr->poll_input(chr);
    return q;
}

void qmp_free(struct qmp *q)
{
    if (!q)
        return;
    q->chr->can_receive = NULL;
    q->chr->receive = NULL;
    q->chr->can_write = NULL;
    q->chr->event = NULL;
    q->chr->front = NULL;
    close_fds(q);
    free(q->in);
    free(q->out);
    free(q->id);
    free(q->value);
    free(q);
}

/* ---- descriptors --------------------------------------------------------------------------------- */

int qmp_take_fd(struct qmp *q, const char *name)
{
    for (unsigned i = 0; i < q->n_fds; i++) {
        int fd = q->fds[i].fd;

        if (strcmp(q->fds[i].name, name))
            continue;
        free(q->fds[i].name);
        q->fds[i] = q->fds[--q->n_fds];
        return fd;
    }
    return -1;
}

int qmp_keep_fd(struct qmp *q, const char *name, struct err *e)
{
    int fd = chardev_take_fd(q->chr), old;

    if (fd < 0)
        return err_set(e, -EINVAL, "No file descriptor supplied via SCM_RIGHTS");
    old = qmp_take_fd(q, name);
    if (old >= 0)
        close(old);
    if (q->n_fds == FDS_MAX) {
        close(fd);
        return err_set(e, -ENOSPC, "more than %d descriptors are kept", FDS_MAX);
    }
    q->fds[q->n_fds++] = (struct named_fd){ xstrdup(name), fd };
    return 0;
}

int qmp_close_fd(struct qmp *q, const char *name, struct err *e)
{
    int fd = qmp_take_fd(q, name);

    if (fd < 0)
        return err_set(e, -ENOENT, "File descriptor named '%.64s' not found", name);
    close(fd);
    return 0;
}
