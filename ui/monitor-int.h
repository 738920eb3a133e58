/*
 * monitor-int.h - the monitor's own files among themselves
 */
#ifndef UI_MONITOR_INT_H
#define UI_MONITOR_INT_H

#include "ui/command.h"
#include "ui/ui.h"

#define LINE_MAX_BYTES 1024
#define HISTORY_LINES 64
#define MONITOR_PROMPT "(qemu) "
#define MONITOR_TABLES 24

/** struct line - a line being typed, with history */
struct line {
    char text[LINE_MAX_BYTES];
    unsigned len, at;             /* at: the cursor, 0..len */
    char *history[HISTORY_LINES]; /* newest first; owned */
    int browsing;                 /* index into history, -1: the new line */
    char kept[LINE_MAX_BYTES];    /* the new line while browsing */
    int escape;                   /* bytes of ESC [ seen */
    unsigned escape_arg;          /* number in such a sequence */
};

struct monitor {
    struct machine *machine;
    struct chardev *chr;
    struct monitor_hooks hooks;
    struct line line;
    const struct monitor_cmd *commands[MONITOR_TABLES], *infos[MONITOR_TABLES];
    const struct command *typed[MONITOR_TABLES];
    unsigned cpu;                 /* that "info registers" and "x" look at */
    char *out;                    /* what the back end did not take yet */
    size_t out_len, out_size;
    bool greeted, last_cr;
    bool held;                    /* until monitor_resume() */
    char pending[LINE_MAX_BYTES]; /* typed meanwhile */
    unsigned n_pending;
};

/**
 * line_key() - take one byte of input
 * Returns true when the line is complete (in @l->text, not empty of blanks
 * necessarily); the caller runs it and calls line_done().
 */
bool line_key(struct monitor *mon, struct line *l, uint8_t key);
void line_done(struct line *l);
void line_free(struct line *l);
/** line_show() - print the line again, behind a new prompt */
void line_show(struct monitor *mon, const struct line *l);

void monitor_prompt(struct monitor *mon);
/** monitor_add_typed() - commands of struct command rows; "info NAME" is written so in hmp */
void monitor_add_typed(struct monitor *mon, const struct command *table);

/** monitor_is_name() - whether @word of @len bytes is one of the names in "cont|c" */
bool monitor_is_name(const char *names, const char *word, size_t len);
/** monitor_find()/monitor_find_typed() - by name, or NULL */
const struct monitor_cmd *monitor_find(const struct monitor_cmd *const *tables, const char *word, size_t len);
const struct command *monitor_find_typed(struct monitor *mon, const char *word, size_t len);
/** monitor_nearest() - what an unknown command may have meant, or NULL */
const char *monitor_nearest(struct monitor *mon, const struct monitor_cmd *const *tables, const char *word);

/**
 * monitor_complete() - complete the last word of @text (monitor-complete.c)
 * @rest: what to insert, "" when there is nothing or several go on differently; those are
 *   then listed and @text is to be shown again (returns true)
 */
bool monitor_complete(struct monitor *mon, const char *text, char *rest, size_t size);

/** monitor_eval() - integer expression at *@s, which moves past it
 *  Returns 0 or -EINVAL with @e set. */
int monitor_eval(struct monitor *mon, const char **s, uint64_t *val, struct err *e);

/** monitor_print_stream() - have @show write to a stream whose text is printed */
void monitor_print_stream(struct monitor *mon, void (*show)(void *opaque, FILE *f), void *opaque);

/** monitor_info() - "info REST" */
void monitor_info(struct monitor *mon, char *rest);
void monitor_help_info(struct monitor *mon);
void cmd_help(struct monitor *mon, char *rest);

/* x, xp, print, gva2gpa */
void cmd_x(struct monitor *mon, char *rest);
void cmd_xp(struct monitor *mon, char *rest);
void cmd_print(struct monitor *mon, char *rest);
void cmd_gva2gpa(struct monitor *mon, char *rest);
extern const struct monitor_cmd monitor_basics[], monitor_basic_infos[];

#endif
