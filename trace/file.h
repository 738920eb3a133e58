/*
 * file.h - writing a trace file (file.c)
 */
#ifndef TRACE_FILE_H
#define TRACE_FILE_H

#include "trace/format.h"

/** struct trace_options - -trace, parsed */
struct trace_options {
    uint32_t kinds;          /* TRACE_HAS(); 0: no trace */
    char *file;              /* owned; NULL: transom-PID.trace */
    uint64_t size;           /* bytes; 0: no limit */
    bool values;             /* MEM events with values */
    bool ring;               /* at the limit the oldest goes, else recording ends */
};

struct trace_file;
/** trace_file_open() - create @o->file; NULL with @e set */
struct trace_file *trace_file_open(const struct trace_options *o, unsigned n_cpus, int ns_shift,
                                   struct err *e) MUST_CHECK;
/**
 * trace_file_write() - append a chunk; any thread
 * @c: stream, first, insns, ns, bits are the caller's; @payload: (bits + 7) / 8 bytes, at most
 *   TRACE_SLOT - sizeof *c
 * Returns false when nothing more is recorded: the size is reached, or the disk is full (said once).
 */
bool trace_file_write(struct trace_file *f, struct trace_chunk *c, const void *payload);
/** trace_file_close() - NULL is allowed */
void trace_file_close(struct trace_file *f);

#endif
