/*
 * monitor.c - the human monitor: one conversation over a character device
 *
 * The language is that of QEMU's monitor. Commands are rows of tables; other
 * parts add their own with monitor_add_commands().
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>
#include "ui/monitor-int.h"
#include "ui/options.h"

#define OUT_MAX (1024 * 1024) /* output nobody reads is dropped from here on */

struct machine *monitor_machine(struct monitor *mon)
{
    return mon->machine;
}

const struct monitor_hooks *monitor_hooks(const struct monitor *mon)
{
    return &mon->hooks;
}

unsigned monitor_cpu(const struct monitor *mon)
{
    return mon->cpu;
}

/* ---- output ------------------------------------------------------------------ */

static void monitor_flush(struct monitor *mon)
{
    size_t done = 0;

    while (done < mon->out_len) {
        int n = mon->chr->write(mon->chr, (uint8_t *)mon->out + done,
                                MIN(mon->out_len - done, 65536));

        if (n <= 0)
            break;
        done += n;
    }
    mon->out_len -= MIN(done, mon->out_len); /* the reader may have gone meanwhile */
    memmove(mon->out, mon->out + done, mon->out_len);
}

static void monitor_putc(struct monitor *mon, char c)
{
    if (mon->out_len + 2 > OUT_MAX)
        return;
    if (mon->out_len + 2 > mon->out_size) {
        mon->out_size = mon->out_size ? mon->out_size * 2 : 1024;
        mon->out = xrealloc(mon->out, mon->out_size);
    }
    if (c == '\n')
        mon->out[mon->out_len++] = '\r';
    mon->out[mon->out_len++] = c;
}

void monitor_printf(struct monitor *mon, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    for (int i = 0; i < n; i++)
        monitor_putc(mon, s[i]);
    free(s);
    monitor_flush(mon);
}

void monitor_print_stream(struct monitor *mon, void (*show)(void *opaque, FILE *f), void *opaque)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return;
    show(opaque, f);
    fclose(f);
    monitor_printf(mon, "%s", text);
    free(text);
}

void monitor_prompt(struct monitor *mon)
{
    if (!mon->greeted)
        monitor_printf(mon, "Transom %s monitor - type 'help' for more information\n",
                       TRANSOM_VERSION_TEXT);
    mon->greeted = true;
    monitor_printf(mon, MONITOR_PROMPT);
}

/* ---- running a line -------------------------------------------------------------- */

static void run_typed(struct monitor *mon, const struct command *c, char *rest)
{
    struct err e = { "" };
    struct jv *args = cmd_parse_line(mon, c, rest, &e);
    struct jw out = { .text = NULL };
    struct call call = { .m = mon->machine, .run = mon->hooks.opaque, .hooks = &mon->hooks,
                         .mon = mon, .args = args, .out = &out };

    if (!args)
        monitor_printf(mon, "%s\n", e.msg);
    else if (c->run(&call, &e) < 0)
        monitor_printf(mon, "Error: %s\n", e.msg);
    mon->held = call.wait && mon->hooks.resumes;
    jv_free(args);
    jw_free(&out);
}

