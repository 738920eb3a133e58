/*
 * seq-int.h - between seq.c (sequences, state) and item.c (their parts)
 */
#ifndef TESTS_FUZZ_INSN_SEQ_INT_H
#define TESTS_FUZZ_INSN_SEQ_INT_H

#include "tests/fuzz/insn/ifuzz.h"

#define MAX_ROWS 4096

/** struct source - rows that a code size has, by kind */
struct source {
    unsigned bits;
    const struct x86_model *m;
    bool portable;                /* all sequences are to be interpreted */
    uint16_t integer[MAX_ROWS], vec[MAX_ROWS], common[MAX_ROWS], vsib[64], stack[64], jcc[2];
    unsigned n_integer, n_vec, n_common, n_vsib, n_stack, n_jcc;
    uint16_t kind[MAX_ROWS];      /* ROW_*; 0: not here */
};
enum { ROW_OK = 1, ROW_DETAIL = 2 /* what it leaves when it faults is its own subject */,
       ROW_STRING = 4, ROW_SLOW = 8 /* traps: dear on many hosts */, ROW_STACK = 16, ROW_XLAT = 32,
       ROW_MASKMOV = 64 /* stores to [rDI] */, ROW_BIT = 128, ROW_BSWAP = 256, ROW_ENTER = 512,
       ROW_AWAY = 1024 /* indirect branches */, ROW_LAST = 2048 /* results differ in the last bits */,
       ROW_VSIB = 4096 };
/* places on the read-only page where gathers find indices of 4 and 8 bytes */
enum { INDEX32_AT = 0, INDEX64_AT = 64 };

/** struct build - a sequence being made
 *  @fixed: registers that keep their values: addresses, counters
 *  @string: RCX, RSI, RDI are set for string instructions
 *  @edge: operands may reach what is not mapped
 *  @near: many accesses around one place, a page's end as a rule; @chain: pushes and pops
 *  @moved: the first address register has been changed */
struct build {
    struct seq *q;
    const struct source *src;
    struct regs rg;
    bool vec, wild, string, edge, near, chain, branchy, moved;
    int counter;                  /* register of the closing loop, or -1 */
    uint32_t fixed, written, tainted, read_early;
    uint32_t joins[MAX_INS + 2];  /* undefined flags that branches bring to an instruction */
    bool *used;
};

/** build_add() - append @n bytes as one instruction; NULL: no room */
struct ins *build_add(struct build *b, const uint8_t *bytes, unsigned n);
/** build_settle() - flags bookkeeping behind the last instruction */
void build_settle(struct build *b, uint32_t read, uint32_t killed, uint32_t undef);
/** build_append() - append @e, which is @in */
void build_append(struct build *b, const struct enc *e, const struct x86_insn *in, unsigned row);
/** build_glue() - the last @n instructions only make sense together */
void build_glue(struct build *b, unsigned n);
/** build_row() - append a random instruction; false: none came out */
bool build_row(struct build *b);
/** build_item() - append a group: call, return, indirect jump, flags by way of the stack */
void build_item(struct build *b);
/** build_move() - move the first address register a little */
void build_move(struct build *b);
/** build_gather(), build_fstp(), build_image() - append a gather or scatter with its
 *  index, FSTP's alias with full registers, an FXSAVE-like image; or nothing */
void build_gather(struct build *b);
void build_fstp(struct build *b);
void build_image(struct build *b);
/** image_indices() - what build_gather() finds in memory */
void image_indices(struct image *im);
/** build_loop() - close the sequence into a loop */
void build_loop(struct build *b);
/** build_room() - instructions that still fit */
static inline unsigned build_room(const struct build *b) { return MAX_SEQ - MIN(b->q->n, (unsigned)MAX_SEQ); }

#endif
