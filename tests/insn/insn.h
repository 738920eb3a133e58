/*
 * insn.h - instruction tests: one guest program of a few instructions, run on the
 * host CPU, on the interpreter and by translation, must leave the same state
 *
 *   gen.c    makes instructions from rows of the instruction table, gen-case.c cases
 *   native.c runs one on the host CPU (x86-64 hosts)
 *   guest.c  runs one on a bare translator instance
 *   flags.c  what the manual leaves undefined
 *   expected.c  known answers, for hosts that are not x86
 *   main.c   drives, compares, reduces, reports
 *
 * Everywhere the case's code, data and stack stand at the same linear addresses.
 */
#ifndef TESTS_INSN_INSN_H
#define TESTS_INSN_INSN_H

#include "target-x86/decode-int.h"
#include <string.h>

#define CODE_VA 0x10000000u       /* two pages */
#define DATA_VA 0x20000000u       /* two pages, nothing after them */
#define STACK_VA 0x20010000u      /* one page, nothing around it */
#define RO_VA 0x20011000u         /* behind the stack: one page that can only be read, for stored cases */
#define CODE_BYTES 8192u
#define DATA_BYTES 8192u
#define STACK_BYTES 4096u
#define RO_BYTES 4096u
#define FS_BASE (DATA_VA + 0x900)
#define GS_BASE (STACK_VA + 0x400)
#define MAX_INS 36
#define XCR0_AVX512 0xe0u
/* 16-bit code runs in segments that start at each of those */
enum { SEL_CODE16 = 0x07, SEL_DATA16 = 0x0f, SEL_STACK16 = 0x17 };
#define END_BYTES 8               /* what an engine puts after the code */

enum { VEC_END = -1, VEC_HANG = -2, VEC_CRASH = -3 };

/** struct fpu - x87, vector registers, MXCSR */
struct fpu {
    struct x86_fxarea fx;
    uint8_t ymmh[16][16];
    struct x86_avx512 z;
};

/** struct state - what a case starts from and what it leaves
 *  @flags: EFLAGS; @vector: exception that ended it, or VEC_*; @pc: where */
struct state {
    uint64_t r[16], flags, pc, cr2;
    int vector;
    uint32_t error;
    struct fpu f;
    uint8_t data[DATA_BYTES], stack[STACK_BYTES];
};

/** struct ins - one instruction of a case
 *  @target: index of the instruction it branches to, or -1; @rel: width of that
 *  displacement, which ends the instruction
 *  (@abs: the target's address instead, at that place); @rip_at: where a RIP-relative displacement stands, or 0; @ea: what it shall reach
 *  @undef: EFLAGS bits undefined after it */
struct ins {
    uint8_t b[16], n;
    int8_t target;
    uint8_t rel, rip_at;
    uint8_t abs;
    uint8_t ea_ins;               /* @ea is in instruction @ea_ins - 1, or 0 */
    uint64_t ea;
    uint16_t row;
    uint32_t undef;
};

struct tcase {
    struct ins in[MAX_INS];
    unsigned n, bits;             /* instructions; code size 64, 32 or 16 */
    unsigned off;                 /* of the first byte in the code pages */
    uint8_t code[MAX_INS * 16 + END_BYTES];
    unsigned len, start[MAX_INS + 1];
    uint32_t ignore;              /* EFLAGS bits not compared, */
    uint32_t ignore_host;         /* and when translated for a host of the same kind */
    bool fpu;                     /* vector or x87 state matters */
    bool approximate;             /* results differ in the last bits between implementations */
    struct state init;
    uint8_t ro[RO_BYTES];         /* stored cases: the read-only page */
    bool stored;                  /* from a file: that page is there */
};

/* ---- gen.c, gen-case.c ------------------------------------------------------------------ */

/** rng_seed()/rng() - the case's random numbers */
void rng_seed(uint64_t seed);
uint64_t rng(void);
/** gen_wanted() - the row can run here as an unprivileged program; NULL: yes, else why not */
const char *gen_wanted(unsigned row, unsigned bits, const struct x86_model *m);
/** has_avx512() - the host's CPU takes part with AVX-512 state */
bool has_avx512(void);
/** case_approximate() - @row's results differ in the last bits between implementations */
bool case_approximate(unsigned row);
/** same_address() - does a page fault of the instruction at @code, of at most @n bytes, report @a and @b alike?
 *  Which selected byte a masked store reports is known of Intel's CPUs; elsewhere its page counts */
