/*
 * mmu-fill.c - page maps: filling them from the guest's tables
 *
 * Built and written under softmmu.c's rules: no vector registers, no calls into libc.
 */
#include "tcg/mmu-int.h"

#if TCG_FLAT_MAPS

/* Note that the map page of @slot is in use; false: too many are. */
static bool touch(struct mmu_set *s, const uint64_t *slot)
{
    uint32_t page = (uint32_t)((uintptr_t)slot >> PAGE_BITS) | 1u << 31;
    unsigned n = MMU_TOUCH * 2, h = (page * 2654435761u) >> 20 & (n - 1);
    for (; s->touched[h]; h = (h + 1) & (n - 1))
        if (s->touched[h] == page)
            return true;
    if (s->n_touched >= MMU_TOUCH)
        return false;
    s->touched[h] = page;
    s->n_touched++;
    return true;
}

/* The narrow map's entry at @e becomes that of @va. */
static void narrow_claim(struct tcg_mmu *m, uint64_t *e, uint64_t va)
{
    if (e[MAP_TAG] == narrow_tag(va))
        return;
    if ((uint32_t)e[ACC_EXEC])
        returns_forget(m->cpu, m->cur);
    e[ACC_READ] = e[ACC_WRITE] = e[ACC_EXEC] = 0;
    e[MAP_TAG] = narrow_tag(va);
}
#endif

/* @k: an access, or MAP_BESIDE. */
static void map_fill(struct tcg_cpu *cpu, enum tcg_view view, unsigned k, uint64_t va,
                     uint64_t val, uint32_t page, const struct tcg_fill *f)
{
    struct tcg_mmu *m = cpu->mmu;

    if (val == 0)
        return;              /* host == guest: stays a miss; the slow path serves it */
    m->fills++;
#if TCG_FLAT_MAPS
    struct mmu_set *s = &m->set[m->cur];
    uint64_t *slot = map_slot(m, m->cur, view, k, vpn_of(va));
    if (m->n_nodes >= MMU_NODES || !touch(s, slot)) {
        mmu_protect_all(cpu);
        touch(s, slot);
    }
    struct mmu_node *nd = &m->nodes[m->n_nodes++];
    nd->slot = (uintptr_t)slot;
    nd->next_set = s->journal[f->global];
    s->journal[f->global] = m->n_nodes;
    nd->next_page = 0;
    if (k == ACC_WRITE || k == MAP_BESIDE) {
        nd->next_page = m->page_head[page];
        m->page_head[page] = m->n_nodes;
    }
    if (unlikely(m->narrow))
        narrow_claim(m, slot - k, va);
    if (k == ACC_EXEC && (uint32_t)*slot && (uint32_t)*slot != val)
        returns_forget(m->cpu, m->cur);
    if (f->page_shift >= 30)
        s->huge = true;
    else if (f->page_shift > 12)
        bloom_add(s->large_bloom, vpn_of(va) >> 9);
    if (f->page_shift == 22) /* its other half */
        bloom_add(s->large_bloom, vpn_of(va) >> 9 ^ 1);
    if (f->global)
        bloom_add(s->global_bloom, f->page_shift > 12 ? vpn_of(va) | 511 : vpn_of(va));
    map_set(slot - k, k, va, val);
#else
    struct mmu_hash_entry *h = &m->hash[view][k][vpn_of(va) & (MMU_HASH - 1)];
    h->tag = vpn_of(va) + 1;
    h->val = val;
    if (f->page_shift > 12)
        m->set[0].huge = true;
#endif
}

/* A write has found @page, which is RAM at @host and may be written again without asking the target. */
static void fill_write(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, uint8_t *host, uint32_t page,
                       bool has_code, const struct tcg_fill *f)
{
    if (!has_code)
        map_fill(cpu, view, ACC_WRITE, va, (uintptr_t)host - (va & ~(uint64_t)PAGE_MASK), page, f);
#if TCG_FLAT_MAPS
    else if (!cpu->mmu->narrow)
        map_fill(cpu, view, MAP_BESIDE, va, beside_word(host, va, page), page, f);
#endif
}

enum phys_kind mmu_look_elsewhere(struct tcg_cpu *cpu, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    const struct phys_ops *phys = &cpu->tcg->phys;
    enum phys_kind kind = phys->lookup(phys->opaque, gpa, host, page);

    if (kind == PHYS_RAM && phys->window)
        phys->window(phys->opaque, gpa, &cpu->mmu->window);
    return kind;
}

/* The walk and what follows. False: a guest fault is pending. */
bool mmu_resolve(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va,
                         enum tcg_access acc, bool probe, struct place *p)
{
    const struct tcg *t = cpu->tcg;
    struct tcg_fill f;
    uint8_t *host = NULL;
    uint32_t page = NO_PAGE;
    enum phys_kind kind;

    if (!canonical(va)) {
        if (!probe)
            t->target->canonical_fault(cpu, va, acc);
        return false;
    }
    if (unlikely(cpu->prof))
        profile_walked(cpu, acc);
    if (t->target->walk(cpu, va, acc, view == VIEW_USER, probe, &f) == FILL_FAULT)
        return false;
    p->gpa = f.gpa;
    kind = phys_find(cpu, f.gpa & ~(gpa_t)PAGE_MASK, &host, &page);
    p->rom = kind == PHYS_ROM;
    p->page = page;
    p->has_code = false;
    p->host = NULL;
    if (kind != PHYS_RAM && kind != PHYS_ROM)
        return true;
    p->host = host + (va & PAGE_MASK);
    if (acc == ACC_WRITE && kind == PHYS_RAM) {
        if (unlikely(page >= t->phys.first_noted) && t->phys.note_write)
            t->phys.note_write(t->phys.opaque, page);
        p->has_code = __atomic_load_n(&t->pages[page].code_bits, __ATOMIC_RELAXED) != 0;
    }
    if (unlikely(t->debug || t->cfg.note_mem) && acc != ACC_EXEC && debug_page_watched(t, va))
        return true;
    if (acc == ACC_EXEC)
        map_fill(cpu, view, ACC_EXEC, va, page + 1ull, page, &f);
    if (acc == ACC_READ)
        map_fill(cpu, view, ACC_READ, va, (uintptr_t)host - (va & ~(uint64_t)PAGE_MASK), page, &f);
    if (acc == ACC_WRITE && kind == PHYS_RAM && f.writable)
        fill_write(cpu, view, va, host, page, p->has_code, &f);
    return true;
}

uint32_t mmu_exec_page(struct tcg_cpu *cpu, uint64_t va, uint8_t **host, bool raise)
{
    struct place p;

    if (!mmu_resolve(cpu, cpu->mmu->view, va, ACC_EXEC, !raise, &p))
        return NO_PAGE;
    *host = p.host ? p.host - (va & PAGE_MASK) : NULL;
    return p.host ? p.page : NO_PAGE;
}

uint32_t mmu_exec_hit(const struct tcg_cpu *cpu, uint64_t va)
{
    return (uint32_t)map_get(cpu->mmu, cpu->mmu->view, ACC_EXEC, va);
}
