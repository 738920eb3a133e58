/*
 * main.c - transom-img: images on the command line
 *
 * Commands, options and exit codes are qemu-img's, so that scripts and
 * management programs need not know the difference.
 */
#define _GNU_SOURCE 1
#include "block/tool/img.h"

static const struct { const char *name; int (*run)(int, char **); const char *usage; } commands[] = {
    { "bench", cmd_bench, "[-c COUNT] [-d DEPTH] [-f FMT] [-s SIZE] [-S STEP] [-o OFFSET] [-i AIO] [-t CACHE] [-w] FILE" },
    { "check", cmd_check, "[-f FMT] [-r leaks|all] [--output=human|json] [-T CACHE] [-U] [-q] FILE" },
    { "commit", cmd_commit, "[-f FMT] [-t CACHE] [-b BASE] [-d] [-p] [-q] FILE" },
    { "compare", cmd_compare, "[-f FMT] [-F FMT] [-T CACHE] [-s] [-p] [-q] [-U] FILE1 FILE2" },
    { "convert", cmd_convert, "[-c] [-p] [-q] [-n] [-W] [-f FMT] [-O FMT] [-o OPTIONS] [-B BACKING [-F FMT]]\n"
      "          [-l SNAPSHOT] [-S SPARSE] [-m THREADS] [-r RATE] [-t CACHE] [-T CACHE] [-C] [-U] FILE... OUTPUT" },
    { "create", cmd_create, "[-f FMT] [-b BACKING [-F FMT]] [-o OPTIONS] [-u] [-q] FILE [SIZE]" },
    { "dd", cmd_dd, "[-f FMT] [-O FMT] [-U] [bs=SIZE] [count=N] [skip=N] if=FILE of=FILE" },
    { "info", cmd_info, "[-f FMT] [--output=human|json] [--backing-chain] [-U] FILE" },
    { "map", cmd_map, "[-f FMT] [--output=human|json] [--start-offset=N] [--max-length=N] [-U] FILE" },
    { "measure", cmd_measure, "[-f FMT] [-O FMT] [-o OPTIONS] [--output=human|json] [--size=N | FILE]" },
    { "rebase", cmd_rebase, "[-f FMT] [-u] [-p] [-q] -b BACKING [-F FMT] FILE" },
    { "resize", cmd_resize, "[-f FMT] [--shrink] [--preallocation=MODE] [-q] FILE [+|-]SIZE" },
    { "snapshot", cmd_snapshot, "[-l | -a NAME | -c NAME | -d NAME] [-f FMT] [-U] [-q] FILE" },
};

static void usage(FILE *f)
{
    fprintf(f, "Usage: transom-img COMMAND [OPTION]... - make, convert and look at disk images\n");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(f, "  %s %s\n", commands[i].name, commands[i].usage);
    fprintf(f, "With --image-opts a FILE is given as driver=FMT,file.filename=NAME[,key=value]...\n");
    fprintf(f, "Formats: ");
    for (unsigned i = 0; i < block_n_drivers; i++)
        fprintf(f, "%s%s%s", block_drivers[i]->name, block_drivers[i]->can_write ? "" : " (read)",
                i + 1 < block_n_drivers ? ", " : "\n");
}

