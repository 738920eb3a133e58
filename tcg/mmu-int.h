/*
 * mmu-int.h - the page maps' hit path, shared by softmmu.c (flushing), mmu-fill.c and what
 * accesses guest memory (access-int.h)
 */
#ifndef TCG_MMU_INT_H
#define TCG_MMU_INT_H

#include "tcg/tcg-int.h"

static inline uint64_t vpn_of(uint64_t va)
{
    return (va >> PAGE_BITS) & ((1ull << MAP_VPN_BITS) - 1);
}

static inline bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

#if TCG_FLAT_MAPS

static inline uint8_t *view_base(const struct tcg_mmu *m, unsigned set, enum tcg_view v)
{
    return m->base[set] + (uint64_t)v * m->view_bytes;
}

static inline uint64_t *map_slot(const struct tcg_mmu *m, unsigned set, enum tcg_view v,
                                 unsigned k, uint64_t vpn)
{
    return (uint64_t *)view_base(m, set, v) + (vpn & m->index_mask) * MAP_WORDS + k;
}

static inline uint32_t narrow_tag(uint64_t va)
{
    return (uint32_t)(va >> NARROW_TAG_SHIFT);
}

static inline uint64_t map_get(const struct tcg_mmu *m, enum tcg_view v, enum tcg_access k,
                               uint64_t va)
{
    const uint64_t *e = map_slot(m, m->cur, v, ACC_READ, vpn_of(va));

    return unlikely(m->narrow && e[MAP_TAG] != narrow_tag(va)) ? 0 : k == ACC_EXEC ? (uint32_t)e[k] : e[k];
}

typedef uint16_t __attribute__((may_alias)) map16_t;
typedef uint32_t __attribute__((may_alias)) map32_t;

/* Blooms of a set: whether something was filled that @n stands for. */
static inline unsigned bloom_hash(uint64_t n)
{
    return (unsigned)((n * 0x9e3779b97f4a7c15ull) >> 52) & (MMU_BLOOM - 1);
}

static inline bool bloom_test(const uint8_t *b, uint64_t n)
{
    unsigned h = bloom_hash(n);
    return b[h >> 3] >> (h & 7) & 1;
}

static inline void bloom_add(uint8_t *b, uint64_t n)
{
    unsigned h = bloom_hash(n);
    b[h >> 3] |= 1 << (h & 7);
}

/** map_set() - word @k of the entry at @e, that of @va, becomes @val; 0: nothing is known (@va does not matter) */
static inline void map_set(uint64_t *e, unsigned k, uint64_t va, uint64_t val)
{
    uint16_t limit = (uint16_t)((va | PAGE_MASK) + 2 - LIMIT_BYTES);

    if (k == ACC_EXEC) {     /* the other half is not its own */
        *(map32_t *)&e[k] = (uint32_t)val;
        return;
    }
    e[k] = val;
    if (k != MAP_BESIDE)
        *(map16_t *)((uint8_t *)e + MAP_LIMIT(k)) = val ? limit : 0;
}

#else   /* hashed: one set, tags compared, a flush empties it */

static inline uint64_t map_get(const struct tcg_mmu *m, enum tcg_view v, enum tcg_access k,
                               uint64_t va)
{
    const struct mmu_hash_entry *h = &m->hash[v][k][vpn_of(va) & (MMU_HASH - 1)];
    return h->tag == vpn_of(va) + 1 ? h->val : 0;
}

#endif

/** mmu_look_elsewhere() - phys_find() when the window does not have it */
enum phys_kind mmu_look_elsewhere(struct tcg_cpu *cpu, gpa_t gpa, uint8_t **host, uint32_t *page);

/** phys_find() - phys_ops.lookup() of the page at @gpa */
static inline enum phys_kind phys_find(struct tcg_cpu *cpu, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    const struct phys_window *w = &cpu->mmu->window;

    if (unlikely(gpa - w->base >= w->len ||
                 __atomic_load_n(cpu->tcg->phys.map_changes, __ATOMIC_RELAXED) != w->changes))
        return mmu_look_elsewhere(cpu, gpa, host, page);
    *host = w->host + (gpa - w->base);
    *page = w->page + (uint32_t)((gpa - w->base) / PAGE_SIZE);
    return PHYS_RAM;
}

/** mmu_resolve() - walk the guest's tables for @va and fill the map; false: a guest
 *  fault is pending (unless @probe) */
bool mmu_resolve(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, enum tcg_access acc,
                 bool probe, struct place *p);

static inline bool map_hit(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, enum tcg_access acc,
                    struct place *p)
{
    uint64_t d;

    /* an address that is not canonical would find the entry of one that is */
    if (acc == ACC_EXEC || !canonical(va) || !(d = map_get(cpu->mmu, view, acc, va)))
        return false;
    p->host = (uint8_t *)(uintptr_t)(va + d);
    p->rom = p->has_code = false;
    return true;
}

#if TCG_FLAT_MAPS

/* host - guest is within 2^48: the sign is kept */
static inline uint64_t beside_word(const uint8_t *host, uint64_t va, uint32_t page)
{
    uint64_t delta = (uintptr_t)host - (va & ~(uint64_t)PAGE_MASK);

    return page >> BESIDE_PAGE_BITS ? 0 : delta >> PAGE_BITS << BESIDE_PAGE_BITS | page;
}

/** beside_hit() - is @va known to be in a page that may be written but for its code? Once all code
 *  of the page is gone it goes into the write map again. */
static inline bool beside_hit(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, struct place *p)
{
    const struct tcg_mmu *m = cpu->mmu;
    uint64_t *e = map_slot(m, m->cur, view, 0, vpn_of(va)), w;

    if (m->narrow || !canonical(va) || !(w = e[MAP_BESIDE]))
        return false;
    p->page = w & ((1u << BESIDE_PAGE_BITS) - 1);
    p->host = (uint8_t *)(uintptr_t)(va + ((int64_t)w >> BESIDE_PAGE_BITS) * PAGE_SIZE);
    p->rom = false;
    p->has_code = __atomic_load_n(&cpu->tcg->pages[p->page].code_bits, __ATOMIC_RELAXED) != 0;
    if (!p->has_code)
        map_set(e, ACC_WRITE, va, (uintptr_t)p->host - va);
    return true;
}

#else

static inline bool beside_hit(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, struct place *p)
{
    return false;
}

#endif

static inline bool resolve(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va,
                           enum tcg_access acc, struct place *p)
{
    return map_hit(cpu, view, va, acc, p) || (acc == ACC_WRITE && beside_hit(cpu, view, va, p))
           || mmu_resolve(cpu, view, va, acc, false, p);
}

#endif
