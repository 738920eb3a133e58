/*
 * main.c - transom-trace: the command line
 */
#define _GNU_SOURCE 1
#include <getopt.h>
#include <stdlib.h>
#include "trace/tool/tool.h"

static const struct command {
    const char *name;
    int (*run)(struct tool *t, struct err *e);
    unsigned files;
    const char *help;
} commands[] = {
    { "info", cmd_info, 1, "what is in the trace" },
    { "print", cmd_print, 1, "instructions and events, a line each" },
    { "stats", cmd_stats, 1, "hot functions; --format text, callgrind, folded" },
    { "coverage", cmd_coverage, 1, "--format drcov, or lcov with --elf FILE" },
    { "diff", cmd_diff, 2, "where two traces part" },
    { "export", cmd_export, 1, "JSON for chrome://tracing and Perfetto" },
};

enum { OPT_PC = 256, OPT_SYMBOL, OPT_CPL, OPT_CR3, OPT_INSNS, OPT_CPU, OPT_ELF, OPT_FORMAT, OPT_LIMIT, OPT_BYTES };

static const struct option options[] = {
    { "pc", required_argument, NULL, OPT_PC }, { "symbol", required_argument, NULL, OPT_SYMBOL },
    { "cpl", required_argument, NULL, OPT_CPL }, { "cr3", required_argument, NULL, OPT_CR3 },
    { "insns", required_argument, NULL, OPT_INSNS }, { "cpu", required_argument, NULL, OPT_CPU },
    { "symbols", required_argument, NULL, 's' }, { "elf", required_argument, NULL, OPT_ELF },
    { "output", required_argument, NULL, 'o' }, { "format", required_argument, NULL, OPT_FORMAT },
    { "limit", required_argument, NULL, OPT_LIMIT }, { "bytes", no_argument, NULL, OPT_BYTES },
    { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
};

static void usage(FILE *f)
{
    fputs("transom-trace COMMAND [OPTION]... FILE [FILE]: look at what 'transom -trace' has recorded\n\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\nOnly what passes:\n"
          "  --pc FROM[..TO]     linear addresses        --cpl N       privilege level 0 or 3\n"
          "  --symbol NAME       a function of --symbols --cr3 VALUE   address space\n"
          "  --insns FROM..TO    instruction numbers     --cpu N       one vCPU\n"
          "Otherwise:\n"
          "  -s, --symbols FILE  ELF, System.map or kallsyms; repeatable\n"
          "  -o, --output FILE   instead of standard output\n"
          "  --format NAME       --elf FILE  --limit LINES  --bytes (code bytes with print)\n", f);
}

/* ---- values ------------------------------------------------------------------------------ */

static int number(const char *opt, const char *s, uint64_t *v, struct err *e)
{
    char *end;

    errno = 0;
    *v = strtoull(s, &end, 0);
    if (end == s || *end || errno || *s == '-')
        return err_set(e, -EINVAL, "--%s %s: a number is wanted", opt, s);
    return 0;
}

/* "A" or "A..B", both included */
static int span(const char *opt, const char *s, struct range *r, struct err *e)
{
    const char *dots = strstr(s, "..");
    char *from = dots ? strndup(s, (size_t)(dots - s)) : xstrdup(s);
    int ret = from ? number(opt, from, &r->from, e) : -ENOMEM;

    r->to = r->from;
    if (ret == 0 && dots)
        ret = number(opt, dots + 2, &r->to, e);
    if (ret == 0 && r->to < r->from)
        ret = err_set(e, -EINVAL, "--%s %s: ends before it begins", opt, s);
    free(from);
    return ret;
}

static int add_pc(struct tool *t, struct range r, struct err *e)
{
    if (t->filter.n_pc == RANGES_MAX)
        return err_set(e, -EINVAL, "more than %d ranges of addresses", RANGES_MAX);
    t->filter.pc[t->filter.n_pc++] = r;
    return 0;
}

static int add_symbol(struct tool *t, const char *name, struct err *e)
{
    uint64_t len;
    struct range r;

    if (!guest_symbols_lookup(t->symbols, name, &r.from, &len))
        return err_set(e, -ENOENT, "--symbol %s: not in the files of --symbols, which come first", name);
    r.to = r.from + len - 1;
    return add_pc(t, r, e);
}

static int small_number(const char *opt, const char *s, int *v, struct err *e)
{
    uint64_t n;
    int ret = number(opt, s, &n, e);

    if (ret == 0 && n > 0xffff)
        ret = err_set(e, -EINVAL, "--%s %s: too large", opt, s);
    *v = (int)n;
    return ret;
}

static int set(struct tool *t, int opt, struct err *e)
{
    struct range r = { 0, 0 };
    int ret;

    switch (opt) {
    case OPT_PC:
        ret = span("pc", optarg, &r, e);
        return ret < 0 ? ret : add_pc(t, r, e);
    case OPT_SYMBOL: return add_symbol(t, optarg, e);
    case OPT_CPL: return small_number("cpl", optarg, &t->filter.cpl, e);
    case OPT_CPU: return small_number("cpu", optarg, &t->filter.cpu, e);
    case OPT_CR3:
        t->filter.cr3_set = true;
        return number("cr3", optarg, &t->filter.cr3, e);
    case OPT_INSNS: return span("insns", optarg, &t->filter.insns, e);
    case OPT_LIMIT: return number("limit", optarg, &t->limit, e);
    case OPT_ELF: t->elf = optarg; return 0;
    case OPT_FORMAT: t->format = optarg; return 0;
    case OPT_BYTES: t->bytes = true; return 0;
    case 'o': t->out = optarg; return 0;
    case 's': return guest_symbols_add(&t->symbols, optarg, e);
    default: return err_set(e, -EINVAL, "unknown option; --help lists them");
    }
}

/* ---- output -------------------------------------------------------------------------------- */

FILE *tool_out(const struct tool *t, struct err *e)
{
    FILE *f = t->out ? fopen(t->out, "we") : stdout;

    if (!f)
        err_set(e, -errno, "%s: %s", t->out, strerror(errno));
    return f;
}

int tool_out_close(const struct tool *t, FILE *f, struct err *e)
{
    bool bad = fflush(f) || ferror(f);

    if (t->out)
        bad |= fclose(f) != 0;
    return bad ? err_set(e, -EIO, "%s: cannot write", t->out ? t->out : "standard output") : 0;
}

int tool_damage(const struct trace_reader *r, const char *path)
{
    if (!trace_bad(r))
        return 0;
    fprintf(stderr, "transom-trace: %s: %u damaged chunks were left out\n", path, trace_bad(r));
    return 1;
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct command *find_command(const char *name, struct err *e)
{
    const char *names[ARRAY_SIZE(commands)], *near;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        names[i] = commands[i].name;
        if (!strcmp(name, names[i]))
            return &commands[i];
    }
    near = nearest_word(name, names, ARRAY_SIZE(names));
    err_set(e, -EINVAL, "%s: unknown command%s%s%s", name, near ? " (did you mean " : "", near ? near : "",
            near ? "?)" : "");
    return NULL;
}

static int run(struct tool *t, int argc, char **argv, struct err *e)
{
    const struct command *c = find_command(argv[1], e);
    int opt, ret = c ? 0 : -EINVAL;

    opterr = 0;
    argc--;
    argv++;
    while (ret == 0 && (opt = getopt_long(argc, argv, "s:o:h", options, NULL)) != -1) {
        if (opt == 'h') {
            usage(stdout);
            return 0;
        }
        if (opt == '?')
            ret = err_set(e, -EINVAL, "%s: unknown option, or one that lacks its value", argv[optind - 1]);
        else
            ret = set(t, opt, e);
    }
    if (ret < 0)
        return ret;
    t->n_files = (unsigned)(argc - optind);
    if (t->n_files != c->files)
        return err_set(e, -EINVAL, "%s: %s wanted", c->name, c->files == 1 ? "one trace is" : "two traces are");
    for (unsigned i = 0; i < t->n_files; i++)
        t->file[i] = argv[optind + (int)i];
    return c->run(t, e);
}

int main(int argc, char **argv)
{
    struct tool t = { .filter = { .cpl = -1, .cpu = -1 } };
    struct err e = { "" };
    int ret;

    std_fds_open();
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2;
    }
    ret = run(&t, argc, argv, &e);
    if (ret == 0)
        ret = stdout_flush(&e);
    if (ret < 0)
        fprintf(stderr, "transom-trace: %s\n", e.msg);
    guest_symbols_free(t.symbols);
    return ret != 0;
}
