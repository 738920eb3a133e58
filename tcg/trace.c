/*
 * trace.c - from the units that blocks leave to the chunks of a trace file
 *
 * Which block follows is guessed from what followed last time, so most cost one or two bits. A
 * chunk defines every block that it names; when it is full the next starts from nothing.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "tcg/tcg-int.h"
#include "tcg/trace.h"

#define UNITS TRACE_UNITS
#define SLACK 8192               /* units for events at any time */
#define PAYLOAD (TRACE_SLOT - sizeof(struct trace_chunk))
#define UNIT_BITS_MAX ((TRACE_INSNS * 16 + 64) * 8)   /* one block or event, encoded */
#define EVENTS_BITS (32 * KiB * 8)  /* free when a block begins: its events stand in the same chunk */
#define REG_UNITS 12             /* of a block with its registers */
#define NO_ID 0xffff

/** struct known - a block of the chunk: which, where, and what followed it */
struct known {
    uint32_t place;
    uint16_t next;               /* other with the same place, seen at another address; or NO_ID */
    uint16_t after[2];           /* last time, and before that */
    uint64_t pcbase;
};

struct trace_cpu {
    struct tcg_cpu *cpu;
    struct trace_file *file;
    uint16_t stream;
    uint64_t *units;             /* UNITS of two words; cpu->note points into them */
    uint32_t *of_place;          /* by place: generation << 16 | id of the chunk */
    uint16_t generation;         /* of the chunk; 0 never */
    struct known *known;
    unsigned n_known;
    unsigned prev;               /* NO_ID: none */
    struct bit_out out;
    uint8_t *payload;
    struct trace_chunk chunk;
    uint64_t last_pc;            /* defined last */
    uint64_t last_mem;
    uint64_t count;              /* instructions up to what is encoded */
    uint64_t cr3;
    int64_t ns;
    bool ended;                  /* nothing more is recorded */
};

/* ---- chunks --------------------------------------------------------------------------- */

static uint64_t bits_used(const struct trace_cpu *t)
{
    return (uint64_t)(t->out.p - t->payload) * 8 + t->out.n;
}

static void put_event(struct trace_cpu *t, enum trace_kind kind, unsigned at, const uint64_t *field,
                      unsigned n);

/* No place is known any more. */
static void new_generation(struct trace_cpu *t)
{
    if (!++t->generation) {      /* 0 is that of places never seen */
        memset(t->of_place, 0, t->cpu->tcg->max_tbs * sizeof *t->of_place);
        t->generation = 1;
    }
}

static void chunk_begin(struct trace_cpu *t)
{
    t->chunk = (struct trace_chunk){ .stream = t->stream, .first = t->count,
                                     .ns = (uint64_t)t->ns };
    t->out = (struct bit_out){ .p = t->payload };
    t->n_known = 0;
    t->prev = NO_ID;
    t->last_pc = t->last_mem = 0;
    new_generation(t);
    put_event(t, TRACE_CR3, 0, &t->cr3, 1);
}

static void chunk_end(struct trace_cpu *t)
{
    t->chunk.bits = bits_used(t);
    t->chunk.insns = t->count - t->chunk.first;
    stl64(t->out.p, t->out.acc);
    if (!t->ended && !trace_file_write(t->file, &t->chunk, t->payload))
        t->ended = true;
    chunk_begin(t);
}

/* ---- encoding ---------------------------------------------------------------------------- */

static void put_code(struct trace_cpu *t, unsigned code)
{
    put_bits(&t->out, 0, 2);
    put_bits(&t->out, code, trace_code_bits(t->n_known));
}

static void put_event(struct trace_cpu *t, enum trace_kind kind, unsigned at, const uint64_t *field,
                      unsigned n)
{
    put_code(t, t->n_known + 1);
    put_bits(&t->out, kind, 5);
    put_bits(&t->out, n, 5);
    put_bits(&t->out, at, 7);
    for (unsigned i = 0; i < n; i++)
        put_var(&t->out, field[i]);
}

static void put_definition(struct trace_cpu *t, const struct tb *tb, uint64_t pcbase)
{
    const struct tcg_target *target = t->cpu->tcg->target;
    uint64_t pc = pcbase + tb->off + (tb->flat ? 0 : tb->cs_base);

    if ((target->trace_mode(tb->mode) & TRACE_MODE_BITS) != 2)
        pc = (uint32_t)pc;

    put_code(t, t->n_known);
    put_var(&t->out, zigzag((int64_t)(pc - t->last_pc)));
    put_bits(&t->out, target->trace_mode(tb->mode), 4);
    put_bits(&t->out, tb->n_insns - 1u, 6);
    for (unsigned i = 0; i < tb->n_insns; i++)
        put_bits(&t->out, tb->insn_len[i], 4);
    for (unsigned i = 0; i < tb->len; i++)
        put_bits(&t->out, tb->insn_len[tb->n_insns + i], 8);
    t->last_pc = pc;
}

/* The id of a block, or NO_ID. */
static unsigned find(const struct trace_cpu *t, uint32_t place, uint64_t pcbase)
{
    uint32_t v = t->of_place[place];
    unsigned id = v >> 16 == t->generation ? v & 0xffff : NO_ID;

    while (id != NO_ID && t->known[id].pcbase != pcbase)
        id = t->known[id].next;
    return id;
}

