/*
 * memaccess.c - guest memory access from C, and the slow path of translated code
 *
 * Built without vector registers, like softmmu.c: the host's may hold the guest's.
 * Where a device must be reached they are put away first.
 */
#include "tcg/mmu-int.h"

/*
 * Before a store into a page with code. False: the store would change bytes of
 * the running block, or of who knows which when a helper stores; it must be done again as a block of its own
 * (the run loop sets restart1 for that, and it goes through).
 */
static bool store_code_page(struct tcg_cpu *cpu, const struct place *p, uint64_t va, unsigned len)
{
    unsigned off = va & PAGE_MASK;

    if (!tb_store_meets(cpu->tcg, p->page, off, len))
        return true;
    if (cpu->in_code && !cpu->restart1
        && tb_covers(cpu->tcg, cpu->mmu->from, p->page, off, len)) {
        cpu->exception = TCG_EXC_RESTART;
        return false;
    }
    tb_invalidate_range(cpu->tcg, p->page, off, len, TCG_DROP_STORE);
    return true;
}

/* ---- devices ---------------------------------------------------------------------- */

/* what vec_restore() is to bring back */
static unsigned loaded(const struct tcg_cpu *cpu)
{
    return cpu->vec_loaded | cpu->x87_loaded << 1 | cpu->zmm_loaded << 2;
}

static uint64_t device_read(struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    const struct tcg *t = cpu->tcg;
    unsigned what = loaded(cpu);

    enum profile_time before = profile_begin(cpu, PT_DEVICE);

    if (what)
        t->host->vec_save(cpu);
    uint64_t v = t->phys.mmio_read(t->phys.opaque, cpu, gpa, size);
    if (what)
        t->host->vec_restore(cpu, what);
    profile_end(cpu, before);
    return v;
}

static void device_write(struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size)
{
    const struct tcg *t = cpu->tcg;
    unsigned what = loaded(cpu);
    enum profile_time before = profile_begin(cpu, PT_DEVICE);

    if (what)
        t->host->vec_save(cpu);
    t->phys.mmio_write(t->phys.opaque, cpu, gpa, v, size);
    if (what)
        t->host->vec_restore(cpu, what);
    profile_end(cpu, before);
}

/*
 * Guest RAM is read and written by several vCPUs: accesses that are aligned are atomic, and
 * ordered as x86 orders them (a load like acquire, a store like release). Those that
 * are not go byte by byte where the host is no x86.
 */
/* no alignment, any other type at the same place */
typedef uint16_t __attribute__((aligned(1), may_alias)) ram16_t;
typedef uint32_t __attribute__((aligned(1), may_alias)) ram32_t;
typedef uint64_t __attribute__((aligned(1), may_alias)) ram64_t;
#if defined(__x86_64__) && !defined(CONFIG_TSAN)
#define PLAIN_IS_ORDERED 1
#else
#define PLAIN_IS_ORDERED 0
#endif

static inline bool whole(const void *p, unsigned n)
{
    return PLAIN_IS_ORDERED || !((uintptr_t)p & (n - 1));
}

#if PLAIN_IS_ORDERED
#define RAM_LOAD(type, p) (*(const volatile type *)(p))
#define RAM_STORE(type, p, v) (*(volatile type *)(p) = (v))
#else
#define RAM_LOAD(type, p) __atomic_load_n((const type *)(p), __ATOMIC_ACQUIRE)
#define RAM_STORE(type, p, v) __atomic_store_n((type *)(p), (v), __ATOMIC_RELEASE)
#endif

