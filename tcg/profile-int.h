/*
 * profile-int.h - where the time goes: counters of -accel tcg,profile=on
 *
 * Without that option tcg->profile and every cpu->prof are NULL, blocks carry no
 * counters, and what is left is one predicted branch on paths that are slow anyway.
 *
 * Each vCPU counts for itself, so nothing is shared and nothing lost. Who prints
 * reads while they go on: figures of one report may be some events apart.
 *
 * Runs of blocks are counted by the blocks' own code, in an array behind the vCPU
 * struct (profile_runs()) indexed by the block's place in tcg->tbs. Before the cache
 * is emptied the counts go to a record for each piece of guest code.
 */
#ifndef TCG_PROFILE_INT_H
#define TCG_PROFILE_INT_H

#include <pthread.h>
#include "tcg/tcg.h"

/* what a vCPU's thread is doing; each moment counts for one of these */
#define PROFILE_TIMES(X) \
    X(LOOP,      "run loop") \
    X(CODE,      "translated code") \
    X(HELPER,    "helpers") \
    X(MISS,      "page-map misses") \
    X(DEVICE,    "devices, in memory") \
    X(LOOKUP,    "look-ups") \
    X(TRANSLATE, "translation") \
    X(SERVICE,   "exceptions, interrupts") \
    X(WAIT,      "waiting")

/* ways out of the code cache */
#define PROFILE_EXITS(X) \
    X(UNCHAINED,   "direct jump, not chained yet") \
    X(UNCHAINABLE, "direct jump, never chained: one run only") \
    X(JC_EMPTY,    "indirect jump, first time") \
    X(JC_OTHER,    "indirect jump, entry taken by another target") \
    X(JC_CHANGED,  "indirect jump, mapping or mode has changed") \
    X(JC_BYPASSED, "indirect jump, past the cache: one run only") \
    X(POLL,        "asked to leave: interrupt, timer, another thread") \
    X(SERVICE,     "instruction after which the target looks: STI and the like") \
    X(TARGET,      "new program counter, not in the cache") \
    X(EXCEPTION,   "guest exception") \
    X(RESTART,     "store into code: instruction on its own") \
    X(EXCLUSIVE,   "locked access across pages: all alone") \
    X(DEBUG,       "debugger")

/* accesses of translated code that the page map did not answer */
#define PROFILE_MISSES(X) \
    X(FILL,     "walked, entry filled") \
    X(PRESENT,  "entry was there: alignment, or another's look-up") \
    X(WALK,     "walked, nothing to fill: not dirty, watched") \
    X(BESIDE,   "store beside translated code") \
    X(CODE,     "store into translated code") \
    X(DEVICE,   "device, or nothing there") \
    X(ROM,      "ROM") \
    X(CROSSING, "across pages") \
    X(MASKED,   "elements selected by a mask") \
    X(FAULT,    "guest fault")

#define X(N, text) PT_##N,
enum profile_time { PROFILE_TIMES(X) PT_COUNT };
#undef X
#define X(N, text) PX_##N,
enum profile_exit { PROFILE_EXITS(X) PX_COUNT };
#undef X
#define X(N, text) PM_##N,
enum profile_miss { PROFILE_MISSES(X) PM_COUNT };
#undef X

#define PROFILE_HELPERS 1024       /* a power of two; beyond it one entry counts for all others */
#define PROFILE_EXCEPTIONS 260     /* values of cpu->exception; greater ones count for the last */
#define PROFILE_BLOCKS_MAX (1u << 19) /* records; the last one counts for all further blocks */

/** struct profile_helper - one helper on one vCPU */
struct profile_helper {
    const void *fn;          /* NULL: free */
    uint64_t calls, ticks;   /* what it called is in ticks */
};

/** struct cpu_profile - counts of one vCPU; written by its thread */
struct cpu_profile {
    uint64_t since;          /* ticks: begin of what is going on */
    enum profile_time now;   /* what is */
    enum profile_time before_wait;
    uint64_t ticks[PT_COUNT];
    uint64_t exits[PX_COUNT];
    uint64_t misses[PM_COUNT][2]; /* reads, writes */
    uint64_t walks[3];       /* of the guest's page tables, by enum tcg_access */
    uint64_t exceptions[PROFILE_EXCEPTIONS];
    struct profile_helper helper[PROFILE_HELPERS + 1];
};

