/*
 * reader.c - reading trace files: chunks, then the blocks in them
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "trace/tool/reader.h"

#define NO_ID 0xffff
#define EVENTS_MAX 16384         /* of one block: more are dropped */
#define CODE_ARENA (TRACE_SLOT * 8)

struct entry {
    uint64_t at;
    struct trace_chunk c;
};

struct trace_reader {
    int fd;
    uint64_t size;
    struct trace_header h;
    struct entry *chunk;
    size_t n, room;
    unsigned bad;
};

/* ---- chunks ----------------------------------------------------------------------------- */

static bool read_at(const struct trace_reader *r, void *p, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pread(r->fd, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p = (char *)p + n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

/* The chunk at @at, if one is there. */
static bool look(struct trace_reader *r, uint64_t at, struct trace_chunk *c)
{
    return at < r->size && r->size - at >= sizeof *c && read_at(r, c, sizeof *c, at)
           && c->magic == TRACE_CHUNK_MAGIC && c->version == TRACE_VERSION
           && c->bytes <= TRACE_SLOT - sizeof *c && c->bits <= (uint64_t)c->bytes * 8
           && c->bytes <= r->size - at - sizeof *c;
}

static void keep(struct trace_reader *r, uint64_t at, const struct trace_chunk *c)
{
    if (r->n == r->room) {
        r->room = r->room ? r->room * 2 : 64;
        r->chunk = xrealloc(r->chunk, r->room * sizeof *r->chunk);
    }
    r->chunk[r->n++] = (struct entry){ at, *c };
}

static int by_number(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->c.number < y->c.number ? -1 : x->c.number > y->c.number;
}

static void find_chunks(struct trace_reader *r)
{
    struct trace_chunk c;

    if (r->h.slots) {
        for (uint64_t i = 1; i <= r->h.slots && i * TRACE_SLOT < r->size; i++)
            if (look(r, i * TRACE_SLOT, &c))
                keep(r, i * TRACE_SLOT, &c);
        if (r->n)
            qsort(r->chunk, r->n, sizeof *r->chunk, by_number);
        return;
    }
    for (uint64_t at = r->h.bytes; look(r, at, &c); at += sizeof c + c.bytes)
        keep(r, at, &c);
}

struct trace_reader *trace_open(const char *path, struct err *e)
{
    struct trace_reader *r = xzalloc(sizeof *r);
    struct stat st;

    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) < 0) {
        err_set(e, -errno, "%s: %s", path, strerror(errno));
    } else if (r->size = (uint64_t)st.st_size, !read_at(r, &r->h, sizeof r->h, 0)
               || memcmp(r->h.magic, TRACE_MAGIC, 8)) {
        err_set(e, -EINVAL, "%s: not a trace of Transom", path);
    } else if (r->h.version != TRACE_VERSION || r->h.bytes < sizeof r->h || r->h.bytes > 4096) {
        err_set(e, -EINVAL, "%s: a trace of version %u; this program reads version %d", path,
                r->h.version, TRACE_VERSION);
    } else {
        find_chunks(r);
        return r;
    }
    trace_close(r);
    return NULL;
}

void trace_close(struct trace_reader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r->chunk);
    free(r);
}

const struct trace_header *trace_header(const struct trace_reader *r)
{
    return &r->h;
}

size_t trace_chunks(const struct trace_reader *r)
{
    return r->n;
}

const struct trace_chunk *trace_chunk_at(const struct trace_reader *r, size_t i)
{
    return &r->chunk[i].c;
}

unsigned trace_bad(const struct trace_reader *r)
{
    return r->bad;
}

/* ---- a stream ------------------------------------------------------------------------------ */

struct trace_iter {
    struct trace_reader *r;
    unsigned stream;
    size_t next;                 /* chunk to look at next */
    bool open;                   /* a chunk is being read */
    bool gap, fresh;
    uint64_t expect;             /* instructions up to here have been seen */
    struct bit_in in;
    uint8_t *payload;
    struct trace_block *known;
    unsigned n_known, prev;
    uint8_t *code;
    size_t code_used;
    uint64_t last_pc, last_mem, count, cr3;
    struct trace_event_rec *event;
    unsigned n_events;
    int pending;                 /* id of a block that was read ahead, or -1 */
};

