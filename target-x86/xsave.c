/*
 * xsave.c - XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS
 *
 * Work on the state in memory. Components: x87, SSE, AVX, opmask, ZMM_Hi256,
 * Hi16_ZMM, PKRU; none is a supervisor's, so IA32_XSS adds nothing. Of the
 * optimisations the init one is done, the modified one (optional) is not.
 *
 * Source: Intel SDM vol. 1, chapter 13.
 */
#include "target-x86/simd-int.h"
#include "target-x86/xsave-int.h"

#define XCOMP_COMPACT BIT(63)

/* ---- layout -------------------------------------------------------------------- */

static const struct { uint16_t bytes, offset; } layout[XC_COUNT] = {
    [2] = { 256, 576 }, [5] = { 64, 1088 }, [6] = { 512, 1152 }, [7] = { 1024, 1664 }, [9] = { 8, 2688 },
};

unsigned xs_bytes(unsigned i)
{
    return i < XC_COUNT ? layout[i].bytes : 0;
}

unsigned xs_offset(unsigned i, uint64_t comp)
{
    unsigned at = XS_HEADER_END;

    if (!comp)
        return layout[i].offset;
    for (unsigned k = 2; k < i; k++)
        if (comp >> k & 1)
            at += layout[k].bytes;
    return at;
}

unsigned xs_end(uint64_t parts, uint64_t comp)
{
    for (unsigned i = XC_COUNT - 1; i >= 2; i--)
        if ((parts >> i & 1) && layout[i].bytes)
            return xs_offset(i, comp) + layout[i].bytes;
    return XS_HEADER_END;
}

/* where component @i (2..7) is kept; *@bytes: how much of it the current mode can name */
static uint8_t *xs_state(struct x86_cpu *cpu, unsigned i, unsigned *bytes)
{
    unsigned n = fx_n_xmm(cpu);

    switch (1 << i) {
    case XC_AVX:
        *bytes = n * 16;
        return cpu->ymmh[0];
    case XC_OPMASK:
        *bytes = 64;
        return (uint8_t *)cpu->z.k;
    case XC_ZMM_HI256:
        *bytes = n * 32;
        return cpu->z.zmmh[0];
    case XC_HI16_ZMM:
        *bytes = n == 16 ? 1024 : 0;
        return cpu->z.hi16[0];
    }
    *bytes = 0;
    return NULL;
}

