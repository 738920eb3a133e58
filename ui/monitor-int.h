/*
 * monitor-int.h - the monitor's own files among themselves
 */
#ifndef UI_MONITOR_INT_H
#define UI_MONITOR_INT_H

#include "ui/ui.h"

#define LINE_MAX_BYTES 1024
#define HISTORY_LINES 16

/** struct line - a line being typed, with history */
struct line {
    char text[LINE_MAX_BYTES];
    unsigned len;
    char *history[HISTORY_LINES]; /* newest first; owned */
    int browsing;                 /* index into history, -1: the new line */
    int escape;                   /* bytes of ESC [ seen */
};

/**
 * line_key() - take one byte of input
 * Returns true when the line is complete (in @l->text, not empty of blanks
 * necessarily); the caller runs it and calls line_done().
 */
bool line_key(struct monitor *mon, struct line *l, uint8_t key);
void line_done(struct line *l);
void line_free(struct line *l);

/** monitor_complete() - the rest of the command word @prefix that all commands
 *  starting so share; lists them when there are several. "" when none. */
void monitor_complete(struct monitor *mon, const char *prefix, char *rest, size_t size);
void monitor_prompt(struct monitor *mon);

/** eval() - integer expression at *@s, which moves past it
 *  Returns 0 or -EINVAL with @e set. */
int monitor_eval(struct monitor *mon, const char **s, uint64_t *val, struct err *e);

/** monitor_change_vnc() - "change vnc password ..."; false: it is about something else */
bool monitor_change_vnc(struct monitor *mon, char *rest);

/* x, xp, print */
void cmd_x(struct monitor *mon, char *rest);
void cmd_xp(struct monitor *mon, char *rest);
void cmd_print(struct monitor *mon, char *rest);

#endif
