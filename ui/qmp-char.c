/*
 * qmp-char.c - commands about character devices and descriptors
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#include "ui/commands-int.h"

#define READ_MAX (1 << 20)

static int query_chardev(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (unsigned i = 0; i < c->run->n_chr; i++) {
        const struct run_chr *k = &c->run->chr[i];

        if (!k->id)
            continue;
        jw_open(c->out, NULL);
        jw_bool(c->out, "frontend-open", k->used && (!k->chr->front_open || k->chr->front_open(k->chr->front)));
        jw_str(c->out, "filename", chardev_desc(k->chr));
        jw_str(c->out, "label", k->id);
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

static int query_backends(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (size_t i = 0; chardev_kind_name(i); i++) {
        jw_open(c->out, NULL);
        jw_str(c->out, "name", chardev_kind_name(i));
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

/* ---- chardev-add -------------------------------------------------------------------- */

/* The name of an option where the protocol's differs from the command line's. */
static const char *option_name(const char *key)
{
    static const struct { const char *qmp, *option; } names[] = {
        { "out", "path" }, { "in", "input-path" }, { "device", "path" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(key, names[i].qmp))
            return names[i].option;
    return key;
}

static void add_members(struct kv_list *kv, const struct jv *data)
{
    for (const struct jv *v = data ? data->child : NULL; v; v = v->next) {
        char number[32];

        snprintf(number, sizeof(number), "%lld", (long long)v->i);
        if (v->type == JV_STRING)
            kv_add(kv, option_name(v->key), v->s);
        else if (v->type == JV_BOOL)
            kv_add(kv, option_name(v->key), v->b ? "on" : "off");
        else if (v->type == JV_INT)
            kv_add(kv, option_name(v->key), number);
    }
}

/* "addr": { "type": "inet" | "unix" | "fd", "data": {...} }; a named descriptor is taken. */
static int add_address(struct call *c, struct kv_list *kv, const struct jv *data, int *fd, struct err *e)
{
    const struct jv *addr = jv_get(data, "addr"), *inner = jv_get(addr, "data");
    const char *type = jv_text(addr, "type"), *name = jv_text(inner, "str");
    char number[16];

    if (!type || !inner)
        return err_set(e, -EINVAL, "Parameter 'backend.data.addr' is missing");
    if (strcmp(type, "fd")) {
        add_members(kv, inner);
        return 0;
    }
    *fd = name && c->qmp ? qmp_take_fd(c->qmp, name) : -1;
    if (*fd < 0)
        return err_set(e, -ENOENT, "File descriptor named '%.64s' not found", name ? name : "");
    snprintf(number, sizeof(number), "%d", *fd);
    kv_add(kv, "fd", number);
    return 0;
}

static int cmd_chardev_add(struct call *c, struct err *e)
{
    const struct jv *backend = jv_get(c->args, "backend"), *data = jv_get(backend, "data");
    const char *type = jv_text(backend, "type"), *id = jv_text(c->args, "id"), *pty;
    struct kv_list kv = { NULL, 0 };
    int fd = -1, ret = 0;

    if (!type)
        return err_set(e, -EINVAL, "Parameter 'backend.type' is missing");
    kv_add(&kv, "", type);
    kv_add(&kv, "id", id);
    /* a server in the command line waits, one made now must not */
    if (!strcmp(type, "socket") && !jv_get(data, "wait"))
        kv_add(&kv, "wait", "off");
    if (!strcmp(type, "socket"))
        ret = add_address(c, &kv, data, &fd, e);
    if (!strcmp(type, "socket") && !jv_get(data, "server"))
        kv_add(&kv, "server", "on");
    add_members(&kv, data);
    if (ret == 0)
        ret = run_chr_add(c->run, &kv, id, e);
    kv_free(&kv);
    if (ret < 0) {
        if (fd >= 0)
            close(fd);
        return ret;
    }
    pty = chardev_desc(run_chr_find(c->run, id)->chr);
    jw_open(c->out, NULL);
    if (!strncmp(pty, "pty:", 4))
        jw_str(c->out, "pty", pty + 4);
    jw_close(c->out);
    return 0;
}

/* At the prompt: as after -chardev. */
static int cmd_chardev_add_line(struct call *c, struct err *e)
{
    const char *text = jv_text(c->args, "args");
    struct kv_list kv = { NULL, 0 };
    int ret = kv_parse(&kv, text, e);

    if (ret == 0)
        ret = run_chr_add(c->run, &kv, text, e);
    kv_free(&kv);
    return ret;
}

static int cmd_chardev_remove(struct call *c, struct err *e)
{
    return run_chr_remove(c->run, jv_text(c->args, "id"), e);
}

static int cmd_send_break(struct call *c, struct err *e)
{
    struct run_chr *k = run_chr_find(c->run, jv_text(c->args, "id"));

    if (!k)
        return err_set(e, -ENODEV, "Chardev '%.64s' not found", jv_text(c->args, "id"));
    if (k->chr->event)
        k->chr->event(k->chr->front, CHR_EVENT_BREAK);
    return 0;
}

/* ---- ring buffers ---------------------------------------------------------------------- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648, section 4; owned by the caller */
static char *base64(const uint8_t *p, size_t n)
{
    char *out = xmalloc((n + 2) / 3 * 4 + 1), *o = out;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);

        for (unsigned k = 0; k < 4; k++)
            *o++ = i + k > n ? '=' : letters[v >> (18 - 6 * k) & 63];
    }
    *o = 0;
    return out;
}