static inline void ram_load(uint8_t *d, const uint8_t *s, unsigned n)
{
    uint64_t v;

    switch (whole(s, n) ? n : 0) {
    case 1: v = RAM_LOAD(uint8_t, s); break;
    case 2: v = RAM_LOAD(ram16_t, s); break;
    case 4: v = RAM_LOAD(ram32_t, s); break;
    case 8: v = RAM_LOAD(ram64_t, s); break;
    default:
        for (; PLAIN_IS_ORDERED && n >= 8; n -= 8, d += 8, s += 8)     /* code to be translated */
            *(ram64_t *)d = RAM_LOAD(ram64_t, s);
        for (unsigned i = 0; i < n; i++)
            d[i] = RAM_LOAD(uint8_t, s + i);
        return;
    }
    switch (n) {             /* little endian: the low bytes */
    case 1: *d = (uint8_t)v; break;
    case 2: __builtin_memcpy(d, &v, 2); break;
    case 4: __builtin_memcpy(d, &v, 4); break;
    default: __builtin_memcpy(d, &v, 8);
    }
}

static inline void ram_store(uint8_t *d, const uint8_t *s, unsigned n)
{
    switch (whole(d, n) ? n : 0) {
    case 1: RAM_STORE(uint8_t, d, *s); break;
    case 2: RAM_STORE(ram16_t, d, *(const ram16_t *)s); break;
    case 4: RAM_STORE(ram32_t, d, *(const ram32_t *)s); break;
    case 8: RAM_STORE(ram64_t, d, *(const ram64_t *)s); break;
    default:
        for (unsigned i = 0; i < n; i++)
            RAM_STORE(uint8_t, d + i, s[i]);
    }
}

static inline void copy_small(uint8_t *d, const uint8_t *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ((volatile uint8_t *)d)[i] = s[i];
}

/* Bytes from a resolved place; device reads are made of the widest aligned parts. */
static void place_read(struct tcg_cpu *cpu, const struct place *p, uint8_t *buf, unsigned n)
{
    if (p->host) {
        ram_load(buf, p->host, n);
        return;
    }
    for (unsigned i = 0; i < n;) {
        unsigned part = 8;
        while (part > n - i || ((p->gpa + i) & (part - 1)))
            part >>= 1;
        uint64_t v = device_read(cpu, p->gpa + i, part);
        copy_small(buf + i, (uint8_t *)&v, part);
        i += part;
    }
}

/* What is written to ROM goes to its device: it may be a flash chip. */
static void place_write(struct tcg_cpu *cpu, const struct place *p, const uint8_t *buf, unsigned n)
{
    if (p->host && !p->rom) {
        ram_store(p->host, buf, n);
        return;
    }
    for (unsigned i = 0; i < n;) {
        unsigned part = 8;
        while (part > n - i || ((p->gpa + i) & (part - 1)))
            part >>= 1;
        uint64_t v = 0;
        copy_small((uint8_t *)&v, buf + i, part);
        device_write(cpu, p->gpa + i, v, part);
        i += part;
    }
}

/* ---- access from C ------------------------------------------------------------------ */

static bool resolve_pages(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len,
                          enum tcg_access acc, struct span *s)
{
    unsigned room = PAGE_SIZE - (va & PAGE_MASK);

    s->n[0] = MIN(len, room);
    s->n[1] = len - s->n[0];
    if (!resolve(cpu, view, va, acc, &s->p[0]))
        return false;
    return !s->n[1] || resolve(cpu, view, (va + s->n[0]) & cpu->va_mask, acc, &s->p[1]);
}

/* About to be written: translated code that is hit goes. */
static bool leave_code(struct tcg_cpu *cpu, uint64_t va, struct span *s)
{
    if (s->p[0].has_code && !store_code_page(cpu, &s->p[0], va, s->n[0]))
        return false;
    return !s->n[1] || !s->p[1].has_code || store_code_page(cpu, &s->p[1], va + s->n[0], s->n[1]);
}

static bool resolve_span(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len,
                         enum tcg_access acc, struct span *s)
{
    return resolve_pages(cpu, view, va, len, acc, s) && watch_access(cpu, va, len, acc)
           && (acc != ACC_WRITE || leave_code(cpu, va, s));
}

/* ---- for a trace ---------------------------------------------------------------------- */

enum { MEM_ADDRESS, MEM_HOW, MEM_VALUE, MEM_VALUE_WORDS = 8 };   /* fields of TRACE_MEM */

