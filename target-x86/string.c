/*
 * string.c - REP string instructions and INS/OUTS
 *
 * Work is done a page at a time on host addresses where memory is plain RAM, and
 * element by element elsewhere (devices, code pages, page crossings, offset wrap,
 * segment ends, data breakpoints). RCX, RSI and RDI always show whole finished
 * elements, so that a fault or an interrupt restarts exactly.
 *
 * Copies are __builtin_memcpy of variable length: built with -mgeneral-regs-only
 * -minline-all-stringops and the rep_byte strategies, an x86 host uses REP MOVSB and
 * STOSB and touches no vector register (they may hold the guest's).
 *
 * Source: Intel SDM vol. 1, 7.3.9; vol. 2, MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, REP.
 */
#include "target-x86/simd-int.h"

enum {
    BUDGET_BYTES = 64 * 1024,  /* of work in one call: bounds interrupt latency */
    BUDGET_SLOW = 256,         /* elements of work outside plain RAM */
    PAGE_BYTES = 4096,
};

/** struct str - one string instruction in progress */
struct str {
    struct x86_cpu *cpu;
    unsigned kind, size, asize, seg;
    unsigned rep;              /* 0 none, 1 REP/REPE, 2 REPNE */
    uint64_t mask;             /* of offsets */
    int64_t step;              /* +size or -size */
    uint64_t budget;           /* bytes left in this call */
    unsigned slow;             /* slow elements left in this call */
    bool stored_slow;          /* may have hit translated code */
    bool compared, stop;       /* CMPS, SCAS: ca, cb hold the last pair; ended by ZF */
    uint64_t ca, cb;
};

static bool uses_src(const struct str *s)
{
    return s->kind == STR_MOVS || s->kind == STR_LODS || s->kind == STR_CMPS ||
           s->kind == STR_OUTS;
}

static bool uses_dst(const struct str *s)
{
    return s->kind != STR_LODS && s->kind != STR_OUTS;
}

static bool writes_dst(const struct str *s)
{
    return s->kind == STR_MOVS || s->kind == STR_STOS || s->kind == STR_INS;
}

static uint64_t str_reg(const struct str *s, unsigned r)
{
    return GPR(s->cpu, r) & s->mask;
}

/** str_advance() - @n elements are done: step the registers */
static void str_advance(struct str *s, uint64_t n)
{
    struct x86_cpu *cpu = s->cpu;
    uint64_t delta = n * (uint64_t)s->step;

    if (uses_src(s))
        reg_merge(cpu, R_SI, s->asize, GPR(cpu, R_SI) + delta);
    if (uses_dst(s))
        reg_merge(cpu, R_DI, s->asize, GPR(cpu, R_DI) + delta);
    if (s->rep)
        reg_merge(cpu, R_CX, s->asize, GPR(cpu, R_CX) - n);
    s->budget -= MIN(s->budget, n * s->size);
}

/** sub_flags() - F after a - b in @size bytes */
static uint32_t sub_flags(uint64_t a, uint64_t b, unsigned size)
{
    unsigned top = size * 8 - 1;
    uint64_t m = size_mask(size), r;
    uint32_t f = 0;

    a &= m;
    b &= m;
    r = (a - b) & m;
    f |= a < b ? TCG_FL_C : 0;
    f |= __builtin_parity(r & 0xff) ? 0 : TCG_FL_P;
    f |= ((a ^ b ^ r) & 0x10) ? TCG_FL_A : 0;
    f |= r == 0 ? TCG_FL_Z : 0;
    f |= (r >> top) & 1 ? TCG_FL_S : 0;
    f |= (((a ^ b) & (a ^ r)) >> top) & 1 ? TCG_FL_O : 0;
    return f;
}

static uint64_t load_elem(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return ldl16(p);
    case 4: return ldl32(p);
    default: return ldl64(p);
    }
}

static void store_elem(uint8_t *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *p = (uint8_t)v; break;
    case 2: stl16(p, (uint16_t)v); break;
    case 4: stl32(p, (uint32_t)v); break;
    default: stl64(p, v); break;
    }
}

/* ---- inner loops on host memory ------------------------------------------ */

enum { SHORT_BYTES = 128 };       /* REP MOVSB and STOSB take tens of nanoseconds to begin */

