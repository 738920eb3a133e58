/*
 * command.c - arguments of commands: from a line, from JSON, for help
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <stdlib.h>
#include "ui/command.h"
#include "ui/monitor-int.h"

#define WORD_MAX 1024

bool cmd_next_arg(const char **args, struct cmd_arg *a)
{
    const char *s = *args;
    size_t n;

    if (!s || !*s || *s == '*')
        return false;
    n = strcspn(s, ":");
    memset(a, 0, sizeof(*a));
    snprintf(a->name, sizeof(a->name), "%.*s", (int)n, s);
    a->type = s[n + 1];
    for (s += n + 2; *s && *s != ','; s++) {
        a->optional |= *s == '?' || a->type == 'f';
        a->no_hmp |= *s == '!';
        a->no_qmp |= *s == '^';
    }
    a->optional |= a->type == 'f';
    a->no_hmp |= a->type == 'j';
    *args = *s ? s + 1 : s;
    return true;
}

void cmd_usage(const struct command *c, char *text, size_t size)
{
    const char *args = c->args;
    struct cmd_arg a;
    size_t n = snprintf(text, size, "%s", c->hmp);

    while (n < size && cmd_next_arg(&args, &a)) {
        const char *open = a.optional ? "[" : "", *close = a.optional ? "]" : "";

        if (a.no_hmp)
            continue;
        if (a.type == 'f')
            n += snprintf(text + n, size - n, " [-%c]", a.name[0]);
        else
            n += snprintf(text + n, size - n, " %s%s%s%s", open, a.name, a.type == 'b' ? "=on|off" : "",
                          close);
    }
}

int cmd_not_found(struct call *c, struct err *e, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->class = CLASS_DEVICE_NOT_FOUND;
    return err_set(e, -ENODEV, "%s", text);
}

/* ---- a line --------------------------------------------------------------------- */

/* The next word of *@s into @word; quotes keep blanks, a backslash in them the next byte.
 * Returns false at the end of the line. */
static bool next_word(char **s, char word[WORD_MAX])
{
    char *p = *s + strspn(*s, " \t");
    bool quoted = *p == '"';
    size_t n = 0;

    if (!*p)
        return false;
    for (p += quoted; *p && (quoted ? *p != '"' : !isblank((unsigned char)*p)); p++) {
        if (quoted && *p == '\\' && p[1])
            p++;
        if (n + 1 < WORD_MAX)
            word[n++] = *p;
    }
    word[n] = 0;
    *s = p + (quoted && *p == '"');
    return true;
}

static struct jv *text_value(const char *s)
{
    struct jv *v = jv_new(JV_STRING);

    v->s = xstrdup(s);
    return v;
}

static struct jv *bool_value(bool b)
{
    struct jv *v = jv_new(JV_BOOL);

    v->b = b;
    return v;
}

/* What @word means for @a; NULL with @e set. */
static struct jv *word_value(struct monitor *mon, const struct cmd_arg *a, const char *word,
                             struct err *e)
{
    struct err why = { "" };
    struct jv *v = NULL;
    uint64_t number;

    switch (a->type) {
    case 'i':
        if (monitor_eval(mon, &word, &number, &why) < 0 || *word) {
            err_set(e, -EINVAL, "%s: a number is wanted", a->name);
        } else {
            v = jv_new(JV_INT);
            v->i = (int64_t)number;
        }
        return v;
    case 'b':
        if (!strcmp(word, "on") || !strcmp(word, "off"))
            return bool_value(!strcmp(word, "on"));
        err_set(e, -EINVAL, "%s: on or off is wanted", a->name);
        return NULL;
    default:
        return text_value(word);
    }
}

/* A switch may stand before the other arguments only. */
static void take_switches(const struct command *c, char **line, struct jv *to)
{
    const char *args = c->args;
    struct cmd_arg a;

    while (cmd_next_arg(&args, &a)) {
        char *s = *line + strspn(*line, " \t");

        if (a.type != 'f' || a.no_hmp || s[0] != '-' || s[1] != a.name[0] || (s[2] && s[2] != ' '))
            continue;
        jv_put(to, a.name, bool_value(true));
        *line = s + 2;
        args = c->args;                /* they may come in any order */
    }
}

static int usage(const struct command *c, struct err *e)
{
    char text[256];

    cmd_usage(c, text, sizeof(text));
    return err_set(e, -EINVAL, "usage: %s", text);
}

static int take_words(struct monitor *mon, const struct command *c, char *line, struct jv *to,
                      struct err *e)
{
    const char *args = c->args;
    char word[WORD_MAX];
    struct cmd_arg a;

    take_switches(c, &line, to);
    while (cmd_next_arg(&args, &a)) {
        struct jv *v;

        if (a.type == 'f' || a.no_hmp)
            continue;
        line += strspn(line, " \t");
        if (a.type == 'S' && *line) {
            jv_put(to, a.name, text_value(line));
            line += strlen(line);
            continue;
        }
        if (!next_word(&line, word)) {
            if (!a.optional)
                return usage(c, e);
            continue;
        }
        if (!(v = word_value(mon, &a, word, e)))
            return -EINVAL;
        jv_put(to, a.name, v);
    }
    line += strspn(line, " \t");
    return *line ? usage(c, e) : 0;
}

struct jv *cmd_parse_line(struct monitor *mon, const struct command *c, char *line, struct err *e)
{
    struct jv *to = jv_new(JV_OBJECT);

    if (take_words(mon, c, line, to, e) == 0)
        return to;
    jv_free(to);
    return NULL;
}

/* ---- JSON ------------------------------------------------------------------------- */

static enum jv_type wanted_type(char type)
{
    return type == 'i' ? JV_INT : type == 'b' || type == 'f' ? JV_BOOL : JV_STRING;
}

static bool find_arg(const struct command *c, const char *name, struct cmd_arg *a)
{
    const char *args = c->args;

    while (cmd_next_arg(&args, a))
        if (!a->no_qmp && !strcmp(a->name, name))
            return true;
    return args && *args == '*';       /* a->name is another then */
}

int cmd_check_args(const struct command *c, const struct jv *args, struct err *e)
{
    const char *rest = c->args;
    struct cmd_arg a = { .name = "" };

    for (const struct jv *v = args->child; v; v = v->next) {
        if (!find_arg(c, v->key, &a))
            return err_set(e, -EINVAL, "Parameter '%.64s' is unexpected", v->key);
        if (!strcmp(a.name, v->key) && a.type != 'j' && v->type != wanted_type(a.type))
            return err_set(e, -EINVAL, "Invalid parameter type for '%s', expected: %s", v->key,
                           jv_type_name(wanted_type(a.type)));
    }
    while (cmd_next_arg(&rest, &a))
        if (!a.optional && !a.no_qmp && !jv_get(args, a.name))
            return err_set(e, -EINVAL, "Parameter '%s' is missing", a.name);
    return 0;
}
