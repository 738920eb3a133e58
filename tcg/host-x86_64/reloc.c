/*
 * reloc.c - what in a block's code depends on where it is; images of blocks (tcg/tb-cache-int.h)
 *
 * Emitters note where they put a displacement of 32 bits (jcc32, jmp32, call_to), an address of the program, the
 * block's place or its second page (struct rels). What a displacement leads to is seen when the block is finished.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/tb-cache-int.h"

extern const uint8_t __executable_start[], _end[];   /* the linker's */

/* ---- positions ------------------------------------------------------------------------- */

static inline size_t dist_of(const struct tb *tb) { return (size_t)(tb->cold - tb->code); }

/* An offset from the block's start as a position. */
static inline uint32_t position(const struct tb *tb, uint32_t off)
{
    return off < tb->code_len ? off : (uint32_t)(off - dist_of(tb) + tb->code_len);
}

static inline uint32_t offset(const struct tb *tb, uint32_t position)
{
    return position < tb->code_len ? position : (uint32_t)(position - tb->code_len + dist_of(tb));
}

/* Of what is at @position, in the code cache. */
static inline uint32_t cache_offset(const struct tcg *t, const struct tb *tb, uint32_t position)
{
    return (uint32_t)(tb->code - t->cache.rx) + offset(tb, position);
}

/* ---- when a block has been made ------------------------------------------------------------ */

/* What the displacement at @at, a position, is for; TR_KINDS: for nothing that moves. -1: for something else. */
static int kind_of(const struct tcg *t, const struct tb *tb, uint32_t at)
{
    const uint8_t *hot = cache_rw(&t->cache, tb->code), *cold = cache_rw(&t->cache, tb->cold);
    const uint8_t *p = t->cache.rw + cache_offset(t, tb, at), *target = p + 4 + (int32_t)ldl32(p);

    if (target >= hot && target <= hot + tb->code_len)
        return at < tb->code_len ? TR_KINDS : TR_UP;
    if (target >= cold && target <= cold + tb->cold_len)
        return at < tb->code_len ? TR_DOWN : TR_KINDS;
    return target >= t->cache.rw && target < t->cache.rw + t->thunk_bytes ? TR_THUNK : -1;
}

static bool sort_rels(const struct gen *g, int8_t *kinds, struct tb_relocs *n)
{
    for (unsigned i = 0; i < g->rels.n; i++) {
        const struct rel *r = &g->rels.r[i];
        uint32_t at = position(g->tb, (uint32_t)(r->at - g->start));

        kinds[i] = (int8_t)(r->kind == REL_REL32 ? kind_of(g->t, g->tb, at) : (int)r->kind);
        if (kinds[i] < 0)
            return false;
        if (kinds[i] < TR_KINDS)
            n->n[kinds[i]]++;
    }
    return true;
}

bool rels_keep(struct gen *g)
{
    int8_t kinds[MAX_RELS];
    struct tb_relocs n = { { 0 } }, *to;
    unsigned at = 0;

    if (g->rels.n == MAX_RELS || (size_t)g->tb->code_len + g->tb->cold_len > TB_IMAGE_CODE || !sort_rels(g, kinds, &n))
        return true;         /* it will have no image */
    to = tcg_arena(g->t, sizeof(n) + g->rels.n * sizeof(to->at[0]));
    if (!to)
        return false;
    *to = n;
    for (int kind = 0; kind < TR_KINDS; kind++)
        for (unsigned i = 0; i < g->rels.n; i++)
            if (kinds[i] == kind)
                to->at[at++] = (uint16_t)position(g->tb, (uint32_t)(g->rels.r[i].at - g->start));
    g->tb->relocs = to;
    return true;
}

/* ---- block to image --------------------------------------------------------------------------- */

static void add32(uint8_t *p, uint32_t v) { stl32(p, ldl32(p) + v); }

/* The code as it was before it was chained. */
static void unchain(const struct tb *tb, uint8_t *code)
{
    for (unsigned i = 0; i < tb->n_links; i++) {
        const struct tb_link *l = &tb->link[i];

        if (!l->jmp_off)
            continue;
        stl32(code + position(tb, l->jmp_off), l->stub_off - (l->jmp_off + 4));
        if (l->guard_off)
            stl32(code + position(tb, l->guard_off), 0xffffffff);
    }
}

static inline uint32_t own_place(const struct tcg *t, const struct tb *tb)
{
    return (uint32_t)((const char *)tb - t->arena);
}