/* What lies there, as 64-bit words. */
static void load_words(const struct span *s, uint64_t *w)
{
    unsigned len = s->n[0] + s->n[1];

    for (unsigned i = 0; i < (len + 7) / 8; i++)
        w[i] = 0;
    for (unsigned i = 0; i < len; i++) {
        const uint8_t *p = i < s->n[0] ? s->p[0].host + i : s->p[1].host + (i - s->n[0]);

        w[i / 8] |= (uint64_t)RAM_LOAD(uint8_t, p) << 8 * (i % 8);
    }
}

static bool in_memory(const struct span *s, unsigned len)
{
    return s->n[0] + s->n[1] == len && s->p[0].host && (!s->n[1] || s->p[1].host) && len <= 8 * MEM_VALUE_WORDS;
}

void note_stored(struct tcg_cpu *cpu)
{
    struct tcg_stored *st = &cpu->stored;
    struct span s = { .n = { st->n[0], st->n[1] }, .p = { { .host = st->host[0] }, { .host = st->host[1] } } };

    if (st->at)
        load_words(&s, st->at);
    st->at = NULL;
}

/* The access is going to happen. A value that is stored is taken from memory when the next thing is noted. */
static void note_mem(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc, const struct span *s)
{
    uint64_t field[MEM_VALUE + MEM_VALUE_WORDS], *at = cpu->note;
    bool values = cpu->trace_kinds & TRACE_VALUES && in_memory(s, len);

    note_stored(cpu);
    field[MEM_ADDRESS] = va;
    field[MEM_HOW] = len | (acc == ACC_WRITE) << 8;
    if (values)
        load_words(s, field + MEM_VALUE);
    trace_event(cpu, TRACE_MEM, field, MEM_VALUE + (values ? (len + 7) / 8 : 0));
    if (values && acc == ACC_WRITE && cpu->note != at)
        cpu->stored = (struct tcg_stored){ .at = at + 1 + MEM_VALUE, .n = { s->n[0], s->n[1] },
                                           .host = { s->p[0].host, s->n[1] ? s->p[1].host : NULL } };
}

static inline void note_access(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc,
                               const struct span *s)
{
    if (trace_on(cpu, TRACE_MEM))
        note_mem(cpu, va, len, acc, s);
}

/* ---- loads and stores ------------------------------------------------------------------- */

bool tcg_load_view(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned size, uint64_t *v)
{
    struct span s;
    uint8_t buf[8];

    *v = 0;
    if (likely((va & PAGE_MASK) + size <= PAGE_SIZE)) {
        if (!resolve(cpu, view, va, ACC_READ, &s.p[0]) || !watch_access(cpu, va, size, ACC_READ))
            return false;
        s.n[0] = size;
        s.n[1] = 0;
        note_access(cpu, va, size, ACC_READ, &s);
        place_read(cpu, &s.p[0], (uint8_t *)v, size);
        return true;
    }
    if (!resolve_span(cpu, view, va, size, ACC_READ, &s))
        return false;
    note_access(cpu, va, size, ACC_READ, &s);
    place_read(cpu, &s.p[0], buf, s.n[0]);
    place_read(cpu, &s.p[1], buf + s.n[0], s.n[1]);
    copy_small((uint8_t *)v, buf, size);
    return true;
}

bool tcg_store_view(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned size, uint64_t v)
{
    struct span s;

    if (!resolve_span(cpu, view, va, size, ACC_WRITE, &s))
        return false;
    note_access(cpu, va, size, ACC_WRITE, &s);
    place_write(cpu, &s.p[0], (uint8_t *)&v, s.n[0]);
    if (s.n[1])
        place_write(cpu, &s.p[1], (uint8_t *)&v + s.n[0], s.n[1]);
    return true;
}

bool tcg_load(struct tcg_cpu *cpu, uint64_t va, unsigned size, uint64_t *v)
{
    return tcg_load_view(cpu, cpu->mmu->view, va, size, v);
}

