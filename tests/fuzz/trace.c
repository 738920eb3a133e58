/*
 * trace.c - damaged trace files: a reader ends, says what it left out, and touches nothing else
 *
 * A seed damages a small trace somewhere, most often so that its check sums are right all the
 * same, and reads all of it. The count of inputs is that of files.
 */
#define _GNU_SOURCE 1
#include "tests/fuzz/run.h"
#include "tests/trace/make.h"
#include "trace/tool/reader.h"

#define FILE_BYTES 8192

static uint64_t rng;
static char *name;
static uint8_t whole[FILE_BYTES];
static size_t whole_len;

static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((rng >> 33) % n);
}

static void make_file(void)
{
    struct trace_options o = { .kinds = TRACE_HAS(TRACE_EXEC), .file = name };
    struct err e = { "" };
    struct trace_file *f = trace_file_open(&o, 2, -1, &e);
    struct maker m;
    FILE *raw;

    if (!f) {
        fprintf(stderr, "trace fuzzer: %s\n", e.msg);
        exit(2);
    }
    for (unsigned i = 0; i < 4; i++) {
        make_example(&m);
        make_write(f, &m, i & 1, i / 2 * m.insns);
    }
    make_begin(&m);                              /* devices: count, kind, fields */
    put_var(&m.out, 5);
    put_bits(&m.out, TRACE_IRQ, 5);
    put_bits(&m.out, 2, 5);
    put_var(&m.out, 4);
    put_var(&m.out, 1);
    make_write(f, &m, TRACE_DEVICES, 0);
    trace_file_close(f);
    raw = fopen(name, "rb");
    whole_len = raw ? fread(whole, 1, sizeof whole, raw) : 0;
    if (raw)
        fclose(raw);
}

/* Chunks are believed again after a change in them. */
static void mend(uint8_t *p, size_t len)
{
    size_t from = offsetof(struct trace_chunk, stream);

    for (size_t at = sizeof(struct trace_header); len - at >= sizeof(struct trace_chunk);) {
        struct trace_chunk c;

        memcpy(&c, p + at, sizeof c);
        if (c.bytes > len - at - sizeof c)
            return;
        c.sum = trace_sum(trace_sum(0, (char *)&c + from, sizeof c - from), p + at + sizeof c, c.bytes);
        memcpy(p + at, &c, sizeof c);
        at += sizeof c + c.bytes;
        if (at > len)
            return;
    }
}

static void read_all(void)
{
    struct err e = { "" };
    struct trace_reader *r = trace_open(name, &e);
    struct trace_event_rec ev;
    struct trace_step s;
    uint64_t count, sum = 0;

    if (!r)
        return;
    for (unsigned i = 0; i < 3; i++) {
        struct trace_iter *it = trace_iter_new(r, i < 2 ? i : TRACE_DEVICES);

        while (i < 2 && trace_next(it, &s))
            for (unsigned k = 0; s.block && k < s.block->len; k++)
                sum += s.block->code[k];
        while (i == 2 && trace_next_device(it, &ev, &count))
            sum += ev.field[0];
        trace_iter_free(it);
    }
    __asm__ volatile("" : : "r"(sum));
    trace_close(r);
}

static void one(uint64_t seed)
{
    uint8_t p[FILE_BYTES];
    size_t len = whole_len;
    FILE *f;

    rng = seed * 0x9e3779b97f4a7c15ull;
    memcpy(p, whole, len);
    for (unsigned n = 1 + rnd(8); n--;)
        p[rnd((uint32_t)len)] = rnd(4) ? (uint8_t)rnd(256) : rnd(2) ? 0xff : 0;
    if (rnd(8) == 0)
        len = rnd((uint32_t)len) + 1;
    if (rnd(8) && len > sizeof(struct trace_header))
        mend(p, len);
    f = fopen(name, "wb");
    if (!f || fwrite(p, 1, len, f) != len || fclose(f))
        exit(2);
    read_all();
}

int main(int argc, char **argv)
{
    struct fuzz_run run = { .name = "fuzz-trace", .one = one, .count = 20000, .per_child = 5000,
                             .shown = fuzz_shared() };
    int ret;

    name = make_name();
    make_file();
    ret = fuzz_main(&run, argc, argv);
    unlink(name);
    return ret;
}
