/*
 * blocks-int.h - what finding (blocks.c), making (make.c) and running (exec.c) blocks share
 */
#ifndef TCG_BLOCKS_INT_H
#define TCG_BLOCKS_INT_H

#include "tcg/tcg-int.h"

static inline bool tb_is_dead(const struct tb *tb)
{
    return __atomic_load_n(&tb->dead, __ATOMIC_RELAXED);
}

static inline bool tb_is_settled(const struct tb *tb)
{
    return __atomic_load_n(&tb->settled, __ATOMIC_ACQUIRE);
}

/** tb_lookup() - the block for @k in RAM page @page, or NULL; without the lock */
struct tb *tb_lookup(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page);
/** tb_made() - has another vCPU made the block meanwhile? Under the lock. */
struct tb *tb_made(struct tcg *t, const struct tb_key *k, uint32_t page, uint32_t page2);
/** tb_pages_ready() - what tb_enlist() needs of @tb's pages is there; false: no room. Under the lock. */
bool tb_pages_ready(struct tcg *t, const struct tb *tb);
/** tb_enlist() - from now on the block is found by look-ups, and by stores into its
 *  bytes. Under the lock. */
void tb_enlist(struct tcg *t, struct tb *tb);
/** tb_chain() - exit @slot of @tb leads to @to from now on, if that may be */
void tb_chain(struct tcg_cpu *cpu, struct tb *tb, unsigned slot, struct tb *to);
/** tb_drop() - the block is never entered again. Under the lock. */
void tb_drop(struct tcg *t, struct tb *tb, enum tcg_drop why);
/** jc_clear() - empty @cpu's jump cache */
void jc_clear(struct tcg_cpu *cpu);

#define SYMBOL_CHARS 256
/** tcg_symbol_at() - "name" or "name+0x12" of -symbols for @lin, in @buf, or ""; returns @buf */
const char *tcg_symbol_at(const struct tcg *t, uint64_t lin, char *buf, size_t size);

/** tb_end_at() - from now on blocks end before @off of RAM page @page: the instruction before it has stored into its own
 *  block, which from then on is two. Best effort; under the lock */
void tb_end_at(struct tcg *t, uint32_t page, unsigned off);

#endif