struct trace_iter *trace_iter_new(struct trace_reader *r, unsigned stream)
{
    struct trace_iter *it = xzalloc(sizeof *it);

    it->r = r;
    it->stream = stream;
    it->payload = xzalloc(TRACE_SLOT + 8);
    it->known = xmalloc(TRACE_IDS * sizeof *it->known);
    it->code = xmalloc(CODE_ARENA);
    it->event = xmalloc(EVENTS_MAX * sizeof *it->event);
    return it;
}

void trace_iter_free(struct trace_iter *it)
{
    if (!it)
        return;
    free(it->payload);
    free(it->known);
    free(it->code);
    free(it->event);
    free(it);
}

static bool load(struct trace_iter *it, const struct entry *en)
{
    size_t from = offsetof(struct trace_chunk, stream);
    uint32_t sum = trace_sum(0, (const char *)&en->c + from, sizeof en->c - from);

    return read_at(it->r, it->payload, en->c.bytes, en->at + sizeof en->c)
           && trace_sum(sum, it->payload, en->c.bytes) == en->c.sum;
}

/* Begin the next chunk of the stream. False: there is none. */
static bool next_chunk(struct trace_iter *it)
{
    for (; it->next < it->r->n; it->next++) {
        const struct entry *en = &it->r->chunk[it->next];

        if (en->c.stream != it->stream)
            continue;
        if (!load(it, en)) {
            it->r->bad++;
            it->gap = true;
            continue;
        }
        it->gap |= en->c.first != it->expect;
        it->expect = en->c.first + en->c.insns;
        it->in = (struct bit_in){ .p = it->payload, .end = en->c.bits };
        it->count = en->c.first;
        it->n_known = 0;
        it->code_used = 0;
        it->prev = NO_ID;
        it->last_pc = it->last_mem = 0;
        it->pending = -1;
        it->open = it->fresh = true;
        it->next++;
        return true;
    }
    return false;
}

