/*
 * print.c - transom-trace info and print
 */
#include <inttypes.h>
#include <stdlib.h>
#include "trace/tool/tool.h"

/* ---- info --------------------------------------------------------------------------------- */

static void info_stream(struct trace_reader *r, unsigned stream, FILE *f)
{
    uint64_t insns = 0, bytes = 0, first = 0, last = 0;
    size_t n = 0;

    for (size_t i = 0; i < trace_chunks(r); i++) {
        const struct trace_chunk *c = trace_chunk_at(r, i);

        if (c->stream != stream)
            continue;
        if (!n++)
            first = c->first;
        insns += c->insns;
        bytes += c->bytes + sizeof *c;
        last = c->first + c->insns;
    }
    if (!n)
        return;
    if (stream == TRACE_DEVICES)
        fprintf(f, "devices: %zu chunks, %" PRIu64 " bytes\n", n, bytes);
    else
        fprintf(f, "cpu %u: %zu chunks, %" PRIu64 " bytes, instructions %" PRIu64 " to %" PRIu64 ", %" PRIu64
                " recorded, %.3f bits an instruction\n", stream, n, bytes, first, last, insns,
                insns ? (double)bytes * 8 / (double)insns : 0);
}

int cmd_info(struct tool *t, struct err *e)
{
    static const char *const names[] = {
#define X(N, name, fields) name,
        TRACE_KINDS(X)
#undef X
    };
    struct trace_reader *r = trace_open(t->file[0], e);
    const struct trace_header *h;

    if (!r)
        return -EINVAL;
    h = trace_header(r);
    printf("%s: version %u, %s", t->file[0], h->version, h->slots ? "a ring" : "linear");
    if (h->flags & TRACE_COUNTED)
        printf(", 2^%" PRIu64 " ns an instruction", h->ns_shift);
    printf("\nrecorded:");
    for (unsigned i = 0; i < TRACE_KIND_COUNT; i++)
        if (h->kinds >> i & 1)
            printf(" %s", names[i]);
    putchar('\n');
    for (unsigned i = 0; i < MIN(h->n_cpus, 1024u); i++)
        info_stream(r, i, stdout);
    info_stream(r, TRACE_DEVICES, stdout);
    trace_close(r);
    return 0;
}

/* ---- print ----------------------------------------------------------------------------------- */

struct printer {
    const struct tool *tool;
    FILE *f;
    struct lister *lister;
    uint64_t lines;
};

static bool enough(const struct printer *p)
{
    return p->tool->limit && p->lines >= p->tool->limit;
}

static void print_insn(struct printer *p, const struct trace_step *s, unsigned i, uint64_t pc,
                       const uint8_t *code)
{
    const struct trace_block *b = s->block;
    char text[200], sym[256];

    if (enough(p))
        return;
    p->lines++;
    fprintf(p->f, "%u %" PRIu64 " %d %#" PRIx64 ": ", s->stream, s->count + i, b->mode >> TRACE_MODE_CPL, pc);
    for (unsigned k = 0; p->tool->bytes && k < b->insn_len[i]; k++)
        fprintf(p->f, "%02x ", code[k]);
    fprintf(p->f, "%s", lister_text(p->lister, code, b->insn_len[i], pc, b->mode, text, sizeof text));
    if (*show_symbol(p->tool, pc, sym, sizeof sym))
        fprintf(p->f, "  <%s>", sym);
    fputc('\n', p->f);
}

static void print_events(struct printer *p, const struct trace_step *s, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < s->n_events && !enough(p); i++) {
        const struct trace_event_rec *e = &s->event[i];

        if (e->at < from || e->at >= to || e->kind == TRACE_PARTIAL || (!s->block && e->kind == TRACE_CR3))
            continue;
        p->lines++;
        fprintf(p->f, "%u %" PRIu64 " - ", s->stream, s->count + MIN(e->at, s->executed));
        show_event(p->f, e);
        fputc('\n', p->f);
    }
}

/* An event of an instruction stands behind it, one of a block that faulted at the end. */
static void print_step(struct printer *p, const struct trace_step *s)
{
    const struct trace_block *b = s->block;
    uint64_t pc = b ? b->pc : 0;
    unsigned at = 0;

    if (s->gap) {
        fprintf(p->f, "%u - something is missing before instruction %" PRIu64 "\n", s->stream, s->count);
        p->lines++;
    }
    for (unsigned i = 0; b && i < s->executed; i++) {
        print_insn(p, s, i, pc, b->code + at);
        print_events(p, s, i, i + 1);
        pc += b->insn_len[i];
        at += b->insn_len[i];
    }
    print_events(p, s, b ? s->executed : 0, 256);
}

static void print_devices(struct printer *p, struct trace_reader *r)
{
    struct trace_iter *it = trace_iter_new(r, TRACE_DEVICES);
    struct trace_event_rec e;
    uint64_t count;

    while (!enough(p) && trace_next_device(it, &e, &count)) {
        const struct range *in = &p->tool->filter.insns;

        if (in->to && (count < in->from || count > in->to))
            continue;
        p->lines++;
        fprintf(p->f, "devices %" PRIu64 " - ", count);
        show_event(p->f, &e);
        fputc('\n', p->f);
    }
    trace_iter_free(it);
}

static void print_cpu(struct printer *p, struct trace_reader *r, unsigned cpu)
{
    struct trace_iter *it = filter_open(&p->tool->filter, r, cpu);
    struct trace_step s;

    while (!enough(p) && filter_next(&p->tool->filter, it, &s))
        print_step(p, &s);
    trace_iter_free(it);
}

int cmd_print(struct tool *t, struct err *e)
{
    struct trace_reader *r = trace_open(t->file[0], e);
    struct printer p = { .tool = t };
    int ret;

    if (!r)
        return -EINVAL;
    p.f = tool_out(t, e);
    if (!p.f) {
        trace_close(r);
        return -EIO;
    }
    p.lister = lister_new();
    for (unsigned i = 0; i < MIN(trace_header(r)->n_cpus, 1024u); i++)
        if (filter_cpu(&t->filter, i))
            print_cpu(&p, r, i);
    if (!t->filter.n_pc && t->filter.cpl < 0 && t->filter.cpu < 0 && !t->filter.cr3_set)
        print_devices(&p, r);
    lister_free(p.lister);
    ret = tool_out_close(t, p.f, e);
    if (ret == 0)
        ret = tool_damage(r, t->file[0]);
    trace_close(r);
    return ret;
}
