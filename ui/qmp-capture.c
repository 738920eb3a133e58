/*
 * qmp-capture.c - a line of the monitor for people, run for a program
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/chardev-int.h"
#include "ui/monitor-int.h"
#include "ui/qmp.h"
#include "ui/run-int.h"

struct capture {
    struct chr chr;
    char *buf;
    size_t len, size;
};

static int capture_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct capture *k = (struct capture *)c;

    if (k->len + (size_t)len + 1 > k->size) {
        k->size = 2 * (k->len + (size_t)len + 1);
        k->buf = xrealloc(k->buf, k->size);
    }
    for (int i = 0; i < len; i++)
        if (buf[i])
            k->buf[k->len++] = (char)buf[i];
    return len;
}

static void capture_poll_input(struct chardev *c)
{
}

char *qmp_capture(struct run *r, const char *line, unsigned cpu)
{
    struct capture k = { .chr.c = { .label = "capture", .write = capture_write,
                                    .poll_input = capture_poll_input } };
    struct monitor *mon = run_monitor_new(r, &k.chr.c);
    char *copy = xstrdup(line);

    mon->cpu = cpu;
    k.len = 0;               /* greeting and prompt */
    monitor_command(mon, copy);
    monitor_free(mon);
    free(copy);
    if (!k.buf)
        return xstrdup("");
    k.buf[k.len] = 0;
    return k.buf;
}
