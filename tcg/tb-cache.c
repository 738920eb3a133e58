/*
 * tb-cache.c - when translations are taken from the cache file and when they are put there
 *
 * What could not be found is translated as ever; its image is made when the code cache is emptied or the translator
 * ends, then the file is written. Blocks that were dropped meanwhile are kept, too: they were right for their bytes,
 * and another boot will have these again before it changes them.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include "tcg/tb-cache-int.h"

#define BUILD_ID_MAX 64
#define IMAGE_MAX (256 * KiB)

struct tb_cache {
    struct own_file file;
    struct tb_env env;
    struct tb_store *store;
    struct tb_image *work;   /* IMAGE_MAX bytes */
    char note[sizeof(((struct err *)NULL)->msg)];
};

/* Nothing is in translated code, or left out of it, that other runs would not want. */
static bool in_use(const struct tcg *t)
{
    const struct tcg_config *c = &t->cfg;

    return t->tb_cache && t->host && !log_mask && !t->debug && !t->profile && !c->count && !c->note && !c->before_block && !c->bug;
}

const struct tb_image *tb_cache_find(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page)
{
    struct tcg *t = cpu->tcg;
    const struct tcg_source *s = cpu->source;
    const struct tb_image *im;

    t->relocs = in_use(t);
    if (!t->relocs || s->lin != k->lin)
        return NULL;
    im = tb_store_find(t->tb_cache->store, k, s->buf, s->have);
    /* in two pages: of which the second must be there, and another */
    if (!im || im->off + im->len <= PAGE_SIZE || (s->page2 != NO_PAGE && s->page2 != page))
        return im;
    return NULL;
}

void tb_cache_collect(struct tcg *t)
{
    struct tb_cache *c = t->tb_cache;

    for (uint32_t i = 0; t->host && i < t->n_tbs; i++) {
        const struct tb *tb = t->tbs[i];

        if (tb->relocs && tb->source && t->host->pack(t, tb, c->work, IMAGE_MAX))
            tb_store_add(c->store, c->work);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static int describe(struct tcg *t, struct tb_env *env, struct err *e)
{
    uint8_t id[BUILD_ID_MAX];
    size_t n = build_id(id, sizeof(id));
    uint64_t options[] = { t->cfg.optimise, t->cfg.one_insn, t->smp, t->narrow };

    if (!n)
        return err_set(e, -ENOTSUP, "tb-cache: this program was linked without a build ID");
    *env = (struct tb_env){ { 0 } };
    tb_env_add(env, id, n);
    tb_env_add(env, options, sizeof(options));
    tb_env_add(env, t->cfg.tb_cache_env, t->cfg.tb_cache_env_bytes);
    tb_env_add(env, t->target->name, strlen(t->target->name));
    t->host->describe(t, env);
    return 0;
}

int tb_cache_open(struct tcg *t, struct err *e)
{
    struct tb_cache *c;
    struct err why = { "" };
    int ret;

    if (!t->host || !t->host->pack)
        return err_set(e, -ENOTSUP, "tb-cache: only with backend=host");
    c = xzalloc(sizeof(*c));
    c->work = xmalloc(IMAGE_MAX);
    ret = own_file_open(&c->file, t->cfg.tb_cache, &why);
    if (ret == 0)
        ret = describe(t, &c->env, &why);
    if (ret == 0)
        ret = (c->store = tb_store_new(t->cfg.cache_bytes, &why)) ? 0 : -ENOMEM;
    if (ret == 0)
        ret = tb_store_read(c->store, &c->file, &c->env, &why);
    t->tb_cache = c;
    if (ret > 0)
        snprintf(c->note, sizeof(c->note), "%s", why.msg);
    return ret < 0 ? err_set(e, ret, "tb-cache: %s", why.msg) : 0;
}

const char *tcg_cache_note(const struct tcg *t)
{
    return t->tb_cache && *t->tb_cache->note ? t->tb_cache->note : NULL;
}

size_t tcg_cache_kept(const struct tcg *t, size_t *bytes)
{
    *bytes = t->tb_cache ? tb_store_bytes(t->tb_cache->store) : 0;
    return t->tb_cache ? tb_store_count(t->tb_cache->store) : 0;
}

void tb_cache_close(struct tcg *t)
{
    struct tb_cache *c = t->tb_cache;
    struct err e;

    if (!c)
        return;
    if (c->store) {
        tb_cache_collect(t);
        if (tb_store_worth(c->store) && tb_store_write(c->store, &c->file, &c->env, &e))
            fprintf(stderr, "transom: warning: tb-cache: %s\n", e.msg);
    }
    tb_store_free(c->store);
    own_file_close(&c->file);
    free(c->work);
    free(c);
    t->tb_cache = NULL;
}
