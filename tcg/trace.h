/*
 * trace.h - what a vCPU executes, written to a trace file (trace.c)
 */
#ifndef TCG_TRACE_H
#define TCG_TRACE_H

#include "tcg/tcg.h"
#include "trace/file.h"

/*
 * Blocks write units of 16 bytes to cpu->note: their place in tcg->tbs, and pcbase (IR_NOTE). Events
 * stand between them: TRACE_UNIT_EVENT | kind << 8 | fields, instruction in the block << 32; the
 * fields (trace_event(), count.c). The vCPU's thread encodes and writes them from time to time: trace_drain().
 */
#define TRACE_UNIT_EVENT 0x80000000u
#define TRACE_UNITS (64 * 1024u) /* room for them: 1 MiB */

struct trace_cpu;

/** trace_cpu_new() - @cpu writes to @f, which stays the caller's; NULL: no memory */
struct trace_cpu *trace_cpu_new(struct tcg_cpu *cpu, unsigned stream, struct trace_file *f, uint32_t kinds);
/** trace_cpu_free() - writes what is left */
void trace_cpu_free(struct trace_cpu *t);
/** trace_drain() - encode what @cpu has noted; it is outside blocks or in a helper. @ns: the
 *  guest's clock */
void trace_drain(struct tcg_cpu *cpu, int64_t ns);
/** trace_room() - how many blocks may be executed before trace_drain() */
uint64_t trace_room(const struct tcg_cpu *cpu);
/** trace_forget() - the cache is about to be emptied: places get another meaning */
void trace_forget(struct tcg_cpu *cpu);

#endif
