/*
 * reader.c - traces: what is written is read, limits and rings, damaged files
 */
#include <criterion/criterion.h>
#include "tests/trace/make.h"
#include "trace/tool/reader.h"

static struct trace_file *create(const char *name, uint64_t size, bool ring)
{
    struct trace_options o = { .kinds = TRACE_HAS(TRACE_EXEC), .file = (char *)name, .size = size, .ring = ring };
    struct err e = { "" };
    struct trace_file *f = trace_file_open(&o, 1, 3, &e);

    cr_assert_not_null(f, "%s", e.msg);
    return f;
}

static struct trace_reader *reopen(const char *name)
{
    struct err e = { "" };
    struct trace_reader *r = trace_open(name, &e);

    cr_assert_not_null(r, "%s", e.msg);
    return r;
}

Test(trace, blocks_come_back)
{
    static const uint64_t pcs[] = { 0x400000, 0xffffffff81000000, 0x400000, 0xffffffff81000000, 0x400000,
                                    0xffffffff81000000, 0x400100 };
    char *name = make_name();
    struct trace_file *f = create(name, 0, false);
    struct maker m;
    struct trace_reader *r;
    struct trace_iter *it;
    struct trace_step s;
    uint64_t count = 100;

    make_example(&m);
    cr_assert(make_write(f, &m, 0, count));
    r = reopen(name);                            /* while it is open for writing */
    cr_assert_eq(trace_header(r)->flags, TRACE_COUNTED);
    cr_assert_eq(trace_header(r)->ns_shift, 3);
    cr_assert_eq(trace_chunks(r), 1);
    it = trace_iter_new(r, 0);
    cr_assert(trace_next(it, &s));
    cr_assert_null(s.block);
    for (size_t i = 0; i < ARRAY_SIZE(pcs); i++) {
        cr_assert(trace_next(it, &s), "block %zu", i);
        cr_assert_eq(s.block->pc, pcs[i]);
        cr_assert_eq(s.count, count);
        cr_assert_eq(s.cr3, 0x1000);
        count += s.executed;
        cr_assert_eq(s.executed, i == 5 ? 1 : s.block->n_insns);
        cr_assert_eq(s.n_events, i == 5 ? 2 : 0);
    }
    cr_assert_not(trace_next(it, &s));
    cr_assert_eq(count, 100 + m.insns);
    cr_assert_eq(trace_bad(r), 0);
    trace_iter_free(it);
    trace_close(r);
    trace_file_close(f);
    unlink(name);
    free(name);
}

Test(trace, events_have_their_fields)
{
    char *name = make_name();
    struct trace_file *f = create(name, 0, false);
    struct trace_event_rec got = { .n = 0 };
    struct maker m;
    struct trace_reader *r;
    struct trace_iter *it;
    struct trace_step s;

    make_example(&m);
    cr_assert(make_write(f, &m, 0, 0));
    r = reopen(name);
    it = trace_iter_new(r, 0);
    while (trace_next(it, &s))
        for (unsigned i = 0; i < s.n_events; i++)
            if (s.event[i].kind == TRACE_INT)
                got = s.event[i];
    cr_assert_eq(got.n, 5);
    cr_assert_eq(got.at, 127);
    cr_assert_eq(got.field[0], 14);
    cr_assert_eq(got.field[3], 0xffffffff81000001);
    cr_assert_eq(got.field[4], 0xdead);
    trace_iter_free(it);
    trace_close(r);
    trace_file_close(f);
    unlink(name);
    free(name);
}

Test(trace, size_ends_the_recording)
{
    char *name = make_name();
    struct trace_file *f = create(name, 1000, false);
    struct maker m;
    struct trace_reader *r;
    unsigned n = 0;

    make_example(&m);
    while (n < 100 && make_write(f, &m, 0, n * m.insns))
        n++;
    cr_assert_gt(n, 2);
    cr_assert_lt(n, 20);
    r = reopen(name);
    cr_assert_eq(trace_chunks(r), n);
    trace_close(r);
    trace_file_close(f);
    unlink(name);
    free(name);
}

Test(trace, ring_keeps_the_newest)
{
    char *name = make_name();
    struct trace_file *f = create(name, 4 * TRACE_SLOT, true);
    struct maker m;
    struct trace_reader *r;
    struct trace_iter *it;
    struct trace_step s;

    make_example(&m);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(make_write(f, &m, 0, i * m.insns));
    r = reopen(name);
    cr_assert_eq(trace_chunks(r), 3);
    cr_assert_eq(trace_chunk_at(r, 0)->number, 7);
    cr_assert_eq(trace_chunk_at(r, 2)->number, 9);
    it = trace_iter_new(r, 0);
    cr_assert(trace_next(it, &s));
    cr_assert(s.gap);                            /* 7 chunks are missing, and it says so */
    cr_assert_eq(s.count, 7 * m.insns);
    trace_iter_free(it);
    trace_close(r);
    trace_file_close(f);
    unlink(name);
    free(name);
}

Test(trace, a_changed_byte_is_noticed)
{
    char *name = make_name();
    struct trace_file *f = create(name, 0, false);
    struct maker m;
    struct trace_reader *r;
    struct trace_iter *it;
    struct trace_step s;
    FILE *raw;

    make_example(&m);
    cr_assert(make_write(f, &m, 0, 0));
    cr_assert(make_write(f, &m, 0, m.insns));
    trace_file_close(f);
    raw = fopen(name, "r+b");
    cr_assert_not_null(raw);
    fseek(raw, sizeof(struct trace_header) + sizeof(struct trace_chunk) + 9, SEEK_SET);
    fputc(0x55, raw);
    fclose(raw);
    r = reopen(name);
    it = trace_iter_new(r, 0);
    cr_assert(trace_next(it, &s));
    cr_assert(s.gap);
    cr_assert_eq(s.count, m.insns);              /* the second chunk */
    cr_assert_eq(trace_bad(r), 1);
    trace_iter_free(it);
    trace_close(r);
    unlink(name);
    free(name);
}

Test(trace, other_files_are_refused)
{
    struct err e = { "" };
    char *name = make_name();

    cr_assert_null(trace_open(name, &e));
    cr_assert_not_null(strstr(e.msg, "not a trace"));
    cr_assert_null(trace_open("/nonexistent/trace", &e));
    cr_assert_not_null(strstr(e.msg, "/nonexistent/trace: "));
    unlink(name);
    free(name);
}