/** copy_short() - @n bytes that do not overlap, without REP */
static void copy_short(uint8_t *d, const uint8_t *s, size_t n)
{
    for (; n >= 8; n -= 8, d += 8, s += 8) {
        stl64(d, ldl64(s));
        __asm__ volatile("" ::: "memory");   /* or the compiler makes it memcpy again */
    }
    for (; n; n--) {
        *d++ = *s++;
        __asm__ volatile("" ::: "memory");
    }
}

/** fill_short() - @n bytes of the pattern @v: 8 bytes, repeated */
static void fill_short(uint8_t *d, uint64_t v, size_t n)
{
    for (; n >= 8; n -= 8, d += 8) {
        stl64(d, v);
        __asm__ volatile("" ::: "memory");
    }
    for (; n; n--, v >>= 8) {
        *d++ = (uint8_t)v;
        __asm__ volatile("" ::: "memory");
    }
}

/** copy_up() - ascending element-wise copy with its exact overlap semantics */
static void copy_up(uint8_t *d, const uint8_t *s, size_t n, unsigned size)
{
    size_t dist = (size_t)(d - s), done = 0;

    if (d <= s || dist >= n) {
        if (d < s && (size_t)(s - d) < n) {   /* REP MOVSB ascends; memcpy need not */
            for (; done < n; done += size)
                store_elem(d + done, size, load_elem(s + done, size));
            return;
        }
        if (n <= SHORT_BYTES)
            copy_short(d, s, n);
        else
            __builtin_memcpy(d, s, n);
        return;
    }
    if (dist < size) {            /* an element overwrites part of the next */
        for (; done < n; done += size)
            store_elem(d + done, size, load_elem(s + done, size));
        return;
    }
    /* d[] becomes s[0..dist) repeated: what is written doubles every time */
    while (done < n) {
        size_t k = MIN(dist + done, n - done);

        __builtin_memcpy(d + done, s, k);
        done += k;
    }
}

static void copy_down(uint8_t *d, const uint8_t *s, size_t count, unsigned size)
{
    while (count--) {
        store_elem(d, size, load_elem(s, size));
        d -= size;
        s -= size;
    }
}

/** fill_up() - @n bytes (a multiple of @size, at least @size) with @v repeated */
static void fill_up(uint8_t *d, uint64_t v, size_t n, unsigned size)
{
    if (n <= SHORT_BYTES) {
        fill_short(d, (v & size_mask(size)) * (~0ull / size_mask(size)), n);
        return;
    }
    if (size == 1) {
        __builtin_memset(d, (int)(v & 0xff), n);
        return;
    }
    store_elem(d, size, v);
    copy_up(d + size, d, n - size, size);
}

/** struct span - first element of a run in host memory; NULL: operand not used */
struct span { uint8_t *p; };

/* some element of @v is 0 */
static bool has_zero(uint64_t v, unsigned size)
{
    uint64_t ones = size == 1 ? 0x0101010101010101u : size == 2 ? 0x0001000100010001u
                    : size == 4 ? 0x0000000100000001u : 1;

    return (v - ones) & ~v & (ones << (size * 8 - 1));
}

/** skip_elems() - how many of the first pairs can't end the scan, eight bytes at a
 *  time; always fewer than @n. @a: NULL for SCAS, which compares with @va */
static uint64_t skip_elems(const uint8_t *a, uint64_t va, const uint8_t *b, uint64_t n,
                           unsigned size, bool until_equal)
{
    uint64_t word = va, at = 0, bytes = n * size;

    for (unsigned k = size; k < 8; k *= 2)
        word |= word << (k * 8);
    for (; bytes - at > 8; at += 8) {
        uint64_t diff = (a ? ldl64(a + at) : word) ^ ldl64(b + at);

        if (until_equal ? has_zero(diff, size) : diff != 0)
            break;
    }
    return at / size;
}

/** scan_elems() - compare up to @n pairs; returns how many were done, last
 *  pair in s->ca, s->cb, s->stop when ZF ended it */
