/*
 * stats.c - transom-trace stats: hot functions, as text, for callgrind's viewers, for flame graphs
 */
#include <inttypes.h>
#include <stdlib.h>
#include "trace/tool/calls.h"

static int by_self(const void *a, const void *b)
{
    const struct call_func *x = *(struct call_func *const *)a, *y = *(struct call_func *const *)b;

    return x->self != y->self ? (x->self < y->self) - (x->self > y->self) : strcmp(x->name, y->name);
}

static void write_text(const struct tool *t, struct calls *c, uint64_t insns, FILE *f)
{
    size_t n, top;
    struct call_func *func = calls_funcs(c, &n), **order = xmalloc((n + 1) * sizeof *order);

    for (size_t i = 0; i < n; i++)
        order[i] = &func[i];
    qsort(order, n, sizeof *order, by_self);
    top = t->limit ? MIN(n, t->limit) : MIN(n, 40u);
    fprintf(f, "%" PRIu64 " instructions, %zu functions\n", insns, n);
    fprintf(f, "%14s %6s %14s %12s  function\n", "instructions", "%", "with callees", "calls");
    for (size_t i = 0; i < top; i++)
        fprintf(f, "%14" PRIu64 " %6.2f %14" PRIu64 " %12" PRIu64 "  %s\n", order[i]->self,
                insns ? 100.0 * (double)order[i]->self / (double)insns : 0.0, order[i]->total,
                order[i]->calls, order[i]->name);
    free(order);
}

/* "a;b;c COUNT", the outermost first (flamegraph.pl, speedscope) */
static void write_stack(const struct call_node *node, uint32_t i, const struct call_func *func, FILE *f)
{
    if (!i)
        return;
    write_stack(node, node[i].parent, func, f);
    fprintf(f, "%s%s", node[i].parent ? ";" : "", func[node[i].func].name);
}

static void write_folded(struct calls *c, FILE *f)
{
    size_t n, n_func;
    const struct call_node *node = calls_nodes(c, &n);
    const struct call_func *func = calls_funcs(c, &n_func);

    for (size_t i = 1; i < n; i++) {
        if (!node[i].self)
            continue;
        write_stack(node, (uint32_t)i, func, f);
        fprintf(f, " %" PRIu64 "\n", node[i].self);
    }
}

/* A part of a function's cost: one way of being called. Source: Valgrind manual, "Callgrind Format
 * Specification". */
static void write_callgrind(struct calls *c, uint64_t insns, FILE *f)
{
    size_t n, n_func;
    const struct call_node *node = calls_nodes(c, &n);
    const struct call_func *func = calls_funcs(c, &n_func);
    uint64_t *sum = xzalloc(n * sizeof *sum);

    for (size_t i = n; i-- > 1;) {
        sum[i] += node[i].self;
        sum[node[i].parent] += sum[i];
    }
    fprintf(f, "# callgrind format\nversion: 1\ncreator: transom-trace\npositions: instr\n"
               "events: Instructions\nsummary: %" PRIu64 "\n", insns);
    for (size_t i = 1; i < n; i++) {
        const struct call_func *fn = &func[node[i].func];

        fprintf(f, "\nfn=%s\n%#" PRIx64 " %" PRIu64 "\n", fn->name, fn->start, node[i].self);
        for (uint32_t k = node[i].child; k; k = node[k].sibling)
            fprintf(f, "cfn=%s\ncalls=%" PRIu64 " %#" PRIx64 "\n%#" PRIx64 " %" PRIu64 "\n",
                    func[node[k].func].name, MAX(node[k].calls, 1u), func[node[k].func].start, fn->start, sum[k]);
    }
    free(sum);
}

static uint64_t account(const struct tool *t, struct trace_reader *r, struct calls *c)
{
    struct trace_step s;
    uint64_t insns = 0;

    for (unsigned i = 0; i < MIN(trace_header(r)->n_cpus, 1024u); i++) {
        struct trace_iter *it = filter_cpu(&t->filter, i) ? filter_open(&t->filter, r, i) : NULL;

        while (it && filter_next(&t->filter, it, &s)) {
            calls_step(c, &s);
            insns += s.executed;
        }
        trace_iter_free(it);
    }
    return insns;
}

static int write_stats(struct tool *t, struct calls *c, uint64_t insns, struct err *e)
{
    const char *format = t->format ? t->format : "text";
    FILE *f;

    if (strcmp(format, "text") && strcmp(format, "callgrind") && strcmp(format, "folded"))
        return err_set(e, -EINVAL, "--format %s: text, callgrind or folded is wanted", format);
    f = tool_out(t, e);
    if (!f)
        return -EIO;
    if (*format == 't')
        write_text(t, c, insns, f);
    else if (*format == 'c')
        write_callgrind(c, insns, f);
    else
        write_folded(c, f);
    return tool_out_close(t, f, e);
}

int cmd_stats(struct tool *t, struct err *e)
{
    struct trace_reader *r = trace_open(t->file[0], e);
    struct calls *c;
    uint64_t insns;
    int ret;

    if (!r)
        return -EINVAL;
    c = calls_new(t);
    insns = account(t, r, c);
    calls_totals(c);
    ret = write_stats(t, c, insns, e);
    if (ret == 0)
        ret = tool_damage(r, t->file[0]);
    calls_free(c);
    trace_close(r);
    return ret;
}
