/*
 * reader.h - trace files, read block by block (reader.c)
 *
 * Nothing in a file is believed: lengths, numbers and references are checked, and what is wrong ends
 * its chunk with a message, or with "bad" in the answer.
 */
#ifndef TRACE_TOOL_READER_H
#define TRACE_TOOL_READER_H

#include "trace/format.h"

#define TRACE_CODE_BYTES (TRACE_INSNS * 15)

/** struct trace_block - a block as its definition has it */
struct trace_block {
    uint64_t pc;                 /* linear address */
    uint8_t mode;                /* TRACE_MODE_* */
    uint8_t n_insns;
    uint16_t len;                /* bytes */
    uint16_t after[2];           /* the decoder's */
    uint8_t insn_len[TRACE_INSNS];
    uint8_t *code;               /* len bytes */
    uint32_t user;               /* the caller's; 0 at first, gone with the chunk */
};

/** struct trace_event_rec - an event; at: instructions of the block complete, 127: all */
struct trace_event_rec {
    uint8_t kind, n, at;
    uint64_t field[TRACE_FIELDS];
};

/** struct trace_step - a block that was executed, and what happened in it and behind it */
struct trace_step {
    struct trace_block *block;   /* NULL: events before the first block of a chunk */
    unsigned executed;           /* instructions of it */
    uint64_t count;              /* instructions before it */
    uint64_t cr3;
    const struct trace_event_rec *event;
    unsigned n_events;
    unsigned stream;
    bool new_chunk;              /* blocks are others than before */
    bool gap;                    /* with it: something before it is missing */
};

struct trace_reader;
/** trace_open() - NULL with @e set: no trace, or one of another version */
struct trace_reader *trace_open(const char *path, struct err *e) MUST_CHECK;
void trace_close(struct trace_reader *r);
const struct trace_header *trace_header(const struct trace_reader *r);
/** trace_chunks() - how many chunks there are, and number @i, in the order of writing */
size_t trace_chunks(const struct trace_reader *r);
const struct trace_chunk *trace_chunk_at(const struct trace_reader *r, size_t i);
/** trace_bad() - chunks that could not be read, or not to their end */
unsigned trace_bad(const struct trace_reader *r);

struct trace_iter;
/** trace_iter_new() - from the beginning of @stream; blocks of it live until the next chunk's */
struct trace_iter *trace_iter_new(struct trace_reader *r, unsigned stream);
void trace_iter_free(struct trace_iter *it);
/** trace_next() - the next block; false: no more */
bool trace_next(struct trace_iter *it, struct trace_step *s);
/** trace_skip_to() - go on at the chunk that holds instruction @count, or the next there is */
void trace_skip_to(struct trace_iter *it, uint64_t count);
/** trace_next_device() - the next event of stream TRACE_DEVICES and when it was; false: no more */
bool trace_next_device(struct trace_iter *it, struct trace_event_rec *e, uint64_t *count);

#endif