/* Bytes of @s in place of it; -1: not base64. */
static int unbase64(const char *s, uint8_t *out)
{
    uint32_t v = 0;
    int n = 0, bits = 0;

    for (; *s && *s != '='; s++) {
        const char *at = strchr(letters, *s);

        if (!at)
            return -1;
        v = v << 6 | (uint32_t)(at - letters);
        bits += 6;
        if (bits >= 8)
            out[n++] = (uint8_t)(v >> (bits -= 8));
    }
    return strspn(s, "=") == strlen(s) ? n : -1;
}

static bool is_base64(const struct call *c)
{
    const char *format = jv_text(c->args, "format");

    return format && !strcmp(format, "base64");
}

static struct chardev *ring(struct call *c, struct err *e)
{
    struct run_chr *k = run_chr_find(c->run, jv_text(c->args, "device"));

    if (!k)
        err_set(e, -ENODEV, "Device '%.64s' not found", jv_text(c->args, "device"));
    return k ? k->chr : NULL;
}

static int cmd_ringbuf_write(struct call *c, struct err *e)
{
    const char *data = jv_text(c->args, "data");
    struct chardev *chr = ring(c, e);
    uint8_t *bytes;
    int n, ret;

    if (!chr)
        return -ENODEV;
    bytes = xmalloc(strlen(data) + 1);
    n = is_base64(c) ? unbase64(data, bytes) : (int)strlen(data);
    if (!is_base64(c))
        memcpy(bytes, data, n);
    ret = n < 0 ? err_set(e, -EINVAL, "data is no base64")
                : chardev_ringbuf_write(chr, bytes, (size_t)n, e);
    free(bytes);
    return ret;
}

static void show_bytes(struct call *c, const uint8_t *p, int n)
{
    for (int i = 0; i < n; i++)
        monitor_printf(c->mon, p[i] == '\n' || (p[i] >= 32 && p[i] < 127) ? "%c" : "\\u%04x", p[i]);
    monitor_printf(c->mon, "\n");
}

static int cmd_ringbuf_read(struct call *c, struct err *e)
{
    int64_t size = jv_number(c->args, "size", 0);
    struct chardev *chr = ring(c, e);
    char *text = NULL;
    uint8_t *p;
    int n;

    if (!chr)
        return -ENODEV;
    if (size <= 0 || size > READ_MAX)
        return err_set(e, -EINVAL, "size: 1 to %d bytes", READ_MAX);
    p = xzalloc((size_t)size + 1);
    n = chardev_ringbuf_read(chr, p, (size_t)size, e);
    if (n >= 0 && c->mon)
        show_bytes(c, p, n);
    else if (n >= 0)
        jw_str(c->out, NULL, is_base64(c) ? (text = base64(p, (size_t)n)) : (char *)p);
    free(text);
    free(p);
    return MIN(n, 0);
}

/* ---- descriptors ------------------------------------------------------------------------------ */

static int cmd_getfd(struct call *c, struct err *e)
{
    return qmp_keep_fd(c->qmp, jv_text(c->args, "fdname"), e);
}

static int cmd_closefd(struct call *c, struct err *e)
{
    return qmp_close_fd(c->qmp, jv_text(c->args, "fdname"), e);
}

const struct command char_commands[] = {
    { .qmp = "query-chardev", .returns = "any", .run = query_chardev },
    { .qmp = "query-chardev-backends", .returns = "any", .run = query_backends },
    { .qmp = "chardev-add", .args = "id:s,backend:j", .returns = "any", .run = cmd_chardev_add },
    { .hmp = "chardev-add", .args = "args:S", .help = "add a character device, as after -chardev",
      .run = cmd_chardev_add_line },
    { .hmp = "chardev-remove", .qmp = "chardev-remove", .args = "id:C", .help = "remove an unused one",
      .run = cmd_chardev_remove },
    { .hmp = "chardev-send-break", .qmp = "chardev-send-break", .args = "id:C",
      .help = "send a break to the port behind it", .run = cmd_send_break },
    { .hmp = "ringbuf_write", .qmp = "ringbuf-write", .args = "device:C,data:S,format:s?!",
      .help = "append text to a ring buffer", .run = cmd_ringbuf_write },
    { .hmp = "ringbuf_read", .qmp = "ringbuf-read", .args = "device:C,size:i,format:s?!", .returns = "str",
      .help = "take text out of a ring buffer", .run = cmd_ringbuf_read },
    { .qmp = "getfd", .args = "fdname:s", .run = cmd_getfd },
    { .qmp = "closefd", .args = "fdname:s", .run = cmd_closefd },
    { .hmp = NULL }
};
