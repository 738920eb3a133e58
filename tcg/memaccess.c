/*
 * memaccess.c - guest memory access from C
 *
 * Built without vector registers, like softmmu.c: the host's may hold the guest's.
 * Where a device must be reached they are put away first.
 */
#include "tcg/access-int.h"

bool store_code_page(struct tcg_cpu *cpu, const struct place *p, uint64_t va, unsigned len)
{
    unsigned off = va & PAGE_MASK;

    if (!tb_store_meets(cpu->tcg, p->page, off, len))
        return true;
    if (cpu->in_code && !cpu->restart1
        && tb_covers(cpu->tcg, cpu->mmu->from, p->page, off, len)) {
        cpu->exception = TCG_EXC_RESTART;
        cpu->stored_self = 1;
        return false;
    }
    tb_invalidate_range(cpu->tcg, p->page, off, len, TCG_DROP_STORE);
    return true;
}

/* ---- devices ---------------------------------------------------------------------- */

static uint64_t device_read(struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    const struct tcg *t = cpu->tcg;
    unsigned what = vec_in_host(cpu);

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
    unsigned what = vec_in_host(cpu);
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
        for (; PLAIN_IS_ORDERED && n >= 8; n -= 8, d += 8, s += 8)
            RAM_STORE(ram64_t, d, *(const ram64_t *)s);
        for (unsigned i = 0; i < n; i++)
            RAM_STORE(uint8_t, d + i, s[i]);
    }
}

void place_read(struct tcg_cpu *cpu, const struct place *p, uint8_t *buf, unsigned n)
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

void place_write(struct tcg_cpu *cpu, const struct place *p, const uint8_t *buf, unsigned n)
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

bool resolve_span(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len,
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

void note_mem(struct tcg_cpu *cpu, uint64_t va, unsigned len, enum tcg_access acc, const struct span *s)
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

uint8_t *tcg_hit(struct tcg_cpu *cpu, enum tcg_view view, uint64_t va, unsigned len, enum tcg_access acc)
{
    struct place p;

    return (va & PAGE_MASK) + len <= PAGE_SIZE && map_hit(cpu, view, va, acc, &p) ? p.host : NULL;
}

unsigned tcg_vec_put(struct tcg_cpu *cpu)
{
    unsigned what = vec_in_host(cpu);

    if (what)
        cpu->tcg->host->vec_save(cpu);
    return what;
}

void tcg_vec_back(struct tcg_cpu *cpu, unsigned what)
{
    if (what)
        cpu->tcg->host->vec_restore(cpu, what);
}

void tcg_vec_away(struct tcg_cpu *cpu)
{
    if (vec_in_host(cpu))
        cpu->tcg->host->vec_save(cpu);
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

/* Where is the code at @va? Without a walk, when the execution map has the page and the window knows it. */
static bool exec_place(const struct tcg_cpu *cpu, uint64_t va, struct place *p)
{
    const struct phys_window *w = &cpu->mmu->window;
    uint32_t hit = canonical(va) ? mmu_exec_hit(cpu, va) : 0;

    if (!hit || hit - 1 - w->page >= w->len / PAGE_SIZE
        || __atomic_load_n(cpu->tcg->phys.map_changes, __ATOMIC_RELAXED) != w->changes)
        return false;
    *p = (struct place){ .host = w->host + (uint64_t)(hit - 1 - w->page) * PAGE_SIZE + (va & PAGE_MASK), .page = hit - 1 };
    return true;
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
        if (!exec_place(cpu, at, &p) && !mmu_resolve(cpu, cpu->mmu->view, at, ACC_EXEC, !(raise && got == 0), &p))
            break;
        fetch_page(cpu->tcg, p.page);
        place_read(cpu, &p, buf + got, n);
        got += n;
    }
    return got;
}

uint64_t tcg_phys_load(struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    uint8_t *host;
    uint32_t page;
    uint64_t v = 0;
    enum phys_kind k = phys_find(cpu, gpa & ~(gpa_t)PAGE_MASK, &host, &page);

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

    if (phys_find(cpu, gpa & ~(gpa_t)PAGE_MASK, &host, &page) != PHYS_RAM)
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