bool tcg_store(struct tcg_cpu *cpu, uint64_t va, unsigned size, uint64_t v)
{
    return tcg_store_view(cpu, cpu->mmu->view, va, size, v);
}

bool tcg_load_bytes(struct tcg_cpu *cpu, uint64_t va, void *buf, unsigned len)
{
    struct span s;

    assert(len <= PAGE_SIZE);
    if (!resolve_span(cpu, cpu->mmu->view, va, len, ACC_READ, &s))
        return false;
    note_access(cpu, va, len, ACC_READ, &s);
    place_read(cpu, &s.p[0], buf, s.n[0]);
    if (s.n[1])
        place_read(cpu, &s.p[1], (uint8_t *)buf + s.n[0], s.n[1]);
    return true;
}

bool tcg_store_bytes(struct tcg_cpu *cpu, uint64_t va, const void *buf, unsigned len)
{
    struct span s;

    assert(len <= PAGE_SIZE);
    if (!resolve_span(cpu, cpu->mmu->view, va, len, ACC_WRITE, &s))
        return false;
    note_access(cpu, va, len, ACC_WRITE, &s);
    place_write(cpu, &s.p[0], buf, s.n[0]);
    if (s.n[1])
        place_write(cpu, &s.p[1], (const uint8_t *)buf + s.n[0], s.n[1]);
    return true;
}

/* ---- masked access ------------------------------------------------------------------ */

static struct tcg_mask fold_mask(uint64_t k, unsigned bits, unsigned len, unsigned elem, bool compact)
{
    unsigned n = len / elem;

    k &= bits >= 64 ? ~0ull : (1ull << bits) - 1;
    if (compact) {
        unsigned count = 0;
        for (; k; k &= k - 1)
            count++;
        k = count >= 64 ? ~0ull : (1ull << count) - 1;
    }
    for (unsigned i = n; i < bits; i *= 2)      /* a part that is repeated: each use counts */
        k |= k >> i;
    return (struct tcg_mask){ n >= 64 ? k : k & ((1ull << n) - 1), elem };
}

struct tcg_mask tcg_vec_mask(const struct ir_vec *v, uint64_t k)
{
    return fold_mask(k, v->mask_bits, v->mem_bytes, v->mem_elem, v->compact);
}

static bool selected(struct tcg_mask m, unsigned byte)
{
    return m.bits >> (byte / m.elem) & 1;
}

/* Watchpoints on the selected ones of bytes @from..@to-1. */
static bool watch_masked(struct tcg_cpu *cpu, uint64_t va, unsigned from, unsigned to,
                         struct tcg_mask m, enum tcg_access acc)
{
    for (unsigned i = from; i < to; i++)
        if (selected(m, i) && !debug_access(cpu, (va + i) & cpu->va_mask, 1, acc))
            return false;
    return true;
}

/* The first, or else the last, of bytes @from..@to-1 that @m selects; @to: none is. */
static unsigned find_selected(struct tcg_mask m, unsigned from, unsigned to, bool first)
{
    for (unsigned i = 0; i < to - from; i++) {
        unsigned at = first ? from + i : to - 1 - i;
        if (selected(m, at))
            return at;
    }
    return to;
}

/*
 * Like resolve_span(), but a page counts only when the mask selects a byte of it:
 * s->n[i] stays 0 for one that does not. A fault reports the first such byte; that of a store which
 * has got past another page the last, as silicon does (scalars: the first). What was resolved is
 * moved back to where the operand begins in that page.
 */