static bool all_zero(const void *p, size_t n)
{
    const uint8_t *b = p;

    return n == 0 || (b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
}

uint64_t xs_in_use(const struct x86_cpu *cpu)
{
    const struct x86_fxarea *fx = &cpu->fx;
    uint64_t m = 0;

    if (fx->fcw != FCW_INIT || fx->fsw || fx->ftw || fx->fop || fx->fip || fx->fdp ||
        !all_zero(fx->st, sizeof(fx->st)))
        m |= XC_X87;
    if (!all_zero(fx->xmm, sizeof(fx->xmm)))
        m |= XC_SSE;
    if (!all_zero(cpu->ymmh, sizeof(cpu->ymmh)))
        m |= XC_AVX;
    if (!all_zero(cpu->z.k, sizeof(cpu->z.k)))
        m |= XC_OPMASK;
    if (cpu->tcg.zmmh_live && !all_zero(cpu->z.zmmh, sizeof(cpu->z.zmmh)))
        m |= XC_ZMM_HI256;
    if (cpu->tcg.hi16_live && !all_zero(cpu->z.hi16, sizeof(cpu->z.hi16)))
        m |= XC_HI16_ZMM;
    if (cpu->pkru)
        m |= XC_PKRU;
    return m;
}

/** xs_begin() - checks common to the family; returns RFBM, or sets @ok false */
static uint64_t xs_begin(struct x86_cpu *cpu, uint64_t a, bool supervisor, bool *ok)
{
    uint64_t mask = (GPR(cpu, R_DX) << 32) | (uint32_t)GPR(cpu, R_AX);

    *ok = false;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    if (cpu->cr0 & CR0_TS) {
        x86_raise(cpu, EXC_NM);
        return 0;
    }
    if (supervisor && cpu->cpl != 0) {
        x86_raise_err(cpu, EXC_GP, 0);
        return 0;
    }
    *ok = fx_check_aligned(cpu, a, 64);
    return mask & cpu->xcr0;
}

/* ---- the area in guest memory ------------------------------------------------------- */

/**
 * struct xs_area - an XSAVE area, which lies in one page or two
 * @host: host addresses of its bytes there, once @known; NULL: no plain RAM
 */
struct xs_area {
    struct x86_cpu *cpu;
    uint64_t va;
    enum tcg_access acc;
    uint8_t *host[2];
    bool known[2];
};

/** area_host() - host address of the area's byte @at, *@room bytes on to the end of the page; NULL: with
 *  an exception raised it can't be accessed, else not in this way */
static uint8_t *area_host(struct xs_area *m, unsigned at, unsigned *room)
{
    struct tcg_cpu *tc = &m->cpu->tcg;
    unsigned first = 4096 - (m->va & 4095), second = at >= first;

    if (!m->known[second])
        m->host[second] = tcg_host_page(tc, (m->va + (second ? first : 0)) & tc->va_mask, m->acc);
    m->known[second] = true;
    *room = (second ? first + 4096 : first) - at;
    return m->host[second] ? m->host[second] + at - (second ? first : 0) : NULL;
}

static bool area_put(struct xs_area *m, unsigned at, const void *from, unsigned n)
{
    const uint8_t *p = from;
    unsigned room;

    for (; n; at += room, p += room, n -= room) {
        uint8_t *host = area_host(m, at, &room);

        room = MIN(room, n);
        if (host)
            memcpy(host, p, room);
        else if (m->cpu->tcg.exception || !tcg_store_bytes(&m->cpu->tcg, m->va + at, p, room))
            return false;
    }
    return true;
}

static bool area_get(struct xs_area *m, unsigned at, void *to, unsigned n)
{
    uint8_t *p = to;
    unsigned room;

    for (; n; at += room, p += room, n -= room) {
        const uint8_t *host = area_host(m, at, &room);

        room = MIN(room, n);
        if (host)
            memcpy(p, host, room);
        else if (m->cpu->tcg.exception || !tcg_load_bytes(&m->cpu->tcg, m->va + at, p, room))
            return false;
    }
    return true;
}

/* ---- saving ---------------------------------------------------------------------- */

/** xs_store() - write component set @parts to the area @m, already probed
 *  @mxcsr: also MXCSR and its mask; @comp: as xs_offset() */
static bool xs_store(struct xs_area *m, uint64_t parts, bool mxcsr, bool wide, uint64_t comp)
{
    struct x86_cpu *cpu = m->cpu;
    uint8_t img[FX_BYTES];
    uint64_t pkru = cpu->pkru;
    bool ok = true;

    if (parts & XC_X87) {
        fx_pack_x87(cpu, img, wide);
        ok = area_put(m, 0, img, FX_X87_BYTES) && area_put(m, FX_ST, img + FX_ST, 128);
    }
    if (ok && mxcsr) {
        fx_pack_mxcsr(cpu, img);
        ok = area_put(m, FX_MXCSR, img + FX_MXCSR, 8);
    }
    if (ok && (parts & XC_SSE))
        ok = area_put(m, FX_XMM, cpu->fx.xmm, fx_n_xmm(cpu) * 16);
    for (unsigned i = 2; ok && i <= 7; i++) {
        unsigned bytes;
        const uint8_t *p = xs_state(cpu, i, &bytes);
        if ((parts >> i & 1) && bytes)
            ok = area_put(m, xs_offset(i, comp), p, bytes);
    }
    if (ok && (parts & XC_PKRU))
        ok = area_put(m, xs_offset(9, comp), &pkru, 8);
    return ok;
}

/**
 * h_xsave() - XSAVE, XSAVEOPT, XSAVEC, XSAVES
 * @a: linear address, 64-byte aligned
 * @b: operand size | kind << 8 (0 XSAVE, 1 XSAVEOPT, 2 XSAVEC, 3 XSAVES)
 */
uint64_t h_xsave(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned kind = (b >> 8) & 0xff;
    bool compact = kind >= 2, wide = (b & 0xff) == 8, ok;
    uint64_t rfbm = xs_begin(cpu, a, kind == 3, &ok), in_use, parts, hdr[2] = { 0 };
    uint64_t comp = compact ? rfbm | XCOMP_COMPACT : 0;
    struct xs_area m = { .cpu = cpu, .va = a, .acc = ACC_WRITE };

    if (!ok || !tcg_probe(tc, a, xs_end(rfbm, comp), ACC_WRITE))
        return 0;
    x87_latch(cpu);
    in_use = xs_in_use(cpu);
    if (compact && cpu->fx.mxcsr != MXCSR_RESET)
        in_use |= XC_SSE;
    parts = kind == 0 ? rfbm : rfbm & in_use;
    if (compact) {
        hdr[1] = comp;
    } else {
        if (!tcg_load(tc, a + XS_BV, 8, &hdr[0]))
            return 0;
        hdr[0] &= ~rfbm;
    }
    hdr[0] |= rfbm & in_use;
    return xs_store(&m, parts, compact ? parts & XC_SSE : rfbm & (XC_SSE | XC_AVX), wide, comp) &&
           area_put(&m, XS_BV, hdr, compact ? 16 : 8);
}

/* ---- restoring --------------------------------------------------------------------- */

/** xs_header_ok() - the checks that make XRSTOR raise #GP(0) */
static bool xs_header_ok(const struct x86_cpu *cpu, const uint8_t *hdr, bool must_compact)
{
    uint64_t bv = ldl64(hdr), comp = ldl64(hdr + 8), known = cpu->xcr0;

    if (comp & XCOMP_COMPACT)
        return !(comp & ~(known | XCOMP_COMPACT)) && !(bv & ~comp) && all_zero(hdr + 16, 48);
    return !must_compact && !(bv & ~known) && all_zero(hdr + 8, 16);
}

/** xs_fetch() - components @load above SSE from the area @m to their places in an
 *  area that is not compacted; false: a fault is raised */
static bool xs_fetch(struct xs_area *m, uint8_t *img, uint64_t load, uint64_t comp)
{
    for (unsigned i = 2; i < XC_COUNT; i++)
        if ((load >> i & 1) && xs_bytes(i) &&
            !area_get(m, xs_offset(i, comp), img + xs_offset(i, 0), xs_bytes(i)))
            return false;
    return true;
}

/** xs_load() - load components @load from the image, initialise those in @init */
static void xs_load(struct x86_cpu *cpu, const uint8_t *img, uint64_t load, uint64_t init,
                    bool wide)
{
    unsigned bytes = fx_n_xmm(cpu) * 16;

    if (load & XC_X87) {
        fx_unpack_x87(cpu, img, wide);
    } else if (init & XC_X87) {
        fpu_init_state(cpu);
        memset(cpu->fx.st, 0, sizeof(cpu->fx.st));
    }
    if (load & XC_SSE)
        memcpy(cpu->fx.xmm, img + FX_XMM, bytes);
    else if (init & XC_SSE)
        memset(cpu->fx.xmm, 0, bytes);
    for (unsigned i = 2; i <= 7; i++) {
        uint8_t *p = xs_state(cpu, i, &bytes);
        if (bytes && (load >> i & 1))
            memcpy(p, img + xs_offset(i, 0), bytes);
        else if (bytes && (init >> i & 1))
            memset(p, 0, bytes);
    }
    if (load & XC_ZMM_HI256)
        cpu->tcg.zmmh_live = 1;
    if (load & XC_HI16_ZMM)
        cpu->tcg.hi16_live = 1;
    if ((init & XC_ZMM_HI256) && in_code64(cpu))
        cpu->tcg.zmmh_live = 0;
    if ((init & XC_HI16_ZMM) && in_code64(cpu))
        cpu->tcg.hi16_live = 0;
}

/**
 * h_xrstor() - XRSTOR, XRSTORS
 * @a: linear address, 64-byte aligned; @b: operand size | kind << 8 (0, 3)
 * #GP(0) for a malformed header or MXCSR; nothing has changed then.
 */
uint64_t h_xrstor(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool super = ((b >> 8) & 0xff) == 3, compact, loads_mxcsr, ok;
    uint64_t rfbm = xs_begin(cpu, a, super, &ok), bv, load, comp;
    struct xs_area m = { .cpu = cpu, .va = a, .acc = ACC_READ };
    uint8_t img[XS_MAX_BYTES];

    if (!ok || !area_get(&m, 0, img, XS_HEADER_END))
        return 0;
    bv = ldl64(img + XS_BV);
    comp = ldl64(img + XS_COMP_BV);
    compact = comp & XCOMP_COMPACT;
    load = rfbm & bv;
    loads_mxcsr = compact ? load & XC_SSE : rfbm & (XC_SSE | XC_AVX);
    if (!xs_header_ok(cpu, img + XS_BV, super) ||
        (loads_mxcsr && (ldl32(img + FX_MXCSR) & ~MXCSR_VALID))) {
        x86_raise_err(cpu, EXC_GP, 0);
        return 0;
    }
    if (!xs_fetch(&m, img, load, compact ? comp : 0))
        return 0;
    if (loads_mxcsr)
        cpu->fx.mxcsr = ldl32(img + FX_MXCSR);
    else if (compact && (rfbm & XC_SSE))
        cpu->fx.mxcsr = MXCSR_RESET;
    xs_load(cpu, img, load, rfbm & ~bv, (b & 0xff) == 8);
    if (rfbm & XC_PKRU)
        x86_set_pkru(cpu, load & XC_PKRU ? ldl32(img + xs_offset(9, 0)) : 0);
    return x86_x87_mode(cpu);
}

/* ---- the whole of it, for a vCPU that stands still --------------------------------------- */

void x86_xsave_get(const struct x86_cpu *cpu, uint8_t *img)
{
    memset(img, 0, XS_MAX_BYTES);
    fx_pack_x87(cpu, img, true);
    fx_pack_mxcsr(cpu, img);
    memcpy(img + FX_XMM, cpu->fx.xmm, sizeof(cpu->fx.xmm));
    memcpy(img + xs_offset(2, 0), cpu->ymmh, sizeof(cpu->ymmh));
    memcpy(img + xs_offset(5, 0), cpu->z.k, sizeof(cpu->z.k));
    if (cpu->tcg.zmmh_live)
        memcpy(img + xs_offset(6, 0), cpu->z.zmmh, sizeof(cpu->z.zmmh));
    if (cpu->tcg.hi16_live)
        memcpy(img + xs_offset(7, 0), cpu->z.hi16, sizeof(cpu->z.hi16));
    stl32(img + xs_offset(9, 0), cpu->pkru);
    stl64(img + XS_BV, xs_in_use(cpu) | XC_X87 | XC_SSE);
}

/* Component @i of @img into @to, or its initial state, which is zeros. */
static bool component_put(const uint8_t *img, unsigned i, void *to, size_t bytes)
{
    bool there = ldl64(img + XS_BV) >> i & 1;

    if (there)
        memcpy(to, img + xs_offset(i, 0), bytes);
    else
        memset(to, 0, bytes);
    return there;
}

void x86_xsave_put(struct x86_cpu *cpu, const uint8_t *img)
{
    uint64_t bv = ldl64(img + XS_BV);
    uint8_t pkru[4];

    if (bv & XC_X87) {
        memcpy(&cpu->fx, img, FX_X87_BYTES);
        memcpy(cpu->fx.st, img + FX_ST, sizeof(cpu->fx.st));
    } else {
        fpu_init_state(cpu);
        memset(cpu->fx.st, 0, sizeof(cpu->fx.st));
    }
    cpu->fx.mxcsr = ldl32(img + FX_MXCSR) & MXCSR_VALID;
    if (bv & XC_SSE)
        memcpy(cpu->fx.xmm, img + FX_XMM, sizeof(cpu->fx.xmm));
    else
        memset(cpu->fx.xmm, 0, sizeof(cpu->fx.xmm));
    component_put(img, 2, cpu->ymmh, sizeof(cpu->ymmh));
    component_put(img, 5, cpu->z.k, sizeof(cpu->z.k));
    cpu->tcg.zmmh_live = component_put(img, 6, cpu->z.zmmh, sizeof(cpu->z.zmmh));
    cpu->tcg.hi16_live = component_put(img, 7, cpu->z.hi16, sizeof(cpu->z.hi16));
    component_put(img, 9, pkru, sizeof(pkru));
    cpu->x87_last.op = 0;
    x86_x87_mode(cpu);
    x86_set_pkru(cpu, ldl32(pkru));
}
