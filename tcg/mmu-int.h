/*
 * mmu-int.h - the page maps' hit path, shared by softmmu.c (filling, flushing) and
 * memaccess.c (access from C, slow path of translated code)
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
                                 enum tcg_access k, uint64_t vpn)
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

    return unlikely(m->narrow && e[MAP_TAG] != narrow_tag(va)) ? 0 : e[k];
}

#else   /* hashed: one set, tags compared, a flush empties it */

static inline uint64_t map_get(const struct tcg_mmu *m, enum tcg_view v, enum tcg_access k,
                               uint64_t va)
{
    const struct mmu_hash_entry *h = &m->hash[v][k][vpn_of(va) & (MMU_HASH - 1)];
    return h->tag == vpn_of(va) + 1 ? h->val : 0;
}

#endif

/** struct place - where one access (inside a page) goes */
struct place {
    uint8_t *host;           /* RAM, ROM; else NULL */
    gpa_t gpa;
    uint32_t page;
    bool rom, has_code;
};

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

static inline bool resolve(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va,
                           enum tcg_access acc, struct place *p)
{
    return map_hit(cpu, view, va, acc, p) || mmu_resolve(cpu, view, va, acc, false, p);
}

#endif
