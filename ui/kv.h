/*
 * kv.h - option arguments as lists of key and value
 */
#ifndef UI_KV_H
#define UI_KV_H

#include "util/util.h"

struct kv {
    char *key;               /* "" for a value without key */
    char *val;
};

struct kv_list {
    struct kv *item;
    size_t n;
};

/**
 * kv_parse() - "a=b,c=d" (",," is a comma in a value) or a JSON object
 * @l: filled in; nested objects become "outer.inner", arrays "outer.0" and so on; for
 *   kv_free(), also after an error
 * Returns 0, or -EINVAL with @e saying where JSON went wrong.
 */
int kv_parse(struct kv_list *l, const char *text, struct err *e) MUST_CHECK;
/** kv_add() - append; copies */
void kv_add(struct kv_list *l, const char *key, const char *val);
/** kv_get() - value of the last @key, or NULL */
const char *kv_get(const struct kv_list *l, const char *key);
/** kv_driver() - what the list is about: a first value without key, or that of "driver"; NULL: neither */
const char *kv_driver(const struct kv_list *l);
/** kv_del() - remove all of @key; their strings go */
void kv_del(struct kv_list *l, const char *key);
/** kv_free() - everything in @l, which is empty then */
void kv_free(struct kv_list *l);

/* ---- what is wrong with them ---- */

/** opt_err_near() - err_set() with the nearest of @words appended as a suggestion */
int opt_err_near(struct err *e, const char *word, const char *const *words, size_t n,
                 const char *dash, const char *fmt, ...) PRINTF(6, 7);

/** opt_only_keys() - whether all of @l, whose first may be a bare word, have one of @n @keys; 0 or -EINVAL with
 *  @e set, which begins with @opt ("-device ", or "") and @val */
int opt_only_keys(const struct kv_list *l, const char *const *keys, size_t n, const char *opt, const char *val,
                  struct err *e) MUST_CHECK;

#endif