/* One place @p at position @pos: from where the block is to an image. False: it is to lead out of the program. */
static bool to_image(const struct tcg *t, const struct tb *tb, enum tb_reloc kind, uint8_t *p, uint32_t pos)
{
    uint32_t gap = (uint32_t)(dist_of(tb) - tb->code_len);
    uint64_t at;

    switch (kind) {
    case TR_DOWN: add32(p, -gap); break;
    case TR_UP: add32(p, gap); break;
    case TR_THUNK: add32(p, cache_offset(t, tb, pos) + 4); break;
    case TR_PROGRAM:
        at = ldl64(p) - (uintptr_t)__executable_start;
        stl64(p, at);
        return at < (uintptr_t)_end - (uintptr_t)__executable_start;
    case TR_PLACE: add32(p, -own_place(t, tb)); break;
    default: stl32(p, 0);    /* TR_PAGE2 */
    }
    return true;
}

/* And back. */
static inline void from_image(const struct tcg *t, const struct tb *tb, enum tb_reloc kind, uint8_t *p, uint32_t pos)
{
    uint32_t gap = (uint32_t)(dist_of(tb) - tb->code_len);

    switch (kind) {
    case TR_DOWN: add32(p, gap); break;
    case TR_UP: add32(p, -gap); break;
    case TR_THUNK: add32(p, -(cache_offset(t, tb, pos) + 4)); break;
    case TR_PROGRAM: stl64(p, ldl64(p) + (uintptr_t)__executable_start); break;
    case TR_PLACE: add32(p, own_place(t, tb)); break;
    default: stl32(p, tb->page2 + 1);
    }
}

static bool all_to_image(const struct tcg *t, const struct tb *tb, uint8_t *code)
{
    const uint16_t *at = tb->relocs->at;

    for (unsigned kind = 0; kind < TR_KINDS; kind++)
        for (unsigned i = 0; i < tb->relocs->n[kind]; i++, at++)
            if (!to_image(t, tb, kind, code + *at, *at))
                return false;
    return true;
}

/* Is there an address left in @code that no relocation is for? Nothing else looks like one. */
static bool has_address(const struct tcg *t, const uint8_t *code, size_t n)
{
    for (size_t i = 0; i + 8 <= n; i++) {
        uint64_t v = ldl64(code + i);

        if (v - (uintptr_t)__executable_start < (uintptr_t)_end - (uintptr_t)__executable_start
            || v - (uintptr_t)t->arena < t->arena_bytes || v - (uintptr_t)t->cache.rx < t->cache.bytes
            || v - (uintptr_t)t->cache.rw < t->cache.bytes)
            return true;
    }
    return false;
}

static void pack_links(const struct tb *tb, struct tb_image_link *to)
{
    for (unsigned i = 0; i < tb->n_links; i++) {
        const struct tb_link *l = &tb->link[i];

        to[i] = (struct tb_image_link){
            .f_from = l->f_from, .owed = l->owed, .alone = l->alone, .jmp = (uint16_t)position(tb, l->jmp_off),
            .guard = (uint16_t)position(tb, l->guard_off), .stub = (uint16_t)position(tb, l->stub_off),
        };
    }
}

static unsigned count(const struct tb_relocs *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < TR_KINDS; i++)
        n += r->n[i];
    return n;
}

size_t x86_pack(struct tcg *t, const struct tb *tb, struct tb_image *im, size_t room)
{
    const struct tb_relocs *r = tb->relocs;
    struct tb_image_parts p;

    *im = (struct tb_image){
        .mode = tb->mode, .off = tb->off, .len = tb->len, .n_insns = tb->n_insns, .flat = tb->flat,
        .n_links = tb->n_links, .pcbase = tb->flat ? 0 : tb->pcbase, .cs_base = tb->flat ? 0 : tb->cs_base,
        .cs_limit = tb->flat ? 0 : tb->cs_limit, .f_spoils = tb->f_spoils, .loop_off = tb->loop_off,
        .n_sites = (uint16_t)tb->n_sites, .code_len = (uint16_t)tb->code_len, .cold_len = (uint16_t)tb->cold_len,
        .cold_mod = (uintptr_t)tb->cold % TB_COLD_ALIGN,
    };
    memcpy(im->n_relocs, r->n, sizeof(r->n));
    im->bytes = (uint32_t)tb_image_parts(im, &p);
    if (im->bytes > room)
        return 0;
    memset(im + 1, 0, im->bytes - sizeof(*im));
    memcpy(p.guest, tb->source, tb->len);
    pack_links(tb, p.links);
    for (unsigned i = 0; i < tb->n_sites; i++)
        p.sites[i] = (struct tb_site){ position(tb, tb->sites[i].op & ~SITE_FPE) | (tb->sites[i].op & SITE_FPE),
                                       position(tb, tb->sites[i].stub) };
    memcpy(p.relocs, r->at, count(r) * sizeof(r->at[0]));
    memcpy(p.code, tb->code, tb->code_len);
    memcpy(p.code + tb->code_len, tb->cold, tb->cold_len);
    unchain(tb, p.code);
    return all_to_image(t, tb, p.code) && !has_address(t, p.code, (size_t)tb->code_len + tb->cold_len)
           ? im->bytes : 0;
}