/** struct profile_block - a piece of guest code, however often it was translated */
struct profile_block {
    uint64_t lin;            /* where it was first met */
    uint32_t page, mode;
    uint16_t off, len, n_insns;
    uint32_t translations;
    uint32_t host_bytes, cold_bytes; /* of the last translation */
    uint64_t runs;           /* of translations that are gone */
    uint64_t runs_before;    /* at tcg_profile_restart() */
    const struct tb *tb;     /* last translation; NULL: gone */
    uint8_t *bytes;          /* guest code; owned */
    uint32_t next;           /* index + 1, same hash */
};

/** struct tcg_profile - what the vCPUs of a machine share */
struct tcg_profile {
    pthread_mutex_t lock;    /* for all that follows; who prints is another thread. A leaf. */
    uint64_t start_ticks;
    int64_t start_ns;
    struct cpu_profile *before; /* sums at tcg_profile_restart(), which reports leave out; or NULL */
    struct tcg_stats stats_before;
    struct profile_block *block;
    uint32_t n_blocks, room;
    uint32_t *hash;          /* index + 1 */
    uint32_t *of_tb;         /* by place in tcg->tbs: index of the record */
    uint32_t n_tbs;          /* entries of that in use */
    uint64_t again;          /* translations of code that had been translated before */
    uint64_t again_bytes;    /* guest bytes of those */
};

/* ---- counting (profile.c; general registers only, no libc) --------------------------- */

int profile_init(struct tcg *t, struct err *e) MUST_CHECK;
void profile_free(struct tcg *t);
void profile_cpu_init(struct tcg_cpu *cpu);
void profile_cpu_free(struct tcg_cpu *cpu);
/** profile_ticks() - a counter of the host; what one tick is is measured by the report */
uint64_t profile_ticks(const struct tcg *t);
/** profile_switch() - @cpu is doing @what now; returns what it did. Only with cpu->prof. */
enum profile_time profile_switch(struct tcg_cpu *cpu, enum profile_time what);
/** struct profile_from - the block that was entered; those chained to it are of the same code segment */
struct profile_from {
    bool once, flat;
    uint64_t cs_base;
};
/** profile_left() - a block was left for the run loop */
void profile_left(struct tcg_cpu *cpu, const struct profile_from *from);
/** profile_ran() - the interpreter enters a block; translated code counts by itself */
void profile_ran(struct tcg_cpu *cpu, const struct tb *tb);
/** profile_missed() - translated code's access @acc was resolved as @why */
void profile_missed(struct tcg_cpu *cpu, enum tcg_access acc, enum profile_miss why);
/** profile_walked() - the guest's page tables were walked */
void profile_walked(struct tcg_cpu *cpu, enum tcg_access acc);
/** profile_call() - call helper @fn, counted and timed */
uint64_t profile_call(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c, ir_helper fn);

static inline void profile_bump(uint64_t *n)
{
    __atomic_store_n(n, __atomic_load_n(n, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/** profile_begin()/profile_end() - around something that counts for @what */
static inline enum profile_time profile_begin(struct tcg_cpu *cpu, enum profile_time what)
{
    return unlikely(cpu->prof) ? profile_switch(cpu, what) : what;
}

static inline void profile_end(struct tcg_cpu *cpu, enum profile_time before)
{
    if (unlikely(cpu->prof))
        profile_switch(cpu, before);
}

/* ---- blocks (profile-blocks.c) --------------------------------------------------------- */

/** profile_runs_offset() - from the vCPU struct on: how often each block of tcg->tbs was entered */
size_t profile_runs_offset(const struct tcg *t);
/** profile_runs_bytes() - room for that; 0 when there is no profile */
size_t profile_runs_bytes(const struct tcg *t);
/** profile_runs() - runs of the block at place @i on all vCPUs */
uint64_t profile_runs(const struct tcg *t, uint32_t i);
/** profile_translated() - @tb goes to place tcg->n_tbs; @lin: its first byte. Under tcg_lock(). */
void profile_translated(struct tcg_cpu *cpu, const struct tb *tb, uint64_t lin);
/** profile_emptied() - tcg->tbs is about to be emptied; no vCPU runs a block */
void profile_emptied(struct tcg *t);

#endif