static void unknown(struct monitor *mon, const struct monitor_cmd *const *tables, const char *what,
                    const char *word)
{
    const char *near = monitor_nearest(mon, tables, word);

    monitor_printf(mon, "unknown %s: '%s'%s%s%s\n", what, word, near ? ", did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

/* Run the first word of @line from @tables; @what names the kind of word. */
static void run_from(struct monitor *mon, const struct monitor_cmd *const *tables,
                     const char *what, char *line)
{
    const struct command *t = NULL;
    const struct monitor_cmd *c;
    size_t len = 0;
    char *rest;

    /* "x/4xw": the format belongs to the arguments */
    while (line[len] && !isspace((unsigned char)line[len]) && line[len] != '/')
        len++;
    rest = line + len + strspn(line + len, " \t");
    c = monitor_find(tables, line, len);
    if (!c && tables == mon->commands)
        t = monitor_find_typed(mon, line, len);
    if (c) {
        c->run(mon, rest);
    } else if (t) {
        run_typed(mon, t, rest);
    } else {
        line[len] = 0;
        unknown(mon, tables, what, line);
    }
}

void monitor_command(struct monitor *mon, char *line)
{
    size_t len;

    while (isspace((unsigned char)*line))
        line++;
    len = strlen(line);
    while (len && isspace((unsigned char)line[len - 1]))
        line[--len] = 0;
    if (*line)
        run_from(mon, mon->commands, "command", line);
}

void monitor_info(struct monitor *mon, char *rest)
{
    run_from(mon, mon->infos, "info item", rest);
}

/* ---- front end of the character device ------------------------------------------------ */

static int monitor_can_receive(void *front)
{
    struct monitor *mon = front;

    return mon->held ? LINE_MAX_BYTES - mon->n_pending : LINE_MAX_BYTES;
}

/* One byte typed; a complete line is run. */
static void monitor_key(struct monitor *mon, uint8_t key)
{
    /* CR LF, as network tools send it, is one end of line */
    bool second = key == '\n' && mon->last_cr;

    mon->last_cr = key == '\r';
    if (second || !line_key(mon, &mon->line, key))
        return;
    line_done(&mon->line);
    monitor_command(mon, mon->line.text);
    if (!mon->held)
        monitor_prompt(mon);
}

static void monitor_receive(void *front, const uint8_t *buf, int len)
{
    struct monitor *mon = front;

    for (int i = 0; i < len; i++) {
        if (!mon->held)
            monitor_key(mon, buf[i]);
        else if (mon->n_pending < LINE_MAX_BYTES)
            mon->pending[mon->n_pending++] = (char)buf[i];
    }
}

/* What came in meanwhile may hold again. */
bool monitor_resume(struct monitor *mon)
{
    uint8_t typed[LINE_MAX_BYTES];
    unsigned n = mon->n_pending;

    if (!mon->held)
        return false;
    mon->held = false;
    monitor_prompt(mon);
    memcpy(typed, mon->pending, n);
    mon->n_pending = 0;
    monitor_receive(mon, typed, (int)n);
    mon->chr->poll_input(mon->chr);
    return mon->held;
}

static void monitor_can_write(void *front)
{
    monitor_flush(front);
}

/* Somebody connected, or the multiplexer turned to us. */
static void monitor_event(void *front, int event)
{
    struct monitor *mon = front;

    if (event == CHR_EVENT_CLOSED) {
        mon->greeted = false;
        mon->out_len = mon->line.len = mon->line.at = mon->n_pending = 0;
        mon->line.browsing = -1;
    } else if (event == CHR_EVENT_OPENED) {
        if (mon->greeted)
            monitor_printf(mon, "\n");
        monitor_prompt(mon);
    }
}

struct monitor *monitor_new(struct machine *m, struct chardev *chr,
                            const struct monitor_hooks *hooks)
{
    struct monitor *mon = xzalloc(sizeof(*mon));

    mon->machine = m;
    mon->chr = chr;
    if (hooks)
        mon->hooks = *hooks;
    mon->line.browsing = -1;
    monitor_add_commands(mon, monitor_basics);
    monitor_add_typed(mon, basic_commands);
    monitor_add_info(mon, monitor_basic_infos);
    chr->can_receive = monitor_can_receive;
    chr->receive = monitor_receive;
    chr->can_write = monitor_can_write;
    chr->event = monitor_event;
    chr->front = mon;
    chr->poll_input(chr);
    if (chardev_has_focus(chr) && chardev_is_open(chr)) /* else when somebody comes */
        monitor_prompt(mon);
    return mon;
}

void monitor_free(struct monitor *mon)
{
    if (!mon)
        return;
    mon->chr->can_receive = NULL;
    mon->chr->receive = NULL;
    mon->chr->can_write = NULL;
    mon->chr->event = NULL;
    line_free(&mon->line);
    free(mon->out);
    free(mon);
}
