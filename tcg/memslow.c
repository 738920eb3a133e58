/*
 * memslow.c - memory operands of translated code that the page maps do not have
 *
 * Built without vector registers, like memaccess.c.
 */
#include "tcg/access-int.h"

/* An operand whose elements are selected by a mask: in place when it lies in one page
 * of RAM that some element is in, else by way of the bounce buffer. */
static unsigned slow_masked(struct tcg_cpu *cpu, struct tcg_slow *sl)
{
    struct tcg_mmu *m = cpu->mmu;
    unsigned len = sl->desc & SLOW_SIZE;
    enum tcg_access acc = sl->desc & SLOW_WRITE ? ACC_WRITE : ACC_READ;
    struct tcg_mask mask = fold_mask(sl->arg[0], sl->elems & ELEMS_BITS, len,
                                     1u << (sl->elems >> ELEMS_LOG2 & 7), sl->elems & ELEMS_COMPACT);
    struct span s;

    if (!resolve_masked(cpu, sl->va, len, mask, acc, &s))
        return 0;
    note_access(cpu, sl->va, len, acc, &s);
    if (s.n[0] == len && s.p[0].host && !(s.p[0].rom && acc == ACC_WRITE)) {
        sl->delta = (uintptr_t)s.p[0].host - sl->va;
        return 1;
    }
    if (acc == ACC_READ) {
        zero_bytes(m->bounce, len);
        move_span(cpu, &s, sl->va, m->bounce, len, mask, false);
    }
    m->bounce_at = s;
    m->bounce_va = sl->va;
    m->bounce_len = len;
    m->bounce_mask = mask;
    sl->delta = (uintptr_t)m->bounce - sl->va;
    return acc == ACC_WRITE ? 2 : 1;
}

/* The leader of a group wants its page in the map. */
static unsigned slow_lead(struct tcg_cpu *cpu, struct tcg_slow *sl, enum tcg_access acc)
{
    enum tcg_access want = sl->desc & SLOW_LEAD_W ? ACC_WRITE : acc;
    uint64_t delta = map_get(cpu->mmu, cpu->mmu->view, want, sl->va + (uint64_t)(int64_t)lead_disp(sl->elems));

    sl->delta = delta;
    return delta ? 1 : 2;
}

static unsigned slow_access(struct tcg_cpu *cpu, struct tcg_slow *sl, struct span *s)
{
    struct tcg_mmu *m = cpu->mmu;
    unsigned len = sl->desc & SLOW_SIZE;
    enum tcg_access acc = sl->desc & SLOW_WRITE ? ACC_WRITE : ACC_READ;
    uint64_t va = sl->va + (uint64_t)(int64_t)(sl->desc & SLOW_LEAD ? lead_disp(sl->elems) : 0);
    bool direct;

    if (sl->desc & SLOW_MASKED)
        return slow_masked(cpu, sl);
    if (va & ((8u << (sl->desc >> SLOW_ALIGN & 3)) - 1) && sl->desc >> SLOW_ALIGN & 3) {
        cpu->tcg->target->raise_align(cpu);
        return 0;
    }
    if (!resolve_span(cpu, m->view, va, len, acc, s))
        return 0;
    if (acc == ACC_WRITE && (sl->desc & SLOW_READ) && !watch_access(cpu, va, len, ACC_READ))
        return 0;
    if (sl->desc & SLOW_LEAD)
        return slow_lead(cpu, sl, acc);
    direct = !s->n[1] && s->p[0].host && (!s->p[0].rom || acc == ACC_READ);
    if (!direct && sl->desc & SLOW_LOCK && tcg_need_exclusive(cpu))
        return 0;
    if (acc == ACC_WRITE && sl->desc & SLOW_READ)
        note_access(cpu, va, len, ACC_READ, s);
    note_access(cpu, va, len, acc, s);
    if (direct) {
        sl->delta = (uintptr_t)s->p[0].host - va;
        return 1;
    }
    if (sl->desc & SLOW_READ || acc == ACC_READ) {
        place_read(cpu, &s->p[0], m->bounce, s->n[0]);
        if (s->n[1])
            place_read(cpu, &s->p[1], m->bounce + s->n[0], s->n[1]);
    }
    m->bounce_at = *s;
    m->bounce_va = va;
    m->bounce_len = len;
    m->bounce_mask.elem = 0;
    sl->delta = (uintptr_t)m->bounce - va;
    return acc == ACC_WRITE ? 2 : 1;
}

