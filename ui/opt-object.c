/*
 * opt-object.c - -object: what is made before the machine, by kind
 *
 * secret: taken, with its file read to see that it is there; nothing uses one yet.
 * memory-backend-ram: the machine's RAM, when -machine memory-backend= names it; its size
 * must then be that of -m. rng-random, rng-builtin: sources for virtio-rng (hw/misc/rng.h). filter-dump: network.c's.
 */
#include <stdlib.h>
#include <unistd.h>
#include "ui/options.h"

static struct opt_object *keep(struct opt_object **list, const char *type, const char *id)
{
    struct opt_object *o = xzalloc(sizeof(*o));

    o->type = type;
    o->id = xstrdup(id);
    while (*list)
        list = &(*list)->next;
    *list = o;
    return o;
}

struct opt_object *object_find(struct opt_object *list, const char *id)
{
    while (list && strcmp(list->id, id))
        list = list->next;
    return list;
}

void objects_free(struct opt_object *list)
{
    struct opt_object *next;

    for (; list; list = next) {
        next = list->next;
        free(list->id);
        free(list->filename);
        free(list);
    }
}

static int add_secret(struct opt_object **list, const struct kv_list *kv, const char *id, const char *what,
                      struct err *e)
{
    static const char *const keys[] = { "qom-type", "id", "data", "file", "format", "keyid", "iv" };
    const char *file = kv_get(kv, "file");

    if (opt_only_keys(kv, keys, ARRAY_SIZE(keys), "", what, e) < 0)
        return -EINVAL;
    if (!file == !kv_get(kv, "data"))
        return err_set(e, -EINVAL, "%s: one of data= and file= is wanted", what);
    if (file && access(file, R_OK) < 0)
        return err_set(e, -errno, "%s: %s: %s", what, file, strerror(errno));
    keep(list, "secret", id);
    return 0;
}

static int add_memory(struct opt_object **list, const struct kv_list *kv, const char *id, const char *what,
                      struct err *e)
{
    static const char *const keys[] = { "qom-type", "id", "size", "dump", "merge", "prealloc", "share" };
    static const char *const off[] = { "prealloc", "share" };
    const char *size = kv_get(kv, "size");
    uint64_t bytes;

    if (opt_only_keys(kv, keys, ARRAY_SIZE(keys), "", what, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
        const char *v = kv_get(kv, off[i]);

        if (v && strcmp(v, "off") && strcmp(v, "no"))
            return err_set(e, -ENOTSUP, "%s: %s=%s is not supported", what, off[i], v);
    }
    if (!size || parse_size(size, 1, &bytes) < 0 || !bytes)
        return err_set(e, -EINVAL, "%s: size= is wanted", what);
    keep(list, "memory-backend-ram", id)->bytes = bytes;
    return 0;
}

static int add_rng(struct opt_object **list, const struct kv_list *kv, const char *id, bool file, const char *what,
                   struct err *e)
{
    static const char *const keys[] = { "qom-type", "id", "filename" };
    const char *filename = kv_get(kv, "filename");

    if (opt_only_keys(kv, keys, file ? ARRAY_SIZE(keys) : ARRAY_SIZE(keys) - 1, "", what, e) < 0)
        return -EINVAL;
    if (filename && !*filename)
        return err_set(e, -EINVAL, "%s: filename= is empty", what);
    if (file)
        keep(list, "rng-random", id)->filename = xstrdup(filename ? filename : "/dev/urandom");
    else
        keep(list, "rng-builtin", id);
    return 0;
}

bool object_is_rng(const struct opt_object *o)
{
    return !strncmp(o->type, "rng-", 4);
}

int object_add(struct opt_object **list, const struct kv_list *kv, const char *what, struct err *e)
{
    static const char *const kinds[] = { "secret", "memory-backend-ram", "rng-random", "rng-builtin", "filter-dump" };
    const char *type = kv->n && !*kv->item[0].key ? kv->item[0].val : kv_get(kv, "qom-type");
    const char *id = kv_get(kv, "id");

    if (!type || !*type)
        return err_set(e, -EINVAL, "%s: the kind comes first", what);
    if (!id || !*id)
        return err_set(e, -EINVAL, "%s: id= is wanted", what);
    if (!id_is_good(id))
        return err_set(e, -EINVAL, "%s: id '%s': a letter is wanted, then letters, digits, '-', '.' or '_'", what, id);
    if (object_find(*list, id))
        return err_set(e, -EEXIST, "%s: id '%s' is taken", what, id);
    if (!strcmp(type, "secret"))
        return add_secret(list, kv, id, what, e);
    if (!strcmp(type, "memory-backend-ram"))
        return add_memory(list, kv, id, what, e);
    if (!strcmp(type, "rng-random") || !strcmp(type, "rng-builtin"))
        return add_rng(list, kv, id, !strcmp(type, "rng-random"), what, e);
    return opt_err_near(e, type, kinds, ARRAY_SIZE(kinds), "", "%s: kind '%s' is not supported", what, type);
}

int opt_object(struct options *o, const char *val, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    struct err why = { "" };
    int ret;

    if (!strncmp(val, "filter-dump,", 12))
        return opt_filter_dump(o, val, e);
    ret = kv_parse(&kv, val, &why);
    if (ret == 0)
        ret = object_add(&o->objects, &kv, val, &why);
    kv_free(&kv);
    return ret < 0 ? err_set(e, ret, "-object %s", why.msg) : 0;
}

int objects_check(const struct options *o, struct err *e)
{
    const struct opt_object *m = o->memory_backend ? object_find(o->objects, o->memory_backend) : NULL;

    if (!o->memory_backend)
        return 0;
    if (!m || strcmp(m->type, "memory-backend-ram"))
        return err_set(e, -EINVAL, "-machine memory-backend=%s: there is no such -object", o->memory_backend);
    if (m->bytes != o->cfg.ram_bytes)
        return err_set(e, -EINVAL, "-machine memory-backend=%s: it has %llu bytes, -m says %llu",
                       o->memory_backend, (unsigned long long)m->bytes,
                       (unsigned long long)o->cfg.ram_bytes);
    return 0;
}
