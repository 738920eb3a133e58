/*
 * ifuzz.h - differential fuzzer: random sequences of instructions must leave the same
 * state on the host CPU, translated (optimised, plain, one instruction a block) and
 * interpreted
 *
 *   seq.c     makes sequences; rows and encodings come from tests/insn/gen.c
 *   item.c    their parts that span several instructions: branches, calls, loops;
 *             item-vec.c: gathers, state images
 *   native.c  runs them on the host CPU, in a child process of its own
 *   guest.c   runs them on a bare translator instance
 *   compare.c what must be equal, and how a difference is shown
 *   shrink.c  the least sequence that still differs, as a case of tests/insn
 *   hash.c    states as numbers
 *   bug.c     deliberate mistakes, to see that they are found
 *   main.c    options, batches, counts
 *
 * A sequence is a function of (seed, index). What it did comes back as a few words:
 * registers as they are, memory and vector state as hashes. Only a sequence whose words
 * differ is run again for its whole state.
 *
 * Sequences run in batches of BATCH at ever new places of a ring of code, so that nothing
 * has to be invalidated between them.
 */
#ifndef TESTS_FUZZ_INSN_IFUZZ_H
#define TESTS_FUZZ_INSN_IFUZZ_H

#include "tests/insn/gen-int.h"

#define RING_BYTES 0x10000u       /* at CODE_VA: what a 16-bit code segment reaches */
#define RING_TAIL 16u              /* its last bytes are NOPs: 16-bit code may run out of its segment */
#define MAX_SEQ 32
#define GLUED 0x80u
#define BATCH 512u                /* sequences that share a memory image */
#define POOL_FPU 512u             /* vector states to start from */

/** struct xstate - vector and x87 state in XSAVE's standard format */
struct xstate {
    struct x86_fxarea fx;
    uint64_t header[8];
    uint8_t ymmh[16][16];
    uint8_t rsvd[256];            /* bounds registers of old */
    struct x86_avx512 z;
};
#define XCR0_AVX 0x7u

/** struct image - the memory that every sequence of a batch starts from; pages at
 *  DATA_VA (two), STACK_VA and, read-only, RO_VA; all other addresses are not mapped */
struct image {
    uint8_t data[DATA_BYTES], stack[STACK_BYTES], ro[RO_BYTES];
} __attribute__((aligned(4096)));
#define RW_BYTES (DATA_BYTES + STACK_BYTES)

/** struct outcome - what a sequence left, in few words
 *  @pc: linear; @cr2: page faults only; @mem, @vec, @x87: hashes */
struct outcome {
    uint64_t r[16], pc, cr2, mem, vec, x87;
    uint32_t flags, error, mxcsr;
    int32_t vector;
    uint16_t fcw, fsw;
    uint8_t ftw;
};

/** struct seq - a sequence and the registers it starts from
 *  @off: of its first byte in the ring; @code, @len, @start: bytes, and where each
 *  instruction's begin
 *  @glue: instructions that the shrinker may only drop together
 *  @taint: EFLAGS bits that are undefined before each instruction, and at the end */
struct seq {
    struct ins in[MAX_INS];
    unsigned n, bits, off, len, start[MAX_INS + 1];
    uint8_t code[MAX_INS * 16 + END_BYTES];
    uint64_t r[16];
    uint32_t flags;
    uint32_t taint[MAX_INS + 1];
    uint8_t glue[MAX_INS];        /* how many behind it belong to it; | GLUED: the one before, too */
    bool fpu, approximate;        /* as in struct tcase */
    bool zmm;                     /* AVX-512 state is not all zero */
    bool portable;                /* also interpreted: reads no flag the manual leaves undefined.
                                   * The others read what the silicon settles */
    struct xstate f;              /* when fpu */
};

/* ---- seq.c, item.c --------------------------------------------------------------- */

struct source;                    /* rows by kind, for one code size */
struct source *source_new(unsigned bits, const struct x86_model *m);
/** row_detail() - what an instruction of this row has stored when it faults differs between CPUs, and
 *  whether its numeric exceptions come before its operand's */
bool row_detail(const struct x86_row *r);
/** source_rows() - how many rows it draws from */
unsigned source_rows(const struct source *s);
/** image_make() - memory of batch @k */
void image_make(struct image *im, uint64_t seed, uint64_t k);
/** fpu_pool_make() - POOL_FPU vector and x87 states */
void fpu_pool_make(struct xstate *pool, uint64_t seed);
/** seq_make() - sequence @index of @seed; @used: rows drawn are marked there, or NULL */
void seq_make(struct seq *q, const struct source *src, const struct xstate *pool, uint64_t seed, uint64_t index,
              bool *used);
/** seq_assemble() - code from instructions, for the place q->off */
void seq_assemble(struct seq *q);
/** seq_room() - bytes of the ring that the sequence takes */
static inline unsigned seq_room(const struct seq *q) { return q->len + END_BYTES; }

/* ---- native.c ---------------------------------------------------------------------- */

