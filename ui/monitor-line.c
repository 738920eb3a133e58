/*
 * monitor-line.c - typing a line into the monitor: echo, editing, history, completion
 *
 * The terminal is driven with backspaces and what is printed again, so that any
 * terminal will do. Keys are those of readline's emacs mode.
 */
#include <stdlib.h>
#include "ui/monitor-int.h"

#define CTRL(c) ((c) & 0x1f)

static void left(struct monitor *mon, unsigned n)
{
    while (n--)
        monitor_printf(mon, "\b");
}

/* Print from the cursor on, blank @gone columns after the end, go back to the cursor. */
static void redraw(struct monitor *mon, const struct line *l, unsigned gone)
{
    if (l->at == l->len && !gone)
        return;
    monitor_printf(mon, "%.*s%*s", (int)(l->len - l->at), l->text + l->at, (int)gone, "");
    left(mon, l->len - l->at + gone);
}

static void move_to(struct monitor *mon, struct line *l, unsigned at)
{
    if (at < l->at)
        left(mon, l->at - at);
    else
        monitor_printf(mon, "%.*s", (int)(at - l->at), l->text + l->at);
    l->at = at;
}

/* Take out the @n bytes before the cursor. */
static void erase(struct monitor *mon, struct line *l, unsigned n)
{
    n = MIN(n, l->at);
    if (!n)
        return;
    left(mon, n);
    memmove(l->text + l->at - n, l->text + l->at, l->len - l->at);
    l->at -= n;
    l->len -= n;
    redraw(mon, l, n);
}

/* Take out the @n bytes behind the cursor. */
static void erase_right(struct monitor *mon, struct line *l, unsigned n)
{
    unsigned to = l->at + MIN(n, l->len - l->at);

    n = to - l->at;
    memmove(l->text + l->at, l->text + to, l->len - to);
    l->len -= n;
    redraw(mon, l, n);
}

static void insert(struct monitor *mon, struct line *l, const char *s)
{
    unsigned n = (unsigned)strlen(s);

    n = MIN(n, (unsigned)sizeof(l->text) - 1 - l->len);
    if (!n)
        return;
    memmove(l->text + l->at + n, l->text + l->at, l->len - l->at);
    memcpy(l->text + l->at, s, n);
    l->at += n;
    l->len += n;
    monitor_printf(mon, "%.*s", (int)n, s);
    redraw(mon, l, 0);
}

static void replace(struct monitor *mon, struct line *l, const char *s)
{
    move_to(mon, l, l->len);
    erase(mon, l, l->len);
    insert(mon, l, s);
}

/* Start of the word before the cursor, end of the one behind it. */
static unsigned word_left(const struct line *l)
{
    unsigned i = l->at;

    while (i && l->text[i - 1] == ' ')
        i--;
    while (i && l->text[i - 1] != ' ')
        i--;
    return i;
}

static unsigned word_right(const struct line *l)
{
    unsigned i = l->at;

    while (i < l->len && l->text[i] == ' ')
        i++;
    while (i < l->len && l->text[i] != ' ')
        i++;
    return i;
}

/* @step +1: older, -1: newer. */
static void browse(struct monitor *mon, struct line *l, int step)
{
    int to = l->browsing + step;

    if (to < -1 || to >= HISTORY_LINES || (to >= 0 && !l->history[to]))
        return;
    if (l->browsing == -1) {
        memcpy(l->kept, l->text, l->len);
        l->kept[l->len] = 0;
    }
    l->browsing = to;
    replace(mon, l, to >= 0 ? l->history[to] : l->kept);
}

void line_show(struct monitor *mon, const struct line *l)
{
    monitor_printf(mon, MONITOR_PROMPT "%.*s", (int)l->len, l->text);
    left(mon, l->len - l->at);
}

static void complete(struct monitor *mon, struct line *l)
{
    char text[LINE_MAX_BYTES], rest[LINE_MAX_BYTES];

    snprintf(text, sizeof(text), "%.*s", (int)l->at, l->text);
    if (monitor_complete(mon, text, rest, sizeof(rest)))
        line_show(mon, l);
    else
        insert(mon, l, rest);
}

/* ---- keys -------------------------------------------------------------------------- */