/* ---- image to block ------------------------------------------------------------------------------ */

static void unpack_links(struct tb *tb, const struct tb_image_link *from)
{
    for (unsigned i = 0; i < tb->n_links; i++) {
        const struct tb_image_link *f = &from[i];

        tb->link[i] = (struct tb_link){
            .f_from = f->f_from, .owed = f->owed, .alone = f->alone, .jmp_off = offset(tb, f->jmp), .guard_off = offset(tb, f->guard),
            .stub_off = offset(tb, f->stub),
        };
    }
}

static bool unpack_sites(struct tcg *t, struct tb *tb, const struct tb_site *from)
{
    struct tb_site *to = tcg_arena(t, tb->n_sites * sizeof(*to) + 1);

    for (unsigned i = 0; to && i < tb->n_sites; i++)
        to[i] = (struct tb_site){ offset(tb, from[i].op & ~SITE_FPE) | (from[i].op & SITE_FPE),
                                  offset(tb, from[i].stub) };
    tb->sites = to;
    return to;
}

bool x86_unpack(struct tcg *t, struct tb *tb, const struct tb_image *im)
{
    struct code_cache *c = &t->cache;
    size_t cold = c->cold_used + ((im->cold_mod - (uintptr_t)(c->rx + c->cold_used)) & (TB_COLD_ALIGN - 1));
    uint8_t *hot_at = c->rw + c->used, *cold_at = c->rw + cold;
    struct tb_image_parts p;
    const uint16_t *at;

    tb_image_parts(im, &p);
    if (c->used + im->code_len + GEN_MARGIN > c->cold || cold + im->cold_len > c->bytes)
        return false;
    tb->code = c->rx + c->used;
    tb->code_len = im->code_len;
    tb->cold = c->rx + cold;
    tb->cold_len = im->cold_len;
    tb->n_sites = im->n_sites;
    tb->f_spoils = im->f_spoils;
    tb->loop_off = im->loop_off;
    memcpy(hot_at, p.code, im->code_len);
    memcpy(cold_at, p.code + im->code_len, im->cold_len);
    at = p.relocs;
    for (unsigned kind = 0; kind < TR_KINDS; kind++)
        for (unsigned i = 0; i < im->n_relocs[kind]; i++, at++)
            from_image(t, tb, kind, *at < im->code_len ? hot_at + *at : cold_at + (*at - im->code_len), *at);
    unpack_links(tb, p.links);
    if (!unpack_sites(t, tb, p.sites))
        return false;
    c->used = align_up(c->used + im->code_len, 16);
    c->cold_used = cold + im->cold_len;
    return true;
}

/* ---- what code depends on --------------------------------------------------------------------- */

void x86_describe(const struct tcg *t, struct tb_env *env)
{
    static const uint32_t leaves[][2] = { { 0, 0 }, { 1, 0 }, { 7, 0 }, { 7, 1 }, { 13, 0 }, { 13, 1 }, { 0x80000001, 0 } };

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        uint32_t r[4] = { 0 };

        if (__get_cpuid_max(leaves[i][0] & 0x80000000, NULL) >= leaves[i][0])
            __cpuid_count(leaves[i][0], leaves[i][1], r[0], r[1], r[2], r[3]);
        if (leaves[i][0] == 1)
            r[1] = 0;        /* says which CPU this is */
        if (leaves[i][0] == 13)
            r[1] = 0;        /* bytes for what is enabled just now */
        tb_env_add(env, r, sizeof(r));
    }
    tb_env_add(env, t->thunk, sizeof(t->thunk));
}