static uint64_t scan_elems(struct str *s, const uint8_t *a, const uint8_t *b, uint64_t n)
{
    bool until_equal = s->rep == 2;
    unsigned size = s->size;
    int64_t step = s->step;
    uint64_t va = GPR(s->cpu, R_AX) & size_mask(size), vb = 0, i;

    i = step > 0 ? skip_elems(a, va, b, n, size, until_equal) : 0;
    for (; i < n; i++) {
        if (a)
            va = load_elem(a + (int64_t)i * step, size);
        vb = load_elem(b + (int64_t)i * step, size);
        if ((va == vb) == until_equal) {
            s->stop = true;
            i++;
            break;
        }
    }
    s->ca = va;
    s->cb = vb;
    s->compared = true;
    return i;
}

/** run_fast() - @n elements inside one page each; returns elements done */
static uint64_t run_fast(struct str *s, struct span src, struct span dst, uint64_t n)
{
    unsigned size = s->size;
    uint64_t ax = GPR(s->cpu, R_AX);

    switch (s->kind) {
    case STR_MOVS:
        if (s->step > 0)
            copy_up(dst.p, src.p, n * size, size);
        else
            copy_down(dst.p, src.p, n, size);
        return n;
    case STR_STOS:
        fill_up(s->step > 0 ? dst.p : dst.p - (n - 1) * size, ax, n * size, size);
        return n;
    case STR_LODS:                /* only the last one stays */
        reg_merge(s->cpu, R_AX, size, load_elem(src.p + (int64_t)(n - 1) * s->step, size));
        return n;
    case STR_CMPS:
        return scan_elems(s, src.p, dst.p, n);
    case STR_INS:
        return s->cpu->bus->port_in_string(s->cpu->bus->opaque, (uint16_t)GPR(s->cpu, R_DX), size, dst.p, (unsigned)n);
    default:
        return scan_elems(s, NULL, dst.p, n);
    }
}

/**
 * run_limit() - elements from offset @off on that lie in one page, inside the
 * segment, and do not wrap; 0: take the slow way for the next one
 */
static uint64_t run_limit(const struct str *s, unsigned seg, uint64_t off, bool write)
{
    const struct x86_cpu *cpu = s->cpu;
    const struct x86_seg *sg = &cpu->seg[seg];
    bool flat = seg_is_flat(cpu, seg, write);
    uint64_t lo = flat ? 0 : write ? sg->lo_w : sg->lo;
    uint64_t hi = flat ? s->mask : MIN((uint64_t)(write ? sg->hi_w : sg->hi_r), s->mask);
    unsigned in_page = (unsigned)(off + seg_base_of(cpu, seg)) & (PAGE_BYTES - 1);
    unsigned size = s->size;
    uint64_t n;

    if (off < lo || off > hi || hi - off < size - 1 || in_page + size > PAGE_BYTES)
        return 0;
    if (s->step > 0) {
        n = (PAGE_BYTES - in_page) / size - 1;
        return MIN(n, (hi - off - (size - 1)) / size) + 1;
    }
    n = in_page / size;
    return MIN(n, (off - lo) / size) + 1;
}

/* host address of offset @off; NULL: not directly, or a fault was raised */
static uint8_t *run_page(struct str *s, unsigned seg, uint64_t off, enum tcg_access acc)
{
    struct tcg_cpu *tc = &s->cpu->tcg;

    return tcg_host_page(tc, (off + seg_base_of(s->cpu, seg)) & tc->va_mask, acc);
}

/**
 * str_fast() - do a page's worth of elements
 * Returns elements done; 0: not possible here, or a fault was raised. Of INS no more than the
 * device has without anything else happening: an interrupt comes between the right elements.
 */
static uint64_t str_fast(struct str *s, uint64_t count)
{
    struct x86_cpu *cpu = s->cpu;
    uint64_t si = str_reg(s, R_SI), di = str_reg(s, R_DI);
    uint64_t n = MIN(count, MAX(s->budget / s->size, 1));
    struct span src = { NULL }, dst = { NULL };

    if (s->kind == STR_OUTS || (cpu->mode & (MODE_DR | MODE_TF)))
        return 0;
    if (s->kind == STR_INS && (s->step < 0 || !cpu->bus->port_in_string))
        return 0;
    if (uses_src(s))
        n = MIN(n, run_limit(s, s->seg, si, false));
    if (uses_dst(s))
        n = MIN(n, run_limit(s, S_ES, di, writes_dst(s)));
    if (!n)
        return 0;
    if (s->kind == STR_CMPS && !(dst.p = run_page(s, S_ES, di, ACC_READ)))
        return 0;                 /* its fault comes first, as on silicon */
    if (uses_src(s) && !(src.p = run_page(s, s->seg, si, ACC_READ)))
        return 0;
    if (uses_dst(s) && !dst.p && !(dst.p = run_page(s, S_ES, di, writes_dst(s) ? ACC_WRITE : ACC_READ)))
        return 0;
    return run_fast(s, src, dst, n);
}