static bool resolve_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                           enum tcg_access acc, struct span *s)
{
    unsigned room = MIN(len, PAGE_SIZE - (unsigned)(va & PAGE_MASK));
    unsigned from[3] = { 0, room, len };

    s->n[0] = s->n[1] = 0;
    for (unsigned i = 0; i < 2; i++) {
        unsigned first = find_selected(m, from[i], from[i + 1], true), at = first;

        if (first == from[i + 1])
            continue;
        if (acc == ACC_WRITE && s->n[0] && len > m.elem)
            at = find_selected(m, first, from[i + 1], false);
        if (!resolve(cpu, cpu->mmu->view, (va + at) & cpu->va_mask, acc, &s->p[i]))
            return false;
        if (acc == ACC_WRITE && s->p[i].has_code &&
            !store_code_page(cpu, &s->p[i], (va + first) & cpu->va_mask, from[i + 1] - first))
            return false;
        if (unlikely(cpu->tcg->debug) && !watch_masked(cpu, va, first, from[i + 1], m, acc))
            return false;
        s->n[i] = from[i + 1] - from[i];
        s->p[i].gpa -= at - from[i];
        if (s->p[i].host)
            s->p[i].host -= at - from[i];
    }
    return true;
}

/* Bytes @from..@to-1 of the operand, which lie in one page, run by run of selected ones. */
static void move_masked(struct tcg_cpu *cpu, const struct place *at, uint8_t *buf,
                        unsigned from, unsigned to, struct tcg_mask m, bool write)
{
    for (unsigned a = from, b; a < to; a = b + 1) {
        struct place p = *at;

        for (b = a; b < to && selected(m, b); b++)
            ;
        if (a == b)
            continue;
        p.gpa += a - from;
        if (p.host)
            p.host += a - from;
        if (write)
            place_write(cpu, &p, buf + a, b - a);
        else
            place_read(cpu, &p, buf + a, b - a);
    }
}

static void move_span(struct tcg_cpu *cpu, const struct span *s, uint64_t va, uint8_t *buf,
                      unsigned len, struct tcg_mask m, bool write)
{
    unsigned room = MIN(len, PAGE_SIZE - (unsigned)(va & PAGE_MASK));

    if (s->n[0])
        move_masked(cpu, &s->p[0], buf, 0, room, m, write);
    if (s->n[1])
        move_masked(cpu, &s->p[1], buf, room, len, m, write);
}

static void zero_bytes(uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ((volatile uint8_t *)p)[i] = 0;
}

bool tcg_load_masked(struct tcg_cpu *cpu, uint64_t va, void *buf, unsigned len, struct tcg_mask m)
{
    struct span s;

    zero_bytes(buf, len);
    if (!resolve_masked(cpu, va, len, m, ACC_READ, &s))
        return false;
    note_access(cpu, va, len, ACC_READ, &s);
    move_span(cpu, &s, va, buf, len, m, false);
    return true;
}

bool tcg_store_masked(struct tcg_cpu *cpu, uint64_t va, const void *buf, unsigned len, struct tcg_mask m)
{
    struct span s;

    if (!resolve_masked(cpu, va, len, m, ACC_WRITE, &s))
        return false;
    note_access(cpu, va, len, ACC_WRITE, &s);
    move_span(cpu, &s, va, (uint8_t *)(uintptr_t)buf, len, m, true);
    return true;
}

bool tcg_probe_masked(struct tcg_cpu *cpu, uint64_t va, unsigned len, struct tcg_mask m,
                      enum tcg_access acc)
{
    struct span s;

    return resolve_masked(cpu, va, len, m, acc, &s);
}

bool tcg_probe(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc)
{
    struct span s;

    return resolve_span(cpu, cpu->mmu->view, va, len, acc, &s);
}

uint8_t *tcg_host_page(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc)
{
    struct place p;

    if (!resolve(cpu, cpu->mmu->view, va, acc, &p) || p.has_code
        || (acc == ACC_WRITE && p.rom) || unlikely(debug_page_watched(cpu->tcg, va)))
        return NULL;
    return p.host;
}

uint8_t *tcg_host_rmw(struct tcg_cpu *cpu, uint64_t va, unsigned len)
{
    struct span s;

    if (!resolve_span(cpu, cpu->mmu->view, va, len, ACC_WRITE, &s)
        || !watch_access(cpu, va, len, ACC_READ) || s.n[1] || s.p[0].rom)
        return NULL;
    note_access(cpu, va, len, ACC_READ, &s);
    note_access(cpu, va, len, ACC_WRITE, &s);
    return s.p[0].host;
}

