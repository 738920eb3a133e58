/*
 * img.h - inside transom-img
 *
 * Commands return the process's exit code. Messages go to stderr as
 * "transom-img: ..."; results to stdout.
 */
#ifndef BLOCK_TOOL_IMG_H
#define BLOCK_TOOL_IMG_H

#include <getopt.h>
#include <inttypes.h>
#include "block/block-int.h"
#include "block/qcow2.h"

/** fail() - "transom-img: MESSAGE" on stderr; returns 1 */
int fail(const char *fmt, ...) PRINTF(1, 2);

/* options that several commands share */
struct common {
    const char *fmt, *out_fmt;
    const char *cache, *src_cache;
    bool json, force_share, quiet, progress, image_opts;
    enum block_aio aio;
    bool aio_set;
};

/**
 * next_opt() - getopt_long() with our message for what it does not know
 * Returns the option, -1 at the end, or '?' after the message (exit with 1).
 * -T, -t, -U, -q, --output and the like are the caller's to handle.
 */
int next_opt(int argc, char **argv, const char *shorts, const struct option *longs);
/** want_args() - @least to @most operands from optind on; else 1 after a message */
int want_args(int argc, int least, int most, const char *usage);

enum { OPT_OUTPUT = 256, OPT_BACKING_CHAIN, OPT_SHRINK, OPT_PREALLOC, OPT_SIZE, OPT_TARGET_IS_ZERO,
       OPT_FLUSH, OPT_NO_DRAIN, OPT_PATTERN, OPT_IMAGE_OPTS, OPT_SALVAGE, OPT_BITMAPS, OPT_IGNORED,
       OPT_START, OPT_MAX, OPT_TARGET_OPTS };

enum { IMG_WRITE = 1, IMG_NO_BACKING = 2, IMG_DIRTY_OK = 4, IMG_SHARE = 8, IMG_NO_IO = 16,
       IMG_IMAGE_OPTS = 32 }; /* the name is "driver=qcow2,file.filename=..." */
/** img_open() - NULL after a message */
struct block *img_open(const char *file, const char *fmt, const char *cache, unsigned flags);
/** img_size() - "10G"; false after a message */
bool img_size(const char *s, uint64_t *bytes);
/** human_size() - "1.5 GiB" in a static buffer of the caller's turn (4 turns) */
const char *human_size(uint64_t bytes);
void json_string(FILE *f, const char *s);
/** progress() - "    (12.34/100%)\r" when enabled; at the end a newline too */
void progress_show(bool on, double percent);
void progress_end(bool on);
/** create_opts() - "-o" list into @c; strings are allocated and stay. false after a message */
bool create_opts(struct block_create *c, const char *list);
/** create_help() - prints what "-o help" asks for; false: @list is none of that */
bool create_help(const char *fmt, const char *list);
int create_image(const char *fmt, struct block_create *c, bool quiet);
/** list_snapshots() - the table of snapshot -l and info */
void list_snapshots(const struct block_snapshot *s, unsigned n);
bool parse_output(const char *arg, bool *json);

int cmd_create(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_resize(int argc, char **argv);
int cmd_rebase(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_measure(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_dd(int argc, char **argv);

#endif