/* ---- one element, any memory ---------------------------------------------- */

static bool elem_load(struct str *s, unsigned seg, uint64_t off, uint64_t *v)
{
    uint64_t lin;

    if (!seg_to_linear(s->cpu, seg, off, s->size, false, &lin) ||
        !tcg_load(&s->cpu->tcg, lin, s->size, v))
        return false;
    if (s->cpu->mode & MODE_DR)
        h_dr_check(&s->cpu->tcg, lin, s->size, 0);
    return true;
}

static bool elem_store(struct str *s, uint64_t v)
{
    uint64_t lin;

    if (!seg_to_linear(s->cpu, S_ES, str_reg(s, R_DI), s->size, true, &lin) ||
        !tcg_store(&s->cpu->tcg, lin, s->size, v))
        return false;
    if (s->cpu->mode & MODE_DR)
        h_dr_check(&s->cpu->tcg, lin, s->size | 1 << 8, 0);
    s->stored_slow = true;
    return true;
}

/** elem_ins() - the port is read only when its value can be stored: tcg_probe()
 *  reports faults, and restarts for the sake of translated code, beforehand */
static bool elem_ins(struct str *s)
{
    struct tcg_cpu *tc = &s->cpu->tcg;
    const struct x86_bus *bus = s->cpu->bus;
    uint16_t port = (uint16_t)GPR(s->cpu, R_DX);
    uint64_t lin;
    uint8_t *p;

    if (!seg_to_linear(s->cpu, S_ES, str_reg(s, R_DI), s->size, true, &lin))
        return false;
    p = tcg_host_page(tc, lin, ACC_WRITE);
    if (tc->exception)
        return false;
    if (p && (lin & (PAGE_BYTES - 1)) + s->size <= PAGE_BYTES && !(s->cpu->mode & MODE_DR)) {
        store_elem(p, s->size, bus->port_in(bus->opaque, port, s->size));
        return true;
    }
    if (!tcg_probe(tc, lin, s->size, ACC_WRITE))
        return false;
    x86_dr_io(s->cpu, port, s->size);
    return elem_store(s, bus->port_in(bus->opaque, port, s->size));
}

static bool elem_outs(struct str *s)
{
    const struct x86_bus *bus = s->cpu->bus;
    uint64_t v;

    if (!elem_load(s, s->seg, str_reg(s, R_SI), &v))
        return false;
    x86_dr_io(s->cpu, (uint16_t)GPR(s->cpu, R_DX), s->size);
    bus->port_out(bus->opaque, (uint16_t)GPR(s->cpu, R_DX), (uint32_t)v, s->size);
    return true;
}

static bool elem_compare(struct str *s)
{
    uint64_t a = GPR(s->cpu, R_AX) & size_mask(s->size), b;

    if (!elem_load(s, S_ES, str_reg(s, R_DI), &b))    /* first, as on silicon */
        return false;
    if (s->kind == STR_CMPS && !elem_load(s, s->seg, str_reg(s, R_SI), &a))
        return false;
    s->ca = a;
    s->cb = b;
    s->compared = true;
    s->stop = (a == b) == (s->rep == 2);
    return true;
}

/** str_element() - one element the slow way; false: a fault was raised and
 *  nothing has changed */
static bool str_element(struct str *s)
{
    uint64_t v;

    switch (s->kind) {
    case STR_MOVS:
        return elem_load(s, s->seg, str_reg(s, R_SI), &v) && elem_store(s, v);
    case STR_STOS:
        return elem_store(s, GPR(s->cpu, R_AX));
    case STR_LODS:
        if (!elem_load(s, s->seg, str_reg(s, R_SI), &v))
            return false;
        reg_merge(s->cpu, R_AX, s->size, v);
        return true;
    case STR_INS:
        return elem_ins(s);
    case STR_OUTS:
        return elem_outs(s);
    default:
        return elem_compare(s);
    }
}