static unsigned define(struct trace_cpu *t, uint32_t place, uint64_t pcbase)
{
    uint32_t v = t->of_place[place];
    unsigned id = t->n_known;

    put_definition(t, t->cpu->tcg->tbs[place], pcbase);
    t->known[id] = (struct known){ .place = place, .pcbase = pcbase, .after = { NO_ID, NO_ID },
                                   .next = v >> 16 == t->generation ? v & 0xffff : NO_ID };
    t->of_place[place] = (uint32_t)t->generation << 16 | id;
    t->n_known++;
    return id;
}

/* @id follows t->prev: guess, or say which. @fresh: its definition said so */
static void put_step(struct trace_cpu *t, unsigned id, bool fresh)
{
    struct known *p = t->prev != NO_ID ? &t->known[t->prev] : NULL;

    if (p && p->after[0] == id) {
        put_bits(&t->out, 1, 1);
    } else {
        if (p && p->after[1] == id)
            put_bits(&t->out, 2, 2);
        else if (!fresh)
            put_code(t, id);
        if (p) {
            p->after[1] = p->after[0];
            p->after[0] = (uint16_t)id;
        }
    }
    t->prev = id;
}

static void encode_block(struct trace_cpu *t, uint32_t place, uint64_t pcbase)
{
    unsigned id = find(t, place, pcbase);
    bool fresh = id == NO_ID;

    if (fresh)
        id = define(t, place, pcbase);
    put_step(t, id, fresh);
    t->count += t->cpu->tcg->tbs[place]->n_insns;
}

/* Returns how many units it takes. */
static unsigned encode_event(struct trace_cpu *t, const uint64_t *u)
{
    unsigned kind = u[0] >> 8 & 0xff, n = u[0] & 0xff, at = (unsigned)(u[0] >> 32);
    uint64_t field[TRACE_FIELDS];

    memcpy(field, u + 1, n * sizeof *field);
    if (kind == TRACE_PARTIAL)
        t->count -= field[0];
    if (kind == TRACE_CR3)
        t->cr3 = field[0];
    if (kind == TRACE_MEM) {
        uint64_t va = field[0];

        field[0] = zigzag((int64_t)(va - t->last_mem));
        t->last_mem = va;
    }
    put_event(t, kind, at, field, n);
    return (1 + n + 1) / 2;
}

void trace_drain(struct tcg_cpu *cpu, int64_t ns)
{
    struct trace_cpu *t = cpu->trace;
    const uint64_t *u = t->units, *end = cpu->note;

    note_stored(cpu);
    while (u < end) {
        bool event = u[0] & TRACE_UNIT_EVENT;

        if (PAYLOAD * 8 - bits_used(t) < (event ? UNIT_BITS_MAX : EVENTS_BITS) || t->n_known == TRACE_IDS)
            chunk_end(t);
        if (event) {
            u += 2 * encode_event(t, u);
        } else {
            encode_block(t, (uint32_t)u[0], u[1]);
            u += 2;
        }
    }
    t->ns = ns;
    cpu->note = t->units;
}

uint64_t trace_room(const struct tcg_cpu *cpu)
{
    return (UNITS - SLACK) / (cpu->trace_kinds & TRACE_HAS(TRACE_REG) ? REG_UNITS : 1);
}

void trace_forget(struct tcg_cpu *cpu)
{
    struct trace_cpu *t = cpu->trace;

    trace_drain(cpu, t->ns);
    new_generation(t);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct trace_cpu *trace_cpu_new(struct tcg_cpu *cpu, unsigned stream, struct trace_file *f, uint32_t kinds)
{
    struct trace_cpu *t = xzalloc(sizeof *t);

    t->cpu = cpu;
    t->file = f;
    t->stream = (uint16_t)stream;
    t->units = xmalloc(UNITS * 16);
    t->known = xmalloc(TRACE_IDS * sizeof *t->known);
    t->payload = xmalloc(PAYLOAD + 8);
    t->of_place = mmap(NULL, cpu->tcg->max_tbs * sizeof *t->of_place, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->of_place == MAP_FAILED) {
        t->of_place = NULL;
        trace_cpu_free(t);
        return NULL;
    }
    cpu->note = t->units;
    cpu->note_end = t->units + 2 * UNITS;
    cpu->note_soon = cpu->note_end - SLACK;   /* half of the slack */
    cpu->trace_kinds = kinds | TRACE_HAS(TRACE_PARTIAL) | TRACE_HAS(TRACE_CR3);
    cpu->trace = t;
    chunk_begin(t);
    return t;
}

void trace_cpu_free(struct trace_cpu *t)
{
    if (!t)
        return;
    if (t->of_place) {
        trace_drain(t->cpu, t->ns);
        chunk_end(t);
        munmap(t->of_place, t->cpu->tcg->max_tbs * sizeof *t->of_place);
    }
    t->cpu->trace = NULL;
    t->cpu->trace_kinds = 0;
    free(t->units);
    free(t->known);
    free(t->payload);
    free(t);
}