struct native;
/** native_lacks() - why this host cannot run code of @bits for comparison; NULL: it can */
const char *native_lacks(unsigned bits);
/** native_new() - start the child; NULL with a message. @run: false: without one, for the
 *  memory alone, native_run() only fills the ring */
struct native *native_new(unsigned bits, bool run);
void native_free(struct native *n);
/** native_image(), native_ring(), native_seqs(), native_outcomes() - the batch's memory
 *  image, its code, sequences and answers (BATCH each), shared with the child, owned by it */
struct image *native_image(struct native *n);
uint8_t *native_ring(struct native *n);
struct seq *native_seqs(struct native *n);
struct outcome *native_outcomes(struct native *n);
/** native_run() - run the first @count sequences; VEC_CRASH: the child died there
 *  @full: the state of the last, or NULL */
void native_run(struct native *n, unsigned count, struct state *full);

/* ---- guest.c ------------------------------------------------------------------------ */

enum fuzz_engine { E_OPT, E_PLAIN, E_SINGLE, E_INTERP, E_COUNT };
extern const char *const engine_name[E_COUNT];

struct fguest;
struct fguest *fguest_new(unsigned bits, const struct x86_model *m);
void fguest_free(struct fguest *g);
/** fguest_image() - take over @im; the engines' memory is reset to it */
void fguest_image(struct fguest *g, const struct image *im);
/** fguest_code() - @n bytes of code at @off of the ring, for all engines */
void fguest_code(struct fguest *g, unsigned off, const uint8_t *code, unsigned n);
/** fguest_run() - one sequence at its place in the ring on engine @e; @st: whole state, or NULL */
void fguest_run(struct fguest *g, enum fuzz_engine e, const struct seq *q, struct outcome *out,
                struct state *st);
/** fguest_wrap() - the ring starts over: forget all translations */
void fguest_wrap(struct fguest *g);
/** fguest_hook() - translate() goes through @fn from now on (see bug.c) */
void fguest_hook(struct fguest *g, unsigned (*fn)(struct tcg_cpu *, struct ir_block *, const struct tb_key *,
                                                  unsigned, unsigned *));
/** fguest_tick() - from a timer's signal handler: end what runs too long */
void fguest_tick(struct fguest *g);

/* ---- hash.c: shared by both sides ------------------------------------------------------ */

/** mem_settle() - hash what @now has that differs from @was, and put it back; both of
 *  @n bytes, a multiple of 64. @salt: position of the area */
uint64_t mem_settle(uint8_t *now, const uint8_t *was, unsigned n, unsigned salt);
/** vec_hash() - vector and mask registers */
uint64_t vec_hash(const struct x86_fxarea *fx, const uint8_t ymmh[16][16], const struct x86_avx512 *z);
/** x87_hash() - x87 registers */
uint64_t x87_hash(const struct x86_fxarea *fx);

/* ---- compare.c --------------------------------------------------------------------------- */

/** outcome_same() - do @a (host) and @b agree on everything that is defined? */
bool outcome_same(const struct seq *q, const struct outcome *a, const struct outcome *b);
/** show_sequence() - print its code and registers */
void show_sequence(const struct seq *q);
/** show_states() - print where the two states differ */
void show_states(const struct state *a, const struct state *b);

/* ---- bench: one worker's engines and material ---------------------------------------------- */

struct bench {
    struct x86_model model;
    struct native *native;
    struct fguest *guest;
    struct source *src;
    struct xstate *pool;
    struct seq *seq;              /* BATCH of them, and the host's answers */
    struct outcome *host;
    struct image *im;
    unsigned ring;                /* next free byte */
    unsigned bits;
    uint64_t seed;
    struct state *sa, *sb;        /* for whole states */
    bool by_interp;               /* the interpreter stands in for the host CPU */
};

/** bench_rewind() - the ring is empty again */
void bench_rewind(struct bench *b);
/** bench_place() - give @q room in the ring and assemble it there; false: the ring is full */
bool bench_place(struct bench *b, struct seq *q);
/** bench_host() - run the first sequence, wherever there is room, on the host CPU; its
 *  whole state goes to b->sa. false: it does not come back */
bool bench_host(struct bench *b);
/** bench_differs() - and @e's state, in b->sb, is another? */
bool bench_differs(struct bench *b, enum fuzz_engine e);

/* ---- shrink.c ----------------------------------------------------------------------------- */

/** shrink() - make the bench's first sequence the least that differs on @e still; its
 *  image loses what does not matter, too. false: alone it does not differ */
bool shrink(struct bench *b, enum fuzz_engine e);
/** case_store() - the first sequence as a case of tests/insn, a new file in @dir;
 *  @why: its first line */
void case_store(const struct bench *b, const char *dir, const char *why);

/* ---- bug.c --------------------------------------------------------------------------------- */

/** bug_named() - "flag", "shift": a translate hook with that mistake; NULL: unknown */
unsigned (*bug_named(const char *name))(struct tcg_cpu *, struct ir_block *, const struct tb_key *, unsigned,
                                        unsigned *);

#endif
