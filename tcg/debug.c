/*
 * debug.c - breakpoints, watchpoints and single steps of a debugger outside the guest
 *
 * The guest's memory is not touched and its code is translated as ever; nothing is
 * compared while translated code runs.
 *
 * Breakpoints. No block reaches over the place of one, so it is always the first
 * instruction of its block, and such a block is entered from the run loop only: it is
 * not chained to and not in a jump cache. The run loop compares addresses. Blocks are
 * known by physical address, breakpoints by linear address: what ends a block is the
 * offset in the page, which both have in common.
 *
 * Watchpoints. Pages with one are absent from the page maps, so each access takes
 * the slow path, which looks here. An instruction in the middle of a block is executed
 * again as a block of its own, as for stores into code, so that the vCPU stands right
 * behind it.
 *
 * Built without vector registers, like softmmu.c.
 */
#include <stdlib.h>
#include "tcg/tcg-int.h"

#define OFFSETS_MAX 64       /* more changed places than that: drop everything */

struct tcg_debug {
    unsigned n_breaks, n_watches;
    uint64_t offsets[PAGE_SIZE / 64];       /* a bit for each place of a breakpoint in its page */
    struct tcg_break breaks[TCG_BREAKS_MAX];
    struct tcg_watch watches[TCG_WATCHES_MAX];
};

/* ---- asking: vCPU threads ------------------------------------------------------- */

bool tcg_may_break(const struct tcg *t) { return t->debug || t->has_ends || tcg_ends_before_pushf(t); }

bool tcg_break_offset(const struct tcg *t, unsigned off)
{
    const struct tcg_debug *d = t->debug;

    off &= PAGE_MASK;
    return d && d->offsets[off / 64] >> off % 64 & 1;
}

bool debug_break_at(const struct tcg *t, uint64_t lin)
{
    const struct tcg_debug *d = t->debug;

    if (!tcg_break_offset(t, lin & PAGE_MASK))
        return false;
    for (unsigned i = 0; i < d->n_breaks; i++)
        if (((d->breaks[i].lin ^ lin) & d->breaks[i].mask) == 0)
            return true;
    return false;
}

bool debug_page_watched(const struct tcg *t, uint64_t va)
{
    const struct tcg_debug *d = t->debug;
    uint64_t page = va & ~(uint64_t)PAGE_MASK;

    if (t->cfg.note_mem)
        return true;
    for (unsigned i = 0; d && i < d->n_watches; i++) {
        const struct tcg_watch *w = &d->watches[i];

        if (w->lin - page < PAGE_SIZE || page - w->lin < w->len)
            return true;
    }
    return false;
}

static const struct tcg_watch *find_watch(const struct tcg_debug *d, uint64_t va, unsigned len,
                                          unsigned kind)
{
    for (unsigned i = 0; i < d->n_watches; i++) {
        const struct tcg_watch *w = &d->watches[i];

        if ((w->kinds & kind) && (w->lin - va < len || va - w->lin < w->len))
            return w;
    }
    return NULL;
}

bool debug_access(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc)
{
    unsigned kind = acc == ACC_WRITE ? TCG_WATCH_WRITE : TCG_WATCH_READ;
    const struct tcg_watch *w = find_watch(cpu->tcg->debug, va, len, kind);

    if (likely(!w))
        return true;
    if (cpu->in_code && !cpu->restart1) {
        cpu->exception = TCG_EXC_RESTART;
        return false;
    }
    if (!cpu->watch_kinds) {
        cpu->watch_kinds = (uint8_t)w->kinds;
        cpu->watch_lin = w->lin - va < len ? w->lin : va;
    }
    tcg_kick(cpu);
    return true;
}

/* ---- changing: all vCPUs stand still ----------------------------------------------- */

static void set_offsets(struct tcg_debug *d)
{
    memset(d->offsets, 0, sizeof(d->offsets));
    for (unsigned i = 0; i < d->n_breaks; i++) {
        unsigned off = d->breaks[i].lin & PAGE_MASK;

        d->offsets[off / 64] |= 1ull << off % 64;
    }
}

/* Blocks that hold a place of which only one of the two knows are to be made again. */
static void drop_blocks(struct tcg *t, const uint64_t *was, const uint64_t *is)
{
    uint16_t changed[OFFSETS_MAX];
    unsigned n = 0;

    for (unsigned off = 0; off < PAGE_SIZE; off++) {
        if (!((was[off / 64] ^ is[off / 64]) >> off % 64 & 1))
            continue;
        if (n == OFFSETS_MAX) {
            tcg_flush_all(t, TCG_FLUSH_BREAKS);
            return;
        }
        changed[n++] = (uint16_t)off;
    }
    if (n)
        tb_drop_offsets(t, changed, n);
}

static bool same_watches(const struct tcg_debug *d, const struct tcg_watch *w, unsigned n)
{
    unsigned had = d ? d->n_watches : 0;

    return had == n && (!n || !memcmp(d->watches, w, n * sizeof(*w)));
}

void tcg_debug_set(struct tcg *t, const struct tcg_break *b, unsigned n_breaks,
                   const struct tcg_watch *w, unsigned n_watches)
{
    static const uint64_t none[PAGE_SIZE / 64];
    struct tcg_debug *old = t->debug, *d = xzalloc(sizeof(*d));

    assert(n_breaks <= TCG_BREAKS_MAX && n_watches <= TCG_WATCHES_MAX);
    d->n_breaks = n_breaks;
    d->n_watches = n_watches;
    for (unsigned i = 0; i < n_breaks; i++)
        d->breaks[i] = b[i];
    for (unsigned i = 0; i < n_watches; i++)
        d->watches[i] = w[i];
    set_offsets(d);
    drop_blocks(t, old ? old->offsets : none, d->offsets);
    if (!same_watches(old, w, n_watches))
        for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
            tcg_mmu_flush(cpu, true);
    if (!n_breaks && !n_watches) {
        free(d);
        d = NULL;
    }
    t->debug = d;
    free(old);
}
