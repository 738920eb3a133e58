/*
 * monitor-line.c - typing a line into the monitor: echo, rubout, history,
 * completion
 */
#include <stdlib.h>
#include "ui/monitor-int.h"

#define CTRL(c) ((c) & 0x1f)

static void erase(struct monitor *mon, struct line *l, unsigned n)
{
    for (; n && l->len; n--) {
        l->len--;
        monitor_printf(mon, "\b \b");
    }
}

static void insert(struct monitor *mon, struct line *l, const char *s)
{
    for (; *s && l->len + 1 < sizeof(l->text); s++) {
        l->text[l->len++] = *s;
        monitor_printf(mon, "%c", *s);
    }
}

static void erase_word(struct monitor *mon, struct line *l)
{
    while (l->len && l->text[l->len - 1] == ' ')
        erase(mon, l, 1);
    while (l->len && l->text[l->len - 1] != ' ')
        erase(mon, l, 1);
}

/* @step +1: older, -1: newer. */
static void browse(struct monitor *mon, struct line *l, int step)
{
    int to = l->browsing + step;

    if (to < -1 || to >= HISTORY_LINES || (to >= 0 && !l->history[to]))
        return;
    l->browsing = to;
    erase(mon, l, l->len);
    if (to >= 0)
        insert(mon, l, l->history[to]);
}

/* ESC [ A and ESC [ B; other sequences are swallowed. */
static bool escape_key(struct monitor *mon, struct line *l, uint8_t key)
{
    if (key == 0x1b) {
        l->escape = 1;
        return true;
    }
    if (!l->escape)
        return false;
    if (l->escape == 1) {
        l->escape = key == '[' || key == 'O' ? 2 : 0;
        return true;
    }
    if (key >= 0x40) /* final byte */
        l->escape = 0;
    if (key == 'A' || key == 'B')
        browse(mon, l, key == 'A' ? 1 : -1);
    return true;
}

static void complete(struct monitor *mon, struct line *l)
{
    char rest[64];

    l->text[l->len] = 0;
    monitor_complete(mon, l->text, rest, sizeof(rest));
    insert(mon, l, rest);
}

bool line_key(struct monitor *mon, struct line *l, uint8_t key)
{
    if (escape_key(mon, l, key))
        return false;
    switch (key) {
    case '\r': case '\n':
        l->text[l->len] = 0;
        monitor_printf(mon, "\n");
        return true;
    case 0x7f: case '\b':
        erase(mon, l, 1);
        break;
    case CTRL('u'):
        erase(mon, l, l->len);
        break;
    case CTRL('w'):
        erase_word(mon, l);
        break;
    case CTRL('p'): case CTRL('n'):
        browse(mon, l, key == CTRL('p') ? 1 : -1);
        break;
    case '\t':
        complete(mon, l);
        break;
    default:
        if (key >= ' ')
            insert(mon, l, (char[]){ key, 0 });
        break;
    }
    return false;
}

void line_done(struct line *l)
{
    if (l->len && (!l->history[0] || strcmp(l->history[0], l->text))) {
        free(l->history[HISTORY_LINES - 1]);
        memmove(l->history + 1, l->history, (HISTORY_LINES - 1) * sizeof(*l->history));
        l->history[0] = xstrdup(l->text);
    }
    l->len = 0;
    l->browsing = -1;
}

void line_free(struct line *l)
{
    for (unsigned i = 0; i < HISTORY_LINES; i++)
        free(l->history[i]);
}
