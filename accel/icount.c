/*
 * icount.c - reading -icount
 *
 * shift, align, sleep are QEMU's; hash, every and stop are ours. Record and replay
 * (rr=, rrfile=, rrsnapshot=) are not there.
 */
#include <stdlib.h>
#include "accel/icount.h"

#define HASH_EVERY 1000000

static int on_off(const char *key, const char *val, bool *out, struct err *e)
{
    if (strcmp(val, "on") && strcmp(val, "yes") && strcmp(val, "off") && strcmp(val, "no"))
        return err_set(e, -EINVAL, "%s=%s: on or off is wanted", key, val);
    *out = val[1] == 'n' || val[0] == 'y';
    return 0;
}

static int number(const char *key, const char *val, uint64_t max, uint64_t *out, struct err *e)
{
    char *end;

    errno = 0;
    *out = strtoull(val, &end, 0);
    if (end == val || *end || errno || *val == '-' || *out > max)
        return err_set(e, -EINVAL, "%s=%s: a number from 0 to %llu is wanted", key, val,
                       (unsigned long long)max);
    return 0;
}

static int set_shift(const char *val, struct icount_options *o, struct err *e)
{
    uint64_t n = 3;
    int ret = 0;

    o->automatic = !strcmp(val, "auto");
    if (!o->automatic)
        ret = number("shift", val, ICOUNT_SHIFT_MAX, &n, e);
    o->shift = (uint8_t)n;
    return ret;
}

static int set_number(const char *key, const char *val, uint64_t *out, struct err *e)
{
    int ret = number(key, val, UINT64_MAX >> 1, out, e);

    if (ret == 0 && !*out)
        ret = err_set(e, -EINVAL, "%s=0: at least 1 is wanted", key);
    return ret;
}

static int set_hash(const char *val, struct icount_options *o, struct err *e)
{
    if (!*val)
        return err_set(e, -EINVAL, "hash=: a file name is wanted");
    free(o->hash_file);
    o->hash_file = xstrdup(val);
    return 0;
}

static int set_one(const char *key, const char *val, struct icount_options *o, struct err *e)
{
    static const char *const keys[] = { "shift", "align", "sleep", "hash", "every", "stop" };
    const char *near;

    if (!strcmp(key, "shift"))
        return set_shift(val, o, e);
    if (!strcmp(key, "align"))
        return on_off(key, val, &o->align, e);
    if (!strcmp(key, "sleep"))
        return on_off(key, val, &o->sleep, e);
    if (!strcmp(key, "hash"))
        return set_hash(val, o, e);
    if (!strcmp(key, "every"))
        return set_number(key, val, &o->hash_every, e);
    if (!strcmp(key, "stop"))
        return set_number(key, val, &o->stop_at, e);
    if (!strncmp(key, "rr", 2))
        return err_set(e, -ENOTSUP, "%s: record and replay are not supported yet", key);
    near = nearest_word(key, keys, ARRAY_SIZE(keys));
    return err_set(e, -EINVAL, "unknown property '%s'%s%s%s", key, near ? " (did you mean " : "",
                   near ? near : "", near ? "?)" : "");
}

static int check(const struct icount_options *o, struct err *e)
{
    if (o->automatic && o->align)
        return err_set(e, -EINVAL, "shift=auto and align=on exclude each other");
    if (o->automatic && !o->sleep)
        return err_set(e, -EINVAL, "shift=auto and sleep=off exclude each other");
    if (o->align && !o->sleep)
        return err_set(e, -EINVAL, "align=on and sleep=off exclude each other");
    if (o->automatic && o->hash_file)
        return err_set(e, -EINVAL, "shift=auto makes no two runs alike: nothing to hash");
    return 0;
}

int icount_parse(const char *arg, struct icount_options *o, struct err *e)
{
    char *copy = xstrdup(arg), *rest = copy, *item;
    int ret = 0;

    free(o->hash_file);
    *o = (struct icount_options){ .on = true, .sleep = true, .shift = 3, .automatic = true,
                                  .hash_every = HASH_EVERY };
    for (bool first = true; ret == 0 && (item = strsep(&rest, ",")); first = false) {
        char *val = strchr(item, '=');

        if (val)
            *val++ = 0;
        if (!val && first)
            ret = set_shift(item, o, e);
        else
            ret = set_one(item, val ? val : "on", o, e);
    }
    if (ret == 0)
        ret = check(o, e);
    free(copy);
    return ret;
}