int fail(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fputs("transom-img: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

int next_opt(int argc, char **argv, const char *shorts, const struct option *longs)
{
    const char *names[48], *bad, *near = NULL;
    unsigned n = 0;
    int at = optind, o;
    char word[64];

    opterr = 0;
    optopt = 0;
    o = getopt_long(argc, argv, shorts, longs, NULL);
    if (o != '?' && o != ':')
        return o;
    bad = at < argc ? argv[at] : "";
    if (optopt && (strchr(shorts, optopt) || optopt >= 256)) {
        fail("option '%s' requires an argument", bad);
        return '?';
    }
    if (!strncmp(bad, "--", 2)) {
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(bad + 2, "="), bad + 2);
        while (longs[n].name && n < ARRAY_SIZE(names)) {
            names[n] = longs[n].name;
            n++;
        }
        near = nearest_word(word, names, n);
        fail("unrecognized option '--%s'%s%s%s", word, near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
    } else {
        fail("invalid option -- '%c' (transom-img %s --help lists them)", optopt ? optopt : '?', argv[0]);
    }
    return '?';
}

int want_args(int argc, int least, int most, const char *what)
{
    if (argc - optind < least)
        return fail("Expecting %s", what);
    if (argc - optind > most)
        return fail("Too many arguments: expecting %s", what);
    return 0;
}

/* "driver=qcow2,file.filename=x": ",," is a comma in a value */
static int parse_image_opts(struct block_opts *o, const char *list, struct err *e)
{
    char *copy = xstrdup(list), *p = copy, *out, *key, *val;
    int r = 0;

    while (*p && !r) {
        for (key = out = p; *p && !(p[0] == ',' && p[1] != ','); p++)
            *out++ = *p == ',' ? *p++ : *p;
        p += *p != 0;
        *out = 0;
        val = strchr(key, '=');
        if (!val) {
            r = err_set(e, -EINVAL, "--image-opts: '%s' is no key=value", key);
            break;
        }
        *val++ = 0;
        r = block_opts_set(o, key, val, e);
        if (r == -ENOENT)
            err_set(e, r, "--image-opts: unknown key '%s'", key);
    }
    free(copy);
    return r ? r : o->file ? 0 : err_set(e, -EINVAL, "--image-opts: '%s' names no file", list);
}

struct block *img_open(const char *file, const char *fmt, const char *cache, unsigned flags)
{
    struct block_opts o;
    struct err e = { "" };
    struct block *b = NULL;
    int r = 0;

    block_opts_init(&o);
    if (flags & IMG_IMAGE_OPTS)
        r = parse_image_opts(&o, file, &e);
    else
        o.file = xstrdup(file);
    if (!r && fmt)
        r = block_opts_set(&o, "format", fmt, &e);
    if (!r && cache)
        r = block_opts_set(&o, "cache", cache, &e);
    o.readonly |= !(flags & IMG_WRITE);
    o.no_backing = flags & IMG_NO_BACKING;
    o.no_io = flags & IMG_NO_IO;
    o.allow_dirty = flags & IMG_DIRTY_OK;
    o.force_share = flags & IMG_SHARE;
    o.discard = true;
    if (!r)
        b = block_open(NULL, &o, &e);
    block_opts_free(&o);
    if (!b)
        fail("%s", e.msg);
    return b;
}

bool img_size(const char *s, uint64_t *bytes)
{
    if (!parse_size(s, 1, bytes) && *bytes <= BLOCK_MAX_BYTES)
        return true;
    fail("Invalid image size '%s': a number with one of the suffixes k, M, G, T, P or E", s);
    return false;
}

const char *human_size(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    static char out[4][32];
    static unsigned turn;
    double v = (double)bytes;
    unsigned u = 0;
    char *s = out[turn++ % 4];

    while (v >= 999.5 && u + 1 < ARRAY_SIZE(units)) {
        v /= 1024;
        u++;
    }
    snprintf(s, 32, "%0.3g %s", v, units[u]);
    return s;
}

void json_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 32)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

void progress_show(bool on, double percent)
{
    if (!on)
        return;
    printf("    (%3.2f/100%%)\r", percent);
    fflush(stdout);
}

void progress_end(bool on)
{
    if (on)
        printf("\n");
}

bool parse_output(const char *arg, bool *json)
{
    *json = !strcmp(arg, "json");
    if (*json || !strcmp(arg, "human"))
        return true;
    fail("--output must be used with human or json as argument.");
    return false;
}

static int run(int argc, char **argv)
{
    const char *names[ARRAY_SIZE(commands)], *near;
    const char *cmd = argc > 1 ? argv[1] : NULL;

    if (!cmd)
        return fail("Not enough arguments (transom-img --help lists the commands)");
    if (!strcmp(cmd, "--help") || !strcmp(cmd, "-h") || !strcmp(cmd, "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(cmd, "--version") || !strcmp(cmd, "-V")) {
        printf("transom-img version %s\n", CONFIG_VERSION);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        names[i] = commands[i].name;
        if (strcmp(cmd, names[i]))
            continue;
        if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
            printf("Usage: transom-img %s %s\n", names[i], commands[i].usage);
            return 0;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    near = nearest_word(cmd, names, ARRAY_SIZE(names));
    return fail("Command not found: %s%s%s%s", cmd, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int main(int argc, char **argv)
{
    struct err e = { "" };
    int ret;

    std_fds_open();
    ret = run(argc, argv);
    return stdout_flush(&e) < 0 && ret == 0 ? fail("%s", e.msg) : ret;
}
