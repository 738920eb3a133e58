/*
 * monitor-table.c - the tables of commands: finding one, help
 */
#include <stdlib.h>
#include "ui/monitor-int.h"

#define NAMES_MAX 256

/* ---- looking up ------------------------------------------------------------------- */

bool monitor_is_name(const char *names, const char *word, size_t len)
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

const struct monitor_cmd *monitor_find(const struct monitor_cmd *const *tables, const char *word, size_t len)
{
    for (unsigned t = 0; t < MONITOR_TABLES && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            if (monitor_is_name(c->name, word, len))
                return c;
    return NULL;
}

const struct command *monitor_find_typed(struct monitor *mon, const char *word, size_t len)
{
    for (unsigned t = 0; t < MONITOR_TABLES && mon->typed[t]; t++)
        for (const struct command *c = mon->typed[t]; c->hmp || c->qmp; c++)
            if (c->hmp && monitor_is_name(c->hmp, word, len))
                return c;
    return NULL;
}

const char *monitor_nearest(struct monitor *mon, const struct monitor_cmd *const *tables, const char *word)
{
    const char *names[NAMES_MAX];
    size_t n = 0;

    for (unsigned t = 0; t < MONITOR_TABLES && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            if (n < NAMES_MAX && !strchr(c->name, '|'))
                names[n++] = c->name;
    for (unsigned t = 0; t < MONITOR_TABLES && tables == mon->commands && mon->typed[t]; t++)
        for (const struct command *c = mon->typed[t]; c->hmp || c->qmp; c++)
            if (n < NAMES_MAX && c->hmp && !strchr(c->hmp, '|'))
                names[n++] = c->hmp;
    return nearest_word(word, names, n);
}

static void add_table(const struct monitor_cmd **tables, const struct monitor_cmd *t)
{
    unsigned i = 0;

    while (tables[i])
        i++;
    assert(i < MONITOR_TABLES - 1);
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

void monitor_add_typed(struct monitor *mon, const struct command *table)
{
    unsigned i = 0;

    while (mon->typed[i])
        i++;
    assert(i < MONITOR_TABLES - 1);
    mon->typed[i] = table;
}

/* ---- help --------------------------------------------------------------------------- */

static void print_row(struct monitor *mon, const char *prefix, const struct monitor_cmd *c)
{
    monitor_printf(mon, "%s%s%s%s -- %s\n", prefix, c->name, *c->args ? " " : "", c->args, c->help);
}

static void print_typed(struct monitor *mon, const struct command *c)
{
    char text[256];

    cmd_usage(c, text, sizeof(text));
    monitor_printf(mon, "%s -- %s\n", text, c->help);
}

static void list_rows(struct monitor *mon, const struct monitor_cmd *const *tables, const char *prefix)
{
    for (unsigned t = 0; t < MONITOR_TABLES && tables[t]; t++)
        for (const struct monitor_cmd *c = tables[t]; c->name; c++)
            print_row(mon, prefix, c);
}

static void list_typed(struct monitor *mon)
{
    for (unsigned t = 0; t < MONITOR_TABLES && mon->typed[t]; t++)
        for (const struct command *c = mon->typed[t]; c->hmp || c->qmp; c++)
            if (c->hmp)
                print_typed(mon, c);
}

void monitor_help_info(struct monitor *mon)
{
    list_rows(mon, mon->infos, "info ");
}

void cmd_help(struct monitor *mon, char *rest)
{
    const struct monitor_cmd *c = monitor_find(mon->commands, rest, strlen(rest));
    const struct command *t = monitor_find_typed(mon, rest, strlen(rest));

    if (!*rest) {
        list_rows(mon, mon->commands, "");
        list_typed(mon);
    } else if (!strcmp(rest, "info")) {
        monitor_help_info(mon);
    } else if (!strncmp(rest, "info ", 5) && (c = monitor_find(mon->infos, rest + 5, strlen(rest + 5)))) {
        print_row(mon, "info ", c);
    } else if (c) {
        print_row(mon, "", c);
    } else if (t) {
        print_typed(mon, t);
    } else {
        monitor_printf(mon, "unknown command: '%s'\n", rest);
    }
}