/* From the bytes at hand, which end where fetching is to stop. */
static unsigned fetch_source(struct tcg_cpu *cpu, uint64_t va, uint8_t *buf, unsigned len)
{
    struct tcg_source *s = cpu->source;
    uint64_t at = (va - s->lin) & cpu->va_mask;
    unsigned n = at < s->have ? MIN(len, s->have - (unsigned)at) : 0;

    for (unsigned i = 0; i < n; i++)
        buf[i] = s->buf[at + i];
    s->missed |= n < len;
    return n;
}

/* A block that is being made goes on in @page: say so before it is read, see tcg_may_hold_code(). */
static void fetch_page(struct tcg *t, uint32_t page)
{
    uint32_t making = __atomic_load_n(&t->making, __ATOMIC_RELAXED);

    if (likely(!making || making == page + 1 || t->smp))
        return;
    __atomic_store_n(&t->making, MAKING_ANY, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

unsigned tcg_fetch(struct tcg_cpu *cpu, uint64_t va, uint8_t *buf, unsigned len, bool raise)
{
    unsigned got = 0;

    if (cpu->source)
        return fetch_source(cpu, va, buf, len);

    while (got < len) {
        struct place p;
        uint64_t at = (va + got) & cpu->va_mask;
        unsigned n = MIN(len - got, PAGE_SIZE - (unsigned)(at & PAGE_MASK));
        if (!mmu_resolve(cpu, cpu->mmu->view, at, ACC_EXEC, !(raise && got == 0), &p))
            break;
        fetch_page(cpu->tcg, p.page);
        place_read(cpu, &p, buf + got, n);
        got += n;
    }
    return got;
}

uint64_t tcg_phys_load(struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    const struct tcg *t = cpu->tcg;
    uint8_t *host;
    uint32_t page;
    uint64_t v = 0;
    enum phys_kind k = t->phys.lookup(t->phys.opaque, gpa & ~(gpa_t)PAGE_MASK, &host, &page);

    if (k == PHYS_RAM || k == PHYS_ROM) {
        host += gpa & PAGE_MASK;
        return size == 8 ? __atomic_load_n((uint64_t *)host, __ATOMIC_RELAXED)
                         : __atomic_load_n((uint32_t *)host, __ATOMIC_RELAXED);
    }
    v = device_read(cpu, gpa, size);
    return v;
}

bool tcg_phys_cmpxchg(struct tcg_cpu *cpu, gpa_t gpa, unsigned size, uint64_t old, uint64_t new_)
{
    const struct tcg *t = cpu->tcg;
    uint8_t *host;
    uint32_t page;

    if (t->phys.lookup(t->phys.opaque, gpa & ~(gpa_t)PAGE_MASK, &host, &page) != PHYS_RAM)
        return true;         /* a page table in ROM or a device: bits stay as they are */
    if (unlikely(page >= t->phys.first_noted) && t->phys.note_write)
        t->phys.note_write(t->phys.opaque, page);
    host += gpa & PAGE_MASK;
    if (size == 8)
        return __atomic_compare_exchange_n((uint64_t *)host, &old, new_, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    uint32_t o32 = (uint32_t)old;
    return __atomic_compare_exchange_n((uint32_t *)host, &o32, (uint32_t)new_, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- slow path of translated code --------------------------------------------------- */

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
    uint64_t delta = map_get(cpu->mmu, cpu->mmu->view, want, sl->va);

    sl->delta = delta;
    return delta ? 1 : 2;
}

static unsigned slow_access(struct tcg_cpu *cpu, struct tcg_slow *sl, struct span *s)
{
    struct tcg_mmu *m = cpu->mmu;
    unsigned len = sl->desc & SLOW_SIZE;
    enum tcg_access acc = sl->desc & SLOW_WRITE ? ACC_WRITE : ACC_READ;
    uint64_t va = sl->va;
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
    unsigned what = loaded(cpu);

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