bool same_address(const uint8_t *code, unsigned n, unsigned bits, uint32_t error, uint64_t a, uint64_t b);
/** gen_single() - a case of one instruction of @row; false: no encoding came out */
bool gen_single(struct tcase *c, unsigned row, unsigned bits, const struct x86_model *m);
/** gen_sequence() - a case of several instructions of rows in @rows */
bool gen_sequence(struct tcase *c, const uint16_t *rows, unsigned n_rows, unsigned bits,
                  const struct x86_model *m);
/** gen_program() - a loop with a call in it, whose code may store into itself */
bool gen_program(struct tcase *c, const uint16_t *rows, unsigned n_rows, unsigned bits,
                 const struct x86_model *m);
/** case_assemble() - place the instructions: code, len, start, branches */
void case_assemble(struct tcase *c);

/* ---- case-file.c -------------------------------------------------------------------- */

/** case_write() - @c as text; @why: a comment for the first line */
bool case_write(FILE *f, const struct tcase *c, const char *why);
/** case_read() - the other way round; false: @line is not understood, or parts are missing */
bool case_read(FILE *f, struct tcase *c, unsigned *line);

/* ---- flags.c ---------------------------------------------------------------- */

/** flags_undefined() - EFLAGS bits undefined after @in
 *  @cl: the count in CL, or -1 when it is not known: any */
uint32_t flags_undefined(const struct x86_insn *in, int cl);
/** flags_unsettled() - those of them that the silicon does not settle either: the rest
 *  comes out of a translation, which uses the host's instruction, as on the host */
uint32_t flags_unsettled(const struct x86_insn *in);
/** flags_read()/flags_written() - EFLAGS bits @in reads, certainly writes */
uint32_t flags_read(const struct x86_insn *in);
uint32_t flags_written(const struct x86_insn *in);

/* ---- engines ------------------------------------------------------------------ */

/** struct engine - a way to run a case; run() fills @out from c->init */
struct engine {
    const char *name;
    void (*run)(struct engine *e, const struct tcase *c, struct state *out);
    void (*free)(struct engine *e); /* or NULL */
    void *priv;
    bool portable;                /* computes floating point in software */
};

/** native_engine() - the host CPU; false: cannot (another architecture, addresses taken) */
bool native_engine(struct engine *e);
/** native_has_16() - prepare for 16-bit code; false: the host kernel does not allow it */
bool native_has_16(void);
/** guest_keep() - before there are engines: their translator has cache file @path, which must not be there. It stays
 *  the caller's */
void guest_keep(const char *path);
/** guest_taken() - blocks that came from there, when the engines are gone */
uint64_t guest_taken(void);
/** guest_engine() - the translator's back end, or the interpreter; false with a message
 *  @kept: after guest_keep(), takes what the engine before has translated, and runs it elsewhere */
bool guest_engine(struct engine *e, const char *name, bool interp, bool optimise, bool kept,
                  const struct x86_model *m);
/** guest_kick() - from a signal handler: leave the running case */
void guest_kick(void);
/** guest_crashed() - from a signal handler: the translator failed; does not return
 *  when a case is running, which then ends as VEC_CRASH */
void guest_crashed(void);
/** watchdog_start() - a case that runs longer than a second or two ends as VEC_HANG */
void watchdog_start(void);
/** watchdog_reset() - a case begins */
void watchdog_reset(void);

/* ---- expected.c: answers kept in a file ----------------------------------------- */

struct expected {
    uint8_t bits;
    uint32_t id, inputs, results;
};

/** row_id() - the row's description as a number */
uint32_t row_id(unsigned row);
/** expected_hash() - run the row's kept cases on @e; @c, @out: scratch; false: there are none */
bool expected_hash(struct engine *e, unsigned row, unsigned bits, const struct x86_model *m, struct tcase *c,
                   struct state *out, struct expected *x);
/** expected_read() - at most @max entries of the file; false: cannot open it */
bool expected_read(const char *path, struct expected *list, unsigned max, unsigned *n);

#endif
