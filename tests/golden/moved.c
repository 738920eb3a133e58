/*
 * moved.c - would a block's image (tcg/tb-cache-int.h) be the block anywhere else? Each is compiled again at another
 * place and compared with its image put there: a relocation that an emitter forgot is a difference.
 */
#include <stdlib.h>
#include "tests/golden/golden.h"
#include "tcg/tb-cache-int.h"

#define IMAGE_BYTES (128 * KiB)
#define OTHER_PAGE2 3u
/* How far the other place is off, for main line, cold part, and block; the first two change their distance. */
enum { MAIN_BY = 0x1230, COLD_BY = 0x4564, ARENA_BY = 0x780 };

struct moved {
    struct tcg *t;
    struct tb_image *im, *again, *wrong;
    struct moved_count n;
};

/* A block as it is in the code cache. */
struct copy {
    struct tb tb;
    struct tb_link link[TB_LINKS];
    struct tb_site *sites;
    uint8_t *code;           /* both parts */
};

struct moved *moved_new(struct tcg *t)
{
    struct moved *m = xzalloc(sizeof(*m));

    m->t = t;
    m->im = xmalloc(IMAGE_BYTES);
    m->again = xmalloc(IMAGE_BYTES);
    m->wrong = xmalloc(IMAGE_BYTES);
    return m;
}

struct moved_count moved_free(struct moved *m)
{
    struct moved_count n = m->n;

    free(m->im);
    free(m->again);
    free(m->wrong);
    free(m);
    return n;
}

/* ---- the other place ------------------------------------------------------------------- */

static struct tb *other_tb(struct moved *m, const struct tb *tb)
{
    size_t bytes = sizeof(*tb) + tb->n_links * sizeof(tb->link[0]);
    struct tb *to;

    m->t->arena_used = align_up(m->t->arena_used + ARENA_BY, TB_ALIGN);
    to = tcg_arena(m->t, bytes);
    memcpy(to, tb, sizeof(*tb));
    memset(to->link, 0, tb->n_links * sizeof(tb->link[0]));
    to->page2 = tb->page2 == NO_PAGE ? NO_PAGE : OTHER_PAGE2;
    to->relocs = NULL;
    to->f_spoils = to->loop_off = 0;
    return to;
}

static void copy_of(const struct tb *tb, struct copy *c)
{
    c->tb = *tb;
    memcpy(c->link, tb->link, tb->n_links * sizeof(tb->link[0]));
    c->sites = xmalloc(tb->n_sites * sizeof(*tb->sites) + 1);
    memcpy(c->sites, tb->sites, tb->n_sites * sizeof(*tb->sites));
    c->code = xmalloc(tb->code_len + tb->cold_len);
    memcpy(c->code, tb->code, tb->code_len);
    memcpy(c->code + tb->code_len, tb->cold, tb->cold_len);
}

static void copy_free(struct copy *c)
{
    free(c->sites);
    free(c->code);
}

static bool same_links(const struct copy *a, const struct copy *b)
{
    for (unsigned i = 0; i < a->tb.n_links; i++) {
        const struct tb_link *x = &a->link[i], *y = &b->link[i];

        if (x->jmp_off != y->jmp_off || x->guard_off != y->guard_off || x->stub_off != y->stub_off
            || x->owed != y->owed || x->f_from != y->f_from || x->alone != y->alone)
            return false;
    }
    return true;
}

static bool same_copy(const struct copy *a, const struct copy *b)
{
    const struct tb *x = &a->tb, *y = &b->tb;

    return x->code == y->code && x->code_len == y->code_len && x->cold == y->cold && x->cold_len == y->cold_len
           && x->f_spoils == y->f_spoils && x->loop_off == y->loop_off && x->n_sites == y->n_sites
           && !memcmp(a->code, b->code, x->code_len + x->cold_len)
           && !memcmp(a->sites, b->sites, x->n_sites * sizeof(*a->sites)) && same_links(a, b);
}

/* @tb at the other place, from @im or, when that is NULL, compiled from t->work; afterwards nothing is there. */
static bool elsewhere(struct moved *m, const struct tb *tb, const struct tb_image *im, struct copy *to)
{
    struct code_cache *c = &m->t->cache;
    size_t used = c->used, cold_used = c->cold_used, arena = m->t->arena_used;
    struct tb *other = other_tb(m, tb);
    bool ok;

    c->used += MAIN_BY & ~15;
    c->cold_used = align_up(c->cold_used + COLD_BY, TB_COLD_ALIGN) + (uintptr_t)tb->cold % TB_COLD_ALIGN;
    ok = im ? m->t->host->unpack(m->t, other, im) : m->t->host->compile(m->t, other, m->t->work);
    if (ok) {
        copy_of(other, to);
        memset(cache_rw(c, other->code), 0xcc, other->code_len);
        memset(cache_rw(c, other->cold), 0xcc, other->cold_len);
    }
    c->used = used;
    c->cold_used = cold_used;
    m->t->arena_used = arena;
    return ok;
}

/* ---- what is checked ---------------------------------------------------------------------- */

/* With one relocation of a kind left out: is that seen? The one before it is done twice. */
static void without_one(struct moved *m, const struct tb *tb, const struct copy *is)
{
    unsigned at = 0;
    struct tb_image_parts p;
    struct copy c;

    for (unsigned kind = 0; kind < TR_KINDS; at += m->im->n_relocs[kind++]) {
        if (m->im->n_relocs[kind] < 2)
            continue;
        memcpy(m->wrong, m->im, m->im->bytes);
        tb_image_parts(m->wrong, &p);
        p.relocs[at + 1] = p.relocs[at];
        if (!elsewhere(m, tb, m->wrong, &c))
            continue;
        m->n.left_out[kind]++;
        m->n.unseen += same_copy(is, &c);
        copy_free(&c);
    }
}

/* A block that is chained has the image it had before. */
static bool same_when_chained(struct moved *m, struct tb *tb)
{
    bool same;

    for (unsigned i = 0; i < tb->n_links; i++)
        m->t->host->set_link(m->t, tb, i, tb);
    same = m->t->host->pack(m->t, tb, m->again, IMAGE_BYTES) == m->im->bytes && !memcmp(m->im, m->again, m->im->bytes);
    for (unsigned i = 0; i < tb->n_links; i++)
        m->t->host->set_link(m->t, tb, i, NULL);
    return same;
}

static const char *check(struct moved *m, struct tb *tb)
{
    const char *why = NULL;
    struct copy is, moved;

    if (!m->t->host->pack(m->t, tb, m->im, IMAGE_BYTES))
        return "has no image: an address in it that no relocation is for?";
    if (!same_when_chained(m, tb))
        return "has another image when it is chained";
    if (!elsewhere(m, tb, NULL, &is))
        return "cannot be compiled again";
    if (!elsewhere(m, tb, m->im, &moved)) {
        copy_free(&is);
        return "cannot be put elsewhere";
    }
    if (!same_copy(&is, &moved))
        why = "is not the same when its image is put elsewhere: a relocation forgotten?";
    without_one(m, tb, &is);
    copy_free(&is);
    copy_free(&moved);
    return why;
}

void moved_check(struct moved *m, struct tb *tb, const uint8_t *code, const char *name)
{
    const char *why;

    if (tb->once)
        return;
    tb->source = code;
    why = tb->relocs ? check(m, tb) : "has no relocations";
    m->n.blocks++;
    m->n.two_pages += tb->page2 != NO_PAGE;
    if (!why)
        return;
    printf("golden: %s: the block at +%#x %s\n", name, tb->off, why);
    m->n.wrong++;
}
