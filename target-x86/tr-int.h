/*
 * tr-int.h - between the instruction handlers (tr-*.c) and the block loop
 *
 * A handler gets a struct xlat whose ->in is decoded and checked (CPL0, LOCK,
 * PMODE attributes) and emits IR for it. Nothing may change (globals, F,
 * memory) before the last op of the instruction that can fault.
 */
#ifndef TARGET_X86_TR_INT_H
#define TARGET_X86_TR_INT_H

#include "target-x86/decode-int.h"

#define X_MAX_SLOW 80     /* out-of-line segment-limit failures per block */

/** struct x86_slow - rare code behind the block's end: a segment check that failed; with @what
 *  SLOW_X87_MODE, the end of a block whose instruction unmasked an x87 exception */
struct x86_slow {
    uint16_t label;
    uint16_t len;
    ir_val off;           /* offset in the segment */
    uint32_t what;        /* h_seg_check's b */
    int64_t pcoff;
};

#define SLOW_X87_MODE 0xffffffffu

struct xlat {
    struct ir_block *b;
    struct x86_cpu *cpu;
    const struct tb_key *k;
    const struct x86_insn *in;
    const struct x86_row *row;   /* in->row */
    uint32_t mode;               /* k->mode */
    unsigned bits;               /* 16, 32, 64 */
    int64_t pcoff, next_off;     /* of this instruction and the next, see tcg.h */
    bool ended;                  /* a block end was emitted */
    bool solo;                   /* TF, DR, shadow: one instruction, then EXIT */
    bool want_exit;              /* EXIT after this instruction */
    bool sti;                    /* this instruction was an STI that left its shadow to us */
    bool poll;                   /* the one before was: poll when this one is done */
    unsigned n_side;             /* conditional branches forward that the block goes on behind */
    bool one_way;                /* it may not: every block ends at its first branch */
    bool breaks;                 /* a block may have to end before some instruction */
    bool magic;                  /* XCHG BX, BX means something */
    const struct ir_vec *masked; /* the memory operand has an opmask, this instruction's; or NULL */
    bool unchecked;              /* the helper that gets the address checks limits itself */
    unsigned n_slow;
    struct x86_slow slow[X_MAX_SLOW];
};

#define CPU_OFF(field) offsetof(struct x86_cpu, field)
#define CALL_STD (IRCALL_SYNC | IRCALL_FAULT)

static inline bool xt_64(const struct xlat *x) { return x->bits == 64; }
static inline bool xt_protected(const struct xlat *x)   /* PE and not VM86 */
{
    return (x->mode & MODE_PE) && !(x->mode & MODE_VM86);
}

/* ---- memory operands (tr-mem.c) ------------------------------------------------ */
/** xt_ea() - effective address of the modrm memory operand: offset in its
 *  segment, @plus added, truncated to the address size. The result may be a
 *  general register's global: use it before changing registers. */
ir_val xt_ea(struct xlat *x, int64_t plus);
/** xt_lin() - linear address of offset @off in segment @seg for @size bytes
 *  (any 1..4096), with the limit and type check, and the debug-register check */
ir_val xt_lin(struct xlat *x, ir_val off, unsigned seg, unsigned size, bool write);
/** xt_addr() - linear, checked address of the memory operand; what a LD/ST/VEC takes */
ir_val xt_addr(struct xlat *x, unsigned size, bool write);
/** xt_addr_plus() - the same, @plus bytes behind the operand's start */
ir_val xt_addr_plus(struct xlat *x, int64_t plus, unsigned size, bool write);

/* ---- general registers and operands (tr-mem.c) ------------------------------------ */
/** xt_slow_path() - rare code to branch to (->label), see struct x86_slow */
struct x86_slow *xt_slow_path(struct xlat *x, ir_val off, uint32_t what);
/** xt_reg() - register @n as an input of @size bytes: a global, or a temp for AH..BH */
ir_val xt_reg(struct xlat *x, unsigned n, unsigned size);
/** xt_set_reg() - register @n (of @size bytes, x86 merge rules) = @v */
void xt_set_reg(struct xlat *x, unsigned n, unsigned size, ir_val v);
/** xt_is_high() - whether byte register @n is AH, CH, DH or BH here */
bool xt_is_high(const struct xlat *x, unsigned n, unsigned size);
/** xt_rm() - the E operand as an input: register, or loaded zero-extended */
ir_val xt_rm(struct xlat *x, unsigned size);
/** xt_set_rm() - the E operand = @v; memory: address is computed here (last fault) */
void xt_set_rm(struct xlat *x, unsigned size, ir_val v);
/** xt_imm() - a temp holding constant @v */
ir_val xt_imm(struct xlat *x, uint64_t v);

/* operands by their letter in the row (@o: enum opnd) */
/** xt_opnd_reg() - number of the register it names, -1 when it is none */
int xt_opnd_reg(const struct xlat *x, unsigned o);
bool xt_opnd_is_imm(unsigned o);
int64_t xt_opnd_imm(const struct xlat *x, unsigned o);
/** xt_opnd_addr() - linear, checked address of a memory operand (E, M, O) */
ir_val xt_opnd_addr(struct xlat *x, unsigned o, bool write);
/** xt_get()/xt_put() - its value (memory: loaded, zero-extended); store into it */
ir_val xt_get(struct xlat *x, unsigned o);
void xt_put(struct xlat *x, unsigned o, ir_val v);
/** xt_copy() - a temp with the value of @v (all 8 bytes) */
ir_val xt_copy(struct xlat *x, ir_val v);

