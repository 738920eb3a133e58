/*
 * monitor.c - the human monitor: prompt, command tables, the basic commands
 *
 * The language is that of QEMU's monitor. Commands are rows of tables; other
 * parts add their own tables with monitor_add_commands().
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>
#include "hw/display/vga.h"
#include "ui/monitor-int.h"
#if __has_include("config.h")
#include "config.h"
#endif

#ifndef TRANSOM_VERSION
#define TRANSOM_VERSION "0.1"
#endif

#define PROMPT "(qemu) "
#define TABLES_MAX 8
#define OUT_MAX (1024 * 1024) /* output nobody reads is dropped from here on */

struct monitor {
    struct machine *machine;
    struct chardev *chr;
    struct monitor_hooks hooks;
    struct line line;
    const struct monitor_cmd *commands[TABLES_MAX], *infos[TABLES_MAX];
    char *out;          /* what the back end did not take yet */
    size_t out_len, out_size;
    bool greeted, last_cr;
};

struct machine *monitor_machine(struct monitor *mon)
{
    return mon->machine;
}

const struct monitor_hooks *monitor_hooks(const struct monitor *mon)
{
    return &mon->hooks;
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
    mon->out_len -= done;
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

void monitor_prompt(struct monitor *mon)
{
    if (!mon->greeted)
        monitor_printf(mon, "Transom %s monitor - type 'help' for more information\n",
                       TRANSOM_VERSION);
    mon->greeted = true;
    monitor_printf(mon, PROMPT);
}

/* ---- tables -------------------------------------------------------------------- */

/* Whether @word is one of the names of "cont|c". */
static bool is_name(const char *names, const char *word, size_t len)
{
    for (;;) {
        size_t n = strcspn(names, "|");

        if (n == len && !strncmp(names, word, n))
            return true;
        if (!names[n])
            return false;
        names += n + 1;
    }
}

static const struct monitor_cmd *find_cmd(const struct monitor_cmd *const *tables,
                                          const char *word, size_t len)
{
    for (unsigned t = 0; t < TABLES_MAX && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            if (is_name(c->name, word, len))
                return c;
    return NULL;
}

static void list_commands(struct monitor *mon, const struct monitor_cmd *const *tables,
                          const char *prefix)
{
    for (unsigned t = 0; t < TABLES_MAX && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            monitor_printf(mon, "%s%s%s%s -- %s\n", prefix, c->name, *c->args ? " " : "",
                           c->args, c->help);
}

static const char *nearest_cmd(const struct monitor_cmd *const *tables, const char *word)
{
    const char *names[128];
    size_t n = 0;

    for (unsigned t = 0; t < TABLES_MAX && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            if (n < ARRAY_SIZE(names) && !strchr(c->name, '|'))
                names[n++] = c->name;
    return nearest_word(word, names, n);
}

/* Run the first word of @line from @tables; @what names the kind of word. */
static void run_from(struct monitor *mon, const struct monitor_cmd *const *tables,
                     const char *what, char *line)
{
    size_t len = 0;
    const struct monitor_cmd *c;

    /* "x/4xw": the format belongs to the arguments */
    while (line[len] && !isspace((unsigned char)line[len]) && line[len] != '/')
        len++;
    c = find_cmd(tables, line, len);
    if (c) {
        char *rest = line + len;

        while (isspace((unsigned char)*rest))
            rest++;
        c->run(mon, rest);
    } else {
        const char *near;

        line[len] = 0;
        near = nearest_cmd(tables, line);
        monitor_printf(mon, "unknown %s: '%s'%s%s%s\n", what, line,
                       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
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

/* Shared start of all candidates, of which the first is @first. */
static size_t common_length(struct monitor *mon, const char *prefix, const char **first,
                            unsigned *found)
{
    size_t len = strlen(prefix), common = 0;

    *found = 0;
    for (unsigned t = 0; t < TABLES_MAX && mon->commands[t]; t++) {
        for (const struct monitor_cmd *c = mon->commands[t]; c->name; c++) {
            size_t n = strcspn(c->name, "|"), i = 0;

            if (strncmp(c->name, prefix, len))
                continue;
            if (!(*found)++) {
                *first = c->name;
                common = n;
            }
            while (i < common && i < n && c->name[i] == (*first)[i])
                i++;
            common = i;
        }
    }
    return common;
}

void monitor_complete(struct monitor *mon, const char *prefix, char *rest, size_t size)
{
    size_t len = strlen(prefix), common;
    const char *first = "";
    unsigned found;

    *rest = 0;
    if (strchr(prefix, ' '))
        return;
    common = common_length(mon, prefix, &first, &found);
    if (!found || common < len)
        return;
    snprintf(rest, size, "%.*s%s", (int)(common - len), first + len, found == 1 ? " " : "");
    if (found == 1 || common > len)
        return;
    monitor_printf(mon, "\n");
    for (unsigned t = 0; t < TABLES_MAX && mon->commands[t]; t++)
        for (const struct monitor_cmd *c = mon->commands[t]; c->name; c++)
            if (!strncmp(c->name, prefix, len))
                monitor_printf(mon, "%.*s ", (int)strcspn(c->name, "|"), c->name);
    monitor_printf(mon, "\n" PROMPT "%s", prefix);
}

static void add_table(const struct monitor_cmd **tables, const struct monitor_cmd *t)
{
    unsigned i = 0;

    while (tables[i])
        i++;
    assert(i < TABLES_MAX - 1);
    tables[i] = t;
}

void monitor_add_commands(struct monitor *mon, const struct monitor_cmd *table)
{
    add_table(mon->commands, table);
}

void monitor_add_info(struct monitor *mon, const struct monitor_cmd *table)
{
    add_table(mon->infos, table);
}

/* ---- commands ------------------------------------------------------------------- */

static void cmd_help(struct monitor *mon, char *rest)
{
    const struct monitor_cmd *c;

    if (!*rest) {
        list_commands(mon, mon->commands, "");
    } else if (!strcmp(rest, "info")) {
        list_commands(mon, mon->infos, "info ");
    } else {
        c = find_cmd(mon->commands, rest, strlen(rest));
        if (c)
            monitor_printf(mon, "%s%s%s -- %s\n", c->name, *c->args ? " " : "", c->args,
                           c->help);
        else
            monitor_printf(mon, "unknown command: '%s'\n", rest);
    }
}

static void cmd_info(struct monitor *mon, char *rest)
{
    if (*rest)
        run_from(mon, mon->infos, "info item", rest);
    else
        list_commands(mon, mon->infos, "info ");
}

static void cmd_quit(struct monitor *mon, char *rest)
{
    machine_request_shutdown(mon->machine, CAUSE_MONITOR, 0);
}

static void run_hook(struct monitor *mon, const char *name, void (*hook)(void *))
{
    if (hook)
        hook(mon->hooks.opaque);
    else
        monitor_printf(mon, "%s: not available\n", name);
}

static void cmd_stop(struct monitor *mon, char *rest)
{
    run_hook(mon, "stop", mon->hooks.stop);
}

static void cmd_cont(struct monitor *mon, char *rest)
{
    run_hook(mon, "cont", mon->hooks.cont);
}

static void cmd_system_reset(struct monitor *mon, char *rest)
{
    machine_request_reset(mon->machine, CAUSE_MONITOR);
}

static void cmd_system_powerdown(struct monitor *mon, char *rest)
{
    machine_request_powerdown(mon->machine);
}

static void cmd_log(struct monitor *mon, char *rest)
{
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "log: which items? (none, all, or as -d help lists them)\n");
    else if (log_set_items(rest, &e) < 0)
        monitor_printf(mon, "log: %s\n", e.msg);
}

static void cmd_logfile(struct monitor *mon, char *rest)
{
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "logfile: which file?\n");
    else if (log_set_file(rest, &e) < 0)
        monitor_printf(mon, "logfile: %s\n", e.msg);
}

static const struct monitor_cmd basic_commands[] = {
    { "help|?", "[COMMAND]", "list commands", cmd_help },
    { "info", "[ITEM]", "show state; alone: list the items", cmd_info },
    { "quit|q", "", "end the emulator", cmd_quit },
    { "stop|s", "", "stop the virtual CPUs", cmd_stop },
    { "cont|c", "", "let them run", cmd_cont },
    { "system_reset", "", "reset the machine", cmd_system_reset },
    { "system_powerdown", "", "press the power button", cmd_system_powerdown },
    { "log", "ITEM[,...]", "choose what is logged, as with -d", cmd_log },
    { "logfile", "FILE", "log to FILE, as with -D", cmd_logfile },
    { "x", "/FMT ADDR", "dump virtual memory", cmd_x },
    { "xp", "/FMT ADDR", "dump physical memory", cmd_xp },
    { "print|p", "/FMT EXPR", "calculate", cmd_print },
    { NULL, NULL, NULL, NULL }
};

/* ---- info ------------------------------------------------------------------------- */

static void info_version(struct monitor *mon, char *rest)
{
    monitor_printf(mon, "Transom %s\n", TRANSOM_VERSION);
}

static void info_status(struct monitor *mon, char *rest)
{
    static const char *const names[] = {
        [RUN_PRELAUNCH] = "paused (prelaunch)", [RUN_RUNNING] = "running",
        [RUN_PAUSED] = "paused", [RUN_SHUTDOWN] = "paused (shutdown)",
    };

    monitor_printf(mon, "VM status: %s\n", names[mon->machine->run_state]);
}

static void info_registers(struct monitor *mon, char *rest)
{
    if (mon->hooks.registers)
        mon->hooks.registers(mon->hooks.opaque, mon);
    else
        monitor_printf(mon, "info registers: not available\n");
}

static void info_mtree(struct monitor *mon, char *rest)
{
    static const char *const kinds[] = { "ram", "rom", "i/o" };
    const struct mem_map *mm = &mon->machine->mem;

    monitor_printf(mon, "memory, as it answers:\n");
    for (size_t i = 0; i < mm->n_flat; i++) {
        const struct mem_flat *f = &mm->flat[i];

        monitor_printf(mon, "  %016llx-%016llx (prio %d, %s): %s @%016llx\n",
                       (unsigned long long)f->base,
                       (unsigned long long)(f->base + f->len - 1), f->region->prio,
                       kinds[f->region->kind], f->region->name,
                       (unsigned long long)f->offset);
    }
}

static void info_screen(struct monitor *mon, char *rest)
{
    struct vga_text *t = xmalloc(sizeof(*t));
    char row[260];

    if (!mon->machine->vga)
        monitor_printf(mon, "no VGA\n");
    else if (vga_text_snapshot(mon->machine->vga, t) < 0)
        monitor_printf(mon, "no text mode\n");
    else
        for (unsigned r = 0; r < t->rows; r++) {
            vga_text_row(t, r, row, sizeof(row));
            monitor_printf(mon, "%s\n", row);
        }
    free(t);
}

static const struct monitor_cmd basic_infos[] = {
    { "version", "", "version of the emulator", info_version },
    { "status", "", "whether the machine runs", info_status },
    { "registers", "", "CPU registers", info_registers },
    { "mtree", "", "memory map", info_mtree },
    { "screen", "", "the text screen", info_screen },
    { NULL, NULL, NULL, NULL }
};

/* ---- front end of the character device ------------------------------------------------ */

static int monitor_can_receive(void *front)
{
    return LINE_MAX_BYTES;
}

static void monitor_receive(void *front, const uint8_t *buf, int len)
{
    struct monitor *mon = front;

    for (int i = 0; i < len; i++) {
        /* CR LF, as network tools send it, is one end of line */
        bool second = buf[i] == '\n' && mon->last_cr;

        mon->last_cr = buf[i] == '\r';
        if (second || !line_key(mon, &mon->line, buf[i]))
            continue;
        line_done(&mon->line);
        monitor_command(mon, mon->line.text);
        monitor_prompt(mon);
    }
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
        mon->out_len = mon->line.len = 0;
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
    monitor_add_commands(mon, basic_commands);
    monitor_add_info(mon, basic_infos);
    chr->can_receive = monitor_can_receive;
    chr->receive = monitor_receive;
    chr->can_write = monitor_can_write;
    chr->event = monitor_event;
    chr->front = mon;
    chr->poll_input(chr);
    if (chardev_has_focus(chr))
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
