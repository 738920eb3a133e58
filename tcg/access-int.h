/*
 * access-int.h - accesses to guest memory from C: what memaccess.c, memmask.c (masked ones) and
 * memslow.c (for translated code) share
 */
#ifndef TCG_ACCESS_INT_H
#define TCG_ACCESS_INT_H

#include "tcg/mmu-int.h"

/** vec_in_host() - what vec_restore() is to bring back after vec_save() */
static inline unsigned vec_in_host(const struct tcg_cpu *cpu)
{
    return cpu->vec_loaded | cpu->x87_loaded << 1 | cpu->zmm_loaded << 2;
}

/** copy_small() - @n bytes, without a call of memcpy */
static inline void copy_small(uint8_t *d, const uint8_t *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ((volatile uint8_t *)d)[i] = s[i];
}

/**
 * store_code_page() - before a store into a page with code: drop the blocks it changes
 * False: it would change bytes of the running block, or of who knows which when a helper stores; it must be
 * done again as a block of its own (the run loop sets restart1 for that, and it goes through).
 */
bool store_code_page(struct tcg_cpu *cpu, const struct place *p, uint64_t va, unsigned len);

/** place_read() - @n bytes from a resolved place; device reads are made of the widest aligned parts */
void place_read(struct tcg_cpu *cpu, const struct place *p, uint8_t *buf, unsigned n);

/** place_write() - likewise; what is written to ROM goes to its device: it may be a flash chip */
void place_write(struct tcg_cpu *cpu, const struct place *p, const uint8_t *buf, unsigned n);

/** resolve_span() - where @len bytes go, of one page or two; watchpoints and translated code are dealt with.
 *  False: a fault is pending, nothing has changed */
bool resolve_span(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len,
                  enum tcg_access acc, struct span *s);

/** note_mem() - the access is going to happen; a value that is stored is taken from memory when the
 *  next thing is noted */
void note_mem(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc, const struct span *s);

static inline void note_access(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc,
                               const struct span *s)
{
    if (trace_on(cpu, TRACE_MEM))
        note_mem(cpu, va, len, acc, s);
}

/* ---- memmask.c -------------------------------------------------------------------------- */

/** fold_mask() - the elements of @elem bytes, in @len bytes, that bits @k of an opmask register of @bits
 *  elements select; @compact: its count of ones says how many */
struct tcg_mask fold_mask(uint64_t k, unsigned bits, unsigned len, unsigned elem, bool compact);

/**
 * resolve_masked() - like resolve_span(), but a page counts only when the mask selects a byte of it:
 * s->n[i] stays 0 for one that does not. A fault reports the first such byte; that of a store which
 * has got past another page the last, as silicon does (scalars: the first). What was resolved is
 * moved back to where the operand begins in that page.
 */
bool resolve_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                    enum tcg_access acc, struct span *s);

/** move_span() - selected bytes of a resolved operand from or to @buf */
void move_span(struct tcg_cpu *cpu, const struct span *s, uint64_t va, uint8_t *buf,
               unsigned len, struct tcg_mask m, bool write);

void zero_bytes(uint8_t *p, unsigned n);

#endif