/* ---- stack (tr-stack.c) ------------------------------------------------------------ */
/** xt_push() - push @v of @size bytes; SP changes after the store */
void xt_push(struct xlat *x, unsigned size, ir_val v);
/** xt_push_return() - push the return address of a call to @to. When @to cannot be
 *  jumped to, silicon has stored the address already but left SP alone. IR_NONE: that is not asked
 *  yet. Returns the address. */
ir_val xt_push_return(struct xlat *x, ir_val to);
/** xt_pop_load() - a temp with @size bytes from the stack at SP + @skip; SP unchanged */
ir_val xt_pop_load(struct xlat *x, unsigned size, unsigned skip);
/** xt_add_sp() - SP += @n in the stack's width */
void xt_add_sp(struct xlat *x, int64_t n);

/* ---- ends and exceptions (translate.c, tr-raise.c) ------------------------------------ */
/** xt_pc() - a temp holding pcbase + @pcoff truncated to the mode's width */
ir_val xt_pc(struct xlat *x, int64_t pcoff);
/** xt_goto() - end: continue at @pcoff through @slot; polls when it goes backwards */
void xt_goto(struct xlat *x, int64_t pcoff, unsigned slot);
/** xt_seg_is_flat() - base 0 and no limit to check? */
bool xt_seg_is_flat(const struct xlat *x, unsigned seg);
/** xt_goto_pc() - end: continue at @pc; @hint is IRJ_* */
void xt_goto_pc(struct xlat *x, ir_val pc, unsigned hint);
/** xt_may_check_late() - may the instruction end with xt_goto_pc_unchecked(), without xt_check_pc()? */
bool xt_may_check_late(const struct xlat *x);
/** xt_goto_pc_unchecked() - whether @pc is canonical is asked when no code is known for it; if it is not,
 *  all that is to undo is that the instruction has added @popped to RSP */
void xt_goto_pc_unchecked(struct xlat *x, ir_val pc, unsigned hint, int popped);
/** xt_returns() - SP is where the address of the next instruction, @pc, has just been pushed to, by a call */
void xt_returns(struct xlat *x, ir_val pc);
/** xt_returned() - the block has ended with a jump to what @popped bytes below SP had */
void xt_returned(struct xlat *x, unsigned popped);
/** xt_exit() - end: to the run loop, next instruction at @pcoff */
void xt_exit(struct xlat *x, int64_t pcoff);
/** xt_goto_rel() - end: goto @rel behind this instruction, wrapped to the operand size */
void xt_goto_rel(struct xlat *x, int64_t rel, unsigned slot);
/** xt_goes_straight() - a jump to @rel behind this instruction neither wraps nor leaves the segment */
bool xt_goes_straight(const struct xlat *x, int64_t rel);
/** xt_load_seg() - segment register @seg = selector @v, with what must follow (EXIT) */
void xt_load_seg(struct xlat *x, unsigned seg, ir_val v);
/** xt_check_pc() - #GP(0) when @pc lies outside the code segment */
void xt_check_pc(struct xlat *x, ir_val pc);
/** xt_check_canonical() - #GP(0) when the 8-byte @pc is not canonical (tr-mem.c) */
void xt_check_canonical(struct xlat *x, ir_val pc);
/** xt_dead_end() - end after a helper that always raises */
void xt_dead_end(struct xlat *x);
/** xt_poll() - leave before the next instruction when the run loop is wanted */
void xt_poll(struct xlat *x);
/** xt_sti_last() - end behind an STI that is the block's last instruction */
void xt_sti_last(struct xlat *x);
/** xt_exit_pc() - end: to the run loop, a helper has set cpu->tcg.pc */
void xt_exit_pc(struct xlat *x);
/** xt_raise_ud() and so on - the instruction always faults; ends the block */
void xt_raise_ud(struct xlat *x);
void xt_raise_gp(struct xlat *x);
void xt_raise_nm(struct xlat *x);
/** xt_call() - helper with IRCALL_SYNC | IRCALL_FAULT; @d may be IR_NONE, as may a, b, c */
struct ir_op *xt_call(struct xlat *x, ir_helper fn, ir_val d, ir_val a, ir_val b, ir_val c);
/** xt_call_i() - the same with constants for all three arguments */
struct ir_op *xt_call_i(struct xlat *x, ir_helper fn, ir_val d, uint64_t a, uint64_t b, uint64_t c);

/** xt_lean() - @op's helper leaves vector registers alone: it is built so (the Makefile's novec) */
static inline struct ir_op *xt_lean(struct ir_op *op)
{
    op->callf |= IRCALL_NOVEC;
    return op;
}

/* handlers named by the tables */
#define INSN(op, name, dst, a, b, rf, wf, at, handler, arg) void tr_##handler(struct xlat *x);
#include "target-x86/insn.def"
#include "target-x86/insn-simd.def"
#include "target-x86/insn-evex.def"
#undef INSN

#endif
