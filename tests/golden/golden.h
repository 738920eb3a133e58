/*
 * golden.h - host code of short guest sequences, as text that does not depend on where
 * things are: make check-golden compares it with what is stored, make golden stores it
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "target-x86/decode-int.h"
#include "tcg/tcg-int.h"

/** struct golden_case - as case.inc emits them; a file's cases follow one another, each ends
 *  where the next begins */
struct golden_case {
    const uint8_t *code;
    const char *name, *file;
    int64_t kind;            /* -1: end of a file */
};
extern const struct golden_case __start_golden_cases[], __stop_golden_cases[];

/** struct code_size - of one case's host code */
struct code_size {
    unsigned insns, bytes, cold_insns, cold_bytes;
};

struct listing;
/** listing_new() - for blocks of @t; NULL: built without Capstone. Owned by the caller. */
struct listing *listing_new(const struct tcg *t);
void listing_free(struct listing *l);
/**
 * listing_block() - print the host code of @tb, one instruction a line, a tab, the text
 * The bytes before the tab and the names in braces say everything; the rest of the text is
 * as the disassembler has it. Adds to @size.
 * @cold: also what stands out of line
 */
void listing_block(struct listing *l, const struct tb *tb, bool cold, FILE *f, struct code_size *size);

struct moved;
/** struct moved_count - what moved_check() has looked at */
struct moved_count {
    unsigned blocks, two_pages, wrong;
    unsigned left_out[8], unseen; /* relocations left out on purpose, by kind; of them unnoticed */
};
/** moved_new() - for blocks of @t, made with t->relocs */
struct moved *moved_new(struct tcg *t);
struct moved_count moved_free(struct moved *m);
/** moved_check() - the image of @tb, made last, is the block wherever it is put; tells what is wrong.
 *  @code: its guest bytes, which stay. @name: of the case */
void moved_check(struct moved *m, struct tb *tb, const uint8_t *code, const char *name);

#endif