void trace_skip_to(struct trace_iter *it, uint64_t count)
{
    for (it->next = 0, it->open = false; it->next < it->r->n; it->next++) {
        const struct trace_chunk *c = &it->r->chunk[it->next].c;

        if (c->stream == it->stream && c->first + c->insns > count)
            break;
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool wrong(struct trace_iter *it)
{
    it->in.bad = true;
    return false;
}

static bool get_definition(struct trace_iter *it)
{
    struct trace_block *b = &it->known[it->n_known];
    unsigned len = 0;

    if (it->n_known == TRACE_IDS)
        return wrong(it);
    *b = (struct trace_block){ .after = { NO_ID, NO_ID } };
    b->pc = it->last_pc += (uint64_t)unzigzag(get_var(&it->in));
    b->mode = (uint8_t)get_bits(&it->in, 4);
    b->n_insns = (uint8_t)(get_bits(&it->in, 6) + 1);
    for (unsigned i = 0; i < b->n_insns; i++)
        len += b->insn_len[i] = (uint8_t)get_bits(&it->in, 4);
    if (it->in.bad || (b->mode & TRACE_MODE_BITS) == 3 || len > CODE_ARENA - it->code_used)
        return wrong(it);
    b->len = (uint16_t)len;
    b->code = it->code + it->code_used;
    it->code_used += len;
    for (unsigned i = 0; i < len; i++)
        b->code[i] = (uint8_t)get_bits(&it->in, 8);
    it->n_known++;
    return !it->in.bad;
}

static bool get_event(struct trace_iter *it)
{
    struct trace_event_rec *e = &it->event[MIN(it->n_events, EVENTS_MAX - 1u)];

    e->kind = (uint8_t)get_bits(&it->in, 5);
    e->n = (uint8_t)get_bits(&it->in, 5);
    e->at = (uint8_t)get_bits(&it->in, 7);
    if (e->kind >= TRACE_KIND_COUNT || e->n > TRACE_FIELDS)
        return wrong(it);
    memset(e->field, 0, sizeof e->field);
    for (unsigned i = 0; i < e->n; i++)
        e->field[i] = get_var(&it->in);
    if (e->kind == TRACE_MEM)
        e->field[0] = it->last_mem += (uint64_t)unzigzag(e->field[0]);
    it->n_events = MIN(it->n_events + 1, EVENTS_MAX);
    return !it->in.bad;
}

/* What comes next: a block's id, -1: an event, which is in it->event, -2: the end. */
static int get_item(struct trace_iter *it)
{
    struct trace_block *p = it->prev != NO_ID ? &it->known[it->prev] : NULL;
    unsigned id, code;

    if (it->in.at >= it->in.end)
        return -2;
    if (get_bits(&it->in, 1)) {
        id = p ? p->after[0] : NO_ID;
    } else if (get_bits(&it->in, 1)) {
        id = p ? p->after[1] : NO_ID;
    } else {
        code = (unsigned)get_bits(&it->in, trace_code_bits(it->n_known));
        if (code == it->n_known + 1)
            return get_event(it) ? -1 : -2;
        if (code == it->n_known && !get_definition(it))
            return -2;
        id = code;
    }
    if (it->in.bad || id >= it->n_known) {
        it->in.bad = true;
        return -2;
    }
    if (p && p->after[0] != id) {
        p->after[1] = p->after[0];
        p->after[0] = (uint16_t)id;
    }
    it->prev = id;
    return (int)id;
}

/* The block @id, and all events up to the next block. */
static void gather(struct trace_iter *it, int id, struct trace_step *s)
{
    struct trace_block *b = id >= 0 ? &it->known[id] : NULL;
    int next;

    *s = (struct trace_step){ .block = b, .executed = b ? b->n_insns : 0, .count = it->count,
                              .cr3 = it->cr3, .stream = it->stream, .new_chunk = it->fresh, .gap = it->gap };
    it->fresh = it->gap = false;
    while ((next = get_item(it)) == -1) {
        const struct trace_event_rec *e = &it->event[it->n_events - 1];

        if (e->kind == TRACE_PARTIAL && e->field[0] <= s->executed)
            s->executed -= (unsigned)e->field[0];
        if (e->kind == TRACE_CR3)
            it->cr3 = e->field[0];
    }
    s->event = it->event;
    s->n_events = it->n_events;
    it->count += s->executed;
    it->pending = next;
}

bool trace_next(struct trace_iter *it, struct trace_step *s)
{
    for (;;) {
        if (!it->open && !next_chunk(it))
            return false;
        it->n_events = 0;
        if (it->pending == -1) {             /* a new chunk: events may come first */
            gather(it, -1, s);
            return true;
        }
        if (it->pending >= 0) {
            gather(it, it->pending, s);
            return true;
        }
        it->open = false;
        it->r->bad += it->in.bad;
    }
}

bool trace_next_device(struct trace_iter *it, struct trace_event_rec *e, uint64_t *count)
{
    for (;;) {
        if (!it->open && !next_chunk(it))
            return false;
        if (it->in.at < it->in.end && !it->in.bad) {
            it->count += get_var(&it->in);
            e->kind = (uint8_t)get_bits(&it->in, 5);
            e->n = (uint8_t)get_bits(&it->in, 5);
            e->at = 0;
            if (e->kind < TRACE_KIND_COUNT && e->n <= TRACE_FIELDS) {
                memset(e->field, 0, sizeof e->field);
                for (unsigned i = 0; i < e->n; i++)
                    e->field[i] = get_var(&it->in);
                *count = it->count;
                if (!it->in.bad)
                    return true;
            }
            it->in.bad = true;
        }
        it->open = false;
        it->r->bad += it->in.bad;
    }
}