/* ---- the instructions -------------------------------------------------------- */

static void str_init(struct str *s, struct x86_cpu *cpu, uint64_t a, unsigned rep)
{
    s->cpu = cpu;                 /* one by one: to clear it all would be a REP STOS */
    s->kind = a & 0xff;
    s->size = (a >> 8) & 0xf;
    s->asize = (a >> 16) & 0xf;
    s->seg = (a >> 24) & 7;
    s->rep = rep;
    if ((s->kind == STR_INS || s->kind == STR_OUTS) && s->size == 8)
        s->size = 4;              /* REX.W does not widen ports */
    s->mask = size_mask(s->asize);
    s->step = cpu->df < 0 ? -(int64_t)s->size : (int64_t)s->size;
    s->budget = (cpu->mode & MODE_TF) || cpu->tcg.step ? 1 : BUDGET_BYTES;
    s->slow = BUDGET_SLOW;
    s->stored_slow = s->compared = s->stop = false;
    s->ca = s->cb = 0;
}

static bool str_io_denied(struct str *s)
{
    return (s->kind == STR_INS || s->kind == STR_OUTS) &&
           !x86_io_allowed(s->cpu, (uint16_t)GPR(s->cpu, R_DX), s->size);
}

/**
 * h_string1() - one iteration without a REP prefix
 * @a: kind | operand size << 8 | address size << 16 | segment << 24
 *
 * Returns 0. On a fault nothing has changed and the exception is pending.
 */
uint64_t h_string1(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct str s;

    str_init(&s, X86(tc), a, 0);
    if (str_io_denied(&s) || !str_element(&s))
        return 0;
    str_advance(&s, 1);
    if (s.compared)
        tc->fl = sub_flags(s.ca, s.cb, s.size);
    return 0;
}

/* As on silicon (the manuals are silent): with 32-bit addresses RCX loses its upper half
 * whatever comes, also when it is 0 and when the first element faults; MOVS's and STOS's
 * pointers likewise, those of the others only when they advance. */
static void str_narrow(struct str *s)
{
    struct x86_cpu *cpu = s->cpu;

    GPR(cpu, R_CX) = (uint32_t)GPR(cpu, R_CX);
    if (s->kind == STR_MOVS)
        GPR(cpu, R_SI) = (uint32_t)GPR(cpu, R_SI);
    if (s->kind == STR_MOVS || s->kind == STR_STOS)
        GPR(cpu, R_DI) = (uint32_t)GPR(cpu, R_DI);
}

/**
 * h_rep_string() - a REP string instruction, or a bounded part of it
 * @a: kind | operand size << 8 | address size << 16 | segment << 24
 * @b: 1 REP/REPE, 2 REPNE
 *
 * Returns 0 when finished (or a fault is pending, registers showing whole
 * finished elements) and 1 when the instruction is to be executed again: work
 * remains, an interrupt waits, or a store may have changed translated code.
 */
uint64_t h_rep_string(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct str s;
    uint64_t count, n;

    str_init(&s, X86(tc), a, b == 2 ? 2 : 1);
    if (s.asize == 4)
        str_narrow(&s);
    if (str_reg(&s, R_CX) && str_io_denied(&s))
        return 0;
    while ((count = str_reg(&s, R_CX)) && !s.stop) {
        if (!s.budget || !s.slow)
            break;
        n = str_fast(&s, count);
        if (tc->exception)
            return 0;
        if (!n) {
            if (!str_element(&s))
                return 0;
            n = 1;
            s.slow--;
        }
        str_advance(&s, n);
        if (!__atomic_load_n(&tc->run, __ATOMIC_RELAXED))
            break;
    }
    if (s.compared)
        tc->fl = sub_flags(s.ca, s.cb, s.size);
    if (str_reg(&s, R_CX) && !s.stop)
        return 1;
    return s.stored_slow && !(s.cpu->mode & MODE_TF);   /* TF: the block ends anyway */
}