/* ESC [ NUMBER ~ */
static void numbered_key(struct monitor *mon, struct line *l)
{
    switch (l->escape_arg) {
    case 1: case 7:
        move_to(mon, l, 0);
        break;
    case 3:
        erase_right(mon, l, 1);
        break;
    case 4: case 8:
        move_to(mon, l, l->len);
        break;
    }
}

static void final_key(struct monitor *mon, struct line *l, uint8_t key)
{
    switch (key) {
    case 'A': case 'B':
        browse(mon, l, key == 'A' ? 1 : -1);
        break;
    case 'C':
        move_to(mon, l, l->escape_arg ? word_right(l) : MIN(l->at + 1, l->len));
        break;
    case 'D':
        move_to(mon, l, l->escape_arg ? word_left(l) : l->at - (l->at > 0));
        break;
    case 'H':
        move_to(mon, l, 0);
        break;
    case 'F':
        move_to(mon, l, l->len);
        break;
    case '~':
        numbered_key(mon, l);
        break;
    }
}

/* Behind ESC: [ or O begins a sequence, b f d work on words. */
static void meta_key(struct monitor *mon, struct line *l, uint8_t key)
{
    l->escape = key == '[' || key == 'O' ? 2 : 0;
    l->escape_arg = 0;
    if (key == 'b')
        move_to(mon, l, word_left(l));
    else if (key == 'f')
        move_to(mon, l, word_right(l));
    else if (key == 'd')
        erase_right(mon, l, word_right(l) - l->at);
}

/* Returns whether @key was part of a sequence; unknown ones are swallowed. */
static bool escape_key(struct monitor *mon, struct line *l, uint8_t key)
{
    if (key == 0x1b) {
        l->escape = 1;
        return true;
    }
    if (!l->escape)
        return false;
    if (l->escape == 1) {
        meta_key(mon, l, key);
        return true;
    }
    if (key >= '0' && key <= '9' && l->escape_arg < 100)
        l->escape_arg = l->escape_arg * 10 + key - '0';
    if (key >= 0x40) { /* final byte */
        l->escape = 0;
        final_key(mon, l, key);
    }
    return true;
}

static void control_key(struct monitor *mon, struct line *l, uint8_t key)
{
    switch (key) {
    case CTRL('a'):
        move_to(mon, l, 0);
        break;
    case CTRL('e'):
        move_to(mon, l, l->len);
        break;
    case CTRL('b'):
        move_to(mon, l, l->at - (l->at > 0));
        break;
    case CTRL('f'):
        move_to(mon, l, MIN(l->at + 1, l->len));
        break;
    case CTRL('d'):
        erase_right(mon, l, 1);
        break;
    case CTRL('k'):
        erase_right(mon, l, l->len);
        break;
    case CTRL('u'):
        erase(mon, l, l->at);
        break;
    case CTRL('w'):
        erase(mon, l, l->at - word_left(l));
        break;
    case CTRL('p'): case CTRL('n'):
        browse(mon, l, key == CTRL('p') ? 1 : -1);
        break;
    case CTRL('l'):
        monitor_printf(mon, "\x1b[H\x1b[2J");
        line_show(mon, l);
        break;
    case CTRL('c'):
        monitor_printf(mon, "^C\n");
        l->len = l->at = 0;
        l->browsing = -1;
        line_show(mon, l);
        break;
    }
}

bool line_key(struct monitor *mon, struct line *l, uint8_t key)
{
    if (escape_key(mon, l, key))
        return false;
    switch (key) {
    case '\r': case '\n':
        move_to(mon, l, l->len);
        l->text[l->len] = 0;
        monitor_printf(mon, "\n");
        return true;
    case 0x7f: case '\b':
        erase(mon, l, 1);
        break;
    case '\t':
        complete(mon, l);
        break;
    default:
        if (key >= ' ')
            insert(mon, l, (char[]){ (char)key, 0 });
        else
            control_key(mon, l, key);
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
    l->len = l->at = 0;
    l->browsing = -1;
}

void line_free(struct line *l)
{
    for (unsigned i = 0; i < HISTORY_LINES; i++)
        free(l->history[i]);
}
