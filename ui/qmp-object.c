/*
 * qmp-object.c - objects made and removed while the machine runs
 */
#include <stdlib.h>
#include "hw/misc/rng.h"
#include "net/net.h"
#include "ui/commands-int.h"
#include "ui/options.h"

int run_object_made(struct run *r, const struct opt_object *o, struct err *e)
{
    return !object_is_rng(o) || rng_new(r->m, o->id, o->filename, e) ? 0 : -EINVAL;
}

int run_objects(struct run *r, struct err *e)
{
    for (const struct opt_object *o = r->opt->objects; o; o = o->next) {
        struct err why = { "" };

        if (run_object_made(r, o, &why) < 0)
            return err_set(e, -EINVAL, "-object %s,id=%s: %s", o->type, o->id, why.msg);
    }
    return 0;
}

/* Out of the list of those made while it runs. */
static void forget(struct run *r, const char *id)
{
    struct opt_object **p = &r->objects, *o;

    while (strcmp((*p)->id, id))
        p = &(*p)->next;
    o = *p;
    *p = o->next;
    o->next = NULL;
    objects_free(o);
}

static int add(struct run *r, const struct kv_list *kv, const char *what, struct err *e)
{
    const char *id = kv_get(kv, "id");
    int ret;

    if (id && object_find(r->opt->objects, id))
        return err_set(e, -EEXIST, "attempt to add duplicate property '%.64s'", id);
    ret = object_add(&r->objects, kv, what, e);
    if (ret == 0 && (ret = run_object_made(r, object_find(r->objects, id), e)) < 0)
        forget(r, id);
    return ret;
}

/* Clients that know the protocol from before QEMU 6 have properties in "props". */
static void unwrap(struct kv_list *kv)
{
    for (size_t i = 0; i < kv->n; i++) {
        char *key = kv->item[i].key;

        if (!strncmp(key, "props.", 6))
            memmove(key, key + 6, strlen(key + 6) + 1);
    }
}

static int cmd_object_add(struct call *c, struct err *e)
{
    struct kv_list kv = { NULL, 0 };
    int ret;

    flat_kv(&kv, c->args);
    unwrap(&kv);
    ret = add(c->run, &kv, jv_text(c->args, "qom-type"), e);
    kv_free(&kv);
    return ret;
}

static int cmd_object_add_line(struct call *c, struct err *e)
{
    const char *text = jv_text(c->args, "object");
    struct kv_list kv = { NULL, 0 };
    int ret = kv_parse(&kv, text, e);

    if (ret == 0)
        ret = add(c->run, &kv, text, e);
    kv_free(&kv);
    return ret;
}

/* Those of the command line stay: the machine may have been built with them. */
static int cmd_object_del(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id");
    const struct opt_object *o = object_find(c->run->objects, id);
    int ret = 0;

    if (!o && object_find(c->run->opt->objects, id))
        return err_set(e, -EBUSY, "object '%.64s' is in use, can not be deleted", id);
    if (!o)
        return err_set(e, -ENOENT, "object '%.64s' not found", id);
    if (object_is_rng(o))
        ret = rng_del(rng_find(c->m, id), e);
    if (ret == 0)
        forget(c->run, id);
    return ret;
}

const struct command object_commands[] = {
    { .qmp = "object-add", .args = "qom-type:s,id:s,*", .run = cmd_object_add },
    { .hmp = "object_add", .args = "object:S", .help = "make an object, as after -object",
      .run = cmd_object_add_line },
    { .hmp = "object_del", .qmp = "object-del", .args = "id:s", .help = "remove one", .run = cmd_object_del },
    { .hmp = NULL }
};
