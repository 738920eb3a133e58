/*
 * gen-int.h - between gen.c (encodings) and gen-case.c (states, sequences)
 */
#ifndef TESTS_INSN_GEN_INT_H
#define TESTS_INSN_GEN_INT_H

#include "tests/insn/insn.h"

/* what a case's instructions may use for addresses; single instructions: anything */
struct regs {
    unsigned bits;                /* code size */
    bool fixed;                   /* only these: */
    bool aligned;                 /* mostly to 16 bytes */
    bool near;                    /* base[0] and a displacement, nearly always */
    uint8_t seg;                  /* override prefix that goes with base[1], or 0 */
    uint8_t base[2], index;       /* the index register holds 0..15 */
    uint64_t at[2], index_value;
};

/* the parts of an encoding that are patched afterwards */
struct enc {
    uint8_t b[24];
    unsigned n, disp_at, disp_n;
    bool sib;
    uint8_t base;                 /* which of regs.base was used */
};

/** below() - a number in 0..n-1 */
unsigned below(unsigned n);
/** one_in() - true once in @n */
bool one_in(unsigned n);
/** value() - an operand: a corner case or anything */
uint64_t value(void);
/** fpu_random() - vector and x87 registers, MXCSR, control words */
void fpu_random(struct fpu *f);
/** named() - @name is in @list */
bool named(const char *name, const char *const *list, size_t n);
/** is_vec_row() - x87, MMX, SSE, AVX */
bool is_vec_row(const struct x86_row *r);
/** encode() - a random encoding of @r into @e, decoded into @in; false: it came out as another row */
bool encode(struct enc *e, const struct x86_row *r, const struct regs *rg,
            const struct x86_model *m, struct x86_insn *in);
/** is_push_pop() - uses the stack implicitly */
bool is_push_pop(const struct x86_insn *in);
/** opnd_reg() - general register that operand @o is, as a mask */
uint32_t opnd_reg(const struct x86_insn *in, unsigned o);
/** regs_written() - general registers that may change, as a mask */
uint32_t regs_written(const struct x86_insn *in);
/** mem_bytes() - bytes of the memory operand, as far as known */
unsigned mem_bytes(const struct x86_insn *in);
/** is_atomic() - locked, by prefix or by nature */
bool is_atomic(const struct x86_insn *in);

#define NAMED(name, list) named(name, list, ARRAY_SIZE(list))

#endif
