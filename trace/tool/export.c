/*
 * export.c - transom-trace export: JSON for chrome://tracing and Perfetto
 *
 * Functions are slices, interrupts and what devices do instants. A microsecond there is a thousand
 * instructions, or with -icount the guest's own. Source: "Trace Event Format", Google.
 */
#include <inttypes.h>
#include "trace/tool/calls.h"

struct exporter {
    FILE *f;
    const struct tool *tool;
    const struct trace_header *h;
    uint64_t n;
};

static double us(const struct exporter *x, uint64_t count)
{
    unsigned shift = x->h->flags & TRACE_COUNTED ? (unsigned)MIN(x->h->ns_shift, 20u) : 0;

    return (double)(count << shift) / 1000;
}

static bool enough(const struct exporter *x)
{
    return x->tool->limit && x->n >= x->tool->limit;
}

static void string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++)
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if ((unsigned char)*s < ' ' || (unsigned char)*s > 126)
            fprintf(f, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, f);
    fputc('"', f);
}

static void put(struct exporter *x, char phase, unsigned thread, uint64_t count, const char *name)
{
    fprintf(x->f, "%s{\"ph\":\"%c\",\"pid\":1,\"tid\":%u,\"ts\":%.3f", x->n++ ? ",\n" : "", phase, thread, us(x, count));
    if (name) {
        fputs(",\"name\":", x->f);
        string(x->f, name);
    }
    fputs(phase == 'i' ? ",\"s\":\"t\"}" : "}", x->f);
}

static void put_event(struct exporter *x, unsigned thread, uint64_t count, const struct trace_event_rec *e)
{
    char text[400] = "";
    FILE *m = fmemopen(text, sizeof text, "w");

    if (m) {
        show_event(m, e);
        fclose(m);
    }
    put(x, 'i', thread, count, text);
}

static void put_thread(struct exporter *x, unsigned thread, const char *name)
{
    fprintf(x->f, "%s{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}",
            x->n++ ? ",\n" : "", thread, name);
}

static void export_cpu(struct exporter *x, struct trace_reader *r, unsigned cpu)
{
    struct trace_iter *it = filter_open(&x->tool->filter, r, cpu);
    struct calls *c = calls_new(x->tool);
    struct trace_step s = { 0 };
    unsigned open = 0;
    char name[16];

    snprintf(name, sizeof name, "cpu %u", cpu);
    put_thread(x, cpu, name);
    while (!enough(x) && filter_next(&x->tool->filter, it, &s)) {
        struct call_change ch = calls_step(c, &s);

        for (; ch.left && open; ch.left--, open--)
            put(x, 'E', cpu, s.count, NULL);
        if (ch.entered) {
            put(x, 'B', cpu, s.count, calls_top(c)->name);
            open++;
        }
        for (unsigned i = 0; i < s.n_events; i++)
            if (s.event[i].kind == TRACE_INT || s.event[i].kind == TRACE_IO || s.event[i].kind == TRACE_MMIO)
                put_event(x, cpu, s.count + MIN(s.event[i].at, s.executed), &s.event[i]);
    }
    while (open--)
        put(x, 'E', cpu, s.count + s.executed, NULL);
    calls_free(c);
    trace_iter_free(it);
}

static void export_devices(struct exporter *x, struct trace_reader *r)
{
    struct trace_iter *it = trace_iter_new(r, TRACE_DEVICES);
    struct trace_event_rec e;
    uint64_t count;

    put_thread(x, TRACE_DEVICES, "devices");
    while (!enough(x) && trace_next_device(it, &e, &count))
        put_event(x, TRACE_DEVICES, count, &e);
    trace_iter_free(it);
}

int cmd_export(struct tool *t, struct err *e)
{
    struct trace_reader *r = trace_open(t->file[0], e);
    struct exporter x = { .tool = t };
    int ret;

    if (!r)
        return -EINVAL;
    x.h = trace_header(r);
    x.f = tool_out(t, e);
    if (!x.f) {
        trace_close(r);
        return -EIO;
    }
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", x.f);
    for (unsigned i = 0; i < MIN(x.h->n_cpus, 1024u); i++)
        if (filter_cpu(&t->filter, i))
            export_cpu(&x, r, i);
    export_devices(&x, r);
    fputs("\n]}\n", x.f);
    ret = tool_out_close(t, x.f, e);
    if (ret == 0)
        ret = tool_damage(r, t->file[0]);
    trace_close(r);
    return ret;
}
