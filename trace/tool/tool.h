/*
 * tool.h - transom-trace: what its commands share
 */
#ifndef TRACE_TOOL_TOOL_H
#define TRACE_TOOL_TOOL_H

#include "trace/tool/reader.h"

#define RANGES_MAX 16

struct range {
    uint64_t from, to;           /* inclusive */
};

/** struct filter - which blocks count; all of the conditions that are set */
struct filter {
    struct range pc[RANGES_MAX];
    unsigned n_pc;
    struct range insns;          /* to 0: not set */
    int cpl, cpu;                /* -1: any */
    bool cr3_set;
    uint64_t cr3;
};

/** struct tool - one invocation */
struct tool {
    struct filter filter;
    struct guest_symbols *symbols;
    const char *elf;             /* --elf: for coverage by line */
    const char *out;             /* --output, or NULL: standard output */
    const char *format;          /* of stats, coverage */
    uint64_t limit;              /* lines, events; 0: none */
    bool bytes;                  /* print: code bytes */
    const char *file[2];
    unsigned n_files;
};

/** filter_open() - an iterator at the first chunk that may matter */
struct trace_iter *filter_open(const struct filter *f, struct trace_reader *r, unsigned stream);
/** filter_next() - trace_next(), only what passes @f */
bool filter_next(const struct filter *f, struct trace_iter *it, struct trace_step *s);
/** filter_cpu() - does stream @cpu count? */
bool filter_cpu(const struct filter *f, unsigned cpu);

/** show_symbol() - "name+0x12", or "" */
const char *show_symbol(const struct tool *t, uint64_t pc, char *buf, size_t size);
/** show_event() - one line without its end */
void show_event(FILE *f, const struct trace_event_rec *e);

struct lister;
/** lister_new() - prints instructions; NULL: no disassembler in this build */
struct lister *lister_new(void);
void lister_free(struct lister *l);
/** lister_text() - mnemonic and operands of the instruction of @len bytes at @code */
const char *lister_text(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode,
                        char *buf, size_t size);
/** lister_writes() - does it write general register @reg (0..15), or flags (16)? */
bool lister_writes(struct lister *l, const uint8_t *code, unsigned len, uint64_t pc, unsigned mode, unsigned reg);

/* the commands; 0, 1: differences or a damaged trace, or -errno with @e set */
int cmd_info(struct tool *t, struct err *e);
int cmd_print(struct tool *t, struct err *e);
int cmd_stats(struct tool *t, struct err *e);
int cmd_coverage(struct tool *t, struct err *e);
int cmd_diff(struct tool *t, struct err *e);
int cmd_export(struct tool *t, struct err *e);

/** tool_out() - where output goes; NULL with @e. tool_out_close() - 0 or -errno with @e */
FILE *tool_out(const struct tool *t, struct err *e) MUST_CHECK;
int tool_out_close(const struct tool *t, FILE *f, struct err *e) MUST_CHECK;
/** tool_damage() - say on standard error when @r had bad chunks; 0 or 1 */
int tool_damage(const struct trace_reader *r, const char *path);

#endif
