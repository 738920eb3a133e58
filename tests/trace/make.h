/*
 * make.h - a small trace, made by hand as docs/trace.md says
 */
#ifndef TESTS_TRACE_MAKE_H
#define TESTS_TRACE_MAKE_H

#include <stdlib.h>
#include <unistd.h>
#include "trace/file.h"

/** struct maker - a chunk's payload under construction */
struct maker {
    struct bit_out out;
    unsigned known;
    uint64_t last_pc, insns;
    uint8_t buf[4096];
};

static inline void make_begin(struct maker *m)
{
    memset(m, 0, sizeof *m);
    m->out.p = m->buf;
}

static inline void make_code(struct maker *m, unsigned code)
{
    put_bits(&m->out, 0, 2);
    put_bits(&m->out, code, trace_code_bits(m->known));
}

/* a new block of @n NOPs at @pc, in 64-bit code of CPL 0 */
static inline void make_block(struct maker *m, uint64_t pc, unsigned n)
{
    make_code(m, m->known);
    put_var(&m->out, zigzag((int64_t)(pc - m->last_pc)));
    put_bits(&m->out, 2, 4);
    put_bits(&m->out, n - 1, 6);
    for (unsigned i = 0; i < n; i++)
        put_bits(&m->out, 1, 4);
    for (unsigned i = 0; i < n; i++)
        put_bits(&m->out, 0x90, 8);
    m->last_pc = pc;
    m->known++;
    m->insns += n;
}

static inline void make_event(struct maker *m, unsigned kind, unsigned at, const uint64_t *field, unsigned n)
{
    make_code(m, m->known + 1);
    put_bits(&m->out, kind, 5);
    put_bits(&m->out, n, 5);
    put_bits(&m->out, at, 7);
    for (unsigned i = 0; i < n; i++)
        put_var(&m->out, field[i]);
}

/* blocks A B A B A B(left after one instruction) C, with an interrupt behind the last B */
static inline void make_example(struct maker *m)
{
    make_begin(m);
    make_event(m, TRACE_CR3, 0, (uint64_t[]){ 0x1000 }, 1);
    make_block(m, 0x400000, 3);                  /* A */
    make_block(m, 0xffffffff81000000, 2);        /* B */
    make_code(m, 0);                             /* A again: named */
    put_bits(&m->out, 1, 1);                     /* B, as after A last time */
    put_bits(&m->out, 1, 1);
    put_bits(&m->out, 1, 1);
    m->insns += 3 + 2 + 3 + 2;
    make_event(m, TRACE_PARTIAL, 1, (uint64_t[]){ 1 }, 1);
    m->insns--;
    make_event(m, TRACE_INT, 127, (uint64_t[]){ 14, 2, 0, 0xffffffff81000001, 0xdead }, 5);
    make_block(m, 0x400100, 1);                  /* C */
}

static inline bool make_write(struct trace_file *f, struct maker *m, unsigned stream, uint64_t first)
{
    struct trace_chunk c = { .stream = (uint16_t)stream, .first = first, .insns = m->insns,
                             .bits = (uint64_t)(m->out.p - m->buf) * 8 + m->out.n };

    stl64(m->out.p, m->out.acc);
    return trace_file_write(f, &c, m->buf);
}

static inline char *make_name(void)
{
    char *name = xstrdup("/tmp/transom-trace-XXXXXX");
    int fd = mkstemp(name);

    if (fd >= 0)
        close(fd);
    return name;
}

#endif
