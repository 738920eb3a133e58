/*
 * opts.c - key=value options of a medium
 */
#include "block/block-int.h"

void block_opts_init(struct block_opts *o)
{
    memset(o, 0, sizeof(*o));
    o->werror = BLOCK_ERR_ENOSPC;
    o->rerror = BLOCK_ERR_REPORT;
}

void block_opts_free(struct block_opts *o)
{
    free(o->file);
    free(o->format);
    free(o->backing);
    free(o->backing_format);
    o->file = o->format = o->backing = o->backing_format = NULL;
}

void block_opts_copy(struct block_opts *d, const struct block_opts *s)
{
    *d = *s;
    d->file = s->file ? xstrdup(s->file) : NULL;
    d->format = s->format ? xstrdup(s->format) : NULL;
    d->backing = s->backing ? xstrdup(s->backing) : NULL;
    d->backing_format = s->backing_format ? xstrdup(s->backing_format) : NULL;
}

static int bad(struct err *e, const char *key, const char *val, const char *want)
{
    return err_set(e, -EINVAL, "'%s' is no value for '%s' (%s)", val, key, want);
}

static int set_bool(bool *b, const char *key, const char *val, struct err *e)
{
    if (!strcmp(val, "on") || !strcmp(val, "true") || !strcmp(val, "yes"))
        *b = true;
    else if (!strcmp(val, "off") || !strcmp(val, "false") || !strcmp(val, "no"))
        *b = false;
    else
        return bad(e, key, val, "on, off");
    return 0;
}

/* position of @val in the NULL-terminated @words, or -EINVAL */
static int set_word(int *out, const char *const *words, const char *key, const char *val, struct err *e)
{
    char all[120] = "";

    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], val)) {
            *out = i;
            return 0;
        }
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", words[i]);
    }
    return bad(e, key, val, all);
}

static const char *const cache_words[] = { "writeback", "none", "writethrough", "directsync", "unsafe", NULL };
static const char *const aio_words[] = { "threads", "native", "io_uring", NULL };
static const char *const dz_words[] = { "off", "on", "unmap", NULL };
static const char *const onerr_words[] = { "report", "ignore", "stop", "enospc", NULL };

static int set_string(char **s, const char *val)
{
    free(*s);
    *s = xstrdup(val);
    return 0;
}

static int set_format(struct block_opts *o, const char *val, struct err *e)
{
    const char *names[16];
    unsigned n = MIN(block_n_drivers, ARRAY_SIZE(names));

    if (!strcmp(val, "file") || !strcmp(val, "host_device"))
        return 0; /* the protocol's driver= in a flattened -blockdev */
    if (!block_find_driver(val)) {
        for (unsigned i = 0; i < n; i++)
            names[i] = block_drivers[i]->name;
        const char *near = nearest_word(val, names, n);
        return err_set(e, -EINVAL, "Unknown driver '%s'%s%s%s", val, near ? "; did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    }
    return set_string(&o->format, val);
}

static int set_cache_flag(struct block_opts *o, const char *key, const char *val, struct err *e)
{
    bool on;
    int r = set_bool(&on, key, val, e);

    if (r)
        return r;
    if (!strcmp(key, "cache.direct")) {
        if (on && o->cache == BLOCK_CACHE_WRITEBACK)
            o->cache = BLOCK_CACHE_NONE;
    } else if (on) {
        o->cache = BLOCK_CACHE_UNSAFE;
    }
    return 0;
}

static int set_size(uint64_t *v, const char *key, const char *val, struct err *e)
{
    return parse_size(val, 1, v) || *v > BLOCK_MAX_BYTES ? bad(e, key, val, "a size in bytes") : 0;
}

int block_opts_set(struct block_opts *o, const char *key, const char *val, struct err *e)
{
    int r, w = 0;

    if (!strncmp(key, "file.", 5))
        key += 5;
    if (!strcmp(key, "file") || !strcmp(key, "filename"))
        return set_string(&o->file, val);
    if (!strcmp(key, "format") || !strcmp(key, "driver"))
        return set_format(o, val, e);
    if (!strcmp(key, "backing")) {
        o->no_backing = !*val || !strcmp(val, "null");
        return o->no_backing ? 0 : set_string(&o->backing, val);
    }
    if (!strcmp(key, "cache")) {
        if (!(r = set_word(&w, cache_words, key, val, e)))
            o->cache = (enum block_cache)w;
        return r;
    }
    if (!strcmp(key, "cache.direct") || !strcmp(key, "cache.no-flush"))
        return set_cache_flag(o, key, val, e);
    if (!strcmp(key, "aio")) {
        if (!(r = set_word(&w, aio_words, key, val, e))) {
            o->aio = (enum block_aio)w;
            o->aio_set = true;
        }
        return r;
    }
    if (!strcmp(key, "discard")) {
        if (strcmp(val, "unmap") && strcmp(val, "on") && strcmp(val, "ignore") && strcmp(val, "off"))
            return bad(e, key, val, "unmap, ignore");
        o->discard = !strcmp(val, "unmap") || !strcmp(val, "on");
        return 0;
    }
    if (!strcmp(key, "detect-zeroes")) {
        if (!(r = set_word(&w, dz_words, key, val, e)))
            o->detect_zeroes = (enum block_detect_zeroes)w;
        return r;
    }
    if (!strcmp(key, "werror") || !strcmp(key, "rerror")) {
        if (!(r = set_word(&w, onerr_words, key, val, e)))
            *(*key == 'w' ? &o->werror : &o->rerror) = (enum block_onerr)w;
        return r;
    }
    if (!strcmp(key, "readonly") || !strcmp(key, "read-only"))
        return set_bool(&o->readonly, key, val, e);
    if (!strcmp(key, "auto-read-only"))
        return set_bool(&o->auto_readonly, key, val, e);
    if (!strcmp(key, "snapshot"))
        return set_bool(&o->snapshot, key, val, e);
    if (!strcmp(key, "force-share"))
        return set_bool(&o->force_share, key, val, e);
    if (!strcmp(key, "locking")) {
        if (strcmp(val, "on") && strcmp(val, "off") && strcmp(val, "auto"))
            return bad(e, key, val, "on, off, auto");
        o->no_lock = !strcmp(val, "off");
        return 0;
    }
    if (!strcmp(key, "offset"))
        return set_size(&o->offset, key, val, e);
    if (!strcmp(key, "size"))
        return set_size(&o->size, key, val, e);
    return -ENOENT;
}