/* Writing a log goes through libc, which uses vector registers. */
static unsigned slow_access_saved(struct tcg_cpu *cpu, struct tcg_slow *sl, struct span *s, unsigned what)
{
    cpu->tcg->host->vec_save(cpu);
    unsigned r = slow_access(cpu, sl, s);
    cpu->tcg->host->vec_restore(cpu, what);
    return r;
}

static unsigned slow_access_any(struct tcg_cpu *cpu, struct tcg_slow *sl, struct span *s)
{
    unsigned what = vec_in_host(cpu);

    return likely(!log_mask || !what) ? slow_access(cpu, sl, s) : slow_access_saved(cpu, sl, s, what);
}

/* Counts before an access, to tell afterwards what became of it. */
struct seen {
    uint64_t walks, fills, dropped;
};

static struct seen seen_now(const struct tcg_cpu *cpu, enum tcg_access acc)
{
    return (struct seen){ .walks = cpu->prof->walks[acc], .fills = cpu->mmu->fills,
                          .dropped = cpu->tcg->stats.dropped[TCG_DROP_STORE] };
}

static enum profile_miss why_missed(const struct tcg_cpu *cpu, const struct tcg_slow *sl, const struct span *s,
                                    const struct seen *was, const struct seen *is)
{
    if (cpu->exception)
        return cpu->exception == TCG_EXC_RESTART ? PM_CODE : PM_FAULT;
    if (sl->desc & SLOW_MASKED)
        return PM_MASKED;
    if (s->n[1])
        return PM_CROSSING;
    if (!s->p[0].host)
        return PM_DEVICE;
    if (s->p[0].rom)
        return PM_ROM;
    if (s->p[0].has_code)
        return was->dropped != is->dropped ? PM_CODE : PM_BESIDE;
    return was->fills != is->fills ? PM_FILL : was->walks != is->walks ? PM_WALK : PM_PRESENT;
}

static unsigned slow_access_counted(struct tcg_cpu *cpu, struct tcg_slow *sl)
{
    enum tcg_access acc = sl->desc & SLOW_WRITE ? ACC_WRITE : ACC_READ;
    enum profile_time before = profile_switch(cpu, PT_MISS);
    struct seen was = seen_now(cpu, acc), is;
    struct span s;
    unsigned r = slow_access_any(cpu, sl, &s);

    is = seen_now(cpu, acc);
    profile_missed(cpu, acc, why_missed(cpu, sl, &s, &was, &is));
    profile_switch(cpu, before);
    return r;
}

/* The short way for a store beside the code of its page. */
static inline bool slow_beside(struct tcg_cpu *cpu, struct tcg_slow *sl)
{
    unsigned len = sl->desc & SLOW_SIZE, off = sl->va & PAGE_MASK;
    uint32_t kind = sl->desc & (SLOW_WRITE | SLOW_LEAD | SLOW_MASKED | 3u << SLOW_ALIGN);
    struct place p;

    if (kind != SLOW_WRITE || off + len > PAGE_SIZE || !beside_hit(cpu, cpu->mmu->view, sl->va, &p)
        || (p.has_code && tb_store_meets(cpu->tcg, p.page, off, len)))
        return false;
    sl->delta = (uintptr_t)p.host - sl->va;
    return true;
}

unsigned tcg_slow_access(struct tcg_cpu *cpu, struct tcg_slow *sl, const uint8_t *from)
{
    struct span s;
    unsigned r;

    if (likely(!cpu->prof) && slow_beside(cpu, sl))
        return 1;
    cpu->pcoff = (int32_t)sl->desc >> SLOW_PCOFF;
    cpu->mmu->from = from;
    r = likely(!cpu->prof) ? slow_access_any(cpu, sl, &s) : slow_access_counted(cpu, sl);
    cpu->mmu->from = NULL;
    return r;
}

/* The pages were resolved for writing just before: this cannot fault. */
void tcg_slow_commit(struct tcg_cpu *cpu, struct tcg_slow *sl)
{
    struct tcg_mmu *m = cpu->mmu;
    const struct span *s = &m->bounce_at;

    if (m->bounce_mask.elem) {
        move_span(cpu, s, m->bounce_va, m->bounce, m->bounce_len, m->bounce_mask, true);
        return;
    }
    place_write(cpu, &s->p[0], m->bounce, s->n[0]);
    if (s->n[1])
        place_write(cpu, &s->p[1], m->bounce + s->n[0], s->n[1]);
}
